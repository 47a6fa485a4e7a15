//! Owns lists: elements in order, in pieces of moderate size that are listpacks.
//!
//! Must not know its key.

use super::{limits::Limits, memory::heap_bytes};
use slotbus_wire::{
    listpack::{Item, Listpack},
    rdb::Body,
};
use std::{borrow::Cow, collections::VecDeque};

/// An element of a piece takes so many bytes at most beside its text.
const ELEMENT_OVERHEAD: usize = 10;

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The head.
    Left,
    /// The tail.
    Right,
}

/// A list.
#[derive(Clone, Debug, Default)]
pub struct List {
    pieces: VecDeque<Listpack>,
    len: usize,
    piece_bytes: usize,
}

impl List {
    /// The list that these pieces make.
    #[must_use]
    pub fn of_pieces(pieces: Vec<Listpack>) -> Self {
        let mut list = Self::default();
        for piece in pieces.into_iter().filter(|piece| !piece.is_empty()) {
            list.len += piece.len();
            list.piece_bytes += piece.capacity();
            list.pieces.push_back(piece);
        }
        list
    }

    /// How many elements there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How much memory it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.piece_bytes + self.pieces.capacity() * (size_of::<Listpack>() + heap_bytes(1))
    }

    /// Adds an element at an end.
    pub fn push(&mut self, side: Side, element: &[u8], limits: &Limits) {
        let outer = match side {
            Side::Left => self.pieces.front(),
            Side::Right => self.pieces.back(),
        };
        if !outer.is_some_and(|piece| has_room(piece, element, limits)) {
            let full = if side == Side::Left { 0 } else { self.pieces.len().saturating_sub(1) };
            self.edit(full, Listpack::tighten);
            match side {
                Side::Left => self.pieces.push_front(Listpack::default()),
                Side::Right => self.pieces.push_back(Listpack::default()),
            }
        }
        let index = if side == Side::Left { 0 } else { self.pieces.len() - 1 };
        self.edit(index, |piece| match side {
            Side::Left => piece.push_front(element),
            Side::Right => piece.push_back(element),
        });
    }

    /// Takes the element at an end.
    pub fn pop(&mut self, side: Side) -> Option<Vec<u8>> {
        let index = if side == Side::Left { 0 } else { self.pieces.len().checked_sub(1)? };
        let piece = self.pieces.get(index)?;
        let (at, item) = if side == Side::Left { piece.iter().next()? } else { piece.iter().next_back()? };
        let element = item.text().into_owned();
        self.edit(index, |piece| piece.remove(at, 1));
        Some(element)
    }

    /// The element at a place.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Cow<'_, [u8]>> {
        let (piece, index) = self.locate(index)?;
        self.pieces[piece].get(index).map(|(_, item)| item.text())
    }

    /// Replaces the element at a place; false if there is none.
    pub fn set(&mut self, index: usize, element: &[u8], limits: &Limits) -> bool {
        let Some((piece, index)) = self.locate(index) else { return false };
        self.split_for(piece, index, element, limits, 1);
        true
    }

    /// Adds an element before the one at a place, or to the end if that is behind the last.
    pub fn insert(&mut self, index: usize, element: &[u8], limits: &Limits) {
        match self.locate(index) {
            Some((piece, index)) => self.split_for(piece, index, element, limits, 0),
            None => self.push(Side::Right, element, limits),
        }
    }

    /// Puts an element before or in the place of that at `index` of a piece, which is cut in two if it
    /// has no room.
    fn split_for(&mut self, piece: usize, index: usize, element: &[u8], limits: &Limits, replaced: usize) {
        if has_room(&self.pieces[piece], element, limits) || self.pieces[piece].len() == replaced {
            return self.edit(piece, |pack| {
                if let Some((at, _)) = pack.get(index) {
                    pack.replace(at, replaced, &[element]);
                }
            });
        }
        let mut tail = Listpack::default();
        self.edit(piece, |pack| tail = pack.split_off(index));
        if replaced > 0
            && let Some((at, _)) = tail.get(0)
        {
            tail.remove(at, replaced);
        }
        let at = if self.pieces.get(piece).is_some_and(|pack| pack.len() == index) { piece + 1 } else { piece };
        self.put_piece(at, tail);
        self.put_piece(at, [element].into_iter().collect());
    }

    /// Where the first element equal to this one is.
    #[must_use]
    pub fn find(&self, element: &[u8]) -> Option<usize> {
        let wanted = Item::of(element);
        self.items().position(|item| item == wanted)
    }

    /// Drops up to `count` elements equal to this one, from an end on; says how many those were.
    pub fn remove(&mut self, element: &[u8], count: usize, side: Side) -> usize {
        let wanted = Item::of(element);
        let mut removed = 0;
        let mut index = if side == Side::Left { 0 } else { self.pieces.len() };
        while removed < count {
            match side {
                Side::Left if index >= self.pieces.len() => break,
                Side::Right if index == 0 => break,
                Side::Left => {}
                Side::Right => index -= 1,
            }
            let before = self.pieces.len();
            let mut in_piece = 0;
            self.edit(index, |piece| in_piece = remove_packed(piece, wanted, count - removed, side));
            removed += in_piece;
            // A piece that has become empty is gone, and the next has its place.
            index += usize::from(side == Side::Left && self.pieces.len() == before);
        }
        removed
    }

    /// Keeps `len` elements from `start` on.
    pub fn trim(&mut self, start: usize, len: usize) {
        let end = start.saturating_add(len).min(self.len);
        let excess = self.len - end;
        self.drop_from(Side::Right, excess);
        self.drop_from(Side::Left, start.min(self.len));
    }

    fn drop_from(&mut self, side: Side, mut count: usize) {
        while count > 0 {
            let index = if side == Side::Left { 0 } else { self.pieces.len().saturating_sub(1) };
            let Some(piece) = self.pieces.get(index) else { return };
            let dropped = piece.len().min(count);
            let first = if side == Side::Left { 0 } else { piece.len() - dropped };
            self.edit(index, |piece| {
                if let Some((at, _)) = piece.get(first) {
                    piece.remove(at, dropped);
                }
            });
            count -= dropped;
        }
    }

    /// Elements from a place on.
    pub fn iter_from(&self, index: usize) -> impl Iterator<Item = Item<'_>> {
        let (piece, within) = self.locate(index).unwrap_or((self.pieces.len(), 0));
        let pieces = self.pieces.range(piece.min(self.pieces.len())..);
        pieces.enumerate().flat_map(move |(nth, piece)| {
            let start = if nth == 0 { piece.get(within).map(|(at, _)| at) } else { None };
            let items = start.map_or_else(|| piece.iter(), |at| piece.iter_from(at));
            items.map(|(_, item)| item)
        })
    }

    /// All elements, from both ends.
    pub fn items(&self) -> impl DoubleEndedIterator<Item = Item<'_>> {
        self.pieces.iter().flat_map(|piece| piece.iter().map(|(_, item)| item))
    }

    /// The list as a snapshot holds it.
    #[must_use]
    pub fn body(&self) -> Body<'_> {
        Body::List(self.pieces.len(), Box::new(self.pieces.iter()))
    }

    /// The piece that an element is in, and its place there.
    fn locate(&self, index: usize) -> Option<(usize, usize)> {
        if index >= self.len {
            return None;
        }
        if index < self.len / 2 {
            let mut left = index;
            for (nth, piece) in self.pieces.iter().enumerate() {
                if left < piece.len() {
                    return Some((nth, left));
                }
                left -= piece.len();
            }
            return None;
        }
        let mut after = self.len - index;
        for (nth, piece) in self.pieces.iter().enumerate().rev() {
            if after <= piece.len() {
                return Some((nth, piece.len() - after));
            }
            after -= piece.len();
        }
        None
    }

    /// Changes a piece, and drops it if nothing is left of it.
    fn edit(&mut self, index: usize, change: impl FnOnce(&mut Listpack)) {
        let Some(piece) = self.pieces.get_mut(index) else { return };
        let (len, bytes) = (piece.len(), piece.capacity());
        change(piece);
        self.len = self.len + piece.len() - len;
        self.piece_bytes = (self.piece_bytes + piece.capacity()).saturating_sub(bytes);
        if piece.is_empty() {
            self.piece_bytes = self.piece_bytes.saturating_sub(piece.capacity());
            self.pieces.remove(index);
        }
    }

    fn put_piece(&mut self, index: usize, piece: Listpack) {
        if !piece.is_empty() {
            self.len += piece.len();
            self.piece_bytes += piece.capacity();
            self.pieces.insert(index.min(self.pieces.len()), piece);
        }
    }
}

