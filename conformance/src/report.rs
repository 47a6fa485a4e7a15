//! How results are shown, and which exit code they make.

use crate::verify::{Unverified, Verified};
use serde_json::json;
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

/// Prints what became of each trace, and says what they come to together.
#[must_use]
pub fn print(results: &[(&PathBuf, Result<Verified, Unverified>)], as_json: bool) -> Outcome {
    if as_json {
        let traces: Vec<_> = results.iter().map(|(file, result)| trace_json(file, result)).collect();
        println!("{}", json!({"tool": "slotbus-conform", "version": env!("CARGO_PKG_VERSION"), "traces": traces}));
    } else {
        for (file, result) in results {
            print_trace(file, result);
        }
    }
    results.iter().map(|(_, result)| outcome(result)).max().unwrap_or(Outcome::Conforms)
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
