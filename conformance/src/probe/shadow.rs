//! The model's node beside a server under test: it is given what the server was given, and what it
//! does and shows is kept with times. Owns which of the model's links is which connection; does not
//! judge.

use super::{
    foresight::Foresight,
    view::{ModelNode, View},
};
use crate::scripted::{peer::BUS_PORT_OFFSET, record::Conn};
use slotbus_core::{
    Address, Body, CLUSTER_SLOTS, Config, Durable, Effect, Effects, Event, Flags, Host, Input, LinkId, Message, Millis,
    Node, NodeId, Origin, Random, Replication, Reply, Rule, SlotSet, step,
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

/// So many outcomes of an election's random delay are tried to meet the one that was seen.
const DELAYS_TRIED: u64 = 4096;
/// An attempt to connect that takes longer did not fail at once.
const AT_ONCE: Duration = Duration::from_millis(100);
/// The model's own random pings are put off: which node a server pings is seen, not guessed.
const CRONS_PER_PING: u8 = u8::MAX;

/// One step of the model.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub at_ms: u64,
    pub rules: Vec<Rule>,
    /// Whether something came from outside, rather than that time had passed.
    pub is_input: bool,
}

/// A message that the model sends.
#[derive(Clone, Debug)]
pub(super) struct Emission {
    pub at_ms: u64,
    pub link: LinkId,
    pub conn: Option<Conn>,
    pub message: Message<CLUSTER_SLOTS>,
    /// The step that sent it.
    pub step: usize,
    /// Whether the server sent it, too.
    pub is_seen: bool,
}

/// A connection that the model closes.
#[derive(Clone, Debug)]
pub(super) struct Closing {
    pub at_ms: u64,
    pub conn: Conn,
    pub step: usize,
    pub is_seen: bool,
}

/// What the model shows from one moment on.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub from_ms: u64,
    pub view: View,
    /// The step that made it so.
    pub step: usize,
}

/// A connection that the model asked for and that was not seen yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dial {
    pub at_ms: u64,
    pub link: LinkId,
    pub cport: u16,
    pub step: usize,
}

/// The model's node beside a server under test.
pub(super) struct Shadow<'a> {
    node: ModelNode,
    now_ms: u64,
    next_cron_ms: u64,
    /// The period of the server's cron. Between two things seen it is taken to keep it.
    cron_ms: u64,
    own_cport: u16,
    foresight: Foresight<'a>,
    links: BTreeMap<Conn, LinkId>,
    /// Links of the node with itself: both ends are the model's.
    loops: BTreeMap<LinkId, LinkId>,
    inbound: u32,
    listening: BTreeSet<u16>,
    queue: VecDeque<(Event<CLUSTER_SLOTS>, bool)>,
    replies: Vec<Reply>,
    /// What the server's file must hold.
    pub persisted: Option<Durable<CLUSTER_SLOTS>>,
    pub dials: Vec<Dial>,
    pub steps: Vec<Step>,
    pub emissions: Vec<Emission>,
    pub closings: Vec<Closing>,
    pub shown: Vec<Shown>,
}

impl<'a> Shadow<'a> {
    /// A model's node that starts as the server does. An error means that it cannot.
    pub(super) fn start(
        config: &Config,
        origin: Origin<CLUSTER_SLOTS>,
        at_ms: u64,
        listening: BTreeSet<u16>,
        foresight: Foresight<'a>,
    ) -> Result<Self, String> {
        let own_cport = config.cport;
        let started = Node::start(Arc::new(watched(config)), origin, Millis(at_ms));
        let (node, effects) =
            started.map_err(|error| format!("the model cannot start from this nodes.conf: {error}"))?;
        let mut shadow = Self {
            node,
            now_ms: at_ms,
            next_cron_ms: at_ms + config.cron_ms(),
            cron_ms: config.cron_ms(),
            own_cport,
            foresight,
            links: BTreeMap::new(),
            loops: BTreeMap::new(),
            inbound: 0,
            listening,
            queue: VecDeque::new(),
            replies: Vec::new(),
            persisted: None,
            dials: Vec::new(),
            steps: Vec::new(),
            emissions: Vec::new(),
            closings: Vec::new(),
            shown: Vec::new(),
        };
        shadow.take(effects, false);
        shadow.feed(Event::Loaded { slots: SlotSet::new() }, false);
        Ok(shadow)
    }

    pub(super) fn node(&self) -> &ModelNode {
        &self.node
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.now_ms
    }

