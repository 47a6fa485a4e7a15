//! Owns the search: breadth first, every state once, the shortest way to what is found. Knows no
//! protocol: it explores whatever is a [`Model`].
//!
//! States are known by 128-bit fingerprints and dropped once they are expanded; the way to one is
//! found again by walking the model. A run is exhausted only if its frontier ran empty. Edges are
//! kept only for who asks for the graph.

use crate::{
    frontier::{Frontier, Whole},
    graph::{ClassId, Graph, Labelling, Marks, ROOT},
};
use hashbrown::HashTable;
use slotbus_world::digest;
use stateright::{Expectation, Model, Property};
use std::{
    hash::Hash,
    ops::Range,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

/// States that one thread expands before what it found is merged.
const BATCH: usize = 256;

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
    search_whole(model, Whole::default(), limits, None, progress).0
}

/// Searches like [`explore`](fn@explore), keeping states in a frontier of the caller's.
pub fn explore_in<M, F>(
    model: &M,
    frontier: F,
    limits: Limits,
    progress: &mut dyn FnMut(Progress),
) -> Findings<M::State, M::Action>
where
    M: Model + Sync,
    M::State: Hash + Clone + Send + Sync,
    M::Action: Clone + Send,
    F: Frontier<M::State>,
{
    search_whole(model, frontier, limits, None, progress).0
}

/// Searches like [`explore`](fn@explore), and keeps the labelled graph of what it saw.
pub fn explore_graph<M>(
    model: &M,
    labelling: &impl Labelling<M>,
    frontier: impl Frontier<M::State>,
    limits: Limits,
    progress: &mut dyn FnMut(Progress),
) -> (Findings<M::State, M::Action>, Graph)
where
    M: Model + Sync,
    M::State: Hash + Clone + Send + Sync,
    M::Action: Clone + Send,
{
    let class = |state: &M::State, action: &M::Action| labelling.class(model, state, action);
    let marks = |state: &M::State| labelling.marks(model, state);
    search_whole(model, frontier, limits, Some(Recorder { class: &class, marks: &marks }), progress)
}

fn search_whole<M, F>(
    model: &M,
    frontier: F,
    limits: Limits,
    recorder: Option<Recorder<'_, M>>,
    progress: &mut dyn FnMut(Progress),
) -> (Findings<M::State, M::Action>, Graph)
where
    M: Model + Sync,
    M::State: Hash + Clone + Send + Sync,
    M::Action: Clone + Send,
    F: Frontier<M::State>,
{
    let mut search = Search::new(model, frontier, limits, recorder);
    let ending = search.run(progress);
    search.findings(ending)
}

/// What is written on the graph: a class on each edge, marks on each state.
struct Recorder<'a, M: Model> {
    class: &'a (dyn Fn(&M::State, &M::Action) -> ClassId + Sync),
    marks: &'a (dyn Fn(&M::State) -> Marks + Sync),
}

/// Every state seen, by fingerprint, with the state that it was first reached from.
#[derive(Default)]
struct Visited {
    /// States by fingerprint, in many small tables: each grows for itself.
    tables: [HashTable<u32>; 32],
    graph: Graph,
}

/// Fingerprints are digests: any part of one is as good a hash as another.
fn hash_of(fingerprint: u128) -> u64 {
    (fingerprint >> 64) as u64
}

/// The table of a fingerprint, by another part of it.
fn table_of(fingerprint: u128, tables: usize) -> usize {
    fingerprint as usize % tables
}

impl Visited {
    fn len(&self) -> usize {
        self.graph.fingerprints.len()
    }

    fn find(&self, fingerprint: u128) -> Option<u32> {
        let is_same = |&index: &u32| self.graph.fingerprints[index as usize] == fingerprint;
        self.tables[table_of(fingerprint, self.tables.len())].find(hash_of(fingerprint), is_same).copied()
    }

    /// Adds a state that is not there; none if there is no number left for it.
    fn insert(&mut self, fingerprint: u128, parent: u32) -> Option<u32> {
        let index = u32::try_from(self.len()).ok().filter(|&index| index != ROOT)?;
        let fingerprints = &mut self.graph.fingerprints;
        fingerprints.push(fingerprint);
        self.graph.parents.push(parent);
        let table = &mut self.tables[table_of(fingerprint, self.tables.len())];
        table.insert_unique(hash_of(fingerprint), index, |&index| hash_of(fingerprints[index as usize]));
        Some(index)
    }

    /// The fingerprints on the way to a state, from the start.
    fn way_to(&self, index: u32) -> Vec<u128> {
        self.graph.way_to(index).into_iter().map(|state| self.graph.fingerprint(state)).collect()
    }
}

/// A state that was reached from `parent`.
struct Reached<S> {
    parent: u32,
    class: ClassId,
    fingerprint: u128,
    /// The state, unless it was known already.
    news: Option<Box<News<S>>>,
}

/// A state that is new.
struct News<S> {
    state: S,
    /// The properties that it decides.
    decides: Vec<usize>,
    marks: Marks,
}

struct Search<'a, M: Model, F> {
    model: &'a M,
    frontier: F,
    limits: Limits,
    recorder: Option<Recorder<'a, M>>,
    started: Instant,
    properties: Vec<Property<M>>,
    /// By property: the state that decided it.
    decided: Vec<Option<u32>>,
    visited: Visited,
    edges: usize,
    depth: usize,
    /// Whether the model's boundary kept any state out.
    is_cut: AtomicBool,
}

