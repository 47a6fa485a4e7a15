//! Owns the form of a vector: what it says of the node under test, its steps, and what is expected of
//! each. docs/VECTORS.md says the same for people, docs/vectors.schema.json for programs. Knows neither
//! how vectors are found nor who is held to them.

use super::{CoreEvent, packed::Packed};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::{Digest, Sha256};
use slotbus_core::{
    CLUSTER_SLOTS, Command, Config, Durable, FailoverMode, Host, LinkId, Message, Millis, NodeId, Profile, Random,
    Reply, RequestId, Rule, Site, SlotChange, SlotSet, Timing,
};
use slotbus_wire::{bus, nodes_conf};
use std::{collections::BTreeMap, fmt, sync::Arc};

/// The number of this format.
pub const FORMAT: u32 = 1;

/// What one node must do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vector {
    pub(super) format: u32,
    pub(super) profile: String,
    pub(super) level: Level,
    pub(super) verdict: Verdict,
    pub(super) rules: Vec<Rule>,
    pub(super) generator: String,
    pub(super) seed: u64,
    /// What the node is in when the vector begins, in a few words.
    pub(super) situation: String,
    pub(super) node: Subject,
    pub(super) steps: Vec<Step>,
}

/// What must be seen of a node for a vector to be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Level {
    /// Its packets.
    L0,
    /// Its packets and what it answers to CLUSTER commands.
    L1,
    /// Its inside.
    L2,
}

/// What a vector says of an implementation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It does what the last step shows.
    Must,
    /// It may do what the last step shows: another draw would show something else.
    May,
    /// It does nothing where a guard holds it back.
    MustNot,
}

/// The node under test as it starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Subject {
    pub(super) config: Settings,
    /// What its clock shows.
    pub(super) now_ms: u64,
    pub(super) origin: Origin,
    /// What its start leads to, where that is judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expect: Option<Expect>,
}

/// What a node starts from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Origin {
    /// Nothing, and with this new id.
    Fresh(NodeId),
    /// This nodes.conf.
    NodesConf(String),
}

/// The directives that a vector sets; all others have redis-server's defaults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Settings {
    pub(super) port: u16,
    pub(super) cluster_port: u16,
    pub(super) cluster_node_timeout: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) cluster_announce_hostname: String,
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub(super) cluster_require_full_coverage: bool,
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub(super) cluster_allow_replica_migration: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) cluster_replica_no_failover: bool,
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_yes(value: &bool) -> bool {
    *value
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// One input, and what comes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    /// When, after the start.
    pub(super) at_ms: u64,
    pub(super) event: Event,
    /// The word from which the reference core draws.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) random: u64,
    /// What it draws, for everybody else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) draws: Vec<Draws>,
    /// What comes of it; steps that only lead to the point of the vector are not judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expect: Option<Expect>,
}

/// Draws of one kind, one after the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Draws {
    /// Numbers, each below the same number.
    Numbers { site: Site, below: u64, values: Vec<u64> },
    /// The id of an entry in handshake.
    TemporaryId(NodeId),
}

/// A link's name: `in` or `out` and a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Link(pub(super) LinkId);

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            LinkId::Inbound(number) => write!(f, "in{number}"),
            LinkId::Outbound(number) => write!(f, "out{number}"),
        }
    }
}

impl Serialize for Link {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Link {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let number = |text: &str| text.parse().ok();
        let inbound = text.strip_prefix("in").and_then(number).map(LinkId::Inbound);
        let outbound = || text.strip_prefix("out").and_then(number).map(LinkId::Outbound);
        inbound.or_else(outbound).map(Self).ok_or_else(|| D::Error::custom(format!("'{text}' is no link")))
    }
}

