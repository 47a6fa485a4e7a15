//! How nodes are suspected, reported, failed and trusted again.

use crate::{
    ids::NodeId,
    message::{Body, Flags},
    mutant::Mutant,
    peer::{Pos, Report},
    rule::Rule,
    step::{Save, Turn},
};

impl<const SLOTS: usize> Turn<'_, SLOTS> {
    /// Suspects a member that was silent too long.
    pub(super) fn suspect(&mut self, pos: Pos) {
        if self.node.peers[pos].is_any(Flags::PFAIL | Flags::FAIL) || self.is_mutant(Mutant::SuspectNobody) {
            return;
        }
        self.rule(Rule::HealthSuspected);
        self.node.peers[pos].flags.insert(Flags::PFAIL);
        self.evaluate_later();
        let is_lone_voter = self.voters() == 1 && self.node.myself().is_voter();
        if self.node.config.profile.lone_voter_marks_fail && is_lone_voter {
            self.fail_by_quorum(pos);
        }
    }

    /// Tells the other voters whom this one has come to suspect since suspects were last counted: together
    /// they may be the majority that fails a node.
    pub(super) fn tell_new_suspicions(&mut self) {
        if !self.node.config.profile.suspicion_is_told || !self.node.myself().is_voter() {
            return;
        }
        let suspected = self.node.peers.iter().filter(|peer| peer.is(Flags::PFAIL)).count();
        if suspected <= self.node.suspected || self.is_mutant(Mutant::SuspectsUntold) {
            return;
        }
        self.rule(Rule::HealthSuspicionTold);
        self.node.suspected = suspected;
        for pos in self.node.peers.positions() {
            let peer = &self.node.peers[pos];
            if peer.is_voter() && !peer.is_any(Flags::MYSELF | Flags::PFAIL | Flags::FAIL) {
                self.send_pong_to(pos);
            }
        }
    }

    /// A PONG came from a node: whatever was held against it ends, at once or in time.
    pub(super) fn trust(&mut self, pos: Pos) {
        let peer = &self.node.peers[pos];
        if peer.is(Flags::PFAIL) {
            self.rule(Rule::HealthTrusted);
            self.node.peers[pos].flags.remove(Flags::PFAIL);
            self.save(Save::Soon);
            self.evaluate_later();
        } else if peer.is(Flags::FAIL) && self.unless(Mutant::FailForEver) {
            self.clear_failure(pos);
        }
    }

    fn clear_failure(&mut self, pos: Pos) {
        let peer = &self.node.peers[pos];
        let failed_ms = self.now.since(peer.failed_at.unwrap_or_default());
        let rule = if !peer.is_voter() {
            Rule::HealthCleared
        } else if failed_ms > self.node.config.timing.report_valid_ms() {
            Rule::HealthClearedLate
        } else {
            return;
        };
        self.rule(rule);
        let peer = &mut self.node.peers[pos];
        peer.flags.remove(Flags::FAIL);
        peer.failed_at = None;
        self.save(Save::Soon);
        self.evaluate_later();
    }

    /// Adds or refreshes a report about a node.
    pub(super) fn report(&mut self, pos: Pos, reporter: Pos) {
        let is_voter = self.node.peers[reporter].is_voter() || self.is_mutant(Mutant::ReportByAnybody);
        if self.node.config.profile.reports_from_voters && !is_voter {
            return;
        }
        self.rule(Rule::HealthReported);
        let by = self.node.peers[reporter].id;
        let at = self.now;
        let reports = &mut self.node.peers[pos].reports;
        match reports.binary_search_by_key(&by, |report| report.by) {
            Ok(index) if self.node.config.is_mutant(Mutant::ReportCountedTwice) => {
                reports.insert(index, Report { by, at })
            }
            Ok(index) => reports[index].at = at,
            Err(index) => reports.insert(index, Report { by, at }),
        }
    }

    /// Takes a report back.
    pub(super) fn withdraw_report(&mut self, pos: Pos, reporter: Pos) {
        if self.is_mutant(Mutant::ReportNeverWithdrawn) {
            return;
        }
        let by = self.node.peers[reporter].id;
        let reports = &mut self.node.peers[pos].reports;
        if let Ok(index) = reports.binary_search_by_key(&by, |report| report.by) {
            reports.remove(index);
            self.rule(Rule::HealthReportWithdrawn);
        }
    }

    /// How many reports about a node count; drops those that are too old.
    pub(super) fn count_reports(&mut self, pos: Pos) -> usize {
        let never = self.is_mutant(Mutant::ReportNeverExpires);
        let valid_ms = if never { u64::MAX } else { self.node.config.timing.report_valid_ms() };
        let now = self.now;
        let reports = &mut self.node.peers[pos].reports;
        let before = reports.len();
        reports.retain(|report| now.since(report.at) <= valid_ms);
        let after = reports.len();
        if after < before {
            self.rule(Rule::HealthReportExpired);
        }
        if !self.node.config.profile.reports_from_voters {
            return after;
        }
        // A reporter that has lost its slots since is no voter any more.
        let reporters = self.node.peers[pos].reports.iter().filter_map(|report| self.node.peers.get(&report.by));
        let by_anybody = self.is_mutant(Mutant::ReportByAnybody);
        reporters.filter(|reporter| reporter.is_voter() || by_anybody).count()
    }

    /// Fails a suspected node if enough primaries report it, this one included.
    pub(super) fn fail_by_quorum(&mut self, pos: Pos) {
        let peer = &self.node.peers[pos];
        if !peer.is(Flags::PFAIL) || peer.is(Flags::FAIL) {
            return;
        }
        let own = self.node.myself();
        let counts = if self.node.config.profile.reports_from_voters { own.is_voter() } else { own.is_primary() };
        let voters = self.voters();
        let extra = usize::from(
            self.is_mutant(Mutant::FailWithoutQuorum) || self.is_mutant(Mutant::FailByHalf) && voters.is_multiple_of(2),
        );
        let reporters = self.count_reports(pos) + usize::from(counts) + extra;
        if reporters <= voters / 2 {
            return;
        }
        self.rule(Rule::HealthFailed);
        self.fail(pos);
        let id = self.node.peers[pos].id;
        if self.unless(Mutant::FailUntold) {
            self.broadcast(&Body::Fail(id));
        }
    }

    /// A FAIL message came.
    pub(super) fn told_of_failure(&mut self, member: Option<Pos>, id: &NodeId) {
        let is_other = |pos: &Pos| *pos != self.node.me || self.is_mutant(Mutant::FailOfOneself);
        let subject = self.node.peers.find(id).filter(is_other);
        let is_believed = member.is_some() || self.is_mutant(Mutant::FailFromStranger);
        match subject {
            Some(pos) if is_believed && !self.node.peers[pos].is(Flags::FAIL) => {
                self.rule(Rule::HealthFailTold);
                self.fail(pos);
            }
            Some(_) | None => self.rule(Rule::HealthFailIgnored),
        }
    }

    pub(super) fn fail(&mut self, pos: Pos) {
        let peer = &mut self.node.peers[pos];
        peer.flags.remove(Flags::PFAIL);
        peer.flags.insert(Flags::FAIL);
        peer.failed_at = Some(self.now);
        self.save(Save::Soon);
        self.evaluate_later();
    }

    /// How many voters there are, of whom a majority must report a node. redis-server takes the number
    /// of its last look at the cluster's state; with `voters_counted_anew`, those that the table holds now count.
    fn voters(&self) -> usize {
        let counts_anew = self.node.config.profile.voters_counted_anew;
        if counts_anew { self.node.peers.iter().filter(|peer| peer.is_voter()).count() } else { self.node.size }
    }

    /// A majority of the voting primaries, as many as there were when the state was last evaluated.
    pub(super) fn quorum(&self) -> usize {
        self.node.size / 2 + 1
    }
}
