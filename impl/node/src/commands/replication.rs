//! Owns the commands about replication: those that a replica says to its primary, WAIT, ROLE, and those
//! that a cluster does not allow.
//!
//! Must not decide what a replica gets: that is the machine's.

use super::{
    not_an_integer,
    options::{integer, small_integer},
    syntax_error,
};
use crate::{client::Session, replication::replica_id, server::Server};
use slotbus_replication::{Event, Introduction, Phase, Stage, StreamId};
use slotbus_wire::resp::{Args, Reply, parse_i64};

pub(super) fn replconf<'e>(server: &'e mut Server, session: &mut Session, args: Args<'e>) -> Reply<'e> {
    if args.len().is_multiple_of(2) {
        return syntax_error();
    }
    for at in (1..args.len()).step_by(2) {
        let (option, value) = (args.at(at).to_ascii_lowercase(), args.at(at + 1));
        let introduction = match (option.as_slice(), parse_i64(value)) {
            (b"ack", Some(offset)) => return acknowledge(server, session, offset),
            (b"ack" | b"getack", _) => return Reply::Silence,
            (b"listening-port" | b"rdb-only", None) => return not_an_integer(),
            // What is listed is all that the copy is to have.
            (b"rdb-filter-only", _) => match value.split(|byte| *byte == b' ').find(|part| !is_filter(part)) {
                None => Some(Introduction::NoKeys),
                Some(unknown) => {
                    let unknown = String::from_utf8_lossy(unknown);
                    return Reply::err(format_args!("Unsupported rdb-filter-only option: {unknown}"));
                }
            },
            (b"rdb-only", Some(1)) => Some(Introduction::CopyOnly),
            (b"listening-port", Some(port)) => u16::try_from(port).ok().map(Introduction::Port),
            (b"ip-address", _) => String::from_utf8(value.to_vec()).ok().map(Introduction::Ip),
            (b"capa", _) if value.eq_ignore_ascii_case(b"eof") => Some(Introduction::EndMarks),
            // What else a replica may be capable of changes nothing here, nor do its version and its id, which
            // valkey tells.
            (b"capa" | b"version" | b"set-cluster-node-id", _) | (b"rdb-only", Some(0)) => continue,
            _ => None,
        };
        let Some(introduction) = introduction else {
            let option = String::from_utf8_lossy(args.at(at));
            return Reply::err(format_args!("Unrecognized REPLCONF option: {option}"));
        };
        server.replicate(Event::Introduced { replica: replica_id(session.key), introduction });
    }
    Reply::OK
}

fn is_filter(word: &[u8]) -> bool {
    word.is_empty() || word.eq_ignore_ascii_case(b"functions")
}

fn acknowledge(server: &mut Server, session: &Session, offset: i64) -> Reply<'static> {
    if let Ok(offset) = u64::try_from(offset) {
        server.replicate(Event::Acked { replica: replica_id(session.key), offset });
    }
    Reply::Silence
}

pub(super) fn psync<'e>(server: &'e mut Server, session: &mut Session, args: Args<'e>) -> Reply<'e> {
    if args.get(3).is_some_and(|option| option.eq_ignore_ascii_case(b"failover")) {
        return Reply::err("FAILOVER is not allowed in cluster mode.");
    }
    let Some(next) = parse_i64(args.at(2)) else { return Reply::err("value is not an integer or out of range") };
    // The first byte has the number 1.
    let offset = u64::try_from(next).ok().and_then(|next| next.checked_sub(1));
    let place = StreamId::parse(args.at(1)).zip(offset);
    ask(server, session, place, true)
}

pub(super) fn sync<'e>(server: &'e mut Server, session: &mut Session, _: Args<'e>) -> Reply<'e> {
    ask(server, session, None, false)
}

fn ask(
    server: &mut Server,
    session: &mut Session,
    place: Option<(StreamId, u64)>,
    expects_place: bool,
) -> Reply<'static> {
    let event = Event::Asked { replica: replica_id(session.key), place, expects_place };
    server.begin_serving_replica(session, event);
    Reply::Silence
}

