//! Owns the client protocol's bytes: requests cut out of a stream, replies written to one.
//!
//! Must not know any command: a request is a list of byte strings, a reply is a value. Nothing here
//! reserves memory because a length on the wire asks for it; what is held is what has arrived.

use crate::{
    number::{format_decimal, format_f64},
    words,
};
use std::{borrow::Cow, fmt, ops::Range};

/// A line that announces something, or an inline request, is at most so long.
const LINE_MAX: usize = 64 * 1024;
/// So many arguments at most: a request's count must fit a signed 32 bit number.
const ARGS_MAX: i64 = i32::MAX as i64;
/// Before a client has shown its password, a request has so many arguments at most ...
const ARGS_MAX_STRANGER: i64 = 10;
/// ... of so many bytes each.
const BULK_MAX_STRANGER: i64 = 16 * 1024;
/// More announced arguments than this are made room for only as they arrive.
const ARGS_PREPARED_MAX: usize = 64;

/// What a request may amount to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of one argument (`proto-max-bulk-len`).
    pub bulk_max: u64,
    /// Whether the client still has to show its password: then little is accepted.
    pub is_stranger: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bulk_max: 512 * 1024 * 1024, is_stranger: false }
    }
}

/// Why a stream cannot be cut into requests any further. Displays as redis-server words it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// The line with the argument count does not end.
    CountLineTooLong,
    /// The argument count is no number, or too large.
    BadCount,
    /// The argument count is too large for a client without password.
    StrangerCount,
    /// The line with an argument's length does not end.
    LengthLineTooLong,
    /// An argument does not begin with its length.
    ExpectedLength(u8),
    /// An argument's length is no number, negative or too large.
    BadLength,
    /// An argument is too long for a client without password.
    StrangerLength,
    /// An inline request does not end.
    InlineTooLong,
    /// An inline request opens a quote that it does not close.
    Unbalanced,
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Protocol error: ")?;
        match self {
            Self::CountLineTooLong => f.write_str("too big mbulk count string"),
            Self::BadCount => f.write_str("invalid multibulk length"),
            Self::StrangerCount => f.write_str("unauthenticated multibulk length"),
            Self::LengthLineTooLong => f.write_str("too big bulk count string"),
            Self::ExpectedLength(byte) => {
                let shown = if byte.is_ascii() { char::from(*byte) } else { '?' };
                write!(f, "expected '$', got '{shown}'")
            }
            Self::BadLength => f.write_str("invalid bulk length"),
            Self::StrangerLength => f.write_str("unauthenticated bulk length"),
            Self::InlineTooLong => f.write_str("too big inline request"),
            Self::Unbalanced => f.write_str("unbalanced quotes in request"),
        }
    }
}

impl std::error::Error for ProtocolError {}

/// What [`Decoder::decode`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A request of this many bytes is complete; its arguments are [`Decoder::args`].
    Request(usize),
    /// These bytes ask for nothing: an empty line, or a request without arguments.
    Nothing(usize),
    /// The request is not complete.
    More,
}

type Span = Range<usize>;

/// The arguments of one request, borrowed from the buffer that they arrived in.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a> {
    bytes: &'a [u8],
    spans: &'a [Span],
}

