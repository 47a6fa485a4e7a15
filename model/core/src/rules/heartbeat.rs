//! How heartbeats are made: the header, the gossip chosen, the extensions. Knows nothing of what
//! receivers do with them.

use crate::{
    address::Host,
    ids::LinkId,
    message::{Body, Extension, Flags, GossipEntry, Header, Heartbeat, Message, MessageFlags},
    mutant::Mutant,
    peer::{Peer, Places, Pos},
    random::Site,
    rule::Rule,
    step::Turn,
};
use alloc::vec::Vec;
use smallvec::SmallVec;

/// A heartbeat tells of one in so many known nodes ...
const GOSSIP_SHARE: usize = 10;
/// ... and of at least so many.
const GOSSIP_MIN: usize = 3;
/// While there are newcomers, it tells of as many as those are, but of no more than this.
const NEWCOMERS_MAX: usize = 64;
/// Random picks stop after so many tries for each entry wanted.
const TRIES_PER_ENTRY: usize = 3;
/// So many are chosen without taking memory.
const CHOSEN_INLINE: usize = 128;

impl<const SLOTS: usize> Turn<'_, SLOTS> {
    /// PINGs a node on its outbound link, and starts the clock of its answer.
    pub(super) fn send_ping(&mut self, pos: Pos) {
        let Some(number) = self.node.peers[pos].outbound else { return };
        let heartbeat = self.heartbeat(Some(pos));
        self.node.peers[pos].ping_sent = Some(self.now);
        self.send_heartbeat(LinkId::Outbound(number), Body::Ping(heartbeat));
    }

    pub(super) fn send_meet(&mut self, link: LinkId, pos: Pos) {
        let heartbeat = self.heartbeat(Some(pos));
        self.send_heartbeat(link, Body::Meet(heartbeat));
    }

    pub(super) fn send_pong(&mut self, link: LinkId) {
        let receiver = self.node.links.get(link).and_then(|link| link.peer);
        let heartbeat = self.heartbeat(receiver);
        self.send_heartbeat(link, Body::Pong(heartbeat));
    }

    /// PINGs on an inbound link: no answer's clock starts.
    pub(super) fn send_ping_on(&mut self, link: LinkId) {
        let receiver = self.node.links.get(link).and_then(|link| link.peer);
        let heartbeat = self.heartbeat(receiver);
        self.send_heartbeat(link, Body::Ping(heartbeat));
    }

    /// Sends a PONG that nobody asked for: news that cannot wait for one.
    pub(super) fn send_pong_to(&mut self, pos: Pos) {
        if let Some(number) = self.node.peers[pos].outbound {
            let heartbeat = self.heartbeat(Some(pos));
            self.send_heartbeat(LinkId::Outbound(number), Body::Pong(heartbeat));
        }
    }

    /// Tells every member of a change of this node.
    pub(super) fn broadcast_pong(&mut self) {
        for pos in self.node.peers.positions() {
            if !self.node.peers[pos].is_any(Flags::MYSELF | Flags::HANDSHAKE) {
                self.send_pong_to(pos);
            }
        }
    }

    fn send_heartbeat(&mut self, link: LinkId, body: Body<SLOTS>) {
        let mut header = self.header();
        let has_extensions = |heartbeat: &Heartbeat| !heartbeat.extensions.is_empty();
        let carries = matches!(&body, Body::Ping(beat) | Body::Pong(beat) | Body::Meet(beat) if has_extensions(beat));
        if carries || self.node.config.profile.extensions_announced {
            header.mflags |= MessageFlags::EXTENSIONS;
        }
        self.send(link, Message { header, body });
    }

    /// Sends one message to every member that has an outbound link.
    pub(super) fn broadcast(&mut self, body: &Body<SLOTS>) {
        for pos in self.node.peers.positions() {
            let peer = &self.node.peers[pos];
            if let (Some(number), false) = (peer.outbound, peer.is_any(Flags::MYSELF | Flags::HANDSHAKE)) {
                let mut header = self.header();
                if matches!(body, Body::FailoverAuthRequest) && self.node.manual.is_some() {
                    header.mflags |= MessageFlags::FORCEACK;
                }
                self.send(LinkId::Outbound(number), Message { header, body: body.clone() });
            }
        }
    }

    /// The header of every message of this node.
    pub(super) fn header(&self) -> Header<SLOTS> {
        let node = &*self.node;
        let own = node.myself();
        let claimant = node.claimant(node.me).map(|pos| &node.peers[pos]);
        Header {
            sender: own.id,
            current_epoch: node.current_epoch,
            config_epoch: claimant.map_or(0, |peer| peer.config_epoch),
            offset: node.replication.offset,
            slots: claimant.map(|peer| peer.slots.clone()).unwrap_or_default(),
            primary: own.primary,
            address: node.announced_address(),
            flags: own.flags,
            state: node.state,
            mflags: self.message_flags(),
        }
    }

    fn message_flags(&self) -> MessageFlags {
        match self.node.manual {
            Some(_) if self.node.myself().is_primary() => MessageFlags::PAUSED,
            Some(_) | None => MessageFlags::empty(),
        }
    }

    fn heartbeat(&mut self, receiver: Option<Pos>) -> Heartbeat {
        let extensions = self.extensions(receiver);
        Heartbeat { gossip: self.gossip(receiver), extensions }
    }

    /// The host name goes to everybody, the rest to whoever announced that it understands it.
    fn extensions(&self, receiver: Option<Pos>) -> Vec<Extension> {
        let node = &*self.node;
        let mut extensions = Vec::new();
        if !node.config.hostname.is_empty() {
            extensions.push(Extension::Hostname(node.config.hostname.clone()));
        }
        let is_supported = receiver.is_some_and(|pos| node.peers[pos].is(Flags::EXTENSIONS));
        if !is_supported || !node.config.profile.extensions_announced {
            return extensions;
        }
        if !node.config.human_name.is_empty() {
            extensions.push(Extension::HumanName(node.config.human_name.clone()));
        }
        if node.config.profile.forget_is_gossiped {
            let bans = node.banned.iter().map(|(&node, &until)| (node, until.since(self.now) / 1000));
            extensions
                .extend(bans.filter(|&(_, ttl_s)| ttl_s > 0).map(|(node, ttl_s)| Extension::Forgotten { node, ttl_s }));
        }
        extensions.push(Extension::ShardId(node.shard(node.me)));
        extensions
    }

    /// What to tell of other nodes: a random few, and every suspected one.
    fn gossip(&mut self, receiver: Option<Pos>) -> Vec<GossipEntry> {
        let known = self.node.peers.len();
        let wanted = GOSSIP_MIN.max(known / GOSSIP_SHARE).max(self.node.newcomers).min(known.saturating_sub(2));
        let receiver = receiver.filter(|_| self.node.config.profile.gossip_skips_receiver);
        let mut chosen = self.choose_gossip(wanted, receiver);
        let introduced = self.node.introduced.iter().take(NEWCOMERS_MAX).filter_map(|id| self.node.peers.find(id));
        let untold: SmallVec<[Pos; 4]> =
            introduced.filter(|pos| Some(*pos) != receiver && !chosen.contains(pos)).collect();
        chosen.extend(untold);
        if self.node.suspected > 0 && self.unless(Mutant::SuspectsUntold) {
            let suspects = self.node.peers.positions().filter(|&pos| {
                let peer = &self.node.peers[pos];
                peer.is(Flags::PFAIL) && !peer.is_any(Flags::HANDSHAKE | Flags::NOADDR)
            });
            chosen.extend(suspects.take(self.node.suspected));
        }
        if !chosen.is_empty() {
            self.rule(Rule::GossipSent);
        }
        chosen.into_iter().map(|pos| gossip_entry(&self.node.peers[pos])).collect()
    }

    /// For how many newcomers heartbeats tell of more.
    pub(super) fn newcomers_to_tell(&self, newcomers: usize) -> usize {
        if self.introduces_newcomers() { newcomers.min(NEWCOMERS_MAX) } else { 0 }
    }

    /// Whether newcomers are made known beyond what heartbeats tell anyhow. A heartbeat of so few members that it tells
    /// of all but its two ends needs no help.
    pub(super) fn introduces_newcomers(&self) -> bool {
        let members = || self.node.peers.iter().filter(|peer| !peer.is(Flags::HANDSHAKE)).count();
        self.node.config.profile.newcomers_told && members() > GOSSIP_MIN + 2
    }

    /// Tells every member of those who have become members by a handshake: others may not hear of them for a second.
    pub(super) fn introduce_newcomers(&mut self) {
        if !self.node.introduced.is_empty() {
            self.rule(Rule::GossipIntroduced);
            self.broadcast_pong();
            self.node.introduced.clear();
        }
    }

    /// Distinct random nodes worth telling of. Where there are no more than wanted, no die is cast.
    fn choose_gossip(&mut self, wanted: usize, receiver: Option<Pos>) -> SmallVec<[Pos; CHOSEN_INLINE]> {
        let is_worth_telling = |peer: &Peer<SLOTS>, pos: Pos| {
            let is_idle = peer.outbound.is_none() && peer.slots.is_empty();
            let excluded = Flags::MYSELF | Flags::PFAIL | Flags::HANDSHAKE | Flags::NOADDR;
            !is_idle && !peer.is_any(excluded) && Some(pos) != receiver
        };
        let mut chosen = SmallVec::new();
        let known = self.node.peers.len();
        if known <= 2 * GOSSIP_MIN {
            // So few that picking at random would mostly miss: deal from the eligible ones instead.
            let peers = &self.node.peers;
            let mut deck: SmallVec<[Pos; 8]> =
                peers.positions().filter(|&pos| is_worth_telling(&peers[pos], pos)).collect();
            while chosen.len() < wanted && !deck.is_empty() {
                let is_choice = deck.len() > wanted - chosen.len();
                let index = if is_choice { self.draw(Site::Gossip, deck.len() as u64) } else { 0 };
                chosen.push(deck.remove(usize::try_from(index).unwrap_or_default()));
            }
            return chosen;
        }
        let mut seen = Places::none_of(known);
        for _ in 0..wanted * TRIES_PER_ENTRY {
            if chosen.len() == wanted {
                break;
            }
            let index = usize::try_from(self.draw(Site::Gossip, known as u64)).unwrap_or_default();
            let pos = self.node.peers.at(index);
            if seen.insert(pos) && is_worth_telling(&self.node.peers[pos], pos) {
                chosen.push(pos);
            }
        }
        chosen
    }
}

fn gossip_entry<const SLOTS: usize>(peer: &Peer<SLOTS>) -> GossipEntry {
    let mut address = peer.address.clone();
    if !address.host.fits_wire() {
        address.host = Host::Unknown;
    }
    GossipEntry {
        node: peer.id,
        ping_sent_s: peer.ping_sent.unwrap_or_default().seconds(),
        pong_received_s: peer.pong_received.unwrap_or_default().seconds(),
        address,
        flags: peer.flags,
    }
}
