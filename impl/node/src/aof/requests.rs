//! Owns requests as a file has them: how they are written, and which of them make the keys of a snapshot.
//!
//! Must not know files, nor carry anything out.

use slotbus_wire::{
    dump,
    number::format_score,
    rdb::{Body, Entry, Fault, Record, RecordReader, Value},
    resp::{Protocol, Reply},
};
use std::{
    borrow::Cow,
    io::{self, ErrorKind},
};

/// So many items at most are added by one request.
const ITEMS_MAX: usize = 64;

type Word<'w> = Cow<'w, [u8]>;

/// Adds a request: it has the form of an array of byte strings.
pub fn put<'w>(out: &mut Vec<u8>, words: impl IntoIterator<Item = impl Into<Word<'w>>>) {
    Reply::Array(words.into_iter().map(|word| Reply::Bulk(word.into())).collect()).encode(Protocol::Two, out);
}

/// Makes requests of a snapshot, as it arrives.
#[derive(Debug, Default)]
pub struct Translator {
    reader: RecordReader,
    /// The beginning of a record that is not complete.
    held: Vec<u8>,
}

impl Translator {
    /// Takes the next bytes of the snapshot, and makes requests of all that is complete.
    pub fn take(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        self.held.extend_from_slice(bytes);
        let (mut out, mut used) = (Vec::new(), 0);
        loop {
            match self.reader.read(&self.held[used..]) {
                Ok((record, length)) => {
                    used += length;
                    put_record(&mut out, record);
                }
                Err(Fault::Short) => break,
                Err(fault @ (Fault::Bad(_) | Fault::OfModule)) => return Err(io::Error::other(fault.to_string())),
            }
        }
        self.held.drain(..used);
        Ok(out)
    }

    /// Nothing follows: what has come must have been complete.
    pub fn finish(self) -> io::Result<()> {
        if self.held.is_empty() { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
    }
}

fn put_record(out: &mut Vec<u8>, record: Record) {
    match record {
        Record::Head(_) => put(out, ["SELECT", "0"].map(str::as_bytes)),
        Record::Function(library) => put(out, [b"FUNCTION".as_slice(), b"LOAD", &library]),
        Record::Entry(entry) => put_entry(out, &entry),
        Record::Aux(..) | Record::Sizes(..) | Record::Database(_) | Record::End(_) => {}
    }
}

fn put_entry(out: &mut Vec<u8>, entry: &Entry) {
    let key = entry.key.as_slice();
    match &entry.value {
        Value::String(text) => put(out, [b"SET".as_slice(), key, text]),
        Value::List(packs) => {
            put_items(out, "RPUSH", key, 1, packs.iter().flat_map(|pack| pack.iter().map(|(_, item)| item.text())));
        }
        Value::IntSet(set) => put_items(out, "SADD", key, 1, set.iter().map(|number| text(number.to_string()))),
        Value::Set(members) => put_items(out, "SADD", key, 1, members.iter().map(Word::from)),
        Value::PackedHash(pack) => put_items(out, "HSET", key, 2, pack.iter().map(|(_, item)| item.text())),
        Value::Hash(fields) => {
            put_items(out, "HSET", key, 2, fields.iter().flat_map(|(field, value)| [field, value]).map(Word::from));
        }
        Value::PackedSortedSet(pack) => {
            put_items(out, "ZADD", key, 2, pack.pairs().flat_map(|(_, member, score)| [score.text(), member.text()]));
        }
        Value::SortedSet(members) => {
            let pairs = members.iter().flat_map(|(member, score)| [text(format_score(*score)), member.into()]);
            put_items(out, "ZADD", key, 2, pairs);
        }
        // No request but this tells all that a stream holds: who was seen when, for one.
        Value::Stream(stream) => put_payload(out, key, Body::Stream(stream)),
        Value::Foreign(kind, bytes) => put_payload(out, key, Body::Foreign(*kind, bytes)),
    }
    if let Some(end) = entry.expires_ms {
        put(out, [b"PEXPIREAT".as_slice(), key, end.to_string().as_bytes()]);
    }
}

fn put_payload(out: &mut Vec<u8>, key: &[u8], body: Body<'_>) {
    put(out, [b"RESTORE".as_slice(), key, b"0", &dump::dump(body, false)]);
}

/// Adds items to a collection, so many at once; an item has one word, or two.
fn put_items<'w>(out: &mut Vec<u8>, name: &str, key: &[u8], width: usize, words: impl Iterator<Item = Word<'w>>) {
    let words: Vec<Word<'w>> = words.collect();
    for words in words.chunks(ITEMS_MAX * width) {
        let head = [name.as_bytes(), key].map(Word::from);
        put(out, head.into_iter().chain(words.iter().cloned()));
    }
}

fn text(text: String) -> Word<'static> {
    Word::from(text.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::Translator;
    use crate::store::{Expiry, Store};
    use slotbus_core::Millis;
    use slotbus_wire::rdb::{self, Header};

    #[test]
    fn keys_come_about_by_requests_however_the_snapshot_is_cut() {
        let mut store = Store::default();
        store.set(b"a", b"1", Expiry::At(Millis(5000)));
        let mut snapshot = Vec::new();
        rdb::put_header(
            &mut snapshot,
            Header { version: "7", created_s: 0, used_memory: 0, stream: None, is_base: true },
        );
        store.begin_image();
        while store.go_on_with_image(1000, 20_000) {}
        snapshot.extend(store.take_image_bytes());
        rdb::put_end(&mut snapshot, None);
        for size in [1, 7, 1000] {
            let mut translator = Translator::default();
            let requests = snapshot.chunks(size).flat_map(|bytes| translator.take(bytes).expect("sound"));
            assert_eq!(
                String::from_utf8(requests.collect()).expect("text"),
                "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n\
                 *3\r\n$9\r\nPEXPIREAT\r\n$1\r\na\r\n$4\r\n5000\r\n"
            );
        }
    }
}
