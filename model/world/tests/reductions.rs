//! That dropping what nobody reads any more merges states, and hides none.

use slotbus_core::{Command, FailoverMode, Profile, Slot};
use slotbus_world::{Budget, Crashing, Order, Pace, Place, Places, Setup, Stage, World, digest};
use std::collections::HashSet;

const SLOTS: usize = 2;
/// More than either world has.
const STATES_MAX: usize = 200_000;

/// A world as nodes and networks see it: running nodes, connections, and what is broken.
fn seen(world: &World<SLOTS>) -> u128 {
    let nodes: Vec<_> = world.nodes().collect();
    let connections: Vec<_> = world.connections().collect();
    digest(&(nodes, connections, world.budget(), world.ghost().broken()))
}

/// Every reachable state, and each of them as nodes and networks see it.
fn reachable(setup: &Setup, origin: World<SLOTS>) -> (usize, HashSet<u128>) {
    let mut known = HashSet::from([digest(&origin)]);
    let mut views = HashSet::new();
    let mut open = vec![origin];
    while let Some(world) = open.pop() {
        views.insert(seen(&world));
        let fresh = world.successors(setup).into_iter().map(|(_, next)| next).filter(|next| known.insert(digest(next)));
        open.extend(fresh);
        assert!(known.len() < STATES_MAX, "the world is larger than it was");
    }
    (known.len(), views)
}

/// Two primaries and a replica, which is told to take over; one voter may be killed in the midst of it.
fn forced(is_reduced: bool) -> (Setup, World<SLOTS>) {
    let mut setup = Setup::new(3, Profile::SLOTBUS);
    setup.configure(|config| {
        config.timing.node_timeout_ms = 1000;
        config.replica_validity_factor = 1;
    });
    setup.pace = Pace::Prompt;
    setup.is_orderly = true;
    setup.is_reduced = is_reduced;
    setup.budget = Budget { crashes: 1, restarts: 1, ..Budget::default() };
    setup.crashing = Crashing { mortal: Places::of(&[Place::B]), amid: true, power: true };
    let order = |host, command| Order { host, command };
    setup.scripts = vec![vec![order(Place::C, Command::Failover(FailoverMode::Force))]];
    let add = |host, slot| Stage::Command(order(host, Command::AddSlots(vec![Slot(slot)])));
    let meet = |guest| Stage::Command(Setup::meet(Place::A, guest));
    let follow = Command::Replicate { primary: Place::A.id(), has_keys: false };
    let stages = [
        add(Place::A, 0),
        add(Place::B, 1),
        meet(Place::B),
        Stage::Rounds(6),
        meet(Place::C),
        Stage::Rounds(6),
        Stage::Command(order(Place::C, follow)),
        Stage::Rounds(4),
    ];
    let world = setup.world_after(&stages);
    (setup, world)
}

#[test]
fn what_is_dropped_is_seen_by_nobody() {
    let (reduced, full) = (forced(true), forced(false));
    let (fewer, reduced) = reachable(&reduced.0, reduced.1);
    let (more, full) = reachable(&full.0, full.1);
    assert!(fewer < more, "nothing was dropped: {fewer} and {more} states");
    assert_eq!(reduced, full);
}
