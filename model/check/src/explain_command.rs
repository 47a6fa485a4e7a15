//! Owns the command `explain`: which file is what, and in which view it is shown.

use crate::{End, Unusable, say, unwritten};
use clap::Args;
use slotbus_check::{
    counterexample::Counterexample,
    explain,
    recorded::{self, Recording},
};
use slotbus_wire::trace::BINARY_START;
use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

/// What a trace of JSON lines begins with.
const JSON_START: &[u8] = br#"{"sum":"#;

#[derive(Args)]
pub(crate) struct ExplainArgs {
    /// A counterexample, or the traces of the nodes of one cluster: a column each.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Of traces, only steps after which a node holds something else than before.
    #[arg(long)]
    changes: bool,
    /// Writes one page for a browser into a file.
    #[arg(long, value_name = "OUT", group = "how")]
    html: Option<PathBuf>,
    /// As numbered steps; so it is if nothing else is asked for.
    #[arg(long, group = "how")]
    text: bool,
    /// As a Mermaid sequence diagram.
    #[arg(long, group = "how")]
    mermaid: bool,
}

pub(crate) fn explain(args: &ExplainArgs) -> Result<End, Unusable> {
    let run = read(args)?;
    match &args.html {
        Some(path) => std::fs::write(path, explain::html(&run)).map_err(|error| unwritten(path, error))?,
        None if args.mermaid => say(explain::mermaid(&run)),
        None => say(explain::text(&run)),
    }
    Ok(End::AllHolds)
}

fn read(args: &ExplainArgs) -> Result<Counterexample, Unusable> {
    if let [file] = &args.files[..]
        && !is_trace(file)?
    {
        let text = std::fs::read_to_string(file).map_err(|error| unreadable(file, &error))?;
        let read = Counterexample::from_lines(&text);
        return read.map_err(|error| unusable(file, "neither trace nor counterexample", &error));
    }
    let recordings = args.files.iter().map(|file| recording(file)).collect::<Result<_, _>>()?;
    recorded::tell(recordings, args.changes).map_err(|error| Unusable(format!("cannot tell these traces: {error}")))
}

fn is_trace(file: &Path) -> Result<bool, Unusable> {
    let mut reader = open(file)?;
    let start = reader.fill_buf().map_err(|error| unreadable(file, &error))?;
    Ok(start.starts_with(&BINARY_START) || start.starts_with(JSON_START))
}

fn recording(file: &Path) -> Result<Recording<BufReader<File>>, Unusable> {
    Recording::new(open(file)?).map_err(|error| unusable(file, "no trace", &error))
}

fn open(file: &Path) -> Result<BufReader<File>, Unusable> {
    File::open(file).map(BufReader::new).map_err(|error| unreadable(file, &error))
}

fn unreadable(file: &Path, error: &std::io::Error) -> Unusable {
    Unusable(format!("cannot read '{}': {error}", file.display()))
}

fn unusable(file: &Path, what: &str, error: &impl std::fmt::Display) -> Unusable {
    Unusable(format!("'{}' is {what}: {error}", file.display()))
}
