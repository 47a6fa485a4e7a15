//! The same requests about data to this node and to redis-server, written and generated: the replies
//! must be the same bytes, but for the order of what has none; and so must be what is held at the end.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up ends at once")]

mod support;

use fastrand::Rng;
use support::{Client, NODE, REDIS, Server, reply_length, text};

type Request = Vec<Vec<u8>>;

/// The words of a line; `""` stands for an empty one, and `_` within a word for a blank.
fn words(line: &str) -> Request {
    let word = |word: &str| if word == "\"\"" { vec![] } else { word.replace('_', " ").into_bytes() };
    line.split(' ').map(word).collect()
}

/// The parts of a reply that holds several, with the line that announces them.
fn parts(reply: &[u8]) -> Option<(Vec<u8>, Vec<Vec<u8>>)> {
    if !matches!(reply.first(), Some(b'*' | b'~' | b'%')) {
        return None;
    }
    let mut at = reply.windows(2).position(|pair| pair == b"\r\n")? + 2;
    let head = reply[..at].to_vec();
    let mut parts = Vec::new();
    while at < reply.len() {
        let length = reply_length(&reply[at..])?;
        parts.push(reply[at..at + length].to_vec());
        at += length;
    }
    Some((head, parts))
}

/// A reply with its parts in order, `size` of them at a time.
fn ordered(reply: &[u8], size: usize) -> Vec<u8> {
    let Some((head, parts)) = parts(reply) else { return reply.to_vec() };
    let mut groups: Vec<Vec<u8>> = parts.chunks(size).map(<[Vec<u8>]>::concat).collect();
    groups.sort();
    [head, groups.concat()].concat()
}

/// A reply in a form that is the same however a server orders what has no order.
fn normal(request: &Request, reply: &[u8]) -> Vec<u8> {
    match request[0].to_ascii_lowercase().as_slice() {
        b"smembers" | b"sinter" | b"sunion" | b"sdiff" | b"hkeys" | b"hvals" | b"keys" | b"spop" => ordered(reply, 1),
        b"hgetall" => ordered(reply, 2),
        b"sort" | b"sort_ro" if request.iter().any(|word| word == b"by") => ordered(reply, 1),
        b"srandmember" | b"hrandfield" | b"zrandmember" if request.len() == 3 => ordered(reply, 1),
        // Where a portion ends is up to each server.
        b"scan" if !request.iter().any(|word| word == b"count") => b"a portion".to_vec(),
        name @ (b"scan" | b"sscan" | b"hscan" | b"zscan") => {
            let size = if matches!(name, b"hscan" | b"zscan") { 2 } else { 1 };
            match parts(reply) {
                Some((head, parts)) if parts.len() == 2 => [head, parts[0].clone(), ordered(&parts[1], size)].concat(),
                _ => reply.to_vec(),
            }
        }
        // To sort a sorted set changes its form there, and not here.
        b"object" => text(reply).replace("$8\r\nskiplist", "$8\r\nlistpack").into_bytes(),
        _ => reply.to_vec(),
    }
}

/// The replies to the requests of a transaction.
fn normal_of_all(requests: &[Request], reply: &[u8]) -> Vec<u8> {
    match parts(reply) {
        Some((head, parts)) if parts.len() == requests.len() => {
            let normal = requests.iter().zip(&parts).flat_map(|(request, part)| normal(request, part));
            head.into_iter().chain(normal).collect()
        }
        _ => reply.to_vec(),
    }
}

struct Pair {
    ours: Client,
    theirs: Client,
    _servers: [Server; 2],
}

impl Pair {
    fn start(start: impl Fn(&str) -> Server) -> Self {
        let (node, redis) = (start(NODE), start(REDIS));
        Self { ours: node.client(), theirs: redis.client(), _servers: [node, redis] }
    }

