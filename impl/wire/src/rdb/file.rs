//! Owns the order of things in a snapshot: its head, its keys, its end with the checksum.
//!
//! Must not hold the file: a reader is given as much of it as there is, and says when it needs more.

use super::{
    Body, Checksum, Fault, VERSION, Value, is_readable,
    primitive::{Input, put_length, put_string},
};

const MAGIC: &[u8] = b"REDIS";
/// From version 80 on, with a digit less for the version.
const MAGIC_OF_VALKEY: &[u8] = b"VALKEY";
const HEAD_BYTES: usize = 9;
const CHECKSUM_SINCE: u16 = 5;

mod code {
    /// redis 7.4.
    pub(super) const SLOT_SIZES: u8 = 244;
    pub(super) const FUNCTION: u8 = 245;
    pub(super) const FUNCTION_OF_CANDIDATE: u8 = 246;
    pub(super) const MODULE_AUX: u8 = 247;
    pub(super) const IDLE: u8 = 248;
    pub(super) const FREQUENCY: u8 = 249;
    pub(super) const AUX: u8 = 250;
    pub(super) const SIZES: u8 = 251;
    pub(super) const END_MS: u8 = 252;
    pub(super) const END_S: u8 = 253;
    pub(super) const DATABASE: u8 = 254;
    pub(super) const END: u8 = 255;
}

/// What the head of a snapshot tells about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// The version of the server that it claims to come from.
    pub version: &'a str,
    /// When it was made, in seconds since the epoch.
    pub created_s: u64,
    /// How much memory the data took.
    pub used_memory: u64,
    /// The place in the stream of writes that the data are at: its name, and how many bytes of it.
    pub stream: Option<(String, u64)>,
    /// Whether requests follow it, in other files, as those of an append-only file do.
    pub is_base: bool,
}

/// Begins a snapshot.
pub fn put_header(out: &mut Vec<u8>, header: Header<'_>) {
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(format!("{VERSION:04}").as_bytes());
    let place = header
        .stream
        .map(|(id, offset)| [("repl-stream-db", "0".to_owned()), ("repl-id", id), ("repl-offset", offset.to_string())]);
    let remarks = [
        ("redis-ver", header.version.to_owned()),
        ("redis-bits", usize::BITS.to_string()),
        ("ctime", header.created_s.to_string()),
        ("used-mem", header.used_memory.to_string()),
        ("aof-base", u8::from(header.is_base).to_string()),
    ];
    for (name, value) in remarks.into_iter().chain(place.into_iter().flatten()) {
        out.push(code::AUX);
        put_string(out, name.as_bytes(), false);
        put_string(out, value.as_bytes(), false);
    }
}

/// Writes a library of functions.
pub fn put_function(out: &mut Vec<u8>, library: &[u8], compresses: bool) {
    out.push(code::FUNCTION);
    put_string(out, library, compresses);
}

/// Reads libraries of functions up to the end of the bytes.
pub(crate) fn functions(bytes: &[u8]) -> Result<Vec<Vec<u8>>, FunctionFault> {
    let (mut input, mut libraries) = (Input(bytes), Vec::new());
    while let Ok(kind) = input.byte() {
        match kind {
            code::FUNCTION => {
                libraries.push(input.string().map_err(|_| FunctionFault::Cut)?.into_owned());
            }
            code::FUNCTION_OF_CANDIDATE => return Err(FunctionFault::OfCandidate),
            _ => return Err(FunctionFault::Other),
        }
    }
    Ok(libraries)
}

/// Why bytes are not libraries of functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FunctionFault {
    /// A library is not complete.
    Cut,
    /// A library has the form of a release candidate of 7.0.
    OfCandidate,
    /// Something else stands there.
    Other,
}

/// Says how many keys follow, and how many of them expire.
pub fn put_sizes(out: &mut Vec<u8>, keys: usize, expiring: usize) {
    out.extend_from_slice(&[code::DATABASE, 0, code::SIZES]);
    put_length(out, keys);
    put_length(out, expiring);
}

/// Writes a key with its value, and with its end in milliseconds since the epoch if it has one.
pub fn put_entry(out: &mut Vec<u8>, key: &[u8], body: Body<'_>, expires_ms: Option<u64>, compresses: bool) {
    if let Some(end) = expires_ms {
        out.push(code::END_MS);
        out.extend_from_slice(&end.to_le_bytes());
    }
    out.push(body.kind());
    put_string(out, key, compresses);
    body.put(out, compresses);
}

/// Ends a snapshot, with the checksum of everything before if it is to have one.
pub fn put_end(out: &mut Vec<u8>, checksum: Option<Checksum>) {
    out.push(code::END);
    let value = checksum.map_or(0, |mut checksum| {
        checksum.update(&[code::END]);
        checksum.value()
    });
    out.extend_from_slice(&value.to_le_bytes());
}

