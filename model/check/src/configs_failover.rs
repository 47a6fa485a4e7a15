//! Owns the configurations in which replicas take over: by election, or because an administrator
//! says so. Knows no search and no property's inside.

use crate::{
    configs::{A, B, C, Configuration, D, E, SLOTS},
    stages::{cluster_of_3, failover, order},
};
use slotbus_core::{Command, FailoverMode, Rule};
use slotbus_world::{Budget, Crashing, Pace, Place, Places, Setup, Stage, Witness, World};

/// How time passes in all of them.
pub(crate) const PROMPT: &str = "prompt: only news takes time (FAIL, votes, UPDATE, announcements), less than a tick and in any \
                                 order; heartbeats and links coming up take none; any number of ticks, in any order within a round";
/// In all but one, ages are coarser.
pub(crate) const BRISK: &str =
    "the node timeout is one tick: at every tick everybody is pinged who has not pinged, and ages are few";
/// In the largest, hosts take turns.
pub(crate) const ORDERLY: &str = "hosts tick in turn, a first; news, faults and commands come at any moment between";
/// What becomes of replication.
pub(crate) const STREAM: &str = "a replica has all of its primary's writes at each of its ticks at which it reaches it";
/// Elections end, one way or the other.
const VALIDITY: &str = "replica validity factor 1: data grows too old before elections could be repeated for ever";
/// So they do where hosts take turns.
pub(crate) const VALIDITY_3: &str =
    "replica validity factor 3: data grows too old before elections could be repeated for ever";

const ELECTION: &[Rule] =
    &[Rule::ElectScheduled, Rule::ElectAsked, Rule::ElectVoted, Rule::ElectCounted, Rule::ElectWon];

pub(crate) const ELECTION_4: Configuration = Configuration {
    name: "election_4",
    summary: "A primary is killed at any moment, its replica is elected, and it may return.",
    limits: &["3 primaries with slots, 1 replica of the first", PROMPT, BRISK, STREAM, VALIDITY, "1 crash, 1 restart"],
    witnesses: &[Witness::Promoted, Witness::Settled],
    rules: ELECTION,
    is_quick: true,
    has_actors: false,
    hosts: 4,
    build: election_4,
};

fn election_4(setup: &mut Setup) -> World<SLOTS> {
    brisk(setup);
    election_timed_4(setup)
}

pub(crate) const ELECTION_TIMED_4: Configuration = Configuration {
    name: "election_timed_4",
    summary: "As election_4, with a node timeout of two ticks: nodes hear of each other at different times.",
    limits: &["3 primaries with slots, 1 replica of the first", PROMPT, STREAM, VALIDITY, "1 crash, 1 restart"],
    is_quick: false,
    build: election_timed_4,
    ..ELECTION_4
};

fn election_timed_4(setup: &mut Setup) -> World<SLOTS> {
    setup.pace = Pace::Prompt;
    setup.configure(|config| config.replica_validity_factor = 1);
    setup.budget = Budget { crashes: 1, restarts: 1, ..Budget::default() };
    setup.crashing = killing(&[A]);
    setup.world_after(&cluster_of_4(setup))
}

pub(crate) const ELECTION_5: Configuration = Configuration {
    name: "election_5",
    summary: "Two replicas stand for the seat of their primary, which is killed at any moment for good.",
    limits: &["3 primaries with slots, 2 replicas of the first", PROMPT, BRISK, STREAM, VALIDITY, "1 crash"],
    witnesses: &[Witness::Promoted],
    rules: ELECTION,
    is_quick: true,
    has_actors: false,
    hosts: 5,
    build: election_5,
};

fn election_5(setup: &mut Setup) -> World<SLOTS> {
    brisk(setup);
    setup.budget = Budget { crashes: 1, ..Budget::default() };
    setup.crashing = killing(&[A]);
    setup.world_after(&two_replicas(setup))
}

pub(crate) const ELECTION_RETURN_5: Configuration = Configuration {
    name: "election_return_5",
    summary: "Two replicas stand for the seat of their primary, which is killed at any moment and may return at any other.",
    limits: &[
        "3 primaries with slots, 2 replicas of the first",
        PROMPT,
        BRISK,
        ORDERLY,
        STREAM,
        VALIDITY_3,
        "1 crash, 1 restart",
    ],
    witnesses: &[Witness::Promoted, Witness::Settled],
    rules: ELECTION,
    is_quick: true,
    has_actors: false,
    hosts: 5,
    build: election_return_5,
};

