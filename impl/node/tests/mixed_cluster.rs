//! This node in one cluster with redis-server nodes: they meet in any order, agree on who owns what,
//! and clients get through anywhere.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up ends at once")]

mod support;

use slotbus_core::{ClusterState, Node, step};
use slotbus_wire::trace::{Header, TraceReader};
use support::{NODE, REDIS, Server, free_port, run, text, wait_for};

/// `redis-cli -c` against a node.
fn cli(port: u16, args: &[&str]) -> String {
    let output = run("redis-cli", &[&["-c", "-p", &port.to_string()], args].concat());
    text(&output.stdout).trim().to_owned()
}

/// Which node owns which slots, in a node's view: `id slots` by id.
fn owners(server: &Server) -> Vec<String> {
    let reply = server.client().ask("CLUSTER NODES");
    let lines = reply.lines().filter(|line| line.contains("connected"));
    let mut owners: Vec<String> = lines
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            format!("{} {} {}", words[0], words[1], words[8..].join(" "))
        })
        .collect();
    owners.sort();
    owners
}

fn is_up(server: &Server) -> bool {
    server.client().ask("CLUSTER INFO").contains("cluster_state:ok")
}

/// A cluster of these programs, each with a share of the slots, whose nodes meet as `meetings` says.
fn cluster(programs: &[&str], meetings: &[(usize, usize)]) -> Vec<Server> {
    let servers: Vec<Server> = programs.iter().map(|program| Server::clustered(program)).collect();
    let share = 16384 / programs.len();
    for (number, server) in servers.iter().enumerate() {
        let end = if number + 1 == programs.len() { 16383 } else { share * (number + 1) - 1 };
        let command = format!("CLUSTER ADDSLOTSRANGE {} {end}", share * number);
        assert_eq!(server.client().ask(&command), "+OK\r\n");
        assert_eq!(server.client().ask(&format!("CLUSTER SET-CONFIG-EPOCH {}", number + 1)), "+OK\r\n");
    }
    for &(from, to) in meetings {
        let command = format!("CLUSTER MEET 127.0.0.1 {}", servers[to].port);
        assert_eq!(servers[from].client().ask(&command), "+OK\r\n");
    }
    wait_for("every node to see the same", || {
        let first = owners(&servers[0]);
        let is_complete = first.len() == programs.len() && first.iter().all(|owner| owner.contains('-'));
        (is_complete && servers.iter().all(|server| owners(server) == first)).then_some(())
    });
    wait_for("the cluster to be up everywhere", || servers.iter().all(is_up).then_some(()));
    servers
}

#[test]
fn nodes_meet_in_any_order_and_serve_all_clients() {
    for (programs, meetings) in [
        ([NODE, REDIS, REDIS], [(0, 1), (1, 2)]),
        ([REDIS, NODE, REDIS], [(0, 1), (2, 1)]),
        ([REDIS, REDIS, NODE], [(2, 0), (2, 1)]),
    ] {
        let servers = cluster(&programs, &meetings);
        for (number, server) in servers.iter().enumerate() {
            for key in 0..6 {
                let (key, value) = (format!("key:{number}:{key}"), format!("{number}.{key}"));
                assert_eq!(cli(server.port, &["set", &key, &value]), "OK");
                for other in &servers {
                    assert_eq!(cli(other.port, &["get", &key]), value);
                }
            }
        }
        let total: usize = servers.iter().map(|server| cli(server.port, &["dbsize"]).parse::<usize>().unwrap()).sum();
        assert_eq!(total, 18);
        let output = run("redis-cli", &["--cluster", "check", &format!("127.0.0.1:{}", servers[0].port)]);
        assert!(output.status.success(), "{}", text(&output.stdout));
    }
}

#[test]
fn redirections_and_views_are_the_same_from_every_node() {
    let servers = cluster(&[NODE, REDIS, NODE], &[(0, 1), (1, 2)]);
    let view = |server: &Server, command: &str| server.client().ask(command);
    for command in ["CLUSTER SLOTS", "CLUSTER KEYSLOT foo"] {
        let first = view(&servers[0], command);
        assert!(servers.iter().all(|server| view(server, command) == first), "{command}");
    }
    for key in ["a", "b", "c", "foo", "bar", "{tag}x"] {
        let replies: Vec<String> = servers.iter().map(|server| server.client().ask(&format!("SET {key} 1"))).collect();
        let mut kinds = replies.clone();
        kinds.sort();
        kinds.dedup();
        assert_eq!(kinds.len(), 2, "{key}: one node serves it and two point there: {replies:?}");
        let moved = kinds.iter().find(|reply| reply.starts_with("-MOVED ")).unwrap();
        let port: u16 = moved.trim().rsplit(':').next().unwrap().parse().unwrap();
        let owner = servers.iter().position(|server| server.port == port).unwrap();
        assert_eq!(replies[owner], "+OK\r\n");
    }
    for server in &servers {
        assert_eq!(view(server, "MGET a b"), "-CROSSSLOT Keys in request don't hash to the same slot\r\n");
    }
}

