//! Generated sequences of requests to this node and to redis-server, alone and as a cluster of one, in both
//! protocols: replies must be the same, and so must be what is held at the end. A difference is shrunk to the
//! shortest sequence that shows it.
//!
//! `SLOTBUS_SEQUENCES=20000 cargo test --release -p slotbus-node --test corpus` runs as many sequences.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up ends at once")]

mod generator;
mod grammar;
#[path = "../support/mod.rs"]
mod support;

use generator::{Generator, Sequence};
use slotbus_node::commands::COMMANDS;
use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    time::{Duration, Instant},
};
use support::{
    Request, Server,
    likeness::{Likeness, likeness},
    pair::{Pair, line_of, words_of},
    reply::Reply,
};

/// How many sequences run if nobody says how many.
const SEQUENCES: u64 = 300;
/// How many differences are shown.
const SHOWN_MAX: usize = 60;

/// Small collections change their form early, and no string takes more than a megabyte.
const DIRECTIVES: &[&str] = &[
    "--proto-max-bulk-len",
    "1mb",
    "--databases",
    "1",
    "--hash-max-listpack-entries",
    "8",
    "--hash-max-listpack-value",
    "20",
    "--set-max-intset-entries",
    "8",
    "--zset-max-listpack-entries",
    "8",
    "--zset-max-listpack-value",
    "20",
    "--list-max-listpack-size",
    "4",
    "--hll-sparse-max-bytes",
    "60",
    "--stream-node-max-entries",
    "4",
];

/// A server outside of clusters, whose collections are small.
fn small(program: &str) -> Server {
    Server::start(program, DIRECTIVES)
}

/// A cluster of one, with the usual limits.
fn clustered(program: &str) -> Server {
    let server = Server::alone(program);
    assert_eq!(server.client().ask("CONFIG SET proto-max-bulk-len 1mb"), "+OK\r\n");
    server
}

/// Where a sequence goes wrong: the request, and what was answered.
struct Difference {
    /// The name of the command, and the types of both replies.
    sign: (Vec<u8>, u8, u8),
    request: String,
    ours: String,
    theirs: String,
}

/// Runs a sequence on both servers from an empty state.
fn run(pair: &mut Pair, sequence: &Sequence) -> Result<(), Difference> {
    let greeting = words_of(&format!("hello {}", sequence.protocol));
    pair.ask_all(&[words_of("reset"), words_of("flushall"), words_of("script flush"), greeting.clone()]);
    let body = sequence.units.iter().flatten().cloned();
    let requests: Vec<Request> = body.chain([words_of("reset")]).collect();
    let past = Past { is_sorted: has(sequence, "sort"), is_picked: has(sequence, "randomkey") };
    compare_all(pair, &requests, |_, request| past.likeness(request))?;
    let keys = keys_of(sequence);
    pair.ask_all(&[greeting]);
    compare_keys(pair, &keys, past)?;
    if sequence.has_exchange {
        for key in keys {
            if pair.exchange(&key, COPY) {
                compare_keys(pair, &[COPY.to_vec()], past)?;
            }
        }
    }
    Ok(())
}

/// What a sequence has in it that tells in later replies.
#[derive(Clone, Copy)]
struct Past {
    /// Something was sorted.
    is_sorted: bool,
    /// A key was picked by chance: one that has expired is dropped with it, and counted until then.
    is_picked: bool,
}

impl Past {
    fn likeness(self, request: &Request) -> Likeness {
        let is_count = request[0].eq_ignore_ascii_case(b"dbsize");
        if is_count && self.is_picked { Likeness::Kind } else { likeness(request) }
    }
}

/// What comes of a dump of the other server.
const COPY: &[u8] = b"{k}copy";

/// The keys that a sequence is about.
fn keys_of(sequence: &Sequence) -> Vec<Vec<u8>> {
    let words = sequence.units.iter().flatten().flatten();
    let keys: BTreeSet<&Vec<u8>> = words.filter(|word| word.starts_with(b"{k}") && word.len() < 8).collect();
    keys.into_iter().cloned().collect()
}

/// Whether a word of a sequence begins like this.
fn has(sequence: &Sequence, beginning: &str) -> bool {
    let words = sequence.units.iter().flatten().flatten();
    words.map(|word| word.to_ascii_lowercase()).any(|word| word.starts_with(beginning.as_bytes()))
}

