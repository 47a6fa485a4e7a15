//! Owns copies of all keys on their way to replicas: one at a time, of one instant, to all that wait
//! for one. The slowest of them sets the pace.
//!
//! Must not fork, nor keep the copy.

use super::client_key;
use crate::{commands::REDIS_VERSION, server::Server, slab::Key};
use slotbus_replication::{Event, ReplicaId};
use slotbus_wire::rdb::{self, Checksum, Header};

/// The copy grows by about so much, or visits so many slots, before others get their turn.
const BYTES_MAX: usize = 128 * 1024;
const SLOTS_MAX: usize = 256;
/// Nothing is added while more than this waits for a replica.
const WAITING_MAX: usize = 512 * 1024;

#[derive(Debug)]
struct UnderWay {
    replicas: Vec<Key>,
    mark: [u8; 40],
    checksum: Checksum,
    /// Whether a replica has to read before it goes on.
    is_held: bool,
}

/// The copy that is under way, if there is one.
#[derive(Debug, Default)]
pub(super) struct Copies {
    under_way: Option<UnderWay>,
}

impl Copies {
    pub(super) fn has_more(&self) -> bool {
        self.under_way.as_ref().is_some_and(|copy| !copy.is_held)
    }
}

impl Server {
    /// Whether a copy could be begun.
    pub(super) fn can_copy(&self) -> bool {
        self.replication.copies.under_way.is_none() && !self.store.has_image()
    }

    pub(super) fn begin_copy(&mut self, replicas: &[ReplicaId]) {
        let mark = std::array::from_fn(|_| fastrand::alphanumeric() as u8);
        let replicas: Vec<Key> = replicas.iter().map(|replica| client_key(*replica)).collect();
        self.log.notice(format_args!("Starting to send all keys to {} replicas", replicas.len()));
        self.store.begin_image();
        let mut copy = UnderWay { replicas, mark, checksum: Checksum::default(), is_held: false };
        let announcement = [b"$EOF:".as_slice(), &mark, b"\r\n"].concat();
        copy.replicas.iter().for_each(|key| self.put_before_stream(*key, &announcement));
        let mut head = Vec::new();
        rdb::put_header(&mut head, self.header());
        self.extend_copy(&mut copy, &head);
        self.replication.copies.under_way = Some(copy);
    }

    /// What the head of a copy tells.
    pub(crate) fn header(&self) -> Header<'static> {
        Header {
            version: REDIS_VERSION,
            created_s: self.now.0 / 1000,
            used_memory: self.store.bytes() as u64,
            stream: self.replication.place().map(|(id, offset)| (id.to_string(), offset)),
            is_base: false,
        }
    }

    fn extend_copy(&mut self, copy: &mut UnderWay, bytes: &[u8]) {
        copy.checksum.update(bytes);
        copy.replicas.iter().for_each(|key| self.put_before_stream(*key, bytes));
    }

    /// Goes on with the copy that is under way.
    pub fn go_on_copying(&mut self) {
        let Some(mut copy) = self.replication.copies.under_way.take() else { return };
        copy.replicas.retain(|key| self.clients.get(*key).is_some() && !self.doomed.contains(key));
        if copy.replicas.is_empty() {
            return self.store.end_image();
        }
        if !self.store.has_image() {
            self.log.warning(format_args!("Sending all keys is given up: they were dropped meanwhile"));
            return self.replicate(Event::CopyFailed);
        }
        let waiting = copy.replicas.iter().filter_map(|key| self.clients.get(*key)).map(|client| client.waiting());
        copy.is_held = waiting.max().unwrap_or_default() > WAITING_MAX;
        if copy.is_held {
            self.replication.copies.under_way = Some(copy);
            return;
        }
        let has_more = self.store.go_on_with_image(BYTES_MAX, SLOTS_MAX);
        let bytes = self.store.take_image_bytes();
        self.extend_copy(&mut copy, &bytes);
        if has_more {
            self.replication.copies.under_way = Some(copy);
        } else {
            self.store.end_image();
            self.finish_copy(copy);
        }
    }

    fn finish_copy(&mut self, copy: UnderWay) {
        let UnderWay { replicas, mark, checksum, is_held: _ } = copy;
        let mut end = Vec::new();
        rdb::put_end(&mut end, Some(checksum));
        end.extend_from_slice(&mark);
        for key in replicas {
            self.put_before_stream(key, &end);
            self.replicate(Event::Copied { replica: super::replica_id(key) });
        }
    }
}
