//! Owns the way from a request to the node that serves it: hash tags, slots, and the decision table.
//! A pure query: it reads a node and changes nothing. Knows no command and no key but by what is asked here.

use crate::{
    message::ClusterState,
    node::Node,
    peer::Pos,
    slots::{CLUSTER_SLOTS, Slot},
};
use alloc::{string::String, vec, vec::Vec};
use crc::{CRC_16_XMODEM, Crc, Table};

/// The checksum that spreads keys over slots, taken sixteen bytes at a time.
static KEY_CRC: Crc<u16, Table<16>> = Crc::<u16, Table<16>>::new(&CRC_16_XMODEM);

/// What the decision depends on beyond the node: the command, its keys, its client, the options.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Nothing is redirected: the command comes from this node's own primary or from its own file.
    pub is_exempt: bool,
    /// EXEC without MULTI: the command itself will say what is wrong.
    pub is_stray_exec: bool,
    /// The keys, as far as the decision needs them.
    pub keys: Keys,
    /// The command may write; for EXEC, one of the queued commands may.
    pub is_write: bool,
    /// The command is about sharded channels.
    pub is_sharded_pubsub: bool,
    /// The command is MIGRATE.
    pub is_migrate: bool,
    /// The client said ASKING before, or the command implies it.
    pub is_asking: bool,
    /// The client said READONLY.
    pub is_readonly: bool,
    /// `cluster-allow-reads-when-down`.
    pub reads_when_down: bool,
    /// `cluster-allow-pubsubshard-when-down`.
    pub pubsub_when_down: bool,
}

/// The keys of a request, as far as the decision needs them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// The slot of the first key; none without keys.
    pub slot: Option<Slot>,
    /// Whether a later key hashes to another slot.
    pub is_crossed: bool,
    /// Whether there are at least two different keys.
    pub are_several: bool,
}

impl Keys {
    /// Sums up a list of keys.
    pub fn of<'a>(keys: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut summary = Self::default();
        let mut first: Option<&[u8]> = None;
        for key in keys {
            match first {
                None => {
                    first = Some(key);
                    summary.slot = Some(key_slot(key));
                }
                Some(other) if other == key => {}
                Some(_) => {
                    summary.are_several = true;
                    summary.is_crossed |= summary.slot != Some(key_slot(key));
                }
            }
        }
        summary
    }
}

/// How many of a request's keys this node holds, counted per occurrence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Presence {
    /// Keys that are here.
    pub existing: usize,
    /// Keys that are not, or have expired.
    pub missing: usize,
}

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// This node serves it.
    Serve,
    /// Refused: nobody owns the slot.
    SlotUnserved,
    /// Refused: the keys hash to different slots.
    CrossSlot,
    /// Refused: the cluster is down.
    Down,
    /// Refused: the cluster is down, and only reads are served.
    DownForWrites,
    /// Refused for now: some keys of a slot on the move are here, some are not.
    TryAgain,
    /// This once, ask that node.
    Ask(Slot, Pos),
    /// From now on, ask that node.
    Moved(Slot, Pos),
}

/// One row of the decision table. The first row that applies decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its number in the table.
    pub number: u8,
    /// When it applies.
    pub condition: &'static str,
    /// What it decides.
    pub result: &'static str,
}

/// The decision table, top down.
pub const TABLE: [Row; 15] = [
    row(0, "redirection is off for this command", "serve"),
    row(1, "EXEC without MULTI", "serve: it fails by itself"),
    row(2, "the first key's slot has no owner", "CLUSTERDOWN Hash slot not served"),
    row(3, "a later, different key hashes to another slot", "CROSSSLOT"),
    row(4, "there are no keys", "serve, even when the cluster is down"),
    row(5, "the cluster is down, a sharded channel, not allowed when down", "CLUSTERDOWN The cluster is down"),
    row(6, "the cluster is down, anything else, reads not allowed when down", "CLUSTERDOWN The cluster is down"),
    row(
        7,
        "the cluster is down, reads allowed, a write",
        "CLUSTERDOWN The cluster is down and only accepts read commands",
    ),
    row(8, "MIGRATE of a slot that is open here", "serve"),
    row(9, "migrating, some keys here, some not", "TRYAGAIN"),
    row(10, "migrating, no key here", "ASK the target"),
    row(11, "importing, asked to", "serve, but TRYAGAIN for several keys of which one is missing"),
    row(12, "a read of a READONLY client or a sharded channel, on a replica of the owner", "serve"),
    row(13, "this node is the owner", "serve"),
    row(14, "anything else", "MOVED to the owner"),
];

const fn row(number: u8, condition: &'static str, result: &'static str) -> Row {
    Row { number, condition, result }
}

