//! Owns the form of the functions that scripts are given: how their arguments are read, and how their
//! errors are raised.
//!
//! Must not know what any of them does.

use mlua::{Function, IntoLuaMulti, Lua, MultiValue, Table, Value};
use std::{error::Error, fmt};

/// An error that is raised in a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Raised {
    /// A text.
    Text(String),
    /// A table that holds a text.
    Table(String),
}

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Text(text) | Self::Table(text)) = self;
        f.write_str(text)
    }
}

impl Error for Raised {}

impl Raised {
    /// The one that an error of Lua's carries.
    pub(super) fn of(error: &mlua::Error) -> Option<&Self> {
        if let mlua::Error::CallbackError { cause, .. } = error { Self::of(cause) } else { error.downcast_ref() }
    }

    /// As scripts see it.
    pub(super) fn into_lua(self, lua: &Lua) -> mlua::Result<Value> {
        match self {
            Self::Text(text) => lua.create_string(text).map(Value::String),
            Self::Table(text) => error_table(lua, text).map(Value::Table),
        }
    }
}

/// Why a function has no values.
pub(super) enum Fault {
    /// In words, which the place of the call is put before.
    Said(String),
    /// In words that are the whole error.
    Told(String),
    /// Lua itself has failed.
    Lua(mlua::Error),
}

impl From<mlua::Error> for Fault {
    fn from(error: mlua::Error) -> Self {
        Self::Lua(error)
    }
}

/// What a function answers.
pub(super) type Outcome<T> = Result<T, Fault>;

/// A function for scripts.
pub(super) fn function<R: IntoLuaMulti>(
    lua: &Lua,
    name: &'static str,
    run: impl Fn(&Lua, Arguments<'_>) -> Outcome<R> + 'static,
) -> mlua::Result<Function> {
    lua.create_function(move |lua, values: MultiValue| raise(lua, run(lua, Arguments { lua, name, values: &values })))
}

/// Raises what a function answers if it is an error.
pub(super) fn raise<R>(lua: &Lua, outcome: Outcome<R>) -> mlua::Result<R> {
    outcome.map_err(|fault| match fault {
        Fault::Said(text) => mlua::Error::external(Raised::Text(caller(lua) + &text)),
        Fault::Told(text) => mlua::Error::external(Raised::Table(text)),
        Fault::Lua(error) => error,
    })
}

/// The place from which the present function was called, as it stands before an error.
fn caller(lua: &Lua) -> String {
    let place =
        lua.inspect_stack(1, |place| Some(format!("{}:{}: ", place.source().short_src?, place.current_line()?)));
    place.flatten().unwrap_or_default()
}

/// An error as scripts see it: a table that holds its text.
pub(super) fn error_table(lua: &Lua, text: impl AsRef<[u8]>) -> mlua::Result<Table> {
    let table = lua.create_table_with_capacity(0, 2)?;
    table.raw_set("err", lua.create_string(text)?)?;
    Ok(table)
}

/// The general error of this text.
pub(super) fn refusal(text: &str) -> Fault {
    Fault::Told(format!("ERR {text}"))
}

/// What Lua calls the type of a value.
pub(super) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Nil => "nil",
        Value::Boolean(_) => "boolean",
        Value::Integer(_) | Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Table(_) => "table",
        Value::Function(_) => "function",
        Value::Thread(_) => "thread",
        Value::LightUserData(_) | Value::UserData(_) | Value::Error(_) | Value::Other(_) => "userdata",
    }
}

/// The number that a value is; none if it is something else. A text is no number here.
pub(super) fn plain_number(value: &Value) -> Option<f64> {
    value.as_integer().map(|number| number as f64).or_else(|| value.as_number())
}

/// The arguments of a call.
pub(super) struct Arguments<'a> {
    lua: &'a Lua,
    name: &'static str,
    values: &'a MultiValue,
}

impl Arguments<'_> {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &Value> {
        self.values.iter()
    }

    /// The one at `index`; nil beyond the last.
    pub(super) fn at(&self, index: usize) -> &Value {
        self.values.get(index).unwrap_or(&Value::Nil)
    }

    /// The number at `index`, or that a text there spells.
    pub(super) fn number(&self, index: usize) -> Outcome<f64> {
        self.lua.coerce_number(self.at(index).clone())?.ok_or_else(|| self.unexpected(index, "number"))
    }

    /// The whole number at `index`.
    pub(super) fn integer(&self, index: usize) -> Outcome<i64> {
        self.number(index).map(|number| number as i64)
    }

    /// The bytes of the text at `index`, or of a number.
    pub(super) fn text(&self, index: usize) -> Outcome<Vec<u8>> {
        let text = self.lua.coerce_string(self.at(index).clone())?.ok_or_else(|| self.unexpected(index, "string"))?;
        Ok(text.as_bytes().to_vec())
    }

    /// Says that the argument at `index` will not do.
    pub(super) fn bad(&self, index: usize, reason: &str) -> Fault {
        Fault::Said(format!("bad argument #{} to '{}' ({reason})", index + 1, self.name))
    }

    fn unexpected(&self, index: usize, wanted: &str) -> Fault {
        let found = self.values.get(index).map_or("no value", type_name);
        self.bad(index, &format!("{wanted} expected, got {found}"))
    }
}