/// One key.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its name.
    pub key: Vec<u8>,
    /// Its value.
    pub value: Value,
    /// When it ends, in milliseconds since the epoch.
    pub expires_ms: Option<u64>,
}

/// One thing that a snapshot holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// Its head, with the version of the format.
    Head(u16),
    /// A remark.
    Aux(Vec<u8>, Vec<u8>),
    /// A library of functions.
    Function(Vec<u8>),
    /// How many keys follow, and how many of them expire.
    Sizes(u64, u64),
    /// The keys that follow are in this database.
    Database(u64),
    /// A key.
    Entry(Box<Entry>),
    /// The end, with the checksum that stands there; 0 or none if none was made.
    End(Option<u64>),
}

/// Reads a snapshot, record by record.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecordReader {
    version: Option<u16>,
}

impl RecordReader {
    /// The record that begins `bytes`, and how many of them it takes. If they are [short](Fault::Short),
    /// the same call with more of them may succeed.
    pub fn read(&mut self, bytes: &[u8]) -> Result<(Record, usize), Fault> {
        let mut input = Input(bytes);
        let record = match self.version {
            None => {
                let version = head(&mut input)?;
                self.version = Some(version);
                Record::Head(version)
            }
            Some(version) => record(version, &mut input)?,
        };
        Ok((record, bytes.len() - input.0.len()))
    }
}

fn head(input: &mut Input<'_>) -> Result<u16, Fault> {
    let head = input.bytes(HEAD_BYTES)?;
    let digits = head.strip_prefix(MAGIC).or_else(|| head.strip_prefix(MAGIC_OF_VALKEY));
    let digits = digits.ok_or(Fault::Bad("Wrong signature trying to load DB from file"))?;
    let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let version = digits.and_then(|digits| digits.parse().ok()).unwrap_or_default();
    if is_readable(version) { Ok(version) } else { Err(Fault::Bad("Can't handle RDB format version")) }
}

fn record(version: u16, input: &mut Input<'_>) -> Result<Record, Fault> {
    let mut expires_ms = None;
    loop {
        match input.byte()? {
            code::END_MS => expires_ms = Some(u64::from_le_bytes(input.array()?)),
            code::END_S => expires_ms = Some(u64::from(u32::from_le_bytes(input.array()?)) * 1000),
            code::IDLE => drop(input.number()?),
            code::FREQUENCY => drop(input.byte()?),
            // Which slot follows, how many keys it has, and how many of them expire.
            code::SLOT_SIZES => (0..3).try_for_each(|_| input.number().map(drop))?,
            code::AUX => return Ok(Record::Aux(input.string()?.into_owned(), input.string()?.into_owned())),
            code::FUNCTION => return Ok(Record::Function(input.string()?.into_owned())),
            code::FUNCTION_OF_CANDIDATE => {
                return Err(Fault::Bad("a function has the form of a release candidate of 7.0"));
            }
            code::MODULE_AUX => return Err(Fault::OfModule),
            code::SIZES => return Ok(Record::Sizes(input.number()?, input.number()?)),
            code::DATABASE => return Ok(Record::Database(input.number()?)),
            code::END if version < CHECKSUM_SINCE => return Ok(Record::End(None)),
            code::END => return Ok(Record::End(Some(u64::from_le_bytes(input.array()?)))),
            kind => {
                let key = input.string()?.into_owned();
                let value = Value::read(kind, input)?;
                return Ok(Record::Entry(Box::new(Entry { key, value, expires_ms })));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Entry, Record, RecordReader};
    use crate::rdb::{Fault, Value};

    fn records(mut bytes: &[u8]) -> Result<Vec<Record>, Fault> {
        let mut reader = RecordReader::default();
        let mut records = Vec::new();
        while !bytes.is_empty() {
            let (record, length) = reader.read(bytes)?;
            bytes = &bytes[length..];
            records.push(record);
        }
        Ok(records)
    }

    #[test]
    fn snapshots_of_later_versions_are_read() {
        let entry = Entry { key: b"k".to_vec(), value: Value::String(b"v".to_vec()), expires_ms: None };
        let entry = Record::Entry(Box::new(entry));
        let keys_of_slot = b"\xf4N\xf4\x01\0";
        for (head, version) in [(b"REDIS0012", 12), (b"VALKEY080", 80)] {
            let bytes = [head.as_slice(), keys_of_slot, b"\0\x01k\x01v\xff\0\0\0\0\0\0\0\0"].concat();
            assert_eq!(records(&bytes), Ok(vec![Record::Head(version), entry.clone(), Record::End(Some(0))]));
        }
        for head in [b"REDIS0100", b"VALKEY100", b"REDIS0000", b"VALKEY0x0"] {
            assert_eq!(records(head), Err(Fault::Bad("Can't handle RDB format version")));
        }
        assert_eq!(records(b"REDIS0014\xf3\x01k\x01v"), Err(Fault::Bad("a value has an unknown type")));
    }
}
