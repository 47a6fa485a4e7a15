//! The museum and the mutants: every bug is told from its absence, every mutant is caught by the property
//! that is named for it. docs/MUSEUM.md is written from what is seen; with UPDATE_DOCS=1 this test writes it.

use slotbus_check::{
    Configuration, Limits,
    exhibits::{ABSENTEES, EXHIBITS},
    goals::Goal,
    museum::{Exhibit, Relapse, Viewing},
    mutants::{equivalence, expected, hunt},
};
use slotbus_core::Mutant;
use slotbus_world::Invariant;
use std::{collections::BTreeSet, env, fmt::Write as _, fs, path::Path};

/// Properties that neither a bug nor a mutant of the tables breaks, each with what does.
static OTHERS: &[Exhibit] = &[
    other("S29 DataFollowsSlot", "manual_3", Relapse::Fault(Mutant::PauseForgotten)),
    other("L2 Converge", "collision_3", Relapse::Fault(Mutant::CollisionIgnored)),
    other("L4 FailCleared", "minority_3", Relapse::Fault(Mutant::FailForEver)),
    other("L7 ForgetCompletes", "forget_3", Relapse::Fault(Mutant::GossipRevives)),
    other("L10 ManualEnds", "manual_unheard_3", Relapse::Fault(Mutant::ManualForEver)),
    other("L11 StaleCorrected", "collision_3", Relapse::Fault(Mutant::CollisionIgnored)),
    other("L13 CoverageReturns", "failover_4", Relapse::Fault(Mutant::DataAgeFromZero)),
];

const fn other(property: &'static str, config: &'static str, relapse: Relapse) -> Exhibit {
    Exhibit { id: property, bug: "", source: "", relapse, property, config }
}

#[test]
fn every_property_is_seen_to_fail() {
    let caught = Mutant::ALL.iter().filter_map(|&mutant| expected(mutant)).map(|(_, property)| property);
    let exhibits = EXHIBITS.iter().chain(OTHERS).map(|exhibit| exhibit.property);
    let broken: BTreeSet<_> = caught.chain(exhibits).collect();
    let invariants = Invariant::ALL.iter().map(|invariant| invariant.id());
    let all = invariants.chain(Goal::ALL.iter().map(|goal| goal.id()));
    let unbroken: Vec<_> = all.filter(|property| !broken.contains(property)).collect();
    assert!(unbroken.is_empty(), "{unbroken:?}");
    for exhibit in OTHERS {
        let viewing = exhibit.view(Limits { threads: 2, ..Limits::default() }, &mut |_| ()).expect(exhibit.config);
        assert!(viewing.is_told_apart(), "{viewing:?}");
    }
}

fn seen() -> Vec<Viewing> {
    let view = |exhibit: &'static Exhibit| exhibit.view(Limits { threads: 2, ..Limits::default() }, &mut |_| ());
    EXHIBITS.iter().map(|exhibit| view(exhibit).expect(exhibit.config)).collect()
}

fn document(viewings: &[Viewing]) -> String {
    let mut text = String::from(
        "# The museum: bugs that real clusters have had\n\n\
         Written by `UPDATE_DOCS=1 cargo test --release -p slotbus-check --test museum` from model/check/src/exhibits.rs. \
         Each bug is brought back by what its flag names, in the smallest configuration in which its property notices; \
         `steps` is the length of the shortest counterexample, 0 if a liveness goal is out of reach from the start. \
         Without the flag that configuration is exhausted, and the property holds. See them with `slotbus-check museum`, \
         and one with `slotbus-check museum B29`.\n\n\
         | bug | what happened | source | flag | configuration | property | steps | states without it | verdict without it |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for Viewing { exhibit, trace_len, fixed, states, .. } in viewings {
        let Exhibit { id, bug, source, relapse, property, config } = exhibit;
        let steps = trace_len.unwrap_or_default();
        let fixed = fixed.name();
        let _ = writeln!(
            text,
            "| {id} | {bug} | {source} | {relapse} | {config} | {property} | {steps} | {states} | {fixed} |"
        );
    }
    text.push_str("\n## Not applicable\n\n| bug | what happened | source | why it is not shown |\n|---|---|---|---|\n");
    for absentee in ABSENTEES {
        let _ = writeln!(text, "| {} | {} | {} | {} |", absentee.id, absentee.bug, absentee.source, absentee.reason);
    }
    text
}

#[test]
fn every_bug_is_told_from_its_absence_and_the_document_says_how() {
    let viewings = seen();
    let blurred: Vec<_> = viewings.iter().filter(|viewing| !viewing.is_told_apart()).collect();
    assert!(blurred.is_empty(), "{blurred:?}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/MUSEUM.md");
    let expected = document(&viewings);
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &expected).expect("docs/MUSEUM.md is written");
    }
    let found = fs::read_to_string(&path).expect("docs/MUSEUM.md is there");
    assert!(found == expected, "docs/MUSEUM.md is out of date: run this test with UPDATE_DOCS=1");
}

#[test]
fn every_number_stands_once() {
    let ids = || EXHIBITS.iter().map(|it| it.id).chain(ABSENTEES.iter().map(|it| it.id));
    assert_eq!(ids().collect::<BTreeSet<_>>().len(), ids().count());
    assert!(EXHIBITS.iter().all(|exhibit| Configuration::named(exhibit.config).is_some()));
}

#[test]
fn every_mutant_is_caught_where_it_is_expected_or_cannot_be() {
    for &mutant in Mutant::ALL {
        assert!(expected(mutant).is_some() != equivalence(mutant).is_some(), "{}", mutant.id());
        let Some((config, property)) = expected(mutant) else { continue };
        let hunt = hunt(mutant, Limits { threads: 2, ..Limits::default() }, &mut |_| ());
        let (configuration, outcome) = hunt.caught.unwrap_or_else(|| panic!("{} survives", mutant.id()));
        assert_eq!((configuration.name, outcome.name), (config, property), "{}", mutant.id());
    }
}
