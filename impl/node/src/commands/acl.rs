//! Owns the commands about users: ACL.
//!
//! Must not decide what a user may do: that is `users`.

use super::{every, help_of, options::integer};
use crate::{
    category::{CATEGORIES, Category},
    client::Session,
    dispatch, files,
    log::reason,
    server::Server,
    users::{self, Access, BadRule, Users, merge_selectors, name_of},
};
use slotbus_wire::resp::{Args, Reply, parse_i64};
use std::{fs, path::Path};

const NO_FILE: &str = "This Redis instance is not configured to use an ACL file. You may want to specify users via the \
    ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in order to \
    store users in the Redis configuration.";

pub(super) fn help<'e>(_: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    help_of(
        "ACL",
        &[
            ("CAT [<category>]", "The categories of commands, or the commands of one."),
            ("DELUSER <username> [<username> ...]", "Remove users, and end their connections."),
            ("DRYRUN <username> <command> [<arg> ...]", "Whether a user may make a request."),
            ("GENPASS [<bits>]", "Make up a password."),
            ("GETUSER <username>", "The rules of a user."),
            ("LIST", "The rules of every user, as a file has them."),
            ("LOAD", "Read the users from their file again."),
            ("LOG [<count>|RESET]", "Who was turned away of late."),
            ("SAVE", "Write the users to their file."),
            ("SETUSER <username> [<rule> ...]", "Make or change a user."),
            ("USERS", "The names of all users."),
            ("WHOAMI", "The name of this connection's user."),
        ],
    )
}

pub(super) fn cat<'e>(_: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    match args.get(2) {
        _ if args.len() > 3 => unknown_form(args),
        None => Reply::Array(CATEGORIES.iter().map(|category| Reply::text(category.name)).collect()),
        Some(name) => match Category::named(name) {
            Some(category) => {
                let members = every().filter(|command| category.includes(command));
                Reply::Array(members.map(|command| Reply::text(command.name)).collect())
            }
            None => Reply::err(format_args!("Unknown category '{}'", shown(name))),
        },
    }
}

pub(super) fn whoami<'e>(_: &'e mut Server, session: &mut Session, _: Args<'e>) -> Reply<'e> {
    Reply::text(session.user_name().to_owned())
}

pub(super) fn users<'e>(server: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    Reply::Array(server.users.iter().map(|user| Reply::text(user.name.clone())).collect())
}

pub(super) fn list<'e>(server: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    Reply::Array(server.users.lines().into_iter().map(Reply::bulk).collect())
}

pub(super) fn getuser<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    let Some(user) = server.users.named(args.at(2)) else { return Reply::Null };
    let (own, selectors) = user.access();
    let mut fields = vec![
        (Reply::text("flags"), Reply::Set(user.flags().map(Reply::text).collect())),
        (
            Reply::text("passwords"),
            Reply::Array(user.passwords().iter().map(|hash| Reply::text(hash.clone())).collect()),
        ),
    ];
    fields.extend(access_fields(own));
    let selectors = selectors.iter().map(|selector| Reply::Map(access_fields(selector).into()));
    fields.push((Reply::text("selectors"), Reply::Array(selectors.collect())));
    Reply::Map(fields)
}

fn access_fields(access: &Access) -> [(Reply<'static>, Reply<'static>); 3] {
    [
        (Reply::text("commands"), Reply::text(access.commands())),
        (Reply::text("keys"), Reply::bulk(access.keys())),
        (Reply::text("channels"), Reply::bulk(access.channels())),
    ]
}

pub(super) fn setuser<'e>(server: &'e mut Server, session: &mut Session, args: Args<'e>) -> Reply<'e> {
    let Some(name) = name_of(args.at(2)) else {
        return Reply::err("Usernames can't contain spaces or null characters");
    };
    let rules = match merge_selectors(args.from(3)) {
        Ok(rules) => rules,
        Err(rule) => {
            let rule = shown(rule);
            return Reply::err(format_args!("Unmatched parenthesis in acl selector starting at '{rule}'."));
        }
    };
    match server.users.changed(&name, &rules) {
        Ok(user) => {
            server.put_user(user, session);
            Reply::OK
        }
        Err((rule, why)) => bad_rule(rule, why),
    }
}

fn bad_rule(rule: &[u8], why: BadRule) -> Reply<'static> {
    Reply::err(format_args!("Error in ACL SETUSER modifier '{}': {why}", shown(rule)))
}

pub(super) fn deluser<'e>(server: &'e mut Server, session: &mut Session, args: Args<'e>) -> Reply<'e> {
    if args.from(2).any(|name| name == users::DEFAULT.as_bytes()) {
        return Reply::err("The 'default' user cannot be removed");
    }
    let gone = args.from(2).filter(|name| server.users.remove(name)).count();
    server.end_strangers(session);
    Reply::count(gone)
}

