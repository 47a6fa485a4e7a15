//! What an application does with a cluster, by redis-rs: reads, writes, pipelines, transactions on one slot,
//! channels and channels of shards. Owns one thread for each kind of work, until it is finished.

use super::Application;
use redis::{
    Connection, ConnectionLike, ProtocolVersion, RedisError, RedisResult, Value as Reply,
    cluster::{ClusterClient, ClusterConnection, cluster_pipe},
};
use serde_json::{Value, json};
use slotbus_conformance::cluster::{self, Server};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// One request, redirections and all.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// Between one piece of work and the next.
const PAUSE: Duration = Duration::from_millis(2);
/// Before a pipeline or transaction is tried again, some of whose keys were on the move: the library leaves
/// that to the application ...
const RETRY: Duration = Duration::from_millis(50);
/// ... and how often.
const RETRIES: usize = 20;
const REMEMBERED: usize = 200;

type Work = fn(&mut Worker, u64) -> Result<(), String>;

const KINDS: [(&str, Work); 6] = [
    ("write", Worker::write),
    ("read", Worker::read),
    ("pipeline", Worker::pipeline),
    ("transaction", Worker::transaction),
    ("listen", Worker::listen),
    ("listen_in_shard", Worker::listen_in_shard),
];

/// The application. Its threads end when it is finished or dropped.
pub(super) struct RedisRs {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

struct Shared {
    ports: Vec<u16>,
    client: ClusterClient,
    is_over: AtomicBool,
    tally: Mutex<Tally>,
}

#[derive(Default)]
struct Tally {
    done: BTreeMap<&'static str, u64>,
    errors: BTreeMap<String, u64>,
    acknowledged: BTreeMap<String, String>,
    latest: VecDeque<String>,
}

impl RedisRs {
    pub(super) fn start(servers: &[Server], protocol: &str) -> Self {
        let version = if protocol == "3" { ProtocolVersion::RESP3 } else { ProtocolVersion::RESP2 };
        let client = ClusterClient::builder(cluster::seeds(servers)).use_protocol(version);
        let client = client.connection_timeout(ANSWER_WITHIN).response_timeout(ANSWER_WITHIN).build().unwrap();
        let (ports, is_over) = (servers.iter().map(Server::port).collect(), AtomicBool::new(false));
        let shared = Arc::new(Shared { ports, client, is_over, tally: Mutex::default() });
        let begin = |(kind, work)| {
            let connection = shared.client.get_connection().unwrap();
            let worker = Worker { shared: Arc::clone(&shared), connection };
            thread::spawn(move || worker.repeat(kind, work))
        };
        let workers = KINDS.map(begin).into();
        Self { shared, workers }
    }

    fn end(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
    }
}

impl Application for RedisRs {
    fn close_phase(&mut self) -> Value {
        let mut tally = self.shared.tally.lock().unwrap();
        json!({ "done": std::mem::take(&mut tally.done), "errors": std::mem::take(&mut tally.errors) })
    }

    fn finish(mut self: Box<Self>) -> Value {
        self.end();
        let mut connection = self.shared.client.get_connection().unwrap();
        let tally = self.shared.tally.lock().unwrap();
        let is_missing = |(key, value): &(&String, &String)| {
            let found: Result<Option<String>, _> = redis::cmd("GET").arg(key).query(&mut connection);
            found.ok().flatten().as_ref() != Some(value)
        };
        let missing: Vec<_> = tally.acknowledged.iter().filter(is_missing).map(|(key, _)| key).collect();
        json!({ "acknowledged": tally.acknowledged.len(), "missing": missing })
    }
}

impl Drop for RedisRs {
    fn drop(&mut self) {
        self.end();
    }
}

/// Who does one kind of work.
struct Worker {
    shared: Arc<Shared>,
    connection: ClusterConnection,
}

impl Worker {
    /// Does one piece of work after another, and counts what comes out.
    fn repeat(mut self, kind: &'static str, work: Work) {
        let mut number = 0;
        while !self.shared.is_over.load(Ordering::Relaxed) {
            let outcome = work(&mut self, number);
            if outcome.is_err() {
                self.look_again();
            }
            let mut tally = self.shared.tally.lock().unwrap();
            match outcome {
                Ok(()) => *tally.done.entry(kind).or_default() += 1,
                Err(error) => *tally.errors.entry(format!("{kind}: {error}")).or_default() += 1,
            }
            drop(tally);
            number += 1;
            thread::sleep(PAUSE);
        }
    }

