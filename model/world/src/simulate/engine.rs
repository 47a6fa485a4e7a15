//! Owns virtual time: what is due when, which machine takes which step, and what becomes of what
//! the step asks for. Decides nothing about the protocol.
//!
//! Everything due at one instant happens in the order in which it became due, and every random
//! number comes from one generator: the same seed gives the same run.

use super::{
    RealNode,
    machine::{LocalClock, Machine},
    network::{ConnectionId, Network, Parcel, Side},
    oracle::{Oracle, Packet, Property, Step, Trigger, Violation},
    plan::{Act, Crash},
    run::{self, Numbers},
    tale::{self, Line},
};
use crate::invariants::Invariant;
use fastrand::Rng;
use siphasher::sip::SipHasher13;
use slotbus_core::{
    Address, CLUSTER_SLOTS, Command, Config, Durable, Effect, Effects, Event, Flags, Input, LinkId, Message, Millis,
    Node, NodeId, Origin, Random, Replication, Rule, SlotSet, next_deadline, step,
};
use slotbus_wire::{bus, nodes_conf};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, VecDeque},
    hash::Hasher,
    sync::Arc,
};

/// The port of the bus on every machine.
const BUS_PORT: u16 = 16379;
/// A connection attempt that gets no answer is repeated after this long, at first.
const RETRY_MS: u64 = 1000;
/// A node that wants a step in the past gets it after this long.
const LATE_MS: u64 = 10;
/// One in so many messages is compared with what its bytes say.
const FAITHFUL_EVERY: u64 = 64;

/// What happens at an instant.
#[derive(Debug)]
pub(super) enum Due {
    /// A node's deadline comes.
    Wake(usize),
    /// A parcel arrives.
    Arrive(ConnectionId, Side, Parcel),
    /// A connection attempt gets its answer; how often it was repeated.
    Establish(ConnectionId, u32),
    /// A connection could not be attempted.
    Refuse(usize, u32),
    /// Writes come in, and replicas receive them.
    Replicate,
    /// A command that forms the cluster is given.
    Command(usize, Box<Command>),
    /// Something is done from outside.
    Act(Box<Act>),
}

/// What is due, ordered by time and then by age.
struct Entry {
    at_ms: u64,
    order: u64,
    due: Due,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at_ms, self.order).cmp(&(other.at_ms, other.order))
    }
}

/// How long parcels are on their way.
#[derive(Clone, Copy, Debug)]
enum Latency {
    Constant(u64),
    Uniform(u64),
    /// Mostly short, and now and then this long.
    LongTail(u64),
}

impl Latency {
    fn drawn(rng: &mut Rng) -> Self {
        match rng.u8(0..3) {
            0 => Self::Constant(rng.u64(0..20)),
            1 => Self::Uniform(rng.u64(1..100)),
            _ => Self::LongTail(rng.u64(100..1500)),
        }
    }

    fn draw_ms(self, rng: &mut Rng) -> u64 {
        match self {
            Self::Constant(ms) => ms,
            Self::Uniform(most_ms) => rng.u64(0..=most_ms),
            Self::LongTail(most_ms) => {
                if rng.u8(0..50) == 0 {
                    rng.u64(0..=most_ms)
                } else {
                    rng.u64(0..5)
                }
            }
        }
    }
}

/// Machines, network and time.
pub(super) struct Engine<'a> {
    pub(super) machines: Vec<Machine>,
    pub(super) network: Network,
    pub(super) rng: Rng,
    pub(super) now_ms: u64,
    pub(super) numbers: Numbers,
    pub(super) oracle: Oracle,
    pub(super) names: BTreeMap<NodeId, usize>,
    /// What came in for stalled machines.
    pub(super) inboxes: Vec<VecDeque<Due>>,
    /// Acts that are due yet.
    pub(super) acts_ahead: usize,
    /// Whether some node may have forgotten another.
    pub(super) has_forgotten: bool,
    /// Whether faults are over: scripts that cannot go on are given up.
    pub(super) is_calm: bool,
    queue: BinaryHeap<Reverse<Entry>>,
    order: u64,
    latency: Latency,
    replication_ms: u64,
    has_writes: bool,
    hasher: SipHasher13,
    telling: Option<&'a mut dyn FnMut(Line)>,
}

