//! Owns the keys and their values, by slot, and when they expire.
//!
//! Must not know who asks, nor who owns which slot. Time is handed in.

mod anticipation;
pub mod digest;
pub mod entry;
pub mod eviction;
pub mod hash;
pub mod hyperloglog;
mod hyperloglog_estimate;
mod hyperloglog_runs;
pub mod image;
pub mod limits;
pub mod list;
pub mod memory;
pub mod news;
pub mod ranking;
pub mod set;
pub mod sorted_set;
pub mod stream_entries;
pub mod stream_groups;
pub mod stream_trim;
mod streams;
pub mod table;
pub mod tables;
pub mod value;
pub mod walk;

use self::{
    entry::{Entry, Form, Used},
    eviction::Eviction,
    image::Image,
    limits::Limits,
    news::{Class, News},
    table::Table,
    tables::Tables,
    value::{Kind, Value, View},
};
use crate::{config::Settings, libraries::Libraries};
use foldhash::quality::RandomState;
use slotbus_core::{CLUSTER_SLOTS, Millis, Slot, SlotSet, route::key_slot};
use std::hash::BuildHasher;

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

/// What becomes of keys that have expired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expired {
    /// They are dropped when they are met.
    #[default]
    Dropped,
    /// They are hidden: who drops them is somebody else.
    Hidden,
    /// They are there like any other.
    There,
}

/// A value is of another kind than the command is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongKind;

/// What has been counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Keys that have expired.
    pub expired: u64,
    /// Keys that were evicted.
    pub evicted: u64,
    /// Keys looked up and found.
    pub hits: u64,
    /// Keys looked up and not found.
    pub misses: u64,
}

const SLOT_BITS: u32 = CLUSTER_SLOTS.trailing_zeros();

/// All keys.
///
/// Each slot has its own table: keys of one slot are counted, listed and dropped together, and no
/// table is so large that its growth would be felt unless one slot holds nearly everything.
#[derive(Debug)]
pub struct Store {
    tables: Tables,
    hasher: RandomState,
    len: usize,
    expiring: usize,
    bytes: usize,
    /// The slot at which the search for expired keys goes on.
    expiry_slot: usize,
    /// Now, as of the request that is being carried out; for one for which no key expires, the beginning of time.
    pub now: Millis,
    /// Now, as far as the use of keys is remembered.
    clock: Millis,
    expired: Expired,
    /// When collections change their form.
    pub limits: Limits,
    /// Who goes when memory runs out.
    pub eviction: Eviction,
    /// What has happened and has not been told yet.
    pub news: News,
    /// What has been counted.
    pub tally: Tally,
    /// Whether a script asks.
    pub serves_script: bool,
    image: Option<Image>,
    image_mark: bool,
    /// Libraries of functions, which are saved and copied with the keys.
    pub libraries: Libraries,
}

/// Where a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    slot: usize,
    at: usize,
}

impl Default for Store {
    fn default() -> Self {
        Self::of(&Settings::default())
    }
}

