//! Owns what one input makes of one host: its node after the step, what is saved, what the step
//! broke, and what is to be done. Knows no connection, and other hosts only as far as a property
//! asks for their data.

use crate::{
    cause::Cause,
    clock::{NOW, canonical_message},
    ghost::{Ghost, is_introduction},
    host::{Host, Readable},
    invariants::{Seen, check},
    place::Place,
    setup::{Flaw, Setup},
    shared::{Shared, digest},
};
use slotbus_core::{
    Address, Command, Effect, Effects, Flags, Input, LinkId, Message, Millis, Node, Random, Reply, step,
};
use std::cell::Cell;

/// One input of one host.
#[derive(Clone, Debug, Hash)]
pub(super) struct Stimulus<const SLOTS: usize> {
    /// Which host.
    pub(super) place: Place,
    /// What its clock shows.
    pub(super) now: Millis,
    /// The dice word.
    pub(super) dice: u64,
    /// What happens.
    pub(super) cause: Cause<SLOTS>,
    /// What anybody can still read of what is saved now.
    pub(super) readable: Readable,
    /// Whether it is one of the ticks that the host has so many of.
    pub(super) spends_tick: bool,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Reaction<const SLOTS: usize> {
    /// The host once it has stepped and saved.
    pub(super) host: Shared<Host<SLOTS>>,
    /// What no node remembers, with what the step broke.
    pub(super) ghost: Shared<Ghost>,
    /// What is to be done then, in this order.
    pub(super) deeds: Vec<Deed<SLOTS>>,
    /// Words of dice to be tried.
    pub(super) words: u32,
    /// Whether the dice word was used up: else another word led to the same throw.
    pub(super) is_spent: bool,
    /// Whether something is saved before something is done.
    pub(super) saves_first: bool,
    /// Whether no other host was looked at: the same comes of it whatever the others hold.
    pub(super) is_local: bool,
}

/// One thing to do.
#[derive(Debug)]
pub(super) enum Deed<const SLOTS: usize> {
    /// Send a message.
    Send(LinkId, Shared<Message<SLOTS>>),
    /// Anything else.
    Other(Effect<SLOTS>),
}

impl<const SLOTS: usize> Deed<SLOTS> {
    fn of(effect: &Effect<SLOTS>) -> Self {
        match effect {
            Effect::Send { link, message } => {
                Self::Send(*link, Shared::new(canonical_message(Message::clone(message))))
            }
            Effect::Connect { .. }
            | Effect::Close { .. }
            | Effect::Reply { .. }
            | Effect::Follow { .. }
            | Effect::Lead
            | Effect::PauseWrites { .. }
            | Effect::ResumeWrites
            | Effect::DropKeys { .. }
            | Effect::DropAllKeys
            | Effect::Deliver { .. } => Self::Other(effect.clone()),
        }
    }
}

/// Where a step is taken: everything as it is before it.
pub(super) struct Scene<'a, const SLOTS: usize> {
    pub(super) setup: &'a Setup,
    pub(super) hosts: &'a [Shared<Host<SLOTS>>],
    pub(super) ghost: &'a Shared<Ghost>,
}

impl<const SLOTS: usize> Scene<'_, SLOTS> {
    /// The digest of all that a reaction depends on, unless it looks at other hosts.
    pub(super) fn key(&self, stimulus: &Stimulus<SLOTS>) -> u128 {
        digest(&(&self.hosts[stimulus.place.index()], self.ghost, stimulus))
    }

    /// Takes a running node through an input.
    pub(super) fn react(&self, before: &Node<SLOTS>, stimulus: &Stimulus<SLOTS>) -> (Reaction<SLOTS>, Effects<SLOTS>) {
        let Stimulus { now, dice, cause, .. } = stimulus;
        let mut after = before.clone();
        let effects = step(&mut after, Input { now: *now, random: Random::new(*dice), event: cause.event() });
        (self.judge(Some(before), after, stimulus, &effects), effects)
    }

    /// Saves what a step wants saved, and judges it.
    pub(super) fn judge(
        &self,
        before: Option<&Node<SLOTS>>,
        after: Node<SLOTS>,
        stimulus: &Stimulus<SLOTS>,
        effects: &Effects<SLOTS>,
    ) -> Reaction<SLOTS> {
        let Stimulus { place, now, cause, readable, spends_tick, .. } = stimulus;
        let mut host = Host::clone(&self.hosts[place.index()]);
        host.ticks_left -= u8::from(*spends_tick);
        if let Some(persist) = effects.persist.as_ref().filter(|_| self.setup.flaw != Some(Flaw::FullDisk)) {
            host.disk.save(persist);
        }
        self.setup.coverage.note(&effects.rules);
        let mut ghost = Ghost::clone(self.ghost);
        self.note(&mut ghost, *place, cause, effects);
        let is_local = Cell::new(true);
        let data = |other: Place| {
            is_local.set(is_local.get() && other == *place);
            self.hosts.get(other.index()).map(|host| &host.data)
        };
        let seen = Seen {
            setup: self.setup,
            place: *place,
            now: *now,
            before,
            after: &after,
            cause,
            effects,
            disk: &host.disk.saved,
            data: &data,
        };
        ghost.note(&seen);
        check(&seen, &mut ghost);
        ghost.has_failed |= after.peers().iter().any(|peer| peer.is(Flags::FAIL));
        if effects.persist.is_some() {
            host.disk.forget(*readable);
        }
        let node = after.rebased(*now, NOW);
        host.data.elapsed(now.since(NOW), node.replication().fresh_at);
        host.node = Some(Shared::new(node));
        Reaction {
            host: Shared::new(host),
            ghost: if ghost == **self.ghost { self.ghost.clone() } else { Shared::new(ghost) },
            deeds: effects.then.iter().map(Deed::of).collect(),
            words: u32::try_from(effects.dice.outcomes()).unwrap_or(u32::MAX),
            is_spent: effects.dice.is_spent(),
            saves_first: effects.persist.is_some() && !effects.then.is_empty(),
            is_local: is_local.get(),
        }
    }

    /// Notes in the ghost what an administrator has done.
    fn note(&self, ghost: &mut Ghost, place: Place, cause: &Cause<SLOTS>, effects: &Effects<SLOTS>) {
        let Cause::Admin(command) = cause else { return };
        let is_done = |effect: &Effect<SLOTS>| matches!(effect, Effect::Reply { reply: Reply::Done, .. });
        if !effects.then.iter().any(is_done) {
            return;
        }
        if is_introduction(command) {
            for guest in self.guests(command) {
                ghost.introduced(place, guest);
            }
        } else if let Command::Forget(id) = command {
            let left_ms = self.setup.hosts[place.index()].config.timing.forget_ms;
            if let Some(whom) = self.setup.owner_of(id) {
                ghost.banned(place, whom, left_ms);
            }
        }
    }

    /// Whom an administrator introduces: whoever listens at the address, now or later.
    fn guests(&self, command: &Command) -> Vec<Place> {
        let Command::Meet { host, port, cport } = command else { return Vec::new() };
        let address = Address { host: host.clone(), port: *port, cport: *cport, pport: 0 };
        self.setup.listeners(&address).collect()
    }
}
