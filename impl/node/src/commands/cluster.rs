//! Owns the commands that ask the protocol for something: CLUSTER MEET, ADDSLOTS, FORGET and the
//! like; and what a client says about its own dealings with the cluster: ASKING, READONLY, READWRITE.
//!
//! Must not decide: arguments become a [`Command`], the core answers, its answer becomes a reply.

use super::{help_of, not_an_integer, syntax_error};
use crate::{bus::Bus, client::Session, server::Server, start::fresh_id};
use slotbus_core::{CLUSTER_SLOTS, Command, FailoverMode, Host, NodeId, Reply as Answer, Slot};
use slotbus_wire::resp::{Args, Reply, parse_i64};
use std::net::IpAddr;

/// The bus, or what a node without one says.
pub(super) fn bus(server: &mut Server) -> Result<&mut Bus, Reply<'static>> {
    server.bus.as_mut().ok_or_else(|| Reply::err("This instance has cluster support disabled"))
}

/// Asks the core, does what that asks of the data, and says the answer as redis-server would.
pub(super) fn ask<'e>(server: &mut Server, command: Result<Command, Reply<'e>>) -> Reply<'e> {
    let bus = match bus(server) {
        Ok(bus) => bus,
        Err(refusal) => return refusal,
    };
    let answer = command.map(|command| bus.admin(command));
    server.settle();
    match answer {
        Ok(Answer::Done) => Reply::OK,
        Ok(Answer::Bumped(epoch)) => Reply::status(format!("BUMPED {epoch}")),
        Ok(Answer::Still(epoch)) => Reply::status(format!("STILL {epoch}")),
        Ok(Answer::Refused(refusal)) => Reply::err(refusal),
        Err(refusal) => refusal,
    }
}

pub(super) fn meet<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    ask(server, meeting(args))
}

fn meeting(args: Args<'_>) -> Result<Command, Reply<'static>> {
    if args.len() > 5 {
        return Err(no_such_form(args, "CLUSTER"));
    }
    let number = |at: usize, kind: &str| {
        let shown = String::from_utf8_lossy(args.at(at));
        parse_i64(args.at(at)).ok_or_else(|| Reply::err(format_args!("Invalid TCP {kind} port specified: {shown}")))
    };
    let port = number(3, "base")?;
    let cport =
        if args.len() == 5 { number(4, "bus")? } else { port.saturating_add(crate::config::BUS_PORT_DISTANCE.into()) };
    let host = std::str::from_utf8(args.at(2)).ok();
    let ip = host.and_then(|host| host.parse::<IpAddr>().ok());
    let invalid = || {
        let host = String::from_utf8_lossy(args.at(2));
        Reply::err(format_args!("Invalid node address specified: {host}:{port}"))
    };
    match (ip, u16::try_from(port), u16::try_from(cport)) {
        (Some(ip), Ok(port), Ok(cport)) => Ok(Command::Meet { host: Host::Ip(ip), port, cport }),
        _ => Err(invalid()),
    }
}

pub(super) fn forget<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    ask(server, node_id(args.at(2)).map(Command::Forget))
}

/// A node's id. A text that cannot be one names no node.
pub(super) fn node_id(text: &[u8]) -> Result<NodeId, Reply<'static>> {
    NodeId::from_text(text).map_err(|_| unknown_node(text))
}

pub(super) fn unknown_node(text: &[u8]) -> Reply<'static> {
    Reply::err(format_args!("Unknown node {}", String::from_utf8_lossy(text)))
}

pub(super) fn addslots<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    ask(server, slots(args).map(Command::AddSlots))
}

pub(super) fn delslots<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    ask(server, slots(args).map(Command::DelSlots))
}

pub(super) fn addslotsrange<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    ask(server, ranges(args).map(Command::AddSlots))
}

pub(super) fn delslotsrange<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    ask(server, ranges(args).map(Command::DelSlots))
}

pub(super) fn flushslots<'e>(server: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    let has_keys = !server.store.is_empty();
    ask(server, Ok(Command::FlushSlots { has_keys }))
}

pub(super) fn replicate<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    let has_keys = !server.store.is_empty();
    ask(server, node_id(args.at(2)).map(|primary| Command::Replicate { primary, has_keys }))
}

pub(super) fn failover<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    let mode = match (args.len(), args.at(2).to_ascii_lowercase().as_slice()) {
        (2, _) => Ok(FailoverMode::Coordinated),
        (3, b"force") => Ok(FailoverMode::Force),
        (3, b"takeover") => Ok(FailoverMode::Takeover),
        (3, _) => Err(syntax_error()),
        _ => Err(no_such_form(args, "CLUSTER")),
    };
    ask(server, mode.map(Command::Failover))
}

pub(super) fn reset<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    let has_keys = !server.store.is_empty();
    let hard = match (args.len(), args.at(2).to_ascii_lowercase().as_slice()) {
        (2, _) | (3, b"soft") => Ok(None),
        (3, b"hard") => fresh_id().map(Some).map_err(Reply::err),
        (3, _) => Err(syntax_error()),
        _ => Err(no_such_form(args, "CLUSTER")),
    };
    ask(server, hard.map(|hard| Command::Reset { hard, has_keys }))
}

