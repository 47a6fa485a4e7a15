//! Owns what can happen to a world. Data only: what an action does is `world`'s business.

use crate::{connection::Side, place::Place};

/// One thing that can happen to a world: what, with which dice, and how it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Action {
    /// What happens.
    pub what: What,
    /// The dice word of the node's step.
    pub dice: u32,
    /// Whether the host dies in the middle of its step: after it saved, before it sent anything.
    pub dies: bool,
}

impl Action {
    /// `what`, with the first throw of the dice and nobody dying.
    #[must_use]
    pub const fn new(what: What) -> Self {
        Self { what, dice: 0, dies: false }
    }
}

/// What can happen to a world. Connections are named by their place among the world's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum What {
    /// The oldest message on its way to one end arrives.
    Deliver {
        /// On which connection.
        connection: u8,
        /// At which end.
        to: Side,
    },
    /// One end notices that the connection is over; what was still on its way to it is lost.
    HangUp {
        /// Which connection.
        connection: u8,
        /// Which end.
        at: Side,
    },
    /// A connection attempt reaches its target: both ends are up.
    Establish {
        /// Which connection.
        connection: u8,
    },
    /// Nobody listens where a connection attempt goes: it fails at once.
    Refuse {
        /// Which connection.
        connection: u8,
    },
    /// A host's next deadline comes.
    Tick {
        /// Whose.
        host: Place,
    },
    /// The next command of a script is given.
    Command {
        /// Which script.
        script: u8,
    },
    /// A client writes a key of every slot that a host owns.
    Write {
        /// Where.
        host: Place,
    },
    /// The key of a slot moves to where the slot is being moved.
    Transfer {
        /// Which of the setup's transfers.
        index: u8,
    },
    /// The network breaks a connection, or lets a connection attempt fail.
    Cut {
        /// Which connection.
        connection: u8,
    },
    /// A host's process is killed, or its machine loses power.
    Crash {
        /// Whose.
        host: Place,
        /// Whether what was saved without a sync is gone.
        power: bool,
    },
    /// A crashed host starts from its disk.
    Restart {
        /// Which.
        host: Place,
    },
    /// Two hosts cannot reach each other any more.
    Part {
        /// One of them.
        left: Place,
        /// The other.
        right: Place,
    },
    /// Two hosts can reach each other again.
    Heal {
        /// One of them.
        left: Place,
        /// The other.
        right: Place,
    },
}

/// The kinds of action, for coverage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// [`What::Deliver`].
    Deliver,
    /// [`What::HangUp`].
    HangUp,
    /// [`What::Establish`].
    Establish,
    /// [`What::Refuse`].
    Refuse,
    /// [`What::Tick`].
    Tick,
    /// [`What::Command`] and what clients do.
    Command,
    /// Crashes, cuts and partitions.
    Fault,
    /// Restarts and the end of partitions.
    Repair,
}

impl What {
    /// Which kind of action this is.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Deliver { .. } => Class::Deliver,
            Self::HangUp { .. } => Class::HangUp,
            Self::Establish { .. } => Class::Establish,
            Self::Refuse { .. } => Class::Refuse,
            Self::Tick { .. } => Class::Tick,
            Self::Command { .. } | Self::Write { .. } | Self::Transfer { .. } => Class::Command,
            Self::Cut { .. } | Self::Crash { .. } | Self::Part { .. } => Class::Fault,
            Self::Restart { .. } | Self::Heal { .. } => Class::Repair,
        }
    }
}
