//! A node that can commit deliberate faults of the protocol (directive `protocol-mutant`), for checking
//! what checks nodes. Knows the command line only: the rest is the node's.

use slotbus_node::{
    cli::{self, Asked},
    start,
};
use std::{path::PathBuf, process::ExitCode};

fn main() -> ExitCode {
    let args = std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect();
    let no_input = || Err("it reads no configuration from its input".to_owned());
    let outcome = cli::parse(args, no_input).and_then(|asked| match asked {
        Asked::Run(sources) => {
            let loaded = sources.load().map_err(|error| error.to_string())?;
            start::run(loaded, sources.file.as_ref().map(PathBuf::from))
        }
        Asked::Help | Asked::Version | Asked::SlotOf(_) | Asked::TagFor(_) => Err("it runs a node only".to_owned()),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
