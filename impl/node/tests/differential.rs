//! The same requests about data to this node and to redis-server, list by list: the replies must be the same bytes,
//! but for the order of what has none. What chance makes up is in corpus/.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up ends at once")]

mod support;

use fastrand::Rng;
use support::{
    Client, Request, Server, keys,
    pair::{Pair, words_of},
    reply::Reply,
    text,
};

#[test]
fn strings_and_bits() {
    Pair::start(Server::single).compare(include_str!("scripts/strings.txt"));
}

#[test]
fn keys() {
    Pair::start(Server::single).compare(include_str!("scripts/keys.txt"));
}

#[test]
fn hashes() {
    Pair::start(Server::single).compare(include_str!("scripts/hashes.txt"));
}

#[test]
fn lists() {
    Pair::start(Server::single).compare(include_str!("scripts/lists.txt"));
}

#[test]
fn sets() {
    Pair::start(Server::single).compare(include_str!("scripts/sets.txt"));
}

#[test]
fn sorted_sets() {
    Pair::start(Server::single).compare(include_str!("scripts/sorted_sets.txt"));
}

#[test]
fn estimates() {
    Pair::start(Server::single).compare(include_str!("scripts/hyperloglog.txt"));
}

#[test]
fn streams() {
    Pair::start(Server::single).compare(include_str!("scripts/streams.txt"));
}

#[test]
fn places() {
    Pair::start(Server::single).compare(include_str!("scripts/geo.txt"));
}

#[test]
fn the_newer_protocol() {
    let mut pair = Pair::start(Server::single);
    pair.speak_newer();
    for list in [
        include_str!("scripts/strings.txt"),
        include_str!("scripts/hashes.txt"),
        include_str!("scripts/lists.txt"),
        include_str!("scripts/sets.txt"),
        include_str!("scripts/sorted_sets.txt"),
        include_str!("scripts/hyperloglog.txt"),
        include_str!("scripts/streams.txt"),
        include_str!("scripts/geo.txt"),
    ] {
        pair.compare(list);
        pair.compare("flushall");
    }
}

#[test]
fn places_in_a_cluster() {
    Pair::start(Server::alone).compare(
        "
        geoadd {g} 13.361389 38.115556 a 15.087269 37.502669 b
        georadius {g} 15 37 200 km store {g}d
        georadius {g} 15 37 200 km store other
        georadius {g} 15 37 200 km storedist other
        georadius {g} 15 37 200 km store other storedist {g}d
        georadius {g} 15 37 200 km store {g}d storedist other
        georadius {g} 15 37 200 km store
        georadius {g} 15 37 200 store other
        georadius_ro {g} 15 37 200 km store other
        georadiusbymember {g} a 200 km count 1 store other
        georadiusbymember {g} a 200 km count 1 store {g}d
        georadiusbymember_ro {g} a 200 km count 1 store other
        geosearchstore other {g} frommember a byradius 1 m
        geosearchstore {g}d {g} frommember a byradius 1 m
        zrange {g}d 0 -1 withscores
        ",
    );
}

#[test]
fn sorting_in_a_cluster() {
    Pair::start(Server::alone).compare(
        "
        rpush l 3 1 2
        sort l by w*
        sort l by nosort
        sort l get #
        sort l store {l}2
        sort l store other
        copy l {l}3 db 1
        copy l {l}3 db 99
        ",
    );
}

#[test]
fn estimates_in_a_cluster() {
    Pair::start(Server::alone).compare(
        "
        pfadd {a}1 x y
        pfadd {a}2 y z
        pfadd b z
        pfcount {a}1 {a}2
        pfcount {a}1 b
        pfmerge {a}3 {a}1 {a}2
        pfmerge {a}3 {a}1 b
        pfmerge b {a}1
        pfmerge c
        pfcount {a}3
        ",
    );
}

/// The keys of which all kinds and forms there are come out of the other server's dump as they were.
#[test]
fn dumps_are_exchanged() {
    let mut pair = Pair::start(Server::single);
    keys::fill(&mut pair.ours);
    keys::fill(&mut pair.theirs);
    for key in names(&mut pair.ours) {
        assert!(pair.exchange(&key, b"copy"), "{}", text(&key));
        for read in
            ["type", "object encoding", "get", "pfcount", "lrange", "smembers", "hgetall", "zrange", "strlen", "xrange"]
        {
            let end = match read {
                "lrange" => " 0 -1",
                "xrange" => " - +",
                "zrange" => " 0 -1 withscores",
                _ => "",
            };
            let difference = pair.difference(&words_of(&format!("{read} copy{end}")));
            assert_eq!(difference, None, "dump of {}", text(&key));
        }
    }
}

/// The names of all keys.
fn names(client: &mut Client) -> Vec<Vec<u8>> {
    client.send(b"KEYS *\r\n");
    let reply = Reply::of(&client.reply().unwrap());
    let names = reply.parts().unwrap().iter().map(|name| name.content().unwrap().to_vec());
    let names: Vec<Vec<u8>> = names.collect();
    assert!(names.len() > 10);
    names
}

