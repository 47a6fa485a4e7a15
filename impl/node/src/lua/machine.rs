//! Owns the Lua machine: what scripts find in it, how they are compiled and started, and the hook by
//! which one that runs for too long is interrupted.
//!
//! Must not know the node: the functions that reach it are handed in with each script.

use super::{
    bit, cjson, cmsgpack,
    native::{Raised, error_table},
    random, redis,
    registration::{self, Registration},
    running::Terms,
    structs,
};
use crate::log::Log;
use mlua::{ChunkMode, Function, HookTriggers, Lua, LuaOptions, RegistryKey, StdLib, Table, Value, VmState};
use std::{
    panic::{self, AssertUnwindSafe},
    rc::Rc,
    time::Duration,
};

/// A script is looked after each time that it has taken so many steps.
const STEPS: u32 = 100_000;
/// The most that scripts may hold.
const BYTES_MAX: usize = 1 << 30;
const PRELUDE: &str = "=prelude";
/// The name under which the hook finds the function that looks after the node meanwhile.
const LOOK_AFTER: &str = "look_after";
const UNKNOWN: &str = "ERR unknown error";
const KILLED: &str = "ERR Script killed by user with SCRIPT KILL...";
const LOADS_TOO_LONG: &str = "ERR FUNCTION LOAD timeout";

/// What a machine is for.
#[derive(Clone, Debug)]
pub(super) enum Purpose {
    /// Scripts that clients send.
    Scripts,
    /// Functions of libraries, which are registered there while they are loaded.
    Functions(Registration),
}

impl Purpose {
    /// The name that all code has.
    fn chunk_name(&self) -> &'static str {
        match self {
            Self::Scripts => "@user_script",
            Self::Functions(_) => "@user_function",
        }
    }
}

/// The machine.
#[derive(Debug)]
pub(super) struct Machine {
    lua: Lua,
    purpose: Purpose,
    start: Function,
    /// Puts right what code leaves behind that was cut off.
    recover: Function,
    /// Runs the code of a library; none where no libraries are.
    load: Option<Function>,
    terms: Rc<Terms>,
}

/// How a script ended.
pub(super) enum Ended {
    /// With a value.
    Well(Value),
    /// With an error: its text, and the place where it was raised if that is known.
    Badly(String, Option<String>),
}

/// What a script is started with.
pub(super) struct Start<'a> {
    /// Its code.
    pub(super) code: &'a RegistryKey,
    /// Keys, and other arguments.
    pub(super) words: [Vec<&'a [u8]>; 2],
    /// What carries out a request and raises errors, what carries one out and answers errors, what tells
    /// whether the user may make one.
    pub(super) requests: [Function; 3],
    /// What looks after the node while the script runs for too long.
    pub(super) look_after: Function,
}

impl Machine {
    /// A machine without any script.
    pub(super) fn new(purpose: Purpose, log: &Log, terms: Rc<Terms>) -> mlua::Result<Self> {
        let options = LuaOptions::new().catch_rust_panics(false);
        let lua = Lua::new_with(StdLib::TABLE | StdLib::STRING | StdLib::MATH, options)?;
        lua.set_memory_limit(BYTES_MAX)?;
        let given = lua.create_table()?;
        given.raw_set("bit", bit::library(&lua)?)?;
        given.raw_set("cjson", cjson::library(&lua)?)?;
        given.raw_set("cmsgpack", cmsgpack::library(&lua)?)?;
        given.raw_set("struct", structs::library(&lua)?)?;
        given.raw_set("random", random::library(&lua)?)?;
        given.raw_set("redis", redis::library(&lua, log, &terms)?)?;
        match &purpose {
            Purpose::Scripts => redis::put_what_scripts_have(&lua, &given.raw_get("redis")?)?,
            Purpose::Functions(registration) => {
                given.raw_set("loading", registration::library(&lua, log, registration)?)?;
            }
        }
        given.raw_set("locate", lua.create_function(locate)?)?;
        given.raw_set("plain", lua.create_function(plain)?)?;
        let prelude = lua.load(include_str!("prelude.lua")).set_name(PRELUDE).into_function()?;
        let (globals, start, recover, load): (Table, Function, Function, Option<Function>) = prelude.call(given)?;
        lua.set_globals(globals)?;
        let machine = Self { lua, purpose, start, recover, load, terms };
        machine.look_after_scripts()?;
        Ok(machine)
    }

