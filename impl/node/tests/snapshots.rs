//! Snapshots: files that redis-server wrote are read here and the other way round, keys of every kind
//! and form; what is damaged is refused and left alone; what was acknowledged by SAVE outlives SIGKILL.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up ends at once")]

mod support;

use std::{fs, path::Path, thread::sleep, time::Duration};
use support::{
    Client, NODE, REDIS, Server, free_port,
    keys::{fill, fill_further},
    text, wait_for,
};

const DEBUG: &[&str] = &["--enable-debug-command", "yes"];

fn digest(server: &Server) -> Vec<String> {
    let mut client = server.client();
    let lines = ["DEBUG DIGEST", "FUNCTION LIST WITHCODE", "XINFO STREAM stream FULL", "XINFO STREAM gone FULL"];
    lines.map(|line| client.ask(line)).into()
}

/// A server that begins with another's snapshot.
fn heir(program: &str, of: &Server, directives: &[&str]) -> Server {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(of.folder().join("dump.rdb"), folder.path().join("dump.rdb")).unwrap();
    Server::start_in(folder, program, free_port(), directives)
}

#[test]
fn a_snapshot_goes_there_and_back() {
    let first = Server::start(REDIS, DEBUG);
    fill(&mut first.client());
    fill_further(&mut first.client());
    assert_eq!(first.client().ask("SAVE"), "+OK\r\n");
    let ours = heir(NODE, &first, &[]);
    assert_eq!(ours.client().ask("DBSIZE"), first.client().ask("DBSIZE"));
    assert_eq!(ours.client().ask("TYPE stream"), "+stream\r\n");
    assert_eq!(ours.client().ask("SAVE"), "+OK\r\n");
    let second = heir(REDIS, &ours, DEBUG);
    assert_eq!(digest(&second), digest(&first));
}

#[test]
fn what_is_written_here_is_read_there() {
    let ours = Server::start(NODE, &[]);
    let theirs = Server::start(REDIS, DEBUG);
    fill(&mut ours.client());
    fill(&mut theirs.client());
    assert_eq!(ours.client().ask("SAVE"), "+OK\r\n");
    assert_eq!(digest(&heir(REDIS, &ours, DEBUG)), digest(&theirs));
}

#[test]
fn a_stream_is_handed_on_as_it_is() {
    let (ours, theirs) = (Server::start(NODE, &[]), Server::start(REDIS, DEBUG));
    fill_further(&mut theirs.client());
    let (mut here, mut there) = (ours.client(), theirs.client());
    for key in ["stream", "gone"] {
        let dump = |client: &mut Client, key: &str| {
            client.send_request(&[b"DUMP", key.as_bytes()]);
            let reply = client.reply().unwrap();
            let start = reply.windows(2).position(|pair| pair == b"\r\n").unwrap() + 2;
            reply[start..reply.len() - 2].to_vec()
        };
        let payload = dump(&mut there, key);
        here.send_request(&[b"RESTORE", key.as_bytes(), b"0", &payload]);
        assert_eq!(text(&here.reply().unwrap()), "+OK\r\n", "{key}");
        let payload = dump(&mut here, key);
        there.send_request(&[b"RESTORE", b"copy", b"0", &payload, b"REPLACE"]);
        assert_eq!(text(&there.reply().unwrap()), "+OK\r\n", "{key}");
        let values = there.ask(&format!("DEBUG DIGEST-VALUE {key} copy"));
        let values: Vec<&str> = values.lines().skip(1).collect();
        assert!(values.len() == 2 && values[0] == values[1], "{key}: {values:?}");
    }
    for line in ["GET stream", "LPUSH stream x", "HGETALL stream", "APPEND stream x", "SORT stream"] {
        assert!(here.ask(line).starts_with("-WRONGTYPE"), "{line}");
    }
}

/// Waits until a snapshot in the background has ended.
fn await_save(client: &mut Client) {
    wait_for("the snapshot", || client.ask("INFO persistence").contains("rdb_bgsave_in_progress:0").then_some(()));
}

