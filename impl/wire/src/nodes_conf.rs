//! Owns nodes.conf, the file in which a node keeps what survives a restart, and with it the lines of
//! CLUSTER NODES. Knows no file system: it turns values into text and text into values.
//!
//! redis-server 7.0 reads what this writes and the other way round. A file of a later version is read
//! too; what it says beyond that is dropped.

mod parse;
mod stamp;

pub use parse::{Fault, NodesConfError, parse};
pub use stamp::{Stamp, Stamped};

use crate::names;
use slotbus_core::{Address, CLUSTER_SLOTS, Flags, Millis, NodeId, NodeView, Slot};
use std::{collections::BTreeMap, fmt};

/// All that survives a restart of a node of a real cluster.
pub type Durable = slotbus_core::Durable<CLUSTER_SLOTS>;

/// Slots on the move, and the node at the other end of each.
pub type Moves = BTreeMap<Slot, NodeId>;

/// The words for flags, in the order in which a line shows them.
const FLAG_WORDS: [(Flags, &str); 8] = [
    (Flags::MYSELF, "myself"),
    (Flags::PRIMARY, "master"),
    (Flags::REPLICA, "slave"),
    (Flags::PFAIL, "fail?"),
    (Flags::FAIL, "fail"),
    (Flags::HANDSHAKE, "handshake"),
    (Flags::NOADDR, "noaddr"),
    (Flags::NOFAILOVER, "nofailover"),
];
/// Stands where a node has none of them.
const NO_FLAGS: &str = "noflags";
/// Begins the line of the cluster's own numbers, after those of the nodes.
const VARS: &str = "vars";
const CURRENT_EPOCH: &str = "currentEpoch";
const LAST_VOTE_EPOCH: &str = "lastVoteEpoch";

/// The content of nodes.conf. Nodes in handshake have no place in it.
#[must_use]
pub fn write(durable: &Durable) -> String {
    let members = durable.nodes.iter().filter(|node| !node.flags.contains(Flags::HANDSHAKE));
    let mut text: String = members.map(|node| node_line(node, &durable.migrating, &durable.importing) + "\n").collect();
    let Durable { current_epoch, last_vote_epoch, .. } = durable;
    text += &format!("{VARS} {CURRENT_EPOCH} {current_epoch} {LAST_VOTE_EPOCH} {last_vote_epoch}\n");
    text
}

/// One line of CLUSTER NODES and nodes.conf, without its end. The moves show on a node's line of
/// itself only.
#[must_use]
pub fn node_line(node: &NodeView<CLUSTER_SLOTS>, migrating: &Moves, importing: &Moves) -> String {
    let NodeView { id, address, hostname, flags, primary, ping_sent, pong_received, config_epoch, connected, slots } =
        node;
    let address = AddressField { address, hostname };
    let flags = flag_words(*flags);
    let primary = primary.map_or_else(|| "-".to_owned(), |id| id.to_string());
    let Millis(ping_sent_ms) = ping_sent.unwrap_or_default();
    let Millis(pong_received_ms) = pong_received.unwrap_or_default();
    let link = if *connected { "connected" } else { "disconnected" };
    let mut line = format!("{id} {address} {flags} {primary} {ping_sent_ms} {pong_received_ms} {config_epoch} {link}");
    if !slots.is_empty() {
        line += &format!(" {slots}");
    }
    if node.flags.contains(Flags::MYSELF) {
        line += &move_items(migrating, importing);
    }
    line
}

/// `ip:port@cport[,hostname]`. A text that would break the line is left out.
struct AddressField<'a> {
    address: &'a Address,
    hostname: &'a str,
}

impl fmt::Display for AddressField<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Address { host, port, cport, pport: _ } = self.address;
        let host = names::host(&host.to_string()).unwrap_or_default();
        write!(f, "{host}:{port}@{cport}")?;
        if !self.hostname.is_empty() && names::is_hostname(self.hostname) {
            write!(f, ",{}", self.hostname)?;
        }
        Ok(())
    }
}

fn flag_words(flags: Flags) -> String {
    let words = FLAG_WORDS.iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, word)| *word);
    let words: Vec<&str> = words.collect();
    if words.is_empty() { NO_FLAGS.to_owned() } else { words.join(",") }
}

/// ` [slot->-id]` for each slot that leaves and ` [slot-<-id]` for each that comes, by slot.
fn move_items(migrating: &Moves, importing: &Moves) -> String {
    let coming = importing.iter().map(|(slot, id)| (slot, ('<', id)));
    let leaving = migrating.iter().map(|(slot, id)| (slot, ('>', id)));
    // A slot that does both leaves, as redis-server shows it: the later entry stays.
    let items: BTreeMap<_, _> = coming.chain(leaving).collect();
    items.into_iter().map(|(slot, (arrow, id))| format!(" [{slot}-{arrow}-{id}]")).collect()
}
