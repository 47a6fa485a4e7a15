//! Owns what is done to a cluster from outside: faults, repairs, commands, and how they are
//! drawn, written and read. Knows no rule: an administrator's scripts go on when a command was accepted.

use fastrand::Rng;
use slotbus_core::{Command, FailoverMode, NodeId, Slot, SlotChange};
use std::{fmt, ops::Range, str::FromStr};

/// How a machine fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// The process is killed: its connections close, its files stay.
    Kill,
    /// The process is killed right after the next time it saves, before it does anything else.
    AfterSave,
    /// The machine loses power: nobody is told, and only what was synced stays.
    Power,
}

/// One thing done from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// A machine fails.
    Crash(usize, Crash),
    /// A machine starts its process again.
    Restart(usize),
    /// Pairs of machines lose sight of each other.
    Part(Vec<(usize, usize)>),
    /// They see each other again.
    Heal(Vec<(usize, usize)>),
    /// Every connection between two machines is reset.
    Cut(usize, usize),
    /// A process stands still.
    Stall(usize),
    /// It goes on.
    Resume(usize),
    /// A replica is asked to take over.
    Failover(usize, FailoverMode),
    /// A node is asked to take a new epoch.
    BumpEpoch(usize),
    /// A machine is made a replica of another, as often as it takes.
    Replicate(usize, usize),
    /// The next command of a slot's move.
    Move(Move),
    /// Every other node forgets this one, which is met again later.
    Expel(usize),
    /// A node is met again.
    Readmit(usize),
}

/// A slot's move from one primary to another, as redis-cli does it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// Which slot; the source's first one once the move begins.
    pub slot: Option<Slot>,
    /// Whose it is.
    pub from: usize,
    /// Whose it becomes.
    pub to: usize,
    /// The commands given so far.
    pub done: usize,
}

impl Move {
    /// A move of the source's first slot.
    #[must_use]
    pub fn new(from: usize, to: usize) -> Self {
        Self { slot: None, from, to, done: 0 }
    }

    /// The next command and the machine it is given to; none once all were given.
    #[must_use]
    pub fn next(&self, slot: Slot, from: NodeId, to: NodeId) -> Option<(usize, Command)> {
        let (machine, change) = match self.done {
            0 => (self.to, SlotChange::Importing(from)),
            1 => (self.from, SlotChange::Migrating(to)),
            2 => (self.to, SlotChange::Node(to)),
            3 => (self.from, SlotChange::Node(to)),
            _ => return None,
        };
        Some((machine, Command::SetSlot { slot, change, has_keys: false }))
    }
}

impl Act {
    /// The machines that it names; pair by pair where it names pairs.
    #[must_use]
    pub fn places(&self) -> Vec<usize> {
        match self {
            Self::Crash(place, _)
            | Self::Restart(place)
            | Self::Stall(place)
            | Self::Resume(place)
            | Self::Failover(place, _)
            | Self::BumpEpoch(place)
            | Self::Expel(place)
            | Self::Readmit(place) => vec![*place],
            Self::Cut(left, right) | Self::Replicate(left, right) => vec![*left, *right],
            Self::Move(next) => vec![next.from, next.to],
            Self::Part(pairs) | Self::Heal(pairs) => pairs.iter().flat_map(|&(left, right)| [left, right]).collect(),
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Crash(_, Crash::Kill) => "kill",
            Self::Crash(_, Crash::AfterSave) => "kill-after-save",
            Self::Crash(_, Crash::Power) => "power-loss",
            Self::Restart(_) => "restart",
            Self::Part(_) => "part",
            Self::Heal(_) => "heal",
            Self::Cut(..) => "cut",
            Self::Stall(_) => "stall",
            Self::Resume(_) => "resume",
            Self::Failover(_, FailoverMode::Coordinated) => "failover",
            Self::Failover(_, FailoverMode::Force) => "failover-force",
            Self::Failover(_, FailoverMode::Takeover) => "failover-takeover",
            Self::BumpEpoch(_) => "bump-epoch",
            Self::Replicate(..) => "replicate",
            Self::Move(_) => "move",
            Self::Expel(_) => "expel",
            Self::Readmit(_) => "readmit",
        }
    }
}

/// A word, and the machines by their numbers. How far a move has come is not written: it begins anew.
impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())?;
        self.places().iter().try_for_each(|place| write!(f, " n{place}"))
    }
}

/// The text is no act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadAct(String);

impl fmt::Display for BadAct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is nothing that is done to a cluster", self.0)
    }
}

impl std::error::Error for BadAct {}