/// Decides where a request goes, and by which row of [`TABLE`]. `presence` is asked only where it matters.
pub fn route<const SLOTS: usize>(
    node: &Node<SLOTS>,
    request: &Request,
    presence: impl FnOnce() -> Presence,
) -> (u8, Decision) {
    if request.is_exempt {
        return (0, Decision::Serve);
    }
    if request.is_stray_exec {
        return (1, Decision::Serve);
    }
    let Some(slot) = request.keys.slot else { return (4, Decision::Serve) };
    let Some(owner) = node.owners().get(slot) else { return (2, Decision::SlotUnserved) };
    if request.keys.is_crossed {
        return (3, Decision::CrossSlot);
    }
    if let Some(refused) = refused_when_down(node.state(), request) {
        return refused;
    }
    let is_mine = owner == node.me();
    let migrating_to = node.migrating().get(&slot).filter(|_| is_mine);
    let is_importing = migrating_to.is_none() && node.importing().contains_key(&slot);
    if (migrating_to.is_some() || is_importing) && request.is_migrate {
        return (8, Decision::Serve);
    }
    let target = migrating_to.and_then(|id| node.peers().find(id));
    if let Some(decided) = on_the_move(slot, target, is_importing, request, presence) {
        return decided;
    }
    let may_serve_reads = (request.is_readonly || request.is_sharded_pubsub) && !request.is_write;
    if may_serve_reads && node.my_primary() == Some(owner) {
        return (12, Decision::Serve);
    }
    if is_mine { (13, Decision::Serve) } else { (14, Decision::Moved(slot, owner)) }
}

fn refused_when_down(state: ClusterState, request: &Request) -> Option<(u8, Decision)> {
    if state == ClusterState::Ok {
        return None;
    }
    if request.is_sharded_pubsub {
        return (!request.pubsub_when_down).then_some((5, Decision::Down));
    }
    if !request.reads_when_down {
        return Some((6, Decision::Down));
    }
    request.is_write.then_some((7, Decision::DownForWrites))
}

fn on_the_move(
    slot: Slot,
    target: Option<Pos>,
    is_importing: bool,
    request: &Request,
    presence: impl FnOnce() -> Presence,
) -> Option<(u8, Decision)> {
    let count = |presence: Presence| (presence.existing, presence.missing);
    if let Some(target) = target.filter(|_| !request.is_sharded_pubsub) {
        return match count(presence()) {
            (_, 0) => None,
            (0, _) => Some((10, Decision::Ask(slot, target))),
            (_, _) => Some((9, Decision::TryAgain)),
        };
    }
    if is_importing && request.is_asking {
        let is_split = request.keys.are_several && !request.is_sharded_pubsub && presence().missing > 0;
        return Some((11, if is_split { Decision::TryAgain } else { Decision::Serve }));
    }
    None
}

/// The part of a key that is hashed: what stands between the first `{` and the next `}` after it,
/// if that is not empty, else the whole key.
#[must_use]
pub fn hash_tag(key: &[u8]) -> &[u8] {
    // Few keys have a tag: to look at all bytes at once whether there is any is cheaper than to look where.
    if !key.iter().fold(false, |has_tag, &byte| has_tag | (byte == b'{')) {
        return key;
    }
    let Some(open) = key.iter().position(|&byte| byte == b'{') else { return key };
    let rest = &key[open + 1..];
    match rest.iter().position(|&byte| byte == b'}') {
        None | Some(0) => key,
        Some(close) => &rest[..close],
    }
}

/// The slot of a key, in a cluster of 16384 slots.
#[must_use]
pub fn key_slot(key: &[u8]) -> Slot {
    Slot(KEY_CRC.checksum(hash_tag(key)) & 0x3fff)
}

/// For every slot the shortest hash tag that leads to it: of the shortest the first in the order of
/// the digits and small letters that it is made of.
#[must_use]
pub fn shortest_tags() -> Vec<String> {
    const LETTERS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut tags = vec![String::new(); CLUSTER_SLOTS];
    let mut left = CLUSTER_SLOTS;
    let mut words: Vec<String> = vec![String::new()];
    while left > 0 {
        words = words.iter().flat_map(|word| LETTERS.iter().map(move |&letter| longer(word, letter))).collect();
        for word in &words {
            let tag = &mut tags[key_slot(word.as_bytes()).index()];
            if tag.is_empty() {
                tag.clone_from(word);
                left -= 1;
            }
        }
    }
    tags
}

fn longer(word: &str, letter: u8) -> String {
    let mut word = String::from(word);
    word.push(char::from(letter));
    word
}

#[cfg(test)]
mod tests {
    use super::{hash_tag, key_slot, shortest_tags};

    #[test]
    fn keys_hash_as_the_cluster_specification_says() {
        assert_eq!(key_slot(b"").0, 0);
        assert_eq!(key_slot(b"123456789").0, 0x31c3);
        assert_eq!(key_slot(b"foo").0, 12182);
        assert_eq!(key_slot(b"{foo}.bar"), key_slot(b"foo"));
    }

    #[test]
    fn every_slot_has_a_tag() {
        let tags = shortest_tags();
        for (slot, tag) in tags.iter().enumerate() {
            assert_eq!(key_slot(tag.as_bytes()).index(), slot);
            assert_eq!(key_slot(alloc::format!("{{{tag}}}:suffix").as_bytes()).index(), slot);
            assert!(tag.len() <= 4, "{tag}");
        }
    }

    #[test]
    fn only_a_first_closed_and_filled_tag_counts() {
        for (key, tag) in [
            ("{user1000}.following", "user1000"),
            ("foo{}{bar}", "foo{}{bar}"),
            ("foo{{bar}}zap", "{bar"),
            ("foo{bar}{zap}", "bar"),
            ("foo{bar", "foo{bar"),
            ("}{a}", "a"),
        ] {
            assert_eq!(hash_tag(key.as_bytes()), tag.as_bytes(), "{key}");
        }
    }
}
