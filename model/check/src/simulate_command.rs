//! The command `simulate`: what is asked, what is shown and written of each run, and how it ends.
//! Simulates nothing itself.

use crate::{End, Unusable, mutant, profile, say};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use slotbus_check::{
    script::Script,
    simulate::{self, Batch, Options, Shard, Summary},
    swarm::{self, Finished},
};
use std::{fs, io, io::Write as _, ops::ControlFlow, path::Path, path::PathBuf, thread};

#[derive(Args)]
pub(crate) struct SimulateArgs {
    /// How many nodes; 5 to 9, drawn, if not given.
    #[arg(long, value_parser = clap::value_parser!(u16).range(3..=1000))]
    nodes: Option<u16>,
    /// How many replicas for each primary; 0 to 2, drawn, if not given.
    #[arg(long)]
    replicas: Option<u16>,
    /// The first seed; each further run takes the next.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Ends the faults after so many steps of nodes.
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Ends the faults after so many seconds of virtual time.
    #[arg(long, value_name = "D", default_value_t = 60)]
    duration_s: u64,
    /// How many runs.
    #[arg(long, value_name = "K", default_value_t = 1)]
    runs: u64,
    /// Takes only every Nth of the seeds, beginning with the Ith (from 0).
    #[arg(long, value_name = "I/N", default_value = "0/1")]
    shard: Shard,
    /// Threads that run; as many as there are cores, if not given.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Which variant of the protocol.
    #[arg(long, default_value = "slotbus")]
    profile: String,
    /// Switches a deliberate fault on.
    #[arg(long, value_name = "ID")]
    mutant: Option<String>,
    /// No faults, no commands once the cluster is formed, constant latency.
    #[arg(long)]
    quiet_network: bool,
    /// Goes on after a violation.
    #[arg(long)]
    keep_going: bool,
    /// Writes each failing run as a small script into a file of this folder.
    #[arg(long, value_name = "DIR")]
    counterexample: Option<PathBuf>,
    /// Replays such a script, and nothing else.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seed", "runs", "shard", "profile", "mutant", "nodes", "replicas"])]
    replay: Option<PathBuf>,
    /// Writes the schedule of the last run, every step of it, into a file.
    #[arg(long, value_name = "FILE")]
    trace_out: Option<PathBuf>,
    /// One JSON document instead of text.
    #[arg(long)]
    json: bool,
}

pub(crate) fn simulate(args: &SimulateArgs) -> Result<End, Unusable> {
    match &args.replay {
        Some(path) => replay(args, path),
        None => run_all(args),
    }
}

fn batch(args: &SimulateArgs) -> Result<Batch, Unusable> {
    let (_, profile) = profile(&args.profile)?;
    let mutant = args.mutant.as_deref().map(mutant).transpose()?;
    let options = Options {
        seed: args.seed,
        nodes: args.nodes.map(usize::from),
        replicas: args.replicas.map(usize::from),
        duration_ms: args.duration_s.saturating_mul(1000),
        steps_max: args.steps,
        is_quiet: args.quiet_network,
        config: simulate::config(profile, mutant),
        acts: None,
    };
    Ok(Batch { options, runs: args.runs, shard: args.shard })
}

fn run_all(args: &SimulateArgs) -> Result<End, Unusable> {
    let batch = batch(args)?;
    let cores = || thread::available_parallelism().map_or(1, usize::from);
    let threads = args.threads.map_or_else(cores, usize::from);
    let mut shown = Shown::new(args, &batch);
    let mut trouble = None;
    swarm::run(&batch, threads, |finished| match shown.take(&finished) {
        Ok(flow) => flow,
        Err(error) => {
            trouble = Some(error);
            ControlFlow::Break(())
        }
    });
    trouble.map_or(Ok(()), Err)?;
    write_schedule(args.trace_out.as_deref(), &batch.options_for(shown.last_seed))?;
    Ok(shown.end())
}

/// What is shown of a batch while it runs, and when it is over.
struct Shown<'a> {
    args: &'a SimulateArgs,
    bar: ProgressBar,
    summary: Summary,
    documents: Vec<serde_json::Value>,
    last_seed: u64,
}

