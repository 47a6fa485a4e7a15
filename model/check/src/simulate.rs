//! Owns batches of simulations: which seeds, what each came to, and how that is shown. Simulates
//! nothing itself: that is the world's.

use crate::swarm::Finished;
use serde_json::{Value, json};
use slotbus_core::{Config, Mutant, Profile};
use slotbus_world::simulate::{Outcome, Property, Simulation, tale::Line};
use std::{collections::BTreeMap, fmt::Write as _};

pub use slotbus_world::simulate::Options;

/// A story shows no more than so many of the last steps of the nodes concerned.
const STORY_LINES: usize = 40;

/// What is asked of every run of a batch, but for the seed.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Options of every run; the seed is the first one.
    pub options: Options,
    /// How many seeds.
    pub runs: u64,
    /// Of all those seeds, every how manieth, and which of them.
    pub shard: Shard,
}

/// Every `count`th seed, beginning with the `index`th.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which one.
    pub index: u64,
    /// Of how many.
    pub count: u64,
}

impl std::str::FromStr for Shard {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
        match parts {
            Some((index, count)) if index < count => Ok(Self { index, count }),
            Some(_) | None => Err(format!("'{text}' is no shard: I/N with I from 0 to N-1 is")),
        }
    }
}

/// What all runs of a batch follow.
#[must_use]
pub fn config(profile: Profile, mutant: Option<Mutant>) -> Config {
    Config { profile, mutant, ..Config::default() }
}

impl Batch {
    /// The seeds of this shard.
    pub fn seeds(&self) -> impl Iterator<Item = u64> + '_ {
        let Shard { index, count } = self.shard;
        (0..self.runs).filter(move |run| run % count == index).map(|run| self.options.seed.wrapping_add(run))
    }

    /// One run of this batch.
    #[must_use]
    pub fn options_for(&self, seed: u64) -> Options {
        Options { seed, ..self.options.clone() }
    }
}

/// Runs one simulation.
#[must_use]
pub fn simulate(options: &Options) -> Outcome {
    Simulation::new(options, None).run()
}

/// Runs one simulation again and hands out its schedule, line by line.
pub fn retell(options: &Options, telling: &mut dyn FnMut(Line)) -> Outcome {
    Simulation::new(options, Some(telling)).run()
}

/// The end of a run that breaks something: what is done from outside, and the last steps of the node
/// concerned that are more than heartbeats. Empty if nothing is broken.
#[must_use]
pub fn story(options: &Options) -> String {
    let Some(violation) = simulate(options).violation else { return String::new() };
    let mut lines: Vec<Line> = Vec::new();
    let is_told = |line: &Line| !line.is_routine && line.machine.is_none_or(|machine| machine == violation.machine);
    let mut last: Option<Line> = None;
    let _ = retell(options, &mut |line: Line| {
        if is_told(&line) {
            lines.push(line.clone());
        }
        last = Some(line);
    });
    let skipped = lines.len().saturating_sub(STORY_LINES);
    let mut text = String::new();
    if skipped > 0 {
        let _ = writeln!(text, "  ... {skipped} earlier lines; --trace-out writes all");
    }
    for line in &lines[skipped..] {
        let _ = writeln!(text, "  {}", line.shown());
    }
    if let Some(last) = last.filter(|last| lines.last() != Some(last)) {
        let _ = writeln!(text, "  {}", last.shown());
    }
    let _ = writeln!(text, "  BREAKS {violation}");
    let _ = writeln!(text, "  {}", violation.property.sentence());
    text
}

/// One run as JSON.
#[must_use]
pub fn outcome_json(finished: &Finished) -> Value {
    let Outcome { numbers, violation, .. } = &finished.outcome;
    json!({
        "seed": finished.seed,
        "nodes": numbers.nodes,
        "primaries": numbers.primaries,
        "node_timeout_ms": numbers.node_timeout_ms,
        "steps": numbers.steps,
        "messages": numbers.messages,
        "bytes": numbers.bytes,
        "acts": numbers.acts,
        "elections": numbers.elections,
        "late_deadlines": numbers.late_deadlines,
        "formed_ms": numbers.formed_ms,
        "converged_ms": numbers.converged_ms,
        "virtual_ms": numbers.virtual_ms,
        "digest": format!("{:016x}", numbers.digest),
        "violation": violation.as_ref().map(|violation| json!({
            "property": violation.property.id(),
            "at_ms": violation.at_ms,
            "node": violation.machine,
            "seen": violation.seen,
        })),
        "replay": finished.failure.as_ref().map(|failure| failure.script.to_string()),
    })
}

/// One run as a line.
#[must_use]
pub fn outcome_text(seed: u64, outcome: &Outcome) -> String {
    let numbers = &outcome.numbers;
    let verdict = outcome.violation.as_ref().map_or_else(|| "holds".into(), |broken| format!("BROKEN {broken}"));
    let per_node = |count: u64| count / numbers.nodes.max(1) as u64;
    format!(
        "seed {seed}: {} nodes, {} primaries; {} s virtual; {} steps, {} acts, {} elections; {} messages and {} bytes per \
         node; formed in {} ms, converged in {} ms; digest {:016x}; {verdict}",
        numbers.nodes,
        numbers.primaries,
        numbers.virtual_ms / 1000,
        numbers.steps,
        numbers.acts,
        numbers.elections,
        per_node(numbers.messages),
        per_node(numbers.bytes),
        numbers.formed_ms,
        numbers.converged_ms,
        numbers.digest,
    )
}

/// What all runs of a batch come to.
#[derive(Debug, Default)]
pub struct Summary {
    runs: u64,
    steps: u64,
    messages: u64,
    elections: u64,
    broken: BTreeMap<Property, Vec<u64>>,
}

impl Summary {
    /// Counts one run more.
    pub fn add(&mut self, seed: u64, outcome: &Outcome) {
        self.runs += 1;
        self.steps += outcome.numbers.steps;
        self.messages += outcome.numbers.messages;
        self.elections += outcome.numbers.elections;
        if let Some(violation) = &outcome.violation {
            self.broken.entry(violation.property).or_default().push(seed);
        }
    }

    /// Whether any run broke anything.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        !self.broken.is_empty()
    }

    /// The seeds that broke a property.
    fn breakers(&self, property: Property) -> &[u64] {
        self.broken.get(&property).map(Vec::as_slice).unwrap_or_default()
    }

    /// A line for each property.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { runs, steps, messages, elections, .. } = self;
        let mut text = format!("{runs} runs, {steps} steps, {messages} messages, {elections} elections\n");
        for property in Property::all() {
            let verdict = match self.breakers(property) {
                [] => "holds".into(),
                seeds => format!("BROKEN by {} runs: seeds {seeds:?}", seeds.len()),
            };
            let _ = writeln!(text, "  {:<24} {verdict}", property.id());
        }
        text
    }

    /// An object for each property.
    #[must_use]
    pub fn json(&self) -> Value {
        let property = |property: Property| {
            let (name, sentence) = (property.id(), property.sentence());
            json!({ "name": name, "sentence": sentence, "broken_by_seeds": self.breakers(property) })
        };
        Property::all().map(property).collect()
    }
}
