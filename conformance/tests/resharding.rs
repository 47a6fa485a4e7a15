//! Slots with keys of every kind go from server to server by `redis-cli --cluster reshard`, between
//! redis-server and slotbus-node in each direction, while a client writes to those keys: no client sees an
//! error, and no key is lost or altered. Some slots, or as many as SLOTBUS_RESHARD says, 100 keys in each, SLOTBUS_ROUNDS
//! times in each direction, and how long that takes beside redis-server to redis-server, without traces:
//! `SLOTBUS_RESHARD=1000 SLOTBUS_ROUNDS=5 cargo test --release -p slotbus-conformance --test resharding -- --nocapture`

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up ends at once")]

use redis::{
    Connection, Pipeline, Value,
    cluster::{ClusterClient, ClusterConnection},
};
use slotbus_conformance::cluster::{self, Program, Server, Template};
use slotbus_core::{Slot, route::key_slot};
use std::{
    collections::BTreeMap,
    env, iter,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

const SLOTS: usize = 40;
/// From which server to which the slots go: from redis-server to redis-server first.
const LEGS: [(usize, usize); 4] = [(0, 1), (1, 2), (2, 3), (3, 0)];
const KEYS_PER_SLOT: usize = 100;
const NODE_TIMEOUT_MS: u64 = 15_000;
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_micros(500);
/// Far enough that no key expires during a test.
const EXPIRES_AT_S: u64 = 4_000_000_000;

/// What a key holds.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Text,
    Number,
    Expiring,
    List,
    Set,
    Numbers,
    Hash,
    Ranking,
    /// What the client writes while keys move.
    Written,
}

/// A key, and what it holds.
#[derive(Clone, Debug)]
struct Item {
    key: String,
    kind: Kind,
    /// Of how many elements: few, or so many that they are kept in another form.
    size: usize,
}

impl Item {
    fn new(tag: &str, index: usize) -> Self {
        const KINDS: [Kind; 8] =
            [Kind::Text, Kind::Number, Kind::Expiring, Kind::List, Kind::Set, Kind::Numbers, Kind::Hash, Kind::Ranking];
        let kind = if index + 1 == KEYS_PER_SLOT { Kind::Written } else { KINDS[index % KINDS.len()] };
        let size = if index < KINDS.len() { 600 } else { 1 + index % 7 };
        Self { key: format!("{{{tag}}}:{index}"), kind, size }
    }

    fn elements(&self) -> impl Iterator<Item = String> {
        let prefix = if matches!(self.kind, Kind::Numbers) { "" } else { "element:" };
        (0..self.size).map(move |number| format!("{prefix}{number}"))
    }

    fn write(&self, pipeline: &mut Pipeline) {
        let name = match self.kind {
            Kind::Text | Kind::Number | Kind::Expiring | Kind::Written => "SET",
            Kind::List => "RPUSH",
            Kind::Set | Kind::Numbers => "SADD",
            Kind::Hash => "HSET",
            Kind::Ranking => "ZADD",
        };
        pipeline.cmd(name).arg(&self.key);
        match self.kind {
            Kind::Text => pipeline.arg(format!("value of {}", self.key)),
            Kind::Number => pipeline.arg(self.size),
            Kind::Expiring => pipeline.arg("expires").arg("EXAT").arg(EXPIRES_AT_S),
            Kind::Written => pipeline.arg(0),
            Kind::List | Kind::Set | Kind::Numbers => pipeline.arg(self.elements().collect::<Vec<_>>()),
            Kind::Hash => pipeline.arg(self.elements().map(|name| (name, "value")).collect::<Vec<_>>()),
            Kind::Ranking => pipeline.arg((0..).zip(self.elements()).collect::<Vec<(usize, String)>>()),
        };
        pipeline.ignore();
    }

    fn read(&self, pipeline: &mut Pipeline) {
        match self.kind {
            Kind::Text | Kind::Number | Kind::Written => pipeline.cmd("GET").arg(&self.key),
            Kind::Expiring => pipeline.cmd("EXPIRETIME").arg(&self.key),
            Kind::List => pipeline.cmd("LRANGE").arg(&self.key).arg(0).arg(-1),
            Kind::Set | Kind::Numbers => pipeline.cmd("SMEMBERS").arg(&self.key),
            Kind::Hash => pipeline.cmd("HGETALL").arg(&self.key),
            Kind::Ranking => pipeline.cmd("ZRANGE").arg(&self.key).arg(0).arg(-1).arg("WITHSCORES"),
        };
    }