impl<'a> Shown<'a> {
    fn new(args: &'a SimulateArgs, batch: &Batch) -> Self {
        let bar = ProgressBar::new(batch.seeds().count() as u64);
        if let Ok(style) = ProgressStyle::with_template("{pos} of {len} runs, {per_sec}, {eta} left, {msg}") {
            bar.set_style(style);
        }
        bar.set_message("nothing broken");
        Self { args, bar, summary: Summary::default(), documents: Vec::new(), last_seed: batch.options.seed }
    }

    fn take(&mut self, finished: &Finished) -> Result<ControlFlow<()>, Unusable> {
        self.bar.inc(1);
        self.last_seed = finished.seed;
        self.summary.add(finished.seed, &finished.outcome);
        if self.args.json {
            self.documents.push(simulate::outcome_json(finished));
        } else {
            self.bar.suspend(|| say(format_args!("{}\n", finished_text(finished))));
        }
        let Some(failure) = &finished.failure else { return Ok(ControlFlow::Continue(())) };
        self.bar.set_message("some broken");
        save_script(self.args.counterexample.as_deref(), finished.seed, &failure.script)?;
        Ok(if self.args.keep_going { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    }

    fn end(self) -> End {
        self.bar.finish_and_clear();
        if self.args.json {
            let document = serde_json::json!({ "properties": self.summary.json(), "simulations": self.documents });
            say(format_args!("{document}\n"));
        } else {
            say(self.summary.text());
        }
        if self.summary.is_broken() { End::Violated } else { End::AllHolds }
    }
}

/// A line; of a run that failed, what happened last and the script that replays it, too.
fn finished_text(finished: &Finished) -> String {
    let line = simulate::outcome_text(finished.seed, &finished.outcome);
    let failure = finished.failure.as_ref();
    failure.map_or(line.clone(), |failure| format!("{line}\n{}\n{}", failure.story, failure.script))
}

fn save_script(folder: Option<&Path>, seed: u64, script: &Script) -> Result<(), Unusable> {
    let Some(folder) = folder else { return Ok(()) };
    let path = folder.join(format!("seed-{seed}.txt"));
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(&path, script.to_string()));
    written.map_err(|error| unusable("write", &path, &error))
}

/// Runs a script, and says whether it breaks what it names.
fn replay(args: &SimulateArgs, path: &Path) -> Result<End, Unusable> {
    let text = fs::read_to_string(path).map_err(|error| unusable("read", path, &error))?;
    let script = Script::parse(&text).map_err(|bad| Unusable(format!("'{}' {bad}", path.display())))?;
    let finished = Finished::replayed(&script);
    write_schedule(args.trace_out.as_deref(), &script.options)?;
    if args.json {
        say(format_args!("{}\n", serde_json::json!({ "simulations": [simulate::outcome_json(&finished)] })));
    } else {
        say(format_args!("{}\n", finished_text(&finished)));
    }
    let broken = finished.outcome.violation.map(|violation| violation.property);
    if broken != script.breaks {
        let name = |property: Option<slotbus_world::simulate::Property>| property.map_or("nothing", |it| it.id());
        eprintln!("The script says that it breaks {}, and it breaks {}.", name(script.breaks), name(broken));
    }
    Ok(if broken.is_some() { End::Violated } else { End::AllHolds })
}

/// Runs a simulation once more, and writes down all that happens.
fn write_schedule(path: Option<&Path>, options: &Options) -> Result<(), Unusable> {
    let Some(path) = path else { return Ok(()) };
    let written = fs::File::create(path).map(io::BufWriter::new).and_then(|mut file| {
        let mut outcome = Ok(());
        let _ = simulate::retell(options, &mut |line| {
            if outcome.is_ok() {
                outcome = writeln!(file, "{}", line.shown());
            }
        });
        outcome.and_then(|()| file.flush())
    });
    written.map_err(|error| unusable("write", path, &error))
}

fn unusable(verb: &str, path: &Path, error: &io::Error) -> Unusable {
    Unusable(format!("cannot {verb} '{}': {error}", path.display()))
}
