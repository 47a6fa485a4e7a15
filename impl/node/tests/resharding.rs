//! Slots, roles and keys that move, the same as with redis-server, and together with it.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up ends at once")]

mod support;

use support::{NODE, REDIS, Server, run, text, wait_for};

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

/// `redis-cli --cluster` with these words; it must succeed.
fn cli_cluster(args: &[&str]) -> String {
    let output = run("redis-cli", &[&["--cluster"], args].concat());
    let shown = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{args:?}: {shown}");
    shown
}

/// Keys in the first `count` slots that both nodes can have, three to a slot.
fn fill(server: &Server, slots: std::ops::Range<u16>) -> Vec<String> {
    let tags = slotbus_core::route::shortest_tags();
    let mut client = server.client();
    let mut keys = Vec::new();
    for slot in slots {
        for number in 0..3 {
            let key = format!("{{{}}}{number}", tags[usize::from(slot)]);
            // Numbers, short and long texts travel in different forms; some keys expire later.
            let value = match number {
                0 => slot.to_string(),
                1 => format!("value-{slot}"),
                _ => "abc".repeat(100 + usize::from(slot)),
            };
            assert_eq!(client.ask(&format!("SET {key} {value}")), "+OK\r\n");
            if number == 1 {
                assert_eq!(client.ask(&format!("EXPIRE {key} 10000")), ":1\r\n");
            }
            keys.push(key);
        }
    }
    keys
}

fn assert_kept(server: &Server, keys: &[String]) {
    let mut client = server.client();
    for key in keys {
        let slot: usize = client.ask(&format!("CLUSTER KEYSLOT {key}")).trim()[1..].parse().unwrap();
        let expected = match key.as_bytes().last() {
            Some(b'0') => slot.to_string(),
            Some(b'1') => format!("value-{slot}"),
            _ => "abc".repeat(100 + slot),
        };
        assert_eq!(client.ask(&format!("GET {key}")), format!("${}\r\n{expected}\r\n", expected.len()), "{key}");
        let has_end = !client.ask(&format!("TTL {key}")).starts_with(":-1");
        assert_eq!(has_end, key.ends_with('1'), "{key}");
    }
}

/// Whether the tool finds that all nodes agree and every slot has its owner.
fn is_well(address: &str) -> bool {
    let output = run("redis-cli", &["--cluster", "check", address]);
    output.status.success() && text(&output.stdout).contains("[OK] All 16384 slots covered.")
}

#[test]
fn the_tool_moves_slots_with_keys_both_ways() {
    for programs in [[NODE, REDIS], [NODE, NODE]] {
        let servers = two(programs[0], programs[1]);
        let keys = fill(&servers[0], 0..100);
        let address = format!("127.0.0.1:{}", servers[0].port);
        let [first, second] = [id(&servers[0]), id(&servers[1])];
        for (from, to, server) in [(&first, &second, &servers[1]), (&second, &first, &servers[0])] {
            let args = ["reshard", &address, "--cluster-from", from, "--cluster-to", to];
            // Of the second node's slots the lowest go back, which are those that came.
            cli_cluster(&[&args[..], &["--cluster-slots", "100", "--cluster-yes"]].concat());
            wait_for("both to agree", || servers.iter().all(is_up).then_some(()));
            wait_for("the tool to find all well", || is_well(&address).then_some(()));
            assert_kept(server, &keys);
        }
        cli_cluster(&["rebalance", &address, "--cluster-threshold", "1"]);
        let counts: Vec<String> = servers.iter().map(|server| server.client().ask("DBSIZE")).collect();
        assert_eq!(counts, [":300\r\n", ":0\r\n"]);
    }
}

#[test]
fn the_tool_mends_a_slot_that_was_left_open() {
    let servers = two(NODE, REDIS);
    let keys = fill(&servers[0], 0..3);
    let [first, second] = [id(&servers[0]), id(&servers[1])];
    for slot in 0..3 {
        assert_eq!(servers[1].client().ask(&format!("CLUSTER SETSLOT {slot} IMPORTING {first}")), "+OK\r\n");
        assert_eq!(servers[0].client().ask(&format!("CLUSTER SETSLOT {slot} MIGRATING {second}")), "+OK\r\n");
    }
    let port = servers[1].port;
    let mut client = servers[0].client();
    assert_eq!(client.ask(&format!("MIGRATE 127.0.0.1 {port} {} 0 5000", keys[0])), "+OK\r\n");
    cli_cluster(&["fix", &format!("127.0.0.1:{}", servers[0].port)]);
    wait_for("both to agree", || servers.iter().all(is_up).then_some(()));
    let total: usize =
        servers.iter().map(|server| server.client().ask("DBSIZE").trim()[1..].parse::<usize>().unwrap()).sum();
    assert_eq!(total, keys.len());
}

