//! Owns a few hosts, the connections between them and their one clock: what a scenario happens to.
//! Performs effects and chooses inputs; decides nothing about the protocol.
//!
//! Nothing here is left to chance: dice come from the number of the step, and of several things that
//! could happen at one instant the one at the oldest connection happens first.

use super::{
    SLOTS,
    telling::{Detail, Story},
    wire::{OPENER, TARGET, Wire},
};
use crate::place::Place;
use slotbus_core::{
    Address, Config, Durable, Effect, Effects, Event, Host as Ip, Input, LinkId, Message, Millis, Node, NodeId, Origin,
    Persist, Random, Rule, Timing, next_deadline, step,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What every clock shows when a scenario begins.
pub(super) const DAWN: Millis = Millis(1_000_000);
/// A network that is still busy after so many events never becomes quiet.
const EVENTS_MAX: usize = 100_000;
/// One node ticks no more often than this at one go.
const TICKS_MAX: u64 = 1000;
/// The first of the letters that name strangers: x, y and z.
const FIRST_STRANGER: Place = Place(23);
/// Every host listens for clients here.
pub(super) const PORT: u16 = 6379;
/// Every host's bus listens here.
pub(super) const BUS_PORT: u16 = 16379;

/// What can happen at one end of a connection.
#[derive(Clone, Copy)]
enum Due {
    /// Nobody holds it any more: it shuts without notice.
    Vanish,
    /// It comes up.
    Establish,
    /// A message arrives.
    Receive,
    /// It notices that the other end is shut, or that nobody answers.
    Lose,
    /// Its connect call fails at once.
    Refuse,
}

/// One host: a disk, an address, and a node while its process runs.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) node: Option<Node<SLOTS>>,
    pub(super) ip: Ip,
    pub(super) config: Arc<Config>,
    pub(super) is_frozen: bool,
    /// From when on it may tick again: time passes between two ticks.
    rested: Millis,
    saved: Option<Box<Durable<SLOTS>>>,
    synced: Option<Box<Durable<SLOTS>>>,
}

/// What a scenario happens to.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) story: Story,
    pub(super) now: Millis,
    /// What hosts that are yet to start are told.
    pub(super) config: Config,
    pub(super) hosts: BTreeMap<Place, Host>,
    pub(super) wires: Vec<Wire>,
    /// Pairs of hosts between which nothing arrives.
    pub(super) parted: BTreeSet<(Place, Place)>,
    /// Pairs of hosts of which the first has no route to the second.
    pub(super) unrouted: BTreeSet<(Place, Place)>,
    steps: u64,
    inbound: u32,
}

impl Default for Cluster {
    fn default() -> Self {
        let timing = Timing { node_timeout_ms: 2000, ..Timing::default() };
        Self {
            story: Story::default(),
            now: DAWN,
            config: Config { port: PORT, cport: BUS_PORT, timing, ..Config::default() },
            hosts: BTreeMap::new(),
            wires: Vec::new(),
            parted: BTreeSet::new(),
            unrouted: BTreeSet::new(),
            steps: 0,
            inbound: 0,
        }
    }
}

impl Cluster {
    pub(super) fn take_told(&mut self) -> String {
        self.story.detail = Detail::Everything;
        self.story.take()
    }

    pub(super) fn fired(&self) -> &BTreeSet<Rule> {
        &self.story.fired
    }

    pub(super) fn host(&self, place: Place) -> Result<&Host, String> {
        self.hosts.get(&place).ok_or_else(|| format!("there is no host {place}"))
    }

    pub(super) fn host_mut(&mut self, place: Place) -> Result<&mut Host, String> {
        self.hosts.get_mut(&place).ok_or_else(|| format!("there is no host {place}"))
    }

    pub(super) fn node(&self, place: Place) -> Result<&Node<SLOTS>, String> {
        self.host(place)?.node.as_ref().ok_or_else(|| format!("{place} is down"))
    }

    pub(super) fn add_host(&mut self, place: Place) -> Result<(), String> {
        if place >= FIRST_STRANGER || self.hosts.contains_key(&place) {
            return Err(format!("{place} is taken"));
        }
        let config = Arc::new(self.config.clone());
        let host =
            Host { node: None, ip: place.ip(), config, is_frozen: false, rested: DAWN, saved: None, synced: None };
        self.hosts.insert(place, host);
        self.start(place)
    }

