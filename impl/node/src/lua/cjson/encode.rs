//! Owns the writing of values as JSON.

use super::{
    super::native::{Fault, Outcome, plain_number, type_name},
    DEPTH_MAX, InvalidNumbers, Settings,
};
use mlua::{Table, Value};
use slotbus_wire::number::format_significant;

/// The text of a value.
pub(super) fn encode(value: &Value, settings: Settings) -> Outcome<Vec<u8>> {
    let mut writer = Writer { out: Vec::new(), settings };
    writer.put(value, 0)?;
    Ok(writer.out)
}

struct Writer {
    out: Vec<u8>,
    settings: Settings,
}

fn unserialisable(value: &Value, reason: &str) -> Fault {
    Fault::Said(format!("Cannot serialise {}: {reason}", type_name(value)))
}

impl Writer {
    fn put(&mut self, value: &Value, depth: i64) -> Outcome<()> {
        match value {
            Value::Nil => self.out.extend_from_slice(b"null"),
            Value::LightUserData(pointer) if pointer.0.is_null() => self.out.extend_from_slice(b"null"),
            Value::Boolean(is) => self.out.extend_from_slice(if *is { b"true" } else { b"false" }),
            Value::Integer(_) | Value::Number(_) => self.put_number(value)?,
            Value::String(text) => self.put_text(&text.as_bytes()),
            Value::Table(table) => self.put_table(value, table, depth + 1)?,
            Value::LightUserData(_)
            | Value::Function(_)
            | Value::Thread(_)
            | Value::UserData(_)
            | Value::Error(_)
            | Value::Other(_) => return Err(unserialisable(value, "type not supported")),
        }
        Ok(())
    }

    fn put_number(&mut self, value: &Value) -> Outcome<()> {
        let number = plain_number(value).unwrap_or_default();
        if !number.is_finite() {
            match self.settings.encode_invalid {
                InvalidNumbers::Refused => return Err(unserialisable(value, "must not be NaN or Inf")),
                InvalidNumbers::Null => {
                    self.out.extend_from_slice(b"null");
                    return Ok(());
                }
                InvalidNumbers::Taken if number.is_nan() => {
                    self.out.extend_from_slice(b"nan");
                    return Ok(());
                }
                InvalidNumbers::Taken => {}
            }
        }
        let digits = usize::try_from(self.settings.precision).unwrap_or_default();
        self.out.extend_from_slice(format_significant(number, digits).as_bytes());
        Ok(())
    }

    fn put_text(&mut self, text: &[u8]) {
        self.out.push(b'"');
        for &byte in text {
            match byte {
                b'"' | b'\\' | b'/' => self.out.extend_from_slice(&[b'\\', byte]),
                0x08 => self.out.extend_from_slice(b"\\b"),
                b'\t' => self.out.extend_from_slice(b"\\t"),
                b'\n' => self.out.extend_from_slice(b"\\n"),
                0x0c => self.out.extend_from_slice(b"\\f"),
                b'\r' => self.out.extend_from_slice(b"\\r"),
                0..0x20 | 0x7f => self.out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
                _ => self.out.push(byte),
            }
        }
        self.out.push(b'"');
    }

    fn put_table(&mut self, value: &Value, table: &Table, depth: i64) -> Outcome<()> {
        if depth > self.settings.encode_depth_max.min(DEPTH_MAX) {
            return Err(Fault::Said(format!("Cannot serialise, excessive nesting ({depth})")));
        }
        match self.array_len(value, table)? {
            Some(len @ 1..) => self.put_array(table, len, depth),
            Some(_) | None => self.put_object(table, depth),
        }
    }

    /// The greatest index of a table that has only indices; none if it has other keys.
    fn array_len(&self, value: &Value, table: &Table) -> Outcome<Option<i64>> {
        let (mut greatest, mut count) = (0_i64, 0_i64);
        for pair in table.pairs::<Value, Value>() {
            match pair?.0.as_integer() {
                Some(index @ 1..) => {
                    greatest = greatest.max(index);
                    count += 1;
                }
                Some(_) | None => return Ok(None),
            }
        }
        let Settings { sparse_ratio, sparse_safe, converts_sparse, .. } = self.settings;
        let is_sparse = sparse_ratio > 0 && greatest > count.saturating_mul(sparse_ratio) && greatest > sparse_safe;
        match (is_sparse, converts_sparse) {
            (false, _) => Ok(Some(greatest)),
            (true, true) => Ok(None),
            (true, false) => Err(unserialisable(value, "excessively sparse array")),
        }
    }

    fn put_array(&mut self, table: &Table, len: i64, depth: i64) -> Outcome<()> {
        self.out.push(b'[');
        for index in 1..=len {
            if index > 1 {
                self.out.push(b',');
            }
            self.put(&table.raw_get::<Value>(index)?, depth)?;
        }
        self.out.push(b']');
        Ok(())
    }

    fn put_object(&mut self, table: &Table, depth: i64) -> Outcome<()> {
        self.out.push(b'{');
        let mut is_first = true;
        for pair in table.pairs::<Value, Value>() {
            let (key, value) = pair?;
            if !std::mem::take(&mut is_first) {
                self.out.push(b',');
            }
            self.put_key(&key)?;
            self.out.push(b':');
            self.put(&value, depth)?;
        }
        self.out.push(b'}');
        Ok(())
    }

    fn put_key(&mut self, key: &Value) -> Outcome<()> {
        if let Value::String(text) = key {
            self.put_text(&text.as_bytes());
            return Ok(());
        }
        if plain_number(key).is_none() {
            return Err(unserialisable(key, "table key must be a number or string"));
        }
        self.out.push(b'"');
        self.put_number(key)?;
        self.out.push(b'"');
        Ok(())
    }
}
