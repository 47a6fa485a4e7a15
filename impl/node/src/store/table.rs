//! Owns the keys of one slot: entries side by side, and an index by hash. A key that is removed has
//! its place taken by the last one.
//!
//! Must not know which slot this is, nor what time.

use super::entry::Entry;
use hashbrown::HashTable;

/// Keys by hash.
#[derive(Debug, Default)]
pub struct Table {
    index: HashTable<u32>,
    hashes: Vec<u32>,
    entries: Vec<Entry>,
    /// How many of the keys have an end.
    pub expiring: usize,
}

impl Table {
    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All entries, by place.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// All entries, by place, to be changed in what is neither key nor end.
    pub fn entries_mut(&mut self) -> &mut [Entry] {
        &mut self.entries
    }

    /// The entry at a place.
    pub fn entry_mut(&mut self, at: usize) -> Option<&mut Entry> {
        self.entries.get_mut(at)
    }

    /// The place of a key.
    #[must_use]
    pub fn find(&self, hash: u32, key: &[u8]) -> Option<usize> {
        // The index compares a part of the hash itself: to look at the rest would cost more than it saves.
        let found = self.index.find(spread(hash), |&at| self.entries[at as usize].key() == key);
        found.map(|&at| at as usize)
    }

    /// The place that a key of this hash has, unless it is that of another key whose hash is alike.
    #[must_use]
    pub fn likely_place(&self, hash: u32) -> Option<usize> {
        self.index.find(spread(hash), |_| true).map(|&at| at as usize)
    }

    /// Adds a key that is not there; says its place.
    pub fn insert(&mut self, hash: u32, entry: Entry) -> usize {
        let at = self.entries.len();
        self.expiring += usize::from(entry.expires_at().is_some());
        self.hashes.push(hash);
        self.entries.push(entry);
        let hashes = &self.hashes;
        // Four billion keys of one slot do not fit into any memory that this runs in.
        self.index.insert_unique(spread(hash), at as u32, |&at| spread(hashes[at as usize]));
        at
    }

    /// Drops the key at a place.
    pub fn remove(&mut self, at: usize) -> Option<Entry> {
        let hash = *self.hashes.get(at)?;
        let last = self.entries.len() - 1;
        if let Ok(found) = self.index.find_entry(spread(hash), |&other| other as usize == at) {
            found.remove();
        }
        if at != last
            && let Some(moved) = self.index.find_mut(spread(self.hashes[last]), |&other| other as usize == last)
        {
            *moved = at as u32;
        }
        self.hashes.swap_remove(at);
        let entry = self.entries.swap_remove(at);
        self.expiring -= usize::from(entry.expires_at().is_some());
        self.shrink();
        Some(entry)
    }

    /// Gives room back once three quarters of it are empty.
    fn shrink(&mut self) {
        const KEPT: usize = 16;
        if self.entries.capacity() > KEPT && self.entries.len() * 4 < self.entries.capacity() {
            self.entries.shrink_to(self.entries.len() * 2);
            self.hashes.shrink_to(self.hashes.len() * 2);
            let hashes = &self.hashes;
            self.index.shrink_to(self.entries.len() * 2, |&at| spread(hashes[at as usize]));
        }
    }
}

/// A hash as wide as the index wants it: both its ends vary.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::Table;
    use crate::store::entry::{Entry, Form};

    #[test]
    fn keys_are_found_after_others_moved() {
        let mut table = Table::default();
        // Few hashes for many keys: collisions are told apart.
        let hash = |number: u32| number % 7;
        let key = |number: u32| number.to_string().into_bytes();
        for number in 0..500 {
            table.insert(hash(number), Entry::string(&key(number), b"", None, 0, Form::Whole));
        }
        for number in (0..500).filter(|number| number % 3 != 0) {
            let at = table.find(hash(number), &key(number)).expect("there");
            assert_eq!(table.remove(at).expect("there").key(), key(number));
        }
        for number in 0..500 {
            assert_eq!(table.find(hash(number), &key(number)).is_some(), number % 3 == 0);
        }
        assert_eq!((table.len(), table.remove(table.len()).is_none()), (167, true));
    }
}
