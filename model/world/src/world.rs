//! Owns a world's state, what can happen to it next, and what then becomes of it. Decides nothing
//! about the protocol: every node goes through [`slotbus_core::step`] and nothing else.

mod memory;
mod packed;
mod reaction;

pub use memory::Memory;
pub use packed::{Packer, read_number, write_number};

use crate::{
    action::{Action, What},
    cause::Cause,
    clock::NOW,
    connection::{Connection, End, Side},
    data::Data,
    elections::open_epoch,
    ghost::Ghost,
    host::{Disk, Host, Readable},
    invariants::{Invariant, check_at_rest},
    place::Place,
    setup::{Budget, Flaw, Order, Pace, Places, Setup, Stage, Transfer},
    shared::Shared,
    story::Happening,
    witnesses::is_agreed,
};
use reaction::{Deed, Reaction, Scene, Stimulus};
use slotbus_core::{
    Address, Body, ClusterState, Command, Effect, Effects, LinkId, Message, Millis, Node, Origin, SlotChange, SlotSet,
    next_deadline,
};
use smallvec::SmallVec;
use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

/// The state of a world. Equal states have equal form, whatever led to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World<const SLOTS: usize> {
    hosts: SmallVec<[Shared<Host<SLOTS>>; 4]>,
    /// Ascending by [`Connection::key`].
    connections: SmallVec<[Shared<Connection<SLOTS>>; 8]>,
    budget: Budget,
    /// By script: how many of its commands were given.
    given: SmallVec<[u8; 4]>,
    /// Pairs that cannot reach each other, left before right, ascending.
    parted: SmallVec<[(Place, Place); 2]>,
    /// Who has ticked in this round, in a timely world.
    ticked: Places,
    ghost: Shared<Ghost>,
}

/// The parts have their digests already: these are mixed, each by its position, and only the mixture is
/// hashed. A factor that is odd loses nothing.
impl<const SLOTS: usize> Hash for World<SLOTS> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        const FACTOR: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
        let Self { hosts, connections, budget, given, parted, ticked, ghost } = self;
        let parts = hosts.iter().map(Shared::digest).chain(connections.iter().map(Shared::digest));
        let mixture = parts.fold(ghost.digest(), |mixed, part| mixed.wrapping_mul(FACTOR).wrapping_add(part));
        hasher.write_u128(mixture);
        (connections.len(), budget, given, parted, ticked).hash(hasher);
    }
}

/// What can happen to a world next, in a fixed order: what the network owes comes first.
type Choices = SmallVec<[What; 24]>;

impl<const SLOTS: usize> World<SLOTS> {
    /// A world in which every host has just started for the first time.
    #[must_use]
    pub(crate) fn fresh(setup: &Setup) -> Self {
        let blank = Shared::new(Host { node: None, disk: Disk::blank(), data: Data::default(), ticks_left: 0 });
        let world = Self {
            hosts: setup.hosts.iter().map(|_| blank.clone()).collect(),
            connections: SmallVec::new(),
            budget: setup.budget,
            given: SmallVec::new(),
            parted: SmallVec::new(),
            ticked: Places::NONE,
            ghost: Shared::new(Ghost::new(setup.hosts.len())),
        };
        let mut turn = Turn::new(setup, None, world);
        for place in setup.places() {
            turn.start(place, Origin::Fresh(setup.hosts[place.index()].id));
        }
        turn.done()
    }

    /// This world after some stages; then the scripts start and the budgets are full. This is how an
    /// exploration starts from a cluster that stands.
    #[must_use]
    pub(crate) fn after_stages(mut self, setup: &Setup, stages: &[Stage]) -> Self {
        let calm = Setup::calm(setup, stages);
        self.prepare(&calm);
        let mut script = 0;
        for stage in stages {
            self = match stage {
                Stage::Command(_) => {
                    script += 1;
                    self.after(&calm, Action::new(What::Command { script: script - 1 }))
                }
                Stage::Happens(what) => self.after(&calm, Action::new(*what)),
                Stage::Rounds(rounds) => (0..*rounds).fold(self, |world, _| world.round(&calm)),
            };
        }
        let mut turn = Turn::new(setup, None, self);
        turn.world.prepare(setup);
        turn.forget_disks();
        turn.done()
    }

    /// Everything that the network owes, then one tick of every host, each followed by what it causes.
    fn round(mut self, calm: &Setup) -> Self {
        for host in calm.places() {
            self = self.quietened(calm);
            if self.node(host).is_some() {
                self = self.after(calm, Action::new(What::Tick { host }));
            }
        }
        self.quietened(calm)
    }

