//! Owns the commands about the process: TIME, SHUTDOWN.

use super::syntax_error;
use crate::{client::Session, dispatch::busy, server::Server};
use slotbus_wire::resp::{Args, Reply};

pub(super) fn time<'e>(server: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    let now = server.clock.since_epoch();
    Reply::Array(vec![Reply::text(now.as_secs().to_string()), Reply::text(now.subsec_micros().to_string())])
}

pub(super) fn shutdown<'e>(server: &'e mut Server, session: &mut Session, args: Args<'e>) -> Reply<'e> {
    let has = |option: &[u8]| args.from(1).any(|arg| arg.eq_ignore_ascii_case(option));
    let known: [&[u8]; 5] = [b"nosave", b"save", b"now", b"force", b"abort"];
    let is_known = |arg: &[u8]| known.iter().any(|option| arg.eq_ignore_ascii_case(option));
    let is_contradictory = has(b"save") && has(b"nosave") || has(b"abort") && args.len() > 2;
    if !args.from(1).all(is_known) || is_contradictory {
        return syntax_error();
    }
    let running = server.scripts.running.as_ref().filter(|running| running.is_late && !has(b"nosave"));
    if let Some(running) = running {
        return busy(running);
    }
    if has(b"abort") {
        return Reply::err("No shutdown in progress.");
    }
    server.log.warning(format_args!("User requested shutdown..."));
    let is_asked = if has(b"save") { Some(true) } else { has(b"nosave").then_some(false) };
    if !server.save_before_end(is_asked) && !has(b"force") {
        return Reply::err("Errors trying to SHUTDOWN. Check logs.");
    }
    server.is_ending = true;
    session.is_closing = true;
    Reply::Silence
}
