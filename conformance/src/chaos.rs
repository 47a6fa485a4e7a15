//! Real node processes of any implementation on a faulty network: what a seed draws happens to them while
//! clients write, and then they are left in peace. Owns the order of a run and what it comes to.
//!
//! While faults go on, what nodes say of themselves is watched; in the end all must tell the same, every
//! slot must be served, and no acknowledged write may be gone but those that replication which does not wait
//! may lose. A program that records traces is held to the model by them.

pub mod fleet;
mod judge;
mod line;
pub mod mover;
pub mod network;
mod report;
pub mod schedule;
mod shrink;
pub mod watch;
pub mod writers;

pub use report::{Failure, Report, Share};
pub use shrink::shrink;

use crate::{cluster::Program, progress::Progress};
use fleet::Fleet;
use judge::Judge;
use schedule::{Event, Fault, Scenario};
use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};
use watch::History;
use writers::Ledger;

const WRITERS: usize = 3;
/// When faults are over, a cluster has so many node timeouts for coming to one mind, and so long besides.
const QUIET_TIMEOUTS: u32 = 20;
const QUIET: Duration = Duration::from_secs(20);

/// Plays a scenario with nodes in `folder`, which run the programs in turn. An error means that the run itself could not be made.
pub fn play(scenario: &Scenario, programs: &[Program], folder: &Path) -> Result<Report, String> {
    let mut fleet = Fleet::form(scenario, programs, folder)?;
    let is_over = AtomicBool::new(false);
    let contacts = fleet.contacts().to_vec();
    let (ledger, histories) = (Ledger::default(), contacts.iter().map(|_| History::default()).collect::<Vec<_>>());
    let mut judge = Judge::new(programs, &ledger, &histories);
    let outcome = thread::scope(|scope| {
        for (contact, history) in contacts.iter().zip(&histories) {
            scope.spawn(|| watch::watch(contact, history, &is_over));
        }
        for writer in 0..WRITERS {
            let (contacts, ledger, is_over) = (&contacts, &ledger, &is_over);
            scope.spawn(move || writers::write(contacts, writer, scenario.seed, ledger, is_over));
        }
        let outcome = endure(&mut fleet, scenario, &mut judge);
        is_over.store(true, Ordering::Relaxed);
        outcome
    });
    outcome?;
    judge.conclude(&fleet);
    judge.traces(&fleet.shut_down());
    Ok(judge.report)
}

/// Has every event happen at its time. The clock of the scenario stands still while the cluster rests.
fn endure(fleet: &mut Fleet, scenario: &Scenario, judge: &mut Judge<'_>) -> Result<(), String> {
    fleet.begin();
    let turns = turns(&scenario.events);
    let progress = Progress::of(turns.len(), "beginnings and ends of faults");
    let mut begun = Instant::now();
    for (at_ms, begins, event) in turns {
        progress.advance();
        thread::sleep(Duration::from_millis(at_ms).saturating_sub(begun.elapsed()));
        if event.fault != Fault::Rest {
            fleet.perform(&event.fault, begins)?;
            continue;
        }
        let rested = Instant::now();
        if !rest(fleet, scenario, judge)? {
            return Ok(());
        }
        fleet.begin();
        begun += rested.elapsed();
    }
    thread::sleep(Duration::from_millis(scenario.duration_ms).saturating_sub(begun.elapsed()));
    rest(fleet, scenario, judge).map(|_| ())
}

/// Ends all faults, has the cluster come to one mind, and looks for what was written; false if it does not.
fn rest(fleet: &mut Fleet, scenario: &Scenario, judge: &mut Judge<'_>) -> Result<bool, String> {
    judge.count(fleet.calm()?);
    let patience = QUIET + Duration::from_millis(scenario.node_timeout_ms) * QUIET_TIMEOUTS;
    let begun = Instant::now();
    let orphans = fleet.mend(patience).map_err(|why| format!("open slots are not closed: {why}"))?;
    judge.orphans(fleet, orphans);
    judge.convergence(fleet.converge(patience), begun.elapsed());
    judge.writes(fleet);
    judge.report.rests += 1;
    Ok(judge.report.failures.is_empty())
}

/// Beginnings and ends of events in the order of their times.
fn turns(events: &[Event]) -> Vec<(u64, bool, &Event)> {
    let begin = events.iter().map(|event| (event.at_ms, true, event));
    let end = events.iter().filter(|event| !event.fault.is_instant());
    let mut turns: Vec<_> = begin.chain(end.map(|event| (event.at_ms + event.for_ms, false, event))).collect();
    turns.sort_by_key(|(at_ms, _, _)| *at_ms);
    turns
}
