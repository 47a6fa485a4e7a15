//! Simulations hold what they should, repeat exactly, and find known faults.

use slotbus_check::simulate::{Options, config, retell, simulate, story};
use slotbus_core::{Mutant, Profile};
use slotbus_world::simulate::Outcome;
use std::process::{Command, Output};

fn options(seed: u64, mutant: Option<Mutant>) -> Options {
    Options {
        seed,
        nodes: Some(5),
        replicas: Some(1),
        duration_ms: 20_000,
        steps_max: None,
        is_quiet: false,
        config: config(Profile::SLOTBUS, mutant),
    }
}

fn check(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_slotbus-check")).args(arguments).output().expect("the checker runs")
}

#[test]
fn quiet_clusters_form_and_stay_as_they_are() {
    for (seed, nodes, replicas) in [(1, 3, 0), (2, 6, 1), (3, 9, 2), (4, 30, 1)] {
        let quiet = Options { nodes: Some(nodes), replicas: Some(replicas), is_quiet: true, ..options(seed, None) };
        let Outcome { numbers, violation } = simulate(&quiet);
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
fn a_run_under_faults_holds_elections_and_converges() {
    let runs: Vec<_> = (1..40).map(|seed| simulate(&options(seed, None))).collect();
    assert!(runs.iter().map(|run| run.numbers.elections).sum::<u64>() > 10);
    assert!(runs.iter().filter(|run| run.violation.is_none()).all(|run| run.numbers.acts > 0));
    assert!(runs.iter().any(|run| run.violation.is_none() && run.numbers.elections > 0));
}

#[test]
fn known_faults_are_found_and_told() {
    // Named, because a run without a mutant may break another property.
    for (mutant, property) in
        [(Mutant::EpochNotSaved, "S8"), (Mutant::EpochNotRaised, "S7"), (Mutant::ClaimKeepsLoser, "S9")]
    {
        let found = (1..60).map(|seed| options(seed, Some(mutant))).find_map(|options| {
            let outcome = simulate(&options);
            let is_it =
                outcome.violation.as_ref().is_some_and(|violation| violation.property.id().starts_with(property));
            is_it.then_some((options, outcome))
        });
        let (options, outcome) = found.unwrap_or_else(|| panic!("{} is not found", mutant.id()));
        let violation = outcome.violation.clone().expect("it is broken");
        let text = story(&options, &outcome);
        assert!(text.contains("BREAKS") && text.contains(violation.property.id()), "{text}");
    }
}

#[test]
fn the_command_line_replays_and_refuses() {
    let arguments =
        ["simulate", "--nodes", "5", "--replicas", "1", "--seed", "9", "--quiet-network", "--duration-s", "5"];
    let output = check(&[&arguments[..], &["--json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    let run = &document["simulations"][0];
    let replay: Vec<String> = run["replay"].as_str().expect("a command").split(' ').skip(1).map(Into::into).collect();
    let again = check(&replay.iter().map(String::as_str).chain(["--json"]).collect::<Vec<_>>());
    let again: serde_json::Value = serde_json::from_slice(&again.stdout).expect("one JSON document");
    assert_eq!(run["digest"], again["simulations"][0]["digest"]);
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
    let schedule = std::fs::read_to_string(&path).expect("the schedule");
    std::fs::remove_file(&path).expect("the schedule is there");
    assert!(schedule.contains("is asked to MEET") && schedule.contains("receives PONG"));
}
