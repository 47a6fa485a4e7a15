//! Owns the commands that carry a value from server to server: DUMP and RESTORE.

use super::{not_an_integer, syntax_error};
use crate::{client::Session, server::Server, store::Expiry};
use slotbus_core::Millis;
use slotbus_wire::{
    dump,
    resp::{Args, Reply, parse_i64},
};

pub(super) fn dump<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    server.store.get(args.at(1), server.now).map_or(Reply::Null, |value| Reply::bulk(dump::dump(value)))
}

pub(super) fn restore<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    try_restore(server, args).map_or_else(|refusal| refusal, |()| Reply::OK)
}

fn try_restore(server: &mut Server, args: Args<'_>) -> Result<(), Reply<'static>> {
    let options = Options::read(args.skip(4))?;
    let (key, now) = (args.at(1), server.now);
    if !options.replaces && server.store.contains(key, now) {
        return Err(Reply::error("BUSYKEY Target key name already exists."));
    }
    let ttl_ms = parse_i64(args.at(2)).ok_or_else(not_an_integer)?;
    let ttl_ms = u64::try_from(ttl_ms).map_err(|_| Reply::err("Invalid TTL value, must be >= 0"))?;
    let value = dump::restore(args.at(3)).map_err(Reply::err)?;
    let expiry = match ttl_ms {
        0 => Expiry::Never,
        at if options.is_absolute => Expiry::At(Millis(at)),
        after => Expiry::At(now.after(after)),
    };
    if matches!(expiry, Expiry::At(end) if end <= now) {
        server.store.remove(key, now);
    } else {
        server.store.set(key, &value, expiry);
    }
    Ok(())
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
