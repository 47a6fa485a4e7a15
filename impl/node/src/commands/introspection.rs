//! Owns COMMAND: what clients are told about the commands, all of it from the table.

use super::{COMMANDS, every, help_of, syntax_error};
use crate::{
    category::{CATEGORIES, Category},
    client::Session,
    command::{Command, Keys, Place, Traits},
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
            ("GETKEYSANDFLAGS <command> [<arg> ...]", "The keys of a request, and what it does with them."),
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
    let command = super::named(parts.next()?)?;
    match parts.next() {
        None => Some(command),
        Some(sub) => Command::find(command.subcommands, sub),
    }
}

pub(super) fn getkeys<'e>(_: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    keys_shown(args.skip(2), |key, _| Reply::bulk(key))
}

pub(super) fn getkeysandflags<'e>(_: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    keys_shown(args.skip(2), |key, flags| {
        // What holds for a command in general says nothing of one request.
        let flags = flags.iter().copied().filter(|&flag| flag != "variable_flags" && flag != "incomplete");
        Reply::Array(vec![Reply::bulk(key), statuses(flags)])
    })
}

/// The keys of a request, each as `show` shows it and what is done with it.
fn keys_shown<'e>(request: Args<'e>, show: impl Fn(&'e [u8], &'static [&'static str]) -> Reply<'e>) -> Reply<'e> {
    let Ok(command) = dispatch::look_up(request) else { return Reply::err("Invalid command specified") };
    if command.keys.iter().flatten().all(|keys| keys.flags.contains(&"not_key")) {
        return Reply::err("The command has no key arguments");
    }
    if !command.takes(request.len()) {
        return Reply::err("Invalid number of arguments specified for command");
    }
    let keys: Vec<_> = command.keys_with_flags(request).map(|(key, flags)| show(key, flags)).collect();
    let needs_keys = !command.traits.contains(Traits::NO_MANDATORY_KEYS);
    // PFMERGE of nothing is a request like any other, but not here.
    let lacks_some = command.keys.iter().flatten().any(|keys| keys.are_left_out(request));
    if (keys.is_empty() || lacks_some) && needs_keys {
        Reply::err("Invalid arguments specified for command")
    } else {
        Reply::Array(keys)
    }
}

pub(super) fn list<'e>(_: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    let every = every();
    let names =
        |commands: Vec<&Command>| Reply::Array(commands.iter().map(|command| Reply::text(command.name)).collect());
    if args.len() == 2 {
        return names(every.collect());
    }
    if args.len() != 5 || !args.at(2).eq_ignore_ascii_case(b"filterby") {
        return syntax_error();
    }
    let wanted = args.at(4);
    match args.at(3).to_ascii_lowercase().as_slice() {
        b"module" => names(vec![]),
        b"aclcat" => match Category::named(wanted) {
            Some(category) => names(every.filter(|command| category.includes(command)).collect()),
            None => names(vec![]),
        },
        b"pattern" => names(every.filter(|command| glob::matches(wanted, command.name.as_bytes(), true)).collect()),
        _ => syntax_error(),
    }
}

fn statuses(names: impl IntoIterator<Item = &'static str>) -> Reply<'static> {
    Reply::Set(names.into_iter().map(Reply::status).collect())
}

/// A command as COMMAND shows it.
fn describe(command: &Command) -> Reply<'static> {
    let (first, last, step) = command.fixed_keys();
    Reply::Array(vec![
        Reply::text(command.name),
        Reply::Integer(command.arity.into()),
        statuses(flags(command)),
        Reply::count(first),
        Reply::Integer(last.into()),
        Reply::count(step),
        Reply::Set(categories(command)),
        Reply::Set(command.tips.iter().map(|tip| Reply::text(*tip)).collect()),
        Reply::Set(key_specs(command)),
        Reply::Set(command.subcommands.iter().map(describe).collect()),
    ])
}

