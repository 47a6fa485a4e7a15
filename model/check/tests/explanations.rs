//! Counterexamples as documents and pictures: what is written is read again, and shown in every way.

use slotbus_check::{
    Configuration, Engine, Limits, Plan,
    counterexample::{Counterexample, Unreadable},
    explain::{html, mermaid, text},
    recorded::{self, Recording, Untold},
    run,
};
use slotbus_core::{
    CLUSTER_SLOTS, Command, Config, Effect, Effects, Event, Host, Input, LinkId, Message, Millis, Mutant, Node, NodeId,
    Origin, Profile, Random, RequestId, next_deadline, step,
};
use slotbus_wire::trace::{Form, Header, TraceWriter};
use std::{fs, net::Ipv4Addr, process, sync::Arc};

/// The shortest way to a broken EpochGuard.
fn broken() -> Counterexample {
    let plan = Plan {
        configuration: Configuration::named("collision_2").expect("a standard configuration"),
        profile_name: "slotbus",
        profile: Profile::SLOTBUS,
        mutant: Some(Mutant::ClaimIgnoresEpoch),
        engine: Engine::Own,
        is_actor: false,
        limits: Limits::default(),
    };
    let run = run(plan, &mut |_| ());
    run.outcomes.into_iter().find_map(|outcome| outcome.counterexample).expect("a counterexample")
}

#[test]
fn what_is_written_is_read_again() {
    let counterexample = broken();
    let lines = counterexample.to_lines();
    assert_eq!(lines.lines().count(), 1 + counterexample.steps.len());
    assert_eq!(Counterexample::from_lines(&lines).expect("a document"), counterexample);
    let last = counterexample.steps.last().expect("a step");
    assert!(last.breaks.iter().any(|broken| broken.starts_with("S11")), "{last:?}");
    assert!(!last.changes.is_empty());
}

#[test]
fn what_is_no_document_is_refused_with_its_line() {
    let lines = broken().to_lines();
    assert!(matches!(Counterexample::from_lines(""), Err(Unreadable::Empty)));
    assert!(matches!(Counterexample::from_lines("{}"), Err(Unreadable::Line(1, _))));
    let torn = &lines[..lines.len() - 5];
    let number = lines.lines().count();
    assert!(matches!(Counterexample::from_lines(torn), Err(Unreadable::Line(line, _)) if line == number));
    let other = lines.replacen("counterexample 1", "counterexample 9", 1);
    assert!(matches!(Counterexample::from_lines(&other), Err(Unreadable::Format(_))));
    let endless = lines.replacen("\"cycle_after\":null", "\"cycle_after\":99", 1);
    assert!(matches!(Counterexample::from_lines(&endless), Err(Unreadable::Cycle(99))));
}

#[test]
fn every_view_shows_every_step() {
    let counterexample = broken();
    let (text, mermaid, html) = (text(&counterexample), mermaid(&counterexample), html(&counterexample));
    for number in 1..=counterexample.steps.len() {
        assert!(text.contains(&format!("{number}. ")), "{text}");
        assert!(mermaid.contains(&format!(": {number}. ")), "{mermaid}");
    }
    assert!(mermaid.starts_with("sequenceDiagram\n    participant a\n    participant b\n"), "{mermaid}");
    assert!(mermaid.contains("a->>b: 4. MEET"), "{mermaid}");
    assert!(!html.contains("/*DOCUMENT*/") && html.contains("S11 EpochGuard"));
    let pages = ["http://", "https://", "src=", "href="]
        .map(|link| html.replace("http://www.w3.org/2000/svg", "").contains(link));
    assert_eq!(pages, [false; 4], "the page needs nothing but itself");
}

#[test]
fn a_cycle_shows_where_it_begins() {
    let mut counterexample = broken();
    counterexample.heading.cycle_after = Some(3);
    assert!(text(&counterexample).contains("-- from here on, again and again:\n4. "));
    let picture = mermaid(&counterexample);
    assert!(picture.contains("    loop for ever\n    a->>b: 4.") && picture.ends_with("    end\n"), "{picture}");
    counterexample.heading.cycle_after = Some(counterexample.steps.len());
    assert!(text(&counterexample).contains("there it stays for ever"));
    assert!(mermaid(&counterexample).contains("stays so for ever"));
}

#[test]
fn what_a_document_says_cannot_leave_its_place_in_the_page() {
    let mut counterexample = broken();
    counterexample.steps[0].action = "</script><b>".into();
    assert!(!html(&counterexample).contains("</script><b>"));
}

/// A node that traces what it does.
struct Traced {
    node: Node<CLUSTER_SLOTS>,
    trace: TraceWriter<Vec<u8>>,
}

impl Traced {
    fn start(number: u8, form: Form) -> Self {
        let config = Config { port: 7000 + u16::from(number), cport: 17000 + u16::from(number), ..Config::default() };
        let (origin, now) = (Origin::Fresh(NodeId([number; 20])), Millis(1000));
        let header = Header { version: "test".into(), config: config.clone(), origin: origin.clone(), now };
        let (node, _) = Node::start(Arc::new(config), origin, now).expect("a fresh node starts");
        Self { node, trace: TraceWriter::new(Vec::new(), form, &header).expect("memory takes a line") }
    }

