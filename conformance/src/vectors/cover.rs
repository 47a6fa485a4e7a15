//! Owns the account of what vectors cover and what they do not, and why not. Knows no vector's inside but
//! its rules.

use super::{
    explore::{Explored, count},
    vector::{Level, Vector},
};
use serde::Serialize;
use slotbus_core::{Profile, Rule};
use std::collections::BTreeMap;

/// What vectors cover.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Vectors in all.
    pub vectors: usize,
    /// Of which so many need no more than this level to be judged.
    pub levels: BTreeMap<Level, usize>,
    /// Steps that the exploration took.
    pub steps_explored: u64,
    /// Features of each kind that were seen.
    pub features: BTreeMap<&'static str, usize>,
    /// Rules, each with the number of vectors in which it fires.
    pub covered: BTreeMap<Rule, usize>,
    /// Rules that fire in no vector, and why.
    pub uncovered: BTreeMap<Rule, String>,
}

/// Rules that a variant of the protocol switches on.
const SWITCHED: &[(Rule, &str)] = &[
    (Rule::RoleStale, "stale_role_ignored"),
    (Rule::RoleHandover, "demotion_hands_over"),
    (Rule::RoleSame, "replicate_same_is_noop"),
    (Rule::RoleLoopOpened, "loops_opened"),
    (Rule::SlotWithstood, "granted_slots_kept"),
    (Rule::HealthSuspicionTold, "suspicion_is_told"),
    (Rule::ElectOvertaken, "election_follows_epoch"),
    (Rule::HandshakeHeard, "introduction_is_heard"),
    (Rule::PingSpares, "pings_spare_pings"),
    (Rule::GossipIntroduced, "newcomers_told"),
    (Rule::ElectCalledOff, "election_called_off"),
    (Rule::HandshakeWrongIdFailed, "wrong_id_fails"),
    (Rule::HandshakeMeetAnswered, "meet_until_pong"),
    (Rule::ForgetTold, "forget_is_gossiped"),
    (Rule::ShardTaken, "extensions_announced"),
    (Rule::ExtensionsKnown, "extensions_announced"),
];

/// What vectors cover, and what not.
pub(super) fn report(explored: &Explored, vectors: &[Vector], profile: Profile) -> Report {
    let mut covered: BTreeMap<Rule, usize> = BTreeMap::new();
    let mut levels: BTreeMap<Level, usize> = BTreeMap::new();
    for vector in vectors {
        vector.rules().iter().for_each(|&rule| *covered.entry(rule).or_default() += 1);
        *levels.entry(vector.level()).or_default() += 1;
    }
    let missing = Rule::ALL.iter().copied().filter(|rule| !covered.contains_key(rule));
    let uncovered = missing.map(|rule| (rule, reason(rule, profile))).collect();
    let features = count(&explored.seen);
    Report { vectors: vectors.len(), levels, steps_explored: explored.steps, features, covered, uncovered }
}

fn reason(rule: Rule, profile: Profile) -> String {
    let switch = SWITCHED.iter().find(|(switched, _)| *switched == rule).map(|&(_, name)| name);
    match switch.filter(|name| profile.get(name) == Some(false)) {
        Some(name) => format!("the profile has {name} off, and the rule is behind it"),
        None => "no run showed it".to_owned(),
    }
}
