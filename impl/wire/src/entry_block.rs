//! Owns the block: some entries of a stream in one listpack, which is their form in memory, in DUMP and in snapshot
//! files alike.
//!
//! A block begins with how many entries are in it, how many were deleted, the names of the fields that the first one
//! had, and a zero. An entry is its flags, the distance of its id from the one that the block is kept under, its fields
//! and values, or its values alone if its fields are those of the first one, and the number of items that it takes. A
//! deleted entry stays, with a flag.
//!
//! Must not know a stream. Bytes that come from elsewhere are walked once, in [`Block::read`].

use crate::{
    entry_id::EntryId,
    listpack::{Item, Iter, Listpack},
};

const IS_DELETED: i64 = 1;
const HAS_SAME_FIELDS: i64 = 2;
/// Flags and both halves of the id.
const HEAD_ITEMS: usize = 3;

/// Some entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    master: EntryId,
    pack: Listpack,
}

/// One entry of a block.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// Its id.
    pub id: EntryId,
    /// Whether it was deleted.
    pub is_deleted: bool,
    /// How far behind the first one it begins, which stays: this tells [`Block::delete`] which one is meant.
    pub at: usize,
    fields: Fields<'a>,
}

/// The fields of an entry with their values, in order.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    /// The fields of the first entry, if they are those of this one.
    shared: Option<Iter<'a>>,
    items: Iter<'a>,
    left: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = (Item<'a>, Item<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let (_, field) = match &mut self.shared {
            Some(shared) => shared.next()?,
            None => self.items.next()?,
        };
        Some((field, self.items.next()?.1))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.left))
    }
}

impl<'a> Entry<'a> {
    /// How many fields it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.fields.left
    }

    /// Whether it has no field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its fields with their values.
    #[must_use]
    pub fn fields(&self) -> Fields<'a> {
        self.fields.clone()
    }
}

fn number(item: Item<'_>) -> Option<i64> {
    if let Item::Number(number) = item { Some(number) } else { None }
}

fn next_number(items: &mut Iter<'_>) -> Option<i64> {
    number(items.next()?.1)
}

fn next_count(items: &mut Iter<'_>) -> Option<usize> {
    usize::try_from(next_number(items)?).ok()
}

/// The distance from one number to another, as the form has it.
fn distance(from: u64, to: u64) -> i64 {
    to.wrapping_sub(from).cast_signed()
}

impl Block {
    /// A block of one entry, kept under its id.
    #[must_use]
    pub fn of_first(id: EntryId, fields: &[(&[u8], &[u8])]) -> Self {
        let mut pack = Listpack::default();
        let head = [Item::Number(0), Item::Number(0), count(fields.len())];
        let names = fields.iter().map(|(field, _)| Item::of(field));
        pack.extend(head.into_iter().chain(names).chain([Item::Number(0)]));
        let mut block = Self { master: id, pack };
        block.append(id, fields);
        block
    }

    /// The block that a listpack is, kept under this id; none if it is none.
    #[must_use]
    pub fn read(master: EntryId, pack: Listpack) -> Option<Self> {
        let block = Self { master, pack };
        let (live, deleted) = block.counts()?;
        let (mut found_live, mut found_deleted) = (0_usize, 0_usize);
        let mut items = block.first_item()?;
        while let Some((_, flags)) = items.next() {
            let is_deleted = number(flags)? & IS_DELETED != 0;
            *(if is_deleted { &mut found_deleted } else { &mut found_live }) += 1;
            next_number(&mut items)?;
            next_number(&mut items)?;
            let mut length = HEAD_ITEMS;
            if number(flags)? & HAS_SAME_FIELDS != 0 {
                length += block.skip(&mut items, block.shared()?.1)?;
            } else {
                length += 1;
                let fields = next_count(&mut items)?;
                length += block.skip(&mut items, fields.checked_mul(2)?)?;
            }
            if next_count(&mut items)? != length {
                return None;
            }
        }
        (found_live == live && found_deleted == deleted).then_some(block)
    }

    fn skip(&self, items: &mut Iter<'_>, count: usize) -> Option<usize> {
        if count > self.pack.len() {
            return None;
        }
        (0..count).try_for_each(|_| items.next().map(drop))?;
        Some(count)
    }

    /// How many entries there are, and how many were deleted.
    fn counts(&self) -> Option<(usize, usize)> {
        let mut items = self.pack.iter();
        Some((next_count(&mut items)?, next_count(&mut items)?))
    }

    /// The fields of the first entry, and how many they are.
    fn shared(&self) -> Option<(Iter<'_>, usize)> {
        let mut items = self.pack.iter();
        (0..2).try_for_each(|_| items.next().map(drop))?;
        let count = next_count(&mut items)?;
        Some((items, count))
    }

