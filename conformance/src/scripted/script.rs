//! The language of scripts: a text becomes a [`Script`], or an error that names its line. Knows
//! nothing of servers and sockets. The language is described in [`super`].

use super::{
    cast::ME,
    field::{self, Field, Rumor},
    peer::Via,
};
use slotbus_core::{NodeId, Rule, message::KIND_NAMES};
use std::time::Duration;

/// One script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Its file's name without the ending.
    pub name: String,
    /// The rules that it shows: each of them fires.
    pub rules: Vec<Rule>,
    /// The rules that it shows the limits of: none of them fires.
    pub never: Vec<Rule>,
    /// Why the two servers differ, if they do so on purpose.
    pub diverges: Option<String>,
    /// The servers under test: the first is the one that verbs are about unless they say otherwise.
    pub servers: Vec<ServerSpec>,
    /// The peers, in the order of their declarations.
    pub peers: Vec<PeerSpec>,
    /// What happens.
    pub steps: Vec<Step>,
}

/// How a server under test starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerSpec {
    /// What the script calls it; `me` if it does not say.
    pub name: String,
    /// Whether the other servers know it from the start.
    pub is_known: bool,
    /// Whether the others reach its bus through a relay, which can hold and cut what passes.
    pub is_relayed: bool,
    /// Its id; without one it starts without nodes.conf.
    pub id: Option<NodeId>,
    /// `cluster-node-timeout`.
    pub timeout_ms: Option<u64>,
    /// `voted=3`: the last epoch in which it voted.
    pub voted: u64,
    /// Epochs, slots and the like, for nodes.conf.
    pub fields: Vec<Field>,
    /// Directives of its command line.
    pub directives: Vec<String>,
}

/// One peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerSpec {
    /// What the script calls it.
    pub name: String,
    /// Its id.
    pub id: NodeId,
    /// What its headers say.
    pub fields: Vec<Field>,
    /// Whether the server knows it from the start.
    pub is_known: bool,
    /// Whether it does not listen at the start.
    pub is_absent: bool,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The line's number in the file.
    pub line: usize,
    /// The line.
    pub text: String,
    /// What it asks for.
    pub verb: Verb,
    /// What the two servers show instead of the same, if they differ here on purpose.
    pub recorded: Recorded,
}

/// What the two servers show where they differ on purpose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// `redis:` lines.
    pub redis: Vec<String>,
    /// `slotbus:` lines.
    pub slotbus: Vec<String>,
    /// `model:` lines: what is shown under the profile that follows redis-server, where even that differs.
    pub model: Vec<String>,
}

impl Recorded {
    /// Whether nothing is recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.redis.is_empty() && self.slotbus.is_empty()
    }
}

/// What is to be heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// Which kind of thing.
    pub kind: PatternKind,
    /// What it must say.
    pub fields: Vec<Field>,
}

/// Which kind of thing is to be heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternKind {
    /// A message of this code.
    Message(u16),
    /// A new connection.
    Opened,
    /// The end of a connection.
    Closed,
    /// A packet that cannot be read.
    Malformed,
}

/// What is to be seen of one node in CLUSTER NODES.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// `fail?`: this flag. `known` is any line about the node.
    Flag(String),
    /// `!fail?`: not this flag. `!known` is no line about the node.
    NoFlag(String),
    /// `epoch=3`.
    Epoch(String),
    /// `of=a`, `of=-`.
    Of(String),
    /// `slots=0-9,12`, `slots=none`.
    Slots(String),
    /// `pong`: the time of its last answer is known.
    Pong,
}

/// What becomes of what one server says to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It waits.
    Hold,
    /// It arrives, with what has waited.
    Pass,
    /// The connections between the two break, and what has waited is lost.
    Cut,
}

