//! Owns which clients keep copies of keys, and which keys those are: who is to be told of a change.
//!
//! Must not know how a client is told, nor what changes keys.

use crate::slab::Key;
use std::collections::{BTreeMap, BTreeSet};

type Name = Box<[u8]>;

/// Which of a client's reads leave copies with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// All.
    #[default]
    Reads,
    /// Those that it says so of, ahead.
    ReadsIfSaid,
    /// All but those that it says so of, ahead.
    ReadsUnlessSaid,
    /// None: it is told of every key with one of its prefixes, read or not.
    Prefixes,
}

/// What a client wants to be told, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// Which of its reads count.
    pub scope: Scope,
    /// The number and the place of the client that is told in its stead.
    pub redirect: Option<(u64, Key)>,
    /// Whether that client was found to be gone.
    pub is_redirect_broken: bool,
    /// Whether it is not told of its own changes.
    pub spares_own: bool,
    /// Whether it has said that its next request is the exception.
    pub has_said: bool,
}

impl Interest {
    /// Whether a read that is made now leaves copies with the client.
    #[must_use]
    pub fn counts_reads(&self) -> bool {
        match self.scope {
            Scope::Reads => true,
            Scope::ReadsIfSaid => self.has_said,
            Scope::ReadsUnlessSaid => !self.has_said,
            Scope::Prefixes => false,
        }
    }
}

/// A prefix of keys, whose clients are told of changes once a turn of the event loop.
#[derive(Debug, Default)]
struct Prefix {
    clients: BTreeSet<Key>,
    /// The keys that have changed, with who was the first to change each.
    changed: BTreeMap<Name, Option<Key>>,
}

/// What is known of all clients together.
#[derive(Debug, Default)]
pub struct Tracking {
    clients: BTreeSet<Key>,
    /// Who may have a copy of which key. A client that is gone is found out when the key changes.
    readers: BTreeMap<Name, BTreeSet<Key>>,
    copies: usize,
    prefixes: BTreeMap<Name, Prefix>,
}

impl Tracking {
    /// Whether there is nobody to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    /// The clients that are to be told.
    pub fn clients(&self) -> impl ExactSizeIterator<Item = Key> {
        self.clients.iter().copied()
    }

    /// How many keys are remembered, how many copies of them, and how many prefixes.
    #[must_use]
    pub fn counts(&self) -> [usize; 3] {
        [self.readers.len(), self.copies, self.prefixes.len()]
    }

    /// Has a client be told from now on.
    pub fn begin(&mut self, client: Key) {
        self.clients.insert(client);
    }

    /// Has it be told of keys with a prefix, too.
    pub fn add_prefix(&mut self, client: Key, prefix: &[u8]) {
        self.prefixes.entry(prefix.into()).or_default().clients.insert(client);
    }

    /// The prefixes of a client, in order.
    pub fn prefixes_of(&self, client: Key) -> impl Iterator<Item = &[u8]> {
        self.prefixes.iter().filter(move |(_, prefix)| prefix.clients.contains(&client)).map(|(name, _)| &**name)
    }

    /// Has a client not be told any more.
    pub fn end(&mut self, client: Key) {
        if !self.clients.remove(&client) {
            return;
        }
        self.prefixes.retain(|_, prefix| {
            prefix.clients.remove(&client);
            !prefix.clients.is_empty()
        });
        if self.clients.is_empty() {
            self.forget_reads();
        }
    }

