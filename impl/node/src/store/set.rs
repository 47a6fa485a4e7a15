//! Owns sets. A small one of numbers only is an intset, in ascending order.
//!
//! Must not know its key.

use super::{
    limits::Limits,
    memory::{heap_bytes, table_bytes},
    walk,
};
use foldhash::quality::RandomState;
use indexmap::IndexSet;
use slotbus_wire::{intset::IntSet, rdb::Body, resp::parse_i64};
use std::borrow::Cow;

type Text = Box<[u8]>;
type Table = IndexSet<Text, RandomState>;

/// A set.
#[derive(Clone, Debug)]
pub enum Set {
    /// Numbers only.
    Numbers(IntSet),
    /// A table.
    Large {
        /// The members.
        table: Table,
        /// What they take on the heap.
        text_bytes: usize,
    },
}

impl Default for Set {
    fn default() -> Self {
        Self::Numbers(IntSet::default())
    }
}

impl Set {
    /// The set of these members.
    pub fn collect<'m>(members: impl IntoIterator<Item = &'m [u8]>, limits: &Limits) -> Self {
        let mut set = Self::default();
        for member in members {
            set.insert(member, limits);
        }
        set
    }

    /// The set of these members, if no two of them are the same.
    #[must_use]
    pub fn of_members(members: Vec<Vec<u8>>, limits: &Limits) -> Option<Self> {
        let is_number = |member: &Vec<u8>| parse_i64(member).is_some();
        if members.len() <= limits.intset_entries_max && members.iter().all(is_number) {
            let set = Self::collect(members.iter().map(Vec::as_slice), limits);
            return (set.len() == members.len()).then_some(set);
        }
        let len = members.len();
        let table: Table = members.into_iter().map(Vec::into_boxed_slice).collect();
        (table.len() == len).then(|| Self::large(table))
    }

    fn large(table: Table) -> Self {
        let text_bytes = table.iter().map(|member| heap_bytes(member.len())).sum();
        Self::Large { table, text_bytes }
    }

    /// The set that an intset is.
    #[must_use]
    pub fn of_numbers(numbers: IntSet, limits: &Limits) -> Self {
        let is_large = numbers.len() > limits.intset_entries_max;
        let mut set = Self::Numbers(numbers);
        if is_large {
            set.grow();
        }
        set
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Numbers(numbers) => numbers.len(),
            Self::Large { table, .. } => table.len(),
        }
    }

    /// Whether there is no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What OBJECT ENCODING calls its form.
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        match self {
            Self::Numbers(_) => "intset",
            Self::Large { .. } => "hashtable",
        }
    }

    /// How much memory it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Numbers(numbers) => heap_bytes(numbers.capacity()),
            Self::Large { table, text_bytes } => text_bytes + table_bytes(table.capacity(), size_of::<Text>()),
        }
    }

    /// Whether a member is there.
    #[must_use]
    pub fn contains(&self, member: &[u8]) -> bool {
        match self {
            Self::Numbers(numbers) => parse_i64(member).is_some_and(|number| numbers.contains(number)),
            Self::Large { table, .. } => table.contains(member),
        }
    }

    /// Adds a member; false if it is there already.
    pub fn insert(&mut self, member: &[u8], limits: &Limits) -> bool {
        if let Self::Numbers(numbers) = self {
            match parse_i64(member) {
                Some(number) => {
                    let is_new = numbers.insert(number);
                    if numbers.len() > limits.intset_entries_max {
                        self.grow();
                    }
                    return is_new;
                }
                None => self.grow(),
            }
        }
        let Self::Large { table, text_bytes } = self else { return false };
        let is_new = !table.contains(member) && table.insert(member.into());
        *text_bytes += if is_new { heap_bytes(member.len()) } else { 0 };
        is_new
    }

    /// Drops a member; false if there is none.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        match self {
            Self::Numbers(numbers) => parse_i64(member).is_some_and(|number| numbers.remove(number)),
            Self::Large { table, text_bytes } => {
                let is_gone = table.swap_remove(member);
                *text_bytes -= if is_gone { heap_bytes(member.len()) } else { 0 };
                is_gone
            }
        }
    }

    /// Every member.
    pub fn iter(&self) -> Box<dyn Iterator<Item = Cow<'_, [u8]>> + '_> {
        match self {
            Self::Numbers(numbers) => Box::new(numbers.iter().map(text)),
            Self::Large { table, .. } => Box::new(table.iter().map(|member| Cow::Borrowed(&**member))),
        }
    }

    /// The member at a place.
    #[must_use]
    pub fn nth(&self, index: usize) -> Option<Cow<'_, [u8]>> {
        match self {
            Self::Numbers(numbers) => numbers.get(index).map(text),
            Self::Large { table, .. } => table.get_index(index).map(|member| Cow::Borrowed(&**member)),
        }
    }

    /// A portion of the members, and where to go on. An intset is one portion.
    #[must_use]
    pub fn scan(&self, cursor: u64, count: usize) -> (u64, Vec<Cow<'_, [u8]>>) {
        match self {
            Self::Numbers(_) => (0, self.iter().collect()),
            Self::Large { table, .. } => {
                let (places, next) = walk::portion(table.len(), cursor, count);
                (next, places.rev().filter_map(|index| self.nth(index)).collect())
            }
        }
    }

    /// The set as a snapshot holds it.
    #[must_use]
    pub fn body(&self) -> Body<'_> {
        match self {
            Self::Numbers(numbers) => Body::IntSet(numbers),
            Self::Large { table, .. } => Body::Set(table.len(), Box::new(table.iter().map(|member| &**member))),
        }
    }

    fn grow(&mut self) {
        if let Self::Numbers(numbers) = self {
            let mut digits = itoa::Buffer::new();
            *self = Self::large(numbers.iter().map(|number| Text::from(digits.format(number).as_bytes())).collect());
        }
    }
}

fn text<'t>(number: i64) -> Cow<'t, [u8]> {
    Cow::Owned(number.to_string().into_bytes())
}