    fn quietened(mut self, calm: &Setup) -> Self {
        while let Some(what) = { self.owed().next() } {
            self = self.after(calm, Action::new(what));
        }
        self
    }

    /// Sets what depends on the setup to its start.
    fn prepare(&mut self, setup: &Setup) {
        let ticks_left = match setup.pace {
            Pace::Free { ticks } => ticks,
            Pace::Timely | Pace::Prompt => 0,
        };
        self.budget = setup.budget;
        self.given = SmallVec::from_elem(0, setup.scripts.len());
        self.ticked = Places::NONE;
        let ghost = self.ghost.make_mut();
        ghost.has_failed = false;
        ghost.promoted = Places::NONE;
        ghost.called = Places::NONE;
        for host in &mut self.hosts {
            *host = Shared::new(Host { ticks_left, ..Host::clone(host) });
        }
    }

    /// The host at `place`.
    #[must_use]
    pub fn host(&self, place: Place) -> &Host<SLOTS> {
        &self.hosts[place.index()]
    }

    /// The node at `place`, if it runs.
    #[must_use]
    pub fn node(&self, place: Place) -> Option<&Node<SLOTS>> {
        self.host(place).node.as_deref()
    }

    /// The nodes that run, with their places.
    pub fn nodes(&self) -> impl Iterator<Item = (Place, &Node<SLOTS>)> {
        let hosts = self.hosts.iter().enumerate();
        hosts.filter_map(|(index, host)| host.node.as_deref().map(|node| (Place::at(index), node)))
    }

    /// How many hosts there are.
    #[must_use]
    pub fn host_count(&self) -> usize {
        self.hosts.len()
    }

    /// The connections, in the order by which actions name them.
    pub fn connections(&self) -> impl ExactSizeIterator<Item = &Connection<SLOTS>> {
        self.connections.iter().map(|connection| &**connection)
    }

    /// What faults there is still room for.
    #[must_use]
    pub fn budget(&self) -> Budget {
        self.budget
    }

    /// What no node remembers.
    #[must_use]
    pub fn ghost(&self) -> &Ghost {
        &self.ghost
    }

    /// Whether every script is done.
    #[must_use]
    pub fn is_script_done(&self, setup: &Setup) -> bool {
        self.given.iter().zip(&setup.scripts).all(|(&given, script)| usize::from(given) == script.len())
    }

    /// Whether nothing is under way: nothing owed, no command left, no slot moving, and all agree.
    fn is_at_rest(&self, setup: &Setup) -> bool {
        let moves = |(_, node): (Place, &Node<SLOTS>)| !node.migrating().is_empty() || !node.importing().is_empty();
        self.is_quiet() && self.is_script_done(setup) && !self.nodes().any(moves) && is_agreed(self)
    }

    pub(crate) fn ghost_mut(&mut self) -> &mut Ghost {
        self.ghost.make_mut()
    }