pub(super) fn replicaof<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    if server.bus.is_some() {
        return Reply::err("REPLICAOF not allowed in cluster mode.");
    }
    // Outside of clusters there are primaries only.
    if args.at(1).eq_ignore_ascii_case(b"no") && args.at(2).eq_ignore_ascii_case(b"one") {
        return Reply::OK;
    }
    Reply::err("REPLICAOF is not supported: this node replicates as a member of a cluster only.")
}

pub(super) fn failover<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    if server.bus.is_some() {
        return Reply::err("FAILOVER not allowed in cluster mode. Use CLUSTER FAILOVER command instead.");
    }
    if args.len() == 2 && args.at(1).eq_ignore_ascii_case(b"abort") {
        return Reply::err("No failover in progress.");
    }
    match check_failover(args) {
        Ok(()) => Reply::err("FAILOVER requires connected replicas."),
        Err(refusal) => refusal,
    }
}

/// Whether the options of FAILOVER can be read.
fn check_failover(args: Args<'_>) -> Result<(), Reply<'static>> {
    let (mut at, mut has_target, mut has_timeout, mut is_forced) = (1, false, false, false);
    while let Some(option) = args.get(at) {
        let left = args.len() - at - 1;
        at += match option.to_ascii_lowercase().as_slice() {
            b"timeout" if left > 0 && !has_timeout => {
                has_timeout = true;
                if integer(args.at(at + 1))? <= 0 {
                    return Err(Reply::err("FAILOVER timeout must be greater than 0"));
                }
                2
            }
            b"to" if left > 1 && !has_target => {
                has_target = true;
                small_integer(args.at(at + 2))?;
                3
            }
            b"force" if !is_forced => {
                is_forced = true;
                1
            }
            _ => return Err(syntax_error()),
        };
    }
    Ok(())
}

/// Waits for replicas.
pub(super) fn wait<'e>(server: &'e mut Server, session: &mut Session, args: Args<'e>) -> Reply<'e> {
    if server.is_replica() {
        return Reply::err(
            "WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a replica is \
             configured to be writable (which is not the default) writes to replicas are just local and are not \
             propagated.",
        );
    }
    let count = match integer(args.at(1)) {
        Ok(count) => usize::try_from(count).unwrap_or(0),
        Err(refusal) => return refusal,
    };
    match parse_i64(args.at(2)).map(u64::try_from) {
        None => Reply::err("timeout is not an integer or out of range"),
        Some(Err(_)) => Reply::err("timeout is negative"),
        Some(Ok(timeout_ms)) => server.wait_for_acks(session, count, timeout_ms),
    }
}

pub(super) fn role<'e>(server: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    let machine = &server.replication.machine;
    let number = |offset: u64| i64::try_from(offset).unwrap_or(i64::MAX);
    let Some(upstream) = machine.upstream() else {
        let replicas = machine.replicas().filter(|(_, replica)| replica.phase == Phase::Online);
        let replicas = replicas.map(|(id, replica)| {
            let words = [server.replica_ip(id, replica), replica.port.to_string(), replica.acked.to_string()];
            Reply::Array(words.map(Reply::text).to_vec())
        });
        let replicas = replicas.collect();
        return Reply::Array(vec![
            Reply::text("master"),
            Reply::Integer(number(machine.history().offset)),
            Reply::Array(replicas),
        ]);
    };
    let state = match upstream.stage() {
        Stage::Down => "connect",
        Stage::Connecting => "connecting",
        Stage::Handshake => "handshake",
        Stage::Copying => "sync",
        Stage::Streaming => "connected",
    };
    let is_streaming = upstream.stage() == Stage::Streaming;
    Reply::Array(vec![
        Reply::text("slave"),
        Reply::text(upstream.address.host.to_string()),
        Reply::Integer(upstream.address.port.into()),
        Reply::text(state),
        Reply::Integer(if is_streaming { number(machine.offset()) } else { -1 }),
    ])
}
