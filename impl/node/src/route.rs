//! Owns the decision whether this node serves a request for keys, or who does.
//!
//! Must not know sockets, sessions or the store: it is given the core's tables and asked about keys.
//! It is a function of its arguments alone, so that it can move into the core.

use slotbus_core::{CLUSTER_SLOTS, ClusterState, Flags, Node, NodeId, Slot, route::key_slot};

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// It changes keys.
    pub is_write: bool,
    /// The client said ASKING before it.
    pub is_asking: bool,
    /// The client said READONLY.
    pub is_readonly: bool,
    /// Reads are served while the cluster is down.
    pub reads_when_down: bool,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// This node serves it.
    Here,
    /// Another node owns the slot.
    Moved(Slot, NodeId),
    /// Another node has, or will have, the keys of a slot on its way there.
    Ask(Slot, NodeId),
    /// Some keys of a slot on its way are here and some are not.
    TryAgain,
    /// The keys are of several slots.
    CrossSlot,
    /// Nobody owns the slot.
    Unbound,
    /// The cluster is down.
    Down,
    /// The cluster is down, and serves reads only.
    DownForWrites,
}

/// Decides about a request for `keys`; `is_here` says whether a key is in the store.
pub fn route<'k>(
    node: &Node<CLUSTER_SLOTS>,
    demand: Demand,
    mut keys: impl Iterator<Item = &'k [u8]> + Clone,
    is_here: impl Fn(&[u8]) -> bool,
) -> Route {
    let all = keys.clone();
    let Some(first) = keys.next() else { return Route::Here };
    let slot = key_slot(first);
    let Some(owner) = node.owners().get(slot) else { return Route::Unbound };
    if keys.clone().any(|key| key != first && key_slot(key) != slot) {
        return Route::CrossSlot;
    }
    if node.state() != ClusterState::Ok {
        if !demand.reads_when_down {
            return Route::Down;
        }
        if demand.is_write {
            return Route::DownForWrites;
        }
    }
    let is_mine = owner == node.me();
    let migrating = if is_mine { node.migrating().get(&slot) } else { None };
    if let Some(target) = migrating {
        let (here, missing) = count(all, &is_here);
        match (here, missing) {
            (_, 0) => {}
            (0, _) => return Route::Ask(slot, *target),
            (_, _) => return Route::TryAgain,
        }
    } else if demand.is_asking && node.importing().contains_key(&slot) {
        let has_many = keys.any(|key| key != first);
        let (_, missing) = if has_many { count(all, &is_here) } else { (0, 0) };
        return if missing > 0 { Route::TryAgain } else { Route::Here };
    }
    let owner = &node.peers()[owner];
    let replicates_owner = node.myself().is(Flags::REPLICA) && node.myself().primary == Some(owner.id);
    if is_mine || (demand.is_readonly && !demand.is_write && replicates_owner) {
        Route::Here
    } else {
        Route::Moved(slot, owner.id)
    }
}

fn count<'k>(keys: impl Iterator<Item = &'k [u8]>, is_here: impl Fn(&[u8]) -> bool) -> (usize, usize) {
    keys.fold((0, 0), |(here, missing), key| if is_here(key) { (here + 1, missing) } else { (here, missing + 1) })
}

#[cfg(test)]
mod tests {
    use super::{Demand, Route, route};
    use slotbus_core::{
        Address, CLUSTER_SLOTS, Config, Durable, Event, Flags, Input, Millis, Node, NodeId, NodeView, Origin, Random,
        Slot, SlotSet, route::key_slot, step,
    };

    const ME: NodeId = NodeId([1; 20]);
    const OTHER: NodeId = NodeId([2; 20]);
    const READ: Demand = Demand { is_write: false, is_asking: false, is_readonly: false, reads_when_down: false };
    const WRITE: Demand = Demand { is_write: true, ..READ };

    fn view(
        id: NodeId,
        flags: Flags,
        primary: Option<NodeId>,
        slots: SlotSet<CLUSTER_SLOTS>,
    ) -> NodeView<CLUSTER_SLOTS> {
        let address = Address { host: "127.0.0.1".parse().unwrap(), port: 1, cport: 2, pport: 0 };
        NodeView {
            id,
            address,
            hostname: "".into(),
            flags,
            primary,
            ping_sent: None,
            pong_received: None,
            config_epoch: 1,
            connected: true,
            slots,
        }
    }

    /// A cluster of two: this node owns the lower half of the slots, the other one the upper half but the last.
    fn image(own: Flags, primary: Option<NodeId>) -> Durable<CLUSTER_SLOTS> {
        let (lower, upper) = (SlotSet::range(0, 8191), SlotSet::range(8192, 16382));
        let mine = if primary.is_some() { SlotSet::new() } else { lower };
        let nodes = vec![view(ME, own | Flags::MYSELF, primary, mine), view(OTHER, Flags::PRIMARY, None, upper)];
        Durable { nodes, ..Durable::default() }
    }

