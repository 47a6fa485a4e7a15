//! Owns how a failing simulation is made small: acts are left out as long as the same property breaks.
//! Knows no property: whether it breaks, the run says.
//!
//! Leaving an act out changes all that chance decides after it, so that what is left is a failure of
//! its own and not a part of the first one. For the same reason, it is looked for under a few seeds.

use crate::{
    script::Script,
    simulate::{Options, simulate},
};
use slotbus_world::simulate::Act;

/// So many runs are tried.
const TRIES_MAX: usize = 200;
/// What is left of the acts is tried under so many seeds.
const SEEDS: u64 = 4;

/// A script with as few acts as were found to break the same property.
#[must_use]
pub fn shrunk(script: &Script) -> Script {
    let mut smallest = script.clone();
    let mut tries = TRIES_MAX;
    let mut share = 1;
    loop {
        let acts = smallest.options.acts.clone().unwrap_or_default();
        let size = acts.len().div_ceil(share).max(1);
        let rests = (0..acts.len()).step_by(size).map(|start| without(&acts, start, size));
        let seeds = (0..SEEDS).map(|step| smallest.options.seed.wrapping_add(step));
        let candidates = rests.flat_map(|acts| seeds.clone().map(move |seed| (seed, acts.clone())));
        let found =
            candidates.take(tries).inspect(|_| tries -= 1).find_map(|(seed, acts)| still_fails(&smallest, seed, acts));
        match found {
            Some(smaller) => smallest = smaller,
            None if size == 1 || tries == 0 => return smallest,
            None => share *= 2,
        }
    }
}

fn without(acts: &[(u64, Act)], start: usize, size: usize) -> Vec<(u64, Act)> {
    let end = (start + size).min(acts.len());
    [&acts[..start], &acts[end..]].concat()
}

/// The script of a run of this seed with these acts, if it breaks the same property.
fn still_fails(script: &Script, seed: u64, acts: Vec<(u64, Act)>) -> Option<Script> {
    let options = Options { seed, acts: Some(acts), ..script.options.clone() };
    let smaller = Script::of(&options, &simulate(&options));
    (smaller.breaks == script.breaks).then_some(smaller)
}
