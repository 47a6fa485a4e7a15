//! Owns what must hold at every step of a simulation, and the little that must be remembered to
//! judge it. Knows rules only by their names in effects; it judges nodes by what they hold and send.
//!
//! Steps of a quiet cluster are judged by what they send and by the numbers of the node alone. Where
//! a rule fired that may change a table, and every so often in any case, the whole node is compared
//! with what was remembered of it.

use super::RealNode;
use crate::invariants::claims_granted;
use slotbus_core::{
    Body, CLUSTER_SLOTS, ClusterState, Durable, Effect, Effects, Flags, Header, LinkId, Message, Millis, Node, NodeId,
    Origin, Peer, Rule, Slot, SlotSet,
};
use slotbus_wire::{bus, nodes_conf};
use std::{collections::BTreeMap, fmt};

type Slots = SlotSet<CLUSTER_SLOTS>;

/// A node is compared as a whole at least every so many steps.
const FULL_EVERY: u32 = 8192;
/// One in so many images that are saved is loaded, to see that it can be.
const LOAD_EVERY: u32 = 16;

/// Generates [`Property`] and its catalogue from one table.
macro_rules! properties {
    ($($name:ident $id:literal $sentence:literal;)+) => {
        /// A property that a simulation judges.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Property {
            $(#[doc = $sentence] $name,)+
        }

        impl Property {
            /// Every property.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Its name in reports: the number in the list of properties, and a word.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self { $(Self::$name => concat!($id, " ", stringify!($name)),)+ }
            }

            /// What must hold.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence,)+ }
            }
        }
    };
}

properties! {
    VoteOnce "S1" "No voter votes for two candidates in one epoch, restarts included.";
    DurableVote "S2" "No vote leaves before its epoch is on the voter's disk.";
    ElectedHasQuorum "S3" "Who wins an election has the votes, in its epoch, of a majority of the voters that it counts.";
    UniqueWinner "S4" "No two nodes win an election in one epoch, while no command changes who votes.";
    NoStaleVote "S5" "No vote goes to a claim older than what the voter recorded of a claimed slot's owner, if that still claims it.";
    Monotone "S6" "No epoch that a node holds ever falls, and none is below its disk after a restart.";
    CurDominates "S7" "A node's current epoch is at least every config epoch in its table.";
    PersistBeforeClaim "S8" "No primary's header carries a config epoch, and no request for votes an epoch, that is not on its sender's disk.";
    TableConsistent "S9" "A node's table of owners and its sets of slots say the same.";
    ReplicaOwnsNothing "S10" "No replica owns a slot.";
    EpochGuard "S11" "The bus takes a slot from its owner only for a claim of a greater epoch, or if the owner no longer claims it.";
    MarkHasOwner "S11" "A slot that is marked as no longer claimed has an owner.";
    AcyclicGraph "S16" "From every entry of a table the way from replica to primary ends.";
    SelfWellFormed "S17" "A node is exactly one of primary and replica in its own table, and keeps its id.";
    FailSound "S18" "A node fails another only by reports of a majority of the voters that it counts, or because a member said so.";
    ReportersKnown "S19" "Every failure report is by a node in the table.";
    ImageLoads "S25" "Every saved image goes through nodes.conf and starts a node that stands for the same.";
    CollisionYields "S26" "A message makes a primary take a new epoch only if its sender is a primary of the same epoch and a greater id, or if it claims a slot for the node that a command took the slot from.";
    StateSound "S28" "Where the cluster is up, a majority of the voters is not suspected, and under full coverage every slot has an owner who has not failed.";
    WireFaithful "W1" "Every message that is sent is read from its bytes as it was.";
    Converge "L2" "Once faults and commands end, all nodes come to see the same cluster, and it serves, within the stated time.";
}

/// A property that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub property: Property,
    /// When, in virtual time.
    pub at_ms: u64,
    /// The machine whose step broke it, or whose view differs.
    pub machine: usize,
    /// What was seen.
    pub seen: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { property, at_ms, machine, seen } = self;
        write!(f, "{} at {at_ms} ms, n{machine}: {seen}", property.id())
    }
}

