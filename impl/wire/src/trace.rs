//! Owns the trace of a node: what it started from, then every input of the step function with the
//! effects it had. Knows neither who records nor who replays.
//!
//! There are two forms, which say the same: lines of JSON for people and other programs, and records of
//! bytes, which take less room and time. A reader takes either.
//!
//! Each line of JSON is `{"sum":"<8 hex digits>","body":<JSON>}`. The sum is the CRC-32 of the sum of the
//! line before (four bytes, big-endian, zeros for the first line) and of the body's bytes, so that a
//! changed byte and a line that was dropped, added or moved are noticed. Only lines dropped from the
//! end are not: such a file is what a process leaves that was killed between two writes.
//!
//! The binary form begins with [`BINARY_START`]. Each record is the length of its body as four bytes, its sum
//! as four bytes, both little-endian, and the body: a byte that says how the rest is written (`J` as JSON, `P`
//! as [postcard](https://postcard.jamesmunns.com)), and the rest. The first record, and a step that changes
//! the configuration, are JSON, so that they stay legible where the configuration has gained fields.

mod reader;
mod writer;

pub use reader::{Step, TraceError, TraceFault, TraceReader};
pub use writer::TraceWriter;

use serde::{Deserialize, Serialize};
use slotbus_core::{CLUSTER_SLOTS, Config, Durable, Millis, NodeId, Origin};

/// The format's number, in the first line of every trace.
pub const FORMAT: u32 = 1;

/// What the binary form begins with; the last byte is the format's number.
pub const BINARY_START: [u8; 8] = *b"SBTRACE\x01";

/// How a trace is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// As lines of JSON.
    #[default]
    Json,
    /// As records of bytes.
    Binary,
}

/// How the body of a binary record is written.
const BODY_JSON: u8 = b'J';
const BODY_POSTCARD: u8 = b'P';
/// Length and sum of a binary record.
const RECORD_HEAD: usize = 8;

/// The longest line. A heartbeat with as much gossip as can be counted fits.
pub const LINE_MAX: usize = 64 << 20;

/// What stands before a line's sum, between sum and body, and after the body.
const FRAME: [&str; 3] = [r#"{"sum":""#, r#"","body":"#, "}"];

/// What a trace begins with: all that the first step depends on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Name and version of the program that recorded.
    pub version: String,
    /// What the node was told before it started.
    pub config: Config,
    /// What it started from.
    #[serde(with = "OriginForm")]
    pub origin: Origin<CLUSTER_SLOTS>,
    /// When it started, on the clock of its inputs.
    pub now: Millis,
}

/// The form of an origin in the first line.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Origin::<CLUSTER_SLOTS>", rename_all = "snake_case")]
enum OriginForm {
    Fresh(NodeId),
    Restored(Box<Durable<CLUSTER_SLOTS>>),
}

/// The sum of a line that follows one with the sum `previous`.
fn sum(previous: u32, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&previous.to_be_bytes());
    hasher.update(body);
    hasher.finalize()
}
