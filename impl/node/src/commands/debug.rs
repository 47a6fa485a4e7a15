//! Owns the command for tests and for the curious: DEBUG, where the configuration allows it.

use super::{NOT_AN_INTEGER, help_of, syntax_error};
use crate::{
    client::Session,
    server::Server,
    snapshot,
    store::{digest::Digest, eviction::Eviction, news::Class},
};
use slotbus_core::LinkId;
use slotbus_wire::{
    dump, number,
    resp::{Args, Protocol, Reply, parse_i64},
};
use std::time::Duration;

const NOT_ALLOWED: &str = "DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run \
    it from a local connection, otherwise you need to set this option in the configuration file, and then restart the server.";
const WRONG_TYPE_NAME: &str = "Wrong protocol type name. Please use one of the following: \
    string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false";

/// What a client is told that may not use DEBUG.
pub(crate) fn refuse_debug(server: &Server, session: &Session) -> Option<Reply<'static>> {
    let is_near = session.remote.is_none_or(|remote| remote.ip().to_canonical().is_loopback());
    let is_allowed = match server.settings.text("enable-debug-command") {
        "yes" => true,
        "local" => is_near,
        _ => false,
    };
    (!is_allowed).then(|| Reply::err(NOT_ALLOWED))
}

pub(super) fn debug<'e>(server: &'e mut Server, session: &mut Session, args: Args<'e>) -> Reply<'e> {
    match (args.at(1).to_ascii_lowercase().as_slice(), args.len()) {
        (b"help", 2) => help(),
        (b"sleep", 3) => sleep(args.at(2)),
        (b"object", 3 | 4) => object(server, args.at(2)),
        (b"digest", 2) => Reply::status(Digest::of_store(&server.store).to_string()),
        (b"digest-value", 3..) => digest_value(server, args),
        (b"set-active-expire", 3) => {
            server.seeks_expired = args.at(2) != b"0";
            Reply::OK
        }
        (b"loadaof", 2) => load_aof(server),
        (b"reload", 2..) => reload(server, args),
        (b"error", 3) => Reply::error(String::from_utf8_lossy(args.at(2)).into_owned()),
        (b"log", 3) => {
            server.log.warning(format_args!("DEBUG LOG: {}", String::from_utf8_lossy(args.at(2))));
            Reply::OK
        }
        (b"drop-cluster-packet-filter", 3) => drop_packets(server, args.at(2)),
        (b"clusterlink", 5) if args.at(2).eq_ignore_ascii_case(b"kill") => kill_links(server, args),
        (b"populate", 3..=5) => populate(server, args),
        (b"protocol", 3) => example(args.at(2), session.protocol),
        _ => Reply::err(format_args!(
            "unknown subcommand or wrong number of arguments for '{}'. Try DEBUG HELP.",
            String::from_utf8_lossy(args.at(1))
        )),
    }
}

fn help() -> Reply<'static> {
    help_of(
        "DEBUG",
        &[
            ("CLUSTERLINK KILL (TO|FROM|ALL) <id>", "Cut the links to a node, from it, or both."),
            ("DIGEST", "A digest of all keys and values."),
            ("DIGEST-VALUE <key> [<key> ...]", "Digests of values."),
            ("DROP-CLUSTER-PACKET-FILTER <kind>", "Drop packets of the bus of this kind as they come; -1 for none."),
            ("ERROR <text>", "Answer with an error."),
            ("LOADAOF", "Load all keys from the append-only files again."),
            ("LOG <text>", "Write to the log."),
            ("OBJECT <key>", "How a value is held."),
            ("POPULATE <count> [<prefix>] [<size>]", "Make keys."),
            ("PROTOCOL <type>", "Answer with an example of a type."),
            ("RELOAD [NOSAVE|MERGE|NOFLUSH]", "Save all keys and load them again."),
            ("SET-ACTIVE-EXPIRE (0|1)", "Whether expired keys are looked for."),
            ("SLEEP <seconds>", "Do nothing, for anybody."),
        ],
    )
}

/// Whoever asks for this wants the whole node to stand still.
fn sleep(seconds: &[u8]) -> Reply<'static> {
    let duration = number::parse_f64(seconds).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    std::thread::sleep(duration.unwrap_or_default());
    Reply::OK
}

fn drop_packets(server: &mut Server, kind: &[u8]) -> Reply<'static> {
    let Some(kind) = parse_i64(kind) else { return Reply::err(NOT_AN_INTEGER) };
    if let Some(bus) = &mut server.bus {
        bus.be_deaf_to(u16::try_from(kind).ok());
    }
    Reply::OK
}

