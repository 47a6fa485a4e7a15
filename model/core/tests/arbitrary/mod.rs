//! Inputs that could happen to a node, in a world small enough for them to have to do with each other.

use proptest::{collection::vec, prelude::*, sample::select};
use slotbus_core::{
    Address, Body, ClusterState, Command, Config, Event, FailoverMode, Flags, Header, Host, LinkId, Message, Millis,
    NodeId, Replication, RequestId, Slot, SlotChange, SlotSet, Timing,
    message::{Claim, Extension, GossipEntry, Heartbeat, MessageFlags, ModuleMessage, Publication},
};

pub(crate) const SLOTS: usize = 8;
pub(crate) const START: Millis = Millis(1_000_000);

pub(crate) fn id(number: u8) -> NodeId {
    NodeId([number; 20])
}

pub(crate) fn any_id() -> impl Strategy<Value = NodeId> {
    (1u8..6).prop_map(id)
}

fn any_host() -> impl Strategy<Value = Host> {
    select(vec!["", "127.0.0.1", "10.0.0.2", "::1", "node.example"]).prop_map(|text| {
        let Ok(host) = text.parse();
        host
    })
}

fn any_link() -> impl Strategy<Value = LinkId> {
    prop_oneof![(0u32..5).prop_map(LinkId::Outbound), (0u32..5).prop_map(LinkId::Inbound)]
}

pub(crate) fn any_slots() -> impl Strategy<Value = SlotSet<SLOTS>> {
    any::<u64>().prop_map(|word| SlotSet::from_window(0, [word]))
}

fn any_address() -> impl Strategy<Value = Address> {
    (any_host(), 0u16..3, 0u16..3).prop_map(|(host, port, cport)| Address { host, port, cport, pport: 0 })
}

fn any_flags() -> impl Strategy<Value = Flags> {
    any::<u16>().prop_map(Flags::from_bits_retain)
}

prop_compose! {
    fn any_header()(
        sender in any_id(),
        current_epoch in 0u64..5,
        config_epoch in 0u64..5,
        slots in any_slots(),
        primary in proptest::option::of(any_id()),
        address in any_address(),
        flags in any_flags(),
        mflags in any::<u8>(),
    ) -> Header<SLOTS> {
        Header {
            sender, current_epoch, config_epoch, offset: 0, slots, primary, address, flags,
            state: ClusterState::Ok,
            mflags: MessageFlags::from_bits_retain(mflags),
        }
    }
}

prop_compose! {
    fn any_gossip()(node in any_id(), pong_received_s in 990u32..1100, address in any_address(), flags in any_flags())
        -> GossipEntry
    {
        GossipEntry { node, ping_sent_s: 0, pong_received_s, address, flags }
    }
}

fn any_heartbeat() -> impl Strategy<Value = Heartbeat> {
    let extension = prop_oneof![
        Just(Extension::Hostname("a.example".into())),
        any_id().prop_map(Extension::ShardId),
        any_id().prop_map(|node| Extension::Forgotten { node, ttl_s: 60 }),
        Just(Extension::Other { kind: 77, payload: vec![0; 8] }),
    ];
    (vec(any_gossip(), 0..4), vec(extension, 0..3)).prop_map(|(gossip, extensions)| Heartbeat { gossip, extensions })
}

fn any_body() -> impl Strategy<Value = Body<SLOTS>> {
    let claim =
        (any_id(), 0u64..5, any_slots()).prop_map(|(node, config_epoch, slots)| Claim { node, config_epoch, slots });
    prop_oneof![
        any_heartbeat().prop_map(Body::Ping),
        any_heartbeat().prop_map(Body::Pong),
        any_heartbeat().prop_map(Body::Meet),
        any_id().prop_map(Body::Fail),
        claim.prop_map(Body::Update),
        Just(Body::FailoverAuthRequest),
        Just(Body::FailoverAuthAck),
        Just(Body::ManualFailoverStart),
        Just(Body::Publish(publication())),
        Just(Body::PublishShard(publication())),
        Just(Body::Module(ModuleMessage { module: [0; 8], kind: 0, payload: Vec::new() })),
    ]
}

fn any_slot_change() -> impl Strategy<Value = SlotChange> {
    prop_oneof![
        any_id().prop_map(SlotChange::Migrating),
        any_id().prop_map(SlotChange::Importing),
        Just(SlotChange::Stable),
        any_id().prop_map(SlotChange::Node),
    ]
}

fn any_replication() -> impl Strategy<Value = Replication> {
    (0u64..3, proptest::option::of((990_000u64..1_100_000).prop_map(Millis)))
        .prop_map(|(offset, fresh_at)| Replication { offset, fresh_at })
}

fn publication() -> Publication {
    Publication { channel: b"c".to_vec(), payload: b"m".to_vec() }
}

fn any_command() -> impl Strategy<Value = Command> {
    let slots = || vec((0u16..10).prop_map(Slot), 0..4);
    prop_oneof![
        (any_host(), 0u16..3, 0u16..3).prop_map(|(host, port, cport)| Command::Meet { host, port, cport }),
        any_id().prop_map(Command::Forget),
        slots().prop_map(Command::AddSlots),
        slots().prop_map(Command::DelSlots),
        Just(Command::BumpEpoch),
        (0u64..5).prop_map(Command::SetConfigEpoch),
        Just(Command::SaveConfig),
        any::<bool>().prop_map(|has_keys| Command::FlushSlots { has_keys }),
        ((0u16..10).prop_map(Slot), any_slot_change(), any::<bool>())
            .prop_map(|(slot, change, has_keys)| Command::SetSlot { slot, change, has_keys }),
        (any_id(), any::<bool>()).prop_map(|(primary, has_keys)| Command::Replicate { primary, has_keys }),
        select(vec![FailoverMode::Coordinated, FailoverMode::Force, FailoverMode::Takeover])
            .prop_map(Command::Failover),
        (proptest::option::of(Just(id(3))), any::<bool>())
            .prop_map(|(hard, has_keys)| Command::Reset { hard, has_keys }),
        any::<bool>().prop_map(|sharded| Command::Publish { publication: publication(), sharded }),
    ]
}

pub(crate) fn any_event() -> impl Strategy<Value = Event<SLOTS>> {
    let message = (any_header(), any_body()).prop_map(|(header, body)| Box::new(Message { header, body }));
    prop_oneof![
        2 => (any_link(), any_host(), any_host())
            .prop_map(|(link, local, remote)| Event::LinkUp { link, local, remote }),
        1 => any_link().prop_map(|link| Event::LinkDown { link }),
        1 => any_link().prop_map(|link| Event::LinkRefused { link }),
        8 => (any_link(), message).prop_map(|(link, message)| Event::Received { link, message }),
        4 => Just(Event::Tick),
        3 => any_command().prop_map(|command| Event::Admin { request: RequestId(1), command }),
        1 => any_slots().prop_map(|slots| Event::Loaded { slots }),
        1 => any_replication().prop_map(Event::Replication),
        1 => any_link().prop_map(|link| Event::Backlogged { link }),
        1 => any::<bool>().prop_map(|full| Event::Configured(config(full).into())),
    ]
}

/// Pauses between inputs and dice, with the events.
pub(crate) fn any_inputs() -> impl Strategy<Value = Vec<(u64, u64, Event<SLOTS>)>> {
    vec((select(vec![0, 1, 99, 100, 1000, 3000]), any::<u64>(), any_event()), 0..60)
}

pub(crate) fn config(require_full_coverage: bool) -> Config {
    let timing = Timing { node_timeout_ms: 2000, ..Timing::default() };
    Config { require_full_coverage, timing, ..Config::default() }
}
