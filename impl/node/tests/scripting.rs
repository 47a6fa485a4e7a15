//! Scripts, as redis-server runs them: the same calls to this node and to redis-server are answered with
//! the same bytes, alone and in a cluster, in both protocols; what scripts write reaches replicas; one that
//! runs for too long is told of, and can be ended.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up ends at once")]

mod support;

use std::{thread::sleep, time::Duration};
use support::{
    Client, NODE, REDIS, Server,
    pair::{Pair, ask, bytes_of, send, words_of},
    shards::Shard,
    text, wait_for,
};

/// The bytes of a line's request.
fn request(line: &str) -> Vec<u8> {
    bytes_of(&words_of(line))
}

const LISTS: [&str; 4] = [
    include_str!("scripts/lua.txt"),
    include_str!("scripts/lua_replies.txt"),
    include_str!("scripts/lua_requests.txt"),
    include_str!("scripts/lua_libraries.txt"),
];

#[test]
fn scripts_do_the_same_as_those_of_redis_server() {
    let mut pair = Pair::start(Server::single);
    LISTS.iter().for_each(|list| pair.compare(list));
}

#[test]
fn scripts_do_the_same_in_the_newer_protocol() {
    let mut pair = Pair::start(Server::single);
    pair.speak_newer();
    LISTS.iter().for_each(|list| pair.compare(list));
}

#[test]
fn scripts_stay_within_what_a_node_of_a_cluster_serves() {
    let mut pair = Pair::start(Server::almost_whole);
    pair.compare(include_str!("scripts/lua_cluster.txt"));
    pair.compare(include_str!("scripts/lua.txt"));
}

#[test]
fn requests_of_scripts_are_those_of_their_users() {
    Pair::start(Server::single).compare(
        "
        acl setuser u on nopass ~k* &ch* +get +set +publish +@scripting
        acl setuser v on nopass ~* +@read -get
        auth u x
        eval 'return redis.call(\"get\", \"k1\")' 0
        eval 'return redis.call(\"get\", \"x1\")' 0
        eval 'return redis.pcall(\"get\", \"x1\")' 0
        eval 'return redis.call(\"del\", \"k1\")' 0
        eval 'return redis.call(\"publish\", \"ch1\", \"x\")' 0
        eval 'return redis.call(\"publish\", \"other\", \"x\")' 0
        eval 'return redis.acl_check_cmd(\"get\", \"k1\")' 0
        eval 'return redis.acl_check_cmd(\"get\", \"x1\")' 0
        eval 'return redis.acl_check_cmd(\"del\", \"k1\")' 0
        eval 'return redis.acl_check_cmd(\"publish\", \"other\", \"m\")' 0
        eval 'return 1' 1 x1
        eval 'return 1' 1 k1
        eval_ro 'return 1' 1 k1
        auth v x
        eval 'return 1' 0
        eval_ro 'return 1' 0
        ",
    );
}

#[test]
fn nothing_that_a_script_does_harms_the_node_or_the_next_script() {
    let node = Server::single(NODE);
    let mut client = node.client();
    for (line, beginning) in [
        ("eval 'local t = {} for i = 1, 1e9 do t[i] = string.rep(\"x\", 2^20) .. i end' 0", "-ERR not enough memory"),
        ("eval 'local function f() coroutine.wrap(f)() end f()' 0", "-ERR user_script:1: "),
        ("eval 'local function f() string.gsub(\"x\", \"x\", f) end f()' 0", "-ERR C stack overflow"),
        ("eval 'local a = {} a[1] = a return a' 0", "*1\r\n"),
        ("eval 'local t = {} for i = 1, 100000 do t = {t} end return cjson.encode(t)' 0", "-ERR user_script:1: Cannot"),
        ("eval 'error({})' 0", "-ERR unknown error"),
        ("eval 'error(setmetatable({}, {__tostring = error}))' 0", "-ERR unknown error"),
        ("eval 'table.insert(redis, 1) table.insert(_G, 2) return redis[1]' 0", ":1\r\n"),
        ("eval 'return redis[1]' 0", "$-1\r\n"),
        ("eval 'local _, t = pairs(redis) t.call = nil return 1' 0", "-ERR user_script:1: Attempt to modify"),
        ("eval 'getmetatable(_G).__index = nil' 0", "-ERR user_script:1: Attempt to modify"),
        (
            "eval 'return cmsgpack.unpack(string.rep(ARGV[1], 100000))' 0 \"\\x91\"",
            "-ERR user_script:1: Bad data format",
        ),
        ("eval 'return loadstring(\"\\\\27Lua\")' 0", "$-1\r\n"),
        (
            "eval 'local function f(n, ...) if n > 0 then return f(n - 1, \"x\", ...) end return redis.call(\"rpush\", \"l\", ...) \
             end return f(9000)' 0",
            "-ERR too many values at once",
        ),
        (
            "eval 'local function f(n, ...) if n > 0 then return f(n - 1, \"x\", ...) end return redis.call(\"rpush\", \"l\", ...) \
             end table.insert(redis, 1) return pcall(f, 9000)' 0",
            "-ERR too many values at once",
        ),
        ("eval 'return redis[1]' 0", "$-1\r\n"),
        ("eval 'return redis.call(\"echo\", \"well\")' 0", "$4\r\nwell\r\n"),
    ] {
        let reply = ask(&mut client, line);
        assert!(reply.starts_with(beginning), "{line}: {:?}", &reply[..reply.len().min(200)]);
    }
}

