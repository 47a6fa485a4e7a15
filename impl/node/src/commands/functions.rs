//! Owns the commands about functions of libraries: FCALL with its variant, FUNCTION, and how those of them that change
//! libraries are followed when a primary sends them.
//!
//! Must not know Lua, nor what a library's text has to look like.

use super::{help_of, scripting};
use crate::{
    client::Session,
    dispatch::{self, busy, shown},
    glob,
    libraries::Policy,
    lua::{Call, Library},
    server::Server,
};
use slotbus_wire::{
    dump,
    resp::{Args, Reply, parse_i64},
};

pub(super) fn fcall<'e>(server: &'e mut Server, session: &mut Session, args: Args<'e>) -> Reply<'e> {
    call(server, session, args, false).unwrap_or_else(|refusal| refusal)
}

pub(super) fn fcall_ro<'e>(server: &'e mut Server, session: &mut Session, args: Args<'e>) -> Reply<'e> {
    call(server, session, args, true).unwrap_or_else(|refusal| refusal)
}

fn call(
    server: &mut Server,
    session: &mut Session,
    args: Args<'_>,
    is_readonly: bool,
) -> Result<Reply<'static>, Reply<'static>> {
    let script = server.scripts.functions.named(args.at(1)).ok_or_else(|| Reply::err("Function not found"))?;
    let count = parse_i64(args.at(2)).ok_or_else(|| Reply::err("Bad number of keys provided"))?;
    let words = scripting::split_words(args, count)?;
    match server.refuse_script(&script, is_readonly) {
        Some(refusal) => Err(refusal),
        None => Ok(server.run_script(session, Call { script: &script, request: Some(args), is_readonly, words })),
    }
}

/// Carries out a change of libraries: what is kept becomes what was loaded, and others are told the request.
fn change<T>(
    server: &mut Server,
    args: Args<'_>,
    change: impl FnOnce(&mut Server, Args<'_>) -> Result<T, String>,
) -> Result<T, Reply<'static>> {
    let done = change(server, args).map_err(Reply::err)?;
    server.keep_change(args).map_err(Reply::err)?;
    server.record_request(args);
    Ok(done)
}

pub(super) fn load<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    change(server, args, load_library).map_or_else(|refusal| refusal, Reply::text)
}

fn load_library(server: &mut Server, args: Args<'_>) -> Result<String, String> {
    let (text, mut replaces) = (args.len() - 1, false);
    for at in 2..text {
        if !args.at(at).eq_ignore_ascii_case(b"replace") {
            return Err(format!("Unknown option given: {}", shown(args.at(at), usize::MAX)));
        }
        replaces = true;
    }
    server.scripts.functions.load(args.at(text), replaces)
}

pub(super) fn delete<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    change(server, args, delete_library).map_or_else(|refusal| refusal, |()| Reply::OK)
}

fn delete_library(server: &mut Server, args: Args<'_>) -> Result<(), String> {
    if server.scripts.functions.delete(args.at(2)) { Ok(()) } else { Err("Library not found".into()) }
}

pub(super) fn flush<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    if args.len() > 3 {
        return of_wrong_shape("flush");
    }
    change(server, args, flush_libraries).map_or_else(|refusal| refusal, |()| Reply::OK)
}

fn flush_libraries(server: &mut Server, args: Args<'_>) -> Result<(), String> {
    let is_mode = |arg: &[u8]| arg.eq_ignore_ascii_case(b"async") || arg.eq_ignore_ascii_case(b"sync");
    if args.get(2).is_some_and(|arg| !is_mode(arg)) {
        return Err("FUNCTION FLUSH only supports SYNC|ASYNC option".into());
    }
    server.scripts.functions.clear();
    Ok(())
}

pub(super) fn restore<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    if args.len() > 4 {
        return of_wrong_shape("restore");
    }
    change(server, args, restore_libraries).map_or_else(|refusal| refusal, |()| Reply::OK)
}

fn restore_libraries(server: &mut Server, args: Args<'_>) -> Result<(), String> {
    let policy = Policy::named(args.get(3))?;
    let texts = dump::restore_functions(args.at(2)).map_err(|fault| fault.to_string())?;
    server.scripts.functions.restore(&texts, policy)
}

fn of_wrong_shape(name: &str) -> Reply<'static> {
    Reply::err(format_args!("unknown subcommand or wrong number of arguments for '{name}'. Try FUNCTION HELP."))
}

pub(super) fn dump<'e>(server: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    Reply::bulk(server.store.libraries.dump(server.store.limits.compresses))
}

pub(super) fn list<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    let (pattern, has_code) = match list_options(args) {
        Ok(options) => options,
        Err(refusal) => return refusal,
    };
    let libraries = server.scripts.functions.libraries().iter();
    let wanted =
        libraries.filter(|(name, _)| pattern.is_none_or(|pattern| glob::matches(pattern, name.as_bytes(), true)));
    Reply::Array(wanted.map(|(name, library)| about_library(name, library, has_code)).collect())
}

