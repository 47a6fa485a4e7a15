//! Owns the tables of all slots, row by row: a row is made when the first of its slots gets a key, so that a node that
//! serves few slots, or none, holds little memory for the others.
//!
//! Must not know what a key is.

use super::table::Table;
use slotbus_core::CLUSTER_SLOTS;
use std::ops::Index;

/// So many neighbouring slots make a row: what leads to the rows stays within the nearest cache.
const ROW: usize = 64;

type Row = Box<[Table; ROW]>;

/// A table for each slot.
#[derive(Debug)]
pub struct Tables {
    rows: Vec<Option<Row>>,
    /// Stands for every table that was not made.
    empty: Table,
}

impl Default for Tables {
    fn default() -> Self {
        let rows = std::iter::repeat_with(|| None).take(CLUSTER_SLOTS / ROW).collect();
        Self { rows, empty: Table::default() }
    }
}

impl Tables {
    /// The table of a slot; none beyond the last slot.
    #[must_use]
    pub fn get(&self, slot: usize) -> Option<&Table> {
        (slot < CLUSTER_SLOTS).then(|| &self[slot])
    }

    /// The table of a slot, to change it, if it was made.
    pub fn get_mut(&mut self, slot: usize) -> Option<&mut Table> {
        Some(&mut self.rows.get_mut(slot / ROW)?.as_mut()?[slot % ROW])
    }

    /// The table of a slot, to add a key to it.
    pub fn make(&mut self, slot: usize) -> &mut Table {
        let row = self.rows[slot / ROW].get_or_insert_with(|| Box::new(std::array::from_fn(|_| Table::default())));
        &mut row[slot % ROW]
    }

    /// Every table that was made, with its slot, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &Table)> {
        let rows = self.rows.iter().enumerate().filter_map(|(number, row)| Some((number, row.as_ref()?)));
        rows.flat_map(|(number, row)| row.iter().enumerate().map(move |(at, table)| (number * ROW + at, table)))
    }

    /// Every table that was made, to change it.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Table> {
        self.rows.iter_mut().flatten().flat_map(|row| row.iter_mut())
    }
}

impl Index<usize> for Tables {
    type Output = Table;

    fn index(&self, slot: usize) -> &Table {
        self.rows[slot / ROW].as_ref().map_or(&self.empty, |row| &row[slot % ROW])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_made_with_the_first_key_of_its_slots() {
        let mut tables = Tables::default();
        assert!(tables.iter().next().is_none() && tables.get_mut(CLUSTER_SLOTS - 1).is_none());
        tables.make(CLUSTER_SLOTS - 1);
        let made: Vec<usize> = tables.iter().map(|(slot, _)| slot).collect();
        assert_eq!(made, (CLUSTER_SLOTS - ROW..CLUSTER_SLOTS).collect::<Vec<_>>());
        assert!(tables.get_mut(CLUSTER_SLOTS - 1).is_some() && tables.get_mut(0).is_none());
        assert!(tables[0].is_empty() && tables.get(CLUSTER_SLOTS).is_none() && tables.get_mut(CLUSTER_SLOTS).is_none());
    }
}
