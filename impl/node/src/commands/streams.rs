//! Owns the commands about the entries of streams. Those that read several streams are in `stream_reads`.

use super::{
    stream_options::{Adding, count, first, id, ids, last, shown},
    syntax_error,
};
use crate::{
    command::Answer,
    store::{
        Store,
        limits::Limits,
        news::Class,
        stream_entries::{ENTRY_BYTES_MAX, Stream},
        stream_trim::{Bound, Trim},
    },
};
use slotbus_wire::{
    entry_id::{EntryId, Wanted},
    resp::{Args, Reply},
};

/// Where a stream that was trimmed begins, in the words in which the bound was given.
fn bound_now(stream: &Stream, bound: Bound) -> Bound {
    match bound {
        Bound::Len(_) => Bound::Len(stream.len()),
        Bound::Id(_) => Bound::Id(stream.edge()),
    }
}

/// What came of adding an entry.
struct Added {
    id: EntryId,
    gone: u64,
    bound: Bound,
}

pub(super) fn xadd<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let adding = Adding::read(args, true)?;
    let trim = adding.trim(store.repeats(), store.limits.stream_block_len_max)?;
    let fields_at = adding.id_at + 1;
    let words = args.len().saturating_sub(fields_at);
    if words < 2 || !words.is_multiple_of(2) {
        return Err(Reply::err("wrong number of arguments for 'xadd' command"));
    }
    if adding.wanted == Some(Wanted::Id(EntryId::MIN)) {
        return Err(Reply::err("The ID specified in XADD must be greater than 0-0"));
    }
    let (key, wanted, now_ms) = (args.at(1), adding.wanted, store.fresh_ms());
    let fields: Vec<(&[u8], &[u8])> = args.pairs(fields_at).collect();
    let add = |stream: &mut Stream, limits: &Limits| -> Result<Added, Reply<'static>> {
        let id = new_id(stream, wanted, now_ms, &fields)?;
        stream.append(id, &fields, limits);
        let gone = trim.map_or(0, |trim| stream.trim(trim));
        let bound = bound_now(stream, trim.map_or(Bound::Len(0), |trim| trim.bound));
        Ok(Added { id, gone, bound })
    };
    let mut added = store.alter(key, add)?;
    if added.is_none() && !adding.is_for_existing {
        store.create_stream(key);
        added = store.alter(key, add)?;
    }
    let Some(Added { id, gone, bound }) = added.transpose()? else { return Ok(Reply::Null) };
    store.news.tell(Class::STREAM, "xadd", key);
    if gone > 0 {
        store.news.tell(Class::STREAM, "xtrim", key);
    }
    store.news.changed(key);
    let made = Some(id).filter(|_| !matches!(wanted, Some(Wanted::Id(_))));
    if adding.is_rough() || made.is_some() {
        let words = adding.restated(args, made, bound);
        store.restate(words.iter().map(|word| &**word));
    }
    Ok(Reply::text(id.to_string()))
}

/// The id of an entry to be added, or why it cannot be.
fn new_id(
    stream: &Stream,
    wanted: Option<Wanted>,
    now_ms: u64,
    fields: &[(&[u8], &[u8])],
) -> Result<EntryId, Reply<'static>> {
    if stream.last() == EntryId::MAX {
        return Err(Reply::err("The stream has exhausted the last possible ID, unable to add more items"));
    }
    let id = stream
        .next_id(wanted, now_ms)
        .ok_or_else(|| Reply::err("The ID specified in XADD is equal or smaller than the target stream top item"))?;
    if fields.iter().map(|(field, value)| field.len() + value.len()).sum::<usize>() > ENTRY_BYTES_MAX {
        return Err(Reply::err("Elements are too large to be stored"));
    }
    Ok(id)
}

pub(super) fn xlen<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let len = store.read::<Stream>(args.at(1))?.map_or(0, Stream::len);
    Ok(Reply::Integer(len.cast_signed()))
}

pub(super) fn xrange<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let range = (first(args.at(2))?, last(args.at(3))?);
    let count = range_count(args)?;
    let Some(stream) = store.read::<Stream>(args.at(1))? else { return Ok(Reply::Array(vec![])) };
    if count == 0 {
        return Ok(Reply::NullArray);
    }
    Ok(Reply::Array(stream.range(range.0, range.1).take(count).map(|entry| shown(&entry)).collect()))
}