pub(super) fn dryrun<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    let Some(user) = server.users.named(args.at(2)) else {
        return Reply::err(format_args!("User '{}' not found", shown(args.at(2))));
    };
    let request = args.skip(3);
    let Ok(command) = dispatch::look_up(request) else {
        return Reply::err(format_args!("Command '{}' not found", shown(request.at(0))));
    };
    if !command.takes(request.len()) {
        return Reply::err(format_args!("wrong number of arguments for '{}' command", command.name));
    }
    match user.check(command, request) {
        Ok(()) => Reply::OK,
        Err(denial) => Reply::text(dispatch::denial_of(command, &denial, true)),
    }
}

pub(super) fn genpass<'e>(_: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    const BITS_MAX: i64 = 4096;
    const BITS_PER_DIGIT: usize = 4;
    let bits = match args.get(2) {
        _ if args.len() > 3 => return unknown_form(args),
        None => 256,
        Some(bits) => match integer(bits) {
            Ok(bits) => bits,
            Err(refusal) => return refusal,
        },
    };
    let Some(bits) = usize::try_from(bits).ok().filter(|_| (1..=BITS_MAX).contains(&bits)) else {
        return Reply::err(
            "ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096",
        );
    };
    let digits = bits.div_ceil(BITS_PER_DIGIT);
    let mut bytes = vec![0; digits.div_ceil(2)];
    match getrandom::fill(&mut bytes) {
        Ok(()) => {
            let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            Reply::text(text[..digits].to_owned())
        }
        Err(error) => Reply::err(format_args!("The system has no randomness for a password: {error}")),
    }
}

pub(super) fn log<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    const SHOWN: usize = 10;
    let count = match args.get(2) {
        _ if args.len() > 3 => return unknown_form(args),
        None => SHOWN,
        Some(word) if word.eq_ignore_ascii_case(b"reset") => {
            server.refusals.clear();
            return Reply::OK;
        }
        Some(count) => match parse_i64(count) {
            Some(count) => usize::try_from(count).unwrap_or_default(),
            None => return super::not_an_integer(),
        },
    };
    let now = server.now;
    let entries = server.refusals.iter().take(count).map(|refusal| {
        let age_ms = now.since(refusal.at);
        let fields: [(&str, Reply<'_>); 7] = [
            ("count", Reply::Integer(i64::try_from(refusal.count).unwrap_or(i64::MAX))),
            ("reason", Reply::text(refusal.reason)),
            ("context", Reply::text(refusal.context.name())),
            ("object", Reply::bulk(&refusal.object)),
            ("username", Reply::text(&*refusal.user)),
            ("age-seconds", Reply::Double(age_ms as f64 / 1000.0)),
            ("client-info", Reply::text(&*refusal.client)),
        ];
        Reply::Map(fields.into_iter().map(|(name, value)| (Reply::text(name), value)).collect())
    });
    Reply::Array(entries.collect())
}

pub(super) fn load<'e>(server: &'e mut Server, session: &mut Session, _: Args<'e>) -> Reply<'e> {
    if server.settings.text("aclfile").is_empty() {
        return Reply::err(NO_FILE);
    }
    match users_of_file(&server.settings.path("aclfile"), server.users.hears_all) {
        Ok(users) => {
            server.users = users;
            server.end_strangers(session);
            Reply::OK
        }
        Err(errors) => Reply::err(format_args!(
            "{errors}WARNING: ACL errors detected, no change to the previously active ACL rules was performed"
        )),
    }
}

/// The users that a file makes.
pub(crate) fn users_of_file(path: &Path, hears_all: bool) -> Result<Users, String> {
    let name = path.display();
    let text =
        fs::read(path).map_err(|error| format!("Error loading ACLs, opening file '{name}': {}. ", reason(&error)))?;
    Users::new(hears_all).with_lines(&text, &name.to_string())
}

pub(super) fn save<'e>(server: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    if server.settings.text("aclfile").is_empty() {
        return Reply::err(NO_FILE);
    }
    let mut text = server.users.lines().join(&b'\n');
    text.push(b'\n');
    match files::replace(&server.settings.path("aclfile"), &text) {
        Ok(()) => Reply::OK,
        Err(error) => {
            server.log.warning(format_args!("Saving the ACL file failed: {}", reason(&error)));
            Reply::err("There was an error trying to save the ACLs. Please check the server logs for more information")
        }
    }
}

fn unknown_form(args: Args<'_>) -> Reply<'static> {
    super::cluster::no_such_form(args, "ACL")
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
