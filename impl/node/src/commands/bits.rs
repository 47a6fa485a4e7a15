//! Owns the commands about the bits of strings.

use super::{
    keyspace::drop_key,
    options::{integer, places},
    strings::TOO_LONG,
    syntax_error,
};
use crate::{
    command::Answer,
    store::{Expiry, Store, entry::Form, news::Class},
};
use slotbus_wire::resp::{Args, Reply, parse_i64};

fn bad_offset() -> Reply<'static> {
    Reply::err("bit offset is not an integer or out of range")
}

/// The place of a bit; with `width` given, a number after `#` counts in steps of that.
fn offset(store: &Store, text: &[u8], width: Option<u32>) -> Result<u64, Reply<'static>> {
    let (digits, step) = match (text.strip_prefix(b"#"), width) {
        (Some(digits), Some(width)) => (digits, u64::from(width)),
        (Some(_), None) | (None, _) => (text, 1),
    };
    let number = parse_i64(digits).and_then(|number| u64::try_from(number).ok()).ok_or_else(bad_offset)?;
    let offset = number.checked_mul(step).ok_or_else(bad_offset)?;
    if offset >> 3 >= store.limits.string_max { Err(bad_offset()) } else { Ok(offset) }
}

fn byte_of(offset: u64) -> usize {
    usize::try_from(offset >> 3).unwrap_or(usize::MAX)
}

fn bit_at(text: &[u8], offset: u64) -> u8 {
    text.get(byte_of(offset)).map_or(0, |byte| byte >> (7 - (offset & 7)) & 1)
}

/// Lets a string reach to a bit at least, and sets that.
fn put_bit(text: &mut Vec<u8>, offset: u64, bit: u8) {
    let (byte, place) = (byte_of(offset), 7 - (offset & 7));
    if text.len() <= byte {
        text.resize(byte + 1, 0);
    }
    text[byte] = text[byte] & !(1 << place) | bit << place;
}

pub(super) fn getbit<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let offset = offset(store, args.at(2), None)?;
    let text = store.string(args.at(1))?.unwrap_or_default();
    Ok(Reply::Integer(bit_at(text, offset).into()))
}

pub(super) fn setbit<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let key = args.at(1);
    let offset = offset(store, args.at(2), None)?;
    let bit = match parse_i64(args.at(3)) {
        Some(0) => 0,
        Some(1) => 1,
        Some(_) | None => return Err(Reply::err("bit is not an integer or out of range")),
    };
    let (has_changed, former) = store.edit_string_if(key, |text| {
        let (former, length) = (bit_at(text, offset), text.len());
        put_bit(text, offset, bit);
        let has_changed = former != bit || text.len() > length;
        (has_changed, (has_changed, former))
    })?;
    if has_changed {
        store.news.tell(Class::STRING, "setbit", key);
    }
    Ok(Reply::Integer(former.into()))
}

/// A range of bits, with the bytes that hold it: the first bit, and the one behind the last.
struct Bits<'s> {
    bytes: &'s [u8],
    start: u64,
    end: u64,
}

impl<'s> Bits<'s> {
    /// The range that two indices mean, in bytes or in bits.
    fn between(text: &'s [u8], start: i64, end: i64, is_of_bits: bool) -> Self {
        let unit = if is_of_bits { 1 } else { 8 };
        let len = text.len() * 8 / unit;
        // An end before the first one stands for the first one.
        let end = end.max(-i64::try_from(len).unwrap_or(i64::MAX));
        let range = places(start, end, len);
        Self { bytes: text, start: (range.start * unit) as u64, end: (range.end * unit) as u64 }
    }

    fn count_ones(&self) -> usize {
        let whole = byte_of(self.start + 7)..byte_of(self.end);
        if whole.start >= whole.end {
            return (self.start..self.end).filter(|&at| bit_at(self.bytes, at) == 1).count();
        }
        let edges = (self.start..whole.start as u64 * 8).chain(whole.end as u64 * 8..self.end);
        let on_edges = edges.filter(|&at| bit_at(self.bytes, at) == 1).count();
        let (words, rest) = self.bytes[whole].as_chunks::<8>();
        let in_words: u32 = words.iter().map(|word| u64::from_ne_bytes(*word).count_ones()).sum();
        let in_rest: u32 = rest.iter().map(|byte| byte.count_ones()).sum();
        on_edges + (in_words + in_rest) as usize
    }

    fn find(&self, bit: u8) -> Option<u64> {
        let dull = if bit == 1 { 0 } else { 0xff };
        let mut at = self.start;
        while at < self.end {
            if at & 7 == 0 && at + 8 <= self.end && self.bytes[byte_of(at)] == dull {
                at += 8;
            } else if bit_at(self.bytes, at) == bit {
                return Some(at);
            } else {
                at += 1;
            }
        }
        None
    }
}

