//! Owns what a cluster must come to in the end: situations that every fair run reaches again and
//! again once administrators are silent. Knows no search.
//!
//! A goal is a condition on one world, and speaks only of hosts that run and can reach each other:
//! what a later fault changes is part of the condition. "Eventually P" for every node and every pair
//! then is: again and again, P holds for all of them at once.

use slotbus_core::{Command, Flags, Node, NodeId, Peer, Slot};
use slotbus_world::{Order, Place, Places, Setup, World};

/// A situation that must come about in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Goal {
    /// No two primaries share a config epoch.
    EpochUnique,
    /// All agree on roles, primaries and owners, and with what each says of itself.
    Converge,
    /// Every slot is served, if a majority of voters runs.
    Failover,
    /// Nobody holds a node failed that runs.
    FailCleared,
    /// Nobody suspects a node that runs.
    SuspicionCleared,
    /// Who is down is held failed, if a majority can say so.
    Detect,
    /// Knowing each other is mutual.
    MeetCompletes,
    /// No replica replicates a replica.
    Flatten,
    /// No primary is left without slots.
    ExPrimaryRejoins,
    /// No manual failover is under way.
    ManualEnds,
    /// Who was told to take over has.
    ManualSucceeds,
    /// No slot is claimed twice.
    StaleCorrected,
    /// Who was forgotten on request is unknown.
    ForgetCompletes,
    /// No primary is left without a replica while another has one to spare.
    OrphanServed,
    /// Every slot's owner claims it, if it runs.
    OwnersClaim,
    /// No slot is left with a node that is down while a replica of it runs.
    CoverageReturns,
}

impl Goal {
    /// Every goal.
    pub const ALL: &'static [Self] = &[
        Self::EpochUnique,
        Self::Converge,
        Self::Failover,
        Self::FailCleared,
        Self::SuspicionCleared,
        Self::Detect,
        Self::MeetCompletes,
        Self::Flatten,
        Self::ExPrimaryRejoins,
        Self::ManualEnds,
        Self::ManualSucceeds,
        Self::StaleCorrected,
        Self::ForgetCompletes,
        Self::OwnersClaim,
        Self::OrphanServed,
        Self::CoverageReturns,
    ];

    /// Its name in reports.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::EpochUnique => "L1 EpochUnique",
            Self::Converge => "L2 Converge",
            Self::Failover => "L3 Failover",
            Self::FailCleared => "L4 FailCleared",
            Self::SuspicionCleared => "L4 SuspicionCleared",
            Self::Detect => "L5 Detect",
            Self::MeetCompletes => "L6 MeetCompletes",
            Self::Flatten => "L8 Flatten",
            Self::ExPrimaryRejoins => "L9 ExPrimaryRejoins",
            Self::ManualEnds => "L10 ManualEnds",
            Self::ManualSucceeds => "L10 ManualSucceeds",
            Self::StaleCorrected => "L11 StaleCorrected",
            Self::ForgetCompletes => "L7 ForgetCompletes",
            Self::OwnersClaim => "L13 OwnersClaim",
            Self::OrphanServed => "L12 OrphanServed",
            Self::CoverageReturns => "L13 CoverageReturns",
        }
    }

    /// What must come about.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::EpochUnique => "no two primaries that know each other share a config epoch",
            Self::Converge => "all agree on roles, primaries, owners and epochs, and with what each says of itself",
            Self::Failover => "every slot that has an owner has one that runs, if a majority of voters does",
            Self::FailCleared => "nobody holds a node failed that it can reach",
            Self::SuspicionCleared => "nobody suspects a node that it can reach, or holds it failed",
            Self::Detect => {
                "every voter that is down, or that a majority of voters cannot reach, is held failed by whoever cannot reach it, if a majority of voters runs"
            }
            Self::MeetCompletes => "of two nodes, both know each other or neither does",
            Self::Flatten => "every replica's primary is a primary",
            Self::ExPrimaryRejoins => "every primary has a slot",
            Self::ManualEnds => "no manual failover is under way",
            Self::ManualSucceeds => "whoever was told to take over from its primary has",
            Self::StaleCorrected => "no two nodes claim a slot",
            Self::ForgetCompletes => "no node knows another that it was told to forget",
            Self::OwnersClaim => "every slot that has an owner has one that claims it, or that is down",
            Self::OrphanServed => "no primary with slots is without a replica while another has more than the barrier",
            Self::CoverageReturns => "no slot belongs to a node that is down and has a replica that runs",
        }
    }

    /// What is assumed of every run: `G` no more commands, every partition heals, deliveries and
    /// ticks go on. `N` means the same, and no node forgets another.
    #[must_use]
    pub const fn assumes(self) -> &'static str {
        match self {
            Self::EpochUnique
            | Self::FailCleared
            | Self::SuspicionCleared
            | Self::Detect
            | Self::MeetCompletes
            | Self::Flatten
            | Self::StaleCorrected
            | Self::ForgetCompletes
            | Self::OwnersClaim => "G",
            Self::Converge
            | Self::Failover
            | Self::ExPrimaryRejoins
            | Self::ManualEnds
            | Self::ManualSucceeds
            | Self::OrphanServed
            | Self::CoverageReturns => "N,G",
        }
    }

    /// Whether `world` is such a situation.
    #[must_use]
    pub fn holds<const SLOTS: usize>(self, setup: &Setup, world: &World<SLOTS>) -> bool {
        match self {
            Self::EpochUnique => every_pair(world, |left, right| !is_collision(left, right)),
            Self::Converge => every_pair(world, agree),
            Self::Failover => world.nodes().all(|(_, node)| is_served(world, node) || !has_majority(world, node)),
            Self::FailCleared => every_pair(world, |left, right| !holds(left, right, Flags::FAIL)),
            Self::SuspicionCleared => every_pair(world, |left, right| !holds(left, right, Flags::PFAIL | Flags::FAIL)),
            Self::Detect => setup.places().filter(|&place| is_lost(world, place)).all(|lost| is_held(world, lost)),
            Self::MeetCompletes => every_pair(world, |left, right| knows(left, right) == knows(right, left)),
            Self::Flatten => {
                every_pair(world, |left, right| left.myself().primary != Some(right.id()) || is_lead(right))
            }
            Self::ExPrimaryRejoins => world.nodes().all(|(_, node)| !is_lead(node) || node.myself().is_voter()),
            Self::ManualEnds => world.nodes().all(|(_, node)| node.manual_failover().is_none()),
            Self::ManualSucceeds => world.ghost().called() == Places::NONE,
            Self::StaleCorrected => every_pair(world, |left, right| !is_overlap(left, right)),
            Self::ForgetCompletes => setup.scripts.iter().flatten().all(|order| is_forgotten(world, order)),
            Self::OwnersClaim => world.nodes().all(|(_, node)| is_claimed(world, node)),
            Self::OrphanServed => !has_orphan(world) || !has_spare(world),
            Self::CoverageReturns => world.nodes().all(|(_, node)| is_covered(world, node)),
        }
    }
}

