//! Owns streams: entries in the order of their ids, in blocks that are listpacks, and what is counted of them. Their
//! groups of consumers are in `stream_groups`, and how they are trimmed in `stream_trim`. (Connections are in `crate::stream`.)
//!
//! Must not know its key, nor the time. A stream stays when its last entry goes.

use super::{
    limits::Limits,
    memory::heap_bytes,
    news::Class,
    value::{Kind, Value},
};
use slotbus_wire::{
    entry_block::{Block, Entry},
    entry_id::{EntryId, Wanted},
    rdb::{self, Body},
};

/// A block takes so many bytes of the heap beside its entries: its place in the tree, as trees are filled.
const BLOCK_BYTES: usize = 96;
/// What a tree of blocks and a tree of groups take when they are empty.
const BASE_BYTES: usize = 160;
/// The fields and values of one entry take no more bytes than this.
pub const ENTRY_BYTES_MAX: usize = 1 << 30;

/// A stream.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    pub(super) inner: Box<rdb::Stream>,
    block_bytes: usize,
    pub(super) group_bytes: usize,
}

impl Kind for Stream {
    const CLASS: Class = Class::STREAM;

    fn of(value: &Value) -> Option<&Self> {
        if let Value::Stream(inner) = value { Some(inner) } else { None }
    }

    fn of_mut(value: &mut Value) -> Option<&mut Self> {
        if let Value::Stream(inner) = value { Some(inner) } else { None }
    }

    fn into_value(self) -> Value {
        Value::Stream(self)
    }

    fn is_empty(&self) -> bool {
        false
    }
}

fn bytes_of(block: &Block) -> usize {
    heap_bytes(block.capacity()) + BLOCK_BYTES
}

impl Stream {
    /// The stream that a snapshot holds.
    #[must_use]
    pub fn of_snapshot(inner: Box<rdb::Stream>) -> Self {
        let block_bytes = inner.blocks.values().map(bytes_of).sum();
        let group_bytes = inner.groups.iter().map(|(name, group)| super::stream_groups::bytes_of(name, group)).sum();
        Self { inner, block_bytes, group_bytes }
    }

