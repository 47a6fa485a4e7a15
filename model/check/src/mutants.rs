//! Owns the check of the checks: for every deliberate fault of the core, the configuration that is
//! expected to catch it. Knows no fault's inside.

use crate::{
    configs::{CONFIGURATIONS, Configuration},
    explore::{Limits, Progress},
    live::run_live,
    run::{Engine, Plan, Run},
};
use slotbus_core::{Mutant, Profile};

/// What became of one mutant.
#[derive(Clone, Debug)]
pub struct Hunt {
    /// The fault.
    pub mutant: Mutant,
    /// The run that caught it; none if it survived every configuration.
    pub caught: Option<Run>,
}

/// Which configuration is known to catch a mutant soonest.
const KNOWN: &[(&str, &[Mutant])] = &[
    (
        "collision_2",
        &[
            Mutant::ClaimIgnoresEpoch,
            Mutant::ClaimKeepsLoser,
            Mutant::ClaimTakesEqual,
            Mutant::CollisionBothMove,
            Mutant::CollisionReusesEpoch,
            Mutant::EpochNotSaved,
            Mutant::EpochNotRaised,
        ],
    ),
    ("collision_3", &[Mutant::ClaimOfReplica]),
    ("forget_3", &[Mutant::FailFromStranger, Mutant::HandshakeFromPing]),
    ("meet_3", &[Mutant::GossipFromStranger]),
    ("minority_3", &[Mutant::FailWithoutQuorum, Mutant::OkInMinority]),
    ("stale_report_4", &[Mutant::ReportNeverExpires]),
];

/// The configuration that is known to catch a mutant soonest, if one is.
#[must_use]
pub fn expected(mutant: Mutant) -> Option<&'static str> {
    KNOWN.iter().find(|(_, mutants)| mutants.contains(&mutant)).map(|&(name, _)| name)
}

/// Looks for a mutant where it is expected to be caught, then everywhere else.
pub fn hunt(mutant: Mutant, limits: Limits, progress: &mut dyn FnMut(Progress)) -> Hunt {
    let name = expected(mutant);
    let is_expected = |configuration: &&Configuration| Some(configuration.name) == name;
    let (first, others): (Vec<_>, Vec<_>) = CONFIGURATIONS.iter().partition(is_expected);
    let caught = first.into_iter().chain(others).find_map(|configuration| {
        let found = run_live(plan(configuration, mutant, limits), progress).run;
        found.is_violated().then_some(found)
    });
    Hunt { mutant, caught }
}

fn plan(configuration: &'static Configuration, mutant: Mutant, limits: Limits) -> Plan {
    Plan {
        configuration,
        profile_name: "slotbus",
        profile: Profile::SLOTBUS,
        mutant: Some(mutant),
        engine: Engine::Own,
        is_actor: false,
        limits,
    }
}
