//! Streams beyond single replies: what is told to replicas and to the append-only file is what redis-server tells,
//! groups and what is pending in them arrive whatever way, and who waits at a replica is served there.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up ends at once")]

mod support;

use std::{fs, path::Path};
use support::{
    Client, NODE, REDIS, Server, free_port, pair::Pair, reply::Reply, reply_length, shards::Shard, text, wait_for,
};

/// Requests of every kind that changes a stream, whose forms in the stream of writes are of every kind, too.
const STORY: &str = "
    xadd s * f v
    xadd s 99999999999999-* f v
    xadd s maxlen ~ 2 limit 0 * f v
    xadd s maxlen ~ 2 99999999999999-50 f v
    xadd s maxlen ~ 2 99999999999999-51 f v
    xadd s maxlen = 3 99999999999999-52 f v
    xadd s maxlen ~ 2 limit 100 99999999999999-53 f v
    xadd s minid ~ 99999999999999-51 99999999999999-54 f v
    xadd nosuch nomkstream 1 f v
    xtrim s minid ~ 99999999999999-54 limit 2
    xtrim s maxlen ~ 3
    xtrim s maxlen ~ 0
    xtrim s maxlen 2
    xgroup create s g $
    xgroup create s h 0
    xgroup setid s g $
    xgroup setid s g 0 entriesread 3
    xgroup createconsumer s g c
    xgroup createconsumer s g c
    xreadgroup group g d streams s >
    xreadgroup group g e block 10 streams s >
    xadd s 99999999999999-60 a b
    xadd s 99999999999999-61 a b
    xadd s 99999999999999-62 a b c d
    xreadgroup group g e noack count 1 streams s >
    xreadgroup group g e count 1 streams s >
    xreadgroup group g f streams s >
    xreadgroup group g e streams s 0
    xreadgroup group h new noack count 1 streams s >
    xclaim s g z 0 99999999999999-62
    xclaim s g z2 0 99999999999999-62 justid
    xclaim s g z3 0 99999999999999-60 force
    xclaim s g z4 0 5-5 lastid 99999999999999-70
    xclaim s g z5 0 99999999999999-62 lastid 99999999999999-71 retrycount 7
    xclaim s g z6 100000 99999999999999-62
    xdel s 99999999999999-62
    xclaim s g z 0 99999999999999-62
    xdel s 99999999999999-61
    xautoclaim s g auto 0 0
    xautoclaim s g auto2 0 0 justid
    xack s g 99999999999999-60
    xack s g 99999999999999-60
    xgroup delconsumer s g z
    xgroup delconsumer s g nosuch
    xsetid s 99999999999999-99 entriesadded 100 maxdeletedid 99999999999999-90
    xgroup destroy s h
    xgroup destroy s h
    xgroup create new g $ mkstream
    xgroup create new g $
    xadd new 5 f v
    multi
    xadd new 6 f v
    xreadgroup group g c streams new >
    exec
    eval return{redis.call('xadd',KEYS[1],'*','f','v'),redis.call('xreadgroup','group','g','c','streams',KEYS[1],'>')} 1 new
    xadd t 1 a b
    xadd t 2 a b
    xdel t 1";

/// Tells the story, after whose last lines two clients wait who are served at once.
fn tell(server: &Server) {
    let mut client = server.client();
    for line in STORY.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let reply = client.ask(line);
        assert!(!reply.starts_with("-ERR"), "{line}: {reply}");
    }
    let mut waiters: Vec<Client> = ["g1", "g2"].map(|_| server.client()).into();
    client.ask("xgroup create new q $");
    for (name, waiter) in ["a", "b"].into_iter().zip(&mut waiters) {
        let noack = if name == "b" { " noack" } else { "" };
        waiter.send(format!("xreadgroup group q {name} block 0{noack} streams new >\r\n").as_bytes());
        let count = if name == "a" { "1" } else { "2" };
        let waiting = format!("blocked_clients:{count}\r\n");
        wait_for("the client to wait", || client.ask("INFO clients").contains(&waiting).then_some(()));
    }
    client.ask("xadd new * f v");
    assert!(waiters[0].reply().unwrap().starts_with(b"*1"));
    client.ask("xadd new * f v");
    assert!(waiters[1].reply().unwrap().starts_with(b"*1"));
    assert_eq!(client.ask("PING"), "+PONG\r\n");
}

