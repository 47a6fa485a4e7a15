//! Owns the situations in which vectors begin: a nodes.conf, the directives, and how well the node under
//! test is connected. Knows nothing of what happens then.

use super::{
    CoreEvent, Input,
    vector::{Event, Origin, Settings, Step, Subject},
};
use slotbus_core::{
    CLUSTER_SLOTS, Effect, Effects, Host, LinkId, Millis, Node, NodeId, Profile, Random, message::Flags, next_deadline,
    step,
};
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

/// What the clock of the node under test shows when it starts: an instant that gossip can carry in seconds.
const NOW_MS: u64 = 1_700_000_000_000;
/// Slow enough for no answer to be missed while a vector is played in real time.
const NODE_TIMEOUT_MS: u64 = 15_000;
/// The number of the node under test: some ids are smaller, some greater.
pub(super) const ME: u8 = 5;
const BASE_PORT: u16 = 7000;
const BUS_PORT_OFFSET: u16 = 10_000;

/// The id that a number stands for: as many hex digits of that kind.
pub(super) fn id(number: u8) -> NodeId {
    NodeId([number * 0x11; 20])
}

/// Where every node of a vector is.
pub(super) fn host() -> Host {
    Host::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

/// The client port and the bus port of a node.
pub(super) fn ports(number: u8) -> (u16, u16) {
    let port = BASE_PORT + u16::from(number);
    (port, port + BUS_PORT_OFFSET)
}

/// How well the node under test is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ties {
    /// It has just started.
    None,
    /// Every link is up, and nothing was said yet.
    Linked,
    /// Every peer has answered.
    Heard,
    /// So it is, and a voter has given its vote.
    Voted,
    /// So it is, and a replica's data is fresh.
    Fresh,
    /// So it is, and the replica has asked for votes.
    Asked,
}

/// Where a vector begins.
#[derive(Clone, Debug)]
pub(super) struct Situation {
    pub(super) name: &'static str,
    pub(super) ties: Ties,
    pub(super) subject: Subject,
    /// Who stands at the other end of inbound links, by their number.
    pub(super) callers: Vec<NodeId>,
    /// What leads there.
    pub(super) preamble: Vec<Input>,
    is_of_replica: bool,
    /// Whether the node has asked for votes.
    is_of_candidate: bool,
    /// Whether the node has voted since it started.
    is_of_voter: bool,
}

/// One line of a situation's nodes.conf: the node's number, its flags, its primary, its epoch, its slots.
type Line = (u8, &'static str, u8, u64, &'static str);

/// A situation as it is written down: its name, the lines, current epoch and last vote.
type Sketch = (&'static str, &'static [Line], u64, u64);

const PRIMARY: &str = "master";
const REPLICA: &str = "slave";
const FAILED: &str = "master,fail";
const SUSPECTED: &str = "master,fail?";
const FAILED_REPLICA: &str = "slave,fail";

