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
}

impl Mutant {
    /// The mutant called `id`.
    #[must_use]
    pub fn by_id(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|mutant| mutant.id() == id)
    }
}
