//! Owns the chance of scripts: a sequence that is the same on every node, as the 48 bit generator of
//! System V makes it.

use super::native::{Arguments, Fault, Outcome, function};
use mlua::{Lua, Table};
use std::{cell::Cell, rc::Rc};

const MULTIPLIER: u64 = 0x5_DEEC_E66D;
const INCREMENT: u64 = 0xB;
const STATE_BITS: u32 = 48;
const FIRST_STATE: u64 = 0x1234_ABCD_330E;
/// What a seed does not fill.
const LOWEST: u64 = 0x330E;

/// The generator's state.
#[derive(Clone, Debug)]
struct Generator(Rc<Cell<u64>>);

impl Generator {
    fn seed(&self, seed: u32) {
        self.0.set(u64::from(seed) << 16 | LOWEST);
    }

    /// A number from zero up to, not including, one.
    fn fraction(&self) -> f64 {
        let state = self.0.get().wrapping_mul(MULTIPLIER).wrapping_add(INCREMENT) & ((1 << STATE_BITS) - 1);
        self.0.set(state);
        let highest = (state >> (STATE_BITS - 31)) as u32;
        f64::from(highest % i32::MAX.unsigned_abs()) / f64::from(i32::MAX)
    }
}

/// The functions that stand in for those of `math`.
pub(super) fn library(lua: &Lua) -> mlua::Result<Table> {
    let generator = Generator(Rc::new(Cell::new(FIRST_STATE)));
    let table = lua.create_table()?;
    let seeded = generator.clone();
    let seed = move |_: &Lua, args: Arguments<'_>| {
        seeded.seed(args.integer(0)? as u32);
        Ok(())
    };
    table.raw_set("randomseed", function(lua, "randomseed", seed)?)?;
    table.raw_set("random", function(lua, "random", move |_, args| pick(&generator, &args))?)?;
    Ok(table)
}

fn pick(generator: &Generator, args: &Arguments<'_>) -> Outcome<f64> {
    let fraction = generator.fraction();
    let within = |low: i64, high: i64, fault: usize| {
        if low > high {
            return Err(args.bad(fault, "interval is empty"));
        }
        let width = high.saturating_sub(low).saturating_add(1);
        Ok((fraction * width as f64).floor() + low as f64)
    };
    match args.len() {
        0 => Ok(fraction),
        1 => within(1, args.integer(0)?, 0),
        2 => within(args.integer(0)?, args.integer(1)?, 1),
        _ => Err(Fault::Said("wrong number of arguments".into())),
    }
}
