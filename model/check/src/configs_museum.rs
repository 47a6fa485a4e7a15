//! Owns the showrooms of the museum: for each bug that no standard configuration shows, the smallest
//! world in which it is seen. Knows no bug and no property's inside.

use crate::{
    configs::{A, B, C, Configuration, D, E, SLOTS, TIMELY},
    configs_failover::{BRISK, ORDERLY, PROMPT, STREAM, brisk, cluster_of_4, killing, orderly},
    stages::{add_slots, cluster_of_3, crash, failover, follower, met, order, replicate},
};
use slotbus_core::{Command, FailoverMode, NodeId, Slot, SlotChange};
use slotbus_world::{Budget, Crashing, Invariant, Order, Pace, Place, Places, Setup, Stage, What, World};

const FREE: &str = "2 ticks each, at any time";
const UNFAILING: &str = "no fault";

/// Every showroom. They run by name and in the museum only.
pub(crate) const SHOWROOMS: &[Configuration] = &[
    Configuration::small(
        "moved_in_4",
        "a has not heard of c, which died; d of another cluster has its address now.",
        &[
            "a and b of one cluster, parted at first; c, whom only b knows and reached, is dead; d is alone",
            TIMELY,
            UNFAILING,
        ],
        4,
        moved_in_4,
    ),
    Configuration::small(
        "deaf_4",
        "A voter loses sight of the two others, while a fourth node reaches all.",
        &["3 voters and 1 primary without slots", TIMELY, ORDERLY, "2 pairs of voters are parted for good"],
        4,
        deaf_4,
    ),
    Configuration::small(
        "reset_hard_4",
        "A primary with a replica is RESET HARD: nobody has its id any more.",
        &[
            "3 primaries with slots, 1 replica of the first",
            PROMPT,
            BRISK,
            STREAM,
            "1 command",
            "S6 Monotone and S20 are not judged: under its new id the node is another one, which nobody introduced",
        ],
        4,
        reset_hard_4,
    ),
    Configuration::small(
        "failover_4",
        "A primary is killed at any moment for good, and its replica stands.",
        &["3 primaries with slots, 1 replica of the first", PROMPT, BRISK, ORDERLY, STREAM, "1 crash"],
        4,
        failover_4,
    ),
    Configuration::small(
        "unsynced_4",
        "A node is told to replicate a primary that may die at any moment, also before a first sync.",
        &["3 primaries with slots, 1 without", PROMPT, BRISK, ORDERLY, STREAM, "1 command, 1 crash"],
        4,
        unsynced_4,
    ),
    Configuration::small(
        "late_claim_3",
        "A slot of a primary is given to another, epochs rise, and its replica is told to FAILOVER FORCE.",
        &[
            "2 primaries with slots, 1 replica of the first",
            PROMPT,
            BRISK,
            ORDERLY,
            "SETSLOT NODE, then BUMPEPOCH at the former owner; FAILOVER FORCE at any time",
            UNFAILING,
        ],
        3,
        late_claim_3,
    ),
    Configuration::small(
        "late_voter_3",
        "The last slot of a voter is taken, while a replica is told to FAILOVER FORCE.",
        &[
            "2 primaries with slots, the second with one; 1 replica of the first",
            PROMPT,
            BRISK,
            ORDERLY,
            "2 commands in any order",
            UNFAILING,
        ],
        3,
        late_voter_3,
    ),
    Configuration::small(
        "empty_voter_3",
        "A replica is told to FAILOVER FORCE, and a primary without slots is asked as well.",
        &[
            "1 primary with every slot, 1 replica, 1 primary without slots",
            PROMPT,
            BRISK,
            ORDERLY,
            "1 command",
            UNFAILING,
        ],
        3,
        empty_voter_3,
    ),
    Configuration::small(
        "two_forced_3",
        "Two replicas of the only primary are told to FAILOVER FORCE.",
        &["1 primary with every slot, 2 replicas", PROMPT, BRISK, ORDERLY, "2 commands in any order", UNFAILING],
        3,
        two_forced_3,
    ),
    Configuration {
        is_quick: false,
        ..Configuration::small(
            "forgetful_voter_3",
            "As two_forced_3, while the replicas are parted; one of them and the voter die, and one returns.",
            &[
                "1 primary with every slot, 2 replicas",
                PROMPT,
                BRISK,
                ORDERLY,
                "2 commands in any order",
                "the replicas are parted for good; 2 crashes, of the voter and of one replica; 1 restart",
            ],
            3,
            forgetful_voter_3,
        )
    },
    Configuration::small(
        "to_and_fro_2",
        "Primary and replica take over from each other: the replica, the primary, the replica again.",
        &[
            "1 primary with every slot, 1 replica",
            PROMPT,
            BRISK,
            "FAILOVER FORCE: twice at the replica, once at the primary",
            UNFAILING,
        ],
        2,
        to_and_fro_2,
    ),
    Configuration::small(
        "manual_again_3",
        "As to_and_fro_2, with another voter.",
        &[
            "2 primaries with slots, 1 replica of the first",
            PROMPT,
            BRISK,
            "FAILOVER FORCE: twice at the replica, once at the primary",
            UNFAILING,
        ],
        3,
        manual_again_3,
    ),
    Configuration::small(
        "manual_3",
        "A replica is told to FAILOVER while clients write.",
        &["2 primaries with slots, 1 replica of the first", PROMPT, BRISK, ORDERLY, STREAM, "1 command, 2 writes"],
        3,
        manual_3,
    ),
    Configuration::small(
        "set_epochs_2",
        "Two primaries are given config epochs before they MEET.",
        &["2 hosts with a slot each", FREE, "3 commands"],
        2,
        set_epochs_2,
    ),
    Configuration::small(
        "takeover_2",
        "A replica that was given a great config epoch before it joined takes over.",
        &["1 primary with every slot, 1 replica", PROMPT, BRISK, "1 command"],
        2,
        takeover_2,
    ),
    Configuration::small(
        "takeover_3",
        "A replica is told to TAKEOVER; another primary looks on.",
        &["2 primaries with slots, 1 replica of the first", PROMPT, BRISK, "1 command"],
        3,
        takeover_3,
    ),
    Configuration::small(
        "takeovers_3",
        "Replica and primary are told to TAKEOVER, one after the other; another primary looks on.",
        &["2 primaries with slots, 1 replica of the first", PROMPT, BRISK, "2 commands, each at any time"],
        3,
        takeovers_3,
    ),
    Configuration::small(
        "siblings_4",
        "One of two replicas is told to TAKEOVER: the other is to follow it.",
        &["2 primaries with slots, 2 replicas of the first", PROMPT, BRISK, "1 command"],
        4,
        siblings_4,
    ),
    Configuration::small(
        "busy_takeover_3",
        "A replica takes over from a primary that is importing a slot.",
        &["2 primaries with slots, 1 replica of the first", PROMPT, BRISK, "2 commands in any order"],
        3,
        busy_takeover_3,
    ),
    Configuration::small(
        "given_slot_2",
        "A slot is given away, and the power of its new owner may fail.",
        &[
            "2 primaries with slots; the greatest epoch is that of the one that is given the slot",
            PROMPT,
            BRISK,
            "SETSLOT NODE at the new owner, then at the old one",
            "1 crash of the new owner by kill or power loss, 1 restart",
        ],
        2,
        given_slot_2,
    ),
    Configuration::small(
        "last_slot_3",
        "The last slot of a primary is given away.",
        &["3 primaries, the first with one slot", PROMPT, BRISK, "SETSLOT NODE at both ends, in any order"],
        3,
        last_slot_3,
    ),
    Configuration::small(
        "self_meet_2",
        "A replica MEETs itself, and is RESET.",
        &["1 primary, 1 replica", FREE, "2 commands in any order"],
        2,
        self_meet_2,
    ),
    Configuration::small(
        "manual_down_3",
        "A replica is told to FAILOVER, and its primary may die.",
        &["2 primaries with slots, 1 replica of the first", PROMPT, BRISK, ORDERLY, STREAM, "1 command, 1 crash"],
        3,
        manual_down_3,
    ),
    Configuration::small(
        "bumped_source_3",
        "A slot is given away; its former owner takes a new epoch, and is heard first.",
        &[
            "3 primaries, the first with two slots",
            "1 tick each, at any time",
            "SETSLOT NODE at both ends, then BUMPEPOCH at the former owner",
        ],
        3,
        bumped_source_3,
    ),
    Configuration::small(
        "stale_claim_3",
        "While b is down, c drops a slot and takes b's, and bumps its epoch; b returns with its old claim.",
        &[
            "3 primaries; b is down from the start",
            PROMPT,
            BRISK,
            "DELSLOTS and SETSLOT NODE at c; BUMPEPOCH at a, then at c; in any order",
            "1 restart, of b",
        ],
        3,
        stale_claim_3,
    ),
    Configuration::small(
        "dropped_slot_2",
        "A slot is dropped by its owner, and by another node that may have heard of that.",
        &["2 primaries with slots", PROMPT, BRISK, "DELSLOTS at both ends, in any order", UNFAILING],
        2,
        dropped_slot_2,
    ),
    Configuration::small(
        "overtaken_request_3",
        "A replica is told to FAILOVER FORCE, while a voter is given slots and takes an epoch for each.",
        &[
            "2 primaries with a slot each, 1 replica of the first; 2 slots of nobody",
            PROMPT,
            BRISK,
            ORDERLY,
            "FAILOVER FORCE; SETSLOT NODE twice, at any time",
            UNFAILING,
        ],
        3,
        overtaken_request_3,
    ),
    Configuration::small(
        "owned_slot_2",
        "A primary is told to ADDSLOTS a slot of another.",
        &["2 primaries with slots", PROMPT, BRISK, "1 command"],
        2,
        owned_slot_2,
    ),
    Configuration::small(
        "siblings_down_4",
        "As siblings_4, and the new primary may die.",
        &["2 primaries with slots, 2 replicas of the first", PROMPT, BRISK, ORDERLY, "1 command, 1 crash"],
        4,
        siblings_down_4,
    ),
    Configuration::small(
        "relay_4",
        "A voter dies while the two others cannot reach each other; a fourth node hears both.",
        &["3 voters and 1 primary without slots; a and b are parted for good", TIMELY, ORDERLY, "1 crash, of c"],
        4,
        relay_4,
    ),
    Configuration::small(
        "refused_4",
        "REPLICATE is given to an owner of slots, and to an empty node with a replica for its primary.",
        &["2 primaries with slots, 1 replica, 1 empty primary", PROMPT, BRISK, ORDERLY, "2 commands in any order"],
        4,
        refused_4,
    ),
    Configuration::small(
        "forget_primary_3",
        "A primary is to be forgotten, by another and by its own replica.",
        &[
            "2 primaries with slots, 1 replica of the first",
            PROMPT,
            BRISK,
            ORDERLY,
            "2 commands in any order; ban of 4 ticks",
        ],
        3,
        forget_primary_3,
    ),
    Configuration::small(
        "keyed_slot_2",
        "A primary is to give a slot away whose key it still has.",
        &["2 primaries with slots, 1 key", PROMPT, BRISK, "1 command"],
        2,
        keyed_slot_2,
    ),
    Configuration::small(
        "meet_nobody_2",
        "A node MEETs one that is down.",
        &["2 hosts, of which one runs", TIMELY, "1 command"],
        2,
        meet_nobody_2,
    ),
    Configuration::small(
        "joining_5",
        "A second replica joins a primary, while another primary has one.",
        &[
            "2 primaries with slots and a replica each",
            PROMPT,
            BRISK,
            ORDERLY,
            STREAM,
            "migration barrier 1, delay 2 ticks",
            "1 command",
        ],
        5,
        joining_5,
    ),
    Configuration::small(
        "guarded_5",
        "As spare_5, and every primary is to keep two replicas.",
        &[
            "2 primaries with slots, 1 and 2 replicas",
            PROMPT,
            BRISK,
            ORDERLY,
            STREAM,
            "migration barrier 2, delay 2 ticks",
            "1 crash",
        ],
        5,
        guarded_5,
    ),
    Configuration::small(
        "spare_5",
        "A primary with two replicas, another with one, which may die and return.",
        &[
            "2 primaries with slots, 1 and 2 replicas",
            PROMPT,
            BRISK,
            ORDERLY,
            STREAM,
            "migration barrier 1, delay 2 ticks",
            "1 crash, 1 restart",
        ],
        5,
        spare_5,
    ),
];

