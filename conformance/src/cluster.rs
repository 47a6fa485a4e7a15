//! Real server processes on loopback: started, asked, killed and started again. Owns the processes
//! that it starts and ends no other. Knows the client port only, nothing of the bus.

use crate::verify::verify_file;
use redis::{Connection, FromRedisValue, Value};
use serde::{
    Deserialize,
    de::{IntoDeserializer, value::StringDeserializer},
};
use slotbus_core::{CLUSTER_SLOTS, Slot, SlotSet};
use slotbus_wire::words;
use std::{
    ffi::OsStr,
    fs,
    io::{Read, Seek},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

/// Client ports, and those 10000 above, are taken from here to below that: all stay below the range from which the system hands
/// out ports, and none is one of the node's own tests, which run at the same time (impl/node/tests/support/mod.rs).
const PORT_MIN: u16 = 11_000;
const PORT_MAX: u16 = 17_000;
const BUS_PORT_OFFSET: u16 = 10_000;
/// One command on loopback, even on a busy machine, takes less.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(5);
const START_TIMEOUT: Duration = Duration::from_secs(15);
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(3);
/// The longest work of redis-cli, which is to create a cluster or to move many keys.
const REDIS_CLI_TIMEOUT: Duration = Duration::from_secs(120);

/// What to run as a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// This project's node.
    Slotbus(PathBuf),
    /// The real thing.
    Redis(PathBuf),
    /// Any program that takes redis-server's command line.
    Template(Template),
    /// A server that runs already, and is ours to change. It cannot be started or ended.
    Running {
        /// Its client port, on loopback.
        port: u16,
        /// Its bus port.
        cport: u16,
    },
}

/// The command line of a program, with places that each start fills in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    program: PathBuf,
    words: Vec<String>,
}

impl Template {
    /// Reads a line such as `redis-server --port {port} --dir {dir}`; `{trace}` stands for a file that the
    /// program is to record its protocol trace in.
    pub fn parse(line: &str) -> Result<Self, String> {
        let words = words::split(line.as_bytes()).map_err(|error| format!("'{line}': {error}"))?;
        let mut words = words.into_iter().map(|word| String::from_utf8_lossy(&word).into_owned());
        let program = words.next().ok_or("there is no program to spawn")?;
        let template = Self { program: PathBuf::from(program), words: words.collect() };
        for place in ["{port}", "{dir}"] {
            if !template.has(place) {
                return Err(format!("'{line}' has no place for {place}"));
            }
        }
        Ok(template)
    }

    fn has(&self, place: &str) -> bool {
        self.words.iter().any(|word| word.contains(place))
    }

    fn fill<'a>(&'a self, port: u16, folder: &Path, trace: &Path) -> impl Iterator<Item = String> + 'a {
        let [folder, trace] = [folder, trace].map(|path| path.display().to_string());
        let fill = move |word: &String| word.replace("{port}", &port.to_string()).replace("{dir}", &folder);
        self.words.iter().map(move |word| fill(word).replace("{trace}", &trace))
    }
}

impl Program {
    /// A short name for reports.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Slotbus(_) => "slotbus-node",
            Self::Redis(_) => "redis-server",
            Self::Template(template) => template.program.file_name().and_then(OsStr::to_str).unwrap_or("the program"),
            Self::Running { .. } => "the server",
        }
    }

    fn path(&self) -> Result<&Path, String> {
        match self {
            Self::Slotbus(path) | Self::Redis(path) => Ok(path),
            Self::Template(template) => Ok(&template.program),
            Self::Running { port, .. } => Err(format!("the server at port {port} is not ours to start")),
        }
    }

    /// The words that say where a server listens, where its files are, and where its trace goes.
    fn places(&self, port: u16, folder: &Path, trace: &Path) -> Vec<String> {
        let own = |line: &[&str]| {
            let template = Template { program: PathBuf::new(), words: line.iter().map(|&word| word.into()).collect() };
            template.fill(port, folder, trace).collect()
        };
        match self {
            Self::Slotbus(_) => {
                own(&["--port", "{port}", "--dir", "{dir}", "--trace-file", "{trace}", "--trace-format", "binary"])
            }
            Self::Redis(_) => own(&["--port", "{port}", "--dir", "{dir}"]),
            Self::Template(template) => template.fill(port, folder, trace).collect(),
            Self::Running { .. } => Vec::new(),
        }
    }

    /// Whether its servers record traces.
    #[must_use]
    pub fn is_traced(&self) -> bool {
        match self {
            Self::Slotbus(_) => true,
            Self::Redis(_) | Self::Running { .. } => false,
            Self::Template(template) => template.has("{trace}"),
        }
    }
}

