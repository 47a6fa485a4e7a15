//! Owns the way from the files to the keys, at the start and for DEBUG LOADAOF.
//!
//! Must not guess: a tail that was cut off is dropped if the configuration allows it; anything else that
//! makes no sense ends it.

use super::{
    AppendOnly, State,
    manifest::{Manifest, Part},
    writer::Writer,
};
use crate::{
    dispatch::{self, Unfit},
    log::{Log, reason},
    server::Server,
    snapshot,
    store::{Expired, Store},
};
use slotbus_wire::resp::{Args, Decoder, Limits, OwnedArgs, Progress};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read},
    path::Path,
    time::Instant,
};

/// Read at once.
const CHUNK_BYTES: usize = 1024 * 1024;
/// The beginning of a snapshot.
const SIGNATURE: &[u8] = b"REDIS";
/// The length of an argument is not bounded: it was accepted once.
const LIMITS: Limits = Limits { bulk_max: u64::MAX, is_stranger: false };

/// Why a file cannot be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fault {
    /// It makes no sense.
    Format,
    /// A request cannot be carried out.
    Unfit(Unfit),
    /// The snapshot that it begins with makes no sense.
    Snapshot(String),
    /// Anything else.
    Other(String),
}

impl Fault {
    fn message(&self, name: &str) -> String {
        match self {
            Self::Format => format!(
                "Bad file format reading the append only file {name}: make a backup of your AOF file, then use \
                 ./redis-check-aof --fix <filename.manifest>"
            ),
            Self::Unfit(Unfit::Unknown(command)) => {
                format!("Unknown command '{command}' reading the append only file {name}")
            }
            Self::Unfit(unfit) => {
                format!("A request that cannot be carried out ({unfit}) reading the append only file {name}")
            }
            Self::Snapshot(what) => format!("Error reading the RDB base file {name}, AOF loading aborted: {what}"),
            Self::Other(what) => format!("{what} reading the append only file {name}"),
        }
    }
}

/// Requests that belong together, and where the first of them begins.
#[derive(Debug)]
struct Transaction {
    start: u64,
    requests: Vec<OwnedArgs>,
}

/// Carries out what a file says, as it arrives.
#[derive(Debug, Default)]
struct Loader {
    /// The snapshot that the file begins with, while it is not complete.
    snapshot: Option<snapshot::Loader>,
    decoder: Decoder,
    /// The beginning of a request that is not complete.
    held: Vec<u8>,
    /// Where that begins.
    at: u64,
    /// How many bytes have arrived.
    taken: u64,
    transaction: Option<Transaction>,
    /// How many requests were refused.
    refused: u64,
}

impl Loader {
    fn take(&mut self, store: &mut Store, bytes: &[u8]) -> Result<(), Fault> {
        if self.taken == 0 && bytes.starts_with(SIGNATURE) {
            self.snapshot = Some(snapshot::Loader::default());
        }
        self.taken += bytes.len() as u64;
        match self.snapshot.take() {
            None => self.take_requests(store, bytes),
            Some(mut keys) => {
                keys.take(store, bytes).map_err(Fault::Snapshot)?;
                self.go_on_behind(keys, store)
            }
        }
    }

    /// Requests may stand behind the end of a snapshot.
    fn go_on_behind(&mut self, keys: snapshot::Loader, store: &mut Store) -> Result<(), Fault> {
        if !keys.is_complete() {
            self.snapshot = Some(keys);
            return Ok(());
        }
        let tail = keys.into_tail();
        self.at = self.taken - tail.len() as u64;
        self.take_requests(store, &tail)
    }

    /// Nothing follows; from where on the file has nothing that is complete, if it was cut off.
    fn finish(&mut self, store: &mut Store) -> Result<Option<u64>, Fault> {
        if let Some(mut keys) = self.snapshot.take() {
            if !keys.finish(store).map_err(Fault::Snapshot)? {
                return Err(Fault::Snapshot("it ends too soon".into()));
            }
            self.go_on_behind(keys, store)?;
        }
        let start = self.transaction.as_ref().map(|transaction| transaction.start);
        Ok(start.or((!self.held.is_empty()).then_some(self.at)))
    }

    fn take_requests(&mut self, store: &mut Store, bytes: &[u8]) -> Result<(), Fault> {
        let mut held = std::mem::take(&mut self.held);
        held.extend_from_slice(bytes);
        let mut used = 0;
        while let Some(length) = self.take_one(store, &held[used..])? {
            used += length;
            self.at += length as u64;
        }
        held.drain(..used);
        self.held = held;
        Ok(())
    }

