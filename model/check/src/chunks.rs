//! Owns long lists that grow without ever moving: a list that doubles would need half its room again
//! while it moves. Knows nothing of what is in them.

use std::ops::{Index, IndexMut};

/// How many items one chunk holds.
const CHUNK: usize = 1 << 13;

/// A list to whose end items are added.
#[derive(Clone, Debug)]
pub struct Chunks<T>(Vec<Vec<T>>);

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Chunks<T> {
    /// How many items there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.last().map_or(0, |last| (self.0.len() - 1) * CHUNK + last.len())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds an item.
    pub fn push(&mut self, item: T) {
        match self.0.last_mut().filter(|last| last.len() < CHUNK) {
            Some(last) => last.push(item),
            None => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(item);
                self.0.push(chunk);
            }
        }
    }

    /// The item at `index`, if there are so many.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&T> {
        self.0.get(index / CHUNK).and_then(|chunk| chunk.get(index % CHUNK))
    }

    /// Every item.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flatten()
    }
}

impl<T> Index<usize> for Chunks<T> {
    type Output = T;
    fn index(&self, index: usize) -> &T {
        &self.0[index / CHUNK][index % CHUNK]
    }
}

impl<T> IndexMut<usize> for Chunks<T> {
    fn index_mut(&mut self, index: usize) -> &mut T {
        &mut self.0[index / CHUNK][index % CHUNK]
    }
}

#[cfg(test)]
mod tests {
    use super::{CHUNK, Chunks};

    #[test]
    fn items_are_found_where_they_were_put() {
        let mut chunks = Chunks::default();
        assert!(chunks.is_empty());
        (0..2 * CHUNK + 1).for_each(|item| chunks.push(item));
        assert_eq!(chunks.len(), 2 * CHUNK + 1);
        assert!(chunks.iter().copied().eq(0..2 * CHUNK + 1));
        assert!((0..chunks.len()).all(|index| chunks[index] == index));
        assert_eq!(chunks.get(2 * CHUNK + 1), None);
    }
}
