//! Owns what is asked of a simulation, the phases it goes through, and what came of it: the cluster
//! is formed by commands, suffers, and is given time to converge.

use super::{
    agreement,
    engine::{Due, Engine},
    oracle::{Property, Violation},
    plan::{self, Act},
    tale::Line,
};
use fastrand::Rng;
use slotbus_core::{CLUSTER_SLOTS, Command, Config, Host, NodeId, Slot};
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

/// What is asked of a simulation. The same options give the same run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// What everything is drawn from.
    pub seed: u64,
    /// How many nodes; 5 to 9 if none.
    pub nodes: Option<usize>,
    /// How many replicas for each primary; 0 to 2 if none.
    pub replicas: Option<usize>,
    /// How long the cluster suffers, in virtual time.
    pub duration_ms: u64,
    /// It suffers for no more than so many steps.
    pub steps_max: Option<u64>,
    /// No faults, no commands once the cluster is formed, and a network of constant latency.
    pub is_quiet: bool,
    /// What the nodes are told, but for what is drawn.
    pub config: Config,
    /// What is done to the cluster while it suffers, and when; drawn if none.
    pub acts: Option<Vec<(u64, Act)>>,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// How many nodes there were.
    pub nodes: usize,
    /// How many of them began as primaries.
    pub primaries: usize,
    /// How many replicas each of these was to have.
    pub replicas: usize,
    /// The node timeout.
    pub node_timeout_ms: u64,
    /// Steps of nodes.
    pub steps: u64,
    /// Packets sent.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Faults and commands.
    pub acts: u64,
    /// Elections won.
    pub elections: u64,
    /// Steps that were due before the step that made them due was over.
    pub late_deadlines: u64,
    /// How long it took until every node knew every other.
    pub formed_ms: u64,
    /// How long it took to converge, once the faults had ended.
    pub converged_ms: u64,
    /// Virtual time in all.
    pub virtual_ms: u64,
    /// The whole run in one number.
    pub digest: u64,
}

/// What came of a simulation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What was counted.
    pub numbers: Numbers,
    /// What did not hold.
    pub violation: Option<Violation>,
    /// What was to be done to the cluster while it suffered, and when.
    pub acts: Vec<(u64, Act)>,
}

/// One run.
pub struct Simulation<'a> {
    engine: Engine<'a>,
    options: &'a Options,
    primaries: usize,
    replicas: usize,
    acts: Vec<(u64, Act)>,
}

/// How often a cluster that should converge is looked at.
const LOOK_MS: u64 = 500;
/// A formed or healed cluster has so many node timeouts to converge, and the span below.
const CONVERGE_TIMEOUTS: u64 = 30;
/// Beyond the node timeouts: handshakes and the pauses of restarts do not shrink with them.
const CONVERGE_MS: u64 = 60_000;

impl<'a> Simulation<'a> {
    /// A run that is yet to begin; every line of its schedule goes to `telling`, if there is one.
    #[must_use]
    pub fn new(options: &'a Options, telling: Option<&'a mut dyn FnMut(Line)>) -> Self {
        let mut rng = Rng::with_seed(options.seed);
        // Drawn in any case: a run is the same if it is told what it would draw.
        let (nodes, replicas) = (rng.usize(5..=9), rng.usize(0..=2));
        let (nodes, replicas) = (options.nodes.unwrap_or(nodes), options.replicas.unwrap_or(replicas));
        let primaries = (nodes / (replicas + 1)).max(1);
        let config = Arc::new(Self::drawn_config(options, &mut rng));
        let engine = Engine::new(nodes, config, options.is_quiet, rng, telling);
        Self { engine, options, primaries, replicas, acts: Vec::new() }
    }

    /// A cluster of unusual pace shows more in less time, but a quiet one keeps its configuration.
    fn drawn_config(options: &Options, rng: &mut Rng) -> Config {
        let mut config = options.config.clone();
        if options.is_quiet {
            return config;
        }
        config.timing.node_timeout_ms = [1000, 2000, 5000][rng.usize(0..3)];
        config.timing.forget_ms = 3 * config.timing.node_timeout_ms;
        config.require_full_coverage = rng.bool();
        config.allow_replica_migration = rng.u8(0..4) > 0;
        config.replica_validity_factor = if rng.bool() { 0 } else { 10 };
        config
    }

    /// Runs to its end, or until something does not hold.
    #[must_use]
    pub fn run(mut self) -> Outcome {
        let violation = self.phases().err();
        let mut numbers = self.engine.numbers;
        numbers.nodes = self.engine.machines.len();
        numbers.primaries = self.primaries;
        numbers.replicas = self.replicas;
        numbers.node_timeout_ms = self.engine.timeout_ms();
        numbers.virtual_ms = self.engine.now_ms;
        numbers.digest = self.engine.digest();
        Outcome { numbers, violation, acts: self.acts }
    }

