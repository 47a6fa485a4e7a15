//! Owns runs that never end: a way from the start, then a cycle. Finds them in a graph, and takes the
//! model through them again before anybody believes them. Knows no protocol.

use crate::{
    explore::Path,
    graph::{Class, ClassId, Fairness, Graph, Labelling, Marks, View},
    liveness::{Classes, Fair},
};
use slotbus_world::digest;
use stateright::Model;
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::Hash;

/// An edge that is taken: its class, and where it leads.
pub type Move = (ClassId, u32);

/// A run that never ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lasso {
    /// Where it starts.
    pub start: u32,
    /// The way to the cycle.
    pub stem: Vec<Move>,
    /// The cycle, which begins and ends where the stem ends; if empty, the run stays there for ever.
    pub cycle: Vec<Move>,
}

impl Lasso {
    /// A run from the start over one of `roots`, then within `view` into `members` and through them
    /// for ever, so that every fair class that can be served there is.
    pub(crate) fn through(fair: &Fair<'_>, view: View<'_>, roots: impl Iterator<Item = u32>, members: &[u32]) -> Self {
        let inside: HashSet<u32> = members.iter().copied().collect();
        let into = route(view, roots, &|state| inside.contains(&state));
        let begin = into.first().map_or(members[0], |&(_, state)| state);
        let mut stem = stem_to(fair.graph, begin);
        stem.extend(into.iter().skip(1));
        let entry = stem.last().map_or(begin, |&(_, state)| state);
        let start = fair.graph.way_to(begin)[0];
        Self { start, stem, cycle: tour(fair, view, &inside, entry) }
    }

    /// The shortest way from the start to a state, without a cycle.
    #[must_use]
    pub fn to(graph: &Graph, state: u32) -> Self {
        Self { start: graph.way_to(state)[0], stem: stem_to(graph, state), cycle: Vec::new() }
    }
}

fn stem_to(graph: &Graph, state: u32) -> Vec<Move> {
    let way = graph.way_to(state);
    let class = |from, to| graph.edges(from).find(|&(_, target)| target == to).map(|(class, _)| class);
    way.windows(2).filter_map(|pair| Some((class(pair[0], pair[1])?, pair[1]))).collect()
}

/// The shortest way within a view from one of `roots` to a state that `is_end`: the root first, with
/// no class that means anything, then every move.
fn route(view: View<'_>, roots: impl Iterator<Item = u32>, is_end: &dyn Fn(u32) -> bool) -> Vec<Move> {
    let mut before: HashMap<u32, Option<(u32, ClassId)>> = HashMap::new();
    let mut queue: VecDeque<u32> = VecDeque::new();
    for root in roots {
        if before.insert(root, None).is_none() {
            queue.push_back(root);
        }
    }
    while let Some(state) = queue.pop_front() {
        if is_end(state) {
            return retrace(&before, state);
        }
        for (class, target) in view.moves(state) {
            before.entry(target).or_insert_with(|| {
                queue.push_back(target);
                Some((state, class))
            });
        }
    }
    Vec::new()
}

fn retrace(before: &HashMap<u32, Option<(u32, ClassId)>>, end: u32) -> Vec<Move> {
    let mut way = Vec::new();
    let mut state = end;
    while let Some(&Some((from, class))) = before.get(&state) {
        way.push((class, state));
        state = from;
    }
    way.push((0, state));
    way.reverse();
    way
}

/// A way through the states of a view that are `inside`, from `entry` and back, that takes every fair
/// class that is taken there at all, and passes a state without it for every weakly fair class that
/// is not.
fn tour(fair: &Fair<'_>, view: View<'_>, inside: &HashSet<u32>, entry: u32) -> Vec<Move> {
    let keeps = |state| inside.contains(&state);
    let view = View { keeps: &keeps, ..view };
    let mut members: Vec<u32> = inside.iter().copied().collect();
    members.sort_unstable();
    let is_inside = |_, to| inside.contains(&to);
    let taken = fair.stay(&members, &is_inside).taken;
    let mut owed = fair.weak.or(fair.strong).and(taken);
    let mut avoided = fair.weak.without(taken);
    let mut way: Vec<Move> = Vec::new();
    let mut here = entry;
    avoided = avoided.and(fair.possible(here));
    while !owed.is_empty() || !avoided.is_empty() {
        let serves = |state: u32| {
            let is_owed = view.moves(state).any(|(class, _)| owed.contains(class));
            is_owed || avoided.and(fair.possible(state)) != avoided
        };
        let leg = route(view, std::iter::once(here), &serves);
        let Some(&(_, end)) = leg.last() else { break };
        way.extend(leg.iter().skip(1));
        here = end;
        if let Some((class, target)) = view.moves(here).find(|&(class, _)| owed.contains(class)) {
            way.push((class, target));
            here = target;
        }
        let passed: Classes = way.iter().map(|&(class, _)| class).collect();
        owed = owed.without(passed);
        avoided = avoided.and(fair.possible(end)).and(fair.possible(here));
    }
    if here != entry || (way.is_empty() && members.len() > 1) {
        way.extend(back(view, here, entry));
    }
    way
}

