//! The nodes of a run and the network between them: forms the cluster, has each fault happen to it, and says
//! whether all nodes tell the same in the end. Owns the processes; knows of the protocol what CLUSTER
//! commands show.

use super::{
    mover::{self, Move, Mover},
    network::{Counts, Door, Network, Traffic, ways_across},
    schedule::{Fault, Scenario},
};
use crate::cluster::{self, NodeLine, Program, Server, free_port, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use slotbus_core::{CLUSTER_SLOTS, Slot, SlotSet};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

const BUS_PORT_OFFSET: u16 = 10_000;
/// A node that is killed has what it acknowledged when it returns: that it would return empty is no news.
const DURABLE: [&str; 2] = ["--appendonly", "yes"];
/// A cluster without faults forms within.
const FORMED_WITHIN: Duration = Duration::from_secs(60);
/// So often open slots are closed: what could not be closed at first may be after others.
const MENDS_MAX: usize = 4;
/// Slots that stay nobody's for so many node timeouts, while all else is well, stay so for ever.
const STUCK_TIMEOUTS: u32 = 5;
const FAILOVER_TIMEOUT: Duration = Duration::from_secs(1);

/// What others need of a node to talk to it: where, and in which of its lives it is.
#[derive(Clone, Debug)]
pub struct Contact {
    /// Its own client port.
    pub port: u16,
    /// The client port that it announces.
    pub announced: u16,
    /// Counts its processes.
    pub life: Arc<AtomicU32>,
}

/// The nodes.
#[derive(Debug)]
pub struct Fleet {
    scenario: Scenario,
    servers: Vec<Server>,
    contacts: Vec<Contact>,
    ids: Vec<String>,
    network: Network,
    mover: Mover,
    /// How often each node's process is to be there and to run: faults overlap.
    held: BTreeMap<(usize, Stop), u32>,
}

/// What keeps a process from running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stop {
    Dead,
    Paused,
}

impl Fleet {
    /// Starts the nodes of a scenario, which run the programs in turn, and forms their cluster.
    pub fn form(scenario: &Scenario, programs: &[Program], folder: &Path) -> Result<Self, String> {
        let (mut servers, mut contacts, mut doors) = (Vec::new(), Vec::new(), Vec::new());
        for (node, program) in programs.iter().cycle().take(scenario.nodes).enumerate() {
            let announced = free_port()?;
            let (port, bus_port) = (announced.to_string(), (announced + BUS_PORT_OFFSET).to_string());
            let announced_ports = ["--cluster-announce-port", &port, "--cluster-announce-bus-port", &bus_port];
            let extra = [announced_ports.as_slice(), &DURABLE].concat();
            let server = Server::prepare(program, folder, scenario.node_timeout_ms, &extra)?;
            let target = server.port();
            doors.push(Door { node, traffic: Traffic::Replication, announced, target });
            let (announced_bus, target_bus) = (announced + BUS_PORT_OFFSET, target + BUS_PORT_OFFSET);
            doors.push(Door { node, traffic: Traffic::Bus, announced: announced_bus, target: target_bus });
            contacts.push(Contact { port: target, announced, life: Arc::default() });
            servers.push(server);
        }
        let network = Network::new(scenario.seed, &doors)?;
        let (held, ids, mover) = (BTreeMap::new(), Vec::new(), Mover::default());
        let mut fleet = Self { scenario: scenario.clone(), servers, contacts, ids, network, mover, held };
        fleet.start()?;
        fleet.meet()?;
        fleet.replicate()?;
        let formed = wait_until(FORMED_WITHIN, || fleet.differences().is_empty());
        formed.map_err(|why| format!("the cluster does not form {why}: {}", fleet.differences().join("; ")))?;
        Ok(fleet)
    }

    fn start(&mut self) -> Result<(), String> {
        for (node, server) in self.servers.iter_mut().enumerate() {
            server.restart()?;
            let id = server.text(&["CLUSTER", "MYID"])?;
            self.network.introduce(id.parse().map_err(|error| format!("'{id}': {error}"))?, node);
            self.ids.push(id);
        }
        Ok(())
    }