    /// Whether the network owes nothing: no message on its way, nothing to notice.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.owed().next().is_none()
    }

    /// Whether two hosts cannot reach each other.
    #[must_use]
    pub fn are_parted(&self, left: Place, right: Place) -> bool {
        self.parted.contains(&pair(left, right))
    }

    /// Whether any two hosts cannot reach each other.
    #[must_use]
    pub fn is_parted_anywhere(&self) -> bool {
        !self.parted.is_empty()
    }

    /// Whether no host has ticked in this round yet, in a timely world.
    #[must_use]
    pub fn is_between_rounds(&self) -> bool {
        self.ticked == Places::NONE
    }

    /// Every action that is possible, with the world after it. Dice are thrown in every way exactly once.
    #[must_use]
    pub fn successors(&self, setup: &Setup) -> Vec<(Action, Self)> {
        self.all_successors(setup, None)
    }

    /// As [`World::successors`], from what is remembered of other worlds of the same setup.
    #[must_use]
    pub fn successors_from_memory(&self, setup: &Setup, memory: &Memory<SLOTS>) -> Vec<(Action, Self)> {
        self.all_successors(setup, Some(memory))
    }

    fn all_successors(&self, setup: &Setup, memory: Option<&Memory<SLOTS>>) -> Vec<(Action, Self)> {
        let choices = self.choices(setup);
        let mut successors = Vec::with_capacity(choices.len());
        for what in choices {
            self.outcomes(setup, memory, what, &mut successors);
        }
        successors
    }

    fn outcomes(
        &self,
        setup: &Setup,
        memory: Option<&Memory<SLOTS>>,
        what: What,
        successors: &mut Vec<(Action, Self)>,
    ) {
        let mut words = 0..1;
        while let Some(dice) = words.next() {
            let action = Action { what, dice, dies: false };
            let (world, outcome) = self.taken(setup, memory, action);
            words.end = words.end.max(outcome.words);
            if !outcome.is_spent {
                continue;
            }
            successors.push((action, world));
            if outcome.can_die {
                let action = Action { dies: true, ..action };
                successors.push((action, self.taken(setup, memory, action).0));
            }
        }
    }

    /// The world after an action, which must be one of [`World::successors`].
    #[must_use]
    pub fn after(&self, setup: &Setup, action: Action) -> Self {
        self.taken(setup, None, action).0
    }

    fn taken(&self, setup: &Setup, memory: Option<&Memory<SLOTS>>, action: Action) -> (Self, Outcome) {
        let mut turn = Turn::new(setup, memory, self.clone());
        turn.take(action);
        let outcome = turn.outcome;
        (turn.done(), outcome)
    }

    /// What an action does, step by step, with the world after it.
    #[must_use]
    pub fn told(&self, setup: &Setup, action: Action) -> (Self, Vec<Happening<SLOTS>>) {
        let mut turn = Turn::new(setup, None, self.clone());
        turn.story = Some(Vec::new());
        turn.take(action);
        let story = turn.story.take().unwrap_or_default();
        (turn.done(), story)
    }

    fn choices(&self, setup: &Setup) -> Choices {
        let mut choices: Choices = self.owed().collect();
        let is_quiet = choices.is_empty();
        choices.extend(
            setup.places().filter(|&host| self.may_tick(setup, host, is_quiet)).map(|host| What::Tick { host }),
        );
        self.commands(setup, &mut choices);
        self.faults(setup, &mut choices);
        choices
    }

    /// What the network owes: nothing here can be put off for ever.
    fn owed(&self) -> impl Iterator<Item = What> {
        let connections = self.connections.iter().zip(0..).filter(|(connection, _)| !self.is_parted(connection));
        connections.flat_map(|(connection, index)| self.owed_on(connection, index))
    }

    fn owed_on(&self, it: &Connection<SLOTS>, connection: u8) -> impl Iterator<Item = What> {
        let listens = || it.target.is_some_and(|target| self.node(target).is_some());
        let attempt = || if listens() { What::Establish { connection } } else { What::Refuse { connection } };
        let attempt = (it.opener_end == End::Opening).then(attempt);
        let of_end = |side| {
            let mail = it.has_mail(side).then_some(What::Deliver { connection, to: side });
            [mail, it.is_over_for(side).then_some(What::HangUp { connection, at: side })]
        };
        [attempt].into_iter().chain(of_end(Side::Target)).chain(of_end(Side::Opener)).flatten()
    }

    /// Whether clients can write at a host: it is a primary that serves, and does not hold them back.
    fn takes_writes(&self, host: Place) -> bool {
        let serves = |node: &Node<SLOTS>| node.myself().is_voter() && node.state() == ClusterState::Ok;
        self.node(host).is_some_and(serves) && self.host(host).data.paused_ms == 0
    }

    /// The least epoch in which any node can still vote, count votes or win.
    fn open_epoch(&self, setup: &Setup) -> u64 {
        let epochs = setup.places().filter_map(|place| match self.node(place) {
            Some(node) => Some(open_epoch(node)),
            None => (self.budget.restarts > 0).then(|| self.host(place).disk.saved.current_epoch),
        });
        epochs.min().unwrap_or_default()
    }

    /// Of the slots that the node at `place` owns, those that no other node claims under a greater epoch.
    fn unchallenged(&self, place: Place, slots: &SlotSet<SLOTS>) -> SlotSet<SLOTS> {
        let epoch = self.node(place).map_or(0, Node::my_epoch);
        let others = self.nodes().filter(|&(other, node)| other != place && node.my_epoch() > epoch);
        others.fold(slots.clone(), |left, (_, node)| left.without(&node.myself().slots))
    }

    /// Whether two hosts both run and can reach each other.
    fn are_in_touch(&self, left: Place, right: Place) -> bool {
        self.node(left).is_some() && self.node(right).is_some() && !self.parted.contains(&pair(left, right))
    }

    /// What takes no time in a prompt world: heartbeats and their answers, connections that come up,
    /// are refused, or are noticed as over with nothing left to read.
    fn hurried(&self) -> Option<What> {
        self.owed().find(|&what| match what {
            What::Deliver { connection, to } => self.is_routine(connection, to),
            What::HangUp { connection, at } => !self.connections[usize::from(connection)].has_mail(at),
            What::Establish { .. } | What::Refuse { .. } => true,
            What::Tick { .. }
            | What::Command { .. }
            | What::Write { .. }
            | What::Transfer { .. }
            | What::Cut { .. }
            | What::Crash { .. }
            | What::Restart { .. }
            | What::Part { .. }
            | What::Heal { .. } => false,
        })
    }

    /// Whether what comes next to one end is a heartbeat that asks, or the answer to one. Heartbeats
    /// that nobody asked for go the other way.
    fn is_routine(&self, connection: u8, to: Side) -> bool {
        let body = self.connections[usize::from(connection)].queue(to).first().map(|message| &message.body);
        match to {
            Side::Target => matches!(body, Some(Body::Ping(_) | Body::Meet(_))),
            Side::Opener => matches!(body, Some(Body::Pong(_))),
        }
    }

    fn is_parted(&self, connection: &Connection<SLOTS>) -> bool {
        connection.target.is_some_and(|target| self.parted.contains(&pair(connection.opener, target)))
    }

    fn may_tick(&self, setup: &Setup, host: Place, is_quiet: bool) -> bool {
        let is_due = match setup.pace {
            Pace::Free { .. } => self.host(host).ticks_left > 0,
            Pace::Timely | Pace::Prompt => is_quiet && !self.ticked.contains(host) && self.is_in_order(setup, host),
        };
        is_due && self.node(host).is_some_and(|node| node.current_epoch() < setup.epoch_end)
    }

    /// Whether no host that should tick before this one is still to do so.
    fn is_in_order(&self, setup: &Setup, host: Place) -> bool {
        let is_due = |earlier: Place| self.node(earlier).is_some() && !self.ticked.contains(earlier);
        !setup.is_orderly || !setup.places().any(|earlier| earlier < host && is_due(earlier))
    }

    fn commands(&self, setup: &Setup, choices: &mut Choices) {
        for ((script, &given), index) in setup.scripts.iter().zip(&self.given).zip(0..) {
            if script.get(usize::from(given)).is_some_and(|order| self.may_give(setup, order)) {
                choices.push(What::Command { script: index });
            }
        }
        for (transfer, index) in setup.transfers.iter().zip(0..) {
            if self.may_transfer(transfer) {
                choices.push(What::Transfer { index });
            }
        }
    }

    /// Whether an administrator can give a command: its node runs, and no key of the slot that it
    /// gives away is still to be moved.
    fn may_give(&self, setup: &Setup, order: &Order) -> bool {
        let awaits = |transfer: &Transfer| {
            let gives = matches!(&order.command, Command::SetSlot { slot, change: SlotChange::Node(_), .. } if *slot == transfer.slot);
            gives && self.host(transfer.from).data.keys.contains(transfer.slot)
        };
        self.node(order.host).is_some() && !setup.transfers.iter().any(awaits)
    }

    /// Whether the key of a slot can be moved: both ends run, are in touch and know of the move, and
    /// neither holds writes back.
    fn may_transfer(&self, transfer: &Transfer) -> bool {
        let Transfer { slot, from, to } = *transfer;
        let (Some(source), Some(target)) = (self.node(from), self.node(to)) else { return false };
        let is_open = source.migrating().contains_key(&slot) && target.importing().contains_key(&slot);
        let is_held = [from, to].iter().any(|&end| self.host(end).data.paused_ms > 0);
        is_open && !is_held && self.are_in_touch(from, to) && self.host(from).data.keys.contains(slot)
    }

    /// Whether another host runs at the address of this one.
    fn is_replaced(&self, setup: &Setup, host: Place) -> bool {
        self.nodes().any(|(other, _)| other != host && setup.ip(other) == setup.ip(host))
    }

    /// Who listens at an address of the bus: of several hosts the one that runs.
    fn listener(&self, setup: &Setup, address: &Address) -> Option<Place> {
        let running = setup.listeners(address).find(|&place| self.node(place).is_some());
        running.or_else(|| setup.listeners(address).next())
    }

    fn faults(&self, setup: &Setup, choices: &mut Choices) {
        for host in setup.places() {
            if self.budget.writes > 0 && self.takes_writes(host) {
                choices.push(What::Write { host });
            }
            let is_up = self.node(host).is_some();
            if is_up && self.budget.crashes > 0 && setup.crashing.mortal.contains(host) {
                choices.push(What::Crash { host, power: false });
                if setup.crashing.power {
                    choices.push(What::Crash { host, power: true });
                }
            }
            if !is_up && self.budget.restarts > 0 && !self.is_replaced(setup, host) {
                choices.push(What::Restart { host });
            }
        }
        if self.budget.cuts > 0 {
            let is_whole = |connection: &Connection<SLOTS>| {
                !connection.broken && connection.opener_end != End::Shut && connection.target_end != End::Shut
            };
            let whole = self.connections.iter().zip(0..).filter(|(connection, _)| is_whole(connection));
            choices.extend(whole.map(|(_, connection)| What::Cut { connection }));
        }
        if self.budget.partitions > 0 {
            let partible = || setup.places().filter(|&place| setup.partible.contains(place));
            let pairs = partible().flat_map(|left| partible().map(move |right| (left, right)));
            let together = pairs.filter(|(left, right)| left < right && !self.parted.contains(&(*left, *right)));
            choices.extend(together.map(|(left, right)| What::Part { left, right }));
        }
        if setup.heals {
            choices.extend(self.parted.iter().map(|&(left, right)| What::Heal { left, right }));
        }
    }
}

