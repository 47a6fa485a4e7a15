//! TLS as redis-server 7.0 offers it: clients, the bus, replication and migrations; who is let in and
//! who is not; certificates that change under way.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up ends at once")]

mod support;

use std::{
    fs,
    io::{self, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};
use support::{
    NODE, PATIENCE, REDIS, free_port, request, run,
    shards::{id, info},
    text,
    tls::{Authority, Secured, TlsClient, socket},
    wait_for,
};

/// What two programs say, without the ids that differ from run to run.
fn without_ids(reply: &str, ids: &[String]) -> String {
    ids.iter().zip(["first", "second"]).fold(reply.to_owned(), |reply, (id, name)| reply.replace(id, name))
}

/// A cluster of two over TLS.
fn pair(programs: [&str; 2], authority: &Authority, more: &[&str]) -> [Secured; 2] {
    let pair = programs.map(|program| Secured::clustered(program, authority, more));
    for (member, slots) in pair.iter().zip(["0 8000", "8001 16383"]) {
        let mut client = member.client(authority);
        assert_eq!(client.ask(&format!("CLUSTER ADDSLOTSRANGE {slots}")), "+OK\r\n");
    }
    assert_eq!(pair[0].client(authority).ask("CLUSTER SET-CONFIG-EPOCH 1"), "+OK\r\n");
    assert_eq!(pair[1].client(authority).ask("CLUSTER SET-CONFIG-EPOCH 2"), "+OK\r\n");
    let meet = format!("CLUSTER MEET 127.0.0.1 {}", pair[1].tls_port);
    assert_eq!(pair[0].client(authority).ask(&meet), "+OK\r\n");
    for member in &pair {
        wait_for("the cluster to be up", || {
            member.server.client().ask("CLUSTER INFO").contains("cluster_state:ok").then_some(())
        });
        // The plain port of another comes with its headers, not with what is gossiped of its address.
        wait_for("both to know all ports", || {
            let shown = member.server.client().ask("CLUSTER SLOTS");
            pair.iter().all(|other| shown.contains(&format!(":{}\r\n", other.server.port))).then_some(())
        });
    }
    pair
}

#[test]
fn clients_are_shown_the_ports_that_they_can_use() {
    let authority = Authority::new();
    let (certificate, key) = (authority.file("client.crt"), authority.file("client.key"));
    for (programs, more) in [
        ([NODE, REDIS], &[][..]),
        ([REDIS, NODE], &["--tls-client-cert-file", &certificate, "--tls-client-key-file", &key]),
        ([NODE, NODE], &["--tls-protocols", "TLSv1.2"]),
    ] {
        let pair = pair(programs, &authority, more);
        let ids = [id(&pair[0].server), id(&pair[1].server)];
        for command in ["CLUSTER SLOTS", "GET a", "GET b"] {
            let plain = pair.each_ref().map(|member| member.server.client().ask(command));
            let secured = pair.each_ref().map(|member| member.client(&authority).ask(command));
            for (replies, ports) in
                [(&plain, pair.each_ref().map(|m| m.server.port)), (&secured, pair.each_ref().map(|m| m.tls_port))]
            {
                match command {
                    "CLUSTER SLOTS" => {
                        assert_eq!(replies[0], replies[1], "{programs:?}");
                        assert!(ports.iter().all(|port| replies[0].contains(&format!(":{port}\r\n"))), "{replies:?}");
                    }
                    _ => {
                        let moved = replies.iter().find(|reply| reply.starts_with("-MOVED")).unwrap();
                        let to = ports.iter().filter(|port| moved.ends_with(&format!(" 127.0.0.1:{port}\r\n")));
                        assert_eq!(to.count(), 1, "{moved} of {ports:?}");
                    }
                }
            }
        }
        for (number, member) in pair.iter().enumerate() {
            let shards = member.server.client().ask("CLUSTER SHARDS");
            for other in &pair {
                let ports =
                    format!("$4\r\nport\r\n:{}\r\n$8\r\ntls-port\r\n:{}\r\n", other.server.port, other.tls_port);
                assert!(shards.contains(&ports), "{} shows {shards}", programs[number]);
            }
            let nodes = without_ids(&member.client(&authority).ask("CLUSTER NODES"), &ids);
            let address = |other: &Secured| format!(" 127.0.0.1:{}@{} ", other.tls_port, other.tls_port + 10_000);
            assert!(pair.iter().all(|other| nodes.contains(&address(other))), "{nodes}");
            assert_eq!(info(&member.server, "tcp_port"), member.server.port.to_string());
            let file = fs::read_to_string(member.server.nodes_file()).unwrap();
            assert!(pair.iter().all(|other| file.contains(&address(other))), "{file}");
        }
    }
}

#[test]
fn announced_ports_are_those_of_redis_server() {
    let authority = Authority::new();
    for announced in [
        &["--cluster-announce-tls-port", "77"][..],
        &["--cluster-announce-port", "78"],
        &["--cluster-announce-port", "78", "--cluster-announce-tls-port", "77"],
        &["--cluster-announce-port", "78", "--cluster-announce-tls-port", "77", "--cluster-announce-bus-port", "79"],
        &["--tls-cluster", "no", "--cluster-announce-port", "78", "--cluster-announce-tls-port", "77"],
        &["--tls-cluster", "no", "--cluster-announce-tls-port", "77"],
        &["--cluster-port", "20100"],
    ] {
        let [ours, theirs] = [NODE, REDIS].map(|program| {
            let member = Secured::clustered(program, &authority, announced);
            member.server.client().ask("CLUSTER ADDSLOTS 0");
            ["CLUSTER NODES", "CLUSTER SLOTS", "CLUSTER SHARDS", "INFO server"].map(|command| {
                let plain = member.server.client().ask(command);
                let secured = member.client(&authority).ask(command);
                [plain, secured].map(|reply| {
                    let reply = without_ids(&reply, &[id(&member.server)]);
                    let (plain, secured) = (member.server.port, member.tls_port);
                    let reply =
                        [(plain + 10_000, "PLAIN-BUS"), (secured + 10_000, "BUS"), (plain, "PLAIN"), (secured, "TLS")]
                            .into_iter()
                            .fold(reply, |reply, (port, name)| reply.replace(&port.to_string(), name));
                    let lines = reply.lines().filter(|line| command != "INFO server" || line.starts_with("tcp_port"));
                    lines.filter(|line| !line.starts_with('$')).collect::<Vec<_>>().join("\n")
                })
            })
        });
        assert_eq!(ours, theirs, "{announced:?}");
    }
}

/// `redis-cli` with a certificate of the authority.
fn cli(authority: &Authority, args: &[&str]) -> String {
    let options = authority.cli_options();
    let args: Vec<&str> = options.iter().map(String::as_str).chain(args.iter().copied()).collect();
    let output = run("redis-cli", &args);
    assert!(output.status.success(), "{args:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout).trim().to_owned()
}

/// Waits until `redis-cli` finds nothing to complain about.
fn wait_for_agreement(authority: &Authority, address: &str) {
    wait_for("all nodes to agree", || {
        let options = authority.cli_options();
        let mut args: Vec<&str> = options.iter().map(String::as_str).collect();
        args.extend(["--cluster", "check", address]);
        run("redis-cli", &args).status.success().then_some(())
    });
}

#[test]
fn a_mixed_cluster_shares_its_work_in_tls_alone() {
    let authority = Authority::new();
    let programs = [NODE, REDIS, NODE, REDIS, NODE, REDIS];
    let mut members = programs.map(|program| {
        Secured::clustered(program, &authority, &["--cluster-replica-validity-factor", "0", "--save", ""])
    });
    let addresses = members.each_ref().map(|member| format!("127.0.0.1:{}", member.tls_port));
    let mut create = vec!["--cluster", "create"];
    create.extend(addresses.iter().map(String::as_str));
    create.extend(["--cluster-replicas", "1", "--cluster-yes"]);
    cli(&authority, &create);
    let is_up = |member: &Secured| member.server.client().ask("CLUSTER INFO").contains("cluster_state:ok");
    wait_for("the cluster to be up", || members.iter().all(is_up).then_some(()));
    let port = members[0].tls_port.to_string();
    let value = "v".repeat(50_000);
    for number in 0..60 {
        let key = format!("key:{number}");
        assert_eq!(cli(&authority, &["-c", "-p", &port, "set", &key, if number < 3 { &value } else { "v" }]), "OK");
    }
    wait_for_agreement(&authority, &addresses[0]);
    let is_replica = |member: &Secured| info(&member.server, "role") == "slave";
    for member in members.iter().filter(|member| is_replica(member)) {
        wait_for("the link to the primary", || (info(&member.server, "master_link_status") == "up").then_some(()));
    }
    // Keys move in both directions between programs.
    let primaries: Vec<&Secured> = members.iter().filter(|member| !is_replica(member)).collect();
    for (from, to) in [(0, 1), (1, 0)] {
        let (from, to) = (id(&primaries[from].server), id(&primaries[to].server));
        wait_for_agreement(&authority, &addresses[0]);
        cli(
            &authority,
            &[
                "--cluster",
                "reshard",
                &addresses[0],
                "--cluster-from",
                &from,
                "--cluster-to",
                &to,
                "--cluster-slots",
                "500",
                "--cluster-yes",
            ],
        );
    }
    let held: u64 =
        primaries.iter().map(|member| member.server.client().ask("DBSIZE")[1..].trim().parse::<u64>().unwrap()).sum();
    assert_eq!(held, 60);
    // A primary dies, and its replica, another program, takes its place with all keys.
    let victim = members.iter().position(|member| !is_replica(member)).unwrap();
    let victim_id = id(&members[victim].server);
    members[victim].server.kill();
    let others: Vec<&Secured> = members.iter().enumerate().filter(|(at, _)| *at != victim).map(|(_, m)| m).collect();
    wait_for("a new primary", || {
        let nodes = others[0].server.client().ask("CLUSTER NODES");
        let is_empty =
            |line: &str| line.starts_with(&victim_id) && line.contains("fail") && line.ends_with("connected");
        (nodes.lines().any(is_empty) && others.iter().all(|member| is_up(member))).then_some(())
    });
    let port = others[0].tls_port.to_string();
    for number in 0..60 {
        let expected = if number < 3 { value.as_str() } else { "v" };
        assert_eq!(cli(&authority, &["-c", "-p", &port, "get", &format!("key:{number}")]), expected);
    }
}

#[test]
fn who_is_not_of_the_authority_is_turned_away() {
    let (authority, other) = (Authority::new(), Authority::new());
    let node = Secured::start(NODE, &authority, &[]);
    let foreign = fs::read_to_string(other.path("client.crt")).unwrap();
    fs::write(authority.path("foreign.crt"), foreign).unwrap();
    fs::copy(other.path("client.key"), authority.path("foreign.key")).unwrap();
    for (name, why) in [
        (None, "peer sent no certificates"),
        (Some("expired"), "certificate expired"),
        (Some("foreign"), "UnknownIssuer"),
    ] {
        let mut client = TlsClient::connect(node.tls_port, &authority, name);
        assert!(client.try_ask("PING").is_err(), "{name:?} got in");
        wait_for(why, || node.server.log().contains(why).then_some(()));
    }
    // Speaking another way than the port does.
    let mut plain = TcpStream::connect(("127.0.0.1", node.tls_port)).unwrap();
    plain.set_read_timeout(Some(PATIENCE)).unwrap();
    plain.write_all(b"PING\r\nPING\r\n").unwrap();
    let mut rest = Vec::new();
    let _ = plain.read_to_end(&mut rest);
    assert!(!text(&rest).contains("PONG"));
    wait_for("its line in the log", || node.server.log().contains("InvalidContentType").then_some(()));
    assert!(TlsClient::connect(node.server.port, &authority, Some("client")).try_ask("PING").is_err());
    assert_eq!(node.client(&authority).ask("PING"), "+PONG\r\n");
    for (asks, name, is_let_in) in
        [("no", None, true), ("optional", None, true), ("optional", Some("foreign"), false), ("yes", None, false)]
    {
        assert_eq!(node.server.client().ask(&format!("CONFIG SET tls-auth-clients {asks}")), "+OK\r\n");
        let answer = TlsClient::connect(node.tls_port, &authority, name).try_ask("PING");
        assert_eq!(answer.is_ok(), is_let_in, "{asks} and {name:?}: {answer:?}");
    }
}

#[test]
fn a_node_of_another_authority_does_not_get_on_the_bus() {
    let (authority, other) = (Authority::new(), Authority::new());
    let node = Secured::clustered(NODE, &authority, &["--tls-auth-clients", "no"]);
    let log = ["--loglevel", "verbose"];
    for program in [NODE, REDIS] {
        let stranger = Secured::clustered(program, &other, &log);
        for (from, to) in [(&node, &stranger), (&stranger, &node)] {
            let meet = format!("CLUSTER MEET 127.0.0.1 {}", to.tls_port);
            assert_eq!(from.server.client().ask(&meet), "+OK\r\n");
        }
        wait_for("the handshakes to be given up", || {
            let is_alone =
                |member: &Secured| member.server.client().ask("CLUSTER INFO").contains("cluster_known_nodes:1\r\n");
            (is_alone(&node) && is_alone(&stranger)).then_some(())
        });
    }
    // A client without a certificate is welcome at the client port, and not on the bus.
    assert_eq!(TlsClient::connect(node.tls_port, &authority, None).ask("PING"), "+PONG\r\n");
    let mut on_bus = TlsClient::connect(node.tls_port + 10_000, &authority, None);
    assert!(on_bus.send(b"RCmb").and_then(|()| on_bus.reply()).is_err());
}

#[test]
fn the_port_for_tls_changes_while_the_node_runs() {
    let authority = Authority::new();
    for program in [NODE, REDIS] {
        let node = Secured::start(program, &authority, &[]);
        let (first, second) = (node.tls_port, free_port());
        for (from, to) in [(first, second), (second, 0), (0, first)] {
            assert_eq!(node.server.client().ask(&format!("CONFIG SET tls-port {to}")), "+OK\r\n", "{program}");
            assert!(from == 0 || TcpStream::connect(("127.0.0.1", from)).is_err(), "{program} still listens");
            if to != 0 {
                assert_eq!(TlsClient::connect(to, &authority, Some("client")).ask("PING"), "+PONG\r\n", "{program}");
            }
        }
    }
}

/// Carries one byte at a time.
struct Trickle(TcpStream);

impl Read for Trickle {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Trickle {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(&bytes[..bytes.len().min(1)])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[test]
fn records_come_in_any_pieces_and_in_any_size() {
    let authority = Authority::new();
    let node = Secured::start(NODE, &authority, &[]);
    let mut slow = TlsClient::over(Trickle(socket(node.tls_port)), &authority, Some("client"));
    assert_eq!(slow.ask("SET a 1"), "+OK\r\n");
    let mut client = node.client(&authority);
    let value = vec![b'v'; 20 << 20];
    client.send(&request(&[b"SET", b"big", &value])).unwrap();
    assert_eq!(client.reply().unwrap(), b"+OK\r\n");
    // More than any buffer holds, asked for before any of it is read.
    for _ in 0..4 {
        client.send(&request(&[b"GET", b"big"])).unwrap();
    }
    assert_eq!(slow.ask("GET a"), "$1\r\n1\r\n", "others are served meanwhile");
    for _ in 0..4 {
        let reply = client.reply().unwrap();
        assert!(reply.starts_with(b"$20971520\r\n") && reply[11..].starts_with(&value));
    }
    for number in 0..10_000 {
        client.send(&request(&[b"ECHO", number.to_string().as_bytes()])).unwrap();
    }
    for number in 0..10_000 {
        let number = number.to_string();
        assert_eq!(text(&client.reply().unwrap()), format!("${}\r\n{number}\r\n", number.len()));
    }
}

#[test]
fn handshakes_that_never_end_are_ended() {
    let authority = Authority::new();
    let node = Secured::clustered(NODE, &authority, &["--maxclients", "40"]);
    let start = Instant::now();
    let beginnings: [&[u8]; 4] =
        [b"", b"\x16", b"\x16\x03\x01\x40\x00\x01\x00\x3f\xfc", b"\x16\x03\x01\x00\x05\x01\x00"];
    let ports = [node.tls_port, node.tls_port + 10_000];
    let mut silent: Vec<TcpStream> = Vec::new();
    for port in ports {
        for beginning in beginnings {
            let mut stream = socket(port);
            stream.write_all(beginning).unwrap();
            silent.push(stream);
        }
    }
    assert_eq!(node.client(&authority).ask("PING"), "+PONG\r\n");
    for mut stream in silent {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        let elapsed = start.elapsed();
        assert!(elapsed > Duration::from_secs(9) && elapsed < PATIENCE, "ended after {elapsed:?}");
    }
    assert!(node.server.log().contains("the TLS handshake takes too long"));
    // No more of them than there may be clients.
    let crowd: Vec<TcpStream> = (0..60).map(|_| socket(node.tls_port)).collect();
    let mut client = node.server.client();
    client.send(b"PING\r\n");
    assert!(text(&client.rest()).contains("max number of clients"));
    drop(crowd);
    wait_for("room for others", || node.client(&authority).try_ask("PING").ok());
}

#[test]
fn noise_does_not_end_the_node() {
    let authority = Authority::new();
    let node = Secured::clustered(NODE, &authority, &[]);
    for port in [node.tls_port, node.tls_port + 10_000] {
        for beginning in
            [&b"\x16\x03\x01"[..], b"\x17\x03\x03\xff\xff", b"\x15\x03\x03\x00\x02\x02\x28", b"\x80\x2e\x01", b""]
        {
            for length in [0, 1, 5, 300, 70_000] {
                let mut stream = socket(port);
                let noise = beginning
                    .iter()
                    .copied()
                    .chain((0..length).map(|at: u32| (at.wrapping_mul(2_654_435_761) >> 24) as u8));
                let _ = stream.write_all(&noise.collect::<Vec<u8>>());
                let _ = stream.shutdown(std::net::Shutdown::Write);
                let _ = stream.read_to_end(&mut Vec::new());
            }
        }
    }
    assert_eq!(node.client(&authority).ask("PING"), "+PONG\r\n");
}

#[test]
fn certificates_are_exchanged_under_way() {
    let authority = Authority::new();
    let node = Secured::start(NODE, &authority, &[]);
    let mut first = node.client(&authority);
    assert_eq!(first.ask("PING"), "+PONG\r\n");
    authority.sign("node", 2090);
    let mut plain = node.server.client();
    let set = |file: &str| format!("CONFIG SET tls-cert-file {}", authority.file(file));
    assert_eq!(plain.ask(&set("node.crt")), "+OK\r\n");
    let mut second = node.client(&authority);
    assert_eq!(second.ask("PING"), "+PONG\r\n");
    assert_ne!(first.shown(), second.shown());
    for (command, why) in [
        (set("none.crt"), "Failed to load certificate: "),
        (set("client.crt"), "Failed to configure TLS: "),
        ("CONFIG SET tls-protocols TLSv9".into(), "Invalid tls-protocols specified."),
        ("CONFIG SET tls-protocols TLSv1.1".into(), "None of tls-protocols 'TLSv1.1' is spoken here"),
        ("CONFIG SET tls-ca-cert-file ".into(), "Either tls-ca-cert-file or tls-ca-cert-dir must be specified"),
    ] {
        let refusal = plain.ask(&command);
        assert!(refusal.contains("Unable to update TLS configuration. Check server logs."), "{refusal}");
        assert!(node.server.log().contains(why), "{why}");
    }
    let mut third = node.client(&authority);
    assert_eq!((third.ask("PING").as_str(), first.ask("PING").as_str()), ("+PONG\r\n", "+PONG\r\n"));
    assert_eq!(second.shown(), third.shown());
    assert_eq!(plain.ask("CONFIG SET tls-protocols TLSv1.2 tls-session-caching no"), "+OK\r\n");
    assert_eq!(node.client(&authority).ask("PING"), "+PONG\r\n");
    // The authorities of a folder do as well.
    let folder = tempfile::tempdir().unwrap();
    fs::copy(authority.path("ca.crt"), folder.path().join("any.pem")).unwrap();
    fs::write(folder.path().join("README"), "no certificate").unwrap();
    let set = format!("CONFIG SET tls-ca-cert-dir {}", folder.path().display());
    assert_eq!(plain.ask(&set), "+OK\r\n");
    assert_eq!(plain.ask("CONFIG SET tls-ca-cert-file "), "+OK\r\n");
    assert_eq!(node.client(&authority).ask("PING"), "+PONG\r\n");
}

#[test]
fn what_cannot_be_used_is_refused_at_the_start() {
    let authority = Authority::new();
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    fs::write(authority.path("encrypted.key"), encrypted).unwrap();
    let file = |name: &str| authority.file(name);
    let (node, key, ca) = (file("node.crt"), file("node.key"), file("ca.crt"));
    let port = free_port().to_string();
    for (directives, why) in [
        (vec![], "No tls-cert-file configured!"),
        (vec![("cert", node.clone())], "No tls-key-file configured!"),
        (vec![("cert", node.clone()), ("key", key.clone())], "Either tls-ca-cert-file or tls-ca-cert-dir must be"),
        (vec![("cert", key.clone()), ("key", key.clone())], "no certificate in it"),
        (vec![("cert", node.clone()), ("key", node.clone())], "no private key in it"),
        (vec![("cert", node.clone()), ("key", file("encrypted.key"))], "the key is encrypted"),
        (vec![("cert", node), ("key", file("client.key")), ("ca-cert", ca)], "KeyMismatch"),
    ] {
        let mut args = vec!["--port".to_owned(), "0".into(), "--tls-port".into(), port.clone()];
        args.extend(directives.into_iter().flat_map(|(name, file)| [format!("--tls-{name}-file"), file]));
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let output = run(NODE, &args);
        let shown = text(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{shown}");
        assert!(shown.contains(why) && text(&output.stderr).contains("Failed to configure TLS."), "{why}: {shown}");
    }
}

#[test]
fn a_node_may_do_without_a_plain_port() {
    let authority = Authority::new();
    let tls_port = free_port();
    let folder = tempfile::tempdir().unwrap();
    let port = tls_port.to_string();
    let mut args =
        vec!["--port".to_owned(), "0".into(), "--tls-port".into(), port, "--tls-cluster".into(), "yes".into()];
    args.extend(["--cluster-enabled".to_owned(), "yes".into(), "--dir".into(), folder.path().display().to_string()]);
    args.extend(authority.directives());
    let child = std::process::Command::new(NODE).args(&args).stdout(std::process::Stdio::null()).spawn().unwrap();
    let node = Ended(child);
    let mut client = wait_for("an answer", || {
        let socket = TcpStream::connect(("127.0.0.1", tls_port)).ok()?;
        Some(TlsClient::over(socket, &authority, Some("client")))
    });
    assert!(client.ask("INFO server").contains(&format!("tcp_port:{tls_port}\r\n")));
    assert!(client.ask("CLUSTER NODES").contains(&format!(":{tls_port}@{} ", tls_port + 10_000)));
    drop(node);
}

/// A process that ends with this value.
struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
