//! Owns the documented variants of the protocol, each a named flag with its source.
//! A profile is data: rules ask it, nothing else does.

use serde::{Deserialize, Serialize};

/// Generates the profile's fields together with the table that names and explains them. The six
/// columns are the profiles, in the order of [`Profile::NAMED`].
macro_rules! variants {
    ($($(#[doc = $doc:literal])+ $name:ident: $slotbus:literal $r70:literal $r72:literal $r80:literal $v81:literal $v9:literal, $source:literal;)+) => {
        /// Which documented variants of the protocol a node follows. One that a trace does not name, for it was made before
        /// that existed, is off.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct Profile {
            $($(#[doc = $doc])+ #[serde(default)] pub $name: bool,)+
        }

        impl Profile {
            /// The default: redis 7.0 with fixes that stay compatible on the wire.
            pub const SLOTBUS: Self = Self { $($name: $slotbus == 1,)+ };
            /// redis-server 7.0.15, as it is.
            pub const REDIS_7_0: Self = Self { $($name: $r70 == 1,)+ };
            /// redis-server 7.2, as far as it differs in a transition.
            pub const REDIS_7_2: Self = Self { $($name: $r72 == 1,)+ };
            /// redis-server 8.0, as far as it differs in a transition.
            pub const REDIS_8_0: Self = Self { $($name: $r80 == 1,)+ };
            /// valkey-server 8.1, as far as it differs in a transition.
            pub const VALKEY_8_1: Self = Self { $($name: $v81 == 1,)+ };
            /// valkey-server 9.0, as far as it differs in a transition.
            pub const VALKEY_9: Self = Self { $($name: $v9 == 1,)+ };

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
    gossip_skips_receiver: 1 0 0 1 1 1, "redis #13046 (7.4), valkey 8.0";
    /// While nodes are new, a heartbeat tells of more of those that it knows: of as many as are younger than the node timeout, up to 64. Who has ended a handshake tells every member at its next cron.
    newcomers_told: 1 0 0 0 0 0, "this project (agreement after joining, in time)";
    /// Only primaries that own slots count as reporters of a failure and towards its quorum.
    reports_from_voters: 1 0 0 0 1 1, "valkey #634, #735 (8.0)";
    /// A node is failed by a majority of the voters in the table, not of those counted when the state was last evaluated.
    voters_counted_anew: 1 0 0 0 0 0, "this project (S18)";
    /// No voter is counted before the state is first evaluated, not even this node.
    size_begins_at_zero: 0 0 0 1 1 1, "valkey 8.0, redis 8.0";
    /// A primary that is the only voter marks a suspected node as failed by itself.
    lone_voter_marks_fail: 1 0 1 1 1 1, "redis #12824 (7.2.5), valkey 8.0";
    /// A voter that comes to suspect a node tells the other voters at once, not with its next heartbeats.
    suspicion_is_told: 1 0 0 0 0 0, "this project";
    /// A PING tells as much of its sender as a PONG does: who was pinged has no need to ping in turn.
    pings_spare_pings: 1 0 0 0 0 0, "this project";
    /// A connection attempt that fails later starts the failure clock, too, as one that fails at once does.
    refusal_starts_clock: 1 0 0 0 0 0, "this project";
    /// MEET is repeated on every new connection until its PONG has come.
    meet_until_pong: 1 0 0 0 1 1, "valkey #461 (8.0)";
    /// The answer that ends a handshake is heard as the new member's first heartbeat, its claims included.
    introduction_is_heard: 1 0 0 0 0 0, "this project (agreement after joining, in time)";
    /// A slot that loses its owner also loses the mark that its owner no longer claimed it.
    unbinding_clears_mark: 1 0 1 1 1 1, "redis #12564 (7.2.4)";
    /// A heartbeat's pong time is not taken over for a node that this one suspects or holds failed.
    pong_news_if_healthy: 1 0 0 0 0 1, "valkey #2512 (9.0)";
    /// A node that answers with another id than expected is held failed under its old one, and all are told.
    wrong_id_fails: 1 0 0 0 1 1, "valkey #1191 (8.1)";
    /// Messages that name the receiver itself as their sender are ignored.
    own_messages_ignored: 1 0 0 0 0 0, "redis #12441, this project";
    /// An UPDATE about its receiver changes nothing; else it raises the receiver's config epoch.
    own_update_ignored: 1 0 0 0 0 0, "this project (S7)";
    /// Only a primary's header raises the config epoch recorded for it; a replica's repeats its primary's.
    epochs_from_primaries: 1 0 0 0 1 1, "valkey #754 (8.0)";
    /// Only a primary that owns slots waits for the rejoin delay: nobody can have replaced one that had none.
    empty_joins_at_once: 1 0 0 0 0 0, "this project (agreement after joining, in time)";
    /// Only a heartbeat raises the config epoch recorded for its sender: with it come the slots that are claimed under it.
    epochs_with_claims: 1 0 0 0 0 0, "this project (S13)";
    /// A primary that becomes a replica in its own shard hands its slots to its new primary, if that claims under a greater epoch.
    demotion_hands_over: 1 0 0 1 1 1, "redis #13055 (7.4), valkey 8.0";
    /// A header whose epoch is older than the recorded one changes no role.
    stale_role_ignored: 1 0 0 1 1 1, "redis #13055 (7.4), valkey #1777 (8.0.3)";
    /// Of two nodes that would follow each other, the one that is named last as a primary is taken for one.
    loops_opened: 1 0 0 0 0 0, "this project (S16)";
    /// Slots that are being imported are rebound by claims like any other.
    import_rebound: 0 0 0 0 1 1, "valkey 8.1, as probed";
    /// A claim that takes a slot takes its mark away: a slot that is being imported is so from the claimant, if that is of the shard of its source, and else, like one that is being migrated, is open no more.
    taken_slots_closed: 0 0 0 0 1 1, "valkey 8.1, as probed";
    /// A replica that becomes a primary is still of the shard that it was of, even if it never told a shard.
    promoted_stays_in_shard: 0 0 0 0 1 1, "valkey 8.1, as probed";
    /// Without replica migration, a claimant of the last slot is followed within the shard only.
    shard_kept_without_migration: 0 0 0 0 1 1, "valkey 8.1, as probed";
    /// A replica stands for election even if its primary owns no slot.
    election_without_slots: 0 0 0 0 1 1, "valkey 8.1, as probed";
    /// An epoch that is taken because of a collision, or on request, is told to every member at once.
    epoch_is_broadcast: 0 0 0 0 1 1, "valkey 8.1, as probed";
    /// A voter gives its second vote about a primary without waiting for twice the node timeout.
    votes_unspaced: 0 0 0 0 1 1, "valkey #1305, #1356 (8.1)";
    /// A voter does not wait between votes when the vote is for a manual failover.
    manual_votes_unspaced: 1 0 0 0 1 1, "valkey #1305 (8.1)";
    /// A voter that refuses because of a newer claim tells the candidate of that claim.
    refusal_tells_claim: 1 0 0 0 1 1, "valkey #2178 (8.1.2, 9.0)";
    /// Every voter counts once, and only for the election that it answered.
    votes_counted_once: 1 0 0 0 0 0, "this project (S27)";
    /// Replicas with equal offsets are ranked by id.
    rank_ties_by_id: 1 0 0 0 1 1, "valkey #762 (8.0)";
    /// The period of the cron grows with the node timeout, to twice its length at most.
    cron_scaled: 1 0 0 0 0 0, "this project";
    /// The delay before an election shrinks with the node timeout.
    election_delay_scaled: 1 0 0 0 0 1, "valkey #2449 (9.0)";
    /// A replica that others are ahead of lets those of them come first whose delay does not shrink.
    laggards_wait: 1 0 0 0 0 0, "this project";
    /// An election that is overtaken by a greater epoch is given up and begun anew.
    election_follows_epoch: 1 0 0 0 1 1, "valkey #1009 (8.1)";
    /// An election is overtaken by an UPDATE with such an epoch, too.
    update_overtakes: 1 0 0 0 0 0, "this project (S11)";
    /// An election for which nobody was asked yet is called off when its reason ends.
    election_called_off: 1 0 0 0 0 0, "this project";
    /// A won election leaves no votes behind that could win another.
    election_ends_with_win: 1 0 0 0 1 1, "redis #8753, valkey #1711 (8.1)";
    /// A manual failover does not wait for the retry time of an earlier election.
    manual_failover_at_once: 1 0 0 0 1 1, "valkey #1274 (8.1)";
    /// FAILOVER TAKEOVER takes a new epoch even if the replica's own record holds the greatest.
    takeover_always_bumps: 1 0 0 0 0 0, "redis #10798, this project";
    /// SETSLOT NODE to oneself takes a new epoch whenever the slot was not this node's, unless its own is the greatest.
    setslot_always_bumps: 1 0 0 0 0 0, "redis #10346, this project";
    /// A slot that its owner no longer claims is saved as nobody's: a restart does not bring it back.
    marks_survive_restart: 1 0 0 0 0 0, "this project (S13)";
    /// A slot that a command took from another node is not lost to that node's next claims.
    granted_slots_kept: 1 0 0 0 0 0, "this project (S14)";
    /// Slots that a command gives to this node are synced to its disk before the answer.
    taken_slots_synced: 1 0 0 0 0 0, "this project (S14)";
    /// What others claim is saved without a sync: who forgets it by a power loss stands where those stand who did not hear it yet.
    heard_claims_unsynced: 1 0 0 0 0 0, "this project";
    /// SETSLOT refuses to migrate a slot to, or to import it from, this node itself.
    setslot_self_refused: 1 0 0 0 0 0, "valkey #3689 (9.1)";
    /// A replica refuses to be given slots.
    replica_refuses_slots: 1 0 0 0 0 0, "redis #12268, this project";
    /// Replicating the primary that is replicated already changes nothing.
    replicate_same_is_noop: 1 0 0 0 1 1, "valkey #884 (8.0)";
    /// A change of this node's role or slots is told to every member at once.
    change_is_broadcast: 1 0 0 0 1 1, "redis #14504 (8), valkey #1295 (8.1)";
    /// A replica that migrates saves its new primary.
    migration_is_saved: 1 0 0 0 0 1, "valkey #1677 (9.0)";
    /// FORGET is told to the members that understand it, which then forget the node, too.
    forget_is_gossiped: 1 0 1 1 1 1, "redis #10869 (7.2)";
    /// Support for ping extensions is announced, and shard ids are sent to whoever announces it.
    extensions_announced: 1 0 1 1 1 1, "redis #9530, #10536 (7.2)";
}

impl Profile {
    /// Every profile by name.
    pub const NAMED: &'static [(&'static str, Self)] = &[
        ("slotbus", Self::SLOTBUS),
        ("redis-7.0", Self::REDIS_7_0),
        ("redis-7.2", Self::REDIS_7_2),
        ("redis-8.0", Self::REDIS_8_0),
        ("valkey-8.1", Self::VALKEY_8_1),
        ("valkey-9", Self::VALKEY_9),
    ];

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
