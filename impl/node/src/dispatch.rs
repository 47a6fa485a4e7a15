//! Owns the way of one request to its command: what is unknown, of the wrong shape, not allowed or
//! not here is refused, in redis-server's order; a transaction's request is queued; the rest is carried out.
//!
//! Must not know what any command does.

use crate::{
    bus::ClusterNode,
    client::Session,
    command::{Command, Groups, Run, RunData, Traits},
    commands::{self, has_watched_change, refuse_debug},
    invalidation::note_read,
    lua::Running,
    server::Server,
    users::Denial,
};
use slotbus_core::{
    Pos, Slot,
    route::{Decision, Keys, Presence, Request, route},
};
use slotbus_wire::resp::{Args, OwnedArgs, Protocol, Reply};
use std::fmt;

/// What a command has that may change keys: reading an estimate may keep it.
pub(crate) const MAY_CHANGE: Traits = Traits::WRITE.union(Traits::MAY_REPLICATE);

/// Carries out one request; nothing if it has to wait, and is to be tried again later.
pub fn execute<'e>(server: &'e mut Server, session: &mut Session, args: Args<'e>) -> Option<Reply<'e>> {
    let command = match admit(server, session, args) {
        Ok(command) => command,
        Err(refusal) => {
            if let Ok(command) = look_up(args) {
                server.command_stats.note_rejected(command);
            }
            match &mut session.transaction {
                Some(transaction) => transaction.is_dirty = true,
                None => session.is_asking = false,
            }
            return Some(refusal);
        }
    };
    if server.is_holding() && must_wait(server, session, command, args) {
        return None;
    }
    if session.transaction.is_some() && !is_immediate(command) {
        enqueue(server, session, args);
        return Some(Reply::status("QUEUED"));
    }
    Some(run(server, session, command, args))
}

/// Has at hand what requests are likely to need that are soon to be carried out: most are about the key
/// that comes first. Reading it early changes nothing.
pub fn anticipate<'a>(server: &Server, requests: impl Iterator<Item = Args<'a>>) {
    let with_key = requests.filter(|args| args.len() > 1);
    server.store.anticipate(with_key.map(|args| (args.at(1), [args.at(2), args.at(args.len() - 1)])));
}

/// Keeps a request for EXEC, unless EXEC is not going to carry out anything.
fn enqueue(server: &Server, session: &mut Session, args: Args<'_>) {
    let has_changed = has_watched_change(server, session);
    if let Some(transaction) = &mut session.transaction
        && !transaction.is_dirty
        && !has_changed
    {
        transaction.requests.push(args.to_owned());
    }
}

/// Carries out a request that was admitted.
pub fn run<'e>(server: &'e mut Server, session: &mut Session, command: &'static Command, args: Args<'e>) -> Reply<'e> {
    server.counters.commands += 1;
    server.tell_time();
    session.running = Some(command);
    server.show_to_monitors(session, command, args);
    let reply = match command.run {
        Run::Session(run) => run(server, session, args),
        Run::Data(run) if server.is_recording() && command.traits.intersects(MAY_CHANGE) => {
            let before = server.store.news.changes;
            let reply = run(&mut server.store, args).unwrap_or_else(|refusal| refusal).into_owned();
            let has_changed = server.store.news.changes != before;
            server.record(command, args, &reply, has_changed);
            note_read(&mut server.tracking, session, command, args);
            reply
        }
        Run::Data(run) => {
            let reply = run(&mut server.store, args).unwrap_or_else(|refusal| refusal);
            note_read(&mut server.tracking, session, command, args);
            reply
        }
        Run::Waiting(run) => {
            let outcome = run(args).and_then(|waiting| server.grant_or_wait(session, waiting));
            outcome.unwrap_or_else(|refusal| refusal)
        }
    };
    if command.name != "asking" && session.transaction.is_none() {
        session.is_asking = false;
    }
    reply
}