impl<'a, M, F> Search<'a, M, F>
where
    M: Model + Sync,
    M::State: Hash + Clone + Send + Sync,
    M::Action: Clone + Send,
    F: Frontier<M::State>,
{
    fn new(model: &'a M, frontier: F, limits: Limits, recorder: Option<Recorder<'a, M>>) -> Self {
        let properties = model.properties();
        let decided = vec![None; properties.len()];
        let started = Instant::now();
        let visited = Visited::default();
        Self {
            model,
            frontier,
            limits,
            recorder,
            started,
            properties,
            decided,
            visited,
            edges: 0,
            depth: 0,
            is_cut: AtomicBool::new(false),
        }
    }

    fn run(&mut self, progress: &mut dyn FnMut(Progress)) -> Ending {
        let starts = self.model.init_states().into_iter().map(|state| self.reached(ROOT, 0, state)).collect();
        self.merge(starts);
        let mut level = self.frontier.advance();
        while !level.is_empty() {
            for batch in batches(level.clone(), BATCH * self.limits.threads.max(1)) {
                self.frontier.forget_before(batch.start);
                if let Some(ending) = self.ending() {
                    return ending;
                }
                let reached = self.expand(batch);
                self.edges += reached.len();
                self.merge(reached);
                let (states, edges) = (self.visited.len(), self.edges);
                progress(Progress { states, edges, depth: self.depth, frontier: states - level.end });
            }
            level = self.frontier.advance();
            self.depth += usize::from(!level.is_empty());
        }
        if self.is_violated() { Ending::Violated } else { Ending::Exhausted }
    }

    fn ending(&self) -> Option<Ending> {
        let is_full = self.limits.states_max.is_some_and(|max| self.visited.len() >= max)
            || self.visited.len() >= ROOT as usize
            || self.visited.graph.is_full();
        let is_late = self.limits.time_max.is_some_and(|max| self.started.elapsed() >= max);
        if self.is_violated() { Some(Ending::Violated) } else { (is_full || is_late).then_some(Ending::CutOff) }
    }

    fn is_violated(&self) -> bool {
        let mut judged = self.properties.iter().zip(&self.decided);
        judged.any(|(property, decided)| matches!(property.expectation, Expectation::Always) && decided.is_some())
    }

    fn expand(&self, batch: Range<usize>) -> Vec<Reached<M::State>> {
        if self.limits.threads <= 1 {
            return self.expand_part(batch);
        }
        std::thread::scope(|scope| {
            let parts = batches(batch, BATCH).map(|part| scope.spawn(move || self.expand_part(part)));
            let parts: Vec<_> = parts.collect();
            // A panic of the model is a panic of the search.
            parts
                .into_iter()
                .flat_map(|part| part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        })
    }

    fn expand_part(&self, part: Range<usize>) -> Vec<Reached<M::State>> {
        let mut reached = Vec::new();
        for number in part {
            let state = self.frontier.get(number);
            // There is a number for every state that was visited.
            let parent = u32::try_from(number).unwrap_or(ROOT);
            for (action, next) in self.model.next_steps(&state) {
                if !self.model.within_boundary(&next) {
                    self.is_cut.store(true, Ordering::Relaxed);
                    continue;
                }
                let class = self.recorder.as_ref().map_or(0, |recorder| (recorder.class)(&state, &action));
                reached.push(self.reached(parent, class, next));
            }
        }
        reached
    }

    fn reached(&self, parent: u32, class: ClassId, state: M::State) -> Reached<M::State> {
        let fingerprint = digest(&state);
        let news = self.visited.find(fingerprint).is_none().then(|| {
            let decides = self.decides(&state);
            let marks = self.recorder.as_ref().map_or(0, |recorder| (recorder.marks)(&state));
            Box::new(News { state, decides, marks })
        });
        Reached { parent, class, fingerprint, news }
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

    fn merge(&mut self, reached: Vec<Reached<M::State>>) {
        for Reached { parent, class, fingerprint, news } in reached {
            let known =
                if news.is_none() && self.recorder.is_none() { continue } else { self.visited.find(fingerprint) };
            let index = known.or_else(|| self.add(fingerprint, parent, *news?));
            if let Some(index) = index.filter(|_| self.recorder.is_some() && parent != ROOT) {
                self.visited.graph.connect(parent, class, index);
            }
        }
    }

    fn add(&mut self, fingerprint: u128, parent: u32, news: News<M::State>) -> Option<u32> {
        let index = self.visited.insert(fingerprint, parent)?;
        for property in news.decides {
            self.decided[property].get_or_insert(index);
        }
        if self.recorder.is_some() {
            self.visited.graph.marks.push(news.marks);
        }
        self.frontier.push(news.state);
        Some(index)
    }

    fn findings(self, ending: Ending) -> (Findings<M::State, M::Action>, Graph) {
        let elapsed = self.started.elapsed();
        let judged = self.properties.iter().zip(&self.decided).map(|(property, decided)| Judged {
            name: property.name,
            expectation: property.expectation.clone(),
            verdict: verdict(&property.expectation, decided.is_some(), ending),
            path: decided.map(|index| self.walk(&self.visited.way_to(index))),
        });
        let judged = judged.collect();
        let (states, edges, depth_max) = (self.visited.len(), self.edges, self.depth);
        let mut graph = self.visited.graph;
        graph.is_whole = ending == Ending::Exhausted && !self.is_cut.into_inner();
        (Findings { states, edges, depth_max, elapsed, ending, judged }, graph)
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

/// Parts of a range, each of at most `size`.
fn batches(range: Range<usize>, size: usize) -> impl Iterator<Item = Range<usize>> {
    let end = range.end;
    range.step_by(size).map(move |start| start..(start + size).min(end))
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
