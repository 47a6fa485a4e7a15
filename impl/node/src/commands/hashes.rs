//! Owns the commands about hashes.

use super::{
    options::{integer, invertible},
    scan::{Filter, cursor, portion},
    syntax_error,
};
use crate::{
    command::Answer,
    store::{
        Store,
        hash::{Hash, Pair},
        limits::Limits,
    },
};
use slotbus_wire::{
    extended::Extended,
    resp::{Args, Reply, parse_i64},
};
use std::borrow::Cow;

fn bulk(text: Cow<'_, [u8]>) -> Reply<'_> {
    Reply::Bulk(text)
}

fn pair<'e>((field, value): Pair<'e>) -> (Reply<'e>, Reply<'e>) {
    (bulk(field), bulk(value))
}

pub(super) fn hset<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    set_fields(store, args, "hset").map(Reply::count)
}

pub(super) fn hmset<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    set_fields(store, args, "hmset").map(|_| Reply::OK)
}

fn set_fields(store: &mut Store, args: Args<'_>, command: &str) -> Result<usize, Reply<'static>> {
    if !args.len().is_multiple_of(2) {
        return Err(Reply::err(format_args!("wrong number of arguments for '{command}' command")));
    }
    let fields = args.pairs(2);
    let count = fields.len();
    let set = |hash: &mut Hash, limits: &Limits| {
        (count, fields.filter(|(field, value)| hash.set(field, value, limits)).count())
    };
    Ok(store.fill(args.at(1), "hset", set)?)
}

pub(super) fn hsetnx<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let (field, value) = (args.at(2), args.at(3));
    let set = |hash: &mut Hash, limits: &Limits| {
        let is_free = hash.get(field).is_none();
        let is_new = is_free && hash.set(field, value, limits);
        (usize::from(is_new), is_new)
    };
    Ok(Reply::Integer(store.fill(args.at(1), "hset", set)?.into()))
}

pub(super) fn hget<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let hash = store.read::<Hash>(args.at(1))?;
    Ok(hash.and_then(|hash| hash.get(args.at(2))).map_or(Reply::Null, bulk))
}

pub(super) fn hmget<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let hash = store.read::<Hash>(args.at(1))?;
    let value = |field| hash.and_then(|hash| hash.get(field)).map_or(Reply::Null, bulk);
    Ok(Reply::Array(args.from(2).map(value).collect()))
}

pub(super) fn hexists<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let hash = store.read::<Hash>(args.at(1))?;
    Ok(Reply::Integer(hash.is_some_and(|hash| hash.get(args.at(2)).is_some()).into()))
}

pub(super) fn hlen<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    Ok(Reply::count(store.read::<Hash>(args.at(1))?.map_or(0, Hash::len)))
}

pub(super) fn hstrlen<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let hash = store.read::<Hash>(args.at(1))?;
    Ok(Reply::count(hash.and_then(|hash| hash.get(args.at(2))).map_or(0, |value| value.len())))
}

pub(super) fn hgetall<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let hash = store.read::<Hash>(args.at(1))?;
    Ok(Reply::Map(hash.into_iter().flat_map(Hash::iter).map(pair).collect()))
}

pub(super) fn hkeys<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let hash = store.read::<Hash>(args.at(1))?;
    Ok(Reply::Array(hash.into_iter().flat_map(Hash::iter).map(|(field, _)| bulk(field)).collect()))
}

pub(super) fn hvals<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let hash = store.read::<Hash>(args.at(1))?;
    Ok(Reply::Array(hash.into_iter().flat_map(Hash::iter).map(|(_, value)| bulk(value)).collect()))
}

pub(super) fn hdel<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let remove = |hash: &mut Hash, _: &Limits| {
        let count = args.from(2).filter(|field| hash.remove(field)).count();
        (count, count)
    };
    Ok(Reply::count(store.edit(args.at(1), "hdel", remove)?.unwrap_or_default()))
}

