//! Owns everything that can happen to replication.

use crate::StreamId;
use slotbus_core::{Address, NodeId};

/// The driver's name for one connection of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaId(pub u64);

/// What a replica says about itself before it asks for the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Introduction {
    /// Where clients reach it.
    Port(u16),
    /// Its address.
    Ip(String),
    /// It understands a mark at the end of a copy.
    EndMarks,
    /// It wants the stream, and no keys before.
    NoKeys,
    /// It wants a copy of all keys, and nothing of the stream.
    CopyOnly,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// Time has passed. Comes at least ten times a second.
    Tick {
        /// Whether nothing may be written to the stream: a failover waits for a replica to catch up.
        is_paused: bool,
        /// Whether a copy of all keys could be begun.
        can_copy: bool,
    },
    /// This primary is to be followed.
    Follow {
        /// Whom.
        primary: NodeId,
        /// Where; a host that is no IP address, or port 0, if that is not known yet.
        address: Address,
        /// Its shard. If it is that of the primary so far, what is here is of its past, and as old as it was.
        shard: NodeId,
    },
    /// Nobody is to be followed any more.
    Lead {
        /// The name under which the stream goes on.
        id: StreamId,
    },
    /// The connection to the primary is there.
    Connected,
    /// The connection to the primary is gone, or did not come about.
    Lost,
    /// The primary has sent something.
    Received(&'a [u8]),
    /// The copy that has arrived is now this node's data.
    Loaded,
    /// The copy is of no use: what is here is still what was here before.
    Unloadable,
    /// A request of the primary cannot be carried out.
    Inapplicable,
    /// A primary's own writes, as requests.
    Produced(&'a [u8]),
    /// Somebody wants to know how far the replicas are.
    AcksWanted,
    /// A connection says what kind of replica it is.
    Introduced {
        /// Which.
        replica: ReplicaId,
        /// What it says.
        introduction: Introduction,
    },
    /// A replica asks for the stream.
    Asked {
        /// Which.
        replica: ReplicaId,
        /// Of which stream it has how many bytes, if it has any.
        place: Option<(StreamId, u64)>,
        /// Whether it expects to be told where the stream begins.
        expects_place: bool,
    },
    /// A replica tells how many bytes of the stream it has.
    Acked {
        /// Which.
        replica: ReplicaId,
        /// How many.
        offset: u64,
    },
    /// A replica gave a sign of life: it takes what it is sent.
    Heard {
        /// Which.
        replica: ReplicaId,
    },
    /// A replica was handed its copy to the last byte.
    Copied {
        /// Which.
        replica: ReplicaId,
    },
    /// The copy that was being made cannot be completed.
    CopyFailed,
    /// A replica's connection is gone.
    Gone {
        /// Which.
        replica: ReplicaId,
    },
}
