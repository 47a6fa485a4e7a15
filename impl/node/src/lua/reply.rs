//! Owns the two ways between replies and the values of scripts.

use super::native::{error_table, plain_number};
use mlua::{Lua, Table, Value};
use slotbus_wire::{
    number::{format_decimal, format_f64},
    resp::{Protocol, Reply},
};
use std::borrow::Cow;

/// What is not followed deeper: a table can hold itself.
const DEPTH_MAX: usize = 1000;

/// A reply as a script sees it that speaks this version of the protocol.
pub(super) fn to_lua(lua: &Lua, reply: &Reply<'_>, protocol: Protocol) -> mlua::Result<Value> {
    let is_three = protocol == Protocol::Three;
    let text = |text: &[u8]| lua.create_string(text).map(Value::String);
    let list = |replies: &[Reply<'_>]| to_sequence(lua, replies.iter(), protocol);
    match reply {
        Reply::Status(status) => single(lua, "ok", text(status.as_bytes())?),
        Reply::Error(message) => error_table(lua, &**message).map(Value::Table),
        Reply::Integer(number) => Ok(Value::Number(*number as f64)),
        Reply::Double(number) | Reply::Decimal(number) if is_three => single(lua, "double", Value::Number(*number)),
        Reply::Double(number) => text(format_f64(*number).as_bytes()),
        Reply::Decimal(number) => text(format_decimal(*number).as_bytes()),
        Reply::Bulk(bytes) => text(bytes),
        Reply::Boolean(is) if is_three => Ok(Value::Boolean(*is)),
        Reply::Boolean(is) => Ok(Value::Integer((*is).into())),
        Reply::BigNumber(digits) if is_three => single(lua, "big_number", text(digits.as_bytes())?),
        Reply::BigNumber(digits) => text(digits.as_bytes()),
        Reply::Verbatim(words) if is_three => {
            let content = lua.create_table()?;
            content.raw_set("format", "txt")?;
            content.raw_set("string", text(words.as_bytes())?)?;
            single(lua, "verbatim_string", Value::Table(content))
        }
        Reply::Verbatim(words) => text(words.as_bytes()),
        Reply::Null | Reply::NullArray if is_three => Ok(Value::Nil),
        Reply::Null | Reply::NullArray => Ok(Value::Boolean(false)),
        Reply::Set(replies) if is_three => {
            let content = lua.create_table()?;
            for reply in replies {
                content.raw_set(to_lua(lua, reply, protocol)?, true)?;
            }
            single(lua, "set", Value::Table(content))
        }
        Reply::Array(replies) | Reply::Set(replies) | Reply::Push(replies) | Reply::Sequence(replies) => list(replies),
        Reply::Map(pairs) | Reply::Nested(pairs) if is_three => {
            let content = lua.create_table()?;
            for (key, value) in pairs {
                content.raw_set(to_lua(lua, key, protocol)?, to_lua(lua, value, protocol)?)?;
            }
            single(lua, "map", Value::Table(content))
        }
        Reply::Pairs(pairs) if is_three => nested(lua, pairs, protocol),
        Reply::Nested(pairs) => nested(lua, pairs, protocol),
        Reply::Map(pairs) | Reply::Pairs(pairs) => {
            to_sequence(lua, pairs.iter().flat_map(|(first, second)| [first, second]), protocol)
        }
        Reply::Silence => Ok(Value::Nil),
    }
}

/// A sequence of sequences of two.
fn nested(lua: &Lua, pairs: &[(Reply<'_>, Reply<'_>)], protocol: Protocol) -> mlua::Result<Value> {
    let table = lua.create_table()?;
    for (index, (first, second)) in (1_i64..).zip(pairs) {
        table.raw_set(index, to_sequence(lua, [first, second], protocol)?)?;
    }
    Ok(Value::Table(table))
}

fn to_sequence<'r, 'b: 'r>(
    lua: &Lua,
    replies: impl IntoIterator<Item = &'r Reply<'b>>,
    protocol: Protocol,
) -> mlua::Result<Value> {
    let table = lua.create_table()?;
    for (index, reply) in (1_i64..).zip(replies) {
        table.raw_set(index, to_lua(lua, reply, protocol)?)?;
    }
    Ok(Value::Table(table))
}

