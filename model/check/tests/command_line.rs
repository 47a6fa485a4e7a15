//! The command line as scripts see it: exit codes, the one line of an error, the fields of JSON.

use serde_json::Value;
use std::process::{Command, Output};

fn check(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_slotbus-check")).args(args).output().expect("slotbus-check starts")
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("one JSON document on stdout")
}

#[test]
fn an_exhausted_run_ends_with_0_and_says_what_it_saw() {
    let output = check(&["run", "bump_3", "--json"]);
    assert_eq!(output.status.code(), Some(0));
    let document = json(&output);
    assert_eq!(document["tool"], "slotbus-check");
    let run = &document["runs"][0];
    assert_eq!((run["config"].as_str(), run["profile"].as_str()), (Some("bump_3"), Some("slotbus")));
    assert_eq!((run["engine"].as_str(), run["exhausted"].as_bool()), (Some("own"), Some(true)));
    for field in ["states", "edges", "depth_max", "peak_rss_bytes"] {
        assert!(run[field].as_u64().is_some_and(|number| number > 0), "{field}: {run}");
    }
    assert!(run["seconds"].is_number() && run["states_per_second"].is_number());
    assert_eq!(run["bounds"]["hosts"], 3);
    let properties = run["properties"].as_array().expect("properties");
    assert!(properties.iter().all(|property| property["verdict"] == "holds"));
    assert!(properties.iter().any(|property| property["kind"] == "reachable" && property["trace_len"].is_u64()));
    let fired = run["rules_fired"].as_array().expect("rules");
    assert!(run["rules_claimed"].as_array().expect("rules").iter().all(|rule| fired.contains(rule)));
}

#[test]
fn a_violation_ends_with_1_and_leaves_a_readable_trace() {
    let folder = std::env::temp_dir().join(format!("slotbus-check-{}", std::process::id()));
    let path = folder.to_str().expect("a readable path");
    let output = check(&["run", "collision_2", "--mutant", "claim-ignores-epoch", "--counterexample", path]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("VIOLATED") && text.contains("S11 EpochGuard"), "{text}");
    let file = folder.join("collision_2.S11-EpochGuard.jsonl");
    let output = check(&["explain", file.to_str().expect("a readable path")]);
    let trace = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(trace.starts_with("1. ") && trace.contains("receives PONG of"), "{trace}");
    assert!(trace.contains("BREAKS S11 EpochGuard"), "{trace}");
    std::fs::remove_dir_all(folder).expect("the folder goes");
}

#[test]
fn a_run_that_is_cut_off_ends_with_2() {
    for limit in [["--max-states", "50"], ["--time-limit", "0"]] {
        let output = check(&["run", "collision_2", limit[0], limit[1], "--json"]);
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(json(&output)["runs"][0]["exhausted"], false);
    }
}

#[test]
fn what_is_unknown_is_named_in_one_line_and_ends_with_2() {
    for (args, name, known) in [
        (&["run", "meet_9"][..], "meet_9", "meet_2"),
        (&["run", "all", "meet_9"], "meet_9", "meet_2"),
        (&["run", "meet_2", "--profile", "redis-1"], "redis-1", "redis-7.0"),
        (&["run", "meet_2", "--mutant", "none"], "none", "ok-in-minority"),
        (&["run", "failure_3", "--actor"], "failure_3", "meet_3"),
        (&["mutants", "none"], "none", "ok-in-minority"),
        (&["mutants", "all", "none"], "none", "ok-in-minority"),
        (&["explore", "meet_9"], "meet_9", "meet_2"),
    ] {
        let output = check(args);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), text.lines().count()), (Some(2), 1), "{args:?}: {text}");
        assert!(text.contains(&format!("'{name}'")) && text.contains(known), "{text}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn mutants_say_what_caught_them() {
    let output = check(&["mutants", "epoch-not-saved", "--json"]);
    assert_eq!(output.status.code(), Some(0));
    let mutant = &json(&output)["mutants"][0];
    assert_eq!((mutant["id"].as_str(), mutant["killed"].as_bool()), (Some("epoch-not-saved"), Some(true)));
    assert_eq!(
        (mutant["property"].as_str(), mutant["rule"].as_str()),
        (Some("S8 PersistBeforeClaim"), Some("EPOCH-3"))
    );
    assert_eq!((mutant["equivalent"].as_bool(), mutant["trace_len"].is_u64()), (Some(false), true));
}

