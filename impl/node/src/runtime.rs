//! Owns the event loop: it waits for something to happen, hands it to whom it concerns, and does
//! what time makes due.
//!
//! Must not know a command or a rule of the protocol. One thread does everything, so that nothing
//! needs a lock; nothing here waits but the poll.

use crate::{
    client::{Client, Fate, ReplyMode, Session, Wait},
    dial, latency,
    log::reason,
    server::Server,
    slab::Key,
    wake::{Ending, Wake},
};
use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream, UnixStream},
};
use slotbus_core::Millis;
use slotbus_wire::resp::Protocol;
use std::{
    collections::VecDeque,
    io::{self, ErrorKind},
    net::SocketAddr,
    os::fd::AsRawFd,
    time::{Duration, Instant},
};

/// From one round of chores to the next.
const CHORES_MS: u64 = 100;
/// Room for what one read brings.
const SCRATCH_BYTES: usize = 64 * 1024;
/// Events that are taken from the poll at once.
const EVENTS_MAX: usize = 1024;
/// Connections that are accepted in a row.
const ACCEPTS_MAX: usize = 1000;
/// How long one round of chores looks for expired keys ...
const EXPIRY_BUDGET: Duration = Duration::from_millis(10);
/// ... and in how many slots it does before it looks at the clock again.
const EXPIRY_SLOTS: usize = 64;
/// A client that has been told that it is over may take so long to read what is left.
const FAREWELL_MS: u64 = 10_000;

const TOO_MANY: &[u8] = b"-ERR max number of clients reached\r\n";
const TOO_MANY_IN_CLUSTER: &[u8] = b"-ERR max number of clients + cluster connections reached\r\n";
const DENIED: &[u8] = b"-DENIED Running in protected mode: without a password, connections are taken from the \
    loopback interface only. Set one with 'requirepass', or say 'protected-mode no' if the network is trusted.\r\n";

/// Why the event loop came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It was asked to.
    Asked,
    /// The node cannot go on.
    Failed(String),
}

/// The event loop with all that it watches.
#[derive(Debug)]
pub struct Runtime {
    poll: Poll,
    server: Server,
    client_listeners: Vec<TcpListener>,
    node_listeners: Vec<TcpListener>,
    /// Become readable with a signal. The first byte ends the process: none is ever read.
    _signals: Vec<UnixStream>,
    scratch: Vec<u8>,
    /// Clients with more to do at once.
    busy: VecDeque<Key>,
    /// Listeners that may have more to accept, though no event will say so.
    unaccepted: Vec<Wake>,
    chores_at: Millis,
}

impl Runtime {
    /// An event loop over these listeners.
    pub fn new(
        poll: Poll,
        server: Server,
        mut client_listeners: Vec<TcpListener>,
        mut node_listeners: Vec<TcpListener>,
        signals: Vec<UnixStream>,
    ) -> io::Result<Self> {
        for (number, listener) in (0..).zip(&mut client_listeners) {
            poll.registry().register(listener, Wake::ClientArrives(number).token(), Interest::READABLE)?;
        }
        for (number, listener) in (0..).zip(&mut node_listeners) {
            poll.registry().register(listener, Wake::NodeArrives(number).token(), Interest::READABLE)?;
        }
        Ok(Self {
            poll,
            server,
            client_listeners,
            node_listeners,
            _signals: signals,
            scratch: vec![0; SCRATCH_BYTES],
            busy: VecDeque::new(),
            unaccepted: Vec::new(),
            chores_at: Millis(0),
        })
    }

    /// Runs until the node is asked to end, or cannot go on.
    pub fn run(&mut self) -> Stop {
        let mut events = Events::with_capacity(EVENTS_MAX);
        loop {
            let outcome = self.poll.poll(&mut events, Some(self.patience()));
            if let Err(error) = outcome
                && error.kind() != ErrorKind::Interrupted
            {
                return Stop::Failed(format!("Waiting for events failed: {}", reason(&error)));
            }
            self.server.now = self.server.clock.now();
            for event in &events {
                let can_read = event.is_readable() || event.is_read_closed() || event.is_error();
                let can_write = event.is_writable() || event.is_write_closed() || event.is_error();
                self.wake(event.token(), can_read, can_write);
                self.server.settle();
                if let Some(stop) = self.stop() {
                    return stop;
                }
            }
            self.go_on();
            self.tend();
            if let Some(stop) = self.stop() {
                return stop;
            }
        }
    }

    /// Lets out what is kept back, once the loop has come to its end.
    pub fn close(&mut self) {
        if let Some(bus) = &mut self.server.bus {
            bus.flush_trace();
        }
    }

    fn stop(&self) -> Option<Stop> {
        match self.server.fatal() {
            Some(message) => Some(Stop::Failed(message.to_owned())),
            None => self.server.is_ending.then_some(Stop::Asked),
        }
    }