fn single(lua: &Lua, name: &str, value: Value) -> mlua::Result<Value> {
    let table = lua.create_table_with_capacity(0, 1)?;
    table.raw_set(name, value)?;
    Ok(Value::Table(table))
}

/// What a script answers, as a reply. `protocol` is the version that the script speaks.
pub(super) fn of_lua(value: &Value, protocol: Protocol) -> mlua::Result<Reply<'static>> {
    of_value(value, protocol, 0)
}

fn of_value(value: &Value, protocol: Protocol, depth: usize) -> mlua::Result<Reply<'static>> {
    Ok(match value {
        Value::Integer(number) => Reply::Integer(*number),
        Value::Number(number) => Reply::Integer(truncated(*number)),
        Value::String(text) => Reply::bulk(text.as_bytes().to_vec()),
        Value::Boolean(is) if protocol == Protocol::Three => Reply::Boolean(*is),
        Value::Boolean(true) => Reply::Integer(1),
        Value::Table(_) if depth >= DEPTH_MAX => Reply::err("reached lua stack limit"),
        Value::Table(table) => of_table(table, protocol, depth + 1)?,
        Value::Boolean(false)
        | Value::Nil
        | Value::Function(_)
        | Value::Thread(_)
        | Value::LightUserData(_)
        | Value::UserData(_)
        | Value::Error(_)
        | Value::Other(_) => Reply::Null,
    })
}

/// The whole part of a number; what does not fit is the least number, as on the machines that redis-server runs on.
fn truncated(number: f64) -> i64 {
    let fits = (-(2_f64.powi(63))..2_f64.powi(63)).contains(&number);
    if fits { number as i64 } else { i64::MIN }
}

fn of_table(table: &Table, protocol: Protocol, depth: usize) -> mlua::Result<Reply<'static>> {
    if let Some(text) = text_of(table, "err")? {
        return Ok(Reply::error(text));
    }
    if let Some(text) = text_of(table, "ok")? {
        return Ok(Reply::status(text));
    }
    if let Some(number) = plain_number(&table.raw_get("double")?) {
        return Ok(Reply::Double(number));
    }
    if let Value::Table(content) = table.raw_get("map")? {
        let pair = |pair: mlua::Result<(Value, Value)>| {
            let (key, value) = pair?;
            Ok((of_value(&key, protocol, depth)?, of_value(&value, protocol, depth)?))
        };
        return content.pairs().map(pair).collect::<mlua::Result<_>>().map(Reply::Map);
    }
    if let Value::Table(content) = table.raw_get("set")? {
        let key = |pair: mlua::Result<(Value, Value)>| of_value(&pair?.0, protocol, depth);
        return content.pairs().map(key).collect::<mlua::Result<_>>().map(Reply::Set);
    }
    if let Some(digits) = text_of(table, "big_number")? {
        return Ok(Reply::BigNumber(digits.replace(['\r', '\n'], " ").into()));
    }
    if let Value::Table(content) = table.raw_get("verbatim_string")?
        && let (Some(_), Some(text)) = (text_of(&content, "format")?, text_of(&content, "string")?)
    {
        return Ok(Reply::Verbatim(text));
    }
    let mut replies = Vec::new();
    for index in 1_i64.. {
        let value: Value = table.raw_get(index)?;
        if value == Value::Nil {
            break;
        }
        replies.push(of_value(&value, protocol, depth)?);
    }
    Ok(Reply::Array(replies))
}

/// The text of a field.
fn text_of(table: &Table, name: &str) -> mlua::Result<Option<Cow<'static, str>>> {
    let value: Value = table.raw_get(name)?;
    Ok(if let Value::String(text) = value { Some(text.to_string_lossy().into()) } else { None })
}

/// What is put into a request for an argument that a script gives; none if it cannot be.
pub(super) fn argument(value: &Value) -> Option<Vec<u8>> {
    /// Beyond these, numbers are shown with an exponent.
    const WHOLE_MAX: i64 = 100_000_000_000_000_000;
    if let Value::String(text) = value {
        return Some(text.as_bytes().to_vec());
    }
    let whole = value.as_integer().filter(|number| (-WHOLE_MAX + 1..WHOLE_MAX).contains(number));
    let shown = whole.map(|number| number.to_string()).or_else(|| plain_number(value).map(format_f64));
    shown.map(String::into_bytes)
}
