//! Owns everything that can happen to a node. Whoever drives a node says it in these words.

use crate::{
    address::Host,
    config::Config,
    ids::{LinkId, NodeId, RequestId},
    message::Message,
    random::Random,
    slots::Slot,
    time::Millis,
};
use alloc::{boxed::Box, sync::Arc, vec::Vec};
use serde::{Deserialize, Serialize};

/// One input of [`crate::step`]: when, with which dice, and what.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Input<const SLOTS: usize> {
    /// The node's own clock. It must not go back between inputs.
    pub now: Millis,
    /// The dice of this step.
    pub random: Random,
    /// What happened.
    pub event: Event<SLOTS>,
}

/// What can happen to a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event<const SLOTS: usize> {
    /// An outbound link connected, or a peer opened an inbound one.
    LinkUp {
        /// Which link.
        link: LinkId,
        /// This end's address.
        local: Host,
        /// The other end's address.
        remote: Host,
    },
    /// The link closed from outside, or its connection attempt failed. After the core itself
    /// closed a link, the driver reports nothing more about it.
    LinkDown {
        /// Which link.
        link: LinkId,
    },
    /// An outbound link could not even be attempted: the connect call failed at once.
    LinkRefused {
        /// Which link.
        link: LinkId,
    },
    /// A well-formed message arrived.
    Received {
        /// On which link.
        link: LinkId,
        /// What it says.
        message: Box<Message<SLOTS>>,
    },
    /// The deadline of [`crate::next_deadline`] has come.
    Tick,
    /// An administrator asks for something.
    Admin {
        /// Echoed in the reply.
        request: RequestId,
        /// What is asked.
        command: Command,
    },
    /// The configuration changed while running.
    Configured(Arc<Config>),
}

/// What an administrator can ask that changes the node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// CLUSTER MEET.
    Meet {
        /// Whom: an IP address.
        host: Host,
        /// Client port.
        port: u16,
        /// Bus port.
        cport: u16,
    },
    /// CLUSTER FORGET.
    Forget(NodeId),
    /// CLUSTER ADDSLOTS and ADDSLOTSRANGE, slots in the order given.
    AddSlots(Vec<Slot>),
    /// CLUSTER DELSLOTS and DELSLOTSRANGE, slots in the order given.
    DelSlots(Vec<Slot>),
    /// CLUSTER BUMPEPOCH.
    BumpEpoch,
    /// CLUSTER SET-CONFIG-EPOCH.
    SetConfigEpoch(u64),
    /// CLUSTER SAVECONFIG.
    SaveConfig,
}
