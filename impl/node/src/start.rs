//! Owns the way from a configuration to a running node: limits, listeners, the nodes file, signals.
//!
//! Must not run anything itself: that is `runtime`.

use crate::{
    bus::{Bus, BusOptions, Started},
    clock::Clock,
    commands::users_of_file,
    config::{Loaded, Settings},
    dial::BindAddress,
    doors::Doors,
    listeners::{self, ClientListeners},
    log::{Level, Log, reason},
    nodes_file::NodesFile,
    runtime::{Runtime, Stop},
    server::Server,
    snapshot,
    store::Expired,
    tls::Tls,
    trace::Trace,
    wake::{Ending, Wake},
};
use mio::{Interest, Poll, net::UnixStream};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use slotbus_core::{CLUSTER_SLOTS, Config, Millis, Node, NodeId, Origin};
use slotbus_wire::trace::{Form, Header};
use std::{
    ffi::OsStr,
    fs,
    net::IpAddr,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
    path::PathBuf,
    time::Instant,
};

/// Descriptors that the process needs beside those of clients.
const DESCRIPTORS_RESERVED: u64 = 32;

/// Runs a node until it is asked to end; an error says why it could not be started, or not go on.
pub fn run(loaded: Loaded, config_file: Option<PathBuf>) -> Result<(), String> {
    let Loaded { mut settings, warnings, users } = loaded;
    let log = open_log(&settings)?;
    log.warning(format_args!("Slotbus node {} is starting, PID: {}", env!("CARGO_PKG_VERSION"), std::process::id()));
    for warning in warnings {
        log.warning(format_args!("{warning}"));
    }
    log.warning(format_args!("Configuration loaded"));
    let outcome = start(&mut settings, &users, config_file, &log).and_then(|mut runtime| {
        let pidfile = PidFile::write(&settings, &log);
        log.notice(format_args!("Ready to accept connections"));
        tell_supervisor(&settings, &log);
        let stop = runtime.run();
        runtime.close();
        drop(pidfile);
        match stop {
            Stop::Asked => Ok(()),
            Stop::Failed(message) => Err(message),
        }
    });
    match outcome {
        Ok(()) => {
            log.warning(format_args!("The node is now ready to exit, bye bye..."));
            Ok(())
        }
        Err(message) => {
            log.warning(format_args!("{message}"));
            Err(message)
        }
    }
}

fn open_log(settings: &Settings) -> Result<Log, String> {
    let file = (!settings.text("logfile").is_empty()).then(|| settings.path("logfile"));
    Log::open(Level::named(settings.text("loglevel")), file).map_err(|error| {
        format!("\n*** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***\nCan't open the log file: {}", reason(&error))
    })
}

fn start(
    settings: &mut Settings,
    users: &[String],
    config_file: Option<PathBuf>,
    log: &Log,
) -> Result<Runtime, String> {
    let failed = |what: &str, error: std::io::Error| format!("{what}: {}", reason(&error));
    let clock = Clock::start();
    raise_descriptors(settings, log);
    let poll = Poll::new().map_err(|error| failed("Cannot wait for events", error))?;
    let signals = watch_signals(&poll).map_err(|error| failed("Cannot watch signals", error))?;
    let tls = load_tls(settings, log)?;
    let another = || poll.registry().try_clone().map_err(|error| failed("Cannot wait for events", error));
    let mut client_listeners = ClientListeners::new(another()?);
    client_listeners.adopt(settings, log).map_err(|error| error.to_string())?;
    let is_clustered = settings.flag("cluster-enabled");
    let (mut node_listeners, mut bus) = (Vec::new(), None);
    if is_clustered {
        let bus_port = settings.bus_port().ok_or(
            "Redis port number too high. Cluster communication port is 10,000 port numbers higher than your Redis \
             port. Your Redis port number must be 55535 or less.",
        )?;
        let started = open_node(settings, bus_port, clock, log)?;
        node_listeners = listeners::for_nodes(settings, bus_port, log).map_err(|error| error.to_string())?;
        bus = Some(Bus::start(started, clock, another()?, bus_options(settings, bus_port, tls.clone()), log.clone()));
    }
    if client_listeners.is_empty() && node_listeners.is_empty() {
        return Err("Configured to not listen anywhere, exiting.".into());
    }
    if let Some(fatal) = bus.as_ref().and_then(Bus::fatal) {
        return Err(fatal.to_owned());
    }
    let mode = if is_clustered { "cluster" } else { "standalone" };
    log.notice(format_args!("Running mode={mode}, port={}.", settings.first_port()));
    log.warning(format_args!("Server initialized"));
    let registries = [another()?, another()?];
    let doors = Doors::new(poll, client_listeners, node_listeners);
    let doors = doors.map_err(|error| failed("Cannot watch the listeners", error))?;
    let mut server = Server::new(settings.clone(), tls, bus, doors, registries, clock, log.clone());
    server.config_file = config_file;
    admit_users(&mut server, users)?;
    load(&mut server)?;
    let filled = server.store.filled_slots();
    if let Some(bus) = &mut server.bus {
        bus.loaded(filled);
    }
    server.settle();
    Ok(Runtime::new(server, signals))
}

