//! Owns the commands about keys of any kind.

use super::{not_an_integer, syntax_error};
use crate::{client::Session, glob, server::Server, store::Cursor};
use slotbus_wire::resp::{Args, Reply, parse_i64};

/// How many places SCAN visits unless told otherwise.
const SCAN_COUNT: usize = 10;

pub(super) fn del<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    let now = server.now;
    Reply::count(args.from(1).filter(|key| server.store.remove(key, now)).count())
}

pub(super) fn exists<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    Reply::count(args.from(1).filter(|key| server.store.contains(key, server.now)).count())
}

pub(super) fn dbsize<'e>(server: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    Reply::count(server.store.len())
}

pub(super) fn flush<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    let is_known = |mode: &[u8]| mode.eq_ignore_ascii_case(b"sync") || mode.eq_ignore_ascii_case(b"async");
    if args.len() > 2 || !args.from(1).all(is_known) {
        return syntax_error();
    }
    server.store.clear();
    Reply::OK
}

pub(super) fn type_of<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    Reply::status(if server.store.contains(args.at(1), server.now) { "string" } else { "none" })
}

pub(super) fn keys<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    let keys = server.store.keys(server.now).filter(|key| glob::matches(args.at(1), key, false));
    Reply::Array(keys.map(Reply::bulk).collect())
}

pub(super) fn randomkey<'e>(server: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    if server.store.is_empty() {
        return Reply::Null;
    }
    let nth = fastrand::usize(..server.store.len());
    let found = server.store.keys(server.now).nth(nth).or_else(|| server.store.keys(server.now).next());
    found.map_or(Reply::Null, Reply::bulk)
}

pub(super) fn scan<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    let Some(cursor) = cursor(args.at(1)) else { return Reply::err("invalid cursor") };
    let filter = match Filter::read(args.skip(2)) {
        Ok(filter) => filter,
        Err(refusal) => return refusal,
    };
    let (next, keys) = server.store.scan(cursor, filter.count, server.now);
    let wanted = keys.into_iter().filter(|key| filter.takes(key));
    Reply::Array(vec![Reply::text(next.0.to_string()), Reply::Array(wanted.map(Reply::bulk).collect())])
}

/// A cursor as it is written. A negative number stands for its two's complement, as in C.
fn cursor(text: &[u8]) -> Option<Cursor> {
    let text = std::str::from_utf8(text).ok()?;
    let number = text.parse().or_else(|_| text.parse().map(i64::cast_unsigned)).ok()?;
    Some(Cursor(number))
}

/// What may follow the cursor in SCAN.
struct Filter<'a> {
    pattern: Option<&'a [u8]>,
    count: usize,
    is_of_strings: bool,
}

impl<'a> Filter<'a> {
    fn read(args: Args<'a>) -> Result<Self, Reply<'static>> {
        let mut filter = Self { pattern: None, count: SCAN_COUNT, is_of_strings: true };
        let mut at = 0;
        while let Some(option) = args.get(at) {
            let Some(value) = args.get(at + 1) else { return Err(syntax_error()) };
            match option.to_ascii_lowercase().as_slice() {
                b"match" => filter.pattern = Some(value),
                b"count" => {
                    let count = parse_i64(value).ok_or_else(not_an_integer)?;
                    filter.count = usize::try_from(count).ok().filter(|&count| count > 0).ok_or_else(syntax_error)?;
                }
                b"type" => filter.is_of_strings = value.eq_ignore_ascii_case(b"string"),
                _ => return Err(syntax_error()),
            }
            at += 2;
        }
        Ok(filter)
    }

    fn takes(&self, key: &[u8]) -> bool {
        self.is_of_strings && self.pattern.is_none_or(|pattern| glob::matches(pattern, key, false))
    }
}
