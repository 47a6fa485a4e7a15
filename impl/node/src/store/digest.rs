//! Owns the digest of keys and values: two servers that hold the same have the same one, whatever the
//! order or form in which they hold it.
//!
//! Must not be used for anything but comparing: it is what redis-server's DEBUG DIGEST computes.

use super::{
    Store,
    entry::Entry,
    value::{Value, View},
};
use sha1::{Digest as _, Sha1};
use slotbus_wire::entry_id::EntryId;
use std::fmt;

const BYTES: usize = 20;
const KIND_STRING: u32 = 0;
const KIND_LIST: u32 = 1;
const KIND_SET: u32 = 2;
const KIND_SORTED_SET: u32 = 3;
const KIND_HASH: u32 = 4;
const KIND_STREAM: u32 = 6;

/// A digest. Displays as hexadecimal digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest([u8; BYTES]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Digest {
    /// Adds something whose place does not matter.
    fn add(&mut self, bytes: &[u8]) {
        let hash: [u8; BYTES] = Sha1::digest(bytes).into();
        self.0.iter_mut().zip(hash).for_each(|(own, byte)| *own ^= byte);
    }

    /// Adds something whose place matters.
    fn append(&mut self, bytes: &[u8]) {
        self.add(bytes);
        self.0 = Sha1::digest(self.0).into();
    }

    /// The digest of parts in this order.
    fn of(parts: [&[u8]; 2]) -> Self {
        let mut digest = Self::default();
        parts.into_iter().for_each(|part| digest.append(part));
        digest
    }

    fn append_value(&mut self, entry: &Entry) {
        let view = entry.view();
        let kind = match view {
            View::String(..) | View::Other(Value::String(_)) => KIND_STRING,
            View::Other(Value::List(_)) => KIND_LIST,
            View::Other(Value::Set(_)) => KIND_SET,
            View::Other(Value::SortedSet(_)) => KIND_SORTED_SET,
            View::Other(Value::Hash(_) | Value::Foreign(..)) => KIND_HASH,
            View::Other(Value::Stream(_)) => KIND_STREAM,
        };
        self.append(&kind.to_be_bytes());
        match view {
            View::String(text, _) => self.append(text),
            View::Other(Value::String(text)) => self.append(text),
            View::Other(Value::List(list)) => list.items().for_each(|item| self.append(&item.text())),
            View::Other(Value::Set(set)) => set.iter().for_each(|member| self.add(&member)),
            View::Other(Value::SortedSet(set)) => {
                set.iter().for_each(|(member, score)| self.add(&Self::of([&member, shown(score).as_bytes()]).0));
            }
            View::Other(Value::Hash(hash)) => {
                hash.iter().for_each(|(field, value)| self.add(&Self::of([&field, &value]).0));
            }
            // What is pending, and for whom, is not in it.
            View::Other(Value::Stream(stream)) => {
                for entry in stream.range(EntryId::MIN, EntryId::MAX) {
                    self.append(format!("{}.{}", entry.id.ms, entry.id.seq).as_bytes());
                    for (field, value) in entry.fields() {
                        self.append(&field.text());
                        self.append(&value.text());
                    }
                }
            }
            View::Other(Value::Foreign(_, bytes)) => self.append(bytes),
        }
        if entry.expires_at().is_some() {
            self.add(b"!!expire!!");
        }
    }

    /// The digest of one value; zeros for none.
    #[must_use]
    pub fn of_value(entry: Option<&Entry>) -> Self {
        let mut digest = Self::default();
        if let Some(entry) = entry {
            digest.append_value(entry);
        }
        digest
    }

    /// The digest of all keys and values; zeros if there are none.
    #[must_use]
    pub fn of_store(store: &Store) -> Self {
        let mut all = Self::default();
        if !store.is_empty() {
            // The number of the only database.
            all.append(&0_u32.to_be_bytes());
        }
        for entry in store.entries() {
            let mut digest = Self::default();
            digest.append(entry.key());
            digest.append_value(entry);
            all.add(&digest.0);
        }
        all
    }
}

/// A score as C prints it with `%.17g`.
fn shown(score: f64) -> String {
    slotbus_wire::number::format_f64(score)
}
