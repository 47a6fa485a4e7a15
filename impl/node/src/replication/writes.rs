//! Owns how writes of this node get into the stream and the append-only file: each as a request that does the same on any copy of
//! the keys, and what belongs together as one transaction.
//!
//! Must not know who reads the stream.

use super::rewrite::{self, Form};
use crate::{aof::requests, client::Session, command::Command, server::Server, waiters::Wish};
use slotbus_replication::Event;
use slotbus_wire::resp::{Args, OwnedArgs, Reply};

/// Writes that are not in the stream yet, as requests.
#[derive(Debug, Default)]
pub struct Writes {
    bytes: Vec<u8>,
    count: usize,
}

impl Writes {
    fn add<'w>(&mut self, words: impl IntoIterator<Item = &'w [u8]>) {
        requests::put(&mut self.bytes, words);
        self.count += 1;
    }

    /// Whether all writes are in the stream.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Takes all of them: as a transaction, if there are several.
    fn take(&mut self) -> Vec<u8> {
        let bytes = std::mem::take(&mut self.bytes);
        if std::mem::take(&mut self.count) < 2 {
            return bytes;
        }
        [b"*1\r\n$5\r\nMULTI\r\n".as_slice(), &bytes, b"*1\r\n$4\r\nEXEC\r\n"].concat()
    }
}

impl Server {
    /// Whether writes go into a stream of this node's own.
    fn is_streaming(&self) -> bool {
        self.replication.machine.is_active() && self.replication.machine.upstream().is_none()
    }

    /// Whether writes are told to anybody: to replicas, or to the append-only file.
    #[must_use]
    pub fn is_recording(&self) -> bool {
        self.is_streaming() || self.aof.is_on()
    }

    /// Records what a command has done, and before it the keys that were lost on its way.
    pub fn record(&mut self, command: &Command, args: Args<'_>, reply: &Reply<'_>, has_changed: bool) {
        self.record_losses();
        let restated = self.store.news.take_restated();
        if !has_changed || reply.is_error() || !self.scripts.terms.replicates.get() {
            return;
        }
        if !restated.is_empty() {
            return self.add_all(&restated);
        }
        match rewrite::form(command.name, args, reply, &self.store) {
            Form::Same => self.replication.writes.add(args.from(0)),
            Form::Other(words) => self.replication.writes.add(words.iter().map(|word| &**word)),
            Form::Nothing => {}
        }
    }

    /// Records a request that does the same on any node.
    pub fn record_request(&mut self, args: Args<'_>) {
        if self.is_recording() {
            self.replication.writes.add(args.from(0));
        }
    }

    /// Records requests of the primary that were carried out here: they are in the stream already.
    pub(super) fn record_applied(&mut self, requests: &[OwnedArgs]) {
        if self.aof.is_on() {
            requests.iter().for_each(|request| self.replication.writes.add(request.args().from(0)));
        }
    }

    /// Records what a client that waited, or would have, was granted.
    pub fn record_grant(&mut self, wish: &Wish, key: &[u8], granted: &Reply<'_>) {
        if self.is_recording() {
            self.record_losses();
            match wish.as_request(key, granted) {
                Some(words) => self.replication.writes.add(words.iter().map(|word| &**word)),
                None => self.record_restated(),
            }
        }
    }

    /// Records what was done in the words in which that was restated.
    pub fn record_restated(&mut self) {
        let restated = self.store.news.take_restated();
        if self.is_recording() && self.scripts.terms.replicates.get() {
            self.record_losses();
            self.add_all(&restated);
        }
    }

    fn add_all(&mut self, requests: &[Vec<Box<[u8]>>]) {
        requests.iter().for_each(|words| self.replication.writes.add(words.iter().map(|word| &**word)));
    }

    /// Records that keys were dropped.
    pub fn record_drops<'k>(&mut self, keys: impl IntoIterator<Item = &'k [u8]>) {
        if self.is_recording() {
            keys.into_iter().for_each(|key| self.replication.writes.add([b"DEL".as_slice(), key]));
        }
    }

    /// Records that all keys were dropped.
    pub fn record_clearing(&mut self) {
        if self.is_recording() {
            self.replication.writes.add([b"FLUSHALL".as_slice()]);
        }
    }

    fn record_losses(&mut self) {
        if self.store.news.has_lost() {
            let lost = self.store.news.take_lost();
            self.record_drops(lost.iter().map(|key| &**key));
        }
    }

    /// Puts what was recorded into the stream and the append-only file, as one.
    pub fn end_unit(&mut self, session: Option<&mut Session>) {
        self.record_losses();
        if self.replication.writes.is_empty() {
            return;
        }
        let bytes = self.replication.writes.take();
        self.aof.append(&bytes, self.now.0 / 1000);
        if !self.is_streaming() {
            return;
        }
        self.replicate(Event::Produced(&bytes));
        self.note_what_is_safe();
        if let Some(session) = session {
            session.written = self.replication.machine.history().offset;
        }
    }
}
