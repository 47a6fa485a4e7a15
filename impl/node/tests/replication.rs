//! Real primaries and replicas, this node's and redis-server's, in every combination: every kind of
//! write arrives, a failover by hand loses nothing.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up ends at once")]

mod support;

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};
use support::{
    Client, NODE, REDIS, Server,
    shards::{Shard, digest, id, info, leads, wait_for_link},
    wait_for,
};

/// Requests of every kind of write, by seed; `NOW` stands for the present in milliseconds.
fn requests(seed: u64, count: usize) -> Vec<String> {
    const TEMPLATES: &[&str] = &[
        "SET K V",
        "SET K V EX 1000",
        "SET K V PX 1",
        "SET K V KEEPTTL",
        "SET K V NX",
        "SET K V GET",
        "SETEX K 500 V",
        "PSETEX K 60000 V",
        "GETSET K V",
        "GETDEL K",
        "GETEX K EX 900",
        "GETEX K PERSIST",
        "APPEND K V",
        "SETRANGE K 3 V",
        "SETBIT K 9 1",
        "BITFIELD K SET u8 0 N",
        "INCR K",
        "DECRBY K N",
        "INCRBYFLOAT K 0.25",
        "MSET K V L V",
        "EXPIRE K 1000",
        "PEXPIRE K 1",
        "EXPIRE K -1",
        "PERSIST K",
        "EXPIREAT K 4000000000",
        "DEL K L",
        "UNLINK K",
        "RENAME K L",
        "COPY K L REPLACE",
        "LPUSH K V N",
        "RPUSH K V N V",
        "LPOP K",
        "RPOP K 2",
        "LINSERT K BEFORE V N",
        "LREM K 1 V",
        "LSET K 0 V",
        "LTRIM K 0 5",
        "LMOVE K L LEFT RIGHT",
        "RPOPLPUSH K L",
        "LMPOP 2 K L LEFT COUNT 2",
        "SADD K V N 1 2 3",
        "SREM K V",
        "SPOP K",
        "SPOP K 2",
        "SMOVE K L V",
        "SUNIONSTORE K K L",
        "SDIFFSTORE K L K",
        "HSET K V N N V",
        "HDEL K V",
        "HINCRBY K N 2",
        "HINCRBYFLOAT K N 1.5",
        "HSETNX K V 1",
        "ZADD K N V 3 w",
        "ZADD K GT CH N V",
        "ZINCRBY K 1.5 V",
        "ZREM K V",
        "ZPOPMIN K",
        "ZPOPMAX K 2",
        "ZMPOP 2 K L MIN",
        "ZREMRANGEBYRANK K 0 0",
        "ZUNIONSTORE K 2 K L WEIGHTS 2 1",
        "ZRANGESTORE K L 0 3",
        "GEOADD K 3 4 V 5 6 w",
        "GEOADD K CH N 4 V",
        "GEOSEARCHSTORE K L FROMLONLAT 3 4 BYBOX 9000 900 km COUNT 3",
        "GEOSEARCHSTORE K L FROMLONLAT 3 4 BYRADIUS 5000 km STOREDIST",
        "GEORADIUS K 3 4 9000 km STORE L",
        "GEORADIUSBYMEMBER K w 900 km STOREDIST L",
        "SORT K ALPHA STORE L",
        "PFADD K V N",
        "PFADD K N N N",
        "PFADD K",
        "PFCOUNT K",
        "PFCOUNT K L",
        "PFMERGE K L",
        "PFDEBUG TODENSE K",
        "BLPOP K 0.001",
        "BLMOVE K L RIGHT LEFT 0.001",
        "BZPOPMIN K 0.001",
    ];
    let mut state = seed;
    let mut next = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut one = || {
        let template = TEMPLATES[next(TEMPLATES.len() as u64) as usize];
        let tag = next(8);
        let words = template.split(' ').map(|word| match word {
            "K" | "L" => format!("{{tag{tag}}}{}", next(12)),
            "V" => format!("value{}", next(5)),
            "N" => next(100).to_string(),
            _ => word.to_owned(),
        });
        words.collect::<Vec<_>>().join(" ")
    };
    (0..count).map(|_| one()).collect()
}

