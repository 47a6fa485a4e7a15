//! Simulations hold what they should, repeat exactly, and find known faults.

use slotbus_check::{
    script::Script,
    shrink::shrunk,
    simulate::{Options, config, retell, simulate, story},
};
use slotbus_core::{Mutant, Profile};
use slotbus_world::{scenario::Scenario, simulate::Outcome};
use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

fn options(seed: u64, mutant: Option<Mutant>) -> Options {
    Options {
        seed,
        nodes: Some(5),
        replicas: Some(1),
        duration_ms: 20_000,
        steps_max: None,
        is_quiet: false,
        config: config(Profile::SLOTBUS, mutant),
        acts: None,
    }
}

fn check(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_slotbus-check")).args(arguments).output().expect("the checker runs")
}

#[test]
fn quiet_clusters_form_and_stay_as_they_are() {
    for (seed, nodes, replicas) in [(1, 3, 0), (2, 6, 1), (3, 9, 2), (4, 30, 1)] {
        let quiet = Options { nodes: Some(nodes), replicas: Some(replicas), is_quiet: true, ..options(seed, None) };
        let Outcome { numbers, violation, .. } = simulate(&quiet);
        assert_eq!(violation, None, "seed {seed}");
        assert_eq!((numbers.nodes, numbers.elections), (nodes, 0));
        assert!(numbers.formed_ms > 0 && numbers.messages > nodes as u64 && numbers.bytes > 2000 * numbers.messages);
    }
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_seed_another() {
    let first = simulate(&options(5, None));
    assert_eq!(first, simulate(&options(5, None)));
    assert_ne!(first.numbers.digest, simulate(&options(6, None)).numbers.digest);
    let mut lines = 0_u64;
    assert_eq!(first, retell(&options(5, None), &mut |_| lines += 1), "telling a run does not change it");
    assert!(lines >= first.numbers.steps);
}

#[test]
fn runs_under_faults_hold_elections_and_converge() {
    let mut elections = 0;
    for seed in 1..=40 {
        let Outcome { numbers, violation, .. } = simulate(&options(seed, None));
        assert_eq!(violation, None, "seed {seed}");
        assert!(numbers.acts > 0);
        elections += numbers.elections;
    }
    assert!(elections > 10);
}

/// Seeds that are tried for each mutant.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=60;

#[test]
fn every_mutant_is_caught_by_a_scenario_or_a_seed() {
    let scenarios = scenarios();
    let mut uncaught = Vec::new();
    for &mutant in Mutant::ALL {
        let by_scenario = scenarios.iter().find(|(_, text)| !is_told_as_before(text, mutant));
        let drawn = |seed| Options { nodes: None, replicas: None, duration_ms: 60_000, ..options(seed, Some(mutant)) };
        let by_seed = || SEEDS.map(|seed| (seed, simulate(&drawn(seed)).violation));
        let catcher = match by_scenario {
            Some((name, _)) => Some(format!("scenario {name}")),
            None => by_seed().find_map(|(seed, broken)| Some(format!("seed {seed}: {}", broken?))),
        };
        match catcher {
            Some(catcher) => println!("{}: {catcher}", mutant.id()),
            None => uncaught.push(mutant),
        }
    }
    assert_eq!(uncaught, []);
}

fn scenarios() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../world/scenarios");
    let files = fs::read_dir(folder).expect("scenarios").map(|file| file.expect("a file").path());
    let read = |path: std::path::PathBuf| {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        (name, fs::read_to_string(&path).expect("a scenario"))
    };
    let mut scenarios: Vec<_> = files.map(read).collect();
    scenarios.sort();
    scenarios
}

/// Whether a scenario leads to the same with a mutant as without.
fn is_told_as_before(text: &str, mutant: Mutant) -> bool {
    let scenario = Scenario::parse(text).expect("a scenario");
    scenario.run_as(|config| config.mutant = Some(mutant)).is_ok_and(|run| run.text == text)
}

