//! Owns how runs and hunts are shown: tables for people, JSON for scripts. Searches nothing.

use crate::{
    claims::claims,
    configs::{Configuration, PENDING},
    configs_rules::UNFIRED,
    explore::{Ending, Verdict},
    goals::Goal,
    mutants::Hunt,
    run::{Outcome, Run},
};
use serde_json::{Value, json};
use slotbus_core::{Profile, Rule};
use slotbus_world::{Invariant, Pace, Setup};
use std::fmt::Write as _;

impl Verdict {
    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Violated => "violated",
            Self::Unknown => "unknown",
        }
    }
}

/// The most memory that this process has used so far; 0 where the system does not tell.
#[must_use]
pub fn peak_rss_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap_or_default();
    kibibytes * 1024
}

/// How long this process has computed so far, in seconds; 0 where the system does not tell.
fn cpu_seconds() -> f64 {
    /// Parts of a second that Linux counts processor time in.
    const PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program, in parentheses, may hold anything; user and system time are 12th and 13th after it.
    let fields = stat.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
    let times = fields.split_whitespace().skip(11).take(2).filter_map(|time| time.parse::<f64>().ok());
    times.sum::<f64>() / PER_SECOND
}

fn tool() -> (Value, Value) {
    (json!(env!("CARGO_PKG_NAME")), json!(env!("CARGO_PKG_VERSION")))
}

/// Runs as JSON.
#[must_use]
pub fn runs_json(runs: &[Run]) -> Value {
    let (tool, version) = tool();
    json!({ "tool": tool, "version": version, "runs": runs.iter().map(run_json).collect::<Vec<_>>() })
}

fn run_json(run: &Run) -> Value {
    let seconds = run.elapsed.as_secs_f64();
    let rate = if seconds > 0.0 { (run.states as f64 / seconds).round() } else { 0.0 };
    json!({
        "config": run.plan.configuration.name,
        "profile": run.plan.profile_name,
        "mutant": run.plan.mutant.map(slotbus_core::Mutant::id),
        "engine": run.plan.engine.name(),
        "actor": run.plan.is_actor,
        "exhausted": run.ending == Ending::Exhausted,
        "states": run.states,
        "edges": run.edges,
        "depth_max": run.depth_max,
        "seconds": (seconds * 1000.0).round() / 1000.0,
        "cpu_seconds": cpu_seconds(),
        "peak_rss_bytes": peak_rss_bytes(),
        "states_per_second": rate,
        "bounds": bounds_json(run.plan.configuration),
        "properties": run.outcomes.iter().map(outcome_json).collect::<Vec<_>>(),
        "rules_fired": ids(&run.rules_fired),
        "rules_claimed": ids(run.plan.configuration.rules),
        "graph_bytes": run.graph_bytes.map(|(states, edges)| json!({ "states": states, "edges": edges })),
    })
}

fn ids(rules: &[Rule]) -> Vec<&'static str> {
    rules.iter().map(|rule| rule.id()).collect()
}

fn outcome_json(outcome: &Outcome) -> Value {
    json!({
        "name": outcome.name,
        "kind": outcome.kind,
        "verdict": outcome.verdict.name(),
        "trace_len": outcome.trace_len,
        "rounds_max": outcome.rounds,
    })
}

/// A configuration's bounds as JSON: the numbers, and the reason for each.
fn bounds_json(configuration: &Configuration) -> Value {
    let Setup { hosts, pace, budget, scripts, .. } = configuration.model(Profile::default(), None).setup;
    let (pace, ticks) = match pace {
        Pace::Free { ticks } => ("free", Some(ticks)),
        Pace::Timely => ("timely", None),
        Pace::Prompt => ("prompt", None),
    };
    json!({
        "hosts": hosts.len(),
        "slots": crate::SLOTS,
        "pace": pace,
        "ticks_per_host": ticks,
        "crashes": budget.crashes,
        "restarts": budget.restarts,
        "cuts": budget.cuts,
        "partitions": budget.partitions,
        "commands": scripts.iter().map(Vec::len).sum::<usize>(),
        "reasons": configuration.limits,
    })
}

