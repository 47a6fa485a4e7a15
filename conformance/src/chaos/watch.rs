//! What nodes say of themselves while faults go on, and what must hold of it at any time. Owns the sightings;
//! knows CLUSTER NODES and CLUSTER INFO, and what each node may say of itself.

use super::{fleet::Contact, mover::Move, writers::Write};
use crate::cluster::{self, NodeLine};
use redis::Connection;
use slotbus_core::{CLUSTER_SLOTS, SlotSet};
use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

const INTERVAL: Duration = Duration::from_millis(150);
const TIMEOUT: Duration = Duration::from_millis(500);

/// What a node said of itself at one time.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// When.
    pub at: Instant,
    /// In which life of its process.
    pub life: u32,
    /// Whether it was a primary.
    pub is_primary: bool,
    /// Its config epoch; for a replica that of its primary.
    pub epoch: u64,
    /// The greatest epoch that it knew.
    pub current_epoch: u64,
    /// Its slots.
    pub slots: SlotSet<CLUSTER_SLOTS>,
}

/// What one node said of itself so far.
#[derive(Debug, Default)]
pub struct History(Mutex<Vec<Sighting>>);

impl History {
    /// All of it. Nothing is added as long as it is held.
    pub fn lock(&self) -> MutexGuard<'_, Vec<Sighting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks one node again and again until it is to stop.
pub fn watch(contact: &Contact, history: &History, is_over: &AtomicBool) {
    let mut connection = None;
    while !is_over.load(Ordering::Relaxed) {
        let life = contact.life.load(Ordering::SeqCst);
        let seen =
            connection.take().map_or_else(|| cluster::connect(contact.port, TIMEOUT), Ok).and_then(|mut open| {
                let sighting = look(&mut open, life)?;
                connection = Some(open);
                Ok(sighting)
            });
        // What was said while a process ended and another began is nobody's.
        let is_same_life = life == contact.life.load(Ordering::SeqCst);
        seen.ok().filter(|_| is_same_life).into_iter().for_each(|sighting| history.lock().push(sighting));
        thread::sleep(INTERVAL);
    }
}

fn look(connection: &mut Connection, life: u32) -> Result<Sighting, String> {
    let mut ask = |what: &str| -> Result<String, String> {
        redis::cmd("CLUSTER").arg(what).query(connection).map_err(|error| error.to_string())
    };
    let info = ask("INFO")?;
    let nodes = ask("NODES")?;
    let current = info.lines().find_map(|line| line.strip_prefix("cluster_current_epoch:"));
    let own = nodes.lines().map(NodeLine::parse).find(|line| line.is("myself")).ok_or("no line is flagged myself")?;
    let number = |text: &str| text.trim().parse::<u64>().map_err(|error| format!("'{text}': {error}"));
    Ok(Sighting {
        at: Instant::now(),
        life,
        is_primary: own.is("master"),
        epoch: number(&own.epoch)?,
        current_epoch: number(current.unwrap_or_default())?,
        slots: own.slot_set().ok_or("slots that are none")?,
    })
}

/// What was seen that must never be: epochs that go back, and slots that two nodes claim in one epoch. Who is given a slot
/// takes an epoch that nobody voted for, and another may take the same: then only the former is a breach.
#[must_use]
pub fn breaches(histories: &[&[Sighting]], are_epochs_voted: bool) -> Vec<String> {
    let backward = histories.iter().enumerate().flat_map(|(node, history)| epochs_gone_back(node, history));
    let twice = if are_epochs_voted { claims_twice(histories) } else { Vec::new() };
    backward.chain(twice).collect()
}

fn epochs_gone_back(node: usize, history: &[Sighting]) -> Vec<String> {
    let mut found = Vec::new();
    for pair in history.windows(2).filter(|pair| pair[0].life == pair[1].life) {
        let [before, after] = [&pair[0], &pair[1]];
        if after.current_epoch < before.current_epoch {
            let (was, is) = (before.current_epoch, after.current_epoch);
            found.push(format!("EPOCH-1: the current epoch of node {node} went back from {was} to {is}"));
        }
        if before.is_primary && after.is_primary && after.epoch < before.epoch {
            let (was, is) = (before.epoch, after.epoch);
            found.push(format!("the config epoch of node {node}, a primary, went back from {was} to {is}"));
        }
    }
    found
}

fn claims_twice(histories: &[&[Sighting]]) -> Vec<String> {
    let mut claims: Vec<(u64, usize, SlotSet<CLUSTER_SLOTS>)> = Vec::new();
    for (node, history) in histories.iter().enumerate() {
        for sighting in history.iter().filter(|sighting| sighting.is_primary && !sighting.slots.is_empty()) {
            match claims.iter_mut().find(|(epoch, claimant, _)| (*epoch, *claimant) == (sighting.epoch, node)) {
                Some((_, _, slots)) => slots.insert_all(&sighting.slots),
                None => claims.push((sighting.epoch, node, sighting.slots.clone())),
            }
        }
    }
    let mut found = Vec::new();
    for (index, (epoch, node, slots)) in claims.iter().enumerate() {
        for (_, other, _) in claims[index + 1..]
            .iter()
            .filter(|(other_epoch, _, others)| other_epoch == epoch && slots.iter().any(|slot| others.contains(slot)))
        {
            found.push(format!("node {node} and node {other} claimed a slot in the same epoch {epoch}"));
        }
    }
    found
}

/// After which time a lost write is excused by replication that does not wait: the node that acknowledged it
/// stopped serving the slot in the epoch in which it acknowledged. A node that was killed and serves on has what it had.
///
/// Where the slot was on the move meanwhile, as these moves tell, the keys may have been with any node that it went through, and it is
/// excused by the end of any of these as a primary.
#[must_use]
pub fn excuse(write: &Write, histories: &[&[Sighting]], moves: &[Move]) -> Option<Duration> {
    let left_at = if moves.is_empty() {
        left_slot(write, histories[write.by])
    } else {
        let keepers = moves.iter().flat_map(|moved| [moved.source, moved.target]).chain([write.by]);
        keepers.filter_map(|keeper| replaced(write.at, histories[keeper])).min()
    };
    left_at.map(|at| at.saturating_duration_since(write.at))
}

/// When the node that acknowledged a write stopped serving its slot in that epoch.
fn left_slot(write: &Write, history: &[Sighting]) -> Option<Instant> {
    let serves = |sighting: &Sighting| sighting.is_primary && sighting.slots.contains(write.slot);
    let before = history.iter().rfind(|sighting| sighting.at <= write.at && serves(sighting));
    let mut after = history.iter().filter(|sighting| sighting.at > write.at);
    let epoch = before.map(|sighting| sighting.epoch);
    let left = after.find(|sighting| !serves(sighting) || epoch.is_some_and(|epoch| epoch != sighting.epoch))?;
    Some(left.at)
}

/// When a node that was a primary at some time was first seen not to be the same one any more.
fn replaced(since: Instant, history: &[Sighting]) -> Option<Instant> {
    let mut known = history.iter().rfind(|sighting| sighting.at <= since && sighting.is_primary);
    for sighting in history.iter().filter(|sighting| sighting.at > since) {
        // A primary that lives on takes a greater epoch when it is given a slot.
        let is_other = known.is_some_and(|known| known.life != sighting.life && known.epoch != sighting.epoch);
        if is_other || known.is_some() && !sighting.is_primary {
            return Some(sighting.at);
        }
        known = Some(sighting).filter(|sighting| sighting.is_primary);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use slotbus_core::Slot;

    fn sighting(at: Instant, after_ms: u64, epoch: u64, slots: SlotSet<CLUSTER_SLOTS>) -> Sighting {
        let at = at + Duration::from_millis(after_ms);
        Sighting { at, life: 0, is_primary: true, epoch, current_epoch: epoch, slots }
    }

    #[test]
    fn epochs_that_go_back_and_claims_in_one_epoch_are_breaches() {
        let now = Instant::now();
        let slots = SlotSet::range(0, 9);
        let good = vec![sighting(now, 0, 1, slots.clone()), sighting(now, 1, 3, slots.clone())];
        assert_eq!(breaches(&[&good, &[sighting(now, 0, 2, slots.clone())]], true), Vec::<String>::new());
        let other = [sighting(now, 0, 3, SlotSet::range(9, 9))];
        assert_eq!(breaches(&[&good, &other], true).len(), 1);
        assert_eq!(breaches(&[&good, &other], false).len(), 0);
        let mut back = good;
        back.push(sighting(now, 2, 2, slots));
        assert_eq!(breaches(&[&back], false).len(), 2);
        back[2].life = 1;
        assert_eq!(breaches(&[&back], true).len(), 0);
    }

    #[test]
    fn a_lost_write_is_excused_by_the_successor_of_its_primary_alone() {
        let now = Instant::now();
        let at = now + Duration::from_millis(5);
        let write = Write { key: "k".to_owned(), slot: Slot(1), value: 1, by: 0, at };
        let slots = SlotSet::range(0, 9);
        let stays = vec![sighting(now, 0, 1, slots.clone()), sighting(now, 9, 1, slots.clone())];
        assert_eq!(excuse(&write, &[&stays], &[]), None);
        let returns = vec![sighting(now, 0, 1, slots.clone()), sighting(now, 9, 2, slots.clone())];
        assert_eq!(excuse(&write, &[&returns], &[]), Some(Duration::from_millis(4)));
        // The slot goes to another node, which is given a greater epoch with it.
        let gone = vec![sighting(now, 0, 1, slots.clone()), sighting(now, 9, 1, SlotSet::range(2, 9))];
        let given = vec![sighting(now, 0, 2, SlotSet::range(10, 19)), sighting(now, 9, 3, slots)];
        let moved = [Move { slot: Slot(1), source: 0, target: 1, at, ended: None, is_done: false }];
        assert_eq!(excuse(&write, &[&gone, &given], &moved), None);
        let mut dead = given;
        dead.push(Sighting { is_primary: false, ..dead[1].clone() });
        dead[2].at = now + Duration::from_millis(12);
        assert_eq!(excuse(&write, &[&gone, &dead], &moved), Some(Duration::from_millis(7)));
    }
}
