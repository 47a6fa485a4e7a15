//! What comes from the network is suspicious: whatever arrives on the client port or on the bus port,
//! the node goes on and serves others.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up ends at once")]

mod support;

use slotbus_core::{
    Body, Command, Config, Effect, Event, Host, Input, LinkId, Millis, Node, NodeId, Origin, Random, step,
};
use slotbus_wire::bus;
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};
use support::{Client, NODE, PATIENCE, REDIS, Server, text, wait_for};

/// A stream of numbers that look random and are the same in every run.
fn noise(seed: u64) -> impl Iterator<Item = u8> {
    let mut state = seed | 1;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        u8::try_from(state >> 56).unwrap()
    })
}

fn bus_connection(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", server.port + 10_000)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A PING as a node would send it that this one does not know.
fn stranger_ping() -> Vec<u8> {
    let config = Config { port: 1, cport: 2, ..Config::default() };
    let (mut node, _) = Node::<16384>::start(config.into(), Origin::Fresh(NodeId([9; 20])), Millis(0)).unwrap();
    let mut feed = |now, event| step(&mut node, Input { now: Millis(now), random: Random::new(1), event });
    let localhost: Host = "127.0.0.1".parse().unwrap();
    let command = Command::Meet { host: localhost.clone(), port: 3, cport: 4 };
    let _ = feed(1, Event::Admin { request: Default::default(), command });
    let _ = feed(200, Event::Tick);
    let link = LinkId::Outbound(0);
    let effects = feed(201, Event::LinkUp { link, local: localhost.clone(), remote: localhost });
    let message = effects
        .then
        .into_iter()
        .find_map(|effect| if let Effect::Send { message, .. } = effect { Some(message) } else { None });
    let mut message = message.expect("a link that comes up is greeted");
    message.body = Body::Ping(Default::default());
    let mut bytes = Vec::new();
    bus::encode(&message, &mut bytes);
    bytes
}

/// The next packet on a bus connection.
fn packet(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        if let Some(length) = bus::frame(&bytes).unwrap() {
            bytes.truncate(length);
            return bytes;
        }
        let count = stream.read(&mut chunk).expect("a packet arrives");
        assert!(count > 0, "the bus connection ended");
        bytes.extend_from_slice(&chunk[..count]);
    }
}

/// The node answers a new client, an old client, and a peer on an old link.
fn check_alive(server: &Server, old: &mut Client, link: &mut TcpStream) {
    assert_eq!(server.client().ask("GET a"), "$1\r\n1\r\n");
    assert_eq!(old.ask("PING"), "+PONG\r\n");
    link.write_all(&stranger_ping()).unwrap();
    assert!(bus::decode(&packet(link)).is_ok());
}

fn started() -> (Server, Client, TcpStream) {
    let server = Server::alone(NODE);
    let mut client = server.client();
    assert_eq!(client.ask("SET a 1"), "+OK\r\n");
    let link = bus_connection(&server);
    (server, client, link)
}

#[test]
fn noise_on_the_client_port_harms_nobody() {
    let (server, mut old, mut link) = started();
    for seed in 1..60 {
        let bytes: Vec<u8> = noise(seed).take(5000).collect();
        for prefix in [b"".as_slice(), b"*3\r\n$3\r\n", b"*1000\r\n$5\r\n", b"*2147483647\r\n$536870912\r\n"] {
            let mut client = server.client();
            client.try_send(&[prefix, &bytes].concat());
        }
    }
    check_alive(&server, &mut old, &mut link);
}

#[test]
fn noise_on_the_bus_port_harms_nobody() {
    let (server, mut old, mut link) = started();
    for seed in 1..60 {
        let bytes: Vec<u8> = noise(seed).take(5000).collect();
        for prefix in [b"".as_slice(), b"RCmb", b"RCmb\xff\xff\xff\xff", b"RCmb\0\0\0\0", b"RCmb\0\0\x08\xd0\0\x01"] {
            let mut stream = bus_connection(&server);
            let _ = stream.write_all(&[prefix, &bytes].concat());
        }
    }
    check_alive(&server, &mut old, &mut link);
    assert!(server.log().contains("Bad message length or signature received from Cluster bus."), "{}", server.log());
}

#[test]
fn a_packet_with_any_byte_changed_harms_nobody() {
    let (server, mut old, mut link) = started();
    let sound = stranger_ping();
    for seed in 1..400 {
        let mut bytes = sound.clone();
        for pair in noise(seed).take(8).collect::<Vec<_>>().chunks(2) {
            let at = usize::from(pair[0]) * bytes.len() / 256;
            bytes[at] = pair[1];
        }
        let mut stream = bus_connection(&server);
        let _ = stream.write_all(&bytes);
    }
    check_alive(&server, &mut old, &mut link);
}

