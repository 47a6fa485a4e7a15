//! Owns the configurations that are there for single rules, which fire in no other, and says of each rule
//! that fires in none why that is so. Knows no search and no property's inside.

use crate::{
    configs::{A, B, C, Configuration, SLOTS},
    configs_failover::{BRISK, ORDERLY, PROMPT, STREAM, brisk, orderly},
    stages::{add_slots, cluster_of_3, failover, follower, met, order, replicate},
};
use slotbus_core::{Command, FailoverMode, Host, Rule, Slot, SlotChange, message::Publication};
use slotbus_world::{Order, Pace, Place, Setup, Stage, What, World};

/// Every configuration that is there for single rules.
pub(crate) const RULE_ROOMS: &[Configuration] = &[
    Configuration {
        rules: &[
            Rule::HandshakeAddressRefused,
            Rule::SlotAdded,
            Rule::SlotReclaimed,
            Rule::SlotFlushed,
            Rule::SlotFlushRefused,
            Rule::ReshardStable,
            Rule::EpochSetRefused,
            Rule::RoleSame,
            Rule::ResetRefused,
            Rule::ConfigSaved,
        ],
        ..Configuration::small(
            "requests_3",
            "Requests that change little, or are refused: of a primary with keys, its replica, and a primary without keys.",
            &[
                "2 primaries with slots, 1 replica of the first",
                PROMPT,
                BRISK,
                ORDERLY,
                STREAM,
                "10 commands, no fault",
            ],
            3,
            requests_3,
        )
    },
    Configuration {
        rules: &[Rule::PublishSent, Rule::PublishReceived, Rule::PublishIgnored],
        ..Configuration::small(
            "publish_2",
            "A node publishes to its shard and to all, and so does one that it has forgotten.",
            &["1 primary, 1 replica", PROMPT, BRISK, "4 commands, ban of 4 ticks; no fault"],
            2,
            publish_2,
        )
    },
    Configuration {
        rules: &[Rule::ManualUnasked],
        ..Configuration::small(
            "crossed_failovers_3",
            "One replica is told to TAKEOVER, the other to FAILOVER.",
            &[
                "1 primary with every slot, 2 replicas",
                PROMPT,
                BRISK,
                ORDERLY,
                STREAM,
                "2 commands in any order; no fault",
            ],
            3,
            crossed_failovers_3,
        )
    },
    Configuration {
        rules: &[Rule::ManualPaused, Rule::ManualPing, Rule::ManualTimeout],
        ..Configuration::small(
            "manual_unheard_3",
            "A replica is told to FAILOVER, and cannot reach the only other voter: nobody elects it.",
            &[
                "2 primaries with slots, 1 replica of the first, parted from the second for good",
                PROMPT,
                ORDERLY,
                STREAM,
                "1 command",
            ],
            3,
            manual_unheard_3,
        )
    },
    Configuration {
        rules: &[Rule::SlotImportKept],
        ..Configuration::small(
            "crossed_imports_3",
            "b imports a slot of a, which gives it to c; b ends its import.",
            &["3 primaries with slots", PROMPT, BRISK, "4 commands, of b in order, of c and a in order; no fault"],
            3,
            crossed_imports_3,
        )
    },
];

/// Rules that fire in no quick configuration, and why.
pub const UNFIRED: &[(Rule, &str)] = &[
    (Rule::StartFresh, "every host has started for the first time before an exploration begins"),
    (Rule::StartEpochRaised, "no image that this core saves holds a claim above its current epoch; files by others do"),
    (Rule::LinkUnknown, "a world tells a node nothing of a link that the node has closed"),
    (Rule::LinkBacklogged, "connections of a world hold whatever is sent"),
    (Rule::AddressFollowed, "hosts of a world keep their addresses"),
    (Rule::GossipIntroduced, "a world has no more than five hosts, whose heartbeats tell of all"),
    (Rule::HostnameTaken, "hosts of a world have no names but their addresses"),
    (Rule::RoleNoFailover, "every replica of a world may stand for election"),
    (Rule::SlotLoadedFree, "hosts of a world start without keys, or with those of slots that they own"),
    (Rule::SlotLoadedForeign, "hosts of a world start without keys, or with those of slots that they own"),
    (Rule::ElectOutranked, "replicas of a prompt world know each other's offsets before either stands for election"),
    (Rule::ConfigChanged, "the configuration of a host is fixed"),
];