    /// What reading it answers, in an order of its own.
    fn expected(&self, written: &BTreeMap<String, u64>) -> Vec<String> {
        let mut texts: Vec<String> = match self.kind {
            Kind::Text => vec![format!("value of {}", self.key)],
            Kind::Number => vec![self.size.to_string()],
            Kind::Expiring => vec![EXPIRES_AT_S.to_string()],
            Kind::Written => vec![written.get(&self.key).copied().unwrap_or_default().to_string()],
            Kind::List | Kind::Set | Kind::Numbers => self.elements().collect(),
            Kind::Hash => self.elements().flat_map(|name| [name, "value".to_owned()]).collect(),
            Kind::Ranking => (0..).zip(self.elements()).flat_map(|(rank, name)| [name, rank.to_string()]).collect(),
        };
        if !matches!(self.kind, Kind::List) {
            texts.sort();
        }
        texts
    }

    fn found(&self, reply: Value) -> Vec<String> {
        let mut texts = texts(reply);
        if !matches!(self.kind, Kind::List) {
            texts.sort();
        }
        texts
    }
}

fn texts(reply: Value) -> Vec<String> {
    match redis::from_redis_value::<Vec<String>>(reply.clone()) {
        Ok(texts) => texts,
        Err(_) => redis::from_redis_value::<String>(reply).into_iter().collect(),
    }
}

/// Tags of so many slots, from the first on.
fn tags(slots: usize) -> Vec<String> {
    let mut found = BTreeMap::new();
    for number in 0_u64.. {
        let tag = number.to_string();
        let Slot(slot) = key_slot(tag.as_bytes());
        if usize::from(slot) < slots {
            found.entry(slot).or_insert(tag);
        }
        if found.len() == slots {
            break;
        }
    }
    found.into_values().collect()
}

/// The keys of a test.
struct Keys {
    slots: usize,
    items: Vec<Item>,
    written: BTreeMap<String, u64>,
}

impl Keys {
    fn of(slots: usize) -> Self {
        let items_of = |tag: String| (0..KEYS_PER_SLOT).map(move |index| Item::new(&tag, index));
        Self { slots, items: tags(slots).into_iter().flat_map(items_of).collect(), written: BTreeMap::new() }
    }

    fn load(&self, server: &Server) {
        let mut connection = connection(server);
        for items in self.items.chunks(KEYS_PER_SLOT) {
            let mut pipeline = redis::pipe();
            items.iter().for_each(|item| item.write(&mut pipeline));
            pipeline.exec(&mut connection).unwrap();
        }
    }

    /// All keys are at this server, as they were written.
    fn check(&self, server: &Server) {
        let count: usize = server.call(&["DBSIZE"]).unwrap();
        assert_eq!(count, self.items.len());
        let mut connection = connection(server);
        for items in self.items.chunks(KEYS_PER_SLOT) {
            let mut pipeline = redis::pipe();
            items.iter().for_each(|item| item.read(&mut pipeline));
            let replies: Vec<Value> = pipeline.query(&mut connection).unwrap();
            for (item, reply) in iter::zip(items, replies) {
                assert_eq!(item.found(reply), item.expected(&self.written), "{item:?} at {}", server.program().name());
            }
        }
    }

    /// Moves all of them while a client writes to some of them; says how long that took.
    fn travel(&mut self, from: &Server, to: &Server, client: &ClusterClient) -> Duration {
        let writable: Vec<_> = self.items.iter().filter(|item| matches!(item.kind, Kind::Written)).collect();
        let is_over = AtomicBool::new(false);
        let (took, writes) = thread::scope(|scope| {
            let writer = scope.spawn(|| write(client.get_connection().unwrap(), &writable, &is_over));
            let begun = Instant::now();
            let moved = cluster::reshard(from, to, self.slots);
            let took = begun.elapsed();
            is_over.store(true, Ordering::Relaxed);
            let writes = writer.join().unwrap();
            moved.unwrap();
            (took, writes)
        });
        assert_eq!(writes.errors, [] as [String; 0], "{} to {}", from.program().name(), to.program().name());
        assert!(writes.count > 0);
        println!(
            "{} keys from {} to {}: {:.2} s, {} writes meanwhile without an error",
            self.items.len(),
            from.program().name(),
            to.program().name(),
            took.as_secs_f64(),
            writes.count
        );
        self.written.extend(writes.last);
        took
    }
}