/// What a line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// `start`: starts the server, and links it with every peer that it knows and that listens.
    Start,
    /// `a sends ping key=value...`.
    Send {
        /// Who sends.
        peer: String,
        /// The code of the message.
        kind: u16,
        /// What differs from the sender's standing.
        fields: Vec<Field>,
    },
    /// `a sends-bytes own 52436d62`.
    SendBytes {
        /// Who sends.
        peer: String,
        /// On which connection.
        via: Via,
        /// What.
        bytes: Vec<u8>,
    },
    /// `a becomes key=value...`: what its headers say from now on.
    Become {
        /// Who.
        peer: String,
        /// What changes.
        fields: Vec<Field>,
    },
    /// `a gossips b:fail`: what its heartbeats say from now on.
    Gossip {
        /// Who.
        peer: String,
        /// What of others.
        rumors: Vec<Rumor>,
    },
    /// `a mutes`, `a answers`.
    Answering {
        /// Who.
        peer: String,
        /// Whether it answers PING.
        answers: bool,
    },
    /// `a leaves`, `a returns`.
    Listening {
        /// Who.
        peer: String,
        /// Whether it listens.
        listens: bool,
    },
    /// `a calls`: opens its own connection.
    Call {
        /// Who.
        peer: String,
    },
    /// `a hangs-up theirs`.
    HangUp {
        /// Who.
        peer: String,
        /// Which connection.
        via: Via,
    },
    /// `drain a`: forgets what it heard.
    Drain {
        /// Who.
        peer: String,
    },
    /// `expect a pong within 500`.
    Expect {
        /// Who hears.
        peer: String,
        /// What.
        pattern: Pattern,
        /// How soon.
        within: Duration,
    },
    /// `expect a no pong for 500`: neither before nor in that time.
    ExpectNone {
        /// Who does not hear.
        peer: String,
        /// What.
        pattern: Pattern,
        /// For how long.
        time: Duration,
    },
    /// `collect a for 200`: all that it heard and nobody took, but for PINGs and the answers to its own.
    Collect {
        /// Who hears.
        peer: String,
        /// For how long.
        time: Duration,
    },
    /// `command CLUSTER FORGET $b`.
    Command(Vec<String>),
    /// `nodes a b`: these lines of CLUSTER NODES; all without names.
    Nodes(Vec<String>),
    /// `info cluster_state`: these fields of CLUSTER INFO.
    Info(Vec<String>),
    /// `await b fail within 3000`.
    AwaitNode {
        /// Whose line.
        name: String,
        /// What it must show.
        sights: Vec<Sight>,
        /// How soon.
        within: Duration,
    },
    /// `await-info cluster_state=ok within 3000`.
    AwaitInfo {
        /// Which field.
        field: String,
        /// What it must show.
        value: String,
        /// How soon.
        within: Duration,
    },
    /// `await-reply OK SET k v within 1000`: the command is repeated until its reply begins so.
    AwaitReply {
        /// The beginning.
        start: String,
        /// The command.
        words: Vec<String>,
        /// How soon.
        within: Duration,
    },
    /// `saved`: what nodes.conf holds.
    Saved,
    /// `links`: the directions and names of CLUSTER LINKS.
    Links,
    /// `listen SUBSCRIBE news`: a second client connection, which sends this and only hears.
    Listen(Vec<String>),
    /// `hear within 500`: the next thing that the second client hears.
    Hear(Duration),
    /// `hear nothing for 500`.
    HearNothing(Duration),
    /// `kill`.
    Kill,
    /// `restart`.
    Restart,
    /// `keep-disk`: a copy of nodes.conf is kept.
    KeepDisk,
    /// `restore-disk`: the process is killed, and the copy takes the place of its nodes.conf.
    RestoreDisk,
    /// `at b VERB...`: the verb is about another server.
    At {
        /// Which server.
        server: String,
        /// What is asked for there.
        verb: Box<Verb>,
    },
    /// `hold b c`, `pass b c`, `cut b c`: what becomes of what one server says to another.
    Link {
        /// What becomes of it.
        fate: Fate,
        /// Who speaks.
        from: String,
        /// To whom.
        to: String,
    },
    /// `sleep 300`.
    Sleep(Duration),
}

impl Script {
    /// Reads a script.
    pub fn parse(name: &str, text: &str) -> Result<Self, String> {
        let mut script = Self {
            name: name.to_owned(),
            rules: Vec::new(),
            never: Vec::new(),
            diverges: None,
            servers: Vec::new(),
            peers: Vec::new(),
            steps: Vec::new(),
        };
        for (index, line) in text.lines().enumerate() {
            let at = |error| format!("{name}, line {}: {error}", index + 1);
            script.read_line(index + 1, line.trim()).map_err(at)?;
        }
        if script.rules.is_empty() && script.never.is_empty() {
            return Err(format!("{name} names no rules"));
        }
        if script.servers.is_empty() {
            script.servers.push(server(&[])?);
        }
        let records = script.steps.iter().any(|step| !step.recorded.is_empty());
        if records != script.diverges.is_some() {
            return Err(format!("{name}: a divergence needs both a reason and a record"));
        }
        Ok(script)
    }

