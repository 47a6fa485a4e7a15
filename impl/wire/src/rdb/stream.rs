//! Owns streams: their entries in blocks, and their groups of consumers, as snapshots hold them. What redis 5, 7.0 and
//! 7.2 write is read; what 7.2 added, when each consumer was last served, is left out.
//!
//! Must not do anything to a stream but tell what its older forms lack.

use super::{
    Fault, kind,
    primitive::{Input, put_length, put_number, put_string},
    value::{listpack, text},
};
use crate::{entry_block::Block, entry_id::EntryId};
use std::{
    collections::{BTreeMap, BTreeSet, btree_map},
    sync::Arc,
};

const TIME_BYTES: usize = 8;

/// The name of a group or of a consumer.
pub type Name = Arc<[u8]>;

/// A stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// The entries, in blocks that are kept under an id.
    pub blocks: BTreeMap<EntryId, Block>,
    /// How many entries there are.
    pub len: u64,
    /// The id that was given last.
    pub last: EntryId,
    /// The id of the first entry.
    pub first: EntryId,
    /// The greatest id of an entry that was deleted.
    pub max_deleted: EntryId,
    /// How many entries were ever added.
    pub added: u64,
    /// The groups of consumers.
    pub groups: BTreeMap<Name, Group>,
}

/// Consumers who share the entries of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The id of the entry that was delivered last.
    pub last: EntryId,
    /// How many entries were read, as far as that is known; -1 stands for not known.
    pub read: i64,
    /// The entries that were delivered and not acknowledged.
    pub pending: BTreeMap<EntryId, Pending>,
    /// The consumers.
    pub consumers: BTreeMap<Name, Consumer>,
}

/// An entry that was delivered and not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// To whom.
    pub consumer: Name,
    /// When, in milliseconds since the epoch.
    pub delivered_ms: i64,
    /// How often.
    pub count: u64,
}

/// A consumer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consumer {
    /// When it last asked for something, in milliseconds since the epoch.
    pub seen_ms: i64,
    /// What was delivered to it and not acknowledged.
    pub pending: BTreeSet<EntryId>,
}

impl Stream {
    /// This many entries were added up to the one of an id, it included; none if that cannot be told.
    #[must_use]
    pub fn place_of(&self, id: EntryId) -> Option<i64> {
        let behind = |count: u64| Some(count.cast_signed());
        if self.added == 0 {
            return Some(0);
        }
        if self.len == 0 && id <= self.last || id == self.last {
            return behind(self.added);
        }
        let is_whole = self.max_deleted == EntryId::MIN || self.max_deleted < self.first;
        if id > self.last || !is_whole || id > self.first {
            return None;
        }
        let before = self.added.wrapping_sub(self.len);
        behind(if id == self.first { before.wrapping_add(1) } else { before })
    }

    /// The id of the first entry that was not deleted.
    #[must_use]
    pub fn find_first(&self) -> Option<EntryId> {
        let live = |block: &Block| block.entries().find(|entry| !entry.is_deleted).map(|entry| entry.id);
        self.blocks.values().find_map(live)
    }

    /// Whether ids ascend from block to block, and counts are right.
    fn is_sound(&self) -> bool {
        let mut former = None;
        let mut ascends = |id: EntryId| former.replace(id).is_none_or(|former| former < id) && id <= self.last;
        let live: u64 = self.blocks.values().map(|block| block.live() as u64).sum();
        // An entry is looked for from the block on whose id is the last one that is not behind its own.
        let nexts = self.blocks.keys().skip(1).map(Some).chain([None]);
        let are_in_place = self.blocks.values().zip(nexts).all(|(block, next)| {
            let mut ids = block.entries().filter(|entry| !entry.is_deleted).map(|entry| entry.id);
            ids.all(|id| ascends(id) && next.is_none_or(|next| id < *next))
        });
        self.len == live && are_in_place
    }
}

