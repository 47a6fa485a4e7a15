//! Owns the conditions under which rules hold back: what is true of a node and an input before the step.
//! Their outcomes are what vectors cover. They describe a step and decide nothing.

use super::{CoreEvent, Message, Node};
use slotbus_core::{
    Body, CLUSTER_SLOTS, Command, Flags, LinkId, Millis, NodeId, Peer, SlotChange, SlotSet, message::MessageFlags,
};

/// A condition and its outcome.
pub(super) type Fact = (&'static str, bool);

/// What the node under test is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Role {
    Primary,
    EmptyPrimary,
    Replica,
    /// A replica whose primary is failed.
    Heir,
}

impl Role {
    pub(super) fn of(node: &Node) -> Self {
        let own = node.myself();
        let has_failed = node.my_primary().is_some_and(|pos| node.peers()[pos].is(Flags::FAIL));
        match (own.is_primary(), own.slots.is_empty(), has_failed) {
            (true, false, _) => Self::Primary,
            (true, true, _) => Self::EmptyPrimary,
            (false, _, false) => Self::Replica,
            (false, _, true) => Self::Heir,
        }
    }
}

/// What kind of event it is.
pub(super) fn kind(event: &CoreEvent) -> &'static str {
    match event {
        CoreEvent::LinkUp { .. } => "link up",
        CoreEvent::LinkDown { .. } => "link down",
        CoreEvent::LinkRefused { .. } => "link refused",
        CoreEvent::Received { message, .. } => message.body.name(),
        CoreEvent::Tick => "tick",
        CoreEvent::Admin { command, .. } => command_kind(command),
        CoreEvent::Configured(_) => "configured",
        CoreEvent::Loaded { .. } => "loaded",
        CoreEvent::Replication(_) => "replication",
        CoreEvent::Backlogged { .. } => "backlogged",
    }
}

fn command_kind(command: &Command) -> &'static str {
    match command {
        Command::Meet { .. } => "MEET",
        Command::Forget(_) => "FORGET",
        Command::AddSlots(_) => "ADDSLOTS",
        Command::DelSlots(_) => "DELSLOTS",
        Command::BumpEpoch => "BUMPEPOCH",
        Command::SetConfigEpoch(_) => "SET-CONFIG-EPOCH",
        Command::SaveConfig => "SAVECONFIG",
        Command::FlushSlots { .. } => "FLUSHSLOTS",
        Command::SetSlot { .. } => "SETSLOT",
        Command::Replicate { .. } => "REPLICATE",
        Command::Failover(_) => "FAILOVER",
        Command::Reset { .. } => "RESET",
        Command::Publish { .. } => "PUBLISH",
    }
}

/// What is true before a step.
pub(super) fn facts(node: &Node, event: &CoreEvent, now: Millis) -> Vec<Fact> {
    let mut facts = of_node(node, now);
    match event {
        CoreEvent::Received { link, message } => of_message(node, *link, message, now, &mut facts),
        CoreEvent::Admin { command, .. } => of_command(node, command, &mut facts),
        CoreEvent::LinkUp { link, .. }
        | CoreEvent::LinkDown { link }
        | CoreEvent::LinkRefused { link }
        | CoreEvent::Backlogged { link } => of_link(node, *link, &mut facts),
        CoreEvent::Tick => of_tick(node, now, &mut facts),
        CoreEvent::Replication(replication) => {
            facts.push(("the offset moves", replication.offset != node.replication().offset));
        }
        CoreEvent::Configured(_) | CoreEvent::Loaded { .. } => {}
    }
    facts
}

