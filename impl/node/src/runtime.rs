//! Owns the event loop: it waits for something to happen, hands it to whom it concerns, and does
//! what time makes due.
//!
//! Must not know a command or a rule of the protocol. One thread does everything, so that nothing
//! needs a lock; nothing here waits but the poll.

use crate::{
    bus::Bus,
    client::{Session, Wait},
    doors::{Readiness, SCRATCH_BYTES},
    latency,
    log::reason,
    server::Server,
    slab::Key,
    wake::{Ending, Wake},
};
use mio::net::UnixStream;
use slotbus_core::Millis;
use std::time::{Duration, Instant};

/// From one round of chores to the next.
const CHORES_MS: u64 = 100;
/// They may be late by so much.
const CHORES_SLACK_MS: u64 = 10;
/// Packets that follow from a request leave so long after its answer at most.
const ANSWER_LEAD_MS: u64 = 1;
/// How long one round of chores looks for expired keys ...
const EXPIRY_BUDGET: Duration = Duration::from_millis(10);
/// ... and among how many it does before it looks at the clock again.
const EXPIRY_KEYS: usize = 400;
/// A client that has been told that it is over may take so long to read what is left.
const FAREWELL_MS: u64 = 10_000;

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
    server: Server,
    /// Become readable with a signal. The first byte ends the process: none is ever read.
    _signals: Vec<UnixStream>,
    scratch: Vec<u8>,
    chores_at: Millis,
}

impl Runtime {
    /// An event loop for this node.
    #[must_use]
    pub fn new(server: Server, signals: Vec<UnixStream>) -> Self {
        Self { server, _signals: signals, scratch: vec![0; SCRATCH_BYTES], chores_at: Millis(0) }
    }

