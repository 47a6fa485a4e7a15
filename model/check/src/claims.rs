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

use Goal::{Converge, Detect, EpochUnique, FailCleared, Flatten, MeetCompletes, StaleCorrected, SuspicionCleared};

const CLAIMS: &[(&str, &[Goal])] = &[
    ("failure_3", &[FailCleared, SuspicionCleared, Detect]),
    ("minority_3", &[FailCleared, SuspicionCleared]),
    ("partition_3", &[SuspicionCleared]),
    ("stale_report_4", &[Detect]),
    ("collision_3", &[EpochUnique, Converge, MeetCompletes, StaleCorrected]),
    ("bump_3", &[EpochUnique, Converge]),
    ("lost_link_2", &[MeetCompletes]),
    ("takeover_epoch_2", &[EpochUnique, Converge, StaleCorrected]),
    ("crossed_2", &[Flatten]),
];
