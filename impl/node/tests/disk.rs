//! A disk that takes no more: the node ends, as redis-server does, and has lost nothing that it said was done.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up ends at once")]

mod support;

use std::{
    fs,
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
};
use support::{Client, NODE, REDIS, Server, free_port, text, wait_for};

/// A program that can write no file of more than a few hundred bytes, as if the disk were full.
fn start_cramped(program: &str, folder: &Path, port: u16) -> Child {
    // A signal that is ignored here is ignored by the program: writing fails instead.
    let script = r#"trap "" XFSZ; ulimit -f 1; exec "$@""#;
    Command::new("sh")
        .args(["-c", script, "sh", program, "--port", &port.to_string(), "--cluster-enabled", "yes"])
        .args(["--bind", "127.0.0.1", "--save", "", "--dir", folder.to_str().unwrap()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Asks for one slot after another, no two in a row, until nobody answers any more. How many were given.
fn add_slots(port: u16) -> usize {
    let mut client = wait_for("an answer", || TcpStream::connect(("127.0.0.1", port)).ok().map(Client::over));
    let mut asked = (0..8000).map(|slot| format!("CLUSTER ADDSLOTS {}\r\n", 2 * slot).into_bytes());
    let is_given = |line: &Vec<u8>| client.try_send(line) && client.reply().is_some_and(|reply| reply == b"+OK\r\n");
    asked.by_ref().take_while(is_given).count()
}

#[test]
fn a_full_disk_ends_the_node_and_keeps_what_was_said_to_be_done() {
    for program in [REDIS, NODE] {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let child = start_cramped(program, folder.path(), port);
        let given = add_slots(port);
        let output = child.wait_with_output().unwrap();
        let log = text(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{program}: {log}");
        assert!(log.contains("Fatal: can't update cluster config file"), "{program}: {log}");
        if program == REDIS {
            continue;
        }
        assert!(given > 10, "{given}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing but nodes.conf is left");
        let node = Server::start_in(folder, NODE, free_port(), &["--cluster-enabled", "yes"]);
        let info = node.client().ask("CLUSTER INFO");
        assert!(info.contains(&format!("cluster_slots_assigned:{given}\r\n")), "{given} of {info}");
    }
}