    fn acknowledge(&self, key: String, value: String) {
        let mut tally = self.shared.tally.lock().unwrap();
        tally.latest.push_back(key.clone());
        if tally.latest.len() > REMEMBERED {
            tally.latest.pop_front();
        }
        tally.acknowledged.insert(key, value);
    }

    /// Looks at the cluster as it is now: the library goes on asking a node that is dead.
    fn look_again(&mut self) {
        if let Ok(connection) = self.shared.client.get_connection() {
            self.connection = connection;
        }
    }

    /// Tries again what the library gives up when keys are on the move, with a fresh view of the cluster.
    fn persist<T>(&mut self, attempt: impl Fn(&mut Self) -> RedisResult<T>) -> RedisResult<T> {
        let mut outcome = attempt(self);
        for _ in 0..RETRIES {
            if outcome.is_ok() {
                break;
            }
            thread::sleep(RETRY);
            self.look_again();
            outcome = attempt(self);
        }
        outcome
    }

    fn write(&mut self, number: u64) -> Result<(), String> {
        let key = format!("rs:write:{number}");
        redis::cmd("SET").arg(&key).arg(number).exec(&mut self.connection).map_err(text)?;
        self.acknowledge(key, number.to_string());
        Ok(())
    }

    fn read(&mut self, number: u64) -> Result<(), String> {
        let chosen = {
            let tally = self.shared.tally.lock().unwrap();
            let key = usize::try_from(number).ok().and_then(|at| tally.latest.get(at % tally.latest.len().max(1)));
            key.map(|key| (key.clone(), tally.acknowledged[key].clone()))
        };
        let Some((key, value)) = chosen else { return Ok(()) };
        let found: Option<String> = redis::cmd("GET").arg(&key).query(&mut self.connection).map_err(text)?;
        if found.as_ref() == Some(&value) { Ok(()) } else { Err(format!("{key} is {found:?}")) }
    }

    fn pipeline(&mut self, number: u64) -> Result<(), String> {
        let keys: Vec<_> = (0..10).map(|part| format!("rs:pipe:{number}:{part}")).collect();
        let mut pipeline = cluster_pipe();
        for key in &keys {
            pipeline.cmd("SET").arg(key).arg(number).ignore();
        }
        self.persist(|worker| pipeline.exec(&mut worker.connection)).map_err(text)?;
        keys.into_iter().for_each(|key| self.acknowledge(key, number.to_string()));
        Ok(())
    }

    fn transaction(&mut self, number: u64) -> Result<(), String> {
        let key = format!("{{rs:tx:{number}}}a");
        let mut pipeline = redis::pipe();
        pipeline.atomic().cmd("SET").arg(&key).arg(number);
        pipeline.cmd("APPEND").arg(&key).arg("!").cmd("STRLEN").arg(&key);
        let packed = pipeline.get_packed_pipeline();
        let length = number.to_string().len() + 1;
        let lengths = self.persist(|worker| worker.execute(&packed)).map_err(text)?;
        if lengths != [("OK".to_owned(), length, length)] {
            return Err(format!("{lengths:?} where {length} is the length"));
        }
        self.acknowledge(key, format!("{number}!"));
        Ok(())
    }

