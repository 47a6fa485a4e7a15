//! The decision table of routing, row by row, and in the order in which the rows are looked at.

use slotbus_core::{
    Body, ClusterState, Command, Config, Event, Flags, Header, Host, Input, LinkId, Message, Millis, Node, NodeId,
    Origin, Random, RequestId, Slot, SlotChange, SlotSet, Timing,
    message::{Heartbeat, MessageFlags},
    route::{Decision, Keys, Presence, Request, TABLE, key_slot, route},
    step,
};
use std::collections::BTreeSet;

const SLOTS: usize = 16384;
const ME: NodeId = NodeId([1; 20]);
const OTHER: NodeId = NodeId([2; 20]);
const THIRD: NodeId = NodeId([3; 20]);

/// A node and its clock.
struct Driven(Node<SLOTS>, Millis);

impl Driven {
    fn new(delay_ms: u64) -> Self {
        let timing = Timing { writable_delay_ms: delay_ms, ..Timing::default() };
        let config = Config { timing, ..Config::default() };
        let (node, _) = Node::start(config.into(), Origin::Fresh(ME), Millis(0)).expect("it starts");
        Self(node, Millis(1_000_000))
    }

    fn give(&mut self, event: Event<SLOTS>) {
        self.1 = self.1.after(100);
        let _ = step(&mut self.0, Input { now: self.1, random: Random::new(0), event });
    }

    fn admin(&mut self, command: Command) {
        self.give(Event::Admin { request: RequestId(0), command });
    }

    /// A member with these slots says hello, as primary or as a replica.
    fn member(&mut self, number: u32, id: NodeId, epoch: u64, slots: SlotSet<SLOTS>, primary: Option<NodeId>) {
        let host: Host = std::net::IpAddr::from([127, 0, 0, 1]).into();
        let port = 7000 + number as u16;
        self.admin(Command::Meet { host: host.clone(), port, cport: port + 10000 });
        self.give(Event::Tick);
        let link = LinkId::Outbound(number);
        self.give(Event::LinkUp { link, local: host.clone(), remote: host.clone() });
        let flags = if primary.is_some() { Flags::REPLICA } else { Flags::PRIMARY };
        let address = slotbus_core::Address { host, port, cport: port + 10000, pport: 0 };
        let (state, mflags) = (ClusterState::Ok, MessageFlags::empty());
        let header = Header {
            sender: id,
            current_epoch: epoch,
            config_epoch: epoch,
            offset: 0,
            slots,
            primary,
            address,
            flags,
            state,
            mflags,
        };
        for _ in 0..2 {
            let body = Body::Pong(Heartbeat::default());
            self.give(Event::Received { link, message: Box::new(Message { header: header.clone(), body }) });
        }
    }
}

/// Owns the lower half; OTHER owns the upper one but for the last slot, which nobody owns if `gap`.
fn primary(gap: bool, delay_ms: u64) -> Driven {
    let mut node = Driven::new(delay_ms);
    node.admin(Command::AddSlots((0..8192).map(Slot).collect()));
    let end = if gap { 16382 } else { 16383 };
    node.member(0, OTHER, 1, SlotSet::range(8192, end), None);
    node.member(1, THIRD, 2, SlotSet::new(), None);
    node.give(Event::Tick);
    node
}

fn replica() -> Driven {
    let mut node = Driven::new(0);
    node.member(0, OTHER, 1, SlotSet::all(), None);
    node.admin(Command::Replicate { primary: OTHER, has_keys: false });
    node.give(Event::Tick);
    node
}

fn request(keys: &[&str]) -> Request {
    Request { keys: Keys::of(keys.iter().map(|key| key.as_bytes())), ..Request::default() }
}

fn here(existing: usize, missing: usize) -> impl FnOnce() -> Presence {
    move || Presence { existing, missing }
}

fn unasked() -> Presence {
    panic!("keys need not be looked for")
}

