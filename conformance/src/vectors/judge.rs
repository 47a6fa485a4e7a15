//! Owns the comparison of what was seen with what was expected, as far as a level shows it. Knows nothing
//! of how either came to be.

use super::{
    mask,
    packed::Packed,
    vector::{Effect, Expect, Level},
};
use serde::Serialize;
use serde_json::Value;

/// Where something differs: a path, what was expected there, and what was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The step, counted from 0; none for the start.
    pub step: Option<usize>,
    /// Which part of what is expected.
    pub place: String,
    /// What was expected there.
    pub expected: String,
    /// What was seen there.
    pub seen: String,
}

/// Compares all that the model shows at a level.
pub(super) fn compare(level: Level, step: Option<usize>, expected: &Expect, seen: &Expect) -> Option<Difference> {
    let seen = Expect { live: expected.live.clone(), ..seen.clone() };
    let shown = |expect: &Expect| match level {
        Level::L2 => expect.clone(),
        Level::L1 => Expect { effects: replies(expect), state: lines(expect), ..Expect::default() },
        Level::L0 => Expect { effects: packets(expect), ..Expect::default() },
    };
    let (expected, seen) = (shown(expected), shown(&seen));
    (expected != seen).then(|| first(step, &expected, &seen))
}

/// The packets, without what an implementation may choose.
fn packets(expect: &Expect) -> Vec<Effect> {
    let shown = |effect: &Effect| {
        if let Effect::Send { link, packet } = effect {
            let packet = Packed(mask::masked(&packet.0, &mask::of(&packet.0)));
            return Some(Effect::Send { link: *link, packet });
        }
        matches!(effect, Effect::Connect { .. } | Effect::Close(_)).then(|| effect.clone())
    };
    expect.effects.iter().filter_map(shown).collect()
}

fn replies(expect: &Expect) -> Vec<Effect> {
    let replies = expect.effects.iter().filter(|effect| matches!(effect, Effect::Reply(_) | Effect::Deliver { .. }));
    packets(expect).into_iter().chain(replies.cloned()).collect()
}

/// The entries of the state that CLUSTER NODES shows.
fn lines(expect: &Expect) -> super::vector::Delta {
    expect
        .state
        .iter()
        .filter(|(name, _)| name.starts_with("node "))
        .map(|(name, line)| (name.clone(), line.clone()))
        .collect()
}

fn first(step: Option<usize>, expected: &Expect, seen: &Expect) -> Difference {
    let value = |expect| serde_json::to_value(expect).unwrap_or(Value::Null);
    let mut place = String::new();
    let (expected, seen) = crate::verify::first_difference(&value(expected), &value(seen), &mut place);
    Difference { step, place: place.trim_start_matches('.').to_owned(), expected, seen }
}
