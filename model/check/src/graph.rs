//! Owns the labelled graph of an exploration: which state leads to which by an action of which
//! class, in flat lists. Knows no state's inside and asks no question.
//!
//! States are numbers in the order in which they were found, so that every state before the frontier
//! has its edges, and the edges of one state lie together. A state costs its fingerprint, a parent,
//! an offset and its marks; an edge costs a class and a target.

use crate::chunks::Chunks;
use stateright::Model;

/// A state that has no parent: it was there from the start.
pub(crate) const ROOT: u32 = u32::MAX;

/// A class of actions, by its place in the labelling's list.
pub type ClassId = u8;

/// What is assumed of a class of actions: when it must be taken in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fairness {
    /// Never: faults, and what nobody is bound to do.
    Unfair,
    /// When it stays possible for ever.
    Weak,
    /// When it is possible again and again.
    Strong,
}

/// What a class of actions means for time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// Things take their course.
    Calm,
    /// Things take their course, and time passes.
    Tick,
    /// Somebody interferes: a fault, a repair, a command.
    Disturbance,
}

/// One class of actions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// Its name in reports.
    pub name: String,
    /// What is assumed of it.
    pub fairness: Fairness,
    /// What it means for time.
    pub course: Course,
}

/// What holds in a state, as bits; what each means is the labelling's business.
pub type Marks = u16;

/// The one mark with a meaning of its own: a tick that leads here completes a unit of time.
pub const ROUND: Marks = 1;

/// What an exploration writes on the edges and states of its graph.
pub trait Labelling<M: Model>: Sync {
    /// Every class of actions.
    fn classes(&self) -> &[Class];
    /// The class of an action that is possible in a state.
    fn class(&self, model: &M, state: &M::State, action: &M::Action) -> ClassId;
    /// What holds in a state.
    fn marks(&self, model: &M, state: &M::State) -> Marks;
}

/// A labelled graph of states.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    pub(crate) fingerprints: Chunks<u128>,
    pub(crate) parents: Chunks<u32>,
    pub(crate) marks: Chunks<Marks>,
    /// By state: where its edges begin; one more at the end.
    starts: Chunks<u32>,
    labels: Chunks<ClassId>,
    targets: Chunks<u32>,
    /// Whether every reachable state is in it, with every edge.
    pub(crate) is_whole: bool,
}

impl Graph {
    /// Whether every reachable state is in it, with every edge: neither a limit nor a boundary of the
    /// model kept any out.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// How many states there are.
    #[must_use]
    pub fn state_count(&self) -> u32 {
        u32::try_from(self.fingerprints.len()).unwrap_or(u32::MAX)
    }

    /// How many edges there are.
    #[must_use]
    pub fn edge_count(&self) -> usize {
        self.targets.len()
    }

    /// Every state.
    pub fn states(&self) -> std::ops::Range<u32> {
        0..self.state_count()
    }

    /// The states that were there from the start.
    pub fn initial(&self) -> impl Iterator<Item = u32> {
        self.states().take_while(|&state| self.parents[state as usize] == ROOT)
    }

    /// What holds in a state.
    #[must_use]
    pub fn marks(&self, state: u32) -> Marks {
        self.marks[state as usize]
    }

    /// Whether all of `marks` hold in a state.
    #[must_use]
    pub fn is_marked(&self, state: u32, marks: Marks) -> bool {
        self.marks(state) & marks == marks
    }

    /// The fingerprint of a state.
    #[must_use]
    pub fn fingerprint(&self, state: u32) -> u128 {
        self.fingerprints[state as usize]
    }

    /// The edges of a state, each by its class and its target.
    pub fn edges(&self, state: u32) -> impl Iterator<Item = (ClassId, u32)> {
        self.run(state).map(|index| (self.labels[index], self.targets[index]))
    }

    /// The edges of a state that change it.
    pub fn moves(&self, state: u32) -> impl Iterator<Item = (ClassId, u32)> {
        self.edges(state).filter(move |&(_, target)| target != state)
    }

    /// One of a state's edges, by its place among them; none if there is no such.
    pub(crate) fn edge(&self, state: u32, place: u32) -> Option<(ClassId, u32)> {
        let run = self.run(state);
        let index = run.start + place as usize;
        (index < run.end).then(|| (self.labels[index], self.targets[index]))
    }

    fn run(&self, state: u32) -> std::ops::Range<usize> {
        let start = |state: usize| self.starts.get(state).map_or(self.targets.len(), |&start| start as usize);
        start(state as usize)..start(state as usize + 1)
    }

    /// The states on the shortest way to a state, from the start.
    #[must_use]
    pub fn way_to(&self, state: u32) -> Vec<u32> {
        let parent = |&state: &u32| Some(self.parents[state as usize]).filter(|&parent| parent != ROOT);
        let mut way: Vec<u32> = std::iter::successors(Some(state), parent).collect();
        way.reverse();
        way
    }

    /// Adds an edge. The edges of one state come together, states in their order.
    pub(crate) fn connect(&mut self, from: u32, class: ClassId, to: u32) {
        self.begin(from);
        self.labels.push(class);
        self.targets.push(to);
    }

    /// What is added from here on belongs to `state` or to a later one.
    pub(crate) fn begin(&mut self, state: u32) {
        let start = u32::try_from(self.targets.len()).unwrap_or(u32::MAX);
        while self.starts.len() <= state as usize {
            self.starts.push(start);
        }
    }

    /// Whether there is no number left for another edge.
    pub(crate) fn is_full(&self) -> bool {
        self.targets.len() >= u32::MAX as usize
    }

    /// How many bytes the states take, and the edges, without what vectors hold in reserve.
    #[must_use]
    pub fn bytes(&self) -> (usize, usize) {
        let per_state = size_of::<u128>() + 2 * size_of::<u32>() + size_of::<Marks>();
        let per_edge = size_of::<u32>() + size_of::<ClassId>();
        (self.fingerprints.len() * per_state, self.targets.len() * per_edge)
    }
}

/// A part of a graph: some of its states, and of the edges between these the ones of some classes.
/// Edges that lead back to their own state are no part of it.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The whole.
    pub graph: &'a Graph,
    /// Which states are part of it.
    pub keeps: &'a dyn Fn(u32) -> bool,
    /// Which classes are.
    pub follows: &'a dyn Fn(ClassId) -> bool,
}

impl View<'_> {
    /// One of a state's edges, by its place among all of them: whether it is a part, and where it leads.
    pub(crate) fn edge(&self, state: u32, place: u32) -> Option<(bool, u32)> {
        let (class, target) = self.graph.edge(state, place)?;
        Some((target != state && (self.follows)(class) && (self.keeps)(target), target))
    }

    /// The edges of a state that are part of it.
    pub fn moves(&self, state: u32) -> impl Iterator<Item = (ClassId, u32)> {
        self.graph.moves(state).filter(|&(class, target)| (self.follows)(class) && (self.keeps)(target))
    }
}
