//! An administrator who moves slots while faults go on, as redis-cli does. Owns which slots were tried, and when;
//! knows the commands of resharding. What stays half done is mended when the cluster rests.

use super::{fleet::Contact, network::Way};
use crate::cluster::{self, NodeLine, redis_cli};
use redis::{Connection, FromRedisValue};
use slotbus_core::Slot;
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// One command takes no longer.
const TIMEOUT: Duration = Duration::from_millis(1000);
/// What MIGRATE is given.
const MIGRATE_TIMEOUT_MS: u64 = 800;
/// So many keys are sent at once.
const KEYS_AT_ONCE: usize = 100;

/// A slot that was on the move.
#[derive(Clone, Debug)]
pub struct Move {
    /// Which.
    pub slot: Slot,
    /// Whose it was.
    pub source: usize,
    /// Where it was to go.
    pub target: usize,
    /// Since when.
    pub at: Instant,
    /// When it was with its owner again, wherever that was.
    pub ended: Option<Instant>,
    /// Whether who began it completed it.
    pub is_done: bool,
}

/// The moves that go on, and those that were.
#[derive(Debug, Default)]
pub struct Mover {
    log: Arc<Mutex<Vec<Move>>>,
    is_called_off: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Mover {
    /// Begins to move so many slots from one node's shard to another's.
    pub fn begin(&mut self, contacts: &[Contact], ids: &[String], way: Way, count: u16) {
        let job = Job {
            contacts: contacts.to_vec(),
            ids: ids.to_vec(),
            log: Arc::clone(&self.log),
            is_called_off: Arc::clone(&self.is_called_off),
        };
        self.threads.push(thread::spawn(move || {
            // Whoever cannot be asked, or refuses, is a part of the chaos: the slot stays as it is.
            let _ = job.run(way, usize::from(count));
        }));
    }

    /// Has every move end, each with the slot that it is about.
    pub fn call_off(&mut self) {
        self.is_called_off.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A thread that failed has moved what it had moved.
            let _ = thread.join();
        }
        self.is_called_off.store(false, Ordering::Relaxed);
    }

    /// Notes that no slot is open any more.
    pub fn conclude(&self) {
        let now = Instant::now();
        locked(&self.log).iter_mut().for_each(|moved| moved.ended = moved.ended.or(Some(now)));
    }

    /// What was tried so far.
    #[must_use]
    pub fn moves(&self) -> Vec<Move> {
        locked(&self.log).clone()
    }
}

/// Has redis-cli close what was left open, through one of the nodes. A move that was cut short may leave a key on
/// both sides, with one value: each key is written once.
pub fn mend(contact: &Contact) -> Result<(), String> {
    let address = format!("127.0.0.1:{}", contact.port);
    redis_cli(&["--cluster", "fix", &address, "--cluster-replace", "--cluster-yes"])
        .map(|_| ())
        .map_err(|said| last(&said))
}

/// The end of what redis-cli said: before it stand all slots by number.
fn last(said: &str) -> String {
    const LINES: usize = 6;
    const CHARACTERS: usize = 200;
    let lines: Vec<&str> = said.lines().filter(|line| !line.is_empty()).collect();
    let end = lines[lines.len().saturating_sub(LINES)..].iter();
    end.map(|line| line.chars().take(CHARACTERS).collect::<String>()).collect::<Vec<_>>().join("\n")
}

fn locked(log: &Mutex<Vec<Move>>) -> MutexGuard<'_, Vec<Move>> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Job {
    contacts: Vec<Contact>,
    ids: Vec<String>,
    log: Arc<Mutex<Vec<Move>>>,
    is_called_off: Arc<AtomicBool>,
}

impl Job {
    fn run(&self, (from, to): Way, count: usize) -> Result<(), String> {
        let (source, line) = self.primary_of(from)?;
        let (target, _) = self.primary_of(to)?;
        if source == target {
            return Err("the slots are there already".to_owned());
        }
        let slots = line.slot_set().ok_or("slots that are none")?;
        for slot in slots.iter().take(count) {
            if self.is_called_off.load(Ordering::Relaxed) {
                return Ok(());
            }
            let number = {
                let mut log = locked(&self.log);
                log.push(Move { slot, source, target, at: Instant::now(), ended: None, is_done: false });
                log.len() - 1
            };
            self.move_one(slot, source, target)?;
            let moved = &mut locked(&self.log)[number];
            (moved.is_done, moved.ended) = (true, Some(Instant::now()));
        }
        Ok(())
    }

    /// Who leads a node's shard in its own view, and what it says of itself.
    fn primary_of(&self, node: usize) -> Result<(usize, NodeLine), String> {
        let mut connection = cluster::connect(self.contacts[node].port, TIMEOUT)?;
        let text: String = ask(&mut connection, &["CLUSTER", "NODES"])?;
        let lines: Vec<_> = text.lines().map(NodeLine::parse).collect();
        let own = lines.iter().find(|line| line.is("myself")).ok_or("no line is flagged myself")?;
        let leader = if own.is("slave") { &own.primary } else { &own.id };
        let line = lines.iter().find(|line| line.id == *leader).ok_or("a replica of nobody")?;
        let number = self.ids.iter().position(|id| id == leader).ok_or("a primary that nobody started")?;
        Ok((number, line.clone()))
    }

    fn move_one(&self, slot: Slot, source: usize, target: usize) -> Result<(), String> {
        let number = slot.0.to_string();
        let [mut from, mut to] = [
            cluster::connect(self.contacts[source].port, TIMEOUT)?,
            cluster::connect(self.contacts[target].port, TIMEOUT)?,
        ];
        let set = |connection: &mut Connection, what: &str, node: usize| {
            ask::<String>(connection, &["CLUSTER", "SETSLOT", &number, what, &self.ids[node]])
        };
        set(&mut to, "IMPORTING", source)?;
        set(&mut from, "MIGRATING", target)?;
        let port = self.contacts[target].announced.to_string();
        let (timeout_ms, most) = (MIGRATE_TIMEOUT_MS.to_string(), KEYS_AT_ONCE.to_string());
        loop {
            let keys: Vec<String> = ask(&mut from, &["CLUSTER", "GETKEYSINSLOT", &number, &most])?;
            if keys.is_empty() {
                break;
            }
            let begins = ["MIGRATE", "127.0.0.1", &port, "", "0", &timeout_ms, "KEYS"];
            let words: Vec<&str> = begins.into_iter().chain(keys.iter().map(String::as_str)).collect();
            ask::<String>(&mut from, &words)?;
        }
        set(&mut to, "NODE", target)?;
        set(&mut from, "NODE", target)?;
        Ok(())
    }
}

fn ask<T: FromRedisValue>(connection: &mut Connection, words: &[&str]) -> Result<T, String> {
    let mut command = redis::Cmd::new();
    words.iter().for_each(|word| {
        command.arg(*word);
    });
    command.query(connection).map_err(|error| error.to_string())
}
