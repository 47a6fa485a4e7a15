//! What a recording says of later moments: chance is not guessed where its outcome was seen. Knows
//! records only.

use super::request;
use crate::scripted::{
    link::Arrival,
    record::{Conn, Happening, Record},
};
use slotbus_core::{Body, Flags, NodeId};

/// A view of a whole recording.
#[derive(Clone, Copy)]
pub(super) struct Foresight<'a>(pub(super) &'a [Record]);

impl Foresight<'_> {
    /// When the server next asks for votes.
    pub(super) fn next_request_for_votes(&self, from_ms: u64) -> Option<u64> {
        let is_request = |record: &&Record| {
            matches!(&record.what, Happening::Heard { arrival: Arrival::Message(message), .. }
                if matches!(message.body, Body::FailoverAuthRequest))
        };
        self.later(from_ms).find(is_request).map(|record| record.at_ms)
    }

    /// When the server next shows that it suspects a node.
    pub(super) fn next_suspicion(&self, from_ms: u64, id: NodeId) -> Option<u64> {
        let is_suspicion = |record: &&Record| match &record.what {
            Happening::Heard { arrival: Arrival::Message(message), .. } => {
                let gossip = message.heartbeat().map_or(&[][..], |heartbeat| &heartbeat.gossip);
                gossip.iter().any(|entry| entry.node == id && entry.flags.contains(Flags::PFAIL))
            }
            Happening::Answered { reply, .. } => {
                let (text, id) = (request::show(reply), id.to_string());
                text.lines().any(|line| line.starts_with(&id) && line.contains("fail?"))
            }
            _ => false,
        };
        self.later(from_ms).find(is_suspicion).map(|record| record.at_ms)
    }

    /// Whether the first word on a connection is MEET.
    pub(super) fn begins_with_meet(&self, conn: Conn) -> bool {
        let first = self.0.iter().find_map(|record| match &record.what {
            Happening::Heard { conn: heard, arrival: Arrival::Message(message) } if *heard == conn => Some(message),
            _ => None,
        });
        first.is_some_and(|message| matches!(message.body, Body::Meet(_)))
    }

    /// The id by which the server goes from now on: the next one that it shows and that is not its old
    /// one; the old one if it shows none.
    pub(super) fn next_id(&self, from_ms: u64, old: NodeId) -> NodeId {
        let id = |record: &Record| match &record.what {
            Happening::Heard { arrival: Arrival::Message(message), .. } => Some(message.header.sender),
            Happening::Answered { reply, .. } => own_id(&request::show(reply)),
            _ => None,
        };
        self.later(from_ms).filter_map(id).find(|id| *id != old).unwrap_or(old)
    }

    /// The reply to a command.
    pub(super) fn reply(&self, asked: u64, from_ms: u64) -> Option<&redis::Value> {
        self.later(from_ms).find_map(|record| match &record.what {
            Happening::Answered { number, reply } if *number == asked => Some(reply),
            _ => None,
        })
    }

    fn later(&self, from_ms: u64) -> impl Iterator<Item = &Record> {
        let first = self.0.partition_point(|record| record.at_ms < from_ms);
        self.0[first..].iter()
    }
}

/// The server's id in a reply to CLUSTER MYID or CLUSTER NODES.
fn own_id(text: &str) -> Option<NodeId> {
    let own = text.lines().find(|line| line.contains("myself"));
    own.map_or(text, |line| line.split(' ').next().unwrap_or_default()).parse().ok()
}
