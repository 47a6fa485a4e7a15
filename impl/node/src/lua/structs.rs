//! Owns the library `struct`: numbers and texts packed into bytes by a format, as C lays them out.

use super::native::{Arguments, Fault, Outcome, function, plain_number};
use mlua::{Lua, MultiValue, Table, Value};

/// The longest whole number.
const INTEGER_MAX: usize = 32;
/// The widest alignment, unless the format says otherwise.
const ALIGN_MAX: usize = 8;

/// The functions of the library.
pub(super) fn library(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set("pack", function(lua, "pack", pack)?)?;
    table.raw_set("unpack", function(lua, "unpack", unpack)?)?;
    table.raw_set("size", function(lua, "size", |_, args| size(&args))?)?;
    Ok(table)
}

/// What stands at one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Item {
    Integer {
        size: usize,
        is_signed: bool,
    },
    Float,
    Double,
    Padding,
    /// A text that ends with a zero.
    Terminated,
    /// A text of this length; zero for one that is not written.
    Fixed(usize),
}

impl Item {
    fn size(self) -> usize {
        match self {
            Self::Integer { size, .. } | Self::Fixed(size) => size,
            Self::Float => 4,
            Self::Double => 8,
            Self::Padding => 1,
            Self::Terminated => 0,
        }
    }
}

/// Reads a format, item by item.
struct Format<'f> {
    args: &'f Arguments<'f>,
    letters: &'f [u8],
    is_big_endian: bool,
    align: usize,
}

impl<'f> Format<'f> {
    fn new(args: &'f Arguments<'f>, letters: &'f [u8]) -> Self {
        Self { args, letters, is_big_endian: false, align: 1 }
    }

    /// The number that comes next.
    fn number(&mut self, otherwise: usize) -> usize {
        let length = self.letters.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.letters.split_at(length);
        self.letters = rest;
        let digits = digits
            .iter()
            .fold(0_usize, |number, digit| number.saturating_mul(10).saturating_add(usize::from(digit - b'0')));
        if length == 0 { otherwise } else { digits }
    }

    /// The next item with its place, if the bytes so far are `length`; none at the end.
    fn next(&mut self, length: usize) -> Outcome<Option<(Item, usize)>> {
        while let Some((&letter, rest)) = self.letters.split_first() {
            self.letters = rest;
            match letter {
                b'>' => self.is_big_endian = true,
                b'<' => self.is_big_endian = false,
                b' ' => {}
                b'!' => {
                    let align = self.number(ALIGN_MAX);
                    if !align.is_power_of_two() {
                        return Err(Fault::Said(format!("alignment {align} is not a power of 2")));
                    }
                    self.align = align;
                }
                _ => {
                    let item = self.item(letter)?;
                    return Ok(Some((item, length.saturating_add(self.gap(item, length)))));
                }
            }
        }
        Ok(None)
    }

    fn item(&mut self, letter: u8) -> Outcome<Item> {
        let integer = |size| Ok(Item::Integer { size, is_signed: letter.is_ascii_lowercase() });
        match letter {
            b'b' | b'B' => integer(1),
            b'h' | b'H' => integer(2),
            b'l' | b'L' | b'T' => integer(8),
            b'i' | b'I' => match self.number(4) {
                size @ 0..=INTEGER_MAX => integer(size),
                size => {
                    let fault = format!("integral size {size} is larger than limit of {INTEGER_MAX}");
                    Err(Fault::Said(fault))
                }
            },
            b'f' => Ok(Item::Float),
            b'd' => Ok(Item::Double),
            b'x' => Ok(Item::Padding),
            b's' => Ok(Item::Terminated),
            b'c' => Ok(Item::Fixed(self.number(1))),
            _ => Err(self.args.bad(0, &format!("invalid format option '{}'", char::from(letter)))),
        }
    }

    /// How many bytes are left out so that an item begins where it may.
    fn gap(&self, item: Item, length: usize) -> usize {
        let is_text = matches!(item, Item::Fixed(_));
        let size = item.size().min(self.align);
        if size == 0 || is_text { 0 } else { (size - (length & (size - 1))) & (size - 1) }
    }

    fn in_order(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        if self.is_big_endian {
            bytes.reverse();
        }
        bytes
    }
}

