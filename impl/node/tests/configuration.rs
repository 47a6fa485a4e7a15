//! The command line and the configuration file, held to redis-server's: what is refused is refused
//! in the same words, and what is taken shows the same values.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up ends at once")]

mod support;

use std::{fs, io::Write, os::unix::fs::PermissionsExt};
use support::{NODE, REDIS, Server, free_port, run, text};

/// The report on standard error or output, from its title on.
fn report(program: &str, args: &[&str]) -> String {
    let output = run(program, args);
    assert_eq!(output.status.code(), Some(1), "{program} {args:?}");
    let all = text(&output.stderr) + &text(&output.stdout);
    let start = all.find("*** FATAL CONFIG FILE ERROR").or_else(|| all.find("Fatal error, can't open config file"));
    let start = start.unwrap_or_else(|| panic!("{program} {args:?} reports nothing:\n{all}"));
    all[start..].lines().filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

#[test]
fn wrong_arguments_are_refused_in_the_same_words() {
    for line in [
        "--foo bar",
        "--port",
        "--port abc",
        "--port 70000",
        "--port -1",
        "--port 1 2",
        "--port 7000 --bogus",
        "--cluster-enabled maybe",
        "--cluster-node-timeout x",
        "--cluster-node-timeout -1",
        "--cluster-announce-hostname a_b",
        "--cluster-announce-port 65536",
        "--cluster-preferred-endpoint-type foo",
        "--loglevel foo",
        "--maxclients 0",
        "--maxmemory 1x",
        "--maxmemory-policy none",
        "--maxmemory-clients x",
        "--proto-max-bulk-len 5",
        "--save 1",
        "--save 1 2 3",
        "--save a b",
        "--save 0 1",
        "--appendonly x",
        "--appendfsync x",
        "--unixsocketperm 9",
        "--unixsocketperm 1777",
        "--client-output-buffer-limit normal 1 2",
        "--client-output-buffer-limit foo 1 2 3",
        "--client-output-buffer-limit normal x 2 3",
        "--latency-tracking-info-percentiles x",
        "--latency-tracking-info-percentiles 101",
        "--oom-score-adj-values 1 2",
        "--oom-score-adj-values 1 2 3000",
        "--notify-keyspace-events 1",
        "--rename-command a",
        "--user",
        "--include",
        "--replicaof a b",
        "--replicaof 127.0.0.1 1 --cluster-enabled yes",
        "--supervised foo",
        "--dir /does/not/exist",
        "--io-threads 0",
        "--hz x",
        "--list-max-ziplist-entries 1 2",
        "--logfile /does/not/exist",
        "--cluster-slave-no-failover x",
        "--cluster-link-sendbuf-limit -1",
        "/does/not/exist.conf",
        "--include /does/not/exist.conf",
        "--dbfilename a/b",
        "--appenddirname a/b",
        "--appendfilename a/b",
        "--shutdown-on-sigterm x",
    ] {
        let args: Vec<&str> = line.split(' ').collect();
        assert_eq!(report(NODE, &args), report(REDIS, &args), "{line}");
    }
}

#[test]
fn wrong_lines_are_refused_with_their_number() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("redis.conf");
    for content in [
        "# a comment\n\nport 7000\nfoo bar\n",
        "port 'abc\n",
        "port \"7000\"x\n",
        "  port \t x\n",
        "PORT x\n",
        "port 1\nport 2\nport x\n",
        "foo",
        "sentinel x\n",
        "\"\" x\n",
        "port \"\"\n",
        "save \"\"\nsave x\n",
    ] {
        fs::write(&file, content).unwrap();
        let args = [file.to_str().unwrap()];
        assert_eq!(report(NODE, &args), report(REDIS, &args), "{content:?}");
    }
}

