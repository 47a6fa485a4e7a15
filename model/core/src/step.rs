//! Owns the one entrance of the protocol and the order within a step: the event, then what the
//! event made due (a failover's next stage, the cluster state), then what must be saved. Knows no
//! rule's inside.

use crate::{
    effect::{Effect, Effects, Persist, Reply},
    ids::{LinkId, RequestId},
    input::{Command, Event, Input},
    message::Message,
    mutant::Mutant,
    node::{Deadline, Node, Why},
    random::{Draw, Random, Site},
    rule::Rule,
    time::Millis,
};
use alloc::{boxed::Box, vec::Vec};

/// Takes a node through one input. Total: it never fails and never panics, whatever the input.
pub fn step<const SLOTS: usize>(node: &mut Node<SLOTS>, input: Input<SLOTS>) -> Effects<SLOTS> {
    let mut turn = Turn::new(node, input.now, input.random);
    turn.take(input.event);
    turn.finish()
}

/// [`step`], and every draw that it made, in order: what a step depends on besides its input, in words
/// that an implementation with other dice understands.
pub fn step_with_draws<const SLOTS: usize>(node: &mut Node<SLOTS>, input: Input<SLOTS>) -> (Effects<SLOTS>, Vec<Draw>) {
    let mut draws = Vec::new();
    let mut turn = Turn { draws: Some(&mut draws), ..Turn::new(node, input.now, input.random) };
    turn.take(input.event);
    let effects = turn.finish();
    (effects, draws)
}

/// When the node next needs a [`Event::Tick`], and why. A tick that comes sooner does nothing.
#[must_use]
pub fn next_deadline<const SLOTS: usize>(node: &Node<SLOTS>) -> Deadline {
    let election = node.election();
    let pending = election.at.filter(|_| !election.is_awake && !election.asked && !node.myself().is_primary());
    match pending {
        Some(at) if at < node.next_cron => Deadline { at, why: Why::Election },
        Some(_) | None => Deadline { at: node.next_cron, why: Why::Cron },
    }
}

/// What a step wants saved.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Save {
    Nothing,
    /// Must survive the end of the process.
    Soon,
    /// Must survive a power loss.
    Sync,
}

/// A node in the middle of a step, with what the step has gathered so far.
pub(crate) struct Turn<'a, const SLOTS: usize> {
    pub(crate) node: &'a mut Node<SLOTS>,
    pub(crate) now: Millis,
    pub(crate) random: Random,
    /// Where draws are noted, if anybody asks for them.
    draws: Option<&'a mut Vec<Draw>>,
    then: Vec<Effect<SLOTS>>,
    rules: Vec<Rule>,
    save: Save,
    evaluate: bool,
    failover: bool,
}

impl<'a, const SLOTS: usize> Turn<'a, SLOTS> {
    pub(crate) fn new(node: &'a mut Node<SLOTS>, now: Millis, random: Random) -> Self {
        Self {
            node,
            now,
            random,
            draws: None,
            then: Vec::new(),
            rules: Vec::new(),
            save: Save::Nothing,
            evaluate: false,
            failover: false,
        }
    }

    fn take(&mut self, event: Event<SLOTS>) {
        match event {
            Event::LinkUp { link, local, remote } => self.link_up(link, local, remote),
            Event::LinkDown { link } => self.link_down(link),
            Event::LinkRefused { link } => self.link_refused(link),
            Event::Received { link, message } => self.receive(link, *message),
            Event::Tick => self.tick(),
            Event::Admin { request, command } => self.admin(request, command),
            Event::Configured(config) => self.configured(config),
            Event::Loaded { slots } => self.loaded(&slots),
            Event::Replication(replication) => self.replicated(replication),
            Event::Backlogged { link } => self.backlogged(link),
        }
    }

    /// A number below `n`, from this step's dice.
    pub(crate) fn draw(&mut self, site: Site, n: u64) -> u64 {
        let value = self.random.below(n);
        if n > 1 {
            self.note(Draw::Number { site, below: n, value });
        }
        value
    }

