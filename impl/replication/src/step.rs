//! Owns the one entrance: what has happened, and when, goes to the side that it concerns.
//!
//! Must not know either side's inside.

use crate::{
    Config, Effect, Event, History, ReplicaId, StreamId, backlog::Backlog, replicas::Replica, upstream::Upstream,
};
use slotbus_core::Millis;
use std::collections::BTreeMap;

/// How a node's replication stands.
#[derive(Clone, Debug)]
pub struct Replication {
    /// What is configured.
    pub config: Config,
    pub(crate) history: History,
    pub(crate) backlog: Backlog,
    /// Whether the stream is written: somebody has asked for it, or this node has read one.
    pub(crate) is_active: bool,
    /// Whether what is here may not be what the stream says.
    pub(crate) needs_copy: bool,
    /// Whether the next write has to say which database it is about.
    pub(crate) select_due: bool,
    pub(crate) ping_at: Millis,
    pub(crate) newline_at: Millis,
    pub(crate) upstream: Option<Upstream>,
    pub(crate) replicas: BTreeMap<ReplicaId, Replica>,
    pub(crate) syncs: Syncs,
}

/// How replicas came to read the stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Syncs {
    /// So many needed a copy of all keys.
    pub copies: u64,
    /// So many went on where they were.
    pub continued: u64,
    /// So many told where they were and could not go on there.
    pub not_continued: u64,
}

impl Replication {
    /// A node that has these bytes, follows nobody, and is followed by nobody.
    #[must_use]
    pub fn new(config: Config, history: History) -> Self {
        let mut backlog = Backlog::default();
        backlog.restart(history.offset);
        Self {
            config,
            history,
            backlog,
            is_active: false,
            needs_copy: false,
            select_due: true,
            ping_at: Millis(0),
            newline_at: Millis(0),
            upstream: None,
            replicas: BTreeMap::new(),
            syncs: Syncs::default(),
        }
    }

    /// A node that was started again with what it had saved at a place in a stream. Nobody else may have
    /// written under the name that it goes on with.
    #[must_use]
    pub fn restored(config: Config, id: StreamId, offset: u64, fresh: StreamId) -> Self {
        let mut history = History { offset, ..History::new(id) };
        history.rename(fresh);
        Self { is_active: true, ..Self::new(config, history) }
    }

    /// Takes what has happened; hands out what is to be done, in order. Never fails, whatever comes.
    pub fn step(&mut self, now: Millis, event: Event<'_>) -> Vec<Effect> {
        let mut turn = Turn { state: self, now, effects: Vec::new() };
        match event {
            Event::Tick { is_paused, can_copy } => {
                turn.tick_upstream();
                turn.tick_replicas(is_paused, can_copy);
            }
            Event::Follow { primary, address, shard } => turn.follow(primary, address, shard),
            Event::Lead { id } => turn.lead(id),
            Event::Connected => turn.connected(),
            Event::Lost => turn.lost(),
            Event::Received(bytes) => turn.received(bytes),
            Event::Loaded => turn.loaded(),
            Event::Unloadable | Event::Inapplicable => turn.out_of_step(),
            Event::Produced(bytes) => turn.produced(bytes),
            Event::AcksWanted => turn.ask_for_acks(),
            Event::Introduced { replica, introduction } => turn.introduced(replica, introduction),
            Event::Asked { replica, place, expects_place } => turn.asked(replica, place, expects_place),
            Event::Acked { replica, offset } => turn.acked(replica, offset),
            Event::Heard { replica } => turn.heard(replica),
            Event::Copied { replica } => turn.copied(replica),
            Event::CopyFailed => turn.copy_failed(),
            Event::Gone { replica } => turn.forget(replica),
        }
        turn.effects
    }

    /// Which bytes are here.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The place in the stream that the data are at; none if they may not be what the stream says.
    #[must_use]
    pub fn place(&self) -> Option<(StreamId, u64)> {
        (self.is_active && !self.needs_copy).then_some((self.history.id, self.history.offset))
    }

    /// Whether the stream is written.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.is_active
    }

    /// Where the bytes begin that are kept for replicas, and how many those are.
    #[must_use]
    pub fn kept(&self) -> (u64, usize) {
        (self.backlog.start(), self.backlog.len())
    }

    /// The primary, if one is followed.
    #[must_use]
    pub fn upstream(&self) -> Option<&Upstream> {
        self.upstream.as_ref()
    }

    /// Every replica.
    pub fn replicas(&self) -> impl Iterator<Item = (ReplicaId, &Replica)> {
        self.replicas.iter().map(|(id, replica)| (*id, replica))
    }

    /// How many bytes of the stream are in the data. None of them are while a copy arrives.
    #[must_use]
    pub fn offset(&self) -> u64 {
        if self.upstream.as_ref().is_some_and(Upstream::is_copying) { 0 } else { self.history.offset }
    }
}

/// Replication in the middle of a step.
pub(crate) struct Turn<'a> {
    pub(crate) state: &'a mut Replication,
    pub(crate) now: Millis,
    pub(crate) effects: Vec<Effect>,
}

impl Turn<'_> {
    pub(crate) fn perform(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// Adds bytes to the stream.
    pub(crate) fn extend_stream(&mut self, bytes: &[u8]) {
        self.state.backlog.append(bytes);
        self.state.history.offset += bytes.len() as u64;
    }

    /// Goes on with the stream under another name. Replicas learn it by asking again.
    pub(crate) fn rename_stream(&mut self, id: StreamId) {
        self.state.history.rename(id);
        self.state.select_due = true;
        self.close_replicas();
    }

    /// Begins where a copy of another node's data leaves off.
    pub(crate) fn restart_stream(&mut self, id: StreamId, offset: u64) {
        self.state.history = History { id, offset, former: None };
        self.state.backlog.restart(offset);
        self.close_replicas();
    }

    fn lead(&mut self, id: StreamId) {
        if self.state.upstream.take().is_none() {
            return;
        }
        self.perform(Effect::Disconnect);
        if std::mem::take(&mut self.state.needs_copy) {
            // Who has the stream of before may have what is not here.
            let offset = self.state.history.offset;
            self.restart_stream(id, offset);
            self.state.select_due = true;
        } else {
            self.rename_stream(id);
        }
    }
}
