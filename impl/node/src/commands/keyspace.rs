//! Owns the commands about keys of any kind.

use super::{
    options::small_integer,
    out_of_databases,
    scan::{self, Filter},
    syntax_error,
};
use crate::{
    command::Answer,
    glob,
    store::{Cursor, Store, entry::Entry, news::Class},
};
use slotbus_wire::resp::{Args, Reply};

const SAME_OBJECT: &str = "source and destination objects are the same";

pub(super) fn del<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    Ok(Reply::count(args.from(1).filter(|key| drop_key(store, key)).count()))
}

/// Drops a key and says so; false if there is none.
pub(super) fn drop_key(store: &mut Store, key: &[u8]) -> bool {
    let is_gone = store.remove(key);
    if is_gone {
        store.news.tell(Class::GENERIC, "del", key);
    }
    is_gone
}

pub(super) fn exists<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    Ok(Reply::count(args.from(1).filter(|key| store.contains(key, store.now)).count()))
}

pub(super) fn touch<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    Ok(Reply::count(args.from(1).filter(|key| store.view(key).is_some()).count()))
}

pub(super) fn dbsize<'e>(store: &'e mut Store, _: Args<'e>) -> Answer<'e> {
    Ok(Reply::count(store.len()))
}

pub(super) fn flush<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let is_known = |mode: &[u8]| mode.eq_ignore_ascii_case(b"sync") || mode.eq_ignore_ascii_case(b"async");
    if args.len() > 2 || !args.from(1).all(is_known) {
        return Err(syntax_error());
    }
    store.clear();
    Ok(Reply::OK)
}

pub(super) fn type_of<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    Ok(Reply::status(store.look(args.at(1)).map_or("none", |view| view.kind())))
}

pub(super) fn keys<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let keys = store.keys(store.now).filter(|key| glob::lists(args.at(1), key));
    Ok(Reply::Array(keys.map(Reply::bulk).collect()))
}

pub(super) fn randomkey<'e>(store: &'e mut Store, _: Args<'e>) -> Answer<'e> {
    Ok(store.random_key().map_or(Reply::Null, Reply::bulk))
}

pub(super) fn scan<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let cursor = Cursor(scan::cursor(args.at(1))?);
    let filter = Filter::read(args.skip(2), true)?;
    let (next, entries) = store.scan(cursor, filter.count, store.now);
    let is_of_kind =
        |entry: &Entry| filter.kind.is_none_or(|kind| kind.eq_ignore_ascii_case(entry.view().kind().as_bytes()));
    let wanted = entries.into_iter().filter(|entry| is_of_kind(entry)).map(Entry::key);
    Ok(scan::portion(next.0, wanted.filter(|key| filter.takes(key)).map(Reply::bulk)))
}

pub(super) fn rename<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    move_key(store, args.at(1), args.at(2), true).map(|_| Reply::OK)
}

pub(super) fn renamenx<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    move_key(store, args.at(1), args.at(2), false).map(|is_moved| Reply::Integer(is_moved.into()))
}

fn move_key(store: &mut Store, from: &[u8], to: &[u8], replaces: bool) -> Result<bool, Reply<'static>> {
    let now = store.now;
    if !store.contains(from, now) {
        return Err(Reply::err("no such key"));
    }
    if from == to || !replaces && store.contains(to, now) {
        return Ok(false);
    }
    if let Some(entry) = store.take(from) {
        store.remove(to);
        store.put_entry(entry.with_key(to));
        store.news.tell(Class::GENERIC, "rename_from", from);
        store.news.tell(Class::GENERIC, "rename_to", to);
    }
    Ok(true)
}

pub(super) fn move_to_database<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    refuse_in_cluster(store, "MOVE")?;
    match small_integer(args.at(2))? {
        0 => Err(Reply::err(SAME_OBJECT)),
        _ => Err(out_of_databases()),
    }
}

pub(super) fn swapdb<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    refuse_in_cluster(store, "SWAPDB")?;
    let index = |at, refusal| small_integer(args.at(at)).map_err(|_| Reply::err(refusal));
    match (index(1, "invalid first DB index")?, index(2, "invalid second DB index")?) {
        (0, 0) => Ok(Reply::OK),
        _ => Err(out_of_databases()),
    }
}

fn refuse_in_cluster(store: &Store, command: &str) -> Result<(), Reply<'static>> {
    let refusal = || Reply::err(format_args!("{command} is not allowed in cluster mode"));
    if store.limits.is_clustered { Err(refusal()) } else { Ok(()) }
}

pub(super) fn copy<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let (mut replaces, mut database, mut at) = (false, 0, 3);
    while let Some(option) = args.get(at) {
        match (option.to_ascii_lowercase().as_slice(), args.get(at + 1)) {
            (b"replace", _) => replaces = true,
            (b"db", Some(number)) => {
                database = small_integer(number)?;
                check_database(store, database)?;
                at += 1;
            }
            _ => return Err(syntax_error()),
        }
        at += 1;
    }
    if database != 0 {
        return Err(Reply::err("Copying to another database is not allowed in cluster mode"));
    }
    let (from, to, now) = (args.at(1), args.at(2), store.now);
    if from == to {
        return Err(Reply::err(SAME_OBJECT));
    }
    let may = store.contains(from, now) && (replaces || !store.contains(to, now));
    let entry = store.peek(from).filter(|_| may).cloned();
    let is_done = entry.is_some();
    if let Some(entry) = entry {
        store.put_entry(entry.with_key(to));
        store.news.tell(Class::GENERIC, "copy_to", to);
    }
    Ok(Reply::Integer(is_done.into()))
}

/// There is one database; but in a cluster it is the cluster that is given as the reason.
fn check_database(store: &Store, database: i32) -> Result<(), Reply<'static>> {
    let databases = if store.limits.is_clustered { 16 } else { 1 };
    if (0..databases).contains(&database) { Ok(()) } else { Err(out_of_databases()) }
}
