//! Owns HyperLogLog as the bytes of a string: 16 bytes of head, then 16384 registers, all of them (dense, six bits each) or
//! as runs of equal ones (sparse). Each register has the longest run of zeros among the hashes that fell to it, plus one.
//!
//! The head: `HYLL`, the form, three bytes for nothing, and the number of elements that was last estimated, whose highest
//! bit says that it does not hold any more.
//!
//! Must not know keys, nor which command asks. Any string may be handed in: a client can set it.

use super::{
    hyperloglog_estimate::{Histogram, estimate, place_of},
    hyperloglog_runs::{self as runs, Raised},
};

/// How many registers there are.
pub const REGISTERS: usize = 1 << 14;
/// How many bytes the head has.
pub(super) const HEAD: usize = 16;

const MAGIC: &[u8] = b"HYLL";
const FORM_AT: usize = 4;
const DENSE_BYTES: usize = HEAD + REGISTERS * BITS / 8;
const BITS: usize = 6;
const REGISTER_MAX: u8 = 0b11_1111;
const COUNT_AT: usize = 8;
const IS_STALE: u8 = 0x80;

/// The parts of a string contradict each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

/// How registers are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Each for itself.
    Dense,
    /// As runs of equal ones.
    Sparse,
}

/// The form of a string that begins as one with registers does, and has room for them; none of any other.
#[must_use]
pub fn form(text: &[u8]) -> Option<Form> {
    if text.len() < HEAD || !text.starts_with(MAGIC) {
        return None;
    }
    match text.get(FORM_AT)? {
        0 if text.len() == DENSE_BYTES => Some(Form::Dense),
        1 => Some(Form::Sparse),
        _ => None,
    }
}

/// No elements yet.
#[must_use]
pub fn empty() -> Vec<u8> {
    let mut text = [MAGIC, &[1], &[0; HEAD - FORM_AT - 1]].concat();
    runs::put(&mut text, 0, REGISTERS);
    text
}

/// The number of elements that was last estimated, if it still holds.
#[must_use]
pub fn cached(text: &[u8]) -> Option<u64> {
    let count = u64::from_le_bytes(*text.get(COUNT_AT..)?.first_chunk()?);
    (count >> 63 == 0).then_some(count)
}

/// Remembers an estimate.
pub fn cache(text: &mut [u8], count: u64) {
    if let Some(room) = text.get_mut(COUNT_AT..HEAD) {
        room.copy_from_slice(&count.to_le_bytes());
    }
}

/// Has the estimate made anew when it is next asked for.
pub fn forget(text: &mut [u8]) {
    if let Some(byte) = text.get_mut(HEAD - 1) {
        *byte |= IS_STALE;
    }
}

/// Adds an element; says whether that raised a register. A sparse string may grow up to `sparse_max` bytes; beyond that,
/// it becomes dense.
pub fn add(text: &mut Vec<u8>, element: &[u8], sparse_max: usize) -> Result<bool, Corrupt> {
    let (index, value) = place_of(element);
    raise(text, index, value, sparse_max)
}

/// Raises a register to a value, if it is below; says whether it was.
fn raise(text: &mut Vec<u8>, index: usize, value: u8, sparse_max: usize) -> Result<bool, Corrupt> {
    match form(text).ok_or(Corrupt)? {
        Form::Dense => Ok(raise_dense(text, index, value)),
        Form::Sparse => match runs::raise(text, index, value, sparse_max)? {
            Raised::No => Ok(false),
            Raised::Yes => {
                forget(text);
                Ok(true)
            }
            Raised::TooLarge => {
                densify(text)?;
                Ok(raise_dense(text, index, value))
            }
        },
    }
}

/// Where a register begins in the dense form: the byte, and the bit in it.
fn dense_place(index: usize) -> (usize, usize) {
    (HEAD + index * BITS / 8, index * BITS % 8)
}

