//! Owns the standard configurations: which worlds are explored, within which bounds, and why these.
//! Knows no search and no property's inside.

use crate::{
    configs_failover::{
        ELECTION_4, ELECTION_5, ELECTION_RETURN_5, ELECTION_TIMED_4, MANUAL_4, MANUAL_FORCE_4, MANUAL_PARTITION_4,
        MANUAL_TAKEOVER_4, TWO_DEATHS_5, TWO_ELECTIONS_5, VOTE_CRASH_5,
    },
    configs_findings::FINDINGS,
    configs_identity::{LOST_DISK_5, RESET_3, RESET_HARD_3, WRONG_ID_3},
    configs_large::{
        ELECTION_ANY_ORDER_5, ELECTION_PARTITION_4, FAILURES_3, MEET_LATE_3, MEET_RING_3, PARTITIONS_3,
        RESHARD_FAILOVER_4, TWO_DEATHS_ANY_ORDER_5, TWO_DEATHS_RETURN_5, TWO_ELECTIONS_RETURN_5,
        VOTE_CRASH_ANY_ORDER_5,
    },
    configs_museum::SHOWROOMS,
    configs_replicas::{BARRIER_5, MIGRATION_5},
    configs_rules::RULE_ROOMS,
    configs_slots::{
        FORGET_RESTART_3, RESHARD_3, RESHARD_LAST_4, RESHARD_SOURCE_4, RESHARD_TARGET_4, SETSLOT_ALONE_3, STALE_OWNER_3,
    },
    stages::{add_slots, cluster_of_3, order},
    world_model::WorldModel,
};
use slotbus_core::{Command, Mutant, Profile, Rule};
use slotbus_world::{Budget, Crashing, Memory, Pace, Place, Places, Setup, Stage, What, Witness, World};
use std::sync::Arc;

/// Slots of every standard configuration: one for each owner, and one over. Slots that no command
/// names and that share an owner behave alike, so that more of them add nothing.
pub const SLOTS: usize = 4;

/// How time passes where ticks are not counted.
pub(crate) const TIMELY: &str =
    "timely: messages take less than a tick; any number of ticks, in any order within a round";

pub(crate) const A: Place = Place::A;
pub(crate) const B: Place = Place::B;
pub(crate) const C: Place = Place::C;
pub(crate) const D: Place = Place::D;
pub(crate) const E: Place = Place::E;

/// One world to be explored.
#[derive(Clone, Copy, Debug)]
pub struct Configuration {
    /// Its name on command lines and in reports.
    pub name: &'static str,
    /// What it shows.
    pub summary: &'static str,
    /// Within which bounds, each with its reason.
    pub limits: &'static [&'static str],
    /// Which good situations it must reach.
    pub witnesses: &'static [Witness],
    /// Which rules it is there to show: an exhausted run in which one of them did not fire is vacuous.
    pub rules: &'static [Rule],
    /// Whether it is one of those that are run before every merge: together they take a minute.
    pub is_quick: bool,
    /// Whether the hosts can be explored as Stateright actors, too.
    pub has_actors: bool,
    pub(crate) hosts: u8,
    pub(crate) build: fn(&mut Setup) -> World<SLOTS>,
}

impl Configuration {
    /// One that is there for a single bug: what it must reach, and which rules it must show, is said
    /// where the bug is.
    pub(crate) const fn small(
        name: &'static str,
        summary: &'static str,
        limits: &'static [&'static str],
        hosts: u8,
        build: fn(&mut Setup) -> World<SLOTS>,
    ) -> Self {
        Self { name, summary, limits, witnesses: &[], rules: &[], is_quick: true, has_actors: false, hosts, build }
    }

    /// The configuration called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::every().find(|configuration| configuration.name == name)
    }

    /// Every configuration that is exhausted: what `all` stands for.
    pub fn standard() -> impl Iterator<Item = &'static Self> {
        CONFIGURATIONS.iter().chain(FINDINGS).chain(SHOWROOMS).chain(RULE_ROOMS)
    }

    /// Every configuration, those included that run by name only.
    pub fn every() -> impl Iterator<Item = &'static Self> {
        Self::standard().chain(PENDING)
    }

    /// Its model, under a profile and with a deliberate fault if one is named.
    #[must_use]
    pub fn model(&self, profile: Profile, mutant: Option<Mutant>) -> WorldModel<SLOTS> {
        let mut setup = Setup::new(self.hosts, profile);
        setup.configure(|config| config.mutant = mutant);
        let origin = (self.build)(&mut setup);
        // What fired on the way to where the exploration starts does not count.
        setup.coverage = Arc::default();
        WorldModel { setup, origin, witnesses: self.witnesses.to_vec(), focus: None, memory: Memory::default() }
    }
}