pub(super) fn hincrby<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let amount = integer(args.at(3))?;
    change_number(store, args, "hincrby", |former| {
        let former = parse_i64(former.unwrap_or(b"0")).ok_or_else(|| Reply::err("hash value is not an integer"))?;
        let sum = former.checked_add(amount).ok_or_else(|| Reply::err("increment or decrement would overflow"))?;
        Ok((sum.to_string(), Reply::Integer(sum)))
    })
}

pub(super) fn hincrbyfloat<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let amount = Extended::parse(args.at(3)).ok_or_else(|| Reply::err("value is not a valid float"))?;
    if amount == Extended::Infinite {
        return Err(Reply::err("value is NaN or Infinity"));
    }
    change_number(store, args, "hincrbyfloat", |former| {
        let former = Extended::parse(former.unwrap_or(b"0")).ok_or_else(|| Reply::err("hash value is not a float"))?;
        let sum = former.plus(&amount).text();
        let sum = sum.ok_or_else(|| Reply::err("increment would produce NaN or Infinity"))?;
        Ok((sum.clone(), Reply::text(sum)))
    })
}

fn change_number<'e>(
    store: &mut Store,
    args: Args<'e>,
    event: &'static str,
    change: impl Fn(Option<&[u8]>) -> Result<(String, Reply<'static>), Reply<'static>>,
) -> Answer<'e> {
    let (key, field) = (args.at(1), args.at(2));
    let former = store.former_of::<Hash>(key)?.and_then(|hash| hash.get(field));
    let (text, reply) = change(former.as_deref())?;
    store.fill(key, event, |hash: &mut Hash, limits| (1, hash.set(field, text.as_bytes(), limits)))?;
    Ok(reply)
}

pub(super) fn hscan<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let cursor = cursor(args.at(2))?;
    let hash = store.read::<Hash>(args.at(1))?;
    let Some(hash) = hash else { return Ok(portion(0, std::iter::empty())) };
    let filter = Filter::read(args.skip(3), false)?;
    let (next, found) = hash.scan(cursor, filter.count);
    let wanted = found.into_iter().filter(|(field, _)| filter.takes(field));
    Ok(portion(next, wanted.flat_map(|(field, value)| [bulk(field), bulk(value)])))
}

pub(super) fn hrandfield<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    if args.len() == 2 {
        let hash = store.read::<Hash>(args.at(1))?;
        let picked = hash.and_then(|hash| hash.nth(fastrand::usize(..hash.len())));
        return Ok(picked.map_or(Reply::Null, |(field, _)| bulk(field)));
    }
    let count = invertible(args.at(2))?;
    let with_values = match args.get(3) {
        None => false,
        Some(word) if args.len() == 4 && word.eq_ignore_ascii_case(b"withvalues") => true,
        Some(_) => return Err(syntax_error()),
    };
    if with_values && !(-i64::MAX / 2..=i64::MAX / 2).contains(&count) {
        return Err(Reply::err("value is out of range"));
    }
    let hash = store.read::<Hash>(args.at(1))?;
    let picked = hash.map(|hash| pick(hash.len(), count)).unwrap_or_default();
    let fields = picked.into_iter().filter_map(|index| hash?.nth(index));
    Ok(if with_values {
        Reply::Pairs(fields.map(pair).collect())
    } else {
        Reply::Array(fields.map(|(field, _)| bulk(field)).collect())
    })
}

/// Some of `len` places: different ones, or, if the count is negative, any so many.
pub(super) fn pick(len: usize, count: i64) -> Vec<usize> {
    /// However many are asked for, no more than this are answered.
    const ANSWERED_MAX: usize = 10_000_000;
    if len == 0 {
        return vec![];
    }
    match usize::try_from(count) {
        Err(_) => {
            let count = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX).min(ANSWERED_MAX);
            std::iter::repeat_with(|| fastrand::usize(..len)).take(count).collect()
        }
        Ok(count) if count >= len => (0..len).collect(),
        Ok(count) => fastrand::choose_multiple(0..len, count),
    }
}