/// What set a step off.
#[derive(Clone, Copy, Debug)]
pub enum Trigger<'a> {
    /// The process started: from its disk, or new.
    Start,
    /// A packet came in.
    Packet(&'a [u8]),
    /// An administrator's command.
    Command,
    /// Anything else.
    Other,
}

/// One step of one machine, as it is judged.
#[derive(Clone, Copy)]
pub struct Step<'a> {
    /// Which machine.
    pub machine: usize,
    /// What its clock shows.
    pub now: Millis,
    /// What set it off.
    pub trigger: Trigger<'a>,
    /// The node after it.
    pub after: &'a RealNode,
    /// What it asked for.
    pub effects: &'a Effects<CLUSTER_SLOTS>,
    /// Its disk once it saved.
    pub disk: &'a Durable<CLUSTER_SLOTS>,
    /// The node's own config epoch on its disk.
    pub disk_epoch: u64,
    /// Whether anything but the saving is done.
    pub is_performed: bool,
}

/// What is remembered of a peer.
struct Known {
    id: NodeId,
    epoch: u64,
    flags: Flags,
    slots: Slots,
}

/// What is remembered of a node.
#[derive(Default)]
struct Memory {
    known: Vec<Known>,
    unclaimed: Slots,
    current_epoch: u64,
    last_vote_epoch: u64,
    size: usize,
    own_epoch: u64,
    granted: BTreeMap<Slot, NodeId>,
    was_primary: bool,
    state: ClusterState,
    steps: u32,
}

impl Memory {
    fn find(&self, id: &NodeId) -> Option<&Known> {
        self.known.binary_search_by(|known| known.id.cmp(id)).ok().map(|index| &self.known[index])
    }

    fn is_same_at_a_glance(&self, node: &RealNode) -> bool {
        let own = node.myself();
        self.current_epoch == node.current_epoch()
            && self.last_vote_epoch == node.last_vote_epoch()
            && self.known.len() == node.peers().len()
            && self.own_epoch == own.config_epoch
            && self.was_primary == own.is_primary()
            && self.state == node.state()
    }

    fn remember(&mut self, node: &RealNode) {
        let is_same_table = self.known.len() == node.peers().len()
            && self.known.iter().zip(node.peers().iter()).all(|(known, peer)| known.id == peer.id);
        if is_same_table {
            for (known, peer) in self.known.iter_mut().zip(node.peers().iter()) {
                known.epoch = peer.config_epoch;
                known.flags = peer.flags;
                if known.slots != peer.slots {
                    known.slots = peer.slots.clone();
                }
            }
        } else {
            let known = |peer: &Peer<CLUSTER_SLOTS>| Known {
                id: peer.id,
                epoch: peer.config_epoch,
                flags: peer.flags,
                slots: peer.slots.clone(),
            };
            self.known = node.peers().iter().map(known).collect();
        }
        if self.unclaimed != *node.unclaimed() {
            self.unclaimed = node.unclaimed().clone();
        }
        self.current_epoch = node.current_epoch();
        self.last_vote_epoch = node.last_vote_epoch();
        self.size = node.size();
        self.own_epoch = node.myself().config_epoch;
        self.granted.clone_from(node.granted());
        self.was_primary = node.myself().is_primary();
        self.state = node.state();
    }
}

/// Judges every step.
pub struct Oracle {
    memories: Vec<Memory>,
    votes: BTreeMap<(NodeId, u64), NodeId>,
    winners: BTreeMap<u64, NodeId>,
    /// Whether a command has changed who votes.
    pub has_resized: bool,
    images: u32,
}

/// What is wrong, if anything is.
type Judgement = Result<(), (Property, String)>;

fn require(holds: bool, property: Property, seen: impl FnOnce() -> String) -> Judgement {
    if holds { Ok(()) } else { Err((property, seen())) }
}

impl Oracle {
    /// Nothing seen yet of so many machines.
    #[must_use]
    pub fn new(machines: usize) -> Self {
        Self {
            memories: (0..machines).map(|_| Memory::default()).collect(),
            votes: BTreeMap::new(),
            winners: BTreeMap::new(),
            has_resized: false,
            images: 0,
        }
    }

