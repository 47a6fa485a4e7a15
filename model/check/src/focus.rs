//! Owns the run that asks for one property only: whatever else is broken, the search goes on until that
//! property is decided. Knows no bug and no mutant.

use crate::{
    explore::{Findings, Progress, Verdict, explore_in},
    frontier::PackedWorlds,
    goals::Goal,
    live::live_of,
    run::{Outcome, Plan, outcomes_of_world},
    world_model::WorldModel,
};
use slotbus_world::{Flaw, Invariant};

/// What was asked for, and what came of it: the worst, if it is asked in several ways.
#[derive(Clone, Debug)]
pub struct Focused {
    /// Different states that were seen.
    pub states: usize,
    /// What came of the property; none if no property has that name.
    pub outcome: Option<Outcome>,
}

impl Focused {
    /// What is known of the property.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.outcome.as_ref().map_or(Verdict::Unknown, |outcome| outcome.verdict)
    }
}

/// Runs a plan's world, with something deliberately wrong around its nodes if that is named, and judges
/// the invariant or the goal called `property`.
pub fn focus(plan: Plan, flaw: Option<Flaw>, property: &str, progress: &mut dyn FnMut(Progress)) -> Focused {
    let mut model = plan.configuration.model(plan.profile, plan.mutant);
    model.setup.flaw = flaw;
    let goal = Goal::ALL.iter().copied().find(|goal| goal.id() == property);
    let invariant = Invariant::ALL.iter().map(|invariant| invariant.id()).find(|id| *id == property);
    model.focus = Some(goal.map_or(invariant.unwrap_or_default(), Goal::id));
    let (states, outcomes) = match goal {
        Some(goal) => {
            let run = live_of(plan, model, &[goal], progress).run;
            (run.states, run.outcomes)
        }
        None => search(plan, &model, progress),
    };
    let worst = outcomes.iter().position(|outcome| outcome.verdict == Verdict::Violated).unwrap_or_default();
    Focused { states, outcome: outcomes.into_iter().nth(worst) }
}

fn search(
    plan: Plan,
    model: &WorldModel<{ crate::SLOTS }>,
    progress: &mut dyn FnMut(Progress),
) -> (usize, Vec<Outcome>) {
    let Findings { states, judged, .. } = explore_in(model, PackedWorlds::default(), plan.limits, progress);
    (states, outcomes_of_world(&plan, model, &judged))
}
