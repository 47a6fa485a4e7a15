//! Owns what a node knows of each node, itself included, and the table that holds it.
//! Knows no transition: rules change peers, peers do not act.

use crate::{address::Address, ids::NodeId, message::Flags, slots::SlotSet, time::Millis};
use alloc::{boxed::Box, vec::Vec};
use core::{
    hash::{Hash, Hasher},
    num::NonZeroU16,
    ops::{Index, IndexMut},
};
use smallvec::SmallVec;

/// What a node knows of one node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer<const SLOTS: usize> {
    /// Its id; a temporary one while in handshake.
    pub id: NodeId,
    /// What it is.
    pub flags: Flags,
    /// The epoch of its claim, as last heard.
    pub config_epoch: u64,
    /// The slots that it owns.
    pub slots: SlotSet<SLOTS>,
    /// The primary that it replicates, if known.
    pub primary: Option<NodeId>,
    /// Where it is reached.
    pub address: Address,
    /// The host name that it announces; empty for none.
    pub hostname: Box<str>,
    /// When this entry was made.
    pub created: Millis,
    /// When it was pinged, if the answer is outstanding.
    pub ping_sent: Option<Millis>,
    /// When it last answered a ping, or was said to.
    pub pong_received: Option<Millis>,
    /// When anything was last heard from it.
    pub data_received: Option<Millis>,
    /// When it was marked as failed.
    pub failed_at: Option<Millis>,
    /// Its replication offset in bytes, as last heard.
    pub offset: u64,
    /// When this node last voted for a replica of it.
    pub voted_at: Option<Millis>,
    /// Since when it has been a primary without a working replica.
    pub orphaned_at: Option<Millis>,
    /// The shard that it belongs to, where it says so.
    pub shard: Option<NodeId>,
    /// Who reports it as failing, ascending by id.
    pub reports: Vec<Report>,
    /// The number of the link that this node opened to it.
    pub outbound: Option<u32>,
    /// The number of the link that it opened and that is known to be its.
    pub inbound: Option<u32>,
}

/// One primary's word that a node is failing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Report {
    /// Who says so.
    pub by: NodeId,
    /// When it was last heard.
    pub at: Millis,
}

impl<const SLOTS: usize> Peer<SLOTS> {
    /// An entry as of `created`, of which nothing has been heard.
    #[must_use]
    pub fn new(id: NodeId, flags: Flags, address: Address, created: Millis) -> Self {
        Self {
            id,
            flags,
            config_epoch: 0,
            slots: SlotSet::new(),
            primary: None,
            address,
            hostname: "".into(),
            created,
            ping_sent: None,
            pong_received: None,
            data_received: None,
            failed_at: None,
            offset: 0,
            voted_at: None,
            orphaned_at: None,
            shard: None,
            reports: Vec::new(),
            outbound: None,
            inbound: None,
        }
    }

    /// Whether all of `flags` are set.
    #[must_use]
    pub fn is(&self, flags: Flags) -> bool {
        self.flags.contains(flags)
    }

    /// Whether any of `flags` is set.
    #[must_use]
    pub fn is_any(&self, flags: Flags) -> bool {
        self.flags.intersects(flags)
    }

    /// Whether it is a primary.
    #[must_use]
    pub fn is_primary(&self) -> bool {
        self.is(Flags::PRIMARY)
    }

    /// Whether it is a primary with slots: those make up the cluster's size, report failures and vote.
    #[must_use]
    pub fn is_voter(&self) -> bool {
        self.is_primary() && !self.slots.is_empty()
    }

    /// Every instant stored here but the one of orphanage, which counts to a limit of its own; for rebasing.
    pub(crate) fn instants_mut(&mut self) -> impl Iterator<Item = &mut Millis> {
        let reports = self.reports.iter_mut().map(|report| &mut report.at);
        let heard = [&mut self.ping_sent, &mut self.pong_received, &mut self.data_received];
        let marked = [&mut self.failed_at, &mut self.voted_at];
        heard.into_iter().chain(marked).flatten().chain([&mut self.created]).chain(reports)
    }
}

/// A place in a node's table. Places move when nodes come and go; nothing outside the node keeps one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pos(NonZeroU16);

impl Pos {
    /// The most nodes that a table holds.
    pub const MAX: usize = u16::MAX as usize - 1;

    fn new(index: usize) -> Self {
        let number = u16::try_from(index + 1).unwrap_or(u16::MAX);
        Self(NonZeroU16::new(number).unwrap_or(NonZeroU16::MIN))
    }

