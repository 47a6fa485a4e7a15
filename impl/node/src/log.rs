//! Owns the log: one line per event, in redis-server's format, to standard output or a file.
//!
//! Must not know what is logged. Times are UTC.

use std::{
    cell::Cell,
    fmt,
    fs::OpenOptions,
    io::{self, Write},
    path::PathBuf,
    rc::Rc,
    time::{SystemTime, UNIX_EPOCH},
};

/// How much a line matters, in the order of `loglevel`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For debugging.
    Debug,
    /// Rarely useful.
    Verbose,
    /// What an operator wants to see.
    Notice,
    /// What an operator must see.
    Warning,
}

impl Level {
    /// The level of this name in a configuration; notice if there is none.
    #[must_use]
    pub fn named(name: &str) -> Self {
        match name {
            "debug" => Self::Debug,
            "verbose" => Self::Verbose,
            "warning" => Self::Warning,
            _ => Self::Notice,
        }
    }

    fn mark(self) -> char {
        match self {
            Self::Debug => '.',
            Self::Verbose => '-',
            Self::Notice => '*',
            Self::Warning => '#',
        }
    }
}

/// The log. Clones write to the same place.
#[derive(Clone, Debug)]
pub struct Log(Rc<Inner>);

#[derive(Debug)]
struct Inner {
    level: Cell<Level>,
    role: Cell<char>,
    /// Standard output if none. Opened for every line, so that the file may be moved away.
    file: Option<PathBuf>,
}

impl Log {
    /// A log to standard output, or to the end of a file, which must be writable.
    pub fn open(level: Level, file: Option<PathBuf>) -> io::Result<Self> {
        if let Some(path) = &file {
            OpenOptions::new().append(true).create(true).open(path)?;
        }
        Ok(Self(Rc::new(Inner { level: Cell::new(level), role: Cell::new('M'), file })))
    }

    /// Lines below this level are dropped from now on.
    pub fn set_level(&self, level: Level) {
        self.0.level.set(level);
    }

    /// The role that lines show from now on: M for a primary, S for a replica.
    pub fn set_role(&self, role: char) {
        self.0.role.set(role);
    }

    /// Whether lines of this level are written.
    #[must_use]
    pub fn takes(&self, level: Level) -> bool {
        level >= self.0.level.get()
    }

    /// Writes one line. A log that cannot be written is no reason to stop.
    pub fn line(&self, level: Level, message: fmt::Arguments<'_>) {
        if !self.takes(level) {
            return;
        }
        let (pid, role, mark) = (std::process::id(), self.0.role.get(), level.mark());
        let message = message.to_string().replace('\n', " ");
        let line = format!("{pid}:{role} {} {mark} {message}\n", Stamp::now());
        let _ = match &self.0.file {
            None => io::stdout().lock().write_all(line.as_bytes()),
            Some(path) => {
                let file = OpenOptions::new().append(true).create(true).open(path);
                file.and_then(|mut file| file.write_all(line.as_bytes()))
            }
        };
    }

    /// Writes a line of level debug.
    pub fn debug(&self, message: fmt::Arguments<'_>) {
        self.line(Level::Debug, message);
    }

    /// Writes a line of level verbose.
    pub fn verbose(&self, message: fmt::Arguments<'_>) {
        self.line(Level::Verbose, message);
    }

    /// Writes a line of level notice.
    pub fn notice(&self, message: fmt::Arguments<'_>) {
        self.line(Level::Notice, message);
    }

    /// Writes a line of level warning.
    pub fn warning(&self, message: fmt::Arguments<'_>) {
        self.line(Level::Warning, message);
    }
}

/// What the system says of an error, without its number.
#[must_use]
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split_once(" (os error").map_or(text.clone(), |(reason, _)| reason.to_owned())
}

/// A moment as log lines show it, in UTC.
struct Stamp {
    since_epoch_ms: u64,
}

impl Stamp {
    fn now() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { since_epoch_ms: u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX) }
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let (seconds, ms) = (self.since_epoch_ms / 1000, self.since_epoch_ms % 1000);
        let (day_of_epoch, second_of_day) = (seconds / 86_400, seconds % 86_400);
        let (year, month, day) = date(day_of_epoch);
        let (hour, minute, second) = (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
        let month = MONTHS.get(month).copied().unwrap_or_default();
        write!(f, "{day:02} {month} {year} {hour:02}:{minute:02}:{second:02}.{ms:03}")
    }
}

/// Year, month from 0 and day from 1 of a day counted from 1 January 1970, in the Gregorian calendar.
/// Years are taken to begin in March, which puts the leap day last.
fn date(day_of_epoch: u64) -> (u64, usize, u64) {
    let day = day_of_epoch + 719_468;
    let (era, day_of_era) = (day / 146_097, day % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12;
    let year = era * 400 + year_of_era + u64::from(month < 2);
    (year, usize::try_from(month).unwrap_or_default(), day_of_month)
}

#[cfg(test)]
mod tests {
    use super::Stamp;

    #[test]
    fn moments_show_as_the_server_shows_them() {
        for (since_epoch_ms, shown) in [
            (0, "01 Jan 1970 00:00:00.000"),
            (951_782_399_999, "28 Feb 2000 23:59:59.999"),
            (951_782_400_000, "29 Feb 2000 00:00:00.000"),
            (951_868_800_001, "01 Mar 2000 00:00:00.001"),
            (4_107_542_400_000, "01 Mar 2100 00:00:00.000"),
            (1_795_322_420_705, "22 Nov 2026 04:40:20.705"),
        ] {
            assert_eq!(Stamp { since_epoch_ms }.to_string(), shown);
        }
    }
}
