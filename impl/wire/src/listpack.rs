//! Owns the listpack: a sequence of short texts and numbers in one run of bytes, which can be walked
//! from both ends. It is the form of small collections in memory, in DUMP and in snapshot files alike.
//!
//! Must not know what the items mean. Bytes that come from elsewhere are walked once, in
//! [`Listpack::read`], before anything else looks at them.

use crate::resp::parse_i64;
use std::{borrow::Cow, ops::Range};

const HEADER_BYTES: usize = 6;
const END: u8 = 0xff;
/// An item takes so many bytes at most beside its text.
const ITEM_OVERHEAD_MAX: usize = 10;
/// So much room is made before the header at most for items that come in front.
const ROOM_MAX: usize = 1024;
/// A listpack does not grow beyond this.
pub const BYTES_MAX: usize = 1 << 30;
/// This count stands for "walk and see".
const COUNT_UNKNOWN: u16 = u16::MAX;
/// A longer text is no number that fits 64 bits.
const NUMBER_TEXT_MAX: usize = 20;

/// One item. A text that spells a number is held as that number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A number.
    Number(i64),
    /// Any other text.
    Text(&'a [u8]),
}

impl<'a> Item<'a> {
    /// The item that a text is held as.
    #[must_use]
    pub fn of(text: &'a [u8]) -> Self {
        let number = Some(text).filter(|text| text.len() <= NUMBER_TEXT_MAX).and_then(parse_i64);
        number.map_or(Self::Text(text), Self::Number)
    }

    /// The text.
    #[must_use]
    pub fn text(self) -> Cow<'a, [u8]> {
        match self {
            Self::Text(text) => text.into(),
            Self::Number(number) => itoa::Buffer::new().format(number).as_bytes().to_vec().into(),
        }
    }

    /// How long the text is.
    #[must_use]
    pub fn text_len(self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Number(number) => itoa::Buffer::new().format(number).len(),
        }
    }

    fn put(self, out: &mut Vec<u8>) {
        let start = out.len();
        match self {
            Self::Number(number) => put_number(out, number),
            Self::Text(text) => put_text(out, text),
        }
        put_back_length(out, out.len() - start);
    }
}

/// A sequence of items.
///
/// There may be room before the header: items that are put in front go there, and those that are taken
/// from the front leave it, so that nothing behind them moves.
#[derive(Clone, Debug)]
pub struct Listpack {
    bytes: Vec<u8>,
    /// Where the header begins. Whoever asks where an item begins is told its distance from here.
    start: usize,
    len: usize,
}

impl PartialEq for Listpack {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Listpack {}

impl Default for Listpack {
    fn default() -> Self {
        Self { bytes: vec![7, 0, 0, 0, 0, 0, END], start: 0, len: 0 }
    }
}

impl Listpack {
    /// The listpack that these bytes are; none if they are none.
    #[must_use]
    pub fn read(bytes: Vec<u8>) -> Option<Self> {
        let (total, rest) = bytes.split_first_chunk()?;
        let (count, _) = rest.split_first_chunk()?;
        let count = u16::from_le_bytes(*count);
        if usize::try_from(u32::from_le_bytes(*total)).ok()? != bytes.len() || bytes.len() > BYTES_MAX {
            return None;
        }
        let (mut at, mut len) = (HEADER_BYTES, 0);
        while at + 1 < bytes.len() {
            at = checked_item(&bytes[..bytes.len() - 1], at)?;
            len += 1;
        }
        let is_counted = count == COUNT_UNKNOWN || usize::from(count) == len;
        (is_counted && bytes.get(at) == Some(&END)).then_some(Self { bytes, start: 0, len })
    }

    /// How many items there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no item.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes, as they stand in a snapshot.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// How much memory is held.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// All items, each with where it begins.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        self.iter_from(HEADER_BYTES)
    }