fn pair(left: Place, right: Place) -> (Place, Place) {
    (left.min(right), left.max(right))
}

/// What is to be known of an action beyond the world after it.
#[derive(Clone, Copy, Debug)]
struct Outcome {
    /// Words of dice to be tried.
    words: u32,
    /// Whether the dice word was used up: else another word led to the same throw.
    is_spent: bool,
    /// Whether the host can die between saving something and sending something.
    can_die: bool,
}

/// A world in the middle of an action.
struct Turn<'a, const SLOTS: usize> {
    setup: &'a Setup,
    world: World<SLOTS>,
    outcome: Outcome,
    dies: bool,
    /// Whether what happens only follows from the action, without taking any time.
    is_hurrying: bool,
    /// Whether the step is a tick of those that its host has so many of.
    spends_tick: bool,
    story: Option<Vec<Happening<SLOTS>>>,
    /// What is remembered of other worlds; nothing while a story is told.
    memory: Option<&'a Memory<SLOTS>>,
}

impl<'a, const SLOTS: usize> Turn<'a, SLOTS> {
    fn new(setup: &'a Setup, memory: Option<&'a Memory<SLOTS>>, world: World<SLOTS>) -> Self {
        let outcome = Outcome { words: 1, is_spent: true, can_die: false };
        Self { setup, world, outcome, dies: false, is_hurrying: false, spends_tick: false, story: None, memory }
    }

