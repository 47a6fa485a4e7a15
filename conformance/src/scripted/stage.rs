//! One run of a script: servers under test, their peers, and what happens between them, written down
//! as a transcript. Knows what each verb does, and nothing of what the protocol makes of it.

use super::{
    bring_up::{self, Reset},
    cast::Cast,
    client::{self, Client},
    field::{Field, Rumor},
    packet::{apply, claim, distort, extensions, loopback, publication},
    peer::{BUS_PORT_OFFSET, ScriptedPeer, Standing, Via},
    record::{Happening, Recorder},
    relay::{Relay, Speaker},
    script::{Fate, Pattern, PatternKind, PeerSpec, Script, ServerSpec, Sight, Step, Verb},
    seed, show,
    transcript::{Entry, Transcript},
};
use crate::cluster::{self, Program, Server};
use redis::Value;
use slotbus_core::{
    Body, CLUSTER_SLOTS, Flags, NodeId,
    message::{GossipEntry, Heartbeat, ModuleMessage},
};
use slotbus_wire::{bus, nodes_conf::Stamp};
use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::mpsc::Receiver,
    thread,
    time::{Duration, Instant, SystemTime},
};

const NODE_TIMEOUT_MS: u64 = 3000;
const NODES_CONF: &str = "nodes.conf";
/// Linking a freshly started server with its peers takes a few crons.
const LINKED_WITHIN: Duration = Duration::from_secs(10);
/// What was sent on one connection has been read by now, when another one is spoken on.
const OVERTAKING: Duration = Duration::from_millis(60);
const POLL_INTERVAL: Duration = Duration::from_millis(15);
/// A process that gives up writes a report first.
const ENDED_WITHIN: Duration = Duration::from_secs(3);
/// The copy of a nodes.conf that was kept.
const KEPT: &str = "nodes.conf.kept";

/// Plays a script with servers in `folder`, those of this project under a profile. An error means
/// that the run itself could not be made.
pub fn play(script: &Script, program: &Program, profile: &str, folder: &Path) -> Result<Transcript, String> {
    play_recorded(script, program, profile, folder, &Recorder::default())
}

/// The same, with all that passes between the first server and the others recorded.
pub fn play_recorded(
    script: &Script,
    program: &Program,
    profile: &str,
    folder: &Path,
    recorder: &Recorder,
) -> Result<Transcript, String> {
    let mut stage = Stage::new(script, program, profile, folder, recorder)?;
    let mut entries = Vec::new();
    for step in &script.steps {
        let told = |error| format!("{}, line {}: {}: {error}", script.name, step.line, step.text);
        entries.push(stage.perform(step).map_err(told)?);
    }
    stage.shut_down();
    Ok(Transcript { entries })
}

/// What a verb shows.
#[derive(Default)]
struct Outcome {
    shown: Vec<String>,
    /// Whether the verb waited for something in vain.
    is_unmet: bool,
}

impl From<()> for Outcome {
    fn from((): ()) -> Self {
        Self::default()
    }
}

impl From<Vec<String>> for Outcome {
    fn from(shown: Vec<String>) -> Self {
        Self { shown, is_unmet: false }
    }
}

impl Outcome {
    fn line(text: &str, is_unmet: bool) -> Self {
        Self { shown: vec![text.to_owned()], is_unmet }
    }

    /// What was not to come has come if it was found.
    fn negated(self) -> Self {
        Self { is_unmet: !self.is_unmet, ..self }
    }
}

struct Stage<'a> {
    script: &'a Script,
    program: Program,
    profile: &'a str,
    folder: PathBuf,
    cast: Cast,
    peers: BTreeMap<String, ScriptedPeer>,
    servers: BTreeMap<String, Running>,
    /// The server that the present verb is about.
    current: String,
    ear: Option<Receiver<Value>>,
    has_sent: bool,
    recorder: Recorder,
}

/// A server under test that has been started.
struct Running {
    server: Server,
    client: Option<Client>,
    relay: Option<Relay>,
}

