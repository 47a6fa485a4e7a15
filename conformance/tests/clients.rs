//! Applications that use a cluster through redis-py and redis-rs while slots move, replicas take over, and a primary
//! is killed: nothing that was acknowledged is lost, and while nothing is killed no client sees an error.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up ends at once")]

#[path = "clients/redis_rs.rs"]
mod redis_rs;

use redis_rs::RedisRs;
use serde_json::Value;
use slotbus_conformance::{
    cluster::{self, Program, Server, installed, wait_until},
    failover::take_over,
    python,
};
use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        OnceLock,
        mpsc::{Receiver, channel},
    },
    thread::{self, sleep},
    time::Duration,
};

/// The version that this was written for.
const REDIS_PY: &str = "redis==8.1.0";
const NODE_TIMEOUT_MS: u64 = 2000;
const PATIENCE: Duration = Duration::from_secs(30);
/// Between one look at what was done and the next.
const LULL: Duration = Duration::from_millis(200);

/// A Python with the client library.
fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| python::with_package(Path::new(env!("CARGO_TARGET_TMPDIR")), REDIS_PY).unwrap())
}

/// What an application does with a cluster all the time, and what it tells of it.
trait Application {
    /// What came of its work since the last time: how often each kind was done, and which errors there were.
    fn close_phase(&mut self) -> Value;

    /// Ends the work: how many writes were acknowledged, and which of them are missing.
    fn finish(self: Box<Self>) -> Value;
}

/// The application that uses redis-py. Its process ends with this value.
struct RedisPy {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl RedisPy {
    fn start(servers: &[Server], protocol: &str) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/workload.py");
        let ports = servers.iter().map(|server| server.port().to_string());
        let mut command = Command::new(python());
        command.arg(script).args(ports).args(["--protocol", protocol]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let (sender, lines) = channel();
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, input, lines }
    }

    fn line(&self) -> Value {
        let line = self.lines.recv_timeout(PATIENCE).expect("the application answers");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
    }
}

impl Application for RedisPy {
    fn close_phase(&mut self) -> Value {
        writeln!(self.input.as_mut().unwrap()).unwrap();
        self.line()
    }

    fn finish(mut self: Box<Self>) -> Value {
        drop(self.input.take());
        self.line()
    }
}

impl Drop for RedisPy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Applications by the library that they use.
struct Applications(Vec<(&'static str, Box<dyn Application>)>);

impl Applications {
    fn start(servers: &[Server], protocol: &str) -> Self {
        let redis_rs = Box::new(RedisRs::start(servers, protocol));
        Self(vec![("redis-py", Box::new(RedisPy::start(servers, protocol))), ("redis-rs", redis_rs)])
    }

    /// What came of their work since the last time.
    fn close_phase(&mut self, name: &str) -> Vec<(&'static str, Value)> {
        let phases = self.0.iter_mut().map(|(library, application)| {
            let phase = application.close_phase();
            eprintln!("{name}, {library}: {phase}");
            (*library, phase)
        });
        phases.collect()
    }

    /// Every kind of work is done, and nothing fails.
    fn expect_no_error(&mut self, name: &str) {
        let kinds = ["write", "read", "pipeline", "transaction", "listen", "listen_in_shard"];
        let libraries = self.0.iter().map(|(library, _)| *library);
        let mut missing: BTreeSet<_> = libraries.flat_map(|library| kinds.map(|kind| (library, kind))).collect();
        let is_all_done = || {
            sleep(LULL);
            for (library, phase) in self.close_phase(name) {
                assert_eq!(phase["errors"], serde_json::json!({}), "{name}, {library}");
                missing.retain(|(other, kind)| *other != library || phase["done"][kind].as_u64().is_none());
            }
            missing.is_empty()
        };
        let done = wait_until(PATIENCE, is_all_done);
        done.unwrap_or_else(|why| panic!("{name}: not done {why}: {missing:?}"));
    }

    /// Nothing that was acknowledged is missing.
    fn finish(self) {
        for (library, application) in self.0 {
            let end = application.finish();
            assert!(end["acknowledged"].as_u64() > Some(500), "{library}: {end}");
            assert_eq!(end["missing"], serde_json::json!([]), "{library}: {end}");
        }
    }
}

/// Three primaries, each with a replica: every server of the list in turn.
fn form(programs: [&Program; 6], folder: &Path) -> Vec<Server> {
    let servers: Vec<Server> =
        programs.iter().map(|program| Server::start(program, folder, NODE_TIMEOUT_MS, &[]).unwrap()).collect();
    cluster::create(&servers, 1).unwrap();
    wait_until(PATIENCE, || servers.iter().all(Server::is_linked)).unwrap();
    servers
}

/// The servers that are primaries, by what they say of themselves.
fn primaries(servers: &[Server]) -> Vec<&Server> {
    servers.iter().filter(|server| server.is_primary()).collect()
}

fn move_slots(from: &Server, to: &Server, count: usize) {
    cluster::wait_for_check(from, PATIENCE).unwrap();
    cluster::reshard(from, to, count).unwrap();
}

/// One replica takes over because it is told to.
fn hand_over(servers: &[Server]) {
    let replica = servers.iter().find(|server| !server.is_primary()).unwrap();
    take_over(replica, || replica.is_primary()).unwrap();
}

fn use_while_it_changes(programs: [&Program; 6], protocol: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut servers = form(programs, folder.path());
    let mut applications = Applications::start(&servers, protocol);
    sleep(Duration::from_secs(2));
    applications.expect_no_error("at rest");
    {
        let primaries = primaries(&servers);
        move_slots(primaries[0], primaries[1], 60);
        move_slots(primaries[1], primaries[2], 60);
    }
    sleep(Duration::from_secs(1));
    applications.expect_no_error("while slots move");
    hand_over(&servers);
    sleep(Duration::from_secs(2));
    applications.expect_no_error("while a replica takes over");
    // What a redis-server has acknowledged may go with it.
    let is_ours = |server: &Server| server.program().is_traced();
    let victim = servers.iter().position(|server| is_ours(server) && server.is_primary()).unwrap();
    servers[victim].kill();
    let others = servers.iter().enumerate().filter(|(index, _)| *index != victim);
    let others: Vec<&Server> = others.map(|(_, server)| server).collect();
    let have_three = || others.iter().filter(|server| server.is_primary()).count() == 3;
    wait_until(PATIENCE, have_three).unwrap();
    let is_well = |server: &&Server| server.cluster_info("cluster_state").is_ok_and(|state| state == "ok");
    wait_until(PATIENCE, || others.iter().all(is_well)).unwrap();
    // Clients find out when they next try.
    sleep(Duration::from_secs(3));
    applications.close_phase("while a primary is dead");
    sleep(Duration::from_secs(3));
    applications.expect_no_error("after its replica took over");
    applications.finish();
}

#[test]
fn a_cluster_of_ours_is_used_while_it_changes() {
    let node = Program::Slotbus(cluster::sibling("slotbus-node").unwrap());
    use_while_it_changes([&node; 6], "3");
}

#[test]
fn a_mixed_cluster_is_used_while_it_changes() {
    let node = Program::Slotbus(cluster::sibling("slotbus-node").unwrap());
    let redis = Program::Redis(installed("redis-server").unwrap());
    use_while_it_changes([&node, &redis, &node, &redis, &node, &redis], "2");
}