/// What the append-only file of a server says, without times and with whole ids.
fn told(server: &Server) -> Vec<String> {
    const TIME_MIN: u64 = 1_500_000_000_000;
    let folder = server.folder().join("appendonlydir");
    let bytes = fs::read(folder.join("appendonly.aof.1.incr.aof")).unwrap();
    let (mut at, mut requests) = (0, Vec::new());
    let shown = |word: &Reply| {
        let word = text(word.content().unwrap()).to_ascii_lowercase();
        let ms = word.split_once('-').map_or(&*word, |(ms, _)| ms);
        match ms.parse::<u64>() {
            // How many entries there were within one millisecond is chance, too.
            Ok(ms) if (TIME_MIN..99_999_999_999_999).contains(&ms) => "NOW".to_owned(),
            Ok(_) | Err(_) => word.strip_suffix("-0").unwrap_or(&word).to_owned(),
        }
    };
    while at < bytes.len() {
        let length = reply_length(&bytes[at..]).unwrap();
        let request = Reply::of(&bytes[at..at + length]);
        let words: Vec<String> = request.parts().unwrap().iter().map(shown).collect();
        requests.push(words.join(" "));
        at += length;
    }
    requests
}

/// With each request on disk before it is answered: redis-server puts off writing the file while it syncs it otherwise.
const DIRECTIVES: &[&str] = &[
    "--appendonly",
    "yes",
    "--appendfsync",
    "always",
    "--stream-node-max-entries",
    "3",
    "--enable-debug-command",
    "yes",
];

#[test]
fn what_is_done_is_told_in_the_same_words() {
    let [ours, theirs] = [NODE, REDIS].map(|program| {
        let server = Server::start(program, DIRECTIVES);
        tell(&server);
        told(&server)
    });
    assert!(theirs.len() > 60, "{}", theirs.len());
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours, theirs);
    }
    assert_eq!(ours.len(), theirs.len());
}