impl Store {
    /// No keys yet, under these settings.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        Self {
            tables: Tables::default(),
            hasher: RandomState::default(),
            len: 0,
            expiring: 0,
            bytes: 0,
            expiry_slot: 0,
            now: Millis(0),
            clock: Millis(0),
            expired: Expired::Dropped,
            limits: Limits::new(settings),
            eviction: Eviction::new(settings),
            news: News::default(),
            tally: Tally::default(),
            serves_script: false,
            image: None,
            image_mark: false,
            libraries: Libraries::default(),
        }
    }

    /// Tells the time, and what becomes of keys that have expired.
    pub fn set_time(&mut self, now: Millis, expired: Expired) {
        self.clock = now;
        self.expired = expired;
        self.now = if expired == Expired::There { Millis(0) } else { now };
    }

    /// Whether keys that have expired are dropped.
    #[must_use]
    pub fn drops_expired(&self) -> bool {
        self.expired == Expired::Dropped
    }

    /// Whether the keys are a copy of a primary's, looked at by somebody else than that primary.
    #[must_use]
    pub fn is_of_primary(&self) -> bool {
        self.expired == Expired::Hidden
    }

    /// Has all keys of another store take the place of those here.
    pub fn take_over(&mut self, other: Self) {
        self.clear();
        self.tables = other.tables;
        self.hasher = other.hasher;
        (self.len, self.expiring, self.bytes) = (other.len, other.expiring, other.bytes);
        self.image_mark = other.image_mark;
        self.libraries = other.libraries;
        self.expiry_slot = 0;
        for key in self.news.watched() {
            if self.peek(&key).is_some() {
                self.news.changed(&key);
            }
        }
    }

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
        self.expiring
    }

    /// How much memory the keys and their values take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The use of a key that comes in now.
    #[must_use]
    pub fn fresh_use(&self) -> Used {
        self.eviction.fresh(self.clock)
    }

    /// Whether there is a key. Does not drop an expired one.
    #[must_use]
    pub fn contains(&self, key: &[u8], now: Millis) -> bool {
        self.peek(key).is_some_and(|entry| !entry.is_expired(now))
    }

    /// A key's entry, even if it has expired; this is no use of it.
    #[must_use]
    pub fn peek(&self, key: &[u8]) -> Option<&Entry> {
        let table = &self.tables[key_slot(key).index()];
        Some(&table.entries()[table.find(self.hash(key), key)?])
    }

    /// A key's value, looked up by a command that only reads.
    pub fn view(&mut self, key: &[u8]) -> Option<View<'_>> {
        let place = self.find_to_read(key)?;
        self.use_entry(place).map(|entry| entry.view())
    }

    /// A key's value, looked up by a command that does not use it.
    pub fn look(&mut self, key: &[u8]) -> Option<View<'_>> {
        let place = self.find_to_read(key)?;
        self.entry_at(place).map(Entry::view)
    }

    fn find_to_read(&mut self, key: &[u8]) -> Option<Place> {
        let place = self.find(key);
        if place.is_some() {
            self.tally.hits += 1;
        } else {
            self.tally.misses += 1;
            self.news.tell(Class::MISS, "keymiss", key);
        }
        place
    }

    /// The string at a key, looked up by a command that only reads.
    pub fn string(&mut self, key: &[u8]) -> Result<Option<&[u8]>, WrongKind> {
        self.view(key).map(|view| view.string().ok_or(WrongKind)).transpose()
    }

    /// The collection at a key, looked up by a command that only reads.
    pub fn read<C: Kind>(&mut self, key: &[u8]) -> Result<Option<&C>, WrongKind> {
        self.view(key).map(of_kind).transpose()
    }

    /// The string at a key, looked up by a command that is about to change it.
    pub fn former(&mut self, key: &[u8]) -> Result<Option<&[u8]>, WrongKind> {
        let Some(place) = self.find(key) else { return Ok(None) };
        self.use_entry(place).map(|entry| entry.view().string().ok_or(WrongKind)).transpose()
    }

    /// The collection at a key, looked up by a command that is about to change it.
    pub fn former_of<C: Kind>(&mut self, key: &[u8]) -> Result<Option<&C>, WrongKind> {
        let Some(place) = self.find(key) else { return Ok(None) };
        self.use_entry(place).map(|entry| of_kind(entry.view())).transpose()
    }

    /// Changes the collection at a key; none if there is none. `change` says how many things it has
    /// changed, and what comes of it; `event` is told if it has changed any.
    pub fn edit<C: Kind, R>(
        &mut self,
        key: &[u8],
        event: &'static str,
        change: impl FnOnce(&mut C, &Limits) -> (usize, R),
    ) -> Result<Option<R>, WrongKind> {
        self.find(key).map(|place| self.edit_at(place, key, event, change)).transpose()
    }

    fn edit_at<C: Kind, R>(
        &mut self,
        place: Place,
        key: &[u8],
        event: &'static str,
        change: impl FnOnce(&mut C, &Limits) -> (usize, R),
    ) -> Result<R, WrongKind> {
        let limits = self.limits;
        let value = self.entry_to_change(place).and_then(Entry::value_mut).ok_or(WrongKind)?;
        let before = value.bytes();
        let collection = C::of_mut(value).ok_or(WrongKind)?;
        let (count, outcome) = change(collection, &limits);
        let is_empty = collection.is_empty();
        let after = value.bytes();
        self.bytes = (self.bytes + after).saturating_sub(before);
        if count > 0 {
            self.note(C::CLASS, event, key);
            self.news.changes += count as u64 - 1;
        }
        if is_empty {
            self.remove_at(place);
            self.news.tell(Class::GENERIC, "del", key);
        }
        Ok(outcome)
    }

    /// Like [`Store::edit`], of a new collection if there is none.
    pub fn fill<C: Kind, R>(
        &mut self,
        key: &[u8],
        event: &'static str,
        change: impl FnOnce(&mut C, &Limits) -> (usize, R),
    ) -> Result<R, WrongKind> {
        if let Some(place) = self.find(key) {
            return self.edit_at(place, key, event, change);
        }
        let mut collection = C::default();
        let (count, outcome) = change(&mut collection, &self.limits);
        if !collection.is_empty() {
            let entry = Entry::new(key, collection.into_value(), None, self.eviction.fresh(self.clock));
            self.add(entry);
            self.note(C::CLASS, event, key);
            self.news.changes += count.saturating_sub(1) as u64;
        }
        Ok(outcome)
    }

    /// Takes note of a change to a key.
    pub fn note(&mut self, class: Class, event: &'static str, key: &[u8]) {
        self.news.changed(key);
        self.news.tell(class, event, key);
    }

    /// When a key expires: none if there is no such key, none inside if it never does.
    pub fn expires_at(&mut self, key: &[u8]) -> Option<Option<Millis>> {
        let place = self.find(key)?;
        self.entry_at(place).map(Entry::expires_at)
    }

    /// Sets a string.
    pub fn set(&mut self, key: &[u8], text: &[u8], expiry: Expiry) {
        self.set_in_form(key, text, expiry, Form::Whole);
    }

    /// Sets a string that comes about in a certain way.
    pub fn set_in_form(&mut self, key: &[u8], text: &[u8], expiry: Expiry, form: Form) {
        let place = self.find(key);
        self.set_at(place, key, text, expiry, form);
    }

    /// Sets the number that is made of the string at a key, or of none. Its end stays.
    pub fn set_number<E: From<WrongKind>>(
        &mut self,
        key: &[u8],
        make: impl FnOnce(Option<&[u8]>) -> Result<i64, E>,
    ) -> Result<i64, E> {
        let place = self.find(key);
        let former = place.and_then(|place| self.entry_at(place)).map(|entry| entry.view().string().ok_or(WrongKind));
        let number = make(former.transpose()?)?;
        self.set_at(place, key, itoa::Buffer::new().format(number).as_bytes(), Expiry::Keep, Form::Whole);
        Ok(number)
    }

    fn set_at(&mut self, place: Option<Place>, key: &[u8], text: &[u8], expiry: Expiry, form: Form) {
        let Some(place) = place else {
            let end = match expiry {
                Expiry::Never | Expiry::Keep => None,
                Expiry::At(end) => Some(end),
            };
            self.add(Entry::string(key, text, end, self.fresh_use(), form));
            return self.news.changed(key);
        };
        self.news.changed(key);
        let Some(entry) = self.entry_to_change(place) else { return };
        let former = entry.expires_at();
        let end = match expiry {
            Expiry::Never => None,
            Expiry::Keep => former,
            Expiry::At(end) => Some(end),
        };
        if former == end && entry.overwrite(text, form) {
            return;
        }
        let entry = Entry::string(key, text, end, self.fresh_use(), form);
        self.replace(place, entry);
    }

    /// Changes a string in its place, of which there is none yet if the key is new: it keeps room to grow.
    pub fn edit_string<R>(&mut self, key: &[u8], change: impl FnOnce(&mut Vec<u8>) -> R) -> Result<R, WrongKind> {
        self.edit_string_if(key, |text| (true, change(text)))
    }

    /// Changes the string at a key, unless `change` says that it did not; where there is none, it begins empty.
    pub fn edit_string_if<R>(
        &mut self,
        key: &[u8],
        change: impl FnOnce(&mut Vec<u8>) -> (bool, R),
    ) -> Result<R, WrongKind> {
        let Some(place) = self.find(key) else {
            let mut text = Vec::new();
            let (has_changed, outcome) = change(&mut text);
            if has_changed {
                self.set_at(None, key, &text, Expiry::Never, Form::Patched);
            }
            return Ok(outcome);
        };
        let (has_changed, outcome) = self.patch_at(place, key, change).ok_or(WrongKind)?;
        if has_changed {
            self.news.changed(key);
        }
        Ok(outcome)
    }

    /// Changes the string at a key in its place; none if there is no string. Whether it counts as a change, and which, is
    /// the caller's to [say](Self::note).
    pub fn patch_string<R>(&mut self, key: &[u8], change: impl FnOnce(&mut Vec<u8>) -> R) -> Option<R> {
        let place = self.find(key)?;
        self.patch_at(place, key, change)
    }

    fn patch_at<R>(&mut self, place: Place, key: &[u8], change: impl FnOnce(&mut Vec<u8>) -> R) -> Option<R> {
        let entry = self.entry_to_change(place)?;
        let before = entry.bytes();
        if let Some(value) = entry.value_mut() {
            let Value::String(text) = value else { return None };
            let outcome = change(text);
            let after = entry.bytes();
            self.bytes = (self.bytes + after).saturating_sub(before);
            return Some(outcome);
        }
        let mut text = entry.view().string()?.to_vec();
        let outcome = change(&mut text);
        if !entry.overwrite(&text, Form::Patched) {
            let entry = Entry::string(key, &text, entry.expires_at(), entry.used(), Form::Patched);
            self.replace(place, entry);
        }
        Some(outcome)
    }

    /// Puts any value at a key, in the place of whatever is there.
    pub fn put(&mut self, key: &[u8], value: Value, end: Option<Millis>) {
        self.put_entry(Entry::new(key, value, end, self.eviction.fresh(self.clock)));
    }

    /// Remembers when or how often a key was used.
    pub fn set_used(&mut self, key: &[u8], used: Used) {
        if let Some(place) = self.find(key)
            && let Some(entry) = self.tables.get_mut(place.slot).and_then(|table| table.entry_mut(place.at))
        {
            entry.set_used(used);
        }
    }

    /// Puts an entry in its place.
    pub fn put_entry(&mut self, entry: Entry) {
        self.news.changed(entry.key());
        match self.find(entry.key()) {
            Some(place) => self.replace(place, entry),
            None => self.add(entry),
        }
    }

    /// Puts a collection that is the result of a command at a key, or drops the key if it is empty.
    pub fn store<C: Kind>(&mut self, key: &[u8], collection: C, event: &'static str) {
        if collection.is_empty() {
            if self.remove(key) {
                self.news.tell(Class::GENERIC, "del", key);
            }
            return;
        }
        self.put(key, collection.into_value(), None);
        self.news.tell(C::CLASS, event, key);
    }

    /// Gives a key an end, or takes it away; false if there is no such key.
    pub fn set_end(&mut self, key: &[u8], end: Option<Millis>) -> bool {
        let Some(place) = self.find(key) else { return false };
        self.keep_for_image(place);
        let Some(table) = self.tables.get_mut(place.slot) else { return false };
        let Some(entry) = table.entry_mut(place.at) else { return false };
        let (before, had_end) = (entry.bytes(), entry.expires_at().is_some());
        entry.set_expires_at(end);
        self.bytes = (self.bytes + entry.bytes()).saturating_sub(before);
        table.expiring = table.expiring + usize::from(end.is_some()) - usize::from(had_end);
        self.expiring = self.expiring + usize::from(end.is_some()) - usize::from(had_end);
        self.news.changes += 1;
        self.news.revise(key);
        true
    }

    /// Drops a key; false if there is none.
    pub fn remove(&mut self, key: &[u8]) -> bool {
        self.take(key).is_some()
    }

    /// Takes a key out, with its value and its end.
    pub fn take(&mut self, key: &[u8]) -> Option<Entry> {
        let place = self.find(key)?;
        self.news.changed(key);
        self.remove_at(place)
    }

    /// Drops every key.
    pub fn clear(&mut self) {
        for key in self.news.watched() {
            if self.contains(&key, self.now) {
                self.news.changed(&key);
            }
        }
        self.news.changes += self.len as u64;
        self.news.clear();
        self.news.all_ready();
        self.end_image();
        self.tables.iter_mut().filter(|table| !table.is_empty()).for_each(|table| *table = Table::default());
        (self.len, self.expiring, self.bytes) = (0, 0, 0);
    }

    /// Drops every key of a slot; says how many those were.
    pub fn clear_slot(&mut self, slot: Slot) -> usize {
        let count = self.count_in_slot(slot);
        for at in (0..count).rev() {
            if let Some(entry) = self.remove_at(Place { slot: slot.index(), at }) {
                self.note(Class::GENERIC, "del", entry.key());
            }
        }
        count
    }

    /// Every slot that holds keys.
    #[must_use]
    pub fn filled_slots(&self) -> SlotSet<CLUSTER_SLOTS> {
        let mut filled = SlotSet::new();
        for (slot, table) in self.tables.iter() {
            if let (Ok(slot), false) = (u16::try_from(slot), table.is_empty()) {
                filled.insert(Slot(slot));
            }
        }
        filled
    }

    /// Looks for expired keys among so many keys, or more if a slot has more, in the slots that come next, and drops them;
    /// says whether so many of them had expired that it is worth going on at once.
    pub fn drop_expired(&mut self, now: Millis, keys: usize) -> bool {
        /// One in so many.
        const WORTHWHILE: u64 = 10;
        let (mut keys_seen, mut expiring_seen, expired_before) = (0, 0, self.tally.expired);
        while keys_seen < keys {
            if self.expiring == 0 {
                self.expiry_slot = 0;
                return false;
            }
            let slot = self.expiry_slot;
            self.expiry_slot = (slot + 1) % CLUSTER_SLOTS;
            let table = &self.tables[slot];
            if table.expiring > 0 {
                keys_seen += table.len();
                expiring_seen += table.expiring as u64;
                for at in (0..table.len()).rev() {
                    self.drop_if_expired(Place { slot, at }, now);
                }
            }
            if self.expiry_slot == 0 {
                return false;
            }
        }
        (self.tally.expired - expired_before) * WORTHWHILE > expiring_seen
    }

    /// Drops keys until the data fit into the memory that they may take; false if they cannot.
    pub fn evict(&mut self) -> bool {
        while self.eviction.bytes_max > 0 && self.bytes > self.eviction.bytes_max {
            let Some(victim) = self.victim() else { return false };
            self.tally.evicted += 1;
            if let Some(entry) = self.remove_at(victim) {
                self.news.lose(entry.key());
                self.note(Class::EVICTED, "evicted", entry.key());
            }
        }
        true
    }

    /// The best of some keys picked by chance.
    fn victim(&self) -> Option<Place> {
        self.eviction.measure?;
        let is_of_expiring = self.eviction.is_of_expiring;
        if self.len == 0 || is_of_expiring && self.expiring == 0 {
            return None;
        }
        let picked = std::iter::repeat_with(|| self.pick(is_of_expiring)).take(self.eviction.samples).flatten();
        picked.max_by_key(|&place| self.entry_at(place).map(|entry| self.eviction.weight(entry, self.clock)))
    }

    /// A key picked by chance, of those that expire if that is asked for.
    fn pick(&self, is_of_expiring: bool) -> Option<Place> {
        let start = fastrand::usize(..CLUSTER_SLOTS);
        let slots = (start..CLUSTER_SLOTS).chain(0..start);
        let eligible = |table: &Table| if is_of_expiring { table.expiring } else { table.len() };
        let mut tables = slots.map(|slot| (slot, &self.tables[slot]));
        let (slot, table) = tables.find(|(_, table)| eligible(table) > 0)?;
        let start = fastrand::usize(..table.len());
        let mut places = (start..table.len()).chain(0..start);
        let at = places.find(|&at| !is_of_expiring || table.entries()[at].expires_at().is_some())?;
        Some(Place { slot, at })
    }

    /// A key picked by chance that has not expired.
    pub fn random_key(&mut self) -> Option<&[u8]> {
        const ATTEMPTS: usize = 100;
        for _ in 0..ATTEMPTS {
            let place = self.pick(false)?;
            if !self.drop_if_expired(place, self.now) {
                return self.entry_at(place).map(Entry::key);
            }
        }
        None
    }

    /// How many keys are in a slot.
    #[must_use]
    pub fn count_in_slot(&self, slot: Slot) -> usize {
        self.table(slot).map_or(0, Table::len)
    }

    /// Up to `limit` keys of a slot, the newest first.
    #[must_use]
    pub fn keys_in_slot(&self, slot: Slot, limit: usize) -> Vec<&[u8]> {
        let entries = self.table(slot).map(Table::entries).unwrap_or_default();
        entries.iter().rev().take(limit).map(Entry::key).collect()
    }

    /// All entries, by slot.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.tables.iter().flat_map(|(_, table)| table.entries())
    }

    /// Every key that has not expired.
    pub fn keys(&self, now: Millis) -> impl Iterator<Item = &[u8]> {
        self.entries().filter(move |entry| !entry.is_expired(now)).map(Entry::key)
    }

    /// Visits about `count` places from `cursor` on and returns what is there. A key that is there from
    /// a scan's start to its end is returned at least once.
    #[must_use]
    pub fn scan(&self, cursor: Cursor, count: usize, now: Millis) -> (Cursor, Vec<&Entry>) {
        let mut slot = usize::try_from(cursor.0 % CLUSTER_SLOTS as u64).unwrap_or_default();
        let mut within = cursor.0 >> SLOT_BITS;
        let (mut found, mut budget) = (Vec::new(), count.max(1));
        while let Some(table) = self.tables.get(slot) {
            let entries = table.entries();
            let (places, next) = walk::portion(entries.len(), within, budget);
            budget -= places.len();
            found.extend(entries[places].iter().rev().filter(|entry| !entry.is_expired(now)));
            if next > 0 {
                return (Cursor(next << SLOT_BITS | slot as u64), found);
            }
            (slot, within) = (slot + 1, 0);
            if budget == 0 && slot < CLUSTER_SLOTS {
                return (Cursor(slot as u64), found);
            }
        }
        (Cursor(0), found)
    }

    fn hash(&self, key: &[u8]) -> u32 {
        self.hasher.hash_one(key) as u32
    }

    fn table(&self, slot: Slot) -> Option<&Table> {
        self.tables.get(slot.index())
    }

    fn entry_at(&self, place: Place) -> Option<&Entry> {
        self.tables[place.slot].entries().get(place.at)
    }

    /// An entry that is being used.
    fn use_entry(&mut self, place: Place) -> Option<&mut Entry> {
        let entry = self.tables.get_mut(place.slot)?.entry_mut(place.at)?;
        entry.set_used(self.eviction.again(entry.used(), self.clock));
        Some(entry)
    }

    /// An entry that is about to be changed.
    fn entry_to_change(&mut self, place: Place) -> Option<&mut Entry> {
        self.keep_for_image(place);
        self.use_entry(place)
    }

    /// Where a key is. Drops it first if it has expired.
    fn find(&mut self, key: &[u8]) -> Option<Place> {
        let slot = key_slot(key).index();
        let table = &self.tables[slot];
        let at = table.find(self.hash(key), key)?;
        let place = Place { slot, at };
        if !table.entries()[at].is_expired(self.now) {
            return Some(place);
        }
        self.drop_if_expired(place, self.now);
        None
    }

    fn drop_if_expired(&mut self, place: Place, now: Millis) -> bool {
        let is_expired = self.entry_at(place).is_some_and(|entry| entry.is_expired(now));
        if is_expired
            && self.expired == Expired::Dropped
            && let Some(entry) = self.remove_at(place)
        {
            self.tally.expired += 1;
            self.news.lose(entry.key());
            self.note(Class::EXPIRED, "expired", entry.key());
        }
        is_expired
    }

    fn add(&mut self, mut entry: Entry) {
        entry.set_mark(self.image_mark);
        let (hash, slot) = (self.hash(entry.key()), key_slot(entry.key()).index());
        if self.expired == Expired::Hidden
            && let Some(at) = self.tables[slot].find(hash, entry.key())
        {
            self.remove_at(Place { slot, at });
        }
        self.len += 1;
        self.bytes += entry.bytes();
        self.expiring += usize::from(entry.expires_at().is_some());
        self.news.tell(Class::NEW, "new", entry.key());
        self.tables.make(slot).insert(hash, entry);
    }

    fn replace(&mut self, place: Place, mut entry: Entry) {
        self.keep_for_image(place);
        entry.set_mark(self.image_mark);
        let Some(table) = self.tables.get_mut(place.slot) else { return };
        let (has_end, bytes) = (usize::from(entry.expires_at().is_some()), entry.bytes());
        let Some(former) = table.entry_mut(place.at).map(|room| std::mem::replace(room, entry)) else { return };
        let had_end = usize::from(former.expires_at().is_some());
        table.expiring = table.expiring + has_end - had_end;
        self.expiring = self.expiring + has_end - had_end;
        self.bytes = (self.bytes + bytes).saturating_sub(former.bytes());
    }

    fn remove_at(&mut self, place: Place) -> Option<Entry> {
        self.keep_for_image(place);
        let table = self.tables.get_mut(place.slot)?;
        let entry = table.remove(place.at)?;
        if table.is_empty() {
            *table = Table::default();
        }
        self.len -= 1;
        self.expiring -= usize::from(entry.expires_at().is_some());
        self.bytes = self.bytes.saturating_sub(entry.bytes());
        Some(entry)
    }
}

