//! Values that inputs and traces bring: ids in their text form, the dice of a step, profiles.

use slotbus_core::{NodeId, Profile, Random};
use std::collections::BTreeSet;

#[test]
fn an_id_is_written_and_read_again_and_no_other_text_is_read() {
    let id = NodeId([0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0, 255, 16, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    let text = id.to_text();
    assert_eq!(NodeId::from_text(&text), Ok(id));
    for place in 0..text.len() {
        for other in [b'g', b'A', b'/', b' ', 0, 0xff] {
            let mut changed = text;
            changed[place] = other;
            assert!(NodeId::from_text(&changed).is_err(), "{:?} at {place}", char::from(other));
        }
    }
    assert!(NodeId::from_text(&text[1..]).is_err());
}

/// So that a world can go through all that chance may bring.
#[test]
fn words_from_zero_on_meet_every_outcome_once() {
    let mut seen = BTreeSet::new();
    for word in 0..31 {
        let mut random = Random::new(word);
        let drawn = [3, 1, 2, 5].map(|below| random.below(below));
        assert_eq!(random.outcomes(), 30);
        assert_eq!(random.is_spent(), word < 30, "{word}");
        assert_eq!(seen.insert(drawn), word < 30, "{word}: {drawn:?}");
    }
}

/// A word has so many digits; what is drawn beyond them still depends on the word.
#[test]
fn a_word_that_is_used_up_goes_on_by_chance() {
    let draw = |word| {
        let mut random = Random::new(word);
        let drawn = [1000; 7].map(|below| random.below(below));
        assert!(random.stretched() && !random.is_spent());
        drawn[4..].to_vec()
    };
    let words = (1..=100_u64).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let drawn: BTreeSet<_> = words.map(draw).collect();
    assert!(drawn.len() > 90, "{} outcomes of 100 words", drawn.len());
}

#[test]
fn a_variant_that_a_trace_does_not_name_is_off_and_an_unknown_one_is_refused() {
    let mut flags = serde_json::to_value(Profile::SLOTBUS).expect("an object");
    let named = flags.as_object_mut().expect("flags by name");
    assert_eq!(named.remove("election_called_off"), Some(true.into()));
    let read: Profile = serde_json::from_value(flags.clone()).expect("a profile");
    assert_eq!(read, Profile { election_called_off: false, ..Profile::SLOTBUS });
    flags["of_a_later_version"] = true.into();
    assert!(serde_json::from_value::<Profile>(flags).is_err());
}
