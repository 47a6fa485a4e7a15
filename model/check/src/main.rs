//! The command line of the checker: what is asked, and how it ends. Searches nothing itself.

mod compare_command;
mod explain_command;
mod museum_command;
mod simulate_command;
mod table_command;

use clap::{Args, Parser, Subcommand, ValueEnum};
use compare_command::CompareArgs;
use explain_command::ExplainArgs;
use indicatif::{ProgressBar, ProgressStyle};
use museum_command::MuseumArgs;
use simulate_command::SimulateArgs;
use slotbus_check::{
    Configuration, Ending, Engine, Limits, Plan, Progress, Run, bench,
    certificate::{self, Certificate},
    certify,
    counterexample::Counterexample,
    live::{Live, run_live},
    mutants::{Hunt, hunt},
    report, run, table,
};
use slotbus_core::{Mutant, Profile};
use stateright::Model as _;
use std::{
    fmt,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};
use table_command::TableArgs;

/// A search makes and drops states by the million: this allocator is made for that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Exhausts small worlds of the very protocol core that slotbus-node runs.
#[derive(Parser)]
#[command(
    version,
    after_help = "\
Examples:
  slotbus-check list
  slotbus-check run all --quick
  slotbus-check run failure_3 --liveness
  slotbus-check run bump_3 --certificate /tmp/bump_3.certificate
  slotbus-check certify /tmp/bump_3.certificate
  slotbus-check run failure_3 --profile redis-7.0 --counterexample /tmp/traces
  slotbus-check explain /tmp/traces/failure_3.W4-Recovered.jsonl --html /tmp/trace.html
  slotbus-check explain a.trace b.trace c.trace --changes --html /tmp/cluster.html
  slotbus-check mutants all
  slotbus-check museum B29 B72
  slotbus-check compare collision_3 --profiles slotbus,redis-7.0
  slotbus-check table --profile redis-7.0
  slotbus-check run two_wins_3 --profile redis-7.0 --useful-gossip
  slotbus-check simulate --runs 100 --seed 7
  slotbus-check simulate --nodes 100 --replicas 1 --quiet-network --duration-s 3600
  slotbus-check bench meet_3
  slotbus-check simulate --runs 10000 --keep-going --threads 2 --counterexample /tmp/failures
  slotbus-check simulate --replay /tmp/failures/seed-1030.txt
  slotbus-check explore meet_2

Exit: 0 exhausted and every property holds; 1 a property is violated;
2 cut off before exhaustion, or the input is unusable."
)]
struct Cli {
    #[command(subcommand)]
    asked: Asked,
}

