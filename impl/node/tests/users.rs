//! Users and what they may do: the same requests to this node and to redis-server, by an administrator
//! and by users that he makes.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up ends at once")]

mod support;

use std::fs;
use support::{Client, NODE, REDIS, Server};

/// A server with an administrator's connection and another one.
struct Side {
    _server: Server,
    admin: Client,
    user: Client,
}

impl Side {
    fn start(program: &str) -> Self {
        let server = Server::start(program, &[]);
        let (admin, user) = (server.client(), server.client());
        Self { _server: server, admin, user }
    }

    /// The reply to a line that begins with who asks; `_` within a word stands for a blank.
    fn ask(&mut self, line: &str) -> String {
        let (who, request) = line.split_once(' ').unwrap();
        let words: Vec<Vec<u8>> = request.split(' ').map(|word| word.replace('_', " ").into_bytes()).collect();
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let client = match who {
            "admin" => &mut self.admin,
            "user" => &mut self.user,
            _ => panic!("nobody is called {who}"),
        };
        client.send_request(&words);
        support::text(&client.reply().unwrap())
    }
}

/// Both answer every line with the same bytes.
fn compare(lines: &str) {
    let (mut ours, mut theirs) = (Side::start(NODE), Side::start(REDIS));
    let lines: Vec<&str> = lines.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert!(!lines.is_empty());
    for line in lines {
        assert_eq!(ours.ask(line), theirs.ask(line), "{line}");
    }
}

