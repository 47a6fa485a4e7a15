//! Owns the configurations in which somebody else answers: a node that has lost its disk and is another one
//! at the same address, and nodes that are RESET. Knows no search and no property's inside.

use crate::{
    configs::{A, B, C, Configuration, E, SLOTS, TIMELY},
    configs_failover::{BRISK, ORDERLY, PROMPT, STREAM, cluster_of_4, killing, orderly},
    stages::{add_slots, crash, follower, met, order},
};
use slotbus_core::{Command, NodeId, Rule};
use slotbus_world::{Budget, Invariant, Order, Pace, Place, Setup, Stage, Witness, World};

/// Two of the hosts are one machine.
const REBORN: &str = "started again with its disk it is the same node, without it another one at the same address; \
                      of these two, which are places of their own in the model, only one runs";
/// Ids name hosts in some properties.
const NAMELESS: &str =
    "S6 Monotone and S20 are not judged: under its new id the node is another one, which nobody introduced";

pub(crate) const WRONG_ID_3: Configuration = Configuration {
    name: "wrong_id_3",
    summary: "b is killed and starts again, with its disk or without; a, which knows b, is told to MEET its address.",
    limits: &[
        "2 machines, with slots each: what happens is between the one that calls and the one that answers",
        REBORN,
        TIMELY,
        "1 crash, 1 restart; MEET at any time, also while nobody answers",
    ],
    witnesses: &[Witness::ScriptsDone, Witness::Failed],
    rules: &[
        Rule::HandshakeWrongId,
        Rule::HandshakeWrongIdFailed,
        Rule::HandshakeKnown,
        Rule::HandshakeDone,
        Rule::HandshakeTimeout,
        Rule::StartRestored,
    ],
    is_quick: true,
    has_actors: false,
    hosts: 3,
    build: wrong_id_3,
};

fn wrong_id_3(setup: &mut Setup) -> World<SLOTS> {
    setup.pace = Pace::Timely;
    reborn(setup, B, C);
    setup.scripts = vec![vec![Setup::meet(A, B)]];
    let own = vec![add_slots(A, &[0, 1]), add_slots(B, &[2, 3]), crash(C)];
    setup.world_after(&[own, met(&[B])].concat())
}

pub(crate) const LOST_DISK_5: Configuration = Configuration {
    name: "lost_disk_5",
    summary: "A primary with a replica is killed and starts again, with its disk or without: its seat is taken, or not.",
    limits: &[
        "3 primaries with slots, 1 replica of the first, on 4 machines",
        REBORN,
        PROMPT,
        BRISK,
        ORDERLY,
        STREAM,
        "1 crash, 1 restart",
    ],
    witnesses: &[Witness::Failed, Witness::Promoted],
    rules: &[Rule::HandshakeWrongId, Rule::HandshakeWrongIdFailed, Rule::LinkStranger, Rule::ElectWon],
    hosts: 5,
    build: lost_disk_5,
    ..WRONG_ID_3
};

fn lost_disk_5(setup: &mut Setup) -> World<SLOTS> {
    orderly(setup);
    reborn(setup, A, E);
    setup.world_after(&[vec![crash(E)], cluster_of_4(setup)].concat())
}

/// `former` may be killed, and then be started again, or `present` at its address.
fn reborn(setup: &mut Setup, former: Place, present: Place) {
    setup.moves_in(former, present);
    setup.budget = Budget { crashes: 1, restarts: 1, ..Budget::default() };
    setup.crashing = killing(&[former]);
}

pub(crate) const RESET_3: Configuration = Configuration {
    name: "reset_3",
    summary: "A replica is RESET and MEETs its former primary again: it is an empty primary to all.",
    limits: &["2 primaries with slots, 1 replica of the first", TIMELY, "2 commands; no fault"],
    witnesses: &[Witness::ScriptsDone, Witness::AllUp],
    rules: &[Rule::ResetDone, Rule::RolePrimary, Rule::HandshakeDone],
    build: reset_3,
    ..WRONG_ID_3
};

fn reset_3(setup: &mut Setup) -> World<SLOTS> {
    setup.pace = Pace::Timely;
    setup.scripts = vec![vec![reset(C, None), Setup::meet(C, A)]];
    setup.world_after(&shard_of_2())
}

pub(crate) const RESET_HARD_3: Configuration = Configuration {
    name: "reset_hard_3",
    summary: "A replica is RESET HARD and MEETs its former primary as another node; the others FORGET what it was.",
    limits: &[
        "2 primaries with slots, 1 replica of the first",
        PROMPT,
        BRISK,
        ORDERLY,
        "RESET HARD, then MEET; 1 FORGET at each of the others, in any order; ban of 4 ticks; no fault",
        NAMELESS,
    ],
    witnesses: &[Witness::ScriptsDone],
    rules: &[Rule::ResetDone, Rule::HandshakeWrongId, Rule::HandshakeDone, Rule::GossipNewNode, Rule::ForgetDone],
    build: reset_hard_3,
    ..WRONG_ID_3
};

fn reset_hard_3(setup: &mut Setup) -> World<SLOTS> {
    orderly(setup);
    let is_new = reset(C, Some(NodeId([0xa1; 20])));
    setup.scripts = vec![vec![is_new, Setup::meet(C, A)], vec![setup.forget(A, C)], vec![setup.forget(B, C)]];
    for invariant in [Invariant::Monotone, Invariant::MembershipIsolation, Invariant::NewcomersVouched] {
        setup.overlooked.insert(invariant);
    }
    setup.world_after(&shard_of_2())
}

fn reset(host: Place, hard: Option<NodeId>) -> Order {
    order(host, Command::Reset { hard, has_keys: false })
}

/// a and b with two slots each, and c, a replica of a.
fn shard_of_2() -> Vec<Stage> {
    [vec![add_slots(A, &[0, 1]), add_slots(B, &[2, 3])], met(&[B]), follower(C, A)].concat()
}