#[test]
fn a_node_comes_back_to_its_cluster_after_a_restart() {
    let mut servers = cluster(&[REDIS, NODE, REDIS], &[(0, 1), (1, 2)]);
    let before = owners(&servers[0]);
    let server = servers.remove(1);
    let port = server.port;
    let place = tempfile::tempdir().unwrap();
    std::fs::copy(server.nodes_file(), place.path().join("nodes.conf")).unwrap();
    assert_eq!(server.terminate().0, Some(0));
    wait_for("the others to miss it", || (!is_up(&servers[0])).then_some(()));
    let directives = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"];
    let again = Server::start_in(place, NODE, port, &directives);
    servers.push(again);
    wait_for("the cluster to be up again", || servers.iter().all(is_up).then_some(()));
    assert!(servers.iter().all(|server| owners(server) == before));
}

#[test]
fn a_member_whose_client_port_changes_is_found_at_the_new_one() {
    let mut servers = cluster(&[NODE, REDIS], &[(0, 1)]);
    let (port, bus_port) = (free_port(), servers[0].port + 10_000);
    assert_eq!(servers[0].client().ask(&format!("CONFIG SET port {port}")), "+OK\r\n");
    servers[0].port = port;
    wait_for("the other to learn of it", || {
        let nodes = servers[1].client().ask("CLUSTER NODES");
        nodes.contains(&format!("127.0.0.1:{port}@{bus_port}")).then_some(())
    });
    for key in 0..6 {
        assert_eq!(cli(servers[key % 2].port, &["set", &format!("key:{key}"), "1"]), "OK");
    }
    assert!(servers.iter().all(is_up));
}

#[test]
fn a_forgotten_node_is_gone_and_slots_move_to_the_greater_epoch() {
    let servers = cluster(&[NODE, REDIS, NODE], &[(0, 1), (1, 2)]);
    // The last node takes a slot of the first under a new epoch, and everybody follows.
    for server in [&servers[2], &servers[0]] {
        assert_eq!(server.client().ask("CLUSTER DELSLOTS 0"), "+OK\r\n");
    }
    let mut client = servers[2].client();
    assert_eq!(client.ask("CLUSTER BUMPEPOCH"), "+STILL 3\r\n");
    assert_eq!(client.ask("CLUSTER ADDSLOTS 0"), "+OK\r\n");
    let id = client.ask("CLUSTER MYID").lines().nth(1).unwrap().to_owned();
    wait_for("everybody to follow", || {
        let has_it =
            |server: &Server| owners(server).iter().any(|owner| owner.starts_with(&id) && owner.contains(" 0 "));
        servers.iter().all(has_it).then_some(())
    });
    for server in &servers[..2] {
        assert_eq!(server.client().ask(&format!("CLUSTER FORGET {id}")), "+OK\r\n");
    }
    for server in &servers[..2] {
        let nodes = server.client().ask("CLUSTER NODES");
        assert!(!nodes.contains(&id), "{nodes}");
    }
}

#[test]
fn a_recorded_run_is_what_the_core_does() {
    let traced = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--trace-file", "node.trace"];
    let (node, redis) = (Server::start(NODE, &traced), Server::clustered(REDIS));
    assert_eq!(node.client().ask("CLUSTER ADDSLOTSRANGE 0 8191"), "+OK\r\n");
    assert_eq!(redis.client().ask("CLUSTER ADDSLOTSRANGE 8192 16383"), "+OK\r\n");
    assert_eq!(redis.client().ask(&format!("CLUSTER MEET 127.0.0.1 {}", node.port)), "+OK\r\n");
    wait_for("the cluster to be up", || (is_up(&node) && is_up(&redis)).then_some(()));
    let file = std::fs::File::open(node.folder().join("node.trace")).unwrap();
    let reader = TraceReader::new(std::io::BufReader::new(file)).unwrap();
    let Header { config, origin, now, .. } = reader.header().clone();
    let (mut core, _) = Node::start(config.into(), origin, now).unwrap();
    let mut steps = 0;
    for recorded in reader.map_while(Result::ok) {
        let effects = step(&mut core, recorded.input);
        assert_eq!(
            (&effects.persist, &effects.then, &effects.rules),
            (&recorded.effects.persist, &recorded.effects.then, &recorded.effects.rules)
        );
        steps += 1;
    }
    assert!(steps > 20, "{steps} steps");
    assert_eq!(core.state(), ClusterState::Ok);
}