    fn phases(&mut self) -> Result<(), Violation> {
        // Nodes that work in the same instant would send all at once.
        let cron_ms = self.options.config.cron_ms();
        self.engine.start_all(if self.options.is_quiet { cron_ms } else { 0 })?;
        self.form();
        self.engine.numbers.formed_ms = self.converge(Self::has_roles)?;
        self.engine.drop_acts();
        self.engine.is_calm = false;
        self.suffer()?;
        self.engine.calm()?;
        self.engine.numbers.converged_ms = self.converge(|run| !run.engine.has_acts_ahead())?;
        Ok(())
    }

    /// Has every primary take its slots and meet the first node, and every replica join its primary.
    fn form(&mut self) {
        let (count, primaries) = (self.engine.machines.len(), self.primaries);
        // With few slots, a primary can lose its last one.
        let is_sparse = !self.options.is_quiet && !self.engine.machines[0].config.require_full_coverage;
        for place in 0..primaries {
            let epoch = place as u64 + 1;
            self.command_at(1, place, Command::SetConfigEpoch(epoch));
            let slots = slots_of(place, primaries, if is_sparse { 2 } else { CLUSTER_SLOTS });
            self.command_at(2, place, Command::AddSlots(slots));
        }
        for place in 1..count {
            self.engine.act_at(10, Act::Readmit(place));
        }
        for place in primaries..count {
            self.engine.act_at(1000, Act::Replicate(place, (place - primaries) % primaries));
        }
    }

    fn command_at(&mut self, after_ms: u64, place: usize, command: Command) {
        self.engine.push(self.engine.now_ms + after_ms, Due::Command(place, Box::new(command)));
    }

    fn suffer(&mut self) -> Result<(), Violation> {
        let start_ms = self.engine.now_ms;
        let end_ms = start_ms + self.options.duration_ms;
        if !self.options.is_quiet {
            let count = self.engine.machines.len();
            let timeout_ms = self.engine.timeout_ms();
            let drawn = plan::draw(&mut self.engine.rng, count, start_ms..end_ms, timeout_ms);
            self.acts = self.options.acts.clone().unwrap_or(drawn);
            self.acts.sort_by_key(|(at_ms, _)| *at_ms);
            for (at_ms, act) in &self.acts {
                self.engine.push(*at_ms, Due::Act(Box::new(act.clone())));
            }
        }
        let steps_max =
            self.options.steps_max.map_or(u64::MAX, |steps| self.engine.numbers.steps.saturating_add(steps));
        self.engine.run_until(end_ms, steps_max)
    }

    /// Whether every replica that there is to be is one.
    fn has_roles(&self) -> bool {
        let nodes = self.engine.machines.iter().filter_map(|machine| machine.node.as_ref());
        nodes.filter(|node| node.myself().is_primary()).count() == self.primaries
    }

    /// Runs until nothing is to be waited for and all nodes agree, and says how long that took; a
    /// violation if it takes too long.
    fn converge(&mut self, is_ready: impl Fn(&Self) -> bool) -> Result<u64, Violation> {
        let start_ms = self.engine.now_ms;
        let end_ms = start_ms + CONVERGE_MS + CONVERGE_TIMEOUTS * self.engine.timeout_ms();
        loop {
            let next_ms = self.engine.now_ms + LOOK_MS;
            self.engine.run_until(next_ms, u64::MAX)?;
            if !is_ready(self) && next_ms < end_ms {
                continue;
            }
            let difference = agreement::difference(&self.engine.machines);
            match difference {
                None => return Ok(self.engine.now_ms - start_ms),
                Some((machine, seen)) if next_ms >= end_ms => {
                    let at_ms = self.engine.now_ms;
                    return Err(Violation { property: Property::Converge, at_ms, machine, seen });
                }
                Some(_) => {}
            }
        }
    }
}

/// The slots of one of so many primaries: `most` in all for each, from the beginning of its share.
fn slots_of(place: usize, primaries: usize, most: usize) -> Vec<Slot> {
    let start = place * CLUSTER_SLOTS / primaries;
    let end = (place + 1) * CLUSTER_SLOTS / primaries;
    (start..end.min(start + most)).map(|index| Slot(u16::try_from(index).unwrap_or(u16::MAX))).collect()
}

/// The ids of so many nodes, in no order.
pub(super) fn ids(rng: &mut Rng, count: usize) -> Vec<NodeId> {
    let mut found = BTreeMap::new();
    while found.len() < count {
        let mut id = [0; 20];
        rng.fill(&mut id);
        found.insert(NodeId(id), ());
    }
    let mut ids: Vec<NodeId> = found.into_keys().collect();
    rng.shuffle(&mut ids);
    ids
}

/// The address of the first machine; the others follow it.
const FIRST_IP: u32 = 0x0a00_0001;

/// The address of a machine.
pub(super) fn ip(place: usize) -> Host {
    let bits = FIRST_IP + u32::try_from(place).unwrap_or_default();
    Host::Ip(IpAddr::V4(Ipv4Addr::from_bits(bits)))
}

/// The machine of an address, if there are so many.
pub(super) fn place(host: &Host) -> Option<usize> {
    match host {
        Host::Ip(IpAddr::V4(ip)) => usize::try_from(ip.to_bits().checked_sub(FIRST_IP)?).ok(),
        Host::Ip(IpAddr::V6(_)) | Host::Name(_) | Host::Unknown => None,
    }
}