    /// Takes one request, or a remark; says how many bytes it had, if it is complete.
    fn take_one(&mut self, store: &mut Store, bytes: &[u8]) -> Result<Option<usize>, Fault> {
        match bytes.first() {
            None => Ok(None),
            Some(b'#') => Ok(memchr::memchr(b'\n', bytes).map(|end| end + 1)),
            Some(b'*') => match self.decoder.decode(bytes, LIMITS) {
                Ok(Progress::More) => Ok(None),
                Ok(Progress::Request(length)) => {
                    let decoder = std::mem::take(&mut self.decoder);
                    self.take_request(store, decoder.args(bytes))?;
                    self.decoder = decoder;
                    Ok(Some(length))
                }
                Ok(Progress::Nothing(_)) | Err(_) => Err(Fault::Format),
            },
            Some(_) => Err(Fault::Format),
        }
    }

    fn take_request(&mut self, store: &mut Store, args: Args<'_>) -> Result<(), Fault> {
        let is = |word: &str| args.at(0).eq_ignore_ascii_case(word.as_bytes());
        match &mut self.transaction {
            None if is("multi") => {
                self.transaction = Some(Transaction { start: self.at, requests: Vec::new() });
                Ok(())
            }
            Some(_) if is("exec") => {
                let requests = self.transaction.take().map(|transaction| transaction.requests).unwrap_or_default();
                requests.iter().try_for_each(|request| self.carry_out(store, request.args()))
            }
            Some(transaction) => {
                transaction.requests.push(args.to_owned());
                Ok(())
            }
            None => self.carry_out(store, args),
        }
    }

    fn carry_out(&mut self, store: &mut Store, args: Args<'_>) -> Result<(), Fault> {
        let is = |at: usize, word: &str| args.at(at).eq_ignore_ascii_case(word.as_bytes());
        match args.len() {
            2 if is(0, "select") && args.at(1) == b"0" => return Ok(()),
            2 if is(0, "select") => return Err(Fault::Other("A database that this node does not have".into())),
            _ if is(0, "function") => {
                let words: Vec<&[u8]> = args.from(1).collect();
                return store.libraries.follow(&words).map_err(Fault::Other);
            }
            _ => {}
        }
        let run = dispatch::look_up_data(args).map_err(Fault::Unfit)?;
        // Whoever asked for it was told the same.
        self.refused += u64::from(run(store, args).map_or(true, |reply| reply.is_error()));
        Ok(())
    }
}

/// Loads one file; says from where on it has nothing that is complete, if it was cut off.
fn load_file(path: &Path, store: &mut Store) -> Result<(Loader, Option<u64>), Fault> {
    let unreadable = |error: io::Error| Fault::Other(format!("Unrecoverable error ({})", reason(&error)));
    let mut file = File::open(path).map_err(unreadable)?;
    let (mut loader, mut chunk) = (Loader::default(), vec![0; CHUNK_BYTES]);
    loop {
        match read(&mut file, &mut chunk).map_err(unreadable)? {
            0 => break,
            count => loader.take(store, &chunk[..count])?,
        }
    }
    let cut = loader.finish(store)?;
    Ok((loader, cut))
}

