//! Owns what one step of one node may do, whoever drives the node: each property that concerns a
//! single node has its one definition here, for the worlds of the checker and for simulations.
//! Knows no driver: what a node was before is asked through [`Earlier`], of which a driver may
//! remember as little as it says.
//!
//! What held before a step holds after it for every entry of the table that the step left alone: most
//! properties look at the [`changes`] only.

use slotbus_core::{
    Body, ClusterState, Flags, Header, Message, Millis, Node, NodeId, Peer, Slot, SlotSet, peer::Report,
};

use std::collections::BTreeMap;

/// Nothing, or what is seen to be wrong.
pub(crate) type Judgement = Result<(), String>;

/// Words are found only for what is wrong.
pub(crate) fn require(holds: bool, seen: impl FnOnce() -> String) -> Judgement {
    if holds { Ok(()) } else { Err(seen()) }
}

/// What was known of one node.
#[derive(Clone, Copy)]
pub(crate) struct Entry<'a, const SLOTS: usize> {
    pub(crate) id: NodeId,
    pub(crate) epoch: u64,
    pub(crate) flags: Flags,
    pub(crate) primary: Option<NodeId>,
    pub(crate) slots: &'a SlotSet<SLOTS>,
}

impl<'a, const SLOTS: usize> Entry<'a, SLOTS> {
    pub(crate) fn of(peer: &'a Peer<SLOTS>) -> Self {
        Self { id: peer.id, epoch: peer.config_epoch, flags: peer.flags, primary: peer.primary, slots: &peer.slots }
    }

    fn is_voter(&self) -> bool {
        self.flags.contains(Flags::PRIMARY) && !self.slots.is_empty()
    }

    fn is_unchanged(&self, peer: &Peer<SLOTS>) -> bool {
        (self.epoch, self.flags, self.primary) == (peer.config_epoch, peer.flags, peer.primary)
            && *self.slots == peer.slots
    }
}

/// A node as it was before a step, as far as the step is judged by it.
pub(crate) trait Earlier<const SLOTS: usize> {
    /// Its table, ascending by id.
    fn entries(&self) -> impl Iterator<Item = Entry<'_, SLOTS>>;
    /// The entry of a node.
    fn entry(&self, id: &NodeId) -> Option<Entry<'_, SLOTS>>;
    /// Its own entry; none if it has only just started.
    fn own(&self) -> Option<Entry<'_, SLOTS>>;
    fn current_epoch(&self) -> u64;
    fn last_vote_epoch(&self) -> u64;
    fn unclaimed(&self) -> &SlotSet<SLOTS>;
    /// Slots that commands gave to it, and from whom.
    fn granted(&self) -> &BTreeMap<Slot, NodeId>;
}

impl<const SLOTS: usize> Earlier<SLOTS> for Node<SLOTS> {
    fn entries(&self) -> impl Iterator<Item = Entry<'_, SLOTS>> {
        self.peers().iter().map(Entry::of)
    }

    fn entry(&self, id: &NodeId) -> Option<Entry<'_, SLOTS>> {
        self.peers().get(id).map(Entry::of)
    }

    fn own(&self) -> Option<Entry<'_, SLOTS>> {
        Some(Entry::of(self.myself()))
    }

    fn current_epoch(&self) -> u64 {
        self.current_epoch()
    }

    fn last_vote_epoch(&self) -> u64 {
        self.last_vote_epoch()
    }

    fn unclaimed(&self) -> &SlotSet<SLOTS> {
        self.unclaimed()
    }

    fn granted(&self) -> &BTreeMap<Slot, NodeId> {
        self.granted()
    }
}

/// A peer that is not what it was, or was not there.
pub(crate) struct Change<'a, const SLOTS: usize> {
    pub(crate) before: Option<Entry<'a, SLOTS>>,
    pub(crate) after: &'a Peer<SLOTS>,
}

impl<const SLOTS: usize> Change<'_, SLOTS> {
    fn is_of_slots(&self) -> bool {
        self.before.map_or(!self.after.slots.is_empty(), |before| *before.slots != self.after.slots)
    }
}

/// What a step changed in a node's table; all that is there, in a node that has only just started.
pub(crate) fn changes<'a, const SLOTS: usize>(
    before: Option<&'a impl Earlier<SLOTS>>,
    node: &'a Node<SLOTS>,
) -> Vec<Change<'a, SLOTS>> {
    let mut entries = before.into_iter().flat_map(Earlier::entries).peekable();
    let change = |after: &'a Peer<SLOTS>| {
        while entries.next_if(|entry| entry.id < after.id).is_some() {}
        let before = entries.next_if(|entry| entry.id == after.id);
        let is_unchanged = before.is_some_and(|before| before.is_unchanged(after));
        (!is_unchanged).then_some(Change { before, after })
    };
    node.peers().iter().filter_map(change).collect()
}

