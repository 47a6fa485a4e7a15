//! What happens to a cluster, and when: drawn from a seed, or read from a text of a few lines. Owns the
//! faults and the text of a scenario; performs none of them.

use super::network::Way;
use std::{collections::BTreeSet, fmt};

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing passes between these nodes and the others; what is on its way waits.
    Partition(BTreeSet<usize>),
    /// Nothing passes one way; what is on its way waits.
    Deaf(Way),
    /// There is no connection between two nodes.
    Cut(Way),
    /// The connections between two nodes break once.
    Reset(Way),
    /// All that goes one way takes longer, by so many milliseconds.
    Delay(Way, u64),
    /// PINGs that go one way arrive on a second connection too.
    Copy(Way),
    /// The process is killed, and started again at the end.
    Kill(usize),
    /// The process stands still.
    Pause(usize),
    /// An administrator asks the node to take over from its primary.
    Failover(usize),
    /// An administrator moves so many slots from one node's shard to another's.
    Move(Way, u16),
    /// Every fault ends, and the cluster must come to one mind before the next one begins.
    Rest,
}

/// A fault and its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When it begins, in milliseconds after the cluster was formed.
    pub at_ms: u64,
    /// How long it lasts.
    pub for_ms: u64,
    /// What happens.
    pub fault: Fault,
}

/// A whole run: the cluster, and what happens to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// What losses and writers are drawn from.
    pub seed: u64,
    /// How many nodes.
    pub nodes: usize,
    /// How many replicas each primary has.
    pub replicas: usize,
    /// How many of a hundred bus packets are lost.
    pub loss_percent: u8,
    /// The node timeout.
    pub node_timeout_ms: u64,
    /// How long faults go on.
    pub duration_ms: u64,
    /// What happens besides.
    pub events: Vec<Event>,
}

/// From the end of one drawn event to the beginning of the next, at most.
const PAUSE_MAX_MS: u64 = 2500;
/// No fault is shorter, unless the time is over.
const FAULT_MIN_MS: u64 = 200;
/// So many slots are moved at once, at most.
const MOVED_MAX: u16 = 200;

/// What may be drawn beside faults of the network and of processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drawing {
    /// Whether slots are moved.
    pub moves_slots: bool,
    /// After how much time with faults there is a rest, in milliseconds; none at 0.
    pub rest_every_ms: u64,
}

impl Scenario {
    /// How many primaries the cluster begins with.
    #[must_use]
    pub fn primaries(&self) -> usize {
        self.nodes / (self.replicas + 1)
    }

    /// Why this cannot be run, if it cannot.
    pub fn check(&self) -> Result<(), String> {
        let bad_node = self.events.iter().flat_map(|event| event.fault.nodes()).find(|&node| node >= self.nodes);
        if let Some(node) = bad_node {
            return Err(format!("there is no node {node}: they count from 0 to {}", self.nodes.saturating_sub(1)));
        }
        match self {
            Self { nodes: ..2 | 33.., .. } => Err(format!("{} nodes are not from 2 to 32", self.nodes)),
            Self { loss_percent: 101.., .. } => Err(format!("{} % cannot be lost", self.loss_percent)),
            Self { node_timeout_ms: ..100, .. } => Err("the node timeout is shorter than 100 ms".to_owned()),
            _ if self.primaries() == 0 || self.primaries() * (self.replicas + 1) != self.nodes => {
                Err(format!("{} nodes are not primaries with {} replicas each", self.nodes, self.replicas))
            }
            _ => Ok(()),
        }
    }

