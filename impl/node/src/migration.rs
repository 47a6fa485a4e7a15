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
/// ... and so many of them.
const KEPT_MAX: usize = 64;

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
    address: SocketAddr,
    stream: Stream,
    is_up: bool,
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
    /// A migration over a connection that is being established, or was kept.
    #[must_use]
    pub fn new(
        client: Key,
        (address, stream): (SocketAddr, Stream),
        cargo: Cargo,
        is_copy: bool,
        timeout_ms: u64,
        now: Millis,
    ) -> Self {
        Self {
            client,
            address,
            stream,
            is_up: false,
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
    fn advance(&mut self, scratch: &mut [u8], now: Millis) -> io::Result<bool> {
        if !self.is_up {
            match self.stream.establish() {
                None => return Ok(false),
                Some(outcome) => outcome?,
            }
            self.is_up = true;
        }
        let progress = self.written + self.input.len() + self.cargo.awaited.len();
        self.write()?;
        let is_done = self.read(scratch)?;
        if progress != self.written + self.input.len() + self.cargo.awaited.len() {
            self.end = now.after(self.timeout_ms);
        }
        Ok(is_done)
    }

    fn write(&mut self) -> io::Result<()> {
        while let Some(rest) = self.cargo.bytes.get(self.written..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn read(&mut self, scratch: &mut [u8]) -> io::Result<bool> {
        loop {
            if self.take_lines()? {
                return Ok(true);
            }
            match self.stream.read(scratch) {
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

/// A connection that nothing is said on.
#[derive(Debug)]
struct Kept {
    address: SocketAddr,
    stream: Stream,
    since: Millis,
}

impl Kept {
    /// Whether the other end is there and silent, as it should be.
    fn is_sound(&mut self) -> bool {
        self.stream.read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }
}

/// Every migration under way.
#[derive(Debug)]
pub struct Migrations {
    registry: Registry,
    under_way: Slab<Migration>,
    /// Keys on their way, and how many migrations carry each.
    keys: BTreeMap<Name, usize>,
    kept: Vec<Kept>,
}

impl Migrations {
    /// None yet; sockets will be watched by `registry`.
    #[must_use]
    pub fn new(registry: Registry) -> Self {
        Self { registry, under_way: Slab::default(), keys: BTreeMap::new(), kept: Vec::new() }
    }

    /// Whether nothing is on its way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Whether a key is on its way.
    #[must_use]
    pub fn carry(&self, key: &[u8]) -> bool {
        self.keys.contains_key(key)
    }

    /// A connection to this address that was kept and is sound.
    pub fn take_kept(&mut self, address: SocketAddr, is_tls: bool) -> Option<Stream> {
        let fits = |kept: &Kept| kept.address == address && kept.stream.is_tls() == is_tls;
        while let Some(at) = self.kept.iter().position(fits) {
            let mut kept = self.kept.swap_remove(at);
            if kept.is_sound() {
                return Some(kept.stream);
            }
        }
        None
    }

    /// Sends keys on their way.
    pub fn begin(&mut self, mut migration: Migration) -> io::Result<()> {
        let token = Wake::Migration(self.under_way.next_key()).token();
        self.registry.register(migration.stream.socket_mut(), token, Interest::READABLE | Interest::WRITABLE)?;
        for key in &migration.keys {
            *self.keys.entry(key.clone()).or_default() += 1;
        }
        self.under_way.insert(migration);
        Ok(())
    }

    /// Goes on with a migration whose socket is ready; says what has come of it once it is over.
    pub fn advance(&mut self, key: Key, scratch: &mut [u8], now: Millis) -> Option<Outcome> {
        match self.under_way.get_mut(key)?.advance(scratch, now) {
            Ok(false) => None,
            Ok(true) => self.end(key, true, now),
            Err(_) => self.end(key, false, now),
        }
    }

    /// Gives up what takes too long, and closes connections that nobody needed again.
    pub fn expire(&mut self, now: Millis) -> Vec<Outcome> {
        self.kept.retain(|kept| now.since(kept.since) < KEPT_MS);
        let late = self.under_way.iter().filter(|(_, migration)| migration.end <= now).map(|(key, _)| key);
        let late: Vec<Key> = late.collect();
        late.into_iter().filter_map(|key| self.end(key, false, now)).collect()
    }

    fn end(&mut self, key: Key, is_complete: bool, now: Millis) -> Option<Outcome> {
        let mut migration = self.under_way.remove(key)?;
        // A socket that is not kept closes with the migration; that it was watched no more matters to nobody then.
        let is_released = self.registry.deregister(migration.stream.socket_mut()).is_ok();
        for key in &migration.keys {
            if let Some(count) = self.keys.get_mut(key) {
                *count -= 1;
                if *count == 0 {
                    self.keys.remove(key);
                }
            }
        }
        let outcome = migration.finish(is_complete);
        if is_complete && is_released && migration.first_error.is_none() && self.kept.len() < KEPT_MAX {
            let Migration { address, stream, .. } = migration;
            self.kept.push(Kept { address, stream, since: now });
        }
        Some(outcome)
    }
}
