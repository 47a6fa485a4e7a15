//! What a real redis-server puts on the bus: a scripted peer makes it send most kinds of message,
//! understands each, and can write each again byte for byte.

use crate::server::{BUS_OFFSET, Directory, PATIENCE, Server, free_port};
use slotbus_core::{
    Address, ClusterState, Flags, NodeId, SlotSet,
    message::{Body, Extension, GossipEntry, Header, Heartbeat, MessageFlags, Publication},
};
use slotbus_wire::bus::{self, BusMessage, Packet};
use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

const PEER: NodeId = NodeId([0x5c; 20]);

/// One connection of the bus, read packet by packet.
struct Link {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Link {
    fn new(stream: TcpStream) -> Self {
        stream.set_nonblocking(true).expect("a non-blocking socket");
        Self { stream, buffer: Vec::new() }
    }

    fn send(&mut self, message: &BusMessage) {
        let mut packet = Vec::new();
        bus::encode(message, &mut packet);
        // Far less than a socket buffer holds.
        self.stream.write_all(&packet).expect("sent");
    }

    /// The next message, if all of it has come.
    fn receive(&mut self) -> Option<BusMessage> {
        let mut chunk = [0; 4096];
        if let Ok(length) = self.stream.read(&mut chunk) {
            self.buffer.extend(&chunk[..length]);
        }
        let length = bus::frame(&self.buffer).expect("a stream of packets")?;
        let packet: Vec<u8> = self.buffer.drain(..length).collect();
        let message = match bus::decode(&packet) {
            Ok(Packet::Full(message)) => message,
            other => panic!("{other:?}"),
        };
        let mut again = Vec::new();
        bus::encode(&message, &mut again);
        assert!(again == packet, "not written as it was received: {message:?}");
        Some(message)
    }
}

/// A primary that exists only in this test: it answers as one, and sends what it is told to.
struct ScriptedPeer {
    port: u16,
    listener: TcpListener,
    links: Vec<Link>,
    slots: SlotSet<16384>,
    kinds: BTreeSet<&'static str>,
}

impl ScriptedPeer {
    fn new() -> Self {
        let port = free_port();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port + BUS_OFFSET)).expect("a bus port");
        listener.set_nonblocking(true).expect("a non-blocking listener");
        Self { port, listener, links: Vec::new(), slots: SlotSet::new(), kinds: BTreeSet::new() }
    }

    fn message(&self, body: Body<16384>) -> BusMessage {
        let has_extensions = matches!(&body, Body::Ping(heartbeat) if !heartbeat.extensions.is_empty());
        let header = Header {
            sender: PEER,
            current_epoch: 1,
            config_epoch: 1,
            offset: 0,
            slots: self.slots.clone(),
            primary: None,
            address: Address {
                host: Ipv4Addr::LOCALHOST.to_string().parse().unwrap_or_default(),
                port: self.port,
                cport: self.port + BUS_OFFSET,
                pport: 0,
            },
            flags: Flags::PRIMARY | Flags::MYSELF,
            state: ClusterState::Ok,
            mflags: if has_extensions { MessageFlags::EXTENSIONS } else { MessageFlags::empty() },
        };
        BusMessage { header, body }
    }

    /// Opens this peer's own link to a server, and PINGs over it.
    fn ping(&mut self, server: &Server, heartbeat: Heartbeat) {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port + BUS_OFFSET)).expect("the bus");
        let mut link = Link::new(stream);
        link.send(&self.message(Body::Ping(heartbeat)));
        self.links.push(link);
    }

    /// Answers what has to be answered until a message comes that is wanted.
    fn receive(&mut self, what: &str, mut is_wanted: impl FnMut(&BusMessage) -> bool) -> BusMessage {
        let deadline = Instant::now() + PATIENCE;
        let pong = self.message(Body::Pong(Heartbeat::default()));
        loop {
            if let Ok((stream, _)) = self.listener.accept() {
                self.links.push(Link::new(stream));
            }
            for link in &mut self.links {
                let Some(message) = link.receive() else { continue };
                if matches!(message.body, Body::Ping(_) | Body::Meet(_)) {
                    link.send(&pong);
                }
                self.kinds.insert(message.body.name());
                if is_wanted(&message) {
                    return message;
                }
            }
            assert!(Instant::now() < deadline, "no {what} came");
            thread::sleep(Duration::from_millis(2));
        }
    }
}