    /// The items from the one that begins at `at` on.
    #[must_use]
    pub fn iter_from(&self, at: usize) -> Iter<'_> {
        let bytes = self.as_bytes();
        Iter { bytes, at: at..bytes.len() - 1 }
    }

    /// All items in pairs of neighbours, each pair with where it begins.
    pub fn pairs(&self) -> impl Iterator<Item = (usize, Item<'_>, Item<'_>)> + Clone {
        let mut items = self.iter();
        std::iter::from_fn(move || {
            let (at, first) = items.next()?;
            Some((at, first, items.next()?.1))
        })
    }

    /// The item at an index, and where it begins.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<(usize, Item<'_>)> {
        if index < self.len / 2 {
            self.iter().nth(index)
        } else {
            self.iter().nth_back(self.len.checked_sub(index + 1)?)
        }
    }

    /// Adds a text to the end.
    pub fn push_back(&mut self, text: &[u8]) {
        self.bytes.pop();
        Item::of(text).put(&mut self.bytes);
        self.bytes.push(END);
        self.len += 1;
        self.seal();
    }

    /// Adds items to the end.
    pub fn extend<'t>(&mut self, items: impl IntoIterator<Item = Item<'t>>) {
        self.bytes.pop();
        for item in items {
            item.put(&mut self.bytes);
            self.len += 1;
        }
        self.bytes.push(END);
        self.seal();
    }

    /// Puts an item in the place of the one that begins at `at`.
    pub fn replace_item(&mut self, at: usize, item: Item<'_>) {
        let (start, end) = (self.start + at, self.start + self.skip(at, 1));
        let mut added = Vec::with_capacity(ITEM_OVERHEAD_MAX + item.text_len());
        item.put(&mut added);
        match self.bytes.get_mut(start..end) {
            Some(former) if former.len() == added.len() => former.copy_from_slice(&added),
            Some(_) => {
                self.bytes.splice(start..end, added);
                self.seal();
            }
            None => {}
        }
    }

    /// Adds a text to the front.
    pub fn push_front(&mut self, text: &[u8]) {
        if self.start < text.len() + ITEM_OVERHEAD_MAX {
            self.make_room(text.len() + ITEM_OVERHEAD_MAX);
        }
        // The item is made behind the last one, and goes from there to its place.
        let end = self.bytes.len();
        Item::of(text).put(&mut self.bytes);
        self.start -= self.bytes.len() - end;
        self.bytes.copy_within(end.., self.start + HEADER_BYTES);
        self.bytes.truncate(end);
        self.len += 1;
        self.seal();
    }

    /// Makes room before the header for so many bytes, and for some that may follow.
    fn make_room(&mut self, least: usize) {
        let (end, room) = (self.bytes.len(), least + self.as_bytes().len().min(ROOM_MAX));
        self.bytes.resize(end + room, 0);
        self.bytes.copy_within(self.start..end, self.start + room);
        self.start += room;
    }

    /// Gives back all room that is not needed, for nothing more is to come.
    pub fn tighten(&mut self) {
        self.bytes.drain(..std::mem::take(&mut self.start));
        self.bytes.shrink_to_fit();
    }

    /// Adds a text before the item that begins at `at`.
    pub fn insert(&mut self, at: usize, text: &[u8]) {
        self.splice(at..at, &[text], 0);
    }

    /// Puts texts in the place of the `count` items that begin at `at`.
    pub fn replace(&mut self, at: usize, count: usize, texts: &[&[u8]]) {
        let end = self.skip(at, count);
        self.splice(at..end, texts, count);
    }

    /// Drops the `count` items that begin at `at`.
    pub fn remove(&mut self, at: usize, count: usize) {
        self.replace(at, count, &[]);
    }

    /// Cuts off everything from the item at `index` on, and returns it.
    pub fn split_off(&mut self, index: usize) -> Self {
        let mut tail = Self::default();
        let at = self.start + self.get(index).map_or(self.as_bytes().len() - 1, |(at, _)| at);
        tail.bytes.truncate(HEADER_BYTES);
        tail.bytes.extend_from_slice(&self.bytes[at..]);
        tail.len = self.len.saturating_sub(index);
        self.bytes.truncate(at);
        self.bytes.push(END);
        self.len -= tail.len;
        self.seal();
        tail.seal();
        tail
    }

    /// Adds all items of another to the end.
    pub fn append(&mut self, other: &Self) {
        self.bytes.pop();
        self.bytes.extend_from_slice(&other.as_bytes()[HEADER_BYTES..]);
        self.len += other.len;
        self.seal();
    }

    fn skip(&self, at: usize, count: usize) -> usize {
        let mut rest = self.iter_from(at);
        for _ in 0..count {
            rest.next();
        }
        rest.at.start
    }

    fn splice(&mut self, range: Range<usize>, texts: &[&[u8]], dropped: usize) {
        if texts.is_empty() && range.start == HEADER_BYTES {
            self.start += range.len();
        } else {
            let mut added = Vec::with_capacity(texts.iter().map(|text| text.len() + ITEM_OVERHEAD_MAX).sum());
            texts.iter().for_each(|text| Item::of(text).put(&mut added));
            self.bytes.splice(self.start + range.start..self.start + range.end, added);
        }
        self.len = self.len + texts.len() - dropped.min(self.len);
        self.seal();
    }

    /// Brings the header up to date, and gives back what is too much room.
    fn seal(&mut self) {
        let total = u32::try_from(self.as_bytes().len()).unwrap_or(u32::MAX);
        let header = &mut self.bytes[self.start..];
        header[..4].copy_from_slice(&total.to_le_bytes());
        header[4..6].copy_from_slice(&u16::try_from(self.len).unwrap_or(COUNT_UNKNOWN).to_le_bytes());
        if self.start > 64 + 2 * self.as_bytes().len() {
            self.bytes.drain(..std::mem::take(&mut self.start));
        }
        if self.bytes.capacity() > 64 && self.bytes.capacity() > 2 * self.bytes.len() {
            self.bytes.shrink_to_fit();
        }
    }
}

