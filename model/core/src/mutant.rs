//! Owns the deliberate faults with which the checks are checked. Without the feature `mutants`
//! none of them can be switched on, and the compiler drops their branches.

use serde::{Deserialize, Serialize};

/// Generates [`Mutant`] and its catalogue from one table.
macro_rules! mutants {
    ($($name:ident $id:literal $rule:ident $fault:literal;)+) => {
        /// A deliberate fault in one rule.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Mutant {
            $(#[doc = $fault] $name,)+
        }

        impl Mutant {
            /// Every mutant.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Its name on command lines and in reports.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self { $(Self::$name => $id,)+ }
            }

            /// The rule that it breaks.
            #[must_use]
            pub const fn rule(self) -> crate::Rule {
                match self { $(Self::$name => crate::Rule::$rule,)+ }
            }

            /// What it does wrong.
            #[must_use]
            pub const fn fault(self) -> &'static str {
                match self { $(Self::$name => $fault,)+ }
            }
        }
    };
}

mutants! {
    ClaimIgnoresEpoch "claim-ignores-epoch" SlotTaken "Any claim takes a slot, whatever the owner's epoch.";
    ClaimKeepsLoser "claim-keeps-loser" SlotTaken "A slot that is taken stays in the former owner's set.";
    CollisionBothMove "collision-both-move" EpochCollision "Both primaries of a collision take a new epoch.";
    CollisionReusesEpoch "collision-reuses-epoch" EpochCollision "The new epoch of a collision is the current one, not the next.";
    EpochNotSaved "epoch-not-saved" EpochCollision "A new epoch is not saved before it is announced.";
    EpochNotRaised "epoch-not-raised" EpochRaised "The current epoch does not follow what members say.";
    FailWithoutQuorum "fail-without-quorum" HealthFailed "One report fewer than a majority fails a node.";
    FailFromStranger "fail-from-stranger" HealthFailTold "A FAIL message is believed whoever sent it.";
    ReportNeverExpires "report-never-expires" HealthReportExpired "Old failure reports count for ever.";
    HandshakeFromPing "handshake-from-ping" HandshakeStranger "A PING of a stranger is trusted like a MEET.";
    GossipFromStranger "gossip-from-stranger" GossipNewNode "A stranger's gossip brings nodes in.";
    OkInMinority "ok-in-minority" StateMinority "The cluster stays up in a minority.";
    ClaimTakesEqual "claim-takes-equal" SlotTaken "A claim takes a slot from an owner of the same epoch.";
    ClaimOfReplica "claim-of-replica" SlotTaken "What a replica's header repeats of its primary is bound to the replica.";
    ClaimMarksNothing "claim-marks-nothing" SlotUnclaimed "A slot that its owner no longer claims is held for it as before.";
    UpdateTellsUnclaimed "update-tells-unclaimed" SlotUpdateSent "An UPDATE names slots that their owner no longer claims.";
    UpdateKeepsEpoch "update-keeps-epoch" SlotUpdateTaken "An UPDATE moves slots, but not the recorded epoch.";
    UpdateOfAnyEpoch "update-of-any-epoch" SlotUpdateStale "An UPDATE is taken whatever its epoch.";
    LoserNotDemoted "loser-not-demoted" SlotDemoted "A primary whose last slot was taken stays an empty primary.";
    AddedTwice "added-twice" SlotRequestRefused "ADDSLOTS takes slots that are owned.";
    GrantYields "grant-yields" SlotWithstood "A slot that a command gave is lost to the former owner's next claim.";
    DemotedKeepsSlots "demoted-keeps-slots" RoleReplica "A primary that becomes a replica keeps its slots in others' tables.";
    LoopKept "loop-kept" RoleLoopOpened "Two nodes may be recorded as following each other.";
    RoleOfAnyAge "role-of-any-age" RoleStale "A header that was overtaken changes roles.";
    FollowKeepsMoves "follow-keeps-moves" RoleFollow "A node that takes a primary keeps its open slots.";
    ReplicateReplica "replicate-replica" RoleRequestRefused "REPLICATE takes a replica for a primary.";
    ReplicateWithSlots "replicate-with-slots" RoleRequestRefused "REPLICATE makes a replica of a primary with slots.";
    SetslotKeepsEpoch "setslot-keeps-epoch" ReshardClosed "A slot that SETSLOT NODE gives is claimed under the old epoch.";
    SetslotKeepsMark "setslot-keeps-mark" ReshardClosed "SETSLOT NODE leaves the slot importing.";
    SetslotLeavesKeys "setslot-leaves-keys" ReshardRefused "SETSLOT NODE gives a slot away whose keys are still here.";
    CollisionGreaterMoves "collision-greater-moves" EpochCollision "In a collision the greater id takes a new epoch.";
    CollisionIgnored "collision-ignored" EpochCollision "Primaries of one epoch keep it.";
    EpochFalls "epoch-falls" EpochClaimRaised "The epoch recorded of a primary follows its headers down, too.";
    BumpBehind "bump-behind" EpochBumped "BUMPEPOCH takes the epoch after the node's own, whatever others claim.";
    SetEpochAlone "set-epoch-alone" EpochSet "SET-CONFIG-EPOCH leaves the current epoch behind.";
    SuspectNobody "suspect-nobody" HealthSuspected "A silent node is not suspected.";
    ReportCountedTwice "report-counted-twice" HealthReported "A reporter counts as often as it reports.";
    ReportNeverWithdrawn "report-never-withdrawn" HealthReportWithdrawn "A report stands although its reporter took it back.";
    ReportByAnybody "report-by-anybody" HealthReported "Replicas report failures like primaries.";
    FailByHalf "fail-by-half" HealthFailed "Half of the voters fail a node.";
    FailUntold "fail-untold" HealthFailed "A failure is not told to others.";
    FailOfOneself "fail-of-oneself" HealthFailIgnored "A node believes that it has failed itself.";
    FailForEver "fail-for-ever" HealthClearedLate "A failed primary that is back is not trusted again.";
    SuspectsUntold "suspects-untold" GossipSent "Heartbeats tell of suspected nodes only by chance.";
    GossipRevives "gossip-revives" GossipBanned "Gossip brings a forgotten node back at once.";
    GossipFromFuture "gossip-from-future" GossipFresher "A pong time that lies in the future is taken over.";
    GossipSparesPing "gossip-spares-ping" GossipFresher "A pong time is taken over although an answer is outstanding.";
    WrongIdTrusted "wrong-id-trusted" HandshakeWrongId "Whoever answers at a member's address is taken for the member.";
    HandshakeForEver "handshake-for-ever" HandshakeTimeout "A handshake that nobody answers is never given up.";
    LinkKept "link-kept" LinkRenewed "A link on which nothing is heard is kept.";
    RefusalUnheard "refusal-unheard" LinkRefusedAtOnce "A refused connection starts no clock.";
    OkUncovered "ok-uncovered" StateUncovered "The cluster is up although slots have no owner.";
    OkByHalf "ok-by-half" StateMinority "Half of the voters keep the cluster up.";
    RejoinsAtOnce "rejoins-at-once" StateRejoinDelay "A primary that leaves a minority serves at once.";
    WritableAtOnce "writable-at-once" StateWritableDelay "A primary that has just started serves at once.";
    ForgetKeepsReports "forget-keeps-reports" ForgetDone "Reports by a forgotten node go on counting.";
    ForgetKeepsTie "forget-keeps-tie" ForgetDone "Replicas of a forgotten node go on naming it.";
    ForgetsPrimary "forgets-primary" ForgetRefused "A replica may forget its primary.";
    StartForgetsVote "start-forgets-vote" StartRestored "A restarted voter has forgotten that it voted.";
    StartForgetsEpoch "start-forgets-epoch" StartRestored "A restarted node begins with epoch 0.";
    StartKeepsEpochOfPrimary "start-keeps-epoch-of-primary" StartRestored "A restarted replica takes its primary's epoch for its own.";
    VoteTwice "vote-twice" ElectRefusedVoted "A voter votes again in an epoch.";
    VoteUnsaved "vote-unsaved" ElectVoted "A vote is sent before it is saved.";
    VoteInOldEpoch "vote-in-old-epoch" ElectRefusedEpoch "A voter answers a request of an epoch that has passed.";
    VoteWhileUp "vote-while-up" ElectRefusedRole "A voter votes although the primary has not failed.";
    VoteForStaleClaim "vote-for-stale-claim" ElectRefusedClaim "A voter votes for a claim that is older than what it knows.";
    VoteByEmpty "vote-by-empty" ElectNotVoter "A primary without slots votes.";
    VoteOfAnybody "vote-of-anybody" ElectUncounted "Votes of nodes without slots count.";
    VoteCountedTwice "vote-counted-twice" ElectUncounted "A vote counts as often as it arrives.";
    WinByHalf "win-by-half" ElectWon "Half of the voters elect a primary.";
    WinUnasked "win-unasked" ElectWon "A replica takes over without a vote.";
    WinKeepsEpoch "win-keeps-epoch" ElectWon "The elected primary claims under its old epoch.";
    AskInOldEpoch "ask-in-old-epoch" ElectAsked "Votes are asked for in the current epoch, not in a new one.";
    AskUnsaved "ask-unsaved" ElectAsked "Votes are asked for in an epoch that is not saved.";
    StandWithOldData "stand-with-old-data" ElectDataOld "A replica stands for election however old its data is.";
    StandWithoutFailure "stand-without-failure" ElectScheduled "A replica stands for election while its primary is up.";
    PauseForgotten "pause-forgotten" ManualPaused "A primary that is to be replaced goes on writing.";
    CatchUpSkipped "catch-up-skipped" ManualCaughtUp "A manual failover does not wait for the primary's offset.";
    ManualForEver "manual-for-ever" ManualTimeout "A manual failover is never given up.";
    TakeoverKeepsEpoch "takeover-keeps-epoch" ManualTakeover "A takeover claims under an old epoch.";
    BarrierIgnored "barrier-ignored" MigrateMoved "A replica moves although its primary needs it.";
    MigrateToServed "migrate-to-served" MigrateMoved "A replica moves to a primary that has one.";
    ChainKept "chain-kept" SlotSubReplica "A replica of a replica stays one.";
    DataAgeFromZero "data-age-from-zero" ElectDataOld "Data ages from the start of time once the primary has failed.";
    EmptiedStays "emptied-stays" ReshardEmptied "A primary that gives its last slot away stays an empty primary.";
    GossipAnswers "gossip-answers" GossipFresher "A pong time that gossip brings counts as a sign of life.";
    GossipMeets "gossip-meets" GossipNewNode "A node that gossip names is met at its address, whoever answers there.";
    GivenToNobody "given-to-nobody" ReshardGiven "SETSLOT NODE takes a slot from its owner and gives it to nobody.";
    MeetsAgain "meets-again" HandshakeMeetSent "Every connection begins with a MEET.";
    MigratesAtOnce "migrates-at-once" MigrateMoved "A replica moves to a primary as soon as that has none.";
    OffsetZeroUnset "offset-zero-unset" ManualOffset "A primary that paused at offset 0 is taken for one that has not paused.";
    OrphansUnmarked "orphans-unmarked" MigrateOrphaned "No primary counts as one that replicas may move to.";
    StartForgetsBoth "start-forgets-both" StartRestored "A restarted node has forgotten its current epoch and that it voted.";
    StartRefusesReplicas "start-refuses-replicas" StartRestored "A file that names a replica before its primary is refused.";
    ResetKeepsSlots "reset-keeps-slots" ResetDone "RESET keeps the slots.";
}

impl Mutant {
    /// The mutant called `id`.
    #[must_use]
    pub fn by_id(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|mutant| mutant.id() == id)
    }
}
