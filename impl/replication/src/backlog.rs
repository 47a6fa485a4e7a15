//! Owns the last bytes of the stream: what replicas have not been sent yet, and what one that comes
//! back may have missed.
//!
//! Must not know who reads it.

use std::collections::VecDeque;

/// The last bytes of a stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Backlog {
    bytes: VecDeque<u8>,
    /// How many bytes of the stream come before these.
    start: u64,
}

impl Backlog {
    /// Forgets everything; the stream goes on behind so many bytes.
    pub(crate) fn restart(&mut self, offset: u64) {
        self.bytes = VecDeque::new();
        self.start = offset;
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether what follows after so many bytes of the stream is here.
    pub(crate) fn reaches(&self, offset: u64) -> bool {
        offset >= self.start && offset - self.start <= self.bytes.len() as u64
    }

    /// What follows after so many bytes of the stream, or the first part of it.
    pub(crate) fn after(&self, offset: u64) -> &[u8] {
        let Some(index) = offset.checked_sub(self.start).and_then(|index| usize::try_from(index).ok()) else {
            return &[];
        };
        let (first, second) = self.bytes.as_slices();
        match first.get(index..) {
            Some(rest) if !rest.is_empty() => rest,
            Some(_) | None => second.get(index.saturating_sub(first.len())..).unwrap_or_default(),
        }
    }

    /// Forgets what comes before so many bytes of the stream.
    pub(crate) fn forget_before(&mut self, offset: u64) {
        let count = usize::try_from(offset.saturating_sub(self.start)).unwrap_or(usize::MAX).min(self.bytes.len());
        self.bytes.drain(..count);
        self.start += count as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::Backlog;

    #[test]
    fn what_follows_is_found_wherever_the_ring_is_cut() {
        let mut backlog = Backlog::default();
        backlog.restart(1000);
        let (mut expected, mut written): (Vec<u8>, u32) = (Vec::new(), 0);
        for round in 0..200 {
            let piece: Vec<u8> = (0..37).map(|_| written as u8).collect();
            written += 1;
            expected.extend(&piece);
            backlog.append(&piece);
            backlog.forget_before(1000 + (expected.len() as u64).saturating_sub(100 + round));
            let mut at = backlog.start();
            assert!(backlog.reaches(at) && !backlog.reaches(at - 1));
            while !backlog.after(at).is_empty() {
                let part = backlog.after(at);
                let from = usize::try_from(at - 1000).expect("small");
                assert_eq!(part, &expected[from..from + part.len()]);
                at += part.len() as u64;
            }
            assert_eq!(at, 1000 + expected.len() as u64);
            assert!(backlog.reaches(at) && !backlog.reaches(at + 1));
        }
    }
}
