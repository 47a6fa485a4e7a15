//! What packets alone show of the rules: each law says which packet no rule explains, whatever the nodes'
//! clocks, disks and commands. Owns the knowledge that the laws share: who speaks on which connection, and
//! what each node has said and can have heard before.
//!
//! A law never asks for what cannot be seen. A node has heard a packet at the earliest when it was captured,
//! and packets of one node on different connections may be captured in another order than they were made in:
//! laws about what a node *knew* take the captured order as an upper bound, and laws about how its headers
//! change look at one connection, or at three packets.

mod blip;
mod election;
mod form;
mod gossip;
mod header;
mod heartbeat;

use super::{Seen, Sight, Turn, Unread};
use serde::Serialize;
use slotbus_core::{
    Body, CLUSTER_SLOTS, Header, NodeId, Rule, SlotSet,
    message::{Claim, KIND_NAMES},
};
use slotbus_wire::bus::BusMessage;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// Packets that a node made together may be captured so far apart, and a packet that was captured so recently may
/// not be processed yet.
const IN_FLIGHT: Duration = Duration::from_secs(1);

/// A packet that no rule explains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The packet's number, counted from 1; none if it is about what is no packet.
    pub packet: Option<u64>,
    /// The captured frame.
    pub frame: Option<u64>,
    /// The rule that does not explain it; none where the form of packets is broken.
    pub rule: Option<Rule>,
    /// What is wrong.
    pub what: String,
}

/// What became of a capture.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Judged {
    /// Packets of the bus.
    pub packets: u64,
    /// Connections on which there were any.
    pub connections: usize,
    /// Nodes that spoke.
    pub nodes: usize,
    /// How many packets there were of each kind.
    pub kinds: BTreeMap<&'static str, u64>,
    /// Places where the capture lacks something.
    pub gaps: u64,
    /// Packets that no rule explains, in their order.
    pub differences: Vec<Difference>,
}

/// A packet with what it says, and who said it to whom.
#[derive(Clone, Debug)]
struct Said {
    number: u64,
    frame: u64,
    at: Duration,
    connection: u64,
    by_caller: bool,
    message: BusMessage,
    /// Who has the other end, if that one ever spoke.
    to: Option<NodeId>,
}

impl Said {
    fn header(&self) -> &Header<CLUSTER_SLOTS> {
        &self.message.header
    }

    fn from(&self) -> NodeId {
        self.message.header.sender
    }
}

/// Which end of which connection.
type End = (u64, bool);

/// What one node can have heard so far.
#[derive(Debug, Default)]
struct Heard {
    /// The greatest epoch.
    epoch: u64,
    /// The last header of each node, and when.
    headers: BTreeMap<NodeId, (Duration, Header<CLUSTER_SLOTS>)>,
    /// All that anybody claimed, by claimant and epoch.
    claims: BTreeMap<(NodeId, u64), SlotSet<CLUSTER_SLOTS>>,
    /// Of whom it was told that they failed.
    failed: BTreeSet<NodeId>,
    /// Which primaries have ever reported a node.
    reports: BTreeMap<NodeId, BTreeSet<NodeId>>,
    /// Which epochs a node asked its vote for, and with what header.
    requests: BTreeMap<(NodeId, u64), Header<CLUSTER_SLOTS>>,
    /// Who gave it a vote in which epoch.
    votes: BTreeSet<(u64, NodeId)>,
    /// Whether a replica asked it to pause.
    was_asked_to_pause: bool,
}

/// What one node has said so far of itself, and others of it.
#[derive(Debug, Default)]
struct Told {
    /// The epochs of its headers and of UPDATEs about it.
    epochs: BTreeSet<u64>,
    /// The slots of its headers in the whole capture, and of UPDATEs about it so far: whom an administrator gives
    /// a slot to may be the last to tell.
    slots: SlotSet<CLUSTER_SLOTS>,
    /// Its last packet in the whole capture.
    last: u64,
    /// The epochs in which it asks for votes, and when first: in the whole capture.
    asks: BTreeMap<u64, Duration>,
    /// Whom it fails by a message, and when first: in the whole capture.
    fails: BTreeMap<NodeId, Duration>,
    /// The epochs in which it voted, and for whom.
    voted: BTreeMap<u64, NodeId>,
}

/// One end of a connection.
#[derive(Debug, Default)]
struct Line {
    /// The last header said here.
    last: Option<Header<CLUSTER_SLOTS>>,
    /// PING and MEET said here.
    asked: u64,
    /// PONG said here.
    answered: u64,
}

