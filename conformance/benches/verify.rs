//! How fast traces are held to the model: a node that hears the heartbeats of five others, in both forms.
//! `cargo bench -p slotbus-conformance`.

#![allow(missing_docs, reason = "the macros of criterion make an undocumented function")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use slotbus_conformance::verify::verify;
use slotbus_core::{
    Address, Body, CLUSTER_SLOTS, ClusterState, Config, Durable, Event, Flags, Header, Host, Input, LinkId, Message,
    Millis, Node, NodeId, NodeView, Origin, Random, SlotSet,
    message::{GossipEntry, Heartbeat, MessageFlags},
    step,
};
use slotbus_wire::trace::{self, Form, TraceReader, TraceWriter};
use std::hint::black_box;

const STEPS: u64 = 20_000;
const PEERS: u8 = 5;
const START: Millis = Millis(1_700_000_000_000);

fn id(number: u8) -> NodeId {
    NodeId([number; 20])
}

fn address(number: u8) -> Address {
    let (host, port) = (Host::Ip([127, 0, 0, 1].into()), 7000 + u16::from(number));
    Address { host, port, cport: port + 10_000, pport: 0 }
}

fn slots(number: u8) -> SlotSet<CLUSTER_SLOTS> {
    let start = u16::from(number) * 2730;
    SlotSet::range(start, start + 2729)
}

fn view(number: u8) -> NodeView<CLUSTER_SLOTS> {
    NodeView {
        id: id(number),
        address: address(number),
        hostname: "".into(),
        flags: if number == 0 { Flags::MYSELF | Flags::PRIMARY } else { Flags::PRIMARY },
        primary: None,
        ping_sent: None,
        pong_received: None,
        config_epoch: number.into(),
        connected: false,
        slots: slots(number),
    }
}

fn heartbeat(from: u8, now: Millis) -> Message<CLUSTER_SLOTS> {
    let header = Header {
        sender: id(from),
        current_epoch: PEERS.into(),
        config_epoch: from.into(),
        offset: now.0,
        slots: slots(from),
        primary: None,
        address: address(from),
        flags: Flags::MYSELF | Flags::PRIMARY,
        state: ClusterState::Ok,
        mflags: MessageFlags::empty(),
    };
    let entry = |node: u8| GossipEntry {
        node: id(node),
        ping_sent_s: 0,
        pong_received_s: now.seconds(),
        address: address(node),
        flags: Flags::PRIMARY,
    };
    let others = (1..=PEERS).filter(|&other| other != from).take(3);
    Message { header, body: Body::Ping(Heartbeat { gossip: others.map(entry).collect(), extensions: Vec::new() }) }
}

/// Heartbeats on five links, with the cron in between.
fn input(number: u64) -> Input<CLUSTER_SLOTS> {
    let now = START.after(20 * number);
    let host = Host::Ip([127, 0, 0, 1].into());
    let peer = 1 + (number % u64::from(PEERS)) as u8;
    let link = LinkId::Inbound(peer.into());
    let event = match number {
        0..5 => Event::LinkUp { link, local: host.clone(), remote: host },
        _ if number.is_multiple_of(6) => Event::Tick,
        _ => Event::Received { link, message: heartbeat(peer, now).into() },
    };
    Input { now, random: Random::new(number), event }
}

fn recorded(form: Form) -> Vec<u8> {
    let nodes = (0..=PEERS).map(view).collect();
    let origin = Origin::Restored(Box::new(Durable { nodes, current_epoch: PEERS.into(), ..Durable::default() }));
    let header =
        trace::Header { version: "bench".to_owned(), config: Config::default(), origin: origin.clone(), now: START };
    let (mut node, _) = Node::start(Config::default().into(), origin, START).expect("a node");
    let mut writer = TraceWriter::new(Vec::new(), form, &header).expect("memory");
    for number in 0..STEPS {
        let input = input(number);
        let effects = step(&mut node, input.clone());
        writer.step(&input, &effects).expect("memory");
    }
    writer.into_inner()
}

fn verification(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("verify");
    group.throughput(Throughput::Elements(STEPS)).sample_size(10);
    for (name, form) in [("binary", Form::Binary), ("json", Form::Json)] {
        let trace = recorded(form);
        println!("{name}: {} bytes a step", trace.len() as u64 / STEPS);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let reader = TraceReader::new(black_box(&trace[..])).expect("a trace");
                let verified = verify(reader, None).expect("it is read");
                assert_eq!((verified.steps, verified.difference), (STEPS, None));
            });
        });
    }
    group.finish();
}

criterion_group!(benches, verification);
criterion_main!(benches);
