//! The standard configurations, run to exhaustion: pinned numbers, verdicts, witnesses, claimed rules.

use slotbus_check::{
    CONFIGURATIONS, Configuration, Ending, Engine, Limits, Plan, Run, UNFIRED, claims::claims, goals::Goal,
    mutants::expected, run,
};
use slotbus_core::{Mutant, Profile, Rule};
use slotbus_world::Invariant;
use std::{collections::BTreeSet, fs};

/// States, edges and depth of each quick configuration. A change of the protocol, of the world or of a
/// bound changes them: look at what became possible or impossible before changing them here.
const PINNED: &[(&str, usize, usize, usize)] = &[
    ("meet_2", 94_993, 250_155, 26),
    ("lost_meet_2", 48_053, 151_451, 27),
    ("meet_3", 371_062, 999_418, 32),
    ("gossip_3", 293_932, 997_839, 29),
    ("failure_3", 295_521, 470_909, 137),
    ("minority_3", 180_013, 308_187, 109),
    ("partition_3", 1_432_414, 4_341_444, 121),
    ("forget_3", 78_346, 175_656, 102),
    ("stale_report_4", 477_991, 1_470_079, 146),
    ("collision_2", 46_404, 123_138, 25),
    ("collision_3", 202_368, 269_339, 119),
    ("bump_3", 45_323, 73_195, 47),
    ("election_4", 66_655, 142_996, 52),
    ("election_5", 51_037, 122_644, 49),
    ("election_return_5", 7_731, 27_347, 66),
    ("vote_crash_5", 39_825, 98_813, 86),
    ("two_deaths_5", 3_969, 7_862, 69),
    ("two_elections_5", 69_014, 263_986, 67),
    ("reshard_last_4", 114_702, 449_261, 24),
    ("setslot_alone_3", 893, 1_996, 12),
    ("stale_owner_3", 19_777, 39_583, 23),
    ("forget_restart_3", 40_417, 88_058, 40),
    ("wrong_id_3", 12_948, 19_313, 64),
    ("lost_disk_5", 2_484, 3_810, 48),
    ("reset_3", 34_847, 58_623, 101),
    ("reset_hard_3", 7_921, 11_803, 34),
];

fn plan(configuration: &'static Configuration) -> Plan {
    Plan {
        configuration,
        profile_name: "slotbus",
        profile: Profile::SLOTBUS,
        mutant: None,
        engine: Engine::Own,
        is_actor: false,
        limits: Limits::default(),
    }
}

fn quick() -> impl Iterator<Item = &'static Configuration> {
    CONFIGURATIONS.iter().filter(|configuration| configuration.is_quick)
}

fn numbers(run: &Run) -> (usize, usize, usize, Ending) {
    (run.states, run.edges, run.depth_max, run.ending)
}

#[test]
fn every_quick_configuration_is_pinned() {
    let known: Vec<_> = quick().map(|configuration| configuration.name).collect();
    assert_eq!(PINNED.iter().map(|pinned| pinned.0).collect::<Vec<_>>(), known);
}

#[test]
fn every_configuration_has_a_name_of_its_own() {
    let names: BTreeSet<_> = Configuration::every().map(|configuration| configuration.name).collect();
    assert_eq!(names.len(), Configuration::every().count());
}

/// No rule is left out: what fires in none of these is listed, with the reason.
#[test]
fn every_quick_configuration_is_exhausted_and_holds_and_every_rule_fires_or_is_listed() {
    let mut fired = pinned_ones_hold();
    fired.extend(small_ones_hold());
    let silent: BTreeSet<_> = Rule::ALL.iter().copied().filter(|rule| !fired.contains(rule)).collect();
    assert_eq!(silent, UNFIRED.iter().map(|(rule, _)| *rule).collect());
    let text =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/VERIFICATION.md")).expect("the page");
    for (rule, reason) in UNFIRED {
        assert!(text.contains(&format!("| {} | {reason} |", rule.id())), "docs/VERIFICATION.md lacks {}", rule.id());
    }
}