/// The command of a request's name, with its subcommand if it has some.
pub fn look_up(args: Args<'_>) -> Result<&'static Command, Reply<'static>> {
    let Some(command) = commands::named(args.at(0)) else { return Err(unknown(args)) };
    if command.subcommands.is_empty() || args.len() < 2 {
        return Ok(command);
    }
    Command::find(command.subcommands, args.at(1)).ok_or_else(|| {
        let container = command.name.to_ascii_uppercase();
        Reply::err(format_args!("unknown subcommand '{}'. Try {container} HELP.", shown(args.at(1), 128)))
    })
}

/// Why a request that no client makes cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// There is no such command.
    Unknown(String),
    /// It is about more than keys.
    NotAboutKeys(String),
    /// It has too many arguments, or too few.
    WrongCount(String),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(f, "this node does not know '{name}'"),
            Self::NotAboutKeys(name) => write!(f, "'{name}' is not about keys"),
            Self::WrongCount(name) => write!(f, "'{name}' has the wrong number of arguments"),
        }
    }
}

/// What carries out a request that no client makes: one of a primary, or of a file.
pub fn look_up_data(args: Args<'_>) -> Result<RunData, Unfit> {
    let name = || shown(args.at(0), usize::MAX);
    let command = look_up(args).map_err(|_| Unfit::Unknown(name()))?;
    let Run::Data(run) = command.run else { return Err(Unfit::NotAboutKeys(name())) };
    if command.takes(args.len()) { Ok(run) } else { Err(Unfit::WrongCount(name())) }
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
        let refusal = format!("wrong number of arguments for '{}' command", command.name);
        if command.name == "exec" {
            session.transaction = None;
            return Err(Reply::error(format!("EXECABORT Transaction discarded because of: {refusal}")));
        }
        return Err(Reply::err(refusal));
    }
    if command.name == "debug"
        && let Some(refusal) = refuse_debug(server, session)
    {
        return Err(refusal);
    }
    session.last_command = command.name;
    if session.user.is_none() && !command.traits.contains(Traits::NO_AUTH) {
        return Err(Reply::error("NOAUTH Authentication required."));
    }
    // The other replies of a transaction cannot wait for that of MIGRATE.
    let is_single = command.traits.contains(Traits::NO_MULTI) || command.name == "migrate";
    if session.transaction.is_some() && is_single {
        return Err(Reply::err("Command not allowed inside a transaction"));
    }
    check_user(server, session, command, args)
        .map_err(|denial| Reply::error(format!("NOPERM {}", denial_of(command, &denial, false))))?;
    let traits = traits_of(server, session, command, args);
    let redirection = locate(server, session, command, traits, args);
    let is_redirected = redirection.is_some();
    let refusal = redirection
        .or_else(|| refuse_without_memory(server, traits))
        .or_else(|| refuse_without_disk(server, command, traits))
        .or_else(|| refuse_without_replicas(server, traits))
        .or_else(|| refuse_as_replica(server, traits))
        .or_else(|| refuse_to_listener(server, session, command))
        .or_else(|| refuse_during_script(server, command));
    let Some(refusal) = refusal else { return Ok(command) };
    if command.name != "exec" {
        return Err(refusal);
    }
    session.transaction = None;
    let reason = refusal.error_text().filter(|_| !is_redirected);
    let reason = reason.map(|text| text.strip_prefix("ERR ").unwrap_or(text));
    let aborted = reason.map(|text| format!("EXECABORT Transaction discarded because of: {text}"));
    Err(aborted.map_or(refusal, Reply::error))
}

/// Whether the user may make this request; if not, a note is taken.
pub fn check_user(
    server: &mut Server,
    session: &Session,
    command: &'static Command,
    args: Args<'_>,
) -> Result<(), Denial> {
    let Some(user) = &session.user else { return Ok(()) };
    user.check(command, args).inspect_err(|denial| {
        let (reason, object) = match denial {
            Denial::Command => ("command", command.name.as_bytes()),
            Denial::Key(_, key) => ("key", key.as_slice()),
            Denial::Channel(_, channel) => ("channel", channel.as_slice()),
        };
        server.note_refusal(session, reason, object, &user.name);
    })
}

