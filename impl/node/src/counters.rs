//! Owns what is counted, for INFO and CLUSTER INFO.
//!
//! Must not be read by anything that decides.

use slotbus_core::message::KIND_NAMES;

/// Messages of the bus by kind, in one direction.
#[derive(Clone, Copy, Debug, Default)]
pub struct Messages([u64; KIND_NAMES.len()]);

impl Messages {
    /// Counts a message; an unknown kind is not counted.
    pub fn count(&mut self, code: u16) {
        if let Some(count) = self.0.get_mut(usize::from(code)) {
            *count += 1;
        }
    }

    /// Every kind that was counted, with its count.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        KIND_NAMES.into_iter().zip(self.0).filter(|(_, count)| *count > 0)
    }

    /// All messages.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

/// What the bus has done.
#[derive(Debug, Default)]
pub struct BusCounters {
    /// Messages handed to links.
    pub sent: Messages,
    /// Messages that arrived, well-formed or not.
    pub received: Messages,
    /// Links that were closed because too much waited on them.
    pub overfull: u64,
}

/// What the clients have done.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientCounters {
    /// Connections accepted.
    pub connections: u64,
    /// Connections refused because there were too many.
    pub rejected: u64,
    /// Commands executed.
    pub commands: u64,
    /// Bytes read.
    pub bytes_in: u64,
    /// Bytes written.
    pub bytes_out: u64,
    /// Reads of sockets.
    pub reads: u64,
    /// Writes of sockets.
    pub writes: u64,
    /// Error replies.
    pub errors: u64,
}
