//! A trace is held to the model: a good one passes, a step that differs is named with its rule, and
//! no changed byte goes unnoticed.

use slotbus_conformance::{
    convert::convert,
    report::{Outcome, outcome},
    verify::{Unverified, Verified, verify_file},
};
use slotbus_core::{
    CLUSTER_SLOTS, Command, Config, Effects, Event, Host, Input, LinkId, Millis, Node, NodeId, Origin, Profile, Random,
    RequestId, Rule, Slot, step,
};
use slotbus_wire::trace::{Form, Header, TraceWriter};
use std::{fs, path::Path, sync::Arc};

const START: Millis = Millis(1_700_000_000_000);

fn header() -> Header {
    let origin = Origin::Fresh(NodeId([5; 20]));
    Header { version: "test 1".to_owned(), config: Config::default(), origin, now: START }
}

/// A node that meets another, opens its link, and is given slots.
fn inputs() -> Vec<Input<CLUSTER_SLOTS>> {
    let host: Host = std::net::IpAddr::from([127, 0, 0, 1]).into();
    let meet = Command::Meet { host: host.clone(), port: 7001, cport: 17001 };
    let events = [
        Event::Admin { request: RequestId(1), command: meet },
        Event::Tick,
        Event::LinkUp { link: LinkId::Outbound(0), local: host.clone(), remote: host },
        Event::Admin { request: RequestId(2), command: Command::AddSlots(vec![Slot(1), Slot(2)]) },
        Event::Tick,
        Event::LinkDown { link: LinkId::Outbound(0) },
        Event::Tick,
    ];
    let at = |index: usize| START.after(200 * index as u64);
    let input = |(index, event)| Input { now: at(index), random: Random::new(index as u64), event };
    events.into_iter().enumerate().map(input).collect()
}

fn write_trace(path: &Path, mut change: impl FnMut(usize, &mut Effects<CLUSTER_SLOTS>)) {
    let Header { config, origin, now, .. } = header();
    let (mut node, _) = Node::start(Arc::new(config), origin, now).expect("it starts");
    let mut bytes = Vec::new();
    let mut writer = TraceWriter::new(&mut bytes, Form::Json, &header()).expect("a header");
    for (index, input) in inputs().into_iter().enumerate() {
        let mut effects = step(&mut node, input.clone());
        change(index, &mut effects);
        writer.step(&input, &effects).expect("a step");
    }
    fs::write(path, bytes).expect("a file");
}

fn verify_with(change: impl FnMut(usize, &mut Effects<CLUSTER_SLOTS>)) -> Result<Verified, Unverified> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("node.trace");
    write_trace(&path, change);
    verify_file(&path, None)
}

#[test]
fn a_good_trace_agrees() {
    let verified = verify_with(|_, _| {}).expect("it is read");
    assert_eq!((verified.steps, &verified.difference, verified.truncated), (7, &None, false));
    for rule in [Rule::HandshakeAsked, Rule::LinkOpened, Rule::HandshakeMeetSent, Rule::SlotAdded, Rule::LinkLost] {
        assert!(verified.rules.contains(&rule), "{rule} fired");
    }
}

#[test]
fn a_missing_effect_is_named_with_its_step_and_rule() {
    let verified = verify_with(|index, effects| {
        if index == 2 {
            effects.then.pop();
        }
    });
    let difference = verified.expect("it is read").difference.expect("it differs");
    assert_eq!((difference.step, difference.rule), (3, Some(Rule::HandshakeMeetSent)));
    assert_eq!(difference.place, "then[0]");
    assert_eq!(difference.recorded, "nothing");
}

#[test]
fn a_missing_save_and_a_missing_rule_are_named() {
    let unsaved = verify_with(|index, effects| {
        if index == 3 {
            effects.persist = None;
        }
    });
    let difference = unsaved.expect("it is read").difference.expect("it differs");
    assert_eq!((difference.step, difference.place.as_str()), (4, "persist"));
    let unruled = verify_with(|index, effects| {
        if index == 0 {
            effects.rules.clear();
        }
    });
    let difference = unruled.expect("it is read").difference.expect("it differs");
    assert_eq!((difference.step, difference.rule), (1, Some(Rule::HandshakeAsked)));
}

#[test]
fn another_profile_differs_where_it_should() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("node.trace");
    write_trace(&path, |_, _| {});
    assert_eq!(verify_file(&path, Some(Profile::SLOTBUS)).expect("it is read").difference, None);
}

#[test]
fn no_changed_byte_goes_unnoticed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("node.trace");
    write_trace(&path, |_, _| {});
    let good = fs::read(&path).expect("a trace");
    let first_line = good.iter().position(|&byte| byte == b'\n').expect("a line");
    for at in (0..good.len()).step_by(7).chain([first_line, first_line + 1, good.len() - 1]) {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&path, &bad).expect("a file");
        let result = verify_file(&path, None);
        assert!(outcome(&result) != Outcome::Conforms, "byte {at} of {} was changed unnoticed: {result:?}", good.len());
        if at > first_line {
            assert_eq!(outcome(&result), Outcome::Diverges, "byte {at}");
        }
    }
}

#[test]
fn a_killed_process_leaves_a_trace_that_still_counts() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("node.trace");
    write_trace(&path, |_, _| {});
    let good = fs::read(&path).expect("a trace");
    fs::write(&path, &good[..good.len() - 30]).expect("a file");
    let verified = verify_file(&path, None).expect("it is read");
    assert_eq!((verified.steps, verified.truncated, verified.difference), (6, true, None));
}

#[test]
fn a_trace_turns_into_the_other_form_and_back_without_loss() {
    let folder = tempfile::tempdir().expect("a folder");
    let [json, binary, again] = ["json", "binary", "again"].map(|name| folder.path().join(name));
    write_trace(&json, |_, _| {});
    assert_eq!(convert(&json, &binary), Ok((Form::Binary, 7)));
    assert_eq!(verify_file(&binary, None).expect("it is read"), verify_file(&json, None).expect("it is read"));
    assert_eq!(convert(&binary, &again), Ok((Form::Json, 7)));
    assert_eq!(fs::read(&again).expect("a trace"), fs::read(&json).expect("a trace"));
    assert!(convert(&json, &binary).is_err_and(|why| why.contains("exists")));
}

#[test]
fn what_is_no_trace_is_unusable() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("no.trace");
    assert_eq!(outcome(&verify_file(&path, None)), Outcome::Unusable);
    for content in ["", "hello\n", "{}\n"] {
        fs::write(&path, content).expect("a file");
        assert_eq!(outcome(&verify_file(&path, None)), Outcome::Unusable, "{content:?}");
    }
}
