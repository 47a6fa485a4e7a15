//! What a message does, in the protocol's order. Knows the order only: each part is its concern's.

use crate::{
    ids::LinkId,
    message::{Body, Flags, Header, Heartbeat, Message},
    mutant::Mutant,
    peer::Pos,
    rule::Rule,
    step::Turn,
};

impl<const SLOTS: usize> Turn<'_, SLOTS> {
    pub(crate) fn receive(&mut self, link: LinkId, message: Message<SLOTS>) {
        let is_heartbeat = message.heartbeat().is_some();
        let Message { header, body } = message;
        if self.node.links.get(link).is_none() {
            self.rule(Rule::LinkUnknown);
            return;
        }
        let sender = self.identify(link, &header);
        let member = self.member(sender);
        if let Some(pos) = member {
            self.heard(pos, &header, is_heartbeat);
        }
        match &body {
            Body::Ping(heartbeat) => self.pinged(link, &header, heartbeat, sender, false),
            Body::Meet(heartbeat) => self.pinged(link, &header, heartbeat, sender, true),
            Body::Pong(heartbeat) => self.heartbeat_in(link, &header, heartbeat, sender, Kind::Pong),
            Body::Fail(id) => self.told_of_failure(member, id),
            Body::Update(claim) => self.told_of_claim(member, claim),
            Body::Publish(publication) => self.published(member, publication, false),
            Body::PublishShard(publication) => self.published(member, publication, true),
            Body::FailoverAuthRequest => self.by_member(member, |turn, pos| turn.asked_for_vote(pos, &header)),
            Body::FailoverAuthAck => self.by_member(member, |turn, pos| turn.answered_with_vote(pos, &header)),
            Body::ManualFailoverStart => self.by_member(member, |turn, pos| turn.asked_to_pause(pos, link)),
            Body::Module(_) => self.rule(Rule::MessageUnused),
        }
    }

    fn by_member(&mut self, member: Option<Pos>, action: impl FnOnce(&mut Self, Pos)) {
        match member {
            Some(pos) => action(self, pos),
            None => self.rule(Rule::LinkStranger),
        }
    }

    /// The known node that speaks, unless it would be this one.
    fn member(&self, sender: Option<Pos>) -> Option<Pos> {
        let ignores_own = self.node.config.profile.own_messages_ignored;
        sender.filter(|&pos| pos != self.node.me || !ignores_own)
    }

    /// What every message of a known sender tells: it is alive, and which epochs it has seen.
    fn heard(&mut self, pos: Pos, header: &Header<SLOTS>, is_heartbeat: bool) {
        self.node.peers[pos].data_received = Some(self.now);
        if !self.node.peers[pos].is(Flags::HANDSHAKE) {
            self.hear_epochs(pos, header, is_heartbeat);
            self.node.peers[pos].offset = header.offset;
            self.hear_pause(pos, header);
        }
    }

    /// PING and MEET ask for an answer before anything else is made of them.
    fn pinged(
        &mut self,
        link: LinkId,
        header: &Header<SLOTS>,
        heartbeat: &Heartbeat,
        sender: Option<Pos>,
        is_meet: bool,
    ) {
        self.learn_own_address(link, is_meet);
        if sender.is_none() {
            if is_meet || self.is_mutant(Mutant::HandshakeFromPing) {
                self.met_by_stranger(link, header);
                self.take_gossip(None, heartbeat);
            } else {
                self.rule(Rule::LinkStranger);
            }
        }
        self.rule(Rule::PingAnswered);
        self.send_pong(link);
        let kind = if is_meet { Kind::Meet } else { Kind::Ping };
        self.heartbeat_in(link, header, heartbeat, sender, kind);
    }

    /// What PING, PONG and MEET have in common.
    fn heartbeat_in(
        &mut self,
        link: LinkId,
        header: &Header<SLOTS>,
        heartbeat: &Heartbeat,
        sender: Option<Pos>,
        kind: Kind,
    ) {
        let is_outbound = matches!(link, LinkId::Outbound(_));
        if is_outbound && !self.check_identity(link, header, sender) {
            return;
        }
        let introduced = if sender.is_none() { self.introduced(header) } else { None };
        let member = self.member(sender).or(introduced);
        if sender.is_some() && member.is_none() {
            self.rule(Rule::MessageUnused);
        }
        if let Some(pos) = member {
            self.take_failover_abstention(pos, header);
            if kind == Kind::Ping && !self.node.peers[pos].is(Flags::HANDSHAKE) {
                self.follow_address(pos, link, header);
                self.spare_ping(pos);
            }
        }
        if is_outbound && kind == Kind::Pong {
            self.pong_returned(link);
        }
        let Some(pos) = member else { return };
        self.take_role(pos, header);
        self.take_claim(pos, header);
        self.settle_collision(pos, header);
        let id = self.node.peers[pos].id;
        self.take_gossip(Some(pos), heartbeat);
        // Gossip may have brought nodes in: the sender's place moved with them.
        if let Some(pos) = self.node.peers.find(&id) {
            self.take_extensions(pos, header, heartbeat);
        }
    }

    /// The member that the sender of a heartbeat has just become, if that heartbeat is to be heard.
    fn introduced(&mut self, header: &Header<SLOTS>) -> Option<Pos> {
        let member = self.node.peers.find(&header.sender).filter(|_| self.node.config.profile.introduction_is_heard)?;
        self.rule(Rule::HandshakeHeard);
        self.heard(member, header, true);
        Some(member)
    }

    /// A PING brings the same news of its sender as a PONG: this node's own PING can wait. One that is under way is
    /// still to be answered.
    fn spare_ping(&mut self, pos: Pos) {
        let is_on = self.node.config.profile.pings_spare_pings;
        let peer = &mut self.node.peers[pos];
        if is_on && peer.ping_sent.is_none() && !peer.is_any(Flags::PFAIL | Flags::FAIL) {
            peer.pong_received = Some(self.now);
            self.rule(Rule::PingSpares);
        }
    }

    /// An answer came back on the link that this node opened.
    fn pong_returned(&mut self, link: LinkId) {
        let Some(pos) = self.node.links.get(link).and_then(|link| link.peer) else { return };
        self.rule(Rule::PingReturned);
        self.meet_answered(pos);
        let peer = &mut self.node.peers[pos];
        peer.pong_received = Some(self.now);
        peer.ping_sent = None;
        self.trust(pos);
    }
}

/// Which of the three heartbeats a message is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ping,
    Pong,
    Meet,
}
