//! Owns which goals each configuration is held to. Knows no search.
//!
//! Only timely worlds are: elsewhere hosts stop ticking, and nothing more can come about.

use crate::goals::Goal;

/// The goals that the configuration called `name` is held to; none if it is held to safety only.
#[must_use]
pub fn claims(name: &str) -> &'static [Goal] {
    let found = CLAIMS.iter().find(|(configuration, _)| *configuration == name);
    found.map_or(&[], |(_, goals)| goals)
}

use Goal::{
    Converge, CoverageReturns, Detect, EpochUnique, ExPrimaryRejoins, FailCleared, Failover, Flatten, ManualEnds,
    ManualSucceeds, MeetCompletes, OrphanServed, StaleCorrected, SuspicionCleared,
};

/// Where a primary is killed, elected anew, and returns.
const ELECTION: &[Goal] = &[Converge, FailCleared, SuspicionCleared, Detect, StaleCorrected];
/// Where a killed primary always has a successor: its data never grows too old before the election.
const SUCCESSION: &[Goal] =
    &[Converge, Failover, FailCleared, SuspicionCleared, Detect, Flatten, StaleCorrected, CoverageReturns];

const CLAIMS: &[(&str, &[Goal])] = &[
    ("failure_3", &[FailCleared, SuspicionCleared, Detect]),
    ("minority_3", &[FailCleared, SuspicionCleared]),
    ("partition_3", &[SuspicionCleared]),
    ("stale_report_4", &[Detect]),
    ("collision_3", &[EpochUnique, Converge, MeetCompletes, StaleCorrected]),
    ("bump_3", &[EpochUnique, Converge]),
    ("election_4", ELECTION),
    ("election_5", &[Converge, Detect]),
    ("election_return_5", SUCCESSION),
    ("vote_crash_5", &[Converge, FailCleared, SuspicionCleared, Detect, Flatten, StaleCorrected]),
    ("two_deaths_5", &[Converge, Detect]),
    ("two_elections_5", &[Converge, Detect, ManualEnds]),
    ("reshard_last_4", &[Converge]),
    ("setslot_alone_3", &[Converge, StaleCorrected]),
    ("stale_owner_3", &[Converge, FailCleared, SuspicionCleared, ExPrimaryRejoins, StaleCorrected]),
    ("wrong_id_3", &[MeetCompletes, SuspicionCleared]),
    ("lost_disk_5", &[Failover, FailCleared, SuspicionCleared, Detect, StaleCorrected, CoverageReturns]),
    ("reset_3", &[Converge, MeetCompletes]),
    ("reset_hard_3", &[Converge, MeetCompletes]),
    ("election_timed_4", ELECTION),
    ("manual_4", &[Converge, FailCleared, SuspicionCleared, Detect, ManualEnds, StaleCorrected]),
    ("manual_takeover_4", &[Converge, FailCleared, SuspicionCleared, StaleCorrected]),
    ("reshard_3", &[FailCleared, SuspicionCleared, Detect, StaleCorrected]),
    ("migration_5", &[Converge, FailCleared, SuspicionCleared, OrphanServed]),
    ("barrier_5", &[Converge, OrphanServed]),
    ("manual_partition_4", &[Converge, SuspicionCleared, ManualEnds, StaleCorrected]),
    ("reshard_source_4", &[Converge, Failover, FailCleared, SuspicionCleared, Detect, StaleCorrected, CoverageReturns]),
    ("reshard_target_4", &[EpochUnique, FailCleared, SuspicionCleared, Detect, StaleCorrected, CoverageReturns]),
    ("two_deaths_return_5", ELECTION),
    ("election_any_order_5", &[Converge, FailCleared, SuspicionCleared, Detect, Flatten, StaleCorrected]),
    ("lost_link_2", &[MeetCompletes]),
    ("takeover_epoch_2", &[EpochUnique, Converge, StaleCorrected]),
    ("crossed_2", &[Flatten]),
    ("takeover_3", &[ExPrimaryRejoins]),
    ("deaf_4", &[Detect]),
    ("relay_4", &[Detect]),
    ("reset_hard_4", &[Failover]),
    ("siblings_4", &[Flatten]),
    ("failover_4", &[Failover]),
    ("last_slot_3", &[ExPrimaryRejoins]),
    ("manual_3", &[ManualSucceeds]),
    ("spare_5", &[OrphanServed]),
    ("manual_unheard_3", &[ManualEnds]),
    ("crossed_imports_3", &[Converge]),
];
