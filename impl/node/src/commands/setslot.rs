//! Owns CLUSTER SETSLOT.
//!
//! Must not decide: the order of the checks is the core's. Arguments that name no slot or no node
//! are handed on as a slot or a node that there is not, so that the core refuses them in its order.

use super::cluster::{ask, bus, unknown_node};
use crate::{bus::ClusterNode, client::Session, server::Server};
use slotbus_core::{CLUSTER_SLOTS, Command, NodeId, Refusal, Slot, SlotChange};
use slotbus_wire::resp::{Args, Reply, parse_i64};

pub(super) fn setslot<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    let nobody = match bus(server) {
        Ok(bus) => absent_id(bus.node()),
        Err(refusal) => return refusal,
    };
    let id = NodeId::from_text(args.at(4)).unwrap_or(nobody);
    let slot = slot_or_none(args.at(2));
    let has_keys = server.store.count_in_slot(slot) > 0;
    let change = match (args.len(), args.at(3).to_ascii_lowercase().as_slice()) {
        (5, b"migrating") => Ok(SlotChange::Migrating(id)),
        (5, b"importing") => Ok(SlotChange::Importing(id)),
        (4, b"stable") => Ok(SlotChange::Stable),
        (5, b"node") => Ok(SlotChange::Node(id)),
        _ if server.is_replica() => Err(Reply::err(Refusal::NotPrimary)),
        _ if slot.index() >= CLUSTER_SLOTS => Err(Reply::err(Refusal::NoSuchSlot)),
        _ => Err(Reply::err("Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP")),
    };
    let reply = ask(server, change.map(|change| Command::SetSlot { slot, change, has_keys }));
    // The refusal names the node as it was given.
    let is_about_nobody = |refusal: Refusal| reply == Reply::err(refusal);
    if is_about_nobody(Refusal::UnknownNode(nobody)) {
        unknown_node(args.at(4))
    } else if is_about_nobody(Refusal::UnheardOfNode(nobody)) {
        Reply::err(format_args!("I don't know about node {}", String::from_utf8_lossy(args.at(4))))
    } else {
        reply
    }
}

/// The slot of this number, or one that there is not.
fn slot_or_none(text: &[u8]) -> Slot {
    parse_i64(text).and_then(|number| u16::try_from(number).ok()).map_or(Slot(u16::MAX), Slot)
}

/// An id that no known node has.
fn absent_id(node: &ClusterNode) -> NodeId {
    let id = |number: u64| {
        let mut bytes = [0; 20];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        NodeId(bytes)
    };
    (0..).map(id).find(|id| node.peers().find(id).is_none()).unwrap_or(id(0))
}
