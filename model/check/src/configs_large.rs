//! Owns the largest configurations: those in which hosts tick in any order within a round, and those
//! in which two things go wrong at once. Knows no search and no property's inside.

use crate::{
    configs::{A, B, C, Configuration, D, FAILURE_3, MEET_3, PARTITION_3, SLOTS, TIMELY, failures, meet_both},
    configs_failover::{
        BRISK, ELECTION_RETURN_5, ORDERLY, PROMPT, STREAM, TWO_DEATHS_5, TWO_ELECTIONS_5, VALIDITY_3, VOTE_CRASH_5,
        cluster_of_4, killing, orderly, replica, two_deaths, two_elections,
    },
    configs_slots::{RESHARD_SOURCE_4, reshard, written},
    stages::{cluster_of_3, failover},
};
use slotbus_core::{FailoverMode, Rule};
use slotbus_world::{Budget, Pace, Places, Setup, Witness, World};

/// The world of a configuration in which hosts take turns, for one in which they do not.
fn in_any_order(configuration: &Configuration, setup: &mut Setup) -> World<SLOTS> {
    let world = (configuration.build)(setup);
    setup.is_orderly = false;
    world
}

pub(crate) const ELECTION_ANY_ORDER_5: Configuration = Configuration {
    name: "election_any_order_5",
    summary: "As election_return_5, and hosts tick in any order within a round.",
    limits: &[
        "3 primaries with slots, 2 replicas of the first",
        PROMPT,
        BRISK,
        STREAM,
        VALIDITY_3,
        "1 crash, 1 restart",
    ],
    is_quick: false,
    build: |setup| in_any_order(&ELECTION_RETURN_5, setup),
    ..ELECTION_RETURN_5
};

pub(crate) const VOTE_CRASH_ANY_ORDER_5: Configuration = Configuration {
    name: "vote_crash_any_order_5",
    summary: "As vote_crash_5, and hosts tick in any order within a round.",
    limits: &[
        "3 primaries with slots, 2 replicas of the first, which is down from the start",
        PROMPT,
        BRISK,
        STREAM,
        VALIDITY_3,
        "1 crash of a voter by kill, by power loss, or between save and send; 1 restart",
    ],
    is_quick: false,
    build: |setup| in_any_order(&VOTE_CRASH_5, setup),
    ..VOTE_CRASH_5
};

pub(crate) const TWO_DEATHS_ANY_ORDER_5: Configuration = Configuration {
    name: "two_deaths_any_order_5",
    summary: "As two_deaths_5, and hosts tick in any order within a round.",
    limits: &[
        "3 primaries with slots, 1 replica each of two of them",
        PROMPT,
        BRISK,
        STREAM,
        VALIDITY_3,
        "2 crashes, of these two",
    ],
    is_quick: false,
    build: |setup| in_any_order(&TWO_DEATHS_5, setup),
    ..TWO_DEATHS_5
};

pub(crate) const TWO_DEATHS_RETURN_5: Configuration = Configuration {
    name: "two_deaths_return_5",
    summary: "As two_deaths_5, and one of the dead may return at any moment.",
    limits: &[
        "3 primaries with slots, 1 replica each of two of them",
        PROMPT,
        BRISK,
        ORDERLY,
        STREAM,
        VALIDITY_3,
        "2 crashes, of these two, 1 restart",
    ],
    is_quick: false,
    build: |setup| two_deaths(setup, Budget { crashes: 2, restarts: 1, ..Budget::default() }),
    ..TWO_DEATHS_5
};

pub(crate) const TWO_ELECTIONS_RETURN_5: Configuration = Configuration {
    name: "two_elections_return_5",
    summary: "As two_elections_5, and the killed primary may return at any moment.",
    limits: &[
        "3 primaries with slots, 1 replica each of two of them",
        PROMPT,
        BRISK,
        ORDERLY,
        STREAM,
        VALIDITY_3,
        "1 crash, 1 restart, 1 command",
    ],
    is_quick: false,
    build: |setup| two_elections(setup, Budget { crashes: 1, restarts: 1, ..Budget::default() }),
    ..TWO_ELECTIONS_5
};

