//! Traces: what is recorded is read back, and nothing can be changed in one unnoticed.

use crate::arbitrary;
use proptest::{collection::vec, prelude::*};
use slotbus_core::{
    Command, Config, Effect, Effects, Event, Host, Input, LinkId, Millis, Node, NodeId, Origin, Persist, Random,
    RequestId, Rule, step,
};
use slotbus_wire::trace::{Form, Header, Step, TraceError, TraceFault, TraceReader, TraceWriter};
use std::io;

fn header(origin: Origin<16384>) -> Header {
    Header { version: "test 0".to_owned(), config: Config::default(), origin, now: Millis(1) }
}

fn fresh() -> Origin<16384> {
    Origin::Fresh(NodeId([0xab; 20]))
}

fn input(now_ms: u64, event: Event<16384>) -> Input<16384> {
    Input { now: Millis(now_ms), random: Random::new(u64::MAX - now_ms), event }
}

fn loopback() -> Host {
    "127.0.0.1".parse().unwrap_or_default()
}

/// A trace as a node of this crate's core makes it, and its steps.
fn recorded() -> (Vec<u8>, Vec<Step>) {
    recorded_as(Form::Json, None)
}

fn recorded_as(form: Form, last: Option<Event<16384>>) -> (Vec<u8>, Vec<Step>) {
    let header = header(fresh());
    let (mut node, _) = Node::start(header.config.clone().into(), fresh(), header.now).expect("a fresh node");
    let mut writer = TraceWriter::new(Vec::new(), form, &header).expect("memory");
    let meet = Command::Meet { host: loopback(), port: 7001, cport: 17001 };
    let events = [
        Event::Admin { request: RequestId(1), command: meet },
        Event::Tick,
        Event::LinkUp { link: LinkId::Outbound(0), local: loopback(), remote: loopback() },
    ];
    let mut steps = Vec::new();
    for (now_ms, event) in (200..).step_by(100).zip(events.into_iter().chain(last)) {
        let input = input(now_ms, event);
        let mut effects = step(&mut node, input.clone());
        writer.step(&input, &effects).expect("memory");
        effects.dice = Random::new(0);
        steps.push(Step { input, effects });
    }
    writer.flush().expect("memory");
    (writer.into_inner(), steps)
}

fn read(trace: &[u8]) -> Result<(Header, Vec<Step>), TraceError> {
    let mut reader = TraceReader::new(trace)?;
    let steps = reader.by_ref().collect::<Result<_, _>>()?;
    Ok((reader.header().clone(), steps))
}

fn error(trace: &[u8]) -> TraceError {
    read(trace).expect_err("a damaged trace")
}

/// The trace with some of its lines, in some order.
fn with_lines(trace: &[u8], order: &[usize]) -> Vec<u8> {
    let lines: Vec<&[u8]> = trace.split_inclusive(|&byte| byte == b'\n').collect();
    order.iter().flat_map(|&index| lines[index]).copied().collect()
}

