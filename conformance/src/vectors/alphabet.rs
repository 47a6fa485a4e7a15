//! Owns what may happen next to a node: messages that its peers could send, commands, links that come and
//! go, time that passes. Each message is what a peer would say by the node's own table, changed in one
//! place or two. Knows no rule.

use super::{
    CoreEvent, Message, Node,
    situations::{Situation, host, id},
};
use slotbus_core::{
    Address, Body, CLUSTER_SLOTS, ClusterState, Command, Config, FailoverMode, Flags, Header, LinkId, Millis, NodeId,
    Pos, Replication, RequestId, Slot, SlotChange, SlotSet,
    message::{Claim, Extension, GossipEntry, Heartbeat, MessageFlags, ModuleMessage, Publication},
    next_deadline,
};
use std::sync::Arc;

type Slots = SlotSet<CLUSTER_SLOTS>;
type CoreHeader = Header<CLUSTER_SLOTS>;
type CoreBody = Body<CLUSTER_SLOTS>;

/// The number of a node that is in no nodes.conf.
const STRANGER: u8 = 11;
/// The number of another one, of which only gossip tells.
const RUMOUR: u8 = 12;
/// The number of a new id that RESET HARD gives.
const REBORN: u8 = 6;
/// A slot that the cluster does not have.
const NO_SLOT: Slot = Slot(16384);

/// Something that may happen, and how long after what happened last.
pub(super) type Letter = (u64, CoreEvent);

/// Everything that may happen next.
pub(super) fn letters(node: &Node, situation: &Situation, now: Millis) -> Vec<Letter> {
    let mut letters: Vec<Letter> = ticks(node, now);
    let soon = |event| (1, event);
    letters.extend(link_events(node, situation).into_iter().map(soon));
    letters.extend(commands(node).into_iter().map(|command| soon(CoreEvent::Admin { request: RequestId(0), command })));
    letters.extend(local_events(node, now).into_iter().map(soon));
    letters.extend(packets(node, situation, now).into_iter().map(soon));
    letters.extend(late_answers(node));
    letters.extend(late_reports(node, now));
    letters
}

/// Reports of suspected nodes that come when those before them do not count any more.
fn late_reports(node: &Node, now: Millis) -> Vec<Letter> {
    let late_ms = node.config().timing.report_valid_ms() + 1;
    let reported = node.peers().iter().filter(|peer| peer.is(Flags::PFAIL) && !peer.reports.is_empty());
    let by_all = reported.flat_map(|subject| {
        let tellers = node.peers().positions().filter(|&pos| node.peers()[pos].id != subject.id);
        tellers.filter_map(|teller| {
            let link = LinkId::Outbound(node.peers()[teller].outbound?);
            let told = entry(subject.id, now.after(late_ms), subject.flags);
            Some((late_ms, received(link, pong(header(node, teller), vec![told]))))
        })
    });
    by_all.collect()
}

/// Failed nodes that answer after the time for which a failure lasts at least.
fn late_answers(node: &Node) -> Vec<Letter> {
    let late_ms = node.config().timing.report_valid_ms() + 1;
    let failed = node.peers().iter().filter(|peer| peer.is(Flags::FAIL));
    let answer = |peer: &slotbus_core::Peer<CLUSTER_SLOTS>| {
        let link = LinkId::Outbound(peer.outbound?);
        Some((late_ms, received(link, pong_of(node, peer.id))))
    };
    failed.filter_map(answer).collect()
}

/// Time that passes: to the next deadline, and beyond each period that a rule counts.
fn ticks(node: &Node, now: Millis) -> Vec<Letter> {
    let timing = &node.config().timing;
    let timeout_ms = timing.node_timeout_ms;
    let due_ms = next_deadline(node).at.since(now);
    let periods = [
        timeout_ms / 2 + 1,
        timeout_ms + 1,
        timing.report_valid_ms() + 1,
        timing.election_retry_ms() + 1,
        timing.manual_failover_ms + 1,
        timing.writable_delay_ms + 1,
        timing.forget_ms + 1,
        timing.data_age_max_ms(node.config().replica_validity_factor) + timeout_ms + 1001,
    ];
    [due_ms].into_iter().chain(periods).map(|ms| (ms.max(1), CoreEvent::Tick)).collect()
}

