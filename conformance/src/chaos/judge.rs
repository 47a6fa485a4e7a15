//! What a run comes to: holds what nodes said, what writers were promised and what traces show to what must be.
//! Owns the report; asks nodes for nothing but keys.

use super::{
    Failure, Report, Share,
    fleet::{Convergence, Fleet},
    mover::Move,
    network::Counts,
    watch::{self, History, Sighting},
    writers::{self, Ledger, Write, Written},
};
use crate::{cluster::Program, verify};
use slotbus_core::Rule;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::{Duration, Instant},
};

/// Judges one run.
#[derive(Debug)]
pub(super) struct Judge<'a> {
    pub(super) report: Report,
    ledger: &'a Ledger,
    histories: &'a [History],
    /// What was there when the cluster rested, and since when it is known to be.
    found: Vec<Write>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(programs: &[Program], ledger: &'a Ledger, histories: &'a [History]) -> Self {
        let share = |program: &Program| Share { program: program.name().to_owned(), ..Share::default() };
        let report = Report { shares: programs.iter().map(share).collect(), ..Report::default() };
        Self { report, ledger, histories, found: Vec::new() }
    }

    pub(super) fn count(&mut self, counts: Counts) {
        self.report.packets_sent += counts.sent;
        self.report.packets_lost += counts.lost;
    }

    /// Takes how the nodes came to one mind, so long after the faults, or did not.
    pub(super) fn convergence(&mut self, convergence: Convergence, after: Duration) {
        if !convergence.is_one_mind {
            self.report.failures.extend(convergence.last.into_iter().map(Failure::Apart));
        } else if after.as_secs_f64() >= self.report.converged_s {
            self.report.converged_s = after.as_secs_f64();
            self.report.last_difference = convergence.last.into_iter().next();
        }
    }

    /// Takes how many slots nobody claimed. Where slots were moved, they may have been lost between two commands.
    pub(super) fn orphans(&mut self, fleet: &Fleet, count: usize) {
        self.report.orphaned += count;
        if count > 0 && fleet.moves().is_empty() {
            self.report.failures.push(Failure::Apart(format!("nobody claims {count} slots, and none was moved")));
        }
    }

    /// Looks for what was acknowledged since the cluster last rested.
    pub(super) fn writes(&mut self, fleet: &Fleet) {
        let Written { writes, refused } = self.ledger.take();
        self.report.refused += refused;
        self.report.acknowledged += writes.len();
        for write in &writes {
            let share = write.by % self.report.shares.len();
            self.report.shares[share].acknowledged += 1;
        }
        if writes.is_empty() {
            self.report.failures.push(Failure::WriteLost("no write was acknowledged at all".to_owned()));
        }
        let lost: Vec<Write> = match writers::lost(fleet.contacts(), &writes) {
            Ok(lost) => lost.into_iter().cloned().collect(),
            Err(why) => return self.report.failures.push(Failure::WriteLost(why)),
        };
        let keys: BTreeSet<&str> = lost.iter().map(|write| write.key.as_str()).collect();
        let now = Instant::now();
        // From now on the keys are as old as this: what happened to their writers before is no excuse for later.
        let found = writes.iter().filter(|write| !keys.contains(write.key.as_str()));
        self.found.extend(found.map(|write| Write { at: now, ..write.clone() }));
        self.losses(&lost, &fleet.moves(), Age::New);
    }

    /// Looks for all that was there at some rest, and holds all that was said to what must be.
    pub(super) fn conclude(&mut self, fleet: &Fleet) {
        let found = std::mem::take(&mut self.found);
        match writers::lost(fleet.contacts(), &found) {
            Ok(lost) => {
                let lost: Vec<Write> = lost.into_iter().cloned().collect();
                self.losses(&lost, &fleet.moves(), Age::Old);
            }
            Err(why) => self.report.failures.push(Failure::WriteLost(why)),
        }
        let moves = fleet.moves();
        let done = moves.iter().filter(|moved| moved.is_done).count();
        self.report.moved = [done, moves.len() - done];
        self.sightings(fleet);
    }

    /// Excuses losses, or does not.
    fn losses(&mut self, lost: &[Write], moves: &[Move], age: Age) {
        let histories: Vec<_> = self.histories.iter().map(History::lock).collect();
        let histories: Vec<&[Sighting]> = histories.iter().map(|history| history.as_slice()).collect();
        let mut unexcused = BTreeMap::<usize, Vec<&Write>>::new();
        for write in lost {
            let share = write.by % self.report.shares.len();
            self.report.shares[share].lost += 1;
            let is_meant =
                |moved: &&Move| moved.slot == write.slot && moved.ended.is_none_or(|ended| ended >= write.at);
            let moves: Vec<Move> = moves.iter().filter(is_meant).cloned().collect();
            // What has outlived a rest has reached the replicas: only a move can take it away again.
            let may_be_gone = age == Age::New || !moves.is_empty();
            match watch::excuse(write, &histories, &moves).filter(|_| may_be_gone) {
                Some(age) => {
                    self.report.lost_excused += 1;
                    self.report.lost_oldest_s = self.report.lost_oldest_s.max(age.as_secs_f64());
                }
                None => unexcused.entry(write.by).or_default().push(write),
            }
        }
        for (node, writes) in unexcused {
            let (key, slot, count) = (&writes[0].key, writes[0].slot, writes.len());
            let text =
                format!("{key} (slot {slot}), {count} in all, acknowledged by node {node}, and nothing excuses that");
            self.report.failures.push(Failure::WriteLost(text));
        }
    }

    fn sightings(&mut self, fleet: &Fleet) {
        let histories: Vec<_> = self.histories.iter().map(History::lock).collect();
        let histories: Vec<&[Sighting]> = histories.iter().map(|history| history.as_slice()).collect();
        let breaches = watch::breaches(&histories, fleet.moves().is_empty()).into_iter().chain(fleet.breaches());
        self.report.failures.extend(breaches.map(Failure::Breach));
        let claims = |history: &&[Sighting]| {
            let made = history.iter().filter(|sighting| sighting.is_primary && !sighting.slots.is_empty());
            made.map(|sighting| sighting.epoch).collect::<BTreeSet<_>>().len().saturating_sub(1)
        };
        self.report.claims_made = histories.iter().map(claims).sum();
    }

    /// Holds each trace to the model.
    pub(super) fn traces(&mut self, traces: &[PathBuf]) {
        let report = &mut self.report;
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
}

/// Since when a write is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Age {
    /// Since the cluster last rested.
    New,
    /// For longer.
    Old,
}
