//! Owns the append-only files: the state that they are in, and what is appended.
//!
//! A base holds all keys at one instant, increments what has happened since, and a manifest says which
//! files count. Whoever reads them one after the other has the keys.
//!
//! Must not know clients, but for this: whoever has written waits until what was written is where the
//! configuration wants it.

pub mod flush;
pub mod load;
pub mod manifest;
pub mod requests;
pub mod rewrite;
pub mod syncer;
pub mod writer;

use self::{flush::Flushing, manifest::Manifest, rewrite::Rewrites, syncer::Syncer, writer::Writer};
use crate::{config::Settings, files, log::reason, server::Server};
use std::{
    fs,
    io::{self, ErrorKind},
    path::PathBuf,
};

/// How far the disk has to be before a client that has written is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// It keeps what was written.
    Always,
    /// It keeps all but what is about a second old.
    EverySecond,
    /// That is left to the system.
    Never,
}

/// What the settings say, kept at hand because every turn asks for it.
#[derive(Clone, Copy, Debug)]
struct Config {
    policy: Policy,
    tells_time: bool,
    is_base_snapshot: bool,
    tolerates_truncation: bool,
    /// Whether the disk is spared while all keys are written to it.
    spares_disk: bool,
    keeps_history: bool,
    /// A rewrite is due once the files have grown by so many percent, if not 0 ...
    growth_percent: u64,
    /// ... and beyond so many bytes.
    growth_bytes_min: u64,
}

impl Config {
    fn new(settings: &Settings) -> Self {
        let policy = match settings.text("appendfsync") {
            "always" => Policy::Always,
            "no" => Policy::Never,
            _ => Policy::EverySecond,
        };
        Self {
            policy,
            tells_time: settings.flag("aof-timestamp-enabled"),
            is_base_snapshot: settings.flag("aof-use-rdb-preamble"),
            tolerates_truncation: settings.flag("aof-load-truncated"),
            spares_disk: settings.flag("no-appendfsync-on-rewrite"),
            keeps_history: settings.flag("aof-disable-auto-gc"),
            growth_percent: settings.number("auto-aof-rewrite-percentage"),
            growth_bytes_min: settings.number("auto-aof-rewrite-min-size"),
        }
    }
}

/// Whether requests are appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// They are not.
    Off,
    /// They are, to a file that counts once there is a base for it.
    Waiting,
    /// They are.
    On,
}

/// The append-only files.
#[derive(Debug)]
pub struct AppendOnly {
    state: State,
    config: Config,
    folder: PathBuf,
    file_name: String,
    manifest: Manifest,
    writer: Option<Writer>,
    syncer: Option<Syncer>,
    flushing: Flushing,
    rewrites: Rewrites,
    /// The size of all files that count but the one that is appended to.
    earlier_bytes: u64,
}

