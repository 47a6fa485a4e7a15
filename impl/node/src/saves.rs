//! Owns when snapshots are made, and what came of the last one.
//!
//! Must not know the file: that is `snapshot`.

use crate::{log::reason, server::Server, snapshot::SnapshotWriter};
use slotbus_wire::rdb;
use std::io;

/// The image grows by about so much, or visits so many slots, before others get their turn.
const BYTES_MAX: usize = 128 * 1024;
const SLOTS_MAX: usize = 256;
/// After a failure, the next attempt waits so long.
const PATIENCE_S: u64 = 5;

/// What has become of snapshots.
#[derive(Debug)]
pub struct Saves {
    under_way: Option<UnderWay>,
    /// When the last one was completed, in seconds since the epoch.
    pub last_s: u64,
    /// Whether the last attempt succeeded.
    pub is_good: bool,
    last_attempt_s: u64,
}

#[derive(Debug)]
struct UnderWay {
    writer: SnapshotWriter,
    /// Bytes for which there was no room.
    held: Option<Vec<u8>>,
    is_finished: bool,
    /// How many changes it includes.
    changes: u64,
}

impl Saves {
    /// None yet; the data at the start count as saved.
    #[must_use]
    pub fn new(now_s: u64) -> Self {
        Self { under_way: None, last_s: now_s, is_good: true, last_attempt_s: 0 }
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

    /// Begins to save all keys while the node goes on.
    pub fn begin_save(&mut self) -> io::Result<()> {
        self.saves.last_attempt_s = self.now_s();
        let writer = self.start_writer().inspect_err(|_| self.saves.is_good = false)?;
        let changes = self.store.news.changes;
        self.log.notice(format_args!("Background saving started"));
        self.saves.under_way = Some(UnderWay { writer, held: None, is_finished: false, changes });
        Ok(())
    }

    /// A file with its head, and the image of what follows.
    fn start_writer(&mut self) -> io::Result<SnapshotWriter> {
        let has_checksum = self.settings.flag("rdbchecksum");
        let writer = SnapshotWriter::start(self.settings.path("dbfilename"), has_checksum).inspect_err(|error| {
            self.log.warning(format_args!("Failed opening the temp RDB file: {}", reason(error)))
        })?;
        let mut head = Vec::new();
        rdb::put_header(&mut head, self.header());
        writer.send(head);
        self.store.begin_image();
        Ok(writer)
    }

    /// Whether there is something to do for a snapshot at once.
    #[must_use]
    pub fn has_to_save(&self) -> bool {
        self.saves.under_way.as_ref().is_some_and(|save| save.held.is_none() && !save.is_finished)
    }

    /// Goes on with a snapshot, and takes note of its end.
    pub fn go_on_saving(&mut self) {
        let Some(save) = &mut self.saves.under_way else { return };
        if let Some(outcome) = save.writer.poll() {
            let (changes, has_image) = (save.changes, !save.is_finished);
            self.saves.under_way = None;
            // Once all is handed over, an image that is under way is another one.
            if has_image {
                self.store.end_image();
            }
            return self.conclude_save(outcome, changes);
        }
        if save.is_finished {
            return;
        }
        if !self.store.has_image() {
            self.log.warning(format_args!("Background saving given up: all keys were dropped meanwhile"));
            self.saves.under_way = None;
            return;
        }
        if save.held.is_none() {
            let has_more = self.store.go_on_with_image(BYTES_MAX, SLOTS_MAX);
            let bytes = self.store.take_image_bytes();
            save.held = save.writer.offer(bytes);
            if !has_more && save.held.is_none() {
                save.is_finished = save.writer.finish();
                if save.is_finished {
                    self.store.end_image();
                }
            }
        } else {
            save.held = save.held.take().and_then(|bytes| save.writer.offer(bytes));
        }
    }

    /// Saves all keys before anything else happens.
    pub fn save(&mut self) -> io::Result<()> {
        let changes = self.store.news.changes;
        let outcome = self.start_writer().and_then(|writer| {
            loop {
                let has_more = self.store.go_on_with_image(BYTES_MAX, SLOTS_MAX);
                writer.send(self.store.take_image_bytes());
                if !has_more {
                    break;
                }
            }
            self.store.end_image();
            writer.wait()
        });
        let error = outcome.as_ref().err().map(io::Error::kind);
        self.conclude_save(outcome, changes);
        error.map_or(Ok(()), |kind| Err(kind.into()))
    }

    fn conclude_save(&mut self, outcome: io::Result<()>, changes: u64) {
        self.saves.is_good = outcome.is_ok();
        match outcome {
            Ok(()) => {
                self.saves.last_s = self.now_s();
                self.store.news.changes -= changes.min(self.store.news.changes);
                self.log.notice(format_args!("DB saved on disk"));
            }
            Err(error) => self.log.warning(format_args!("Write error saving DB on disk: {}", reason(&error))),
        }
    }

    /// Begins a snapshot if so many changes have happened in so much time as is configured.
    pub fn save_if_due(&mut self) {
        let (now_s, changes) = (self.now_s(), self.store.news.changes);
        let is_patient = !self.saves.is_good && now_s < self.saves.last_attempt_s + PATIENCE_S;
        if self.saves.is_under_way() || self.store.has_image() || is_patient {
            return;
        }
        let since_s = now_s.saturating_sub(self.saves.last_s);
        let is_due = self.save_points.iter().any(|&(seconds, least)| changes >= least && since_s > seconds);
        if is_due && changes > 0 {
            self.log.notice(format_args!("{changes} changes in {since_s} seconds. Saving..."));
            // What went wrong is logged, and shown by INFO.
            let _ = self.begin_save();
        }
    }

    /// Saves before the process ends, if that is configured or asked for; false if that failed.
    pub fn save_before_end(&mut self, is_asked: Option<bool>) -> bool {
        if self.saves.under_way.take().is_some() {
            self.log.warning(format_args!("There is a snapshot under way: it is given up"));
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
