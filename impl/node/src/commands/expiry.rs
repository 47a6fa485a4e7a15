//! Owns the commands about when keys expire.

use super::{keyspace::drop_key, not_an_integer};
use crate::{
    command::Answer,
    dispatch::shown,
    store::{Store, news::Class},
};
use slotbus_core::Millis;
use slotbus_wire::resp::{Args, Reply, parse_i64};

pub(super) fn expire<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    set_end(store, args, store.now, 1000, "expire")
}

pub(super) fn pexpire<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    set_end(store, args, store.now, 1, "pexpire")
}

pub(super) fn expireat<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    set_end(store, args, Millis(0), 1000, "expireat")
}

pub(super) fn pexpireat<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    set_end(store, args, Millis(0), 1, "pexpireat")
}

pub(super) fn persist<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    Ok(Reply::Integer(stay(store, args.at(1)).into()))
}

/// Takes a key's end away; false if it has none.
pub(super) fn stay(store: &mut Store, key: &[u8]) -> bool {
    let had_end = store.expires_at(key).flatten().is_some();
    if had_end && store.set_end(key, None) {
        store.news.tell(Class::GENERIC, "persist", key);
    }
    had_end
}

pub(super) fn ttl<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let now = store.now;
    tell_end(store, args, |end| (end.since(now) + 500) / 1000)
}

pub(super) fn pttl<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let now = store.now;
    tell_end(store, args, |end| end.since(now))
}

pub(super) fn expiretime<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    tell_end(store, args, |end| (end.0 + 500) / 1000)
}

pub(super) fn pexpiretime<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    tell_end(store, args, |end| end.0)
}

fn tell_end<'e>(store: &mut Store, args: Args<'e>, show: impl Fn(Millis) -> u64) -> Answer<'e> {
    const NO_KEY: i64 = -2;
    const NO_END: i64 = -1;
    Ok(Reply::Integer(match store.expires_at(args.at(1)) {
        None => NO_KEY,
        Some(None) => NO_END,
        Some(Some(end)) => i64::try_from(show(end)).unwrap_or(i64::MAX),
    }))
}

/// Under which conditions an end is set.
#[derive(Default)]
struct Conditions {
    has_none: bool,
    has_one: bool,
    is_later: bool,
    is_sooner: bool,
}

impl Conditions {
    fn read(args: Args<'_>) -> Result<Self, Reply<'static>> {
        let mut conditions = Self::default();
        for option in args.from(3) {
            match option.to_ascii_lowercase().as_slice() {
                b"nx" => conditions.has_none = true,
                b"xx" => conditions.has_one = true,
                b"gt" => conditions.is_later = true,
                b"lt" => conditions.is_sooner = true,
                _ => {
                    let option = shown(option, usize::MAX);
                    return Err(Reply::err(format_args!("Unsupported option {option}")));
                }
            }
        }
        if conditions.has_none && (conditions.has_one || conditions.is_later || conditions.is_sooner) {
            return Err(Reply::err("NX and XX, GT or LT options at the same time are not compatible"));
        }
        if conditions.is_later && conditions.is_sooner {
            return Err(Reply::err("GT and LT options at the same time are not compatible"));
        }
        Ok(conditions)
    }

    /// A key without an end lives longer than any other.
    fn allow(&self, former: Option<Millis>, end: i64) -> bool {
        let former = former.map(|end| i64::try_from(end.0).unwrap_or(i64::MAX));
        !(self.has_none && former.is_some()
            || self.has_one && former.is_none()
            || self.is_later && former.is_none_or(|former| end <= former)
            || self.is_sooner && former.is_some_and(|former| end >= former))
    }
}

fn set_end<'e>(store: &mut Store, args: Args<'e>, base: Millis, unit_ms: i64, command: &str) -> Answer<'e> {
    let conditions = Conditions::read(args)?;
    let number = parse_i64(args.at(2)).ok_or_else(not_an_integer)?;
    let base = i64::try_from(base.0).unwrap_or(i64::MAX);
    let Some(end) = number.checked_mul(unit_ms).and_then(|after| after.checked_add(base)) else {
        return Err(Reply::err(format_args!("invalid expire time in '{command}' command")));
    };
    let key = args.at(1);
    let Some(former) = store.expires_at(key) else { return Ok(Reply::Integer(0)) };
    if !conditions.allow(former, end) {
        return Ok(Reply::Integer(0));
    }
    match u64::try_from(end).map(Millis) {
        Ok(end) if end > store.now => {
            store.set_end(key, Some(end));
            store.news.tell(Class::GENERIC, "expire", key);
        }
        Ok(_) | Err(_) => {
            drop_key(store, key);
        }
    }
    Ok(Reply::Integer(1))
}