impl<'a> Stage<'a> {
    fn new(
        script: &'a Script,
        program: &Program,
        profile: &'a str,
        folder: &Path,
        recorder: &Recorder,
    ) -> Result<Self, String> {
        let mut stage = Self {
            script,
            program: program.clone(),
            profile,
            folder: folder.to_owned(),
            cast: Cast::default(),
            peers: BTreeMap::new(),
            servers: BTreeMap::new(),
            current: script.servers[0].name.clone(),
            ear: None,
            has_sent: false,
            recorder: recorder.clone(),
        };
        for spec in &script.peers {
            let peer = ScriptedPeer::recorded(spec.id, recorder.clone())?;
            stage.cast.add(&spec.name, spec.id, peer.port());
            stage.peers.insert(spec.name.clone(), peer);
        }
        for spec in &script.servers {
            let running = stage.prepare(spec)?;
            stage.servers.insert(spec.name.clone(), running);
        }
        for spec in &script.peers {
            stage.set_up(spec)?;
        }
        Ok(stage)
    }

    /// Lets the servers end in order, if they run: what they recorded is read then.
    fn shut_down(&mut self) {
        self.recorder.note(Happening::Killed);
        self.servers.values_mut().for_each(|running| running.server.shut_down());
    }

    fn set_up(&self, spec: &PeerSpec) -> Result<(), String> {
        let peer = self.peer(&spec.name)?;
        let mut standing = peer.standing();
        apply(&mut standing, &spec.fields, &self.cast)?;
        peer.become_so(|old| *old = standing);
        if spec.is_absent { Ok(()) } else { peer.come_up() }
    }

    fn peer(&self, name: &str) -> Result<&ScriptedPeer, String> {
        self.peers.get(name).ok_or_else(|| format!("there is no peer {name}"))
    }

    fn running(&mut self) -> Result<&mut Running, String> {
        self.servers.get_mut(&self.current).ok_or_else(|| format!("there is no server {}", self.current))
    }

    fn server(&mut self) -> Result<&mut Server, String> {
        self.running().map(|running| &mut running.server)
    }

    fn perform(&mut self, step: &Step) -> Result<Entry, String> {
        let Outcome { shown, is_unmet } = self.act(&step.verb)?;
        Ok(Entry { line: step.line, text: step.text.clone(), shown, is_unmet })
    }

    fn act(&mut self, verb: &Verb) -> Result<Outcome, String> {
        match verb {
            Verb::Start => self.start().map(Outcome::from),
            Verb::Send { peer, kind, fields } => self.send(peer, *kind, fields).map(Outcome::from),
            Verb::SendBytes { peer, via, bytes } => self.send_bytes(peer, *via, bytes).map(Outcome::from),
            Verb::Become { peer, fields } => self.change(peer, fields).map(Outcome::from),
            Verb::Gossip { peer, rumors } => self.gossip(peer, rumors).map(Outcome::from),
            Verb::Answering { peer, answers } => {
                self.peer(peer).map(|peer| peer.set_answering(*answers)).map(Outcome::from)
            }
            Verb::Listening { peer, listens: true } => self.peer(peer)?.come_up().map(Outcome::from),
            Verb::Listening { peer, listens: false } => self.peer(peer).map(ScriptedPeer::go_down).map(Outcome::from),
            Verb::Call { peer } => self.call(peer).map(Outcome::from),
            Verb::HangUp { peer, via } => self.peer(peer).map(|peer| peer.close(*via)).map(Outcome::from),
            Verb::Drain { peer } => self.peer(peer).map(ScriptedPeer::drain).map(Outcome::from),
            Verb::Expect { peer, pattern, within } => self.expect(peer, pattern, *within),
            Verb::ExpectNone { peer, pattern, time } => self.expect_none(peer, pattern, *time),
            Verb::Collect { peer, time } => self.collect(peer, *time).map(Outcome::from),
            Verb::Command(words) => self.command(words).map(Outcome::from),
            Verb::Nodes(names) => self.nodes(names).map(Outcome::from),
            Verb::Info(fields) => self.info(fields).map(Outcome::from),
            Verb::AwaitNode { name, sights, within } => self.await_node(name, sights, *within),
            Verb::AwaitInfo { field, value, within } => self.await_info(field, value, *within),
            Verb::AwaitReply { start, words, within } => self.await_reply(start, words, *within),
            Verb::Saved => self.saved().map(Outcome::from),
            Verb::Links => self.links().map(Outcome::from),
            Verb::Listen(words) => self.listen(words).map(Outcome::from),
            Verb::Hear(within) => self.hear(*within),
            Verb::HearNothing(time) => self.hear_nothing(*time),
            Verb::Kill => self.kill().map(Outcome::from),
            Verb::Restart => self.restart().map(Outcome::from),
            Verb::KeepDisk => self.keep_disk().map(Outcome::from),
            Verb::RestoreDisk => self.restore_disk().map(Outcome::from),
            Verb::At { server, verb } => self.at(server, verb),
            Verb::Link { fate, from, to } => self.link(*fate, from, to).map(Outcome::from),
            Verb::Sleep(time) => {
                thread::sleep(*time);
                Ok(Outcome::default())
            }
        }
    }