fn moved_in_4(setup: &mut Setup) -> World<SLOTS> {
    setup.pace = Pace::Timely;
    setup.moves_in(C, D);
    setup.world_after(&[
        add_slots(A, &[0, 1]),
        add_slots(B, &[2]),
        add_slots(C, &[3]),
        Stage::Command(Setup::meet(A, B)),
        Stage::Rounds(6),
        Stage::Happens(What::Part { left: A, right: B }),
        Stage::Happens(What::Part { left: A, right: C }),
        Stage::Command(Setup::meet(B, C)),
        Stage::Rounds(6),
        crash(C),
    ])
}

fn deaf_4(setup: &mut Setup) -> World<SLOTS> {
    setup.pace = Pace::Timely;
    setup.heals = false;
    setup.is_orderly = true;
    setup.budget = Budget { partitions: 2, ..Budget::default() };
    setup.partible = Places::of(&[A, B, C]);
    let joined = met(&[D]);
    setup.world_after(&[cluster_of_3([&[0], &[1], &[2, 3]]), joined].concat())
}

fn reset_hard_4(setup: &mut Setup) -> World<SLOTS> {
    orderly(setup);
    let reset = Command::Reset { hard: Some(NodeId([0xa1; 20])), has_keys: false };
    setup.scripts = vec![vec![order(A, reset)]];
    for invariant in [Invariant::Monotone, Invariant::MembershipIsolation, Invariant::NewcomersVouched] {
        setup.overlooked.insert(invariant);
    }
    setup.world_after(&cluster_of_4(setup))
}

