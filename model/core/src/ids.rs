//! Owns the identity of nodes and links. Knows nothing of addresses: an id outlives every address.

use core::{cmp::Ordering, fmt, str::FromStr};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A node's name: 20 bytes, written as 40 lowercase hex digits on the wire and in files.
///
/// The order is protocol: the smaller id yields on an epoch collision, and ranks break ties by it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeId(pub [u8; 20]);

impl Ord for NodeId {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        self.words().cmp(&other.words())
    }
}

impl PartialOrd for NodeId {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The text is not 40 lowercase hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadNodeId;

impl fmt::Display for BadNodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a node id is 40 lowercase hex digits")
    }
}

impl core::error::Error for BadNodeId {}

impl NodeId {
    /// Length of the textual form.
    pub const TEXT_LEN: usize = 40;

    /// Reads the textual form; only lowercase digits count, as on the wire.
    pub fn from_text(text: &[u8]) -> Result<Self, BadNodeId> {
        let text: &[u8; Self::TEXT_LEN] = text.try_into().map_err(|_| BadNodeId)?;
        let (mut bytes, mut all) = ([0; 20], 0);
        for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            let digits = [pair[0], pair[1]].map(|digit| DIGIT_VALUES[usize::from(digit)]);
            *byte = digits[0] << 4 | digits[1];
            all |= digits[0] | digits[1];
        }
        if all > 15 { Err(BadNodeId) } else { Ok(Self(bytes)) }
    }

    /// The bytes as numbers, which sort as they do: the table of nodes is searched by them.
    #[inline]
    fn words(&self) -> (u64, u64, u32) {
        let [b0, b1, b2, b3, b4, b5, b6, b7, c0, c1, c2, c3, c4, c5, c6, c7, d0, d1, d2, d3] = self.0;
        let first = u64::from_be_bytes([b0, b1, b2, b3, b4, b5, b6, b7]);
        let second = u64::from_be_bytes([c0, c1, c2, c3, c4, c5, c6, c7]);
        (first, second, u32::from_be_bytes([d0, d1, d2, d3]))
    }

    /// The first eight bytes as a number.
    #[inline]
    pub(crate) fn first_word(&self) -> u64 {
        self.words().0
    }

    /// The 40 bytes that stand for this id on the wire.
    #[must_use]
    pub fn to_text(self) -> [u8; 40] {
        let mut text = [0; 40];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        text
    }
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The value of each byte as a digit; beyond 15 if it is none.
const DIGIT_VALUES: [u8; 256] = {
    let mut values = [u8::MAX; 256];
    let mut value = 0;
    while value < 16 {
        values[DIGITS[value as usize] as usize] = value;
        value += 1;
    }
    values
};

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(core::str::from_utf8(&self.to_text()).unwrap_or_default())
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for NodeId {
    type Err = BadNodeId;
    fn from_str(text: &str) -> Result<Self, BadNodeId> {
        Self::from_text(text.as_bytes())
    }
}

impl Serialize for NodeId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for NodeId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return Deserialize::deserialize(deserializer).map(Self);
        }
        let text = alloc::string::String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// One TCP connection of the bus, named by the end that opened it.
///
/// Outbound numbers are handed out by the core, inbound numbers by the driver; either may be used
/// again once the link is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkId {
    /// Opened by this node: requests and broadcasts leave here, their answers come back here.
    Outbound(u32),
    /// Opened by a peer: its requests arrive here, our answers to them leave here.
    Inbound(u32),
}

/// The driver's name for one admin request, echoed in its reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestId(pub u64);