fn slot(text: &[u8]) -> Result<Slot, Reply<'static>> {
    let number = parse_i64(text).and_then(|number| u16::try_from(number).ok());
    let number = number.filter(|&number| usize::from(number) < CLUSTER_SLOTS);
    number.map(Slot).ok_or_else(|| Reply::err("Invalid or out of range slot"))
}

fn slots(args: Args<'_>) -> Result<Vec<Slot>, Reply<'static>> {
    args.from(2).map(slot).collect()
}

fn ranges(args: Args<'_>) -> Result<Vec<Slot>, Reply<'static>> {
    if !args.len().is_multiple_of(2) {
        let name = String::from_utf8_lossy(args.at(1)).to_ascii_lowercase();
        return Err(Reply::err(format_args!("wrong number of arguments for 'cluster|{name}' command")));
    }
    let mut slots = Vec::new();
    for (start, end) in args.from(2).step_by(2).zip(args.from(3).step_by(2)) {
        let (start, end) = (slot(start)?, slot(end)?);
        if start > end {
            return Err(Reply::err(format_args!("start slot number {start} is greater than end slot number {end}")));
        }
        // One more than there are slots is certain to repeat one: that is enough to be refused.
        let room = (CLUSTER_SLOTS + 1).saturating_sub(slots.len());
        slots.extend((start.0..=end.0).map(Slot).take(room));
    }
    Ok(slots)
}

pub(super) fn bumpepoch<'e>(server: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    ask(server, Ok(Command::BumpEpoch))
}

pub(super) fn saveconfig<'e>(server: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    ask(server, Ok(Command::SaveConfig))
}

pub(super) fn set_config_epoch<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    let epoch = parse_i64(args.at(2)).ok_or_else(not_an_integer).and_then(|epoch| {
        u64::try_from(epoch).map_err(|_| Reply::err(format_args!("Invalid config epoch specified: {epoch}")))
    });
    ask(server, epoch.map(Command::SetConfigEpoch))
}

pub(super) fn asking<'e>(server: &'e mut Server, session: &mut Session, _: Args<'e>) -> Reply<'e> {
    match bus(server) {
        Ok(_) => {
            session.is_asking = true;
            Reply::OK
        }
        Err(refusal) => refusal,
    }
}

pub(super) fn readonly<'e>(server: &'e mut Server, session: &mut Session, _: Args<'e>) -> Reply<'e> {
    match bus(server) {
        Ok(_) => {
            session.is_readonly = true;
            Reply::OK
        }
        Err(refusal) => refusal,
    }
}

pub(super) fn readwrite<'e>(server: &'e mut Server, session: &mut Session, _: Args<'e>) -> Reply<'e> {
    match bus(server) {
        Ok(_) => {
            session.is_readonly = false;
            Reply::OK
        }
        Err(refusal) => refusal,
    }
}

pub(super) fn help<'e>(server: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    if let Err(refusal) = bus(server) {
        return refusal;
    }
    help_of(
        "CLUSTER",
        &[
            ("ADDSLOTS <slot> [<slot> ...]", "Give slots that nobody owns to this node."),
            ("ADDSLOTSRANGE <start slot> <end slot> [<start slot> <end slot> ...]", "The same for ranges of slots."),
            ("BUMPEPOCH", "Raise this node's config epoch."),
            ("COUNT-FAILURE-REPORTS <node-id>", "How many nodes report a node as failing."),
            ("COUNTKEYSINSLOT <slot>", "How many keys are in a slot."),
            ("DELSLOTS <slot> [<slot> ...]", "Take slots from whoever owns them."),
            ("DELSLOTSRANGE <start slot> <end slot> [<start slot> <end slot> ...]", "The same for ranges of slots."),
            ("FAILOVER [FORCE|TAKEOVER]", "Have this replica take over from its primary."),
            ("FLUSHSLOTS", "Take all slots from this node."),
            ("FORGET <node-id>", "Remove a node from this node's table."),
            ("GETKEYSINSLOT <slot> <count>", "Some keys of a slot."),
            ("INFO", "How the cluster is."),
            ("KEYSLOT <key>", "The slot of a key."),
            ("LINKS", "The links of the bus."),
            ("MEET <ip> <port> [<bus-port>]", "Begin a handshake with a node."),
            ("MYID", "The id of this node."),
            ("MYSHARDID", "The id of this node's shard."),
            ("NODES", "Every node, one line each."),
            ("REPLICAS <node-id>", "The replicas of a primary."),
            ("REPLICATE <node-id>", "Make this node a replica of a primary."),
            ("RESET [HARD|SOFT]", "Forget all other nodes and slots."),
            ("SAVECONFIG", "Save the nodes file now."),
            ("SET-CONFIG-EPOCH <epoch>", "Give a new node its config epoch."),
            ("SETSLOT <slot> (IMPORTING|MIGRATING|STABLE|NODE <node-id>)", "Move a slot, or say where it is."),
            ("SHARDS", "Which nodes serve which slots, by shard."),
            ("SLOTS", "Which nodes serve which slots, by range."),
        ],
    )
}

pub(super) fn no_such_form(args: Args<'_>, container: &str) -> Reply<'static> {
    let name = String::from_utf8_lossy(args.at(1));
    Reply::err(format_args!("unknown subcommand or wrong number of arguments for '{name}'. Try {container} HELP."))
}
