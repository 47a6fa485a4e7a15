//! Owns what is known of the script that runs: what it may do, since when it runs, whether it is to end.
//!
//! Must not know Lua.

use super::shebang::Flags;
use slotbus_core::Slot;
use slotbus_wire::resp::{OwnedArgs, Protocol};
use std::{
    cell::Cell,
    time::{Duration, Instant},
};

/// What both the node and the functions that the script calls look at.
#[derive(Debug)]
pub(crate) struct Terms {
    /// The version of the protocol that the script speaks.
    pub(crate) protocol: Cell<Protocol>,
    /// Whether what it writes goes to replicas.
    pub(crate) replicates: Cell<bool>,
    /// When it began.
    pub(crate) since: Cell<Instant>,
    /// After so long others are told that it runs; none for never.
    pub(crate) patience: Cell<Option<Duration>>,
    /// Whether it is to end.
    pub(crate) is_killed: Cell<bool>,
    /// When the library that is loaded is given up.
    loading_end: Cell<Option<Instant>>,
}

impl Terms {
    /// Those of no script.
    pub(super) fn new() -> Self {
        Self {
            protocol: Cell::new(Protocol::Two),
            replicates: Cell::new(true),
            since: Cell::new(Instant::now()),
            patience: Cell::new(None),
            is_killed: Cell::new(false),
            loading_end: Cell::new(None),
        }
    }

    /// Those with which a script begins.
    pub(super) fn begin(&self, patience: Option<Duration>) {
        self.protocol.set(Protocol::Two);
        self.replicates.set(true);
        self.since.set(Instant::now());
        self.patience.set(patience);
        self.is_killed.set(false);
    }

    /// What holds again once it has ended.
    pub(super) fn end(&self) {
        self.replicates.set(true);
        self.patience.set(None);
    }

    /// A library begins to be loaded, and is given up after so long, if ever.
    pub(super) fn begin_loading(&self, patience: Option<Duration>) {
        self.is_killed.set(false);
        self.loading_end.set(patience.map(|patience| Instant::now() + patience));
    }

    /// The library is loaded, or given up.
    pub(super) fn end_loading(&self) {
        self.loading_end.set(None);
    }

    /// Whether a library has been loaded for too long.
    pub(super) fn loads_too_long(&self) -> bool {
        self.loading_end.get().is_some_and(|end| Instant::now() >= end)
    }

    /// Whether the script has run for too long.
    pub(super) fn is_late(&self) -> bool {
        self.patience.get().is_some_and(|patience| self.since.get().elapsed() >= patience)
    }
}

/// The script that runs.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    /// Its name.
    pub(crate) name: String,
    /// The request by which it was called, if it is a function of a library.
    pub(crate) call: Option<OwnedArgs>,
    /// What it says of itself.
    pub(crate) flags: Flags,
    /// Whether it must not write.
    pub(crate) is_readonly: bool,
    /// Whether it has asked to write.
    pub(crate) has_written: bool,
    /// Whether memory had run out when it began.
    pub(crate) is_out_of_memory: bool,
    /// The slot of the keys that it has used.
    pub(crate) slot: Option<Slot>,
    /// Whether it has run for so long that others are told.
    pub(crate) is_late: bool,
}

impl Running {
    /// The command that ends it.
    pub(crate) fn remedy(&self) -> &'static str {
        if self.call.is_some() { "FUNCTION KILL" } else { "SCRIPT KILL" }
    }
}