    /// Judges a step and remembers it.
    pub fn judge(&mut self, step: &Step<'_>) -> Judgement {
        self.judge_sent(step)?;
        self.judge_elected(step)?;
        let memory = &mut self.memories[step.machine];
        memory.steps = memory.steps.wrapping_add(1);
        let is_quiet = step.effects.rules.iter().all(|rule| is_quiet(*rule))
            && step.effects.persist.is_none()
            && matches!(step.trigger, Trigger::Packet(_) | Trigger::Other)
            && memory.is_same_at_a_glance(step.after);
        if is_quiet && !memory.steps.is_multiple_of(FULL_EVERY) {
            return Ok(());
        }
        self.judge_change(step)?;
        self.judge_image(step)?;
        self.memories[step.machine].remember(step.after);
        Ok(())
    }

    fn judge_sent(&mut self, step: &Step<'_>) -> Judgement {
        for effect in &step.effects.then {
            let Effect::Send { link, message } = effect else { continue };
            let header = &message.header;
            let is_saved = !header.flags.contains(Flags::PRIMARY) || header.config_epoch <= step.disk_epoch;
            require(is_saved, Property::PersistBeforeClaim, || {
                format!("claims epoch {} with epoch {} on disk", header.config_epoch, step.disk_epoch)
            })?;
            match &message.body {
                Body::FailoverAuthRequest => {
                    let saved = step.disk.current_epoch;
                    require(header.current_epoch <= saved, Property::PersistBeforeClaim, || {
                        format!("asks for votes in epoch {} with {saved} on disk", header.current_epoch)
                    })?;
                }
                Body::FailoverAuthAck => self.judge_vote(step, *link, header)?,
                Body::Ping(_)
                | Body::Pong(_)
                | Body::Meet(_)
                | Body::Fail(_)
                | Body::Publish(_)
                | Body::Update(_)
                | Body::ManualFailoverStart
                | Body::Module(_)
                | Body::PublishShard(_) => {}
            }
        }
        Ok(())
    }

    fn judge_vote(&mut self, step: &Step<'_>, link: LinkId, header: &Header<CLUSTER_SLOTS>) -> Judgement {
        let epoch = header.current_epoch;
        let saved = step.disk.last_vote_epoch;
        require(saved >= epoch, Property::DurableVote, || format!("votes in epoch {epoch} with {saved} on disk"))?;
        let candidate = step.after.links().get(link).and_then(|link| link.peer).map(|pos| step.after.peers()[pos].id);
        let Some(candidate) = candidate.filter(|_| step.is_performed) else { return Ok(()) };
        let voter = step.after.id();
        let first = *self.votes.entry((voter, epoch)).or_insert(candidate);
        require(first == candidate, Property::VoteOnce, || {
            format!("votes for {candidate} in epoch {epoch}, after {first}")
        })?;
        let Some(request) = packet(step.trigger) else { return Ok(()) };
        let memory = &self.memories[step.machine];
        let newer = memory.known.iter().find(|owner| {
            let is_held = || owner.slots.without(&memory.unclaimed).overlaps(&request.header.slots);
            owner.id != candidate && owner.epoch > request.header.config_epoch && is_held()
        });
        require(newer.is_none(), Property::NoStaleVote, || {
            let owner = newer.map(|owner| owner.id.to_string()).unwrap_or_default();
            format!("votes for a claim of epoch {} to slots of {owner}", request.header.config_epoch)
        })
    }

    fn judge_elected(&mut self, step: &Step<'_>) -> Judgement {
        if !step.effects.rules.contains(&Rule::ElectWon) {
            return Ok(());
        }
        let (winner, epoch) = (step.after.id(), step.after.election().epoch);
        let votes = self.votes.iter().filter(|&(&(_, voted), &candidate)| voted == epoch && candidate == winner);
        let (votes, size) = (votes.count(), self.memories[step.machine].size);
        require(votes > size / 2, Property::ElectedHasQuorum, || {
            format!("wins epoch {epoch} with {votes} votes of {size} voters")
        })?;
        let first = *self.winners.entry(epoch).or_insert(winner);
        require(first == winner || self.has_resized, Property::UniqueWinner, || {
            format!("wins epoch {epoch}, which {first} has won")
        })
    }

