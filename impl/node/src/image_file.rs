//! Owns a file of all keys on its way to the disk: the image, as it grows, goes to a thread that has
//! nothing else to do than to write it. The file has its name once it is complete.
//!
//! Must not know when to write one, nor what for: those are `saves` and `aof`.

use crate::{aof::requests::Translator, files, store::Store};
use slotbus_wire::rdb::{self, Checksum, Header};
use std::{
    fmt,
    fs::{self, File},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel},
    thread,
};

/// So many pieces wait for the disk at most.
const PIECES_MAX: usize = 16;
/// The image grows by about so much, or visits so many slots, before others get their turn.
const BYTES_MAX: usize = 128 * 1024;
const SLOTS_MAX: usize = 256;

/// The form in which a file holds the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As a snapshot.
    Snapshot {
        /// With a checksum at its end.
        has_checksum: bool,
    },
    /// As requests that make the keys again.
    Requests,
}

enum Piece {
    Bytes(Vec<u8>),
    End,
}

/// How far a file is.
#[derive(Debug)]
pub enum Progress {
    /// There is more to do.
    UnderWay,
    /// It can never be complete: all keys were dropped before they were in it.
    GivenUp,
    /// This has come of it.
    Done(io::Result<()>),
}

/// A file that is being written.
pub struct ImageFile {
    pieces: SyncSender<Piece>,
    outcome: Receiver<io::Result<()>>,
    /// Bytes for which there was no room.
    held: Option<Vec<u8>>,
    /// Whether all has been handed over.
    is_finished: bool,
}

impl fmt::Debug for ImageFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImageFile").field("is_finished", &self.is_finished).finish_non_exhaustive()
    }
}

impl ImageFile {
    /// Begins to write all keys as they are now.
    pub fn begin(path: PathBuf, form: Form, header: Header<'_>, store: &mut Store) -> io::Result<Self> {
        let temporary = files::temporary(&path);
        let file = File::create(&temporary)?;
        let (pieces, incoming) = sync_channel(PIECES_MAX);
        let (told, outcome) = sync_channel(1);
        thread::Builder::new().name("image".into()).spawn(move || {
            let written = write(file, &temporary, &path, &incoming, Encoder::new(form));
            // Whatever is left of a file that is not complete is of no use.
            let _ = fs::remove_file(&temporary);
            // Nobody asks any more once the process is about to end.
            let _ = told.send(written);
        })?;
        let mut head = Vec::new();
        rdb::put_header(&mut head, header);
        // There is room for the first piece.
        let _ = pieces.send(Piece::Bytes(head));
        store.begin_image();
        Ok(Self { pieces, outcome, held: None, is_finished: false })
    }

    /// Whether there is something to do at once.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.held.is_none() && !self.is_finished
    }

    /// Hands on what the image grows by.
    pub fn go_on(&mut self, store: &mut Store) -> Progress {
        if let Some(outcome) = self.poll() {
            // Once all is handed over, an image that is under way is another one.
            if !self.is_finished {
                store.end_image();
            }
            return Progress::Done(outcome);
        }
        if self.is_finished {
            return Progress::UnderWay;
        }
        if !store.has_image() {
            return Progress::GivenUp;
        }
        match self.held.take() {
            Some(bytes) => self.held = self.offer(bytes),
            None => self.extend(store),
        }
        Progress::UnderWay
    }

    fn extend(&mut self, store: &mut Store) {
        let has_more = store.go_on_with_image(BYTES_MAX, SLOTS_MAX);
        self.held = self.offer(store.take_image_bytes());
        if !has_more && self.held.is_none() {
            self.is_finished = !matches!(self.pieces.try_send(Piece::End), Err(TrySendError::Full(_)));
            if self.is_finished {
                store.end_image();
            }
        }
    }

    /// Writes all that is left before anything else happens.
    pub fn complete(mut self, store: &mut Store) -> io::Result<()> {
        // Why the thread has ended, if it has, is told by the outcome.
        let send = |piece| drop(self.pieces.send(piece));
        if let Some(bytes) = self.held.take() {
            send(Piece::Bytes(bytes));
        }
        if !self.is_finished {
            while store.go_on_with_image(BYTES_MAX, SLOTS_MAX) {
                send(Piece::Bytes(store.take_image_bytes()));
            }
            send(Piece::Bytes(store.take_image_bytes()));
            send(Piece::End);
            store.end_image();
        }
        self.outcome.recv().unwrap_or_else(|_| Err(ErrorKind::BrokenPipe.into()))
    }

    /// Leaves the file incomplete: it will be gone.
    pub fn give_up(self, store: &mut Store) {
        if !self.is_finished {
            store.end_image();
        }
    }

    /// Hands on bytes; gives them back if too many wait already.
    fn offer(&self, bytes: Vec<u8>) -> Option<Vec<u8>> {
        match self.pieces.try_send(Piece::Bytes(bytes)) {
            Err(TrySendError::Full(Piece::Bytes(bytes))) => Some(bytes),
            // Why the thread has ended is told by the outcome.
            Ok(()) | Err(TrySendError::Full(Piece::End) | TrySendError::Disconnected(_)) => None,
        }
    }

    /// What came of it, once that is known.
    fn poll(&self) -> Option<io::Result<()>> {
        match self.outcome.try_recv() {
            Ok(outcome) => Some(outcome),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(ErrorKind::BrokenPipe.into())),
        }
    }
}

/// Makes the bytes of a file of those of the image.
enum Encoder {
    Snapshot { checksum: Checksum, has_checksum: bool },
    Requests(Translator),
}

impl Encoder {
    fn new(form: Form) -> Self {
        match form {
            Form::Snapshot { has_checksum } => Self::Snapshot { checksum: Checksum::default(), has_checksum },
            Form::Requests => Self::Requests(Translator::default()),
        }
    }

    fn take(&mut self, bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        match self {
            Self::Snapshot { checksum, .. } => {
                checksum.update(&bytes);
                Ok(bytes)
            }
            Self::Requests(translator) => translator.take(&bytes),
        }
    }

    fn end(self) -> io::Result<Vec<u8>> {
        let mut end = Vec::new();
        match self {
            Self::Snapshot { checksum, has_checksum } => rdb::put_end(&mut end, has_checksum.then_some(checksum)),
            Self::Requests(translator) => translator.finish()?,
        }
        Ok(end)
    }
}

/// Writes all pieces, and gives the file its name; leaves that if their end never comes.
fn write(
    mut file: File,
    temporary: &Path,
    path: &Path,
    pieces: &Receiver<Piece>,
    mut encoder: Encoder,
) -> io::Result<()> {
    loop {
        match pieces.recv() {
            Ok(Piece::Bytes(bytes)) => file.write_all(&encoder.take(bytes)?)?,
            Ok(Piece::End) => {
                file.write_all(&encoder.end()?)?;
                file.sync_all()?;
                return files::put_in_place(temporary, path);
            }
            Err(_) => return Ok(()),
        }
    }
}
