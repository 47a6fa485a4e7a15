//! Owns what of a vector shows from outside, however the node's own time and dice fall: the vector is
//! played in real time, as it were, several times, with another rhythm and other dice each time. What shows
//! each time is expected of everybody; a vector of which the times disagree stays one of the inside.

use super::{
    CoreEvent, Input, Message, Node, mask,
    packed::Packed,
    vector::{Effect, Event, Expect, Level, Link, Live, LiveSend, Origin, Step, Vector},
};
use slotbus_core::{
    CLUSTER_SLOTS, Command, Effects, Flags, LinkId, Millis, NodeId, Profile, Random, Reply, Slot, SlotSet,
    next_deadline, step,
};
use slotbus_wire::{bus, nodes_conf};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// A rhythm: when the clock starts, how long the node is left alone first, how long after each input.
#[derive(Clone, Copy)]
struct Rhythm {
    now_ms: u64,
    settle_ms: u64,
    pause_ms: u64,
    seed: u64,
}

const RHYTHMS: [Rhythm; 3] = [
    Rhythm { now_ms: 1_760_000_000_000, settle_ms: 230, pause_ms: 90, seed: 1 },
    Rhythm { now_ms: 1_790_000_000_777, settle_ms: 610, pause_ms: 250, seed: 2 },
    Rhythm { now_ms: 1_820_000_000_333, settle_ms: 1900, pause_ms: 430, seed: 3 },
];
/// A connection is up, or refused, after this long.
const CONNECT_MS: u64 = 1;

/// A packet that reached a peer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Sent {
    to: NodeId,
    on_inbound: bool,
    packet: Vec<u8>,
}

impl Sent {
    fn masked(&self) -> Self {
        Self { packet: mask::masked(&self.packet, &mask::of(&self.packet)), ..self.clone() }
    }

    fn is_heartbeat(&self) -> bool {
        bus::kind_code(&self.packet).is_none_or(|kind| kind <= 2)
    }
}

/// What showed after one step.
struct Shown {
    sends: Vec<Sent>,
    reply: Option<String>,
    nodes: Vec<String>,
}

/// Writes into a vector what of it shows from outside, and of which level it is.
pub(super) fn derive(vector: &mut Vector, profile: Profile) -> Result<(), String> {
    let judged = vector.steps.iter().position(|step| step.expect.is_some()).unwrap_or(vector.steps.len());
    let steps = &vector.steps[judged..];
    if !matches!(vector.node.origin, Origin::NodesConf(_)) || !steps.iter().all(is_playable) {
        return Ok(());
    }
    let mut times = Vec::new();
    for rhythm in RHYTHMS {
        match play(vector, profile, rhythm, judged)? {
            Some(shown) => times.push(shown),
            None => return Ok(()),
        }
    }
    let Some((one, others)) = times.split_first() else { return Ok(()) };
    let mut lives = Vec::new();
    for (index, shown) in one.iter().enumerate() {
        let same_time: Vec<&Shown> = others.iter().filter_map(|time| time.get(index)).collect();
        match common(shown, &same_time, &steps[index]) {
            Some(live) => lives.push(live),
            None => return Ok(()),
        }
    }
    finish(vector, judged, lives);
    Ok(())
}

/// Sets the level, and has CLUSTER NODES judged after the last step only.
fn finish(vector: &mut Vector, judged: usize, mut lives: Vec<Live>) {
    let count = lives.len();
    lives.iter_mut().take(count.saturating_sub(1)).for_each(|live| live.nodes.clear());
    let is_wire = vector.steps[judged..].iter().all(|step| !matches!(step.event, Event::Admin { .. }));
    let shows = lives.last().is_some_and(|live| !live.sends.is_empty());
    vector.level = if is_wire && shows { Level::L0 } else { Level::L1 };
    for (step, live) in vector.steps[judged..].iter_mut().zip(lives) {
        if let Some(expect) = &mut step.expect {
            expect.live = Some(live);
        }
    }
}