    pub(super) fn link(&self, conn: Conn) -> Option<LinkId> {
        self.links.get(&conn).copied()
    }

    /// Lets time pass: what is due by the way happens.
    pub(super) fn advance(&mut self, to_ms: u64) {
        loop {
            let next_ms = self.next_cron_ms.min(self.election_ms().unwrap_or(u64::MAX));
            if next_ms > to_ms {
                break;
            }
            self.tick(next_ms);
        }
        self.now_ms = self.now_ms.max(to_ms);
    }

    /// When the model's node is to be woken for its election.
    fn election_ms(&self) -> Option<u64> {
        let election = self.node.election();
        let at = election.at.filter(|_| !election.is_awake && !election.asked && !self.node.myself().is_primary());
        at.map(|at| at.0.max(self.now_ms))
    }

    /// Has the cron run now.
    pub(super) fn tick(&mut self, at_ms: u64) {
        self.now_ms = self.now_ms.max(at_ms);
        self.next_cron_ms = self.now_ms + self.cron_ms;
        self.feed(Event::Tick, false);
    }

    /// What a cron at some time would make of the node, and what it would do.
    pub(super) fn foretell(&self, at_ms: u64) -> (ModelNode, Effects<CLUSTER_SLOTS>) {
        let mut node = self.node.clone();
        let now = Millis(self.now_ms.max(at_ms));
        let effects = step(&mut node, Input { now, random: Random::new(0), event: Event::Tick });
        (node, effects)
    }

    /// Something came from outside.
    pub(super) fn feed(&mut self, event: Event<CLUSTER_SLOTS>, is_input: bool) {
        self.queue.push_back((event, is_input));
        while let Some((event, is_input)) = self.queue.pop_front() {
            let effects = self.step(event);
            self.take(effects, is_input);
        }
    }

    /// The same, and what the model answers.
    pub(super) fn ask(&mut self, event: Event<CLUSTER_SLOTS>) -> Option<Reply> {
        self.feed(event, true);
        self.replies.pop()
    }

    /// What the model would answer.
    pub(super) fn would_answer(&self, event: Event<CLUSTER_SLOTS>) -> Option<Reply> {
        let input = Input { now: Millis(self.now_ms), random: Random::new(0), event };
        let effects = step(&mut self.node.clone(), input);
        effects
            .then
            .into_iter()
            .find_map(|effect| if let Effect::Reply { reply, .. } = effect { Some(reply) } else { None })
    }

    /// One step. An election's random delay is the one after which the server was seen to ask.
    fn step(&mut self, event: Event<CLUSTER_SLOTS>) -> Effects<CLUSTER_SLOTS> {
        let now = Millis(self.now_ms);
        let before = self.node.clone();
        let input = |word| Input { now, random: Random::new(word), event: event.clone() };
        let effects = step(&mut self.node, input(0));
        let is_drawn = effects.rules.contains(&Rule::ElectScheduled);
        let Some(asked_ms) = self.foresight.next_request_for_votes(self.now_ms).filter(|_| is_drawn) else {
            return effects;
        };
        let distance = |node: &ModelNode| distance_ms(node, asked_ms);
        let (mut best, mut best_effects) = (self.node.clone(), effects);
        for word in 1..DELAYS_TRIED {
            let mut node = before.clone();
            let effects = step(&mut node, input(word));
            if distance(&node) < distance(&best) {
                (best, best_effects) = (node, effects);
            }
        }
        self.node = best;
        best_effects
    }

    fn take(&mut self, effects: Effects<CLUSTER_SLOTS>, is_input: bool) {
        let number = self.steps.len();
        self.steps.push(Step { at_ms: self.now_ms, rules: effects.rules, is_input });
        if let Some(persist) = effects.persist {
            self.persisted = Some(*persist.image);
        }
        for effect in effects.then {
            self.perform(effect, number);
        }
        let view = View::of(&self.node);
        if self.shown.last().is_none_or(|last| last.view != view) {
            self.shown.push(Shown { from_ms: self.now_ms, view, step: number });
        }
    }

    fn perform(&mut self, effect: Effect<CLUSTER_SLOTS>, step: usize) {
        match effect {
            Effect::Connect { link, address } => self.dial(link, &address, step),
            Effect::Close { link } => self.close(link, step),
            Effect::Send { link, message } => self.send(link, *message, step),
            Effect::Reply { reply, .. } => self.replies.push(reply),
            // What becomes of data and clients is not on the bus.
            Effect::Follow { .. }
            | Effect::Lead
            | Effect::PauseWrites { .. }
            | Effect::ResumeWrites
            | Effect::DropKeys { .. }
            | Effect::DropAllKeys
            | Effect::Deliver { .. } => {}
        }
    }

