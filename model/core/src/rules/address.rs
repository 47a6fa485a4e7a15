//! How addresses are learned and followed: one's own, a member's, and host names.

use crate::{
    address::{Address, Host},
    ids::{LinkId, NodeId},
    message::{Extension, Flags, Header, Heartbeat, MessageFlags},
    peer::Pos,
    rule::Rule,
    step::{Save, Turn},
};

impl<const SLOTS: usize> Turn<'_, SLOTS> {
    /// Learns one's own address from the connection that a MEET, or a first PING, came in on.
    pub(super) fn learn_own_address(&mut self, link: LinkId, is_meet: bool) {
        let knows_own = !self.node.myself().address.host.is_unknown();
        let is_announced = !self.node.config.announce_host.is_unknown();
        if is_announced || (knows_own && !is_meet) {
            return;
        }
        let Some(local) = self.node.links.get(link).map(|link| link.local.clone()) else { return };
        if local.is_unknown() || local == self.node.myself().address.host {
            return;
        }
        self.rule(Rule::AddressOwnLearned);
        let me = self.node.me;
        self.node.peers[me].address.host = local;
        self.save(Save::Soon);
    }

    /// The address that a header stands for when it arrives on `link`; none if it cannot be told.
    pub(super) fn address_in(&self, link: LinkId, header: &Header<SLOTS>) -> Option<Address> {
        let remote = &self.node.links.get(link)?.remote;
        let host = header.address.host.or(remote);
        (!host.is_unknown()).then(|| Address { host, ..header.address.clone() })
    }

    /// Brings a member's address up to date from a message that came on another link than its own
    /// outbound one, which would prove the known address right.
    pub(super) fn follow_address(&mut self, pos: Pos, link: LinkId, header: &Header<SLOTS>) {
        if self.node.peers[pos].outbound.map(LinkId::Outbound) == Some(link) {
            return;
        }
        let Some(address) = self.address_in(link, header) else { return };
        if self.node.peers[pos].address == address {
            return;
        }
        self.rule(Rule::AddressFollowed);
        self.close_outbound(pos);
        let peer = &mut self.node.peers[pos];
        peer.address = address;
        peer.flags.remove(Flags::NOADDR);
        self.follow_anew(pos);
        self.save(Save::Soon);
        self.evaluate_later();
    }

    /// Replaces the address of a node that cannot be reached here by one that others reach.
    pub(super) fn take_gossiped_address(&mut self, pos: Pos, address: &Address) {
        let known = &self.node.peers[pos].address;
        let is_same = (&known.host, known.port, known.cport) == (&address.host, address.port, address.cport);
        if is_same || address.host == Host::Unknown {
            return;
        }
        self.rule(Rule::AddressGossiped);
        self.close_outbound(pos);
        let peer = &mut self.node.peers[pos];
        peer.address = address.clone();
        peer.flags.remove(Flags::NOADDR);
        self.follow_anew(pos);
    }

    /// Replication goes to the primary's new address.
    fn follow_anew(&mut self, pos: Pos) {
        if self.node.my_primary() == Some(pos) {
            self.ask_to_follow(pos);
        }
    }

    /// Takes what a member's heartbeat says beyond the header and gossip.
    pub(super) fn take_extensions(&mut self, pos: Pos, header: &Header<SLOTS>, heartbeat: &Heartbeat) {
        self.note_extension_support(pos, header, heartbeat);
        let id = self.node.peers[pos].id;
        let mut hostname = "";
        for extension in &heartbeat.extensions {
            match extension {
                Extension::Hostname(name) => hostname = name,
                Extension::ShardId(shard) => self.take_shard(&id, *shard),
                Extension::Forgotten { node, ttl_s } if self.node.config.profile.forget_is_gossiped && *node != id => {
                    self.told_to_forget(*node, *ttl_s);
                }
                Extension::Forgotten { .. } | Extension::HumanName(_) | Extension::Other { .. } => {}
            }
        }
        if let Some(pos) = self.node.peers.find(&id) {
            self.take_hostname(pos, hostname);
        }
    }

    /// redis 7.0 sets the flag only when it sends its host name, and understands nothing else;
    /// later versions set it always.
    fn note_extension_support(&mut self, pos: Pos, header: &Header<SLOTS>, heartbeat: &Heartbeat) {
        let is_hostname = |extension: &Extension| matches!(extension, Extension::Hostname(_));
        let is_old = !heartbeat.extensions.is_empty() && heartbeat.extensions.iter().all(is_hostname);
        let shows = header.mflags.contains(MessageFlags::EXTENSIONS) && !is_old;
        let announces = self.node.config.profile.extensions_announced;
        if announces && shows && !self.node.peers[pos].is(Flags::EXTENSIONS) {
            self.rule(Rule::ExtensionsKnown);
            self.node.peers[pos].flags.insert(Flags::EXTENSIONS);
        }
    }

    fn take_shard(&mut self, id: &NodeId, shard: NodeId) {
        let Some(pos) = self.node.peers.find(id).filter(|&pos| pos != self.node.me) else { return };
        if self.node.peers[pos].shard == Some(shard) {
            return;
        }
        self.rule(Rule::ShardTaken);
        self.node.peers[pos].shard = Some(shard);
        if self.node.my_primary() == Some(pos) {
            let me = self.node.me;
            self.node.peers[me].shard = Some(shard);
        }
    }

    /// Takes the host name that a member announces; a heartbeat without one clears it.
    fn take_hostname(&mut self, pos: Pos, announced: &str) {
        if *self.node.peers[pos].hostname != *announced {
            self.rule(Rule::HostnameTaken);
            self.node.peers[pos].hostname = announced.into();
            self.save(Save::Soon);
        }
    }
}