/// Every standard configuration.
pub const CONFIGURATIONS: &[Configuration] = &[
    Configuration {
        name: "meet_2",
        summary: "Two nodes are told to MEET each other at once; every order and every delay.",
        limits: &[
            "2 hosts without slots: handshakes look at no slot",
            "2 ticks each, at any time: one opens the link, one retries; more exceed this machine's minute",
            "no fault: lost_meet_2 has those",
        ],
        witnesses: &[Witness::AllKnown, Witness::ScriptsDone],
        rules: &[
            Rule::HandshakeAsked,
            Rule::HandshakeRepeated,
            Rule::HandshakeMeetSent,
            Rule::HandshakeStranger,
            Rule::HandshakeDone,
            Rule::HandshakeKnown,
            Rule::HandshakeMeetAnswered,
            Rule::LinkOpened,
            Rule::LinkUpPing,
            Rule::LinkBound,
            Rule::LinkStranger,
            Rule::PingAnswered,
            Rule::PingReturned,
            Rule::AddressOwnLearned,
        ],
        is_quick: true,
        has_actors: true,
        hosts: 2,
        build: meet_2,
    },
    Configuration {
        name: "lost_meet_2",
        summary: "One node MEETs another, which may crash and start again, on links that may break.",
        limits: &[
            "2 hosts without slots: handshakes look at no slot",
            "2 ticks each, at any time: one opens the link, one retries",
            "1 connection breaks, 1 crash of the node that is met (kill, power loss, or between save and send), 1 restart",
        ],
        witnesses: &[Witness::AllKnown, Witness::ScriptsDone],
        rules: &[
            Rule::StartRestored,
            Rule::HandshakeMeetSent,
            Rule::HandshakeDone,
            Rule::LinkLost,
            Rule::LinkRefusedAtOnce,
        ],
        is_quick: true,
        has_actors: false,
        hosts: 2,
        build: lost_meet_2,
    },
    MEET_3,
    Configuration {
        name: "gossip_3",
        summary: "a and b are a cluster, b MEETs c: c and a learn of each other and of each other's slots.",
        limits: &[
            "3 primaries, each with slots of its own",
            "2 ticks each, at any time: one opens links, one follows what gossip brought",
            "no fault",
        ],
        witnesses: &[Witness::AllKnown, Witness::AllUp, Witness::ScriptsDone],
        rules: &[Rule::GossipNewNode, Rule::SlotTaken, Rule::StateOk],
        is_quick: true,
        has_actors: false,
        hosts: 3,
        build: gossip_3,
    },
    FAILURE_3,
    Configuration {
        name: "minority_3",
        summary: "Two primaries with slots, one without: when a voter dies, no majority is left to fail it.",
        limits: &[
            "2 voters and 1 primary without slots, whose reports must not count; any of them may be the one",
            TIMELY,
            "1 crash, 1 restart",
        ],
        witnesses: &[Witness::AllUp, Witness::Minority],
        rules: &[Rule::HealthSuspected, Rule::HealthCleared, Rule::StateMinority, Rule::StateRejoinDelay],
        is_quick: true,
        has_actors: false,
        hosts: 3,
        build: minority_3,
    },
    PARTITION_3,
    Configuration {
        name: "forget_3",
        summary: "a is told to FORGET b, which goes on talking to it, while c may die.",
        limits: &[
            "3 primaries, each with slots of its own; a forgets b, c may die",
            TIMELY,
            "1 FORGET at any time, with a ban of 4 ticks; 1 crash; no restart",
        ],
        witnesses: &[Witness::AllUp, Witness::Failed, Witness::ScriptsDone],
        rules: &[Rule::ForgetDone, Rule::GossipBanned, Rule::LinkStranger, Rule::HealthFailed, Rule::HealthFailTold],
        is_quick: true,
        has_actors: false,
        hosts: 3,
        build: forget_3,
    },
    Configuration {
        name: "stale_report_4",
        summary: "A primary reported another and died; the other dies later: the old report must not count.",
        limits: &[
            "3 voters and 1 primary without slots: a lost sight of c, said so and died; then exploration starts",
            TIMELY,
            "1 crash, of c, at any time; no restart",
        ],
        witnesses: &[Witness::Failed],
        rules: &[Rule::HealthReportExpired, Rule::HealthFailed, Rule::PingOverdue],
        is_quick: true,
        has_actors: false,
        hosts: 4,
        build: stale_report_4,
    },
    Configuration {
        name: "collision_2",
        summary: "Two primaries that both own every slot under epoch 0 MEET: epochs part, one keeps the slots.",
        limits: &[
            "2 primaries, both with every slot; the one with the smaller id is told to MEET",
            "4 ticks each, at any time",
            "no fault",
        ],
        witnesses: &[Witness::EpochsApart, Witness::ScriptsDone],
        rules: &[
            Rule::HandshakeTimeout,
            Rule::EpochCollision,
            Rule::EpochRaised,
            Rule::EpochClaimRaised,
            Rule::SlotTaken,
            Rule::SlotUpdateSent,
            Rule::SlotUpdateStale,
        ],
        is_quick: true,
        has_actors: false,
        hosts: 2,
        build: collision_2,
    },
    Configuration {
        name: "collision_3",
        summary: "Three primaries that all own every slot under epoch 1 MEET: epochs part, one keeps the slots.",
        limits: &[
            "3 primaries, all with every slot; the one with the id in the middle is told to MEET the others",
            TIMELY,
            "no fault",
        ],
        witnesses: &[Witness::EpochsApart, Witness::ScriptsDone],
        rules: &[
            Rule::EpochCollision,
            Rule::SlotTaken,
            Rule::SlotUpdateSent,
            Rule::SlotUpdateTaken,
            Rule::SlotUpdateStale,
        ],
        is_quick: true,
        has_actors: false,
        hosts: 3,
        build: collision_3,
    },
    Configuration {
        name: "bump_3",
        summary: "Three primaries of one cluster BUMPEPOCH at once: equal epochs part again.",
        limits: &["3 primaries, each with slots of its own", TIMELY, "no fault"],
        witnesses: &[Witness::EpochsApart, Witness::ScriptsDone],
        rules: &[Rule::EpochBumped, Rule::EpochStill, Rule::EpochCollision],
        is_quick: true,
        has_actors: false,
        hosts: 3,
        build: bump_3,
    },
    ELECTION_4,
    ELECTION_TIMED_4,
    ELECTION_5,
    ELECTION_RETURN_5,
    VOTE_CRASH_5,
    TWO_DEATHS_5,
    TWO_ELECTIONS_5,
    MANUAL_4,
    MANUAL_FORCE_4,
    MANUAL_TAKEOVER_4,
    RESHARD_3,
    RESHARD_LAST_4,
    SETSLOT_ALONE_3,
    STALE_OWNER_3,
    FORGET_RESTART_3,
    WRONG_ID_3,
    LOST_DISK_5,
    RESET_3,
    RESET_HARD_3,
    MIGRATION_5,
    BARRIER_5,
    MANUAL_PARTITION_4,
    RESHARD_SOURCE_4,
    RESHARD_TARGET_4,
    TWO_DEATHS_ANY_ORDER_5,
    TWO_DEATHS_RETURN_5,
    ELECTION_PARTITION_4,
    RESHARD_FAILOVER_4,
    ELECTION_ANY_ORDER_5,
    FAILURES_3,
];