/// S6: no epoch falls.
pub(crate) fn epochs_rise<const SLOTS: usize>(
    before: &impl Earlier<SLOTS>,
    node: &Node<SLOTS>,
    changes: &[Change<'_, SLOTS>],
) -> Judgement {
    let (current, vote) = (before.current_epoch(), before.last_vote_epoch());
    require(node.current_epoch() >= current, || format!("current epoch falls from {current}"))?;
    require(node.last_vote_epoch() >= vote, || format!("last vote falls from {vote}"))?;
    changes.iter().try_for_each(|change| {
        let (epoch, peer) = (change.before.map_or(0, |before| before.epoch), change.after);
        let fall = || format!("config epoch of {} falls from {epoch} to {}", peer.id, peer.config_epoch);
        require(peer.config_epoch >= epoch, fall)
    })
}

/// S7: the current epoch is at least every config epoch.
pub(crate) fn current_dominates<const SLOTS: usize>(node: &Node<SLOTS>, changes: &[Change<'_, SLOTS>]) -> Judgement {
    let current = node.current_epoch();
    changes.iter().map(|change| change.after).try_for_each(|peer| {
        let excess = || format!("knows epoch {} of {} at current epoch {current}", peer.config_epoch, peer.id);
        require(peer.config_epoch <= current, excess)
    })
}

/// S8: a primary claims only under an epoch that is on its disk.
pub(crate) fn claim_is_saved<const SLOTS: usize>(header: &Header<SLOTS>, saved: u64) -> Judgement {
    let is_saved = !header.flags.contains(Flags::PRIMARY) || header.config_epoch <= saved;
    require(is_saved, || format!("claims epoch {} with epoch {saved} on disk", header.config_epoch))
}

/// S9: the table of owners and the sets of slots say the same. Only sets that have changed can have
/// come to differ: a slot of theirs that is in another set, too, shows in the numbers.
pub(crate) fn table_agrees<const SLOTS: usize>(node: &Node<SLOTS>, changes: &[Change<'_, SLOTS>]) -> Judgement {
    for peer in changes.iter().filter(|change| change.is_of_slots()).map(|change| change.after) {
        let pos = node.peers().find(&peer.id);
        let foreign = peer.slots.iter().find(|&slot| node.owners().get(slot) != pos);
        require(foreign.is_none(), || format!("has two opinions on slot {foreign:?} of {}", peer.id))?;
    }
    let imported = node.importing().keys().find(|&&slot| node.myself().slots.contains(slot));
    require(imported.is_none(), || format!("imports slot {imported:?}, which it owns"))?;
    if changes.is_empty() {
        return Ok(());
    }
    let in_sets: usize = node.peers().iter().map(|peer| peer.slots.len()).sum();
    let owned = SLOTS - node.owners().free();
    require(in_sets == owned, || format!("has {in_sets} slots in sets and {owned} with owners"))
}

/// S10: no replica owns a slot, or has one open.
pub(crate) fn replicas_own_nothing<const SLOTS: usize>(node: &Node<SLOTS>, changes: &[Change<'_, SLOTS>]) -> Judgement {
    let is_moving = !node.migrating().is_empty() || !node.importing().is_empty();
    require(node.myself().is_primary() || !is_moving, || "is a replica with open slots".into())?;
    changes.iter().map(|change| change.after).try_for_each(|peer| {
        let owns = || format!("binds slots {} to replica {}", peer.slots, peer.id);
        require(!peer.is(Flags::REPLICA) || peer.slots.is_empty(), owns)
    })
}

/// S11: a slot that is marked as no longer claimed has an owner.
pub(crate) fn marks_have_owners<const SLOTS: usize>(node: &Node<SLOTS>) -> Judgement {
    let free = node.unclaimed().iter().find(|&slot| node.owner(slot).is_none());
    require(free.is_none(), || format!("marks slot {free:?}, which nobody owns"))
}

/// S11: a message takes a slot from an owner only for a greater epoch, unless that let it go; the taker
/// is held to that epoch from then on.
pub(crate) fn takes_by_epoch<const SLOTS: usize>(
    before: &impl Earlier<SLOTS>,
    changes: &[Change<'_, SLOTS>],
    message: &Message<SLOTS>,
) -> Judgement {
    for change in changes.iter().filter(|change| change.is_of_slots()) {
        let taker = change.after;
        let gained = change.before.map_or_else(|| taker.slots.clone(), |before| taker.slots.without(before.slots));
        let claimed = claimed_epoch(message, taker);
        let is_recorded = gained.is_empty() || taker.config_epoch >= claimed;
        require(is_recorded, || format!("takes a claim under epoch {claimed} and records {}", taker.config_epoch))?;
        let is_robbed = |owner: &Entry<'_, SLOTS>| {
            let is_other = owner.id != taker.id && claimed <= owner.epoch;
            is_other && gained.overlaps(owner.slots) && gained.overlaps(&owner.slots.without(before.unclaimed()))
        };
        if let Some(Entry { id, epoch, .. }) = before.entries().find(is_robbed) {
            return Err(format!("gives slots of {id} (epoch {epoch}) to {} (epoch {claimed})", taker.id));
        }
    }
    Ok(())
}

/// The epoch under which a message claims slots for `taker`.
fn claimed_epoch<const SLOTS: usize>(message: &Message<SLOTS>, taker: &Peer<SLOTS>) -> u64 {
    match &message.body {
        Body::Update(claim) if claim.node == taker.id => claim.config_epoch,
        // A former primary hands over what it repeats as its new primary's claim.
        Body::Ping(_) | Body::Pong(_) | Body::Meet(_) => {
            let speaks_for_it = message.header.sender == taker.id || message.header.primary == Some(taker.id);
            if speaks_for_it { message.header.config_epoch } else { 0 }
        }
        // The last vote makes its receiver the owner, under an epoch of its own.
        Body::FailoverAuthAck if taker.is(Flags::MYSELF) => taker.config_epoch,
        Body::Update(_)
        | Body::Fail(_)
        | Body::Publish(_)
        | Body::FailoverAuthRequest
        | Body::FailoverAuthAck
        | Body::ManualFailoverStart
        | Body::Module(_)
        | Body::PublishShard(_) => 0,
    }
}

/// S16: from every entry the way from replica to primary ends. A way that does not leads through an
/// entry that has changed.
pub(crate) fn ways_end<const SLOTS: usize>(node: &Node<SLOTS>, changes: &[Change<'_, SLOTS>]) -> Judgement {
    let most = node.peers().len();
    let primary = |peer: &Peer<SLOTS>| peer.primary.and_then(|id| node.peers().get(&id));
    changes.iter().map(|change| change.after).try_for_each(|peer| {
        let way = std::iter::successors(primary(peer), |peer| primary(peer));
        require(way.take(most).count() < most, || format!("never comes to an end from {}", peer.id))
    })
}

/// S17: the node is itself, alone so, and exactly one of primary and replica, this with a primary.
pub(crate) fn is_itself<const SLOTS: usize>(
    node: &Node<SLOTS>,
    id: NodeId,
    changes: &[Change<'_, SLOTS>],
) -> Judgement {
    let own = node.myself();
    let is_one_role = own.is(Flags::PRIMARY) != own.is(Flags::REPLICA) && own.is(Flags::MYSELF);
    require(is_one_role, || format!("is {:?} to itself", own.flags))?;
    require(own.is_primary() || own.primary.is_some(), || "is a replica of nobody".into())?;
    require(!own.is_any(Flags::PFAIL | Flags::FAIL), || "holds itself failed".into())?;
    require(own.id == id, || format!("takes itself for {}", own.id))?;
    let others = changes.iter().map(|change| change.after).filter(|peer| peer.id != id);
    others
        .into_iter()
        .try_for_each(|peer| require(!peer.is(Flags::MYSELF), || format!("takes itself for {}, too", peer.id)))
}

/// S18: a member is failed, and called so, only by a majority of the voters or on a member's word.
pub(crate) fn fails_by_majority<const SLOTS: usize>(
    before: &impl Earlier<SLOTS>,
    node: &Node<SLOTS>,
    changes: &[Change<'_, SLOTS>],
    message: Option<&Message<SLOTS>>,
    now: Millis,
) -> Judgement {
    let is_new = |change: &&Change<'_, SLOTS>| {
        let was_trusted = change.before.is_some_and(|before| !before.flags.contains(Flags::FAIL));
        was_trusted && change.after.is(Flags::FAIL)
    };
    for peer in changes.iter().filter(is_new).map(|change| change.after) {
        let is_told =
            message.is_some_and(|message| message.body == Body::Fail(peer.id) && is_by_member(before, message));
        require(is_told || is_failed_by_majority(before, node, peer, now), || {
            let votes = votes_against(before, node, peer, now);
            format!("fails {} by {votes} of {} voters", peer.id, voters(before, node))
        })?;
    }
    Ok(())
}

/// Whether a majority of the voters in the node's table report `peer`. The message that brings the last
/// report may also be the one that makes its sender a voter, or none.
pub(crate) fn is_failed_by_majority<const SLOTS: usize>(
    before: &impl Earlier<SLOTS>,
    node: &Node<SLOTS>,
    peer: &Peer<SLOTS>,
    now: Millis,
) -> bool {
    votes_against(before, node, peer, now) > voters(before, node) / 2
}

/// How many voters there were in the table before or after a step, whichever is less.
fn voters<const SLOTS: usize>(before: &impl Earlier<SLOTS>, node: &Node<SLOTS>) -> usize {
    let earlier = before.entries().filter(|entry| entry.is_voter()).count();
    earlier.min(node.peers().iter().filter(|peer| peer.is_voter()).count())
}

fn is_by_member<const SLOTS: usize>(before: &impl Earlier<SLOTS>, message: &Message<SLOTS>) -> bool {
    let sender = before.entry(&message.header.sender);
    sender.is_some_and(|sender| !sender.flags.intersects(Flags::HANDSHAKE | Flags::MYSELF))
}

/// Voters that report `peer` within the window, the node itself among them. A report that counted
/// may have gone in the same step, together with its reporter.
fn votes_against<const SLOTS: usize>(
    before: &impl Earlier<SLOTS>,
    node: &Node<SLOTS>,
    peer: &Peer<SLOTS>,
    now: Millis,
) -> usize {
    let valid_ms = node.config().timing.report_valid_ms();
    let counts = |report: &&Report| {
        let is_voter = node.peers().get(&report.by).is_some_and(Peer::is_voter);
        is_voter && now.since(report.at) <= valid_ms
    };
    let gone = before.entries().filter(|entry| entry.is_voter() && node.peers().find(&entry.id).is_none());
    peer.reports.iter().filter(counts).count() + gone.count() + usize::from(node.myself().is_voter())
}

/// S19: every failure report is by a node in the table.
pub(crate) fn reporters_are_known<const SLOTS: usize>(node: &Node<SLOTS>) -> Judgement {
    let is_stranger = |report: &Report| node.peers().find(&report.by).is_none();
    let reported = node.peers().iter().find(|peer| peer.reports.iter().any(is_stranger));
    match reported {
        Some(peer) => Err(format!("holds a stranger's report of {}", peer.id)),
        None => Ok(()),
    }
}

/// S26: a message makes a primary take a new epoch only in a collision, and of the smaller id, or to
/// defend a slot that a command gave to it.
pub(crate) fn yields_to_collision<const SLOTS: usize>(
    before: &impl Earlier<SLOTS>,
    node: &Node<SLOTS>,
    message: &Message<SLOTS>,
) -> Judgement {
    let own = node.myself();
    let Some(former) = before.own().filter(|former| former.flags.contains(Flags::PRIMARY)) else { return Ok(()) };
    if !own.is_primary() || own.config_epoch == former.epoch {
        return Ok(());
    }
    let header = &message.header;
    let is_collision = header.config_epoch == former.epoch && header.flags.contains(Flags::PRIMARY);
    let is_due = (is_collision && own.id < header.sender) || claims_granted(before.granted(), message);
    require(is_due, || {
        format!("takes epoch {} upon epoch {} of {}", own.config_epoch, header.config_epoch, header.sender)
    })
}

/// Whether a message claims one of these slots for the node that it was taken from.
fn claims_granted<const SLOTS: usize>(granted: &BTreeMap<Slot, NodeId>, message: &Message<SLOTS>) -> bool {
    let (claimant, slots) = match &message.body {
        Body::Update(claim) => (claim.node, &claim.slots),
        Body::Ping(_) | Body::Pong(_) | Body::Meet(_) => (message.header.sender, &message.header.slots),
        Body::Fail(_)
        | Body::Publish(_)
        | Body::FailoverAuthRequest
        | Body::FailoverAuthAck
        | Body::ManualFailoverStart
        | Body::Module(_)
        | Body::PublishShard(_) => return false,
    };
    granted.iter().any(|(slot, from)| *from == claimant && slots.contains(*slot))
}

/// S28: where the cluster is up, a majority is trusted and, under full coverage, every slot served.
pub(crate) fn state_is_sound<const SLOTS: usize>(node: &Node<SLOTS>) -> Judgement {
    if node.state() == ClusterState::Fail {
        return Ok(());
    }
    let voters = node.peers().iter().filter(|peer| peer.is_voter());
    let is_trusted = |peer: &Peer<SLOTS>| !peer.is_any(Flags::PFAIL | Flags::FAIL);
    let (trusted, all) =
        voters.fold((0, 0), |(trusted, all): (usize, usize), peer| (trusted + usize::from(is_trusted(peer)), all + 1));
    require(trusted > all / 2, || format!("is up with {trusted} of {all} voters"))?;
    let is_lost = |peer: &&Peer<SLOTS>| peer.is(Flags::FAIL) && !peer.slots.is_empty();
    let is_served = node.owners().free() == 0 && !node.peers().iter().any(|peer| is_lost(&peer));
    require(is_served || !node.config().require_full_coverage, || "is up with slots that nobody serves".into())
}
