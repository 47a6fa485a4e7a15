//! Owns what long work shows of itself on stderr, where that is a terminal, until it is done. Knows nothing
//! of the work.

use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

/// Redrawn this often while nothing happens, so that the time goes on.
const BEAT: Duration = Duration::from_millis(500);

/// A line on stderr that is gone when this is dropped.
#[derive(Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// Of work of which nobody knows how much it is.
    #[must_use]
    pub fn open() -> Self {
        Self::styled(ProgressBar::new_spinner(), "{spinner} {elapsed} {msg}")
    }

    /// Of so many things to do.
    #[must_use]
    pub fn of(total: usize, noun: &'static str) -> Self {
        let bar = ProgressBar::new(total as u64).with_message(noun);
        Self::styled(bar, "{bar:30} {pos} of {len} {msg}, {elapsed}, {eta} left")
    }

    fn styled(bar: ProgressBar, template: &str) -> Self {
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(BEAT);
        Self(bar)
    }

    /// What is being done.
    pub fn say(&self, what: &str) {
        self.0.set_message(what.to_owned());
    }

    /// One thing more is done.
    pub fn advance(&self) {
        self.0.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