fn kill_links(server: &mut Server, args: Args<'_>) -> Reply<'static> {
    let Some(bus) = &mut server.bus else {
        return Reply::err("Debug option only available for cluster mode enabled setup!");
    };
    let is = |word: &[u8]| args.at(3).eq_ignore_ascii_case(word);
    let (is_to, is_from) = (is(b"to") || is(b"all"), is(b"from") || is(b"all"));
    if !is_to && !is_from {
        return Reply::err(format_args!("Unknown direction {}", String::from_utf8_lossy(args.at(3))));
    }
    let id = std::str::from_utf8(args.at(4)).ok().and_then(|id| id.parse().ok());
    let Some(peer) = id.and_then(|id| bus.node().peers().get(&id)) else {
        return Reply::err(format_args!("Unknown node {}", String::from_utf8_lossy(args.at(4))));
    };
    let to = peer.outbound.filter(|_| is_to).map(LinkId::Outbound);
    let from = peer.inbound.filter(|_| is_from).map(LinkId::Inbound);
    to.into_iter().chain(from).for_each(|link| bus.cut(link));
    Reply::OK
}

fn object(server: &Server, key: &[u8]) -> Reply<'static> {
    const OVERHEAD: usize = 11;
    let Some(entry) = server.store.peek(key).filter(|entry| !entry.is_expired(server.now)) else {
        return Reply::err("no such key");
    };
    let view = entry.view();
    let length = dump::dump(view.body(), false).len().saturating_sub(OVERHEAD);
    let idle_s = Eviction::idle_s(entry.used(), server.now);
    Reply::status(format!(
        "Value at:{:p} refcount:1 encoding:{} serializedlength:{length} lru:{} lru_seconds_idle:{idle_s}",
        std::ptr::from_ref(entry),
        view.encoding(),
        (server.now.0 / 1000).saturating_sub(idle_s.into()),
    ))
}

fn digest_value<'e>(server: &Server, args: Args<'e>) -> Reply<'e> {
    let present = |key| server.store.peek(key).filter(|entry| !entry.is_expired(server.now));
    Reply::Array(args.from(2).map(|key| Reply::status(Digest::of_value(present(key)).to_string())).collect())
}

fn reload(server: &mut Server, args: Args<'_>) -> Reply<'static> {
    let has = |option: &[u8]| args.from(2).any(|arg| arg.eq_ignore_ascii_case(option));
    let known: [&[u8]; 3] = [b"nosave", b"merge", b"noflush"];
    if !args.from(2).all(|arg| known.iter().any(|option| arg.eq_ignore_ascii_case(option))) {
        return Reply::err("DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.");
    }
    if server.saves.is_under_way() {
        return Reply::err("Background save already in progress");
    }
    if !has(b"nosave") && server.save().is_err() {
        return Reply::err("Error trying to save the DB. Check server logs.");
    }
    if !has(b"noflush") {
        server.store.clear();
        server.store.libraries.clear();
    }
    let load = if has(b"merge") { snapshot::merge } else { snapshot::load };
    let loaded = load(&server.settings.path("dbfilename"), &mut server.store);
    match loaded.and_then(|_| server.adopt_libraries()) {
        Ok(_) => Reply::OK,
        Err(_) => Reply::err("Error trying to load the RDB dump"),
    }
}

fn load_aof(server: &mut Server) -> Reply<'static> {
    match server.reload_aof() {
        Ok(()) => {
            server.log.warning(format_args!("Append Only File loaded by DEBUG LOADAOF"));
            Reply::OK
        }
        Err(message) => {
            server.log.warning(format_args!("{message}"));
            Reply::err("Error trying to load the AOF files, check server logs.")
        }
    }
}

fn populate(server: &mut Server, args: Args<'_>) -> Reply<'static> {
    let count = |at: usize| args.get(at).map_or(Some(0), parse_i64).and_then(|count| usize::try_from(count).ok());
    let (Some(keys), Some(size)) = (count(2), count(4)) else {
        return Reply::err("value is out of range, must be positive");
    };
    if args.len() > 5 {
        return syntax_error();
    }
    let prefix = if args.len() > 3 { args.at(3) } else { b"key" };
    server.tell_time();
    for number in 0..keys {
        let key = [prefix, b":", number.to_string().as_bytes()].concat();
        if server.store.contains(&key, server.now) {
            continue;
        }
        let mut text = format!("value:{number}").into_bytes();
        if size > 0 {
            text.resize(size, 0);
        }
        server.store.set(&key, &text, crate::store::Expiry::Never);
        server.store.news.tell(Class::STRING, "set", &key);
    }
    Reply::OK
}

/// One reply of each type, for the authors of clients.
#[expect(clippy::approx_constant, reason = "the example that clients' tests know")]
fn example(kind: &[u8], protocol: Protocol) -> Reply<'static> {
    let numbers = || (0..3).map(Reply::Integer);
    match kind.to_ascii_lowercase().as_slice() {
        b"string" => Reply::text("Hello World"),
        b"integer" => Reply::Integer(12345),
        b"double" => Reply::Double(3.141),
        b"null" => Reply::Null,
        b"array" => Reply::Array(numbers().collect()),
        b"set" => Reply::Set(numbers().collect()),
        b"map" => {
            Reply::Map(numbers().map(|number| (number.clone(), Reply::Boolean(number == Reply::Integer(1)))).collect())
        }
        b"push" if protocol == Protocol::Two => Reply::err("RESP2 is not supported by this command"),
        b"push" => Reply::Push(vec![Reply::text("server-cpu-usage"), Reply::Integer(42)]),
        b"verbatim" => Reply::Verbatim("This is a verbatim\nstring".into()),
        b"true" => Reply::Boolean(true),
        b"false" => Reply::Boolean(false),
        b"bignum" => Reply::BigNumber("1234567999999999999999999999999999999".into()),
        _ => Reply::err(WRONG_TYPE_NAME),
    }
}
