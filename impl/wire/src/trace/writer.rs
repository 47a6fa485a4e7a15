//! The recording side of a trace.

use super::{FORMAT, FRAME, Header, LINE_MAX, sum};
use serde::Serialize;
use slotbus_core::{CLUSTER_SLOTS, Effects, Input};
use std::io::{self, Write};

/// Records a trace. Each line is handed over in one write; when it reaches the disk is for the
/// output and its owner to decide. After an error the trace is over: one with a step missing in the
/// middle would tell a story that never was.
#[derive(Debug)]
pub struct TraceWriter<W> {
    output: W,
    /// The sum of the last line written.
    sum: u32,
    is_over: bool,
}

/// The first line's body.
#[derive(Serialize)]
struct First<'a> {
    slotbus_trace: u32,
    #[serde(flatten)]
    header: &'a Header,
}

/// The body of every other line.
#[derive(Serialize)]
struct Next<'a> {
    input: &'a Input<CLUSTER_SLOTS>,
    effects: &'a Effects<CLUSTER_SLOTS>,
}

impl<W: Write> TraceWriter<W> {
    /// Begins a trace.
    pub fn new(output: W, header: &Header) -> io::Result<Self> {
        let mut writer = Self { output, sum: 0, is_over: false };
        writer.record(&First { slotbus_trace: FORMAT, header })?;
        Ok(writer)
    }

    /// Records one step: what went in, and what came of it. A step too long for a line is an error.
    pub fn step(&mut self, input: &Input<CLUSTER_SLOTS>, effects: &Effects<CLUSTER_SLOTS>) -> io::Result<()> {
        self.record(&Next { input, effects })
    }

    /// Hands on what the output has kept back.
    pub fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }

    /// Ends the trace and gives its output back.
    pub fn into_inner(self) -> W {
        self.output
    }

    fn record(&mut self, body: &impl Serialize) -> io::Result<()> {
        if self.is_over {
            return Err(io::Error::other("the trace ended with an earlier error"));
        }
        let result = self.line(body);
        self.is_over = result.is_err();
        result
    }

    fn line(&mut self, body: &impl Serialize) -> io::Result<()> {
        let body = serde_json::to_string(body)?;
        let sum = sum(self.sum, body.as_bytes());
        let [start, middle, end] = FRAME;
        let line = format!("{start}{sum:08x}{middle}{body}{end}\n");
        if line.len() > LINE_MAX {
            let text = format!("a step of {} bytes is too long for a trace", body.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        self.output.write_all(line.as_bytes())?;
        self.sum = sum;
        Ok(())
    }
}