    fn at(&mut self, server: &str, verb: &Verb) -> Result<Outcome, String> {
        let before = std::mem::replace(&mut self.current, server.to_owned());
        let outcome = self.act(verb);
        self.current = before;
        outcome
    }

    fn start(&mut self) -> Result<(), String> {
        for spec in &self.script.servers {
            if spec.id.is_some() {
                let running = self.servers.get(&spec.name).ok_or("a server is missing")?;
                fs::write(running.server.folder().join(NODES_CONF), self.nodes_conf(spec)?)
                    .map_err(|error| error.to_string())?;
            }
        }
        for spec in &self.script.servers {
            self.at(&spec.name, &Verb::Restart)?;
        }
        Ok(())
    }

    /// A server that is not started yet, with all that others must know of it.
    fn prepare(&mut self, spec: &ServerSpec) -> Result<Running, String> {
        let relay_port = spec.is_relayed.then(cluster::free_port).transpose()?;
        let mut directives: Vec<String> = spec.directives.clone();
        if let Program::Slotbus(_) = self.program {
            directives.extend(["--protocol-profile".to_owned(), self.profile.to_owned()]);
        }
        if let Some(port) = relay_port {
            directives.extend(["--cluster-announce-bus-port".to_owned(), port.to_string()]);
        }
        let directives: Vec<&str> = directives.iter().map(String::as_str).collect();
        let timeout_ms = spec.timeout_ms.unwrap_or(NODE_TIMEOUT_MS);
        let server = Server::prepare(&self.program, &self.folder, timeout_ms, &directives)?;
        if let Some(id) = spec.id {
            self.cast.add(&spec.name, id, server.port());
        }
        if let Some(port) = relay_port {
            self.cast.add_cport(&spec.name, port);
        }
        let relay = relay_port.map(|port| Relay::new(port, server.port() + BUS_PORT_OFFSET)).transpose()?;
        Ok(Running { server, client: None, relay })
    }

    /// The file of a server that knows the peers and servers that are known.
    fn nodes_conf(&self, spec: &ServerSpec) -> Result<String, String> {
        let me = self.standing(spec)?;
        let known = self.script.peers.iter().filter(|peer| peer.is_known);
        let peers = known.map(|peer| self.peer(&peer.name).map(ScriptedPeer::standing));
        let others = self.script.servers.iter().filter(|other| other.is_known && other.name != spec.name);
        let servers = others.map(|other| self.standing(other));
        Ok(seed::nodes_conf(&me, &peers.chain(servers).collect::<Result<Vec<_>, _>>()?, spec.voted))
    }

    /// What a server says about itself at first.
    fn standing(&self, spec: &ServerSpec) -> Result<Standing, String> {
        let port = self.servers.get(&spec.name).map_or(0, |running| running.server.port());
        let mut standing = Standing::new(spec.id.unwrap_or(NodeId([0; 20])), port);
        if spec.is_relayed {
            standing.address.cport = self.cast.cport(&spec.name)?;
        }
        apply(&mut standing, &spec.fields, &self.cast)?;
        Ok(standing)
    }

