//! The network between the nodes of a run: every connection between two of them passes through here, those
//! of the bus and those of replication. Owns what may pass, when, and what is lost; knows of a bus packet
//! where it ends and who sent it, and of replication who follows.

use super::line::{self, Line};
use crate::scripted::relay::Speaker;
use slotbus_core::NodeId;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, TcpListener},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

const ACCEPT_INTERVAL: Duration = Duration::from_millis(5);

/// From one node to another, by their numbers.
pub type Way = (usize, usize);

/// Which of a node's two ports a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Traffic {
    /// Packets of the cluster bus.
    Bus,
    /// The stream of a primary's writes.
    Replication,
}

/// A port at which a node is reached through the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Door {
    /// Whose it is.
    pub node: usize,
    /// What comes there.
    pub traffic: Traffic,
    /// The port that the node announces.
    pub announced: u16,
    /// The port that it listens at.
    pub target: u16,
}

/// How many packets of the bus were sent, and how many of them were lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sent by a node.
    pub sent: u64,
    /// Dropped on the way.
    pub lost: u64,
}

/// What the network does at the moment. Faults overlap, so that what they do is counted.
#[derive(Debug, Default)]
struct Weather {
    loss_percent: u8,
    held: BTreeMap<Way, u32>,
    cut: BTreeMap<Way, u32>,
    copied: BTreeMap<Way, u32>,
    delays: BTreeMap<Way, Duration>,
}

#[derive(Debug)]
struct State {
    is_closed: bool,
    opened: u64,
    weather: Weather,
    lines: Vec<Line>,
    names: BTreeMap<NodeId, usize>,
    dice: BTreeMap<(Way, Speaker), fastrand::Rng>,
    counts: Counts,
    /// For whom each node voted in each epoch.
    votes: BTreeMap<(usize, u64), BTreeSet<usize>>,
}

/// What every thread of the network shares.
#[derive(Debug)]
pub(super) struct Shared {
    seed: u64,
    followers: BTreeMap<u16, usize>,
    state: Mutex<State>,
    changed: Condvar,
}

/// The network. Its threads end with it.
#[derive(Debug)]
pub struct Network(Arc<Shared>);

impl Network {
    /// A network of these doors, whose losses are drawn from `seed`.
    pub fn new(seed: u64, doors: &[Door]) -> Result<Self, String> {
        let is_data = |door: &&Door| door.traffic == Traffic::Replication;
        let followers = doors.iter().filter(is_data).map(|door| (door.target, door.node)).collect();
        let state = State {
            is_closed: false,
            opened: 0,
            weather: Weather::default(),
            lines: Vec::new(),
            names: BTreeMap::new(),
            dice: BTreeMap::new(),
            counts: Counts::default(),
            votes: BTreeMap::new(),
        };
        let (state, changed) = (Mutex::new(state), Condvar::new());
        let network = Self(Arc::new(Shared { seed, followers, state, changed }));
        for door in doors {
            let failed = |error| format!("cannot listen on port {}: {error}", door.announced);
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, door.announced)).map_err(failed)?;
            listener.set_nonblocking(true).map_err(failed)?;
            let (shared, door) = (Arc::clone(&network.0), *door);
            thread::spawn(move || accept(&shared, &listener, door));
        }
        Ok(network)
    }

    /// Says which node has this id. Before that its connections are nobody's, and nothing happens to them.
    pub fn introduce(&self, id: NodeId, node: usize) {
        self.0.lock().names.insert(id, node);
    }

    /// How many of a hundred packets of the bus are lost from now on. Counts anew.
    pub fn lose(&self, percent: u8) {
        let mut state = self.0.lock();
        state.weather.loss_percent = percent;
        state.counts = Counts::default();
    }

    /// Holds back all that goes this way, or takes back one such order. What is held arrives later, unless
    /// its connection ends before.
    pub fn hold(&self, way: Way, is_held: bool) {
        self.0.change(|weather| count(&mut weather.held, way, is_held));
    }

    /// Lets there be no connection between two nodes, or takes back one such order.
    pub fn cut(&self, (one, other): Way, is_cut: bool) {
        self.0.change(|weather| {
            count(&mut weather.cut, (one, other), is_cut);
            count(&mut weather.cut, (other, one), is_cut);
        });
        if is_cut {
            self.reset((one, other));
        }
    }

    /// Has the PINGs that go this way arrive on a second connection too, or takes back one such order.
    pub fn copy(&self, way: Way, is_copied: bool) {
        self.0.change(|weather| count(&mut weather.copied, way, is_copied));
    }

    /// Has all that goes this way take so much longer from now on.
    pub fn delay(&self, way: Way, by: Duration) {
        self.0.change(|weather| {
            weather.delays.insert(way, by);
        });
    }

    /// Breaks every connection between two nodes.
    pub fn reset(&self, (one, other): Way) {
        self.0.end(|line| line.joins(one, other));
    }

    /// The votes of one node for two in one epoch: there must be none.
    #[must_use]
    pub fn double_votes(&self) -> Vec<String> {
        let state = self.0.lock();
        let double = state.votes.iter().filter(|(_, candidates)| candidates.len() > 1);
        let text = |((voter, epoch), candidates): (&(usize, u64), &BTreeSet<usize>)| {
            format!("ELECT-3: node {voter} voted in epoch {epoch} for each of {candidates:?}")
        };
        double.map(text).collect()
    }

    /// Has nothing more happen to what passes, and says what was counted until now. Connections with a hole
    /// in their streams break now: no transport that nodes speak loses something and goes on for ever.
    pub fn calm(&self) -> Counts {
        self.0.change(|weather| *weather = Weather::default());
        self.0.end(|line| line.has_hole);
        self.0.lock().counts
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.0.lock().is_closed = true;
        self.0.end(|_| true);
    }
}