fn raise_dense(text: &mut [u8], index: usize, value: u8) -> bool {
    let (at, shift) = dense_place(index);
    let byte = |at: usize| u16::from(text.get(at).copied().unwrap_or_default());
    let bytes = byte(at) | byte(at + 1) << 8;
    if value & REGISTER_MAX <= (bytes >> shift) as u8 & REGISTER_MAX {
        return false;
    }
    let changed = bytes & !(u16::from(REGISTER_MAX) << shift) | u16::from(value & REGISTER_MAX) << shift;
    for (room, byte) in text.iter_mut().skip(at).zip(changed.to_le_bytes()) {
        *room = byte;
    }
    true
}

/// The registers of a dense string.
fn dense(text: &[u8]) -> impl Iterator<Item = u8> {
    let (groups, _) = text.get(HEAD..).unwrap_or_default().as_chunks::<3>();
    groups.iter().flat_map(|&[low, middle, high]| {
        let bits = u32::from_le_bytes([low, middle, high, 0]);
        [0, 6, 12, 18].map(|shift| (bits >> shift) as u8 & REGISTER_MAX)
    })
}

/// Has a string hold its registers each for itself; says whether it did not yet.
pub fn densify(text: &mut Vec<u8>) -> Result<bool, Corrupt> {
    if form(text) == Some(Form::Dense) {
        return Ok(false);
    }
    let mut registers = Registers::default();
    registers.merge(text)?;
    let mut head = text.get(..HEAD).ok_or(Corrupt)?.to_vec();
    head.resize(DENSE_BYTES, 0);
    if let Some(form) = head.get_mut(FORM_AT) {
        *form = 0;
    }
    *text = head;
    for (index, value) in registers.raised() {
        raise_dense(text, index, value);
    }
    Ok(true)
}

/// Estimates how many elements were added.
pub fn count(text: &[u8]) -> Result<u64, Corrupt> {
    let mut histogram = Histogram::default();
    match form(text).ok_or(Corrupt)? {
        Form::Dense => dense(text).for_each(|value| histogram.add(value, 1)),
        Form::Sparse => {
            runs::of(text).for_each(|run| histogram.add(run.value, run.len));
            if histogram.total() != REGISTERS as u64 {
                return Err(Corrupt);
            }
        }
    }
    Ok(estimate(&histogram))
}

/// The runs of a sparse string in words; none of a dense one.
#[must_use]
pub fn described(text: &[u8]) -> Option<String> {
    let shown = |run: runs::Run| match (run.value, run.bytes) {
        (0, 1) => format!("z:{}", run.len),
        (0, _) => format!("Z:{}", run.len),
        (value, _) => format!("v:{value},{}", run.len),
    };
    (form(text)? == Form::Sparse).then(|| runs::of(text).map(shown).collect::<Vec<_>>().join(" "))
}

/// Registers on their own, for the union of several strings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registers(Box<[u8]>);

impl Default for Registers {
    fn default() -> Self {
        Self(vec![0; REGISTERS].into())
    }
}

impl Registers {
    /// Raises each register to that of a string, where it is below.
    pub fn merge(&mut self, text: &[u8]) -> Result<(), Corrupt> {
        match form(text).ok_or(Corrupt)? {
            Form::Dense => {
                self.0.iter_mut().zip(dense(text)).for_each(|(own, other)| *own = other.max(*own));
                Ok(())
            }
            Form::Sparse => self.merge_runs(text),
        }
    }

    fn merge_runs(&mut self, text: &[u8]) -> Result<(), Corrupt> {
        let mut first = 0;
        for run in runs::of(text) {
            let end = first + run.len;
            let room = self.0.get_mut(first..end).ok_or(Corrupt)?;
            room.iter_mut().for_each(|own| *own = run.value.max(*own));
            first = end;
        }
        if first == REGISTERS { Ok(()) } else { Err(Corrupt) }
    }

    /// Raises each register of a string to the one here, where it is below.
    pub fn raise_all(&self, text: &mut Vec<u8>, sparse_max: usize) -> Result<(), Corrupt> {
        self.raised().try_for_each(|(index, value)| raise(text, index, value, sparse_max).map(|_| ()))
    }

    /// The registers that are not zero, with their places.
    fn raised(&self) -> impl Iterator<Item = (usize, u8)> {
        self.0.iter().copied().enumerate().filter(|(_, value)| *value > 0)
    }

