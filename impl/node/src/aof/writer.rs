//! Owns the file that requests are appended to: what waits to be written, what is written, and that no
//! request stays half written.
//!
//! Must not know when to write, nor when to have the disk keep it.

use super::requests;
use std::{
    fs::{File, OpenOptions},
    io::{self, ErrorKind, Write},
    path::Path,
    sync::Arc,
};

/// Room beyond this is given back once nothing waits.
const KEPT_MAX: usize = 1024 * 1024;

/// The file.
#[derive(Debug)]
pub struct Writer {
    file: Arc<File>,
    /// How many bytes of it are whole requests, or the beginning of what waits.
    length: u64,
    waiting: Vec<u8>,
    /// The second that the last time stamp tells.
    stamped_s: u64,
    has_begun: bool,
    is_synced: bool,
}

/// Why not all was written, or not at all.
#[derive(Debug)]
pub struct WriteFault {
    /// Why.
    pub error: io::Error,
    /// A part of what waits was written and could not be taken back, for this reason.
    pub stuck: Option<io::Error>,
}

impl Writer {
    /// A file that is there already, or comes to be.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        let length = file.metadata()?.len();
        Ok(Self { file: Arc::new(file), length, waiting: Vec::new(), stamped_s: 0, has_begun: false, is_synced: true })
    }

    /// A file without anything in it, whatever was there.
    pub fn create(path: &Path) -> io::Result<Self> {
        File::create(path)?;
        Self::open(path)
    }

    /// Adds requests to what waits; `stamp_s` is the second that they belong to, if that is to be told.
    pub fn append(&mut self, requests: &[u8], stamp_s: Option<u64>) {
        if let Some(now_s) = stamp_s.filter(|&now_s| now_s > self.stamped_s) {
            self.stamped_s = now_s;
            self.waiting.extend(format!("#TS:{now_s}\r\n").bytes());
        }
        if !std::mem::replace(&mut self.has_begun, true) {
            requests::put(&mut self.waiting, ["SELECT", "0"].map(str::as_bytes));
        }
        self.waiting.extend_from_slice(requests);
    }

    /// How many bytes wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many bytes are written.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Writes all that waits. If that fails, the file is as long as before.
    pub fn write(&mut self) -> Result<(), WriteFault> {
        let mut written = 0;
        while written < self.waiting.len() {
            match (&*self.file).write(&self.waiting[written..]) {
                Ok(0) => return Err(self.take_back(written, ErrorKind::WriteZero.into())),
                Ok(count) => {
                    written += count;
                    self.is_synced = false;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.take_back(written, error)),
            }
        }
        self.keep(written);
        Ok(())
    }

    fn take_back(&mut self, written: usize, error: io::Error) -> WriteFault {
        let stuck = if written > 0 { self.file.set_len(self.length).err() } else { None };
        if stuck.is_some() {
            self.keep(written);
        }
        WriteFault { error, stuck }
    }

    fn keep(&mut self, written: usize) {
        self.length += written as u64;
        self.waiting.drain(..written);
        self.waiting.shrink_to(KEPT_MAX);
    }

    /// Whether the disk has all that is written, or was asked to keep it.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.is_synced
    }

    /// The disk may not have what it was asked to keep: it is to be asked again.
    pub fn distrust(&mut self) {
        self.is_synced = false;
    }

    /// Has the disk keep all that is written.
    pub fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        self.is_synced = true;
        Ok(())
    }

    /// The file, for somebody else to have the disk keep what is written.
    pub fn hand_over(&mut self) -> Arc<File> {
        self.is_synced = true;
        Arc::clone(&self.file)
    }
}

#[cfg(test)]
mod tests {
    use super::Writer;
    use std::fs;

    #[test]
    fn requests_are_appended_with_their_time_and_their_database() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "old").unwrap();
        let mut writer = Writer::open(&path).unwrap();
        writer.append(b"one", Some(7));
        writer.append(b"two", Some(7));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        writer.write().unwrap();
        writer.append(b"three", None);
        writer.write().unwrap();
        assert!(!writer.is_synced() && writer.waiting() == 0);
        writer.sync().unwrap();
        assert!(writer.is_synced());
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, "old#TS:7\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\nonetwothree");
        assert_eq!(writer.length(), text.len() as u64);
        assert_eq!(Writer::create(&path).unwrap().length(), 0);
    }

    #[test]
    fn what_cannot_be_written_waits() {
        let mut writer = Writer::open("/dev/full".as_ref()).unwrap();
        writer.append(b"one", None);
        let waiting = writer.waiting();
        let fault = writer.write().unwrap_err();
        assert!(fault.stuck.is_none() && fault.error.kind() == std::io::ErrorKind::StorageFull);
        assert_eq!((writer.waiting(), writer.length()), (waiting, 0));
    }
}
