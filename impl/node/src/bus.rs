//! Owns the node's side of the bus: it feeds inputs to the core and performs the effects, in order,
//! on sockets and on the nodes file.
//!
//! Must not decide anything about the protocol: what to say to whom, and what follows from what was
//! heard, is `slotbus_core::step`'s. What an effect causes at once (a connection refused, a link that
//! overflows) is queued as the next input, never fed from within.

use crate::{
    chronicle::Chronicle,
    clock::Clock,
    counters::BusCounters,
    data_effect::DataEffect,
    dial,
    doors::Readiness,
    link::{Arrived, Link},
    log::{Log, reason},
    nodes_file::NodesFile,
    slab::{Key, Slab},
    stream::{self, Stream},
    tls::Tls,
    trace::Trace,
    wake::Wake,
};
use mio::{Interest, Registry, net::TcpStream};
use slotbus_core::{
    Address, CLUSTER_SLOTS, Command, Config, Effect, Effects, Event, Host, Input, LinkId, Millis, Node, NodeId,
    Persist, Random, Replication, Reply, RequestId, SlotSet, next_deadline, step,
};
use slotbus_wire::bus::{self, BusMessage, Packet};
use std::{
    collections::{BTreeMap, VecDeque},
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// How many nodes the node counts slots for.
pub type ClusterNode = Node<CLUSTER_SLOTS>;

/// More than this waiting on a link is a backlog even where no limit is configured: its peer does
/// not read.
const WAITING_MAX: usize = 256 * 1024 * 1024;
/// So many reads of a link in a row, and others get their turn.
const READS_MAX: usize = 16;
/// Packets on so many links wait for the end of a turn, where one save of the node's image does for all of them. What
/// is made for more links at once is memory that the process keeps.
const UNFLUSHED_MAX: usize = 16;

/// What the bus is told about sockets.
#[derive(Clone, Debug)]
pub struct BusOptions {
    /// The port at which nodes are listened for. It stays the same while the node runs.
    pub port: u16,
    /// Addresses from which to connect, in order of preference.
    pub sources: Vec<IpAddr>,
    /// The most bytes that may wait on a link; 0 for no limit of the user's.
    pub waiting_max: usize,
    /// The most inbound links.
    pub inbound_max: usize,
    /// Seconds of silence after which an inbound connection is probed; an outbound one, on which PINGs are spared, in half of
    /// that.
    pub keepalive_s: u64,
    /// What TLS is done with; none if there is none.
    pub tls: Option<Tls>,
}

/// A node that has just started.
#[derive(Debug)]
pub struct Started {
    /// The protocol's state.
    pub node: ClusterNode,
    /// What its start asks to be done.
    pub effects: Effects<CLUSTER_SLOTS>,
    /// The file that it keeps, locked.
    pub file: NodesFile,
    /// The recording of this run, if it is to be recorded.
    pub trace: Option<Trace>,
}

/// The node's side of the bus.
#[derive(Debug)]
pub struct Bus {
    node: ClusterNode,
    clock: Clock,
    dice: fastrand::Rng,
    file: NodesFile,
    /// What must be in the file before anything gets out: bytes on links, replies, effects on data.
    unsaved: Option<Persist<CLUSTER_SLOTS>>,
    links: Slab<Link>,
    by_id: BTreeMap<LinkId, Key>,
    registry: Registry,
    options: BusOptions,
    counters: BusCounters,
    queue: VecDeque<Event<CLUSTER_SLOTS>>,
    /// Links with something to write.
    unflushed: Vec<Key>,
    /// Whether a request was answered since they were last written to.
    follows_answer: bool,
    /// Links that may have more to read, though no event will say so.
    unread: Vec<Key>,
    replies: BTreeMap<RequestId, Reply>,
    requests: u64,
    /// What is to be done to data and clients, in order.
    outbox: Vec<DataEffect>,
    /// How replication stands.
    standing: Replication,
    /// How many steps the core has taken.
    steps: u64,
    chronicle: Chronicle,
    trace: Option<Trace>,
    log: Log,
    fatal: Option<String>,
    /// Packets of this kind are dropped as they come, for tests.
    deaf_to: Option<u16>,
}

impl Bus {
    /// The bus of a node that has just started; does what its start asks for.
    #[must_use]
    pub fn start(started: Started, clock: Clock, registry: Registry, options: BusOptions, log: Log) -> Self {
        let Started { node, effects, file, trace } = started;
        let mut bus = Self {
            chronicle: Chronicle::new(log.clone(), &node),
            node,
            clock,
            dice: fastrand::Rng::new(),
            file,
            unsaved: None,
            links: Slab::default(),
            by_id: BTreeMap::new(),
            registry,
            options,
            counters: BusCounters::default(),
            queue: VecDeque::new(),
            unflushed: Vec::new(),
            follows_answer: false,
            unread: Vec::new(),
            replies: BTreeMap::new(),
            requests: 0,
            outbox: Vec::new(),
            standing: Replication::default(),
            steps: 0,
            trace,
            log,
            fatal: None,
            deaf_to: None,
        };
        bus.perform(effects);
        bus.run();
        bus.save();
        bus
    }

    /// The core's state.
    #[must_use]
    pub fn node(&self) -> &ClusterNode {
        &self.node
    }

    /// What has been counted.
    #[must_use]
    pub fn counters(&self) -> &BusCounters {
        &self.counters
    }

    /// How many links there are.
    #[must_use]
    pub fn link_count(&self) -> usize {
        self.links.len()
    }

    /// What the links hold to be sent.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.links.iter().map(|(_, link)| link.allocated()).sum()
    }

    /// The links that others opened, and on which something came.
    pub fn inbound(&self) -> impl Iterator<Item = (NodeId, &Link)> {
        let inbound = self.by_id.range(LinkId::Inbound(0)..).filter_map(|(_, key)| self.links.get(*key));
        inbound.filter_map(|link| Some((link.sender?, link)))
    }

    /// The connection of this name.
    #[must_use]
    pub fn link(&self, id: LinkId) -> Option<&Link> {
        self.by_id.get(&id).and_then(|key| self.links.get(*key))
    }

    /// The port at which nodes are listened for.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.options.port
    }

    /// Why the node cannot go on, once it cannot: its file could not be saved.
    #[must_use]
    pub fn fatal(&self) -> Option<&str> {
        self.fatal.as_deref()
    }

    /// When the core next wants to be woken.
    #[must_use]
    pub fn deadline(&self) -> Millis {
        next_deadline(&self.node).at
    }

    /// Wakes the core if its time has come.
    pub fn tick(&mut self) {
        if self.clock.now() >= self.deadline() {
            self.feed(Event::Tick);
        }
    }

    /// Asks the core for something and returns its answer.
    pub fn admin(&mut self, command: Command) -> Reply {
        self.requests += 1;
        let request = RequestId(self.requests);
        self.feed(Event::Admin { request, command });
        self.save();
        self.follows_answer = true;
        // The core answers within the step; a request without answer has nothing more to wait for.
        self.replies.remove(&request).unwrap_or(Reply::Done)
    }

    /// Tells the core which slots hold keys, before clients are served.
    pub fn loaded(&mut self, slots: SlotSet<CLUSTER_SLOTS>) {
        self.feed(Event::Loaded { slots });
    }

    /// Takes note of how replication stands. The core is told before anything else happens; at once, if a
    /// manual failover waits for it.
    pub fn replicated(&mut self, standing: Replication) {
        self.standing = standing;
        if self.node.manual_failover().is_some() && self.node.replication() != standing {
            self.feed(Event::Replication(standing));
        }
    }

    /// What is to be done to data and clients since this was last asked, in order.
    pub fn take_data_effects(&mut self) -> Vec<DataEffect> {
        if !self.outbox.is_empty() {
            self.save();
        }
        std::mem::take(&mut self.outbox)
    }

    /// How many steps the core has taken: while it is the same, nothing has changed.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Acts on options that have changed, as far as links have not been made with the former ones.
    pub fn adopt(&mut self, waiting_max: usize, tls: Option<Tls>) {
        self.options.waiting_max = waiting_max;
        self.options.tls = tls;
    }

    /// Tells the core of a changed configuration.
    pub fn configure(&mut self, config: Arc<Config>) {
        self.feed(Event::Configured(config));
    }

    /// Drops packets of a kind as they come, or of none: a deaf spot for tests.
    pub fn be_deaf_to(&mut self, kind: Option<u16>) {
        self.deaf_to = kind;
    }

    /// Cuts a link, as the network might.
    pub fn cut(&mut self, id: LinkId) {
        self.lose(id);
        self.run();
    }

    /// Resets what CLUSTER INFO counts.
    pub fn reset_counters(&mut self) {
        self.counters = BusCounters::default();
    }

    /// Takes in a connection that a peer opened.
    pub fn accept(&mut self, socket: TcpStream) {
        if self.by_id.range(LinkId::Inbound(0)..).count() >= self.options.inbound_max {
            self.log.verbose(format_args!("Refusing a bus connection: there are {} already", self.links.len()));
            return;
        }
        let tls = self.options.tls.as_ref().and_then(Tls::inbound_links);
        let tuned = dial::tune(&socket, self.options.keepalive_s);
        let stream = match tuned.and_then(|()| Stream::accepted(socket, tls)) {
            Ok(stream) => stream,
            Err(error) => {
                self.log.verbose(format_args!("Error accepting cluster node: {}", reason(&error)));
                return;
            }
        };
        let id = LinkId::Inbound(self.free_inbound());
        let link = Link::new(id, stream, false, self.clock.now());
        let key = self.links.next_key();
        if self.insert(link) {
            self.finish_connecting(key);
        }
    }

    /// Something happened at a link's socket.
    pub(crate) fn ready(&mut self, key: Key, readiness: Readiness, scratch: &mut [u8]) {
        let Readiness { can_read, can_write, is_closed, token: _ } = readiness;
        let Some(link) = self.links.get_mut(key) else { return };
        link.is_ending |= is_closed;
        if !link.is_up && !self.finish_connecting(key) {
            return;
        }
        if can_write && self.links.get(key).is_some_and(|link| link.waiting() > 0) {
            self.unflushed.push(key);
        }
        if can_read {
            self.read(key, scratch);
        }
    }

    /// Drops connections that peers opened and in which they say nothing of TLS for too long.
    pub fn drop_unfinished(&mut self) {
        let now = self.clock.now();
        let is_late = |link: &Link| !link.is_up && now.since(link.opened) > stream::HANDSHAKE_MAX_MS;
        let late = self.by_id.range(LinkId::Inbound(0)..).filter(|(_, key)| self.links.get(**key).is_some_and(is_late));
        for id in late.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.log.verbose(format_args!("Error accepting cluster node connection: the TLS handshake takes too long"));
            self.remove(id);
        }
    }

    /// Lets out what waits and ends the use of files, once the loop has come to its end. If the node cannot go on, they are
    /// left as they are.
    pub fn end(&mut self) {
        self.flush();
        self.flush_trace();
        if self.fatal.is_none()
            && let Err(error) = self.file.close()
        {
            self.log.warning(format_args!("Cannot have the disk keep the cluster config file: {}", reason(&error)));
        }
    }

    /// Has the trace reach its file.
    pub fn flush_trace(&mut self) {
        if let Some(trace) = &mut self.trace {
            trace.flush();
        }
    }

    /// Writes what waits to leave. Failing links are reported to the core, whose answer may make more.
    pub fn flush(&mut self) {
        self.follows_answer = false;
        loop {
            self.save();
            if self.fatal.is_some() {
                return;
            }
            let Some(key) = self.unflushed.pop() else { return };
            let Some(link) = self.links.get_mut(key).filter(|link| link.is_up) else { continue };
            if let Err(error) = link.flush() {
                let id = link.id;
                self.log.debug(format_args!("I/O error writing to node link: {}", reason(&error)));
                self.lose(id);
                self.run();
            }
        }
    }

    /// Whether there is more to do at once: to read, or of what the core wants done.
    #[must_use]
    pub fn has_more(&self) -> bool {
        !self.unread.is_empty() || !self.outbox.is_empty()
    }

    /// Whether packets wait that follow from a request. An administrator who moves a slot has its former owner told
    /// next: if that is a redis-server and hears it from a packet first, it answers only after a sync of its disk.
    #[must_use]
    pub fn follows_answer(&self) -> bool {
        self.follows_answer && !self.unflushed.is_empty()
    }

    /// Goes on reading what was interrupted to give others their turn.
    pub fn go_on(&mut self, scratch: &mut [u8]) {
        for key in std::mem::take(&mut self.unread) {
            self.read(key, scratch);
        }
    }

    /// Whether a connection attempt succeeded; tells the core either way, once it is known.
    fn finish_connecting(&mut self, key: Key) -> bool {
        let Some(link) = self.links.get_mut(key) else { return false };
        let id = link.id;
        let is_inbound = matches!(id, LinkId::Inbound(_));
        match link.establish() {
            None => false,
            Some(Ok(())) => {
                link.is_up = true;
                // The first packet may have come with the end of a TLS handshake.
                self.unread.push(key);
                let (local, remote) = link.hosts();
                if is_inbound {
                    self.log.debug(format_args!("Accepting cluster node connection from {remote}"));
                }
                if link.waiting() > 0 {
                    self.unflushed.push(key);
                }
                self.feed(Event::LinkUp { link: id, local, remote });
                self.links.get(key).is_some()
            }
            Some(Err(error)) if is_inbound => {
                // The core has not heard of it.
                self.log.verbose(format_args!("Error accepting cluster node connection: {}", reason(&error)));
                self.remove(id);
                false
            }
            Some(Err(error)) => {
                self.log.verbose(format_args!("Connection with a node failed: {}", reason(&error)));
                self.lose(id);
                self.run();
                false
            }
        }
    }

    fn read(&mut self, key: Key, scratch: &mut [u8]) {
        for _ in 0..READS_MAX {
            let Some(link) = self.links.get_mut(key) else { return };
            let id = link.id;
            match link.read(scratch) {
                Arrived::All => return,
                Arrived::Some => self.take_packets(key),
                Arrived::Last => return self.take_packets(key),
                Arrived::Gone => {
                    self.log.debug(format_args!("I/O error reading from node link: connection closed"));
                    self.lose(id);
                    self.run();
                    return;
                }
            }
        }
        self.unread.push(key);
    }

    /// Cuts what has arrived on a link into packets and feeds them, for as long as the link is there.
    fn take_packets(&mut self, key: Key) {
        let Some(link) = self.links.get_mut(key) else { return };
        let id = link.id;
        let input = link.take_input();
        let mut used = 0;
        while self.fatal.is_none() && self.links.get(key).is_some() {
            match bus::frame(&input[used..]) {
                Ok(None) => break,
                Ok(Some(length)) => {
                    let packet = &input[used..used + length];
                    used += length;
                    self.take_packet(id, packet);
                }
                Err(error) => {
                    self.log
                        .warning(format_args!("Bad message length or signature received from Cluster bus. ({error})"));
                    self.lose(id);
                    self.run();
                    return;
                }
            }
        }
        if let Some(link) = self.links.get_mut(key) {
            link.put_input(input, used);
        }
    }

    fn take_packet(&mut self, link: LinkId, packet: &[u8]) {
        let code = bus::kind_code(packet);
        if let Some(code) = code {
            self.counters.received.count(code);
        }
        if code.is_some() && code == self.deaf_to {
            return;
        }
        match bus::decode(packet) {
            Ok(Packet::Full(message)) => {
                if let Some(link) = self.by_id.get(&link).and_then(|key| self.links.get_mut(*key)) {
                    link.sender = Some(message.header.sender);
                }
                self.feed(Event::Received { link, message: Box::new(message) });
            }
            Ok(Packet::Light(_)) => {
                self.log
                    .verbose(format_args!("Dropping a message with a light header, which this node never asks for"));
            }
            Err(error) => self.log.verbose(format_args!("Dropping a malformed bus message: {error}")),
        }
    }

    /// Feeds one event to the core, and then all that follows from it at once.
    fn feed(&mut self, event: Event<CLUSTER_SLOTS>) {
        if self.node.replication() != self.standing && !matches!(event, Event::Replication(_)) {
            self.queue.push_back(Event::Replication(self.standing));
        }
        self.queue.push_back(event);
        self.run();
    }

    fn run(&mut self) {
        while let Some(event) = self.queue.pop_front() {
            if self.fatal.is_some() {
                self.queue.clear();
                return;
            }
            let input = Input { now: self.clock.now(), random: Random::new(self.dice.u64(..)), event };
            let recorded = self.trace.as_ref().map(|_| input.clone());
            let effects = step(&mut self.node, input);
            self.steps += 1;
            if let (Some(trace), Some(input)) = (&mut self.trace, recorded) {
                trace.step(&input, &effects);
            }
            self.perform(effects);
            if self.unflushed.len() > UNFLUSHED_MAX {
                self.flush();
            }
        }
    }

    /// Saves what the steps since the last save have made of the node: one image for all of them. If that fails,
    /// nothing more gets out.
    pub fn save(&mut self) {
        let Some(Persist { sync, image }) = self.unsaved.take() else { return };
        if let Err(error) = self.file.save(&image, sync) {
            self.fatal = Some(format!("Fatal: can't update cluster config file: {}", reason(&error)));
        }
    }

    /// Performs the effects of one step, in order. What is to be saved is, before the first of them gets out.
    fn perform(&mut self, effects: Effects<CLUSTER_SLOTS>) {
        let Effects { persist, then, rules, dice: _ } = effects;
        if let Some(Persist { sync, image }) = persist {
            let sync = sync || self.unsaved.as_ref().is_some_and(|earlier| earlier.sync);
            self.unsaved = Some(Persist { sync, image });
        }
        for effect in then {
            match effect {
                Effect::Connect { link, address } => self.connect(link, &address),
                Effect::Close { link } => self.close(link),
                Effect::Send { link, message } => self.send(link, &message),
                Effect::Reply { request, reply } => {
                    self.replies.insert(request, reply);
                }
                Effect::Follow { primary, address, shard } => {
                    self.outbox.push(DataEffect::Follow { primary, address, shard });
                }
                Effect::Lead => self.outbox.push(DataEffect::Lead),
                Effect::PauseWrites { until } => self.outbox.push(DataEffect::PauseWrites { until }),
                Effect::ResumeWrites => self.outbox.push(DataEffect::ResumeWrites),
                Effect::DropKeys { slots } => self.outbox.push(DataEffect::DropKeys(slots)),
                Effect::DropAllKeys => self.outbox.push(DataEffect::DropAllKeys),
                Effect::Deliver { publication, sharded } => {
                    self.outbox.push(DataEffect::Deliver { publication, is_sharded: sharded });
                }
            }
        }
        self.chronicle.tell(&self.node, &rules);
    }

    fn connect(&mut self, id: LinkId, address: &Address) {
        self.close(id);
        let tls = self.options.tls.as_ref().and_then(Tls::outbound_links);
        let open = |ip| {
            let socket = dial::connect(SocketAddr::new(ip, address.cport), &self.options.sources)?;
            dial::tune(&socket, (self.options.keepalive_s / 2).max(1))?;
            Stream::opened(socket, ip, tls)
        };
        let outcome = match address.host {
            Host::Ip(ip) => open(ip),
            Host::Unknown | Host::Name(_) => Err(std::io::ErrorKind::InvalidInput.into()),
        };
        let is_connecting = match outcome {
            Ok(stream) => self.insert(Link::new(id, stream, false, self.clock.now())),
            Err(error) => {
                self.log.debug(format_args!("Unable to connect to Cluster Node [{address}] -> {}", reason(&error)));
                false
            }
        };
        if !is_connecting {
            self.queue.push_back(Event::LinkRefused { link: id });
        }
    }

    fn send(&mut self, id: LinkId, message: &BusMessage) {
        let Some(&key) = self.by_id.get(&id) else { return };
        let Some(link) = self.links.get_mut(key) else { return };
        self.counters.sent.count(message.body.code());
        bus::encode(message, link.output_mut());
        let limit = if self.options.waiting_max == 0 { WAITING_MAX } else { self.options.waiting_max.min(WAITING_MAX) };
        if link.waiting() > limit {
            let waiting = link.waiting();
            self.tell_of_backlog(id, waiting);
        } else {
            self.unflushed.push(key);
        }
    }

    /// Tells the core, once, that more waits on a link than may.
    fn tell_of_backlog(&mut self, id: LinkId, waiting: usize) {
        let event = Event::Backlogged { link: id };
        if !self.queue.contains(&event) {
            self.log.warning(format_args!("Too much waits on a cluster link: {waiting} bytes"));
            self.counters.overfull += 1;
            self.queue.push_back(event);
        }
    }

    /// Closes a link that the core has given up, and all word of it that is still on its way.
    fn close(&mut self, id: LinkId) {
        self.remove(id);
        let is_about_it = |event: &Event<CLUSTER_SLOTS>| match event {
            Event::LinkUp { link, .. } | Event::LinkDown { link } | Event::LinkRefused { link } => *link == id,
            Event::Received { link, .. } => *link == id,
            Event::Backlogged { link } => *link == id,
            Event::Tick | Event::Admin { .. } | Event::Configured(_) | Event::Loaded { .. } | Event::Replication(_) => {
                false
            }
        };
        self.queue.retain(|event| !is_about_it(event));
    }

    /// Closes a link that failed, and queues the word of it for the core.
    fn lose(&mut self, id: LinkId) {
        self.remove(id);
        self.queue.push_back(Event::LinkDown { link: id });
    }

    fn insert(&mut self, mut link: Link) -> bool {
        let (id, key) = (link.id, self.links.next_key());
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.registry.register(link.socket_mut(), Wake::Link(key).token(), interest) {
            self.log.warning(format_args!("Cannot watch a bus connection: {}", reason(&error)));
            return false;
        }
        self.by_id.insert(id, self.links.insert(link));
        true
    }

    fn remove(&mut self, id: LinkId) {
        let Some(mut link) = self.by_id.remove(&id).and_then(|key| self.links.remove(key)) else { return };
        // The socket closes with the link; that it was watched no more matters to nobody then.
        let _ = self.registry.deregister(link.socket_mut());
    }

    fn free_inbound(&self) -> u32 {
        let taken = self.by_id.range(LinkId::Inbound(0)..).map(|(id, _)| *id);
        let gap = (0..).zip(taken).find(|(number, id)| LinkId::Inbound(*number) != *id);
        gap.map_or_else(|| u32::try_from(self.inbound_count()).unwrap_or(u32::MAX), |(number, _)| number)
    }

    fn inbound_count(&self) -> usize {
        self.by_id.range(LinkId::Inbound(0)..).count()
    }
}