/// The pattern that names are to match, and whether the texts are wanted.
fn list_options(args: Args<'_>) -> Result<(Option<&[u8]>, bool), Reply<'static>> {
    let (mut pattern, mut has_code, mut at) = (None, false, 2);
    while let Some(option) = args.get(at) {
        at += match option.to_ascii_lowercase().as_slice() {
            b"withcode" if !has_code => {
                has_code = true;
                1
            }
            b"libraryname" if pattern.is_none() => {
                pattern = Some(args.get(at + 1).ok_or_else(|| Reply::err("library name argument was not given"))?);
                2
            }
            _ => return Err(Reply::err(format_args!("Unknown argument {}", shown(option, usize::MAX)))),
        };
    }
    Ok((pattern, has_code))
}

fn named<'r>(pairs: impl IntoIterator<Item = (&'static str, Reply<'r>)>) -> Reply<'r> {
    Reply::Map(pairs.into_iter().map(|(name, reply)| (Reply::text(name), reply)).collect())
}

fn about_library<'r>(name: &'r str, library: &'r Library, has_code: bool) -> Reply<'r> {
    let functions = library.functions.iter().map(|function| {
        let flags = function.script.flags.names().map(Reply::status);
        named([
            ("name", Reply::bulk(function.script.name.as_bytes())),
            ("description", function.description.as_deref().map_or(Reply::Null, Reply::bulk)),
            ("flags", Reply::Set(flags.collect())),
        ])
    });
    let parts = [
        ("library_name", Reply::bulk(name.as_bytes())),
        ("engine", Reply::text("LUA")),
        ("functions", Reply::Array(functions.collect())),
    ];
    named(parts.into_iter().chain(has_code.then(|| ("library_code", Reply::bulk(library.text.as_slice())))))
}

pub(super) fn stats<'e>(server: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    let running = match &server.scripts.running {
        None => Reply::Null,
        Some(running) => match &running.call {
            None => return busy(running),
            Some(request) => {
                let elapsed = server.scripts.terms.since.get().elapsed().as_millis();
                named([
                    ("name", Reply::bulk(running.name.as_bytes())),
                    ("command", Reply::Array(request.args().from(0).map(Reply::bulk).collect())),
                    ("duration_ms", Reply::Integer(i64::try_from(elapsed).unwrap_or(i64::MAX))),
                ])
            }
        },
    };
    let functions = &server.scripts.functions;
    let engine = named([
        ("libraries_count", Reply::count(functions.libraries().len())),
        ("functions_count", Reply::count(functions.len())),
    ]);
    named([("running_script", running), ("engines", named([("LUA", engine)]))])
}

pub(super) fn kill<'e>(server: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    scripting::end_running(server, "FUNCTION KILL")
}

pub(super) fn help<'e>(_: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    help_of(
        "FUNCTION",
        &[
            ("DELETE <library>", "Drop a library."),
            ("DUMP", "Pack all libraries, to be restored elsewhere."),
            ("FLUSH [ASYNC|SYNC]", "Drop all libraries."),
            ("KILL", "End the function that runs, unless it has written."),
            ("LIST [LIBRARYNAME <pattern>] [WITHCODE]", "Tell the libraries, with their functions."),
            ("LOAD [REPLACE] <text>", "Load a library."),
            ("RESTORE <payload> [FLUSH|APPEND|REPLACE]", "Load the libraries that DUMP has packed."),
            ("STATS", "Tell which function runs, and how many there are."),
        ],
    )
}

impl Server {
    /// Keeps the libraries as a request has changed them, so that they are saved and copied.
    fn keep_change(&mut self, args: Args<'_>) -> Result<(), String> {
        let words: Vec<&[u8]> = args.from(1).collect();
        self.store.news.changes += 1;
        self.store.libraries.follow(&words)
    }

    /// Loads the libraries that are kept, after they came from a file.
    pub(crate) fn adopt_libraries(&mut self) -> Result<(), String> {
        let outcome = self.scripts.functions.become_those_of(&self.store.libraries);
        self.store.libraries = self.scripts.functions.kept();
        outcome.map_err(|fault| format!("A library of functions cannot be loaded: {fault}"))
    }

    /// Carries out a request about libraries that the primary has carried out.
    pub(crate) fn follow_change_of_functions(&mut self, args: Args<'_>) -> Result<(), String> {
        let refused = |reply: Reply<'_>| reply.error_text().unwrap_or_default().to_owned();
        let command = dispatch::look_up(args).map_err(refused)?;
        let name = command.name;
        if !command.takes(args.len()) {
            return Err(format!("'{name}' has the wrong number of arguments"));
        }
        let outcome = match name {
            "function|load" => load_library(self, args).map(drop),
            "function|delete" => delete_library(self, args),
            "function|flush" => flush_libraries(self, args),
            "function|restore" => restore_libraries(self, args),
            _ => Err("it changes no library".into()),
        };
        outcome.map_err(|fault| format!("'{name}' fails: {fault}"))?;
        self.keep_change(args)
    }
}
