//! Clients that wait for elements, and clients that listen to what happens to keys: the same story told
//! to this node and to redis-server, whose every reply must be the same bytes.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up ends at once")]

mod support;

use std::{thread::sleep, time::Duration};
use support::{Client, NODE, REDIS, Server, text, wait_for};

/// Tells a story to a server. A line is the name of a client and its request; `<` before the name stands
/// for its next reply. Answers with all replies.
fn tell(server: &Server, story: &str) -> String {
    let mut clients: Vec<(String, Client)> = Vec::new();
    let mut told = String::new();
    for line in story.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (name, request) = line.split_once(' ').unwrap_or((line, ""));
        let (is_reply, name) = name.strip_prefix('<').map_or((false, name), |name| (true, name));
        if clients.iter().all(|(known, _)| known != name) {
            clients.push((name.to_owned(), server.client()));
        }
        let index = clients.iter().position(|(known, _)| known == name).unwrap();
        let client = &mut clients[index].1;
        if is_reply {
            told.push_str(&format!("{name}: {:?}\n", text(&client.reply().unwrap())));
            continue;
        }
        let args: Vec<&[u8]> = request.split(' ').map(str::as_bytes).collect();
        client.send_request(&args);
        if request.starts_with('b') {
            // Who waits must wait before the next line is said.
            settle(server);
        } else {
            told.push_str(&format!("{name} {request}: {:?}\n", text(&client.reply().unwrap())));
        }
    }
    told
}

/// Waits until the number of waiting clients stands still.
fn settle(server: &Server) {
    let mut watcher = server.client();
    let mut blocked = || watcher.ask("INFO clients").lines().find(|line| line.starts_with("blocked")).map(String::from);
    let mut former = blocked();
    wait_for("clients to wait", || {
        sleep(Duration::from_millis(40));
        let now = blocked();
        let is_still = now == former;
        former = now;
        is_still.then_some(())
    });
}

fn compare(story: &str) {
    let (node, redis) = (Server::start(NODE, &[]), Server::start(REDIS, &[]));
    assert_eq!(tell(&node, story), tell(&redis, story));
}

#[test]
fn who_waits_longest_is_served_first() {
    compare(
        "
        a blpop k 0
        b brpop k 0
        c blpop other k 0
        w rpush k 1 2
        <a
        <b
        w rpush other x
        <c
        w lrange k 0 -1
        w exists k
        ",
    );
}

#[test]
fn a_key_that_comes_first_serves_first() {
    compare(
        "
        a blpop k1 k2 k3 0
        w multi
        w rpush k3 third
        w rpush k2 second
        w rpush k1 first
        w exec
        <a
        w lrange k1 0 -1
        w llen k3
        ",
    );
}

#[test]
fn an_element_is_moved_on_and_on() {
    compare(
        "
        a blmove one two left right 0
        b brpoplpush two three 0
        c blpop three 0
        w rpush one x
        <a
        <b
        <c
        w exists one two three
        d blmove one wrong left right 0
        w set wrong x
        w rpush one y
        <d
        w lrange one 0 -1
        ",
    );
}

#[test]
fn sorted_sets_and_several_at_once() {
    compare(
        "
        a bzpopmin z 0
        b bzpopmax z 0
        c bzmpop 0 2 y z min count 2
        d blmpop 0 2 z l left count 2
        w zadd z 1 a 2 b 3 c 4 d
        <a
        <b
        <c
        w rpush l 1 2 3
        <d
        w lrange l 0 -1
        w exists z
        ",
    );
}

#[test]
fn what_takes_the_place_of_a_key_serves_too() {
    compare(
        "
        a blpop k 0
        w set k x
        w del k
        w sadd k x
        w del k
        w rpush j 1 2 3
        w rename j k
        <a
        b blpop m 0
        w copy k m
        <b
        c bzpopmin n 0
        w zadd z 1 a
        w zunionstore n 1 z
        <c
        d blpop s 0
        w sort k store s
        <d
        ",
    );
}

#[test]
fn waits_end_in_time_or_when_told() {
    compare(
        "
        a blpop k 0.1
        <a
        b bzpopmin k 0.1
        <b
        c blpop k 0
        w client unblock 99999
        w client unblock x
        w client unblock 1 foo
        w rpush k x
        <c
        ",
    );
}