/// The slotbus binary called `name` that lies beside the running one.
pub fn sibling(name: &str) -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|error| format!("cannot find the running program: {error}"))?;
    let folders = own.ancestors().skip(1).take(2);
    let found = folders.map(|folder| folder.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| format!("{name} does not lie beside {}: build it with cargo build --release", own.display()))
}

/// The program called `name` on the path.
#[must_use]
pub fn installed(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// What a program that ran to its end has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Its exit code; none if it was killed.
    pub code: Option<i32>,
    /// What it printed.
    pub output: String,
}

impl Finished {
    /// What it printed, if it found all well.
    pub fn success(self) -> Result<String, String> {
        if self.code == Some(0) { Ok(self.output) } else { Err(self.output) }
    }
}

/// Runs a program to its end; kills it if that does not come within `timeout`. What it prints goes to files:
/// whom it may have started and left behind keeps nobody waiting.
pub fn run(mut command: Command, timeout: Duration) -> Result<Finished, String> {
    let described = |what: &str, error: std::io::Error| format!("{what} {command:?}: {error}");
    let file = || tempfile::tempfile().and_then(|file| Ok((file.try_clone()?, file)));
    let (output, mut printed) = file().map_err(|error| described("no file for the output of", error))?;
    let (errors, mut complained) = file().map_err(|error| described("no file for the errors of", error))?;
    let started = command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn();
    let mut child = started.map_err(|error| format!("cannot run {command:?}: {error}"))?;
    let ended = wait_until(timeout, || !matches!(child.try_wait(), Ok(None)));
    if ended.is_err() {
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| format!("{command:?} cannot be waited for: {error}"))?;
    let output = [&mut printed, &mut complained].map(text_of).concat();
    ended.map_err(|why| format!("{command:?} does not end ({why}): {output}"))?;
    Ok(Finished { code: status.code(), output })
}

fn text_of(file: &mut fs::File) -> String {
    let mut bytes = Vec::new();
    let read = file.rewind().and_then(|()| file.read_to_end(&mut bytes));
    read.map_or_else(|error| error.to_string(), |_| String::from_utf8_lossy(&bytes).into_owned())
}

/// Runs redis-cli with these words to its end: what it printed, which is the error if it was not content.
pub fn redis_cli(words: &[&str]) -> Result<String, String> {
    let mut command = Command::new("redis-cli");
    command.args(words);
    run(command, REDIS_CLI_TIMEOUT)?.success()
}

/// A client port that is free together with its bus port.
pub fn free_port() -> Result<u16, String> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let span = PORT_MAX - PORT_MIN;
    let start = u16::try_from(std::process::id() % u32::from(span)).unwrap_or_default();
    for _ in 0..span {
        let offset = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = PORT_MIN + (u32::from(start) + u32::from(offset)).rem_euclid(u32::from(span)) as u16;
        let is_free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        if is_free(port) && is_free(port + BUS_PORT_OFFSET) {
            return Ok(port);
        }
    }
    Err("there is no free port".to_owned())
}

/// One running server process; killed when dropped.
#[derive(Debug)]
pub struct Server {
    program: Program,
    port: u16,
    folder: PathBuf,
    directives: Vec<String>,
    starts: u32,
    child: Option<Child>,
}

