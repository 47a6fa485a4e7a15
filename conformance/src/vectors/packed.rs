//! Owns bytes as text: hex digits in which `(HH*N)` stands for `N` times the byte `HH`. Packets of the
//! bus are mostly runs. Knows nothing of what the bytes mean.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::fmt::Write as _;

/// Shorter runs are written out.
const RUN_MIN: usize = 5;
/// No text may stand for more bytes.
const LEN_MAX: usize = 1 << 24;

/// Bytes that are written as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Packed(pub(super) Vec<u8>);

/// The text of some bytes.
pub(super) fn pack(bytes: &[u8]) -> String {
    let mut text = String::new();
    for run in bytes.chunk_by(|left, right| left == right) {
        let (byte, count) = (run[0], run.len());
        let written = if count < RUN_MIN {
            (0..count).try_for_each(|_| write!(text, "{byte:02x}"))
        } else {
            write!(text, "({byte:02x}*{count})")
        };
        debug_assert!(written.is_ok(), "a String takes all that is written to it");
    }
    text
}

/// The bytes that a text stands for; none if it is no such text.
pub(super) fn unpack(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (byte, count, after) = match rest.strip_prefix('(') {
            Some(run) => {
                let (run, after) = run.split_once(')')?;
                let (byte, count) = run.split_once('*')?;
                (byte, count.parse().ok()?, after)
            }
            None => (rest.get(..2)?, 1_usize, rest.get(2..)?),
        };
        let is_hex = byte.len() == 2 && byte.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        if !is_hex || count > LEN_MAX - bytes.len() {
            return None;
        }
        bytes.resize(bytes.len() + count, u8::from_str_radix(byte, 16).ok()?);
        rest = after;
    }
    Some(bytes)
}

impl Serialize for Packed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&pack(&self.0))
    }
}

impl<'de> Deserialize<'de> for Packed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        unpack(&text).map(Self).ok_or_else(|| D::Error::custom("these are no packed bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::{pack, unpack};

    #[test]
    fn bytes_come_back() {
        for bytes in [vec![], vec![0; 4], vec![7; 5], vec![1, 2, 2, 2, 2, 2, 2, 3], vec![255; 4096]] {
            assert_eq!(unpack(&pack(&bytes)), Some(bytes));
        }
        assert_eq!(pack(&[0xab, 0, 0, 0, 0, 0, 0]), "ab(00*6)");
    }

    #[test]
    fn what_is_no_packed_text_is_refused() {
        for text in ["0", "0g", "AB", "(00*6", "(00)", "(0*6)", "(00*-1)", "(00*99999999999)", "é0"] {
            assert_eq!(unpack(text), None, "{text}");
        }
    }
}
