//! Owns the configurations with replicas: elections and manual failovers. Knows no search and no
//! property's inside.

use crate::configs::{A, B, C, Configuration, D, E, SLOTS, cluster_of_3, order};
use slotbus_core::{Command, Rule};
use slotbus_world::{Budget, Crashing, Pace, Place, Places, Setup, Stage, Witness, World};

/// Time is the same in all of them.
const PROMPT: &str = "prompt: only news takes time (FAIL, votes, UPDATE, announcements), less than a tick and in any order; \
                      heartbeats and links coming up take none; any number of ticks, in any order within a round";
/// So is replication.
const STREAM: &str = "a replica has all of its primary's writes at each of its ticks at which it reaches it";

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
    let mut stages = cluster_of_3([&[0], &[1], &[2, 3]]);
    stages.extend(replica(setup, D, A));
    setup.world_after(&stages)
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