    /// The stream as a snapshot holds it.
    #[must_use]
    pub fn body(&self) -> Body<'_> {
        Body::Stream(&self.inner)
    }

    /// Everything that it holds.
    #[must_use]
    pub fn parts(&self) -> &rdb::Stream {
        &self.inner
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.inner.len
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inner.len == 0
    }

    /// The id that was given last.
    #[must_use]
    pub fn last(&self) -> EntryId {
        self.inner.last
    }

    /// How much memory it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        heap_bytes(size_of::<rdb::Stream>()) + BASE_BYTES + self.block_bytes + self.group_bytes
    }

    /// The id of an entry to be added: what is wanted, or what `now_ms` makes; none if it is not behind the last.
    #[must_use]
    pub fn next_id(&self, wanted: Option<Wanted>, now_ms: u64) -> Option<EntryId> {
        let last = self.inner.last;
        let id = match wanted {
            Some(Wanted::Id(id)) => id,
            Some(Wanted::Ms(ms)) if ms == last.ms => EntryId::new(ms, last.seq.checked_add(1)?),
            Some(Wanted::Ms(ms)) => EntryId::new(ms, 0),
            None if now_ms > last.ms => EntryId::new(now_ms, 0),
            None => last.next()?,
        };
        (id > last).then_some(id)
    }

    /// Adds an entry under an id that is behind the last.
    pub fn append(&mut self, id: EntryId, fields: &[(&[u8], &[u8])], limits: &Limits) {
        let bytes: usize = fields.iter().map(|(field, value)| field.len() + value.len()).sum();
        let bytes_max = match limits.stream_block_bytes_max {
            0 => ENTRY_BYTES_MAX,
            most => most.min(ENTRY_BYTES_MAX),
        };
        let is_full = |block: &Block| {
            block.as_bytes().len().saturating_add(bytes) >= bytes_max
                || limits.stream_block_len_max > 0 && block.held() >= limits.stream_block_len_max
        };
        let mut is_added = false;
        if let Some(mut last) = self.inner.blocks.last_entry() {
            let block = last.get_mut();
            let before = bytes_of(block);
            if is_full(block) {
                block.tighten();
            } else {
                block.append(id, fields);
                is_added = true;
            }
            self.block_bytes = (self.block_bytes + bytes_of(block)).saturating_sub(before);
        }
        if !is_added {
            let block = Block::of_first(id, fields);
            self.block_bytes += bytes_of(&block);
            self.inner.blocks.insert(id, block);
        }
        self.inner.len += 1;
        self.inner.added = self.inner.added.wrapping_add(1);
        self.inner.last = id;
        if self.inner.len == 1 {
            self.inner.first = id;
        }
    }

    /// The entries from one id to another, each with the id of its block.
    fn placed(&self, from: EntryId, to: EntryId) -> impl Iterator<Item = (EntryId, Entry<'_>)> {
        let blocks = &self.inner.blocks;
        let start = blocks.range(..=from).next_back().map_or(EntryId::MIN, |(master, _)| *master);
        let entries = blocks.range(start..).flat_map(|(master, block)| block.entries().map(|entry| (*master, entry)));
        let live = entries.filter(|(_, entry)| !entry.is_deleted);
        live.skip_while(move |(_, entry)| entry.id < from).take_while(move |(_, entry)| entry.id <= to)
    }

    /// The entries from one id to another, both included.
    pub fn range(&self, from: EntryId, to: EntryId) -> impl Iterator<Item = Entry<'_>> {
        self.placed(from, to).map(|(_, entry)| entry)
    }

    /// The entries from one id to another, both included, the last one first.
    pub fn range_back(&self, from: EntryId, to: EntryId) -> impl Iterator<Item = Entry<'_>> {
        let live = self.inner.blocks.range(..=to).rev().flat_map(|(_, block)| block.entries_back());
        let live = live.filter(|entry| !entry.is_deleted);
        live.skip_while(move |entry| entry.id > to).take_while(move |entry| entry.id >= from)
    }

    /// The entry with an id.
    #[must_use]
    pub fn get(&self, id: EntryId) -> Option<Entry<'_>> {
        self.range(id, id).next()
    }

    /// The id of the last entry that is there.
    #[must_use]
    pub fn top(&self) -> Option<EntryId> {
        self.range_back(EntryId::MIN, EntryId::MAX).next().map(|entry| entry.id)
    }

    /// Drops entries; says how many of them were there.
    pub fn delete(&mut self, ids: &[EntryId]) -> usize {
        let first = self.inner.first;
        let mut gone = 0;
        let mut is_first_gone = false;
        for &id in ids.iter() {
            if self.delete_one(id) {
                is_first_gone |= id == first;
                self.inner.max_deleted = self.inner.max_deleted.max(id);
                gone += 1;
            }
        }
        if gone > 0 && self.inner.len == 0 {
            self.inner.first = EntryId::MIN;
        } else if is_first_gone {
            self.find_first();
        }
        gone
    }

    fn delete_one(&mut self, id: EntryId) -> bool {
        let place = self.placed(id, id).next().map(|(master, entry)| (master, entry.at));
        let Some((master, at)) = place else { return false };
        let Some(block) = self.inner.blocks.get_mut(&master) else { return false };
        if block.live() == 1 {
            self.drop_block(master);
        } else {
            block.delete(at);
        }
        self.inner.len = self.inner.len.saturating_sub(1);
        true
    }

    pub(super) fn drop_block(&mut self, master: EntryId) {
        if let Some(block) = self.inner.blocks.remove(&master) {
            self.block_bytes = self.block_bytes.saturating_sub(bytes_of(&block));
        }
    }

    pub(super) fn find_first(&mut self) {
        self.inner.first = self.inner.find_first().unwrap_or(EntryId::MAX);
    }

    /// Says which id was given last and, if they are given, how many entries were ever added, and the greatest id
    /// that was deleted.
    pub fn set_ids(&mut self, last: EntryId, added: Option<u64>, max_deleted: Option<EntryId>) {
        self.inner.last = last;
        self.inner.added = added.unwrap_or(self.inner.added);
        self.inner.max_deleted = max_deleted.unwrap_or(self.inner.max_deleted);
    }

    /// How many nodes the tree has in which redis-server keeps the ids of blocks: XINFO tells it.
    #[must_use]
    pub fn tree_nodes(&self) -> usize {
        let keys: Vec<[u8; EntryId::BYTES]> = self.inner.blocks.keys().map(|master| master.to_bytes()).collect();
        if keys.is_empty() { 1 } else { nodes_of(&keys, 0) }
    }
}