#[derive(Subcommand)]
enum Asked {
    /// Shows configurations, bounds, properties and profiles.
    List {
        /// One JSON document instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Explores configurations until they are exhausted.
    Run(RunArgs),
    /// Shows for each deliberate fault of the core which property catches it.
    Mutants {
        /// Which; every one if none is named.
        ids: Vec<String>,
        /// One JSON document instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Shows bugs that real clusters have had, each brought back and noticed by a property.
    Museum(MuseumArgs),
    /// Shows what several variants of the protocol make of one configuration.
    Compare(CompareArgs),
    /// Shows for every property what a profile makes of it, as a page of Markdown.
    Table(TableArgs),
    /// Runs real-size clusters in virtual time under random faults and commands.
    Simulate(SimulateArgs),
    /// Checks a certificate, without the explorer that made it.
    Certify {
        /// Which file.
        file: PathBuf,
    },
    /// Shows a counterexample that a run has written, or what the nodes of a cluster have traced.
    Explain(ExplainArgs),
    /// Compares our explorer with Stateright's on one configuration with actors.
    Bench {
        /// Which configuration.
        #[arg(default_value = "meet_3")]
        name: String,
        /// Stop each after so many states: for configurations that not all of them can hold.
        #[arg(long)]
        max_states: Option<usize>,
    },
    /// Serves a configuration to the browser, through Stateright's Explorer.
    Explore {
        /// Which configuration.
        name: String,
        /// Where to listen.
        #[arg(long, default_value = "127.0.0.1:3000")]
        addr: std::net::SocketAddr,
    },
}

#[derive(Args)]
struct RunArgs {
    /// Which configurations, or all.
    #[arg(required = true)]
    names: Vec<String>,
    /// Of all, only those that take a minute together.
    #[arg(long)]
    quick: bool,
    /// Which variant of the protocol.
    #[arg(long, default_value = "slotbus")]
    profile: String,
    /// Explores only heartbeats that spend no entry on their receiver: a bound for profiles without
    /// `gossip_skips_receiver`, whose random gossip else multiplies the states.
    #[arg(long)]
    useful_gossip: bool,
    /// Who searches.
    #[arg(long, value_enum, default_value_t = EngineName::Own)]
    engine: EngineName,
    /// Explores the hosts as Stateright actors, which cover less: see the module `actor`.
    #[arg(long)]
    actor: bool,
    /// Threads that search.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..))]
    threads: u8,
    /// Stops each run after so many states.
    #[arg(long, value_name = "N")]
    max_states: Option<usize>,
    /// Stops each run after so many seconds.
    #[arg(long, value_name = "S")]
    time_limit: Option<u64>,
    /// Keeps the graph, and asks it what happens in the end.
    #[arg(long, conflicts_with = "actor")]
    liveness: bool,
    /// Writes what `certify` needs to check that all this holds, if it does; for one configuration.
    #[arg(long, value_name = "FILE", conflicts_with = "actor")]
    certificate: Option<PathBuf>,
    /// Writes each counterexample into a file of this folder, for `explain`.
    #[arg(long, value_name = "DIR")]
    counterexample: Option<PathBuf>,
    /// Switches a deliberate fault on.
    #[arg(long, value_name = "ID")]
    mutant: Option<String>,
    /// One JSON document instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum EngineName {
    Own,
    Stateright,
}

impl From<EngineName> for Engine {
    fn from(name: EngineName) -> Self {
        match name {
            EngineName::Own => Self::Own,
            EngineName::Stateright => Self::Stateright,
        }
    }
}

/// What cannot be used, in one line.
struct Unusable(String);

impl Unusable {
    fn unknown<'a>(what: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let known: Vec<_> = known.into_iter().collect();
        Self(format!("no {what} is called '{name}'; known: {}", known.join(", ")))
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a command ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    AllHolds,
    CutOff,
    Violated,
}

impl From<End> for ExitCode {
    fn from(end: End) -> Self {
        match end {
            End::AllHolds => Self::SUCCESS,
            End::Violated => Self::from(1),
            End::CutOff => Self::from(2),
        }
    }
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().asked {
        Asked::List { json } => Ok(list(json)),
        Asked::Run(args) => run_all(&args),
        Asked::Mutants { ids, json } => hunt_all(&ids, json),
        Asked::Museum(args) => museum_command::museum(&args),
        Asked::Compare(args) => compare_command::compare(&args),
        Asked::Table(args) => table_command::table(&args),
        Asked::Simulate(args) => simulate_command::simulate(&args),
        Asked::Certify { file } => certify_file(&file),
        Asked::Explain(args) => explain_command::explain(&args),
        Asked::Bench { name, max_states } => bench_on(&name, max_states),
        Asked::Explore { name, addr } => serve(&name, addr),
    };
    match outcome {
        Ok(end) => end.into(),
        Err(unusable) => {
            complain(&unusable);
            ExitCode::from(2)
        }
    }
}

/// Prints, as long as anybody reads: else the rest of the work is for nobody, and ends as cut off.
fn say(text: impl fmt::Display) {
    let mut out = std::io::stdout().lock();
    if let Err(error) = write!(out, "{text}").and_then(|()| out.flush()) {
        if error.kind() != std::io::ErrorKind::BrokenPipe {
            complain(&Unusable(format!("cannot write the output: {error}")));
        }
        std::process::exit(2);
    }
}

/// Says what is wrong; where nobody listens to that either, the exit code remains.
fn complain(unusable: &Unusable) {
    let _ = writeln!(std::io::stderr(), "slotbus-check: {unusable}");
}

fn list(json: bool) -> End {
    if json {
        say(format_args!("{}\n", report::list_json()));
    } else {
        say(report::list_text());
    }
    End::AllHolds
}

fn configuration(name: &str) -> Result<&'static Configuration, Unusable> {
    let known = Configuration::every().map(|configuration| configuration.name);
    Configuration::named(name).ok_or_else(|| Unusable::unknown("configuration", name, known))
}

fn configurations(names: &[String]) -> Result<Vec<&'static Configuration>, Unusable> {
    chosen(names, configuration, || Configuration::standard().collect())
}

/// What `names` stand for: a name that nobody knows is refused beside `all`, too.
fn chosen<T>(
    names: &[String],
    known: impl Fn(&str) -> Result<T, Unusable>,
    all: impl FnOnce() -> Vec<T>,
) -> Result<Vec<T>, Unusable> {
    let named: Vec<_> = names.iter().filter(|name| *name != "all").map(|name| known(name)).collect::<Result<_, _>>()?;
    Ok(if named.len() == names.len() { named } else { all() })
}