/// Whether somebody outside can have this happen.
fn is_playable(step: &Step) -> bool {
    match &step.event {
        Event::LinkUp { link: Link(LinkId::Inbound(_)), peer, .. } => peer.is_some(),
        Event::LinkDown(Link(LinkId::Inbound(_))) => true,
        Event::Received { from, .. } => from.is_some(),
        Event::Admin { command, .. } => is_given_from_outside(command),
        Event::LinkUp { .. }
        | Event::LinkDown(_)
        | Event::LinkRefused(_)
        | Event::Backlogged(_)
        | Event::Tick
        | Event::Configured(_)
        | Event::Loaded(_)
        | Event::Replication { .. } => false,
    }
}

/// Whether a client can give the command to an empty server whose ids nobody chooses. What no server
/// takes for a slot does not reach the protocol.
fn is_given_from_outside(command: &Command) -> bool {
    let exists = |slot: &Slot| slot.index() < CLUSTER_SLOTS;
    match command {
        Command::SetSlot { slot, has_keys, .. } => !has_keys && exists(slot),
        Command::AddSlots(slots) | Command::DelSlots(slots) => !slots.is_empty() && slots.iter().all(exists),
        Command::FlushSlots { has_keys } | Command::Replicate { has_keys, .. } => !has_keys,
        Command::Reset { hard, has_keys } => hard.is_none() && !has_keys,
        Command::Publish { .. } => false,
        Command::Meet { .. }
        | Command::Forget(_)
        | Command::BumpEpoch
        | Command::SetConfigEpoch(_)
        | Command::SaveConfig
        | Command::Failover(_) => true,
    }
}

/// What shows every time: news always the same, and of heartbeats those that the model's own run shows, too.
fn common(one: &Shown, others: &[&Shown], step: &Step) -> Option<Live> {
    let news = |shown: &Shown| {
        let mut news: Vec<Sent> = shown.sends.iter().filter(|sent| !sent.is_heartbeat()).map(Sent::masked).collect();
        news.sort();
        news
    };
    let is_same = |other: &&Shown| news(other) == news(one) && (&other.reply, &other.nodes) == (&one.reply, &one.nodes);
    if !others.iter().all(is_same) {
        return None;
    }
    let times = |shown: &Shown, sent: &Sent| shown.sends.iter().filter(|other| other.masked() == sent.masked()).count();
    let answered = expected_heartbeats(step);
    let mut sends: Vec<&Sent> = Vec::new();
    for sent in &one.sends {
        let is_due = !sent.is_heartbeat() || answered.contains(&sent.masked().packet);
        let is_first = !sends.iter().any(|other| other.masked() == sent.masked());
        if is_due && is_first && others.iter().all(|other| times(other, sent) > 0) {
            sends.push(sent);
        }
    }
    let missing = answered.iter().any(|packet| !sends.iter().any(|sent| sent.masked().packet == *packet));
    let sends = sends.into_iter().map(|sent| LiveSend {
        to: sent.to,
        on_inbound: sent.on_inbound,
        mask: mask::of(&sent.packet),
        packet: Packed(sent.masked().packet),
    });
    let live = Live { sends: sends.collect(), nodes: one.nodes.clone(), reply: one.reply.clone() };
    (!missing).then_some(live)
}

/// The heartbeats that the vector itself expects, masked.
fn expected_heartbeats(step: &Step) -> Vec<Vec<u8>> {
    let effects = step.expect.iter().flat_map(|expect: &Expect| &expect.effects);
    let packets = effects.filter_map(|effect| {
        let Effect::Send { packet, .. } = effect else { return None };
        Some(&packet.0)
    });
    let heartbeats = packets.filter(|packet| bus::kind_code(packet).is_some_and(|kind| kind <= 2));
    heartbeats.map(|packet| mask::masked(packet, &mask::of(packet))).collect()
}

