//! Our own search on small models whose answers are known beforehand.

use slotbus_check::{Ending, Findings, Limits, Verdict, explore, explore_with_stateright};
use stateright::{Model, Property};
use std::time::Duration;

/// A graph by its edges; state 0 is never anything but a state.
#[derive(Clone, Debug, Default)]
struct Graph {
    starts: Vec<u32>,
    edges: Vec<(u32, u32)>,
    bad: Option<u32>,
    goal: Option<u32>,
}

impl Model for Graph {
    type State = u32;
    type Action = u32;

    fn init_states(&self) -> Vec<u32> {
        self.starts.clone()
    }

    fn actions(&self, state: &u32, actions: &mut Vec<u32>) {
        actions.extend(self.edges.iter().filter(|(from, _)| from == state).map(|&(_, to)| to));
    }

    fn next_state(&self, _: &u32, action: u32) -> Option<u32> {
        Some(action)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no bad state", |graph: &Self, state| graph.bad != Some(*state)),
            Property::sometimes("goal", |graph: &Self, state| graph.goal == Some(*state)),
        ]
    }
}

fn search(graph: &Graph, limits: Limits) -> Findings<u32, u32> {
    explore(graph, limits, &mut |_| ())
}

fn numbers(findings: &Findings<u32, u32>) -> (usize, usize, usize, Ending) {
    (findings.states, findings.edges, findings.depth_max, findings.ending)
}

#[test]
fn a_cycle_ends() {
    let graph = Graph { starts: vec![1], edges: vec![(1, 2), (2, 3), (3, 1)], ..Graph::default() };
    assert_eq!(numbers(&search(&graph, Limits::default())), (3, 3, 2, Ending::Exhausted));
}

#[test]
fn the_join_of_a_diamond_is_one_state() {
    let graph = Graph { starts: vec![1], edges: vec![(1, 2), (1, 3), (2, 4), (3, 4)], ..Graph::default() };
    assert_eq!(numbers(&search(&graph, Limits::default())), (4, 4, 2, Ending::Exhausted));
}

#[test]
fn a_loop_to_itself_is_an_edge_and_no_state() {
    let graph = Graph { starts: vec![1], edges: vec![(1, 1)], ..Graph::default() };
    assert_eq!(numbers(&search(&graph, Limits::default())), (1, 1, 0, Ending::Exhausted));
}

#[test]
fn nowhere_to_start_is_exhausted_and_reaches_nothing() {
    let findings = search(&Graph::default(), Limits::default());
    assert_eq!(numbers(&findings), (0, 0, 0, Ending::Exhausted));
    assert_eq!(findings.judged[1].verdict, Verdict::Violated);
}

#[test]
fn a_start_may_be_given_twice_and_may_be_bad() {
    let graph = Graph { starts: vec![1, 1, 2], bad: Some(2), ..Graph::default() };
    let findings = search(&graph, Limits::default());
    assert_eq!((findings.states, findings.ending), (2, Ending::Violated));
    let path = findings.judged[0].path.as_ref().expect("a counterexample");
    assert_eq!((path.start, path.steps.len()), (2, 0));
}

#[test]
fn the_shortest_way_to_a_violation_is_told() {
    let long_way = [(1, 2), (2, 3), (3, 4), (4, 9)];
    let short_way = [(1, 5), (5, 9)];
    let graph = Graph { starts: vec![1], edges: [&long_way[..], &short_way].concat(), bad: Some(9), goal: Some(5) };
    for threads in [1, 2] {
        let findings = search(&graph, Limits { threads, ..Limits::default() });
        assert_eq!(findings.ending, Ending::Violated);
        let path = findings.judged[0].path.as_ref().expect("a counterexample");
        assert_eq!((path.start, &path.steps[..]), (1, &[(5, 5), (9, 9)][..]));
        assert_eq!(findings.judged[0].verdict, Verdict::Violated);
        assert_eq!(findings.judged[1].verdict, Verdict::Holds);
    }
}

#[test]
fn what_is_reached_nowhere_is_violated_only_once_all_is_seen() {
    let graph = Graph { starts: vec![1], edges: vec![(1, 2), (2, 3), (3, 4)], goal: Some(9), ..Graph::default() };
    let cut_off = search(&graph, Limits { states_max: Some(2), ..Limits::default() });
    assert_eq!((cut_off.ending, cut_off.judged[1].verdict), (Ending::CutOff, Verdict::Unknown));
    let whole = search(&graph, Limits::default());
    assert_eq!((whole.ending, whole.judged[1].verdict), (Ending::Exhausted, Verdict::Violated));
}

#[test]
fn a_limit_that_is_reached_is_never_exhaustion() {
    let edges = (1..1000).map(|state| (state, state + 1)).collect();
    let graph = Graph { starts: vec![1], edges, ..Graph::default() };
    let limits = [
        Limits { states_max: Some(10), ..Limits::default() },
        Limits { time_max: Some(Duration::ZERO), ..Limits::default() },
    ];
    for limits in limits {
        let findings = search(&graph, limits);
        assert_eq!((findings.ending, findings.judged[0].verdict), (Ending::CutOff, Verdict::Unknown));
    }
}

#[test]
fn threads_change_nothing() {
    let edges = (1..5000_u32).flat_map(|state| [(state, state * 7 % 5003), (state, state * 11 % 4999)]).collect();
    let graph = Graph { starts: vec![1], edges, bad: None, goal: Some(4000) };
    let one = search(&graph, Limits::default());
    let two = search(&graph, Limits { threads: 2, ..Limits::default() });
    assert_eq!(numbers(&one), numbers(&two));
    let goal = |findings: &Findings<u32, u32>| findings.judged[1].path.as_ref().map(|path| path.steps.clone());
    assert!(goal(&one).is_some());
    assert_eq!(goal(&one), goal(&two));
}

#[test]
fn both_engines_agree_on_random_graphs() {
    let mut word = 7_u32;
    let mut random = |n: u32| {
        word = word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (word >> 8) % n
    };
    for _ in 0..40 {
        let count = 2 + random(30);
        let edges = (0..random(60)).map(|_| (random(count), random(count))).collect();
        let (bad, goal) = (Some(random(2 * count)), Some(random(2 * count)));
        let graph = Graph { starts: vec![0], edges, bad, goal };
        let own = search(&graph, Limits::default());
        let other = explore_with_stateright(graph.clone(), Limits::default(), &mut |_| ());
        assert_eq!(own.ending, other.ending, "{graph:?}");
        assert_eq!(own.judged[0].verdict, other.judged[0].verdict, "{graph:?}");
        if own.ending == Ending::Exhausted {
            assert_eq!(
                (own.states, own.edges, own.depth_max),
                (other.states, other.edges, other.depth_max),
                "{graph:?}"
            );
            assert_eq!(own.judged[1].verdict, other.judged[1].verdict, "{graph:?}");
        }
    }
}
