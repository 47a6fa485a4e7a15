//! What is said in one packet alone: a node that says one thing before and after and another in between has
//! no rule that lets it. Commands could make it so, but not two of them between three packets.

use super::{Judge, Said, gossip::is_accused};
use crate::capture::{Sight, Turn};
use slotbus_core::{Body, CLUSTER_SLOTS, Flags, Header, NodeId, Rule, message::GossipEntry};
use std::{collections::BTreeMap, time::Duration};

/// Whether the cluster is up may change and change back, but not where nothing else happens for so long.
const COMMOTION: Duration = Duration::from_secs(5);
/// Gossip of one packet may be a second older than that of an earlier one.
const PONG_SLACK_S: u32 = 1;

impl Judge {
    pub(super) fn blips(&mut self, said: &[Said], sights: &[Sight]) {
        let mut by_sender: BTreeMap<NodeId, Vec<&Said>> = BTreeMap::new();
        said.iter().for_each(|said| by_sender.entry(said.from()).or_default().push(said));
        for said in by_sender.values() {
            self.header_blips(said);
        }
        self.state_blips(&by_sender, &commotions(said, sights));
        self.offset_blips(said);
        self.gossip_blips(said);
    }

    fn header_blips(&mut self, said: &[&Said]) {
        self.field_blips(said, Rule::EpochRaised, "current epoch", |header| &header.current_epoch);
        self.field_blips(said, Rule::EpochClaimRaised, "config epoch", |header| &header.config_epoch);
        self.field_blips(said, Rule::SlotTaken, "set of slots", |header| &header.slots);
        self.field_blips(said, Rule::RoleMoved, "primary", |header| &header.primary);
        self.field_blips(said, Rule::AddressFollowed, "address", |header| &header.address);
        self.field_blips(said, Rule::RolePrimary, "set of flags", |header| &header.flags);
    }

    fn field_blips<T: Ord>(
        &mut self,
        said: &[&Said],
        rule: Rule,
        name: &str,
        field: impl Fn(&Header<CLUSTER_SLOTS>) -> &T,
    ) {
        let values: Vec<&T> = said.iter().map(|said| field(said.header())).collect();
        let counts = counted(&values);
        for index in alone(&values, |value| counts.get(value) == Some(&1)) {
            self.refuse(said[index], rule, format!("the {name} of the header is in no packet before or after"));
        }
    }

    fn state_blips(&mut self, by_sender: &BTreeMap<NodeId, Vec<&Said>>, commotions: &[Duration]) {
        for said in by_sender.values() {
            let states: Vec<_> = said.iter().map(|said| said.header().state).collect();
            for index in alone(&states, |_| true) {
                let at = said[index].at;
                let next = commotions.partition_point(|time| *time + COMMOTION < at);
                let is_calm = commotions.get(next).is_none_or(|time| *time > at + COMMOTION);
                if is_calm {
                    let what = "the cluster's state changes and changes back where nothing happens".to_owned();
                    self.refuse(said[index], Rule::StateOk, what);
                }
            }
        }
    }

    /// The offset on one connection neither dips nor leaps for one packet.
    fn offset_blips(&mut self, said: &[Said]) {
        let mut by_line: BTreeMap<_, Vec<&Said>> = BTreeMap::new();
        said.iter().for_each(|said| by_line.entry((said.connection, said.by_caller)).or_default().push(said));
        for said in by_line.values() {
            let is_same_role =
                |three: &[&Said]| three.iter().all(|said| said.header().primary == three[0].header().primary);
            for three in said.windows(3).filter(|three| is_same_role(three)) {
                let [before, now, after] = [0, 1, 2].map(|index| three[index].header().offset);
                if before <= after && !(before..=after).contains(&now) {
                    let what = format!("the offset is {now} between {before} and {after}");
                    self.refuse(three[1], Rule::ManualOffset, what);
                }
            }
        }
    }

