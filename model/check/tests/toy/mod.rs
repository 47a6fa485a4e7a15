//! Graphs small enough to be written down and judged by eye.
#![allow(dead_code, reason = "each test file uses a part of it")]

use slotbus_check::{
    Findings, Limits, explore_graph,
    frontier::Whole,
    graph::{Class, ClassId, Course, Fairness, Graph, Labelling, Marks, ROUND},
};
use stateright::{Model, Property};

/// What the marks of a toy mean.
pub(crate) const GOAL: Marks = 2;
pub(crate) const TRIGGER: Marks = 4;

/// A graph by its edges, starting in 0.
#[derive(Clone, Debug, Default)]
pub(crate) struct Toy {
    pub(crate) edges: Vec<(u32, char, u32)>,
    pub(crate) goal: Vec<u32>,
    pub(crate) trigger: Vec<u32>,
    /// No state from here on is explored.
    pub(crate) boundary: Option<u32>,
}

impl Toy {
    /// Edges like `0a1`: from, class, to. A class in upper case is a fault.
    pub(crate) fn new(edges: &str, trigger: &[u32], goal: &[u32]) -> Self {
        let edge = |word: &str| {
            let (place, class) = word.char_indices().find(|(_, letter)| letter.is_alphabetic()).expect("a class");
            let number = |digits: &str| digits.parse().expect("a state");
            (number(&word[..place]), class, number(&word[place + 1..]))
        };
        let edges = edges.split_whitespace().map(edge).collect();
        Self { edges, goal: goal.to_vec(), trigger: trigger.to_vec(), boundary: None }
    }

    /// Its whole graph, with the fairness of everything but faults.
    pub(crate) fn graph(&self, fairness: Fairness) -> (Graph, Letters) {
        let letters = Letters::new(fairness);
        let (findings, graph): (Findings<_, _>, _) =
            explore_graph(self, &letters, Whole::default(), Limits::default(), &mut |_| ());
        assert_eq!(findings.edges, graph.edge_count());
        (graph, letters)
    }
}

impl Model for Toy {
    type State = u32;
    type Action = (char, u32);

    fn init_states(&self) -> Vec<u32> {
        vec![0]
    }

    fn actions(&self, state: &u32, actions: &mut Vec<(char, u32)>) {
        actions.extend(self.edges.iter().filter(|edge| edge.0 == *state).map(|edge| (edge.1, edge.2)));
    }

    fn next_state(&self, _: &u32, action: (char, u32)) -> Option<u32> {
        Some(action.1)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        Vec::new()
    }

    fn within_boundary(&self, state: &u32) -> bool {
        self.boundary.is_none_or(|boundary| *state < boundary)
    }
}

/// One class for each letter: a to z as asked, `t` also lets time pass, A to Z are faults.
pub(crate) struct Letters(Vec<Class>);

impl Letters {
    pub(crate) fn new(fairness: Fairness) -> Self {
        let class = |letter: char| match letter {
            't' => Class { name: letter.into(), fairness, course: Course::Tick },
            'a'..='z' => Class { name: letter.into(), fairness, course: Course::Calm },
            _ => Class { name: letter.into(), fairness: Fairness::Unfair, course: Course::Disturbance },
        };
        Self(('A'..='z').map(class).collect())
    }

    pub(crate) fn all(&self) -> &[Class] {
        &self.0
    }
}

impl Labelling<Toy> for Letters {
    fn classes(&self) -> &[Class] {
        &self.0
    }

    fn class(&self, _: &Toy, _: &u32, action: &(char, u32)) -> ClassId {
        action.0 as u8 - b'A'
    }

    fn marks(&self, toy: &Toy, state: &u32) -> Marks {
        let mark = |states: &[u32], mark| if states.contains(state) { mark } else { 0 };
        ROUND | mark(&toy.goal, GOAL) | mark(&toy.trigger, TRIGGER)
    }
}

/// A small sequence of numbers that look random.
pub(crate) struct Dice(pub(crate) u32);

impl Dice {
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) % bound
    }

    /// A graph of a few states, most of which can be left by few classes.
    pub(crate) fn toy(&mut self, states: u32, edges: u32) -> Toy {
        let edge = |dice: &mut Self| {
            let class = ['a', 'b', 'X'][dice.below(3) as usize];
            (dice.below(states), class, dice.below(states))
        };
        let edges = (0..edges).map(|_| edge(self)).collect();
        let goal = vec![self.below(states)];
        let trigger = vec![self.below(states), 0];
        Toy { edges, goal, trigger, boundary: None }
    }
}
