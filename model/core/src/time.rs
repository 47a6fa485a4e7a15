//! Owns the core's idea of time: instants in milliseconds that the driver hands in. Knows no clock.

use serde::{Deserialize, Serialize};

/// An instant of one node's own clock, in milliseconds since an epoch of the driver's choice
/// (the production node uses the Unix epoch, because instants show in CLUSTER NODES).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Millis(pub u64);

impl Millis {
    /// Milliseconds from `earlier` to this instant; 0 when `earlier` lies in the future.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The instant `duration_ms` later, saturating.
    #[must_use]
    pub fn after(self, duration_ms: u64) -> Self {
        Self(self.0.saturating_add(duration_ms))
    }

    /// Whole seconds, as gossip entries carry instants.
    #[must_use]
    pub fn seconds(self) -> u32 {
        u32::try_from(self.0 / 1000).unwrap_or(u32::MAX)
    }

    /// The instant that stands at the same distance from `to` as this one from `from`, with ages
    /// beyond `age_limit_ms` cut to it. This is how a world makes its states finite.
    #[must_use]
    pub fn rebased(self, from: Self, to: Self, age_limit_ms: u64) -> Self {
        if self > from {
            to.after(self.since(from))
        } else {
            Self(to.0.saturating_sub(from.since(self).min(age_limit_ms)))
        }
    }
}
