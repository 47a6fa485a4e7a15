//! What one state of the model shows to others: the header of its messages, its table of nodes, its
//! numbers. Owns how that is compared with what a server shows; knows no connection.

use slotbus_core::{
    Address, CLUSTER_SLOTS, ClusterState, Flags, Header, Millis, Node, NodeId,
    message::{GossipEntry, MessageFlags},
};
use slotbus_wire::nodes_conf::node_line;
use std::collections::{BTreeMap, BTreeSet};

/// The model's node.
pub(super) type ModelNode = Node<CLUSTER_SLOTS>;

/// Words of a line of CLUSTER NODES that depend on the moment: when a node was pinged and answered,
/// and whether it is connected.
const MOMENTARY: [usize; 3] = [4, 5, 7];
/// Flags that only later versions have: what else a header says does not depend on them.
const LATER_FLAGS: Flags =
    Flags::EXTENSIONS.union(Flags::LIGHT_PUBLISH).union(Flags::LIGHT_MODULE).union(Flags::MY_PRIMARY_FAIL);

/// One part in which a server and the model differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mismatch {
    /// Which part.
    pub part: String,
    /// What the server shows.
    pub seen: String,
    /// What the model shows.
    pub model: String,
}

impl Mismatch {
    fn of(part: &str, seen: impl ToString, model: impl ToString) -> Self {
        Self { part: part.to_owned(), seen: seen.to_string(), model: model.to_string() }
    }
}

/// What one state shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct View {
    header: BTreeMap<&'static str, String>,
    nodes: BTreeSet<String>,
    info: BTreeMap<&'static str, String>,
    told: BTreeMap<NodeId, (Flags, Address)>,
}

impl View {
    /// What a node shows.
    pub(super) fn of(node: &ModelNode) -> Self {
        let positions = || node.peers().positions();
        let line = |pos| node_words(&node_line(&node.view(pos), node.migrating(), node.importing()));
        let others = node.peers().iter().filter(|peer| !peer.is_any(Flags::MYSELF | Flags::HANDSHAKE));
        Self {
            header: header_words(&header(node)),
            nodes: positions().map(line).collect(),
            info: info(node),
            told: others.map(|peer| (peer.id, (peer.flags - LATER_FLAGS, peer.address.clone()))).collect(),
        }
    }

    /// Where a header differs from those of this state.
    pub(super) fn contradicts_header(&self, seen: &Header<CLUSTER_SLOTS>) -> Option<Mismatch> {
        let seen = header_words(seen);
        let (part, model) = self.header.iter().find(|(part, model)| seen.get(*part) != Some(*model))?;
        Some(Mismatch::of(&format!("header, {part}"), &seen[part], model))
    }

    /// Where an entry of gossip differs from what this state could tell. Which nodes are told of is chance.
    pub(super) fn contradicts_entry(&self, seen: &GossipEntry) -> Option<Mismatch> {
        let part = format!("gossip about {}", seen.node);
        let Some((flags, address)) = self.told.get(&seen.node) else {
            return Some(Mismatch::of(&part, "told", "no such node"));
        };
        let flags_seen = seen.flags - LATER_FLAGS;
        if flags_seen != *flags {
            return Some(Mismatch::of(&part, format!("{flags_seen:?}"), format!("{flags:?}")));
        }
        (seen.address != *address).then(|| Mismatch::of(&part, &seen.address, address))
    }

    /// The suspected node that a heartbeat of this state must tell of and does not.
    pub(super) fn untold_suspect(&self, seen: &[GossipEntry]) -> Option<NodeId> {
        let is_suspect = |(_, (flags, _)): &(&NodeId, &(Flags, Address))| {
            flags.contains(Flags::PFAIL) && !flags.contains(Flags::NOADDR)
        };
        let mut suspects = self.told.iter().filter(is_suspect).map(|(id, _)| *id);
        suspects.find(|id| seen.iter().all(|entry| entry.node != *id))
    }

    /// Where the text of CLUSTER NODES differs.
    pub(super) fn contradicts_nodes(&self, text: &str) -> Option<Mismatch> {
        let seen: BTreeSet<String> = text.lines().map(node_words).collect();
        if seen == self.nodes {
            return None;
        }
        let only = |left: &BTreeSet<String>, right: &BTreeSet<String>| {
            let lines: Vec<_> = left.difference(right).cloned().collect();
            if lines.is_empty() { "nothing else".to_owned() } else { lines.join(" | ") }
        };
        Some(Mismatch::of("CLUSTER NODES", only(&seen, &self.nodes), only(&self.nodes, &seen)))
    }