/// What a client wrote, and what failed.
#[derive(Default)]
struct Writes {
    count: u64,
    last: BTreeMap<String, u64>,
    errors: Vec<String>,
}

fn write(mut connection: ClusterConnection, items: &[&Item], is_over: &AtomicBool) -> Writes {
    let mut writes = Writes::default();
    for item in items.iter().cycle() {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        writes.count += 1;
        let outcome = redis::cmd("SET").arg(&item.key).arg(writes.count).exec(&mut connection);
        match outcome {
            Ok(()) => drop(writes.last.insert(item.key.clone(), writes.count)),
            Err(error) => writes.errors.push(format!("{}: {error}", item.key)),
        }
        thread::sleep(PAUSE);
    }
    writes
}

fn connection(server: &Server) -> Connection {
    cluster::connect(server.port(), PATIENCE).unwrap()
}

/// This node. Where time counts it records no trace: redis-server does not either.
fn node(is_timed: bool) -> Program {
    let path = cluster::sibling("slotbus-node").unwrap();
    if is_timed {
        let line = format!("\"{}\" --port {{port}} --dir {{dir}}", path.display());
        Program::Template(Template::parse(&line).unwrap())
    } else {
        Program::Slotbus(path)
    }
}

/// Three redis-servers and three of ours, all primaries. The first one owns the slots that travel, which are
/// then the first slots of whoever has them, and so the next to go.
fn form(folder: &Path, is_timed: bool) -> Vec<Server> {
    let redis = Program::Redis(cluster::installed("redis-server").unwrap());
    let node = node(is_timed);
    let programs = [&redis, &redis, &node, &node, &redis, &node];
    let start = |program: &&Program| Server::start(program, folder, NODE_TIMEOUT_MS, &[]).unwrap();
    let servers: Vec<Server> = programs.iter().map(start).collect();
    cluster::form(&servers, PATIENCE).unwrap();
    servers
}

#[test]
fn keys_of_every_kind_travel_in_each_direction() {
    let number = |name, default| env::var(name).map_or(default, |text| text.parse().expect("a number"));
    let (slots, rounds) = (number("SLOTBUS_RESHARD", SLOTS), number("SLOTBUS_ROUNDS", 1));
    let folder = tempfile::tempdir().unwrap();
    let servers = form(folder.path(), env::var("SLOTBUS_ROUNDS").is_ok());
    let client = ClusterClient::new(cluster::seeds(&servers)).unwrap();
    let mut keys = Keys::of(slots);
    keys.load(&servers[0]);
    // By turns, so that whatever else the machine does concerns all directions.
    let mut took = LEGS.map(|_| Vec::new());
    for _ in 0..rounds {
        for ((from, to), took) in iter::zip(LEGS, &mut took) {
            cluster::wait_for_check(&servers[from], PATIENCE).unwrap();
            took.push(keys.travel(&servers[from], &servers[to], &client));
            cluster::wait_for_check(&servers[to], PATIENCE).unwrap();
            keys.check(&servers[to]);
        }
    }
    compare(&servers, &mut took);
    for mut server in servers {
        server.shut_down_verified().unwrap();
    }
}

/// Prints the median of each direction, and its ratio to that of the first one.
fn compare(servers: &[Server], took: &mut [Vec<Duration>]) {
    let medians: Vec<f64> = took.iter_mut().map(|took| median(took).as_secs_f64()).collect();
    for ((from, to), median) in iter::zip(LEGS, &medians) {
        let [from, to] = [from, to].map(|index| servers[index].program().name());
        println!("{from} to {to}: median {median:.2} s, {:.2} of redis-server to redis-server", median / medians[0]);
    }
}

fn median(took: &mut [Duration]) -> Duration {
    took.sort();
    took[took.len() / 2]
}
