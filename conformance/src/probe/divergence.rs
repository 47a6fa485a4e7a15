//! Something that the model does not explain: what, which rules are suspected, and the packets
//! around it. Knows how packets are shown; does not judge.

use crate::scripted::{
    link::Arrival,
    record::{Happening, Record},
};
use serde::Serialize;
use slotbus_core::{Body, CLUSTER_SLOTS, Rule};
use slotbus_wire::bus::{self, BusMessage, Packet};

/// How many packets are shown of those before a divergence.
const PACKETS_SHOWN: usize = 12;
/// Suspects beyond these are of no help.
const SUSPECTS_MAX: usize = 8;
/// How much of a packet is shown in digits.
const BYTES_SHOWN: usize = 96;

/// Something that the model does not explain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Divergence {
    /// When, in milliseconds of the wall clock.
    pub at_ms: u64,
    /// What is the matter.
    pub what: String,
    /// What was seen of the server.
    pub seen: String,
    /// What the model shows or does.
    pub model: String,
    /// The rules that decide it, the most likely first.
    pub suspects: Vec<Rule>,
    /// The packets and commands before it, in order, one a line.
    pub packets: Vec<String>,
}

impl Divergence {
    pub(super) fn new(at_ms: u64, what: String, seen: &str, model: &str, suspects: Vec<Rule>) -> Self {
        let (seen, model) = (seen.to_owned(), model.to_owned());
        Self { at_ms, what, seen, model, suspects: most_telling(suspects), packets: Vec::new() }
    }

    /// The same, seen in a case about some rules: they are the likeliest of the suspects, and suspects
    /// in any case.
    pub(super) fn in_case_about(mut self, rules: &[Rule]) -> Self {
        self.suspects.sort_by_key(|rule| (is_everyday(*rule), !rules.contains(rule)));
        let unsuspected = rules.iter().filter(|rule| !self.suspects.contains(rule));
        let unsuspected: Vec<_> = unsuspected.copied().collect();
        let telling = self.suspects.iter().filter(|rule| !is_everyday(**rule)).count();
        self.suspects.splice(telling..telling, unsuspected);
        self
    }

    pub(super) fn unstartable(at_ms: u64, error: String) -> Self {
        Self::new(
            at_ms,
            "the file that the server starts from cannot be its own".to_owned(),
            &error,
            "a file",
            Vec::new(),
        )
    }
}

/// Whether a rule is one of everyday traffic, which fires beside any other.
fn is_everyday(rule: Rule) -> bool {
    const EVERYDAY: [Rule; 8] = [
        Rule::PingAnswered,
        Rule::PingReturned,
        Rule::PingChosen,
        Rule::GossipSent,
        Rule::GossipFresher,
        Rule::LinkBound,
        Rule::LinkUpPing,
        Rule::LinkOpened,
    ];
    EVERYDAY.contains(&rule)
}

/// Each suspect once, those of everyday traffic last.
fn most_telling(suspects: Vec<Rule>) -> Vec<Rule> {
    let mut sorted: Vec<Rule> = Vec::new();
    let (everyday, telling): (Vec<_>, Vec<_>) = suspects.into_iter().partition(|rule| is_everyday(*rule));
    for rule in telling.into_iter().chain(everyday) {
        if !sorted.contains(&rule) {
            sorted.push(rule);
        }
    }
    sorted.truncate(SUSPECTS_MAX);
    sorted
}

/// The rules by which the model sends such a message.
pub(super) fn sayings(body: &Body<CLUSTER_SLOTS>) -> Vec<Rule> {
    match body {
        Body::Ping(_) => vec![Rule::PingChosen, Rule::PingOverdue],
        Body::Pong(_) => vec![Rule::PingAnswered],
        Body::Meet(_) => vec![Rule::HandshakeMeetSent],
        Body::Fail(_) => vec![Rule::HealthFailed],
        Body::Publish(_) | Body::PublishShard(_) => vec![Rule::PublishSent],
        Body::FailoverAuthRequest => vec![Rule::ElectAsked],
        Body::FailoverAuthAck => vec![Rule::ElectVoted],
        Body::Update(_) => vec![Rule::SlotUpdateSent],
        Body::ManualFailoverStart => vec![Rule::ManualAsked],
        Body::Module(_) => vec![Rule::MessageUnused],
    }
}

