//! Owns the values that travel on the bus. Knows no byte of their encoding: that is slotbus-wire's.

use crate::{
    address::{Address, Host},
    ids::NodeId,
    slots::SlotSet,
};
use alloc::{boxed::Box, vec::Vec};
use bitflags::bitflags;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

bitflags! {
    /// What a node is, in its own header and in gossip about it.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct Flags: u16 {
        /// A primary ("master" on the wire).
        const PRIMARY = 1;
        /// A replica ("slave" on the wire).
        const REPLICA = 2;
        /// Suspected: it did not answer this node in time.
        const PFAIL = 4;
        /// Failed: a majority of primaries suspected it.
        const FAIL = 8;
        /// The sender itself.
        const MYSELF = 16;
        /// Its real id is not known yet.
        const HANDSHAKE = 32;
        /// Its address is not known.
        const NOADDR = 64;
        /// A MEET is still to be sent to it.
        const MEET = 128;
        /// A primary that replicas may migrate to.
        const MIGRATE_TO = 256;
        /// A replica that does not start failovers.
        const NOFAILOVER = 512;
        /// Understands ping extensions (redis 7.2, valkey).
        const EXTENSIONS = 1024;
        /// Understands PUBLISH with the light header (valkey 8.0).
        const LIGHT_PUBLISH = 2048;
        /// Understands MODULE with the light header (valkey 8.1).
        const LIGHT_MODULE = 4096;
        /// A replica whose primary failed in its view (valkey 9.1).
        const MY_PRIMARY_FAIL = 8192;
        const _ = !0;
    }

    /// What a header says about its message.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct MessageFlags: u8 {
        /// The primary that sends has paused its clients for a manual failover.
        const PAUSED = 1;
        /// The vote is asked for though the primary is up: a manual failover.
        const FORCEACK = 2;
        /// Ping extensions follow the gossip, or the sender understands them.
        const EXTENSIONS = 4;
        const _ = !0;
    }
}

impl Flags {
    /// The flags that nodes.conf keeps.
    pub const SAVED: Self = Self::MYSELF
        .union(Self::PRIMARY)
        .union(Self::REPLICA)
        .union(Self::PFAIL)
        .union(Self::FAIL)
        .union(Self::NOADDR)
        .union(Self::NOFAILOVER);
}

macro_rules! serde_as_bits {
    ($($flags:ident: $bits:ident),*) => {$(
        impl Serialize for $flags {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.bits().serialize(serializer)
            }
        }
        impl<'de> Deserialize<'de> for $flags {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $bits::deserialize(deserializer).map(Self::from_bits_retain)
            }
        }
    )*};
}
serde_as_bits!(Flags: u16, MessageFlags: u8);

/// Whether a node believes that the cluster serves requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClusterState {
    /// Requests are served.
    Ok,
    /// Requests are refused.
    #[default]
    Fail,
}

/// One bus message.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Message<const SLOTS: usize> {
    /// What every message says about its sender.
    pub header: Header<SLOTS>,
    /// What this one is about.
    pub body: Body<SLOTS>,
}

/// What every message says about its sender.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Header<const SLOTS: usize> {
    /// The sender's id.
    pub sender: NodeId,
    /// The greatest epoch that the sender has seen.
    pub current_epoch: u64,
    /// The epoch of the sender's slot claim; a replica repeats its primary's.
    pub config_epoch: u64,
    /// Replication offset in bytes.
    pub offset: u64,
    /// Slots that the sender claims; a replica repeats its primary's.
    pub slots: SlotSet<SLOTS>,
    /// The primary that the sender replicates.
    pub primary: Option<NodeId>,
    /// The address that the sender announces; an unknown host stands for the connection's.
    pub address: Address,
    /// What the sender is.
    pub flags: Flags,
    /// The sender's view of the cluster.
    pub state: ClusterState,
    /// What is special about this message.
    pub mflags: MessageFlags,
}

/// The eleven kinds of message.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body<const SLOTS: usize> {
    /// A heartbeat that asks for a PONG.
    Ping(Heartbeat),
    /// The answer to PING and MEET, and news that cannot wait for one.
    Pong(Heartbeat),
    /// A PING that the receiver trusts enough to get to know the sender.
    Meet(Heartbeat),
    /// A majority found this node failed.
    Fail(NodeId),
    /// A message to a channel of the whole cluster.
    Publish(Publication),
    /// A replica asks for a vote.
    FailoverAuthRequest,
    /// The vote.
    FailoverAuthAck,
    /// A newer claim than the one that the receiver announced.
    Update(Claim<SLOTS>),
    /// A replica asks its primary to pause clients for a manual failover.
    ManualFailoverStart,
    /// A module's message, opaque here.
    Module(ModuleMessage),
    /// A message to a channel of the sender's shard.
    PublishShard(Publication),
}

