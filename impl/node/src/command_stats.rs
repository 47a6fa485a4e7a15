//! Owns how often each command was called, how that ended, and how long it took.
//!
//! Must not be read by anything that decides.

use crate::command::Command;
use hashbrown::HashMap;
use std::collections::BTreeMap;

/// One bucket for each power of two of microseconds.
const BUCKETS: usize = 32;

/// What is known of one command.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// How often it was carried out.
    pub calls: u64,
    /// How long that took in all, in microseconds.
    pub total_us: u64,
    /// How often it was refused before it was carried out.
    pub rejected: u64,
    /// How often it was carried out and answered with an error.
    pub failed: u64,
    /// How many calls took less than 1, 2, 4 ... microseconds, and no less than half of that.
    buckets: [u64; BUCKETS],
}

impl Stats {
    /// Counts a call.
    fn note(&mut self, duration_us: u64, has_failed: bool) {
        self.calls += 1;
        self.total_us += duration_us;
        self.failed += u64::from(has_failed);
        let bucket = duration_us.checked_ilog2().map_or(0, |power| power as usize + 1);
        self.buckets[bucket.min(BUCKETS - 1)] += 1;
    }

    /// Microseconds, and how many calls took no longer: one pair for each bucket that has calls.
    pub fn histogram(&self) -> impl Iterator<Item = (u64, u64)> {
        let upper_us = (0..).map(|power| 1_u64 << power);
        let sums = self.buckets.iter().scan(0, |sum, &count| {
            *sum += count;
            Some(*sum)
        });
        let has_calls = self.buckets.iter().map(|&count| count > 0);
        upper_us.zip(sums).zip(has_calls).filter(|(_, has_calls)| *has_calls).map(|(pair, _)| pair)
    }

    /// The microseconds within which so many of a hundred calls were done, rounded up to a power of two.
    #[must_use]
    pub fn percentile_us(&self, percent: f64) -> u64 {
        let wanted = self.calls as f64 * percent / 100.0;
        let reached = self.histogram().find(|(_, count)| *count as f64 >= wanted);
        reached.or_else(|| self.histogram().last()).map_or(0, |(upper_us, _)| upper_us)
    }
}

/// What is known of all commands.
#[derive(Debug, Default)]
pub struct CommandStats {
    stats: Vec<(&'static Command, Stats)>,
    places: HashMap<*const Command, usize>,
    /// Of the last command: often the next one is the same.
    last: usize,
    errors: BTreeMap<String, u64>,
}

impl CommandStats {
    fn of(&mut self, command: &'static Command) -> &mut Stats {
        if !self.stats.get(self.last).is_some_and(|(last, _)| std::ptr::eq(*last, command)) {
            self.last = *self.places.entry(std::ptr::from_ref(command)).or_insert(self.stats.len());
            if self.last == self.stats.len() {
                self.stats.push((command, Stats::default()));
            }
        }
        &mut self.stats[self.last].1
    }

    /// Counts a call.
    pub fn note(&mut self, command: &'static Command, duration_us: u64, has_failed: bool) {
        self.of(command).note(duration_us, has_failed);
    }

    /// Counts a request that was refused.
    pub fn note_rejected(&mut self, command: &'static Command) {
        self.of(command).rejected += 1;
    }

    /// Counts an error by its code, as long as there are not too many codes.
    pub fn note_error(&mut self, text: &str) {
        const CODES_MAX: usize = 128;
        let code = text.split(' ').next().unwrap_or_default();
        if self.errors.len() < CODES_MAX || self.errors.contains_key(code) {
            *self.errors.entry(code.to_owned()).or_default() += 1;
        }
    }

    /// Every command that was asked for, by name.
    #[must_use]
    pub fn by_name(&self) -> BTreeMap<&'static str, &Stats> {
        self.stats.iter().map(|(command, stats)| (command.name, stats)).collect()
    }

    /// Errors by code.
    #[must_use]
    pub fn errors(&self) -> &BTreeMap<String, u64> {
        &self.errors
    }
}

#[cfg(test)]
mod tests {
    use super::Stats;

    #[test]
    fn calls_are_counted_by_powers_of_two() {
        let mut stats = Stats::default();
        for duration_us in [0, 1, 3, 3, 1000] {
            stats.note(duration_us, false);
        }
        assert_eq!(stats.histogram().collect::<Vec<_>>(), [(1, 1), (2, 2), (4, 4), (1024, 5)]);
        assert_eq!((stats.percentile_us(50.0), stats.percentile_us(99.9)), (4, 1024));
    }
}
