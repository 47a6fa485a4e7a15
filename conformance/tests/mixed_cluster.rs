//! One cluster of two redis-servers and one slotbus-node, on loopback: formed in every order of
//! MEET, used, hurt, healed. The redis-servers are the judges.

use slotbus_conformance::cluster::{self, Program, Server, agree, wait_until};
use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

const NODE_TIMEOUT_MS: u64 = 2000;
const FORMED_WITHIN: Duration = Duration::from_secs(10);

fn redis() -> Program {
    let path = cluster::installed("redis-server");
    Program::Redis(path.expect("redis-server is installed (cargo suite installs it)"))
}

fn slotbus() -> Program {
    Program::Slotbus(cluster::sibling("slotbus-node").expect("slotbus-node is built"))
}

/// redis-server, slotbus-node, redis-server.
fn mixed(folder: &Path) -> Vec<Server> {
    let start = |program: &Program| Server::start(program, folder, NODE_TIMEOUT_MS, &[]).expect("a server");
    [redis(), slotbus(), redis()].iter().map(start).collect()
}

fn formed(folder: &Path) -> Vec<Server> {
    let servers = mixed(folder);
    cluster::form(&servers, Duration::from_secs(20)).expect("a cluster");
    servers
}

/// Every way in which two MEETs connect three nodes: each of the three chains, each MEET in both directions.
fn orders_of_meet() -> Vec<[(usize, usize); 2]> {
    let mut orders = Vec::new();
    for middle in 0..3 {
        let ends: Vec<_> = (0..3).filter(|&index| index != middle).collect();
        for flips in 0..4 {
            let edge = |end: usize, flip: bool| if flip { (end, middle) } else { (middle, end) };
            orders.push([edge(ends[0], flips & 1 == 1), edge(ends[1], flips & 2 == 2)]);
        }
    }
    orders
}

fn redis_cli(port: u16, words: &[&str]) -> String {
    let output = cluster::redis_cli(&[&["-c", "-p", &port.to_string()], words].concat());
    output.expect("redis-cli is installed (cargo suite installs it)").trim().to_owned()
}

fn own_line(server: &Server) -> cluster::NodeLine {
    server.nodes().expect("nodes").into_iter().find(|line| line.is("myself")).expect("a line of its own")
}

fn sees(server: &Server, id: &str, flag: &str) -> bool {
    server.nodes().is_ok_and(|lines| lines.iter().any(|line| line.id == id && line.is(flag)))
}

#[test]
fn a_cluster_forms_in_every_order_of_meet() {
    let mut orders = orders_of_meet();
    assert_eq!(orders.len(), 12);
    // Two at a time: most of the time is waiting.
    while !orders.is_empty() {
        let batch: Vec<_> =
            orders.drain(..orders.len().min(4)).map(|order| thread::spawn(move || form_by(&order))).collect();
        for clusters in batch {
            clusters.join().expect("a cluster forms");
        }
    }
}

fn form_by(order: &[(usize, usize)]) {
    let folder = tempfile::tempdir().expect("a folder");
    let servers = mixed(folder.path());
    cluster::assign_slots(&servers).expect("slots");
    cluster::meet(&servers, order).expect("MEET");
    let formed = wait_until(FORMED_WITHIN, || agree(&servers).is_ok());
    formed.unwrap_or_else(|reason| panic!("MEET {order:?}: {reason}: {:?}", agree(&servers)));
    for (number, server) in servers.iter().enumerate() {
        for key in 0..20 {
            let (key, value) = (format!("key:{key}"), format!("{number}:{key}"));
            assert_eq!(redis_cli(server.port(), &["SET", &key, &value]), "OK", "MEET {order:?}, SET {key}");
            let other = &servers[(number + 1) % servers.len()];
            assert_eq!(redis_cli(other.port(), &["GET", &key]), value, "MEET {order:?}, GET {key}");
        }
    }
}