fn link_events(node: &Node, situation: &Situation) -> Vec<CoreEvent> {
    let mut events = Vec::new();
    for link in node.links().iter() {
        let id = link.id;
        match id {
            LinkId::Outbound(_) if !link.up => {
                events.push(CoreEvent::LinkUp { link: id, local: host(), remote: host() });
                events.push(CoreEvent::LinkRefused { link: id });
            }
            LinkId::Outbound(_) | LinkId::Inbound(_) => events.push(CoreEvent::Backlogged { link: id }),
        }
        events.push(CoreEvent::LinkDown { link: id });
    }
    let accepted =
        (0..=situation.callers.len()).map(|number| LinkId::Inbound(u32::try_from(number).unwrap_or_default()));
    events.extend(accepted.map(|link| CoreEvent::LinkUp { link, local: host(), remote: host() }));
    let unknown = LinkId::Outbound(99);
    events.push(CoreEvent::LinkDown { link: unknown });
    events.push(CoreEvent::LinkRefused { link: unknown });
    events.push(CoreEvent::LinkUp { link: unknown, local: host(), remote: host() });
    events
}

fn local_events(node: &Node, now: Millis) -> Vec<CoreEvent> {
    let offset = node.replication().offset;
    let fresh = Some(now);
    let replications = [
        Replication { offset: 100, fresh_at: fresh },
        Replication { offset: 0, fresh_at: fresh },
        Replication { offset: offset + 1, fresh_at: node.replication().fresh_at },
    ];
    let mut events: Vec<CoreEvent> = replications.map(CoreEvent::Replication).into();
    let free = free_slot(node);
    let held = [free, own_slot(node), foreign_slot(node)].into_iter().flatten();
    events.push(CoreEvent::Loaded { slots: held.collect() });
    let config = &**node.config();
    let changes: [Config; 3] = [
        Config { replica_no_failover: !config.replica_no_failover, ..config.clone() },
        Config { hostname: "new.example".into(), ..config.clone() },
        Config { require_full_coverage: !config.require_full_coverage, ..config.clone() },
    ];
    events.extend(changes.map(|config| CoreEvent::Configured(Arc::new(config))));
    events
}

fn own_slot(node: &Node) -> Option<Slot> {
    node.myself().slots.iter().next()
}

fn free_slot(node: &Node) -> Option<Slot> {
    if node.owners().free() == 0 {
        return None;
    }
    node.owners().iter().find(|(_, owner)| owner.is_none()).map(|(slot, _)| slot)
}

fn foreign_slot(node: &Node) -> Option<Slot> {
    let other = node.peers().iter().find(|peer| peer.id != node.id() && !peer.slots.is_empty())?;
    other.slots.iter().next()
}

fn commands(node: &Node) -> Vec<Command> {
    let known: Vec<NodeId> = node.peers().iter().map(|peer| peer.id).chain([id(STRANGER)]).collect();
    let free = free_slot(node);
    let open = node.migrating().keys().chain(node.importing().keys()).copied();
    let mut slots: Vec<Slot> =
        [own_slot(node), foreign_slot(node), free, Some(NO_SLOT)].into_iter().flatten().chain(open).collect();
    slots.sort_unstable();
    slots.dedup();
    let (port, cport) = super::situations::ports(STRANGER);
    let no_host = "nowhere.example".parse().unwrap_or_default();
    let mut commands = vec![
        Command::Meet { host: host(), port, cport },
        Command::Meet { host: host(), port: 0, cport },
        Command::Meet { host: no_host, port, cport },
        Command::BumpEpoch,
        Command::SetConfigEpoch(7),
        Command::SaveConfig,
        Command::Failover(FailoverMode::Coordinated),
        Command::Failover(FailoverMode::Force),
        Command::Failover(FailoverMode::Takeover),
        Command::Publish { publication: publication(), sharded: false },
        Command::Publish { publication: publication(), sharded: true },
    ];
    let two: Vec<Slot> = node.myself().slots.iter().take(2).collect();
    commands.extend((!two.is_empty()).then_some(Command::DelSlots(two)));
    for has_keys in [false, true] {
        commands.push(Command::FlushSlots { has_keys });
        commands.push(Command::Reset { hard: None, has_keys });
        commands.push(Command::Reset { hard: Some(id(REBORN)), has_keys });
    }
    for &slot in &slots {
        commands.push(Command::AddSlots(vec![slot]));
        commands.push(Command::AddSlots(vec![slot, slot]));
        commands.push(Command::DelSlots(vec![slot]));
        commands.push(Command::SetSlot { slot, change: SlotChange::Stable, has_keys: false });
        for &other in &known {
            for change in [SlotChange::Migrating(other), SlotChange::Importing(other), SlotChange::Node(other)] {
                commands.push(Command::SetSlot { slot, change, has_keys: false });
            }
            commands.push(Command::SetSlot { slot, change: SlotChange::Node(other), has_keys: true });
        }
    }
    for &other in &known {
        commands.push(Command::Forget(other));
        commands.push(Command::Replicate { primary: other, has_keys: false });
        commands.push(Command::Replicate { primary: other, has_keys: true });
    }
    commands
}

