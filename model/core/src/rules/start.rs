//! How a node comes to be: under a new id, or from what it saved. Knows no file.

use crate::{
    address::{Address, Host},
    config::Config,
    durable::{Durable, NodeView},
    effect::Effects,
    ids::NodeId,
    input::Replication,
    link::Links,
    message::{ClusterState, Flags},
    mutant::Mutant,
    node::{BadImage, Election, Node, Origin},
    peer::{Peer, Peers, Pos},
    random::Random,
    rule::Rule,
    slots::{Owners, SlotSet},
    step::{Save, Turn},
    time::Millis,
};
use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};

impl<const SLOTS: usize> Node<SLOTS> {
    /// A node as it stands when its process starts, and what must be done before anything else.
    pub fn start(config: Arc<Config>, origin: Origin<SLOTS>, now: Millis) -> Result<(Self, Effects<SLOTS>), BadImage> {
        let mut node = match origin {
            Origin::Fresh(id) => Self::fresh(config, id, now),
            Origin::Restored(image) => return Self::restored(config, *image, now),
        };
        let mut turn = Turn::new(&mut node, now, Random::new(0));
        turn.rule(Rule::StartFresh);
        turn.save(Save::Sync);
        let effects = turn.finish();
        Ok((node, effects))
    }

    fn fresh(config: Arc<Config>, id: NodeId, now: Millis) -> Self {
        let mut peers = Peers::default();
        let mut own = Peer::new(id, Flags::MYSELF | Flags::PRIMARY, Address::default(), now);
        own.hostname = config.hostname.clone();
        let me = peers.insert(own);
        let mut node = Self {
            me,
            peers,
            links: Links::default(),
            owners: Owners::default(),
            unclaimed: SlotSet::new(),
            migrating: BTreeMap::new(),
            importing: BTreeMap::new(),
            granted: BTreeMap::new(),
            current_epoch: 0,
            last_vote_epoch: 0,
            state: ClusterState::Fail,
            size: usize::from(!config.profile.size_begins_at_zero),
            first_evaluated: None,
            minority_at: None,
            banned: BTreeMap::new(),
            suspected: 0,
            newcomers: 0,
            introduced: Vec::new(),
            next_cron: now.after(config.cron_ms()),
            crons_until_ping: 0,
            replication: Replication::default(),
            election: Election::default(),
            manual: None,
            followed: None,
            config,
        };
        node.adopt_config();
        node
    }

    fn restored(config: Arc<Config>, image: Durable<SLOTS>, now: Millis) -> Result<(Self, Effects<SLOTS>), BadImage> {
        let mut selves = image.nodes.iter().filter(|view| view.flags.contains(Flags::MYSELF));
        let own = selves.next().ok_or(BadImage::NoMyself)?;
        if selves.next().is_some() {
            return Err(BadImage::TwoMyselves);
        }
        if let Some(id) = early_replica(&image).filter(|_| config.is_mutant(Mutant::StartRefusesReplicas)) {
            return Err(BadImage::Repeated(id));
        }
        let mut node = Self::fresh(config, own.id, now);
        let own_host = own.address.host.clone();
        node.peers[node.me] = restored_peer(&node.config, own, now);
        for view in image.nodes.iter().filter(|view| !view.flags.contains(Flags::MYSELF)) {
            if node.peers.len() >= Pos::MAX {
                return Err(BadImage::TooMany);
            }
            node.insert_peer(restored_peer(&node.config, view, now)).ok_or(BadImage::Repeated(view.id))?;
        }
        node.insert_named_only(&image, now);
        for view in &image.nodes {
            node.restore_primary(view);
            node.restore_slots(view);
        }
        node.migrating = image.migrating;
        node.importing = image.importing;
        let forgets = |what| node.config.is_mutant(what) || node.config.is_mutant(Mutant::StartForgetsBoth);
        let [forgets_epoch, forgets_vote] = [Mutant::StartForgetsEpoch, Mutant::StartForgetsVote].map(forgets);
        if !forgets_epoch {
            node.current_epoch = image.current_epoch;
        }
        if !forgets_vote {
            node.last_vote_epoch = image.last_vote_epoch;
        }
        node.adopt_config();
        if node.peers[node.me].address.host.is_unknown() {
            let me = node.me;
            node.peers[me].address.host = own_host;
        }
        let mut turn = Turn::new(&mut node, now, Random::new(0));
        turn.rule(Rule::StartRestored);
        turn.raise_to_greatest_epoch();
        let effects = turn.finish();
        Ok((node, effects))
    }