    /// Learns the server's id and address.
    fn meet_server(&mut self) -> Result<(), String> {
        let port = self.server()?.port();
        let mut client = Client::recorded(port, self.recorder.clone())?;
        let id = client.text(&["CLUSTER", "MYID"])?;
        let id = id.parse().map_err(|_| format!("{id} is no id"))?;
        self.cast.add(&self.current, id, port);
        self.running()?.client = Some(client);
        Ok(())
    }

    /// Waits until the server has called everybody that it knows and that listens, and calls back.
    fn link_all(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + LINKED_WITHIN;
        let known: Vec<_> = self.script.peers.iter().filter(|peer| peer.is_known).collect();
        for spec in &known {
            let peer = self.peer(&spec.name)?;
            if peer.is_up() {
                let ping = |heard: &super::peer::Heard| show::matches(heard, &any(0, Via::Theirs), &self.cast);
                peer.take(deadline, ping).ok_or_else(|| format!("the server does not call {}", spec.name))?;
            }
        }
        for spec in &known {
            let peer = self.peer(&spec.name)?;
            if peer.is_up() {
                self.call(&spec.name)?;
                self.send(&spec.name, 0, &[])?;
                let peer = self.peer(&spec.name)?;
                let pong = |heard: &super::peer::Heard| show::matches(heard, &any(1, Via::Own), &self.cast);
                peer.take(deadline, pong).ok_or_else(|| format!("the server does not answer {}", spec.name))?;
            }
        }
        self.peers.values().for_each(ScriptedPeer::drain);
        Ok(())
    }

