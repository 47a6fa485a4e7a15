//! Owns what is configured about replication.

use slotbus_wire::resp::Limits;

/// How much may wait for a replica before it is cut off; 0 stands for no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputLimit {
    /// Never more than so many bytes.
    pub hard: u64,
    /// More than so many bytes ...
    pub soft: u64,
    /// ... for so long only.
    pub soft_ms: u64,
}

/// What is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The port that the primary is told.
    pub announced_port: u16,
    /// The address that the primary is told; none if it sees for itself.
    pub announced_ip: String,
    /// The user to be shown to the primary, if it is not the default one.
    pub user: String,
    /// The password to be shown to the primary; none if it wants none.
    pub password: String,
    /// Silence of the other end for longer than this ends a connection.
    pub timeout_ms: u64,
    /// From one ping in the stream to the next.
    pub ping_ms: u64,
    /// How much of the stream is kept for replicas that come back.
    pub backlog_bytes: u64,
    /// How long a copy of all keys waits for other replicas that may want it, too.
    pub delay_ms: u64,
    /// So many replicas that wait are enough; 0 for any number.
    pub delayed_max: usize,
    /// How much may wait for a replica.
    pub output: OutputLimit,
    /// What a request in the stream may amount to.
    pub request: Limits,
    /// The most bytes of a transaction in the stream.
    pub transaction_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            announced_port: 6379,
            announced_ip: String::new(),
            user: String::new(),
            password: String::new(),
            timeout_ms: 60_000,
            ping_ms: 10_000,
            backlog_bytes: 1 << 20,
            delay_ms: 5000,
            delayed_max: 0,
            output: OutputLimit { hard: 256 << 20, soft: 64 << 20, soft_ms: 60_000 },
            request: Limits::default(),
            transaction_max: 1 << 30,
        }
    }
}
