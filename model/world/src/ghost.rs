//! Owns what no node remembers but invariants must know: who was introduced to whom, whom an
//! administrator banned, and which invariants a step has broken. No action reads it.

use crate::{
    cause::Cause,
    claims::Claims,
    elections::Elections,
    invariants::{Invariant, Seen},
    place::Place,
    setup::Places,
};
use slotbus_core::{Command, Rule};
use smallvec::SmallVec;

/// A set of invariants: those that are broken, or those that nobody asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Broken(u64);

impl Broken {
    /// Whether none is in it.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `invariant` is in it.
    #[must_use]
    pub fn contains(self, invariant: Invariant) -> bool {
        self.0 >> invariant as u64 & 1 == 1
    }

    /// Adds an invariant.
    pub fn insert(&mut self, invariant: Invariant) {
        self.0 |= 1 << invariant as u64;
    }
}

/// A node's promise not to let another in, for as long as its ban lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ban {
    /// Who promised.
    pub by: Place,
    /// Whom it banned.
    pub whom: Place,
    /// How long the ban still lasts, on the clock of `by`.
    pub left_ms: u64,
}

/// What no node remembers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ghost {
    /// By place: the least host of its cluster, as far as administrators introduced hosts to each other.
    clusters: SmallVec<[Place; 8]>,
    /// Bans in force, ascending.
    bans: SmallVec<[Ban; 1]>,
    /// Invariants that a step has broken.
    pub(crate) broken: Broken,
    /// Whether any node has held another failed.
    pub(crate) has_failed: bool,
    /// Votes and wins.
    pub(crate) elections: Elections,
    /// Slots and their keys.
    pub(crate) claims: Claims,
    /// Who has taken over from its primary.
    pub(crate) promoted: Places,
    /// Who was told to take over from its primary, said that it would, and has not.
    pub(crate) called: Places,
}

impl Ghost {
    /// The ghost of so many hosts that nobody has introduced to each other.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self { clusters: (0..count).map(Place::at).collect(), ..Self::default() }
    }

    /// Invariants that a step has broken.
    #[must_use]
    pub fn broken(&self) -> Broken {
        self.broken
    }

    /// Whether any node has held another failed, at any time so far.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// Whether administrators introduced these hosts to each other, directly or through others.
    #[must_use]
    pub fn are_of_one_cluster(&self, left: Place, right: Place) -> bool {
        self.clusters.get(left.index()) == self.clusters.get(right.index())
    }

    /// Whether `by` is bound by a ban of `whom`.
    #[must_use]
    pub fn is_banned(&self, by: Place, whom: Place) -> bool {
        self.bans.iter().any(|ban| (ban.by, ban.whom) == (by, whom))
    }

    /// An administrator introduced `guest` to `host`. That ends every ban: whoever is asked in may
    /// bring along whom it knows.
    pub fn introduced(&mut self, host: Place, guest: Place) {
        let (left, right) = (self.clusters[host.index()], self.clusters[guest.index()]);
        let (least, other) = (left.min(right), left.max(right));
        self.clusters.iter_mut().filter(|cluster| **cluster == other).for_each(|cluster| *cluster = least);
        self.bans.clear();
    }

    pub(crate) fn banned(&mut self, by: Place, whom: Place, left_ms: u64) {
        self.bans.retain(|ban| (ban.by, ban.whom) != (by, whom));
        self.bans.push(Ban { by, whom, left_ms });
        self.bans.sort_unstable();
    }

    /// Whether any ban is in force.
    pub(crate) fn has_bans(&self) -> bool {
        !self.bans.is_empty()
    }

    /// `elapsed_ms` passed on the clock of `host`.
    pub(crate) fn elapsed(&mut self, host: Place, elapsed_ms: u64) {
        self.bans.retain(|ban| ban.by != host || ban.left_ms >= elapsed_ms);
        for ban in self.bans.iter_mut().filter(|ban| ban.by == host) {
            ban.left_ms -= elapsed_ms;
        }
    }

    /// Notes what a step did that nodes do not remember.
    pub(crate) fn note<const SLOTS: usize>(&mut self, seen: &Seen<'_, SLOTS>) {
        self.elections.note(seen);
        self.claims.note(seen);
        let takes_over = |rule: &Rule| matches!(rule, Rule::ElectWon | Rule::ManualTakeover);
        if seen.effects.rules.iter().any(takes_over) {
            self.promoted = self.promoted.with(seen.place);
            self.called = self.called.without(seen.place);
        } else if is_called(seen) {
            self.called = self.called.with(seen.place);
        }
    }

    /// Who has taken over from its primary, at any time so far.
    #[must_use]
    pub fn promoted(&self) -> Places {
        self.promoted
    }

    /// Who was told to take over from its primary, said that it would, and has not.
    #[must_use]
    pub fn called(&self) -> Places {
        self.called
    }

    /// A host's memory is gone, and its bans with it.
    pub(crate) fn crashed(&mut self, host: Place) {
        self.bans.retain(|ban| ban.by != host);
    }
}

fn is_called<const SLOTS: usize>(seen: &Seen<'_, SLOTS>) -> bool {
    matches!(seen.cause, Cause::Admin(Command::Failover(_))) && seen.says_done()
}

/// Whom a command introduces to the node that it is given to.
pub(crate) fn is_introduction(command: &Command) -> bool {
    match command {
        Command::Meet { .. } => true,
        Command::Forget(_)
        | Command::AddSlots(_)
        | Command::DelSlots(_)
        | Command::BumpEpoch
        | Command::SetConfigEpoch(_)
        | Command::SaveConfig
        | Command::FlushSlots { .. }
        | Command::SetSlot { .. }
        | Command::Replicate { .. }
        | Command::Failover(_)
        | Command::Reset { .. }
        | Command::Publish { .. } => false,
    }
}
