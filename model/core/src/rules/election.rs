//! How a replica takes over from a failed primary: the voter's side, and the candidate's.

use crate::{
    effect::Effect,
    ids::{LinkId, NodeId},
    message::{Body, Flags, Header, Message, MessageFlags},
    mutant::Mutant,
    node::Election,
    peer::{Peer, Pos},
    random::Site,
    rule::Rule,
    step::{Save, Turn},
};
use alloc::vec::Vec;

impl<const SLOTS: usize> Turn<'_, SLOTS> {
    /// A replica asks for this node's vote.
    pub(super) fn asked_for_vote(&mut self, candidate: Pos, header: &Header<SLOTS>) {
        match self.refusal_to_vote(candidate, header) {
            Some(reason) => self.rule(reason),
            None => self.vote(candidate),
        }
    }

    /// Why this node may not vote, in the order in which the reasons are looked for.
    fn refusal_to_vote(&mut self, candidate: Pos, header: &Header<SLOTS>) -> Option<Rule> {
        let node = &*self.node;
        if !node.myself().is_voter() && self.unless(Mutant::VoteByEmpty) {
            return Some(Rule::ElectNotVoter);
        }
        if header.current_epoch < node.current_epoch && self.unless(Mutant::VoteInOldEpoch) {
            return Some(Rule::ElectRefusedEpoch);
        }
        if node.last_vote_epoch == node.current_epoch && self.unless(Mutant::VoteTwice) {
            return Some(Rule::ElectRefusedVoted);
        }
        let is_manual = header.mflags.contains(MessageFlags::FORCEACK) || self.is_mutant(Mutant::VoteWhileUp);
        let primary = node.peers[candidate].primary.filter(|_| !node.peers[candidate].is_primary());
        let primary = primary.and_then(|id| node.peers.find(&id));
        let Some(primary) = primary.filter(|&pos| node.peers[pos].is(Flags::FAIL) || is_manual) else {
            return Some(Rule::ElectRefusedRole);
        };
        if self.voted_lately(primary, is_manual) {
            return Some(Rule::ElectRefusedSoon);
        }
        let newer = self.newer_owner(candidate, header).filter(|_| self.unless(Mutant::VoteForStaleClaim))?;
        if self.node.config.profile.refusal_tells_claim {
            self.send_update(candidate, newer);
        }
        Some(Rule::ElectRefusedClaim)
    }

    fn voted_lately(&self, primary: Pos, is_manual: bool) -> bool {
        let profile = &self.node.config.profile;
        if profile.votes_unspaced || (is_manual && profile.manual_votes_unspaced) {
            return false;
        }
        let spacing_ms = self.node.config.timing.report_valid_ms();
        self.node.peers[primary].voted_at.is_some_and(|at| self.now.since(at) < spacing_ms)
    }

    /// The first owner of a claimed slot that claims it itself, under a greater epoch.
    fn newer_owner(&self, candidate: Pos, header: &Header<SLOTS>) -> Option<Pos> {
        let claimed = header.slots.iter().filter(|&slot| !self.node.is_up_for_claim(slot));
        let mut owners = claimed.filter_map(|slot| self.node.owners.get(slot)).filter(|&pos| pos != candidate);
        owners.find(|&pos| self.node.peers[pos].config_epoch > header.config_epoch)
    }

    fn vote(&mut self, candidate: Pos) {
        self.rule(Rule::ElectVoted);
        self.node.last_vote_epoch = self.node.current_epoch;
        let primary = self.node.peers[candidate].primary.and_then(|id| self.node.peers.find(&id));
        if let Some(primary) = primary {
            self.node.peers[primary].voted_at = Some(self.now);
        }
        if self.unless(Mutant::VoteUnsaved) {
            self.save(Save::Sync);
        }
        if let Some(number) = self.node.peers[candidate].outbound {
            let message = Message { header: self.header(), body: Body::FailoverAuthAck };
            self.send(LinkId::Outbound(number), message);
        }
    }

    /// An answer to this node's request for votes.
    pub(super) fn answered_with_vote(&mut self, voter: Pos, header: &Header<SLOTS>) {
        let id = self.node.peers[voter].id;
        let election = &self.node.election;
        let place = election.voters.binary_search(&id);
        let counts_once = self.node.config.profile.votes_counted_once;
        let is_due = if counts_once {
            let is_first = place.is_err() || self.is_mutant(Mutant::VoteCountedTwice);
            election.asked && header.current_epoch == election.epoch && is_first
        } else {
            header.current_epoch >= election.epoch
        };
        let is_voter = self.node.peers[voter].is_voter() || self.is_mutant(Mutant::VoteOfAnybody);
        if !is_voter || !is_due {
            self.rule(Rule::ElectUncounted);
            return;
        }
        self.rule(Rule::ElectCounted);
        self.node.election.votes += 1;
        if let Err(index) = place {
            self.node.election.voters.insert(index, id);
        }
        self.failover_later();
    }

    /// A primary claims under this epoch: an election at or below it cannot be won any more.
    pub(super) fn overtake_election(&mut self, config_epoch: u64) {
        let election = &self.node.election;
        if self.node.config.profile.election_follows_epoch && election.asked && config_epoch >= election.epoch {
            self.rule(Rule::ElectOvertaken);
            self.node.election = Election::default();
            self.failover_later();
        }
    }

    /// Takes a replica's election one stage further, if it has reason to hold one.
    pub(crate) fn failover_step(&mut self) {
        let Some(primary) = self.node.my_primary() else { return };
        let is_manual = self.node.manual.is_some_and(|manual| manual.can_start);
        let failed = &self.node.peers[primary];
        let has_failed = failed.is(Flags::FAIL) || self.is_mutant(Mutant::StandWithoutFailure);
        let may = has_failed && !self.node.config.replica_no_failover;
        let has_use = !failed.slots.is_empty() || self.node.config.profile.election_without_slots;
        if !(may || is_manual) || !has_use {
            return self.call_off_election();
        }
        if !is_manual && self.is_data_old() {
            self.rule(Rule::ElectDataOld);
            return;
        }
        let Some(at) = self.node.election.at.filter(|&at| !self.may_retry(at)) else {
            return self.schedule_election(primary);
        };
        if !self.node.election.asked && self.node.manual.is_none() {
            self.follow_rank(primary);
        }
        let at = self.node.election.at.unwrap_or(at);
        if self.now < at {
            return;
        }
        if self.now.since(at) > self.node.config.timing.election_timeout_ms() {
            self.rule_once(Rule::ElectExpired);
        } else if !self.node.election.asked {
            self.ask_for_votes();
        } else if self.node.election.votes >= self.votes_needed() {
            self.win();
        }
    }

    /// The time that was set for one failure says nothing about the next: the rank may be another.
    fn call_off_election(&mut self) {
        let election = &self.node.election;
        let is_on = self.node.config.profile.election_called_off;
        if is_on && election.at.is_some() && !election.asked {
            self.node.election = Election { epoch: election.epoch, ..Election::default() };
            self.rule(Rule::ElectCalledOff);
        }
    }

    fn votes_needed(&self) -> usize {
        match self.quorum() {
            _ if self.is_mutant(Mutant::WinUnasked) => 0,
            quorum if self.is_mutant(Mutant::WinByHalf) => quorum - 1,
            quorum => quorum,
        }
    }

    fn may_retry(&self, at: crate::Millis) -> bool {
        self.now.since(at) > self.node.config.timing.election_retry_ms()
    }

    /// Data age counts in whole seconds, and a node timeout of it is forgiven: the primary was silent
    /// for that long before it was failed.
    fn is_data_old(&self) -> bool {
        let config = &self.node.config;
        if config.replica_validity_factor == 0 || self.is_mutant(Mutant::StandWithOldData) {
            return false;
        }
        let Some(fresh_at) = self.node.replication.fresh_at.map(|at| self.unless_forgotten(at)) else { return true };
        let age_ms = self.now.since(fresh_at) / 1000 * 1000;
        let timeout_ms = config.timing.node_timeout_ms;
        let age_ms = if age_ms > timeout_ms { age_ms - timeout_ms } else { age_ms };
        age_ms > config.timing.data_age_max_ms(config.replica_validity_factor)
    }

    /// When the data was fresh, unless a deliberate fault has forgotten it.
    fn unless_forgotten(&self, fresh_at: crate::Millis) -> crate::Millis {
        if self.is_mutant(Mutant::DataAgeFromZero) { crate::Millis::default() } else { fresh_at }
    }

    fn schedule_election(&mut self, primary: Pos) {
        self.rule(Rule::ElectScheduled);
        let is_manual = self.node.manual.is_some();
        let rank = if is_manual { 0 } else { self.rank(primary) };
        let at = if is_manual { self.now } else { self.now.after(self.election_delay_ms(rank)) };
        self.node.election = Election { at: Some(at), rank, epoch: self.node.election.epoch, ..Election::default() };
        if is_manual {
            self.failover_later();
        }
        let (me, own_id) = (self.node.me, self.node.id());
        let siblings = self.node.replicas(self.node.peers[primary].id).chain(self.node.replicas(own_id));
        for pos in siblings.filter(|&pos| pos != me).collect::<Vec<_>>() {
            self.send_pong_to(pos);
        }
    }

    fn election_delay_ms(&mut self, rank: u64) -> u64 {
        let jitter_ms = self.draw(Site::ElectionDelay, self.node.config.election_jitter_ms());
        let config = &self.node.config;
        config.election_delay_ms() + jitter_ms + rank.saturating_mul(config.rank_delay_ms())
    }

    /// How many replicas of the same primary are ahead of this one.
    fn rank(&self, primary: Pos) -> u64 {
        let (own_id, own_offset) = (self.node.id(), self.node.replication.offset);
        let breaks_ties = self.node.config.profile.rank_ties_by_id;
        let is_ahead = |peer: &Peer<SLOTS>| {
            peer.offset > own_offset || (breaks_ties && peer.offset == own_offset && peer.id < own_id)
        };
        let siblings = self.node.replicas(self.node.peers[primary].id).filter(|&pos| pos != self.node.me);
        let ahead = siblings.map(|pos| &self.node.peers[pos]);
        ahead.filter(|peer| !peer.is(Flags::NOFAILOVER) && is_ahead(peer)).count() as u64
    }

    fn follow_rank(&mut self, primary: Pos) {
        let rank = self.rank(primary);
        let fallen = rank.saturating_sub(self.node.election.rank);
        if fallen > 0 {
            self.rule(Rule::ElectOutranked);
            let delay_ms = fallen.saturating_mul(self.node.config.rank_delay_ms());
            self.node.election.at = self.node.election.at.map(|at| at.after(delay_ms));
            self.node.election.is_awake = false;
            self.node.election.rank = rank;
        }
    }

    fn ask_for_votes(&mut self) {
        self.rule(Rule::ElectAsked);
        if self.unless(Mutant::AskInOldEpoch) {
            self.node.current_epoch = self.node.current_epoch.saturating_add(1);
        }
        self.node.election.epoch = self.node.current_epoch;
        self.node.election.asked = true;
        if self.unless(Mutant::AskUnsaved) {
            self.save(Save::Sync);
        }
        self.broadcast(&Body::FailoverAuthRequest);
    }

    fn win(&mut self) {
        self.rule(Rule::ElectWon);
        let epoch = self.node.election.epoch;
        let me = self.node.me;
        let own_epoch = &mut self.node.peers[me].config_epoch;
        if !self.node.config.is_mutant(Mutant::WinKeepsEpoch) {
            *own_epoch = (*own_epoch).max(epoch);
        }
        self.take_over();
        if self.node.config.profile.election_ends_with_win {
            self.node.election = Election { epoch, ..Election::default() };
        }
    }

    /// Makes this replica the primary in place of its own.
    pub(super) fn take_over(&mut self) {
        let Some(primary) = self.node.my_primary() else { return };
        self.lead();
        let me = self.node.me;
        for slot in self.node.peers[primary].slots.clone().iter() {
            self.node.unbind(slot);
            self.node.bind(slot, me);
        }
        self.evaluate_state();
        self.save(Save::Sync);
        self.broadcast_pong();
        self.end_manual_failover();
    }

    /// Makes a primary of this node. What it owns is the caller's business.
    pub(super) fn lead(&mut self) {
        let me = self.node.me;
        self.attach(me, None);
        let flags = &mut self.node.peers[me].flags;
        flags.remove(Flags::REPLICA);
        flags.insert(Flags::PRIMARY);
        self.node.followed = None;
        self.perform(Effect::Lead);
    }

    /// Makes this node, which owns no slot, a replica of another.
    pub(super) fn follow(&mut self, primary: Pos) {
        self.rule(Rule::RoleFollow);
        let me = self.node.me;
        if self.node.peers[me].is_primary() {
            if self.unless(Mutant::FollowKeepsMoves) {
                self.node.migrating.clear();
                self.node.importing.clear();
            }
            let flags = &mut self.node.peers[me].flags;
            flags.remove(Flags::PRIMARY | Flags::MIGRATE_TO);
            flags.insert(Flags::REPLICA);
        }
        let id = self.node.peers[primary].id;
        self.attach(me, Some(id));
        self.node.peers[me].shard = Some(self.node.shard(primary));
        self.ask_to_follow(primary);
        self.end_manual_failover();
        if self.node.config.profile.change_is_broadcast {
            self.broadcast_pong();
        }
    }

    /// Has the driver replicate a primary, at its present address.
    pub(super) fn ask_to_follow(&mut self, primary: Pos) {
        let peer = &self.node.peers[primary];
        let (id, address): (NodeId, _) = (peer.id, peer.address.clone());
        let is_reachable = !address.host.is_unknown() && address.port != 0;
        self.node.followed = is_reachable.then_some(id);
        let shard = self.node.shard(primary);
        self.perform(Effect::Follow { primary: id, address, shard });
    }
}
