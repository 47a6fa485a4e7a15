//! Owns the command `compare`: one configuration under several profiles, their verdicts side by side.

use crate::{End, Unusable, configuration, profile, say, watched};
use clap::Args;
use slotbus_check::{Engine, Limits, Plan, Run, explore::Verdict, report, run};
use std::{fmt::Write as _, time::Duration};

/// The widest name of a property is not wider.
const NAME_WIDTH: usize = 28;
const COLUMN_WIDTH: usize = 24;

#[derive(Args)]
pub(crate) struct CompareArgs {
    /// Which configuration.
    name: String,
    /// Which profiles.
    #[arg(long, value_delimiter = ',', required = true, num_args = 1..)]
    profiles: Vec<String>,
    /// Stops each run after so many seconds.
    #[arg(long, value_name = "S")]
    time_limit: Option<u64>,
    /// One JSON document instead of text.
    #[arg(long)]
    json: bool,
}

pub(crate) fn compare(args: &CompareArgs) -> Result<End, Unusable> {
    let configuration = configuration(&args.name)?;
    let profiles = args.profiles.iter().map(|name| profile(name)).collect::<Result<Vec<_>, _>>()?;
    let limits = Limits { time_max: args.time_limit.map(Duration::from_secs), ..Limits::default() };
    let plans = profiles.into_iter().map(|(profile_name, profile)| Plan {
        configuration,
        profile_name,
        profile,
        mutant: None,
        engine: Engine::Own,
        is_actor: false,
        limits,
    });
    let runs: Vec<Run> = plans.map(|plan| watched(plan.profile_name, |progress| run(plan, progress))).collect();
    if args.json {
        say(format_args!("{}\n", report::runs_json(&runs)));
    } else {
        say(table(&runs));
    }
    Ok(end(&runs))
}

/// As of a run of all: what is violated weighs more than what is unknown.
fn end(runs: &[Run]) -> End {
    let verdicts = || runs.iter().flat_map(|run| &run.outcomes).map(|outcome| outcome.verdict);
    if verdicts().any(|verdict| verdict == Verdict::Violated) {
        End::Violated
    } else if verdicts().any(|verdict| verdict == Verdict::Unknown) {
        End::CutOff
    } else {
        End::AllHolds
    }
}

fn table(runs: &[Run]) -> String {
    let mut text = format!("{:<NAME_WIDTH$}", "property");
    for run in runs {
        let _ = write!(text, " {:<COLUMN_WIDTH$}", run.plan.profile_name);
    }
    text.push('\n');
    let Some(first) = runs.first() else { return text };
    for (place, outcome) in first.outcomes.iter().enumerate() {
        let _ = write!(text, "{:<NAME_WIDTH$}", outcome.name);
        for run in runs {
            let _ = write!(text, " {:<COLUMN_WIDTH$}", cell(run, place));
        }
        text.push('\n');
    }
    let _ = write!(text, "{:<NAME_WIDTH$}", "states");
    for run in runs {
        let _ = write!(text, " {:<COLUMN_WIDTH$}", run.states);
    }
    text.push('\n');
    text
}

fn cell(run: &Run, place: usize) -> String {
    let Some(outcome) = run.outcomes.get(place) else { return String::new() };
    match (outcome.verdict, outcome.trace_len) {
        (Verdict::Holds, _) => "holds".into(),
        (Verdict::Unknown, _) => "unknown".into(),
        (Verdict::Violated, Some(steps)) => format!("violated after {steps} steps"),
        (Verdict::Violated, None) => "reached from nowhere".into(),
    }
}
