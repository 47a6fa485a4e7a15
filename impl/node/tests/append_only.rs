//! Append-only files: those of redis-server are read here and the other way round, whatever their base is
//! made of; a tail that was cut off is dropped as redis-server does; what was acknowledged outlives SIGKILL,
//! rewrites and a full disk.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up ends at once")]

mod support;

use std::{
    fs,
    io::ErrorKind,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, sleep},
    time::Duration,
};
use support::{
    Client, NODE, REDIS, Server, free_port,
    keys::{fill, fill_further},
    request,
    shards::Shard,
    text, wait_for,
};
use tempfile::TempDir;

const AOF: &[&str] = &["--appendonly", "yes", "--enable-debug-command", "yes"];

fn with<'d>(more: &[&'d str]) -> Vec<&'d str> {
    [AOF, more].concat()
}

fn files(server: &Server) -> PathBuf {
    server.folder().join("appendonlydir")
}

fn manifest(server: &Server) -> String {
    fs::read_to_string(files(server).join("appendonly.aof.manifest")).unwrap()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        match fs::copy(&path, to.join(path.file_name().unwrap())) {
            // What counts no more is removed while the server goes on.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            outcome => drop(outcome.unwrap()),
        }
    }
}

/// A folder with another server's files.
fn legacy(of: &Server) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy(&files(of), &folder.path().join("appendonlydir"));
    folder
}

/// A server that begins with another's files.
fn heir(program: &str, of: &Server) -> Server {
    let server = Server::start_in(legacy(of), program, free_port(), AOF);
    await_load(&server);
    server
}

/// redis-server answers some requests before it has all keys.
fn await_load(server: &Server) {
    wait_for("the keys", || (persistence(&mut server.client(), "loading") == "0").then_some(()));
}

fn digest(server: &Server) -> String {
    server.client().ask("DEBUG DIGEST")
}

fn persistence(client: &mut Client, field: &str) -> String {
    let info = client.ask("INFO persistence");
    let line = info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {field} in {info}")).to_owned()
}

/// Has the files rewritten, and waits until they are.
fn rewrite(client: &mut Client) {
    assert_eq!(client.ask("BGREWRITEAOF"), "+Background append only file rewriting started\r\n");
    await_rewrite(client);
}

fn await_rewrite(client: &mut Client) {
    wait_for("the rewrite", || {
        let is_over = persistence(client, "aof_rewrite_in_progress") == "0"
            && persistence(client, "aof_rewrite_scheduled") == "0";
        is_over.then_some(())
    });
    assert_eq!(persistence(client, "aof_last_bgrewrite_status"), "ok");
}

/// Writes of which each has to be told in a way of its own.
fn change(client: &mut Client) {
    assert_eq!(client.ask("SET gone 1 PX 1"), "+OK\r\n");
    sleep(Duration::from_millis(10));
    assert_eq!(client.ask("GET gone"), "$-1\r\n");
    for line in [
        "SET later 1 EX 100000",
        "EXPIRE list 100000",
        "GETEX short PX 90000000",
        "INCRBYFLOAT float 1.5",
        "HINCRBYFLOAT few field 0.1",
        "SPOP table 3",
        "SPOP numbers16",
        "RPOPLPUSH list list2",
        "LMPOP 1 list LEFT COUNT 3",
        "ZPOPMIN ranked 2",
        "GETDEL empty",
        "COPY fields fields2",
        "RENAME noise renamed",
        "APPEND long end",
        "SETBIT bits 77 1",
        "SORT numbers32 STORE sorted",
        "ZUNIONSTORE union 2 ranked extremes",
        "PFADD estimated e f",
        "PFCOUNT estimated",
        "PFADD another a f g",
        "PFMERGE merged estimated another",
        "PFDEBUG TODENSE merged",
        "PFCOUNT merged",
        "GEOADD places NX CH 2.349014 48.864716 Paris 13.361389 38.115556 Palermo",
        "GEOSEARCHSTORE near places FROMMEMBER Palermo BYRADIUS 200 km STOREDIST",
        "GEORADIUS places 15 37 200 km STORE found",
    ] {
        assert!(!client.ask(line).starts_with('-'), "{line}");
    }
    for line in ["MULTI", "INCR counter", "LPUSH pair a", "LPUSH pair b", "EXEC", "BLPOP pair 1"] {
        assert!(!client.ask(line).starts_with('-'), "{line}");
    }
}

