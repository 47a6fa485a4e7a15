//! Owns what must be possible: good situations that some run reaches. A model in which none can be
//! reached says nothing. Knows no property that must always hold.

use crate::{
    setup::{Places, Setup},
    world::World,
};
use slotbus_core::{ClusterState, Flags, Node};

/// A good situation that some run must reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Witness {
    /// Every host runs and every node has every other as a member.
    AllKnown,
    /// As before, and every node holds the cluster up.
    AllUp,
    /// Some node holds another failed.
    Failed,
    /// Some node held another failed, and now every host runs and nobody suspects anybody.
    Recovered,
    /// Every script is done, every node has every other as a member and knows the epoch of every
    /// primary, and no two of these are equal.
    EpochsApart,
    /// Every script is done and the network is quiet.
    ScriptsDone,
    /// Some node holds the cluster down because it suspects so many that no majority is left.
    Minority,
    /// Some node suspects another that runs.
    Suspected,
    /// Some replica took over from its primary.
    Promoted,
    /// As before, every host runs, and all agree on who owns which slot and is whose replica.
    Settled,
}

impl Witness {
    /// Every witness.
    pub const ALL: &'static [Self] = &[
        Self::AllKnown,
        Self::AllUp,
        Self::Failed,
        Self::Recovered,
        Self::EpochsApart,
        Self::ScriptsDone,
        Self::Minority,
        Self::Suspected,
        Self::Promoted,
        Self::Settled,
    ];

    /// Its name in reports.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::AllKnown => "W1 AllKnown",
            Self::AllUp => "W2 AllUp",
            Self::Failed => "W3 Failed",
            Self::Recovered => "W4 Recovered",
            Self::EpochsApart => "W5 EpochsApart",
            Self::ScriptsDone => "W6 ScriptsDone",
            Self::Minority => "W7 Minority",
            Self::Suspected => "W8 Suspected",
            Self::Promoted => "W9 Promoted",
            Self::Settled => "W10 Settled",
        }
    }

    /// What some run must reach.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::AllKnown => "every host runs and every node has every other as a member",
            Self::AllUp => "every node knows every other and holds the cluster up",
            Self::Failed => "some node holds another failed",
            Self::Recovered => "a node was held failed, and now every host runs and nobody suspects anybody",
            Self::EpochsApart => {
                "every command was given, every node knows every primary's config epoch, and no two are equal"
            }
            Self::ScriptsDone => "every command was given and the network is quiet",
            Self::Minority => "some node suspects so many voters that it holds the cluster down",
            Self::Suspected => "some node suspects another that runs",
            Self::Promoted => "some replica took over from its primary",
            Self::Settled => "some replica took over, every host runs, and all agree on owners and roles",
        }
    }

    /// Whether `world` is such a situation.
    #[must_use]
    pub fn holds<const SLOTS: usize>(self, setup: &Setup, world: &World<SLOTS>) -> bool {
        match self {
            Self::AllKnown => is_all_known(setup, world),
            Self::AllUp => is_all_known(setup, world) && world.nodes().all(|(_, node)| is_up(node)),
            Self::Failed => world.nodes().any(|(_, node)| holds(node, Flags::FAIL)),
            Self::Recovered => is_recovered(setup, world),
            Self::EpochsApart => world.is_script_done(setup) && are_epochs_apart(setup, world),
            Self::ScriptsDone => world.is_script_done(setup) && world.is_quiet(),
            Self::Minority => world.nodes().any(|(_, node)| is_in_minority(node)),
            Self::Suspected => is_suspected(world),
            Self::Promoted => world.ghost().promoted() != Places::NONE,
            Self::Settled => world.ghost().promoted() != Places::NONE && is_all_known(setup, world) && is_agreed(world),
        }
    }
}

fn is_up<const SLOTS: usize>(node: &Node<SLOTS>) -> bool {
    node.state() == ClusterState::Ok
}

fn holds<const SLOTS: usize>(node: &Node<SLOTS>, flags: Flags) -> bool {
    node.peers().iter().any(|peer| peer.is_any(flags))
}

fn is_all_known<const SLOTS: usize>(setup: &Setup, world: &World<SLOTS>) -> bool {
    let knows = |node: &Node<SLOTS>, place: crate::place::Place| {
        node.peers().get(&place.id()).is_some_and(|peer| !peer.is(Flags::HANDSHAKE))
    };
    setup.places().all(|place| world.node(place).is_some_and(|node| setup.places().all(|other| knows(node, other))))
}

fn is_recovered<const SLOTS: usize>(setup: &Setup, world: &World<SLOTS>) -> bool {
    let is_trusting = |node: &Node<SLOTS>| !holds(node, Flags::PFAIL | Flags::FAIL);
    world.ghost().has_failed() && is_all_known(setup, world) && world.nodes().all(|(_, node)| is_trusting(node))
}

fn are_epochs_apart<const SLOTS: usize>(setup: &Setup, world: &World<SLOTS>) -> bool {
    let primaries = || world.nodes().filter(|(_, node)| node.myself().is_primary());
    let mut epochs: Vec<u64> = primaries().map(|(_, node)| node.my_epoch()).collect();
    let knows_epochs = |node: &Node<SLOTS>| {
        let is_right = |(place, other): (crate::place::Place, &Node<SLOTS>)| {
            node.peers().get(&place.id()).is_some_and(|peer| peer.config_epoch == other.my_epoch())
        };
        primaries().all(is_right)
    };
    let is_agreed = is_all_known(setup, world) && world.nodes().all(|(_, node)| knows_epochs(node));
    epochs.sort_unstable();
    is_agreed && epochs.windows(2).all(|pair| pair[0] < pair[1])
}

/// Whether all nodes that run agree on who owns which slot and is whose replica.
pub(crate) fn is_agreed<const SLOTS: usize>(world: &World<SLOTS>) -> bool {
    let view = |node: &Node<SLOTS>| -> Vec<_> {
        node.peers().iter().map(|peer| (peer.id, peer.is_primary(), peer.primary, peer.slots.clone())).collect()
    };
    let mut views = world.nodes().map(|(_, node)| view(node));
    let first = views.next();
    views.all(|view| Some(view) == first)
}

fn is_suspected<const SLOTS: usize>(world: &World<SLOTS>) -> bool {
    let suspects = |node: &Node<SLOTS>, id| node.peers().get(&id).is_some_and(|peer| peer.is(Flags::PFAIL));
    world.nodes().any(|(place, _)| world.nodes().any(|(_, node)| suspects(node, place.id())))
}

fn is_in_minority<const SLOTS: usize>(node: &Node<SLOTS>) -> bool {
    let voters = || node.peers().iter().filter(|peer| peer.is_voter());
    let trusted = voters().filter(|peer| !peer.is_any(Flags::PFAIL | Flags::FAIL)).count();
    node.state() == ClusterState::Fail && trusted <= voters().count() / 2 && trusted > 0
}
