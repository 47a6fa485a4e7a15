//! Owns sets of hash slots and the table of their owners. Knows nothing of epochs: who may take a
//! slot is decided by the rules.

use crate::peer::Pos;
use alloc::{format, string::String, vec::Vec};
use core::fmt;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use smallvec::{SmallVec, smallvec};

/// Number of hash slots of a real cluster.
pub const CLUSTER_SLOTS: usize = 16384;

/// A hash slot, below the `SLOTS` of its node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slot(pub u16);

impl Slot {
    /// This slot as an index.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A set of slots below `SLOTS`. Equal sets have equal form, and sets of neighbouring slots are small.
#[derive(Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotSet<const SLOTS: usize> {
    /// Which word the first of `words` is; 0 in the empty set.
    start: u16,
    /// From the first word that has a slot to the last one that has.
    words: SmallVec<[u64; 2]>,
}

impl<const SLOTS: usize> Clone for SlotSet<SLOTS> {
    fn clone(&self) -> Self {
        // The words as a whole: cloned one by one they take longer.
        Self { start: self.start, words: SmallVec::from_slice(&self.words) }
    }
}

impl<const SLOTS: usize> SlotSet<SLOTS> {
    const WORDS: usize = SLOTS.div_ceil(64);

    /// The empty set.
    #[must_use]
    pub fn new() -> Self {
        Self { start: 0, words: SmallVec::new() }
    }

    /// Every slot.
    #[must_use]
    pub fn all() -> Self {
        Self::range(0, u16::MAX)
    }

    /// The slots `start..=end`, cut at the last slot there is.
    #[must_use]
    pub fn range(start: u16, end: u16) -> Self {
        let (start, end) = (usize::from(start), (usize::from(end) + 1).min(SLOTS));
        let ones_below = |limit: usize, index: usize| match limit.saturating_sub(index * 64) {
            count @ 0..64 => (1 << count) - 1,
            _ => u64::MAX,
        };
        let words = start / 64..end.div_ceil(64).max(start / 64);
        Self::from_window(words.start, words.map(|index| ones_below(end, index) & !ones_below(start, index)))
    }

    /// The set whose slot `64 * (first + w) + b` is bit `b` of word `w`; bits beyond the last slot are dropped.
    #[must_use]
    pub fn from_window(first: usize, words: impl IntoIterator<Item = u64>) -> Self {
        let mut words: SmallVec<_> = words.into_iter().take(Self::WORDS.saturating_sub(first)).collect();
        let is_to_the_end = first + words.len() == Self::WORDS;
        if let (Some(last), false) = (words.last_mut().filter(|_| is_to_the_end), SLOTS.is_multiple_of(64)) {
            *last &= (1 << (SLOTS % 64)) - 1;
        }
        let mut set = Self { start: u16::try_from(first).unwrap_or(u16::MAX), words };
        set.trim();
        set
    }

    /// The words of [`SlotSet::from_window`], from the first to the last that has slots, and which is the first.
    #[must_use]
    pub fn window(&self) -> (usize, &[u64]) {
        (self.start.into(), &self.words)
    }

    fn word(&self, index: usize) -> u64 {
        let place = index.checked_sub(self.start.into());
        place.and_then(|place| self.words.get(place)).copied().unwrap_or(0)
    }

    /// The word at `index`, brought into the window; the caller sets a bit in it.
    fn word_mut(&mut self, index: usize) -> &mut u64 {
        let place = index.wrapping_sub(self.start.into());
        if place >= self.words.len() {
            self.widen(index);
        }
        &mut self.words[index - usize::from(self.start)]
    }

    #[cold]
    fn widen(&mut self, index: usize) {
        let start = if self.words.is_empty() { index } else { index.min(self.start.into()) };
        if start < usize::from(self.start) {
            self.words.insert_many(0, core::iter::repeat_n(0, usize::from(self.start) - start));
        }
        self.start = u16::try_from(start).unwrap_or(u16::MAX);
        let len = (index - start + 1).max(self.words.len());
        self.words.resize(len, 0);
    }

    /// Ends the window where the slots end.
    fn trim(&mut self) {
        let after = self.words.iter().rev().take_while(|&&word| word == 0).count();
        self.words.truncate(self.words.len() - after);
        let before = self.words.iter().take_while(|&&word| word == 0).count();
        self.words.drain(..before);
        self.start += u16::try_from(before).unwrap_or_default();
        if self.words.is_empty() {
            *self = Self::new();
        }
    }

    /// Whether no slot is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// How many slots are in the set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether `slot` is in the set.
    #[must_use]
    pub fn contains(&self, slot: Slot) -> bool {
        self.word(slot.index() / 64) >> (slot.index() % 64) & 1 == 1
    }

    /// Adds `slot`; false if it was there, or there is no such slot.
    pub fn insert(&mut self, slot: Slot) -> bool {
        if slot.index() >= SLOTS {
            return false;
        }
        let (word, bit) = (self.word_mut(slot.index() / 64), 1 << (slot.index() % 64));
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    /// Adds every slot of `other`.
    pub fn insert_all(&mut self, other: &Self) {
        let (first, words) = other.window();
        for (index, word) in (first..).zip(words) {
            *self.word_mut(index) |= word;
        }
    }

    /// Takes `slot` out; false if it was not there.
    pub fn remove(&mut self, slot: Slot) -> bool {
        let place = (slot.index() / 64).wrapping_sub(self.start.into());
        let Some(word) = self.words.get_mut(place) else { return false };
        let bit = 1 << (slot.index() % 64);
        let was_there = *word & bit != 0;
        *word &= !bit;
        if *word == 0 {
            self.trim();
        }
        was_there
    }

    /// The slots in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = Slot> + '_ {
        (usize::from(self.start)..).zip(&self.words).flat_map(|(index, &word)| {
            core::iter::successors(Some(word), |&rest| Some(rest & (rest.wrapping_sub(1))))
                .take_while(|&rest| rest != 0)
                .map(move |rest| slot(index * 64 + rest.trailing_zeros() as usize))
        })
    }