const SKETCHES: &[Sketch] = &[
    ("alone", &[(5, PRIMARY, 0, 0, "")], 0, 0),
    ("alone with all slots", &[(5, PRIMARY, 0, 1, "0-16383")], 1, 0),
    ("a file with a late epoch", &[(5, PRIMARY, 0, 6, "0-8191"), (7, PRIMARY, 0, 9, "8192-16383")], 3, 2),
    ("one of two primaries", &[(5, PRIMARY, 0, 1, "0-8191"), (7, PRIMARY, 0, 2, "8192-16383")], 2, 0),
    (
        "a primary with a replica",
        &[
            (2, PRIMARY, 0, 1, "5461-10922"),
            (3, REPLICA, 5, 2, ""),
            (5, PRIMARY, 0, 2, "0-5460"),
            (7, REPLICA, 2, 1, ""),
            (8, PRIMARY, 0, 3, "10923-16383"),
        ],
        3,
        0,
    ),
    (
        "a primary of the greatest epoch",
        &[
            (2, PRIMARY, 0, 3, "5461-10922"),
            (3, REPLICA, 5, 9, ""),
            (5, PRIMARY, 0, 9, "0-5460"),
            (8, PRIMARY, 0, 4, "10923-16383"),
            (9, PRIMARY, 0, 5, ""),
        ],
        9,
        9,
    ),
    (
        "primaries of one epoch",
        &[(2, PRIMARY, 0, 4, "0-5460"), (5, PRIMARY, 0, 4, "5461-10922"), (8, PRIMARY, 0, 4, "10923-16383")],
        4,
        0,
    ),
    (
        "a primary of one slot",
        &[
            (2, PRIMARY, 0, 3, "1-8000"),
            (3, REPLICA, 5, 2, ""),
            (5, PRIMARY, 0, 2, "0"),
            (8, PRIMARY, 0, 4, "8001-16383"),
        ],
        4,
        0,
    ),
    (
        "an empty primary",
        &[
            (2, PRIMARY, 0, 1, "0-8191"),
            (3, REPLICA, 2, 1, ""),
            (5, PRIMARY, 0, 0, ""),
            (8, PRIMARY, 0, 2, "8192-16383"),
        ],
        2,
        0,
    ),
    (
        "a replica",
        &[
            (2, PRIMARY, 0, 4, "0-5460"),
            (3, REPLICA, 2, 4, ""),
            (5, REPLICA, 2, 4, ""),
            (7, PRIMARY, 0, 2, "5461-10922"),
            (8, PRIMARY, 0, 3, "10923-16383"),
        ],
        4,
        0,
    ),
    (
        "a replica in an old epoch",
        &[(2, PRIMARY, 0, 1, "0-8191"), (5, REPLICA, 2, 1, ""), (8, PRIMARY, 0, 6, "8192-16383")],
        6,
        5,
    ),
    (
        "a replica of a failed primary",
        &[
            (2, FAILED, 0, 4, "0-5460"),
            (3, REPLICA, 2, 4, ""),
            (5, REPLICA, 2, 4, ""),
            (7, PRIMARY, 0, 2, "5461-10922"),
            (8, PRIMARY, 0, 3, "10923-16383"),
            (9, PRIMARY, 0, 0, ""),
        ],
        4,
        0,
    ),
    (
        "a replica of a suspected primary",
        &[
            (2, SUSPECTED, 0, 4, "0-5460"),
            (5, REPLICA, 2, 4, ""),
            (7, PRIMARY, 0, 2, "5461-10922"),
            (8, PRIMARY, 0, 3, "10923-16383"),
        ],
        4,
        0,
    ),
    (
        "a voter beside a failed primary",
        &[
            (2, FAILED, 0, 4, "0-5460"),
            (3, REPLICA, 2, 4, ""),
            (5, PRIMARY, 0, 2, "5461-10922"),
            (8, PRIMARY, 0, 3, "10923-16383"),
            (9, REPLICA, 2, 4, ""),
        ],
        4,
        1,
    ),
    (
        "a voter that has voted",
        &[
            (2, FAILED, 0, 4, "0-5460"),
            (3, REPLICA, 2, 4, ""),
            (5, PRIMARY, 0, 2, "5461-10922"),
            (8, PRIMARY, 0, 3, "10923-16383"),
        ],
        6,
        6,
    ),
    (
        "an empty primary beside a failed one",
        &[
            (2, FAILED, 0, 4, "0-8191"),
            (3, REPLICA, 2, 4, ""),
            (5, PRIMARY, 0, 1, ""),
            (8, PRIMARY, 0, 3, "8192-16383"),
        ],
        4,
        0,
    ),
    (
        "a primary among suspects",
        &[
            (2, SUSPECTED, 0, 4, "0-3000"),
            (3, FAILED_REPLICA, 5, 2, ""),
            (5, PRIMARY, 0, 2, "3001-9000"),
            (7, "slave,fail?", 8, 3, ""),
            (8, PRIMARY, 0, 3, "9001-16383"),
            (9, "master,fail", 0, 1, ""),
        ],
        4,
        0,
    ),
    (
        "one of four voters",
        &[
            (2, SUSPECTED, 0, 4, "0-3000"),
            (5, PRIMARY, 0, 2, "3001-9000"),
            (7, PRIMARY, 0, 1, "9001-12000"),
            (8, PRIMARY, 0, 3, "12001-16383"),
        ],
        4,
        0,
    ),
    (
        "a primary with open slots",
        &[(2, PRIMARY, 0, 4, "0-8191"), (3, REPLICA, 5, 2, ""), (5, PRIMARY, 0, 2, "8192-16383 [8192->-2] [7-<-2]")],
        4,
        0,
    ),
    (
        "a primary where slots are free",
        &[(2, PRIMARY, 0, 4, "0-99"), (5, PRIMARY, 0, 2, "200-299"), (8, PRIMARY, 0, 3, "300-399")],
        4,
        0,
    ),
    (
        "a replica beside an orphaned primary",
        &[
            (5, REPLICA, 6, 4, ""),
            (6, PRIMARY, 0, 4, "0-5460"),
            (7, REPLICA, 6, 4, ""),
            (8, PRIMARY, 0, 2, "5461-16383"),
            (9, FAILED_REPLICA, 8, 2, ""),
        ],
        4,
        0,
    ),
    (
        "a replica that its primary needs",
        &[
            (5, REPLICA, 6, 4, ""),
            (6, PRIMARY, 0, 4, "0-5460"),
            (7, FAILED_REPLICA, 6, 4, ""),
            (8, PRIMARY, 0, 2, "5461-16383"),
            (9, FAILED_REPLICA, 8, 2, ""),
        ],
        4,
        0,
    ),
    (
        "a replica that is not the one to move",
        &[
            (3, REPLICA, 6, 4, ""),
            (5, REPLICA, 6, 4, ""),
            (6, PRIMARY, 0, 4, "0-5460"),
            (8, PRIMARY, 0, 2, "5461-16383"),
            (9, FAILED_REPLICA, 8, 2, ""),
        ],
        4,
        0,
    ),
    (
        "a replica of a replica",
        &[
            (2, REPLICA, 7, 4, ""),
            (5, REPLICA, 2, 4, ""),
            (7, PRIMARY, 0, 4, "0-8191"),
            (8, PRIMARY, 0, 2, "8192-16383"),
        ],
        4,
        0,
    ),
    (
        "a primary among many",
        &[
            (1, PRIMARY, 0, 1, "0-4000"),
            (2, REPLICA, 1, 1, ""),
            (3, REPLICA, 5, 2, ""),
            (4, "slave,nofailover", 5, 2, ""),
            (5, PRIMARY, 0, 2, "4001-9000"),
            (7, PRIMARY, 0, 3, "9001-16383"),
            (8, REPLICA, 7, 3, ""),
            (9, PRIMARY, 0, 0, ""),
        ],
        3,
        0,
    ),
    (
        "a member without an address",
        &[
            (2, PRIMARY, 0, 1, "0-8191"),
            (3, "slave,noaddr", 5, 2, ""),
            (5, PRIMARY, 0, 2, "8192-16383"),
            (8, "master,noaddr,fail", 0, 0, ""),
        ],
        2,
        0,
    ),
];

