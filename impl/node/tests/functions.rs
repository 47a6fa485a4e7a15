//! Functions of libraries, as redis-server has them: the same requests to this node and to redis-server are answered
//! with the same bytes, alone and in a cluster, in both protocols; libraries, and what functions write, reach replicas,
//! files and new members of a cluster, whichever of both programs is on either side.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up ends at once")]

mod support;

use std::{fs, process::Command, thread::sleep, time::Duration};
use support::{
    Client, NODE, REDIS, Server, free_port,
    pair::{Pair, ask, send},
    reply::Reply,
    shards::Shard,
    text, wait_for,
};

/// What FUNCTION LIST tells, in the order of names.
fn libraries(server: &Server) -> Reply {
    let mut client = server.client();
    send(&mut client, "FUNCTION LIST WITHCODE");
    Reply::of(&client.reply().unwrap()).ordered_throughout()
}

const LISTS: [&str; 2] = [include_str!("scripts/functions.txt"), include_str!("scripts/functions_calls.txt")];

#[test]
fn functions_do_the_same_as_those_of_redis_server() {
    let mut pair = Pair::start(Server::single);
    LISTS.iter().for_each(|list| pair.compare(list));
}

#[test]
fn functions_do_the_same_in_the_newer_protocol() {
    let mut pair = Pair::start(Server::single);
    pair.speak_newer();
    LISTS.iter().for_each(|list| pair.compare(list));
}

#[test]
fn functions_stay_within_what_a_node_of_a_cluster_serves() {
    Pair::start(Server::almost_whole).compare(include_str!("scripts/functions_cluster.txt"));
}

/// Libraries, as lines that load them.
const LIBRARIES: [&str; 3] = [
    "FUNCTION LOAD \"#!lua name=first\\nredis.register_function('set', function(k, a) redis.call('set', k[1], a[1]) \
     return redis.call('incr', k[1]) end)\"",
    "FUNCTION LOAD \"#!lua name=second\\nredis.register_function{function_name='get', callback=function(k) return \
     redis.call('get', k[1]) end, flags={'no-writes', 'allow-stale'}, description='reads'} \
     redis.register_function('half', function(k) redis.call('incr', k[1]) error('half way') end)\"",
    "FUNCTION LOAD \"#!lua name=third\\nredis.register_function('chance', function(k) redis.call('sadd', k[1], 1, 2, 3, \
     4, 5) return redis.call('spop', k[1], 2) end)\"",
];

fn load_all(client: &mut Client) {
    LIBRARIES.iter().for_each(|line| assert!(ask(client, line).starts_with('$'), "{line}"));
}

#[test]
fn a_library_that_takes_too_long_is_given_up() {
    let told = [NODE, REDIS].map(|program| {
        let server = Server::single(program);
        let mut client = server.client();
        let told = ask(&mut client, "FUNCTION LOAD \"#!lua name=a\\nwhile true do end\"");
        assert_eq!(ask(&mut client, "EVAL 'return 1' 0"), ":1\r\n");
        load_all(&mut client);
        (told, ask(&mut client, "FCALL set 1 k 5"))
    });
    assert_eq!(told[0], told[1]);
}

#[test]
fn there_may_be_more_functions_than_values_that_the_machine_lends_at_once() {
    let told = [NODE, REDIS].map(|program| {
        let server = Server::single(program);
        let mut client = server.client();
        let line = "FUNCTION LOAD \"#!lua name=many\\nfor i = 1, 9000 do redis.register_function('f' .. i, function() return \
                    i end) end\"";
        let mut told = vec![ask(&mut client, line)];
        told.push(ask(&mut client, "FCALL f8999 0"));
        told
    });
    assert_eq!(told[0], told[1]);
}

#[test]
fn what_functions_differ_in_is_more_than_the_case_of_their_names() {
    // Such a library ends redis-server once it is replaced.
    let node = Server::single(NODE);
    let line = "FUNCTION LOAD \"#!lua name=a\\nredis.register_function('f', function() end) \
                redis.register_function('F', function() end)\"";
    let reply = ask(&mut node.client(), line);
    assert_eq!(reply, "-ERR Error registering functions: ERR Function already exists in the library\r\n");
}

