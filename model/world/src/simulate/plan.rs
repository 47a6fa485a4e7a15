//! Owns what is done to a cluster from outside: faults, repairs, commands, and how they are drawn.
//! Knows no rule: an administrator's scripts go on when a command was accepted.

use fastrand::Rng;
use slotbus_core::{Command, FailoverMode, NodeId, Slot, SlotChange};
use std::ops::Range;

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
    /// A command is given once.
    Command(usize, Command),
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
            acts.push((at_ms, Act::Command(one, Command::Failover(mode))));
        }
        15 | 16 => acts.push((at_ms, Act::Move(Move { slot: None, from: one, to: other, done: 0 }))),
        17 => acts.push((at_ms, Act::Command(one, Command::BumpEpoch))),
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