    fn gossip_blips(&mut self, said: &[Said]) {
        let mut mentions: BTreeMap<NodeId, usize> = BTreeMap::new();
        let mut entries: BTreeMap<(NodeId, NodeId), Vec<(&Said, &GossipEntry)>> = BTreeMap::new();
        for said in said {
            *mentions.entry(said.from()).or_default() += 2;
            for entry in said.message.heartbeat().into_iter().flat_map(|heartbeat| &heartbeat.gossip) {
                *mentions.entry(entry.node).or_default() += 1;
                entries.entry((said.from(), entry.node)).or_default().push((said, entry));
            }
        }
        for ((_, node), told) in entries {
            if mentions.get(&node) == Some(&1) {
                let what = format!("gossip tells of {node}, of which nothing else is ever heard");
                self.refuse(told[0].0, Rule::GossipNewNode, what);
            }
            self.entry_blips(node, &told);
            self.pong_blips(node, &told);
        }
    }

    fn entry_blips(&mut self, node: NodeId, told: &[(&Said, &GossipEntry)]) {
        let lasting = |entry: &GossipEntry| (entry.address.clone(), entry.flags - Flags::PFAIL - Flags::FAIL);
        let entries: Vec<_> = told.iter().map(|(_, entry)| lasting(entry)).collect();
        let counts = counted(&entries);
        for index in alone(&entries, |entry| counts.get(entry) == Some(&1)) {
            let what = format!("the gossip about {node} is in no packet before or after");
            self.refuse(told[index].0, Rule::GossipSent, what);
        }
    }

    fn pong_blips(&mut self, node: NodeId, told: &[(&Said, &GossipEntry)]) {
        for three in told.windows(3) {
            let [before, now, after] = [0, 1, 2].map(|index| three[index].1.pong_received_s);
            let is_between = now + PONG_SLACK_S >= before && now <= after.saturating_add(PONG_SLACK_S);
            if before <= after && !is_between {
                let what = format!("the gossiped pong time of {node} is {now} s between {before} s and {after} s");
                self.refuse(three[1].0, Rule::GossipFresher, what);
            }
        }
    }
}

fn counted<T: Ord>(row: &[T]) -> BTreeMap<&T, usize> {
    let mut counts = BTreeMap::new();
    row.iter().for_each(|value| *counts.entry(value).or_default() += 1);
    counts
}

/// Where one of a row differs from its neighbours, which are equal; the next but one must be too, for packets
/// may be captured in another order than they were made in.
fn alone<'a, T: PartialEq>(row: &'a [T], is_rare: impl Fn(&T) -> bool + 'a) -> impl Iterator<Item = usize> + 'a {
    let is_alone = move |index: &usize| {
        let (before, now, after) = (&row[index - 1], &row[*index], &row[index + 1]);
        let is_settled = row.get(index + 2).is_none_or(|later| later == before);
        before == after && now != before && is_settled && is_rare(now)
    };
    (1..row.len().saturating_sub(1)).filter(is_alone)
}

/// When something happened that is more than heartbeats of nodes that suspect nobody, in order.
fn commotions(said: &[Said], sights: &[Sight]) -> Vec<Duration> {
    let is_calm = |said: &&Said| match &said.message.body {
        Body::Ping(heartbeat) | Body::Pong(heartbeat) => !heartbeat.gossip.iter().any(|entry| is_accused(entry.flags)),
        Body::Meet(_)
        | Body::Fail(_)
        | Body::Publish(_)
        | Body::PublishShard(_)
        | Body::FailoverAuthRequest
        | Body::FailoverAuthAck
        | Body::Update(_)
        | Body::ManualFailoverStart
        | Body::Module(_) => false,
    };
    let mut times: Vec<_> = said.iter().filter(|said| !is_calm(said)).map(|said| said.at).collect();
    times.extend(sights.iter().filter_map(|sight| match sight {
        Sight::Connection { at, turn: Turn::Opened | Turn::Closed, .. } => Some(*at),
        Sight::Connection { .. } | Sight::Packet(_) => None,
    }));
    times.sort();
    times
}