/// Compares what keys hold, and in which form. What has an order in its form is compared in that order.
fn compare_keys(pair: &mut Pair, keys: &[Vec<u8>], past: Past) -> Result<(), Difference> {
    let mut is_ordered = false;
    compare_all(pair, &readings(keys), |theirs, request| {
        let is_encoding = request.iter().any(|arg| arg == b"encoding");
        let encoding = format!("{theirs:?}");
        if is_encoding {
            is_ordered = ["listpack", "intset"].iter().any(|form| encoding.contains(form));
        }
        let likeness = past.likeness(request);
        // To sort a sorted set changes its form there, and not here.
        let has_changed_form = is_encoding && past.is_sorted && encoding.contains("skiplist");
        if has_changed_form {
            Likeness::Kind
        } else if is_ordered && matches!(likeness, Likeness::Parts(_)) {
            Likeness::Same
        } else {
            likeness
        }
    })
}

/// Requests that read every key by the command for its kind.
fn readings(keys: &[Vec<u8>]) -> Vec<Request> {
    const READS: [&str; 10] = [
        "type K",
        "object encoding K",
        "pexpiretime K",
        "get K",
        "lrange K 0 -1",
        "smembers K",
        "hgetall K",
        "zrange K 0 -1 withscores",
        "xrange K - +",
        "xinfo stream K full",
    ];
    let reading = |read: &str, key: &Vec<u8>| {
        let fill = |word| if word == b"K" { key.clone() } else { word };
        words_of(read).into_iter().map(fill).collect::<Request>()
    };
    keys.iter().flat_map(|key| READS.map(|read| reading(read, key))).chain([words_of("dbsize")]).collect()
}

/// Sends requests in one go, and compares all replies that come before that to a mark.
fn compare_all(
    pair: &mut Pair,
    requests: &[Request],
    mut how: impl FnMut(&Reply, &Request) -> Likeness,
) -> Result<(), Difference> {
    let [ours, theirs] = pair.ask_all(requests);
    let differ = |request: &Request, ours: &[Reply], theirs: &[Reply]| {
        let kind = |replies: &[Reply]| replies.first().map_or(0, |reply| reply.kind()[0]);
        Err(Difference {
            sign: (request[0].to_ascii_lowercase(), kind(ours), kind(theirs)),
            request: line_of(request),
            ours: format!("{ours:?}"),
            theirs: format!("{theirs:?}"),
        })
    };
    if ours.len() != requests.len() || theirs.len() != requests.len() {
        // Subscriptions are listed, served and ended in no particular order.
        let leaves = |replies: &[Reply]| {
            let mut leaves: Vec<Vec<u8>> = replies.iter().flat_map(Reply::leaves).map(<[u8]>::to_vec).collect();
            leaves.sort();
            leaves
        };
        let is_same = ours == theirs || leaves(&ours) == leaves(&theirs);
        return if is_same { Ok(()) } else { differ(&words_of("all of them"), &ours, &theirs) };
    }
    for (request, (ours, theirs)) in requests.iter().zip(ours.iter().zip(&theirs)) {
        let is_alike =
            pair.note(request, ours, theirs) || how(theirs, request).holds(ours, theirs) || is_known(ours, theirs);
        if !is_alike {
            return differ(request, std::slice::from_ref(ours), std::slice::from_ref(theirs));
        }
    }
    Ok(())
}

/// Beginnings of replies of this node and of redis-server that stand in docs/DIVERGENCES.md.
const KNOWN: &[(&str, &str)] = &[
    // SORT of redis-server refuses numbers after any command, of whatever client, that met one too large.
    ("", "-ERR One or more scores can't be converted into double"),
    // redis-server finds keys behind a number that the command itself refuses.
    ("-ERR Invalid arguments specified for command", "$"),
    ("-ERR numkeys should be greater than 0", "-CROSSSLOT"),
];

/// Whether two replies differ in a way that is known.
fn is_known(ours: &Reply, theirs: &Reply) -> bool {
    let begins = |reply: &Reply, text: &str| reply.leaves().iter().any(|leaf| leaf.starts_with(text.as_bytes()));
    KNOWN.iter().any(|(our_text, their_text)| begins(ours, our_text) && begins(theirs, their_text))
}

/// The shortest sequence that still shows a difference.
fn shrunk(pair: &mut Pair, mut sequence: Sequence, mut difference: Difference) -> (Sequence, Difference) {
    let mut is_shorter = true;
    while is_shorter {
        is_shorter = false;
        for at in (0..sequence.units.len()).rev() {
            let mut shorter = sequence.clone();
            shorter.units.remove(at);
            if let Err(found) = run(pair, &shorter)
                && found.sign == difference.sign
            {
                (sequence, difference, is_shorter) = (shorter, found, true);
            }
        }
        for (unit, arg) in arguments(&sequence) {
            let mut shorter = sequence.clone();
            let is_there = shorter.units.get(unit).is_some_and(|unit| arg < unit[0].len());
            if is_there {
                shorter.units[unit][0].remove(arg);
                if let Err(found) = run(pair, &shorter)
                    && found.sign == difference.sign
                {
                    (sequence, difference, is_shorter) = (shorter, found, true);
                }
            }
        }
    }
    (sequence, difference)
}