/// Carries requests out, some of them as transactions.
fn play(client: &mut Client, requests: &[String]) {
    for (number, batch) in requests.chunks(5).enumerate() {
        let tag = |request: &String| request.split('}').next().map(str::to_owned);
        let is_transaction =
            number % 7 == 0 && !batch.iter().any(|request| request.starts_with('B') || tag(request).is_none());
        if is_transaction {
            client.ask("MULTI");
        }
        for request in batch {
            client.ask(request);
        }
        if is_transaction {
            client.ask("EXEC");
        }
    }
}

#[test]
fn every_kind_of_write_arrives_everywhere() {
    for (seed, primary) in [(1, NODE), (2, REDIS)] {
        let shard = Shard::start(&[primary, REDIS, NODE]);
        let requests = requests(seed, 4000);
        let mut client = shard.servers[0].client();
        play(&mut client, &requests[..1000]);
        let big = "x".repeat(100_000);
        (0..300).for_each(|number| drop(client.ask(&format!("SET big{number} {big}"))));
        // Writes go on while the copies are on their way.
        thread::scope(|scope| {
            let writer = scope.spawn(|| play(&mut client, &requests[1000..2000]));
            shard.replicate();
            writer.join().unwrap();
        });
        shard.compare(0);
        play(&mut client, &requests[2000..]);
        assert_eq!(client.ask("LPUSH {b}list 1"), ":1\r\n");
        let mut waiting = shard.servers[0].client();
        waiting.send_request(&[b"BRPOPLPUSH", b"{b}none", b"{b}list", b"0"]);
        thread::sleep(Duration::from_millis(50));
        assert_eq!(client.ask("RPUSH {b}none 7"), ":1\r\n");
        assert_eq!(waiting.reply().unwrap(), b"$1\r\n7\r\n");
        assert_eq!(client.ask("WAIT 2 5000"), ":2\r\n");
        shard.compare(0);
    }
}

/// Ends the writer with the scope that it is started in, however that ends.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What was acknowledged while `during` went on.
fn acked_during(shard: &Shard, during: impl FnOnce()) -> Vec<String> {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let writer = scope.spawn(|| write_until(shard, &is_over));
        let ends = Ends(&is_over);
        during();
        drop(ends);
        writer.join().unwrap()
    })
}

/// Writes one key after another for as long as it may; a write that is acknowledged is remembered.
fn write_until(shard: &Shard, is_over: &AtomicBool) -> Vec<String> {
    let (mut acked, mut number, mut primary) = (Vec::new(), 0, 0);
    while !is_over.load(Ordering::Relaxed) {
        let Ok(stream) = std::net::TcpStream::connect(("127.0.0.1", shard.servers[primary].port)) else {
            primary = (primary + 1) % shard.servers.len();
            thread::sleep(Duration::from_millis(5));
            continue;
        };
        let mut client = Client::over(stream);
        while !is_over.load(Ordering::Relaxed) {
            number += 1;
            let key = format!("acked:{number}");
            if !client.try_send(format!("SET {key} {number}\r\n").as_bytes()) {
                break;
            }
            match client.reply() {
                Some(reply) if reply.starts_with(b"+OK") => acked.push(key),
                // The keys of the two slots that others serve.
                Some(reply) if reply.starts_with(b"-MOVED 1638") => {}
                Some(_) | None => break,
            }
        }
        primary = (primary + 1) % shard.servers.len();
        thread::sleep(Duration::from_millis(2));
    }
    acked
}

fn assert_none_lost(server: &Server, acked: &[String], what: &str) {
    let present = digest(server);
    let lost: Vec<&String> = acked.iter().filter(|key| !present.contains_key(*key)).collect();
    assert!(lost.is_empty(), "{what}: {} of {} acknowledged writes are lost: {lost:?}", lost.len(), acked.len());
    assert!(acked.len() > 100, "{what}: {} writes only", acked.len());
}