pub(super) fn xrevrange<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let range = (first(args.at(3))?, last(args.at(2))?);
    let count = range_count(args)?;
    let Some(stream) = store.read::<Stream>(args.at(1))? else { return Ok(Reply::Array(vec![])) };
    if count == 0 {
        return Ok(Reply::NullArray);
    }
    Ok(Reply::Array(stream.range_back(range.0, range.1).take(count).map(|entry| shown(&entry)).collect()))
}

/// The option COUNT behind a range.
fn range_count(args: Args<'_>) -> Result<usize, Reply<'static>> {
    let (mut most, mut at) = (usize::MAX, 4);
    while let Some(option) = args.get(at) {
        let number = args.get(at + 1).filter(|_| option.eq_ignore_ascii_case(b"count")).ok_or_else(syntax_error)?;
        most = count(number, 0)?;
        at += 2;
    }
    Ok(most)
}

pub(super) fn xdel<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let key = args.at(1);
    if store.former_of::<Stream>(key)?.is_none() {
        return Ok(Reply::Integer(0));
    }
    let ids = ids(args.from(2))?;
    let gone = store.alter(key, |stream, _| stream.delete(&ids))?.unwrap_or_default();
    if gone > 0 {
        changed_by(store, "xdel", key, gone as u64);
    }
    Ok(Reply::count(gone))
}

/// Tells that entries of a stream are gone: who watches it is to know, and nobody waits for that.
fn changed_by(store: &mut Store, event: &'static str, key: &[u8], count: u64) {
    store.news.tell(Class::STREAM, event, key);
    store.news.revise(key);
    store.news.changes += count;
}

pub(super) fn xtrim<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let adding = Adding::read(args, false)?;
    let trim = adding.trim(store.repeats(), store.limits.stream_block_len_max)?;
    let Some(trim) = trim else {
        return Err(Reply::err("syntax error, XTRIM must be called with a trimming strategy"));
    };
    let key = args.at(1);
    let outcome = store.alter(key, |stream, _| trimmed(stream, trim))?;
    let Some((gone, bound)) = outcome.filter(|(gone, _)| *gone > 0) else { return Ok(Reply::Integer(0)) };
    changed_by(store, "xtrim", key, gone);
    if adding.is_rough() {
        let words = adding.restated(args, None, bound);
        store.restate(words.iter().map(|word| &**word));
    }
    Ok(Reply::Integer(gone.cast_signed()))
}

fn trimmed(stream: &mut Stream, trim: Trim) -> (u64, Bound) {
    let gone = stream.trim(trim);
    (gone, bound_now(stream, trim.bound))
}

pub(super) fn xsetid<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let last = id(args.at(2))?;
    let (mut added, mut max_deleted, mut at) = (None, EntryId::MIN, 3);
    while let Some(option) = args.get(at) {
        let value = args.get(at + 1);
        match (option.to_ascii_lowercase().as_slice(), value) {
            (b"entriesadded", Some(number)) => {
                let number = super::options::integer(number)?;
                let negative = |_| Reply::err("entries_added must be positive");
                added = Some(u64::try_from(number).map_err(negative)?);
            }
            (b"maxdeletedid", Some(text)) => {
                max_deleted = id(text)?;
                if last < max_deleted {
                    return Err(Reply::err(
                        "The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
                    ));
                }
            }
            _ => return Err(syntax_error()),
        }
        at += 2;
    }
    let key = args.at(1);
    let Some(stream) = store.former_of::<Stream>(key)? else { return Err(Reply::err("no such key")) };
    if stream.top().is_some_and(|top| last < top) {
        return Err(Reply::err("The ID specified in XSETID is smaller than the target stream top item"));
    }
    if !stream.is_empty() && added.is_some_and(|added| stream.len() > added) {
        return Err(Reply::err("The entries_added specified in XSETID is smaller than the target stream length"));
    }
    let max_deleted = Some(max_deleted).filter(|id| *id != EntryId::MIN);
    store.alter(key, |stream, _| stream.set_ids(last, added, max_deleted))?;
    store.news.changes += 1;
    store.news.tell(Class::STREAM, "xsetid", key);
    Ok(Reply::OK)
}
