//! Owns the sparse form of HyperLogLog's registers: runs of equal ones, of one or two bytes each.
//!
//! | bytes | run |
//! |---|---|
//! | `00nnnnnn` | n + 1 zeros |
//! | `01nnnnnn nnnnnnnn` | n + 1 zeros |
//! | `1vvvvvnn` | n + 1 times the value v + 1 |
//!
//! Must not know the dense form, nor the head but for its length.

use super::hyperloglog::{Corrupt, HEAD};
use smallvec::SmallVec;

/// The greatest value that a run can have.
const VALUE_MAX: u8 = 32;
/// The most registers of a run that is not zero.
const VALUES_MAX: usize = 4;
/// The most zeros of a run of one byte.
const ZEROS_MAX: usize = 64;
/// So many runs are looked at, from the one before the change on, for two that can be one.
const LOOKED_AT: usize = 5;

/// A run of equal registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// The value of each.
    pub(super) value: u8,
    /// How many there are.
    pub(super) len: usize,
    /// How many bytes it takes.
    pub(super) bytes: usize,
}

/// What came of raising a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Raised {
    /// It was as high.
    No,
    /// It was raised.
    Yes,
    /// It was not: runs cannot hold the value, or would take too many bytes.
    TooLarge,
}

/// The run that begins at a place. Zero stands in for a second byte that is missing, as redis-server sees it.
fn at(text: &[u8], at: usize) -> Option<Run> {
    let byte = *text.get(at)?;
    Some(match byte >> 6 {
        0 => Run { value: 0, len: usize::from(byte) + 1, bytes: 1 },
        1 => {
            let low = text.get(at + 1).copied().unwrap_or_default();
            Run { value: 0, len: usize::from(u16::from_be_bytes([byte & 0x3f, low])) + 1, bytes: 2 }
        }
        _ => Run { value: (byte >> 2 & 0x1f) + 1, len: usize::from(byte & 3) + 1, bytes: 1 },
    })
}

/// All runs of a string.
pub(super) fn of(text: &[u8]) -> impl Iterator<Item = Run> {
    let mut place = HEAD;
    std::iter::from_fn(move || {
        let run = at(text, place)?;
        place += run.bytes;
        Some(run)
    })
}

/// Appends a run, if it has any registers: up to 16384 zeros, or up to four times a value up to 32.
pub(super) fn put(to: &mut impl Extend<u8>, value: u8, len: usize) {
    let Some(rest) = len.checked_sub(1) else { return };
    match value {
        0 if len <= ZEROS_MAX => to.extend([rest as u8]),
        0 => to.extend([(rest >> 8) as u8 & 0x3f | 0x40, rest as u8]),
        value => to.extend([(value - 1) << 2 | rest as u8 | 0x80]),
    }
}

/// Raises a register to a value, unless the string would get longer than `bytes_max`.
pub(super) fn raise(text: &mut Vec<u8>, index: usize, value: u8, bytes_max: usize) -> Result<Raised, Corrupt> {
    if value > VALUE_MAX {
        return Ok(Raised::TooLarge);
    }
    let (mut first, mut place, mut before) = (0, HEAD, HEAD);
    let run = loop {
        let run = at(text, place).ok_or(Corrupt)?;
        if index < first + run.len {
            break run;
        }
        (first, before, place) = (first + run.len, place, place + run.bytes);
    };
    if run.value >= value {
        return Ok(Raised::No);
    }
    let mut parts = SmallVec::<[u8; 5]>::new();
    put(&mut parts, run.value, index - first);
    put(&mut parts, value, 1);
    put(&mut parts, run.value, first + run.len - 1 - index);
    let len = text.len() + parts.len() - run.bytes;
    if parts.len() > run.bytes && len > bytes_max {
        return Ok(Raised::TooLarge);
    }
    let end = text.len().min(place + run.bytes);
    text.splice(place..end, parts);
    // Of a run whose second byte was missing, one is missing again.
    text.truncate(len);
    unite(text, before);
    Ok(Raised::Yes)
}

/// Makes one run of two neighbours that have the same value, where it can hold both.
fn unite(text: &mut Vec<u8>, from: usize) {
    let mut place = from;
    for _ in 0..LOOKED_AT {
        let Some(run) = at(text, place) else { return };
        let next = at(text, place + run.bytes).filter(|next| run.value > 0 && next.value == run.value);
        match next.map(|next| run.len + next.len) {
            Some(len) if len <= VALUES_MAX => {
                text.remove(place);
                if let Some(byte) = text.get_mut(place) {
                    *byte = (run.value - 1) << 2 | (len - 1) as u8 | 0x80;
                }
            }
            Some(_) | None => place += run.bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{HEAD, Raised, Run, at, of, put, raise};

    fn runs(text: &[u8]) -> Vec<(u8, usize)> {
        of(text).map(|run| (run.value, run.len)).collect()
    }

    #[test]
    fn every_run_is_read_as_it_was_written() {
        let zeros = (1..=16_384).map(|len| (0, len));
        let values = (1..=32).flat_map(|value| (1..=4).map(move |len| (value, len)));
        for (value, len) in zeros.chain(values) {
            let mut text = Vec::new();
            put(&mut text, value, len);
            assert_eq!(at(&text, 0), Some(Run { value, len, bytes: text.len() }));
            assert_eq!(text.len(), if value == 0 && len > 64 { 2 } else { 1 });
        }
    }

    #[test]
    fn runs_are_split_and_become_one_again() {
        let mut text = vec![0; HEAD];
        put(&mut text, 0, 16_384);
        for (index, value, expected) in [
            (100, 3, vec![(0, 100), (3, 1), (0, 16_283)]),
            (102, 3, vec![(0, 100), (3, 1), (0, 1), (3, 1), (0, 16_281)]),
            (101, 3, vec![(0, 100), (3, 3), (0, 16_281)]),
            (101, 4, vec![(0, 100), (3, 1), (4, 1), (3, 1), (0, 16_281)]),
            (100, 4, vec![(0, 100), (4, 2), (3, 1), (0, 16_281)]),
            (0, 4, vec![(4, 1), (0, 99), (4, 2), (3, 1), (0, 16_281)]),
        ] {
            assert_eq!(raise(&mut text, index, value, 1000), Ok(Raised::Yes));
            assert_eq!(runs(&text), expected);
            assert_eq!(raise(&mut text, index, value, 1000), Ok(Raised::No));
        }
        let len = text.len();
        assert_eq!(raise(&mut text, 50, 1, len), Ok(Raised::TooLarge));
        assert_eq!(raise(&mut text, 50, 33, 1000), Ok(Raised::TooLarge));
    }
}
