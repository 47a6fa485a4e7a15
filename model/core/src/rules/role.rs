//! What headers say of a node's role. Knows no election: that decides roles, this follows them.

use crate::{
    ids::NodeId,
    message::{Flags, Header},
    mutant::Mutant,
    peer::Pos,
    rule::Rule,
    step::{Save, Turn},
};

impl<const SLOTS: usize> Turn<'_, SLOTS> {
    pub(super) fn take_failover_abstention(&mut self, pos: Pos, header: &Header<SLOTS>) {
        let abstains = header.flags.contains(Flags::NOFAILOVER);
        let peer = &mut self.node.peers[pos];
        if peer.is(Flags::NOFAILOVER) != abstains {
            peer.flags.set(Flags::NOFAILOVER, abstains);
            self.rule(Rule::RoleNoFailover);
        }
    }

    /// Takes a member's role from its header.
    pub(super) fn take_role(&mut self, pos: Pos, header: &Header<SLOTS>) {
        if self.is_stale_role(pos, header) {
            self.rule(Rule::RoleStale);
            return;
        }
        match header.primary {
            None => self.take_primary(pos),
            Some(primary) => {
                if self.node.peers[pos].is_primary() {
                    self.rule(Rule::RoleReplica);
                    self.hand_over(pos, primary, header);
                    if self.unless(Mutant::DemotedKeepsSlots) {
                        self.node.unbind_all(pos);
                    }
                    let flags = &mut self.node.peers[pos].flags;
                    flags.remove(Flags::PRIMARY | Flags::MIGRATE_TO);
                    flags.insert(Flags::REPLICA);
                    self.save(Save::Soon);
                    self.evaluate_later();
                }
                let is_news = self.node.peers[pos].primary != Some(primary);
                if let Some(head) = self.node.peers.find(&primary).filter(|&head| is_news && head != pos) {
                    self.rule(Rule::RoleMoved);
                    self.open_loop(head, pos);
                    self.attach(pos, Some(primary));
                    self.save(Save::Soon);
                }
            }
        }
    }

    /// Has `head`, which `follower` is about to follow, follow nobody, if the way from it to its
    /// primary would lead through `follower`. A node that leads again for this reason claims nothing.
    fn open_loop(&mut self, head: Pos, follower: Pos) {
        let is_on = self.node.config.profile.loops_opened && self.unless(Mutant::LoopKept);
        if !is_on || !self.leads_to(head, follower) {
            return;
        }
        self.rule(Rule::RoleLoopOpened);
        if head == self.node.me {
            self.lead();
            self.end_manual_failover();
            self.save(Save::Sync);
            self.evaluate_later();
        } else {
            self.take_primary(head);
        }
    }

    /// Whether the way from replica to primary leads from one node to another.
    fn leads_to(&self, from: Pos, to: Pos) -> bool {
        let primary = |&pos: &Pos| self.node.peers[pos].primary.and_then(|id| self.node.peers.find(&id));
        let way = core::iter::successors(Some(from), primary);
        way.take(self.node.peers.len()).any(|pos| pos == to)
    }

    /// Whether a header that would change a role speaks of a shard whose claim is recorded under a
    /// greater epoch: it was overtaken on its way by a header on another link.
    fn is_stale_role(&self, pos: Pos, header: &Header<SLOTS>) -> bool {
        let peer = &self.node.peers[pos];
        let is_change = peer.is_primary() != header.primary.is_none() || peer.primary != header.primary;
        let is_on = self.node.config.profile.stale_role_ignored && self.unless(Mutant::RoleOfAnyAge);
        if !is_change || !is_on {
            return false;
        }
        let named = match header.primary {
            Some(primary) => self.node.peers.find(&primary),
            None => peer.primary.and_then(|id| self.node.peers.find(&id)),
        };
        let Some(owner) = named.and_then(|pos| self.node.claimant(pos)).map(|pos| &self.node.peers[pos]) else {
            return false;
        };
        // A primary that leads again was overtaken only by who holds what it claims.
        let is_owner = header.primary.is_some() || owner.slots.without(&self.node.unclaimed).overlaps(&header.slots);
        owner.is_voter() && is_owner && owner.config_epoch > header.config_epoch
    }

    /// Gives the slots of a primary that became a replica to its new primary, if both are of one
    /// shard: hearing the loser of a failover first then leaves no slot without an owner. Those that the
    /// header does not name are up for any claim: the replica knows that its primary claims no such slot.
    fn hand_over(&mut self, from: Pos, primary: NodeId, header: &Header<SLOTS>) {
        let Some(to) = self.node.peers.find(&primary).filter(|&to| to != from && to != self.node.me) else { return };
        let (former, successor) = (&self.node.peers[from], &self.node.peers[to]);
        let is_of_shard = successor.primary == Some(former.id) || self.node.shard(to) == self.node.shard(from);
        let is_newer = header.config_epoch > former.config_epoch && header.config_epoch >= successor.config_epoch;
        if !self.node.config.profile.demotion_hands_over || !is_of_shard || !is_newer || former.slots.is_empty() {
            return;
        }
        self.rule(Rule::RoleHandover);
        self.take_primary(to);
        self.node.peers[to].config_epoch = header.config_epoch;
        for slot in self.node.peers[from].slots.clone().iter() {
            self.node.unbind(slot);
            self.node.bind(slot, to);
            if !header.slots.contains(slot) {
                self.node.unclaimed.insert(slot);
            }
        }
        self.save(Save::Sync);
    }

    pub(super) fn take_primary(&mut self, pos: Pos) {
        let peer = &self.node.peers[pos];
        if peer.is_primary() {
            return;
        }
        let had_primary = peer.primary.is_some();
        if self.node.config.profile.promoted_stays_in_shard {
            self.node.peers[pos].shard = Some(self.node.shard(pos));
        }
        self.rule(Rule::RolePrimary);
        self.attach(pos, None);
        let flags = &mut self.node.peers[pos].flags;
        flags.remove(Flags::REPLICA);
        flags.insert(Flags::PRIMARY);
        if had_primary && pos != self.node.me {
            flags.insert(Flags::MIGRATE_TO);
        }
        self.save(Save::Soon);
        self.evaluate_later();
    }

    /// Moves a node from its primary, if it had one, to another, if it gets one.
    pub(super) fn attach(&mut self, pos: Pos, primary: Option<NodeId>) {
        let former = core::mem::replace(&mut self.node.peers[pos].primary, primary);
        if let Some(pos) = primary.and_then(|id| self.node.peers.find(&id)) {
            self.node.peers[pos].flags.insert(Flags::MIGRATE_TO);
        }
        let has_replicas = |id| self.node.peers.iter().any(|peer| peer.primary == Some(id));
        if let Some(pos) = former.filter(|&id| !has_replicas(id)).and_then(|id| self.node.peers.find(&id)) {
            self.node.peers[pos].flags.remove(Flags::MIGRATE_TO);
        }
    }
}