fn flags(command: &Command) -> Vec<&'static str> {
    const NAMES: [(Traits, &str); 19] = [
        (Traits::WRITE, "write"),
        (Traits::READONLY, "readonly"),
        (Traits::DENYOOM, "denyoom"),
        (Traits::ADMIN, "admin"),
        (Traits::PUBSUB, "pubsub"),
        (Traits::NOSCRIPT, "noscript"),
        (Traits::BLOCKING, "blocking"),
        (Traits::LOADING, "loading"),
        (Traits::STALE, "stale"),
        (Traits::SKIP_MONITOR, "skip_monitor"),
        (Traits::SKIP_SLOWLOG, "skip_slowlog"),
        (Traits::ASKING, "asking"),
        (Traits::FAST, "fast"),
        (Traits::NO_AUTH, "no_auth"),
        (Traits::NO_ASYNC_LOADING, "no_async_loading"),
        (Traits::NO_MULTI, "no_multi"),
        (Traits::ALLOW_BUSY, "allow_busy"),
        (Traits::NO_MANDATORY_KEYS, "no_mandatory_keys"),
        (Traits::MOVABLE_KEYS, "movablekeys"),
    ];
    NAMES.into_iter().filter(|(flag, _)| command.traits.contains(*flag)).map(|(_, name)| name).collect()
}

fn categories(command: &Command) -> Vec<Reply<'static>> {
    let own = CATEGORIES.iter().filter(|category| category.includes(command));
    own.map(|category| Reply::status(format!("@{}", category.name))).collect()
}

/// Where the keys are, in the form that also fits commands whose keys move.
fn key_specs(command: &Command) -> Vec<Reply<'static>> {
    command.keys.iter().flatten().map(key_spec).collect()
}

fn key_spec(keys: &Keys) -> Reply<'static> {
    let index = |index: usize| of_kind("index", vec![("index", Reply::count(index))]);
    let part_of_range = |last: i32, step: usize, limit: usize| {
        let (last, limit) = (Reply::Integer(last.into()), Reply::count(limit));
        of_kind("range", vec![("lastkey", last), ("keystep", Reply::count(step)), ("limit", limit)])
    };
    let range = |last: i32, step: usize| part_of_range(last, step, 0);
    let (begin, find) = match keys.place {
        Place::Range { first, last, step } => {
            // Here the last key is counted from the first one, unless it is counted from the end.
            let last = if last < 0 { last } else { last - i32::try_from(first).unwrap_or_default() };
            (index(first), range(last, step))
        }
        Place::Counted { at } => {
            let number = |name, number| (name, Reply::Integer(number));
            let count = vec![number("keynumidx", 0), number("firstkey", 1), number("keystep", 1)];
            (index(at), of_kind("keynum", count))
        }
        Place::Listed => {
            let search = vec![("keyword", Reply::text("KEYS")), ("startfrom", Reply::Integer(-2))];
            (of_kind("keyword", search), range(-1, 1))
        }
        Place::Streams { from } => {
            let search = vec![("keyword", Reply::text("STREAMS")), ("startfrom", Reply::count(from))];
            // A half of what follows the word.
            (of_kind("keyword", search), part_of_range(-1, 1, 2))
        }
        Place::Option { word, from } => {
            (of_kind("keyword", vec![("keyword", Reply::text(word)), ("startfrom", Reply::count(from))]), range(0, 1))
        }
        Place::Hidden => (of_kind("unknown", vec![]), of_kind("unknown", vec![])),
    };
    let note = (!keys.note.is_empty()).then(|| (Reply::text("notes"), Reply::text(keys.note)));
    let flags = (Reply::text("flags"), statuses(keys.flags.iter().copied()));
    let places = [(Reply::text("begin_search"), begin), (Reply::text("find_keys"), find)];
    Reply::Map(note.into_iter().chain([flags]).chain(places).collect())
}

fn of_kind(kind: &'static str, details: Vec<(&'static str, Reply<'static>)>) -> Reply<'static> {
    let details = details.into_iter().map(|(name, value)| (Reply::text(name), value)).collect();
    Reply::Map(vec![(Reply::text("type"), Reply::text(kind)), (Reply::text("spec"), Reply::Map(details))])
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
