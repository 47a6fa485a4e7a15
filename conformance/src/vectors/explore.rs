//! Owns the walk through what can happen to one node: breadth first from every situation, each input of
//! the alphabet after each state that showed something new. Runs that show what no shorter one showed are
//! kept. The same seed gives the same runs.

use super::{
    Input, Node,
    alphabet::{self, Letter},
    facts::{self, Role},
    situations::{self, Situation},
};
use fastrand::Rng;
use slotbus_core::{CLUSTER_SLOTS, Effects, Millis, Profile, Random, Rule, step};
use std::{
    collections::{BTreeMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
};

/// How many states of one situation are gone on from, level by level.
const WIDTHS: [usize; 6] = [1, 8, 6, 5, 4, 3];

/// What a run can show, packed: exploring compares some hundred of them for every step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Feature(u64);

/// The kinds of features.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sort {
    /// A rule fires at a node of a role, because of an event of a kind.
    Fired,
    /// Two rules fire one after the other, in one step or in two.
    Pair,
    /// A rule fires, or a kind of event leads to nothing, while a guard's condition has an outcome.
    Guard,
    /// An event of a kind takes one way through the rules while a condition has an outcome.
    Way,
}

impl Sort {
    const ALL: [Self; 4] = [Self::Fired, Self::Pair, Self::Guard, Self::Way];

    fn name(self) -> &'static str {
        match self {
            Self::Fired => "rule x role x event",
            Self::Pair => "pair of rules x role",
            Self::Guard => "rule x guard outcome x role",
            Self::Way => "way through the rules x guard outcome x role x event",
        }
    }
}

impl Feature {
    /// The sort takes the lowest bits, so that it can be told from the rest.
    fn new(sort: Sort, role: Role, content: impl Hash) -> Self {
        let mut hasher = DefaultHasher::new();
        (role, content).hash(&mut hasher);
        Self(hasher.finish() << 2 | sort as u64)
    }

    fn sort(self) -> Sort {
        Sort::ALL[(self.0 & 3) as usize]
    }

    /// Whether it is of rules and guards: what must be covered before anything else.
    pub(super) fn is_first(self) -> bool {
        self.sort() != Sort::Way
    }
}

/// A run that shows something.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) situation: usize,
    /// What follows the situation's preamble.
    pub(super) inputs: Vec<Input>,
    /// What no run before it showed.
    pub(super) shows: Vec<Feature>,
}

impl Run {
    /// Whether it shows something of rules and guards.
    pub(super) fn is_first(&self) -> bool {
        self.shows.iter().any(|feature| feature.is_first())
    }
}

/// What a walk found.
pub(super) struct Explored {
    pub(super) situations: Vec<Situation>,
    pub(super) runs: Vec<Run>,
    pub(super) seen: HashSet<Feature>,
    /// Steps taken.
    pub(super) steps: u64,
}

/// A state to go on from.
struct Open {
    inputs: Vec<Input>,
    gain: usize,
}

struct Walk {
    profile: Profile,
    rng: Rng,
    explored: Explored,
    states: HashSet<u64>,
}

/// Walks until every level is done.
pub(super) fn explore(profile: Profile, seed: u64, progress: &mut dyn FnMut(&str)) -> Explored {
    let situations = situations::all(profile);
    let explored = Explored { situations, runs: Vec::new(), seen: HashSet::new(), steps: 0 };
    let mut walk = Walk { profile, rng: Rng::with_seed(seed), explored, states: HashSet::new() };
    let start = || vec![Open { inputs: Vec::new(), gain: 0 }];
    let mut open: BTreeMap<usize, Vec<Open>> = (0..walk.explored.situations.len()).map(|at| (at, start())).collect();
    for (level, width) in WIDTHS.iter().enumerate() {
        let mut next = BTreeMap::new();
        for (situation, mut states) in open {
            states.sort_by(|left, right| right.gain.cmp(&left.gain));
            states.truncate(*width);
            let found = states.iter().flat_map(|state| walk.expand(situation, state)).collect();
            next.insert(situation, found);
        }
        open = next;
        progress(&format!("level {}: {} steps, {} runs", level + 1, walk.explored.steps, walk.explored.runs.len()));
    }
    walk.explored
}

/// A letter and what it shows that was not shown before.
struct Shown {
    letter: Letter,
    random: Random,
    features: Vec<Feature>,
}