    fn call(&mut self, name: &str) -> Result<(), String> {
        let cport = self.server()?.cport();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, cport));
        self.peer(name)?.call(address).map_err(|error| format!("{name} cannot call the server: {error}"))
    }

    fn send(&mut self, name: &str, kind: u16, fields: &[Field]) -> Result<(), String> {
        let peer = self.peer(name)?;
        let mut standing = peer.standing();
        apply(&mut standing, fields, &self.cast)?;
        let body = self.body(name, kind, fields)?;
        let mut bytes = Vec::new();
        bus::encode(&standing.message(body), &mut bytes);
        distort(&mut bytes, fields)?;
        let via = fields.iter().find_map(|field| if let Field::Via(via) = field { Some(*via) } else { None });
        self.send_bytes(name, via.unwrap_or(Via::Own), &bytes)
    }

    fn send_bytes(&mut self, name: &str, via: Via, bytes: &[u8]) -> Result<(), String> {
        if via == Via::Own {
            self.call(name)?;
        }
        self.has_sent = true;
        self.peer(name)?.send(via, bytes).map_err(|error| format!("{name} cannot send: {error}"))
    }

    fn body(&self, name: &str, kind: u16, fields: &[Field]) -> Result<Body<CLUSTER_SLOTS>, String> {
        let about = || {
            let named = fields.iter().find_map(|field| if let Field::About(name) = field { Some(name) } else { None });
            self.cast.id(named.ok_or("about= is missing")?)
        };
        Ok(match kind {
            0 => Body::Ping(self.heartbeat(name, fields)?),
            1 => Body::Pong(self.heartbeat(name, fields)?),
            2 => Body::Meet(self.heartbeat(name, fields)?),
            3 => Body::Fail(about()?),
            4 => Body::Publish(publication(fields)),
            5 => Body::FailoverAuthRequest,
            6 => Body::FailoverAuthAck,
            7 => Body::Update(claim(about()?, fields)),
            8 => Body::ManualFailoverStart,
            9 => Body::Module(ModuleMessage { module: [7; 8], kind: 1, payload: publication(fields).payload }),
            10 => Body::PublishShard(publication(fields)),
            _ => return Err(format!("there is no message {kind}")),
        })
    }

    fn heartbeat(&self, name: &str, fields: &[Field]) -> Result<Heartbeat, String> {
        let mut heartbeat = self.peer(name)?.heartbeat();
        for field in fields {
            if let Field::Gossip(rumors) = field {
                heartbeat.gossip = self.entries(rumors)?;
            }
        }
        heartbeat.extensions.extend(extensions(fields));
        Ok(heartbeat)
    }

    fn entries(&self, rumors: &[Rumor]) -> Result<Vec<GossipEntry>, String> {
        let now_s = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |age| age.as_secs());
        rumors
            .iter()
            .map(|rumor| {
                let port = self.cast.port(rumor.at.as_ref().unwrap_or(&rumor.name))?;
                let role = self.peers.get(&rumor.name).map_or(Flags::PRIMARY, |peer| peer.standing().flags);
                Ok(GossipEntry {
                    node: self.cast.id(&rumor.name)?,
                    ping_sent_s: 0,
                    pong_received_s: u32::try_from(now_s).unwrap_or(u32::MAX),
                    address: loopback(port),
                    flags: rumor.flags | (role & (Flags::PRIMARY | Flags::REPLICA)),
                })
            })
            .collect()
    }

    fn change(&mut self, name: &str, fields: &[Field]) -> Result<(), String> {
        let peer = self.peer(name)?;
        let mut standing = peer.standing();
        apply(&mut standing, fields, &self.cast)?;
        peer.become_so(|old| *old = standing);
        let Heartbeat { gossip, extensions: old } = peer.heartbeat();
        let new: Vec<_> = extensions(fields).collect();
        peer.set_heartbeat(gossip, if new.is_empty() { old } else { new });
        Ok(())
    }

    fn gossip(&mut self, name: &str, rumors: &[Rumor]) -> Result<(), String> {
        let entries = self.entries(rumors)?;
        let peer = self.peer(name)?;
        peer.set_heartbeat(entries, peer.heartbeat().extensions);
        Ok(())
    }

    fn expect(&mut self, name: &str, pattern: &Pattern, within: Duration) -> Result<Outcome, String> {
        let peer = self.peer(name)?;
        let found = peer.take(Instant::now() + within, |heard| show::matches(heard, pattern, &self.cast));
        Ok(match found {
            Some(heard) => Outcome::line(&show::heard(&heard, &pattern.fields, &self.cast), false),
            None => Outcome::line("nothing", true),
        })
    }

    fn expect_none(&mut self, name: &str, pattern: &Pattern, time: Duration) -> Result<Outcome, String> {
        self.expect(name, pattern, time).map(Outcome::negated)
    }

    fn collect(&mut self, name: &str, time: Duration) -> Result<Vec<String>, String> {
        let deadline = Instant::now() + time;
        let peer = self.peer(name)?;
        let news = std::iter::from_fn(|| peer.take(deadline, |heard| !show::is_heartbeat(heard)));
        Ok(news.map(|heard| show::heard(&heard, &[], &self.cast)).collect())
    }

    /// Lets what the peers sent be read before a client speaks.
    fn settle(&mut self) {
        if std::mem::take(&mut self.has_sent) {
            thread::sleep(OVERTAKING);
        }
    }

    fn client(&mut self) -> Result<&mut Client, String> {
        self.settle();
        self.running()?.client.as_mut().ok_or_else(|| "the server does not run".to_owned())
    }

    fn command(&mut self, words: &[String]) -> Result<Vec<String>, String> {
        let words = words.iter().map(|word| self.cast.resolve(word)).collect::<Result<Vec<_>, _>>()?;
        match self.client()?.ask(&words) {
            Ok(reply) => Ok(client::show(&reply, &self.cast)),
            Err(_) if self.server()?.has_ended(ENDED_WITHIN) => Ok(vec!["the process has ended".to_owned()]),
            Err(error) => Err(error),
        }
    }

    /// CLUSTER NODES; the server's id is learned anew, for it may have changed.
    fn nodes_text(&mut self) -> Result<String, String> {
        let text = self.client()?.text(&["CLUSTER", "NODES"])?;
        let own = text.lines().find(|line| line.split(' ').nth(2).is_some_and(|flags| flags.starts_with("myself")));
        if let Some(id) = own.and_then(|line| line.split(' ').next()?.parse().ok()) {
            let port = self.server()?.port();
            self.cast.add(&self.current, id, port);
        }
        Ok(text)
    }

    fn nodes(&mut self, names: &[String]) -> Result<Vec<String>, String> {
        let text = self.nodes_text()?;
        let lines = show::node_lines(&text, &self.cast);
        let is_wanted =
            |line: &String| names.is_empty() || names.iter().any(|name| line.split(' ').next() == Some(name));
        Ok(lines.into_iter().filter(is_wanted).collect())
    }

    fn info(&mut self, fields: &[String]) -> Result<Vec<String>, String> {
        let text = self.client()?.text(&["CLUSTER", "INFO"])?;
        let of = |field: &String| {
            let line = text.lines().find(|line| line.split(':').next() == Some(field));
            line.map_or_else(|| format!("no {field}"), str::to_owned)
        };
        Ok(fields.iter().map(of).collect())
    }

    fn await_node(&mut self, name: &str, sights: &[Sight], within: Duration) -> Result<Outcome, String> {
        let deadline = Instant::now() + within;
        loop {
            let text = self.nodes_text()?;
            if show::is_seen(&text, name, sights, &self.cast) {
                return Ok(Outcome::line("seen", false));
            }
            if Instant::now() > deadline {
                let mut shown = vec!["not seen".to_owned()];
                shown.extend(show::node_lines(&text, &self.cast));
                return Ok(Outcome { shown, is_unmet: true });
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    fn await_info(&mut self, field: &str, value: &str, within: Duration) -> Result<Outcome, String> {
        let deadline = Instant::now() + within;
        loop {
            let shown = self.info(&[field.to_owned()])?;
            let is_met = shown == [format!("{field}:{value}")];
            if is_met || Instant::now() > deadline {
                return Ok(Outcome { shown, is_unmet: !is_met });
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    fn await_reply(&mut self, start: &str, words: &[String], within: Duration) -> Result<Outcome, String> {
        let deadline = Instant::now() + within;
        loop {
            let shown = self.command(words)?;
            let is_met = shown.first().is_some_and(|line| line[1..].starts_with(start));
            if is_met || Instant::now() > deadline {
                return Ok(Outcome { shown, is_unmet: !is_met });
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// nodes.conf as it lies on the disk now, but for what tells one image of ours from another.
    fn saved(&mut self) -> Result<Vec<String>, String> {
        self.settle();
        let file = self.server()?.folder().join(NODES_CONF);
        let text = fs::read_to_string(&file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        let lines: Vec<&str> = text.trim_end().lines().filter(|line| !Stamp::is_line(line)).collect();
        Ok(show::node_lines(&lines.join("\n"), &self.cast))
    }

    fn links(&mut self) -> Result<Vec<String>, String> {
        let reply = self.client()?.ask(&["CLUSTER".to_owned(), "LINKS".to_owned()])?;
        let links = client::items_of(&reply).unwrap_or(std::slice::from_ref(&reply));
        let mut lines: Vec<_> = links.iter().map(|link| link_line(link, &self.cast)).collect();
        lines.sort();
        Ok(lines)
    }

    fn listen(&mut self, words: &[String]) -> Result<(), String> {
        let port = self.server()?.port();
        self.ear = Some(Client::connect(port)?.listen(words)?);
        Ok(())
    }

    fn hear(&mut self, within: Duration) -> Result<Outcome, String> {
        let ear = self.ear.as_ref().ok_or("nobody listens")?;
        Ok(match ear.recv_timeout(within) {
            Ok(value) => client::show(&value, &self.cast).into(),
            Err(_) => Outcome::line("nothing", true),
        })
    }

    fn hear_nothing(&mut self, time: Duration) -> Result<Outcome, String> {
        self.hear(time).map(Outcome::negated)
    }

    fn kill(&mut self) -> Result<(), String> {
        self.settle();
        self.recorder.note(Happening::Killed);
        let running = self.running()?;
        running.client = None;
        running.server.kill();
        Ok(())
    }

    fn restart(&mut self) -> Result<(), String> {
        self.running()?.client = None;
        if let Program::Running { .. } = self.program {
            return self.bring_up();
        }
        let server = self.server()?;
        let nodes_conf = fs::read_to_string(server.folder().join(NODES_CONF)).ok();
        let started = Happening::Started {
            port: server.port(),
            cport: server.cport(),
            uptime_ms: 0,
            directives: server.directives().to_vec(),
            nodes_conf,
        };
        self.recorder.note(started);
        self.server()?.restart()?;
        self.recorder.note(Happening::Ready);
        self.meet_server()?;
        // Peers are linked with one server only.
        if self.current == self.script.servers[0].name { self.link_all() } else { Ok(()) }
    }

    /// Makes of a server that runs already what the script says it is, by commands alone: it is reset,
    /// given its epoch and slots, and meets whom it is to know.
    fn bring_up(&mut self) -> Result<(), String> {
        let script = self.script;
        let spec = script.servers.first().ok_or("there is no server")?;
        let port = self.server()?.port();
        let (cport, directives) = (self.server()?.cport(), self.server()?.directives().to_vec());
        self.cast.add_cport(&spec.name, cport);
        let Reset { uptime_ms, nodes_conf } = bring_up::reset(&mut Client::connect(port)?, &directives)?;
        let started = Happening::Started { port, cport, uptime_ms, directives, nodes_conf: Some(nodes_conf) };
        self.recorder.note(started);
        self.meet_server()?;
        self.recorder.note(Happening::Ready);
        let known: Vec<_> = script.peers.iter().filter(|peer| peer.is_known).collect();
        let ports = known.iter().map(|peer| self.cast.port(&peer.name)).collect::<Result<Vec<_>, _>>()?;
        bring_up::introduce(self.client()?, spec, &ports)?;
        self.link_all()?;
        let primary = bring_up::primary_of(spec).map(|name| self.cast.id(name)).transpose()?;
        primary.map_or(Ok(()), |id| bring_up::follow(self.client()?, id))
    }

    fn keep_disk(&mut self) -> Result<(), String> {
        self.settle();
        self.copy_on_disk(NODES_CONF, KEPT)
    }

    fn restore_disk(&mut self) -> Result<(), String> {
        self.kill()?;
        self.copy_on_disk(KEPT, NODES_CONF)
    }

    fn copy_on_disk(&mut self, from: &str, to: &str) -> Result<(), String> {
        let folder = self.server()?.folder();
        let copied = fs::copy(folder.join(from), folder.join(to));
        copied.map(|_| ()).map_err(|error| format!("cannot copy {from}: {error}"))
    }

    /// What one server says to another passes the other's relay on connections that it opened, and its
    /// own relay on those that the other opened.
    fn link(&mut self, fate: Fate, from: &str, to: &str) -> Result<(), String> {
        self.settle();
        let (from_id, to_id) = (self.cast.id(from)?, self.cast.id(to)?);
        let relay = |name: &str| self.servers.get(name).and_then(|running| running.relay.as_ref());
        let places = [(relay(to), from_id, Speaker::Caller), (relay(from), to_id, Speaker::Called)];
        let relayed: Vec<_> =
            places.into_iter().filter_map(|(relay, caller, speaker)| Some((relay?, caller, speaker))).collect();
        if relayed.is_empty() {
            return Err(format!("neither {from} nor {to} is relayed"));
        }
        for (relay, caller, speaker) in relayed {
            match fate {
                Fate::Hold => relay.hold(caller, speaker, true),
                Fate::Pass => relay.hold(caller, speaker, false),
                Fate::Cut => relay.cut(caller),
            }
        }
        Ok(())
    }
}

fn any(kind: u16, via: Via) -> Pattern {
    Pattern { kind: PatternKind::Message(kind), fields: vec![Field::Via(via)] }
}

/// The direction and the node of one entry of CLUSTER LINKS.
fn link_line(link: &Value, cast: &Cast) -> String {
    let words = client::show(link, cast);
    let value = |key: &str| {
        let place = words.iter().position(|word| *word == format!("- \"{key}\""))?;
        words.get(place + 1).map(|word| word.trim_start_matches("- ").trim_matches('"').to_owned())
    };
    format!("{} {}", value("direction").unwrap_or_default(), value("node").unwrap_or_default())
}
