//! Owns COMMAND: what clients are told about the commands, all of it from the table.

use super::{COMMANDS, help_of, syntax_error};
use crate::{
    client::Session,
    command::{Command, Groups, Keys, Traits},
    dispatch, glob,
    server::Server,
};
use slotbus_wire::resp::{Args, Reply};

pub(super) fn help<'e>(_: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    help_of(
        "COMMAND",
        &[
            ("(no subcommand)", "Describe every command."),
            ("COUNT", "How many commands there are."),
            ("DOCS [<command-name> ...]", "Document commands, or all of them."),
            ("GETKEYS <command> [<arg> ...]", "The keys of a request."),
            ("INFO [<command-name> ...]", "Describe commands, or all of them."),
            ("LIST [FILTERBY (MODULE <name>|ACLCAT <category>|PATTERN <pattern>)]", "The names of commands."),
        ],
    )
}

pub(super) fn all<'e>(_: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    Reply::Array(COMMANDS.iter().map(describe).collect())
}

pub(super) fn count<'e>(_: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    Reply::count(COMMANDS.len())
}

pub(super) fn info<'e>(server: &'e mut Server, session: &mut Session, args: Args<'e>) -> Reply<'e> {
    if args.len() == 2 {
        return all(server, session, args);
    }
    Reply::Array(args.from(2).map(|name| named(name).map_or(Reply::Null, describe)).collect())
}

pub(super) fn docs<'e>(_: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    if args.len() == 2 {
        return Reply::Map(COMMANDS.iter().map(document).collect());
    }
    Reply::Map(args.from(2).filter_map(named).map(document).collect())
}

/// The command or subcommand that a client names, as `get` or `config|get`.
fn named(name: &[u8]) -> Option<&'static Command> {
    let mut parts = name.splitn(2, |&byte| byte == b'|');
    let command = Command::find(COMMANDS, parts.next()?)?;
    match parts.next() {
        None => Some(command),
        Some(sub) => Command::find(command.subcommands, sub),
    }
}

pub(super) fn getkeys<'e>(_: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    let request = args.skip(2);
    let Ok(command) = dispatch::look_up(request) else { return Reply::err("Invalid command specified") };
    if command.keys.first == 0 {
        return Reply::err("The command has no key arguments");
    }
    if !command.takes(request.len()) {
        return Reply::err("Invalid number of arguments specified for command");
    }
    Reply::Array(command.keys.of(request).map(Reply::bulk).collect())
}

pub(super) fn list<'e>(_: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    let every = COMMANDS.iter().flat_map(|command| std::iter::once(command).chain(command.subcommands));
    let names =
        |commands: Vec<&Command>| Reply::Set(commands.iter().map(|command| Reply::text(command.name)).collect());
    if args.len() == 2 {
        return names(COMMANDS.iter().collect());
    }
    if args.len() != 5 || !args.at(2).eq_ignore_ascii_case(b"filterby") {
        return syntax_error();
    }
    let wanted = args.at(4);
    match args.at(3).to_ascii_lowercase().as_slice() {
        b"module" => names(vec![]),
        b"aclcat" => {
            names(every.filter(|command| categories(command).iter().any(|name| is_category(name, wanted))).collect())
        }
        b"pattern" => names(every.filter(|command| glob::matches(wanted, command.name.as_bytes(), true)).collect()),
        _ => syntax_error(),
    }
}

fn is_category(name: &str, wanted: &[u8]) -> bool {
    name.strip_prefix('@').is_some_and(|name| name.as_bytes().eq_ignore_ascii_case(wanted))
}

fn statuses(names: impl IntoIterator<Item = &'static str>) -> Reply<'static> {
    Reply::Set(names.into_iter().map(Reply::status).collect())
}

/// A command as COMMAND shows it.
fn describe(command: &Command) -> Reply<'static> {
    let Keys { first, last, step, .. } = command.keys;
    Reply::Array(vec![
        Reply::text(command.name),
        Reply::Integer(command.arity.into()),
        statuses(flags(command)),
        Reply::count(first),
        Reply::Integer(last.into()),
        Reply::count(step),
        statuses(categories(command)),
        Reply::Set(command.tips.iter().map(|tip| Reply::text(*tip)).collect()),
        Reply::Set(key_specs(command)),
        Reply::Set(command.subcommands.iter().map(describe).collect()),
    ])
}

