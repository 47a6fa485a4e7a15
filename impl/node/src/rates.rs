//! Owns how much happens a second at present, for INFO.
//!
//! Must not be read by anything that decides.

use crate::counters::ClientCounters;
use slotbus_core::Millis;

/// From one look at the counters to the next at least: what is told is of the last one to two such spans.
const SPAN_MS: u64 = 800;

/// What the counters said at two moments.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rates {
    former: (Millis, ClientCounters),
    latest: (Millis, ClientCounters),
}

/// What happens in a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PerSecond {
    /// Commands executed.
    pub commands: f64,
    /// Bytes read.
    pub bytes_in: f64,
    /// Bytes written.
    pub bytes_out: f64,
}

impl Rates {
    /// Looks at the counters, unless that was just done.
    pub fn note(&mut self, now: Millis, counters: &ClientCounters) {
        if now.since(self.latest.0) >= SPAN_MS {
            self.former = self.latest;
            self.latest = (now, *counters);
        }
    }

    /// What has happened lately. Nothing has where the counters were set back meanwhile.
    #[must_use]
    pub fn at(&self, now: Millis, counters: &ClientCounters) -> PerSecond {
        let (then, before) = &self.former;
        let seconds = now.since(*then).max(SPAN_MS) as f64 / 1000.0;
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds;
        PerSecond {
            commands: rate(counters.commands, before.commands),
            bytes_in: rate(counters.bytes_in, before.bytes_in),
            bytes_out: rate(counters.bytes_out, before.bytes_out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Rates;
    use crate::counters::ClientCounters;
    use slotbus_core::Millis;

    #[test]
    fn a_steady_flow_has_its_rate_and_ends() {
        let mut rates = Rates::default();
        let counters = |commands| ClientCounters { commands, ..ClientCounters::default() };
        for tenth in 0..100 {
            rates.note(Millis(100_000 + tenth * 100), &counters(tenth * 50));
        }
        let seen = rates.at(Millis(110_000), &counters(5000)).commands;
        assert!((seen - 500.0).abs() < 1.0, "{seen}");
        rates.note(Millis(111_000), &counters(5000));
        rates.note(Millis(112_000), &counters(5000));
        assert_eq!(rates.at(Millis(112_100), &counters(5000)).commands, 0.0);
        assert_eq!(rates.at(Millis(112_100), &counters(0)).commands, 0.0);
    }
}