    /// What EXEC answers, behind the answers to MULTI and to the three requests that it begins with.
    fn execute(&mut self, packed: &[u8]) -> RedisResult<Vec<(String, usize, usize)>> {
        let replies = self.connection.req_packed_commands(packed, 4, 1)?;
        Ok(redis::from_redis_value(Reply::Array(replies).extract_error()?)?)
    }

    /// A message to a channel comes back.
    fn listen(&mut self, number: u64) -> Result<(), String> {
        let mut connection = self.anybody(number)?;
        let mut listener = connection.as_pubsub();
        let channel = format!("rs:news:{number}");
        listener.subscribe(&channel).map_err(text)?;
        redis::cmd("PUBLISH").arg(&channel).arg("hello").exec(&mut self.connection).map_err(text)?;
        let message = listener.get_message().map_err(text)?;
        if message.get_payload_bytes() == b"hello" { Ok(()) } else { Err(format!("{message:?} came")) }
    }

    /// A message to a channel of a shard comes back. A channel that moves in between is listened to anew.
    fn listen_in_shard(&mut self, number: u64) -> Result<(), String> {
        let channel = format!("rs:shard:{number}");
        match self.heard_in_shard(&channel, number)? {
            reply if is_of(&reply, "sunsubscribe").is_ok() => {
                is_of(&self.heard_in_shard(&channel, number)?, "smessage")
            }
            reply => is_of(&reply, "smessage"),
        }
    }

    /// What comes back when a message is sent to a channel of a shard.
    fn heard_in_shard(&mut self, channel: &str, number: u64) -> Result<Reply, String> {
        let mut listener = self.subscribed_in_shard(channel, number)?;
        redis::cmd("SPUBLISH").arg(channel).arg("hello").exec(&mut self.connection).map_err(text)?;
        listener.recv_response().map_err(text)
    }

    /// A connection to whom the channel belongs: the library follows no redirection there, and does not ask again where
    /// it is told that nobody serves the slot, as it does for keys. A redis-server that has heard of the former owner's
    /// new role, and not yet of the new owner's claim, says so.
    fn subscribed_in_shard(&self, channel: &str, number: u64) -> Result<Connection, String> {
        let request = redis::cmd("SSUBSCRIBE").arg(channel).get_packed_command();
        let mut connection = self.anybody(number)?;
        for _ in 0..self.shared.ports.len() {
            connection.send_packed_command(&request).map_err(text)?;
            match connection.recv_response().and_then(Reply::extract_error).map_err(redirection) {
                Ok(reply) => return is_of(&reply, "ssubscribe").map(|()| connection),
                Err(Ok(port)) => connection = cluster::connect(port, ANSWER_WITHIN)?,
                Err(Err(error)) if error.contains("Hash slot not served") => thread::sleep(RETRY),
                Err(Err(error)) => return Err(error),
            }
        }
        Err("too many redirections".to_owned())
    }

    /// A connection to any node that is there.
    fn anybody(&self, number: u64) -> Result<Connection, String> {
        let ports = &self.shared.ports;
        let start = usize::try_from(number).unwrap_or_default() % ports.len();
        let mut connections = ports.iter().cycle().skip(start).take(ports.len());
        let found = connections.find_map(|&port| cluster::connect(port, ANSWER_WITHIN).ok());
        found.ok_or_else(|| "nobody is there".to_owned())
    }
}

fn text(error: RedisError) -> String {
    error.to_string()
}

/// The port that an error points to.
fn redirection(error: RedisError) -> Result<u16, String> {
    let port = error.redirect_node().and_then(|(address, _)| address.rsplit_once(':')?.1.parse().ok());
    port.ok_or_else(|| text(error))
}

/// Whether a message to a listener is of a kind.
fn is_of(reply: &Reply, kind: &str) -> Result<(), String> {
    if let Reply::Array(parts) = reply
        && let Some(Reply::BulkString(first)) = parts.first()
        && first == kind.as_bytes()
    {
        return Ok(());
    }
    Err(format!("{reply:?} came instead of {kind}"))
}
