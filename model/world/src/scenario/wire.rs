//! Owns one TCP connection of a scenario: its two ends, and what is on the way in either direction.
//! Knows no node and no message's meaning.

use super::SLOTS;
use crate::place::Place;
use slotbus_core::{LinkId, Message};
use std::collections::VecDeque;

/// One end of a connection.
#[derive(Clone, Debug)]
pub(super) struct End {
    /// Whose it is; none if nobody listens at the address.
    pub(super) place: Option<Place>,
    /// Its owner's name for it; none before it is up.
    pub(super) link: Option<LinkId>,
    /// Whether its owner was told that it is up.
    pub(super) is_up: bool,
    /// Whether its owner has not closed it, nor noticed that the other end is closed.
    pub(super) is_open: bool,
    /// What is on the way to it, oldest first.
    pub(super) incoming: VecDeque<Message<SLOTS>>,
}

impl End {
    fn new(place: Option<Place>, link: Option<LinkId>) -> Self {
        Self { place, link, is_up: false, is_open: true, incoming: VecDeque::new() }
    }

    /// Closes it: what was on the way to it is lost.
    pub(super) fn shut(&mut self) {
        self.is_open = false;
        self.incoming.clear();
    }
}

/// One connection: the opener's end, then the target's.
#[derive(Clone, Debug)]
pub(super) struct Wire {
    pub(super) ends: [End; 2],
}

/// The opener's end of a [`Wire`].
pub(super) const OPENER: usize = 0;
/// The target's end of a [`Wire`].
pub(super) const TARGET: usize = 1;

impl Wire {
    pub(super) fn opening(opener: Place, link: LinkId, target: Option<Place>) -> Self {
        Self { ends: [End::new(Some(opener), Some(link)), End::new(target, None)] }
    }

    pub(super) fn is_over(&self) -> bool {
        self.ends.iter().all(|end| !end.is_open)
    }

    /// Which end is the one that `place` calls `link`.
    pub(super) fn end_of(&self, place: Place, link: LinkId) -> Option<usize> {
        self.ends.iter().position(|end| end.is_open && end.place == Some(place) && end.link == Some(link))
    }

    pub(super) fn touches(&self, place: Place) -> bool {
        self.ends.iter().any(|end| end.place == Some(place))
    }

    /// Whether it runs between these two, whoever opened it.
    pub(super) fn joins(&self, left: Place, right: Place) -> bool {
        self.touches(left) && self.touches(right)
    }
}
