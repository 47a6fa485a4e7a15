//! Replies as trees, to be compared part by part.

use super::{reply_length, text};
use std::fmt;

/// A reply.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reply {
    /// One that has no parts: its bytes.
    Plain(Vec<u8>),
    /// The letter of its type, and its parts; a map's keys and values take turns.
    Parts(u8, Vec<Reply>),
}

impl Reply {
    /// The tree of a complete reply.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let line_end = bytes.windows(2).position(|pair| pair == b"\r\n").map_or(bytes.len(), |at| at + 2);
        match bytes[0] {
            kind @ (b'*' | b'~' | b'%' | b'>') if bytes[1] != b'-' => {
                let (mut at, mut parts) = (line_end, Vec::new());
                while at < bytes.len() {
                    let length = reply_length(&bytes[at..]).unwrap();
                    parts.push(Self::of(&bytes[at..at + length]));
                    at += length;
                }
                Self::Parts(kind, parts)
            }
            _ => Self::Plain(bytes.to_vec()),
        }
    }

    /// The number that it is.
    pub(crate) fn number(&self) -> Option<i64> {
        match self {
            Self::Plain(bytes) => text(bytes).strip_prefix(':')?.trim_end().parse().ok(),
            Self::Parts(..) => None,
        }
    }

    /// The bytes that it carries, if it is a text of known length.
    pub(crate) fn content(&self) -> Option<&[u8]> {
        let Self::Plain(bytes) = self else { return None };
        let start = bytes.windows(2).position(|pair| pair == b"\r\n")? + 2;
        bytes.get(start..)?.strip_suffix(b"\r\n").filter(|_| self.kind() == b"$")
    }

    /// Its parts, if it has some.
    pub(crate) fn parts(&self) -> Option<&[Self]> {
        match self {
            Self::Plain(_) => None,
            Self::Parts(_, parts) => Some(parts),
        }
    }

    /// What kind of reply it is; nothing is a kind of its own.
    pub(crate) fn kind(&self) -> &[u8] {
        match self {
            Self::Plain(bytes) if bytes.starts_with(b"$-1") || bytes.starts_with(b"*-1") => b"nil",
            Self::Plain(bytes) => &bytes[..1],
            Self::Parts(kind, _) => std::slice::from_ref(kind),
        }
    }

    /// The bytes of all that has no parts.
    pub(crate) fn leaves(&self) -> Vec<&[u8]> {
        match self {
            Self::Plain(bytes) => vec![bytes],
            Self::Parts(_, parts) => parts.iter().flat_map(Self::leaves).collect(),
        }
    }

    /// The same with its parts in order, `size` of them at a time unless they are groups themselves.
    pub(crate) fn ordered(&self, size: usize) -> Self {
        match self {
            Self::Plain(_) => self.clone(),
            Self::Parts(kind, parts) => {
                let size = if matches!(parts.first(), Some(Self::Parts(..))) { 1 } else { size };
                let mut groups: Vec<&[Self]> = parts.chunks(size).collect();
                groups.sort();
                Self::Parts(*kind, groups.concat())
            }
        }
    }
}

impl Reply {
    /// The same with all of its parts in order, and theirs; maps keep each value behind its key.
    pub(crate) fn ordered_throughout(&self) -> Self {
        let Self::Parts(kind, parts) = self else { return self.clone() };
        let has_keys = parts.len() % 2 == 0 && parts.iter().step_by(2).all(|part| part.content().is_some());
        let size = if *kind == b'%' || has_keys { 2 } else { 1 };
        Self::Parts(*kind, parts.iter().map(Self::ordered_throughout).collect()).ordered_in_groups(size)
    }

    fn ordered_in_groups(&self, size: usize) -> Self {
        let Self::Parts(kind, parts) = self else { return self.clone() };
        let mut groups: Vec<&[Self]> = parts.chunks(size).collect();
        groups.sort();
        Self::Parts(*kind, groups.concat())
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(bytes) => write!(f, "{:?}", text(&bytes[..bytes.len().min(400)])),
            Self::Parts(kind, parts) => write!(f, "{}{parts:?}", char::from(*kind)),
        }
    }
}
