//! A packet as a message. Believes no length and no text that a packet claims.

use super::{
    BusMessage,
    layout::{
        EXTENSION_ALIGN, EXTENSION_HEADER, EXTENSION_MAX, GOSSIP, HEADER_UNUSED, HOST, LIGHT, SIGNATURE, SLOTS,
        VERSION, extension, kind,
    },
};
use crate::names;
use slotbus_core::{
    Address, CLUSTER_SLOTS, ClusterState, Flags, Host, NodeId, SlotSet,
    message::{
        Body, Claim, Extension, GossipEntry, Header, Heartbeat, KIND_NAMES, MessageFlags, ModuleMessage, Publication,
    },
};
use std::{error, fmt};

/// What one packet says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// A message with all that its header tells of the sender.
    Full(BusMessage),
    /// A message whose header names no sender: it is the link's node (valkey 8). Its kind is one of
    /// PUBLISH, PUBLISHSHARD and MODULE.
    Light(Body<CLUSTER_SLOTS>),
}

/// The packet says nothing usable: drop it and keep the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// It does not begin with `RCmb`.
    Signature,
    /// It ends within its header.
    Header {
        /// How many bytes there are.
        actual: usize,
    },
    /// It claims another length than it has.
    TotalLength {
        /// The length that it claims.
        claimed: u32,
        /// How many bytes there are.
        actual: usize,
    },
    /// The format has a version that nobody uses.
    Version(u16),
    /// There is no such kind of message.
    Kind(u16),
    /// This kind of message cannot have a light header.
    LightKind(u16),
    /// It does not have the length that its own counts add up to.
    Length {
        /// The kind of message.
        kind: &'static str,
        /// The length they add up to, or, where more is to be counted, the least it can be.
        expected: u64,
        /// How many bytes there are.
        actual: usize,
    },
    /// A node's id is not 40 lowercase hex digits.
    NodeId {
        /// Whose id should stand there.
        of: &'static str,
    },
    /// The length of a ping extension is not a multiple of 8, or too small or large for any.
    ExtensionLength {
        /// The extension's code.
        kind: u16,
        /// The length that it claims.
        length: u32,
    },
    /// A ping extension goes on beyond the end of the packet.
    ExtensionOverrun {
        /// The extension's code.
        kind: u16,
        /// The length that it claims.
        length: u32,
        /// How many bytes there are.
        actual: usize,
    },
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signature => f.write_str("bad signature"),
            Self::Header { actual } => write!(f, "the packet ends after {actual} bytes, within its header"),
            Self::TotalLength { claimed, actual } => write!(f, "the packet claims {claimed} bytes but has {actual}"),
            Self::Version(version) => write!(f, "unknown version {version} of the bus format"),
            Self::Kind(kind) => write!(f, "unknown packet type: {kind}"),
            Self::LightKind(kind) => write!(f, "packet type {kind} cannot have a light header"),
            Self::Length { kind, expected, actual } => {
                write!(f, "invalid {kind} packet of length {actual} but expected length {expected}")
            }
            Self::NodeId { of } => write!(f, "the id of the {of} is not 40 lowercase hex digits"),
            Self::ExtensionLength { kind, length } => {
                write!(f, "ping extension of type {kind} has the impossible length {length}")
            }
            Self::ExtensionOverrun { kind, length, actual } => {
                write!(f, "ping extension of type {kind} and length {length} ends beyond the packet's {actual} bytes")
            }
        }
    }
}

impl error::Error for Malformed {}

/// Reads one packet, which must be complete and alone: what [`super::frame()`] cuts out.
///
/// Texts that are no usable host count as an unknown one. One bad node id in the gossip section
/// empties the section, as in redis 7.4, and the rest of the message still counts. A ping extension
/// of an unknown kind, or of a known one with an unusable payload, is kept as it is.
pub fn decode(packet: &[u8]) -> Result<Packet, Malformed> {
    let mut fields = Fields { packet, at: 0 };
    if fields.array()? != *SIGNATURE {
        return Err(Malformed::Signature);
    }
    let claimed = fields.u32()?;
    if usize::try_from(claimed) != Ok(packet.len()) {
        return Err(Malformed::TotalLength { claimed, actual: packet.len() });
    }
    let version = fields.u16()?;
    if version != VERSION {
        return Err(Malformed::Version(version));
    }
    let port = fields.u16()?;
    let kind = fields.u16()?;
    let gossip = fields.u16()?;
    if kind & LIGHT != 0 {
        return fields.light_body(kind & !LIGHT).map(Packet::Light);
    }
    let (header, extensions) = fields.header(port)?;
    let extensions = header.mflags.contains(MessageFlags::EXTENSIONS).then_some(extensions);
    let body = fields.body(kind, Counts { gossip, extensions })?;
    Ok(Packet::Full(BusMessage { header, body }))
}

/// What the header counts of a heartbeat's parts.
#[derive(Clone, Copy)]
struct Counts {
    gossip: u16,
    /// None if the header's flags announce none: then the count stands for nothing.
    extensions: Option<u16>,
}

