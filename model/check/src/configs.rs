//! Owns the standard configurations: which worlds are explored, within which bounds, and why these.

use crate::world_model::WorldModel;
use slotbus_core::{Command, Mutant, Profile, Slot};
use slotbus_world::{Budget, Crashing, Order, Pace, Place, Places, Setup, Witness, World};

/// Slots of every standard configuration: one for each owner, and one over.
pub const SLOTS: usize = 4;

/// One world to be explored.
#[derive(Clone, Copy)]
pub struct Configuration {
    /// Its name on command lines and in reports.
    pub name: &'static str,
    /// What it shows.
    pub summary: &'static str,
    /// Within which bounds, each with its reason.
    pub limits: &'static [&'static str],
    /// Which good situations it must reach.
    pub witnesses: &'static [Witness],
    build: fn(&mut Setup) -> World<SLOTS>,
    hosts: u8,
}

impl Configuration {
    /// The configuration called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        CONFIGURATIONS.iter().find(|configuration| configuration.name == name)
    }

    /// Its model, under a profile and with a deliberate fault if one is named.
    #[must_use]
    pub fn model(&self, profile: Profile, mutant: Option<Mutant>) -> WorldModel<SLOTS> {
        let mut setup = Setup::new(self.hosts, profile);
        setup.configure(|config| config.mutant = mutant);
        let origin = (self.build)(&mut setup);
        WorldModel { setup, origin, witnesses: self.witnesses.to_vec() }
    }
}

/// Every standard configuration.
pub const CONFIGURATIONS: &[Configuration] = &[
    Configuration {
        name: "meet_2",
        summary: "Two nodes MEET each other at once, on links that may break, with a restart.",
        limits: &[],
        witnesses: &[Witness::AllKnown],
        build: meet_2,
        hosts: 2,
    },
    Configuration {
        name: "meet_3",
        summary: "b MEETs a and c.",
        limits: &[],
        witnesses: &[Witness::AllKnown],
        build: meet_3,
        hosts: 3,
    },
    Configuration {
        name: "gossip_3",
        summary: "",
        limits: &[],
        witnesses: &[Witness::AllKnown, Witness::AllUp],
        build: gossip_3,
        hosts: 3,
    },
    Configuration {
        name: "failure_3",
        summary: "",
        limits: &[],
        witnesses: &[Witness::Failed, Witness::Recovered, Witness::AllUp],
        build: failure_3,
        hosts: 3,
    },
    Configuration {
        name: "collision_2",
        summary: "",
        limits: &[],
        witnesses: &[Witness::EpochsApart],
        build: collision_2,
        hosts: 2,
    },
    Configuration {
        name: "collision_3",
        summary: "",
        limits: &[],
        witnesses: &[Witness::EpochsApart],
        build: collision_3,
        hosts: 3,
    },
];

fn order(host: Place, command: Command) -> Order {
    Order { host, command }
}

fn env(name: &str, default: u8) -> u8 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

fn meet_2(setup: &mut Setup) -> World<SLOTS> {
    setup.pace = Pace::Free { ticks: env("TICKS", 3) };
    setup.budget = Budget { cuts: env("CUTS", 1), crashes: env("CRASHES", 1), restarts: env("CRASHES", 1), partitions: 0 };
    setup.crashing = Crashing { mortal: Places::of(&[Place::B]), amid: true, power: false };
    setup.scripts = vec![vec![Setup::meet(Place::A, Place::B)], vec![Setup::meet(Place::B, Place::A)]];
    setup.fresh()
}

fn meet_3(setup: &mut Setup) -> World<SLOTS> {
    setup.pace = Pace::Free { ticks: env("TICKS", 2) };
    setup.budget = Budget { cuts: env("CUTS", 0), ..Budget::default() };
    setup.scripts = vec![vec![Setup::meet(Place::B, Place::A)], vec![Setup::meet(Place::B, Place::C)]];
    setup.fresh()
}

fn gossip_3(setup: &mut Setup) -> World<SLOTS> {
    setup.scripts = vec![vec![Setup::meet(Place::B, Place::C)]];
    setup.pace = Pace::Free { ticks: env("TICKS", 2) };
    setup.fresh().settled(setup, &[order(Place::A, Command::AddSlots(vec![Slot(0)])), order(Place::B, Command::AddSlots(vec![Slot(1)])), order(Place::C, Command::AddSlots(vec![Slot(2), Slot(3)])), Setup::meet(Place::A, Place::B)], 5)
}

fn cluster_3(setup: &Setup) -> World<SLOTS> {
    setup.fresh().settled(setup, &[order(Place::A, Command::AddSlots(vec![Slot(0)])), order(Place::B, Command::AddSlots(vec![Slot(1)])), order(Place::C, Command::AddSlots(vec![Slot(2), Slot(3)])), Setup::meet(Place::A, Place::B), Setup::meet(Place::A, Place::C)], 6)
}

fn failure_3(setup: &mut Setup) -> World<SLOTS> {
    setup.pace = Pace::Timely;
    setup.budget = Budget { crashes: 1, restarts: 1, ..Budget::default() };
    setup.crashing = Crashing { mortal: Places::of(&[Place::C]), ..Crashing::default() };
    cluster_3(setup)
}

fn collision_2(setup: &mut Setup) -> World<SLOTS> {
    setup.pace = Pace::Free { ticks: env("TICKS", 2) };
    let all: Vec<_> = (0..4).map(Slot).collect();
    setup.scripts = vec![vec![Setup::meet(Place::A, Place::B)]];
    let orders: Vec<_> = setup.places().flat_map(|p| [order(p, Command::AddSlots(all.clone())), order(p, Command::SetConfigEpoch(1))]).collect();
    setup.fresh().settled(setup, &orders, 0)
}

fn collision_3(setup: &mut Setup) -> World<SLOTS> {
    setup.pace = Pace::Free { ticks: env("TICKS", 2) };
    let all: Vec<_> = (0..4).map(Slot).collect();
    setup.scripts = vec![vec![Setup::meet(Place::B, Place::A)], vec![Setup::meet(Place::B, Place::C)]];
    let orders: Vec<_> = setup.places().flat_map(|p| [order(p, Command::AddSlots(all.clone())), order(p, Command::SetConfigEpoch(1))]).collect();
    setup.fresh().settled(setup, &orders, 0)
}
