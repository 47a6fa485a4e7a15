//! The recording side of a trace.

use super::{BINARY_START, BODY_JSON, BODY_POSTCARD, FORMAT, FRAME, Form, Header, LINE_MAX, RECORD_HEAD, sum};
use serde::Serialize;
use slotbus_core::{CLUSTER_SLOTS, Effects, Event, Input};
use std::io::{self, Write};

/// Records a trace. Each line or record is handed over in one write; when it reaches the disk is for the
/// output and its owner to decide. After an error the trace is over: one with a step missing in the
/// middle would tell a story that never was.
#[derive(Debug)]
pub struct TraceWriter<W> {
    output: W,
    form: Form,
    /// The sum of the last line or record written.
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
    pub fn new(mut output: W, form: Form, header: &Header) -> io::Result<Self> {
        if form == Form::Binary {
            output.write_all(&BINARY_START)?;
        }
        let mut writer = Self { output, form, sum: 0, is_over: false };
        writer.record(|writer| writer.json(&First { slotbus_trace: FORMAT, header }))?;
        Ok(writer)
    }

    /// Records one step: what went in, and what came of it. A step too long for a line is an error.
    pub fn step(&mut self, input: &Input<CLUSTER_SLOTS>, effects: &Effects<CLUSTER_SLOTS>) -> io::Result<()> {
        let step = Next { input, effects };
        let is_compact = self.form == Form::Binary && !matches!(input.event, Event::Configured(_));
        self.record(|writer| if is_compact { writer.postcard(&step) } else { writer.json(&step) })
    }

    /// Hands on what the output has kept back.
    pub fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }

    /// Ends the trace and gives its output back.
    pub fn into_inner(self) -> W {
        self.output
    }

    fn record(&mut self, write: impl FnOnce(&mut Self) -> io::Result<()>) -> io::Result<()> {
        if self.is_over {
            return Err(io::Error::other("the trace ended with an earlier error"));
        }
        let result = write(self);
        self.is_over = result.is_err();
        result
    }

    fn json(&mut self, body: &impl Serialize) -> io::Result<()> {
        match self.form {
            Form::Binary => {
                let mut record = vec![0; RECORD_HEAD];
                record.push(BODY_JSON);
                serde_json::to_writer(&mut record, body)?;
                self.put_record(record)
            }
            Form::Json => {
                let body = serde_json::to_string(body)?;
                let sum = sum(self.sum, body.as_bytes());
                let [start, middle, end] = FRAME;
                self.put(format!("{start}{sum:08x}{middle}{body}{end}\n").as_bytes(), sum)
            }
        }
    }

    fn postcard(&mut self, body: &impl Serialize) -> io::Result<()> {
        let mut record = vec![0; RECORD_HEAD];
        record.push(BODY_POSTCARD);
        self.put_record(postcard::to_extend(body, record).map_err(io::Error::other)?)
    }

    /// Writes a record whose head is still to be filled in.
    fn put_record(&mut self, mut record: Vec<u8>) -> io::Result<()> {
        let (head, body) = record.split_at_mut(RECORD_HEAD);
        let sum = sum(self.sum, body);
        head[..4].copy_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
        head[4..].copy_from_slice(&sum.to_le_bytes());
        self.put(&record, sum)
    }

    fn put(&mut self, line: &[u8], sum: u32) -> io::Result<()> {
        if line.len() > LINE_MAX {
            let text = format!("a step of {} bytes is too long for a trace", line.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        self.output.write_all(line)?;
        self.sum = sum;
        Ok(())
    }
}