#[test]
fn scripts_may_hold_more_values_than_the_machine_lends_at_once() {
    const MANY: usize = 9000;
    let (node, server) = (Server::single(NODE), Server::single(REDIS));
    let told = [node, server].map(|server| {
        let mut client = server.client();
        let words: Vec<String> = (0..MANY).map(|number| format!("word{number}")).collect();
        let head = ["eval", "return {#KEYS, #ARGV, KEYS[2], ARGV[5000]}", "100"];
        let request: Vec<&[u8]> = head.into_iter().chain(words.iter().map(String::as_str)).map(str::as_bytes).collect();
        client.send_request(&request);
        let mut told = vec![text(&client.reply().unwrap())];
        for line in [
            "eval 'local t = {} for i = 1, 9000 do t[\"k\" .. i] = \"v\" .. i end return #cmsgpack.pack(t)' 0",
            "eval 'local t = {} for i = 1, 9000 do t[i] = \"v\" .. i end return #cmsgpack.unpack(cmsgpack.pack(t))' 0",
            "eval 'local t = {} for i = 1, 9000 do t[i] = \"v\" .. i end return #cjson.decode(cjson.encode(t))' 0",
            "eval 'for i = 1, 9000 do redis.call(\"zadd\", \"z\", i, \"m\" .. i) end return 1' 0",
            "eval 'redis.setresp(3) return #redis.call(\"zrange\", \"z\", 0, -1, \"withscores\")' 0",
            "eval 'return #redis.call(\"zrange\", \"z\", 0, -1, \"withscores\")' 0",
        ] {
            told.push(ask(&mut client, line));
        }
        for number in 0..MANY {
            send(&mut client, &format!("eval 'return {number}' 0"));
        }
        let all = (0..MANY).map(|_| text(&client.reply().unwrap()));
        told.extend(all);
        told
    });
    assert!(told[0] == told[1], "{:?}", told[0].iter().zip(&told[1]).find(|(ours, theirs)| ours != theirs));
}