fn has_room(piece: &Listpack, element: &[u8], limits: &Limits) -> bool {
    piece.len() < limits.list_piece_len_max
        && piece.as_bytes().len() + element.len() + ELEMENT_OVERHEAD <= limits.list_piece_bytes_max
}

fn remove_packed(piece: &mut Listpack, wanted: Item<'_>, count: usize, side: Side) -> usize {
    let is_wanted = |(at, item): (usize, Item<'_>)| (item == wanted).then_some(at);
    let mut found: Vec<usize> = match side {
        Side::Left => piece.iter().filter_map(is_wanted).take(count).collect(),
        Side::Right => piece.iter().rev().filter_map(is_wanted).take(count).collect(),
    };
    // From the last on, so that what is still to be removed stays in its place.
    found.sort_unstable_by(|left, right| right.cmp(left));
    found.iter().for_each(|&at| piece.remove(at, 1));
    found.len()
}

#[cfg(test)]
mod tests {
    use super::{List, Side};
    use crate::store::limits::Limits;

    /// The same changes to a list of tiny pieces and to a vector.
    #[test]
    fn it_holds_what_a_vector_holds() {
        let limits = Limits { list_piece_len_max: 3, ..Limits::default() };
        let mut dice = fastrand::Rng::with_seed(7);
        let (mut list, mut twin) = (List::default(), Vec::<Vec<u8>>::new());
        for _ in 0..20_000 {
            let element = dice.u8(0..6).to_string().into_bytes();
            let index = dice.usize(0..=twin.len() + 1);
            match dice.u8(0..9) {
                0 | 1 => {
                    list.push(Side::Left, &element, &limits);
                    twin.insert(0, element);
                }
                2 | 3 => {
                    list.push(Side::Right, &element, &limits);
                    twin.push(element);
                }
                4 => assert_eq!(list.pop(Side::Left), (!twin.is_empty()).then(|| twin.remove(0))),
                5 => assert_eq!(list.pop(Side::Right), twin.pop()),
                6 => {
                    list.insert(index, &element, &limits);
                    twin.insert(index.min(twin.len()), element);
                }
                7 => {
                    let is_there = index < twin.len();
                    assert_eq!(list.set(index, &element, &limits), is_there);
                    if is_there {
                        twin[index] = element;
                    }
                }
                _ => {
                    let count = dice.usize(0..3);
                    let side = if dice.bool() { Side::Left } else { Side::Right };
                    list.remove(&element, count, side);
                    for _ in 0..count {
                        let found = match side {
                            Side::Left => twin.iter().position(|other| *other == element),
                            Side::Right => twin.iter().rposition(|other| *other == element),
                        };
                        found.map(|at| twin.remove(at));
                    }
                    if twin.len() > 40 {
                        list.trim(3, 30);
                        twin = twin[3..33].to_vec();
                    }
                }
            }
            assert_eq!(list.len(), twin.len());
            assert!(list.items().map(|item| item.text().into_owned()).eq(twin.iter().cloned()));
            assert_eq!(list.get(index).as_deref(), twin.get(index).map(Vec::as_slice));
            let rest = twin.get(index..).unwrap_or_default();
            assert!(list.iter_from(index).map(|item| item.text().into_owned()).eq(rest.iter().cloned()));
        }
    }
}
