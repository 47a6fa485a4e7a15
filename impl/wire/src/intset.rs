//! Owns the intset: different numbers in order, all as wide as the widest needs, in one run of
//! bytes. It is the form of small sets of numbers in memory, in DUMP and in snapshot files alike.
//!
//! Must not know what the numbers mean.

use std::cmp::Ordering;

const HEADER_BYTES: usize = 8;

/// A set of numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntSet {
    bytes: Vec<u8>,
}

impl Default for IntSet {
    fn default() -> Self {
        Self { bytes: vec![2, 0, 0, 0, 0, 0, 0, 0] }
    }
}

impl IntSet {
    /// The set that these bytes are; none if they are none.
    #[must_use]
    pub fn read(bytes: Vec<u8>) -> Option<Self> {
        let (width, rest) = bytes.split_first_chunk()?;
        let (len, _) = rest.split_first_chunk()?;
        let width = u32::from_le_bytes(*width);
        let len = usize::try_from(u32::from_le_bytes(*len)).ok()?;
        let is_sized = matches!(width, 2 | 4 | 8)
            && len > 0
            && len.checked_mul(usize::try_from(width).ok()?)?.checked_add(HEADER_BYTES)? == bytes.len();
        let set = Self { bytes };
        let is_sorted = |set: &Self| (1..len).all(|index| set.at(index - 1) < set.at(index));
        (is_sized && is_sorted(&set)).then_some(set)
    }

    /// How many numbers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        (self.bytes.len() - HEADER_BYTES) / self.width()
    }

    /// Whether there is no number.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.len() == HEADER_BYTES
    }

    /// The bytes, as they stand in a snapshot.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How much memory is held.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// All numbers, the smallest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = i64> + Clone + '_ {
        (0..self.len()).map(|index| self.at(index))
    }

    /// The number at an index; none beyond the last.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<i64> {
        (index < self.len()).then(|| self.at(index))
    }

    /// Whether a number is there.
    #[must_use]
    pub fn contains(&self, number: i64) -> bool {
        self.find(number).is_ok()
    }

    /// Adds a number; false if it is there already.
    pub fn insert(&mut self, number: i64) -> bool {
        let Err(index) = self.find(number) else { return false };
        self.widen(width_of(number));
        let (width, at) = (self.width(), self.place(index));
        self.bytes.splice(at..at, number.to_le_bytes()[..width].iter().copied());
        self.seal();
        true
    }

    /// Drops a number; false if it is not there.
    pub fn remove(&mut self, number: i64) -> bool {
        let Ok(index) = self.find(number) else { return false };
        self.bytes.drain(self.place(index)..self.place(index + 1));
        self.seal();
        true
    }

    fn width(&self) -> usize {
        usize::from(self.bytes[0])
    }

    fn place(&self, index: usize) -> usize {
        HEADER_BYTES + index * self.width()
    }

    fn at(&self, index: usize) -> i64 {
        let digits = &self.bytes[self.place(index)..self.place(index + 1)];
        let mut wide = [if digits[digits.len() - 1] & 0x80 == 0 { 0 } else { 0xff }; 8];
        wide[..digits.len()].copy_from_slice(digits);
        i64::from_le_bytes(wide)
    }

    /// Where a number is, or would be.
    fn find(&self, number: i64) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.at(middle).cmp(&number) {
                Ordering::Less => low = middle + 1,
                Ordering::Equal => return Ok(middle),
                Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    fn widen(&mut self, width: u8) {
        if width <= self.bytes[0] {
            return;
        }
        let numbers: Vec<i64> = self.iter().collect();
        self.bytes.truncate(HEADER_BYTES);
        self.bytes[0] = width;
        self.bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes().into_iter().take(width.into())));
    }

    fn seal(&mut self) {
        let len = u32::try_from(self.len()).unwrap_or(u32::MAX);
        self.bytes[4..HEADER_BYTES].copy_from_slice(&len.to_le_bytes());
    }
}

fn width_of(number: i64) -> u8 {
    match number {
        -0x8000..=0x7fff => 2,
        -0x8000_0000..=0x7fff_ffff => 4,
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::IntSet;
    use std::collections::BTreeSet;

    #[test]
    fn it_holds_what_a_set_holds() {
        let mut set = IntSet::default();
        let mut twin = BTreeSet::new();
        for number in [5, -3, 70_000, 5, i64::MIN, 0, i64::MAX, -40_000, 7] {
            assert_eq!(set.insert(number), twin.insert(number));
        }
        assert!(set.iter().eq(twin.iter().copied()) && set.contains(7) && !set.contains(8));
        assert_eq!(IntSet::read(set.as_bytes().to_vec()).as_ref(), Some(&set));
        for number in [5, 6, i64::MIN] {
            assert_eq!(set.remove(number), twin.remove(&number));
        }
        assert!(set.iter().eq(twin.iter().copied()));
    }

    #[test]
    fn what_lies_is_refused() {
        for bytes in [
            b"".as_slice(),
            b"\x02\0\0\0\0\0\0\0",
            b"\x03\0\0\0\x01\0\0\0\x01\0\0",
            b"\x02\0\0\0\x02\0\0\0\x01\0",
            b"\x02\0\0\0\x02\0\0\0\x02\0\x01\0",
            b"\x08\0\0\0\xff\xff\xff\xff\x02\0\x01\0",
            b"\x02\x01\0\0\x01\0\0\0\x02\0",
        ] {
            assert_eq!(IntSet::read(bytes.to_vec()), None, "{bytes:?}");
        }
    }
}
