//! Owns the commands about how values are held: OBJECT.

use super::help_of;
use crate::{
    command::Answer,
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

/// The entry of the key behind a subcommand. To look at it is no use of it.
pub(super) fn entry<'e>(store: &'e Store, args: Args<'_>) -> Option<&'e Entry> {
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
    let may_share = !store.eviction.is_by_use();
    let count = |entry: &Entry| if may_share && is_shared(entry) { i32::MAX.into() } else { 1 };
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