fn profile(name: &str) -> Result<(&'static str, Profile), Unusable> {
    let found = Profile::NAMED.iter().find(|(known, _)| *known == name).copied();
    found.ok_or_else(|| Unusable::unknown("profile", name, Profile::NAMED.iter().map(|(known, _)| *known)))
}

fn mutant(id: &str) -> Result<Mutant, Unusable> {
    Mutant::by_id(id).ok_or_else(|| Unusable::unknown("mutant", id, Mutant::ALL.iter().map(|known| known.id())))
}

fn run_all(args: &RunArgs) -> Result<End, Unusable> {
    let configurations = configurations(&args.names)?;
    let (profile_name, profile) = profile(&args.profile)?;
    let profile = if args.useful_gossip { table::with_useful_gossip(profile) } else { profile };
    let mutant = args.mutant.as_deref().map(mutant).transpose()?;
    let is_all = args.names.iter().any(|name| name == "all");
    let is_meant = |configuration: &&Configuration| {
        (!args.actor || configuration.has_actors) && (!args.quick || configuration.is_quick)
    };
    let chosen = configurations.into_iter().filter(|configuration| !is_all || is_meant(configuration));
    let limits = Limits {
        states_max: args.max_states,
        time_max: args.time_limit.map(Duration::from_secs),
        threads: usize::from(args.threads),
    };
    let plans = chosen.map(|configuration| {
        let engine = args.engine.into();
        Plan { configuration, profile_name, profile, mutant, engine, is_actor: args.actor, limits }
    });
    let plans: Vec<_> = plans.collect();
    for plan in plans.iter().filter(|plan| plan.is_actor) {
        with_actors(plan.configuration)?;
    }
    if args.certificate.is_some() && plans.len() != 1 {
        return Err(Unusable(format!("a certificate is about one configuration, not {}", plans.len())));
    }
    if !args.json {
        if args.useful_gossip {
            let (bound, meaning) = table::USEFUL_GOSSIP;
            say(format_args!("bound of every run: {bound}: {meaning}\n"));
        }
        say(format_args!("{}\n", report::RUN_HEADING));
    }
    let mut runs = Vec::new();
    for plan in plans {
        let run = run_one(args, plan)?;
        if !args.json {
            say(report::run_text(&run));
            let story = run.first_violation().and_then(|outcome| outcome.story.as_deref());
            story.iter().for_each(|story| say(format_args!("{story}\n")));
        }
        save_counterexamples(args.counterexample.as_ref(), &run)?;
        runs.push(run);
    }
    if args.json {
        say(format_args!("{}\n", report::runs_json(&runs)));
    }
    Ok(runs.iter().map(end_of).max().unwrap_or(End::AllHolds))
}

fn run_one(args: &RunArgs, plan: Plan) -> Result<Run, Unusable> {
    let is_live = args.liveness || args.certificate.is_some();
    if !is_live {
        return Ok(watched(plan.configuration.name, |progress| run(plan, progress)));
    }
    let live = watched(plan.configuration.name, |progress| run_live(plan, progress));
    if let Some(path) = args.certificate.as_ref().filter(|_| end_of(&live.run) == End::AllHolds) {
        write_certificate(path, &live)?;
    }
    Ok(live.run)
}

fn write_certificate(path: &Path, live: &Live) -> Result<(), Unusable> {
    let file = std::fs::File::create(path).map_err(|error| unwritten(path, error))?;
    certificate::write(live, &mut std::io::BufWriter::new(file)).map_err(|error| unwritten(path, error))
}

fn certify_file(path: &Path) -> Result<End, Unusable> {
    let file = path.display();
    let bytes = std::fs::read(path).map_err(|error| Unusable(format!("cannot read '{file}': {error}")))?;
    let certificate = Certificate::from_bytes(&bytes);
    let certificate = certificate.map_err(|error| Unusable(format!("'{file}' is no certificate: {error}")))?;
    let heading = &certificate.heading;
    match certify::certify(&certificate) {
        Ok(certify::Certified { states, edges, claims }) => {
            let (config, profile) = (&heading.config, &heading.profile);
            say(format_args!(
                "{config}, profile {profile}: {states} states, {edges} edges, every invariant and {claims} claims hold\n"
            ));
            Ok(End::AllHolds)
        }
        Err(flaw) => {
            complain(&Unusable(format!("'{file}' does not hold: {flaw}")));
            Ok(End::Violated)
        }
    }
}

