//! Owns the pieces of the museum, one line of a table each. Knows no search.
//!
//! Where several fixes of the default profile hide a bug, all of them are switched off.

use crate::museum::{Absentee, Exhibit, Relapse};
use Relapse::{Fault, Off, On, World};
use slotbus_core::Mutant;
use slotbus_world::Flaw;

/// Generates the tables of exhibits and of absentees.
macro_rules! catalogue {
    (
        shown: $($id:literal $config:literal $property:literal $relapse:expr, $bug:literal, $source:literal;)+
        absent: $($absent:literal $absent_bug:literal, $absent_source:literal, $reason:literal;)+
    ) => {
        /// Every bug that is shown.
        pub const EXHIBITS: &[Exhibit] = &[$(Exhibit {
            id: $id, config: $config, property: $property, relapse: $relapse, bug: $bug, source: $source,
        },)+];

        /// Every bug that is not, and why.
        pub const ABSENTEES: &[Absentee] = &[$(Absentee {
            id: $absent, bug: $absent_bug, source: $absent_source, reason: $reason,
        },)+];
    };
}

catalogue! {
    shown:
    "B01" "lost_link_2" "L6 MeetCompletes" Off(&["meet_until_pong"]),
        "A MEET that is lost with its link is not repeated: one node knows the other for good, and is not known.",
        "valkey #461";
    "B03" "forget_3" "S21 ForgetBan" Fault(Mutant::MeetsAgain),
        "A node that was forgotten MEETs again whenever it opens a link, and is let in.", "valkey #2788, #4090";
    "B04" "moved_in_4" "S20 MembershipIsolation" Fault(Mutant::GossipMeets),
        "Who is named by gossip is met at its address: whoever lives there now brings its own cluster in.",
        "redis #2472, #6174, #7287, #7330";
    "B06" "meet_3" "S20 NewcomersVouched" Fault(Mutant::GossipFromStranger),
        "Gossip of a stranger brings nodes in.", "redis 5f6950caa, #12921, valkey #4065";
    "B07" "deaf_4" "L5 Detect" Fault(Mutant::GossipAnswers),
        "Who is alive for a third node is never suspected by those who cannot reach it.",
        "redis 303dde375, 8f7bf2841, #3929";
    "B09" "reset_hard_4" "L3 Failover" Off(&["wrong_id_fails"]),
        "A primary that comes back under another id is without an address, but never failed: nobody replaces it.",
        "valkey #1191, #2012, KeyDB #572";
    "B11" "deaf_4" "L5 Detect" Fault(Mutant::SuspectsUntold),
        "Suspicions travel by chance only: reports expire before they are a majority.", "redis #2285, #2336, 3fd43062c";
    "B13" "minority_3" "S28 StateSound" Fault(Mutant::OkByHalf),
        "Exactly half of the voters counts as a majority.", "redis 36e34a656";
    "B14" "deaf_4" "L5 Detect" Fault(Mutant::SuspectNobody),
        "Nothing starts the clock of a node that does not answer: it is never suspected.", "redis 237449679, #7216";
    "B15" "vote_crash_5" "S6 Monotone" Fault(Mutant::StartForgetsVote),
        "A voter that restarts has forgotten that it voted, and may vote again.", "redis #1479, 7fb14b73b";
    "B16" "two_forced_3" "S2 DurableVote" Fault(Mutant::VoteUnsaved),
        "A vote leaves before it is on disk.", "redis 533d0e037";
    "B18" "to_and_fro_2" "S4 UniqueWinner"
        Off(&["election_ends_with_win", "manual_failover_at_once", "election_follows_epoch"]),
        "The votes of an election that was won win another, without being asked for.", "redis #8752, #8753, valkey #1711";
    "B23" "late_claim_3" "S5 NoStaleVote" Fault(Mutant::VoteForStaleClaim),
        "A voter votes for a candidate whose view of the slots is out of date.", "redis ae2763f56";
    "B25" "vote_crash_5" "S5 VotesSpaced" On("votes_unspaced"),
        "Two replicas of one primary get votes one right after the other.", "valkey #2683, #1356, #1305";
    "B26" "failover_4" "L3 Failover" Fault(Mutant::DataAgeFromZero),
        "The age of data is counted from zero once the primary is gone: no replica is ever fit to stand.", "redis #5081";
    "B28" "set_epochs_2" "S7 CurDominates" Fault(Mutant::SetEpochAlone),
        "SET-CONFIG-EPOCH leaves the current epoch behind: elections are won under epochs that lose.",
        "redis #1799, a2c2ef7de, 32d0a79f7";
    "B29" "collision_2" "S7 EpochFresh" Fault(Mutant::CollisionReusesEpoch),
        "A collision of epochs is settled with an epoch that is not new.", "redis 6c527a89a, 3cf6f1f54";
    "B30" "takeover_2" "S7 EpochFresh" Off(&["takeover_always_bumps"]),
        "A takeover takes no new epoch, because the replica's own record holds the greatest already.", "redis #10798";
    "B33" "bumped_source_3" "S13 HonestUpdate" Fault(Mutant::ClaimMarksNothing),
        "A slot that was given away is defended for its former owner, under an epoch that this took since.",
        "redis #12336, #12344, #2969, #3442";
    "B38" "stale_owner_3" "S11 EpochGuard" Fault(Mutant::UpdateKeepsEpoch),
        "An UPDATE moves slots, but the epoch that they moved under is not recorded.", "redis e26f4486b, a2ff90919";
    "B40" "replica_slots_2" "S10 ReplicaOwnsNothing" Off(&["replica_refuses_slots"]),
        "A replica takes slots on request, and aborts later.", "redis #12268, #12717";
    "B41" "given_slot_2" "L13 OwnersClaim" Off(&["taken_slots_synced"]),
        "A node that acknowledged a slot dies, and does not know of it when it returns.", "redis #6339, #10517, valkey #445";
    "B43" "setslot_alone_3" "S14 SetslotSticks" Off(&["granted_slots_kept", "setslot_always_bumps"]),
        "A slot that only its new owner was told of is taken back by the former one.", "redis #10346, #3776, #3442, #2969";
    "B44" "busy_takeover_3" "S10 ReplicaOwnsNothing" Fault(Mutant::FollowKeepsMoves),
        "A primary that is replaced while it imports a slot goes on importing it as a replica, for good.",
        "valkey #586, #1664, #2363, #2370";
    "B45" "last_slot_3" "L9 ExPrimaryRejoins" Fault(Mutant::EmptiedStays),
        "Whether a primary that gives its last slot away becomes a replica depends on what it hears first.",
        "redis #10489, #10381, #3083";
    "B48" "takeover_3" "S12 HandedOver" Off(&["demotion_hands_over"]),
        "Who hears the demoted primary before the new one holds the slots for nobody's.", "redis #13018, #13055, #15472";
    "B50" "last_slot_3" "S10 ReplicaOwnsNothing" Fault(Mutant::ClaimOfReplica),
        "What a replica repeats of its primary's slots is taken for a claim of its own.", "valkey #753, #754";
    "B52" "takeovers_3" "S16 AcyclicGraph" Off(&["loops_opened", "stale_role_ignored"]),
        "Two nodes are recorded as each other's replicas.", "redis #11263, valkey #609, #651";
    "B53" "last_slot_3" "S10 ReplicaOwnsNothing" Fault(Mutant::DemotedKeepsSlots),
        "A node's role changes and its slots stay: a replica owns slots.", "valkey #2301, #2363, #2370, #2431";
    "B55" "self_meet_2" "S17 SelfWellFormed" Off(&["own_messages_ignored"]),
        "A node that MEETs itself and is RESET hears of its former role from itself, and replicates nobody.",
        "redis #12441, #13443";
    "B56" "forget_3" "S21 ForgetBan" Fault(Mutant::GossipRevives),
        "A node that was forgotten comes back through gossip at once.", "redis #1410, #2437, ccf268fa1";
    "B59" "forget_3" "S19 ReportersKnown" Fault(Mutant::ForgetKeepsReports),
        "What a deleted node has reported stays behind.", "redis db6d628c3, 59ad6ac5f, fc3ca8ff8";
    "B60" "manual_3" "S23 ManualLossless" Fault(Mutant::PauseForgotten),
        "A primary that announced the offset of its pause goes on writing.", "redis #6029";
    "B61" "manual_3" "L10 ManualSucceeds" Fault(Mutant::OffsetZeroUnset),
        "A pause at offset 0 is taken for none: an empty primary cannot be replaced.", "redis #8435, #8651";
    "B63" "manual_again_3" "L10 ManualSucceeds" Off(&["manual_votes_unspaced"]),
        "A manual failover gets no votes soon after another.", "valkey #1305, #3996";
    "B65" "joining_5" "S30 MigrationNeeded" Fault(Mutant::MigrateToServed),
        "A replica moves to a primary that has one.", "redis #1889, 0d9bcb1c1, #6660";
    "B66" "spare_5" "L12 OrphanServed" Fault(Mutant::OrphansUnmarked),
        "No primary is one that replicas may move to: migration is off.", "redis #2924, #2600, #3043";
    "B67" "spare_5" "S30 MigrationNeeded" Fault(Mutant::MigratesAtOnce),
        "A replica moves before those that belong to its new primary had time to show up.", "redis adc2fe699";
    "B69" "unsynced_4" "S24 NoForeignHistory" Fault(Mutant::StandWithOldData),
        "A replica that never had its primary's data is elected.", "redis #7211, valkey #4317, #4425";
    "B70" "lost_meet_2" "S25 ImageLoads" World(Flaw::TornDisk),
        "The file is emptied before it is written: a crash leaves nothing to start from.", "redis #1478, 6c63df303";
    "B72" "setslot_alone_3" "S8 PersistBeforeClaim" Fault(Mutant::EpochNotSaved),
        "A new epoch is announced before it is on disk.", "redis 62b159143, 03ca90398, b18751771";
    "B73" "two_forced_3" "S2 DurableVote" World(Flaw::FullDisk),
        "A node whose disk takes nothing goes on voting.", "valkey #1032, #3372";
    "B74" "takeover_3" "S25 ImageLoads" Fault(Mutant::StartRefusesReplicas),
        "A file is written that is refused when it is read.", "redis #12805, #13428, valkey #573, #774";
    "B76" "dropped_slot_2" "S11 MarkHasOwner" Off(&["unbinding_clears_mark"]),
        "A slot that nobody owns stays marked as let go: whoever is given it next is not taken at its word.", "redis #12564";
    absent:
    "B20" "A late refusal of a vote ends a newer election.", "valkey #4627, #4654",
        "The bus of redis 7.0 has no message that refuses a vote.";
    "B21" "A voter that refused and died is subtracted twice from the votes that can still come.", "valkey #4626, #4655",
        "The bus of redis 7.0 has no message that refuses a vote.";
    "B22" "Elections of two shards take the same epoch, and the losers wait.", "redis #3770, #9797, valkey #1009",
        "It costs time, and breaks no property: one election an epoch is what S4 demands; a loser asks again.";
    "B36" "DELSLOTS is local, and undone by the next packet of an owner.", "redis #6239, #7949, valkey #3959",
        "By design: a claim is the only word on this bus that tells of slots, and nobody claims that it has none.";
    "B37" "A stale claim is answered with one UPDATE, although several owners contradict it.", "redis #1480",
        "By design: each round corrects one owner more, and L11 holds within a bounded number of rounds.";
    "B47" "A failover at the source takes back the slot that was given away.", "redis #1547, valkey #2724",
        "By design: an epoch that was voted for before its owner heard of the gift may win; S14 allows just that.";
    "B58" "Who is RESET forgets others, and they do not forget it.", "valkey #1757, #2283, #2989",
        "By design: RESET is local; the administrator has to FORGET the node on all others.";
    "B75" "A replica is credited with a slot when maps of slots are merged.", "Garnet #2089, #1309",
        "No map of slots is merged here: a node takes from a header what its sender claims for itself, and B50 is when it does not.";
}
