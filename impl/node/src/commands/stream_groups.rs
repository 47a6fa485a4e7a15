//! Owns the commands about the groups of a stream, and about what is pending in them: XGROUP, XACK, XPENDING.

use super::{
    cluster::no_such_form,
    help_of,
    options::integer,
    stream_options::{count, first, id, ids, last, shown_id},
    stream_reads::no_group,
    syntax_error,
};
use crate::{
    command::Answer,
    dispatch::shown,
    store::{Store, news::Class, stream_entries::Stream, stream_groups::UNKNOWN},
};
use slotbus_wire::{
    entry_id::EntryId,
    rdb::{Group, Pending},
    resp::{Args, Reply},
};

pub(super) fn help<'e>(_: &'e mut Store, _: Args<'e>) -> Answer<'e> {
    Ok(help_of(
        "XGROUP",
        &[
            ("CREATE <key> <group> <id|$> [MKSTREAM] [ENTRIESREAD <count>]", "Make a group."),
            ("CREATECONSUMER <key> <group> <consumer>", "Make a consumer."),
            ("DELCONSUMER <key> <group> <consumer>", "Drop a consumer."),
            ("DESTROY <key> <group>", "Drop a group."),
            ("SETID <key> <group> <id|$> [ENTRIESREAD <count>]", "Say up to where a group has read."),
        ],
    ))
}

/// What may follow the id in XGROUP CREATE and XGROUP SETID.
struct Options {
    makes_stream: bool,
    read: i64,
}

impl Options {
    fn read(args: Args<'_>, may_make_stream: bool) -> Result<Self, Reply<'static>> {
        let mut options = Self { makes_stream: false, read: UNKNOWN };
        let mut at = 5;
        while let Some(option) = args.get(at) {
            match (option.to_ascii_lowercase().as_slice(), args.get(at + 1)) {
                (b"mkstream", _) if may_make_stream => options.makes_stream = true,
                (b"entriesread", Some(number)) => {
                    options.read = integer(number)?;
                    if options.read < 0 && options.read != UNKNOWN {
                        return Err(Reply::err("value for ENTRIESREAD must be positive or -1"));
                    }
                    at += 1;
                }
                _ => return Err(no_such_form(args, "XGROUP")),
            }
            at += 1;
        }
        Ok(options)
    }
}

fn no_key() -> Reply<'static> {
    Reply::err(
        "The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to \
         create an empty stream automatically.",
    )
}

/// What is told of a group that is not in a stream which is there.
pub(super) fn no_such_group(key: &[u8], group: &[u8]) -> Reply<'static> {
    let [key, group] = [key, group].map(|name| shown(name, usize::MAX));
    Reply::error(format!("NOGROUP No such consumer group '{group}' for key name '{key}'"))
}

/// The stream of a request of XGROUP; if `needs_group`, with the group that it names.
fn stream<'s>(store: &'s mut Store, args: Args<'_>, needs_group: bool) -> Result<&'s Stream, Reply<'static>> {
    let (key, group) = (args.at(2), args.at(3));
    let stream = store.former_of::<Stream>(key)?.ok_or_else(no_key)?;
    if needs_group && stream.group(group).is_none() {
        return Err(no_such_group(key, group));
    }
    Ok(stream)
}

/// The id of a request of XGROUP.
fn place(args: Args<'_>, stream: Option<&Stream>) -> Result<EntryId, Reply<'static>> {
    if args.at(4) == b"$" { Ok(stream.map_or(EntryId::MIN, Stream::last)) } else { id(args.at(4)) }
}

/// Takes note of a change to a group: nobody watches or awaits that.
fn changed(store: &mut Store, event: &'static str, key: &[u8]) {
    store.news.changes += 1;
    store.news.tell(Class::STREAM, event, key);
}

pub(super) fn create<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let options = Options::read(args, true)?;
    if args.len() > 8 {
        return Err(no_such_form(args, "XGROUP"));
    }
    let (key, group) = (args.at(2), args.at(3));
    let stream = store.former_of::<Stream>(key)?;
    if stream.is_none() && !options.makes_stream {
        return Err(no_key());
    }
    let last = place(args, stream)?;
    if stream.is_none() {
        store.create_stream(key);
        store.news.revise(key);
    }
    if store.alter(key, |stream, _| stream.create_group(group, last, options.read))? != Some(true) {
        return Err(Reply::error("BUSYGROUP Consumer Group name already exists"));
    }
    changed(store, "xgroup-create", key);
    Ok(Reply::OK)
}

pub(super) fn setid<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let options = Options::read(args, false)?;
    let stream = stream(store, args, true)?;
    if args.len() != 5 && args.len() != 7 {
        return Err(no_such_form(args, "XGROUP"));
    }
    // Unlike a new group, one that is there may be set to an end of a range.
    let end = EntryId::parse_end(args.at(4), 0);
    let last = end.map_or_else(|| place(args, Some(stream)), Ok)?;
    store.alter(args.at(2), |stream, _| stream.set_group(args.at(3), last, options.read))?;
    changed(store, "xgroup-setid", args.at(2));
    Ok(Reply::OK)
}

