//! Owns the model as somebody who is held to vectors: it takes a vector's steps one by one and says what
//! came of each, in the vector's words. Knows no expectation.

use super::{
    Node,
    vector::{Delta, Draws, Effect, Expect, Link, Persist, Step, Subject, grouped},
};
use slotbus_core::{
    CLUSTER_SLOTS, Config, Durable, Effects, Input, Millis, Mutant, Profile, Rule, next_deadline, step_with_draws,
};
use slotbus_wire::nodes_conf;
use std::{collections::BTreeMap, sync::Arc};

/// A node that takes a vector's steps.
pub(super) struct Session {
    node: Node,
    started: Millis,
    /// The lines of nodes.conf as last saved, by their first word.
    saved: BTreeMap<String, String>,
    state: BTreeMap<String, String>,
}

/// The profile called `name`.
pub(super) fn profile(name: &str) -> Result<Profile, String> {
    let known = || Profile::NAMED.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    Profile::named(name).ok_or_else(|| format!("there is no profile '{name}'; known: {}", known()))
}

impl Session {
    /// Starts the node under test, with a deliberate fault if one is named.
    pub(super) fn start(subject: &Subject, profile: Profile, mutant: Option<Mutant>) -> Result<(Self, Expect), String> {
        let config = Config { mutant, ..subject.config.config(profile) };
        let origin = subject.origin.core()?;
        let saved = match &origin {
            slotbus_core::Origin::Fresh(_) => BTreeMap::new(),
            slotbus_core::Origin::Restored(image) => lines(image),
        };
        let started = Millis(subject.now_ms);
        let (node, effects) = Node::start(Arc::new(config), origin, started).map_err(|error| error.to_string())?;
        let mut session = Self { node, started, saved, state: BTreeMap::new() };
        let seen = session.observe(effects);
        Ok((session, seen))
    }

    /// Takes a step that is not judged.
    pub(super) fn pass(&mut self, step: &Step) -> Result<(), String> {
        let (effects, _) = self.step(step)?;
        if let Some(persist) = effects.persist {
            self.saved = lines(&persist.image);
        }
        self.state.clear();
        Ok(())
    }

    /// Takes a step, and says what came of it and what was drawn.
    pub(super) fn take(&mut self, step: &Step) -> Result<(Expect, Vec<Draws>), String> {
        if self.state.is_empty() {
            self.state = project(&self.node);
        }
        let (effects, draws) = self.step(step)?;
        Ok((self.observe(effects), draws))
    }

    fn step(&mut self, step: &Step) -> Result<(Effects<CLUSTER_SLOTS>, Vec<Draws>), String> {
        let config = self.node.config().clone();
        let event = step.event.core(&config)?;
        let now = self.started.after(step.at_ms);
        let (effects, draws) = step_with_draws(&mut self.node, Input { now, random: step.random(), event });
        Ok((effects, grouped(&draws)))
    }

    fn observe(&mut self, effects: Effects<CLUSTER_SLOTS>) -> Expect {
        let persist = effects.persist.map(|persist| {
            let before = std::mem::replace(&mut self.saved, lines(&persist.image));
            Persist { sync: persist.sync, lines: delta(&before, &self.saved) }
        });
        let before = std::mem::replace(&mut self.state, project(&self.node));
        let mut rules: Vec<Rule> = effects.rules;
        rules.dedup();
        let state = delta(&before, &self.state);
        Expect { rules, persist, effects: effects.then.iter().map(Effect::of).collect(), state, live: None }
    }
}

fn lines(image: &Durable<CLUSTER_SLOTS>) -> BTreeMap<String, String> {
    let split = |line: &str| {
        let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
        (name.to_owned(), rest.to_owned())
    };
    nodes_conf::write(image).lines().map(split).collect()
}

