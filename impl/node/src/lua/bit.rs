//! Owns the library `bit`: operations on the bits of 32 bit numbers.

use super::native::{Arguments, Outcome, function};
use mlua::{Lua, Table};

type Unary = fn(u32) -> u32;
type Binary = fn(u32, u32) -> u32;

/// The functions of the library.
pub(super) fn library(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    let unary: [(&'static str, Unary); 3] = [("tobit", |x| x), ("bnot", |x| !x), ("bswap", u32::swap_bytes)];
    for (name, operate) in unary {
        table.raw_set(name, function(lua, name, move |_, args| Ok(shown(operate(bits(&args, 0)?))))?)?;
    }
    let folding: [(&'static str, Binary); 3] = [("band", |x, y| x & y), ("bor", |x, y| x | y), ("bxor", |x, y| x ^ y)];
    for (name, operate) in folding {
        let fold = move |_: &Lua, args: Arguments<'_>| {
            let first = bits(&args, 0)?;
            (1..args.len()).try_fold(first, |sum, index| Ok(operate(sum, bits(&args, index)?))).map(shown)
        };
        table.raw_set(name, function(lua, name, fold)?)?;
    }
    let shifting: [(&'static str, Binary); 5] = [
        ("lshift", |x, by| x << by),
        ("rshift", |x, by| x >> by),
        ("arshift", |x, by| (x.cast_signed() >> by).cast_unsigned()),
        ("rol", u32::rotate_left),
        ("ror", u32::rotate_right),
    ];
    for (name, operate) in shifting {
        let shift = move |_: &Lua, args: Arguments<'_>| Ok(shown(operate(bits(&args, 0)?, bits(&args, 1)? & 31)));
        table.raw_set(name, function(lua, name, shift)?)?;
    }
    table.raw_set("tohex", function(lua, "tohex", |_, args| tohex(&args))?)?;
    Ok(table)
}

/// The lowest 32 bits of a number, rounded to a whole one.
fn bits(args: &Arguments<'_>, index: usize) -> Outcome<u32> {
    // Beside this number the unit in the last place is one: adding it rounds, and shows the bits.
    const ROUNDER: f64 = 6_755_399_441_055_744.0;
    Ok((args.number(index)? + ROUNDER).to_bits() as u32)
}

fn shown(bits: u32) -> i32 {
    bits.cast_signed()
}

fn tohex(args: &Arguments<'_>) -> Outcome<String> {
    let number = bits(args, 0)?;
    let wanted = if args.len() > 1 { bits(args, 1)?.cast_signed() } else { 8 };
    let digits = if wanted < 0 { format!("{number:08X}") } else { format!("{number:08x}") };
    let count = usize::try_from(wanted.unsigned_abs()).unwrap_or(8).min(8);
    Ok(digits[8 - count..].to_owned())
}