fn failover_4(setup: &mut Setup) -> World<SLOTS> {
    orderly(setup);
    setup.budget = Budget { crashes: 1, ..Budget::default() };
    setup.crashing = killing(&[A]);
    setup.world_after(&cluster_of_4(setup))
}

fn unsynced_4(setup: &mut Setup) -> World<SLOTS> {
    orderly(setup);
    setup.budget = Budget { crashes: 1, ..Budget::default() };
    setup.crashing = killing(&[A]);
    setup.scripts = vec![vec![replicate(D, A)]];
    let joined = vec![Stage::Command(Setup::meet(C, D)), Stage::Rounds(6)];
    setup.world_after(&[cluster_of_3([&[0], &[1], &[2, 3]]), joined].concat())
}

fn late_claim_3(setup: &mut Setup) -> World<SLOTS> {
    orderly(setup);
    setup.scripts = vec![vec![give_to_b(B), order(A, Command::BumpEpoch)], vec![failover(C, FailoverMode::Force)]];
    setup.world_after(&shards(&[(C, A)]))
}

fn late_voter_3(setup: &mut Setup) -> World<SLOTS> {
    orderly(setup);
    let take = Command::SetSlot { slot: Slot(3), change: SlotChange::Node(A.id()), has_keys: false };
    setup.scripts = vec![vec![order(A, take)], vec![failover(C, FailoverMode::Force)]];
    let own = vec![add_slots(A, &[0, 1, 2]), add_slots(B, &[3])];
    let joined = met(&[B]);
    setup.world_after(&[own, joined, follower(C, A)].concat())
}