/// What is true of the node itself.
pub(super) fn of_node(node: &Node, now: Millis) -> Vec<Fact> {
    let election = node.election();
    let others = || node.peers().iter().filter(|peer| peer.id != node.id());
    vec![
        ("the cluster is up", node.state() == slotbus_core::ClusterState::Ok),
        ("a node is suspected", others().any(|peer| peer.is(Flags::PFAIL))),
        ("a node is failed", others().any(|peer| peer.is(Flags::FAIL))),
        ("a node is in handshake", others().any(|peer| peer.is(Flags::HANDSHAKE))),
        ("a failure is reported", others().any(|peer| !peer.reports.is_empty())),
        ("a slot is open", !node.migrating().is_empty() || !node.importing().is_empty()),
        ("a slot is not claimed by its owner", !node.unclaimed().is_empty()),
        ("an owner claims some of its slots only", others().any(|owner| claims_in_part(node, owner))),
        ("a slot was given by a command", !node.granted().is_empty()),
        ("a slot is free", node.owners().free() > 0),
        ("a node is banned", !node.banned().is_empty()),
        ("an election is set", election.at.is_some_and(|at| at > now)),
        ("votes are asked for", election.asked),
        ("a manual failover is under way", node.manual_failover().is_some()),
        ("a vote was given in this epoch", node.last_vote_epoch() == node.current_epoch()),
        (
            "a sibling is ahead",
            others().any(|peer| {
                peer.primary.is_some()
                    && peer.primary == node.myself().primary
                    && peer.offset > node.replication().offset
            }),
        ),
        (
            "an old report is held",
            others().any(|peer| {
                peer.reports.iter().any(|report| now.since(report.at) > node.config().timing.report_valid_ms())
            }),
        ),
        ("a primary is orphaned", others().any(|peer| peer.orphaned_at.is_some())),
        ("a vote was counted", election.votes > 0),
        (
            "a manual failover waits for the primary",
            node.manual_failover().is_some_and(|manual| manual.replica.is_none() && !manual.can_start),
        ),
        ("the primary paused", node.manual_failover().is_some_and(|manual| manual.primary_offset.is_some())),
        ("a linked node may vote", others().any(|peer| peer.is_voter() && peer.outbound.is_some())),
        ("the data is fresh", node.replication().fresh_at.is_some()),
        ("a link is up on which nobody was heard", node.links().iter().any(|link| link.up && link.peer.is_none())),
        ("an own address is known", !node.myself().address.host.is_unknown()),
        ("the own epoch is the greatest", node.peers().iter().all(|peer| peer.config_epoch <= node.my_epoch())),
    ]
}

/// Whether an owner claims some of its slots, and others not any more.
fn claims_in_part(node: &Node, owner: &Peer<CLUSTER_SLOTS>) -> bool {
    owner.slots.overlaps(node.unclaimed()) && !owner.slots.without(node.unclaimed()).is_empty()
}

fn of_link(node: &Node, link: LinkId, facts: &mut Vec<Fact>) {
    let known = node.links().get(link);
    let peer = known.and_then(|link| link.peer).map(|pos| &node.peers()[pos]);
    facts.extend([
        ("the link is known", known.is_some()),
        ("the link is the node's own", matches!(link, LinkId::Outbound(_))),
        ("the link leads to a known node", peer.is_some()),
        ("the link leads to a node in handshake", peer.is_some_and(|peer| peer.is(Flags::HANDSHAKE))),
        ("a ping is unanswered", peer.is_some_and(|peer| peer.ping_sent.is_some())),
    ]);
}

fn of_tick(node: &Node, now: Millis, facts: &mut Vec<Fact>) {
    let timing = &node.config().timing;
    let timeout_ms = timing.node_timeout_ms;
    let others = || node.peers().iter().filter(|peer| peer.id != node.id());
    let election = node.election();
    let older = |at: Option<Millis>, limit_ms: u64| at.is_some_and(|at| now.since(at) > limit_ms);
    let replication = node.replication();
    facts.extend([
        ("a link lacks", others().any(|peer| peer.outbound.is_none())),
        ("an answer is late", others().any(|peer| older(peer.ping_sent, timeout_ms))),
        ("an answer is half late", others().any(|peer| older(peer.ping_sent, timeout_ms / 2))),
        ("an answer is old", others().any(|peer| older(peer.pong_received, timeout_ms / 2))),
        (
            "a report is old",
            others().any(|peer| peer.reports.iter().any(|report| older(Some(report.at), timing.report_valid_ms()))),
        ),
        ("the election is due", election.at.is_some_and(|at| at <= now)),
        ("the election took too long", older(election.at, timing.election_timeout_ms())),
        ("the retry time is over", older(election.at, timing.election_retry_ms())),
        ("the manual failover took too long", node.manual_failover().is_some_and(|manual| manual.end < now)),
        ("the data was never fresh", replication.fresh_at.is_none()),
        ("the data is old", older(replication.fresh_at, timing.data_age_max_ms(node.config().replica_validity_factor))),
        ("a primary is orphaned for long", others().any(|peer| older(peer.orphaned_at, timing.migration_delay_ms))),
        ("this is the first tick", node.first_evaluated().is_none()),
        ("a minority was seen", node.minority_at().is_some()),
        ("the primary is known", node.my_primary().is_some()),
    ]);
}