/// What passed between the server and others.
pub(super) struct Packets<'a>(pub(super) &'a [Record]);

impl Packets<'_> {
    /// A divergence with the packets before it.
    pub(super) fn beside(&self, divergence: Divergence) -> Divergence {
        let until = self.0.partition_point(|record| record.at_ms <= divergence.at_ms);
        let lines = self.0[..until].iter().rev().filter_map(|record| line(record, divergence.at_ms));
        let mut packets: Vec<_> = lines.take(PACKETS_SHOWN).collect();
        packets.reverse();
        Divergence { packets, ..divergence }
    }
}

/// One line about a packet or a command.
fn line(record: &Record, before_ms: u64) -> Option<String> {
    let ago_ms = before_ms.saturating_sub(record.at_ms);
    let text = match &record.what {
        Happening::Sent { conn, bytes } => format!("{} > server  {}", conn.port, sent(bytes)),
        Happening::Heard { conn, arrival } => format!("server > {}  {}", conn.port, heard(arrival)),
        Happening::Up { conn, via } => format!("{} connection {} opened ({via:?})", conn.port, conn.number),
        Happening::HungUp { conn } => format!("{} connection {} closed by the peer", conn.port, conn.number),
        Happening::Asked { words, .. } if !is_view(words) => format!("client > server  {}", words.join(" ")),
        Happening::Asked { .. } => return None,
        Happening::Started { .. } => "the server starts".to_owned(),
        Happening::Killed => "the server is killed".to_owned(),
        Happening::Listens { port, listens: true } => format!("{port} begins to listen"),
        Happening::Listens { port, listens: false } => format!("{port} ceases to listen"),
        Happening::Ready | Happening::Answered { .. } => return None,
    };
    Some(format!("-{ago_ms} ms  {text}"))
}

fn is_view(words: &[String]) -> bool {
    let is = |place: usize, word: &str| words.get(place).is_some_and(|other| other.eq_ignore_ascii_case(word));
    is(0, "CLUSTER") && (is(1, "NODES") || is(1, "INFO"))
}

fn sent(bytes: &[u8]) -> String {
    match bus::decode(bytes) {
        Ok(Packet::Full(message)) => format!("{}  {}", words(&message), digits(bytes)),
        Ok(Packet::Light(_)) => format!("a light message  {}", digits(bytes)),
        Err(why) => format!("({why})  {}", digits(bytes)),
    }
}

fn heard(arrival: &Arrival) -> String {
    match arrival {
        Arrival::Message(message) => {
            let mut bytes = Vec::new();
            bus::encode(message, &mut bytes);
            format!("{}  {}", words(message), digits(&bytes))
        }
        Arrival::Malformed(why) => format!("malformed: {why}"),
        Arrival::Closed => "closes the connection".to_owned(),
    }
}

fn digits(bytes: &[u8]) -> String {
    let shown: String = bytes.iter().take(BYTES_SHOWN).map(|byte| format!("{byte:02x}")).collect();
    if bytes.len() > BYTES_SHOWN { format!("{shown}... ({} bytes)", bytes.len()) } else { shown }
}

/// One message in words.
pub(super) fn words(message: &BusMessage) -> String {
    let header = &message.header;
    let about = match &message.body {
        Body::Fail(id) => format!(" about={id}"),
        Body::Update(claim) => {
            format!(" about={} claim-epoch={} claim-slots={}", claim.node, claim.config_epoch, claim.slots)
        }
        Body::Ping(beat) | Body::Pong(beat) | Body::Meet(beat) => {
            let told: Vec<_> = beat.gossip.iter().map(|entry| format!("{}:{:?}", entry.node, entry.flags)).collect();
            format!(" gossip=[{}]", told.join(" "))
        }
        Body::Publish(_)
        | Body::PublishShard(_)
        | Body::FailoverAuthRequest
        | Body::FailoverAuthAck
        | Body::ManualFailoverStart
        | Body::Module(_) => String::new(),
    };
    format!(
        "{} as={} current={} epoch={} slots={} of={} flags={:?} mflags={:?} state={:?}{about}",
        message.body.name(),
        header.sender,
        header.current_epoch,
        header.config_epoch,
        header.slots,
        header.primary.map_or_else(|| "none".to_owned(), |id| id.to_string()),
        header.flags,
        header.mflags,
        header.state,
    )
}
