//! Owns the library `cmsgpack`: values as MessagePack, and back.

use super::native::{Arguments, Fault, Outcome, function, plain_number};
use mlua::{Lua, MultiValue, Table, Value};

/// Tables within tables beyond this are written as nothing.
const WRITE_DEPTH_MAX: usize = 16;
/// The machine lends no more values at once than about this.
const VALUES_MAX: usize = 7000;
/// What is nested deeper is not read.
const READ_DEPTH_MAX: usize = 1000;

/// The functions of the library.
pub(super) fn library(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set("_NAME", "cmsgpack")?;
    table.raw_set("_VERSION", "lua-cmsgpack 0.4.0")?;
    table.raw_set("_COPYRIGHT", "Copyright (C) 2012, Salvatore Sanfilippo")?;
    table.raw_set("_DESCRIPTION", "MessagePack C implementation for Lua")?;
    table.raw_set("pack", function(lua, "pack", pack)?)?;
    let all = |lua: &Lua, args: Arguments<'_>| {
        let bytes = args.text(0)?;
        Ok(MultiValue::from_vec(Reader::new(lua, &bytes).values(usize::MAX)?))
    };
    table.raw_set("unpack", function(lua, "unpack", all)?)?;
    let one = |lua: &Lua, args: Arguments<'_>| some(lua, &args, 1, offset(&args, 1)?);
    table.raw_set("unpack_one", function(lua, "unpack_one", one)?)?;
    let limited = |lua: &Lua, args: Arguments<'_>| some(lua, &args, args.integer(1)?, offset(&args, 2)?);
    table.raw_set("unpack_limit", function(lua, "unpack_limit", limited)?)?;
    Ok(table)
}

fn offset(args: &Arguments<'_>, index: usize) -> Outcome<i64> {
    if *args.at(index) == Value::Nil { Ok(0) } else { args.integer(index) }
}

/// Some values from a place on, and before them the place where the next one is; -1 if there is none.
fn some(lua: &Lua, args: &Arguments<'_>, limit: i64, offset: i64) -> Outcome<MultiValue> {
    let bytes = args.text(0)?;
    if (offset, limit) == (0, 0) {
        return Ok(MultiValue::from_vec(Reader::new(lua, &bytes).values(usize::MAX)?));
    }
    let (Ok(start), Ok(count)) = (usize::try_from(offset), usize::try_from(limit)) else {
        let fault = format!("Invalid request to unpack with offset of {offset} and limit of {}.", bytes.len());
        return Err(Fault::Said(fault));
    };
    let Some(rest) = bytes.get(start..) else {
        let fault = format!("Start offset {offset} greater than input length {}.", bytes.len());
        return Err(Fault::Said(fault));
    };
    let mut reader = Reader::new(lua, rest);
    let values = reader.values(count)?;
    let next = if reader.rest.is_empty() { -1 } else { (bytes.len() - reader.rest.len()) as i64 };
    Ok(std::iter::once(Value::Integer(next)).chain(values).collect())
}

fn pack(lua: &Lua, args: Arguments<'_>) -> Outcome<mlua::String> {
    if args.len() == 0 {
        return Err(Fault::Said("bad argument #0 to 'pack' (MessagePack pack needs input.)".into()));
    }
    let mut out = Vec::new();
    for value in args.iter() {
        put(&mut out, value, 0)?;
    }
    Ok(lua.create_string(out)?)
}

fn put(out: &mut Vec<u8>, value: &Value, depth: usize) -> mlua::Result<()> {
    match value {
        Value::String(text) => put_text(out, &text.as_bytes()),
        Value::Boolean(is) => out.push(if *is { 0xc3 } else { 0xc2 }),
        Value::Integer(_) | Value::Number(_) => put_number(out, plain_number(value).unwrap_or_default()),
        Value::Table(table) if depth < WRITE_DEPTH_MAX => put_table(out, table, depth + 1)?,
        Value::Table(_)
        | Value::Nil
        | Value::Function(_)
        | Value::Thread(_)
        | Value::LightUserData(_)
        | Value::UserData(_)
        | Value::Error(_)
        | Value::Other(_) => out.push(0xc0),
    }
    Ok(())
}

/// Puts a length in the shortest of some forms: up to a limit within the first byte, else behind a mark.
fn put_len(out: &mut Vec<u8>, len: usize, (least, limit): (u8, usize), marks: [Option<u8>; 3]) {
    let [one, two, four] = marks;
    match (u8::try_from(len), u16::try_from(len), one, two) {
        (Ok(short), ..) if len < limit => out.push(least | short),
        (Ok(short), _, Some(mark), _) => out.extend([mark, short]),
        (_, Ok(middle), _, Some(mark)) => {
            out.push(mark);
            out.extend(middle.to_be_bytes());
        }
        _ => {
            out.extend(four);
            out.extend(u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
        }
    }
}

fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    put_len(out, text.len(), (0xa0, 32), [Some(0xd9), Some(0xda), Some(0xdb)]);
    out.extend_from_slice(text);
}

fn put_number(out: &mut Vec<u8>, number: f64) {
    let whole = number as i64;
    if whole as f64 == number && whole != i64::MAX {
        return put_integer(out, whole);
    }
    let short = number as f32;
    if f64::from(short) == number {
        out.push(0xca);
        out.extend(short.to_be_bytes());
    } else {
        out.push(0xcb);
        out.extend(number.to_be_bytes());
    }
}