/// Fills a server, before and after its base, and compares what two heirs make of its files.
fn exchange(from: &str, to: &str, base: &str) {
    let first = Server::start(from, &with(&["--aof-use-rdb-preamble", base, "--aof-timestamp-enabled", "yes"]));
    let mut client = first.client();
    fill(&mut client);
    rewrite(&mut client);
    change(&mut client);
    let ending = if base == "yes" { "base.rdb" } else { "base.aof" };
    assert!(manifest(&first).contains(ending), "{}", manifest(&first));
    let second = heir(to, &first);
    assert_eq!(digest(&second), digest(&first), "from {from} to {to}, preamble {base}");
    rewrite(&mut second.client());
    let third = heir(from, &second);
    assert_eq!(digest(&third), digest(&first), "and back");
}

#[test]
fn files_of_redis_server_are_read_here() {
    exchange(REDIS, NODE, "yes");
    exchange(REDIS, NODE, "no");
}

#[test]
fn files_written_here_are_read_there() {
    exchange(NODE, REDIS, "yes");
    exchange(NODE, REDIS, "no");
}

#[test]
fn values_of_foreign_kinds_are_handed_on() {
    let theirs = Server::start(REDIS, AOF);
    fill_further(&mut theirs.client());
    rewrite(&mut theirs.client());
    let ours = heir(NODE, &theirs);
    for base in ["yes", "no"] {
        let mut client = ours.client();
        assert_eq!(client.ask(&format!("CONFIG SET aof-use-rdb-preamble {base}")), "+OK\r\n");
        rewrite(&mut client);
        for program in [REDIS, NODE] {
            let again = heir(program, &ours);
            rewrite(&mut again.client());
            let last = heir(REDIS, &again);
            assert_eq!(digest(&last), digest(&theirs), "preamble {base}, by {program}");
            let list = |server: &Server| server.client().ask("FUNCTION LIST WITHCODE");
            assert_eq!(list(&last), list(&theirs));
        }
    }
}

#[test]
fn a_tail_cut_anywhere_is_dropped_as_redis_server_does() {
    const CUTS: usize = 200;
    let origin = Server::start(NODE, &with(&["--aof-timestamp-enabled", "yes"]));
    let mut client = origin.client();
    fill(&mut client);
    rewrite(&mut client);
    change(&mut client);
    let increment = "appendonly.aof.2.incr.aof";
    let whole = fs::read(files(&origin).join(increment)).unwrap();
    let (ours, mut theirs) = (heir(NODE, &origin), heir(REDIS, &origin));
    let mut client = ours.client();
    let loaded = |server: &Server| (digest(server), fs::metadata(files(server).join(increment)).unwrap().len());
    for end in whole.len() - CUTS..=whole.len() {
        fs::write(files(&ours).join(increment), &whole[..end]).unwrap();
        assert_eq!(client.ask("DEBUG LOADAOF"), "+OK\r\n", "cut at {end}: {}", ours.log());
        // For redis-server, a tail that was cut off makes DEBUG LOADAOF fatal.
        theirs.kill();
        fs::write(files(&theirs).join(increment), &whole[..end]).unwrap();
        theirs.restart(REDIS, AOF);
        await_load(&theirs);
        let ((found, length), (expected, their_length)) = (loaded(&ours), loaded(&theirs));
        assert_eq!(found, expected, "cut at {end} of {}", whole.len());
        // redis-server leaves the beginning of a transaction that it did not carry out.
        assert!(length <= their_length, "cut at {end} of {}: {length}, {their_length}", whole.len());
    }
}

