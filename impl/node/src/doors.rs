//! Owns the doors of the node: the poll that tells which socket is ready, the listeners, and how clients
//! come in, are served and go.
//!
//! Must not know a command, nor wait for anything.

use crate::{
    client::{Client, Fate, Session},
    dial,
    listeners::ClientListeners,
    log::reason,
    server::Server,
    slab::Key,
    stream::Stream,
    wake::Wake,
};
use mio::{
    Events, Interest, Poll, Token,
    event::Event,
    net::{TcpListener, TcpStream},
};
use std::{
    collections::VecDeque,
    io::{self, ErrorKind},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

/// Room for what one read brings.
pub(crate) const SCRATCH_BYTES: usize = 64 * 1024;
/// Events that are taken from the poll at once.
const EVENTS_MAX: usize = 1024;
/// Connections that are accepted in a row.
const ACCEPTS_MAX: usize = 1000;
const TOO_MANY: &[u8] = b"-ERR max number of clients reached\r\n";
const TOO_MANY_IN_CLUSTER: &[u8] = b"-ERR max number of clients + cluster connections reached\r\n";
const DENIED: &[u8] = b"-DENIED Running in protected mode: without a password, connections are taken from the \
    loopback interface only. Set one with 'requirepass', or say 'protected-mode no' if the network is trusted.\r\n";

/// Something that the poll has seen: whose it is, and what can be done there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Readiness {
    pub(crate) token: Token,
    pub(crate) can_read: bool,
    pub(crate) can_write: bool,
    /// Whether the other end sends no more, once what it has sent is read.
    pub(crate) is_closed: bool,
}

impl From<&Event> for Readiness {
    fn from(event: &Event) -> Self {
        let is_closed = event.is_read_closed() || event.is_error();
        Self {
            token: event.token(),
            can_read: event.is_readable() || is_closed,
            can_write: event.is_writable() || event.is_write_closed() || event.is_error(),
            is_closed,
        }
    }
}

/// The doors.
#[derive(Debug)]
pub struct Doors {
    poll: Poll,
    events: Events,
    /// Where clients arrive.
    pub(crate) client_listeners: ClientListeners,
    node_listeners: Vec<TcpListener>,
    /// Clients with replies to be sent before the turn ends.
    answered: Vec<Key>,
    /// Clients with more to do at once.
    pub(crate) busy: VecDeque<Key>,
    /// Listeners that may have more to accept, though no event will say so.
    pub(crate) unaccepted: Vec<Wake>,
    /// What was seen, and nobody has acted on yet: the poll does not tell it again.
    pub(crate) pending: VecDeque<Readiness>,
}

