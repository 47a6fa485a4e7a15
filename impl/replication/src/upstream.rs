//! Owns the side that faces the primary: the handshake, the copy of all keys, the stream.
//!
//! Must not know replicas of this node, but for the stream that they read, too.

use crate::{Effect, Note, StreamId, step::Turn, transfer::Transfer};
use slotbus_core::{Address, Host, Millis, NodeId, Replication as Standing};
use slotbus_wire::resp::{Args, Decoder, OwnedArgs, Progress, Protocol, ProtocolError, Reply, parse_i64};
use std::collections::VecDeque;

/// From one attempt to connect to the next.
const RETRY_MS: u64 = 1000;
/// From one acknowledgement to the next.
const ACK_MS: u64 = 1000;
/// The same, until the stream begins that follows a copy: a primary that has not done with the copy, which may go to others,
/// too, does not count an acknowledgement yet, and holds the stream back until it sees one.
const FIRST_ACK_MS: u64 = 100;
/// A line of the primary is at most so long.
const LINE_MAX: usize = 64 * 1024;

/// How the connection to the primary stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// There is none.
    Down,
    /// It is being established.
    Connecting,
    /// Who this is, and what it wants, is being told.
    Handshake,
    /// A copy of all keys arrives.
    Copying,
    /// The stream is read.
    Streaming,
}

/// What an answer is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    Password,
    Detail,
}

/// Where in a stream a copy stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    id: StreamId,
    offset: u64,
}

#[derive(Clone, Debug)]
enum Link {
    Down {
        retry_at: Millis,
    },
    Connecting,
    Pinged,
    Introducing(VecDeque<Question>),
    Asked,
    /// A copy is promised; how it is framed is to be told.
    Promised(Place),
    Copying(Place, Transfer),
    /// The copy is complete, and the driver makes it this node's data.
    Loading(Place),
    Streaming,
}

/// The primary, and the connection to it.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Whom.
    pub primary: NodeId,
    /// Where.
    pub address: Address,
    /// Its shard, when it was to be followed.
    shard: NodeId,
    /// When it last sent something.
    pub heard_at: Millis,
    /// When this node was last in step with it, or with one of its shard before it; none if it never was.
    was_fresh_at: Option<Millis>,
    link: Link,
    next_sign_at: Millis,
    /// Nothing has come since the copy.
    awaits_stream: bool,
    input: Vec<u8>,
    /// How much of the input has been cut into requests that are not carried out yet.
    cut: usize,
    decoder: Decoder,
    transaction: Option<Vec<OwnedArgs>>,
}

impl Upstream {
    fn new(primary: NodeId, address: Address, shard: NodeId, now: Millis) -> Self {
        Self {
            primary,
            address,
            shard,
            heard_at: now,
            was_fresh_at: None,
            link: Link::Down { retry_at: now },
            next_sign_at: now,
            awaits_stream: false,
            input: Vec::new(),
            cut: 0,
            decoder: Decoder::default(),
            transaction: None,
        }
    }

    /// How the connection stands.
    #[must_use]
    pub fn stage(&self) -> Stage {
        match self.link {
            Link::Down { .. } => Stage::Down,
            Link::Connecting => Stage::Connecting,
            Link::Pinged | Link::Introducing(_) | Link::Asked => Stage::Handshake,
            Link::Promised(_) | Link::Copying(..) | Link::Loading(_) => Stage::Copying,
            Link::Streaming => Stage::Streaming,
        }
    }

    /// Since when the data are what the primary's were: now, nearly, while the stream is read; none if
    /// they never were.
    #[must_use]
    pub fn fresh_at(&self) -> Option<Millis> {
        if self.is_streaming() { Some(self.heard_at) } else { self.was_fresh_at }
    }

    pub(crate) fn is_streaming(&self) -> bool {
        self.stage() == Stage::Streaming
    }

    pub(crate) fn is_copying(&self) -> bool {
        self.stage() == Stage::Copying
    }

    fn is_reachable(&self) -> bool {
        matches!(self.address.host, Host::Ip(_)) && self.address.port != 0
    }