fn put_integer(out: &mut Vec<u8>, number: i64) {
    let bytes = number.to_be_bytes();
    let (mark, size) = match number {
        -32..=0x7f => return out.push(bytes[7]),
        0x80..=0xff => (0xcc, 1),
        0x100..=0xffff => (0xcd, 2),
        0x1_0000..=0xffff_ffff => (0xce, 4),
        0x1_0000_0000.. => (0xcf, 8),
        -0x80..=-33 => (0xd0, 1),
        -0x8000..=-0x81 => (0xd1, 2),
        -0x8000_0000..=-0x8001 => (0xd2, 4),
        ..=-0x8000_0001 => (0xd3, 8),
    };
    out.push(mark);
    out.extend_from_slice(&bytes[8 - size..]);
}

fn put_table(out: &mut Vec<u8>, table: &Table, depth: usize) -> mlua::Result<()> {
    // The machine lends only so many values at once: a table is gone through twice.
    let (mut len, mut greatest) = (0_usize, Some(0));
    for pair in table.pairs::<Value, Value>() {
        let (key, _) = pair?;
        len += 1;
        greatest = greatest.zip(key.as_integer().filter(|&index| index > 0)).map(|(former, index)| index.max(former));
    }
    if greatest.is_some_and(|greatest| usize::try_from(greatest) == Ok(len)) {
        put_len(out, len, (0x90, 16), [None, Some(0xdc), Some(0xdd)]);
        return (1..=len).try_for_each(|index| put(out, &table.raw_get(index)?, depth));
    }
    put_len(out, len, (0x80, 16), [None, Some(0xde), Some(0xdf)]);
    table.pairs::<Value, Value>().try_for_each(|pair| {
        let (key, value) = pair?;
        put(out, &key, depth)?;
        put(out, &value, depth)
    })
}

struct Reader<'a> {
    lua: &'a Lua,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn new(lua: &'a Lua, rest: &'a [u8]) -> Self {
        Self { lua, rest }
    }

    /// Up to so many values.
    fn values(&mut self, most: usize) -> Outcome<Vec<Value>> {
        let mut values = Vec::new();
        while !self.rest.is_empty() && values.len() < most {
            if values.len() >= VALUES_MAX {
                return Err(Fault::Said("too many values at once".into()));
            }
            values.push(self.value(0)?);
        }
        Ok(values)
    }

    fn take(&mut self, count: usize) -> Outcome<&'a [u8]> {
        let missing = || Fault::Said("Missing bytes in input.".into());
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(missing)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const SIZE: usize>(&mut self) -> Outcome<[u8; SIZE]> {
        Ok(self.take(SIZE)?.try_into().unwrap_or([0; SIZE]))
    }

    /// A number of so many bytes.
    fn unsigned(&mut self, size: usize) -> Outcome<u64> {
        Ok(self.take(size)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn len(&mut self, size: usize) -> Outcome<usize> {
        Ok(usize::try_from(self.unsigned(size)?).unwrap_or(usize::MAX))
    }

    fn value(&mut self, depth: usize) -> Outcome<Value> {
        let [mark] = self.array()?;
        Ok(match mark {
            0x00..=0x7f => Value::Integer(mark.into()),
            0x80..=0x8f => self.map(usize::from(mark & 0xf), depth)?,
            0x90..=0x9f => self.list(usize::from(mark & 0xf), depth)?,
            0xa0..=0xbf => self.text(usize::from(mark & 0x1f))?,
            0xc0 => Value::Nil,
            0xc2 | 0xc3 => Value::Boolean(mark == 0xc3),
            0xca => Value::Number(f32::from_be_bytes(self.array()?).into()),
            0xcb => Value::Number(f64::from_be_bytes(self.array()?)),
            0xcc..=0xcf => Value::Number(self.unsigned(1 << (mark - 0xcc))? as f64),
            0xd0 => Value::Integer(i8::from_be_bytes(self.array()?).into()),
            0xd1 => Value::Integer(i16::from_be_bytes(self.array()?).into()),
            0xd2 => Value::Integer(i32::from_be_bytes(self.array()?).into()),
            0xd3 => Value::Number(i64::from_be_bytes(self.array()?) as f64),
            0xd9..=0xdb => {
                let len = self.len(1 << (mark - 0xd9))?;
                self.text(len)?
            }
            0xdc | 0xdd => {
                let len = self.len(if mark == 0xdc { 2 } else { 4 })?;
                self.list(len, depth)?
            }
            0xde | 0xdf => {
                let len = self.len(if mark == 0xde { 2 } else { 4 })?;
                self.map(len, depth)?
            }
            0xe0..=0xff => Value::Integer(mark.cast_signed().into()),
            0xc1 | 0xc4..=0xc9 | 0xd4..=0xd8 => return Err(bad_format()),
        })
    }

    fn text(&mut self, len: usize) -> Outcome<Value> {
        let text = self.take(len)?;
        Ok(Value::String(self.lua.create_string(text)?))
    }

    fn list(&mut self, len: usize, depth: usize) -> Outcome<Value> {
        let table = self.nested(depth)?;
        for index in 1..=len {
            table.raw_set(index, self.value(depth + 1)?)?;
        }
        Ok(Value::Table(table))
    }

    fn map(&mut self, len: usize, depth: usize) -> Outcome<Value> {
        let table = self.nested(depth)?;
        for _ in 0..len {
            let (key, value) = (self.value(depth + 1)?, self.value(depth + 1)?);
            if matches!(key, Value::Nil) || plain_number(&key).is_some_and(f64::is_nan) {
                return Err(bad_format());
            }
            table.raw_set(key, value)?;
        }
        Ok(Value::Table(table))
    }

    fn nested(&self, depth: usize) -> Outcome<Table> {
        if depth >= READ_DEPTH_MAX { Err(bad_format()) } else { Ok(self.lua.create_table()?) }
    }
}

fn bad_format() -> Fault {
    Fault::Said("Bad data format in input.".into())
}
