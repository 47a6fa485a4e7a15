//! Owns which rules no script can show, and why. Every other rule is shown by one.

use slotbus_core::Rule;

const LATER: &str = "not in redis-server 7.0.15";
const DEFAULT_ONLY: &str = "only in the default profile";
const WITH_DATA: &str = "needs keys at start; scripted servers load none";

/// Why no script shows a rule; none if one does.
#[must_use]
pub fn unshown(rule: Rule) -> Option<&'static str> {
    const REASONS: &[(Rule, &str)] = &[
        (Rule::HandshakeWrongIdFailed, LATER),
        (Rule::HandshakeMeetAnswered, LATER),
        (Rule::LinkBacklogged, "needs a kernel buffer that a peer leaves full; impl/node/tests/hostile.rs"),
        (Rule::LinkUnknown, "nothing that a peer sends; a driver's late word"),
        (Rule::ExtensionsKnown, LATER),
        (Rule::ShardTaken, LATER),
        (Rule::RoleStale, LATER),
        (Rule::RoleHandover, LATER),
        (Rule::RoleSame, LATER),
        (Rule::RoleLoopOpened, DEFAULT_ONLY),
        (Rule::SlotWithstood, DEFAULT_ONLY),
        (Rule::HealthSuspicionTold, DEFAULT_ONLY),
        (Rule::SlotLoadedFree, WITH_DATA),
        (Rule::SlotLoadedForeign, WITH_DATA),
        (Rule::ElectOvertaken, LATER),
        (Rule::HandshakeHeard, DEFAULT_ONLY),
        (Rule::PingSpares, DEFAULT_ONLY),
        (Rule::GossipIntroduced, DEFAULT_ONLY),
        (Rule::ElectCalledOff, DEFAULT_ONLY),
        (Rule::ForgetTold, LATER),
    ];
    REASONS.iter().find(|(unshown, _)| *unshown == rule).map(|&(_, reason)| reason)
}

/// Whether redis-server 7.0.15 has no such rule.
#[must_use]
pub fn is_later(rule: Rule) -> bool {
    unshown(rule).is_some_and(|reason| reason == LATER || reason == DEFAULT_ONLY)
}
