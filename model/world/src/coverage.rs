//! Owns the record of which rules fired in any step of an exploration. No action reads it.

use slotbus_core::Rule;
use std::sync::atomic::{AtomicU64, Ordering};

const WORDS: usize = Rule::ALL.len().div_ceil(64);

/// Which rules have fired. Shared by all threads of an exploration; rules are only ever added.
#[derive(Debug, Default)]
pub struct Coverage([AtomicU64; WORDS]);

impl Coverage {
    /// Notes that `rules` fired.
    pub fn note(&self, rules: &[Rule]) {
        for &rule in rules {
            let (word, bit) = place_of(rule);
            // Writing only what is new keeps the threads from fighting over the word.
            if self.0[word].load(Ordering::Relaxed) & bit == 0 {
                self.0[word].fetch_or(bit, Ordering::Relaxed);
            }
        }
    }

    /// Whether `rule` has fired.
    #[must_use]
    pub fn has_fired(&self, rule: Rule) -> bool {
        let (word, bit) = place_of(rule);
        self.0[word].load(Ordering::Relaxed) & bit != 0
    }

    /// The rules that have fired, in the order of the catalogue.
    #[must_use]
    pub fn fired(&self) -> Vec<Rule> {
        Rule::ALL.iter().copied().filter(|&rule| self.has_fired(rule)).collect()
    }
}

/// A rule's word and bit: its place in the catalogue.
fn place_of(rule: Rule) -> (usize, u64) {
    (rule as usize / 64, 1 << (rule as usize % 64))
}

#[cfg(test)]
mod tests {
    use super::Coverage;
    use slotbus_core::Rule;

    #[test]
    fn what_was_noted_has_fired_and_nothing_else() {
        for &rule in Rule::ALL {
            let coverage = Coverage::default();
            coverage.note(&[rule]);
            assert_eq!(coverage.fired(), [rule]);
        }
    }
}
