//! Owns the commands that read what is new in several streams, and wait for it: XREAD for everybody who asks, XREADGROUP
//! for one of a group.
//!
//! Must not wait: that is `waiters`.

use super::{
    options::integer,
    stream_options::{id, shown, shown_id},
    syntax_error,
};
use crate::{
    client::Session,
    command::Answer,
    invalidation::note_read,
    server::Server,
    store::{Store, news::Class, stream_entries::Stream},
    waiters::{Waiting, Wish},
};
use slotbus_wire::{
    entry_id::EntryId,
    rdb::Pending,
    resp::{Args, Reply, parse_i64},
};

/// So many entries at most for who has waited for them, unless a count was given.
const AWAITED_MAX: usize = 1000;

/// From where on a stream is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    /// Behind an id.
    Behind(EntryId),
    /// What the group has not read.
    New,
}

/// Who reads for a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The group.
    pub group: Box<[u8]>,
    /// The consumer.
    pub name: Box<[u8]>,
    /// Whether what is delivered needs no acknowledgement.
    pub is_trusted: bool,
}

/// What a request asks for.
struct Reading<'a> {
    timeout_ms: Option<u64>,
    /// 0 for all there is.
    count: usize,
    group: Option<(&'a [u8], &'a [u8])>,
    is_trusted: bool,
    keys: Vec<&'a [u8]>,
    ids: Vec<&'a [u8]>,
}

impl<'a> Reading<'a> {
    fn read(args: Args<'a>, is_for_group: bool, is_scripting: bool) -> Result<Self, Reply<'static>> {
        let (timeout_ms, group) = (None, None);
        let mut reading = Self { timeout_ms, count: 0, group, is_trusted: false, keys: vec![], ids: vec![] };
        let only_for_group = |option: &str| {
            Reply::err(format_args!("The {option} option is only supported by XREADGROUP. You called XREAD instead."))
        };
        let mut at = 1;
        while let Some(option) = args.get(at) {
            let left = args.len() - at - 1;
            match option.to_ascii_lowercase().as_slice() {
                b"block" if left > 0 => {
                    if is_scripting {
                        let name = String::from_utf8_lossy(args.at(0));
                        return Err(Reply::err(format_args!(
                            "{name} command is not allowed with BLOCK option from scripts"
                        )));
                    }
                    reading.timeout_ms = Some(timeout(args.at(at + 1))?);
                    at += 1;
                }
                b"count" if left > 0 => {
                    reading.count = usize::try_from(integer(args.at(at + 1))?).unwrap_or_default();
                    at += 1;
                }
                b"streams" if left > 0 => {
                    if !left.is_multiple_of(2) {
                        return Err(Reply::err(
                            "Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.",
                        ));
                    }
                    reading.keys = args.from(at + 1).take(left / 2).collect();
                    reading.ids = args.from(at + 1 + left / 2).collect();
                    break;
                }
                b"group" if left > 1 => {
                    if !is_for_group {
                        return Err(only_for_group("GROUP"));
                    }
                    reading.group = Some((args.at(at + 1), args.at(at + 2)));
                    at += 2;
                }
                b"noack" => {
                    if !is_for_group {
                        return Err(only_for_group("NOACK"));
                    }
                    reading.is_trusted = true;
                }
                _ => return Err(syntax_error()),
            }
            at += 1;
        }
        if reading.keys.is_empty() {
            return Err(syntax_error());
        }
        if is_for_group && reading.group.is_none() {
            return Err(Reply::err("Missing GROUP option for XREADGROUP"));
        }
        Ok(reading)
    }

    /// From where on each stream is read.
    fn starts(&self, store: &mut Store) -> Result<Vec<From>, Reply<'static>> {
        let mut starts = Vec::with_capacity(self.keys.len());
        for (key, text) in self.keys.iter().zip(&self.ids) {
            let stream = store.read::<Stream>(key)?;
            if let Some((name, _)) = self.group
                && stream.is_none_or(|stream| stream.group(name).is_none())
            {
                return Err(no_group(key, name, " in XREADGROUP with GROUP option"));
            }
            starts.push(match (*text, self.group) {
                (b"$", Some(_)) => return Err(Reply::err(MEANINGLESS)),
                (b"$", None) => From::Behind(stream.map_or(EntryId::MIN, Stream::last)),
                (b">", Some(_)) => From::New,
                (b">", None) => {
                    return Err(Reply::err(
                        "The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> \
                         option.",
                    ));
                }
                (text, group) => match id(text)? {
                    // redis-server holds the greatest id for what the group has not read.
                    EntryId::MAX if group.is_some() => From::New,
                    id => From::Behind(id),
                },
            });
        }
        Ok(starts)
    }
}

const MEANINGLESS: &str = "The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this \
    consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty result \
    set.";

