//! Nodes of a live cluster are killed at random moments, under elections and while slots move: whatever a
//! node has told others, it knows again when it returns. Five kills, or as many as SLOTBUS_KILLS says:
//! `SLOTBUS_KILLS=1000 cargo test --release -p slotbus-conformance --test kills -- --nocapture`

use slotbus_conformance::{
    cluster::{self, Program, Server, wait_until},
    failover::Shards,
    verify::verify_file,
};
use slotbus_core::{Body, CLUSTER_SLOTS, Durable, Effect, Event, Message, NodeId};
use slotbus_wire::{nodes_conf, trace::TraceReader};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::BufReader,
    path::Path,
    thread,
    time::{Duration, Instant},
};

const KILLS: usize = 5;
const NODE_TIMEOUT_MS: u64 = 1000;
/// A kill comes at most so long after what it is to disturb has begun.
const DELAY_MAX_MS: u64 = 200;
/// Of so many nodes that are killed, one stays away for so long that others find it failed.
const ABSENCES: usize = 10;
const ABSENCE: Duration = Duration::from_millis(3 * NODE_TIMEOUT_MS);
const PATIENCE: Duration = Duration::from_secs(60);

/// A vote in an epoch, as traces tell of it.
#[derive(Debug, Default)]
struct Vote {
    times_given: u32,
    /// Whom it was given to, and who has got it.
    candidates: BTreeSet<NodeId>,
}

/// What nodes have told others.
#[derive(Default)]
struct Ledger {
    /// By voter and epoch.
    votes: BTreeMap<(NodeId, u64), Vote>,
    /// The greatest epoch that each node has told of as its own: to vote, to be elected, or to own slots in.
    told: BTreeMap<NodeId, u64>,
    steps: u64,
}

impl Ledger {
    /// Holds a trace of a node to the model, and takes from it what was told.
    fn take(&mut self, node: NodeId, path: &Path) {
        let verified = verify_file(path, None).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(verified.difference, None, "{}", path.display());
        self.steps += verified.steps;
        let trace = TraceReader::new(BufReader::new(File::open(path).expect("a trace"))).expect("a trace");
        // Only the last line may be cut off, as was just verified.
        for step in trace.map_while(Result::ok) {
            let mut asker = None;
            if let Event::Received { message, .. } = &step.input.event {
                asker = Some(message.header.sender);
                self.hear(message);
                if message.body == Body::FailoverAuthAck {
                    self.vote(message).candidates.insert(node);
                }
            }
            for effect in &step.effects.then {
                let Effect::Send { message, .. } = effect else { continue };
                self.hear(message);
                if message.body == Body::FailoverAuthAck {
                    let vote = self.vote(message);
                    vote.times_given += 1;
                    vote.candidates.extend(asker);
                }
            }
        }
    }

    /// An epoch that a node has only heard of it may forget, as redis-server does: whoever told it has kept it.
    fn hear(&mut self, Message { header, body }: &Message<CLUSTER_SLOTS>) {
        let is_of_election = matches!(body, Body::FailoverAuthRequest | Body::FailoverAuthAck);
        let elected = if is_of_election { header.current_epoch } else { 0 };
        let claimed = if header.primary.is_none() { header.config_epoch } else { 0 };
        let told = self.told.entry(header.sender).or_default();
        *told = elected.max(claimed).max(*told);
    }

    fn vote(&mut self, message: &Message<CLUSTER_SLOTS>) -> &mut Vote {
        self.votes.entry((message.header.sender, message.header.current_epoch)).or_default()
    }

    /// Compares what a node has told, and when it voted, with what it kept.
    fn check(&self, node: NodeId, kept: &Durable<CLUSTER_SLOTS>) {
        let told = self.told.get(&node).copied().unwrap_or_default();
        assert!(kept.current_epoch >= told, "{node} told of epoch {told} and kept {}", kept.current_epoch);
        let voted = self.votes.range((node, 0)..=(node, u64::MAX)).next_back().map_or(0, |((_, epoch), _)| *epoch);
        assert!(kept.last_vote_epoch >= voted, "{node} voted in {voted} and kept {}", kept.last_vote_epoch);
        for ((voter, epoch), vote) in &self.votes {
            assert!(vote.times_given <= 1 && vote.candidates.len() == 1, "{voter} in epoch {epoch}: {vote:?}");
        }
    }
}

/// A cluster of six, what its nodes have told, and what the last file of each said.
struct Cluster {
    servers: Vec<Server>,
    ids: Vec<NodeId>,
    kept: Vec<Durable<CLUSTER_SLOTS>>,
    ledger: Ledger,
    dice: fastrand::Rng,
    absences: usize,
}

impl Cluster {
    fn form(folder: &Path) -> Self {
        let program = Program::Slotbus(cluster::sibling("slotbus-node").expect("slotbus-node is built"));
        let programs = vec![program; 3];
        let shards = Shards::form([&programs, &programs], folder, NODE_TIMEOUT_MS).expect("a cluster");
        let servers: Vec<Server> = shards.primaries.into_iter().chain(shards.replicas).collect();
        let id = |server: &Server| server.text(&["CLUSTER", "MYID"]).expect("an id").parse().expect("an id");
        Self {
            ids: servers.iter().map(id).collect(),
            kept: vec![Durable::default(); servers.len()],
            servers,
            ledger: Ledger::default(),
            dice: fastrand::Rng::new(),
            absences: 0,
        }
    }