/// All that SCAN and its kin find from the first portion to the last, in order.
fn walked(client: &mut Client, command: &str, options: &str) -> Vec<Reply> {
    const PORTIONS_MAX: usize = 10_000;
    let (mut cursor, mut found) = ("0".to_owned(), Vec::new());
    for _ in 0..PORTIONS_MAX {
        client.send(format!("{command} {cursor} {options}\r\n").as_bytes());
        let reply = Reply::of(&client.reply().unwrap());
        let Some([Reply::Plain(next), portion]) = reply.parts() else { panic!("{reply:?}") };
        found.extend(portion.parts().unwrap().iter().cloned());
        cursor = text(next).lines().nth(1).unwrap().to_owned();
        if cursor == "0" {
            found.sort();
            return found;
        }
    }
    panic!("{command} comes to no end");
}

#[test]
fn walks_come_to_the_same_end() {
    let mut pair = Pair::start(Server::single);
    keys::fill(&mut pair.ours);
    keys::fill(&mut pair.theirs);
    for (command, options) in [
        ("scan", "count 1"),
        ("scan", "count 3 match *r*"),
        ("scan", "type hash"),
        ("sscan table", "count 10"),
        ("sscan table", "count 7 match *1*"),
        ("sscan numbers16", "count 5"),
        ("hscan fields", "count 10"),
        ("hscan few", "count 1"),
        ("zscan ranked", "count 10 match *-2-*"),
        ("zscan extremes", "count 1"),
    ] {
        let [ours, theirs] = [&mut pair.ours, &mut pair.theirs].map(|client| walked(client, command, options));
        assert!(!theirs.is_empty(), "{command} {options}");
        assert_eq!(ours, theirs, "{command} {options}");
    }
}

/// Bytes of a string with registers, some of them spoilt. A run of two bytes whose second one is missing is not made:
/// redis-server reads on behind the end.
fn spoil(text: &mut [u8], rng: &mut Rng) {
    const HEAD: usize = 40;
    for _ in 0..rng.usize(1..4) {
        let beginning = if rng.bool() { text.len().min(HEAD) } else { text.len() };
        text[rng.usize(..beginning)] = rng.u8(..);
    }
    if let Some(last) = text.last_mut().filter(|last| **last >> 6 == 1) {
        *last |= 0x80;
    }
}

/// What a server holds at a key.
fn held(client: &mut Client, key: &[u8]) -> Option<Vec<u8>> {
    client.send_request(&[b"GET", key]);
    Reply::of(&client.reply().unwrap()).content().map(<[u8]>::to_vec)
}

/// One request about registers, or one that spoils a key's.
fn about_registers(pair: &mut Pair, rng: &mut Rng, elements: u32) -> Request {
    let key = |rng: &mut Rng| format!("k{}", rng.u8(0..4)).into_bytes();
    let one = key(rng);
    let several = |rng: &mut Rng| (0..*rng.choice(&[1, 1, 2, 3]).unwrap()).map(|_| key(rng)).collect::<Vec<_>>();
    let request = |name: &str, args: Vec<Vec<u8>>| [vec![name.as_bytes().to_vec()], args].concat();
    match rng.u8(0..20) {
        0..10 => {
            let count = *rng.choice(&[0, 1, 2, 10, 200]).unwrap();
            let elements = (0..count).map(|_| rng.u32(..elements).to_string().into_bytes()).collect();
            request("pfadd", [vec![one], elements].concat())
        }
        10..13 => request("pfcount", several(rng)),
        13..16 => request("pfmerge", several(rng)),
        16 => {
            let what = *rng.choice(&["decode", "encoding", "todense", "getreg"]).unwrap();
            request("pfdebug", vec![what.as_bytes().to_vec(), one])
        }
        17 => request("del", vec![one]),
        18 => match held(&mut pair.theirs, &one).filter(|text| !text.is_empty()) {
            Some(mut text) => {
                spoil(&mut text, rng);
                request("set", vec![one, text])
            }
            None => request("exists", vec![one]),
        },
        _ => request("object", vec![b"encoding".to_vec(), one]),
    }
}

/// After every request about registers, whether they make sense or not, the values are the same bytes.
#[test]
fn registers_are_raised_to_the_same_bytes() {
    const ROUNDS: u64 = 200;
    let mut pair = Pair::start(Server::single);
    for seed in 0..ROUNDS {
        let mut rng = Rng::with_seed(seed);
        let limit = *rng.choice(&[0, 18, 30, 100, 500, 3000, 3000, 20_000]).unwrap();
        let elements = *rng.choice(&[10, 200, 3000, 1_000_000]).unwrap();
        pair.compare(&format!("flushall\nconfig set hll-sparse-max-bytes {limit}"));
        for number in 0..rng.usize(5..60) {
            let request = about_registers(&mut pair, &mut rng, elements);
            assert_eq!(pair.difference(&request), None, "request {number} of seed {seed}");
            for key in [b"k0", b"k1", b"k2", b"k3"] {
                let [ours, theirs] = [&mut pair.ours, &mut pair.theirs].map(|client| held(client, key));
                assert!(ours == theirs, "{} after request {number} of seed {seed}", text(key));
            }
        }
    }
}
