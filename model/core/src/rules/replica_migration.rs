//! How a replica moves from a primary that has many to one that has none.

use crate::{
    message::{ClusterState, Flags},
    mutant::Mutant,
    peer::{Peer, Places, Pos},
    rule::Rule,
    step::{Save, Turn},
};
use alloc::{vec, vec::Vec};

impl<const SLOTS: usize> Turn<'_, SLOTS> {
    /// Moves this replica if it is the one to move.
    pub(super) fn migration_step(&mut self) {
        let Some(primary) = self.node.my_primary() else { return };
        if !self.node.config.allow_replica_migration {
            return;
        }
        if self.count_orphans() == 0 || self.node.state != ClusterState::Ok {
            return;
        }
        let counts = self.working_replicas();
        let best_served = self.node.peers.positions().filter(|&pos| is_working_primary(&self.node.peers[pos]));
        let most = best_served.map(|pos| counts[pos.index()]).max().unwrap_or_default();
        if most < 2 || counts[primary.index()] != most {
            return;
        }
        let healthy = |pos: &Pos| !self.node.peers[*pos].is_any(Flags::FAIL | Flags::PFAIL);
        let stay = self.node.replicas(self.node.peers[primary].id).filter(healthy).count();
        if stay <= self.node.config.migration_barrier && self.unless(Mutant::BarrierIgnored) {
            return;
        }
        if let Some(target) = self.orphan_to_serve().filter(|_| self.is_chosen(&counts, most)) {
            self.rule(Rule::MigrateMoved);
            self.follow(target);
            if self.node.config.profile.migration_is_saved {
                self.save(Save::Sync);
            }
        }
    }

    /// Notes which primaries have no working replica, and since when; says how many they are.
    fn count_orphans(&mut self) -> usize {
        let mut served = Places::none_of(self.node.peers.len());
        self.each_working_replica(|primary| {
            served.insert(primary);
        });
        let mut orphans = 0;
        for pos in self.node.peers.positions() {
            let peer = &self.node.peers[pos];
            let is_candidate = pos != self.node.me && is_working_primary(peer);
            let is_served = served.contains(pos) && self.unless(Mutant::MigrateToServed);
            let is_target = peer.is(Flags::MIGRATE_TO) && self.unless(Mutant::OrphansUnmarked);
            let is_orphan = is_candidate && !is_served && !peer.slots.is_empty() && is_target;
            orphans += usize::from(is_orphan);
            let since = is_orphan.then(|| peer.orphaned_at.unwrap_or(self.now));
            if since.is_some() && peer.orphaned_at.is_none() {
                self.rule(Rule::MigrateOrphaned);
            }
            self.node.peers[pos].orphaned_at = since;
        }
        orphans
    }

    /// The first primary that has been orphaned for long enough.
    fn orphan_to_serve(&self) -> Option<Pos> {
        let delay_ms = self.node.config.timing.migration_delay_ms;
        let delay_ms = if self.is_mutant(Mutant::MigratesAtOnce) { 0 } else { delay_ms };
        let is_due = |peer: &Peer<SLOTS>| peer.orphaned_at.is_some_and(|since| self.now.since(since) > delay_ms);
        self.node.peers.positions().find(|&pos| is_due(&self.node.peers[pos]))
    }

    /// Whether this is the smallest id among the replicas of the primaries that have the most.
    fn is_chosen(&self, counts: &[u16], most: u16) -> bool {
        let is_best_served = |pos: Pos| is_working_primary(&self.node.peers[pos]) && counts[pos.index()] == most;
        let mut candidates = self.node.peers.iter().filter(|peer| {
            let primary = peer.primary.and_then(|id| self.node.peers.find(&id));
            primary.is_some_and(is_best_served)
        });
        candidates.next().map(|peer| peer.id) == Some(self.node.id())
    }

    /// How many replicas of each node have not failed, by the node's place.
    fn working_replicas(&self) -> Vec<u16> {
        let mut counts = vec![0; self.node.peers.len()];
        self.each_working_replica(|primary| counts[primary.index()] += 1);
        counts
    }

    /// Names the primary of each replica that has not failed.
    fn each_working_replica(&self, mut name: impl FnMut(Pos)) {
        let working = self.node.peers.iter().filter(|peer| !peer.is(Flags::FAIL));
        working.filter_map(|peer| peer.primary).filter_map(|id| self.node.peers.find(&id)).for_each(&mut name);
    }
}

fn is_working_primary<const SLOTS: usize>(peer: &Peer<SLOTS>) -> bool {
    peer.is_primary() && !peer.is(Flags::FAIL)
}