fn end_of(run: &Run) -> End {
    if run.is_violated() {
        End::Violated
    } else {
        match run.ending {
            Ending::Exhausted => End::AllHolds,
            Ending::Violated => End::Violated,
            Ending::CutOff => End::CutOff,
        }
    }
}

fn save_counterexamples(folder: Option<&PathBuf>, run: &Run) -> Result<(), Unusable> {
    let Some(folder) = folder else { return Ok(()) };
    for outcome in &run.outcomes {
        let Some(counterexample) = &outcome.counterexample else { continue };
        let property = outcome.name.replace(' ', "-");
        let kind = if LIVE_KINDS.contains(&outcome.kind) { format!(".{}", outcome.kind) } else { String::new() };
        save_counterexample(folder, &format!("{}.{property}{kind}", run.plan.configuration.name), counterexample)?;
    }
    Ok(())
}

fn save_counterexample(folder: &Path, name: &str, counterexample: &Counterexample) -> Result<(), Unusable> {
    std::fs::create_dir_all(folder).map_err(|error| unwritten(folder, error))?;
    let path = folder.join(format!("{name}.jsonl"));
    std::fs::write(&path, counterexample.to_lines()).map_err(|error| unwritten(&path, error))
}

/// Kinds of properties that share their names: a goal has one of each.
const LIVE_KINDS: [&str; 3] = ["recoverable", "leads_to", "settles"];

fn unwritten(path: &Path, error: std::io::Error) -> Unusable {
    Unusable(format!("cannot write '{}': {error}", path.display()))
}

fn hunt_all(ids: &[String], json: bool) -> Result<End, Unusable> {
    let every = || Mutant::ALL.to_vec();
    let mutants = if ids.is_empty() { every() } else { chosen(ids, mutant, every)? };
    let mut hunts: Vec<Hunt> = Vec::new();
    for mutant in mutants {
        let hunt = watched(mutant.id(), |progress| hunt(mutant, Limits::default(), progress));
        if !json {
            say(format_args!("{}\n", report::hunt_text(&hunt)));
        }
        hunts.push(hunt);
    }
    if json {
        say(format_args!("{}\n", report::hunts_json(&hunts)));
    } else {
        say(format_args!("{}\n", report::score_text(&hunts)));
    }
    let is_caught = hunts.iter().all(|hunt| hunt.caught.is_some() || hunt.equivalence().is_some());
    Ok(if is_caught { End::AllHolds } else { End::Violated })
}

fn bench_on(name: &str, states_max: Option<usize>) -> Result<End, Unusable> {
    let known = with_actors(configuration(name)?)?;
    let text = bench::bench(known.name, states_max)
        .map_err(|error| Unusable(format!("cannot run the contenders: {error}")))?;
    say(text);
    Ok(End::AllHolds)
}

/// The configuration itself, if its hosts can be explored as actors.
fn with_actors(configuration: &'static Configuration) -> Result<&'static Configuration, Unusable> {
    let known = Configuration::every().filter(|known| known.has_actors).map(|known| known.name);
    let is_known = configuration.has_actors.then_some(configuration);
    is_known.ok_or_else(|| Unusable::unknown("configuration with actors", configuration.name, known))
}

fn serve(name: &str, addr: std::net::SocketAddr) -> Result<End, Unusable> {
    let model = configuration(name)?.model(Profile::default(), None);
    // Stateright panics if it cannot listen: find that out first.
    drop(std::net::TcpListener::bind(addr).map_err(|error| Unusable(format!("cannot listen on {addr}: {error}")))?);
    let _ = writeln!(std::io::stderr(), "Exploring {name} at http://{addr}/ until interrupted.");
    model.checker().serve(addr);
    Ok(End::AllHolds)
}

/// Shows progress on a terminal, once the work takes longer than a glance.
fn watched<T>(name: &str, work: impl FnOnce(&mut dyn FnMut(Progress)) -> T) -> T {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {msg}") {
        bar.set_style(style);
    }
    let started = std::time::Instant::now();
    let result = work(&mut |progress: Progress| {
        if started.elapsed() > Duration::from_secs(2) {
            let Progress { states, edges, depth, frontier } = progress;
            bar.set_message(format!("{name}: {states} states, {edges} edges, depth {depth}, {frontier} ahead"));
            bar.tick();
        }
    });
    bar.finish_and_clear();
    result
}
