//! Owns the thread for what takes the disk long: to keep what is written, and to forget files.
//!
//! Must not write.

use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, TryRecvError, channel},
    },
    thread,
};

#[derive(Debug)]
enum Job {
    Keep(Arc<File>),
    Remove(PathBuf),
}

/// The thread. It ends with this value.
#[derive(Debug)]
pub struct Syncer {
    jobs: Sender<Job>,
    outcomes: Receiver<io::Result<()>>,
    under_way: usize,
}

impl Syncer {
    /// Starts the thread.
    pub fn start() -> io::Result<Self> {
        let (jobs, asked) = channel();
        let (told, outcomes) = channel();
        thread::Builder::new().name("aof-sync".into()).spawn(move || {
            for job in asked {
                match job {
                    // Nobody asks any more once the process is about to end.
                    Job::Keep(file) => drop(told.send(file.sync_data())),
                    // A file that stays counts as little as one that is gone.
                    Job::Remove(path) => drop(fs::remove_file(path)),
                }
            }
        })?;
        Ok(Self { jobs, outcomes, under_way: 0 })
    }

    /// Has the disk keep what is written to a file.
    pub fn keep(&mut self, file: Arc<File>) {
        // That the thread is gone is told by the outcome.
        let _ = self.jobs.send(Job::Keep(file));
        self.under_way += 1;
    }

    /// Removes a file.
    pub fn remove(&self, path: PathBuf) {
        // Without the thread the file stays.
        let _ = self.jobs.send(Job::Remove(path));
    }

    /// How many files the disk has to keep yet.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.under_way
    }

    /// What came of the next file, once that is known.
    pub fn poll(&mut self) -> Option<io::Result<()>> {
        if self.under_way == 0 {
            return None;
        }
        let outcome = match self.outcomes.try_recv() {
            Ok(outcome) => outcome,
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => Err(ErrorKind::BrokenPipe.into()),
        };
        self.under_way -= 1;
        Some(outcome)
    }
}
