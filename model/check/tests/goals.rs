//! What comes about in the end in the standard configurations: pinned, and never empty words.

use slotbus_check::{
    CONFIGURATIONS, Engine, Limits, Plan, Verdict,
    claims::claims,
    goals::Goal,
    live::{Live, run_live},
};
use slotbus_core::{Mutant, Profile};

/// Within how many rounds of the last interference each goal is reached for good, at worst.
const PINNED: &[(&str, &[(&str, u32)])] = &[
    ("failure_3", &[("L4 FailCleared", 7), ("L4 SuspicionCleared", 7), ("L5 Detect", 5)]),
    ("minority_3", &[("L4 FailCleared", 3), ("L4 SuspicionCleared", 3)]),
    ("partition_3", &[("L4 SuspicionCleared", 2)]),
    ("stale_report_4", &[("L5 Detect", 4)]),
    ("collision_3", &[("L1 EpochUnique", 2), ("L2 Converge", 5), ("L6 MeetCompletes", 3), ("L11 StaleCorrected", 4)]),
    ("bump_3", &[("L1 EpochUnique", 2), ("L2 Converge", 4)]),
    (
        "election_4",
        &[
            ("L2 Converge", 5),
            ("L4 FailCleared", 4),
            ("L4 SuspicionCleared", 4),
            ("L5 Detect", 4),
            ("L11 StaleCorrected", 3),
        ],
    ),
    ("election_5", &[("L2 Converge", 5), ("L5 Detect", 4)]),
    (
        "election_return_5",
        &[
            ("L2 Converge", 4),
            ("L3 Failover", 4),
            ("L4 FailCleared", 2),
            ("L4 SuspicionCleared", 2),
            ("L5 Detect", 3),
            ("L8 Flatten", 2),
            ("L11 StaleCorrected", 1),
            ("L13 CoverageReturns", 4),
        ],
    ),
    (
        "vote_crash_5",
        &[
            ("L2 Converge", 4),
            ("L4 FailCleared", 3),
            ("L4 SuspicionCleared", 3),
            ("L5 Detect", 3),
            ("L8 Flatten", 2),
            ("L11 StaleCorrected", 1),
        ],
    ),
    ("two_deaths_5", &[("L2 Converge", 4), ("L5 Detect", 3)]),
    ("two_elections_5", &[("L2 Converge", 4), ("L5 Detect", 3), ("L10 ManualEnds", 4)]),
    ("reshard_last_4", &[("L2 Converge", 1)]),
    ("setslot_alone_3", &[("L2 Converge", 1), ("L11 StaleCorrected", 0)]),
    (
        "stale_owner_3",
        &[
            ("L2 Converge", 1),
            ("L4 FailCleared", 2),
            ("L4 SuspicionCleared", 2),
            ("L9 ExPrimaryRejoins", 0),
            ("L11 StaleCorrected", 1),
        ],
    ),
    ("wrong_id_3", &[("L6 MeetCompletes", 3), ("L4 SuspicionCleared", 2)]),
    (
        "lost_disk_5",
        &[
            ("L3 Failover", 4),
            ("L4 FailCleared", 2),
            ("L4 SuspicionCleared", 2),
            ("L5 Detect", 3),
            ("L11 StaleCorrected", 1),
            ("L13 CoverageReturns", 4),
        ],
    ),
    ("reset_3", &[("L2 Converge", 3), ("L6 MeetCompletes", 2)]),
    ("reset_hard_3", &[("L2 Converge", 2), ("L6 MeetCompletes", 1)]),
];

fn live(name: &str, mutant: Option<Mutant>) -> Live {
    let configuration = CONFIGURATIONS.iter().find(|known| known.name == name).expect("a standard configuration");
    run_live(
        Plan {
            configuration,
            profile_name: "slotbus",
            profile: Profile::SLOTBUS,
            mutant,
            engine: Engine::Own,
            is_actor: false,
            limits: Limits { threads: 2, ..Limits::default() },
        },
        &mut |_| (),
    )
}

/// What a run says of each goal: its name and the rounds that it takes.
fn rounds(live: &Live) -> Vec<(&'static str, u32)> {
    live.run.outcomes.iter().filter_map(|outcome| Some((outcome.name, outcome.rounds?))).collect()
}

#[test]
fn every_goal_comes_about_as_soon_as_pinned_and_is_not_there_from_the_start() {
    let quick = CONFIGURATIONS.iter().filter(|known| known.is_quick).map(|known| known.name);
    let held: Vec<_> = quick.filter(|name| !claims(name).is_empty()).collect();
    let mut found: Vec<(&str, Vec<(&str, u32)>)> = Vec::new();
    let mut empty = Vec::new();
    for name in held {
        let live = live(name, None);
        let violated = live.run.outcomes.iter().filter(|outcome| outcome.verdict != Verdict::Holds);
        assert_eq!(violated.map(|outcome| (outcome.name, outcome.kind)).collect::<Vec<_>>(), [], "{name}");
        let is_empty = |mark| live.graph.states().all(|state| live.graph.is_marked(state, mark));
        let is_missed = |goal: Goal| MISSED.iter().any(|&(at, _, missed)| (at, missed) == (name, goal.id()));
        let goals = live.labels.goals().filter(|&(goal, mark)| is_empty(mark) && !is_missed(goal));
        empty.extend(goals.map(|(goal, _)| (name, goal)));
        found.push((name, rounds(&live)));
    }
    assert_eq!(empty, [], "a goal that nobody can miss, under no fault either, says nothing");
    let pinned: Vec<_> = PINNED.iter().map(|(name, rounds)| (*name, rounds.to_vec())).collect();
    assert_eq!(found, pinned);
}

/// A deliberate fault under which a goal is never reached, although every invariant holds.
const MISSED: &[(&str, Mutant, &str)] = &[
    ("bump_3", Mutant::CollisionIgnored, "L1 EpochUnique"),
    ("minority_3", Mutant::FailForEver, "L4 SuspicionCleared"),
    ("failure_3", Mutant::SuspectNobody, "L5 Detect"),
    ("setslot_alone_3", Mutant::CollisionIgnored, "L2 Converge"),
    ("setslot_alone_3", Mutant::CollisionIgnored, "L11 StaleCorrected"),
    ("election_return_5", Mutant::SuspectNobody, "L3 Failover"),
    ("election_return_5", Mutant::SuspectNobody, "L13 CoverageReturns"),
    ("election_return_5", Mutant::FailForEver, "L4 FailCleared"),
    ("stale_owner_3", Mutant::LoserNotDemoted, "L9 ExPrimaryRejoins"),
    ("barrier_5", Mutant::SuspectNobody, "L12 OrphanServed"),
];

#[test]
fn goals_are_missed_under_faults_that_break_no_invariant() {
    for &(name, mutant, goal) in MISSED {
        let live = live(name, Some(mutant));
        let missed = live.run.outcomes.iter().find(|outcome| (outcome.name, outcome.kind) == (goal, "leads_to"));
        let missed = missed.expect("a goal that the configuration claims");
        assert_eq!(missed.verdict, Verdict::Violated, "{name} {goal}");
        let counterexample = missed.counterexample.as_ref().expect("a run that misses it");
        assert!(counterexample.heading.cycle_after.is_some(), "the run never ends");
        let broken =
            live.run.outcomes.iter().find(|outcome| outcome.kind == "always" && outcome.verdict != Verdict::Holds);
        assert!(broken.is_none(), "{broken:?}");
    }
}
