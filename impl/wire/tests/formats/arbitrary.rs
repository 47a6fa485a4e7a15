//! Owns the strategies: values as a driver can meet them, in the one form that each has.

use proptest::{
    collection::{btree_map, vec},
    option,
    prelude::*,
    sample::{Index, select, subsequence},
};
use slotbus_core::{
    Address, CLUSTER_SLOTS, ClusterState, Durable, Flags, Host, Millis, NodeId, NodeView, Slot, SlotSet,
    message::{Body, Claim, Extension, GossipEntry, Header, Heartbeat, MessageFlags, ModuleMessage, Publication},
};
use slotbus_wire::bus::BusMessage;
use std::net::{Ipv4Addr, Ipv6Addr};

pub(crate) fn node_id() -> impl Strategy<Value = NodeId> {
    any::<[u8; 20]>().prop_map(NodeId)
}

pub(crate) fn host() -> impl Strategy<Value = Host> {
    let text = |text: String| text.parse().unwrap_or_default();
    prop_oneof![
        Just(Host::Unknown),
        any::<Ipv4Addr>().prop_map(|ip| Host::Ip(ip.into())),
        any::<Ipv6Addr>().prop_map(|ip| Host::Ip(ip.into())),
        "[a-zA-Z0-9.:%_-]{1,45}".prop_map(text),
    ]
}

pub(crate) fn address() -> impl Strategy<Value = Address> {
    (host(), any::<u16>(), any::<u16>(), any::<u16>()).prop_map(|(host, port, cport, pport)| Address {
        host,
        port,
        cport,
        pport,
    })
}

pub(crate) fn slots() -> impl Strategy<Value = SlotSet<CLUSTER_SLOTS>> {
    let slot = || 0..CLUSTER_SLOTS as u16;
    let run = (slot(), 0..600_u16).prop_map(|(start, length)| (start, start.saturating_add(length)));
    let runs = vec(run, 0..8).prop_map(|runs| {
        runs.into_iter().flat_map(|(start, end)| (start..=end).map(Slot)).collect::<SlotSet<CLUSTER_SLOTS>>()
    });
    prop_oneof![Just(SlotSet::new()), Just(SlotSet::all()), runs]
}

pub(crate) fn hostname() -> impl Strategy<Value = Box<str>> {
    "[a-zA-Z0-9.-]{0,255}".prop_map(Into::into)
}

pub(crate) fn millis() -> impl Strategy<Value = Millis> {
    (1..i64::MAX as u64).prop_map(Millis)
}

fn mflags() -> impl Strategy<Value = MessageFlags> {
    any::<u8>().prop_map(MessageFlags::from_bits_retain)
}

fn flags() -> impl Strategy<Value = Flags> {
    any::<u16>().prop_map(Flags::from_bits_retain)
}

fn header() -> impl Strategy<Value = Header<CLUSTER_SLOTS>> {
    let numbers = (any::<u64>(), any::<u64>(), any::<u64>());
    let names = (node_id(), option::of(node_id()), address());
    let state = select(vec![ClusterState::Ok, ClusterState::Fail]);
    (numbers, names, slots(), flags(), state, mflags()).prop_map(|(numbers, names, slots, flags, state, mflags)| {
        let ((current_epoch, config_epoch, offset), (sender, primary, address)) = (numbers, names);
        Header { sender, current_epoch, config_epoch, offset, slots, primary, address, flags, state, mflags }
    })
}

fn gossip_entry() -> impl Strategy<Value = GossipEntry> {
    (node_id(), any::<u32>(), any::<u32>(), address(), flags()).prop_map(
        |(node, ping_sent_s, pong_received_s, address, flags)| GossipEntry {
            node,
            ping_sent_s,
            pong_received_s,
            address,
            flags,
        },
    )
}

fn extension() -> impl Strategy<Value = Extension> {
    let words = |range| vec(any::<[u8; 8]>(), range).prop_map(|words| words.concat());
    prop_oneof![
        hostname().prop_map(Extension::Hostname),
        "[a-zA-Zäß0-9 _:-]{0,60}".prop_map(|name| Extension::HumanName(name.into())),
        (node_id(), any::<u64>()).prop_map(|(node, ttl_s)| Extension::Forgotten { node, ttl_s }),
        node_id().prop_map(Extension::ShardId),
        (4..=u16::MAX, words(0..9)).prop_map(|(kind, payload)| Extension::Other { kind, payload }),
        // Too short for an id, and a name without its end.
        (0..4_u16).prop_map(|kind| Extension::Other { kind, payload: vec![b'x'; 16] }),
    ]
}

