//! Owns the documented variants of the protocol, each a named flag with its source.
//! A profile is data: rules ask it, nothing else does.

use serde::{Deserialize, Serialize};

/// Generates the profile's fields together with the table that names and explains them.
macro_rules! variants {
    ($($(#[doc = $doc:literal])+ $name:ident: $redis:literal, $slotbus:literal, $source:literal;)+) => {
        /// Which documented variants of the protocol a node follows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct Profile {
            $($(#[doc = $doc])+ pub $name: bool,)+
        }

        impl Profile {
            /// redis-server 7.0.15, as it is.
            pub const REDIS_7_0: Self = Self { $($name: $redis,)+ };
            /// The default: redis 7.0 with fixes that change no byte of the wire.
            pub const SLOTBUS: Self = Self { $($name: $slotbus,)+ };
            /// Every variant: name, meaning, source.
            pub const VARIANTS: &'static [Variant] = &[
                $(Variant { name: stringify!($name), meaning: concat!($($doc),+), source: $source },)+
            ];

            /// Whether the variant called `name` is on; none if there is no such variant.
            #[must_use]
            pub fn get(&self, name: &str) -> Option<bool> {
                match name {
                    $(stringify!($name) => Some(self.$name),)+
                    _ => None,
                }
            }

            /// Turns the variant called `name` on or off; false if there is no such variant.
            pub fn set(&mut self, name: &str, on: bool) -> bool {
                match name {
                    $(stringify!($name) => self.$name = on,)+
                    _ => return false,
                }
                true
            }
        }
    };
}

/// One documented variant of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variant {
    /// The flag's name.
    pub name: &'static str,
    /// What it changes.
    pub meaning: &'static str,
    /// Where it is documented.
    pub source: &'static str,
}

variants! {
    /// A heartbeat does not tell its receiver about the receiver itself.
    gossip_skips_receiver: false, true, "redis #13046 (7.4)";
    /// Only primaries that own slots count as reporters of a failure and towards its quorum.
    reports_from_voters: false, true, "valkey #634, #735 (8.0)";
    /// A primary that is the only voter marks a suspected node as failed by itself.
    lone_voter_marks_fail: false, true, "redis #12824 (7.2.5), valkey 8.0";
    /// MEET is repeated on every new connection until its PONG has come.
    meet_until_pong: false, true, "valkey #461 (8.0)";
    /// A slot that loses its owner also loses the mark that its owner no longer claimed it.
    unbinding_clears_mark: false, true, "redis #12564 (7.2.4)";
    /// A heartbeat's pong time is not taken over for a node that this one suspects or holds failed.
    pong_news_if_healthy: false, true, "valkey #2512 (9.0)";
}

impl Profile {
    /// Every profile by name.
    pub const NAMED: &'static [(&'static str, Self)] = &[("slotbus", Self::SLOTBUS), ("redis-7.0", Self::REDIS_7_0)];

    /// The profile called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMED.iter().find(|(known, _)| *known == name).map(|&(_, profile)| profile)
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self::SLOTBUS
    }
}
