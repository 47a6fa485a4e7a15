//! Owns the closed list of what can wake the node, and its form as tokens of the poll.
//!
//! Must not know what anybody does when woken.

use crate::slab::Key;
use mio::Token;

/// What can wake the node, besides time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// A client wants to connect at this listener.
    ClientArrives(u32),
    /// A node wants to connect at this listener.
    NodeArrives(u32),
    /// The process is asked to end.
    Ends(Ending),
    /// A client's socket is ready.
    Client(Key),
    /// A bus link's socket is ready.
    Link(Key),
    /// The socket of a migration is ready.
    Migration(Key),
    /// The socket to the primary is ready; of the how manieth connection it is.
    Primary(u32),
}

/// Which signal asks the process to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// SIGTERM.
    Terminate,
    /// SIGINT.
    Interrupt,
}

const KIND_BITS: u32 = 3;
const INDEX_BITS: u32 = 29;

impl Wake {
    /// The token that stands for this.
    #[must_use]
    pub fn token(self) -> Token {
        let (kind, index, generation) = match self {
            Self::ClientArrives(listener) => (0, listener, 0),
            Self::NodeArrives(listener) => (1, listener, 0),
            Self::Ends(Ending::Terminate) => (2, 0, 0),
            Self::Ends(Ending::Interrupt) => (2, 1, 0),
            Self::Client(key) => (3, key.index, key.generation),
            Self::Link(key) => (4, key.index, key.generation),
            Self::Migration(key) => (5, key.index, key.generation),
            Self::Primary(generation) => (6, 0, generation),
        };
        let index = u64::from(index) & ((1 << INDEX_BITS) - 1);
        let token = kind | index << KIND_BITS | u64::from(generation) << (KIND_BITS + INDEX_BITS);
        Token(usize::try_from(token).unwrap_or(usize::MAX))
    }

    /// What a token stands for; nothing if it is none of ours.
    #[must_use]
    pub fn of(token: Token) -> Option<Self> {
        let token = token.0 as u64;
        let index = u32::try_from(token >> KIND_BITS & ((1 << INDEX_BITS) - 1)).ok()?;
        let generation = u32::try_from(token >> (KIND_BITS + INDEX_BITS)).ok()?;
        let key = Key { index, generation };
        match token & ((1 << KIND_BITS) - 1) {
            0 => Some(Self::ClientArrives(index)),
            1 => Some(Self::NodeArrives(index)),
            2 if index == 0 => Some(Self::Ends(Ending::Terminate)),
            2 => Some(Self::Ends(Ending::Interrupt)),
            3 => Some(Self::Client(key)),
            4 => Some(Self::Link(key)),
            5 => Some(Self::Migration(key)),
            6 => Some(Self::Primary(generation)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Ending, Wake};
    use crate::slab::Key;
    use mio::Token;

    #[test]
    fn tokens_stand_for_what_they_were_made_of() {
        let key = Key { index: (1 << 29) - 1, generation: u32::MAX };
        for wake in [
            Wake::ClientArrives(0),
            Wake::NodeArrives(3),
            Wake::Ends(Ending::Terminate),
            Wake::Ends(Ending::Interrupt),
            Wake::Client(key),
            Wake::Link(Key { index: 5, generation: 0 }),
            Wake::Migration(Key { index: 0, generation: 9 }),
            Wake::Primary(77),
        ] {
            assert_eq!(Wake::of(wake.token()), Some(wake));
        }
        assert_eq!(Wake::of(Token(7)), None);
    }
}
