//! Owns the clients that wait until replicas have what they wrote.
//!
//! Must not know what was written: that is a place in the stream.

use crate::{
    client::{Session, Wait},
    server::Server,
    slab::Key,
};
use slotbus_core::Millis;
use slotbus_wire::resp::Reply;
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug)]
struct AckWait {
    count: usize,
    offset: u64,
    /// None for ever.
    end: Option<Millis>,
}

/// Every client that waits for acknowledgements.
#[derive(Debug, Default)]
pub struct AckWaits(BTreeMap<Key, AckWait>);

impl AckWaits {
    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// When the first of them has waited long enough.
    #[must_use]
    pub fn next_end(&self) -> Option<Millis> {
        self.0.values().filter_map(|wait| wait.end).min()
    }

    /// Has a client wait no more.
    pub fn remove(&mut self, client: Key) {
        self.0.remove(&client);
    }
}

impl Server {
    /// Has a client wait until so many replicas have all that it wrote, for so long at most (0 for ever).
    pub fn wait_for_acks<'e>(&mut self, session: &mut Session, count: usize, timeout_ms: u64) -> Reply<'e> {
        let acked = self.replication.machine.acked_by(session.written);
        // The other replies of a transaction cannot wait for this one.
        if acked >= count || session.is_executing {
            return Reply::count(acked);
        }
        let end = (timeout_ms > 0).then(|| self.now.after(timeout_ms));
        self.replication.waits.0.insert(session.key, AckWait { count, offset: session.written, end });
        self.replication.acks_wanted = true;
        session.waits = Some(Wait::Reply);
        Reply::Silence
    }

    /// Ends the waits for acknowledgements that have come, and those that have lasted long enough.
    pub fn end_ack_waits(&mut self) {
        let (now, machine) = (self.now, &self.replication.machine);
        let over = self.replication.waits.0.iter().filter_map(|(key, wait)| {
            let acked = machine.acked_by(wait.offset);
            let is_over = acked >= wait.count || wait.end.is_some_and(|end| end <= now);
            is_over.then_some((*key, Reply::count(acked)))
        });
        for (key, reply) in over.collect::<Vec<_>>() {
            self.end_ack_wait(key, &reply);
        }
    }

    /// Ends every wait: this node is no primary any more.
    pub(super) fn end_ack_waits_of_primary(&mut self) {
        let reply = Reply::error(
            "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
        );
        let waiting: Vec<Key> = self.replication.waits.0.keys().copied().collect();
        waiting.into_iter().for_each(|key| self.end_ack_wait(key, &reply));
    }

    fn end_ack_wait(&mut self, key: Key, reply: &Reply<'_>) {
        self.replication.waits.remove(key);
        if let Some(client) = self.clients.get_mut(key) {
            client.finish(reply);
            self.ready.insert(key);
        }
    }
}
