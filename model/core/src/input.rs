//! Owns everything that can happen to a node. Whoever drives a node says it in these words.

use crate::{
    address::Host,
    config::Config,
    ids::{LinkId, NodeId, RequestId},
    message::{Message, Publication},
    random::Random,
    slots::{Slot, SlotSet},
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
    /// The data set was loaded; comes once, before clients are served.
    Loaded {
        /// Slots that hold keys.
        slots: SlotSet<SLOTS>,
    },
    /// How replication stands. Comes whenever the offset or the link changes, at most once per message.
    Replication(Replication),
    /// More bytes wait to be sent on a link than the configured limit allows.
    Backlogged {
        /// Which link.
        link: LinkId,
    },
}

/// How replication stands, as the core needs to know it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Replication {
    /// Bytes of the replication stream processed; on a primary, produced.
    pub offset: u64,
    /// As a replica, when the primary was last heard, or the link to it was lost; or one that it has taken over from
    /// ([`Self::fresh_after`]). None if this node has never been in step with either.
    pub fresh_at: Option<Millis>,
}

impl Replication {
    /// What is left of `fresh_at` when another primary is to be followed ([`Effect::Follow`](crate::Effect::Follow)), after one
    /// of the shard `from`. Within a shard one primary goes on with the data of another: they are as fresh as they were.
    #[must_use]
    pub fn fresh_after(fresh_at: Option<Millis>, from: Option<NodeId>, to: NodeId) -> Option<Millis> {
        fresh_at.filter(|_| from == Some(to))
    }
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
    /// CLUSTER FLUSHSLOTS.
    FlushSlots {
        /// Whether this node holds any key.
        has_keys: bool,
    },
    /// CLUSTER SETSLOT.
    SetSlot {
        /// Which slot.
        slot: Slot,
        /// What about it.
        change: SlotChange,
        /// Whether this node holds a key of the slot.
        has_keys: bool,
    },
    /// CLUSTER REPLICATE.
    Replicate {
        /// The primary to follow.
        primary: NodeId,
        /// Whether this node holds any key.
        has_keys: bool,
    },
    /// CLUSTER FAILOVER.
    Failover(FailoverMode),
    /// CLUSTER RESET.
    Reset {
        /// With a new id and all epochs at zero (HARD), this being the id.
        hard: Option<NodeId>,
        /// Whether this node holds any key.
        has_keys: bool,
    },
    /// PUBLISH and SPUBLISH.
    Publish {
        /// What to whom.
        publication: Publication,
        /// To this node's shard only.
        sharded: bool,
    },
}

/// What CLUSTER SETSLOT can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlotChange {
    /// Being moved to this node.
    Migrating(NodeId),
    /// Being taken over from this node.
    Importing(NodeId),
    /// Neither.
    Stable,
    /// Owned by this node from now on.
    Node(NodeId),
}

/// How CLUSTER FAILOVER is to proceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailoverMode {
    /// The primary pauses, the replica catches up, then asks for votes.
    Coordinated,
    /// Ask for votes without the primary.
    Force,
    /// Take the slots without asking anybody.
    Takeover,
}
