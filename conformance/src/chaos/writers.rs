//! Clients that write while faults go on, and what they were promised. Owns the writes and the search for
//! them afterwards; knows MOVED and ASK, and nothing else of the cluster.

use super::fleet::Contact;
use crate::cluster;
use redis::{Connection, ErrorKind, ServerErrorKind};
use slotbus_core::{CLUSTER_SLOTS, Slot, route::key_slot};
use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// A node that does not answer for so long is given up for now.
const TIMEOUT: Duration = Duration::from_millis(500);
/// From one write to the next, so that the cluster has the processors too.
const PACE: Duration = Duration::from_millis(4);
const RETRY: Duration = Duration::from_millis(20);
/// A key is looked for at so many nodes before it is given up.
const REDIRECTIONS_MAX: usize = 8;

/// One acknowledged write.
#[derive(Clone, Debug)]
pub struct Write {
    /// The key; the value is its number.
    pub key: String,
    /// Its slot.
    pub slot: Slot,
    /// The value.
    pub value: u64,
    /// Which node acknowledged it.
    pub by: usize,
    /// When it was sent.
    pub at: Instant,
}

/// What writers were promised so far.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<Written>);

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, Written> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what is in it.
    #[must_use]
    pub fn take(&self) -> Written {
        std::mem::take(&mut *self.lock())
    }
}

/// What became of the work of writers.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// What was acknowledged.
    pub writes: Vec<Write>,
    /// How many attempts failed.
    pub refused: u64,
}

/// A client that learns who serves which slot.
struct Client<'a> {
    contacts: &'a [Contact],
    connections: Vec<Option<Connection>>,
    owners: Vec<usize>,
    dice: fastrand::Rng,
}

impl<'a> Client<'a> {
    fn new(contacts: &'a [Contact], seed: u64) -> Self {
        let connections = contacts.iter().map(|_| None).collect();
        Self { contacts, connections, owners: vec![0; CLUSTER_SLOTS], dice: fastrand::Rng::with_seed(seed) }
    }

    /// Asks whoever is thought to serve a slot. Says who answered; after an error somebody else is thought to.
    fn ask<T: redis::FromRedisValue>(&mut self, slot: Slot, command: &redis::Cmd) -> Result<(usize, T), String> {
        let node = self.owners[slot.index()];
        let error = match self.ask_of(node, |connection| command.query(connection)) {
            Ok(value) => return Ok((node, value)),
            Err(error) => error,
        };
        let is_asked_on = error.kind() == ErrorKind::Server(ServerErrorKind::Ask);
        if let Some(other) = self.named(&error).filter(|_| is_asked_on) {
            let mut both = redis::pipe();
            both.cmd("ASKING").ignore().add_command(command.clone());
            let answer = self.ask_of(other, |connection| both.query::<(T,)>(connection));
            return answer.map(|(value,)| (other, value)).map_err(|error| error.to_string());
        }
        self.learn(slot, &error);
        Err(error.to_string())
    }

    /// Asks a node something, over the connection that there is or a new one.
    fn ask_of<T>(
        &mut self,
        node: usize,
        question: impl FnOnce(&mut Connection) -> redis::RedisResult<T>,
    ) -> redis::RedisResult<T> {
        let mut connection = match self.connections[node].take() {
            Some(connection) => connection,
            None => cluster::connect(self.contacts[node].port, TIMEOUT)
                .map_err(|why| (ErrorKind::Io, "no connection", why))?,
        };
        let answer = question(&mut connection);
        let is_reply = answer.as_ref().err().is_none_or(|error| matches!(error.kind(), ErrorKind::Server(_)));
        self.connections[node] = is_reply.then_some(connection);
        answer
    }

    /// The node that a redirection names.
    fn named(&self, error: &redis::RedisError) -> Option<usize> {
        let port: u16 = error.redirect_node()?.0.rsplit_once(':')?.1.parse().ok()?;
        self.contacts.iter().position(|contact| contact.announced == port)
    }

    fn guess(&mut self, slot: Slot) {
        self.owners[slot.index()] = self.dice.usize(..self.contacts.len());
    }

    fn learn(&mut self, slot: Slot, error: &redis::RedisError) {
        let is_moved = error.kind() == ErrorKind::Server(ServerErrorKind::Moved);
        match self.named(error).filter(|_| is_moved) {
            Some(node) => self.owners[slot.index()] = node,
            None => self.guess(slot),
        }
    }
}

/// Writes one key after another, each until it is acknowledged, until it is to stop.
pub fn write(contacts: &[Contact], writer: usize, seed: u64, ledger: &Ledger, is_over: &AtomicBool) {
    let mut client = Client::new(contacts, seed ^ (writer as u64) << 32);
    let mut value = 0;
    while !is_over.load(Ordering::Relaxed) {
        let key = format!("chaos:{writer}:{value}");
        let (slot, at) = (key_slot(key.as_bytes()), Instant::now());
        match client.ask::<String>(slot, redis::cmd("SET").arg(&key).arg(value)) {
            Ok((by, _)) => {
                ledger.lock().writes.push(Write { key, slot, value, by, at });
                value += 1;
                thread::sleep(PACE);
            }
            Err(_) => {
                ledger.lock().refused += 1;
                thread::sleep(RETRY);
            }
        }
    }
}

/// Which of the writes are not there any more; an error if that cannot be found out.
pub fn lost<'a>(contacts: &[Contact], writes: &'a [Write]) -> Result<Vec<&'a Write>, String> {
    let mut client = Client::new(contacts, 0);
    let mut lost = Vec::new();
    for write in writes {
        let mut answer = Err(String::new());
        for _ in 0..REDIRECTIONS_MAX {
            answer = client.ask::<Option<u64>>(write.slot, redis::cmd("GET").arg(&write.key));
            if answer.is_ok() {
                break;
            }
        }
        match answer {
            Ok((_, Some(value))) if value == write.value => {}
            Ok((_, Some(value))) => return Err(format!("{} is {value}, and nobody wrote that", write.key)),
            Ok((_, None)) => lost.push(write),
            Err(why) => return Err(format!("nobody serves {}: {why}", write.key)),
        }
    }
    Ok(lost)
}
