//! Owns the pauses during which requests of clients wait: one that the protocol asks for while a
//! replica takes over, and one that CLIENT PAUSE asks for.
//!
//! Must not know clients: it only says what has to wait, and until when.

use slotbus_core::Millis;

/// Which requests wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Those that may change something.
    Writes,
    /// All.
    All,
}

/// What has to wait, and until when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pause {
    failover_end: Option<Millis>,
    asked: Option<(Millis, Scope)>,
}

impl Pause {
    /// Holds writes until `end`, for a failover.
    pub fn begin_failover(&mut self, end: Millis) {
        self.failover_end = Some(end);
    }

    /// The failover is over.
    pub fn end_failover(&mut self) {
        self.failover_end = None;
    }

    /// Holds requests until `end`, for a client. A pause that is under way never gets shorter.
    pub fn begin(&mut self, end: Millis, scope: Scope, now: Millis) {
        let (former_end, former_scope) = self.asked.filter(|(end, _)| *end > now).unwrap_or((end, scope));
        self.asked = Some((end.max(former_end), scope.max(former_scope)));
    }

    /// Ends what a client began.
    pub fn end(&mut self) {
        self.asked = None;
    }

    /// Whether a replica is taking over.
    #[must_use]
    pub fn is_for_failover(&self, now: Millis) -> bool {
        self.failover_end.is_some_and(|end| end > now)
    }

    /// When the next pause ends, if there is one.
    #[must_use]
    pub fn next_end(&self) -> Option<Millis> {
        self.failover_end.into_iter().chain(self.asked.map(|(end, _)| end)).min()
    }

    /// Forgets pauses that have ended; says whether there was one.
    pub fn expire(&mut self, now: Millis) -> bool {
        let before = *self;
        self.failover_end = self.failover_end.filter(|end| *end > now);
        self.asked = self.asked.filter(|(end, _)| *end > now);
        *self != before
    }

    /// Whether a request has to wait.
    #[must_use]
    pub fn holds(&self, now: Millis, may_write: bool) -> bool {
        let asked = self.asked.filter(|(end, _)| *end > now).map(|(_, scope)| scope);
        let failover = self.failover_end.filter(|end| *end > now).map(|_| Scope::Writes);
        asked.max(failover).is_some_and(|scope| may_write || scope == Scope::All)
    }
}

#[cfg(test)]
mod tests {
    use super::{Pause, Scope};
    use slotbus_core::Millis;

    const NOW: Millis = Millis(1000);

    #[test]
    fn pauses_hold_writes_or_all_until_they_end() {
        let mut pause = Pause::default();
        assert!(!pause.holds(NOW, true));
        pause.begin_failover(Millis(1500));
        assert!(pause.holds(NOW, true) && !pause.holds(NOW, false) && !pause.holds(Millis(1500), true));
        pause.begin(Millis(1200), Scope::All, NOW);
        pause.begin(Millis(1100), Scope::Writes, NOW);
        assert!(pause.holds(Millis(1199), false) && !pause.holds(Millis(1200), false));
        assert_eq!(pause.next_end(), Some(Millis(1200)));
        assert!(pause.expire(Millis(1200)) && !pause.expire(Millis(1200)));
        assert!(pause.holds(Millis(1200), true));
        pause.end_failover();
        assert!(!pause.holds(NOW, true) && pause.next_end().is_none());
    }
}