/// The way back to `entry`, by at least one move.
fn back(view: View<'_>, here: u32, entry: u32) -> Vec<Move> {
    let first = view.moves(here).filter_map(|step| {
        let rest = route(view, std::iter::once(step.1), &|state| state == entry);
        (!rest.is_empty()).then(|| std::iter::once(step).chain(rest.into_iter().skip(1)).collect::<Vec<_>>())
    });
    first.min_by_key(Vec::len).unwrap_or_default()
}

/// A lasso that the model was taken through: all its states, and where the cycle begins among its steps.
#[derive(Clone, Debug)]
pub struct Trail<S, A> {
    /// Every step, the cycle's at the end.
    pub path: Path<S, A>,
    /// How many steps come before the cycle.
    pub stem_len: usize,
}

/// Takes the model through a way in its graph: a start, then moves. None if it does not go that way.
pub fn walk<M>(
    model: &M,
    labelling: &impl Labelling<M>,
    graph: &Graph,
    start: u32,
    moves: &[Move],
) -> Option<Path<M::State, M::Action>>
where
    M: Model,
    M::State: Hash,
    M::Action: Clone,
{
    let start = model.init_states().into_iter().find(|state| digest(state) == graph.fingerprint(start))?;
    let mut path = Path { start, steps: Vec::new() };
    for &(class, target) in moves {
        let last = path.steps.last().map_or(&path.start, |(_, state)| state);
        let is_it = |(action, state): &(M::Action, M::State)| {
            labelling.class(model, last, action) == class && digest(state) == graph.fingerprint(target)
        };
        let step = model.next_steps(last).into_iter().find(is_it)?;
        path.steps.push(step);
    }
    Some(path)
}

/// Takes the model through a lasso, and looks again whether it closes; and if it is to be a fair run
/// without `goal`, whether it is. None if not: then it is no counterexample.
pub fn reenact<M>(
    model: &M,
    labelling: &impl Labelling<M>,
    graph: &Graph,
    lasso: &Lasso,
    goal: Option<Marks>,
) -> Option<Trail<M::State, M::Action>>
where
    M: Model,
    M::State: Hash,
    M::Action: Clone,
{
    let moves = [lasso.stem.as_slice(), &lasso.cycle].concat();
    let path = walk(model, labelling, graph, lasso.start, &moves)?;
    let stem_len = lasso.stem.len();
    let states: Vec<&M::State> =
        std::iter::once(&path.start).chain(path.steps.iter().map(|(_, state)| state)).skip(stem_len).collect();
    let is_closed = digest(states[0]) == digest(states[states.len() - 1]);
    let is_away = |goal| states.iter().all(|state| labelling.marks(model, state) & goal != goal);
    let is_miss = goal.is_none_or(|goal| is_away(goal) && is_fair(model, labelling, &states, lasso));
    (is_closed && is_miss).then_some(Trail { path, stem_len })
}

fn is_fair<M>(model: &M, labelling: &impl Labelling<M>, states: &[&M::State], lasso: &Lasso) -> bool
where
    M: Model,
    M::State: Hash,
{
    let taken: Classes = lasso.cycle.iter().map(|&(class, _)| class).collect();
    let possible: Vec<Classes> = states.iter().map(|state| possible(model, labelling, state)).collect();
    let is_served = |(number, class): (ClassId, &Class)| match class.fairness {
        Fairness::Unfair => true,
        Fairness::Weak => taken.contains(number) || possible.iter().any(|set| !set.contains(number)),
        Fairness::Strong => taken.contains(number) || possible.iter().all(|set| !set.contains(number)),
    };
    (0..=ClassId::MAX).zip(labelling.classes()).all(is_served)
}

/// The classes that can change something in a state, by the model itself.
fn possible<M>(model: &M, labelling: &impl Labelling<M>, state: &M::State) -> Classes
where
    M: Model,
    M::State: Hash,
{
    let here = digest(state);
    let changing = model.next_steps(state).into_iter().filter(|(_, next)| digest(next) != here);
    changing.map(|(action, _)| labelling.class(model, state, &action)).collect()
}
