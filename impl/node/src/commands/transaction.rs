//! Owns transactions: MULTI, EXEC, DISCARD, WATCH, UNWATCH.

use crate::{
    client::{Session, Transaction, Watch},
    dispatch,
    server::Server,
    users::Denial,
};
use slotbus_wire::resp::{Args, Reply};

pub(super) fn multi<'e>(_: &'e mut Server, session: &mut Session, _: Args<'e>) -> Reply<'e> {
    if session.transaction.is_some() {
        return Reply::err("MULTI calls can not be nested");
    }
    session.transaction = Some(Transaction::default());
    Reply::OK
}

pub(super) fn discard<'e>(server: &'e mut Server, session: &mut Session, _: Args<'e>) -> Reply<'e> {
    match session.transaction.take() {
        Some(_) => {
            server.unwatch(session);
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
        if session.watched.iter().all(|watch| *watch.key != *key) {
            let was_there = server.store.contains(key, server.now);
            session.watched.push(Watch { key: key.into(), revision: server.store.news.watch(key), was_there });
        }
    }
    Reply::OK
}

pub(super) fn unwatch<'e>(server: &'e mut Server, session: &mut Session, _: Args<'e>) -> Reply<'e> {
    server.unwatch(session);
    Reply::OK
}

/// Whether a key that is watched has changed.
pub(crate) fn has_watched_change(server: &Server, session: &Session) -> bool {
    session.watched.iter().any(|watch| server.store.news.revision(&watch.key) != watch.revision)
}

pub(super) fn exec<'e>(server: &'e mut Server, session: &mut Session, _: Args<'e>) -> Reply<'e> {
    let Some(transaction) = session.transaction.take() else { return Reply::err("EXEC without MULTI") };
    let is_gone = |watch: &Watch| watch.was_there && !server.store.contains(&watch.key, server.now);
    let has_changed = has_watched_change(server, session) || session.watched.iter().any(is_gone);
    server.unwatch(session);
    if transaction.is_dirty {
        return Reply::error("EXECABORT Transaction discarded because of previous errors.");
    }
    if has_changed {
        return Reply::NullArray;
    }
    let mut replies = Vec::with_capacity(transaction.requests.len());
    session.is_executing = true;
    let own = session.running;
    for request in &transaction.requests {
        let args = request.args();
        // Each was looked up when it was queued; commands do not go away.
        let reply = match dispatch::look_up(args) {
            Ok(command) => match dispatch::check_user(server, session, command, args) {
                Ok(()) => {
                    let reply = dispatch::run(server, session, command, args).into_owned();
                    server.note_done(session, args, reply.error_text());
                    reply
                }
                Err(denial) => no_longer_allowed(&denial),
            },
            Err(refusal) => refusal,
        };
        replies.push(reply);
    }
    session.is_executing = false;
    session.running = own;
    Reply::Array(replies)
}

/// What the user may do has changed since the request was queued.
fn no_longer_allowed(denial: &Denial) -> Reply<'static> {
    let reason = match denial {
        Denial::Command => "no permission to execute the command or subcommand",
        Denial::Key(..) => "no permission to touch the specified keys",
        Denial::Channel(..) => "no permission to access one of the channels used as arguments to the command",
    };
    Reply::error(format!(
        "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command \
         is no longer allowed for the following reason: {reason}"
    ))
}