/// Starts a program over a manifest and one file; says how it ends, if it does, and what it says.
fn verdict(program: &str, manifest: &str, file: &[u8], more: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("appendonlydir");
    fs::create_dir(&files).unwrap();
    fs::write(files.join("appendonly.aof.manifest"), manifest).unwrap();
    fs::write(files.join("a.aof"), file).unwrap();
    let (port, dir) = (free_port().to_string(), folder.path().to_str().unwrap());
    let args = [&["--port", &port, "--dir", dir, "--bind", "127.0.0.1", "--appendonly", "yes"], more].concat();
    let output = support::run(program, &args);
    assert_eq!(output.status.code(), Some(1), "{program}: {}", text(&output.stdout));
    assert_eq!(fs::read(files.join("a.aof")).unwrap(), file, "the file is left as it was");
    text(&output.stdout)
}

#[test]
fn damaged_files_are_refused_in_the_words_of_redis_server() {
    const ONE: &str = "file a.aof seq 1 type i\n";
    let set = request(&[b"SET", b"a", b"1"]);
    let cases: [(&str, Vec<u8>, &[&str], &str); 9] = [
        (
            ONE,
            [&set, b"garbage\r\n".as_slice(), &set].concat(),
            &[],
            "Bad file format reading the append only file a.aof",
        ),
        (ONE, b"*1\r\n+x\r\n".to_vec(), &[], "Bad file format reading the append only file a.aof"),
        (ONE, b"*0\r\n".to_vec(), &[], "Bad file format reading the append only file a.aof"),
        (ONE, request(&[b"NOSUCH", b"a"]), &[], "Unknown command 'NOSUCH' reading the append only file a.aof"),
        (
            ONE,
            set[..9].to_vec(),
            &["--aof-load-truncated", "no"],
            "Unexpected end of file reading the append only file a.aof",
        ),
        (
            "file b seq 1 type b\n",
            vec![],
            &[],
            "Unable to obtain the AOF file b length. stat: No such file or directory",
        ),
        ("file a.aof seq 1 kind i\n", vec![], &[], "Invalid AOF manifest file format"),
        ("file ../a.aof seq 1 type i\n", vec![], &[], "File can't be a path, just a filename"),
        ("", vec![], &[], "Found an empty AOF manifest"),
    ];
    for (manifest, file, more, expected) in cases {
        for program in [REDIS, NODE] {
            let said = verdict(program, manifest, &file, more);
            assert!(said.contains(expected), "{program} over {manifest:?}: {said}");
        }
    }
    let two = "file a.aof seq 1 type i\nfile a.aof seq 2 type i\n";
    assert!(verdict(NODE, two, &set[..9], &[]).contains("Fatal error: the truncated file is not the last file"));
    assert!(verdict(NODE, ONE, &request(&[b"SELECT", b"1"]), &[]).contains("A database that this node does not have"));
    assert!(
        verdict(NODE, ONE, b"REDIS0010\xfa\x01", &[])
            .contains("Error reading the RDB base file a.aof, AOF loading aborted: it ends too soon")
    );
}

#[test]
fn a_single_file_of_former_versions_is_taken_over() {
    let set = request(&[b"SET", b"b", b"2"]);
    let base = Server::start(REDIS, AOF);
    base.client().ask("SET a 1");
    rewrite(&mut base.client());
    let mixed = [fs::read(files(&base).join("appendonly.aof.2.base.rdb")).unwrap(), set.clone()].concat();
    for (file, keys) in [(set.as_slice(), ":1\r\n"), (&mixed, ":2\r\n")] {
        let mut manifests = Vec::new();
        for program in [REDIS, NODE] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("appendonly.aof"), file).unwrap();
            let server = Server::start_in(folder, program, free_port(), AOF);
            await_load(&server);
            assert_eq!(server.client().ask("DBSIZE"), keys, "{program}");
            assert!(!server.folder().join("appendonly.aof").exists());
            manifests.push(manifest(&server));
        }
        assert_eq!(manifests[0], manifests[1]);
    }
}