fn election_return_5(setup: &mut Setup) -> World<SLOTS> {
    orderly(setup);
    setup.budget = Budget { crashes: 1, restarts: 1, ..Budget::default() };
    setup.crashing = killing(&[A]);
    setup.world_after(&two_replicas(setup))
}

pub(crate) const VOTE_CRASH_5: Configuration = Configuration {
    name: "vote_crash_5",
    summary: "As election_5, and a voter is killed, too: at any moment, or after it saved its vote and before it sent it; it returns.",
    limits: &[
        "3 primaries with slots, 2 replicas of the first, which is down from the start",
        PROMPT,
        BRISK,
        ORDERLY,
        STREAM,
        VALIDITY_3,
        "1 crash of a voter by kill, by power loss, or between save and send; 1 restart",
    ],
    witnesses: &[Witness::Promoted],
    rules: ELECTION,
    is_quick: true,
    has_actors: false,
    hosts: 5,
    build: vote_crash_5,
};

fn vote_crash_5(setup: &mut Setup) -> World<SLOTS> {
    orderly(setup);
    setup.budget = Budget { crashes: 1, restarts: 1, ..Budget::default() };
    setup.crashing = Crashing { mortal: Places::of(&[B]), amid: true, power: true };
    let down = Stage::Happens(slotbus_world::What::Crash { host: A, power: false });
    setup.world_after(&[two_replicas(setup), vec![down]].concat())
}

pub(crate) const TWO_DEATHS_5: Configuration = Configuration {
    name: "two_deaths_5",
    summary: "Two primaries with a replica each are killed, one after the other or both at once.",
    limits: &[
        "3 primaries with slots, 1 replica each of two of them",
        PROMPT,
        BRISK,
        ORDERLY,
        STREAM,
        VALIDITY_3,
        "2 crashes, of these two",
    ],
    witnesses: &[Witness::Promoted],
    rules: ELECTION,
    is_quick: true,
    has_actors: false,
    hosts: 5,
    build: |setup| two_deaths(setup, Budget { crashes: 2, ..Budget::default() }),
};

pub(crate) fn two_deaths(setup: &mut Setup, budget: Budget) -> World<SLOTS> {
    orderly(setup);
    setup.budget = budget;
    setup.crashing = killing(&[A, B]);
    setup.world_after(&two_shards(setup))
}

pub(crate) const TWO_ELECTIONS_5: Configuration = Configuration {
    name: "two_elections_5",
    summary: "A primary is killed, and at any moment the replica of another is told to FAILOVER FORCE: two elections at once.",
    limits: &[
        "3 primaries with slots, 1 replica each of two of them",
        PROMPT,
        BRISK,
        ORDERLY,
        STREAM,
        VALIDITY_3,
        "1 crash, 1 command",
    ],
    witnesses: &[Witness::Promoted, Witness::ScriptsDone],
    build: two_elections_5,
    ..TWO_DEATHS_5
};

fn two_elections_5(setup: &mut Setup) -> World<SLOTS> {
    two_elections(setup, Budget { crashes: 1, ..Budget::default() })
}

pub(crate) fn two_elections(setup: &mut Setup, budget: Budget) -> World<SLOTS> {
    orderly(setup);
    setup.budget = budget;
    setup.crashing = killing(&[A]);
    setup.scripts = vec![vec![failover(E, FailoverMode::Force)]];
    setup.world_after(&two_shards(setup))
}

pub(crate) const MANUAL_4: Configuration = Configuration {
    name: "manual_4",
    summary: "A replica is told to FAILOVER while clients write and its primary may be killed and return.",
    limits: &[
        "3 primaries with slots, 1 replica of the first",
        PROMPT,
        BRISK,
        ORDERLY,
        STREAM,
        VALIDITY,
        "1 command, 1 write, 1 crash, 1 restart",
    ],
    witnesses: &[Witness::Promoted, Witness::Settled, Witness::ScriptsDone],
    rules: &[Rule::ManualAsked, Rule::ManualPaused, Rule::ManualOffset, Rule::ManualCaughtUp, Rule::ElectWon],
    is_quick: false,
    has_actors: false,
    hosts: 4,
    build: manual_4,
};