fn pack(lua: &Lua, args: Arguments<'_>) -> Outcome<mlua::String> {
    let letters = args.text(0)?;
    let mut format = Format::new(&args, &letters);
    let (mut out, mut next) = (Vec::new(), 1);
    while let Some((item, at)) = format.next(out.len())? {
        out.resize(at, 0);
        match item {
            Item::Padding => {
                out.push(0);
                continue;
            }
            Item::Integer { size, .. } => out.extend(format.in_order(integer_bytes(args.number(next)?, size))),
            Item::Float => out.extend(format.in_order((args.number(next)? as f32).to_le_bytes().to_vec())),
            Item::Double => out.extend(format.in_order(args.number(next)?.to_le_bytes().to_vec())),
            Item::Terminated => {
                out.extend(args.text(next)?);
                out.push(0);
            }
            Item::Fixed(size) => {
                let text = args.text(next)?;
                let size = if size == 0 { text.len() } else { size };
                out.extend(text.get(..size).ok_or_else(|| args.bad(next + 1, "string too short"))?);
            }
        }
        next += 1;
    }
    Ok(lua.create_string(out)?)
}

/// The lowest bytes of a whole number, the lowest first. Beyond eight there is nothing.
fn integer_bytes(number: f64, size: usize) -> Vec<u8> {
    let value = if number < 0.0 { (number as i64).cast_unsigned() } else { number as u64 };
    value.to_le_bytes().into_iter().chain(std::iter::repeat(0)).take(size).collect()
}

fn unpack(lua: &Lua, args: Arguments<'_>) -> Outcome<MultiValue> {
    let (letters, data) = (args.text(0)?, args.text(1)?);
    let start = if args.len() > 2 { args.integer(2)? } else { 1 };
    let Some(start) = usize::try_from(start).ok().filter(|&start| start > 0) else {
        return Err(args.bad(2, "offset must be 1 or greater"));
    };
    let mut format = Format::new(&args, &letters);
    let (mut at, mut values) = (start - 1, Vec::new());
    while let Some((item, place)) = format.next(at)? {
        let short = || args.bad(1, "data string too short");
        if item == Item::Terminated {
            let text = data.get(place..).ok_or_else(short)?;
            let length = memchr::memchr(0, text).ok_or_else(|| Fault::Said("unfinished string in data".into()))?;
            values.push(Value::String(lua.create_string(&text[..length])?));
            at = place + length + 1;
            continue;
        }
        let size = if item == Item::Fixed(0) { length_before(values.pop())? } else { item.size() };
        at = place.checked_add(size).ok_or_else(short)?;
        let bytes = data.get(place..at).ok_or_else(short)?;
        let ordered = || format.in_order(bytes.to_vec());
        match item {
            Item::Padding | Item::Terminated => {}
            Item::Integer { is_signed, .. } => values.push(Value::Number(integer(&ordered(), is_signed))),
            Item::Float => values.push(Value::Number(f32::from_le_bytes(array(ordered())).into())),
            Item::Double => values.push(Value::Number(f64::from_le_bytes(array(ordered())))),
            Item::Fixed(_) => values.push(Value::String(lua.create_string(bytes)?)),
        }
    }
    values.push(Value::Number((at + 1) as f64));
    Ok(MultiValue::from_vec(values))
}

/// A text whose length is not in the format has it in the number before.
fn length_before(value: Option<Value>) -> Outcome<usize> {
    let number = value.as_ref().and_then(plain_number);
    let length = number.filter(|number| *number >= 0.0).map(|number| number as usize);
    length.ok_or_else(|| Fault::Said("format 'c0' needs a previous size".into()))
}

fn array<const SIZE: usize>(bytes: Vec<u8>) -> [u8; SIZE] {
    bytes.try_into().unwrap_or([0; SIZE])
}

/// The number that bytes stand for, the lowest first.
fn integer(bytes: &[u8], is_signed: bool) -> f64 {
    let kept = &bytes[..bytes.len().min(8)];
    let value = kept.iter().rev().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    if !is_signed || kept.is_empty() {
        return value as f64;
    }
    let unused = 64 - 8 * kept.len() as u32;
    ((value << unused).cast_signed() >> unused) as f64
}

fn size(args: &Arguments<'_>) -> Outcome<i64> {
    let letters = args.text(0)?;
    let mut format = Format::new(args, &letters);
    let mut length = 0;
    while let Some((item, at)) = format.next(length)? {
        let size = match item {
            Item::Terminated => return Err(args.bad(0, "option 's' has no fixed size")),
            Item::Fixed(0) => return Err(args.bad(0, "option 'c0' has no fixed size")),
            Item::Integer { .. } | Item::Float | Item::Double | Item::Padding | Item::Fixed(_) => item.size(),
        };
        length = at.saturating_add(size);
    }
    Ok(i64::try_from(length).unwrap_or(i64::MAX))
}
