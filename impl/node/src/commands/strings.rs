//! Owns the commands about strings.

use super::{not_an_integer, syntax_error};
use crate::{
    client::Session,
    server::Server,
    store::{Expiry, Store},
};
use slotbus_core::Millis;
use slotbus_wire::resp::{Args, Reply, parse_i64};

pub(super) fn get<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    let Server { store, counters, now, .. } = server;
    read(store, args.at(1), *now).inspect(|_| counters.hits += 1).unwrap_or_else(|| {
        counters.misses += 1;
        Reply::Null
    })
}

pub(super) fn mget<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    let now = server.now;
    let values =
        args.from(1).map(|key| server.store.get(key, now).map_or(Reply::Null, |value| Reply::bulk(value.to_vec())));
    Reply::Array(values.collect())
}

pub(super) fn strlen<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    Reply::count(server.store.get(args.at(1), server.now).map_or(0, <[u8]>::len))
}

pub(super) fn set<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    let options = match SetOptions::read(args.skip(3), server.now) {
        Ok(options) => options,
        Err(refusal) => return refusal,
    };
    let (key, value) = (args.at(1), args.at(2));
    // The plain form is by far the most frequent, and needs no look at the former value.
    if options.condition.is_none() && !options.answers_former {
        server.store.set(key, value, options.expiry);
        return Reply::OK;
    }
    let former = read(&mut server.store, key, server.now).map(Reply::into_owned);
    let is_met = match options.condition {
        None => true,
        Some(Condition::IsThere) => former.is_some(),
        Some(Condition::IsNotThere) => former.is_none(),
    };
    if is_met {
        server.store.set(key, value, options.expiry);
    }
    match (options.answers_former, is_met) {
        (true, _) => former.unwrap_or(Reply::Null),
        (false, true) => Reply::OK,
        (false, false) => Reply::Null,
    }
}

pub(super) fn setnx<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    let is_free = !server.store.contains(args.at(1), server.now);
    if is_free {
        server.store.set(args.at(1), args.at(2), Expiry::Never);
    }
    Reply::Integer(is_free.into())
}

pub(super) fn setex<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    set_for(server, args, 1000, "setex")
}

pub(super) fn psetex<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    set_for(server, args, 1, "psetex")
}

fn set_for<'e>(server: &mut Server, args: Args<'e>, unit_ms: u64, command: &str) -> Reply<'e> {
    match end(args.at(2), unit_ms, server.now, command) {
        Ok(at) => {
            server.store.set(args.at(1), args.at(3), Expiry::At(at));
            Reply::OK
        }
        Err(refusal) => refusal,
    }
}

pub(super) fn getset<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    let former = read(&mut server.store, args.at(1), server.now).map(Reply::into_owned);
    server.store.set(args.at(1), args.at(2), Expiry::Never);
    former.unwrap_or(Reply::Null)
}

pub(super) fn getdel<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    let former = read(&mut server.store, args.at(1), server.now).map(Reply::into_owned);
    server.store.remove(args.at(1), server.now);
    former.unwrap_or(Reply::Null)
}

pub(super) fn mset<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    if args.len().is_multiple_of(2) {
        return Reply::err("wrong number of arguments for 'mset' command");
    }
    set_pairs(&mut server.store, args);
    Reply::OK
}

pub(super) fn msetnx<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    if args.len().is_multiple_of(2) {
        return Reply::err("wrong number of arguments for 'msetnx' command");
    }
    let is_free = args.from(1).step_by(2).all(|key| !server.store.contains(key, server.now));
    if is_free {
        set_pairs(&mut server.store, args);
    }
    Reply::Integer(is_free.into())
}

fn set_pairs(store: &mut Store, args: Args<'_>) {
    for (key, value) in args.from(1).step_by(2).zip(args.from(2).step_by(2)) {
        store.set(key, value, Expiry::Never);
    }
}