fn gossip(message: &BusMessage, node: NodeId) -> Option<&GossipEntry> {
    message.heartbeat()?.gossip.iter().find(|entry| entry.node == node)
}

#[test]
fn every_packet_of_a_redis_server_is_read_and_written_again() {
    let ports = [free_port(), free_port()];
    let directories = ports.map(Directory::new);
    let timeout = ["--cluster-node-timeout", "1500"];
    let options = [&timeout[..], &["--cluster-announce-hostname", "host-1.example.org"]].concat();
    let server = Server::start(&directories[0], ports[0], &options);
    let victim = Server::start(&directories[1], ports[1], &timeout);
    let id: NodeId = server.ask("CLUSTER MYID").parse().expect("an id");
    let victim_id: NodeId = victim.ask("CLUSTER MYID").parse().expect("an id");
    server.ask("CLUSTER SET-CONFIG-EPOCH 5");
    server.ask("CLUSTER ADDSLOTSRANGE 0 99 16383 16383");

    let mut peer = ScriptedPeer::new();
    server.ask(&format!("CLUSTER MEET 127.0.0.1 {}", peer.port));
    let meet = peer.receive("MEET", |message| matches!(message.body, Body::Meet(_)));
    assert_eq!(meet.header.sender, id);
    assert_eq!((meet.header.current_epoch, meet.header.config_epoch), (5, 5));
    assert_eq!(meet.header.slots.to_string(), "0-99 16383");
    assert_eq!((meet.header.address.port, meet.header.address.cport), (ports[0], ports[0] + BUS_OFFSET));
    assert!(meet.header.flags.contains(Flags::PRIMARY | Flags::MYSELF));
    let hostname = Extension::Hostname("host-1.example.org".into());
    assert_eq!(meet.heartbeat().map(|heartbeat| &heartbeat.extensions), Some(&vec![hostname]));

    // The server took our PONG for what it is: it knows us by our own id.
    peer.receive("PING", |message| matches!(message.body, Body::Ping(_)));
    let nodes = server.ask("CLUSTER NODES");
    assert!(nodes.contains(&format!("{PEER} 127.0.0.1:{}@{} master", peer.port, peer.port + BUS_OFFSET)), "{nodes}");

    server.ask(&format!("CLUSTER MEET 127.0.0.1 {}", ports[1]));
    let told = peer.receive("gossip of a third node", |message| gossip(message, victim_id).is_some());
    let entry = gossip(&told, victim_id).expect("just seen");
    assert_eq!((entry.address.port, entry.address.cport), (ports[1], ports[1] + BUS_OFFSET));
    assert!(entry.pong_received_s > 1_500_000_000);

    // It reads our extensions and answers on the link that we opened.
    let extensions = vec![Extension::Other { kind: 77, payload: vec![7; 16] }, Extension::Hostname("peer".into())];
    peer.ping(&server, Heartbeat { gossip: vec![], extensions });
    peer.receive("PONG", |message| matches!(message.body, Body::Pong(_)));
    let nodes = server.ask("CLUSTER NODES");
    assert!(nodes.contains(&format!("@{},peer master", peer.port + BUS_OFFSET)), "{nodes}");

    server.ask("PUBLISH channel payload");
    let published = Publication { channel: b"channel".into(), payload: b"payload".into() };
    peer.receive("PUBLISH", |message| message.body == Body::Publish(published.clone()));

    // An old claim to slots of its own: it answers with its newer one.
    peer.slots = SlotSet::range(0, 9);
    peer.ping(&server, Heartbeat::default());
    let update = peer.receive("UPDATE", |message| matches!(message.body, Body::Update(_)));
    assert!(matches!(&update.body, Body::Update(claim) if claim.node == id && claim.slots == meet.header.slots));
    peer.slots = SlotSet::new();

    // A node dies, and our word for it makes a majority.
    let address = entry.address.clone();
    drop(victim);
    peer.receive("suspicion", |message| {
        gossip(message, victim_id).is_some_and(|entry| entry.flags.contains(Flags::PFAIL))
    });
    let suspicion = GossipEntry {
        node: victim_id,
        ping_sent_s: 1,
        pong_received_s: 1,
        address,
        flags: Flags::PRIMARY | Flags::PFAIL,
    };
    peer.ping(&server, Heartbeat { gossip: vec![suspicion], extensions: vec![] });
    peer.receive("FAIL", |message| message.body == Body::Fail(victim_id));

    assert_eq!(peer.kinds, ["fail", "meet", "ping", "pong", "publish", "update"].into());
}
