//! Owns the protocol as a Stateright actor, thin over [`slotbus_core::step`]: the place to begin
//! reading. Knows no search.
//!
//! What it covers is less than a world does. Stateright's network keeps one queue for each ordered
//! pair of actors, so that the two connections of a pair are never reordered against each other;
//! connections do not break and hosts do not crash; dice always fall the same way; and a tick may
//! come at any moment, but only so many times. The timer is armed at all times: the checker cannot
//! tell apart states that differ only in whose timer is armed.

use crate::world_model::for_each_invariant;
use slotbus_core::{
    Command, Config, Effect, Effects, Flags, Host, Input, LinkId, Message, Millis, Node, NodeId, Origin, Random,
    next_deadline, step,
};
use slotbus_world::{
    Cause, Invariant, Place, Setup, Shared, Witness,
    clock::{NOW, canonical_message},
    connection::Side,
    ghost::Ghost,
    host::{Disk, Readable},
    invariants::{Seen, check},
};
use stateright::{
    Expectation,
    actor::{Actor, ActorModel, ActorModelState, Id, Network, Out, model_timeout},
};
use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

/// Numbers that one opener's connections have at their target.
const LANES: u32 = 16;

/// One host's protocol as an actor.
#[derive(Clone, Debug)]
pub struct NodeActor<const SLOTS: usize> {
    /// What is fixed about the world that the actor is part of.
    setup: Arc<Setup>,
    place: Place,
    /// What an administrator asks as soon as it has started.
    commands: Vec<Command>,
    ticks: u8,
}

/// What actors send to each other: TCP in four words, each naming the connection by its opener's number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Packet<const SLOTS: usize> {
    /// The sender opens a connection.
    Open(u32),
    /// The sender accepted one.
    Opened(u32),
    /// The sender shut its end.
    Shut {
        /// Which connection.
        number: u32,
        /// Which end stays.
        at: Side,
    },
    /// A message of the protocol.
    Carry {
        /// On which connection.
        number: u32,
        /// To which end.
        to: Side,
        /// What it says.
        message: Arc<Message<SLOTS>>,
    },
}

/// The one timer: the next deadline has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tick;

/// What one actor holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Held<const SLOTS: usize> {
    node: Node<SLOTS>,
    /// By number of an outbound connection: to whom, and whether it is up.
    outbound: BTreeMap<u32, (Id, bool)>,
    /// By number of an inbound connection: from whom, and its opener's number.
    inbound: BTreeMap<u32, (Id, u32)>,
    ticks_left: u8,
    disk: Disk<SLOTS>,
    ghost: Ghost,
}

impl<const SLOTS: usize> Held<SLOTS> {
    /// The node.
    #[must_use]
    pub fn node(&self) -> &Node<SLOTS> {
        &self.node
    }
}

impl<const SLOTS: usize> Actor for NodeActor<SLOTS> {
    type Msg = Packet<SLOTS>;
    type Timer = Tick;
    type State = Held<SLOTS>;
    type Storage = ();
    type Random = ();

    fn on_start(&self, _: Id, _: &Option<()>, out: &mut Out<Self>) -> Held<SLOTS> {
        out.set_timer(Tick, model_timeout());
        let mut held = self.start();
        for command in &self.commands {
            self.take(&mut held, NOW, Cause::Admin(command.clone()), out);
        }
        held
    }

    fn on_msg(&self, _: Id, state: &mut Cow<Held<SLOTS>>, source: Id, packet: Packet<SLOTS>, out: &mut Out<Self>) {
        let held = state.to_mut();
        match packet {
            Packet::Open(number) => {
                let inbound = lane(source, number);
                held.inbound.insert(inbound, (source, number));
                out.send(source, Packet::Opened(number));
                self.take(held, NOW, self.link_up(LinkId::Inbound(inbound), source), out);
            }
            Packet::Opened(number) => {
                if let Some((_, up)) = held.outbound.get_mut(&number) {
                    *up = true;
                    self.take(held, NOW, self.link_up(LinkId::Outbound(number), source), out);
                }
            }
            Packet::Shut { number, at } => {
                if let Some(link) = held.end(source, number, at) {
                    held.forget(link);
                    self.take(held, NOW, Cause::LinkDown(link), out);
                }
            }
            Packet::Carry { number, to, message } => {
                if let Some(link) = held.end(source, number, to) {
                    let message = Shared::new(Message::clone(&message));
                    self.take(held, NOW, Cause::Received { link, message }, out);
                }
            }
        }
    }