fn of_command(node: &Node, command: &Command, facts: &mut Vec<Fact>) {
    let (slot, target, has_keys) = match command {
        Command::Forget(id) => (None, Some(*id), false),
        Command::AddSlots(slots) | Command::DelSlots(slots) => (slots.first().copied(), None, slots.len() > 1),
        Command::FlushSlots { has_keys } => (None, None, *has_keys),
        Command::SetSlot { slot, change, has_keys } => (Some(*slot), other_end(*change), *has_keys),
        Command::Replicate { primary, has_keys } => (None, Some(*primary), *has_keys),
        Command::Reset { hard, has_keys } => (None, *hard, *has_keys),
        Command::Meet { .. }
        | Command::BumpEpoch
        | Command::SetConfigEpoch(_)
        | Command::SaveConfig
        | Command::Failover(_)
        | Command::Publish { .. } => (None, None, false),
    };
    let known = target.and_then(|id| node.peers().get(&id));
    let owner = slot.and_then(|slot| node.owner(slot));
    let is = |test: &dyn Fn(&Peer<CLUSTER_SLOTS>) -> bool| known.is_some_and(test);
    facts.extend([
        ("a node is named", target.is_some()),
        ("the named node is known", known.is_some()),
        ("the named node is this one", target == Some(node.id())),
        ("the named node is a primary", is(&Peer::is_primary)),
        ("the named node is this one's primary", is(&|peer| node.myself().primary == Some(peer.id))),
        ("the slot exists", slot.is_none_or(|slot| slot.index() < CLUSTER_SLOTS)),
        ("the slot is this node's", owner.is_some_and(|owner| owner.id == node.id())),
        ("the slot is another's", owner.is_some_and(|owner| owner.id != node.id())),
        ("the slot is migrating", slot.is_some_and(|slot| node.migrating().contains_key(&slot))),
        ("the slot is importing", slot.is_some_and(|slot| node.importing().contains_key(&slot))),
        ("it is the last slot", node.myself().slots.len() == 1),
        ("there are keys, or several slots", has_keys),
        ("the primary is linked", node.my_primary().is_some_and(|pos| node.peers()[pos].outbound.is_some())),
        ("no other node is known", node.peers().len() == 1),
    ]);
}

fn other_end(change: SlotChange) -> Option<NodeId> {
    match change {
        SlotChange::Migrating(id) | SlotChange::Importing(id) | SlotChange::Node(id) => Some(id),
        SlotChange::Stable => None,
    }
}