/// Plays the judged steps once; none if one of them cannot be played.
fn play(vector: &Vector, profile: Profile, rhythm: Rhythm, judged: usize) -> Result<Option<Vec<Shown>>, String> {
    let mut outside = Outside::start(vector, profile, rhythm)?;
    outside.wait(rhythm.settle_ms);
    for step in &vector.steps[..judged] {
        if let (Event::LinkUp { link: Link(link @ LinkId::Inbound(_)), peer, .. }, true) = (&step.event, judged > 0) {
            outside.call(*link, *peer, step)?;
        }
    }
    let mut shown = Vec::new();
    for step in &vector.steps[judged..] {
        outside.sends.clear();
        outside.reply = None;
        if !outside.happen(step)? {
            return Ok(None);
        }
        outside.wait(rhythm.pause_ms);
        let sends = std::mem::take(&mut outside.sends);
        shown.push(Shown { sends, reply: outside.reply.take(), nodes: node_lines(&outside.node) });
    }
    Ok(Some(shown))
}

/// The fields of CLUSTER NODES that do not depend on time, in the order of ids; no node in handshake.
fn node_lines(node: &Node) -> Vec<String> {
    let members = node.peers().positions().filter(|&pos| !node.peers()[pos].is(Flags::HANDSHAKE));
    let line = |pos| nodes_conf::node_line(&node.view(pos), node.migrating(), node.importing());
    let mut lines: Vec<String> = members.filter_map(|pos| stable_fields(&line(pos))).collect();
    lines.sort();
    lines
}

/// Of a line of CLUSTER NODES: id, flags, primary, epoch and slots; none of a node in handshake.
pub(super) fn stable_fields(line: &str) -> Option<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (&[id, _, flags, primary, _, _, epoch, _], slots) = words.split_first_chunk()?;
    let is_member = !flags.split(',').any(|flag| flag == "handshake");
    is_member.then(|| [&[id, flags, primary, epoch], slots].concat().join(" "))
}

/// The node under test with its surroundings: peers that listen and say nothing of their own.
struct Outside {
    node: Node,
    now: Millis,
    dice: fastrand::Rng,
    /// Bus ports at which a peer listens.
    listeners: Vec<u16>,
    callers: BTreeMap<LinkId, NodeId>,
    /// Who was called on which outbound link.
    called: BTreeMap<LinkId, NodeId>,
    due: VecDeque<(Millis, CoreEvent)>,
    sends: Vec<Sent>,
    reply: Option<String>,
}

impl Outside {
    fn start(vector: &Vector, profile: Profile, rhythm: Rhythm) -> Result<Self, String> {
        let config = vector.node.config.config(profile);
        let now = Millis(rhythm.now_ms);
        let started = Node::start(Arc::new(config), vector.node.origin.core()?, now);
        let (node, _) = started.map_err(|error| error.to_string())?;
        let others = node.peers().iter().filter(|peer| peer.id != node.id());
        let listeners = others.map(|peer| peer.address.cport).collect();
        let dice = fastrand::Rng::with_seed(rhythm.seed);
        let mut outside = Self {
            node,
            now,
            dice,
            listeners,
            callers: BTreeMap::new(),
            called: BTreeMap::new(),
            due: VecDeque::new(),
            sends: Vec::new(),
            reply: None,
        };
        outside.step(CoreEvent::Loaded { slots: SlotSet::new() });
        Ok(outside)
    }

    fn call(&mut self, link: LinkId, peer: Option<NodeId>, step: &Step) -> Result<(), String> {
        self.callers.extend(peer.map(|peer| (link, peer)));
        let event = step.event.core(self.node.config())?;
        self.step(event);
        Ok(())
    }