    fn on_timeout(&self, _: Id, state: &mut Cow<Held<SLOTS>>, _: &Tick, out: &mut Out<Self>) {
        out.set_timer(Tick, model_timeout());
        if state.ticks_left > 0 {
            let held = state.to_mut();
            held.ticks_left -= 1;
            let at = next_deadline(&held.node).at;
            self.take(held, at, Cause::Tick, out);
        }
    }

    fn name(&self) -> String {
        self.place.to_string()
    }
}

fn lane(source: Id, number: u32) -> u32 {
    u32::try_from(usize::from(source)).unwrap_or(u32::MAX).saturating_mul(LANES).saturating_add(number)
}

impl<const SLOTS: usize> Held<SLOTS> {
    /// This actor's link at one end of a connection with `peer`. What is left of a connection that
    /// had the number before arrives while the new one is not up yet, and belongs to no link.
    fn end(&self, peer: Id, number: u32, side: Side) -> Option<LinkId> {
        match side {
            Side::Opener => {
                let is_up = self.outbound.get(&number) == Some(&(peer, true));
                is_up.then_some(LinkId::Outbound(number))
            }
            Side::Target => {
                let inbound = lane(peer, number);
                self.inbound.contains_key(&inbound).then_some(LinkId::Inbound(inbound))
            }
        }
    }

    /// Who is at the other end of a link, the connection's number, and which end that is.
    fn other_end(&self, link: LinkId) -> Option<(Id, u32, Side)> {
        match link {
            LinkId::Outbound(number) => self.outbound.get(&number).map(|&(peer, _)| (peer, number, Side::Target)),
            LinkId::Inbound(inbound) => self.inbound.get(&inbound).map(|&(peer, number)| (peer, number, Side::Opener)),
        }
    }

    fn forget(&mut self, link: LinkId) {
        match link {
            LinkId::Outbound(number) => drop(self.outbound.remove(&number)),
            LinkId::Inbound(inbound) => drop(self.inbound.remove(&inbound)),
        }
    }
}

impl<const SLOTS: usize> NodeActor<SLOTS> {
    fn id(&self) -> NodeId {
        self.setup.hosts[self.place.index()].id
    }

    fn config(&self) -> Arc<Config> {
        self.setup.hosts[self.place.index()].config.clone()
    }

    fn start(&self) -> Held<SLOTS> {
        let mut ghost = Ghost::new(self.setup.hosts.len());
        // Whom administrators introduce to whom is fixed, and is so from the start.
        self.setup.places().for_each(|place| ghost.introduced(Place::A, place));
        let Ok((node, effects)) = Node::start(self.config(), Origin::Fresh(self.id()), NOW) else {
            unreachable!("a new node starts from nothing that could be wrong");
        };
        let mut disk = Disk::blank();
        effects.persist.iter().for_each(|persist| disk.save(persist));
        disk.forget(Readable::Epoch);
        Held { node, outbound: BTreeMap::new(), inbound: BTreeMap::new(), ticks_left: self.ticks, disk, ghost }
    }

    fn link_up(&self, link: LinkId, peer: Id) -> Cause<SLOTS> {
        let (local, remote): (Host, Host) = (self.place.ip(), Place::at(peer.into()).ip());
        Cause::LinkUp { link, local, remote }
    }

    /// Takes the node through one input, judges the step, and performs what it asks for.
    fn take(&self, held: &mut Held<SLOTS>, now: Millis, cause: Cause<SLOTS>, out: &mut Out<Self>) {
        let before = held.node.clone();
        let input = Input { now, random: Random::new(0), event: cause.event() };
        let effects = step(&mut held.node, input);
        self.setup.coverage.note(&effects.rules);
        self.judge(held, &before, now, &cause, &effects);
        held.node = held.node.clone().rebased(now, NOW);
        for effect in effects.then {
            self.perform(held, effect, out);
        }
    }

