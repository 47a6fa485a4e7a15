//! Owns what a node knows of its links: who is at the other end, since when, with which addresses.
//! Knows no socket.

use crate::{address::Host, ids::LinkId, peer::Pos, time::Millis};
use alloc::vec::Vec;

/// One link of a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link {
    /// Its name.
    pub id: LinkId,
    /// Who is at the other end; always known for outbound links, and for inbound ones once a known
    /// node has spoken.
    pub peer: Option<Pos>,
    /// When it was opened or accepted.
    pub opened: Millis,
    /// Whether the connection is established.
    pub up: bool,
    /// This end's address.
    pub local: Host,
    /// The other end's address.
    pub remote: Host,
}

/// Every link of a node, ascending by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Links(Vec<Link>);

impl Links {
    /// The link called `id`.
    #[must_use]
    pub fn get(&self, id: LinkId) -> Option<&Link> {
        self.find(id).ok().map(|index| &self.0[index])
    }

    /// The links, ascending by name.
    pub fn iter(&self) -> impl Iterator<Item = &Link> {
        self.0.iter()
    }

    pub(crate) fn get_mut(&mut self, id: LinkId) -> Option<&mut Link> {
        self.find(id).ok().map(|index| &mut self.0[index])
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Link> {
        self.0.iter_mut()
    }

    /// Adds a link, in place of an older one of that name.
    pub(crate) fn put(&mut self, link: Link) {
        match self.find(link.id) {
            Ok(index) => self.0[index] = link,
            Err(index) => self.0.insert(index, link),
        }
    }

    pub(crate) fn remove(&mut self, id: LinkId) -> Option<Link> {
        self.find(id).ok().map(|index| self.0.remove(index))
    }

    /// The smallest outbound number that no link has.
    pub(crate) fn free_outbound(&self) -> u32 {
        // Outbound links sort first and their numbers ascend: up to the first gap, number and index are one.
        let (mut dense, mut end) = (0, self.0.len());
        while dense < end {
            let middle = dense + (end - dense) / 2;
            match self.0[middle].id {
                LinkId::Outbound(number) if usize::try_from(number) == Ok(middle) => dense = middle + 1,
                LinkId::Outbound(_) | LinkId::Inbound(_) => end = middle,
            }
        }
        u32::try_from(dense).unwrap_or(u32::MAX)
    }

    pub(crate) fn renumber(&mut self, change: impl Fn(Pos) -> Pos) {
        for pos in self.0.iter_mut().filter_map(|link| link.peer.as_mut()) {
            *pos = change(*pos);
        }
    }

    fn find(&self, id: LinkId) -> Result<usize, usize> {
        self.0.binary_search_by(|link| link.id.cmp(&id))
    }
}