impl<'a> Engine<'a> {
    pub(super) fn new(
        count: usize,
        config: Arc<Config>,
        is_quiet: bool,
        mut rng: Rng,
        telling: Option<&'a mut dyn FnMut(Line)>,
    ) -> Self {
        let ids = run::ids(&mut rng, count);
        let latency = if is_quiet { Latency::Constant(1) } else { Latency::drawn(&mut rng) };
        let names = ids.iter().enumerate().map(|(place, id)| (*id, place)).collect();
        let machine = |(place, id)| {
            let drift_ppm = rng.i64(-200..=200);
            let clock = LocalClock { ahead_ms: rng.u64(0..400), drift_ppm };
            Machine::new(id, run::ip(place), config.clone(), clock)
        };
        let machines = ids.into_iter().enumerate().map(machine).collect();
        Self {
            machines,
            network: Network::new(count),
            rng,
            now_ms: 0,
            numbers: Numbers::default(),
            oracle: Oracle::new(count),
            names,
            inboxes: (0..count).map(|_| VecDeque::new()).collect(),
            acts_ahead: 0,
            has_forgotten: false,
            is_calm: true,
            queue: BinaryHeap::new(),
            order: 0,
            latency,
            replication_ms: if count > 20 { 1000 } else { 200 },
            has_writes: !is_quiet,
            hasher: SipHasher13::new(),
            telling,
        }
    }

    pub(super) fn timeout_ms(&self) -> u64 {
        self.machines.first().map_or(0, |machine| machine.config.timing.node_timeout_ms)
    }

    pub(super) fn digest(&self) -> u64 {
        self.hasher.finish()
    }

    /// Starts every machine, evenly spread over a span of time.
    pub(super) fn start_all(&mut self, span_ms: u64) -> Result<(), Violation> {
        let count = self.machines.len();
        for place in 0..count {
            if span_ms > 0 {
                self.run_until(span_ms * place as u64 / count as u64, u64::MAX)?;
            }
            self.start(place)?;
        }
        self.push(self.replication_ms, Due::Replicate);
        Ok(())
    }

    pub(super) fn push(&mut self, at_ms: u64, due: Due) {
        self.acts_ahead += usize::from(matches!(due, Due::Act(_)));
        self.order += 1;
        self.queue.push(Reverse(Entry { at_ms: at_ms.max(self.now_ms), order: self.order, due }));
    }

    /// Lets time pass until an instant, or until so many steps were taken.
    pub(super) fn run_until(&mut self, end_ms: u64, steps_max: u64) -> Result<(), Violation> {
        while self.numbers.steps < steps_max && self.queue.peek().is_some_and(|Reverse(next)| next.at_ms <= end_ms) {
            let Some(Reverse(entry)) = self.queue.pop() else { break };
            self.now_ms = entry.at_ms;
            self.happen(entry.due)?;
        }
        if self.numbers.steps < steps_max {
            self.now_ms = end_ms;
        }
        Ok(())
    }

    /// Takes every act that is due yet off the queue.
    pub(super) fn drop_acts(&mut self) {
        self.queue.retain(|Reverse(entry)| !matches!(entry.due, Due::Act(_)));
        self.acts_ahead = 0;
    }

    pub(super) fn happen(&mut self, due: Due) -> Result<(), Violation> {
        match due {
            Due::Wake(place) => self.wake(place),
            Due::Arrive(connection, to, parcel) => self.arrive(connection, to, parcel),
            Due::Establish(connection, tries) => self.establish(connection, tries),
            Due::Refuse(place, number) => self.refuse(place, number),
            Due::Replicate => self.replicate(),
            Due::Command(place, command) => self.command(place, *command).map(|_| ()),
            Due::Act(act) => {
                self.acts_ahead = self.acts_ahead.saturating_sub(1);
                self.numbers.acts += 1;
                self.act(*act)
            }
        }
    }

