//! Owns how keys that are soon to be used are brought close: most of the time that a request takes is spent
//! waiting for memory, and where several wait at the same time, they wait for as long as one.
//!
//! Must not change anything, nor know what the keys are wanted for.

use super::{Store, value::View};
use slotbus_core::route::key_slot;
use smallvec::SmallVec;
use std::hint::black_box;

/// So many keys take no memory beyond the stack.
const USUAL: usize = 32;

impl Store {
    /// Brings keys close, and of each that is a large collection what it has of one of two names.
    ///
    /// Every stage is a short loop over all keys which follows one pointer of each: the processor does not
    /// wait for one before it asks for the next. What nobody wants to know would not be read, so it is
    /// handed to `black_box`.
    pub fn anticipate<'k>(&self, wanted: impl Iterator<Item = (&'k [u8], [&'k [u8]; 2])>) {
        type Row<'k> = (usize, u32, [&'k [u8]; 2]);
        let mut rows = SmallVec::<[Row<'k>; USUAL]>::new();
        let mut last: Option<(&[u8], usize, u32)> = None;
        for (key, names) in wanted {
            let same = last.filter(|&(other, ..)| other == key);
            let (_, slot, hash) = *last.insert(same.unwrap_or_else(|| (key, key_slot(key).index(), self.hash(key))));
            rows.push((slot, hash, names));
        }
        black_box(rows.iter().map(|&(slot, ..)| self.tables[slot].len()).sum::<usize>());
        let places: SmallVec<[Option<usize>; USUAL]> =
            rows.iter().map(|&(slot, hash, _)| self.tables[slot].likely_place(hash)).collect();
        let found = rows.iter().zip(&places).filter_map(|(&(slot, _, names), &at)| {
            let entry = self.tables[slot].entries().get(at?)?;
            Some((entry, names))
        });
        black_box(found.clone().map(|(entry, _)| entry.key().len()).sum::<usize>());
        let has_it = |names, view: View<'_>| matches!(view, View::Other(value) if value.has_large(names));
        black_box(found.filter(|&(entry, names)| has_it(names, entry.view())).count());
    }
}
