//! A primary and its replicas as state machines, with everything between them in the test's hands.

#![allow(clippy::unwrap_used, reason = "a test that meets what it does not expect ends at once")]

use proptest::prelude::*;
use slotbus_core::{Address, Host, Millis, NodeId};
use slotbus_replication::{
    Config, Effect, Event, History, Introduction, Phase, ReplicaId, Replication, Stage, StreamId, Syncs,
};
use slotbus_wire::resp::OwnedArgs;
use std::net::{IpAddr, Ipv4Addr};

const NOW: Millis = Millis(1_000_000);
const MARK: &str = "0123456789abcdef0123456789abcdef01234567";

fn id(byte: u8) -> StreamId {
    StreamId::of_random([byte; 20])
}

fn machine(byte: u8) -> Replication {
    Replication::new(Config { delay_ms: 0, ..Config::default() }, History::new(id(byte)))
}

fn address() -> Address {
    Address { host: Host::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST)), port: 7000, cport: 17000, pport: 0 }
}

fn follow() -> Event<'static> {
    Event::Follow { primary: NodeId([7; 20]), address: address(), shard: NodeId([1; 20]) }
}

const TICK: Event<'static> = Event::Tick { is_paused: false, can_copy: true };

/// A replica that has connected and asked for the stream.
fn asking(config: Config) -> (Replication, Vec<Effect>) {
    let mut replica = Replication::new(config, History::new(id(1)));
    let mut effects = replica.step(NOW, follow());
    effects.extend(replica.step(NOW, Event::Connected));
    effects.extend(replica.step(NOW, Event::Received(b"+PONG\r\n")));
    let answers = effects.iter().filter(|effect| matches!(effect, Effect::Send(_))).count();
    assert_eq!(answers, 2, "{effects:?}");
    (replica, effects)
}

fn sent(effects: &[Effect]) -> String {
    let bytes = effects.iter().filter_map(|effect| if let Effect::Send(bytes) = effect { Some(bytes) } else { None });
    String::from_utf8(bytes.flatten().copied().collect()).unwrap()
}

/// What a sequence of effects amounts to, however the copy and the signs of life were cut.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    copy: Vec<u8>,
    is_complete: bool,
    requests: Vec<Vec<OwnedArgs>>,
}

fn feed(replica: &mut Replication, bytes: &[u8], outcome: &mut Outcome) {
    let mut effects = replica.step(NOW, Event::Received(bytes));
    while let Some(index) = effects.iter().position(|effect| *effect == Effect::EndLoad) {
        assert_eq!(index + 1, effects.len(), "nothing follows before the copy is in place");
        outcome.is_complete = true;
        gather(effects, outcome);
        effects = replica.step(NOW, Event::Loaded);
    }
    gather(effects, outcome);
}

fn gather(effects: Vec<Effect>, outcome: &mut Outcome) {
    for effect in effects {
        match effect {
            Effect::Load(bytes) => outcome.copy.extend(bytes),
            Effect::Apply(requests) => outcome.requests.push(requests),
            Effect::Connect(_)
            | Effect::Disconnect
            | Effect::Send(_)
            | Effect::BeginLoad
            | Effect::EndLoad
            | Effect::Copy { .. }
            | Effect::Answer { .. }
            | Effect::Close { .. }
            | Effect::Tell(_) => {}
        }
    }
}

const STREAM: &[u8] =
    b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$4\r\n1\r\n2\r\n*1\r\n$4\r\nping\r\n\
    *1\r\n$5\r\nMULTI\r\n*2\r\n$3\r\nDEL\r\n$1\r\na\r\n*2\r\n$4\r\nINCR\r\n$1\r\nb\r\n*1\r\n$4\r\nEXEC\r\n\
    *3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n";

fn conversation(framing: &str, end: &str) -> Vec<u8> {
    let head = format!("+OK\r\n+OK\r\n\n\n+FULLRESYNC {} 4000\r\n\n{framing}\r\nthe keys{end}", id(9));
    [head.as_bytes(), STREAM].concat()
}