    /// Brings the world into its one form.
    fn done(self) -> World<SLOTS> {
        let mut world = self.world;
        world.connections.retain(|connection| !connection.is_over());
        world.connections.sort_unstable_by_key(|connection| connection.key());
        if self.setup.is_reduced {
            let open = world.open_epoch(self.setup);
            if world.ghost.elections.has_before(open) {
                world.ghost.make_mut().elections.drop_before(open);
            }
        }
        if world.is_at_rest(self.setup) {
            check_at_rest(self.setup, &mut world);
        }
        world
    }

    fn take(&mut self, action: Action) {
        self.dies = action.dies;
        let dice = u64::from(action.dice);
        match action.what {
            What::Deliver { connection, to } => self.deliver(usize::from(connection), to, dice),
            What::HangUp { connection, at } => self.hang_up(usize::from(connection), at, dice),
            What::Establish { connection } => self.establish(usize::from(connection), dice),
            What::Refuse { connection } => self.fail(usize::from(connection), true, dice),
            What::Tick { host } => self.tick(host, dice),
            What::Command { script } => self.command(usize::from(script), dice),
            What::Write { host } => self.write(host),
            What::Transfer { index } => self.transfer(usize::from(index)),
            What::Cut { connection } => self.cut(usize::from(connection), dice),
            What::Crash { host, power } => self.crash(host, power),
            What::Restart { host } => self.restart(host),
            What::Part { left, right } => self.part(left, right),
            What::Heal { left, right } => self.world.parted.retain(|parted| *parted != (left, right)),
        }
        if self.setup.pace == Pace::Prompt && !self.is_hurrying {
            self.hurry();
        }
    }

    /// Has everything happen that takes no time in a prompt world.
    fn hurry(&mut self) {
        self.dies = false;
        self.is_hurrying = true;
        while let Some(what) = self.world.hurried() {
            self.take(Action::new(what));
        }
    }

    fn change<T>(&mut self, index: usize, change: impl FnOnce(&mut Connection<SLOTS>) -> T) -> T {
        change(self.world.connections[index].make_mut())
    }

