//! Owns values that many worlds share, each with the digest of its content. Knows nothing of what
//! they mean.
//!
//! A step changes one host and a few connections; everything else is shared with the world before
//! it, and so is its digest. Digests are 128 bits wide: equal ones are taken for equal values.

use siphasher::sip128::{Hasher128, SipHasher13};
use std::{
    fmt,
    hash::{Hash, Hasher},
    ops::Deref,
    sync::{Arc, OnceLock},
};

/// A 128-bit digest of all that `value` feeds to its hasher. The same in every run.
#[must_use]
pub fn digest<T: Hash + ?Sized>(value: &T) -> u128 {
    let mut hasher = SipHasher13::new();
    value.hash(&mut hasher);
    hasher.finish128().as_u128()
}

/// A value that is cheap to clone, and whose digest is taken once, when it is first asked for.
pub struct Shared<T>(Arc<Digested<T>>);

struct Digested<T> {
    digest: OnceLock<u128>,
    value: T,
}

/// The digest of a copy is taken anew: copies are made to be changed.
impl<T: Clone> Clone for Digested<T> {
    fn clone(&self) -> Self {
        Self { digest: OnceLock::new(), value: self.value.clone() }
    }
}

impl<T> Shared<T> {
    /// Shares `value`.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self(Arc::new(Digested { digest: OnceLock::new(), value }))
    }
}

impl<T: Clone> Shared<T> {
    /// The value, to be changed: in place if nobody shares it, else in a copy of its own.
    pub(crate) fn make_mut(&mut self) -> &mut T {
        let digested = Arc::make_mut(&mut self.0);
        digested.digest.take();
        &mut digested.value
    }
}

impl<T: Hash> Shared<T> {
    /// The digest of the value, taken when it is first asked for.
    pub(crate) fn digest(&self) -> u128 {
        *self.0.digest.get_or_init(|| digest(&self.0.value))
    }
}

impl<T: Hash> Shared<T> {}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T: Hash> Hash for Shared<T> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.digest().hash(hasher);
    }
}

impl<T: PartialEq> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.value == other.0.value
    }
}

impl<T: Eq> Eq for Shared<T> {}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.value.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::{Shared, digest};

    #[test]
    fn neighbours_of_different_length_differ() {
        let split = |left: &[u8], right: &[u8]| digest(&(left.to_vec(), right.to_vec()));
        assert_ne!(split(&[1], &[]), split(&[], &[1]));
    }

    #[test]
    fn a_digest_is_the_same_in_every_run() {
        assert_eq!(digest(&1_u8), digest(&1_u8));
        assert_ne!(digest(&1_u8), digest(&2_u8));
    }

    #[test]
    fn a_change_is_seen_in_the_digest_and_in_no_other_share() {
        let mut one = Shared::new(1_u8);
        let (before, other) = (digest(&one), one.clone());
        *one.make_mut() = 2;
        assert_eq!((digest(&other), *other), (before, 1));
        assert_eq!(digest(&one), digest(&Shared::new(2_u8)));
        *one.make_mut() = 1;
        assert_eq!(digest(&one), before);
    }
}
