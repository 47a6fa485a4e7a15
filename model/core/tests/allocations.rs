//! What a step takes from memory does not grow with the nodes that are known, but for the gossip that
//! a heartbeat has to carry.

mod settled;

use settled::{Cluster, NOW, heartbeat_of, settled};
use slotbus_core::{
    Body, Effect, Event, Input, LinkId, Millis, Random,
    message::{GossipEntry, Heartbeat},
    step,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What a step takes for its effects, rules and one message.
const BYTES_MAX: usize = 4096;

/// What the names of a few rules take.
const RULES_MAX: usize = 64;

/// The bytes that a step takes, and how many gossip entries it sends.
fn cost(node: &mut Cluster, now: Millis, event: Event<16384>) -> (usize, usize) {
    let region = Region::new(ALLOCATOR);
    let effects = step(node, Input { now, random: Random::new(7), event });
    let change = region.change();
    assert!(effects.persist.is_none(), "an image is as large as the table");
    let mut entries = 0;
    for effect in &effects.then {
        if let Effect::Send { message, .. } = effect {
            entries += message.heartbeat().map_or(0, |heartbeat| heartbeat.gossip.len());
        }
    }
    (change.bytes_allocated + usize::try_from(change.bytes_reallocated).unwrap_or(0), entries)
}

// One test: what others take at the same time would be counted, too.
#[test]
fn a_step_takes_no_more_memory_where_more_nodes_are_known() {
    for nodes in [10, 100, 1000] {
        let mut node = settled(nodes);
        let ticks = (0..10).map(|tick| cost(&mut node, NOW.after(300 + 100 * tick), Event::Tick));
        assert!(ticks.min().is_some_and(|(bytes, _)| bytes <= RULES_MAX), "a tick that sends nothing, {nodes} nodes");
        let mut node = settled(nodes);
        let mut event = |body: Body<16384>| {
            let mut message = heartbeat_of(nodes, 5);
            message.body = body;
            cost(&mut node, NOW.after(300), Event::Received { link: LinkId::Inbound(5), message })
        };
        let quiet = event(Body::ManualFailoverStart);
        assert!(quiet.0 <= BYTES_MAX && quiet.1 == 0, "{nodes} nodes: {quiet:?}");
        let (bytes, entries) = event(Body::Ping(Heartbeat::default()));
        assert!((1..=nodes.div_ceil(10).max(3)).contains(&entries), "{entries} entries");
        let gossip = entries * size_of::<GossipEntry>();
        assert!((gossip..=gossip + BYTES_MAX).contains(&bytes), "{nodes} nodes: {bytes} bytes, {gossip} of gossip");
    }
}