#[test]
fn what_scripts_write_reaches_every_replica() {
    for primary in [NODE, REDIS] {
        let shard = Shard::start(&[primary, REDIS, NODE]);
        shard.replicate();
        let mut client = shard.servers[0].client();
        for line in [
            "eval 'for i = 1, 50 do redis.call(\"rpush\", KEYS[1], i) end return redis.call(\"llen\", KEYS[1])' 1 {t}list",
            "eval 'redis.call(\"set\", KEYS[1], 1, \"ex\", 1000) redis.call(\"expire\", KEYS[1], 2000) return 1' 1 {t}end",
            "eval 'redis.call(\"sadd\", KEYS[1], 1, 2, 3, 4, 5) return redis.call(\"spop\", KEYS[1], 2)' 1 {t}set",
            "eval 'redis.call(\"set\", KEYS[1], redis.call(\"time\")[2] .. math.random(1000)) return 1' 1 {t}chance",
            "eval 'redis.call(\"hset\", KEYS[1], \"a\", 1) redis.call(\"hincrbyfloat\", KEYS[1], \"a\", 0.5) return 1' 1 {t}hash",
            "eval 'redis.call(\"incr\", KEYS[1]) error(\"half way\")' 1 {t}half",
            "eval 'redis.call(\"rpush\", KEYS[1], 1) return redis.call(\"blmpop\", 0, 1, KEYS[1], \"left\")' 1 {t}popped",
            "eval 'redis.set_repl(redis.REPL_REPLICA) redis.call(\"set\", KEYS[1], 1) return 1' 1 {t}told",
            "eval 'return redis.call(\"get\", KEYS[1])' 1 {t}told",
            "multi",
            "eval 'return redis.call(\"incr\", KEYS[1])' 1 {t}count",
            "eval 'return redis.call(\"incr\", KEYS[1])' 1 {t}count",
            "exec",
        ] {
            let reply = ask(&mut client, line);
            assert!(!reply.starts_with('-') || line.contains("half way"), "{line}: {reply}");
        }
        shard.compare(0);
        assert_eq!(ask(&mut client, "get {t}half"), "$1\r\n1\r\n");
        // What is not to be told stays here; a script that only reads runs on a replica.
        let quiet = "eval 'redis.set_repl(redis.REPL_NONE) redis.call(\"set\", KEYS[1], 1) return 1' 1 {t}quiet";
        assert_eq!(ask(&mut client, quiet), ":1\r\n");
        for replica in &shard.servers[1..] {
            let mut client = replica.client();
            client.ask("READONLY");
            assert_eq!(ask(&mut client, "eval 'return redis.call(\"get\", KEYS[1])' 1 {t}quiet"), "$-1\r\n");
            let write = ask(&mut client, "eval 'return redis.call(\"set\", KEYS[1], 2)' 1 {t}told");
            assert!(write.starts_with("-READONLY You can't write against a read only replica. script: "), "{write}");
            let moved = ask(&mut client, "eval \"#!lua\\nreturn 1\" 1 {t}told");
            assert!(moved.starts_with("-MOVED "), "{moved}");
        }
    }
}

#[test]
fn others_see_a_script_as_one_step() {
    for program in [NODE, REDIS] {
        let server = Server::start(program, &["--notify-keyspace-events", "KEA"]);
        let [mut writer, mut listener, mut waiter] = [(); 3].map(|()| server.client());
        assert!(listener.ask("PSUBSCRIBE __keyevent@0__:*").contains("psubscribe"));
        waiter.send(&request("blpop list 0"));
        sleep(Duration::from_millis(200));
        // The element is there, and gone, before anybody who waits for it is served.
        let line = "eval 'redis.call(\"rpush\", \"list\", 1) redis.call(\"lpop\", \"list\") redis.call(\"rpush\", \"list\", 2)' 0";
        assert_eq!(ask(&mut writer, line), "$-1\r\n");
        assert_eq!(text(&waiter.reply().unwrap()), "*2\r\n$4\r\nlist\r\n$1\r\n2\r\n");
        let events: Vec<String> = (0..4).map(|_| text(&listener.reply().unwrap())).collect();
        for (event, name) in events.iter().zip([":rpush", ":lpop", ":del", ":rpush"]) {
            assert!(event.contains(name), "{program}: {events:?}");
        }
    }
}

/// A script that runs for ever is being run by the first client; the others see that.
fn hanging(program: &str, script: &str) -> (Server, Client, Client) {
    let server = Server::start(program, &["--busy-reply-threshold", "100"]);
    let (mut hung, mut other) = (server.client(), server.client());
    hung.send(&request(&format!("eval '{script}' 0")));
    wait_for("the script to be late", || other.ask("PING").starts_with("-BUSY ").then_some(()));
    (server, hung, other)
}

#[test]
fn a_script_that_hangs_is_told_of_and_ended() {
    let told = [NODE, REDIS].map(|program| {
        let caught = "while true do pcall(function() while true do end end) end";
        let (server, mut hung, mut other) = hanging(program, caught);
        let mut told: Vec<String> =
            ["GET a", "EVAL x 0", "MULTI", "GET a", "EXEC", "INFO", "SHUTDOWN", "SHUTDOWN SAVE"]
                .map(|line| other.ask(line))
                .into();
        // A client that comes only now is taken in, too.
        let mut late = server.client();
        told.extend([late.ask("SCRIPT LOAD x"), late.ask("SCRIPT KILL")]);
        told.push(text(&hung.reply().unwrap()));
        told.extend(["PING", "SCRIPT KILL"].map(|line| other.ask(line)));
        told
    });
    assert_eq!(told[0], told[1]);
    assert!(told[0][10].starts_with("-ERR Script killed by user"), "{told:?}");
}