/// The nodes of a tree of these keys, which are in order and have their first `depth` bytes in common: one where keys
/// part, one for each run of bytes that they share, and one at each end.
fn nodes_of(keys: &[[u8; EntryId::BYTES]], depth: usize) -> usize {
    let (Some(first), Some(last)) = (keys.first(), keys.last()) else { return 0 };
    let shared = first.iter().zip(last).skip(depth).take_while(|(left, right)| left == right).count();
    let depth = depth + shared;
    let run = usize::from(shared > 0);
    if depth >= EntryId::BYTES {
        return run + 1;
    }
    let parts = keys.chunk_by(|left, right| left.get(depth) == right.get(depth));
    run + 1 + parts.map(|part| nodes_of(part, depth + 1)).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::Stream;
    use crate::store::{
        limits::Limits,
        stream_trim::{Bound, Trim},
    };
    use slotbus_wire::{
        dump,
        entry_id::{EntryId, Wanted},
        rdb,
    };
    use std::collections::BTreeMap;

    type Twin = BTreeMap<EntryId, Vec<(String, String)>>;

    fn entries<'s>(found: impl Iterator<Item = slotbus_wire::entry_block::Entry<'s>>) -> Vec<(EntryId, usize)> {
        found.map(|entry| (entry.id, entry.fields().count())).collect()
    }

    fn in_range(twin: &Twin, from: EntryId, to: EntryId) -> Vec<(EntryId, usize)> {
        twin.iter().filter(|(id, _)| **id >= from && **id <= to).map(|(id, fields)| (*id, fields.len())).collect()
    }

    /// The same changes to a stream of tiny blocks and to a map.
    #[test]
    fn it_holds_what_a_map_holds() {
        let limits = Limits { stream_block_len_max: 5, ..Limits::default() };
        let mut dice = fastrand::Rng::with_seed(11);
        let (mut stream, mut twin) = (Stream::default(), Twin::new());
        for round in 0..6000_u64 {
            let some = EntryId::new(dice.u64(0..=stream.last().ms + 1), dice.u64(0..3));
            let bound = if dice.bool() { Bound::Len(dice.u64(0..40)) } else { Bound::Id(some) };
            match dice.u8(0..12) {
                0..6 => {
                    let wanted = dice.bool().then(|| Wanted::Ms(stream.last().ms + dice.u64(0..2)));
                    let Some(id) = stream.next_id(wanted, round / 3) else { panic!("an id") };
                    let count = dice.usize(1..4);
                    let names = ["a", "7", "c"].iter().take(count);
                    let fields: Vec<_> = names.map(|name| ((*name).to_owned(), dice.i8(..).to_string())).collect();
                    let bytes: Vec<_> =
                        fields.iter().map(|(field, value)| (field.as_bytes(), value.as_bytes())).collect();
                    stream.append(id, &bytes, &limits);
                    twin.insert(id, fields);
                }
                6..10 => {
                    let id = twin.keys().nth(dice.usize(0..=twin.len())).copied().unwrap_or(some);
                    assert_eq!(stream.delete(&[id, id]), usize::from(twin.remove(&id).is_some()));
                }
                10 if round % 5 == 0 => {
                    let gone = stream.trim(Trim { bound, is_rough: false, count_max: 0 });
                    let before = twin.len();
                    match bound {
                        Bound::Len(most) => {
                            while twin.len() as u64 > most {
                                twin.pop_first();
                            }
                        }
                        Bound::Id(least) => twin.retain(|id, _| *id >= least),
                    }
                    assert_eq!(gone as usize, before - twin.len());
                }
                10 => {
                    let gone = stream.trim(Trim { bound, is_rough: true, count_max: 20 });
                    assert!(gone <= 20);
                    (0..gone).for_each(|_| drop(twin.pop_first()));
                }
                _ => {
                    let to = EntryId::new(some.ms + dice.u64(0..50), dice.u64(0..3));
                    let expected = in_range(&twin, some, to);
                    assert_eq!(entries(stream.range(some, to)), expected);
                    let mut back = entries(stream.range_back(some, to));
                    back.reverse();
                    assert_eq!(back, expected);
                }
            }
            assert_eq!(stream.len() as usize, twin.len());
            assert_eq!(stream.top(), twin.keys().next_back().copied());
            if !twin.is_empty() {
                assert_eq!(Some(stream.parts().first), twin.keys().next().copied());
            }
            if round % 100 == 0 {
                let Ok(rdb::Value::Stream(copy)) = dump::restore(&dump::dump(stream.body(), true)) else {
                    panic!("its own dump")
                };
                assert_eq!(&*copy, stream.parts());
                let copy = Stream::of_snapshot(copy);
                assert!(copy.bytes() <= stream.bytes());
            }
        }
    }

    #[test]
    fn ids_go_on_from_the_last_one() {
        let mut stream = Stream::default();
        assert_eq!(stream.next_id(None, 0), Some(EntryId::new(0, 1)));
        assert_eq!(stream.next_id(Some(Wanted::Ms(0)), 9), Some(EntryId::new(0, 1)));
        stream.append(EntryId::new(5, u64::MAX), &[(b"f", b"v")], &Limits::default());
        assert_eq!(stream.next_id(Some(Wanted::Ms(5)), 9), None);
        // The clock may be behind the last entry.
        assert_eq!([5, 6, 7].map(|now_ms| stream.next_id(None, now_ms)), [6, 6, 7].map(|ms| Some(EntryId::new(ms, 0))));
        assert_eq!(stream.next_id(Some(Wanted::Id(EntryId::new(5, 1))), 9), None);
    }

    #[test]
    fn nodes_of_the_tree_are_those_of_paths_that_part() {
        let mut stream = Stream::default();
        let limits = Limits { stream_block_len_max: 1, ..Limits::default() };
        assert_eq!(stream.tree_nodes(), 1);
        stream.append(EntryId::new(1, 1), &[(b"f", b"v")], &limits);
        assert_eq!(stream.tree_nodes(), 2);
        stream.append(EntryId::new(2, 1), &[(b"f", b"v")], &limits);
        assert_eq!(stream.tree_nodes(), 6);
    }
}