impl Server {
    /// Starts a server in cluster mode in its own folder below `folder`, and waits until it answers.
    pub fn start(program: &Program, folder: &Path, node_timeout_ms: u64, extra: &[&str]) -> Result<Self, String> {
        let mut server = Self::prepare(program, folder, node_timeout_ms, extra)?;
        server.restart()?;
        Ok(server)
    }

    /// The same with a nodes.conf that is there already.
    pub fn start_from(
        program: &Program,
        folder: &Path,
        node_timeout_ms: u64,
        nodes_conf: &[u8],
    ) -> Result<Self, String> {
        let mut server = Self::prepare(program, folder, node_timeout_ms, &[])?;
        fs::write(server.folder.join("nodes.conf"), nodes_conf).map_err(|error| error.to_string())?;
        server.restart()?;
        Ok(server)
    }

    /// A server in its own folder below `folder` that is not started yet: see [`Server::restart`].
    pub fn prepare(program: &Program, folder: &Path, node_timeout_ms: u64, extra: &[&str]) -> Result<Self, String> {
        let port = if let Program::Running { port, .. } = program { *port } else { free_port()? };
        let folder = folder.join(port.to_string());
        fs::create_dir_all(&folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
        let timeout = node_timeout_ms.to_string();
        let base = ["--cluster-enabled", "yes", "--cluster-node-timeout", &timeout, "--save", "", "--appendonly", "no"];
        let directives = base.iter().chain(extra).map(|&word| word.to_owned()).collect();
        Ok(Self { program: program.clone(), port, folder, directives, starts: 0, child: None })
    }

    /// Starts the process, again after [`Server::kill`], in the same folder.
    pub fn restart(&mut self) -> Result<(), String> {
        self.kill();
        self.starts += 1;
        let log = fs::File::create(self.log_file()).map_err(|error| format!("cannot make a log file: {error}"))?;
        let mut command = Command::new(self.program.path()?);
        command.args(self.program.places(self.port, &self.folder, &self.trace_file(self.starts)));
        command.args(["--bind", "127.0.0.1"]).args(&self.directives);
        let errors = log.try_clone().map_err(|error| error.to_string())?;
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        let program = command.get_program().to_owned();
        let child = command.spawn().map_err(|error| format!("cannot run {}: {error}", program.display()))?;
        self.child = Some(child);
        let answered = wait_until(START_TIMEOUT, || self.text(&["PING"]).is_ok_and(|reply| reply == "PONG"));
        answered
            .map(|_| ())
            .map_err(|_| format!("{} does not answer on port {}: {}", self.program.name(), self.port, self.log()))
    }

    /// Whether the process has ended by itself, or does so within `timeout`.
    pub fn has_ended(&mut self, timeout: Duration) -> bool {
        let Some(child) = &mut self.child else { return false };
        wait_until(timeout, || !matches!(child.try_wait(), Ok(None))).is_ok()
    }

    /// Ends the process with SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Has the process shut down in order, so that its trace is complete; kills it if it does not.
    pub fn shut_down(&mut self) {
        if let Program::Running { .. } = self.program {
            return;
        }
        // The answer to a shutdown is the end of the connection.
        let _ = self.text(&["SHUTDOWN", "NOSAVE", "NOW"]);
        if let Some(child) = &mut self.child {
            let _ = wait_until(SHUTDOWN_TIMEOUT, || !matches!(child.try_wait(), Ok(None)));
        }
        self.kill();
    }

    /// Has it shut down, and holds the traces of all its starts to the model; says how many steps they have.
    pub fn shut_down_verified(&mut self) -> Result<u64, String> {
        self.shut_down();
        let mut steps = 0;
        for trace in self.trace_files() {
            let verified = verify_file(&trace, None).map_err(|error| format!("{}: {error}", trace.display()))?;
            match verified.difference {
                None => steps += verified.steps,
                Some(difference) => return Err(format!("{}: {difference:?}", trace.display())),
            }
        }
        Ok(steps)
    }

    /// What it runs.
    #[must_use]
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Its client port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its bus port.
    #[must_use]
    pub fn cport(&self) -> u16 {
        if let Program::Running { cport, .. } = self.program { cport } else { self.port + BUS_PORT_OFFSET }
    }

    /// What it is told beside its port and folder.
    #[must_use]
    pub fn directives(&self) -> &[String] {
        &self.directives
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// All that the process printed since it was last started.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// The traces of all starts, of a program that records them.
    #[must_use]
    pub fn trace_files(&self) -> Vec<PathBuf> {
        let starts = if self.program.is_traced() { self.starts } else { 0 };
        (1..=starts).map(|start| self.trace_file(start)).collect()
    }

    /// The running process.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join(format!("log.{}", self.starts))
    }

    fn trace_file(&self, start: u32) -> PathBuf {
        self.folder.join(format!("protocol.{start}.trace"))
    }

    fn connect(&self) -> Result<Connection, String> {
        connect(self.port, COMMAND_TIMEOUT)
    }

    /// Sends one command on a new connection.
    pub fn call<T: FromRedisValue>(&self, words: &[&str]) -> Result<T, String> {
        let mut command = redis::Cmd::new();
        words.iter().for_each(|word| {
            command.arg(*word);
        });
        let reply: Value = command.query(&mut self.connect()?).map_err(|error| format!("{words:?}: {error}"))?;
        T::from_redis_value(reply).map_err(|error| format!("{words:?}: {error}"))
    }

    /// Sends one command whose reply is text.
    pub fn text(&self, words: &[&str]) -> Result<String, String> {
        self.call(words)
    }

    /// The lines of CLUSTER NODES.
    pub fn nodes(&self) -> Result<Vec<NodeLine>, String> {
        self.text(&["CLUSTER", "NODES"]).map(|text| text.lines().map(NodeLine::parse).collect())
    }

    /// Whether it is a primary, by what it says of itself.
    #[must_use]
    pub fn is_primary(&self) -> bool {
        self.nodes().is_ok_and(|lines| lines.iter().any(|line| line.is("myself") && line.is("master")))
    }

    /// Whether its keys are up to date: as a primary's are, and those of a replica that follows its own.
    #[must_use]
    pub fn is_linked(&self) -> bool {
        let is_up = |info: String| info.contains("role:master") || info.contains("master_link_status:up");
        self.text(&["INFO", "replication"]).is_ok_and(is_up)
    }

    /// Its name in the cluster.
    pub fn id(&self) -> Result<String, String> {
        self.text(&["CLUSTER", "MYID"])
    }

    /// Where clients find it.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// One field of CLUSTER INFO.
    pub fn cluster_info(&self, field: &str) -> Result<String, String> {
        let text = self.text(&["CLUSTER", "INFO"])?;
        let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        value.map(|value| value.trim().to_owned()).ok_or_else(|| format!("CLUSTER INFO has no field {field}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A connection to a client port of loopback, on which no command takes longer than `timeout`.
pub fn connect(port: u16, timeout: Duration) -> Result<Connection, String> {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).map_err(|error| error.to_string())?;
    let connection = client.get_connection_with_timeout(timeout).map_err(|error| error.to_string())?;
    connection.set_read_timeout(Some(timeout)).map_err(|error| error.to_string())?;
    connection.set_write_timeout(Some(timeout)).map_err(|error| error.to_string())?;
    Ok(connection)
}

/// One line of CLUSTER NODES.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeLine {
    /// The node's id.
    pub id: String,
    /// Address and ports.
    pub address: String,
    /// Flags as shown.
    pub flags: Vec<String>,
    /// The id of the primary that it replicates, or `-`.
    pub primary: String,
    /// Config epoch as shown.
    pub epoch: String,
    /// Whether the link is shown as connected.
    pub connected: bool,
    /// Slots as shown.
    pub slots: Vec<String>,
}

impl NodeLine {
    /// Reads a line; what is missing in it is empty.
    #[must_use]
    pub fn parse(line: &str) -> Self {
        let mut words = line.split(' ').map(str::to_owned);
        let mut next = || words.next().unwrap_or_default();
        let (id, address, flags) = (next(), next(), next());
        let (primary, _ping, _pong, epoch, link) = (next(), next(), next(), next(), next());
        let flags = flags.split(',').map(str::to_owned).collect();
        Self { id, address, flags, primary, epoch, connected: link == "connected", slots: words.collect() }
    }

    /// The slots shown, without those on the move; none if a word is no slot.
    #[must_use]
    pub fn slot_set(&self) -> Option<SlotSet<CLUSTER_SLOTS>> {
        let owned: Vec<_> = self.slots.iter().map(String::as_str).filter(|word| !word.starts_with('[')).collect();
        let text: StringDeserializer<serde::de::value::Error> = owned.join(" ").into_deserializer();
        SlotSet::deserialize(text).ok()
    }

    /// The slots shown as importing or migrating.
    pub fn open_slots(&self) -> impl Iterator<Item = Slot> {
        let words = self.slots.iter().filter_map(|word| word.strip_prefix('['));
        words.filter_map(|word| word.split_once('-')?.0.parse().ok()).map(Slot)
    }

    /// The slots shown as migrating that the node does not have.
    #[must_use]
    pub fn stale_marks(&self) -> Vec<Slot> {
        let own = self.slot_set().unwrap_or_default();
        let words = self.slots.iter().filter_map(|word| word.strip_prefix('[')?.split_once("->-")?.0.parse().ok());
        words.map(Slot).filter(|slot| !own.contains(*slot)).collect()
    }

    /// Whether a flag is shown.
    #[must_use]
    pub fn is(&self, flag: &str) -> bool {
        self.flags.iter().any(|other| other == flag)
    }
}

/// Has redis-cli make a cluster of the servers, the last of which are replicas, so many of each primary.
pub fn create(servers: &[Server], replicas: usize) -> Result<(), String> {
    let (addresses, replicas) = (servers.iter().map(Server::address).collect::<Vec<_>>(), replicas.to_string());
    let ends = ["--cluster-replicas", &replicas, "--cluster-yes"];
    let words = ["--cluster", "create"].into_iter().chain(addresses.iter().map(String::as_str)).chain(ends);
    redis_cli(&words.collect::<Vec<_>>()).map(|_| ())
}

/// Has redis-cli move so many slots with their keys.
pub fn reshard(from: &Server, to: &Server, slots: usize) -> Result<(), String> {
    let (address, slots, ends) = (from.address(), slots.to_string(), [from.id()?, to.id()?]);
    let words = ["--cluster", "reshard", &address, "--cluster-from", &ends[0], "--cluster-to", &ends[1]];
    redis_cli(&[&words[..], &["--cluster-slots", &slots, "--cluster-yes"]].concat()).map(|_| ())
}

/// Waits until redis-cli finds that all nodes say the same: it moves nothing before.
pub fn wait_for_check(server: &Server, timeout: Duration) -> Result<(), String> {
    let mut last = String::new();
    let check = || redis_cli(&["--cluster", "check", &server.address()]).map_err(|text| last = text).is_ok();
    let checked = wait_until(timeout, check);
    checked.map(|_| ()).map_err(|why| format!("the check is not content {why}: {last}"))
}

/// Has every server meet the first, gives each an equal share of the slots, and waits until all agree.
pub fn form(servers: &[Server], timeout: Duration) -> Result<(), String> {
    let others: Vec<_> = (1..servers.len()).map(|index| (0, index)).collect();
    meet(servers, &others)?;
    assign_slots(servers)?;
    wait_until(timeout, || agree(servers).is_ok()).map(|_| ()).or_else(|_| agree(servers))
}

/// Has the first of each pair meet the second.
pub fn meet(servers: &[Server], pairs: &[(usize, usize)]) -> Result<(), String> {
    for &(from, to) in pairs {
        servers[from].text(&["CLUSTER", "MEET", "127.0.0.1", &servers[to].port.to_string()])?;
    }
    Ok(())
}

/// Gives each server an equal share of the slots.
pub fn assign_slots(servers: &[Server]) -> Result<(), String> {
    for (index, server) in servers.iter().enumerate() {
        let start = 16384 * index / servers.len();
        let end = 16384 * (index + 1) / servers.len() - 1;
        server.text(&["CLUSTER", "ADDSLOTSRANGE", &start.to_string(), &end.to_string()])?;
    }
    Ok(())
}

/// Whether every server is up, lists every server as connected, and shows the same owners.
pub fn agree(servers: &[Server]) -> Result<(), String> {
    let mut views = Vec::new();
    for server in servers {
        let state = server.cluster_info("cluster_state")?;
        if state != "ok" {
            return Err(format!("cluster_state is {state} at port {}", server.port));
        }
        let mut lines = server.nodes()?;
        if lines.len() != servers.len() {
            return Err(format!("port {} lists {} nodes", server.port, lines.len()));
        }
        if let Some(line) = lines.iter().find(|line| !line.connected || line.is("fail") || line.is("fail?")) {
            return Err(format!("port {} shows {} as {}", server.port, line.address, line.flags.join(",")));
        }
        lines.sort_by(|left, right| left.id.cmp(&right.id));
        views.push(lines.into_iter().map(|line| (line.id, line.epoch, line.slots)).collect::<Vec<_>>());
        let slots: Value = server.call(&["CLUSTER", "SLOTS"])?;
        if matches!(&slots, Value::Array(runs) if runs.len() < servers.len()) {
            return Err(format!("port {} shows too few slot ranges: {slots:?}", server.port));
        }
    }
    if views.windows(2).any(|pair| pair[0] != pair[1]) {
        return Err(format!("the servers differ in ids, epochs or slots: {views:?}"));
    }
    Ok(())
}

/// The address that cluster clients begin with.
#[must_use]
pub fn seeds(servers: &[Server]) -> Vec<String> {
    servers.iter().map(|server| format!("redis://127.0.0.1:{}", server.port)).collect()
}

/// Waits until `condition` holds, and says how long that took; an error after `timeout`.
pub fn wait_until(timeout: Duration, mut condition: impl FnMut() -> bool) -> Result<Duration, String> {
    let begun = Instant::now();
    loop {
        if condition() {
            return Ok(begun.elapsed());
        }
        if begun.elapsed() > timeout {
            return Err(format!("not within {:.1} s", timeout.as_secs_f64()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use super::run;
    use std::{
        process::Command,
        time::{Duration, Instant},
    };

    fn shell(line: &str, timeout: Duration) -> Result<super::Finished, String> {
        let mut command = Command::new("sh");
        command.args(["-c", line]);
        run(command, timeout)
    }

    #[test]
    fn a_program_that_ends_is_heard() {
        let finished = shell("echo out; echo err >&2; exit 3", Duration::from_secs(20)).unwrap();
        assert_eq!(finished.success(), Err("out\nerr\n".to_owned()));
        // Whoever is left behind with the output open keeps nobody waiting.
        let begun = Instant::now();
        assert_eq!(shell("sleep 30 & echo done", Duration::from_secs(20)).unwrap().success(), Ok("done\n".to_owned()));
        assert!(begun.elapsed() < Duration::from_secs(15));
    }

    #[test]
    fn a_program_that_does_not_end_is_ended() {
        let why = shell("echo begun; exec sleep 30", Duration::from_millis(300)).unwrap_err();
        assert!(why.contains("does not end") && why.contains("begun"), "{why}");
    }
}
