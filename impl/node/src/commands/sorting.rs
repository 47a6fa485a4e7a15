//! Owns SORT.

use super::{keyspace::drop_key, options::integer, syntax_error};
use crate::{
    command::Answer,
    store::{
        Store, WrongKind,
        hash::Hash,
        list::{List, Side},
        value::{Value, View},
    },
};
use slotbus_wire::{
    number::parse_f64,
    resp::{Args, Reply},
};
use std::{cmp::Ordering, ops::Range};

/// What SORT is asked for.
#[derive(Default)]
struct Query<'a> {
    by: Option<&'a [u8]>,
    gets: Vec<&'a [u8]>,
    limit: Option<(i64, i64)>,
    is_descending: bool,
    is_by_text: bool,
    target: Option<&'a [u8]>,
}

impl<'a> Query<'a> {
    fn read(store: &Store, args: Args<'a>, may_store: bool) -> Result<Self, Reply<'static>> {
        let (mut query, mut at) = (Self::default(), 2);
        while let Some(option) = args.get(at) {
            match (option.to_ascii_lowercase().as_slice(), args.get(at + 1), args.get(at + 2)) {
                (b"asc", ..) => query.is_descending = false,
                (b"desc", ..) => query.is_descending = true,
                (b"alpha", ..) => query.is_by_text = true,
                (b"limit", Some(offset), Some(count)) => {
                    query.limit = Some((integer(offset)?, integer(count)?));
                    at += 2;
                }
                (b"store", Some(target), _) if may_store => {
                    query.target = Some(target);
                    at += 1;
                }
                (b"by", Some(pattern), _) => {
                    if store.limits.is_clustered && pattern.contains(&b'*') {
                        return Err(Reply::err("BY option of SORT denied in Cluster mode."));
                    }
                    query.by = Some(pattern);
                    at += 1;
                }
                (b"get", Some(pattern), _) => {
                    if store.limits.is_clustered {
                        return Err(Reply::err("GET option of SORT denied in Cluster mode."));
                    }
                    query.gets.push(pattern);
                    at += 1;
                }
                _ => return Err(syntax_error()),
            }
            at += 1;
        }
        Ok(query)
    }

    /// Without a place for the item in it, a pattern is the same for all: nothing is sorted.
    fn sorts(&self) -> bool {
        self.by.is_none_or(|pattern| pattern.contains(&b'*'))
    }

    fn range(&self, len: usize) -> Range<usize> {
        let (offset, count) = self.limit.unwrap_or((0, -1));
        let start = usize::try_from(offset.max(0)).unwrap_or(usize::MAX).min(len);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        start..start.saturating_add(count).min(len)
    }
}

pub(super) fn sort<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let query = Query::read(store, args, true)?;
    run(store, args.at(1), query)
}

pub(super) fn sort_ro<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    let query = Query::read(store, args, false)?;
    run(store, args.at(1), query)
}

fn run<'e>(store: &mut Store, key: &[u8], mut query: Query<'_>) -> Answer<'e> {
    let items = items(store, key, &mut query)?;
    let items = if query.sorts() { sorted(store, items, &query)? } else { items };
    let wanted = query.range(items.len());
    let mut found = Vec::new();
    for item in &items[wanted] {
        if query.gets.is_empty() {
            found.push(Some(item.clone()));
        }
        for pattern in &query.gets {
            found.push(look_up(store, pattern, item));
        }
    }
    match query.target {
        None => Ok(Reply::Array(found.into_iter().map(|text| text.map_or(Reply::Null, Reply::bulk)).collect())),
        Some(target) => Ok(Reply::count(put(store, target, found))),
    }
}

/// Stores a result as a list; says how many elements it has.
fn put(store: &mut Store, target: &[u8], found: Vec<Option<Vec<u8>>>) -> usize {
    let (limits, count) = (store.limits, found.len());
    let mut list = List::default();
    found.into_iter().for_each(|text| list.push(Side::Right, &text.unwrap_or_default(), &limits));
    if count == 0 {
        drop_key(store, target);
    } else {
        store.store(target, list, "sortstore");
    }
    count
}

