//! Makes a failing scenario shorter: leaves out events by halves, by quarters and so on, as long as the run
//! still fails in the same way. Knows no event.

use super::{Failure, Report, schedule::Scenario};
use std::time::{Duration, Instant};

/// The shortest scenario found within `limit` that `play` fails on as `first` says, and how it fails.
pub fn shrink(
    scenario: &Scenario,
    first: &Report,
    limit: Duration,
    mut play: impl FnMut(&Scenario) -> Result<Report, String>,
) -> (Scenario, Report) {
    let deadline = Instant::now() + limit;
    let (mut best, mut failed) = (scenario.clone(), first.clone());
    let Some(failure) = first.failures.first().cloned() else { return (best, failed) };
    let mut size = best.events.len().max(1);
    loop {
        let mut start = 0;
        while start < best.events.len() {
            if Instant::now() >= deadline {
                return (best, failed);
            }
            let shorter = without(&best, start, size);
            match play(&shorter).ok().filter(|report| fails_like(report, &failure)) {
                Some(report) => (best, failed) = (shorter, report),
                None => start += size,
            }
        }
        if size == 1 {
            return (best, failed);
        }
        size = size.div_ceil(2);
    }
}

fn without(scenario: &Scenario, start: usize, count: usize) -> Scenario {
    let mut shorter = scenario.clone();
    shorter.events.drain(start..(start + count).min(shorter.events.len()));
    shorter
}

fn fails_like(report: &Report, failure: &Failure) -> bool {
    report.failures.iter().any(|other| other.is_like(failure))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::schedule::{Drawing, Fault};

    fn fails_with(scenario: &Scenario, needed: &[Fault]) -> Report {
        let is_whole = needed.iter().all(|fault| scenario.events.iter().any(|event| event.fault == *fault));
        let failures = is_whole.then(|| Failure::Apart("apart".to_owned())).into_iter().collect();
        Report { failures, ..Report::default() }
    }

    #[test]
    fn what_is_not_needed_is_left_out() {
        let scenario = Scenario::parse("seed 3\nduration 60000").expect("a scenario").drawn(Drawing::default());
        let needed = [scenario.events[3].fault.clone(), scenario.events[17].fault.clone()];
        let first = fails_with(&scenario, &needed);
        let minute = Duration::from_secs(60);
        let (short, report) = shrink(&scenario, &first, minute, |shorter| Ok(fails_with(shorter, &needed)));
        let left: Vec<_> = short.events.iter().map(|event| event.fault.clone()).collect();
        assert_eq!((left.as_slice(), report.failures.len()), (needed.as_slice(), 1));
        let (same, _) = shrink(&scenario, &first, Duration::ZERO, |_| Err("no time".to_owned()));
        assert_eq!(same, scenario);
    }
}