#[test]
fn a_node_s_run_is_read_back() {
    let (trace, steps) = recorded();
    assert!(steps.iter().any(|step| step.effects.then.iter().any(|effect| matches!(effect, Effect::Send { .. }))));
    assert_eq!(read(&trace).expect("a good trace"), (header(fresh()), steps));
    let text = String::from_utf8(trace).expect("text");
    let frame = r#"{"sum":"01234567","body":"#.len();
    assert!(text[frame..].starts_with(r#"{"slotbus_trace":1,"version":"test 0","config":{"#), "{text}");
    assert!(text.contains(r#""origin":{"fresh":"abababababababababababababababababababab"},"now":1}}"#), "{text}");
    assert!(text.contains(r#""event":{"admin":{"request":1,"command":{"meet":{"host":"127.0.0.1","port":7001,"#));
}

#[test]
fn every_changed_byte_is_noticed() {
    let (trace, _) = recorded();
    let mut changed = trace.clone();
    for at in 0..trace.len() {
        let flips = (0..8).map(|bit| trace[at] ^ 1 << bit);
        let others = [b'\n', b' ', b'0', b'}', 0xff];
        for byte in flips.chain(others).filter(|&byte| byte != trace[at]) {
            changed[at] = byte;
            let error = error(&changed);
            let line = 1 + trace[..at].iter().filter(|&&byte| byte == b'\n').count() as u64;
            assert_eq!(error.line, line, "byte {at} as {byte}: {error}");
            assert!(!matches!(error.fault, TraceFault::Truncated), "byte {at} as {byte}: {error}");
        }
        changed[at] = trace[at];
    }
}

#[test]
fn a_trace_cut_short_is_good_up_to_there() {
    let (trace, steps) = recorded();
    for length in 0..trace.len() {
        let cut = &trace[..length];
        let whole_lines = cut.iter().filter(|&&byte| byte == b'\n').count();
        let Ok(mut reader) = TraceReader::new(cut) else {
            let error = error(cut);
            assert!(matches!(error.fault, TraceFault::Truncated) != (length == 0), "{error}");
            assert_eq!((error.line, error.step, whole_lines), (1, None, 0));
            continue;
        };
        let good: Vec<Step> = reader.by_ref().map_while(Result::ok).collect();
        assert_eq!(good, steps[..whole_lines - 1]);
        assert!(reader.next().is_none(), "the iterator goes on after its end");
        if !cut.ends_with(b"\n") {
            let error = error(cut);
            assert!(matches!(error.fault, TraceFault::Truncated), "{error}");
            assert_eq!((error.line, error.step), (whole_lines as u64 + 1, Some(whole_lines as u64)));
        }
    }
    assert_eq!(error(b"").to_string(), "line 1: the trace is empty");
    assert_eq!(error(&trace[..trace.len() - 1]).to_string(), "line 4 (step 3): the trace ends within this line");
}

#[test]
fn lines_that_moved_are_noticed() {
    let (trace, _) = recorded();
    read(&with_lines(&trace, &[0, 1, 2, 3])).expect("nothing moved");
    read(&with_lines(&trace, &[0, 1])).expect("a trace that ended earlier");
    for (order, line) in [(&[1, 2, 3][..], 1), (&[0, 2, 3], 2), (&[0, 1, 3, 2], 3), (&[0, 1, 1, 2], 3), (&[0, 0, 1], 2)]
    {
        let error = error(&with_lines(&trace, order));
        assert_eq!(error.line, line, "{order:?}");
        assert!(matches!(error.fault, TraceFault::Checksum), "{order:?}: {error}");
    }
}

/// A trace of one line with this body and the right sum.
fn line(body: &str) -> Vec<u8> {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[0; 4]);
    hasher.update(body.as_bytes());
    format!("{{\"sum\":\"{:08x}\",\"body\":{body}}}\n", hasher.finalize()).into_bytes()
}

#[test]
fn what_is_no_trace_is_told_apart() {
    let text = |trace: &[u8]| error(trace).to_string();
    assert_eq!(text(b"{}\n"), "line 1: this is not a line of a trace");
    assert_eq!(text(&line(r#"{"slotbus_trace":2}"#)), "line 1: the trace has format 2, and only 1 is known");
    assert!(matches!(error(&line(r#"{"other":1}"#)).fault, TraceFault::Json(_)));
    assert!(matches!(error(&line(r#"{"slotbus_trace":1}"#)).fault, TraceFault::Json(_)));
    assert!(matches!(error(&line("\"")).fault, TraceFault::Json(_)));
}

/// A disk with room for so many bytes.
struct SmallDisk {
    room: usize,
}

impl io::Write for SmallDisk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len().min(self.room);
        self.room -= length;
        if length == 0 { Err(io::Error::other("the disk is full")) } else { Ok(length) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_trace_with_a_hole_is_not_recorded() {
    let (trace, steps) = recorded();
    let mut disk = SmallDisk { room: trace.len() - 1 };
    let mut writer = TraceWriter::new(&mut disk, Form::Json, &header(fresh())).expect("room");
    let results: Vec<_> = steps.iter().map(|step| writer.step(&step.input, &step.effects)).collect();
    assert!(matches!(&results[..], [Ok(()), Ok(()), Err(full)] if full.to_string() == "the disk is full"));
    let error = writer.step(&steps[0].input, &steps[0].effects).expect_err("a full disk");
    assert_eq!(error.to_string(), "the trace ended with an earlier error");
}

/// Reads as an endless line, or fails.
#[derive(Debug)]
struct Endless {
    fails: bool,
}

impl io::Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.fails {
            return Err(io::Error::other("the disk is gone"));
        }
        buffer.fill(b'x');
        Ok(buffer.len())
    }
}

#[test]
fn an_endless_line_is_given_up_and_a_bad_disk_is_named() {
    let read = |fails| TraceReader::new(io::BufReader::new(Endless { fails })).expect_err("no trace");
    assert_eq!(read(false).to_string(), "line 1: the line is longer than 67108864 bytes");
    assert_eq!(read(true).to_string(), "line 1: the disk is gone");
    assert!(matches!(read(true).fault, TraceFault::Io(_)));
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let received = (any::<u32>(), arbitrary::message())
        .prop_map(|(link, message)| Event::Received { link: LinkId::Inbound(link), message: message.into() });
    let sent = (any::<u32>(), arbitrary::message())
        .prop_map(|(link, message)| Effect::Send { link: LinkId::Outbound(link), message: message.into() });
    let persist = (any::<bool>(), arbitrary::durable()).prop_map(|(sync, image)| Persist { sync, image: image.into() });
    let effects = (prop::option::of(persist), vec(sent, 0..3)).prop_map(|(persist, then)| Effects {
        persist,
        then,
        rules: vec![Rule::StartFresh, Rule::GossipSent],
        dice: Random::new(0),
    });
    let step = (any::<u64>(), received, effects)
        .prop_map(|(now_ms, event, effects)| Step { input: input(now_ms / 2, event), effects });
    vec(step, 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn what_is_recorded_is_read_back(durable in arbitrary::durable(), steps in steps()) {
        let header = header(Origin::Restored(durable.into()));
        for form in [Form::Json, Form::Binary] {
            let mut writer = TraceWriter::new(Vec::new(), form, &header).expect("memory");
            for step in &steps {
                writer.step(&step.input, &step.effects).expect("memory");
            }
            prop_assert_eq!(read(&writer.into_inner()).expect("a good trace"), (header.clone(), steps.clone()));
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in vec(any::<u8>(), 0..400), body in "\\PC{0,80}") {
        prop_assert!(read(&bytes).is_err());
        prop_assert!(read(&line(&body.replace('\n', " "))).is_err());
    }
}

#[test]
fn both_forms_say_the_same_and_the_binary_one_is_smaller() {
    let changed = Event::Configured(Config { port: 7000, ..Config::default() }.into());
    let [(json, steps), (binary, others)] =
        [Form::Json, Form::Binary].map(|form| recorded_as(form, Some(changed.clone())));
    assert_eq!((read(&json).expect("a trace").1, read(&binary).expect("a trace").1), (steps, others));
    assert_eq!(read(&json).expect("a trace").0, read(&binary).expect("a trace").0);
    assert!(binary.len() * 2 < json.len() * 3, "{} bytes of {}", binary.len(), json.len());
}

#[test]
fn no_changed_or_missing_byte_of_a_binary_trace_goes_unnoticed() {
    let (good, steps) = recorded_as(Form::Binary, None);
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert!(read(&bad).is_err(), "byte {at}");
    }
    for end in 1..good.len() {
        match read(&good[..end]) {
            Ok((_, read)) => assert!(read.len() < steps.len() && steps.starts_with(&read), "{end}"),
            Err(error) => assert!(matches!(error.fault, TraceFault::Truncated | TraceFault::Empty), "{end}: {error}"),
        }
    }
}
