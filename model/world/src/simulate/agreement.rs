//! Owns when a cluster has converged: every running node sees every other as that sees itself.

use super::{RealNode, machine::Machine};
use slotbus_core::{ClusterState, Flags, NodeId};

/// The first difference between a node's view and what the nodes themselves hold: the machine whose
/// view it is, and what differs.
#[must_use]
pub fn difference(machines: &[Machine]) -> Option<(usize, String)> {
    let running = || machines.iter().enumerate().filter_map(|(place, machine)| Some((place, machine.node.as_ref()?)));
    for (place, node) in running() {
        if let Some(seen) = running().find_map(|(other, subject)| differs(node, other, subject)) {
            return Some((place, seen));
        }
        if let Some(seen) = outsider(node, machines) {
            return Some((place, seen));
        }
        if node.state() != ClusterState::Ok && !node.owners().iter().all(|(_, owner)| owner.is_none()) {
            return Some((place, "the cluster is down".into()));
        }
    }
    None
}

/// How `node` sees a node differently from itself.
fn differs(node: &RealNode, place: usize, subject: &RealNode) -> Option<String> {
    let own = subject.myself();
    let Some(seen) = node.peers().get(&own.id) else { return Some(format!("does not know n{place}")) };
    let held = Flags::PFAIL | Flags::FAIL | Flags::HANDSHAKE | Flags::NOADDR;
    if seen.is_any(held) {
        return Some(format!("holds n{place} {:?}", seen.flags & held));
    }
    if (seen.is_primary(), seen.primary) != (own.is_primary(), own.primary) {
        return Some(format!("sees n{place} as {}, which is {}", role(seen.primary), role(own.primary)));
    }
    if seen.slots != own.slots {
        return Some(format!("gives n{place} slots {}, which has {}", short(&seen.slots), short(&own.slots)));
    }
    if own.is_primary() && seen.config_epoch != own.config_epoch {
        return Some(format!("sees n{place} in epoch {}, which is in {}", seen.config_epoch, own.config_epoch));
    }
    None
}

/// A member that no machine runs.
fn outsider(node: &RealNode, machines: &[Machine]) -> Option<String> {
    let is_real = |id: &NodeId| machines.iter().any(|machine| machine.node.is_some() && machine.id == *id);
    // Every machine is looked up once already: only a longer table can hold an outsider.
    if node.peers().len() == machines.len() {
        return None;
    }
    let unreal = node.peers().iter().find(|peer| !is_real(&peer.id))?;
    Some(format!("holds an entry {} that nobody runs", unreal.id))
}

fn role(primary: Option<NodeId>) -> String {
    primary.map_or_else(|| "a primary".into(), |id| format!("a replica of {id}"))
}

fn short<const SLOTS: usize>(slots: &slotbus_core::SlotSet<SLOTS>) -> String {
    let runs = slots.runs();
    match (runs.first(), runs.len()) {
        (Some((start, end)), 1) => format!("{start}-{end}"),
        (Some((start, end)), count) => format!("{start}-{end} and {} more runs", count - 1),
        (None, _) => "none".into(),
    }
}
