//! Owns what a node is told before it starts: addresses, timing, options, protocol profile.
//! Data only; the rules read it.

use crate::{address::Host, profile::Profile};
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
    /// Periods and delays.
    pub timing: Timing,
    /// Which variant of the protocol to follow.
    pub profile: Profile,
    /// The deliberate fault to commit: for checking the checks.
    #[cfg(feature = "mutants")]
    #[serde(default)]
    pub mutant: Option<crate::Mutant>,
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
    /// Period of the cluster cron.
    pub cron_ms: u64,
    /// Every so many crons, one random peer is pinged.
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
            gossip_ahead_ms: 500,
        }
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

    /// No rule tells two ages apart that both exceed this.
    #[must_use]
    pub fn age_limit_ms(&self) -> u64 {
        [self.handshake_timeout_ms(), self.report_valid_ms(), self.rejoin_ms(), self.writable_delay_ms]
            .into_iter()
            .max()
            .unwrap_or_default()
            .saturating_add(1)
    }
}
