//! `slotbus-conform`: holds cluster nodes to the model of the protocol.

mod commands;

use clap::{Parser, Subcommand};
use commands::{
    capture::Capture,
    chaos::Chaos,
    probe::ProbeArgs,
    profile_named,
    vectors::{Generate, Replay},
};
use slotbus_conformance::{
    capture::{file, laws},
    convert,
    report::{self, Outcome, Verdict},
    tour, verify,
};
use slotbus_wire::trace::Form;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

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
  slotbus-conform convert node.trace node.trace.bin
  slotbus-conform capture --iface lo --ports 17000-17005 --out bus.pcap
  slotbus-conform capture --pcap bus.pcap
  slotbus-conform verify bus.pcap
  slotbus-conform chaos --spawn 'redis-server --port {port} --dir {dir}' --nodes 6 --replicas 1 --seed 7 --duration 30
  slotbus-conform chaos --spawn 'slotbus-node --port {port} --dir {dir} --trace-file {trace}' --scenario failed.txt
  slotbus-conform probe --spawn 'redis-server --port {port} --dir {dir}'
  slotbus-conform probe --addr 127.0.0.1:7000 --filter ELECT --junit report.xml
  slotbus-conform generate --out vectors --profile redis-7.0
  slotbus-conform replay vectors
  slotbus-conform replay vectors --adapter 'python3 conformance/runner/runner.py redis-server'";

#[derive(Subcommand)]
enum Command {
    /// Holds recorded node traces and captures of the bus to the model: feeds the inputs of a trace to the
    /// protocol's step function and compares what comes of each; asks of each captured packet which rule
    /// explains it.
    Verify {
        /// Traces that `slotbus-node --trace-file` recorded, and pcap or pcapng files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Replay under this profile instead of the recorded one.
        #[arg(long)]
        profile: Option<String>,
        /// Print one JSON document instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Writes a trace in the other form: of JSON the binary one, of that JSON. Both say the same.
    Convert {
        /// The trace.
        from: PathBuf,
        /// The file to write; it must not exist.
        to: PathBuf,
    },
    /// Bus traffic of a running cluster, of any implementation: recorded from the loopback interface, or
    /// read from a pcap or pcapng file and shown a packet a line.
    Capture(Capture),
    /// Real nodes on a faulty network: a seed draws what happens to them while clients write; in the
    /// end all must tell the same, and no acknowledged write may be gone without excuse.
    Chaos(Chaos),
    /// Plays the peers of a server over real sockets and holds all that it says to the model.
    Probe(ProbeArgs),
    /// Writes conformance vectors: explores what can happen to one node, chooses short runs that cover
    /// the rules and their guards, and records what the model does.
    Generate(Generate),
    /// Holds the model, or a program behind an adapter, to the vectors of a folder.
    Replay(Replay),
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
        Command::Convert { from, to } => convert(&from, &to).unwrap_or_else(unusable).into(),
        Command::Capture(capture) => capture.run().unwrap_or_else(unusable).into(),
        Command::Chaos(chaos) => chaos.run().unwrap_or_else(unusable).into(),
        Command::Probe(probe) => probe.run().unwrap_or_else(unusable).into(),
        Command::Generate(generate) => generate.run().into(),
        Command::Replay(replay) => replay.run().into(),
        Command::Tour { json } => tour::run(json).into(),
    }
}

fn convert(from: &Path, to: &Path) -> Result<Outcome, String> {
    let (form, steps) = convert::convert(from, to)?;
    println!("{}: {steps} steps, {}", to.display(), if form == Form::Json { "json" } else { "binary" });
    Ok(Outcome::Conforms)
}

fn unusable(why: String) -> Outcome {
    eprintln!("slotbus-conform: {why}");
    Outcome::Unusable
}

fn run_verify(files: &[PathBuf], profile: Option<&str>, json: bool) -> ExitCode {
    let profile = match profile.map(profile_named).transpose() {
        Ok(profile) => profile,
        Err(why) => return unusable(why).into(),
    };
    let verify = |file| match file::is_capture(file) {
        Ok(true) => Verdict::Capture(file::read(file).map(|sights| laws::judge(&sights))),
        // A file that cannot be read is no better as a trace, which says why.
        Ok(false) | Err(_) => Verdict::Trace(verify::verify_file(file, profile)),
    };
    let outcomes: Vec<_> = files.iter().map(|file| (file, verify(file))).collect();
    report::print(&outcomes, json).into()
}