/// What a node is told besides the defaults.
type Telling = fn(&mut Settings);

/// Situations whose node is told something else than the defaults.
const TOLD: &[(&str, Telling)] = &[
    ("a primary where slots are free", |settings| settings.cluster_require_full_coverage = false),
    ("a primary of one slot", |settings| settings.cluster_allow_replica_migration = false),
    ("a replica of a failed primary", |settings| settings.cluster_replica_no_failover = true),
    ("one of two primaries", |settings| settings.cluster_announce_hostname = "five.example".into()),
    ("a replica", |settings| settings.cluster_allow_replica_migration = false),
];

/// Every situation under a profile, those without a preamble first.
pub(super) fn all(profile: Profile) -> Vec<Situation> {
    let mut subjects = vec![("a new node", fresh())];
    subjects.extend(SKETCHES.iter().map(|sketch| (sketch.0, subject(sketch))));
    for (name, tell) in TOLD {
        let sketch = SKETCHES.iter().find(|sketch| sketch.0 == *name);
        subjects.extend(sketch.map(|sketch| {
            let mut told = subject(sketch);
            tell(&mut told.config);
            (*name, told)
        }));
    }
    let ties = [Ties::None, Ties::Linked, Ties::Heard, Ties::Voted, Ties::Fresh, Ties::Asked];
    let all = ties.into_iter().flat_map(|ties| subjects.iter().map(move |(name, subject)| (ties, *name, subject)));
    let built = all.map(|(ties, name, subject)| Situation::new(name, ties, subject.clone(), profile));
    let is_distinct = |situation: &Situation| match situation.ties {
        Ties::None => true,
        Ties::Linked | Ties::Heard => !situation.callers.is_empty(),
        Ties::Voted => situation.is_of_voter,
        Ties::Fresh => situation.is_of_replica,
        Ties::Asked => situation.is_of_candidate,
    };
    built.filter(is_distinct).collect()
}