#[test]
fn a_packet_that_never_ends_waits_alone() {
    let (server, mut old, mut link) = started();
    let sound = stranger_ping();
    let mut streams: Vec<TcpStream> = [1, 4, 8, 12, 16, 100, 2255]
        .into_iter()
        .map(|length| {
            let mut stream = bus_connection(&server);
            stream.write_all(&sound[..length]).unwrap();
            stream
        })
        .collect();
    let mut slow = server.client();
    slow.send(b"*2\r\n$3\r\nGET\r\n$1");
    check_alive(&server, &mut old, &mut link);
    // The rest makes them whole again.
    slow.send(b"\r\na\r\n");
    assert_eq!(text(&slow.reply().unwrap()), "$1\r\n1\r\n");
    let last = streams.last_mut().unwrap();
    last.write_all(&sound[2255..]).unwrap();
    assert!(bus::decode(&packet(last)).is_ok());
}

#[test]
fn a_malformed_packet_costs_itself_only() {
    let (server, _, mut link) = started();
    let mut bad = stranger_ping();
    // It claims one gossip entry and carries none.
    bad[14..16].copy_from_slice(&1_u16.to_be_bytes());
    link.write_all(&[bad, stranger_ping()].concat()).unwrap();
    assert!(bus::decode(&packet(&mut link)).is_ok(), "the link is kept, and the next packet answered");
    let info = server.client().ask("CLUSTER INFO");
    assert!(info.contains("cluster_stats_messages_ping_received:2"), "both are counted: {info}");
}

#[test]
fn a_client_that_does_not_read_does_not_fill_the_memory() {
    let (server, mut old, mut link) = started();
    let big = vec![b'x'; 1 << 20];
    old.send_request(&[b"SET", b"{a}big", &big]);
    assert_eq!(old.reply().unwrap(), b"+OK\r\n");
    let resident = |client: &mut Client| -> u64 {
        let info = client.ask("INFO memory");
        let line = info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap().to_owned();
        line.parse().unwrap()
    };
    let before = resident(&mut old);
    let mut deaf = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    deaf.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    for _ in 0..2000 {
        if deaf.write_all(b"GET {a}big\r\n").is_err() {
            break;
        }
    }
    check_alive(&server, &mut old, &mut link);
    let grown = resident(&mut old).saturating_sub(before);
    assert!(grown < 64 << 20, "2000 MB were asked for, and memory grew by {grown} bytes");
    // Once it reads, it gets everything that it asked for.
    let mut bytes = 0;
    let mut chunk = vec![0; 1 << 20];
    deaf.set_read_timeout(Some(PATIENCE)).unwrap();
    while bytes < 100 << 20 {
        bytes += deaf.read(&mut chunk).unwrap();
    }
}

#[test]
fn a_client_that_reads_too_little_is_closed_where_there_is_a_limit() {
    const BIG: usize = 24 << 20;
    for program in [NODE, REDIS] {
        let limits = ["--client-output-buffer-limit", "normal 8mb 0 0 pubsub 0 64kb 1"];
        let server = Server::start(program, &limits);
        let mut client = server.client();
        client.send_request(&[b"SET", b"big", &vec![b'v'; BIG]]);
        assert_eq!(client.reply().unwrap(), b"+OK\r\n");
        let mut listeners = [server.client(), server.client()];
        for listener in &mut listeners {
            listener.send(b"SUBSCRIBE news\r\n");
            assert!(listener.reply().unwrap().ends_with(b":1\r\n"));
        }
        let mut deaf = server.client();
        deaf.send(b"GET big\r\n");
        let [deaf_listener, reader] = &mut listeners;
        let news = vec![b'n'; 4 << 20];
        for _ in 0..4 {
            client.send_request(&[b"PUBLISH", b"news", &news]);
            assert_eq!(client.reply().unwrap(), b":2\r\n");
            assert!(reader.reply().unwrap().len() > news.len());
        }
        let closed = "for overcoming of output buffer limits.";
        let is_closed = || server.log().matches(closed).count() == 2;
        wait_for(&format!("{program} to close both"), || is_closed().then_some(()));
        assert!(deaf.rest().len() < BIG && deaf_listener.rest().len() < 4 * news.len(), "{program}");
        client.send_request(&[b"PUBLISH", b"news", b"x"]);
        assert_eq!(client.reply().unwrap(), b":1\r\n", "who reads is kept");
    }
}