#[test]
fn a_file_is_read_as_redis_server_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let (file, other) = (folder.path().join("redis.conf"), folder.path().join("other.conf"));
    fs::write(&other, "maxclients 77\nsyslog-ident \"a b\\x41\\\"\"\n").unwrap();
    let content = format!(
        "# comment\nMAXCLIENTS 5\nsave 60 1\nsave 300 10\ntimeout 1\ntimeout 2\nmaxmemory 1gb\n\
         repl-backlog-size 1k\nclient-output-buffer-limit replica 1mb 2kb 3\nmasteruser ''\nunixsocketperm 755\n\
         slave-priority 7\ncluster-announce-hostname some.host-name\ninclude {}\n",
        other.display()
    );
    fs::write(&file, content).unwrap();
    let values = |program: &str| {
        let port = free_port();
        let args = [file.to_str().unwrap(), "--port", &port.to_string(), "--tcp-backlog", "100"];
        let folder = tempfile::tempdir().unwrap();
        // The file goes first on the command line, before the directives that every test sets.
        let mut child = std::process::Command::new(program)
            .args(args)
            .args(["--dir", folder.path().to_str().unwrap(), "--bind", "127.0.0.1"])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        support::wait_for("an answer", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
        let mut client = support::Client::connect(port);
        let names = "maxclients syslog-ident save timeout maxmemory repl-backlog-size client-output-buffer-limit \
                     masteruser unixsocketperm slave-priority replica-priority tcp-backlog cluster-announce-hostname";
        let reply = client.ask(&format!("CONFIG GET {}", names.split_whitespace().collect::<Vec<_>>().join(" ")));
        child.kill().unwrap();
        child.wait().unwrap();
        let words: Vec<String> =
            reply.lines().skip(1).filter(|line| !line.starts_with('$')).map(String::from).collect();
        let mut pairs: Vec<(String, String)> = words.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
        pairs.sort();
        pairs
    };
    let ours = values(NODE);
    assert_eq!(ours.len(), 13);
    assert_eq!(ours, values(REDIS));
}

#[test]
fn every_directive_of_redis_server_is_known_here_with_its_default() {
    let read = |program: &str| {
        let server = Server::start(program, &[]);
        let reply = server.client().ask("CONFIG GET *");
        let words: Vec<String> =
            reply.split("\r\n").skip(1).filter(|line| !line.starts_with('$')).map(String::from).collect();
        words
            .chunks_exact(2)
            .map(|pair| (pair[0].clone(), pair[1].clone()))
            .collect::<std::collections::BTreeMap<_, _>>()
    };
    let (ours, theirs) = (read(NODE), read(REDIS));
    assert!(theirs.len() > 150, "the control: redis-server shows its directives");
    for (name, default) in &theirs {
        let own = ours.get(name);
        assert!(own.is_some(), "{name} is not known");
        if !["port", "dir", "bind", "maxclients"].contains(&name.as_str()) {
            assert_eq!(own, Some(default), "{name}");
        }
    }
    let extra: Vec<&String> = ours.keys().filter(|name| !theirs.contains_key(*name)).collect();
    assert_eq!(extra, ["protocol-profile", "trace-file", "trace-format"]);
}

#[test]
fn what_has_no_effect_is_accepted_with_a_warning() {
    let server = Server::start(NODE, &["--hz", "20", "--appendonly", "no", "--rename-command", "FLUSHALL", ""]);
    let log = server.log();
    assert!(log.contains("WARNING: the directive 'hz' is accepted but has no effect"), "{log}");
    assert!(log.contains("'rename-command'"), "{log}");
    assert!(!log.contains("'appendonly'") && !log.contains("'save'"), "what is so anyway needs no warning: {log}");
}

#[test]
fn the_configuration_is_read_from_standard_input_too() {
    let mut child = std::process::Command::new(NODE)
        .arg("-")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"nonsense 1\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains(">>> 'nonsense 1'"), "{}", text(&output.stderr));
}

