//! docs/SCALE.md does what it says: its command lines are run as they stand there, with smaller numbers.

use serde_json::Value;
use std::{env, fs, path::Path, process::Command};

fn docs() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

/// The command lines below a heading of the document.
fn commands_below(heading: &str) -> String {
    let text = fs::read_to_string(docs().join("SCALE.md")).expect("docs/SCALE.md");
    let section = text.split(heading).nth(1).expect("the heading");
    let block = section.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next());
    block.expect("command lines").to_owned()
}

/// Runs command lines in a new folder that holds merge.jq, and reads the file that they leave.
fn outcome(commands: &str, result: &str) -> Value {
    let folder = tempfile::tempdir().expect("a folder");
    fs::copy(docs().join("scale/merge.jq"), folder.path().join("merge.jq")).expect("merge.jq");
    let binaries = Path::new(env!("CARGO_BIN_EXE_slotbus-check")).parent().expect("the folder of the binary");
    let path = format!("{}:{}", binaries.display(), env::var("PATH").unwrap_or_default());
    let shell = Command::new("sh").args(["-e", "-c", commands]).current_dir(folder.path()).env("PATH", path).output();
    let output = shell.expect("a shell");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = fs::read(folder.path().join(result)).expect("the result");
    serde_json::from_slice(&text).expect("one JSON document")
}

/// A replacement that must find something to replace.
fn with(commands: &str, from: &str, to: &str) -> String {
    assert!(commands.contains(from), "the document no longer says {from}");
    commands.replace(from, to)
}

/// What does not depend on the machine.
fn without_times(mut document: Value) -> Value {
    for simulation in document["simulations"].as_array_mut().expect("simulations") {
        simulation["seconds"] = Value::Null;
    }
    document
}

#[test]
fn shards_put_together_are_the_whole() {
    let commands =
        with(&commands_below("## Simulations, with GNU parallel"), "RUNS=100000 SHARDS=8", "RUNS=12 SHARDS=3");
    let merged = without_times(outcome(&commands, "simulations.json"));
    let whole = "slotbus-check simulate --runs 12 --keep-going --json > whole.json\n\
                 jq --slurp --from-file merge.jq whole.json > simulations.json";
    assert_eq!(merged["simulations"].as_array().map(Vec::len), Some(12));
    assert_eq!(merged, without_times(outcome(whole, "simulations.json")));
}

#[test]
fn configurations_run_side_by_side() {
    let listing = "slotbus-check list --json | jq --raw-output '.configs[].name'";
    let commands =
        with(&commands_below("## Exhaustive runs, with GNU parallel"), listing, "printf 'forget_3\\nbump_3\\n'");
    let verdicts = outcome(&commands, "verdicts.json");
    let runs = verdicts["runs"].as_array().expect("runs");
    let names: Vec<_> = runs.iter().map(|run| (run["config"].as_str(), run["exhausted"].as_bool())).collect();
    assert_eq!(names, [(Some("bump_3"), Some(true)), (Some("forget_3"), Some(true))]);
}
