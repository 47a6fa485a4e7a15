//! `slotbus-conform`: holds cluster nodes to the model of the protocol.

use clap::{Parser, Subcommand};
use slotbus_conformance::{
    cluster::{Program, Template},
    probe::{Probe, Report},
    report,
    scripted::peer::BUS_PORT_OFFSET,
    tour, verify,
};
use slotbus_core::Profile;
use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
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
  slotbus-conform probe --spawn 'redis-server --port {port} --dir {dir}'
  slotbus-conform probe --addr 127.0.0.1:7000 --filter ELECT --junit report.xml";

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
    /// Plays the peers of a server over real sockets and holds all that it says to the model.
    Probe {
        /// Starts a server for each case: a command line with {port} and {dir}, to which directives of
        /// redis-server's are added.
        #[arg(long, value_name = "CMD", required_unless_present = "addr", conflicts_with = "addr")]
        spawn: Option<String>,
        /// A server of this machine that runs already, in cluster mode, whose data and cluster are ours to
        /// wipe: 127.0.0.1:PORT.
        #[arg(long, value_name = "HOST:PORT")]
        addr: Option<SocketAddr>,
        /// Its bus port, if that is not the other one and 10000.
        #[arg(long, value_name = "PORT", requires = "addr")]
        bus_port: Option<u16>,
        /// Hold it to this profile.
        #[arg(long, default_value = "redis-7.0")]
        profile: String,
        /// Only the cases of this area, about this rule, or with this in their name.
        #[arg(long)]
        filter: Option<String>,
        /// Also write JUnit XML to this file.
        #[arg(long, value_name = "FILE")]
        junit: Option<PathBuf>,
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
        Command::Probe { spawn, addr, bus_port, profile, filter, junit, json } => probed(spawn, addr, bus_port)
            .and_then(|(target, program)| run_probe(target, program, profile, filter, junit, json))
            .unwrap_or_else(|error| {
                eprintln!("slotbus-conform: {error}");
                report::Outcome::Unusable
            })
            .into(),
        Command::Tour { json } => tour::run(json).into(),
    }
}

/// The server to probe, and what to call it.
fn probed(
    spawn: Option<String>,
    address: Option<SocketAddr>,
    bus_port: Option<u16>,
) -> Result<(String, Program), String> {
    if let Some(command) = spawn {
        let template = Template::parse(&command)?;
        return Ok((command, Program::Other(template)));
    }
    let address = address.ok_or("either --spawn or --addr says what to probe")?;
    if address.ip() != IpAddr::V4(Ipv4Addr::LOCALHOST) {
        return Err(format!("{address} is not on 127.0.0.1, where the peers are that the server must reach"));
    }
    let port = address.port();
    let cport = bus_port.or_else(|| port.checked_add(BUS_PORT_OFFSET));
    let cport = cport.ok_or_else(|| format!("{port} leaves no room for a bus port: give --bus-port"))?;
    Ok((address.to_string(), Program::Running { port, cport }))
}

fn run_probe(
    target: String,
    program: Program,
    profile_name: String,
    filter: Option<String>,
    junit: Option<PathBuf>,
    json: bool,
) -> Result<report::Outcome, String> {
    let profile = profile_named(&profile_name)?;
    let probe = Probe { program, profile_name, profile, filter };
    let results = probe.run(|_| {})?;
    let report = Report { target, profile: probe.profile_name, results };
    if let Some(file) = junit {
        fs::write(&file, report.junit()).map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    }
    if json {
        println!("{}", report.json())
    } else {
        print!("{report}")
    }
    Ok(report.outcome())
}

fn profile_named(name: &str) -> Result<Profile, String> {
    Profile::named(name).ok_or_else(|| {
        let known: Vec<_> = Profile::NAMED.iter().map(|(name, _)| *name).collect();
        format!("there is no profile '{name}'; known: {}", known.join(", "))
    })
}

fn run_verify(files: &[PathBuf], profile: Option<&str>, json: bool) -> ExitCode {
    let profile = match profile.map(profile_named).transpose() {
        Ok(profile) => profile,
        Err(error) => {
            eprintln!("slotbus-conform: {error}");
            return report::Outcome::Unusable.into();
        }
    };
    let outcomes: Vec<_> = files.iter().map(|file| (file, verify::verify_file(file, profile))).collect();
    report::print(&outcomes, json).into()
}