/// Why a user may not make a request, with the key or channel that it is about if that is to be told.
#[must_use]
pub fn denial_of(command: &Command, denial: &Denial, tells_all: bool) -> String {
    let named = |kind: &str, object: &[u8]| match tells_all {
        true => format!("the '{}' {kind}", shown(object, usize::MAX)),
        false => format!("one of the {kind}s used as arguments"),
    };
    let what = match denial {
        Denial::Command => format!("run the '{}' command", command.name),
        Denial::Key(_, key) => format!("access {}", named("key", key)),
        Denial::Channel(_, channel) => format!("access {}", named("channel", channel)),
    };
    format!("{} user has no permissions to {what}", if tells_all { "This" } else { "this" })
}

/// Where a request's keys are; nothing if they are here.
fn locate(
    server: &Server,
    session: &Session,
    command: &'static Command,
    traits: Traits,
    args: Args<'_>,
) -> Option<Reply<'static>> {
    let bus = server.bus.as_ref()?;
    let decision = match &session.transaction {
        // A transaction is looked at as a whole once more: slots may have moved since it was queued.
        Some(transaction) if command.name == "exec" => {
            let requests =
                transaction.requests.iter().filter_map(|request| Some((look_up(request.args()).ok()?, request)));
            let keys = requests.flat_map(|(command, request)| command.keys_of(request.args()));
            let request = Request { is_write: traits.contains(Traits::WRITE), ..asked(server, session) };
            decide(server, bus.node(), request, keys)
        }
        Some(_) | None if !command.has_keys() => return None,
        Some(_) | None => {
            let request = request_for(server, session, command, traits);
            match command.sole_key(args) {
                Some(key) => decide(server, bus.node(), request, std::iter::once(key)),
                None => decide(server, bus.node(), request, command.keys_of(args)),
            }
        }
    };
    refusal_of(server, session.is_tls, decision)
}

/// What the decision about a request of one command depends on, but for its keys.
fn request_for(server: &Server, session: &Session, command: &Command, traits: Traits) -> Request {
    let is_implied = command.traits.contains(Traits::ASKING);
    Request {
        is_write: traits.contains(Traits::WRITE),
        is_sharded_pubsub: command.traits.contains(Traits::PUBSUB),
        is_migrate: command.name == "migrate",
        is_asking: session.is_asking || is_implied,
        ..asked(server, session)
    }
}

/// Where the keys of a script's request are, and their slot; none if that does not matter.
pub(crate) fn locate_for_script(
    server: &Server,
    session: &Session,
    command: &'static Command,
    args: Args<'_>,
) -> Option<(Decision, Option<Slot>)> {
    let bus = server.bus.as_ref().filter(|_| command.has_keys())?;
    let request = request_for(server, session, command, command.traits);
    let decision = decide(server, bus.node(), request, command.keys_of(args));
    Some((decision, Keys::of(command.keys_of(args)).slot))
}

/// What a client is told that asks for keys which are not here; nothing if they are.
fn refusal_of(server: &Server, is_tls: bool, decision: Decision) -> Option<Reply<'static>> {
    match decision {
        Decision::Serve => None,
        Decision::Moved(slot, to) => Some(redirect(server, is_tls, "MOVED", slot, to)),
        Decision::Ask(slot, to) => Some(redirect(server, is_tls, "ASK", slot, to)),
        Decision::TryAgain => Some(Reply::error("TRYAGAIN Multiple keys request during rehashing of slot")),
        Decision::CrossSlot => Some(Reply::error("CROSSSLOT Keys in request don't hash to the same slot")),
        Decision::SlotUnserved => Some(Reply::error("CLUSTERDOWN Hash slot not served")),
        Decision::Down => Some(Reply::error("CLUSTERDOWN The cluster is down")),
        Decision::DownForWrites => Some(Reply::error("CLUSTERDOWN The cluster is down and only accepts read commands")),
    }
}

