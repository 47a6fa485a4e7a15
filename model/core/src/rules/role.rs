//! What headers say of a node's role. Knows no election: that decides roles, this follows them.

use crate::{
    message::{Flags, Header},
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
        match header.primary {
            None => self.take_primary(pos),
            Some(primary) => {
                if self.node.peers[pos].is_primary() {
                    self.rule(Rule::RoleReplica);
                    self.node.unbind_all(pos);
                    let flags = &mut self.node.peers[pos].flags;
                    flags.remove(Flags::PRIMARY | Flags::MIGRATE_TO);
                    flags.insert(Flags::REPLICA);
                    self.save(Save::Soon);
                    self.evaluate_later();
                }
                let is_news = self.node.peers[pos].primary != Some(primary);
                if is_news && self.node.peers.find(&primary).is_some_and(|primary| primary != pos) {
                    self.rule(Rule::RoleMoved);
                    self.attach(pos, Some(primary));
                    self.save(Save::Soon);
                }
            }
        }
    }

    pub(super) fn take_primary(&mut self, pos: Pos) {
        let peer = &self.node.peers[pos];
        if peer.is_primary() {
            return;
        }
        let had_primary = peer.primary.is_some();
        self.rule(Rule::RolePrimary);
        self.attach(pos, None);
        let flags = &mut self.node.peers[pos].flags;
        flags.remove(Flags::REPLICA);
        flags.insert(Flags::PRIMARY);
        if had_primary {
            flags.insert(Flags::MIGRATE_TO);
        }
        self.save(Save::Soon);
        self.evaluate_later();
    }

    /// Moves a node from its primary, if it had one, to another, if it gets one.
    pub(super) fn attach(&mut self, pos: Pos, primary: Option<crate::ids::NodeId>) {
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
