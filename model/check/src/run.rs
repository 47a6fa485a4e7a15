//! Owns one run: a configuration, explored by an engine within limits, and what came of it in words
//! that no state appears in. Knows no command line and prints nothing.

use crate::{
    actor::actors,
    configs::{Configuration, SLOTS},
    counterexample::{Counterexample, Title},
    explain,
    explore::{Ending, Findings, Judged, Limits, Path, Progress, Verdict, explore_in},
    frontier::{Frontier, PackedWorlds, Whole},
    stateright_engine::explore_with_stateright,
    world_model::WorldModel,
};
use slotbus_core::{Mutant, Profile, Rule};
use slotbus_world::{Action, Pace, World};
use stateright::{Expectation, Model};
use std::{fmt::Debug, fmt::Write as _, hash::Hash, time::Duration};

/// Who searches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// Our own explorer.
    #[default]
    Own,
    /// Stateright's checker.
    Stateright,
}

impl Engine {
    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Stateright => "stateright",
        }
    }
}

/// What is to be run, and how.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Which world.
    pub configuration: &'static Configuration,
    /// The profile's name ...
    pub profile_name: &'static str,
    /// ... and the profile.
    pub profile: Profile,
    /// The deliberate fault, if any.
    pub mutant: Option<Mutant>,
    /// Who searches.
    pub engine: Engine,
    /// Whether the hosts are explored as Stateright actors rather than as a world.
    pub is_actor: bool,
    /// Where the search stops.
    pub limits: Limits,
}

impl Plan {
    /// What a counterexample to `property` in this plan's run is called.
    #[must_use]
    pub fn title<'a>(&self, property: &'a str) -> Title<'a> {
        let (config, profile) = (self.configuration.name, self.profile_name);
        Title { config, profile, mutant: self.mutant.map(Mutant::id), property }
    }
}

/// What came of one property.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The property.
    pub name: &'static str,
    /// "always", "reachable", "recoverable", "leads_to" or "settles".
    pub kind: &'static str,
    /// What is known.
    pub verdict: Verdict,
    /// How many steps lead to the state that decided it.
    pub trace_len: Option<usize>,
    /// Within how many rounds a goal is reached for good at worst.
    pub rounds: Option<u32>,
    /// These steps in words, if they lead to a violation.
    pub story: Option<String>,
    /// The same as a document, if they are steps of a world.
    pub counterexample: Option<Counterexample>,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Run {
    /// What was run.
    pub plan: Plan,
    /// How it ended.
    pub ending: Ending,
    /// Different states.
    pub states: usize,
    /// Steps between them.
    pub edges: usize,
    /// Steps to the farthest state.
    pub depth_max: usize,
    /// How long it took.
    pub elapsed: Duration,
    /// What came of each property.
    pub outcomes: Vec<Outcome>,
    /// Which rules fired.
    pub rules_fired: Vec<Rule>,
    /// How many bytes the states and the edges of the graph take, if it was kept.
    pub graph_bytes: Option<(usize, usize)>,
}

impl Run {
    /// Whether any property is violated: a state breaks it, or no state reaches it.
    #[must_use]
    pub fn is_violated(&self) -> bool {
        self.outcomes.iter().any(|outcome| outcome.verdict == Verdict::Violated)
    }

    /// The first property found violated by a state.
    #[must_use]
    pub fn first_violation(&self) -> Option<&Outcome> {
        self.outcomes.iter().find(|outcome| outcome.story.is_some())
    }

    /// The rules that the configuration is there to show and that did not fire.
    #[must_use]
    pub fn rules_missed(&self) -> Vec<Rule> {
        let claimed = self.plan.configuration.rules;
        claimed.iter().copied().filter(|rule| !self.rules_fired.contains(rule)).collect()
    }
}

