//! Owns the state of one node and the ways to read it. Changes to it are the rules' business; the
//! few writers here keep the tables consistent with each other and decide nothing.

use crate::{
    address::Address,
    config::Config,
    durable::{Durable, NodeView},
    ids::{LinkId, NodeId},
    input::Replication,
    link::Links,
    message::{ClusterState, Flags},
    peer::{Peer, Peers, Pos},
    slots::{Owners, Slot, SlotSet},
    time::Millis,
};
use alloc::{boxed::Box, collections::BTreeMap, sync::Arc, vec::Vec};
use core::{
    fmt,
    hash::{Hash, Hasher},
};

/// One node of a cluster with `SLOTS` hash slots: all that the protocol remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node<const SLOTS: usize> {
    pub(crate) config: Arc<Config>,
    pub(crate) me: Pos,
    pub(crate) peers: Peers<SLOTS>,
    pub(crate) links: Links,
    pub(crate) owners: Owners<SLOTS>,
    /// Slots that their owner no longer claims.
    pub(crate) unclaimed: SlotSet<SLOTS>,
    pub(crate) migrating: BTreeMap<Slot, NodeId>,
    pub(crate) importing: BTreeMap<Slot, NodeId>,
    /// Slots that a command took from another node for this one, and from whom: that node may not know yet.
    pub(crate) granted: BTreeMap<Slot, NodeId>,
    pub(crate) current_epoch: u64,
    pub(crate) last_vote_epoch: u64,
    pub(crate) state: ClusterState,
    /// Primaries with slots, as of the last evaluation of the cluster state.
    pub(crate) size: usize,
    pub(crate) first_evaluated: Option<Millis>,
    pub(crate) minority_at: Option<Millis>,
    /// Forgotten nodes, and until when each is banned from coming back through gossip.
    pub(crate) banned: BTreeMap<NodeId, Millis>,
    /// Suspected nodes, as of the last cron.
    pub(crate) suspected: usize,
    /// How many nodes are new, as of the last cron, and as far as heartbeats tell of more for them.
    pub(crate) newcomers: usize,
    /// Who has become a member by a handshake since the last cron, and is to be made known to the others.
    pub(crate) introduced: Vec<NodeId>,
    pub(crate) next_cron: Millis,
    pub(crate) crons_until_ping: u8,
    pub(crate) replication: Replication,
    pub(crate) election: Election,
    pub(crate) manual: Option<ManualFailover>,
    /// Whom the driver was last told to replicate.
    pub(crate) followed: Option<NodeId>,
}

/// A replica's attempt to be elected.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Election {
    /// When votes are to be asked for; none if there never was an attempt.
    pub at: Option<Millis>,
    /// Whether the time for it has come, and the node was woken for it.
    pub is_awake: bool,
    /// Whether votes were asked for.
    pub asked: bool,
    /// The epoch in which they were.
    pub epoch: u64,
    /// How many replicas of the same primary are ahead.
    pub rank: u64,
    /// Answers counted.
    pub votes: usize,
    /// Who answered, ascending by id.
    pub voters: Vec<NodeId>,
}

/// A manual failover under way, on the replica that asked for it or on its primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ManualFailover {
    /// When it is given up.
    pub end: Millis,
    /// On the primary: the replica that asked for it.
    pub replica: Option<NodeId>,
    /// On the replica: the offset at which the primary paused, once heard.
    pub primary_offset: Option<u64>,
    /// On the replica: whether votes may be asked for.
    pub can_start: bool,
}

/// The hash leaves the configuration out: it is the same in all states of a run, and equality still has it.
impl<const SLOTS: usize> Hash for Node<SLOTS> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let Self {
            config: _,
            me,
            peers,
            links,
            owners,
            unclaimed,
            migrating,
            importing,
            granted,
            current_epoch,
            last_vote_epoch,
            state,
            size,
            first_evaluated,
            minority_at,
            banned,
            suspected,
            newcomers,
            introduced,
            next_cron,
            crons_until_ping,
            replication,
            election,
            manual,
            followed,
        } = self;
        (me, peers, links, owners, unclaimed).hash(hasher);
        (migrating, importing, granted, current_epoch, last_vote_epoch, state).hash(hasher);
        (size, first_evaluated, minority_at, banned, suspected, newcomers, introduced).hash(hasher);
        (next_cron, crons_until_ping, replication, election, manual, followed).hash(hasher);
    }
}