#[test]
fn the_files_come_and_go_while_the_node_runs() {
    let mut ours = Server::start(NODE, &["--enable-debug-command", "yes"]);
    let mut client = ours.client();
    assert_eq!(client.ask("SET before 1"), "+OK\r\n");
    rewrite(&mut client);
    assert_eq!(manifest(&ours), "file appendonly.aof.1.base.rdb seq 1 type b\n");
    assert_eq!(client.ask("CONFIG SET appendonly yes"), "+OK\r\n");
    client.ask("SET meanwhile 1");
    await_rewrite(&mut client);
    assert_eq!(persistence(&mut client, "aof_enabled"), "1");
    client.ask("SET after 1");
    let expected = "file appendonly.aof.2.base.rdb seq 2 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n";
    assert_eq!(manifest(&ours), expected);
    assert_eq!(digest(&heir(REDIS, &ours)), digest(&ours));
    assert_eq!(client.ask("CONFIG SET appendonly no"), "+OK\r\n");
    client.ask("SET unknown 1");
    assert_eq!(heir(NODE, &ours).client().ask("DBSIZE"), ":3\r\n");
    assert_eq!(client.ask("CONFIG SET appendonly yes"), "+OK\r\n");
    await_rewrite(&mut client);
    assert_eq!(digest(&heir(REDIS, &ours)), digest(&ours));
    wait_for("history to be removed", || (fs::read_dir(files(&ours)).unwrap().count() == 3).then_some(()));
    ours.kill();
    ours.restart(NODE, &["--enable-debug-command", "yes"]);
    let mut client = ours.client();
    client.ask("SET anew 1");
    assert_eq!(client.ask("CONFIG SET appendonly yes"), "+OK\r\n");
    await_rewrite(&mut client);
    assert!(manifest(&ours).starts_with("file appendonly.aof.4.base.rdb seq 4 type b\n"), "{}", manifest(&ours));
    assert_eq!(heir(REDIS, &ours).client().ask("DBSIZE"), ":1\r\n");
}

#[test]
fn a_base_that_cannot_be_made_is_told() {
    let ours = Server::start(NODE, &[]);
    let mut client = ours.client();
    fs::write(files(&ours), "in the way").unwrap();
    let refusal = client.ask("CONFIG SET appendonly yes");
    assert!(refusal.contains("Unable to turn on AOF. Check server logs."), "{refusal}");
    assert_eq!(persistence(&mut client, "aof_enabled"), "0");
    assert!(client.ask("CONFIG GET appendonly").contains("no"));
    assert!(client.ask("BGREWRITEAOF").starts_with("-ERR Can't execute an AOF background rewriting."));
    assert_eq!(persistence(&mut client, "aof_last_bgrewrite_status"), "err");
    fs::remove_file(files(&ours)).unwrap();
    assert_eq!(client.ask("CONFIG SET appendonly yes"), "+OK\r\n");
    await_rewrite(&mut client);
}

#[test]
fn saves_and_rewrites_wait_for_each_other() {
    let ours = Server::start(NODE, AOF);
    let mut client = ours.client();
    client.ask("DEBUG POPULATE 100000 key 100");
    client.send(b"BGREWRITEAOF\r\nBGREWRITEAOF\r\nBGSAVE\r\nBGSAVE SCHEDULE\r\n");
    let mut reply = || text(&client.reply().unwrap());
    assert_eq!(reply(), "+Background append only file rewriting started\r\n");
    assert_eq!(reply(), "-ERR Background append only file rewriting already in progress\r\n");
    assert!(reply().starts_with("-ERR Another child process is active (AOF?)"));
    assert_eq!(reply(), "+Background saving scheduled\r\n");
    wait_for("the snapshot", || {
        let is_over =
            ours.folder().join("dump.rdb").exists() && persistence(&mut client, "rdb_bgsave_in_progress") == "0";
        is_over.then_some(())
    });
    client.send(b"BGSAVE\r\nBGREWRITEAOF\r\n");
    let mut reply = || text(&client.reply().unwrap());
    assert_eq!(reply(), "+Background saving started\r\n");
    assert_eq!(reply(), "+Background append only file rewriting scheduled\r\n");
    await_rewrite(&mut client);
    assert_eq!(digest(&heir(NODE, &ours)), digest(&ours));
}