fn settings() -> Settings {
    let (port, cluster_port) = ports(ME);
    Settings {
        port,
        cluster_port,
        cluster_node_timeout: NODE_TIMEOUT_MS,
        cluster_announce_hostname: String::new(),
        cluster_require_full_coverage: true,
        cluster_allow_replica_migration: true,
        cluster_replica_no_failover: false,
    }
}

fn fresh() -> Subject {
    Subject { config: settings(), now_ms: NOW_MS, origin: Origin::Fresh(id(ME)), expect: None }
}

fn subject(sketch: &Sketch) -> Subject {
    let (_, lines, epoch, vote) = sketch;
    let nodes: String = lines.iter().map(|line| written(line) + "\n").collect();
    let text = format!("{nodes}vars currentEpoch {epoch} lastVoteEpoch {vote}\n");
    Subject { config: settings(), now_ms: NOW_MS, origin: Origin::NodesConf(text), expect: None }
}

fn written(&(number, flags, primary, epoch, slots): &Line) -> String {
    let name = id(number);
    let myself = if number == ME { "myself," } else { "" };
    let primary = if primary == 0 { "-".to_owned() } else { id(primary).to_string() };
    let (port, cport) = ports(number);
    let address = if flags.contains("noaddr") { ":0@0".to_owned() } else { format!("127.0.0.1:{port}@{cport}") };
    let link = if number == ME { "connected" } else { "disconnected" };
    let gap = if slots.is_empty() { "" } else { " " };
    // In a sketch, the node at the other end of a slot's move is one digit.
    let slots = slots.replace("-2]", &format!("-{}]", id(2)));
    format!("{name} {address} {myself}{flags} {primary} 0 0 {epoch} {link}{gap}{slots}")
}

impl Situation {
    fn new(name: &'static str, ties: Ties, subject: Subject, profile: Profile) -> Self {
        let mut situation = Self {
            name,
            ties,
            subject,
            callers: Vec::new(),
            preamble: Vec::new(),
            is_of_replica: false,
            is_of_candidate: false,
            is_of_voter: false,
        };
        let Ok(mut node) = situation.start(profile) else { return situation };
        situation.is_of_replica = !node.myself().is_primary();
        let others = node.peers().iter().filter(|peer| peer.id != node.id() && !peer.address.host.is_unknown());
        situation.callers = others.map(|peer| peer.id).collect();
        if ties > Ties::None {
            situation.connect(&mut node);
        }
        if ties > Ties::Linked {
            situation.hear_all(&mut node);
        }
        if ties == Ties::Voted {
            situation.vote(&mut node);
        }
        if ties >= Ties::Fresh {
            situation.freshen(&mut node);
        }
        if ties >= Ties::Asked {
            situation.stand(&mut node);
        }
        situation
    }

    /// The node as it stands when it has started.
    pub(super) fn start(&self, profile: Profile) -> Result<super::Node, String> {
        let config = Arc::new(self.subject.config.config(profile));
        let started = Node::start(config, self.subject.origin.core()?, Millis(NOW_MS));
        started.map(|(node, _)| node).map_err(|error| error.to_string())
    }

    /// The node as it stands after the preamble.
    pub(super) fn node(&self, profile: Profile) -> Result<super::Node, String> {
        let mut node = self.start(profile)?;
        for input in &self.preamble {
            let _: Effects<CLUSTER_SLOTS> = step(&mut node, input.clone());
        }
        Ok(node)
    }

    /// The first instant after the preamble.
    pub(super) fn now(&self) -> Millis {
        self.preamble.last().map_or(Millis(NOW_MS), |input| input.now).after(1)
    }

    /// Who opened an inbound link.
    pub(super) fn caller(&self, link: LinkId) -> Option<NodeId> {
        match link {
            LinkId::Inbound(number) => self.callers.get(usize::try_from(number).ok()?).copied(),
            LinkId::Outbound(_) => None,
        }
    }