#[test]
fn a_failover_by_hand_loses_nothing() {
    for programs in [[NODE, NODE].as_slice(), &[NODE, REDIS], &[REDIS, NODE]] {
        let shard = Shard::start(programs);
        shard.replicate();
        let acked = acked_during(&shard, || {
            // redis-server takes the votes of its last election for those of the next, unless that comes much later.
            let rounds = if programs.contains(&REDIS) { 2 } else { 6 };
            for round in 1..=rounds {
                thread::sleep(Duration::from_millis(300));
                let replica = round % 2;
                wait_for_link(&shard.servers[replica]);
                assert_eq!(shard.servers[replica].client().ask("CLUSTER FAILOVER"), "+OK\r\n");
                wait_for("the roles to change", || {
                    (leads(&shard.servers[replica]) && !leads(&shard.servers[1 - replica])).then_some(())
                });
                wait_for_link(&shard.servers[1 - replica]);
                shard.wait_for_replicas(replica);
            }
        });
        assert_none_lost(&shard.servers[0], &acked, &format!("{programs:?}"));
        shard.compare(0);
        for (server, program) in shard.servers.iter().zip(programs) {
            let is_partial = server.log().contains("Successful partial resynchronization with master");
            assert!(is_partial, "{program} needed a copy:\n{}", server.log());
        }
    }
}

#[test]
fn a_takeover_that_asks_nobody_ends_with_one_primary_and_equal_data() {
    for mode in ["FORCE", "TAKEOVER"] {
        let shard = Shard::start(&[NODE, NODE, REDIS]);
        shard.replicate();
        acked_during(&shard, || {
            thread::sleep(Duration::from_millis(200));
            assert_eq!(shard.servers[1].client().ask(&format!("CLUSTER FAILOVER {mode}")), "+OK\r\n");
            wait_for("the roles to change", || (leads(&shard.servers[1]) && !leads(&shard.servers[0])).then_some(()));
            wait_for_link(&shard.servers[0]);
            thread::sleep(Duration::from_millis(200));
        });
        shard.compare(1);
    }
}

#[test]
fn a_link_that_breaks_is_mended_without_a_copy() {
    for programs in [[NODE, REDIS].as_slice(), &[REDIS, NODE], &[NODE, NODE]] {
        let shard = Shard::start(programs);
        shard.replicate();
        let mut client = shard.servers[0].client();
        for round in 0..3 {
            client.ask(&format!("SET round {round}"));
            let killed = shard.servers[0].client().ask("CLIENT KILL TYPE replica");
            assert_eq!(killed, ":1\r\n");
            client.ask(&format!("SET missed {round}"));
            wait_for("the replica to be back", || (info(&shard.servers[0], "slave0").contains("online")).then_some(()));
            shard.compare(0);
        }
        let log = shard.servers[1].log();
        let copies = log.matches("Full resync from master").count();
        let partial = log.matches("Successful partial resynchronization with master").count();
        assert_eq!((copies, partial), (1, 3), "{programs:?}:\n{log}");
    }
}

#[test]
fn acknowledgements_are_waited_for_and_counted() {
    let shard = Shard::start(&[NODE, REDIS, NODE]);
    let mut client = shard.servers[0].client();
    let start = Instant::now();
    assert_eq!((client.ask("SET a 1"), client.ask("WAIT 1 300")), ("+OK\r\n".into(), ":0\r\n".into()));
    assert!(start.elapsed() >= Duration::from_millis(200));
    assert_eq!(client.ask("CONFIG SET min-replicas-to-write 2"), "+OK\r\n");
    assert_eq!(client.ask("SET a 1"), "-NOREPLICAS Not enough good replicas to write.\r\n");
    shard.replicate();
    wait_for("both replicas to read", || client.ask("SET a 2").starts_with("+OK").then_some(()));
    assert_eq!(client.ask("WAIT 2 5000"), ":2\r\n");
    assert_eq!(client.ask("WAIT 3 50"), ":2\r\n");
    let role = client.ask("ROLE");
    assert!(role.contains("master") && role.contains(&shard.servers[1].port.to_string()), "{role}");
    for replica in &shard.servers[1..] {
        let role = replica.client().ask("ROLE");
        assert!(role.contains("slave") && role.contains("connected"), "{role}");
        assert!(replica.client().ask("WAIT 1 10").starts_with("-ERR WAIT cannot be used"));
        assert!(replica.client().ask("SET a 3").starts_with("-MOVED"));
    }
    for request in ["REPLICAOF 127.0.0.1 7000", "SLAVEOF NO ONE"] {
        assert_eq!(client.ask(request), "-ERR REPLICAOF not allowed in cluster mode.\r\n");
    }
    assert!(shard.servers[0].client().ask("CLUSTER SHARDS").contains(&id(&shard.servers[2])));
}