    fn judge_change(&self, step: &Step<'_>) -> Judgement {
        let (before, node) = (&self.memories[step.machine], step.after);
        monotone(before, step)?;
        well_formed(node, before)?;
        let is_moved =
            before.unclaimed != *node.unclaimed() || node.peers().iter().any(|peer| slots_changed(before, peer));
        if is_moved {
            table_consistent(node)?;
            epoch_guard(before, step)?;
        }
        fail_sound(before, step)?;
        collision_yields(before, step)?;
        state_sound(node)
    }

    fn judge_image(&mut self, step: &Step<'_>) -> Judgement {
        if step.effects.persist.is_none() {
            return Ok(());
        }
        self.images = self.images.wrapping_add(1);
        if self.images.is_multiple_of(LOAD_EVERY) { image_loads(step) } else { Ok(()) }
    }
}

/// Rules that change no role, no epoch, no membership and no slot.
fn is_quiet(rule: Rule) -> bool {
    matches!(
        rule,
        Rule::PingAnswered
            | Rule::PingReturned
            | Rule::PingChosen
            | Rule::PingOverdue
            | Rule::GossipSent
            | Rule::GossipFresher
            | Rule::GossipBanned
            | Rule::HealthReported
            | Rule::HealthReportWithdrawn
            | Rule::HealthReportExpired
            | Rule::LinkOpened
            | Rule::LinkUpPing
            | Rule::LinkLost
            | Rule::LinkBound
            | Rule::LinkRenewed
            | Rule::LinkUnknown
            | Rule::HandshakeMeetSent
            | Rule::StateUncovered
            | Rule::StateMinority
            | Rule::StateWritableDelay
            | Rule::StateRejoinDelay
            | Rule::MigrateOrphaned
            | Rule::ElectDataOld
            | Rule::ElectExpired
    )
}

fn packet(trigger: Trigger<'_>) -> Option<Message<CLUSTER_SLOTS>> {
    match trigger {
        Trigger::Packet(bytes) => match bus::decode(bytes) {
            Ok(bus::Packet::Full(message)) => Some(message),
            Ok(bus::Packet::Light(_)) | Err(_) => None,
        },
        Trigger::Start | Trigger::Command | Trigger::Other => None,
    }
}

fn slots_changed(before: &Memory, peer: &Peer<CLUSTER_SLOTS>) -> bool {
    before.find(&peer.id).map_or(!peer.slots.is_empty(), |known| known.slots != peer.slots)
}

fn monotone(before: &Memory, step: &Step<'_>) -> Judgement {
    let node = step.after;
    if matches!(step.trigger, Trigger::Start) {
        let (current, vote) = (step.disk.current_epoch, step.disk.last_vote_epoch);
        let is_kept = node.current_epoch() >= current && node.last_vote_epoch() >= vote;
        return require(is_kept, Property::Monotone, || "starts below its disk".into());
    }
    let (current, vote) = (before.current_epoch, before.last_vote_epoch);
    require(node.current_epoch() >= current, Property::Monotone, || format!("current epoch falls from {current}"))?;
    require(node.last_vote_epoch() >= vote, Property::Monotone, || format!("last vote falls from {vote}"))?;
    for peer in node.peers().iter() {
        let epoch = before.find(&peer.id).map_or(0, |known| known.epoch);
        require(peer.config_epoch >= epoch, Property::Monotone, || {
            format!("config epoch of {} falls from {epoch} to {}", peer.id, peer.config_epoch)
        })?;
    }
    Ok(())
}