#[derive(Debug, Default)]
struct Judge {
    judged: Judged,
    /// Whether the capture saw the cluster come to be.
    is_from_start: bool,
    heard: BTreeMap<NodeId, Heard>,
    told: BTreeMap<NodeId, Told>,
    lines: BTreeMap<End, Line>,
    /// Connections that the capture holds from their beginning and without gaps.
    whole: BTreeSet<u64>,
    /// Links: the connection that each node opened last to each other, and is not closed.
    links: BTreeMap<(NodeId, NodeId), u64>,
    /// When each node last answered each other on the other's link.
    answers: BTreeMap<(NodeId, NodeId), Duration>,
}

/// Holds what was seen to the rules.
#[must_use]
pub fn judge(sights: &[Sight]) -> Judged {
    let (said, mut judge) = understand(sights);
    let mut said_rest = said.iter().peekable();
    for sight in sights {
        match sight {
            Sight::Packet(seen) => {
                if let Some(said) = said_rest.next_if(|said| said.number == seen.number) {
                    judge.packet(said);
                }
            }
            Sight::Connection { connection, turn, .. } => judge.turn(*connection, *turn),
        }
    }
    judge.blips(&said, sights);
    let mut judged = judge.judged;
    judged.differences.sort_by_key(|difference| difference.packet);
    judged.differences.dedup();
    judged
}

/// Reads every packet, and finds out who speaks where.
fn understand(sights: &[Sight]) -> (Vec<Said>, Judge) {
    let (mut said, mut judge) = (Vec::new(), Judge::default());
    let mut names: BTreeMap<End, BTreeMap<NodeId, usize>> = BTreeMap::new();
    for sight in sights {
        let Sight::Packet(seen) = sight else { continue };
        judge.judged.packets += 1;
        match seen.message() {
            Ok(message) => {
                *names
                    .entry((seen.connection, seen.by_caller))
                    .or_default()
                    .entry(message.header.sender)
                    .or_default() += 1;
                let Seen { number, frame, at, connection, by_caller, .. } = *seen;
                judge.form(seen, &message);
                said.push(Said { number, frame, at, connection, by_caller, message, to: None });
            }
            Err(Unread::Light) => {}
            Err(Unread::Malformed(why)) => judge.differs(seen.number, seen.frame, None, why.to_string()),
        }
    }
    // Where two names are said on one end, the one that is said most often is its own.
    let owners: BTreeMap<End, NodeId> = names
        .into_iter()
        .filter_map(|(end, names)| Some((end, *names.iter().max_by_key(|(_, count)| **count)?.0)))
        .collect();
    for said in &mut said {
        said.to = owners.get(&(said.connection, !said.by_caller)).copied();
        let owner = owners.get(&(said.connection, said.by_caller)).copied();
        if let Some(owner) = owner.filter(|owner| *owner != said.from()) {
            let what = format!("{} speaks on a connection of {owner}", said.from());
            judge.differs(said.number, said.frame, Some(Rule::LinkBound), what);
        }
        *judge.judged.kinds.entry(KIND_NAMES[usize::from(said.message.body.code())]).or_default() += 1;
    }
    judge.judged.connections = owners.keys().map(|(connection, _)| connection).collect::<BTreeSet<_>>().len();
    judge.judged.nodes = owners.values().collect::<BTreeSet<_>>().len();
    for said in &said {
        judge.foresee(said);
    }
    judge.is_from_start = said.first().is_some_and(|said| matches!(said.message.body, Body::Meet(_)));
    (said, judge)
}

impl Judge {
    fn differs(&mut self, packet: u64, frame: u64, rule: Option<Rule>, what: String) {
        self.judged.differences.push(Difference { packet: Some(packet), frame: Some(frame), rule, what });
    }

    fn refuse(&mut self, said: &Said, rule: Rule, what: String) {
        self.differs(said.number, said.frame, Some(rule), what);
    }

    fn turn(&mut self, connection: u64, turn: Turn) {
        match turn {
            Turn::Opened => {
                self.whole.insert(connection);
            }
            Turn::Closed => self.links.retain(|_, link| *link != connection),
            Turn::Gap => {
                self.judged.gaps += 1;
                self.whole.remove(&connection);
            }
            Turn::NoPacket => {
                self.whole.remove(&connection);
                let what = format!("after a packet, connection {connection} holds something that is none");
                self.judged.differences.push(Difference { packet: None, frame: None, rule: None, what });
            }
        }
    }

    /// Holds one packet to the laws, and then lets its receiver have heard it.
    fn packet(&mut self, said: &Said) {
        self.header_laws(said);
        self.heartbeat_laws(said);
        self.gossip_laws(said);
        self.election_laws(said);
        self.tell(said);
        self.hear(said);
        self.lines.entry((said.connection, said.by_caller)).or_default().last = Some(said.header().clone());
        if let (true, Some(to)) = (said.by_caller, said.to) {
            self.links.insert((said.from(), to), said.connection);
        }
    }

