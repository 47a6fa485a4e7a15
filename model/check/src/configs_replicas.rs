//! Owns the configurations in which replicas move between primaries. Knows no search and no
//! property's inside.

use crate::{
    configs::{A, B, C, Configuration, D, E, SLOTS},
    configs_failover::{BRISK, PROMPT, STREAM, brisk, killing},
    stages::{add_slots, following, met},
};
use slotbus_core::Rule;
use slotbus_world::{Budget, Setup, Stage, Witness, World};

pub(crate) const MIGRATION_5: Configuration = Configuration {
    name: "migration_5",
    summary: "A primary with two replicas gives one to another, whose only replica is killed at any moment and may return.",
    limits: &[
        "2 primaries with slots, 1 and 2 replicas",
        PROMPT,
        BRISK,
        STREAM,
        "migration barrier 1, delay 2 ticks",
        "1 crash, 1 restart",
    ],
    witnesses: &[Witness::AllUp],
    rules: &[Rule::MigrateOrphaned, Rule::MigrateMoved],
    is_quick: false,
    has_actors: false,
    hosts: 5,
    build: migration_5,
};

fn migration_5(setup: &mut Setup) -> World<SLOTS> {
    brisk(setup);
    setup.budget = Budget { crashes: 1, restarts: 1, ..Budget::default() };
    setup.crashing = killing(&[C]);
    setup.world_after(&spread())
}

pub(crate) const BARRIER_5: Configuration = Configuration {
    name: "barrier_5",
    summary: "As migration_5, and one of the spare replicas may be the one that is killed: the other stays.",
    limits: &[
        "2 primaries with slots, 1 and 2 replicas",
        PROMPT,
        BRISK,
        STREAM,
        "migration barrier 1, delay 2 ticks",
        "2 crashes",
    ],
    witnesses: &[Witness::Failed],
    build: barrier_5,
    ..MIGRATION_5
};

fn barrier_5(setup: &mut Setup) -> World<SLOTS> {
    brisk(setup);
    setup.budget = Budget { crashes: 2, ..Budget::default() };
    setup.crashing = killing(&[C, D]);
    setup.world_after(&spread())
}

/// a and b with slots, c a replica of b, d and e of a.
fn spread() -> Vec<Stage> {
    let own = vec![add_slots(A, &[0, 1]), add_slots(B, &[2, 3])];
    [own, met(&[B, C, D, E]), following(C, B), following(D, A), following(E, A)].concat()
}