#[test]
fn a_known_fault_is_told_and_shrinks_to_a_script_that_replays_it() {
    let count = |script: &Script| script.options.acts.as_ref().map_or(0, Vec::len);
    let failing = SEEDS.map(|seed| options(seed, Some(Mutant::FailWithoutQuorum))).filter_map(|options| {
        let outcome = simulate(&options);
        let script = Script::of(&options, &outcome);
        (script.breaks.is_some() && count(&script) > 3).then_some((outcome, script))
    });
    let (outcome, whole) = failing.into_iter().next().expect("a failure after a few acts");
    assert_eq!(simulate(&whole.options).violation, outcome.violation, "the script is the run");
    let small = shrunk(&whole);
    assert!(count(&small) < count(&whole), "{small}");
    let read = Script::parse(&small.to_string()).expect("a script");
    assert_eq!(read, small);
    let violation = simulate(&read.options).violation.expect("it fails");
    assert_eq!(Some(violation.property), whole.breaks);
    let text = story(&read.options);
    assert!(text.contains("BREAKS") && text.contains(violation.property.id()), "{text}");
}

#[test]
fn the_command_line_writes_a_failure_and_replays_it() {
    let folder = std::env::temp_dir().join(format!("slotbus-failures-{}", std::process::id()));
    let name = folder.to_string_lossy().into_owned();
    let mutant = ["simulate", "--nodes", "5", "--replicas", "1", "--duration-s", "20", "--mutant", "epoch-not-raised"];
    let failed = check(&[&mutant[..], &["--runs", "3", "--threads", "2", "--counterexample", &name]].concat());
    assert_eq!(failed.status.code(), Some(1), "{}", String::from_utf8_lossy(&failed.stderr));
    let script = folder.join("seed-1.txt").to_string_lossy().into_owned();
    let replayed = check(&["simulate", "--replay", &script]);
    assert_eq!(replayed.status.code(), Some(1), "{}", String::from_utf8_lossy(&replayed.stderr));
    assert!(replayed.stderr.is_empty(), "{}", String::from_utf8_lossy(&replayed.stderr));
    assert!(String::from_utf8_lossy(&replayed.stdout).contains("BROKEN S7 CurDominates"));
    fs::write(&script, "seed 1\nat 5 dance n1\n").expect("a broken script");
    let refused = check(&["simulate", "--replay", &script]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("line 2: 'dance n1'"));
    fs::remove_dir_all(&folder).expect("the folder is there");
}

#[test]
fn threads_change_nothing_that_is_shown() {
    let quiet = ["simulate", "--nodes", "5", "--replicas", "1", "--duration-s", "5", "--runs", "6"];
    let shown = |threads: &str| check(&[&quiet[..], &["--threads", threads]].concat());
    let (one, three) = (shown("1"), shown("3"));
    assert_eq!(one.status.code(), Some(0), "{}", String::from_utf8_lossy(&one.stdout));
    assert_eq!(String::from_utf8_lossy(&one.stdout), String::from_utf8_lossy(&three.stdout));
    assert!(String::from_utf8_lossy(&one.stdout).contains("S6 Monotone              holds"));
}

#[test]
fn the_command_line_refuses_what_it_cannot_use() {
    for wrong in [["--nodes", "2"], ["--shard", "2/2"], ["--profile", "redis-1"], ["--mutant", "none"]] {
        let refused = check(&["simulate", wrong[0], wrong[1]]);
        assert_eq!(refused.status.code(), Some(2), "{wrong:?}");
        assert!(String::from_utf8_lossy(&refused.stderr).contains(wrong[1]), "{wrong:?}");
    }
}

#[test]
fn shards_share_out_the_seeds() {
    let seeds = |shard: &str| -> Vec<u64> {
        let quiet = ["simulate", "--nodes", "3", "--replicas", "0", "--quiet-network", "--duration-s", "1", "--json"];
        let output = check(&[&quiet[..], &["--runs", "4", "--seed", "10", "--shard", shard]].concat());
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
        let runs = document["simulations"].as_array().expect("runs");
        runs.iter().filter_map(|run| run["seed"].as_u64()).collect()
    };
    assert_eq!((seeds("0/2"), seeds("1/2")), (vec![10, 12], vec![11, 13]));
}

#[test]
fn a_schedule_is_written_on_request() {
    let path = std::env::temp_dir().join(format!("slotbus-schedule-{}.txt", std::process::id()));
    let name = path.to_string_lossy().into_owned();
    let quiet = ["simulate", "--nodes", "3", "--replicas", "0", "--quiet-network", "--duration-s", "1"];
    assert_eq!(check(&[&quiet[..], &["--trace-out", &name]].concat()).status.code(), Some(0));
    let schedule = fs::read_to_string(&path).expect("the schedule");
    fs::remove_file(&path).expect("the schedule is there");
    assert!(schedule.contains("is asked to MEET") && schedule.contains("receives PONG"));
}
