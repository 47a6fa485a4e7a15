//! Owns one client's connection: its socket, its buffers, and what the server remembers of it.
//!
//! Must not know any command.

use crate::{
    command::Command,
    dispatch,
    log::reason,
    pubsub::{Kind, Subscriptions},
    replication::replica_id,
    server::Server,
    slab::Key,
    stream::{self, Stream},
    tracking::{Interest, Scope},
    users::{self, User},
};
use mio::net::TcpStream;
use slotbus_core::Millis;
use slotbus_replication::OutputLimit;
use slotbus_wire::resp::{Args, Batch, Decoder, OwnedArgs, Progress, Protocol, Reply};
use std::{
    fmt::Write as _,
    io::{self, ErrorKind, Read, Write},
    net::SocketAddr,
    os::fd::AsRawFd,
    rc::Rc,
    time::Instant,
};

/// So much of what waits for a client is told as one buffer, and what is more as a list: readers of CLIENT LIST add both.
const FIRST_BUFFER_BYTES: usize = 16 * 1024;
/// While more than this waits for a client that does not read, its requests wait, too.
const WAITING_MAX: usize = 1024 * 1024;
/// Of a client that waits, so much is held at least before it is read no more.
const HELD_WAITING_MAX: usize = 64 * 1024;
/// Buffers beyond this are given back once they are empty.
const KEPT_MAX: usize = 64 * 1024;
/// So many requests are looked at before the first of them is carried out.
const BATCH_MAX: usize = 32;
/// So many reads in a row, and others get their turn.
const READS_MAX: usize = 16;

/// Which of its replies a client wants to see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplyMode {
    /// All.
    #[default]
    On,
    /// None.
    Off,
    /// All but the next.
    SkipNext,
}

/// Requests that wait for EXEC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transaction {
    /// The requests, in order.
    pub requests: Vec<OwnedArgs>,
    /// Whether one was refused: then EXEC refuses all.
    pub is_dirty: bool,
}

/// A key that must not change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// Which.
    pub key: Box<[u8]>,
    /// How often it had changed before.
    pub revision: u64,
    /// Whether it was there.
    pub was_there: bool,
}

/// What the server remembers of a client from one request to the next.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its number.
    pub id: u64,
    /// Its name, if it gave one.
    pub name: String,
    /// Where it is.
    pub remote: Option<SocketAddr>,
    /// Where it connected to.
    pub local: Option<SocketAddr>,
    /// Whether it speaks TLS.
    pub is_tls: bool,
    /// The descriptor of its socket, for CLIENT LIST.
    pub descriptor: i32,
    /// When it connected.
    pub created: Millis,
    /// When it last sent something.
    pub last_active: Millis,
    /// The last command that it asked for.
    pub last_command: &'static str,
    /// The command that is being carried out for it.
    pub running: Option<&'static Command>,
    /// How it speaks.
    pub protocol: Protocol,
    /// Who it is, once it has shown a password or need not.
    pub user: Option<Rc<User>>,
    /// Whether its next request may touch a slot that is being imported.
    pub is_asking: bool,
    /// Whether it reads from replicas.
    pub is_readonly: bool,
    /// Whether it asked not to be evicted.
    pub is_kept: bool,
    /// Its open transaction.
    pub transaction: Option<Transaction>,
    /// Keys that must not change before EXEC.
    pub watched: Vec<Watch>,
    /// Whether its transaction is being carried out.
    pub is_executing: bool,
    /// Whether its script is being run.
    pub is_scripting: bool,
    /// Which replies it wants.
    pub reply_mode: ReplyMode,
    /// Whether the connection ends once the replies so far are sent.
    pub is_closing: bool,
    /// The name of its place.
    pub key: Key,
    /// What is to be sent to it before the reply to its request.
    pub pushes: Vec<Reply<'static>>,
    /// What is to be sent to it behind that reply.
    pub afterthoughts: Vec<Reply<'static>>,
    /// What it is told of keys that change, if it keeps copies of some.
    pub interest: Option<Box<Interest>>,
    /// What it waits for, if its requests have to wait.
    pub waits: Option<Wait>,
    /// Whether it is a replica, to which the stream of writes is sent.
    pub is_replica: bool,
    /// Whether it is the primary, which sends its stream.
    pub is_primary: bool,
    /// How long the stream of writes was after its last write.
    pub written: u64,
}

