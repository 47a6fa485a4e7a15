//! Owns the configurations in which slots move: between primaries on request, and from owners who
//! were away. Knows no search and no property's inside.

use crate::{
    configs::{A, B, C, Configuration, D, SLOTS},
    configs_failover::{BRISK, ORDERLY, PROMPT, STREAM, brisk, cluster_of_4, killing, orderly, replica},
    stages::{cluster_of_3, order},
};
use slotbus_core::{Command, Rule, Slot, SlotChange};
use slotbus_world::{Budget, Crashing, Order, Place, Places, Setup, Stage, Transfer, What, Witness, World};

/// The slot that moves.
const MOVED: Slot = Slot(0);

const RESHARD: &[Rule] = &[Rule::ReshardMigrating, Rule::ReshardImporting, Rule::ReshardGiven, Rule::ReshardClosed];

pub(crate) const RESHARD_3: Configuration = Configuration {
    name: "reshard_3",
    summary: "A slot with a key moves from a to b, while any one of the two is killed at any moment and may return.",
    limits: &[
        "3 primaries, of which a and b have two slots and one",
        PROMPT,
        BRISK,
        "IMPORTING, MIGRATING, the key, then NODE at the target and at the source; one key",
        "1 crash by kill, by power loss, or between save and send, 1 restart",
    ],
    witnesses: &[Witness::ScriptsDone],
    rules: RESHARD,
    is_quick: false,
    has_actors: false,
    hosts: 3,
    build: reshard_3,
};

fn reshard_3(setup: &mut Setup) -> World<SLOTS> {
    brisk(setup);
    setup.budget = Budget { crashes: 1, restarts: 1, ..Budget::default() };
    setup.crashing = Crashing { mortal: Places::of(&[A, B]), amid: true, power: true };
    reshard(setup);
    setup.world_after(&[cluster_of_3([&[0, 1], &[2], &[3]]), written()].concat())
}

pub(crate) const RESHARD_LAST_4: Configuration = Configuration {
    name: "reshard_last_4",
    summary: "The last slot of a primary with a replica moves away: both become replicas of its new owner.",
    limits: &[
        "3 primaries, the source has one slot and a replica",
        PROMPT,
        BRISK,
        STREAM,
        "IMPORTING, MIGRATING, the key, then NODE at the target and at the source; one key",
        "no fault",
    ],
    witnesses: &[Witness::ScriptsDone],
    rules: RESHARD,
    is_quick: true,
    has_actors: false,
    hosts: 4,
    build: reshard_last_4,
};

fn reshard_last_4(setup: &mut Setup) -> World<SLOTS> {
    brisk(setup);
    reshard(setup);
    setup.world_after(&[cluster_of_4(setup), written()].concat())
}

pub(crate) const RESHARD_SOURCE_4: Configuration = Configuration {
    name: "reshard_source_4",
    summary: "A slot with a key moves from a to b, while a is killed at any moment and its replica elected; a may return.",
    limits: &[
        "3 primaries, the source has two slots and a replica",
        PROMPT,
        BRISK,
        ORDERLY,
        STREAM,
        "IMPORTING, MIGRATING, the key, then NODE at the target and at the source; one key",
        "1 crash, 1 restart",
    ],
    witnesses: &[Witness::ScriptsDone, Witness::Promoted],
    rules: RESHARD,
    is_quick: false,
    has_actors: false,
    hosts: 4,
    build: reshard_source_4,
};

fn reshard_source_4(setup: &mut Setup) -> World<SLOTS> {
    reshard_failover(setup, A)
}

pub(crate) const RESHARD_TARGET_4: Configuration = Configuration {
    name: "reshard_target_4",
    summary: "A slot with a key moves from a to b, while b is killed at any moment and its replica elected; b may return.",
    limits: &[
        "3 primaries, the target has one slot and a replica",
        PROMPT,
        BRISK,
        ORDERLY,
        STREAM,
        "IMPORTING, MIGRATING, the key, then NODE at the target and at the source; one key",
        "1 crash, 1 restart",
    ],
    build: reshard_target_4,
    ..RESHARD_SOURCE_4
};

fn reshard_target_4(setup: &mut Setup) -> World<SLOTS> {
    reshard_failover(setup, B)
}

/// The slot moves while `primary`, which has a replica, may be killed.
fn reshard_failover(setup: &mut Setup, primary: Place) -> World<SLOTS> {
    orderly(setup);
    setup.budget = Budget { crashes: 1, restarts: 1, ..Budget::default() };
    setup.crashing = killing(&[primary]);
    reshard(setup);
    setup.world_after(&[cluster_of_3([&[0, 1], &[2], &[3]]), replica(setup, D, primary), written()].concat())
}