fn empty_voter_3(setup: &mut Setup) -> World<SLOTS> {
    orderly(setup);
    setup.scripts = vec![vec![failover(B, FailoverMode::Force)]];
    let joined = met(&[C]);
    setup.world_after(&[pair(&[0, 1, 2, 3]), joined].concat())
}

fn two_forced_3(setup: &mut Setup) -> World<SLOTS> {
    orderly(setup);
    setup.scripts = [B, C].map(|host| vec![failover(host, FailoverMode::Force)]).to_vec();
    setup.world_after(&[pair(&[0, 1, 2, 3]), follower(C, A)].concat())
}

fn forgetful_voter_3(setup: &mut Setup) -> World<SLOTS> {
    orderly(setup);
    setup.heals = false;
    setup.budget = Budget { crashes: 2, restarts: 1, ..Budget::default() };
    setup.crashing = killing(&[A, B]);
    setup.scripts = [B, C].map(|host| vec![failover(host, FailoverMode::Force)]).to_vec();
    let parted = Stage::Happens(What::Part { left: B, right: C });
    setup.world_after(&[pair(&[0, 1, 2, 3]), follower(C, A), vec![parted]].concat())
}

fn to_and_fro_2(setup: &mut Setup) -> World<SLOTS> {
    brisk(setup);
    to_and_fro(setup, B);
    setup.world_after(&pair(&[0, 1, 2, 3]))
}