/// A payload as FUNCTION DUMP gives it.
fn payload(client: &mut Client) -> Vec<u8> {
    send(client, "FUNCTION DUMP");
    Reply::of(&client.reply().unwrap()).content().unwrap().to_vec()
}

fn restore(client: &mut Client, payload: &[u8], policy: &str) -> String {
    client.send_request(&[b"FUNCTION", b"RESTORE", payload, policy.as_bytes()]);
    text(&client.reply().unwrap())
}

#[test]
fn packed_libraries_are_restored_there_and_back() {
    for (giver, taker) in [(NODE, REDIS), (REDIS, NODE)] {
        let (giver, taker) = (Server::single(giver), Server::single(taker));
        let (mut from, mut to) = (giver.client(), taker.client());
        load_all(&mut from);
        let packed = payload(&mut from);
        assert_eq!(restore(&mut to, &packed, "APPEND"), "+OK\r\n");
        assert_eq!(libraries(&giver), libraries(&taker));
        assert_eq!(ask(&mut to, "FCALL set 1 k 5"), ":6\r\n");
    }
}

/// What a server answers to payloads under every policy, beside a library that has a name in common with them.
fn restored(program: &str, payloads: &[Vec<u8>]) -> Vec<String> {
    let server = Server::single(program);
    let mut client = server.client();
    let mut told = Vec::new();
    for beside in ["name=first\\nredis.register_function('a', ", "name=other\\nredis.register_function('SET', "] {
        for payload in payloads {
            for policy in ["append", "REPLACE", "flush", "nosuch"] {
                ask(&mut client, "FUNCTION FLUSH");
                ask(&mut client, &format!("FUNCTION LOAD \"#!lua {beside}function() return 1 end)\""));
                told.push(restore(&mut client, payload, policy));
                told.push(format!("{:?}", libraries(&server)));
            }
        }
    }
    told
}

#[test]
fn libraries_are_restored_all_or_none() {
    let giver = Server::single(REDIS);
    let mut client = giver.client();
    let mut payloads = vec![payload(&mut client)];
    load_all(&mut client);
    payloads.push(payload(&mut client));
    let mut damaged = payloads[1].clone();
    damaged[20] ^= 1;
    payloads.extend([damaged, payloads[1][3..].to_vec(), b"x".to_vec(), Vec::new()]);
    ask(&mut client, "SET k v");
    client.send_request(&[b"DUMP", b"k"]);
    payloads.push(Reply::of(&client.reply().unwrap()).content().unwrap().to_vec());
    assert_eq!(restored(NODE, &payloads), restored(REDIS, &payloads));
}

