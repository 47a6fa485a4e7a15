//! A node of a cluster that has settled, for what is measured: it knows every other node, their slots
//! and links.

use slotbus_core::{
    Address, Body, CLUSTER_SLOTS, ClusterState, Command, Config, Event, Flags, Header, Host, Input, LinkId, Message,
    Millis, Node, NodeId, Origin, Profile, Random, RequestId, Slot, SlotSet,
    message::{GossipEntry, Heartbeat, MessageFlags},
    step,
};

/// A node of a real cluster.
pub(crate) type Cluster = Node<CLUSTER_SLOTS>;

/// When the cluster has settled.
pub(crate) const NOW: Millis = Millis(1_700_000_000_000);

/// Ids as the machine's dice make them: spread over the whole range.
fn id(number: usize) -> NodeId {
    Random::new(number as u64).temporary_id(99)
}

fn address(number: usize) -> Address {
    let host: Host = std::net::IpAddr::from([10, 0, (number / 256) as u8, (number % 256) as u8]).into();
    Address { host, port: 6379, cport: 16379, pport: 0 }
}

fn header(nodes: usize, number: usize) -> Header<CLUSTER_SLOTS> {
    let width = CLUSTER_SLOTS / nodes;
    let (start, end) = (number * width, (number + 1) * width - 1);
    Header {
        sender: id(number),
        current_epoch: nodes as u64,
        config_epoch: number as u64 + 1,
        offset: 0,
        slots: SlotSet::range(start as u16, end as u16),
        primary: None,
        address: address(number),
        flags: Flags::PRIMARY,
        state: ClusterState::Ok,
        mflags: MessageFlags::empty(),
    }
}

fn heartbeat(nodes: usize, number: usize) -> Heartbeat {
    let told = (nodes / 10).max(3);
    let gossip = (1..=told)
        .map(|offset| (number + offset * 7) % nodes)
        .map(|other| GossipEntry {
            node: id(other),
            ping_sent_s: 0,
            pong_received_s: NOW.seconds(),
            address: address(other),
            flags: Flags::PRIMARY,
        })
        .collect();
    Heartbeat { gossip, extensions: Vec::new() }
}

/// The PING of a node that tells of one in ten nodes.
pub(crate) fn heartbeat_of(nodes: usize, number: usize) -> Box<Message<CLUSTER_SLOTS>> {
    Box::new(Message { header: header(nodes, number), body: Body::Ping(heartbeat(nodes, number)) })
}

/// Node 0 of a cluster of `nodes` that has settled: it knows every other, their slots, and has links.
pub(crate) fn settled(nodes: usize) -> Cluster {
    // All that is set up here would count as new for a node timeout; time goes by tenths of a second.
    let profile = Profile { newcomers_told: false, cron_scaled: false, ..Profile::SLOTBUS };
    let config = Config { profile, ..Config::default() };
    let (mut node, _) = Cluster::start(config.into(), Origin::Fresh(id(0)), NOW).expect("it starts");
    let give = |node: &mut Cluster, event| drop(step(node, Input { now: NOW, random: Random::new(1), event }));
    let own = header(nodes, 0).slots.iter().collect::<Vec<Slot>>();
    give(&mut node, Event::Admin { request: RequestId(0), command: Command::AddSlots(own) });
    let link = LinkId::Outbound(0);
    let Address { host, port, cport, .. } = address(1);
    give(&mut node, Event::Admin { request: RequestId(0), command: Command::Meet { host: host.clone(), port, cport } });
    let tick = |node: &mut Cluster, at: Millis| {
        drop(step(node, Input { now: at, random: Random::new(1), event: Event::Tick }))
    };
    tick(&mut node, NOW.after(100));
    give(&mut node, Event::LinkUp { link, local: host.clone(), remote: host.clone() });
    let mut pong = heartbeat_of(nodes, 1);
    pong.body = Body::Pong(heartbeat(nodes, 1));
    give(&mut node, Event::Received { link, message: pong.clone() });
    let everybody = (2..nodes).map(heartbeat_entry).collect();
    pong.body = Body::Pong(Heartbeat { gossip: everybody, extensions: Vec::new() });
    give(&mut node, Event::Received { link, message: pong });
    tick(&mut node, NOW.after(200));
    for other in 1..nodes {
        let link = LinkId::Inbound(other as u32);
        let Address { host, .. } = address(other);
        give(&mut node, Event::LinkUp { link, local: address(0).host, remote: host });
        give(&mut node, Event::Received { link, message: heartbeat_of(nodes, other) });
    }
    assert_eq!(node.peers().len(), nodes);
    assert!(node.owners().iter().take(nodes * (CLUSTER_SLOTS / nodes)).all(|(_, owner)| owner.is_some()));
    node
}

fn heartbeat_entry(other: usize) -> GossipEntry {
    GossipEntry { node: id(other), ping_sent_s: 0, pong_received_s: 0, address: address(other), flags: Flags::PRIMARY }
}
