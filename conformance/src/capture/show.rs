//! Packets as lines for people. Knows no law.

use super::{Seen, Unread};
use slotbus_core::{Body, ClusterState, NodeId, message::GossipEntry};
use slotbus_wire::bus::BusMessage;
use std::fmt::Write as _;

/// So much of an id tells nodes apart.
const SHORT: usize = 8;

/// One line about a packet.
#[must_use]
pub fn line(seen: &Seen) -> String {
    let Seen { number, frame, at, connection, by_caller, .. } = seen;
    let way = if *by_caller { '>' } else { '<' };
    let said = match seen.message() {
        Ok(message) => message_text(&message),
        Err(Unread::Light) => "light header".to_owned(),
        Err(Unread::Malformed(why)) => format!("malformed: {why}"),
    };
    format!("{number} {frame} {}.{:06} {connection}{way} {said}", at.as_secs(), at.subsec_micros())
}

fn short(id: NodeId) -> String {
    id.to_string()[..SHORT].to_owned()
}

fn message_text(message: &BusMessage) -> String {
    let header = &message.header;
    let mut text = format!("{} {} {}", message.body.name(), short(header.sender), header.address);
    let state = if header.state == ClusterState::Ok { "ok" } else { "fail" };
    let slots = if header.slots.is_empty() { "none".to_owned() } else { header.slots.to_string().replace(' ', ",") };
    // Writing to a String does not fail.
    let _ = write!(
        text,
        " flags={:#x} mflags={:#x} state={state} current={} epoch={} offset={} slots={slots}",
        header.flags.bits(),
        header.mflags.bits(),
        header.current_epoch,
        header.config_epoch,
        header.offset
    );
    if let Some(primary) = header.primary {
        let _ = write!(text, " of={}", short(primary));
    }
    text + &body_text(&message.body)
}

fn body_text(body: &Body<{ slotbus_core::CLUSTER_SLOTS }>) -> String {
    match body {
        Body::Ping(heartbeat) | Body::Pong(heartbeat) | Body::Meet(heartbeat) => {
            let gossip = heartbeat.gossip.iter().map(gossip_text);
            gossip.chain(heartbeat.extensions.iter().map(|extension| format!(" {extension:?}"))).collect()
        }
        Body::Fail(node) => format!(" about={}", short(*node)),
        Body::Update(claim) => {
            format!(" about={} claim-epoch={} claim-slots={}", short(claim.node), claim.config_epoch, claim.slots)
        }
        Body::Publish(it) | Body::PublishShard(it) => {
            format!(" channel={:?} bytes={}", String::from_utf8_lossy(&it.channel), it.payload.len())
        }
        Body::Module(module) => format!(" bytes={}", module.payload.len()),
        Body::FailoverAuthRequest | Body::FailoverAuthAck | Body::ManualFailoverStart => String::new(),
    }
}

fn gossip_text(entry: &GossipEntry) -> String {
    let GossipEntry { node, ping_sent_s, pong_received_s, address, flags } = entry;
    format!(" [{} {address} {:#x} ping={ping_sent_s} pong={pong_received_s}]", short(*node), flags.bits())
}