fn publication() -> Publication {
    Publication { channel: b"news".to_vec(), payload: b"hello".to_vec() }
}

/// Every message of every peer, of the node itself, and of a stranger.
fn packets(node: &Node, situation: &Situation, now: Millis) -> Vec<CoreEvent> {
    let mut events = Vec::new();
    let inbound = |wanted: Option<NodeId>| {
        let accepted = node.links().iter().filter(|link| matches!(link.id, LinkId::Inbound(_)));
        accepted.filter(|link| situation.caller(link.id) == wanted).map(|link| link.id).next()
    };
    for pos in node.peers().positions() {
        let peer = &node.peers()[pos];
        let outbound =
            peer.outbound.map(LinkId::Outbound).filter(|&link| node.links().get(link).is_some_and(|link| link.up));
        if let Some(link) = inbound(Some(peer.id)).or_else(|| inbound(None)) {
            let messages = requests(node, pos, now);
            events.extend(messages.into_iter().map(|message| received(link, message)));
        }
        if let Some(link) = outbound {
            events.extend(answers(node, pos, now).into_iter().map(|message| received(link, message)));
        }
    }
    if let Some(link) = inbound(None) {
        events.extend(strangers(node, now).into_iter().map(|message| received(link, message)));
    }
    if let Some(link) = node.links().iter().find(|link| matches!(link.id, LinkId::Inbound(_))) {
        events.extend(strangers(node, now).into_iter().map(|message| received(link.id, message)));
    }
    events.push(received(LinkId::Inbound(77), pong(header(node, node.me()), Vec::new())));
    events
}

fn received(link: LinkId, message: Message) -> CoreEvent {
    CoreEvent::Received { link, message: Box::new(message) }
}

/// The PONG that a peer would answer with, by the node's own table.
pub(super) fn pong_of(node: &Node, peer: NodeId) -> Message {
    let header = node.peers().find(&peer).map(|pos| header(node, pos));
    pong(header.unwrap_or_else(|| stranger(node)), Vec::new())
}

/// A peer's request for a vote in the next epoch.
pub(super) fn request_of(node: &Node, peer: NodeId) -> Message {
    let base = node.peers().find(&peer).map_or_else(|| stranger(node), |pos| header(node, pos));
    let header = Header { current_epoch: node.current_epoch() + 1, ..base };
    Message { header, body: Body::FailoverAuthRequest }
}

fn pong(header: CoreHeader, gossip: Vec<GossipEntry>) -> Message {
    Message { header, body: Body::Pong(Heartbeat { gossip, extensions: Vec::new() }) }
}

fn ping(header: CoreHeader, gossip: Vec<GossipEntry>) -> Message {
    Message { header, body: Body::Ping(Heartbeat { gossip, extensions: Vec::new() }) }
}

/// What a node would say of itself, as far as the node under test knows it.
fn header(node: &Node, pos: Pos) -> CoreHeader {
    let peer = &node.peers()[pos];
    let primary = peer.primary.filter(|_| !peer.is_primary());
    let claimant = primary.map_or(Some(pos), |id| node.peers().find(&id)).map(|pos| &node.peers()[pos]);
    let seen_elsewhere =
        Flags::PFAIL | Flags::FAIL | Flags::HANDSHAKE | Flags::NOADDR | Flags::MEET | Flags::MIGRATE_TO;
    Header {
        sender: peer.id,
        current_epoch: node.current_epoch(),
        config_epoch: claimant.map_or(0, |peer| peer.config_epoch),
        offset: peer.offset,
        slots: claimant.map(|peer| peer.slots.clone()).unwrap_or_default(),
        primary,
        address: Address { host: slotbus_core::Host::Unknown, ..peer.address.clone() },
        flags: peer.flags.difference(seen_elsewhere) | Flags::MYSELF,
        state: ClusterState::Ok,
        mflags: MessageFlags::empty(),
    }
}

