//! Owns the commands that carry a value from server to server: DUMP and RESTORE.

use super::{keyspace::drop_key, not_an_integer, syntax_error};
use crate::{
    command::Answer,
    store::{Store, entry::Used, eviction::Eviction, news::Class, value::Value},
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
        // redis-server takes the sum of both for an instant before the epoch.
        after if i64::try_from(now.0.saturating_add(after)).is_err() => Some(Millis(0)),
        after => Some(now.after(after)),
    };
    if end.is_some_and(|end| end <= now) {
        drop_key(store, key);
    } else {
        store.put(key, value, end);
        if let Some(used) = options.used(store) {
            store.set_used(key, used);
        }
        store.news.tell(Class::GENERIC, "restore", key);
    }
    Ok(Reply::OK)
}

/// What may follow the payload in RESTORE.
#[derive(Default)]
struct Options {
    replaces: bool,
    is_absolute: bool,
    /// For how many seconds the key was not used.
    idle_s: Option<i64>,
    /// The counter of its uses.
    frequency: Option<i64>,
}

impl Options {
    /// The use that the key is restored with, if that is said in the form that the eviction policy wants.
    fn used(&self, store: &Store) -> Option<Used> {
        if store.eviction.counts_use() {
            self.frequency
                .and_then(|frequency| u8::try_from(frequency).ok())
                .map(|count| Eviction::of_count(count, store.now))
        } else {
            self.idle_s.map(|seconds| Eviction::of_idleness(u32::try_from(seconds).unwrap_or(u32::MAX), store.now))
        }
    }

    fn read(args: Args<'_>) -> Result<Self, Reply<'static>> {
        const FREQUENCY_MAX: i64 = 255;
        let mut options = Self::default();
        let mut at = 0;
        while let Some(option) = args.get(at) {
            let number = args.get(at + 1).map(|number| parse_i64(number).ok_or_else(not_an_integer));
            at += 1;
            match (option.to_ascii_lowercase().as_slice(), number) {
                (b"replace", _) => options.replaces = true,
                (b"absttl", _) => options.is_absolute = true,
                (b"idletime", Some(seconds)) if options.frequency.is_none() => {
                    let seconds = seconds?;
                    if seconds < 0 {
                        return Err(Reply::err("Invalid IDLETIME value, must be >= 0"));
                    }
                    options.idle_s = Some(seconds);
                    at += 1;
                }
                (b"freq", Some(frequency)) if options.idle_s.is_none() => {
                    let frequency = frequency?;
                    if !(0..=FREQUENCY_MAX).contains(&frequency) {
                        return Err(Reply::err("Invalid FREQ value, must be >= 0 and <= 255"));
                    }
                    options.frequency = Some(frequency);
                    at += 1;
                }
                _ => return Err(syntax_error()),
            }
        }
        Ok(options)
    }
}