    fn deliver(&mut self, index: usize, to: Side, dice: u64) {
        let (place, link) = self.end_of(index, to);
        let message = self.change(index, |connection| connection.queue_mut(to).remove(0));
        if let Some(place) = place {
            self.step(place, NOW, dice, Cause::Received { link, message });
        }
    }

    fn hang_up(&mut self, index: usize, at: Side, dice: u64) {
        let (place, link) = self.end_of(index, at);
        self.change(index, |connection| connection.shut(at));
        if let Some(place) = place {
            self.step(place, NOW, dice, Cause::LinkDown(link));
        }
    }

    fn end_of(&self, index: usize, side: Side) -> (Option<Place>, LinkId) {
        let connection = &self.world.connections[index];
        (connection.host(side), connection.link(side))
    }

    /// The target's end comes up first: its node only notes the link, and the opener may send at once.
    fn establish(&mut self, index: usize, dice: u64) {
        let opener = self.world.connections[index].opener;
        let Some(target) = self.world.connections[index].target else { return };
        let taken: SmallVec<[u32; 8]> = self
            .world
            .connections
            .iter()
            .filter(|other| (other.opener, other.target) == (opener, Some(target)))
            .map(|other| other.inbound)
            .collect();
        let inbound = Connection::<SLOTS>::inbound_number(opener, &taken);
        let outbound = self.change(index, |connection| {
            connection.inbound = inbound;
            connection.opener_end = End::Open;
            connection.target_end = End::Open;
            connection.outbound
        });
        let dies = std::mem::take(&mut self.dies);
        self.step(target, NOW, 0, self.link_up(LinkId::Inbound(inbound), target, opener));
        self.dies = dies;
        self.step(opener, NOW, dice, self.link_up(LinkId::Outbound(outbound), opener, target));
    }

    fn link_up(&self, link: LinkId, here: Place, there: Place) -> Cause<SLOTS> {
        Cause::LinkUp { link, local: self.setup.ip(here).clone(), remote: self.setup.ip(there).clone() }
    }

    /// A connection attempt comes to nothing.
    fn fail(&mut self, index: usize, at_once: bool, dice: u64) {
        let (place, link) = self.end_of(index, Side::Opener);
        self.change(index, |connection| connection.shut(Side::Opener));
        let cause = if at_once { Cause::LinkRefused(link) } else { Cause::LinkDown(link) };
        if let Some(place) = place {
            self.step(place, NOW, dice, cause);
        }
    }

    fn cut(&mut self, index: usize, dice: u64) {
        self.world.budget.cuts -= 1;
        if self.world.connections[index].opener_end == End::Opening {
            self.fail(index, false, dice);
        } else {
            self.change(index, |connection| connection.broken = true);
        }
    }

    fn part(&mut self, left: Place, right: Place) {
        self.world.budget.partitions -= 1;
        self.world.parted.push((left, right));
        self.world.parted.sort_unstable();
    }

    fn tick(&mut self, place: Place, dice: u64) {
        let Some(at) = self.world.node(place).map(|node| next_deadline(node).at) else { return };
        if self.world.ghost.has_bans() {
            self.world.ghost.make_mut().elapsed(place, at.since(NOW));
        }
        match self.setup.pace {
            Pace::Free { .. } => self.spends_tick = true,
            // A deadline that is due already takes no time.
            Pace::Timely | Pace::Prompt if at <= NOW => {}
            Pace::Timely | Pace::Prompt => self.world.ticked = self.world.ticked.with(place),
        }
        self.copy(place, at);
        // Being told of the copy turned the clock back already.
        let at = self.world.node(place).map_or(at, |node| next_deadline(node).at);
        self.step(place, at, dice, Cause::Tick);
        self.end_round();
    }

    /// A replica takes what its primary has, if it can reach it.
    fn copy(&mut self, place: Place, at: Millis) {
        let follows = self.world.host(place).data.follows;
        if let Some(primary) = follows.filter(|&primary| self.world.are_in_touch(place, primary)) {
            let source = self.world.host(primary).data.clone();
            self.change_data(place, |data| data.copy(&source, at));
            self.report_data(place, at);
        }
    }

    fn write(&mut self, place: Place) {
        self.world.budget.writes -= 1;
        let Some(node) = self.world.node(place) else { return };
        let slots = node.myself().slots.clone();
        let unchallenged = self.world.unchallenged(place, &slots);
        self.world.ghost.make_mut().claims.wrote(&unchallenged);
        self.change_data(place, |data| data.write(&slots));
        self.report_data(place, NOW);
    }