    fn read_line(&mut self, number: usize, line: &str) -> Result<(), String> {
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if let Some(ids) = line.strip_prefix("rules:") {
            self.rules = rules(ids)?;
            return Ok(());
        }
        if let Some(ids) = line.strip_prefix("never:") {
            self.never = rules(ids)?;
            return Ok(());
        }
        if let Some(reason) = line.strip_prefix("diverges:") {
            self.diverges = Some(reason.trim().to_owned());
            return Ok(());
        }
        if let Some(shown) = line.strip_prefix("redis:") {
            self.last_record()?.redis.push(shown.trim().to_owned());
            return Ok(());
        }
        if let Some(shown) = line.strip_prefix("slotbus:") {
            self.last_record()?.slotbus.push(shown.trim().to_owned());
            return Ok(());
        }
        if let Some(shown) = line.strip_prefix("model:") {
            self.last_record()?.model.push(shown.trim().to_owned());
            return Ok(());
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["server", rest @ ..] => self.servers.push(server(rest)?),
            ["peer", name, rest @ ..] => self.peers.push(peer(name, rest)?),
            _ => {
                let verb = verb(&words)?;
                self.check_names(&verb)?;
                self.steps.push(Step { line: number, text: line.to_owned(), verb, recorded: Recorded::default() });
            }
        }
        Ok(())
    }

    fn last_record(&mut self) -> Result<&mut Recorded, String> {
        self.steps.last_mut().map(|step| &mut step.recorded).ok_or_else(|| "there is nothing to record yet".to_owned())
    }

    fn check_names(&self, verb: &Verb) -> Result<(), String> {
        let is_server = |name: &String| self.servers.iter().any(|server| server.name == *name);
        if let Some(name) = servers_of(verb).into_iter().find(|name| !is_server(name)) {
            return Err(format!("there is no server {name}"));
        }
        match actor(verb) {
            Some(name) if self.peers.iter().all(|peer| peer.name != name) => Err(format!("there is no peer {name}")),
            Some(_) | None => Ok(()),
        }
    }
}

/// The servers that a verb names.
fn servers_of(verb: &Verb) -> Vec<&String> {
    if let Verb::At { server, .. } = verb {
        return vec![server];
    }
    if let Verb::Link { from, to, .. } = verb { vec![from, to] } else { Vec::new() }
}

/// The peer that a verb is about.
fn actor(verb: &Verb) -> Option<&str> {
    match verb {
        Verb::Send { peer, .. }
        | Verb::SendBytes { peer, .. }
        | Verb::Become { peer, .. }
        | Verb::Gossip { peer, .. }
        | Verb::Answering { peer, .. }
        | Verb::Listening { peer, .. }
        | Verb::Call { peer }
        | Verb::HangUp { peer, .. }
        | Verb::Drain { peer }
        | Verb::Collect { peer, .. }
        | Verb::Expect { peer, .. }
        | Verb::ExpectNone { peer, .. } => Some(peer),
        Verb::At { verb, .. } => actor(verb),
        Verb::Start
        | Verb::Command(_)
        | Verb::Nodes(_)
        | Verb::Info(_)
        | Verb::AwaitNode { .. }
        | Verb::AwaitInfo { .. }
        | Verb::AwaitReply { .. }
        | Verb::Saved
        | Verb::Links
        | Verb::Listen(_)
        | Verb::Hear(_)
        | Verb::HearNothing(_)
        | Verb::Kill
        | Verb::Restart
        | Verb::KeepDisk
        | Verb::RestoreDisk
        | Verb::Link { .. }
        | Verb::Sleep(_) => None,
    }
}

fn rules(ids: &str) -> Result<Vec<Rule>, String> {
    ids.split_whitespace().map(rule).collect()
}

fn rule(id: &str) -> Result<Rule, String> {
    id.parse().map_err(|error| format!("{id}: {error}"))
}

fn server(words: &[&str]) -> Result<ServerSpec, String> {
    let directives = words.iter().position(|word| word.starts_with("--")).unwrap_or(words.len());
    let (words, directives) = words.split_at(directives);
    let mut spec = ServerSpec { name: ME.to_owned(), directives: owned(directives), ..ServerSpec::default() };
    for word in words {
        match word.split_once('=') {
            None if *word == "known" => spec.is_known = true,
            None if *word == "relayed" => spec.is_relayed = true,
            None => spec.name = (*word).to_owned(),
            Some(("id", digits)) => spec.id = Some(field::id(digits)?),
            Some(("timeout", value)) => spec.timeout_ms = Some(field::number(value)?),
            Some(("voted", value)) => spec.voted = field::number(value)?,
            Some(_) => spec.fields.push(Field::parse(word)?),
        }
    }
    Ok(spec)
}

