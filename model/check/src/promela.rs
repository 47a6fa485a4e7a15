//! Owns a small graph as a model for the `spin` checker, so that somebody else answers our questions.
//! Knows no protocol.

use crate::{
    graph::{Class, ClassId, Fairness, Graph, Marks},
    liveness::{Classes, Fair},
};
use std::fmt::Write as _;

/// The graph as one process that takes any edge or stays, and whether `trigger` leads to `goal` in
/// every fair run as a claim called `answer`.
#[must_use]
pub fn promela(graph: &Graph, classes: &[Class], trigger: Marks, goal: Marks) -> String {
    let fair = Fair::new(graph, classes);
    let start = graph.initial().next().unwrap_or_default();
    let mut text =
        format!("int s = {start};\n/* The class of the last step, from 1; 0 for none. */\nshort last = 0;\n");
    let marked = |marks| graph.states().filter(move |&state| graph.is_marked(state, marks));
    define(&mut text, "trigger", marked(trigger));
    define(&mut text, "goal", marked(goal));
    let used: Classes = graph.states().flat_map(|state| graph.moves(state)).map(|(class, _)| class).collect();
    for class in used.iter() {
        let is_possible = |&state: &u32| fair.possible(state).contains(class);
        define(&mut text, &format!("possible_{class}"), graph.states().filter(is_possible));
        let _ = writeln!(text, "#define taken_{class} (last == {})", u16::from(class) + 1);
    }
    text.push_str("active proctype graph() {\n    do\n    :: d_step { last = 0 }\n");
    for state in graph.states() {
        for (class, target) in graph.moves(state) {
            let number = u16::from(class) + 1;
            let _ = writeln!(text, "    :: d_step {{ s == {state}; s = {target}; last = {number} }}");
        }
    }
    text.push_str("    od\n}\n");
    let assumed = used.iter().filter_map(|class| assumption(classes, class));
    let assumed: String = assumed.map(|assumption| format!("({assumption}) && ")).collect();
    let _ = writeln!(text, "ltl answer {{ ({assumed}true) -> [] (trigger -> <> goal) }}");
    text
}

fn define(text: &mut String, name: &str, states: impl Iterator<Item = u32>) {
    let states: String = states.map(|state| format!("s == {state} || ")).collect();
    let _ = writeln!(text, "#define {name} ({states}false)");
}

fn assumption(classes: &[Class], class: ClassId) -> Option<String> {
    match classes[usize::from(class)].fairness {
        Fairness::Unfair => None,
        Fairness::Weak => Some(format!("[] <> (!possible_{class} || taken_{class})")),
        Fairness::Strong => Some(format!("([] <> possible_{class}) -> ([] <> taken_{class})")),
    }
}
