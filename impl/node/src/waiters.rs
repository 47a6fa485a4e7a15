//! Owns the clients that wait for an element of a list, a sorted set or a stream: what each wishes for, since
//! when, and until when.
//!
//! Must not know how a wish is written: that is `commands::waiting`. Who has waited longest for a key
//! is served first.

use crate::{
    client::{Session, Wait},
    command::Answer,
    commands::{
        Extreme, grant,
        stream_reads::{Member as StreamMember, grant_entries, grant_share},
    },
    dispatch,
    server::Server,
    slab::Key,
    store::{
        Store,
        list::Side,
        news::{Class, News},
    },
};
use slotbus_core::{Millis, message::Publication};
use slotbus_wire::{entry_id::EntryId, resp::Reply};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

/// What a client waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// An element from an end of a list.
    Element(Side),
    /// Up to so many of them.
    Elements(Side, usize),
    /// An element from an end of a list, to be moved to an end of another.
    Move {
        /// From which end.
        from: Side,
        /// To which list.
        to: Box<[u8]>,
        /// To which end.
        side: Side,
    },
    /// A member from an end of a sorted set.
    Member(Extreme),
    /// Up to so many of them.
    Members(Extreme, usize),
    /// Up to so many entries of a stream, behind an id of each key.
    Entries(Vec<(Box<[u8]>, EntryId)>, usize),
    /// Up to so many entries of a stream that are new to a group, for one of it.
    Share(StreamMember, usize),
}

impl Wish {
    /// Takes what is wished for from a key; none if it is not there.
    fn grant(&self, store: &mut Store, key: &[u8]) -> Result<Option<Reply<'static>>, Reply<'static>> {
        match self {
            Self::Element(side) => grant::element(store, key, *side),
            Self::Elements(side, count) => grant::elements(store, key, *side, *count),
            Self::Move { from, to, side } => grant::moved(store, [(key, *from), (to, *side)]),
            Self::Member(extreme) => grant::member(store, key, *extreme),
            Self::Members(extreme, count) => grant::members(store, key, *extreme, *count),
            Self::Entries(ids, count) => {
                let id = ids.iter().find(|(known, _)| **known == *key).map(|(_, id)| *id);
                Ok(id.and_then(|id| grant_entries(store, key, id, *count)))
            }
            Self::Share(member, count) => grant_share(store, key, member, *count),
        }
    }

    /// The request that takes what was granted, without waiting; none if nothing was taken, or if what was has been
    /// told already.
    pub(crate) fn as_request(&self, key: &[u8], granted: &Reply<'_>) -> Option<Vec<Box<[u8]>>> {
        let count = grant::several(granted).map_or(0, |(_, count)| count).to_string();
        let end = |side: Side| if side == Side::Left { "LEFT" } else { "RIGHT" };
        let pop = |side: Side| if side == Side::Left { "LPOP" } else { "RPOP" };
        let pop_member = |extreme: Extreme| if extreme == Extreme::Least { "ZPOPMIN" } else { "ZPOPMAX" };
        let words = |name: &str, more: &[&[u8]]| -> Vec<Box<[u8]>> {
            [name.as_bytes(), key].iter().chain(more).map(|word| (*word).into()).collect()
        };
        Some(match self {
            Self::Element(side) => words(pop(*side), &[]),
            Self::Elements(side, _) => words(pop(*side), &[count.as_bytes()]),
            Self::Move { from, to, side } => words("LMOVE", &[to, end(*from).as_bytes(), end(*side).as_bytes()]),
            Self::Member(extreme) => words(pop_member(*extreme), &[]),
            Self::Members(extreme, _) => words(pop_member(*extreme), &[count.as_bytes()]),
            Self::Entries(..) | Self::Share(..) => return None,
        })
    }

    /// Whether a value of this kind, or that there is none, may end the wait for it.
    fn is_of(&self, kind: Option<&str>) -> bool {
        match self {
            Self::Element(_) | Self::Elements(..) | Self::Move { .. } => kind == Some("list"),
            Self::Member(_) | Self::Members(..) => kind == Some("zset"),
            Self::Entries(..) => kind == Some("stream"),
            // A group goes with its key.
            Self::Share(..) => true,
        }
    }

    /// Whether nothing is changed when it is granted.
    fn is_to_read(&self) -> bool {
        matches!(self, Self::Entries(..))
    }

    /// What is answered at once if there is nothing, and no wait.
    fn nothing(&self) -> Reply<'static> {
        match self {
            Self::Move { .. } => Reply::Null,
            Self::Element(_) | Self::Elements(..) | Self::Member(_) | Self::Members(..) => Reply::NullArray,
            Self::Entries(..) | Self::Share(..) => Reply::NullArray,
        }
    }
}

/// A wish, of any of some keys, for some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The keys, in the order in which they are looked at.
    pub keys: Vec<Box<[u8]>>,
    /// What is wished for.
    pub wish: Wish,
    /// How long; none for ever.
    pub timeout_ms: Option<u64>,
}

#[derive(Debug)]
struct Waiter {
    waiting: Waiting,
    end: Option<Millis>,
}

/// Every client that waits.
#[derive(Debug, Default)]
pub struct Waiters {
    by_client: BTreeMap<Key, Waiter>,
    by_key: HashMap<Box<[u8]>, VecDeque<Key>>,
    ends: BTreeSet<(Millis, Key)>,
}

