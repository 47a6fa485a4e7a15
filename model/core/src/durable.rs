//! Owns the image of a node that survives a restart, and the view of nodes that CLUSTER NODES shows.
//! Knows no text format: that is slotbus-wire's.

use crate::{
    address::Address,
    ids::NodeId,
    message::Flags,
    slots::{Slot, SlotSet},
    time::Millis,
};
use alloc::{boxed::Box, collections::BTreeMap, vec::Vec};
use serde::{Deserialize, Serialize};

/// One node as CLUSTER NODES and nodes.conf show it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeView<const SLOTS: usize> {
    /// The node's id.
    pub id: NodeId,
    /// Where it is reached.
    pub address: Address,
    /// The host name that it announces to clients; empty for none.
    #[serde(default)]
    pub hostname: Box<str>,
    /// What it is.
    pub flags: Flags,
    /// The primary that it replicates.
    pub primary: Option<NodeId>,
    /// When it was pinged, if the answer is outstanding.
    pub ping_sent: Option<Millis>,
    /// When it last answered.
    pub pong_received: Option<Millis>,
    /// The epoch of its claim; for a replica that of its primary.
    pub config_epoch: u64,
    /// Whether this node has an outbound link to it (or is it).
    pub connected: bool,
    /// The slots that it owns.
    pub slots: SlotSet<SLOTS>,
}

/// All that survives a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Durable<const SLOTS: usize> {
    /// Every node but those in handshake, oneself included (flag MYSELF).
    pub nodes: Vec<NodeView<SLOTS>>,
    /// Own slots that are being moved to a node.
    #[serde(default)]
    pub migrating: BTreeMap<Slot, NodeId>,
    /// Slots that are being taken over from a node.
    #[serde(default)]
    pub importing: BTreeMap<Slot, NodeId>,
    /// The greatest epoch seen.
    pub current_epoch: u64,
    /// The epoch of the last vote given.
    pub last_vote_epoch: u64,
}