fn well_formed(node: &RealNode, before: &Memory) -> Judgement {
    let own = node.myself();
    let is_one_role = own.is(Flags::PRIMARY) != own.is(Flags::REPLICA) && own.is(Flags::MYSELF);
    require(is_one_role, Property::SelfWellFormed, || format!("is {:?} to itself", own.flags))?;
    let was_me = before.find(&own.id).is_none_or(|known| known.flags.contains(Flags::MYSELF));
    require(was_me, Property::SelfWellFormed, || "has taken another's id".into())?;
    for peer in node.peers().iter() {
        require(peer.config_epoch <= node.current_epoch(), Property::CurDominates, || {
            format!("knows epoch {} of {} at current epoch {}", peer.config_epoch, peer.id, node.current_epoch())
        })?;
        require(!peer.is(Flags::REPLICA) || peer.slots.is_empty(), Property::ReplicaOwnsNothing, || {
            format!("binds slots {} to replica {}", peer.slots, peer.id)
        })?;
        let stranger = peer.reports.iter().find(|report| node.peers().find(&report.by).is_none());
        require(stranger.is_none(), Property::ReportersKnown, || format!("holds a stranger's report of {}", peer.id))?;
        acyclic(node, peer)?;
    }
    Ok(())
}

fn acyclic(node: &RealNode, from: &Peer<CLUSTER_SLOTS>) -> Judgement {
    let mut here = from;
    for _ in 0..node.peers().len() {
        match here.primary.and_then(|id| node.peers().get(&id)) {
            Some(next) => here = next,
            None => return Ok(()),
        }
    }
    Err((Property::AcyclicGraph, format!("never comes to an end from {}", from.id)))
}

fn table_consistent(node: &RealNode) -> Judgement {
    let mut sets = vec![[0_u64; CLUSTER_SLOTS / 64]; node.peers().len()];
    for (slot, owner) in node.owners().iter() {
        if let Some(pos) = owner {
            sets[pos.index()][slot.index() / 64] |= 1 << (slot.index() % 64);
        }
    }
    let differs = |(set, peer): (&[u64; CLUSTER_SLOTS / 64], &Peer<CLUSTER_SLOTS>)| {
        (!peer.slots.words().eq(set.iter().copied())).then_some(peer.id)
    };
    let wrong = sets.iter().zip(node.peers().iter()).find_map(differs);
    require(wrong.is_none(), Property::TableConsistent, || format!("has two opinions on the slots of {wrong:?}"))?;
    let free = node.unclaimed().iter().find(|&slot| node.owner(slot).is_none());
    require(free.is_none(), Property::MarkHasOwner, || format!("marks slot {free:?}, which nobody owns"))
}

/// Every slot that a message moved, judged owner by owner.
fn epoch_guard(before: &Memory, step: &Step<'_>) -> Judgement {
    let Some(message) = packet(step.trigger) else { return Ok(()) };
    let node = step.after;
    for taker in node.peers().iter().filter(|peer| slots_changed(before, peer)) {
        let gained = match before.find(&taker.id) {
            Some(known) => taker.slots.without(&known.slots),
            None => taker.slots.clone(),
        };
        let claimed = claimed_epoch(&message, taker);
        for owner in before.known.iter().filter(|owner| owner.id != taker.id && gained.overlaps(&owner.slots)) {
            let is_held = gained.overlaps(&owner.slots.without(&before.unclaimed));
            require(!is_held || claimed > owner.epoch, Property::EpochGuard, || {
                format!("gives slots of {} (epoch {}) to {} (epoch {claimed})", owner.id, owner.epoch, taker.id)
            })?;
        }
    }
    Ok(())
}

