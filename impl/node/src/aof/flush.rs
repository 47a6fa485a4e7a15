//! Owns when what waits is written, and when the disk is to keep it.
//!
//! Must not block for the disk, unless the configuration says `always`.

use super::{AppendOnly, Policy, State, writer::WriteFault};
use crate::{latency, log::reason, server::Server};
use slotbus_core::Millis;
use std::{io, time::Instant};

/// The disk is asked to keep what is written so often.
const SYNC_MS: u64 = 1000;
/// While it is at it, nothing is written for so long: the write would have to wait.
const POSTPONED_MAX_MS: u64 = 2000;
/// After a failure, the next attempt waits so long ...
const RETRY_MS: u64 = 1000;
/// ... and the next line in the log so long.
const SILENCE_MS: u64 = 30_000;

/// How writing stands.
#[derive(Debug, Default)]
pub(super) struct Flushing {
    /// Whether something was appended in this turn: until it is written, nobody is answered.
    pub(super) is_due: bool,
    postponed_at: Option<Millis>,
    delayed: u64,
    asked_at: Millis,
    tried_at: Millis,
    told_at: Option<Millis>,
    write_error: Option<String>,
    sync_error: Option<String>,
    fatal: Option<String>,
}

impl AppendOnly {
    /// Whether replies have to wait until what was appended is written.
    #[must_use]
    pub fn holds_replies(&self) -> bool {
        self.flushing.is_due
    }

    /// Why writes are refused, if they are.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        let error = self.flushing.write_error.as_deref().or(self.flushing.sync_error.as_deref());
        error.filter(|_| self.state != State::Off)
    }

    /// Whether the last write succeeded.
    #[must_use]
    pub fn is_written(&self) -> bool {
        self.flushing.write_error.is_none()
    }

    /// Why the node cannot go on, if it cannot.
    #[must_use]
    pub fn fatal(&self) -> Option<&str> {
        self.flushing.fatal.as_deref()
    }

    /// How often a write had to wait for the disk.
    #[must_use]
    pub fn delayed(&self) -> u64 {
        self.flushing.delayed
    }

    /// Whether a write would have to wait for the disk, and may be made later.
    fn must_postpone(&mut self, now: Millis) -> bool {
        let is_busy = self.config.policy == Policy::EverySecond && self.syncs_under_way() > 0;
        let since = self.flushing.postponed_at.filter(|_| is_busy);
        self.flushing.postponed_at = is_busy.then_some(since.unwrap_or(now));
        let must = is_busy && since.is_none_or(|since| now.since(since) < POSTPONED_MAX_MS);
        self.flushing.delayed += u64::from(is_busy && !must);
        must
    }
}

impl Server {
    /// Writes what waits, for all who have written in this turn.
    pub fn flush_aof(&mut self) {
        self.note_syncs();
        let (now, flushing) = (self.now, &mut self.aof.flushing);
        let is_due = std::mem::take(&mut flushing.is_due);
        let is_patient = flushing.write_error.is_some() && now.since(flushing.tried_at) < RETRY_MS;
        if self.aof.waiting() > 0 && (is_due || !is_patient) && !self.aof.must_postpone(now) {
            self.write_aof();
        }
        self.sync_aof();
    }

    /// Writes what waits at once.
    pub(super) fn write_aof(&mut self) {
        let Some(writer) = self.aof.writer.as_mut().filter(|writer| writer.waiting() > 0) else { return };
        let start = Instant::now();
        let outcome = writer.write();
        self.note_latency(latency::Kind::AofWrite, start.elapsed());
        self.aof.flushing.tried_at = self.now;
        match outcome {
            Ok(()) if self.aof.flushing.write_error.take().is_some() => {
                self.log.warning(format_args!("AOF write error looks solved, the node can write again."));
            }
            Ok(()) => {}
            Err(fault) => self.note_write_fault(&fault),
        }
    }