#[test]
fn a_wait_is_ended_by_the_number_of_its_client() {
    for program in [NODE, REDIS] {
        let server = Server::start(program, &[]);
        let (mut waiter, mut other) = (server.client(), server.client());
        let id = waiter.ask("CLIENT ID").trim_start_matches(':').trim().to_owned();
        for (reason, reply) in
            [("", "*-1\r\n"), (" ERROR", "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"), (" TIMEOUT", "*-1\r\n")]
        {
            waiter.send(b"BLPOP k 0\r\n");
            settle(&server);
            assert_eq!(other.ask(&format!("CLIENT UNBLOCK {id}{reason}")), ":1\r\n", "{program}");
            assert_eq!(text(&waiter.reply().unwrap()), reply, "{program}");
        }
        assert_eq!(other.ask(&format!("CLIENT UNBLOCK {id}")), ":0\r\n", "{program}");
        assert_eq!(waiter.ask("PING"), "+PONG\r\n");
    }
}

#[test]
fn a_client_that_is_gone_takes_nothing() {
    for program in [NODE, REDIS] {
        let server = Server::start(program, &[]);
        let mut gone = server.client();
        gone.send(b"BLPOP k 0\r\n");
        settle(&server);
        drop(gone);
        let mut other = server.client();
        wait_for("nobody to wait", || other.ask("INFO clients").contains("blocked_clients:0").then_some(()));
        assert_eq!(other.ask("RPUSH k x"), ":1\r\n");
        assert_eq!(other.ask("LLEN k"), ":1\r\n", "{program}");
    }
}

/// Requests whose events are listened to.
const EVENTFUL: &str = "set a 1|set a 1 ex 1000|append a x|setrange a 1 y|incr n|incrbyfloat n 1|setbit b 1 1|bitop and c a b|mset d 1 e 2|\
    getset d 5|getdel d|getex a persist|getex a ex 1000|expire e 100|persist e|expire e -1|rename a f|copy f g|del g|lpush l 1 2 3|\
    rpush l 4|lpop l|rpop l|linsert l before 1 x|lset l 0 y|lrem l 0 y|ltrim l 0 0|lmove l m left right|lmove m m left right|\
    rpoplpush m l|lpop l|sadd s a b c|srem s a|spop s|smove s t b|smove s t c|sunionstore u t|sinterstore u t none|hset h f 1|hincrby h f 1|\
    hincrbyfloat h f 1|hdel h f|hsetnx h f 1|hsetnx h f 1|zadd z 1 a 2 b 3 c|zincrby z 1 a|zadd z incr 1 b|zrem z a|zpopmin z|\
    zremrangebyrank z 0 -1|zadd z 1 a|zunionstore y 1 z|zinterstore y 1 none|zrangestore y z 0 -1|rpush w 3 1|sort w store v|get none|\
    geoadd p 1 2 a 3 4 b|geoadd p 1 2 a|geosearchstore q p frommember a byradius 1 m|geosearchstore q p fromlonlat 80 80 byradius 1 m|\
    georadius p 1 2 1 km store q|georadius p 80 80 1 km store q|georadiusbymember none a 1 km store p|\
    lmpop 1 w left|zmpop 1 y min|sdiffstore u none|pexpireat v 1|flushall";

#[test]
fn what_happens_to_keys_is_told() {
    let listened = |program: &str| {
        let server = Server::start(program, &["--notify-keyspace-events", "AKEmn"]);
        let (mut listener, mut client) = (server.client(), server.client());
        listener.ask("PSUBSCRIBE __key*__:*");
        for request in EVENTFUL.split('|') {
            client.ask(request);
        }
        // Which member goes by chance does not show in its event.
        client.ask("PUBLISH __keyend__: end");
        let mut heard = Vec::new();
        loop {
            let message = text(&listener.reply().unwrap());
            if message.contains("__keyend__") {
                return heard;
            }
            heard.push(message);
        }
    };
    let (ours, theirs) = (listened(NODE), listened(REDIS));
    assert!(theirs.len() > 100, "{}", theirs.len());
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours, theirs);
    }
    assert_eq!(ours.len(), theirs.len());
}

#[test]
fn keys_make_room_for_others() {
    let limits = ["--maxmemory", "4mb", "--maxmemory-policy"];
    for policy in ["noeviction", "allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-ttl", "volatile-lru"] {
        let server = Server::start(NODE, &[&limits[..], &[policy]].concat());
        let mut client = server.client();
        let value = "x".repeat(1000);
        let mut refused = 0;
        for number in 0..6000 {
            let end = if number % 2 == 0 { " EX 1000" } else { "" };
            let reply = client.ask(&format!("SET key:{number} {value}{end}"));
            refused += u32::from(reply.starts_with("-OOM command not allowed"));
        }
        let used = client.ask("INFO memory");
        let used: usize = used.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap().parse().unwrap();
        assert!(used < 4_300_000, "{policy}: {used}");
        assert_eq!(refused > 0, policy == "noeviction", "{policy}: {refused}");
        if policy == "allkeys-lru" {
            assert!(client.ask("GET key:5999").starts_with('$'));
        }
        assert!(client.ask("DEL key:5999 key:1").starts_with(':'), "{policy}");
    }
}