fn delta(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Delta {
    let gone = before.keys().filter(|name| !after.contains_key(*name)).map(|name| (name.clone(), None));
    let changed = after.iter().filter(|(name, value)| before.get(*name) != Some(value));
    changed.map(|(name, value)| (name.clone(), Some(value.clone()))).chain(gone).collect()
}

/// The state of a node as vectors show it: for each node its line of CLUSTER NODES and what lies behind
/// it, then what concerns the node under test alone. Entries without content are left out.
fn project(node: &Node) -> BTreeMap<String, String> {
    let (migrating, importing) = (node.migrating(), node.importing());
    let mut state = BTreeMap::new();
    for pos in node.peers().positions() {
        let peer = &node.peers()[pos];
        let line = nodes_conf::node_line(&node.view(pos), migrating, importing);
        let line = line.split_once(' ').map_or("", |(_, rest)| rest).to_owned();
        state.insert(format!("node {}", peer.id), line);
        state.insert(format!("peer {}", peer.id), inside(peer));
    }
    let Millis(next_ms) = next_deadline(node).at;
    let (epoch, vote, size) = (node.current_epoch(), node.last_vote_epoch(), node.size());
    let cluster = format!("state={:?} size={size} epoch={epoch} vote={vote} next={next_ms}", node.state());
    state.insert("cluster".into(), cluster);
    let links = node.links().iter().map(|link| {
        let peer = link.peer.map_or_else(|| "-".to_owned(), |pos| node.peers()[pos].id.to_string());
        format!("{}{}={peer}", Link(link.id), if link.up { "" } else { "?" })
    });
    state.insert("links".into(), links.collect::<Vec<_>>().join(" "));
    state.insert("unclaimed".into(), node.unclaimed().to_string());
    state.insert("granted".into(), joined(node.granted().iter().map(|(slot, id)| format!("{slot}-<-{id}"))));
    state.insert("banned".into(), joined(node.banned().iter().map(|(id, until)| format!("{id}@{}", until.0))));
    let election = node.election();
    let voters = joined(election.voters.iter().map(ToString::to_string));
    state.insert(
        "election".into(),
        format!(
            "at={} awake={} asked={} epoch={} rank={} votes={} {voters}",
            shown(election.at),
            election.is_awake,
            election.asked,
            election.epoch,
            election.rank,
            election.votes
        ),
    );
    let manual = node.manual_failover().map(|manual| {
        let replica = manual.replica.map_or_else(|| "-".to_owned(), |id| id.to_string());
        let offset = manual.primary_offset.map_or_else(|| "-".to_owned(), |offset| offset.to_string());
        format!("end={} replica={replica} offset={offset} can_start={}", manual.end.0, manual.can_start)
    });
    state.insert("manual".into(), manual.unwrap_or_default());
    state.insert("minority".into(), node.minority_at().map_or_else(String::new, |at| at.0.to_string()));
    let replication = node.replication();
    state.insert("replication".into(), format!("offset={} fresh={}", replication.offset, shown(replication.fresh_at)));
    state.retain(|_, text| !text.is_empty());
    state
}

fn inside(peer: &slotbus_core::Peer<CLUSTER_SLOTS>) -> String {
    let reports = joined(peer.reports.iter().map(|report| format!("{}@{}", report.by, report.at.0)));
    let link = |number: Option<u32>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    let shard = peer.shard.map_or_else(|| "-".to_owned(), |id| id.to_string());
    format!(
        "flags={} heard={} failed={} voted={} orphaned={} offset={} shard={shard} out={} in={} reports={reports}",
        peer.flags.bits(),
        shown(peer.data_received),
        shown(peer.failed_at),
        shown(peer.voted_at),
        shown(peer.orphaned_at),
        peer.offset,
        link(peer.outbound),
        link(peer.inbound),
    )
}

fn joined(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(" ")
}

fn shown(instant: Option<Millis>) -> String {
    instant.map_or_else(|| "-".to_owned(), |Millis(ms)| ms.to_string())
}