fn manual_again_3(setup: &mut Setup) -> World<SLOTS> {
    brisk(setup);
    to_and_fro(setup, C);
    setup.world_after(&shards(&[(C, A)]))
}

/// `replica` takes over from a, a from it, and it from a again.
fn to_and_fro(setup: &mut Setup, replica: Place) {
    setup.scripts = vec![[replica, A, replica].map(|host| failover(host, FailoverMode::Force)).to_vec()];
}

fn manual_3(setup: &mut Setup) -> World<SLOTS> {
    orderly(setup);
    setup.budget = Budget { writes: 2, ..Budget::default() };
    setup.scripts = vec![vec![failover(C, FailoverMode::Coordinated)]];
    setup.world_after(&shards(&[(C, A)]))
}

fn set_epochs_2(setup: &mut Setup) -> World<SLOTS> {
    setup.pace = Pace::Free { ticks: 2 };
    let set = |host, epoch| order(host, Command::SetConfigEpoch(epoch));
    setup.scripts = vec![vec![set(A, 1), set(B, 2), Setup::meet(A, B)]];
    setup.world_after(&[add_slots(A, &[0, 1]), add_slots(B, &[2, 3])])
}

fn takeover_2(setup: &mut Setup) -> World<SLOTS> {
    brisk(setup);
    setup.scripts = vec![vec![failover(B, FailoverMode::Takeover)]];
    let set = Stage::Command(order(B, Command::SetConfigEpoch(5)));
    setup.world_after(&[vec![set], pair(&[0, 1, 2, 3])].concat())
}

fn takeover_3(setup: &mut Setup) -> World<SLOTS> {
    brisk(setup);
    setup.scripts = vec![vec![failover(C, FailoverMode::Takeover)]];
    setup.world_after(&shards(&[(C, A)]))
}

fn takeovers_3(setup: &mut Setup) -> World<SLOTS> {
    brisk(setup);
    setup.scripts = vec![[C, A].map(|host| failover(host, FailoverMode::Takeover)).to_vec()];
    setup.world_after(&shards(&[(C, A)]))
}

fn siblings_4(setup: &mut Setup) -> World<SLOTS> {
    brisk(setup);
    setup.scripts = vec![vec![failover(C, FailoverMode::Takeover)]];
    setup.world_after(&shards(&[(C, A), (D, A)]))
}

