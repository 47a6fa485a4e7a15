//! Owns the check of the checks: for every deliberate fault of the core, the configuration and the
//! property that catch it, or why none can. Knows no fault's inside.

use crate::{
    configs::Configuration,
    explore::{Limits, Progress, Verdict},
    focus::focus,
    run::{Engine, Outcome, Plan, run},
};
use slotbus_core::{Mutant, Profile};

/// What became of one mutant.
#[derive(Clone, Debug)]
pub struct Hunt {
    /// The fault.
    pub mutant: Mutant,
    /// Where it was caught, and what of; none if it survived.
    pub caught: Option<(&'static Configuration, Outcome)>,
}

impl Hunt {
    /// Why nothing can catch the mutant, if nothing can.
    #[must_use]
    pub fn equivalence(&self) -> Option<&'static str> {
        equivalence(self.mutant)
    }
}

/// Where a mutant is known to be caught, if it is: the configuration and the property.
#[must_use]
pub fn expected(mutant: Mutant) -> Option<(&'static str, &'static str)> {
    CATCHES.iter().find(|catch| catch.0 == mutant).map(|&(_, config, property)| (config, property))
}

/// Why a mutant does what is right wherever the models go, if it does.
#[must_use]
pub fn equivalence(mutant: Mutant) -> Option<&'static str> {
    EQUIVALENTS.iter().find(|(known, _)| *known == mutant).map(|&(_, reason)| reason)
}

/// Looks for a mutant where it is known to be caught; one that is not, in every quick configuration.
pub fn hunt(mutant: Mutant, limits: Limits, progress: &mut dyn FnMut(Progress)) -> Hunt {
    let caught = match expected(mutant) {
        Some((config, property)) => Configuration::named(config).and_then(|configuration| {
            let found = focus(plan(configuration, mutant, limits), None, property, progress).outcome;
            found.filter(|outcome| outcome.verdict == Verdict::Violated).map(|outcome| (configuration, outcome))
        }),
        None if equivalence(mutant).is_some() => None,
        None => Configuration::standard().filter(|configuration| configuration.is_quick).find_map(|configuration| {
            let found = run(plan(configuration, mutant, limits), progress);
            found.first_violation().map(|outcome| (configuration, outcome.clone()))
        }),
    };
    Hunt { mutant, caught }
}

fn plan(configuration: &'static Configuration, mutant: Mutant, limits: Limits) -> Plan {
    Plan {
        configuration,
        profile_name: "slotbus",
        profile: Profile::SLOTBUS,
        mutant: Some(mutant),
        engine: Engine::Own,
        is_actor: false,
        limits,
    }
}