    fn wake(&mut self, place: usize) -> Result<(), Violation> {
        if self.machines[place].wake_at_ms != Some(self.now_ms) {
            return Ok(());
        }
        self.machines[place].wake_at_ms = None;
        if self.machines[place].is_stalled {
            self.inboxes[place].push_back(Due::Wake(place));
            return Ok(());
        }
        self.step(place, Event::Tick, &Trigger::Other)?;
        self.delay_late_alarm(place);
        Ok(())
    }

    /// A node that has just ticked and wants to tick at once would stop the time for everybody.
    fn delay_late_alarm(&mut self, place: usize) {
        if self.machines[place].wake_at_ms == Some(self.now_ms) {
            self.numbers.late_deadlines += 1;
            let at_ms = self.now_ms + LATE_MS;
            self.machines[place].wake_at_ms = Some(at_ms);
            self.push(at_ms, Due::Wake(place));
        }
    }

    fn refuse(&mut self, place: usize, number: u32) -> Result<(), Violation> {
        let link = LinkId::Outbound(number);
        let is_asked = self.machines[place].node.as_ref().is_some_and(|node| node.links().get(link).is_some());
        if !is_asked || self.machines[place].connection(link).is_some() {
            return Ok(());
        }
        self.step(place, Event::LinkRefused { link }, &Trigger::Other)
    }

    /// A parcel arrives: now, or once the machine goes on, or once the network heals.
    fn arrive(&mut self, id: ConnectionId, to: Side, parcel: Parcel) -> Result<(), Violation> {
        let Some(connection) = self.network.get(id) else { return Ok(()) };
        let (place, from) = (connection.machine(to), connection.machine(to.other()));
        let is_queued = !connection.waiting(to).is_empty();
        if is_queued || !self.network.reaches(place, from) {
            if let Some(connection) = self.network.get(id) {
                connection.waiting(to).push_back(parcel);
            }
            return Ok(());
        }
        if self.machines[place].is_stalled {
            self.inboxes[place].push_back(Due::Arrive(id, to, parcel));
            return Ok(());
        }
        self.take(id, to, parcel)
    }

    pub(super) fn take(&mut self, id: ConnectionId, to: Side, parcel: Parcel) -> Result<(), Violation> {
        let Some(connection) = self.network.get(id) else { return Ok(()) };
        let place = connection.machine(to);
        if !connection.is_open[to as usize] {
            // What comes to an end that is gone is answered with a reset, if anything answers.
            if self.machines[place].is_powered && matches!(parcel, Parcel::Packet(_)) {
                self.send(id, to, Parcel::Fin);
            }
            return Ok(());
        }
        let link = link_at(connection.numbers, to);
        match parcel {
            Parcel::Fin => {
                self.network.close(id, to);
                self.machines[place].set_connection(link, None);
                self.step(place, Event::LinkDown { link }, &Trigger::Other)
            }
            Parcel::Packet(bytes) => match bus::decode(&bytes) {
                Ok(bus::Packet::Full(message)) => {
                    let event = Event::Received { link, message: Box::new(message) };
                    self.step(place, event, &Trigger::Packet(Packet::new(&bytes)))
                }
                Ok(bus::Packet::Light(_)) => Ok(()),
                Err(error) => Err(self.violation(Property::WireFaithful, place, error.to_string())),
            },
        }
    }

    fn establish(&mut self, id: ConnectionId, tries: u32) -> Result<(), Violation> {
        let Some(connection) = self.network.get(id) else { return Ok(()) };
        let ([opener, target], number) = (connection.machines, connection.numbers[0]);
        let answers = self.network.reaches(opener, target) && self.machines[target].is_powered;
        if !answers {
            let at_ms = self.now_ms + (RETRY_MS << tries.min(3));
            self.push(at_ms, Due::Establish(id, tries + 1));
            return Ok(());
        }
        let link = LinkId::Outbound(number);
        if self.machines[target].node.is_none() {
            self.network.close(id, Side::Opener);
            self.machines[opener].set_connection(link, None);
            return self.step(opener, Event::LinkDown { link }, &Trigger::Other);
        }
        self.connected(id, link, opener, target)
    }