/// What a client is told that waits for keys, once they are not here any more; `is_read` tells that it reads from
/// replicas, too.
#[must_use]
pub fn relocate<'k>(
    server: &Server,
    is_tls: bool,
    is_read: bool,
    keys: impl Iterator<Item = &'k [u8]> + Clone,
) -> Option<Reply<'static>> {
    let bus = server.bus.as_ref()?;
    let (is_write, is_readonly) = (!is_read, is_read);
    let request =
        Request { is_write, is_readonly, reads_when_down: server.limits.reads_when_down, ..Request::default() };
    // Where the keys of an open slot are not is nothing new to a client that waits for them: it waits until the slot is
    // somebody else's.
    let decision = decide(server, bus.node(), request, keys);
    refusal_of(server, is_tls, decision).filter(|_| !matches!(decision, Decision::Ask(..) | Decision::TryAgain))
}

/// What the session and the settings say about any request.
fn asked(server: &Server, session: &Session) -> Request {
    Request {
        is_asking: session.is_asking,
        is_readonly: session.is_readonly,
        reads_when_down: server.limits.reads_when_down,
        pubsub_when_down: server.limits.pubsub_when_down,
        ..Request::default()
    }
}

fn decide<'k>(
    server: &Server,
    node: &ClusterNode,
    mut request: Request,
    keys: impl Iterator<Item = &'k [u8]> + Clone,
) -> Decision {
    request.keys = Keys::of(keys.clone());
    let presence = || {
        keys.fold(Presence::default(), |mut presence, key| {
            let is_here = server.store.contains(key, server.now);
            *(if is_here { &mut presence.existing } else { &mut presence.missing }) += 1;
            presence
        })
    };
    route(node, &request, presence).1
}

/// What holds for a request: for EXEC, what holds for any of the queued ones, too; for a script that
/// says what it does, that.
fn traits_of(server: &Server, session: &Session, command: &Command, args: Args<'_>) -> Traits {
    match &session.transaction {
        Some(transaction) if command.name == "exec" => {
            let queued = transaction.requests.iter().filter_map(|request| look_up(request.args()).ok());
            queued.fold(command.traits, |traits, command| traits | command.traits)
        }
        Some(_) | None if command.groups.contains(Groups::SCRIPTING) => server.scripts.traits(command, args),
        Some(_) | None => command.traits,
    }
}

fn redirect(server: &Server, is_tls: bool, code: &str, slot: Slot, to: Pos) -> Reply<'static> {
    let peer = server.bus.as_ref().map(|bus| &bus.node().peers()[to]);
    let (endpoint, port) = peer.map_or((String::new(), 0), |peer| {
        (server.endpoint(peer).unwrap_or_default(), server.port_for(is_tls, &peer.address))
    });
    Reply::error(format!("{code} {slot} {endpoint}:{port}"))
}

/// What is refused when memory has run out, and no key may go for it.
fn refuse_without_memory(server: &mut Server, traits: Traits) -> Option<Reply<'static>> {
    (server.is_out_of_memory() && traits.contains(Traits::DENYOOM))
        .then(|| Reply::error("OOM command not allowed when used memory > 'maxmemory'."))
}

/// What a script is refused that wants to write.
pub(crate) fn refuse_write(server: &Server, command: &Command) -> Option<Reply<'static>> {
    refuse_as_replica(server, command.traits)
        .or_else(|| refuse_without_disk(server, command, command.traits))
        .or_else(|| refuse_without_replicas(server, command.traits))
}

