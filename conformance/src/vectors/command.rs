//! Owns what `slotbus-conform generate` and `replay` print, and which exit codes they make.

use super::{
    adapter,
    cover::Report,
    generate::{self, Options},
    mutants::{self, Hunt},
    pack::{self, Named},
    parallel,
    replay::{self, Verdict},
    vector::Level,
};
use crate::{progress::Progress, report::Outcome};
use serde_json::json;
use std::{collections::BTreeMap, fs, path::Path, time::Instant};

/// The report of a generation lies beside its vectors.
const REPORT: &str = "coverage.json";
/// So many vectors that do not pass are told of.
const TOLD_MAX: usize = 20;
/// The vectors of a release catch at least so many of a hundred faults, where the inside is seen.
const CAUGHT_PERCENT_MIN: usize = 95;

/// Generates vectors into a folder.
#[must_use]
pub fn generate(folder: &Path, options: &Options, as_json: bool) -> Outcome {
    let begun = Instant::now();
    let progress = Progress::open();
    let generated = generate::generate(options, &mut |what| progress.say(what));
    drop(progress);
    let written = generated.and_then(|made| {
        let bytes = pack::write(folder, &options.profile, &made.vectors)?;
        let report = serde_json::to_string_pretty(&made.report).unwrap_or_default();
        let file = folder.join(format!("{}-{REPORT}", options.profile));
        fs::write(&file, report + "\n").map_err(|error| format!("cannot write {}: {error}", file.display()))?;
        Ok((made.report, bytes))
    });
    match written {
        Ok((report, bytes)) if as_json => {
            println!("{}", json!({"tool": "slotbus-conform", "bytes": bytes, "report": report}));
            Outcome::Conforms
        }
        Ok((report, bytes)) => {
            print(&report, bytes, begun);
            Outcome::Conforms
        }
        Err(trouble) => unusable(&trouble),
    }
}

fn unusable(trouble: &str) -> Outcome {
    eprintln!("slotbus-conform: {trouble}");
    Outcome::Unusable
}

fn print(report: &Report, bytes: u64, begun: Instant) {
    let seconds = begun.elapsed().as_secs_f64();
    println!("{} vectors, {bytes} bytes, {} steps explored, {seconds:.0} s", report.vectors, report.steps_explored);
    for (level, count) in &report.levels {
        println!("  {level:?}: {count}");
    }
    for (name, count) in &report.features {
        println!("  {name}: {count}");
    }
    println!("  rules: {} covered, {} not", report.covered.len(), report.uncovered.len());
    for (rule, reason) in &report.uncovered {
        println!("    {rule}: {reason}");
    }
}

/// What is asked of a replay.
#[derive(Clone, Debug)]
pub struct Replay {
    /// The program to hold to the vectors; the model itself if none.
    pub adapter: Option<String>,
    /// Vectors that need more to be judged are left out; L2 for the model, L1 for a program if none.
    pub level: Option<Level>,
    /// At most so many vectors, evenly spread.
    pub limit: Option<usize>,
    /// How many adapters at once.
    pub jobs: usize,
    /// Print one JSON document.
    pub json: bool,
}

/// Replays the vectors of a folder.
#[must_use]
pub fn replay(folder: &Path, asked: &Replay) -> Outcome {
    let level = asked.level.unwrap_or(if asked.adapter.is_some() { Level::L1 } else { Level::L2 });
    let vectors = match pack::read(folder) {
        Ok(vectors) => vectors,
        Err(trouble) => {
            eprintln!("slotbus-conform: {trouble}");
            return Outcome::Diverges;
        }
    };
    let mut vectors: Vec<Named> = vectors.into_iter().filter(|named| named.vector.level() <= level).collect();
    thin(&mut vectors, asked.limit);
    let begun = Instant::now();
    let progress = Progress::of(vectors.len(), "vectors");
    let played = match &asked.adapter {
        None => Ok(parallel::map(vectors.iter().collect(), |named| {
            progress.advance();
            replay::in_process(named)
        })),
        Some(command) => adapter::replay(&vectors, command, level, asked.jobs, &progress),
    };
    drop(progress);
    match played {
        Ok(verdicts) => tell(&vectors, &verdicts, asked.json, begun),
        Err(trouble) => unusable(&trouble),
    }
}