    /// Sends requests to both in one go; the first that is answered differently is an error.
    fn ask_all(&mut self, requests: &[Request]) -> Result<(), String> {
        let bytes: Vec<u8> = requests
            .iter()
            .flat_map(|request| support::request(&request.iter().map(Vec::as_slice).collect::<Vec<_>>()))
            .collect();
        self.ours.send(&bytes);
        self.theirs.send(&bytes);
        let (mut outcome, mut queued) = (Ok(()), Vec::new());
        for request in requests {
            let (ours, theirs) = (self.ours.reply().unwrap(), self.theirs.reply().unwrap());
            if theirs == b"+QUEUED\r\n" {
                queued.push(request.clone());
            }
            let is_end = request[0].eq_ignore_ascii_case(b"exec") || request[0].eq_ignore_ascii_case(b"discard");
            let ended = if is_end { std::mem::take(&mut queued) } else { vec![] };
            let shape = |reply: &[u8]| if is_end { normal_of_all(&ended, reply) } else { normal(request, reply) };
            if outcome.is_ok() && shape(&ours) != shape(&theirs) {
                let line = request.iter().map(|word| format!("{:?} ", text(word))).collect::<String>();
                let shown = |reply: &[u8]| text(&reply[..reply.len().min(300)]);
                outcome = Err(format!("{line}\n  ours:   {:?}\n  theirs: {:?}", shown(&ours), shown(&theirs)));
            }
        }
        outcome
    }

    /// Compares the replies to every line of a list.
    fn compare(&mut self, list: &str) {
        let lines: Vec<&str> = list.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        assert!(!lines.is_empty());
        let differences: Vec<String> = lines.iter().filter_map(|line| self.ask_all(&[words(line)]).err()).collect();
        assert!(differences.is_empty(), "{} of {} differ:\n{}", differences.len(), lines.len(), differences.join("\n"));
    }
}

fn alone(program: &str) -> Server {
    Server::start(program, &[])
}

#[test]
fn strings_and_bits() {
    Pair::start(alone).compare(include_str!("scripts/strings.txt"));
}

#[test]
fn keys() {
    Pair::start(alone).compare(include_str!("scripts/keys.txt"));
}

#[test]
fn hashes() {
    Pair::start(alone).compare(include_str!("scripts/hashes.txt"));
}

#[test]
fn lists() {
    Pair::start(alone).compare(include_str!("scripts/lists.txt"));
}

#[test]
fn sets() {
    Pair::start(alone).compare(include_str!("scripts/sets.txt"));
}

#[test]
fn sorted_sets() {
    Pair::start(alone).compare(include_str!("scripts/sorted_sets.txt"));
}

