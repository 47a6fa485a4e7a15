//! nodes.conf between a real redis-server and us, both ways: each loads what the other wrote, and
//! sees the same cluster in it.

use crate::server::{BUS_OFFSET, Directory, Server, free_port, read_until};
use slotbus_core::{Address, Durable, Flags, Host, Millis, NodeId, NodeView, Slot, SlotSet};
use slotbus_wire::nodes_conf;
use std::{collections::BTreeSet, fs};

/// The lines of CLUSTER NODES without what changes from moment to moment: times and link states.
fn lasting(nodes: &str) -> BTreeSet<String> {
    let lasting_words = |line: &str| {
        let is_lasting = |&(place, _): &(usize, &str)| !matches!(place, 4 | 5 | 7);
        let words = line.split(' ').enumerate().filter(is_lasting).map(|(_, word)| word);
        words.collect::<Vec<_>>().join(" ")
    };
    let is_node = |line: &&str| !line.starts_with("vars ") && !line.is_empty();
    nodes.lines().filter(is_node).map(lasting_words).collect()
}

#[test]
fn a_file_of_redis_server_is_read_and_written_again() {
    let ports = [free_port(), free_port(), free_port()];
    let directories = ports.map(Directory::new);
    let hostname = ["--cluster-announce-hostname", "host-1.example.org"];
    let server = Server::start(&directories[0], ports[0], &hostname);
    let second = Server::start(&directories[1], ports[1], &[]);
    let third = Server::start(&directories[2], ports[2], &[]);
    server.ask("CLUSTER ADDSLOTSRANGE 0 99 101 200 16383 16383");
    second.ask("CLUSTER ADDSLOTSRANGE 100 100 201 5000");
    for port in &ports[1..] {
        server.ask(&format!("CLUSTER MEET 127.0.0.1 {port}"));
    }
    let second_id = second.ask("CLUSTER MYID");
    third.ask_until("CLUSTER NODES", |nodes| nodes.contains(&second_id) && !nodes.contains("handshake"));
    third.ask(&format!("CLUSTER REPLICATE {second_id}"));
    server.ask_until("CLUSTER NODES", |nodes| nodes.contains(" slave ") && nodes.contains("201-5000"));
    server.ask(&format!("CLUSTER SETSLOT 5 MIGRATING {second_id}"));
    server.ask(&format!("CLUSTER SETSLOT 7 MIGRATING {second_id}"));
    server.ask(&format!("CLUSTER SETSLOT 100 IMPORTING {second_id}"));
    server.ask("CLUSTER BUMPEPOCH");
    server.ask("CLUSTER SAVECONFIG");

    let nodes = server.ask("CLUSTER NODES");
    let text = read_until(&directories[0].nodes_conf(), |text| lasting(text) == lasting(&nodes));
    let durable = nodes_conf::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(durable.nodes.len(), 3);
    assert_eq!((durable.migrating.len(), durable.importing.len()), (2, 1));
    assert!(durable.nodes.iter().any(|node| node.flags == Flags::REPLICA && node.primary.is_some()));
    let padding = text.trim_end().len() + 1..;
    assert!(text[padding].bytes().all(|byte| byte == b'\n'));
    let ours = nodes_conf::write(&durable);
    assert_eq!(ours, text.trim_end().to_owned() + "\n");

    // Nobody is left to tell the next server anything that the file does not.
    drop((server, second, third));
    fs::write(directories[0].nodes_conf(), &ours).expect("written");
    let server = Server::start(&directories[0], ports[0], &hostname);
    assert_eq!(lasting(&server.ask("CLUSTER NODES")), lasting(&nodes));
}

fn node(byte: u8, flags: Flags) -> NodeView<16384> {
    NodeView {
        id: NodeId([byte; 20]),
        address: Address { host: "127.0.0.1".parse().unwrap_or_default(), port: 1, cport: 2, pport: 0 },
        hostname: "".into(),
        flags,
        primary: None,
        ping_sent: None,
        pong_received: None,
        config_epoch: u64::from(byte),
        connected: false,
        slots: SlotSet::new(),
    }
}

#[test]
fn a_file_of_ours_is_loaded_by_redis_server() {
    let port = free_port();
    let mut own = node(1, Flags::MYSELF | Flags::PRIMARY);
    own.address = Address { port, cport: port + BUS_OFFSET, ..own.address };
    own.slots = (0..16384).step_by(2).map(Slot).collect();
    let mut primary = node(2, Flags::PRIMARY);
    primary.hostname = "host-2.example.org".into();
    primary.address.host = "::1".parse().unwrap_or_default();
    primary.slots = SlotSet::range(1, 1);
    let mut failed = node(3, Flags::PRIMARY | Flags::FAIL | Flags::NOFAILOVER);
    failed.pong_received = Some(Millis(1_500_000_000_000));
    let mut replica = node(4, Flags::REPLICA | Flags::PFAIL);
    replica.primary = Some(primary.id);
    replica.config_epoch = primary.config_epoch;
    let mut gone = node(5, Flags::PRIMARY | Flags::NOADDR);
    gone.address = Address { host: Host::Unknown, port: 0, cport: 0, pport: 0 };
    let bare = node(6, Flags::empty());
    let durable = Durable {
        migrating: [(Slot(2), primary.id), (Slot(10), failed.id)].into(),
        importing: [(Slot(1), primary.id)].into(),
        nodes: vec![own, primary, failed, replica, gone, bare],
        current_epoch: 9,
        last_vote_epoch: 8,
    };

    let directory = Directory::new(port);
    let ours = nodes_conf::write(&durable);
    fs::write(directory.nodes_conf(), &ours).expect("written");
    let server = Server::start(&directory, port, &[]);
    assert_eq!(lasting(&server.ask("CLUSTER NODES")), lasting(&ours));
    server.ask("CLUSTER SAVECONFIG");
    let theirs = fs::read_to_string(directory.nodes_conf()).expect("read");
    let read = nodes_conf::parse(theirs.as_bytes()).unwrap_or_else(|error| panic!("{error}: {theirs}"));
    assert_eq!((read.current_epoch, read.last_vote_epoch), (9, 8));
    assert_eq!((&read.migrating, &read.importing), (&durable.migrating, &durable.importing));
}

#[test]
fn what_redis_server_refuses_is_refused() {
    let port = free_port();
    let good = format!("{} 127.0.0.1:{port}@{} myself,master - 0 0 1 connected", NodeId([1; 20]), port + BUS_OFFSET);
    let bad_files = [
        "\n\n".to_owned(),
        good.replace("myself,", "") + "\n",
        good[..80].to_owned() + "\n",
        good.replacen('0', "O", 1) + "\n",
        good.replacen(":", ";", 1) + "\n",
        good.clone() + " 16384\n",
        good.clone() + " 5-16384\n",
        good.clone() + " [16384->-" + &"0".repeat(40) + "]\n",
        good.clone() + " [5->-0000]\n",
        good.clone() + " \"5\n",
        good + "\nvars currentEpoch\n",
    ];
    for text in bad_files {
        let directory = Directory::new(port);
        fs::write(directory.nodes_conf(), &text).expect("written");
        let (status, log) = Server::refuse(&directory, port);
        assert!(!status.success() && log.contains("corrupted cluster config file"), "{text}: {log}");
        nodes_conf::parse(text.as_bytes()).expect_err(&text);
    }
}