pub(crate) const RESHARD_FAILOVER_4: Configuration = Configuration {
    name: "reshard_failover_4",
    summary: "A slot with a key moves from a to b, while the replica of a is told to FAILOVER and a may be killed.",
    limits: &[
        "3 primaries, the source has two slots and a replica",
        PROMPT,
        BRISK,
        ORDERLY,
        STREAM,
        VALIDITY_3,
        "IMPORTING, MIGRATING, the key, then NODE at the target and at the source; one key; FAILOVER at any time",
        "1 crash",
    ],
    rules: &[Rule::ReshardMigrating, Rule::ReshardImporting, Rule::ReshardGiven, Rule::ManualAsked, Rule::ElectWon],
    build: reshard_failover_4,
    ..RESHARD_SOURCE_4
};

fn reshard_failover_4(setup: &mut Setup) -> World<SLOTS> {
    orderly(setup);
    setup.budget = Budget { crashes: 1, ..Budget::default() };
    setup.crashing = killing(&[A]);
    reshard(setup);
    setup.scripts.push(vec![failover(D, FailoverMode::Coordinated)]);
    setup.world_after(&[cluster_of_3([&[0, 1], &[2], &[3]]), replica(setup, D, A), written()].concat())
}

pub(crate) const ELECTION_PARTITION_4: Configuration = Configuration {
    name: "election_partition_4",
    summary: "A primary is killed and may return, while two of the voters and its replica lose sight of each other for any time.",
    limits: &[
        "3 primaries with slots, 1 replica of the first",
        PROMPT,
        BRISK,
        ORDERLY,
        STREAM,
        VALIDITY_3,
        "1 crash, 1 restart; 1 pair of b, c and the replica apart for any time",
    ],
    is_quick: false,
    hosts: 4,
    witnesses: &[Witness::Promoted, Witness::Settled],
    build: election_partition_4,
    ..ELECTION_RETURN_5
};

fn election_partition_4(setup: &mut Setup) -> World<SLOTS> {
    orderly(setup);
    setup.budget = Budget { partitions: 1, crashes: 1, restarts: 1, ..Budget::default() };
    setup.crashing = killing(&[A]);
    setup.partible = Places::of(&[B, C, D]);
    setup.world_after(&cluster_of_4(setup))
}

pub(crate) const MEET_LATE_3: Configuration = Configuration {
    name: "meet_late_3",
    summary: "As meet_3, with one more tick of every node: what is answered late, and what is asked again.",
    limits: &["3 hosts without slots; b has the id in the middle", "3 ticks each, at any time", "no fault"],
    is_quick: false,
    build: |setup| meet_both(setup, 3),
    ..MEET_3
};

pub(crate) const MEET_RING_3: Configuration = Configuration {
    name: "meet_ring_3",
    summary: "Each of three nodes is told to MEET the next one, all at once: handshakes cross what gossip brings.",
    limits: &[
        "3 hosts without slots",
        "2 ticks each, at any time: one opens links, one follows what gossip brought",
        "no fault",
    ],
    is_quick: false,
    build: meet_ring_3,
    ..MEET_3
};

fn meet_ring_3(setup: &mut Setup) -> World<SLOTS> {
    setup.pace = Pace::Free { ticks: 2 };
    let ring = [(A, B), (B, C), (C, A)];
    setup.scripts = ring.into_iter().map(|(host, guest)| vec![Setup::meet(host, guest)]).collect();
    setup.world_after(&[])
}

pub(crate) const FAILURES_3: Configuration = Configuration {
    name: "failures_3",
    summary: "As failure_3, and a second primary is killed, or the same one again: at any moment, also both at once.",
    limits: &["3 primaries, each with slots of its own; any of them may be the ones", TIMELY, "2 crashes, 2 restarts"],
    witnesses: &[Witness::AllUp, Witness::Failed, Witness::Recovered, Witness::Minority],
    is_quick: false,
    build: |setup| failures(setup, Budget { crashes: 2, restarts: 2, ..Budget::default() }),
    ..FAILURE_3
};

pub(crate) const PARTITIONS_3: Configuration = Configuration {
    name: "partitions_3",
    summary: "As partition_3, and another pair loses sight of each other, or the same one again: a node may be alone.",
    limits: &[
        "3 primaries, each with slots of its own; any pairs may be the ones",
        TIMELY,
        "2 pairs cannot reach each other for any time, one after the other or both at once",
    ],
    witnesses: &[Witness::AllUp, Witness::Suspected, Witness::Failed],
    is_quick: false,
    build: partitions_3,
    ..PARTITION_3
};

fn partitions_3(setup: &mut Setup) -> World<SLOTS> {
    setup.pace = Pace::Timely;
    setup.budget = Budget { partitions: 2, ..Budget::default() };
    setup.world_after(&cluster_of_3([&[0], &[1], &[2, 3]]))
}