    /// Runs until the node is asked to end, or cannot go on.
    pub fn run(&mut self) -> Stop {
        loop {
            let patience = self.patience();
            if let Err(error) = self.server.doors.wait(patience) {
                return Stop::Failed(format!("Waiting for events failed: {}", reason(&error)));
            }
            self.server.now = self.server.clock.now();
            self.send_packets();
            while let Some(readiness) = self.server.doors.pending.pop_front() {
                self.wake(readiness);
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
            bus.end();
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
        let doors = &self.server.doors;
        if !doors.busy.is_empty()
            || !doors.pending.is_empty()
            || !self.server.ready.is_empty()
            || self.server.has_to_save()
            || self.server.has_to_rewrite()
            || self.server.replication.has_more()
            || self.server.bus.as_ref().is_some_and(|bus| bus.has_more())
        {
            return Duration::ZERO;
        }
        let rhythm_at = match &self.server.bus {
            None => self.chores_at,
            Some(bus) if self.server.is_at_rest() => bus.deadline(),
            // Where the core wants to be woken as often as the chores do, they wait for it: one wake does for both.
            Some(bus) => bus.deadline().min(self.chores_at.after(CHORES_SLACK_MS)),
        };
        let pause_at = self.server.pause.next_end();
        let wait_at = self.server.waiters.next_end();
        let ack_at = self.server.replication.waits.next_end();
        let at = pause_at.into_iter().chain(wait_at).chain(ack_at).fold(rhythm_at, Millis::min);
        // The poll counts whole milliseconds and may wake within the last one: then it is not yet time.
        let patience_ms = at.since(self.server.clock.now());
        let leads_packets = self.server.bus.as_ref().is_some_and(Bus::follows_answer);
        Duration::from_millis(if leads_packets { patience_ms.min(ANSWER_LEAD_MS) } else { patience_ms })
    }

    fn wake(&mut self, readiness: Readiness) {
        match Wake::of(readiness.token) {
            Some(wake @ Wake::ClientArrives(_)) => self.server.accept_clients(wake),
            Some(wake @ Wake::NodeArrives(_)) => self.server.accept_nodes(wake),
            Some(Wake::Ends(ending)) => {
                let name = match ending {
                    Ending::Terminate => "SIGTERM",
                    Ending::Interrupt => "SIGINT",
                };
                self.server.log.warning(format_args!("Received {name} scheduling shutdown..."));
                self.server.is_ending = self.server.save_before_end(None);
            }
            Some(Wake::Client(key)) => self.server.wake_client(key, readiness, &mut self.scratch),
            Some(Wake::Primary(generation)) => self.server.serve_primary(generation, &mut self.scratch),
            Some(Wake::Link(key)) => {
                self.server.tell_bus();
                if let Some(bus) = &mut self.server.bus {
                    bus.ready(key, readiness, &mut self.scratch);
                }
            }
            Some(Wake::Migration(key)) => {
                let outcome = self.server.migrations.advance(key, &mut self.scratch, self.server.now);
                outcome.iter().for_each(|outcome| self.server.conclude(outcome));
            }
            None => {}
        }
    }

    fn send_packets(&mut self) {
        if let Some(bus) = &mut self.server.bus {
            bus.flush();
            bus.flush_trace();
        }
    }

    /// Goes on with what was interrupted to give others their turn.
    fn go_on(&mut self) {
        self.server.tell_of_prefixes();
        self.server.go_on_with_primary(&mut self.scratch);
        self.server.flush_aof();
        self.server.send_stream();
        if !self.server.ready.is_empty() {
            let ready = std::mem::take(&mut self.server.ready);
            self.server.doors.busy.extend(ready);
        }
        for _ in 0..self.server.doors.busy.len() {
            if let Some(key) = self.server.doors.busy.pop_front() {
                self.server.serve_client(key, false, &mut self.scratch);
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
            bus.save();
        }
        self.server.settle();
        // What no request has done to keys is told here.
        if self.server.store.news.is_pending() {
            self.server.follow_up(None);
        }
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
        self.server.send_replies();
        for key in std::mem::take(&mut self.server.doomed) {
            if let Some(client) = self.server.clients.take_out(key) {
                self.server.end_client(key, client);
            }
        }
        if !self.server.bus.as_ref().is_some_and(Bus::follows_answer) {
            self.send_packets();
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
                self.server.doors.busy.push_back(key);
            }
        }
    }

    fn do_chores(&mut self) {
        self.drop_expired();
        self.server.tick_replication();
        self.server.save_if_due();
        self.server.rewrite_if_due();
        self.server.rates.note(self.server.now, &self.server.counters);
        for outcome in self.server.migrations.expire(self.server.now) {
            self.server.conclude(&outcome);
        }
        for wake in std::mem::take(&mut self.server.doors.unaccepted) {
            self.wake(Readiness { token: wake.token(), can_read: true, can_write: false, is_closed: false });
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
        self.end_late_handshakes();
        self.server.end_deaf();
        self.server.limit_tracking();
    }

    fn end_late_handshakes(&mut self) {
        let server = &mut self.server;
        let late: Vec<Key> =
            server.clients.iter().filter(|(_, client)| client.is_late(server.now)).map(|(key, _)| key).collect();
        for client in late.iter().filter_map(|key| server.clients.get(*key)) {
            client.tell_of_bad_handshake(server, "the TLS handshake takes too long");
        }
        server.doomed.extend(late);
        if let Some(bus) = &mut server.bus {
            bus.drop_unfinished();
        }
    }

    /// Looks for expired keys for as long as it may take.
    fn drop_expired(&mut self) {
        self.server.tell_time();
        if !self.server.seeks_expired || !self.server.store.drops_expired() {
            return;
        }
        let start = Instant::now();
        while self.server.store.drop_expired(self.server.now, EXPIRY_KEYS) && start.elapsed() < EXPIRY_BUDGET {}
        self.server.note_latency(latency::Kind::ExpireCycle, start.elapsed());
        self.server.follow_up(None);
    }
}
