//! Owns what must hold at every step of a simulation, and the little that must be remembered to
//! judge it. Knows rules only by their names in effects; it judges nodes by what they hold and send.
//!
//! Steps of a quiet cluster are judged by what they send and by the numbers of the node alone. Where
//! a rule fired that may change a table, and every so often in any case, the whole node is compared
//! with what was remembered of it.

use super::RealNode;
use crate::{
    invariants::Invariant,
    judgement::{
        Earlier, Entry, changes, claim_is_saved, current_dominates, epochs_rise, fails_by_majority, is_itself,
        marks_have_owners, replicas_own_nothing, reporters_are_known, require, state_is_sound, table_agrees,
        takes_by_epoch, ways_end, yields_to_collision,
    },
};
use slotbus_core::{
    Body, CLUSTER_SLOTS, ClusterState, Durable, Effect, Effects, Flags, Header, LinkId, Message, Millis, Node, NodeId,
    Origin, Peer, Rule, Slot, SlotSet,
};
use slotbus_wire::{bus, nodes_conf};
use std::{cell::OnceCell, collections::BTreeMap, fmt};

type Slots = SlotSet<CLUSTER_SLOTS>;

/// A node is compared as a whole at least every so many steps.
const FULL_EVERY: u32 = 8192;
/// One in so many images that are saved is loaded, to see that it can be ...
const LOAD_EVERY: usize = 64;
/// ... and of large images, which take long, one in so many for each pair of nodes in it.
const LOAD_PAIRS: usize = 8;

/// Generates [`Property`] and its catalogue from one table.
macro_rules! properties {
    ($($name:ident $id:literal $sentence:literal;)+) => {
        /// A property that a simulation judges.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Property {
            /// One that holds in the worlds of the checker, too.
            Invariant(Invariant),
            $(#[doc = $sentence] $name,)+
        }

        impl Property {
            /// The properties that only a simulation judges.
            const OWN: &'static [Self] = &[$(Self::$name,)+];

            /// Its name in reports: the number in the list of properties, and a word.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self {
                    Self::Invariant(invariant) => invariant.id(),
                    $(Self::$name => concat!($id, " ", stringify!($name)),)+
                }
            }

            /// What must hold.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self {
                    Self::Invariant(invariant) => invariant.sentence(),
                    $(Self::$name => $sentence,)+
                }
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
    RequestSaved "S8" "No request for votes carries an epoch that is not on its sender's disk.";
    AcyclicGraph "S16" "From every entry of a table the way from replica to primary ends.";
    WireFaithful "W1" "Every message that is sent is read from its bytes as it was.";
    Converge "L2" "Once faults and commands end, all nodes come to see the same cluster, and it serves, within the stated time.";
}

/// The invariants of the checker's worlds that simulations judge.
const INVARIANTS: &[Invariant] = &[
    Invariant::Monotone,
    Invariant::CurDominates,
    Invariant::PersistBeforeClaim,
    Invariant::TableConsistent,
    Invariant::ReplicaOwnsNothing,
    Invariant::EpochGuard,
    Invariant::MarkHasOwner,
    Invariant::ImageLoads,
    Invariant::SelfWellFormed,
    Invariant::FailSound,
    Invariant::ReportersKnown,
    Invariant::CollisionYields,
    Invariant::StateSound,
];

impl Property {
    /// Every property that a simulation judges.
    pub fn all() -> impl Iterator<Item = Self> {
        INVARIANTS.iter().map(|&invariant| Self::Invariant(invariant)).chain(Self::OWN.iter().copied())
    }
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
pub enum Trigger<'a> {
    /// The process started: from its disk, or new.
    Start,
    /// A packet came in.
    Packet(Packet<'a>),
    /// An administrator's command.
    Command,
    /// Anything else.
    Other,
}

/// A packet, which is read once more if what it says is judged: the node has had its message.
pub struct Packet<'a> {
    bytes: &'a [u8],
    message: OnceCell<Option<Box<Message<CLUSTER_SLOTS>>>>,
}

