//! Slots, roles and keys that move, the same as with redis-server, and together with it.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up ends at once")]

mod support;

use support::{NODE, REDIS, Server, wait_for};

fn id(server: &Server) -> String {
    server.client().ask("CLUSTER MYID").lines().nth(1).unwrap().to_owned()
}

fn is_up(server: &Server) -> bool {
    server.client().ask("CLUSTER INFO").contains("cluster_state:ok")
}

fn start(program: &str) -> Server {
    let profile: &[&str] = if program == NODE { &["--protocol-profile", "redis-7.0"] } else { &[] };
    Server::start(program, &[&["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"], profile].concat())
}

/// Two nodes that share the slots; the first of the program under test.
fn two(first: &str, second: &str) -> [Server; 2] {
    let servers = [start(first), start(second)];
    for (number, range) in ["0 8191", "8192 16383"].iter().enumerate() {
        let mut client = servers[number].client();
        assert_eq!(client.ask(&format!("CLUSTER ADDSLOTSRANGE {range}")), "+OK\r\n");
        assert_eq!(client.ask(&format!("CLUSTER SET-CONFIG-EPOCH {}", number + 1)), "+OK\r\n");
    }
    assert_eq!(servers[1].client().ask(&format!("CLUSTER MEET 127.0.0.1 {}", servers[0].port)), "+OK\r\n");
    wait_for("the cluster to be up", || servers.iter().all(is_up).then_some(()));
    servers
}

/// The replies to these lines, with ids and ports masked. `<me>` and `<other>` stand for ids.
fn dialogue(servers: &[Server; 2], lines: &[&str]) -> Vec<String> {
    let (me, other) = (id(&servers[0]), id(&servers[1]));
    let (port, other_port) = (servers[0].port.to_string(), servers[1].port.to_string());
    let mut client = servers[0].client();
    let mut ask = |line: &&str| {
        let reply = client.ask(&line.replace("<me>", &me).replace("<other>", &other));
        let masks = [(&me, "<me>"), (&other, "<other>"), (&port, "<port>"), (&other_port, "<other-port>")];
        let reply = masks.iter().fold(reply, |reply, (from, to)| reply.replace(from.as_str(), to));
        format!("{line} => {reply}")
    };
    lines.iter().map(&mut ask).collect()
}

fn assert_same(lines: &[&str]) {
    let ours = dialogue(&two(NODE, REDIS), lines);
    let theirs = dialogue(&two(REDIS, REDIS), lines);
    let differences: Vec<_> = ours.iter().zip(&theirs).filter(|(ours, theirs)| ours != theirs).collect();
    assert!(differences.is_empty(), "{differences:#?}");
}

#[test]
fn slots_are_opened_and_closed_the_same() {
    // The slot of "a" is 15495, the other node's; that of "b" is 3300, this node's.
    assert_same(&[
        "cluster setslot",
        "cluster setslot 1",
        "cluster setslot 1 foo",
        "cluster setslot 1 stable x",
        "cluster setslot 1 node",
        "cluster setslot x stable",
        "cluster setslot 16384 stable",
        "cluster setslot -1 foo",
        "cluster setslot 1 migrating nosuch",
        "cluster setslot 1 migrating aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "cluster setslot 15495 migrating <other>",
        "cluster setslot 1 importing <other>",
        "cluster setslot 15495 importing nosuch",
        "cluster setslot 15495 node nosuch",
        "get b",
        "set b 1",
        "set {b}c 1",
        "get a",
        "cluster setslot 3300 migrating <other>",
        "get b",
        "get {b}x",
        "mget b {b}x",
        "mget b {b}c",
        "set {b}x 1",
        "cluster setslot 3300 node <other>",
        "cluster setslot 3300 stable",
        "get {b}x",
        "cluster setslot 15495 importing <other>",
        "get a",
        "asking",
        "get a",
        "get a",
        "asking",
        "mget a {a}b",
        "asking",
        "set a 1",
        "asking",
        "multi",
        "set a 2",
        "exec",
        "cluster setslot 15495 node <me>",
        "get a",
        "cluster setslot 1 node <other>",
        "cluster countkeysinslot 3300",
        "cluster flushslots",
        "cluster failover",
        "cluster failover foo",
        "cluster failover force x",
        "cluster replicate nosuch",
        "cluster replicate <me>",
        "cluster replicate <other>",
        "cluster reset",
        "cluster reset foo",
        "cluster reset hard x",
        "del a",
        "del b {b}c",
        "cluster flushslots",
        "cluster flushslots x",
        "cluster reset soft",
        "cluster slots",
        "get b",
    ]);
}

#[test]
fn a_replica_says_the_same_of_itself() {
    assert_same(&[
        "cluster flushslots",
        "cluster replicate <other>",
        "cluster setslot x stable",
        "cluster setslot 1 foo",
        "cluster setslot 1 migrating <other>",
        "get a",
        "set a 1",
        "readonly",
        "set a 1",
        "multi",
        "set b 1",
        "exec",
        "flushall",
        "cluster replicate <other>",
        "cluster replicate <me>",
        "cluster reset",
        "role",
    ]);
    let [node, primary] = two(NODE, REDIS);
    let mut client = node.client();
    assert_eq!(client.ask("CLUSTER FLUSHSLOTS"), "+OK\r\n");
    assert_eq!(client.ask(&format!("CLUSTER REPLICATE {}", id(&primary))), "+OK\r\n");
    assert!(client.ask("ROLE").starts_with(&format!("*5\r\n$5\r\nslave\r\n$9\r\n127.0.0.1\r\n:{}\r\n", primary.port)));
    let info = client.ask("INFO replication");
    assert!(info.contains("role:slave\r\nmaster_host:127.0.0.1\r\n"), "{info}");
    assert!(info.contains("master_link_status:down"), "{info}");
    assert_eq!(client.ask("CLUSTER FAILOVER TAKEOVER"), "+OK\r\n");
    assert!(client.ask("INFO replication").contains("role:master"));
    wait_for("the former primary to follow", || primary.client().ask("ROLE").contains("slave").then_some(()));
    assert_eq!(client.ask("CLUSTER ADDSLOTSRANGE 0 8191"), "+OK\r\n");
    wait_for("the cluster to be up", || (client.ask("SET a 1") == "+OK\r\n").then_some(()));
}

#[test]
fn a_hard_reset_gives_a_new_name_and_a_soft_one_does_not() {
    let [node, _other] = two(NODE, REDIS);
    let first = id(&node);
    let mut client = node.client();
    assert_eq!(client.ask("CLUSTER RESET"), "+OK\r\n");
    assert_eq!(id(&node), first);
    assert_eq!(client.ask("CLUSTER RESET HARD"), "+OK\r\n");
    assert_ne!(id(&node), first);
    assert!(client.ask("CLUSTER MYSHARDID").contains(&id(&node)));
    let info = client.ask("CLUSTER INFO");
    assert!(info.contains("cluster_known_nodes:1\r\n") && info.contains("cluster_current_epoch:0\r\n"), "{info}");
}
