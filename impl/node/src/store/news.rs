//! Owns what has happened to keys and has not been told yet: to transactions that watch them, to
//! clients that wait for them, to listeners of keyspace events, to whoever counts changes.
//!
//! Must not tell it itself.

use bitflags::bitflags;
use std::collections::HashMap;

bitflags! {
    /// A class of keyspace events.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Class: u32 {
        /// Events are told by key.
        const BY_KEY = 1;
        /// Events are told by what happened.
        const BY_EVENT = 1 << 1;
        /// What can happen to any key.
        const GENERIC = 1 << 2;
        /// Strings.
        const STRING = 1 << 3;
        /// Lists.
        const LIST = 1 << 4;
        /// Sets.
        const SET = 1 << 5;
        /// Hashes.
        const HASH = 1 << 6;
        /// Sorted sets.
        const SORTED_SET = 1 << 7;
        /// A key has expired.
        const EXPIRED = 1 << 8;
        /// A key was evicted.
        const EVICTED = 1 << 9;
        /// Streams.
        const STREAM = 1 << 10;
        /// Modules.
        const MODULE = 1 << 11;
        /// A key was asked for that is not there.
        const MISS = 1 << 12;
        /// A key is new.
        const NEW = 1 << 13;
    }
}

impl Class {
    /// The classes that the letters of a setting stand for.
    #[must_use]
    pub fn of_letters(letters: &str) -> Self {
        let all = Self::GENERIC | Self::STRING | Self::LIST | Self::SET | Self::HASH | Self::SORTED_SET;
        let all = all | Self::EXPIRED | Self::EVICTED | Self::STREAM | Self::MODULE;
        let of_letter = |letter| match letter {
            'K' => Self::BY_KEY,
            'E' => Self::BY_EVENT,
            'g' => Self::GENERIC,
            '$' => Self::STRING,
            'l' => Self::LIST,
            's' => Self::SET,
            'h' => Self::HASH,
            'z' => Self::SORTED_SET,
            'x' => Self::EXPIRED,
            'e' => Self::EVICTED,
            't' => Self::STREAM,
            'd' => Self::MODULE,
            'm' => Self::MISS,
            'n' => Self::NEW,
            'A' => all,
            _ => Self::empty(),
        };
        letters.chars().map(of_letter).collect()
    }
}

/// Something that has happened to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What.
    pub name: &'static str,
    /// To which key.
    pub key: Box<[u8]>,
}

#[derive(Debug, Default)]
struct Watched {
    watchers: usize,
    revision: u64,
}

/// What has happened.
#[derive(Debug, Default)]
pub struct News {
    /// Which events are wanted.
    pub classes: Class,
    /// Counts changes since the last snapshot.
    pub changes: u64,
    /// Whether keys that were lost are remembered, and requests that are restated.
    pub keeps_lost: bool,
    /// Whether keys that have changed are remembered.
    pub keeps_changed: bool,
    /// Whether all keys were dropped at once while that is so.
    pub is_cleared: bool,
    changed: Vec<Box<[u8]>>,
    lost: Vec<Box<[u8]>>,
    restated: Vec<Vec<Box<[u8]>>>,
    events: Vec<Event>,
    watched: HashMap<Box<[u8]>, Watched>,
    awaited: HashMap<Box<[u8]>, usize>,
    ready: Vec<Box<[u8]>>,
}

impl News {
    /// A key was changed: it counts, and who watches the key or waits for it is to know.
    pub fn changed(&mut self, key: &[u8]) {
        self.changes += 1;
        self.revise(key);
        self.make_ready(key);
    }

    /// A key is not what it was for those who watch it or keep a copy.
    pub fn revise(&mut self, key: &[u8]) {
        if !self.watched.is_empty()
            && let Some(watched) = self.watched.get_mut(key)
        {
            watched.revision += 1;
        }
        if self.keeps_changed {
            self.changed.push(key.into());
        }
    }

    /// There may be something at a key for those who wait for it.
    pub fn make_ready(&mut self, key: &[u8]) {
        if !self.awaited.is_empty() && self.awaited.contains_key(key) {
            self.ready.push(key.into());
        }
    }

    /// All keys were dropped.
    pub fn clear(&mut self) {
        self.is_cleared |= self.keeps_changed;
    }

    /// Takes the keys that have [changed](Self::changed), in order.
    pub fn take_changed(&mut self) -> Vec<Box<[u8]>> {
        std::mem::take(&mut self.changed)
    }

    /// There may be something at any key for those who wait.
    pub fn all_ready(&mut self) {
        self.ready.extend(self.awaited.keys().cloned());
    }

    /// A request goes into the stream of writes in other words than its own, as far as that is wanted.
    pub fn restate<'w>(&mut self, words: impl IntoIterator<Item = &'w [u8]>) {
        if self.keeps_lost {
            self.restated.push(words.into_iter().map(Box::from).collect());
        }
    }

    /// Takes the words in which requests were [restated](Self::restate), in order.
    pub fn take_restated(&mut self) -> Vec<Vec<Box<[u8]>>> {
        std::mem::take(&mut self.restated)
    }

    /// A key has expired, or was evicted: no command dropped it.
    pub fn lose(&mut self, key: &[u8]) {
        if self.keeps_lost {
            self.lost.push(key.into());
        }
    }

    /// Whether keys were [lost](Self::lose).
    #[must_use]
    pub fn has_lost(&self) -> bool {
        !self.lost.is_empty()
    }

    /// Takes the keys that were [lost](Self::lose), in order.
    pub fn take_lost(&mut self) -> Vec<Box<[u8]>> {
        std::mem::take(&mut self.lost)
    }

    /// Something happened to a key that listeners may want to know.
    pub fn tell(&mut self, class: Class, name: &'static str, key: &[u8]) {
        if self.classes.contains(class) && self.classes.intersects(Class::BY_KEY | Class::BY_EVENT) {
            self.events.push(Event { name, key: key.into() });
        }
    }

    /// Whether anything waits to be told.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        !self.events.is_empty() || !self.ready.is_empty() || !self.changed.is_empty() || self.is_cleared
    }

    /// Takes the events, in order.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Takes the keys that somebody waits for and that have changed, in order.
    pub fn take_ready(&mut self) -> Vec<Box<[u8]>> {
        std::mem::take(&mut self.ready)
    }

    /// Counts changes of a key from now on; says how many there were.
    pub fn watch(&mut self, key: &[u8]) -> u64 {
        let watched = self.watched.entry(key.into()).or_default();
        watched.watchers += 1;
        watched.revision
    }

    /// How often a key has changed.
    #[must_use]
    pub fn revision(&self, key: &[u8]) -> u64 {
        self.watched.get(key).map_or(0, |watched| watched.revision)
    }

    /// Takes a [watch](Self::watch) back.
    pub fn unwatch(&mut self, key: &[u8]) {
        if let Some(watched) = self.watched.get_mut(key) {
            watched.watchers -= 1;
            if watched.watchers == 0 {
                self.watched.remove(key);
            }
        }
    }

    /// Every key that is watched.
    #[must_use]
    pub fn watched(&self) -> Vec<Box<[u8]>> {
        self.watched.keys().cloned().collect()
    }

    /// Takes note that somebody waits for a key.
    pub fn wait_for(&mut self, key: &[u8]) {
        *self.awaited.entry(key.into()).or_default() += 1;
    }

    /// Takes [that](Self::wait_for) back.
    pub fn give_up(&mut self, key: &[u8]) {
        if let Some(count) = self.awaited.get_mut(key) {
            *count -= 1;
            if *count == 0 {
                self.awaited.remove(key);
            }
        }
    }
}
