//! Owns the walk through what can happen to one node: breadth first from every situation, each input of
//! the alphabet after each state that showed something new. Runs that show what no shorter one showed are
//! kept. The same seed gives the same runs.

use super::{
    CoreEvent, Input, Node,
    alphabet::{self, Letter},
    facts::{self, Fact, Role},
    parallel,
    situations::{self, Situation},
};
use fastrand::Rng;
use slotbus_core::{CLUSTER_SLOTS, Effect, Effects, Millis, Profile, Random, Refusal, Reply, Rule, step};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashSet},
    hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher},
    mem::{Discriminant, discriminant},
};

/// How far and wide a walk goes.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    /// It begins in one situation of so many.
    one_in: usize,
    /// How many states of one situation are gone on from, level by level: so many that came by a rule or
    /// a condition that the situation had not come by, and so many that showed something new.
    levels: &'static [(usize, usize)],
}

impl Reach {
    /// For vectors that are kept.
    pub const FULL: Self = Self { one_in: 1, levels: &[(1, 0), (16, 4), (7, 1), (5, 1), (3, 0), (2, 0)] };
    /// One input after each situation.
    pub const SHALLOW: Self = Self { one_in: 1, levels: &[(1, 0)] };
    /// One input after a few situations.
    pub const SPARSE: Self = Self { one_in: 12, levels: &[(1, 0)] };
}

/// Of the conditions of an event, so many are looked at in pairs: those that are of its own kind.
const PAIRED_MAX: usize = 16;
/// Where there are no more than this, all are.
const ALL_PAIRED_MAX: usize = 45;

/// What a run can show, packed: exploring compares some hundred of them for every step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Feature(u64);

/// The features that were seen. They are digests already, and are not hashed again.
pub(super) type Features = HashSet<Feature, BuildHasherDefault<Digested>>;

/// Hands on the one number that it is given.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Digested(u64);