    /// How long nothing is due.
    fn patience(&self) -> Duration {
        if !self.busy.is_empty()
            || !self.server.ready.is_empty()
            || self.server.has_to_save()
            || self.server.has_to_rewrite()
            || self.server.replication.has_more()
            || self.server.bus.as_ref().is_some_and(|bus| bus.has_more())
        {
            return Duration::ZERO;
        }
        let bus_at = self.server.bus.as_ref().map(|bus| bus.deadline());
        let pause_at = self.server.pause.next_end();
        let wait_at = self.server.waiters.next_end();
        let ack_at = self.server.replication.waits.next_end();
        let at = bus_at.into_iter().chain(pause_at).chain(wait_at).chain(ack_at).fold(self.chores_at, Millis::min);
        // The poll counts whole milliseconds and may wake within the last one: then it is not yet time.
        Duration::from_millis(at.since(self.server.clock.now()))
    }

    fn wake(&mut self, token: Token, can_read: bool, can_write: bool) {
        match Wake::of(token) {
            Some(wake @ Wake::ClientArrives(_)) => self.accept_clients(wake),
            Some(wake @ Wake::NodeArrives(_)) => self.accept_nodes(wake),
            Some(Wake::Ends(ending)) => {
                let name = match ending {
                    Ending::Terminate => "SIGTERM",
                    Ending::Interrupt => "SIGINT",
                };
                self.server.log.warning(format_args!("Received {name} scheduling shutdown..."));
                self.server.is_ending = self.server.save_before_end(None);
            }
            Some(Wake::Client(key)) => self.serve(key, can_read),
            Some(Wake::Primary(generation)) => self.server.serve_primary(generation, &mut self.scratch),
            Some(Wake::Link(key)) => {
                self.server.tell_bus();
                if let Some(bus) = &mut self.server.bus {
                    bus.ready(key, can_read, can_write, &mut self.scratch);
                }
            }
            Some(Wake::Migration(key)) => {
                let outcome = self.server.migrations.advance(key, &mut self.scratch, self.server.now);
                outcome.iter().for_each(|outcome| self.server.conclude(outcome));
            }
            None => {}
        }
    }

    /// Goes on with what was interrupted to give others their turn.
    fn go_on(&mut self) {
        self.server.go_on_with_primary(&mut self.scratch);
        self.server.flush_aof();
        self.server.send_stream();
        self.busy.extend(std::mem::take(&mut self.server.ready));
        for _ in 0..self.busy.len() {
            if let Some(key) = self.busy.pop_front() {
                self.serve(key, false);
            }
        }
        if let Some(bus) = &mut self.server.bus {
            bus.go_on(&mut self.scratch);
        }
    }

    /// Does what time has made due, and lets out what waits to leave.
    fn tend(&mut self) {
        self.server.tell_bus();
        if let Some(bus) = &mut self.server.bus {
            bus.tick();
            bus.flush();
            bus.flush_trace();
        }
        self.server.settle();
        self.server.end_late_waits();
        self.server.end_ack_waits();
        self.server.go_on_saving();
        self.server.go_on_rewriting();
        self.server.go_on_copying();
        self.release_held();
        if self.server.now >= self.chores_at {
            self.chores_at = self.server.now.after(CHORES_MS);
            self.do_chores();
        }
        self.server.flush_aof();
        self.server.send_stream();
        for key in std::mem::take(&mut self.server.doomed) {
            if let Some(client) = self.server.clients.take_out(key) {
                self.end(key, client);
            }
        }
    }

    /// Has requests that had to wait tried again, once what they waited for is over.
    fn release_held(&mut self) {
        let has_expired = self.server.pause.expire(self.server.now);
        if !std::mem::take(&mut self.server.releases_held) && !has_expired {
            return;
        }
        for (key, client) in self.server.clients.iter_mut() {
            if client.session.waits == Some(Wait::Turn) {
                client.session.waits = None;
                self.busy.push_back(key);
            }
        }
    }

    fn do_chores(&mut self) {
        self.drop_expired();
        self.server.tick_replication();
        self.server.save_if_due();
        self.server.rewrite_if_due();
        for outcome in self.server.migrations.expire(self.server.now) {
            self.server.conclude(&outcome);
        }
        for wake in std::mem::take(&mut self.unaccepted) {
            self.wake(wake.token(), true, false);
        }
        let (now, silence_max_s) = (self.server.now, self.server.limits.silence_max_s);
        let is_over = |session: &Session| {
            let silence_ms = now.since(session.last_active);
            let is_silent = silence_max_s > 0 && silence_ms / 1000 > silence_max_s;
            (is_silent && session.waits.is_none() && !session.is_replica)
                || (session.is_closing && silence_ms > FAREWELL_MS)
        };
        let over = self.server.clients.iter().filter(|(_, client)| is_over(&client.session)).map(|(key, _)| key);
        let over: Vec<Key> = over.collect();
        self.server.doomed.extend(over);
    }