fn of_message(node: &Node, link: LinkId, message: &Message, now: Millis, facts: &mut Vec<Fact>) {
    let header = &message.header;
    of_link(node, link, facts);
    of_sender(node, header.sender, facts);
    let known = node.peers().get(&header.sender);
    let claimant = header.primary.map_or(known, |id| node.peers().get(&id));
    let recorded = known.map_or(0, |peer| peer.config_epoch);
    let own = node.my_epoch();
    let named = header.primary.and_then(|id| node.peers().get(&id));
    facts.extend([
        ("the header names a primary", header.primary.is_some()),
        ("the named primary is known", named.is_some()),
        ("the named primary is this node", header.primary == Some(node.id())),
        ("the named primary is as recorded", header.primary == known.and_then(|peer| peer.primary)),
        ("the current epoch is newer", header.current_epoch > node.current_epoch()),
        ("the current epoch is older", header.current_epoch < node.current_epoch()),
        ("the claim is newer than recorded", header.config_epoch > recorded),
        ("the claim is older than recorded", header.config_epoch < recorded),
        ("the claim is newer than this node's", header.config_epoch > own),
        ("the claim has this node's epoch", header.config_epoch == own),
        ("the claim is as recorded", claimant.is_some_and(|peer| peer.slots == header.slots)),
        ("the pause flag is set", header.mflags.contains(MessageFlags::PAUSED)),
        ("the vote is forced", header.mflags.contains(MessageFlags::FORCEACK)),
        ("extensions are announced", header.mflags.contains(MessageFlags::EXTENSIONS)),
        ("the offset is greater", header.offset > node.replication().offset),
        ("the port is as recorded", known.is_some_and(|peer| peer.address.port == header.address.port)),
        (
            "abstention is as recorded",
            known.is_some_and(|peer| peer.is(Flags::NOFAILOVER) == header.flags.contains(Flags::NOFAILOVER)),
        ),
        ("a vote about the primary was given lately", named.is_some_and(|peer| peer.voted_at.is_some())),
        ("the epoch is the election's", header.current_epoch == node.election().epoch),
        ("the sender has voted", node.election().voters.contains(&header.sender)),
    ]);
    of_claim(node, known, &header.slots, header.config_epoch, facts);
    of_body(node, message, now, facts);
}

fn of_sender(node: &Node, sender: NodeId, facts: &mut Vec<Fact>) {
    let known = node.peers().get(&sender);
    let is = |flags: Flags| known.is_some_and(|peer| peer.is(flags));
    let is_my_primary = node.myself().primary == Some(sender);
    let primary = known.and_then(|peer| peer.primary);
    facts.extend([
        ("the sender is known", known.is_some()),
        ("the sender is this node", sender == node.id()),
        ("the sender is a primary", is(Flags::PRIMARY)),
        ("the sender is a voter", known.is_some_and(Peer::is_voter)),
        ("the sender is this node's primary", is_my_primary),
        ("the sender is this node's replica", primary == Some(node.id())),
        ("the sender is a sibling", primary.is_some() && primary == node.myself().primary),
        ("the sender's primary is failed", primary.is_some_and(|id| has_failed(node, id))),
        ("the sender is suspected", is(Flags::PFAIL)),
        ("the sender is failed", is(Flags::FAIL)),
        ("the sender has a smaller id", sender < node.id()),
        ("the sender's ping is outstanding", known.is_some_and(|peer| peer.ping_sent.is_some())),
        ("the sender is linked", known.is_some_and(|peer| peer.outbound.is_some())),
    ]);
}

fn has_failed(node: &Node, id: NodeId) -> bool {
    node.peers().get(&id).is_some_and(|peer| peer.is(Flags::FAIL))
}

fn of_claim(
    node: &Node,
    claimant: Option<&Peer<CLUSTER_SLOTS>>,
    slots: &SlotSet<CLUSTER_SLOTS>,
    epoch: u64,
    facts: &mut Vec<Fact>,
) {
    let none = SlotSet::new();
    let before = claimant.map_or(&none, |peer| &peer.slots);
    let gained = slots.without(before);
    let others = || node.peers().iter().filter(|peer| Some(peer.id) != claimant.map(|claimant| claimant.id));
    let meets =
        |test: &dyn Fn(u64) -> bool| others().any(|peer| test(peer.config_epoch) && gained.overlaps(&peer.slots));
    let mut unowned = gained.clone();
    if node.owners().free() > 0 {
        others().for_each(|peer| unowned = unowned.without(&peer.slots));
    } else {
        unowned = SlotSet::new();
    }
    facts.extend([
        ("no slot is claimed", slots.is_empty()),
        ("slots are let go", !before.without(slots).is_empty()),
        ("slots of this node are claimed", slots.overlaps(&node.myself().slots)),
        (
            "all slots of this node are claimed",
            !node.myself().slots.is_empty() && node.myself().slots.without(slots).is_empty(),
        ),
        ("a free slot is claimed", !unowned.is_empty()),
        ("a slot that is not claimed by its owner is claimed", slots.overlaps(node.unclaimed())),
        ("a slot that is imported is claimed", node.importing().keys().any(|&slot| slots.contains(slot))),
        ("an owner has a greater epoch", meets(&|owner| owner > epoch)),
        ("an owner has the same epoch", meets(&|owner| owner == epoch)),
        (
            "an owner with a greater epoch claims some of its slots only",
            others().any(|owner| {
                owner.config_epoch > epoch && gained.overlaps(&owner.slots) && claims_in_part(node, owner)
            }),
        ),
    ]);
}

