//! Owns the keys and their values, by slot, and when they expire.
//!
//! Must not know who asks, nor who owns which slot. Time is handed in.

use indexmap::IndexMap;
use slotbus_core::{CLUSTER_SLOTS, Millis, Slot, SlotSet, route::key_slot};
use std::{collections::BTreeSet, hash::RandomState};

type Table = IndexMap<Box<[u8]>, Entry, RandomState>;

/// A value and its end.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    value: Vec<u8>,
    expires_at: Option<Millis>,
    /// The number of its last change.
    revision: u64,
}

impl Entry {
    fn is_expired(&self, now: Millis) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

/// What becomes of a key's end when its value is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// It has none.
    Never,
    /// It keeps the one that it has.
    Keep,
    /// It has this one.
    At(Millis),
}

/// Where a [scan](Store::scan) stands. The number 0 is its start, and its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor(pub u64);

const SLOT_BITS: u32 = CLUSTER_SLOTS.trailing_zeros();

/// All keys.
///
/// Each slot has its own table, in order of insertion: keys of one slot are counted, listed and
/// dropped together. Removal moves a table's last key into the gap.
#[derive(Debug)]
pub struct Store {
    tables: Vec<Table>,
    len: usize,
    /// Every key that has an end, soonest first.
    ends: BTreeSet<(Millis, Box<[u8]>)>,
    expired: u64,
    /// Counts changes.
    revision: u64,
}

impl Default for Store {
    fn default() -> Self {
        let hasher = RandomState::new();
        let tables = (0..CLUSTER_SLOTS).map(|_| Table::with_hasher(hasher.clone())).collect();
        Self { tables, len: 0, ends: BTreeSet::new(), expired: 0, revision: 0 }
    }
}

impl Store {
    /// How many keys there are, expired ones that nobody has asked for included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many keys have an end.
    #[must_use]
    pub fn expiring(&self) -> usize {
        self.ends.len()
    }

    /// How many keys have expired so far.
    #[must_use]
    pub fn expired(&self) -> u64 {
        self.expired
    }

    /// The value of a key.
    pub fn get(&mut self, key: &[u8], now: Millis) -> Option<&[u8]> {
        let (slot, index) = self.find(key, now)?;
        Some(&self.tables[slot][index].value)
    }

    /// Whether there is a key. Does not drop an expired one.
    #[must_use]
    pub fn contains(&self, key: &[u8], now: Millis) -> bool {
        self.tables[key_slot(key).index()].get(key).is_some_and(|entry| !entry.is_expired(now))
    }

    /// The number of a key's last change; none if there is no such key.
    #[must_use]
    pub fn revision(&self, key: &[u8], now: Millis) -> Option<u64> {
        let entry = self.tables[key_slot(key).index()].get(key).filter(|entry| !entry.is_expired(now));
        entry.map(|entry| entry.revision)
    }

    /// When a key expires: none if there is no such key, none inside if it never does.
    pub fn expires_at(&mut self, key: &[u8], now: Millis) -> Option<Option<Millis>> {
        let (slot, index) = self.find(key, now)?;
        Some(self.tables[slot][index].expires_at)
    }

    /// Sets a key's value.
    pub fn set(&mut self, key: &[u8], value: &[u8], expiry: Expiry) {
        self.revision += 1;
        let revision = self.revision;
        let table = &mut self.tables[key_slot(key).index()];
        let former = match table.get_mut(key) {
            Some(entry) => {
                refill(&mut entry.value, value);
                entry.revision = revision;
                entry.expires_at
            }
            None => {
                table.insert(key.into(), Entry { value: value.to_vec(), expires_at: None, revision });
                self.len += 1;
                None
            }
        };
        match expiry {
            Expiry::Keep => {}
            Expiry::Never => self.put_end(key, former, None),
            Expiry::At(at) => self.put_end(key, former, Some(at)),
        }
    }

    /// Gives a key an end, or takes it away; false if there is no such key.
    pub fn set_end(&mut self, key: &[u8], end: Option<Millis>, now: Millis) -> bool {
        match self.expires_at(key, now) {
            None => false,
            Some(former) => {
                self.put_end(key, former, end);
                self.revision += 1;
                let revision = self.revision;
                if let Some(entry) = self.tables[key_slot(key).index()].get_mut(key) {
                    entry.revision = revision;
                }
                true
            }
        }
    }