#[test]
fn directives_survive_a_rewrite() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("redis.conf");
    fs::write(&file, "# mine\ntimeout 1\n").unwrap();
    let port = free_port();
    let spawn = || {
        let child = std::process::Command::new(NODE)
            .args([file.to_str().unwrap(), "--port", &port.to_string(), "--bind", "127.0.0.1"])
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        support::wait_for("an answer", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
        child
    };
    let mut child = spawn();
    let mut client = support::Client::connect(port);
    assert_eq!(client.ask("CONFIG SET timeout 7 cluster-node-timeout 1234"), "+OK\r\n");
    assert_eq!(client.ask("CONFIG REWRITE"), "+OK\r\n");
    child.kill().unwrap();
    child.wait().unwrap();
    let written = fs::read_to_string(&file).unwrap();
    assert!(written.starts_with("# mine\ntimeout 7\n"), "{written}");
    let mut child = spawn();
    let mut client = support::Client::connect(port);
    assert_eq!(client.ask("CONFIG GET cluster-node-timeout").lines().nth(4), Some("1234"));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_taken_port_and_a_port_without_bus_port_end_the_node() {
    let server = Server::start(REDIS, &[]);
    let port = server.port.to_string();
    let output = run(NODE, &["--port", &port, "--bind", "127.0.0.1"]);
    assert_eq!(output.status.code(), Some(1));
    let log = text(&output.stdout);
    assert!(log.contains(&format!("Could not create server TCP listening socket 127.0.0.1:{port}")), "{log}");
    assert!(log.contains(&format!("Failed listening on port {port} (TCP), aborting.")), "{log}");

    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_str().unwrap();
    let output = run(NODE, &["--port", "65000", "--bind", "127.0.0.1", "--cluster-enabled", "yes", "--dir", dir]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("Redis port number too high"), "{}", text(&output.stdout));

    let own = free_port().to_string();
    let args =
        ["--port", &own, "--cluster-port", &port, "--bind", "127.0.0.1", "--cluster-enabled", "yes", "--dir", dir];
    let output = run(NODE, &args);
    assert_eq!(output.status.code(), Some(1));
    let expected = format!("Failed listening on port {port} (cluster), aborting.");
    assert!(text(&output.stdout).contains(&expected), "{}", text(&output.stdout));
}

#[test]
fn a_nodes_file_that_cannot_be_used_ends_the_node() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nodes.conf");
    let start = |file: &str| {
        let dir = folder.path().to_str().unwrap();
        let port = free_port().to_string();
        let clustered = ["--cluster-enabled", "yes", "--cluster-config-file", file, "--dir", dir];
        let output = run(NODE, &[&["--port", &port, "--bind", "127.0.0.1"][..], &clustered].concat());
        assert_eq!(output.status.code(), Some(1));
        text(&output.stdout)
    };
    fs::write(&file, "this is no nodes file\n").unwrap();
    let log = start("nodes.conf");
    assert!(log.contains("Unrecoverable error: corrupted cluster config file"), "{log}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "this is no nodes file\n", "it is left as it was");

    let log = start("missing/nodes.conf");
    assert!(log.contains("in order to acquire a lock: No such file or directory"), "{log}");

    let directory = folder.path().join("directory");
    fs::create_dir(&directory).unwrap();
    let log = start("directory");
    assert!(log.contains("in order to acquire a lock: Is a directory"), "{log}");
}

#[test]
fn one_nodes_file_serves_one_process_whoever_came_first() {
    for (first, second) in [(NODE, NODE), (NODE, REDIS), (REDIS, NODE)] {
        let server = Server::clustered(first);
        // The node has saved its file several times by now, each time under a new inode.
        for epoch in 1..4 {
            server.client().ask(&format!("CLUSTER ADDSLOTS {epoch}"));
        }
        let dir = server.folder().to_str().unwrap();
        let port = free_port().to_string();
        let args = ["--port", &port, "--bind", "127.0.0.1", "--cluster-enabled", "yes", "--dir", dir];
        let output = run(second, &args);
        let log = text(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{second} after {first}");
        assert!(
            log.contains("Sorry, the cluster configuration file nodes.conf is already used")
                || log.contains("Sorry, the cluster configuration file"),
            "{log}"
        );
        assert_eq!(server.client().ask("PING"), "+PONG\r\n");
    }
}

#[test]
fn a_save_that_fails_ends_the_node_before_it_answers() {
    let mut server = Server::clustered(NODE);
    let mut client = server.client();
    assert_eq!(client.ask("CLUSTER ADDSLOTS 1"), "+OK\r\n");
    // A name that is taken by a directory cannot be given to another file, not even by root.
    fs::remove_file(server.nodes_file()).unwrap();
    fs::create_dir(server.nodes_file()).unwrap();
    client.send_request(&[b"CLUSTER", b"ADDSLOTS", b"2"]);
    assert_eq!(client.reply(), None, "no answer gets out");
    let code = support::wait_for("the node to end", || server.has_ended());
    assert_eq!(code, 1);
    assert!(server.log().contains("Fatal: can't update cluster config file"), "{}", server.log());
}

#[test]
fn a_file_of_redis_server_is_taken_over_and_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("kept");
    let mut id = String::new();
    for program in [REDIS, NODE, REDIS, NODE] {
        let place = tempfile::tempdir().unwrap();
        if kept.exists() {
            fs::copy(&kept, place.path().join("nodes.conf")).unwrap();
        }
        let server = Server::start_in(place, program, free_port(), &["--cluster-enabled", "yes"]);
        let mut client = server.client();
        let found = client.ask("CLUSTER MYID");
        if id.is_empty() {
            assert_eq!(client.ask("CLUSTER ADDSLOTSRANGE 0 100"), "+OK\r\n");
            assert_eq!(client.ask("CLUSTER BUMPEPOCH"), "+BUMPED 1\r\n");
            id = found;
        } else {
            assert_eq!(found, id, "{program}");
            let nodes = client.ask("CLUSTER NODES");
            assert!(nodes.contains(" 1 connected 0-100"), "{program}: {nodes}");
        }
        assert_eq!(client.ask("CLUSTER SAVECONFIG"), "+OK\r\n");
        fs::copy(server.nodes_file(), &kept).unwrap();
        fs::set_permissions(&kept, fs::Permissions::from_mode(0o644)).unwrap();
    }
}

#[test]
fn the_node_ends_cleanly_when_told_to() {
    let (code, log) = Server::clustered(NODE).terminate();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("Received SIGTERM scheduling shutdown..."), "{log}");
    assert!(log.contains("bye bye..."), "{log}");
    for request in ["SHUTDOWN", "SHUTDOWN NOSAVE", "SHUTDOWN SAVE NOW FORCE"] {
        let mut server = Server::clustered(NODE);
        let mut client = server.client();
        client.send(format!("{request}\r\n").as_bytes());
        assert_eq!(client.rest(), b"", "{request}");
        assert_eq!(support::wait_for("the node to end", || server.has_ended()), 0, "{request}");
    }
}