    /// Starts a host's node from its disk, or under a new id if that is empty.
    pub(super) fn start(&mut self, place: Place) -> Result<(), String> {
        let host = self.host(place)?;
        if host.node.is_some() {
            return Err(format!("{place} runs already"));
        }
        let (cause, origin) = match &host.saved {
            None => ("starts", Origin::Fresh(self.story.id(place))),
            Some(image) => ("starts from its disk", Origin::Restored(image.clone())),
        };
        let (node, effects) = Node::start(host.config.clone(), origin, self.now).map_err(|error| error.to_string())?;
        self.host_mut(place)?.node = Some(node);
        self.settle(place, cause, effects)
    }

    /// Ends a host's process, or takes its power.
    pub(super) fn kill(&mut self, place: Place, has_power: bool) -> Result<(), String> {
        let host = self.host_mut(place)?;
        host.node = None;
        host.is_frozen = false;
        if !has_power {
            host.saved = host.synced.clone();
        }
        self.shut_ends(|end| end == Some(place));
        Ok(())
    }

    /// Resets the connections between two hosts: both ends notice.
    pub(super) fn break_links(&mut self, left: Place, right: Place) -> Result<(), String> {
        for index in 0..self.wires.len() {
            if self.wires[index].joins(left, right) {
                self.lose(index, OPENER)?;
                self.lose(index, TARGET)?;
            }
        }
        Ok(())
    }

    pub(super) fn shut_ends(&mut self, is_shut: impl Fn(Option<Place>) -> bool) {
        for end in self.wires.iter_mut().flat_map(|wire| &mut wire.ends) {
            if is_shut(end.place) {
                end.shut();
            }
        }
    }

    /// Takes the node at `place` through one input, and performs what it asks for.
    pub(super) fn step(&mut self, place: Place, event: Event<SLOTS>) -> Result<(), String> {
        self.steps += 1;
        let random = Random::new(spread(self.steps));
        let cause = if self.story.detail == Detail::Nothing { String::new() } else { self.story.cause(&event) };
        let now = self.now;
        let node = self.host_mut(place)?.node.as_mut().ok_or_else(|| format!("{place} is down"))?;
        let effects = step(node, Input { now, random, event });
        self.settle(place, &cause, effects)
    }

    fn settle(&mut self, place: Place, cause: &str, effects: Effects<SLOTS>) -> Result<(), String> {
        self.story.step(self.now, place, cause, &effects);
        if let Some(persist) = effects.persist {
            self.save(place, persist)?;
        }
        let id: Option<NodeId> = self.host(place)?.node.as_ref().map(Node::id);
        if let Some(id) = id {
            self.story.rename(place, id);
        }
        for effect in effects.then {
            self.perform(place, effect);
        }
        Ok(())
    }

    fn save(&mut self, place: Place, persist: Persist<SLOTS>) -> Result<(), String> {
        let host = self.host_mut(place)?;
        if persist.sync {
            host.synced = Some(persist.image.clone());
        }
        host.saved = Some(persist.image);
        Ok(())
    }

    fn perform(&mut self, place: Place, effect: Effect<SLOTS>) {
        match effect {
            Effect::Connect { link, address } => {
                let target = self.listener(&address);
                self.wires.push(Wire::opening(place, link, target));
            }
            Effect::Close { link } => {
                if let Some((index, side)) = self.find(place, link) {
                    self.wires[index].ends[side].shut();
                }
            }
            Effect::Send { link, message } => {
                if let Some((index, side)) = self.find(place, link) {
                    self.wires[index].ends[1 - side].incoming.push_back(*message);
                }
            }
            // Keys, clients and the replication stream are told of, and are not part of a scenario.
            Effect::Follow { .. }
            | Effect::Lead
            | Effect::PauseWrites { .. }
            | Effect::ResumeWrites
            | Effect::DropKeys { .. }
            | Effect::DropAllKeys
            | Effect::Deliver { .. }
            | Effect::Reply { .. } => {}
        }
    }

    fn find(&self, place: Place, link: LinkId) -> Option<(usize, usize)> {
        let mut wires = self.wires.iter().enumerate();
        wires.find_map(|(index, wire)| wire.end_of(place, link).map(|side| (index, side)))
    }

    /// Who listens at an address of the bus: a host, or a stranger, who has no node.
    fn listener(&self, address: &Address) -> Option<Place> {
        let strangers = (FIRST_STRANGER.0..=FIRST_STRANGER.0 + 2).map(Place);
        let running = self.hosts.iter().filter(|(_, host)| host.node.is_some());
        let hosts = running.map(|(&place, host)| (place, host.ip.clone()));
        let mut all = hosts.chain(strangers.map(|place| (place, place.ip())));
        all.find(|(_, ip)| *ip == address.host && address.cport == BUS_PORT).map(|(place, _)| place)
    }