/// What happens to the node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Event {
    /// A link comes up; which node is at its other end is told to those who play that node.
    LinkUp {
        link: Link,
        local: Host,
        remote: Host,
        peer: Option<NodeId>,
    },
    LinkDown(Link),
    LinkRefused(Link),
    Backlogged(Link),
    /// A packet arrives; who is at the other end is told to those who play that node.
    Received {
        link: Link,
        packet: Packed,
        from: Option<NodeId>,
    },
    Tick,
    /// A client's command in words, and as the core takes it.
    Admin {
        words: Vec<String>,
        command: Command,
    },
    Configured(Settings),
    Loaded(SlotSet<CLUSTER_SLOTS>),
    Replication {
        offset: u64,
        fresh_at_ms: Option<u64>,
    },
}

/// What comes of a step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expect {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) rules: Vec<Rule>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) persist: Option<Persist>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) effects: Vec<Effect>,
    /// How the state differs from that before.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) state: Delta,
    /// What shows from outside, however the node's own time and dice fall.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) live: Option<Live>,
}

/// Entries that are new or changed, and those that are gone.
pub(super) type Delta = BTreeMap<String, Option<String>>;

/// What reaches the disk before anything else is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Persist {
    /// Whether it must survive a power loss.
    pub(super) sync: bool,
    /// How the lines of nodes.conf differ from those saved before, by their first word.
    pub(super) lines: Delta,
}

/// What the node asks of its surroundings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Effect {
    Connect { link: Link, address: String },
    Close(Link),
    Send { link: Link, packet: Packed },
    Follow { primary: NodeId, address: String },
    Lead,
    PauseWrites { until_ms: u64 },
    ResumeWrites,
    DropKeys(SlotSet<CLUSTER_SLOTS>),
    DropAllKeys,
    Deliver { channel: Packed, payload: Packed, sharded: bool },
    Reply(Reply),
}

/// What shows from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Live {
    /// Packets that arrive, in any order among others of the same kinds, but for what the mask hides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) sends: Vec<LiveSend>,
    /// The fields of CLUSTER NODES after the step, one line for each node, where they are judged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) nodes: Vec<String>,
    /// The answer to a command: `OK` or the text of the refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reply: Option<String>,
}

/// A packet that arrives at a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LiveSend {
    /// The peer.
    pub(super) to: NodeId,
    /// Whether it comes on the link that the peer opened.
    pub(super) on_inbound: bool,
    pub(super) packet: Packed,
    /// The bytes that do not count: where, and how many; 0 for all that follow.
    pub(super) mask: Vec<(usize, usize)>,
}

impl Vector {
    /// What must be seen of a node for this to be judged.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// The rules that fire in it.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Its profile's name.
    #[must_use]
    pub fn profile(&self) -> &str {
        &self.profile
    }