/// The places of all arguments of units of one request, the last ones first. Those of long-winded commands stay.
fn arguments(sequence: &Sequence) -> Vec<(usize, usize)> {
    let units = sequence.units.iter().enumerate().filter(|(_, unit)| unit.len() == 1);
    let is_safe = |name: &[u8]| {
        !["wait", "client", "command", "hrandfield", "srandmember"].iter().any(|word| name == word.as_bytes())
    };
    let safe = units.filter(|(_, unit)| is_safe(&unit[0][0]) && !unit[0][0].starts_with(b"b"));
    safe.flat_map(|(at, unit)| (1..unit[0].len()).rev().map(move |arg| (at, arg))).collect()
}

#[test]
fn generated_sequences_are_answered_the_same() {
    let count = env::var("SLOTBUS_SEQUENCES").map_or(SEQUENCES, |count| count.parse().expect("a number of sequences"));
    let first = env::var("SLOTBUS_FIRST_SEED").map_or(0, |seed| seed.parse().expect("a seed"));
    let mut pairs = [Pair::start(small), Pair::start(clustered)];
    let mut generator = Generator::new();
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    let (start, mut differing) = (Instant::now(), 0);
    for seed in first..first + count {
        let sequence = generator.sequence(seed);
        let pair = &mut pairs[usize::from(seed % 2 == 1)];
        let Err(difference) = run(pair, &sequence) else { continue };
        differing += 1;
        if found.len() >= SHOWN_MAX {
            continue;
        }
        let (sequence, difference) = shrunk(pair, sequence, difference);
        let Difference { request, ours, theirs, .. } = difference;
        let lines: Vec<String> = sequence.units.iter().flatten().map(line_of).collect();
        let shown = format!(
            "seed {seed}, RESP{}:\n  {}\n  {request}\n    ours:   {ours}\n    theirs: {theirs}",
            sequence.protocol,
            lines.join("\n  ")
        );
        let name = lines.last().map_or("", |line| line.split(' ').next().unwrap_or_default());
        let beginning = |reply: &str| reply.chars().take(24).collect::<String>();
        found.entry(format!("{name} {} {}", beginning(&ours), beginning(&theirs))).or_insert(shown);
    }
    let took: Duration = start.elapsed();
    println!("{count} sequences from seed {first} in {took:.1?}, {differing} of them answered differently");
    let shown: Vec<&String> = found.values().collect();
    assert!(
        shown.is_empty(),
        "{differing} of {count} differ:\n{}",
        shown.iter().map(|s| s.as_str()).collect::<Vec<_>>().join("\n")
    );
}

/// Commands that are not generated, and why.
const LEFT_OUT: &[(&str, &str)] = &[
    ("bgrewriteaof", "the disk's time: append_only.rs"),
    ("bgsave", "the disk's time: snapshots.rs"),
    ("fcall", "needs a library: functions.rs"),
    ("fcall_ro", "as FCALL"),
    ("flushall", "comes before every sequence"),
    ("flushdb", "as FLUSHALL"),
    ("function", "outlives a sequence: functions.rs"),
    ("info", "its fields are compared in commands.rs"),
    ("migrate", "needs a second server: resharding.rs"),
    ("monitor", "changes what the connection is: observing.rs"),
    ("pfselftest", "takes long there: differential.rs"),
    ("psync", "changes what the connection is: replication.rs"),
    ("quit", "ends the connection: commands.rs"),
    ("replicaof", "changes what the server is: replication.rs"),
    ("save", "the disk's time: snapshots.rs"),
    ("shutdown", "ends the server: commands.rs"),
    ("slaveof", "changes what the server is: replication.rs"),
    ("sync", "changes what the connection is: replication.rs"),
];

#[test]
fn every_command_is_generated() {
    let forms = grammar::forms();
    let is_generated = |name: &str| forms.iter().any(|form| form.name() == name.as_bytes());
    for command in COMMANDS {
        let is_left_out = LEFT_OUT.iter().any(|(name, _)| *name == command.name);
        assert_ne!(is_generated(command.name), is_left_out, "{}", command.name);
    }
}
