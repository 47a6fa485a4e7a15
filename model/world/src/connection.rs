//! Owns TCP-like connections: two ends, each open or shut for itself, and data on the way in either
//! direction. Knows no message's meaning.
//!
//! Order holds within one direction of one connection and nowhere else. An end that shuts discards
//! what was on the way to it; what it sent before may still arrive at the other end, all of it,
//! a part or nothing, until that end notices.

use crate::{place::Place, shared::Shared};
use slotbus_core::{LinkId, Message};
use smallvec::SmallVec;

/// Inbound numbers of one opener: enough for every generation that a target may not have noticed as shut.
const LANES: u32 = 16;

/// What is on the way in one direction, oldest first.
pub type Queue<const SLOTS: usize> = SmallVec<[Shared<Message<SLOTS>>; 2]>;

/// How far one end of a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// Not established yet.
    Opening,
    /// Established.
    Open,
    /// Closed by this end, or noticed by it as closed.
    Shut,
}

/// One of the two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The end that opened it.
    Opener,
    /// The end that it was opened to.
    Target,
}

impl Side {
    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Opener => Self::Target,
            Self::Target => Self::Opener,
        }
    }
}

/// One connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Connection<const SLOTS: usize> {
    /// Who opened it.
    pub opener: Place,
    /// Whom it leads to; none if nobody listens at its address.
    pub target: Option<Place>,
    /// The opener's number for it; 0 once the opener's end is shut.
    pub outbound: u32,
    /// The target's number for it; 0 unless the target's end is open.
    pub inbound: u32,
    /// The opener's end.
    pub opener_end: End,
    /// The target's end.
    pub target_end: End,
    /// Whether the network broke it: nothing more gets in, and both ends are to notice.
    pub broken: bool,
    /// On the way from opener to target.
    pub to_target: Queue<SLOTS>,
    /// On the way from target to opener.
    pub to_opener: Queue<SLOTS>,
}

impl<const SLOTS: usize> Connection<SLOTS> {
    pub(crate) fn opening(opener: Place, target: Option<Place>, outbound: u32) -> Self {
        Self {
            opener,
            target,
            outbound,
            inbound: 0,
            opener_end: End::Opening,
            target_end: End::Opening,
            broken: false,
            to_target: Queue::new(),
            to_opener: Queue::new(),
        }
    }

    /// By this, the connections of a world are sorted: equal sets of connections are equal states.
    pub(crate) fn key(&self) -> (Place, Option<Place>, End, u32, End, u32) {
        (self.opener, self.target, self.opener_end, self.outbound, self.target_end, self.inbound)
    }

    /// The host at one end.
    #[must_use]
    pub fn host(&self, side: Side) -> Option<Place> {
        match side {
            Side::Opener => Some(self.opener),
            Side::Target => self.target,
        }
    }

    /// How far one end is.
    #[must_use]
    pub fn end(&self, side: Side) -> End {
        match side {
            Side::Opener => self.opener_end,
            Side::Target => self.target_end,
        }
    }

    /// The name of the link at one end.
    #[must_use]
    pub fn link(&self, side: Side) -> LinkId {
        match side {
            Side::Opener => LinkId::Outbound(self.outbound),
            Side::Target => LinkId::Inbound(self.inbound),
        }
    }

    /// What is on the way to one end.
    #[must_use]
    pub fn queue(&self, side: Side) -> &Queue<SLOTS> {
        match side {
            Side::Opener => &self.to_opener,
            Side::Target => &self.to_target,
        }
    }

    pub(crate) fn queue_mut(&mut self, side: Side) -> &mut Queue<SLOTS> {
        match side {
            Side::Opener => &mut self.to_opener,
            Side::Target => &mut self.to_target,
        }
    }

    /// Whether `link` of the host at `place` is this connection.
    pub(crate) fn side_of(&self, place: Place, link: LinkId) -> Option<Side> {
        let is_end = |side| self.host(side) == Some(place) && self.link(side) == link;
        let is_opener = is_end(Side::Opener) && self.opener_end != End::Shut;
        let is_target = is_end(Side::Target) && self.target_end == End::Open;
        if is_opener { Some(Side::Opener) } else { is_target.then_some(Side::Target) }
    }

    /// Whether the end at `side` is open.
    #[must_use]
    pub fn is_open_at(&self, side: Side) -> bool {
        self.end(side) == End::Open
    }

    /// Whether the end at `side` has a message to receive.
    #[must_use]
    pub fn has_mail(&self, side: Side) -> bool {
        self.is_open_at(side) && !self.queue(side).is_empty()
    }

    /// Whether the end at `side` is to notice that the connection is over.
    #[must_use]
    pub fn is_over_for(&self, side: Side) -> bool {
        self.is_open_at(side) && (self.broken || self.end(side.other()) == End::Shut)
    }

    /// Whether nothing more can come of it.
    pub(crate) fn is_over(&self) -> bool {
        let is_abandoned = self.opener_end == End::Shut && self.target_end != End::Open;
        is_abandoned || (self.opener_end == End::Shut && self.target_end == End::Shut)
    }

    /// The number that the target gives to a connection of `opener` when its numbers `taken` are in use.
    pub(crate) fn inbound_number(opener: Place, taken: &[u32]) -> u32 {
        let first = u32::from(opener.0) * LANES + 1;
        (first..).find(|number| !taken.contains(number)).unwrap_or(u32::MAX)
    }

    /// Puts a message on the way from `side`; it is lost if nobody reads at the other end any more.
    pub(crate) fn send(&mut self, side: Side, message: Shared<Message<SLOTS>>) {
        if !self.broken && self.end(side.other()) != End::Shut {
            self.queue_mut(side.other()).push(message);
        }
    }

    /// Shuts one end: what was on the way to it is gone, and its number is free.
    pub(crate) fn shut(&mut self, side: Side) {
        self.queue_mut(side).clear();
        match side {
            Side::Opener => {
                self.opener_end = End::Shut;
                self.outbound = 0;
            }
            Side::Target => {
                self.target_end = End::Shut;
                self.inbound = 0;
            }
        }
    }
}