#[test]
fn redis_servers_have_nothing_to_complain_about_for_a_minute() {
    let folder = tempfile::tempdir().expect("a folder");
    let servers = formed(folder.path());
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(60) {
        for server in &servers {
            let lines = server.nodes().expect("nodes");
            assert!(lines.iter().all(|line| line.connected), "a link is down: {lines:?}");
            assert!(lines.iter().all(|line| !line.is("fail") && !line.is("fail?")), "suspected: {lines:?}");
        }
        thread::sleep(Duration::from_millis(250));
    }
    for server in servers.iter().filter(|server| matches!(server.program(), Program::Redis(_))) {
        let log = server.log();
        assert!(log.contains("Ready to accept connections"), "the log is the server's: {log}");
        for complaint in ["invalid", "Bad message", "unknown", "Unknown", "mismatching", "padding", "exceeds"] {
            assert!(!log.contains(complaint), "redis-server complains ({complaint}):\n{log}");
        }
    }
}

/// Kills one server, and holds the others to: failed in time, by both; cleared after the restart.
fn dies_and_returns(victim: usize) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut servers = formed(folder.path());
    let before = own_line(&servers[victim]);
    servers[victim].kill();
    let others: Vec<_> = (0..3).filter(|&index| index != victim).collect();
    let limit = Duration::from_millis(NODE_TIMEOUT_MS * 2 + 2000);
    let failed = wait_until(limit, || others.iter().all(|&index| sees(&servers[index], &before.id, "fail")));
    failed.unwrap_or_else(|reason| panic!("server {victim} is not failed {reason}"));
    // With two of three primaries left, neither fails the third without the other's report.
    for &index in &others {
        assert_eq!(servers[index].cluster_info("cluster_slots_fail").expect("info"), before_slots(&before).to_string());
    }
    servers[victim].restart().expect("it starts again");
    let after = own_line(&servers[victim]);
    assert_eq!((&after.id, &after.epoch, &after.slots), (&before.id, &before.epoch, &before.slots));
    let healed = wait_until(Duration::from_millis(NODE_TIMEOUT_MS * 2 + 10_000), || agree(&servers).is_ok());
    healed.unwrap_or_else(|reason| panic!("not healed {reason}: {:?}", agree(&servers)));
}

fn before_slots(line: &cluster::NodeLine) -> u32 {
    let count = |run: &String| {
        let (start, end) = run.split_once('-').expect("a run of slots");
        end.parse::<u32>().expect("a slot") - start.parse::<u32>().expect("a slot") + 1
    };
    line.slots.iter().map(count).sum()
}

#[test]
fn a_killed_redis_server_is_failed_and_cleared() {
    dies_and_returns(0);
}

#[test]
fn a_killed_slotbus_node_is_failed_and_cleared() {
    dies_and_returns(1);
}

/// A nodes.conf written by either server is loaded by the other binary with the same view.
#[test]
fn either_server_loads_the_other_s_nodes_conf() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut servers = formed(folder.path());
    let views: Vec<_> = servers.iter().map(view).collect();
    servers.iter_mut().for_each(Server::kill);
    for (server, other, expected) in [(0, slotbus(), &views[0]), (1, redis(), &views[1])] {
        let heir = tempfile::tempdir().expect("a folder");
        let file = fs::read(servers[server].folder().join("nodes.conf")).expect("nodes.conf");
        let started =
            Server::start_from(&other, heir.path(), NODE_TIMEOUT_MS, &file).expect("the other binary loads it");
        assert_eq!(&view(&started), expected, "{} reads what {} wrote", other.name(), servers[server].program().name());
    }
}

/// What a node knows: the epoch of the cluster, and of each node the id, whether it is itself, epoch and slots.
#[derive(Debug, PartialEq, Eq)]
struct View {
    current_epoch: String,
    nodes: Vec<(String, bool, String, Vec<String>)>,
}

fn view(server: &Server) -> View {
    let lines = server.nodes().expect("nodes");
    let mut nodes: Vec<_> =
        lines.into_iter().map(|line| (line.id.clone(), line.is("myself"), line.epoch, line.slots)).collect();
    nodes.sort();
    View { current_epoch: server.cluster_info("cluster_current_epoch").expect("info"), nodes }
}
