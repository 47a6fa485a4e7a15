//! How links come and go, and whose they are. Knows no message but the first one on a new link.

use crate::{
    address::Host,
    effect::Effect,
    ids::LinkId,
    link::Link,
    message::{Flags, Header},
    mutant::Mutant,
    peer::Pos,
    rule::Rule,
    step::Turn,
};

impl<const SLOTS: usize> Turn<'_, SLOTS> {
    /// Opens the outbound link of a node that has none.
    pub(super) fn open_outbound(&mut self, pos: Pos) {
        self.rule(Rule::LinkOpened);
        let number = self.node.links.free_outbound();
        let id = LinkId::Outbound(number);
        self.node.peers[pos].outbound = Some(number);
        self.node.links.put(Link {
            id,
            peer: Some(pos),
            opened: self.now,
            up: false,
            local: Host::Unknown,
            remote: Host::Unknown,
        });
        let address = self.node.peers[pos].address.clone();
        self.perform(Effect::Connect { link: id, address });
    }

    pub(crate) fn link_up(&mut self, id: LinkId, local: Host, remote: Host) {
        match id {
            LinkId::Inbound(_) => {
                self.forget_link(id);
                let opened = self.now;
                self.node.links.put(Link { id, peer: None, opened, up: true, local, remote });
            }
            LinkId::Outbound(_) => {
                let Some(link) = self.node.links.get_mut(id) else { return self.rule(Rule::LinkUnknown) };
                link.up = true;
                link.local = local;
                link.remote = remote;
                if let Some(pos) = link.peer {
                    self.greet(id, pos);
                }
            }
        }
    }

    /// Sends the first message of an outbound link.
    fn greet(&mut self, id: LinkId, pos: Pos) {
        if self.node.peers[pos].is(Flags::MEET) || self.is_mutant(Mutant::MeetsAgain) {
            self.rule(Rule::HandshakeMeetSent);
            self.send_meet(id, pos);
            if !self.node.config.profile.meet_until_pong {
                self.node.peers[pos].flags.remove(Flags::MEET);
            }
            return;
        }
        self.rule(Rule::LinkUpPing);
        let outstanding = self.node.peers[pos].ping_sent;
        self.send_ping(pos);
        if outstanding.is_some() {
            self.node.peers[pos].ping_sent = outstanding;
        }
    }

    pub(crate) fn link_down(&mut self, id: LinkId) {
        let Some(link) = self.node.links.get(id) else { return self.rule(Rule::LinkUnknown) };
        if !link.up && self.node.config.profile.refusal_starts_clock {
            return self.link_refused(id);
        }
        self.rule(Rule::LinkLost);
        self.forget_link(id);
    }

    pub(crate) fn link_refused(&mut self, id: LinkId) {
        let Some(link) = self.node.links.get(id) else { return self.rule(Rule::LinkUnknown) };
        if let Some(pos) = link.peer.filter(|_| matches!(id, LinkId::Outbound(_))) {
            self.rule(Rule::LinkRefusedAtOnce);
            if self.unless(Mutant::RefusalUnheard) {
                self.node.peers[pos].ping_sent.get_or_insert(self.now);
            }
        }
        self.forget_link(id);
    }

    /// More waits to be sent on a link than may.
    pub(crate) fn backlogged(&mut self, id: LinkId) {
        if self.node.links.get(id).is_none() {
            return self.rule(Rule::LinkUnknown);
        }
        self.rule(Rule::LinkBacklogged);
        self.close(id);
    }

    /// Closes a node's outbound link, if it has one.
    pub(super) fn close_outbound(&mut self, pos: Pos) {
        if let Some(number) = self.node.peers[pos].outbound {
            self.close(LinkId::Outbound(number));
        }
    }

    /// Closes a node's inbound link, if one is known to be its.
    pub(super) fn close_inbound(&mut self, pos: Pos) {
        if let Some(number) = self.node.peers[pos].inbound {
            self.close(LinkId::Inbound(number));
        }
    }

    fn close(&mut self, id: LinkId) {
        self.forget_link(id);
        self.perform(Effect::Close { link: id });
    }

    fn forget_link(&mut self, id: LinkId) {
        let Some(pos) = self.node.links.remove(id).and_then(|link| link.peer) else { return };
        let peer = &mut self.node.peers[pos];
        match id {
            LinkId::Outbound(_) => peer.outbound = None,
            LinkId::Inbound(_) => peer.inbound = None,
        }
    }

    /// Who speaks on a link: the member at its other end, whatever the header says, or else the
    /// known node that the header names. The first known speaker of an inbound link becomes its owner.
    pub(super) fn identify(&mut self, id: LinkId, header: &Header<SLOTS>) -> Option<Pos> {
        let at_end = self.node.links.get(id)?.peer;
        if let Some(pos) = at_end.filter(|&pos| !self.node.peers[pos].is(Flags::HANDSHAKE)) {
            return Some(pos);
        }
        let pos = self.node.peers.find(&header.sender)?;
        if at_end.is_none() && pos != self.node.me {
            self.bind_inbound(id, pos);
        }
        Some(pos)
    }

    fn bind_inbound(&mut self, id: LinkId, pos: Pos) {
        let LinkId::Inbound(number) = id else { return };
        self.rule(Rule::LinkBound);
        self.close_inbound(pos);
        self.node.peers[pos].inbound = Some(number);
        if let Some(link) = self.node.links.get_mut(id) {
            link.peer = Some(pos);
        }
    }
}