/// Names of the message kinds as CLUSTER INFO counts them, by wire code.
pub const KIND_NAMES: [&str; 11] =
    ["ping", "pong", "meet", "fail", "publish", "auth-req", "auth-ack", "update", "mfstart", "module", "publishshard"];

impl<const SLOTS: usize> Body<SLOTS> {
    /// The kind's code on the wire, an index of [`KIND_NAMES`].
    #[must_use]
    pub fn code(&self) -> u16 {
        match self {
            Self::Ping(_) => 0,
            Self::Pong(_) => 1,
            Self::Meet(_) => 2,
            Self::Fail(_) => 3,
            Self::Publish(_) => 4,
            Self::FailoverAuthRequest => 5,
            Self::FailoverAuthAck => 6,
            Self::Update(_) => 7,
            Self::ManualFailoverStart => 8,
            Self::Module(_) => 9,
            Self::PublishShard(_) => 10,
        }
    }

    /// The kind's name, as CLUSTER INFO counts it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        KIND_NAMES[usize::from(self.code())]
    }
}

/// What PING, PONG and MEET carry.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Heartbeat {
    /// What the sender knows of a few other nodes.
    pub gossip: Vec<GossipEntry>,
    /// What the sender says about itself beyond the header.
    #[serde(default)]
    pub extensions: Vec<Extension>,
}

/// What the sender knows of one other node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GossipEntry {
    /// The node in question.
    pub node: NodeId,
    /// When the sender pinged it, if unanswered; 0 otherwise. Seconds of the sender's clock. No rule reads it.
    pub ping_sent_s: u32,
    /// When it last answered the sender. Seconds of the sender's clock.
    pub pong_received_s: u32,
    /// Where the sender reaches it.
    pub address: Address,
    /// What it is, in the sender's view.
    pub flags: Flags,
}

/// One ping extension.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extension {
    /// The host name that the sender announces to clients.
    Hostname(Box<str>),
    /// A name for people (redis 7.2, valkey).
    HumanName(Box<str>),
    /// A node to forget, and for how many seconds (redis 7.2, valkey).
    Forgotten {
        /// The node to forget.
        node: NodeId,
        /// How long it must not come back through gossip.
        ttl_s: u64,
    },
    /// The shard that the sender belongs to (redis 7.2, valkey).
    ShardId(NodeId),
    /// Any other kind, or a known kind with an unusable payload: kept, not interpreted.
    Other {
        /// Its code on the wire.
        kind: u16,
        /// Its payload with padding.
        payload: Vec<u8>,
    },
}

/// A published message.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Publication {
    /// Channel name, raw bytes.
    pub channel: Vec<u8>,
    /// Message, raw bytes.
    pub payload: Vec<u8>,
}

/// A node's claim to slots under an epoch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Claim<const SLOTS: usize> {
    /// Who claims.
    pub node: NodeId,
    /// Under which epoch.
    pub config_epoch: u64,
    /// Which slots.
    pub slots: SlotSet<SLOTS>,
}

/// A module's message.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ModuleMessage {
    /// The module's id as eight bytes in the order of the wire.
    pub module: [u8; 8],
    /// The module's own type code.
    pub kind: u8,
    /// Opaque payload.
    pub payload: Vec<u8>,
}

impl<const SLOTS: usize> Message<SLOTS> {
    /// The heartbeat, if this is a PING, PONG or MEET.
    #[must_use]
    pub fn heartbeat(&self) -> Option<&Heartbeat> {
        match &self.body {
            Body::Ping(heartbeat) | Body::Pong(heartbeat) | Body::Meet(heartbeat) => Some(heartbeat),
            Body::Fail(_)
            | Body::Publish(_)
            | Body::FailoverAuthRequest
            | Body::FailoverAuthAck
            | Body::Update(_)
            | Body::ManualFailoverStart
            | Body::Module(_)
            | Body::PublishShard(_) => None,
        }
    }
}

impl Host {
    /// Whether the text fits the wire's field.
    #[must_use]
    pub fn fits_wire(&self) -> bool {
        match self {
            Self::Unknown | Self::Ip(_) => true,
            Self::Name(name) => name.len() <= Self::TEXT_MAX,
        }
    }
}