/// Keeps so many, evenly spread.
fn thin(vectors: &mut Vec<Named>, limit: Option<usize>) {
    let total = vectors.len();
    if let Some(limit) = limit.filter(|&limit| limit < total) {
        let mut index = 0;
        vectors.retain(|_| {
            let is_kept = index * limit / total != (index + 1) * limit / total;
            index += 1;
            is_kept
        });
    }
}

fn tell(vectors: &[Named], verdicts: &[Verdict], as_json: bool, begun: Instant) -> Outcome {
    let count = |test: fn(&Verdict) -> bool| verdicts.iter().filter(|verdict| test(verdict)).count();
    let passed = count(|verdict| *verdict == Verdict::Passes);
    let differ = count(|verdict| matches!(verdict, Verdict::Differs(_)));
    let unplayed = verdicts.len() - passed - differ;
    let failed = vectors.iter().zip(verdicts).filter(|(_, verdict)| **verdict != Verdict::Passes);
    if as_json {
        let failed: Vec<_> = failed.map(|(named, verdict)| failure(named, verdict)).collect();
        println!("{}", json!({"tool": "slotbus-conform", "passed": passed, "failed": failed}));
    } else {
        for (named, verdict) in failed.take(TOLD_MAX) {
            println!("{}", failure(named, verdict));
        }
        let seconds = begun.elapsed().as_secs_f64();
        println!(
            "{passed} of {} vectors pass, {differ} differ, {unplayed} could not be played; {seconds:.1} s",
            verdicts.len()
        );
    }
    match (differ, unplayed) {
        (0, 0) => Outcome::Conforms,
        (0, _) => Outcome::Unusable,
        (_, _) => Outcome::Diverges,
    }
}

fn failure(named: &Named, verdict: &Verdict) -> serde_json::Value {
    let (situation, rules) = (&named.vector.situation, named.vector.rules());
    match verdict {
        Verdict::Passes => json!({"id": named.id}),
        Verdict::Differs(difference) => {
            json!({"id": named.id, "situation": situation, "rules": rules, "difference": difference})
        }
        Verdict::Unplayed(trouble) => json!({"id": named.id, "situation": situation, "trouble": trouble}),
    }
}

/// Holds every deliberate fault of the core to the vectors of a folder. Where the inside is seen, nearly all
/// must be caught; what the wire alone shows is only counted.
#[must_use]
pub fn hunt_mutants(folder: &Path, level: Level, as_json: bool) -> Outcome {
    let progress = Progress::of(slotbus_core::Mutant::ALL.len(), "faults");
    let hunted = pack::read(folder).and_then(|vectors| mutants::hunt(&vectors, level, |_| progress.advance()));
    drop(progress);
    let hunts = match hunted {
        Ok(hunts) => hunts,
        Err(trouble) => return unusable(&trouble),
    };
    let killed = hunts.iter().filter(|hunt| hunt.caught_by.is_some()).count();
    tell_hunts(&hunts, killed, level, as_json);
    let is_enough = level < Level::L2 || killed * 100 >= hunts.len() * CAUGHT_PERCENT_MIN;
    if is_enough { Outcome::Conforms } else { Outcome::Diverges }
}

fn tell_hunts(hunts: &[Hunt], killed: usize, level: Level, as_json: bool) {
    if as_json {
        let caught: BTreeMap<_, _> = hunts.iter().map(|hunt| (hunt.mutant.id(), &hunt.caught_by)).collect();
        println!("{}", json!({"level": level, "killed": killed, "of": hunts.len(), "mutants": caught}));
    } else {
        for hunt in hunts.iter().filter(|hunt| hunt.caught_by.is_none()) {
            println!("survives: {} ({})", hunt.mutant.id(), hunt.mutant.rule());
        }
        println!("{killed} of {} faults are caught at {level:?}", hunts.len());
    }
}
