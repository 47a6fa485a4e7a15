//! Questions about what happens in the end, on graphs whose answers are known beforehand.

mod toy;

use slotbus_check::{
    Limits, explore_graph,
    frontier::Whole,
    graph::{Fairness, Marks},
    lasso::{reenact, walk},
    liveness::{Answer, Question, ask, descent},
};
use std::sync::atomic::{AtomicU32, Ordering};
use toy::{Dice, GOAL, Letters, TRIGGER, Toy};

const NONE: Fairness = Fairness::Unfair;
const WEAK: Fairness = Fairness::Weak;
const STRONG: Fairness = Fairness::Strong;

/// Whether the goal stays reachable, and whether the trigger leads to it: never mind fairness, with
/// weak fairness of every class but faults, with strong.
struct Case {
    what: &'static str,
    edges: &'static str,
    trigger: &'static [u32],
    goal: &'static [u32],
    recoverable: bool,
    leads: [bool; 3],
}

macro_rules! cases {
    ($($what:literal: $edges:literal from $trigger:tt to $goal:tt => $recoverable:literal, $leads:expr;)+) => {
        &[$(Case { what: $what, edges: $edges, trigger: &$trigger, goal: &$goal, recoverable: $recoverable, leads: $leads },)+]
    };
}

const NEVER: [bool; 3] = [false, false, false];
const IF_WEAK: [bool; 3] = [false, true, true];
const IF_STRONG: [bool; 3] = [false, false, true];
const ALWAYS: [bool; 3] = [true, true, true];