impl Doors {
    /// Doors at these listeners.
    pub fn new(
        poll: Poll,
        client_listeners: ClientListeners,
        mut node_listeners: Vec<TcpListener>,
    ) -> io::Result<Self> {
        for (number, listener) in (0..).zip(&mut node_listeners) {
            poll.registry().register(listener, Wake::NodeArrives(number).token(), Interest::READABLE)?;
        }
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS_MAX),
            client_listeners,
            node_listeners,
            answered: Vec::new(),
            busy: VecDeque::new(),
            unaccepted: Vec::new(),
            pending: VecDeque::new(),
        })
    }

    /// Waits so long at most until something is ready.
    pub(crate) fn wait(&mut self, patience: Duration) -> io::Result<()> {
        match self.poll.poll(&mut self.events, Some(patience)) {
            Ok(()) => self.pending.extend(self.events.iter().map(Readiness::from)),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

impl Server {
    /// Serves a client at whose socket something happened.
    pub(crate) fn wake_client(&mut self, key: Key, readiness: Readiness, scratch: &mut [u8]) {
        if readiness.is_closed
            && let Some(client) = self.clients.get_mut(key)
        {
            client.is_ending = true;
        }
        self.serve_client(key, readiness.can_read, scratch);
    }

    /// Serves a client whose socket is ready, or who has more to do.
    pub(crate) fn serve_client(&mut self, key: Key, can_read: bool, scratch: &mut [u8]) {
        let Some(mut client) = self.clients.take_out(key) else { return };
        let fate = client.serve(self, scratch, can_read);
        self.meet_fate(key, client, fate);
    }

    /// Sends clients the replies of this turn. They are kept until all have been served: somebody who waits
    /// for replies of many clients is woken up once, and not for each, which costs more than the reply.
    pub(crate) fn send_replies(&mut self) {
        let mut answered = std::mem::take(&mut self.doors.answered);
        for key in answered.drain(..) {
            if let Some(mut client) = self.clients.take_out(key) {
                let fate = client.send(self);
                self.meet_fate(key, client, fate);
            }
        }
        self.doors.answered = answered;
    }

    fn meet_fate(&mut self, key: Key, client: Box<Client>, fate: Fate) {
        match fate {
            Fate::Stays => self.clients.put_back(key, client),
            Fate::IsAnswered => {
                self.clients.put_back(key, client);
                self.doors.answered.push(key);
            }
            Fate::HasMore => {
                self.clients.put_back(key, client);
                self.doors.busy.push_back(key);
            }
            Fate::Ends => self.end_client(key, client),
        }
    }

    /// Ends the connection of a client that was taken out of its place.
    pub(crate) fn end_client(&mut self, key: Key, mut client: Box<Client>) {
        // The socket closes with the client; that it was watched no more matters to nobody then.
        let _ = self.doors.poll.registry().deregister(client.socket_mut());
        self.forget(&mut client.session);
        self.clients.vacate(key);
    }

    /// Takes in who waits at a listener for clients.
    pub(crate) fn accept_clients(&mut self, wake: Wake) {
        let Wake::ClientArrives(number) = wake else { return };
        for _ in 0..ACCEPTS_MAX {
            let Some(listener) = self.doors.client_listeners.get(number) else { return };
            let is_tls = listener.is_tls();
            match self.accepted(listener.socket.accept(), wake) {
                Accepted::One(socket, remote) => self.welcome(socket, remote, is_tls),
                Accepted::Failed => {}
                Accepted::NoMore => return,
            }
        }
        self.doors.unaccepted.push(wake);
    }

    /// Takes in who waits at a listener for nodes.
    pub(crate) fn accept_nodes(&mut self, wake: Wake) {
        let Wake::NodeArrives(number) = wake else { return };
        for _ in 0..ACCEPTS_MAX {
            let Some(listener) = self.doors.node_listeners.get(number as usize) else { return };
            match self.accepted(listener.accept(), wake) {
                Accepted::One(stream, _) => {
                    if let Some(bus) = &mut self.bus {
                        bus.accept(stream);
                    }
                }
                Accepted::Failed => {}
                Accepted::NoMore => return,
            }
        }
        self.doors.unaccepted.push(wake);
    }

    fn accepted(&mut self, outcome: io::Result<(TcpStream, SocketAddr)>, wake: Wake) -> Accepted {
        match outcome {
            Ok((stream, remote)) => Accepted::One(stream, remote),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Accepted::NoMore,
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {
                Accepted::Failed
            }
            Err(error) => {
                // No descriptor is left, most likely: whoever waits is not announced again.
                self.log.warning(format_args!("Accepting a connection failed: {}", reason(&error)));
                self.doors.unaccepted.push(wake);
                Accepted::NoMore
            }
        }
    }

    fn welcome(&mut self, socket: TcpStream, remote: SocketAddr, is_tls: bool) {
        let keepalive_s = self.settings.number("tcp-keepalive");
        let tls = self.tls.as_ref().filter(|_| is_tls).map(|tls| Arc::clone(&tls.clients));
        let tuned = dial::tune(&socket, keepalive_s);
        let stream = match tuned.and_then(|()| Stream::accepted(socket, tls)) {
            Ok(stream) => stream,
            Err(error) => {
                self.log.verbose(format_args!("Error accepting a client connection: {}", reason(&error)));
                return;
            }
        };
        let links = self.bus.as_ref().map_or(0, |bus| bus.link_count());
        let is_full = (self.clients.len() + links) as u64 >= self.limits.clients_max;
        let is_denied = self.settings.flag("protected-mode")
            && self.users.unasked().is_some()
            && !remote.ip().to_canonical().is_loopback();
        let mut session = Session::new(self.next_client_id(), self.clients.next_key(), &stream, remote, self.now);
        session.user = self.users.unasked();
        let mut client = Box::new(Client::new(stream, session));
        if is_full || is_denied {
            self.counters.rejected += 1;
            client.refuse(match (is_denied, self.bus.is_some()) {
                (true, _) => DENIED,
                (false, true) => TOO_MANY_IN_CLUSTER,
                (false, false) => TOO_MANY,
            });
            return;
        }
        self.counters.connections += 1;
        let token = Wake::Client(self.clients.next_key()).token();
        match self.doors.poll.registry().register(client.socket_mut(), token, Interest::READABLE | Interest::WRITABLE) {
            Ok(()) => {
                self.clients.insert(client);
            }
            Err(error) => self.log.warning(format_args!("Cannot watch a client connection: {}", reason(&error))),
        }
    }
}

enum Accepted {
    One(TcpStream, SocketAddr),
    Failed,
    NoMore,
}