impl<'a> Args<'a> {
    /// How many arguments there are, the command's name included.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The argument at `index`; none beyond the last.
    #[inline]
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        let span = self.spans.get(index)?;
        self.bytes.get(span.clone())
    }

    /// The argument at `index`; empty beyond the last.
    #[inline]
    #[must_use]
    pub fn at(&self, index: usize) -> &'a [u8] {
        self.get(index).unwrap_or_default()
    }

    /// The arguments from `start` on.
    pub fn from(&self, start: usize) -> impl ExactSizeIterator<Item = &'a [u8]> + Clone + use<'a> {
        let bytes = self.bytes;
        let spans = self.spans.get(start..).unwrap_or_default();
        spans.iter().map(move |span| bytes.get(span.clone()).unwrap_or_default())
    }

    /// The arguments from `start` on in pairs of neighbours; one without a neighbour is left out.
    pub fn pairs(&self, start: usize) -> impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])> + Clone + use<'a> {
        let bytes = self.bytes;
        let arg = move |span: &Span| bytes.get(span.clone()).unwrap_or_default();
        let (pairs, _) = self.spans.get(start..).unwrap_or_default().as_chunks::<2>();
        pairs.iter().map(move |[first, second]| (arg(first), arg(second)))
    }

    /// The request as it would be without its first `count` arguments.
    #[inline]
    #[must_use]
    pub fn skip(&self, count: usize) -> Self {
        Self { bytes: self.bytes, spans: self.spans.get(count..).unwrap_or_default() }
    }

    /// A copy that owns its bytes.
    #[must_use]
    pub fn to_owned(&self) -> OwnedArgs {
        OwnedArgs::collect(self.from(0))
    }
}

/// The arguments of one request, with their bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnedArgs {
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

impl OwnedArgs {
    /// Gathers arguments.
    pub fn collect<'b>(args: impl IntoIterator<Item = &'b [u8]>) -> Self {
        let mut owned = Self::default();
        args.into_iter().for_each(|arg| owned.push(arg));
        owned
    }

    /// The arguments.
    #[must_use]
    pub fn args(&self) -> Args<'_> {
        Args { bytes: &self.bytes, spans: &self.spans }
    }

    fn push(&mut self, arg: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(arg);
        self.spans.push(start..self.bytes.len());
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.spans.clear();
    }
}

/// Where in a request the decoder stands. Offsets count from the request's first byte.
#[derive(Clone, Debug, Default)]
enum Stage {
    /// At its beginning; so many bytes are known to hold no line end.
    #[default]
    Start,
    Line {
        searched: usize,
    },
    /// Before an argument.
    Length {
        left: i64,
        at: usize,
    },
    /// Before an argument's bytes.
    Bytes {
        left: i64,
        at: usize,
        len: usize,
    },
}

/// Complete requests that follow one another, cut out ahead of their turn.
///
/// To know what comes next lets whoever carries requests out have at hand what they will need.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    spans: Vec<Span>,
    /// Behind each request: how many arguments there are so far, and how many bytes.
    ends: Vec<(usize, usize)>,
}

impl Batch {
    /// Cuts out the requests at the start of `input`, up to `most`, as long as they are of the ordinary
    /// form: complete, with few arguments of ordinary lengths. Anything else is left to a [`Decoder`].
    pub fn fill(&mut self, input: &[u8], limits: Limits, most: usize) {
        self.spans.clear();
        self.ends.clear();
        let mut at = 0;
        while self.ends.len() < most
            && let Some(end) = take_plain(input, at, limits, &mut self.spans)
        {
            at = end;
            self.ends.push((self.spans.len(), end));
        }
    }

    /// How many requests were cut out.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there was none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The requests that were cut out of `input`, in order, each with where it ends there.
    pub fn requests<'a>(&'a self, input: &'a [u8]) -> impl Iterator<Item = (Args<'a>, usize)> {
        let starts = std::iter::once(0).chain(self.ends.iter().map(|&(spans, _)| spans));
        starts.zip(&self.ends).map(move |(start, &(end, length))| {
            (Args { bytes: input, spans: self.spans.get(start..end).unwrap_or_default() }, length)
        })
    }
}

/// Reads one request of the ordinary form; says where it ends, or leaves `spans` as they were.
fn take_plain(input: &[u8], start: usize, limits: Limits, spans: &mut Vec<Span>) -> Option<usize> {
    let before = spans.len();
    let end = plain_spans(input, start, limits, spans);
    if end.is_none() {
        spans.truncate(before);
    }
    end
}