fn stranger(node: &Node) -> CoreHeader {
    let (port, cport) = super::situations::ports(STRANGER);
    Header {
        sender: id(STRANGER),
        current_epoch: node.current_epoch() + 1,
        config_epoch: node.current_epoch() + 1,
        offset: 0,
        slots: own_slot(node).into_iter().collect(),
        primary: None,
        address: Address { host: slotbus_core::Host::Unknown, port, cport, pport: 0 },
        flags: Flags::PRIMARY | Flags::MYSELF,
        state: ClusterState::Ok,
        mflags: MessageFlags::empty(),
    }
}

/// Headers that differ from what is known of their sender in one place or two.
fn headers(node: &Node, pos: Pos) -> Vec<CoreHeader> {
    let base = header(node, pos);
    let epochs = epochs(node, base.config_epoch);
    let claims = claims(node, &base);
    let roles = roles(node, &base);
    let mut headers = vec![base.clone()];
    for &config_epoch in &epochs {
        let current_epoch = base.current_epoch.max(config_epoch);
        headers.push(Header { config_epoch, current_epoch, ..base.clone() });
        for slots in &claims {
            headers.push(Header { config_epoch, current_epoch, slots: slots.clone(), ..base.clone() });
        }
        for (primary, flags) in &roles {
            let header = Header { config_epoch, current_epoch, primary: *primary, flags: *flags, ..base.clone() };
            headers.push(header.clone());
            headers.push(Header { slots: Slots::new(), ..header.clone() });
            let named = primary.and_then(|id| node.peers().get(&id)).map(|peer| peer.slots.clone());
            headers.extend(named.map(|slots| Header { slots, ..header.clone() }));
        }
    }
    headers.extend(claims.iter().map(|slots| Header { slots: slots.clone(), ..base.clone() }));
    headers.extend(details(node, &base));
    headers
}

fn epochs(node: &Node, recorded: u64) -> Vec<u64> {
    let own = node.my_epoch();
    let mut epochs = vec![0, own, own + 1, node.current_epoch(), node.current_epoch() + 1, recorded.saturating_sub(1)];
    epochs.sort_unstable();
    epochs.dedup();
    epochs.retain(|&epoch| epoch != recorded);
    epochs
}

fn claims(node: &Node, base: &CoreHeader) -> Vec<Slots> {
    let with = |more: &Slots| {
        let mut slots = base.slots.clone();
        slots.insert_all(more);
        slots
    };
    let one = |slot: Option<Slot>| with(&slot.into_iter().collect());
    let free = free_slot(node);
    let my_shard = node.my_primary().map_or(node.me(), |pos| pos);
    let first: Slots = base.slots.iter().take(1).collect();
    let others = node.peers().iter().filter(|peer| peer.id != base.sender && peer.id != node.id());
    let foreign = others.map(|peer| &peer.slots).find(|slots| !slots.is_empty());
    let importing = node.importing().keys().next().copied();
    let mut claims = vec![
        Slots::new(),
        one(own_slot(node)),
        with(&node.peers()[my_shard].slots),
        one(foreign.and_then(|slots| slots.iter().next())),
        foreign.map_or_else(Slots::new, with),
        one(free),
        one(importing),
        base.slots.without(&first),
        first,
    ];
    claims.sort();
    claims.dedup();
    claims.retain(|slots| *slots != base.slots);
    claims
}

fn roles(node: &Node, base: &CoreHeader) -> Vec<(Option<NodeId>, Flags)> {
    let common = base.flags.difference(Flags::PRIMARY | Flags::REPLICA);
    let known = node.peers().iter().map(|peer| peer.id).filter(|&id| id != base.sender);
    let named = known.chain([id(STRANGER)]).map(|id| (Some(id), common | Flags::REPLICA));
    let mut roles: Vec<_> = [(None, common | Flags::PRIMARY)].into_iter().chain(named).collect();
    roles.retain(|(primary, _)| *primary != base.primary);
    roles
}

