//! How results are shown, and which exit code they make.

use crate::{
    capture::laws::Judged,
    verify::{Unverified, Verified},
};
use serde_json::json;
use slotbus_core::Rule;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

/// What a run comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// All conform.
    Conforms,
    /// Something does not.
    Diverges,
    /// The run itself could not be made.
    Unusable,
}

impl Outcome {
    /// The word for it in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Conforms => "conforms",
            Self::Diverges => "diverges",
            Self::Unusable => "unusable",
        }
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Conforms => Self::SUCCESS,
            Outcome::Diverges => Self::from(1),
            Outcome::Unusable => Self::from(2),
        }
    }
}

/// What became of one trace.
#[must_use]
pub fn outcome(result: &Result<Verified, Unverified>) -> Outcome {
    match result {
        Ok(Verified { difference: None, .. }) => Outcome::Conforms,
        Ok(Verified { difference: Some(_), .. }) => Outcome::Diverges,
        Err(error) if error.is_tampered() => Outcome::Diverges,
        Err(_) => Outcome::Unusable,
    }
}

/// What became of a file that was verified.
#[derive(Debug)]
pub enum Verdict {
    /// A trace.
    Trace(Result<Verified, Unverified>),
    /// A capture of the bus, or why it cannot be read.
    Capture(Result<Judged, String>),
}

impl Verdict {
    fn outcome(&self) -> Outcome {
        match self {
            Self::Trace(result) => outcome(result),
            Self::Capture(Ok(judged)) if judged.packets == 0 => Outcome::Unusable,
            Self::Capture(Ok(judged)) if judged.differences.is_empty() => Outcome::Conforms,
            Self::Capture(Ok(_)) => Outcome::Diverges,
            Self::Capture(Err(_)) => Outcome::Unusable,
        }
    }
}

/// Prints what became of each file, and says what they come to together.
#[must_use]
pub fn print(results: &[(&PathBuf, Verdict)], as_json: bool) -> Outcome {
    let (mut traces, mut captures) = (Vec::new(), Vec::new());
    for (file, verdict) in results {
        match verdict {
            Verdict::Trace(result) if as_json => traces.push(trace_json(file, result)),
            Verdict::Capture(result) if as_json => captures.push(capture_json(file, result, verdict.outcome())),
            Verdict::Trace(result) => print_trace(file, result),
            Verdict::Capture(result) => print_capture(file, result),
        }
    }
    if as_json {
        let version = env!("CARGO_PKG_VERSION");
        println!("{}", json!({"tool": "slotbus-conform", "version": version, "traces": traces, "captures": captures}));
    }
    results.iter().map(|(_, verdict)| verdict.outcome()).max().unwrap_or(Outcome::Conforms)
}

fn capture_json(file: &Path, result: &Result<Judged, String>, outcome: Outcome) -> serde_json::Value {
    match result {
        Ok(judged) => json!({"file": file, "verdict": outcome.word(), "judged": judged}),
        Err(error) => json!({"file": file, "verdict": outcome.word(), "error": error}),
    }
}

/// Of many differences the first ones tell what is wrong.
const SHOWN: usize = 20;

fn print_capture(file: &Path, result: &Result<Judged, String>) {
    let name = file.display();
    match result {
        Err(error) => println!("{error}"),
        Ok(Judged { packets: 0, .. }) => println!("{name}: no packet of the bus is in it"),
        Ok(judged) => {
            let Judged { packets, connections, nodes, gaps, differences, .. } = judged;
            let gaps = if *gaps > 0 { format!(", {gaps} gaps") } else { String::new() };
            let count = differences.len();
            println!("{name}: {packets} packets of {nodes} nodes on {connections} connections{gaps}, {count} differ");
            for difference in differences.iter().take(SHOWN) {
                let number = difference.packet.map_or("-".to_owned(), |number| number.to_string());
                let rule = difference.rule.map_or("form", Rule::id);
                println!("  packet {number}  {rule}  {}", difference.what);
            }
        }
    }
}

fn trace_json(file: &Path, result: &Result<Verified, Unverified>) -> serde_json::Value {
    let verdict = outcome(result).word();
    match result {
        Ok(verified) => json!({"file": file, "verdict": verdict, "steps": verified.steps,
            "truncated": verified.truncated, "rules_fired": verified.rules, "difference": verified.difference}),
        Err(error) => json!({"file": file, "verdict": verdict, "error": error.to_string()}),
    }
}

fn print_trace(file: &Path, result: &Result<Verified, Unverified>) {
    let name = file.display();
    match result {
        Ok(Verified { steps, truncated, difference: None, rules }) => {
            let cut = if *truncated { ", the last line is cut off" } else { "" };
            println!("{name}: {steps} steps agree with the model, {} rules fired{cut}", rules.len());
        }
        Ok(Verified { difference: Some(difference), .. }) => {
            println!("{name}: step {} differs from the model", difference.step);
            println!("  input     {}", difference.event);
            if let Some(rule) = difference.rule {
                println!("  rule      {rule}: {}", rule.sentence());
            }
            println!("  at        {}", difference.place);
            println!("  recorded  {}", difference.recorded);
            println!("  model     {}", difference.model);
        }
        Err(error) => println!("{name}: {error}"),
    }
}