/// What a client may wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Its next request is to be tried again.
    Turn,
    /// The reply to its last request is to come.
    Reply,
}

impl Session {
    /// A connection to `remote` that has just come about.
    #[must_use]
    pub fn new(id: u64, key: Key, stream: &Stream, remote: SocketAddr, now: Millis) -> Self {
        Self {
            id,
            name: String::new(),
            remote: Some(remote),
            local: stream.socket().local_addr().ok(),
            is_tls: stream.is_tls(),
            descriptor: stream.socket().as_raw_fd(),
            created: now,
            last_active: now,
            last_command: "NULL",
            running: None,
            protocol: Protocol::Two,
            user: None,
            is_asking: false,
            is_readonly: false,
            is_kept: false,
            transaction: None,
            watched: Vec::new(),
            is_executing: false,
            is_scripting: false,
            reply_mode: ReplyMode::On,
            is_closing: false,
            key,
            pushes: Vec::new(),
            afterthoughts: Vec::new(),
            interest: None,
            waits: None,
            is_replica: false,
            is_primary: false,
            written: 0,
        }
    }

    /// The name of its user.
    #[must_use]
    pub fn user_name(&self) -> &str {
        self.user.as_ref().map_or(users::DEFAULT, |user| &user.name)
    }

    /// The client as CLIENT LIST shows it, with how many bytes of requests are held, and of replies wait.
    #[must_use]
    pub fn line(&self, held: usize, waiting: usize, now: Millis, subscriptions: &Subscriptions) -> String {
        let address =
            |address: Option<SocketAddr>| address.map_or_else(|| "?:0".to_owned(), |address| address.to_string());
        let mut flags = String::new();
        flags.extend(self.is_replica.then_some('S'));
        flags.extend(self.is_primary.then_some('M'));
        flags.extend(subscriptions.has_any(self.key).then_some('P'));
        flags.extend(self.transaction.is_some().then_some('x'));
        if let Some(interest) = &self.interest {
            flags.push('t');
            flags.extend(interest.is_redirect_broken.then_some('R'));
            flags.extend((interest.scope == Scope::Prefixes).then_some('B'));
        }
        flags.extend(self.is_closing.then_some('c'));
        flags.extend(self.is_readonly.then_some('r'));
        flags.extend(self.is_kept.then_some('e'));
        if flags.is_empty() {
            flags.push('N');
        }
        let queued =
            self.transaction.as_ref().map_or(-1, |open| i64::try_from(open.requests.len()).unwrap_or(i64::MAX));
        let resp = if self.protocol == Protocol::Three { 3 } else { 2 };
        let first = waiting.min(FIRST_BUFFER_BYTES);
        let (more, blocks) = (waiting - first, u8::from(waiting > first));
        let mut line = String::new();
        // Writing to a String does not fail.
        let _ = writeln!(
            line,
            "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={flags} db=0 sub={} psub={} ssub={} multi={queued} \
             qbuf={held} qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl={first} oll={blocks} omem={more} tot-mem={} events=r \
             cmd={} user={} redir={} resp={resp}",
            self.id,
            address(self.remote),
            address(self.local),
            self.descriptor,
            self.name,
            now.since(self.created) / 1000,
            now.since(self.last_active) / 1000,
            subscriptions.of(self.key, Kind::Channel).count(),
            subscriptions.of(self.key, Kind::Pattern).count(),
            subscriptions.of(self.key, Kind::Shard).count(),
            held + waiting + size_of::<Client>(),
            self.last_command,
            self.user_name(),
            self.redirection(),
        );
        line
    }

    /// The number of the client that is told of keys that change in its stead: 0 if it is told itself, -1 if nobody is.
    #[must_use]
    pub fn redirection(&self) -> i64 {
        let told = self.interest.as_ref().map(|interest| interest.redirect.map_or(0, |(id, _)| id));
        told.map_or(-1, |id| i64::try_from(id).unwrap_or(i64::MAX))
    }

    /// A request, or a whole transaction, is done: what the client said of it ahead is not about the next one.
    fn end_exception(&mut self) {
        if let Some(interest) = &mut self.interest
            && self.transaction.is_none()
            && !self.last_command.starts_with("client")
        {
            interest.has_said = false;
        }
    }

