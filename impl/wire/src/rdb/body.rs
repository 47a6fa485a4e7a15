//! Owns how a value is written.
//!
//! Must not hold a value: it borrows one from whoever does.

use super::{
    Stream, kind,
    primitive::{put_length, put_string},
    stream,
};
use crate::{intset::IntSet, listpack::Listpack};
use std::fmt;

type All<'a, T> = Box<dyn Iterator<Item = T> + 'a>;

/// In a list of listpacks, what follows is one of them, and not a bare element.
const PACKED: usize = 2;

/// A value to be written; a number is that of the things that follow.
pub enum Body<'a> {
    /// A string.
    String(&'a [u8]),
    /// A list, in pieces.
    List(usize, All<'a, &'a Listpack>),
    /// A small set of numbers.
    IntSet(&'a IntSet),
    /// A set.
    Set(usize, All<'a, &'a [u8]>),
    /// A small hash: fields and values in turn.
    PackedHash(&'a Listpack),
    /// A hash.
    Hash(usize, All<'a, (&'a [u8], &'a [u8])>),
    /// A small sorted set: members and scores in turn.
    PackedSortedSet(&'a Listpack),
    /// A sorted set.
    SortedSet(usize, All<'a, (&'a [u8], f64)>),
    /// A stream.
    Stream(&'a Stream),
    /// A value of a kind without commands here.
    Foreign(u8, &'a [u8]),
}

impl fmt::Debug for Body<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({})", self.kind())
    }
}

impl Body<'_> {
    /// The code of its kind.
    #[must_use]
    pub fn kind(&self) -> u8 {
        match self {
            Self::String(_) => kind::STRING,
            Self::List(..) => kind::LIST_OF_LISTPACKS,
            Self::IntSet(_) => kind::SET_INTSET,
            Self::Set(..) => kind::SET,
            Self::PackedHash(_) => kind::HASH_LISTPACK,
            Self::Hash(..) => kind::HASH,
            Self::PackedSortedSet(_) => kind::SORTED_SET_LISTPACK,
            Self::SortedSet(..) => kind::SORTED_SET,
            Self::Stream(_) => kind::STREAM_2,
            Self::Foreign(kind, _) => *kind,
        }
    }

    /// Writes everything but the kind.
    pub fn put(self, out: &mut Vec<u8>, compresses: bool) {
        match self {
            Self::String(text) => put_string(out, text, compresses),
            Self::List(len, packs) => {
                put_length(out, len);
                packs.for_each(|pack| {
                    put_length(out, PACKED);
                    put_string(out, pack.as_bytes(), compresses);
                });
            }
            Self::IntSet(set) => put_string(out, set.as_bytes(), compresses),
            Self::Set(len, members) => {
                put_length(out, len);
                members.for_each(|member| put_string(out, member, compresses));
            }
            Self::PackedHash(pack) | Self::PackedSortedSet(pack) => put_string(out, pack.as_bytes(), compresses),
            Self::Hash(len, fields) => {
                put_length(out, len);
                fields.for_each(|(field, value)| {
                    put_string(out, field, compresses);
                    put_string(out, value, compresses);
                });
            }
            Self::SortedSet(len, members) => {
                put_length(out, len);
                members.for_each(|(member, score)| {
                    put_string(out, member, compresses);
                    out.extend_from_slice(&score.to_le_bytes());
                });
            }
            Self::Stream(stream) => stream::put(out, stream, compresses),
            Self::Foreign(_, bytes) => out.extend_from_slice(bytes),
        }
    }
}
