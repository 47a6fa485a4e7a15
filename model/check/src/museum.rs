//! Owns the museum: bugs that real clusters have had, each brought back by variants of the profile, a
//! deliberate fault of the core or a flaw of the world, and the configuration in which a property
//! notices. Knows no command line; the pieces themselves are in [`exhibits`](crate::exhibits).

use crate::{
    configs::Configuration,
    explore::{Limits, Progress, Verdict},
    focus::{Focused, focus},
    run::{Engine, Plan},
};
use slotbus_core::{Mutant, Profile};
use slotbus_world::Flaw;
use std::fmt;

/// What brings a bug back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relapse {
    /// Variants of the profile that are switched off: each of them would mend it.
    Off(&'static [&'static str]),
    /// A variant of the profile that is switched on.
    On(&'static str),
    /// A deliberate fault of the core.
    Fault(Mutant),
    /// A flaw of the world.
    World(Flaw),
}

impl fmt::Display for Relapse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off(variants) => write!(f, "{}=off", variants.join("=off ")),
            Self::On(variant) => write!(f, "{variant}=on"),
            Self::Fault(mutant) => write!(f, "mutant={}", mutant.id()),
            Self::World(flaw) => write!(f, "world={}", flaw.id()),
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

/// A bug that cannot be told from its absence here.
#[derive(Clone, Copy, Debug)]
pub struct Absentee {
    /// Its number.
    pub id: &'static str,
    /// What happened.
    pub bug: &'static str,
    /// Where it is documented.
    pub source: &'static str,
    /// Why it is not shown.
    pub reason: &'static str,
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
    /// How many states there are without it.
    pub states: usize,
}

impl Viewing {
    /// Whether the property tells the bug from its absence.
    #[must_use]
    pub fn is_told_apart(&self) -> bool {
        (self.buggy, self.fixed) == (Verdict::Violated, Verdict::Holds)
    }
}

impl Exhibit {
    /// Looks at the bug, and at its absence; none if its configuration does not exist.
    pub fn view(&'static self, limits: Limits, progress: &mut dyn FnMut(Progress)) -> Option<Viewing> {
        let plan = Plan {
            configuration: Configuration::named(self.config)?,
            profile_name: "slotbus",
            profile: Profile::SLOTBUS,
            mutant: None,
            engine: Engine::Own,
            is_actor: false,
            limits,
        };
        let buggy = self.relapsed(plan, progress);
        let fixed = focus(plan, None, self.property, progress);
        let trace_len = buggy.outcome.as_ref().and_then(|outcome| outcome.trace_len);
        Some(Viewing { exhibit: self, buggy: buggy.verdict(), trace_len, fixed: fixed.verdict(), states: fixed.states })
    }

    /// What becomes of the property with the bug; a variant that nobody knows leaves that unknown.
    fn relapsed(&self, mut plan: Plan, progress: &mut dyn FnMut(Progress)) -> Focused {
        let profile = &mut plan.profile;
        let (is_known, mutant, flaw) = match self.relapse {
            Relapse::Off(variants) => (variants.iter().all(|variant| profile.set(variant, false)), None, None),
            Relapse::On(variant) => (profile.set(variant, true), None, None),
            Relapse::Fault(mutant) => (true, Some(mutant), None),
            Relapse::World(flaw) => (true, None, Some(flaw)),
        };
        if is_known {
            focus(Plan { mutant, ..plan }, flaw, self.property, progress)
        } else {
            Focused { states: 0, outcome: None }
        }
    }
}
