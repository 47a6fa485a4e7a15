//! The reading side of a trace. Reads line by line, or record by record, and keeps one at a time.

use super::{BINARY_START, BODY_JSON, BODY_POSTCARD, FORMAT, FRAME, Form, Header, LINE_MAX, RECORD_HEAD, sum};
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};
use slotbus_core::{CLUSTER_SLOTS, Effects, Input};
use std::{
    error, fmt,
    io::{self, BufRead, Read},
};

/// Reads a trace: its header at once, then step by step as an iterator that ends after an error.
#[derive(Debug)]
pub struct TraceReader<R> {
    lines: Lines<R>,
    header: Header,
    is_over: bool,
}

/// One recorded step.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Step {
    /// What went in.
    pub input: Input<CLUSTER_SLOTS>,
    /// What came of it. The dice are not recorded.
    pub effects: Effects<CLUSTER_SLOTS>,
}

/// Why a trace cannot be read, and where.
#[derive(Debug)]
pub struct TraceError {
    /// The line or record, counted from 1.
    pub line: u64,
    /// The step, counted from 1; none for the first line, which is the header.
    pub step: Option<u64>,
    /// What is wrong with it.
    pub fault: TraceFault,
}

/// What is wrong with a line of a trace.
#[derive(Debug)]
pub enum TraceFault {
    /// It could not be read.
    Io(io::Error),
    /// There is no first line.
    Empty,
    /// The file ends within the line, as a killed process leaves it. All lines before are good.
    Truncated,
    /// It is longer than [`LINE_MAX`].
    TooLong,
    /// It is not a line of a trace.
    NotATrace,
    /// The sum is not that of this body after the line before.
    Checksum,
    /// The trace has a format of another number.
    Format(u32),
    /// The sum is right, but the body does not say what it should.
    Json(serde_json::Error),
    /// The same of a binary record.
    Postcard(postcard::Error),
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if let Some(step) = self.step {
            write!(f, " (step {step})")?;
        }
        write!(f, ": {}", self.fault)
    }
}

impl fmt::Display for TraceFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Empty => f.write_str("the trace is empty"),
            Self::Truncated => f.write_str("the trace ends within this line"),
            Self::TooLong => write!(f, "the line is longer than {LINE_MAX} bytes"),
            Self::NotATrace => f.write_str("this is not a line of a trace"),
            Self::Checksum => {
                f.write_str("the checksum does not match: this line or the one before was changed, dropped or moved")
            }
            Self::Format(number) => write!(f, "the trace has format {number}, and only {FORMAT} is known"),
            Self::Json(error) => error.fmt(f),
            Self::Postcard(error) => error.fmt(f),
        }
    }
}

impl error::Error for TraceError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match &self.fault {
            TraceFault::Io(error) => Some(error),
            TraceFault::Json(error) => Some(error),
            TraceFault::Postcard(error) => Some(error),
            TraceFault::Empty
            | TraceFault::Truncated
            | TraceFault::TooLong
            | TraceFault::NotATrace
            | TraceFault::Checksum
            | TraceFault::Format(_) => None,
        }
    }
}

/// What is wrong with a last line that no newline ends: it is cut off, unless it is not the beginning of a line.
fn unfinished(line: &[u8]) -> TraceFault {
    match serde_json::from_slice::<IgnoredAny>(line) {
        Ok(_) if line.ends_with(b"}") => TraceFault::Truncated,
        Err(error) if error.is_eof() => TraceFault::Truncated,
        Ok(_) | Err(_) => TraceFault::NotATrace,
    }
}

/// The part of the first line that says how to read the rest.
#[derive(Deserialize)]
struct Marker {
    slotbus_trace: u32,
}

impl<R: BufRead> TraceReader<R> {
    /// Opens a trace and reads its header.
    pub fn new(input: R) -> Result<Self, TraceError> {
        let mut lines = Lines { input, form: Form::Json, line: Vec::new(), number: 0, sum: 0 };
        let header = match lines.header() {
            Ok(header) => header,
            Err(fault) => return Err(lines.error(fault)),
        };
        Ok(Self { lines, header, is_over: false })
    }

    /// How the trace is written.
    #[must_use]
    pub fn form(&self) -> Form {
        self.lines.form
    }

    /// What the trace begins with.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }
}

impl<R: BufRead> Iterator for TraceReader<R> {
    type Item = Result<Step, TraceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let step = self.lines.body().transpose()?.and_then(Body::parse);
        self.is_over = step.is_err();
        Some(step.map_err(|fault| self.lines.error(fault)))
    }
}

/// The lines or records of a trace, each held to the sum of the one before.
#[derive(Debug)]
struct Lines<R> {
    input: R,
    form: Form,
    line: Vec<u8>,
    /// How many have been begun.
    number: u64,
    /// The sum of the last one.
    sum: u32,
}