fn peer(name: &str, words: &[&str]) -> Result<PeerSpec, String> {
    let mut id = None;
    let (mut fields, mut is_known, mut is_absent) = (Vec::new(), false, false);
    for word in words {
        match *word {
            "known" => is_known = true,
            "absent" => is_absent = true,
            _ => match word.split_once('=') {
                Some(("id", digits)) => id = Some(field::id(digits)?),
                Some(_) | None => fields.push(Field::parse(word)?),
            },
        }
    }
    let id = id.ok_or_else(|| format!("peer {name} needs an id="))?;
    Ok(PeerSpec { name: name.to_owned(), id, fields, is_known, is_absent })
}

fn verb(words: &[&str]) -> Result<Verb, String> {
    match words {
        ["start"] => Ok(Verb::Start),
        ["kill"] => Ok(Verb::Kill),
        ["restart"] => Ok(Verb::Restart),
        ["keep-disk"] => Ok(Verb::KeepDisk),
        ["restore-disk"] => Ok(Verb::RestoreDisk),
        ["at", server, rest @ ..] => Ok(Verb::At { server: (*server).to_owned(), verb: Box::new(verb(rest)?) }),
        ["hold", from, to] => Ok(link(Fate::Hold, from, to)),
        ["pass", from, to] => Ok(link(Fate::Pass, from, to)),
        ["cut", from, to] => Ok(link(Fate::Cut, from, to)),
        ["saved"] => Ok(Verb::Saved),
        ["links"] => Ok(Verb::Links),
        ["sleep", time] => millis(time).map(Verb::Sleep),
        ["drain", peer] => Ok(Verb::Drain { peer: (*peer).to_owned() }),
        ["collect", peer, "for", time] => Ok(Verb::Collect { peer: (*peer).to_owned(), time: millis(time)? }),
        ["command", words @ ..] if !words.is_empty() => Ok(Verb::Command(owned(words))),
        ["listen", words @ ..] if !words.is_empty() => Ok(Verb::Listen(owned(words))),
        ["hear", "within", time] => millis(time).map(Verb::Hear),
        ["hear", "nothing", "for", time] => millis(time).map(Verb::HearNothing),
        ["nodes", names @ ..] => Ok(Verb::Nodes(owned(names))),
        ["info", fields @ ..] if !fields.is_empty() => Ok(Verb::Info(owned(fields))),
        ["expect", peer, "no", kind, fields @ .., "for", time] => {
            Ok(Verb::ExpectNone { peer: (*peer).to_owned(), pattern: pattern(kind, fields)?, time: millis(time)? })
        }
        ["expect", peer, kind, fields @ .., "within", time] => {
            Ok(Verb::Expect { peer: (*peer).to_owned(), pattern: pattern(kind, fields)?, within: millis(time)? })
        }
        ["await", name, sights @ .., "within", time] => Ok(Verb::AwaitNode {
            name: (*name).to_owned(),
            sights: sights.iter().map(|word| sight(word)).collect(),
            within: millis(time)?,
        }),
        ["await-info", word, "within", time] => {
            let (field, value) = word.split_once('=').ok_or_else(|| format!("{word} is no field=value"))?;
            Ok(Verb::AwaitInfo { field: field.to_owned(), value: value.to_owned(), within: millis(time)? })
        }
        ["await-reply", start, words @ .., "within", time] => {
            Ok(Verb::AwaitReply { start: (*start).to_owned(), words: owned(words), within: millis(time)? })
        }
        [peer, rest @ ..] => peer_verb((*peer).to_owned(), rest),
        [] => Err("an empty line".to_owned()),
    }
}

fn link(fate: Fate, from: &str, to: &str) -> Verb {
    Verb::Link { fate, from: from.to_owned(), to: to.to_owned() }
}

fn peer_verb(peer: String, words: &[&str]) -> Result<Verb, String> {
    match words {
        ["sends", kind, fields @ ..] => Ok(Verb::Send { peer, kind: kind_code(kind)?, fields: parse_fields(fields)? }),
        ["sends-bytes", via, digits] => Ok(Verb::SendBytes { peer, via: field::via(via)?, bytes: field::hex(digits)? }),
        ["becomes", fields @ ..] => Ok(Verb::Become { peer, fields: parse_fields(fields)? }),
        ["gossips", rumors] => Ok(Verb::Gossip { peer, rumors: field::rumors(rumors)? }),
        ["mutes"] => Ok(Verb::Answering { peer, answers: false }),
        ["answers"] => Ok(Verb::Answering { peer, answers: true }),
        ["leaves"] => Ok(Verb::Listening { peer, listens: false }),
        ["returns"] => Ok(Verb::Listening { peer, listens: true }),
        ["calls"] => Ok(Verb::Call { peer }),
        ["hangs-up", via] => Ok(Verb::HangUp { peer, via: field::via(via)? }),
        _ => Err(format!("cannot read: {peer} {}", words.join(" "))),
    }
}