    /// Back to the state of a new connection, but for what identifies it.
    pub fn reset(&mut self, user: Option<Rc<User>>) {
        self.name.clear();
        self.protocol = Protocol::Two;
        self.user = user;
        self.is_asking = false;
        self.is_readonly = false;
        self.is_kept = false;
        self.transaction = None;
        self.reply_mode = ReplyMode::On;
        self.is_replica = false;
    }
}

/// What is to become of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It stays; its socket will say when there is more to do.
    Stays,
    /// It stays, and there is more to do at once.
    HasMore,
    /// It stays, and there are replies to be sent when those of other clients are.
    IsAnswered,
    /// Its connection is over.
    Ends,
}

/// One client.
#[derive(Debug)]
pub struct Client {
    /// What the server remembers of it.
    pub session: Session,
    stream: Stream,
    decoder: Decoder,
    /// The beginning of a request that is not complete.
    input: Vec<u8>,
    output: Vec<u8>,
    written: usize,
    /// Since when more waits for it than may for long.
    deaf_since: Option<Millis>,
    /// The socket may have more to read.
    can_read: bool,
    /// The other end sends no more: once what it has sent is answered, its end is to be read.
    pub is_ending: bool,
    /// Requests are held that were complete, but for whose replies there was no room.
    is_throttled: bool,
}

impl Client {
    /// A client at this socket.
    #[must_use]
    pub fn new(stream: Stream, session: Session) -> Self {
        Self {
            session,
            stream,
            decoder: Decoder::default(),
            input: Vec::new(),
            output: Vec::new(),
            written: 0,
            deaf_since: None,
            can_read: false,
            is_ending: false,
            is_throttled: false,
        }
    }

    /// The socket, to register it.
    pub fn socket_mut(&mut self) -> &mut TcpStream {
        self.stream.socket_mut()
    }

