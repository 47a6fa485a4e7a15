//! Requests about the node's own configuration and file.

use crate::{
    config::Config,
    effect::{Refusal, Reply},
    ids::NodeId,
    message::Flags,
    mutant::Mutant,
    peer::Pos,
    rule::Rule,
    step::{Save, Turn},
};
use alloc::sync::Arc;

impl<const SLOTS: usize> Turn<'_, SLOTS> {
    pub(crate) fn configured(&mut self, config: Arc<Config>) {
        self.rule(Rule::ConfigChanged);
        self.node.config = config;
        self.node.adopt_config();
        self.save(Save::Soon);
        self.evaluate_later();
    }

    /// REPLICATE.
    pub(crate) fn replicate(&mut self, primary: NodeId, has_keys: bool) -> Result<Reply, Refusal> {
        let outcome = self.primary_to_follow(primary, has_keys);
        let pos = outcome.inspect_err(|_| self.rule(Rule::RoleRequestRefused))?;
        let is_same = self.node.my_primary() == Some(pos);
        if is_same && self.node.config.profile.replicate_same_is_noop {
            self.rule(Rule::RoleSame);
            return Ok(Reply::Done);
        }
        self.rule(Rule::RoleRequested);
        self.follow(pos);
        self.save(Save::Soon);
        self.evaluate_later();
        Ok(Reply::Done)
    }

    fn primary_to_follow(&self, id: NodeId, has_keys: bool) -> Result<Pos, Refusal> {
        let pos = self.node.peers.find(&id).ok_or(Refusal::UnknownNode(id))?;
        let own = self.node.myself();
        if pos == self.node.me {
            Err(Refusal::ReplicateMyself)
        } else if self.node.peers[pos].is(Flags::REPLICA) && self.unless(Mutant::ReplicateReplica) {
            Err(Refusal::ReplicateReplica)
        } else if (!own.slots.is_empty() && self.unless(Mutant::ReplicateWithSlots)) || (own.is_primary() && has_keys) {
            Err(Refusal::NotEmpty)
        } else {
            Ok(pos)
        }
    }

    pub(crate) fn save_config(&mut self) -> Reply {
        self.rule(Rule::ConfigSaved);
        self.save(Save::Sync);
        Reply::Done
    }
}
