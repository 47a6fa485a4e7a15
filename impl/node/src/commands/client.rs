//! Owns the commands about connections: CLIENT.

use super::{cluster::no_such_form, connection::client_name, help_of, syntax_error};
use crate::{
    client::{Client, ReplyMode, Session},
    pause::Scope,
    pubsub::Subscriptions,
    server::Server,
    slab::Key,
    users::Users,
};
use slotbus_replication::Event;
use slotbus_wire::resp::{Args, Reply, parse_i64};
use std::net::SocketAddr;

pub(super) fn help<'e>(_: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    help_of(
        "CLIENT",
        &[
            ("CACHING (YES|NO)", "Whether what the next request reads is kept."),
            ("GETNAME", "The name of this connection."),
            ("GETREDIR", "Who is told in this connection's stead of keys that change."),
            ("ID", "The number of this connection."),
            ("INFO", "What is known of this connection."),
            ("KILL <ip:port>", "End the connection of a client at an address."),
            ("KILL <filter> <value> [...]", "End connections by ID, ADDR, LADDR, TYPE or USER; SKIPME yes|no."),
            ("LIST [TYPE <type> | ID <id> ...]", "What is known of all connections, or of some."),
            ("NO-EVICT (ON|OFF)", "Keep this connection when memory runs low."),
            ("PAUSE <milliseconds> [WRITE|ALL]", "Have writes, or all requests, wait."),
            ("REPLY (ON|OFF|SKIP)", "Which replies this connection gets."),
            ("SETNAME <name>", "Name this connection."),
            (
                "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> ...] [OPTIN] [OPTOUT] [NOLOOP]",
                "Be told of keys that change.",
            ),
            ("TRACKINGINFO", "What this connection is told of keys that change."),
            ("UNBLOCK <id> [TIMEOUT|ERROR]", "End a client's wait for an element."),
            ("UNPAUSE", "End what PAUSE began."),
        ],
    )
}

pub(super) fn id<'e>(_: &'e mut Server, session: &mut Session, _: Args<'e>) -> Reply<'e> {
    Reply::Integer(i64::try_from(session.id).unwrap_or(i64::MAX))
}

pub(super) fn getname<'e>(_: &'e mut Server, session: &mut Session, _: Args<'e>) -> Reply<'e> {
    if session.name.is_empty() { Reply::Null } else { Reply::text(session.name.clone()) }
}

pub(super) fn setname<'e>(_: &'e mut Server, session: &mut Session, args: Args<'e>) -> Reply<'e> {
    match client_name(args.at(2)) {
        Ok(name) => {
            session.name = name;
            Reply::OK
        }
        Err(refusal) => refusal,
    }
}

pub(super) fn no_evict<'e>(_: &'e mut Server, session: &mut Session, args: Args<'e>) -> Reply<'e> {
    session.is_kept = match args.at(2).to_ascii_lowercase().as_slice() {
        b"on" => true,
        b"off" => false,
        _ => return syntax_error(),
    };
    Reply::OK
}

pub(super) fn reply<'e>(_: &'e mut Server, session: &mut Session, args: Args<'e>) -> Reply<'e> {
    session.reply_mode = match args.at(2).to_ascii_lowercase().as_slice() {
        b"on" => ReplyMode::On,
        b"off" => ReplyMode::Off,
        b"skip" if session.reply_mode == ReplyMode::Off => ReplyMode::Off,
        b"skip" => ReplyMode::SkipNext,
        _ => return syntax_error(),
    };
    if session.reply_mode == ReplyMode::On { Reply::OK } else { Reply::Silence }
}

pub(super) fn info<'e>(server: &'e mut Server, session: &mut Session, _: Args<'e>) -> Reply<'e> {
    Reply::Verbatim(session.line(0, 0, server.now, &server.subscriptions).into())
}