    /// Has a step of the vector happen; false if there is no such link.
    fn happen(&mut self, step: &Step) -> Result<bool, String> {
        match &step.event {
            Event::LinkUp { link, peer, .. } => self.call(link.0, *peer, step)?,
            Event::Received { link: Link(LinkId::Outbound(_)), from, .. } => {
                let link = from.and_then(|from| self.outbound(from));
                let (Some(link), CoreEvent::Received { message, .. }) = (link, step.event.core(self.node.config())?)
                else {
                    return Ok(false);
                };
                self.step(CoreEvent::Received { link, message });
            }
            Event::Received { link, .. } if !self.callers.contains_key(&link.0) => return Ok(false),
            Event::Received { .. }
            | Event::LinkDown(_)
            | Event::LinkRefused(_)
            | Event::Backlogged(_)
            | Event::Tick
            | Event::Admin { .. }
            | Event::Configured(_)
            | Event::Loaded(_)
            | Event::Replication { .. } => {
                let event = step.event.core(self.node.config())?;
                self.step(event);
            }
        }
        Ok(true)
    }

    fn outbound(&self, peer: NodeId) -> Option<LinkId> {
        let number = self.node.peers().get(&peer)?.outbound?;
        Some(LinkId::Outbound(number)).filter(|&link| self.node.links().get(link).is_some_and(|link| link.up))
    }

    /// Lets the node work for a while.
    fn wait(&mut self, ms: u64) {
        let end = self.now.after(ms);
        loop {
            let tick = next_deadline(&self.node).at;
            let due = self.due.front().map(|(at, _)| *at);
            let next = due.map_or(tick, |at| at.min(tick));
            if next > end {
                break;
            }
            self.now = self.now.max(next);
            match self.due.pop_front() {
                Some((at, event)) if at <= self.now => self.step(event),
                later => {
                    self.due.extend(later);
                    self.step(CoreEvent::Tick);
                }
            }
        }
        self.now = end;
    }

    fn step(&mut self, event: CoreEvent) {
        let random = Random::new(self.dice.u64(..));
        let effects = step(&mut self.node, Input { now: self.now, random, event });
        self.perform(effects);
    }

    fn perform(&mut self, effects: Effects<CLUSTER_SLOTS>) {
        use slotbus_core::Effect as Core;
        for effect in effects.then {
            match effect {
                Core::Connect { link, address } => {
                    let peer = self.node.links().get(link).and_then(|link| link.peer);
                    self.called.extend(peer.map(|pos| (link, self.node.peers()[pos].id)));
                    let host = super::situations::host();
                    let is_up = self.listeners.contains(&address.cport);
                    let up = CoreEvent::LinkUp { link, local: host.clone(), remote: host };
                    let event = if is_up { up } else { CoreEvent::LinkDown { link } };
                    self.due.push_back((self.now.after(CONNECT_MS), event));
                }
                Core::Send { link, message } => self.note(link, &message),
                Core::Reply { request: _, reply } => self.reply = Some(told(&reply)),
                Core::Close { link } => {
                    self.callers.remove(&link);
                }
                Core::Follow { .. }
                | Core::Lead
                | Core::PauseWrites { .. }
                | Core::ResumeWrites
                | Core::DropKeys { .. }
                | Core::DropAllKeys
                | Core::Deliver { .. } => {}
            }
        }
    }

    fn note(&mut self, link: LinkId, message: &Message) {
        let on_inbound = matches!(link, LinkId::Inbound(_));
        let table = if on_inbound { &self.callers } else { &self.called };
        let Some(&to) = table.get(&link) else { return };
        let mut packet = Vec::new();
        bus::encode(message, &mut packet);
        self.sends.push(Sent { to, on_inbound, packet });
    }
}

/// What a client is told.
fn told(reply: &Reply) -> String {
    match reply {
        Reply::Done => "OK".to_owned(),
        Reply::Bumped(epoch) => format!("BUMPED {epoch}"),
        Reply::Still(epoch) => format!("STILL {epoch}"),
        Reply::Refused(refusal) => format!("ERR {refusal}"),
    }
}
