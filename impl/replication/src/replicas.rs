//! Owns the side that faces this node's replicas: what each has been sent, has acknowledged, and is
//! waiting for.
//!
//! Must not know the primary, but for whether this node is in step with one.

use crate::{
    Effect, Introduction, Note, ReplicaId, StreamId,
    step::{Replication, Syncs, Turn},
    upstream::Upstream,
};
use slotbus_core::Millis;

/// From one sign of life to the next, for those that wait for a copy.
const NEWLINE_MS: u64 = 1000;

/// A replica that has taken nothing for so long is not waited for.
const PATIENCE_MS: u64 = 1000;

const SELECT: &[u8] = b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n";
const PING: &[u8] = b"*1\r\n$4\r\nping\r\n";
const GETACK: &[u8] = b"*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n";

/// How far a replica has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It has said who it is.
    Introduced,
    /// It waits for a copy of all keys, since then.
    Waiting(Millis),
    /// It is being sent one.
    Copying,
    /// It has been sent one, and has not acknowledged it.
    Copied,
    /// It reads the stream.
    Online,
}

/// A replica of this node.
#[derive(Clone, Debug)]
pub struct Replica {
    /// How far it has got.
    pub phase: Phase,
    /// Where clients reach it.
    pub port: u16,
    /// Its address, if it told one.
    pub ip: Option<String>,
    /// How many bytes of the stream it has acknowledged.
    pub acked: u64,
    /// When it last gave a sign of life.
    pub heard_at: Millis,
    knows_end_marks: bool,
    wants_copy_only: bool,
    wants_no_keys: bool,
    expects_place: bool,
    /// How many bytes of the stream it was sent.
    sent: u64,
    /// When it last took something, or had nothing to take.
    took_at: Millis,
    /// Since when more waits for it than may for long.
    slow_since: Option<Millis>,
}

impl Replica {
    fn new(now: Millis) -> Self {
        Self {
            phase: Phase::Introduced,
            port: 0,
            ip: None,
            acked: 0,
            heard_at: now,
            knows_end_marks: false,
            wants_copy_only: false,
            wants_no_keys: false,
            expects_place: true,
            sent: 0,
            took_at: now,
            slow_since: None,
        }
    }

    /// Whether it holds a place in the stream.
    fn has_place(&self) -> bool {
        match self.phase {
            Phase::Introduced | Phase::Waiting(_) => false,
            Phase::Copying | Phase::Copied | Phase::Online => true,
        }
    }
}

impl Replication {
    /// How replicas came to read the stream so far.
    #[must_use]
    pub fn syncs(&self) -> Syncs {
        self.syncs
    }

    /// What a replica is to be sent next; nothing if it is up to date, or has no place in the stream yet.
    #[must_use]
    pub fn unsent(&self, replica: ReplicaId) -> &[u8] {
        let replica = self.replicas.get(&replica).filter(|replica| replica.phase == Phase::Online);
        replica.map(|replica| self.backlog.after(replica.sent)).unwrap_or_default()
    }

    /// A replica was sent so much of that.
    pub fn sent(&mut self, now: Millis, replica: ReplicaId, count: usize) {
        if let Some(replica) = self.replicas.get_mut(&replica) {
            replica.sent += count as u64;
            replica.took_at = now;
        }
    }

    /// How many bytes of the stream some replica was sent, of those that take what they are sent; no bound
    /// if there is none of them. A write beyond that would be lost with this process.
    #[must_use]
    pub fn safe_until(&self, now: Millis) -> u64 {
        let end = self.history.offset;
        let takes = |replica: &&Replica| replica.sent == end || now.since(replica.took_at) <= PATIENCE_MS;
        self.online().filter(takes).map(|replica| replica.sent).max().unwrap_or(u64::MAX)
    }

    /// The replicas that are to be sent something.
    #[must_use]
    pub fn lagging(&self) -> Vec<ReplicaId> {
        let lagging = self.replicas.iter().filter(|(id, _)| !self.unsent(**id).is_empty());
        lagging.map(|(id, _)| *id).collect()
    }

    /// How many replicas have acknowledged so many bytes of the stream.
    #[must_use]
    pub fn acked_by(&self, offset: u64) -> usize {
        self.online().filter(|replica| replica.acked >= offset).count()
    }

    /// How many replicas were heard of within that time.
    #[must_use]
    pub fn in_touch(&self, now: Millis, lag_ms: u64) -> usize {
        self.online().filter(|replica| now.since(replica.heard_at) <= lag_ms).count()
    }

    fn online(&self) -> impl Iterator<Item = &Replica> {
        self.replicas.values().filter(|replica| replica.phase == Phase::Online)
    }

    /// Whether this node's data are those of its stream.
    fn is_in_step(&self) -> bool {
        self.upstream.as_ref().is_none_or(Upstream::is_streaming)
    }
}

