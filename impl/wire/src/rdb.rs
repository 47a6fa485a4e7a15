//! Owns the snapshot format: keys with their values and ends, as a snapshot file or a full
//! synchronisation carries them, and single values as DUMP does. Version 10 is written, and what redis
//! and valkey write up to redis 8.0 and valkey 9.1 is read.
//!
//! Must not open a file, and must not know how a node holds a value in memory: [`Body`] borrows one
//! to be written, [`Value`] is one that was read. Kinds that this project has no commands for are
//! [foreign](Value::Foreign): their extent is understood, their bytes are kept as they are.

mod body;
mod field_ends;
mod file;
mod old;
mod primitive;
mod stream;
mod value;

pub use body::Body;
pub use file::{Entry, Header, Record, RecordReader, put_end, put_entry, put_function, put_header, put_sizes};
pub(crate) use file::{FunctionFault, functions};
pub use stream::{Consumer, Group, Name, Pending, Stream};
pub use value::Value;

use crc::{CRC_64_REDIS, Crc, Digest, Table};
use std::fmt;

/// The version that redis-server 7.0 writes, and the newest that it reads.
pub const VERSION: u16 = 10;
/// The newest version that is read: redis counts up from 1, valkey from 80. A kind of value has the same
/// form in every version, and what a version adds has kinds of its own: those that are not known are refused.
const VERSION_READ_MAX: u16 = 99;

/// Whether something of this version can be read, as far as the kinds in it are known.
pub(crate) fn is_readable(version: u16) -> bool {
    (1..=VERSION_READ_MAX).contains(&version)
}

/// The version of the format that has this kind of value.
pub(crate) fn version_of(kind: u8) -> u16 {
    match kind {
        kind::HASH_WITH_FIELD_ENDS | kind::HASH_LISTPACK_WITH_FIELD_ENDS => 12,
        kind::HASH_2 => 80,
        _ => VERSION,
    }
}

static CHECKSUM: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_REDIS);

/// Why bytes cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// They end too soon: with more of them it might go on.
    Short,
    /// They make no sense; with what is wrong.
    Bad(&'static str),
    /// They hold a value of a module, which nobody can tell the extent of.
    OfModule,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => f.write_str("the data end too soon"),
            Self::Bad(what) => f.write_str(what),
            Self::OfModule => f.write_str("the data hold a value of a module, and no module is loaded"),
        }
    }
}

impl std::error::Error for Fault {}

/// The checksum of bytes that come piece by piece.
pub struct Checksum(Digest<'static, u64, Table<16>>);

impl Default for Checksum {
    fn default() -> Self {
        Self(CHECKSUM.digest())
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checksum({:x})", self.value())
    }
}

impl Checksum {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum of all bytes so far.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.clone().finalize()
    }
}

/// The checksum of some bytes.
#[must_use]
pub fn checksum(bytes: &[u8]) -> u64 {
    CHECKSUM.checksum(bytes)
}

/// The value that begins `bytes`, its kind first, and what follows it.
pub fn read_value(bytes: &[u8]) -> Result<(Value, &[u8]), Fault> {
    let mut input = primitive::Input(bytes);
    let kind = input.byte()?;
    let value = Value::read(kind, &mut input)?;
    Ok((value, input.0))
}

/// The codes of the kinds of values.
mod kind {
    pub(super) const STRING: u8 = 0;
    pub(super) const LIST: u8 = 1;
    pub(super) const SET: u8 = 2;
    pub(super) const SORTED_SET_OF_TEXT: u8 = 3;
    pub(super) const HASH: u8 = 4;
    pub(super) const SORTED_SET: u8 = 5;
    pub(super) const MODULE: u8 = 6;
    pub(super) const MODULE_2: u8 = 7;
    pub(super) const HASH_ZIPMAP: u8 = 9;
    pub(super) const LIST_ZIPLIST: u8 = 10;
    pub(super) const SET_INTSET: u8 = 11;
    pub(super) const SORTED_SET_ZIPLIST: u8 = 12;
    pub(super) const HASH_ZIPLIST: u8 = 13;
    pub(super) const LIST_OF_ZIPLISTS: u8 = 14;
    pub(super) const STREAM: u8 = 15;
    pub(super) const HASH_LISTPACK: u8 = 16;
    pub(super) const SORTED_SET_LISTPACK: u8 = 17;
    pub(super) const LIST_OF_LISTPACKS: u8 = 18;
    pub(super) const STREAM_2: u8 = 19;
    /// redis 7.2, valkey.
    pub(super) const SET_LISTPACK: u8 = 20;
    /// redis 7.2, valkey.
    pub(super) const STREAM_3: u8 = 21;
    /// valkey 9.
    pub(super) const HASH_2: u8 = 22;
    /// redis 7.4.
    pub(super) const HASH_WITH_FIELD_ENDS: u8 = 24;
    /// redis 7.4.
    pub(super) const HASH_LISTPACK_WITH_FIELD_ENDS: u8 = 25;
}