    /// Forgets what belongs to one connection.
    fn hang_up(&mut self, retry_at: Millis) {
        self.link = Link::Down { retry_at };
        self.input = Vec::new();
        self.cut = 0;
        self.decoder = Decoder::default();
        self.transaction = None;
        self.awaits_stream = false;
    }
}

/// A request, as the stream counts it.
fn request<'w>(words: impl IntoIterator<Item = &'w [u8]>) -> Vec<u8> {
    let mut bytes = Vec::new();
    Reply::Array(words.into_iter().map(Reply::bulk).collect()).encode(Protocol::Two, &mut bytes);
    bytes
}

fn request_of_text(words: &[&str]) -> Vec<u8> {
    request(words.iter().map(|word| word.as_bytes()))
}

/// What a request of the primary is about.
enum Word {
    Nothing,
    AckWanted,
    Begin,
    End,
    /// Another database, which this node does not have.
    Elsewhere,
    Command(OwnedArgs),
}

impl Word {
    fn of(args: Args<'_>) -> Self {
        let is = |at: usize, word: &str| args.at(at).eq_ignore_ascii_case(word.as_bytes());
        match args.len() {
            1 if is(0, "ping") => Self::Nothing,
            1 if is(0, "multi") => Self::Begin,
            1 if is(0, "exec") => Self::End,
            2 if is(0, "select") && args.at(1) == b"0" => Self::Nothing,
            2 if is(0, "select") => Self::Elsewhere,
            3 if is(0, "replconf") && is(1, "getack") => Self::AckWanted,
            _ if is(0, "replconf") => Self::Nothing,
            _ => Self::Command(args.to_owned()),
        }
    }
}

