//! Owns the configurations that are there for what redis-server does and should not: each is as small
//! as shows it under profile `redis-7.0`, and holds under the node's own. Knows no search and no
//! property's inside.

use crate::{
    configs::{A, B, C, Configuration, D, SLOTS, TIMELY},
    configs_failover::{BRISK, ORDERLY, PROMPT, brisk, orderly},
    stages::{add_slots, cluster_of_3, crash, failover, following, met, order, replicate, restart},
};
use slotbus_core::{Command, FailoverMode, Slot, SlotChange};
use slotbus_world::{Budget, Pace, Setup, Stage, World};

/// Every configuration that is there for a finding.
pub const FINDINGS: &[Configuration] = &[
    Configuration::small(
        "lost_link_2",
        "One node MEETs another on a link that may break.",
        &["2 hosts without slots", TIMELY, "1 connection breaks"],
        2,
        lost_link_2,
    ),
    Configuration::small(
        "crossed_2",
        "Two empty primaries are told to replicate each other.",
        &["2 hosts without slots", TIMELY, "2 commands in any order; no fault"],
        2,
        crossed_2,
    ),
    Configuration::small(
        "replica_slots_2",
        "A replica is told to ADDSLOTS.",
        &["1 primary, 1 replica", TIMELY, "1 command; no fault"],
        2,
        replica_slots_2,
    ),
    Configuration::small(
        "takeover_epoch_2",
        "A replica that had an epoch of its own is told to TAKEOVER from a primary with the same.",
        &["1 primary, 1 replica, both with epoch 1", TIMELY, "1 command; no fault"],
        2,
        takeover_epoch_2,
    ),
    Configuration::small(
        "observer_3",
        "A replica is told to TAKEOVER, and a third node may hear of it from the loser first.",
        &["1 primary with a replica, 1 primary that looks on", "1 tick each, at any time", "1 command; no fault"],
        3,
        observer_3,
    ),
    Configuration::small(
        "mark_restart_3",
        "a has let a slot go, taken a new epoch and died; c, which heard that, has just started; b takes the slot.",
        &["3 primaries", PROMPT, BRISK, "1 command; no fault after the start"],
        3,
        mark_restart_3,
    ),
    Configuration::small(
        "two_wins_3",
        "A replica has won an election, and its primary the next one; the replica is told to FAILOVER FORCE again.",
        &[
            "2 primaries, 1 replica of the first",
            PROMPT,
            BRISK,
            ORDERLY,
            "elections last up to 6 ticks",
            "1 command; no fault",
        ],
        3,
        two_wins_3,
    ),
    Configuration::small(
        "early_quorum_4",
        "One of four primaries has died, and another one has just started.",
        &["4 primaries", PROMPT, BRISK, "serving begins 4 ticks after the start; no fault after the start"],
        4,
        early_quorum_4,
    ),
];

fn lost_link_2(setup: &mut Setup) -> World<SLOTS> {
    setup.pace = Pace::Timely;
    setup.budget = Budget { cuts: 1, ..Budget::default() };
    setup.scripts = vec![vec![Setup::meet(A, B)]];
    setup.world_after(&[])
}

fn crossed_2(setup: &mut Setup) -> World<SLOTS> {
    setup.pace = Pace::Timely;
    setup.scripts = vec![vec![replicate(A, B)], vec![replicate(B, A)]];
    setup.world_after(&met(&[B]))
}

fn replica_slots_2(setup: &mut Setup) -> World<SLOTS> {
    setup.pace = Pace::Timely;
    setup.scripts = vec![vec![order(B, Command::AddSlots([Slot(3)].into_iter().collect()))]];
    let own = vec![add_slots(A, &[0, 1, 2])];
    setup.world_after(&[own, met(&[B]), following(B, A)].concat())
}

fn takeover_epoch_2(setup: &mut Setup) -> World<SLOTS> {
    setup.pace = Pace::Timely;
    setup.scripts = vec![vec![failover(B, FailoverMode::Takeover)]];
    let epoch = |host| Stage::Command(order(host, Command::SetConfigEpoch(1)));
    let meet = Stage::Command(Setup::meet(B, A));
    // b follows a before a hears of it as a primary: then the epochs would part.
    let begin = vec![epoch(A), epoch(B), add_slots(A, &[0, 1, 2, 3]), meet, Stage::Rounds(1)];
    setup.world_after(&[begin, following(B, A)].concat())
}

fn observer_3(setup: &mut Setup) -> World<SLOTS> {
    setup.pace = Pace::Free { ticks: 1 };
    setup.scripts = vec![vec![failover(B, FailoverMode::Takeover)]];
    let own = vec![add_slots(A, &[0, 1]), add_slots(C, &[2, 3])];
    setup.world_after(&[own, met(&[B, C]), following(B, A)].concat())
}

fn mark_restart_3(setup: &mut Setup) -> World<SLOTS> {
    brisk(setup);
    let to_b =
        |host| order(host, Command::SetSlot { slot: Slot(0), change: SlotChange::Node(B.id()), has_keys: false });
    setup.scripts = vec![vec![to_b(B)]];
    let bump = |host| Stage::Command(order(host, Command::BumpEpoch));
    // Only who has not the greatest epoch takes a new one.
    let let_go = vec![bump(B), Stage::Rounds(2), Stage::Command(to_b(A)), bump(A), Stage::Rounds(2)];
    setup.world_after(&[cluster_of_3([&[0, 1], &[2], &[3]]), let_go, vec![crash(A), crash(C), restart(C)]].concat())
}

fn two_wins_3(setup: &mut Setup) -> World<SLOTS> {
    orderly(setup);
    setup.configure(|config| config.timing.election_min_ms = 6000);
    let force = |host| failover(host, FailoverMode::Force);
    setup.scripts = vec![vec![force(C)]];
    let own = vec![add_slots(A, &[0, 1]), add_slots(B, &[2, 3])];
    let wins = [C, A].into_iter().flat_map(|host| [Stage::Command(force(host)), Stage::Rounds(1)]).collect();
    setup.world_after(&[own, met(&[B, C]), following(C, A), wins].concat())
}

fn early_quorum_4(setup: &mut Setup) -> World<SLOTS> {
    brisk(setup);
    setup.configure(|config| config.timing.writable_delay_ms = 4000);
    let own = [A, B, C, D].into_iter().zip(0..).map(|(host, slot)| add_slots(host, &[slot])).collect();
    setup.world_after(&[own, met(&[B, C, D]), vec![crash(B), crash(A), restart(B)]].concat())
}
