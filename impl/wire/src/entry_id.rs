//! Owns the ids of the entries of a stream: two numbers, of which the first is a time as a rule.
//!
//! Must not know what an entry holds. What a client may write as an id is what redis-server takes for one.

use crate::resp::parse_i64;
use std::fmt;

/// A longer text is no id.
const TEXT_MAX: usize = 127;

/// The id of an entry. Displays as `ms-seq`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntryId {
    /// Milliseconds since the epoch, unless a client chose otherwise.
    pub ms: u64,
    /// Tells entries of one millisecond apart.
    pub seq: u64,
}

/// What a client wrote as the id of an entry to be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// An id.
    Id(EntryId),
    /// Only the first number, as `ms-*`.
    Ms(u64),
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

impl EntryId {
    /// The least id, which no entry has.
    pub const MIN: Self = Self { ms: 0, seq: 0 };
    /// The greatest id.
    pub const MAX: Self = Self { ms: u64::MAX, seq: u64::MAX };
    /// How many bytes an id takes in a snapshot.
    pub const BYTES: usize = 16;

    /// The id with these numbers.
    #[must_use]
    pub const fn new(ms: u64, seq: u64) -> Self {
        Self { ms, seq }
    }

    /// The id behind this one; none behind the greatest.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        match self.seq.checked_add(1) {
            Some(seq) => Some(Self { ms: self.ms, seq }),
            None => self.ms.checked_add(1).map(|ms| Self { ms, seq: 0 }),
        }
    }

    /// The id before this one; none before the least.
    #[must_use]
    pub fn previous(self) -> Option<Self> {
        match self.seq.checked_sub(1) {
            Some(seq) => Some(Self { ms: self.ms, seq }),
            None => self.ms.checked_sub(1).map(|ms| Self { ms, seq: u64::MAX }),
        }
    }

    /// The bytes of the id, in the order of ids.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        (u128::from(self.ms) << 64 | u128::from(self.seq)).to_be_bytes()
    }

    /// The id of these bytes.
    #[must_use]
    pub fn of_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let both = u128::from_be_bytes(bytes);
        Self { ms: (both >> 64) as u64, seq: both as u64 }
    }

    /// The id that a text spells; `seq` stands for a second number that is missing.
    #[must_use]
    pub fn parse(text: &[u8], seq: u64) -> Option<Self> {
        match read(text, seq, false)? {
            Wanted::Id(id) => Some(id),
            Wanted::Ms(_) => None,
        }
    }

    /// Like [`EntryId::parse`], of one end of a range: `-` is the least id, and `+` the greatest.
    #[must_use]
    pub fn parse_end(text: &[u8], seq: u64) -> Option<Self> {
        match up_to_zero(text) {
            b"-" if text.len() <= TEXT_MAX => Some(Self::MIN),
            b"+" if text.len() <= TEXT_MAX => Some(Self::MAX),
            _ => Self::parse(text, seq),
        }
    }
}

impl Wanted {
    /// What a text asks for; none if it is no id.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        read(text, 0, true)
    }
}

fn read(text: &[u8], missing: u64, may_be_open: bool) -> Option<Wanted> {
    if text.len() > TEXT_MAX {
        return None;
    }
    let text = up_to_zero(text);
    let (ms, seq) = match text.iter().position(|&byte| byte == b'-') {
        Some(at) => (text.get(..at)?, text.get(at + 1..)),
        None => (text, None),
    };
    let ms = number(ms)?;
    match seq {
        Some(b"*") if may_be_open => Some(Wanted::Ms(ms)),
        Some(seq) => Some(Wanted::Id(EntryId { ms, seq: number(seq)? })),
        None => Some(Wanted::Id(EntryId { ms, seq: missing })),
    }
}

/// redis-server sees the end of an id where C sees the end of a text.
fn up_to_zero(text: &[u8]) -> &[u8] {
    text.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// A number as the protocol writes it, or else as `strtoull` reads it: that skips spaces, and takes a minus as
/// the distance from two to the power of 64.
fn number(text: &[u8]) -> Option<u64> {
    if let Some(number) = parse_i64(text) {
        return u64::try_from(number).ok();
    }
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r');
    let start = text.iter().position(|byte| !is_space(byte))?;
    let text = text.get(start..)?;
    let (is_negative, digits) = match text.split_first()? {
        (b'-', digits) => (true, digits),
        (b'+', digits) => (false, digits),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add = |sum: u64, digit: &u8| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'));
    let magnitude = digits.iter().try_fold(0, add)?;
    Some(if is_negative { magnitude.wrapping_neg() } else { magnitude })
}

#[cfg(test)]
mod tests {
    use super::{EntryId, Wanted};

    #[test]
    fn ids_are_read_as_redis_server_reads_them() {
        let id = |ms, seq| Some(EntryId { ms, seq });
        for (text, expected) in [
            ("5", id(5, 9)),
            ("5-3", id(5, 3)),
            ("0-0", id(0, 0)),
            ("18446744073709551615-18446744073709551615", Some(EntryId::MAX)),
            ("18446744073709551616", None),
            ("007-08", id(7, 8)),
            (" 1-+2", id(1, 2)),
            ("1--1", None),
            ("1--01", id(1, u64::MAX)),
            ("1--0", id(1, 0)),
            ("1-2\0x", id(1, 2)),
            ("-5", None),
            ("5-", None),
            ("-", None),
            ("+", None),
            ("5-*", None),
            ("*", None),
            ("", None),
            ("1 ", None),
            ("x", None),
        ] {
            assert_eq!(EntryId::parse(text.as_bytes(), 9), expected, "{text:?}");
        }
        assert_eq!(EntryId::parse(&[b'0'; 128], 0), None);
        assert_eq!(EntryId::parse_end(b"-", 9), Some(EntryId::MIN));
        assert_eq!(EntryId::parse_end(b"+", 9), Some(EntryId::MAX));
        assert_eq!(Wanted::parse(b"5-*"), Some(Wanted::Ms(5)));
        assert_eq!(Wanted::parse(b"5-**"), None);
    }

    #[test]
    fn ids_have_neighbours_and_bytes_in_their_order() {
        assert_eq!(EntryId::new(1, u64::MAX).next(), Some(EntryId::new(2, 0)));
        assert_eq!(EntryId::new(2, 0).previous(), Some(EntryId::new(1, u64::MAX)));
        assert_eq!((EntryId::MAX.next(), EntryId::MIN.previous()), (None, None));
        for id in [EntryId::MIN, EntryId::new(1, 2), EntryId::new(u64::MAX, 0), EntryId::MAX] {
            assert_eq!(EntryId::of_bytes(id.to_bytes()), id);
        }
        assert!(EntryId::new(1, u64::MAX).to_bytes() < EntryId::new(2, 0).to_bytes());
        assert_eq!(EntryId::new(7, 0).to_string(), "7-0");
    }
}