    /// Notes what else a node says of the same moment on another connection, where it may be captured later, and
    /// what it says only after others do.
    fn foresee(&mut self, said: &Said) {
        let told = self.told.entry(said.from()).or_default();
        told.slots.insert_all(&said.header().slots);
        told.last = told.last.max(said.number);
        if let Body::Fail(node) = said.message.body {
            told.fails.entry(node).or_insert(said.at);
        }
        if matches!(said.message.body, Body::FailoverAuthRequest) {
            told.asks.entry(said.header().current_epoch).or_insert(said.at);
        }
    }

    /// Whether the sender of a packet had by then asked for votes in an epoch.
    fn has_asked(&self, said: &Said, epoch: u64) -> bool {
        let first = self.told.get(&said.from()).and_then(|told| told.asks.get(&epoch));
        first.is_some_and(|at| *at <= said.at + IN_FLIGHT)
    }

    /// Whether the sender of a packet had by then failed a node by a message.
    fn has_failed(&self, said: &Said, node: NodeId) -> bool {
        let first = self.told.get(&said.from()).and_then(|told| told.fails.get(&node));
        first.is_some_and(|at| *at <= said.at + IN_FLIGHT)
    }

    /// What a packet makes known of its sender, and of whom it is about.
    fn tell(&mut self, said: &Said) {
        let header = said.header();
        let told = self.told.entry(header.sender).or_default();
        told.epochs.insert(header.config_epoch);
        match &said.message.body {
            Body::Update(Claim { node, config_epoch, slots }) => {
                let told = self.told.entry(*node).or_default();
                told.epochs.insert(*config_epoch);
                told.slots.insert_all(slots);
            }
            Body::FailoverAuthAck => {
                let to = said.to.unwrap_or(header.sender);
                told.voted.insert(header.current_epoch, to);
            }
            Body::Fail(_)
            | Body::FailoverAuthRequest
            | Body::Ping(_)
            | Body::Pong(_)
            | Body::Meet(_)
            | Body::Publish(_)
            | Body::PublishShard(_)
            | Body::Module(_)
            | Body::ManualFailoverStart => {}
        }
    }

    fn hear(&mut self, said: &Said) {
        let Some(to) = said.to else { return };
        let header = said.header();
        let heard = self.heard.entry(to).or_default();
        heard.epoch = heard.epoch.max(header.current_epoch).max(header.config_epoch);
        heard.claims.entry((header.sender, header.config_epoch)).or_default().insert_all(&header.slots);
        match &said.message.body {
            Body::Ping(heartbeat) | Body::Pong(heartbeat) | Body::Meet(heartbeat) => {
                for entry in heartbeat.gossip.iter().filter(|entry| gossip::is_accused(entry.flags)) {
                    heard.reports.entry(entry.node).or_default().insert(header.sender);
                }
            }
            Body::Fail(node) => {
                heard.failed.insert(*node);
            }
            Body::Update(Claim { node, config_epoch, slots }) => {
                heard.claims.entry((*node, *config_epoch)).or_default().insert_all(slots);
            }
            Body::FailoverAuthRequest => {
                heard.requests.insert((header.sender, header.current_epoch), header.clone());
            }
            Body::FailoverAuthAck => {
                heard.votes.insert((header.current_epoch, header.sender));
            }
            Body::ManualFailoverStart => heard.was_asked_to_pause = true,
            Body::Publish(_) | Body::PublishShard(_) | Body::Module(_) => {}
        }
        heard.headers.insert(header.sender, (said.at, header.clone()));
    }

    /// How many voters a node can know of, itself among them: the size of the cluster for it. Whoever claims only
    /// what another claims under a greater epoch has been replaced.
    fn voters(&self, node: NodeId, own: &Header<CLUSTER_SLOTS>) -> usize {
        let is_voter = |header: &&Header<CLUSTER_SLOTS>| header.primary.is_none() && !header.slots.is_empty();
        let others =
            self.heard.get(&node).into_iter().flat_map(|heard| heard.headers.values()).map(|(_, header)| header);
        let voters: Vec<_> = others.chain([own]).filter(is_voter).collect();
        let is_replaced = |header: &Header<CLUSTER_SLOTS>| {
            let newer = |other: &&&Header<CLUSTER_SLOTS>| other.config_epoch > header.config_epoch;
            header.slots.iter().all(|slot| voters.iter().filter(newer).any(|other| other.slots.contains(slot)))
        };
        voters.iter().filter(|header| !is_replaced(header)).count()
    }
}