fn count(orders: &mut BTreeMap<Way, u32>, way: Way, is_more: bool) {
    let number = orders.entry(way).or_default();
    *number = if is_more { *number + 1 } else { number.saturating_sub(1) };
}

fn is_ordered(orders: &BTreeMap<Way, u32>, way: Way) -> bool {
    orders.get(&way).is_some_and(|&number| number > 0)
}

/// What becomes of a piece of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fate {
    /// When it may go on; none if it is lost.
    pub(super) due: Option<Instant>,
    /// Whether it is told twice.
    pub(super) is_copied: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Weather)) {
        change(&mut self.lock().weather);
        self.changed.notify_all();
    }

    /// Takes up a new connection, and says its number.
    pub(super) fn begin(&self, make: impl FnOnce(u64) -> Line) -> u64 {
        let mut state = self.lock();
        state.opened += 1;
        let number = state.opened;
        state.lines.push(make(number));
        number
    }

    /// Ends connections for both ends.
    pub(super) fn end(&self, is_meant: impl Fn(&Line) -> bool) {
        let mut state = self.lock();
        state.lines.extract_if(.., |line| is_meant(line)).for_each(|line| line.shut());
        drop(state);
        self.changed.notify_all();
    }

    /// Finds out who opened a connection from the first bytes that it said.
    pub(super) fn recognise(&self, number: u64, said: &[u8]) {
        let mut state = self.lock();
        let State { lines, names, .. } = &mut *state;
        if let Some(line) = lines.iter_mut().find(|line| line.number == number && line.caller.is_none()) {
            line.caller = match line.door.traffic {
                Traffic::Bus => line::sender(said).and_then(|id| names.get(&id).copied()),
                Traffic::Replication => line::listening_port(said).and_then(|port| self.followers.get(&port).copied()),
            };
        }
    }

    /// Decides what becomes of a packet or of some bytes of replication; none if their connection is over.
    pub(super) fn decide(&self, number: u64, speaker: Speaker, bytes: &[u8]) -> Option<Fate> {
        let mut state = self.lock();
        let line = state.lines.iter().find(|line| line.number == number)?;
        let (way, door) = (line.way(speaker), line.door);
        let is_bus = door.traffic == Traffic::Bus;
        let weather = &state.weather;
        if way.is_some_and(|way| is_ordered(&weather.cut, way)) {
            return None;
        }
        let loss_percent = weather.loss_percent;
        let delay = way.and_then(|way| weather.delays.get(&way)).copied().unwrap_or_default();
        let is_copied = is_bus && way.is_some_and(|way| is_ordered(&weather.copied, way));
        let is_lost = is_bus && way.is_some_and(|way| state.draws(self.seed, way, speaker) < loss_percent);
        if is_bus {
            state.counts.sent += 1;
            state.counts.lost += u64::from(is_lost);
            let line = state.lines.iter_mut().find(|line| line.number == number)?;
            line.has_hole |= is_lost;
            if let (Some((from, to)), Some(epoch)) = (way, line::vote(bytes)) {
                state.votes.entry((from, epoch)).or_default().insert(to);
            }
        }
        Some(Fate { due: (!is_lost).then(|| Instant::now() + delay), is_copied })
    }

    /// Waits until what `speaker` says on a connection may pass; false if the connection is over.
    pub(super) fn may_pass(&self, number: u64, speaker: Speaker) -> bool {
        let mut state = self.lock();
        loop {
            let Some(line) = state.lines.iter().find(|line| line.number == number) else { return false };
            let is_held = line.way(speaker).is_some_and(|way| is_ordered(&state.weather.held, way));
            if !is_held {
                return true;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl State {
    /// The next draw, below a hundred, for what one end says this way: the same from run to run.
    fn draws(&mut self, seed: u64, way: Way, speaker: Speaker) -> u8 {
        let fresh = || {
            let place = (way.0 as u64) << 32 | (way.1 as u64) << 1 | u64::from(speaker == Speaker::Called);
            fastrand::Rng::with_seed(seed ^ fastrand::Rng::with_seed(place).u64(..))
        };
        self.dice.entry((way, speaker)).or_insert_with(fresh).u8(..100)
    }
}

fn accept(shared: &Arc<Shared>, listener: &TcpListener, door: Door) {
    while !shared.lock().is_closed {
        match listener.accept() {
            // Where the node does not listen, the caller's connection ends, as it would without a network.
            Ok((caller, _)) => drop(line::join(shared, caller, door)),
            Err(_) => thread::sleep(ACCEPT_INTERVAL),
        }
    }
}

/// Every way between one side and the others of `count` nodes, both directions.
#[must_use]
pub fn ways_across(side: &BTreeSet<usize>, count: usize) -> Vec<Way> {
    let all = (0..count).flat_map(|from| (0..count).map(move |to| (from, to)));
    all.filter(|(from, to)| side.contains(from) != side.contains(to)).collect()
}
