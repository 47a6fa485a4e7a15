//! The periodic work, in the protocol's order: links and handshakes, one random ping, then each
//! member's link, ping and suspicion, and the cluster state. Knows no period: the node's timing has it.

use crate::{
    message::{ClusterState, Flags},
    mutant::Mutant,
    peer::Pos,
    random::Site,
    rule::Rule,
    step::{Save, Turn},
    time::Millis,
};
use smallvec::SmallVec;

/// The random ping goes to the best of so many nodes.
const PING_CANDIDATES: usize = 5;

impl<const SLOTS: usize> Turn<'_, SLOTS> {
    pub(crate) fn cron(&mut self) {
        self.tend_links();
        self.introduce_newcomers();
        self.ping_at_random();
        for pos in self.node.peers.positions() {
            if !self.node.peers[pos].is_any(Flags::MYSELF | Flags::NOADDR | Flags::HANDSHAKE) {
                self.tend_member(pos);
            }
        }
        self.tell_new_suspicions();
        self.leave_chain();
        self.follow_known_primary();
        self.check_manual_failover_timeout();
        self.failover_later();
        self.migration_step();
        if self.node.state == ClusterState::Fail {
            self.evaluate_later();
        }
    }

    /// A replica whose primary became a replica, which it may have learned from a third node, follows
    /// that one's primary.
    fn leave_chain(&mut self) {
        let leaves = self.node.config.profile.demotion_hands_over && self.unless(Mutant::ChainKept);
        let primary = self.node.my_primary().filter(|_| leaves);
        let grand_primary = primary.and_then(|pos| self.node.peers[pos].primary);
        let grand_primary = grand_primary.and_then(|id| self.node.peers.find(&id)).filter(|&pos| pos != self.node.me);
        if let Some(pos) = grand_primary.filter(|&pos| Some(pos) != primary && self.node.peers[pos].is_primary()) {
            self.rule(Rule::SlotSubReplica);
            self.follow(pos);
            self.save(Save::Sync);
            self.evaluate_later();
        }
    }

    /// A replica whose primary's address was not known before replicates it once it is.
    fn follow_known_primary(&mut self) {
        let Some(primary) = self.node.my_primary() else { return };
        let peer = &self.node.peers[primary];
        let is_known = !peer.address.host.is_unknown() && !peer.is(Flags::NOADDR);
        if is_known && self.node.followed != Some(peer.id) {
            self.rule(Rule::RoleFollowRestored);
            self.ask_to_follow(primary);
        }
    }

    /// Drops handshakes that took too long, opens the links that lack, and counts suspects and newcomers.
    fn tend_links(&mut self) {
        let handshake_timeout_ms = self.node.config.timing.handshake_timeout_ms();
        let timeout_ms = self.node.config.timing.node_timeout_ms;
        let (mut suspected, mut newcomers) = (0, 0);
        let mut index = 0;
        while index < self.node.peers.len() {
            let pos = self.node.peers.at(index);
            let peer = &self.node.peers[pos];
            index += 1;
            if peer.is_any(Flags::MYSELF | Flags::NOADDR) {
                continue;
            }
            suspected += usize::from(peer.is(Flags::PFAIL));
            newcomers += usize::from(self.now.since(peer.created) < timeout_ms);
            let may_end = self.unless(Mutant::HandshakeForEver);
            if may_end && peer.is(Flags::HANDSHAKE) && self.now.since(peer.created) > handshake_timeout_ms {
                self.rule(Rule::HandshakeTimeout);
                self.remove_node(pos);
                index -= 1;
            } else if peer.outbound.is_none() {
                self.open_outbound(pos);
            }
        }
        self.node.suspected = suspected;
        self.node.newcomers = self.newcomers_to_tell(newcomers);
    }

    fn ping_at_random(&mut self) {
        if self.node.crons_until_ping > 0 {
            self.node.crons_until_ping -= 1;
            return;
        }
        self.node.crons_until_ping = self.node.config.crons_per_ping() - 1;
        if let Some(pos) = self.ping_candidate() {
            self.rule(Rule::PingChosen);
            self.send_ping(pos);
        }
    }

    /// Of a few distinct nodes chosen at random, the one that may be pinged and was heard longest ago.
    fn ping_candidate(&mut self) -> Option<Pos> {
        let mut chosen: SmallVec<[usize; PING_CANDIDATES]> = SmallVec::new();
        let known = self.node.peers.len();
        let candidates = PING_CANDIDATES.min(known);
        // Floyd's sampling: each subset of `candidates` places is as likely as any other.
        for last in known - candidates..known {
            let is_choice = known > candidates;
            let pick = if is_choice { self.draw(Site::PingCandidate, last as u64 + 1) } else { last as u64 };
            let pick = usize::try_from(pick).unwrap_or_default();
            chosen.push(if chosen.contains(&pick) { last } else { pick });
        }
        let places = chosen.into_iter().map(|index| self.node.peers.at(index));
        let fit = places.filter(|&pos| {
            let peer = &self.node.peers[pos];
            let is_linked = peer.outbound.is_some() && peer.ping_sent.is_none();
            is_linked && !peer.is_any(Flags::MYSELF | Flags::HANDSHAKE)
        });
        fit.min_by_key(|&pos| (self.counted(self.node.peers[pos].pong_received.unwrap_or_default()), pos))
    }

    /// Renews a member's stale link, pings it when that is overdue, and suspects it when it is silent.
    fn tend_member(&mut self, pos: Pos) {
        let node_timeout_ms = self.node.config.timing.node_timeout_ms;
        let now = self.now;
        let age_ms = |instant: Option<Millis>| now.since(instant.unwrap_or_default());
        let peer = &self.node.peers[pos];
        let outstanding_ms = peer.ping_sent.map(|sent| now.since(sent));
        let silent_ms = age_ms(peer.data_received);
        if let Some(ping_ms) = outstanding_ms {
            let half_ms = node_timeout_ms / 2;
            let is_old = self.link_age_ms(pos).is_some_and(|age_ms| age_ms > node_timeout_ms);
            if is_old && ping_ms > half_ms && silent_ms > half_ms && self.unless(Mutant::LinkKept) {
                self.rule(Rule::LinkRenewed);
                self.close_outbound(pos);
            }
            if ping_ms.min(silent_ms) > node_timeout_ms {
                self.suspect(pos);
            }
        } else if peer.outbound.is_some() && age_ms(peer.pong_received) > node_timeout_ms / 2 {
            self.rule(Rule::PingOverdue);
            self.send_ping(pos);
        } else if self.node.manual.is_some_and(|manual| manual.replica == Some(peer.id)) {
            self.rule(Rule::ManualPing);
            self.send_ping(pos);
        }
    }

    fn link_age_ms(&self, pos: Pos) -> Option<u64> {
        let number = self.node.peers[pos].outbound?;
        let link = self.node.links.get(crate::ids::LinkId::Outbound(number))?;
        Some(self.now.since(link.opened))
    }
}
