//! Owns the groups of a stream: consumers who share its entries, and the entries that are pending, which were delivered
//! and not acknowledged.
//!
//! Must not know its key. Time is handed in, in milliseconds since the epoch.

use super::{memory::heap_bytes, stream_entries::Stream};
use slotbus_wire::{
    entry_id::EntryId,
    rdb::{Consumer, Group, Name, Pending},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

/// A count of entries read that is not known.
pub const UNKNOWN: i64 = -1;

/// What a group takes in its tree, and a consumer in its own, beside their names; and an entry that is pending in both
/// that it is in.
const GROUP_BYTES: usize = 192;
const CONSUMER_BYTES: usize = 96;
const PENDING_BYTES: usize = 96;
/// What is counted of a name that is shared.
const NAME_HEAD_BYTES: usize = 16;

/// What came of an attempt to make a pending entry one's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is not pending.
    None,
    /// It was delivered too short a time ago.
    Young,
    /// It is not in the stream any more, nor is it pending now; this is what it was.
    Gone(Pending),
    /// It is pending like this now; and whether its consumer is new.
    Taken(Pending, bool),
}

/// How entries are claimed.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// For whom.
    pub consumer: &'a [u8],
    /// Those that were delivered a shorter time ago are left alone; 0 for none.
    pub idle_min_ms: i64,
    /// Now.
    pub now_ms: i64,
    /// When it counts as delivered.
    pub delivered_ms: i64,
    /// How often it counts as delivered; once more than before if nothing is said.
    pub count: Option<u64>,
    /// Whether it counts as delivered once more.
    pub counts: bool,
    /// Whether it is made pending if it is not.
    pub is_forced: bool,
}

fn name_bytes(name: &[u8]) -> usize {
    heap_bytes(name.len() + NAME_HEAD_BYTES)
}

/// What a group takes.
pub(super) fn bytes_of(name: &[u8], group: &Group) -> usize {
    let consumers: usize = group.consumers.keys().map(|name| name_bytes(name) + CONSUMER_BYTES).sum();
    GROUP_BYTES + name_bytes(name) + consumers + group.pending.len() * PENDING_BYTES
}

/// The consumer of a name, who is new if there is none; says whether it is.
fn consumer_of(group: &mut Group, name: &[u8], now_ms: i64) -> (Name, bool) {
    if let Some((name, _)) = group.consumers.get_key_value(name) {
        return (name.clone(), false);
    }
    let name = Name::from(name);
    group.consumers.insert(name.clone(), Consumer { seen_ms: now_ms, pending: BTreeSet::new() });
    (name, true)
}

/// Has an entry be pending no more.
fn settle(group: &mut Group, id: EntryId) -> Option<Pending> {
    let pending = group.pending.remove(&id)?;
    if let Some(owner) = group.consumers.get_mut(&pending.consumer) {
        owner.pending.remove(&id);
    }
    Some(pending)
}

/// Has an entry be pending.
fn put(group: &mut Group, id: EntryId, pending: Pending) {
    let name = pending.consumer.clone();
    if let Some(former) = group.pending.insert(id, pending).filter(|former| former.consumer != name)
        && let Some(owner) = group.consumers.get_mut(&former.consumer)
    {
        owner.pending.remove(&id);
    }
    if let Some(owner) = group.consumers.get_mut(&name) {
        owner.pending.insert(id);
    }
}

impl Stream {
    /// All groups, by name.
    #[must_use]
    pub fn groups(&self) -> &BTreeMap<Name, Group> {
        &self.inner.groups
    }

    /// A group.
    #[must_use]
    pub fn group(&self, name: &[u8]) -> Option<&Group> {
        self.inner.groups.get(name)
    }

    /// Changes a group, but for the names in it.
    fn with_group<R>(&mut self, name: &[u8], change: impl FnOnce(&mut Group) -> R) -> Option<R> {
        let group = self.inner.groups.get_mut(name)?;
        let before = group.pending.len();
        let outcome = change(group);
        self.group_bytes = self.group_bytes + group.pending.len() * PENDING_BYTES - before * PENDING_BYTES;
        Some(outcome)
    }

