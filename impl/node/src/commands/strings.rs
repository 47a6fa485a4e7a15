//! Owns the commands about strings.

use super::{
    expiry,
    keyspace::drop_key,
    not_an_integer,
    options::{Ending, end, integer, places},
    syntax_error,
};
use crate::{
    command::Answer,
    store::{Expiry, Store, entry::Form, news::Class},
};
use slotbus_core::Millis;
use slotbus_wire::{
    extended::Extended,
    resp::{Args, Reply, parse_i64},
};

pub(super) const TOO_LONG: &str = "string exceeds maximum allowed size (proto-max-bulk-len)";

pub(super) fn get<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    Ok(store.string(args.at(1))?.map_or(Reply::Null, Reply::bulk))
}

pub(super) fn mget<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let values = args.from(1).map(|key| match store.string(key) {
        Ok(Some(text)) => Reply::bulk(text.to_vec()),
        Ok(None) | Err(_) => Reply::Null,
    });
    Ok(Reply::Array(values.collect()))
}

pub(super) fn strlen<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    Ok(Reply::count(store.string(args.at(1))?.map_or(0, <[u8]>::len)))
}

pub(super) fn getrange<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let (start, end) = (integer(args.at(2))?, integer(args.at(3))?);
    let text = store.string(args.at(1))?.unwrap_or_default();
    if start < 0 && end < 0 && start > end {
        return Ok(Reply::bulk(b"".as_slice()));
    }
    // An end before the first byte stands for the first byte.
    let end = end.max(-i64::try_from(text.len()).unwrap_or(i64::MAX));
    Ok(Reply::bulk(&text[places(start, end, text.len())]))
}

pub(super) fn set<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let options = SetOptions::read(args.skip(3), store.now)?;
    let (key, value) = (args.at(1), args.at(2));
    // The plain form is by far the most frequent, and needs no look at the former value.
    if options.condition.is_none() && !options.answers_former {
        put(store, key, value, options.expiry);
        return Ok(Reply::OK);
    }
    let former = if options.answers_former { read(store, key)? } else { None };
    let is_met =
        options.condition.is_none_or(|wanted| store.contains(key, store.now) == (wanted == Condition::IsThere));
    if is_met {
        put(store, key, value, options.expiry);
    }
    Ok(match (options.answers_former, is_met) {
        (true, _) => former.unwrap_or(Reply::Null),
        (false, true) => Reply::OK,
        (false, false) => Reply::Null,
    })
}

/// Sets a string and says so.
fn put(store: &mut Store, key: &[u8], value: &[u8], expiry: Expiry) {
    store.set(key, value, expiry);
    store.news.tell(Class::STRING, "set", key);
    if matches!(expiry, Expiry::At(_)) {
        store.news.tell(Class::GENERIC, "expire", key);
    }
}

pub(super) fn setnx<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let is_free = !store.contains(args.at(1), store.now);
    if is_free {
        put(store, args.at(1), args.at(2), Expiry::Never);
    }
    Ok(Reply::Integer(is_free.into()))
}

pub(super) fn setex<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    set_for(store, args, 1000, "setex")
}

pub(super) fn psetex<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    set_for(store, args, 1, "psetex")
}

fn set_for<'e>(store: &mut Store, args: Args<'e>, unit_ms: u64, command: &str) -> Answer<'e> {
    let at = end(args.at(2), unit_ms, store.now, command)?;
    put(store, args.at(1), args.at(3), Expiry::At(at));
    Ok(Reply::OK)
}

pub(super) fn getset<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let former = read(store, args.at(1))?;
    put(store, args.at(1), args.at(2), Expiry::Never);
    Ok(former.unwrap_or(Reply::Null))
}

pub(super) fn getdel<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let former = read(store, args.at(1))?;
    drop_key(store, args.at(1));
    Ok(former.unwrap_or(Reply::Null))
}