/// Whether something holds for every two nodes that run and can reach each other, in either order.
fn every_pair<const SLOTS: usize>(world: &World<SLOTS>, holds: impl Fn(&Node<SLOTS>, &Node<SLOTS>) -> bool) -> bool {
    world.nodes().all(|(here, left)| {
        let others = world.nodes().filter(|&(there, _)| there != here && !world.are_parted(here, there));
        others.into_iter().all(|(_, right)| holds(left, right))
    })
}

fn sees<'a, const SLOTS: usize>(node: &'a Node<SLOTS>, other: &Node<SLOTS>) -> Option<&'a Peer<SLOTS>> {
    node.peers().get(&other.id())
}

fn knows<const SLOTS: usize>(node: &Node<SLOTS>, other: &Node<SLOTS>) -> bool {
    sees(node, other).is_some_and(|peer| !peer.is(Flags::HANDSHAKE))
}

fn is_lead<const SLOTS: usize>(node: &Node<SLOTS>) -> bool {
    node.myself().is_primary()
}

/// Whether a node holds another for any of `flags`.
fn holds<const SLOTS: usize>(node: &Node<SLOTS>, other: &Node<SLOTS>, flags: Flags) -> bool {
    sees(node, other).is_some_and(|peer| peer.is_any(flags))
}

fn is_collision<const SLOTS: usize>(left: &Node<SLOTS>, right: &Node<SLOTS>) -> bool {
    let are_known = knows(left, right) && knows(right, left);
    are_known && is_lead(left) && is_lead(right) && left.my_epoch() == right.my_epoch()
}

fn is_overlap<const SLOTS: usize>(left: &Node<SLOTS>, right: &Node<SLOTS>) -> bool {
    let mut slots = left.myself().slots.iter();
    knows(left, right) && slots.any(|slot| right.myself().slots.contains(slot))
}