    /// Notes a draw, if anybody asks for them.
    pub(crate) fn note(&mut self, draw: Draw) {
        if let Some(draws) = &mut self.draws {
            draws.push(draw);
        }
    }

    /// Settles what the event made due, and hands out what is to be done.
    pub(crate) fn finish(mut self) -> Effects<SLOTS> {
        // Each stage of a failover may make the next one due: scheduled, asked, won.
        while core::mem::take(&mut self.failover) {
            self.manual_failover_step();
            self.failover_step();
        }
        if self.evaluate {
            self.evaluate_state();
        }
        let persist = (self.save > Save::Nothing)
            .then(|| Persist { sync: self.save == Save::Sync, image: Box::new(self.node.durable()) });
        Effects { persist, then: self.then, rules: self.rules, dice: self.random }
    }

    /// An instant as far as its age counts: ages beyond the longest that any rule knows are alike.
    pub(crate) fn counted(&self, instant: Millis) -> Millis {
        instant.rebased(self.now, self.now, self.node.config.timing.age_limit_ms().saturating_add(1))
    }

    /// Notes that a rule fired.
    pub(crate) fn rule(&mut self, rule: Rule) {
        self.rules.push(rule);
    }

    /// Whether this node is to commit a deliberate fault here.
    pub(crate) fn is_mutant(&self, mutant: Mutant) -> bool {
        self.node.config.is_mutant(mutant)
    }

    /// Whether this node does what is right here: always, but for a deliberate fault.
    pub(crate) fn unless(&self, mutant: Mutant) -> bool {
        !self.is_mutant(mutant)
    }

    /// Has the node's image saved before any effect of this step.
    pub(crate) fn save(&mut self, save: Save) {
        self.save = self.save.max(save);
    }

    /// Has the cluster state evaluated at the end of this step.
    pub(crate) fn evaluate_later(&mut self) {
        self.evaluate = true;
    }

    /// Notes that a rule fired, unless the last one noted is the same: for rules that fire slot by slot.
    pub(crate) fn rule_once(&mut self, rule: Rule) {
        if self.rules.last() != Some(&rule) {
            self.rules.push(rule);
        }
    }

    /// Has the next stage of a failover looked at, at the end of this step.
    pub(crate) fn failover_later(&mut self) {
        self.failover = true;
    }

    pub(crate) fn perform(&mut self, effect: Effect<SLOTS>) {
        self.then.push(effect);
    }

    pub(crate) fn send(&mut self, link: LinkId, message: Message<SLOTS>) {
        self.perform(Effect::Send { link, message: Box::new(message) });
    }

    fn tick(&mut self) {
        if self.node.election.at.is_some_and(|at| at <= self.now) && !self.node.election.is_awake {
            self.node.election.is_awake = true;
            self.failover_later();
        }
        if self.now >= self.node.next_cron {
            self.node.next_cron = self.now.after(self.node.config.cron_ms().max(1));
            self.cron();
        }
    }

    fn admin(&mut self, request: RequestId, command: Command) {
        let outcome = match command {
            Command::Meet { host, port, cport } => self.meet(host, port, cport),
            Command::Forget(id) => self.forget(id),
            Command::AddSlots(slots) => self.add_slots(&slots),
            Command::DelSlots(slots) => self.del_slots(&slots),
            Command::BumpEpoch => Ok(self.bump_on_request()),
            Command::SetConfigEpoch(epoch) => self.set_config_epoch(epoch),
            Command::SaveConfig => Ok(self.save_config()),
            Command::FlushSlots { has_keys } => self.flush_slots(has_keys),
            Command::SetSlot { slot, change, has_keys } => self.set_slot(slot, change, has_keys),
            Command::Replicate { primary, has_keys } => self.replicate(primary, has_keys),
            Command::Failover(mode) => self.failover(mode),
            Command::Reset { hard, has_keys } => self.reset(hard, has_keys),
            Command::Publish { publication, sharded } => Ok(self.publish(publication, sharded)),
        };
        let reply = outcome.unwrap_or_else(Reply::Refused);
        self.perform(Effect::Reply { request, reply });
    }
}
