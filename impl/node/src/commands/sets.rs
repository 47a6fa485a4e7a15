//! Owns the commands about sets.

use super::{
    hashes::pick,
    options::{counted_keys, invertible, natural},
    scan::{Filter, cursor, portion},
    syntax_error,
};
use crate::{
    command::Answer,
    store::{Store, limits::Limits, set::Set},
};
use slotbus_wire::resp::{Args, Reply, parse_i64};
use std::borrow::Cow;

pub(super) fn sadd<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let add = |set: &mut Set, limits: &Limits| {
        let count = args.from(2).filter(|member| set.insert(member, limits)).count();
        (count, count)
    };
    Ok(Reply::count(store.fill(args.at(1), "sadd", add)?))
}

pub(super) fn srem<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let remove = |set: &mut Set, _: &Limits| {
        let count = args.from(2).filter(|member| set.remove(member)).count();
        (count, count)
    };
    Ok(Reply::count(store.edit(args.at(1), "srem", remove)?.unwrap_or_default()))
}

pub(super) fn smove<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let (from, to, member) = (args.at(1), args.at(2), args.at(3));
    let Some(source) = store.former_of::<Set>(from)? else { return Ok(Reply::Integer(0)) };
    let is_there = source.contains(member);
    store.former_of::<Set>(to)?;
    if from == to || !is_there {
        return Ok(Reply::Integer(is_there.into()));
    }
    store.edit(from, "srem", |set: &mut Set, _| (1, set.remove(member)))?;
    store.fill(to, "sadd", |set: &mut Set, limits| {
        let is_new = set.insert(member, limits);
        (usize::from(is_new), is_new)
    })?;
    Ok(Reply::Integer(1))
}

pub(super) fn sismember<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let set = store.read::<Set>(args.at(1))?;
    Ok(Reply::Integer(set.is_some_and(|set| set.contains(args.at(2))).into()))
}

pub(super) fn smismember<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let set = store.read::<Set>(args.at(1))?;
    let is_there = |member| Reply::Integer(set.is_some_and(|set| set.contains(member)).into());
    Ok(Reply::Array(args.from(2).map(is_there).collect()))
}

pub(super) fn scard<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    Ok(Reply::count(store.read::<Set>(args.at(1))?.map_or(0, Set::len)))
}

pub(super) fn smembers<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let set = store.read::<Set>(args.at(1))?;
    Ok(Reply::Set(set.into_iter().flat_map(Set::iter).map(Reply::Bulk).collect()))
}

pub(super) fn sscan<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let cursor = cursor(args.at(2))?;
    let Some(set) = store.read::<Set>(args.at(1))? else { return Ok(portion(0, std::iter::empty())) };
    let filter = Filter::read(args.skip(3), false)?;
    let (next, found) = set.scan(cursor, filter.count);
    Ok(portion(next, found.into_iter().filter(|member| filter.takes(member)).map(Reply::Bulk)))
}

pub(super) fn spop<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let key = args.at(1);
    let Some(count) = args.get(2) else {
        let popped = pop(store, key, 1)?.and_then(|members| members.into_iter().next());
        return Ok(popped.map_or(Reply::Null, Reply::bulk));
    };
    if args.len() > 3 {
        return Err(syntax_error());
    }
    let count = natural(count)?;
    let popped = pop(store, key, count)?.unwrap_or_default();
    Ok(Reply::Set(popped.into_iter().map(Reply::bulk).collect()))
}

fn pop(store: &mut Store, key: &[u8], count: usize) -> Result<Option<Vec<Vec<u8>>>, Reply<'static>> {
    let take = |set: &mut Set, _: &Limits| {
        let one = |set: &mut Set| {
            let member = set.nth(fastrand::usize(..set.len()))?.into_owned();
            set.remove(&member);
            Some(member)
        };
        let popped: Vec<_> = std::iter::from_fn(|| if set.is_empty() { None } else { one(set) }).take(count).collect();
        (popped.len(), popped)
    };
    Ok(store.edit(key, "spop", take)?)
}

