//! A cluster node that does only what it is told: it listens, answers PING with PONG unless muted,
//! keeps what it hears, and sends what it is asked to. Knows no rule of the protocol: what its
//! messages say is the caller's business, also when it makes no sense.

use super::{
    link::{Arrival, Link, Reader},
    record::{Conn, Happening, Recorder},
};
use crate::cluster;
use slotbus_core::{
    Address, Body, ClusterState, Flags, Header, Host, NodeId, SlotSet,
    message::{Extension, GossipEntry, Heartbeat, MessageFlags},
};
use slotbus_wire::bus::{self, BusMessage};
use std::{
    collections::VecDeque,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// The bus port of a node is its client port and this.
pub const BUS_PORT_OFFSET: u16 = 10_000;
/// How often a listening peer looks for new connections.
/// A port that was listened on before may be asked for again so long.
const LISTEN_PATIENCE: Duration = Duration::from_secs(2);

const ACCEPT_INTERVAL: Duration = Duration::from_millis(5);
/// A peer that has heard so much unasked stops listening: the server floods it.
const INBOX_MAX: usize = 10_000;

/// What a peer says about itself in every header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Who it claims to be.
    pub id: NodeId,
    /// The greatest epoch that it claims to have seen.
    pub current_epoch: u64,
    /// The epoch of its claim.
    pub config_epoch: u64,
    /// Its replication offset.
    pub offset: u64,
    /// The slots that it claims.
    pub slots: SlotSet<{ slotbus_core::CLUSTER_SLOTS }>,
    /// The primary that it names.
    pub primary: Option<NodeId>,
    /// The address that it announces.
    pub address: Address,
    /// What it claims to be.
    pub flags: Flags,
    /// Its view of the cluster.
    pub state: ClusterState,
    /// What it says about its messages.
    pub mflags: MessageFlags,
}

impl Standing {
    /// A primary without slots at a client port.
    #[must_use]
    pub fn new(id: NodeId, port: u16) -> Self {
        let cport = port.saturating_add(BUS_PORT_OFFSET);
        Self {
            id,
            current_epoch: 0,
            config_epoch: 0,
            offset: 0,
            slots: SlotSet::new(),
            primary: None,
            address: Address { host: Host::Unknown, port, cport, pport: 0 },
            flags: Flags::MYSELF | Flags::PRIMARY,
            state: ClusterState::Ok,
            mflags: MessageFlags::empty(),
        }
    }

    /// A message with this header.
    #[must_use]
    pub fn message(&self, body: Body<{ slotbus_core::CLUSTER_SLOTS }>) -> BusMessage {
        let header = Header {
            sender: self.id,
            current_epoch: self.current_epoch,
            config_epoch: self.config_epoch,
            offset: self.offset,
            slots: self.slots.clone(),
            primary: self.primary,
            address: self.address.clone(),
            flags: self.flags,
            state: self.state,
            mflags: self.mflags,
        };
        BusMessage { header, body }
    }
}

/// One of the two connections between the server and a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// Opened by the peer: outbound for the peer, inbound for the server.
    Own,
    /// Opened by the server: there it is outbound.
    Theirs,
}

/// Something that a peer heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// On which connection.
    pub via: Via,
    /// What.
    pub what: What,
}

/// What happened on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The server opened it.
    Opened,
    /// Something arrived, or the connection ended.
    Arrived(Arrival),
}

#[derive(Debug)]
struct Open {
    number: u64,
    via: Via,
    link: Link,
}

#[derive(Debug)]
struct State {
    standing: Standing,
    heartbeat: Heartbeat,
    answers: bool,
    is_up: bool,
    /// Counts connections, to tell them apart.
    connections: u64,
    /// The open ones, oldest first. A server may well open several.
    links: Vec<Open>,
    inbox: VecDeque<Heard>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    port: u16,
    recorder: Recorder,
}

