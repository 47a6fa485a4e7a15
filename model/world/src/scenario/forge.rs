//! Owns messages made by hand: a header that is true of its sender but for what the verb says, and
//! any body. Knows no connection.

use super::{
    SLOTS,
    cluster::{BUS_PORT, Cluster, PORT},
    verbs::{host_of, place_of, slots_of},
};
use crate::place::Place;
use slotbus_core::{
    Address, Body, ClusterState, Flags, Header, Host as Ip, Message, NodeId, Slot, SlotSet,
    message::{Claim, Extension, GossipEntry, Heartbeat, MessageFlags, ModuleMessage, Publication},
};

/// What a body is made of, as the verb names it.
#[derive(Default)]
struct Parts {
    heartbeat: Heartbeat,
    about: Option<NodeId>,
    claim_epoch: u64,
    claim_slots: SlotSet<SLOTS>,
}

impl Cluster {
    /// The message of a kind that `sender` would send now, changed by `changes`.
    pub(super) fn forge(&self, sender: Place, kind: &str, changes: &[&str]) -> Result<Message<SLOTS>, String> {
        let mut header = self.true_header(sender);
        let mut parts = Parts::default();
        for change in changes {
            let (key, value) = change.split_once('=').ok_or_else(|| format!("`{change}` is no KEY=VALUE"))?;
            self.change(&mut header, &mut parts, key, value)?;
        }
        Ok(Message { header, body: body(kind, parts)? })
    }

    /// What the node at `place` says of itself; a stranger says that it is an empty primary.
    fn true_header(&self, place: Place) -> Header<SLOTS> {
        let mut header = Header {
            sender: self.story.id(place),
            current_epoch: 0,
            config_epoch: 0,
            offset: 0,
            slots: SlotSet::new(),
            primary: None,
            address: Address { host: Ip::Unknown, port: PORT, cport: BUS_PORT, pport: 0 },
            flags: Flags::PRIMARY,
            state: ClusterState::Ok,
            mflags: MessageFlags::empty(),
        };
        let Ok(node) = self.node(place) else { return header };
        let claimant = node.my_primary().map_or_else(|| node.myself(), |pos| &node.peers()[pos]);
        header.current_epoch = node.current_epoch();
        header.config_epoch = node.my_epoch();
        header.offset = node.replication().offset;
        header.slots = claimant.slots.clone();
        header.primary = node.myself().primary;
        header.flags = node.myself().flags;
        header.state = node.state();
        header
    }

    fn change(&self, header: &mut Header<SLOTS>, parts: &mut Parts, key: &str, value: &str) -> Result<(), String> {
        let number = || value.parse::<u64>().map_err(|_| format!("`{value}` is no number"));
        match key {
            "as" => header.sender = self.id_of(value)?,
            "current" => header.current_epoch = number()?,
            "epoch" => header.config_epoch = number()?,
            "offset" => header.offset = number()?,
            "slots" => header.slots = slots_of(value)?,
            "primary" => self.say_replica(header, value)?,
            "flags" => header.flags |= flags_of(value)?,
            "paused" => header.mflags |= MessageFlags::PAUSED,
            "forced" => header.mflags |= MessageFlags::FORCEACK,
            "extensions" => header.mflags |= MessageFlags::EXTENSIONS,
            "tells" => parts.heartbeat.gossip.push(self.entry(value)?),
            "hostname" => parts.heartbeat.extensions.push(Extension::Hostname(value.into())),
            "shard" => parts.heartbeat.extensions.push(Extension::ShardId(self.id_of(value)?)),
            "about" => parts.about = Some(self.id_of(value)?),
            "claim-epoch" => parts.claim_epoch = number()?,
            "claim-slots" => parts.claim_slots = slots_of(value)?,
            _ => return Err(format!("a message has no `{key}`")),
        }
        Ok(())
    }

    fn id_of(&self, name: &str) -> Result<NodeId, String> {
        Ok(self.story.id(place_of(name)?))
    }

    fn say_replica(&self, header: &mut Header<SLOTS>, primary: &str) -> Result<(), String> {
        header.primary = if primary == "none" { None } else { Some(self.id_of(primary)?) };
        let is_replica = header.primary.is_some();
        header.flags.set(Flags::REPLICA, is_replica);
        header.flags.set(Flags::PRIMARY, !is_replica);
        Ok(())
    }

    /// A gossip entry: `NODE:FLAGS`, or `NODE@IP:FLAGS`.
    fn entry(&self, text: &str) -> Result<GossipEntry, String> {
        let (name, flags) = text.split_once(':').ok_or_else(|| format!("`{text}` is no NODE:FLAGS"))?;
        let (name, ip) = name.split_once('@').map_or((name, None), |(name, ip)| (name, Some(ip)));
        let (name, ahead) = name.split_once('+').unwrap_or((name, "0"));
        let ahead_s: u32 = ahead.parse().map_err(|_| format!("`{ahead}` is no number of seconds"))?;
        let place = place_of(name)?;
        let host =
            ip.map_or_else(|| self.hosts.get(&place).map_or_else(|| place.ip(), |host| host.ip.clone()), host_of);
        Ok(GossipEntry {
            node: self.story.id(place),
            ping_sent_s: 0,
            pong_received_s: self.now.seconds().saturating_add(ahead_s),
            address: Address { host, port: PORT, cport: BUS_PORT, pport: 0 },
            flags: flags_of(flags)?,
        })
    }
}

fn flags_of(text: &str) -> Result<Flags, String> {
    let words = text.split(',').filter(|word| *word != "well");
    let flag = |word: &str| Flags::from_name(&word.to_uppercase()).ok_or_else(|| format!("there is no flag `{word}`"));
    words.map(flag).collect()
}

fn body(kind: &str, parts: Parts) -> Result<Body<SLOTS>, String> {
    let about = || parts.about.ok_or_else(|| format!("{kind} needs about=NODE"));
    Ok(match kind {
        "ping" => Body::Ping(parts.heartbeat),
        "pong" => Body::Pong(parts.heartbeat),
        "meet" => Body::Meet(parts.heartbeat),
        "fail" => Body::Fail(about()?),
        "update" => {
            let node = about()?;
            Body::Update(Claim { node, config_epoch: parts.claim_epoch, slots: parts.claim_slots })
        }
        "publish" => Body::Publish(publication()),
        "publishshard" => Body::PublishShard(publication()),
        "auth-req" => Body::FailoverAuthRequest,
        "auth-ack" => Body::FailoverAuthAck,
        "mfstart" => Body::ManualFailoverStart,
        "module" => Body::Module(ModuleMessage { module: [0; 8], kind: 0, payload: Vec::new() }),
        _ => return Err(format!("there is no message `{kind}`")),
    })
}

/// The publication that scenarios publish.
pub(super) fn publication() -> Publication {
    Publication { channel: b"news".to_vec(), payload: b"hello".to_vec() }
}

/// The slots of a comma separated list, in its order, repetitions included.
pub(super) fn slot_list(text: &str) -> Result<Vec<Slot>, String> {
    let slot = |word: &str| word.parse().map(Slot).map_err(|_| format!("`{word}` is no slot"));
    text.split(',').map(slot).collect()
}
