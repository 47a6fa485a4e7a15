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

/// A set of slots below `SLOTS`. The empty set holds no memory, and equal sets have equal form.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotSet<const SLOTS: usize> {
    /// Empty, or `SLOTS / 64` rounded up words with at least one bit set.
    words: SmallVec<[u64; 2]>,
}

impl<const SLOTS: usize> SlotSet<SLOTS> {
    const WORDS: usize = SLOTS.div_ceil(64);

    /// The empty set.
    #[must_use]
    pub fn new() -> Self {
        Self { words: SmallVec::new() }
    }

    /// Every slot.
    #[must_use]
    pub fn all() -> Self {
        (0..SLOTS).map(slot).collect()
    }

    /// The slots `start..=end`, cut at the last slot there is.
    #[must_use]
    pub fn range(start: u16, end: u16) -> Self {
        (usize::from(start)..=usize::from(end)).take_while(|&index| index < SLOTS).map(slot).collect()
    }

    /// The set whose slot `64 * w + b` is bit `b` of word `w`; bits beyond the last slot are dropped.
    #[must_use]
    pub fn from_words(source: impl IntoIterator<Item = u64>) -> Self {
        let mut words: SmallVec<[u64; 2]> = source.into_iter().take(Self::WORDS).collect();
        words.resize(Self::WORDS, 0);
        if let (Some(last), false) = (words.last_mut(), SLOTS.is_multiple_of(64)) {
            *last &= (1 << (SLOTS % 64)) - 1;
        }
        if words.iter().all(|&word| word == 0) {
            words.clear();
            words.shrink_to_fit();
        }
        Self { words }
    }

    /// The words of [`SlotSet::from_words`], as many as there are words of slots.
    pub fn words(&self) -> impl Iterator<Item = u64> + '_ {
        let absent = Self::WORDS - self.words.len();
        self.words.iter().copied().chain(core::iter::repeat_n(0, absent))
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
        self.words.get(slot.index() / 64).is_some_and(|word| word >> (slot.index() % 64) & 1 == 1)
    }

    /// Adds `slot`; false if it was there, or there is no such slot.
    pub fn insert(&mut self, slot: Slot) -> bool {
        if slot.index() >= SLOTS || self.contains(slot) {
            return false;
        }
        if self.words.is_empty() {
            self.words = smallvec![0; Self::WORDS];
        }
        self.words[slot.index() / 64] |= 1 << (slot.index() % 64);
        true
    }

    /// Takes `slot` out; false if it was not there.
    pub fn remove(&mut self, slot: Slot) -> bool {
        if !self.contains(slot) {
            return false;
        }
        self.words[slot.index() / 64] &= !(1 << (slot.index() % 64));
        if self.words.iter().all(|&word| word == 0) {
            self.words.clear();
            self.words.shrink_to_fit();
        }
        true
    }

    /// The slots in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = Slot> + '_ {
        self.words.iter().enumerate().flat_map(|(index, &word)| {
            core::iter::successors(Some(word), |&rest| Some(rest & (rest.wrapping_sub(1))))
                .take_while(|&rest| rest != 0)
                .map(move |rest| slot(index * 64 + rest.trailing_zeros() as usize))
        })
    }

    /// The maximal runs of consecutive slots, ascending, both ends included.
    #[must_use]
    pub fn runs(&self) -> Vec<(Slot, Slot)> {
        let mut runs: Vec<(Slot, Slot)> = Vec::new();
        for slot in self.iter() {
            match runs.last_mut() {
                Some((_, end)) if end.0 + 1 == slot.0 => *end = slot,
                Some(_) | None => runs.push((slot, slot)),
            }
        }
        runs
    }

    /// The slots of this set that are not in `other`.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        Self::from_words(self.words().zip(other.words()).map(|(left, right)| left & !right))
    }

    /// Whether some slot is in both sets.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.words().zip(other.words()).any(|(left, right)| left & right != 0)
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
        serializer.collect_str(self)
    }
}

impl<'de, const SLOTS: usize> Deserialize<'de> for SlotSet<SLOTS> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
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
pub struct Owners<const SLOTS: usize>(SmallVec<[Option<Pos>; 4]>);

impl<const SLOTS: usize> Default for Owners<SLOTS> {
    fn default() -> Self {
        Self(smallvec![None; SLOTS])
    }
}

impl<const SLOTS: usize> Owners<SLOTS> {
    /// The owner of `slot`, if it has one.
    #[must_use]
    pub fn get(&self, slot: Slot) -> Option<Pos> {
        self.0.get(slot.index()).copied().flatten()
    }

    /// Every slot with its owner, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (Slot, Option<Pos>)> + '_ {
        self.0.iter().enumerate().map(|(index, &owner)| (slot(index), owner))
    }

    pub(crate) fn set(&mut self, slot: Slot, owner: Option<Pos>) {
        if let Some(place) = self.0.get_mut(slot.index()) {
            *place = owner;
        }
    }

    /// Applies a change of table positions.
    pub(crate) fn renumber(&mut self, change: impl Fn(Pos) -> Pos) {
        for owner in self.0.iter_mut().flatten() {
            *owner = change(*owner);
        }
    }
}
