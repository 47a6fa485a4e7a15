//! Owns the states that are to be expanded, level by level: as they are, or packed. Knows no search.

use slotbus_world::{Packer, World, read_number, write_number};
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
    /// The states of this level before this number are not asked for any more.
    fn forget_before(&mut self, number: usize);
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

    fn forget_before(&mut self, _: usize) {}
}

/// Worlds as lists of their parts.
#[derive(Debug, Default)]
pub struct PackedWorlds<const SLOTS: usize> {
    packer: Packer<SLOTS>,
    /// How many states came before this level.
    passed: usize,
    now: Level,
    next: Level,
    /// The list that is being made.
    list: Vec<u8>,
}

/// Lists that one block holds: so many are looked through for one.
const BLOCK: usize = 64;

/// The lists of one level in blocks, each list after its length.
#[derive(Debug, Default)]
struct Level {
    blocks: Vec<Vec<u8>>,
    count: usize,
}

impl Level {
    fn push(&mut self, list: &[u8]) {
        if self.count.is_multiple_of(BLOCK) {
            self.blocks.iter_mut().last().into_iter().for_each(Vec::shrink_to_fit);
            self.blocks.push(Vec::with_capacity(BLOCK * (list.len() + 2)));
        }
        self.count += 1;
        if let Some(block) = self.blocks.last_mut() {
            write_number(block, u32::try_from(list.len()).unwrap_or(u32::MAX));
            block.extend_from_slice(list);
        }
    }

    fn list(&self, place: usize) -> &[u8] {
        lists(&self.blocks[place / BLOCK]).nth(place % BLOCK).unwrap_or_default()
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.blocks.iter().flat_map(|block| lists(block))
    }

    /// Forgets the lists before one, as far as whole blocks go.
    fn forget_before(&mut self, place: usize) {
        let done = self.blocks.iter_mut().take(place / BLOCK).rev();
        done.take_while(|block| block.capacity() > 0).for_each(|block| *block = Vec::new());
    }
}

fn lists(mut block: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let len = read_number(&mut block)? as usize;
        let list;
        (list, block) = block.split_at(len);
        Some(list)
    })
}

impl<const SLOTS: usize> Frontier<World<SLOTS>> for PackedWorlds<SLOTS> {
    fn push(&mut self, state: World<SLOTS>) {
        self.list.clear();
        self.packer.pack(state, &mut self.list);
        self.next.push(&self.list);
    }

    fn advance(&mut self) -> Range<usize> {
        self.passed += self.now.count;
        self.now = std::mem::take(&mut self.next);
        self.packer.keep_only(self.now.iter());
        self.passed..self.passed + self.now.count
    }

    fn get(&self, number: usize) -> Cow<'_, World<SLOTS>> {
        Cow::Owned(self.packer.unpack(self.now.list(number - self.passed)))
    }

    fn forget_before(&mut self, number: usize) {
        self.now.forget_before(number - self.passed);
    }
}