fn plain_spans(input: &[u8], start: usize, limits: Limits, spans: &mut Vec<Span>) -> Option<usize> {
    if limits.is_stranger {
        return None;
    }
    let (count, mut at) = plain_number(input, start, b'*')?;
    for _ in 0..count {
        let (len, start) = plain_number(input, at, b'$')?;
        let end = start + len;
        at = end + 2;
        if at > input.len() || len as u64 > limits.bulk_max {
            return None;
        }
        spans.push(start..end);
    }
    (count > 0).then_some(at)
}

/// Cuts one client's stream into requests; remembers how far it got, so that no byte is read twice.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    stage: Stage,
    spans: Vec<Span>,
    inline: Option<OwnedArgs>,
}

impl Decoder {
    /// Looks for one request at the start of `input`. Until it is complete, the next call must be
    /// given the same bytes again, with more behind them.
    pub fn decode(&mut self, input: &[u8], limits: Limits) -> Result<Progress, ProtocolError> {
        loop {
            match self.stage {
                Stage::Start if input.is_empty() => return Ok(Progress::More),
                Stage::Start => self.stage = Stage::Line { searched: 0 },
                Stage::Line { searched } if input.first() == Some(&b'*') => {
                    let Some(end) = self.line_end(input, searched, ProtocolError::CountLineTooLong)? else {
                        return Ok(Progress::More);
                    };
                    let count = parse_i64(&input[1..end]).filter(|&count| count <= ARGS_MAX);
                    let count = count.ok_or(ProtocolError::BadCount)?;
                    if limits.is_stranger && count > ARGS_MAX_STRANGER {
                        return Err(ProtocolError::StrangerCount);
                    }
                    if count <= 0 {
                        self.stage = Stage::Start;
                        return Ok(Progress::Nothing(end + 2));
                    }
                    self.spans.clear();
                    self.inline = None;
                    self.spans.reserve(usize::try_from(count).unwrap_or_default().min(ARGS_PREPARED_MAX));
                    self.stage = Stage::Length { left: count, at: end + 2 };
                }
                Stage::Line { searched } => return self.decode_inline(input, searched),
                Stage::Length { left, at } => {
                    let Some((end, len)) = bulk_length(&input[at..], limits)? else { return Ok(Progress::More) };
                    self.stage = Stage::Bytes { left, at: at + end, len };
                }
                Stage::Bytes { left, at, len } => {
                    if input.len() - at < len + 2 {
                        return Ok(Progress::More);
                    }
                    self.spans.push(at..at + len);
                    let end = at + len + 2;
                    if left == 1 {
                        self.stage = Stage::Start;
                        return Ok(Progress::Request(end));
                    }
                    self.stage = Stage::Length { left: left - 1, at: end };
                }
            }
        }
    }

    /// Whether it stands before a request, of which it has read nothing.
    #[must_use]
    pub fn is_between(&self) -> bool {
        matches!(self.stage, Stage::Start)
    }

    /// The arguments of the request that [`Decoder::decode`] has just found in `input`.
    #[must_use]
    pub fn args<'a>(&'a self, input: &'a [u8]) -> Args<'a> {
        match &self.inline {
            Some(args) => args.args(),
            None => Args { bytes: input, spans: &self.spans },
        }
    }

    /// Where the first line ends, once its two closing bytes are there.
    fn line_end(
        &mut self,
        input: &[u8],
        searched: usize,
        too_long: ProtocolError,
    ) -> Result<Option<usize>, ProtocolError> {
        match find(input, b'\r', searched) {
            Some(end) if end + 1 < input.len() => Ok(Some(end)),
            Some(end) => {
                self.stage = Stage::Line { searched: end };
                Ok(None)
            }
            None if input.len() > LINE_MAX => Err(too_long),
            None => {
                self.stage = Stage::Line { searched: input.len() };
                Ok(None)
            }
        }
    }