    fn judge(
        &self,
        held: &mut Held<SLOTS>,
        before: &Node<SLOTS>,
        now: Millis,
        cause: &Cause<SLOTS>,
        effects: &Effects<SLOTS>,
    ) {
        if let Some(persist) = &effects.persist {
            held.disk.save(persist);
        }
        let Held { node: after, disk, ghost, .. } = held;
        let (before, disk_image) = (Some(before), &*disk.saved);
        let seen = Seen {
            setup: &self.setup,
            place: self.place,
            now,
            before,
            after,
            cause,
            effects,
            disk: disk_image,
            data: &|_| None,
        };
        check(&seen, ghost);
        // Nobody crashes here: the rest of the disk is never read.
        disk.forget(Readable::Epoch);
    }

    fn perform(&self, held: &mut Held<SLOTS>, effect: Effect<SLOTS>, out: &mut Out<Self>) {
        match effect {
            Effect::Connect { link: LinkId::Outbound(number), address } => {
                if let Some(target) = self.setup.listeners(&address).next() {
                    let target = Id::from(target.index());
                    held.outbound.insert(number, (target, false));
                    out.send(target, Packet::Open(number));
                }
            }
            Effect::Close { link } => {
                if let Some((peer, number, at)) = held.other_end(link) {
                    held.forget(link);
                    out.send(peer, Packet::Shut { number, at });
                }
            }
            Effect::Send { link, message } => {
                if let Some((peer, number, to)) = held.other_end(link) {
                    let message = Arc::new(canonical_message(*message));
                    out.send(peer, Packet::Carry { number, to, message });
                }
            }
            // Nobody waits for an answer, and no inbound link is ever opened from here.
            Effect::Reply { .. }
            | Effect::Follow { .. }
            | Effect::Lead
            | Effect::PauseWrites { .. }
            | Effect::ResumeWrites
            | Effect::DropKeys { .. }
            | Effect::DropAllKeys
            | Effect::Deliver { .. }
            | Effect::Connect { link: LinkId::Inbound(_), .. } => {}
        }
    }
}

/// The actors of a setup with their network, as a Stateright model.
pub type NodeActors<const SLOTS: usize> = ActorModel<NodeActor<SLOTS>>;

/// A state of those actors and their network.
pub type ActorState<const SLOTS: usize> = ActorModelState<NodeActor<SLOTS>>;

/// The hosts of `setup` as actors: each is given its commands at its start and ticks `ticks` times.
#[must_use]
pub fn actors<const SLOTS: usize>(setup: &Setup, ticks: u8) -> NodeActors<SLOTS> {
    let shared = Arc::new(setup.clone());
    let commands = |place: Place| {
        let orders = setup.scripts.iter().flatten().filter(move |order| order.host == place);
        orders.map(|order| order.command.clone()).collect()
    };
    let actor = |place| NodeActor { setup: Arc::clone(&shared), place, commands: commands(place), ticks };
    let mut model = ActorModel::new((), ()).actors(setup.places().map(actor)).init_network(Network::new_ordered([]));
    for (invariant, holds) in Invariant::ALL.iter().zip(Conditions::<SLOTS>::UNBROKEN) {
        model = model.property(Expectation::Always, invariant.id(), holds);
    }
    model.property(Expectation::Sometimes, Witness::AllKnown.id(), is_all_known)
}

/// Where the conditions of properties live: Stateright wants plain functions, which can capture nothing.
struct Conditions<const SLOTS: usize>;

impl<const SLOTS: usize> Conditions<SLOTS> {
    const UNBROKEN: [fn(&NodeActors<SLOTS>, &ActorState<SLOTS>) -> bool; Invariant::ALL.len()] =
        for_each_invariant!(Self::is_unbroken);

    fn is_unbroken<const INDEX: usize>(_: &NodeActors<SLOTS>, state: &ActorState<SLOTS>) -> bool {
        state.actor_states.iter().all(|held| !held.ghost.broken().contains(Invariant::ALL[INDEX]))
    }
}

fn is_all_known<const SLOTS: usize>(_: &NodeActors<SLOTS>, state: &ActorState<SLOTS>) -> bool {
    let ids = || state.actor_states.iter().map(|held| held.node.id());
    let is_member = |node: &Node<SLOTS>, id| node.peers().get(&id).is_some_and(|peer| !peer.is(Flags::HANDSHAKE));
    state.actor_states.iter().all(|held| ids().all(|id| is_member(&held.node, id)))
}