/// Configurations that have not been exhausted: they run by name only.
pub const PENDING: &[Configuration] =
    &[VOTE_CRASH_ANY_ORDER_5, TWO_ELECTIONS_RETURN_5, PARTITIONS_3, MEET_LATE_3, MEET_RING_3];

fn meet_2(setup: &mut Setup) -> World<SLOTS> {
    setup.pace = Pace::Free { ticks: 2 };
    setup.scripts = vec![vec![Setup::meet(A, B)], vec![Setup::meet(B, A)]];
    setup.world_after(&[])
}

fn lost_meet_2(setup: &mut Setup) -> World<SLOTS> {
    setup.pace = Pace::Free { ticks: 2 };
    setup.budget = Budget { cuts: 1, crashes: 1, restarts: 1, ..Budget::default() };
    setup.crashing = Crashing { mortal: Places::of(&[B]), amid: true, power: true };
    setup.scripts = vec![vec![Setup::meet(A, B)]];
    setup.world_after(&[])
}

pub(crate) const MEET_3: Configuration = Configuration {
    name: "meet_3",
    summary: "b MEETs a and c at once; these two learn of each other only through b.",
    limits: &[
        "3 hosts without slots; b has the id in the middle",
        "2 ticks each, at any time: one opens links, one follows what gossip brought",
        "no fault",
    ],
    witnesses: &[Witness::AllKnown, Witness::ScriptsDone],
    rules: &[Rule::GossipSent, Rule::GossipNewNode, Rule::GossipFresher],
    is_quick: true,
    has_actors: true,
    hosts: 3,
    build: meet_3,
};

