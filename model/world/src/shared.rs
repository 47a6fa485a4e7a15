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
    sync::Arc,
};

/// A 128-bit digest of all that `value` feeds to its hasher. The same in every run.
#[must_use]
pub fn digest<T: Hash + ?Sized>(value: &T) -> u128 {
    let mut hasher = SipHasher13::new();
    value.hash(&mut hasher);
    hasher.finish128().as_u128()
}

/// An immutable value with its digest, cheap to clone, hash and compare.
pub struct Shared<T>(Arc<(u128, T)>);

impl<T: Hash> Shared<T> {
    /// Digests `value` once and for all.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self(Arc::new((digest(&value), value)))
    }
}

impl<T: Hash> Shared<T> {
    pub(crate) fn digest(&self) -> u128 {
        self.0.0
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0.1
    }
}

impl<T> Hash for Shared<T> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.0.0.hash(hasher);
    }
}

impl<T: PartialEq> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || (self.0.0 == other.0.0 && self.0.1 == other.0.1)
    }
}

impl<T: Eq> Eq for Shared<T> {}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.1.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::digest;

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
}
