//! Owns the commands about snapshots: SAVE, BGSAVE, LASTSAVE.

use super::syntax_error;
use crate::{client::Session, server::Server};
use slotbus_wire::resp::{Args, Reply};

const UNDER_WAY: &str = "Background save already in progress";

pub(super) fn save<'e>(server: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    if server.saves.is_under_way() || server.store.has_image() {
        return Reply::err(UNDER_WAY);
    }
    // What went wrong is in the log.
    server.save().map_or_else(|_| Reply::error("ERR"), |()| Reply::OK)
}

pub(super) fn bgsave<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    let is_known = args.len() == 1 || args.len() == 2 && args.at(1).eq_ignore_ascii_case(b"schedule");
    if !is_known {
        return syntax_error();
    }
    if server.saves.is_under_way() {
        return Reply::err(UNDER_WAY);
    }
    // What went wrong is in the log.
    server.begin_save().map_or_else(|_| Reply::error("ERR"), |()| Reply::status("Background saving started"))
}

pub(super) fn lastsave<'e>(server: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    Reply::Integer(i64::try_from(server.saves.last_s).unwrap_or(i64::MAX))
}
