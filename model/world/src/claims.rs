//! Owns what must hold of slots and of the keys in them, and what must be remembered to see it: who
//! ever claimed what, which slot an administrator gave to whom, which keys were written and lost.
//! Knows no rule's inside.

use crate::{cause::Cause, ghost::Ghost, invariants::Seen, place::Place, roles::head, setup::Places, world::World};
use slotbus_core::{Body, Command, Message, Node, Rule, Slot, SlotChange, SlotSet, peer::Pos};
use smallvec::SmallVec;

/// Slots as bits: no model has more than 64.
type Bits = u64;

/// What no node remembers of slots.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Claims {
    /// The greatest sets of slots that a primary ever claimed under an epoch, ascending.
    made: SmallVec<[(Place, u64, Bits); 4]>,
    /// The slot that was last given to a node by its own consent.
    gift: Option<Gift>,
    /// Slots of which a key was written.
    written: Bits,
    /// Slots whose key a failover lost: the winner did not have it, and was not told to wait for it.
    lost: Bits,
    /// Whether an administrator has taken slots from a node without giving them to another.
    is_released: bool,
}

/// A slot that a node was told to own, and said that it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Gift {
    slot: Slot,
    to: Place,
    /// Who has seen it there.
    learned: Places,
    /// Who has taken a new epoch without having seen it, or while it held the slot for one of these: their
    /// claims may still win.
    blind: Places,
}

fn bits<const SLOTS: usize>(slots: &SlotSet<SLOTS>) -> Bits {
    slots.iter().fold(0, |bits, slot| bits | 1 << slot.index())
}

impl Claims {
    pub(crate) fn note<const SLOTS: usize>(&mut self, seen: &Seen<'_, SLOTS>) {
        self.note_claim(seen);
        self.note_gift(seen);
        self.is_released |= matches!(seen.cause, Cause::Admin(command) if releases(command));
        let takes_over = |rule: &Rule| matches!(rule, Rule::ElectWon | Rule::ManualTakeover);
        let winner = (seen.data)(seen.place).filter(|_| seen.effects.rules.iter().any(takes_over));
        if let Some(data) = winner.filter(|_| !has_caught_up(seen)) {
            self.lost |= self.written & bits(&seen.after.myself().slots) & !bits(&data.keys);
        }
    }

    /// A client wrote a key of each of these slots.
    pub(crate) fn wrote<const SLOTS: usize>(&mut self, slots: &SlotSet<SLOTS>) {
        self.written |= bits(slots);
        self.lost &= !bits(slots);
    }

    fn note_claim<const SLOTS: usize>(&mut self, seen: &Seen<'_, SLOTS>) {
        let own = seen.after.myself();
        let (epoch, claimed) = (own.config_epoch, bits(&own.slots));
        let is_known =
            |&(place, at, slots): &(Place, u64, Bits)| (place, at) == (seen.place, epoch) && claimed & !slots == 0;
        if !own.is_voter() || self.made.iter().any(is_known) {
            return;
        }
        self.made.retain(|&mut (place, at, slots)| (place, at) != (seen.place, epoch) || slots & !claimed != 0);
        let made = (seen.place, epoch, claimed);
        let index = self.made.partition_point(|other| *other < made);
        self.made.insert(index, made);
    }

    /// Whether a node ever claimed these slots under this epoch or a later one.
    fn has_claimed(&self, place: Place, epoch: u64, claimed: Bits) -> bool {
        self.made.iter().any(|&(by, at, slots)| by == place && at >= epoch && claimed & !slots == 0)
    }

    fn note_gift<const SLOTS: usize>(&mut self, seen: &Seen<'_, SLOTS>) {
        if let Some(slot) = given(seen) {
            let learned = Places::of(&[seen.place]);
            self.gift = Some(Gift { slot, to: seen.place, learned, blind: Places::NONE });
        }
        let Some(gift) = &mut self.gift else { return };
        let owner = seen.after.owner(gift.slot).and_then(|peer| seen.setup.owner_of(&peer.id));
        let takes_epoch = seen.before.is_some_and(|before| before.my_epoch() < seen.after.my_epoch());
        let former = seen.before.and_then(|before| before.owner(gift.slot));
        let follows_blind =
            former.and_then(|peer| seen.setup.owner_of(&peer.id)).is_some_and(|former| gift.blind.contains(former));
        if owner == Some(gift.to) {
            gift.learned = gift.learned.with(seen.place);
        } else if takes_epoch && (follows_blind || !gift.learned.contains(seen.place)) {
            gift.blind = gift.blind.with(seen.place);
        }
    }
}

/// Whether the node is in the middle of a manual failover that its primary paused for: that loses nothing.
fn has_caught_up<const SLOTS: usize>(seen: &Seen<'_, SLOTS>) -> bool {
    let manual = seen.before.and_then(Node::manual_failover);
    manual.is_some_and(|manual| manual.can_start && manual.primary_offset.is_some())
}

