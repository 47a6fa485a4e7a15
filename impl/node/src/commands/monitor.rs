//! Owns MONITOR.

use crate::{client::Session, server::Server};
use slotbus_wire::resp::{Args, Reply};

pub(super) fn monitor<'e>(server: &'e mut Server, session: &mut Session, _: Args<'e>) -> Reply<'e> {
    server.monitors.insert(session.key);
    Reply::OK
}