pub(super) fn getex<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let (key, now) = (args.at(1), store.now);
    let wish = read_wish(args.skip(2))?;
    let Some(text) = read(store, key)? else { return Ok(Reply::Null) };
    match wish {
        Wish::Leave => {}
        Wish::Persist => {
            expiry::stay(store, key);
        }
        Wish::End(ending) => {
            let at = ending.at(now, "getex")?;
            if at <= now {
                drop_key(store, key);
            } else {
                store.set_end(key, Some(at));
                store.news.tell(Class::GENERIC, "expire", key);
            }
        }
    }
    Ok(text)
}

/// What GETEX is to do about the key's end.
enum Wish<'a> {
    Leave,
    Persist,
    End(Ending<'a>),
}

/// The last of equal options counts; others do not go together.
fn read_wish(args: Args<'_>) -> Result<Wish<'_>, Reply<'static>> {
    let mut wish = Wish::Leave;
    let mut at = 0;
    while let Some(option) = args.get(at) {
        wish = match (&wish, Ending::read(option, args.get(at + 1))) {
            (Wish::Leave, Some(ending)) => Wish::End(ending),
            (Wish::End(former), Some(ending)) if former.is_like(&ending) => Wish::End(ending),
            (Wish::Leave | Wish::Persist, None) if option.eq_ignore_ascii_case(b"persist") => Wish::Persist,
            (Wish::Leave | Wish::Persist | Wish::End(_), _) => return Err(syntax_error()),
        };
        at += if matches!(wish, Wish::End(_)) { 2 } else { 1 };
    }
    Ok(wish)
}

pub(super) fn mset<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    set_pairs(store, args, "mset", |_| true)?;
    Ok(Reply::OK)
}

pub(super) fn msetnx<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let is_free = |store: &Store| args.from(1).step_by(2).all(|key| !store.contains(key, store.now));
    set_pairs(store, args, "msetnx", is_free).map(|is_done| Reply::Integer(is_done.into()))
}

fn set_pairs(
    store: &mut Store,
    args: Args<'_>,
    command: &str,
    may: impl Fn(&Store) -> bool,
) -> Result<bool, Reply<'static>> {
    if args.len().is_multiple_of(2) {
        return Err(Reply::err(format_args!("wrong number of arguments for '{command}' command")));
    }
    let is_done = may(store);
    for (key, value) in args.from(1).step_by(2).zip(args.from(2).step_by(2)).filter(|_| is_done) {
        put(store, key, value, Expiry::Never);
    }
    Ok(is_done)
}

pub(super) fn append<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let (key, tail) = (args.at(1), args.at(2));
    let former = store.former(key)?.map(<[u8]>::len);
    check_length(store, former.unwrap_or_default() as u64 + tail.len() as u64)?;
    let len = match former {
        None => {
            store.set(key, tail, Expiry::Keep);
            tail.len()
        }
        Some(_) => store.edit_string(key, |text| {
            text.extend_from_slice(tail);
            text.len()
        })?,
    };
    store.news.tell(Class::STRING, "append", key);
    Ok(Reply::count(len))
}

pub(super) fn setrange<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let (key, part) = (args.at(1), args.at(3));
    let offset = u64::try_from(integer(args.at(2))?).map_err(|_| Reply::err("offset is out of range"))?;
    let former = store.former(key)?.map_or(0, <[u8]>::len);
    if part.is_empty() {
        return Ok(Reply::count(former));
    }
    let end = offset.saturating_add(part.len() as u64);
    check_length(store, end)?;
    let (offset, end) = (usize::try_from(offset).unwrap_or(usize::MAX), usize::try_from(end).unwrap_or(usize::MAX));
    let len = store.edit_string(key, |text| {
        text.resize(text.len().max(end), 0);
        text[offset..end].copy_from_slice(part);
        text.len()
    })?;
    store.news.tell(Class::STRING, "setrange", key);
    Ok(Reply::count(len))
}

fn check_length(store: &Store, length: u64) -> Result<(), Reply<'static>> {
    if length > store.limits.string_max { Err(Reply::err(TOO_LONG)) } else { Ok(()) }
}