#[test]
fn the_newer_protocol() {
    let mut pair = Pair::start(alone);
    // What HELLO answers names the server.
    pair.ours.ask("HELLO 3");
    pair.theirs.ask("HELLO 3");
    for list in [
        include_str!("scripts/strings.txt"),
        include_str!("scripts/hashes.txt"),
        include_str!("scripts/lists.txt"),
        include_str!("scripts/sets.txt"),
        include_str!("scripts/sorted_sets.txt"),
    ] {
        pair.compare(list);
        pair.compare("flushall");
    }
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

/// Makes requests by chance, few keys and few words, so that they meet.
struct Generator(Rng);

impl Generator {
    fn pick<'w>(&mut self, words: &[&'w str]) -> &'w str {
        words[self.0.usize(..words.len())]
    }

    fn key(&mut self) -> String {
        format!("k{}", self.0.u8(0..9))
    }

    fn member(&mut self) -> String {
        match self.0.u8(0..20) {
            0 => String::new(),
            1 => "x".repeat(self.0.usize(60..70)),
            2 => self.0.i64(-70_000..70_000).to_string(),
            3 => self.pick(&["9223372036854775807", "-9223372036854775808", "007", "-0", "1e3", "a b\r\n"]).to_owned(),
            4..10 => format!("m{}", self.0.u8(0..20)),
            _ => self.0.i8(-15..15).to_string(),
        }
    }

    fn number(&mut self) -> String {
        match self.0.u8(0..12) {
            0 => self.pick(&["", "x", "9223372036854775807", "-9223372036854775808", "1.5", " 1", "+1"]).to_owned(),
            _ => self.0.i8(-6..7).to_string(),
        }
    }

    fn score(&mut self) -> String {
        match self.0.u8(0..12) {
            0 => self.pick(&["inf", "-inf", "nan", "x", "1e400", "0.1", "3.14159", "1e17", "-0"]).to_owned(),
            1..4 => format!("{}.5", self.0.i8(-9..9)),
            _ => self.0.i8(-9..9).to_string(),
        }
    }

    fn bound(&mut self) -> String {
        let open = self.pick(&["", "", "("]);
        format!("{open}{}", self.score())
    }

    fn name_bound(&mut self) -> String {
        match self.0.u8(0..6) {
            0 => "-".into(),
            1 => "+".into(),
            2 => self.member(),
            3 => format!("({}", self.member()),
            _ => format!("[{}", self.member()),
        }
    }

    /// The word for an argument that a form leaves open.
    fn fill(&mut self, place: &str) -> String {
        match place {
            "K" => self.key(),
            "M" => self.member(),
            "N" => self.number(),
            "F" => self.score(),
            "B" => self.bound(),
            "L" => self.name_bound(),
            "S" => self.pick(&["left", "right", "LEFT", "up"]).into(),
            "BIT" => self.pick(&["0", "1", "1", "2"]).into(),
            "X" => self.pick(&["names0", "names1"]).into(),
            "OFF" => self.0.u32(0..80).to_string(),
            "T" => self.pick(&["u8", "i8", "u1", "i64", "u63", "i5", "u64", "i65", "x"]).into(),
            "END" => self.pick(&["99999999999", "1", "0", "-1", "x", "99999999998"]).into(),
            literal => literal.to_owned(),
        }
    }

    fn request(&mut self) -> Request {
        let form = FORMS[self.0.usize(..FORMS.len())];
        let mut request: Vec<String> = Vec::new();
        for place in form.split(' ') {
            match place.strip_suffix('*') {
                // A pair or a word that may repeat.
                Some(repeated) => {
                    for _ in 0..self.0.usize(1..4) {
                        request.extend(repeated.split('+').map(|place| self.fill(place)));
                    }
                }
                None => request.push(self.fill(place)),
            }
        }
        match self.0.u8(0..60) {
            0 => request.truncate(self.0.usize(1..=request.len())),
            1 => request.push(self.member()),
            _ => {}
        }
        request.into_iter().map(String::into_bytes).collect()
    }
}

