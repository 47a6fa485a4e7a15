//! Owns the commands that carry a value from server to server: DUMP and RESTORE.

use super::{keyspace::drop_key, not_an_integer, syntax_error};
use crate::{
    command::Answer,
    store::{Store, news::Class, value::Value},
};
use slotbus_core::Millis;
use slotbus_wire::{
    dump::{self, DumpError},
    resp::{Args, Reply, parse_i64},
};

pub(super) fn dump<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let compresses = store.limits.compresses;
    let payload = store.view(args.at(1)).map(|view| dump::dump(view.body(), compresses));
    Ok(payload.map_or(Reply::Null, Reply::bulk))
}

pub(super) fn restore<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let options = Options::read(args.skip(4))?;
    let (key, now) = (args.at(1), store.now);
    if !options.replaces && store.contains(key, now) {
        return Err(Reply::error("BUSYKEY Target key name already exists."));
    }
    let ttl_ms = parse_i64(args.at(2)).ok_or_else(not_an_integer)?;
    let ttl_ms = u64::try_from(ttl_ms).map_err(|_| Reply::err("Invalid TTL value, must be >= 0"))?;
    let value = dump::restore(args.at(3)).map_err(Reply::err)?;
    let value = Value::of_snapshot(value, &store.limits).ok_or_else(|| Reply::err(DumpError::BadFormat))?;
    let end = match ttl_ms {
        0 => None,
        at if options.is_absolute => Some(Millis(at)),
        after => Some(now.after(after)),
    };
    if end.is_some_and(|end| end <= now) {
        drop_key(store, key);
    } else {
        store.put(key, value, end);
        store.news.tell(Class::GENERIC, "restore", key);
    }
    Ok(Reply::OK)
}

/// What may follow the payload in RESTORE. How often or how long ago the key was used is read, and not kept.
#[derive(Default)]
struct Options {
    replaces: bool,
    is_absolute: bool,
}

impl Options {
    fn read(args: Args<'_>) -> Result<Self, Reply<'static>> {
        const FREQUENCY_MAX: i64 = 255;
        let mut options = Self::default();
        let (mut has_idle_time, mut has_frequency) = (false, false);
        let mut at = 0;
        while let Some(option) = args.get(at) {
            let number = args.get(at + 1).map(|number| parse_i64(number).ok_or_else(not_an_integer));
            at += 1;
            match (option.to_ascii_lowercase().as_slice(), number) {
                (b"replace", _) => options.replaces = true,
                (b"absttl", _) => options.is_absolute = true,
                (b"idletime", Some(seconds)) if !has_frequency => {
                    if seconds? < 0 {
                        return Err(Reply::err("Invalid IDLETIME value, must be >= 0"));
                    }
                    has_idle_time = true;
                    at += 1;
                }
                (b"freq", Some(frequency)) if !has_idle_time => {
                    if !(0..=FREQUENCY_MAX).contains(&frequency?) {
                        return Err(Reply::err("Invalid FREQ value, must be >= 0 and <= 255"));
                    }
                    has_frequency = true;
                    at += 1;
                }
                _ => return Err(syntax_error()),
            }
        }
        Ok(options)
    }
}