pub(super) fn incr<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    add(store, args.at(1), 1)
}

pub(super) fn decr<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    add(store, args.at(1), -1)
}

pub(super) fn incrby<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    add(store, args.at(1), integer(args.at(2))?)
}

pub(super) fn decrby<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let amount = integer(args.at(2))?.checked_neg().ok_or_else(|| Reply::err("decrement would overflow"))?;
    add(store, args.at(1), amount)
}

fn add<'e>(store: &mut Store, key: &[u8], amount: i64) -> Answer<'e> {
    let sum = store.set_number(key, |former| {
        let former = former.map_or(Some(0), parse_i64).ok_or_else(not_an_integer)?;
        former.checked_add(amount).ok_or_else(|| Reply::err("increment or decrement would overflow"))
    })?;
    store.news.tell(Class::STRING, "incrby", key);
    Ok(Reply::Integer(sum))
}

pub(super) fn incrbyfloat<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let key = args.at(1);
    let former = store.former(key)?.unwrap_or(b"0");
    let not_a_float = || Reply::err("value is not a valid float");
    let former = Extended::parse(former).ok_or_else(not_a_float)?;
    let amount = Extended::parse(args.at(2)).ok_or_else(not_a_float)?;
    let sum = former.plus(&amount).text();
    let sum = sum.ok_or_else(|| Reply::err("increment would produce NaN or Infinity"))?;
    store.set_in_form(key, sum.as_bytes(), Expiry::Keep, Form::Float);
    store.news.tell(Class::STRING, "incrbyfloat", key);
    Ok(Reply::text(sum))
}

fn read(store: &mut Store, key: &[u8]) -> Result<Option<Reply<'static>>, Reply<'static>> {
    Ok(store.string(key)?.map(|text| Reply::bulk(text.to_vec())))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    IsThere,
    IsNotThere,
}

/// What may follow key and value in SET.
struct SetOptions {
    condition: Option<Condition>,
    answers_former: bool,
    expiry: Expiry,
}

impl SetOptions {
    fn read(args: Args<'_>, now: Millis) -> Result<Self, Reply<'static>> {
        let mut options = Self { condition: None, answers_former: false, expiry: Expiry::Never };
        let mut ending = None;
        let mut at = 0;
        while let Some(option) = args.get(at) {
            at += 1;
            let is = |name: &[u8]| option.eq_ignore_ascii_case(name);
            let condition =
                if is(b"nx") { Some(Condition::IsNotThere) } else { is(b"xx").then_some(Condition::IsThere) };
            if condition.is_some() && options.condition.is_none_or(|former| Some(former) == condition) {
                options.condition = condition;
            } else if is(b"get") {
                options.answers_former = true;
            } else if is(b"keepttl") && ending.is_none() {
                options.expiry = Expiry::Keep;
            } else if let Some(next) = Ending::read(option, args.get(at))
                && options.expiry == Expiry::Never
                && ending.as_ref().is_none_or(|former| next.is_like(former))
            {
                ending = Some(next);
                at += 1;
            } else {
                return Err(syntax_error());
            }
        }
        if let Some(ending) = ending {
            options.expiry = Expiry::At(ending.at(now, "set")?);
        }
        Ok(options)
    }
}

pub(super) fn lcs<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let text = |store: &mut Store, at| match store.string(args.at(at)) {
        Ok(text) => Ok(text.unwrap_or_default().to_vec()),
        Err(_) => Err(Reply::err("The specified keys must contain string values")),
    };
    let (left, right) = (text(store, 1)?, text(store, 2)?);
    let options = LcsOptions::read(args.skip(3))?;
    let cells = (left.len() as u64 + 1).saturating_mul(right.len() as u64 + 1);
    if cells.saturating_mul(4) > store.limits.string_max {
        return Err(Reply::err("Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"));
    }
    let table = LcsTable::new(&left, &right);
    if options.tells_length {
        return Ok(Reply::count(table.length(left.len(), right.len())));
    }
    if options.tells_matches {
        return Ok(table.matches(&left, &right, &options));
    }
    Ok(Reply::bulk(table.common(&left, &right)))
}

