//! Owns the log lines about what happens in the cluster: it compares the node before and after a
//! step whose rules say that there is something to tell.
//!
//! Must not decide anything; the wording is redis-server's where tools look for it.

use crate::log::{Level, Log};
use slotbus_core::{CLUSTER_SLOTS, ClusterState, Flags, Host, Node, NodeId, Rule};
use std::collections::BTreeSet;

/// What has been told already.
#[derive(Debug)]
pub struct Chronicle {
    log: Log,
    state: ClusterState,
    failed: BTreeSet<NodeId>,
    host: Host,
    is_primary: bool,
}

impl Chronicle {
    /// A chronicle that begins with the node as it is.
    #[must_use]
    pub fn new(log: Log, node: &Node<CLUSTER_SLOTS>) -> Self {
        log.set_role(role(node));
        Self {
            log,
            state: node.state(),
            failed: failed(node),
            host: node.myself().address.host.clone(),
            is_primary: node.myself().is_primary(),
        }
    }

    /// Tells what a step has done.
    pub fn tell(&mut self, node: &Node<CLUSTER_SLOTS>, rules: &[Rule]) {
        if self.log.takes(Level::Debug) {
            for rule in rules {
                self.log.debug(format_args!("Rule {rule}: {}", rule.sentence()));
            }
        }
        if self.state != node.state() {
            self.state = node.state();
            let state = match self.state {
                ClusterState::Ok => "ok",
                ClusterState::Fail => "fail",
            };
            self.log.warning(format_args!("Cluster state changed: {state}"));
        }
        if self.is_primary != node.myself().is_primary() {
            self.is_primary = node.myself().is_primary();
            self.log.set_role(role(node));
        }
        if rules.iter().any(|rule| FAILING.contains(rule)) {
            self.tell_failures(node, rules);
        }
        if rules.contains(&Rule::AddressOwnLearned) && self.host != node.myself().address.host {
            self.host = node.myself().address.host.clone();
            self.log.notice(format_args!("IP address for this node updated to {}", self.host));
        }
        for (rule, line) in LINES {
            if rules.contains(rule) {
                self.log.verbose(format_args!("{line} ({rule})"));
            }
        }
        if rules.contains(&Rule::EpochCollision) || rules.contains(&Rule::EpochBumped) {
            self.log.notice(format_args!("New configEpoch set to {}", node.my_epoch()));
        }
    }

    fn tell_failures(&mut self, node: &Node<CLUSTER_SLOTS>, rules: &[Rule]) {
        let now = failed(node);
        for id in now.difference(&self.failed) {
            if rules.contains(&Rule::HealthFailed) {
                self.log.notice(format_args!("Marking node {id} as failing (quorum reached)."));
            } else {
                self.log.notice(format_args!("FAIL message received about {id}"));
            }
        }
        for id in self.failed.difference(&now) {
            if node.peers().find(id).is_some() {
                let why = if rules.contains(&Rule::HealthClearedLate) {
                    "is reachable again and nobody is serving its slots after some time."
                } else {
                    "it is reachable again."
                };
                self.log.notice(format_args!("Clear FAIL state for node {id}: {why}"));
            }
        }
        self.failed = now;
    }
}

/// Rules by which nodes become failed, or cease to be.
const FAILING: &[Rule] = &[
    Rule::HealthFailed,
    Rule::HealthFailTold,
    Rule::HealthCleared,
    Rule::HealthClearedLate,
    Rule::HandshakeWrongIdFailed,
    Rule::GossipNewNode,
    Rule::ForgetDone,
    Rule::ForgetTold,
    Rule::ResetDone,
];

/// Rules whose firing is told in one line of its own.
const LINES: &[(Rule, &str)] = &[
    (Rule::HandshakeAsked, "A handshake with a new node begins"),
    (Rule::HandshakeDone, "A handshake is complete"),
    (Rule::HandshakeTimeout, "A handshake took too long and was given up"),
    (Rule::HandshakeWrongId, "Another node than expected answers at an address"),
    (Rule::AddressFollowed, "The address of a node changed"),
    (Rule::SlotTaken, "Slots changed their owner"),
    (Rule::SlotUpdateSent, "A node has an old slot configuration and is told the newer one"),
    (Rule::SlotUpdateTaken, "An UPDATE about a newer slot configuration was taken over"),
    (Rule::ForgetDone, "A node was forgotten"),
];

fn failed(node: &Node<CLUSTER_SLOTS>) -> BTreeSet<NodeId> {
    node.peers().iter().filter(|peer| peer.is(Flags::FAIL)).map(|peer| peer.id).collect()
}

fn role(node: &Node<CLUSTER_SLOTS>) -> char {
    if node.myself().is_primary() { 'M' } else { 'S' }
}
