//! Owns keys on their way to another server: the connection, what is still to be sent and to be
//! acknowledged, and what comes of it.
//!
//! Must not touch the keys here: it says which of them have arrived.

use crate::{
    slab::{Key, Slab},
    stream::Stream,
    wake::Wake,
};
use mio::{Interest, Registry};
use slotbus_core::Millis;
use slotbus_wire::resp::{Protocol, Reply};
use std::{
    collections::{BTreeMap, VecDeque},
    io::{self, ErrorKind, Read, Write},
    net::SocketAddr,
};

/// A line of the other server's answer is at most so long.
const LINE_MAX: usize = 64 * 1024;
/// Whoever moves keys moves more of them soon: connections are kept for so long ...
const KEPT_MS: u64 = 10_000;
/// ... unless there are more than so many.
const LINES_MAX: usize = 64;

type Name = Box<[u8]>;

/// Requests to another server, and which key each of them carries.
#[derive(Debug, Default)]
pub struct Cargo {
    bytes: Vec<u8>,
    awaited: VecDeque<Option<Name>>,
}

impl Cargo {
    /// Adds a request.
    pub fn add<'b>(&mut self, words: impl IntoIterator<Item = &'b [u8]>, key: Option<&[u8]>) {
        // A request has the form of an array of byte strings.
        let request = Reply::Array(words.into_iter().map(Reply::bulk).collect());
        request.encode(Protocol::Two, &mut self.bytes);
        self.awaited.push_back(key.map(Name::from));
    }

    /// Whether no key is to be carried.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys().next().is_none()
    }

    fn keys(&self) -> impl Iterator<Item = &Name> {
        self.awaited.iter().flatten()
    }
}

/// What has come of a migration.
#[derive(Debug, PartialEq)]
pub struct Outcome {
    /// The client that waits for it.
    pub client: Key,
    /// What it is told.
    pub reply: Reply<'static>,
    /// Keys that have arrived, and are to be dropped here.
    pub arrived: Vec<Name>,
}

impl Outcome {
    /// The other server's name is not known.
    #[must_use]
    pub fn unreachable() -> Reply<'static> {
        Reply::error("IOERR error or timeout connecting to the client")
    }

    /// The other server did not take all that was sent.
    #[must_use]
    pub fn unsent() -> Reply<'static> {
        Reply::error("IOERR error or timeout writing to target instance")
    }

    /// The other server did not answer everything.
    #[must_use]
    pub fn unanswered() -> Reply<'static> {
        Reply::error("IOERR error or timeout reading to target instance")
    }
}

/// Keys on their way.
#[derive(Debug)]
pub struct Migration {
    client: Key,
    cargo: Cargo,
    written: usize,
    input: Vec<u8>,
    /// Every key of the cargo: requests for them wait.
    keys: Vec<Name>,
    arrived: Vec<Name>,
    is_copy: bool,
    first_error: Option<String>,
    timeout_ms: u64,
    end: Millis,
}

impl Migration {
    /// A migration that is to begin now.
    #[must_use]
    pub fn new(client: Key, cargo: Cargo, is_copy: bool, timeout_ms: u64, now: Millis) -> Self {
        Self {
            client,
            keys: cargo.keys().cloned().collect(),
            cargo,
            written: 0,
            input: Vec::new(),
            arrived: Vec::new(),
            is_copy,
            first_error: None,
            timeout_ms,
            end: now.after(timeout_ms),
        }
    }

    /// Goes on as far as the socket allows; true once everything is acknowledged.
    fn advance(&mut self, stream: &mut Stream, scratch: &mut [u8], now: Millis) -> io::Result<bool> {
        let progress = self.written + self.input.len() + self.cargo.awaited.len();
        self.write(stream)?;
        let is_done = self.read(stream, scratch)?;
        if progress != self.written + self.input.len() + self.cargo.awaited.len() {
            self.end = now.after(self.timeout_ms);
        }
        Ok(is_done)
    }

