//! The program: reads the command line, and runs a node or helps offline. Errors go to standard
//! error, with exit code 1.

use slotbus_node::{
    cli::{self, Asked},
    config::Sources,
    offline, start,
};
use std::{
    io::{self, Read, Write},
    path::PathBuf,
    process::ExitCode,
};

fn main() -> ExitCode {
    let args = std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect();
    let outcome = cli::parse(args, read_input).and_then(|asked| match asked {
        Asked::Run(sources) => run(&sources),
        Asked::Help => print(cli::HELP),
        Asked::Version => print(concat!("Slotbus node v=", env!("CARGO_PKG_VERSION"), " redis=7.0.15\n")),
        Asked::SlotOf(keys) => print(&offline::slots_of(&keys)),
        Asked::TagFor(slots) => offline::tags_for(&slots).and_then(|tags| print(&tags)),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn run(sources: &Sources) -> Result<(), String> {
    let loaded = sources.load().map_err(|error| error.to_string())?;
    let config_file = sources.file.as_ref().map(PathBuf::from);
    start::run(loaded, config_file)
}

fn read_input() -> Result<String, String> {
    let mut input = String::new();
    io::stdin().read_to_string(&mut input).map_err(|error| format!("Cannot read standard input: {error}"))?;
    Ok(input)
}

fn print(text: &str) -> Result<(), String> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(format!("Cannot write: {error}")),
        Ok(()) | Err(_) => Ok(()),
    }
}