impl Turn<'_> {
    pub(crate) fn produced(&mut self, bytes: &[u8]) {
        if !self.state.is_active || self.state.upstream.is_some() || bytes.is_empty() {
            return;
        }
        let (now, end) = (self.now, self.state.history.offset);
        for replica in self.state.replicas.values_mut().filter(|replica| replica.sent == end) {
            replica.took_at = now;
        }
        if std::mem::take(&mut self.state.select_due) {
            self.extend_stream(SELECT);
        }
        self.extend_stream(bytes);
    }

    pub(crate) fn ask_for_acks(&mut self) {
        if self.state.online().next().is_some() {
            self.produced(GETACK);
        }
    }

    fn replica(&mut self, id: ReplicaId) -> &mut Replica {
        let now = self.now;
        self.state.replicas.entry(id).or_insert_with(|| Replica::new(now))
    }

    pub(crate) fn introduced(&mut self, id: ReplicaId, introduction: Introduction) {
        let replica = self.replica(id);
        match introduction {
            Introduction::Port(port) => replica.port = port,
            Introduction::Ip(ip) => replica.ip = Some(ip),
            Introduction::EndMarks => replica.knows_end_marks = true,
            Introduction::NoKeys => replica.wants_no_keys = true,
            Introduction::CopyOnly => replica.wants_copy_only = true,
        }
    }

    pub(crate) fn asked(&mut self, id: ReplicaId, place: Option<(StreamId, u64)>, expects_place: bool) {
        let now = self.now;
        let replica = self.replica(id);
        replica.expects_place = expects_place;
        replica.heard_at = now;
        if replica.phase != Phase::Introduced {
            return;
        }
        if replica.wants_no_keys && !replica.knows_end_marks {
            return self.answer(id, "-ERR Filtered replica requires EOF capability\r\n");
        }
        if !self.state.is_in_step() {
            return self.answer(id, "-NOMASTERLINK Can't SYNC while not connected with my master\r\n");
        }
        let is_here = |&(stream, offset): &(StreamId, u64)| {
            self.state.is_active && self.state.history.includes(stream, offset) && self.state.backlog.reaches(offset)
        };
        match place.filter(is_here) {
            Some((_, offset)) => {
                self.state.syncs.continued += 1;
                self.go_on_with(id, offset);
            }
            None => {
                self.state.syncs.copies += 1;
                self.state.syncs.not_continued += u64::from(place.is_some());
                self.have_wait(id);
            }
        }
        if !std::mem::replace(&mut self.state.is_active, true) {
            self.state.ping_at = self.now.after(self.state.config.ping_ms);
        }
    }

    fn go_on_with(&mut self, id: ReplicaId, offset: u64) {
        let replica = self.replica(id);
        (replica.phase, replica.sent, replica.acked) = (Phase::Online, offset, offset);
        let stream = self.state.history.tell();
        self.answer(id, &format!("+CONTINUE {stream}\r\n"));
        let missing = self.state.history.offset - offset;
        self.perform(Effect::Tell(Note::ReplicaContinues(id, missing)));
    }

    fn have_wait(&mut self, id: ReplicaId) {
        let now = self.now;
        let replica = self.replica(id);
        replica.phase = Phase::Waiting(now);
        self.perform(Effect::Tell(Note::ReplicaNeedsCopy(id)));
    }

    fn answer(&mut self, replica: ReplicaId, line: &str) {
        self.perform(Effect::Answer { replica, bytes: line.as_bytes().to_vec() });
    }

    pub(crate) fn acked(&mut self, id: ReplicaId, offset: u64) {
        let (now, end) = (self.now, self.state.history.offset);
        let Some(replica) = self.state.replicas.get_mut(&id) else { return };
        replica.heard_at = now;
        replica.acked = replica.acked.max(offset.min(end));
        if replica.phase == Phase::Copied {
            replica.phase = Phase::Online;
            self.perform(Effect::Tell(Note::ReplicaOnline(id)));
        }
    }

    pub(crate) fn heard(&mut self, id: ReplicaId) {
        if let Some(replica) = self.state.replicas.get_mut(&id) {
            replica.heard_at = self.now;
        }
    }

    pub(crate) fn copied(&mut self, id: ReplicaId) {
        self.heard(id);
        if let Some(replica) = self.state.replicas.get_mut(&id).filter(|replica| replica.phase == Phase::Copying) {
            replica.phase = if replica.wants_copy_only {
                Phase::Introduced
            } else if replica.expects_place || replica.knows_end_marks {
                // What follows an end mark at once would hide it. Whoever has found it says so.
                Phase::Copied
            } else {
                // One that knows neither acknowledges nothing.
                Phase::Online
            };
        }
    }

    pub(crate) fn copy_failed(&mut self) {
        self.close_those(|replica| replica.phase == Phase::Copying);
    }

    pub(crate) fn close_replicas(&mut self) {
        self.close_those(|_| true);
    }

    pub(crate) fn forget(&mut self, id: ReplicaId) {
        self.state.replicas.remove(&id);
    }

    fn close_those(&mut self, is_over: impl Fn(&Replica) -> bool) {
        let effects = &mut self.effects;
        self.state.replicas.retain(|&replica, state| {
            let is_over = is_over(state);
            effects.extend(is_over.then_some(Effect::Close { replica }));
            !is_over
        });
    }

    pub(crate) fn tick_replicas(&mut self, is_paused: bool, can_copy: bool) {
        if self.state.replicas.is_empty() {
            return self.trim();
        }
        if can_copy {
            self.begin_copy();
        }
        self.give_signs(is_paused);
        self.close_silent();
        self.close_slow();
        self.trim();
    }

    /// Begins a copy for all that wait, once the first of them has waited long enough for others.
    fn begin_copy(&mut self) {
        let waiting = self.state.replicas.values().filter_map(|replica| match replica.phase {
            Phase::Waiting(since) => Some(since),
            Phase::Introduced | Phase::Copying | Phase::Copied | Phase::Online => None,
        });
        let (count, first) = waiting.fold((0, None), |(count, first), since| {
            (count + 1, Some(first.map_or(since, |first: Millis| first.min(since))))
        });
        let config = &self.state.config;
        let is_enough = config.delayed_max > 0 && count >= config.delayed_max;
        let is_due = first.is_some_and(|first| is_enough || self.now.since(first) >= config.delay_ms);
        if !is_due || !self.state.is_in_step() {
            return;
        }
        let (stream, offset) = (self.state.history.tell(), self.state.history.offset);
        let [mut answered, mut marked, mut counted, mut empty] = [const { Vec::new() }; 4];
        for (id, replica) in &mut self.state.replicas {
            if matches!(replica.phase, Phase::Waiting(_)) {
                (replica.phase, replica.sent, replica.acked) = (Phase::Copying, offset, offset);
                replica.heard_at = self.now;
                answered.extend(replica.expects_place.then_some(*id));
                match (replica.wants_no_keys, replica.knows_end_marks) {
                    (true, _) => &mut empty,
                    (false, true) => &mut marked,
                    (false, false) => &mut counted,
                }
                .push(*id);
            }
        }
        self.state.select_due = true;
        for id in answered {
            self.answer(id, &format!("+FULLRESYNC {stream} {offset}\r\n"));
        }
        self.perform(Effect::Copy { marked, counted, empty });
    }

    /// Lets replicas know that this node is there.
    fn give_signs(&mut self, is_paused: bool) {
        if self.now >= self.state.ping_at && !is_paused {
            self.state.ping_at = self.now.after(self.state.config.ping_ms);
            self.produced(PING);
        }
        if self.now < self.state.newline_at {
            return;
        }
        self.state.newline_at = self.now.after(NEWLINE_MS);
        let waiting = self.state.replicas.iter().filter(|(_, replica)| match replica.phase {
            Phase::Waiting(_) => true,
            // Its copy leaves when its length is known.
            Phase::Copying => !replica.knows_end_marks,
            Phase::Introduced | Phase::Copied | Phase::Online => false,
        });
        for replica in waiting.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.answer(replica, "\n");
        }
    }

    fn close_silent(&mut self) {
        let (now, timeout_ms) = (self.now, self.state.config.timeout_ms);
        let is_silent = |replica: &Replica| replica.has_place() && now.since(replica.heard_at) > timeout_ms;
        self.close_because(is_silent, Note::ReplicaSilent);
    }

    fn close_slow(&mut self) {
        let (now, end, limit) = (self.now, self.state.history.offset, self.state.config.output);
        for replica in self.state.replicas.values_mut().filter(|replica| replica.has_place()) {
            let is_slow = limit.soft > 0 && end - replica.sent > limit.soft;
            replica.slow_since = is_slow.then(|| replica.slow_since.unwrap_or(now));
        }
        let is_over = |replica: &Replica| {
            let is_full = replica.has_place() && limit.hard > 0 && end - replica.sent > limit.hard;
            is_full || replica.slow_since.is_some_and(|since| now.since(since) > limit.soft_ms)
        };
        self.close_because(is_over, Note::ReplicaOverflows);
    }

    fn close_because(&mut self, is_over: impl Fn(&Replica) -> bool, note: impl Fn(ReplicaId) -> Note) {
        let over = self.state.replicas.iter().filter(|(_, replica)| is_over(replica)).map(|(id, _)| *id);
        let notes: Vec<Effect> = over.map(|id| Effect::Tell(note(id))).collect();
        self.effects.extend(notes);
        self.close_those(is_over);
    }

    /// Forgets what every replica was sent, but for so much as may be asked for again.
    fn trim(&mut self) {
        let kept_from = self.state.history.offset.saturating_sub(self.state.config.backlog_bytes);
        let sent = self.state.replicas.values().filter(|replica| replica.has_place()).map(|replica| replica.sent);
        let kept_from = sent.fold(kept_from, u64::min);
        self.state.backlog.forget_before(kept_from);
    }
}
