//! The probe itself: redis-server and slotbus-node conform, nodes with deliberate faults do not, and
//! the rule that is broken is named.

use slotbus_conformance::{
    cluster::{self, Program, Server, Template},
    probe::{Probe, Report, Verdict, has_rule},
    report::Outcome,
};
use slotbus_core::{Mutant, Profile, Rule};
use std::{
    collections::BTreeSet,
    env,
    path::PathBuf,
    process::{Command, Output},
    sync::{Mutex, MutexGuard, PoisonError},
};

const FOLLOWS_REDIS: &str = "redis-7.0";
/// The share of a profile's rules that a probe exercises at least, in percent.
const SHARE_MIN: usize = 95;

/// Faults of different areas.
const FAULTS: [Mutant; 12] = [
    Mutant::BarrierIgnored,
    Mutant::ClaimKeepsLoser,
    Mutant::CollisionIgnored,
    Mutant::GossipRevives,
    Mutant::HandshakeForEver,
    Mutant::LoserNotDemoted,
    Mutant::ReportNeverExpires,
    Mutant::ResetKeepsSlots,
    Mutant::SetslotKeepsMark,
    Mutant::TakeoverKeepsEpoch,
    Mutant::VoteTwice,
    Mutant::WinKeepsEpoch,
];

/// Real time is part of every case: one probe at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn redis() -> Program {
    Program::Redis(cluster::installed("redis-server").expect("redis-server is installed (cargo suite installs it)"))
}

fn slotbus() -> Program {
    Program::Slotbus(cluster::sibling("slotbus-node").expect("slotbus-node is built"))
}

fn probe(program: Program, profile_name: &str, filter: Option<&str>) -> Report {
    let _alone = alone();
    let profile = Profile::named(profile_name).expect("a profile");
    let target = program.name().to_owned();
    let probe = Probe { program, profile_name: profile_name.to_owned(), profile, filter: filter.map(str::to_owned) };
    let results = probe.run(|_| {}).expect("a run");
    Report { target, profile: profile_name.to_owned(), results }
}

fn assert_conforms(report: &Report, profile: Profile) {
    println!("{report}");
    assert_eq!(report.outcome(), Outcome::Conforms, "{report}");
    let inapplicable = report.results.iter().filter(|result| matches!(result.verdict, Verdict::Inapplicable(_)));
    assert_eq!(inapplicable.count(), 0, "every case can be played to a server that is started for it");
    let of_profile: BTreeSet<Rule> = Rule::ALL.iter().copied().filter(|rule| has_rule(&profile, *rule)).collect();
    let exercised = report.exercised().intersection(&of_profile).count();
    assert!(exercised * 100 >= of_profile.len() * SHARE_MIN, "{exercised} of {} rules", of_profile.len());
}

#[test]
fn redis_server_conforms() {
    let report = probe(redis(), FOLLOWS_REDIS, None);
    assert_conforms(&report, Profile::REDIS_7_0);
    let known = report.results.iter().filter(|result| matches!(result.verdict, Verdict::Known(_)));
    assert!(known.count() > 0, "the control: where redis-server is known to differ, it is seen to");
}

#[test]
fn slotbus_node_conforms_as_it_is_and_as_redis_server() {
    for profile_name in [FOLLOWS_REDIS, "slotbus"] {
        let report = probe(slotbus(), profile_name, None);
        println!("{report}");
        assert_eq!(report.outcome(), Outcome::Conforms, "{report}");
    }
}

#[test]
fn a_server_that_runs_already_is_probed_by_commands_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(&redis(), folder.path(), 15_000, &[]).expect("a server");
    let running = Program::Running { port: server.port(), cport: server.cport() };
    let report = probe(running, FOLLOWS_REDIS, Some("PUBLISH"));
    assert_eq!(report.outcome(), Outcome::Conforms, "{report}");
    assert!(report.exercised().contains(&Rule::PublishReceived), "{report}");
}

/// The path of a node that can commit faults: built here, for no other build may have them.
fn mutant_node() -> PathBuf {
    let release: &[&str] = if cfg!(debug_assertions) { &[] } else { &["--release"] };
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--locked", "-p", "slotbus-node", "--features", "mutants"]);
    cargo.args(["--example", "mutant_node"]).args(release).current_dir(env!("CARGO_MANIFEST_DIR"));
    assert!(cargo.status().expect("cargo runs").success(), "the node with faults cannot be built");
    cluster::sibling("slotbus-conform").expect("it is built").with_file_name("examples").join("mutant_node")
}