fn of_kind<C: Kind>(view: View<'_>) -> Result<&C, WrongKind> {
    match view {
        View::String(..) => Err(WrongKind),
        View::Other(value) => C::of(value).ok_or(WrongKind),
    }
}

#[cfg(test)]
mod tests {
    use super::{Cursor, Expired, Expiry, Store};
    use crate::store::{eviction::Measure, hash::Hash};
    use slotbus_core::{Millis, route::key_slot};
    use std::collections::BTreeSet;

    const NOW: Millis = Millis(1000);

    fn store() -> Store {
        Store { now: NOW, ..Store::default() }
    }

    #[test]
    fn expired_keys_are_dropped_hidden_or_there_as_one_is_told() {
        let mut store = store();
        store.news.keeps_lost = true;
        store.set(b"a", b"1", Expiry::At(Millis(2000)));
        store.set_time(Millis(3000), Expired::There);
        assert_eq!(store.string(b"a"), Ok(Some(b"1".as_slice())));
        store.set_time(Millis(3000), Expired::Hidden);
        assert_eq!(store.string(b"a"), Ok(None));
        assert_eq!(store.len(), 1);
        store.set(b"a", b"2", Expiry::Never);
        assert_eq!((store.len(), store.expiring()), (1, 0));
        store.set(b"b", b"1", Expiry::At(Millis(3000)));
        assert!(store.news.take_lost().is_empty());
        store.set_time(Millis(3000), Expired::Dropped);
        assert_eq!(store.string(b"b"), Ok(None));
        assert_eq!(store.len(), 1);
        assert_eq!(store.news.take_lost(), [b"b".as_slice().into()]);
    }

