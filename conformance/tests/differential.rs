//! The same scripts on redis-server and on slotbus-node: what they show must be equal.
//!
//! `SCRIPTS=health` plays only the scripts whose names contain that, `SCRIPTS_IN=folder` those of
//! another folder. `AGAINST=redis-server` plays
//! redis-server against itself, which shows whether a script depends on chance. `SHOW=1` prints the
//! transcripts. `SEEDS=100-199` chooses the random scripts.

use slotbus_conformance::{
    cluster::{self, Program},
    scripted::{self, Script, Transcript},
};
use slotbus_core::Rule;
use std::{
    collections::BTreeSet,
    env, fs,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Scripts wait most of the time.
const PLAYED_AT_ONCE: usize = 8;
/// How slotbus-node follows redis-server.
const PROFILE: &str = "redis-7.0";
const RANDOM_SEEDS: &str = "1-16";
const ALL_WITHIN: Duration = Duration::from_secs(240);

fn redis() -> Program {
    let path = cluster::installed("redis-server");
    Program::Redis(path.expect("redis-server is installed (cargo suite installs it)"))
}

/// Whether redis-server is played against itself.
fn looks_for_chance() -> bool {
    env::var("AGAINST").is_ok_and(|name| name == "redis-server")
}

fn judged() -> Program {
    if looks_for_chance() {
        return redis();
    }
    Program::Slotbus(cluster::sibling("slotbus-node").expect("slotbus-node is built"))
}

fn scripts() -> Vec<Script> {
    let folder =
        env::var_os("SCRIPTS_IN").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts"), Into::into);
    let files = fs::read_dir(&folder).expect("the folder of scripts");
    let mut paths: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let name = path.file_stem().expect("a name").to_string_lossy();
            let text = fs::read_to_string(path).expect("a text");
            Script::parse(&name, &text).unwrap_or_else(|error| panic!("{error}"))
        })
        .collect()
}

fn play(script: &Script, program: &Program) -> Result<Transcript, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let result = scripted::play(script, program, PROFILE, folder.path());
    if let (Program::Slotbus(_), Ok(_)) = (program, &result) {
        scripted::hold_to_the_model(script, folder.path())?;
    }
    if env::var("SHOW").is_ok() {
        let shown = result.as_ref().map_or_else(Clone::clone, ToString::to_string);
        println!("== {} on {}\n{shown}", script.name, program.name());
    }
    result
}

/// What is wrong with a script's two runs.
fn judge(script: &Script) -> Option<String> {
    let other = judged();
    let (redis, other) = thread::scope(|scope| {
        let redis = scope.spawn(|| play(script, &redis()));
        (redis.join().expect("a run"), play(script, &other))
    });
    let text = match (redis, other) {
        (Ok(redis), Ok(other)) if looks_for_chance() => scripted::chances(&redis, &other),
        (Ok(redis), Ok(other)) => scripted::differences(script, &redis, &other),
        (Err(error), _) => format!("on redis-server: {error}\n"),
        (_, Err(error)) => format!("on the other server: {error}\n"),
    };
    (!text.is_empty()).then(|| format!("{}\n{text}", script.name))
}

#[test]
fn scripts_show_the_same_on_both_servers() {
    let filter = env::var("SCRIPTS").unwrap_or_default();
    let scripts: Vec<_> = scripts().into_iter().filter(|script| script.name.contains(&filter)).collect();
    assert!(!scripts.is_empty(), "no script is called {filter}");
    judge_all(&scripts);
}

/// Nobody chose what happens here.
#[test]
fn random_scripts_show_the_same_on_both_servers() {
    let seeds = env::var("SEEDS").unwrap_or_else(|_| RANDOM_SEEDS.to_owned());
    let (first, last) = seeds.split_once('-').expect("SEEDS=first-last");
    let seeds = first.parse().expect("a number")..=last.parse().expect("a number");
    let script = |seed: u64| {
        let text = scripted::random::script(seed);
        Script::parse(&format!("seed {seed}"), &text).unwrap_or_else(|error| panic!("{error}"))
    };
    judge_all(&seeds.map(script).collect::<Vec<_>>());
}

/// Real time is part of every script, and a machine that is busy may come too late for it: what
/// differs once is played again by itself, and shown.
fn again(script: &Script, seen: String) -> Option<String> {
    let failure = judge(script);
    if failure.is_none() {
        println!("differed once, and not again: {seen}");
    }
    failure
}

fn judge_all(scripts: &[Script]) {
    let begun = Instant::now();
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..PLAYED_AT_ONCE.min(scripts.len()) {
            scope.spawn(|| {
                while let Some(script) = scripts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let failure = judge(script).map(|seen| (script, seen));
                    failures.lock().expect("no judge panics").extend(failure);
                }
            });
        }
    });
    let failures = failures.into_inner().expect("no judge panics");
    let failures: Vec<_> = failures.into_iter().filter_map(|(script, seen)| again(script, seen)).collect();
    println!("{} scripts in {:.0} s", scripts.len(), begun.elapsed().as_secs_f64());
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), scripts.len(), failures.join("\n"));
    assert!(begun.elapsed() < ALL_WITHIN, "the scripts take too long");
}

/// A server that was told to behave otherwise is found out, and at the right line.
#[test]
fn another_behaviour_is_found_out() {
    let play_with = |directive: &str| {
        let text = format!(
            "rules: SLOT-12\npeer a id=1 epoch=3 slots=0-99 known\nserver id=5 epoch=2 slots=100-109 {directive}\n\
             start\na becomes epoch=7 slots=0-109\na sends ping\nexpect a pong within 1000\nnodes me\n"
        );
        let script = Script::parse("control", &text).expect("a script");
        let transcript = play(&script, &redis()).expect("a run");
        (script, transcript)
    };
    let (script, usual) = play_with("");
    let (_, other) = play_with("--cluster-allow-replica-migration no");
    assert_eq!(scripted::differences(&script, &usual, &usual), "");
    let differences = scripted::differences(&script, &usual, &other);
    assert!(differences.contains("line 8: nodes me"), "{differences}");
    assert!(differences.contains("redis: me 127.0.0.1:<me>@<me> myself,slave a 7"), "{differences}");
    assert!(differences.contains("other: me 127.0.0.1:<me>@<me> myself,master - 2"), "{differences}");
}

/// Rules that no script can show, because redis-server 7.0.15 does not have them or a peer cannot
/// bring them about. docs/PROTOCOL.md says so beside them.
#[test]
fn every_rule_has_a_script_or_a_reason() {
    let shown: BTreeSet<Rule> = scripts().into_iter().flat_map(|script| script.rules).collect();
    for rule in Rule::ALL {
        let reason = scripted::unshown(*rule);
        assert!(shown.contains(rule) || reason.is_some(), "no script shows {rule}");
        assert!(!shown.contains(rule) || reason.is_none(), "a script shows {rule}, which is said to be impossible");
    }
}
