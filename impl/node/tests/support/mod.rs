//! Helpers of the tests: processes that end with their test, free ports, and a bare client.
//! Every wait is bounded.

#![allow(dead_code, reason = "each test binary uses a part of this")]
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up ends at once")]

pub(crate) mod keys;
pub(crate) mod likeness;
pub(crate) mod pair;
pub(crate) mod reply;
pub(crate) mod shards;
pub(crate) mod story;
pub(crate) mod tls;

use std::{
    fs::{self, File},
    io::{ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    thread::sleep,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// How long anything may take before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// Bus ports are 10000 above: both stay below the range from which the system hands out ports. Neither these nor those are
/// used by the tests of clusters, which run at the same time (conformance/src/cluster.rs).
const PORTS: std::ops::Range<u16> = 17_000..21_000;

/// The node under test.
pub(crate) const NODE: &str = env!("CARGO_BIN_EXE_slotbus-node");
/// The server that it is compared with.
pub(crate) const REDIS: &str = "redis-server";

/// The words of a request.
pub(crate) type Request = Vec<Vec<u8>>;

/// A port on which nobody listens, nor on the bus port that goes with it.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let span = PORTS.end - PORTS.start;
    // Test binaries run side by side: each begins elsewhere.
    let start = u16::try_from(std::process::id() % u32::from(span)).unwrap();
    for _ in 0..span {
        let offset = (u32::from(start) + u32::from(NEXT.fetch_add(1, Ordering::Relaxed)) * 7) % u32::from(span);
        let port = PORTS.start + u16::try_from(offset).unwrap();
        let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if is_free(port) && is_free(port + 10_000) {
            return port;
        }
    }
    panic!("no free port in {PORTS:?}");
}

/// Repeats until something comes out.
pub(crate) fn wait_for<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = attempt() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain for {what}");
        sleep(Duration::from_millis(20));
    }
}

/// A running server in a folder of its own; it ends with this value.
pub(crate) struct Server {
    child: Child,
    folder: TempDir,
    pub(crate) port: u16,
}

impl Server {
    /// Starts a program with these directives and waits until it answers. Other tests look for free
    /// ports at the same time: who loses the race tries another port.
    pub(crate) fn start(program: &str, directives: &[&str]) -> Self {
        const ATTEMPTS: usize = 5;
        let mut log = String::new();
        for _ in 0..ATTEMPTS {
            match Self::launch(tempfile::tempdir().unwrap(), program, free_port(), directives) {
                Ok(server) => return server,
                Err(server) if server.log().contains("Address already in use") => log = server.log(),
                Err(server) => panic!("{program} ended:\n{}", server.log()),
            }
        }
        panic!("{program} found no free port {ATTEMPTS} times:\n{log}");
    }

    /// Starts a program in a folder that may hold what another one left there.
    pub(crate) fn start_in(folder: TempDir, program: &str, port: u16, directives: &[&str]) -> Self {
        Self::launch(folder, program, port, directives)
            .unwrap_or_else(|server| panic!("{program} ended:\n{}", server.log()))
    }

    /// A process that answers; as an error one that has ended.
    fn launch(folder: TempDir, program: &str, port: u16, directives: &[&str]) -> Result<Self, Self> {
        let child = spawn(folder.path(), program, port, directives);
        let mut server = Self { child, folder, port };
        if server.answers() { Ok(server) } else { Err(server) }
    }

    /// Waits until the process answers; false if it ends instead.
    fn answers(&mut self) -> bool {
        let port = self.port;
        wait_for(&format!("an answer on port {port}"), || {
            if self.child.try_wait().unwrap().is_some() {
                return Some(false);
            }
            let mut client = TcpStream::connect(("127.0.0.1", port)).ok().map(Client::over)?;
            let reply = client.try_send(b"INFO server\r\n").then(|| client.reply()).flatten()?;
            // Whoever else may have got the port is another process.
            let is_it = text(&reply).contains(&format!("process_id:{}\r\n", self.child.id()));
            (is_it || reply.starts_with(b"-NOAUTH")).then_some(true)
        })
    }

    /// The process's id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How long all threads of the process have been running.
    pub(crate) fn processor_ns(&self) -> u64 {
        let threads = fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
        let of_thread = |thread: fs::DirEntry| {
            let stat = fs::read_to_string(thread.path().join("schedstat")).unwrap();
            stat.split(' ').next().unwrap().parse::<u64>().unwrap()
        };
        threads.map(|thread| of_thread(thread.unwrap())).sum()
    }

    /// Sends the process a signal.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    /// Ends the process with SIGKILL, if it has not ended.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts a process again in the place of one that has ended.
    pub(crate) fn restart(&mut self, program: &str, directives: &[&str]) {
        self.child = spawn(self.folder.path(), program, self.port, directives);
        assert!(self.answers(), "{program} ended:\n{}", self.log());
    }

    /// A member of a cluster.
    pub(crate) fn clustered(program: &str) -> Self {
        Self::start(program, &["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"])
    }

