//! Owns hashes in the forms in which each field can have an end: of redis 7.4 and of valkey 9.
//!
//! Must not drop an end: a hash with one is foreign, and keeps its bytes.

use super::{
    Fault, Value, kind,
    primitive::Input,
    value::{listpack, several, text, texts},
};

const TIME_BYTES: usize = 8;

/// A field with its value, and whether it has an end.
type Field = (Vec<u8>, Vec<u8>, bool);

/// A hash: a plain one if none of its fields has an end.
pub(super) fn read(kind: u8, input: &mut Input<'_>) -> Result<Value, Fault> {
    let whole = input.0;
    let fields = match kind {
        kind::HASH_2 => several(input, field_before_end)?,
        kind::HASH_WITH_FIELD_ENDS => {
            input.bytes(TIME_BYTES)?;
            several(input, field_after_end)?
        }
        _ => packed(input)?,
    };
    if fields.iter().any(|(_, _, has_end)| *has_end) {
        let bytes = whole[..whole.len() - input.0.len()].to_vec();
        return Ok(Value::Foreign(kind, bytes));
    }
    Ok(Value::Hash(fields.into_iter().map(|(field, value, _)| (field, value)).collect()))
}

fn field_before_end(input: &mut Input<'_>) -> Result<Field, Fault> {
    const NONE: [u8; TIME_BYTES] = [0xff; TIME_BYTES];
    Ok((text(input)?, text(input)?, input.array()? != NONE))
}

fn field_after_end(input: &mut Input<'_>) -> Result<Field, Fault> {
    let has_end = input.number()? != 0;
    Ok((text(input)?, text(input)?, has_end))
}

/// Fields, values and ends in turn, behind the first of the ends.
fn packed(input: &mut Input<'_>) -> Result<Vec<Field>, Fault> {
    input.bytes(TIME_BYTES)?;
    let texts = texts(&listpack(input)?);
    let (triples, rest) = texts.as_chunks();
    if !rest.is_empty() {
        return Err(Fault::Bad("a field lacks its value or its end"));
    }
    Ok(triples.iter().map(|[field, value, end]| (field.clone(), value.clone(), end != b"0")).collect())
}
