//! Scripts, as redis-server runs them: the same calls to this node and to redis-server are answered with
//! the same bytes, alone and in a cluster, in both protocols; what scripts write reaches replicas; one that
//! runs for too long is told of, and can be ended.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up ends at once")]

mod support;

use slotbus_wire::words;
use support::{Client, NODE, REDIS, Server, text};

/// A node and a redis-server, each with a client.
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

    /// Sends a line, in the syntax of redis-cli, to both; says how the answers differ if they do.
    fn difference(&mut self, line: &str) -> Option<String> {
        let words = words::split(line.as_bytes()).unwrap_or_else(|error| panic!("{line}: {error}"));
        let request: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let [ours, theirs] = [&mut self.ours, &mut self.theirs].map(|client| {
            client.send_request(&request);
            client.reply().map_or_else(|| "nothing: the connection ended".to_owned(), |reply| text(&reply))
        });
        (ours != theirs).then(|| format!("{line}\n  ours:   {ours:?}\n  theirs: {theirs:?}"))
    }

    /// Compares the answers to every line of a list.
    fn compare(&mut self, list: &str) {
        let lines: Vec<&str> = list.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        assert!(!lines.is_empty());
        let differences: Vec<String> = lines.iter().filter_map(|line| self.difference(line)).collect();
        assert!(differences.is_empty(), "{} of {} differ:\n{}", differences.len(), lines.len(), differences.join("\n"));
    }

    /// Has both speak the newer protocol.
    fn speak_newer(&mut self) {
        // What HELLO answers names the server.
        self.ours.ask("HELLO 3");
        self.theirs.ask("HELLO 3");
    }
}

fn alone(program: &str) -> Server {
    Server::start(program, &[])
}

const LISTS: [&str; 4] = [
    include_str!("scripts/lua.txt"),
    include_str!("scripts/lua_replies.txt"),
    include_str!("scripts/lua_requests.txt"),
    include_str!("scripts/lua_libraries.txt"),
];

#[test]
fn scripts_do_the_same_as_those_of_redis_server() {
    let mut pair = Pair::start(alone);
    LISTS.iter().for_each(|list| pair.compare(list));
}

#[test]
fn scripts_do_the_same_in_the_newer_protocol() {
    let mut pair = Pair::start(alone);
    pair.speak_newer();
    LISTS.iter().for_each(|list| pair.compare(list));
}
