//! `probe`: plays a server's peers, and reports what the model does not explain.

use super::profile_named;
use clap::Args;
use slotbus_conformance::{
    cluster::{Program, Template},
    probe::{Probe, Report},
    progress::Progress,
    report::Outcome,
    scripted::peer::BUS_PORT_OFFSET,
};
use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

/// What `probe` is told.
#[derive(Args)]
pub(crate) struct ProbeArgs {
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
}

impl ProbeArgs {
    pub(crate) fn run(self) -> Result<Outcome, String> {
        let (target, program) = self.target()?;
        let profile = profile_named(&self.profile)?;
        let probe = Probe { program, profile_name: self.profile, profile, filter: self.filter };
        let progress = Progress::of(probe.cases()?.len(), "cases");
        let results = probe.run(|_| progress.advance())?;
        drop(progress);
        let report = Report { target, profile: probe.profile_name, results };
        if let Some(file) = self.junit {
            fs::write(&file, report.junit()).map_err(|error| format!("cannot write {}: {error}", file.display()))?;
        }
        if self.json {
            println!("{}", report.json());
        } else {
            print!("{report}");
        }
        Ok(report.outcome())
    }

    /// The server to probe, and what to call it.
    fn target(&self) -> Result<(String, Program), String> {
        if let Some(command) = &self.spawn {
            return Ok((command.clone(), Program::Template(Template::parse(command)?)));
        }
        let address = self.addr.ok_or("either --spawn or --addr says what to probe")?;
        if address.ip() != IpAddr::V4(Ipv4Addr::LOCALHOST) {
            return Err(format!("{address} is not on 127.0.0.1, where the peers are that the server must reach"));
        }
        let port = address.port();
        let cport = self.bus_port.or_else(|| port.checked_add(BUS_PORT_OFFSET));
        let cport = cport.ok_or_else(|| format!("{port} leaves no room for a bus port: give --bus-port"))?;
        Ok((address.to_string(), Program::Running { port, cport }))
    }
}
