//! Owns the commands about how values are held: OBJECT and MEMORY.

use super::{help_of, info::resident_bytes, options::integer, syntax_error};
use crate::{
    client::Session,
    command::Answer,
    server::Server,
    store::{Store, entry::Entry, eviction::Eviction},
};
use slotbus_wire::resp::{Args, Reply, parse_i64};

const NOT_COUNTED: &str = "An LFU maxmemory policy is not selected, access frequency not tracked. Please note that \
    when switching between policies at runtime LRU and LFU data will take some time to adjust.";
const NOT_TIMED: &str = "An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching \
    between policies at runtime LRU and LFU data will take some time to adjust.";

pub(super) fn help<'e>(_: &'e mut Store, _: Args<'e>) -> Answer<'e> {
    Ok(help_of(
        "OBJECT",
        &[
            ("ENCODING <key>", "The form in which a value is held."),
            ("FREQ <key>", "How often a key is used."),
            ("IDLETIME <key>", "For how many seconds a key was not used."),
            ("REFCOUNT <key>", "How many share a value."),
        ],
    ))
}

pub(super) fn help_memory<'e>(_: &'e mut Store, _: Args<'e>) -> Answer<'e> {
    Ok(help_of(
        "MEMORY",
        &[
            ("DOCTOR", "How memory is used, in words."),
            ("MALLOC-STATS", "What the allocator counts."),
            ("PURGE", "Have the allocator give memory back."),
            ("STATS", "How memory is used, in numbers."),
            ("USAGE <key> [SAMPLES <count>]", "How many bytes a key and its value take."),
        ],
    ))
}

pub(super) fn doctor<'e>(server: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    let (keys, data, resident) = (server.store.len(), server.store.bytes(), resident_bytes());
    Reply::Verbatim(format!("{keys} keys take {data} bytes of the {resident} that the process holds.\n").into())
}

pub(super) fn malloc_stats<'e>(_: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    Reply::Verbatim("Stats not supported for the current allocator".into())
}

/// The allocator gives back what it does not need by itself.
pub(super) fn purge<'e>(_: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    Reply::OK
}

pub(super) fn stats<'e>(server: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    let (keys, data) = (server.store.len(), server.store.bytes());
    let resident = usize::try_from(resident_bytes()).unwrap_or(usize::MAX);
    let ratio = |part: usize, whole: usize| Reply::Double(part as f64 / whole.max(1) as f64);
    let fields = [
        ("peak.allocated", Reply::count(resident)),
        ("total.allocated", Reply::count(resident)),
        ("lua.caches", Reply::count(server.scripts.cache.bytes())),
        ("functions.caches", Reply::count(0)),
        ("keys.count", Reply::count(keys)),
        ("keys.bytes-per-key", Reply::count(data / keys.max(1))),
        ("dataset.bytes", Reply::count(data)),
        ("dataset.percentage", Reply::Double(data as f64 * 100.0 / resident.max(1) as f64)),
        ("allocator.resident", Reply::count(resident)),
        ("fragmentation", ratio(resident, data)),
        ("fragmentation.bytes", Reply::count(resident.saturating_sub(data))),
    ];
    Reply::Map(fields.into_iter().map(|(name, value)| (Reply::text(name), value)).collect())
}

/// The entry that a request is about. To look at it is no use of it.
fn entry<'e>(store: &'e Store, args: Args<'_>) -> Option<&'e Entry> {
    store.peek(args.at(2)).filter(|entry| !entry.is_expired(store.now))
}

pub(super) fn encoding<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    Ok(entry(store, args).map_or(Reply::Null, |entry| Reply::text(entry.view().encoding())))
}

/// Small numbers count as shared by everybody, as those do that nobody may change.
pub(super) fn refcount<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    const SHARED_MAX: i64 = 9999;
    let is_shared = |entry: &Entry| {
        let number = entry.view().string().and_then(parse_i64);
        entry.view().encoding() == "int" && number.is_some_and(|number| (0..=SHARED_MAX).contains(&number))
    };
    let count = |entry: &Entry| if is_shared(entry) { i32::MAX.into() } else { 1 };
    Ok(entry(store, args).map_or(Reply::Null, |entry| Reply::Integer(count(entry))))
}

pub(super) fn idletime<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let Some(entry) = entry(store, args) else { return Ok(Reply::Null) };
    if store.eviction.counts_use() {
        return Err(Reply::err(NOT_TIMED));
    }
    Ok(Reply::Integer(Eviction::idle_s(entry.used(), store.now).into()))
}

pub(super) fn freq<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let Some(entry) = entry(store, args) else { return Ok(Reply::Null) };
    if !store.eviction.counts_use() {
        return Err(Reply::err(NOT_COUNTED));
    }
    Ok(Reply::Integer(store.eviction.frequency(entry.used(), store.now).into()))
}

pub(super) fn usage<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    match (args.len(), args.get(3)) {
        (3, _) => {}
        (5, Some(word)) if word.eq_ignore_ascii_case(b"samples") => {
            // What is counted is exact: there is nothing to sample.
            if integer(args.at(4))? < 0 {
                return Err(syntax_error());
            }
        }
        _ => return Err(syntax_error()),
    }
    Ok(entry(store, args).map_or(Reply::Null, |entry| Reply::count(entry.bytes())))
}