#[test]
fn libraries_and_what_functions_write_reach_every_replica() {
    for primary in [NODE, REDIS] {
        let shard = Shard::start(&[primary, REDIS, NODE]);
        let mut client = shard.servers[0].client();
        // One library is there before the copy of all keys is made, the others come in the stream.
        assert!(ask(&mut client, LIBRARIES[0]).starts_with('$'));
        shard.replicate();
        let packed = payload(&mut client);
        for line in &LIBRARIES[1..] {
            assert!(ask(&mut client, line).starts_with('$'), "{line}");
        }
        for line in ["fcall set 1 {t}a 5", "fcall half 1 {t}b", "fcall chance 1 {t}c", "fcall get 1 {t}a"] {
            let reply = ask(&mut client, line);
            assert!(!reply.starts_with('-') || line.contains("half"), "{line}: {reply}");
        }
        let agree = |shard: &Shard| {
            shard.compare(0);
            let expected = libraries(&shard.servers[0]);
            shard.servers[1..].iter().for_each(|replica| assert_eq!(libraries(replica), expected));
            expected.parts().map_or(0, <[Reply]>::len)
        };
        assert_eq!(agree(&shard), 3);
        for replica in &shard.servers[1..] {
            let mut client = replica.client();
            client.ask("READONLY");
            assert_eq!(ask(&mut client, "fcall get 1 {t}a"), "$1\r\n6\r\n");
            assert_eq!(ask(&mut client, "fcall_ro get 1 {t}a"), "$1\r\n6\r\n");
            assert!(ask(&mut client, "fcall set 1 {t}a 1").starts_with("-MOVED "));
            let refusal = "-READONLY You can't write against a read only replica.\r\n";
            for line in [LIBRARIES[0], "function flush", "function delete first", "function restore x"] {
                assert_eq!(ask(&mut client, line), refusal);
            }
        }
        assert_eq!(ask(&mut client, "function delete second"), "+OK\r\n");
        assert_eq!(agree(&shard), 2);
        let replaced = LIBRARIES[2].replace("LOAD", "LOAD REPLACE").replace("chance", "luck");
        assert!(ask(&mut client, &replaced).starts_with('$'));
        assert_eq!(ask(&mut client, "flushall"), "+OK\r\n");
        assert_eq!(ask(&mut client, "fcall set 1 {t}again 5"), ":6\r\n");
        assert_eq!(agree(&shard), 2);
        assert_eq!(restore(&mut client, &packed, "flush"), "+OK\r\n");
        assert_eq!(agree(&shard), 1);
        for line in ["multi", LIBRARIES[1], "fcall half 1 {t}b", "exec"] {
            ask(&mut client, line);
        }
        assert_eq!(agree(&shard), 2);
        assert_eq!(ask(&mut client, "function flush async"), "+OK\r\n");
        assert_eq!(agree(&shard), 0);
    }
}

#[test]
fn a_successor_goes_on_with_the_libraries() {
    for programs in [[NODE, REDIS], [REDIS, NODE]] {
        let shard = Shard::start(&programs);
        load_all(&mut shard.servers[0].client());
        shard.replicate();
        let expected = libraries(&shard.servers[0]);
        assert_eq!(shard.servers[1].client().ask("CLUSTER FAILOVER"), "+OK\r\n");
        assert_eq!(shard.wait_for_primary(Some(0)), 1);
        let mut client = shard.servers[1].client();
        wait_for("the successor to serve", || (ask(&mut client, "fcall set 1 {t}a 5") == ":6\r\n").then_some(()));
        assert_eq!(libraries(&shard.servers[1]), expected);
        assert_eq!(ask(&mut client, "function delete first"), "+OK\r\n");
        shard.compare(1);
        assert_eq!(libraries(&shard.servers[0]), libraries(&shard.servers[1]));
    }
}

#[test]
fn snapshots_hold_libraries_both_ways() {
    for (writer, reader) in [(NODE, REDIS), (REDIS, NODE), (NODE, NODE)] {
        let first = Server::start(writer, &[]);
        load_all(&mut first.client());
        assert_eq!(first.client().ask("SAVE"), "+OK\r\n");
        let folder = tempfile::tempdir().unwrap();
        fs::copy(first.folder().join("dump.rdb"), folder.path().join("dump.rdb")).unwrap();
        let second = Server::start_in(folder, reader, free_port(), &[]);
        wait_for("the file to be loaded", || (second.client().ask("PING") == "+PONG\r\n").then_some(()));
        assert_eq!(libraries(&second), libraries(&first));
        assert_eq!(ask(&mut second.client(), "FCALL set 1 k 5"), ":6\r\n");
    }
}

