//! Owns the command `table`: which profile is asked, and where its page goes.

use crate::{End, Unusable, profile, save_counterexample, say, watched};
use clap::Args;
use serde_json::{Value, json};
use slotbus_check::{
    Limits,
    explore::{Ending, Verdict},
    table::{self, Look, Row},
};
use std::{path::PathBuf, time::Duration};

#[derive(Args)]
pub(crate) struct TableArgs {
    /// Which profile.
    #[arg(long, default_value = "redis-7.0")]
    profile: String,
    /// Stops each search after so many seconds.
    #[arg(long, value_name = "S")]
    time_limit: Option<u64>,
    /// Threads that search.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..))]
    threads: u8,
    /// Writes the shortest counterexample of each property into a file of this folder, for `explain`.
    #[arg(long, value_name = "DIR")]
    counterexample: Option<PathBuf>,
    /// One JSON document instead of a page of Markdown.
    #[arg(long)]
    json: bool,
}

pub(crate) fn table(args: &TableArgs) -> Result<End, Unusable> {
    let named = profile(&args.profile)?;
    let limits = Limits {
        time_max: args.time_limit.map(Duration::from_secs),
        threads: usize::from(args.threads),
        ..Limits::default()
    };
    let look = |configuration| {
        let plan = table::plan(configuration, named, limits);
        watched(plan.configuration.name, |progress| table::look(plan, progress))
    };
    let looks: Vec<Look> = table::configurations().map(look).collect();
    let rows = table::rows(&looks);
    if args.json {
        say(format_args!("{}\n", document(&args.profile, &rows)));
    } else {
        say(table::page(&args.profile, &looks));
    }
    for (folder, row) in args.counterexample.iter().flat_map(|folder| rows.iter().map(move |row| (folder, row))) {
        if let Some((config, _, Some(counterexample))) = &row.shortest {
            save_counterexample(folder, &format!("{config}.{}", row.property.replace(' ', "-")), counterexample)?;
        }
    }
    Ok(end(&looks, &rows))
}

fn end(looks: &[Look], rows: &[Row]) -> End {
    if rows.iter().any(|row| row.verdict == Verdict::Violated) {
        End::Violated
    } else if looks.iter().all(|look| look.run.ending == Ending::Exhausted) {
        End::AllHolds
    } else {
        End::CutOff
    }
}

fn document(profile: &str, rows: &[Row]) -> Value {
    let row = |row: &Row| {
        json!({
            "name": row.property,
            "verdict": row.verdict.name(),
            "config": row.shortest.as_ref().map(|(config, ..)| *config),
            "trace_len": row.shortest.as_ref().map(|(_, steps, _)| *steps),
            "holds_in": row.holds_in,
            "asked_in": row.asked_in,
            "replays": table::replays(row.property),
        })
    };
    let (bound, meaning) = table::USEFUL_GOSSIP;
    json!({ "profile": profile, "bounds": [format!("{bound}: {meaning}")], "properties": rows.iter().map(row).collect::<Vec<_>>() })
}
