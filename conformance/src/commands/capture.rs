//! `capture`: records until it is told to stop, or shows what was recorded.

use clap::Args;
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};
use slotbus_conformance::{
    capture::{
        Sight, file,
        live::{self, Recording},
        show::line,
    },
    report::Outcome,
};
use std::{
    io::{self, Write},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// What `capture` is told.
#[derive(Args)]
pub(crate) struct Capture {
    /// The interface to record from: lo.
    #[arg(long, requires = "ports", requires = "out", required_unless_present = "pcap")]
    iface: Option<String>,
    /// The bus ports to record, first and last.
    #[arg(long, value_parser = parse_ports)]
    ports: Option<RangeInclusive<u16>>,
    /// The pcap file to write.
    #[arg(long)]
    out: Option<PathBuf>,
    /// For how many seconds to record, instead of until SIGINT or SIGTERM.
    #[arg(long)]
    duration: Option<u64>,
    /// Show what this pcap or pcapng file holds of the bus.
    #[arg(long, conflicts_with_all = ["iface", "ports", "out", "duration"])]
    pcap: Option<PathBuf>,
}

fn parse_ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let bad = || format!("'{text}' is no range of ports such as 17000-17005");
    let (first, last) = text.split_once('-').ok_or_else(bad)?;
    let [first, last] = [first, last].map(|port| port.parse::<u16>().map_err(|_| bad()));
    Ok(first?..=last?)
}

impl Capture {
    pub(crate) fn run(self) -> Result<Outcome, String> {
        if let Some(path) = self.pcap {
            return show(&path);
        }
        let (Some(interface), Some(ports), Some(out)) = (self.iface, self.ports, self.out) else {
            return Err("--iface, --ports and --out go together".to_owned());
        };
        if interface != live::INTERFACE {
            let hint = "record others with tcpdump -w FILE, and read FILE with --pcap";
            return Err(format!("only {} can be recorded, not {interface}: {hint}", live::INTERFACE));
        }
        let recording = Recording::begin(ports, &out)?;
        let is_over = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            flag::register(signal, Arc::clone(&is_over)).map_err(|error| error.to_string())?;
        }
        if let Some(seconds) = self.duration {
            let is_over = Arc::clone(&is_over);
            thread::spawn(move || {
                thread::sleep(Duration::from_secs(seconds));
                is_over.store(true, Ordering::Relaxed);
            });
        }
        let count = recording.run(&is_over)?;
        println!("{}: {count} packets of TCP", out.display());
        Ok(Outcome::Conforms)
    }
}

/// Prints a line for each packet. A reader that has seen enough may close.
fn show(path: &Path) -> Result<Outcome, String> {
    let mut out = io::stdout().lock();
    for sight in file::read(path)? {
        if let Sight::Packet(seen) = sight
            && writeln!(out, "{}", line(&seen)).is_err()
        {
            break;
        }
    }
    Ok(Outcome::Conforms)
}
