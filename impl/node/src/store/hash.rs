//! Owns hashes: fields with values. A small one is a listpack, in order of insertion.
//!
//! Must not know its key.

use super::{
    limits::Limits,
    memory::{heap_bytes, table_bytes},
    walk,
};
use foldhash::quality::RandomState;
use indexmap::IndexMap;
use slotbus_wire::{
    listpack::{Item, Listpack},
    rdb::Body,
};
use std::borrow::Cow;

type Text = Box<[u8]>;
type Table = IndexMap<Text, Text, RandomState>;

/// A field with its value.
pub type Pair<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

/// A hash.
#[derive(Clone, Debug)]
pub enum Hash {
    /// Fields and values in turn.
    Small(Listpack),
    /// A table.
    Large {
        /// The fields.
        table: Table,
        /// What fields and values take on the heap.
        text_bytes: usize,
    },
}

impl Default for Hash {
    fn default() -> Self {
        Self::Small(Listpack::default())
    }
}

impl Hash {
    /// The hash of these fields, of which the last wins if one repeats.
    pub fn collect(pairs: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>, limits: &Limits) -> Self {
        let pairs = pairs.into_iter();
        let mut hash = Self::default();
        if pairs.size_hint().0 > limits.hash_entries_max {
            hash.grow();
        }
        for (field, value) in pairs {
            hash.set(&field, &value, limits);
        }
        hash
    }

    /// The hash that a listpack is; none if a field repeats.
    #[must_use]
    pub fn of_pack(pack: Listpack, limits: &Limits) -> Option<Self> {
        let len = pack.len() / 2;
        let is_small =
            len <= limits.hash_entries_max && pack.iter().all(|(_, item)| item.text_len() <= limits.hash_value_max);
        let table = table_of(&pack);
        if table.len() != len {
            return None;
        }
        Some(if is_small { Self::Small(pack) } else { Self::large(table) })
    }

    fn large(table: Table) -> Self {
        let text_bytes = table.iter().map(|(field, value)| heap_bytes(field.len()) + heap_bytes(value.len())).sum();
        Self::Large { table, text_bytes }
    }

    /// How many fields there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Small(pack) => pack.len() / 2,
            Self::Large { table, .. } => table.len(),
        }
    }

    /// Whether there is no field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What OBJECT ENCODING calls its form.
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        match self {
            Self::Small(_) => "listpack",
            Self::Large { .. } => "hashtable",
        }
    }

    /// How much memory it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Small(pack) => heap_bytes(pack.capacity()),
            Self::Large { table, text_bytes } => text_bytes + table_bytes(table.capacity(), size_of::<(Text, Text)>()),
        }
    }

    /// The value of a field.
    #[must_use]
    pub fn get(&self, field: &[u8]) -> Option<Cow<'_, [u8]>> {
        match self {
            Self::Small(pack) => {
                let wanted = Item::of(field);
                pack.pairs().find(|(_, field, _)| *field == wanted).map(|(_, _, value)| value.text())
            }
            Self::Large { table, .. } => table.get(field).map(|value| Cow::Borrowed(&**value)),
        }
    }

    /// Sets a field; true if it is new.
    pub fn set(&mut self, field: &[u8], value: &[u8], limits: &Limits) -> bool {
        if field.len().max(value.len()) > limits.hash_value_max {
            self.grow();
        }
        let is_new = match self {
            Self::Small(pack) => set_packed(pack, field, value),
            Self::Large { table, text_bytes } => match table.get_mut(field) {
                Some(former) if former.len() == value.len() => {
                    former.copy_from_slice(value);
                    false
                }
                Some(former) => {
                    *text_bytes = *text_bytes + heap_bytes(value.len()) - heap_bytes(former.len());
                    *former = value.into();
                    false
                }
                None => {
                    *text_bytes += heap_bytes(field.len()) + heap_bytes(value.len());
                    table.insert(field.into(), value.into());
                    true
                }
            },
        };
        if self.len() > limits.hash_entries_max {
            self.grow();
        }
        is_new
    }

    /// Drops a field; false if there is none.
    pub fn remove(&mut self, field: &[u8]) -> bool {
        match self {
            Self::Small(pack) => {
                let wanted = Item::of(field);
                let found = pack.pairs().find(|(_, field, _)| *field == wanted).map(|(at, ..)| at);
                found.inspect(|&at| pack.remove(at, 2)).is_some()
            }
            Self::Large { table, text_bytes } => {
                let removed = table.swap_remove_entry(field);
                if let Some((field, value)) = &removed {
                    *text_bytes -= heap_bytes(field.len()) + heap_bytes(value.len());
                }
                removed.is_some()
            }
        }
    }

    /// Every field with its value.
    pub fn iter(&self) -> Box<dyn Iterator<Item = Pair<'_>> + '_> {
        match self {
            Self::Small(pack) => Box::new(pack.pairs().map(|(_, field, value)| (field.text(), value.text()))),
            Self::Large { table, .. } => {
                Box::new(table.iter().map(|(field, value)| (Cow::Borrowed(&**field), Cow::Borrowed(&**value))))
            }
        }
    }

    /// The field at a place, with its value.
    #[must_use]
    pub fn nth(&self, index: usize) -> Option<Pair<'_>> {
        match self {
            Self::Small(_) => self.iter().nth(index),
            Self::Large { table, .. } => {
                table.get_index(index).map(|(field, value)| (Cow::Borrowed(&**field), Cow::Borrowed(&**value)))
            }
        }
    }

    /// A portion of the fields, and where to go on. A small hash is one portion.
    #[must_use]
    pub fn scan(&self, cursor: u64, count: usize) -> (u64, Vec<Pair<'_>>) {
        match self {
            Self::Small(_) => (0, self.iter().collect()),
            Self::Large { table, .. } => {
                let (places, next) = walk::portion(table.len(), cursor, count);
                (next, places.rev().filter_map(|index| self.nth(index)).collect())
            }
        }
    }

    /// The hash as a snapshot holds it.
    #[must_use]
    pub fn body(&self) -> Body<'_> {
        match self {
            Self::Small(pack) => Body::PackedHash(pack),
            Self::Large { table, .. } => {
                Body::Hash(table.len(), Box::new(table.iter().map(|(field, value)| (&**field, &**value))))
            }
        }
    }

    fn grow(&mut self) {
        if let Self::Small(pack) = self {
            *self = Self::large(table_of(pack));
        }
    }
}

fn set_packed(pack: &mut Listpack, field: &[u8], value: &[u8]) -> bool {
    let wanted = Item::of(field);
    let found = pack.pairs().find(|(_, field, _)| *field == wanted).map(|(at, ..)| at);
    match found {
        Some(at) => pack.replace(at, 2, &[field, value]),
        None => {
            pack.push_back(field);
            pack.push_back(value);
        }
    }
    found.is_none()
}

fn table_of(pack: &Listpack) -> Table {
    let owned = |item: Item<'_>| item.text().into_owned().into_boxed_slice();
    pack.pairs().map(|(_, field, value)| (owned(field), owned(value))).collect()
}