#[test]
fn a_reload_keeps_what_was_saved() {
    let told = [NODE, REDIS].map(|program| {
        let server = Server::start(program, &["--enable-debug-command", "yes", "--appendonly", "yes"]);
        let mut client = server.client();
        load_all(&mut client);
        let mut told = vec![client.ask("DEBUG RELOAD"), format!("{:?}", libraries(&server))];
        ask(&mut client, "FUNCTION DELETE second");
        told.push(client.ask("DEBUG LOADAOF"));
        told.push(format!("{:?}", libraries(&server)));
        told.push(ask(&mut client, "FCALL set 1 k 5"));
        // What was not flushed is in the way, unless it is to give way.
        for line in ["DEBUG RELOAD NOFLUSH", "DEBUG RELOAD NOFLUSH MERGE", "FCALL set 1 k 7"] {
            told.push(ask(&mut client, line));
        }
        told.push(ask(&mut client, LIBRARIES[1]));
        told.push(client.ask("DEBUG RELOAD NOSAVE NOFLUSH MERGE"));
        told.push(format!("{:?}", libraries(&server)));
        told
    });
    assert_eq!(told[0], told[1]);
}

const APPEND: [&str; 2] = ["--appendonly", "yes"];

#[test]
fn append_only_files_hold_libraries_both_ways() {
    for base in ["yes", "no"] {
        for (writer, reader) in [(NODE, REDIS), (REDIS, NODE), (NODE, NODE)] {
            let first = Server::start(writer, &[APPEND[0], APPEND[1], "--aof-use-rdb-preamble", base]);
            let mut client = first.client();
            load_all(&mut client);
            let packed = payload(&mut client);
            assert_eq!(client.ask("BGREWRITEAOF"), "+Background append only file rewriting started\r\n");
            wait_for("the rewrite", || client.ask("INFO").contains("aof_rewrite_in_progress:0").then_some(()));
            for line in [
                "FUNCTION DELETE second",
                "FCALL set 1 k 5",
                "FUNCTION LOAD REPLACE \"#!lua name=third\\nredis.register_function('new', function() return 3 end)\"",
            ] {
                assert!(!ask(&mut client, line).starts_with('-'), "{line}");
            }
            let check = |first: Server| {
                let expected = libraries(&first);
                let files = first.folder().to_owned();
                let copy = tempfile::tempdir().unwrap();
                fs::create_dir(copy.path().join("appendonlydir")).unwrap();
                sleep(Duration::from_millis(1200));
                for file in fs::read_dir(files.join("appendonlydir")).unwrap() {
                    let file = file.unwrap();
                    fs::copy(file.path(), copy.path().join("appendonlydir").join(file.file_name())).unwrap();
                }
                let second = Server::start_in(copy, reader, free_port(), &APPEND);
                wait_for("the files to be loaded", || (second.client().ask("PING") == "+PONG\r\n").then_some(()));
                assert_eq!(libraries(&second), expected, "{writer} {reader} {base}");
                assert_eq!(second.client().ask("GET k"), "$1\r\n6\r\n");
                first
            };
            let first = check(first);
            assert_eq!(restore(&mut client, &packed, "REPLACE"), "+OK\r\n");
            let first = check(first);
            assert_eq!(client.ask("FUNCTION FLUSH"), "+OK\r\n");
            check(first);
        }
    }
}

/// A function that runs for ever is being run by the first client; the others see that.
fn hanging(program: &str, function: &str) -> (Server, Client, Client) {
    let server = Server::start(program, &["--busy-reply-threshold", "100"]);
    let (mut hung, mut other) = (server.client(), server.client());
    let library = "FUNCTION LOAD \"#!lua name=hang\\nredis.register_function('hang', function() while true do pcall(function() \
                   while true do end end) end end) redis.register_function('write', function(k) redis.call('set', k[1], 1) \
                   while true do end end)\"";
    assert!(ask(&mut other, library).starts_with('$'));
    send(&mut hung, function);
    wait_for("the function to be late", || other.ask("PING").starts_with("-BUSY ").then_some(()));
    (server, hung, other)
}