fn meet_3(setup: &mut Setup) -> World<SLOTS> {
    meet_both(setup, 2)
}

/// b is told to MEET a and c, and each node has so many ticks.
pub(crate) fn meet_both(setup: &mut Setup, ticks: u8) -> World<SLOTS> {
    setup.pace = Pace::Free { ticks };
    setup.scripts = vec![vec![Setup::meet(B, A)], vec![Setup::meet(B, C)]];
    setup.world_after(&[])
}

fn gossip_3(setup: &mut Setup) -> World<SLOTS> {
    setup.pace = Pace::Free { ticks: 2 };
    setup.scripts = vec![vec![Setup::meet(B, C)]];
    let own = [add_slots(A, &[0]), add_slots(B, &[1]), add_slots(C, &[2, 3])];
    let meet = [Stage::Command(Setup::meet(A, B)), Stage::Rounds(5)];
    setup.world_after(&[own.as_slice(), &meet].concat())
}

pub(crate) const FAILURE_3: Configuration = Configuration {
    name: "failure_3",
    summary: "Any of three primaries is killed at any moment, is suspected, fails, starts again and is trusted.",
    limits: &["3 primaries, each with slots of its own; any of them may be the one", TIMELY, "1 crash, 1 restart"],
    witnesses: &[Witness::AllUp, Witness::Failed, Witness::Recovered],
    rules: &[
        Rule::StartRestored,
        Rule::LinkRefusedAtOnce,
        Rule::PingChosen,
        Rule::HealthSuspected,
        Rule::HealthTrusted,
        Rule::HealthReported,
        Rule::HealthReportWithdrawn,
        Rule::HealthFailed,
        Rule::HealthFailTold,
        Rule::HealthFailIgnored,
        Rule::HealthClearedLate,
        Rule::StateUncovered,
        Rule::StateOk,
        Rule::StateWritableDelay,
    ],
    is_quick: true,
    has_actors: false,
    hosts: 3,
    build: failure_3,
};

fn failure_3(setup: &mut Setup) -> World<SLOTS> {
    failures(setup, Budget { crashes: 1, restarts: 1, ..Budget::default() })
}