    /// Makes a group; false if there is one of this name.
    pub fn create_group(&mut self, name: &[u8], last: EntryId, read: i64) -> bool {
        if self.inner.groups.contains_key(name) {
            return false;
        }
        let group = Group { last, read, pending: BTreeMap::new(), consumers: BTreeMap::new() };
        self.group_bytes += bytes_of(name, &group);
        self.inner.groups.insert(name.into(), group);
        true
    }

    /// Drops a group; false if there is none of this name.
    pub fn destroy_group(&mut self, name: &[u8]) -> bool {
        let Some(group) = self.inner.groups.remove(name) else { return false };
        self.group_bytes = self.group_bytes.saturating_sub(bytes_of(name, &group));
        true
    }

    /// Says up to where a group has read, and how many entries that were.
    pub fn set_group(&mut self, name: &[u8], last: EntryId, read: i64) {
        self.with_group(name, |group| (group.last, group.read) = (last, read));
    }

    /// Raises up to where a group has read; false if it has read that already.
    pub fn raise_group(&mut self, name: &[u8], last: EntryId) -> bool {
        let raise = |group: &mut Group| {
            let is_ahead = last > group.last;
            group.last = group.last.max(last);
            is_ahead
        };
        self.with_group(name, raise).unwrap_or(false)
    }

    /// Makes a consumer; false if there is one of this name.
    pub fn create_consumer(&mut self, group: &[u8], name: &[u8], now_ms: i64) -> bool {
        let is_new = self.with_group(group, |group| consumer_of(group, name, now_ms).1).unwrap_or(false);
        self.group_bytes += if is_new { name_bytes(name) + CONSUMER_BYTES } else { 0 };
        is_new
    }

    /// Takes note that a consumer asks for something; true if it is new.
    pub fn see_consumer(&mut self, group: &[u8], name: &[u8], now_ms: i64) -> bool {
        let is_new = self.create_consumer(group, name, now_ms);
        if let Some(consumer) = self.inner.groups.get_mut(group).and_then(|group| group.consumers.get_mut(name)) {
            consumer.seen_ms = now_ms;
        }
        is_new
    }

    /// Drops a consumer with what it has pending, and says how much that was; none if there is none.
    pub fn delete_consumer(&mut self, group: &[u8], name: &[u8]) -> Option<usize> {
        let take = |group: &mut Group| {
            let consumer = group.consumers.remove(name)?;
            consumer.pending.iter().for_each(|id| drop(group.pending.remove(id)));
            Some(consumer.pending.len())
        };
        let count = self.with_group(group, take)??;
        self.group_bytes = self.group_bytes.saturating_sub(name_bytes(name) + CONSUMER_BYTES);
        Some(count)
    }

    /// Has entries be pending no more; says how many were.
    pub fn acknowledge(&mut self, group: &[u8], ids: &[EntryId]) -> usize {
        self.with_group(group, |group| ids.iter().filter(|id| settle(group, **id).is_some()).count()).unwrap_or(0)
    }

    /// Takes note that entries, in order, are delivered to a consumer who is there: the group has read them, and, if
    /// `keeps`, they are pending. Says whether the group had not read all of them before.
    pub fn deliver(&mut self, name: &[u8], consumer: &[u8], ids: &[EntryId], keeps: bool, now_ms: i64) -> bool {
        let Some(group) = self.group(name) else { return false };
        let (mut last, mut read, mut is_ahead) = (group.last, group.read, false);
        for &id in ids.iter().filter(|id| **id > group.last) {
            if read != UNKNOWN && !self.has_gap_behind(id) {
                read = read.wrapping_add(1);
            } else if self.inner.added > 0 {
                read = self.inner.place_of(id).unwrap_or(UNKNOWN);
            }
            (last, is_ahead) = (id, true);
        }
        self.with_group(name, |group| {
            (group.last, group.read) = (last, read);
            let owner = group.consumers.get_key_value(consumer).map(|(name, _)| name.clone());
            for &id in ids.iter().filter(|_| keeps) {
                let Some(consumer) = owner.clone() else { return };
                put(group, id, Pending { consumer, delivered_ms: now_ms, count: 1 });
            }
        });
        is_ahead
    }

