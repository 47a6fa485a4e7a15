//! Owns the way of one request to its command: what is unknown, of the wrong shape, not allowed or
//! not here is refused, in redis-server's order; a transaction's request is queued; the rest is carried out.
//!
//! Must not know what any command does.

use crate::{
    client::Session,
    command::{Command, Traits},
    commands::COMMANDS,
    route::{Demand, Route, route},
    server::Server,
};
use slotbus_core::{NodeId, Slot};
use slotbus_wire::resp::{Args, Reply};

/// Carries out one request.
pub fn execute<'e>(server: &'e mut Server, session: &mut Session, args: Args<'e>) -> Reply<'e> {
    let command = match admit(server, session, args) {
        Ok(command) => command,
        Err(refusal) => {
            match &mut session.transaction {
                Some(transaction) => transaction.is_dirty = true,
                None => session.is_asking = false,
            }
            return refusal;
        }
    };
    if let Some(transaction) = &mut session.transaction
        && !is_immediate(command)
    {
        transaction.requests.push(args.to_owned());
        return Reply::status("QUEUED");
    }
    run(server, session, command, args)
}

/// Carries out a request that was admitted.
pub fn run<'e>(server: &'e mut Server, session: &mut Session, command: &Command, args: Args<'e>) -> Reply<'e> {
    server.counters.commands += 1;
    if command.name != "asking" && session.transaction.is_none() {
        session.is_asking = false;
    }
    (command.run)(server, session, args)
}

/// The command of a request's name, with its subcommand if it has some.
pub fn look_up(args: Args<'_>) -> Result<&'static Command, Reply<'static>> {
    let Some(command) = Command::find(COMMANDS, args.at(0)) else { return Err(unknown(args)) };
    if command.subcommands.is_empty() || args.len() < 2 {
        return Ok(command);
    }
    Command::find(command.subcommands, args.at(1)).ok_or_else(|| {
        let container = command.name.to_ascii_uppercase();
        Reply::err(format_args!("unknown subcommand '{}'. Try {container} HELP.", shown(args.at(1), 128)))
    })
}

/// Whether a request may be carried out, or queued.
fn admit(server: &mut Server, session: &mut Session, args: Args<'_>) -> Result<&'static Command, Reply<'static>> {
    let command = match look_up(args) {
        Ok(command) => command,
        Err(refusal) => {
            if is_web_request(args.at(0)) {
                server.log.warning(format_args!(
                    "Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: commands to \
                     this node. The connection of client {} is closed.",
                    session.id
                ));
                session.is_closing = true;
                return Err(Reply::Silence);
            }
            return Err(refusal);
        }
    };
    if !command.takes(args.len()) {
        return Err(Reply::err(format_args!("wrong number of arguments for '{}' command", command.name)));
    }
    session.last_command = command.name;
    if !session.is_authenticated && !command.traits.contains(Traits::NO_AUTH) {
        return Err(Reply::error("NOAUTH Authentication required."));
    }
    if session.transaction.is_some() && command.traits.contains(Traits::NO_MULTI) {
        return Err(Reply::err("Command not allowed inside a transaction"));
    }
    match locate(server, session, command, args) {
        None => Ok(command),
        Some(redirection) => {
            if command.name == "exec" {
                session.transaction = None;
            }
            Err(redirection)
        }
    }
}

/// Where a request's keys are; nothing if they are here.
fn locate(server: &Server, session: &Session, command: &Command, args: Args<'_>) -> Option<Reply<'static>> {
    let bus = server.bus.as_ref()?;
    let demand = |is_write| Demand {
        is_write,
        is_asking: session.is_asking,
        is_readonly: session.is_readonly,
        reads_when_down: server.limits.reads_when_down,
    };
    let is_here = |key: &[u8]| server.store.contains(key, server.now);
    let found = match (&session.transaction, command.name) {
        // A transaction is looked at as a whole once more: slots may have moved since it was queued.
        (Some(transaction), "exec") if !transaction.is_dirty => {
            let requests =
                transaction.requests.iter().filter_map(|request| Some((look_up(request.args()).ok()?, request)));
            let is_write = requests.clone().any(|(command, _)| command.traits.contains(Traits::WRITE));
            let keys = requests.flat_map(|(command, request)| command.keys.of(request.args()));
            route(bus.node(), demand(is_write), keys, is_here)
        }
        (Some(_) | None, _) if command.keys.first == 0 => return None,
        (Some(_) | None, _) => {
            route(bus.node(), demand(command.traits.contains(Traits::WRITE)), command.keys.of(args), is_here)
        }
    };
    match found {
        Route::Here => None,
        Route::Moved(slot, id) => Some(redirect(server, "MOVED", slot, id)),
        Route::Ask(slot, id) => Some(redirect(server, "ASK", slot, id)),
        Route::TryAgain => Some(Reply::error("TRYAGAIN Multiple keys request during rehashing of slot")),
        Route::CrossSlot => Some(Reply::error("CROSSSLOT Keys in request don't hash to the same slot")),
        Route::Unbound => Some(Reply::error("CLUSTERDOWN Hash slot not served")),
        Route::Down => Some(Reply::error("CLUSTERDOWN The cluster is down")),
        Route::DownForWrites => Some(Reply::error("CLUSTERDOWN The cluster is down and only accepts read commands")),
    }
}

fn redirect(server: &Server, code: &str, slot: Slot, id: NodeId) -> Reply<'static> {
    let peer = server.bus.as_ref().and_then(|bus| bus.node().peers().get(&id));
    let (endpoint, port) =
        peer.map_or((String::new(), 0), |peer| (server.endpoint(peer).unwrap_or_default(), peer.address.port));
    Reply::error(format!("{code} {slot} {endpoint}:{port}"))
}

/// Commands that a transaction does not queue.
fn is_immediate(command: &Command) -> bool {
    matches!(command.name, "exec" | "discard" | "multi" | "watch" | "quit" | "reset")
}

/// Browsers can be made to speak to this port; these are the first words of what they would say.
fn is_web_request(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:")
}

fn unknown(args: Args<'_>) -> Reply<'static> {
    const SHOWN_MAX: usize = 128;
    let mut beginning = String::new();
    for arg in args.from(1) {
        let Some(left) = SHOWN_MAX.checked_sub(beginning.len()).filter(|&left| left > 0) else { break };
        beginning.push_str(&format!("'{}' ", shown(arg, left)));
    }
    let name = shown(args.at(0), SHOWN_MAX);
    Reply::err(format_args!("unknown command '{name}', with args beginning with: {beginning}"))
}

/// The first bytes of an argument as text.
fn shown(arg: &[u8], length_max: usize) -> String {
    String::from_utf8_lossy(&arg[..arg.len().min(length_max)]).into_owned()
}