const CASES: &[Case] = cases! {
    "the goal is where it starts": "0a0" from [0] to [0] => true, ALWAYS;
    "a step that must be taken": "0a1" from [0] to [1] => true, IF_WEAK;
    "a step that nobody must take": "0A1" from [0] to [1] => true, NEVER;
    "no step": "0a0" from [0] to [1] => false, NEVER;
    "a step that changes nothing is no step": "0a0 0A1" from [0] to [1] => true, NEVER;
    "a step that changes nothing does not count as taken": "0a0 0a1" from [0] to [1] => true, IF_WEAK;
    "a cycle without the goal ends no run": "0a1 1a0" from [0] to [2] => false, NEVER;
    "a cycle that passes the goal": "0a1 1a0" from [0] to [1] => true, IF_WEAK;
    "a cycle beside the goal, one class": "0a1 1a0 1a2" from [0] to [2] => true, NEVER;
    "a cycle beside the goal, possible now and then": "0a1 1a0 1b2" from [0] to [2] => true, IF_STRONG;
    "a cycle beside the goal, always possible": "0a1 1a0 0b2 1b2" from [0] to [2] => true, IF_WEAK;
    "a cycle of faults does not wait": "0A1 1B0 0b2 1b2" from [0] to [2] => true, IF_WEAK;
    "a cycle of faults, which may rest where nothing else is possible": "0A1 1B0 1b2" from [0] to [2] => true, NEVER;
    "a diamond whose join misses the goal": "0a1 0b2 1a3 2a3" from [0] to [1] => false, NEVER;
    "a diamond whose join reaches the goal": "0a1 0b2 1a3 2a3" from [0] to [3] => true, IF_WEAK;
    "a diamond, either way over the goal": "0a1 0b2 1a3 2a3" from [0] to [1, 2] => false, IF_WEAK;
    "a fork with one dead end": "0a1 0b2" from [0] to [1] => false, NEVER;
    "a trap after the goal": "0a1 1a2" from [0] to [1] => false, IF_WEAK;
    "a trap after the goal, asked of every state": "0a1 1a2" from [] to [1] => false, NEVER;
    "again and again": "0a1 1a0" from [] to [1] => true, IF_WEAK;
    "the trigger is never reached": "0a1" from [7] to [9] => false, ALWAYS;
    "the trigger is the goal": "0a1 1a1" from [1] to [1] => true, ALWAYS;
    "the trigger behind the goal": "0a1 1a2 2a2" from [2] to [1] => false, NEVER;
    "what happens before the trigger does not count": "0a1 1a0 0B2 2a3" from [2] to [3] => true, IF_WEAK;
    "two classes, each possible everywhere": "0a1 1b0 0b1 1a0 0c2 1c2" from [0] to [2] => true, IF_WEAK;
    "two classes that take turns": "0a1 1b0 0c2 1c2" from [0] to [2] => true, IF_WEAK;
    "one is taken inside for ever, the other leaves": "0a1 1a0 0b2 1b2 2a3" from [0] to [3] => true, IF_WEAK;
    "an inner cycle that starves within a fair outer one": "0a1 1a0 1b2 2b1 0c3" from [0] to [3] => true, IF_STRONG;
    "fair as a whole, and strongly unfair in every cycle": "0a1 1a0 0b2 2b0 1c3 2d3" from [0] to [3] => true, IF_STRONG;
    "strongly unfair as a whole, fair in a part": "0a1 1a0 1a2 2a1 0b3" from [0] to [3] => true, NEVER;
    "strongly unfair in every part": "0a1 1a0 1a2 2a1 0b3 2c3" from [0] to [3] => true, IF_STRONG;
    "every cycle passes where it can leave": "0a1 1a0 0a2 2a0 0b3" from [0] to [3] => true, IF_STRONG;
    "a nested part starves in the second round": "0a1 1a0 1a2 2a1 0b5 1c5 2d5" from [0] to [5] => true, IF_STRONG;
    "staying is fair where only faults can go on": "0a1 1A0 1A2" from [0] to [2] => true, NEVER;
    "staying is unfair where anything must go on": "0a1 1a2" from [0] to [2] => true, IF_WEAK;
    "faults may end": "0A1 1A2 0b3 1b3 2b3" from [0] to [3] => true, IF_WEAK;
    "faults may cut off the goal": "0A1 0b3" from [0] to [3] => false, NEVER;
    "a fault that may be repaired": "0A1 1B0 0b3" from [0] to [3] => true, NEVER;
    "a fault that must be repaired": "0A1 1a0 0b3" from [0] to [3] => true, IF_STRONG;
    "a fault that happens once": "0A1 1a2 0b3 2b3" from [0] to [3] => true, IF_WEAK;
    "two goals, each reached by some": "0a1 0b2 1a1" from [0] to [1, 2] => true, IF_WEAK;
    "a long way": "0a1 1a2 2a3 3a4 4a5 5a6 6a7 7a8 8a9" from [0] to [9] => true, IF_WEAK;
    "a long way with a leap back": "0a1 1a2 2a3 3b0 3c4" from [0] to [4] => true, IF_STRONG;
    "a long way with a leap back of the same class": "0a1 1a2 2a3 3a0 3a4" from [0] to [4] => true, NEVER;
    "a counter that wraps": "0a1 1a2 2a3 3a0" from [] to [2] => true, IF_WEAK;
    "two cycles that share a state, the goal in one": "0a1 1a0 0b2 2b0" from [] to [2] => true, IF_STRONG;
};

fn leads(fairness: Fairness, case: &Case, trigger: Marks) -> bool {
    let toy = Toy::new(case.edges, case.trigger, case.goal);
    let (graph, letters) = toy.graph(fairness);
    let classes = letters.all();
    let answer = ask(&graph, classes, Question::LeadsTo { trigger, goal: GOAL }).expect("a whole graph");
    if let Answer::Misses(lasso) = &answer {
        let trail = reenact(&toy, &letters, &graph, lasso, Some(GOAL));
        let trail = trail.unwrap_or_else(|| panic!("{}: {lasso:?} is not what happens", case.what));
        let states = || std::iter::once(&trail.path.start).chain(trail.path.steps.iter().map(|(_, state)| state));
        let is_trigger = |state| trigger == 0 || case.trigger.contains(state);
        let is_owed =
            states().fold(false, |is_owed, state| (is_owed || is_trigger(state)) && !case.goal.contains(state));
        assert!(is_owed, "{}: {lasso:?} owes nothing", case.what);
    }
    let proof = descent(&graph, classes, trigger, GOAL);
    assert!(proof.is_none() || answer.holds(), "{}: a proof of what is false", case.what);
    assert!(fairness != WEAK || proof.is_some() == answer.holds(), "{}: no proof of what is true", case.what);
    answer.holds()
}

