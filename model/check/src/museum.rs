//! Owns the museum: bugs that real clusters have had, each brought back by a variant of the profile
//! or a deliberate fault, and the configuration in which a property notices. Knows no command line.

use crate::{
    configs::Configuration,
    explore::{Limits, Progress, Verdict},
    live::run_live,
    run::{Engine, Outcome, Plan, Run, run},
};
use slotbus_core::{Mutant, Profile};
use std::fmt;

/// What brings a bug back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relapse {
    /// A variant of the profile that is switched off.
    Off(&'static str),
    /// A variant of the profile that is switched on.
    On(&'static str),
    /// A deliberate fault.
    Fault(Mutant),
}

impl fmt::Display for Relapse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off(variant) => write!(f, "{variant}=off"),
            Self::On(variant) => write!(f, "{variant}=on"),
            Self::Fault(mutant) => write!(f, "mutant={}", mutant.id()),
        }
    }
}

/// One bug.
#[derive(Clone, Copy, Debug)]
pub struct Exhibit {
    /// Its number.
    pub id: &'static str,
    /// What happened.
    pub bug: &'static str,
    /// Where it is documented.
    pub source: &'static str,
    /// What brings it back.
    pub relapse: Relapse,
    /// The property that notices.
    pub property: &'static str,
    /// The configuration in which it does.
    pub config: &'static str,
}

/// What was seen of one bug.
#[derive(Clone, Debug)]
pub struct Viewing {
    /// Which.
    pub exhibit: &'static Exhibit,
    /// The property's verdict with the bug.
    pub buggy: Verdict,
    /// How many steps lead to what shows it.
    pub trace_len: Option<usize>,
    /// The property's verdict without it.
    pub fixed: Verdict,
}

impl Viewing {
    /// Whether the property tells the bug from its absence.
    #[must_use]
    pub fn is_told_apart(&self) -> bool {
        (self.buggy, self.fixed) == (Verdict::Violated, Verdict::Holds)
    }
}

impl Exhibit {
    /// The bug with this number.
    #[must_use]
    pub fn by_id(id: &str) -> Option<&'static Self> {
        EXHIBITS.iter().find(|exhibit| exhibit.id == id)
    }

    /// Looks at the bug, and at its absence; none if its configuration does not exist.
    pub fn view(&'static self, limits: Limits, progress: &mut dyn FnMut(Progress)) -> Option<Viewing> {
        let configuration = Configuration::named(self.config)?;
        let plan = Plan {
            configuration,
            profile_name: "slotbus",
            profile: Profile::SLOTBUS,
            mutant: None,
            engine: Engine::Own,
            is_actor: false,
            limits,
        };
        let buggy = self.judge(self.relapsed(plan), progress);
        let fixed = self.judge(plan, progress);
        let trace_len = buggy.as_ref().and_then(|outcome| outcome.trace_len);
        let verdict = |outcome: Option<Outcome>| outcome.map_or(Verdict::Unknown, |outcome| outcome.verdict);
        Some(Viewing { exhibit: self, buggy: verdict(buggy), trace_len, fixed: verdict(fixed) })
    }

    fn relapsed(&self, plan: Plan) -> Plan {
        let mut profile = plan.profile;
        let mutant = match self.relapse {
            Relapse::Off(variant) => (!profile.set(variant, false)).then_some(None),
            Relapse::On(variant) => (!profile.set(variant, true)).then_some(None),
            Relapse::Fault(mutant) => Some(Some(mutant)),
        };
        Plan { profile, mutant: mutant.flatten(), ..plan }
    }

    /// What came of this bug's property in a run: the worst, if it is asked in several ways.
    fn judge(&self, plan: Plan, progress: &mut dyn FnMut(Progress)) -> Option<Outcome> {
        let run: Run = if self.property.starts_with('L') { run_live(plan, progress).run } else { run(plan, progress) };
        let mut outcomes: Vec<_> = run.outcomes.into_iter().filter(|outcome| outcome.name == self.property).collect();
        let worst = outcomes.iter().position(|outcome| outcome.verdict == Verdict::Violated).unwrap_or_default();
        (worst < outcomes.len()).then(|| outcomes.swap_remove(worst))
    }
}

/// Every bug that is shown.
pub const EXHIBITS: &[Exhibit] = &[
    Exhibit {
        id: "B04",
        bug: "Gossip of a stranger brings the nodes of another cluster in.",
        source: "redis #2472, #6174, #7287",
        relapse: Relapse::Fault(Mutant::GossipFromStranger),
        property: "S20 NewcomersVouched",
        config: "meet_3",
    },
    Exhibit {
        id: "B13",
        bug: "Exactly half of the voters counts as a majority.",
        source: "redis 36e34a656",
        relapse: Relapse::Fault(Mutant::OkByHalf),
        property: "S28 StateSound",
        config: "minority_3",
    },
    Exhibit {
        id: "B29",
        bug: "A collision of epochs is settled with an epoch that is not new.",
        source: "redis 6c527a89a, 3cf6f1f54",
        relapse: Relapse::Fault(Mutant::CollisionReusesEpoch),
        property: "S7 EpochFresh",
        config: "collision_2",
    },
    Exhibit {
        id: "B56",
        bug: "A node that was forgotten comes back through gossip at once.",
        source: "redis #1410, #2437, ccf268fa1",
        relapse: Relapse::Fault(Mutant::GossipRevives),
        property: "S21 ForgetBan",
        config: "forget_3",
    },
    Exhibit {
        id: "B59",
        bug: "Reports of a node that was forgotten go on counting.",
        source: "redis db6d628c3, 59ad6ac5f, fc3ca8ff8",
        relapse: Relapse::Fault(Mutant::ForgetKeepsReports),
        property: "S19 ReportersKnown",
        config: "forget_3",
    },
    Exhibit {
        id: "B72",
        bug: "A new epoch is announced before it is on disk.",
        source: "redis 62b159143, 03ca90398, b18751771",
        relapse: Relapse::Fault(Mutant::EpochNotSaved),
        property: "S8 PersistBeforeClaim",
        config: "collision_2",
    },
];
