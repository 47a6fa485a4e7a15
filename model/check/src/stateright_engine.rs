//! Owns the other engine: Stateright's own breadth-first checker, with the same findings as ours.
//! Knows no protocol.
//!
//! Stateright takes a run that a limit cut off for done: so it gets no limits, they are watched from
//! here. It also leaves states unexpanded once it has found something for every property: so a run
//! counts as exhausted only if some property that must always hold was never found violated.

use crate::explore::{Ending, Findings, Judged, Limits, Path, Progress, verdict};
use stateright::{Checker, Expectation, HasDiscoveries, Model, Property};
use std::{
    fmt::Debug,
    hash::Hash,
    time::{Duration, Instant},
};

/// How often the limits are looked at.
const WATCH: Duration = Duration::from_millis(5);

/// Searches `model` with Stateright, until a property is violated, all is seen or a limit is reached.
/// A search that is cut off goes on in the background until the process ends.
pub fn explore_with_stateright<M>(
    model: M,
    limits: Limits,
    progress: &mut dyn FnMut(Progress),
) -> Findings<M::State, M::Action>
where
    M: Model + Send + Sync + 'static,
    M::State: Hash + Clone + PartialEq + Debug + Send + Sync + 'static,
    M::Action: Clone + PartialEq + Debug + Send + Sync + 'static,
{
    let started = Instant::now();
    let starts = model.init_states().len();
    let properties = model.properties();
    let builder = model.checker().threads(limits.threads.max(1)).finish_when(HasDiscoveries::AnyFailures);
    let checker = builder.spawn_bfs();
    while !checker.is_done() {
        let states = checker.unique_state_count();
        progress(Progress {
            states,
            edges: checker.state_count().saturating_sub(starts),
            depth: checker.max_depth().saturating_sub(1),
            frontier: 0,
        });
        let is_full = limits.states_max.is_some_and(|max| states >= max);
        let is_late = limits.time_max.is_some_and(|max| started.elapsed() >= max);
        if is_full || is_late {
            return findings(&checker, &properties, starts, started, true);
        }
        std::thread::sleep(WATCH);
    }
    findings(&checker.join(), &properties, starts, started, false)
}

fn findings<M>(
    checker: &impl Checker<M>,
    properties: &[Property<M>],
    starts: usize,
    started: Instant,
    is_cut_off: bool,
) -> Findings<M::State, M::Action>
where
    M: Model,
    M::State: Hash + Clone + PartialEq + Debug,
    M::Action: Clone + PartialEq + Debug,
{
    let discoveries = checker.discoveries();
    let is_violation = |property: &Property<M>| {
        matches!(property.expectation, Expectation::Always) && discoveries.contains_key(property.name)
    };
    let has_open = properties.iter().any(|property| matches!(property.expectation, Expectation::Always));
    let ending = if properties.iter().any(is_violation) {
        Ending::Violated
    } else if is_cut_off || !has_open {
        Ending::CutOff
    } else {
        Ending::Exhausted
    };
    let judged = properties.iter().map(|property| Judged {
        name: property.name,
        expectation: property.expectation.clone(),
        verdict: verdict(&property.expectation, discoveries.contains_key(property.name), ending),
        path: discoveries.get(property.name).and_then(|path| path_of(path.clone().into_vec())),
    });
    Findings {
        states: checker.unique_state_count(),
        edges: checker.state_count().saturating_sub(starts),
        depth_max: checker.max_depth().saturating_sub(1),
        elapsed: started.elapsed(),
        ending,
        judged: judged.collect(),
    }
}

/// Stateright pairs each state with the action that follows it, we with the one that led to it.
fn path_of<S: Clone, A>(pairs: Vec<(S, Option<A>)>) -> Option<Path<S, A>> {
    let start = pairs.first()?.0.clone();
    let states: Vec<S> = pairs.iter().skip(1).map(|(state, _)| state.clone()).collect();
    let actions = pairs.into_iter().filter_map(|(_, action)| action);
    Some(Path { start, steps: actions.zip(states).collect() })
}