impl Walk {
    /// Tries every letter in a state, keeps those that together show all that is new, and says where to go on.
    fn expand(&mut self, situation: usize, open: &Open) -> Vec<Open> {
        let at = &self.explored.situations[situation];
        let Ok(mut node) = at.node(self.profile) else { return Vec::new() };
        let (mut now, mut last) = (at.now(), None);
        for input in &open.inputs {
            now = input.now;
            last = step(&mut node, input.clone()).rules.last().copied();
        }
        let letters = alphabet::letters(&node, at, now);
        self.explored.steps += letters.len() as u64;
        let tried = letters.into_iter().map(|letter| self.try_letter(&node, now, last, letter));
        let mut shown: Vec<Shown> = tried.collect();
        let mut found = Vec::new();
        while let Some(Shown { letter: (after_ms, event), random, features }) = self.best(&mut shown) {
            self.explored.seen.extend(features.iter().copied());
            let input = Input { now: now.after(after_ms), random, event };
            let inputs: Vec<Input> = open.inputs.iter().cloned().chain([input.clone()]).collect();
            let gain = features.iter().filter(|feature| feature.is_first()).count();
            if gain > 0 && self.states.insert(state_after(&node, input)) {
                found.push(Open { inputs: inputs.clone(), gain });
            }
            self.explored.runs.push(Run { situation, inputs, shows: features });
        }
        found
    }

    fn try_letter(&mut self, node: &Node, now: Millis, last: Option<Rule>, letter: Letter) -> Shown {
        let random = Random::new(self.rng.u64(..) >> 16);
        let (after_ms, event) = &letter;
        let input = Input { now: now.after(*after_ms), random, event: event.clone() };
        let mut features = shown_by(&mut node.clone(), last, input);
        features.retain(|feature| !self.explored.seen.contains(feature));
        Shown { letter, random, features }
    }

    /// The letter that shows the most of what is still not shown, rules and guards before all else.
    fn best(&self, shown: &mut Vec<Shown>) -> Option<Shown> {
        for one in shown.iter_mut() {
            one.features.retain(|feature| !self.explored.seen.contains(feature));
        }
        shown.retain(|one| !one.features.is_empty());
        let worth = |one: &Shown| {
            let first = one.features.iter().filter(|feature| feature.is_first()).count();
            (first, one.features.len())
        };
        let (index, _) = shown.iter().enumerate().rev().max_by_key(|(_, one)| worth(one))?;
        Some(shown.remove(index))
    }
}

/// A number for the state after a step that is the same whatever the time.
fn state_after(node: &Node, input: Input) -> u64 {
    let now = input.now;
    let mut after = node.clone();
    let _: Effects<CLUSTER_SLOTS> = step(&mut after, input);
    let mut hasher = DefaultHasher::new();
    after.rebased(now, now).hash(&mut hasher);
    hasher.finish()
}

/// All that a step shows, in ascending order.
pub(super) fn shown_by(node: &mut Node, last: Option<Rule>, input: Input) -> Vec<Feature> {
    let (role, kind) = (Role::of(node), facts::kind(&input.event));
    let facts = facts::facts(node, &input.event, input.now);
    let rules = step(node, input).rules;
    let mut features: Vec<Feature> = rules.iter().map(|rule| Feature::new(Sort::Fired, role, (rule, kind))).collect();
    let before = last.into_iter().chain(rules.iter().copied());
    let pairs = before.zip(rules.iter().skip(usize::from(last.is_none())));
    features.extend(pairs.map(|pair| Feature::new(Sort::Pair, role, pair)));
    let mut deciding: Vec<Option<Rule>> = rules.iter().copied().map(Some).collect();
    deciding.sort_unstable();
    deciding.dedup();
    if deciding.is_empty() {
        deciding.push(None);
    }
    for fact in facts {
        features.extend(deciding.iter().map(|rule| Feature::new(Sort::Guard, role, (rule, fact))));
        features.push(Feature::new(Sort::Way, role, (&rules, kind, fact)));
    }
    features.sort_unstable();
    features.dedup();
    features
}

/// How many features of each sort there are.
pub(super) fn count(seen: &HashSet<Feature>) -> BTreeMap<&'static str, usize> {
    let count = |sort| seen.iter().filter(|feature| feature.sort() == sort).count();
    Sort::ALL.into_iter().map(|sort| (sort.name(), count(sort))).collect()
}
