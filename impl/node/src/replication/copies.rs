//! Owns copies of all keys on their way to replicas: one at a time, of one instant, to all that wait
//! for one. The slowest of them sets the pace.
//!
//! Must not fork, nor keep the copy, but for those that must know its length before its first byte.

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
    /// Those that are sent each part at once, and a mark behind the last.
    marked: Vec<Key>,
    /// Those that are sent its length first.
    counted: Vec<Key>,
    /// All parts so far, if there are any of those.
    whole: Vec<u8>,
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

/// Bytes that no copy ends with.
fn fresh_mark() -> [u8; 40] {
    std::array::from_fn(|_| fastrand::alphanumeric() as u8)
}

/// What comes before a copy that ends with a mark.
fn announced(mark: &[u8; 40]) -> Vec<u8> {
    [b"$EOF:".as_slice(), mark, b"\r\n"].concat()
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

    /// Sends a copy that has no keys: what is left are the libraries of functions.
    pub(super) fn send_empty_copy(&mut self, replica: ReplicaId) {
        let (mark, mut copy) = (fresh_mark(), Vec::new());
        rdb::put_header(&mut copy, self.header());
        self.store.put_libraries(&mut copy);
        let mut checksum = Checksum::default();
        checksum.update(&copy);
        rdb::put_end(&mut copy, Some(checksum));
        self.put_before_stream(client_key(replica), &[&announced(&mark), &copy, mark.as_slice()].concat());
        self.replicate(Event::Copied { replica });
    }

    pub(super) fn begin_copy(&mut self, marked: &[ReplicaId], counted: &[ReplicaId]) {
        let mark = fresh_mark();
        let [marked, counted] = [marked, counted].map(|ids| ids.iter().copied().map(client_key).collect::<Vec<Key>>());
        self.log.notice(format_args!("Starting to send all keys to {} replicas", marked.len() + counted.len()));
        self.store.begin_image();
        let checksum = Checksum::default();
        let mut copy = UnderWay { marked, counted, whole: Vec::new(), mark, checksum, is_held: false };
        copy.marked.iter().for_each(|key| self.put_before_stream(*key, &announced(&mark)));
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
        self.put_copy(copy, bytes);
    }

    fn put_copy(&mut self, copy: &mut UnderWay, bytes: &[u8]) {
        copy.marked.iter().for_each(|key| self.put_before_stream(*key, bytes));
        if !copy.counted.is_empty() {
            copy.whole.extend_from_slice(bytes);
        }
    }

    /// Goes on with the copy that is under way.
    pub fn go_on_copying(&mut self) {
        let Some(mut copy) = self.replication.copies.under_way.take() else { return };
        for replicas in [&mut copy.marked, &mut copy.counted] {
            replicas.retain(|key| self.clients.get(*key).is_some() && !self.doomed.contains(key));
        }
        if copy.marked.is_empty() && copy.counted.is_empty() {
            return self.store.end_image();
        }
        if !self.store.has_image() {
            self.log.warning(format_args!("Sending all keys is given up: they were dropped meanwhile"));
            return self.replicate(Event::CopyFailed);
        }
        let waiting = copy.marked.iter().filter_map(|key| self.clients.get(*key)).map(|client| client.waiting());
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

    fn finish_copy(&mut self, mut copy: UnderWay) {
        let mut end = Vec::new();
        rdb::put_end(&mut end, Some(std::mem::take(&mut copy.checksum)));
        self.put_copy(&mut copy, &end);
        let UnderWay { marked, counted, whole, mark, .. } = copy;
        for key in &marked {
            self.put_before_stream(*key, &mark);
        }
        for key in &counted {
            self.put_before_stream(*key, format!("${}\r\n", whole.len()).as_bytes());
            self.put_before_stream(*key, &whole);
        }
        for key in marked.into_iter().chain(counted) {
            self.replicate(Event::Copied { replica: super::replica_id(key) });
        }
    }
}
