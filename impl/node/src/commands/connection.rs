//! Owns the commands about the connection that they come in on: PING, ECHO, AUTH, HELLO, SELECT,
//! RESET, QUIT.

use super::{options::small_integer, out_of_databases, syntax_error};
use crate::{client::Session, server::Server, users};
use slotbus_core::Flags;
use slotbus_wire::resp::{Args, Protocol, Reply, parse_i64};

/// What clients are told this is. They choose features by it, so it must name the version whose
/// behaviour this node has, not this node's own.
pub const REDIS_VERSION: &str = "7.0.15";

const WRONG_PASSWORD: &str = "WRONGPASS invalid username-password pair or user is disabled.";

pub(super) fn ping<'e>(server: &'e mut Server, session: &mut Session, args: Args<'e>) -> Reply<'e> {
    match args.len() {
        // Who listens in the older protocol gets everything in the shape of a message.
        1 | 2 if session.protocol == Protocol::Two && server.subscriptions.has_any(session.key) => {
            Reply::Array(vec![Reply::text("pong"), Reply::bulk(args.at(1))])
        }
        1 => Reply::status("PONG"),
        2 => Reply::bulk(args.at(1)),
        _ => Reply::err("wrong number of arguments for 'ping' command"),
    }
}

pub(super) fn echo<'e>(_: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    Reply::bulk(args.at(1))
}

pub(super) fn quit<'e>(_: &'e mut Server, session: &mut Session, _: Args<'e>) -> Reply<'e> {
    session.is_closing = true;
    Reply::OK
}

pub(super) fn reset<'e>(server: &'e mut Server, session: &mut Session, _: Args<'e>) -> Reply<'e> {
    session.reset(server.users.unasked());
    server.forget(session);
    Reply::status("RESET")
}

pub(super) fn select<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    match small_integer(args.at(1)) {
        Err(refusal) => refusal,
        Ok(0) => Reply::OK,
        Ok(_) if server.bus.is_some() => Reply::err("SELECT is not allowed in cluster mode"),
        Ok(_) => out_of_databases(),
    }
}

pub(super) fn auth<'e>(server: &'e mut Server, session: &mut Session, args: Args<'e>) -> Reply<'e> {
    let (user, password) = match args.len() {
        2 if server.users.named(users::DEFAULT.as_bytes()).is_some_and(|user| user.is_open) => {
            return Reply::err(
                "AUTH <password> called without any password configured for the default user. \
                 Are you sure your configuration is correct?",
            );
        }
        2 => (users::DEFAULT.as_bytes(), args.at(1)),
        3 => (args.at(1), args.at(2)),
        _ => return syntax_error(),
    };
    match log_in(server, session, args, (user, password)) {
        Ok(()) => Reply::OK,
        Err(refusal) => refusal,
    }
}

pub(super) fn hello<'e>(server: &'e mut Server, session: &mut Session, args: Args<'e>) -> Reply<'e> {
    let protocol = match args.get(1).map(parse_i64) {
        None => session.protocol,
        Some(None) => return Reply::err("Protocol version is not an integer or out of range"),
        Some(Some(2)) => Protocol::Two,
        Some(Some(3)) => Protocol::Three,
        Some(Some(_)) => return Reply::error("NOPROTO unsupported protocol version"),
    };
    let options = match Options::read(args.skip(2)) {
        Ok(options) => options,
        Err(refusal) => return refusal,
    };
    if let Some(credentials) = options.credentials
        && let Err(refusal) = log_in(server, session, args, credentials)
    {
        return refusal;
    }
    if session.user.is_none() {
        return Reply::error(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> \
             <pass> option can be used to authenticate the client and select the RESP protocol version at \
             the same time",
        );
    }
    if let Some(name) = options.name {
        match client_name(name) {
            Ok(name) => session.name = name,
            Err(refusal) => return refusal,
        }
    }
    session.protocol = protocol;
    describe(server, session)
}

/// What may follow the version in HELLO.
#[derive(Default)]
struct Options<'a> {
    credentials: Option<(&'a [u8], &'a [u8])>,
    name: Option<&'a [u8]>,
}

impl<'a> Options<'a> {
    fn read(args: Args<'a>) -> Result<Self, Reply<'static>> {
        let mut options = Self::default();
        let mut at = 0;
        while let Some(option) = args.get(at) {
            let values = args.len() - at - 1;
            if option.eq_ignore_ascii_case(b"auth") && values >= 2 {
                options.credentials = Some((args.at(at + 1), args.at(at + 2)));
                at += 3;
            } else if option.eq_ignore_ascii_case(b"setname") && values >= 1 {
                options.name = Some(args.at(at + 1));
                at += 2;
            } else {
                let option = String::from_utf8_lossy(option);
                return Err(Reply::err(format_args!("Syntax error in HELLO option '{option}'")));
            }
        }
        Ok(options)
    }
}

fn describe<'e>(server: &Server, session: &Session) -> Reply<'e> {
    let is_replica = server.bus.as_ref().is_some_and(|bus| bus.node().myself().is(Flags::REPLICA));
    let mode = if server.bus.is_some() { "cluster" } else { "standalone" };
    let version = if session.protocol == Protocol::Three { 3 } else { 2 };
    Reply::Map(vec![
        (Reply::text("server"), Reply::text("redis")),
        (Reply::text("version"), Reply::text(REDIS_VERSION)),
        (Reply::text("proto"), Reply::Integer(version)),
        (Reply::text("id"), Reply::Integer(i64::try_from(session.id).unwrap_or(i64::MAX))),
        (Reply::text("mode"), Reply::text(mode)),
        (Reply::text("role"), Reply::text(if is_replica { "replica" } else { "master" })),
        (Reply::text("modules"), Reply::Array(vec![])),
    ])
}

/// Has a connection be the user that it says it is, if the password is right.
fn log_in(
    server: &mut Server,
    session: &mut Session,
    args: Args<'_>,
    (name, password): (&[u8], &[u8]),
) -> Result<(), Reply<'static>> {
    match server.users.log_in(name, password) {
        Some(user) => {
            session.user = Some(user);
            Ok(())
        }
        None => {
            server.note_refusal(session, "auth", args.at(0), &String::from_utf8_lossy(name));
            Err(Reply::error(WRONG_PASSWORD))
        }
    }
}

/// A connection's name, if it is fit to stand in a line of CLIENT LIST.
pub(super) fn client_name(name: &[u8]) -> Result<String, Reply<'static>> {
    match std::str::from_utf8(name) {
        Ok(text) if name.iter().all(|byte| (b'!'..=b'~').contains(byte)) => Ok(text.to_owned()),
        Ok(_) | Err(_) => Err(Reply::err("Client names cannot contain spaces, newlines or special characters.")),
    }
}
