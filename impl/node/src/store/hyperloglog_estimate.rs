//! Owns where an element falls among HyperLogLog's registers, and how many elements registers stand for: `MurmurHash64A`,
//! and the estimator of Otmar Ertl, "New cardinality estimation algorithms for HyperLogLog sketches" (2017), algorithm 6.
//!
//! Must not know how registers are held.

use super::hyperloglog::REGISTERS;

/// So many bits of a hash tell the register, and so many the value.
const PLACE_BITS: u32 = REGISTERS.trailing_zeros();
const VALUE_BITS: usize = 64 - PLACE_BITS as usize;
/// Registers of six bits have so many values.
const VALUES: usize = 64;
const SEED: u64 = 0xadc8_3b19;
/// 1 / (2 ln 2).
const ALPHA: f64 = 0.721_347_520_444_481_7;

/// How many registers have which value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Histogram([u64; VALUES]);

impl Default for Histogram {
    fn default() -> Self {
        Self([0; VALUES])
    }
}

impl Histogram {
    /// Counts registers of a value.
    pub(super) fn add(&mut self, value: u8, registers: usize) {
        if let Some(count) = self.0.get_mut(usize::from(value)) {
            *count += registers as u64;
        }
    }

    /// How many registers were counted.
    pub(super) fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

/// The register that an element falls to, and the value that it has there: from 1 to 51.
pub(super) fn place_of(element: &[u8]) -> (usize, u8) {
    let hash = murmur(element, SEED);
    let place = hash as usize & (REGISTERS - 1);
    let zeros = (hash >> PLACE_BITS | 1 << VALUE_BITS).trailing_zeros();
    (place, zeros as u8 + 1)
}

/// `MurmurHash64A` of Austin Appleby, which is in the public domain.
fn murmur(bytes: &[u8], seed: u64) -> u64 {
    const FACTOR: u64 = 0xc6a4_a793_5bd1_e995;
    const SHIFT: u32 = 47;
    let fold = |number: u64| number ^ number >> SHIFT;
    let (words, rest) = bytes.as_chunks::<8>();
    let mut hash = seed ^ (bytes.len() as u64).wrapping_mul(FACTOR);
    for word in words {
        let word = fold(u64::from_le_bytes(*word).wrapping_mul(FACTOR)).wrapping_mul(FACTOR);
        hash = (hash ^ word).wrapping_mul(FACTOR);
    }
    if !rest.is_empty() {
        let rest = rest.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte));
        hash = (hash ^ rest).wrapping_mul(FACTOR);
    }
    fold(fold(hash).wrapping_mul(FACTOR))
}

/// How many elements the registers stand for.
pub(super) fn estimate(histogram: &Histogram) -> u64 {
    let registers = REGISTERS as f64;
    let count = |value: usize| histogram.0.get(value).map_or(0.0, |count| *count as f64);
    let full = registers * tau((registers - count(VALUE_BITS + 1)) / registers);
    let halved = (1..=VALUE_BITS).rev().fold(full, |sum, value| (sum + count(value)) * 0.5);
    let sum = halved + registers * sigma(count(0) / registers);
    let estimate = (ALPHA * registers * registers / sum).round();
    // Registers that no elements make: redis-server has this number then, which counts as one that was not estimated yet.
    if estimate < i64::MAX as f64 { estimate as u64 } else { 1 << 63 }
}

/// What registers that are zero add.
fn sigma(share: f64) -> f64 {
    if share == 1.0 {
        return f64::INFINITY;
    }
    let (mut power, mut factor, mut sum) = (share, 1.0, share);
    loop {
        power *= power;
        let former = sum;
        sum += power * factor;
        factor += factor;
        if sum == former {
            return sum;
        }
    }
}

/// What registers that can be no higher take away.
fn tau(share: f64) -> f64 {
    if share == 0.0 || share == 1.0 {
        return 0.0;
    }
    let (mut root, mut factor, mut sum) = (share, 1.0, 1.0 - share);
    loop {
        root = root.sqrt();
        let former = sum;
        factor *= 0.5;
        sum -= (1.0 - root) * (1.0 - root) * factor;
        if sum == former {
            return sum / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Histogram, estimate, murmur, place_of};

    fn of(counts: &[(u8, usize)]) -> u64 {
        let mut histogram = Histogram::default();
        counts.iter().for_each(|&(value, count)| histogram.add(value, count));
        estimate(&histogram)
    }

    /// The numbers are those of redis-server 7.0.15, asked for strings with these registers.
    #[test]
    fn estimates_are_those_of_redis_server() {
        assert_eq!(of(&[(0, 16_384)]), 0);
        assert_eq!(of(&[(0, 16_383), (1, 1)]), 1);
        assert_eq!(of(&[(1, 16_384)]), 23_637);
        assert_eq!(of(&[(51, 16_383), (0, 1)]), 193_623_433);
        assert_eq!(of(&[(52, 16_383), (1, 1)]), 387_270_501);
        assert_eq!(of(&[(40, 16_384)]), 12_994_641_697_113_596);
        assert_eq!(of(&[(48, 16_384)]), 3_326_628_274_461_080_576);
        for all in [50, 51, 63] {
            assert_eq!(of(&[(all, 16_384)]), 1 << 63);
        }
    }

    #[test]
    fn every_length_of_an_element_is_hashed() {
        let bytes: Vec<u8> = (0..=255).collect();
        let mut seen = std::collections::BTreeSet::new();
        for end in 0..=bytes.len() {
            assert!(seen.insert(murmur(&bytes[..end], 0)));
            let (place, value) = place_of(&bytes[..end]);
            assert!(place < 16_384 && (1..=51).contains(&value));
        }
    }
}
