//! Owns which key has to go when memory runs out, and how use is remembered for that.
//!
//! Must not drop a key itself.

use super::entry::{Entry, Used};
use crate::config::Settings;
use slotbus_core::Millis;

/// What makes a key the better victim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// That it was not used for long.
    Idleness,
    /// That it is used seldom.
    Rarity,
    /// That it ends soon.
    End,
    /// Chance.
    Chance,
}

/// When and how keys are evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Eviction {
    /// How many bytes the data may take; 0 for no limit.
    pub bytes_max: usize,
    /// What makes a key a victim; none if none is to go.
    pub measure: Option<Measure>,
    /// Whether only keys that have an end may go.
    pub is_of_expiring: bool,
    /// How many keys are compared.
    pub samples: usize,
    /// How slowly the counter of uses rises.
    log_factor: u32,
    /// After how many minutes without use the counter falls by one.
    decay_min: u32,
}

const USED_MASK: u32 = 0xff_ffff;
const COUNTER_START: u32 = 5;
const COUNTER_MAX: u32 = 255;

impl Eviction {
    /// What the settings say.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let policy = settings.text("maxmemory-policy");
        let measure = match policy.split_once('-').map(|(_, measure)| measure) {
            Some("lru") => Some(Measure::Idleness),
            Some("lfu") => Some(Measure::Rarity),
            Some("ttl") => Some(Measure::End),
            Some("random") => Some(Measure::Chance),
            Some(_) | None => None,
        };
        let small = |name: &str| u32::try_from(settings.number(name)).unwrap_or(u32::MAX);
        Self {
            bytes_max: usize::try_from(settings.number("maxmemory")).unwrap_or(usize::MAX),
            measure,
            is_of_expiring: policy.starts_with("volatile"),
            samples: usize::try_from(settings.number("maxmemory-samples")).unwrap_or(usize::MAX).clamp(1, 64),
            log_factor: small("lfu-log-factor"),
            decay_min: small("lfu-decay-time"),
        }
    }

    /// Whether use is counted, rather than its time remembered.
    #[must_use]
    pub fn counts_use(&self) -> bool {
        self.measure == Some(Measure::Rarity)
    }

    /// The use of a key that is new.
    #[must_use]
    pub fn fresh(&self, now: Millis) -> Used {
        if self.counts_use() { minutes(now) << 8 | COUNTER_START } else { seconds(now) }
    }

    /// The use of a key that was not used for so many seconds.
    #[must_use]
    pub fn of_idleness(idle_s: u32, now: Millis) -> Used {
        seconds(now).wrapping_sub(idle_s) & USED_MASK
    }

    /// The use of a key that was used as often as this counter tells.
    #[must_use]
    pub fn of_count(counter: u8, now: Millis) -> Used {
        minutes(now) << 8 | u32::from(counter)
    }

    /// Whether values must not be shared, for each has a use of its own.
    #[must_use]
    pub fn is_by_use(&self) -> bool {
        self.bytes_max > 0 && matches!(self.measure, Some(Measure::Idleness | Measure::Rarity))
    }

    /// The use of a key that is used once more.
    #[must_use]
    pub fn again(&self, used: Used, now: Millis) -> Used {
        if !self.counts_use() {
            return seconds(now);
        }
        let counter = self.frequency(used, now);
        let above = counter.saturating_sub(COUNTER_START);
        let chance = 1.0 / f64::from(above.saturating_mul(self.log_factor).saturating_add(1));
        let rises = counter < COUNTER_MAX && fastrand::f64() < chance;
        (minutes(now) << 8) | (counter + u32::from(rises))
    }

    /// The counter of uses, after what time has taken from it.
    #[must_use]
    pub fn frequency(&self, used: Used, now: Millis) -> u32 {
        let idle_min = minutes(now).wrapping_sub(used >> 8) & 0xffff;
        let periods = idle_min.checked_div(self.decay_min).unwrap_or(0);
        (used & 0xff).saturating_sub(periods)
    }

    /// For how many seconds a key was not used.
    #[must_use]
    pub fn idle_s(used: Used, now: Millis) -> u32 {
        seconds(now).wrapping_sub(used) & USED_MASK
    }

    /// How good a victim an entry is; the greater, the better.
    #[must_use]
    pub fn weight(&self, entry: &Entry, now: Millis) -> u64 {
        match self.measure {
            Some(Measure::Idleness) => Self::idle_s(entry.used(), now).into(),
            Some(Measure::Rarity) => u64::from(COUNTER_MAX - self.frequency(entry.used(), now).min(COUNTER_MAX)),
            Some(Measure::End) => u64::MAX - entry.expires_at().map_or(u64::MAX, |end| end.0),
            Some(Measure::Chance) => fastrand::u64(..),
            None => 0,
        }
    }
}

fn seconds(now: Millis) -> Used {
    (now.0 / 1000) as u32 & USED_MASK
}

fn minutes(now: Millis) -> Used {
    (now.0 / 60_000) as u32 & 0xffff
}
