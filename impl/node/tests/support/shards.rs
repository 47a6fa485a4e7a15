//! Shards of real processes: a primary with replicas of any program, other primaries that vote, and
//! what is asked of their data.

use super::{Client, NODE, Server, text, wait_for};
use std::collections::BTreeMap;

const DIRECTIVES: [&str; 12] = [
    "--cluster-enabled",
    "yes",
    "--cluster-node-timeout",
    "2000",
    "--repl-diskless-sync-delay",
    "0",
    // A voter that got its slot while others had replicas counts as one that spare replicas move to.
    "--cluster-migration-barrier",
    "9",
    "--cluster-replica-validity-factor",
    "0",
    "--enable-debug-command",
    "yes",
];

/// A primary with its replicas, in one cluster with two more primaries.
pub(crate) struct Shard {
    /// The primary first.
    pub(crate) servers: Vec<Server>,
    programs: Vec<&'static str>,
    voters: Vec<Server>,
}

impl Shard {
    /// A shard whose primary serves all slots but the last two.
    pub(crate) fn start(programs: &[&'static str]) -> Self {
        let servers: Vec<Server> = programs.iter().map(|program| Server::start(program, &DIRECTIVES)).collect();
        let voters: Vec<Server> = (0..2).map(|_| Server::start(NODE, &DIRECTIVES)).collect();
        for (server, slots) in
            [&servers[0], &voters[0], &voters[1]].into_iter().zip(["0 16381", "16382 16382", "16383 16383"])
        {
            assert_eq!(server.client().ask(&format!("CLUSTER ADDSLOTSRANGE {slots}")), "+OK\r\n");
        }
        for server in servers.iter().chain(&voters).skip(1) {
            let meet = format!("CLUSTER MEET 127.0.0.1 {}", server.port);
            assert_eq!(servers[0].client().ask(&meet), "+OK\r\n");
        }
        let count = servers.len() + voters.len();
        for server in servers.iter().chain(&voters) {
            let mut client = server.client();
            wait_for("the cluster to form", || {
                let info = client.ask("CLUSTER INFO");
                let is_whole = info.contains(&format!("cluster_known_nodes:{count}\r\n"));
                (is_whole && info.contains("cluster_state:ok")).then_some(())
            });
        }
        Self { servers, programs: programs.to_vec(), voters }
    }

    /// Has every other server replicate the first, and waits until they do.
    pub(crate) fn replicate(&self) {
        let id = id(&self.servers[0]);
        for replica in &self.servers[1..] {
            wait_for("the replica to know its primary", || {
                (replica.client().ask(&format!("CLUSTER REPLICATE {id}")) == "+OK\r\n").then_some(())
            });
        }
        self.servers[1..].iter().for_each(wait_for_link);
        self.wait_for_replicas(0);
    }

    /// Waits until a primary and those who vote know that the others follow it: until then it pauses for none of them, and
    /// nobody votes for one.
    pub(crate) fn wait_for_replicas(&self, primary: usize) {
        let (server, count) = (&self.servers[primary], self.servers.len() - 1);
        let request = format!("CLUSTER REPLICAS {}", id(server));
        for asked in self.voters.iter().chain([server]) {
            wait_for("the primaries to know the replicas", || {
                asked.client().ask(&request).starts_with(&format!("*{count}\r\n")).then_some(())
            });
        }
    }

    /// Starts a server again after its process was killed.
    pub(crate) fn restart(&mut self, number: usize) {
        self.servers[number].restart(self.programs[number], &DIRECTIVES);
    }

    /// The server that is the primary now, by its place; waits until there is one that is not `former`.
    pub(crate) fn wait_for_primary(&self, former: Option<usize>) -> usize {
        wait_for("a new primary", || {
            (0..self.servers.len()).find(|number| Some(*number) != former && leads(&self.servers[*number]))
        })
    }

    /// Waits until all replicas have what the primary has, and compares every key.
    pub(crate) fn compare(&self, primary: usize) {
        let expected = wait_for_offset(&self.servers[primary]);
        for (number, replica) in self.servers.iter().enumerate().filter(|(number, _)| *number != primary) {
            wait_for_link(replica);
            wait_for("the replica to catch up", || (offset(replica) >= expected).then_some(()));
            let (left, right) = (digest(&self.servers[primary]), digest(replica));
            let differing = left.iter().chain(&right).filter(|(key, _)| left.get(*key) != right.get(*key));
            let differing: Vec<_> = differing.map(|(key, _)| (key, left.get(key), right.get(key))).collect();
            assert!(differing.is_empty(), "{} and {}: {differing:#?}", self.programs[primary], self.programs[number]);
            assert!(!left.is_empty(), "there is something to compare");
        }
    }
}

impl Drop for Shard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for (server, program) in self.servers.iter().zip(&self.programs) {
                println!("--- {program} at port {}:\n{}", server.port, server.log());
            }
        }
    }
}

/// One field of INFO.
pub(crate) fn info(server: &Server, field: &str) -> String {
    let all = server.client().ask("INFO");
    let found = all.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    found.unwrap_or_default().trim().to_owned()
}

pub(crate) fn id(server: &Server) -> String {
    server.client().ask("CLUSTER MYID").lines().nth(1).unwrap_or_default().to_owned()
}

pub(crate) fn leads(server: &Server) -> bool {
    info(server, "role") == "master"
}

pub(crate) fn wait_for_link(server: &Server) {
    wait_for("the link to the primary", || (info(server, "master_link_status") == "up").then_some(()));
}

fn offset(server: &Server) -> u64 {
    info(server, "master_repl_offset").parse().unwrap_or_default()
}

fn wait_for_offset(server: &Server) -> u64 {
    offset(server)
}

/// Every key with its value and its end, in a form that does not depend on how it is held.
pub(crate) fn digest(server: &Server) -> BTreeMap<String, String> {
    let mut client = server.client();
    client.ask("READONLY");
    let keys = strings(&mut client, &[b"KEYS", b"*"]);
    keys.into_iter().map(|key| (key.clone(), value(&mut client, &key))).collect()
}

fn value(client: &mut Client, key: &str) -> String {
    let kind = client.ask(&format!("TYPE {key}"));
    let name = key.as_bytes();
    let mut words = match kind.trim() {
        "+string" => strings(client, &[b"GET", name]),
        "+list" => strings(client, &[b"LRANGE", name, b"0", b"-1"]),
        "+set" => strings(client, &[b"SMEMBERS", name]),
        "+hash" => strings(client, &[b"HGETALL", name]).chunks(2).map(|pair| pair.join("=")).collect(),
        "+zset" => strings(client, &[b"ZRANGE", name, b"0", b"-1", b"WITHSCORES"]),
        "+stream" => strings(client, &[b"XRANGE", name, b"-", b"+"]),
        other => panic!("{key} is a {other}"),
    };
    if matches!(kind.trim(), "+set" | "+hash") {
        words.sort();
    }
    let end = client.ask(&format!("PEXPIRETIME {key}"));
    format!("{} {words:?} {}", kind.trim(), end.trim())
}

/// The byte strings of a reply.
fn strings(client: &mut Client, words: &[&[u8]]) -> Vec<String> {
    client.send_request(words);
    let reply = client.reply().unwrap_or_default();
    let (mut rest, mut found) = (reply.as_slice(), Vec::new());
    while let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") {
        let line = text(&rest[..end]);
        rest = &rest[end + 2..];
        if let Some(length) = line.strip_prefix('$').and_then(|length| length.parse::<usize>().ok()) {
            found.push(text(&rest[..length]));
            rest = &rest[length + 2..];
        }
    }
    found
}
