//! Owns the snapshot of all keys: its file, how it is written while the node goes on, how it is read
//! at the start.
//!
//! Must not know the format: that is slotbus-wire's. A save in the background takes the slots one after
//! the other, a few at a time; what is about to change in a slot that was not taken yet is taken first,
//! so that the file holds the keys of one instant. The file itself is written by a thread that owns
//! nothing else, and replaces the former one only once it is complete.

use crate::{
    log::reason,
    store::{Store, entry::Entry, value::Value},
};
use rustix::fs::{Mode, OFlags};
use slotbus_core::Millis;
use slotbus_wire::rdb::{self, Fault, Header, Record, RecordReader};
use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read, Write},
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::{self, JoinHandle},
};