#[test]
fn keys_expire_when_the_primary_says_so() {
    let shard = Shard::start(&[NODE, NODE, REDIS]);
    shard.replicate();
    let mut client = shard.servers[0].client();
    client.ask("SET k v PX 300");
    client.ask("SET stays v");
    assert_eq!(client.ask("WAIT 2 5000"), ":2\r\n");
    let mut reader = shard.servers[1].client();
    reader.ask("READONLY");
    assert_eq!(reader.ask("GET k"), "$1\r\nv\r\n");
    wait_for("the replica to hide the key", || (reader.ask("GET k") == "$-1\r\n").then_some(()));
    for replica in &shard.servers[1..] {
        wait_for("the key to be dropped", || (replica.client().ask("DBSIZE") == ":1\r\n").then_some(()));
    }
    shard.compare(0);
}

#[test]
fn an_estimate_is_kept_when_the_primary_makes_it() {
    for primary in [NODE, REDIS] {
        let shard = Shard::start(&[primary, NODE, REDIS]);
        shard.replicate();
        let mut clients: Vec<Client> = shard.servers.iter().map(Server::client).collect();
        let values = |clients: &mut [Client]| -> Vec<String> {
            clients.iter_mut().map(|client| client.ask("GETRANGE k 0 -1")).collect()
        };
        clients.iter_mut().skip(1).for_each(|replica| drop(replica.ask("READONLY")));
        assert_eq!(clients[0].ask("PFADD k a b c"), ":1\r\n");
        assert_eq!(clients[0].ask("WAIT 2 5000"), ":2\r\n");
        let before = values(&mut clients);
        assert_eq!(clients[1].ask("PFCOUNT k"), ":3\r\n");
        assert_eq!(values(&mut clients), before, "a replica writes nothing");
        let offset = info(&shard.servers[0], "master_repl_offset");
        assert_eq!(clients[0].ask("PFCOUNT k"), ":3\r\n");
        assert_eq!(clients[0].ask("WAIT 2 5000"), ":2\r\n");
        assert_ne!(info(&shard.servers[0], "master_repl_offset"), offset);
        let after = values(&mut clients);
        assert!(after[0] != before[0] && after.iter().all(|value| *value == after[0]), "{after:?}");
        shard.compare(0);
    }
}

#[test]
fn the_primary_is_one_of_a_replicas_clients() {
    for programs in [[NODE, REDIS], [REDIS, NODE], [NODE, NODE]] {
        let shard = Shard::start(&programs);
        shard.replicate();
        let (primary, replica) = (format!("127.0.0.1:{}", shard.servers[0].port), &shard.servers[1]);
        let mut client = replica.client();
        let listed = client.ask("CLIENT LIST TYPE master");
        assert!(
            listed.contains(&format!(" addr={primary} ")) && listed.contains(" flags=M "),
            "{programs:?}: {listed}"
        );
        assert_eq!(client.ask(&format!("CLIENT KILL {primary}")), "+OK\r\n");
        wait_for_link(replica);
        assert_eq!(client.ask("CLIENT KILL TYPE master"), ":1\r\n");
        wait_for_link(replica);
        wait_for("the synchronisations to be counted", || {
            ((info(&shard.servers[0], "sync_full"), info(&shard.servers[0], "sync_partial_ok"))
                == ("1".into(), "2".into()))
                .then_some(())
        });
    }
}

