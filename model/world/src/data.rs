//! Owns what a host holds of the data: how far it is in the replication stream, and keys. Knows no
//! other host, and no byte of either.
//!
//! The stream is an abstraction: a write makes it one longer, and a replica takes all of its
//! primary's data at once, at those of its own ticks at which the primary runs and can be reached.
//! What a node is told of it is [`Replication`], as a driver tells it: until a replica is in step
//! with the primary that it was last told to follow, or with one of its shard before it, it is not
//! fresh. A restart finds all data that the host had.

use crate::place::Place;
use slotbus_core::{Command, Millis, NodeId, Replication, Slot, SlotSet};

/// What a host holds of the data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Data<const SLOTS: usize> {
    /// Whom it is to copy.
    pub follows: Option<Place>,
    /// The shard of that host, when it was to be followed.
    pub shard: Option<NodeId>,
    /// When it last was in step with that host, or one of its shard before it; none if it never was.
    pub fresh_at: Option<Millis>,
    /// How many writes it has.
    pub offset: u8,
    /// Slots that it holds a key of.
    pub keys: SlotSet<SLOTS>,
    /// For how long its clients' writes are still held back.
    pub paused_ms: u64,
}

impl<const SLOTS: usize> Data<SLOTS> {
    /// What the node is to know of it.
    #[must_use]
    pub fn replication(&self) -> Replication {
        Replication { offset: self.offset.into(), fresh_at: self.fresh_at }
    }

    /// From now on it copies `whom`, of this shard; none as long as nobody knows where that is. What it has is as old as
    /// it was if that is the shard that it was in.
    pub(crate) fn follow(&mut self, whom: Option<Place>, shard: NodeId) {
        if self.follows != whom {
            self.follows = whom;
            self.fresh_at = Replication::fresh_after(self.fresh_at, self.shard, shard);
        }
        self.shard = Some(shard);
    }

    /// From now on it copies nobody, and what it has is its own.
    pub(crate) fn lead(&mut self) {
        (self.follows, self.shard, self.fresh_at) = (None, None, None);
    }

    /// Takes all that its primary has.
    pub(crate) fn copy(&mut self, primary: &Self, now: Millis) {
        self.offset = primary.offset;
        self.keys = primary.keys.clone();
        self.fresh_at = Some(now);
    }

    /// A client wrote a key of each of these slots.
    pub(crate) fn write(&mut self, slots: &SlotSet<SLOTS>) {
        self.offset = self.offset.saturating_add(1);
        slots.iter().for_each(|slot| {
            self.keys.insert(slot);
        });
    }

    /// The key of a slot came from another host.
    pub(crate) fn import(&mut self, slot: Slot) {
        self.offset = self.offset.saturating_add(1);
        self.keys.insert(slot);
    }

    /// The key of a slot went to another host.
    pub(crate) fn export(&mut self, slot: Slot) {
        self.offset = self.offset.saturating_add(1);
        self.keys.remove(slot);
    }

    /// Fills in what a command says of the keys that are here.
    pub(crate) fn tell(&self, command: &mut Command) {
        match command {
            Command::SetSlot { slot, has_keys, .. } => *has_keys = self.keys.contains(*slot),
            Command::FlushSlots { has_keys }
            | Command::Replicate { has_keys, .. }
            | Command::Reset { has_keys, .. } => {
                *has_keys = !self.keys.is_empty();
            }
            Command::Meet { .. }
            | Command::Forget(_)
            | Command::AddSlots(_)
            | Command::DelSlots(_)
            | Command::BumpEpoch
            | Command::SetConfigEpoch(_)
            | Command::SaveConfig
            | Command::Failover(_)
            | Command::Publish { .. } => {}
        }
    }

    /// The host's clock is turned back by what passed on it; of its age, `fresh_at` keeps what its
    /// node does.
    pub(crate) fn elapsed(&mut self, elapsed_ms: u64, fresh_at: Option<Millis>) {
        self.paused_ms = self.paused_ms.saturating_sub(elapsed_ms);
        self.fresh_at = self.fresh_at.and(fresh_at);
    }

    /// The process is gone: what it had saved is left, and nothing of whom it copied.
    pub(crate) fn crash(&mut self) {
        self.lead();
        self.paused_ms = 0;
    }
}