    fn connected(&mut self, id: ConnectionId, link: LinkId, opener: usize, target: usize) -> Result<(), Violation> {
        let number = self.machines[target].free_inbound();
        let accepted = LinkId::Inbound(number);
        let mut early = VecDeque::new();
        if let Some(connection) = self.network.get(id) {
            connection.numbers[1] = number;
            connection.is_up = true;
            connection.is_open[1] = true;
            early = std::mem::take(connection.waiting(Side::Target));
        }
        self.machines[target].set_connection(accepted, Some(id));
        for parcel in early {
            self.send(id, Side::Opener, parcel);
        }
        let (near, far) = (self.machines[opener].ip.clone(), self.machines[target].ip.clone());
        let seen = Event::LinkUp { link: accepted, local: far.clone(), remote: near.clone() };
        self.step(target, seen, &Trigger::Other)?;
        // The target's first step may be its last, and takes the connection with it.
        if self.network.get(id).is_none_or(|connection| !connection.is_open[0]) {
            return Ok(());
        }
        self.step(opener, Event::LinkUp { link, local: near, remote: far }, &Trigger::Other)
    }

    /// Puts a parcel on its way from one end to the other.
    pub(super) fn send(&mut self, id: ConnectionId, from: Side, parcel: Parcel) {
        let latency_ms = self.latency.draw_ms(&mut self.rng);
        let now_ms = self.now_ms;
        let to = from.other();
        let Some(connection) = self.network.get(id) else { return };
        if connection.is_up {
            let at_ms = connection.arrival_ms(to, now_ms, latency_ms);
            self.push(at_ms, Due::Arrive(id, to, parcel));
        } else {
            connection.waiting(to).push_back(parcel);
        }
    }

    /// Closes one end, and tells the other.
    pub(super) fn close(&mut self, id: ConnectionId, side: Side) {
        if self.network.close(id, side) {
            self.send(id, side, Parcel::Fin);
        }
    }

    fn replicate(&mut self) -> Result<(), Violation> {
        self.push(self.now_ms + self.replication_ms, Due::Replicate);
        for place in 0..self.machines.len() {
            if self.has_writes && self.takes_writes(place) {
                self.machines[place].offset += self.rng.u64(0..100);
                self.tell_replication(place)?;
            }
        }
        for place in 0..self.machines.len() {
            let is_prompt = !self.has_writes || self.rng.u8(0..4) > 0;
            if is_prompt && self.receives_stream(place) {
                self.machines[place].fresh_at = Some(self.machines[place].clock.shows(self.now_ms));
                self.tell_replication(place)?;
            }
        }
        Ok(())
    }

    fn takes_writes(&self, place: usize) -> bool {
        let machine = &self.machines[place];
        let is_paused = machine.paused_until.is_some_and(|until| machine.clock.shows(self.now_ms) < until);
        let leads = |node: &RealNode| node.myself().is_voter();
        !is_paused && !machine.is_stalled && machine.node.as_ref().is_some_and(leads)
    }

    /// Brings a replica up to its primary's offset; false if it cannot hear it.
    fn receives_stream(&mut self, place: usize) -> bool {
        let machine = &self.machines[place];
        let primary = machine.follows.and_then(|id| self.names.get(&id)).copied();
        let Some(primary) = primary.filter(|_| machine.node.is_some() && !machine.is_stalled) else { return false };
        let source = &self.machines[primary];
        if source.node.is_none() || source.is_stalled || !self.network.reaches(place, primary) {
            return false;
        }
        self.machines[place].offset = source.offset;
        true
    }

    fn tell_replication(&mut self, place: usize) -> Result<(), Violation> {
        let Machine { offset, fresh_at, .. } = self.machines[place];
        self.step(place, Event::Replication(Replication { offset, fresh_at }), &Trigger::Other)
    }