    fn write(&mut self, stream: &mut Stream) -> io::Result<()> {
        while let Some(rest) = self.cargo.bytes.get(self.written..).filter(|rest| !rest.is_empty()) {
            match stream.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn read(&mut self, stream: &mut Stream, scratch: &mut [u8]) -> io::Result<bool> {
        loop {
            if self.take_lines()? {
                return Ok(true);
            }
            match stream.read(scratch) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.input.extend_from_slice(&scratch[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes complete lines, one for each request; true once there was one for every request.
    fn take_lines(&mut self) -> io::Result<bool> {
        let mut used = 0;
        while let Some(length) = self.input[used..].iter().position(|&byte| byte == b'\n') {
            let Some(key) = self.cargo.awaited.pop_front() else { return Err(ErrorKind::InvalidData.into()) };
            match self.input[used..used + length].strip_prefix(b"-") {
                None => self.arrived.extend(key),
                Some(error) => {
                    let text = String::from_utf8_lossy(error.trim_ascii_end()).into_owned();
                    self.first_error.get_or_insert(text);
                }
            }
            used += length + 1;
        }
        self.input.drain(..used);
        if self.input.len() > LINE_MAX {
            return Err(ErrorKind::InvalidData.into());
        }
        Ok(self.cargo.awaited.is_empty())
    }

    fn finish(&mut self, is_complete: bool) -> Outcome {
        let reply = match &self.first_error {
            Some(error) => Reply::err(format_args!("Target instance replied with error: {error}")),
            None if is_complete => Reply::OK,
            None if self.written < self.cargo.bytes.len() => Outcome::unsent(),
            None => Outcome::unanswered(),
        };
        Outcome {
            client: self.client,
            reply,
            arrived: if self.is_copy { vec![] } else { std::mem::take(&mut self.arrived) },
        }
    }
}

/// A connection to another server.
#[derive(Debug)]
struct Line {
    address: SocketAddr,
    stream: Stream,
    is_up: bool,
    /// What is sent over it; none if it is kept for what may come.
    migration: Option<Migration>,
    /// Since when it is kept.
    idle_since: Millis,
}

impl Line {
    /// Whether the other end is there and silent, as it should be.
    fn is_sound(&mut self) -> bool {
        self.stream.read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// Goes on as far as the socket allows; true once everything is acknowledged.
    fn advance(&mut self, scratch: &mut [u8], now: Millis) -> io::Result<bool> {
        if !self.is_up {
            match self.stream.establish() {
                None => return Ok(false),
                Some(outcome) => outcome?,
            }
            self.is_up = true;
        }
        self.migration.as_mut().map_or(Ok(false), |migration| migration.advance(&mut self.stream, scratch, now))
    }
}

/// Every migration under way, and the connections that are kept for others.
#[derive(Debug)]
pub struct Migrations {
    registry: Registry,
    lines: Slab<Line>,
    /// Keys on their way, and how many migrations carry each.
    keys: BTreeMap<Name, usize>,
}

impl Migrations {
    /// None yet; sockets will be watched by `registry`.
    #[must_use]
    pub fn new(registry: Registry) -> Self {
        Self { registry, lines: Slab::default(), keys: BTreeMap::new() }
    }

    /// Whether nothing is on its way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether a key is on its way.
    #[must_use]
    pub fn carry(&self, key: &[u8]) -> bool {
        self.keys.contains_key(key)
    }

    /// A connection to this address that was kept and is sound.
    pub fn kept(&mut self, address: SocketAddr, is_tls: bool) -> Option<Key> {
        let fits = |line: &Line| {
            line.is_up && line.migration.is_none() && line.address == address && line.stream.is_tls() == is_tls
        };
        let found: Vec<Key> = self.lines.iter().filter(|(_, line)| fits(line)).map(|(key, _)| key).collect();
        found.into_iter().find(|&key| {
            let is_sound = self.lines.get_mut(key).is_some_and(Line::is_sound);
            if !is_sound {
                self.close(key);
            }
            is_sound
        })
    }

    /// Takes in a connection that is being opened.
    pub fn open(&mut self, address: SocketAddr, mut stream: Stream, now: Millis) -> io::Result<Key> {
        let token = Wake::Migration(self.lines.next_key()).token();
        self.registry.register(stream.socket_mut(), token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(self.lines.insert(Line { address, stream, is_up: false, migration: None, idle_since: now }))
    }

    /// Sends keys on their way over a connection; what the socket does not take at once follows when it is ready.
    pub fn begin(&mut self, key: Key, mut migration: Migration) -> io::Result<()> {
        let Some(line) = self.lines.get_mut(key) else { return Err(ErrorKind::NotConnected.into()) };
        if line.is_up
            && let Err(error) = migration.write(&mut line.stream)
        {
            self.close(key);
            return Err(error);
        }
        for key in &migration.keys {
            *self.keys.entry(key.clone()).or_default() += 1;
        }
        line.migration = Some(migration);
        Ok(())
    }

    /// Goes on with a connection whose socket is ready; says what has come of its migration once that is over.
    pub fn advance(&mut self, key: Key, scratch: &mut [u8], now: Millis) -> Option<Outcome> {
        let line = self.lines.get_mut(key)?;
        if line.is_up && line.migration.is_none() {
            if !line.is_sound() {
                self.close(key);
            }
            return None;
        }
        match line.advance(scratch, now) {
            Ok(false) => None,
            Ok(true) => self.end(key, true, now),
            Err(_) => self.end(key, false, now),
        }
    }

    /// Gives up what takes too long, and closes connections that nobody needed again.
    pub fn expire(&mut self, now: Millis) -> Vec<Outcome> {
        let is_over = |line: &Line| match &line.migration {
            Some(migration) => migration.end <= now,
            None => now.since(line.idle_since) >= KEPT_MS,
        };
        let over: Vec<Key> = self.lines.iter().filter(|(_, line)| is_over(line)).map(|(key, _)| key).collect();
        over.into_iter().filter_map(|key| self.end(key, false, now)).collect()
    }

    fn end(&mut self, key: Key, is_complete: bool, now: Millis) -> Option<Outcome> {
        let line = self.lines.get_mut(key)?;
        line.idle_since = now;
        let migration = line.migration.take();
        let is_well = is_complete && migration.as_ref().is_some_and(|migration| migration.first_error.is_none());
        if !is_well || self.lines.len() > LINES_MAX {
            self.close(key);
        }
        let mut migration = migration?;
        for key in &migration.keys {
            if let Some(count) = self.keys.get_mut(key) {
                *count -= 1;
                if *count == 0 {
                    self.keys.remove(key);
                }
            }
        }
        Some(migration.finish(is_complete))
    }

    fn close(&mut self, key: Key) {
        let Some(mut line) = self.lines.remove(key) else { return };
        // The socket closes with the line; that it was watched no more matters to nobody then.
        let _ = self.registry.deregister(line.stream.socket_mut());
    }
}