    /// Gives the primaries epochs and slots, and has all nodes meet the first.
    fn meet(&self) -> Result<(), String> {
        let primaries = self.scenario.primaries();
        for (node, server) in self.servers.iter().enumerate() {
            server.text(&["CLUSTER", "SET-CONFIG-EPOCH", &(node + 1).to_string()])?;
        }
        cluster::assign_slots(&self.servers[..primaries])?;
        for contact in &self.contacts[1..] {
            let (port, bus_port) = (contact.announced.to_string(), (contact.announced + BUS_PORT_OFFSET).to_string());
            self.servers[0].text(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus_port])?;
        }
        let count = self.servers.len();
        let are_known = || self.servers.iter().all(|server| server.nodes().is_ok_and(|lines| lines.len() == count));
        wait_until(FORMED_WITHIN, are_known).map_err(|why| format!("not every node knows all others {why}"))?;
        Ok(())
    }

    fn replicate(&self) -> Result<(), String> {
        let primaries = self.scenario.primaries();
        for (node, server) in self.servers.iter().enumerate().skip(primaries) {
            let primary = &self.ids[node % primaries];
            let outcome = wait_until(FORMED_WITHIN, || server.text(&["CLUSTER", "REPLICATE", primary]).is_ok());
            outcome.map_err(|why| format!("node {node} does not become a replica {why}"))?;
        }
        Ok(())
    }

    /// Where the nodes are reached.
    #[must_use]
    pub fn contacts(&self) -> &[Contact] {
        &self.contacts
    }

    /// What nodes said to each other that must never be said.
    #[must_use]
    pub fn breaches(&self) -> Vec<String> {
        self.network.double_votes()
    }

    /// Has packets be lost as the scenario says.
    pub fn begin(&self) {
        self.network.lose(self.scenario.loss_percent);
    }

    /// Begins or ends a fault.
    pub fn perform(&mut self, fault: &Fault, begins: bool) -> Result<(), String> {
        match fault {
            Fault::Partition(side) => {
                let ways = ways_across(side, self.servers.len());
                ways.into_iter().for_each(|way| self.network.hold(way, begins));
            }
            Fault::Deaf(way) => self.network.hold(*way, begins),
            Fault::Cut(way) => self.network.cut(*way, begins),
            Fault::Delay(way, by_ms) => {
                self.network.delay(*way, Duration::from_millis(if begins { *by_ms } else { 0 }));
            }
            Fault::Copy(way) => self.network.copy(*way, begins),
            Fault::Reset(way) if begins => self.network.reset(*way),
            Fault::Failover(node) if begins => self.ask_to_fail_over(*node),
            Fault::Move(way, count) if begins => self.mover.begin(&self.contacts, &self.ids, *way, *count),
            Fault::Reset(_) | Fault::Failover(_) | Fault::Move(..) | Fault::Rest => {}
            Fault::Kill(node) => return self.stop(*node, Stop::Dead, begins),
            Fault::Pause(node) => return self.stop(*node, Stop::Paused, begins),
        }
        Ok(())
    }

    /// A node that is no replica, or cannot be asked, refuses: that is its right.
    fn ask_to_fail_over(&self, node: usize) {
        let port = self.contacts[node].port;
        thread::spawn(move || {
            let mut connection = cluster::connect(port, FAILOVER_TIMEOUT)?;
            let asked: Result<String, _> = redis::cmd("CLUSTER").arg("FAILOVER").query(&mut connection);
            asked.map_err(|error| error.to_string())
        });
    }

    fn stop(&mut self, node: usize, how: Stop, begins: bool) -> Result<(), String> {
        let number = self.held.entry((node, how)).or_default();
        if !begins && *number == 0 {
            // A rest has ended it already.
            return Ok(());
        }
        *number = if begins { *number + 1 } else { *number - 1 };
        let is_change = *number == u32::from(begins);
        match (how, begins) {
            _ if !is_change => Ok(()),
            (Stop::Dead, true) => {
                self.contacts[node].life.fetch_add(1, Ordering::SeqCst);
                self.servers[node].kill();
                Ok(())
            }
            (Stop::Dead, false) => {
                self.servers[node].restart()?;
                self.signal(node, if self.is(node, Stop::Paused) { Signal::STOP } else { Signal::CONT })
            }
            (Stop::Paused, true) => self.signal(node, Signal::STOP),
            (Stop::Paused, false) => self.signal(node, Signal::CONT),
        }
    }

    fn is(&self, node: usize, how: Stop) -> bool {
        self.held.get(&(node, how)).is_some_and(|&number| number > 0)
    }

    /// A dead node hears no signal.
    fn signal(&self, node: usize, signal: Signal) -> Result<(), String> {
        let process = self.servers[node].process_id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        process.map_or(Ok(()), |process| kill_process(process, signal)).map_err(|error| format!("node {node}: {error}"))
    }

    /// Ends every fault, and says what the network has passed and lost meanwhile.
    pub fn calm(&mut self) -> Result<Counts, String> {
        self.mover.call_off();
        let counts = self.network.calm();
        let left: Vec<_> = self.held.iter().filter(|(_, number)| **number > 0).map(|(held, _)| *held).collect();
        for (node, how) in left {
            self.held.insert((node, how), 1);
            self.stop(node, how, false)?;
        }
        Ok(counts)
    }

    /// Waits until all nodes tell the same.
    pub fn converge(&self, within: Duration) -> Convergence {
        let mut last = Vec::new();
        let took = wait_until(within, || {
            let found = self.differences();
            let is_one_mind = found.is_empty();
            if !is_one_mind {
                last = found;
            }
            is_one_mind
        });
        Convergence { is_one_mind: took.is_ok(), last }
    }

    /// Closes the slots that are open on some node, once all tell the same of the others, and gives those away that stay
    /// nobody's. Says how many these were.
    pub fn mend(&self, within: Duration) -> Result<usize, String> {
        let (mut why, mut orphans) = (String::new(), SlotSet::<CLUSTER_SLOTS>::new());
        for _ in 0..MENDS_MAX {
            let mut loose = self.open_slots();
            self.settle(&loose, within);
            let unclaimed = self.unclaimed_slots();
            if loose.is_empty() && unclaimed.is_empty() {
                break;
            }
            self.bind(&loose);
            self.clear_stale_marks();
            unclaimed.iter().filter(|slot| !loose.contains(*slot)).for_each(|slot| {
                orphans.insert(slot);
                self.give_away(slot);
            });
            let has_open = !loose.is_empty();
            loose.insert_all(&unclaimed);
            // Where they do not come to serve, the judge will see it.
            let _ = wait_until(within, || self.differences_but_for(&loose).is_empty() && self.is_up());
            if has_open {
                why = mover::mend(&self.contacts[0]).err().unwrap_or_default();
            }
        }
        if !self.open_slots().is_empty() {
            return Err(why);
        }
        self.mover.conclude();
        Ok(orphans.len())
    }

    /// Has the primary that holds the most keys of a slot take it, under a new epoch, as redis-cli would have it.
    fn give_away(&self, slot: Slot) {
        let number = slot.0.to_string();
        let keys = |server: &&Server| server.call::<u64>(&["CLUSTER", "COUNTKEYSINSLOT", &number]).unwrap_or_default();
        let Some(taker) = self.servers.iter().filter(|server| server.is_primary()).max_by_key(keys) else { return };
        // It refuses to drop what it does not think anybody has.
        let _ = taker.text(&["CLUSTER", "DELSLOTS", &number]);
        let taken = taker.text(&["CLUSTER", "ADDSLOTS", &number]);
        let _ = taken.and_then(|_| taker.text(&["CLUSTER", "BUMPEPOCH"]));
    }

    /// Waits until all tell the same but for the slots that are open, or stay apart in nothing else but slots that nobody
    /// claims for himself.
    fn settle(&self, open: &SlotSet<CLUSTER_SLOTS>, within: Duration) {
        let patience = Duration::from_millis(self.scenario.node_timeout_ms) * STUCK_TIMEOUTS;
        let mut stuck_since: Option<Instant> = None;
        // Where they do not come to tell the same, the judge will see it.
        let _ = wait_until(within, || {
            if self.differences_but_for(open).is_empty() {
                return true;
            }
            let mut loose = self.unclaimed_slots();
            loose.insert_all(open);
            let is_stuck = self.differences_but_for(&loose).is_empty();
            stuck_since = is_stuck.then(|| stuck_since.unwrap_or_else(Instant::now));
            stuck_since.is_some_and(|since| since.elapsed() > patience)
        });
    }

    /// The slots that no node claims for itself.
    fn unclaimed_slots(&self) -> SlotSet<CLUSTER_SLOTS> {
        let mut unclaimed = SlotSet::range(0, CLUSTER_SLOTS as u16 - 1);
        for line in self.servers.iter().flat_map(|server| server.nodes().unwrap_or_default()) {
            let own = line.slot_set().filter(|_| line.is("myself")).unwrap_or_default();
            own.iter().for_each(|slot| {
                unclaimed.remove(slot);
            });
        }
        unclaimed
    }

    /// Whether every node serves requests.
    fn is_up(&self) -> bool {
        self.servers.iter().all(|server| server.cluster_info("cluster_state").is_ok_and(|state| state == "ok"))
    }

    /// Tells nodes who has the open slots that are nobody's in their view. redis-server takes no claim to a slot that it is
    /// importing: if its owner was replaced meanwhile, the slot is nobody's there, the node serves nothing, and redis-cli
    /// cannot close it.
    fn bind(&self, open: &SlotSet<CLUSTER_SLOTS>) {
        let views: Vec<_> = self.servers.iter().map(|server| server.nodes().unwrap_or_default()).collect();
        let has = |line: &NodeLine, slot| line.slot_set().is_some_and(|slots| slots.contains(slot));
        for slot in open.iter() {
            let claims = views.iter().flatten().filter(|line| has(line, slot));
            let owner = claims.max_by_key(|line| line.epoch.parse::<u64>().unwrap_or_default());
            let Some(owner) = owner else { continue };
            let unaware = self.servers.iter().zip(&views).filter(|(_, view)| !view.iter().any(|line| has(line, slot)));
            for (server, _) in unaware {
                // A replica refuses, and hears of it from its primary.
                let _ = server.text(&["CLUSTER", "SETSLOT", &slot.0.to_string(), "NODE", &owner.id]);
            }
        }
    }

    /// Closes slots at nodes that show them as migrating and do not have them: redis-server keeps the mark when another
    /// node takes the slot, and redis-cli would move it from there.
    fn clear_stale_marks(&self) {
        for server in &self.servers {
            let lines = server.nodes().unwrap_or_default();
            for slot in lines.iter().filter(|line| line.is("myself")).flat_map(NodeLine::stale_marks) {
                // A replica refuses, and is not asked by redis-cli.
                let _ = server.text(&["CLUSTER", "SETSLOT", &slot.0.to_string(), "STABLE"]);
            }
        }
    }

    /// The slots that some node shows as importing or migrating.
    fn open_slots(&self) -> SlotSet<CLUSTER_SLOTS> {
        let lines = self.servers.iter().flat_map(|server| server.nodes().unwrap_or_default());
        let mut open = SlotSet::new();
        for line in lines {
            line.open_slots().for_each(|slot| {
                open.insert(slot);
            });
        }
        open
    }

    /// The slots that an administrator has moved, or tried to.
    #[must_use]
    pub fn moves(&self) -> Vec<Move> {
        self.mover.moves()
    }

    /// Why this is not a whole cluster of one mind; empty if it is.
    #[must_use]
    pub fn differences(&self) -> Vec<String> {
        self.differences_but_for(&SlotSet::new())
    }

    /// The same, whoever has the slots that are open.
    fn differences_but_for(&self, open: &SlotSet<CLUSTER_SLOTS>) -> Vec<String> {
        let views: Vec<_> = self.servers.iter().map(Server::nodes).collect();
        let mut found = Vec::new();
        let mut first: Option<BTreeMap<String, Told>> = None;
        for (node, view) in views.iter().enumerate() {
            match view {
                Err(why) => found.push(format!("node {node} does not answer: {why}")),
                Ok(lines) => {
                    found.extend(self.faults_of_view(node, lines, open.is_empty()));
                    let told = self.told(lines, open);
                    let first = first.get_or_insert_with(|| told.clone());
                    found.extend(differing(node, first, &told));
                }
            }
        }
        let whole = first.iter().flat_map(|told| self.faults_of_cluster(told, open));
        let whole: Vec<_> = whole.collect();
        found.into_iter().chain(whole).collect()
    }

    fn told(&self, lines: &[NodeLine], open: &SlotSet<CLUSTER_SLOTS>) -> BTreeMap<String, Told> {
        lines.iter().map(|line| (self.name(&line.id), Told::of(line, &self.name(&line.primary), open))).collect()
    }

    /// A node's name in reports.
    fn name(&self, id: &str) -> String {
        let number = self.ids.iter().position(|known| known == id);
        number.map_or_else(|| id.to_owned(), |number| format!("node {number}"))
    }

    fn faults_of_view(&self, node: usize, lines: &[NodeLine], must_serve: bool) -> Vec<String> {
        let mut found = Vec::new();
        if lines.len() != self.servers.len() {
            found.push(format!("node {node} knows {} nodes", lines.len()));
        }
        for line in lines {
            let bad = ["fail", "fail?", "handshake", "noaddr"].into_iter().find(|flag| line.is(flag));
            let bad = bad.or((!line.connected).then_some("disconnected"));
            found.extend(bad.map(|what| format!("node {node} shows {} as {what}", self.name(&line.id))));
        }
        let server = &self.servers[node];
        let state = server.cluster_info("cluster_state").unwrap_or_default();
        if must_serve && state != "ok" {
            found.push(format!("the cluster state of node {node} is {state}"));
        }
        let is_replica = lines.iter().any(|line| line.is("myself") && line.is("slave"));
        let is_linked =
            || server.text(&["INFO", "replication"]).is_ok_and(|info| info.contains("master_link_status:up"));
        if is_replica && !is_linked() {
            found.push(format!("node {node} has no link to its primary"));
        }
        found
    }

    fn faults_of_cluster(&self, told: &BTreeMap<String, Told>, open: &SlotSet<CLUSTER_SLOTS>) -> Vec<String> {
        let mut found = Vec::new();
        let mut covered = open.clone();
        let mut epochs = BTreeMap::new();
        for (name, told) in told.iter().filter(|(_, told)| !told.slots.is_empty()) {
            covered.insert_all(&told.slots);
            if let Some(other) = epochs.insert(told.epoch.clone(), name) {
                found.push(format!("{other} and {name} have the same config epoch {}", told.epoch));
            }
        }
        if covered.len() < CLUSTER_SLOTS {
            found.push(format!("nobody serves {} slots", CLUSTER_SLOTS - covered.len()));
        }
        found
    }

    /// Ends the processes in order, and says where their traces are.
    pub fn shut_down(mut self) -> Vec<PathBuf> {
        self.servers.iter_mut().for_each(Server::shut_down);
        self.servers.iter().flat_map(Server::trace_files).collect()
    }
}