    /// What it is for.
    pub(super) fn purpose(&self) -> &Purpose {
        &self.purpose
    }

    /// The machine itself.
    pub(super) fn lua(&self) -> &Lua {
        &self.lua
    }

    /// How many bytes it holds.
    pub(super) fn bytes(&self) -> usize {
        self.lua.used_memory()
    }

    /// The code of a text; if there is none, why.
    pub(super) fn compile(&self, text: &[u8]) -> Result<Function, String> {
        // Compiled code is not read: it could do anything.
        let code = self.lua.load(text).set_name(self.purpose.chunk_name()).set_mode(ChunkMode::Text).into_function();
        code.map_err(|error| message(&error))
    }

    /// Runs the code of a library, which registers functions; an error is told.
    pub(super) fn load_library(&self, code: &Function, patience: Option<Duration>) -> Result<(), String> {
        let Some(load) = &self.load else { return Ok(()) };
        self.terms.begin_loading(patience);
        let outcome = self.protected(|| load.call::<(bool, Value)>(code));
        self.terms.end_loading();
        let ended = outcome.and_then(|(is_well, value)| if is_well { Ok(Ended::Well(value)) } else { badly(&value) });
        match ended {
            Ok(Ended::Well(_)) => Ok(()),
            Ok(Ended::Badly(text, _)) => Err(text),
            Err(error) => Err(message(&error)),
        }
    }

    /// Runs a script to its end.
    pub(super) fn run(&self, start: Start<'_>) -> mlua::Result<Ended> {
        let code: Function = self.lua.registry_value(start.code)?;
        let [keys, argv] = start.words.map(|words| self.sequence(&words));
        self.lua.set_named_registry_value(LOOK_AFTER, start.look_after)?;
        let [call, try_call, check] = start.requests;
        let words = (keys?, argv?);
        let outcome = self.protected(|| self.start.call((code, words.0, words.1, call, try_call, check)));
        if self.terms.is_killed.get() {
            self.look_after_scripts()?;
        }
        // What a script leaves behind is taken back in time, but not so much that the next one lacks it.
        if self.bytes() > BYTES_MAX / 2 {
            self.lua.gc_collect()?;
        }
        Ok(match outcome? {
            (true, value) => Ended::Well(value),
            (false, error) => badly(&error)?,
        })
    }

    /// Runs code. The machine lends only so many values at once, and panics beyond that: code that hands over more ends as it
    /// does without memory.
    fn protected(&self, run: impl FnOnce() -> mlua::Result<(bool, Value)>) -> mlua::Result<(bool, Value)> {
        const BEYOND: &str = "cannot create a Lua reference";
        panic::catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|payload| {
            if !payload.downcast_ref::<String>().is_some_and(|text| text.starts_with(BEYOND)) {
                panic::resume_unwind(payload);
            }
            self.recover.call::<()>(())?;
            Ok((false, Value::String(self.lua.create_string("too many values at once")?)))
        })
    }

    /// Keeps code for as long as somebody has the key: the machine lends only so many values at once.
    pub(super) fn keep(&self, code: Function) -> mlua::Result<RegistryKey> {
        self.lua.expire_registry_values();
        self.lua.create_registry_value(code)
    }

    /// Words as a script has them.
    fn sequence(&self, words: &[&[u8]]) -> mlua::Result<Table> {
        let table = self.lua.create_table_with_capacity(words.len(), 0)?;
        for (index, word) in (1_i64..).zip(words) {
            table.raw_set(index, self.lua.create_string(word)?)?;
        }
        Ok(table)
    }

    /// Has the hook look after scripts now and then.
    fn look_after_scripts(&self) -> mlua::Result<()> {
        let terms = Rc::clone(&self.terms);
        self.lua.set_global_hook(HookTriggers::new().every_nth_instruction(STEPS), move |lua, _| {
            if terms.loads_too_long() {
                return Err(mlua::Error::external(Raised::Table(LOADS_TOO_LONG.into())));
            }
            if !terms.is_killed.get() && terms.is_late() {
                lua.named_registry_value::<Function>(LOOK_AFTER)?.call::<()>(())?;
            }
            if terms.is_killed.get() { end_script(lua) } else { Ok(VmState::Continue) }
        })
    }
}

