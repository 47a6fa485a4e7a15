//! Owns the walk through what can happen to one node: breadth first from every situation, each input of
//! the alphabet after each state that showed something new. Runs that show what no shorter one showed are
//! kept. The same seed gives the same runs.

use super::{
    CoreEvent, Input, Node,
    alphabet::{self, Letter},
    facts::{self, Fact, Role},
    situations::{self, Situation},
};
use fastrand::Rng;
use slotbus_core::{CLUSTER_SLOTS, Effect, Effects, Millis, Profile, Random, Refusal, Reply, Rule, step};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    mem::{Discriminant, discriminant},
};

/// How many states of one situation are gone on from, level by level: so many that came by a rule or
/// a condition that the situation had not come by, and so many that showed something new.
pub type Widths = &'static [(usize, usize)];
/// For vectors that are kept.
pub const FULL: Widths = &[(1, 0), (12, 2), (7, 1), (5, 1), (3, 0), (2, 0)];
/// For those that are made in a test.
pub const QUICK: Widths = &[(1, 0), (5, 0), (3, 0), (2, 0)];
/// One input after each situation.
pub const SHALLOW: Widths = &[(1, 0)];
/// Of the conditions of an event, so many are looked at in pairs: those that are of its own kind.
const PAIRED_MAX: usize = 16;
/// Where there are no more than this, all are.
const ALL_PAIRED_MAX: usize = 45;

/// What a run can show, packed: exploring compares some hundred of them for every step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Feature(u64);

/// The sorts of features, in the order in which they are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sort {
    /// A rule fires at a node of a role, because of an event of a kind.
    Fired,
    /// A command is answered in some way.
    Answer,
    /// Two rules fire one after the other, in one step or in two.
    Pair,
    /// A rule fires, or a kind of event leads to nothing, while a guard's condition has an outcome.
    Guard,
    /// Two conditions have their outcomes when the periodic work is due.
    Moment,
    /// Two conditions have their outcomes when an event of a kind comes.
    Outcomes,
    /// An event of a kind takes one way through the rules while a condition has an outcome.
    Way,
}

impl Sort {
    const ALL: [Self; 7] =
        [Self::Fired, Self::Answer, Self::Pair, Self::Guard, Self::Moment, Self::Outcomes, Self::Way];

    fn name(self) -> &'static str {
        match self {
            Self::Fired => "rule x role x event",
            Self::Pair => "pair of rules x role",
            Self::Guard => "rule x guard outcome x role",
            Self::Answer => "answer x role x command",
            Self::Moment => "pair of guard outcomes x role, at a tick",
            Self::Outcomes => "pair of guard outcomes x role x event",
            Self::Way => "way through the rules x guard outcome x role x event",
        }
    }
}

impl Feature {
    /// The sort takes the lowest bits, so that it can be told from the rest.
    fn new(sort: Sort, role: Role, content: impl Hash) -> Self {
        Self(digest(&(role, content)) << 3 | sort as u64)
    }

    fn sort(self) -> Sort {
        Sort::ALL[(self.0 & 7) as usize % Sort::ALL.len()]
    }

    /// Whether it is of rules, guards and answers: what must be covered before anything else.
    pub(super) fn is_first(self) -> bool {
        match self.sort() {
            Sort::Fired | Sort::Pair | Sort::Guard | Sort::Answer | Sort::Moment => true,
            Sort::Outcomes | Sort::Way => false,
        }
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
    /// How soon it is wanted: by the first sort of what it shows.
    pub(super) fn rank(&self) -> usize {
        self.shows.iter().map(|feature| feature.sort() as usize).min().unwrap_or_default()
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
    /// How many conditions it came by, and how many rules, that its situation had not come by.
    new_marks: (usize, usize),
    /// How much its last step showed.
    gain: usize,
}

struct Walk {
    profile: Profile,
    rng: Rng,
    explored: Explored,
    states: HashSet<u64>,
    /// What each situation came by.
    gone_by: HashSet<(usize, Mark)>,
}

/// What a walk comes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Mark {
    Rule(Rule),
    /// A condition of the node itself.
    Fact(Fact),
}

/// Walks until every level is done.
pub(super) fn explore(profile: Profile, seed: u64, widths: Widths, progress: &mut dyn FnMut(&str)) -> Explored {
    let situations = situations::all(profile);
    let explored = Explored { situations, runs: Vec::new(), seen: HashSet::new(), steps: 0 };
    let mut walk =
        Walk { profile, rng: Rng::with_seed(seed), explored, states: HashSet::new(), gone_by: HashSet::new() };
    let start = || vec![Open { inputs: Vec::new(), new_marks: (0, 1), gain: 0 }];
    let mut open: BTreeMap<usize, Vec<Open>> = (0..walk.explored.situations.len()).map(|at| (at, start())).collect();
    for (level, width) in widths.iter().enumerate() {
        let mut next = BTreeMap::new();
        for (situation, states) in open {
            let found = widest(states, *width).iter().flat_map(|state| walk.expand(situation, state)).collect();
            next.insert(situation, found);
        }
        open = next;
        progress(&format!("level {}: {} steps, {} runs", level + 1, walk.explored.steps, walk.explored.runs.len()));
    }
    walk.explored
}

/// The states to go on from: first those that came by something new, then those that showed the most.
fn widest(mut states: Vec<Open>, (by_marks, by_gain): (usize, usize)) -> Vec<Open> {
    states.sort_by_key(|state| Reverse((state.new_marks, state.gain)));
    let rest = states.split_off(by_marks.min(states.len()));
    let mut rest: Vec<Open> = rest.into_iter().filter(|state| state.gain > 0).collect();
    rest.sort_by_key(|state| Reverse(state.gain));
    rest.truncate(by_gain);
    states.retain(|state| state.new_marks != (0, 0));
    states.extend(rest);
    states
}

/// A letter and what it shows that was not shown before.
struct Shown {
    letter: Letter,
    random: Random,
    marks: Vec<Mark>,
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
        for one in &shown {
            let new_marks = self.new_marks(situation, &one.marks);
            if new_marks != (0, 0) {
                let gain = one.features.iter().filter(|feature| feature.is_first()).count();
                self.open(&node, &open.inputs, one.input(now), (new_marks, gain), &mut found);
            }
        }
        while let Some(one) = self.best(&mut shown) {
            let gain = one.features.iter().filter(|feature| feature.is_first()).count();
            if gain > 0 {
                self.open(&node, &open.inputs, one.input(now), ((0, 0), gain), &mut found);
            }
            let inputs = open.inputs.iter().cloned().chain([one.input(now)]).collect();
            self.explored.seen.extend(one.features.iter().copied());
            self.explored.runs.push(Run { situation, inputs, shows: one.features });
        }
        found
    }