#[test]
fn users_are_made_and_described_the_same() {
    compare(
        "
        admin acl list
        admin acl users
        admin acl whoami
        admin acl getuser default
        admin acl getuser nosuch
        admin acl setuser alice
        admin acl list
        admin acl getuser alice
        admin acl setuser alice on >pw ~k* %R~r* &ch* +@read -mget
        admin acl list
        admin acl getuser alice
        admin acl setuser alice -@all +select|0
        admin acl list
        admin acl setuser alice -@all +client|id
        admin acl list
        admin acl setuser alice +foo
        admin acl setuser alice +client|foo
        admin acl setuser alice -select|0
        admin acl setuser alice +config|get|x
        admin acl setuser alice +@foo
        admin acl setuser alice foo
        admin acl setuser alice %X~a
        admin acl setuser alice %~a
        admin acl setuser alice ~a_b
        admin acl setuser alice ~* ~b
        admin acl setuser alice &* &b
        admin acl setuser alice <nopw
        admin acl setuser alice #abc
        admin acl setuser alice !abc
        admin acl setuser alice (+set ~w*)
        admin acl setuser alice (+set ~w* on)
        admin acl setuser alice (+set
        admin acl setuser a_b on
        admin acl getuser alice
        admin acl setuser alice clearselectors
        admin acl setuser alice resetpass resetkeys resetchannels -@all
        admin acl list
        admin acl setuser bob nopass on +@all -debug allkeys
        admin acl list
        admin acl setuser bob reset
        admin acl list
        admin acl setuser bob allcommands nocommands skip-sanitize-payload
        admin acl getuser bob
        admin acl deluser default
        admin acl deluser alice nosuch bob
        admin acl users
        admin acl cat
        admin acl cat foo
        admin acl cat a b
        admin acl genpass 0
        admin acl genpass 5000
        admin acl genpass x
        admin acl log
        admin acl log foo
        admin acl log reset
        admin acl save
        admin acl load
        admin acl foo
        admin acl setuser
        admin acl dryrun default
        ",
    );
}

#[test]
fn users_may_do_the_same() {
    compare(
        "
        admin acl setuser alice on >pw ~k* %R~r* %W~w* &ch* +@all -@admin -config +config|get (~s* +set)
        admin acl dryrun alice get k1
        admin acl dryrun alice set k1 v
        admin acl dryrun alice get zz
        admin acl dryrun alice get r1
        admin acl dryrun alice set r1 v
        admin acl dryrun alice set w1 v
        admin acl dryrun alice set w1 v get
        admin acl dryrun alice get w1
        admin acl dryrun alice exists w1
        admin acl dryrun alice copy r1 w1
        admin acl dryrun alice copy w1 r1
        admin acl dryrun alice set s1 v
        admin acl dryrun alice get s1
        admin acl dryrun alice bitfield r1 get u8 0
        admin acl dryrun alice bitfield r1 set u8 0 1
        admin acl dryrun alice mget k1 k2 zz
        admin acl dryrun alice publish ch1 x
        admin acl dryrun alice publish other x
        admin acl dryrun alice subscribe ch1 other
        admin acl dryrun alice psubscribe ch*
        admin acl dryrun alice psubscribe ch1*
        admin acl dryrun alice config get x
        admin acl dryrun alice config set timeout 1
        admin acl dryrun alice shutdown
        admin acl dryrun alice nosuch
        admin acl dryrun alice get
        admin acl dryrun nosuch get k
        user auth alice wrong
        user auth nosuch pw
        user auth alice pw
        user acl whoami
        user get k1
        user get zz
        user set r1 v
        user config set timeout 1
        user config get timeout
        user publish other x
        user multi
        user get zz
        user get k1
        user exec
        user multi
        user set k1 v
        admin acl setuser alice -set
        user exec
        admin acl setuser alice +set
        user multi
        user set k1 v
        admin acl setuser alice -set clearselectors
        user exec
        user auth alice pw
        user acl whoami
        user reset
        user acl whoami
        user auth alice pw
        user ping
        admin client kill user nosuch
        admin client kill user alice
        ",
    );
}

#[test]
fn refusals_are_noted() {
    let mut side = Side::start(NODE);
    for line in
        ["admin acl setuser alice on >pw -@all +get ~k*", "user auth alice no", "user auth alice pw", "user get z"]
    {
        side.ask(line);
    }
    side.ask("user get z");
    side.ask("user set k 1");
    let log = side.ask("admin acl log");
    let words: Vec<&str> = log.lines().collect();
    let after = |name: &str| -> Vec<&str> {
        words.iter().enumerate().filter(|(_, word)| **word == name).map(|(at, _)| words[at + 2]).collect()
    };
    assert_eq!(after("reason"), ["command", "key", "auth"]);
    assert_eq!(after("object"), ["set", "z", "auth"]);
    let counts: Vec<&str> =
        words.iter().enumerate().filter(|(_, word)| **word == "count").map(|(at, _)| words[at + 1]).collect();
    assert_eq!(counts, [":1", ":2", ":1"]);
}

#[test]
fn who_is_removed_or_may_listen_no_more_is_disconnected() {
    for change in ["admin acl deluser alice", "admin acl setuser alice resetchannels"] {
        let mut side = Side::start(NODE);
        side.ask("admin acl setuser alice nopass on +@all &news");
        side.ask("user auth alice x");
        assert!(side.ask("user subscribe news").contains("subscribe"));
        side.ask(change);
        assert_eq!(support::text(&side.user.rest()), "", "{change}");
    }
}

#[test]
fn users_survive_in_either_file_and_a_bad_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users.acl");
    fs::write(&file, "user default on nopass ~* &* +@all\nuser bob on >pw ~b* -@all +get\n").unwrap();
    for program in [NODE, REDIS] {
        let server = Server::start(program, &["--aclfile", file.to_str().unwrap()]);
        let mut client = server.client();
        assert_eq!(client.ask("acl users"), "*2\r\n$3\r\nbob\r\n$7\r\ndefault\r\n");
        assert_eq!(client.ask("acl setuser carol on +ping"), "+OK\r\n");
        assert_eq!(client.ask("acl save"), "+OK\r\n");
        assert_eq!(client.ask("acl deluser carol"), ":1\r\n");
        assert_eq!(client.ask("acl load"), "+OK\r\n");
        assert!(client.ask("acl users").contains("carol"));
        assert_eq!(client.ask("acl deluser carol"), ":1\r\n");
        assert_eq!(client.ask("acl save"), "+OK\r\n");
        let good = fs::read(&file).unwrap();
        fs::write(&file, "user bob on +nosuch\n").unwrap();
        let refusal = client.ask("acl load");
        assert!(refusal.contains("+nosuch") && refusal.contains("no change"), "{refusal}");
        assert!(client.ask("acl users").contains("bob"));
        fs::write(&file, good).unwrap();
    }
}
