//! Owns how vectors come to be: explored, chosen, made short, and written down with what the model does.

use super::{
    cover::{self, Report},
    explore::{Reach, Run, explore},
    live, parallel,
    reference::{Session, profile},
    shrink::shrink,
    situations::Situation,
    vector::{Expect, FORMAT, Level, Subject, Vector, Verdict, digest},
};
use slotbus_core::{Profile, Rule};
use std::collections::BTreeSet;

/// What is asked of a generation. The same options give the same vectors.
#[derive(Clone, Debug)]
pub struct Options {
    /// The profile's name.
    pub profile: String,
    /// How many vectors at most.
    pub budget: usize,
    /// What dice are drawn from.
    pub seed: u64,
    /// How far and wide the walk goes.
    pub reach: Reach,
}

/// So many runs are made into vectors between two reports of progress.
const RUNS_AT_ONCE: usize = 250;

/// What a generation led to.
pub struct Generated {
    /// The vectors, those of rules and guards first.
    pub vectors: Vec<Vector>,
    /// What they cover.
    pub report: Report,
}

/// Generates vectors.
pub fn generate(options: &Options, progress: &mut dyn FnMut(&str)) -> Result<Generated, String> {
    let rules = profile(&options.profile)?;
    let explored = explore(rules, options.seed, options.reach, progress);
    let maker = Maker { options, profile: rules };
    let mut vectors = Vec::new();
    let mut names = BTreeSet::new();
    let mut add = |vector: Vector, vectors: &mut Vec<Vector>| {
        if vectors.len() < options.budget && names.insert(digest(vector.body().as_bytes())) {
            vectors.push(vector);
        }
    };
    for situation in explored.situations.iter().filter(|situation| situation.preamble.is_empty()) {
        add(maker.start(situation)?, &mut vectors);
    }
    let mut runs: Vec<&Run> = explored.runs.iter().collect();
    runs.sort_by_key(|run| run.rank());
    for part in runs.chunks(RUNS_AT_ONCE) {
        if vectors.len() >= options.budget {
            break;
        }
        for vector in parallel::map(part.to_vec(), |run| maker.vector(&explored.situations[run.situation], run)) {
            add(vector?, &mut vectors);
        }
        progress(&format!("{} of {} vectors", vectors.len(), options.budget.min(explored.runs.len())));
    }
    let report = cover::report(&explored, &vectors, rules);
    Ok(Generated { vectors, report })
}

struct Maker<'a> {
    options: &'a Options,
    profile: Profile,
}

impl Maker<'_> {
    /// The vector of a situation's start.
    fn start(&self, situation: &Situation) -> Result<Vector, String> {
        let (_, seen) = Session::start(&situation.subject, self.profile, None)?;
        let mut vector = self.frame(situation);
        vector.rules = distinct(&seen.rules);
        vector.node.expect = Some(seen);
        Ok(vector)
    }

    fn vector(&self, situation: &Situation, run: &Run) -> Result<Vector, String> {
        let (inputs, preamble) = shrink(situation, run, self.profile);
        let mut vector = self.frame(situation);
        vector.steps = situation.steps(&inputs, self.profile)?;
        let (mut session, _) = Session::start(&vector.node, self.profile, None)?;
        let mut rules = Vec::new();
        for (index, step) in vector.steps.iter_mut().enumerate() {
            if index < preamble {
                session.pass(step)?;
                continue;
            }
            let (seen, draws) = session.take(step)?;
            rules.extend(seen.rules.iter().copied());
            step.draws = draws;
            step.expect = Some(seen);
        }
        vector.rules = distinct(&rules);
        vector.verdict = verdict(&vector);
        live::derive(&mut vector, self.profile)?;
        Ok(vector)
    }

    fn frame(&self, situation: &Situation) -> Vector {
        Vector {
            format: FORMAT,
            profile: self.options.profile.clone(),
            level: Level::L2,
            verdict: Verdict::Must,
            rules: Vec::new(),
            generator: concat!("slotbus-conform ", env!("CARGO_PKG_VERSION")).to_owned(),
            seed: self.options.seed,
            situation: situation.name.to_owned(),
            node: Subject { expect: None, ..situation.subject.clone() },
            steps: Vec::new(),
        }
    }
}

fn distinct(rules: &[Rule]) -> Vec<Rule> {
    rules.iter().copied().collect::<BTreeSet<_>>().into_iter().collect()
}

/// What the last step says of an implementation.
fn verdict(vector: &Vector) -> Verdict {
    let last = vector.steps.last();
    let does_nothing = |seen: &Expect| seen.effects.is_empty() && seen.persist.is_none();
    match last.and_then(|step| step.expect.as_ref()) {
        Some(seen) if does_nothing(seen) => Verdict::MustNot,
        Some(_) if last.is_some_and(|step| !step.draws.is_empty()) => Verdict::May,
        Some(_) | None => Verdict::Must,
    }
}
