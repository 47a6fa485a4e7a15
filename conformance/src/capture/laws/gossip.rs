//! What a heartbeat may tell of others: of nodes that there are, each once, and failing ones only with cause.

use super::{IN_FLIGHT, Judge, Said};
use slotbus_core::{Flags, Rule, message::GossipEntry};
use std::collections::BTreeSet;

/// Whether an entry reports a node.
pub(super) fn is_accused(flags: Flags) -> bool {
    flags.intersects(Flags::PFAIL | Flags::FAIL)
}

impl Judge {
    pub(super) fn gossip_laws(&mut self, said: &Said) {
        let Some(heartbeat) = said.message.heartbeat() else { return };
        let mut named = BTreeSet::new();
        for entry in &heartbeat.gossip {
            if !named.insert(entry.node) || entry.node == said.from() {
                self.refuse(
                    said,
                    Rule::GossipSent,
                    format!("gossip tells of {} twice, or of its own sender", entry.node),
                );
            }
            if entry.flags.intersects(Flags::HANDSHAKE | Flags::MYSELF | Flags::NOADDR | Flags::MEET) {
                let what = format!("gossip about {} has the flags {:#x}", entry.node, entry.flags.bits());
                self.refuse(said, Rule::GossipSent, what);
            }
            self.suspicion(said, entry);
            self.failure(said, entry);
        }
    }

    /// Who has answered the last ping on an open link is not suspected.
    fn suspicion(&mut self, said: &Said, entry: &GossipEntry) {
        let link = self.links.get(&(said.from(), entry.node)).filter(|link| self.whole.contains(link));
        let Some(&link) = link.filter(|_| entry.flags.contains(Flags::PFAIL)) else { return };
        let asked = self.lines.get(&(link, true)).map_or(0, |line| line.asked);
        let answered = self.lines.get(&(link, false)).map_or(0, |line| line.answered);
        let answer = self.answers.get(&(entry.node, said.from()));
        let is_settled = answer.is_some_and(|at| said.at.saturating_sub(*at) > IN_FLIGHT);
        if answered > 0 && answered == asked && is_settled {
            let what = format!("suspects {}, which answered every ping", entry.node);
            self.refuse(said, Rule::HealthSuspected, what);
        }
    }

    /// Whoever is said to have failed was failed by a message before.
    fn failure(&mut self, said: &Said, entry: &GossipEntry) {
        let is_known = |heard: &super::Heard| heard.failed.contains(&entry.node);
        let is_told = self.heard.get(&said.from()).is_some_and(is_known) || self.has_failed(said, entry.node);
        if entry.flags.contains(Flags::FAIL) && !is_told && self.is_from_start {
            let what = format!("tells of {} as failed, and no FAIL was sent to it or by it", entry.node);
            self.refuse(said, Rule::HealthFailTold, what);
        }
    }
}