#[test]
fn a_script_that_has_written_ends_with_the_node_only() {
    let told = [NODE, REDIS].map(|program| {
        let (mut server, mut hung, mut other) = hanging(program, "redis.call(\"set\", \"a\", 1) while true do end");
        let told = other.ask("SCRIPT KILL");
        other.send(&request("SHUTDOWN NOSAVE"));
        assert_eq!(hung.reply(), None, "{program} ends without an answer");
        assert_eq!(wait_for("the process to end", || server.has_ended()), 0);
        told
    });
    assert_eq!(told[0], told[1]);
    assert!(told[0].starts_with("-UNKILLABLE "), "{told:?}");
}

#[test]
fn a_node_whose_script_hangs_goes_on_answering_its_peers() {
    const DIRECTIVES: [&str; 6] =
        ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--busy-reply-threshold", "100"];
    let servers = [NODE, REDIS, REDIS].map(|program| Server::start(program, &DIRECTIVES));
    for (server, slots) in servers.iter().zip(["0 5000", "5001 10000", "10001 16383"]) {
        assert_eq!(server.client().ask(&format!("CLUSTER ADDSLOTSRANGE {slots}")), "+OK\r\n");
        servers[0].client().ask(&format!("CLUSTER MEET 127.0.0.1 {}", server.port));
    }
    for server in &servers {
        wait_for("the cluster to form", || {
            server.client().ask("CLUSTER INFO").contains("cluster_state:ok").then_some(())
        });
    }
    let mut hung = servers[0].client();
    hung.send(&request("eval 'while true do end' 0"));
    // Three times as long as it takes to be held failed.
    sleep(Duration::from_secs(3));
    for server in &servers[1..] {
        let nodes = server.client().ask("CLUSTER NODES");
        assert!(!nodes.contains("fail"), "{nodes}");
    }
    assert_eq!(servers[0].client().ask("SCRIPT KILL"), "+OK\r\n");
}

#[test]
fn the_node_tells_what_scripts_hold() {
    let node = Server::single(NODE);
    let mut client = node.client();
    let info = |client: &mut Client| client.ask("INFO memory");
    assert!(info(&mut client).contains("number_of_cached_scripts:0\r\nnumber_of_functions:0\r\n"));
    assert!(info(&mut client).contains("used_memory_lua:0\r\n"));
    ask(&mut client, "eval 'return 1' 0");
    assert!(info(&mut client).contains("number_of_cached_scripts:1\r\n"));
    assert!(!info(&mut client).contains("used_memory_lua:0\r\n"));
    let mut watcher = node.client();
    watcher.ask("MONITOR");
    ask(&mut client, "eval 'return redis.call(\"echo\", \"x\")' 0");
    assert!(text(&watcher.reply().unwrap()).contains("\"eval\""));
    assert!(text(&watcher.reply().unwrap()).contains("[0 lua] \"echo\" \"x\""));
    assert!(client.ask("INFO commandstats").contains("cmdstat_echo:calls=1,"));
}

#[test]
fn a_script_that_asks_may_use_an_imported_slot_to_its_end() {
    for program in [NODE, REDIS] {
        let server = Server::almost_whole(program);
        let mut client = server.client();
        let owner = Server::start(NODE, &["--cluster-enabled", "yes", "--cluster-require-full-coverage", "no"]);
        let id = owner.client().ask("CLUSTER MYID").lines().nth(1).unwrap_or_default().to_owned();
        assert_eq!(owner.client().ask("CLUSTER ADDSLOTS 16382"), "+OK\r\n");
        assert_eq!(client.ask(&format!("CLUSTER MEET 127.0.0.1 {}", owner.port)), "+OK\r\n");
        // A key of that slot: to import it is to serve those who ask.
        let line = "eval 'redis.call(\"set\", KEYS[1], 1) redis.call(\"asking\") return redis.call(\"incr\", KEYS[1])' 1 moved2016";
        wait_for("the slot to have an owner", || ask(&mut client, line).starts_with("-MOVED 16382 ").then_some(()));
        assert_eq!(client.ask(&format!("CLUSTER SETSLOT 16382 IMPORTING {id}")), "+OK\r\n");
        let reply = [client.ask("ASKING"), ask(&mut client, line)];
        assert_eq!(reply, ["+OK\r\n", ":2\r\n"], "{program}");
    }
}
