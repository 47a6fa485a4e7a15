//! Who owns which slot: claims in headers, UPDATE in both directions, and requests to add and delete.

use crate::{
    effect::{Effect, Refusal, Reply},
    ids::LinkId,
    message::{Body, Claim, Header, Message},
    mutant::Mutant,
    peer::Pos,
    rule::Rule,
    slots::{Slot, SlotSet},
    step::{Save, Turn},
};
use alloc::vec::Vec;

impl<const SLOTS: usize> Turn<'_, SLOTS> {
    /// Compares a header's claim with what is recorded of the claimant, and acts on the difference.
    pub(super) fn take_claim(&mut self, pos: Pos, header: &Header<SLOTS>) {
        self.note_release(pos, &header.slots);
        let is_known = |pos: Pos| self.node.peers[pos].slots == header.slots;
        if self.node.claimant(pos).is_none_or(is_known) {
            return;
        }
        // A replica repeats its primary's claim, also one whose role is not believed here.
        let is_own = self.node.peers[pos].is_primary() && header.primary.is_none();
        if is_own || self.is_mutant(Mutant::ClaimOfReplica) {
            self.bind_claim(pos, header.config_epoch, &header.slots);
        }
        self.correct_stale_claim(pos, header);
    }

    /// A node that does not claim a slot knows that it was given to another.
    fn note_release(&mut self, pos: Pos, claimed: &SlotSet<SLOTS>) {
        let id = self.node.peers[pos].id;
        self.node.granted.retain(|slot, from| *from != id || claimed.contains(*slot));
    }

    /// Whether a claim is of a former owner that may not know that the slot was given to this node.
    /// It is withstood once: a former owner that claims it anew was told to.
    fn withstands(&mut self, slot: Slot, claimant: Pos) -> bool {
        let is_former = self.node.granted.get(&slot) == Some(&self.node.peers[claimant].id);
        is_former && self.node.granted.remove(&slot).is_some() && self.unless(Mutant::GrantYields)
    }

    /// Binds to a primary the slots that it claims and may take, and marks those that it lets go.
    fn bind_claim(&mut self, pos: Pos, epoch: u64, claimed: &SlotSet<SLOTS>) {
        for slot in self.node.peers[pos].slots.without(claimed).iter() {
            if self.unless(Mutant::ClaimMarksNothing) && self.node.unclaimed.insert(slot) {
                self.rule_once(Rule::SlotUnclaimed);
                let save = self.save_of_heard();
                self.save_mark(save);
            }
        }
        let shard_head = if self.node.myself().is_primary() { Some(self.node.me) } else { self.node.my_primary() };
        let keeps_imports = !self.node.config.profile.import_rebound;
        let (mut lost, mut from_shard, mut is_withstood) = (SlotSet::new(), 0, false);
        self.mark_reclaimed(pos, claimed);
        for slot in claimed.without(&self.node.peers[pos].slots).iter() {
            let owner = self.node.owners.get(slot);
            if keeps_imports && self.node.importing.contains_key(&slot) {
                self.rule_once(Rule::SlotImportKept);
            } else if self.may_take(slot, epoch) && self.withstands(slot, pos) {
                is_withstood = true;
            } else if self.may_take(slot, epoch) {
                self.rule_once(Rule::SlotTaken);
                if owner == Some(self.node.me) {
                    lost.insert(slot);
                }
                from_shard += usize::from(owner.is_some() && owner == shard_head);
                self.close_taken(slot, pos);
                if self.unless(Mutant::ClaimKeepsLoser) {
                    self.node.unbind(slot);
                }
                self.node.bind(slot, pos);
                self.node.unclaimed.remove(slot);
                self.save_heard();
                self.evaluate_later();
            }
        }
        if is_withstood {
            self.rule(Rule::SlotWithstood);
            self.node.current_epoch = self.node.current_epoch.max(epoch);
            self.take_new_epoch();
            self.broadcast_pong();
        }
        self.after_claim(pos, shard_head.filter(|_| from_shard > 0), from_shard == claimed.len(), lost);
    }

    /// Whoever moves a slot that another node takes has nothing to move any more, unless its source's shard goes on with
    /// another primary.
    fn close_taken(&mut self, slot: Slot, claimant: Pos) {
        if !self.node.config.profile.taken_slots_closed {
            return;
        }
        self.node.migrating.remove(&slot);
        let source = self.node.importing.remove(&slot).and_then(|id| self.node.peers.find(&id));
        if source.is_some_and(|source| self.node.shard(source) == self.node.shard(claimant)) {
            self.node.importing.insert(slot, self.node.peers[claimant].id);
        }
    }

    /// Takes the marks off slots that their owner had let go and claims again.
    fn mark_reclaimed(&mut self, pos: Pos, claimed: &SlotSet<SLOTS>) {
        let owned = &self.node.peers[pos].slots;
        let is_reclaimed = |slot: &Slot| owned.contains(*slot) && claimed.contains(*slot);
        let reclaimed: Vec<Slot> = self.node.unclaimed.iter().filter(is_reclaimed).collect();
        for slot in reclaimed {
            self.node.unclaimed.remove(slot);
            self.rule_once(Rule::SlotReclaimed);
            self.save_mark(Save::Soon);
        }
    }

    /// Saves what another node claims. The claimant goes on to claim it.
    pub(super) fn save_heard(&mut self) {
        self.save(self.save_of_heard());
    }

    fn save_of_heard(&self) -> Save {
        if self.node.config.profile.heard_claims_unsynced { Save::Soon } else { Save::Sync }
    }

    /// A mark that is forgotten has this node defend the slot for an owner that let it go.
    fn save_mark(&mut self, save: Save) {
        if self.node.config.profile.marks_survive_restart {
            self.save(save);
        }
    }

    /// What a claim makes of this node: a replica of the claimant, if that took the last slot of this
    /// node's shard; or a primary that must drop the keys of what it lost.
    fn after_claim(&mut self, claimant: Pos, loser: Option<Pos>, took_all_from_it: bool, lost: SlotSet<SLOTS>) {
        let is_emptied = loser.is_some_and(|loser| self.node.peers[loser].slots.is_empty());
        let primary = self.node.my_primary();
        let grand_primary = primary.and_then(|pos| self.node.peers[pos].primary);
        let grand_primary = grand_primary.and_then(|id| self.node.peers.find(&id));
        let keeps_shard = self.node.config.profile.shard_kept_without_migration;
        let is_of_shard = self.node.shard(claimant) == self.node.shard(self.node.me);
        let may_follow =
            self.node.config.allow_replica_migration || (took_all_from_it && (is_of_shard || !keeps_shard));
        if is_emptied && self.unless(Mutant::LoserNotDemoted) && may_follow {
            self.rule(Rule::SlotDemoted);
            self.follow(claimant);
            self.save(Save::Sync);
            self.evaluate_later();
        } else if let Some(grand_primary) =
            grand_primary.filter(|&pos| pos != self.node.me && Some(pos) != primary && self.unless(Mutant::ChainKept))
        {
            self.rule(Rule::SlotSubReplica);
            self.follow(grand_primary);
            self.save(Save::Sync);
            self.evaluate_later();
        } else if !lost.is_empty() {
            self.rule(Rule::SlotKeysDropped);
            self.perform(Effect::DropKeys { slots: lost });
        }
    }

    fn may_take(&self, slot: Slot, epoch: u64) -> bool {
        let ahead = u64::from(self.is_mutant(Mutant::ClaimTakesEqual));
        let is_newer = |owner: Pos| self.node.peers[owner].config_epoch < epoch.saturating_add(ahead);
        if self.is_mutant(Mutant::ClaimIgnoresEpoch) {
            return true;
        }
        self.node.is_up_for_claim(slot) || self.node.owners.get(slot).is_some_and(is_newer)
    }

    /// Tells a sender whose claim is older than a recorded one; of several such owners, the first.
    fn correct_stale_claim(&mut self, pos: Pos, header: &Header<SLOTS>) {
        let newer_owner = header.slots.iter().find_map(|slot| {
            let owner = self.node.owners.get(slot).filter(|&owner| owner != pos)?;
            let is_newer = self.node.peers[owner].config_epoch > header.config_epoch;
            (is_newer && !self.node.unclaimed.contains(slot)).then_some(owner)
        });
        if let Some(owner) = newer_owner {
            self.send_update(pos, owner);
        }
    }

    /// Tells a node of another's claim, on the link that this node opened to it.
    pub(super) fn send_update(&mut self, to: Pos, owner: Pos) {
        if let Some(number) = self.node.peers[to].outbound {
            self.rule(Rule::SlotUpdateSent);
            let peer = &self.node.peers[owner];
            let mut slots = peer.slots.without(&self.node.unclaimed);
            if self.is_mutant(Mutant::UpdateTellsUnclaimed) {
                slots = peer.slots.clone();
            }
            let claim = Claim { node: peer.id, config_epoch: peer.config_epoch, slots };
            let message = Message { header: self.header(), body: Body::Update(claim) };
            self.send(LinkId::Outbound(number), message);
        }
    }

    /// An UPDATE came.
    pub(super) fn told_of_claim(&mut self, member: Option<Pos>, claim: &Claim<SLOTS>) {
        let subject = self.node.peers.find(&claim.node).filter(|_| member.is_some());
        let newer = subject.filter(|&pos| {
            self.node.peers[pos].config_epoch < claim.config_epoch || self.is_mutant(Mutant::UpdateOfAnyEpoch)
        });
        let ignores_own = self.node.config.profile.own_update_ignored;
        let Some(pos) = newer.filter(|&pos| pos != self.node.me || !ignores_own) else {
            self.rule(Rule::SlotUpdateStale);
            return;
        };
        self.rule(Rule::SlotUpdateTaken);
        if !self.node.peers[pos].is_primary() {
            self.take_primary(pos);
        }
        if self.unless(Mutant::UpdateKeepsEpoch) {
            self.node.peers[pos].config_epoch = claim.config_epoch;
        }
        self.save(Save::Sync);
        if pos != self.node.me {
            self.bind_claim(pos, claim.config_epoch, &claim.slots);
        }
        if self.node.config.profile.update_overtakes && !claim.slots.is_empty() {
            self.overtake_election(claim.config_epoch);
        }
    }

    pub(crate) fn add_slots(&mut self, slots: &[Slot]) -> Result<Reply, Refusal> {
        if !self.node.myself().is_primary() && self.node.config.profile.replica_refuses_slots {
            self.rule(Rule::SlotRequestRefused);
            return Err(Refusal::ReplicaOwnsNothing);
        }
        let is_busy = |turn: &Self, slot| turn.node.owners.get(slot).is_some() && turn.unless(Mutant::AddedTwice);
        let wanted = self.check_slots(slots, |turn, slot| is_busy(turn, slot).then_some(Refusal::SlotBusy(slot)))?;
        self.rule(Rule::SlotAdded);
        let me = self.node.me;
        for slot in wanted.iter() {
            self.node.importing.remove(&slot);
            self.node.bind(slot, me);
        }
        self.save_taken();
        self.evaluate_later();
        Ok(Reply::Done)
    }

    /// Slots that an administrator gave this node are on its disk before it says so: no other node
    /// would claim them if it forgot.
    pub(super) fn save_taken(&mut self) {
        let is_synced = self.node.config.profile.taken_slots_synced;
        self.save(if is_synced { Save::Sync } else { Save::Soon });
    }

    pub(crate) fn del_slots(&mut self, slots: &[Slot]) -> Result<Reply, Refusal> {
        let is_free = |turn: &Self, slot| turn.node.owners.get(slot).is_none();
        let wanted =
            self.check_slots(slots, |turn, slot| is_free(turn, slot).then_some(Refusal::SlotUnassigned(slot)))?;
        self.rule(Rule::SlotDeleted);
        for slot in wanted.iter() {
            self.node.importing.remove(&slot);
            self.node.unbind(slot);
        }
        self.save(Save::Soon);
        self.evaluate_later();
        Ok(Reply::Done)
    }

    pub(crate) fn flush_slots(&mut self, has_keys: bool) -> Result<Reply, Refusal> {
        if has_keys {
            self.rule(Rule::SlotFlushRefused);
            return Err(Refusal::FlushWithKeys);
        }
        self.rule(Rule::SlotFlushed);
        self.node.unbind_all(self.node.me);
        self.save(Save::Soon);
        self.evaluate_later();
        Ok(Reply::Done)
    }

    /// The data set was loaded: settles whose the slots are that hold keys.
    pub(crate) fn loaded(&mut self, slots: &SlotSet<SLOTS>) {
        if !self.node.myself().is_primary() {
            return;
        }
        let me = self.node.me;
        for slot in slots.iter() {
            match self.node.owners.get(slot) {
                Some(pos) if pos == me => {}
                Some(_) | None if self.node.importing.contains_key(&slot) => {}
                Some(owner) => {
                    self.rule_once(Rule::SlotLoadedForeign);
                    self.node.importing.insert(slot, self.node.peers[owner].id);
                    self.save(Save::Sync);
                }
                None => {
                    self.rule_once(Rule::SlotLoadedFree);
                    self.node.bind(slot, me);
                    self.save(Save::Sync);
                }
            }
        }
        self.evaluate_later();
    }

    /// The set of slots that a request names, unless one of them is refused or repeated.
    fn check_slots(
        &mut self,
        slots: &[Slot],
        refusal: impl Fn(&Self, Slot) -> Option<Refusal>,
    ) -> Result<SlotSet<SLOTS>, Refusal> {
        let mut wanted = SlotSet::new();
        for &slot in slots {
            let is_slot = slot.index() < SLOTS;
            let refused = (!is_slot).then_some(Refusal::NoSuchSlot);
            let refused = refused
                .or_else(|| refusal(self, slot))
                .or_else(|| (!wanted.insert(slot)).then_some(Refusal::SlotRepeated(slot)));
            if let Some(refused) = refused {
                self.rule(Rule::SlotRequestRefused);
                return Err(refused);
            }
        }
        Ok(wanted)
    }
}