    /// The bytes by which it is named.
    #[must_use]
    pub fn body(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The name of a vector or a file: the SHA-256 of its bytes.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Settings {
    pub(super) fn config(&self, profile: Profile) -> Config {
        Config {
            port: self.port,
            cport: self.cluster_port,
            hostname: self.cluster_announce_hostname.as_str().into(),
            require_full_coverage: self.cluster_require_full_coverage,
            allow_replica_migration: self.cluster_allow_replica_migration,
            replica_no_failover: self.cluster_replica_no_failover,
            timing: Timing { node_timeout_ms: self.cluster_node_timeout, ..Timing::default() },
            profile,
            ..Config::default()
        }
    }

    /// What of a configuration vectors can say.
    pub(super) fn of(config: &Config) -> Self {
        Self {
            port: config.port,
            cluster_port: config.cport,
            cluster_node_timeout: config.timing.node_timeout_ms,
            cluster_announce_hostname: config.hostname.clone().into(),
            cluster_require_full_coverage: config.require_full_coverage,
            cluster_allow_replica_migration: config.allow_replica_migration,
            cluster_replica_no_failover: config.replica_no_failover,
        }
    }
}

impl Origin {
    pub(super) fn core(&self) -> Result<slotbus_core::Origin<CLUSTER_SLOTS>, String> {
        Ok(match self {
            Self::Fresh(id) => slotbus_core::Origin::Fresh(*id),
            Self::NodesConf(text) => {
                let image: Durable<CLUSTER_SLOTS> =
                    nodes_conf::parse(text.as_bytes()).map_err(|error| format!("nodes.conf: {error}"))?;
                slotbus_core::Origin::Restored(Box::new(image))
            }
        })
    }
}

impl Event {
    /// The event in the core's words, for a node with this configuration.
    pub(super) fn core(&self, config: &Config) -> Result<CoreEvent, String> {
        Ok(match self {
            Self::LinkUp { link, local, remote, peer: _ } => {
                CoreEvent::LinkUp { link: link.0, local: local.clone(), remote: remote.clone() }
            }
            Self::LinkDown(link) => CoreEvent::LinkDown { link: link.0 },
            Self::LinkRefused(link) => CoreEvent::LinkRefused { link: link.0 },
            Self::Backlogged(link) => CoreEvent::Backlogged { link: link.0 },
            Self::Received { link, packet, from: _ } => match bus::decode(&packet.0) {
                Ok(bus::Packet::Full(message)) => CoreEvent::Received { link: link.0, message: Box::new(message) },
                Ok(bus::Packet::Light(_)) => return Err("a packet has a light header".into()),
                Err(error) => return Err(format!("a packet cannot be read: {error}")),
            },
            Self::Tick => CoreEvent::Tick,
            Self::Admin { words, command } if *words == command_words(command) => {
                CoreEvent::Admin { request: RequestId(0), command: command.clone() }
            }
            Self::Admin { words, .. } => return Err(format!("'{}' is not the command beside it", words.join(" "))),
            Self::Configured(settings) => {
                let told = settings.config(config.profile);
                CoreEvent::Configured(Arc::new(Config { mutant: config.mutant, ..told }))
            }
            Self::Loaded(slots) => CoreEvent::Loaded { slots: slots.clone() },
            Self::Replication { offset, fresh_at_ms } => {
                CoreEvent::Replication(slotbus_core::Replication { offset: *offset, fresh_at: fresh_at_ms.map(Millis) })
            }
        })
    }

    /// Whether a peer opens a link.
    pub(super) fn is_call(&self) -> bool {
        matches!(self, Self::LinkUp { link: Link(LinkId::Inbound(_)), .. })
    }

    /// The event as a vector says it.
    pub(super) fn of(event: &CoreEvent, peer: impl Fn(LinkId) -> Option<NodeId>) -> Self {
        match event {
            CoreEvent::LinkUp { link, local, remote } => {
                let peer = peer(*link);
                Self::LinkUp { link: Link(*link), local: local.clone(), remote: remote.clone(), peer }
            }
            CoreEvent::LinkDown { link } => Self::LinkDown(Link(*link)),
            CoreEvent::LinkRefused { link } => Self::LinkRefused(Link(*link)),
            CoreEvent::Backlogged { link } => Self::Backlogged(Link(*link)),
            CoreEvent::Received { link, message } => {
                Self::Received { link: Link(*link), packet: encoded(message), from: peer(*link) }
            }
            CoreEvent::Tick => Self::Tick,
            CoreEvent::Admin { request: _, command } => {
                Self::Admin { words: command_words(command), command: command.clone() }
            }
            CoreEvent::Configured(config) => Self::Configured(Settings::of(config)),
            CoreEvent::Loaded { slots } => Self::Loaded(slots.clone()),
            CoreEvent::Replication(replication) => Self::Replication {
                offset: replication.offset,
                fresh_at_ms: replication.fresh_at.map(|Millis(at_ms)| at_ms),
            },
        }
    }
}

impl Effect {
    pub(super) fn of(effect: &slotbus_core::Effect<CLUSTER_SLOTS>) -> Self {
        use slotbus_core::Effect as Core;
        match effect {
            Core::Connect { link, address } => Self::Connect { link: Link(*link), address: address.to_string() },
            Core::Close { link } => Self::Close(Link(*link)),
            Core::Send { link, message } => Self::Send { link: Link(*link), packet: encoded(message) },
            Core::Follow { primary, address, shard: _ } => {
                Self::Follow { primary: *primary, address: address.to_string() }
            }
            Core::Lead => Self::Lead,
            Core::PauseWrites { until } => Self::PauseWrites { until_ms: until.0 },
            Core::ResumeWrites => Self::ResumeWrites,
            Core::DropKeys { slots } => Self::DropKeys(slots.clone()),
            Core::DropAllKeys => Self::DropAllKeys,
            Core::Deliver { publication, sharded } => Self::Deliver {
                channel: Packed(publication.channel.clone()),
                payload: Packed(publication.payload.clone()),
                sharded: *sharded,
            },
            Core::Reply { request: _, reply } => Self::Reply(reply.clone()),
        }
    }
}

impl Step {
    pub(super) fn random(&self) -> Random {
        Random::new(self.random)
    }
}

/// Draws with those of one site and one kind together.
pub(super) fn grouped(draws: &[slotbus_core::Draw]) -> Vec<Draws> {
    let mut groups: Vec<Draws> = Vec::new();
    for draw in draws {
        match (draw, groups.last_mut()) {
            (slotbus_core::Draw::TemporaryId(id), _) => groups.push(Draws::TemporaryId(*id)),
            (
                slotbus_core::Draw::Number { site, below, value },
                Some(Draws::Numbers { site: same, below: limit, values }),
            ) if (site, below) == (&*same, &*limit) => {
                values.push(*value);
            }
            (slotbus_core::Draw::Number { site, below, value }, _) => {
                groups.push(Draws::Numbers { site: *site, below: *below, values: vec![*value] });
            }
        }
    }
    groups
}

fn encoded(message: &Message<CLUSTER_SLOTS>) -> Packed {
    let mut bytes = Vec::new();
    bus::encode(message, &mut bytes);
    Packed(bytes)
}

/// A command as a client types it.
pub(super) fn command_words(command: &Command) -> Vec<String> {
    let cluster = |words: &[String]| [&["CLUSTER".to_owned()], words].concat();
    let named = |name: &str, rest: Vec<String>| cluster(&[vec![name.to_owned()], rest].concat());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let numbers = |slots: &[slotbus_core::Slot]| slots.iter().map(ToString::to_string).collect();
    match command {
        Command::Meet { host, port, cport } => {
            named("MEET", vec![host.to_string(), port.to_string(), cport.to_string()])
        }
        Command::Forget(id) => named("FORGET", vec![id.to_string()]),
        Command::AddSlots(slots) => named("ADDSLOTS", numbers(slots)),
        Command::DelSlots(slots) => named("DELSLOTS", numbers(slots)),
        Command::BumpEpoch => named("BUMPEPOCH", vec![]),
        Command::SetConfigEpoch(epoch) => named("SET-CONFIG-EPOCH", vec![epoch.to_string()]),
        Command::SaveConfig => named("SAVECONFIG", vec![]),
        Command::FlushSlots { .. } => named("FLUSHSLOTS", vec![]),
        Command::SetSlot { slot, change, .. } => {
            named("SETSLOT", [vec![slot.to_string()], change_words(*change)].concat())
        }
        Command::Replicate { primary, .. } => named("REPLICATE", vec![primary.to_string()]),
        Command::Failover(FailoverMode::Coordinated) => named("FAILOVER", vec![]),
        Command::Failover(FailoverMode::Force) => named("FAILOVER", vec!["FORCE".into()]),
        Command::Failover(FailoverMode::Takeover) => named("FAILOVER", vec!["TAKEOVER".into()]),
        Command::Reset { hard, .. } => named("RESET", vec![if hard.is_some() { "HARD" } else { "SOFT" }.to_owned()]),
        Command::Publish { publication, sharded } => {
            let name = if *sharded { "SPUBLISH" } else { "PUBLISH" };
            vec![name.to_owned(), text(&publication.channel), text(&publication.payload)]
        }
    }
}

fn change_words(change: SlotChange) -> Vec<String> {
    match change {
        SlotChange::Migrating(id) => vec!["MIGRATING".into(), id.to_string()],
        SlotChange::Importing(id) => vec!["IMPORTING".into(), id.to_string()],
        SlotChange::Stable => vec!["STABLE".into()],
        SlotChange::Node(id) => vec!["NODE".into(), id.to_string()],
    }
}