#[test]
fn a_snapshot_in_the_background_is_of_one_instant_and_outlives_the_process() {
    let ours = Server::start(NODE, &[]);
    let mut client = ours.client();
    for number in 0..20_000 {
        client.send_request(&[b"SET", format!("key:{number}").as_bytes(), b"before"]);
        client.reply().unwrap();
    }
    client.send(b"BGSAVE\r\nBGSAVE\r\n");
    assert_eq!(text(&client.reply().unwrap()), "+Background saving started\r\n");
    assert_eq!(text(&client.reply().unwrap()), "-ERR Background save already in progress\r\n");
    for number in (0..20_000).step_by(3) {
        client.send_request(&[b"SET", format!("key:{number}").as_bytes(), b"after"]);
        client.reply().unwrap();
    }
    await_save(&mut client);
    let heir = heir(REDIS, &ours, &[]);
    let mut there = heir.client();
    assert_eq!(there.ask("DBSIZE"), ":20000\r\n");
    for number in 0..20_000 {
        there.send_request(&[b"GET", format!("key:{number}").as_bytes()]);
        assert_eq!(text(&there.reply().unwrap()), "$6\r\nbefore\r\n");
    }
}

#[test]
fn save_points_and_the_end_of_the_process_save() {
    let directives = ["--save", "1 5"];
    let ours = Server::start(NODE, &directives);
    let mut client = ours.client();
    for number in 0..10 {
        client.ask(&format!("SET key:{number} value"));
    }
    wait_for("the save point", || ours.folder().join("dump.rdb").exists().then_some(()));
    await_save(&mut client);
    client.ask("SET last value");
    let kept = tempfile::tempdir().unwrap();
    let (folder, file) = (ours.folder().join("dump.rdb"), kept.path().join("dump.rdb"));
    sleep(Duration::from_millis(50));
    client.send(b"SHUTDOWN SAVE\r\n");
    assert!(client.rest().is_empty());
    fs::copy(folder, file).unwrap();
    let next = Server::start_in(kept, NODE, free_port(), &[]);
    assert_eq!(next.client().ask("DBSIZE"), ":11\r\n");
}

/// Tries to start a node with this file; says what it complains of.
fn refusal(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dump.rdb");
    fs::write(&file, bytes).unwrap();
    let output = support::run(
        NODE,
        &["--port", &free_port().to_string(), "--dir", folder.path().to_str().unwrap(), "--bind", "127.0.0.1"],
    );
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    assert_eq!(fs::read(&file).unwrap(), bytes, "the file is left as it was");
    text(&output.stderr)
}

#[test]
fn damaged_files_are_refused_and_left_alone() {
    let ours = Server::start(NODE, &[]);
    fill(&mut ours.client());
    assert_eq!(ours.client().ask("SAVE"), "+OK\r\n");
    let good = fs::read(Path::new(ours.folder()).join("dump.rdb")).unwrap();
    assert!(refusal(b"").contains("Short read"));
    assert!(refusal(b"HELLO0010").contains("Wrong signature"));
    assert!(refusal(b"REDIS0100").contains("Can't handle RDB format version"));
    assert!(refusal(&good[..good.len() / 2]).contains("Short read"));
    assert!(refusal(&good[..good.len() - 1]).contains("Short read"));
    let mut damaged = good.clone();
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    assert!(refusal(&damaged).contains("Wrong RDB checksum"));
    let mut damaged = good;
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    assert!(refusal(&damaged).contains("aborting now") || refusal(&damaged).contains("Aborting now"));
}

#[test]
fn what_cannot_be_written_is_told() {
    let ours = Server::start(NODE, &[]);
    let mut client = ours.client();
    client.ask("SET a 1");
    assert_eq!(client.ask("SAVE"), "+OK\r\n");
    // Nothing can be created in a folder that is gone.
    fs::remove_dir_all(ours.folder()).unwrap();
    assert!(client.ask("BGSAVE").starts_with("-ERR"));
    assert!(client.ask("SAVE").starts_with("-ERR"));
    assert!(client.ask("INFO persistence").contains("rdb_last_bgsave_status:err"));
    assert_eq!(client.ask("SET b 1"), "+OK\r\n");
    client.send_request(&[b"CONFIG", b"SET", b"save", b"3600 1"]);
    assert_eq!(text(&client.reply().unwrap()), "+OK\r\n");
    assert!(client.ask("SET b 2").starts_with("-MISCONF"));
    assert_eq!(client.ask("GET b"), "$1\r\n1\r\n");
    assert_eq!(client.ask("CONFIG SET stop-writes-on-bgsave-error no"), "+OK\r\n");
    assert_eq!(client.ask("SET b 2"), "+OK\r\n");
}