    /// Takes note that a pending entry is delivered to its consumer once more.
    pub fn deliver_again(&mut self, name: &[u8], ids: &[EntryId], now_ms: i64) {
        self.with_group(name, |group| {
            for id in ids {
                if let Some(pending) = group.pending.get_mut(id) {
                    pending.delivered_ms = now_ms;
                    pending.count = pending.count.wrapping_add(1);
                }
            }
        });
    }

    /// Makes an entry that is pending in a group that of a consumer, who may be new.
    pub fn claim(&mut self, name: &[u8], id: EntryId, terms: Terms<'_>) -> Claim {
        let is_there = self.get(id).is_some();
        let claim = |group: &mut Group| {
            if !is_there {
                return settle(group, id).map_or(Claim::None, Claim::Gone);
            }
            let former = group.pending.get(&id);
            let count = match former {
                Some(former) => {
                    let idle_ms = terms.now_ms.wrapping_sub(former.delivered_ms);
                    if terms.idle_min_ms > 0 && idle_ms < terms.idle_min_ms {
                        return Claim::Young;
                    }
                    former.count
                }
                None if terms.is_forced => 1,
                None => return Claim::None,
            };
            let (consumer, is_new) = consumer_of(group, terms.consumer, terms.now_ms);
            if let Some(consumer) = group.consumers.get_mut(&consumer) {
                consumer.seen_ms = terms.now_ms;
            }
            let count = terms.count.unwrap_or(if terms.counts { count.wrapping_add(1) } else { count });
            let pending = Pending { consumer, delivered_ms: terms.delivered_ms, count };
            put(group, id, pending.clone());
            Claim::Taken(pending, is_new)
        };
        let claim = self.with_group(name, claim).unwrap_or(Claim::None);
        if matches!(claim, Claim::Taken(_, true)) {
            self.group_bytes += name_bytes(terms.consumer) + CONSUMER_BYTES;
        }
        claim
    }

    /// The first id from this one on that is pending in a group.
    #[must_use]
    pub fn next_pending(&self, name: &[u8], from: Bound<EntryId>) -> Option<EntryId> {
        self.group(name)?.pending.range((from, Bound::Unbounded)).next().map(|(id, _)| *id)
    }

    /// Whether an entry may have been deleted that is behind this id, or has it. Those before the first entry do not
    /// count.
    fn has_gap_behind(&self, id: EntryId) -> bool {
        let gap = self.inner.max_deleted;
        self.inner.len > 0 && gap != EntryId::MIN && gap >= self.inner.first && id <= gap
    }

    /// How many entries a group has not read; none if that cannot be told.
    #[must_use]
    pub fn lag(&self, group: &Group) -> Option<i64> {
        let added = self.inner.added.cast_signed();
        if added == 0 {
            return Some(0);
        }
        if group.read != UNKNOWN && !self.has_gap_behind(group.last) {
            return Some(added.wrapping_sub(group.read));
        }
        self.inner.place_of(group.last).map(|read| added.wrapping_sub(read))
    }
}

#[cfg(test)]
mod tests {
    use super::{Claim, Stream, Terms, UNKNOWN};
    use crate::store::limits::Limits;
    use slotbus_wire::{dump, entry_id::EntryId, rdb};

    const GROUP: &[u8] = b"group";