    /// A cluster of one, with every slot, that serves.
    pub(crate) fn alone(program: &str) -> Self {
        let server = Self::clustered(program);
        server.serve_slots("0 16383");
        server
    }

    /// A server outside of clusters.
    pub(crate) fn single(program: &str) -> Self {
        Self::start(program, &[])
    }

    /// A cluster of one, with every slot but the last two, that serves.
    pub(crate) fn almost_whole(program: &str) -> Self {
        let server = Self::start(program, &["--cluster-enabled", "yes", "--cluster-require-full-coverage", "no"]);
        server.serve_slots("0 16381");
        server
    }

    /// Gives it slots and waits until it serves.
    fn serve_slots(&self, range: &str) {
        let mut client = self.client();
        assert_eq!(client.ask(&format!("CLUSTER ADDSLOTSRANGE {range}")), "+OK\r\n");
        wait_for("the cluster to be up", || client.ask("CLUSTER INFO").contains("cluster_state:ok").then_some(()));
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.port)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn nodes_file(&self) -> PathBuf {
        self.folder().join("nodes.conf")
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder().join("log")).unwrap_or_default()
    }

    /// Sends SIGTERM, and says how the process ended and what it leaves.
    pub(crate) fn terminate(mut self) -> (Option<i32>, String) {
        self.signal("TERM");
        let status = wait_for("the process to end", || self.child.try_wait().unwrap());
        (status.code(), self.log())
    }

    pub(crate) fn has_ended(&mut self) -> Option<i32> {
        self.child.try_wait().unwrap().and_then(|status| status.code())
    }
}

fn spawn(folder: &Path, program: &str, port: u16, directives: &[&str]) -> Child {
    let log = File::create(folder.join("log")).unwrap();
    Command::new(program)
        .args(["--port", &port.to_string(), "--dir", folder.to_str().unwrap(), "--save", ""])
        .args(["--bind", "127.0.0.1"])
        .args(directives)
        .stdin(Stdio::null())
        .stderr(log.try_clone().unwrap())
        .stdout(log)
        .spawn()
        .unwrap_or_else(|error| panic!("{program} cannot be started ({error}): these tests need it installed"))
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a program that is expected to end by itself.
pub(crate) fn run(program: &str, args: &[&str]) -> Output {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program} cannot be started ({error}): these tests need it installed"));
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("{program} {args:?} does not end");
        }
        sleep(Duration::from_millis(10));
    }
    child.wait_with_output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A client that sends bytes and shows bytes.
pub(crate) struct Client {
    stream: TcpStream,
    pending: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(port: u16) -> Self {
        Self::over(TcpStream::connect(("127.0.0.1", port)).unwrap())
    }

    pub(crate) fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { stream, pending: Vec::new() }
    }

    /// Another handle to write to the same connection.
    pub(crate) fn writer(&self) -> TcpStream {
        self.stream.try_clone().unwrap()
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends what the peer may refuse to read.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    pub(crate) fn send_request(&mut self, args: &[&[u8]]) {
        self.send(&request(args));
    }

    /// Sends the words of a line as one request and shows the reply's bytes.
    pub(crate) fn ask(&mut self, line: &str) -> String {
        let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        self.send_request(&args);
        text(&self.reply().unwrap_or_else(|| panic!("the connection ended instead of an answer to {line:?}")))
    }

    /// The bytes of the next reply; none if the connection ends first.
    pub(crate) fn reply(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(length) = reply_length(&self.pending) {
                return Some(self.pending.drain(..length).collect());
            }
            if !self.read_more() {
                return None;
            }
        }
    }

    /// All bytes until the connection ends.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.read_more() {}
        std::mem::take(&mut self.pending)
    }

    fn read_more(&mut self) -> bool {
        let mut chunk = [0; 16 * 1024];
        match self.stream.read(&mut chunk) {
            Ok(0) => false,
            Ok(count) => {
                self.pending.extend_from_slice(&chunk[..count]);
                true
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => true,
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => false,
            Err(error) => panic!("no answer, after {:?}: {error}", text(&self.pending)),
        }
    }
}

pub(crate) fn request(args: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        bytes.extend(format!("${}\r\n", arg.len()).bytes());
        bytes.extend(*arg);
        bytes.extend(b"\r\n");
    }
    bytes
}

/// How many bytes the first reply takes, if all of it is there.
pub(crate) fn reply_length(bytes: &[u8]) -> Option<usize> {
    let line_end = bytes.windows(2).position(|pair| pair == b"\r\n")? + 2;
    let number = || -> i64 { text(&bytes[1..line_end - 2]).parse().unwrap() };
    match bytes[0] {
        b'$' | b'=' => match usize::try_from(number()) {
            Ok(length) => (bytes.len() >= line_end + length + 2).then_some(line_end + length + 2),
            Err(_) => Some(line_end),
        },
        kind @ (b'*' | b'~' | b'%' | b'>') => {
            let items = number().max(0) * if kind == b'%' { 2 } else { 1 };
            (0..items).try_fold(line_end, |at, _| Some(at + reply_length(&bytes[at..])?))
        }
        _ => Some(line_end),
    }
}