pub(super) fn srandmember<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    if args.len() > 3 {
        return Err(syntax_error());
    }
    let Some(count) = args.get(2) else {
        let set = store.read::<Set>(args.at(1))?;
        let picked = set.and_then(|set| set.nth(fastrand::usize(..set.len())));
        return Ok(picked.map_or(Reply::Null, Reply::Bulk));
    };
    let count = invertible(count)?;
    let set = store.read::<Set>(args.at(1))?;
    let picked = set.map(|set| pick(set.len(), count)).unwrap_or_default();
    Ok(Reply::Array(picked.into_iter().filter_map(|index| set?.nth(index)).map(Reply::Bulk).collect()))
}

/// What becomes of several sets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Combination {
    Union,
    Intersection,
    Difference,
}

fn combine<'k>(
    store: &mut Store,
    keys: impl Iterator<Item = &'k [u8]>,
    combination: Combination,
    limit: usize,
) -> Result<Set, Reply<'static>> {
    let limits = store.limits;
    let mut sets = Vec::new();
    for key in keys {
        sets.push(store.read::<Set>(key)?.cloned().unwrap_or_default());
    }
    if combination == Combination::Intersection {
        // The smallest set has the fewest members to look for in the others.
        sets.sort_by_key(Set::len);
    }
    let Some((first, others)) = sets.split_first() else { return Ok(Set::default()) };
    let is_wanted = |member: &Cow<'_, [u8]>| match combination {
        Combination::Union => true,
        Combination::Intersection => others.iter().all(|set| set.contains(member)),
        Combination::Difference => !others.iter().any(|set| set.contains(member)),
    };
    let mut result = Set::default();
    let more = others.iter().filter(|_| combination == Combination::Union);
    for member in first.iter().filter(is_wanted).chain(more.flat_map(Set::iter)).take(limit) {
        result.insert(&member, &limits);
    }
    Ok(result)
}

fn answer(set: &Set) -> Reply<'static> {
    Reply::Set(set.iter().map(|member| Reply::bulk(member.into_owned())).collect())
}

fn put<'e>(store: &mut Store, args: Args<'e>, combination: Combination, event: &'static str) -> Answer<'e> {
    let result = combine(store, args.from(2), combination, usize::MAX)?;
    let count = result.len();
    store.store(args.at(1), result, event);
    Ok(Reply::count(count))
}

pub(super) fn sunion<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    Ok(answer(&combine(store, args.from(1), Combination::Union, usize::MAX)?))
}

pub(super) fn sunionstore<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    put(store, args, Combination::Union, "sunionstore")
}

pub(super) fn sinter<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    Ok(answer(&combine(store, args.from(1), Combination::Intersection, usize::MAX)?))
}

pub(super) fn sinterstore<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    put(store, args, Combination::Intersection, "sinterstore")
}

pub(super) fn sdiff<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    Ok(answer(&combine(store, args.from(1), Combination::Difference, usize::MAX)?))
}

pub(super) fn sdiffstore<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    put(store, args, Combination::Difference, "sdiffstore")
}

pub(super) fn sintercard<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let (keys, limit) = intercard(args)?;
    Ok(Reply::count(combine(store, keys.into_iter(), Combination::Intersection, limit)?.len()))
}

/// The keys of SINTERCARD, and beyond which number it need not count.
fn intercard<'a>(args: Args<'a>) -> Result<(Vec<&'a [u8]>, usize), Reply<'static>> {
    let refusal = "numkeys should be greater than 0";
    let count = parse_i64(args.at(1)).filter(|&count| count > 0).ok_or_else(|| Reply::err(refusal))?;
    if count > i64::try_from(args.len() - 2).unwrap_or(i64::MAX) {
        return Err(Reply::err("Number of keys can't be greater than number of args"));
    }
    let (keys, end) = counted_keys(args, 1, refusal)?;
    let (mut limit, mut at) = (0, end);
    while let Some(word) = args.get(at) {
        let number = args.get(at + 1).filter(|_| word.eq_ignore_ascii_case(b"limit")).ok_or_else(syntax_error)?;
        let number = parse_i64(number).and_then(|number| usize::try_from(number).ok());
        limit = number.ok_or_else(|| Reply::err("LIMIT can't be negative"))?;
        at += 2;
    }
    Ok((keys, if limit == 0 { usize::MAX } else { limit }))
}
