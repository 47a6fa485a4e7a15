//! Owns the search: breadth first, every state once, the shortest way to what is found. Knows no
//! protocol: it explores whatever is a [`Model`].
//!
//! States are known by 128-bit fingerprints and dropped once they are expanded; the way to one is
//! found again by walking the model. A run is exhausted only if its frontier ran empty.

use hashbrown::HashTable;
use slotbus_world::digest;
use stateright::{Expectation, Model, Property};
use std::{
    hash::Hash,
    time::{Duration, Instant},
};

/// States that one thread expands before what it found is merged.
const BATCH: usize = 256;
/// Marks a state without a parent: it was there from the start.
const ROOT: u32 = u32::MAX;

/// Where a search stops before it is done.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// After so many states.
    pub states_max: Option<usize>,
    /// After so long.
    pub time_max: Option<Duration>,
    /// Threads that expand states. The outcome does not depend on it.
    pub threads: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { states_max: None, time_max: None, threads: 1 }
    }
}

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Every reachable state was seen.
    Exhausted,
    /// A property was found violated; there may be more states.
    Violated,
    /// A limit was reached first.
    CutOff,
}

/// What is known about one property after a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds in every reachable state, or was reached.
    Holds,
    /// It does not hold in some reachable state, or is reached from nowhere.
    Violated,
    /// The search saw too little to say.
    Unknown,
}

/// One property and what is known about it.
#[derive(Clone, Debug)]
pub struct Judged<S, A> {
    /// Its name.
    pub name: &'static str,
    /// What is expected of it.
    pub expectation: Expectation,
    /// What is known.
    pub verdict: Verdict,
    /// The shortest way to the state that decided it.
    pub path: Option<Path<S, A>>,
}

/// A way through a model: where it starts, then each action with the state after it.
#[derive(Clone, Debug)]
pub struct Path<S, A> {
    /// Where it starts.
    pub start: S,
    /// What happened then.
    pub steps: Vec<(A, S)>,
}

/// What a search found.
#[derive(Clone, Debug)]
pub struct Findings<S, A> {
    /// Different states.
    pub states: usize,
    /// Steps between them; steps back to known states count.
    pub edges: usize,
    /// Steps to the farthest state.
    pub depth_max: usize,
    /// How long it took.
    pub elapsed: Duration,
    /// How it ended.
    pub ending: Ending,
    /// What is known about each property, in the model's order.
    pub judged: Vec<Judged<S, A>>,
}

/// How far a search has come.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Different states so far.
    pub states: usize,
    /// Steps so far.
    pub edges: usize,
    /// Steps to the states being expanded.
    pub depth: usize,
    /// States to be expanded.
    pub frontier: usize,
}

/// Searches `model` breadth first, until a property is violated, all is seen or a limit is reached.
pub fn explore<M>(model: &M, limits: Limits, progress: &mut dyn FnMut(Progress)) -> Findings<M::State, M::Action>
where
    M: Model + Sync,
    M::State: Hash + Clone + Send + Sync,
    M::Action: Clone + Send,
{
    let mut search = Search::new(model, limits);
    let ending = search.run(progress);
    search.findings(ending)
}

/// Every state seen, by fingerprint, with the state that it was first reached from.
#[derive(Default)]
struct Visited {
    table: HashTable<u32>,
    fingerprints: Vec<u128>,
    parents: Vec<u32>,
}

/// Fingerprints are digests: any part of one is as good a hash as another.
fn hash_of(fingerprint: u128) -> u64 {
    (fingerprint >> 64) as u64
}

impl Visited {
    fn contains(&self, fingerprint: u128) -> bool {
        let is_same = |&index: &u32| self.fingerprints[index as usize] == fingerprint;
        self.table.find(hash_of(fingerprint), is_same).is_some()
    }