const FORMS: &[&str] = &[
    "set K M",
    "set K N",
    "set K M nx",
    "set K M xx get",
    "set K M keepttl",
    "get K",
    "mget K*",
    "mset K+M*",
    "msetnx K+M*",
    "append K M",
    "setrange K OFF M",
    "getrange K N N",
    "strlen K",
    "incr K",
    "decr K",
    "incrby K N",
    "decrby K N",
    "getset K M",
    "getdel K",
    "getex K persist",
    "getex K exat END",
    "setnx K M",
    "incrbyfloat K F",
    "substr K N N",
    "lcs K K",
    "lcs K K len",
    "lcs K K idx withmatchlen",
    "lcs K K idx minmatchlen N",
    "setbit K OFF BIT",
    "getbit K OFF",
    "bitcount K",
    "bitcount K N N",
    "bitcount K N N bit",
    "bitpos K BIT",
    "bitpos K BIT N",
    "bitpos K BIT N N",
    "bitpos K BIT N N bit",
    "bitop and K K*",
    "bitop or K K*",
    "bitop xor K K*",
    "bitop not K K",
    "bitfield K get T OFF",
    "bitfield K set T OFF N",
    "bitfield K overflow sat incrby T OFF N",
    "bitfield K overflow fail incrby T OFF N get T OFF",
    "bitfield K incrby T OFF N",
    "bitfield_ro K get T OFF",
    "del K",
    "del K*",
    "unlink K",
    "exists K*",
    "touch K*",
    "type K",
    "rename K K",
    "renamenx K K",
    "copy K K",
    "copy K K replace",
    "expireat K END",
    "pexpireat K END",
    "expireat K END nx",
    "expireat K END xx",
    "expireat K END gt",
    "expireat K END lt",
    "persist K",
    "expiretime K",
    "object encoding K",
    "object refcount K",
    "dbsize",
    "keys *",
    "sort K",
    "sort K alpha",
    "sort K desc",
    "sort K alpha limit N N",
    "sort K alpha store K",
    "sort K by nosort",
    "sort K by w* get #",
    "sort_ro K alpha desc",
    "scan 0 count 1000",
    "scan 0 count 1000 type zset",
    "hset K M+M*",
    "hset K M N",
    "hmset K M+M*",
    "hsetnx K M M",
    "hget K M",
    "hmget K M*",
    "hdel K M*",
    "hlen K",
    "hstrlen K M",
    "hexists K M",
    "hkeys K",
    "hvals K",
    "hgetall K",
    "hincrby K M N",
    "hincrbyfloat K M F",
    "hscan K 0 count 1000",
    "hscan K 0 match m* count 1000",
    "hrandfield K 100",
    "lpush K M*",
    "rpush K M*",
    "lpush K M*",
    "rpush K M*",
    "lpushx K M",
    "rpushx K M*",
    "lpop K",
    "rpop K",
    "lpop K N",
    "rpop K N",
    "llen K",
    "lindex K N",
    "lset K N M",
    "linsert K before M M",
    "linsert K after M M",
    "linsert K S M M",
    "lrem K N M",
    "ltrim K N N",
    "lrange K N N",
    "lrange K 0 -1",
    "lpos K M",
    "lpos K M rank N",
    "lpos K M count N",
    "lpos K M count N maxlen N rank N",
    "lmove K K S S",
    "rpoplpush K K",
    "lmpop 2 K K S",
    "lmpop 1 K S count N",
    "sadd K M*",
    "sadd K N*",
    "sadd K M*",
    "srem K M*",
    "smove K K M",
    "sismember K M",
    "smismember K M*",
    "scard K",
    "smembers K",
    "sinter K*",
    "sunion K*",
    "sdiff K*",
    "sinterstore K K*",
    "sunionstore K K*",
    "sdiffstore K K*",
    "sintercard 2 K K",
    "sintercard 2 K K limit N",
    "sscan K 0 count 1000",
    "spop K 1000",
    "srandmember K 1000",
    "zadd K F+M*",
    "zadd K F+M*",
    "zadd K nx F+M*",
    "zadd K xx F+M*",
    "zadd K gt F+M*",
    "zadd K lt ch F+M*",
    "zadd K incr F M",
    "zadd K nx incr F M",
    "zadd K xx gt ch F+M*",
    "zincrby K F M",
    "zrem K M*",
    "zcard K",
    "zscore K M",
    "zmscore K M*",
    "zrank K M",
    "zrevrank K M",
    "zcount K B B",
    "zadd X 0+M*",
    "zadd X 0+M*",
    "zrem X M",
    "zlexcount X L L",
    "zrange K N N",
    "zrange K N N withscores",
    "zrange K N N rev",
    "zrange K B B byscore",
    "zrange K B B byscore rev limit N N",
    "zrange X L L bylex",
    "zrange X L L bylex rev limit N N",
    "zrangebyscore K B B withscores limit N N",
    "zrevrangebyscore K B B withscores",
    "zrangebylex X L L limit N N",
    "zrevrangebylex X L L",
    "zrevrange K N N withscores",
    "zrangestore K K N N",
    "zrangestore K K B B byscore limit N N",
    "zremrangebyrank K N N",
    "zremrangebyscore K B B",
    "zremrangebylex X L L",
    "zpopmin K",
    "zpopmax K",
    "zpopmin K N",
    "zpopmax K N",
    "zmpop 2 K K min",
    "zmpop 1 K max count N",
    "zunion 2 K K withscores",
    "zinter 2 K K withscores",
    "zdiff 2 K K withscores",
    "zunion 2 K K weights F F aggregate max withscores",
    "zinter 2 K K aggregate min withscores",
    "zunionstore K 2 K K",
    "zunionstore K 2 K K weights F F",
    "zinterstore K 2 K K aggregate max",
    "zdiffstore K 2 K K",
    "zintercard 2 K K limit N",
    "zscan K 0 count 1000",
    "zrandmember K 1000",
    "multi",
    "exec",
    "discard",
    "dump nosuch",
    "restore K 0 x",
    "memory usage nosuch",
    "object freq K",
];