#[test]
fn a_migration_is_refused_and_reported_the_same() {
    let lines = [
        "set a 12",
        "set {a}b xyz",
        "set {a}c 1 ex 100",
        "migrate 127.0.0.1 1 a 0",
        "migrate 127.0.0.1 1 a 0 1000",
        "migrate 127.0.0.1 1 nosuch 0 1000",
        "migrate 127.0.0.1 1 a 0 1000 KEYS a",
        "migrate 127.0.0.1 x a 0 1000",
        "migrate 127.0.0.1 1 a 0 x",
        "migrate 127.0.0.1 1 a x 10",
        "migrate 127.0.0.1 1 a 0 10 foo",
        "migrate 127.0.0.1 1 a 0 10 AUTH",
        "migrate 127.0.0.1 1 a 0 10 AUTH2 x",
        "migrate nosuchhost 1 a 0 1000",
        "migrate 127.0.0.1 1 \"\" 0 1000 KEYS a b",
        "migrate 127.0.0.1 1 \"\" 0 1000 KEYS",
        "migrate 127.0.0.1 <target> a 3 1000",
        "migrate 127.0.0.1 <target> a 0 1000 AUTH wrong",
        "migrate 127.0.0.1 <target> a 0 1000 COPY",
        "exists a",
        "migrate 127.0.0.1 <target> a 0 1000",
        "migrate 127.0.0.1 <target> \"\" 0 1000 replace KEYS a {a}b {a}c {a}d",
        "exists a {a}b {a}c",
        "command getkeys migrate 127.0.0.1 1 x 0 1000",
        "command getkeys migrate 127.0.0.1 1 \"\" 0 1000 AUTH keys KEYS a b",
        "dump a",
        "restore x 0 foo",
        "restore x y foo",
        "restore x -1 foo",
        "restore x 0 foo bar",
        "restore x 0 foo idletime x",
        "restore x 0 foo idletime -1",
        "restore x 0 foo freq 256",
        "restore x 0 foo freq 1 idletime 1",
        "set x 1",
        "restore x y foo",
        "restore x 0 foo replace",
        "get x",
    ];
    let of = |program: &str| -> Vec<String> {
        // Outside of a cluster, so that the target takes every key.
        let (source, target) = (Server::alone(program), Server::start(REDIS, &[]));
        let port = target.port.to_string();
        let mut client = source.client();
        let mut seen = Vec::new();
        for line in lines {
            let words = line.replace("<target>", &port);
            let words: Vec<&str> = words.split(' ').map(|word| if word == "\"\"" { "" } else { word }).collect();
            client.send_request(&words.iter().map(|word| word.as_bytes()).collect::<Vec<_>>());
            seen.push(format!("{line} => {}", text(&client.reply().unwrap())));
        }
        seen
    };
    let (ours, theirs) = (of(NODE), of(REDIS));
    let differences: Vec<_> = ours.iter().zip(&theirs).filter(|(ours, theirs)| ours != theirs).collect();
    assert!(differences.is_empty(), "{differences:#?}");
}

#[test]
fn values_are_packed_the_same_and_unpack_in_both() {
    let (node, redis) = (Server::alone(NODE), Server::alone(REDIS));
    let (mut ours, mut theirs) = (node.client(), redis.client());
    let long = "x".repeat(20_000);
    for value in ["1", "-129", "70000", "2147483648", "012", "hello", "", "incompressible?", &long] {
        let mut payloads = Vec::new();
        for client in [&mut ours, &mut theirs] {
            client.send_request(&[b"SET", b"a", value.as_bytes()]);
            assert_eq!(text(&client.reply().unwrap()), "+OK\r\n");
            client.send_request(&[b"DUMP", b"a"]);
            let reply = client.reply().unwrap();
            let start = reply.iter().position(|&byte| byte == b'\n').unwrap() + 1;
            payloads.push(reply[start..reply.len() - 2].to_vec());
        }
        // Only redis-server compresses, and only what is longer.
        assert!(value.len() > 20 || payloads[0] == payloads[1], "{value}: {payloads:?}");
        for (client, payload) in [(&mut ours, &payloads[1]), (&mut theirs, &payloads[0])] {
            client.send_request(&[b"RESTORE", b"b", b"0", payload, b"REPLACE"]);
            assert_eq!(text(&client.reply().unwrap()), "+OK\r\n");
            assert_eq!(client.ask("GET b"), format!("${}\r\n{value}\r\n", value.len()));
        }
    }
}

#[test]
fn only_who_asks_for_a_key_on_its_way_waits_for_a_deaf_target() {
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let node = Server::alone(NODE);
    let (mut mover, mut reader, mut other) = (node.client(), node.client(), node.client());
    assert_eq!(mover.ask("SET a 1"), "+OK\r\n");
    let port = deaf.local_addr().unwrap().port().to_string();
    mover.send_request(&[b"MIGRATE", b"127.0.0.1", port.as_bytes(), b"a", b"0", b"1000"]);
    let start = std::time::Instant::now();
    let _connection = deaf.accept().unwrap();
    reader.send_request(&[b"GET", b"a"]);
    assert_eq!(other.ask("SET b 1"), "+OK\r\n");
    assert!(start.elapsed().as_millis() < 900, "others wait for {:?}", start.elapsed());
    assert_eq!(text(&mover.reply().unwrap()), "-IOERR error or timeout reading to target instance\r\n");
    assert!(start.elapsed().as_millis() >= 900, "{:?}", start.elapsed());
    assert_eq!(text(&reader.reply().unwrap()), "$1\r\n1\r\n");
    assert_eq!(mover.ask("GET a"), "$1\r\n1\r\n");
}

#[test]
fn migrations_in_a_row_share_a_connection_that_may_end_between_them() {
    let (server, target) = (Server::start(NODE, &[]), Server::start(REDIS, &[]));
    let mut client = server.client();
    let migrate = |client: &mut support::Client, key: &str| {
        assert_eq!(client.ask(&format!("SET {key} 1")), "+OK\r\n");
        client.ask(&format!("MIGRATE 127.0.0.1 {} {key} 0 5000", target.port))
    };
    let connections = || {
        let stats = target.client().ask("INFO stats");
        let count = stats.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
        count.unwrap().parse::<u64>().unwrap()
    };
    let before = connections();
    for key in ["a", "b", "c", "d"] {
        assert_eq!(migrate(&mut client, key), "+OK\r\n");
    }
    // One for all four, and the one that asks.
    assert_eq!(connections() - before, 2);
    assert!(target.client().ask("CLIENT KILL TYPE normal").starts_with(':'));
    assert_eq!(migrate(&mut client, "e"), "+OK\r\n");
    assert_eq!(target.client().ask("DBSIZE"), ":5\r\n");
}
