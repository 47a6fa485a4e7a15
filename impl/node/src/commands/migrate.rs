//! Owns MIGRATE: what it is asked to move, and the beginning of its journey.
//!
//! Must not wait: the connection to the other server is the event loop's, and only the client that
//! asked is kept waiting.

use super::{not_an_integer, syntax_error};
use crate::{
    client::{Session, Wait},
    command::keys_option,
    dial,
    migration::{Cargo, Migration, Outcome},
    server::Server,
    slab::Key,
    stream::Stream,
    tls::Tls,
};
use slotbus_wire::{
    dump,
    resp::{Args, Reply, parse_i64},
};
use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

/// How long each stage may take, if the client names no time that makes sense.
const TIMEOUT_MS: u64 = 1000;

pub(super) fn migrate<'e>(server: &'e mut Server, session: &mut Session, args: Args<'e>) -> Reply<'e> {
    begin(server, session, args).unwrap_or_else(|refusal| refusal)
}

fn begin(server: &mut Server, session: &mut Session, args: Args<'_>) -> Result<Reply<'static>, Reply<'static>> {
    let options = Options::read(args)?;
    let number = |at: usize| parse_i64(args.at(at)).ok_or_else(not_an_integer);
    let (timeout_ms, database) = (number(5)?, number(4)?);
    let timeout_ms = u64::try_from(timeout_ms).ok().filter(|&timeout_ms| timeout_ms > 0).unwrap_or(TIMEOUT_MS);
    let cargo = load(server, args, &options, database);
    if cargo.is_empty() {
        return Ok(Reply::status("NOKEY"));
    }
    let port = parse_i64(args.at(2)).and_then(|port| u16::try_from(port).ok());
    let Some(ip) = ip(args.at(1)) else { return Err(Outcome::unreachable()) };
    let Some(port) = port else { return Err(Outcome::unsent()) };
    let migration = Migration::new(session.key, cargo, options.is_copy, timeout_ms, server.now);
    let line = line_to(server, SocketAddr::new(ip, port)).map_err(|_| Outcome::unsent())?;
    server.migrations.begin(line, migration).map_err(|_| Outcome::unsent())?;
    session.waits = Some(Wait::Reply);
    Ok(Reply::Silence)
}

/// A connection to another server: one that was kept, or a new one.
fn line_to(server: &mut Server, address: SocketAddr) -> io::Result<Key> {
    let tls = server.tls.as_ref().and_then(Tls::outbound_links);
    if let Some(kept) = server.migrations.kept(address, tls.is_some()) {
        return Ok(kept);
    }
    let stream = dial::connect(address, &[]).and_then(|socket| Stream::opened(socket, address.ip(), tls))?;
    server.migrations.open(address, stream, server.now)
}

/// Names are not looked up: that could take long, and nobody would be served meanwhile.
fn ip(host: &[u8]) -> Option<IpAddr> {
    let host = std::str::from_utf8(host).ok()?;
    if host == "localhost" { Some(Ipv4Addr::LOCALHOST.into()) } else { host.parse().ok() }
}

/// The keys that are here, with their values, as requests to the other server.
fn load(server: &mut Server, args: Args<'_>, options: &Options<'_>, database: i64) -> Cargo {
    let now = server.now;
    server.tell_time();
    let command: &[u8] = if server.bus.is_some() { b"RESTORE-ASKING" } else { b"RESTORE" };
    let mut cargo = Cargo::default();
    if !options.credentials.is_empty() {
        let auth = std::iter::once(b"AUTH".as_slice()).chain(options.credentials.iter().copied());
        cargo.add(auth, None);
    }
    cargo.add([b"SELECT".as_slice(), database.to_string().as_bytes()], None);
    let single = options.keys_from.is_none().then(|| args.at(3));
    let listed = options.keys_from.into_iter().flat_map(|start| args.from(start));
    for key in single.into_iter().chain(listed) {
        let end = server.store.expires_at(key).flatten();
        let compresses = server.store.limits.compresses;
        let Some(view) = server.store.view(key) else { continue };
        let ttl_ms = end.map_or(0, |end| end.since(now).max(1)).to_string();
        let payload = dump::dump(view.body(), compresses);
        let replace = options.replaces.then_some(b"REPLACE".as_slice());
        cargo.add([command, key, ttl_ms.as_bytes(), &payload].into_iter().chain(replace), Some(key));
    }
    cargo
}

/// What may follow the timeout in MIGRATE.
#[derive(Default)]
struct Options<'a> {
    is_copy: bool,
    replaces: bool,
    credentials: Vec<&'a [u8]>,
    /// Where the keys begin, if they are listed.
    keys_from: Option<usize>,
}

impl<'a> Options<'a> {
    fn read(args: Args<'a>) -> Result<Self, Reply<'static>> {
        const FIRST: usize = 6;
        let mut options = Self { keys_from: keys_option(args), ..Self::default() };
        let end = options.keys_from.map_or(args.len(), |start| start - 1);
        if options.keys_from.is_some() && !args.at(3).is_empty() {
            return Err(Reply::err("When using MIGRATE KEYS option, the key argument must be set to the empty string"));
        }
        let mut at = FIRST;
        while at < end {
            let option = args.at(at).to_ascii_lowercase();
            let values = match option.as_slice() {
                b"copy" | b"replace" => 0,
                b"auth" => 1,
                b"auth2" => 2,
                _ => return Err(syntax_error()),
            };
            match values {
                0 if option == b"copy" => options.is_copy = true,
                0 => options.replaces = true,
                _ if at + values < end => options.credentials = args.from(at + 1).take(values).collect(),
                _ => return Err(syntax_error()),
            }
            at += 1 + values;
        }
        Ok(options)
    }
}
