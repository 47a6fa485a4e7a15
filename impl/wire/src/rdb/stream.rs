//! Owns the extent of a stream: where its bytes end.
//!
//! Must not know what its entries say.

use super::{Fault, kind, primitive::Input};

const ID_BYTES: usize = 16;
const TIME_BYTES: usize = 8;

/// Goes behind a stream.
pub(super) fn skip(kind: u8, input: &mut Input<'_>) -> Result<(), Fault> {
    let is_second = kind == kind::STREAM_2;
    repeat(input, |input| {
        if input.string()?.len() != ID_BYTES {
            return Err(Fault::Bad("a stream has an id of the wrong length"));
        }
        input.string().map(drop)
    })?;
    // The number of entries and the last id; then the first id, the greatest deleted one, and how many
    // were ever added.
    numbers(input, if is_second { 8 } else { 3 })?;
    repeat(input, |input| group(is_second, input))
}

fn group(is_second: bool, input: &mut Input<'_>) -> Result<(), Fault> {
    input.string()?;
    // The last id that was delivered, and how many entries were read.
    numbers(input, if is_second { 3 } else { 2 })?;
    repeat(input, |input| {
        input.bytes(ID_BYTES + TIME_BYTES)?;
        numbers(input, 1)
    })?;
    repeat(input, |input| {
        input.string()?;
        input.bytes(TIME_BYTES)?;
        repeat(input, |input| input.bytes(ID_BYTES).map(drop))
    })
}

fn numbers(input: &mut Input<'_>, count: usize) -> Result<(), Fault> {
    (0..count).try_for_each(|_| input.number().map(drop))
}

fn repeat(input: &mut Input<'_>, mut one: impl FnMut(&mut Input<'_>) -> Result<(), Fault>) -> Result<(), Fault> {
    let count = input.number()?;
    (0..count).try_for_each(|_| one(input))
}
