//! Owns the configurations with replicas: elections and manual failovers. Knows no search and no
//! property's inside.

use crate::configs::{A, B, Configuration, D, E, SLOTS, cluster_of_3, order};
use slotbus_core::{Command, Rule};
use slotbus_world::{Budget, Crashing, Pace, Place, Places, Setup, Stage, Witness, World};

/// Time is the same in all of them.
const PROMPT: &str = "prompt: only news takes time (FAIL, votes, UPDATE, announcements), less than a tick and in any order; \
                      heartbeats and links coming up take none; any number of ticks, in any order within a round";
/// So is replication.
const STREAM: &str = "a replica has all of its primary's writes at each of its ticks at which it reaches it";
/// In the larger ones, ages are coarser.
const BRISK: &str = "the node timeout is one tick: everybody pings everybody at every tick";

pub(crate) const ELECTION_4: Configuration = Configuration {
    name: "election_4",
    summary: "The primary of a replica is killed at any moment, may return, and the replica is elected.",
    limits: &[
        "3 primaries with slots, 1 replica of the first",
        PROMPT,
        STREAM,
        "1 crash, of that primary, 1 restart; replica validity factor 1",
    ],
    witnesses: &[Witness::Promoted, Witness::Settled],
    rules: &[Rule::ElectScheduled, Rule::ElectAsked, Rule::ElectVoted, Rule::ElectCounted, Rule::ElectWon],
    has_actors: false,
    hosts: 4,
    build: election_4,
};

fn election_4(setup: &mut Setup) -> World<SLOTS> {
    setup.pace = Pace::Prompt;
    setup.configure(|config| config.replica_validity_factor = 1);
    setup.budget = Budget { crashes: 1, restarts: 1, ..Budget::default() };
    setup.crashing = Crashing { mortal: Places::of(&[A]), ..Crashing::default() };
    let replicas = replica(setup, D, A);
    setup.world_after(&[cluster_of_3([&[0], &[1], &[2, 3]]), replicas].concat())
}

pub(crate) const ELECTION_5: Configuration = Configuration {
    name: "election_5",
    summary: "Two replicas stand for the seat of their primary, which is killed at any moment and may return.",
    limits: &[
        "3 primaries with slots, 2 replicas of the first",
        PROMPT,
        BRISK,
        STREAM,
        "1 crash, of that primary, 1 restart; replica validity factor 1",
    ],
    witnesses: &[Witness::Promoted, Witness::Settled],
    rules: &[Rule::ElectScheduled, Rule::ElectAsked, Rule::ElectVoted, Rule::ElectCounted, Rule::ElectWon],
    has_actors: false,
    hosts: 5,
    build: election_5,
};

fn election_5(setup: &mut Setup) -> World<SLOTS> {
    brisk(setup);
    setup.budget = Budget { crashes: 1, restarts: 1, ..Budget::default() };
    setup.crashing = Crashing { mortal: Places::of(&[A]), ..Crashing::default() };
    let replicas = [replica(setup, D, A), replica(setup, E, A)].concat();
    setup.world_after(&[cluster_of_3([&[0], &[1], &[2, 3]]), replicas].concat())
}

/// Only news takes time, and a tick is a node timeout.
fn brisk(setup: &mut Setup) {
    setup.pace = Pace::Prompt;
    setup.configure(|config| {
        config.replica_validity_factor = 1;
        config.timing.node_timeout_ms = 1000;
    });
}

/// A host that joins as a replica of `primary`.
fn replica(setup: &Setup, host: Place, primary: Place) -> Vec<Stage> {
    let primary = setup.hosts[primary.index()].id;
    let replicate = Command::Replicate { primary, has_keys: false };
    vec![
        Stage::Command(Setup::meet(B, host)),
        Stage::Rounds(6),
        Stage::Command(order(host, replicate)),
        Stage::Rounds(4),
    ]
}

pub(crate) fn x4(setup: &mut Setup) -> World<SLOTS> {
    brisk(setup);
    setup.budget = Budget { crashes: 1, restarts: 1, ..Budget::default() };
    setup.crashing = Crashing { mortal: Places::of(&[A]), ..Crashing::default() };
    let replicas = replica(setup, D, A);
    setup.world_after(&[cluster_of_3([&[0], &[1], &[2, 3]]), replicas].concat())
}
