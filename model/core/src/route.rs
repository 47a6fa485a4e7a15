//! Owns the way from a key to its slot. Knows no owner: that is the node's table.

use crate::slots::Slot;

/// The part of a key that is hashed: what stands between the first `{` and the next `}` after it,
/// if that is not empty, else the whole key.
#[must_use]
pub fn hash_tag(key: &[u8]) -> &[u8] {
    let Some(open) = key.iter().position(|&byte| byte == b'{') else { return key };
    let rest = &key[open + 1..];
    match rest.iter().position(|&byte| byte == b'}') {
        None | Some(0) => key,
        Some(close) => &rest[..close],
    }
}

/// The slot of a key, in a cluster of 16384 slots.
#[must_use]
pub fn key_slot(key: &[u8]) -> Slot {
    Slot(crc16::State::<crc16::XMODEM>::calculate(hash_tag(key)) & 0x3fff)
}

#[cfg(test)]
mod tests {
    use super::{hash_tag, key_slot};

    #[test]
    fn keys_hash_as_the_cluster_specification_says() {
        assert_eq!(key_slot(b"").0, 0);
        assert_eq!(key_slot(b"123456789").0, 0x31c3);
        assert_eq!(key_slot(b"foo").0, 12182);
        assert_eq!(key_slot(b"{foo}.bar"), key_slot(b"foo"));
    }

    #[test]
    fn only_a_first_closed_and_filled_tag_counts() {
        for (key, tag) in [
            ("{user1000}.following", "user1000"),
            ("foo{}{bar}", "foo{}{bar}"),
            ("foo{{bar}}zap", "{bar"),
            ("foo{bar}{zap}", "bar"),
            ("foo{bar", "foo{bar"),
            ("}{a}", "a"),
        ] {
            assert_eq!(hash_tag(key.as_bytes()), tag.as_bytes(), "{key}");
        }
    }
}
