//! Real node processes of any implementation on a faulty network: what a seed draws happens to them while
//! clients write, and then they are left in peace. Owns the order of a run and what it comes to.
//!
//! While faults go on, what nodes say of themselves is watched; in the end all must tell the same, every
//! slot must be served, and no acknowledged write may be gone but those that replication which does not wait
//! may lose. A program that records traces is held to the model by them.

pub mod fleet;
mod line;
pub mod network;
mod report;
pub mod schedule;
mod shrink;
pub mod watch;
pub mod writers;

pub use report::{Failure, Report};
pub use shrink::shrink;

use crate::{cluster::Program, verify};
use fleet::{Convergence, Fleet};
use network::Counts;
use schedule::{Event, Scenario};
use slotbus_core::Rule;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread::{self, ScopedJoinHandle},
    time::{Duration, Instant},
};
use watch::Sighting;
use writers::{Write, Written};

const WRITERS: usize = 3;
/// When faults are over, a cluster has so many node timeouts for coming to one mind, and so long besides.
const QUIET_TIMEOUTS: u32 = 20;
const QUIET: Duration = Duration::from_secs(20);

/// Plays a scenario with nodes in `folder`, which run the programs in turn. An error means that the run itself could not be made.
pub fn play(scenario: &Scenario, programs: &[Program], folder: &Path) -> Result<Report, String> {
    let mut fleet = Fleet::form(scenario, programs, folder)?;
    let is_over = AtomicBool::new(false);
    let contacts = fleet.contacts().to_vec();
    let (outcome, written, histories) = thread::scope(|scope| {
        let (is_over, contacts) = (&is_over, &contacts);
        let watch = |contact| scope.spawn(move || watch::watch(contact, is_over));
        let watchers: Vec<_> = contacts.iter().map(watch).collect();
        let write = |writer| scope.spawn(move || writers::write(contacts, writer, scenario.seed, is_over));
        let writers: Vec<_> = (0..WRITERS).map(write).collect();
        let outcome = endure(&mut fleet, scenario);
        is_over.store(true, Ordering::Relaxed);
        (outcome, join(writers), join(watchers))
    });
    let ((counts, convergence), written, histories) = (outcome?, written?, histories?);
    let mut report = Report { packets_sent: counts.sent, packets_lost: counts.lost, ..Report::default() };
    judge_convergence(&mut report, convergence);
    judge_sightings(&mut report, &fleet, &histories);
    judge_writes(&mut report, &fleet, &written, &histories);
    judge_traces(&mut report, &fleet.shut_down());
    Ok(report)
}

fn join<T>(threads: Vec<ScopedJoinHandle<'_, T>>) -> Result<Vec<T>, String> {
    let ended = threads.into_iter().map(ScopedJoinHandle::join);
    ended.collect::<Result<_, _>>().map_err(|_| "a client of the cluster failed".to_owned())
}

/// Has every event happen at its time, and then waits until all is well.
fn endure(fleet: &mut Fleet, scenario: &Scenario) -> Result<(Counts, Convergence), String> {
    fleet.begin();
    let begun = Instant::now();
    for (at_ms, begins, event) in turns(&scenario.events) {
        thread::sleep(Duration::from_millis(at_ms).saturating_sub(begun.elapsed()));
        fleet.perform(&event.fault, begins)?;
    }
    thread::sleep(Duration::from_millis(scenario.duration_ms).saturating_sub(begun.elapsed()));
    let counts = fleet.calm()?;
    let timeout = Duration::from_millis(scenario.node_timeout_ms);
    Ok((counts, fleet.converge(QUIET + timeout * QUIET_TIMEOUTS)))
}

/// Beginnings and ends of events in the order of their times.
fn turns(events: &[Event]) -> Vec<(u64, bool, &Event)> {
    let begin = events.iter().map(|event| (event.at_ms, true, event));
    let end = events.iter().filter(|event| !event.fault.is_instant());
    let mut turns: Vec<_> = begin.chain(end.map(|event| (event.at_ms + event.for_ms, false, event))).collect();
    turns.sort_by_key(|(at_ms, _, _)| *at_ms);
    turns
}

fn judge_convergence(report: &mut Report, convergence: Convergence) {
    match convergence.took {
        Some(took) => {
            (report.converged_s, report.last_difference) = (took.as_secs_f64(), convergence.last.into_iter().next())
        }
        None => report.failures.extend(convergence.last.into_iter().map(Failure::Apart)),
    }
}

fn judge_sightings(report: &mut Report, fleet: &Fleet, histories: &[Vec<Sighting>]) {
    let breaches = watch::breaches(histories).into_iter().chain(fleet.breaches());
    report.failures.extend(breaches.map(Failure::Breach));
    let claims = |history: &Vec<Sighting>| {
        let made = history.iter().filter(|sighting| sighting.is_primary && !sighting.slots.is_empty());
        made.map(|sighting| sighting.epoch).collect::<BTreeSet<_>>().len().saturating_sub(1)
    };
    report.claims_made = histories.iter().map(claims).sum();
}

fn judge_writes(report: &mut Report, fleet: &Fleet, written: &[Written], histories: &[Vec<Sighting>]) {
    report.refused = written.iter().map(|written| written.refused).sum();
    let writes: Vec<Write> = written.iter().flat_map(|written| written.writes.iter().cloned()).collect();
    report.acknowledged = writes.len();
    if writes.is_empty() {
        report.failures.push(Failure::WriteLost("no write was acknowledged at all".to_owned()));
    }
    match writers::lost(fleet.contacts(), &writes) {
        Err(why) => report.failures.push(Failure::WriteLost(why)),
        Ok(lost) => judge_losses(report, &lost, histories),
    }
}

fn judge_losses(report: &mut Report, lost: &[&Write], histories: &[Vec<Sighting>]) {
    let mut unexcused = BTreeMap::<usize, Vec<&Write>>::new();
    for write in lost {
        match watch::excuse(write, &histories[write.by]) {
            Some(age) => {
                report.lost_excused += 1;
                report.lost_oldest_s = report.lost_oldest_s.max(age.as_secs_f64());
            }
            None => unexcused.entry(write.by).or_default().push(write),
        }
    }
    for (node, writes) in unexcused {
        let (key, slot, count) = (&writes[0].key, writes[0].slot, writes.len());
        let text =
            format!("{key} (slot {slot}), {count} in all, acknowledged by node {node}, which served it ever since");
        report.failures.push(Failure::WriteLost(text));
    }
}

fn judge_traces(report: &mut Report, traces: &[PathBuf]) {
    let mut rules = BTreeSet::<Rule>::new();
    for trace in traces {
        let name = trace.display();
        report.traces += 1;
        match verify::verify_file(trace, None) {
            Ok(verified) => {
                report.trace_steps += verified.steps;
                rules.extend(verified.rules);
                let differs = verified.difference.map(|difference| format!("{name}: {difference:?}"));
                report.failures.extend(differs.map(Failure::OffTheModel));
            }
            Err(error) => report.failures.push(Failure::OffTheModel(format!("{name}: {error}"))),
        }
    }
    report.rules = rules.len();
}