impl AppendOnly {
    /// No files yet.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            state: State::Off,
            config: Config::new(settings),
            folder: settings.path("appenddirname"),
            file_name: settings.text("appendfilename").to_owned(),
            manifest: Manifest::default(),
            writer: None,
            syncer: None,
            flushing: Flushing::default(),
            rewrites: Rewrites::default(),
            earlier_bytes: 0,
        }
    }

    /// Whether requests are appended.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Whether anything that changes keys is to be told.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.state != State::Off
    }

    /// How many bytes the files have.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.earlier_bytes + self.writer.as_ref().map_or(0, Writer::length)
    }

    /// How many bytes wait to be written.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.writer.as_ref().map_or(0, Writer::waiting)
    }

    /// How many files are on their way to the disk, where nobody waits for them.
    #[must_use]
    pub fn syncs_under_way(&self) -> usize {
        self.syncer.as_ref().map_or(0, Syncer::under_way)
    }

    /// Appends requests; without a file there is nothing to append to, and a base to come that has it all.
    pub fn append(&mut self, requests: &[u8], now_s: u64) {
        if let Some(writer) = &mut self.writer {
            writer.append(requests, self.config.tells_time.then_some(now_s));
            self.flushing.is_due = true;
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn manifest_path(&self) -> PathBuf {
        self.path(&format!("{}.manifest", self.file_name))
    }

    /// The file that is appended to while there is no base for it.
    fn temporary_path(&self) -> PathBuf {
        self.path(&format!("temp-{}.incr", self.file_name))
    }

    fn make_folder(&self) -> io::Result<()> {
        match fs::create_dir(&self.folder) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            Ok(()) | Err(_) => files::sync_folder_of(&self.folder),
        }
    }

    /// Says which files count from now on.
    fn declare(&mut self, manifest: Manifest) -> io::Result<()> {
        files::replace(&self.manifest_path(), manifest.to_text().as_bytes())?;
        self.manifest = manifest;
        Ok(())
    }

    fn syncer(&mut self) -> io::Result<&mut Syncer> {
        match &mut self.syncer {
            Some(syncer) => Ok(syncer),
            none => Ok(none.insert(Syncer::start()?)),
        }
    }

    /// Removes what counts no more.
    fn remove_history(&mut self) -> io::Result<()> {
        if self.manifest.history.is_empty() || self.config.keeps_history {
            return Ok(());
        }
        let mut manifest = self.manifest.clone();
        for part in std::mem::take(&mut manifest.history) {
            let path = self.path(&part.name);
            self.syncer()?.remove(path);
        }
        self.declare(manifest)
    }
}

impl Server {
    /// Acts on settings that have changed. An error says that nothing can be appended.
    pub fn adopt_aof(&mut self) -> io::Result<()> {
        self.aof.config = Config::new(&self.settings);
        match (self.aof.is_on(), self.settings.flag("appendonly")) {
            (false, true) => self.begin_appending(),
            (true, false) => {
                self.stop_appending();
                Ok(())
            }
            (false, false) | (true, true) => Ok(()),
        }
    }

    fn begin_appending(&mut self) -> io::Result<()> {
        self.give_up_rewrite();
        let outcome = self.await_base();
        if outcome.is_err() {
            self.stop_appending();
        }
        outcome
    }

    /// Appends to a file for which there will be a base.
    fn await_base(&mut self) -> io::Result<()> {
        self.aof.state = State::Waiting;
        self.rewrite_or_schedule().map(drop)
    }

    fn stop_appending(&mut self) {
        self.give_up_rewrite();
        self.sync_aof_at_once();
        if self.aof.state == State::Waiting {
            // It may never have come to be.
            let _ = fs::remove_file(self.aof.temporary_path());
        }
        self.aof.writer = None;
        self.aof.state = State::Off;
        self.aof.flushing = Flushing::default();
    }

    /// Other keys have taken the place of those that the files hold: they need a base of their own.
    pub fn rebase_aof(&mut self) {
        if self.aof.is_on() {
            self.stop_appending();
            // What went wrong is logged, and it is tried again.
            let _ = self.await_base();
        }
    }

    /// Has the disk keep all before the process ends; false if there is no base yet for what was appended.
    pub fn close_aof(&mut self) -> bool {
        if self.aof.state == State::Waiting {
            self.log.warning(format_args!("Writing initial AOF. Can't exit."));
            return false;
        }
        if self.aof.is_rewriting() {
            self.log.warning(format_args!("The append only files are being rewritten: that is given up"));
            self.give_up_rewrite();
        }
        if self.aof.is_on() {
            self.log.notice(format_args!("Calling fsync() on the AOF file."));
            self.sync_aof_at_once();
        }
        true
    }

    /// Writes what waits, and has the disk keep it.
    fn sync_aof_at_once(&mut self) {
        self.write_aof();
        if let Some(Err(error)) = self.aof.writer.as_mut().map(Writer::sync) {
            self.log.warning(format_args!("Fail to fsync the AOF file: {}.", reason(&error)));
        }
    }
}