    /// The key of a slot moves: a write at either end.
    fn transfer(&mut self, index: usize) {
        let Transfer { slot, from, to } = self.setup.transfers[index];
        self.change_data(to, |data| data.import(slot));
        self.report_data(to, NOW);
        self.change_data(from, |data| data.export(slot));
        self.report_data(from, NOW);
    }

    fn change_data(&mut self, place: Place, change: impl FnOnce(&mut Data<SLOTS>)) {
        change(&mut self.world.hosts[place.index()].make_mut().data);
    }

    /// Tells a node how replication stands, if it does not know.
    fn report_data(&mut self, place: Place, now: Millis) {
        let host = self.world.host(place);
        let replication = host.data.replication();
        if host.node.as_ref().is_some_and(|node| node.replication() != replication) {
            self.step(place, now, 0, Cause::Replicated(replication));
        }
    }

    /// A round of a timely world is over once every host that runs has ticked.
    fn end_round(&mut self) {
        let is_over = self.world.nodes().all(|(place, _)| self.world.ticked.contains(place));
        if is_over {
            self.world.ticked = Places::NONE;
        }
    }

    fn command(&mut self, script: usize, dice: u64) {
        let given = usize::from(self.world.given[script]);
        let Order { host, mut command } = self.setup.scripts[script][given].clone();
        self.world.given[script] += 1;
        self.world.host(host).data.tell(&mut command);
        self.step(host, NOW, dice, Cause::Admin(command));
    }

    fn crash(&mut self, place: Place, power: bool) {
        let mut host = Host { node: None, ..Host::clone(&self.world.hosts[place.index()]) };
        host.data.crash();
        if power {
            host.disk.lose_power();
        }
        self.world.hosts[place.index()] = Shared::new(host);
        self.world.budget.crashes -= 1;
        self.world.ghost.make_mut().crashed(place);
        self.forget_disks();
        for index in 0..self.world.connections.len() {
            for side in [Side::Opener, Side::Target] {
                let connection = &self.world.connections[index];
                let is_held = connection.host(side) == Some(place) && connection.end(side) != End::Shut;
                if is_held && (side == Side::Opener || connection.end(side) == End::Open) {
                    self.change(index, |connection| connection.shut(side));
                }
            }
        }
        self.end_round();
    }

    fn restart(&mut self, place: Place) {
        self.world.budget.restarts -= 1;
        let image = self.world.host(place).disk.saved.clone();
        self.start(place, Origin::Restored(Box::new((*image).clone())));
        self.forget_disks();
    }

    /// Starts a node and performs what it asks for.
    fn start(&mut self, place: Place, origin: Origin<SLOTS>) {
        let config = self.setup.hosts[place.index()].config.clone();
        let cause = Cause::Started(match &origin {
            Origin::Fresh(_) => None,
            Origin::Restored(_) => Some(self.world.host(place).disk.saved.clone()),
        });
        let Ok((node, effects)) = Node::start(config, origin, NOW) else {
            // What a node saved it can load: that is checked whenever it saves. What a flawed disk holds is not.
            self.world.ghost.make_mut().broken.insert(Invariant::ImageLoads);
            return;
        };
        let stimulus = self.stimulus(place, NOW, 0, cause);
        let reaction = self.scene().judge(None, node, &stimulus, &effects);
        self.tell(stimulus, effects);
        self.settle(place, &reaction);
    }

    /// Takes the node at `place` through one input, and performs what it asks for.
    fn step(&mut self, place: Place, now: Millis, dice: u64, cause: Cause<SLOTS>) {
        let Some(before) = self.world.host(place).node.clone() else { return };
        let stimulus = self.stimulus(place, now, dice, cause);
        let reaction = match self.memory {
            Some(memory) => memory.recall(self.scene().key(&stimulus), || self.scene().react(&before, &stimulus).0),
            None => {
                let (reaction, effects) = self.scene().react(&before, &stimulus);
                self.tell(stimulus, effects);
                Arc::new(reaction)
            }
        };
        self.outcome.words = self.outcome.words.max(reaction.words);
        self.outcome.is_spent &= reaction.is_spent;
        let is_mortal = self.setup.crashing.amid && self.setup.crashing.mortal.contains(place);
        let can_die = is_mortal && self.world.budget.crashes > 0 && !self.is_hurrying;
        self.outcome.can_die |= can_die && reaction.saves_first;
        self.settle(place, &reaction);
    }

