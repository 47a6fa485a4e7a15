//! A message as a packet. Writes what it is given and asks nobody whether it makes sense.

use super::{
    BusMessage,
    layout::{
        EXTENSION_ALIGN, EXTENSION_HEADER, EXTENSION_MAX, EXTENSIONS_AT, GOSSIP, HEADER, HEADER_UNUSED, HEARTBEAT_MAX,
        HOST, LENGTH_AT, MFLAGS_AT, PAYLOAD_MAX, SIGNATURE, SLOTS, VERSION, extension,
    },
};
use crate::names;
use slotbus_core::{
    CLUSTER_SLOTS, ClusterState, Host, NodeId, SlotSet,
    message::{Body, Claim, Extension, GossipEntry, Header, Heartbeat, MessageFlags, ModuleMessage, Publication},
};
use std::net::{IpAddr, Ipv4Addr};

/// Room for the extensions that most heartbeats carry: a shard and a host name.
const EXTENSIONS_USUAL: usize = 128;

/// Appends the packet of `message` to `out`.
///
/// Never fails. What has no place in a packet is left out: a host whose text does not fit its field
/// becomes unknown, gossip entries beyond the 65535th and extensions beyond the longest heartbeat are
/// dropped, an extension's payload ends after 64 KiB, and a channel name or payload after 512 MiB,
/// which is as much as a client can send. Extensions are announced in the header's flags even if
/// the message forgot to.
pub fn encode(message: &BusMessage, out: &mut Vec<u8>) {
    let start = out.len();
    out.reserve(HEADER + EXTENSIONS_USUAL + message.heartbeat().map_or(0, |heartbeat| GOSSIP * heartbeat.gossip.len()));
    put_header(message, out);
    let extensions = put_body(&message.body, out);
    let packet = &mut out[start..];
    let length = packet.len() as u32;
    packet[LENGTH_AT..LENGTH_AT + 4].copy_from_slice(&length.to_be_bytes());
    packet[EXTENSIONS_AT..EXTENSIONS_AT + 2].copy_from_slice(&extensions.to_be_bytes());
    if extensions > 0 {
        packet[MFLAGS_AT] |= MessageFlags::EXTENSIONS.bits();
    }
}

fn put_header(message: &BusMessage, out: &mut Vec<u8>) {
    let Header { sender, current_epoch, config_epoch, offset, slots, primary, address, flags, state, mflags } =
        &message.header;
    let gossip = message.heartbeat().map_or(0, |heartbeat| count(heartbeat.gossip.len()));
    out.extend(SIGNATURE);
    put_u32(0, out); // the length, known in the end
    put_u16(VERSION, out);
    put_u16(address.port, out);
    put_u16(message.body.code(), out);
    put_u16(gossip, out);
    put_u64(*current_epoch, out);
    put_u64(*config_epoch, out);
    put_u64(*offset, out);
    out.extend(sender.to_text());
    put_slots(slots, out);
    out.extend(primary.map_or([0; NodeId::TEXT_LEN], NodeId::to_text));
    put_host(&address.host, out);
    put_u16(0, out); // the number of extensions, known in the end
    out.extend([0; HEADER_UNUSED]);
    put_u16(address.pport, out);
    put_u16(address.cport, out);
    put_u16(flags.bits(), out);
    out.push(match state {
        ClusterState::Ok => 0,
        ClusterState::Fail => 1,
    });
    out.extend([mflags.bits(), 0, 0]);
}

/// Writes the body and says how many ping extensions it has.
fn put_body(body: &Body<CLUSTER_SLOTS>, out: &mut Vec<u8>) -> u16 {
    match body {
        Body::Ping(heartbeat) | Body::Pong(heartbeat) | Body::Meet(heartbeat) => return put_heartbeat(heartbeat, out),
        Body::Fail(node) => out.extend(node.to_text()),
        Body::Publish(publication) | Body::PublishShard(publication) => put_publication(publication, out),
        Body::Update(claim) => put_claim(claim, out),
        Body::Module(message) => put_module_message(message, out),
        Body::FailoverAuthRequest | Body::FailoverAuthAck | Body::ManualFailoverStart => {}
    }
    0
}

fn put_heartbeat(heartbeat: &Heartbeat, out: &mut Vec<u8>) -> u16 {
    let gossip = usize::from(count(heartbeat.gossip.len()));
    heartbeat.gossip[..gossip].iter().for_each(|entry| put_gossip_entry(entry, out));
    let end_max = out.len() + HEARTBEAT_MAX - HEADER - GOSSIP * gossip;
    let mut extensions = 0;
    for extension in heartbeat.extensions.iter().take(u16::MAX.into()) {
        let start = out.len();
        put_extension(extension, out);
        if out.len() > end_max {
            out.truncate(start);
            break;
        }
        extensions += 1;
    }
    extensions
}

