//! Owns the questions about what happens in the end, and their answers on a labelled graph. Knows no
//! protocol, and no state beyond its marks.
//!
//! A run may stay where it is for ever only if no class that is assumed fair can change anything
//! there. Actions that change nothing count neither as possible nor as taken. A cycle is fair if it
//! takes each weakly fair class somewhere or cannot take it somewhere, and takes each strongly fair
//! class somewhere or can take it nowhere.

use crate::{
    components::Components,
    graph::{Class, ClassId, Course, Fairness, Graph, Marks, ROUND, View},
    lasso::Lasso,
};
use std::collections::{HashSet, VecDeque};

/// What is asked about the runs of a model. A state satisfies marks if it has all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// From every reachable state, can `goal` still be reached?
    Recoverable {
        /// The goal.
        goal: Marks,
    },
    /// After every state with `trigger`, is `goal` reached in every fair run?
    LeadsTo {
        /// Where it begins.
        trigger: Marks,
        /// The goal.
        goal: Marks,
    },
    /// If nobody interferes after a state with `trigger`, within how many rounds is `goal` reached
    /// for good?
    Settles {
        /// Where it begins.
        trigger: Marks,
        /// The goal.
        goal: Marks,
    },
}

/// The answer to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Yes.
    Holds,
    /// Yes, and within so many rounds at worst.
    Within(u32),
    /// No: this state can be reached, and the goal cannot be reached from it.
    Stuck(u32),
    /// No: this run is fair and never reaches the goal.
    Misses(Lasso),
    /// No: this run never reaches the goal for good, although nobody interferes.
    Wanders(Lasso),
}

impl Answer {
    /// Whether it is yes.
    #[must_use]
    pub fn holds(&self) -> bool {
        match self {
            Self::Holds | Self::Within(_) => true,
            Self::Stuck(_) | Self::Misses(_) | Self::Wanders(_) => false,
        }
    }
}

/// Answers a question on the graph of a model. None if the graph is not whole: what is not in it could
/// lead anywhere.
#[must_use]
pub fn ask(graph: &Graph, classes: &[Class], question: Question) -> Option<Answer> {
    graph.is_whole().then(|| answer(graph, classes, question))
}

fn answer(graph: &Graph, classes: &[Class], question: Question) -> Answer {
    match question {
        Question::Recoverable { goal } => match first_stuck(&distances(graph, goal)) {
            Some(state) => Answer::Stuck(state),
            None => Answer::Holds,
        },
        Question::LeadsTo { trigger, goal } => match Fair::new(graph, classes).missing(trigger, goal) {
            Some(lasso) => Answer::Misses(lasso),
            None => Answer::Holds,
        },
        Question::Settles { trigger, goal } => settles(graph, classes, trigger, goal),
    }
}

/// No way leads from here to the goal.
pub(crate) const NO_WAY: u32 = u32::MAX;

fn first_stuck(distances: &[u32]) -> Option<u32> {
    distances.iter().zip(0..).find_map(|(&distance, state)| (distance == NO_WAY).then_some(state))
}

/// By state: how many actions the shortest way to `goal` takes.
#[must_use]
pub fn distances(graph: &Graph, goal: Marks) -> Vec<u32> {
    let sources = Sources::of(graph);
    let mut distances = vec![NO_WAY; graph.state_count() as usize];
    let mut queue: VecDeque<u32> = graph.states().filter(|&state| graph.is_marked(state, goal)).collect();
    for &state in &queue {
        distances[state as usize] = 0;
    }
    while let Some(state) = queue.pop_front() {
        for &source in sources.of_state(state) {
            if distances[source as usize] == NO_WAY {
                distances[source as usize] = distances[state as usize] + 1;
                queue.push_back(source);
            }
        }
    }
    distances
}

/// The edges of a graph backwards.
struct Sources {
    starts: Vec<u32>,
    sources: Vec<u32>,
}

impl Sources {
    fn of(graph: &Graph) -> Self {
        let count = graph.state_count() as usize;
        let mut starts = vec![0_u32; count + 2];
        let edges = || graph.states().flat_map(|state| graph.edges(state).map(move |(_, target)| (state, target)));
        edges().for_each(|(_, target)| starts[target as usize + 2] += 1);
        (1..starts.len()).for_each(|index| starts[index] += starts[index - 1]);
        let mut sources = vec![0; graph.edge_count()];
        for (source, target) in edges() {
            let next = &mut starts[target as usize + 1];
            sources[*next as usize] = source;
            *next += 1;
        }
        Self { starts, sources }
    }

    fn of_state(&self, state: u32) -> &[u32] {
        &self.sources[self.starts[state as usize] as usize..self.starts[state as usize + 1] as usize]
    }
}

/// A set of classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Classes([u64; 4]);

impl Classes {
    const ALL: Self = Self([u64::MAX; 4]);

