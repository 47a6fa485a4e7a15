//! Owns the commands about the configuration: CONFIG.

use super::{help_of, syntax_error};
use crate::{
    client::Session,
    command_stats::CommandStats,
    config::{Directive, directive::DIRECTIVES, rewrite},
    counters::ClientCounters,
    glob,
    log::reason,
    server::Server,
    tls::Tls,
};
use slotbus_wire::resp::{Args, Reply};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn help<'e>(_: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    help_of(
        "CONFIG",
        &[
            ("GET <pattern> [<pattern> ...]", "The values of the directives that match."),
            ("RESETSTAT", "Reset what INFO counts."),
            ("REWRITE", "Write the configuration to its file."),
            ("SET <directive> <value> [...]", "Change directives, all of them or none."),
        ],
    )
}

pub(super) fn get<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    let dir = std::path::absolute(server.settings.dir()).unwrap_or_default();
    let dir = dir.to_string_lossy();
    let mut found = BTreeMap::new();
    for (directive, value) in server.settings.iter() {
        for name in std::iter::once(directive.name).chain(directive.alias) {
            let is_meant = |pattern: &[u8]| match directive.is_hidden {
                true => pattern.eq_ignore_ascii_case(name.as_bytes()),
                false => glob::matches(pattern, name.as_bytes(), true),
            };
            if args.from(2).any(is_meant) {
                found.insert(name, value);
            }
        }
    }
    if let Some(value) = found.get_mut("dir") {
        *value = &dir;
    }
    Reply::Map(found.into_iter().map(|(name, value)| (Reply::text(name), Reply::text(value))).collect())
}

pub(super) fn set<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    if !args.len().is_multiple_of(2) {
        return syntax_error();
    }
    let pairs = args.from(2).step_by(2).zip(args.from(3).step_by(2));
    let mut changes = Vec::new();
    for (name, value) in pairs {
        let name = String::from_utf8_lossy(name);
        let Some(index) = Directive::find(&name) else {
            return Reply::err(format_args!("Unknown option or number of arguments for CONFIG SET - '{name}'"));
        };
        changes.push((index, name.into_owned(), String::from_utf8_lossy(value).into_owned()));
    }
    let mut settings = server.settings.clone();
    let mut seen = BTreeSet::new();
    for (index, name, value) in &changes {
        let outcome = if seen.insert(index) {
            let words: Vec<&str> =
                if DIRECTIVES[*index].kind.takes_many() { value.split(' ').collect() } else { vec![value] };
            settings.change(*index, &words)
        } else {
            Err("duplicate parameter".into())
        };
        if let Err(message) = outcome {
            return Reply::err(format_args!("CONFIG SET failed (possibly related to argument '{name}') - {message}"));
        }
    }
    for (index, ..) in &changes {
        let directive = &DIRECTIVES[*index];
        if !directive.is_acted_on {
            server.log.warning(format_args!(
                "WARNING: the directive '{}' is accepted but has no effect in this node",
                directive.name
            ));
        }
    }
    let former_tls = server.tls.clone();
    if let Some((_, name, _)) = changes.iter().find(|(index, ..)| DIRECTIVES[*index].name.starts_with("tls-")) {
        match Tls::load(&settings) {
            Ok(tls) => server.tls = tls,
            Err(why) => {
                server.log.warning(format_args!("{why}"));
                return Reply::err(format_args!(
                    "CONFIG SET failed (possibly related to argument '{name}') - Unable to update TLS configuration. \
                     Check server logs."
                ));
            }
        }
    }
    let rebinds = settings.text("bind") != server.settings.text("bind");
    let former = std::mem::replace(&mut server.settings, settings);
    if let Err((name, why)) = put_in_force(server, rebinds) {
        (server.settings, server.tls) = (former, former_tls);
        // What held before asks for no new file, and for no port that was not had.
        let _ = put_in_force(server, rebinds);
        return Reply::err(format_args!("CONFIG SET failed (possibly related to argument '{name}') - {why}"));
    }
    if changes.iter().any(|(index, ..)| DIRECTIVES[*index].name == "requirepass") {
        server.users.set_password(server.settings.text("requirepass"));
    }
    Reply::OK
}

/// Acts on settings that have changed; says of which directive, and why, if that fails.
fn put_in_force(server: &mut Server, rebinds: bool) -> Result<(), (&'static str, &'static str)> {
    let listening = server.doors.client_listeners.adopt(&server.settings, &server.log);
    listening.map_err(|unavailable| match unavailable.directive {
        _ if rebinds => ("bind", "Failed to bind to specified addresses."),
        directive => (directive, "Unable to listen on this port. Check server logs."),
    })?;
    server.adopt_settings();
    server.adopt_aof().map_err(|_| ("appendonly", "Unable to turn on AOF. Check server logs."))
}

pub(super) fn resetstat<'e>(server: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    server.counters = ClientCounters::default();
    server.command_stats = CommandStats::default();
    Reply::OK
}

pub(super) fn rewrite<'e>(server: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    let Some(path) = &server.config_file else { return Reply::err("The server is running without a config file") };
    match rewrite::rewrite(path, &server.settings, &server.users) {
        Ok(()) => {
            server.log.notice(format_args!("CONFIG REWRITE executed with success."));
            Reply::OK
        }
        Err(error) => {
            let reason = reason(&error);
            server.log.warning(format_args!("CONFIG REWRITE failed: {reason}"));
            Reply::err(format_args!("Rewriting config file: {reason}"))
        }
    }
}