#[test]
fn every_fault_is_found_and_the_rule_is_named() {
    let node = mutant_node();
    for fault in FAULTS {
        let command = format!("{} --port {{port}} --dir {{dir}} --protocol-profile redis-7.0", node.display());
        let command = Template::parse(&format!("{command} --protocol-mutant {}", fault.id())).expect("a command");
        let report = probe(Program::Template(command), FOLLOWS_REDIS, Some(fault.rule().id()));
        assert_eq!(report.outcome(), Outcome::Diverges, "{} is not found", fault.id());
        let named = |verdict: &Verdict| match verdict {
            Verdict::Fail(found) => {
                found.first().and_then(|divergence| divergence.suspects.first()) == Some(&fault.rule())
            }
            Verdict::Pass | Verdict::Known(_) | Verdict::Inapplicable(_) => false,
        };
        let is_named = report.results.iter().any(|result| named(&result.verdict));
        assert!(is_named, "{} breaks {}, and that is not named:\n{report}", fault.id(), fault.rule());
        assert_well_formed(&report.junit());
    }
}

/// A node without its fault, started in the same way, is not found fault with.
#[test]
fn the_node_that_can_commit_faults_conforms_without_one() {
    let command = format!("{} --port {{port}} --dir {{dir}} --protocol-profile redis-7.0", mutant_node().display());
    let command = Template::parse(&command).expect("a command");
    let report = probe(Program::Template(command), FOLLOWS_REDIS, Some("EPOCH"));
    assert_eq!(report.outcome(), Outcome::Conforms, "{report}");
}

/// Every tag is closed by its own end, and no text holds what would be a tag.
fn assert_well_formed(xml: &str) {
    let mut open = Vec::new();
    for piece in xml.split('<').skip(1) {
        let (tag, text) = piece.split_once('>').expect("a tag that ends");
        assert!(!text.contains('>'), "{text}");
        let name = tag.split([' ', '/']).find(|word| !word.is_empty()).expect("a name");
        match (tag.starts_with(['/']), tag.starts_with('?') || tag.ends_with('/')) {
            (true, _) => assert_eq!(open.pop(), Some(name), "{tag}"),
            (false, false) => open.push(name),
            (false, true) => {}
        }
        for reference in text.split('&').skip(1).chain(tag.split('&').skip(1)) {
            let known = ["amp;", "lt;", "gt;", "quot;"];
            assert!(known.iter().any(|known| reference.starts_with(known)), "&{reference}");
        }
    }
    assert!(open.is_empty(), "{open:?} is not closed");
    assert!(xml.contains("<testsuite ") && xml.contains("<failure "), "{xml}");
}

fn conform(arguments: &[&str]) -> Output {
    let program = cluster::sibling("slotbus-conform").expect("slotbus-conform is built");
    Command::new(program).arg("probe").args(arguments).output().expect("it runs")
}

const REDIS: &str = "redis-server --port {port} --dir {dir}";

#[test]
fn the_command_line_tells_what_it_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let junit = folder.path().join("junit.xml");
    let run = |filter: &str, arguments: &[&str]| {
        let _alone = alone();
        conform(&[&["--spawn", REDIS, "--filter", filter, "--json"], arguments].concat())
    };
    let output = run("PUBLISH", &["--junit", &junit.display().to_string()]);
    assert_eq!(output.status.code(), Some(0));
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    assert_eq!((shown["failed"].as_u64(), shown["profile"].as_str()), (Some(0), Some(FOLLOWS_REDIS)));
    let text = std::fs::read_to_string(&junit).expect("a file");
    assert!(text.contains("<testsuite name=\"PUBLISH\""), "{text}");
    let output = run("epoch-of-replica", &["--profile", "slotbus"]);
    assert_eq!(output.status.code(), Some(1), "redis-server takes epochs from replicas: the control");
}

#[test]
fn what_cannot_be_probed_is_said_in_one_line() {
    for (arguments, reason) in [
        (&["--spawn", "redis-server --port 7000"][..], "has no place for {port}"),
        (&["--spawn", REDIS, "--filter", "NOSUCH"], "there is no area, rule or case 'NOSUCH'"),
        (&["--spawn", REDIS, "--profile", "redis-1"], "there is no profile 'redis-1'"),
        (&["--spawn", "/no/such/server {port} {dir}", "--filter", "PUBLISH"], "cannot run /no/such/server"),
    ] {
        let output = conform(arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(reason) && error.lines().count() == 1, "{error}");
    }
}
