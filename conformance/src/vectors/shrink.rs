//! Owns how runs become short: whatever is not needed for the point of a run is left out. Knows points
//! only as features.

use super::{
    Input, Node,
    explore::{Feature, Run, in_order, shown_by},
    situations::Situation,
};
use slotbus_core::{Profile, Rule, step};

/// The inputs of a run, its situation's preamble among them, without those that its point does not need,
/// and how many of them belong to the preamble.
pub(super) fn shrink(situation: &Situation, run: &Run, profile: Profile) -> (Vec<Input>, usize) {
    let mut inputs: Vec<Input> = situation.preamble.iter().chain(&run.inputs).cloned().collect();
    let mut preamble = situation.preamble.len();
    let Ok(start) = situation.start(profile) else { return (inputs, preamble) };
    let first: Vec<Feature> = run.shows.iter().copied().filter(|feature| feature.is_first()).collect();
    let wanted = if first.is_empty() { &run.shows } else { &first };
    let shows = |inputs: &[Input]| {
        let shown = point(&start, inputs);
        wanted.iter().all(|feature| shown.binary_search(feature).is_ok())
    };
    // The whole preamble first: most points need none of it.
    if preamble > 0 && shows(&inputs[preamble..]) {
        inputs.drain(..preamble);
        preamble = 0;
    }
    let mut index = inputs.len().saturating_sub(1);
    while index > 0 {
        index -= 1;
        let dropped = inputs.remove(index);
        if shows(&inputs) {
            preamble -= usize::from(index < preamble);
        } else {
            inputs.insert(index, dropped);
        }
    }
    (inputs, preamble)
}

/// What the last step of a run shows.
fn point(start: &Node, inputs: &[Input]) -> Vec<Feature> {
    let mut node = start.clone();
    let mut last: Option<Rule> = None;
    let Some((end, lead)) = inputs.split_last() else { return Vec::new() };
    for input in lead {
        last = step(&mut node, input.clone()).rules.last().copied();
    }
    let (_, mut shown) = shown_by(&mut node, last, end.clone());
    in_order(&mut shown);
    shown
}
