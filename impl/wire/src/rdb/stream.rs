//! Owns the extent of a stream: where its bytes end.
//!
//! Must not know what its entries say.

use super::{Fault, kind, primitive::Input};

const ID_BYTES: usize = 16;
const TIME_BYTES: usize = 8;

/// A stream in a form that redis-server 7.0 reads, too, with the kind of that form: what redis 7.2 adds
/// to it, the time at which each consumer was last served, is left out.
pub(super) fn read(kind: u8, input: &mut Input<'_>) -> Result<(u8, Vec<u8>), Fault> {
    let whole = input.0;
    let mut walk = Walk { kind, left_out: Vec::new() };
    walk.stream(input)?;
    let mut bytes = whole[..whole.len() - input.0.len()].to_vec();
    for rest in walk.left_out.into_iter().rev() {
        let at = whole.len() - rest;
        bytes.drain(at..at + TIME_BYTES);
    }
    Ok((kind.min(kind::STREAM_2), bytes))
}

/// The way through a stream.
struct Walk {
    kind: u8,
    /// The times that are left out: how many bytes were to come where each stands.
    left_out: Vec<usize>,
}

impl Walk {
    fn stream(&mut self, input: &mut Input<'_>) -> Result<(), Fault> {
        repeat(input, |input| {
            if input.string()?.len() != ID_BYTES {
                return Err(Fault::Bad("a stream has an id of the wrong length"));
            }
            input.string().map(drop)
        })?;
        // The number of entries and the last id; then the first id, the greatest deleted one, and how many
        // were ever added.
        numbers(input, if self.kind == kind::STREAM { 3 } else { 8 })?;
        repeat(input, |input| self.group(input))
    }

    fn group(&mut self, input: &mut Input<'_>) -> Result<(), Fault> {
        input.string()?;
        // The last id that was delivered, and how many entries were read.
        numbers(input, if self.kind == kind::STREAM { 2 } else { 3 })?;
        repeat(input, |input| {
            input.bytes(ID_BYTES + TIME_BYTES)?;
            numbers(input, 1)
        })?;
        repeat(input, |input| self.consumer(input))
    }

    fn consumer(&mut self, input: &mut Input<'_>) -> Result<(), Fault> {
        input.string()?;
        input.bytes(TIME_BYTES)?;
        if self.kind == kind::STREAM_3 {
            self.left_out.push(input.0.len());
            input.bytes(TIME_BYTES)?;
        }
        repeat(input, |input| input.bytes(ID_BYTES).map(drop))
    }
}

fn numbers(input: &mut Input<'_>, count: usize) -> Result<(), Fault> {
    (0..count).try_for_each(|_| input.number().map(drop))
}

fn repeat(input: &mut Input<'_>, mut one: impl FnMut(&mut Input<'_>) -> Result<(), Fault>) -> Result<(), Fault> {
    let count = input.number()?;
    (0..count).try_for_each(|_| one(input))
}