pub(crate) const SETSLOT_ALONE_3: Configuration = Configuration {
    name: "setslot_alone_3",
    summary: "Only b is told that a slot of a is its own, without any move; a and b BUMPEPOCH at any time.",
    limits: &[
        "3 primaries, of which a has the greatest epoch at first",
        PROMPT,
        BRISK,
        "3 commands in any order",
        "no fault",
    ],
    witnesses: &[Witness::ScriptsDone],
    rules: &[Rule::ReshardGiven, Rule::ReshardClosed, Rule::EpochBumped, Rule::SlotTaken],
    is_quick: true,
    has_actors: false,
    hosts: 3,
    build: setslot_alone_3,
};

fn setslot_alone_3(setup: &mut Setup) -> World<SLOTS> {
    brisk(setup);
    let bump = |host| vec![order(host, Command::BumpEpoch)];
    setup.scripts = vec![vec![set_slot(B, SlotChange::Node(B.id()))], bump(A), bump(B)];
    setup.world_after(&cluster_of_3([&[0, 1], &[2], &[3]]))
}

pub(crate) const STALE_OWNER_3: Configuration = Configuration {
    name: "stale_owner_3",
    summary: "While a is down b takes one of its slots by SETSLOT, and c another; then a returns with its old claim.",
    limits: &[
        "3 primaries; a had two slots and is down from the start",
        PROMPT,
        BRISK,
        "2 commands in any order",
        "1 restart, of a",
    ],
    witnesses: &[Witness::ScriptsDone, Witness::AllUp],
    rules: &[Rule::ReshardGiven, Rule::SlotUpdateSent, Rule::SlotUpdateTaken, Rule::SlotTaken],
    is_quick: true,
    has_actors: false,
    hosts: 3,
    build: stale_owner_3,
};

fn stale_owner_3(setup: &mut Setup) -> World<SLOTS> {
    brisk(setup);
    setup.budget = Budget { restarts: 1, ..Budget::default() };
    let take = |host: Place, slot| {
        let change = SlotChange::Node(host.id());
        vec![order(host, Command::SetSlot { slot, change, has_keys: false })]
    };
    setup.scripts = vec![take(B, Slot(0)), take(C, Slot(1))];
    let down = [Stage::Happens(What::Crash { host: A, power: false }), Stage::Rounds(4)];
    setup.world_after(&[cluster_of_3([&[0, 1], &[2], &[3]]), down.to_vec()].concat())
}

pub(crate) const FORGET_RESTART_3: Configuration = Configuration {
    name: "forget_restart_3",
    summary: "a and c FORGET b, which is killed at any moment and may return.",
    limits: &["3 primaries", PROMPT, BRISK, "2 commands in any order; ban of 4 ticks", "1 crash, of b, 1 restart"],
    witnesses: &[Witness::ScriptsDone],
    rules: &[Rule::ForgetDone, Rule::GossipBanned],
    is_quick: true,
    has_actors: false,
    hosts: 3,
    build: forget_restart_3,
};

fn forget_restart_3(setup: &mut Setup) -> World<SLOTS> {
    brisk(setup);
    setup.budget = Budget { crashes: 1, restarts: 1, ..Budget::default() };
    setup.crashing = killing(&[B]);
    setup.scripts = vec![vec![setup.forget(A, B)], vec![setup.forget(C, B)]];
    setup.world_after(&cluster_of_3([&[0], &[1], &[2, 3]]))
}

fn set_slot(host: Place, change: SlotChange) -> Order {
    order(host, Command::SetSlot { slot: MOVED, change, has_keys: false })
}

/// The slot moves from a to b as redis-cli moves it.
pub(crate) fn reshard(setup: &mut Setup) {
    let to_b = SlotChange::Node(B.id());
    setup.scripts = vec![vec![
        set_slot(B, SlotChange::Importing(A.id())),
        set_slot(A, SlotChange::Migrating(B.id())),
        set_slot(B, to_b),
        set_slot(A, to_b),
    ]];
    setup.transfers = vec![Transfer { slot: MOVED, from: A, to: B }];
}

/// A client has written at a, and its replica has that.
pub(crate) fn written() -> Vec<Stage> {
    vec![Stage::Happens(What::Write { host: A }), Stage::Rounds(2)]
}