/// The items of a collection, in the order that they have without sorting.
fn items(store: &mut Store, key: &[u8], query: &mut Query<'_>) -> Result<Vec<Vec<u8>>, WrongKind> {
    let (is_descending, serves_script) = (query.is_descending, store.serves_script);
    match store.view(key) {
        None => Ok(vec![]),
        Some(View::Other(Value::List(list))) => {
            let items = list.items().map(|item| item.text().into_owned());
            Ok(if !query.sorts() && is_descending { items.rev().collect() } else { items.collect() })
        }
        Some(View::Other(Value::Set(set))) => {
            // What is stored, or what a script goes on with, must not depend on chance.
            if !query.sorts() && (query.target.is_some() || serves_script) {
                (query.by, query.is_by_text) = (None, true);
            }
            Ok(set.iter().map(|member| member.into_owned()).collect())
        }
        Some(View::Other(Value::SortedSet(set))) => {
            let is_downwards = !query.sorts() && is_descending;
            Ok(set.ranks(0..set.len(), is_downwards).map(|(member, _)| member.into_owned()).collect())
        }
        Some(
            View::String(..) | View::Other(Value::String(_) | Value::Hash(_) | Value::Stream(_) | Value::Foreign(..)),
        ) => Err(WrongKind),
    }
}

/// By what an item is sorted.
enum Weight {
    Number(f64),
    Text(Option<Vec<u8>>),
}

fn sorted(store: &mut Store, items: Vec<Vec<u8>>, query: &Query<'_>) -> Result<Vec<Vec<u8>>, Reply<'static>> {
    let mut weighed = Vec::with_capacity(items.len());
    for item in items {
        let text = match query.by {
            Some(pattern) => look_up(store, pattern, &item),
            None => Some(item.clone()),
        };
        let weight = match (query.is_by_text, text) {
            (true, text) => Weight::Text(text),
            (false, None) => Weight::Number(0.0),
            (false, Some(text)) => {
                let number = if text.is_empty() { Some(0.0) } else { parse_f64(text.trim_ascii_start()) };
                Weight::Number(number.ok_or_else(|| Reply::err("One or more scores can't be converted into double"))?)
            }
        };
        weighed.push((weight, item));
    }
    weighed.sort_by(|left, right| {
        let order = compare(left, right);
        if query.is_descending { order.reverse() } else { order }
    });
    Ok(weighed.into_iter().map(|(_, item)| item).collect())
}

fn compare(left: &(Weight, Vec<u8>), right: &(Weight, Vec<u8>)) -> Ordering {
    match (&left.0, &right.0) {
        (Weight::Number(one), Weight::Number(other)) => {
            one.partial_cmp(other).unwrap_or(Ordering::Equal).then_with(|| left.1.cmp(&right.1))
        }
        (Weight::Text(one), Weight::Text(other)) => one.cmp(other),
        (Weight::Number(_), Weight::Text(_)) => Ordering::Less,
        (Weight::Text(_), Weight::Number(_)) => Ordering::Greater,
    }
}

/// What a pattern stands for, given an item: the item itself for `#`, else the string at the key that
/// the pattern makes with the item in the place of its star, or a field of the hash there.
fn look_up(store: &mut Store, pattern: &[u8], item: &[u8]) -> Option<Vec<u8>> {
    if pattern == b"#" {
        return Some(item.to_vec());
    }
    let star = pattern.iter().position(|&byte| byte == b'*')?;
    let arrow = pattern[star..].windows(2).position(|pair| pair == b"->").map(|at| star + at);
    let arrow = arrow.filter(|at| at + 2 < pattern.len());
    let end = arrow.unwrap_or(pattern.len());
    let key = [&pattern[..star], item, &pattern[star + 1..end]].concat();
    match arrow {
        None => store.string(&key).ok().flatten().map(<[u8]>::to_vec),
        Some(at) => {
            let hash = store.read::<Hash>(&key).ok().flatten()?;
            hash.get(&pattern[at + 2..]).map(|value| value.into_owned())
        }
    }
}