/// Whether a range is counted in bits.
fn is_of_bits(unit: Option<&[u8]>) -> Result<bool, Reply<'static>> {
    match unit.map(<[u8]>::to_ascii_lowercase).as_deref() {
        None | Some(b"byte") => Ok(false),
        Some(b"bit") => Ok(true),
        Some(_) => Err(syntax_error()),
    }
}

pub(super) fn bitcount<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let Some(text) = store.string(args.at(1))? else { return Ok(Reply::Integer(0)) };
    let (start, end, is_of_bits) = match args.len() {
        2 => (0, -1, false),
        4 | 5 => (integer(args.at(2))?, integer(args.at(3))?, is_of_bits(args.get(4))?),
        _ => return Err(syntax_error()),
    };
    let is_empty = start < 0 && end < 0 && start > end;
    Ok(Reply::count(if is_empty { 0 } else { Bits::between(text, start, end, is_of_bits).count_ones() }))
}

pub(super) fn bitpos<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let bit = match integer(args.at(2))? {
        0 => 0,
        1 => 1,
        _ => return Err(Reply::err("The bit argument must be 1 or 0.")),
    };
    let Some(text) = store.string(args.at(1))? else { return Ok(Reply::Integer(if bit == 1 { -1 } else { 0 })) };
    let (start, end, is_of_bits) = match args.len() {
        3 => (0, -1, false),
        4 => (integer(args.at(3))?, -1, false),
        5 | 6 => {
            let (start, is_of_bits) = (integer(args.at(3))?, is_of_bits(args.get(5))?);
            (start, integer(args.at(4))?, is_of_bits)
        }
        _ => return Err(syntax_error()),
    };
    let range = Bits::between(text, start, end, is_of_bits);
    let found = match range.find(bit) {
        Some(at) => i64::try_from(at).unwrap_or(i64::MAX),
        // Without an end, a string goes on in zeros for ever.
        None if bit == 0 && args.len() < 5 && range.start < range.end => i64::try_from(range.end).unwrap_or(i64::MAX),
        None => -1,
    };
    Ok(Reply::Integer(found))
}

pub(super) fn bitop<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let combine: fn(u8, u8) -> u8 = match args.at(1).to_ascii_lowercase().as_slice() {
        b"and" => |left, right| left & right,
        b"or" => |left, right| left | right,
        b"xor" => |left, right| left ^ right,
        b"not" if args.len() != 4 => return Err(Reply::err("BITOP NOT must be called with a single source key.")),
        b"not" => |left, _| !left,
        _ => return Err(syntax_error()),
    };
    let is_not = args.at(1).eq_ignore_ascii_case(b"not");
    let mut sources = Vec::new();
    for key in args.from(3) {
        sources.push(store.string(key)?.unwrap_or_default().to_vec());
    }
    let len = sources.iter().map(Vec::len).max().unwrap_or_default();
    let mut sources = sources.into_iter();
    let mut result = sources.next().unwrap_or_default();
    result.resize(len, 0);
    if is_not {
        result.iter_mut().for_each(|byte| *byte = combine(*byte, 0));
    }
    for source in sources {
        let bytes = source.into_iter().chain(std::iter::repeat(0));
        result.iter_mut().zip(bytes).for_each(|(byte, other)| *byte = combine(*byte, other));
    }
    let key = args.at(2);
    if result.is_empty() {
        drop_key(store, key);
    } else {
        store.set_in_form(key, &result, Expiry::Never, Form::Patched);
        store.news.tell(Class::STRING, "set", key);
    }
    Ok(Reply::count(len))
}

/// What becomes of a number that its bits cannot hold.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Overflow {
    Wraps,
    Saturates,
    Fails,
}

/// A kind of numbers within a string.
#[derive(Clone, Copy)]
struct Kind {
    is_signed: bool,
    width: u32,
}

impl Kind {
    fn read(text: &[u8]) -> Result<Self, Reply<'static>> {
        let refusal = "Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.";
        let (is_signed, digits) = match text.split_first() {
            Some((b'i', digits)) => (true, digits),
            Some((b'u', digits)) => (false, digits),
            Some(_) | None => return Err(Reply::err(refusal)),
        };
        let width = parse_i64(digits).and_then(|width| u32::try_from(width).ok());
        let width = width.filter(|&width| width >= 1 && width <= if is_signed { 64 } else { 63 });
        width.map(|width| Self { is_signed, width }).ok_or_else(|| Reply::err(refusal))
    }

    fn bounds(self) -> (i128, i128) {
        if self.is_signed {
            (-(1 << (self.width - 1)), (1 << (self.width - 1)) - 1)
        } else {
            (0, (1 << self.width) - 1)
        }
    }

    /// A number as these bits hold it; none if they cannot, and that is a failure.
    fn fit(self, number: i128, overflow: Overflow) -> Option<i128> {
        let (low, high) = self.bounds();
        if (low..=high).contains(&number) {
            return Some(number);
        }
        match overflow {
            Overflow::Fails => None,
            Overflow::Saturates => Some(number.clamp(low, high)),
            Overflow::Wraps => Some(low + (number - low).rem_euclid(high - low + 1)),
        }
    }

    fn get(self, text: &[u8], offset: u64) -> i128 {
        let bits = (offset..offset + u64::from(self.width)).map(|at| bit_at(text, at));
        let number = bits.fold(0_i128, |number, bit| number << 1 | i128::from(bit));
        self.fit(number, Overflow::Wraps).unwrap_or(number)
    }

    fn put(self, text: &mut Vec<u8>, offset: u64, number: i128) {
        for (at, place) in (offset..).zip((0..self.width).rev()) {
            put_bit(text, at, (number >> place & 1) as u8);
        }
    }
}