    #[test]
    fn the_keys_of_another_store_take_the_place_of_those_here() {
        let (mut store, mut other) = (store(), store());
        store.set(b"a", b"1", Expiry::Never);
        let watched = store.news.watch(b"a");
        other.set(b"b", b"22", Expiry::At(Millis(5000)));
        let bytes = other.bytes();
        store.take_over(other);
        assert_eq!(store.string(b"a"), Ok(None));
        assert_eq!(store.string(b"b"), Ok(Some(b"22".as_slice())));
        assert_eq!((store.len(), store.expiring(), store.bytes()), (1, 1, bytes));
        assert!(store.news.revision(b"a") > watched);
    }

    #[test]
    fn values_are_set_read_and_dropped() {
        let mut store = store();
        assert_eq!(store.string(b"a"), Ok(None));
        store.set(b"a", b"1", Expiry::Never);
        store.set(b"a", b"22", Expiry::Never);
        assert_eq!(store.string(b"a"), Ok(Some(b"22".as_slice())));
        assert_eq!(store.len(), 1);
        assert!(store.remove(b"a") && !store.remove(b"a"));
        assert!(store.is_empty() && store.bytes() == 0);
    }

    #[test]
    fn a_collection_goes_with_its_last_item() {
        let mut store = store();
        let set = |hash: &mut Hash, limits: &_| (1, hash.set(b"f", &[b'v'; 100], limits));
        assert_eq!(store.fill(b"h", "hset", set), Ok(true));
        assert!(store.bytes() > 100 && store.string(b"h").is_err());
        assert_eq!(store.edit(b"h", "hdel", |hash: &mut Hash, _| (1, hash.remove(b"f"))), Ok(Some(true)));
        assert!(store.is_empty() && store.bytes() == 0);
        store.set(b"s", b"", Expiry::Never);
        assert!(store.fill(b"s", "hset", set).is_err());
    }

