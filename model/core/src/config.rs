//! Owns what a node is told before it starts: addresses, timing, options, protocol profile.
//! Data only; the rules read it.

use crate::{address::Host, mutant::Mutant, profile::Profile};
use alloc::boxed::Box;
use serde::{Deserialize, Serialize};

/// What a node is told before it starts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Config {
    /// The host to announce (`cluster-announce-ip`); unknown lets the node learn it from a MEET.
    pub announce_host: Host,
    /// Client port to announce.
    pub port: u16,
    /// Bus port to announce.
    pub cport: u16,
    /// Plain client port to announce when `port` is a TLS port, else 0.
    pub pport: u16,
    /// Host name to announce to clients (`cluster-announce-hostname`); empty for none.
    pub hostname: Box<str>,
    /// Every slot must be served for the cluster to be up (`cluster-require-full-coverage`).
    pub require_full_coverage: bool,
    /// Replicas may move to another primary (`cluster-allow-replica-migration`).
    pub allow_replica_migration: bool,
    /// This node does not start failovers (`cluster-replica-no-failover`).
    pub replica_no_failover: bool,
    /// A replica older than this many node timeouts does not stand for election
    /// (`cluster-replica-validity-factor`); 0 for no limit.
    pub replica_validity_factor: u64,
    /// A replica leaves its primary only if so many others stay (`cluster-migration-barrier`).
    pub migration_barrier: usize,
    /// A name for people (`cluster-announce-human-nodename` of later versions); empty for none.
    pub human_name: Box<str>,
    /// Periods and delays.
    pub timing: Timing,
    /// Which variant of the protocol to follow.
    pub profile: Profile,
    /// The deliberate fault to commit: for checking the checks.
    #[cfg(feature = "mutants")]
    #[serde(default)]
    pub mutant: Option<Mutant>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            announce_host: Host::Unknown,
            port: 6379,
            cport: 16379,
            pport: 0,
            hostname: "".into(),
            require_full_coverage: true,
            allow_replica_migration: true,
            replica_no_failover: false,
            replica_validity_factor: 10,
            migration_barrier: 1,
            human_name: "".into(),
            timing: Timing::default(),
            profile: Profile::SLOTBUS,
            #[cfg(feature = "mutants")]
            mutant: None,
        }
    }
}

/// Periods and delays, all in milliseconds unless named otherwise. The defaults are redis-server's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timing {
    /// Without an answer for this long, a peer is suspected (`cluster-node-timeout`).
    pub node_timeout_ms: u64,
    /// Period of the cluster cron, at least.
    pub cron_ms: u64,
    /// Every so many of the shortest periods, one random peer is pinged.
    pub crons_per_ping: u8,
    /// A handshake lasts the node timeout, but at least this long.
    pub handshake_min_ms: u64,
    /// A primary that was in the minority stays down for the node timeout, but at least this long ...
    pub rejoin_min_ms: u64,
    /// ... and at most this long.
    pub rejoin_max_ms: u64,
    /// A primary that has just started stays down for this long.
    pub writable_delay_ms: u64,
    /// A forgotten node does not come back through gossip for this long.
    pub forget_ms: u64,
    /// A failover attempt lasts twice the node timeout, but at least this long.
    pub election_min_ms: u64,
    /// A replica waits this long before it asks for votes, so that FAIL can spread ...
    pub election_delay_ms: u64,
    /// ... and a random time below this ...
    pub election_jitter_ms: u64,
    /// ... and this long for every replica of its primary with a greater offset.
    pub election_rank_ms: u64,
    /// Period of the pings in the replication stream (`repl-ping-replica-period`).
    pub replica_ping_ms: u64,
    /// A manual failover is given up after this long; clients are paused for twice as long.
    pub manual_failover_ms: u64,
    /// A primary must have been without replicas for this long before one migrates to it.
    pub migration_delay_ms: u64,
    /// A gossiped pong time may lie this far in the future.
    pub gossip_ahead_ms: u64,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            node_timeout_ms: 15_000,
            cron_ms: 100,
            crons_per_ping: 10,
            handshake_min_ms: 1000,
            rejoin_min_ms: 500,
            rejoin_max_ms: 5000,
            writable_delay_ms: 2000,
            forget_ms: 60_000,
            election_min_ms: 2000,
            election_delay_ms: 500,
            election_jitter_ms: 500,
            election_rank_ms: 1000,
            replica_ping_ms: 10_000,
            manual_failover_ms: 5000,
            migration_delay_ms: 5000,
            gossip_ahead_ms: 500,
        }
    }
}