impl Hasher for Digested {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |digest, &byte| mixed(digest, u64::from(byte)));
    }

    /// The sort of a feature lies where a table looks first.
    fn write_u64(&mut self, number: u64) {
        self.0 = number.rotate_right(SORT_BITS);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// So many bits of a feature are its sort.
const SORT_BITS: u32 = 3;

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
    /// Of a digest of what is shown. The sort takes the lowest bits, so that it can be told from the rest.
    fn new(sort: Sort, role: Role, content: u64) -> Self {
        Self(mixed(content, role as u64) << SORT_BITS | sort as u64)
    }

    fn sort(self) -> Sort {
        Sort::ALL[(self.0 & ((1 << SORT_BITS) - 1)) as usize % Sort::ALL.len()]
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
    pub(super) seen: Features,
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
pub(super) fn explore(profile: Profile, seed: u64, reach: Reach, progress: &mut dyn FnMut(&str)) -> Explored {
    let situations = situations::all(profile);
    let explored = Explored { situations, runs: Vec::new(), seen: Features::default(), steps: 0 };
    let mut walk =
        Walk { profile, rng: Rng::with_seed(seed), explored, states: HashSet::new(), gone_by: HashSet::new() };
    let start = || vec![Open { inputs: Vec::new(), new_marks: (0, 1), gain: 0 }];
    let mut open: BTreeMap<usize, Vec<Open>> =
        (0..walk.explored.situations.len()).step_by(reach.one_in).map(|at| (at, start())).collect();
    for (level, width) in reach.levels.iter().enumerate() {
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
        let throws: Vec<_> = letters.into_iter().map(|letter| (letter, Random::new(self.rng.u64(..) >> 16))).collect();
        let shown = parallel::map(throws, |(letter, random)| self.try_letter(&node, now, last, letter, random));
        let mut found = Vec::new();
        for one in &shown {
            let new_marks = self.new_marks(situation, &one.marks);
            if new_marks != (0, 0) {
                self.open(&node, &open.inputs, one.input(now), (new_marks, one.worth().0), &mut found);
            }
        }
        let mut ranked = Ranked::of(shown);
        while let Some(one) = ranked.best(&self.explored.seen) {
            let (gain, _) = one.worth();
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

    fn try_letter(&self, node: &Node, now: Millis, last: Option<Rule>, letter: Letter, random: Random) -> Shown {
        let (after_ms, event) = &letter;
        let input = Input { now: now.after(*after_ms), random, event: event.clone() };
        let mut after = node.clone();
        let now = input.now;
        let (rules, mut features) = shown_by(&mut after, last, input);
        features.retain(|feature| !self.explored.seen.contains(feature));
        in_order(&mut features);
        let conditions = facts::of_node(&after, now).into_iter().map(Mark::Fact);
        let marks = rules.into_iter().map(Mark::Rule).chain(conditions).collect();
        Shown { letter, random, marks, features }
    }
}

impl Shown {
    fn input(&self, now: Millis) -> Input {
        let (after_ms, event) = &self.letter;
        Input { now: now.after(*after_ms), random: self.random, event: event.clone() }
    }

    /// How much it shows: rules and guards before all else.
    fn worth(&self) -> (usize, usize) {
        let first = self.features.iter().filter(|feature| feature.is_first()).count();
        (first, self.features.len())
    }
}

/// Letters by what they show that is still not shown.
struct Ranked {
    shown: Vec<Option<Shown>>,
    /// What each was worth when it was looked at last, the greatest on top, of equals the first letter.
    heap: BinaryHeap<((usize, usize), Reverse<usize>)>,
}

impl Ranked {
    fn of(shown: Vec<Shown>) -> Self {
        let heap = shown.iter().enumerate().map(|(index, one)| (one.worth(), Reverse(index))).collect();
        Self { shown: shown.into_iter().map(Some).collect(), heap }
    }

    /// Takes out the letter that shows the most of what is not seen. What a letter is worth only falls, so that
    /// one that is still worth what it was is the best.
    fn best(&mut self, seen: &Features) -> Option<Shown> {
        while let Some((known, Reverse(index))) = self.heap.pop() {
            let Some(one) = self.shown[index].as_mut() else { continue };
            one.features.retain(|feature| !seen.contains(feature));
            let worth = one.worth();
            if worth == known && worth != (0, 0) {
                return self.shown[index].take();
            }
            if worth != (0, 0) {
                self.heap.push((worth, Reverse(index)));
            }
        }
        None
    }
}

/// A number for the state after a step that is the same whatever the time.
fn state_after(node: &Node, input: Input) -> u64 {
    let now = input.now;
    let mut after = node.clone();
    let _: Effects<CLUSTER_SLOTS> = step(&mut after, input);
    digest(&after.rebased(now, now))
}

/// The rules of a step, and all that it shows, in no order and more than once.
pub(super) fn shown_by(node: &mut Node, last: Option<Rule>, input: Input) -> (Vec<Rule>, Vec<Feature>) {
    let (role, kind) = (Role::of(node), digest(&facts::kind(&input.event)));
    let facts: Vec<u64> = facts::facts(node, &input.event, input.now).iter().map(digest).collect();
    let is_tick = input.event == CoreEvent::Tick;
    let effects = step(node, input);
    let rules = effects.rules;
    let mut features: Vec<Feature> =
        rules.iter().map(|rule| Feature::new(Sort::Fired, role, mixed(kind, digest(rule)))).collect();
    let before = last.into_iter().chain(rules.iter().copied());
    let pairs = before.zip(rules.iter().skip(usize::from(last.is_none())));
    features.extend(pairs.map(|pair| Feature::new(Sort::Pair, role, digest(&pair))));
    let answers = effects.then.iter().filter_map(answer);
    features.extend(answers.map(|answer| Feature::new(Sort::Answer, role, mixed(kind, digest(&answer)))));
    let of_pairs = if is_tick { Sort::Moment } else { Sort::Outcomes };
    let pairs = pairs_of(paired(&facts));
    features.extend(pairs.map(|(one, two)| Feature::new(of_pairs, role, mixed(mixed(kind, one), two))));
    let deciding = deciding(&rules);
    let way = digest(&(&rules, kind));
    for fact in facts {
        features.extend(deciding.iter().map(|rule| Feature::new(Sort::Guard, role, mixed(*rule, fact))));
        features.push(Feature::new(Sort::Way, role, mixed(way, fact)));
    }
    (rules, features)
}

/// Digests of the rules that decide a step; where none fires, that is what decides it.
fn deciding(rules: &[Rule]) -> Vec<u64> {
    let mut deciding: Vec<Option<Rule>> = rules.iter().copied().map(Some).collect();
    deciding.sort_unstable();
    deciding.dedup();
    if deciding.is_empty() {
        deciding.push(None);
    }
    deciding.iter().map(digest).collect()
}

fn pairs_of(items: &[u64]) -> impl Iterator<Item = (u64, u64)> {
    items.iter().enumerate().flat_map(|(index, &one)| items[index + 1..].iter().map(move |&two| (one, two)))
}

/// Brings features into ascending order, each once.
pub(super) fn in_order(features: &mut Vec<Feature>) {
    features.sort_unstable();
    features.dedup();
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

/// One number of two. It only has to spread: no outcome depends on more than that few digests are alike.
fn mixed(one: u64, two: u64) -> u64 {
    let product = u128::from(one ^ 0x9e37_79b9_7f4a_7c15) * u128::from(two ^ 0xd1b5_4a32_d192_ed03);
    (product as u64 ^ (product >> 64) as u64).wrapping_add(one.rotate_left(23))
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
pub(super) fn count(seen: &Features) -> BTreeMap<&'static str, usize> {
    let count = |sort| seen.iter().filter(|feature| feature.sort() == sort).count();
    Sort::ALL.into_iter().map(|sort| (sort.name(), count(sort))).collect()
}
