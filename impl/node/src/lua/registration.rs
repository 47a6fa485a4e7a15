//! Owns what a library finds while it is loaded: it registers functions there, by name.
//!
//! Must not know which other libraries there are.

use super::{
    native::{Arguments, Fault, Outcome, function, refusal},
    redis,
    shebang::Flags,
};
use crate::{
    libraries::{NAME_RULE, is_name},
    log::Log,
};
use mlua::{Function, Lua, RegistryKey, Table, Value};
use std::{cell::RefCell, collections::HashSet, rc::Rc};

/// A function that a library has registered.
#[derive(Debug)]
pub(super) struct Registered {
    /// Its name.
    pub(super) name: String,
    /// What it is for.
    pub(super) description: Option<Vec<u8>>,
    /// What it says of itself.
    pub(super) flags: Flags,
    /// Its code.
    pub(super) code: RegistryKey,
}

/// What has been registered so far.
#[derive(Debug, Default)]
struct Present {
    functions: Vec<Registered>,
    /// Their names in lower case.
    names: HashSet<String>,
}

/// The functions of the library that is loaded; none while none is.
#[derive(Clone, Debug, Default)]
pub(super) struct Registration(Rc<RefCell<Option<Present>>>);

impl Registration {
    /// A library begins to be loaded.
    pub(super) fn begin(&self) {
        *self.0.borrow_mut() = Some(Present::default());
    }

    /// The library is loaded, or given up: the functions that it has registered.
    pub(super) fn end(&self) -> Vec<Registered> {
        self.0.borrow_mut().take().unwrap_or_default().functions
    }

    fn add(&self, lua: &Lua, args: &Arguments<'_>) -> Outcome<()> {
        let mut present = self.0.borrow_mut();
        let Some(present) = present.as_mut() else {
            return Err(refusal("redis.register_function can only be called on FUNCTION LOAD command"));
        };
        let registered = registered(lua, args)?;
        // Callers need not mind the case of a name, so that no two may differ in nothing else.
        if !present.names.insert(registered.name.to_ascii_lowercase()) {
            return Err(refusal("Function already exists in the library"));
        }
        present.functions.push(registered);
        Ok(())
    }
}

/// The functions and constants that a library finds.
pub(super) fn library(lua: &Lua, log: &Log, registration: &Registration) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    redis::put_version(&table)?;
    redis::put_log(lua, &table, log)?;
    let registration = registration.clone();
    let register = move |lua: &Lua, args: Arguments<'_>| registration.add(lua, &args);
    table.raw_set("register_function", function(lua, "register_function", register)?)?;
    Ok(table)
}

/// What is registered, from the arguments of the call.
fn registered(lua: &Lua, args: &Arguments<'_>) -> Outcome<Registered> {
    let registered = match (args.len(), args.at(0)) {
        (1, Value::Table(table)) => of_table(lua, table)?,
        (1, _) => {
            return Err(refusal(
                "calling redis.register_function with a single argument is only applicable to Lua table (representing \
                 named arguments).",
            ));
        }
        (2, _) => of_two(lua, args)?,
        _ => return Err(refusal("wrong number of arguments to redis.register_function")),
    };
    if is_name(registered.name.as_bytes()) { Ok(registered) } else { Err(refusal(NAME_RULE)) }
}

fn of_two(lua: &Lua, args: &Arguments<'_>) -> Outcome<Registered> {
    let name = args.text(0).map_err(|_| refusal("first argument to redis.register_function must be a string"))?;
    let Value::Function(code) = args.at(1) else {
        return Err(refusal("second argument to redis.register_function must be a function"));
    };
    Ok(Registered { name: name_of(&name), description: None, flags: Flags::empty(), code: kept(lua, code.clone())? })
}

/// Code that is kept for as long as somebody has the key: the machine lends only so many values at once.
fn kept(lua: &Lua, code: Function) -> Outcome<RegistryKey> {
    Ok(lua.create_registry_value(code)?)
}

/// What cannot be a name stays none.
fn name_of(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

/// What a table names.
fn of_table(lua: &Lua, table: &Table) -> Outcome<Registered> {
    let (mut name, mut description, mut flags, mut code) = (None, None, Flags::empty(), None);
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair?;
        let key = text(lua, key, || refusal("named argument key given to redis.register_function is not a string"))?;
        match key.to_ascii_lowercase().as_slice() {
            b"function_name" => name = Some(text(lua, value, || must_be("function_name", "string"))?),
            b"description" => description = Some(text(lua, value, || must_be("description", "string"))?),
            b"callback" => {
                let Value::Function(function) = value else { return Err(must_be("callback", "function")) };
                code = Some(function);
            }
            b"flags" => flags = flags_of(lua, &value)?,
            _ => return Err(refusal("unknown argument given to redis.register_function")),
        }
    }
    let name = name.ok_or_else(|| refusal("redis.register_function must get a function name argument"))?;
    let code = code.ok_or_else(|| refusal("redis.register_function must get a callback argument"))?;
    Ok(Registered { name: name_of(&name), description, flags, code: kept(lua, code)? })
}

fn must_be(what: &str, kind: &str) -> Fault {
    refusal(&format!("{what} argument given to redis.register_function must be a {kind}"))
}

/// The bytes of a text, or of a number.
fn text(lua: &Lua, value: Value, refuse: impl FnOnce() -> Fault) -> Outcome<Vec<u8>> {
    lua.coerce_string(value)?.map(|text| text.as_bytes().to_vec()).ok_or_else(refuse)
}

fn flags_of(lua: &Lua, list: &Value) -> Outcome<Flags> {
    let Value::Table(list) = list else {
        return Err(refusal("flags argument to redis.register_function must be a table representing function flags"));
    };
    let unknown = || refusal("unknown flag given");
    let mut flags = Flags::empty();
    for index in 1_i64.. {
        let value: Value = list.raw_get(index)?;
        if value == Value::Nil {
            break;
        }
        flags |= Flags::named(&text(lua, value, unknown)?).ok_or_else(unknown)?;
    }
    Ok(flags)
}