enum Action {
    Get,
    Set(i64),
    Add(i64),
}

struct Step {
    kind: Kind,
    offset: u64,
    action: Action,
    overflow: Overflow,
}

impl Step {
    fn read_all(store: &Store, args: Args<'_>) -> Result<Vec<Self>, Reply<'static>> {
        let (mut steps, mut overflow, mut at) = (Vec::new(), Overflow::Wraps, 0);
        while let Some(word) = args.get(at) {
            let left = args.len() - at - 1;
            let word = word.to_ascii_lowercase();
            if word == b"overflow" && left >= 1 {
                overflow = match args.at(at + 1).to_ascii_lowercase().as_slice() {
                    b"wrap" => Overflow::Wraps,
                    b"sat" => Overflow::Saturates,
                    b"fail" => Overflow::Fails,
                    _ => return Err(Reply::err("Invalid OVERFLOW type specified")),
                };
                at += 2;
                continue;
            }
            let words = match word.as_slice() {
                b"get" if left >= 2 => 3,
                b"set" | b"incrby" if left >= 3 => 4,
                _ => return Err(syntax_error()),
            };
            let kind = Kind::read(args.at(at + 1))?;
            let offset = offset(store, args.at(at + 2), Some(kind.width))?;
            let action = match word.as_slice() {
                b"get" => Action::Get,
                b"set" => Action::Set(integer(args.at(at + 3))?),
                _ => Action::Add(integer(args.at(at + 3))?),
            };
            steps.push(Self { kind, offset, action, overflow });
            at += words;
        }
        Ok(steps)
    }

    fn is_read(&self) -> bool {
        matches!(self.action, Action::Get)
    }

    fn run(&self, text: &mut Vec<u8>) -> Reply<'static> {
        let former = self.kind.get(text, self.offset);
        let shown = |number: i128| Reply::Integer(i64::try_from(number).unwrap_or(i64::MAX));
        let (wanted, answers_former) = match self.action {
            Action::Get => return shown(former),
            Action::Set(number) => (i128::from(number), true),
            Action::Add(amount) => (former + i128::from(amount), false),
        };
        // A number that is set counts by its bits, so that a negative one is a large one without a sign.
        let is_huge = answers_former && !self.kind.is_signed && wanted < 0;
        let wanted = if is_huge { wanted + (1 << 64) } else { wanted };
        match self.kind.fit(wanted, self.overflow) {
            None => Reply::Null,
            Some(number) => {
                self.kind.put(text, self.offset, number);
                shown(if answers_former { former } else { number })
            }
        }
    }
}

pub(super) fn bitfield<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let steps = Step::read_all(store, args.skip(2))?;
    run_steps(store, args.at(1), &steps)
}

pub(super) fn bitfield_ro<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let steps = Step::read_all(store, args.skip(2))?;
    if !steps.iter().all(Step::is_read) {
        return Err(Reply::err("BITFIELD_RO only supports the GET subcommand"));
    }
    run_steps(store, args.at(1), &steps)
}

fn run_steps<'e>(store: &mut Store, key: &[u8], steps: &[Step]) -> Answer<'e> {
    if steps.iter().all(Step::is_read) {
        let mut text = store.string(key)?.unwrap_or_default().to_vec();
        return Ok(Reply::Array(steps.iter().map(|step| step.run(&mut text)).collect()));
    }
    let end = steps.iter().filter(|step| !step.is_read()).map(|step| step.offset + u64::from(step.kind.width)).max();
    let end = end.unwrap_or_default().div_ceil(8);
    if end > store.limits.string_max {
        return Err(Reply::err(TOO_LONG));
    }
    let (has_changed, replies) = store.edit_string_if(key, |text| {
        let end = usize::try_from(end).unwrap_or_default();
        let mut has_changed = end > text.len();
        text.resize(text.len().max(end), 0);
        let mut run = |step: &Step| {
            let before = step.kind.get(text, step.offset);
            let reply = step.run(text);
            has_changed |= step.kind.get(text, step.offset) != before;
            reply
        };
        let replies: Vec<_> = steps.iter().map(&mut run).collect();
        (has_changed, (has_changed, replies))
    })?;
    if has_changed {
        store.news.tell(Class::STRING, "setbit", key);
    }
    Ok(Reply::Array(replies))
}