#[test]
fn the_supervisor_is_told_when_the_node_is_ready() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&place).unwrap();
    socket.set_read_timeout(Some(support::PATIENCE)).unwrap();
    let mut child = std::process::Command::new(NODE)
        .args(["--port", &free_port().to_string(), "--bind", "127.0.0.1", "--supervised", "systemd"])
        .env("NOTIFY_SOCKET", &place)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut word = [0; 64];
    let length = socket.recv(&mut word).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(&word[..length], b"READY=1\n");
}

#[test]
fn log_lines_have_the_form_that_tools_parse() {
    let server = Server::clustered(NODE);
    let line = support::wait_for("the log", || {
        server.log().lines().find(|line| line.contains("Ready to accept connections")).map(String::from)
    });
    let words: Vec<&str> = line.split(' ').collect();
    let (process, level) = (words[0], words[5]);
    assert!(process.split_once(':').is_some_and(|(pid, role)| pid.parse::<u32>().is_ok() && role == "M"), "{line}");
    assert_eq!((words[1].len(), words[2].len(), words[3].len(), words[4].len(), level), (2, 3, 4, 12, "*"), "{line}");
}

#[test]
fn the_offline_helpers_answer_without_a_node() {
    let output = run(NODE, &["slot-of", "foo", "{foo}bar"]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), "12182 foo\n12182 {foo}bar\n".into()));
    let output = run(NODE, &["tag-for", "0", "16383"]);
    assert_eq!(output.status.code(), Some(0));
    let tags = text(&output.stdout);
    let tag = tags.lines().next().and_then(|line| line.split_once(' ')).map(|(_, tag)| format!("{{{tag}}}x")).unwrap();
    let slot = text(&run(NODE, &["slot-of", &tag]).stdout);
    assert!(slot.starts_with("0 "), "{slot}");
    for args in [&["tag-for", "16384"][..], &["tag-for"], &["slot-of"], &["tag-for", "x"]] {
        let output = run(NODE, args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{args:?}");
    }
    for args in [["--help"], ["--version"]] {
        assert_eq!(run(NODE, &args).status.code(), Some(0));
    }
}

/// What a server answers while its port and addresses change, with names instead of port numbers.
fn moves(program: &str) -> Vec<String> {
    let server = Server::start(program, &[]);
    let (first, second) = (server.port.to_string(), free_port().to_string());
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = busy.local_addr().unwrap().port().to_string();
    let mut client = server.client();
    let mut said = Vec::new();
    for (directive, value) in [
        ("port", taken.as_str()),
        ("port", &second),
        ("port", "0"),
        ("port", "65536"),
        ("port", &first),
        ("bind", "192.0.2.1"),
        ("bind", "127.0.0.1 127.0.0.2"),
        ("tls-port", &second),
    ] {
        client.send_request(&[b"CONFIG", b"SET", directive.as_bytes(), value.as_bytes()]);
        let reply = text(&client.reply().unwrap());
        let held = ["port", "bind", "tls-port"].map(|name| client.ask(&format!("CONFIG GET {name}")));
        let answers = [("127.0.0.1", &first), ("127.0.0.1", &second), ("127.0.0.2", &first)].map(|(host, port)| {
            let address = (host, port.parse().unwrap());
            std::net::TcpStream::connect(address)
                .is_ok_and(|stream| support::Client::over(stream).ask("PING") == "+PONG\r\n")
        });
        said.push(format!("{directive} {value}: {reply} {held:?} {answers:?}"));
    }
    let named = said.into_iter().map(|line| {
        [(&first, "FIRST"), (&second, "SECOND"), (&taken, "TAKEN")]
            .iter()
            .fold(line, |line, (port, name)| line.replace(port.as_str(), name))
    });
    named.collect()
}

#[test]
fn the_port_and_the_addresses_change_while_the_node_runs() {
    let ours = moves(NODE);
    assert_eq!(ours, moves(REDIS));
    assert!(ours[1].contains("+OK") && ours[1].ends_with("[false, true, false]"), "{}", ours[1]);
    assert!(ours[6].contains("+OK") && ours[6].ends_with("[true, false, true]"), "{}", ours[6]);
}
