//! What a transcript shows of what was heard, and whether that is what was looked for. Knows names,
//! not sockets.

use super::{
    cast::Cast,
    field::{Field, Shown, flag_words, mflag_words},
    link::Arrival,
    peer::{Heard, Via, What},
    script::{Pattern, PatternKind, Sight},
};
use slotbus_core::{
    Body, CLUSTER_SLOTS, ClusterState, Header, SlotSet,
    message::{Claim, Extension, GossipEntry, Publication},
};
use slotbus_wire::bus::BusMessage;

/// Whether something heard is what is looked for.
#[must_use]
pub(super) fn matches(heard: &Heard, pattern: &Pattern, cast: &Cast) -> bool {
    let on_wanted = pattern.fields.iter().all(|field| !matches!(field, Field::Via(via) if *via != heard.via));
    let is_kind = match (&heard.what, pattern.kind) {
        (What::Arrived(Arrival::Message(message)), PatternKind::Message(code)) => {
            message.body.code() == code && pattern.fields.iter().all(|field| says(message, field, cast))
        }
        (What::Arrived(Arrival::Malformed(_)), PatternKind::Malformed)
        | (What::Arrived(Arrival::Closed), PatternKind::Closed)
        | (What::Opened, PatternKind::Opened) => true,
        (What::Arrived(_) | What::Opened, _) => false,
    };
    on_wanted && is_kind
}

fn says(message: &BusMessage, field: &Field, cast: &Cast) -> bool {
    let header = &message.header;
    let is = |name: &String, id| cast.id(name).is_ok_and(|expected| expected == id);
    match field {
        Field::Current(epoch) => header.current_epoch == *epoch,
        Field::Epoch(epoch) => header.config_epoch == *epoch,
        Field::Offset(offset) => header.offset == *offset,
        Field::Slots(slots) => header.slots == *slots,
        Field::Of(None) => header.primary.is_none(),
        Field::Of(Some(name)) => header.primary.is_some_and(|id| is(name, id)),
        Field::Flags(flags) => header.flags.contains(*flags),
        Field::State(state) => header.state == *state,
        Field::Mflags(mflags) => header.mflags.contains(*mflags),
        Field::As(name) => is(name, header.sender),
        Field::Host(host) => header.address.host == *host,
        Field::About(name) => about(&message.body).is_some_and(|id| is(name, id)),
        Field::ClaimEpoch(epoch) => claim(&message.body).is_some_and(|claim| claim.config_epoch == *epoch),
        Field::ClaimSlots(slots) => claim(&message.body).is_some_and(|claim| claim.slots == *slots),
        Field::Channel(channel) => published(&message.body).is_some_and(|it| it.channel == channel.as_bytes()),
        Field::Payload(payload) => published(&message.body).is_some_and(|it| it.payload == payload.as_bytes()),
        Field::Gossip(rumors) => rumors.iter().all(|rumor| {
            gossip(message).iter().any(|entry| is(&rumor.name, entry.node) && entry.flags.contains(rumor.flags))
        }),
        Field::Silent(name) => gossip(message).iter().all(|entry| !is(name, entry.node)),
        Field::Hostname(name) => {
            let extensions = message.heartbeat().map_or(&[][..], |heartbeat| &heartbeat.extensions);
            extensions.iter().any(|extension| matches!(extension, Extension::Hostname(other) if **other == **name))
        }
        Field::Via(_) | Field::Show(_) => true,
        // Only a sender can do these.
        Field::At(_) | Field::Extension { .. } | Field::Patch { .. } | Field::Extend(_) | Field::Length(_) => false,
    }
}

fn gossip(message: &BusMessage) -> &[GossipEntry] {
    message.heartbeat().map_or(&[], |heartbeat| &heartbeat.gossip)
}

fn about(body: &Body<CLUSTER_SLOTS>) -> Option<slotbus_core::NodeId> {
    match body {
        Body::Fail(id) => Some(*id),
        Body::Update(claim) => Some(claim.node),
        Body::Ping(_)
        | Body::Pong(_)
        | Body::Meet(_)
        | Body::Publish(_)
        | Body::FailoverAuthRequest
        | Body::FailoverAuthAck
        | Body::ManualFailoverStart
        | Body::Module(_)
        | Body::PublishShard(_) => None,
    }
}

fn claim(body: &Body<CLUSTER_SLOTS>) -> Option<&Claim<CLUSTER_SLOTS>> {
    if let Body::Update(claim) = body { Some(claim) } else { None }
}

fn published(body: &Body<CLUSTER_SLOTS>) -> Option<&Publication> {
    if let Body::Publish(publication) | Body::PublishShard(publication) = body { Some(publication) } else { None }
}

/// Whether something heard is one of the PINGs and PONGs that come and go all the time.
pub(super) fn is_heartbeat(heard: &Heard) -> bool {
    let What::Arrived(Arrival::Message(message)) = &heard.what else { return false };
    let is_answer = heard.via == Via::Own && matches!(message.body, Body::Pong(_));
    is_answer || matches!(message.body, Body::Ping(_))
}