impl<'a> Packet<'a> {
    /// A packet as it came.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, message: OnceCell::new() }
    }

    fn message(&self) -> Option<&Message<CLUSTER_SLOTS>> {
        let read = || match bus::decode(self.bytes) {
            Ok(bus::Packet::Full(message)) => Some(Box::new(message)),
            Ok(bus::Packet::Light(_)) | Err(_) => None,
        };
        self.message.get_or_init(read).as_deref()
    }
}

/// One step of one machine, as it is judged.
pub struct Step<'a> {
    /// Which machine.
    pub machine: usize,
    /// The id that its node has for good.
    pub id: NodeId,
    /// What its clock shows.
    pub now: Millis,
    /// What set it off.
    pub trigger: &'a Trigger<'a>,
    /// The node after it.
    pub after: &'a RealNode,
    /// What it asked for.
    pub effects: &'a Effects<CLUSTER_SLOTS>,
    /// Whether it saved.
    pub has_saved: bool,
    /// Its disk once it saved.
    pub disk: &'a Durable<CLUSTER_SLOTS>,
    /// The node's own config epoch on its disk.
    pub disk_epoch: u64,
    /// Whether anything but the saving is done.
    pub is_performed: bool,
}

impl Step<'_> {
    /// The message that came in, if one did.
    fn message(&self) -> Option<&Message<CLUSTER_SLOTS>> {
        match self.trigger {
            Trigger::Packet(packet) => packet.message(),
            Trigger::Start | Trigger::Command | Trigger::Other => None,
        }
    }
}

/// What is remembered of a peer.
struct Known {
    id: NodeId,
    epoch: u64,
    flags: Flags,
    primary: Option<NodeId>,
    slots: Slots,
}

/// What is remembered of a node.
#[derive(Default)]
struct Memory {
    known: Vec<Known>,
    /// Which of them is the node itself.
    own: usize,
    unclaimed: Slots,
    current_epoch: u64,
    last_vote_epoch: u64,
    size: usize,
    granted: BTreeMap<Slot, NodeId>,
    state: ClusterState,
    steps: u32,
}

impl Known {
    fn of(peer: &Peer<CLUSTER_SLOTS>) -> Self {
        Self { id: peer.id, epoch: 0, flags: Flags::empty(), primary: None, slots: Slots::new() }
    }

    fn entry(&self) -> Entry<'_, CLUSTER_SLOTS> {
        let Self { id, epoch, flags, primary, slots } = self;
        Entry { id: *id, epoch: *epoch, flags: *flags, primary: *primary, slots }
    }
}

impl Earlier<CLUSTER_SLOTS> for Memory {
    fn entries(&self) -> impl Iterator<Item = Entry<'_, CLUSTER_SLOTS>> {
        self.known.iter().map(Known::entry)
    }

    fn entry(&self, id: &NodeId) -> Option<Entry<'_, CLUSTER_SLOTS>> {
        self.known.binary_search_by(|known| known.id.cmp(id)).ok().map(|index| self.known[index].entry())
    }

    fn own(&self) -> Option<Entry<'_, CLUSTER_SLOTS>> {
        self.known.get(self.own).map(Known::entry)
    }

    fn current_epoch(&self) -> u64 {
        self.current_epoch
    }

    fn last_vote_epoch(&self) -> u64 {
        self.last_vote_epoch
    }

    fn unclaimed(&self) -> &Slots {
        &self.unclaimed
    }

    fn granted(&self) -> &BTreeMap<Slot, NodeId> {
        &self.granted
    }
}

impl Memory {
    fn is_same_at_a_glance(&self, node: &RealNode) -> bool {
        let own = node.myself();
        let is_same_self = |known: &Known| (known.epoch, known.flags) == (own.config_epoch, own.flags);
        self.current_epoch == node.current_epoch()
            && self.last_vote_epoch == node.last_vote_epoch()
            && self.known.len() == node.peers().len()
            && self.known.get(self.own).is_some_and(is_same_self)
            && self.state == node.state()
    }