    fn take(&mut self, node: &mut super::Node, event: CoreEvent, after_ms: u64) -> Effects<CLUSTER_SLOTS> {
        let now = self.preamble.last().map_or(Millis(NOW_MS), |input| input.now).after(after_ms);
        let input = Input { now, random: Random::new(0), event };
        self.preamble.push(input.clone());
        step(node, input)
    }

    fn connect(&mut self, node: &mut super::Node) {
        let effects = self.take(node, CoreEvent::Tick, 100);
        let connects = effects.then.into_iter().filter_map(|effect| {
            let Effect::Connect { link, .. } = effect else { return None };
            Some(link)
        });
        let inbound = (0..self.callers.len()).map(|number| LinkId::Inbound(u32::try_from(number).unwrap_or_default()));
        for link in connects.chain(inbound).collect::<Vec<_>>() {
            let _: Effects<CLUSTER_SLOTS> =
                self.take(node, CoreEvent::LinkUp { link, local: host(), remote: host() }, 1);
        }
    }

    fn hear_all(&mut self, node: &mut super::Node) {
        for peer in self.callers.clone() {
            let Some(number) = node.peers().get(&peer).and_then(|peer| peer.outbound) else { continue };
            let message = super::alphabet::pong_of(node, peer);
            let event = CoreEvent::Received { link: LinkId::Outbound(number), message: Box::new(message) };
            let _: Effects<CLUSTER_SLOTS> = self.take(node, event, 1);
        }
    }

    /// The first replica of a failed primary asks for a vote.
    fn vote(&mut self, node: &mut super::Node) {
        let is_failed = |id: &NodeId| node.peers().get(id).is_some_and(|peer| peer.is(Flags::FAIL));
        let is_candidate =
            |id: &&NodeId| node.peers().get(id).and_then(|peer| peer.primary).is_some_and(|id| is_failed(&id));
        let Some((number, peer)) = (0..).zip(&self.callers).find(|(_, id)| is_candidate(id)).map(|(n, id)| (n, *id))
        else {
            return;
        };
        let (before, message) = (node.last_vote_epoch(), super::alphabet::request_of(node, peer));
        let event = CoreEvent::Received { link: LinkId::Inbound(number), message: Box::new(message) };
        let _: Effects<CLUSTER_SLOTS> = self.take(node, event, 1);
        self.is_of_voter = node.last_vote_epoch() > before;
    }

    /// The data of a replica is that of its primary, as the next periodic work finds.
    fn freshen(&mut self, node: &mut super::Node) {
        let fresh_at = Some(self.now());
        let replication = CoreEvent::Replication(slotbus_core::Replication { offset: 100, fresh_at });
        let _: Effects<CLUSTER_SLOTS> = self.take(node, replication, 1);
        let due_ms = next_deadline(node).at.since(self.now()) + 1;
        let _: Effects<CLUSTER_SLOTS> = self.take(node, CoreEvent::Tick, due_ms);
    }

    /// A replica that is to stand for election asks for votes when its time has come.
    fn stand(&mut self, node: &mut super::Node) {
        if let Some(at) = node.election().at {
            let _: Effects<CLUSTER_SLOTS> = self.take(node, CoreEvent::Tick, at.since(self.now()) + 1);
        }
        self.is_of_candidate = node.election().asked;
    }

    /// Inputs as steps that nobody judges yet.
    pub(super) fn steps(&self, inputs: &[Input], profile: Profile) -> Result<Vec<Step>, String> {
        let mut node = self.start(profile)?;
        let mut steps = Vec::new();
        for input in inputs {
            let led_to = |link: LinkId| node.links().get(link)?.peer.map(|pos| node.peers()[pos].id);
            let other_end = |link: LinkId| self.caller(link).or_else(|| led_to(link));
            steps.push(Step {
                at_ms: input.now.since(Millis(NOW_MS)),
                event: Event::of(&input.event, other_end),
                random: input.random.into(),
                draws: Vec::new(),
                expect: None,
            });
            let _: Effects<CLUSTER_SLOTS> = step(&mut node, input.clone());
        }
        Ok(steps)
    }
}