    fn note_write_fault(&mut self, WriteFault { error, stuck }: &WriteFault) {
        let flushing = &mut self.aof.flushing;
        if flushing.told_at.is_none_or(|told_at| self.now.since(told_at) > SILENCE_MS) {
            flushing.told_at = Some(self.now);
            self.log.warning(format_args!("Error writing to the AOF file: {}", reason(error)));
            if let Some(error) = stuck {
                let reason = reason(error);
                self.log.warning(format_args!("Could not remove short write from the append-only file: {reason}"));
            }
        }
        flushing.write_error = Some(reason(error));
        if self.aof.config.policy == Policy::Always {
            self.aof.flushing.fatal =
                Some("Can't recover from AOF write error when the AOF fsync policy is 'always'. Exiting...".to_owned());
        }
    }

    fn note_syncs(&mut self) {
        while let Some(outcome) = self.aof.syncer.as_mut().and_then(super::Syncer::poll) {
            self.note_sync(outcome);
        }
    }

    fn note_sync(&mut self, outcome: io::Result<()>) {
        if let Err(error) = &outcome {
            self.log.warning(format_args!("Fail to fsync the AOF file: {}", reason(error)));
            if let Some(writer) = &mut self.aof.writer {
                writer.distrust();
            }
        }
        self.aof.flushing.sync_error = outcome.err().map(|error| reason(&error));
    }

    /// Has the disk keep what is written, if it is time.
    fn sync_aof(&mut self) {
        let is_spared = self.aof.config.spares_disk && self.is_copying();
        let Some(writer) = self.aof.writer.as_mut().filter(|writer| !writer.is_synced() && !is_spared) else { return };
        match self.aof.config.policy {
            Policy::Never => {}
            Policy::Always => {
                let start = Instant::now();
                let outcome = writer.sync();
                self.note_latency(latency::Kind::AofFsyncAlways, start.elapsed());
                if let Err(error) = outcome {
                    self.aof.flushing.fatal = Some(format!(
                        "Can't persist AOF for fsync error when the AOF fsync policy is 'always': {}. Exiting...",
                        reason(&error)
                    ));
                }
            }
            Policy::EverySecond => {
                if self.aof.syncs_under_way() == 0 && self.now.since(self.aof.flushing.asked_at) >= SYNC_MS {
                    self.aof.flushing.asked_at = self.now;
                    self.sync_beside();
                }
            }
        }
    }

    /// Has the disk keep what is written to a file that another one follows.
    pub(super) fn sync_before_rewrite(&mut self) {
        match self.aof.config.policy {
            // Replies to what was written in this turn wait for it, and later only the next file is looked at.
            Policy::Always => self.sync_aof(),
            Policy::EverySecond | Policy::Never => self.sync_beside(),
        }
    }

    /// Has the disk keep what is written while the node goes on.
    fn sync_beside(&mut self) {
        let Some(file) = self.aof.writer.as_mut().map(super::Writer::hand_over) else { return };
        let started = self.aof.syncer().map(|syncer| syncer.keep(file));
        if started.is_err() {
            self.note_sync(started);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{aof::AppendOnly, config::Settings};
    use slotbus_core::Millis;
    use std::sync::Arc;

    #[test]
    fn a_write_is_postponed_while_the_disk_is_busy_but_not_for_long() {
        let mut aof = AppendOnly::new(&Settings::default());
        assert!(!aof.must_postpone(Millis(0)));
        let file = Arc::new(tempfile::tempfile().unwrap());
        // Until its outcome is asked for, the disk counts as busy.
        aof.syncer().unwrap().keep(file);
        assert!(aof.must_postpone(Millis(1000)) && aof.must_postpone(Millis(2999)));
        assert!(!aof.must_postpone(Millis(3000)) && aof.delayed() == 1);
        while aof.syncer().unwrap().poll().is_none() {
            std::thread::yield_now();
        }
        assert!(!aof.must_postpone(Millis(3001)) && aof.delayed() == 1);
    }
}