fn releases(command: &Command) -> bool {
    match command {
        Command::Forget(_) | Command::DelSlots(_) | Command::FlushSlots { .. } | Command::Reset { .. } => true,
        Command::Meet { .. }
        | Command::AddSlots(_)
        | Command::BumpEpoch
        | Command::SetConfigEpoch(_)
        | Command::SaveConfig
        | Command::SetSlot { .. }
        | Command::Replicate { .. }
        | Command::Failover(_)
        | Command::Publish { .. } => false,
    }
}

/// The slot that the node was just told to own, if it said so.
fn given<const SLOTS: usize>(seen: &Seen<'_, SLOTS>) -> Option<Slot> {
    let Cause::Admin(Command::SetSlot { slot, change: SlotChange::Node(id), .. }) = seen.cause else { return None };
    (*id == seen.after.id() && seen.says_done()).then_some(*slot)
}

/// A slot is given away only when its keys are gone.
pub(crate) fn keys_go_first<const SLOTS: usize>(seen: &Seen<'_, SLOTS>, _: &Ghost) -> bool {
    let Cause::Admin(Command::SetSlot { slot, change: SlotChange::Node(id), .. }) = seen.cause else { return true };
    let (Some(before), Some(data)) = (seen.before, (seen.data)(seen.place)) else { return true };
    let gives = owns(before, *slot) && *id != before.id() && seen.says_done();
    !gives || !data.keys.contains(*slot)
}

/// Every UPDATE tells of a claim that its subject made, under that epoch or a later one: a source that
/// was told to give a slot away knows the new owner before it knows the epoch that this took for it.
pub(crate) fn honest_update<const SLOTS: usize>(seen: &Seen<'_, SLOTS>, ghost: &Ghost) -> bool {
    let is_honest = |message: &Message<SLOTS>| {
        let Body::Update(claim) = &message.body else { return true };
        let subject = seen.setup.owner_of(&claim.node);
        subject.is_some_and(|place| ghost.claims.has_claimed(place, claim.config_epoch, bits(&claim.slots)))
    };
    seen.sent().all(is_honest)
}

/// What a node was given leaves its shard only for a claim whose epoch was taken without knowing of
/// the gift, or by another command.
pub(crate) fn setslot_sticks<const SLOTS: usize>(seen: &Seen<'_, SLOTS>, ghost: &Ghost) -> bool {
    if !claims_first(seen) {
        return false;
    }
    let (Some(gift), Some(before)) = (ghost.claims.gift, seen.before) else { return true };
    if seen.place != gift.to
        || seen.cause.message().is_none()
        || !owns(before, gift.slot)
        || owns(seen.after, gift.slot)
    {
        return true;
    }
    let taker = seen.after.owner(gift.slot).map(|peer| peer.id);
    let is_of_shard = taker == Some(head(seen.after)) && seen.after.myself().primary.is_some();
    let is_blind = taker.and_then(|id| seen.setup.owner_of(&id)).is_some_and(|place| gift.blind.contains(place));
    is_of_shard || is_blind
}

/// A node that was just given another's slot claims it under the greatest epoch that it knows.
fn claims_first<const SLOTS: usize>(seen: &Seen<'_, SLOTS>) -> bool {
    let (Some(slot), Some(before)) = (given(seen), seen.before) else { return true };
    let is_taken = before.owner(slot).is_some_and(|owner| owner.id != before.id());
    !is_taken || seen.after.peers().iter().all(|peer| peer.config_epoch <= seen.after.my_epoch())
}

fn owns<const SLOTS: usize>(node: &Node<SLOTS>, slot: Slot) -> bool {
    node.owner(slot).is_some_and(|peer| peer.id == node.id())
}

/// Whether, in a world at rest, whoever owns a slot has the key that was written to it.
pub(crate) fn data_follows_slot<const SLOTS: usize>(world: &World<SLOTS>) -> bool {
    let claims = &world.ghost().claims;
    let kept = claims.written & !claims.lost;
    world.nodes().filter(|(_, node)| node.myself().is_primary()).all(|(place, node)| {
        let owed = kept & bits(&node.myself().slots);
        owed & !bits(&world.host(place).data.keys) == 0
    })
}

/// Whether, in a world at rest, every slot that was ever claimed has an owner, unless an
/// administrator took slots from nodes.
pub(crate) fn no_orphan_slot<const SLOTS: usize>(world: &World<SLOTS>) -> bool {
    let claims = &world.ghost().claims;
    let claimed = claims.made.iter().fold(0, |all, (_, _, slots)| all | slots);
    let is_free = |(slot, owner): (Slot, Option<Pos>)| owner.is_none() && claimed >> slot.index() & 1 == 1;
    claims.is_released || !world.nodes().any(|(_, node)| node.owners().iter().any(is_free))
}
