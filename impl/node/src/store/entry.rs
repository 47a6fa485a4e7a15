//! Owns one key with its value, its end and when it was last used. A short string lies in one
//! allocation together with its key.
//!
//! Must not know other keys.

use super::{
    memory::heap_bytes,
    value::{Value, View},
};
use slotbus_core::Millis;

/// A key of this length, and a value of this length, are packed into one allocation.
const KEY_MAX: usize = u8::MAX as usize;
const VALUE_MAX: usize = 256;

const HAS_END: u8 = 1;
const IS_RAW: u8 = 2;
const IS_TEXT: u8 = 4;
const MARK: u8 = 8;
const USED_AT: usize = 1;
const END_AT: usize = 4;
const END_BYTES: usize = 8;

/// What an entry takes in its table, with its hash and its place in the index.
const PLACE_BYTES: usize = 40;

/// When and how often an entry was used: 24 bits, in the form that the eviction policy wants.
pub type Used = u32;

/// How a string came about, which its encoding tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// As a whole.
    #[default]
    Whole,
    /// By changes to a part of it.
    Patched,
    /// As the text of a floating point number.
    Float,
}

impl Form {
    fn flags(self) -> u8 {
        match self {
            Self::Whole => 0,
            Self::Patched => IS_RAW,
            Self::Float => IS_TEXT,
        }
    }

    fn of_flags(flags: u8) -> Self {
        match flags & (IS_RAW | IS_TEXT) {
            IS_RAW => Self::Patched,
            IS_TEXT => Self::Float,
            _ => Self::Whole,
        }
    }
}

/// A key with its value.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A short string: flags, use, end if there is one, the key's length, the key, the value.
    Packed(Box<[u8]>),
    /// Anything.
    Record(Box<Record>),
}

/// A key whose value has a place of its own.
#[derive(Clone, Debug)]
pub struct Record {
    key: Box<[u8]>,
    value: Value,
    expires_at: Option<Millis>,
    used: Used,
    mark: bool,
}

impl Entry {
    /// A string.
    #[must_use]
    pub fn string(key: &[u8], text: &[u8], expires_at: Option<Millis>, used: Used, form: Form) -> Self {
        if key.len() > KEY_MAX || text.len() > VALUE_MAX {
            return Self::record(key, Value::String(text.to_vec()), expires_at, used);
        }
        let head = END_AT + 1 + if expires_at.is_some() { END_BYTES } else { 0 };
        let mut packed = Vec::with_capacity(head + key.len() + text.len());
        let flags = if expires_at.is_some() { HAS_END } else { 0 } | form.flags();
        packed.push(flags);
        packed.extend_from_slice(&used.to_le_bytes()[..3]);
        if let Some(end) = expires_at {
            packed.extend_from_slice(&end.0.to_le_bytes());
        }
        packed.push(key.len() as u8);
        packed.extend_from_slice(key);
        packed.extend_from_slice(text);
        Self::Packed(packed.into_boxed_slice())
    }

    /// Any value.
    #[must_use]
    pub fn new(key: &[u8], value: Value, expires_at: Option<Millis>, used: Used) -> Self {
        match value {
            Value::String(text) if key.len() <= KEY_MAX && text.len() <= VALUE_MAX => {
                Self::string(key, &text, expires_at, used, Form::Whole)
            }
            Value::String(_)
            | Value::List(_)
            | Value::Set(_)
            | Value::Hash(_)
            | Value::SortedSet(_)
            | Value::Stream(_)
            | Value::Foreign(..) => Self::record(key, value, expires_at, used),
        }
    }

    fn record(key: &[u8], value: Value, expires_at: Option<Millis>, used: Used) -> Self {
        Self::Record(Box::new(Record { key: key.into(), value, expires_at, used, mark: false }))
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        match self {
            Self::Packed(packed) => {
                let at = key_at(packed);
                &packed[at..at + usize::from(packed[at - 1])]
            }
            Self::Record(record) => &record.key,
        }
    }