fn busy_takeover_3(setup: &mut Setup) -> World<SLOTS> {
    brisk(setup);
    let import = Command::SetSlot { slot: Slot(2), change: SlotChange::Importing(B.id()), has_keys: false };
    setup.scripts = vec![vec![order(A, import)], vec![failover(C, FailoverMode::Takeover)]];
    setup.world_after(&shards(&[(C, A)]))
}

fn given_slot_2(setup: &mut Setup) -> World<SLOTS> {
    brisk(setup);
    setup.budget = Budget { crashes: 1, restarts: 1, ..Budget::default() };
    setup.crashing = Crashing { mortal: Places::of(&[B]), amid: false, power: true };
    setup.scripts = vec![vec![give_to_b(B), give_to_b(A)]];
    let own = vec![add_slots(A, &[0, 1]), add_slots(B, &[2, 3])];
    let joined = met(&[B]);
    let bumped = vec![Stage::Command(order(B, Command::BumpEpoch)), Stage::Rounds(2)];
    setup.world_after(&[own, joined, bumped].concat())
}

fn last_slot_3(setup: &mut Setup) -> World<SLOTS> {
    brisk(setup);
    setup.scripts = vec![vec![give_to_b(B)], vec![give_to_b(A)]];
    setup.world_after(&cluster_of_3([&[0], &[1], &[2, 3]]))
}

fn self_meet_2(setup: &mut Setup) -> World<SLOTS> {
    setup.pace = Pace::Free { ticks: 2 };
    let reset = Command::Reset { hard: None, has_keys: false };
    setup.scripts = vec![vec![Setup::meet(B, B)], vec![order(B, reset)]];
    setup.world_after(&pair(&[0, 1, 2, 3]))
}

fn manual_down_3(setup: &mut Setup) -> World<SLOTS> {
    orderly(setup);
    setup.budget = Budget { crashes: 1, ..Budget::default() };
    setup.crashing = killing(&[A]);
    setup.scripts = vec![vec![failover(C, FailoverMode::Coordinated)]];
    setup.world_after(&shards(&[(C, A)]))
}

fn bumped_source_3(setup: &mut Setup) -> World<SLOTS> {
    setup.pace = Pace::Free { ticks: 1 };
    setup.scripts = vec![vec![give_to_b(B), give_to_b(A), order(A, Command::BumpEpoch)]];
    setup.world_after(&cluster_of_3([&[0, 1], &[2], &[3]]))
}

fn stale_claim_3(setup: &mut Setup) -> World<SLOTS> {
    brisk(setup);
    setup.budget = Budget { restarts: 1, ..Budget::default() };
    let take = Command::SetSlot { slot: Slot(2), change: SlotChange::Node(C.id()), has_keys: false };
    let drop = Command::DelSlots(vec![Slot(0)]);
    let bumps = [A, C].map(|host| order(host, Command::BumpEpoch));
    setup.scripts = vec![vec![order(C, drop), order(C, take)], bumps.to_vec()];
    let down = [crash(B), Stage::Rounds(4)];
    setup.world_after(&[cluster_of_3([&[3], &[2], &[0, 1]]), down.to_vec()].concat())
}

fn dropped_slot_2(setup: &mut Setup) -> World<SLOTS> {
    brisk(setup);
    setup.scripts = [A, B].map(|host| vec![order(host, Command::DelSlots(vec![Slot(0)]))]).to_vec();
    setup.world_after(&shards(&[]))
}

fn overtaken_request_3(setup: &mut Setup) -> World<SLOTS> {
    orderly(setup);
    let taken = [2, 3].map(|slot| order(B, given_to_b(Slot(slot))));
    setup.scripts = vec![vec![failover(C, FailoverMode::Force)], taken.to_vec()];
    let own = vec![add_slots(A, &[0]), add_slots(B, &[1])];
    setup.world_after(&[own, met(&[B]), follower(C, A)].concat())
}

