//! Where a packet ends in a stream of them. Knows of a packet no more than its first sixteen bytes.

use super::layout::{HEADER, HEARTBEAT_MAX, KIND_AT, LENGTH_AT, LIGHT, LIGHT_HEADER, PUBLICATION_MAX, SIGNATURE, kind};
use std::{error, fmt};

/// What a stream holds is no packet, so that no later packet can be found either: close the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTheBus {
    /// It does not begin with `RCmb`.
    Signature,
    /// The packet claims to be shorter than its header.
    TooShort {
        /// The length that it claims.
        length: u32,
    },
    /// The packet claims to be longer than any packet of its kind: waiting for it would only
    /// gather memory.
    TooLong {
        /// The length that it claims.
        length: u32,
        /// The longest for its kind.
        limit: usize,
    },
}

impl fmt::Display for NotTheBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signature => f.write_str("bad signature: the stream is not of the cluster bus"),
            Self::TooShort { length } => write!(f, "bad length: a packet of {length} bytes has no room for its header"),
            Self::TooLong { length, limit } => {
                write!(f, "bad length: {length} bytes, and packets of this kind have at most {limit}")
            }
        }
    }
}

impl error::Error for NotTheBus {}

/// The length of the first packet in `buffer`, if all of it is there.
///
/// Only the first sixteen bytes are looked at. What the length is checked against depends on the
/// kind of message: light headers are shorter, and only published and module messages can be
/// longer than a heartbeat with 65535 gossip entries.
pub fn frame(buffer: &[u8]) -> Result<Option<usize>, NotTheBus> {
    if !SIGNATURE.starts_with(&buffer[..buffer.len().min(SIGNATURE.len())]) {
        return Err(NotTheBus::Signature);
    }
    let Some(length) = u32_at(buffer, LENGTH_AT) else { return Ok(None) };
    if length < LIGHT_HEADER as u32 {
        return Err(NotTheBus::TooShort { length });
    }
    let Some(kind) = u16_at(buffer, KIND_AT) else { return Ok(None) };
    let (shortest, limit) = limits(kind);
    // A length that does not fit the address space is over every limit.
    match usize::try_from(length).unwrap_or(usize::MAX) {
        total if total < shortest => Err(NotTheBus::TooShort { length }),
        total if total > limit => Err(NotTheBus::TooLong { length, limit }),
        total => Ok((total <= buffer.len()).then_some(total)),
    }
}

/// The shortest and the longest packet of a kind.
fn limits(kind: u16) -> (usize, usize) {
    let shortest = if kind & LIGHT == 0 { HEADER } else { LIGHT_HEADER };
    let has_payload = matches!(kind & !LIGHT, kind::PUBLISH | kind::MODULE | kind::PUBLISH_SHARD);
    (shortest, if has_payload { PUBLICATION_MAX } else { HEARTBEAT_MAX })
}

/// The code of the kind of message that a packet claims to be, whether or not it is well-formed: an
/// index of `slotbus_core::message::KIND_NAMES` if it is known. None if the packet is too short.
#[must_use]
pub fn kind_code(packet: &[u8]) -> Option<u16> {
    u16_at(packet, KIND_AT).map(|kind| kind & !LIGHT)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|chunk| u16::from_be_bytes(*chunk))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|chunk| u32::from_be_bytes(*chunk))
}