    /// Looks for expired keys for as long as it may take.
    fn drop_expired(&mut self) {
        self.server.tell_time();
        if !self.server.seeks_expired || !self.server.store.drops_expired() {
            return;
        }
        let start = Instant::now();
        while self.server.store.drop_expired(self.server.now, EXPIRY_SLOTS) && start.elapsed() < EXPIRY_BUDGET {}
        self.server.note_latency(latency::Kind::ExpireCycle, start.elapsed());
        self.server.follow_up(None);
    }

    fn serve(&mut self, key: Key, can_read: bool) {
        let Some(mut client) = self.server.clients.take_out(key) else { return };
        match client.serve(&mut self.server, &mut self.scratch, can_read) {
            Fate::Stays => self.server.clients.put_back(key, client),
            Fate::HasMore => {
                self.server.clients.put_back(key, client);
                self.busy.push_back(key);
            }
            Fate::Ends => self.end(key, client),
        }
    }

    fn end(&mut self, key: Key, mut client: Box<Client>) {
        // The socket closes with the client; that it was watched no more matters to nobody then.
        let _ = self.poll.registry().deregister(client.stream_mut());
        self.server.forget(&mut client.session);
        self.server.clients.vacate(key);
    }

    fn accept_clients(&mut self, wake: Wake) {
        let Wake::ClientArrives(number) = wake else { return };
        for _ in 0..ACCEPTS_MAX {
            let Some(listener) = self.client_listeners.get(number as usize) else { return };
            match self.accepted(listener.accept(), wake) {
                Accepted::One(stream, remote) => self.welcome(stream, remote),
                Accepted::Failed => {}
                Accepted::NoMore => return,
            }
        }
        self.unaccepted.push(wake);
    }

    fn accept_nodes(&mut self, wake: Wake) {
        let Wake::NodeArrives(number) = wake else { return };
        for _ in 0..ACCEPTS_MAX {
            let Some(listener) = self.node_listeners.get(number as usize) else { return };
            match self.accepted(listener.accept(), wake) {
                Accepted::One(stream, _) => {
                    if let Some(bus) = &mut self.server.bus {
                        bus.accept(stream);
                    }
                }
                Accepted::Failed => {}
                Accepted::NoMore => return,
            }
        }
        self.unaccepted.push(wake);
    }

    fn accepted(&mut self, outcome: io::Result<(TcpStream, SocketAddr)>, wake: Wake) -> Accepted {
        match outcome {
            Ok((stream, remote)) => Accepted::One(stream, remote),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Accepted::NoMore,
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {
                Accepted::Failed
            }
            Err(error) => {
                // No descriptor is left, most likely: whoever waits is not announced again.
                self.server.log.warning(format_args!("Accepting a connection failed: {}", reason(&error)));
                self.unaccepted.push(wake);
                Accepted::NoMore
            }
        }
    }

    fn welcome(&mut self, stream: TcpStream, remote: SocketAddr) {
        let server = &mut self.server;
        let keepalive_s = server.settings.number("tcp-keepalive");
        if let Err(error) = dial::tune(&stream, keepalive_s) {
            server.log.verbose(format_args!("Error accepting a client connection: {}", reason(&error)));
            return;
        }
        let links = server.bus.as_ref().map_or(0, |bus| bus.link_count());
        let is_full = (server.clients.len() + links) as u64 >= server.limits.clients_max;
        let is_denied = server.settings.flag("protected-mode")
            && server.users.unasked().is_some()
            && !remote.ip().to_canonical().is_loopback();
        let session = new_session(server, &stream, remote);
        let mut client = Box::new(Client::new(stream, session));
        if is_full || is_denied {
            server.counters.rejected += 1;
            client.refuse(match (is_denied, server.bus.is_some()) {
                (true, _) => DENIED,
                (false, true) => TOO_MANY_IN_CLUSTER,
                (false, false) => TOO_MANY,
            });
            return;
        }
        server.counters.connections += 1;
        let token = Wake::Client(server.clients.next_key()).token();
        match self.poll.registry().register(client.stream_mut(), token, Interest::READABLE | Interest::WRITABLE) {
            Ok(()) => {
                server.clients.insert(client);
            }
            Err(error) => server.log.warning(format_args!("Cannot watch a client connection: {}", reason(&error))),
        }
    }
}

enum Accepted {
    One(TcpStream, SocketAddr),
    Failed,
    NoMore,
}

fn new_session(server: &mut Server, stream: &TcpStream, remote: SocketAddr) -> Session {
    let id = server.next_client;
    server.next_client += 1;
    Session {
        id,
        name: String::new(),
        remote: Some(remote),
        local: stream.local_addr().ok(),
        descriptor: stream.as_raw_fd(),
        created: server.now,
        last_active: server.now,
        last_command: "NULL",
        running: None,
        protocol: Protocol::Two,
        user: server.users.unasked(),
        is_asking: false,
        is_readonly: false,
        is_kept: false,
        transaction: None,
        watched: Vec::new(),
        is_executing: false,
        reply_mode: ReplyMode::On,
        is_closing: false,
        key: server.clients.next_key(),
        pushes: Vec::new(),
        waits: None,
        is_replica: false,
        written: 0,
    }
}
