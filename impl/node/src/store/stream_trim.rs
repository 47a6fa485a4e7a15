//! Owns how entries go from the beginning of a stream: whole blocks first, and marks in the block that a bound is in.
//!
//! Must not know who asks, nor why.

use super::stream_entries::Stream;
use slotbus_wire::{
    entry_block::{Block, Entry},
    entry_id::EntryId,
};

/// Up to where a stream is trimmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// So many entries stay.
    Len(u64),
    /// Entries from this id on stay.
    Id(EntryId),
}

/// How a stream is trimmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trim {
    /// Up to where.
    pub bound: Bound,
    /// Whether only whole blocks go.
    pub is_rough: bool,
    /// No more entries than this go; 0 for no such limit.
    pub count_max: u64,
}

impl Stream {
    /// Drops entries from the beginning; says how many.
    pub fn trim(&mut self, trim: Trim) -> u64 {
        let mut gone = 0;
        while let Some((&master, block)) = self.inner.blocks.first_key_value() {
            if matches!(trim.bound, Bound::Len(most) if self.inner.len <= most) {
                break;
            }
            let live = block.live() as u64;
            if trim.count_max > 0 && gone + live > trim.count_max {
                break;
            }
            let goes_whole = match trim.bound {
                Bound::Len(most) => self.inner.len.saturating_sub(live) >= most,
                Bound::Id(least) => block.last().is_none_or(|last| last < least),
            };
            if goes_whole {
                self.drop_block(master);
                self.inner.len = self.inner.len.saturating_sub(live);
                gone += live;
                continue;
            }
            if !trim.is_rough {
                gone += self.trim_block(master, trim.bound);
            }
            break;
        }
        if self.inner.len == 0 {
            self.inner.first = EntryId::MIN;
        } else if gone > 0 {
            self.find_first();
        }
        gone
    }

    /// Marks entries of a block as deleted, up to a bound that is within it.
    fn trim_block(&mut self, master: EntryId, bound: Bound) -> u64 {
        let Some(block) = self.inner.blocks.get_mut(&master) else { return 0 };
        let live = |entry: &Entry<'_>| !entry.is_deleted;
        let victims: Vec<usize> = match bound {
            Bound::Len(most) => {
                let count = usize::try_from(self.inner.len.saturating_sub(most)).unwrap_or(usize::MAX);
                block.entries().filter(live).take(count).map(|entry| entry.at).collect()
            }
            Bound::Id(least) => {
                block.entries().take_while(|entry| entry.id < least).filter(live).map(|entry| entry.at).collect()
            }
        };
        victims.iter().for_each(|&at| block.delete(at));
        self.inner.len = self.inner.len.saturating_sub(victims.len() as u64);
        victims.len() as u64
    }

    /// The id from which on entries, deleted ones included, have stayed.
    #[must_use]
    pub fn edge(&self) -> EntryId {
        let mut entries = self.inner.blocks.values().flat_map(Block::entries);
        entries.next().map_or(EntryId::MAX, |entry| entry.id)
    }
}
