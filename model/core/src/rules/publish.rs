//! Messages to channels, carried over the bus.

use crate::{
    effect::{Effect, Reply},
    ids::LinkId,
    message::{Body, Flags, Message, Publication},
    peer::Pos,
    rule::Rule,
    step::Turn,
};
use alloc::vec::Vec;

impl<const SLOTS: usize> Turn<'_, SLOTS> {
    /// PUBLISH and SPUBLISH: tells the other nodes; local subscribers are the driver's business.
    pub(crate) fn publish(&mut self, publication: Publication, sharded: bool) -> Reply {
        self.rule(Rule::PublishSent);
        if sharded {
            let shard = self.node.claimant(self.node.me).map(|pos| self.node.peers[pos].id);
            let is_of_shard = |&pos: &Pos| {
                let peer = &self.node.peers[pos];
                Some(peer.id) == shard || (peer.primary.is_some() && peer.primary == shard)
            };
            let members: Vec<_> = self.node.peers.positions().filter(is_of_shard).collect();
            for pos in members {
                let peer = &self.node.peers[pos];
                if let (Some(number), false) = (peer.outbound, peer.is_any(Flags::MYSELF | Flags::HANDSHAKE)) {
                    let message = Message { header: self.header(), body: Body::PublishShard(publication.clone()) };
                    self.send(LinkId::Outbound(number), message);
                }
            }
        } else {
            self.broadcast(&Body::Publish(publication));
        }
        Reply::Done
    }

    pub(super) fn published(&mut self, member: Option<Pos>, publication: &Publication, sharded: bool) {
        if member.is_none() {
            self.rule(Rule::PublishIgnored);
            return;
        }
        self.rule(Rule::PublishReceived);
        self.perform(Effect::Deliver { publication: publication.clone(), sharded });
    }
}