/// Where each mutant is caught, by which property: a world as small as it can be.
const CATCHES: &[(Mutant, &str, &str)] = &[
    (Mutant::ClaimIgnoresEpoch, "setslot_alone_3", "S11 EpochGuard"),
    (Mutant::ClaimKeepsLoser, "setslot_alone_3", "S9 TableConsistent"),
    (Mutant::CollisionBothMove, "bump_3", "S26 CollisionYields"),
    (Mutant::CollisionReusesEpoch, "collision_2", "S7 EpochFresh"),
    (Mutant::EpochNotSaved, "setslot_alone_3", "S8 PersistBeforeClaim"),
    (Mutant::EpochNotRaised, "collision_2", "S7 CurDominates"),
    (Mutant::FailWithoutQuorum, "minority_3", "S18 FailSound"),
    (Mutant::FailFromStranger, "forget_3", "S18 FailSound"),
    (Mutant::ReportNeverExpires, "stale_report_4", "S18 FailSound"),
    (Mutant::HandshakeFromPing, "forget_3", "S21 ForgetBan"),
    (Mutant::GossipFromStranger, "meet_3", "S20 NewcomersVouched"),
    (Mutant::OkInMinority, "minority_3", "S28 StateSound"),
    (Mutant::ClaimTakesEqual, "collision_2", "S11 EpochGuard"),
    (Mutant::ClaimOfReplica, "last_slot_3", "S10 ReplicaOwnsNothing"),
    (Mutant::ClaimMarksNothing, "bumped_source_3", "S13 HonestUpdate"),
    (Mutant::UpdateTellsUnclaimed, "stale_claim_3", "S13 HonestUpdate"),
    (Mutant::UpdateKeepsEpoch, "stale_owner_3", "S11 EpochGuard"),
    (Mutant::UpdateOfAnyEpoch, "collision_3", "S11 EpochGuard"),
    (Mutant::LoserNotDemoted, "takeover_3", "L9 ExPrimaryRejoins"),
    (Mutant::AddedTwice, "owned_slot_2", "S9 TableConsistent"),
    (Mutant::GrantYields, "setslot_alone_3", "S14 SetslotSticks"),
    (Mutant::DemotedKeepsSlots, "last_slot_3", "S10 ReplicaOwnsNothing"),
    (Mutant::LoopKept, "two_forced_3", "S16 AcyclicGraph"),
    (Mutant::RoleOfAnyAge, "reshard_last_4", "S15 NoStaleRole"),
    (Mutant::FollowKeepsMoves, "busy_takeover_3", "S10 ReplicaOwnsNothing"),
    (Mutant::ReplicateReplica, "refused_4", "S22 NoFollowDead"),
    (Mutant::ReplicateWithSlots, "refused_4", "S10 ReplicaOwnsNothing"),
    (Mutant::SetslotKeepsEpoch, "setslot_alone_3", "S14 SetslotSticks"),
    (Mutant::SetslotKeepsMark, "reshard_last_4", "S9 TableConsistent"),
    (Mutant::SetslotLeavesKeys, "keyed_slot_2", "S29 KeysGoFirst"),
    (Mutant::CollisionGreaterMoves, "bump_3", "S26 CollisionYields"),
    (Mutant::CollisionIgnored, "bump_3", "L1 EpochUnique"),
    (Mutant::EpochFalls, "collision_2", "S6 Monotone"),
    (Mutant::BumpBehind, "setslot_alone_3", "S7 EpochFresh"),
    (Mutant::SetEpochAlone, "set_epochs_2", "S7 CurDominates"),
    (Mutant::SuspectNobody, "deaf_4", "L5 Detect"),
    (Mutant::ReportCountedTwice, "relay_4", "S18 ReportSound"),
    (Mutant::ReportNeverWithdrawn, "partition_3", "S18 ReportSound"),
    (Mutant::ReportByAnybody, "minority_3", "S18 FailSound"),
    (Mutant::FailByHalf, "minority_3", "S18 FailSound"),
    (Mutant::FailUntold, "relay_4", "L5 Detect"),
    (Mutant::FailOfOneself, "failure_3", "S17 SelfWellFormed"),
    (Mutant::FailForEver, "minority_3", "L4 SuspicionCleared"),
    (Mutant::SuspectsUntold, "deaf_4", "L5 Detect"),
    (Mutant::GossipRevives, "forget_3", "S21 ForgetBan"),
    (Mutant::WrongIdTrusted, "reset_hard_4", "L3 Failover"),
    (Mutant::HandshakeForEver, "meet_nobody_2", "L6 HandshakeBounded"),
    (Mutant::OkUncovered, "relay_4", "S28 StateSound"),
    (Mutant::OkByHalf, "minority_3", "S28 StateSound"),
    (Mutant::RejoinsAtOnce, "minority_3", "S28 ServesLate"),
    (Mutant::WritableAtOnce, "failure_3", "S28 ServesLate"),
    (Mutant::ForgetKeepsReports, "forget_3", "S19 ReportersKnown"),
    (Mutant::ForgetKeepsTie, "forget_primary_3", "S16 AcyclicGraph"),
    (Mutant::ForgetsPrimary, "forget_primary_3", "S17 SelfWellFormed"),
    (Mutant::StartForgetsVote, "vote_crash_5", "S6 Monotone"),
    (Mutant::StartForgetsEpoch, "vote_crash_5", "S6 Monotone"),
    (Mutant::StartKeepsEpochOfPrimary, "spare_5", "S7 EpochFresh"),
    (Mutant::VoteTwice, "two_forced_3", "S1 VoteOnce"),
    (Mutant::VoteUnsaved, "two_forced_3", "S2 DurableVote"),
    (Mutant::VoteInOldEpoch, "overtaken_request_3", "S5 NoStaleVote"),
    (Mutant::VoteWhileUp, "vote_crash_5", "S5 VoteDue"),
    (Mutant::VoteForStaleClaim, "late_claim_3", "S5 NoStaleVote"),
    (Mutant::VoteByEmpty, "empty_voter_3", "S5 VoteDue"),
    (Mutant::VoteOfAnybody, "late_voter_3", "S27 CountOnce"),
    (Mutant::WinByHalf, "manual_again_3", "S3 ElectedHasQuorum"),
    (Mutant::WinUnasked, "vote_crash_5", "S3 ElectedHasQuorum"),
    (Mutant::WinKeepsEpoch, "two_forced_3", "S11 EpochGuard"),
    (Mutant::AskInOldEpoch, "two_forced_3", "S7 EpochFresh"),
    (Mutant::AskUnsaved, "two_forced_3", "S8 RequestSaved"),
    (Mutant::StandWithOldData, "unsynced_4", "S24 NoForeignHistory"),
    (Mutant::StandWithoutFailure, "failover_4", "S5 VoteDue"),
    (Mutant::PauseForgotten, "manual_3", "S23 ManualLossless"),
    (Mutant::CatchUpSkipped, "manual_3", "S23 ManualLossless"),
    (Mutant::ManualForEver, "manual_down_3", "L10 ManualBounded"),
    (Mutant::TakeoverKeepsEpoch, "takeover_2", "S7 EpochFresh"),
    (Mutant::BarrierIgnored, "guarded_5", "S30 BarrierKept"),
    (Mutant::MigrateToServed, "joining_5", "S30 MigrationNeeded"),
    (Mutant::ChainKept, "siblings_4", "L8 Flatten"),
    (Mutant::DataAgeFromZero, "failover_4", "L3 Failover"),
    (Mutant::EmptiedStays, "last_slot_3", "L9 ExPrimaryRejoins"),
    (Mutant::GossipAnswers, "deaf_4", "L5 Detect"),
    (Mutant::GossipMeets, "moved_in_4", "S20 MembershipIsolation"),
    (Mutant::GivenToNobody, "given_slot_2", "S12 NoOrphanSlot"),
    (Mutant::MeetsAgain, "forget_3", "S21 ForgetBan"),
    (Mutant::MigratesAtOnce, "spare_5", "S30 MigrationNeeded"),
    (Mutant::OffsetZeroUnset, "manual_3", "L10 ManualSucceeds"),
    (Mutant::OrphansUnmarked, "spare_5", "L12 OrphanServed"),
    (Mutant::StartForgetsBoth, "forgetful_voter_3", "S1 VoteOnce"),
    (Mutant::StartRefusesReplicas, "takeover_3", "S25 ImageLoads"),
    (Mutant::ResetKeepsSlots, "reset_hard_4", "S17 SelfWellFormed"),
];

/// Mutants that no property can tell from what is right, in any world whose other nodes do what is right, and why.
const EQUIVALENTS: &[(Mutant, &str)] = &[
    (
        Mutant::GossipFromFuture,
        "no clock of a model is ahead of another, so no pong time that is told lies in the future",
    ),
    (
        Mutant::GossipSparesPing,
        "while an answer is outstanding nothing reads the pong time but gossip, where it is as true as the gossip that brought it",
    ),
    (
        Mutant::LinkKept,
        "both ends of a model's connection notice when it is over, so that none on which nothing is heard is dead",
    ),
    (
        Mutant::RefusalUnheard,
        "the work that opens the next connection pings on it at once, which starts the clock that the refusal did not",
    ),
    (Mutant::VoteCountedTwice, "no voter answers twice in an epoch (S1), and no connection delivers an answer twice"),
];