#[test]
fn a_replica_that_knows_no_end_marks_is_told_the_length_of_its_copy() {
    for program in [NODE, REDIS] {
        let server = Server::start(program, &["--repl-diskless-sync", "no"]);
        let mut client = server.client();
        assert_eq!(client.ask("SET before 1"), "+OK\r\n");
        let mut replica = server.client();
        replica.send(b"SYNC\r\n");
        wait_for("the copy to be sent", || info(&server, "slave0").contains("online").then_some(()));
        assert_eq!(client.ask("SET after 2"), "+OK\r\n");
        assert_eq!(client.ask("WAIT 1 200"), ":0\r\n");
        assert_eq!(client.ask("CLIENT KILL TYPE replica"), ":1\r\n");
        let received = replica.rest();
        let copy = received.trim_ascii_start().strip_prefix(b"$").expect("a length");
        let end = copy.iter().position(|byte| *byte == b'\r').expect("an end of the length");
        let length: usize = std::str::from_utf8(&copy[..end]).unwrap().parse().unwrap();
        let (copy, stream) = copy[end + 2..].split_at(length);
        assert!(copy.starts_with(b"REDIS00") && copy.windows(6).any(|part| part == b"before"), "{program}");
        let stream = String::from_utf8_lossy(stream);
        assert!(stream.starts_with("*2\r\n$6\r\nSELECT\r\n"), "{program}: {stream}");
        assert!(stream.contains("$5\r\nafter\r\n$1\r\n2\r\n"), "{program}: {stream}");
    }
}

#[test]
fn redis_cli_as_a_replica_skips_the_keys_and_shows_the_stream() {
    for program in [NODE, REDIS] {
        let server = Server::start(program, &["--repl-diskless-sync-delay", "0"]);
        let mut client = server.client();
        client.ask("SET before 1");
        let mut shown = Command::new("timeout")
            .args(["20", "redis-cli", "-p", &server.port.to_string(), "--replica"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        wait_for("redis-cli to read the stream", || info(&server, "slave0").contains("online").then_some(()));
        client.ask("SET after 2");
        let lines = BufReader::new(shown.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut text = String::new();
        for line in lines {
            text.push_str(&line);
            if line.contains("after") {
                break;
            }
        }
        assert_eq!(client.ask("CLIENT KILL TYPE replica"), ":1\r\n");
        shown.wait().unwrap();
        assert!(text.contains("after") && !text.contains("before"), "{program}: {text}");
    }
}

#[test]
fn a_replica_that_never_met_its_primarys_successor_takes_over_from_it() {
    let mut shard = Shard::start(&[NODE, NODE, NODE]);
    shard.replicate();
    assert_eq!(shard.servers[0].client().ask("SET a 1"), "+OK\r\n");
    assert_eq!(shard.servers[0].client().ask("WAIT 2 5000"), ":2\r\n");
    assert_eq!(shard.servers[2].client().ask("CONFIG SET cluster-replica-validity-factor 10"), "+OK\r\n");
    // The successor gives nobody a copy, nor its stream.
    assert_eq!(shard.servers[1].client().ask("ACL SETUSER default -psync -sync"), "+OK\r\n");
    shard.servers[0].kill();
    assert_eq!(shard.servers[1].client().ask("CLUSTER FAILOVER TAKEOVER"), "+OK\r\n");
    let successor = shard.servers[1].port.to_string();
    wait_for("the successor to be followed", || (info(&shard.servers[2], "master_port") == successor).then_some(()));
    assert_eq!(info(&shard.servers[2], "master_link_status"), "down");
    shard.servers[1].kill();
    wait_for("the last of them to lead", || leads(&shard.servers[2]).then_some(()));
    assert_eq!(shard.servers[2].client().ask("GET a"), "$1\r\n1\r\n");
}

#[test]
fn a_replica_loads_what_has_expired() {
    for program in [NODE, REDIS] {
        let mut shard = Shard::start(&[NODE, program]);
        shard.replicate();
        let mut client = shard.servers[0].client();
        assert_eq!(client.ask("DEBUG SET-ACTIVE-EXPIRE 0"), "+OK\r\n");
        assert_eq!(client.ask("SET k v PX 300"), "+OK\r\n");
        assert_eq!(client.ask("WAIT 1 5000"), ":1\r\n");
        assert_eq!(shard.servers[1].client().ask("SAVE"), "+OK\r\n");
        shard.servers[1].kill();
        thread::sleep(Duration::from_millis(400));
        shard.restart(1);
        assert_eq!(shard.servers[1].client().ask("DBSIZE"), ":1\r\n", "{program}");
    }
}