#[test]
fn each_row_decides_what_it_says() {
    // "a" is slot 15495, "b" 3300, "{b}x" 3300, "c" 7365; tag "6666"-like free slot keys are looked up below.
    assert!(key_slot(b"b").0 < 8192 && key_slot(b"c").0 < 8192 && key_slot(b"a").0 >= 8192);
    let up = primary(false, 0).0;
    assert_eq!(up.state(), ClusterState::Ok);
    let other = up.peers().find(&OTHER).expect("known");
    let mut seen = BTreeSet::new();
    let mut check = |number: u8, decision: Decision, got: (u8, Decision)| {
        assert_eq!(got, (number, decision));
        seen.insert(number);
    };

    check(0, Decision::Serve, route(&up, &Request { is_exempt: true, ..request(&["a", "b"]) }, unasked));
    check(1, Decision::Serve, route(&up, &Request { is_stray_exec: true, ..request(&["a"]) }, unasked));
    check(3, Decision::CrossSlot, route(&up, &request(&["b", "c"]), unasked));
    check(4, Decision::Serve, route(&up, &request(&[]), unasked));
    check(13, Decision::Serve, route(&up, &request(&["b", "{b}x"]), unasked));
    check(14, Decision::Moved(key_slot(b"a"), other), route(&up, &request(&["a"]), unasked));

    let gap = primary(true, 0).0;
    let last = slotbus_core::route::shortest_tags()[16383].clone();
    check(2, Decision::SlotUnserved, route(&gap, &request(&[&last]), unasked));

    let down = primary(false, 1_000_000).0;
    assert_eq!(down.state(), ClusterState::Fail);
    check(4, Decision::Serve, route(&down, &request(&[]), unasked));
    let sharded = Request { is_sharded_pubsub: true, ..request(&["b"]) };
    check(5, Decision::Down, route(&down, &sharded, unasked));
    check(13, Decision::Serve, route(&down, &Request { pubsub_when_down: true, ..sharded }, unasked));
    check(6, Decision::Down, route(&down, &request(&["b"]), unasked));
    let read = Request { reads_when_down: true, ..request(&["b"]) };
    check(13, Decision::Serve, route(&down, &read, unasked));
    check(7, Decision::DownForWrites, route(&down, &Request { is_write: true, ..read }, unasked));

    let mut moving = primary(false, 0);
    let slot = key_slot(b"b");
    moving.admin(Command::SetSlot { slot, change: SlotChange::Migrating(OTHER), has_keys: true });
    let moving = moving.0;
    check(8, Decision::Serve, route(&moving, &Request { is_migrate: true, ..request(&["b"]) }, unasked));
    check(9, Decision::TryAgain, route(&moving, &request(&["b", "{b}x"]), here(1, 1)));
    check(10, Decision::Ask(slot, other), route(&moving, &request(&["b"]), here(0, 1)));
    check(13, Decision::Serve, route(&moving, &request(&["b"]), here(1, 0)));
    check(13, Decision::Serve, route(&moving, &Request { is_sharded_pubsub: true, ..request(&["b"]) }, unasked));

    let mut taking = primary(false, 0);
    let slot = key_slot(b"a");
    taking.admin(Command::SetSlot { slot, change: SlotChange::Importing(OTHER), has_keys: false });
    let taking = taking.0;
    let asking = Request { is_asking: true, ..request(&["a"]) };
    check(8, Decision::Serve, route(&taking, &Request { is_migrate: true, ..request(&["a"]) }, unasked));
    check(11, Decision::Serve, route(&taking, &asking, here(0, 1)));
    let several = Request { is_asking: true, ..request(&["a", "{a}x"]) };
    check(11, Decision::TryAgain, route(&taking, &several, here(1, 1)));
    check(11, Decision::Serve, route(&taking, &several, here(2, 0)));
    let same_twice = Request { is_asking: true, ..request(&["a", "a"]) };
    check(11, Decision::Serve, route(&taking, &same_twice, here(0, 2)));
    check(14, Decision::Moved(slot, other), route(&taking, &request(&["a"]), unasked));

    let replica = replica().0;
    assert_eq!(replica.state(), ClusterState::Ok);
    let other = replica.peers().find(&OTHER).expect("known");
    let readonly = Request { is_readonly: true, ..request(&["a"]) };
    check(12, Decision::Serve, route(&replica, &readonly, unasked));
    check(12, Decision::Serve, route(&replica, &Request { is_sharded_pubsub: true, ..request(&["a"]) }, unasked));
    check(14, Decision::Moved(slot, other), route(&replica, &Request { is_write: true, ..readonly }, unasked));
    check(14, Decision::Moved(slot, other), route(&replica, &request(&["a"]), unasked));

    let rows: BTreeSet<_> = TABLE.iter().map(|row| row.number).collect();
    assert_eq!(seen, rows, "every row of the table decides something here, and no other does");
}

#[test]
fn equal_keys_are_one_key() {
    let keys = |list: &[&str]| Keys::of(list.iter().map(|key| key.as_bytes()));
    assert_eq!(keys(&[]), Keys::default());
    assert!(!keys(&["a", "a"]).are_several);
    assert!(keys(&["a", "{a}x"]).are_several && !keys(&["a", "{a}x"]).is_crossed);
    assert!(keys(&["a", "b"]).is_crossed);
}
