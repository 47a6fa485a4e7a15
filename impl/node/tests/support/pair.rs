//! A node and a redis-server that are asked the same.

use super::{Client, NODE, REDIS, Request, Server, likeness::is_alike, reply::Reply, request, text};
use slotbus_wire::words;

/// What differs between two servers that say the same thing.
struct Masks(Vec<(String, &'static str)>);

impl Masks {
    fn of(server: &Server) -> Self {
        let reply = server.client().ask("CLUSTER MYID");
        let mut masks = vec![
            ((server.port + 10_000).to_string(), "<bus-port>"),
            (server.port.to_string(), "<port>"),
            (server.folder().to_str().unwrap().to_owned(), "<folder>"),
        ];
        masks.extend(reply.lines().nth(1).map(|id| (id.to_owned(), "<id>")));
        Self(masks)
    }

    /// A reply without what is known to differ.
    fn apply(&self, reply: Reply) -> Reply {
        match reply {
            Reply::Plain(bytes) => Reply::Plain(self.apply_to(bytes)),
            Reply::Parts(kind, parts) => Reply::Parts(kind, parts.into_iter().map(|part| self.apply(part)).collect()),
        }
    }

    fn apply_to(&self, bytes: Vec<u8>) -> Vec<u8> {
        let has = |mask: &str| bytes.windows(mask.len()).any(|bytes| bytes == mask.as_bytes());
        if !self.0.iter().any(|(from, _)| has(from)) {
            return bytes;
        }
        self.0.iter().fold(text(&bytes), |bytes, (from, to)| with_word_replaced(&bytes, from, to)).into_bytes()
    }
}

/// A text with another word in place of one. The digits of a port may well be part of a digest, too.
fn with_word_replaced(text: &str, word: &str, by: &str) -> String {
    let mut parts = text.split(word).peekable();
    let mut replaced = String::new();
    while let Some(part) = parts.next() {
        replaced += part;
        if let Some(next) = parts.peek() {
            let is_inside = part.ends_with(char::is_alphanumeric) || next.starts_with(char::is_alphanumeric);
            replaced += if is_inside { word } else { by };
        }
    }
    replaced
}

/// A node and a redis-server, each with a client.
pub(crate) struct Pair {
    pub(crate) ours: Client,
    pub(crate) theirs: Client,
    masks: [Masks; 2],
    /// What the transaction that is under way holds.
    queued: Vec<Request>,
    servers: [Server; 2],
}

impl Pair {
    pub(crate) fn start(start: impl Fn(&str) -> Server) -> Self {
        let servers = [start(NODE), start(REDIS)];
        let [ours, theirs] = [servers[0].client(), servers[1].client()];
        let masks = [Masks::of(&servers[0]), Masks::of(&servers[1])];
        Self { ours, theirs, masks, queued: Vec::new(), servers }
    }

    /// Connects both clients anew.
    pub(crate) fn reconnect(&mut self) {
        [self.ours, self.theirs] = [self.servers[0].client(), self.servers[1].client()];
        self.queued.clear();
    }

    /// Has both speak the newer protocol.
    pub(crate) fn speak_newer(&mut self) {
        // What HELLO answers names the server.
        self.ours.ask("HELLO 3");
        self.theirs.ask("HELLO 3");
    }

    /// Sends a request to both, and returns both replies, masked; nothing if a connection ends.
    pub(crate) fn ask(&mut self, request: &Request) -> [Option<Reply>; 2] {
        let bytes = bytes_of(request);
        self.ours.send(&bytes);
        self.theirs.send(&bytes);
        let next = |client: &mut Client, masks: &Masks| client.reply().map(|reply| masks.apply(Reply::of(&reply)));
        [next(&mut self.ours, &self.masks[0]), next(&mut self.theirs, &self.masks[1])]
    }

    /// Sends requests to both in one go, and returns all replies, as they are, up to that to a mark behind them.
    pub(crate) fn ask_all(&mut self, requests: &[Request]) -> [Vec<Reply>; 2] {
        const MARK: &str = "the end of these requests";
        let end = request(&[b"ECHO", MARK.as_bytes()]);
        let bytes: Vec<u8> = requests.iter().flat_map(bytes_of).chain(end).collect();
        self.ours.send(&bytes);
        self.theirs.send(&bytes);
        let mark = Reply::Plain(format!("${}\r\n{MARK}\r\n", MARK.len()).into_bytes());
        [&mut self.ours, &mut self.theirs].map(|client| {
            let mut next = || client.reply().map(|reply| Reply::of(&reply));
            std::iter::from_fn(|| next().filter(|reply| *reply != mark)).collect()
        })
    }

    /// Has each server restore what the other one dumps of a key; false if there is no such key.
    pub(crate) fn exchange(&mut self, key: &[u8], copy: &[u8]) -> bool {
        let dump = |client: &mut Client| {
            client.send_request(&[b"DUMP", key]);
            Reply::of(&client.reply().unwrap()).content().map(<[u8]>::to_vec)
        };
        let [Some(ours), Some(theirs)] = [&mut self.ours, &mut self.theirs].map(dump) else { return false };
        for (client, payload) in [(&mut self.ours, theirs), (&mut self.theirs, ours)] {
            client.send_request(&[b"RESTORE", copy, b"0", &payload, b"REPLACE"]);
            assert_eq!(text(&client.reply().unwrap()), "+OK\r\n", "{}", text(key));
        }
        true
    }

    /// Sends a request to both; says how the replies differ if they do.
    pub(crate) fn difference(&mut self, request: &Request) -> Option<String> {
        let [ours, theirs] = self.ask(request);
        let is_same = match (&ours, &theirs) {
            (Some(ours), Some(theirs)) => self.note(request, ours, theirs),
            _ => ours.is_none() && theirs.is_none(),
        };
        (!is_same).then(|| format!("{}\n  ours:   {ours:?}\n  theirs: {theirs:?}", line_of(request)))
    }

    /// Whether the replies to a request, which may have been queued, count as the same.
    pub(crate) fn note(&mut self, request: &Request, ours: &Reply, theirs: &Reply) -> bool {
        let is_same = is_alike(request, &self.queued, ours, theirs);
        if *theirs == Reply::Plain(b"+QUEUED\r\n".to_vec()) {
            self.queued.push(request.clone());
        } else if [b"exec".as_slice(), b"discard", b"reset"].iter().any(|end| request[0].eq_ignore_ascii_case(end)) {
            self.queued.clear();
        }
        is_same
    }

    /// Compares the replies to every line of a list.
    pub(crate) fn compare(&mut self, list: &str) {
        let lines: Vec<&str> = list.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        assert!(!lines.is_empty(), "the list is empty");
        let differences: Vec<String> = lines.iter().filter_map(|line| self.difference(&words_of(line))).collect();
        assert!(differences.is_empty(), "{} of {} differ:\n{}", differences.len(), lines.len(), differences.join("\n"));
    }
}

/// The words of a line in the syntax of redis-cli.
pub(crate) fn words_of(line: &str) -> Request {
    words::split(line.as_bytes()).unwrap_or_else(|error| panic!("{line}: {error}"))
}

/// Sends a line in the syntax of redis-cli.
pub(crate) fn send(client: &mut Client, line: &str) {
    client.send(&bytes_of(&words_of(line)));
}

/// Sends such a line; what is answered.
pub(crate) fn ask(client: &mut Client, line: &str) -> String {
    send(client, line);
    client.reply().map_or_else(|| "nothing: the connection ended".to_owned(), |reply| text(&reply))
}

/// The line of a request.
pub(crate) fn line_of(request: &Request) -> String {
    let quoted = |word: &Vec<u8>| match word.iter().all(|byte| byte.is_ascii_graphic()) && !word.is_empty() {
        true => text(word),
        false => format!("\"{}\"", word.escape_ascii()),
    };
    request.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

/// The bytes of a request.
pub(crate) fn bytes_of(words: &Request) -> Vec<u8> {
    request(&words.iter().map(Vec::as_slice).collect::<Vec<_>>())
}
