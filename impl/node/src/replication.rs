//! Owns what the replication machine works on: the connection to the primary, the copies on their way,
//! the writes that go into the stream. It feeds events and performs the effects, in order.
//!
//! Must not decide anything about replication, which is slotbus-replication's, nor whom to follow, which
//! is the core's.

mod acks;
mod copies;
mod intake;
mod primary_link;
mod rewrite;
mod serving;
mod writes;

pub use acks::AckWaits;
pub use intake::Intake;
pub use writes::Writes;

use self::{copies::Copies, primary_link::PrimaryLink};
use crate::{client::Session, config::Settings, dial::BindAddress, server::Server, slab::Key};
use mio::Registry;
use rustls::ClientConfig;
use slotbus_core::{Address, Millis, NodeId};
use slotbus_replication::{Config, Effect, Event, History, OutputLimit, ReplicaId, Replication, Stage, StreamId};
use slotbus_wire::resp::Limits;
use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

/// The machine, and what it works on.
#[derive(Debug)]
pub struct Replicating {
    /// The machine. Whoever feeds it performs its effects.
    pub machine: Replication,
    /// Writes that are not in the stream yet.
    pub writes: Writes,
    /// Clients that wait for acknowledgements.
    pub waits: AckWaits,
    /// Whether replicas are to be asked how far they are.
    pub acks_wanted: bool,
    /// Clients whose replies are held.
    pub held: BTreeSet<Key>,
    /// How much of the stream is safe: replies to the writes up to there are not held.
    safe_until: u64,
    registry: Registry,
    sources: Vec<IpAddr>,
    /// How the connection to the primary is secured; none if it is not.
    pub tls: Option<Arc<ClientConfig>>,
    link: PrimaryLink,
    /// The primary as one of the clients, while it is connected.
    client: Option<Box<Session>>,
    intake: Option<Intake>,
    copies: Copies,
}

impl Replicating {
    /// Nobody is followed, and nobody follows.
    #[must_use]
    pub fn new(settings: &Settings, registry: Registry) -> Self {
        Self {
            machine: Replication::new(config(settings), History::new(fresh_id())),
            writes: Writes::default(),
            waits: AckWaits::default(),
            acks_wanted: false,
            held: BTreeSet::new(),
            safe_until: u64::MAX,
            registry,
            sources: sources(settings),
            tls: None,
            link: PrimaryLink::default(),
            client: None,
            intake: None,
            copies: Copies::default(),
        }
    }

    /// Acts on settings that have changed.
    pub fn adopt(&mut self, settings: &Settings) {
        self.machine.config = config(settings);
    }

    /// Goes on with a stream that was saved together with the keys.
    pub fn restore(&mut self, id: StreamId, offset: u64) {
        self.machine = Replication::restored(self.machine.config.clone(), id, offset, fresh_id());
    }

    /// Whether this node has all that its primary had, as far as one can know.
    #[must_use]
    pub fn is_in_step(&self) -> bool {
        self.machine.upstream().is_some_and(|upstream| upstream.stage() == Stage::Streaming)
    }

    /// The primary as one of the clients, once its stream arrives.
    #[must_use]
    pub fn primary_client(&self) -> Option<&Session> {
        self.client.as_deref().filter(|_| self.is_in_step())
    }

    /// The place in the stream that the keys are at; none while they are at none.
    #[must_use]
    pub fn place(&self) -> Option<(StreamId, u64)> {
        self.machine.place().filter(|_| self.writes.is_empty())
    }

    /// Whether there is something to do at once.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.link.has_more() || self.copies.has_more()
    }
}

/// A name that no other stream has.
fn fresh_id() -> StreamId {
    StreamId::of_random(std::array::from_fn(|_| fastrand::u8(..)))
}

fn sources(settings: &Settings) -> Vec<IpAddr> {
    let source: Option<IpAddr> = settings.text("bind-source-addr").parse().ok();
    let bound = BindAddress::list(settings.text("bind")).filter_map(|address| address.ip());
    source.into_iter().chain(bound).collect()
}

fn config(settings: &Settings) -> Config {
    let size = |name: &str| usize::try_from(settings.number(name)).unwrap_or(usize::MAX);
    let announced_port = match settings.port("replica-announce-port") {
        0 if settings.flag("tls-replication") && settings.port("tls-port") != 0 => settings.port("tls-port"),
        0 => settings.port("port"),
        port => port,
    };
    Config {
        announced_port,
        announced_ip: settings.text("replica-announce-ip").into(),
        user: settings.text("masteruser").into(),
        password: settings.text("masterauth").into(),
        timeout_ms: settings.number("repl-timeout").saturating_mul(1000),
        ping_ms: settings.number("repl-ping-replica-period").saturating_mul(1000),
        backlog_bytes: settings.number("repl-backlog-size"),
        delay_ms: if settings.flag("repl-diskless-sync") {
            settings.number("repl-diskless-sync-delay").saturating_mul(1000)
        } else {
            0
        },
        delayed_max: size("repl-diskless-sync-max-replicas"),
        output: output_limit(settings, "slave"),
        request: Limits { bulk_max: settings.number("proto-max-bulk-len"), is_stranger: false },
        transaction_max: size("client-query-buffer-limit"),
    }
}

/// How much may wait for a client of this class.
#[must_use]
pub fn output_limit(settings: &Settings, class: &str) -> OutputLimit {
    let [hard, soft, soft_s] = settings.buffer_limits(class);
    OutputLimit { hard, soft, soft_ms: soft_s.saturating_mul(1000) }
}

/// The machine's name for a client.
#[must_use]
pub fn replica_id(key: Key) -> ReplicaId {
    ReplicaId(u64::from(key.generation) << 32 | u64::from(key.index))
}