pub(super) fn destroy<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    stream(store, args, false)?;
    let key = args.at(2);
    if store.alter(key, |stream, _| stream.destroy_group(args.at(3)))? != Some(true) {
        return Ok(Reply::Integer(0));
    }
    changed(store, "xgroup-destroy", key);
    // Who waits for the group is to know that it is gone.
    store.news.make_ready(key);
    Ok(Reply::Integer(1))
}

pub(super) fn createconsumer<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    stream(store, args, true)?;
    let now_ms = store.fresh_ms().cast_signed();
    let is_new = store.alter(args.at(2), |stream, _| stream.create_consumer(args.at(3), args.at(4), now_ms))?;
    if is_new == Some(true) {
        changed(store, "xgroup-createconsumer", args.at(2));
    }
    Ok(Reply::Integer((is_new == Some(true)).into()))
}

pub(super) fn delconsumer<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    stream(store, args, true)?;
    let count = store.alter(args.at(2), |stream, _| stream.delete_consumer(args.at(3), args.at(4)))?.flatten();
    if count.is_some() {
        changed(store, "xgroup-delconsumer", args.at(2));
    }
    Ok(Reply::count(count.unwrap_or_default()))
}

pub(super) fn xack<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let (key, group) = (args.at(1), args.at(2));
    if store.read::<Stream>(key)?.is_none_or(|stream| stream.group(group).is_none()) {
        return Ok(Reply::Integer(0));
    }
    let ids = ids(args.from(3))?;
    let count = store.alter(key, |stream, _| stream.acknowledge(group, &ids))?.unwrap_or_default();
    store.news.changes += count as u64;
    Ok(Reply::count(count))
}

/// Which pending entries XPENDING lists.
struct Selection<'a> {
    idle_min_ms: i64,
    range: (EntryId, EntryId),
    count: usize,
    consumer: Option<&'a [u8]>,
}

impl<'a> Selection<'a> {
    fn read(args: Args<'a>) -> Result<Self, Reply<'static>> {
        let (mut at, mut idle_min_ms) = (3, 0);
        if args.at(at).eq_ignore_ascii_case(b"idle") {
            idle_min_ms = integer(args.at(at + 1))?;
            if args.len() < 8 {
                return Err(syntax_error());
            }
            at += 2;
        }
        let count = count(args.at(at + 2), 0)?;
        let range = (first(args.at(at))?, last(args.at(at + 1))?);
        Ok(Self { idle_min_ms, range, count, consumer: args.get(at + 3) })
    }
}

pub(super) fn xpending<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let selection = match args.len() {
        3 => None,
        6..=9 => Some(Selection::read(args)?),
        _ => return Err(syntax_error()),
    };
    let (key, name) = (args.at(1), args.at(2));
    let now_ms = store.fresh_ms().cast_signed();
    let group = store.read::<Stream>(key)?.and_then(|stream| stream.group(name));
    let group = group.ok_or_else(|| no_group(key, name, ""))?;
    Ok(match selection {
        None => overview(group),
        Some(selection) => pending(group, &selection, now_ms),
    })
}

/// How much is pending, from where to where, and for whom.
fn overview(group: &Group) -> Reply<'static> {
    let (Some((first, _)), Some((last, _))) = (group.pending.first_key_value(), group.pending.last_key_value()) else {
        return Reply::Array(vec![Reply::Integer(0), Reply::Null, Reply::Null, Reply::NullArray]);
    };
    let consumers =
        group.consumers.iter().filter(|(_, consumer)| !consumer.pending.is_empty()).map(|(name, consumer)| {
            Reply::Array(vec![Reply::bulk(name.to_vec()), Reply::text(consumer.pending.len().to_string())])
        });
    let count = Reply::count(group.pending.len());
    Reply::Array(vec![count, shown_id(*first), shown_id(*last), Reply::Array(consumers.collect())])
}

fn pending(group: &Group, selection: &Selection<'_>, now_ms: i64) -> Reply<'static> {
    let (from, to) = selection.range;
    let idle_ms = |pending: &Pending| now_ms.wrapping_sub(pending.delivered_ms);
    let is_fit = |pending: &Pending| selection.idle_min_ms == 0 || idle_ms(pending) >= selection.idle_min_ms;
    let one = |(id, pending): (&EntryId, &Pending)| {
        Reply::Array(vec![
            shown_id(*id),
            Reply::bulk(pending.consumer.to_vec()),
            Reply::Integer(idle_ms(pending).max(0)),
            Reply::Integer(pending.count.cast_signed()),
        ])
    };
    if from > to {
        return Reply::Array(vec![]);
    }
    let found: Vec<Reply<'static>> = match selection.consumer.map(|name| group.consumers.get(name)) {
        Some(None) => vec![],
        Some(Some(consumer)) => {
            let own = consumer.pending.range(from..=to).filter_map(|id| group.pending.get_key_value(id));
            own.filter(|(_, pending)| is_fit(pending)).take(selection.count).map(one).collect()
        }
        None => {
            let all = group.pending.range(from..=to).filter(|(_, pending)| is_fit(pending));
            all.take(selection.count).map(one).collect()
        }
    };
    Reply::Array(found)
}