impl Turn<'_> {
    pub(crate) fn follow(&mut self, primary: NodeId, address: Address, shard: NodeId) {
        let former = self.state.upstream.take();
        if former.as_ref().is_some_and(|former| former.primary == primary && former.address == address) {
            self.state.upstream = former;
            return;
        }
        if former.is_some() {
            self.perform(Effect::Disconnect);
        }
        let mut upstream = Upstream::new(primary, address, shard, self.now);
        upstream.was_fresh_at = former.and_then(|former| match former.primary == primary {
            true => former.fresh_at(),
            false => Standing::fresh_after(former.fresh_at(), Some(former.shard), shard),
        });
        self.state.upstream = Some(upstream);
        self.attempt();
    }

    fn attempt(&mut self) {
        let Some(upstream) = &mut self.state.upstream else { return };
        if !upstream.is_reachable() {
            upstream.link = Link::Down { retry_at: self.now.after(RETRY_MS) };
            return;
        }
        upstream.link = Link::Connecting;
        upstream.heard_at = self.now;
        let address = upstream.address.clone();
        self.perform(Effect::Connect(address));
    }

    /// Ends the connection, and has another attempt made later.
    fn hang_up(&mut self, patience_ms: u64) {
        let Some(upstream) = &mut self.state.upstream else { return };
        if upstream.is_streaming() {
            upstream.was_fresh_at = Some(self.now);
        }
        upstream.hang_up(self.now.after(patience_ms));
        self.perform(Effect::Disconnect);
    }

    pub(crate) fn connected(&mut self) {
        let Some(upstream) = self.state.upstream.as_mut().filter(|upstream| upstream.stage() == Stage::Connecting)
        else {
            return;
        };
        upstream.link = Link::Pinged;
        upstream.heard_at = self.now;
        self.perform(Effect::Send(request_of_text(&["PING"])));
    }

    pub(crate) fn lost(&mut self) {
        let Some(upstream) = &self.state.upstream else { return };
        let was_streaming = upstream.is_streaming();
        if was_streaming {
            self.perform(Effect::Tell(Note::PrimaryLost));
        }
        self.hang_up(if was_streaming { 0 } else { RETRY_MS });
    }

    /// What is here is not what the stream says: only a copy helps.
    pub(crate) fn out_of_step(&mut self) {
        self.state.needs_copy = true;
        self.hang_up(RETRY_MS);
    }

    fn confused(&mut self, what: impl Into<String>) {
        self.perform(Effect::Tell(Note::PrimaryConfused(what.into())));
        self.hang_up(RETRY_MS);
    }

    pub(crate) fn tick_upstream(&mut self) {
        let Some(upstream) = &self.state.upstream else { return };
        let is_silent = self.now.since(upstream.heard_at) > self.state.config.timeout_ms;
        match upstream.link {
            Link::Down { retry_at } if retry_at <= self.now => self.attempt(),
            Link::Down { .. } => {}
            _ if is_silent => {
                self.perform(Effect::Tell(Note::PrimarySilent));
                self.hang_up(RETRY_MS);
            }
            _ if upstream.next_sign_at > self.now => {}
            Link::Streaming => self.acknowledge(),
            // A primary that sends a copy wants to see that somebody is there.
            Link::Copying(..) => {
                self.sign_later();
                self.perform(Effect::Send(b"\n".to_vec()));
            }
            Link::Connecting
            | Link::Pinged
            | Link::Introducing(_)
            | Link::Asked
            | Link::Promised(_)
            | Link::Loading(_) => {}
        }
    }

    fn sign_later(&mut self) {
        if let Some(upstream) = &mut self.state.upstream {
            upstream.next_sign_at = self.now.after(if upstream.awaits_stream { FIRST_ACK_MS } else { ACK_MS });
        }
    }

    fn acknowledge(&mut self) {
        self.sign_later();
        let offset = self.state.history.offset.to_string();
        self.perform(Effect::Send(request_of_text(&["REPLCONF", "ACK", &offset])));
    }

    pub(crate) fn received(&mut self, bytes: &[u8]) {
        let Some(upstream) = &mut self.state.upstream else { return };
        upstream.heard_at = self.now;
        upstream.awaits_stream = false;
        upstream.input.extend_from_slice(bytes);
        while self.advance() {}
    }

    /// Takes one line, one part of the copy, or every request that is complete; says whether there may
    /// be more to take.
    fn advance(&mut self) -> bool {
        let Some(upstream) = &mut self.state.upstream else { return false };
        match &upstream.link {
            Link::Down { .. } | Link::Connecting | Link::Loading(_) => return false,
            Link::Copying(..) => return self.take_part(),
            Link::Streaming => {
                self.take_requests();
                return false;
            }
            Link::Pinged | Link::Introducing(_) | Link::Asked | Link::Promised(_) => {}
        }
        let Some(end) = memchr::memchr(b'\n', &upstream.input) else {
            if upstream.input.len() > LINE_MAX {
                self.confused("a line does not end");
            }
            return false;
        };
        let line: Vec<u8> = upstream.input.drain(..=end).collect();
        let line = line.trim_ascii();
        // Empty lines only say that the primary is still there.
        if !line.is_empty() {
            self.take_line(line);
        }
        true
    }

    fn take_line(&mut self, line: &[u8]) {
        let Some(upstream) = &mut self.state.upstream else { return };
        match &mut upstream.link {
            Link::Pinged => self.greeted(line),
            Link::Introducing(questions) => match questions.pop_front() {
                Some(question) => self.answered(question, line),
                None => self.confused("it answers what it was not asked"),
            },
            Link::Asked => self.told_place(line),
            Link::Promised(place) => match (Transfer::announced(line), *place) {
                (Some(transfer), place) => {
                    upstream.link = Link::Copying(place, transfer);
                    self.perform(Effect::BeginLoad);
                }
                (None, _) => self.confused(shown("it announces a copy with", line)),
            },
            Link::Down { .. } | Link::Connecting | Link::Copying(..) | Link::Loading(_) | Link::Streaming => {}
        }
    }

    /// The primary answers at all, if only that it wants a password.
    fn greeted(&mut self, line: &[u8]) {
        let is_alive = [b"+".as_slice(), b"-NOAUTH", b"-NOPERM"].iter().any(|prefix| line.starts_with(prefix))
            || line.starts_with(b"-ERR operation not permitted");
        if !is_alive {
            return self.refused(line);
        }
        let (requests, questions) = self.introduction();
        self.perform(Effect::Send(requests));
        if let Some(upstream) = &mut self.state.upstream {
            upstream.link = Link::Introducing(questions);
        }
    }

    fn introduction(&self) -> (Vec<u8>, VecDeque<Question>) {
        let config = &self.state.config;
        let port = config.announced_port.to_string();
        let (mut bytes, mut questions) = (Vec::new(), VecDeque::new());
        let mut ask = |question, words: &[&str]| {
            bytes.extend(request_of_text(words));
            questions.push_back(question);
        };
        match (config.user.as_str(), config.password.as_str()) {
            (_, "") => {}
            ("", password) => ask(Question::Password, &["AUTH", password]),
            (user, password) => ask(Question::Password, &["AUTH", user, password]),
        }
        ask(Question::Detail, &["REPLCONF", "listening-port", &port]);
        if !config.announced_ip.is_empty() {
            ask(Question::Detail, &["REPLCONF", "ip-address", &config.announced_ip]);
        }
        ask(Question::Detail, &["REPLCONF", "capa", "eof", "capa", "psync2"]);
        (bytes, questions)
    }

    /// A primary that does not know a detail may still have the stream.
    fn answered(&mut self, question: Question, line: &[u8]) {
        if line.starts_with(b"-") && question == Question::Password {
            return self.refused(line);
        }
        let history = self.state.history;
        let Some(upstream) = &mut self.state.upstream else { return };
        if !matches!(&upstream.link, Link::Introducing(questions) if questions.is_empty()) {
            return;
        }
        upstream.link = Link::Asked;
        let (known_as, next) = (history.known_as(), (history.offset + 1).to_string());
        let words = if self.state.needs_copy { ["PSYNC", "?", "-1"] } else { ["PSYNC", known_as.as_str(), &next] };
        let bytes = request_of_text(&words);
        self.perform(Effect::Send(bytes));
    }

    fn refused(&mut self, line: &[u8]) {
        self.perform(Effect::Tell(Note::PrimaryRefuses(String::from_utf8_lossy(line).into_owned())));
        self.hang_up(RETRY_MS);
    }

    /// The primary says from where it goes on.
    fn told_place(&mut self, line: &[u8]) {
        let words: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
        match words.as_slice() {
            [b"+FULLRESYNC", id, offset] => match (StreamId::parse(id), parse_offset(offset)) {
                (Some(id), Some(offset)) => self.promised(Place { id, offset }),
                _ => self.confused(shown("it names a stream", line)),
            },
            [b"+CONTINUE"] if !self.state.needs_copy => self.continued(self.state.history.known_as()),
            [b"+CONTINUE", id] if !self.state.needs_copy => match StreamId::parse(id) {
                Some(id) => self.continued(id),
                None => self.confused(shown("it names a stream", line)),
            },
            _ => self.refused(line),
        }
    }

    fn promised(&mut self, place: Place) {
        if let Some(upstream) = &mut self.state.upstream {
            upstream.link = Link::Promised(place);
        }
        self.perform(Effect::Tell(Note::FullCopy(place.id, place.offset)));
    }

    fn continued(&mut self, id: StreamId) {
        if id != self.state.history.id {
            self.rename_stream(id);
        }
        self.perform(Effect::Tell(Note::Continued(id)));
        self.begin_stream();
    }

    fn begin_stream(&mut self) {
        self.state.is_active = true;
        if let Some(upstream) = &mut self.state.upstream {
            upstream.link = Link::Streaming;
            upstream.heard_at = self.now;
        }
        self.acknowledge();
    }

    fn take_part(&mut self) -> bool {
        let Some(upstream) = &mut self.state.upstream else { return false };
        let Link::Copying(place, transfer) = &mut upstream.link else { return false };
        let place = *place;
        let (copy, used, is_complete) = transfer.take(&upstream.input);
        upstream.input.drain(..used);
        if is_complete {
            upstream.link = Link::Loading(place);
        }
        if !copy.is_empty() {
            self.perform(Effect::Load(copy));
        }
        if is_complete {
            self.perform(Effect::EndLoad);
        }
        false
    }

    pub(crate) fn loaded(&mut self) {
        let Some(Link::Loading(place)) = self.state.upstream.as_ref().map(|upstream| &upstream.link) else { return };
        let place = *place;
        self.state.needs_copy = false;
        if let Some(upstream) = &mut self.state.upstream {
            upstream.awaits_stream = upstream.input.is_empty();
        }
        self.restart_stream(place.id, place.offset);
        self.perform(Effect::Tell(Note::InStep));
        self.begin_stream();
        self.take_requests();
    }

    /// Carries out every request that is complete, and every transaction. A byte counts once what it
    /// belongs to is carried out.
    fn take_requests(&mut self) {
        let Some(upstream) = &mut self.state.upstream else { return };
        let input = std::mem::take(&mut upstream.input);
        let outcome = self.cut_requests(&input);
        let Some(upstream) = &mut self.state.upstream else { return };
        match outcome {
            Ok(used) => {
                upstream.cut -= used;
                upstream.input = input;
                upstream.input.drain(..used);
                if upstream.input.len() > self.state.config.transaction_max {
                    self.unreadable("a request or a transaction does not end");
                }
            }
            Err(what) => self.unreadable(what),
        }
    }

    fn unreadable(&mut self, what: impl Into<String>) {
        self.perform(Effect::Tell(Note::PrimaryConfused(what.into())));
        self.out_of_step();
    }

    /// Cuts the stream into requests; says how many bytes are done with.
    fn cut_requests(&mut self, input: &[u8]) -> Result<usize, String> {
        let limits = self.state.config.request;
        let mut done = 0;
        while let Some(upstream) = &mut self.state.upstream {
            let rest = &input[upstream.cut..];
            let progress = upstream.decoder.decode(rest, limits).map_err(|error: ProtocolError| error.to_string())?;
            let word = match progress {
                Progress::More => break,
                Progress::Nothing(length) => {
                    upstream.cut += length;
                    Word::Nothing
                }
                Progress::Request(length) => {
                    upstream.cut += length;
                    Word::of(upstream.decoder.args(&rest[..length]))
                }
            };
            let cut = upstream.cut;
            if self.take_word(word, &input[done..cut])? {
                done = cut;
            }
        }
        Ok(done)
    }

    /// Takes one request, the last of these bytes; says whether they are done with.
    fn take_word(&mut self, word: Word, bytes: &[u8]) -> Result<bool, String> {
        let Some(upstream) = &mut self.state.upstream else { return Ok(true) };
        let requests = match (word, &mut upstream.transaction) {
            (Word::Elsewhere, _) => return Err("it writes to a database that this node does not have".into()),
            (Word::Begin, Some(_)) => return Err("a transaction begins within another".into()),
            (Word::End, None) => return Err("a transaction ends that never began".into()),
            (Word::Begin, None) => {
                upstream.transaction = Some(Vec::new());
                return Ok(false);
            }
            (Word::Command(args), Some(requests)) => {
                requests.push(args);
                return Ok(false);
            }
            (Word::Nothing | Word::AckWanted, Some(_)) => return Ok(false),
            (Word::End, Some(requests)) => std::mem::take(requests),
            (Word::Command(args), None) => vec![args],
            (Word::Nothing, None) => vec![],
            (Word::AckWanted, None) => {
                self.extend_stream(bytes);
                self.acknowledge();
                return Ok(true);
            }
        };
        upstream.transaction = None;
        if !requests.is_empty() {
            self.perform(Effect::Apply(requests));
        }
        self.extend_stream(bytes);
        Ok(true)
    }
}

fn parse_offset(text: &[u8]) -> Option<u64> {
    parse_i64(text).and_then(|offset| u64::try_from(offset).ok())
}

/// A line of the primary, as the log shows it.
fn shown(what: &str, line: &[u8]) -> String {
    const SHOWN_MAX: usize = 128;
    format!("{what} '{}'", String::from_utf8_lossy(&line[..line.len().min(SHOWN_MAX)]))
}
