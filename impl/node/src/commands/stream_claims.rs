//! Owns the commands by which a consumer takes what is pending for another: XCLAIM, XAUTOCLAIM.

use super::{
    stream_options::{first, id, shown, shown_id},
    stream_reads::{no_group, restate_claim, restate_group},
    syntax_error,
};
use crate::{
    command::Answer,
    dispatch,
    store::{
        Store,
        news::Class,
        stream_entries::Stream,
        stream_groups::{Claim, Terms},
    },
};
use slotbus_wire::{
    entry_id::EntryId,
    resp::{Args, Reply, parse_i64},
};
use std::ops::Bound;

/// A number, which if it is none is refused in words of its own.
fn number(text: &[u8], refusal: &'static str) -> Result<i64, Reply<'static>> {
    parse_i64(text).ok_or_else(|| Reply::err(refusal))
}

/// Claims an entry; what is left of the reply is up to the caller.
fn claim(
    store: &mut Store,
    [key, group]: [&[u8]; 2],
    id: EntryId,
    terms: Terms<'_>,
    is_brief: bool,
) -> Result<(Claim, Reply<'static>), Reply<'static>> {
    let outcome = store.alter(key, |stream, _| {
        let claim = stream.claim(group, id, terms);
        let last = stream.group(group).map_or(EntryId::MIN, |group| group.last);
        let reply = match (&claim, stream.get(id)) {
            (Claim::Taken(..), Some(entry)) if !is_brief => shown(&entry).into_owned(),
            _ => shown_id(id),
        };
        (claim, reply, last)
    })?;
    let Some((claim, reply, last)) = outcome else { return Ok((Claim::None, Reply::Null)) };
    if let Claim::Taken(_, true) = &claim {
        store.news.changes += 1;
        store.news.tell(Class::STREAM, "xgroup-createconsumer", key);
    }
    if let Claim::Taken(pending, _) | Claim::Gone(pending) = &claim {
        store.news.changes += 1;
        restate_claim(store, [key, group], id, pending, last);
    }
    Ok((claim, reply))
}

/// What stands behind the ids of XCLAIM.
#[derive(Default)]
struct Options {
    delivered_ms: Option<i64>,
    count: Option<u64>,
    is_forced: bool,
    is_brief: bool,
    last: EntryId,
}

impl Options {
    fn read(args: Args<'_>, now_ms: i64) -> Result<Self, Reply<'static>> {
        let mut options = Self::default();
        let mut at = 0;
        while let Some(option) = args.get(at) {
            match (option.to_ascii_lowercase().as_slice(), args.get(at + 1)) {
                (b"force", _) => options.is_forced = true,
                (b"justid", _) => options.is_brief = true,
                (b"idle", Some(text)) => {
                    let idle_ms = number(text, "Invalid IDLE option argument for XCLAIM")?;
                    options.delivered_ms = Some(now_ms.wrapping_sub(idle_ms));
                    at += 1;
                }
                (b"time", Some(text)) => {
                    options.delivered_ms = Some(number(text, "Invalid TIME option argument for XCLAIM")?);
                    at += 1;
                }
                (b"retrycount", Some(text)) => {
                    let count = number(text, "Invalid RETRYCOUNT option argument for XCLAIM")?;
                    options.count = u64::try_from(count).ok();
                    at += 1;
                }
                (b"lastid", Some(text)) => {
                    options.last = id(text)?;
                    at += 1;
                }
                _ => {
                    let option = dispatch::shown(option, usize::MAX);
                    return Err(Reply::err(format_args!("Unrecognized XCLAIM option '{option}'")));
                }
            }
            at += 1;
        }
        Ok(options)
    }
}

pub(super) fn xclaim<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    const IDS_AT: usize = 5;
    let (key, group, consumer) = (args.at(1), args.at(2), args.at(3));
    if store.read::<Stream>(key)?.is_none_or(|stream| stream.group(group).is_none()) {
        return Err(no_group(key, group, ""));
    }
    let idle_min_ms = number(args.at(4), "Invalid min-idle-time argument for XCLAIM")?;
    let ids: Vec<EntryId> = args.from(IDS_AT).map_while(|text| EntryId::parse(text, 0)).collect();
    let now_ms = store.fresh_ms().cast_signed();
    let options = Options::read(args.skip(IDS_AT + ids.len()), now_ms)?;
    // An instant that makes no sense is now. What a primary says makes sense: its clock may be ahead of this one.
    let latest_ms = if store.repeats() { i64::MAX } else { now_ms };
    let delivered_ms = options.delivered_ms.filter(|at| (0..=latest_ms).contains(at)).unwrap_or(now_ms);
    let mut is_raised = store.alter(key, |stream, _| stream.raise_group(group, options.last))? == Some(true);
    let terms = Terms {
        consumer,
        idle_min_ms,
        now_ms,
        delivered_ms,
        count: options.count,
        counts: !options.is_brief,
        is_forced: options.is_forced,
    };
    let mut replies = Vec::new();
    for id in ids {
        let (claim, reply) = claim(store, [key, group], id, terms, options.is_brief)?;
        is_raised &= !matches!(claim, Claim::Taken(..) | Claim::Gone(_));
        if matches!(claim, Claim::Taken(..)) {
            replies.push(reply);
        }
    }
    if is_raised && let Some(found) = store.former_of::<Stream>(key)?.and_then(|stream| stream.group(group)) {
        let (last, read) = (found.last, found.read);
        store.news.changes += 1;
        restate_group(store, [key, group], last, read);
    }
    Ok(Reply::Array(replies))
}

pub(super) fn xautoclaim<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    /// So many entries are looked at for each that is wanted.
    const ATTEMPTS: usize = 10;
    let (key, group, consumer) = (args.at(1), args.at(2), args.at(3));
    // A key that is missed is missed before anything else is wrong.
    let has_group = store.read::<Stream>(key).map(|stream| stream.is_some_and(|stream| stream.group(group).is_some()));
    let idle_min_ms = number(args.at(4), "Invalid min-idle-time argument for XAUTOCLAIM")?;
    let from = first(args.at(5))?;
    let (mut count, is_brief) = automatic(args)?;
    if !has_group? {
        return Err(no_group(key, group, ""));
    }
    let now_ms = store.fresh_ms().cast_signed();
    let (delivered_ms, counts) = (now_ms, !is_brief);
    let terms = Terms { consumer, idle_min_ms, now_ms, delivered_ms, count: None, counts, is_forced: false };
    let (mut replies, mut gone) = (Vec::new(), Vec::new());
    let mut attempts = count.saturating_mul(ATTEMPTS);
    let mut next = next_pending(store, key, group, Bound::Included(from))?;
    while let Some(id) = next.filter(|_| attempts > 0 && count > 0) {
        attempts -= 1;
        let (claim, reply) = claim(store, [key, group], id, terms, is_brief)?;
        match claim {
            Claim::Taken(..) => {
                replies.push(reply);
                count -= 1;
            }
            Claim::Gone(_) => {
                gone.push(shown_id(id));
                count -= 1;
            }
            Claim::Young | Claim::None => {}
        }
        next = next_pending(store, key, group, Bound::Excluded(id))?;
    }
    let next = shown_id(next.unwrap_or(EntryId::MIN));
    Ok(Reply::Array(vec![next, Reply::Array(replies), Reply::Array(gone)]))
}

fn next_pending(
    store: &mut Store,
    key: &[u8],
    group: &[u8],
    from: Bound<EntryId>,
) -> Result<Option<EntryId>, Reply<'static>> {
    Ok(store.former_of::<Stream>(key)?.and_then(|stream| stream.next_pending(group, from)))
}

/// The options of XAUTOCLAIM: how many entries, and whether only their ids are asked for.
fn automatic(args: Args<'_>) -> Result<(usize, bool), Reply<'static>> {
    const COUNT: usize = 100;
    /// What redis-server can make room for.
    const COUNT_MAX: i64 = i64::MAX / EntryId::BYTES as i64;
    let (mut wanted, mut is_brief, mut at) = (COUNT, false, 6);
    while let Some(option) = args.get(at) {
        match (option.to_ascii_lowercase().as_slice(), args.get(at + 1)) {
            (b"count", Some(text)) => {
                let count = parse_i64(text).filter(|count| (1..=COUNT_MAX).contains(count));
                let count = count.ok_or_else(|| Reply::err("COUNT must be > 0"))?;
                wanted = usize::try_from(count).unwrap_or(usize::MAX);
                at += 1;
            }
            (b"justid", _) => is_brief = true,
            _ => return Err(syntax_error()),
        }
        at += 1;
    }
    Ok((wanted, is_brief))
}
