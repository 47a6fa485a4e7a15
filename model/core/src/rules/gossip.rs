//! What a node makes of the gossip in a heartbeat: failure reports, pong times, addresses, new nodes.

use crate::{
    message::{Flags, GossipEntry, Heartbeat},
    mutant::Mutant,
    peer::{Peer, Pos},
    rule::Rule,
    step::Turn,
    time::Millis,
};

/// Flags that only a node itself, or the teller of an entry, can mean.
const PRIVATE: Flags = Flags::MYSELF.union(Flags::HANDSHAKE).union(Flags::MEET);
const FAILING: Flags = Flags::PFAIL.union(Flags::FAIL);

impl<const SLOTS: usize> Turn<'_, SLOTS> {
    /// Goes through a gossip section. The sender is unknown for a stranger's MEET.
    pub(super) fn take_gossip(&mut self, sender: Option<Pos>, heartbeat: &Heartbeat) {
        let sender_id = sender.map(|pos| self.node.peers[pos].id);
        let mut sender = sender;
        for entry in &heartbeat.gossip {
            match (self.node.peers.find(&entry.node), sender) {
                (Some(pos), _) => self.told_of_known(pos, sender, entry),
                (None, Some(_)) => {
                    self.told_of_unknown(entry);
                    // The sender's place moves when an entry brings a node in.
                    sender = sender_id.and_then(|id| self.node.peers.find(&id));
                }
                (None, None) if self.is_mutant(Mutant::GossipFromStranger) => self.told_of_unknown(entry),
                (None, None) => {}
            }
        }
    }

    fn told_of_known(&mut self, pos: Pos, sender: Option<Pos>, entry: &GossipEntry) {
        let is_failing = entry.flags.intersects(FAILING);
        if let Some(reporter) = sender.filter(|&sender| self.node.peers[sender].is_primary() && pos != self.node.me) {
            if is_failing {
                self.report(pos, reporter);
                self.fail_by_quorum(pos);
            } else {
                self.withdraw_report(pos, reporter);
            }
        }
        if is_failing {
            return;
        }
        self.take_pong_time(pos, entry);
        if self.node.peers[pos].is_any(FAILING) && !entry.flags.contains(Flags::NOADDR) {
            self.take_gossiped_address(pos, &entry.address);
        }
    }

    fn take_pong_time(&mut self, pos: Pos, entry: &GossipEntry) {
        let pong = Millis(u64::from(entry.pong_received_s) * 1000);
        let peer = &self.node.peers[pos];
        let is_fresher = peer.pong_received.is_none_or(|known| pong > self.counted(known)) && pong > Millis(0);
        let is_past =
            pong <= self.now.after(self.node.config.timing.gossip_ahead_ms) || self.is_mutant(Mutant::GossipFromFuture);
        if is_fresher && self.is_mutant(Mutant::GossipAnswers) {
            self.node.peers[pos].data_received = Some(self.now);
        }
        let peer = &self.node.peers[pos];
        let is_doubted = self.node.config.profile.pong_news_if_healthy && peer.is_any(FAILING);
        let is_awaited = peer.ping_sent.is_some() && self.unless(Mutant::GossipSparesPing);
        if is_awaited || !is_fresher || !is_past || is_doubted || self.count_reports(pos) > 0 {
            return;
        }
        self.rule(Rule::GossipFresher);
        self.node.peers[pos].pong_received = Some(pong);
    }

    fn told_of_unknown(&mut self, entry: &GossipEntry) {
        if entry.flags.contains(Flags::NOADDR) {
            return;
        }
        if self.is_banned(&entry.node) && self.unless(Mutant::GossipRevives) {
            self.rule(Rule::GossipBanned);
            return;
        }
        if self.is_mutant(Mutant::GossipMeets) {
            self.add_handshake(Flags::HANDSHAKE | Flags::MEET, entry.address.clone());
            return;
        }
        let flags = entry.flags.difference(PRIVATE);
        let peer = Peer::new(entry.node, flags, entry.address.clone(), self.now);
        if self.node.insert_peer(peer).is_some() {
            self.rule(Rule::GossipNewNode);
        }
    }
}
