//! `slotbus-conform`: holds cluster nodes to the model of the protocol.

use clap::{Parser, Subcommand};
use slotbus_conformance::{
    report, tour,
    vectors::{FULL, command, generate::Options, vector::Level},
    verify,
};
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
  slotbus-conform verify --json *.trace
  slotbus-conform generate --out vectors --profile redis-7.0
  slotbus-conform replay vectors
  slotbus-conform replay vectors --adapter 'python3 conformance/runner/runner.py redis-server'";

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
    /// Writes conformance vectors: explores what can happen to one node, chooses short runs that cover
    /// the rules and their guards, and records what the model does.
    Generate {
        /// The folder of the new files.
        #[arg(long)]
        out: PathBuf,
        /// The protocol profile.
        #[arg(long, default_value = "slotbus")]
        profile: String,
        /// How many vectors at most.
        #[arg(long, default_value_t = 12_500)]
        budget: usize,
        /// What dice are drawn from.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Print one JSON document instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Holds the model, or a program behind an adapter, to the vectors of a folder.
    Replay {
        /// The folder of the vectors.
        folder: PathBuf,
        /// The adapter's command line; the model in this process if none.
        #[arg(long)]
        adapter: Option<String>,
        /// Leave out vectors that need more than this level to be judged.
        #[arg(long, value_parser = parse_level)]
        level: Option<Level>,
        /// Play no more than so many, evenly spread.
        #[arg(long)]
        limit: Option<usize>,
        /// How many adapters run at once.
        #[arg(long, default_value_t = 1)]
        jobs: usize,
        /// Hold every deliberate fault of the model to the vectors instead, and count those caught.
        #[arg(long, conflicts_with = "adapter")]
        mutants: bool,
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
        Command::Generate { out, profile, budget, seed, json } => {
            command::generate(&out, &Options { profile, budget, seed, widths: FULL }, json).into()
        }
        Command::Replay { folder, level, json, mutants: true, .. } => {
            command::hunt_mutants(&folder, level.unwrap_or(Level::L2), json).into()
        }
        Command::Replay { folder, adapter, level, limit, jobs, json, mutants: false } => {
            command::replay(&folder, &command::Replay { adapter, level, limit, jobs, json }).into()
        }
        Command::Tour { json } => tour::run(json).into(),
    }
}

fn parse_level(text: &str) -> Result<Level, String> {
    match text {
        "L0" => Ok(Level::L0),
        "L1" => Ok(Level::L1),
        "L2" => Ok(Level::L2),
        _ => Err("the levels are L0, L1 and L2".to_owned()),
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