fn flags(command: &Command) -> Vec<&'static str> {
    const NAMES: [(Traits, &str); 16] = [
        (Traits::WRITE, "write"),
        (Traits::READONLY, "readonly"),
        (Traits::DENYOOM, "denyoom"),
        (Traits::ADMIN, "admin"),
        (Traits::PUBSUB, "pubsub"),
        (Traits::NOSCRIPT, "noscript"),
        (Traits::LOADING, "loading"),
        (Traits::STALE, "stale"),
        (Traits::SKIP_SLOWLOG, "skip_slowlog"),
        (Traits::ASKING, "asking"),
        (Traits::FAST, "fast"),
        (Traits::NO_AUTH, "no_auth"),
        (Traits::NO_ASYNC_LOADING, "no_async_loading"),
        (Traits::NO_MULTI, "no_multi"),
        (Traits::ALLOW_BUSY, "allow_busy"),
        (Traits::MOVABLE_KEYS, "movablekeys"),
    ];
    NAMES.into_iter().filter(|(flag, _)| command.traits.contains(*flag)).map(|(_, name)| name).collect()
}

fn categories(command: &Command) -> Vec<&'static str> {
    let (traits, groups) = (command.traits, command.groups);
    let is_admin = traits.contains(Traits::ADMIN) || groups.contains(Groups::ADMIN);
    let all = [
        (groups.contains(Groups::KEYSPACE), "@keyspace"),
        (traits.contains(Traits::READONLY), "@read"),
        (traits.contains(Traits::WRITE), "@write"),
        (groups.contains(Groups::STRING), "@string"),
        (is_admin, "@admin"),
        (traits.contains(Traits::PUBSUB), "@pubsub"),
        (traits.contains(Traits::FAST), "@fast"),
        (!traits.contains(Traits::FAST), "@slow"),
        (is_admin || groups.contains(Groups::DANGEROUS), "@dangerous"),
        (groups.contains(Groups::CONNECTION), "@connection"),
        (groups.contains(Groups::TRANSACTION), "@transaction"),
    ];
    all.into_iter().filter(|(holds, _)| *holds).map(|(_, name)| name).collect()
}

/// Where the keys are, in the form that also fits commands whose keys move.
fn key_specs(command: &Command) -> Vec<Reply<'static>> {
    let Keys { first, last, step, .. } = command.keys;
    if first == 0 {
        return vec![];
    }
    // Here the last key is counted from the first one, unless it is counted from the end.
    let last = if last < 0 { last } else { last - i32::try_from(first).unwrap_or_default() };
    let of_kind = |kind: &'static str, details: Vec<(&'static str, Reply<'static>)>| {
        let details = details.into_iter().map(|(name, value)| (Reply::text(name), value)).collect();
        Reply::Map(vec![(Reply::text("type"), Reply::text(kind)), (Reply::text("spec"), Reply::Map(details))])
    };
    let mut spec = Vec::new();
    if command.key_flags.contains(&"variable_flags") {
        spec.push((Reply::text("notes"), Reply::text("RW and ACCESS due to the optional `GET` argument")));
    }
    spec.push((Reply::text("flags"), statuses(command.key_flags.iter().copied())));
    spec.push((Reply::text("begin_search"), of_kind("index", vec![("index", Reply::count(first))])));
    let range =
        vec![("lastkey", Reply::Integer(last.into())), ("keystep", Reply::count(step)), ("limit", Reply::Integer(0))];
    spec.push((Reply::text("find_keys"), of_kind("range", range)));
    let listed = command.keys.may_be_listed.then(|| listed_keys(command, of_kind));
    std::iter::once(Reply::Map(spec)).chain(listed).collect()
}

/// Where keys are that are listed behind an option.
fn listed_keys(
    command: &Command,
    of_kind: impl Fn(&'static str, Vec<(&'static str, Reply<'static>)>) -> Reply<'static>,
) -> Reply<'static> {
    let search = vec![("keyword", Reply::text("KEYS")), ("startfrom", Reply::Integer(-2))];
    let range = vec![("lastkey", Reply::Integer(-1)), ("keystep", Reply::Integer(1)), ("limit", Reply::Integer(0))];
    let flags = command.key_flags.iter().copied().chain(["incomplete"]);
    Reply::Map(vec![
        (Reply::text("flags"), statuses(flags)),
        (Reply::text("begin_search"), of_kind("keyword", search)),
        (Reply::text("find_keys"), of_kind("range", range)),
    ])
}

/// A command as COMMAND DOCS shows it.
fn document(command: &Command) -> (Reply<'static>, Reply<'static>) {
    let mut fields = vec![
        (Reply::text("summary"), Reply::text(command.summary)),
        (Reply::text("since"), Reply::text(command.since)),
        (Reply::text("group"), Reply::text(command.group())),
    ];
    if !command.subcommands.is_empty() {
        fields.push((Reply::text("subcommands"), Reply::Map(command.subcommands.iter().map(document).collect())));
    }
    (Reply::text(command.name), Reply::Map(fields))
}