/// Ends a script, at every further line of it, too: it may go on after errors.
fn end_script(lua: &Lua) -> mlua::Result<VmState> {
    lua.set_global_hook(HookTriggers::EVERY_LINE, |_, place| {
        let is_of_script = place.source().source.is_some_and(|source| source != PRELUDE);
        if is_of_script { Err(killed()) } else { Ok(VmState::Continue) }
    })?;
    Err(killed())
}

fn killed() -> mlua::Error {
    mlua::Error::external(Raised::Table(KILLED.into()))
}

/// An error as scripts see it: not as an error of the machine.
fn plain(lua: &Lua, error: Value) -> mlua::Result<Value> {
    let Value::Error(error) = error else { return Ok(error) };
    Raised::of(&error).cloned().unwrap_or_else(|| Raised::Text(message(&error))).into_lua(lua)
}

/// Makes a table of an error, with the place where it was raised.
fn locate(lua: &Lua, error: Value) -> mlua::Result<Table> {
    let error = plain(lua, error)?;
    let table = if let Value::Table(table) = error {
        table
    } else {
        error_table(lua, [b"ERR ".to_vec(), shown(lua, &error)?].concat())?
    };
    let Some((source, line)) = (1..).map_while(|level| place(lua, level)).flatten().next() else { return Ok(table) };
    table.raw_set("source", source)?;
    table.raw_set("line", line)?;
    Ok(table)
}

/// What stands for a value in the text of an error.
fn shown(lua: &Lua, value: &Value) -> mlua::Result<Vec<u8>> {
    if let Value::Boolean(is) = value {
        return Ok(is.to_string().into_bytes());
    }
    let text = lua.coerce_string(value.clone())?;
    Ok(text.map_or_else(|| value.type_name().into(), |text| text.as_bytes().to_vec()))
}

/// The place of a level of the stack: nothing beyond the last, and no place where the code is not a script's.
fn place(lua: &Lua, level: usize) -> Option<Option<(String, i64)>> {
    lua.inspect_stack(level, |place| {
        let line = i64::try_from(place.current_line()?).ok()?;
        let source = place.source().source?.into_owned();
        (source != PRELUDE).then_some((source, line))
    })
}

fn badly(error: &Value) -> mlua::Result<Ended> {
    // Without memory there is no table.
    if let Value::String(text) = error {
        return Ok(Ended::Badly(format!("ERR {}", text.to_string_lossy()), None));
    }
    let Value::Table(error) = error else { return Ok(Ended::Badly(UNKNOWN.into(), None)) };
    let text: Value = error.raw_get("err")?;
    let text = if let Value::String(text) = text { text.to_string_lossy() } else { UNKNOWN.to_owned() };
    let (source, line): (Value, Value) = (error.raw_get("source")?, error.raw_get("line")?);
    let place = if let (Value::String(source), Value::Integer(line)) = (source, line) {
        Some(format!("{}:{line}", source.to_string_lossy()))
    } else {
        None
    };
    Ok(Ended::Badly(text, place))
}

/// What an error of the machine says, without the kind of it.
fn message(error: &mlua::Error) -> String {
    if let mlua::Error::SyntaxError { message, .. } | mlua::Error::RuntimeError(message) = error {
        return message.clone();
    }
    if let mlua::Error::CallbackError { cause, .. } = error {
        return message(cause);
    }
    if matches!(error, mlua::Error::MemoryError(_)) { "not enough memory".to_owned() } else { error.to_string() }
}
