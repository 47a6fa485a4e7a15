//! Owns what configurations are begun with: commands, faults, and clusters that have stood for a while.
//! Knows no configuration.

use crate::configs::{A, B, C};
use slotbus_core::{Command, FailoverMode, Slot};
use slotbus_world::{Order, Place, Setup, Stage, What};

pub(crate) fn order(host: Place, command: Command) -> Order {
    Order { host, command }
}

pub(crate) fn failover(host: Place, mode: FailoverMode) -> Order {
    order(host, Command::Failover(mode))
}

pub(crate) fn replicate(host: Place, primary: Place) -> Order {
    order(host, Command::Replicate { primary: primary.id(), has_keys: false })
}

pub(crate) fn add_slots(host: Place, slots: &[u16]) -> Stage {
    Stage::Command(order(host, Command::AddSlots(slots.iter().copied().map(Slot).collect())))
}

pub(crate) fn crash(host: Place) -> Stage {
    Stage::Happens(What::Crash { host, power: false })
}

pub(crate) fn restart(host: Place) -> Stage {
    Stage::Happens(What::Restart { host })
}

/// Hosts that a has met some time ago.
pub(crate) fn met(guests: &[Place]) -> Vec<Stage> {
    guests.iter().flat_map(|&guest| [Stage::Command(Setup::meet(A, guest)), Stage::Rounds(6)]).collect()
}

/// A host that has followed a primary for a while.
pub(crate) fn following(host: Place, primary: Place) -> Vec<Stage> {
    vec![Stage::Command(replicate(host, primary)), Stage::Rounds(4)]
}

/// A host that a has met, and that has followed `primary` since.
pub(crate) fn follower(host: Place, primary: Place) -> Vec<Stage> {
    [met(&[host]), following(host, primary)].concat()
}

/// Three primaries with these slots that have known each other for a while.
pub(crate) fn cluster_of_3(slots: [&[u16]; 3]) -> Vec<Stage> {
    let owners = [A, B, C].into_iter().zip(slots).filter(|(_, slots)| !slots.is_empty());
    let own = owners.map(|(host, slots)| add_slots(host, slots)).collect();
    [own, met(&[B, C])].concat()
}
