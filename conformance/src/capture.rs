//! Bus traffic seen from outside: read from capture files, recorded from the loopback interface, shown a
//! packet a line, and held to the rules of the protocol. Owns what a packet seen is; its modules know the
//! formats of files, the streams of TCP, and the laws.

pub mod file;
pub mod laws;
pub mod live;
pub mod show;
mod stream;

use slotbus_wire::bus::{self, BusMessage, Malformed, Packet};
use std::time::Duration;

/// One packet of the bus on its way from one node to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The packet's number, counted from 1.
    pub number: u64,
    /// The number of the captured frame that it ends in.
    pub frame: u64,
    /// When it was captured, since the Unix epoch.
    pub at: Duration,
    /// The number of the TCP connection.
    pub connection: u64,
    /// Whether the end that opened the connection speaks.
    pub by_caller: bool,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Seen {
    /// What the packet says, with its header.
    pub fn message(&self) -> Result<BusMessage, Unread> {
        match bus::decode(&self.bytes).map_err(Unread::Malformed)? {
            Packet::Full(message) => Ok(message),
            Packet::Light(_) => Err(Unread::Light),
        }
    }
}

/// Why a packet tells nothing of its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// It is no good packet.
    Malformed(Malformed),
    /// It has a light header, which names no sender.
    Light,
}

/// What a capture shows of one connection besides its packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Turn {
    /// It was opened while the capture ran.
    Opened,
    /// One end closed it or broke it.
    Closed,
    /// Something that was sent on it is not in the capture.
    Gap,
    /// What one end sent after a packet is none: all that it sent later is lost to receivers.
    NoPacket,
}

/// What a capture holds, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// A packet.
    Packet(Seen),
    /// Something about a connection.
    Connection {
        /// Its number.
        connection: u64,
        /// When.
        at: Duration,
        /// What.
        turn: Turn,
    },
}
