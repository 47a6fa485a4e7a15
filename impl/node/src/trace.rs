//! Owns the recording of the protocol: every input of the core and the effects that it had, in the
//! order of the steps, to a file.
//!
//! Must not know what a step means. A trace that cannot be written any more ends; the node goes on.

use crate::log::{Log, reason};
use slotbus_core::{CLUSTER_SLOTS, Effects, Input};
use slotbus_wire::trace::{Form, Header, TraceWriter};
use std::{
    fs::File,
    io::{self, BufWriter},
    path::Path,
};

/// The recording of one run.
#[derive(Debug)]
pub struct Trace {
    writer: TraceWriter<BufWriter<File>>,
    log: Log,
    is_over: bool,
}

impl Trace {
    /// Begins the recording of a run, in place of what the file may hold of an earlier one.
    pub fn create(path: &Path, form: Form, header: &Header, log: Log) -> io::Result<Self> {
        let writer = TraceWriter::new(BufWriter::new(File::create(path)?), form, header)?;
        Ok(Self { writer, log, is_over: false })
    }

    /// Records one step.
    pub fn step(&mut self, input: &Input<CLUSTER_SLOTS>, effects: &Effects<CLUSTER_SLOTS>) {
        if !self.is_over {
            let outcome = self.writer.step(input, effects);
            self.note(outcome);
        }
    }

    /// Has all that was recorded reach the file.
    pub fn flush(&mut self) {
        if !self.is_over {
            let outcome = self.writer.flush();
            self.note(outcome);
        }
    }

    fn note(&mut self, outcome: io::Result<()>) {
        if let Err(error) = outcome {
            self.is_over = true;
            self.log.warning(format_args!("The protocol trace ends here, it cannot be written: {}", reason(&error)));
        }
    }
}
