//! Owns how much memory a piece of data takes: what was asked for, and what the allocator adds.
//!
//! Must not know what the data are.

/// What an allocation of so many bytes takes from the heap.
#[must_use]
pub fn heap_bytes(asked: usize) -> usize {
    const GRAIN: usize = 16;
    const HEAD: usize = 8;
    const LEAST: usize = 32;
    if asked == 0 { 0 } else { (asked + HEAD).next_multiple_of(GRAIN).max(LEAST) }
}

/// What a table of so many places, each of so many bytes, takes beside what its entries point to:
/// the entries, their hashes, and the index.
#[must_use]
pub fn table_bytes(places: usize, entry_bytes: usize) -> usize {
    const HASH_BYTES: usize = 8;
    const INDEX_BYTES: usize = 9;
    heap_bytes(places * (entry_bytes + HASH_BYTES)) + heap_bytes(places * 8 / 7 * INDEX_BYTES)
}