    pub(super) fn is_stranger(place: Place) -> bool {
        place >= FIRST_STRANGER
    }

    fn ip(&self, place: Place) -> Ip {
        self.hosts.get(&place).map_or_else(|| place.ip(), |host| host.ip.clone())
    }

    fn is_running(&self, place: Place) -> bool {
        Self::is_stranger(place) || self.hosts.get(&place).is_some_and(|host| host.node.is_some())
    }

    fn is_awake(&self, place: Place) -> bool {
        self.is_running(place) && !self.hosts.get(&place).is_some_and(|host| host.is_frozen)
    }

    fn are_parted(&self, wire: &Wire) -> bool {
        self.parted.iter().any(|&(left, right)| wire.joins(left, right))
    }

    /// Lets everything happen that the network owes, until it owes nothing.
    pub(super) fn deliver(&mut self) -> Result<(), String> {
        self.deliver_where(|_, _| true)
    }

    /// Lets everything happen that one host sent another, on whichever connection.
    pub(super) fn deliver_from(&mut self, from: Place, to: Place) -> Result<(), String> {
        self.deliver_where(|wire, side| {
            let end = &wire.ends[side];
            wire.joins(from, to) && (end.place == Some(to) || !end.is_up)
        })
    }

    fn deliver_where(&mut self, is_wanted: impl Fn(&Wire, usize) -> bool) -> Result<(), String> {
        for _ in 0..EVENTS_MAX {
            self.wires.retain(|wire| !wire.is_over());
            let ends = (0..self.wires.len()).flat_map(|index| [(index, OPENER), (index, TARGET)]);
            let mut wanted = ends.filter(|&(index, side)| is_wanted(&self.wires[index], side));
            let Some((index, side, due)) = wanted.find_map(|(index, side)| Some((index, side, self.due(index, side)?)))
            else {
                return Ok(());
            };
            self.happen(index, side, due)?;
        }
        Err("the network never becomes quiet".into())
    }

    /// What can happen at one end of a connection now.
    fn due(&self, index: usize, side: usize) -> Option<Due> {
        let wire = &self.wires[index];
        let (end, other) = (&wire.ends[side], &wire.ends[1 - side]);
        if !end.is_open {
            return None;
        }
        let Some(place) = end.place.filter(|&place| self.is_running(place)) else { return Some(Due::Vanish) };
        if self.are_parted(wire) || !self.is_awake(place) {
            return None;
        }
        if end.is_up {
            let is_over = !other.is_open;
            return if end.incoming.is_empty() { is_over.then_some(Due::Lose) } else { Some(Due::Receive) };
        }
        let is_unrouted = self.is_unrouted(wire);
        match side {
            OPENER if !other.is_open => Some(Due::Lose),
            OPENER if is_unrouted => Some(Due::Refuse),
            OPENER => (other.is_up || !other.place.is_some_and(|there| self.is_awake(there))).then_some(Due::Establish),
            _ if is_unrouted => None,
            _ if !other.is_open && end.incoming.is_empty() => Some(Due::Vanish),
            _ => Some(Due::Establish),
        }
    }

    fn is_unrouted(&self, wire: &Wire) -> bool {
        let [opener, target] = &wire.ends;
        opener.place.zip(target.place).is_some_and(|pair| self.unrouted.contains(&pair))
    }

    /// Lets what is due happen at one end of a connection.
    fn happen(&mut self, index: usize, side: usize, due: Due) -> Result<(), String> {
        match due {
            Due::Vanish => {
                self.wires[index].ends[side].shut();
                Ok(())
            }
            Due::Establish => self.establish(index, side),
            Due::Receive => self.receive(index, side),
            Due::Lose => self.lose(index, side),
            Due::Refuse => self.refuse(index),
        }
    }

    fn establish(&mut self, index: usize, side: usize) -> Result<(), String> {
        if side == TARGET {
            self.inbound += 1;
            self.wires[index].ends[TARGET].link = Some(LinkId::Inbound(self.inbound));
        }
        self.wires[index].ends[side].is_up = true;
        let ends = &self.wires[index].ends;
        let (Some(here), Some(there), Some(link)) = (ends[side].place, ends[1 - side].place, ends[side].link) else {
            return Ok(());
        };
        let (local, remote) = (self.ip(here), self.ip(there));
        if Self::is_stranger(here) { Ok(()) } else { self.step(here, Event::LinkUp { link, local, remote }) }
    }