/// The fields of a packet, from where it has been read to.
struct Fields<'a> {
    packet: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    fn header(&mut self, port: u16) -> Result<(Header<CLUSTER_SLOTS>, u16), Malformed> {
        let current_epoch = self.u64()?;
        let config_epoch = self.u64()?;
        let offset = self.u64()?;
        let sender = self.node_id("sender")?;
        let slots = self.slots()?;
        let primary = self.node_id_or_none("sender's primary")?;
        let host = self.host()?;
        let extensions = self.u16()?;
        self.bytes(HEADER_UNUSED)?;
        let pport = self.u16()?;
        let cport = self.u16()?;
        let flags = Flags::from_bits_retain(self.u16()?);
        let [state, mflags, ..] = self.array::<4>()?;
        let header = Header {
            sender,
            current_epoch,
            config_epoch,
            offset,
            slots,
            primary,
            address: Address { host, port, cport, pport },
            flags,
            state: if state == 0 { ClusterState::Ok } else { ClusterState::Fail },
            mflags: MessageFlags::from_bits_retain(mflags),
        };
        Ok((header, extensions))
    }

    fn body(&mut self, kind: u16, counts: Counts) -> Result<Body<CLUSTER_SLOTS>, Malformed> {
        match kind {
            kind::PING => self.heartbeat(kind, counts).map(Body::Ping),
            kind::PONG => self.heartbeat(kind, counts).map(Body::Pong),
            kind::MEET => self.heartbeat(kind, counts).map(Body::Meet),
            kind::FAIL => {
                self.expect_rest(kind, NodeId::TEXT_LEN as u64)?;
                self.node_id("failed node").map(Body::Fail)
            }
            kind::PUBLISH => self.publication(kind).map(Body::Publish),
            kind::FAILOVER_AUTH_REQUEST => self.expect_rest(kind, 0).map(|()| Body::FailoverAuthRequest),
            kind::FAILOVER_AUTH_ACK => self.expect_rest(kind, 0).map(|()| Body::FailoverAuthAck),
            kind::UPDATE => self.claim(kind).map(Body::Update),
            kind::MANUAL_FAILOVER_START => self.expect_rest(kind, 0).map(|()| Body::ManualFailoverStart),
            kind::MODULE => self.module_message(kind).map(Body::Module),
            kind::PUBLISH_SHARD => self.publication(kind).map(Body::PublishShard),
            _ => Err(Malformed::Kind(kind)),
        }
    }

    fn light_body(&mut self, kind: u16) -> Result<Body<CLUSTER_SLOTS>, Malformed> {
        match kind {
            kind::PUBLISH => self.publication(kind).map(Body::Publish),
            kind::MODULE => self.module_message(kind).map(Body::Module),
            kind::PUBLISH_SHARD => self.publication(kind).map(Body::PublishShard),
            _ => Err(Malformed::LightKind(kind)),
        }
    }

    fn heartbeat(&mut self, kind: u16, counts: Counts) -> Result<Heartbeat, Malformed> {
        let gossip_length = GOSSIP * usize::from(counts.gossip);
        let section = self.bytes(gossip_length).map_err(|_| self.length_error(kind, gossip_length as u64))?;
        let entries = section.chunks_exact(GOSSIP).map(gossip_entry);
        let gossip = entries.collect::<Result<_, _>>().unwrap_or_default();
        let extensions = (0..counts.extensions.unwrap_or(0)).map(|_| self.extension(kind)).collect::<Result<_, _>>()?;
        self.expect_rest(kind, 0)?;
        Ok(Heartbeat { gossip, extensions })
    }

    fn extension(&mut self, packet_kind: u16) -> Result<Extension, Malformed> {
        if self.rest() < EXTENSION_HEADER {
            return Err(self.length_error(packet_kind, EXTENSION_HEADER as u64));
        }
        let length = self.u32()?;
        let kind = self.u16()?;
        self.u16()?;
        let whole = usize::try_from(length).unwrap_or(usize::MAX);
        if !(EXTENSION_HEADER..=EXTENSION_MAX).contains(&whole) || !whole.is_multiple_of(EXTENSION_ALIGN) {
            return Err(Malformed::ExtensionLength { kind, length });
        }
        let overrun = Malformed::ExtensionOverrun { kind, length, actual: self.packet.len() };
        let payload = self.bytes(whole - EXTENSION_HEADER).map_err(|_| overrun)?;
        let typed = typed_extension(kind, payload);
        Ok(typed.unwrap_or_else(|| Extension::Other { kind, payload: payload.into() }))
    }

    fn publication(&mut self, kind: u16) -> Result<Publication, Malformed> {
        self.expect_at_least(kind, 8)?;
        let channel = self.u32()?;
        let payload = self.u32()?;
        self.expect_rest(kind, u64::from(channel) + u64::from(payload))?;
        Ok(Publication { channel: self.counted(channel)?.into(), payload: self.counted(payload)?.into() })
    }

    fn claim(&mut self, kind: u16) -> Result<Claim<CLUSTER_SLOTS>, Malformed> {
        self.expect_rest(kind, (8 + NodeId::TEXT_LEN + SLOTS) as u64)?;
        let config_epoch = self.u64()?;
        let node = self.node_id("claiming node")?;
        let slots = self.slots()?;
        Ok(Claim { node, config_epoch, slots })
    }

    fn module_message(&mut self, kind: u16) -> Result<ModuleMessage, Malformed> {
        self.expect_at_least(kind, 13)?;
        let module = self.array()?;
        let length = self.u32()?;
        let [code] = self.array()?;
        self.expect_rest(kind, length.into())?;
        Ok(ModuleMessage { module, kind: code, payload: self.counted(length)?.into() })
    }

    fn rest(&self) -> usize {
        self.packet.len() - self.at
    }

    fn expect_rest(&self, kind: u16, length: u64) -> Result<(), Malformed> {
        if self.rest() as u64 == length { Ok(()) } else { Err(self.length_error(kind, length)) }
    }

    fn expect_at_least(&self, kind: u16, length: u64) -> Result<(), Malformed> {
        if self.rest() as u64 >= length { Ok(()) } else { Err(self.length_error(kind, length)) }
    }

    /// The error for a packet in which `length` bytes should follow.
    fn length_error(&self, kind: u16, length: u64) -> Malformed {
        let kind = KIND_NAMES.get(usize::from(kind)).copied().unwrap_or("unknown");
        Malformed::Length { kind, expected: self.at as u64 + length, actual: self.packet.len() }
    }

    fn node_id(&mut self, of: &'static str) -> Result<NodeId, Malformed> {
        NodeId::from_text(self.bytes(NodeId::TEXT_LEN)?).map_err(|_| Malformed::NodeId { of })
    }

    fn node_id_or_none(&mut self, of: &'static str) -> Result<Option<NodeId>, Malformed> {
        let text = self.bytes(NodeId::TEXT_LEN)?;
        if text.iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        NodeId::from_text(text).map(Some).map_err(|_| Malformed::NodeId { of })
    }

    fn slots(&mut self) -> Result<SlotSet<CLUSTER_SLOTS>, Malformed> {
        let (words, _) = self.bytes(SLOTS)?.as_chunks();
        let is_used = |word: &[u8; 8]| *word != [0; 8];
        let first = words.iter().position(is_used).unwrap_or_default();
        let end = words.iter().rposition(is_used).map_or(first, |last| last + 1);
        Ok(SlotSet::from_window(first, words[first..end].iter().map(|word| u64::from_le_bytes(*word))))
    }

    /// The text of a field up to its NUL, if it is a usable host.
    fn host(&mut self) -> Result<Host, Malformed> {
        Ok(text_before_nul(self.bytes(HOST)?).and_then(names::host).unwrap_or_default())
    }

    fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let chunk = self.packet[self.at..].first_chunk();
        let array = *chunk.ok_or(Malformed::Header { actual: self.packet.len() })?;
        self.at += N;
        Ok(array)
    }

    fn counted(&mut self, length: u32) -> Result<&'a [u8], Malformed> {
        self.bytes(usize::try_from(length).unwrap_or(usize::MAX))
    }

    fn bytes(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let Some((bytes, _)) = self.packet[self.at..].split_at_checked(length) else {
            return Err(Malformed::Header { actual: self.packet.len() });
        };
        self.at += length;
        Ok(bytes)
    }
}