fn details(node: &Node, base: &CoreHeader) -> Vec<CoreHeader> {
    let current = base.current_epoch;
    let address = |port: u16| Address { port, cport: port + 10_000, ..base.address.clone() };
    let flagged = |mflags| Header { mflags, ..base.clone() };
    let paused_at = |offset| Header { mflags: MessageFlags::PAUSED, offset, ..base.clone() };
    vec![
        Header { current_epoch: current + 1, ..base.clone() },
        Header { current_epoch: current.saturating_sub(1), ..base.clone() },
        Header { address: address(7099), ..base.clone() },
        Header { address: Address { host: host(), ..base.address.clone() }, ..base.clone() },
        Header { flags: base.flags ^ Flags::NOFAILOVER, ..base.clone() },
        Header { flags: base.flags | Flags::FAIL, ..base.clone() },
        Header { state: ClusterState::Fail, ..base.clone() },
        Header { offset: node.replication().offset + 50, ..base.clone() },
        paused_at(0),
        paused_at(100),
        flagged(MessageFlags::EXTENSIONS),
        flagged(MessageFlags::FORCEACK),
    ]
}

/// What a node says on the link that it opened.
fn requests(node: &Node, pos: Pos, now: Millis) -> Vec<Message> {
    let base = header(node, pos);
    let mut messages: Vec<Message> = headers(node, pos).into_iter().map(|header| ping(header, Vec::new())).collect();
    messages.extend(rumours(node, pos, now).into_iter().map(|entry| ping(base.clone(), vec![entry])));
    messages.extend(extended(node, &base));
    messages.push(Message { header: base.clone(), body: Body::Meet(Heartbeat::default()) });
    messages.push(pong(base.clone(), Vec::new()));
    messages.extend(bodies(node, &base).into_iter().map(|body| Message { header: base.clone(), body }));
    messages.extend(auth_requests(node, &base));
    messages.extend(votes(node, &base));
    messages
}

/// What a node says on the link that was opened to it.
fn answers(node: &Node, pos: Pos, now: Millis) -> Vec<Message> {
    let base = header(node, pos);
    let mut messages: Vec<Message> = headers(node, pos).into_iter().map(|header| pong(header, Vec::new())).collect();
    messages.extend(rumours(node, pos, now).into_iter().map(|entry| pong(base.clone(), vec![entry])));
    let others = node.peers().positions().filter(|&other| other != pos).map(|other| header(node, other));
    messages.extend(others.chain([stranger(node)]).map(|header| pong(header, Vec::new())));
    messages.extend(votes(node, &base));
    messages
}

/// What a node that is in no table says.
fn strangers(node: &Node, now: Millis) -> Vec<Message> {
    let base = stranger(node);
    let subject =
        node.peers().iter().find(|peer| peer.id != node.id()).map(|peer| peer.id).unwrap_or_else(|| node.id());
    let rumour = |node| GossipEntry { flags: Flags::PRIMARY, ..entry(node, now, Flags::PRIMARY) };
    let gossip = vec![rumour(id(RUMOUR)), rumour(subject)];
    let bodies = [
        Body::Ping(Heartbeat { gossip: gossip.clone(), extensions: Vec::new() }),
        Body::Meet(Heartbeat { gossip: gossip.clone(), extensions: Vec::new() }),
        Body::Pong(Heartbeat { gossip, extensions: Vec::new() }),
        Body::Meet(Heartbeat::default()),
        Body::Fail(subject),
        Body::FailoverAuthRequest,
        Body::FailoverAuthAck,
        Body::ManualFailoverStart,
        Body::Publish(publication()),
        Body::Update(Claim { node: subject, config_epoch: node.current_epoch() + 1, slots: Slots::new() }),
    ];
    bodies.into_iter().map(|body| Message { header: base.clone(), body }).collect()
}

fn entry(node: NodeId, now: Millis, flags: Flags) -> GossipEntry {
    let number = node.0[0] / 0x11;
    let (port, cport) = super::situations::ports(number);
    let address = Address { host: host(), port, cport, pport: 0 };
    GossipEntry { node, ping_sent_s: 0, pong_received_s: now.seconds(), address, flags }
}