    fn step(&mut self, now: u64, event: Event<CLUSTER_SLOTS>) -> Effects<CLUSTER_SLOTS> {
        let input = Input { now: Millis(now), random: Random::new(7), event };
        let effects = step(&mut self.node, input.clone());
        self.trace.step(&input, &effects).expect("memory takes a line");
        effects
    }
}

fn localhost() -> Host {
    Host::Ip(Ipv4Addr::LOCALHOST.into())
}

fn up(link: LinkId) -> Event<CLUSTER_SLOTS> {
    Event::LinkUp { link, local: localhost(), remote: localhost() }
}

fn sent(effects: Effects<CLUSTER_SLOTS>) -> Box<Message<CLUSTER_SLOTS>> {
    let mut messages = effects
        .then
        .into_iter()
        .filter_map(|effect| if let Effect::Send { message, .. } = effect { Some(message) } else { None });
    messages.next().expect("a message")
}

/// The traces of two nodes of which one MEETs the other.
fn meeting(form: Form) -> [Vec<u8>; 2] {
    let (mut one, mut two) = (Traced::start(1, form), Traced::start(2, form));
    let meet = Command::Meet { host: localhost(), port: 7002, cport: 17002 };
    let _ = one.step(1000, Event::Admin { request: RequestId(0), command: meet });
    let due = next_deadline(&one.node).at.0;
    let ticked = one.step(due, Event::Tick);
    let connected = ticked
        .then
        .iter()
        .find_map(|effect| if let Effect::Connect { link, .. } = effect { Some(*link) } else { None });
    let (out, inward) = (connected.expect("a link is opened"), LinkId::Inbound(0));
    let _ = two.step(due, up(inward));
    let meet = sent(one.step(due + 1, up(out)));
    let pong = sent(two.step(due + 2, Event::Received { link: inward, message: meet }));
    let _ = one.step(due + 2, Event::Received { link: out, message: pong });
    [one.trace.into_inner(), two.trace.into_inner()]
}

fn told(traces: &[&[u8]], changes_only: bool) -> Counterexample {
    let recordings = traces.iter().map(|trace| Recording::new(*trace).expect("a trace")).collect();
    recorded::tell(recordings, changes_only).expect("whole traces")
}

#[test]
fn traces_of_one_cluster_make_one_diagram() {
    for form in [Form::Json, Form::Binary] {
        let [one, two] = meeting(form);
        let both = told(&[&one, &two], false);
        assert_eq!((both.steps.len(), both.hosts().collect::<Vec<_>>()), (6, vec!["a", "b"]));
        assert!(both.steps.iter().all(|step| step.breaks.is_empty()), "the model does the same");
        let (picture, story) = (mermaid(&both), text(&both));
        assert!(picture.contains("a->>b: 5. MEET") && picture.contains("b->>a: 6. PONG"), "{picture}");
        assert!(story.contains("is asked to MEET 127.0.0.1") && story.contains("HANDSHAKE-6"), "{story}");
        assert!(html(&both).contains("2 traced of 2 nodes"));
        let changes = told(&[&one, &two], true);
        assert!(changes.steps.len() < 6 && changes.steps.iter().all(|step| !step.changes.is_empty()));
        let alone = told(&[&two], false);
        assert!(mermaid(&alone).contains("b->>a: 2. MEET"), "who speaks has a column, too: {}", mermaid(&alone));
    }
}

#[test]
fn a_trace_may_be_cut_off_and_not_be_changed() {
    let [one, _] = meeting(Form::Json);
    assert_eq!(told(&[&one[..one.len() - 9]], false).steps.len(), 3);
    let mut changed = one;
    let place = changed.len() - 40;
    changed[place] ^= 1;
    let recordings = vec![Recording::new(&changed[..]).expect("the beginning is whole")];
    assert!(matches!(recorded::tell(recordings, false), Err(Untold::Trace(1, _))));
}

#[test]
fn the_command_takes_either() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = ["one", "two", "neither"].map(|name| folder.path().join(name));
    let [one, two] = meeting(Form::Binary);
    for (file, bytes) in files.iter().zip([&one[..], &two, b"neither"]) {
        fs::write(file, bytes).expect("a file");
    }
    let explain = |files: &[std::path::PathBuf]| {
        let mut command = process::Command::new(env!("CARGO_BIN_EXE_slotbus-check"));
        command.args(["explain", "--mermaid"]).args(files).output().expect("slotbus-check starts")
    };
    let output = explain(&files[..2]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).contains("a->>b: 5. MEET"));
    for bad in [&files[2..], &files[..]] {
        let output = explain(bad);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), text.lines().count()), (Some(2), 1), "{text}");
        assert!(text.contains("neither"), "{text}");
    }
}