/// Makes the users that the configuration, or a file of their own, tells of.
fn admit_users(server: &mut Server, lines: &[String]) -> Result<(), String> {
    let hears_all = server.users.hears_all;
    let has_own_file = !server.settings.text("aclfile").is_empty();
    let users = match (has_own_file, lines.is_empty()) {
        (true, false) => {
            return Err(
                "Users are defined both in the configuration and in an ACL file: define them in one place only".into(),
            );
        }
        (true, true) => users_of_file(&server.settings.path("aclfile"), hears_all),
        (false, _) => {
            std::mem::take(&mut server.users).with_lines(lines.join("\n").as_bytes(), "configuration, user line")
        }
    };
    server.users = users.map_err(|errors| format!("Aborting Redis startup because of ACL errors: {errors}"))?;
    Ok(())
}

/// The keys of the append-only files, or of the last snapshot.
fn load(server: &mut Server) -> Result<(), String> {
    server.aof.read_manifest()?;
    if server.settings.flag("appendonly") {
        server.start_appending()?;
    } else {
        load_snapshot(server)?;
    }
    // Nobody is there yet whom it could concern.
    server.store.news.take_events();
    server.store.news.changes = 0;
    Ok(())
}

fn load_snapshot(server: &mut Server) -> Result<(), String> {
    let start = Instant::now();
    // The primary of a replica says when keys expire, and its requests build on those that it has not dropped.
    let expired = if server.is_replica() { Expired::There } else { Expired::Dropped };
    server.store.set_time(server.now, expired);
    let loaded = snapshot::load(&server.settings.path("dbfilename"), &mut server.store)?;
    server.adopt_libraries()?;
    if let Some(snapshot::Loaded { keys, stream }) = loaded {
        let seconds = start.elapsed().as_secs_f64();
        server.log.notice(format_args!("DB loaded from disk: {seconds:.3} seconds, {keys} keys"));
        if let Some((id, offset)) = stream {
            server.replication.restore(id, offset);
        }
    }
    Ok(())
}

/// The node as its file remembers it, or a new one.
fn open_node(settings: &Settings, bus_port: u16, clock: Clock, log: &Log) -> Result<Started, String> {
    let (file, image) = NodesFile::open(settings.path("cluster-config-file")).map_err(|error| error.to_string())?;
    let (origin, greeting) = match image {
        Some(image) => (Origin::Restored(Box::new(image)), "Node configuration loaded"),
        None => (Origin::Fresh(fresh_id()?), "No cluster configuration found"),
    };
    let (config, now) = (settings.protocol(bus_port), clock.now());
    let trace = open_trace(settings, &config, &origin, now, log)?;
    let (node, effects) = Node::start(config, origin, now)
        .map_err(|error| format!("Unrecoverable error: corrupted cluster config file: {error}"))?;
    log.notice(format_args!("{greeting}, I'm {}", node.id()));
    Ok(Started { file, node, effects, trace })
}

fn open_trace(
    settings: &Settings,
    config: &Config,
    origin: &Origin<CLUSTER_SLOTS>,
    now: Millis,
    log: &Log,
) -> Result<Option<Trace>, String> {
    if settings.text("trace-file").is_empty() {
        return Ok(None);
    }
    let path = settings.path("trace-file");
    let header = Header {
        version: concat!("slotbus-node ", env!("CARGO_PKG_VERSION")).into(),
        config: config.clone(),
        origin: origin.clone(),
        now,
    };
    let form = if settings.text("trace-format") == "binary" { Form::Binary } else { Form::Json };
    let trace = Trace::create(&path, form, &header, log.clone());
    trace.map(Some).map_err(|error| format!("Can't open the trace file {}: {}", path.display(), reason(&error)))
}