    /// This place as an index of the table.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0.get()) - 1
    }

    /// Where a node that stood here stands after one came in at `new`.
    pub(crate) fn after_insert(self, new: Self) -> Self {
        if self >= new { Self::new(self.index() + 1) } else { self }
    }

    /// Where a node that stood here stands after the one at `gone` went; it must not be that one.
    pub(crate) fn after_remove(self, gone: Self) -> Self {
        if self > gone { Self::new(self.index() - 1) } else { self }
    }
}

/// Every node that a node knows, itself included, ascending by id.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Peers<const SLOTS: usize> {
    peers: Vec<Peer<SLOTS>>,
    /// The first words of the ids, close together: a search among them touches no peer but the one found.
    words: SmallVec<[u64; 8]>,
}

/// The words say what the peers say, and are left out.
impl<const SLOTS: usize> Hash for Peers<SLOTS> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.peers.hash(hasher);
    }
}

impl<const SLOTS: usize> Peers<SLOTS> {
    /// Where the node called `id` stands.
    #[must_use]
    pub fn find(&self, id: &NodeId) -> Option<Pos> {
        self.search(id).ok().map(Pos::new)
    }

    /// Where the node called `id` stands, or would stand.
    fn search(&self, id: &NodeId) -> Result<usize, usize> {
        let word = id.first_word();
        let first = self.words.partition_point(|&other| other < word);
        let alike = self.words[first..].iter().take_while(|&&other| other == word).count();
        let place = self.peers[first..first + alike].binary_search_by(|peer| peer.id.cmp(id));
        place.map(|index| first + index).map_err(|index| first + index)
    }

    /// The node called `id`.
    #[must_use]
    pub fn get(&self, id: &NodeId) -> Option<&Peer<SLOTS>> {
        self.find(id).map(|pos| &self[pos])
    }

    /// How many nodes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.peers.len()
    }

    /// Whether there is no node: never so in a node that has started.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    /// The nodes, ascending by id.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Peer<SLOTS>> + ExactSizeIterator {
        self.peers.iter()
    }

    /// The places, ascending.
    pub fn positions(&self) -> impl Iterator<Item = Pos> + use<SLOTS> {
        (0..self.peers.len()).map(Pos::new)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Peer<SLOTS>> {
        self.peers.iter_mut()
    }

    /// The place at `index`, which must be below [`Peers::len`].
    pub(crate) fn at(&self, index: usize) -> Pos {
        Pos::new(index.min(self.peers.len().saturating_sub(1)))
    }

    /// Adds a node whose id is not in the table, and says where; the caller renumbers what it keeps.
    pub(crate) fn insert(&mut self, peer: Peer<SLOTS>) -> Pos {
        let index = self.search(&peer.id).unwrap_or_else(|index| index);
        self.words.insert(index, peer.id.first_word());
        self.peers.insert(index, peer);
        Pos::new(index)
    }

    /// Takes a node out; the caller renumbers what it keeps.
    pub(crate) fn remove(&mut self, pos: Pos) -> Peer<SLOTS> {
        self.words.remove(pos.index());
        self.peers.remove(pos.index())
    }
}

/// A set of places of one table; small ones hold no memory.
pub(crate) struct Places(SmallVec<[u64; 16]>);

impl Places {
    /// No place of a table of so many nodes.
    pub(crate) fn none_of(len: usize) -> Self {
        Self(SmallVec::from_elem(0, len.div_ceil(64)))
    }

    /// Adds a place of that table; false if it was there.
    pub(crate) fn insert(&mut self, pos: Pos) -> bool {
        let (word, bit) = (&mut self.0[pos.index() / 64], 1 << (pos.index() % 64));
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    /// Whether a place of that table was added.
    pub(crate) fn contains(&self, pos: Pos) -> bool {
        self.0[pos.index() / 64] >> (pos.index() % 64) & 1 == 1
    }
}

impl<const SLOTS: usize> Index<Pos> for Peers<SLOTS> {
    type Output = Peer<SLOTS>;
    fn index(&self, pos: Pos) -> &Peer<SLOTS> {
        &self.peers[pos.index()]
    }
}

impl<const SLOTS: usize> IndexMut<Pos> for Peers<SLOTS> {
    fn index_mut(&mut self, pos: Pos) -> &mut Peer<SLOTS> {
        &mut self.peers[pos.index()]
    }
}