    fn decode_inline(&mut self, input: &[u8], searched: usize) -> Result<Progress, ProtocolError> {
        let Some(end) = find(input, b'\n', searched) else {
            if input.len() > LINE_MAX {
                return Err(ProtocolError::InlineTooLong);
            }
            self.stage = Stage::Line { searched: input.len() };
            return Ok(Progress::More);
        };
        self.stage = Stage::Start;
        let line = &input[..end];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mut args = self.inline.take().unwrap_or_default();
        args.clear();
        let words = words::split(line).map_err(|_| ProtocolError::Unbalanced)?;
        words.iter().for_each(|word| args.push(word));
        let is_empty = args.spans.is_empty();
        self.inline = Some(args);
        Ok(if is_empty { Progress::Nothing(end + 1) } else { Progress::Request(end + 1) })
    }
}

/// The number of a complete line like `$12`, and where the line ends; none if it is written in any
/// other way, or has more than four digits.
#[inline]
fn plain_number(input: &[u8], at: usize, mark: u8) -> Option<(usize, usize)> {
    let (&first, line) = input.get(at..)?.split_first()?;
    if first != mark {
        return None;
    }
    let digit = |byte: &u8| Some(usize::from(byte.wrapping_sub(b'0'))).filter(|&digit| digit < 10);
    let (number, least, len) = match line {
        [a, b'\r', _, ..] => (digit(a)?, 0, 1),
        [a, b, b'\r', _, ..] => (digit(a)? * 10 + digit(b)?, 10, 2),
        [a, b, c, b'\r', _, ..] => (digit(a)? * 100 + digit(b)? * 10 + digit(c)?, 100, 3),
        [a, b, c, d, b'\r', _, ..] => (digit(a)? * 1000 + digit(b)? * 100 + digit(c)? * 10 + digit(d)?, 1000, 4),
        _ => return None,
    };
    // A number with a leading zero is none.
    (number >= least).then_some((number, at + len + 3))
}

/// Reads `$length` and its line end; says how many bytes that took.
fn bulk_length(input: &[u8], limits: Limits) -> Result<Option<(usize, usize)>, ProtocolError> {
    // A length has at most twenty bytes: a line that is longer is not worth remembering how far it was searched.
    let Some(end) = find(input, b'\r', 0) else {
        return if input.len() > LINE_MAX { Err(ProtocolError::LengthLineTooLong) } else { Ok(None) };
    };
    if end + 1 >= input.len() {
        return Ok(None);
    }
    if input[0] != b'$' {
        return Err(ProtocolError::ExpectedLength(input[0]));
    }
    let len = parse_i64(&input[1..end]).ok_or(ProtocolError::BadLength)?;
    if len < 0 || u64::try_from(len).is_ok_and(|len| len > limits.bulk_max) {
        return Err(ProtocolError::BadLength);
    }
    if limits.is_stranger && len > BULK_MAX_STRANGER {
        return Err(ProtocolError::StrangerLength);
    }
    let len = usize::try_from(len).map_err(|_| ProtocolError::BadLength)?;
    Ok(Some((end + 2, len)))
}

fn find(input: &[u8], byte: u8, start: usize) -> Option<usize> {
    memchr::memchr(byte, input.get(start..)?).map(|offset| start + offset)
}