    /// The items from the first entry on.
    fn first_item(&self) -> Option<Iter<'_>> {
        let (mut items, count) = self.shared()?;
        self.skip(&mut items, count)?;
        (next_number(&mut items)? == 0).then_some(items)
    }

    /// The id that the block is kept under.
    #[must_use]
    pub fn master(&self) -> EntryId {
        self.master
    }

    /// How many entries are there that were not deleted.
    #[must_use]
    pub fn live(&self) -> usize {
        self.counts().map_or(0, |(live, _)| live)
    }

    /// How many entries take room, deleted ones included.
    #[must_use]
    pub fn held(&self) -> usize {
        self.counts().map_or(0, |(live, deleted)| live + deleted)
    }

    /// The bytes, as they stand in a snapshot.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.pack.as_bytes()
    }

    /// How much memory is held.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.pack.capacity()
    }

    /// Gives back all room that is not needed, for nothing more is to come.
    pub fn tighten(&mut self) {
        self.pack.tighten();
    }

    /// Adds an entry to the end.
    pub fn append(&mut self, id: EntryId, fields: &[(&[u8], &[u8])]) {
        let is_same = self.has_fields(fields.iter().map(|(field, _)| *field));
        let head = [
            Item::Number(if is_same { HAS_SAME_FIELDS } else { 0 }),
            Item::Number(distance(self.master.ms, id.ms)),
            Item::Number(distance(self.master.seq, id.seq)),
        ];
        if is_same {
            let values = fields.iter().map(|(_, value)| Item::of(value));
            self.pack.extend(head.into_iter().chain(values).chain([count(HEAD_ITEMS + fields.len())]));
        } else {
            let words = fields.iter().flat_map(|(field, value)| [Item::of(field), Item::of(value)]);
            let length = count(HEAD_ITEMS + 1 + 2 * fields.len());
            self.pack.extend(head.into_iter().chain([count(fields.len())]).chain(words).chain([length]));
        }
        self.recount(1, 0);
    }

    fn has_fields<'t>(&self, names: impl ExactSizeIterator<Item = &'t [u8]>) -> bool {
        let Some((items, count)) = self.shared() else { return false };
        names.len() == count && names.zip(items).all(|(name, (_, item))| Item::of(name) == item)
    }

    /// Changes how many entries there are, and how many were deleted.
    fn recount(&mut self, live: i64, deleted: i64) {
        for (index, change) in [live, deleted].into_iter().enumerate() {
            if let Some((at, Item::Number(former))) = self.pack.get(index)
                && change != 0
            {
                self.pack.replace_item(at, Item::Number(former.saturating_add(change)));
            }
        }
    }

    /// Marks the entry that begins so far behind the first one as deleted.
    pub fn delete(&mut self, at: usize) {
        let at = self.start() + at;
        let flags = self.pack.iter_from(at).next().and_then(|(_, item)| number(item));
        if let Some(flags) = flags.filter(|flags| flags & IS_DELETED == 0) {
            self.pack.replace_item(at, Item::Number(flags | IS_DELETED));
            self.recount(-1, 1);
        }
    }

    /// Where the first entry begins.
    fn start(&self) -> usize {
        self.first_item().map_or(0, |items| items.start())
    }

    /// The entry that begins where these items do; they go on behind it. The first one begins at `start`.
    fn take_entry<'a>(&'a self, start: usize, items: &mut Iter<'a>) -> Option<Entry<'a>> {
        let (at, flags) = items.next()?;
        let flags = number(flags)?;
        let ms = self.master.ms.wrapping_add(next_number(items)?.cast_unsigned());
        let seq = self.master.seq.wrapping_add(next_number(items)?.cast_unsigned());
        let (shared, left) = if flags & HAS_SAME_FIELDS != 0 {
            let (shared, count) = self.shared()?;
            (Some(shared), count)
        } else {
            (None, next_count(items)?)
        };
        let words = if shared.is_some() { left } else { left * 2 };
        let fields = Fields { shared, items: items.clone(), left };
        // What follows the words is how many items the entry takes.
        items.nth(words)?;
        Some(Entry { id: EntryId { ms, seq }, is_deleted: flags & IS_DELETED != 0, at: at.checked_sub(start)?, fields })
    }

    /// All entries, deleted ones included.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        let (start, mut items) = (self.start(), self.first_item());
        std::iter::from_fn(move || self.take_entry(start, items.as_mut()?))
    }

    /// All entries, deleted ones included, the last one first.
    pub fn entries_back(&self) -> impl Iterator<Item = Entry<'_>> {
        let (start, mut items) = (self.start(), self.pack.iter());
        std::iter::from_fn(move || {
            let (_, length) = items.next_back()?;
            let length = usize::try_from(number(length)?).ok()?;
            let at = items.nth_back(length.checked_sub(1)?)?.0;
            if at < start { None } else { self.take_entry(start, &mut self.pack.iter_from(at)) }
        })
    }

    /// The id of the last entry, deleted or not.
    #[must_use]
    pub fn last(&self) -> Option<EntryId> {
        self.entries_back().next().map(|entry| entry.id)
    }
}