#[test]
fn a_request_that_grows_without_end_is_cut_off() {
    let (server, mut old, mut link) = started();
    assert_eq!(old.ask("CONFIG SET client-query-buffer-limit 1048576"), "+OK\r\n");
    let mut endless = server.client();
    endless.send(b"*2\r\n$3\r\nGET\r\n$500000000\r\n");
    let chunk = vec![b'x'; 1 << 16];
    let taken = (0..1000).take_while(|_| endless.try_send(&chunk)).count();
    assert!(taken < 1000, "64 MB were taken");
    check_alive(&server, &mut old, &mut link);
}

#[test]
fn too_many_clients_are_turned_away_with_a_word() {
    let server = Server::start(NODE, &["--maxclients", "10"]);
    let mut first = server.client();
    assert_eq!(first.ask("PING"), "+PONG\r\n");
    let crowd: Vec<Client> = (0..9).map(|_| server.client()).collect();
    wait_for("the crowd", || first.ask("INFO clients").contains("connected_clients:10\r\n").then_some(()));
    let mut late = server.client();
    assert_eq!(text(&late.rest()), "-ERR max number of clients reached\r\n");
    assert_eq!(first.ask("PING"), "+PONG\r\n");
    drop(crowd);
    wait_for("room", || {
        let mut again = server.client();
        (again.try_send(b"PING\r\n") && again.reply().is_some_and(|reply| reply == b"+PONG\r\n")).then_some(())
    });
}

#[test]
fn a_silent_client_is_closed_and_a_killed_one_too() {
    let server = Server::start(NODE, &["--timeout", "1"]);
    let mut silent = server.client();
    assert_eq!(silent.ask("PING"), "+PONG\r\n");
    assert_eq!(silent.rest(), b"");
    let (mut killer, mut victim) = (server.client(), server.client());
    let id = victim.ask("CLIENT ID").trim().replace(':', "");
    assert_eq!(killer.ask(&format!("CLIENT KILL ID {id}")), ":1\r\n");
    assert_eq!(victim.rest(), b"");
    assert_eq!(killer.ask("CLIENT KILL TYPE normal SKIPME no"), ":1\r\n");
    assert_eq!(killer.rest(), b"");
}

#[test]
fn a_long_pipeline_is_answered_in_order() {
    let (server, ..) = started();
    let mut client = server.client();
    let count = 50_000;
    let requests: Vec<u8> = (0..count).flat_map(|number| format!("ECHO {number}\r\n").into_bytes()).collect();
    let mut writer = client.writer();
    let sender = std::thread::spawn(move || writer.write_all(&requests).unwrap());
    for number in 0..count {
        let number = number.to_string();
        assert_eq!(text(&client.reply().unwrap()), format!("${}\r\n{number}\r\n", number.len()));
    }
    sender.join().unwrap();
}

#[test]
fn replies_larger_than_the_output_may_hold_come_one_after_the_other() {
    let (server, ..) = started();
    let mut client = server.client();
    let value = vec![b'x'; 700 << 10];
    client.send_request(&[b"SET", b"a", &value]);
    assert_eq!(client.reply().unwrap(), b"+OK\r\n");
    let mut writer = client.writer();
    writer.write_all(&b"GET a\r\n".repeat(64)).unwrap();
    for _ in 0..64 {
        assert_eq!(client.reply().unwrap().len(), value.len() + "$716800\r\n\r\n".len());
    }
}

#[test]
fn large_values_go_in_and_out() {
    let (server, ..) = started();
    let mut client = server.client();
    let value: Vec<u8> = noise(7).take(20 << 20).collect();
    client.send_request(&[b"SET", b"a", &value]);
    assert_eq!(client.reply().unwrap(), b"+OK\r\n");
    client.send_request(&[b"GET", b"a"]);
    let reply = client.reply().unwrap();
    assert!(reply[..reply.len() - 2].ends_with(&value));
}

#[test]
fn who_says_the_last_word_and_ends_gets_the_reply_and_the_end() {
    let server = Server::start(NODE, &[]);
    for _ in 0..20 {
        let mut client = server.client();
        let mut writer = client.writer();
        writer.write_all(b"PING\r\n").unwrap();
        writer.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(client.reply().as_deref(), Some(b"+PONG\r\n".as_slice()));
        assert_eq!(client.reply(), None);
    }
    wait_for("nobody else to be there", || {
        let info = server.client().ask("INFO clients");
        info.contains("connected_clients:1\r\n").then_some(())
    });
}
