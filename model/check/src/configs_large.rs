//! Owns the largest configurations: those of the other files in which hosts tick in any order within
//! a round, and those in which two things go wrong at once. Knows no search and no property's inside.

use crate::{
    configs::{A, B, C, Configuration, D, E, SLOTS, cluster_of_3, order},
    configs_failover::{
        BRISK, ELECTION_RETURN_5, MANUAL_4, PROMPT, STREAM, TWO_DEATHS_5, TWO_ELECTIONS_5, VALIDITY_3, VOTE_CRASH_5,
        cluster_of_4, killing, orderly, replica, two_replicas, two_shards,
    },
    configs_slots::{RESHARD_SOURCE_4, RESHARD_TARGET_4, reshard, written},
};
use slotbus_core::{Command, FailoverMode};
use slotbus_world::{Budget, Places, Setup, Witness, World};

/// A world of a configuration in which hosts take turns, in which they do not.
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
    is_quick: false,
    build: |setup| in_any_order(&TWO_DEATHS_5, setup),
    ..TWO_DEATHS_5
};

pub(crate) const TWO_DEATHS_RETURN_5: Configuration = Configuration {
    name: "two_deaths_return_5",
    is_quick: false,
    build: |setup| {
        let world = (TWO_DEATHS_5.build)(setup);
        setup.budget.restarts = 1;
        setup.world_after::<SLOTS>(&two_shards(setup));
        let _ = world;
        setup.world_after(&two_shards(setup))
    },
    ..TWO_DEATHS_5
};

pub(crate) const TWO_ELECTIONS_ANY_ORDER_5: Configuration = Configuration {
    name: "two_elections_any_order_5",
    is_quick: false,
    build: |setup| in_any_order(&TWO_ELECTIONS_5, setup),
    ..TWO_ELECTIONS_5
};

pub(crate) const TWO_ELECTIONS_RETURN_5: Configuration = Configuration {
    name: "two_elections_return_5",
    is_quick: false,
    build: |setup| {
        let _ = (TWO_ELECTIONS_5.build)(setup);
        setup.budget.restarts = 1;
        setup.world_after(&two_shards(setup))
    },
    ..TWO_ELECTIONS_5
};

pub(crate) const MANUAL_ANY_ORDER_4: Configuration = Configuration {
    name: "manual_any_order_4",
    is_quick: false,
    build: |setup| in_any_order(&MANUAL_4, setup),
    ..MANUAL_4
};

pub(crate) const RESHARD_SOURCE_ANY_ORDER_4: Configuration = Configuration {
    name: "reshard_source_any_order_4",
    is_quick: false,
    build: |setup| in_any_order(&RESHARD_SOURCE_4, setup),
    ..RESHARD_SOURCE_4
};

pub(crate) const RESHARD_TARGET_ANY_ORDER_4: Configuration = Configuration {
    name: "reshard_target_any_order_4",
    is_quick: false,
    build: |setup| in_any_order(&RESHARD_TARGET_4, setup),
    ..RESHARD_TARGET_4
};

pub(crate) const RESHARD_FAILOVER_4: Configuration = Configuration {
    name: "reshard_failover_4",
    witnesses: &[Witness::ScriptsDone, Witness::Promoted],
    is_quick: false,
    build: |setup| {
        orderly(setup);
        reshard(setup);
        setup.scripts.push(vec![order(D, Command::Failover(FailoverMode::Coordinated))]);
        setup.budget = Budget { crashes: 1, ..Budget::default() };
        setup.crashing = killing(&[A]);
        setup.world_after(&[cluster_of_3([&[0, 1], &[2], &[3]]), replica(setup, D, A), written()].concat())
    },
    ..RESHARD_SOURCE_4
};

pub(crate) const ELECTION_PARTITION_5: Configuration = Configuration {
    name: "election_partition_5",
    is_quick: false,
    build: |setup| {
        orderly(setup);
        setup.budget = Budget { crashes: 1, partitions: 1, ..Budget::default() };
        setup.crashing = killing(&[A]);
        setup.partible = Places::of(&[B, C, D, E]);
        setup.world_after(&two_replicas(setup))
    },
    ..ELECTION_RETURN_5
};

pub(crate) const ELECTION_PARTITION_4: Configuration = Configuration {
    name: "election_partition_4",
    is_quick: false,
    hosts: 4,
    build: |setup| {
        orderly(setup);
        setup.budget = Budget { partitions: 1, crashes: 1, restarts: 1, ..Budget::default() };
        setup.crashing = killing(&[A]);
        setup.partible = Places::of(&[B, C, D]);
        setup.world_after(&cluster_of_4(setup))
    },
    ..ELECTION_RETURN_5
};
