//! What redis-server 7.0.15 does and should not: each finding of conformance/findings is played to it,
//! to slotbus-node under the profile that follows it, and to slotbus-node as it is. The first two must
//! show the same, for what the model predicts is what the server does; the third what is recorded.
//!
//! `cargo test -p slotbus-conformance --test findings NAME` plays one of them, `SHOW=1` prints what
//! was seen.

use libtest_mimic::{Arguments, Failed, Trial};
use slotbus_conformance::{
    cluster::{self, Program},
    finding::{self, Finding},
    scripted::{self, Transcript},
};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    thread,
};

/// Findings wait most of the time.
const PLAYED_AT_ONCE: usize = 8;
const MODEL: &str = "redis-7.0";
const DEFAULT: &str = "slotbus";
/// The fewest that are worth a page.
const FINDINGS_MIN: usize = 10;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(PLAYED_AT_ONCE);
    let findings: Arc<[Finding]> = findings().into();
    let all = Arc::clone(&findings);
    let page = Trial::test("page", move || page_is_true(&all));
    let replays = (0..findings.len()).map(|index| {
        let findings = Arc::clone(&findings);
        Trial::test(findings[index].name().to_owned(), move || replay(&findings[index]))
    });
    let trials = replays.chain([page]).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("findings")
}

fn findings() -> Vec<Finding> {
    let files = fs::read_dir(folder()).expect("the folder of findings");
    let mut paths: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Finding {
    let name = path.file_stem().expect("a name").to_string_lossy();
    let text = fs::read_to_string(path).expect("a text");
    Finding::parse(&name, &text).unwrap_or_else(|error| panic!("{error}"))
}

fn redis() -> Program {
    let path = cluster::installed("redis-server");
    Program::Redis(path.expect("redis-server is installed (cargo suite installs it)"))
}

fn slotbus() -> Program {
    Program::Slotbus(cluster::sibling("slotbus-node").expect("slotbus-node is built"))
}

/// Real time is part of every replay, and a busy machine may come too late for it: what fails once is
/// played again.
fn replay(finding: &Finding) -> Result<(), Failed> {
    let once = judge(finding);
    let text = if once.is_empty() { once } else { judge(finding) };
    if text.is_empty() { Ok(()) } else { Err(text.into()) }
}

/// What is not as it should be in the three plays of a finding.
fn judge(finding: &Finding) -> String {
    let (redis, model, default) = thread::scope(|scope| {
        let redis = scope.spawn(|| play(finding, &redis(), MODEL));
        let model = scope.spawn(|| play(finding, &slotbus(), MODEL));
        (redis.join().expect("a play"), model.join().expect("a play"), play(finding, &slotbus(), DEFAULT))
    });
    match (redis, model, default) {
        (Ok(redis), Ok(model), Ok(default)) => {
            let mended = scripted::differences(&finding.script, &redis, &default);
            scripted::mispredictions(&finding.script, &redis, &model) + &mended
        }
        (Err(error), _, _) => format!("on redis-server: {error}\n"),
        (_, Err(error), _) => format!("under profile {MODEL}: {error}\n"),
        (_, _, Err(error)) => format!("under profile {DEFAULT}: {error}\n"),
    }
}

fn play(finding: &Finding, program: &Program, profile: &str) -> Result<Transcript, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let played = scripted::play(&finding.script, program, profile, folder.path());
    if env::var("SHOW").is_ok() {
        let shown = played.as_ref().map_or_else(Clone::clone, ToString::to_string);
        println!("== {} on {}, profile {profile}\n{shown}", finding.name(), program.name());
    }
    let transcript = played?;
    if let (Program::Slotbus(_), MODEL) = (program, profile) {
        scripted::hold_to_the_model(&finding.script, folder.path())?;
    }
    Ok(transcript)
}

/// docs/FINDINGS.md says what the findings say. With UPDATE_DOCS=1 this writes it.
fn page_is_true(findings: &[Finding]) -> Result<(), Failed> {
    assert!(findings.len() >= FINDINGS_MIN);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/FINDINGS.md");
    let page = finding::page(findings);
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, page)?;
        return Ok(());
    }
    if fs::read_to_string(&path)? == page {
        return Ok(());
    }
    Err("docs/FINDINGS.md is not what the findings say: run UPDATE_DOCS=1 cargo test -p slotbus-conformance --test findings page".into())
}
