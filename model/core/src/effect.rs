//! Owns everything that a node can ask of its driver. Effects are data: nothing here performs anything.

use crate::{
    address::Address,
    durable::Durable,
    ids::{LinkId, NodeId, RequestId},
    message::Message,
    random::Random,
    rule::Rule,
    slots::Slot,
};
use alloc::{boxed::Box, vec::Vec};
use core::fmt;
use serde::{Deserialize, Serialize};

/// What one step asks of its driver: first `persist`, complete and on disk, then `then` in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
pub struct Effects<const SLOTS: usize> {
    /// What must reach the disk before anything of `then` is performed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persist: Option<Persist<SLOTS>>,
    /// What to do then, in this order.
    pub then: Vec<Effect<SLOTS>>,
    /// Which rules fired, in order.
    pub rules: Vec<Rule>,
    /// The dice as the step left them; for worlds that enumerate outcomes.
    #[serde(skip, default = "spent")]
    pub dice: Random,
}

fn spent() -> Random {
    Random::new(0)
}

/// A complete image of what survives a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Persist<const SLOTS: usize> {
    /// Whether the image must survive a power loss, not only the end of the process.
    pub sync: bool,
    /// The image.
    pub image: Box<Durable<SLOTS>>,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect<const SLOTS: usize> {
    /// Open an outbound link; answer with `LinkUp`, `LinkDown` or `LinkRefused`.
    /// Messages may be sent to it before it is up: they leave once it is.
    Connect {
        /// The new link's name.
        link: LinkId,
        /// Host and bus port of the peer.
        address: Address,
    },
    /// Close a link and report nothing more about it.
    Close {
        /// Which link.
        link: LinkId,
    },
    /// Send a message. A link that cannot take it is closed and reported down.
    Send {
        /// Where.
        link: LinkId,
        /// What.
        message: Box<Message<SLOTS>>,
    },
    /// Answer an admin request.
    Reply {
        /// Which request.
        request: RequestId,
        /// The answer.
        reply: Reply,
    },
}

/// The answer to an admin request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// Done, or begun where the protocol answers before it is done.
    Done,
    /// BUMPEPOCH: the epoch is now this one.
    Bumped(u64),
    /// BUMPEPOCH: the epoch was this one already, alone and highest.
    Still(u64),
    /// Refused; nothing changed.
    Refused(Refusal),
}

/// Why an admin request was refused. Displays as redis-server words it, without the error code.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// MEET: no usable address.
    InvalidAddress {
        /// As given.
        address: Address,
    },
    /// A slot that the cluster does not have.
    NoSuchSlot,
    /// ADDSLOTS: somebody owns it.
    SlotBusy(Slot),
    /// DELSLOTS: nobody owns it.
    SlotUnassigned(Slot),
    /// The same slot twice in one request.
    SlotRepeated(Slot),
    /// FORGET: no such node.
    UnknownNode(NodeId),
    /// FORGET: oneself.
    ForgetMyself,
    /// FORGET: one's own primary.
    ForgetMyPrimary,
    /// SET-CONFIG-EPOCH: other nodes are known.
    EpochNotAlone,
    /// SET-CONFIG-EPOCH: the node has an epoch.
    EpochNotZero,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidAddress { address } => {
                write!(f, "Invalid node address specified: {}:{}", address.host, address.port)
            }
            Self::NoSuchSlot => f.write_str("Invalid or out of range slot"),
            Self::SlotBusy(slot) => write!(f, "Slot {slot} is already busy"),
            Self::SlotUnassigned(slot) => write!(f, "Slot {slot} is already unassigned"),
            Self::SlotRepeated(slot) => write!(f, "Slot {slot} specified multiple times"),
            Self::UnknownNode(node) => write!(f, "Unknown node {node}"),
            Self::ForgetMyself => f.write_str("I tried hard but I can't forget myself..."),
            Self::ForgetMyPrimary => f.write_str("Can't forget my master!"),
            Self::EpochNotAlone => {
                f.write_str("The user can assign a config epoch only when the node does not know any other node.")
            }
            Self::EpochNotZero => f.write_str("Node config epoch is already non-zero"),
        }
    }
}