fn requests_3(setup: &mut Setup) -> World<SLOTS> {
    orderly(setup);
    let nowhere = Command::Meet { host: Host::default(), port: 0, cport: 0 };
    let stable = set_slot(Slot(3), SlotChange::Stable);
    let reset = Command::Reset { hard: None, has_keys: true };
    let with_keys = [reset, flush(), Command::SetConfigEpoch(9), nowhere, Command::SaveConfig, stable];
    let without = [Command::DelSlots(vec![Slot(2), Slot(3)]), Command::AddSlots(vec![Slot(3)]), flush()];
    setup.scripts = vec![all_at(A, with_keys), all_at(B, without), vec![replicate(C, A)]];
    let own = vec![add_slots(A, &[0, 1]), add_slots(B, &[2, 3])];
    let written = vec![Stage::Happens(What::Write { host: A }), Stage::Rounds(2)];
    setup.world_after(&[own, met(&[B]), follower(C, A), written].concat())
}

fn set_slot(slot: Slot, change: SlotChange) -> Command {
    Command::SetSlot { slot, change, has_keys: false }
}

fn flush() -> Command {
    Command::FlushSlots { has_keys: false }
}

fn all_at<const N: usize>(host: Place, commands: [Command; N]) -> Vec<Order> {
    commands.map(|command| order(host, command)).to_vec()
}

fn publish_2(setup: &mut Setup) -> World<SLOTS> {
    brisk(setup);
    let publication = Publication { channel: b"news".to_vec(), payload: Vec::new() };
    let publish = |host, sharded| order(host, Command::Publish { publication: publication.clone(), sharded });
    setup.scripts = vec![vec![publish(B, true), publish(B, false)], vec![setup.forget(A, B), publish(B, false)]];
    setup.world_after(&[vec![add_slots(A, &[0, 1, 2, 3])], follower(B, A)].concat())
}

fn crossed_failovers_3(setup: &mut Setup) -> World<SLOTS> {
    orderly(setup);
    setup.scripts = vec![vec![failover(B, FailoverMode::Takeover)], vec![failover(C, FailoverMode::Coordinated)]];
    let own = vec![add_slots(A, &[0, 1, 2, 3])];
    setup.world_after(&[own, follower(B, A), follower(C, A)].concat())
}

fn manual_unheard_3(setup: &mut Setup) -> World<SLOTS> {
    setup.pace = Pace::Prompt;
    setup.is_orderly = true;
    setup.heals = false;
    setup.epoch_end = 8;
    setup.scripts = vec![vec![failover(C, FailoverMode::Coordinated)]];
    let own = vec![add_slots(A, &[0, 1]), add_slots(B, &[2, 3])];
    let parted = vec![Stage::Happens(What::Part { left: B, right: C }), Stage::Rounds(2)];
    setup.world_after(&[own, met(&[B]), follower(C, A), parted].concat())
}

fn crossed_imports_3(setup: &mut Setup) -> World<SLOTS> {
    brisk(setup);
    let told = |host, change| order(host, set_slot(Slot(1), change));
    let imported = [SlotChange::Importing(A.id()), SlotChange::Stable].map(|change| told(B, change));
    let given = [C, A].map(|host| told(host, SlotChange::Node(C.id())));
    setup.scripts = vec![imported.to_vec(), given.to_vec()];
    setup.world_after(&cluster_of_3([&[0, 1], &[2], &[3]]))
}
