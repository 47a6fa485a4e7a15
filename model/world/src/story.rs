//! Owns how a world tells people what happened: one line for each node that stepped, with the rules
//! that fired, and one for each thing that it asked for. Knows nothing of how a path was found.

use crate::{
    action::{Action, What},
    cause::Cause,
    place::Place,
    setup::Setup,
    world::World,
};
use slotbus_core::{
    Body, Command, Effect, Effects, Event, FailoverMode, Flags, Header, LinkId, Message, Node, NodeId, Reply, Rule,
    Slot, SlotChange, SlotSet, message::GossipEntry,
};
use std::fmt::Write as _;

/// One step of one node within an action.
#[derive(Clone, Debug)]
pub struct Happening<const SLOTS: usize> {
    /// Where.
    pub place: Place,
    /// What happened to the node.
    pub cause: Cause<SLOTS>,
    /// What it asked for.
    pub effects: Effects<SLOTS>,
    /// Whether it died before any of that but the saving was done.
    pub dies: bool,
}

/// Tells what an action does to a world: a heading, then each node's step.
#[must_use]
pub fn tell<const SLOTS: usize>(setup: &Setup, world: &World<SLOTS>, action: Action) -> String {
    let teller = Teller { setup };
    let (after, happenings) = world.told(setup, action);
    let mut text = teller.heading(world, action);
    for happening in &happenings {
        teller.happening(&mut text, happening);
    }
    let broken = after.ghost().broken();
    for invariant in crate::Invariant::ALL.iter().filter(|&&invariant| broken.contains(invariant)) {
        let _ = write!(text, "\n    BREAKS {}: {}", invariant.id(), invariant.sentence());
    }
    text
}

/// Tells what each node of a world holds: one line for each entry of each table.
#[must_use]
pub fn tell_world<const SLOTS: usize>(setup: &Setup, world: &World<SLOTS>) -> String {
    setup.places().map(|place| tell_host(setup, world, place)).collect()
}

/// Tells what an action is, in one line.
#[must_use]
pub fn tell_action<const SLOTS: usize>(setup: &Setup, world: &World<SLOTS>, action: Action) -> String {
    Teller { setup }.heading(world, action)
}

/// Tells what a node's step was about, in one line, and everything that it asked for.
#[must_use]
pub fn tell_happening<const SLOTS: usize>(setup: &Setup, happening: &Happening<SLOTS>) -> (String, Vec<String>) {
    let teller = Teller { setup };
    let effects = happening.effects.then.iter().filter(|_| !happening.dies);
    (teller.cause(&happening.cause), effects.map(|effect| teller.effect(effect)).collect())
}

/// Tells what an input of a node is about, in one line.
#[must_use]
pub fn tell_event<const SLOTS: usize>(setup: &Setup, event: &Event<SLOTS>) -> String {
    Teller { setup }.event(event)
}

/// Tells what a node asked for, in one line.
#[must_use]
pub fn tell_effect<const SLOTS: usize>(setup: &Setup, effect: &Effect<SLOTS>) -> String {
    Teller { setup }.effect(effect)
}

/// Tells what a node holds: a heading, then one line for each entry of its table.
#[must_use]
pub fn tell_node<const SLOTS: usize>(setup: &Setup, place: Place, node: &Node<SLOTS>) -> String {
    let mut text = String::new();
    Teller { setup }.node(&mut text, place, node);
    text
}

/// Tells what a host holds: a heading, then one line for each entry of its node's table.
#[must_use]
pub fn tell_host<const SLOTS: usize>(setup: &Setup, world: &World<SLOTS>, place: Place) -> String {
    world.node(place).map_or_else(|| format!("{place}: down\n"), |node| tell_node(setup, place, node))
}

/// Names nodes by the letters of their hosts.
pub(crate) struct Teller<'a> {
    pub(crate) setup: &'a Setup,
}