fn count(count: usize) -> Item<'static> {
    Item::Number(i64::try_from(count).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::Block;
    use crate::{entry_id::EntryId, listpack::Listpack};

    type Held = Vec<(EntryId, bool, Vec<(Vec<u8>, Vec<u8>)>)>;

    fn held(block: &Block) -> Held {
        let entry = |entry: super::Entry<'_>| {
            let fields = entry.fields().map(|(field, value)| (field.text().into_owned(), value.text().into_owned()));
            (entry.id, entry.is_deleted, fields.collect())
        };
        let forwards: Held = block.entries().map(entry).collect();
        let mut backwards: Held = block.entries_back().map(entry).collect();
        backwards.reverse();
        assert_eq!(forwards, backwards);
        forwards
    }

    fn filled(count: u64) -> Block {
        let mut block = Block::of_first(EntryId::new(1000, 5), &[(b"field", b"value"), (b"7", b"-1")]);
        for number in 1..count {
            let (text, id) = (number.to_string(), EntryId::new(1000 + number / 3, number % 3 + number));
            if number % 4 == 0 {
                block.append(id, &[(b"other", text.as_bytes())]);
            } else {
                block.append(id, &[(b"field", text.as_bytes()), (b"7", &[b'x'; 70])]);
            }
        }
        block
    }

    #[test]
    fn entries_come_back_from_both_ends() {
        let mut block = filled(130);
        assert_eq!((block.live(), block.held(), held(&block).len()), (130, 130, 130));
        let victims: Vec<usize> = block.entries().step_by(3).map(|entry| entry.at).collect();
        victims.iter().for_each(|&at| block.delete(at));
        victims.iter().for_each(|&at| block.delete(at));
        assert_eq!((block.live(), block.held()), (130 - 44, 130));
        let all = held(&block);
        assert!(all.iter().enumerate().all(|(nth, (_, is_deleted, _))| *is_deleted == (nth % 3 == 0)));
        assert_eq!(all[4].2, [(b"other".to_vec(), b"4".to_vec())]);
        assert_eq!(all[5].2, [(b"field".to_vec(), b"5".to_vec()), (b"7".to_vec(), vec![b'x'; 70])]);
        assert_eq!(block.last(), Some(EntryId::new(1043, 129)));
        let pack = Listpack::read(block.as_bytes().to_vec()).expect("a listpack");
        assert_eq!(Block::read(EntryId::new(1000, 5), pack), Some(block));
    }

    #[test]
    fn an_entry_stays_in_its_place_when_counts_get_shorter() {
        let mut block = filled(130);
        let victims: Vec<usize> = block.entries().map(|entry| entry.at).collect();
        for at in victims {
            block.delete(at);
            assert_eq!(held(&block).len(), 130);
        }
        assert_eq!((block.live(), block.held()), (0, 130));
    }

    #[test]
    fn ids_before_that_of_the_block_come_back_too() {
        let mut block = Block::of_first(EntryId::new(5, u64::MAX), &[(b"f", b"v")]);
        block.append(EntryId::new(u64::MAX, 0), &[]);
        let ids: Vec<EntryId> = block.entries().map(|entry| entry.id).collect();
        assert_eq!(ids, [EntryId::new(5, u64::MAX), EntryId::new(u64::MAX, 0)]);
    }

    #[test]
    fn what_lies_is_refused_or_can_be_walked() {
        let block = filled(6);
        let good = block.as_bytes();
        let (mut refused, mut taken) = (0, 0);
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.to_vec();
                bad[at] ^= 1 << bit;
                let Some(pack) = Listpack::read(bad) else { continue };
                match Block::read(block.master(), pack) {
                    None => refused += 1,
                    Some(block) => {
                        taken += 1;
                        assert_eq!(held(&block).len(), block.held());
                    }
                }
            }
        }
        assert!(refused > 50 && taken > 100, "{refused} {taken}");
        assert_eq!(Block::read(EntryId::MIN, Listpack::default()), None);
    }
}
