//! Owns what of the library `redis` needs neither keys nor clients: texts, levels, settings of the
//! script that runs.

use super::{
    native::{Arguments, Fault, Outcome, error_table, function, refusal},
    running::Terms,
};
use crate::{
    commands::REDIS_VERSION,
    log::{Level, Log},
};
use mlua::{Lua, MultiValue, Table, Value};
use sha1::{Digest as _, Sha1};
use slotbus_wire::resp::Protocol;
use std::rc::Rc;

const LEVELS: [(&str, Level); 4] = [
    ("LOG_DEBUG", Level::Debug),
    ("LOG_VERBOSE", Level::Verbose),
    ("LOG_NOTICE", Level::Notice),
    ("LOG_WARNING", Level::Warning),
];
/// Where writes may go: a file of them, replicas.
const TARGETS: [(&str, i64); 5] =
    [("REPL_NONE", 0), ("REPL_AOF", 1), ("REPL_SLAVE", TO_REPLICAS), ("REPL_REPLICA", TO_REPLICAS), ("REPL_ALL", 3)];
const TO_REPLICAS: i64 = 2;

/// The functions and constants of the library.
pub(super) fn library(lua: &Lua, log: &Log, terms: &Rc<Terms>) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    put_targets(&table)?;
    put_version(&table)?;
    put_texts(lua, &table)?;
    put_settings(lua, &table, terms)?;
    put_log(lua, &table, log)?;
    Ok(table)
}

/// What functions of libraries do not find.
pub(super) fn put_what_scripts_have(lua: &Lua, table: &Table) -> mlua::Result<()> {
    // There is no debugger: to wait for one is not to wait, and to tell it something is to tell nobody.
    table.raw_set("breakpoint", function(lua, "breakpoint", |_, _| Ok(false))?)?;
    table.raw_set("debug", function(lua, "debug", |_, _| Ok(()))?)?;
    // Writes are always replicated as what came of them.
    table.raw_set("replicate_commands", function(lua, "replicate_commands", |_, _| Ok(true))?)
}

/// What writes to the log, and its levels.
pub(super) fn put_log(lua: &Lua, table: &Table, log: &Log) -> mlua::Result<()> {
    for (number, (name, _)) in LEVELS.iter().enumerate() {
        table.raw_set(*name, number)?;
    }
    let log = log.clone();
    table.raw_set("log", function(lua, "log", move |_, args| write_line(&log, &args))?)
}

fn put_targets(table: &Table) -> mlua::Result<()> {
    TARGETS.iter().try_for_each(|(name, target)| table.raw_set(*name, *target))
}

/// The version that scripts are told.
pub(super) fn put_version(table: &Table) -> mlua::Result<()> {
    table.raw_set("REDIS_VERSION", REDIS_VERSION)?;
    let parts = REDIS_VERSION.split('.').map(|part| part.parse::<u32>().unwrap_or_default());
    table.raw_set("REDIS_VERSION_NUM", parts.fold(0, |number, part| number << 8 | part))
}

fn put_texts(lua: &Lua, table: &Table) -> mlua::Result<()> {
    let hash = |_: &Lua, args: Arguments<'_>| {
        let text = if args.len() == 1 { args.text(0).unwrap_or_default() } else { return Err(refusal(COUNT)) };
        Ok(hex(&Sha1::digest(text)))
    };
    table.raw_set("sha1hex", function(lua, "sha1hex", hash)?)?;
    let fail = |lua: &Lua, args: Arguments<'_>| {
        let Some(text) = only_text(&args) else {
            return Ok(error_table(lua, "ERR wrong number or type of arguments")?);
        };
        Ok(error_table(lua, error_text(&text))?)
    };
    table.raw_set("error_reply", function(lua, "error_reply", fail)?)?;
    let succeed = |lua: &Lua, args: Arguments<'_>| {
        let Some(text) = only_text(&args) else {
            return Ok(error_table(lua, "ERR wrong number or type of arguments")?);
        };
        let reply = lua.create_table()?;
        reply.raw_set("ok", lua.create_string(text)?)?;
        Ok(reply)
    };
    table.raw_set("status_reply", function(lua, "status_reply", succeed)?)
}

const COUNT: &str = "wrong number of arguments";

/// The only argument, if it is a text.
fn only_text(args: &Arguments<'_>) -> Option<Vec<u8>> {
    if let (Value::String(text), 1) = (args.at(0), args.len()) { Some(text.as_bytes().to_vec()) } else { None }
}

/// The text of an error, with a code before it if it has none. Line ends cannot stand in it.
fn error_text(text: &[u8]) -> Vec<u8> {
    let has_sign = text.first() == Some(&b'-');
    let bare = if has_sign { &text[1..] } else { text };
    let line: Vec<u8> =
        bare.iter().copied().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }).collect();
    if line.contains(&b' ') { line } else { [b"ERR ".as_slice(), &line].concat() }
}

fn put_settings(lua: &Lua, table: &Table, terms: &Rc<Terms>) -> mlua::Result<()> {
    let shared = Rc::clone(terms);
    let speak = move |_: &Lua, args: Arguments<'_>| {
        if args.len() != 1 {
            return Err(refusal("redis.setresp() requires one argument."));
        }
        shared.protocol.set(match args.number(0).ok() {
            Some(2.0) => Protocol::Two,
            Some(3.0) => Protocol::Three,
            _ => return Err(refusal("RESP version must be 2 or 3.")),
        });
        Ok(())
    };
    table.raw_set("setresp", function(lua, "setresp", speak)?)?;
    let shared = Rc::clone(terms);
    let choose = move |_: &Lua, args: Arguments<'_>| {
        if args.len() != 1 {
            return Err(refusal("redis.set_repl() requires two arguments."));
        }
        let target = args.integer(0).unwrap_or_default();
        if !(0..=3).contains(&target) {
            return Err(refusal("Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE."));
        }
        shared.replicates.set(target & TO_REPLICAS != 0);
        Ok(())
    };
    table.raw_set("set_repl", function(lua, "set_repl", choose)?)
}

fn write_line(log: &Log, args: &Arguments<'_>) -> Outcome<MultiValue> {
    if args.len() < 2 {
        return Err(refusal("redis.log() requires two arguments or more."));
    }
    let (Value::Integer(_) | Value::Number(_)) = args.at(0) else {
        return Err(refusal("First argument must be a number (log level)."));
    };
    let level = usize::try_from(args.integer(0)?).ok().and_then(|level| LEVELS.get(level));
    let Some((_, level)) = level else { return Err(refusal("Invalid debug level.")) };
    let words = (1..args.len()).filter_map(|index| args.text(index).ok());
    let line = words.map(|word| String::from_utf8_lossy(&word).into_owned()).collect::<Vec<_>>().join(" ");
    log.line(*level, format_args!("{line}"));
    Ok(MultiValue::new())
}

/// The name of a script, or of any text: its hash in lower case.
pub(super) fn hex(hash: &[u8]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A request that a script makes, from what it gives for it.
pub(super) fn request(values: &MultiValue) -> Result<slotbus_wire::resp::OwnedArgs, Fault> {
    if values.is_empty() {
        return Err(refusal("Please specify at least one argument for this redis lib call"));
    }
    let words: Option<Vec<Vec<u8>>> = values.iter().map(super::reply::argument).collect();
    let words = words.ok_or_else(|| refusal("Lua redis lib command arguments must be strings or integers"))?;
    Ok(slotbus_wire::resp::OwnedArgs::collect(words.iter().map(Vec::as_slice)))
}
