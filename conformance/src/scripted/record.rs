//! What passed between one server under test and its peers and clients, with times, as it happened.
//! Knows neither scripts nor what any of it means.

use super::{link::Arrival, peer::Via};
use redis::Value;
use slotbus_wire::bus::BusMessage;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

/// One connection of the bus: the peer's client port, and a number that tells its connections apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Conn {
    /// The peer's client port.
    pub port: u16,
    /// The peer's count of its connections.
    pub number: u64,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub struct Record {
    /// When, in milliseconds of the wall clock.
    pub at_ms: u64,
    /// What.
    pub what: Happening,
}

/// What can happen.
#[derive(Clone, Debug)]
pub enum Happening {
    /// The server's process is about to start.
    Started {
        /// Its client port.
        port: u16,
        /// Its bus port.
        cport: u16,
        /// For how long it has run already; nothing, if its process starts now.
        uptime_ms: u64,
        /// What it is told, as on a command line.
        directives: Vec<String>,
        /// The text of its nodes.conf, if there is one.
        nodes_conf: Option<String>,
    },
    /// The server answers clients.
    Ready,
    /// The server's process was ended.
    Killed,
    /// A peer began or ceased to listen.
    Listens {
        /// The peer's client port.
        port: u16,
        /// Whether it listens now.
        listens: bool,
    },
    /// A connection was opened.
    Up {
        /// Which.
        conn: Conn,
        /// By whom.
        via: Via,
    },
    /// A peer sent these bytes.
    Sent {
        /// On which connection.
        conn: Conn,
        /// What.
        bytes: Vec<u8>,
    },
    /// A peer heard something.
    Heard {
        /// On which connection.
        conn: Conn,
        /// What.
        arrival: Arrival,
    },
    /// A peer closed a connection.
    HungUp {
        /// Which.
        conn: Conn,
    },
    /// A client sent a command.
    Asked {
        /// Counts commands.
        number: u64,
        /// Its words.
        words: Vec<String>,
    },
    /// The reply to it came.
    Answered {
        /// Which command's.
        number: u64,
        /// The reply.
        reply: Value,
    },
}

impl Happening {
    /// What the server was heard to say, and on which connection.
    #[must_use]
    pub fn said(&self) -> Option<(Conn, &BusMessage)> {
        if let Self::Heard { conn, arrival: Arrival::Message(message) } = self { Some((*conn, message)) } else { None }
    }

    /// A reply of the server, and to which command.
    #[must_use]
    pub fn answer(&self) -> Option<(u64, &Value)> {
        if let Self::Answered { number, reply } = self { Some((*number, reply)) } else { None }
    }
}

/// Keeps what happens, for whoever holds a clone; one made by default keeps nothing.
#[derive(Clone, Debug, Default)]
pub struct Recorder(Option<Arc<Mutex<Vec<Record>>>>);

impl Recorder {
    /// A recorder that keeps what it is told.
    #[must_use]
    pub fn keeping() -> Self {
        Self(Some(Arc::default()))
    }

    /// Keeps what happened just now.
    pub fn note(&self, what: Happening) {
        if let Some(records) = &self.0 {
            let mut records = records.lock().unwrap_or_else(PoisonError::into_inner);
            // The time is read under the lock: records are in the order of their times.
            records.push(Record { at_ms: wall_clock_ms(), what });
        }
    }

    /// All that was kept so far.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        let records = self.0.as_ref().map(|records| records.lock().unwrap_or_else(PoisonError::into_inner).clone());
        records.unwrap_or_default()
    }
}

fn wall_clock_ms() -> u64 {
    let age = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
}