    /// Draws what happens from the seed, in place of what was to happen.
    #[must_use]
    pub fn drawn(mut self, drawing: Drawing) -> Self {
        let mut dice = fastrand::Rng::with_seed(self.seed);
        self.events = Vec::new();
        let mut at_ms = dice.u64(FAULT_MIN_MS..PAUSE_MAX_MS);
        while at_ms + FAULT_MIN_MS < self.duration_ms {
            let longest = (self.node_timeout_ms * 3).max(FAULT_MIN_MS + 1).min(self.duration_ms - at_ms);
            let for_ms = dice.u64(FAULT_MIN_MS.min(longest - 1)..longest);
            let fault = if drawing.moves_slots && dice.u8(..4) == 0 {
                Fault::Move(draw_way(&mut dice, self.nodes), dice.u16(1..=MOVED_MAX))
            } else {
                draw_fault(&mut dice, self.nodes, self.node_timeout_ms)
            };
            let for_ms = if fault.is_instant() { 0 } else { for_ms };
            self.events.push(Event { at_ms, for_ms, fault });
            at_ms += dice.u64(FAULT_MIN_MS..PAUSE_MAX_MS);
        }
        let rests = (1..).map_while(|number| drawing.rest_every_ms.checked_mul(number).filter(|&at_ms| at_ms > 0));
        let rests = rests.take_while(|&at_ms| at_ms < self.duration_ms);
        self.events.extend(rests.map(|at_ms| Event { at_ms, for_ms: 0, fault: Fault::Rest }));
        self.events.sort_by_key(|event| event.at_ms);
        self
    }

    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut scenario = Self {
            seed: 0,
            nodes: 6,
            replicas: 1,
            loss_percent: 0,
            node_timeout_ms: 2000,
            duration_ms: 0,
            events: Vec::new(),
        };
        for (index, line) in text.lines().enumerate() {
            let words: Vec<_> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
            scenario.take(&words).map_err(|why| format!("line {}: {why}", index + 1))?;
        }
        scenario.check().map(|()| scenario)
    }

    fn take(&mut self, words: &[&str]) -> Result<(), String> {
        match words {
            [] => {}
            ["seed", value] => self.seed = number(value)?,
            ["nodes", value] => self.nodes = number(value)?,
            ["replicas", value] => self.replicas = number(value)?,
            ["loss", value] => self.loss_percent = number(value)?,
            ["node-timeout", value] => self.node_timeout_ms = number(value)?,
            ["duration", value] => self.duration_ms = number(value)?,
            ["at", at, "for", duration, fault @ ..] => {
                let fault = Fault::parse(fault)?;
                self.events.push(Event { at_ms: number(at)?, for_ms: number(duration)?, fault });
            }
            _ => return Err(format!("'{}' says nothing", words.join(" "))),
        }
        Ok(())
    }
}

fn draw_fault(dice: &mut fastrand::Rng, nodes: usize, node_timeout_ms: u64) -> Fault {
    let way = draw_way(dice, nodes);
    let node = way.0;
    match dice.u8(..16) {
        0..=2 => Fault::Partition((0..nodes).filter(|_| dice.bool()).chain([node]).collect()),
        3 | 4 => Fault::Deaf(way),
        5 | 6 => Fault::Cut(way),
        7 => Fault::Reset(way),
        8 | 9 => Fault::Delay(way, dice.u64(1..node_timeout_ms.max(2))),
        10 => Fault::Copy(way),
        11 | 12 => Fault::Kill(node),
        13 | 14 => Fault::Pause(node),
        _ => Fault::Failover(node),
    }
}

fn draw_way(dice: &mut fastrand::Rng, nodes: usize) -> Way {
    let node = dice.usize(..nodes);
    (node, (node + dice.usize(1..nodes)) % nodes)
}

fn number<T: std::str::FromStr>(word: &str) -> Result<T, String> {
    word.parse().map_err(|_| format!("'{word}' is no number that can stand here"))
}

impl Fault {
    /// Whether it is over as soon as it has happened.
    #[must_use]
    pub fn is_instant(&self) -> bool {
        match self {
            Self::Reset(_) | Self::Failover(_) | Self::Move(..) | Self::Rest => true,
            Self::Partition(_)
            | Self::Deaf(_)
            | Self::Cut(_)
            | Self::Delay(..)
            | Self::Copy(_)
            | Self::Kill(_)
            | Self::Pause(_) => false,
        }
    }

    fn nodes(&self) -> Vec<usize> {
        match self {
            Self::Partition(side) => side.iter().copied().collect(),
            Self::Deaf((from, to))
            | Self::Cut((from, to))
            | Self::Reset((from, to))
            | Self::Delay((from, to), _)
            | Self::Move((from, to), _)
            | Self::Copy((from, to)) => vec![*from, *to],
            Self::Rest => Vec::new(),
            Self::Kill(node) | Self::Pause(node) | Self::Failover(node) => vec![*node],
        }
    }