    fn put_end(&mut self, key: &[u8], former: Option<Millis>, end: Option<Millis>) {
        if former == end {
            return;
        }
        if let Some(former) = former {
            self.ends.remove(&(former, key.into()));
        }
        if let Some(end) = end {
            self.ends.insert((end, key.into()));
        }
        if let Some(entry) = self.tables[key_slot(key).index()].get_mut(key) {
            entry.expires_at = end;
        }
    }

    /// Drops a key; false if there is none.
    pub fn remove(&mut self, key: &[u8], now: Millis) -> bool {
        match self.find(key, now) {
            None => false,
            Some((slot, index)) => {
                self.remove_at(slot, index);
                true
            }
        }
    }

    /// Drops every key.
    pub fn clear(&mut self) {
        *self = Self { expired: self.expired, revision: self.revision, ..Self::default() };
    }

    /// Drops every key of a slot; says how many those were.
    pub fn clear_slot(&mut self, slot: Slot) -> usize {
        let count = self.count_in_slot(slot);
        for index in (0..count).rev() {
            self.remove_at(slot.index(), index);
        }
        count
    }

    /// Every slot that holds keys.
    #[must_use]
    pub fn filled_slots(&self) -> SlotSet<CLUSTER_SLOTS> {
        let mut filled = SlotSet::new();
        for (slot, _) in (0..).map(Slot).zip(&self.tables).filter(|(_, table)| !table.is_empty()) {
            filled.insert(slot);
        }
        filled
    }

    /// Drops up to `limit` expired keys; says whether more are left.
    pub fn drop_expired(&mut self, now: Millis, limit: usize) -> bool {
        for _ in 0..limit {
            let Some((end, key)) = self.ends.first() else { return false };
            if *end > now {
                return false;
            }
            let key = key.clone();
            self.find(&key, now);
        }
        true
    }

    /// How many keys are in a slot.
    #[must_use]
    pub fn count_in_slot(&self, slot: Slot) -> usize {
        self.tables.get(slot.index()).map_or(0, IndexMap::len)
    }

    /// Up to `limit` keys of a slot, the newest first.
    #[must_use]
    pub fn keys_in_slot(&self, slot: Slot, limit: usize) -> Vec<&[u8]> {
        let keys = self.tables.get(slot.index()).into_iter().flat_map(|table| table.keys().rev());
        keys.take(limit).map(|key| &**key).collect()
    }

    /// Every key that has not expired.
    pub fn keys(&self, now: Millis) -> impl Iterator<Item = &[u8]> {
        let entries = self.tables.iter().flatten();
        entries.filter(move |(_, entry)| !entry.is_expired(now)).map(|(key, _)| &**key)
    }

    /// Visits about `count` places from `cursor` on and returns their keys. A key that is there from
    /// a scan's start to its end is returned at least once: tables are walked from their end, and
    /// what fills a gap comes from there.
    #[must_use]
    pub fn scan(&self, cursor: Cursor, count: usize, now: Millis) -> (Cursor, Vec<&[u8]>) {
        let mut slot = usize::try_from(cursor.0 % CLUSTER_SLOTS as u64).unwrap_or_default();
        let mut before = match cursor.0 >> SLOT_BITS {
            0 => usize::MAX,
            before => usize::try_from(before).unwrap_or(usize::MAX),
        };
        let (mut found, mut budget) = (Vec::new(), count.max(1));
        while let Some(table) = self.tables.get(slot) {
            before = before.min(table.len());
            while before > 0 && budget > 0 {
                before -= 1;
                budget -= 1;
                let entry = table.get_index(before).filter(|(_, entry)| !entry.is_expired(now));
                found.extend(entry.map(|(key, _)| &**key));
            }
            if before > 0 {
                return (Cursor((before as u64) << SLOT_BITS | slot as u64), found);
            }
            slot += 1;
            before = usize::MAX;
            if budget == 0 && slot < CLUSTER_SLOTS {
                return (Cursor(slot as u64), found);
            }
        }
        (Cursor(0), found)
    }

    /// Where a key is. Drops it first if it has expired.
    fn find(&mut self, key: &[u8], now: Millis) -> Option<(usize, usize)> {
        let slot = key_slot(key).index();
        let index = self.tables[slot].get_index_of(key)?;
        if self.tables[slot][index].is_expired(now) {
            self.remove_at(slot, index);
            self.expired += 1;
            return None;
        }
        Some((slot, index))
    }

    fn remove_at(&mut self, slot: usize, index: usize) {
        let Some((key, entry)) = self.tables[slot].swap_remove_index(index) else { return };
        self.len -= 1;
        if let Some(end) = entry.expires_at {
            self.ends.remove(&(end, key));
        }
        if self.tables[slot].is_empty() {
            self.tables[slot].shrink_to_fit();
        }
    }
}