/// A decimal number as the protocol writes it: no plus sign, no leading zero, no space.
#[must_use]
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let is_canonical = match digits {
        [] => false,
        [b'0'] => text.len() == 1,
        [b'0', ..] => false,
        [..] => digits.len() <= 19 && digits.iter().all(u8::is_ascii_digit),
    };
    if !is_canonical {
        return None;
    }
    let magnitude = digits.iter().fold(0_u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    if digits.len() < text.len() { 0_i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

/// Which version of the protocol a client speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// RESP2.
    #[default]
    Two,
    /// RESP3.
    Three,
}

/// One reply.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply<'a> {
    /// A short text without line ends, such as `OK`.
    Status(Cow<'a, str>),
    /// An error: its code, a space, and what is wrong.
    Error(Cow<'a, str>),
    /// A number.
    Integer(i64),
    /// A floating point number.
    Double(f64),
    /// A floating point number that is shown without an exponent.
    Decimal(f64),
    /// Bytes.
    Bulk(Cow<'a, [u8]>),
    /// True or false.
    Boolean(bool),
    /// A number of any length, as its digits.
    BigNumber(Cow<'a, str>),
    /// Text for people.
    Verbatim(Cow<'a, str>),
    /// Nothing, where a value would stand.
    Null,
    /// Nothing, where an array would stand.
    NullArray,
    /// Several replies in order.
    Array(Vec<Reply<'a>>),
    /// Several replies in no order.
    Set(Vec<Reply<'a>>),
    /// Pairs.
    Map(Vec<(Reply<'a>, Reply<'a>)>),
    /// Pairs in order.
    Pairs(Vec<(Reply<'a>, Reply<'a>)>),
    /// Pairs, each of which is an array of its own in the older protocol.
    Nested(Vec<(Reply<'a>, Reply<'a>)>),
    /// Something that was not asked for just now, such as a message to a subscriber.
    Push(Vec<Reply<'a>>),
    /// Several replies to one request.
    Sequence(Vec<Reply<'a>>),
    /// No byte at all.
    Silence,
}

impl<'a> Reply<'a> {
    /// `OK`.
    pub const OK: Reply<'static> = Reply::Status(Cow::Borrowed("OK"));

    /// A status.
    #[must_use]
    pub fn status(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Status(text.into())
    }

    /// An error; `text` begins with its code.
    #[must_use]
    pub fn error(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Error(text.into())
    }

    /// An error of the general code `ERR`.
    #[must_use]
    pub fn err(text: impl fmt::Display) -> Self {
        Self::Error(format!("ERR {text}").into())
    }

    /// Bytes.
    #[must_use]
    pub fn bulk(bytes: impl Into<Cow<'a, [u8]>>) -> Self {
        Self::Bulk(bytes.into())
    }

    /// Text as bytes.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Bulk(text.into().into_bytes().into())
    }

    /// A count.
    #[must_use]
    pub fn count(count: usize) -> Self {
        Self::Integer(i64::try_from(count).unwrap_or(i64::MAX))
    }

    /// The text of the error that this is.
    #[must_use]
    pub fn error_text(&self) -> Option<&str> {
        match self {
            Self::Error(text) => Some(text),
            Self::Status(_)
            | Self::Integer(_)
            | Self::Double(_)
            | Self::Decimal(_)
            | Self::Bulk(_)
            | Self::Boolean(_)
            | Self::BigNumber(_)
            | Self::Verbatim(_)
            | Self::Null
            | Self::NullArray
            | Self::Array(_)
            | Self::Set(_)
            | Self::Map(_)
            | Self::Pairs(_)
            | Self::Nested(_)
            | Self::Push(_)
            | Self::Sequence(_)
            | Self::Silence => None,
        }
    }

    /// Whether this is an error.
    #[must_use]
    pub fn is_error(&self) -> bool {
        matches!(self, Self::Error(_))
    }

    /// The same reply, owning its bytes.
    #[must_use]
    pub fn into_owned(self) -> Reply<'static> {
        let all = |replies: Vec<Self>| replies.into_iter().map(Reply::into_owned).collect();
        let both = |pairs: Vec<(Self, Self)>| {
            pairs.into_iter().map(|(first, second)| (first.into_owned(), second.into_owned())).collect()
        };
        match self {
            Self::Status(text) => Reply::Status(text.into_owned().into()),
            Self::Error(text) => Reply::Error(text.into_owned().into()),
            Self::Integer(number) => Reply::Integer(number),
            Self::Double(number) => Reply::Double(number),
            Self::Decimal(number) => Reply::Decimal(number),
            Self::Bulk(bytes) => Reply::Bulk(bytes.into_owned().into()),
            Self::Boolean(is) => Reply::Boolean(is),
            Self::BigNumber(digits) => Reply::BigNumber(digits.into_owned().into()),
            Self::Verbatim(text) => Reply::Verbatim(text.into_owned().into()),
            Self::Null => Reply::Null,
            Self::NullArray => Reply::NullArray,
            Self::Array(replies) => Reply::Array(all(replies)),
            Self::Set(replies) => Reply::Set(all(replies)),
            Self::Map(pairs) => Reply::Map(both(pairs)),
            Self::Pairs(pairs) => Reply::Pairs(both(pairs)),
            Self::Nested(pairs) => Reply::Nested(both(pairs)),
            Self::Push(replies) => Reply::Push(all(replies)),
            Self::Sequence(replies) => Reply::Sequence(all(replies)),
            Self::Silence => Reply::Silence,
        }
    }

    /// Writes the reply to the end of `out`.
    pub fn encode(&self, protocol: Protocol, out: &mut Vec<u8>) {
        let is_three = protocol == Protocol::Three;
        match self {
            Self::Status(Cow::Borrowed("OK")) => out.extend_from_slice(b"+OK\r\n"),
            Self::Status(text) => put_line(out, b'+', text.as_bytes()),
            // An error that ends with what a client has sent ends before the line ends in that, as redis-server's does.
            Self::Error(text) => put_line(out, b'-', text.trim_end_matches(['\r', '\n']).as_bytes()),
            Self::Integer(number) => put_number(out, b':', *number),
            Self::Double(number) if is_three => put_line(out, b',', format_f64(*number).as_bytes()),
            Self::Double(number) => put_bytes(out, b'$', b"", format_f64(*number).as_bytes()),
            Self::Decimal(number) if is_three => put_line(out, b',', format_decimal(*number).as_bytes()),
            Self::Decimal(number) => put_bytes(out, b'$', b"", format_decimal(*number).as_bytes()),
            Self::Bulk(bytes) => put_bytes(out, b'$', b"", bytes),
            Self::Boolean(is) if is_three => put_line(out, b'#', if *is { b"t" } else { b"f" }),
            Self::Boolean(is) => put_number(out, b':', (*is).into()),
            Self::BigNumber(digits) if is_three => put_line(out, b'(', digits.as_bytes()),
            Self::BigNumber(digits) => put_bytes(out, b'$', b"", digits.as_bytes()),
            Self::Verbatim(text) if is_three => put_bytes(out, b'=', b"txt:", text.as_bytes()),
            Self::Verbatim(text) => put_bytes(out, b'$', b"", text.as_bytes()),
            Self::Null | Self::NullArray if is_three => out.extend_from_slice(b"_\r\n"),
            Self::Null => out.extend_from_slice(b"$-1\r\n"),
            Self::NullArray => out.extend_from_slice(b"*-1\r\n"),
            Self::Array(replies) => put_all(out, b'*', replies, protocol),
            Self::Set(replies) => put_all(out, if is_three { b'~' } else { b'*' }, replies, protocol),
            Self::Push(replies) => put_all(out, if is_three { b'>' } else { b'*' }, replies, protocol),
            Self::Sequence(replies) => replies.iter().for_each(|reply| reply.encode(protocol, out)),
            Self::Map(pairs) => {
                put_count(out, if is_three { b'%' } else { b'*' }, pairs.len() * if is_three { 1 } else { 2 });
                for (key, value) in pairs {
                    key.encode(protocol, out);
                    value.encode(protocol, out);
                }
            }
            Self::Pairs(pairs) => {
                put_count(out, b'*', pairs.len() * if is_three { 1 } else { 2 });
                for (first, second) in pairs {
                    if is_three {
                        put_count(out, b'*', 2);
                    }
                    first.encode(protocol, out);
                    second.encode(protocol, out);
                }
            }
            Self::Nested(pairs) => {
                put_count(out, if is_three { b'%' } else { b'*' }, pairs.len());
                for (key, value) in pairs {
                    if !is_three {
                        put_count(out, b'*', 2);
                    }
                    key.encode(protocol, out);
                    value.encode(protocol, out);
                }
            }
            Self::Silence => {}
        }
    }
}

fn put_all(out: &mut Vec<u8>, mark: u8, replies: &[Reply<'_>], protocol: Protocol) {
    put_count(out, mark, replies.len());
    replies.iter().for_each(|reply| reply.encode(protocol, out));
}

/// A line cannot hold a line end: it would end the reply early and let its rest pass for another.
fn put_line(out: &mut Vec<u8>, mark: u8, text: &[u8]) {
    out.reserve(text.len() + 3);
    out.push(mark);
    let start = out.len();
    out.extend_from_slice(text);
    out[start..].iter_mut().filter(|byte| matches!(byte, b'\r' | b'\n')).for_each(|byte| *byte = b' ');
    out.extend_from_slice(b"\r\n");
}

fn put_count(out: &mut Vec<u8>, mark: u8, count: usize) {
    put_number(out, mark, i64::try_from(count).unwrap_or(i64::MAX));
}

fn put_number(out: &mut Vec<u8>, mark: u8, number: i64) {
    if let digit @ 0..=9 = number {
        return out.extend_from_slice(&[mark, b'0' + digit as u8, b'\r', b'\n']);
    }
    out.push(mark);
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn put_bytes(out: &mut Vec<u8>, mark: u8, prefix: &[u8], bytes: &[u8]) {
    out.reserve(bytes.len() + prefix.len() + 16);
    put_count(out, mark, prefix.len() + bytes.len());
    out.extend_from_slice(prefix);
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::{Decoder, Limits, OwnedArgs, Progress, Protocol, ProtocolError, Reply, parse_i64};

    fn all(input: &[u8], chunk: usize) -> Result<Vec<Vec<String>>, ProtocolError> {
        let mut decoder = Decoder::default();
        let (mut requests, mut start, mut end) = (Vec::new(), 0, 0);
        while end < input.len() {
            end = input.len().min(end + chunk);
            loop {
                match decoder.decode(&input[start..end], Limits::default())? {
                    Progress::More => break,
                    Progress::Nothing(used) => start += used,
                    Progress::Request(used) => {
                        let args = decoder.args(&input[start..end]);
                        requests.push(args.from(0).map(|arg| String::from_utf8_lossy(arg).into_owned()).collect());
                        start += used;
                    }
                }
            }
        }
        Ok(requests)
    }

    #[test]
    fn requests_come_out_the_same_however_the_stream_is_cut() {
        let stream = b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n\r\nset  'b c' \"d\\x41\\n\"\r\n*0\r\n*-1\r\n*1\r\n$4\r\nPING\r\nPING\n*1\r\n$0\r\n\r\n";
        let whole = all(stream, stream.len()).unwrap();
        assert_eq!(
            whole,
            [vec!["GET", "a"], vec!["set", "b c", "dA\n"], vec!["PING"], vec!["PING"], vec![""]]
                .map(|args| args.into_iter().map(String::from).collect::<Vec<_>>())
        );
        for chunk in 1..stream.len() {
            assert_eq!(all(stream, chunk).unwrap(), whole, "cut every {chunk} bytes");
        }
    }

    #[test]
    fn a_bad_stream_is_refused_in_the_words_of_the_server() {
        let long = vec![b'a'; 70_000];
        let star = [b"*".as_slice(), &vec![b'1'; 70_000]].concat();
        let dollar = [b"*1\r\n$".as_slice(), &vec![b'1'; 70_000]].concat();
        for (input, message) in [
            (b"*abc\r\n".as_slice(), "Protocol error: invalid multibulk length"),
            (b"*3000000000\r\n", "Protocol error: invalid multibulk length"),
            (b"*1\r\nxyz\r\n", "Protocol error: expected '$', got 'x'"),
            (b"*1\r\n$-5\r\n", "Protocol error: invalid bulk length"),
            (b"*1\r\n$99999999999999999999\r\n", "Protocol error: invalid bulk length"),
            (b"*1\r\n$536870913\r\n", "Protocol error: invalid bulk length"),
            (b"get \"a\r\n", "Protocol error: unbalanced quotes in request"),
            (&long, "Protocol error: too big inline request"),
            (&star, "Protocol error: too big mbulk count string"),
            (&dollar, "Protocol error: too big bulk count string"),
        ] {
            let error = all(input, 4096).expect_err(&String::from_utf8_lossy(&input[..8.min(input.len())]));
            assert_eq!(error.to_string(), message);
        }
    }

    #[test]
    fn a_client_without_password_may_send_little() {
        let limits = Limits { is_stranger: true, ..Limits::default() };
        let error = |input: &[u8]| Decoder::default().decode(input, limits).expect_err("refused").to_string();
        assert_eq!(error(b"*11\r\n"), "Protocol error: unauthenticated multibulk length");
        assert_eq!(error(b"*1\r\n$16385\r\n"), "Protocol error: unauthenticated bulk length");
    }

    #[test]
    fn a_lying_length_reserves_nothing() {
        let mut decoder = Decoder::default();
        let progress = decoder.decode(b"*2000000000\r\n$500000000\r\nabc", Limits::default());
        assert_eq!(progress, Ok(Progress::More));
        assert!(decoder.spans.capacity() <= 64);
    }

    #[test]
    fn numbers_have_one_spelling() {
        for (text, number) in [
            ("0", Some(0)),
            ("-1", Some(-1)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("", None),
            ("-", None),
            ("-0", None),
            ("01", None),
            ("+1", None),
            (" 1", None),
            ("1a", None),
        ] {
            assert_eq!(parse_i64(text.as_bytes()), number, "{text:?}");
        }
    }

    #[test]
    fn replies_have_two_forms() {
        let reply = Reply::Array(vec![
            Reply::OK,
            Reply::err("no"),
            Reply::Integer(-7),
            Reply::bulk(b"ab".as_slice()),
            Reply::Null,
            Reply::NullArray,
            Reply::Map(vec![(Reply::text("k"), Reply::Integer(1))]),
            Reply::Set(vec![]),
            Reply::Verbatim("hi".into()),
            Reply::Push(vec![Reply::Integer(2)]),
            Reply::Sequence(vec![Reply::OK, Reply::OK]),
            Reply::Silence,
        ]);
        let encode = |protocol| {
            let mut out = Vec::new();
            reply.encode(protocol, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            encode(Protocol::Two),
            "*12\r\n+OK\r\n-ERR no\r\n:-7\r\n$2\r\nab\r\n$-1\r\n*-1\r\n*2\r\n$1\r\nk\r\n:1\r\n*0\r\n$2\r\nhi\r\n*1\r\n:2\r\n+OK\r\n+OK\r\n"
        );
        assert_eq!(
            encode(Protocol::Three),
            "*12\r\n+OK\r\n-ERR no\r\n:-7\r\n$2\r\nab\r\n_\r\n_\r\n%1\r\n$1\r\nk\r\n:1\r\n~0\r\n=6\r\ntxt:hi\r\n>1\r\n:2\r\n+OK\r\n+OK\r\n"
        );
        assert_eq!(reply.clone().into_owned(), reply);
    }

    #[test]
    fn a_line_end_cannot_be_smuggled_into_an_error() {
        let mut out = Vec::new();
        Reply::error("ERR a\r\n+OK").encode(Protocol::Two, &mut out);
        assert_eq!(out, b"-ERR a  +OK\r\n");
    }

    #[test]
    fn owned_arguments_read_like_borrowed_ones() {
        let owned = OwnedArgs::collect([b"a".as_slice(), b"", b"bc"]);
        let args = owned.args();
        assert_eq!((args.len(), args.at(2), args.get(3), args.at(9)), (3, b"bc".as_slice(), None, b"".as_slice()));
        assert_eq!(args.skip(1).to_owned(), OwnedArgs::collect([b"".as_slice(), b"bc"]));
    }
}