/// What a line or record says.
enum Body<'a> {
    Json(&'a [u8]),
    Postcard(&'a [u8]),
}

impl Body<'_> {
    fn parse<T: DeserializeOwned>(self) -> Result<T, TraceFault> {
        match self {
            Self::Json(body) => serde_json::from_slice(body).map_err(TraceFault::Json),
            Self::Postcard(body) => match postcard::take_from_bytes(body).map_err(TraceFault::Postcard)? {
                (value, []) => Ok(value),
                (_, _) => Err(TraceFault::NotATrace),
            },
        }
    }
}

impl<R: BufRead> Lines<R> {
    fn header(&mut self) -> Result<Header, TraceFault> {
        if self.input.fill_buf().map_err(TraceFault::Io)?.first() == BINARY_START.first() {
            self.begin_binary()?;
        }
        let Some(Body::Json(body)) = self.body()? else { return Err(TraceFault::Empty) };
        match Body::Json(body).parse()? {
            Marker { slotbus_trace: FORMAT } => Body::Json(body).parse(),
            Marker { slotbus_trace: other } => Err(TraceFault::Format(other)),
        }
    }

    fn begin_binary(&mut self) -> Result<(), TraceFault> {
        let mut start = [0; BINARY_START.len()];
        self.form = Form::Binary;
        self.fill(&mut start)?;
        let ([name @ .., format], [own_name @ .., own_format]) = (start, BINARY_START);
        if name != own_name {
            return Err(TraceFault::NotATrace);
        }
        if format == own_format { Ok(()) } else { Err(TraceFault::Format(format.into())) }
    }

    /// Reads just so many bytes; the trace is cut off if there are fewer.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), TraceFault> {
        self.input.read_exact(bytes).map_err(|error| {
            let is_cut_off = error.kind() == io::ErrorKind::UnexpectedEof;
            if is_cut_off { TraceFault::Truncated } else { TraceFault::Io(error) }
        })
    }

    /// The next body; none at the end of the trace.
    fn body(&mut self) -> Result<Option<Body<'_>>, TraceFault> {
        self.line.clear();
        self.number += 1;
        match self.form {
            Form::Json => self.line_body().map(|body| body.map(Body::Json)),
            Form::Binary => self.record_body(),
        }
    }

    fn record_body(&mut self) -> Result<Option<Body<'_>>, TraceFault> {
        if self.input.fill_buf().map_err(TraceFault::Io)?.is_empty() {
            return Ok(None);
        }
        let mut head = [0; RECORD_HEAD];
        self.fill(&mut head)?;
        let [l0, l1, l2, l3, s0, s1, s2, s3] = head;
        let length = u64::from(u32::from_le_bytes([l0, l1, l2, l3]));
        if length > LINE_MAX as u64 {
            return Err(TraceFault::TooLong);
        }
        self.input.by_ref().take(length).read_to_end(&mut self.line).map_err(TraceFault::Io)?;
        if self.line.len() as u64 != length {
            return Err(TraceFault::Truncated);
        }
        let claimed = u32::from_le_bytes([s0, s1, s2, s3]);
        if claimed != sum(self.sum, &self.line) {
            return Err(TraceFault::Checksum);
        }
        self.sum = claimed;
        match self.line.split_first() {
            Some((&BODY_JSON, body)) => Ok(Some(Body::Json(body))),
            Some((&BODY_POSTCARD, body)) => Ok(Some(Body::Postcard(body))),
            Some(_) | None => Err(TraceFault::NotATrace),
        }
    }

    fn line_body(&mut self) -> Result<Option<&[u8]>, TraceFault> {
        let limit = LINE_MAX as u64 + 1;
        self.input.by_ref().take(limit).read_until(b'\n', &mut self.line).map_err(TraceFault::Io)?;
        if self.line.is_empty() {
            return Ok(None);
        }
        if self.line.len() > LINE_MAX {
            return Err(TraceFault::TooLong);
        }
        let line = self.line.strip_suffix(b"\n").ok_or_else(|| unfinished(&self.line))?;
        let (claimed, body) = split(line).ok_or(TraceFault::NotATrace)?;
        if claimed != sum(self.sum, body) {
            return Err(TraceFault::Checksum);
        }
        self.sum = claimed;
        Ok(Some(body))
    }

    fn error(&self, fault: TraceFault) -> TraceError {
        // Before the first line is begun, its beginning is what cannot be read.
        let line = self.number.max(1);
        TraceError { line, step: (line > 1).then_some(line - 1), fault }
    }
}

/// A line's sum and body. The frame around them counts byte by byte: no sum protects it.
fn split(line: &[u8]) -> Option<(u32, &[u8])> {
    let [start, middle, end] = FRAME;
    let (sum, rest) = line.strip_prefix(start.as_bytes())?.split_first_chunk::<8>()?;
    let body = rest.strip_prefix(middle.as_bytes())?.strip_suffix(end.as_bytes())?;
    let is_lowercase_hex = sum.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    let sum = str::from_utf8(sum).ok().filter(|_| is_lowercase_hex)?;
    Some((u32::from_str_radix(sum, 16).ok()?, body))
}