/// Clients that count, each its own keys, until they are told to end or the server does; each says up to
/// which number it was answered.
struct Counters {
    is_over: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<u64>>,
}

impl Counters {
    fn start(port: u16, count: usize) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let threads = (0..count).map(|number| {
            let is_over = Arc::clone(&is_over);
            thread::spawn(move || count_up(port, number, &is_over))
        });
        Self { threads: threads.collect(), is_over }
    }

    fn end(self) -> Vec<u64> {
        self.is_over.store(true, Ordering::Relaxed);
        self.threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    }
}

/// Each round counts up and leaves a key behind, within one transaction.
fn count_up(port: u16, number: usize, is_over: &AtomicBool) -> u64 {
    let mut client = Client::connect(port);
    let mut answered = 0;
    while !is_over.load(Ordering::Relaxed) {
        let round = format!(
            "MULTI\r\nINCR counter:{number}\r\nSET key:{number}:{} {}\r\nEXEC\r\n",
            answered + 1,
            "x".repeat(1 + answered as usize % 300)
        );
        if !client.try_send(round.as_bytes()) {
            break;
        }
        let replies: Vec<_> = (0..4).map_while(|_| client.reply()).collect();
        match replies.get(3) {
            Some(reply) if reply.starts_with(b"*2") => answered += 1,
            Some(_) | None => break,
        }
    }
    answered
}

/// Whether a server has what a counter was answered, and nothing by halves.
fn has_all(client: &mut Client, number: usize, answered: u64) {
    let reply = client.ask(&format!("GET counter:{number}"));
    let counted: u64 = reply.lines().nth(1).map_or(0, |count| count.parse().unwrap());
    assert!((answered..=answered + 1).contains(&counted), "answered {answered}, found {counted}");
    for (key, is_there) in [(answered, answered > 0), (counted, counted > 0), (counted + 1, false)] {
        let expected = if is_there { ":1\r\n" } else { ":0\r\n" };
        assert_eq!(client.ask(&format!("EXISTS key:{number}:{key}")), expected);
    }
}

/// How many times a server is killed: `SLOTBUS_KILLS`, or a few.
fn kills() -> usize {
    const FEW: usize = 5;
    std::env::var("SLOTBUS_KILLS").ok().and_then(|count| count.parse().ok()).unwrap_or(FEW)
}

#[test]
fn what_was_acknowledged_outlives_the_process() {
    const CLIENTS: usize = 4;
    let directives = with(&["--appendfsync", "always"]);
    let mut server = Server::start(NODE, &directives);
    let (mut total, mut within) = (0, 0);
    for round in 0..kills() {
        let mut client = server.client();
        assert_eq!(client.ask("FLUSHALL"), "+OK\r\n");
        let counters = Counters::start(server.port, CLIENTS);
        sleep(some_time(round, 300));
        assert!(client.ask("BGREWRITEAOF").starts_with("+Background append only file rewriting"));
        sleep(some_time(round, 100));
        server.kill();
        let answered = counters.end();
        within += usize::from(manifest(&server).matches("type i").count() > 1);
        server.restart(NODE, &directives);
        let mut client = server.client();
        answered.iter().enumerate().for_each(|(number, answered)| has_all(&mut client, number, *answered));
        total += answered.iter().sum::<u64>();
    }
    assert!(total > 0);
    println!("{} kills, {within} within a rewrite, {total} acknowledged transactions: none lost", kills());
    let expected = digest(&server);
    assert_eq!(digest(&heir(REDIS, &server)), expected);
}

