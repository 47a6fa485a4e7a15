//! How nodes get to know each other: MEET asked for, MEET received, and the answer that gives an
//! entry in handshake its real id.

use crate::{
    address::{Address, Host},
    effect::{Refusal, Reply},
    ids::LinkId,
    message::{Body, Flags, Header},
    mutant::Mutant,
    peer::{Peer, Pos},
    random::Draw,
    rule::Rule,
    step::{Save, Turn},
};

impl<const SLOTS: usize> Turn<'_, SLOTS> {
    /// CLUSTER MEET. Answers before any contact is made.
    pub(crate) fn meet(&mut self, host: Host, port: u16, cport: u16) -> Result<Reply, Refusal> {
        let address = Address { host, port, cport, pport: 0 };
        let is_ip = matches!(address.host, Host::Ip(_));
        if !is_ip || port == 0 || cport == 0 {
            self.rule(Rule::HandshakeAddressRefused);
            return Err(Refusal::InvalidAddress { address });
        }
        let is_same = |peer: &Peer<SLOTS>| {
            let known = &peer.address;
            let is_address = (&known.host, known.port, known.cport) == (&address.host, port, cport);
            is_address && peer.is(Flags::HANDSHAKE)
        };
        if self.node.peers.iter().any(is_same) {
            self.rule(Rule::HandshakeRepeated);
        } else {
            self.rule(Rule::HandshakeAsked);
            self.add_handshake(Flags::HANDSHAKE | Flags::MEET, address);
        }
        Ok(Reply::Done)
    }

    /// A MEET of a sender that this node does not know: get to know it.
    pub(super) fn met_by_stranger(&mut self, link: LinkId, header: &Header<SLOTS>) {
        let Some(address) = self.address_in(link, header) else { return };
        self.rule(Rule::HandshakeStranger);
        self.add_handshake(Flags::HANDSHAKE, address);
        self.save(Save::Soon);
    }

    pub(super) fn add_handshake(&mut self, flags: Flags, address: Address) {
        let taken = |id: &_| self.node.peers.find(id).is_some();
        let id = (0..).map(|attempt| self.random.temporary_id(attempt)).find(|id| !taken(id));
        if let Some(id) = id {
            self.note(Draw::TemporaryId(id));
            self.node.insert_peer(Peer::new(id, flags, address, self.now));
        }
    }

    /// A heartbeat arrived on an outbound link: check who is at the other end. Says whether the
    /// rest of the message still matters.
    pub(super) fn check_identity(&mut self, link: LinkId, header: &Header<SLOTS>, sender: Option<Pos>) -> bool {
        let Some(pos) = self.node.links.get(link).and_then(|link| link.peer) else { return false };
        if self.node.peers[pos].is(Flags::HANDSHAKE) {
            return match sender {
                Some(known) => self.handshake_with_known(pos, known, link, header),
                None => self.handshake_done(pos, header),
            };
        }
        if self.node.peers[pos].id == header.sender || self.is_mutant(Mutant::WrongIdTrusted) {
            return true;
        }
        self.rule(Rule::HandshakeWrongId);
        let peer = &mut self.node.peers[pos];
        peer.flags.insert(Flags::NOADDR);
        peer.address = Address::default();
        self.close_outbound(pos);
        self.save(Save::Soon);
        if self.node.config.profile.wrong_id_fails && !self.node.peers[pos].is(Flags::FAIL) {
            self.rule(Rule::HandshakeWrongIdFailed);
            self.fail(pos);
            let id = self.node.peers[pos].id;
            self.broadcast(&Body::Fail(id));
        }
        false
    }

    fn handshake_with_known(&mut self, temporary: Pos, known: Pos, link: LinkId, header: &Header<SLOTS>) -> bool {
        self.rule(Rule::HandshakeKnown);
        if known != self.node.me {
            self.follow_address(known, link, header);
        }
        self.remove_node(temporary);
        false
    }

    fn handshake_done(&mut self, temporary: Pos, header: &Header<SLOTS>) -> bool {
        self.rule(Rule::HandshakeDone);
        let link = self.node.peers[temporary].outbound;
        let mut peer = self.node.remove_peer(temporary);
        peer.id = header.sender;
        peer.flags.remove(Flags::HANDSHAKE);
        peer.flags |= header.flags & (Flags::PRIMARY | Flags::REPLICA);
        let pos = self.node.insert_peer(peer);
        if let Some(link) = link.and_then(|number| self.node.links.get_mut(LinkId::Outbound(number))) {
            link.peer = pos;
        }
        if self.introduces_newcomers() {
            self.node.introduced.push(header.sender);
        }
        self.save(Save::Soon);
        true
    }

    /// A PONG has come from a node to which MEET is repeated: it knows this node now.
    pub(super) fn meet_answered(&mut self, pos: Pos) {
        if self.node.peers[pos].is(Flags::MEET) {
            self.rule(Rule::HandshakeMeetAnswered);
            self.node.peers[pos].flags.remove(Flags::MEET);
        }
    }
}
