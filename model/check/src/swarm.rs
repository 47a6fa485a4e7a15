//! Owns how the runs of a batch are shared out among threads, and handed out in the order of their
//! seeds whichever ends first. Knows nothing of what a run does.

use crate::{
    script::Script,
    shrink::shrunk,
    simulate::{Batch, Options, simulate, story},
};
use slotbus_world::simulate::Outcome;
use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    sync::{
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

/// One run that has ended.
#[derive(Debug)]
pub struct Finished {
    /// Its seed.
    pub seed: u64,
    /// What came of it.
    pub outcome: Outcome,
    /// How it failed, if it did.
    pub failure: Option<Failure>,
}

/// How a run failed.
#[derive(Debug)]
pub struct Failure {
    /// What happened last.
    pub story: String,
    /// A small run that fails in the same way.
    pub script: Script,
}

impl Finished {
    fn of(batch: &Batch, seed: u64) -> Self {
        Self::after(&batch.options_for(seed), shrunk)
    }

    /// The run of a script.
    #[must_use]
    pub fn replayed(script: &Script) -> Self {
        Self::after(&script.options, Script::clone)
    }

    fn after(options: &Options, shrink: impl FnOnce(&Script) -> Script) -> Self {
        let outcome = simulate(options);
        let failure = outcome.violation.is_some().then(|| {
            let script = shrink(&Script::of(options, &outcome));
            Failure { story: story(&script.options), script }
        });
        Self { seed: options.seed, outcome, failure }
    }
}

/// Runs a batch on so many threads. `take` gets each run in the order of seeds, and ends it all
/// with a break.
pub fn run(batch: &Batch, threads: usize, mut take: impl FnMut(Finished) -> ControlFlow<()>) {
    let seeds: Vec<u64> = batch.seeds().collect();
    let (next, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..threads {
            let (sender, seeds, next, is_over) = (sender.clone(), &seeds, &next, &is_over);
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(&seed) = seeds.get(index) else { return };
                    // Nobody listens any more once a break was asked for.
                    let _ = sender.send((index, Finished::of(batch, seed)));
                }
            });
        }
        drop(sender);
        let mut waiting = BTreeMap::new();
        let mut due = 0;
        for (index, finished) in receiver {
            waiting.insert(index, finished);
            while let Some(finished) = waiting.remove(&due) {
                due += 1;
                if take(finished).is_break() {
                    is_over.store(true, Ordering::Relaxed);
                    return;
                }
            }
        }
    });
}
