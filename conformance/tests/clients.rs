//! Applications that use a cluster through redis-py while slots move, replicas take over, and a primary
//! is killed: nothing that was acknowledged is lost, and while nothing is killed no client sees an error.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up ends at once")]

use serde_json::Value;
use slotbus_conformance::{
    cluster::{self, Program, Server, installed, wait_until},
    python,
};
use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::OnceLock,
    thread::sleep,
    time::Duration,
};

/// The version that this was written for.
const REDIS_PY: &str = "redis==8.1.0";
const NODE_TIMEOUT_MS: u64 = 2000;
const PATIENCE: Duration = Duration::from_secs(30);

/// A Python with the client library.
fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| python::with_package(Path::new(env!("CARGO_TARGET_TMPDIR")), REDIS_PY).unwrap())
}

/// The application. It ends with this value.
struct Workload {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Workload {
    fn start(servers: &[Server], protocol: &str) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/workload.py");
        let ports = servers.iter().map(|server| server.port().to_string());
        let mut command = Command::new(python());
        command.arg(script).args(ports).args(["--protocol", protocol]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output }
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
    }

    /// What came out since the last time.
    fn phase(&mut self, name: &str) -> Value {
        writeln!(self.input.as_mut().unwrap(), "{name}").unwrap();
        let phase = self.line();
        eprintln!("{name}: {phase}");
        phase
    }

    /// Every kind of work was done, and nothing failed.
    fn expect_no_error(&mut self, name: &str) {
        let phase = self.phase(name);
        assert_eq!(phase["errors"], serde_json::json!({}), "{name}");
        for kind in ["write", "read", "pipeline", "transaction", "listen", "listen_in_shard"] {
            assert!(phase["done"][kind].as_u64() > Some(0), "{name}: {kind} of {phase}");
        }
    }

    /// Nothing that was acknowledged is missing.
    fn finish(mut self) {
        drop(self.input.take());
        let end = self.line();
        assert!(end["acknowledged"].as_u64() > Some(500), "{end}");
        assert_eq!(end["missing"], serde_json::json!([]), "{end}");
    }
}

impl Drop for Workload {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn redis_cli(arguments: &[&str]) {
    let (is_done, text) = try_redis_cli(arguments);
    assert!(is_done, "redis-cli {arguments:?}: {text}");
}

fn try_redis_cli(arguments: &[&str]) -> (bool, String) {
    let output = Command::new("redis-cli").args(arguments).stdin(Stdio::null()).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Three primaries, each with a replica: every server of the list in turn.
fn form(programs: [&Program; 6], folder: &Path) -> Vec<Server> {
    let servers: Vec<Server> =
        programs.iter().map(|program| Server::start(program, folder, NODE_TIMEOUT_MS, &[]).unwrap()).collect();
    let addresses: Vec<String> = servers.iter().map(|server| format!("127.0.0.1:{}", server.port())).collect();
    let create = ["--cluster", "create"].into_iter().chain(addresses.iter().map(String::as_str));
    redis_cli(&create.chain(["--cluster-replicas", "1", "--cluster-yes"]).collect::<Vec<_>>());
    let is_linked = |server: &Server| {
        let info = server.text(&["INFO", "replication"]).unwrap_or_default();
        info.contains("role:master") || info.contains("master_link_status:up")
    };
    wait_until(PATIENCE, || servers.iter().all(is_linked)).unwrap();
    servers
}

/// The servers that are primaries, by what they say of themselves.
fn primaries(servers: &[Server]) -> Vec<&Server> {
    servers.iter().filter(|server| is_primary(server)).collect()
}

fn is_primary(server: &Server) -> bool {
    own_flags(server).is_some_and(|flags| flags.iter().any(|flag| flag == "master"))
}

fn own_flags(server: &Server) -> Option<Vec<String>> {
    server.nodes().ok()?.into_iter().find(|line| line.is("myself")).map(|line| line.flags)
}

fn id(server: &Server) -> String {
    server.text(&["CLUSTER", "MYID"]).unwrap()
}

fn move_slots(from: &Server, to: &Server, count: &str) {
    let address = format!("127.0.0.1:{}", from.port());
    // redis-cli moves nothing before all nodes say the same.
    wait_until(PATIENCE, || try_redis_cli(&["--cluster", "check", &address]).0).unwrap();
    let ends = ["--cluster-from", &id(from), "--cluster-to", &id(to)];
    let request = ["--cluster", "reshard", &address].into_iter().chain(ends);
    redis_cli(&request.chain(["--cluster-slots", count, "--cluster-yes"]).collect::<Vec<_>>());
}

/// One replica takes over because it is told to; says which primary it took over from.
fn hand_over(servers: &[Server]) {
    let replica = servers.iter().find(|server| !is_primary(server)).unwrap();
    replica.text(&["CLUSTER", "FAILOVER"]).unwrap();
    wait_until(PATIENCE, || is_primary(replica)).unwrap();
}

fn use_while_it_changes(programs: [&Program; 6], protocol: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut servers = form(programs, folder.path());
    let mut workload = Workload::start(&servers, protocol);
    sleep(Duration::from_secs(2));
    workload.expect_no_error("at rest");
    {
        let primaries = primaries(&servers);
        move_slots(primaries[0], primaries[1], "60");
        move_slots(primaries[1], primaries[2], "60");
    }
    sleep(Duration::from_secs(1));
    workload.expect_no_error("while slots move");
    hand_over(&servers);
    sleep(Duration::from_secs(2));
    workload.expect_no_error("while a replica takes over");
    let victim = servers.iter().position(is_primary).unwrap();
    servers[victim].kill();
    let others = servers.iter().enumerate().filter(|(index, _)| *index != victim);
    let others: Vec<&Server> = others.map(|(_, server)| server).collect();
    let have_three = || others.iter().filter(|server| is_primary(server)).count() == 3;
    wait_until(PATIENCE, have_three).unwrap();
    let is_well = |server: &&Server| server.cluster_info("cluster_state").is_ok_and(|state| state == "ok");
    wait_until(PATIENCE, || others.iter().all(is_well)).unwrap();
    // Clients find out when they next try.
    sleep(Duration::from_secs(3));
    workload.phase("while a primary is dead");
    sleep(Duration::from_secs(3));
    workload.expect_no_error("after its replica took over");
    workload.finish();
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