    /// Adds a state; none if it was there, or there is no number left for it.
    fn insert(&mut self, fingerprint: u128, parent: u32) -> Option<u32> {
        let index = u32::try_from(self.fingerprints.len()).ok().filter(|&index| index != ROOT)?;
        if self.contains(fingerprint) {
            return None;
        }
        let fingerprints = &mut self.fingerprints;
        fingerprints.push(fingerprint);
        self.parents.push(parent);
        self.table.insert_unique(hash_of(fingerprint), index, |&index| hash_of(fingerprints[index as usize]));
        Some(index)
    }

    /// The fingerprints on the way to a state, from the start.
    fn way_to(&self, index: u32) -> Vec<u128> {
        let parent = |&index: &u32| Some(self.parents[index as usize]).filter(|&parent| parent != ROOT);
        let mut way: Vec<u128> =
            std::iter::successors(Some(index), parent).map(|index| self.fingerprints[index as usize]).collect();
        way.reverse();
        way
    }
}

/// A state that was reached from `parent`.
struct Reached<S> {
    parent: u32,
    fingerprint: u128,
    /// The state with the properties that it decides; none if it was known already.
    news: Option<(S, Vec<usize>)>,
}

struct Search<'a, M: Model> {
    model: &'a M,
    limits: Limits,
    started: Instant,
    properties: Vec<Property<M>>,
    /// By property: the state that decided it.
    decided: Vec<Option<u32>>,
    visited: Visited,
    edges: usize,
    depth: usize,
}

