//! Owns a counterexample as a Mermaid sequence diagram.

use crate::counterexample::{Counterexample, NodeTurn, Step};
use std::fmt::Write as _;

/// The diagram: hosts as participants, received messages as arrows, all else as notes.
#[must_use]
pub fn mermaid(counterexample: &Counterexample) -> String {
    let mut text = String::from("sequenceDiagram\n");
    let hosts: Vec<&str> = counterexample.hosts().collect();
    let all = [hosts.first(), hosts.last()].into_iter().flatten().copied().collect::<Vec<_>>().join(",");
    hosts.iter().for_each(|host| {
        let _ = writeln!(text, "    participant {host}");
    });
    let cycle_after = counterexample.heading.cycle_after;
    for (step, number) in counterexample.steps.iter().zip(1..) {
        if cycle_after == Some(number - 1) {
            text.push_str("    loop for ever\n");
        }
        draw(&mut text, step, number, &all);
    }
    match cycle_after {
        Some(after) if after < counterexample.steps.len() => text.push_str("    end\n"),
        Some(_) => {
            let _ = writeln!(text, "    note over {all}: stays so for ever");
        }
        None => {}
    }
    text
}

fn draw(text: &mut String, step: &Step, number: usize, all: &str) {
    if step.turns.is_empty() {
        let _ = writeln!(text, "    note over {all}: {number}. {}", escaped(&step.action));
    }
    step.turns.iter().for_each(|turn| draw_turn(text, turn, number));
    step.breaks.iter().for_each(|broken| {
        let _ = writeln!(text, "    note over {all}: BREAKS {}", escaped(broken));
    });
}

fn draw_turn(text: &mut String, turn: &NodeTurn, number: usize) {
    let (host, rules) = (escaped(&turn.host), escaped(&turn.rules.join(" ")));
    let _ = match (&turn.from, &turn.message) {
        (Some(from), Some(message)) => {
            let (from, message) = (escaped(from), escaped(message));
            writeln!(text, "    {from}->>{host}: {number}. {message} {rules}")
        }
        (None, _) | (_, None) => writeln!(text, "    note over {host}: {number}. {} {rules}", escaped(&turn.cause)),
    };
}

/// Without the characters that end a statement or a line, or begin an entity.
fn escaped(text: &str) -> String {
    text.replace(';', ",").replace('#', "#35;").replace(char::is_control, " ")
}
