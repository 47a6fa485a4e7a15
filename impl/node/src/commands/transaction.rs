//! Owns transactions: MULTI, EXEC, DISCARD, WATCH, UNWATCH.

use crate::{
    client::{Session, Transaction},
    dispatch,
    server::Server,
};
use slotbus_wire::resp::{Args, Reply};

pub(super) fn multi<'e>(_: &'e mut Server, session: &mut Session, _: Args<'e>) -> Reply<'e> {
    if session.transaction.is_some() {
        return Reply::err("MULTI calls can not be nested");
    }
    session.transaction = Some(Transaction::default());
    Reply::OK
}

pub(super) fn discard<'e>(_: &'e mut Server, session: &mut Session, _: Args<'e>) -> Reply<'e> {
    match session.transaction.take() {
        Some(_) => {
            session.watched.clear();
            Reply::OK
        }
        None => Reply::err("DISCARD without MULTI"),
    }
}

pub(super) fn watch<'e>(server: &'e mut Server, session: &mut Session, args: Args<'e>) -> Reply<'e> {
    if session.transaction.is_some() {
        return Reply::err("WATCH inside MULTI is not allowed");
    }
    for key in args.from(1) {
        // A key that is watched already keeps the change that was first seen.
        if session.watched.iter().all(|(watched, _)| **watched != *key) {
            session.watched.push((key.into(), server.store.revision(key, server.now)));
        }
    }
    Reply::OK
}

pub(super) fn unwatch<'e>(_: &'e mut Server, session: &mut Session, _: Args<'e>) -> Reply<'e> {
    session.watched.clear();
    Reply::OK
}

pub(super) fn exec<'e>(server: &'e mut Server, session: &mut Session, _: Args<'e>) -> Reply<'e> {
    let Some(transaction) = session.transaction.take() else { return Reply::err("EXEC without MULTI") };
    let watched = std::mem::take(&mut session.watched);
    if transaction.is_dirty {
        return Reply::error("EXECABORT Transaction discarded because of previous errors.");
    }
    if watched.iter().any(|(key, revision)| server.store.revision(key, server.now) != *revision) {
        return Reply::NullArray;
    }
    let mut replies = Vec::with_capacity(transaction.requests.len());
    for request in &transaction.requests {
        let args = request.args();
        // Each was looked up when it was queued; commands do not go away.
        let reply = match dispatch::look_up(args) {
            Ok(command) => dispatch::run(server, session, command, args).into_owned(),
            Err(refusal) => refusal,
        };
        replies.push(reply);
    }
    Reply::Array(replies)
}
