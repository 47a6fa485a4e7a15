//! Owns up to which size a collection stays packed, as the settings say.
//!
//! Must not know any collection.

use crate::config::Settings;

/// The sizes beyond which a collection changes its form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most fields of a packed hash.
    pub hash_entries_max: usize,
    /// The most bytes of a field or value in a packed hash.
    pub hash_value_max: usize,
    /// The most members of a packed sorted set.
    pub sorted_set_entries_max: usize,
    /// The most bytes of a member of a packed sorted set.
    pub sorted_set_value_max: usize,
    /// The most members of a set that is an intset.
    pub intset_entries_max: usize,
    /// The most bytes of a piece of a list.
    pub list_piece_bytes_max: usize,
    /// The most elements of a piece of a list.
    pub list_piece_len_max: usize,
    /// The most bytes of a string with registers of HyperLogLog in runs.
    pub sparse_registers_max: usize,
    /// The most bytes of a block of a stream; 0 for no such limit.
    pub stream_block_bytes_max: usize,
    /// The most entries of a block of a stream; 0 for no such limit.
    pub stream_block_len_max: usize,
    /// The most bytes of a string.
    pub string_max: u64,
    /// Whether a command may touch keys of one slot only.
    pub is_clustered: bool,
    /// Whether long strings are compressed when they are dumped or saved.
    pub compresses: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self::new(&Settings::default())
    }
}

impl Limits {
    /// What the settings say.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let size = |name: &str| usize::try_from(settings.number(name)).unwrap_or(usize::MAX);
        let (list_piece_bytes_max, list_piece_len_max) = list_piece(settings.text("list-max-listpack-size"));
        Self {
            hash_entries_max: size("hash-max-listpack-entries"),
            hash_value_max: size("hash-max-listpack-value"),
            sorted_set_entries_max: size("zset-max-listpack-entries"),
            sorted_set_value_max: size("zset-max-listpack-value"),
            intset_entries_max: size("set-max-intset-entries").min(1 << 30),
            list_piece_bytes_max,
            list_piece_len_max,
            sparse_registers_max: size("hll-sparse-max-bytes"),
            stream_block_bytes_max: size("stream-node-max-bytes"),
            stream_block_len_max: size("stream-node-max-entries"),
            string_max: settings.number("proto-max-bulk-len"),
            is_clustered: settings.flag("cluster-enabled"),
            compresses: settings.flag("rdbcompression"),
        }
    }
}

/// A positive number is one of elements; -1 to -5 stand for 4 to 64 kilobytes.
fn list_piece(text: &str) -> (usize, usize) {
    const KILOBYTES: [usize; 5] = [4, 8, 16, 32, 64];
    const SAFE_BYTES: usize = 8 * 1024;
    match text.parse::<i64>().unwrap_or(-2) {
        level @ ..0 => {
            let level = usize::try_from(level.unsigned_abs() - 1).unwrap_or(usize::MAX);
            (KILOBYTES[level.min(KILOBYTES.len() - 1)] * 1024, usize::MAX)
        }
        len => (SAFE_BYTES, usize::try_from(len).unwrap_or(usize::MAX).max(1)),
    }
}
