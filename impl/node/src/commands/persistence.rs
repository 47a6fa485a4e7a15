//! Owns the commands about files of keys: SAVE, BGSAVE, LASTSAVE, BGREWRITEAOF.

use super::syntax_error;
use crate::{aof::rewrite::Begun, client::Session, server::Server};
use slotbus_wire::resp::{Args, Reply};

const UNDER_WAY: &str = "Background save already in progress";
const NOT_NOW: &str = "Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to \
    schedule a BGSAVE whenever possible.";

pub(super) fn save<'e>(server: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    if server.is_copying() {
        return Reply::err(UNDER_WAY);
    }
    // What went wrong is in the log.
    server.save().map_or_else(|_| Reply::error("ERR"), |()| Reply::OK)
}

pub(super) fn bgsave<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    let is_scheduled = args.len() == 2 && args.at(1).eq_ignore_ascii_case(b"schedule");
    if args.len() > 1 && !is_scheduled {
        return syntax_error();
    }
    if server.saves.is_under_way() {
        return Reply::err(UNDER_WAY);
    }
    if server.is_copying() {
        if !is_scheduled {
            return Reply::err(NOT_NOW);
        }
        server.schedule_save();
        return Reply::status("Background saving scheduled");
    }
    // What went wrong is in the log.
    server.begin_save().map_or_else(|_| Reply::error("ERR"), |()| Reply::status("Background saving started"))
}

pub(super) fn lastsave<'e>(server: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    Reply::Integer(i64::try_from(server.saves.last_s).unwrap_or(i64::MAX))
}

pub(super) fn bgrewriteaof<'e>(server: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    if server.aof.is_rewriting() {
        return Reply::err("Background append only file rewriting already in progress");
    }
    match server.rewrite_or_schedule() {
        Ok(Begun::Now) => Reply::status("Background append only file rewriting started"),
        Ok(Begun::Later) => Reply::status("Background append only file rewriting scheduled"),
        Err(_) => {
            Reply::err("Can't execute an AOF background rewriting. Please check the server logs for more information.")
        }
    }
}
