//! `slotbus-conform`: holds cluster nodes to the model of the protocol.

use clap::{Parser, Subcommand};
use slotbus_conformance::{report, tour, verify};
use slotbus_core::Profile;
use std::{path::PathBuf, process::ExitCode};

/// Holds cluster nodes, of this or any implementation, to the model of the Redis Cluster protocol.
///
/// Exits with 0 if all conform, with 1 on a divergence, with 2 if the run itself could not be made.
#[derive(Parser)]
#[command(name = "slotbus-conform", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  slotbus-conform tour
  slotbus-node --port 7000 --cluster-enabled yes --trace-file node.trace
  slotbus-conform verify node.trace
  slotbus-conform verify --json *.trace";

#[derive(Subcommand)]
enum Command {
    /// Holds recorded node traces to the model: feeds the recorded inputs to the protocol's step
    /// function and compares what comes of each.
    Verify {
        /// Traces that `slotbus-node --trace-file` recorded.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Replay under this profile instead of the recorded one.
        #[arg(long)]
        profile: Option<String>,
        /// Print one JSON document instead of text.
        #[arg(long)]
        json: bool,
    },
    /// The main job end to end: every standard configuration checked exhaustively, live clusters of
    /// real processes on loopback, and the recorded traces verified against the model.
    Tour {
        /// Print one JSON document instead of text.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Verify { files, profile, json } => run_verify(&files, profile.as_deref(), json),
        Command::Tour { json } => tour::run(json).into(),
    }
}

fn run_verify(files: &[PathBuf], profile: Option<&str>, json: bool) -> ExitCode {
    let profile = match profile.map(|name| (name, Profile::named(name))) {
        None => None,
        Some((_, Some(profile))) => Some(profile),
        Some((name, None)) => {
            let known: Vec<_> = Profile::NAMED.iter().map(|(name, _)| *name).collect();
            eprintln!("slotbus-conform: there is no profile '{name}'; known: {}", known.join(", "));
            return report::Outcome::Unusable.into();
        }
    };
    let outcomes: Vec<_> = files.iter().map(|file| (file, verify::verify_file(file, profile))).collect();
    report::print(&outcomes, json).into()
}
