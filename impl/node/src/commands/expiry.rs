//! Owns the commands about when keys expire.

use super::not_an_integer;
use crate::{client::Session, server::Server};
use slotbus_core::Millis;
use slotbus_wire::resp::{Args, Reply, parse_i64};

pub(super) fn expire<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    let base = server.now;
    set_end(server, args, base, 1000, "expire")
}

pub(super) fn pexpire<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    let base = server.now;
    set_end(server, args, base, 1, "pexpire")
}

pub(super) fn expireat<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    set_end(server, args, Millis(0), 1000, "expireat")
}

pub(super) fn pexpireat<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    set_end(server, args, Millis(0), 1, "pexpireat")
}

pub(super) fn persist<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    let (key, now) = (args.at(1), server.now);
    let has_end = server.store.expires_at(key, now).is_some_and(|end| end.is_some());
    Reply::Integer((has_end && server.store.set_end(key, None, now)).into())
}

pub(super) fn ttl<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    let now = server.now;
    tell_end(server, args, |end| (end.since(now) + 500) / 1000)
}

pub(super) fn pttl<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    let now = server.now;
    tell_end(server, args, |end| end.since(now))
}

pub(super) fn expiretime<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    tell_end(server, args, |end| (end.0 + 500) / 1000)
}

pub(super) fn pexpiretime<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    tell_end(server, args, |end| end.0)
}

fn tell_end<'e>(server: &mut Server, args: Args<'e>, show: impl Fn(Millis) -> u64) -> Reply<'e> {
    const NO_KEY: i64 = -2;
    const NO_END: i64 = -1;
    Reply::Integer(match server.store.expires_at(args.at(1), server.now) {
        None => NO_KEY,
        Some(None) => NO_END,
        Some(Some(end)) => i64::try_from(show(end)).unwrap_or(i64::MAX),
    })
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
                    let option = String::from_utf8_lossy(option);
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

fn set_end<'e>(server: &mut Server, args: Args<'e>, base: Millis, unit_ms: i64, command: &str) -> Reply<'e> {
    let conditions = match Conditions::read(args) {
        Ok(conditions) => conditions,
        Err(refusal) => return refusal,
    };
    let Some(number) = parse_i64(args.at(2)) else { return not_an_integer() };
    let base = i64::try_from(base.0).unwrap_or(i64::MAX);
    let Some(end) = number.checked_mul(unit_ms).and_then(|after| after.checked_add(base)) else {
        return Reply::err(format_args!("invalid expire time in '{command}' command"));
    };
    let (key, now) = (args.at(1), server.now);
    let Some(former) = server.store.expires_at(key, now) else { return Reply::Integer(0) };
    if !conditions.allow(former, end) {
        return Reply::Integer(0);
    }
    match u64::try_from(end).map(Millis) {
        Ok(end) if end > now => server.store.set_end(key, Some(end), now),
        Ok(_) | Err(_) => server.store.remove(key, now),
    };
    Reply::Integer(1)
}