    /// Starts a machine's process, from its disk unless that is empty.
    pub(super) fn start(&mut self, place: usize) -> Result<(), Violation> {
        let machine = &mut self.machines[place];
        let now = machine.clock.shows(self.now_ms);
        let is_new = machine.disk.nodes.is_empty();
        let origin = if is_new { Origin::Fresh(machine.id) } else { Origin::Restored(Box::new(reread(&machine.disk))) };
        let (node, effects) = match Node::start(machine.config.clone(), origin, now) {
            Ok(started) => started,
            Err(error) => return Err(self.violation(Invariant::ImageLoads.into(), place, error.to_string())),
        };
        machine.node = Some(node);
        machine.is_powered = true;
        self.tell(place, &effects, || if is_new { "starts".into() } else { "starts from its disk".into() });
        self.settle(place, now, effects, &Trigger::Start)?;
        self.step(place, Event::Loaded { slots: SlotSet::new() }, &Trigger::Other)?;
        self.tell_replication(place)
    }

    /// Has a node take one step, and performs what it asks for.
    pub(super) fn step(
        &mut self,
        place: usize,
        event: Event<CLUSTER_SLOTS>,
        trigger: &Trigger<'_>,
    ) -> Result<(), Violation> {
        let random = Random::new(self.rng.u64(..));
        let now = self.machines[place].clock.shows(self.now_ms);
        let told = self.telling.is_some().then(|| tale::event(&event, &self.names));
        let Some(node) = self.machines[place].node.as_mut() else { return Ok(()) };
        let effects = step(node, Input { now, random, event });
        self.tell(place, &effects, || told.unwrap_or_default());
        self.settle(place, now, effects, trigger)
    }

    fn tell(&mut self, place: usize, effects: &Effects<CLUSTER_SLOTS>, what: impl FnOnce() -> String) {
        if let Some(telling) = &mut self.telling {
            let text = what() + &tale::effects(effects, &self.names);
            let is_routine = tale::is_routine(effects);
            telling(Line { at_ms: self.now_ms, machine: Some(place), is_routine, text });
        }
    }

    pub(super) fn tell_act(&mut self, what: impl FnOnce() -> String) {
        if let Some(telling) = &mut self.telling {
            telling(Line { at_ms: self.now_ms, machine: None, is_routine: false, text: what() });
        }
    }

    /// Saves, judges the step, performs the rest, and notes when the node wants to be woken.
    fn settle(
        &mut self,
        place: usize,
        now: Millis,
        mut effects: Effects<CLUSTER_SLOTS>,
        trigger: &Trigger<'_>,
    ) -> Result<(), Violation> {
        self.count(place, &effects);
        let has_saved = effects.persist.is_some();
        let machine = &mut self.machines[place];
        if let Some(persist) = effects.persist.take() {
            machine.disk = persist.image.into();
            machine.disk_epoch = own_epoch(&machine.disk);
            if persist.sync {
                machine.synced = machine.disk.clone();
            }
        }
        let is_performed = !(has_saved && machine.dies_after_save);
        let Some(after) = &machine.node else { return Ok(()) };
        let seen = Step {
            machine: place,
            id: machine.id,
            now,
            trigger,
            after,
            effects: &effects,
            has_saved,
            disk: &machine.disk,
            disk_epoch: machine.disk_epoch,
            is_performed,
        };
        if let Err((property, seen)) = self.oracle.judge(&seen) {
            return Err(self.violation(property, place, seen));
        }
        if !is_performed {
            return self.crash(place, Crash::Kill);
        }
        for effect in effects.then.drain(..) {
            self.perform(place, effect)?;
        }
        self.set_alarm(place, now);
        Ok(())
    }

    fn count(&mut self, place: usize, effects: &Effects<CLUSTER_SLOTS>) {
        self.numbers.steps += 1;
        self.numbers.elections += effects.rules.iter().filter(|rule| **rule == Rule::ElectWon).count() as u64;
        self.hasher.write_u64(self.now_ms);
        self.hasher.write_usize(place);
        effects.rules.iter().for_each(|rule| self.hasher.write_u16(*rule as u16));
    }