/// What a node starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin<const SLOTS: usize> {
    /// Nothing: this is its new id.
    Fresh(NodeId),
    /// What it saved before.
    Restored(Box<Durable<SLOTS>>),
}

/// The image cannot be a node's: it does not name exactly one node as itself, or names one twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadImage {
    /// No node has the flag MYSELF.
    NoMyself,
    /// More than one node has it.
    TwoMyselves,
    /// Two nodes have this id.
    Repeated(NodeId),
    /// More nodes than a table holds.
    TooMany,
}

impl fmt::Display for BadImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMyself => f.write_str("no node is flagged as myself"),
            Self::TwoMyselves => f.write_str("more than one node is flagged as myself"),
            Self::Repeated(id) => write!(f, "node {id} is listed twice"),
            Self::TooMany => write!(f, "more than {} nodes", Pos::MAX),
        }
    }
}

impl core::error::Error for BadImage {}

/// When a node next needs a [`crate::Event::Tick`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// The instant.
    pub at: Millis,
    /// The reason.
    pub why: Why,
}

/// Why a node needs to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The periodic work of the cluster is due.
    Cron,
    /// The time of this replica's election has come.
    Election,
}

impl<const SLOTS: usize> Node<SLOTS> {
    /// What the node was told before it started, or since.
    #[must_use]
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// This node's own id.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.peers[self.me].id
    }

    /// This node's own entry of the table.
    #[must_use]
    pub fn myself(&self) -> &Peer<SLOTS> {
        &self.peers[self.me]
    }

    /// The place of this node's own entry.
    #[must_use]
    pub fn me(&self) -> Pos {
        self.me
    }

    /// Every node known, this one included.
    #[must_use]
    pub fn peers(&self) -> &Peers<SLOTS> {
        &self.peers
    }

    /// Every link of this node.
    #[must_use]
    pub fn links(&self) -> &Links {
        &self.links
    }

    /// Who owns which slot.
    #[must_use]
    pub fn owners(&self) -> &Owners<SLOTS> {
        &self.owners
    }

    /// The owner of `slot`.
    #[must_use]
    pub fn owner(&self, slot: Slot) -> Option<&Peer<SLOTS>> {
        self.owners.get(slot).map(|pos| &self.peers[pos])
    }

    /// Slots that their owner no longer claims.
    #[must_use]
    pub fn unclaimed(&self) -> &SlotSet<SLOTS> {
        &self.unclaimed
    }

    /// Own slots that are being moved, and to whom.
    #[must_use]
    pub fn migrating(&self) -> &BTreeMap<Slot, NodeId> {
        &self.migrating
    }

    /// Slots that are being taken over, and from whom.
    #[must_use]
    pub fn importing(&self) -> &BTreeMap<Slot, NodeId> {
        &self.importing
    }

    /// The greatest epoch that this node has seen.
    #[must_use]
    pub fn current_epoch(&self) -> u64 {
        self.current_epoch
    }

    /// The epoch of the last vote that this node gave.
    #[must_use]
    pub fn last_vote_epoch(&self) -> u64 {
        self.last_vote_epoch
    }

    /// The config epoch that this node stands for: its own, or as a replica that of its primary.
    #[must_use]
    pub fn my_epoch(&self) -> u64 {
        self.claimant(self.me).map_or(0, |pos| self.peers[pos].config_epoch)
    }

    /// When the node last saw too few voters for a majority.
    #[must_use]
    pub fn minority_at(&self) -> Option<Millis> {
        self.minority_at
    }

    /// When the node first evaluated the cluster state.
    #[must_use]
    pub fn first_evaluated(&self) -> Option<Millis> {
        self.first_evaluated
    }

    /// How replication stands, as last heard from the driver.
    #[must_use]
    pub fn replication(&self) -> Replication {
        self.replication
    }

    /// This node's attempt to be elected.
    #[must_use]
    pub fn election(&self) -> &Election {
        &self.election
    }

    /// The manual failover under way.
    #[must_use]
    pub fn manual_failover(&self) -> Option<ManualFailover> {
        self.manual
    }

    /// The primary that this node replicates, if it is a replica and knows it.
    #[must_use]
    pub fn my_primary(&self) -> Option<Pos> {
        let own = self.myself();
        own.primary.filter(|_| !own.is_primary()).and_then(|id| self.peers.find(&id))
    }

    /// The replicas of a node, ascending by id.
    pub fn replicas(&self, primary: NodeId) -> impl Iterator<Item = Pos> + '_ {
        self.peers.positions().filter(move |&pos| self.peers[pos].primary == Some(primary))
    }

    /// The shard of a node: what it says, or else the id of its primary or its own.
    #[must_use]
    pub fn shard(&self, pos: Pos) -> NodeId {
        let peer = &self.peers[pos];
        peer.shard.or(peer.primary).unwrap_or(peer.id)
    }

    /// Whether the cluster serves requests, in this node's view.
    #[must_use]
    pub fn state(&self) -> ClusterState {
        self.state
    }

    /// Slots that a command took from another node for this one, while that node may not know yet.
    #[must_use]
    pub fn granted(&self) -> &BTreeMap<Slot, NodeId> {
        &self.granted
    }

    /// Forgotten nodes, and until when each is banned from coming back through gossip.
    #[must_use]
    pub fn banned(&self) -> &BTreeMap<NodeId, Millis> {
        &self.banned
    }

    /// How many primaries own slots, as of the last evaluation of the cluster state; at least 1 at the start.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// How many reports of a failing node are valid at `now`; none if the node is unknown.
    #[must_use]
    pub fn failure_reports(&self, id: &NodeId, now: Millis) -> Option<usize> {
        let valid_ms = self.config.timing.report_valid_ms();
        let is_valid = |at: Millis| now.since(at) <= valid_ms;
        self.peers.get(id).map(|peer| peer.reports.iter().filter(|report| is_valid(report.at)).count())
    }

    /// The image to save now.
    #[must_use]
    pub fn durable(&self) -> Durable<SLOTS> {
        let members = self.peers.positions().filter(|&pos| !self.peers[pos].is(Flags::HANDSHAKE));
        Durable {
            nodes: members.map(|pos| self.saved_view(pos)).collect(),
            migrating: self.migrating.clone(),
            importing: self.importing.clone(),
            current_epoch: self.current_epoch,
            last_vote_epoch: self.last_vote_epoch,
        }
    }

    /// One node as nodes.conf keeps it: without the flags that are learned anew, and without the slots
    /// that it no longer claims. The file has no mark for those; like marked ones, slots without an
    /// owner are up for any claim.
    fn saved_view(&self, pos: Pos) -> NodeView<SLOTS> {
        let view = self.view(pos);
        let keeps_marks = self.config.profile.marks_survive_restart && !self.unclaimed.is_empty();
        let slots = if keeps_marks { view.slots.without(&self.unclaimed) } else { view.slots };
        NodeView { flags: view.flags & Flags::SAVED, slots, ..view }
    }

    /// One node as CLUSTER NODES shows it.
    #[must_use]
    pub fn view(&self, pos: Pos) -> NodeView<SLOTS> {
        let peer = &self.peers[pos];
        NodeView {
            id: peer.id,
            address: peer.address.clone(),
            hostname: peer.hostname.clone(),
            flags: peer.flags,
            primary: peer.primary,
            ping_sent: peer.ping_sent,
            pong_received: peer.pong_received,
            config_epoch: self.claimant(pos).map_or(peer.config_epoch, |claimant| self.peers[claimant].config_epoch),
            connected: pos == self.me || peer.outbound.is_some(),
            slots: peer.slots.clone(),
        }
    }

    /// Whose slots and epoch a node's headers carry: its own, or as a replica its primary's.
    pub(crate) fn claimant(&self, pos: Pos) -> Option<Pos> {
        let peer = &self.peers[pos];
        if peer.is_primary() { Some(pos) } else { peer.primary.and_then(|id| self.peers.find(&id)) }
    }

    /// Whether any claim may take `slot`: nobody owns it, or its owner no longer claims it.
    pub(crate) fn is_up_for_claim(&self, slot: Slot) -> bool {
        self.owners.get(slot).is_none() || self.unclaimed.contains(slot)
    }

    /// Adds a node to the table; none if it is full or the id is taken.
    pub(crate) fn insert_peer(&mut self, peer: Peer<SLOTS>) -> Option<Pos> {
        if self.peers.len() >= Pos::MAX || self.peers.find(&peer.id).is_some() {
            return None;
        }
        let new = self.peers.insert(peer);
        self.renumber(|pos| pos.after_insert(new));
        Some(new)
    }

    /// Takes a node without slots, links or reports out of the table; it must not be this node.
    pub(crate) fn remove_peer(&mut self, pos: Pos) -> Peer<SLOTS> {
        let peer = self.peers.remove(pos);
        self.renumber(|other| other.after_remove(pos));
        peer
    }

    fn renumber(&mut self, change: impl Fn(Pos) -> Pos) {
        self.me = change(self.me);
        self.owners.renumber(&change);
        self.links.renumber(&change);
    }

    /// Gives `slot` to a node; it must have no owner. A node that gets its first slot while any
    /// primary has replicas may be given some, too.
    pub(crate) fn bind(&mut self, slot: Slot, pos: Pos) {
        if self.peers[pos].slots.is_empty() && self.has_replicated_primary() {
            self.peers[pos].flags.insert(Flags::MIGRATE_TO);
        }
        self.owners.set(slot, Some(pos));
        self.peers[pos].slots.insert(slot);
    }

    fn has_replicated_primary(&self) -> bool {
        let primaries = self.peers.iter().filter_map(|peer| peer.primary);
        primaries.filter_map(|id| self.peers.get(&id)).any(Peer::is_primary)
    }

    /// Takes `slot` from its owner, if it has one.
    pub(crate) fn unbind(&mut self, slot: Slot) {
        if let Some(owner) = self.owners.get(slot) {
            self.peers[owner].slots.remove(slot);
            self.owners.set(slot, None);
            self.granted.remove(&slot);
            if self.config.profile.unbinding_clears_mark {
                self.unclaimed.remove(slot);
            }
        }
    }

    /// Takes every slot from a node.
    pub(crate) fn unbind_all(&mut self, pos: Pos) {
        let slots = self.peers[pos].slots.clone();
        slots.iter().for_each(|slot| self.unbind(slot));
    }

    /// The address that this node's headers announce, as far as it is configured.
    pub(crate) fn announced_address(&self) -> Address {
        let Config { announce_host, port, cport, pport, .. } = &*self.config;
        Address { host: announce_host.clone(), port: *port, cport: *cport, pport: *pport }
    }

    /// When an inbound link was accepted and when a member became known is read by no rule.
    fn drop_dead_instants(&mut self, now: Millis) {
        for link in self.links.iter_mut().filter(|link| matches!(link.id, LinkId::Inbound(_))) {
            link.opened = now;
        }
        for peer in self.peers.iter_mut().filter(|peer| !peer.is(Flags::HANDSHAKE)) {
            peer.created = now;
        }
    }

    /// The same node on a clock that shows `to` where its own shows `from`, with ages cut to the
    /// longest that any rule can tell apart. Steps commute with this.
    #[must_use]
    pub fn rebased(mut self, from: Millis, to: Millis) -> Self {
        self.drop_dead_instants(from);
        let config = self.config.clone();
        let timing = &config.timing;
        let rebase = |instants: &mut dyn Iterator<Item = &mut Millis>, limit_ms: u64| {
            instants.for_each(|instant| *instant = instant.rebased(from, to, limit_ms.saturating_add(1)));
        };
        let links = self.links.iter_mut().map(|link| &mut link.opened);
        let peers = self.peers.iter_mut().flat_map(Peer::instants_mut);
        let own = [&mut self.first_evaluated, &mut self.minority_at].into_iter().flatten();
        let ends = self.banned.values_mut().chain(self.manual.iter_mut().map(|manual| &mut manual.end));
        let next = [&mut self.next_cron];
        rebase(&mut links.chain(peers).chain(own).chain(ends).chain(next), timing.age_limit_ms());
        rebase(&mut self.election.at.iter_mut(), timing.election_retry_ms());
        let orphaned = self.peers.iter_mut().filter_map(|peer| peer.orphaned_at.as_mut());
        rebase(&mut { orphaned }, timing.migration_delay_ms);
        // Data age is counted in whole seconds, less a node timeout.
        let data_age_max_ms = timing.data_age_max_ms(config.replica_validity_factor);
        let fresh_limit_ms = data_age_max_ms.saturating_add(timing.node_timeout_ms).saturating_add(2000);
        rebase(&mut self.replication.fresh_at.iter_mut(), fresh_limit_ms);
        self
    }
}
