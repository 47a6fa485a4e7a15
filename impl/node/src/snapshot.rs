//! Owns the file of a snapshot: how it is written by a thread that has nothing else to do, and how it
//! is read at the start.
//!
//! Must not know when to save: that is `saves`. The former file stays until the new one is complete.

use crate::{
    log::reason,
    store::{Store, entry::Entry, value::Value},
};
use slotbus_wire::rdb::{self, Checksum, Fault, Record, RecordReader};
use std::{
    fmt,
    fs::{self, File},
    io::{self, ErrorKind, Read, Write},
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel},
    thread,
};

/// So many pieces wait for the disk at most.
const PIECES_MAX: usize = 16;
/// Read at once, and as much more as one key turns out to need.
const CHUNK_BYTES: usize = 1024 * 1024;

enum Piece {
    Bytes(Vec<u8>),
    End,
}

/// A file that is being written.
pub struct SnapshotWriter {
    pieces: SyncSender<Piece>,
    outcome: Receiver<io::Result<()>>,
}

impl fmt::Debug for SnapshotWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SnapshotWriter")
    }
}

impl SnapshotWriter {
    /// Begins to write a file that takes the place of the one at `path` once it is complete.
    pub fn start(path: PathBuf, has_checksum: bool) -> io::Result<Self> {
        let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
        let temporary = folder.join(format!("temp-{}.rdb", std::process::id()));
        let file = File::create(&temporary)?;
        let (pieces, incoming) = sync_channel(PIECES_MAX);
        let (told, outcome) = sync_channel(1);
        thread::Builder::new().name("snapshot".into()).spawn(move || {
            let written = write_all(file, &incoming, has_checksum)
                .and_then(|is_complete| if is_complete { put_in_place(&temporary, &path, &folder) } else { Ok(()) });
            // Whatever is left of a file that is not complete is of no use.
            let _ = fs::remove_file(&temporary);
            // Nobody asks any more once the process is about to end.
            let _ = told.send(written);
        })?;
        Ok(Self { pieces, outcome })
    }

    /// Hands on bytes; gives them back if too many wait already.
    pub fn offer(&self, bytes: Vec<u8>) -> Option<Vec<u8>> {
        match self.pieces.try_send(Piece::Bytes(bytes)) {
            Err(TrySendError::Full(Piece::Bytes(bytes))) => Some(bytes),
            // Why the thread has ended is told by the outcome.
            Ok(()) | Err(TrySendError::Full(Piece::End) | TrySendError::Disconnected(_)) => None,
        }
    }

    /// Hands on bytes, and waits until there is room for them.
    pub fn send(&self, bytes: Vec<u8>) {
        // Why the thread has ended is told by the outcome.
        let _ = self.pieces.send(Piece::Bytes(bytes));
    }

    /// Says that nothing follows; false if that has to be said again later.
    #[must_use]
    pub fn finish(&self) -> bool {
        !matches!(self.pieces.try_send(Piece::End), Err(TrySendError::Full(_)))
    }

    /// What came of it, once that is known.
    pub fn poll(&self) -> Option<io::Result<()>> {
        match self.outcome.try_recv() {
            Ok(outcome) => Some(outcome),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(ErrorKind::BrokenPipe.into())),
        }
    }

    /// Says that nothing follows, and waits for what came of it.
    pub fn wait(self) -> io::Result<()> {
        // Why the thread has ended is told by the outcome.
        let _ = self.pieces.send(Piece::End);
        self.outcome.recv().unwrap_or_else(|_| Err(ErrorKind::BrokenPipe.into()))
    }
}

/// Writes all pieces; false if their end never came.
fn write_all(mut file: File, pieces: &Receiver<Piece>, has_checksum: bool) -> io::Result<bool> {
    let mut checksum = Checksum::default();
    loop {
        match pieces.recv() {
            Ok(Piece::Bytes(bytes)) => {
                checksum.update(&bytes);
                file.write_all(&bytes)?;
            }
            Ok(Piece::End) => {
                let mut end = Vec::new();
                rdb::put_end(&mut end, has_checksum.then_some(checksum));
                file.write_all(&end)?;
                file.sync_all()?;
                return Ok(true);
            }
            Err(_) => return Ok(false),
        }
    }
}

