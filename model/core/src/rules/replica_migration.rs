//! How a replica moves from a primary that has many to one that has none.

use crate::{
    ids::NodeId,
    message::{ClusterState, Flags},
    peer::{Peer, Pos},
    rule::Rule,
    step::{Save, Turn},
};

impl<const SLOTS: usize> Turn<'_, SLOTS> {
    /// Moves this replica if it is the one to move.
    pub(super) fn migration_step(&mut self) {
        let Some(primary) = self.node.my_primary() else { return };
        if !self.node.config.allow_replica_migration {
            return;
        }
        let (most, orphans) = self.survey();
        let mine = self.working_replicas(self.node.peers[primary].id, Flags::FAIL);
        if orphans == 0 || most < 2 || mine != most || self.node.state != ClusterState::Ok {
            return;
        }
        let stay = self.working_replicas(self.node.peers[primary].id, Flags::FAIL | Flags::PFAIL);
        if stay <= self.node.config.migration_barrier {
            return;
        }
        if let Some(target) = self.orphan_to_serve().filter(|_| self.is_chosen(most)) {
            self.rule(Rule::MigrateMoved);
            self.follow(target);
            if self.node.config.profile.migration_is_saved {
                self.save(Save::Sync);
            }
        }
    }

    /// The greatest number of working replicas that a primary has, and how many primaries have none.
    fn survey(&mut self) -> (usize, usize) {
        let (mut most, mut orphans) = (0, 0);
        for pos in self.node.peers.positions() {
            let peer = &self.node.peers[pos];
            if pos == self.node.me || !is_working_primary(peer) {
                continue;
            }
            let working = self.working_replicas(peer.id, Flags::FAIL);
            most = most.max(working);
            let is_orphan = working == 0 && !peer.slots.is_empty() && peer.is(Flags::MIGRATE_TO);
            orphans += usize::from(is_orphan);
            let since = is_orphan.then(|| peer.orphaned_at.unwrap_or(self.now));
            if since.is_some() && peer.orphaned_at.is_none() {
                self.rule(Rule::MigrateOrphaned);
            }
            self.node.peers[pos].orphaned_at = since;
        }
        (most, orphans)
    }

    /// The first primary that has been orphaned for long enough.
    fn orphan_to_serve(&self) -> Option<Pos> {
        let delay_ms = self.node.config.timing.migration_delay_ms;
        let is_due = |peer: &Peer<SLOTS>| peer.orphaned_at.is_some_and(|since| self.now.since(since) > delay_ms);
        self.node.peers.positions().find(|&pos| is_due(&self.node.peers[pos]))
    }

    /// Whether this is the smallest id among the replicas of the primaries that have the most.
    fn is_chosen(&self, most: usize) -> bool {
        let primaries = self.node.peers.iter().filter(|peer| is_working_primary(peer));
        let best_served = primaries.filter(|peer| self.working_replicas(peer.id, Flags::FAIL) == most);
        let candidates = best_served.flat_map(|peer| self.node.replicas(peer.id));
        candidates.map(|pos| self.node.peers[pos].id).min() == Some(self.node.id())
    }

    /// How many replicas of a primary have none of `excluded`.
    fn working_replicas(&self, primary: NodeId, excluded: Flags) -> usize {
        self.node.replicas(primary).filter(|&pos| !self.node.peers[pos].is_any(excluded)).count()
    }
}

fn is_working_primary<const SLOTS: usize>(peer: &Peer<SLOTS>) -> bool {
    peer.is_primary() && !peer.is(Flags::FAIL)
}
