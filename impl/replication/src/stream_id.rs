//! Owns the name of a stream: forty hex digits.

use std::fmt;

const LEN: usize = 40;

/// The name of a stream. Two nodes that know the same name have the same bytes up to any offset that
/// both have reached.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId([u8; LEN]);

impl StreamId {
    /// No stream's name: shown where there is none.
    pub const NONE: Self = Self([b'0'; LEN]);

    /// The name that random bytes make.
    #[must_use]
    pub fn of_random(bytes: [u8; LEN / 2]) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut name = [0; LEN];
        for (pair, byte) in name.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
            *pair = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
        }
        Self(name)
    }

    /// The name that is written here; none unless it is forty hex digits.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let name: [u8; LEN] = text.try_into().ok()?;
        name.iter().all(u8::is_ascii_hexdigit).then_some(Self(name))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only digits get in.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