#[test]
fn every_small_graph_is_answered_as_it_is_by_eye() {
    const { assert!(CASES.len() >= 40) };
    let judged = |case: &Case| {
        let trigger = if case.trigger.is_empty() { 0 } else { TRIGGER };
        [NONE, WEAK, STRONG].map(|fairness| leads(fairness, case, trigger))
    };
    let wrong = CASES.iter().filter(|case| judged(case) != case.leads);
    let wrong: Vec<_> = wrong.map(|case| (case.what, case.edges, judged(case))).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_small_graph_stays_recoverable_or_says_where_it_is_stuck() {
    for case in CASES {
        let toy = Toy::new(case.edges, case.trigger, case.goal);
        let (graph, letters) = toy.graph(NONE);
        let classes = letters.all();
        match ask(&graph, classes, Question::Recoverable { goal: GOAL }).expect("a whole graph") {
            Answer::Stuck(state) => {
                assert!(!case.recoverable, "{}", case.what);
                let way = graph.way_to(state);
                assert!(!way.iter().skip(1).any(|&state| graph.is_marked(state, GOAL)) || way.len() > 1);
            }
            Answer::Holds => assert!(case.recoverable, "{}", case.what),
            Answer::Within(_) | Answer::Misses(_) | Answer::Wanders(_) => panic!("{}: no such answer", case.what),
        }
    }
}

fn settles(edges: &str, goal: &[u32]) -> Option<u32> {
    let toy = Toy::new(edges, &[], goal);
    let (graph, letters) = toy.graph(WEAK);
    let classes = letters.all();
    match ask(&graph, classes, Question::Settles { trigger: 0, goal: GOAL }).expect("a whole graph") {
        Answer::Within(rounds) => Some(rounds),
        Answer::Wanders(lasso) => {
            reenact(&toy, &letters, &graph, &lasso, None).expect("a run of the model");
            None
        }
        answer @ (Answer::Holds | Answer::Stuck(_) | Answer::Misses(_)) => panic!("{answer:?}"),
    }
}

#[test]
fn the_worst_number_of_rounds_is_exact() {
    assert_eq!(settles("0a1 1a1", &[0, 1]), Some(0), "settled from the start");
    assert_eq!(settles("0t1 1t1", &[1]), Some(1));
    assert_eq!(settles("0t1 1a2 2t3 0a3", &[3]), Some(2), "the longest way counts, and only ticks");
    assert_eq!(settles("0t1 1t0", &[1]), None, "it never stays");
    assert_eq!(settles("0a1", &[0]), None, "it ends elsewhere");
    assert_eq!(settles("0t1 1A0 1t1", &[1]), Some(1), "a fault after which it settles again");
    assert_eq!(settles("0t1 1t2 2t3 1A4 4t5 5t6 6t3", &[3]), Some(3), "the worst fault counts");
    assert_eq!(settles("0t1 1t2 2t2", &[0, 2]), Some(2), "a goal that is left again was not reached for good");
}

#[test]
fn what_was_not_explored_is_not_answered() {
    let chain: String = (0..9).map(|state| format!("{state}a{} ", state + 1)).collect();
    let toy = Toy { boundary: Some(4), ..Toy::new(&chain, &[], &[5]) };
    let (graph, letters) = toy.graph(WEAK);
    let classes = letters.all();
    assert!(!graph.is_whole());
    assert_eq!(ask(&graph, classes, Question::LeadsTo { trigger: 0, goal: GOAL }), None);
    let limits = Limits { states_max: Some(3), ..Limits::default() };
    let cut_off = explore_graph(&Toy { boundary: None, ..toy }, &letters, Whole::default(), limits, &mut |_| ()).1;
    assert_eq!(ask(&cut_off, classes, Question::Recoverable { goal: GOAL }), None);
}

#[test]
fn a_model_without_properties_is_explored_all_the_same() {
    let chain: String = (0..100).map(|state| format!("{state}a{} ", state + 1)).collect();
    assert_eq!(Toy::new(&chain, &[], &[]).graph(NONE).0.state_count(), 101);
}

#[test]
fn a_long_graph_needs_no_deep_stack() {
    let (_, graph) =
        explore_graph(&Ring(200_000), &Letters::new(WEAK), Whole::default(), Limits::default(), &mut |_| ());
    let letters = Letters::new(WEAK);
    assert_eq!(ask(&graph, letters.all(), Question::LeadsTo { trigger: 0, goal: GOAL }), Some(Answer::Holds));
    let calls = CALLS.load(Ordering::Relaxed);
    assert!(calls <= 200_000, "every state is expanded once: {calls}");
}

static CALLS: AtomicU32 = AtomicU32::new(0);

/// So many states, one after the other, and back.
struct Ring(u32);

impl stateright::Model for Ring {
    type State = u32;
    type Action = ();

    fn init_states(&self) -> Vec<u32> {
        vec![0]
    }

    fn actions(&self, _: &u32, actions: &mut Vec<()>) {
        actions.push(());
    }

    fn next_state(&self, state: &u32, (): ()) -> Option<u32> {
        CALLS.fetch_add(1, Ordering::Relaxed);
        Some((state + 1) % self.0)
    }
}

impl slotbus_check::graph::Labelling<Ring> for Letters {
    fn classes(&self) -> &[slotbus_check::graph::Class] {
        self.all()
    }

    fn class(&self, _: &Ring, _: &u32, (): &()) -> u8 {
        b'a' - b'A'
    }

    fn marks(&self, ring: &Ring, state: &u32) -> Marks {
        if *state == ring.0 / 2 { GOAL } else { 0 }
    }
}

#[test]
fn fairness_only_ever_helps_and_every_miss_is_reenacted() {
    let mut dice = Dice(11);
    for _ in 0..400 {
        let states = 2 + dice.below(7);
        let edges = 2 + dice.below(14);
        let toy = dice.toy(states, edges);
        let holds = [NONE, WEAK, STRONG].map(|fairness| {
            let (graph, letters) = toy.graph(fairness);
            let classes = letters.all();
            let answer = ask(&graph, classes, Question::LeadsTo { trigger: TRIGGER, goal: GOAL }).expect("whole");
            if let Answer::Misses(lasso) = &answer {
                assert!(reenact(&toy, &letters, &graph, lasso, Some(GOAL)).is_some(), "{toy:?}: {lasso:?}");
            }
            if fairness == WEAK {
                assert_eq!(descent(&graph, classes, TRIGGER, GOAL).is_some(), answer.holds(), "{toy:?}");
            }
            answer.holds()
        });
        assert!(holds.is_sorted(), "{toy:?}: {holds:?}");
    }
}

#[test]
fn a_way_that_is_none_is_not_walked() {
    let toy = Toy::new("0a1 1a2", &[], &[]);
    let (graph, letters) = toy.graph(NONE);
    let class = b'a' - b'A';
    assert!(walk(&toy, &letters, &graph, 0, &[(class, 1), (class, 2)]).is_some());
    assert!(walk(&toy, &letters, &graph, 0, &[(class, 2)]).is_none(), "no such step");
    assert!(walk(&toy, &letters, &graph, 0, &[(class + 1, 1)]).is_none(), "another class");
}

#[test]
fn threads_change_nothing_of_the_graph() {
    let mut dice = Dice(3);
    let toy = dice.toy(3000, 9000);
    let graph = |threads| {
        let limits = Limits { threads, ..Limits::default() };
        let graph = explore_graph(&toy, &Letters::new(WEAK), Whole::default(), limits, &mut |_| ()).1;
        let edges: Vec<_> = graph.states().map(|state| graph.edges(state).collect::<Vec<_>>()).collect();
        (edges, graph.states().map(|state| graph.fingerprint(state)).collect::<Vec<_>>())
    };
    assert_eq!(graph(1), graph(2));
}