/// Every property: its name, its kind, what it says and what it assumes.
fn properties() -> impl Iterator<Item = (&'static str, &'static str, &'static str, &'static str)> {
    let invariants = Invariant::ALL.iter().map(|it| (it.id(), "always", it.sentence(), it.assumes()));
    invariants.chain(Goal::ALL.iter().map(|it| (it.id(), "leads_to", it.sentence(), it.assumes())))
}

/// Configurations, properties and profiles as JSON.
#[must_use]
pub fn list_json() -> Value {
    let (tool, version) = tool();
    let configuration = |configuration: &Configuration| {
        json!({
            "name": configuration.name,
            "summary": configuration.summary,
            "bounds": bounds_json(configuration),
            "reachable": configuration.witnesses.iter().map(|witness| witness.id()).collect::<Vec<_>>(),
            "goals": claims(configuration.name).iter().map(|goal| goal.id()).collect::<Vec<_>>(),
            "rules_claimed": ids(configuration.rules),
            "actor": configuration.has_actors,
            "in_all": Configuration::standard().any(|other| other.name == configuration.name),
        })
    };
    let property = |(name, kind, sentence, assumes): (&str, &str, &str, &str)| json!({ "name": name, "kind": kind, "sentence": sentence, "assumes": assumes });
    json!({
        "tool": tool,
        "version": version,
        "configs": Configuration::every().map(configuration).collect::<Vec<_>>(),
        "properties": properties().map(property).collect::<Vec<_>>(),
        "profiles": Profile::NAMED.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
    })
}

/// Configurations, properties and profiles for people.
#[must_use]
pub fn list_text() -> String {
    let mut text = String::from("Configurations\n");
    Configuration::standard().for_each(|configuration| list_configuration(configuration, &mut text));
    text.push_str("By name only, not part of all: nobody has exhausted them\n");
    PENDING.iter().for_each(|configuration| list_configuration(configuration, &mut text));
    text.push_str("Properties: S in every configuration, L in the end where a configuration claims them\n");
    for (name, _, sentence, assumes) in properties() {
        let condition = if assumes.is_empty() { String::new() } else { format!(" [{assumes}]") };
        let _ = writeln!(text, "  {name:<24} {sentence}{condition}");
    }
    text.push_str("Rules that fire in no quick configuration\n");
    for (rule, reason) in UNFIRED {
        let _ = writeln!(text, "  {:<12} {reason}", rule.id());
    }
    let profiles: Vec<_> = Profile::NAMED.iter().map(|(name, _)| *name).collect();
    let _ = writeln!(text, "Profiles: {}", profiles.join(", "));
    text
}

fn list_configuration(configuration: &Configuration, text: &mut String) {
    let _ = writeln!(text, "  {:<15} {}", configuration.name, configuration.summary);
    for limit in configuration.limits {
        let _ = writeln!(text, "  {:<15} - {limit}", "");
    }
    let goals: Vec<_> = claims(configuration.name).iter().map(|goal| goal.id()).collect();
    if !goals.is_empty() {
        let _ = writeln!(text, "  {:<15} in the end: {}", "", goals.join(", "));
    }
}

/// What heads the table of runs.
pub const RUN_HEADING: &str = "config               states       edges  depth  seconds  verdict";

/// One run for people: a line of the table, then what is not as it should be, then the bounds.
#[must_use]
pub fn run_text(run: &Run) -> String {
    let name = run.plan.configuration.name;
    let seconds = run.elapsed.as_secs_f64();
    let mut text = format!(
        "{name:<15} {:>11} {:>11} {:>6} {seconds:>8.1}  {}\n",
        run.states,
        run.edges,
        run.depth_max,
        verdict_text(run)
    );
    for outcome in run.outcomes.iter().filter(|outcome| outcome.verdict == Verdict::Violated) {
        let how = match outcome.trace_len {
            Some(length) => format!("violated after {length} steps"),
            None => "reached from nowhere".into(),
        };
        let _ = writeln!(text, "    {} ({}): {how}", outcome.name, outcome.kind);
    }
    text.push_str(&liveness_text(run));
    if run.ending == Ending::Exhausted && !run.plan.is_actor && !run.rules_missed().is_empty() {
        let _ = writeln!(text, "    rules that should have fired and did not: {}", ids(&run.rules_missed()).join(" "));
    }
    for limit in run.plan.configuration.limits {
        let _ = writeln!(text, "    bound: {limit}");
    }
    text
}