    fn stimulus(&mut self, place: Place, now: Millis, dice: u64, cause: Cause<SLOTS>) -> Stimulus<SLOTS> {
        let spends_tick = std::mem::take(&mut self.spends_tick);
        Stimulus { place, now, dice, cause, readable: self.readable(place, true), spends_tick }
    }

    fn scene(&self) -> Scene<'_, SLOTS> {
        Scene { setup: self.setup, hosts: &self.world.hosts, ghost: &self.world.ghost }
    }

    fn tell(&mut self, stimulus: Stimulus<SLOTS>, effects: Effects<SLOTS>) {
        if let Some(story) = &mut self.story {
            story.push(Happening { place: stimulus.place, cause: stimulus.cause, effects, dies: self.dies });
        }
    }

    /// Puts a host that has stepped back into its world, and performs what its node asks for.
    fn settle(&mut self, place: Place, reaction: &Reaction<SLOTS>) {
        self.world.hosts[place.index()] = reaction.host.clone();
        self.world.ghost = reaction.ghost.clone();
        if self.dies {
            if self.setup.flaw == Some(Flaw::TornDisk) {
                self.world.hosts[place.index()].make_mut().disk.tear();
            }
            self.crash(place, false);
            return;
        }
        for deed in &reaction.deeds {
            self.perform(place, deed);
        }
        self.report_data(place, NOW);
    }

    /// Which parts of a host's disk anybody can still read.
    fn readable(&self, place: Place, is_up: bool) -> Readable {
        let can_crash = self.world.budget.crashes > 0 && self.setup.crashing.mortal.contains(place);
        let can_start = self.world.budget.restarts > 0;
        if !self.setup.is_reduced || (is_up && can_crash && can_start && self.setup.crashing.power) {
            Readable::Both
        } else if can_start && (can_crash || !is_up) {
            Readable::Saved
        } else {
            Readable::Epoch
        }
    }

    /// A budget has shrunk: drops what nobody can read any more.
    fn forget_disks(&mut self) {
        for place in self.setup.places() {
            let mut host = Host::clone(&self.world.hosts[place.index()]);
            host.disk.forget(self.readable(place, host.node.is_some()));
            self.world.hosts[place.index()] = Shared::new(host);
        }
    }

    fn perform(&mut self, place: Place, deed: &Deed<SLOTS>) {
        match deed {
            Deed::Send(link, message) => self.send(place, *link, message),
            Deed::Other(effect) => self.perform_other(place, effect),
        }
    }

    fn perform_other(&mut self, place: Place, effect: &Effect<SLOTS>) {
        match effect {
            Effect::Connect { link, address } => self.connect(place, *link, address),
            Effect::Close { link } => self.close(place, *link),
            // An answer to an administrator changes nothing in the world; stories show it.
            Effect::Reply { .. } => {}
            Effect::Follow { primary, address, shard } => {
                let whom = self.setup.owner_of(primary).filter(|_| !address.host.is_unknown());
                self.change_data(place, |data| data.follow(whom, *shard));
            }
            Effect::Lead => self.change_data(place, Data::lead),
            Effect::PauseWrites { until } => self.change_data(place, |data| data.paused_ms = until.since(NOW)),
            Effect::ResumeWrites => self.change_data(place, |data| data.paused_ms = 0),
            Effect::DropKeys { slots } => self.change_data(place, |data| data.keys = data.keys.without(slots)),
            Effect::DropAllKeys => self.change_data(place, |data| data.keys = SlotSet::new()),
            // Subscribers are not part of the world; a message to send is a deed of its own.
            Effect::Deliver { .. } | Effect::Send { .. } => {}
        }
    }

    fn connect(&mut self, place: Place, link: LinkId, address: &Address) {
        if let LinkId::Outbound(number) = link {
            let target = self.world.listener(self.setup, address);
            self.world.connections.push(Shared::new(Connection::opening(place, target, number)));
        }
    }

    fn close(&mut self, place: Place, link: LinkId) {
        if let Some((index, side)) = self.find(place, link) {
            self.change(index, |connection| connection.shut(side));
        }
    }

    fn send(&mut self, place: Place, link: LinkId, message: &Shared<Message<SLOTS>>) {
        if let Some((index, side)) = self.find(place, link) {
            self.change(index, |connection| connection.send(side, message.clone()));
        }
    }

    fn find(&self, place: Place, link: LinkId) -> Option<(usize, Side)> {
        let connections = self.world.connections.iter().enumerate();
        connections.into_iter().find_map(|(index, other)| other.side_of(place, link).map(|side| (index, side)))
    }
}