pub(super) fn read(kind: u8, input: &mut Input<'_>) -> Result<Stream, Fault> {
    let mut stream = Stream::default();
    for _ in 0..input.number()? {
        let master = input.string()?;
        let master = (*master).try_into().map_err(|_| Fault::Bad("a stream has an id of the wrong length"))?;
        let master = EntryId::of_bytes(master);
        let block = Block::read(master, listpack(input)?).ok_or(Fault::Bad("a block of a stream is damaged"))?;
        if stream.blocks.insert(master, block).is_some() {
            return Err(Fault::Bad("a stream has two blocks of one id"));
        }
    }
    stream.len = input.number()?;
    stream.last = id(input)?;
    if kind == kind::STREAM {
        stream.first = stream.find_first().unwrap_or(EntryId::MAX);
        stream.added = stream.len;
    } else {
        (stream.first, stream.max_deleted, stream.added) = (id(input)?, id(input)?, input.number()?);
    }
    if !stream.is_sound() {
        return Err(Fault::Bad("the parts of a stream contradict each other"));
    }
    for _ in 0..input.number()? {
        let name = text(input)?.into();
        let group = group(kind, &stream, input)?;
        if stream.groups.insert(name, group).is_some() {
            return Err(Fault::Bad("a stream has two groups of one name"));
        }
    }
    Ok(stream)
}

fn id(input: &mut Input<'_>) -> Result<EntryId, Fault> {
    Ok(EntryId::new(input.number()?, input.number()?))
}

fn packed_id(input: &mut Input<'_>) -> Result<EntryId, Fault> {
    input.array().map(EntryId::of_bytes)
}

fn time(input: &mut Input<'_>) -> Result<i64, Fault> {
    input.array().map(i64::from_le_bytes)
}

fn group(kind: u8, stream: &Stream, input: &mut Input<'_>) -> Result<Group, Fault> {
    let last = id(input)?;
    let read = match kind {
        kind::STREAM => stream.place_of(last).unwrap_or(-1),
        _ => input.number()?.cast_signed(),
    };
    let mut group = Group { last, read, pending: BTreeMap::new(), consumers: BTreeMap::new() };
    // Whose each of them is follows.
    let mut owned = BTreeMap::new();
    for _ in 0..input.number()? {
        if owned.insert(packed_id(input)?, (time(input)?, input.number()?)).is_some() {
            return Err(Fault::Bad("an entry is pending twice"));
        }
    }
    for _ in 0..input.number()? {
        let name: Name = text(input)?.into();
        let mut consumer = Consumer { seen_ms: time(input)?, pending: BTreeSet::new() };
        if kind == kind::STREAM_3 {
            input.bytes(TIME_BYTES)?;
        }
        for _ in 0..input.number()? {
            let id = packed_id(input)?;
            let (delivered_ms, count) = owned.remove(&id).ok_or(Fault::Bad("a consumer has what is not pending"))?;
            group.pending.insert(id, Pending { consumer: name.clone(), delivered_ms, count });
            consumer.pending.insert(id);
        }
        let btree_map::Entry::Vacant(place) = group.consumers.entry(name) else {
            return Err(Fault::Bad("a group has two consumers of one name"));
        };
        place.insert(consumer);
    }
    if owned.is_empty() { Ok(group) } else { Err(Fault::Bad("what is pending is no consumer's")) }
}

pub(super) fn put(out: &mut Vec<u8>, stream: &Stream, compresses: bool) {
    put_length(out, stream.blocks.len());
    for block in stream.blocks.values() {
        put_string(out, &block.master().to_bytes(), compresses);
        put_string(out, block.as_bytes(), compresses);
    }
    put_number(out, stream.len);
    [stream.last, stream.first, stream.max_deleted].into_iter().for_each(|id| put_id(out, id));
    put_number(out, stream.added);
    put_length(out, stream.groups.len());
    for (name, group) in &stream.groups {
        put_string(out, name, compresses);
        put_group(out, group, compresses);
    }
}

fn put_id(out: &mut Vec<u8>, id: EntryId) {
    put_number(out, id.ms);
    put_number(out, id.seq);
}

fn put_group(out: &mut Vec<u8>, group: &Group, compresses: bool) {
    put_id(out, group.last);
    put_number(out, group.read.cast_unsigned());
    put_length(out, group.pending.len());
    for (id, pending) in &group.pending {
        out.extend_from_slice(&id.to_bytes());
        out.extend_from_slice(&pending.delivered_ms.to_le_bytes());
        put_number(out, pending.count);
    }
    put_length(out, group.consumers.len());
    for (name, consumer) in &group.consumers {
        put_string(out, name, compresses);
        out.extend_from_slice(&consumer.seen_ms.to_le_bytes());
        put_length(out, consumer.pending.len());
        consumer.pending.iter().for_each(|id| out.extend_from_slice(&id.to_bytes()));
    }
}