    /// Nodes that the image names only as somebody's primary, or as the other end of a slot's move.
    fn insert_named_only(&mut self, image: &Durable<SLOTS>, now: Millis) {
        let primaries = image.nodes.iter().filter_map(|view| view.primary);
        let others = image.migrating.values().chain(image.importing.values()).copied();
        for id in primaries.chain(others).collect::<Vec<_>>() {
            self.insert_peer(Peer::new(id, Flags::empty(), Address::default(), now));
        }
    }

    /// Line by line, because a first slot counts as one that replicas may migrate to only if a replica
    /// was named before it.
    fn restore_primary(&mut self, view: &NodeView<SLOTS>) {
        let Some(pos) = self.peers.find(&view.id) else { return };
        self.peers[pos].primary = view.primary;
        if let Some(primary) = view.primary.and_then(|id| self.peers.find(&id)) {
            self.peers[primary].flags.insert(Flags::MIGRATE_TO);
        }
    }

    fn restore_slots(&mut self, view: &NodeView<SLOTS>) {
        let Some(pos) = self.peers.find(&view.id) else { return };
        for slot in view.slots.iter() {
            if self.owners.get(slot).is_none() {
                self.bind(slot, pos);
            }
        }
    }

    /// Takes over what the configuration says about this node itself.
    pub(crate) fn adopt_config(&mut self) {
        let announced = self.announced_address();
        let hostname = self.config.hostname.clone();
        let no_failover = self.config.replica_no_failover;
        let own = &mut self.peers[self.me];
        let host = match announced.host {
            Host::Unknown => own.address.host.clone(),
            Host::Ip(_) | Host::Name(_) => announced.host.clone(),
        };
        own.address = Address { host, ..announced };
        own.hostname = hostname;
        own.flags.set(Flags::NOFAILOVER, no_failover);
        // A shard is named after the primary that founded it.
        own.shard.get_or_insert(own.primary.unwrap_or(own.id));
    }
}

/// A replica whose line stands before that of its primary.
fn early_replica<const SLOTS: usize>(image: &Durable<SLOTS>) -> Option<NodeId> {
    image.nodes.iter().find(|view| view.primary.is_some_and(|primary| primary > view.id)).map(|view| view.id)
}

fn restored_peer<const SLOTS: usize>(config: &Config, view: &NodeView<SLOTS>, now: Millis) -> Peer<SLOTS> {
    let is_replica = view.flags.contains(Flags::REPLICA);
    let mut peer = Peer::new(view.id, view.flags, view.address.clone(), now);
    peer.hostname = view.hostname.clone();
    // A replica's stored epoch is its primary's: kept as its own, a takeover would bump nothing.
    let is_kept = !is_replica || view.primary.is_none() || config.is_mutant(Mutant::StartKeepsEpochOfPrimary);
    peer.config_epoch = if is_kept { view.config_epoch } else { 0 };
    peer.ping_sent = view.ping_sent.map(|_| now);
    peer.pong_received = view.pong_received.map(|_| now);
    peer.failed_at = view.flags.contains(Flags::FAIL).then_some(now);
    peer
}

impl<const SLOTS: usize> Turn<'_, SLOTS> {
    fn raise_to_greatest_epoch(&mut self) {
        let greatest = self.node.peers.iter().map(|peer| peer.config_epoch).max().unwrap_or_default();
        if greatest > self.node.current_epoch {
            self.rule(Rule::StartEpochRaised);
            self.node.current_epoch = greatest;
        }
    }
}