/// Reads until there is no more room, or nothing more.
fn read(file: &mut File, chunk: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while count < chunk.len() {
        match file.read(&mut chunk[count..]) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

impl AppendOnly {
    /// Reads which files there are. That matters even to a node that does not append: those that it makes
    /// later must have other names.
    pub fn read_manifest(&mut self) -> Result<(), String> {
        match fs::read(self.manifest_path()) {
            Ok(text) => self.manifest = Manifest::parse(&text).map_err(|bad| bad.to_string())?,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(error) => return Err(format!("Fatal error: can't open the AOF manifest: {}", reason(&error))),
        }
        Ok(())
    }

    /// Takes over a file that redis-server kept before version 7.
    fn take_over_single_file(&mut self, former: &Path, log: &Log) -> Result<(), String> {
        let single = Manifest::of_single_file(&self.file_name);
        // Between the manifest and the move somebody may have ended the process.
        let is_half_done = self.manifest == single && !self.path(&self.file_name).exists();
        if (self.manifest.is_empty() || is_half_done) && former.is_file() {
            self.take_over(former, single)
                .map_err(|error| format!("Can't take over the AOF file: {}", reason(&error)))?;
            let (name, folder) = (&self.file_name, self.folder.file_name().unwrap_or_default().display());
            log.notice(format_args!(
                "Successfully migrated an old-style AOF file ({name}) into the AOF directory ({folder})."
            ));
        }
        Ok(())
    }

    fn take_over(&mut self, former: &Path, manifest: Manifest) -> io::Result<()> {
        self.make_folder()?;
        self.declare(manifest)?;
        crate::files::put_in_place(former, &self.path(&self.file_name))
    }

    /// Loads all files that count.
    fn load(&self, store: &mut Store, log: &Log) -> Result<u64, String> {
        let (mut bytes, count) = (0, self.manifest.parts().count());
        for (index, part) in self.manifest.parts().enumerate() {
            let start = Instant::now();
            bytes += self.load_part(part, index + 1 == count, store, log)?;
            let kind = if self.manifest.base.as_ref() == Some(part) { "base" } else { "incr" };
            let seconds = start.elapsed().as_secs_f64();
            log.notice(format_args!("DB loaded from {kind} file {}: {seconds:.3} seconds", part.name));
        }
        Ok(bytes)
    }

    fn load_part(&self, part: &Part, is_last: bool, store: &mut Store, log: &Log) -> Result<u64, String> {
        let (name, path) = (&part.name, self.path(&part.name));
        let length = fs::metadata(&path).map(|found| found.len());
        let length =
            length.map_err(|error| format!("Unable to obtain the AOF file {name} length. stat: {}", reason(&error)))?;
        let (loader, cut) = load_file(&path, store).map_err(|fault| fault.message(name))?;
        if loader.refused > 0 {
            let count = loader.refused;
            log.warning(format_args!("{count} requests of the append only file {name} were answered with an error"));
        }
        let Some(end) = cut else { return Ok(length) };
        if loader.transaction.is_some() {
            log.warning(format_args!("Revert incomplete MULTI/EXEC transaction in AOF file {name}"));
        }
        self.cut_off(name, end, is_last, log)?;
        Ok(end)
    }

    /// Drops a tail that is not complete.
    fn cut_off(&self, name: &str, end: u64, is_last: bool, log: &Log) -> Result<(), String> {
        if !self.config.tolerates_truncation {
            return Err(format!(
                "Unexpected end of file reading the append only file {name}. You can: 1) Make a backup of your AOF \
                 file, then use ./redis-check-aof --fix <filename.manifest>. 2) Alternatively you can set the \
                 'aof-load-truncated' configuration option to yes and restart the server."
            ));
        }
        log.warning(format_args!("!!! Warning: short read while loading the AOF file {name}!!!"));
        if !is_last {
            return Err("Fatal error: the truncated file is not the last file".into());
        }
        log.warning(format_args!("!!! Truncating the AOF {name} at offset {end} !!!"));
        let cut = OpenOptions::new().write(true).open(self.path(name)).and_then(|file| {
            file.set_len(end)?;
            file.sync_all()
        });
        cut.map_err(|error| format!("Error truncating the AOF file {name}: {}", reason(&error)))?;
        log.warning(format_args!("AOF {name} loaded anyway because aof-load-truncated is enabled"));
        Ok(())
    }

    /// Opens the file that is appended to from now on.
    fn open_at_start(&mut self, log: &Log) -> io::Result<()> {
        self.make_folder()?;
        let last = self.manifest.increments.last().cloned();
        let (verb, part) = match &last {
            Some(part) => ("Opening", part.clone()),
            None => ("Creating", self.manifest.next_increment(&self.file_name)),
        };
        let writer = Writer::open(&self.path(&part.name))?;
        log.notice(format_args!("{verb} AOF incr file {} on server start", part.name));
        if last.is_none() {
            let mut manifest = self.manifest.clone();
            manifest.add_increment(part);
            self.declare(manifest)?;
        }
        self.earlier_bytes = self.rewrites.bytes.saturating_sub(writer.length());
        self.writer = Some(writer);
        self.state = State::On;
        self.remove_history()
    }
}

impl Server {
    /// Loads the keys from the append-only files, and goes on appending to them.
    pub fn start_appending(&mut self) -> Result<(), String> {
        let former = self.settings.path("appendfilename");
        self.aof.take_over_single_file(&former, &self.log)?;
        let start = Instant::now();
        self.store.set_time(self.now, Expired::There);
        let bytes = self.aof.load(&mut self.store, &self.log)?;
        self.adopt_libraries()?;
        if !self.aof.manifest.is_empty() {
            let seconds = start.elapsed().as_secs_f64();
            self.log.notice(format_args!("DB loaded from append only file: {seconds:.3} seconds"));
        }
        self.begin_files(bytes)
            .map_err(|error| format!("Can't open or create the append-only files: {}", reason(&error)))
    }

    fn begin_files(&mut self, bytes: u64) -> io::Result<()> {
        self.aof.set_loaded(bytes);
        if self.aof.manifest.is_empty() {
            self.aof.make_folder()?;
            self.establish_at_once()?;
        }
        self.aof.open_at_start(&self.log)
    }

    /// Loads the keys from the append-only files once more.
    pub fn reload_aof(&mut self) -> Result<(), String> {
        self.write_aof();
        self.store.clear();
        self.store.libraries.clear();
        self.store.set_time(self.now, Expired::There);
        self.aof.load(&mut self.store, &self.log)?;
        self.adopt_libraries()
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, Loader};
    use crate::{
        dispatch::Unfit,
        store::{Expiry, Store},
    };
    use slotbus_wire::rdb::{self, Header};

    /// What becomes of a file that arrives in pieces of this size: the keys, and where it is cut off.
    fn load(file: &[u8], size: usize) -> Result<(usize, Option<u64>), Fault> {
        let (mut store, mut loader) = (Store::default(), Loader::default());
        file.chunks(size).try_for_each(|bytes| loader.take(&mut store, bytes))?;
        let cut = loader.finish(&mut store)?;
        Ok((store.len(), cut))
    }

    fn snapshot() -> Vec<u8> {
        let mut store = Store::default();
        store.set(b"large", &[b'x'; 50_000], Expiry::Never);
        let mut file = Vec::new();
        let header = Header { version: "7", created_s: 0, used_memory: 0, stream: None, is_base: true };
        rdb::put_header(&mut file, header);
        store.begin_image();
        while store.go_on_with_image(1_000_000, 20_000) {}
        file.extend(store.take_image_bytes());
        rdb::put_end(&mut file, None);
        file
    }

    #[test]
    fn a_file_says_the_same_however_it_is_read() {
        let requests = b"#TS:1\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n*1\r\n$5\r\nMULTI\r\n\
            *3\r\n$3\r\nSET\r\n$1\r\nb\r\n$1\r\n1\r\n*1\r\n$4\r\nEXEC\r\n";
        let mixed = [snapshot().as_slice(), requests].concat();
        for size in [5, 1000, 1_000_000] {
            assert_eq!(load(requests, size), Ok((2, None)));
            assert_eq!(load(&mixed, size), Ok((3, None)));
        }
    }

    #[test]
    fn a_tail_is_cut_off_before_what_is_not_complete() {
        let (one, multi) = (b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n".as_slice(), b"*1\r\n$5\r\nMULTI\r\n");
        let start = Some(one.len() as u64);
        for length in 1..one.len() {
            assert_eq!(load(&[one, &one[..length]].concat(), 9), Ok((1, start)));
            assert_eq!(load(&[one, multi, &one[..length]].concat(), 9), Ok((1, start)));
        }
        assert_eq!(load(&[one, multi, one].concat(), 9), Ok((1, start)));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert_eq!(load(b"*1\r\n$5\r\nNOSUC\r\n", 9), Err(Fault::Unfit(Unfit::Unknown("NOSUC".into()))));
        assert_eq!(load(b"*1\r\n$3\r\nGET\r\n", 9), Err(Fault::Unfit(Unfit::WrongCount("GET".into()))));
        assert_eq!(load(b"*1\r\n$4\r\nINFO\r\n", 9), Err(Fault::Unfit(Unfit::NotAboutKeys("INFO".into()))));
        for file in [b"PING\r\n".as_slice(), b"*-1\r\n", b"*1\r\n$-1\r\n", b"*1\r\n$99999999999999999999\r\n"] {
            assert_eq!(load(file, 9), Err(Fault::Format));
        }
        // A length that lies asks for more, and for no memory.
        assert_eq!(load(b"*1\r\n$9000000000000000000\r\nx", 9), Ok((0, Some(0))));
        let base = snapshot();
        assert!(matches!(load(&base[..base.len() - 1], 9000), Err(Fault::Snapshot(_))));
    }
}