fn gossip_entry(entry: &[u8]) -> Result<GossipEntry, Malformed> {
    let mut fields = Fields { packet: entry, at: 0 };
    let node = fields.node_id("gossiped node")?;
    let ping_sent_s = fields.u32()?;
    let pong_received_s = fields.u32()?;
    let host = fields.host()?;
    let port = fields.u16()?;
    let cport = fields.u16()?;
    let flags = Flags::from_bits_retain(fields.u16()?);
    let pport = fields.u16()?;
    Ok(GossipEntry { node, ping_sent_s, pong_received_s, address: Address { host, port, cport, pport }, flags })
}

/// The extension of a known kind with a usable payload.
fn typed_extension(kind: u16, payload: &[u8]) -> Option<Extension> {
    match kind {
        extension::HOSTNAME => {
            let name = text_before_nul(payload).filter(|name| names::is_hostname(name))?;
            Some(Extension::Hostname(name.into()))
        }
        extension::HUMAN_NAME => {
            let name = text_before_nul(payload).filter(|name| names::is_human_name(name))?;
            Some(Extension::HumanName(name.into()))
        }
        extension::FORGOTTEN => {
            let (node, ttl_s) = payload.split_at_checked(NodeId::TEXT_LEN)?;
            let ttl_s = u64::from_be_bytes(ttl_s.try_into().ok()?);
            Some(Extension::Forgotten { node: NodeId::from_text(node).ok()?, ttl_s })
        }
        extension::SHARD_ID => NodeId::from_text(payload).ok().map(Extension::ShardId),
        _ => None,
    }
}

fn text_before_nul(field: &[u8]) -> Option<&str> {
    let (text, _) = field.split_at_checked(field.iter().position(|&byte| byte == 0)?)?;
    str::from_utf8(text).ok()
}