    #[test]
    fn ends_are_kept_moved_and_met() {
        let mut store = store();
        store.set(b"a", b"1", Expiry::At(Millis(2000)));
        store.set(b"a", b"2", Expiry::Keep);
        assert_eq!(store.expires_at(b"a"), Some(Some(Millis(2000))));
        assert!(store.contains(b"a", Millis(1999)) && !store.contains(b"a", Millis(2000)));
        store.set(b"a", b"3", Expiry::Never);
        assert_eq!((store.expires_at(b"a"), store.expiring()), (Some(None), 0));
        assert!(store.set_end(b"a", Some(Millis(3000))));
        store.set(b"b", b"1", Expiry::At(Millis(5000)));
        store.now = Millis(3000);
        assert_eq!(store.string(b"a"), Ok(None));
        assert_eq!((store.len(), store.expiring(), store.tally.expired), (1, 1, 1));
        assert!(!store.drop_expired(Millis(4999), 20_000) && store.len() == 1);
        assert!(!store.drop_expired(Millis(5000), 20_000) && store.is_empty() && store.expiring() == 0);
    }

    #[test]
    fn a_change_to_a_watched_key_is_told_from_none() {
        let mut store = store();
        let mut seen = BTreeSet::from([store.news.watch(b"a")]);
        store.set(b"a", b"1", Expiry::Never);
        assert!(seen.insert(store.news.revision(b"a")));
        assert!(store.view(b"a").is_some());
        assert!(!seen.insert(store.news.revision(b"a")));
        store.set_end(b"a", Some(Millis(2000)));
        assert!(seen.insert(store.news.revision(b"a")));
        store.clear();
        assert!(seen.insert(store.news.revision(b"a")));
        store.set(b"a", b"1", Expiry::Never);
        assert!(seen.insert(store.news.revision(b"a")));
        assert_eq!(store.clear_slot(key_slot(b"a")), 1);
        assert!(seen.insert(store.news.revision(b"a")));
        assert!(store.is_empty() && store.filled_slots().is_empty());
        store.news.unwatch(b"a");
        assert!(store.news.watched().is_empty());
    }

