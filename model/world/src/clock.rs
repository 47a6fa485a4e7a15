//! Owns the worlds' idea of time, and which parts of messages and images are dead.
//! Knows no rule: it only removes what no rule reads.
//!
//! There is no global clock. Between steps every host's clock shows [`NOW`], and all that a node
//! remembers of time are ages, cut at the longest that any rule can tell apart: so the states are
//! finite. A tick sets one host's clock on to its next deadline, steps, and turns it back to
//! [`NOW`] with every instant that it stored.
//!
//! Gossip carries instants in whole seconds of its sender's clock. The period of every model's cron
//! is a whole second, so that ages survive the way into a message and out again; [`NOW`] is half a
//! second past a whole one, so that what is gossiped is a little older than what was seen, as it
//! is in earnest: a node that is only heard of gets its ping in turn. An age does not grow while
//! its message is on the way: the receiver reads it as if its own clock lagged behind the sender's
//! by just that time.

use slotbus_core::{
    Body, ClusterState, Durable, Flags, Header, Message, Millis, NodeView,
    message::{GossipEntry, Heartbeat},
};

/// What every host's clock shows between steps. Farther from zero than any age that a rule can
/// tell apart, because a node takes an absent instant for zero.
pub const NOW: Millis = Millis(1_000_500);

/// The message without what no receiver reads.
#[must_use]
pub fn canonical_message<const SLOTS: usize>(message: Message<SLOTS>) -> Message<SLOTS> {
    let Message { header, body } = message;
    Message { header: canonical_header(header), body: canonical_body(body) }
}

/// No rule reads the sender's view of the cluster state.
fn canonical_header<const SLOTS: usize>(header: Header<SLOTS>) -> Header<SLOTS> {
    Header { state: ClusterState::Fail, ..header }
}

fn canonical_body<const SLOTS: usize>(body: Body<SLOTS>) -> Body<SLOTS> {
    match body {
        Body::Ping(heartbeat) => Body::Ping(canonical_heartbeat(heartbeat)),
        Body::Pong(heartbeat) => Body::Pong(canonical_heartbeat(heartbeat)),
        Body::Meet(heartbeat) => Body::Meet(canonical_heartbeat(heartbeat)),
        Body::Fail(_)
        | Body::Publish(_)
        | Body::FailoverAuthRequest
        | Body::FailoverAuthAck
        | Body::Update(_)
        | Body::ManualFailoverStart
        | Body::Module(_)
        | Body::PublishShard(_) => body,
    }
}

fn canonical_heartbeat(mut heartbeat: Heartbeat) -> Heartbeat {
    heartbeat.gossip.iter_mut().for_each(canonical_entry);
    heartbeat
}

/// No rule reads when a gossiped node was pinged, nor when a suspected or failed one last answered.
fn canonical_entry(entry: &mut GossipEntry) {
    entry.ping_sent_s = 0;
    if entry.flags.intersects(Flags::PFAIL | Flags::FAIL) {
        entry.pong_received_s = 0;
    }
}

/// The image without what no restart reads: of instants, only whether they are there; and nothing
/// of connections.
pub(crate) fn canonical_image<const SLOTS: usize>(mut image: Durable<SLOTS>) -> Durable<SLOTS> {
    image.nodes.iter_mut().for_each(canonical_view);
    image
}

fn canonical_view<const SLOTS: usize>(view: &mut NodeView<SLOTS>) {
    view.ping_sent = view.ping_sent.map(|_| NOW);
    view.pong_received = view.pong_received.map(|_| NOW);
    view.connected = false;
}
