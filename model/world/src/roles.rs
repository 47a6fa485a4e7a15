//! Owns what must hold of roles: who replicates whom in whose view. Knows no election; those are
//! `elections`.

use crate::{cause::Cause, ghost::Ghost, invariants::Seen};
use slotbus_core::{Command, Flags, Header, Node, NodeId, Peer, Rule};

/// A header may change what is recorded of its sender's role only if it is not older than what is
/// recorded of the shard that it names.
pub(crate) fn no_stale_role<const SLOTS: usize>(seen: &Seen<'_, SLOTS>, _: &Ghost) -> bool {
    let (Some(before), Some(message)) = (seen.before, seen.cause.message()) else { return true };
    let header = &message.header;
    let role = |node: &Node<SLOTS>| node.peers().get(&header.sender).map(|peer| (peer.is_primary(), peer.primary));
    let is_change = seen.sender(message).is_some() && role(before) != role(seen.after);
    !is_change || message.heartbeat().is_none() || is_current(before, header)
}

fn is_current<const SLOTS: usize>(before: &Node<SLOTS>, header: &Header<SLOTS>) -> bool {
    let named = header.primary.or_else(|| (!header.slots.is_empty()).then_some(header.sender));
    let owner = named.and_then(|id| before.peers().get(&id)).filter(|owner| owner.is_voter());
    owner.is_none_or(|owner| header.config_epoch >= owner.config_epoch)
}

/// A node that speaks is not dead, whatever is held of it; nor is one that has claimed under a newer
/// epoch since, which a third node may tell of.
pub(crate) fn no_follow_dead<const SLOTS: usize>(seen: &Seen<'_, SLOTS>, _: &Ghost) -> bool {
    let Some(before) = seen.before else { return true };
    let (old, new) = (before.myself().primary, seen.after.myself().primary);
    let Some(id) = new.filter(|_| old != new) else { return true };
    let epoch = |node: &Node<SLOTS>| node.peers().get(&id).map_or(0, |peer| peer.config_epoch);
    let is_dead = seen.after.peers().get(&id).is_some_and(|peer| peer.is(Flags::FAIL));
    let speaks = seen.cause.message().is_some_and(|message| message.header.sender == id);
    let is_replica = seen.after.peers().get(&id).is_some_and(|peer| peer.is(Flags::REPLICA));
    let is_told = matches!(seen.cause, Cause::Admin(Command::Replicate { .. }));
    // Out of a chain to the head of its own shard: from there it may stand for election.
    let leaves_chain = old.and_then(|old| before.peers().get(&old)?.primary) == Some(id);
    (!is_dead || is_told || speaks || leaves_chain || epoch(before) < epoch(seen.after)) && !(is_told && is_replica)
}

/// A primary that steps down for a node of its own shard hands its slots over: none is left without an
/// owner, unless the header repeats an epoch that is not newer than what is recorded of it.
pub(crate) fn handed_over<const SLOTS: usize>(seen: &Seen<'_, SLOTS>, _: &Ghost) -> bool {
    let (Some(before), Some(message)) = (seen.before, seen.cause.message()) else { return true };
    let header = &message.header;
    let former = seen.sender(message).filter(|sender| sender.is_voter());
    let successor = header.primary.and_then(|id| before.peers().get(&id));
    let (Some(former), Some(successor)) = (former, successor) else { return true };
    let is_of_shard = successor.primary == Some(former.id);
    let is_newer = header.config_epoch > former.config_epoch && header.config_epoch >= successor.config_epoch;
    !is_of_shard || !is_newer || former.slots.iter().all(|slot| seen.after.owner(slot).is_some())
}

/// The delay counts by the clock of the replica that moves, from when it first saw nobody there.
pub(crate) fn migration_needed<const SLOTS: usize>(seen: &Seen<'_, SLOTS>, _: &Ghost) -> bool {
    let moves = seen.effects.rules.contains(&Rule::MigrateMoved);
    let Some(before) = seen.before.filter(|_| moves) else { return true };
    let Some(target) = seen.after.myself().primary.and_then(|id| before.peers().get(&id)) else { return false };
    let serves = |peer: &&Peer<SLOTS>| peer.primary == Some(target.id) && !peer.is(Flags::FAIL);
    let is_served = before.peers().iter().any(|peer| serves(&peer));
    let delay_ms = before.config().timing.migration_delay_ms;
    !is_served && target.orphaned_at.is_some_and(|since| seen.now.since(since) > delay_ms)
}

/// Siblings count as the replica that moves sees them.
pub(crate) fn barrier_kept<const SLOTS: usize>(seen: &Seen<'_, SLOTS>, _: &Ghost) -> bool {
    let moves = seen.effects.rules.contains(&Rule::MigrateMoved);
    let Some(before) = seen.before.filter(|_| moves) else { return true };
    let stays = |peer: &&Peer<SLOTS>| {
        let is_sibling = peer.primary == before.myself().primary && peer.id != before.id();
        is_sibling && !peer.is_any(Flags::FAIL | Flags::PFAIL)
    };
    before.peers().iter().filter(stays).count() >= before.config().migration_barrier
}

/// The id of the primary at the head of a node's shard, in its own view.
pub(crate) fn head<const SLOTS: usize>(node: &Node<SLOTS>) -> NodeId {
    node.myself().primary.unwrap_or(node.id())
}