/// Any of three primaries may be killed, and return.
pub(crate) fn failures(setup: &mut Setup, budget: Budget) -> World<SLOTS> {
    setup.pace = Pace::Timely;
    setup.budget = budget;
    setup.crashing = Crashing { mortal: Places::ALL, ..Crashing::default() };
    setup.world_after(&cluster_of_3([&[0], &[1], &[2, 3]]))
}

fn minority_3(setup: &mut Setup) -> World<SLOTS> {
    setup.pace = Pace::Timely;
    setup.budget = Budget { crashes: 1, restarts: 1, ..Budget::default() };
    setup.crashing = Crashing { mortal: Places::ALL, ..Crashing::default() };
    setup.world_after(&cluster_of_3([&[0, 1], &[], &[2, 3]]))
}

pub(crate) const PARTITION_3: Configuration = Configuration {
    name: "partition_3",
    summary: "Any two of three primaries lose sight of each other at any moment, and find each other again.",
    limits: &[
        "3 primaries, each with slots of its own; any pair may be the one",
        TIMELY,
        "1 pair cannot reach each other for any time; what was on its way arrives late or never",
    ],
    witnesses: &[Witness::AllUp, Witness::Suspected],
    rules: &[Rule::LinkRenewed, Rule::HealthSuspected, Rule::HealthTrusted, Rule::HealthReportWithdrawn],
    is_quick: true,
    has_actors: false,
    hosts: 3,
    build: partition_3,
};

fn partition_3(setup: &mut Setup) -> World<SLOTS> {
    setup.pace = Pace::Timely;
    setup.budget = Budget { partitions: 1, ..Budget::default() };
    setup.world_after(&cluster_of_3([&[0], &[1], &[2, 3]]))
}

fn forget_3(setup: &mut Setup) -> World<SLOTS> {
    setup.pace = Pace::Timely;
    setup.budget = Budget { crashes: 1, ..Budget::default() };
    setup.crashing = Crashing { mortal: Places::of(&[C]), ..Crashing::default() };
    setup.scripts = vec![vec![setup.forget(A, B)]];
    setup.world_after(&cluster_of_3([&[0], &[1], &[2, 3]]))
}

fn stale_report_4(setup: &mut Setup) -> World<SLOTS> {
    setup.pace = Pace::Timely;
    setup.budget = Budget { crashes: 1, ..Budget::default() };
    setup.crashing = Crashing { mortal: Places::of(&[C]), ..Crashing::default() };
    let mut stages = cluster_of_3([&[0], &[1], &[2, 3]]);
    stages.extend([Stage::Command(Setup::meet(A, D)), Stage::Rounds(6)]);
    stages.extend([Stage::Happens(What::Part { left: A, right: C }), Stage::Rounds(5)]);
    stages.push(Stage::Happens(What::Crash { host: A, power: false }));
    setup.world_after(&stages)
}

fn collision_2(setup: &mut Setup) -> World<SLOTS> {
    setup.pace = Pace::Free { ticks: 4 };
    setup.scripts = vec![vec![Setup::meet(A, B)]];
    setup.world_after(&[add_slots(A, &[0, 1, 2, 3]), add_slots(B, &[0, 1, 2, 3])])
}

fn collision_3(setup: &mut Setup) -> World<SLOTS> {
    setup.pace = Pace::Timely;
    setup.scripts = vec![vec![Setup::meet(B, A)], vec![Setup::meet(B, C)]];
    let every = [0, 1, 2, 3];
    let set = |host| Stage::Command(order(host, Command::SetConfigEpoch(1)));
    setup.world_after(&[add_slots(A, &every), add_slots(B, &every), add_slots(C, &every), set(A), set(B), set(C)])
}

fn bump_3(setup: &mut Setup) -> World<SLOTS> {
    setup.pace = Pace::Timely;
    setup.scripts = [A, B, C].map(|host| vec![order(host, Command::BumpEpoch)]).to_vec();
    setup.world_after(&cluster_of_3([&[0], &[1], &[2, 3]]))
}
