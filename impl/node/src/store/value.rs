//! Owns what a key can hold, and the way of each kind from and to a snapshot.
//!
//! Must not know keys.

use super::{
    entry::Form, hash::Hash, limits::Limits, list::List, memory::heap_bytes, news::Class, set::Set,
    sorted_set::SortedSet, stream_entries::Stream,
};
use slotbus_wire::{
    rdb::{self, Body},
    resp::parse_i64,
};

/// A value. Short strings are held by their [entry](super::entry::Entry) itself.
#[derive(Clone, Debug)]
pub enum Value {
    /// A string.
    String(Vec<u8>),
    /// A list.
    List(List),
    /// A set.
    Set(Set),
    /// A hash.
    Hash(Hash),
    /// A sorted set.
    SortedSet(SortedSet),
    /// A stream.
    Stream(Stream),
    /// A value that no command here knows: its kind in snapshots, and its bytes there.
    Foreign(u8, Vec<u8>),
}

/// A value as one may look at it.
#[derive(Clone, Copy, Debug)]
pub enum View<'a> {
    /// A string, and how it came about.
    String(&'a [u8], Form),
    /// Any other kind, or a long string.
    Other(&'a Value),
}

impl<'a> View<'a> {
    /// The string, if it is one.
    #[must_use]
    pub fn string(self) -> Option<&'a [u8]> {
        match self {
            Self::String(text, _) => Some(text),
            Self::Other(Value::String(text)) => Some(text),
            Self::Other(Value::List(_) | Value::Set(_) | Value::Hash(_) | Value::SortedSet(_) | Value::Stream(_)) => {
                None
            }
            Self::Other(Value::Foreign(..)) => None,
        }
    }

    /// What TYPE calls its kind.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::String(..) | Self::Other(Value::String(_)) => "string",
            Self::Other(Value::List(_)) => "list",
            Self::Other(Value::Set(_)) => "set",
            Self::Other(Value::Hash(_)) => "hash",
            Self::Other(Value::SortedSet(_)) => "zset",
            Self::Other(Value::Stream(_)) => "stream",
            // Hashes some of whose fields expire.
            Self::Other(Value::Foreign(..)) => "hash",
        }
    }

    /// What OBJECT ENCODING calls its form.
    #[must_use]
    pub fn encoding(self) -> &'static str {
        match self {
            Self::String(text, form) => encoding_of(text, form),
            Self::Other(Value::String(text)) => encoding_of(text, Form::Whole),
            Self::Other(Value::List(_)) => "quicklist",
            Self::Other(Value::Set(set)) => set.encoding(),
            Self::Other(Value::Hash(hash)) => hash.encoding(),
            Self::Other(Value::SortedSet(set)) => set.encoding(),
            Self::Other(Value::Stream(_) | Value::Foreign(..)) => "stream",
        }
    }

    /// The value as a snapshot holds it.
    #[must_use]
    pub fn body(self) -> Body<'a> {
        match self {
            Self::String(text, _) => Body::String(text),
            Self::Other(Value::String(text)) => Body::String(text),
            Self::Other(Value::List(list)) => list.body(),
            Self::Other(Value::Set(set)) => set.body(),
            Self::Other(Value::Hash(hash)) => hash.body(),
            Self::Other(Value::SortedSet(set)) => set.body(),
            Self::Other(Value::Stream(stream)) => stream.body(),
            Self::Other(Value::Foreign(kind, bytes)) => Body::Foreign(*kind, bytes),
        }
    }
}

fn encoding_of(text: &[u8], form: Form) -> &'static str {
    const NUMBER_MAX: usize = 20;
    const EMBEDDED_MAX: usize = 44;
    match (form, text.len()) {
        (Form::Patched, _) => "raw",
        (Form::Whole, ..=NUMBER_MAX) if parse_i64(text).is_some() => "int",
        (Form::Whole | Form::Float, ..=EMBEDDED_MAX) => "embstr",
        (Form::Whole | Form::Float, _) => "raw",
    }
}

impl Value {
    /// How much memory it takes beside its own size.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::String(text) => heap_bytes(text.capacity()),
            Self::List(list) => list.bytes(),
            Self::Set(set) => set.bytes(),
            Self::Hash(hash) => hash.bytes(),
            Self::SortedSet(set) => set.bytes(),
            Self::Stream(stream) => stream.bytes(),
            Self::Foreign(_, bytes) => heap_bytes(bytes.capacity()),
        }
    }

    /// Whether this is a large collection that has a field of the first name, or a member of the last one.
    #[must_use]
    pub fn has_large(&self, [first, last]: [&[u8]; 2]) -> bool {
        match self {
            Self::Hash(Hash::Large { table, .. }) => table.contains_key(first),
            Self::SortedSet(SortedSet::Large { members, .. }) => members.contains_key(last),
            Self::Set(Set::Large { table, .. }) => table.contains(last),
            Self::String(_) | Self::List(_) | Self::Set(_) | Self::Hash(_) | Self::SortedSet(_) => false,
            Self::Stream(_) | Self::Foreign(..) => false,
        }
    }

    /// The value that a snapshot holds; none if its parts contradict each other.
    #[must_use]
    pub fn of_snapshot(value: rdb::Value, limits: &Limits) -> Option<Self> {
        Some(match value {
            rdb::Value::String(text) => Self::String(text),
            rdb::Value::List(pieces) => Self::List(List::of_pieces(pieces)),
            rdb::Value::IntSet(numbers) => Self::Set(Set::of_numbers(numbers, limits)),
            rdb::Value::Set(members) => Self::Set(Set::of_members(members, limits)?),
            rdb::Value::PackedHash(pack) => Self::Hash(Hash::of_pack(pack, limits)?),
            rdb::Value::Hash(fields) => {
                let len = fields.len();
                let hash = Hash::collect(fields, limits);
                (hash.len() == len).then_some(Self::Hash(hash))?
            }
            rdb::Value::PackedSortedSet(pack) => Self::SortedSet(SortedSet::of_pack(pack, limits)?),
            rdb::Value::SortedSet(members) => {
                let len = members.len();
                let set = SortedSet::of_all(members, limits);
                (set.len() == len).then_some(Self::SortedSet(set))?
            }
            rdb::Value::Stream(stream) => Self::Stream(Stream::of_snapshot(stream)),
            rdb::Value::Foreign(kind, bytes) => Self::Foreign(kind, bytes),
        })
    }
}

/// A kind of values that commands look into.
pub trait Kind: Default {
    /// The class of the events about it.
    const CLASS: Class;
    /// The value, if it is of this kind.
    fn of(value: &Value) -> Option<&Self>;
    /// The value to be changed, if it is of this kind.
    fn of_mut(value: &mut Value) -> Option<&mut Self>;
    /// The value of this kind.
    fn into_value(self) -> Value;
    /// Whether nothing is in it: then its key goes.
    fn is_empty(&self) -> bool;
}

macro_rules! kind {
    ($kind:ident, $class:ident) => {
        impl Kind for $kind {
            const CLASS: Class = Class::$class;

            fn of(value: &Value) -> Option<&Self> {
                if let Value::$kind(inner) = value { Some(inner) } else { None }
            }

            fn of_mut(value: &mut Value) -> Option<&mut Self> {
                if let Value::$kind(inner) = value { Some(inner) } else { None }
            }

            fn into_value(self) -> Value {
                Value::$kind(self)
            }

            fn is_empty(&self) -> bool {
                $kind::is_empty(self)
            }
        }
    };
}

kind!(List, LIST);
kind!(Set, SET);
kind!(Hash, HASH);
kind!(SortedSet, SORTED_SET);
