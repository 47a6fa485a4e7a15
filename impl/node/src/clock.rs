//! Owns the node's idea of now: Unix milliseconds that never go back.
//!
//! Must not be read by the protocol: it is handed instants.

use slotbus_core::Millis;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A clock that starts at the system's time and then runs on its own, so that it survives a change
/// of the system's time without a jump.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    since_epoch: Duration,
}

impl Clock {
    /// A clock that shows the system's time now.
    #[must_use]
    pub fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started: Instant::now(), since_epoch }
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Millis {
        Millis(u64::try_from(self.since_epoch().as_millis()).unwrap_or(u64::MAX))
    }

    /// Time since the Unix epoch.
    #[must_use]
    pub fn since_epoch(&self) -> Duration {
        self.since_epoch.saturating_add(self.started.elapsed())
    }

    /// Time since the clock was started.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }
}