impl Teller<'_> {
    /// A node's letter; a temporary id, which belongs to no host, shows as a question mark.
    fn slot_change(&self, change: &SlotChange) -> String {
        match change {
            SlotChange::Migrating(id) => format!("MIGRATING {}", self.name(id)),
            SlotChange::Importing(id) => format!("IMPORTING {}", self.name(id)),
            SlotChange::Stable => "STABLE".into(),
            SlotChange::Node(id) => format!("NODE {}", self.name(id)),
        }
    }

    pub(crate) fn name(&self, id: &NodeId) -> String {
        match self.setup.owner_of(id) {
            Some(place) => place.to_string(),
            None => format!("?{:02x}", id.0[0]),
        }
    }

    fn heading<const SLOTS: usize>(&self, world: &World<SLOTS>, action: Action) -> String {
        let connection = |index: u8| world.connections().nth(usize::from(index));
        let ends = |index| match connection(index) {
            Some(connection) => {
                let target = connection.target.map_or_else(|| "nobody".into(), |target| target.to_string());
                format!("{}->{target}", connection.opener)
            }
            None => "?".into(),
        };
        let mut text = match action.what {
            What::Deliver { connection, to } => format!("deliver on {} to its {to:?}", ends(connection)).to_lowercase(),
            What::HangUp { connection, at } => {
                format!("the {at:?} of {} notices that it is over", ends(connection)).to_lowercase()
            }
            What::Establish { connection } => format!("{} connects", ends(connection)),
            What::Refuse { connection } => format!("{} is refused", ends(connection)),
            What::Tick { host } => format!("{host} ticks"),
            What::Command { script } => format!("script {script} gives its next command"),
            What::Write { host } => format!("a client writes at {host}"),
            What::Transfer { index } => match self.setup.transfers.get(usize::from(index)) {
                Some(transfer) => {
                    format!("{} hands the key of slot {} to {}", transfer.from, transfer.slot, transfer.to)
                }
                None => "?".into(),
            },
            What::Cut { connection } => format!("the network breaks {}", ends(connection)),
            What::Crash { host, power: false } => format!("{host} is killed"),
            What::Crash { host, power: true } => format!("{host} loses power"),
            What::Restart { host } => format!("{host} starts again"),
            What::Part { left, right } => format!("{left} and {right} cannot reach each other"),
            What::Heal { left, right } => format!("{left} and {right} reach each other again"),
        };
        if action.dice > 0 {
            let _ = write!(text, " (dice {})", action.dice);
        }
        text
    }

    fn happening<const SLOTS: usize>(&self, text: &mut String, happening: &Happening<SLOTS>) {
        let Happening { place, cause, effects, dies } = happening;
        let _ = write!(text, "\n  {place} {}: {}", self.cause(cause), rules(&effects.rules));
        if let Some(persist) = &effects.persist {
            text.push_str(if persist.sync { "\n    saves and syncs" } else { "\n    saves" });
        }
        if *dies {
            text.push_str("\n    and is killed before it does anything else");
            return;
        }
        for effect in &effects.then {
            let _ = write!(text, "\n    {}", self.effect(effect));
        }
    }

    fn cause<const SLOTS: usize>(&self, cause: &Cause<SLOTS>) -> String {
        match cause {
            Cause::Started(None) => "starts".into(),
            Cause::Started(Some(_)) => "starts from its disk".into(),
            Cause::LinkUp { .. }
            | Cause::LinkDown(_)
            | Cause::LinkRefused(_)
            | Cause::Received { .. }
            | Cause::Tick
            | Cause::Admin(_)
            | Cause::Replicated(_) => self.event(&cause.event()),
        }
    }

    /// What happens to a node.
    pub(crate) fn event<const SLOTS: usize>(&self, event: &Event<SLOTS>) -> String {
        match event {
            Event::LinkUp { link, .. } => format!("sees {} up", link_name(*link)),
            Event::LinkDown { link } => format!("sees {} down", link_name(*link)),
            Event::LinkRefused { link } => format!("sees {} refused", link_name(*link)),
            Event::Received { message, .. } => format!("receives {}", self.message(message)),
            Event::Tick => "ticks".into(),
            Event::Admin { command, .. } => format!("is asked to {}", self.command(command)),
            Event::Configured(_) => "is configured anew".into(),
            Event::Loaded { slots } => format!("has loaded keys of {}", slot_text(slots)),
            Event::Replication(replication) => {
                let freshness = if replication.fresh_at.is_some() { "in step" } else { "not in step" };
                format!("is {freshness}, at offset {}", replication.offset)
            }
            Event::Backlogged { link } => format!("sees too much wait on {}", link_name(*link)),
        }
    }

    pub(crate) fn command(&self, command: &Command) -> String {
        match command {
            Command::Meet { host, .. } => match self.setup.places().find(|&place| self.setup.ip(place) == host) {
                Some(place) => format!("MEET {place}"),
                None => format!("MEET {host}"),
            },
            Command::Forget(id) => format!("FORGET {}", self.name(id)),
            Command::AddSlots(slots) => format!("ADDSLOTS {}", slot_list(slots)),
            Command::DelSlots(slots) => format!("DELSLOTS {}", slot_list(slots)),
            Command::BumpEpoch => "BUMPEPOCH".into(),
            Command::SetConfigEpoch(epoch) => format!("SET-CONFIG-EPOCH {epoch}"),
            Command::SaveConfig => "SAVECONFIG".into(),
            Command::FlushSlots { .. } => "FLUSHSLOTS".into(),
            Command::SetSlot { slot, change, .. } => format!("SETSLOT {slot} {}", self.slot_change(change)),
            Command::Replicate { primary, .. } => format!("REPLICATE {}", self.name(primary)),
            Command::Failover(FailoverMode::Coordinated) => "FAILOVER".into(),
            Command::Failover(FailoverMode::Force) => "FAILOVER FORCE".into(),
            Command::Failover(FailoverMode::Takeover) => "FAILOVER TAKEOVER".into(),
            Command::Reset { hard, .. } => if hard.is_some() { "RESET HARD" } else { "RESET SOFT" }.into(),
            Command::Publish { sharded, .. } => if *sharded { "SPUBLISH" } else { "PUBLISH" }.into(),
        }
    }

    pub(crate) fn effect<const SLOTS: usize>(&self, effect: &Effect<SLOTS>) -> String {
        match effect {
            Effect::Connect { link, address } => format!("opens {} to {}", link_name(*link), address.host),
            Effect::Close { link } => format!("closes {}", link_name(*link)),
            Effect::Send { link, message } => format!("sends on {}: {}", link_name(*link), self.message(message)),
            Effect::Follow { primary, .. } => format!("replicates {}", self.name(primary)),
            Effect::Lead => "replicates nobody".into(),
            Effect::PauseWrites { .. } => "holds back its clients' writes".into(),
            Effect::ResumeWrites => "lets its clients write again".into(),
            Effect::DropKeys { slots } => format!("drops the keys of slots {slots}"),
            Effect::DropAllKeys => "drops every key".into(),
            Effect::Deliver { .. } => "hands a message to its subscribers".into(),
            Effect::Reply { reply, .. } => format!("answers {}", reply_text(reply)),
        }
    }

    pub(crate) fn message<const SLOTS: usize>(&self, message: &Message<SLOTS>) -> String {
        let Header { sender, current_epoch, config_epoch, slots, .. } = &message.header;
        let kind = message.body.name().to_uppercase();
        let mut text = format!("{kind} of {} (epoch {config_epoch}/{current_epoch}", self.name(sender));
        if !slots.is_empty() {
            let _ = write!(text, ", slots {slots}");
        }
        let gossip = message.heartbeat().map(|heartbeat| heartbeat.gossip.as_slice()).unwrap_or_default();
        for entry in gossip {
            let _ = write!(text, ", {}", self.entry(entry));
        }
        match &message.body {
            Body::Fail(id) => {
                let _ = write!(text, ", {} failed", self.name(id));
            }
            Body::Update(claim) => {
                let claimant = self.name(&claim.node);
                let _ = write!(text, ", {claimant} has epoch {} and {}", claim.config_epoch, slot_text(&claim.slots));
            }
            Body::Ping(_)
            | Body::Pong(_)
            | Body::Meet(_)
            | Body::Publish(_)
            | Body::FailoverAuthRequest
            | Body::FailoverAuthAck
            | Body::ManualFailoverStart
            | Body::Module(_)
            | Body::PublishShard(_) => {}
        }
        text.push(')');
        text
    }

    fn entry(&self, entry: &GossipEntry) -> String {
        let condition = if entry.flags.contains(Flags::FAIL) {
            "failed"
        } else if entry.flags.contains(Flags::PFAIL) {
            "suspected"
        } else {
            "well"
        };
        format!("{} {condition}", self.name(&entry.node))
    }

    pub(crate) fn node<const SLOTS: usize>(&self, text: &mut String, place: Place, node: &Node<SLOTS>) {
        let _ = writeln!(text, "{place}: state {:?}, current epoch {}", node.state(), node.current_epoch());
        for peer in node.peers().iter() {
            let name = self.name(&peer.id);
            let flags: Vec<_> = peer.flags.iter_names().map(|(name, _)| name.to_lowercase()).collect();
            let slots = slot_text(&peer.slots);
            let primary = peer.primary.map(|id| format!(" of {}", self.name(&id))).unwrap_or_default();
            let _ = writeln!(text, "  {name}: {}{primary}, epoch {}, {slots}", flags.join(" "), peer.config_epoch);
        }
        for (slot, to) in node.migrating() {
            let _ = writeln!(text, "  slot {slot} migrating to {}", self.name(to));
        }
        for (slot, from) in node.importing() {
            let _ = writeln!(text, "  slot {slot} importing from {}", self.name(from));
        }
    }
}