/// Whether a node sees another as that sees itself, and both see the same owners.
fn agree<const SLOTS: usize>(node: &Node<SLOTS>, other: &Node<SLOTS>) -> bool {
    let own = other.myself();
    let is_as_it_says = sees(node, other).is_some_and(|seen| {
        let is_role = (seen.is_primary(), seen.primary) == (own.is_primary(), own.primary);
        let is_claim = !own.is_primary() || (seen.config_epoch == own.config_epoch && seen.slots == own.slots);
        !seen.is(Flags::HANDSHAKE) && is_role && is_claim
    });
    is_as_it_says && owners(node).eq(owners(other))
}

fn owners<const SLOTS: usize>(node: &Node<SLOTS>) -> impl Iterator<Item = (Slot, Option<NodeId>)> {
    node.owners().iter().map(|(slot, owner)| (slot, owner.map(|pos| node.peers()[pos].id)))
}

/// Whether every slot, in a node's view, belongs to a node that runs.
fn is_served<const SLOTS: usize>(world: &World<SLOTS>, node: &Node<SLOTS>) -> bool {
    owners(node).all(|(_, owner)| owner.is_none_or(|id| runs(world, id)))
}

/// Whether every slot, in a node's view, belongs to a node that runs, or to one without a replica that does.
fn is_covered<const SLOTS: usize>(world: &World<SLOTS>, node: &Node<SLOTS>) -> bool {
    owners(node).all(|(_, owner)| owner.is_none_or(|id| runs(world, id) || replicas(world, id) == 0))
}

fn runs<const SLOTS: usize>(world: &World<SLOTS>, id: NodeId) -> bool {
    world.nodes().any(|(_, node)| node.id() == id)
}

/// How many nodes run that replicate `primary`.
fn replicas<const SLOTS: usize>(world: &World<SLOTS>, primary: NodeId) -> usize {
    world.nodes().filter(|(_, node)| node.myself().primary == Some(primary)).count()
}

/// Whether a primary with slots that runs has no replica.
fn has_orphan<const SLOTS: usize>(world: &World<SLOTS>) -> bool {
    world.nodes().any(|(_, node)| node.myself().is_voter() && replicas(world, node.id()) == 0)
}

/// Whether a primary that runs has a replica that may move.
fn has_spare<const SLOTS: usize>(world: &World<SLOTS>) -> bool {
    world.nodes().any(|(_, node)| replicas(world, node.id()) > node.config().migration_barrier)
}

/// Whether every slot, in a node's view, belongs to a node that says so itself, or that is down.
fn is_claimed<const SLOTS: usize>(world: &World<SLOTS>, node: &Node<SLOTS>) -> bool {
    let denies = |slot, id| world.nodes().any(|(_, other)| other.id() == id && !other.myself().slots.contains(slot));
    owners(node).all(|(slot, owner)| owner.is_none_or(|id| !denies(slot, id)))
}

/// Whether a host is down, or parted from most of the voters that run.
fn is_lost<const SLOTS: usize>(world: &World<SLOTS>, place: Place) -> bool {
    let voters = || world.nodes().filter(|(other, node)| *other != place && node.myself().is_voter());
    let parted = voters().filter(|&(other, _)| world.are_parted(place, other)).count();
    world.node(place).is_none() || parted * 2 > voters().count() + 1
}

/// Whether all who cannot reach a node hold it failed, unless too few voters run to say so.
fn is_held<const SLOTS: usize>(world: &World<SLOTS>, lost: Place) -> bool {
    let holds = |node: &Node<SLOTS>| {
        let seen = node.peers().get(&lost.id());
        seen.is_none_or(|peer| !peer.is_voter() || peer.is(Flags::FAIL)) || !has_majority(world, node)
    };
    let is_cut_off = |place| world.node(lost).is_none() || world.are_parted(place, lost);
    world.nodes().filter(|&(place, _)| is_cut_off(place)).all(|(_, node)| holds(node))
}

/// Whether a node does not know whom it was told to forget, if it was told to.
fn is_forgotten<const SLOTS: usize>(world: &World<SLOTS>, order: &Order) -> bool {
    let Command::Forget(id) = &order.command else { return true };
    let entry = world.node(order.host).and_then(|node| node.peers().get(id));
    entry.is_none_or(|peer| peer.is(Flags::HANDSHAKE))
}

/// Whether of the voters that a node counts a majority runs.
fn has_majority<const SLOTS: usize>(world: &World<SLOTS>, node: &Node<SLOTS>) -> bool {
    let voters = || node.peers().iter().filter(|peer| peer.is_voter());
    let running = voters().filter(|peer| world.nodes().any(|(_, other)| other.id() == peer.id)).count();
    running > voters().count() / 2
}