fn manual_4(setup: &mut Setup) -> World<SLOTS> {
    manual(setup, FailoverMode::Coordinated)
}

pub(crate) const MANUAL_FORCE_4: Configuration = Configuration {
    name: "manual_force_4",
    summary: "A replica is told to FAILOVER FORCE while clients write and its primary may be killed and return.",
    rules: &[Rule::ManualForced, Rule::ElectWon],
    build: manual_force_4,
    ..MANUAL_4
};

fn manual_force_4(setup: &mut Setup) -> World<SLOTS> {
    manual(setup, FailoverMode::Force)
}

pub(crate) const MANUAL_TAKEOVER_4: Configuration = Configuration {
    name: "manual_takeover_4",
    summary: "A replica is told to FAILOVER TAKEOVER while clients write and its primary may be killed and return.",
    rules: &[Rule::ManualTakeover],
    build: manual_takeover_4,
    ..MANUAL_4
};

fn manual_takeover_4(setup: &mut Setup) -> World<SLOTS> {
    manual(setup, FailoverMode::Takeover)
}

fn manual(setup: &mut Setup, mode: FailoverMode) -> World<SLOTS> {
    brisk(setup);
    setup.is_orderly = true;
    setup.budget = Budget { crashes: 1, restarts: 1, writes: 1, ..Budget::default() };
    setup.crashing = killing(&[A]);
    setup.scripts = vec![vec![failover(D, mode)]];
    setup.world_after(&cluster_of_4(setup))
}

pub(crate) const MANUAL_PARTITION_4: Configuration = Configuration {
    name: "manual_partition_4",
    summary: "A replica is told to FAILOVER while clients write, and it and its primary may lose sight of each other.",
    limits: &[
        "3 primaries with slots, 1 replica of the first",
        PROMPT,
        BRISK,
        ORDERLY,
        STREAM,
        VALIDITY_3,
        "1 command, 1 write, primary and replica apart for any time",
    ],
    rules: &[Rule::ManualAsked, Rule::ManualPaused, Rule::ManualOffset, Rule::ManualTimeout],
    build: manual_partition_4,
    ..MANUAL_4
};

fn manual_partition_4(setup: &mut Setup) -> World<SLOTS> {
    orderly(setup);
    setup.budget = Budget { partitions: 1, writes: 1, ..Budget::default() };
    setup.partible = Places::of(&[A, D]);
    setup.scripts = vec![vec![failover(D, FailoverMode::Coordinated)]];
    setup.world_after(&cluster_of_4(setup))
}

/// Only news takes time, and a tick is a node timeout.
pub(crate) fn brisk(setup: &mut Setup) {
    setup.pace = Pace::Prompt;
    setup.configure(|config| {
        config.replica_validity_factor = 1;
        config.timing.node_timeout_ms = 1000;
    });
}

/// As before, and hosts tick in turn: a replica always hears of a failure after the same time, which
/// its data must be young enough for.
pub(crate) fn orderly(setup: &mut Setup) {
    brisk(setup);
    setup.is_orderly = true;
    setup.configure(|config| config.replica_validity_factor = 3);
}

/// The process of any of these hosts is killed.
pub(crate) fn killing(mortal: &[Place]) -> Crashing {
    Crashing { mortal: Places::of(mortal), ..Crashing::default() }
}

/// a, b and c with slots, and d, a replica of a.
pub(crate) fn cluster_of_4(setup: &Setup) -> Vec<Stage> {
    [cluster_of_3([&[0], &[1], &[2, 3]]), replica(setup, D, A)].concat()
}

pub(crate) fn two_replicas(setup: &Setup) -> Vec<Stage> {
    [cluster_of_4(setup), replica(setup, E, A)].concat()
}

pub(crate) fn two_shards(setup: &Setup) -> Vec<Stage> {
    [cluster_of_4(setup), replica(setup, E, B)].concat()
}

/// A host that joins as a replica of `primary`.
pub(crate) fn replica(setup: &Setup, host: Place, primary: Place) -> Vec<Stage> {
    let primary = setup.hosts[primary.index()].id;
    let replicate = Command::Replicate { primary, has_keys: false };
    vec![
        Stage::Command(Setup::meet(C, host)),
        Stage::Rounds(6),
        Stage::Command(order(host, replicate)),
        Stage::Rounds(4),
    ]
}