    /// Where the text of CLUSTER INFO differs.
    pub(super) fn contradicts_info(&self, text: &str) -> Option<Mismatch> {
        self.info.iter().find_map(|(field, model)| {
            let seen = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).unwrap_or("nothing");
            (seen.trim() != model).then(|| Mismatch::of(&format!("CLUSTER INFO, {field}"), seen.trim(), model))
        })
    }

    /// Whether two states show the same in one part.
    pub(super) fn agrees_in(&self, part: &str, other: &Self) -> bool {
        match part.split_once(", ").map(|(_, field)| field) {
            Some(field) if part.starts_with("header") => self.header.get(field) == other.header.get(field),
            Some(field) => self.info.get(field) == other.info.get(field),
            None if part.starts_with("gossip") => self.told == other.told,
            None => self.nodes == other.nodes,
        }
    }
}

/// A line of CLUSTER NODES or nodes.conf without what depends on the moment; of a node in handshake
/// also without its id, which is chance.
pub(super) fn node_words(line: &str) -> String {
    let words: Vec<&str> = line.trim_end().split(' ').collect();
    let is_handshake = words.get(2).is_some_and(|flags| flags.split(',').any(|flag| flag == "handshake"));
    let kept = words.iter().enumerate().filter(|(place, _)| !MOMENTARY.contains(place));
    let shown = kept.map(|(place, word)| if place == 0 && is_handshake { "?" } else { word });
    shown.collect::<Vec<_>>().join(" ")
}

/// The header of a node's messages.
fn header(node: &ModelNode) -> Header<CLUSTER_SLOTS> {
    let (own, config) = (node.myself(), node.config());
    let claimant = if own.is_primary() { Some(own) } else { node.my_primary().map(|pos| &node.peers()[pos]) };
    let is_pausing = own.is_primary() && node.manual_failover().is_some();
    Header {
        sender: own.id,
        current_epoch: node.current_epoch(),
        config_epoch: node.my_epoch(),
        offset: 0,
        slots: claimant.map(|peer| peer.slots.clone()).unwrap_or_default(),
        primary: own.primary,
        address: Address { host: config.announce_host.clone(), port: config.port, cport: config.cport, pport: 0 },
        flags: own.flags,
        state: node.state(),
        mflags: if is_pausing { MessageFlags::PAUSED } else { MessageFlags::empty() },
    }
}

/// What a header says, but for its offset, which is the data's, and for what only later versions say.
fn header_words(header: &Header<CLUSTER_SLOTS>) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("sender", header.sender.to_string()),
        ("current epoch", header.current_epoch.to_string()),
        ("config epoch", header.config_epoch.to_string()),
        ("slots", header.slots.to_string()),
        ("primary", header.primary.map_or_else(|| "none".to_owned(), |id| id.to_string())),
        ("address", header.address.to_string()),
        ("flags", format!("{:?}", header.flags - LATER_FLAGS)),
        ("state", state_word(header.state).to_owned()),
        ("paused", header.mflags.contains(MessageFlags::PAUSED).to_string()),
    ])
}

/// Whether a message's header is just the one that the model gave it.
pub(super) fn is_same_header(seen: &Header<CLUSTER_SLOTS>, model: &Header<CLUSTER_SLOTS>) -> bool {
    header_words(seen) == header_words(model)
}

fn state_word(state: ClusterState) -> &'static str {
    match state {
        ClusterState::Ok => "ok",
        ClusterState::Fail => "fail",
    }
}

fn info(node: &ModelNode) -> BTreeMap<&'static str, String> {
    let slots = |is_wanted: &dyn Fn(Flags) -> bool| {
        let owners = node.peers().iter().filter(|peer| is_wanted(peer.flags));
        owners.map(|peer| peer.slots.len()).sum::<usize>().to_string()
    };
    BTreeMap::from([
        ("cluster_state", state_word(node.state()).to_owned()),
        ("cluster_slots_assigned", slots(&|_| true)),
        ("cluster_slots_ok", slots(&|flags| !flags.intersects(Flags::PFAIL | Flags::FAIL))),
        ("cluster_slots_pfail", slots(&|flags| flags.contains(Flags::PFAIL) && !flags.contains(Flags::FAIL))),
        ("cluster_slots_fail", slots(&|flags| flags.contains(Flags::FAIL))),
        ("cluster_known_nodes", node.peers().len().to_string()),
        ("cluster_size", node.size().to_string()),
        ("cluster_current_epoch", node.current_epoch().to_string()),
        ("cluster_my_epoch", node.my_epoch().to_string()),
    ])
}

/// How many reports of a failing node a node holds valid.
pub(super) fn failure_reports(node: &ModelNode, id: &NodeId, at_ms: u64) -> Option<usize> {
    node.failure_reports(id, Millis(at_ms))
}
