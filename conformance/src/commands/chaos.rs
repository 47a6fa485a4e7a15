//! `chaos`: plays a scenario, and looks for a shorter one if it fails.

use clap::Args;
use serde_json::json;
use slotbus_conformance::{
    chaos::{
        self, Report,
        schedule::{Drawing, Scenario},
    },
    cluster::{Program, Template},
    report::Outcome,
};
use std::{fs, path::PathBuf, time::Duration};

/// What `chaos` is told.
#[derive(Args)]
pub(crate) struct Chaos {
    /// The program: {port} and {dir} are filled in, {trace} if it records one; redis-server's
    /// directives for a cluster node follow. Given more than once, the nodes run the programs in turn.
    #[arg(long, required = true)]
    spawn: Vec<String>,
    /// How many nodes, primaries and replicas.
    #[arg(long, default_value_t = 6)]
    nodes: usize,
    /// How many replicas each primary has.
    #[arg(long, default_value_t = 1)]
    replicas: usize,
    /// What happens is drawn from this.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// For how many seconds faults go on.
    #[arg(long, default_value_t = 30)]
    duration: u64,
    /// How many of a hundred bus packets are lost while faults go on.
    #[arg(long, default_value_t = 20)]
    loss: u8,
    /// The node timeout in milliseconds.
    #[arg(long, default_value_t = 2000)]
    node_timeout: u64,
    /// Lose packets only: draw no other fault.
    #[arg(long)]
    only_loss: bool,
    /// Move slots, too.
    #[arg(long)]
    moves: bool,
    /// Have the cluster rest after each so many seconds with faults: it must come to one mind, and have every write.
    #[arg(long, default_value_t = 0)]
    rest_every: u64,
    /// Play this scenario instead of drawing one: a failed run prints its own.
    #[arg(long, conflicts_with_all = ["nodes", "replicas", "seed", "duration", "loss", "node_timeout", "only_loss", "moves", "rest_every"])]
    scenario: Option<PathBuf>,
    /// For how many seconds at most to look for a shorter scenario that fails too; 0 for not at all.
    #[arg(long, default_value_t = 300)]
    shrink: u64,
    /// Keep the nodes' files in this folder.
    #[arg(long)]
    keep: Option<PathBuf>,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
}

impl Chaos {
    fn scenario(&self) -> Result<Scenario, String> {
        if let Some(path) = &self.scenario {
            let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
            return Scenario::parse(&text).map_err(|why| format!("{}: {why}", path.display()));
        }
        let scenario = Scenario {
            seed: self.seed,
            nodes: self.nodes,
            replicas: self.replicas,
            loss_percent: self.loss,
            node_timeout_ms: self.node_timeout,
            duration_ms: self.duration.saturating_mul(1000),
            events: Vec::new(),
        };
        scenario.check()?;
        let drawing = Drawing { moves_slots: self.moves, rest_every_ms: self.rest_every.saturating_mul(1000) };
        Ok(if self.only_loss { scenario } else { scenario.drawn(drawing) })
    }

    pub(crate) fn run(&self) -> Result<Outcome, String> {
        let scenario = self.scenario()?;
        let programs = self.spawn.iter().map(|line| Ok(Program::Template(Template::parse(line)?)));
        let programs = programs.collect::<Result<Vec<_>, String>>()?;
        let temporary = tempfile::tempdir().map_err(|error| format!("cannot make a temporary folder: {error}"))?;
        let folder = self.keep.as_deref().unwrap_or(temporary.path());
        let mut runs = 0;
        let mut play = |scenario: &Scenario| {
            runs += 1;
            chaos::play(scenario, &programs, &folder.join(format!("run.{runs}")))
        };
        let first = play(&scenario)?;
        let shortest = (first.outcome() == Outcome::Diverges)
            .then(|| chaos::shrink(&scenario, &first, Duration::from_secs(self.shrink), play));
        self.print(&scenario, &first, shortest.as_ref());
        Ok(first.outcome())
    }

    fn print(&self, scenario: &Scenario, report: &Report, shortest: Option<&(Scenario, Report)>) {
        if self.json {
            let shortest =
                shortest.map(|(scenario, report)| json!({"scenario": scenario.to_string(), "report": report}));
            println!(
                "{}",
                json!({"tool": "slotbus-conform", "version": env!("CARGO_PKG_VERSION"), "verdict": report.outcome().word(),
                    "scenario": scenario.to_string(), "report": report, "shortest": shortest})
            );
            return;
        }
        print!("{scenario}\n{report}");
        if let Some((scenario, report)) = shortest {
            print!("\nThis fails too, {} events: slotbus-conform chaos --scenario\n\n", scenario.events.len());
            print!("{scenario}\n{report}");
        }
    }
}
