//! Owns what took longer than it should of late, for LATENCY.
//!
//! Must not measure: it is told.

use std::collections::{BTreeMap, VecDeque};

/// So many samples are kept of each kind.
const SAMPLES_MAX: usize = 160;

/// What took long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A command.
    Command,
    /// A command that should take constant or logarithmic time.
    FastCommand,
    /// The search for expired keys.
    ExpireCycle,
    /// A write to the append-only file.
    AofWrite,
    /// The disk's keeping of what was written, where replies wait for it.
    AofFsyncAlways,
}

impl Kind {
    /// Every kind, by name.
    pub const ALL: [(&'static str, Self); 5] = [
        ("aof-fsync-always", Self::AofFsyncAlways),
        ("aof-write", Self::AofWrite),
        ("command", Self::Command),
        ("expire-cycle", Self::ExpireCycle),
        ("fast-command", Self::FastCommand),
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }

    /// The kind of this name, in any case.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<Self> {
        let found = Self::ALL.into_iter().find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name));
        found.map(|(_, kind)| kind)
    }
}

/// When, in seconds since 1970, and how many milliseconds.
pub type Sample = (u64, u64);

/// What took long, by kind.
#[derive(Debug, Default)]
pub struct Latency {
    samples: BTreeMap<Kind, (VecDeque<Sample>, u64)>,
}

impl Latency {
    /// Adds a sample. Of those within one second the longest stays.
    pub fn add(&mut self, kind: Kind, (at_s, duration_ms): Sample) {
        let (samples, longest_ms) = self.samples.entry(kind).or_default();
        *longest_ms = duration_ms.max(*longest_ms);
        match samples.back_mut() {
            Some((last_s, last_ms)) if *last_s == at_s => *last_ms = duration_ms.max(*last_ms),
            Some(_) | None => samples.push_back((at_s, duration_ms)),
        }
        if samples.len() > SAMPLES_MAX {
            samples.pop_front();
        }
    }

    /// The samples of a kind, the oldest first.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = Sample> {
        self.samples.get(&kind).into_iter().flat_map(|(samples, _)| samples.iter().copied())
    }

    /// Each kind that has samples, with the last one and the longest.
    pub fn latest(&self) -> impl Iterator<Item = (Kind, Sample, u64)> {
        self.samples.iter().filter_map(|(kind, (samples, longest_ms))| Some((*kind, *samples.back()?, *longest_ms)))
    }

    /// Forgets a kind; whether there was anything to forget.
    pub fn forget(&mut self, kind: Kind) -> bool {
        self.samples.remove(&kind).is_some()
    }
}