pub(super) fn list<'e>(server: &'e mut Server, session: &mut Session, args: Args<'e>) -> Reply<'e> {
    let (class, ids) = match (args.get(2).map(<[u8]>::to_ascii_lowercase).as_deref(), args.len()) {
        (None, _) => (None, None),
        (Some(b"type"), 4) => match Class::named(args.at(3)) {
            Ok(class) => (Some(class), None),
            Err(refusal) => return refusal,
        },
        (Some(b"id"), 4..) => {
            let ids = args.from(3).map(|id| parse_i64(id).and_then(|id| u64::try_from(id).ok()));
            match ids.collect::<Option<Vec<u64>>>() {
                Some(ids) => (None, Some(ids)),
                None => return Reply::err("Invalid client ID"),
            }
        }
        _ => return syntax_error(),
    };
    let subscriptions = &server.subscriptions;
    let others = server.clients.iter().map(|(_, client)| (&client.session, client.held(), client.waiting()));
    let primary = server.replication.primary_client().map(|session| (session, 0, 0));
    let mut meant: Vec<_> = others.chain(primary).chain([(&*session, 0, 0)]).collect();
    meant.retain(|(session, ..)| {
        class.is_none_or(|class| class == Class::of(session, subscriptions))
            && ids.as_ref().is_none_or(|ids| ids.contains(&session.id))
    });
    meant.sort_by_key(|(session, ..)| session.id);
    let lines = meant.iter().map(|(session, held, waiting)| session.line(*held, *waiting, server.now, subscriptions));
    Reply::Verbatim(lines.collect::<String>().into())
}

pub(super) fn kill<'e>(server: &'e mut Server, session: &mut Session, args: Args<'e>) -> Reply<'e> {
    if args.len() == 3 {
        let filter = Filter { remote: Some(text(args.at(2))), spares_caller: false, ..Filter::default() };
        return match end(server, session, &filter) {
            0 => Reply::err("No such client"),
            _ => Reply::OK,
        };
    }
    match Filter::read(args.skip(2), &server.users) {
        Ok(filter) => Reply::count(end(server, session, &filter)),
        Err(refusal) => refusal,
    }
}

pub(super) fn pause<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    let scope = match (args.len(), args.at(3).to_ascii_lowercase().as_slice()) {
        (3, _) | (4, b"all") => Scope::All,
        (4, b"write") => Scope::Writes,
        (4, _) => return Reply::err("CLIENT PAUSE mode must be WRITE or ALL"),
        _ => return no_such_form(args, "CLIENT"),
    };
    let Some(duration_ms) = parse_i64(args.at(2)) else {
        return Reply::err("timeout is not an integer or out of range");
    };
    let Ok(duration_ms) = u64::try_from(duration_ms) else { return Reply::err("timeout is negative") };
    let now = server.now;
    server.pause.begin(now.after(duration_ms), scope, now);
    Reply::OK
}

pub(super) fn unpause<'e>(server: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    server.pause.end();
    server.releases_held = true;
    Reply::OK
}

pub(super) fn unblock<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    let is_error = match (args.len(), args.at(3).to_ascii_lowercase().as_slice()) {
        (3, _) | (4, b"timeout") => false,
        (4, b"error") => true,
        (4, _) => return Reply::err("CLIENT UNBLOCK reason should be TIMEOUT or ERROR"),
        _ => return no_such_form(args, "CLIENT"),
    };
    let Some(id) = parse_i64(args.at(2)) else { return super::not_an_integer() };
    let has_id = |client: &Client| i64::try_from(client.session.id) == Ok(id);
    let found: Option<Key> = server.clients.iter().filter(|(_, client)| has_id(client)).map(|(key, _)| key).last();
    let Some(key) = found else { return Reply::Integer(0) };
    let is_ended = if is_error {
        server.end_wait(key, &Reply::error("UNBLOCKED client unblocked via CLIENT UNBLOCK"))
    } else {
        server.end_wait_empty(key)
    };
    Reply::Integer(is_ended.into())
}

