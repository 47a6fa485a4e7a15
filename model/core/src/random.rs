//! Owns chance: one word per input, read as digits of mixed radix. Knows no generator of the machine.

use crate::ids::NodeId;
use serde::{Deserialize, Serialize};

/// The dice of one step.
///
/// Each draw takes `word mod n` and leaves `word / n`, so that a world can enumerate every outcome
/// of a step exactly once by counting (see [`Random::is_spent`]), and a trace can replay a step from
/// one number. When the digits of a word run low, the word is stretched by a fixed mixing function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "u64", into = "u64")]
pub struct Random {
    word: u64,
    outcomes: u64,
    stretched: bool,
}

/// What a step asks the dice for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Site {
    /// Which node a heartbeat tells of.
    Gossip,
    /// Which node may be the one that is pinged in its turn.
    PingCandidate,
    /// How long a replica waits before it asks for votes.
    ElectionDelay,
}

/// One draw of a step, as another implementation may be told to make it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Draw {
    /// A number below another.
    Number {
        /// What for.
        site: Site,
        /// The first number that cannot be drawn.
        below: u64,
        /// The number drawn.
        value: u64,
    },
    /// The id of a node whose name is not known yet.
    TemporaryId(NodeId),
}

/// Beyond this many outcomes the remaining digits of a word would be noticeably biased.
const OUTCOMES_MAX: u64 = 1 << 48;

impl From<u64> for Random {
    fn from(word: u64) -> Self {
        Self::new(word)
    }
}

impl From<Random> for u64 {
    fn from(random: Random) -> Self {
        random.word
    }
}

impl Random {
    /// Dice that read their digits from `word`.
    #[must_use]
    pub fn new(word: u64) -> Self {
        Self { word, outcomes: 1, stretched: false }
    }

    /// A number below `n`, each as likely as any other; 0 for `n` of 0 or 1, which draws nothing.
    pub fn below(&mut self, n: u64) -> u64 {
        if n <= 1 {
            return 0;
        }
        self.outcomes = match self.outcomes.checked_mul(n) {
            Some(outcomes) if outcomes <= OUTCOMES_MAX => outcomes,
            Some(_) | None => {
                self.word = mix(self.word ^ self.outcomes);
                self.stretched = true;
                n
            }
        };
        let digit = self.word % n;
        self.word /= n;
        digit
    }

    /// The product of all radices drawn so far.
    #[must_use]
    pub fn outcomes(&self) -> u64 {
        self.outcomes
    }

    /// Whether every digit of the word was drawn. Counting words upwards from 0 until the largest
    /// [`Random::outcomes`] seen, and keeping those that end spent, meets every outcome exactly once.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.word == 0 && !self.stretched
    }

    /// Whether a draw needed more digits than the word had; such a step cannot be enumerated.
    #[must_use]
    pub fn stretched(&self) -> bool {
        self.stretched
    }

    /// A fresh id for a node whose name is not known yet. Uses no digit: such ids are never
    /// compared by any rule, so that a world need not enumerate them.
    #[must_use]
    pub fn temporary_id(&self, attempt: u64) -> NodeId {
        let mut id = [0; 20];
        let mut word = mix(self.word ^ mix(attempt));
        for chunk in id.chunks_mut(8) {
            word = mix(word);
            chunk.copy_from_slice(&word.to_be_bytes()[..chunk.len()]);
        }
        NodeId(id)
    }
}

/// SplitMix64's output function: a bijection that spreads every bit.
fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