fn words(words: &[&str]) -> OwnedArgs {
    OwnedArgs::collect(words.iter().map(|word| word.as_bytes()))
}

#[test]
fn the_handshake_says_who_this_is_and_what_it_has() {
    let config = Config {
        announced_port: 7001,
        announced_ip: "10.0.0.1".into(),
        user: "u".into(),
        password: "p".into(),
        ..Config::default()
    };
    let (mut replica, effects) = asking(config);
    assert_eq!(effects[0], Effect::Connect(address()));
    let said = sent(&effects);
    for part in ["PING", "AUTH", "listening-port", "7001", "ip-address", "10.0.0.1", "eof", "psync2"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(sent(&replica.step(NOW, Event::Received(b"+OK\r\n-ERR what?\r\n+OK\r\n"))), "");
    let asked = sent(&replica.step(NOW, Event::Received(b"+OK\r\n")));
    assert!(asked.contains("PSYNC") && asked.contains(id(1).as_str()) && asked.ends_with("$1\r\n1\r\n"), "{asked}");
}

#[test]
fn a_wrong_password_ends_the_attempt_and_the_next_comes_later() {
    let (mut replica, _) = asking(Config { password: "p".into(), ..Config::default() });
    let effects = replica.step(NOW, Event::Received(b"-WRONGPASS no\r\n"));
    assert!(effects.contains(&Effect::Disconnect), "{effects:?}");
    assert!(replica.step(NOW.after(999), TICK).is_empty());
    assert_eq!(replica.step(NOW.after(1000), TICK), [Effect::Connect(address())]);
}

#[test]
fn a_silent_primary_is_given_up_at_every_stage() {
    let whole = conversation("$8", "");
    for said in [b"".as_slice(), b"+OK\r\n+OK\r\n", &whole[..30], &whole] {
        let (mut replica, _) = asking(Config::default());
        feed(&mut replica, said, &mut Outcome::default());
        assert_ne!(replica.upstream().unwrap().stage(), Stage::Down);
        replica.step(NOW.after(60_000), TICK);
        assert_ne!(replica.upstream().unwrap().stage(), Stage::Down);
        replica.step(NOW.after(60_001), TICK);
        assert_eq!(replica.upstream().unwrap().stage(), Stage::Down);
    }
}

/// A primary that is not done with the copy does not count the acknowledgement that it holds the stream back for.
#[test]
fn a_copy_is_acknowledged_until_the_stream_begins() {
    let (mut replica, _) = asking(Config::default());
    let copy = format!("+OK\r\n+OK\r\n+FULLRESYNC {} 4000\r\n$8\r\nthe keys", id(9));
    feed(&mut replica, copy.as_bytes(), &mut Outcome::default());
    let acknowledgement = "*3\r\n$8\r\nREPLCONF\r\n$3\r\nACK\r\n$4\r\n4000\r\n";
    for ms in [100, 200, 300] {
        assert_eq!(sent(&replica.step(NOW.after(ms), TICK)), acknowledgement);
        assert_eq!(sent(&replica.step(NOW.after(ms), TICK)), "");
    }
    replica.step(NOW.after(350), Event::Received(b"\n"));
    assert_eq!(sent(&replica.step(NOW.after(400), TICK)).matches("ACK").count(), 1);
    assert_eq!(sent(&replica.step(NOW.after(1399), TICK)), "");
    assert_eq!(sent(&replica.step(NOW.after(1400), TICK)).matches("ACK").count(), 1);
}

#[test]
fn freshness_begins_with_the_stream_and_ends_with_a_primary_of_another_past() {
    let (mut replica, _) = asking(Config::default());
    assert_eq!(replica.upstream().unwrap().fresh_at(), None);
    feed(&mut replica, &conversation("$8", ""), &mut Outcome::default());
    assert_eq!(replica.upstream().unwrap().fresh_at(), Some(NOW));
    let effects = replica.step(NOW.after(500), Event::Lost);
    assert!(effects.contains(&Effect::Disconnect));
    assert_eq!(replica.upstream().unwrap().fresh_at(), Some(NOW.after(500)));
    let heir = Event::Follow { primary: NodeId([8; 20]), address: address(), shard: NodeId([1; 20]) };
    replica.step(NOW.after(600), heir);
    assert_eq!(replica.upstream().unwrap().fresh_at(), Some(NOW.after(500)));
    let stranger = Event::Follow { primary: NodeId([9; 20]), address: address(), shard: NodeId([2; 20]) };
    replica.step(NOW.after(700), stranger);
    assert_eq!(replica.upstream().unwrap().fresh_at(), None);
}

#[test]
fn what_cannot_be_carried_out_is_made_good_by_a_copy() {
    let (mut replica, _) = asking(Config::default());
    feed(&mut replica, &conversation("$8", ""), &mut Outcome::default());
    assert!(replica.step(NOW, Event::Inapplicable).contains(&Effect::Disconnect));
    replica.step(NOW.after(1000), TICK);
    replica.step(NOW.after(1000), Event::Connected);
    replica.step(NOW.after(1000), Event::Received(b"+PONG\r\n"));
    let asked = sent(&replica.step(NOW.after(1000), Event::Received(b"+OK\r\n+OK\r\n")));
    assert!(asked.contains("$1\r\n?\r\n$2\r\n-1\r\n"), "{asked}");
    // A primary that goes on all the same is not believed.
    let line = format!("+CONTINUE {}\r\n", id(9));
    assert!(replica.step(NOW.after(1000), Event::Received(line.as_bytes())).contains(&Effect::Disconnect));
}

proptest! {
    #[test]
    fn it_does_not_matter_how_reads_cut_the_stream(cuts in prop::collection::vec(1_usize..40, 1..60), marked: bool) {
        let mark = format!("$EOF:{MARK}");
        let bytes = if marked { conversation(&mark, MARK) } else { conversation("$8", "") };
        let (mut replica, _) = asking(Config::default());
        let (mut outcome, mut rest) = (Outcome::default(), bytes.as_slice());
        for cut in cuts.into_iter().cycle() {
            let (part, behind) = rest.split_at(cut.min(rest.len()));
            feed(&mut replica, part, &mut outcome);
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        let expected = Outcome {
            copy: b"the keys".to_vec(),
            is_complete: true,
            requests: vec![vec![words(&["SET", "a", "1\r\n2"])], vec![words(&["DEL", "a"]), words(&["INCR", "b"])]],
        };
        prop_assert_eq!(outcome, expected);
        prop_assert_eq!(replica.offset(), 4000 + STREAM.len() as u64);
        prop_assert_eq!(replica.history().id, id(9));
    }

    #[test]
    fn a_transaction_counts_when_it_is_complete(lost_at in 0..STREAM.len()) {
        let (mut replica, _) = asking(Config::default());
        let (mut outcome, bytes) = (Outcome::default(), conversation("$8", ""));
        feed(&mut replica, &bytes[..bytes.len() - STREAM.len() + lost_at], &mut outcome);
        let count = replica.offset() - 4000;
        let is_within = STREAM[..lost_at].windows(5).any(|word| word == b"MULTI")
            && !STREAM[..lost_at].windows(6).any(|word| word == b"EXEC\r\n");
        let count = usize::try_from(count).unwrap();
        prop_assert!(count <= lost_at);
        prop_assert!(!is_within || STREAM[count..].starts_with(b"*1\r\n$5\r\nMULTI"));
    }

    #[test]
    fn nothing_that_a_primary_says_is_a_reason_to_panic(
        parts in prop::collection::vec(prop_oneof![
            prop::collection::vec(any::<u8>(), 0..60),
            Just(b"+OK\r\n+OK\r\n".to_vec()),
            Just(format!("+FULLRESYNC {} 18446744073709551615\r\n", id(3)).into_bytes()),
            Just(format!("+FULLRESYNC {} 9223372036854775807\r\n", id(3)).into_bytes()),
            Just(format!("+FULLRESYNC {} 12\r\n$5\r\nabcde", id(3)).into_bytes()),
            Just(format!("+CONTINUE {}\r\n", id(4)).into_bytes()),
            Just(b"$-5\r\n".to_vec()),
            Just(b"$99999999999999999999\r\n".to_vec()),
            Just(b"$9223372036854775807\r\n".to_vec()),
            Just(b"*1\r\n$5\r\nMULTI\r\n".to_vec()),
            Just(b"*1\r\n$4\r\nEXEC\r\n".to_vec()),
            Just(b"*2\r\n$6\r\nSELECT\r\n$1\r\n9\r\n".to_vec()),
            Just(b"*1000000000\r\n$1\r\na\r\n".to_vec()),
        ], 0..30),
        can_load: bool,
    ) {
        let (mut replica, _) = asking(Config { transaction_max: 4096, ..Config::default() });
        let mut now = NOW;
        for part in parts {
            let effects = replica.step(now, Event::Received(&part));
            if effects.contains(&Effect::EndLoad) {
                replica.step(now, if can_load { Event::Loaded } else { Event::Unloadable });
            }
            if replica.upstream().unwrap().stage() == Stage::Down {
                now = now.after(1000);
                replica.step(now, TICK);
                replica.step(now, Event::Connected);
                replica.step(now, Event::Received(b"+PONG\r\n"));
            }
        }
        let (start, count) = replica.kept();
        prop_assert_eq!(start + count as u64, replica.history().offset);
    }
}

const FIRST: ReplicaId = ReplicaId(1);
const SECOND: ReplicaId = ReplicaId(2);

fn ask(primary: &mut Replication, replica: ReplicaId, place: Option<(StreamId, u64)>) -> String {
    primary.step(NOW, Event::Introduced { replica, introduction: Introduction::EndMarks });
    let effects = primary.step(NOW, Event::Asked { replica, place, expects_place: true });
    let answers = effects.into_iter().filter_map(|effect| {
        if let Effect::Answer { bytes, .. } = effect { Some(String::from_utf8(bytes).unwrap()) } else { None }
    });
    answers.collect()
}

/// A primary with a replica that reads its stream.
fn serving() -> Replication {
    let mut primary = machine(1);
    assert_eq!(ask(&mut primary, FIRST, None), "");
    let effects = primary.step(NOW, TICK);
    assert!(effects.contains(&Effect::Copy { marked: vec![FIRST], counted: vec![], empty: vec![] }), "{effects:?}");
    primary.step(NOW, Event::Copied { replica: FIRST });
    primary.step(NOW, Event::Acked { replica: FIRST, offset: 0 });
    primary
}

fn phase(primary: &Replication, replica: ReplicaId) -> Option<Phase> {
    primary.replicas().find(|(id, _)| *id == replica).map(|(_, replica)| replica.phase)
}

#[test]
fn a_replica_without_end_marks_gets_its_copy_counted_and_signs_of_life_meanwhile() {
    let mut primary = machine(1);
    primary.step(NOW, Event::Asked { replica: FIRST, place: None, expects_place: false });
    let effects = primary.step(NOW, TICK);
    assert!(effects.contains(&Effect::Copy { marked: vec![], counted: vec![FIRST], empty: vec![] }), "{effects:?}");
    let sign = Effect::Answer { replica: FIRST, bytes: b"\n".to_vec() };
    assert!(primary.step(NOW.after(2000), TICK).contains(&sign));
    primary.step(NOW.after(2100), Event::Copied { replica: FIRST });
    assert_eq!(phase(&primary, FIRST), Some(Phase::Online));
    assert!(!primary.step(NOW.after(9000), TICK).contains(&sign));
}

#[test]
fn whoever_has_to_find_an_end_mark_reads_the_stream_once_it_says_so() {
    let mut primary = machine(1);
    primary.step(NOW, Event::Introduced { replica: FIRST, introduction: Introduction::EndMarks });
    primary.step(NOW, Event::Asked { replica: FIRST, place: None, expects_place: false });
    primary.step(NOW, TICK);
    primary.step(NOW, Event::Copied { replica: FIRST });
    assert_eq!(phase(&primary, FIRST), Some(Phase::Copied));
    primary.step(NOW, Event::Acked { replica: FIRST, offset: 0 });
    assert_eq!(phase(&primary, FIRST), Some(Phase::Online));
}

#[test]
fn whoever_wants_a_copy_only_holds_no_place_in_the_stream() {
    let mut primary = machine(1);
    primary.step(NOW, Event::Introduced { replica: FIRST, introduction: Introduction::CopyOnly });
    ask(&mut primary, FIRST, None);
    primary.step(NOW, TICK);
    primary.step(NOW, Event::Produced(b"write"));
    primary.step(NOW, Event::Copied { replica: FIRST });
    primary.step(NOW, Event::Acked { replica: FIRST, offset: 0 });
    assert_eq!((phase(&primary, FIRST), primary.unsent(FIRST)), (Some(Phase::Introduced), b"".as_slice()));
}

#[test]
fn whoever_wants_no_keys_must_find_an_end_mark() {
    let mut primary = machine(1);
    primary.step(NOW, Event::Introduced { replica: FIRST, introduction: Introduction::NoKeys });
    let refused = primary.step(NOW, Event::Asked { replica: FIRST, place: None, expects_place: false });
    assert!(matches!(refused.as_slice(), [Effect::Answer { bytes, .. }] if bytes.starts_with(b"-ERR Filtered")));
    ask(&mut primary, FIRST, None);
    let effects = primary.step(NOW, TICK);
    assert!(effects.contains(&Effect::Copy { marked: vec![], counted: vec![], empty: vec![FIRST] }), "{effects:?}");
}

#[test]
fn synchronisations_are_counted() {
    let mut primary = serving();
    let (stream, offset) = (primary.history().id, primary.offset());
    ask(&mut primary, SECOND, Some((stream, offset)));
    ask(&mut primary, ReplicaId(3), Some((stream, offset + 1000)));
    assert_eq!(primary.syncs(), Syncs { copies: 2, continued: 1, not_continued: 1 });
}

#[test]
fn a_copy_waits_for_others_and_the_stream_for_the_copy() {
    let mut primary = Replication::new(Config { delay_ms: 5000, ..Config::default() }, History::new(id(1)));
    primary.step(NOW, Event::Produced(b"before anybody asks"));
    assert_eq!(primary.offset(), 0);
    ask(&mut primary, FIRST, None);
    primary.step(NOW, Event::Produced(b"w"));
    assert!(!primary.step(NOW.after(4999), TICK).iter().any(|effect| matches!(effect, Effect::Copy { .. })));
    ask(&mut primary, SECOND, None);
    assert_eq!(primary.step(NOW.after(5000), Event::Tick { is_paused: false, can_copy: false }), []);
    let effects = primary.step(NOW.after(5000), TICK);
    assert!(
        effects.contains(&Effect::Copy { marked: vec![FIRST, SECOND], counted: vec![], empty: vec![] }),
        "{effects:?}"
    );
    let offset = primary.offset();
    primary.step(NOW, Event::Produced(b"write"));
    assert_eq!(primary.unsent(FIRST), b"");
    primary.step(NOW, Event::Copied { replica: FIRST });
    assert_eq!(primary.unsent(FIRST), b"");
    primary.step(NOW, Event::Acked { replica: FIRST, offset });
    let unsent = String::from_utf8(primary.unsent(FIRST).to_vec()).unwrap();
    assert!(unsent.starts_with("*2\r\n$6\r\nSELECT") && unsent.ends_with("write"), "{unsent}");
    primary.step(NOW, Event::CopyFailed);
    assert_eq!((phase(&primary, FIRST), phase(&primary, SECOND)), (Some(Phase::Online), None));
}

#[test]
fn a_replica_goes_on_only_where_nothing_is_missing() {
    let mut primary = serving();
    primary.step(NOW, Event::Produced(&[b'x'; 100]));
    let end = primary.offset();
    let mut number = 10;
    let mut answer = |primary: &mut Replication, place| {
        number += 1;
        ask(primary, ReplicaId(number), place)
    };
    let goes_on = format!("+CONTINUE {}\r\n", id(1));
    for (place, expected) in [
        (Some((id(1), 0)), goes_on.as_str()),
        (Some((id(1), end)), goes_on.as_str()),
        (Some((id(1), end + 1)), ""),
        (Some((id(2), 0)), ""),
        (None, ""),
    ] {
        assert_eq!(answer(&mut primary, place), expected, "{place:?}");
    }
    primary.config.backlog_bytes = 50;
    primary.step(NOW, TICK);
    assert_eq!(answer(&mut primary, Some((id(1), end - 51))), goes_on, "the slowest replica holds what it lacks");
    for number in 1..40 {
        primary.step(NOW, Event::Gone { replica: ReplicaId(number) });
    }
    primary.step(NOW, TICK);
    assert_eq!(primary.kept(), (primary.offset() - 50, 50));
    let end = primary.offset();
    assert_eq!(ask(&mut primary, ReplicaId(50), Some((id(1), end - 51))), "");
    assert_eq!(ask(&mut primary, ReplicaId(51), Some((id(1), end - 50))), goes_on);
}

#[test]
fn acknowledgements_count_and_silence_does_not() {
    let mut primary = serving();
    primary.step(NOW, Event::Produced(b"write"));
    let end = primary.offset();
    assert_eq!((primary.acked_by(end), primary.in_touch(NOW, 0)), (0, 1));
    primary.step(NOW.after(10), Event::Acked { replica: FIRST, offset: u64::MAX });
    assert_eq!((primary.acked_by(end), primary.in_touch(NOW.after(21), 10)), (1, 0));
    primary.step(NOW, Event::AcksWanted);
    assert!(primary.offset() > end);
    let effects = primary.step(NOW.after(60_011), TICK);
    assert!(effects.contains(&Effect::Close { replica: FIRST }), "{effects:?}");
}

#[test]
fn a_replica_that_does_not_read_is_cut_off() {
    let mut primary = serving();
    primary.config.output = slotbus_replication::OutputLimit { hard: 1000, soft: 100, soft_ms: 10 };
    primary.step(NOW, Event::Produced(&[b'x'; 200]));
    assert!(!primary.step(NOW.after(1), TICK).contains(&Effect::Close { replica: FIRST }));
    assert!(primary.step(NOW.after(12), TICK).contains(&Effect::Close { replica: FIRST }));
    let mut primary = serving();
    primary.config.output = slotbus_replication::OutputLimit { hard: 1000, ..Default::default() };
    primary.step(NOW, Event::Produced(&[b'x'; 2000]));
    assert!(primary.step(NOW.after(1), TICK).contains(&Effect::Close { replica: FIRST }));
}

#[test]
fn a_primary_that_may_lack_a_write_shares_no_stream_with_anybody() {
    let (mut replica, _) = asking(Config { delay_ms: 0, ..Config::default() });
    feed(&mut replica, &conversation("$8", ""), &mut Outcome::default());
    let offset = replica.offset();
    replica.step(NOW, Event::Inapplicable);
    assert_eq!(replica.place(), None);
    replica.step(NOW, Event::Lead { id: id(5) });
    assert_eq!(replica.place(), Some((id(5), offset)));
    assert_eq!(ask(&mut replica, FIRST, Some((id(9), 4000))), "");
}

#[test]
fn a_write_is_safe_once_a_replica_was_sent_it_unless_none_takes_anything() {
    let mut primary = machine(1);
    assert_eq!(primary.safe_until(NOW), u64::MAX);
    primary = serving();
    let start = primary.offset();
    let count = primary.unsent(FIRST).len();
    primary.sent(NOW, FIRST, count);
    primary.step(NOW.after(5000), Event::Produced(b"write"));
    let end = primary.offset();
    assert_eq!((primary.safe_until(NOW.after(5000)), primary.safe_until(NOW.after(6000))), (start, start));
    assert_eq!(primary.safe_until(NOW.after(6001)), u64::MAX, "it takes nothing");
    primary.sent(NOW.after(6500), FIRST, 3);
    let after = [7500, 7501].map(|ms| primary.safe_until(NOW.after(ms)));
    assert_eq!(after, [start + 3, u64::MAX]);
    let rest = primary.unsent(FIRST).len();
    primary.sent(NOW.after(8000), FIRST, rest);
    assert_eq!(primary.safe_until(NOW.after(60_000)), end);
}

/// Sends a replica what its primary has for it.
fn pass_on(primary: &mut Replication, replica: &mut Replication) {
    while !primary.unsent(FIRST).is_empty() {
        let bytes = primary.unsent(FIRST).to_vec();
        primary.sent(NOW, FIRST, bytes.len());
        replica.step(NOW, Event::Received(&bytes));
    }
}

#[test]
fn the_primary_of_before_goes_on_with_the_stream_of_its_successor() {
    let mut primary = serving();
    let (mut replica, _) = asking(Config { delay_ms: 0, ..Config::default() });
    feed(&mut replica, format!("+OK\r\n+OK\r\n+FULLRESYNC {} 0\r\n$0\r\n", id(1)).as_bytes(), &mut Outcome::default());
    let write = b"*2\r\n$4\r\nINCR\r\n$1\r\na\r\n";
    primary.step(NOW, Event::Produced(write));
    pass_on(&mut primary, &mut replica);
    assert_eq!((replica.offset(), replica.history().id), (primary.offset(), id(1)));

    assert!(replica.step(NOW, Event::Lead { id: id(2) }).contains(&Effect::Disconnect));
    replica.step(NOW, Event::Produced(write));
    primary.step(NOW, follow());
    let place = Some((primary.history().id, primary.history().offset));
    assert_eq!(ask(&mut replica, FIRST, place), format!("+CONTINUE {}\r\n", id(2)));
    primary.step(NOW, Event::Connected);
    primary.step(NOW, Event::Received(b"+PONG\r\n"));
    let effects = primary.step(NOW, Event::Received(format!("+OK\r\n+OK\r\n+CONTINUE {}\r\n", id(2)).as_bytes()));
    assert!(effects.contains(&Effect::Close { replica: FIRST }), "its own replicas learn the new name: {effects:?}");
    pass_on(&mut replica, &mut primary);
    assert_eq!((primary.offset(), primary.history().id), (replica.offset(), id(2)));

    // What it wrote after they parted nobody else has.
    let mut stray = serving();
    stray.step(NOW, Event::Produced(&[b'x'; 500]));
    assert_eq!(ask(&mut replica, ReplicaId(9), Some((id(1), stray.offset()))), "");
}

#[test]
fn a_primary_that_follows_its_replica_asks_by_the_name_that_this_knows() {
    for is_told in [false, true] {
        let mut primary = serving();
        primary.step(NOW, follow());
        primary.step(NOW, Event::Lead { id: id(2) });
        if is_told {
            assert_eq!(ask(&mut primary, FIRST, Some((id(1), 0))), format!("+CONTINUE {}\r\n", id(2)));
        }
        let events = [follow(), Event::Connected, Event::Received(b"+PONG\r\n"), Event::Received(b"+OK\r\n+OK\r\n")];
        let effects = events.map(|event| primary.step(NOW, event));
        let name = if is_told { id(2) } else { id(1) };
        assert!(sent(&effects[3]).contains(&name.to_string()), "{effects:?}");
    }
}

#[test]
fn a_replica_that_is_not_in_step_serves_no_stream() {
    let (mut replica, _) = asking(Config { delay_ms: 0, ..Config::default() });
    assert!(ask(&mut replica, FIRST, None).starts_with("-NOMASTERLINK"));
    feed(&mut replica, &conversation("$8", ""), &mut Outcome::default());
    assert_eq!(ask(&mut replica, SECOND, Some((id(9), 4000))), format!("+CONTINUE {}\r\n", id(9)));
    assert_eq!(replica.unsent(SECOND), STREAM, "the primary's own bytes");
}