    pub(crate) fn insert(&mut self, class: ClassId) {
        self.0[usize::from(class / 64)] |= 1 << (class % 64);
    }

    pub(crate) fn contains(self, class: ClassId) -> bool {
        self.0[usize::from(class / 64)] >> (class % 64) & 1 == 1
    }

    fn zip(self, other: Self, join: impl Fn(u64, u64) -> u64) -> Self {
        Self(std::array::from_fn(|word| join(self.0[word], other.0[word])))
    }

    pub(crate) fn and(self, other: Self) -> Self {
        self.zip(other, |left, right| left & right)
    }

    pub(crate) fn or(self, other: Self) -> Self {
        self.zip(other, |left, right| left | right)
    }

    pub(crate) fn without(self, other: Self) -> Self {
        self.zip(other, |left, right| left & !right)
    }

    pub(crate) fn is_empty(self) -> bool {
        self == Self::default()
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = ClassId> {
        (0..=ClassId::MAX).filter(move |&class| self.contains(class))
    }
}

impl FromIterator<ClassId> for Classes {
    fn from_iter<I: IntoIterator<Item = ClassId>>(classes: I) -> Self {
        let mut set = Self::default();
        classes.into_iter().for_each(|class| set.insert(class));
        set
    }
}

/// A graph with what is assumed of its classes.
pub(crate) struct Fair<'a> {
    pub(crate) graph: &'a Graph,
    pub(crate) weak: Classes,
    pub(crate) strong: Classes,
}

impl<'a> Fair<'a> {
    pub(crate) fn new(graph: &'a Graph, classes: &[Class]) -> Self {
        let with = |fairness| {
            let chosen = (0..=ClassId::MAX).zip(classes).filter(move |(_, class)| class.fairness == fairness);
            chosen.map(|(number, _)| number).collect()
        };
        Self { graph, weak: with(Fairness::Weak), strong: with(Fairness::Strong) }
    }

    /// A graph of which nothing is assumed.
    fn nothing(graph: &'a Graph) -> Self {
        Self { graph, weak: Classes::default(), strong: Classes::default() }
    }

    /// The classes that can change something in a state.
    pub(crate) fn possible(&self, state: u32) -> Classes {
        self.graph.moves(state).map(|(class, _)| class).collect()
    }

    /// A fair run that begins with `trigger` and never reaches `goal`.
    fn missing(&self, trigger: Marks, goal: Marks) -> Option<Lasso> {
        let keeps = |state| !self.graph.is_marked(state, goal);
        let view = View { graph: self.graph, keeps: &keeps, follows: &|_| true };
        let roots = || self.graph.states().filter(|&state| self.graph.is_marked(state, trigger));
        let components = Components::of(view, roots());
        let members = components.iter().find_map(|members| self.fair_part(members, &components))?;
        Some(Lasso::through(self, view, roots().filter(|&root| keeps(root)), &members))
    }

    /// The part of a component, if any, all of which a fair run can visit again and again.
    fn fair_part(&self, members: &[u32], components: &Components) -> Option<Vec<u32>> {
        let Stay { always, ever, taken } = self.stay(members, &|from, to| components.are_one(from, to));
        if !self.weak.and(always).without(taken).is_empty() {
            return None;
        }
        let starved = self.strong.and(ever).without(taken);
        if starved.is_empty() {
            return Some(members.to_vec());
        }
        // Where a starved class is possible, a fair run is only so often.
        let is_left = |state: &u32| self.possible(*state).and(starved).is_empty();
        let left: HashSet<u32> = members.iter().copied().filter(is_left).collect();
        let keeps = |state| left.contains(&state);
        let view = View { graph: self.graph, keeps: &keeps, follows: &|_| true };
        let mut roots: Vec<u32> = left.iter().copied().collect();
        roots.sort_unstable();
        let parts = Components::of(view, roots);
        parts.iter().find_map(|members| self.fair_part(members, &parts))
    }

    /// What a run can do while it stays among `members` for ever.
    pub(crate) fn stay(&self, members: &[u32], is_inside: &dyn Fn(u32, u32) -> bool) -> Stay {
        let mut stay = Stay { always: Classes::ALL, ever: Classes::default(), taken: Classes::default() };
        for &state in members {
            let possible = self.possible(state);
            stay.always = stay.always.and(possible);
            stay.ever = stay.ever.or(possible);
            let inside = self.graph.moves(state).filter(|&(_, target)| is_inside(state, target));
            stay.taken = stay.taken.or(inside.map(|(class, _)| class).collect());
        }
        stay
    }
}

/// What a run can do while it stays among some states for ever.
pub(crate) struct Stay {
    /// Classes that are possible everywhere.
    pub(crate) always: Classes,
    /// Classes that are possible somewhere.
    pub(crate) ever: Classes,
    /// Classes that are taken without leaving.
    pub(crate) taken: Classes,
}

