//! How nodes leave: on request with a ban, or because a handshake came to nothing.

use crate::{
    effect::{Refusal, Reply},
    ids::NodeId,
    mutant::Mutant,
    peer::Pos,
    rule::Rule,
    step::{Save, Turn},
};

impl<const SLOTS: usize> Turn<'_, SLOTS> {
    pub(crate) fn forget(&mut self, id: NodeId) -> Result<Reply, Refusal> {
        let refusal = match self.node.peers.find(&id) {
            // A member was told first, and told this node.
            None if self.node.config.profile.forget_is_gossiped && self.is_banned(&id) => {
                self.rule(Rule::ForgetDone);
                return Ok(Reply::Done);
            }
            None => Refusal::UnknownNode(id),
            Some(pos) if pos == self.node.me => Refusal::ForgetMyself,
            Some(_) if self.node.myself().primary == Some(id) && self.unless(Mutant::ForgetsPrimary) => {
                Refusal::ForgetMyPrimary
            }
            Some(pos) => {
                self.rule(Rule::ForgetDone);
                self.ban(id, self.node.config.timing.forget_ms);
                self.remove_node(pos);
                self.save(Save::Soon);
                self.evaluate_later();
                return Ok(Reply::Done);
            }
        };
        self.rule(Rule::ForgetRefused);
        Err(refusal)
    }

    /// A member says that it forgot a node.
    pub(super) fn told_to_forget(&mut self, id: NodeId, ttl_s: u64) {
        let is_needed = |pos: &Pos| *pos != self.node.me && self.node.my_primary() != Some(*pos);
        if let Some(pos) = self.node.peers.find(&id).filter(is_needed) {
            self.rule(Rule::ForgetTold);
            self.ban(id, ttl_s.saturating_mul(1000));
            self.remove_node(pos);
            self.save(Save::Soon);
            self.evaluate_later();
        }
    }

    fn ban(&mut self, id: NodeId, duration_ms: u64) {
        let now = self.now;
        self.node.banned.retain(|_, until| *until >= now);
        let until = now.after(duration_ms);
        self.node.banned.insert(id, until);
    }

    pub(super) fn is_banned(&mut self, id: &NodeId) -> bool {
        let now = self.now;
        if self.node.banned.get(id).is_some_and(|until| *until < now) {
            self.node.banned.remove(id);
        }
        self.node.banned.contains_key(id)
    }

    /// Takes a node out of every table: its slots, the moves and reports that name it, its links,
    /// and its replicas' tie to it.
    pub(super) fn remove_node(&mut self, pos: Pos) {
        let id = self.node.peers[pos].id;
        self.node.migrating.retain(|_, to| *to != id);
        self.node.importing.retain(|_, from| *from != id);
        self.node.granted.retain(|_, from| *from != id);
        self.node.unbind_all(pos);
        self.close_outbound(pos);
        self.close_inbound(pos);
        self.attach(pos, None);
        let [keeps_reports, keeps_ties] =
            [Mutant::ForgetKeepsReports, Mutant::ForgetKeepsTie].map(|mutant| self.is_mutant(mutant));
        for peer in self.node.peers.iter_mut() {
            peer.reports.retain(|report| report.by != id || keeps_reports);
            if peer.primary == Some(id) && !keeps_ties {
                peer.primary = None;
            }
        }
        self.node.remove_peer(pos);
    }
}
