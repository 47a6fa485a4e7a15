//! Measures clusters of slotbus-nodes beside clusters of redis-servers: how soon many nodes that meet agree, what each
//! costs when nothing happens, and how soon all hold one failed that was killed.
//!
//! `cargo bench -p slotbus-node --bench bus_scale`. What to run is said by the environment: `BENCH_NODES` (50),
//! `BENCH_NODE_TIMEOUT_MS` (5000), `BENCH_ROUNDS` (2), `BENCH_KILLS` (2). Every node is a primary with its share of the
//! slots. Bytes are those of the loopback interface: nothing else should use it meanwhile.

#![allow(clippy::unwrap_used, reason = "a measurement that cannot be made ends at once")]

mod measures;
#[path = "../tests/support/mod.rs"]
mod support;

use measures::{median, number};
use std::{
    fs,
    thread::sleep,
    time::{Duration, Instant},
};
use support::{Client, NODE, REDIS, Server};

/// From the start of the last node to the first MEET: nodes that are just up do not serve.
const UP: Duration = Duration::from_millis(2500);
/// From the moment when all agree to the first measurement of rest.
const SETTLING: Duration = Duration::from_secs(12);
const REST: Duration = Duration::from_secs(20);
/// From one look to the next.
const LOOK: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(180);

/// What is told of a cluster.
const MEASURES: [&str; 7] = [
    "all agree after MEET, s",
    "processor, % of one a node",
    "messages sent, a node and s",
    "bytes on the wire, a node and s",
    "resident, KiB a node",
    "private, KiB a node",
    "killed node failed on all, s",
];

fn main() {
    let [nodes, timeout_ms] =
        [("BENCH_NODES", 50), ("BENCH_NODE_TIMEOUT_MS", 5000)].map(|(name, otherwise)| number(name, otherwise));
    let [rounds, kills] = [("BENCH_ROUNDS", 2), ("BENCH_KILLS", 2)].map(|(name, otherwise)| number(name, otherwise));
    let mut seen: [Vec<[f64; MEASURES.len()]>; 2] = Default::default();
    for _ in 0..rounds {
        for (program, seen) in [REDIS, NODE].into_iter().zip(&mut seen) {
            seen.push(measure(program, nodes, timeout_ms, kills));
        }
    }
    println!("{:>34} {:>12} {:>12} {:>6}", format!("{nodes} nodes"), "redis-server", "slotbus-node", "ratio");
    for (at, name) in MEASURES.into_iter().enumerate() {
        let [redis, node] = [0, 1].map(|program| median(seen[program].iter().map(|values| values[at]).collect()));
        println!("{name:>34} {redis:>12.2} {node:>12.2} {:>6.2}", node / redis);
    }
}

fn measure(program: &str, nodes: usize, timeout_ms: usize, kills: usize) -> [f64; MEASURES.len()] {
    let timeout = timeout_ms.to_string();
    let directives = ["--cluster-enabled", "yes", "--cluster-node-timeout", &timeout];
    let mut servers: Vec<Server> = (0..nodes).map(|_| Server::start(program, &directives)).collect();
    let mut clients: Vec<Client> = servers.iter().map(Server::client).collect();
    sleep(UP);
    let agreed_s = meet(&servers, &mut clients);
    sleep(SETTLING);
    let [processor, messages, bytes] = rest(&servers, &mut clients);
    let memory = |field: &str| median(servers.iter().map(|server| memory_kib(server.pid(), field)).collect());
    let (resident, private) = (memory("Rss:"), memory("Private_Dirty:") + memory("Private_Clean:"));
    let failed_s = (0..kills).map(|kill| fail(&mut servers, &mut clients, kill, timeout_ms)).collect();
    [agreed_s, processor, messages, bytes, resident, private, median(failed_s)]
}

/// Gives each node its slots, has all meet the first one, and says how long it takes until all agree.
fn meet(servers: &[Server], clients: &mut [Client]) -> f64 {
    let nodes = servers.len();
    for (number, client) in clients.iter_mut().enumerate() {
        let (first, end) = (number * 16384 / nodes, (number + 1) * 16384 / nodes);
        assert_eq!(client.ask(&format!("CLUSTER SET-CONFIG-EPOCH {}", number + 1)), "+OK\r\n");
        assert_eq!(client.ask(&format!("CLUSTER ADDSLOTSRANGE {first} {}", end - 1)), "+OK\r\n");
    }
    let start = Instant::now();
    for client in &mut clients[1..] {
        assert_eq!(client.ask(&format!("CLUSTER MEET 127.0.0.1 {}", servers[0].port)), "+OK\r\n");
    }
    let wanted = [("cluster_known_nodes", nodes), ("cluster_size", nodes), ("cluster_slots_ok", 16384)];
    let agrees = |client: &mut Client| {
        let info = client.ask("CLUSTER INFO");
        wanted.iter().all(|(name, value)| info.contains(&format!("{name}:{value}\r\n")))
            && info.contains("cluster_state:ok")
            && !client.ask("CLUSTER NODES").contains("handshake")
    };
    while !clients.iter_mut().all(agrees) {
        assert!(start.elapsed() < PATIENCE, "the nodes do not agree");
        sleep(LOOK);
    }
    start.elapsed().as_secs_f64()
}

/// What a node costs while nothing happens: per cent of a processor, messages and bytes a second.
fn rest(servers: &[Server], clients: &mut [Client]) -> [f64; 3] {
    let sent =
        |clients: &mut [Client]| clients.iter_mut().map(|it| info(it, "cluster_stats_messages_sent")).sum::<f64>();
    let busy_ns = || servers.iter().map(Server::processor_ns).sum::<u64>();
    let before = (sent(clients), busy_ns(), loopback_bytes(), Instant::now());
    sleep(REST);
    let (busy_ns, bytes, taken_s) =
        (busy_ns() - before.1, loopback_bytes() - before.2, before.3.elapsed().as_secs_f64());
    let sent = sent(clients) - before.0;
    let each = |total: f64| total / taken_s / servers.len() as f64;
    [each(busy_ns as f64 / 1e7), each(sent), each(bytes as f64)]
}

/// Kills a node, and says how long it takes until all others hold it failed.
fn fail(servers: &mut [Server], clients: &mut [Client], kill: usize, timeout_ms: usize) -> f64 {
    // The kills fall at different places between two PINGs.
    sleep(Duration::from_millis((timeout_ms + kill * 370 % 1000) as u64));
    let victim = servers.len() - 1 - kill;
    let lost = info(&mut clients[0], "cluster_slots_fail");
    let start = Instant::now();
    servers[victim].kill();
    while !clients[..victim].iter_mut().all(|client| info(client, "cluster_slots_fail") > lost) {
        assert!(start.elapsed() < PATIENCE, "a killed node is not failed");
        sleep(LOOK);
    }
    start.elapsed().as_secs_f64()
}

fn info(client: &mut Client, name: &str) -> f64 {
    let text = client.ask("CLUSTER INFO");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.map_or(0.0, |value| value.trim().parse().unwrap())
}

fn memory_kib(pid: u32, field: &str) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(field)).expect("a field of smaps_rollup");
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn loopback_bytes() -> u64 {
    let text = fs::read_to_string("/proc/net/dev").unwrap();
    let line = text.lines().find_map(|line| line.trim().strip_prefix("lo:")).expect("a loopback interface");
    line.split_whitespace().next().unwrap().parse().unwrap()
}