/// What keeps every fair run from staying away from a goal: in each state that may have to reach it,
/// a level that never rises, and the weakly fair class that lowers it whenever it is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descent {
    /// By state: its level, from 1; 0 where nothing is owed.
    pub levels: Vec<u32>,
    /// By state: the class that helps.
    pub helpers: Vec<ClassId>,
}

/// The descent that proves that `trigger` leads to `goal`; none if it needs strong fairness, or does not.
#[must_use]
pub fn descent(graph: &Graph, classes: &[Class], trigger: Marks, goal: Marks) -> Option<Descent> {
    let fair = Fair::new(graph, classes);
    let keeps = |state| !graph.is_marked(state, goal);
    let view = View { graph, keeps: &keeps, follows: &|_| true };
    let components = Components::of(view, graph.states().filter(|&state| graph.is_marked(state, trigger)));
    let count = graph.state_count() as usize;
    let mut descent = Descent { levels: vec![0; count], helpers: vec![0; count] };
    for members in components.iter() {
        let Stay { always, taken, .. } = fair.stay(members, &|from, to| components.are_one(from, to));
        let helper = fair.weak.and(always).without(taken).iter().next()?;
        let below =
            members.iter().flat_map(|&state| view.moves(state)).map(|(_, target)| descent.levels[target as usize]);
        let level = below.max().unwrap_or(0) + 1;
        for &state in members {
            descent.levels[state as usize] = level;
            descent.helpers[state as usize] = helper;
        }
    }
    Some(descent)
}

fn settles(graph: &Graph, classes: &[Class], trigger: Marks, goal: Marks) -> Answer {
    match settling(graph, classes, trigger, goal) {
        Ok(settling) => Answer::Within(settling.rounds.into_iter().max().unwrap_or(0)),
        Err(lasso) => Answer::Wanders(lasso),
    }
}

/// How a goal is reached for good while nobody interferes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settling {
    /// By state: how many actions it takes at worst, 0 where it is settled; [`NOT_OWED`] where the
    /// goal need not be reached.
    pub levels: Vec<u32>,
    /// By state: how many rounds it takes at worst.
    pub rounds: Vec<u32>,
}

/// Nothing with the trigger leads here undisturbed.
pub const NOT_OWED: u32 = u32::MAX;

/// How `goal` is reached for good after `trigger`, or a run in which it is not.
///
/// # Errors
/// If there is such a run.
pub fn settling(graph: &Graph, classes: &[Class], trigger: Marks, goal: Marks) -> Result<Settling, Lasso> {
    let course = |class: ClassId| classes[usize::from(class)].course;
    let is_calm = |class| course(class) != Course::Disturbance;
    let is_unsettled = unsettled(graph, &is_calm, goal);
    let keeps = |state: u32| is_unsettled[state as usize];
    let view = View { graph, keeps: &keeps, follows: &is_calm };
    let roots = || graph.states().filter(|&state| graph.is_marked(state, trigger) && keeps(state));
    let calm = View { keeps: &|_| true, ..view };
    let cost = |class, target| u32::from(course(class) == Course::Tick && graph.is_marked(target, ROUND));
    let levels = is_unsettled.iter().map(|&is_unsettled| if is_unsettled { NOT_OWED } else { 0 }).collect();
    let mut settling = Settling { levels, rounds: vec![0; graph.state_count() as usize] };
    for members in Components::of(view, roots()).iter() {
        let (state, is_over) = (members[0] as usize, calm.moves(members[0]).next().is_none());
        if members.len() > 1 || is_over {
            return Err(Lasso::through(&Fair::nothing(graph), view, roots(), members));
        }
        let Settling { levels, rounds } = &settling;
        let level = calm.moves(members[0]).map(|(_, target)| levels[target as usize] + 1).max();
        let ahead = calm.moves(members[0]).map(|(class, target)| cost(class, target) + rounds[target as usize]).max();
        (settling.levels[state], settling.rounds[state]) = (level.unwrap_or(0), ahead.unwrap_or(0));
    }
    Ok(settling)
}

/// By state: whether it can be away from `goal` now or later while things take their course.
fn unsettled(graph: &Graph, is_calm: &dyn Fn(ClassId) -> bool, goal: Marks) -> Vec<bool> {
    let view = View { graph, keeps: &|_| true, follows: is_calm };
    let components = Components::of(view, graph.states());
    let mut unsettled = vec![false; graph.state_count() as usize];
    for members in components.iter() {
        let is_away = |&state: &u32| {
            !graph.is_marked(state, goal) || view.moves(state).any(|(_, target)| unsettled[target as usize])
        };
        if members.iter().any(is_away) {
            members.iter().for_each(|&state| unsettled[state as usize] = true);
        }
    }
    unsettled
}