/// A new id, as random as the system can make it.
pub fn fresh_id() -> Result<NodeId, String> {
    let mut id = [0; 20];
    getrandom::fill(&mut id).map_err(|error| format!("The system has no randomness for a new id: {error}"))?;
    Ok(NodeId(id))
}

fn bus_options(settings: &Settings, port: u16, tls: Option<Tls>) -> BusOptions {
    const INBOUND_MIN: usize = 1000;
    let source: Option<IpAddr> = settings.text("bind-source-addr").parse().ok();
    let bound = BindAddress::list(settings.text("bind")).filter_map(|address| address.ip());
    let limit = |name: &str| usize::try_from(settings.number(name)).unwrap_or(usize::MAX);
    BusOptions {
        port,
        sources: source.into_iter().chain(bound).collect(),
        waiting_max: limit("cluster-link-sendbuf-limit"),
        inbound_max: limit("maxclients").max(INBOUND_MIN),
        keepalive_s: settings.number("cluster-node-timeout") / 1000 * 2,
        tls,
    }
}

fn load_tls(settings: &Settings, log: &Log) -> Result<Option<Tls>, String> {
    Tls::load(settings).map_err(|why| {
        log.warning(format_args!("{why}"));
        "Failed to configure TLS. Check logs for more info.".into()
    })
}

/// Makes room for as many connections as are configured, or configures as many as there is room for.
fn raise_descriptors(settings: &mut Settings, log: &Log) {
    let wanted = settings.number("maxclients").saturating_add(DESCRIPTORS_RESERVED);
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= wanted) {
        return;
    }
    let granted = maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let outcome = setrlimit(Resource::Nofile, Rlimit { current: Some(granted), maximum });
    let granted = if outcome.is_ok() { granted } else { current.unwrap_or(wanted) };
    if granted < wanted {
        let clients = granted.saturating_sub(DESCRIPTORS_RESERVED).max(1);
        log.warning(format_args!(
            "The system allows {granted} open files only: maxclients is reduced to {clients} to leave room for others"
        ));
        if let Some(index) = crate::config::Directive::find("maxclients") {
            // A smaller number of clients than was accepted before is a number that is accepted.
            let _ = settings.set(index, &[&clients.to_string()]);
        }
    }
}

/// Sockets that become readable with a signal, for as long as they live.
fn watch_signals(poll: &Poll) -> std::io::Result<Vec<UnixStream>> {
    let endings = [(signal_hook::consts::SIGTERM, Ending::Terminate), (signal_hook::consts::SIGINT, Ending::Interrupt)];
    let mut watched = Vec::new();
    for (signal, ending) in endings {
        let (mut reader, writer) = UnixStream::pair()?;
        poll.registry().register(&mut reader, Wake::Ends(ending).token(), Interest::READABLE)?;
        signal_hook::low_level::pipe::register(signal, writer)?;
        watched.push(reader);
    }
    Ok(watched)
}

/// Tells systemd, if it asks to be told, that the node is ready.
fn tell_supervisor(settings: &Settings, log: &Log) {
    match settings.text("supervised") {
        "systemd" | "auto" => {}
        "upstart" => return log.warning(format_args!("'supervised upstart' has no effect in this node")),
        _ => return,
    }
    let Some(place) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let place = place.as_bytes();
    // A name that begins with '@' is not in the file system.
    let address = match place.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(OsStr::from_bytes(place)),
    };
    let told = address.and_then(|address| UnixDatagram::unbound()?.send_to_addr(b"READY=1\n", &address));
    if let Err(error) = told {
        log.warning(format_args!("systemd could not be told that the node is ready: {}", reason(&error)));
    }
}

/// The file that tells others the process's id, for as long as this value lives.
struct PidFile(PathBuf);

impl PidFile {
    fn write(settings: &Settings, log: &Log) -> Option<Self> {
        if settings.text("pidfile").is_empty() {
            return None;
        }
        let path = settings.path("pidfile");
        match fs::write(&path, format!("{}\n", std::process::id())) {
            Ok(()) => Some(Self(path)),
            Err(error) => {
                log.warning(format_args!("Failed to write PID file: {}", reason(&error)));
                None
            }
        }
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // A file that somebody else has removed is gone all the same.
        let _ = fs::remove_file(&self.0);
    }
}