/// The epoch under which a message claims slots for `taker`.
fn claimed_epoch(message: &Message<CLUSTER_SLOTS>, taker: &Peer<CLUSTER_SLOTS>) -> u64 {
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

fn fail_sound(before: &Memory, step: &Step<'_>) -> Judgement {
    let node = step.after;
    let is_new = |peer: &&Peer<CLUSTER_SLOTS>| {
        let was_trusted = before.find(&peer.id).is_some_and(|known| !known.flags.contains(Flags::FAIL));
        peer.is(Flags::FAIL) && was_trusted
    };
    let is_exempt =
        matches!(step.trigger, Trigger::Start) || step.effects.rules.contains(&Rule::HandshakeWrongIdFailed);
    for peer in node.peers().iter().filter(is_new).filter(|_| !is_exempt) {
        let is_told = || {
            let message = packet(step.trigger).filter(|message| message.body == Body::Fail(peer.id));
            message.is_some_and(|message| before.find(&message.header.sender).is_some())
        };
        let votes = voters_against(node, peer, step.now) + voters_gone(before, node);
        require(votes > before.size / 2 || is_told(), Property::FailSound, || {
            format!("fails {} by {votes} of {} voters", peer.id, before.size)
        })?;
    }
    Ok(())
}

/// Voters that left the table in this step: a report of theirs that counted went with them.
fn voters_gone(before: &Memory, node: &RealNode) -> usize {
    let is_voter = |known: &&Known| known.flags.contains(Flags::PRIMARY) && !known.slots.is_empty();
    before.known.iter().filter(is_voter).filter(|known| node.peers().get(&known.id).is_none()).count()
}

fn voters_against(node: &RealNode, peer: &Peer<CLUSTER_SLOTS>, now: Millis) -> usize {
    let valid_ms = node.config().timing.report_valid_ms();
    let counts = |report: &&slotbus_core::peer::Report| {
        let is_voter = node.peers().get(&report.by).is_some_and(Peer::is_voter);
        is_voter && now.since(report.at) <= valid_ms
    };
    peer.reports.iter().filter(counts).count() + usize::from(node.myself().is_voter())
}

fn collision_yields(before: &Memory, step: &Step<'_>) -> Judgement {
    let own = step.after.myself();
    let is_new = before.was_primary && own.is_primary() && own.config_epoch != before.own_epoch;
    let Some(message) = packet(step.trigger).filter(|_| is_new) else { return Ok(()) };
    let header = &message.header;
    let is_collision = header.config_epoch == before.own_epoch && header.flags.contains(Flags::PRIMARY);
    let is_due = (is_collision && own.id < header.sender) || claims_granted(&before.granted, &message);
    require(is_due, Property::CollisionYields, || {
        format!("takes epoch {} upon epoch {} of {}", own.config_epoch, header.config_epoch, header.sender)
    })
}

fn state_sound(node: &RealNode) -> Judgement {
    if node.state() == ClusterState::Fail {
        return Ok(());
    }
    let failing = Flags::PFAIL | Flags::FAIL;
    let voters = || node.peers().iter().filter(|peer| peer.is_voter());
    let (all, trusted) = (voters().count(), voters().filter(|peer| !peer.is_any(failing)).count());
    require(trusted > all / 2, Property::StateSound, || format!("is up with {trusted} of {all} voters"))?;
    if !node.config().require_full_coverage {
        return Ok(());
    }
    let served: usize = voters().filter(|peer| !peer.is(Flags::FAIL)).map(|peer| peer.slots.len()).sum();
    require(served == CLUSTER_SLOTS, Property::StateSound, || format!("is up with {served} slots served"))
}

fn image_loads(step: &Step<'_>) -> Judgement {
    let fault = |seen: String| Err((Property::ImageLoads, seen));
    let text = nodes_conf::write(step.disk);
    let image = match nodes_conf::parse(text.as_bytes()) {
        Ok(image) => image,
        Err(error) => return fault(format!("cannot read its own file: {error}")),
    };
    let again = match Node::start(step.after.config().clone(), Origin::Restored(Box::new(image)), step.now) {
        Ok((node, _)) => node.durable(),
        Err(error) => return fault(format!("cannot start from its own file: {error}")),
    };
    let claims = |image: &Durable<CLUSTER_SLOTS>| -> Vec<(NodeId, Slots)> {
        image.nodes.iter().map(|view| (view.id, view.slots.clone())).collect()
    };
    let is_same = claims(&again) == claims(step.disk)
        && again.last_vote_epoch == step.disk.last_vote_epoch
        && again.current_epoch >= step.disk.current_epoch;
    require(is_same, Property::ImageLoads, || "loads something else than it saved".into())
}