/// What every key holds, read by the command for its kind.
fn readings() -> Vec<Request> {
    let reads = [
        "type K",
        "object encoding K",
        "get K",
        "lrange K 0 -1",
        "smembers K",
        "hgetall K",
        "zrange K 0 -1 withscores",
        "expiretime K",
    ];
    (0..9).flat_map(|key| reads.map(|read| words(&read.replace('K', &format!("k{key}"))))).collect()
}

#[test]
fn generated_requests() {
    const ROUNDS: u64 = 400;
    const BATCH: usize = 100;
    let mut pair = Pair::start(alone);
    let mut differences = Vec::new();
    for seed in 0..ROUNDS {
        let mut generator = Generator(Rng::with_seed(seed));
        let protocol = if seed % 2 == 0 { "HELLO 2" } else { "HELLO 3" };
        pair.ours.ask(protocol);
        pair.theirs.ask(protocol);
        let batch: Vec<Request> = std::iter::repeat_with(|| generator.request()).take(BATCH).collect();
        let end = [words("discard"), words("ping")];
        let all: Vec<Request> = batch.into_iter().chain(end).chain(readings()).collect();
        let mut requests = all.clone();
        if seed % 5 == 0 {
            requests.push(words("flushall"));
        }
        match pair.ask_all(&requests) {
            Ok(()) => exchange(&mut pair, seed),
            Err(difference) => {
                differences.push(format!("seed {seed}: {difference}"));
                pair.compare("flushall");
            }
        }
    }
    assert!(differences.is_empty(), "{} of {ROUNDS} rounds differ:\n{}", differences.len(), differences.join("\n"));
}

/// Has each server restore what the other has dumped, and compares what comes out.
fn exchange(pair: &mut Pair, seed: u64) {
    for key in 0..9 {
        let key = format!("k{key}");
        let copy = format!("copy-of-{key}");
        let dumped = |client: &mut Client| {
            client.send_request(&[b"DUMP", key.as_bytes()]);
            let reply = client.reply().unwrap();
            let start = reply.windows(2).position(|pair| pair == b"\r\n").unwrap() + 2;
            (start + 2 < reply.len()).then(|| reply[start..reply.len() - 2].to_vec())
        };
        let (ours, theirs) = (dumped(&mut pair.ours), dumped(&mut pair.theirs));
        let (Some(ours), Some(theirs)) = (ours, theirs) else { continue };
        for (client, payload) in [(&mut pair.ours, theirs), (&mut pair.theirs, ours)] {
            client.send_request(&[b"RESTORE", copy.as_bytes(), b"0", &payload, b"REPLACE"]);
            assert_eq!(text(&client.reply().unwrap()), "+OK\r\n", "seed {seed}, {key}");
        }
        let reads =
            ["get K", "lrange K 0 -1", "smembers K", "hgetall K", "zrange K 0 -1 withscores", "type K", "del K"];
        let reads: Vec<Request> = reads.iter().map(|read| words(&read.replace('K', &copy))).collect();
        pair.ask_all(&reads).unwrap_or_else(|difference| panic!("seed {seed}, dump of {key}: {difference}"));
    }
}