fn heartbeat() -> impl Strategy<Value = Heartbeat> {
    (vec(gossip_entry(), 0..12), vec(extension(), 0..5))
        .prop_map(|(gossip, extensions)| Heartbeat { gossip, extensions })
}

fn publication() -> impl Strategy<Value = Publication> {
    (vec(any::<u8>(), 0..40), vec(any::<u8>(), 0..400)).prop_map(|(channel, payload)| Publication { channel, payload })
}

fn body() -> impl Strategy<Value = Body<CLUSTER_SLOTS>> {
    let claim =
        (node_id(), any::<u64>(), slots()).prop_map(|(node, config_epoch, slots)| Claim { node, config_epoch, slots });
    let module_message = (any::<[u8; 8]>(), any::<u8>(), vec(any::<u8>(), 0..99))
        .prop_map(|(module, kind, payload)| ModuleMessage { module, kind, payload });
    prop_oneof![
        3 => heartbeat().prop_map(Body::Ping),
        3 => heartbeat().prop_map(Body::Pong),
        3 => heartbeat().prop_map(Body::Meet),
        1 => node_id().prop_map(Body::Fail),
        2 => publication().prop_map(Body::Publish),
        1 => Just(Body::FailoverAuthRequest),
        1 => Just(Body::FailoverAuthAck),
        1 => claim.prop_map(Body::Update),
        1 => Just(Body::ManualFailoverStart),
        2 => module_message.prop_map(Body::Module),
        2 => publication().prop_map(Body::PublishShard),
    ]
}

/// A message of any kind. One with extensions says so in its flags, as every sender must.
pub(crate) fn message() -> impl Strategy<Value = BusMessage> {
    (header(), body()).prop_map(|(header, body)| {
        let mut message = BusMessage { header, body };
        if message.heartbeat().is_some_and(|heartbeat| !heartbeat.extensions.is_empty()) {
            message.header.mflags |= MessageFlags::EXTENSIONS;
        }
        message
    })
}

fn shown_flags() -> impl Strategy<Value = Flags> {
    let shown = [Flags::PRIMARY, Flags::REPLICA, Flags::PFAIL, Flags::FAIL, Flags::NOADDR, Flags::NOFAILOVER];
    subsequence(shown.to_vec(), 0..=shown.len()).prop_map(|flags| flags.into_iter().collect())
}

fn node_view() -> impl Strategy<Value = NodeView<CLUSTER_SLOTS>> {
    let names = (node_id(), address(), hostname(), option::of(node_id()));
    let times = (option::of(millis()), option::of(millis()), any::<u64>(), any::<bool>());
    (names, times, shown_flags()).prop_map(|(names, times, flags)| {
        let ((id, address, hostname, primary), (ping_sent, pong_received, config_epoch, connected)) = (names, times);
        let address = Address { pport: 0, ..address };
        let slots = SlotSet::new();
        NodeView { id, address, hostname, flags, primary, ping_sent, pong_received, config_epoch, connected, slots }
    })
}

/// What a node can save: one node is itself, and no slot is owned twice or moved both ways.
pub(crate) fn durable() -> impl Strategy<Value = Durable<CLUSTER_SLOTS>> {
    let nodes = vec((node_view(), slots()), 1..7);
    let moves = || btree_map((0..CLUSTER_SLOTS as u16).prop_map(Slot), node_id(), 0..4);
    (nodes, any::<Index>(), moves(), moves(), any::<u64>(), any::<u64>()).prop_map(
        |(nodes, myself, migrating, mut importing, current_epoch, last_vote_epoch)| {
            let mut free = SlotSet::all();
            let mut nodes: Vec<_> = nodes
                .into_iter()
                .map(|(mut node, slots)| {
                    node.slots = slots.without(&SlotSet::all().without(&free));
                    free = free.without(&node.slots);
                    node
                })
                .collect();
            let myself = myself.index(nodes.len());
            nodes[myself].flags |= Flags::MYSELF;
            importing.retain(|slot, _| !migrating.contains_key(slot));
            Durable { nodes, migrating, importing, current_epoch, last_vote_epoch }
        },
    )
}