fn of_body(node: &Node, message: &Message, now: Millis, facts: &mut Vec<Fact>) {
    match &message.body {
        Body::Ping(heartbeat) | Body::Pong(heartbeat) | Body::Meet(heartbeat) => {
            let told = heartbeat.gossip.first();
            let subject = told.and_then(|entry| node.peers().get(&entry.node));
            let calls = |flags: Flags| told.is_some_and(|entry| entry.flags.intersects(flags));
            facts.extend([
                ("it tells of a node", told.is_some()),
                ("it tells of a known node", subject.is_some()),
                ("it tells of this node", told.is_some_and(|entry| entry.node == node.id())),
                ("it tells of a banned node", told.is_some_and(|entry| node.banned().contains_key(&entry.node))),
                ("it calls a node suspected", calls(Flags::PFAIL)),
                ("it calls a node failed", calls(Flags::FAIL)),
                ("it calls a node without address", calls(Flags::NOADDR)),
                ("the node told of is suspected", subject.is_some_and(|peer| peer.is(Flags::PFAIL))),
                ("the node told of is failed", subject.is_some_and(|peer| peer.is(Flags::FAIL))),
                ("the node told of is reported", subject.is_some_and(|peer| !peer.reports.is_empty())),
                (
                    "the address told is as recorded",
                    subject.is_some_and(|peer| told.is_some_and(|entry| entry.address == peer.address)),
                ),
                (
                    "the pong time told lies ahead",
                    told.is_some_and(|entry| u64::from(entry.pong_received_s) * 1000 > now.0 + 1000),
                ),
                (
                    "the pong time told is fresher",
                    subject.is_some_and(|peer| {
                        told.is_some_and(|entry| {
                            peer.pong_received.is_none_or(|known| known.seconds() < entry.pong_received_s)
                        })
                    }),
                ),
                ("an answer of the node told of is outstanding", subject.is_some_and(|peer| peer.ping_sent.is_some())),
                ("extensions follow", !heartbeat.extensions.is_empty()),
            ]);
        }
        Body::Fail(id) => of_subject(node, *id, facts),
        Body::Update(claim) => {
            of_subject(node, claim.node, facts);
            let known = node.peers().get(&claim.node);
            let recorded = known.map_or(0, |peer| peer.config_epoch);
            facts.push(("the UPDATE is newer than recorded", claim.config_epoch > recorded));
            let mut inner = Vec::new();
            of_claim(node, known, &claim.slots, claim.config_epoch, &mut inner);
            // The header's claim says nothing of an UPDATE: what is claimed stands in its body.
            facts.retain(|(name, _)| !inner.iter().any(|(other, _)| other == name));
            facts.extend(inner);
        }
        Body::Publish(_)
        | Body::PublishShard(_)
        | Body::FailoverAuthRequest
        | Body::FailoverAuthAck
        | Body::ManualFailoverStart
        | Body::Module(_) => {}
    }
}

fn of_subject(node: &Node, subject: NodeId, facts: &mut Vec<Fact>) {
    let known = node.peers().get(&subject);
    facts.extend([
        ("the subject is known", known.is_some()),
        ("the subject is this node", subject == node.id()),
        ("the subject is failed already", known.is_some_and(|peer| peer.is(Flags::FAIL))),
        ("the subject is a replica", known.is_some_and(|peer| peer.is(Flags::REPLICA))),
    ]);
}