fn put_in_place(temporary: &Path, path: &Path, folder: &Path) -> io::Result<()> {
    fs::rename(temporary, path)?;
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(folder)?.sync_all()
}

/// Reads a file into the store; says how many keys came in, and none if there is no file. An error says
/// what is wrong, as redis-server does, and leaves the file as it is.
pub fn load(path: &Path, store: &mut Store) -> Result<Option<usize>, String> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("Fatal error loading the DB: {}. Exiting.", reason(&error))),
    };
    let mut loader = Loader { store, reader: RecordReader::default(), checksum: Checksum::default(), database: 0 };
    let (mut held, mut wanted) = (Vec::new(), CHUNK_BYTES);
    loop {
        let is_end = fill(&mut file, &mut held, wanted)
            .map_err(|error| format!("Fatal error loading the DB: {}. Exiting.", reason(&error)))?;
        let (used, is_done) = loader.take(&held)?;
        if is_done {
            return Ok(Some(loader.store.len()));
        }
        if is_end {
            return Err("Short read or OOM loading DB. Unrecoverable error, aborting now.".into());
        }
        held.drain(..used);
        // A key that does not fit is tried again with twice as much.
        wanted = if used == 0 { held.len() * 2 } else { CHUNK_BYTES };
    }
}

/// Reads until so many bytes are held; true if the file has no more.
fn fill(file: &mut File, held: &mut Vec<u8>, wanted: usize) -> io::Result<bool> {
    let missing = wanted.saturating_sub(held.len()).max(1) as u64;
    let read = file.take(missing).read_to_end(held)?;
    Ok((read as u64) < missing)
}

struct Loader<'s> {
    store: &'s mut Store,
    reader: RecordReader,
    checksum: Checksum,
    database: u64,
}

impl Loader<'_> {
    /// Takes as many records as are complete; says how many bytes those were, and whether the last was the end.
    fn take(&mut self, bytes: &[u8]) -> Result<(usize, bool), String> {
        let mut used = 0;
        loop {
            match self.reader.read(&bytes[used..]) {
                Err(Fault::Short) => return Ok((used, false)),
                Err(fault @ (Fault::Bad(_) | Fault::OfModule)) => {
                    return Err(format!(
                        "Bad file format reading the snapshot: {fault}. Unrecoverable error, aborting now."
                    ));
                }
                Ok((Record::End(told), _)) => {
                    self.checksum.update(&bytes[used..=used]);
                    return check_end(told, self.checksum.value()).map(|()| (used, true));
                }
                Ok((record, length)) => {
                    self.checksum.update(&bytes[used..used + length]);
                    used += length;
                    self.put(record)?;
                }
            }
        }
    }

    fn put(&mut self, record: Record) -> Result<(), String> {
        match record {
            Record::Head(_) | Record::Aux(..) | Record::Sizes(..) | Record::End(_) => Ok(()),
            Record::Function(library) => {
                self.store.functions.push(library);
                Ok(())
            }
            Record::Database(number) => {
                self.database = number;
                Ok(())
            }
            Record::Entry(entry) => self.put_entry(*entry),
        }
    }

    fn put_entry(&mut self, entry: rdb::Entry) -> Result<(), String> {
        let key = String::from_utf8_lossy(&entry.key).into_owned();
        if self.database != 0 {
            let database = self.database;
            return Err(format!("The snapshot holds key '{key}' in database {database}, and this node has one only"));
        }
        let end = entry.expires_ms.map(slotbus_core::Millis);
        if end.is_some_and(|end| end <= self.store.now) {
            return Ok(());
        }
        let value = Value::of_snapshot(entry.value, &self.store.limits).ok_or_else(|| {
            format!("The value of key '{key}' contradicts itself. Unrecoverable error, aborting now.")
        })?;
        if self.store.contains(&entry.key, self.store.now) {
            return Err(format!("RDB has duplicated key '{key}' in DB 0"));
        }
        self.store.put_entry(Entry::new(&entry.key, value, end, self.store.eviction.fresh(self.store.now)));
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
