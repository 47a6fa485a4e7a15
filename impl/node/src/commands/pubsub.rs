//! Owns the commands about channels: subscribing, publishing, PUBSUB.

use super::{cluster::ask, help_of};
use crate::{client::Session, glob, pubsub::Kind, server::Server};
use slotbus_core::{Command, message::Publication};
use slotbus_wire::resp::{Args, Reply};

pub(super) fn subscribe<'e>(server: &'e mut Server, session: &mut Session, args: Args<'e>) -> Reply<'e> {
    begin(server, session, args, Kind::Channel)
}

pub(super) fn psubscribe<'e>(server: &'e mut Server, session: &mut Session, args: Args<'e>) -> Reply<'e> {
    begin(server, session, args, Kind::Pattern)
}

pub(super) fn ssubscribe<'e>(server: &'e mut Server, session: &mut Session, args: Args<'e>) -> Reply<'e> {
    if session.is_executing {
        return Reply::err("SSUBSCRIBE isn't allowed for a DENY BLOCKING client");
    }
    begin(server, session, args, Kind::Shard)
}

pub(super) fn unsubscribe<'e>(server: &'e mut Server, session: &mut Session, args: Args<'e>) -> Reply<'e> {
    end(server, session, args, Kind::Channel)
}

pub(super) fn punsubscribe<'e>(server: &'e mut Server, session: &mut Session, args: Args<'e>) -> Reply<'e> {
    end(server, session, args, Kind::Pattern)
}

pub(super) fn sunsubscribe<'e>(server: &'e mut Server, session: &mut Session, args: Args<'e>) -> Reply<'e> {
    end(server, session, args, Kind::Shard)
}

fn begin<'e>(server: &mut Server, session: &Session, args: Args<'e>, kind: Kind) -> Reply<'e> {
    let confirmations = args.from(1).map(|name| {
        server.subscriptions.add(session.key, kind, name);
        confirmation(kind.begun(), Reply::bulk(name), server.subscriptions.count(session.key, kind))
    });
    Reply::Sequence(confirmations.collect())
}

fn end<'e>(server: &mut Server, session: &Session, args: Args<'e>, kind: Kind) -> Reply<'e> {
    let names: Vec<Vec<u8>> = if args.len() > 1 {
        args.from(1).map(<[u8]>::to_vec).collect()
    } else {
        server.subscriptions.of(session.key, kind).map(<[u8]>::to_vec).collect()
    };
    if names.is_empty() {
        return confirmation(kind.ended(), Reply::Null, server.subscriptions.count(session.key, kind));
    }
    let confirmations = names.into_iter().map(|name| {
        server.subscriptions.remove(session.key, kind, &name);
        confirmation(kind.ended(), Reply::bulk(name), server.subscriptions.count(session.key, kind))
    });
    Reply::Sequence(confirmations.collect())
}

fn confirmation<'e>(word: &'static str, name: Reply<'e>, count: usize) -> Reply<'e> {
    Reply::Push(vec![Reply::text(word), name, Reply::count(count)])
}

pub(super) fn publish<'e>(server: &'e mut Server, session: &mut Session, args: Args<'e>) -> Reply<'e> {
    send(server, session, args, false)
}

pub(super) fn spublish<'e>(server: &'e mut Server, session: &mut Session, args: Args<'e>) -> Reply<'e> {
    send(server, session, args, true)
}

/// Hands a message to who listens here, and to the bus; says how many listen here.
fn send<'e>(server: &mut Server, session: &mut Session, args: Args<'e>, is_sharded: bool) -> Reply<'e> {
    let publication = Publication { channel: args.at(1).to_vec(), payload: args.at(2).to_vec() };
    let count = server.deliver(Some(session), &publication, is_sharded);
    if server.bus.is_some() {
        let sent = ask(server, Ok(Command::Publish { publication, sharded: is_sharded }));
        if sent.is_error() {
            return sent;
        }
    }
    Reply::count(count)
}

pub(super) fn channels<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    list(server, args, Kind::Channel)
}

pub(super) fn shardchannels<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    list(server, args, Kind::Shard)
}

fn list<'e>(server: &'e Server, args: Args<'e>, kind: Kind) -> Reply<'e> {
    if args.len() > 3 {
        return super::cluster::no_such_form(args, "PUBSUB");
    }
    let names = server.subscriptions.names(kind);
    let wanted = names.filter(|name| args.get(2).is_none_or(|pattern| glob::matches(pattern, name, false)));
    Reply::Array(wanted.map(Reply::bulk).collect())
}

pub(super) fn numsub<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    count(server, args, Kind::Channel)
}

pub(super) fn shardnumsub<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    count(server, args, Kind::Shard)
}

fn count<'e>(server: &Server, args: Args<'e>, kind: Kind) -> Reply<'e> {
    let counts =
        args.from(2).flat_map(|name| [Reply::bulk(name), Reply::count(server.subscriptions.listeners(kind, name))]);
    Reply::Array(counts.collect())
}

pub(super) fn numpat<'e>(server: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    Reply::count(server.subscriptions.names(Kind::Pattern).count())
}

pub(super) fn help<'e>(_: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    help_of(
        "PUBSUB",
        &[
            ("CHANNELS [<pattern>]", "Channels that somebody listens to here."),
            ("NUMPAT", "How many patterns somebody listens to here."),
            ("NUMSUB [<channel> ...]", "How many listen to channels here."),
            ("SHARDCHANNELS [<pattern>]", "Channels of shards that somebody listens to here."),
            ("SHARDNUMSUB [<channel> ...]", "How many listen to channels of shards here."),
        ],
    )
}
