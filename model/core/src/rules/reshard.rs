//! How slots move between primaries on request. Knows nothing of keys but whether there are any.

use crate::{
    effect::{Refusal, Reply},
    ids::NodeId,
    input::SlotChange,
    mutant::Mutant,
    peer::Pos,
    rule::Rule,
    slots::Slot,
    step::{Save, Turn},
};

impl<const SLOTS: usize> Turn<'_, SLOTS> {
    pub(crate) fn set_slot(&mut self, slot: Slot, change: SlotChange, has_keys: bool) -> Result<Reply, Refusal> {
        let outcome = self.try_set_slot(slot, change, has_keys);
        if outcome.is_err() {
            self.rule(Rule::ReshardRefused);
        } else {
            self.save(Save::Soon);
            self.evaluate_later();
        }
        outcome.map(|()| Reply::Done)
    }

    fn try_set_slot(&mut self, slot: Slot, change: SlotChange, has_keys: bool) -> Result<(), Refusal> {
        if !self.node.myself().is_primary() {
            return Err(Refusal::NotPrimary);
        }
        if slot.index() >= SLOTS {
            return Err(Refusal::NoSuchSlot);
        }
        let is_mine = self.node.owners.get(slot) == Some(self.node.me);
        match change {
            SlotChange::Migrating(_) if !is_mine => return Err(Refusal::NotOwner(slot)),
            SlotChange::Migrating(to) => {
                self.other_end(to)?;
                self.rule(Rule::ReshardMigrating);
                self.node.granted.remove(&slot);
                self.node.migrating.insert(slot, to);
            }
            SlotChange::Importing(_) if is_mine => return Err(Refusal::AlreadyOwner(slot)),
            SlotChange::Importing(from) => {
                self.other_end(from)?;
                self.rule(Rule::ReshardImporting);
                self.node.importing.insert(slot, from);
            }
            SlotChange::Stable => {
                self.rule(Rule::ReshardStable);
                self.node.migrating.remove(&slot);
                self.node.importing.remove(&slot);
            }
            SlotChange::Node(id) => {
                let target = self.primary_called(id, Refusal::UnknownNode(id))?;
                if is_mine && target != self.node.me && has_keys && self.unless(Mutant::SetslotLeavesKeys) {
                    return Err(Refusal::SlotHasKeys(slot));
                }
                self.give_slot(slot, target, has_keys);
            }
        }
        Ok(())
    }

    fn primary_called(&self, id: NodeId, unknown: Refusal) -> Result<Pos, Refusal> {
        let pos = self.node.peers.find(&id).ok_or(unknown)?;
        if self.node.peers[pos].is(crate::Flags::REPLICA) { Err(Refusal::TargetNotPrimary) } else { Ok(pos) }
    }

    fn other_end(&self, id: NodeId) -> Result<Pos, Refusal> {
        let pos = self.primary_called(id, Refusal::UnheardOfNode(id))?;
        let is_refused = pos == self.node.me && self.node.config.profile.setslot_self_refused;
        if is_refused { Err(Refusal::TargetIsMyself) } else { Ok(pos) }
    }

    fn give_slot(&mut self, slot: Slot, target: Pos, has_keys: bool) {
        self.rule(Rule::ReshardGiven);
        let me = self.node.me;
        let former = self.node.owners.get(slot);
        if !has_keys {
            self.node.migrating.remove(&slot);
        }
        self.node.unbind(slot);
        if self.unless(Mutant::GivenToNobody) {
            self.node.bind(slot, target);
        }
        let is_emptied = former == Some(me) && target != me && self.node.peers[me].slots.is_empty();
        if is_emptied && self.unless(Mutant::EmptiedStays) && self.node.config.allow_replica_migration {
            self.rule(Rule::ReshardEmptied);
            self.follow(target);
            self.save(Save::Sync);
        }
        if target == me {
            self.remember_grant(slot, former);
            let was_importing = self.node.importing.contains_key(&slot);
            if self.unless(Mutant::SetslotKeepsMark) {
                self.node.importing.remove(&slot);
            }
            let is_taken = former != Some(me) && self.node.config.profile.setslot_always_bumps;
            if (was_importing || is_taken) && self.unless(Mutant::SetslotKeepsEpoch) {
                self.rule(Rule::ReshardClosed);
                self.bump_epoch();
                self.broadcast_pong();
            }
            self.save_taken();
        }
    }

    /// The former owner of a slot that was given to this node may go on claiming it for a while: whom the slot
    /// was imported from, by the command that began it, which may know more than this node's table.
    fn remember_grant(&mut self, slot: Slot, former: Option<Pos>) {
        if !self.node.config.profile.granted_slots_kept {
            return;
        }
        let source = self.node.importing.get(&slot).copied();
        let former = source.or_else(|| former.map(|pos| self.node.peers[pos].id));
        if let Some(former) = former.filter(|&id| id != self.node.myself().id) {
            self.node.granted.insert(slot, former);
        }
    }
}