    /// The value.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        match self {
            Self::Packed(packed) => View::String(&packed[text_at(packed)..], Form::of_flags(packed[0])),
            Self::Record(record) => View::Other(&record.value),
        }
    }

    /// The value, to be changed; none if it is packed.
    pub fn value_mut(&mut self) -> Option<&mut Value> {
        match self {
            Self::Packed(_) => None,
            Self::Record(record) => Some(&mut record.value),
        }
    }

    /// The same under another key.
    #[must_use]
    pub fn with_key(self, key: &[u8]) -> Self {
        match self {
            Self::Packed(ref packed) => {
                let text = &packed[text_at(packed)..];
                Self::string(key, text, self.expires_at(), self.used(), Form::of_flags(packed[0]))
            }
            Self::Record(record) => Self::new(key, record.value, record.expires_at, record.used),
        }
    }

    /// Puts a string in the room of a packed one; false if it does not fit there exactly.
    pub fn overwrite(&mut self, text: &[u8], form: Form) -> bool {
        let Self::Packed(packed) = self else { return false };
        let at = text_at(packed);
        if packed.len() - at != text.len() {
            return false;
        }
        packed[at..].copy_from_slice(text);
        packed[0] = packed[0] & (HAS_END | MARK) | form.flags();
        true
    }

    /// When it ends, if it does.
    #[must_use]
    pub fn expires_at(&self) -> Option<Millis> {
        match self {
            Self::Packed(packed) if packed[0] & HAS_END == 0 => None,
            Self::Packed(packed) => {
                packed[END_AT..].first_chunk::<END_BYTES>().map(|bytes| Millis(u64::from_le_bytes(*bytes)))
            }
            Self::Record(record) => record.expires_at,
        }
    }

    /// Gives it an end, or takes it away.
    pub fn set_expires_at(&mut self, end: Option<Millis>) {
        match self {
            Self::Packed(packed) => match end {
                Some(end) if packed[0] & HAS_END != 0 => {
                    packed[END_AT..END_AT + END_BYTES].copy_from_slice(&end.0.to_le_bytes());
                }
                Some(_) | None => *self = self.with_end(end),
            },
            Self::Record(record) => record.expires_at = end,
        }
    }

    /// A packed string with another end.
    fn with_end(&self, end: Option<Millis>) -> Self {
        let mut changed = match self.view() {
            View::String(text, form) => Self::string(self.key(), text, end, self.used(), form),
            View::Other(_) => self.clone(),
        };
        changed.set_mark(self.mark());
        changed
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_expired(&self, now: Millis) -> bool {
        self.expires_at().is_some_and(|end| end <= now)
    }

    /// When and how often it was used.
    #[must_use]
    pub fn used(&self) -> Used {
        match self {
            Self::Packed(packed) => Used::from_le_bytes([packed[1], packed[2], packed[3], 0]),
            Self::Record(record) => record.used,
        }
    }

    /// Takes note of its use.
    pub fn set_used(&mut self, used: Used) {
        match self {
            Self::Packed(packed) => packed[USED_AT..END_AT].copy_from_slice(&used.to_le_bytes()[..3]),
            Self::Record(record) => record.used = used,
        }
    }

    /// The mark by which an image tells what it has already.
    #[must_use]
    pub fn mark(&self) -> bool {
        match self {
            Self::Packed(packed) => packed[0] & MARK != 0,
            Self::Record(record) => record.mark,
        }
    }

    /// Sets the mark.
    pub fn set_mark(&mut self, mark: bool) {
        match self {
            Self::Packed(packed) => packed[0] = packed[0] & !MARK | if mark { MARK } else { 0 },
            Self::Record(record) => record.mark = mark,
        }
    }

    /// How much memory it takes, its place in the table included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        PLACE_BYTES
            + match self {
                Self::Packed(packed) => heap_bytes(packed.len()),
                Self::Record(record) => {
                    heap_bytes(size_of::<Record>()) + heap_bytes(record.key.len()) + record.value.bytes()
                }
            }
    }
}

fn key_at(packed: &[u8]) -> usize {
    END_AT + 1 + if packed[0] & HAS_END == 0 { 0 } else { END_BYTES }
}

fn text_at(packed: &[u8]) -> usize {
    let at = key_at(packed);
    at + usize::from(packed[at - 1])
}

#[cfg(test)]
mod tests {
    use super::{Entry, Form};
    use crate::store::value::Value;
    use slotbus_core::Millis;

    #[test]
    fn packed_or_not_it_says_the_same() {
        assert_eq!(size_of::<Entry>(), 16);
        for (key_len, text_len) in [(0, 0), (1, 3), (255, 256), (256, 1), (1, 257)] {
            let (key, text) = (vec![b'k'; key_len], vec![b't'; text_len]);
            let mut entry = Entry::new(&key, Value::String(text.clone()), None, 0x12_3456);
            assert_eq!((entry.key(), entry.view().string()), (key.as_slice(), Some(text.as_slice())));
            assert_eq!((entry.used(), entry.expires_at()), (0x12_3456, None));
            for end in [Some(Millis(7)), Some(Millis(u64::MAX)), None] {
                entry.set_expires_at(end);
                assert_eq!((entry.expires_at(), entry.used(), entry.key()), (end, 0x12_3456, key.as_slice()));
                assert_eq!(entry.view().string(), Some(text.as_slice()));
            }
            entry.set_used(0xff_ffff);
            assert_eq!(entry.used(), 0xff_ffff);
        }
        let mut entry = Entry::string(b"k", b"abc", Some(Millis(5)), 0, Form::Whole);
        assert!(entry.overwrite(b"def", Form::Patched) && !entry.overwrite(b"defg", Form::Patched));
        assert_eq!(
            (entry.view().encoding(), entry.is_expired(Millis(5)), entry.is_expired(Millis(4))),
            ("raw", true, false)
        );
    }
}