fn put_gossip_entry(entry: &GossipEntry, out: &mut Vec<u8>) {
    let GossipEntry { node, ping_sent_s, pong_received_s, address, flags } = entry;
    out.extend(node.to_text());
    put_u32(*ping_sent_s, out);
    put_u32(*pong_received_s, out);
    put_host(&address.host, out);
    put_u16(address.port, out);
    put_u16(address.cport, out);
    put_u16(flags.bits(), out);
    put_u16(address.pport, out);
    put_u16(0, out);
}

fn put_extension(extension: &Extension, out: &mut Vec<u8>) {
    match extension {
        Extension::Hostname(name) => put_extension_bytes(extension::HOSTNAME, &with_nul(name), out),
        Extension::HumanName(name) => put_extension_bytes(extension::HUMAN_NAME, &with_nul(name), out),
        Extension::Forgotten { node, ttl_s } => {
            let payload = [node.to_text().as_slice(), &ttl_s.to_be_bytes()].concat();
            put_extension_bytes(extension::FORGOTTEN, &payload, out);
        }
        Extension::ShardId(shard) => put_extension_bytes(extension::SHARD_ID, &shard.to_text(), out),
        Extension::Other { kind, payload } => put_extension_bytes(*kind, payload, out),
    }
}

fn with_nul(text: &str) -> Vec<u8> {
    [text.as_bytes(), b"\0"].concat()
}

fn put_extension_bytes(kind: u16, payload: &[u8], out: &mut Vec<u8>) {
    let payload = &payload[..payload.len().min(EXTENSION_MAX - EXTENSION_HEADER)];
    let padded = payload.len().next_multiple_of(EXTENSION_ALIGN);
    put_u32((EXTENSION_HEADER + padded) as u32, out);
    put_u16(kind, out);
    put_u16(0, out);
    out.extend(payload);
    out.extend(std::iter::repeat_n(0, padded - payload.len()));
}

fn put_publication(publication: &Publication, out: &mut Vec<u8>) {
    let (channel, payload) = (cut(&publication.channel), cut(&publication.payload));
    put_u32(channel.len() as u32, out);
    put_u32(payload.len() as u32, out);
    out.extend(channel);
    out.extend(payload);
}

fn put_claim(claim: &Claim<CLUSTER_SLOTS>, out: &mut Vec<u8>) {
    put_u64(claim.config_epoch, out);
    out.extend(claim.node.to_text());
    put_slots(&claim.slots, out);
}

fn put_module_message(message: &ModuleMessage, out: &mut Vec<u8>) {
    let payload = cut(&message.payload);
    out.extend(message.module);
    put_u32(payload.len() as u32, out);
    out.push(message.kind);
    out.extend(payload);
}

fn put_slots(slots: &SlotSet<CLUSTER_SLOTS>, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + SLOTS, 0);
    let (first, words) = slots.window();
    for (place, word) in out[start..].chunks_exact_mut(8).skip(first).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
}

fn put_host(host: &Host, out: &mut Vec<u8>) {
    let end = out.len() + HOST;
    match host {
        Host::Unknown => {}
        Host::Ip(IpAddr::V4(ip)) => put_ipv4(*ip, out),
        Host::Ip(IpAddr::V6(ip)) => out.extend(ip.to_string().as_bytes()),
        Host::Name(name) if names::host(name).is_some() => out.extend(name.as_bytes()),
        Host::Name(_) => {}
    }
    out.resize(end, 0);
}

/// Every gossip entry has an address: they are written without taking memory.
fn put_ipv4(ip: Ipv4Addr, out: &mut Vec<u8>) {
    for (index, octet) in ip.octets().into_iter().enumerate() {
        if index > 0 {
            out.push(b'.');
        }
        out.extend(itoa::Buffer::new().format(octet).as_bytes());
    }
}

/// How many of `len` items the header can count.
fn count(len: usize) -> u16 {
    u16::try_from(len).unwrap_or(u16::MAX)
}

fn cut(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(PAYLOAD_MAX)]
}

fn put_u16(value: u16, out: &mut Vec<u8>) {
    out.extend(value.to_be_bytes());
}

fn put_u32(value: u32, out: &mut Vec<u8>) {
    out.extend(value.to_be_bytes());
}

fn put_u64(value: u64, out: &mut Vec<u8>) {
    out.extend(value.to_be_bytes());
}