fn pattern(kind: &str, fields: &[&str]) -> Result<Pattern, String> {
    let kind = match kind {
        "opened" => PatternKind::Opened,
        "closed" => PatternKind::Closed,
        "malformed" => PatternKind::Malformed,
        _ => PatternKind::Message(kind_code(kind)?),
    };
    Ok(Pattern { kind, fields: parse_fields(fields)? })
}

fn kind_code(name: &str) -> Result<u16, String> {
    let index = KIND_NAMES.iter().position(|kind| *kind == name);
    index.and_then(|index| u16::try_from(index).ok()).ok_or_else(|| format!("there is no message {name}"))
}

fn sight(word: &str) -> Sight {
    match (word, word.split_once('=')) {
        ("pong", _) => Sight::Pong,
        (_, Some(("epoch", value))) => Sight::Epoch(value.to_owned()),
        (_, Some(("of", value))) => Sight::Of(value.to_owned()),
        (_, Some(("slots", value))) => Sight::Slots(value.to_owned()),
        (_, Some(_) | None) => match word.strip_prefix('!') {
            Some(flag) => Sight::NoFlag(flag.to_owned()),
            None => Sight::Flag(word.to_owned()),
        },
    }
}

fn parse_fields(words: &[&str]) -> Result<Vec<Field>, String> {
    words.iter().map(|word| Field::parse(word)).collect()
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn millis(text: &str) -> Result<Duration, String> {
    field::number(text).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Script, String> {
        Script::parse("test", text)
    }

    #[test]
    fn a_script_is_read() {
        let text = "# a comment\nrules: PING-3 HEALTH-1\npeer a id=1 epoch=2 slots=0-3,7 known\n\
                    server id=5 timeout=1000 --port 1\nstart\na sends ping current=3 via=theirs\n\
                    expect a pong flags=primary within 500";
        let script = parse(text).expect("a script");
        assert_eq!(script.rules, [Rule::PingAnswered, Rule::HealthSuspected]);
        assert_eq!(script.servers[0].directives, ["--port", "1"]);
        assert!(script.peers[0].is_known && script.peers[0].id == NodeId([0x11; 20]));
        assert_eq!(script.steps.len(), 3);
        assert_eq!(script.steps[1].line, 6);
        let fields = vec![Field::Current(3), Field::Via(Via::Theirs)];
        assert_eq!(script.steps[1].verb, Verb::Send { peer: "a".to_owned(), kind: 0, fields });
    }

    #[test]
    fn there_may_be_several_servers() {
        let text = "rules: PING-1\nserver id=5 known\nserver b id=2 relayed --port 1\nhold b me\nat b kill";
        let script = parse(text).expect("a script");
        assert_eq!(script.servers.iter().map(|server| server.name.as_str()).collect::<Vec<_>>(), ["me", "b"]);
        assert!(script.servers[0].is_known && script.servers[1].is_relayed);
        assert_eq!(script.steps[0].verb, link(Fate::Hold, "b", "me"));
        assert_eq!(script.steps[1].verb, Verb::At { server: "b".to_owned(), verb: Box::new(Verb::Kill) });
        assert_eq!(parse(&format!("{text}\nat c kill")), Err("test, line 6: there is no server c".to_owned()));
    }

    #[test]
    fn errors_name_the_line() {
        for (line, error) in [
            ("b sends ping", "there is no peer b"),
            ("expect a gong within 5", "there is no message gong"),
            ("a sends ping colour=3", "there is no colour="),
            ("a sends ping epoch=x", "x is no number"),
            ("a sends ping slots=9-3", "9-3 is no run of slots"),
            ("a dances", "cannot read: a dances"),
            ("peer b", "peer b needs an id="),
            ("rules: PING-99", "PING-99: no rule has this id"),
        ] {
            let text = format!("rules: PING-1\npeer a id=1\n{line}");
            assert_eq!(parse(&text), Err(format!("test, line 3: {error}")));
        }
    }

    #[test]
    fn a_divergence_needs_a_reason() {
        let text = "rules: PING-1\nserver\nnodes\n  redis: a\n  slotbus: b\n";
        assert!(parse(text).is_err());
        assert!(parse(&format!("diverges: because\n{text}")).is_ok());
        assert!(parse("diverges: because\nrules: PING-1\nserver\nnodes").is_err());
    }
}
