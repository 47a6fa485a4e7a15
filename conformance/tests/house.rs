//! The shape of the house, held by test: which crate may know which, that the core is pure, and
//! that the catalogue of rules in docs/ is what the code says.

use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").to_path_buf()
}

fn cargo(arguments: &[&str]) -> Output {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    Command::new(cargo).args(arguments).current_dir(root()).output().expect("cargo runs")
}

/// Every package with the packages that it depends on, of any kind.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = cargo(&["metadata", "--format-version", "1", "--locked"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let text = |value: &Value| value.as_str().expect("a string").to_owned();
    let list = |value: &Value| value.as_array().expect("an array").clone();
    let names: BTreeMap<String, String> =
        list(&metadata["packages"]).iter().map(|package| (text(&package["id"]), text(&package["name"]))).collect();
    list(&metadata["resolve"]["nodes"])
        .iter()
        .map(|node| {
            let to = list(&node["dependencies"]).iter().map(|id| names[&text(id)].clone()).collect();
            (names[&text(&node["id"])].clone(), to)
        })
        .collect()
}

fn reachable(edges: &BTreeMap<String, BTreeSet<String>>, from: &str) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut open = vec![from.to_owned()];
    while let Some(name) = open.pop() {
        for next in edges.get(&name).unwrap_or_else(|| panic!("no package {name}")) {
            if seen.insert(next.clone()) {
                open.push(next.clone());
            }
        }
    }
    seen
}

#[test]
fn crates_know_only_whom_they_may() {
    let edges = dependencies();
    let ours = [
        "slotbus-core",
        "slotbus-world",
        "slotbus-check",
        "slotbus-wire",
        "slotbus-replication",
        "slotbus-node",
        "slotbus-conformance",
    ];
    let allowed: [(&str, &[&str]); 7] = [
        ("slotbus-core", &[]),
        ("slotbus-world", &["slotbus-core", "slotbus-wire"]),
        ("slotbus-check", &["slotbus-core", "slotbus-world", "slotbus-wire"]),
        ("slotbus-wire", &["slotbus-core"]),
        ("slotbus-replication", &["slotbus-core", "slotbus-wire"]),
        ("slotbus-node", &["slotbus-core", "slotbus-wire", "slotbus-replication"]),
        ("slotbus-conformance", &["slotbus-core", "slotbus-world", "slotbus-wire"]),
    ];
    for (from, to) in allowed {
        let reached = reachable(&edges, from);
        for other in ours {
            let may = to.contains(&other);
            assert!(may || !reached.contains(other), "{from} reaches {other}");
        }
    }
}

#[test]
fn only_the_checker_reaches_stateright() {
    let edges = dependencies();
    assert!(reachable(&edges, "slotbus-check").contains("stateright"), "the control: the checker does reach it");
    for name in ["slotbus-core", "slotbus-world", "slotbus-wire", "slotbus-node", "slotbus-conformance"] {
        assert!(!reachable(&edges, name).contains("stateright"), "{name} reaches stateright");
    }
}

#[test]
fn the_core_knows_few_crates_and_no_std() {
    let edges = dependencies();
    let normal = cargo(&["tree", "-p", "slotbus-core", "-e", "normal", "--prefix", "none", "--locked"]);
    assert!(normal.status.success(), "{}", String::from_utf8_lossy(&normal.stderr));
    let tree = String::from_utf8_lossy(&normal.stdout).into_owned();
    assert!(tree.starts_with("slotbus-core "), "{tree}");
    let known: BTreeSet<_> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    for name in ["rand", "getrandom", "log", "tracing", "mio", "tokio"] {
        assert!(!known.contains(name), "the core depends on {name}");
    }
    assert!(edges["slotbus-core"].contains("serde"), "the control: dependencies are seen");
    let features = cargo(&["tree", "-p", "slotbus-core", "-e", "features,normal", "-f", "{p} {f}", "--locked"]);
    let features = String::from_utf8_lossy(&features.stdout).into_owned();
    assert!(features.contains("serde feature \"alloc\""), "{features}");
    assert!(!features.contains("feature \"std\""), "a dependency of the core has std on:\n{features}");
}

#[test]
fn mutants_stay_out_of_what_production_asks_for() {
    let features = |package: &str| {
        let output = cargo(&["tree", "-p", package, "-e", "features,normal", "--locked"]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(features("slotbus-check").contains("slotbus-core feature \"mutants\""), "the control: the checker asks");
    assert!(!features("slotbus-node").contains("slotbus-core feature \"mutants\""));
}

/// Compiles a copy of the core with `extra` at the end of its step module.
fn check_core_with(extra: &str) -> Output {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let copy = folder.path().join("core");
    for part in ["src", "benches"] {
        copy_folder(&root().join("model/core").join(part), &copy.join(part));
    }
    let step = copy.join("src/step.rs");
    let mut text = fs::read_to_string(&step).expect("step.rs is there");
    text.push_str(extra);
    fs::write(&step, text).expect("the copy is written");
    let manifest = fs::read_to_string(root().join("model/core/Cargo.toml")).expect("a manifest");
    fs::write(copy.join("Cargo.toml"), manifest).expect("the manifest is written");
    let workspace = fs::read_to_string(root().join("Cargo.toml")).expect("a manifest");
    let members = workspace.lines().find(|line| line.starts_with("members")).expect("members");
    let workspace = workspace.replace(members, "members = [\"core\"]");
    fs::write(folder.path().join("Cargo.toml"), workspace).expect("the manifest is written");
    fs::copy(root().join("Cargo.lock"), folder.path().join("Cargo.lock")).expect("the lock file is copied");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    Command::new(cargo)
        .args(["check", "--offline", "--quiet"])
        .current_dir(folder.path())
        .env("CARGO_TARGET_DIR", root().join("target/house"))
        .output()
        .expect("cargo runs")
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy_folder(&path, &target)
        } else {
            {
                fs::copy(&path, &target).expect("a copy");
            }
        }
    }
}

#[test]
fn the_core_does_not_compile_with_a_clock_in_it() {
    let control = check_core_with("\nfn harmless() -> Millis { Millis(1) }\n");
    assert!(control.status.success(), "the control compiles: {}", String::from_utf8_lossy(&control.stderr));
    for (what, code) in [
        ("a clock", "\nfn clock() -> std::time::SystemTime { std::time::SystemTime::now() }\n"),
        ("a file", "\nfn file() -> bool { std::fs::metadata(\"x\").is_ok() }\n"),
        ("hash order", "\nfn map() -> std::collections::HashMap<u8, u8> { Default::default() }\n"),
        ("a socket", "\nfn socket() -> bool { std::net::TcpListener::bind(\"[::]:0\").is_ok() }\n"),
    ] {
        let output = check_core_with(code);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "the core compiles with {what} in it");
        assert!(errors.contains("E0433") && errors.contains("std"), "{what} fails for another reason: {errors}");
    }
}