    fn set_alarm(&mut self, place: usize, now: Millis) {
        let machine = &self.machines[place];
        let Some(node) = &machine.node else { return };
        let deadline = next_deadline(node);
        let at_ms = if deadline.at > now { machine.clock.when(deadline.at) } else { self.now_ms };
        if self.machines[place].wake_at_ms != Some(at_ms) {
            self.machines[place].wake_at_ms = Some(at_ms);
            self.push(at_ms, Due::Wake(place));
        }
    }

    fn perform(&mut self, place: usize, effect: Effect<CLUSTER_SLOTS>) -> Result<(), Violation> {
        match effect {
            Effect::Connect { link, address } => self.connect(place, link, &address),
            Effect::Close { link } => {
                let side = side_of(link);
                if let Some(id) = self.machines[place].connection(link) {
                    self.machines[place].set_connection(link, None);
                    self.close(id, side);
                }
            }
            Effect::Send { link, message } => return self.send_message(place, link, &message),
            Effect::Follow { primary, shard, address: _ } => self.machines[place].follow(primary, shard),
            Effect::Lead => self.machines[place].lead(),
            Effect::PauseWrites { until } => self.machines[place].paused_until = Some(until),
            Effect::ResumeWrites => self.machines[place].paused_until = None,
            Effect::Reply { reply, .. } => self.machines[place].reply = Some(reply),
            Effect::DropKeys { .. } | Effect::DropAllKeys | Effect::Deliver { .. } => {}
        }
        Ok(())
    }

    fn connect(&mut self, place: usize, link: LinkId, address: &Address) {
        let LinkId::Outbound(number) = link else { return };
        let target = run::place(&address.host).filter(|&place| place < self.machines.len());
        match target.filter(|_| address.cport == BUS_PORT) {
            Some(target) => {
                let id = self.network.open(place, target, number);
                self.machines[place].set_connection(link, Some(id));
                let at_ms = self.now_ms + 2 * self.latency.draw_ms(&mut self.rng);
                self.push(at_ms, Due::Establish(id, 0));
            }
            None => self.push(self.now_ms, Due::Refuse(place, number)),
        }
    }

    fn send_message(&mut self, place: usize, link: LinkId, message: &Message<CLUSTER_SLOTS>) -> Result<(), Violation> {
        let Some(id) = self.machines[place].connection(link) else { return Ok(()) };
        let mut bytes = Vec::new();
        bus::encode(message, &mut bytes);
        if self.numbers.messages.is_multiple_of(FAITHFUL_EVERY) {
            let read = bus::decode(&bytes);
            if read.as_ref() != Ok(&bus::Packet::Full(message.clone())) {
                return Err(self.violation(Property::WireFaithful, place, format!("{message:?} reads {read:?}")));
            }
        }
        self.numbers.messages += 1;
        self.numbers.bytes += bytes.len() as u64;
        self.send(id, side_of(link), Parcel::Packet(bytes));
        Ok(())
    }

    pub(super) fn violation(&self, property: Property, machine: usize, seen: String) -> Violation {
        Violation { property, at_ms: self.now_ms, machine, seen }
    }
}

fn side_of(link: LinkId) -> Side {
    match link {
        LinkId::Outbound(_) => Side::Opener,
        LinkId::Inbound(_) => Side::Target,
    }
}

/// The link behind one end of a connection.
pub(super) fn link_at(numbers: [u32; 2], side: Side) -> LinkId {
    match side {
        Side::Opener => LinkId::Outbound(numbers[0]),
        Side::Target => LinkId::Inbound(numbers[1]),
    }
}

/// The config epoch of the node itself in an image.
pub(super) fn own_epoch(image: &Durable<CLUSTER_SLOTS>) -> u64 {
    image.nodes.iter().find(|view| view.flags.contains(Flags::MYSELF)).map_or(0, |view| view.config_epoch)
}

/// What a process finds in its nodes.conf. An image that does not survive the way is left to the
/// judgement of what the node makes of it.
fn reread(image: &Durable<CLUSTER_SLOTS>) -> Durable<CLUSTER_SLOTS> {
    nodes_conf::parse(nodes_conf::write(image).as_bytes()).unwrap_or_default()
}