    /// How many bytes of an incomplete request are held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.input.len()
    }

    /// How many bytes wait to be sent.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.output.len() - self.written
    }

    /// Adds what the client did not ask for just now to what waits to be sent.
    pub fn push(&mut self, message: &Reply<'_>) {
        message.encode(self.session.protocol, &mut self.output);
    }

    /// Adds bytes to what waits to be sent.
    pub fn put(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
    }

    /// Ends its wait for a reply.
    pub fn finish(&mut self, reply: &Reply<'_>) {
        self.session.waits = None;
        answer(&mut self.session, reply, &mut self.output);
    }

    /// Serves a client whose socket is ready: reads, and carries out what is complete. The replies wait
    /// to be [sent](Self::send).
    pub fn serve(&mut self, server: &mut Server, scratch: &mut [u8], can_read: bool) -> Fate {
        self.can_read |= can_read || self.is_ending;
        if !server.must_hold(&self.session) && self.waiting() > 0 && self.flush(server).is_err() {
            return Fate::Ends;
        }
        let mut reads = 0;
        self.serve_held(server);
        while self.may_read() && self.can_read && reads < READS_MAX {
            reads += 1;
            match self.stream.read(scratch) {
                Ok(0) => return Fate::Ends,
                Ok(count) => {
                    server.counters.reads += 1;
                    server.counters.bytes_in += count as u64;
                    self.session.last_active = server.now;
                    self.can_read = self.stream.may_have_more(count, scratch.len());
                    match self.session.waits {
                        None => self.take(server, &scratch[..count]),
                        Some(_) => self.input.extend_from_slice(&scratch[..count]),
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.can_read = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    if self.stream.is_in_handshake() {
                        self.tell_of_bad_handshake(server, &reason(&error));
                    }
                    return Fate::Ends;
                }
            }
        }
        if self.waiting() > 0 { Fate::IsAnswered } else { self.fate() }
    }

    /// Sends the replies that wait, unless they are held.
    pub fn send(&mut self, server: &mut Server) -> Fate {
        // What a step could not save must not be answered: the node ends before the reply gets out.
        if server.must_end() {
            return Fate::Stays;
        }
        if self.waiting() > 0 && server.must_hold(&self.session) {
            server.replication.held.insert(self.session.key);
            return Fate::Stays;
        }
        if self.flush(server).is_err() { Fate::Ends } else { self.fate() }
    }

    /// What is to become of it once it has been served and what can be sent is sent.
    fn fate(&self) -> Fate {
        match self.waiting() {
            0 if self.session.is_closing => Fate::Ends,
            0 if self.session.waits.is_some() => Fate::Stays,
            0 if self.can_read || self.is_ending || self.is_throttled => Fate::HasMore,
            _ => Fate::Stays,
        }
    }

    /// Whether more waits for it than may at all, or than may for so long.
    pub fn is_overfull(&mut self, limit: OutputLimit, now: Millis) -> bool {
        let waiting = self.waiting() as u64;
        let exceeds = |most: u64| most > 0 && waiting >= most;
        self.deaf_since = if exceeds(limit.soft) { self.deaf_since.or(Some(now)) } else { None };
        exceeds(limit.hard) || self.deaf_since.is_some_and(|since| now.since(since) > limit.soft_ms)
    }

    /// Whether it has had enough time to say who it is, and has not.
    #[must_use]
    pub fn is_late(&self, now: Millis) -> bool {
        self.stream.is_in_handshake() && now.since(self.session.created) > stream::HANDSHAKE_MAX_MS
    }

    /// Says why a client never became one.
    pub fn tell_of_bad_handshake(&self, server: &Server, why: &str) {
        let remote = self.session.remote.map_or_else(|| "?:0".to_owned(), |remote| remote.to_string());
        server.log.warning(format_args!("Error accepting a client connection: {why} (addr={remote})"));
    }

    /// Sends a last message before the connection is over.
    pub fn refuse(&mut self, message: &[u8]) {
        // The socket is new and its buffer empty: if it does not take one line, the client is gone.
        let _ = self.stream.write(message);
    }

    /// A client that waits is read, too, but not served: its end must be noticed.
    fn may_read(&self) -> bool {
        self.wants_more()
            || self.session.waits.is_some() && !self.session.is_closing && self.input.len() < HELD_WAITING_MAX
    }

    fn wants_more(&self) -> bool {
        !self.session.is_closing && self.session.waits.is_none() && self.waiting() <= WAITING_MAX
    }

    /// Carries out what is held from before, if room in the output was all that it lacked.
    fn serve_held(&mut self, server: &mut Server) {
        if !self.input.is_empty() && self.wants_more() {
            let input = std::mem::take(&mut self.input);
            let used = self.run(server, &input);
            self.hold(input, used, server);
        }
    }

    /// Takes what has just been read: straight from the shared buffer if nothing was held before.
    fn take(&mut self, server: &mut Server, bytes: &[u8]) {
        if self.input.is_empty() {
            let used = self.run(server, bytes);
            if used < bytes.len() && !self.session.is_closing {
                self.input.extend_from_slice(&bytes[used..]);
                self.check_held(server);
            }
        } else {
            let mut input = std::mem::take(&mut self.input);
            input.extend_from_slice(bytes);
            let used = self.run(server, &input);
            self.hold(input, used, server);
        }
    }

    fn hold(&mut self, mut input: Vec<u8>, used: usize, server: &mut Server) {
        if used > 0 {
            input.drain(..used);
        }
        if input.is_empty() {
            input.shrink_to(KEPT_MAX);
        }
        self.input = input;
        self.check_held(server);
    }

    fn check_held(&mut self, server: &mut Server) {
        if self.input.len() as u64 > server.limits.held_max {
            let id = self.session.id;
            server.log.warning(format_args!("Closing client {id} that reached max query buffer length"));
            self.input = Vec::new();
            self.session.is_closing = true;
        }
    }

    /// Carries out every complete request in `bytes`; says how many bytes they took.
    fn run(&mut self, server: &mut Server, bytes: &[u8]) -> usize {
        let mut batch = std::mem::take(&mut server.batch);
        let mut used = 0;
        server.lap = Instant::now();
        while self.wants_more() {
            let mut taken = self.run_batch(server, &mut batch, &bytes[used..]);
            if taken == 0 && self.wants_more() {
                taken = self.run_next(server, &bytes[used..]);
            }
            if taken == 0 {
                break;
            }
            used += taken;
        }
        server.batch = batch;
        self.is_throttled = used < bytes.len() && !self.wants_more();
        used
    }

    /// Carries out the requests of the ordinary form that come next; says how many bytes they took.
    fn run_batch(&mut self, server: &mut Server, batch: &mut Batch, bytes: &[u8]) -> usize {
        if !self.decoder.is_between() {
            return 0;
        }
        batch.fill(bytes, server.limits.of(self.session.user.is_some()), BATCH_MAX);
        if batch.len() > 1 {
            dispatch::anticipate(server, batch.requests(bytes).map(|(args, _)| args));
        }
        let mut used = 0;
        for (args, end) in batch.requests(bytes) {
            if !self.wants_more() || !carry_out(server, &mut self.session, &mut self.output, args) {
                break;
            }
            used = end;
        }
        used
    }

    /// Carries out the request that comes next, whatever its form; says how many bytes it took.
    fn run_next(&mut self, server: &mut Server, bytes: &[u8]) -> usize {
        let limits = server.limits.of(self.session.user.is_some());
        match self.decoder.decode(bytes, limits) {
            Ok(Progress::More) => 0,
            Ok(Progress::Nothing(length)) => length,
            Ok(Progress::Request(length)) => {
                let args = self.decoder.args(&bytes[..length]);
                if carry_out(server, &mut self.session, &mut self.output, args) { length } else { 0 }
            }
            Err(error) => {
                let id = self.session.id;
                server.log.verbose(format_args!("{error} from client {id}"));
                server.counters.errors += 1;
                Reply::err(error).encode(self.session.protocol, &mut self.output);
                self.session.is_closing = true;
                0
            }
        }
    }

    /// Writes what waits, as much as the socket takes; to a replica, the stream behind it.
    pub fn flush(&mut self, server: &mut Server) -> io::Result<()> {
        while self.waiting() > 0 {
            let count = write_some(&mut self.stream, &self.output[self.written..])?;
            if count == 0 {
                return Ok(());
            }
            self.written += count;
            server.counters.writes += 1;
            server.counters.bytes_out += count as u64;
            server.heard_of(&self.session);
        }
        self.output.clear();
        self.written = 0;
        self.output.shrink_to(KEPT_MAX);
        if self.session.is_replica { self.flush_stream(server) } else { Ok(()) }
    }

    /// Writes a replica's part of the stream, as much as the socket takes.
    fn flush_stream(&mut self, server: &mut Server) -> io::Result<()> {
        let replica = replica_id(self.session.key);
        loop {
            let unsent = server.replication.machine.unsent(replica);
            let count = if unsent.is_empty() { 0 } else { write_some(&mut self.stream, unsent)? };
            if count == 0 {
                return Ok(());
            }
            server.replication.machine.sent(server.now, replica, count);
            server.counters.bytes_out += count as u64;
        }
    }
}

