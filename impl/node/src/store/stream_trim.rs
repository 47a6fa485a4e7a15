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

#[cfg(test)]
mod tests {
    use super::{Bound, Trim};
    use crate::store::{
        limits::Limits,
        stream_entries::Stream,
        stream_groups::{Claim, Terms},
    };
    use slotbus_wire::{
        dump,
        entry_id::EntryId,
        rdb::{self, Value},
    };

    const LIMITS: fn() -> Limits = || Limits { stream_block_len_max: 4, ..Limits::default() };

    /// A stream with deleted entries, and a group to which some are pending.
    fn filled() -> Stream {
        let mut stream = Stream::default();
        for ms in 1..14 {
            let fields: &[(&[u8], &[u8])] = &[(b"field", b"value"), (b"7", b"-70000")];
            stream.append(EntryId::new(ms, ms % 3), &fields[..1 + usize::from(ms % 4 > 0)], &LIMITS());
        }
        stream.create_group(b"g", EntryId::MIN, 0);
        stream.create_consumer(b"g", b"c", 5);
        let ids: Vec<EntryId> = (1..6).map(|ms| EntryId::new(ms, ms % 3)).collect();
        stream.deliver(b"g", b"c", &ids, true, 6);
        stream.delete(&ids[2..4]);
        stream
    }

    /// Does all that can be done to a stream.
    fn use_up(mut stream: Stream) {
        let all = (EntryId::MIN, EntryId::MAX);
        let ids: Vec<EntryId> = stream.range(all.0, all.1).map(|entry| entry.id).collect();
        let mut back: Vec<EntryId> = stream.range_back(all.0, all.1).map(|entry| entry.id).collect();
        back.reverse();
        assert_eq!(ids, back);
        assert_eq!((stream.len(), stream.top()), (ids.len() as u64, ids.last().copied()));
        let words = stream.range(all.0, all.1).flat_map(|entry| entry.fields().collect::<Vec<_>>()).count();
        assert!(words >= ids.len() || stream.tree_nodes() > 0);
        if let Some(id) = stream.next_id(None, 50) {
            stream.append(id, &[(b"f", b"v")], &LIMITS());
        }
        let groups: Vec<_> = stream.groups().keys().cloned().collect();
        for group in groups {
            stream.see_consumer(&group, b"other", 1);
            let terms = Terms {
                consumer: b"other",
                idle_min_ms: 0,
                now_ms: 9,
                delivered_ms: 9,
                count: None,
                counts: true,
                is_forced: true,
            };
            for &id in &ids {
                assert!(matches!(stream.claim(&group, id, terms), Claim::Taken(..)));
            }
            stream.deliver(&group, b"other", &ids, true, i64::MAX);
            let lag = stream.group(&group).map(|group| stream.lag(group));
            assert!(lag.is_some());
            stream.acknowledge(&group, &ids);
        }
        let bound = Bound::Len(stream.len() / 2);
        stream.trim(Trim { bound, is_rough: true, count_max: 3 });
        stream.trim(Trim { bound, is_rough: false, count_max: 0 });
        stream.delete(&ids);
        stream.trim(Trim { bound: Bound::Id(EntryId::MAX), is_rough: false, count_max: 0 });
        let copy = dump::restore(&dump::dump(stream.body(), false));
        assert_eq!(copy, Ok(Value::Stream(Box::new(stream.parts().clone()))));
    }

    #[test]
    fn a_stream_that_lies_is_refused_or_can_be_used_up() {
        use_up(filled());
        let whole = dump::dump(filled().body(), false);
        let good = &whole[..whole.len() - 10];
        let mut dice = fastrand::Rng::with_seed(3);
        let (mut refused, mut taken) = (0, 0);
        for _ in 0..20_000 {
            let mut bad = good.to_vec();
            for _ in 0..dice.usize(1..3) {
                let at = dice.usize(1..bad.len());
                bad[at] = if dice.bool() { dice.u8(..) } else { bad[at] ^ 1 << dice.u8(0..8) };
            }
            match rdb::read_value(&bad) {
                Ok((Value::Stream(stream), _)) => {
                    taken += 1;
                    use_up(Stream::of_snapshot(stream));
                }
                Ok(_) | Err(_) => refused += 1,
            }
        }
        assert!(refused > 2000 && taken > 500, "{refused} {taken}");
    }
}