fn client_key(replica: ReplicaId) -> Key {
    Key { index: replica.0 as u32, generation: (replica.0 >> 32) as u32 }
}

/// What became of an effect.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Done {
    /// It is done.
    Well,
    /// It could not be: what comes after it does not hold any more.
    InVain,
}

impl Server {
    /// Replicates a primary from now on.
    pub fn follow(&mut self, primary: NodeId, address: Address, shard: NodeId) {
        self.replicate(Event::Follow { primary, address, shard });
        self.end_ack_waits_of_primary();
    }

    /// Replicates nobody from now on.
    pub fn lead(&mut self) {
        if self.replication.machine.upstream().is_some() {
            self.log.notice(format_args!("This node is a primary now"));
        }
        self.replicate(Event::Lead { id: fresh_id() });
    }

    /// Tells the machine what has happened, and does what it asks for.
    pub fn replicate(&mut self, event: Event<'_>) {
        for effect in self.replication.machine.step(self.now, event) {
            if self.perform_one(effect) == Done::InVain {
                return;
            }
        }
    }

    fn perform_one(&mut self, effect: Effect) -> Done {
        let replication = &mut self.replication;
        match effect {
            Effect::Connect(address) => {
                let is_begun = replication.link.connect(
                    &address,
                    &replication.sources,
                    replication.tls.clone(),
                    &replication.registry,
                );
                if let Err(error) = is_begun {
                    self.log.warning(format_args!("Unable to connect to MASTER: {}", crate::log::reason(&error)));
                    self.replicate(Event::Lost);
                    return Done::InVain;
                }
                self.log.notice(format_args!("Connecting to MASTER {}:{}", address.host, address.port));
            }
            Effect::Disconnect => {
                replication.link.close(&replication.registry);
                (replication.client, replication.intake) = (None, None);
            }
            Effect::Send(bytes) => replication.link.send(&bytes),
            Effect::BeginLoad => {
                self.log.notice(format_args!("MASTER <-> REPLICA sync: receiving all keys"));
                self.replication.intake = Some(Intake::new(&self.settings));
            }
            Effect::Load(bytes) => return self.load(&bytes),
            Effect::EndLoad => return self.end_load(),
            Effect::Apply(requests) => return self.apply(&requests),
            Effect::Copy { marked, counted, empty } => {
                empty.iter().for_each(|replica| self.send_empty_copy(*replica));
                if !marked.is_empty() || !counted.is_empty() {
                    self.begin_copy(&marked, &counted);
                }
            }
            Effect::Answer { replica, bytes } => self.put_before_stream(client_key(replica), &bytes),
            Effect::Close { replica } => self.doomed.push(client_key(replica)),
            Effect::Tell(note) => self.log.notice(format_args!("{note}")),
        }
        Done::Well
    }

    /// Something happened at the socket to the primary.
    pub fn serve_primary(&mut self, generation: u32, scratch: &mut [u8]) {
        if self.replication.link.generation() != generation {
            return;
        }
        match self.replication.link.establish() {
            None => return,
            Some(Ok(false)) => {}
            Some(Ok(true)) => {
                self.make_primary_a_client();
                self.replicate(Event::Connected);
            }
            Some(Err(error)) => {
                self.log.warning(format_args!("Error condition on socket for SYNC: {}", crate::log::reason(&error)));
                return self.replicate(Event::Lost);
            }
        }
        self.read_primary(scratch);
        self.flush_primary();
    }

    fn make_primary_a_client(&mut self) {
        let (id, now) = (self.next_client_id(), self.now);
        let stream = self.replication.link.stream();
        let remote = stream.and_then(|stream| stream.socket().peer_addr().ok());
        let session = stream.zip(remote).map(|(stream, remote)| Session::new(id, Key::NOBODY, stream, remote, now));
        self.replication.client = session.map(|session| Box::new(Session { is_primary: true, ..session }));
    }

    /// Goes on reading what was interrupted to give others their turn.
    pub fn go_on_with_primary(&mut self, scratch: &mut [u8]) {
        if self.replication.link.has_more() {
            self.serve_primary(self.replication.link.generation(), scratch);
        }
    }

    fn read_primary(&mut self, scratch: &mut [u8]) {
        let generation = self.replication.link.generation();
        self.replication.link.begin_reading();
        while self.replication.link.generation() == generation {
            match self.replication.link.read(scratch) {
                Ok(0) => return,
                Ok(count) => {
                    if let Some(client) = &mut self.replication.client {
                        client.last_active = self.now;
                    }
                    self.replicate(Event::Received(&scratch[..count]));
                }
                Err(_) => return self.replicate(Event::Lost),
            }
        }
    }

    /// Writes to the primary what waits, once all that it has sent is read: were it dead, the answer to
    /// what is written would discard what is not.
    fn flush_primary(&mut self) {
        if !self.replication.link.has_more() {
            self.replication.link.flush();
        }
    }

    /// Does for replication what time has made due.
    pub fn tick_replication(&mut self) {
        let (is_paused, can_copy) = (self.pause.is_for_failover(self.now), self.can_copy());
        self.replicate(Event::Tick { is_paused, can_copy });
    }

    /// Tells the bus how replication stands.
    pub fn tell_bus(&mut self) {
        let machine = &self.replication.machine;
        let fresh_at: Option<Millis> = machine.upstream().and_then(slotbus_replication::Upstream::fresh_at);
        let standing = slotbus_core::Replication { offset: machine.offset(), fresh_at };
        if let Some(bus) = &mut self.bus {
            bus.replicated(standing);
        }
    }
}