impl<'t> FromIterator<&'t [u8]> for Listpack {
    fn from_iter<T: IntoIterator<Item = &'t [u8]>>(texts: T) -> Self {
        let mut pack = Self::default();
        texts.into_iter().for_each(|text| pack.push_back(text));
        pack
    }
}

/// Walks items from both ends, each with where it begins.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    bytes: &'a [u8],
    at: Range<usize>,
}

impl Iter<'_> {
    /// Where the next item begins.
    #[must_use]
    pub fn start(&self) -> usize {
        self.at.start
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = (usize, Item<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.at.is_empty() {
            return None;
        }
        let start = self.at.start;
        let (item, length) = item(self.bytes.get(start..self.at.end)?)?;
        self.at.start += length + back_length_bytes(length);
        Some((start, item))
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.at.is_empty() {
            return None;
        }
        let (length, width) = back_length(self.bytes.get(self.at.clone())?)?;
        let start = self.at.end.checked_sub(length + width).filter(|&start| start >= self.at.start)?;
        let (item, _) = item(self.bytes.get(start..self.at.end)?)?;
        self.at.end = start;
        Some((start, item))
    }
}

fn put_number(out: &mut Vec<u8>, number: i64) {
    let bytes = number.to_le_bytes();
    match number {
        0..=127 => out.push(bytes[0]),
        -4096..=4095 => {
            let [high, low] = (number.cast_unsigned() as u16 & 0x1fff | 0xc000).to_be_bytes();
            out.extend_from_slice(&[high, low]);
        }
        _ => {
            let (code, width) = match number {
                -0x8000..=0x7fff => (0xf1, 2),
                -0x80_0000..=0x7f_ffff => (0xf2, 3),
                -0x8000_0000..=0x7fff_ffff => (0xf3, 4),
                _ => (0xf4, 8),
            };
            out.push(code);
            out.extend_from_slice(&bytes[..width]);
        }
    }
}

fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    let bytes = (text.len() as u64).to_be_bytes();
    match text.len() {
        0..=0x3f => out.push(0x80 | bytes[7]),
        0x40..=0xfff => out.extend_from_slice(&[0xe0 | bytes[6], bytes[7]]),
        _ => out.extend_from_slice(&[0xf0, bytes[7], bytes[6], bytes[5], bytes[4]]),
    }
    out.extend_from_slice(text);
}

/// How many bytes the length behind an item takes.
fn back_length_bytes(length: usize) -> usize {
    match length {
        0..=127 => 1,
        128..16_383 => 2,
        16_383..2_097_151 => 3,
        2_097_151..268_435_455 => 4,
        _ => 5,
    }
}

fn put_back_length(out: &mut Vec<u8>, length: usize) {
    let width = back_length_bytes(length);
    for place in (0..width).rev() {
        let group = (length >> (7 * place)) as u8 & 0x7f;
        let is_leftmost = place + 1 == width;
        out.push(if is_leftmost { group } else { group | 0x80 });
    }
}

/// The length that ends these bytes, and how many bytes it takes itself.
fn back_length(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut length = 0;
    for (place, &byte) in bytes.iter().rev().take(5).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((length, place + 1));
        }
    }
    None
}

/// The item that begins these bytes, and how many it takes without the length behind it.
fn item(bytes: &[u8]) -> Option<(Item<'_>, usize)> {
    let (&first, rest) = bytes.split_first()?;
    let text = |head: usize, length: usize| {
        let end = head.checked_add(length)?;
        Some((Item::Text(bytes.get(head..end)?), end))
    };
    let number = |width: usize| {
        let digits = rest.get(..width)?;
        let mut wide = [if digits.last()? & 0x80 == 0 { 0 } else { 0xff }; 8];
        wide[..width].copy_from_slice(digits);
        Some((Item::Number(i64::from_le_bytes(wide)), 1 + width))
    };
    match first {
        0..=0x7f => Some((Item::Number(first.into()), 1)),
        0x80..=0xbf => text(1, usize::from(first & 0x3f)),
        0xc0..=0xdf => {
            let wide = i16::from_be_bytes([first & 0x1f, *rest.first()?]);
            Some((Item::Number(i64::from(wide << 3 >> 3)), 2))
        }
        0xe0..=0xef => text(2, usize::from(first & 0x0f) << 8 | usize::from(*rest.first()?)),
        0xf0 => text(5, usize::try_from(u32::from_le_bytes(*rest.first_chunk()?)).ok()?),
        0xf1 => number(2),
        0xf2 => number(3),
        0xf3 => number(4),
        0xf4 => number(8),
        0xf5.. => None,
    }
}