pub(super) fn append<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    let former = server.store.get(args.at(1), server.now).unwrap_or_default();
    let value = [former, args.at(2)].concat();
    if value.len() as u64 > server.limits.bulk_max {
        return Reply::err("string exceeds maximum allowed size (proto-max-bulk-len)");
    }
    server.store.set(args.at(1), &value, Expiry::Keep);
    Reply::count(value.len())
}

pub(super) fn incr<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    add(server, args.at(1), Some(1))
}

pub(super) fn decr<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    add(server, args.at(1), Some(-1))
}

pub(super) fn incrby<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    add(server, args.at(1), parse_i64(args.at(2)))
}

pub(super) fn decrby<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    match parse_i64(args.at(2)) {
        Some(i64::MIN) => Reply::err("decrement would overflow"),
        amount => add(server, args.at(1), amount.map(|amount| -amount)),
    }
}

fn add<'e>(server: &mut Server, key: &[u8], amount: Option<i64>) -> Reply<'e> {
    let Some(amount) = amount else { return not_an_integer() };
    let former = server.store.get(key, server.now).map_or(Some(0), parse_i64);
    let Some(former) = former else { return not_an_integer() };
    let Some(sum) = former.checked_add(amount) else { return Reply::err("increment or decrement would overflow") };
    server.store.set(key, sum.to_string().as_bytes(), Expiry::Keep);
    Reply::Integer(sum)
}

fn read<'s>(store: &'s mut Store, key: &[u8], now: Millis) -> Option<Reply<'s>> {
    store.get(key, now).map(Reply::bulk)
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

/// A way to say when a key expires, with its unit, and whether it counts from now.
const ENDS: [(&[u8], u64, bool); 4] =
    [(b"ex", 1000, true), (b"px", 1, true), (b"exat", 1000, false), (b"pxat", 1, false)];

impl SetOptions {
    fn read(args: Args<'_>, now: Millis) -> Result<Self, Reply<'static>> {
        let mut options = Self { condition: None, answers_former: false, expiry: Expiry::Never };
        let mut ending = None;
        let mut at = 0;
        while let Some(option) = args.get(at) {
            at += 1;
            let is = |name: &[u8]| option.eq_ignore_ascii_case(name);
            let is_free = ending.is_none() && options.expiry == Expiry::Never;
            let condition =
                if is(b"nx") { Some(Condition::IsNotThere) } else { is(b"xx").then_some(Condition::IsThere) };
            if condition.is_some() && options.condition.is_none_or(|former| Some(former) == condition) {
                options.condition = condition;
            } else if is(b"get") {
                options.answers_former = true;
            } else if is(b"keepttl") && ending.is_none() {
                options.expiry = Expiry::Keep;
            } else if let Some(&(_, unit_ms, is_relative)) = ENDS.iter().find(|(name, ..)| is(name))
                && let Some(number) = args.get(at)
                && is_free
            {
                ending = Some((number, unit_ms, is_relative));
                at += 1;
            } else {
                return Err(syntax_error());
            }
        }
        if let Some((number, unit_ms, is_relative)) = ending {
            let base = if is_relative { now } else { Millis(0) };
            options.expiry = Expiry::At(end(number, unit_ms, base, "set")?);
        }
        Ok(options)
    }
}

/// The instant that lies `number` units after `base`.
pub(super) fn end(number: &[u8], unit_ms: u64, base: Millis, command: &str) -> Result<Millis, Reply<'static>> {
    let number = parse_i64(number).ok_or_else(not_an_integer)?;
    let after_ms =
        u64::try_from(number).ok().filter(|&number| number > 0).and_then(|number| number.checked_mul(unit_ms));
    let at = after_ms.and_then(|after_ms| after_ms.checked_add(base.0)).filter(|&at| i64::try_from(at).is_ok());
    at.map(Millis).ok_or_else(|| Reply::err(format_args!("invalid expire time in '{command}' command")))
}