/// Which connections to end.
struct Filter {
    id: Option<u64>,
    remote: Option<String>,
    local: Option<String>,
    class: Option<Class>,
    user: Option<String>,
    spares_caller: bool,
}

impl Default for Filter {
    fn default() -> Self {
        Self { id: None, remote: None, local: None, class: None, user: None, spares_caller: true }
    }
}

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Normal,
    Replica,
    Primary,
    Subscriber,
}

impl Class {
    fn named(name: &[u8]) -> Result<Self, Reply<'static>> {
        match name.to_ascii_lowercase().as_slice() {
            b"normal" => Ok(Self::Normal),
            b"replica" | b"slave" => Ok(Self::Replica),
            b"master" => Ok(Self::Primary),
            b"pubsub" => Ok(Self::Subscriber),
            _ => Err(Reply::err(format_args!("Unknown client type '{}'", text(name)))),
        }
    }

    fn of(session: &Session, subscriptions: &Subscriptions) -> Self {
        match session {
            Session { is_primary: true, .. } => Self::Primary,
            Session { is_replica: true, .. } => Self::Replica,
            Session { key, .. } if subscriptions.has_any(*key) => Self::Subscriber,
            Session { .. } => Self::Normal,
        }
    }
}

impl Filter {
    fn read(args: Args<'_>, users: &Users) -> Result<Self, Reply<'static>> {
        let mut filter = Self::default();
        let mut at = 0;
        while let Some(option) = args.get(at) {
            let Some(value) = args.get(at + 1) else { return Err(syntax_error()) };
            match option.to_ascii_lowercase().as_slice() {
                b"id" => {
                    let id = parse_i64(value).and_then(|id| u64::try_from(id).ok()).filter(|&id| id > 0);
                    filter.id = Some(id.ok_or_else(|| Reply::err("client-id should be greater than 0"))?);
                }
                b"addr" => filter.remote = Some(text(value)),
                b"laddr" => filter.local = Some(text(value)),
                b"type" => filter.class = Some(Class::named(value)?),
                b"user" => match users.named(value) {
                    Some(user) => filter.user = Some(user.name.clone()),
                    None => return Err(Reply::err(format_args!("No such user '{}'", text(value)))),
                },
                b"skipme" => {
                    filter.spares_caller = match value.to_ascii_lowercase().as_slice() {
                        b"yes" => true,
                        b"no" => false,
                        _ => return Err(syntax_error()),
                    };
                }
                _ => return Err(syntax_error()),
            }
            at += 2;
        }
        Ok(filter)
    }

    fn means(&self, session: &Session, subscriptions: &Subscriptions) -> bool {
        let is = |wanted: &Option<String>, address: Option<SocketAddr>| match wanted {
            None => true,
            Some(wanted) => address.is_some_and(|address| address.to_string() == *wanted),
        };
        self.class.is_none_or(|class| class == Class::of(session, subscriptions))
            && self.id.is_none_or(|id| id == session.id)
            && self.user.as_ref().is_none_or(|user| *user == session.user_name())
            && is(&self.remote, session.remote)
            && is(&self.local, session.local)
    }
}

fn end(server: &mut Server, session: &mut Session, filter: &Filter) -> usize {
    let is_meant = |session: &Session| filter.means(session, &server.subscriptions);
    let meant = server.clients.iter().filter(|(_, client)| is_meant(&client.session));
    let doomed: Vec<Key> = meant.map(|(key, _)| key).collect();
    let is_primary_meant = server.replication.primary_client().is_some_and(is_meant);
    let is_caller_meant = !filter.spares_caller && is_meant(session);
    let count = doomed.len() + usize::from(is_primary_meant) + usize::from(is_caller_meant);
    server.doomed.extend(doomed);
    session.is_closing |= is_caller_meant;
    if is_primary_meant {
        server.replicate(Event::Lost);
    }
    count
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