    fn dial(&mut self, link: LinkId, address: &Address, step: usize) {
        let Host::Ip(ip) = address.host else {
            return self.queue.push_back((Event::LinkRefused { link }, false));
        };
        let cport = address.cport;
        if ip == IpAddr::V4(Ipv4Addr::LOCALHOST) && cport == self.own_cport {
            self.meet_oneself(link);
        } else if ip == IpAddr::V4(Ipv4Addr::LOCALHOST) && self.is_listening(cport) {
            self.dials.push(Dial { at_ms: self.now_ms, link, cport, step });
        } else if let Some(failure) = failure(ip, cport, link) {
            if self.is_pinged_unheard(link) {
                self.queue.push_back((link_up(link), false));
            }
            self.queue.push_back((failure, false));
        }
    }

    /// Whether the server takes this chance to ping a node that is not there, which nobody hears: if it
    /// is seen to suspect the node a node timeout later.
    fn is_pinged_unheard(&self, link: LinkId) -> bool {
        let Some(pos) = self.node.links().get(link).and_then(|link| link.peer) else { return false };
        let peer = &self.node.peers()[pos];
        let is_free = peer.ping_sent.is_none() && !peer.is_any(Flags::HANDSHAKE | Flags::MEET);
        let latest_ms = self.now_ms + self.node.config().timing.node_timeout_ms + self.cron_ms;
        let suspected_ms = self.foresight.next_suspicion(self.now_ms, peer.id);
        is_free && suspected_ms.is_some_and(|suspected_ms| suspected_ms <= latest_ms)
    }

    fn is_listening(&self, cport: u16) -> bool {
        cport.checked_sub(BUS_PORT_OFFSET).is_some_and(|port| self.listening.contains(&port))
    }

    fn meet_oneself(&mut self, link: LinkId) {
        let other = self.free_inbound();
        self.loops.extend([(link, other), (other, link)]);
        self.queue.extend([link, other].map(|link| (link_up(link), false)));
    }

    fn free_inbound(&mut self) -> LinkId {
        self.inbound += 1;
        LinkId::Inbound(self.inbound)
    }

    fn close(&mut self, link: LinkId, step: usize) {
        self.dials.retain(|dial| dial.link != link);
        if let Some(other) = self.loops.remove(&link) {
            self.loops.remove(&other);
            self.queue.push_back((Event::LinkDown { link: other }, false));
        }
        if let Some(conn) = self.forget(link) {
            self.closings.push(Closing { at_ms: self.now_ms, conn, step, is_seen: false });
        }
    }

    fn send(&mut self, link: LinkId, message: Message<CLUSTER_SLOTS>, step: usize) {
        if let Some(other) = self.loops.get(&link) {
            let event = Event::Received { link: *other, message: Box::new(message) };
            return self.queue.push_back((event, false));
        }
        let conn = self.links.iter().find(|(_, other)| **other == link).map(|(conn, _)| *conn);
        self.emissions.push(Emission { at_ms: self.now_ms, link, conn, message, step, is_seen: false });
    }

    fn forget(&mut self, link: LinkId) -> Option<Conn> {
        let conn = self.links.iter().find(|(_, other)| **other == link).map(|(conn, _)| *conn)?;
        self.links.remove(&conn);
        Some(conn)
    }

    /// A peer began or ceased to listen.
    pub(super) fn listens(&mut self, port: u16, listens: bool) {
        if listens {
            self.listening.insert(port);
            return;
        }
        self.listening.remove(&port);
        let given_up: Vec<_> = self.dials.extract_if(.., |dial| dial.cport == port + BUS_PORT_OFFSET).collect();
        given_up.into_iter().for_each(|dial| self.feed(Event::LinkDown { link: dial.link }, true));
    }

    /// A peer called the server.
    pub(super) fn called(&mut self, conn: Conn) {
        let link = self.free_inbound();
        self.links.insert(conn, link);
        self.feed(link_up(link), true);
    }