/// What is refused after the disk has failed: to write what may never be saved.
fn refuse_without_disk(server: &Server, command: &Command, traits: Traits) -> Option<Reply<'static>> {
    let is_unsaved = !server.saves.is_good && server.limits.stops_unsaved && !server.save_points.is_empty();
    let is_refused = (is_unsaved || server.aof.error().is_some())
        && !server.is_replica()
        && (traits.contains(Traits::WRITE) || command.name == "ping");
    is_refused.then(|| match server.aof.error().filter(|_| !is_unsaved) {
        Some(reason) => Reply::error(format!("MISCONF Errors writing to the AOF file: {reason}")),
        None => Reply::error(
            "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands \
             that may modify the data set are disabled, because this instance is configured to report errors during \
             writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for \
             details about the RDB error.",
        ),
    })
}

/// What is refused while too few replicas would have it.
fn refuse_without_replicas(server: &Server, traits: Traits) -> Option<Reply<'static>> {
    let (least, lag_ms) = (server.limits.replicas_min, server.limits.replica_lag_max_ms);
    let is_refused = least > 0
        && lag_ms > 0
        && !server.is_replica()
        && traits.contains(Traits::WRITE)
        && server.replication.machine.in_touch(server.now, lag_ms) < least;
    is_refused.then(|| Reply::error("NOREPLICAS Not enough good replicas to write."))
}

/// What a replica refuses: to write, and, cut off from its primary, to answer if it is told so.
fn refuse_as_replica(server: &Server, traits: Traits) -> Option<Reply<'static>> {
    if server.is_replica() && traits.contains(Traits::WRITE) && server.limits.is_replica_read_only {
        return Some(Reply::error("READONLY You can't write against a read only replica."));
    }
    if server.is_stale_replica() && !traits.contains(Traits::STALE) {
        return Some(Reply::error("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."));
    }
    None
}

/// What a client cannot ask for while it listens to channels in the older protocol: it could not tell
/// the reply from a message.
fn refuse_to_listener(server: &Server, session: &Session, command: &Command) -> Option<Reply<'static>> {
    let is_listening = session.protocol == Protocol::Two && server.subscriptions.has_any(session.key);
    let is_allowed = matches!(command.name, "ping" | "quit" | "reset")
        || command.name.ends_with("subscribe") && command.traits.contains(Traits::PUBSUB);
    (is_listening && !is_allowed).then(|| {
        Reply::err(format_args!(
            "Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this \
             context",
            command.name
        ))
    })
}

/// What is refused while a script runs for too long.
fn refuse_during_script(server: &Server, command: &Command) -> Option<Reply<'static>> {
    let running = server.scripts.running.as_ref().filter(|running| running.is_late)?;
    (!command.traits.contains(Traits::ALLOW_BUSY)).then(|| busy(running))
}

/// What is told to others while a script runs for too long.
pub(crate) fn busy(running: &Running) -> Reply<'static> {
    let remedy = running.remedy();
    Reply::error(format!("BUSY Redis is busy running a script. You can only call {remedy} or SHUTDOWN NOSAVE."))
}

/// Whether a request has to wait: clients are paused, or its keys are on their way to another node.
fn must_wait(server: &Server, session: &Session, command: &'static Command, args: Args<'_>) -> bool {
    let is_carried = |command: &'static Command, args| command.keys_of(args).any(|key| server.migrations.carry(key));
    let queued = session.transaction.iter().filter(|_| command.name == "exec");
    let mut requests = queued.flat_map(|transaction| &transaction.requests).map(OwnedArgs::args);
    let traits = traits_of(server, session, command, args);
    server.pause.holds(server.now, traits.intersects(MAY_CHANGE))
        || is_carried(command, args)
        || requests.any(|args| look_up(args).is_ok_and(|command| is_carried(command, args)))
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

/// The first bytes of an argument as text, up to a zero, where redis-server sees the end of it.
pub(crate) fn shown(arg: &[u8], length_max: usize) -> String {
    let arg = &arg[..arg.len().min(length_max)];
    String::from_utf8_lossy(arg.split(|&byte| byte == 0).next().unwrap_or_default()).into_owned()
}