#[test]
fn the_list_names_every_configuration_with_its_bounds() {
    let document = json(&check(&["list", "--json"]));
    let configurations = document["configs"].as_array().expect("configurations");
    assert!(configurations.len() >= 12);
    for configuration in configurations {
        assert!(configuration["bounds"]["reasons"].as_array().is_some_and(|reasons| !reasons.is_empty()));
    }
    let goals = |name: &str| configurations.iter().find(|it| it["name"] == name).map(|it| it["goals"].clone());
    assert_eq!(goals("partition_3"), Some(serde_json::json!(["L4 SuspicionCleared"])));
    let properties = document["properties"].as_array().expect("properties");
    assert!(
        properties.iter().any(|it| it["name"] == "L2 Converge" && it["kind"] == "leads_to" && it["assumes"] == "N,G")
    );
    let text = String::from_utf8_lossy(&check(&["list"]).stdout).into_owned();
    assert!(text.contains("meet_2") && text.contains("S28 StateSound") && text.contains("redis-7.0"));
}

#[test]
fn a_reader_that_leaves_early_is_no_reason_to_panic() {
    for args in [&["list"][..], &["list", "--json"], &["run", "bump_3"], &["mutants", "epoch-not-saved"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = Command::new(env!("CARGO_BIN_EXE_slotbus-check"));
        let output = command.args(args).stdout(writer).output().expect("slotbus-check starts");
        assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(2), ""), "{args:?}");
    }
}

#[test]
fn liveness_is_asked_for_and_bounded_in_rounds() {
    let output = check(&["run", "bump_3", "--liveness", "--json"]);
    assert_eq!(output.status.code(), Some(0));
    let run = &json(&output)["runs"][0];
    assert_eq!(run["graph_bytes"]["edges"].as_u64(), run["edges"].as_u64().map(|edges| 5 * edges));
    let properties = run["properties"].as_array().expect("properties");
    let of = |name: &str, kind: &str| properties.iter().find(|it| it["name"] == name && it["kind"] == kind).cloned();
    for kind in ["recoverable", "leads_to", "settles"] {
        assert_eq!(of("L2 Converge", kind).expect("a goal")["verdict"], "holds", "{kind}");
    }
    assert_eq!(of("L2 Converge", "settles").expect("a goal")["rounds_max"], 4);
}

#[test]
fn a_bench_needs_actors() {
    let output = check(&["bench", "failure_3"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && text.contains("'failure_3'"), "{text}");
}

#[test]
fn a_bug_of_the_museum_is_told_from_its_absence() {
    let output = check(&["museum", "B29", "B72", "--json"]);
    assert_eq!(output.status.code(), Some(0));
    let document = json(&output);
    let seen = document["museum"].as_array().expect("bugs");
    assert_eq!(seen.len(), 2);
    for bug in seen {
        assert_eq!((bug["buggy"].as_str(), bug["fixed"].as_str()), (Some("violated"), Some("holds")), "{bug}");
        assert!(bug["trace_len"].as_u64().is_some_and(|steps| steps > 0), "{bug}");
    }
    assert_eq!(check(&["museum", "B0"]).status.code(), Some(2));
}

#[test]
fn two_profiles_stand_side_by_side() {
    let output = check(&["compare", "bump_3", "--profiles", "slotbus,valkey-9"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let row = text.lines().find(|line| line.starts_with("S7 EpochFresh")).expect("a row for each property");
    assert_eq!(row.split_whitespace().filter(|word| *word == "holds").count(), 2, "{text}");
    assert_eq!(check(&["compare", "bump_3", "--profiles", "redis-9"]).status.code(), Some(2));
}