    /// A client has read keys.
    pub fn note_read<'k>(&mut self, client: Key, keys: impl Iterator<Item = &'k [u8]>) {
        for key in keys {
            let is_new = match self.readers.get_mut(key) {
                Some(readers) => readers.insert(client),
                None => self.readers.insert(key.into(), BTreeSet::from([client])).is_none(),
            };
            self.copies += usize::from(is_new);
        }
    }

    /// A key has changed, by the request of a client or of nobody: says who has read it, and forgets that.
    pub fn change(&mut self, key: &[u8], by: Option<Key>) -> BTreeSet<Key> {
        for (name, prefix) in &mut self.prefixes {
            if key.starts_with(name) {
                prefix.changed.entry(key.into()).or_insert(by);
            }
        }
        self.forget_key(key)
    }

    /// Forgets who has read a key; says who that is.
    fn forget_key(&mut self, key: &[u8]) -> BTreeSet<Key> {
        let readers = self.readers.remove(key).unwrap_or_default();
        self.copies -= readers.len();
        readers
    }

    /// Forgets all reads: every key is gone.
    pub fn forget_reads(&mut self) {
        self.readers.clear();
        self.copies = 0;
    }

    /// Forgets a key picked by chance if more than so many are remembered; says which, and who has read it.
    pub fn forget_beyond(&mut self, keys_max: usize) -> Option<(Name, BTreeSet<Key>)> {
        if self.readers.len() <= keys_max {
            return None;
        }
        let from: Name = Box::new([fastrand::u8(..), fastrand::u8(..)]);
        let picked = self.readers.range(from..).next().or_else(|| self.readers.first_key_value());
        let key = picked.map(|(key, _)| key.clone())?;
        let readers = self.forget_key(&key);
        Some((key, readers))
    }

    /// Takes what clients of prefixes are to be told: whom of which keys. A client that spares itself is not
    /// told of the keys that it has changed.
    pub fn take_broadcasts(&mut self, spares_own: impl Fn(Key) -> bool) -> Vec<(Key, Vec<Name>)> {
        let mut all = Vec::new();
        for prefix in self.prefixes.values_mut().filter(|prefix| !prefix.changed.is_empty()) {
            let changed = std::mem::take(&mut prefix.changed);
            for &client in &prefix.clients {
                let spares = spares_own(client);
                let keys = changed.iter().filter(|(_, by)| !spares || **by != Some(client));
                let keys: Vec<Name> = keys.map(|(key, _)| key.clone()).collect();
                if !keys.is_empty() {
                    all.push((client, keys));
                }
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::{Interest, Scope, Tracking};
    use crate::slab::Key;
    use std::collections::BTreeSet;

    const fn client(index: u32) -> Key {
        Key { index, generation: 0 }
    }

    #[test]
    fn readers_are_told_once_of_a_change() {
        let mut tracking = Tracking::default();
        tracking.begin(client(1));
        tracking.begin(client(2));
        tracking.note_read(client(1), [b"a".as_slice(), b"b", b"a"].into_iter());
        tracking.note_read(client(2), [b"a".as_slice()].into_iter());
        assert_eq!(tracking.counts(), [2, 3, 0]);
        assert_eq!(tracking.change(b"a", None), BTreeSet::from([client(1), client(2)]));
        assert_eq!((tracking.change(b"a", None), tracking.counts()), (BTreeSet::new(), [1, 1, 0]));
        tracking.end(client(2));
        assert_eq!(tracking.counts(), [1, 1, 0], "another is still told");
        tracking.end(client(1));
        assert_eq!((tracking.counts(), tracking.is_empty()), ([0, 0, 0], true));
    }

    #[test]
    fn prefixes_gather_what_changes_and_spare_who_changed_it_first() {
        let mut tracking = Tracking::default();
        for (client, prefix) in [(client(1), b"a".as_slice()), (client(2), b"a"), (client(2), b"b")] {
            tracking.begin(client);
            tracking.add_prefix(client, prefix);
        }
        for (key, by) in [(b"a2".as_slice(), Some(client(1))), (b"a1", None), (b"a2", None), (b"c", None)] {
            assert!(tracking.change(key, by).is_empty());
        }
        let told = tracking.take_broadcasts(|key| key == client(1));
        let name = |name: &[u8]| Box::from(name);
        assert_eq!(told, [(client(1), vec![name(b"a1")]), (client(2), vec![name(b"a1"), name(b"a2")])]);
        assert!(tracking.take_broadcasts(|_| false).is_empty());
        assert_eq!(tracking.prefixes_of(client(2)).collect::<Vec<_>>(), [b"a", b"b"]);
        tracking.end(client(2));
        assert_eq!(tracking.counts(), [0, 0, 1]);
    }

    #[test]
    fn too_many_keys_are_forgotten_one_by_one() {
        let mut tracking = Tracking::default();
        tracking.begin(client(1));
        let keys: Vec<String> = (0..100).map(|number| format!("key:{number}")).collect();
        tracking.note_read(client(1), keys.iter().map(String::as_bytes));
        let mut gone = BTreeSet::new();
        while let Some((key, readers)) = tracking.forget_beyond(40) {
            assert_eq!(readers, BTreeSet::from([client(1)]));
            gone.insert(key);
        }
        assert_eq!((gone.len(), tracking.counts()), (60, [40, 40, 0]));
    }

    #[test]
    fn what_was_said_ahead_decides_of_reads() {
        let counts = |scope, has_said| Interest { scope, has_said, ..Interest::default() }.counts_reads();
        let all = [Scope::Reads, Scope::ReadsIfSaid, Scope::ReadsUnlessSaid, Scope::Prefixes];
        assert_eq!(all.map(|scope| counts(scope, false)), [true, false, true, false]);
        assert_eq!(all.map(|scope| counts(scope, true)), [true, true, false, false]);
    }
}