pub(crate) fn rules(rules: &[Rule]) -> String {
    let ids: Vec<_> = rules.iter().map(|rule| rule.id()).collect();
    if ids.is_empty() { "no rule".into() } else { ids.join(" ") }
}

fn slot_text<const SLOTS: usize>(slots: &SlotSet<SLOTS>) -> String {
    if slots.is_empty() { "no slot".into() } else { format!("slots {slots}") }
}

/// Slots as a request names them; of many, how many and the first.
fn slot_list(slots: &[Slot]) -> String {
    const SHOWN_MAX: usize = 16;
    match slots {
        [first, ..] if slots.len() > SHOWN_MAX => format!("{} slots from {first} on", slots.len()),
        _ => format!("{slots:?}"),
    }
}

pub(crate) fn link_name(link: LinkId) -> String {
    match link {
        LinkId::Outbound(number) => format!("outbound link {number}"),
        LinkId::Inbound(number) => format!("inbound link {number}"),
    }
}

fn reply_text(reply: &Reply) -> String {
    match reply {
        Reply::Done => "OK".into(),
        Reply::Bumped(epoch) => format!("BUMPED {epoch}"),
        Reply::Still(epoch) => format!("STILL {epoch}"),
        Reply::Refused(refusal) => format!("ERR {refusal}"),
    }
}