/// What a node may tell of another.
fn rumours(node: &Node, teller: Pos, now: Millis) -> Vec<GossipEntry> {
    let mut entries = Vec::new();
    let others = node.peers().positions().filter(|&pos| pos != teller);
    for peer in others.map(|pos| &node.peers()[pos]) {
        let seen = peer.flags & (Flags::PRIMARY | Flags::REPLICA);
        let told = |flags| GossipEntry { address: peer.address.clone(), ..entry(peer.id, now, flags) };
        let silent = GossipEntry { pong_received_s: 0, ..told(seen) };
        let moved = Address { host: host(), port: 7098, cport: 17098, pport: 0 };
        entries.extend([
            told(seen),
            GossipEntry { pong_received_s: told(seen).pong_received_s + 3600, ..told(seen) },
            GossipEntry { address: moved, ..silent.clone() },
            told(seen | Flags::PFAIL),
            told(seen | Flags::FAIL),
            told(seen | Flags::NOADDR),
            silent,
        ]);
    }
    let banned = node.banned().keys().copied();
    entries.extend(banned.chain([id(RUMOUR)]).map(|id| entry(id, now, Flags::PRIMARY)));
    entries.push(entry(id(RUMOUR), now, Flags::PRIMARY | Flags::NOADDR));
    entries.push(entry(id(RUMOUR), now, Flags::REPLICA | Flags::FAIL));
    entries
}

fn extended(node: &Node, base: &CoreHeader) -> Vec<Message> {
    let forgotten = node.peers().iter().map(|peer| peer.id).find(|&id| id != base.sender && id != node.id());
    let extensions = [
        Some(Extension::Hostname("peer.example".into())),
        Some(Extension::HumanName("peer".into())),
        Some(Extension::ShardId(id(RUMOUR))),
        forgotten.map(|node| Extension::Forgotten { node, ttl_s: 60 }),
        Some(Extension::Forgotten { node: node.id(), ttl_s: 60 }),
    ];
    let message = |extension| Message {
        header: Header { mflags: MessageFlags::EXTENSIONS, ..base.clone() },
        body: Body::Ping(Heartbeat { gossip: Vec::new(), extensions: vec![extension] }),
    };
    extensions.into_iter().flatten().map(message).collect()
}

fn bodies(node: &Node, base: &CoreHeader) -> Vec<CoreBody> {
    let subjects: Vec<NodeId> = node.peers().iter().map(|peer| peer.id).chain([id(STRANGER)]).collect();
    let mut bodies: Vec<CoreBody> = subjects.iter().map(|&id| Body::Fail(id)).collect();
    for subject in &subjects {
        let known = node.peers().get(subject);
        let recorded = known.map_or(0, |peer| peer.config_epoch);
        let slots = known.map(|peer| peer.slots.clone()).unwrap_or_default();
        for config_epoch in [recorded, node.current_epoch() + 1, recorded.saturating_sub(1)] {
            let mut claims = claims(node, &Header { sender: *subject, slots: slots.clone(), ..base.clone() });
            claims.push(slots.clone());
            let claim = |slots| Body::Update(Claim { node: *subject, config_epoch, slots });
            bodies.extend(claims.into_iter().map(claim));
        }
    }
    bodies.extend([
        Body::ManualFailoverStart,
        Body::Publish(publication()),
        Body::PublishShard(publication()),
        Body::Module(ModuleMessage { module: [0; 8], kind: 0, payload: vec![1] }),
    ]);
    bodies
}

fn auth_requests(node: &Node, base: &CoreHeader) -> Vec<Message> {
    let mut messages = Vec::new();
    let current = node.current_epoch();
    for current_epoch in [current.saturating_sub(1), current, current + 1] {
        for mflags in [MessageFlags::empty(), MessageFlags::FORCEACK] {
            for config_epoch in [base.config_epoch, 0] {
                let header = Header { current_epoch, mflags, config_epoch, ..base.clone() };
                messages.push(Message { header, body: Body::FailoverAuthRequest });
            }
        }
    }
    messages
}

fn votes(node: &Node, base: &CoreHeader) -> Vec<Message> {
    let epoch = node.election().epoch;
    let epochs = [epoch.saturating_sub(1), epoch, epoch + 1];
    let vote =
        |current_epoch| Message { header: Header { current_epoch, ..base.clone() }, body: Body::FailoverAuthAck };
    epochs.into_iter().map(vote).collect()
}