/// How the nodes came to tell the same, if they did.
#[derive(Clone, Debug, Default)]
pub struct Convergence {
    /// Whether they did.
    pub is_one_mind: bool,
    /// In what they differed last.
    pub last: Vec<String>,
}

/// What one node says of another that all must say alike.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    role: String,
    epoch: String,
    slots: SlotSet<CLUSTER_SLOTS>,
}

impl Told {
    fn of(line: &NodeLine, primary: &str, open: &SlotSet<CLUSTER_SLOTS>) -> Self {
        let role = if line.is("slave") { format!("a replica of {primary}") } else { "a primary".to_owned() };
        let mut slots = line.slot_set().unwrap_or_default();
        open.iter().for_each(|slot| {
            slots.remove(slot);
        });
        Self { role, epoch: line.epoch.clone(), slots }
    }
}

fn differing(node: usize, first: &BTreeMap<String, Told>, told: &BTreeMap<String, Told>) -> Vec<String> {
    let mut found = Vec::new();
    for (name, told) in told {
        match first.get(name) {
            None => found.push(format!("node {node} knows {name}, and others do not")),
            Some(other) if other != told => {
                let Told { role, epoch, slots } = told;
                let said = format!("node {node} says that {name} is {role}, epoch {epoch}, slots {slots}");
                found.push(format!("{said}; others say {}, epoch {}, slots {}", other.role, other.epoch, other.slots));
            }
            Some(_) => {}
        }
    }
    found
}
