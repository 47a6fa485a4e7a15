//! Owns the library `cjson`: its functions and their settings.
//!
//! Must not know the text format: `decode` reads it, `encode` writes it.

mod decode;
mod encode;

use super::native::{Arguments, Outcome, function};
use mlua::{LightUserData, Lua, MultiValue, Table, Value};
use std::{cell::Cell, rc::Rc};

/// What Lua cannot nest deeper, whatever a setting allows.
const DEPTH_MAX: i64 = 2600;

/// What is done with numbers that the format does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InvalidNumbers {
    Refused,
    Taken,
    Null,
}

/// The settings of one instance of the library.
#[derive(Clone, Copy, Debug)]
struct Settings {
    /// A table whose greatest index is more than so many times the number of its elements is sparse ...
    sparse_ratio: i64,
    /// ... unless that index is no greater than this.
    sparse_safe: i64,
    /// Whether a sparse array becomes an object.
    converts_sparse: bool,
    encode_depth_max: i64,
    decode_depth_max: i64,
    precision: i64,
    keeps_buffer: bool,
    encode_invalid: InvalidNumbers,
    decode_invalid: InvalidNumbers,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sparse_ratio: 2,
            sparse_safe: 10,
            converts_sparse: false,
            encode_depth_max: 1000,
            decode_depth_max: 1000,
            precision: 14,
            keeps_buffer: true,
            encode_invalid: InvalidNumbers::Refused,
            decode_invalid: InvalidNumbers::Taken,
        }
    }
}

type Shared = Rc<Cell<Settings>>;

/// What stands for nothing: nil cannot stand in a table.
pub(super) fn null() -> Value {
    Value::LightUserData(LightUserData(std::ptr::null_mut()))
}

/// The functions of one instance of the library.
pub(super) fn library(lua: &Lua) -> mlua::Result<Table> {
    let settings = Shared::default();
    let table = lua.create_table()?;
    table.raw_set("_NAME", "cjson")?;
    table.raw_set("_VERSION", "2.1.0")?;
    table.raw_set("null", null())?;
    let shared = Rc::clone(&settings);
    let encode = move |lua: &Lua, args: Arguments<'_>| {
        expect_one(&args)?;
        Ok(lua.create_string(encode::encode(args.at(0), shared.get())?)?)
    };
    table.raw_set("encode", function(lua, "encode", encode)?)?;
    let shared = Rc::clone(&settings);
    let decode = move |lua: &Lua, args: Arguments<'_>| {
        expect_one(&args)?;
        decode::decode(lua, &args.text(0)?, shared.get())
    };
    table.raw_set("decode", function(lua, "decode", decode)?)?;
    put_setters(lua, &table, &settings)?;
    table.raw_set("new", function(lua, "new", |lua, _| Ok(library(lua)?))?)?;
    Ok(table)
}

fn expect_one(args: &Arguments<'_>) -> Outcome<()> {
    if args.len() == 1 { Ok(()) } else { Err(args.bad(0, "expected 1 argument")) }
}

/// Changes settings as a call asks, and answers those that it is about.
type Set = fn(&Lua, &Arguments<'_>, &mut Settings) -> Outcome<MultiValue>;

const COUNTS: [i64; 2] = [0, i32::MAX as i64];
const DEPTHS: [i64; 2] = [1, i32::MAX as i64];
const PRECISIONS: [i64; 2] = [1, 14];

const SETTERS: [(&str, usize, Set); 7] = [
    ("encode_sparse_array", 3, |_, args, settings| {
        let converts = switch(args, &mut settings.converts_sparse)?;
        let ratio = whole(args, 1, COUNTS, &mut settings.sparse_ratio)?;
        let safe = whole(args, 2, COUNTS, &mut settings.sparse_safe)?;
        Ok(MultiValue::from_vec(vec![converts, ratio, safe]))
    }),
    ("encode_max_depth", 1, |_, args, settings| one(whole(args, 0, DEPTHS, &mut settings.encode_depth_max))),
    ("decode_max_depth", 1, |_, args, settings| one(whole(args, 0, DEPTHS, &mut settings.decode_depth_max))),
    ("encode_number_precision", 1, |_, args, settings| one(whole(args, 0, PRECISIONS, &mut settings.precision))),
    ("encode_keep_buffer", 1, |_, args, settings| one(switch(args, &mut settings.keeps_buffer))),
    ("encode_invalid_numbers", 1, |lua, args, settings| {
        one(invalid_numbers(lua, args, true, &mut settings.encode_invalid))
    }),
    ("decode_invalid_numbers", 1, |lua, args, settings| {
        one(invalid_numbers(lua, args, false, &mut settings.decode_invalid))
    }),
];

fn one(value: Outcome<Value>) -> Outcome<MultiValue> {
    Ok(MultiValue::from_vec(vec![value?]))
}

fn put_setters(lua: &Lua, table: &Table, settings: &Shared) -> mlua::Result<()> {
    for (name, args_max, set) in SETTERS {
        let shared = Rc::clone(settings);
        let run = move |lua: &Lua, args: Arguments<'_>| {
            if args.len() > args_max {
                return Err(args.bad(args_max, "found too many arguments"));
            }
            let mut changed = shared.get();
            let values = set(lua, &args, &mut changed)?;
            shared.set(changed);
            Ok(values)
        };
        table.raw_set(name, function(lua, name, run)?)?;
    }
    Ok(())
}

/// Sets a number within bounds if one is given; answers the present one.
fn whole(args: &Arguments<'_>, index: usize, [least, most]: [i64; 2], setting: &mut i64) -> Outcome<Value> {
    if *args.at(index) != Value::Nil {
        let number = args.integer(index)?;
        if !(least..=most).contains(&number) {
            return Err(args.bad(0, &format!("expected integer between {least} and {most}")));
        }
        *setting = number;
    }
    Ok(Value::Integer(*setting))
}

/// The place in a list of the word that is given first; none if nothing is.
fn choice(args: &Arguments<'_>, words: &[&str]) -> Outcome<Option<usize>> {
    if *args.at(0) == Value::Nil {
        return Ok(None);
    }
    if let Value::Boolean(is) = args.at(0) {
        return Ok(Some(usize::from(*is)));
    }
    let text = args.text(0)?;
    let known = words.iter().position(|word| word.as_bytes() == text);
    let unknown = || args.bad(0, &format!("invalid option '{}'", String::from_utf8_lossy(&text)));
    known.map(Some).ok_or_else(unknown)
}

fn switch(args: &Arguments<'_>, setting: &mut bool) -> Outcome<Value> {
    if let Some(chosen) = choice(args, &["off", "on"])? {
        *setting = chosen == 1;
    }
    Ok(Value::Boolean(*setting))
}

fn invalid_numbers(lua: &Lua, args: &Arguments<'_>, may_be_null: bool, setting: &mut InvalidNumbers) -> Outcome<Value> {
    let words: &[&str] = if may_be_null { &["off", "on", "null"] } else { &["off", "on"] };
    if let Some(chosen) = choice(args, words)? {
        *setting = [InvalidNumbers::Refused, InvalidNumbers::Taken, InvalidNumbers::Null][chosen];
    }
    Ok(match setting {
        InvalidNumbers::Refused => Value::Boolean(false),
        InvalidNumbers::Taken => Value::Boolean(true),
        InvalidNumbers::Null => Value::String(lua.create_string("null")?),
    })
}