/// What the graph took, and how soon each goal is reached that always is.
fn liveness_text(run: &Run) -> String {
    let Some((states, edges)) = run.graph_bytes else { return String::new() };
    let each = |bytes: usize, count: usize| bytes as f64 / count.max(1) as f64;
    let (per_state, per_edge) = (each(states, run.states), each(edges, run.edges));
    let mut text = format!("    graph: {per_state:.1} bytes a state, {per_edge:.1} bytes an edge\n");
    let held = run.outcomes.iter().filter(|outcome| outcome.verdict == Verdict::Holds);
    for (outcome, rounds) in held.filter_map(|outcome| Some((outcome, outcome.rounds?))) {
        let _ =
            writeln!(text, "    {}: for good within {rounds} rounds of ticks of the last interference", outcome.name);
    }
    text
}

fn verdict_text(run: &Run) -> String {
    let count = |kind: &str| {
        run.outcomes.iter().filter(|outcome| outcome.kind == kind && outcome.verdict == Verdict::Holds).count()
    };
    match run.ending {
        Ending::Violated => "VIOLATED".into(),
        Ending::Exhausted if run.is_violated() => "VIOLATED".into(),
        Ending::Exhausted => {
            let (always, reachable, live) = (count("always"), count("reachable"), count("leads_to"));
            let goals = if live > 0 { format!(", {live} goals come about") } else { String::new() };
            format!("exhausted: {always} invariants hold, {reachable} witnesses reached{goals}")
        }
        Ending::CutOff => "cut off: nothing violated so far".into(),
    }
}

/// Hunts as JSON.
#[must_use]
pub fn hunts_json(hunts: &[Hunt]) -> Value {
    let hunt = |hunt: &Hunt| {
        let (configuration, outcome) = hunt.caught.as_ref().map(|(at, of)| (at, of)).unzip();
        json!({
            "id": hunt.mutant.id(),
            "rule": hunt.mutant.rule().id(),
            "killed": hunt.caught.is_some(),
            "equivalent": hunt.equivalence().is_some(),
            "property": outcome.map(|outcome| outcome.name),
            "config": configuration.map(|configuration| configuration.name),
            "trace_len": outcome.and_then(|outcome| outcome.trace_len),
        })
    };
    json!({ "mutants": hunts.iter().map(hunt).collect::<Vec<_>>() })
}

/// How many mutants were caught, in one line.
#[must_use]
pub fn score_text(hunts: &[Hunt]) -> String {
    let killed = hunts.iter().filter(|hunt| hunt.caught.is_some()).count();
    let equivalent = hunts.iter().filter(|hunt| hunt.equivalence().is_some()).count();
    let survived = hunts.len() - killed - equivalent;
    format!("{} mutants: {killed} killed, {equivalent} equivalent, {survived} survived", hunts.len())
}

/// One hunt for people.
#[must_use]
pub fn hunt_text(hunt: &Hunt) -> String {
    let (id, rule) = (hunt.mutant.id(), hunt.mutant.rule().id());
    match (&hunt.caught, hunt.equivalence()) {
        (Some((configuration, Outcome { name: property, trace_len, .. })), _) => {
            let (config, steps) = (configuration.name, trace_len.unwrap_or_default());
            format!("{id:<29} {rule:<12} killed      {property} in {config} after {steps} steps")
        }
        (None, Some(reason)) => format!("{id:<29} {rule:<12} equivalent  {reason}"),
        (None, None) => format!("{id:<29} {rule:<12} SURVIVED    {}", hunt.mutant.fault()),
    }
}