#[test]
fn a_function_that_hangs_is_told_of_and_ended() {
    let told = [NODE, REDIS].map(|program| {
        let (server, mut hung, mut other) = hanging(program, "FCALL hang 1 k other");
        let stats = other.ask("FUNCTION STATS");
        let (before, after) = stats.split_once("duration_ms\r\n:").unwrap();
        let mut told = vec![before.to_owned(), after.split_once("\r\n").unwrap().1.to_owned()];
        let lines = [
            "FCALL hang 0",
            "FUNCTION LIST",
            "MULTI",
            "FUNCTION FLUSH",
            "EXEC",
            "SCRIPT KILL",
            "SHUTDOWN",
            "FUNCTION KILL",
        ];
        told.extend(lines.map(|line| other.ask(line)));
        told.push(text(&hung.reply().unwrap()));
        told.extend(["PING", "FUNCTION KILL", "SCRIPT KILL", "FUNCTION STATS"].map(|line| other.ask(line)));
        assert!(server.log().contains("using the FUNCTION KILL command. Script name is: hang."));
        told
    });
    assert_eq!(told[0], told[1]);
}

#[test]
fn a_function_that_has_written_ends_with_the_node_only() {
    let told = [NODE, REDIS].map(|program| {
        let (mut server, mut hung, mut other) = hanging(program, "FCALL write 1 k");
        let told = ["FUNCTION KILL", "SCRIPT KILL"].map(|line| other.ask(line));
        send(&mut other, "SHUTDOWN NOSAVE");
        assert_eq!(hung.reply(), None, "{program} ends without an answer");
        assert_eq!(wait_for("the process to end", || server.has_ended()), 0);
        told
    });
    assert_eq!(told[0], told[1]);
}

#[test]
fn a_script_is_not_ended_as_a_function_is() {
    let told = [NODE, REDIS].map(|program| {
        let (_server, mut hung, mut other) = hanging(program, "EVAL 'while true do end' 0");
        let lines = ["FUNCTION KILL", "FUNCTION STATS", "FCALL hang 0", "SCRIPT KILL"];
        let mut told = lines.map(|line| other.ask(line)).to_vec();
        told.push(text(&hung.reply().unwrap()));
        told
    });
    assert_eq!(told[0], told[1]);
}

#[test]
fn a_new_member_of_a_cluster_gets_the_libraries() {
    for (present, new) in [(NODE, REDIS), (REDIS, NODE), (NODE, NODE)] {
        let present = Server::almost_whole(present);
        assert_eq!(present.client().ask("CLUSTER ADDSLOTSRANGE 16382 16383"), "+OK\r\n");
        load_all(&mut present.client());
        let new = Server::start(new, &["--cluster-enabled", "yes"]);
        let [known, added] = [&present, &new].map(|server| format!("127.0.0.1:{}", server.port));
        let output = Command::new("redis-cli").args(["--cluster", "add-node", &added, &known]).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stdout));
        assert_eq!(libraries(&new), libraries(&present));
    }
}

#[test]
fn libraries_can_be_had_without_keys() {
    for program in [NODE, REDIS] {
        let server = Server::single(program);
        load_all(&mut server.client());
        assert_eq!(server.client().ask("SET k v"), "+OK\r\n");
        let folder = tempfile::tempdir().unwrap();
        let (file, port) = (folder.path().join("dump.rdb"), server.port.to_string());
        let output = Command::new("redis-cli").args(["-p", &port, "--functions-rdb"]).arg(&file).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let heir = Server::start_in(folder, NODE, free_port(), &[]);
        assert_eq!(libraries(&heir), libraries(&server), "{program}");
        assert_eq!(heir.client().ask("DBSIZE"), ":0\r\n");
    }
}

#[test]
fn the_node_tells_what_functions_hold() {
    let node = Server::single(NODE);
    let mut client = node.client();
    let has = |client: &mut Client, fields: &str| client.ask("INFO memory").contains(fields);
    assert!(has(&mut client, "number_of_functions:0\r\nnumber_of_libraries:0\r\nused_memory_vm_functions:0\r\n"));
    load_all(&mut client);
    assert!(has(&mut client, "number_of_functions:4\r\nnumber_of_libraries:3\r\n"));
    assert!(!has(&mut client, "used_memory_vm_functions:0\r\n"));
    assert!(!has(&mut client, "used_memory_functions:0\r\n"));
    assert!(client.ask("INFO persistence").contains("rdb_changes_since_last_save:3\r\n"));
}
