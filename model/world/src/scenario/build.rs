//! Owns how a cluster is formed at one go: the steps that an administrator takes to set one up, none
//! of them told and none of their rules counted as shown. Knows no wording of verbs.

use super::{SLOTS, cluster::Cluster, telling::Detail};
use crate::place::Place;
use slotbus_core::{ClusterState, Command, Event, Replication, RequestId, Slot, SlotSet};

/// How long a new cluster may take until every node calls it up.
const FORMING_MS: u64 = 30_000;
/// How long it then has to come to rest.
const REST_MS: u64 = 3000;

/// One host of a cluster to be formed.
#[derive(Clone, Debug)]
pub(super) enum Part {
    /// A primary with slots, or without any.
    Primary(Place, SlotSet<SLOTS>),
    /// A replica and its primary.
    Replica(Place, Place),
}

impl Part {
    fn place(&self) -> Place {
        match self {
            Self::Primary(place, _) | Self::Replica(place, _) => *place,
        }
    }
}

impl Cluster {
    /// Forms a cluster: distinct epochs, slots, one MEET for each other node, then replicas.
    pub(super) fn form(&mut self, parts: &[Part]) -> Result<(), String> {
        self.story.detail = Detail::Nothing;
        for (part, epoch) in parts.iter().zip(1..) {
            self.add_host(part.place())?;
            self.command(part.place(), Command::SetConfigEpoch(epoch))?;
            if let Part::Primary(place, slots) = part {
                let slots: Vec<Slot> = slots.iter().collect();
                self.command(*place, Command::AddSlots(slots))?;
            }
        }
        let first = parts.first().ok_or("a cluster needs a node")?.place();
        for part in parts.iter().skip(1) {
            let meet = self.meet_of(part.place());
            self.command(first, meet)?;
        }
        self.wait_until(|cluster| parts.iter().all(|part| cluster.knows(part.place(), parts.len())))?;
        for part in parts {
            if let Part::Replica(place, primary) = part {
                let primary = self.story.id(*primary);
                self.command(*place, Command::Replicate { primary, has_keys: false })?;
                let replication = Replication { offset: 0, fresh_at: Some(self.now) };
                self.step(*place, Event::Replication(replication))?;
            }
        }
        let is_up =
            |cluster: &Self, part: &Part| cluster.node(part.place()).is_ok_and(|node| node.state() == ClusterState::Ok);
        let owns_all = |slots: SlotSet<SLOTS>| slots == SlotSet::all();
        let owned = parts.iter().flat_map(|part| match part {
            Part::Primary(_, slots) => slots.iter().collect::<Vec<_>>(),
            Part::Replica(..) => Vec::new(),
        });
        if owns_all(owned.collect()) {
            self.wait_until(|cluster| parts.iter().all(|part| is_up(cluster, part)))?;
        }
        let end = self.now.after(REST_MS);
        self.advance_to(end)
    }

    /// Whether the node at `place` has heard every other of `count` hosts.
    fn knows(&self, place: Place, count: usize) -> bool {
        let Ok(node) = self.node(place) else { return false };
        let others = self.hosts.keys().filter(|&&host| host != place);
        let peers = others.filter_map(|&host| node.peers().get(&self.story.id(host)));
        peers.filter(|peer| peer.pong_received.is_some()).count() + 1 == count
    }

    fn wait_until(&mut self, is_done: impl Fn(&Self) -> bool) -> Result<(), String> {
        let begun = self.now;
        while !is_done(self) {
            if self.now.since(begun) > FORMING_MS {
                return Err("the cluster does not form".into());
            }
            self.advance_to(self.now.after(100))?;
        }
        Ok(())
    }

    /// The command that has a node MEET the host at `place`.
    pub(super) fn meet_of(&self, place: Place) -> Command {
        let host = self.hosts.get(&place).map_or_else(|| place.ip(), |host| host.ip.clone());
        Command::Meet { host, port: super::cluster::PORT, cport: super::cluster::BUS_PORT }
    }

    /// Gives a node an administrator's command.
    pub(super) fn command(&mut self, place: Place, command: Command) -> Result<(), String> {
        self.step(place, Event::Admin { request: RequestId(0), command })
    }
}
