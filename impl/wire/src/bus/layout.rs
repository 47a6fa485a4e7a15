//! Owns the sizes and codes of the bus format. Every integer is big-endian; every text is padded
//! with NULs to the size of its field.

/// The first bytes of every packet.
pub(super) const SIGNATURE: &[u8; 4] = b"RCmb";
/// The only version of the format in use.
pub(super) const VERSION: u16 = 1;
/// Where the packet's length stands: right after the signature, as four bytes.
pub(super) const LENGTH_AT: usize = 4;
/// Where the kind of message stands.
pub(super) const KIND_AT: usize = 12;
/// Where the header counts ping extensions.
pub(super) const EXTENSIONS_AT: usize = 2214;
/// Where the header says what is special about the message.
pub(super) const MFLAGS_AT: usize = 2253;
/// Up to here a full and a light header tell the same things.
pub(super) const LIGHT_HEADER: usize = 16;
/// Length of the full header.
pub(super) const HEADER: usize = 2256;
/// Length of a slot bitmap: slot `s` is bit `s % 8`, least significant first, of byte `s / 8`.
pub(super) const SLOTS: usize = slotbus_core::CLUSTER_SLOTS / 8;
/// Length of the field that holds an IP address as text, with at least one closing NUL.
pub(super) const HOST: usize = slotbus_core::Host::TEXT_MAX + 1;
/// Reserved bytes of the header.
pub(super) const HEADER_UNUSED: usize = 30;
/// Length of one gossip entry.
pub(super) const GOSSIP: usize = 104;
/// Length of what stands before the payload of a ping extension.
pub(super) const EXTENSION_HEADER: usize = 8;
/// Extensions, their headers included, are multiples of this.
pub(super) const EXTENSION_ALIGN: usize = 8;
/// The longest extension: receivers read the lower sixteen bits of its length.
pub(super) const EXTENSION_MAX: usize = 65528;

/// This bit of the kind says that the header is a light one (valkey 8).
pub(super) const LIGHT: u16 = 0x8000;

/// The longest channel name or payload on the bus: redis-server's default for the longest string
/// that a client can send.
pub(super) const PAYLOAD_MAX: usize = 512 << 20;
/// Room for as many extensions as can be counted, one per forgotten node, and some long ones.
const EXTENSIONS_MAX: usize = 4 << 20;
/// The longest packet of the kinds without a payload.
pub(super) const HEARTBEAT_MAX: usize = HEADER + GOSSIP * u16::MAX as usize + EXTENSIONS_MAX;
/// The longest packet of the kinds with one: a channel name, a payload and their lengths.
pub(super) const PUBLICATION_MAX: usize = HEADER + 8 + 2 * PAYLOAD_MAX;

/// Codes of the kinds, in the order of `slotbus_core::message::KIND_NAMES`.
pub(super) mod kind {
    pub(in super::super) const PING: u16 = 0;
    pub(in super::super) const PONG: u16 = 1;
    pub(in super::super) const MEET: u16 = 2;
    pub(in super::super) const FAIL: u16 = 3;
    pub(in super::super) const PUBLISH: u16 = 4;
    pub(in super::super) const FAILOVER_AUTH_REQUEST: u16 = 5;
    pub(in super::super) const FAILOVER_AUTH_ACK: u16 = 6;
    pub(in super::super) const UPDATE: u16 = 7;
    pub(in super::super) const MANUAL_FAILOVER_START: u16 = 8;
    pub(in super::super) const MODULE: u16 = 9;
    pub(in super::super) const PUBLISH_SHARD: u16 = 10;
}

/// Codes of the ping extensions that have a meaning of their own here.
pub(super) mod extension {
    pub(in super::super) const HOSTNAME: u16 = 0;
    pub(in super::super) const HUMAN_NAME: u16 = 1;
    pub(in super::super) const FORGOTTEN: u16 = 2;
    pub(in super::super) const SHARD_ID: u16 = 3;
}
