//! Owns the memory of what inputs made of hosts: the same host meets the same input in very many
//! worlds, and the step is taken and judged once. Knows nothing of either.
//!
//! What was worked out is found by the digest of all that it depends on, so that remembering it
//! changes no state. Whoever is remembered at a place makes room for the next: the memory never grows.

use super::reaction::Reaction;
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

/// How many reactions are remembered.
const PLACES: usize = 1 << 12;

/// Reactions that were worked out lately, for all threads of an exploration of one setup.
pub struct Memory<const SLOTS: usize>(Box<[Mutex<Option<Remembered<SLOTS>>>]>);

struct Remembered<const SLOTS: usize> {
    key: u128,
    reaction: Arc<Reaction<SLOTS>>,
}

impl<const SLOTS: usize> Default for Memory<SLOTS> {
    fn default() -> Self {
        Self((0..PLACES).map(|_| Mutex::new(None)).collect())
    }
}

impl<const SLOTS: usize> Memory<SLOTS> {
    /// The reaction known by `key`, worked out unless it is remembered.
    pub(super) fn recall(&self, key: u128, work: impl FnOnce() -> Reaction<SLOTS>) -> Arc<Reaction<SLOTS>> {
        // Every bit of a digest is as good as another.
        let place = &self.0[key as usize % PLACES];
        // A thread that panicked in here left a whole value, or none.
        let known = || place.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(remembered) = known().as_ref().filter(|remembered| remembered.key == key) {
            return Arc::clone(&remembered.reaction);
        }
        let reaction = Arc::new(work());
        if reaction.is_local {
            *known() = Some(Remembered { key, reaction: Arc::clone(&reaction) });
        }
        reaction
    }
}

/// A clone remembers nothing: it may come to serve another setup.
impl<const SLOTS: usize> Clone for Memory<SLOTS> {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl<const SLOTS: usize> fmt::Debug for Memory<SLOTS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("places", &self.0.len()).finish_non_exhaustive()
    }
}
