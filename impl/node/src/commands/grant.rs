//! Owns how the wishes of waiting clients are granted, each as the command replies that does not wait.
//!
//! Must not know who waits.

use super::{
    lists,
    sorted_sets::{self, Extreme},
};
use crate::store::{Store, list::Side};
use slotbus_wire::resp::Reply;

type Granted = Result<Option<Reply<'static>>, Reply<'static>>;

pub(crate) fn element(store: &mut Store, key: &[u8], side: Side) -> Granted {
    let element = lists::pop_one(store, key, side)?;
    Ok(element.map(|element| Reply::Array(vec![Reply::bulk(key.to_vec()), Reply::bulk(element)])))
}

pub(crate) fn elements(store: &mut Store, key: &[u8], side: Side, count: usize) -> Granted {
    Ok(lists::pop_some(store, key, side, count)?.map(|elements| lists::taken(key, elements)))
}

pub(crate) fn moved(store: &mut Store, ends: [(&[u8], Side); 2]) -> Granted {
    Ok(lists::move_one(store, ends)?.map(Reply::bulk))
}

pub(crate) fn member(store: &mut Store, key: &[u8], extreme: Extreme) -> Granted {
    let members = sorted_sets::pop_some(store, key, extreme, 1)?;
    Ok(members.and_then(|members| members.into_iter().next()).map(|(member, score)| {
        Reply::Array(vec![Reply::bulk(key.to_vec()), Reply::bulk(member), Reply::Double(score)])
    }))
}

pub(crate) fn members(store: &mut Store, key: &[u8], extreme: Extreme, count: usize) -> Granted {
    Ok(sorted_sets::pop_some(store, key, extreme, count)?.map(|members| sorted_sets::taken(key, members)))
}

/// What several things were taken from, as a reply tells, and how many they are.
pub(crate) fn several<'r>(reply: &'r Reply<'_>) -> Option<(&'r [u8], usize)> {
    let Reply::Array(parts) = reply else { return None };
    let [Reply::Bulk(key), Reply::Array(taken)] = parts.as_slice() else { return None };
    Some((key, taken.len()))
}
