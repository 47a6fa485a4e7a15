//! Owns the names of hosts: places in a world, shown as letters. Knows nothing of what is there.

use std::fmt;

/// A host, by its place in the world.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(pub u8);

impl Place {
    /// The host shown as a.
    pub const A: Self = Self(0);
    /// The host shown as b.
    pub const B: Self = Self(1);
    /// The host shown as c.
    pub const C: Self = Self(2);
    /// The host shown as d.
    pub const D: Self = Self(3);
    /// The host shown as e.
    pub const E: Self = Self(4);

    /// The host at `index`; a world has at most 6.
    #[must_use]
    pub fn at(index: usize) -> Self {
        Self(u8::try_from(index).unwrap_or(u8::MAX))
    }

    /// This place as an index.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&char::from(b'a'.saturating_add(self.0)), f)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
