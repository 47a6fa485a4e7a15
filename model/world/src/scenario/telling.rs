//! Owns what a scenario tells of what happened: every step of a verb that names it, or only what is
//! news where time passes. Knows no cluster.

use super::SLOTS;
use crate::{
    place::Place,
    setup::{HostSetup, Setup},
    story::{Teller, rules},
};
use slotbus_core::{Body, Effect, Effects, Event, Millis, NodeId, Profile, Rule};
use std::{collections::BTreeSet, fmt::Write as _, sync::Arc};

/// Letters that name hosts and strangers.
const LETTERS: u8 = 26;

/// Rules that fire all the time in a cluster at rest.
const ROUTINE: &[Rule] = &[
    Rule::LinkOpened,
    Rule::LinkUpPing,
    Rule::PingChosen,
    Rule::PingOverdue,
    Rule::PingAnswered,
    Rule::PingReturned,
    Rule::GossipSent,
    Rule::GossipFresher,
];

/// How much is told of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    /// All of it.
    Everything,
    /// All of it, if a rule fired.
    Rules,
    /// The first time that a rule beyond routine fires at a node during the verb, with the time.
    News,
    /// Nothing, and the rules do not count as shown.
    Nothing,
}

/// The story of a scenario so far, and of the verb under way.
#[derive(Debug)]
pub(super) struct Story {
    pub(super) detail: Detail,
    pub(super) fired: BTreeSet<Rule>,
    names: Setup,
    text: String,
    seen: BTreeSet<(Place, Rule)>,
    /// When something new was last told.
    pub(super) news_at: Millis,
}

impl Default for Story {
    fn default() -> Self {
        let mut names = Setup::new(0, Profile::SLOTBUS);
        names.hosts = (0..LETTERS)
            .map(|letter| HostSetup { id: id_of(Place(letter)), ip: Place(letter).ip(), config: Arc::default() })
            .collect();
        Self {
            detail: Detail::Everything,
            fired: BTreeSet::new(),
            names,
            text: String::new(),
            seen: BTreeSet::new(),
            news_at: Millis(0),
        }
    }
}

/// The id that a place's node has at first: ids ascend with letters.
fn id_of(place: Place) -> NodeId {
    NodeId([b'a'.saturating_add(place.0); 20])
}

impl Story {
    /// The id of a place's node.
    pub(super) fn id(&self, place: Place) -> NodeId {
        self.names.hosts.get(place.index()).map_or_else(|| id_of(place), |host| host.id)
    }

    /// From now on the letter of `place` stands for this id.
    pub(super) fn rename(&mut self, place: Place, id: NodeId) {
        if let Some(host) = self.names.hosts.get_mut(place.index()) {
            host.id = id;
        }
    }

    pub(super) fn teller(&self) -> Teller<'_> {
        Teller { setup: &self.names }
    }

    /// Ends the telling of a verb.
    pub(super) fn take(&mut self) -> String {
        self.seen.clear();
        std::mem::take(&mut self.text)
    }

    /// Adds a line.
    pub(super) fn line(&mut self, line: &str) {
        let _ = writeln!(self.text, "  {line}");
    }

    /// Tells one step of a node.
    pub(super) fn step(&mut self, now: Millis, place: Place, cause: &str, effects: &Effects<SLOTS>) {
        match self.detail {
            Detail::Nothing => return,
            Detail::Rules if effects.rules.is_empty() => return,
            Detail::Everything | Detail::Rules => {
                self.line(&format!("{place} {cause}: {}", rules(&effects.rules)));
                self.told_save(effects);
                let lines: Vec<_> = effects.then.iter().map(|effect| self.teller().effect(effect)).collect();
                lines.iter().for_each(|line| self.line(&format!("  {line}")));
            }
            Detail::News => self.news(now, place, cause, effects),
        }
        self.fired.extend(&effects.rules);
    }

    fn told_save(&mut self, effects: &Effects<SLOTS>) {
        if let Some(persist) = &effects.persist {
            self.line(if persist.sync { "  saves and syncs" } else { "  saves" });
        }
    }

    fn news(&mut self, now: Millis, place: Place, cause: &str, effects: &Effects<SLOTS>) {
        let beyond_routine = effects.rules.iter().filter(|rule| !ROUTINE.contains(rule));
        let news = beyond_routine.filter(|&&rule| self.seen.insert((place, rule))).count();
        if news == 0 {
            return;
        }
        self.news_at = now;
        self.line(&format!("{} ms: {place} {cause}: {}", now.since(super::cluster::DAWN), rules(&effects.rules)));
        let telling = effects.then.iter().filter(|effect| is_telling(effect));
        let lines: Vec<_> = telling.map(|effect| self.teller().effect(effect)).collect();
        lines.iter().for_each(|line| self.line(&format!("  {line}")));
    }

    /// What happened to a node, in words.
    pub(super) fn cause(&self, event: &Event<SLOTS>) -> String {
        self.teller().event(event)
    }
}

/// Heartbeats and connections come and go all the time.
fn is_telling(effect: &Effect<SLOTS>) -> bool {
    match effect {
        Effect::Send { message, .. } => !matches!(message.body, Body::Ping(_) | Body::Pong(_) | Body::Meet(_)),
        Effect::Connect { .. } => false,
        Effect::Close { .. }
        | Effect::Follow { .. }
        | Effect::Lead
        | Effect::PauseWrites { .. }
        | Effect::ResumeWrites
        | Effect::DropKeys { .. }
        | Effect::DropAllKeys
        | Effect::Deliver { .. }
        | Effect::Reply { .. } => true,
    }
}
