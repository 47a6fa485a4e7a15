//! Owns how replicas are served: as clients whose connection carries, behind what they are told, the
//! stream of writes.
//!
//! Must not decide what a replica gets: that is the machine's.

use super::{client_key, replica_id};
use crate::{
    client::{ReplyMode, Session},
    server::Server,
    slab::Key,
};
use slotbus_replication::{Effect, Event, Replica, ReplicaId};
use slotbus_wire::resp::Reply;

impl Server {
    /// A replica asks for the stream. What it is told at once is told before anything else.
    pub fn begin_serving_replica(&mut self, session: &mut Session, event: Event<'_>) {
        let id = replica_id(session.key);
        let mut is_refused = false;
        for effect in self.replication.machine.step(self.now, event) {
            // The client that is served is out of its place: what it is told goes with its reply.
            if let Effect::Answer { replica, bytes } = &effect
                && *replica == id
            {
                let answer = answer(bytes);
                is_refused |= answer.is_error();
                session.pushes.push(answer);
            } else {
                self.perform_one(effect);
            }
        }
        if !is_refused {
            session.is_replica = true;
            // What follows is the stream, among which no reply may stand.
            session.reply_mode = ReplyMode::Off;
        }
    }

    /// Sends a replica what is not of the stream.
    pub(super) fn put_before_stream(&mut self, key: Key, bytes: &[u8]) {
        if let Some(client) = self.clients.get_mut(key) {
            client.put(bytes);
            self.ready.insert(key);
        }
    }

    /// Sends replicas what is new in the stream, and the primary what waits for it.
    pub fn send_stream(&mut self) {
        if self.replication.acks_wanted && !self.pause.is_for_failover(self.now) {
            self.replication.acks_wanted = false;
            self.replicate(Event::AcksWanted);
        }
        for replica in self.replication.machine.lagging() {
            self.send_to_replica(client_key(replica));
        }
        self.release_held_replies();
        self.flush_primary();
    }

    /// Whether a client's replies are held: what it wrote must be on its way to a replica before it is
    /// acknowledged, and what anybody wrote in the append-only file.
    #[must_use]
    pub fn must_hold(&self, session: &Session) -> bool {
        session.written > self.replication.safe_until || self.aof.holds_replies() || self.must_end()
    }

    /// Takes note of how much of the stream is safe.
    pub(super) fn note_what_is_safe(&mut self) {
        self.replication.safe_until = self.replication.machine.safe_until(self.now);
    }

    /// Lets out the replies that need be held no more.
    fn release_held_replies(&mut self) {
        self.note_what_is_safe();
        if self.replication.held.is_empty() {
            return;
        }
        let mut held = std::mem::take(&mut self.replication.held);
        held.retain(|key| {
            let is_held = self.clients.get(*key).is_some_and(|client| self.must_hold(&client.session));
            if !is_held {
                self.ready.insert(*key);
            }
            is_held
        });
        self.replication.held = held;
    }

    fn send_to_replica(&mut self, key: Key) {
        let Some(mut client) = self.clients.take_out(key) else { return };
        if client.flush(self).is_err() {
            self.doomed.push(key);
        }
        self.clients.put_back(key, client);
    }

    /// Where a replica is, as it says or as its connection shows.
    #[must_use]
    pub fn replica_ip(&self, id: ReplicaId, replica: &Replica) -> String {
        let remote = || self.clients.get(client_key(id)).and_then(|client| client.session.remote);
        let seen = || remote().map_or_else(String::new, |remote| remote.ip().to_canonical().to_string());
        replica.ip.clone().unwrap_or_else(seen)
    }

    /// A replica takes what it is sent.
    pub fn heard_of(&mut self, session: &Session) {
        if session.is_replica {
            self.replicate(Event::Heard { replica: replica_id(session.key) });
        }
    }
}

/// A line of the machine as a reply.
fn answer(line: &[u8]) -> Reply<'static> {
    let text = String::from_utf8_lossy(line.trim_ascii_end()).into_owned();
    match text.strip_prefix('-') {
        Some(error) => Reply::error(error.to_owned()),
        None => Reply::status(text.trim_start_matches('+').to_owned()),
    }
}