/// Where the item that begins at `at` ends, if it and the length behind it are sound.
fn checked_item(bytes: &[u8], at: usize) -> Option<usize> {
    let (_, length) = item(bytes.get(at..)?)?;
    let end = at + length + back_length_bytes(length);
    let (told, width) = back_length(bytes.get(at..end)?)?;
    (told == length && width == back_length_bytes(length)).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::{Item, Listpack};

    fn texts(pack: &Listpack) -> Vec<Vec<u8>> {
        pack.iter().map(|(_, item)| item.text().into_owned()).collect()
    }

    #[test]
    fn every_width_comes_back_from_both_ends() {
        let mut all: Vec<Vec<u8>> = [
            "0",
            "127",
            "128",
            "-1",
            "4095",
            "-4096",
            "4096",
            "-4097",
            "32767",
            "-32768",
            "32768",
            "8388607",
            "-8388608",
            "8388608",
            "2147483647",
            "-2147483648",
            "2147483648",
            "9223372036854775807",
            "-9223372036854775808",
            "9223372036854775808",
            "-0",
            "01",
            "",
            "a",
        ]
        .map(|text| text.as_bytes().to_vec())
        .into();
        all.extend([63, 64, 125, 126, 4095, 4096, 16_378, 16_379, 70_000].map(|length| vec![b'x'; length]));
        let mut pack: Listpack = all.iter().map(Vec::as_slice).collect();
        assert_eq!(texts(&pack), all);
        let backwards: Vec<_> = pack.iter().rev().map(|(_, item)| item.text().into_owned()).collect();
        assert!(backwards.iter().eq(all.iter().rev()));
        assert_eq!(Listpack::read(pack.as_bytes().to_vec()).as_ref(), Some(&pack));
        assert_eq!(pack.get(2).map(|(_, item)| item), Some(Item::Number(128)));
        assert_eq!(pack.get(all.len()), None);
        let tail = pack.split_off(10);
        assert_eq!((texts(&pack), texts(&tail)), (all[..10].to_vec(), all[10..].to_vec()));
        pack.append(&tail);
        assert_eq!(texts(&pack), all);
    }

    #[test]
    fn items_are_put_and_taken_anywhere() {
        let mut pack = Listpack::default();
        pack.push_back(b"b");
        pack.push_front(b"a");
        let (at, _) = pack.get(1).unwrap();
        pack.insert(at, b"7");
        pack.replace(at, 2, &[b"x", b"y", b"z"]);
        assert_eq!(texts(&pack), [b"a", b"x", b"y", b"z"]);
        pack.remove(at, 2);
        assert_eq!((texts(&pack), pack.len()), (vec![b"a".to_vec(), b"z".to_vec()], 2));
        assert!(Listpack::read(pack.as_bytes().to_vec()).is_some());
    }

    #[test]
    fn both_ends_grow_and_shrink_as_those_of_a_deque_do() {
        let (mut pack, mut twin) = (Listpack::default(), std::collections::VecDeque::new());
        for round in 0..4000_usize {
            let text = (round * 7919 % 100_003).to_string().into_bytes();
            match round * 31 % 17 % if round < 2000 { 5 } else { 8 } {
                0 | 1 => {
                    pack.push_front(&text);
                    twin.push_front(text);
                }
                2 | 3 => {
                    pack.push_back(&text);
                    twin.push_back(text);
                }
                4 if round % 100 == 0 => pack.tighten(),
                4 | 5 => {
                    pack.iter().next().map(|(at, _)| at).into_iter().for_each(|at| pack.remove(at, 1));
                    twin.pop_front();
                }
                _ => {
                    pack.iter().next_back().map(|(at, _)| at).into_iter().for_each(|at| pack.remove(at, 1));
                    twin.pop_back();
                }
            }
            assert!(pack.iter().map(|(_, item)| item.text().into_owned()).eq(twin.iter().cloned()));
            assert_eq!(Listpack::read(pack.as_bytes().to_vec()).as_ref(), Some(&pack));
        }
    }

    #[test]
    fn what_lies_is_refused() {
        let good: Listpack = [b"abc".as_slice(), b"-5", &[b'q'; 200]].into_iter().collect();
        let good = good.as_bytes();
        for length in 0..good.len() {
            assert_eq!(Listpack::read(good[..length].to_vec()), None);
        }
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.to_vec();
                bad[at] ^= 1 << bit;
                // Whatever is taken can be walked to its end from both sides.
                if let Some(pack) = Listpack::read(bad) {
                    assert_eq!(pack.iter().count(), pack.len());
                    assert_eq!(pack.iter().rev().count(), pack.len());
                }
            }
        }
    }
}
