//! Owns when snapshots are made, and what came of the last one.
//!
//! Must not know the file: that is `image_file`.

use crate::{
    image_file::{Form, ImageFile, Progress},
    log::reason,
    server::Server,
};
use std::io;

/// After a failure, the next attempt waits so long.
const PATIENCE_S: u64 = 5;

/// What has become of snapshots.
#[derive(Debug)]
pub struct Saves {
    under_way: Option<UnderWay>,
    /// Whether one is to be made as soon as nothing else writes all keys.
    is_scheduled: bool,
    /// When the last one was completed, in seconds since the epoch.
    pub last_s: u64,
    /// Whether the last attempt succeeded.
    pub is_good: bool,
    last_attempt_s: u64,
    /// How many were completed.
    pub count: u64,
}

#[derive(Debug)]
struct UnderWay {
    file: ImageFile,
    /// How many changes it includes.
    changes: u64,
}

impl Saves {
    /// None yet; the data at the start count as saved.
    #[must_use]
    pub fn new(now_s: u64) -> Self {
        Self { under_way: None, is_scheduled: false, last_s: now_s, is_good: true, last_attempt_s: 0, count: 0 }
    }

    /// Whether a snapshot is being made.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }
}

impl Server {
    fn now_s(&self) -> u64 {
        self.now.0 / 1000
    }

    /// Whether all keys are on their way somewhere: to a file, or to replicas.
    #[must_use]
    pub fn is_copying(&self) -> bool {
        self.saves.is_under_way() || self.aof.is_rewriting() || self.store.has_image()
    }

    /// Has all keys saved once nothing else writes them.
    pub fn schedule_save(&mut self) {
        self.saves.is_scheduled = true;
    }

    /// Begins to save all keys while the node goes on.
    pub fn begin_save(&mut self) -> io::Result<()> {
        self.saves.last_attempt_s = self.now_s();
        let file = self.begin_snapshot().inspect_err(|_| self.saves.is_good = false)?;
        let changes = self.store.news.changes;
        self.log.notice(format_args!("Background saving started"));
        self.saves.is_scheduled = false;
        self.saves.under_way = Some(UnderWay { file, changes });
        Ok(())
    }

    fn begin_snapshot(&mut self) -> io::Result<ImageFile> {
        let form = Form::Snapshot { has_checksum: self.settings.flag("rdbchecksum") };
        let (path, header) = (self.settings.path("dbfilename"), self.header());
        ImageFile::begin(path, form, header, &mut self.store).inspect_err(|error| {
            self.log.warning(format_args!("Failed opening the temp RDB file: {}", reason(error)));
        })
    }

    /// Whether there is something to do for a snapshot at once.
    #[must_use]
    pub fn has_to_save(&self) -> bool {
        self.saves.under_way.as_ref().is_some_and(|save| save.file.has_more())
    }

    /// Goes on with a snapshot, and takes note of its end.
    pub fn go_on_saving(&mut self) {
        let Some(save) = &mut self.saves.under_way else { return };
        let changes = save.changes;
        match save.file.go_on(&mut self.store) {
            Progress::UnderWay => {}
            Progress::GivenUp => {
                self.log.warning(format_args!("Background saving given up: all keys were dropped meanwhile"));
                self.saves.under_way = None;
            }
            Progress::Done(outcome) => {
                self.saves.under_way = None;
                self.conclude_save(outcome, changes);
            }
        }
    }

    /// Saves all keys before anything else happens.
    pub fn save(&mut self) -> io::Result<()> {
        let changes = self.store.news.changes;
        let outcome = self.begin_snapshot().and_then(|file| file.complete(&mut self.store));
        let error = outcome.as_ref().err().map(io::Error::kind);
        self.conclude_save(outcome, changes);
        error.map_or(Ok(()), |kind| Err(kind.into()))
    }

    fn conclude_save(&mut self, outcome: io::Result<()>, changes: u64) {
        self.saves.is_good = outcome.is_ok();
        match outcome {
            Ok(()) => {
                self.saves.last_s = self.now_s();
                self.saves.count += 1;
                self.store.news.changes -= changes.min(self.store.news.changes);
                self.log.notice(format_args!("DB saved on disk"));
            }
            Err(error) => self.log.warning(format_args!("Write error saving DB on disk: {}", reason(&error))),
        }
    }

    /// Begins a snapshot if so many changes have happened in so much time as is configured.
    pub fn save_if_due(&mut self) {
        let now_s = self.now_s();
        let is_patient = !self.saves.is_good && now_s < self.saves.last_attempt_s + PATIENCE_S;
        if !self.is_copying() && !is_patient && (self.saves.is_scheduled || self.has_changed_enough()) {
            // What went wrong is logged, and shown by INFO.
            let _ = self.begin_save();
        }
    }

    fn has_changed_enough(&self) -> bool {
        let (since_s, changes) = (self.now_s().saturating_sub(self.saves.last_s), self.store.news.changes);
        let is_due = self.save_points.iter().any(|&(seconds, least)| changes >= least && since_s > seconds);
        if is_due && changes > 0 {
            self.log.notice(format_args!("{changes} changes in {since_s} seconds. Saving..."));
        }
        is_due && changes > 0
    }

    /// Saves before the process ends, if that is configured or asked for; false if that failed.
    pub fn save_before_end(&mut self, is_asked: Option<bool>) -> bool {
        if self.saves.under_way.take().is_some() {
            self.log.warning(format_args!("There is a snapshot under way: it is given up"));
        }
        if !self.close_aof() {
            return false;
        }
        self.store.end_image();
        if !is_asked.unwrap_or(!self.save_points.is_empty()) {
            return true;
        }
        self.log.notice(format_args!("Saving the final RDB snapshot before exiting."));
        let is_saved = self.save().is_ok();
        if !is_saved {
            self.log.warning(format_args!("Error trying to save the DB, can't exit."));
        }
        is_saved
    }
}

/// The save points of a setting: seconds and changes in turn.
#[must_use]
pub fn save_points(text: &str) -> Vec<(u64, u64)> {
    let numbers: Vec<u64> = text.split(' ').filter_map(|word| word.parse().ok()).collect();
    numbers.as_chunks().0.iter().map(|&[seconds, changes]| (seconds, changes)).collect()
}