    fn parse(words: &[&str]) -> Result<Self, String> {
        let way = |from, to| Ok::<Way, String>((number(from)?, number(to)?));
        Ok(match words {
            ["partition", side @ ..] => {
                Self::Partition(side.iter().map(|node| number(node)).collect::<Result<_, _>>()?)
            }
            ["deaf", from, to] => Self::Deaf(way(from, to)?),
            ["cut", from, to] => Self::Cut(way(from, to)?),
            ["reset", from, to] => Self::Reset(way(from, to)?),
            ["delay", from, to, by] => Self::Delay(way(from, to)?, number(by)?),
            ["copy", from, to] => Self::Copy(way(from, to)?),
            ["kill", node] => Self::Kill(number(node)?),
            ["pause", node] => Self::Pause(number(node)?),
            ["failover", node] => Self::Failover(number(node)?),
            ["move", from, to, count] => Self::Move(way(from, to)?, number(count)?),
            ["rest"] => Self::Rest,
            _ => return Err(format!("'{}' is no fault", words.join(" "))),
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Partition(side) => {
                f.write_str("partition")?;
                side.iter().try_for_each(|node| write!(f, " {node}"))
            }
            Self::Deaf((from, to)) => write!(f, "deaf {from} {to}"),
            Self::Cut((one, other)) => write!(f, "cut {one} {other}"),
            Self::Reset((one, other)) => write!(f, "reset {one} {other}"),
            Self::Delay((from, to), by_ms) => write!(f, "delay {from} {to} {by_ms}"),
            Self::Copy((from, to)) => write!(f, "copy {from} {to}"),
            Self::Kill(node) => write!(f, "kill {node}"),
            Self::Pause(node) => write!(f, "pause {node}"),
            Self::Failover(node) => write!(f, "failover {node}"),
            Self::Move((from, to), count) => write!(f, "move {from} {to} {count}"),
            Self::Rest => f.write_str("rest"),
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, nodes, replicas, loss_percent, node_timeout_ms, duration_ms, events } = self;
        writeln!(f, "seed {seed}\nnodes {nodes}\nreplicas {replicas}\nloss {loss_percent}")?;
        writeln!(f, "node-timeout {node_timeout_ms}\nduration {duration_ms}")?;
        events.iter().try_for_each(|Event { at_ms, for_ms, fault }| writeln!(f, "at {at_ms} for {for_ms} {fault}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blank() -> Scenario {
        Scenario::parse("seed 7\nnodes 6\nloss 20\nduration 60000").expect("a scenario")
    }

    #[test]
    fn a_seed_draws_one_scenario_and_its_text_says_all_of_it() {
        let plain = Drawing::default();
        assert_ne!(blank().drawn(plain).events, Scenario { seed: 8, ..blank() }.drawn(plain).events);
        for drawing in [plain, Drawing { moves_slots: true, rest_every_ms: 20_000 }] {
            a_drawing_is_whole(&blank().drawn(drawing), drawing);
        }
    }

    fn a_drawing_is_whole(drawn: &Scenario, drawing: Drawing) {
        assert_eq!(*drawn, blank().drawn(drawing));
        assert_eq!(Scenario::parse(&drawn.to_string()).as_ref(), Ok(drawn));
        let rests = drawn.events.iter().filter(|event| event.fault == Fault::Rest).count();
        assert_eq!(rests, if drawing.rest_every_ms > 0 { 2 } else { 0 }, "{drawn}");
        assert_eq!(drawn.events.iter().any(|event| matches!(event.fault, Fault::Move(..))), drawing.moves_slots);
        assert!(drawn.events.len() > 20 && drawn.check().is_ok(), "{drawn}");
        assert!(drawn.events.iter().all(|event| event.at_ms + event.for_ms <= drawn.duration_ms), "{drawn}");
    }

    #[test]
    fn what_cannot_be_run_is_refused() {
        for (text, why) in [
            ("nodes 5", "5 nodes are not primaries with 1 replicas each"),
            ("loss 200", "200 % cannot be lost"),
            ("at 1 for 2 kill 6", "there is no node 6: they count from 0 to 5"),
            ("\nat 1 for 2 explode 6", "line 2: 'explode 6' is no fault"),
            ("at x for 2 kill 1", "line 1: 'x' is no number that can stand here"),
        ] {
            assert_eq!(Scenario::parse(text), Err(why.to_owned()));
        }
    }
}