    /// Each register.
    pub fn values(&self) -> impl Iterator<Item = u8> {
        self.0.iter().copied()
    }

    /// Estimates how many elements were added to any of the strings.
    #[must_use]
    pub fn count(&self) -> u64 {
        let mut histogram = Histogram::default();
        self.values().for_each(|value| histogram.add(value, 1));
        estimate(&histogram)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Corrupt, DENSE_BYTES, Form, HEAD, REGISTERS, Registers, add, cache, cached, count, densify, described, empty,
        forget, form, raise,
    };

    const SPARSE_MAX: usize = 3000;

    fn registers(text: &[u8]) -> Registers {
        let mut registers = Registers::default();
        registers.merge(text).expect("sound");
        registers
    }

    fn sparse(body: &[u8]) -> Vec<u8> {
        [&empty()[..HEAD], body].concat()
    }

    #[test]
    fn the_empty_one_is_one_run_and_holds_nothing() {
        let text = empty();
        assert_eq!(text, b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\0\x7f\xff");
        assert_eq!((cached(&text), count(&text), described(&text).as_deref()), (Some(0), Ok(0), Some("Z:16384")));
    }

    #[test]
    fn what_is_cached_holds_until_something_changes() {
        let mut text = empty();
        cache(&mut text, 77);
        assert_eq!(cached(&text), Some(77));
        assert_eq!(add(&mut text, b"a", SPARSE_MAX), Ok(true));
        assert_eq!(cached(&text), None);
        cache(&mut text, 1);
        assert_eq!(add(&mut text, b"a", SPARSE_MAX), Ok(false));
        assert_eq!(cached(&text), Some(1));
        forget(&mut text);
        assert_eq!(cached(&text), None);
    }

    /// The same registers are raised in a sparse string, in a dense one and in plain ones.
    #[test]
    fn both_forms_hold_the_same_registers() {
        let mut rng = fastrand::Rng::with_seed(7);
        for (seed, raises) in [(1, 40), (2, 400), (3, 4000), (4, 40_000)] {
            rng.seed(seed);
            let (mut sparse, mut dense, mut plain) = (empty(), empty(), vec![0; REGISTERS]);
            assert_eq!((densify(&mut dense), densify(&mut dense)), (Ok(true), Ok(false)));
            for _ in 0..raises {
                // Few places and few values: runs are split, and become one again.
                let (index, value) = (rng.usize(..REGISTERS) >> rng.u8(0..12), rng.u8(1..6));
                let index = if rng.bool() { index } else { REGISTERS - 1 - index };
                let is_raised = plain[index] < value;
                plain[index] = value.max(plain[index]);
                assert_eq!(raise(&mut sparse, index, value, usize::MAX), Ok(is_raised));
                assert_eq!(raise(&mut dense, index, value, 0), Ok(is_raised));
            }
            let (sparse_registers, dense_registers) = (registers(&sparse), registers(&dense));
            assert_eq!((form(&sparse), form(&dense)), (Some(Form::Sparse), Some(Form::Dense)));
            assert!(sparse_registers.values().eq(plain.iter().copied()) && sparse_registers == dense_registers);
            let counts = [count(&sparse), count(&dense), Ok(sparse_registers.count())];
            assert!(counts.iter().all(|other| *other == counts[0]), "{counts:?}");
            densify(&mut sparse).expect("sound");
            assert_eq!(sparse[HEAD..], dense[HEAD..]);
        }
    }

    #[test]
    fn the_last_register_is_reached_in_both_forms() {
        let mut text = empty();
        assert_eq!(raise(&mut text, REGISTERS - 1, 32, SPARSE_MAX), Ok(true));
        assert_eq!(described(&text).as_deref(), Some("Z:16383 v:32,1"));
        assert_eq!(raise(&mut text, REGISTERS - 1, 33, SPARSE_MAX), Ok(true));
        assert_eq!((text.len(), text.last()), (DENSE_BYTES, Some(&(33 << 2))));
        assert_eq!(raise(&mut text, REGISTERS - 1, 33, SPARSE_MAX), Ok(false));
        assert_eq!(described(&text), None);
    }

    #[test]
    fn a_sparse_string_becomes_dense_where_it_may_not_grow() {
        let (mut text, mut number) = (empty(), 0_u32);
        while form(&text) == Some(Form::Sparse) {
            assert!(text.len() <= 100);
            add(&mut text, &number.to_le_bytes(), 100).expect("sound");
            number += 1;
        }
        assert_eq!(text.len(), DENSE_BYTES);
        assert!((20..60).contains(&number), "{number}");
    }

    #[test]
    fn estimates_are_close() {
        let (mut text, mut rng) = (empty(), fastrand::Rng::with_seed(3));
        for number in 1..=100_000_u64 {
            add(&mut text, &rng.u64(..).to_le_bytes(), SPARSE_MAX).expect("sound");
            if number % 1000 == 0 {
                let estimate = count(&text).expect("sound");
                // 4 standard errors of 1.04 / sqrt(16384).
                assert!(estimate.abs_diff(number) * 100 <= number * 4, "{estimate} for {number}");
            }
        }
    }

    /// The union of strings is that of their elements, whatever their forms.
    #[test]
    fn a_union_is_that_of_the_elements() {
        for sizes in [[0, 10], [10, 300], [300, 5000], [5000, 5000]] {
            let (mut all, mut union, mut number) = (empty(), Registers::default(), 0_u32);
            for size in sizes {
                let mut part = empty();
                for _ in 0..size {
                    add(&mut part, &number.to_le_bytes(), SPARSE_MAX).expect("sound");
                    add(&mut all, &number.to_le_bytes(), SPARSE_MAX).expect("sound");
                    number += 1;
                }
                union.merge(&part).expect("sound");
            }
            assert_eq!(union, registers(&all));
            assert_eq!(Ok(union.count()), count(&all));
            let mut text = empty();
            union.raise_all(&mut text, SPARSE_MAX).expect("sound");
            assert_eq!((registers(&text), form(&text)), (union, form(&all)));
        }
    }

    #[test]
    fn runs_that_do_not_add_up_are_refused() {
        for body in [
            b"".as_slice(),
            b"\x7f",
            b"\x7f\xff\x00",
            b"\x7f\xff\x80",
            b"\x7f\xfe",
            b"\x7f\xff\x7f\xff",
            b"\x7f\xfe\x81",
        ] {
            let mut text = sparse(body);
            let mut union = Registers::default();
            assert_eq!((count(&text), union.merge(&text)), (Err(Corrupt), Err(Corrupt)), "{body:?}");
            assert_eq!(densify(&mut text), Err(Corrupt));
            assert_eq!(text, sparse(body));
        }
        assert_eq!(add(&mut sparse(b""), b"a", SPARSE_MAX), Err(Corrupt));
        // The last byte of a long run is missing: zero stands in for it.
        assert_eq!(count(&sparse(b"\x40\xfe\x7f")), Ok(0));
    }

    /// Whatever a client makes of a string, nothing but an answer or an error comes of it.
    #[test]
    fn no_string_does_harm() {
        let mut rng = fastrand::Rng::with_seed(11);
        for _ in 0..3000 {
            let len = rng.usize(0..40);
            let noise = std::iter::repeat_with(|| rng.u8(..)).take(len).collect::<Vec<_>>();
            let mut text = sparse(&noise);
            if rng.bool() {
                let at = rng.usize(..text.len());
                text[at] = rng.u8(..);
            }
            if rng.u8(..) < 20 {
                text.resize(DENSE_BYTES, rng.u8(..));
            }
            for _ in 0..20 {
                let (index, value) = (rng.usize(..REGISTERS), rng.u8(1..52));
                let _ = raise(&mut text, index, value, rng.usize(0..100));
                let _ = (count(&text), cached(&text), described(&text), Registers::default().merge(&text));
            }
            let (was_dense, len) = (form(&text) == Some(Form::Dense), text.len());
            let outcome = densify(&mut text);
            assert!(outcome != Ok(was_dense) && (outcome == Ok(true) || text.len() == len));
        }
    }
}
