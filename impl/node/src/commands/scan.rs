//! Owns what the commands that walk in portions share: their cursor and their options.
//!
//! Must not know what is walked.

use super::{not_an_integer, syntax_error};
use crate::glob;
use slotbus_wire::resp::{Args, Reply, parse_i64};

/// How many places a portion has unless told otherwise.
const COUNT: usize = 10;

/// A cursor as it is written. A negative number stands for its two's complement, as in C; no digit stands for 0.
pub(super) fn cursor(text: &[u8]) -> Result<u64, Reply<'static>> {
    if text.is_empty() {
        return Ok(0);
    }
    let number = std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().or_else(|_| text.parse().map(i64::cast_unsigned)).ok());
    number.ok_or_else(|| Reply::err("invalid cursor"))
}

/// What may follow the cursor.
pub(super) struct Filter<'a> {
    pattern: Option<&'a [u8]>,
    /// How many places to visit.
    pub(super) count: usize,
    /// The kind of values that is wanted, as TYPE calls it.
    pub(super) kind: Option<&'a [u8]>,
}

impl<'a> Filter<'a> {
    pub(super) fn read(args: Args<'a>, knows_kinds: bool) -> Result<Self, Reply<'static>> {
        let mut filter = Self { pattern: None, count: COUNT, kind: None };
        let mut at = 0;
        while let Some(option) = args.get(at) {
            let Some(value) = args.get(at + 1) else { return Err(syntax_error()) };
            match option.to_ascii_lowercase().as_slice() {
                b"match" => filter.pattern = Some(value),
                b"count" => {
                    let count = parse_i64(value).ok_or_else(not_an_integer)?;
                    filter.count = usize::try_from(count).ok().filter(|&count| count > 0).ok_or_else(syntax_error)?;
                }
                b"type" if knows_kinds => filter.kind = Some(value),
                _ => return Err(syntax_error()),
            }
            at += 2;
        }
        Ok(filter)
    }

    pub(super) fn takes(&self, name: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| glob::lists(pattern, name))
    }
}

/// A portion, and where to go on.
pub(super) fn portion<'e>(next: u64, found: impl Iterator<Item = Reply<'e>>) -> Reply<'e> {
    Reply::Array(vec![Reply::text(next.to_string()), Reply::Array(found.collect())])
}