#[derive(Default)]
struct LcsOptions {
    tells_length: bool,
    tells_matches: bool,
    tells_match_lengths: bool,
    match_length_min: i64,
}

impl LcsOptions {
    fn read(args: Args<'_>) -> Result<Self, Reply<'static>> {
        let mut options = Self::default();
        let mut at = 0;
        while let Some(option) = args.get(at) {
            at += 1;
            match (option.to_ascii_lowercase().as_slice(), args.get(at)) {
                (b"idx", _) => options.tells_matches = true,
                (b"len", _) => options.tells_length = true,
                (b"withmatchlen", _) => options.tells_match_lengths = true,
                (b"minmatchlen", Some(length)) => {
                    options.match_length_min = integer(length)?.max(0);
                    at += 1;
                }
                _ => return Err(syntax_error()),
            }
        }
        if options.tells_length && options.tells_matches {
            return Err(Reply::err("If you want both the length and indexes, please just use IDX."));
        }
        Ok(options)
    }
}

/// For every two beginnings, the length of their longest common subsequence.
struct LcsTable {
    lengths: Vec<u32>,
    width: usize,
}

impl LcsTable {
    fn new(left: &[u8], right: &[u8]) -> Self {
        let width = right.len() + 1;
        let mut table = Self { lengths: vec![0; (left.len() + 1) * width], width };
        for (row, one) in left.iter().enumerate() {
            for (column, other) in right.iter().enumerate() {
                table.lengths[(row + 1) * width + column + 1] = if one == other {
                    table.lengths[row * width + column] + 1
                } else {
                    table.lengths[row * width + column + 1].max(table.lengths[(row + 1) * width + column])
                };
            }
        }
        table
    }

    fn length(&self, row: usize, column: usize) -> usize {
        self.lengths[row * self.width + column] as usize
    }

    /// Every two places that match, from the last on.
    fn walk(&self, left: &[u8], right: &[u8]) -> Vec<(usize, usize)> {
        let (mut row, mut column) = (left.len(), right.len());
        let mut found = Vec::new();
        while row > 0 && column > 0 {
            if left[row - 1] == right[column - 1] {
                (row, column) = (row - 1, column - 1);
                found.push((row, column));
            } else if self.length(row - 1, column) > self.length(row, column - 1) {
                row -= 1;
            } else {
                column -= 1;
            }
        }
        found
    }

    fn common(&self, left: &[u8], right: &[u8]) -> Vec<u8> {
        self.walk(left, right).into_iter().rev().map(|(row, _)| left[row]).collect()
    }

    fn matches(&self, left: &[u8], right: &[u8], options: &LcsOptions) -> Reply<'static> {
        // Runs of neighbours, each with its last places and its length.
        let mut runs: Vec<(usize, usize, usize)> = Vec::new();
        for (row, column) in self.walk(left, right) {
            match runs.last_mut() {
                Some((last_row, last_column, length))
                    if row + *length == *last_row && column + *length == *last_column =>
                {
                    *length += 1;
                }
                _ => runs.push((row, column, 1)),
            }
        }
        let span = |last: usize, length: usize| Reply::Array(vec![Reply::count(last + 1 - length), Reply::count(last)]);
        let is_wanted = |length: usize| i64::try_from(length).is_ok_and(|length| length >= options.match_length_min);
        let matches = runs.into_iter().filter(|(.., length)| is_wanted(*length)).map(|(row, column, length)| {
            let spans = [span(row, length), span(column, length)];
            let told = options.tells_match_lengths.then(|| Reply::count(length));
            Reply::Array(spans.into_iter().chain(told).collect())
        });
        Reply::Map(vec![
            (Reply::text("matches"), Reply::Array(matches.collect())),
            (Reply::text("len"), Reply::count(self.length(left.len(), right.len()))),
        ])
    }
}
