//! What administrators look at: slow requests, latency, counts by command, MONITOR, DEBUG; compared
//! with redis-server where both can say the same.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up ends at once")]

mod support;

use support::{NODE, REDIS, Server, text};

/// Both answer every line with the same bytes.
fn compare(directives: &[&str], lines: &str) {
    let (node, redis) = (Server::start(NODE, directives), Server::start(REDIS, directives));
    let (mut ours, mut theirs) = (node.client(), redis.client());
    let lines: Vec<&str> = lines.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert!(!lines.is_empty());
    for line in lines {
        let (ours, theirs) = (ours.ask(line), theirs.ask(line));
        // The greeting tells the connection's number.
        assert!(ours == theirs || line.starts_with("hello"), "{line}: {ours:?} and {theirs:?}");
    }
}

#[test]
fn refusals_are_the_same() {
    compare(
        &[],
        "
        slowlog get
        slowlog get -2
        slowlog get x
        slowlog get 1 2
        slowlog len
        slowlog reset
        slowlog foo
        slowlog
        latency latest
        latency history command
        latency history nosuch
        latency reset
        latency reset command
        latency histogram nosuch
        latency graph command
        latency foo
        memory purge
        memory foo
        debug
        debug sleep 0
        debug digest
        client trackinginfo
        client getredir
        monitor x
        ",
    );
}

#[test]
fn debug_does_the_same_where_it_is_allowed() {
    compare(
        &["--enable-debug-command", "local", "--save", ""],
        "
        debug foo
        debug sleep 0
        debug object nosuch
        debug set-active-expire 0
        debug error ERR_x
        debug protocol string
        debug protocol integer
        debug protocol double
        debug protocol null
        debug protocol array
        debug protocol set
        debug protocol map
        debug protocol push
        debug protocol true
        debug protocol false
        debug protocol verbatim
        debug protocol bignum
        debug protocol foo
        debug populate 3 key 5
        debug populate 2
        debug populate x
        get key:1
        get key:2
        dbsize
        debug reload
        debug reload foo
        dbsize
        hello 3
        debug protocol set
        debug protocol map
        debug protocol true
        debug protocol verbatim
        debug protocol bignum
        debug protocol null
        ",
    );
}

#[test]
fn the_same_data_have_the_same_digest() {
    compare(
        &["--enable-debug-command", "yes", "--save", ""],
        "
        debug digest
        set a 1
        debug digest
        set b hello
        append b x
        rpush l 1 2 x
        sadd s 1 2 3
        sadd t a b c
        hset h f 1 g w
        zadd z 1 a 1.5 b -inf c 3.1415926535897931 d
        debug digest-value a b l s t h z nosuch
        debug digest
        pexpireat a 99999999999999
        debug digest-value a
        debug digest
        del h
        debug digest
        debug reload
        debug digest
        ",
    );
}

#[test]
fn slow_requests_are_kept_without_their_secrets() {
    for program in [NODE, REDIS] {
        let server = Server::start(program, &["--slowlog-log-slower-than", "0", "--slowlog-max-len", "4"]);
        let mut client = server.client();
        for line in ["client setname me", "set a 1", "config set masterauth secret", "multi", "get a", "exec"] {
            client.ask(line);
        }
        let log = client.ask("slowlog get -1");
        assert!(log.starts_with("*4\r\n*6\r\n"), "{program}: {log}");
        assert!(log.contains("$3\r\nget\r\n$1\r\na\r\n") && log.contains("$2\r\nme\r\n"), "{program}: {log}");
        assert!(log.contains("(redacted)") && !log.contains("secret"), "{program}: {log}");
        assert!(!log.contains("$4\r\nexec"), "{program}: {log}");
    }
}

#[test]
fn what_takes_long_is_told_as_latency() {
    for program in [NODE, REDIS] {
        let directives = ["--latency-monitor-threshold", "20", "--enable-debug-command", "yes"];
        let server = Server::start(program, &directives);
        let mut client = server.client();
        client.ask("debug sleep 0.03");
        let latest = client.ask("latency latest");
        assert!(latest.starts_with("*1\r\n*4\r\n$7\r\ncommand\r\n"), "{program}: {latest}");
        assert!(client.ask("latency history command").starts_with("*1\r\n*2\r\n:"), "{program}");
        assert!(client.ask("latency doctor").starts_with('$'), "{program}");
        assert!(client.ask("latency graph command").contains("command - high "), "{program}");
        assert_eq!(client.ask("latency reset"), ":1\r\n", "{program}");
        let histogram = client.ask("latency histogram debug");
        assert!(histogram.contains("$5\r\ncalls\r\n:1\r\n$14\r\nhistogram_usec\r\n*2\r\n"), "{program}: {histogram}");
    }
}

#[test]
fn calls_and_errors_are_counted() {
    for program in [NODE, REDIS] {
        let server = Server::start(program, &[]);
        let mut client = server.client();
        for line in ["set a x", "get a", "get a", "get", "incr a", "foo", "lpush a 1", "config get maxmemory"] {
            client.ask(line);
        }
        let counts = client.ask("info commandstats");
        let has = |name: &str, calls: u32, rejected: u32, failed: u32| {
            let line = counts.lines().find(|line| line.starts_with(&format!("cmdstat_{name}:"))).unwrap();
            assert!(line.contains(&format!("calls={calls},")), "{program}: {line}");
            assert!(line.ends_with(&format!("rejected_calls={rejected},failed_calls={failed}")), "{program}: {line}");
        };
        has("get", 2, 1, 0);
        has("incr", 1, 0, 1);
        has("lpush", 1, 0, 1);
        has("config|get", 1, 0, 0);
        let errors = client.ask("info errorstats");
        assert!(errors.contains("errorstat_ERR:count=3\r\nerrorstat_WRONGTYPE:count=1\r\n"), "{program}: {errors}");
        assert!(client.ask("info latencystats").contains("latency_percentiles_usec_get:p50="), "{program}");
        assert!(!client.ask("info").contains("cmdstat_"), "{program}");
        assert!(client.ask("info everything").contains("cmdstat_"), "{program}");
    }
}

#[test]
fn a_monitor_sees_requests_without_their_secrets() {
    for program in [NODE, REDIS] {
        let server = Server::start(program, &["--requirepass", "secret"]);
        let (mut watcher, mut client) = (server.client(), server.client());
        watcher.ask("auth secret");
        assert_eq!(watcher.ask("monitor"), "+OK\r\n");
        client.ask("auth secret");
        client.send_request(&[b"SET", b"a", b"\x01\n\""]);
        client.reply().unwrap();
        for line in ["config get maxmemory", "multi", "get a", "exec"] {
            client.ask(line);
        }
        let mut seen = Vec::new();
        while seen.len() < 5 {
            let line = text(&watcher.reply().unwrap());
            seen.push(line.split_once("] ").unwrap().1.trim_end().to_owned());
        }
        let wanted =
            ["\"auth\" \"(redacted)\"", "\"SET\" \"a\" \"\\x01\\n\\\"\"", "\"multi\"", "\"get\" \"a\"", "\"exec\""];
        seen.sort_unstable();
        let mut wanted = wanted.map(String::from);
        wanted.sort_unstable();
        assert_eq!(seen, wanted, "{program}");
    }
}
