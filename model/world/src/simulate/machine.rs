//! Owns what a machine is besides its node: a clock of its own, a disk, links by their numbers, and
//! how far replication has come. Knows no rule.

use super::{RealNode, network::ConnectionId};
use slotbus_core::{CLUSTER_SLOTS, Config, Durable, Host, LinkId, Millis, NodeId, Replication, Reply};
use std::sync::Arc;

/// What every clock shows about when a simulation starts: an instant of the Unix epoch's first years,
/// far from zero and within what gossip can carry in seconds.
const BASE_MS: u64 = 1_000_000_000;

const MILLION: i64 = 1_000_000;

/// A clock that differs from the virtual time by a constant and by a drift.
#[derive(Clone, Copy, Debug)]
pub struct LocalClock {
    /// How far ahead it starts, beyond the base.
    pub ahead_ms: u64,
    /// How much faster it runs, in millionths; negative for slower.
    pub drift_ppm: i64,
}

impl LocalClock {
    /// What it shows at a virtual instant.
    #[must_use]
    pub fn shows(&self, virtual_ms: u64) -> Millis {
        let drift_ms = virtual_ms.cast_signed() * self.drift_ppm / MILLION;
        Millis(BASE_MS + self.ahead_ms + virtual_ms.saturating_add_signed(drift_ms))
    }

    /// The first virtual instant at which it shows `local` or later.
    #[must_use]
    pub fn when(&self, local: Millis) -> u64 {
        let gained_ms = local.0.saturating_sub(BASE_MS + self.ahead_ms);
        let drift_ms = gained_ms.cast_signed() * self.drift_ppm / (MILLION + self.drift_ppm);
        let mut at = gained_ms.saturating_add_signed(-drift_ms).saturating_sub(2);
        while self.shows(at) < local {
            at += 1;
        }
        at
    }
}

/// One machine.
#[derive(Debug)]
pub struct Machine {
    /// The id of its node.
    pub id: NodeId,
    /// Its address.
    pub ip: Host,
    /// What its node is told at each start.
    pub config: Arc<Config>,
    /// Its clock.
    pub clock: LocalClock,
    /// Its node, while the process runs.
    pub node: Option<RealNode>,
    /// Whether it answers connection attempts while no process runs: a killed process's machine does.
    pub is_powered: bool,
    /// The image that the process wrote last.
    pub disk: Arc<Durable<CLUSTER_SLOTS>>,
    /// The image that survives a power loss.
    pub synced: Arc<Durable<CLUSTER_SLOTS>>,
    /// The config epoch of the node itself on the disk.
    pub disk_epoch: u64,
    outbound: Vec<Option<ConnectionId>>,
    inbound: Vec<Option<ConnectionId>>,
    /// When its node's deadline comes, in virtual time.
    pub wake_at_ms: Option<u64>,
    /// Whether the process stands still.
    pub is_stalled: bool,
    /// Whether it is killed as soon as it has saved something.
    pub dies_after_save: bool,
    /// Whom the data set is replicated from.
    pub follows: Option<NodeId>,
    /// The shard of that node, when it was to be followed.
    pub shard: Option<NodeId>,
    /// Bytes of the replication stream.
    pub offset: u64,
    /// When the primary was last heard, on this machine's clock.
    pub fresh_at: Option<Millis>,
    /// Until when writes are held back, on this machine's clock.
    pub paused_until: Option<Millis>,
    /// The answer to the last command.
    pub reply: Option<Reply>,
}

impl Machine {
    /// A machine without a process, and with an empty disk.
    #[must_use]
    pub fn new(id: NodeId, ip: Host, config: Arc<Config>, clock: LocalClock) -> Self {
        Self {
            id,
            ip,
            config,
            clock,
            node: None,
            is_powered: true,
            disk: Arc::default(),
            synced: Arc::default(),
            disk_epoch: 0,
            outbound: Vec::new(),
            inbound: Vec::new(),
            wake_at_ms: None,
            is_stalled: false,
            dies_after_save: false,
            follows: None,
            shard: None,
            offset: 0,
            fresh_at: None,
            paused_until: None,
            reply: None,
        }
    }

    /// The connection behind a link.
    #[must_use]
    pub fn connection(&self, link: LinkId) -> Option<ConnectionId> {
        let (table, number) = match link {
            LinkId::Outbound(number) => (&self.outbound, number),
            LinkId::Inbound(number) => (&self.inbound, number),
        };
        table.get(usize::try_from(number).ok()?).copied().flatten()
    }

    /// Puts a connection behind a link, or nothing.
    pub fn set_connection(&mut self, link: LinkId, connection: Option<ConnectionId>) {
        let (table, number) = match link {
            LinkId::Outbound(number) => (&mut self.outbound, number),
            LinkId::Inbound(number) => (&mut self.inbound, number),
        };
        let index = usize::try_from(number).unwrap_or_default();
        if table.len() <= index {
            table.resize(index + 1, None);
        }
        table[index] = connection;
    }

    /// The smallest inbound number that no link has.
    #[must_use]
    pub fn free_inbound(&self) -> u32 {
        let index = self.inbound.iter().position(Option::is_none).unwrap_or(self.inbound.len());
        u32::try_from(index).unwrap_or(u32::MAX)
    }

    /// Copies this primary, of this shard, from now on.
    pub fn follow(&mut self, primary: NodeId, shard: NodeId) {
        if self.follows != Some(primary) {
            self.follows = Some(primary);
            self.fresh_at = Replication::fresh_after(self.fresh_at, self.shard, shard);
        }
        self.shard = Some(shard);
    }

    /// Copies nobody from now on.
    pub fn lead(&mut self) {
        (self.follows, self.shard, self.fresh_at) = (None, None, None);
    }

    /// The process is gone, and all that it held in memory.
    pub fn lose_memory(&mut self) {
        self.node = None;
        self.outbound.clear();
        self.inbound.clear();
        self.wake_at_ms = None;
        self.is_stalled = false;
        self.dies_after_save = false;
        self.lead();
        self.paused_until = None;
    }
}
