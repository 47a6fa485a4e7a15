//! Owns one run with its graph: a configuration explored whole, then asked what happens in the end.
//! Knows no command line and prints nothing.

use crate::{
    claims::claims,
    configs::SLOTS,
    counterexample::Counterexample,
    explore::{Path, Progress, Verdict, explore_graph},
    frontier::PackedWorlds,
    goals::Goal,
    graph::{Graph, Marks},
    lasso::{Lasso, reenact, walk},
    liveness::{Answer, Question, ask},
    run::{Outcome, Plan, Run, outcomes_of_world},
    world_labels::{SILENT, WorldLabels},
    world_model::WorldModel,
};
use slotbus_world::{Action, World};

/// A run with the graph that it left.
#[derive(Debug)]
pub struct Live {
    /// The run, with an outcome for every question.
    pub run: Run,
    /// The model that was run.
    pub model: WorldModel<SLOTS>,
    /// What its graph is labelled with.
    pub labels: WorldLabels,
    /// The graph.
    pub graph: Graph,
}

/// Runs a plan's world, keeps its graph, and asks it every question that its configuration is held to.
pub fn run_live(plan: Plan, progress: &mut dyn FnMut(Progress)) -> Live {
    let model = plan.configuration.model(plan.profile, plan.mutant);
    run_live_on(plan, model, progress)
}

/// Runs a plan like [`run_live`], on a model that is not quite that of its configuration.
pub fn run_live_on(plan: Plan, model: WorldModel<SLOTS>, progress: &mut dyn FnMut(Progress)) -> Live {
    live_of(plan, model, claims(plan.configuration.name), progress)
}

/// Runs a model, keeps its graph, and asks it for these goals.
pub(crate) fn live_of(
    plan: Plan,
    model: WorldModel<SLOTS>,
    goals: &[Goal],
    progress: &mut dyn FnMut(Progress),
) -> Live {
    let labels = WorldLabels::new(&model.setup, goals);
    let (findings, graph) = explore_graph(&model, &labels, PackedWorlds::default(), plan.limits, progress);
    let judged = outcomes_of_world(&plan, &model, &findings.judged);
    let inquiry = Inquiry { plan: &plan, model: &model, labels: &labels, graph: &graph };
    let outcomes = judged.into_iter().chain(inquiry.outcomes()).collect();
    let run = Run {
        plan,
        ending: findings.ending,
        states: findings.states,
        edges: findings.edges,
        depth_max: findings.depth_max,
        elapsed: findings.elapsed,
        outcomes,
        rules_fired: model.setup.coverage.fired(),
        graph_bytes: Some(graph.bytes()),
    };
    Live { run, model, labels, graph }
}

/// The questions that are asked about each goal, each with the kind that reports call it.
#[must_use]
pub const fn questions(goal: Marks) -> [(&'static str, Question); 3] {
    [
        ("recoverable", Question::Recoverable { goal }),
        ("leads_to", Question::LeadsTo { trigger: SILENT, goal }),
        ("settles", Question::Settles { trigger: SILENT, goal }),
    ]
}

/// A graph that is asked.
struct Inquiry<'a> {
    plan: &'a Plan,
    model: &'a WorldModel<SLOTS>,
    labels: &'a WorldLabels,
    graph: &'a Graph,
}

impl Inquiry<'_> {
    fn outcomes(&self) -> Vec<Outcome> {
        let asked =
            self.labels.goals().flat_map(|(goal, mark)| questions(mark).map(|(kind, question)| (goal, kind, question)));
        asked.map(|(goal, kind, question)| self.outcome(goal, kind, question)).collect()
    }

    fn outcome(&self, goal: Goal, kind: &'static str, question: Question) -> Outcome {
        let answer = ask(self.graph, self.labels.all(), question);
        let verdict = match &answer {
            None => Verdict::Unknown,
            Some(answer) if answer.holds() => Verdict::Holds,
            Some(_) => Verdict::Violated,
        };
        let rounds = match answer {
            Some(Answer::Within(rounds)) => Some(rounds),
            Some(Answer::Holds | Answer::Stuck(_) | Answer::Misses(_) | Answer::Wanders(_)) | None => None,
        };
        let shown = answer.and_then(|answer| self.shown(&answer, question));
        let trace_len = shown.as_ref().map(|(path, _)| path.steps.len());
        let counterexample = shown.map(|(path, cycle_after)| {
            Counterexample::of(&self.model.setup, self.plan.title(goal.id()), &path, cycle_after)
        });
        let story = counterexample.as_ref().map(crate::explain::text);
        Outcome { name: goal.id(), kind, verdict, trace_len, rounds, story, counterexample }
    }

    /// The run that an answer speaks of, taken by the model once more.
    fn shown(&self, answer: &Answer, question: Question) -> Option<(Path<World<SLOTS>, Action>, Option<usize>)> {
        match answer {
            Answer::Holds | Answer::Within(_) => None,
            Answer::Stuck(state) => Some((self.way_to(*state), None)),
            Answer::Misses(lasso) | Answer::Wanders(lasso) => Some(self.trail(lasso, question)),
        }
    }

    fn way_to(&self, state: u32) -> Path<World<SLOTS>, Action> {
        let lasso = Lasso::to(self.graph, state);
        let Some(path) = walk(self.model, self.labels, self.graph, lasso.start, &lasso.stem) else {
            unreachable!("the model does not go where it went before: it is not deterministic");
        };
        path
    }

    fn trail(&self, lasso: &Lasso, question: Question) -> (Path<World<SLOTS>, Action>, Option<usize>) {
        let goal = match question {
            Question::LeadsTo { goal, .. } => Some(goal),
            Question::Recoverable { .. } | Question::Settles { .. } => None,
        };
        let Some(trail) = reenact(self.model, self.labels, self.graph, lasso, goal) else {
            unreachable!("the model does not take the run that its graph shows: it is not deterministic");
        };
        (trail.path, Some(trail.stem_len))
    }
}
