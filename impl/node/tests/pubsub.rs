//! Channels: the same bytes as from redis-server, and messages that cross the bus in both directions.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up ends at once")]

mod support;

use support::{Client, NODE, REDIS, Server, text, wait_for};

/// What two clients of one server see: a line that begins with `2 ` is the second one's.
/// `+` stands for one more message to a client.
fn dialogue(server: &Server, lines: &[&str]) -> Vec<String> {
    let mut clients = [server.client(), server.client()];
    let mut seen = Vec::new();
    for line in lines {
        let (client, rest) = match line.strip_prefix("2 ") {
            Some(rest) => (&mut clients[1], rest),
            None => (&mut clients[0], *line),
        };
        let reply = match rest {
            "+" => text(&client.reply().unwrap()),
            rest => client.ask(rest),
        };
        seen.push(format!("{line} => {reply}"));
    }
    seen
}

fn assert_same(lines: &[&str]) {
    let (ours, theirs) = (dialogue(&Server::alone(NODE), lines), dialogue(&Server::alone(REDIS), lines));
    let differences: Vec<_> = ours.iter().zip(&theirs).filter(|(ours, theirs)| ours != theirs).collect();
    assert!(differences.is_empty(), "{differences:#?}");
}

#[test]
fn listeners_in_the_older_protocol_see_the_same() {
    assert_same(&[
        "subscribe",
        "unsubscribe",
        "unsubscribe a",
        "punsubscribe",
        "sunsubscribe",
        "subscribe a b",
        "+",
        "subscribe a",
        "get a",
        "publish a b",
        "ping",
        "ping x",
        "psubscribe a*",
        "psubscribe z*",
        "ssubscribe {a}s",
        "ssubscribe a b",
        "2 publish a hello",
        "+",
        "+",
        "2 publish zzz hello",
        "+",
        "2 spublish {a}s hi",
        "+",
        "2 spublish nosuch hi",
        "2 publish a",
        "2 pubsub channels a",
        "2 pubsub channels x*",
        "2 pubsub channels a b",
        "2 pubsub numsub a b c",
        "2 pubsub numsub",
        "2 pubsub numpat",
        "2 pubsub numpat x",
        "2 pubsub shardchannels",
        "2 pubsub shardchannels x",
        "2 pubsub shardnumsub {a}s a",
        "2 pubsub",
        "2 pubsub foo",
        "unsubscribe a",
        "unsubscribe nosuch",
        "unsubscribe",
        "punsubscribe a*",
        "punsubscribe",
        "get a",
        "sunsubscribe",
        "get a",
        "subscribe a",
        "reset",
        "get a",
        "2 pubsub channels",
    ]);
}

#[test]
fn listeners_in_the_newer_protocol_see_the_same() {
    assert_same(&["hello 3 setname x foo", "client reply on", "2 hello 9"]);
    let lines = [
        "subscribe a",
        "publish a hello",
        "+",
        "get a",
        "ping",
        "2 publish a hello",
        "+",
        "unsubscribe a",
        "unsubscribe",
        "multi",
        "subscribe x",
        "publish x 1",
        "discard",
        "ssubscribe a",
        "spublish a 5",
        "+",
        "sunsubscribe",
    ];
    let of = |program| {
        let server = Server::alone(program);
        let mut clients = [server.client(), server.client()];
        clients[0].ask("HELLO 3");
        let mut seen = Vec::new();
        for line in lines {
            let (client, rest): (&mut Client, _) = match line.strip_prefix("2 ") {
                Some(rest) => (&mut clients[1], rest),
                None => (&mut clients[0], line),
            };
            let reply = if rest == "+" { text(&client.reply().unwrap()) } else { client.ask(rest) };
            seen.push(format!("{line} => {reply}"));
        }
        seen
    };
    let (ours, theirs) = (of(NODE), of(REDIS));
    let differences: Vec<_> = ours.iter().zip(&theirs).filter(|(ours, theirs)| ours != theirs).collect();
    assert!(differences.is_empty(), "{differences:#?}");
}

#[test]
fn messages_cross_the_bus_in_both_directions() {
    let servers = [Server::clustered(NODE), Server::clustered(REDIS)];
    for (server, range) in servers.iter().zip(["0 8191", "8192 16383"]) {
        assert_eq!(server.client().ask(&format!("CLUSTER ADDSLOTSRANGE {range}")), "+OK\r\n");
    }
    assert_eq!(servers[1].client().ask("CLUSTER SET-CONFIG-EPOCH 2"), "+OK\r\n");
    assert_eq!(servers[0].client().ask(&format!("CLUSTER MEET 127.0.0.1 {}", servers[1].port)), "+OK\r\n");
    let is_up = |server: &Server| server.client().ask("CLUSTER INFO").contains("cluster_state:ok");
    wait_for("the cluster to be up", || servers.iter().all(is_up).then_some(()));
    for (from, to) in [(0, 1), (1, 0)] {
        let mut listener = servers[to].client();
        listener.ask("SUBSCRIBE news");
        assert_eq!(servers[from].client().ask("PUBLISH news hello"), ":0\r\n");
        assert_eq!(text(&listener.reply().unwrap()), "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$5\r\nhello\r\n");
    }
    // The slot of "b" is 3300, the node's own; the channel ends with the slot's move.
    let mut listener = servers[0].client();
    assert!(listener.ask("SSUBSCRIBE b").contains("ssubscribe"));
    assert!(servers[1].client().ask("SSUBSCRIBE b").starts_with("-MOVED 3300 "));
    let id = servers[1].client().ask("CLUSTER MYID").lines().nth(1).unwrap().to_owned();
    assert_eq!(servers[0].client().ask(&format!("CLUSTER SETSLOT 3300 NODE {id}")), "+OK\r\n");
    assert_eq!(text(&listener.reply().unwrap()), "*3\r\n$12\r\nsunsubscribe\r\n$1\r\nb\r\n:0\r\n");
    assert_eq!(listener.ask("PUBSUB SHARDCHANNELS"), "*0\r\n");
}

#[test]
fn a_listener_that_does_not_read_is_cut_off() {
    let server = Server::start(NODE, &["--client-output-buffer-limit", "pubsub", "1mb", "0", "0"]);
    let mut deaf = server.client();
    deaf.ask("SUBSCRIBE a");
    let mut speaker = server.client();
    let payload = "x".repeat(100_000);
    wait_for("the listener to be cut off", || {
        speaker.ask(&format!("PUBLISH a {payload}"));
        speaker.ask("PUBSUB NUMSUB a").ends_with(":0\r\n").then_some(())
    });
}