impl Shared {
    fn conn(&self, number: u64) -> Conn {
        Conn { port: self.port, number }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A reader that panicked leaves the state as it is: still good for the transcript.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A cluster node that does only what it is told.
#[derive(Debug)]
pub struct ScriptedPeer {
    shared: Arc<Shared>,
    port: u16,
}

impl ScriptedPeer {
    /// A peer at a free port of loopback. It listens only after [`ScriptedPeer::come_up`].
    pub fn new(id: NodeId) -> Result<Self, String> {
        Self::recorded(id, Recorder::default())
    }

    /// The same, with all that passes on its connections recorded.
    pub fn recorded(id: NodeId, recorder: Recorder) -> Result<Self, String> {
        let port = cluster::free_port()?;
        let state = State {
            standing: Standing::new(id, port),
            heartbeat: Heartbeat::default(),
            answers: true,
            is_up: false,
            connections: 0,
            links: Vec::new(),
            inbox: VecDeque::new(),
        };
        let shared = Shared { state: Mutex::new(state), changed: Condvar::new(), port, recorder };
        Ok(Self { shared: Arc::new(shared), port })
    }

    /// The client port that it announces. Nobody listens there.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it says about itself.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.shared.lock().standing.clone()
    }

    /// Changes what it says about itself.
    pub fn become_so(&self, change: impl FnOnce(&mut Standing)) {
        change(&mut self.shared.lock().standing);
    }

    /// What its heartbeats carry from now on.
    pub fn set_heartbeat(&self, gossip: Vec<GossipEntry>, extensions: Vec<Extension>) {
        self.shared.lock().heartbeat = Heartbeat { gossip, extensions };
    }

    /// What its heartbeats carry.
    #[must_use]
    pub fn heartbeat(&self) -> Heartbeat {
        self.shared.lock().heartbeat.clone()
    }

    /// Whether it answers PING and MEET.
    pub fn set_answering(&self, answers: bool) {
        self.shared.lock().answers = answers;
    }

    /// Whether it listens.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.shared.lock().is_up
    }

    /// Begins to listen.
    pub fn come_up(&self) -> Result<(), String> {
        if self.is_up() {
            return Ok(());
        }
        let cport = self.port.saturating_add(BUS_PORT_OFFSET);
        // The listener of a former life may take a moment to go.
        let deadline = Instant::now() + LISTEN_PATIENCE;
        let listener = loop {
            match TcpListener::bind((Ipv4Addr::LOCALHOST, cport)) {
                Ok(listener) => break listener,
                Err(error) if error.kind() != io::ErrorKind::AddrInUse || Instant::now() > deadline => {
                    return Err(format!("cannot listen on port {cport}: {error}"));
                }
                Err(_) => thread::sleep(Duration::from_millis(20)),
            }
        };
        listener.set_nonblocking(true).map_err(|error| format!("cannot listen on port {cport}: {error}"))?;
        self.shared.lock().is_up = true;
        self.shared.recorder.note(Happening::Listens { port: self.port, listens: true });
        let shared = Arc::clone(&self.shared);
        thread::spawn(move || accept(&shared, &listener));
        Ok(())
    }

    /// Closes both connections and refuses new ones.
    pub fn go_down(&self) {
        let mut state = self.shared.lock();
        state.is_up = false;
        self.shared.recorder.note(Happening::Listens { port: self.port, listens: false });
        self.hang_up(&mut state, |_| true);
        drop(state);
        // The listener is closed by the thread that polls it.
        thread::sleep(ACCEPT_INTERVAL * 4);
    }

    /// Closes the connections of a kind.
    pub fn close(&self, via: Via) {
        self.hang_up(&mut self.shared.lock(), |open| open.via == via);
    }

    fn hang_up(&self, state: &mut State, is_wanted: impl Fn(&Open) -> bool) {
        for open in state.links.extract_if(.., |open| is_wanted(open)) {
            self.shared.recorder.note(Happening::HungUp { conn: self.shared.conn(open.number) });
        }
    }

    /// Opens its own connection to the server, if it has none.
    pub fn call(&self, server: SocketAddr) -> io::Result<()> {
        if self.has(Via::Own) {
            return Ok(());
        }
        let (link, reader) = Link::open(server)?;
        adopt(&self.shared, Via::Own, link, reader);
        Ok(())
    }