    #[test]
    fn a_slot_lists_its_newest_key_first() {
        let mut store = store();
        for key in ["{t}1", "{t}2", "{t}3", "other"] {
            store.set(key.as_bytes(), b"", Expiry::Never);
        }
        let slot = key_slot(b"t");
        assert_eq!(store.keys_in_slot(slot, 2), [b"{t}3".as_slice(), b"{t}2"]);
        assert_eq!((store.count_in_slot(slot), store.len()), (3, 4));
    }

    #[test]
    fn a_scan_meets_every_key_that_stays_even_while_others_go() {
        let mut store = store();
        let key = |number: usize| format!("key{{{}}}{number}", number % 3).into_bytes();
        for number in 0..300 {
            store.set(&key(number), b"", Expiry::Never);
        }
        let (mut seen, mut cursor, mut victim) = (BTreeSet::new(), Cursor::default(), 0);
        loop {
            let (next, entries) = store.scan(cursor, 7, NOW);
            seen.extend(entries.into_iter().map(|entry| entry.key().to_vec()));
            cursor = next;
            if cursor == Cursor(0) {
                break;
            }
            // Every even key goes while the scan is under way.
            for _ in 0..3 {
                store.remove(&key(victim % 300));
                victim += 2;
            }
        }
        assert!((0..300).filter(|number| number % 2 == 1).all(|number| seen.contains(&key(number))));
    }

    #[test]
    fn memory_is_given_back_and_what_expires_goes_first_if_asked() {
        let mut store = store();
        for number in 0..100_u32 {
            let end = if number % 2 == 0 { Expiry::At(Millis(1_000_000)) } else { Expiry::Never };
            store.set(&number.to_le_bytes(), &[b'x'; 200], end);
        }
        let full = store.bytes();
        store.eviction.bytes_max = full * 3 / 4;
        assert!(!store.evict() && store.len() == 100);
        (store.eviction.measure, store.eviction.is_of_expiring) = (Some(Measure::Chance), true);
        assert!(store.evict() && store.bytes() <= full * 3 / 4);
        assert_eq!((store.len() - store.expiring(), store.tally.evicted), (50, 100 - store.len() as u64));
        store.eviction.bytes_max = 1;
        assert!(!store.evict() && store.expiring() == 0 && store.len() == 50);
        store.clear();
        assert_eq!(store.bytes(), 0);
    }
}
