//! Measures slotbus-node beside redis-server: redis-benchmark runs against one and the other by turns,
//! and what is told are medians of the ratios within each pair, for the machine itself changes its
//! pace from minute to minute.
//!
//! `cargo bench -p slotbus-node --bench against_redis`. What to run is said by the environment:
//! `BENCH_PAIRS` (11), `BENCH_REQUESTS` (400000 in pipelines, a quarter without), `BENCH_TESTS`
//! (set,get,incr,lpush,hset,zadd), `BENCH_PIPELINES` (1,16). The servers have the first processor for
//! themselves and redis-benchmark the second. Whatever cannot be measured ends the run.

#![allow(clippy::unwrap_used, reason = "a measurement that cannot be made ends at once")]

mod measures;
#[path = "../tests/support/mod.rs"]
mod support;

use measures::{median, number};
use std::{
    env,
    process::{Command, Stdio},
};
use support::{Client, NODE, REDIS, Server, request};

/// Keys are drawn from so many.
const KEYS: usize = 100_000;
/// So many clients send at the same time.
const CLIENTS: usize = 50;
const SERVER_PROCESSOR: &str = "0";
const CLIENT_PROCESSOR: &str = "1";

/// What is measured in one run.
#[derive(Clone, Copy)]
struct Run {
    requests_per_s: f64,
    p99_ms: f64,
    server_us_per_request: f64,
}

/// What slotbus-node needs or does of what redis-server does.
#[derive(Clone, Copy)]
struct Ratio {
    throughput: f64,
    processor: f64,
    p99: f64,
}

fn main() {
    let pairs = number("BENCH_PAIRS", 11);
    let requests = number("BENCH_REQUESTS", 400_000);
    let servers = [REDIS, NODE].map(Server::alone);
    servers.iter().for_each(|server| pin(server.pid()));
    println!("{:>8} {:>6} {:>12} {:>12} {:>8}", "pipeline", "test", "throughput", "processor", "p99");
    for pipeline in words("BENCH_PIPELINES", "1,16") {
        let requests = if pipeline == "1" { requests / 4 } else { requests };
        let measure = |test: &str| {
            let ratios: Vec<Ratio> = (0..pairs).map(|turn| pair(&servers, test, &pipeline, requests, turn)).collect();
            let ratio = summary(&ratios, median);
            print(&pipeline, test, ratio);
            ratio
        };
        let all: Vec<Ratio> =
            words("BENCH_TESTS", "set,get,incr,lpush,hset,zadd").iter().map(|test| measure(test)).collect();
        print(&pipeline, "mean", summary(&all, geometric_mean));
    }
}

fn words(name: &str, otherwise: &str) -> Vec<String> {
    env::var(name).unwrap_or_else(|_| otherwise.to_owned()).split(',').map(str::to_owned).collect()
}

fn print(pipeline: &str, test: &str, ratio: Ratio) {
    println!("{pipeline:>8} {test:>6} {:>12.2} {:>12.2} {:>8.2}", ratio.throughput, ratio.processor, ratio.p99);
}

/// One run against each server; who is first changes from turn to turn.
fn pair(servers: &[Server; 2], test: &str, pipeline: &str, requests: usize, turn: usize) -> Ratio {
    let measure = |server: &Server| {
        prepare(server, test);
        run(server, test, pipeline, requests)
    };
    let [redis, node] = servers;
    let (redis, node) = if turn.is_multiple_of(2) {
        (measure(redis), measure(node))
    } else {
        let node = measure(node);
        (measure(redis), node)
    };
    Ratio {
        throughput: node.requests_per_s / redis.requests_per_s,
        processor: node.server_us_per_request / redis.server_us_per_request,
        p99: node.p99_ms / redis.p99_ms,
    }
}

/// Has the keys that a test finds, and no others.
fn prepare(server: &Server, test: &str) {
    let mut client = server.client();
    assert_eq!(client.ask("FLUSHALL"), "+OK\r\n");
    if matches!(test, "set" | "get") {
        fill(&mut client);
    }
}

fn fill(client: &mut Client) {
    const AT_ONCE: usize = 500;
    for start in (0..KEYS).step_by(AT_ONCE) {
        let keys = (start..start + AT_ONCE).map(|number| format!("key:{number:012}"));
        client.send(&keys.flat_map(|key| request(&[b"SET", key.as_bytes(), b"xxx"])).collect::<Vec<u8>>());
        (0..AT_ONCE).for_each(|_| assert_eq!(client.reply().unwrap(), b"+OK\r\n"));
    }
}

fn run(server: &Server, test: &str, pipeline: &str, requests: usize) -> Run {
    let before_ns = server.processor_ns();
    let output = Command::new("taskset")
        .args(["-c", CLIENT_PROCESSOR, "redis-benchmark", "-p", &server.port.to_string(), "--csv", "-t", test])
        .args(["-P", pipeline, "-n", &requests.to_string(), "-r", &KEYS.to_string(), "-c", &CLIENTS.to_string()])
        .stderr(Stdio::inherit())
        .output()
        .unwrap_or_else(|error| panic!("redis-benchmark cannot be started with taskset: {error}"));
    let taken_ns = server.processor_ns() - before_ns;
    let csv = String::from_utf8(output.stdout).unwrap();
    let last = csv.lines().last().filter(|_| output.status.success()).expect("redis-benchmark tells a result");
    let columns: Vec<f64> = last.split(',').skip(1).map(|text| text.trim_matches('"').parse().unwrap()).collect();
    let [requests_per_s, _, _, _, _, p99_ms, ..] = columns[..] else { panic!("unknown columns: {csv}") };
    Run { requests_per_s, p99_ms, server_us_per_request: taken_ns as f64 / 1000.0 / requests as f64 }
}

/// Keeps all threads of a process on the processor of the servers.
fn pin(pid: u32) {
    let status = Command::new("taskset")
        .args(["-a", "-c", "-p", SERVER_PROCESSOR, &pid.to_string()])
        .stdout(Stdio::null())
        .status();
    assert!(status.is_ok_and(|status| status.success()), "taskset does not pin process {pid}");
}

fn summary(ratios: &[Ratio], sum_up: impl Fn(Vec<f64>) -> f64) -> Ratio {
    let of = |part: fn(&Ratio) -> f64| sum_up(ratios.iter().map(part).collect());
    Ratio {
        throughput: of(|ratio| ratio.throughput),
        processor: of(|ratio| ratio.processor),
        p99: of(|ratio| ratio.p99),
    }
}

fn geometric_mean(values: Vec<f64>) -> f64 {
    (values.iter().map(|value| value.ln()).sum::<f64>() / values.len() as f64).exp()
}