fn owned_slot_2(setup: &mut Setup) -> World<SLOTS> {
    brisk(setup);
    setup.scripts = vec![vec![order(B, Command::AddSlots(vec![Slot(0)]))]];
    setup.world_after(&shards(&[]))
}

fn siblings_down_4(setup: &mut Setup) -> World<SLOTS> {
    orderly(setup);
    setup.budget = Budget { crashes: 1, ..Budget::default() };
    setup.crashing = killing(&[C]);
    setup.scripts = vec![vec![failover(C, FailoverMode::Takeover)]];
    setup.world_after(&shards(&[(C, A), (D, A)]))
}

fn relay_4(setup: &mut Setup) -> World<SLOTS> {
    setup.pace = Pace::Timely;
    setup.is_orderly = true;
    setup.heals = false;
    setup.budget = Budget { crashes: 1, ..Budget::default() };
    setup.crashing = killing(&[C]);
    let parted = Stage::Happens(What::Part { left: A, right: B });
    let joined = [met(&[D]), vec![parted, Stage::Rounds(6)]].concat();
    setup.world_after(&[cluster_of_3([&[0], &[1], &[2, 3]]), joined].concat())
}

fn refused_4(setup: &mut Setup) -> World<SLOTS> {
    orderly(setup);
    setup.scripts = vec![vec![replicate(B, A)], vec![replicate(D, C)]];
    let joined = met(&[D]);
    setup.world_after(&[shards(&[(C, A)]), joined].concat())
}

fn forget_primary_3(setup: &mut Setup) -> World<SLOTS> {
    orderly(setup);
    setup.scripts = vec![vec![setup.forget(B, A)], vec![setup.forget(C, A)]];
    setup.world_after(&shards(&[(C, A)]))
}

fn keyed_slot_2(setup: &mut Setup) -> World<SLOTS> {
    brisk(setup);
    setup.scripts = vec![vec![give_to_b(A)]];
    setup.world_after(&[shards(&[]), vec![Stage::Happens(What::Write { host: A }), Stage::Rounds(2)]].concat())
}

fn meet_nobody_2(setup: &mut Setup) -> World<SLOTS> {
    setup.pace = Pace::Timely;
    setup.scripts = vec![vec![Setup::meet(A, B)]];
    setup.world_after(&[crash(B)])
}

fn joining_5(setup: &mut Setup) -> World<SLOTS> {
    orderly(setup);
    setup.scripts = vec![vec![replicate(E, A)]];
    let joined = met(&[E]);
    setup.world_after(&[shards(&[(C, B), (D, A)]), joined].concat())
}

fn guarded_5(setup: &mut Setup) -> World<SLOTS> {
    orderly(setup);
    setup.configure(|config| config.migration_barrier = 2);
    setup.budget = Budget { crashes: 1, ..Budget::default() };
    setup.crashing = killing(&[C]);
    setup.world_after(&shards(&[(C, B), (D, A), (E, A)]))
}

fn spare_5(setup: &mut Setup) -> World<SLOTS> {
    orderly(setup);
    setup.budget = Budget { crashes: 1, restarts: 1, ..Budget::default() };
    setup.crashing = killing(&[C]);
    setup.world_after(&shards(&[(C, B), (D, A), (E, A)]))
}

fn give_to_b(host: Place) -> Order {
    order(host, given_to_b(Slot(0)))
}

fn given_to_b(slot: Slot) -> Command {
    Command::SetSlot { slot, change: SlotChange::Node(B.id()), has_keys: false }
}

/// a with these slots, and b, its replica.
fn pair(slots: &[u16]) -> Vec<Stage> {
    [vec![add_slots(A, slots)], follower(B, A)].concat()
}

/// a and b with two slots each, and their replicas.
fn shards(replicas: &[(Place, Place)]) -> Vec<Stage> {
    let mut stages = [vec![add_slots(A, &[0, 1]), add_slots(B, &[2, 3])], met(&[B])].concat();
    stages.extend(replicas.iter().flat_map(|&(host, primary)| follower(host, primary)));
    stages
}
