//! Owns everything that a node can ask of its driver. Effects are data: nothing here performs anything.

use crate::{
    address::Address,
    durable::Durable,
    ids::{LinkId, NodeId, RequestId},
    message::{Message, Publication},
    random::Random,
    rule::Rule,
    slots::{Slot, SlotSet},
    time::Millis,
};
use alloc::{boxed::Box, vec::Vec};
use core::fmt;
use serde::{Deserialize, Serialize};

/// What one step asks of its driver: first `persist`, complete and on disk, then `then` in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
pub struct Effects<const SLOTS: usize> {
    /// What must reach the disk before anything of `then` is performed.
    #[serde(default)]
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
    /// Replicate this primary from now on; without an address, as soon as there is one.
    Follow {
        /// Whom.
        primary: NodeId,
        /// Where.
        address: Address,
        /// Its shard. What is here is of its past if it is that of the primary so far.
        shard: NodeId,
    },
    /// Replicate nobody from now on: this node is a primary.
    Lead,
    /// Hold back the writes of clients until this instant, unless told otherwise before.
    PauseWrites {
        /// Until when, on this node's clock.
        until: Millis,
    },
    /// Let clients write again.
    ResumeWrites,
    /// Delete every key of these slots: another node owns them now.
    DropKeys {
        /// Which slots.
        slots: SlotSet<SLOTS>,
    },
    /// Delete every key.
    DropAllKeys,
    /// Hand a message to the local subscribers of its channel.
    Deliver {
        /// What to whom.
        publication: Publication,
        /// Whether the channel is a sharded one.
        sharded: bool,
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
    /// SETSLOT on a replica.
    NotPrimary,
    /// SETSLOT MIGRATING: not the owner.
    NotOwner(Slot),
    /// SETSLOT IMPORTING: already the owner.
    AlreadyOwner(Slot),
    /// SETSLOT MIGRATING and IMPORTING: no such node.
    UnheardOfNode(NodeId),
    /// SETSLOT: the node is a replica.
    TargetNotPrimary,
    /// SETSLOT MIGRATING and IMPORTING: this node itself.
    TargetIsMyself,
    /// SETSLOT NODE: keys of the slot are still here.
    SlotHasKeys(Slot),
    /// REPLICATE: oneself.
    ReplicateMyself,
    /// REPLICATE: a replica.
    ReplicateReplica,
    /// REPLICATE: a primary with slots or keys.
    NotEmpty,
    /// ADDSLOTS on a replica.
    ReplicaOwnsNothing,
    /// FAILOVER on a primary.
    FailoverOnPrimary,
    /// FAILOVER: the primary is not known.
    PrimaryUnknown,
    /// FAILOVER: the primary is failed, or there is no link to it.
    PrimaryDown,
    /// FLUSHSLOTS with keys.
    FlushWithKeys,
    /// RESET of a primary with keys.
    ResetWithKeys,
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
            Self::NotPrimary => f.write_str("Please use SETSLOT only with masters."),
            Self::NotOwner(slot) => write!(f, "I'm not the owner of hash slot {slot}"),
            Self::AlreadyOwner(slot) => write!(f, "I'm already the owner of hash slot {slot}"),
            Self::UnheardOfNode(node) => write!(f, "I don't know about node {node}"),
            Self::TargetNotPrimary => f.write_str("Target node is not a master"),
            Self::TargetIsMyself => f.write_str("Target node is myself"),
            Self::SlotHasKeys(slot) => write!(
                f,
                "Can't assign hashslot {slot} to a different node while I still hold keys for this hash slot."
            ),
            Self::ReplicateMyself => f.write_str("Can't replicate myself"),
            Self::ReplicateReplica => f.write_str("I can only replicate a master, not a replica."),
            Self::NotEmpty => f.write_str("To set a master the node must be empty and without assigned slots."),
            Self::ReplicaOwnsNothing => f.write_str("A replica can't own slots, use a master instead."),
            Self::FailoverOnPrimary => f.write_str("You should send CLUSTER FAILOVER to a replica"),
            Self::PrimaryUnknown => f.write_str("I'm a replica but my master is unknown to me"),
            Self::PrimaryDown => f.write_str("Master is down or failed, please use CLUSTER FAILOVER FORCE"),
            Self::FlushWithKeys => f.write_str("DB must be empty to perform CLUSTER FLUSHSLOTS."),
            Self::ResetWithKeys => f.write_str("CLUSTER RESET can't be called with master nodes containing keys"),
            Self::EpochNotAlone => {
                f.write_str("The user can assign a config epoch only when the node does not know any other node.")
            }
            Self::EpochNotZero => f.write_str("Node config epoch is already non-zero"),
        }
    }
}