    fn start(image: Durable<CLUSTER_SLOTS>, is_up: bool) -> Node<CLUSTER_SLOTS> {
        let config = Config { require_full_coverage: false, ..Config::default() };
        let origin = Origin::Restored(Box::new(image));
        let (mut node, _) = Node::start(config.into(), origin, Millis(0)).unwrap();
        for at_ms in if is_up { [1000, 9000] } else { [0, 0] } {
            let _ = step(&mut node, Input { now: Millis(at_ms), random: Random::new(0), event: Event::Tick });
        }
        node
    }

    fn primary() -> Node<CLUSTER_SLOTS> {
        start(image(Flags::PRIMARY, None), true)
    }

    fn of(node: &Node<CLUSTER_SLOTS>, demand: Demand, keys: &[&str], here: &[&str]) -> Route {
        let keys = keys.iter().map(|key| key.as_bytes());
        route(node, demand, keys, |key| here.iter().any(|here| here.as_bytes() == key))
    }

    /// Keys of a slot in the lower half, in the upper half, and of the last slot.
    fn key(wanted: std::ops::RangeInclusive<u16>) -> String {
        (0..).map(|number| format!("{{k{number}}}")).find(|key| wanted.contains(&key_slot(key.as_bytes()).0)).unwrap()
    }

    #[test]
    fn an_owner_serves_and_others_point_to_it() {
        let node = primary();
        let (mine, other, nobodys) = (key(0..=8191), key(8192..=16382), key(16383..=16383));
        assert_eq!(of(&node, WRITE, &[], &[]), Route::Here);
        assert_eq!(of(&node, WRITE, &[&mine], &[]), Route::Here);
        assert_eq!(of(&node, READ, &[&other], &[]), Route::Moved(key_slot(other.as_bytes()), OTHER));
        assert_eq!(of(&node, READ, &[&nobodys], &[]), Route::Unbound);
        assert_eq!(of(&node, READ, &[&nobodys, &mine], &[]), Route::Unbound);
        assert_eq!(of(&node, READ, &[&mine, &other], &[]), Route::CrossSlot);
        assert_eq!(of(&node, READ, &[&mine, &format!("{mine}x")], &[]), Route::Here);
    }

    #[test]
    fn a_cluster_that_is_down_serves_reads_only_if_told_to() {
        let node = start(image(Flags::PRIMARY, None), false);
        let mine = key(0..=8191);
        assert_eq!(of(&node, READ, &[&mine], &[]), Route::Down);
        assert_eq!(of(&node, READ, &[], &[]), Route::Here);
        let told = |demand| Demand { reads_when_down: true, ..demand };
        assert_eq!(of(&node, told(READ), &[&mine], &[]), Route::Here);
        assert_eq!(of(&node, told(WRITE), &[&mine], &[]), Route::DownForWrites);
    }

    #[test]
    fn a_slot_on_its_way_out_sends_on_what_is_not_here() {
        let mine = key(0..=8191);
        let second = format!("{mine}2");
        let mut image = image(Flags::PRIMARY, None);
        image.migrating.insert(key_slot(mine.as_bytes()), OTHER);
        let node = start(image, true);
        let slot = key_slot(mine.as_bytes());
        assert_eq!(of(&node, READ, &[&mine], &[&mine]), Route::Here);
        assert_eq!(of(&node, WRITE, &[&mine], &[]), Route::Ask(slot, OTHER));
        assert_eq!(of(&node, READ, &[&mine, &second], &[&mine]), Route::TryAgain);
        assert_eq!(of(&node, READ, &[&mine, &second], &[]), Route::Ask(slot, OTHER));
    }

    #[test]
    fn a_slot_on_its_way_in_is_served_to_those_who_ask() {
        let other = key(8192..=16382);
        let second = format!("{other}2");
        let slot = key_slot(other.as_bytes());
        let mut image = image(Flags::PRIMARY, None);
        image.importing.insert(slot, OTHER);
        let node = start(image, true);
        let asking = Demand { is_asking: true, ..WRITE };
        assert_eq!(of(&node, WRITE, &[&other], &[]), Route::Moved(slot, OTHER));
        assert_eq!(of(&node, asking, &[&other], &[]), Route::Here);
        assert_eq!(of(&node, asking, &[&other, &second], &[&other]), Route::TryAgain);
        assert_eq!(of(&node, asking, &[&other, &other], &[]), Route::Here);
    }

    #[test]
    fn a_replica_serves_reads_of_its_primary_to_those_who_want_them() {
        let node = start(image(Flags::REPLICA, Some(OTHER)), true);
        let other = key(8192..=16382);
        let moved = Route::Moved(key_slot(other.as_bytes()), OTHER);
        let readonly = |demand| Demand { is_readonly: true, ..demand };
        assert_eq!(of(&node, READ, &[&other], &[]), moved);
        assert_eq!(of(&node, readonly(READ), &[&other], &[]), Route::Here);
        assert_eq!(of(&node, readonly(WRITE), &[&other], &[]), moved);
        assert_eq!(of(&node, READ, &[&key(0..=8191)], &[]), Route::Unbound);
        let _: Slot = key_slot(b"x");
    }
}