    fn terms(consumer: &[u8]) -> Terms<'_> {
        Terms { consumer, idle_min_ms: 0, now_ms: 9, delivered_ms: 9, count: None, counts: true, is_forced: false }
    }

    fn filled() -> (Stream, Vec<EntryId>) {
        let mut stream = Stream::default();
        let ids: Vec<EntryId> = (1..=10).map(|ms| EntryId::new(ms, 0)).collect();
        ids.iter().for_each(|id| stream.append(*id, &[(b"f", b"v")], &Limits::default()));
        assert!(stream.create_group(GROUP, EntryId::MIN, UNKNOWN) && !stream.create_group(GROUP, EntryId::MIN, 0));
        (stream, ids)
    }

    /// Both sides of every pending entry agree, and memory is counted as that of a copy.
    fn check(stream: &Stream) {
        for group in stream.groups().values() {
            let owned: usize = group.consumers.values().map(|consumer| consumer.pending.len()).sum();
            assert_eq!(owned, group.pending.len());
            for (id, pending) in &group.pending {
                assert!(group.consumers[&pending.consumer].pending.contains(id));
            }
        }
        let Ok(rdb::Value::Stream(copy)) = dump::restore(&dump::dump(stream.body(), true)) else { panic!("a dump") };
        assert_eq!(&*copy, stream.parts());
        assert_eq!(Stream::of_snapshot(copy).group_bytes, stream.group_bytes);
    }

    #[test]
    fn entries_are_delivered_claimed_and_acknowledged() {
        let (mut stream, ids) = filled();
        assert!(stream.see_consumer(GROUP, b"a", 5) && !stream.see_consumer(GROUP, b"a", 6));
        assert!(stream.deliver(GROUP, b"a", &ids[..6], true, 7));
        assert!(!stream.deliver(GROUP, b"a", &ids[..1], true, 8));
        check(&stream);
        let group = stream.group(GROUP).unwrap();
        assert_eq!((group.last, group.read, stream.lag(group)), (ids[5], 6, Some(4)));
        let Claim::Taken(taken, true) = stream.claim(GROUP, ids[1], terms(b"b")) else { panic!("taken") };
        assert_eq!((&*taken.consumer, taken.count), (b"b".as_slice(), 2));
        let young = Terms { idle_min_ms: 100, ..terms(b"b") };
        assert_eq!(stream.claim(GROUP, ids[2], young), Claim::Young);
        assert_eq!(stream.claim(GROUP, ids[9], terms(b"b")), Claim::None);
        assert!(matches!(
            stream.claim(GROUP, ids[9], Terms { is_forced: true, ..terms(b"b") }),
            Claim::Taken(_, false)
        ));
        assert_eq!(stream.delete(&[ids[3]]), 1);
        assert!(matches!(stream.claim(GROUP, ids[3], terms(b"b")), Claim::Gone(_)));
        check(&stream);
        assert_eq!(stream.acknowledge(GROUP, &[ids[1], ids[1], ids[3], ids[4]]), 2);
        assert_eq!(stream.delete_consumer(GROUP, b"a"), Some(3));
        assert_eq!(stream.delete_consumer(GROUP, b"a"), None);
        check(&stream);
        assert!(stream.destroy_group(GROUP) && !stream.destroy_group(GROUP));
        assert_eq!(stream.group_bytes, 0);
    }

    #[test]
    fn what_was_read_cannot_always_be_told() {
        let (mut stream, ids) = filled();
        stream.create_consumer(GROUP, b"a", 0);
        stream.set_group(GROUP, ids[3], UNKNOWN);
        assert_eq!(stream.lag(stream.group(GROUP).unwrap()), None);
        stream.deliver(GROUP, b"a", &ids[4..5], false, 0);
        assert_eq!(stream.group(GROUP).unwrap().read, UNKNOWN);
        stream.deliver(GROUP, b"a", &ids[5..], false, 0);
        let group = stream.group(GROUP).unwrap();
        assert_eq!((group.read, stream.lag(group), group.pending.len()), (10, Some(0), 0));
    }
}
