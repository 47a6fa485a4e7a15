//! Owns XINFO: what is told about a stream, its groups and their consumers.

use super::{
    cluster::no_such_form,
    help_of,
    options::integer,
    stream_groups::no_such_group,
    stream_options::{shown, shown_id},
};
use crate::{
    command::Answer,
    store::{Store, stream_entries::Stream, stream_groups::UNKNOWN},
};
use slotbus_wire::{
    entry_id::EntryId,
    rdb::{Consumer, Group, Name},
    resp::{Args, Reply},
};

/// So many entries, and pending ones of each group and consumer, are told unless another number is asked for.
const COUNT: i64 = 10;

pub(super) fn help<'e>(_: &'e mut Store, _: Args<'e>) -> Answer<'e> {
    Ok(help_of(
        "XINFO",
        &[
            ("CONSUMERS <key> <group>", "The consumers of a group."),
            ("GROUPS <key>", "The groups of a stream."),
            ("STREAM <key> [FULL [COUNT <count>]]", "A stream, with all that belongs to it if that is asked for."),
        ],
    ))
}

/// The stream of a request of XINFO.
fn stream<'s>(store: &'s mut Store, args: Args<'_>) -> Result<&'s Stream, Reply<'static>> {
    store.read::<Stream>(args.at(2))?.ok_or_else(|| Reply::err("no such key"))
}

fn map<'e>(fields: Vec<(&'static str, Reply<'e>)>) -> Reply<'e> {
    Reply::Map(fields.into_iter().map(|(name, value)| (Reply::text(name), value)).collect())
}

fn number(number: u64) -> Reply<'static> {
    Reply::Integer(number.cast_signed())
}

pub(super) fn consumers<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let now_ms = store.fresh_ms().cast_signed();
    let group = stream(store, args)?.group(args.at(3)).ok_or_else(|| no_such_group(args.at(2), args.at(3)))?;
    let consumer = |(name, consumer): (&Name, &Consumer)| {
        map(vec![
            ("name", Reply::bulk(name.to_vec())),
            ("pending", Reply::count(consumer.pending.len())),
            ("idle", Reply::Integer(now_ms.wrapping_sub(consumer.seen_ms).max(0))),
        ])
    };
    Ok(Reply::Array(group.consumers.iter().map(consumer).collect()))
}

fn read(group: &Group) -> Reply<'static> {
    if group.read == UNKNOWN { Reply::Null } else { Reply::Integer(group.read) }
}

fn lag(stream: &Stream, group: &Group) -> Reply<'static> {
    stream.lag(group).map_or(Reply::Null, Reply::Integer)
}

pub(super) fn groups<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let stream = stream(store, args)?;
    let groups = stream.groups().iter().map(|(name, group)| {
        map(vec![
            ("name", Reply::bulk(name.to_vec())),
            ("consumers", Reply::count(group.consumers.len())),
            ("pending", Reply::count(group.pending.len())),
            ("last-delivered-id", shown_id(group.last)),
            ("entries-read", read(group)),
            ("lag", lag(stream, group)),
        ])
    });
    Ok(Reply::Array(groups.collect()))
}

/// How many of each kind are told, if all that belongs to a stream is.
fn full(args: Args<'_>) -> Result<Option<usize>, Reply<'static>> {
    let is = |at: usize, word: &[u8]| args.at(at).eq_ignore_ascii_case(word);
    let count = match args.len() {
        3 => return Ok(None),
        4 if is(3, b"full") => COUNT,
        6 if is(3, b"full") && is(4, b"count") => {
            Some(integer(args.at(5))?).filter(|&count| count >= 0).unwrap_or(COUNT)
        }
        _ => return Err(no_such_form(args, "XINFO")),
    };
    // 0 stands for all there is.
    Ok(Some(usize::try_from(count).ok().filter(|&count| count > 0).unwrap_or(usize::MAX)))
}

pub(super) fn about_stream<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let stream = stream(store, args)?;
    let full = full(args)?;
    let parts = stream.parts();
    let mut fields = vec![
        ("length", number(parts.len)),
        ("radix-tree-keys", Reply::count(parts.blocks.len())),
        ("radix-tree-nodes", Reply::count(stream.tree_nodes())),
        ("last-generated-id", shown_id(parts.last)),
        ("max-deleted-entry-id", shown_id(parts.max_deleted)),
        ("entries-added", number(parts.added)),
        ("recorded-first-entry-id", shown_id(parts.first)),
    ];
    let all = (EntryId::MIN, EntryId::MAX);
    match full {
        None => {
            let first = stream.range(all.0, all.1).next();
            let last = stream.range_back(all.0, all.1).next();
            fields.push(("groups", Reply::count(parts.groups.len())));
            fields.push(("first-entry", first.map_or(Reply::Null, |entry| shown(&entry))));
            fields.push(("last-entry", last.map_or(Reply::Null, |entry| shown(&entry))));
        }
        Some(count) => {
            let entries = stream.range(all.0, all.1).take(count).map(|entry| shown(&entry));
            fields.push(("entries", Reply::Array(entries.collect())));
            let groups = parts.groups.iter().map(|(name, group)| about_group(stream, name, group, count));
            fields.push(("groups", Reply::Array(groups.collect())));
        }
    }
    Ok(map(fields))
}

fn about_group(stream: &Stream, name: &[u8], group: &Group, count: usize) -> Reply<'static> {
    let pending = group.pending.iter().take(count).map(|(id, pending)| {
        let (owner, times) = (Reply::bulk(pending.consumer.to_vec()), number(pending.count));
        Reply::Array(vec![shown_id(*id), owner, Reply::Integer(pending.delivered_ms), times])
    });
    let consumers = group.consumers.iter().map(|(name, consumer)| about_consumer(name, consumer, group, count));
    map(vec![
        ("name", Reply::bulk(name.to_vec())),
        ("last-delivered-id", shown_id(group.last)),
        ("entries-read", read(group)),
        ("lag", lag(stream, group)),
        ("pel-count", Reply::count(group.pending.len())),
        ("pending", Reply::Array(pending.collect())),
        ("consumers", Reply::Array(consumers.collect())),
    ])
}

fn about_consumer(name: &[u8], consumer: &Consumer, group: &Group, count: usize) -> Reply<'static> {
    let pending = consumer.pending.iter().take(count).filter_map(|id| {
        let pending = group.pending.get(id)?;
        Some(Reply::Array(vec![shown_id(*id), Reply::Integer(pending.delivered_ms), number(pending.count)]))
    });
    map(vec![
        ("name", Reply::bulk(name.to_vec())),
        ("seen-time", Reply::Integer(consumer.seen_ms)),
        ("pel-count", Reply::count(consumer.pending.len())),
        ("pending", Reply::Array(pending.collect())),
    ])
}
