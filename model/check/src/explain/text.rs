//! Owns a counterexample as numbered steps.

use crate::counterexample::{Counterexample, Holding, NodeTurn, Step};
use std::fmt::Write as _;

/// The steps, one numbered action after the other, with what nodes did about it; at the end, what
/// each host holds.
#[must_use]
pub fn text(counterexample: &Counterexample) -> String {
    let mut text = String::new();
    let mut held = counterexample.heading.hosts.clone();
    for (step, number) in counterexample.steps.iter().zip(1..) {
        if counterexample.heading.cycle_after == Some(number - 1) {
            text.push_str("-- from here on, again and again:\n");
        }
        let _ = writeln!(text, "{number}. {}", told(step));
        step.changes.iter().for_each(|change| renew(&mut held, change));
    }
    if counterexample.heading.cycle_after == Some(counterexample.steps.len()) {
        text.push_str("-- and there it stays for ever\n");
    }
    held.iter().flat_map(|holding| &holding.lines).for_each(|line| {
        let _ = writeln!(text, "{line}");
    });
    text
}

/// Puts in place what a host holds now.
pub(super) fn renew(held: &mut [Holding], change: &Holding) {
    held.iter_mut().filter(|holding| holding.host == change.host).for_each(|holding| holding.clone_from(change));
}

fn told(step: &Step) -> String {
    let mut text = step.action.clone();
    step.turns.iter().for_each(|turn| tell(&mut text, turn));
    step.breaks.iter().for_each(|broken| {
        let _ = write!(text, "\n    BREAKS {broken}");
    });
    text
}

fn tell(text: &mut String, turn: &NodeTurn) {
    let rules = if turn.rules.is_empty() { "no rule".into() } else { turn.rules.join(" ") };
    let _ = write!(text, "\n  {} {}: {rules}", turn.host, turn.cause);
    turn.effects.iter().for_each(|effect| {
        let _ = write!(text, "\n    {effect}");
    });
}
