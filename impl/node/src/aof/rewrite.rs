//! Owns the making of a new base, after which the former one and the increments since do not count any
//! more.
//!
//! Must not stop the node: the base is of one instant, and what happens meanwhile goes into an increment
//! that begins at that instant.

use super::{State, manifest::Part, writer::Writer};
use crate::{
    image_file::{Form, ImageFile, Progress},
    log::reason,
    server::Server,
};
use slotbus_core::Millis;
use slotbus_wire::rdb::Header;
use std::{
    fs,
    io::{self, ErrorKind},
};

/// After so many failures in a row the next attempt waits ...
const FAILURES_PATIENT: u64 = 3;
/// ... so many minutes at first, and twice as many after each, ...
const PATIENCE_MIN: u64 = 1;
/// ... but no more than so many.
const PATIENCE_MIN_MAX: u64 = 60;
const MINUTE_MS: u64 = 60_000;

/// What has become of rewrites.
#[derive(Debug)]
pub struct Rewrites {
    under_way: Option<Rewriting>,
    /// Whether one is to be made as soon as nothing else writes all keys.
    pub is_scheduled: bool,
    /// How many were begun.
    pub count: u64,
    /// How many failed since the last that succeeded.
    pub failures: u64,
    /// How long the last one took, in seconds.
    pub last_s: Option<u64>,
    /// How large the files were after the last one, or at the start.
    pub bytes: u64,
    /// Whether the last one succeeded.
    pub is_good: bool,
    retry_at: Millis,
}

impl Default for Rewrites {
    fn default() -> Self {
        Self {
            under_way: None,
            is_scheduled: false,
            count: 0,
            failures: 0,
            last_s: None,
            bytes: 0,
            is_good: true,
            retry_at: Millis(0),
        }
    }
}

#[derive(Debug)]
struct Rewriting {
    file: ImageFile,
    base: Part,
    begun: Millis,
}

/// What has become of the wish for a rewrite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It is under way.
    Now,
    /// It comes once nothing else writes all keys.
    Later,
}

impl super::AppendOnly {
    /// Whether a rewrite is under way.
    #[must_use]
    pub fn is_rewriting(&self) -> bool {
        self.rewrites.under_way.is_some()
    }

    /// What has become of rewrites.
    #[must_use]
    pub fn rewrites(&self) -> &Rewrites {
        &self.rewrites
    }

    /// Since when a rewrite is under way, if one is.
    #[must_use]
    pub fn rewriting_since(&self) -> Option<Millis> {
        self.rewrites.under_way.as_ref().map(|rewriting| rewriting.begun)
    }

    /// By how many percent the files have grown since the last rewrite, if that is so much that another is due.
    fn growth(&self) -> Option<u64> {
        let bytes = self.bytes();
        let growth = (bytes.saturating_mul(100) / self.rewrites.bytes.max(1)).saturating_sub(100);
        let is_due = self.config.growth_percent > 0
            && growth >= self.config.growth_percent
            && bytes > self.config.growth_bytes_min;
        (self.state == State::On && is_due).then_some(growth)
    }

    /// The files that were loaded have so many bytes.
    pub(super) fn set_loaded(&mut self, bytes: u64) {
        self.rewrites.bytes = bytes;
    }

    /// Opens the file for what happens from now on.
    fn open_increment(&mut self) -> io::Result<()> {
        match self.state {
            State::Off => {}
            State::Waiting => self.writer = Some(Writer::create(&self.temporary_path())?),
            State::On => {
                let part = self.manifest.next_increment(&self.file_name);
                let writer = Writer::create(&self.path(&part.name))?;
                let mut manifest = self.manifest.clone();
                manifest.add_increment(part);
                self.declare(manifest)?;
                self.earlier_bytes = self.bytes();
                self.writer = Some(writer);
            }
        }
        Ok(())
    }

    /// Has a base that is complete take the place of all that it includes.
    fn establish(&mut self, base: Part) -> io::Result<()> {
        let base_bytes = fs::metadata(self.path(&base.name))?.len();
        let mut manifest = self.manifest.clone();
        manifest.rebase(base, usize::from(self.state == State::On));
        if self.state == State::Waiting {
            let part = manifest.next_increment(&self.file_name);
            fs::rename(self.temporary_path(), self.path(&part.name))?;
            manifest.add_increment(part);
        }
        self.declare(manifest)?;
        if self.state == State::Waiting {
            self.state = State::On;
        }
        self.earlier_bytes = base_bytes;
        self.rewrites.bytes = self.bytes();
        self.remove_history()
    }
}

impl Server {
    /// Begins a rewrite, now or once nothing else writes all keys.
    pub fn rewrite_or_schedule(&mut self) -> io::Result<Begun> {
        if self.is_copying() {
            self.aof.rewrites.is_scheduled = true;
            return Ok(Begun::Later);
        }
        self.begin_rewrite().map(|()| Begun::Now)
    }