    fn receive(&mut self, index: usize, side: usize) -> Result<(), String> {
        let end = &mut self.wires[index].ends[side];
        let (Some(place), Some(link), Some(message)) = (end.place, end.link, end.incoming.pop_front()) else {
            return Ok(());
        };
        self.hand_over(place, link, message)
    }

    /// Gives a node a message; strangers listen and do not care.
    pub(super) fn hand_over(&mut self, place: Place, link: LinkId, message: Message<SLOTS>) -> Result<(), String> {
        if Self::is_stranger(place) {
            return Ok(());
        }
        self.step(place, Event::Received { link, message: Box::new(message) })
    }

    /// One end learns that the connection is gone, or came to nothing.
    fn lose(&mut self, index: usize, side: usize) -> Result<(), String> {
        let end = &mut self.wires[index].ends[side];
        let was_open = std::mem::replace(&mut end.is_open, false);
        end.shut();
        match (end.place, end.link) {
            (Some(place), Some(link)) if was_open && self.is_running(place) && !Self::is_stranger(place) => {
                self.step(place, Event::LinkDown { link })
            }
            _ => Ok(()),
        }
    }

    /// A connection attempt fails at once.
    fn refuse(&mut self, index: usize) -> Result<(), String> {
        let wire = &mut self.wires[index];
        wire.ends.iter_mut().for_each(|end| end.shut());
        match (wire.ends[OPENER].place, wire.ends[OPENER].link) {
            (Some(place), Some(link)) => self.step(place, Event::LinkRefused { link }),
            _ => Ok(()),
        }
    }

    /// A connection that a stranger has opened to a host, up at both ends.
    pub(super) fn stranger_wire(&mut self, stranger: Place, host: Place) -> Result<LinkId, String> {
        self.wires.push(Wire::opening(stranger, LinkId::Outbound(0), Some(host)));
        let index = self.wires.len() - 1;
        self.wires[index].ends[OPENER].is_up = true;
        self.establish(index, TARGET)?;
        self.wires[index].ends[TARGET].link.ok_or_else(|| "no link".into())
    }

    /// The node at `place` ticks when its time has come; the clock moves there.
    pub(super) fn tick(&mut self, place: Place) -> Result<(), String> {
        let due = next_deadline(self.node(place)?).at;
        self.now = self.now.max(due);
        self.host_mut(place)?.rested = self.now.after(1);
        self.step(place, Event::Tick)
    }

    /// So many ticks of one node alone, of which those are told that fire a rule.
    pub(super) fn tick_often(&mut self, place: Place, count: u64) -> Result<(), String> {
        self.story.detail = Detail::Rules;
        (0..count.min(TICKS_MAX)).try_for_each(|_| self.tick(place))
    }

    /// Lets time pass until `end`: everything is delivered as it is sent, and every node ticks in time.
    pub(super) fn advance_to(&mut self, end: Millis) -> Result<(), String> {
        self.deliver()?;
        while let Some((due, place)) = self.next_tick().filter(|(due, _)| *due <= end) {
            self.now = self.now.max(due);
            self.tick(place)?;
            self.deliver()?;
        }
        self.now = self.now.max(end);
        Ok(())
    }

    fn next_tick(&self) -> Option<(Millis, Place)> {
        let awake = self.hosts.iter().filter(|(_, host)| !host.is_frozen);
        let due = |host: &Host| Some(next_deadline(host.node.as_ref()?).at.max(host.rested));
        awake.filter_map(|(&place, host)| Some((due(host)?, place))).min()
    }

    /// Lets time pass until nothing new has happened for `quiet_ms`, but no longer than `most_ms`.
    pub(super) fn wait_for_quiet(&mut self, quiet_ms: u64, most_ms: u64) -> Result<(), String> {
        let begun = self.now;
        self.story.news_at = begun;
        while self.now.since(self.story.news_at) < quiet_ms {
            if self.now.since(begun) > most_ms {
                return Err(format!("there is still news after {most_ms} ms"));
            }
            self.advance_to(self.now.after(100))?;
        }
        Ok(())
    }
}

/// A word of dice for each step: any spread will do, as long as it is the same in every run.
fn spread(step: u64) -> u64 {
    let word = step.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (word ^ (word >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 16
}
