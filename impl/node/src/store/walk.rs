//! Owns how a dense table is walked in portions, while entries come and go.
//!
//! Tables are walked from their end; removal moves the last entry into the gap. So what is moved
//! has been seen already, and whatever is there from a walk's start to its end is seen at least once.

use std::ops::Range;

/// The places to visit next, and where to go on; 0 is both a walk's start and its end.
#[must_use]
pub fn portion(len: usize, cursor: u64, count: usize) -> (Range<usize>, u64) {
    let end = match usize::try_from(cursor) {
        Ok(0) | Err(_) => len,
        Ok(before) => before.min(len),
    };
    let start = end.saturating_sub(count.max(1));
    (start..end, start as u64)
}

#[cfg(test)]
mod tests {
    use super::portion;

    #[test]
    fn a_walk_comes_to_its_end() {
        assert_eq!(portion(10, 0, 4), (6..10, 6));
        assert_eq!(portion(10, 6, 4), (2..6, 2));
        assert_eq!(portion(10, 2, 4), (0..2, 0));
        assert_eq!(portion(0, 0, 4), (0..0, 0));
        assert_eq!(portion(3, 9, usize::MAX), (0..3, 0));
        assert_eq!(portion(3, u64::MAX, 0), (2..3, 2));
    }
}