impl<'a, M> Search<'a, M>
where
    M: Model + Sync,
    M::State: Hash + Clone + Send + Sync,
    M::Action: Clone + Send,
{
    fn new(model: &'a M, limits: Limits) -> Self {
        let properties = model.properties();
        let decided = vec![None; properties.len()];
        let started = Instant::now();
        Self { model, limits, started, properties, decided, visited: Visited::default(), edges: 0, depth: 0 }
    }

    fn run(&mut self, progress: &mut dyn FnMut(Progress)) -> Ending {
        let mut frontier = Vec::new();
        let starts = self.model.init_states().into_iter().map(|state| self.reached(ROOT, state)).collect();
        self.merge(starts, &mut frontier);
        while !frontier.is_empty() {
            let mut next = Vec::new();
            for batch in frontier.chunks(BATCH * self.limits.threads.max(1)) {
                if let Some(ending) = self.ending() {
                    return ending;
                }
                let reached = self.expand(batch);
                self.edges += reached.len();
                self.merge(reached, &mut next);
                let (states, edges) = (self.visited.fingerprints.len(), self.edges);
                progress(Progress { states, edges, depth: self.depth, frontier: next.len() });
            }
            self.depth += usize::from(!next.is_empty());
            frontier = next;
        }
        if self.is_violated() { Ending::Violated } else { Ending::Exhausted }
    }

    fn ending(&self) -> Option<Ending> {
        let is_full = self.limits.states_max.is_some_and(|max| self.visited.fingerprints.len() >= max)
            || self.visited.fingerprints.len() >= ROOT as usize;
        let is_late = self.limits.time_max.is_some_and(|max| self.started.elapsed() >= max);
        if self.is_violated() { Some(Ending::Violated) } else { (is_full || is_late).then_some(Ending::CutOff) }
    }

    fn is_violated(&self) -> bool {
        let mut judged = self.properties.iter().zip(&self.decided);
        judged.any(|(property, decided)| matches!(property.expectation, Expectation::Always) && decided.is_some())
    }

    fn expand(&self, batch: &[(u32, M::State)]) -> Vec<Reached<M::State>> {
        if self.limits.threads <= 1 {
            return self.expand_part(batch);
        }
        std::thread::scope(|scope| {
            let parts = batch.chunks(BATCH).map(|part| scope.spawn(|| self.expand_part(part)));
            let parts: Vec<_> = parts.collect();
            // A panic of the model is a panic of the search.
            parts
                .into_iter()
                .flat_map(|part| part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        })
    }

    fn expand_part(&self, part: &[(u32, M::State)]) -> Vec<Reached<M::State>> {
        let steps = |(index, state): &(u32, M::State)| {
            let index = *index;
            self.model.next_steps(state).into_iter().map(move |(_, state)| (index, state))
        };
        let within = |(_, state): &(u32, M::State)| self.model.within_boundary(state);
        part.iter().flat_map(steps).filter(within).map(|(parent, state)| self.reached(parent, state)).collect()
    }

    fn reached(&self, parent: u32, state: M::State) -> Reached<M::State> {
        let fingerprint = digest(&state);
        let news = (!self.visited.contains(fingerprint)).then(|| {
            let decides = self.decides(&state);
            (state, decides)
        });
        Reached { parent, fingerprint, news }
    }

    /// The open properties that a state decides.
    fn decides(&self, state: &M::State) -> Vec<usize> {
        let open = self.properties.iter().enumerate().filter(|(index, _)| self.decided[*index].is_none());
        let deciding = open.filter(|(_, property)| {
            let holds = (property.condition)(self.model, state);
            match property.expectation {
                Expectation::Always => !holds,
                Expectation::Sometimes => holds,
                // Nothing that a single state shows decides it.
                Expectation::Eventually => false,
            }
        });
        deciding.map(|(index, _)| index).collect()
    }

    fn merge(&mut self, reached: Vec<Reached<M::State>>, next: &mut Vec<(u32, M::State)>) {
        for Reached { parent, fingerprint, news } in reached {
            let Some((state, decides)) = news else { continue };
            let Some(index) = self.visited.insert(fingerprint, parent) else { continue };
            for property in decides {
                self.decided[property].get_or_insert(index);
            }
            next.push((index, state));
        }
    }

    fn findings(self, ending: Ending) -> Findings<M::State, M::Action> {
        let elapsed = self.started.elapsed();
        let judged = self.properties.iter().zip(&self.decided).map(|(property, decided)| Judged {
            name: property.name,
            expectation: property.expectation.clone(),
            verdict: verdict(&property.expectation, decided.is_some(), ending),
            path: decided.map(|index| self.walk(&self.visited.way_to(index))),
        });
        let judged = judged.collect();
        Findings {
            states: self.visited.fingerprints.len(),
            edges: self.edges,
            depth_max: self.depth,
            elapsed,
            ending,
            judged,
        }
    }

    /// Walks the model along fingerprints that it was found to pass.
    fn walk(&self, way: &[u128]) -> Path<M::State, M::Action> {
        let mut way = way.iter();
        let first = way.next().copied().unwrap_or_default();
        let starts = self.model.init_states();
        let Some(start) = starts.into_iter().find(|state| digest(state) == first) else {
            unreachable!("the model does not start where it did before: it is not deterministic");
        };
        let mut path = Path { start, steps: Vec::new() };
        for &fingerprint in way {
            let last = path.steps.last().map_or(&path.start, |(_, state)| state);
            let step = self.model.next_steps(last).into_iter().find(|(_, state)| digest(state) == fingerprint);
            let Some(step) = step else {
                unreachable!("the model does not step where it did before: it is not deterministic");
            };
            path.steps.push(step);
        }
        path
    }
}

/// What a search that ended so says of a property that it found decided by a state, or not.
pub(crate) fn verdict(expectation: &Expectation, is_decided: bool, ending: Ending) -> Verdict {
    let is_exhausted = ending == Ending::Exhausted;
    match expectation {
        Expectation::Always if is_decided => Verdict::Violated,
        Expectation::Sometimes if is_decided => Verdict::Holds,
        Expectation::Always if is_exhausted => Verdict::Holds,
        Expectation::Sometimes if is_exhausted => Verdict::Violated,
        Expectation::Always | Expectation::Sometimes | Expectation::Eventually => Verdict::Unknown,
    }
}
