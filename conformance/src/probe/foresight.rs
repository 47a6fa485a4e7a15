//! What a recording says of later moments: chance is not guessed where its outcome was seen. Knows
//! records only.

use super::request;
use crate::scripted::record::{Conn, Record};
use redis::Value;
use slotbus_core::{Body, Flags, NodeId};

/// A view of a whole recording.
#[derive(Clone, Copy)]
pub(super) struct Foresight<'a>(pub(super) &'a [Record]);

impl Foresight<'_> {
    /// When the server next asks for votes.
    pub(super) fn next_request_for_votes(&self, from_ms: u64) -> Option<u64> {
        let is_request = |record: &&Record| {
            record.what.said().is_some_and(|(_, message)| matches!(message.body, Body::FailoverAuthRequest))
        };
        self.later(from_ms).find(is_request).map(|record| record.at_ms)
    }

    /// When the server next shows that it suspects a node.
    pub(super) fn next_suspicion(&self, from_ms: u64, id: NodeId) -> Option<u64> {
        let is_told = |record: &Record| {
            let heartbeat = record.what.said().and_then(|(_, message)| message.heartbeat());
            let mut gossip = heartbeat.into_iter().flat_map(|heartbeat| &heartbeat.gossip);
            gossip.any(|entry| entry.node == id && entry.flags.contains(Flags::PFAIL))
        };
        let name = id.to_string();
        let is_shown = |record: &Record| {
            let text = record.what.answer().map(|(_, reply)| request::show(reply)).unwrap_or_default();
            text.lines().any(|line| line.starts_with(&name) && line.contains("fail?"))
        };
        self.later(from_ms).find(|record| is_told(record) || is_shown(record)).map(|record| record.at_ms)
    }

    /// Whether the first word on a connection is MEET.
    pub(super) fn begins_with_meet(&self, conn: Conn) -> bool {
        let mut words = self.0.iter().filter_map(|record| record.what.said()).filter(|(heard, _)| *heard == conn);
        words.next().is_some_and(|(_, message)| matches!(message.body, Body::Meet(_)))
    }

    /// The id by which the server goes from now on: the next one that it shows and that is not its old
    /// one; the old one if it shows none.
    pub(super) fn next_id(&self, from_ms: u64, old: NodeId) -> NodeId {
        let id = |record: &Record| {
            let said = record.what.said().map(|(_, message)| message.header.sender);
            said.or_else(|| own_id(&request::show(record.what.answer()?.1)))
        };
        self.later(from_ms).filter_map(id).find(|id| *id != old).unwrap_or(old)
    }

    /// The reply to a command.
    pub(super) fn reply(&self, asked: u64, from_ms: u64) -> Option<&Value> {
        let mut answers = self.later(from_ms).filter_map(|record| record.what.answer());
        answers.find(|(number, _)| *number == asked).map(|(_, reply)| reply)
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