    /// Whether a connection of a kind is open.
    #[must_use]
    pub fn has(&self, via: Via) -> bool {
        self.shared.lock().links.iter().any(|open| open.via == via)
    }

    /// Sends bytes on the newest connection of a kind.
    pub fn send(&self, via: Via, bytes: &[u8]) -> Result<(), String> {
        let mut state = self.shared.lock();
        let open = state.links.iter_mut().rev().find(|open| open.via == via).ok_or("there is no such connection")?;
        self.shared.recorder.note(Happening::Sent { conn: self.shared.conn(open.number), bytes: bytes.to_vec() });
        open.link.send(bytes).map_err(|error| error.to_string())
    }

    /// Forgets what it heard so far.
    pub fn drain(&self) {
        self.shared.lock().inbox.clear();
    }

    /// Takes the oldest thing heard that is `wanted`, waiting for it until `deadline`. The rest stays.
    pub fn take(&self, deadline: Instant, wanted: impl Fn(&Heard) -> bool) -> Option<Heard> {
        let mut state = self.shared.lock();
        loop {
            if let Some(index) = state.inbox.iter().position(&wanted) {
                return state.inbox.remove(index);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            state = match self.shared.changed.wait_timeout(state, left) {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }
}

impl Drop for ScriptedPeer {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.is_up = false;
        state.links.clear();
    }
}

fn accept(shared: &Arc<Shared>, listener: &TcpListener) {
    while shared.lock().is_up {
        match listener.accept() {
            Ok((stream, _)) => {
                if let Ok((link, reader)) = Link::over(stream) {
                    adopt(shared, Via::Theirs, link, reader);
                }
            }
            Err(_) => thread::sleep(ACCEPT_INTERVAL),
        }
    }
}

/// Takes a new connection for the one of its kind, and listens to it.
fn adopt(shared: &Arc<Shared>, via: Via, link: Link, reader: Reader) {
    let mut state = shared.lock();
    state.connections += 1;
    let number = state.connections;
    state.links.push(Open { number, via, link });
    shared.recorder.note(Happening::Up { conn: shared.conn(number), via });
    if via == Via::Theirs {
        state.inbox.push_back(Heard { via, what: What::Opened });
    }
    drop(state);
    shared.changed.notify_all();
    let shared = Arc::clone(shared);
    thread::spawn(move || listen(&shared, via, number, reader));
}

fn listen(shared: &Shared, via: Via, number: u64, mut reader: Reader) {
    loop {
        let arrival = reader.read();
        let mut state = shared.lock();
        // Closed from this side: nobody asks what else it says.
        let Some(index) = state.links.iter().position(|open| open.number == number) else { return };
        shared.recorder.note(Happening::Heard { conn: shared.conn(number), arrival: arrival.clone() });
        let is_end = arrival == Arrival::Closed || state.inbox.len() > INBOX_MAX;
        if is_end {
            state.links.remove(index);
        } else {
            answer(shared, &mut state, index, &arrival);
        }
        state.inbox.push_back(Heard { via, what: What::Arrived(arrival) });
        drop(state);
        shared.changed.notify_all();
        if is_end {
            return;
        }
    }
}

/// Sends the PONG that every PING and MEET asks for.
fn answer(shared: &Shared, state: &mut State, index: usize, arrival: &Arrival) {
    let asks = matches!(arrival, Arrival::Message(message) if matches!(message.body, Body::Ping(_) | Body::Meet(_)));
    if !asks || !state.answers {
        return;
    }
    let mut bytes = Vec::new();
    bus::encode(&state.standing.message(Body::Pong(state.heartbeat.clone())), &mut bytes);
    shared.recorder.note(Happening::Sent { conn: shared.conn(state.links[index].number), bytes: bytes.clone() });
    // A connection that cannot be written to is about to be read to its end.
    let _ = state.links[index].link.send(&bytes);
}