    /// Begins something that changes what nodes have to keep. A refusal is as good: there may be nothing to fail over.
    fn disturb(&mut self) {
        let server = &self.servers[self.dice.usize(..self.servers.len())];
        let _ = match self.dice.u32(..4) {
            0 => server.text(&["CLUSTER", "FAILOVER"]),
            1 => server.text(&["CLUSTER", "FAILOVER", "FORCE"]),
            2 => server.text(&["CLUSTER", "FAILOVER", "TAKEOVER"]),
            _ => self.move_slot(),
        };
    }

    /// Moves a slot as redis-cli does, as far as everybody answers.
    fn move_slot(&mut self) -> Result<String, String> {
        let primaries: Vec<usize> = (0..self.servers.len()).filter(|&at| self.servers[at].is_primary()).collect();
        let (Some(from), Some(to)) = (self.dice.choice(&primaries).copied(), self.dice.choice(&primaries).copied())
        else {
            return Err("nobody leads".to_owned());
        };
        let slots = self.servers[from].nodes()?.into_iter().find(|line| line.is("myself")).map(|line| line.slots);
        let runs: Vec<String> = slots.unwrap_or_default().into_iter().filter(|run| !run.starts_with('[')).collect();
        let run = self.dice.choice(&runs).ok_or("it has no slot")?;
        let slot = run.split('-').next().unwrap_or_default();
        let (source, target) = (self.ids[from].to_string(), self.ids[to].to_string());
        self.servers[to].text(&["CLUSTER", "SETSLOT", slot, "IMPORTING", &source])?;
        self.servers[from].text(&["CLUSTER", "SETSLOT", slot, "MIGRATING", &target])?;
        self.servers[to].text(&["CLUSTER", "SETSLOT", slot, "NODE", &target])?;
        self.servers[from].text(&["CLUSTER", "SETSLOT", slot, "NODE", &target])
    }

    /// Kills a node at any moment, looks at what it has kept, and starts it again.
    fn kill_one(&mut self) {
        let at = self.dice.usize(..self.servers.len());
        thread::sleep(Duration::from_millis(self.dice.u64(..DELAY_MAX_MS)));
        self.servers[at].kill();
        self.look_at(at);
        if self.dice.usize(..ABSENCES) == 0 {
            self.absences += 1;
            thread::sleep(ABSENCE);
        }
        self.restart(at);
    }

    /// Starts a node again. Somebody else may have its port meanwhile, but not for long.
    fn restart(&mut self, at: usize) {
        const ATTEMPTS: usize = 5;
        let server = &mut self.servers[at];
        let mut outcome = server.restart();
        for _ in 1..ATTEMPTS {
            if outcome.is_ok() || !server.log().contains("Address already in use") {
                break;
            }
            outcome = server.restart();
        }
        outcome.expect("it starts from what it has kept");
    }

    /// Looks at what a node has kept that has ended.
    fn look_at(&mut self, at: usize) {
        let (server, id) = (&self.servers[at], self.ids[at]);
        let file = fs::read(server.folder().join("nodes.conf")).expect("nodes.conf");
        let kept = nodes_conf::parse(&file).unwrap_or_else(|error| panic!("nodes.conf of {id}: {error}"));
        let former = &self.kept[at];
        assert!(kept.current_epoch >= former.current_epoch && kept.last_vote_epoch >= former.last_vote_epoch);
        let trace = server.trace_files().pop().expect("a trace");
        self.ledger.take(id, &trace);
        self.ledger.check(id, &kept);
        fs::remove_file(trace).expect("a trace");
        self.kept[at] = kept;
    }
}

/// Whether every server is up and all see the same owners of slots.
fn at_rest(servers: &[Server]) -> Result<(), String> {
    let mut views = BTreeSet::new();
    for server in servers {
        let (port, state) = (server.port(), server.cluster_info("cluster_state")?);
        if state != "ok" {
            return Err(format!("at port {port} cluster_state is {state}"));
        }
        let owners = server.nodes()?.into_iter().map(|line| {
            let runs = line.slots.into_iter().filter(|run| !run.starts_with('['));
            (line.id, line.epoch, runs.collect::<Vec<_>>())
        });
        views.insert(owners.filter(|(.., runs)| !runs.is_empty()).collect::<BTreeSet<_>>());
    }
    if views.len() == 1 { Ok(()) } else { Err(format!("they differ: {views:?}")) }
}

#[test]
fn a_killed_node_knows_again_what_it_has_told() {
    let kills = std::env::var("SLOTBUS_KILLS").map_or(KILLS, |kills| kills.parse().expect("a number of kills"));
    let folder = tempfile::tempdir().expect("a folder");
    let mut cluster = Cluster::form(folder.path());
    let begun = Instant::now();
    for _ in 0..kills {
        cluster.disturb();
        cluster.kill_one();
    }
    let took = begun.elapsed().as_secs_f64();
    let rested = wait_until(PATIENCE, || at_rest(&cluster.servers).is_ok());
    rested.unwrap_or_else(|why| panic!("the cluster does not come to rest: {why}: {:?}", at_rest(&cluster.servers)));
    for at in 0..cluster.servers.len() {
        cluster.servers[at].shut_down();
        cluster.look_at(at);
    }
    let Cluster { ledger, kept, absences, .. } = &cluster;
    let epoch = kept.iter().map(|kept| kept.current_epoch).max().unwrap_or_default();
    println!(
        "{kills} kills in {took:.0} s, {absences} with an absence: every nodes.conf could be loaded; epoch {epoch}, \
         {} votes, {} steps verified",
        ledger.votes.len(),
        ledger.steps,
    );
}