impl Waiters {
    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_client.len()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_client.is_empty()
    }

    /// When the first of them has waited long enough.
    #[must_use]
    pub fn next_end(&self) -> Option<Millis> {
        self.ends.first().map(|(end, _)| *end)
    }

    fn add(&mut self, client: Key, waiting: Waiting, now: Millis, news: &mut News) {
        let end = waiting.timeout_ms.map(|timeout_ms| now.after(timeout_ms));
        self.ends.extend(end.map(|end| (end, client)));
        for key in &waiting.keys {
            let queue = self.by_key.entry(key.clone()).or_default();
            if !queue.contains(&client) {
                queue.push_back(client);
                news.wait_for(key);
            }
        }
        self.by_client.insert(client, Waiter { waiting, end });
    }

    /// Has a client wait no more; says what it waited for.
    pub fn remove(&mut self, client: Key, news: &mut News) -> Option<Waiting> {
        let Waiter { waiting, end } = self.by_client.remove(&client)?;
        self.ends.retain(|(other_end, other)| Some(*other_end) != end || *other != client);
        for key in &waiting.keys {
            let Some(queue) = self.by_key.get_mut(key) else { continue };
            let before = queue.len();
            queue.retain(|other| *other != client);
            if queue.len() < before {
                news.give_up(key);
            }
            if queue.is_empty() {
                self.by_key.remove(key);
            }
        }
        Some(waiting)
    }

    /// Who waits for a key, the longest first, and for what.
    fn of(&self, key: &[u8]) -> Vec<(Key, Wish)> {
        let queue = self.by_key.get(key).into_iter().flatten();
        queue.filter_map(|client| Some((*client, self.by_client.get(client)?.waiting.wish.clone()))).collect()
    }
}

impl Server {
    /// Grants a wish at once, or has the client wait for it.
    pub fn grant_or_wait<'e>(&mut self, session: &mut Session, waiting: Waiting) -> Answer<'e> {
        for key in &waiting.keys {
            if let Some(reply) = waiting.wish.grant(&mut self.store, key)? {
                self.record_grant(&waiting.wish, key, &reply);
                return Ok(reply);
            }
        }
        // The other replies of a transaction cannot wait for this one.
        if session.is_executing {
            return Ok(waiting.wish.nothing());
        }
        self.have_wait(session, waiting);
        Ok(Reply::Silence)
    }

    /// Has a client wait.
    pub(crate) fn have_wait(&mut self, session: &mut Session, waiting: Waiting) {
        self.waiters.add(session.key, waiting, self.now, &mut self.store.news);
        session.waits = Some(Wait::Reply);
    }

    /// Tells what has happened to keys, to all whom it concerns, until nothing more happens.
    pub fn follow_up(&mut self, mut session: Option<&mut Session>) {
        // What a script does is told once it has ended.
        if self.scripts.running.is_some() {
            return;
        }
        self.end_unit(session.as_deref_mut());
        while self.store.news.is_pending() {
            for event in self.store.news.take_events() {
                self.publish_event(session.as_deref_mut(), &event.key, event.name);
            }
            self.invalidate_changed(session.as_deref_mut());
            for key in self.store.news.take_ready() {
                self.serve_waiters(&key);
            }
        }
    }

    fn publish_event(&mut self, mut session: Option<&mut Session>, key: &[u8], name: &str) {
        let by =
            [(Class::BY_KEY, "keyspace", key, name.as_bytes()), (Class::BY_EVENT, "keyevent", name.as_bytes(), key)];
        for (class, prefix, channel, payload) in by {
            if self.store.news.classes.contains(class) {
                let channel = [format!("__{prefix}@0__:").as_bytes(), channel].concat();
                let publication = Publication { channel, payload: payload.to_vec() };
                self.deliver(session.as_deref_mut(), &publication, false);
            }
        }
    }

    /// Grants the wishes of those who wait for a key, as long as there is anything to grant.
    fn serve_waiters(&mut self, key: &[u8]) {
        self.tell_time();
        for (client, wish) in self.waiters.of(key) {
            let kind = self.store.peek(key).map(|entry| entry.view().kind());
            if !wish.is_of(kind) {
                continue;
            }
            match wish.grant(&mut self.store, key) {
                Ok(None) => {}
                Ok(Some(reply)) => {
                    self.record_grant(&wish, key, &reply);
                    self.end_unit(None);
                    self.end_wait(client, &reply);
                }
                Err(reply) => {
                    self.end_wait(client, &reply);
                }
            }
        }
    }

    /// Ends a client's wait with a reply.
    pub fn end_wait(&mut self, client: Key, reply: &Reply<'_>) -> bool {
        if self.waiters.remove(client, &mut self.store.news).is_none() {
            return false;
        }
        if let Some(waiter) = self.clients.get_mut(client) {
            waiter.finish(reply);
            self.ready.insert(client);
        }
        true
    }

    /// Ends a client's wait as if its time had come.
    pub fn end_wait_empty(&mut self, client: Key) -> bool {
        self.end_wait(client, &Reply::NullArray)
    }

    /// Ends the waits that have lasted long enough.
    pub fn end_late_waits(&mut self) {
        while let Some(&(end, client)) = self.waiters.ends.first() {
            if end > self.now {
                return;
            }
            self.end_wait_empty(client);
        }
    }

    /// Ends the waits for keys that this node does not serve any more.
    pub(crate) fn end_unserved_waits(&mut self) {
        let moved = self.waiters.by_client.iter().filter_map(|(client, waiter)| {
            let keys = waiter.waiting.keys.iter().map(|key| &**key);
            let session = &self.clients.get(*client)?.session;
            let is_read = session.is_readonly && waiter.waiting.wish.is_to_read();
            Some((*client, dispatch::relocate(self, session.is_tls, is_read, keys)?))
        });
        for (client, reply) in moved.collect::<Vec<_>>() {
            self.end_wait(client, &reply);
        }
    }
}
