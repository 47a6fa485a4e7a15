//! Owns the helpers that need no running node: the slot of a key, and a hash tag for a slot.

use slotbus_core::{CLUSTER_SLOTS, Slot, route::key_slot};
use std::collections::BTreeMap;

const TAG_LETTERS: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";
/// Every slot has a tag of so many letters; a test says so.
const TAG_LENGTH_MAX: usize = 4;

/// One line per key: its slot and the key.
#[must_use]
pub fn slots_of(keys: &[String]) -> String {
    keys.iter().map(|key| format!("{} {key}\n", key_slot(key.as_bytes()))).collect()
}

/// One line per slot: the slot and the shortest tag that maps to it, of several the first.
pub fn tags_for(slots: &[String]) -> Result<String, String> {
    let slots: Vec<Slot> = slots.iter().map(|text| parse_slot(text)).collect::<Result<_, _>>()?;
    let mut tags: BTreeMap<Slot, Option<String>> = slots.iter().map(|&slot| (slot, None)).collect();
    let mut missing = tags.len();
    for tag in (1..=TAG_LENGTH_MAX).flat_map(tags_of_length) {
        if missing == 0 {
            break;
        }
        if let Some(place @ None) = tags.get_mut(&key_slot(tag.as_bytes())) {
            *place = Some(tag);
            missing -= 1;
        }
    }
    let tag = |slot| tags.get(slot).cloned().flatten().unwrap_or_default();
    Ok(slots.iter().map(|slot| format!("{slot} {}\n", tag(slot))).collect())
}

fn parse_slot(text: &str) -> Result<Slot, String> {
    let number = text.parse::<u16>().ok().filter(|&number| usize::from(number) < CLUSTER_SLOTS);
    number.map(Slot).ok_or_else(|| format!("'{text}' is no slot: a slot is a number from 0 to {}", CLUSTER_SLOTS - 1))
}

/// All tags of a length, in alphabetical order.
fn tags_of_length(length: usize) -> impl Iterator<Item = String> {
    let base = TAG_LETTERS.len();
    let count = (0..length).fold(1, |count, _| count * base);
    (0..count).map(move |number| {
        let digits = (0..length).rev().map(|place| number / (0..place).fold(1, |weight, _| weight * base) % base);
        digits.map(|digit| char::from(TAG_LETTERS[digit])).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::{slots_of, tags_for};
    use slotbus_core::route::key_slot;

    #[test]
    fn keys_are_shown_with_their_slots() {
        assert_eq!(slots_of(&["foo".into(), "{foo}bar".into()]), "12182 foo\n12182 {foo}bar\n");
    }

    #[test]
    fn every_slot_has_a_short_tag() {
        let slots: Vec<String> = (0..16384).map(|slot: u16| slot.to_string()).collect();
        let tags = tags_for(&slots).unwrap();
        assert_eq!(tags.lines().count(), 16384);
        for line in tags.lines() {
            let (slot, tag) = line.split_once(' ').unwrap();
            assert_eq!(key_slot(format!("{{{tag}}}key").as_bytes()).to_string(), slot, "{line}");
            assert!((1..=4).contains(&tag.len()), "{line}");
        }
    }

    #[test]
    fn what_is_no_slot_is_named() {
        for text in ["16384", "-1", "x", ""] {
            let message = tags_for(&[text.into()]).unwrap_err();
            assert!(message.contains(&format!("'{text}'")), "{message}");
        }
    }
}