/// All that there is to know of the streams.
fn known(server: &Server) -> Vec<String> {
    let mut client = server.client();
    let lines = ["XINFO STREAM s FULL COUNT 0", "XINFO STREAM new FULL COUNT 0", "XINFO STREAM t FULL", "DEBUG DIGEST"];
    lines.map(|line| client.ask(line)).into()
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

/// A server that begins with the files of another.
fn heir(program: &str, of: &Server) -> Server {
    let folder = tempfile::tempdir().unwrap();
    copy_folder(&of.folder().join("appendonlydir"), &folder.path().join("appendonlydir"));
    Server::start_in(folder, program, free_port(), DIRECTIVES)
}

/// Makes a new base of the files, from all keys as they are.
fn rebase(server: &Server) {
    let mut client = server.client();
    assert!(client.ask("BGREWRITEAOF").starts_with('+'));
    wait_for("the new base", || {
        let info = client.ask("INFO persistence");
        let is_done = info.contains("aof_rewrite_in_progress:0") && info.contains("aof_rewrite_scheduled:0");
        (is_done && server.folder().join("appendonlydir/appendonly.aof.2.base.rdb").exists()).then_some(())
    });
}

/// Without when consumers were last seen: that is when the files were read, and differs.
fn unseen(known: &[String]) -> Vec<String> {
    let mut lines: Vec<String> = known.iter().flat_map(|reply| reply.lines().map(str::to_owned)).collect();
    for at in 0..lines.len() {
        if lines[at] == "seen-time" {
            lines[at + 1] = "some time".into();
        }
    }
    lines
}

#[test]
fn groups_and_what_is_pending_are_in_files_of_either_server() {
    for (first, second) in [(NODE, REDIS), (REDIS, NODE), (NODE, NODE)] {
        let server = Server::start(first, DIRECTIVES);
        tell(&server);
        // What was read again is not told; a base has it.
        let (ours, theirs) = (heir(first, &server), heir(second, &server));
        assert_eq!(unseen(&known(&ours)), unseen(&known(&theirs)), "{first} {second}");
        rebase(&server);
        let heir = heir(second, &server);
        assert_eq!(known(&heir), known(&server), "{first} {second}");
        assert_eq!(heir.client().ask("DBSIZE"), ":3\r\n");
    }
}

#[test]
fn dumps_carry_groups_both_ways() {
    let mut pair = Pair::start(|program| Server::start(program, DIRECTIVES));
    for line in STORY.lines().map(str::trim).filter(|line| !line.is_empty()) {
        pair.ours.ask(line);
        pair.theirs.ask(line);
    }
    for key in ["s", "new", "t"] {
        let dump = |client: &mut Client| {
            client.send_request(&[b"DUMP", key.as_bytes()]);
            Reply::of(&client.reply().unwrap()).content().unwrap().to_vec()
        };
        let restore = |client: &mut Client, payload: &[u8]| {
            client.send_request(&[b"RESTORE", b"copy", b"0", payload, b"REPLACE"]);
            assert_eq!(text(&client.reply().unwrap()), "+OK\r\n", "{key}");
            client.ask("XINFO STREAM copy FULL COUNT 0")
        };
        let all = format!("XINFO STREAM {key} FULL COUNT 0");
        let (ours, theirs) = (dump(&mut pair.ours), dump(&mut pair.theirs));
        assert_eq!(restore(&mut pair.theirs, &ours), pair.ours.ask(&all));
        assert_eq!(restore(&mut pair.ours, &theirs), pair.theirs.ask(&all));
    }
}

/// Requests about few streams, by chance.
fn requests(seed: u64, count: usize) -> Vec<String> {
    const TEMPLATES: &[&str] = &[
        "XADD K * a N b N",
        "XADD K * a N c N",
        "XADD K MAXLEN ~ 20 * a N b N",
        "XADD K MINID ~ N * a x",
        "XTRIM K MAXLEN 30",
        "XTRIM K MAXLEN ~ 9 LIMIT 6",
        "XGROUP CREATE K G 0 MKSTREAM",
        "XGROUP SETID K G $",
        "XGROUP SETID K G 0 ENTRIESREAD N",
        "XGROUP CREATECONSUMER K G C",
        "XGROUP DELCONSUMER K G C",
        "XREADGROUP GROUP G C COUNT 3 STREAMS K >",
        "XREADGROUP GROUP G C COUNT N STREAMS K >",
        "XREADGROUP GROUP G C NOACK COUNT 2 STREAMS K >",
        "XAUTOCLAIM K G C 0 0 COUNT 4",
        "XAUTOCLAIM K G C 0 0 COUNT 2 JUSTID",
        "DEL-FIRST K",
        "DEL-FIRST K",
        "ACK-FIRST K G",
        "ACK-FIRST K G",
        "COPY K L REPLACE",
        "EXPIRE K 1000",
    ];
    let mut dice = fastrand::Rng::with_seed(seed);
    let mut fill = |word: &str| match word {
        "K" | "L" => format!("{{k}}{}", dice.u8(0..3)),
        "G" => (if dice.bool() { "g" } else { "h" }).to_owned(),
        "C" => format!("c{}", dice.u8(0..3)),
        "N" => dice.u8(1..20).to_string(),
        word => word.to_owned(),
    };
    let mut line = |template: &str| template.split(' ').map(&mut fill).collect::<Vec<_>>().join(" ");
    let mut pick = fastrand::Rng::with_seed(seed + 1);
    (0..count).map(|_| line(TEMPLATES[pick.usize(..TEMPLATES.len())])).collect()
}

fn ask(client: &mut Client, line: &str) {
    let mut words = line.split(' ');
    let reply = match (words.next().unwrap(), words.next().unwrap(), words.next()) {
        ("DEL-FIRST", key, _) => {
            let first = client.ask(&format!("XRANGE {key} - + COUNT 1"));
            let Some(id) = first.lines().nth(3).map(str::to_owned) else { return };
            client.ask(&format!("XDEL {key} {id}"))
        }
        ("ACK-FIRST", key, group) => {
            let group = group.unwrap();
            let first = client.ask(&format!("XPENDING {key} {group} - + 1"));
            let Some(id) = first.lines().nth(3).map(str::to_owned) else { return };
            client.ask(&format!("XACK {key} {group} {id}"))
        }
        _ => client.ask(line),
    };
    let is_expected =
        ["-BUSYGROUP", "-NOGROUP", "-ERR The XGROUP", "-ERR source and"].iter().any(|error| reply.starts_with(error));
    assert!(!reply.starts_with('-') || is_expected, "{line}: {reply}");
}

/// What a replica knows of a stream.
fn known_there(replica: &Server, key: &str) -> Vec<String> {
    let mut client = replica.client();
    client.ask("READONLY");
    unseen(&[client.ask(&format!("XINFO STREAM {key} FULL COUNT 0"))])
}

/// Whether two lines are the same, or times that are next to each other: a replica whose clock is behind that of the
/// primary takes its own time for one that is to come.
fn is_near(one: &str, other: &str) -> bool {
    const TIME_MIN: u64 = 1_500_000_000_000;
    let time =
        |line: &str| line.strip_prefix(':').and_then(|time| time.parse::<u64>().ok()).filter(|time| *time > TIME_MIN);
    one == other || time(one).zip(time(other)).is_some_and(|(one, other)| one.abs_diff(other) < 1000)
}

#[test]
fn replicas_of_either_server_have_the_same_streams() {
    for programs in [[NODE, REDIS, NODE], [REDIS, NODE, REDIS]] {
        let shard = Shard::start(&programs);
        let mut client = shard.servers[0].client();
        requests(1, 400).iter().for_each(|line| ask(&mut client, line));
        shard.replicate();
        requests(2, 1500).iter().for_each(|line| ask(&mut client, line));
        shard.compare(0);
        for key in ["{k}0", "{k}1", "{k}2"] {
            let [one, other] = [1, 2].map(|number| known_there(&shard.servers[number], key));
            assert!(one.len() > 20, "{one:?}");
            assert_eq!(one.len(), other.len());
            for (one, other) in one.iter().zip(&other) {
                assert!(is_near(one, other), "{programs:?}: {one} {other}");
            }
        }
    }
}

#[test]
fn who_waits_at_a_replica_is_served_there() {
    let shard = Shard::start(&[NODE, NODE]);
    shard.replicate();
    let (mut primary, mut reader, mut other) =
        (shard.servers[0].client(), shard.servers[1].client(), shard.servers[1].client());
    assert_eq!(reader.ask("READONLY"), "+OK\r\n");
    reader.send(b"XREAD BLOCK 0 STREAMS s $\r\n");
    wait_for("the reader to wait", || other.ask("INFO clients").contains("blocked_clients:1\r\n").then_some(()));
    assert_eq!(primary.ask("XADD s 1-1 f v"), "$3\r\n1-1\r\n");
    let expected = "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n";
    assert_eq!(text(&reader.reply().unwrap()), expected);
    other.ask("READONLY");
    assert!(other.ask("XREADGROUP GROUP g c STREAMS s >").starts_with("-MOVED "));
    other.ask("READWRITE");
    assert!(other.ask("XREAD STREAMS s 0").starts_with("-MOVED "));
}

#[test]
fn streams_of_one_request_are_in_one_slot() {
    let mut pair = Pair::start(Server::alone);
    pair.compare(
        "
        xadd a 1 f v
        xread streams a b 0 0
        xread streams a a 0 0
        xread count 1 streams {a}1 {a}2 0 0
        xread streams a b 0
        xreadgroup group g c streams a b > >
        xreadgroup group a b streams {a}1 a > >
        xadd 1
        ",
    );
}

/// Who watches a key is told of entries, and not of what is done in groups.
#[test]
fn entries_end_a_transaction_that_watches_their_stream() {
    let watched = |program: &str| {
        let server = Server::start(program, &[]);
        let (mut watcher, mut other) = (server.client(), server.client());
        let lines = [
            "XADD s 1 f v",
            "XADD s 2 f v",
            "XGROUP CREATE s g 0",
            "XGROUP CREATECONSUMER s g c",
            "XACK s g 1",
            "XREADGROUP GROUP g c COUNT 1 STREAMS s >",
            "XREADGROUP GROUP g c STREAMS s 0",
            "XCLAIM s g d 0 1",
            "XAUTOCLAIM s g e 0 0",
            "XACK s g 1",
            "XGROUP SETID s g $",
            "XSETID s 5",
            "XDEL s 1",
            "XDEL s 1",
            "XTRIM s MAXLEN 9",
            "XTRIM s MAXLEN 0",
            "XGROUP DELCONSUMER s g c",
            "XGROUP DESTROY s g",
            "XGROUP CREATE s g 0 MKSTREAM",
            "XGROUP CREATE s2 g 0 MKSTREAM",
            "EXPIRE s 1000",
            "DEL s",
        ];
        let mut outcome = |line: &str| {
            watcher.ask("WATCH s s2");
            other.ask(line);
            watcher.ask("MULTI");
            watcher.ask("PING");
            format!("{line}: {}", watcher.ask("EXEC"))
        };
        lines.map(&mut outcome)
    };
    assert_eq!(watched(NODE), watched(REDIS));
}
