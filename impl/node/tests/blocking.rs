//! Clients that wait for elements, and clients that listen to what happens to keys: the same story told
//! to this node and to redis-server, whose every reply must be the same bytes.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up ends at once")]

mod support;

use support::{
    NODE, REDIS, Server,
    story::{compare, settle},
    text, wait_for,
};

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
fn every_reader_of_a_stream_gets_what_is_new() {
    compare(
        "
        a xread block 0 streams s 0
        b xread count 1 block 0 streams t s $ $
        c xread block 0 streams s 5
        d xread block 0 streams s 0 s 9
        w xadd s 1 f v
        <a
        <b
        w xadd s 6 f v
        <c
        w xread block 20 streams s 6
        e xread block 0 streams s $
        w multi
        w xadd s 7 f v
        w xadd s 8 f v
        w xdel s 7
        w exec
        <e
        f xread block 0 streams s 8
        w xdel s 1 6 8
        w xtrim s maxlen 0
        w xsetid s 20
        w expire s 1000
        w xadd s 21 f v
        <f
        g xread block 0 streams s 30
        w del s
        w xadd s 1 f v
        w xadd s 31 f v
        <g
        h hello 3
        h xread block 0 streams s 31
        w xadd s 32 f v
        <h
        i xread block 10 streams s 99
        <i
        ",
    );
}

#[test]
fn what_is_new_is_shared_in_a_group() {
    compare(
        "
        w xgroup create s g $ mkstream
        w xgroup create s h $
        a xreadgroup group g a block 0 streams s >
        b xreadgroup group g b block 0 noack streams s >
        c xreadgroup group h c count 1 block 0 streams s >
        d xread block 0 streams s $
        w xadd s 1 f v
        <a
        <c
        <d
        w xadd s 2 f v
        <b
        w xpending s g
        w xpending s h
        w xreadgroup group g a block 0 streams s 0
        w xinfo groups s
        w multi
        w xadd s 3 f v
        w xadd s 4 f v
        w exec
        e xreadgroup group g e block 0 streams s >
        <e
        ",
    );
}

#[test]
fn who_waits_for_a_group_is_told_that_it_is_gone() {
    compare(
        "
        w xgroup create s g $ mkstream
        w xgroup create s h $
        a xreadgroup group g a block 0 streams s >
        b xreadgroup group h b block 0 streams s >
        w xgroup destroy s g
        <a
        w xgroup destroy s g
        w del s
        <b
        w xgroup create s g $ mkstream
        c xreadgroup group g c block 0 streams s >
        w set s x
        <c
        w del s
        w xgroup create s g $ mkstream
        d xreadgroup group g d block 0 streams s >
        w flushall
        <d
        w xgroup create s g $ mkstream
        e xreadgroup group g e block 0 streams s >
        w pexpire s 1
        <e
        w xgroup create s g $ mkstream
        f xreadgroup group g f block 0 streams s >
        w rename s t
        <f
        w xgroup create s g $ mkstream
        h xreadgroup group g h block 0 streams s >
        w multi
        w del s
        w xgroup create s g $ mkstream
        w xadd s 5 f v
        w exec
        <h
        i xreadgroup group g i block 0 streams s >
        w xgroup setid s g 0
        w xadd s 6 f v
        <i
        j xreadgroup group g j block 10 streams s >
        <j
        w multi
        w xadd s 7 f v
        w xgroup destroy s g
        w exec
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
    geoadd gp 1 2 a 3 4 b|geoadd gp 1 2 a|geosearchstore gq gp frommember a byradius 1 m|geosearchstore gq gp fromlonlat 80 80 byradius 1 m|\
    georadius gp 1 2 1 km store gq|georadius gp 80 80 1 km store gq|georadiusbymember none a 1 km store gp|\
    xadd x 1 a b|xadd x 2 a b|xadd x maxlen 2 3 a b|xadd x maxlen ~ 1 4 a b|xdel x 3|xdel x 3|xtrim x maxlen 1|xtrim x maxlen 1|\
    xgroup create x g 0|xgroup createconsumer x g c|xgroup createconsumer x g c|xreadgroup group g d streams x >|xreadgroup group g d streams x 0|\
    xclaim x g e 0 4|xautoclaim x g f 0 0|xack x g 4|xpending x g|xgroup setid x g $|xgroup delconsumer x g c|xgroup delconsumer x g c|\
    xgroup destroy x g|xgroup destroy x g|xgroup create y2 g 0 mkstream|xsetid x 9|xack nosuch g 1|xread streams nosuch 0|xread streams x 0|\
    xinfo stream nosuch|xlen nosuch|xdel x 4|del x|lmpop 1 w left|zmpop 1 y min|sdiffstore u none|pexpireat v 1|\
    pfadd p 1 2|pfadd p 1|pfcount p|pfcount p none|pfmerge q p none|pfmerge p q|pfdebug todense p|pfadd q|flushall";

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