    /// The server called a peer: whether the model had asked for that.
    pub(super) fn calls(&mut self, conn: Conn) -> bool {
        let cport = conn.port + BUS_PORT_OFFSET;
        let begins_with_meet = self.foresight.begins_with_meet(conn);
        let is_wanted = |dial: &Dial| dial.cport == cport && self.is_to_meet(dial.link) == begins_with_meet;
        let exact = self.dials.iter().position(is_wanted);
        let Some(index) = exact.or_else(|| self.dials.iter().position(|dial| dial.cport == cport)) else {
            return false;
        };
        let Dial { link, at_ms, .. } = self.dials.remove(index);
        self.links.insert(conn, link);
        // What was said before the connection stood waits for it.
        let waiting = self.emissions.iter_mut().filter(|sent| sent.at_ms >= at_ms && sent.link == link);
        waiting.filter(|sent| sent.conn.is_none()).for_each(|sent| sent.conn = Some(conn));
        self.feed(link_up(link), true);
        true
    }

    fn is_to_meet(&self, link: LinkId) -> bool {
        let peer = self.node.links().get(link).and_then(|link| link.peer);
        peer.is_some_and(|pos| self.node.peers()[pos].is(Flags::MEET))
    }

    /// A connection has ended, and not by the model's will: whether the model still had it.
    pub(super) fn lost(&mut self, conn: Conn) -> bool {
        let Some(link) = self.links.remove(&conn) else { return false };
        self.feed(Event::LinkDown { link }, true);
        true
    }

    /// The server was seen to ping the node at the end of an outbound link, which at any cron may be
    /// the one that chance picks. The first word on a link is such a ping, too.
    pub(super) fn pinged(&mut self, link: LinkId) {
        let first = self.steps.len();
        self.feed(link_up(link), false);
        let rules = self.steps[first..].iter_mut().flat_map(|step| step.rules.iter_mut());
        rules.filter(|rule| **rule == Rule::LinkUpPing).for_each(|rule| *rule = Rule::PingChosen);
    }

    /// The server's headers show this offset.
    pub(super) fn offset_seen(&mut self, offset: u64) {
        let known = self.node.replication();
        if known.offset != offset {
            self.feed(Event::Replication(Replication { offset, ..known }), false);
        }
    }

    /// The configuration was changed.
    pub(super) fn configured(&mut self, change: impl FnOnce(&mut Config)) {
        let mut config = Config::clone(self.node.config());
        change(&mut config);
        self.feed(Event::Configured(Arc::new(config)), true);
    }

    /// The id that the server takes next, if it can be seen.
    pub(super) fn next_id(&self) -> NodeId {
        self.foresight.next_id(self.now_ms, self.node.id())
    }
}

/// How far an election's time is from the one at which votes were asked for. A replica that is outranked
/// while it waits asks later by a delay for each rank that it falls.
fn distance_ms(node: &ModelNode, asked_ms: u64) -> u64 {
    let Some(at) = node.election().at else { return u64::MAX };
    let delay_ms = node.config().rank_delay_ms();
    let delayed = (0..node.peers().len() as u64).map(|fallen| at.0 + fallen * delay_ms);
    delayed.map(|at_ms| at_ms.abs_diff(asked_ms)).min().unwrap_or(u64::MAX)
}

/// The configuration of a node that is watched: its crons come when the server's are seen, and it
/// pings at random when the server does.
fn watched(config: &Config) -> Config {
    let mut config = config.clone();
    config.timing.cron_ms = 1;
    config.profile.cron_scaled = false;
    config.timing.crons_per_ping = CRONS_PER_PING;
    config
}

fn link_up(link: LinkId) -> Event<CLUSTER_SLOTS> {
    let host = Host::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    Event::LinkUp { link, local: host.clone(), remote: host }
}

/// What becomes of a call to a place where no peer listens; nothing yet, if it hangs.
fn failure(ip: IpAddr, cport: u16, link: LinkId) -> Option<Event<CLUSTER_SLOTS>> {
    match TcpStream::connect_timeout(&SocketAddr::new(ip, cport), AT_ONCE) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Some(Event::LinkDown { link }),
        Err(error) if error.kind() == ErrorKind::TimedOut => None,
        Err(_) => Some(Event::LinkRefused { link }),
        // Somebody else listens there now.
        Ok(_) => Some(Event::LinkDown { link }),
    }
}

/// Whether two messages say the same beside their headers. Which nodes a heartbeat tells of is chance.
pub(super) fn is_same_body(left: &Body<CLUSTER_SLOTS>, right: &Body<CLUSTER_SLOTS>) -> bool {
    match (left, right) {
        (Body::Ping(_), Body::Ping(_)) | (Body::Pong(_), Body::Pong(_)) | (Body::Meet(_), Body::Meet(_)) => true,
        (left, right) => left == right,
    }
}