/// What is told of a group that is not there.
pub(super) fn no_group(key: &[u8], group: &[u8], where_from: &str) -> Reply<'static> {
    let [key, group] = [key, group].map(|name| crate::dispatch::shown(name, usize::MAX));
    Reply::error(format!("NOGROUP No such key '{key}' or consumer group '{group}'{where_from}"))
}

/// For how many milliseconds to wait; 0 for ever.
fn timeout(text: &[u8]) -> Result<u64, Reply<'static>> {
    let millis = parse_i64(text).ok_or_else(|| Reply::err("timeout is not an integer or out of range"))?;
    u64::try_from(millis).map_err(|_| Reply::err("timeout is negative"))
}

pub(super) fn xread<'e>(server: &'e mut Server, session: &mut Session, args: Args<'e>) -> Reply<'e> {
    let reply = read(server, session, args, false).unwrap_or_else(|refusal| refusal);
    if let Some(command) = session.running {
        note_read(&mut server.tracking, session, command, args);
    }
    reply
}

pub(super) fn xreadgroup<'e>(server: &'e mut Server, session: &mut Session, args: Args<'e>) -> Reply<'e> {
    let reply = read(server, session, args, true).unwrap_or_else(|refusal| refusal);
    server.record_restated();
    reply
}

fn read<'e>(server: &mut Server, session: &mut Session, args: Args<'_>, is_for_group: bool) -> Answer<'e> {
    let reading = Reading::read(args, is_for_group, session.is_scripting)?;
    let starts = reading.starts(&mut server.store)?;
    let member = reading.group.map(|(group, name)| Member {
        group: group.into(),
        name: name.into(),
        is_trusted: reading.is_trusted,
    });
    let mut found = Vec::new();
    for (key, start) in reading.keys.iter().zip(&starts) {
        let entries = match &member {
            Some(member) => serve_member(&mut server.store, key, *start, member, reading.count),
            None => serve(&mut server.store, key, *start, reading.count),
        };
        found.extend(entries.map(|entries| (Reply::bulk(key.to_vec()), entries)));
    }
    if !found.is_empty() {
        return Ok(Reply::Nested(found));
    }
    let Some(timeout_ms) = reading.timeout_ms.filter(|_| !session.is_executing) else { return Ok(Reply::NullArray) };
    let count = if reading.count == 0 { AWAITED_MAX } else { reading.count };
    let place = |(key, start): (&&[u8], &From)| {
        let From::Behind(id) = start else { return None };
        Some((Box::from(*key), *id))
    };
    let wish = match member {
        Some(member) => Wish::Share(member, count),
        None => Wish::Entries(reading.keys.iter().zip(&starts).filter_map(place).collect(), count),
    };
    let waiting = Waiting {
        keys: reading.keys.iter().copied().map(Box::from).collect(),
        wish,
        timeout_ms: Some(timeout_ms).filter(|&timeout_ms| timeout_ms > 0),
    };
    server.have_wait(session, waiting);
    Ok(Reply::Silence)
}

/// The entries behind an id, if there is one.
fn serve(store: &mut Store, key: &[u8], start: From, count: usize) -> Option<Reply<'static>> {
    let (Ok(Some(stream)), From::Behind(id)) = (store.read::<Stream>(key), start) else { return None };
    if stream.top()? <= id {
        return None;
    }
    Some(behind(stream, id, count))
}

/// The entries behind an id; 0 for all of them.
pub(super) fn behind(stream: &Stream, id: EntryId, count: usize) -> Reply<'static> {
    let entries = id.next().map(|from| stream.range(from, EntryId::MAX));
    let count = if count == 0 { usize::MAX } else { count };
    Reply::Array(entries.into_iter().flatten().take(count).map(|entry| shown(&entry).into_owned()).collect())
}

/// What a consumer gets, now that it asks; nothing if there is nothing new.
fn serve_member(store: &mut Store, key: &[u8], start: From, member: &Member, count: usize) -> Option<Reply<'static>> {
    let stream = store.read::<Stream>(key).ok()??;
    let group = stream.group(&member.group)?;
    let is_new = stream.top().is_some_and(|top| top > group.last);
    if start == From::New && !is_new {
        return None;
    }
    see(store, key, member);
    match start {
        From::Behind(id) => history(store, key, id, member, count),
        From::New => Some(deliver(store, key, member, count)),
    }
}

/// Takes note that a consumer asks, who may be new.
fn see(store: &mut Store, key: &[u8], member: &Member) {
    let now_ms = store.fresh_ms().cast_signed();
    let see = |stream: &mut Stream, _: &_| stream.see_consumer(&member.group, &member.name, now_ms);
    if store.alter(key, see) == Ok(Some(true)) {
        store.news.changes += 1;
        store.news.tell(Class::STREAM, "xgroup-createconsumer", key);
        if member.is_trusted {
            store.restate([b"XGROUP".as_slice(), b"CREATECONSUMER", key, &member.group, &member.name]);
        }
    }
}