/// Puts a value in the room of another, unless that room is much too large.
fn refill(room: &mut Vec<u8>, value: &[u8]) {
    const SLACK: usize = 64;
    if room.capacity() > 2 * value.len() + SLACK {
        *room = value.to_vec();
    } else {
        room.clear();
        room.extend_from_slice(value);
    }
}

#[cfg(test)]
mod tests {
    use super::{Cursor, Expiry, Store};
    use slotbus_core::{Millis, route::key_slot};
    use std::collections::BTreeSet;

    const NOW: Millis = Millis(1000);

    #[test]
    fn values_are_set_read_and_dropped() {
        let mut store = Store::default();
        assert_eq!(store.get(b"a", NOW), None);
        store.set(b"a", b"1", Expiry::Never);
        store.set(b"a", b"22", Expiry::Never);
        assert_eq!(store.get(b"a", NOW), Some(b"22".as_slice()));
        assert_eq!(store.len(), 1);
        assert!(store.remove(b"a", NOW) && !store.remove(b"a", NOW));
        assert!(store.is_empty());
    }

    #[test]
    fn ends_are_kept_moved_and_met() {
        let mut store = Store::default();
        store.set(b"a", b"1", Expiry::At(Millis(2000)));
        store.set(b"a", b"2", Expiry::Keep);
        assert_eq!(store.expires_at(b"a", NOW), Some(Some(Millis(2000))));
        assert!(store.contains(b"a", Millis(1999)) && !store.contains(b"a", Millis(2000)));
        store.set(b"a", b"3", Expiry::Never);
        assert_eq!((store.expires_at(b"a", NOW), store.expiring()), (Some(None), 0));
        assert!(store.set_end(b"a", Some(Millis(3000)), NOW));
        store.set(b"b", b"1", Expiry::At(Millis(5000)));
        assert_eq!(store.get(b"a", Millis(3000)), None);
        assert_eq!((store.len(), store.expiring(), store.expired()), (1, 1, 1));
        assert!(!store.drop_expired(Millis(4999), 10) && store.len() == 1);
        assert!(!store.drop_expired(Millis(5000), 10) && store.is_empty() && store.expiring() == 0);
    }

    #[test]
    fn a_change_is_told_from_none() {
        let mut store = Store::default();
        assert_eq!(store.revision(b"a", NOW), None);
        let mut seen = BTreeSet::from([None]);
        store.set(b"a", b"1", Expiry::Never);
        assert!(seen.insert(store.revision(b"a", NOW)));
        store.get(b"a", NOW);
        assert!(!seen.insert(store.revision(b"a", NOW)));
        store.set(b"a", b"1", Expiry::Never);
        assert!(seen.insert(store.revision(b"a", NOW)));
        store.set_end(b"a", Some(Millis(2000)), NOW);
        assert!(seen.insert(store.revision(b"a", NOW)));
        store.clear();
        store.set(b"a", b"1", Expiry::Never);
        assert!(seen.insert(store.revision(b"a", NOW)));
        assert_eq!(store.clear_slot(key_slot(b"a")), 1);
        assert!(store.is_empty() && store.filled_slots().is_empty());
    }

    #[test]
    fn a_slot_lists_its_newest_key_first() {
        let mut store = Store::default();
        for key in ["{t}1", "{t}2", "{t}3", "other"] {
            store.set(key.as_bytes(), b"", Expiry::Never);
        }
        let slot = key_slot(b"t");
        assert_eq!(store.keys_in_slot(slot, 2), [b"{t}3".as_slice(), b"{t}2"]);
        assert_eq!((store.count_in_slot(slot), store.len()), (3, 4));
    }

    #[test]
    fn a_scan_meets_every_key_that_stays_even_while_others_go() {
        let mut store = Store::default();
        let key = |number: usize| format!("key{{{}}}{number}", number % 3).into_bytes();
        for number in 0..300 {
            store.set(&key(number), b"", Expiry::Never);
        }
        let (mut seen, mut cursor, mut victim) = (BTreeSet::new(), Cursor::default(), 0);
        loop {
            let (next, keys) = store.scan(cursor, 7, NOW);
            seen.extend(keys.into_iter().map(<[u8]>::to_vec));
            cursor = next;
            if cursor == Cursor(0) {
                break;
            }
            // Every even key goes while the scan is under way.
            for _ in 0..3 {
                store.remove(&key(victim % 300), NOW);
                victim += 2;
            }
        }
        assert!((0..300).filter(|number| number % 2 == 1).all(|number| seen.contains(&key(number))));
    }
}