    fn new_marks(&mut self, situation: usize, marks: &[Mark]) -> (usize, usize) {
        let new = marks.iter().filter(|&&mark| self.gone_by.insert((situation, mark)));
        let (facts, rules): (Vec<&Mark>, Vec<&Mark>) = new.partition(|mark| matches!(mark, Mark::Fact(_)));
        (facts.len(), rules.len())
    }

    /// Notes a state to go on from, unless it is known.
    fn open(
        &mut self,
        node: &Node,
        lead: &[Input],
        input: Input,
        worth: ((usize, usize), usize),
        found: &mut Vec<Open>,
    ) {
        if self.states.insert(state_after(node, input.clone())) {
            let inputs = lead.iter().cloned().chain([input]).collect();
            found.push(Open { inputs, new_marks: worth.0, gain: worth.1 });
        }
    }

    fn try_letter(&mut self, node: &Node, now: Millis, last: Option<Rule>, letter: Letter) -> Shown {
        let random = Random::new(self.rng.u64(..) >> 16);
        let (after_ms, event) = &letter;
        let input = Input { now: now.after(*after_ms), random, event: event.clone() };
        let mut after = node.clone();
        let now = input.now;
        let (rules, mut features) = shown_by(&mut after, last, input);
        features.retain(|feature| !self.explored.seen.contains(feature));
        let conditions = facts::of_node(&after, now).into_iter().map(Mark::Fact);
        let marks = rules.into_iter().map(Mark::Rule).chain(conditions).collect();
        Shown { letter, random, marks, features }
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

impl Shown {
    fn input(&self, now: Millis) -> Input {
        let (after_ms, event) = &self.letter;
        Input { now: now.after(*after_ms), random: self.random, event: event.clone() }
    }
}

/// A number for the state after a step that is the same whatever the time.
fn state_after(node: &Node, input: Input) -> u64 {
    let now = input.now;
    let mut after = node.clone();
    let _: Effects<CLUSTER_SLOTS> = step(&mut after, input);
    digest(&after.rebased(now, now))
}

/// The rules of a step, and all that it shows, in ascending order.
pub(super) fn shown_by(node: &mut Node, last: Option<Rule>, input: Input) -> (Vec<Rule>, Vec<Feature>) {
    let (role, kind) = (Role::of(node), facts::kind(&input.event));
    let facts = facts::facts(node, &input.event, input.now);
    let is_tick = input.event == CoreEvent::Tick;
    let effects = step(node, input);
    let rules = effects.rules;
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
    let facts: Vec<u64> = facts.iter().map(digest).collect();
    let (way, kind_digest) = (digest(&(&rules, kind)), digest(&kind));
    let of_pairs = if is_tick { Sort::Moment } else { Sort::Outcomes };
    for (index, one) in paired(&facts).iter().enumerate() {
        let pairs = paired(&facts)[index + 1..].iter().map(|two| (kind_digest, one, two));
        features.extend(pairs.map(|pair| Feature::new(of_pairs, role, pair)));
    }
    features
        .extend(effects.then.iter().filter_map(answer).map(|answer| Feature::new(Sort::Answer, role, (kind, answer))));
    for fact in facts {
        features.extend(deciding.iter().map(|rule| Feature::new(Sort::Guard, role, (rule, fact))));
        features.push(Feature::new(Sort::Way, role, (way, fact)));
    }
    features.sort_unstable();
    features.dedup();
    (rules, features)
}

/// The conditions of which pairs are looked at: all of a tick, of others those that are of their kind.
fn paired(facts: &[u64]) -> &[u64] {
    let all = facts.len() <= ALL_PAIRED_MAX;
    if all { facts } else { &facts[facts.len() - PAIRED_MAX..] }
}

/// A number in place of something that is hashed often.
fn digest(content: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    hasher.finish()
}

/// In which way a command is answered, if it is.
fn answer(effect: &Effect<CLUSTER_SLOTS>) -> Option<(Discriminant<Reply>, Option<Discriminant<Refusal>>)> {
    let Effect::Reply { reply, .. } = effect else { return None };
    let refusal = match reply {
        Reply::Refused(refusal) => Some(discriminant(refusal)),
        Reply::Done | Reply::Bumped(_) | Reply::Still(_) => None,
    };
    Some((discriminant(reply), refusal))
}

/// How many features of each sort there are.
pub(super) fn count(seen: &HashSet<Feature>) -> BTreeMap<&'static str, usize> {
    let count = |sort| seen.iter().filter(|feature| feature.sort() == sort).count();
    Sort::ALL.into_iter().map(|sort| (sort.name(), count(sort))).collect()
}
