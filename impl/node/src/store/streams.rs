//! Owns how a stream at a key is changed: unlike other collections it stays when nothing is left in it, and not every
//! change of it is one for those who watch or await its key.
//!
//! Must not tell anybody: the commands do.

use super::{Expired, Store, WrongKind, entry::Entry, limits::Limits, stream_entries::Stream, value::Kind};

impl Store {
    /// Changes the stream at a key; none if there is none.
    pub fn alter<R>(
        &mut self,
        key: &[u8],
        change: impl FnOnce(&mut Stream, &Limits) -> R,
    ) -> Result<Option<R>, WrongKind> {
        let Some(place) = self.find(key) else { return Ok(None) };
        let limits = self.limits;
        let value = self.entry_to_change(place).and_then(Entry::value_mut).ok_or(WrongKind)?;
        let before = value.bytes();
        let outcome = change(Stream::of_mut(value).ok_or(WrongKind)?, &limits);
        let after = value.bytes();
        self.bytes = (self.bytes + after).saturating_sub(before);
        Ok(Some(outcome))
    }

    /// Puts an empty stream at a key that there is none at.
    pub fn create_stream(&mut self, key: &[u8]) {
        let entry = Entry::new(key, Stream::default().into_value(), None, self.fresh_use());
        self.add(entry);
    }

    /// Now, in milliseconds since the epoch, even while no key expires.
    #[must_use]
    pub fn fresh_ms(&self) -> u64 {
        self.clock.0
    }

    /// Whether requests are carried out that somebody else has carried out before: a primary, or this node before it
    /// was started again.
    #[must_use]
    pub fn repeats(&self) -> bool {
        self.expired == Expired::There
    }

    /// Has the request that is carried out go into the stream of writes in these words, as one of several perhaps.
    pub fn restate<'w>(&mut self, words: impl IntoIterator<Item = &'w [u8]>) {
        if !self.repeats() {
            self.news.restate(words);
        }
    }
}