impl FromStr for Act {
    type Err = BadAct;
    fn from_str(text: &str) -> Result<Self, BadAct> {
        let bad = || BadAct(text.into());
        let mut words = text.split_whitespace();
        let word = words.next().ok_or_else(bad)?;
        let place = |word: &str| word.strip_prefix('n').and_then(|number| number.parse().ok()).ok_or_else(bad);
        let places = words.map(place).collect::<Result<Vec<usize>, _>>()?;
        let pairs = || places.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
        let act = match (word, places.as_slice()) {
            ("kill", &[place]) => Self::Crash(place, Crash::Kill),
            ("kill-after-save", &[place]) => Self::Crash(place, Crash::AfterSave),
            ("power-loss", &[place]) => Self::Crash(place, Crash::Power),
            ("restart", &[place]) => Self::Restart(place),
            ("part", places) if places.len().is_multiple_of(2) => Self::Part(pairs()),
            ("heal", places) if places.len().is_multiple_of(2) => Self::Heal(pairs()),
            ("cut", &[left, right]) => Self::Cut(left, right),
            ("stall", &[place]) => Self::Stall(place),
            ("resume", &[place]) => Self::Resume(place),
            ("failover", &[place]) => Self::Failover(place, FailoverMode::Coordinated),
            ("failover-force", &[place]) => Self::Failover(place, FailoverMode::Force),
            ("failover-takeover", &[place]) => Self::Failover(place, FailoverMode::Takeover),
            ("bump-epoch", &[place]) => Self::BumpEpoch(place),
            ("replicate", &[replica, primary]) => Self::Replicate(replica, primary),
            ("move", &[from, to]) => Self::Move(Move::new(from, to)),
            ("expel", &[place]) => Self::Expel(place),
            ("readmit", &[place]) => Self::Readmit(place),
            (_, _) => return Err(bad()),
        };
        Ok(act)
    }
}

/// Draws what happens to `machines` machines within a span of virtual time.
pub fn draw(rng: &mut Rng, machines: usize, span_ms: Range<u64>, timeout_ms: u64) -> Vec<(u64, Act)> {
    let mut acts = Vec::new();
    let mean_gap_ms = timeout_ms * rng.u64(1..5) / 2;
    let mut at_ms = span_ms.start;
    loop {
        at_ms += rng.u64(1..2 * mean_gap_ms.max(1));
        if at_ms >= span_ms.end {
            return acts;
        }
        draw_one(rng, machines, at_ms, timeout_ms, &mut acts);
    }
}

fn draw_one(rng: &mut Rng, machines: usize, at_ms: u64, timeout_ms: u64, acts: &mut Vec<(u64, Act)>) {
    let later_ms = at_ms + rng.u64(1..4 * timeout_ms);
    let one = rng.usize(0..machines);
    let other = (one + rng.usize(1..machines)) % machines;
    match rng.u8(0..20) {
        0..=3 => {
            let crash = [Crash::Kill, Crash::Kill, Crash::AfterSave, Crash::Power][rng.usize(0..4)];
            acts.extend([(at_ms, Act::Crash(one, crash)), (later_ms, Act::Restart(one))]);
        }
        4 | 5 => {
            let pairs = split(rng, machines);
            acts.extend([(at_ms, Act::Part(pairs.clone())), (later_ms, Act::Heal(pairs))]);
        }
        6 => {
            let pairs = vec![(one, other)];
            acts.extend([(at_ms, Act::Part(pairs.clone())), (later_ms, Act::Heal(pairs))]);
        }
        7 | 8 => acts.push((at_ms, Act::Cut(one, other))),
        9 | 10 => acts.extend([(at_ms, Act::Stall(one)), (later_ms, Act::Resume(one))]),
        11..=14 => {
            let modes = [FailoverMode::Coordinated, FailoverMode::Force, FailoverMode::Takeover];
            let mode = modes[rng.usize(0..5).saturating_sub(2)];
            acts.push((at_ms, Act::Failover(one, mode)));
        }
        15 | 16 => acts.push((at_ms, Act::Move(Move::new(one, other)))),
        17 => acts.push((at_ms, Act::BumpEpoch(one))),
        18 => acts.push((at_ms, Act::Replicate(one, other))),
        _ => acts.extend([(at_ms, Act::Expel(one)), (later_ms, Act::Readmit(one))]),
    }
}

/// Every pair across a random split of the machines.
fn split(rng: &mut Rng, machines: usize) -> Vec<(usize, usize)> {
    let sides: Vec<bool> = (0..machines).map(|_| rng.bool()).collect();
    let pairs = (0..machines).flat_map(|left| (left + 1..machines).map(move |right| (left, right)));
    pairs.filter(|&(left, right)| sides[left] != sides[right]).collect()
}

#[cfg(test)]
mod tests {
    use super::{Act, draw};
    use fastrand::Rng;

    #[test]
    fn every_act_is_read_as_it_was_written() {
        let acts = draw(&mut Rng::with_seed(1), 5, 0..1_000_000, 1000);
        let words: std::collections::BTreeSet<_> = acts.iter().map(|(_, act)| act.word()).collect();
        assert_eq!(words.len(), 17, "{words:?}");
        acts.iter().for_each(|(_, act)| assert_eq!(act.to_string().parse().as_ref(), Ok(act)));
    }

    #[test]
    fn what_is_no_act_is_refused() {
        for text in ["", "kill", "kill 1", "kill n1 n2", "part n1", "cut n1", "kill nn", "dance n1"] {
            assert!(text.parse::<Act>().is_err(), "{text}");
        }
    }
}
