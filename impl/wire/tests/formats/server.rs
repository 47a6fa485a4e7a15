//! Owns real redis-servers for the length of a test: a directory, two free ports, a process.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{self, Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    thread,
    time::{Duration, Instant},
};

/// How long anything may take before a test gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The distance between a node's client port and its bus port.
pub(crate) const BUS_OFFSET: u16 = 10000;

/// A client port that is free together with its bus port. Both stay below the range from which
/// the system takes ports for outgoing connections.
pub(crate) fn free_port() -> u16 {
    const FIRST: u16 = 11000;
    const COUNT: u16 = 11700;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let is_free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        // Processes that test at the same time start far from each other.
        let port = FIRST + (process::id().wrapping_mul(97) as u16).wrapping_add(step) % COUNT;
        if is_free(port) && is_free(port + BUS_OFFSET) {
            return port;
        }
    }
    panic!("no free pair of ports");
}

/// A directory that goes away with its owner.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new(port: u16) -> Self {
        let path = env::temp_dir().join(format!("slotbus-wire-{}-{port}", process::id()));
        fs::create_dir_all(&path).expect("a new directory");
        Self(path)
    }

    pub(crate) fn nodes_conf(&self) -> PathBuf {
        self.0.join("nodes.conf")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A running redis-server in cluster mode. It is killed when dropped.
pub(crate) struct Server {
    process: Child,
    pub(crate) port: u16,
}

impl Server {
    /// Starts a server in `directory` and waits until it answers.
    pub(crate) fn start(directory: &Directory, port: u16, options: &[&str]) -> Self {
        let mut server = Self::spawn(directory, port, options);
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            let ended = server.process.try_wait().expect("the state of a child");
            assert_eq!(ended, None, "redis-server ended: {}", server.log(directory));
            assert!(Instant::now() < deadline, "redis-server does not listen on port {port}");
            thread::sleep(Duration::from_millis(20));
        }
        server
    }

    fn spawn(directory: &Directory, port: u16, options: &[&str]) -> Self {
        let process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(["--cluster-enabled", "yes", "--logfile", "log", "--dir"])
            .arg(&directory.0)
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("this test needs redis-server (Debian package redis-server): {error}"));
        Self { process, port }
    }

    /// Starts a server that is expected to refuse what it finds in `directory`.
    pub(crate) fn refuse(directory: &Directory, port: u16) -> (ExitStatus, String) {
        let mut server = Self::spawn(directory, port, &[]);
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = server.process.try_wait().expect("the state of a child") {
                return (status, server.log(directory));
            }
            assert!(Instant::now() < deadline, "redis-server took the file");
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn log(&self, directory: &Directory) -> String {
        fs::read_to_string(directory.0.join("log")).unwrap_or_default()
    }

    /// Sends a command and returns its reply; an error reply fails the test.
    pub(crate) fn ask(&self, command: &str) -> String {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        (&stream).write_all(format!("{command}\r\n").as_bytes()).expect("sent");
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).expect("a reply");
        let line = line.trim_end();
        assert!(!line.starts_with('-'), "{command}: {line}");
        let Some(length) = line.strip_prefix('$') else { return line[1..].to_owned() };
        let mut bulk = vec![0; length.parse().expect("a length")];
        reader.read_exact(&mut bulk).expect("all of the reply");
        String::from_utf8(bulk).expect("text")
    }

    /// Asks until the reply is as it should be, and returns it.
    pub(crate) fn ask_until(&self, command: &str, is_right: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let reply = self.ask(command);
            if is_right(&reply) {
                return reply;
            }
            assert!(Instant::now() < deadline, "{command} still says: {reply}");
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Whether `path` has come to hold what `is_right` accepts.
pub(crate) fn read_until(path: &Path, is_right: impl Fn(&str) -> bool) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = fs::read_to_string(path).unwrap_or_default();
        if is_right(&text) {
            return text;
        }
        assert!(Instant::now() < deadline, "{} still says: {text}", path.display());
        thread::sleep(Duration::from_millis(50));
    }
}
