//! Owns the states that are to be expanded, level by level: as they are, or packed. Knows no search.

use slotbus_world::{Packer, World};
use std::{borrow::Cow, ops::Range};

/// States of this level, to be expanded, and of the next, found meanwhile. They are numbered in the
/// order in which they are found.
pub trait Frontier<S: Clone>: Sync {
    /// Adds a state to the next level.
    fn push(&mut self, state: S);
    /// Makes the next level this one, forgets the one before, and says which states this one has.
    fn advance(&mut self) -> Range<usize>;
    /// A state of this level, by its number.
    fn get(&self, number: usize) -> Cow<'_, S>;
}

/// States as they are.
#[derive(Clone, Debug)]
pub struct Whole<S> {
    /// How many states came before this level.
    passed: usize,
    now: Vec<S>,
    next: Vec<S>,
}

impl<S> Default for Whole<S> {
    fn default() -> Self {
        Self { passed: 0, now: Vec::new(), next: Vec::new() }
    }
}

impl<S: Clone + Sync> Frontier<S> for Whole<S> {
    fn push(&mut self, state: S) {
        self.next.push(state);
    }

    fn advance(&mut self) -> Range<usize> {
        self.passed += self.now.len();
        self.now = std::mem::take(&mut self.next);
        self.passed..self.passed + self.now.len()
    }

    fn get(&self, number: usize) -> Cow<'_, S> {
        Cow::Borrowed(&self.now[number - self.passed])
    }
}

/// Worlds as lists of their parts.
#[derive(Debug, Default)]
pub struct PackedWorlds<const SLOTS: usize> {
    packer: Packer<SLOTS>,
    /// How many states came before this level.
    passed: usize,
    now: Level,
    next: Level,
}

/// The lists of one level, one after the other.
#[derive(Debug, Default)]
struct Level {
    words: Vec<u32>,
    /// By list: where it ends.
    ends: Vec<usize>,
}

impl Level {
    fn list(&self, place: usize) -> &[u32] {
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.words[start..self.ends[place]]
    }
}

impl<const SLOTS: usize> Frontier<World<SLOTS>> for PackedWorlds<SLOTS> {
    fn push(&mut self, state: World<SLOTS>) {
        self.packer.pack(state, &mut self.next.words);
        self.next.ends.push(self.next.words.len());
    }

    fn advance(&mut self) -> Range<usize> {
        self.passed += self.now.ends.len();
        self.now = std::mem::take(&mut self.next);
        self.passed..self.passed + self.now.ends.len()
    }

    fn get(&self, number: usize) -> Cow<'_, World<SLOTS>> {
        Cow::Owned(self.packer.unpack(self.now.list(number - self.passed)))
    }
}
