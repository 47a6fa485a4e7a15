//! `generate` and `replay`: what they are told.

use clap::Args;
use slotbus_conformance::{
    report::Outcome,
    vectors::{Reach, command, generate::Options, vector::Level},
};
use std::path::PathBuf;

/// What `generate` is told.
#[derive(Args)]
pub(crate) struct Generate {
    /// The folder of the new files.
    #[arg(long)]
    out: PathBuf,
    /// The protocol profile.
    #[arg(long, default_value = "slotbus")]
    profile: String,
    /// How many vectors at most.
    #[arg(long, default_value_t = 12_000)]
    budget: usize,
    /// What dice are drawn from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
}

impl Generate {
    pub(crate) fn run(self) -> Outcome {
        let Self { out, profile, budget, seed, json } = self;
        command::generate(&out, &Options { profile, budget, seed, reach: Reach::FULL }, json)
    }
}

/// What `replay` is told.
#[derive(Args)]
pub(crate) struct Replay {
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
}

impl Replay {
    pub(crate) fn run(self) -> Outcome {
        let Self { folder, adapter, level, limit, jobs, mutants, json } = self;
        if mutants {
            return command::hunt_mutants(&folder, level.unwrap_or(Level::L2), json);
        }
        command::replay(&folder, &command::Replay { adapter, level, limit, jobs, json })
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
