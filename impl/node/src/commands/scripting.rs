//! Owns the commands about scripts: EVAL with its variants, SCRIPT.

use super::{help_of, not_an_integer};
use crate::{
    client::Session,
    dispatch,
    lua::{Call, Script},
    server::Server,
};
use slotbus_wire::resp::{Args, Reply, parse_i64};
use std::rc::Rc;

pub(super) fn eval<'e>(server: &'e mut Server, session: &mut Session, args: Args<'e>) -> Reply<'e> {
    evaluate(server, session, args, of_text, false)
}

pub(super) fn eval_ro<'e>(server: &'e mut Server, session: &mut Session, args: Args<'e>) -> Reply<'e> {
    evaluate(server, session, args, of_text, true)
}

pub(super) fn evalsha<'e>(server: &'e mut Server, session: &mut Session, args: Args<'e>) -> Reply<'e> {
    evaluate_known(server, session, args, false)
}

pub(super) fn evalsha_ro<'e>(server: &'e mut Server, session: &mut Session, args: Args<'e>) -> Reply<'e> {
    evaluate_known(server, session, args, true)
}

/// Finds the script that a request is about.
type Find = fn(&mut Server, &[u8]) -> Result<Rc<Script>, Reply<'static>>;

fn of_text(server: &mut Server, text: &[u8]) -> Result<Rc<Script>, Reply<'static>> {
    server.scripts.of_text(text).map_err(Reply::err)
}

fn of_name(server: &mut Server, name: &[u8]) -> Result<Rc<Script>, Reply<'static>> {
    server.scripts.cache.named(name).ok_or_else(no_script)
}

fn no_script() -> Reply<'static> {
    Reply::error("NOSCRIPT No matching script. Please use EVAL.")
}

/// What cannot be a name is refused before anything else.
fn evaluate_known<'e>(server: &mut Server, session: &mut Session, args: Args<'e>, is_readonly: bool) -> Reply<'e> {
    const NAME_LEN: usize = 40;
    match args.at(1).len() {
        NAME_LEN => evaluate(server, session, args, of_name, is_readonly),
        _ => no_script(),
    }
}

fn evaluate<'e>(
    server: &mut Server,
    session: &mut Session,
    args: Args<'e>,
    find: Find,
    is_readonly: bool,
) -> Reply<'e> {
    let outcome = keys_and_others(args).and_then(|words| {
        let script = find(server, args.at(1))?;
        server.refuse_script(&script, is_readonly).map_or(Ok((script, words)), Err)
    });
    match outcome {
        Ok((script, words)) => server.run_script(session, Call { script: &script, request: None, is_readonly, words }),
        Err(refusal) => refusal,
    }
}

/// The keys of a request, and what comes behind them.
fn keys_and_others(args: Args<'_>) -> Result<[Vec<&[u8]>; 2], Reply<'static>> {
    parse_i64(args.at(2)).ok_or_else(not_an_integer).and_then(|count| split_words(args, count))
}

/// The keys of a request, which are so many, and what comes behind them.
pub(super) fn split_words(args: Args<'_>, count: i64) -> Result<[Vec<&[u8]>; 2], Reply<'static>> {
    const FIRST: usize = 3;
    let most = args.len().saturating_sub(FIRST);
    if count > i64::try_from(most).unwrap_or(i64::MAX) {
        return Err(Reply::err("Number of keys can't be greater than number of args"));
    }
    let count = usize::try_from(count).map_err(|_| Reply::err("Number of keys can't be negative"))?;
    Ok([args.from(FIRST).take(count).collect(), args.from(FIRST + count).collect()])
}

pub(super) fn load<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    of_text(server, args.at(2)).map_or_else(|refusal| refusal, |script| Reply::text(script.name.clone()))
}

pub(super) fn exists<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    let is_known = |name| Reply::Integer(server.scripts.cache.named(name).is_some().into());
    Reply::Array(args.from(2).map(is_known).collect())
}

pub(super) fn flush<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    let is_mode = |arg: &[u8]| arg.eq_ignore_ascii_case(b"async") || arg.eq_ignore_ascii_case(b"sync");
    if args.len() > 3 || args.get(2).is_some_and(|arg| !is_mode(arg)) {
        return Reply::err("SCRIPT FLUSH only support SYNC|ASYNC option");
    }
    server.scripts.clear();
    Reply::OK
}

pub(super) fn kill<'e>(server: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    end_running(server, "SCRIPT KILL")
}

/// Ends what runs, if it may be ended, and by this command.
pub(super) fn end_running(server: &mut Server, command: &str) -> Reply<'static> {
    match &server.scripts.running {
        None => Reply::error("NOTBUSY No scripts in execution right now."),
        Some(running) if running.has_written => Reply::error(
            "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the \
             script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.",
        ),
        Some(running) if running.remedy() != command => dispatch::busy(running),
        Some(_) => {
            server.scripts.terms.is_killed.set(true);
            server.log.warning(format_args!("Lua script killed by user with SCRIPT KILL."));
            Reply::OK
        }
    }
}

pub(super) fn debug<'e>(_: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    match args.at(2).to_ascii_lowercase().as_slice() {
        b"no" => Reply::OK,
        b"yes" | b"sync" => Reply::err("This node has no debugger for scripts"),
        _ => Reply::err("Use SCRIPT DEBUG YES/SYNC/NO"),
    }
}

pub(super) fn help<'e>(_: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    help_of(
        "SCRIPT",
        &[
            ("DEBUG (YES|SYNC|NO)", "Debug scripts: refused, but for NO."),
            ("EXISTS <sha1> [<sha1> ...]", "Whether scripts are known."),
            ("FLUSH [ASYNC|SYNC]", "Forget all scripts."),
            ("KILL", "End the script that runs, unless it has written."),
            ("LOAD <script>", "Have a script known without running it."),
        ],
    )
}