/// Writes once; 0 if the socket takes nothing now.
fn write_some(stream: &mut Stream, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match stream.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

/// Carries out one request and writes its reply; false if it has to wait, and is to be tried again later.
fn carry_out(server: &mut Server, session: &mut Session, output: &mut Vec<u8>, args: Args<'_>) -> bool {
    let Some(reply) = dispatch::execute(server, session, args) else {
        session.waits = Some(Wait::Turn);
        return false;
    };
    let start = output.len();
    answer(session, &reply, output);
    let error = reply.error_text().map(ToOwned::to_owned);
    drop(reply);
    server.note_done(session, args, error.as_deref());
    server.follow_up(Some(session));
    put_pushes(session, output, start);
    put_afterthoughts(session, output);
    session.end_exception();
    true
}

/// Adds what the client did not ask for before the reply that begins at `start`.
fn put_pushes(session: &mut Session, output: &mut Vec<u8>, start: usize) {
    if session.pushes.is_empty() {
        return;
    }
    let reply_len = output.len() - start;
    for push in std::mem::take(&mut session.pushes) {
        push.encode(session.protocol, output);
    }
    output[start..].rotate_left(reply_len);
}

/// Adds what the client did not ask for behind the reply.
fn put_afterthoughts(session: &mut Session, output: &mut Vec<u8>) {
    for push in session.afterthoughts.drain(..) {
        push.encode(session.protocol, output);
    }
}

/// Writes a reply, unless the client does not want it.
fn answer(session: &mut Session, reply: &Reply<'_>, output: &mut Vec<u8>) {
    match session.reply_mode {
        ReplyMode::On => reply.encode(session.protocol, output),
        // What a client listens to is no reply.
        ReplyMode::Off | ReplyMode::SkipNext if matches!(reply, Reply::Push(_) | Reply::Sequence(_)) => {
            reply.encode(session.protocol, output);
        }
        ReplyMode::Off => {}
        // CLIENT REPLY SKIP answers nothing itself, and so is not the reply that it means.
        ReplyMode::SkipNext if *reply == Reply::Silence => {}
        ReplyMode::SkipNext => session.reply_mode = ReplyMode::On,
    }
}
