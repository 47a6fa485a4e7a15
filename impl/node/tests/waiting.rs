//! Requests that have to wait, and transactions that do not happen: the same as with redis-server.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up ends at once")]

mod support;

use std::time::{Duration, Instant};
use support::{NODE, REDIS, Server, text, wait_for};

/// A failover by hand is given up within.
const MANUAL_FAILOVER_MAX: Duration = Duration::from_millis(5500);

/// What two clients of one server see: a line that begins with `2 ` is the second one's.
fn dialogue(server: &Server, lines: &[&str]) -> Vec<String> {
    let mut clients = [server.client(), server.client()];
    let answer = |line: &&str| match line.strip_prefix("2 ") {
        Some(rest) => format!("{line} => {}", clients[1].ask(rest)),
        None => format!("{line} => {}", clients[0].ask(line)),
    };
    lines.iter().map(answer).collect()
}

#[test]
fn watched_keys_stop_a_transaction_the_same() {
    let lines = [
        "watch",
        "watch a",
        "multi",
        "watch b",
        "unwatch",
        "exec",
        "watch a",
        "2 set a 1",
        "multi",
        "get a",
        "exec",
        "multi",
        "get a",
        "exec",
        "watch a",
        "2 get a",
        "multi",
        "get a",
        "exec",
        "watch a",
        "2 set a 1",
        "unwatch",
        "multi",
        "get a",
        "exec",
        "watch a",
        "2 del a",
        "multi",
        "get a",
        "exec",
        "watch a",
        "set a 2",
        "multi",
        "get a",
        "exec",
        "watch a",
        "2 expire a 100",
        "multi",
        "exec",
        "watch a",
        "2 set a 3",
        "multi",
        "discard",
        "multi",
        "get a",
        "exec",
        "watch a",
        "2 flushall",
        "multi",
        "ping",
        "exec",
        "watch a b",
        "watch nosuch",
        "multi",
        "ping",
        "exec",
        "watch a",
        "2 set a 1",
        "multi",
        "foo",
        "exec",
        "multi",
        "ping",
        "exec",
        "watch a",
        "2 set a 1",
        "reset",
        "multi",
        "ping",
        "exec",
    ];
    let (ours, theirs) = (dialogue(&Server::alone(NODE), &lines), dialogue(&Server::alone(REDIS), &lines));
    let differences: Vec<_> = ours.iter().zip(&theirs).filter(|(ours, theirs)| ours != theirs).collect();
    assert!(differences.is_empty(), "{differences:#?}");
}

#[test]
fn a_pause_holds_what_it_is_to_hold() {
    for program in [NODE, REDIS] {
        let server = Server::alone(program);
        let (mut admin, mut writer) = (server.client(), server.client());
        for refused in ["x", "-1", "1 foo", "1 write x"] {
            assert!(admin.ask(&format!("CLIENT PAUSE {refused}")).starts_with("-ERR "), "{refused}");
        }
        assert_eq!(admin.ask("CLIENT PAUSE 100000 WRITE"), "+OK\r\n");
        assert_eq!(writer.ask("GET a"), "$-1\r\n");
        writer.send(b"GET a\r\nSET a 1\r\nGET a\r\n");
        assert_eq!(text(&writer.reply().unwrap()), "$-1\r\n");
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(admin.ask("GET a"), "$-1\r\n", "{program}: the write waits");
        assert_eq!(admin.ask("CLIENT UNPAUSE"), "+OK\r\n");
        assert_eq!(text(&writer.reply().unwrap()), "+OK\r\n");
        assert_eq!(text(&writer.reply().unwrap()), "$1\r\n1\r\n");
        let start = Instant::now();
        assert_eq!(admin.ask("CLIENT PAUSE 300"), "+OK\r\n");
        assert_eq!(writer.ask("GET a"), "$1\r\n1\r\n");
        assert!(start.elapsed() >= Duration::from_millis(280), "{program}: {:?}", start.elapsed());
    }
}

#[test]
fn a_primary_gives_way_to_the_replica_that_asks_for_it() {
    let servers = [Server::clustered(NODE), Server::clustered(REDIS), Server::clustered(NODE)];
    let id = |server: &Server| server.client().ask("CLUSTER MYID").lines().nth(1).unwrap().to_owned();
    let is_up = |server: &Server| server.client().ask("CLUSTER INFO").contains("cluster_state:ok");
    for (number, range) in ["0 8191", "8192 16383"].iter().enumerate() {
        let mut client = servers[number].client();
        assert_eq!(client.ask(&format!("CLUSTER ADDSLOTSRANGE {range}")), "+OK\r\n");
        assert_eq!(client.ask(&format!("CLUSTER SET-CONFIG-EPOCH {}", number + 1)), "+OK\r\n");
    }
    for other in &servers[1..] {
        assert_eq!(other.client().ask(&format!("CLUSTER MEET 127.0.0.1 {}", servers[0].port)), "+OK\r\n");
    }
    wait_for("the cluster to be up", || servers.iter().all(is_up).then_some(()));
    let (node, replica) = (&servers[0], &servers[2]);
    let command = format!("CLUSTER REPLICATE {}", id(node));
    wait_for("the replica to follow", || (replica.client().ask(&command) == "+OK\r\n").then_some(()));
    assert_eq!(node.client().ask("SET b 1"), "+OK\r\n");
    // The other voter, too: it does not vote for whom it takes for a primary.
    let knows = |server: &Server| server.client().ask("CLUSTER NODES").contains(&format!("slave {}", id(node)));
    wait_for("everybody to know the replica", || servers.iter().all(knows).then_some(()));
    // On a busy machine its time may pass before the votes are there: then an administrator asks again.
    let mut asked_at: Option<Instant> = None;
    wait_for("the node to be a replica", || {
        if asked_at.is_none_or(|at| at.elapsed() > MANUAL_FAILOVER_MAX) {
            asked_at = (replica.client().ask("CLUSTER FAILOVER") == "+OK\r\n").then(Instant::now);
        }
        node.client().ask("ROLE").contains("slave").then_some(())
    });
    wait_for("the replica to be a primary", || replica.client().ask("ROLE").contains("master").then_some(()));
    let mut client = node.client();
    assert!(client.ask("SET b 2").starts_with(&format!("-MOVED 3300 127.0.0.1:{}", replica.port)));
    client.ask("READONLY");
    assert!(client.ask("SET b 2").starts_with("-MOVED "));
    assert_eq!(client.ask("FLUSHALL"), "-READONLY You can't write against a read only replica.\r\n");
}
