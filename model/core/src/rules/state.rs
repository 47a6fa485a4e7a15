//! Whether the cluster serves requests, in this node's view.

use crate::{
    message::{ClusterState, Flags},
    mutant::Mutant,
    rule::Rule,
    step::Turn,
};

impl<const SLOTS: usize> Turn<'_, SLOTS> {
    /// Evaluates the cluster state; runs at the end of a step that made it due.
    pub(crate) fn evaluate_state(&mut self) {
        let first = *self.node.first_evaluated.get_or_insert(self.now);
        let is_primary = self.node.myself().is_primary();
        let held_by_start = self.now.since(first) < self.node.config.timing.writable_delay_ms;
        let held_by_start = held_by_start && self.unless(Mutant::WritableAtOnce);
        if is_primary && self.node.state == ClusterState::Fail && held_by_start {
            self.rule(Rule::StateWritableDelay);
            return;
        }
        let reachable_voters = self.count_voters();
        let mut state = ClusterState::Ok;
        if self.node.config.require_full_coverage && !self.is_covered() {
            self.rule(Rule::StateUncovered);
            if self.unless(Mutant::OkUncovered) {
                state = ClusterState::Fail;
            }
        }
        let spared = usize::from(self.is_mutant(Mutant::OkByHalf) && self.node.size.is_multiple_of(2));
        if reachable_voters + spared < self.quorum() {
            self.rule(Rule::StateMinority);
            if self.node.myself().is_voter() || !self.node.config.profile.empty_joins_at_once {
                self.node.minority_at = Some(self.now);
            }
            if self.unless(Mutant::OkInMinority) {
                state = ClusterState::Fail;
            }
        }
        if state == self.node.state {
            return;
        }
        if state == ClusterState::Ok {
            if is_primary && self.is_rejoining() && self.unless(Mutant::RejoinsAtOnce) {
                self.rule(Rule::StateRejoinDelay);
                return;
            }
            self.rule(Rule::StateOk);
        }
        self.node.state = state;
    }

    fn is_covered(&self) -> bool {
        self.node.owners.free() == 0
            && !self.node.peers.iter().any(|peer| peer.is(Flags::FAIL) && !peer.slots.is_empty())
    }

    /// Counts the voters, and says how many of them are not suspected.
    fn count_voters(&mut self) -> usize {
        let (mut voters, mut reachable) = (0, 0);
        for peer in self.node.peers.iter().filter(|peer| peer.is_voter()) {
            voters += 1;
            reachable += usize::from(!peer.is_any(Flags::PFAIL | Flags::FAIL));
        }
        self.node.size = voters;
        reachable
    }

    fn is_rejoining(&self) -> bool {
        let rejoin_ms = self.node.config.timing.rejoin_ms();
        self.node.minority_at.is_some_and(|at| self.now.since(at) < rejoin_ms)
    }
}