    fn remember(&mut self, node: &RealNode) {
        let is_same_table = self.known.len() == node.peers().len()
            && self.known.iter().zip(node.peers().iter()).all(|(known, peer)| known.id == peer.id);
        if !is_same_table {
            self.known = node.peers().iter().map(Known::of).collect();
        }
        for (known, peer) in self.known.iter_mut().zip(node.peers().iter()) {
            known.epoch = peer.config_epoch;
            known.flags = peer.flags;
            known.primary = peer.primary;
            if known.slots != peer.slots {
                known.slots = peer.slots.clone();
            }
        }
        if self.unclaimed != *node.unclaimed() {
            self.unclaimed = node.unclaimed().clone();
        }
        self.current_epoch = node.current_epoch();
        self.last_vote_epoch = node.last_vote_epoch();
        self.size = node.size();
        self.granted.clone_from(node.granted());
        self.own = node.me().index();
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
    images: usize,
}

/// What is wrong, and with which property.
type Broken = (Property, String);

impl Property {
    /// Names this property as what a judgement is about.
    fn of(self, judgement: Result<(), String>) -> Result<(), Broken> {
        judgement.map_err(|seen| (self, seen))
    }

    fn require(self, holds: bool, seen: impl FnOnce() -> String) -> Result<(), Broken> {
        self.of(require(holds, seen))
    }
}

impl From<Invariant> for Property {
    fn from(invariant: Invariant) -> Self {
        Self::Invariant(invariant)
    }
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
    pub fn judge(&mut self, step: &Step<'_>) -> Result<(), Broken> {
        self.judge_sent(step)?;
        self.judge_elected(step)?;
        let memory = &mut self.memories[step.machine];
        memory.steps = memory.steps.wrapping_add(1);
        let is_quiet = step.effects.rules.iter().all(|rule| is_quiet(*rule))
            && !step.has_saved
            && matches!(step.trigger, Trigger::Packet(_) | Trigger::Other)
            && memory.is_same_at_a_glance(step.after);
        if is_quiet && !memory.steps.is_multiple_of(FULL_EVERY) {
            return Ok(());
        }
        judge_change(memory, step)?;
        memory.remember(step.after);
        self.judge_image(step)
    }

