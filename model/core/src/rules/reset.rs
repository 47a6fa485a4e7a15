//! How a node is made new again.

use crate::{
    effect::{Effect, Refusal, Reply},
    ids::NodeId,
    mutant::Mutant,
    rule::Rule,
    step::{Save, Turn},
};
use alloc::vec::Vec;

impl<const SLOTS: usize> Turn<'_, SLOTS> {
    /// CLUSTER RESET.
    pub(crate) fn reset(&mut self, hard: Option<NodeId>, has_keys: bool) -> Result<Reply, Refusal> {
        let was_replica = !self.node.myself().is_primary();
        if has_keys && !was_replica {
            self.rule(Rule::ResetRefused);
            return Err(Refusal::ResetWithKeys);
        }
        self.rule(Rule::ResetDone);
        if was_replica {
            self.lead();
            self.perform(Effect::DropAllKeys);
        }
        self.node.migrating.clear();
        self.node.importing.clear();
        self.end_manual_failover();
        let others: Vec<_> = self.node.peers.iter().map(|peer| peer.id).filter(|&id| id != self.node.id()).collect();
        let kept = Some(self.node.me).filter(|_| self.is_mutant(Mutant::ResetKeepsSlots));
        for pos in self.node.peers.positions().filter(|&pos| Some(pos) != kept) {
            self.node.unbind_all(pos);
        }
        for id in others {
            if let Some(pos) = self.node.peers.find(&id) {
                self.remove_node(pos);
            }
        }
        if let Some(id) = hard {
            self.start_over_as(id);
        }
        self.save(Save::Sync);
        self.evaluate_later();
        Ok(Reply::Done)
    }

    fn start_over_as(&mut self, id: NodeId) {
        self.node.current_epoch = 0;
        self.node.last_vote_epoch = 0;
        // Nobody else is left in the table: the entry keeps its place under any id.
        let mut own = self.node.peers.remove(self.node.me);
        own.config_epoch = 0;
        own.id = id;
        own.shard = Some(id);
        self.node.me = self.node.peers.insert(own);
    }
}
