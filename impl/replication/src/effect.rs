//! Owns everything that replication can ask of its driver.

use crate::{ReplicaId, StreamId};
use slotbus_core::Address;
use slotbus_wire::resp::OwnedArgs;
use std::fmt;

/// One thing to do. The driver does all of a step in order; after one that it answers with
/// [`Event::Unloadable`](crate::Event::Unloadable) or
/// [`Event::Inapplicable`](crate::Event::Inapplicable), it leaves the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Open the connection to the primary, in the place of any former one.
    Connect(Address),
    /// Close the connection to the primary, and report nothing more about it.
    Disconnect,
    /// Send bytes to the primary.
    Send(Vec<u8>),
    /// A copy of all keys begins to arrive.
    BeginLoad,
    /// The next bytes of the copy.
    Load(Vec<u8>),
    /// The copy is complete: have it take the place of the data, and say what came of it.
    EndLoad,
    /// Carry out the primary's requests, as one.
    Apply(Vec<OwnedArgs>),
    /// Make a copy of all keys as they are now, and send it to these replicas.
    Copy {
        /// Those that look for a mark at its end.
        marked: Vec<ReplicaId>,
        /// Those that must know its length before its first byte.
        counted: Vec<ReplicaId>,
        /// Those that want one without keys, with a mark at its end.
        empty: Vec<ReplicaId>,
    },
    /// Send a replica bytes that are not of the stream, before anything else.
    Answer {
        /// Whom.
        replica: ReplicaId,
        /// What.
        bytes: Vec<u8>,
    },
    /// Close a replica's connection.
    Close {
        /// Which.
        replica: ReplicaId,
    },
    /// Tell whoever reads the log.
    Tell(Note),
}

/// What is worth a line in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The primary is silent.
    PrimarySilent,
    /// The connection to the primary is lost.
    PrimaryLost,
    /// The primary's bytes make no sense.
    PrimaryConfused(String),
    /// The primary refuses something.
    PrimaryRefuses(String),
    /// The primary will send a copy of all keys.
    FullCopy(StreamId, u64),
    /// The primary goes on with the stream.
    Continued(StreamId),
    /// The copy has arrived; the stream follows.
    InStep,
    /// A replica goes on with the stream.
    ReplicaContinues(ReplicaId, u64),
    /// A replica cannot go on with the stream, and gets a copy.
    ReplicaNeedsCopy(ReplicaId),
    /// A replica has its copy and reads the stream.
    ReplicaOnline(ReplicaId),
    /// A replica is silent.
    ReplicaSilent(ReplicaId),
    /// A replica does not read enough.
    ReplicaOverflows(ReplicaId),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PrimarySilent => f.write_str("MASTER timeout: no data nor PING received..."),
            Self::PrimaryLost => f.write_str("Connection with master lost."),
            Self::PrimaryConfused(what) => write!(f, "The primary is not understood: {what}"),
            Self::PrimaryRefuses(what) => write!(f, "The primary refuses: {what}"),
            Self::FullCopy(id, offset) => write!(f, "Full resync from master: {id}:{offset}"),
            Self::Continued(id) => write!(f, "Successful partial resynchronization with master: {id}"),
            Self::InStep => f.write_str("MASTER <-> REPLICA sync: Finished with success"),
            Self::ReplicaContinues(replica, count) => {
                write!(f, "Partial resynchronization of replica {} accepted: {count} bytes follow", replica.0)
            }
            Self::ReplicaNeedsCopy(replica) => write!(f, "Full resync requested by replica {}", replica.0),
            Self::ReplicaOnline(replica) => write!(f, "Synchronization with replica {} succeeded", replica.0),
            Self::ReplicaSilent(replica) => write!(f, "Disconnecting timedout replica {}", replica.0),
            Self::ReplicaOverflows(replica) => {
                write!(f, "Replica {} is closed: too much waits for it to be read", replica.0)
            }
        }
    }
}