/// One line about something heard.
#[must_use]
pub(super) fn heard(heard: &Heard, asked: &[Field], cast: &Cast) -> String {
    match &heard.what {
        What::Opened => "a new connection".to_owned(),
        What::Arrived(Arrival::Closed) => "the connection is closed".to_owned(),
        What::Arrived(Arrival::Malformed(why)) => format!("malformed: {why}"),
        What::Arrived(Arrival::Message(message)) => {
            let mut line = vec![message.body.name().to_owned()];
            line.extend(header(&message.header, cast));
            line.extend(body(&message.body, cast));
            for field in asked {
                if let Field::Show(shown) = field {
                    line.extend(shown.iter().map(|shown| extra(message, *shown, cast)));
                }
                if let Field::Gossip(rumors) = field {
                    let is_asked_for = |name: &str| rumors.iter().any(|rumor| rumor.name == name);
                    line.push(gossip_text(message, cast, is_asked_for));
                }
            }
            line.join(" ")
        }
    }
}

/// What is always shown of a header: what does not depend on the moment.
fn header(header: &Header<CLUSTER_SLOTS>, cast: &Cast) -> Vec<String> {
    vec![
        format!("as={}", cast.name(&header.sender)),
        format!("current={}", header.current_epoch),
        format!("epoch={}", header.config_epoch),
        format!("slots={}", slots(&header.slots)),
        format!("of={}", header.primary.map_or("none", |id| cast.name(&id))),
        format!("flags={}", flag_words(header.flags)),
        format!("mflags={}", mflag_words(header.mflags)),
    ]
}

fn body(body: &Body<CLUSTER_SLOTS>, cast: &Cast) -> Vec<String> {
    match body {
        Body::Fail(id) => vec![format!("about={}", cast.name(id))],
        Body::Update(claim) => vec![
            format!("about={}", cast.name(&claim.node)),
            format!("claim-epoch={}", claim.config_epoch),
            format!("claim-slots={}", slots(&claim.slots)),
        ],
        Body::Publish(it) | Body::PublishShard(it) => vec![
            format!("channel={}", String::from_utf8_lossy(&it.channel)),
            format!("payload={}", String::from_utf8_lossy(&it.payload)),
        ],
        Body::Module(module) => vec![format!("payload={}", String::from_utf8_lossy(&module.payload))],
        Body::Ping(_)
        | Body::Pong(_)
        | Body::Meet(_)
        | Body::FailoverAuthRequest
        | Body::FailoverAuthAck
        | Body::ManualFailoverStart => Vec::new(),
    }
}

fn extra(message: &BusMessage, shown: Shown, cast: &Cast) -> String {
    match shown {
        Shown::State => format!("state={}", if message.header.state == ClusterState::Ok { "ok" } else { "fail" }),
        Shown::Offset => format!("offset={}", message.header.offset),
        Shown::Address => format!("address={}", cast.mask(&message.header.address.to_string())),
        Shown::Gossip => gossip_text(message, cast, |_| true),
        Shown::Extensions => {
            let extensions = message.heartbeat().map_or(&[][..], |heartbeat| &heartbeat.extensions);
            format!("extensions={extensions:?}")
        }
    }
}

/// What a heartbeat says of some others, sorted.
fn gossip_text(message: &BusMessage, cast: &Cast, is_wanted: impl Fn(&str) -> bool) -> String {
    let told = |entry: &GossipEntry| {
        let address = cast.mask(&entry.address.to_string());
        format!("{}:{}@{address}", cast.name(&entry.node), flag_words(entry.flags))
    };
    let wanted = gossip(message).iter().filter(|entry| is_wanted(cast.name(&entry.node)));
    let mut told: Vec<_> = wanted.map(told).collect();
    told.sort();
    format!("gossip=[{}]", told.join(" "))
}

fn slots(slots: &SlotSet<CLUSTER_SLOTS>) -> String {
    if slots.is_empty() { "none".to_owned() } else { slots.to_string().replace(' ', ",") }
}

/// The lines of CLUSTER NODES with names, sorted, without what depends on the moment: the times
/// and whether a link is up.
#[must_use]
pub(super) fn node_lines(text: &str, cast: &Cast) -> Vec<String> {
    let mut lines: Vec<_> = text.lines().map(|line| node_line(line, cast)).collect();
    lines.sort();
    lines
}

fn node_line(line: &str, cast: &Cast) -> String {
    let masked = cast.mask(line);
    let mut words: Vec<&str> = masked.split(' ').collect();
    if words.len() < 8 || words[0] == "vars" {
        return masked;
    }
    words.drain(7..8);
    words.drain(4..6);
    words.join(" ")
}

/// Whether one node is seen as looked for.
#[must_use]
pub(super) fn is_seen(text: &str, name: &str, sights: &[Sight], cast: &Cast) -> bool {
    let line = text.lines().find(|line| cast.mask(line).split(' ').next() == Some(name));
    let Some(line) = line else {
        return sights.iter().all(|sight| matches!(sight, Sight::NoFlag(flag) if flag == "known"));
    };
    let masked = cast.mask(line);
    let words: Vec<&str> = masked.split(' ').collect();
    let word = |index: usize| words.get(index).copied().unwrap_or_default();
    let has = |flag: &str| flag == "known" || word(2).split(',').any(|other| other == flag);
    sights.iter().all(|sight| match sight {
        Sight::Flag(flag) => has(flag),
        Sight::NoFlag(flag) => !has(flag),
        Sight::Epoch(epoch) => word(6) == epoch,
        Sight::Of(name) => word(3) == name,
        Sight::Slots(slots) => {
            let owned: Vec<_> = words.iter().skip(8).filter(|word| !word.starts_with('[')).copied().collect();
            let owned = if owned.is_empty() { "none".to_owned() } else { owned.join(",") };
            owned == *slots
        }
        Sight::Pong => word(5) != "0",
    })
}
