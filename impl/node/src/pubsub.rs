//! Owns who listens to which channel, and how a message reaches them.
//!
//! Must not know how a message got here, nor who owns which slot: it is told.

use crate::{glob, slab::Key, users::User};
use slotbus_core::{Slot, message::Publication, route::key_slot};
use slotbus_wire::resp::Reply;
use std::collections::{BTreeMap, BTreeSet};

/// What a client can listen to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// One channel, anywhere in the cluster.
    Channel,
    /// All channels that match a pattern.
    Pattern,
    /// One channel of a shard.
    Shard,
}

impl Kind {
    /// The word for taking up such a subscription.
    #[must_use]
    pub fn begun(self) -> &'static str {
        match self {
            Self::Channel => "subscribe",
            Self::Pattern => "psubscribe",
            Self::Shard => "ssubscribe",
        }
    }

    /// The word for giving up such a subscription.
    #[must_use]
    pub fn ended(self) -> &'static str {
        match self {
            Self::Channel => "unsubscribe",
            Self::Pattern => "punsubscribe",
            Self::Shard => "sunsubscribe",
        }
    }
}

type Name = Box<[u8]>;

/// All subscriptions, by channel and by client.
#[derive(Debug, Default)]
pub struct Subscriptions {
    listeners: BTreeMap<(Kind, Name), BTreeSet<Key>>,
    by_client: BTreeMap<Key, BTreeSet<(Kind, Name)>>,
}

impl Subscriptions {
    /// Whether nobody listens to anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_client.is_empty()
    }

    /// Has a client listen.
    pub fn add(&mut self, client: Key, kind: Kind, name: &[u8]) {
        self.listeners.entry((kind, name.into())).or_default().insert(client);
        self.by_client.entry(client).or_default().insert((kind, name.into()));
    }

    /// Has a client listen no more.
    pub fn remove(&mut self, client: Key, kind: Kind, name: &[u8]) {
        let entry = (kind, Name::from(name));
        if let Some(listeners) = self.listeners.get_mut(&entry) {
            listeners.remove(&client);
            if listeners.is_empty() {
                self.listeners.remove(&entry);
            }
        }
        if let Some(own) = self.by_client.get_mut(&client) {
            own.remove(&entry);
            if own.is_empty() {
                self.by_client.remove(&client);
            }
        }
    }

    /// Forgets all subscriptions of a client.
    pub fn forget(&mut self, client: Key) {
        for (kind, name) in self.by_client.get(&client).cloned().unwrap_or_default() {
            self.remove(client, kind, &name);
        }
    }

    /// What a client listens to.
    pub fn of(&self, client: Key, kind: Kind) -> impl Iterator<Item = &[u8]> {
        let own = self.by_client.get(&client).into_iter().flatten();
        own.filter(move |(own, _)| *own == kind).map(|(_, name)| &**name)
    }

    /// How many subscriptions a client has that count together with this kind: those to channels
    /// and patterns are one count, those to shards another.
    #[must_use]
    pub fn count(&self, client: Key, kind: Kind) -> usize {
        let own = self.by_client.get(&client).into_iter().flatten();
        own.filter(|(own, _)| (*own == Kind::Shard) == (kind == Kind::Shard)).count()
    }

    /// Whether a client listens to anything.
    #[must_use]
    pub fn has_any(&self, client: Key) -> bool {
        self.by_client.contains_key(&client)
    }

    /// Whether a client is a user that may listen to all that it listens to.
    #[must_use]
    pub fn are_allowed(&self, client: Key, user: &User) -> bool {
        let own = self.by_client.get(&client).into_iter().flatten();
        own.into_iter().all(|(kind, name)| user.may_hear(name, *kind == Kind::Pattern))
    }

    /// Every channel or pattern that somebody listens to.
    pub fn names(&self, kind: Kind) -> impl Iterator<Item = &[u8]> {
        self.listeners.keys().filter(move |(other, _)| *other == kind).map(|(_, name)| &**name)
    }

    /// How many listen to this.
    #[must_use]
    pub fn listeners(&self, kind: Kind, name: &[u8]) -> usize {
        self.listeners.get(&(kind, name.into())).map_or(0, BTreeSet::len)
    }

    /// Who gets a message, and in which words, in order.
    #[must_use]
    pub fn receivers(&self, publication: &Publication, is_sharded: bool) -> Vec<(Key, Reply<'static>)> {
        let Publication { channel, payload } = publication;
        let words = |words: Vec<&[u8]>| Reply::Push(words.into_iter().map(|word| Reply::bulk(word.to_vec())).collect());
        let (kind, word) = if is_sharded { (Kind::Shard, "smessage") } else { (Kind::Channel, "message") };
        let direct = self.listeners.get(&(kind, channel.as_slice().into())).into_iter().flatten();
        let mut receivers: Vec<_> =
            direct.map(|&client| (client, words(vec![word.as_bytes(), channel, payload]))).collect();
        if !is_sharded {
            let patterns = self.listeners.iter().filter(|((kind, _), _)| *kind == Kind::Pattern);
            for ((_, pattern), clients) in patterns.filter(|((_, pattern), _)| glob::matches(pattern, channel, false)) {
                let message = words(vec![b"pmessage", pattern, channel, payload]);
                receivers.extend(clients.iter().map(|&client| (client, message.clone())));
            }
        }
        receivers
    }

    /// Ends the subscriptions to channels of shards whose slot is not served; says who listened to what.
    pub fn drop_unserved(&mut self, is_served: impl Fn(Slot) -> bool) -> Vec<(Key, Name)> {
        let lost: Vec<(Key, Name)> = self
            .listeners
            .iter()
            .filter(|((kind, name), _)| *kind == Kind::Shard && !is_served(key_slot(name)))
            .flat_map(|((_, name), clients)| clients.iter().map(|&client| (client, name.clone())))
            .collect();
        for (client, name) in &lost {
            self.remove(*client, Kind::Shard, name);
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Subscriptions};
    use crate::slab::Key;
    use slotbus_core::{message::Publication, route::key_slot};

    #[test]
    fn messages_reach_who_listens_and_nobody_else() {
        let key = |index| Key { index, generation: 0 };
        let mut all = Subscriptions::default();
        all.add(key(1), Kind::Channel, b"news");
        all.add(key(2), Kind::Pattern, b"n*");
        all.add(key(3), Kind::Shard, b"news");
        all.add(key(1), Kind::Pattern, b"x*");
        let publication = Publication { channel: b"news".to_vec(), payload: b"hi".to_vec() };
        let clients = |all: &Subscriptions, is_sharded| -> Vec<u32> {
            all.receivers(&publication, is_sharded).iter().map(|(key, _)| key.index).collect()
        };
        assert_eq!((clients(&all, false), clients(&all, true)), (vec![1, 2], vec![3]));
        assert_eq!((all.count(key(1), Kind::Channel), all.count(key(3), Kind::Shard)), (2, 1));
        assert!(all.drop_unserved(|slot| slot == key_slot(b"news")).is_empty());
        assert_eq!(all.drop_unserved(|_| false), [(key(3), b"news".as_slice().into())]);
        all.forget(key(1));
        all.remove(key(2), Kind::Pattern, b"n*");
        assert!(all.is_empty() && all.names(Kind::Channel).next().is_none());
    }
}
