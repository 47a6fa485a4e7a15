//! Owns what the protocol asks of the node's data and of its clients, and has it done.
//!
//! The bus hands these effects over as values, in order, and knows neither keys nor clients. Must
//! not decide: each effect is done as it is.

use crate::{client::Session, pubsub::Kind, server::Server, slab::Key};
use slotbus_core::{Address, CLUSTER_SLOTS, Millis, NodeId, SlotSet, message::Publication};
use slotbus_wire::resp::Reply;

/// One thing to do to data or clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataEffect {
    /// Replicate this primary.
    Follow {
        /// Whom.
        primary: NodeId,
        /// Where.
        address: Address,
        /// Its shard. What is here is of its past if it is that of the primary so far.
        shard: NodeId,
    },
    /// Replicate nobody.
    Lead,
    /// Hold back writes until this instant.
    PauseWrites {
        /// The instant.
        until: Millis,
    },
    /// Let clients write again.
    ResumeWrites,
    /// Delete the keys of these slots.
    DropKeys(SlotSet<CLUSTER_SLOTS>),
    /// Delete all keys.
    DropAllKeys,
    /// Hand a message to the subscribers of its channel.
    Deliver {
        /// What to whom.
        publication: Publication,
        /// Whether the channel is a sharded one.
        is_sharded: bool,
    },
}

impl Server {
    /// Does what the bus has gathered, until there is nothing more.
    pub fn settle(&mut self) {
        let effects = self.bus.as_mut().map(crate::bus::Bus::take_data_effects).unwrap_or_default();
        for effect in effects {
            self.perform(effect);
        }
        self.tell_bus();
        let has_moved = self.bus.as_ref().is_some_and(|bus| bus.steps() != self.settled_steps);
        if has_moved {
            self.end_unserved_subscriptions();
            self.end_unserved_waits();
            self.settled_steps = self.bus.as_ref().map_or(0, crate::bus::Bus::steps);
        }
    }

    /// Hands a message to who listens to its channel; says how many those are. `session` is that of
    /// the client that sends it, if one does.
    pub fn deliver(&mut self, mut session: Option<&mut Session>, publication: &Publication, is_sharded: bool) -> usize {
        if self.subscriptions.is_empty() {
            return 0;
        }
        let receivers = self.subscriptions.receivers(publication, is_sharded);
        let count = receivers.len();
        for (key, message) in receivers {
            match session.as_mut().filter(|session| session.key == key) {
                Some(session) => session.pushes.push(message),
                None => self.push(key, &message),
            }
        }
        count
    }

    /// Sends a client what it did not ask for just now. One that does not read enough of it is cut off.
    pub fn push(&mut self, key: Key, message: &Reply<'_>) {
        let Some(client) = self.clients.get_mut(key) else { return };
        client.push(message);
        self.ready.insert(key);
        if client.is_overfull(self.limits.subscriber_output, self.now) {
            self.end_overfull(key);
        }
    }

    /// Ends clients that have not read enough for too long. Replicas are the replication machine's.
    pub fn end_deaf(&mut self) {
        let (limits, now) = (self.limits, self.now);
        let mut overfull = Vec::new();
        for (key, client) in self.clients.iter_mut().filter(|(_, client)| !client.session.is_replica) {
            let listens = self.subscriptions.has_any(key);
            if client.is_overfull(if listens { limits.subscriber_output } else { limits.output }, now) {
                overfull.push(key);
            }
        }
        overfull.into_iter().for_each(|key| self.end_overfull(key));
    }

    fn end_overfull(&mut self, key: Key) {
        let Some(client) = self.clients.get(key) else { return };
        let line = client.session.line(client.held(), client.waiting(), self.now, &self.subscriptions);
        self.log.warning(format_args!(
            "Client {} scheduled to be closed ASAP for overcoming of output buffer limits.",
            line.trim_end()
        ));
        self.doomed.push(key);
    }

    /// Ends subscriptions to channels of shards that this node serves no more.
    fn end_unserved_subscriptions(&mut self) {
        let Some(bus) = &self.bus else { return };
        if self.subscriptions.is_empty() {
            return;
        }
        let node = bus.node();
        let is_served = |slot| {
            let owner = node.owners().get(slot);
            owner.is_some_and(|owner| owner == node.me() || node.my_primary() == Some(owner))
        };
        for (key, name) in self.subscriptions.drop_unserved(is_served) {
            let count = self.subscriptions.count(key, Kind::Shard);
            let words = vec![Reply::text(Kind::Shard.ended()), Reply::bulk(name.into_vec()), Reply::count(count)];
            self.push(key, &Reply::Push(words));
        }
    }

    fn perform(&mut self, effect: DataEffect) {
        match effect {
            DataEffect::Follow { primary, address, shard } => self.follow(primary, address, shard),
            DataEffect::Lead => self.lead(),
            DataEffect::PauseWrites { until } => self.pause.begin_failover(until),
            DataEffect::ResumeWrites => {
                self.pause.end_failover();
                self.releases_held = true;
            }
            DataEffect::DropKeys(slots) => {
                let mut count = 0;
                for slot in slots.iter() {
                    let keys = self.store.keys_in_slot(slot, usize::MAX).into_iter().map(<[u8]>::to_vec);
                    let keys: Vec<Vec<u8>> = keys.collect();
                    self.record_drops(keys.iter().map(Vec::as_slice));
                    count += self.store.clear_slot(slot);
                }
                self.end_unit(None);
                self.log.notice(format_args!("{count} keys of slots that other nodes own now were deleted"));
            }
            DataEffect::DropAllKeys => {
                self.store.clear();
                self.record_clearing();
                self.end_unit(None);
            }
            DataEffect::Deliver { publication, is_sharded } => {
                self.deliver(None, &publication, is_sharded);
            }
        }
    }
}