/// What was delivered to a consumer behind an id, and not acknowledged; entries that are gone are told, too.
fn history(store: &mut Store, key: &[u8], id: EntryId, member: &Member, count: usize) -> Option<Reply<'static>> {
    let stream = store.former_of::<Stream>(key).ok()??;
    let consumer = stream.group(&member.group)?.consumers.get(&*member.name)?;
    let count = if count == 0 { usize::MAX } else { count };
    let (mut replies, mut again) = (Vec::new(), Vec::new());
    for &id in id.next().map(|from| consumer.pending.range(from..)).into_iter().flatten().take(count) {
        replies.push(match stream.get(id) {
            Some(entry) => {
                again.push(id);
                shown(&entry).into_owned()
            }
            None => Reply::Array(vec![shown_id(id), Reply::NullArray]),
        });
    }
    let now_ms = store.fresh_ms().cast_signed();
    let _ = store.alter(key, |stream, _| stream.deliver_again(&member.group, &again, now_ms));
    store.news.changes += 1;
    Some(Reply::Array(replies))
}

/// Delivers what is new to a consumer who is there.
fn deliver(store: &mut Store, key: &[u8], member: &Member, count: usize) -> Reply<'static> {
    let now_ms = store.fresh_ms().cast_signed();
    let (group, keeps) = (&*member.group, !member.is_trusted);
    let outcome = store.alter(key, |stream, _| {
        let last = stream.group(group)?.last;
        let most = if count == 0 { usize::MAX } else { count };
        let new = last.next().map(|from| stream.range(from, EntryId::MAX));
        let ids: Vec<EntryId> = new.into_iter().flatten().take(most).map(|entry| entry.id).collect();
        let reply = behind(stream, last, count);
        stream.deliver(group, &member.name, &ids, keeps, now_ms);
        let group = stream.group(group)?;
        Some((reply, ids, group.last, group.read))
    });
    let Ok(Some(Some((reply, ids, last, read)))) = outcome else { return Reply::Array(vec![]) };
    store.news.changes += 1;
    if keeps {
        for id in &ids {
            // As of its delivery, the group had read up to it.
            let pending = Pending { consumer: (&*member.name).into(), delivered_ms: now_ms, count: 1 };
            restate_claim(store, [key, group], *id, &pending, *id);
        }
    } else if !ids.is_empty() {
        restate_group(store, [key, group], last, read);
    }
    reply
}

/// A pending entry as the request that makes it so on any copy of the stream.
pub(super) fn restate_claim(store: &mut Store, names: [&[u8]; 2], id: EntryId, pending: &Pending, last: EntryId) {
    let [key, group] = names;
    let (id, time, count, last) =
        (id.to_string(), pending.delivered_ms.to_string(), pending.count.cast_signed().to_string(), last.to_string());
    let head = [b"XCLAIM".as_slice(), key, group, &pending.consumer, b"0", id.as_bytes(), b"TIME", time.as_bytes()];
    let tail = [b"RETRYCOUNT".as_slice(), count.as_bytes(), b"FORCE", b"JUSTID", b"LASTID".as_slice(), last.as_bytes()];
    store.restate(head.into_iter().chain(tail));
}

/// Up to where a group has read, as the request that makes it so on any copy of the stream.
pub(super) fn restate_group(store: &mut Store, names: [&[u8]; 2], last: EntryId, read: i64) {
    let [key, group] = names;
    let (last, read) = (last.to_string(), read.to_string());
    store.restate([b"XGROUP".as_slice(), b"SETID", key, group, last.as_bytes(), b"ENTRIESREAD", read.as_bytes()]);
}

/// What a client that waits gets from a stream, behind an id; nothing if there is nothing new.
pub(crate) fn grant_entries(store: &mut Store, key: &[u8], id: EntryId, count: usize) -> Option<Reply<'static>> {
    let Ok(Some(stream)) = store.former_of::<Stream>(key) else { return None };
    (stream.last() > id).then(|| nested(key, behind(stream, id, count)))
}

/// What a client that waits gets of what is new to its group; nothing if there is nothing.
pub(crate) fn grant_share(
    store: &mut Store,
    key: &[u8],
    member: &Member,
    count: usize,
) -> Result<Option<Reply<'static>>, Reply<'static>> {
    let Ok(Some(stream)) = store.former_of::<Stream>(key) else {
        return Err(Reply::error("UNBLOCKED the stream key no longer exists"));
    };
    let Some(last) = stream.group(&member.group).map(|group| group.last) else {
        return Err(Reply::error("NOGROUP the consumer group this client was blocked on no longer exists"));
    };
    if stream.last() <= last {
        return Ok(None);
    }
    see(store, key, member);
    Ok(Some(nested(key, deliver(store, key, member, count))))
}

fn nested(key: &[u8], entries: Reply<'static>) -> Reply<'static> {
    Reply::Nested(vec![(Reply::bulk(key.to_vec()), entries)])
}