    fn begin_rewrite(&mut self) -> io::Result<()> {
        self.aof.rewrites.is_scheduled = false;
        self.aof.rewrites.count += 1;
        let outcome = self.begin_base();
        match &outcome {
            Ok(()) => self.log.notice(format_args!("Background append only file rewriting started")),
            Err(error) => self.note_failed_rewrite(error),
        }
        outcome
    }

    fn begin_base(&mut self) -> io::Result<()> {
        self.aof.make_folder()?;
        if self.aof.state == State::On {
            self.write_aof();
            // What waits would stand behind what happens later.
            if self.aof.waiting() > 0 {
                return Err(ErrorKind::WouldBlock.into());
            }
            self.sync_before_rewrite();
        }
        self.aof.open_increment()?;
        let base = self.aof.manifest.next_base(&self.aof.file_name, self.aof.config.is_base_snapshot);
        let file = self.begin_base_file(&base)?;
        self.aof.rewrites.under_way = Some(Rewriting { file, base, begun: self.now });
        Ok(())
    }

    fn begin_base_file(&mut self, base: &Part) -> io::Result<ImageFile> {
        let form = if self.aof.config.is_base_snapshot {
            Form::Snapshot { has_checksum: self.settings.flag("rdbchecksum") }
        } else {
            Form::Requests
        };
        let header = Header { stream: None, is_base: true, ..self.header() };
        ImageFile::begin(self.aof.path(&base.name), form, header, &mut self.store)
    }

    /// Makes the first base before anything else happens.
    pub(super) fn establish_at_once(&mut self) -> io::Result<()> {
        let base = self.aof.manifest.next_base(&self.aof.file_name, self.aof.config.is_base_snapshot);
        self.begin_base_file(&base)?.complete(&mut self.store)?;
        self.log.notice(format_args!("Creating AOF base file {} on server start", base.name));
        self.aof.establish(base)
    }

    /// Whether there is something to do for a rewrite at once.
    #[must_use]
    pub fn has_to_rewrite(&self) -> bool {
        self.aof.rewrites.under_way.as_ref().is_some_and(|rewriting| rewriting.file.has_more())
    }

    /// Goes on with a rewrite, and takes note of its end.
    pub fn go_on_rewriting(&mut self) {
        let Some(rewriting) = &mut self.aof.rewrites.under_way else { return };
        match rewriting.file.go_on(&mut self.store) {
            Progress::UnderWay => {}
            Progress::GivenUp => {
                self.log.notice(format_args!("AOF rewrite begins anew: all keys were dropped meanwhile"));
                self.aof.rewrites.under_way = None;
                self.aof.rewrites.is_scheduled = true;
            }
            Progress::Done(outcome) => {
                let Some(Rewriting { base, begun, .. }) = self.aof.rewrites.under_way.take() else { return };
                self.aof.rewrites.last_s = Some(self.now.since(begun) / 1000);
                match outcome.and_then(|()| self.aof.establish(base)) {
                    Ok(()) => self.note_good_rewrite(),
                    Err(error) => self.note_failed_rewrite(&error),
                }
            }
        }
    }

    fn note_good_rewrite(&mut self) {
        self.log.notice(format_args!("Background AOF rewrite finished successfully"));
        (self.aof.rewrites.is_good, self.aof.rewrites.failures) = (true, 0);
    }

    fn note_failed_rewrite(&mut self, error: &io::Error) {
        self.log.warning(format_args!("Background AOF rewrite failed: {}", reason(error)));
        let rewrites = &mut self.aof.rewrites;
        rewrites.is_good = false;
        rewrites.failures += 1;
        if let Some(beyond) = rewrites.failures.checked_sub(FAILURES_PATIENT) {
            let minutes = PATIENCE_MIN.checked_shl(u32::try_from(beyond).unwrap_or(u32::MAX));
            let minutes = minutes.filter(|&minutes| minutes > 0).unwrap_or(PATIENCE_MIN_MAX).min(PATIENCE_MIN_MAX);
            rewrites.retry_at = self.now.after(minutes * MINUTE_MS);
        }
        // Without a base nothing that is appended counts.
        rewrites.is_scheduled |= self.aof.state == State::Waiting;
    }

    /// Leaves a rewrite incomplete.
    pub(super) fn give_up_rewrite(&mut self) {
        self.aof.rewrites.is_scheduled = false;
        if let Some(rewriting) = self.aof.rewrites.under_way.take() {
            rewriting.file.give_up(&mut self.store);
        }
    }

    /// Begins a rewrite if one was wished for, or the files have grown enough.
    pub fn rewrite_if_due(&mut self) {
        let rewrites = &self.aof.rewrites;
        if self.is_copying() || rewrites.failures >= FAILURES_PATIENT && self.now < rewrites.retry_at {
            return;
        }
        let growth = self.aof.growth();
        if let Some(growth) = growth {
            self.log.notice(format_args!("Starting automatic rewriting of AOF on {growth}% growth"));
        }
        if self.aof.rewrites.is_scheduled || growth.is_some() {
            // What went wrong is logged, and shown by INFO.
            let _ = self.begin_rewrite();
        }
    }
}