/// The delay that scales with the node timeout is this share of it, up to the configured one.
const SCALED_DELAY_SHARE: u64 = 30;
/// The period that scales with the node timeout is this share of it, from the configured one ...
const SCALED_CRON_SHARE: u64 = 25;
/// ... up to so many times that.
const SCALED_CRON_MAX: u64 = 2;

impl Config {
    /// Period of the cluster cron. What it looks at is counted in node timeouts; where those are long, a node may sleep
    /// longer.
    #[must_use]
    pub fn cron_ms(&self) -> u64 {
        let (shortest_ms, share_ms) = (self.timing.cron_ms, self.timing.node_timeout_ms / SCALED_CRON_SHARE);
        let is_scaled = self.profile.cron_scaled;
        if is_scaled { share_ms.clamp(shortest_ms, shortest_ms.saturating_mul(SCALED_CRON_MAX)) } else { shortest_ms }
    }

    /// Every so many crons, one random peer is pinged.
    #[must_use]
    pub fn crons_per_ping(&self) -> u8 {
        let period_ms = u64::from(self.timing.crons_per_ping).saturating_mul(self.timing.cron_ms);
        u8::try_from(period_ms / self.cron_ms().max(1)).unwrap_or(u8::MAX).max(1)
    }

    /// How long a replica waits at least before it asks for votes.
    #[must_use]
    pub fn election_delay_ms(&self) -> u64 {
        self.scaled_ms(self.timing.election_delay_ms)
    }

    /// How much longer it may wait, by chance.
    #[must_use]
    pub fn election_jitter_ms(&self) -> u64 {
        self.scaled_ms(self.timing.election_jitter_ms)
    }

    /// How much longer it waits for each replica of its primary that is ahead of it.
    #[must_use]
    pub fn rank_delay_ms(&self) -> u64 {
        match (self.profile.election_delay_scaled, self.profile.laggards_wait) {
            (false, _) => self.timing.election_rank_ms,
            (true, false) => self.election_delay_ms() * 2,
            // One that is ahead may begin later by as much as its delay does not shrink.
            (true, true) => self.timing.election_rank_ms.saturating_add(self.timing.election_delay_ms),
        }
    }

    fn scaled_ms(&self, delay_ms: u64) -> u64 {
        let most_ms = self.timing.node_timeout_ms / SCALED_DELAY_SHARE;
        if self.profile.election_delay_scaled { delay_ms.min(most_ms) } else { delay_ms }
    }

    /// Whether the node is to commit a deliberate fault.
    #[cfg(feature = "mutants")]
    pub(crate) fn is_mutant(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// Whether the node is to commit a deliberate fault: never, in this build.
    #[cfg(not(feature = "mutants"))]
    pub(crate) fn is_mutant(&self, _: Mutant) -> bool {
        false
    }
}

impl Timing {
    /// How long a node stays in handshake before it is dropped.
    #[must_use]
    pub fn handshake_timeout_ms(&self) -> u64 {
        self.node_timeout_ms.max(self.handshake_min_ms)
    }

    /// How long a failure report counts, and how long FAIL of an owner of slots lasts at least.
    #[must_use]
    pub fn report_valid_ms(&self) -> u64 {
        self.node_timeout_ms.saturating_mul(2)
    }

    /// How long a primary stays down after it was in the minority.
    #[must_use]
    pub fn rejoin_ms(&self) -> u64 {
        self.node_timeout_ms.clamp(self.rejoin_min_ms, self.rejoin_max_ms.max(self.rejoin_min_ms))
    }

    /// How long a replica waits for votes.
    #[must_use]
    pub fn election_timeout_ms(&self) -> u64 {
        self.node_timeout_ms.saturating_mul(2).max(self.election_min_ms)
    }

    /// How long after an attempt a replica tries again.
    #[must_use]
    pub fn election_retry_ms(&self) -> u64 {
        self.election_timeout_ms().saturating_mul(2)
    }

    /// How old a replica's data may be for it to stand for election.
    #[must_use]
    pub fn data_age_max_ms(&self, validity_factor: u64) -> u64 {
        self.replica_ping_ms.saturating_add(self.node_timeout_ms.saturating_mul(validity_factor))
    }

    /// No rule tells two ages apart that both exceed this, but for those of elections, of replication
    /// and of orphaned primaries, which count to limits of their own.
    #[must_use]
    pub fn age_limit_ms(&self) -> u64 {
        let limits = [self.handshake_timeout_ms(), self.report_valid_ms(), self.rejoin_ms(), self.writable_delay_ms];
        limits.into_iter().max().unwrap_or_default()
    }
}
