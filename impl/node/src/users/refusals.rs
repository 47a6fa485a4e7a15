//! Owns who was turned away of late, for ACL LOG.
//!
//! Must not decide who is.

use slotbus_core::Millis;
use std::collections::VecDeque;

/// The same refusal within this time is counted, not listed again.
const SAME_MS: u64 = 60_000;

/// Where a request came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// A client.
    Toplevel,
    /// A client's transaction.
    Multi,
    /// A client's script.
    Lua,
}

impl Context {
    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Toplevel => "toplevel",
            Self::Multi => "multi",
            Self::Lua => "lua",
        }
    }
}

/// One refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What was at fault: `auth`, `command`, `key`, `channel`.
    pub reason: &'static str,
    /// Where the request came from.
    pub context: Context,
    /// The command, key or channel.
    pub object: Vec<u8>,
    /// The user.
    pub user: String,
    /// The client, as CLIENT LIST shows it.
    pub client: String,
    /// When it was last refused.
    pub at: Millis,
    /// How often it was.
    pub count: u64,
}

/// Refusals, the latest first.
#[derive(Debug, Default)]
pub struct Refusals {
    entries: VecDeque<Refusal>,
}

impl Refusals {
    /// Adds one; beyond `most` the oldest are forgotten.
    pub fn add(&mut self, refusal: Refusal, most: usize) {
        let is_same = |known: &Refusal| {
            (known.reason, known.context, &known.object, &known.user)
                == (refusal.reason, refusal.context, &refusal.object, &refusal.user)
                && refusal.at.since(known.at) <= SAME_MS
        };
        let known = self.entries.iter().position(is_same).and_then(|at| self.entries.remove(at));
        let count = known.map_or(1, |known| known.count + 1);
        self.entries.push_front(Refusal { count, ..refusal });
        self.entries.truncate(most);
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Refusal> {
        self.entries.iter()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.entries.clear();
    }
}
