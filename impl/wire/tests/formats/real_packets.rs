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
    primary: Option<NodeId>,
    epoch: u64,
    kinds: BTreeSet<&'static str>,
}

impl ScriptedPeer {
    fn new() -> Self {
        let port = free_port();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port + BUS_OFFSET)).expect("a bus port");
        listener.set_nonblocking(true).expect("a non-blocking listener");
        let (links, slots, primary, epoch, kinds) = Default::default();
        Self { port, listener, links, slots, primary, epoch, kinds }
    }

    fn message(&self, body: Body<16384>) -> BusMessage {
        let has_extensions = matches!(&body, Body::Ping(heartbeat) if !heartbeat.extensions.is_empty());
        let is_forced = body == Body::FailoverAuthRequest;
        let mut mflags = MessageFlags::empty();
        mflags.set(MessageFlags::EXTENSIONS, has_extensions);
        mflags.set(MessageFlags::FORCEACK, is_forced);
        let header = Header {
            sender: PEER,
            current_epoch: self.epoch,
            config_epoch: self.epoch,
            offset: 0,
            slots: self.slots.clone(),
            primary: self.primary,
            address: Address {
                host: Ipv4Addr::LOCALHOST.to_string().parse().unwrap_or_default(),
                port: self.port,
                cport: self.port + BUS_OFFSET,
                pport: 0,
            },
            flags: Flags::MYSELF | if self.primary.is_some() { Flags::REPLICA } else { Flags::PRIMARY },
            state: ClusterState::Ok,
            mflags,
        };
        BusMessage { header, body }
    }

    /// Opens a link of this peer's own to a server, and sends one message over it.
    fn send(&mut self, server: &Server, body: Body<16384>) {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port + BUS_OFFSET)).expect("the bus");
        let mut link = Link::new(stream);
        link.send(&self.message(body));
        self.links.push(link);
    }

    fn ping(&mut self, server: &Server) {
        self.send(server, Body::Ping(Heartbeat::default()));
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
    server.ask("CLUSTER ADDSLOTSRANGE 0 99 101 16383");

    let mut peer = ScriptedPeer::new();
    peer.epoch = 1;
    server.ask(&format!("CLUSTER MEET 127.0.0.1 {}", peer.port));
    let meet = peer.receive("MEET", |message| matches!(message.body, Body::Meet(_)));
    assert_eq!(meet.header.sender, id);
    assert_eq!((meet.header.current_epoch, meet.header.config_epoch), (5, 5));
    assert_eq!(meet.header.slots.to_string(), "0-99 101-16383");
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
    peer.send(&server, Body::Ping(Heartbeat { gossip: vec![], extensions }));
    peer.receive("PONG", |message| matches!(message.body, Body::Pong(_)));
    let nodes = server.ask("CLUSTER NODES");
    assert!(nodes.contains(&format!("@{},peer master", peer.port + BUS_OFFSET)), "{nodes}");

    server.ask("PUBLISH channel payload");
    let published = Publication { channel: b"channel".into(), payload: b"payload".into() };
    peer.receive("PUBLISH", |message| message.body == Body::Publish(published.clone()));

    // An old claim to slots of its own: it answers with its newer one.
    peer.slots = SlotSet::range(0, 9);
    peer.ping(&server);
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
    peer.send(&server, Body::Ping(Heartbeat { gossip: vec![suspicion], extensions: vec![] }));
    peer.receive("FAIL", |message| message.body == Body::Fail(victim_id));

    // As a replica of the dead node we ask for a vote.
    peer.primary = Some(victim_id);
    peer.epoch = 6;
    peer.ping(&server);
    server.ask_until("CLUSTER NODES", |nodes| nodes.contains(&format!("slave {victim_id}")));
    peer.send(&server, Body::FailoverAuthRequest);
    let vote = peer.receive("vote", |message| message.body == Body::FailoverAuthAck);
    assert_eq!((vote.header.sender, vote.header.current_epoch), (id, 6));

    // As its own replica we are of its shard.
    peer.primary = Some(id);
    peer.ping(&server);
    server.ask_until("CLUSTER NODES", |nodes| nodes.contains(&format!("slave {id}")));
    server.ask("SPUBLISH channel payload");
    peer.receive("PUBLISHSHARD", |message| message.body == Body::PublishShard(published.clone()));

    let kinds = ["auth-ack", "fail", "meet", "ping", "pong", "publish", "publishshard", "update"];
    assert_eq!(peer.kinds, kinds.into());
}

#[test]
fn a_redis_server_asks_for_a_vote_and_takes_ours() {
    let port = free_port();
    let directory = Directory::new(port);
    let server = Server::start(&directory, port, &[]);
    let id: NodeId = server.ask("CLUSTER MYID").parse().expect("an id");
    let mut peer = ScriptedPeer::new();
    peer.slots = SlotSet::all();
    peer.epoch = 3;
    server.ask(&format!("CLUSTER MEET 127.0.0.1 {}", peer.port));
    peer.receive("PING", |message| matches!(message.body, Body::Ping(_)));
    peer.ping(&server);
    server.ask_until("CLUSTER NODES", |nodes| nodes.contains(" 0-16383"));

    // A replica repeats its primary's claim.
    server.ask(&format!("CLUSTER REPLICATE {PEER}"));
    peer.ping(&server);
    let pong = peer.receive("PONG of a replica", |message| message.header.primary == Some(PEER));
    assert_eq!((pong.header.sender, pong.header.flags), (id, Flags::REPLICA | Flags::MYSELF));
    assert_eq!((pong.header.slots, pong.header.config_epoch), (SlotSet::all(), 3));

    server.ask("CLUSTER FAILOVER");
    let start = peer.receive("MFSTART", |message| message.body == Body::ManualFailoverStart);
    assert_eq!(start.header.primary, Some(PEER));

    server.ask("CLUSTER FAILOVER FORCE");
    let request = peer.receive("request for a vote", |message| message.body == Body::FailoverAuthRequest);
    assert_eq!((request.header.mflags, request.header.current_epoch), (MessageFlags::FORCEACK, 4));
    peer.epoch = 4;
    peer.send(&server, Body::FailoverAuthAck);
    server.ask_until("CLUSTER NODES", |nodes| nodes.contains("myself,master") && nodes.contains(" 0-16383"));
    assert!(peer.kinds.is_superset(&["auth-req", "mfstart"].into()));
}