/// The rules that fire in the standard configurations.
fn pinned_ones_hold() -> BTreeSet<Rule> {
    let hold =
        |(configuration, &(name, states, edges, depth)): (&'static Configuration, &(&str, usize, usize, usize))| {
            let limits = Limits { threads: 2, ..Limits::default() };
            let run = run(Plan { limits, ..plan(configuration) }, &mut |_| ());
            assert_eq!(numbers(&run), (states, edges, depth, Ending::Exhausted), "{name}");
            let violated: Vec<_> = run.outcomes.iter().filter(|outcome| outcome.verdict.name() != "holds").collect();
            assert!(violated.is_empty(), "{name}: {violated:?}");
            assert_eq!(run.outcomes.len(), Invariant::ALL.len() + configuration.witnesses.len());
            assert!(run.rules_missed().is_empty(), "{name}: {:?}", run.rules_missed());
            run.rules_fired
        };
    quick().zip(PINNED).flat_map(hold).collect()
}

/// The same of the worlds that are there for single bugs, without the bug, or for single rules.
fn small_ones_hold() -> BTreeSet<Rule> {
    let is_small =
        |configuration: &&Configuration| !CONFIGURATIONS.iter().any(|known| known.name == configuration.name);
    let small = Configuration::standard().filter(is_small).filter(|configuration| configuration.is_quick);
    let hold = |configuration: &'static Configuration| {
        let run = run(plan(configuration), &mut |_| ());
        assert_eq!((run.ending, run.is_violated()), (Ending::Exhausted, false), "{}", configuration.name);
        assert!(run.rules_missed().is_empty(), "{}: {:?}", configuration.name, run.rules_missed());
        run.rules_fired
    };
    small.flat_map(hold).collect()
}

/// What `run all --quick --liveness` notices: at least nine of ten mutants, so that a merge check tells.
#[test]
fn nine_of_ten_mutants_are_caught_by_the_quick_set() {
    let is_noticed = |&&mutant: &&Mutant| {
        expected(mutant).is_some_and(|(name, property)| {
            let is_quick = Configuration::standard().any(|known| known.name == name && known.is_quick);
            let is_goal = Goal::ALL.iter().any(|goal| goal.id() == property);
            is_quick && (!is_goal || claims(name).iter().any(|goal| goal.id() == property))
        })
    };
    let caught = Mutant::ALL.iter().filter(is_noticed).count();
    assert!(caught * 10 >= Mutant::ALL.len() * 9, "{caught} of {}", Mutant::ALL.len());
}

#[test]
fn both_engines_agree_where_both_are_quick() {
    let is_quick = |&&(_, states, ..): &&(&str, usize, usize, usize)| states < 100_000;
    for &(name, ..) in PINNED.iter().filter(is_quick) {
        let configuration = Configuration::named(name).expect("a pinned configuration");
        let own = run(plan(configuration), &mut |_| ());
        let other = run(Plan { engine: Engine::Stateright, ..plan(configuration) }, &mut |_| ());
        assert_eq!(numbers(&own), numbers(&other), "{name}");
        for (own, other) in own.outcomes.iter().zip(&other.outcomes) {
            assert_eq!((own.name, own.verdict), (other.name, other.verdict), "{name}");
        }
    }
}

#[test]
fn actors_are_exhausted_and_both_engines_agree_on_them() {
    for (name, states) in [("meet_2", 1_809), ("meet_3", 31_218)] {
        let configuration = Configuration::named(name).expect("a configuration with actors");
        assert!(configuration.has_actors);
        let plan = Plan { is_actor: true, ..plan(configuration) };
        let own = run(plan, &mut |_| ());
        let other = run(Plan { engine: Engine::Stateright, ..plan }, &mut |_| ());
        assert_eq!((own.states, own.ending, own.is_violated()), (states, Ending::Exhausted, false));
        assert_eq!(numbers(&own), numbers(&other));
    }
}

#[test]
fn a_caught_mutant_is_caught_by_both_engines() {
    let configuration = Configuration::named("collision_2").expect("a pinned configuration");
    let mutant = Some(Mutant::ClaimIgnoresEpoch);
    let own = run(Plan { mutant, ..plan(configuration) }, &mut |_| ());
    let other = run(Plan { mutant, engine: Engine::Stateright, ..plan(configuration) }, &mut |_| ());
    assert_eq!((own.ending, other.ending), (Ending::Violated, Ending::Violated));
    let names = |run: &Run| run.first_violation().map(|outcome| outcome.name);
    assert_eq!(names(&own), names(&other));
}
