//! Owns how a snapshot is read, from a file at the start or as it arrives.
//!
//! Must not know how one is written: that is `image_file`.

use crate::{
    log::reason,
    store::{Store, entry::Entry, value::Value},
};
use slotbus_replication::StreamId;
use slotbus_wire::{
    rdb::{self, Checksum, Fault, Record, RecordReader},
    resp::parse_i64,
};
use std::{
    fs::File,
    io::{ErrorKind, Read},
    path::Path,
};

/// Read at once.
const CHUNK_BYTES: usize = 1024 * 1024;

/// What came in from a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// How many keys.
    pub keys: usize,
    /// The place in the stream of writes at which they were saved, if it is known.
    pub stream: Option<(StreamId, u64)>,
}

/// Reads a file into the store; none if there is no file. An error says what is wrong, as redis-server
/// does, and leaves the file as it is.
pub fn load(path: &Path, store: &mut Store) -> Result<Option<Loaded>, String> {
    load_by(Loader::default(), path, store)
}

/// The same, but that what is there already gives way.
pub(crate) fn merge(path: &Path, store: &mut Store) -> Result<Option<Loaded>, String> {
    load_by(Loader { merges: true, ..Loader::default() }, path, store)
}

fn load_by(mut loader: Loader, path: &Path, store: &mut Store) -> Result<Option<Loaded>, String> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("Fatal error loading the DB: {}. Exiting.", reason(&error))),
    };
    let mut chunk = vec![0; CHUNK_BYTES];
    while !loader.is_complete {
        match file.read(&mut chunk) {
            Ok(0) if loader.finish(store)? => {}
            Ok(0) => return Err("Short read or OOM loading DB. Unrecoverable error, aborting now.".into()),
            Ok(count) => loader.take(store, &chunk[..count])?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(format!("Fatal error loading the DB: {}. Exiting.", reason(&error))),
        }
    }
    Ok(Some(Loaded { keys: store.len(), stream: loader.stream() }))
}

/// Puts the keys of a snapshot into a store, as they arrive.
#[derive(Debug, Default)]
pub struct Loader {
    reader: RecordReader,
    checksum: Checksum,
    database: u64,
    /// The beginning of a record that is not complete, and more behind it.
    held: Vec<u8>,
    /// So much has to be held before it is worth another attempt.
    wanted: usize,
    is_complete: bool,
    /// Whether what is there already gives way; else it must not be there.
    merges: bool,
    stream_id: Option<StreamId>,
    stream_offset: Option<u64>,
}

impl Loader {
    /// Takes the next bytes. An error says what is wrong, as redis-server does.
    pub fn take(&mut self, store: &mut Store, bytes: &[u8]) -> Result<(), String> {
        self.held.extend_from_slice(bytes);
        if self.held.len() < self.wanted { Ok(()) } else { self.take_held(store) }
    }

    /// No more bytes follow; whether those that came were complete.
    pub fn finish(&mut self, store: &mut Store) -> Result<bool, String> {
        self.take_held(store)?;
        Ok(self.is_complete)
    }

    /// Whether all keys have arrived.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// What has come behind the end of the keys.
    #[must_use]
    pub fn into_tail(self) -> Vec<u8> {
        self.held
    }

    fn take_held(&mut self, store: &mut Store) -> Result<(), String> {
        if self.is_complete {
            return Ok(());
        }
        let held = std::mem::take(&mut self.held);
        let (used, is_complete) = self.take_records(store, &held)?;
        self.is_complete = is_complete;
        self.held = held;
        self.held.drain(..used);
        // A key that is not complete is tried again with twice as much.
        self.wanted = if used == 0 { self.held.len() * 2 } else { 0 };
        Ok(())
    }

    /// The place in the stream of writes at which the snapshot was made, if it tells.
    #[must_use]
    pub fn stream(&self) -> Option<(StreamId, u64)> {
        self.stream_id.zip(self.stream_offset)
    }

    /// Takes as many records as are complete; says how many bytes those were, and whether the last was the end.
    fn take_records(&mut self, store: &mut Store, bytes: &[u8]) -> Result<(usize, bool), String> {
        let mut used = 0;
        loop {
            match self.reader.read(&bytes[used..]) {
                Err(Fault::Short) => return Ok((used, false)),
                Err(fault @ (Fault::Bad(_) | Fault::OfModule)) => {
                    return Err(format!(
                        "Bad file format reading the snapshot: {fault}. Unrecoverable error, aborting now."
                    ));
                }
                Ok((Record::End(told), length)) => {
                    self.checksum.update(&bytes[used..=used]);
                    return check_end(told, self.checksum.value()).map(|()| (used + length, true));
                }
                Ok((record, length)) => {
                    self.checksum.update(&bytes[used..used + length]);
                    used += length;
                    self.put(store, record)?;
                }
            }
        }
    }

    fn put(&mut self, store: &mut Store, record: Record) -> Result<(), String> {
        match record {
            Record::Head(_) | Record::Sizes(..) | Record::End(_) => {}
            Record::Aux(name, value) => self.note(&name, &value),
            Record::Function(text) => {
                let outcome = store.libraries.put(&text, self.merges);
                outcome.map_err(|fault| format!("Failed loading a library of functions: {fault}"))?;
            }
            Record::Database(number) => self.database = number,
            Record::Entry(entry) => self.put_entry(store, *entry)?,
        }
        Ok(())
    }

    fn note(&mut self, name: &[u8], value: &[u8]) {
        match name {
            b"repl-id" => self.stream_id = StreamId::parse(value),
            b"repl-offset" => {
                self.stream_offset = parse_i64(value).and_then(|offset| u64::try_from(offset).ok());
            }
            _ => {}
        }
    }

    fn put_entry(&self, store: &mut Store, entry: rdb::Entry) -> Result<(), String> {
        let key = String::from_utf8_lossy(&entry.key).into_owned();
        if self.database != 0 {
            let database = self.database;
            return Err(format!("The snapshot holds key '{key}' in database {database}, and this node has one only"));
        }
        let end = entry.expires_ms.map(slotbus_core::Millis);
        if end.is_some_and(|end| end <= store.now) {
            return Ok(());
        }
        let value = Value::of_snapshot(entry.value, &store.limits).ok_or_else(|| {
            format!("The value of key '{key}' contradicts itself. Unrecoverable error, aborting now.")
        })?;
        if store.contains(&entry.key, store.now) && !(self.merges && store.remove(&entry.key)) {
            return Err(format!("RDB has duplicated key '{key}' in DB 0"));
        }
        store.put_entry(Entry::new(&entry.key, value, end, store.fresh_use()));
        Ok(())
    }
}

fn check_end(told: Option<u64>, counted: u64) -> Result<(), String> {
    match told {
        None | Some(0) => Ok(()),
        Some(told) if told == counted => Ok(()),
        Some(told) => Err(format!("Wrong RDB checksum expected: ({counted:x}) but got ({told:x}). Aborting now.")),
    }
}