/// Some time below a limit, another one each round.
fn some_time(round: usize, limit_ms: u64) -> Duration {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let dice = u64::from(now.subsec_micros()) + round as u64 * 7919;
    Duration::from_millis(dice % limit_ms)
}

#[test]
fn rewrites_under_load_lose_nothing() {
    const CLIENTS: usize = 4;
    for policy in ["everysec", "always", "no"] {
        let directives = with(&["--appendfsync", policy, "--auto-aof-rewrite-percentage", "0"]);
        let mut server = Server::start(NODE, &directives);
        let mut client = server.client();
        client.ask("DEBUG POPULATE 20000 ballast 100");
        let counters = Counters::start(server.port, CLIENTS);
        for base in ["yes", "no", "yes"] {
            assert_eq!(client.ask(&format!("CONFIG SET aof-use-rdb-preamble {base}")), "+OK\r\n");
            rewrite(&mut client);
            sleep(Duration::from_millis(50));
        }
        let answered = counters.end();
        let expected = digest(&server);
        server.kill();
        assert_eq!(digest(&heir(REDIS, &server)), expected, "{policy}");
        server.restart(NODE, &directives);
        assert_eq!(digest(&server), expected, "{policy}");
        let mut client = server.client();
        answered.iter().enumerate().for_each(|(number, answered)| has_all(&mut client, number, *answered));
    }
}

#[test]
fn a_rewrite_survives_the_loss_of_all_keys() {
    let ours = Server::start(NODE, AOF);
    let mut client = ours.client();
    client.ask("DEBUG POPULATE 200000 key 50");
    client.send(b"BGREWRITEAOF\r\nFLUSHALL\r\nSET last 1\r\n");
    (0..3).for_each(|_| assert!(client.reply().unwrap().starts_with(b"+")));
    await_rewrite(&mut client);
    for program in [NODE, REDIS] {
        assert_eq!(heir(program, &ours).client().ask("DBSIZE"), ":1\r\n");
    }
}