/// Runs a plan.
pub fn run(plan: Plan, progress: &mut dyn FnMut(Progress)) -> Run {
    let model = plan.configuration.model(plan.profile, plan.mutant);
    let setup = &model.setup;
    let searched = match (plan.is_actor, setup.pace) {
        (true, Pace::Free { ticks }) => {
            search(&|| actors::<SLOTS>(setup, ticks), Whole::default(), plan, progress, &|_, _| None)
        }
        (true, Pace::Timely | Pace::Prompt) | (false, _) => {
            let recount = |property: &str, path: &Path<World<SLOTS>, Action>| {
                Some(Counterexample::of(setup, plan.title(property), path, None))
            };
            search(&|| model.clone(), PackedWorlds::default(), plan, progress, &recount)
        }
    };
    Run { rules_fired: setup.coverage.fired(), ..searched }
}

/// Makes a document of a way that violates a property, if it is one of a world.
type Recount<'a, S, A> = &'a dyn Fn(&str, &Path<S, A>) -> Option<Counterexample>;

/// Searches a model that can be made anew: one goes to the engine, one tells the ways it found.
fn search<M>(
    make: &dyn Fn() -> M,
    frontier: impl Frontier<M::State>,
    plan: Plan,
    progress: &mut dyn FnMut(Progress),
    recount: Recount<'_, M::State, M::Action>,
) -> Run
where
    M: Model + Send + Sync + 'static,
    M::State: Hash + Clone + PartialEq + Debug + Send + Sync + 'static,
    M::Action: Clone + PartialEq + Debug + Send + Sync + 'static,
{
    let model = make();
    let findings = match plan.engine {
        Engine::Own => explore_in(&model, frontier, plan.limits, progress),
        Engine::Stateright => explore_with_stateright(make(), plan.limits, progress),
    };
    let Findings { states, edges, depth_max, elapsed, ending, judged } = findings;
    let outcomes = judged.iter().map(|judged| outcome(&model, judged, recount)).collect();
    Run { plan, ending, states, edges, depth_max, elapsed, outcomes, rules_fired: Vec::new(), graph_bytes: None }
}

/// What came of each property of a plan's world.
pub(crate) fn outcomes_of_world(
    plan: &Plan,
    model: &WorldModel<SLOTS>,
    judged: &[Judged<World<SLOTS>, Action>],
) -> Vec<Outcome> {
    let recount = |property: &str, path: &Path<World<SLOTS>, Action>| {
        Some(Counterexample::of(&model.setup, plan.title(property), path, None))
    };
    judged.iter().map(|judged| outcome(model, judged, &recount)).collect()
}

fn outcome<M: Model>(
    model: &M,
    judged: &Judged<M::State, M::Action>,
    recount: Recount<'_, M::State, M::Action>,
) -> Outcome
where
    M::State: PartialEq + Debug,
    M::Action: Clone + Debug,
{
    let violation = judged.path.as_ref().filter(|_| judged.verdict == Verdict::Violated);
    let counterexample = violation.and_then(|path| recount(judged.name, path));
    let story = match &counterexample {
        Some(counterexample) => Some(explain::text(counterexample)),
        None => violation.map(|path| tell_path(model, path)),
    };
    let kind = match judged.expectation {
        Expectation::Always => "always",
        Expectation::Sometimes => "reachable",
        Expectation::Eventually => "eventually",
    };
    let trace_len = judged.path.as_ref().map(|path| path.steps.len());
    Outcome { name: judged.name, kind, verdict: judged.verdict, trace_len, rounds: None, story, counterexample }
}

/// A way through a model, one numbered action after the other.
fn tell_path<M: Model>(model: &M, path: &Path<M::State, M::Action>) -> String
where
    M::State: PartialEq + Debug,
    M::Action: Clone + Debug,
{
    let mut text = String::new();
    let mut last = &path.start;
    for ((action, state), number) in path.steps.iter().zip(1..) {
        let step = model.format_step(last, action.clone()).unwrap_or_else(|| model.format_action(action));
        let _ = writeln!(text, "{number}. {step}");
        last = state;
    }
    text
}
