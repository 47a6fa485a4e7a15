//! Owns how arguments that commands about streams share are read: ids, ranges of them, up to where to trim.
//!
//! Must not touch a key.

use super::{not_an_integer, options::integer, syntax_error};
use crate::store::stream_trim::{Bound, Trim};
use slotbus_wire::{
    entry_block::Entry,
    entry_id::{EntryId, Wanted},
    resp::{Args, Reply, parse_i64},
};

type Read<T> = Result<T, Reply<'static>>;

pub(super) fn invalid_id() -> Reply<'static> {
    Reply::err("Invalid stream ID specified as stream command argument")
}

/// The id of one entry.
pub(super) fn id(text: &[u8]) -> Read<EntryId> {
    EntryId::parse(text, 0).ok_or_else(invalid_id)
}

/// The ids of several entries.
pub(super) fn ids<'a>(texts: impl Iterator<Item = &'a [u8]>) -> Read<Vec<EntryId>> {
    texts.map(id).collect()
}

/// The first id of a range.
pub(super) fn first(text: &[u8]) -> Read<EntryId> {
    match text {
        [b'(', rest @ ..] if !rest.is_empty() => {
            id(rest)?.next().ok_or_else(|| Reply::err("invalid start ID for the interval"))
        }
        _ => EntryId::parse_end(text, 0).ok_or_else(invalid_id),
    }
}

/// The last id of a range.
pub(super) fn last(text: &[u8]) -> Read<EntryId> {
    match text {
        [b'(', rest @ ..] if !rest.is_empty() => {
            let end = EntryId::parse(rest, u64::MAX).ok_or_else(invalid_id)?;
            end.previous().ok_or_else(|| Reply::err("invalid end ID for the interval"))
        }
        _ => EntryId::parse_end(text, u64::MAX).ok_or_else(invalid_id),
    }
}

/// An id as a reply.
pub(super) fn shown_id(id: EntryId) -> Reply<'static> {
    Reply::text(id.to_string())
}

/// An entry as a reply.
pub(super) fn shown<'e>(entry: &Entry<'e>) -> Reply<'e> {
    let words = entry.fields().flat_map(|(field, value)| [Reply::Bulk(field.text()), Reply::Bulk(value.text())]);
    Reply::Array(vec![shown_id(entry.id), Reply::Array(words.collect())])
}

/// A number of entries; what is negative counts as `least`.
pub(super) fn count(text: &[u8], least: i64) -> Read<usize> {
    let count = integer(text)?;
    let count = if count < 0 { least } else { count };
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

/// What stands before the fields of XADD, and behind the key of XTRIM.
#[derive(Default)]
pub(super) struct Adding {
    /// The id of the entry to be added; none if the node makes it.
    pub(super) wanted: Option<Wanted>,
    /// Where that stands.
    pub(super) id_at: usize,
    pub(super) is_for_existing: bool,
    pub(super) bound: Option<Bound>,
    /// Where the bound stands.
    bound_at: usize,
    is_rough: bool,
    count_max: Option<i64>,
}

impl Adding {
    /// Reads the options of XADD, or those of XTRIM.
    pub(super) fn read(args: Args<'_>, is_to_add: bool) -> Read<Self> {
        let mut adding = Self::default();
        let mut at = 2;
        while let Some(option) = args.get(at) {
            let has_more = at + 1 < args.len();
            match option.to_ascii_lowercase().as_slice() {
                b"*" if is_to_add => break,
                b"maxlen" if has_more => at = adding.read_bound(args, at + 1, max_len)?,
                b"minid" if has_more => at = adding.read_bound(args, at + 1, |text| id(text).map(Bound::Id))?,
                b"limit" if has_more => {
                    at += 1;
                    let count = integer(args.at(at))?;
                    if count < 0 {
                        return Err(Reply::err("The LIMIT argument must be >= 0."));
                    }
                    adding.count_max = Some(count);
                }
                b"nomkstream" if is_to_add => adding.is_for_existing = true,
                _ if is_to_add => {
                    adding.wanted = Some(Wanted::parse(option).ok_or_else(invalid_id)?);
                    break;
                }
                _ => return Err(syntax_error()),
            }
            at += 1;
        }
        adding.id_at = at;
        Ok(adding)
    }

    fn read_bound(&mut self, args: Args<'_>, at: usize, read: impl FnOnce(&[u8]) -> Read<Bound>) -> Read<usize> {
        if self.bound.is_some() {
            return Err(Reply::err("syntax error, MAXLEN and MINID options at the same time are not compatible"));
        }
        let is_followed = at + 1 < args.len();
        self.is_rough = is_followed && args.at(at) == b"~";
        self.bound_at = at + usize::from(self.is_rough || is_followed && args.at(at) == b"=");
        self.bound = Some(read(args.at(self.bound_at))?);
        Ok(self.bound_at)
    }

    /// How to trim; nothing if there is to be none. Requests that are repeated have a limit that has done its work.
    pub(super) fn trim(&self, repeats: bool, block_len_max: usize) -> Read<Option<Trim>> {
        /// Unless a limit is given, so many blocks go ...
        const BLOCKS_MAX: i64 = 100;
        /// ... of so many entries ...
        const COUNT_MAX_UNBOUNDED: i64 = 10_000;
        /// ... and no more than these.
        const COUNT_MAX: i64 = 1_000_000;
        let Some(bound) = self.bound else {
            return match self.count_max {
                None | Some(0) => Ok(None),
                Some(_) => Err(Reply::err("syntax error, LIMIT cannot be used without specifying a trimming strategy")),
            };
        };
        let of_blocks = match i64::try_from(block_len_max).unwrap_or(i64::MAX).saturating_mul(BLOCKS_MAX) {
            0 => COUNT_MAX_UNBOUNDED,
            count => count.min(COUNT_MAX),
        };
        let count_max = match (self.count_max, self.is_rough) {
            _ if repeats => 0,
            (Some(count), true) => count,
            (Some(_), false) => {
                return Err(Reply::err("syntax error, LIMIT cannot be used without the special ~ option"));
            }
            (None, true) => of_blocks,
            (None, false) => 0,
        };
        Ok(Some(Trim { bound, is_rough: self.is_rough, count_max: count_max.unsigned_abs() }))
    }

    /// The words of a request that does the same on any copy of the stream, once it has come to this.
    pub(super) fn restated(&self, args: Args<'_>, id: Option<EntryId>, bound: Bound) -> Vec<Box<[u8]>> {
        let mut words: Vec<Box<[u8]>> = args.from(0).map(Box::from).collect();
        let mut put = |at: usize, text: String| {
            if let Some(word) = words.get_mut(at) {
                *word = text.into_bytes().into();
            }
        };
        if let Some(id) = id {
            put(self.id_at, id.to_string());
        }
        if self.is_rough {
            put(self.bound_at - 1, "=".to_owned());
            put(
                self.bound_at,
                match bound {
                    Bound::Len(len) => len.to_string(),
                    Bound::Id(id) => id.to_string(),
                },
            );
        }
        words
    }

    /// Whether a request has to be restated for its trimming.
    pub(super) fn is_rough(&self) -> bool {
        self.is_rough
    }
}

fn max_len(text: &[u8]) -> Read<Bound> {
    let len = parse_i64(text).ok_or_else(not_an_integer)?;
    u64::try_from(len).map(Bound::Len).map_err(|_| Reply::err("The MAXLEN argument must be >= 0."))
}