/// A program that starts the node so that a file may not grow beyond a limit, which is an error then
/// and no signal.
fn confined(folder: &Path) -> String {
    let path = folder.join("confined");
    fs::write(&path, format!("#!/bin/sh\ntrap '' XFSZ\nexec {NODE} \"$@\"\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

fn limit_files(server: &Server, bytes: &str) {
    let args = ["--pid", &server.pid().to_string(), &format!("--fsize={bytes}:")].map(ToOwned::to_owned);
    assert!(Command::new("prlimit").args(args).status().unwrap().success());
}

#[test]
fn a_full_disk_is_told_and_got_over() {
    let folder = tempfile::tempdir().unwrap();
    let program = confined(folder.path());
    let mut server = Server::start(&program, AOF);
    let mut client = server.client();
    assert_eq!(client.ask("SET a 1"), "+OK\r\n");
    limit_files(&server, "1000");
    let large = format!("SET b {}", "x".repeat(2000));
    assert_eq!(client.ask(&large), "+OK\r\n");
    let refusal = "-MISCONF Errors writing to the AOF file: File too large\r\n";
    wait_for("the refusal", || (client.ask("SET c 1") == refusal).then_some(()));
    assert_eq!(client.ask("PING"), refusal);
    assert_eq!(client.ask("GET a"), "$1\r\n1\r\n");
    assert_eq!(persistence(&mut client, "aof_last_write_status"), "err");
    let written = files(&server).join("appendonly.aof.1.incr.aof");
    assert!(!fs::read(&written).unwrap().ends_with(b"x"), "the half that was written is taken back");
    limit_files(&server, "unlimited");
    wait_for("the disk to be tried again", || (client.ask("SET c 1") == "+OK\r\n").then_some(()));
    assert!(server.log().contains("AOF write error looks solved"));
    let expected = digest(&server);
    server.kill();
    assert_eq!(digest(&heir(REDIS, &server)), expected);
}

#[test]
fn a_full_disk_ends_a_node_that_promised_to_write_always() {
    let folder = tempfile::tempdir().unwrap();
    let program = confined(folder.path());
    let mut server = Server::start(&program, &with(&["--appendfsync", "always"]));
    let mut client = server.client();
    assert_eq!(client.ask("SET a 1"), "+OK\r\n");
    limit_files(&server, "1000");
    client.send_request(&[b"SET", b"b", "x".repeat(2000).as_bytes()]);
    assert_eq!(client.reply(), None, "what is not on disk is not acknowledged");
    let status = wait_for("the process to end", || server.has_ended());
    assert_eq!(status, 1);
    assert!(server.log().contains("Can't recover from AOF write error when the AOF fsync policy is 'always'."));
    assert_eq!(heir(REDIS, &server).client().ask("DBSIZE"), ":1\r\n");
}

#[test]
fn the_end_of_the_process_flushes() {
    let mut server = Server::start(NODE, AOF);
    for ending in ["SHUTDOWN NOSAVE", "TERM"] {
        let mut client = server.client();
        client.send_request(&[b"INCR", b"a"]);
        client.reply().unwrap();
        if ending == "TERM" {
            server.signal(ending);
        } else {
            client.send(format!("{ending}\r\n").as_bytes());
        }
        assert_eq!(wait_for("the process to end", || server.has_ended()), 0);
        server.restart(NODE, AOF);
    }
    assert_eq!(server.client().ask("GET a"), "$1\r\n2\r\n");
}

#[test]
fn a_replica_keeps_files_of_its_own() {
    for primary in [NODE, REDIS] {
        let shard = Shard::start(&[primary, NODE]);
        let replica = &shard.servers[1];
        assert_eq!(replica.client().ask("CONFIG SET appendonly yes"), "+OK\r\n");
        let mut client = shard.servers[0].client();
        for line in ["SADD numbers16 1 2 3", "RPUSH list a b c", "SET earlier{a} 1"] {
            assert!(!client.ask(line).starts_with('-'), "{line}");
        }
        shard.replicate();
        for line in ["SET later{a} 1 EX 1000", "MULTI", "INCR {a}", "INCR {a}", "EXEC", "SPOP numbers16", "SET last 1"]
        {
            assert!(!client.ask(line).starts_with('-'), "{line}");
        }
        shard.compare(0);
        await_rewrite(&mut replica.client());
        let heir = heir(REDIS, replica);
        let keys = |server: &Server| server.client().ask("DBSIZE");
        assert_eq!(keys(&heir), keys(&shard.servers[0]));
        assert_eq!(heir.client().ask("GET {a}"), "$1\r\n2\r\n");
        assert_eq!(heir.client().ask("SCARD numbers16"), ":2\r\n");
        assert!(!heir.client().ask("TTL later{a}").starts_with(":-"));
    }
}

#[test]
fn a_member_of_a_cluster_claims_the_slots_of_its_keys() {
    let origin = Server::start(REDIS, AOF);
    for key in ["a", "b", "{c}1", "{c}2"] {
        origin.client().ask(&format!("SET {key} 1"));
    }
    let slots = [REDIS, NODE].map(|program| {
        let directives = with(&["--cluster-enabled", "yes"]);
        let server = Server::start_in(legacy(&origin), program, free_port(), &directives);
        await_load(&server);
        let nodes = server.client().ask("CLUSTER NODES");
        nodes.lines().nth(1).unwrap().split(' ').skip(8).map(ToOwned::to_owned).collect::<Vec<_>>()
    });
    assert_eq!(slots[0].len(), 3);
    assert_eq!(slots[0], slots[1]);
}