    /// The maximal runs of consecutive slots, ascending, both ends included.
    #[must_use]
    pub fn runs(&self) -> Vec<(Slot, Slot)> {
        let mut runs: Vec<(Slot, Slot)> = Vec::new();
        for (index, &word) in (usize::from(self.start)..).zip(&self.words) {
            let mut rest = word;
            while rest != 0 {
                let first = rest.trailing_zeros();
                let length = (rest >> first).trailing_ones();
                // A shift by the whole width is not defined: nothing is left then.
                rest = rest.checked_shr(first + length).map_or(0, |high| high << (first + length));
                let [start, end] = [first, first + length - 1].map(|bit| slot(index * 64 + bit as usize));
                match runs.last_mut() {
                    Some((_, last)) if last.0 + 1 == start.0 => *last = end,
                    Some(_) | None => runs.push((start, end)),
                }
            }
        }
        runs
    }

    /// The slots of this set that are not in `other`.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let mut rest = self.clone();
        for (index, word) in (usize::from(self.start)..).zip(&mut rest.words) {
            *word &= !other.word(index);
        }
        rest.trim();
        rest
    }

    /// Whether some slot is in both sets.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        (usize::from(self.start)..).zip(&self.words).any(|(index, word)| word & other.word(index) != 0)
    }
}

/// The slot at `index`, which must be below 65536: `SLOTS` is.
fn slot(index: usize) -> Slot {
    Slot(u16::try_from(index).unwrap_or(u16::MAX))
}

impl<const SLOTS: usize> FromIterator<Slot> for SlotSet<SLOTS> {
    fn from_iter<T: IntoIterator<Item = Slot>>(slots: T) -> Self {
        let mut set = Self::new();
        for slot in slots {
            set.insert(slot);
        }
        set
    }
}

impl<const SLOTS: usize> fmt::Display for SlotSet<SLOTS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (start, end)) in self.runs().into_iter().enumerate() {
            let gap = if index == 0 { "" } else { " " };
            if start == end {
                write!(f, "{gap}{start}")?;
            } else {
                write!(f, "{gap}{start}-{end}")?;
            }
        }
        Ok(())
    }
}

impl<const SLOTS: usize> fmt::Debug for SlotSet<SLOTS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{self}}}")
    }
}

impl<const SLOTS: usize> Serialize for SlotSet<SLOTS> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { self.window().serialize(serializer) }
    }
}

impl<'de, const SLOTS: usize> Deserialize<'de> for SlotSet<SLOTS> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            let (first, words) = <(usize, Vec<u64>)>::deserialize(deserializer)?;
            return Ok(Self::from_window(first.min(Self::WORDS), words));
        }
        let text = String::deserialize(deserializer)?;
        let mut set = Self::new();
        for item in text.split_whitespace() {
            let (start, end) = item.split_once('-').unwrap_or((item, item));
            let bad = || D::Error::custom(format!("'{item}' is no slot range"));
            let start: u16 = start.parse().map_err(|_| bad())?;
            let end: u16 = end.parse().map_err(|_| bad())?;
            if start > end || usize::from(end) >= SLOTS {
                return Err(bad());
            }
            (start..=end).for_each(|slot| {
                set.insert(Slot(slot));
            });
        }
        Ok(set)
    }
}

/// Who owns each slot, by position in the peer table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owners<const SLOTS: usize> {
    table: SmallVec<[Option<Pos>; 4]>,
    /// How many slots have no owner.
    free: usize,
}

impl<const SLOTS: usize> Default for Owners<SLOTS> {
    fn default() -> Self {
        Self { table: smallvec![None; SLOTS], free: SLOTS }
    }
}

impl<const SLOTS: usize> Owners<SLOTS> {
    /// The owner of `slot`, if it has one.
    #[must_use]
    pub fn get(&self, slot: Slot) -> Option<Pos> {
        self.table.get(slot.index()).copied().flatten()
    }

    /// Every slot with its owner, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (Slot, Option<Pos>)> + '_ {
        self.table.iter().enumerate().map(|(index, &owner)| (slot(index), owner))
    }

    /// How many slots have no owner.
    #[must_use]
    pub fn free(&self) -> usize {
        self.free
    }

    pub(crate) fn set(&mut self, slot: Slot, owner: Option<Pos>) {
        if let Some(place) = self.table.get_mut(slot.index()) {
            self.free += usize::from(owner.is_none());
            self.free -= usize::from(place.is_none());
            *place = owner;
        }
    }

    /// Applies a change of table positions.
    pub(crate) fn renumber(&mut self, change: impl Fn(Pos) -> Pos) {
        if self.free == SLOTS {
            return;
        }
        for owner in self.table.iter_mut().flatten() {
            *owner = change(*owner);
        }
    }
}