    fn judge_sent(&mut self, step: &Step<'_>) -> Result<(), Broken> {
        for effect in &step.effects.then {
            let Effect::Send { link, message } = effect else { continue };
            let header = &message.header;
            Property::from(Invariant::PersistBeforeClaim).of(claim_is_saved(header, step.disk_epoch))?;
            match &message.body {
                Body::FailoverAuthRequest => {
                    let saved = step.disk.current_epoch;
                    Property::RequestSaved.require(header.current_epoch <= saved, || {
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

    fn judge_vote(&mut self, step: &Step<'_>, link: LinkId, header: &Header<CLUSTER_SLOTS>) -> Result<(), Broken> {
        let epoch = header.current_epoch;
        let saved = step.disk.last_vote_epoch;
        Property::DurableVote.require(saved >= epoch, || format!("votes in epoch {epoch} with {saved} on disk"))?;
        let candidate = step.after.links().get(link).and_then(|link| link.peer).map(|pos| step.after.peers()[pos].id);
        let Some(candidate) = candidate.filter(|_| step.is_performed) else { return Ok(()) };
        let voter = step.after.id();
        let first = *self.votes.entry((voter, epoch)).or_insert(candidate);
        Property::VoteOnce
            .require(first == candidate, || format!("votes for {candidate} in epoch {epoch}, after {first}"))?;
        let Some(request) = step.message() else { return Ok(()) };
        let memory = &self.memories[step.machine];
        let newer = memory.known.iter().find(|owner| {
            let is_held = || owner.slots.without(&memory.unclaimed).overlaps(&request.header.slots);
            owner.id != candidate && owner.epoch > request.header.config_epoch && is_held()
        });
        Property::NoStaleVote.require(newer.is_none(), || {
            let owner = newer.map(|owner| owner.id.to_string()).unwrap_or_default();
            format!("votes for a claim of epoch {} to slots of {owner}", request.header.config_epoch)
        })
    }

    fn judge_elected(&mut self, step: &Step<'_>) -> Result<(), Broken> {
        if !step.effects.rules.contains(&Rule::ElectWon) {
            return Ok(());
        }
        let (winner, epoch) = (step.after.id(), step.after.election().epoch);
        let votes = self.votes.iter().filter(|&(&(_, voted), &candidate)| voted == epoch && candidate == winner);
        let (votes, size) = (votes.count(), self.memories[step.machine].size);
        Property::ElectedHasQuorum
            .require(votes > size / 2, || format!("wins epoch {epoch} with {votes} votes of {size} voters"))?;
        let first = *self.winners.entry(epoch).or_insert(winner);
        Property::UniqueWinner
            .require(first == winner || self.has_resized, || format!("wins epoch {epoch}, which {first} has won"))
    }

    fn judge_image(&mut self, step: &Step<'_>) -> Result<(), Broken> {
        let nodes = step.disk.nodes.len();
        self.images += usize::from(step.has_saved);
        let is_due = step.has_saved && self.images.is_multiple_of(LOAD_EVERY.max(nodes * nodes / LOAD_PAIRS));
        if is_due { Property::from(Invariant::ImageLoads).of(image_loads(step)) } else { Ok(()) }
    }
}

/// Judges what a step made of the node, by what it was before.
fn judge_change(before: &Memory, step: &Step<'_>) -> Result<(), Broken> {
    let (node, message) = (step.after, step.message());
    let is_started = matches!(step.trigger, Trigger::Start);
    let changes = &changes((!is_started).then_some(before), node);
    let judge = |invariant: Invariant, judgement| Property::from(invariant).of(judgement);
    judge(Invariant::Monotone, if is_started { keeps_disk(step) } else { epochs_rise(before, node, changes) })?;
    judge(Invariant::CurDominates, current_dominates(node, changes))?;
    judge(Invariant::SelfWellFormed, is_itself(node, step.id, changes))?;
    judge(Invariant::ReplicaOwnsNothing, replicas_own_nothing(node, changes))?;
    judge(Invariant::ReportersKnown, reporters_are_known(node))?;
    judge(Invariant::TableConsistent, table_agrees(node, changes))?;
    judge(Invariant::MarkHasOwner, marks_have_owners(node))?;
    judge(Invariant::StateSound, state_is_sound(node))?;
    Property::AcyclicGraph.of(ways_end(node, changes))?;
    if let Some(message) = message {
        judge(Invariant::EpochGuard, takes_by_epoch(before, changes, message))?;
        judge(Invariant::CollisionYields, yields_to_collision(before, node, message))?;
    }
    if is_started || step.effects.rules.contains(&Rule::HandshakeWrongIdFailed) {
        return Ok(());
    }
    judge(Invariant::FailSound, fails_by_majority(before, node, changes, message, step.now))
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
            | Rule::GossipIntroduced
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

fn keeps_disk(step: &Step<'_>) -> Result<(), String> {
    let (current, vote) = (step.disk.current_epoch, step.disk.last_vote_epoch);
    let is_kept = step.after.current_epoch() >= current && step.after.last_vote_epoch() >= vote;
    require(is_kept, || "starts below its disk".into())
}

fn image_loads(step: &Step<'_>) -> Result<(), String> {
    let text = nodes_conf::write(step.disk);
    let image = match nodes_conf::parse(text.as_bytes()) {
        Ok(image) => image,
        Err(error) => return Err(format!("cannot read its own file: {error}")),
    };
    let again = match Node::start(step.after.config().clone(), Origin::Restored(Box::new(image)), step.now) {
        Ok((node, _)) => node.durable(),
        Err(error) => return Err(format!("cannot start from its own file: {error}")),
    };
    let claims = |image: &Durable<CLUSTER_SLOTS>| -> Vec<(NodeId, Slots)> {
        image.nodes.iter().map(|view| (view.id, view.slots.clone())).collect()
    };
    let is_same = claims(&again) == claims(step.disk)
        && again.last_vote_epoch == step.disk.last_vote_epoch
        && again.current_epoch >= step.disk.current_epoch;
    require(is_same, || "loads something else than it saved".into())
}
