//! How a replica takes over on request: the primary pauses, the replica catches up, votes are asked for.

use crate::{
    effect::{Effect, Refusal, Reply},
    ids::{LinkId, NodeId},
    input::{FailoverMode, Replication},
    message::{Body, Flags, Header, Message, MessageFlags},
    mutant::Mutant,
    node::{Election, ManualFailover},
    peer::Pos,
    rule::Rule,
    step::Turn,
};

impl<const SLOTS: usize> Turn<'_, SLOTS> {
    /// CLUSTER FAILOVER. All but TAKEOVER answer before anything has happened.
    pub(crate) fn failover(&mut self, mode: FailoverMode) -> Result<Reply, Refusal> {
        let primary = self.primary_to_replace(mode).inspect_err(|_| self.rule(Rule::ManualRefused))?;
        self.end_manual_failover();
        let end = self.now.after(self.node.config.timing.manual_failover_ms);
        let can_start = mode != FailoverMode::Coordinated;
        if self.node.config.profile.manual_failover_at_once {
            self.node.election = Election { epoch: self.node.election.epoch, ..Election::default() };
        }
        self.node.manual = Some(ManualFailover { end, replica: None, primary_offset: None, can_start });
        match mode {
            FailoverMode::Takeover => {
                self.rule(Rule::ManualTakeover);
                self.bump_for_takeover();
                self.take_over();
            }
            FailoverMode::Force => {
                self.rule(Rule::ManualForced);
                self.failover_later();
            }
            FailoverMode::Coordinated => {
                self.rule(Rule::ManualAsked);
                if let Some(number) = self.node.peers[primary].outbound {
                    let message = Message { header: self.header(), body: Body::ManualFailoverStart };
                    self.send(LinkId::Outbound(number), message);
                }
            }
        }
        Ok(Reply::Done)
    }

    fn primary_to_replace(&self, mode: FailoverMode) -> Result<Pos, Refusal> {
        if self.node.myself().is_primary() {
            return Err(Refusal::FailoverOnPrimary);
        }
        let primary = self.node.my_primary().ok_or(Refusal::PrimaryUnknown)?;
        let peer = &self.node.peers[primary];
        let is_down = peer.is(Flags::FAIL) || peer.outbound.is_none();
        if is_down && mode == FailoverMode::Coordinated { Err(Refusal::PrimaryDown) } else { Ok(primary) }
    }

    /// A replica asks this primary to pause.
    pub(super) fn asked_to_pause(&mut self, replica: Pos, link: LinkId) {
        let is_mine = self.node.peers[replica].primary == Some(self.node.id());
        if !is_mine || !self.node.myself().is_primary() {
            self.rule(Rule::ManualUnasked);
            return;
        }
        self.rule(Rule::ManualPaused);
        self.end_manual_failover();
        let pause_ms = self.node.config.timing.manual_failover_ms;
        let end = self.now.after(pause_ms);
        let replica: NodeId = self.node.peers[replica].id;
        self.node.manual = Some(ManualFailover { end, replica: Some(replica), primary_offset: None, can_start: false });
        if self.unless(Mutant::PauseForgotten) {
            self.perform(Effect::PauseWrites { until: self.now.after(pause_ms.saturating_mul(2)) });
        }
        self.send_ping_on(link);
    }

    /// Takes the offset at which the primary paused.
    pub(super) fn hear_pause(&mut self, sender: Pos, header: &Header<SLOTS>) {
        let is_from_primary = self.node.my_primary() == Some(sender) && header.mflags.contains(MessageFlags::PAUSED);
        let forgets_zero = self.is_mutant(Mutant::OffsetZeroUnset);
        if let Some(manual) =
            self.node.manual.as_mut().filter(|manual| is_from_primary && manual.primary_offset.is_none())
        {
            manual.primary_offset = Some(header.offset).filter(|&offset| offset > 0 || !forgets_zero);
            self.rule(Rule::ManualOffset);
            self.failover_later();
        }
    }

    /// How replication stands has changed.
    pub(crate) fn replicated(&mut self, replication: Replication) {
        self.node.replication = replication;
        let me = self.node.me;
        self.node.peers[me].offset = replication.offset;
        if self.node.manual.is_some() {
            self.failover_later();
        }
    }

    /// Lets a replica that has caught up with its paused primary ask for votes.
    pub(crate) fn manual_failover_step(&mut self) {
        let offset = self.node.replication.offset;
        let is_hasty = self.is_mutant(Mutant::CatchUpSkipped);
        let has_caught_up = |manual: &&mut ManualFailover| {
            let target = manual.primary_offset;
            !manual.can_start && (target == Some(offset) || (is_hasty && target.is_some()))
        };
        if self.node.my_primary().is_none() {
            return;
        }
        if let Some(manual) = self.node.manual.as_mut().filter(has_caught_up) {
            manual.can_start = true;
            self.rule(Rule::ManualCaughtUp);
        }
    }

    pub(super) fn check_manual_failover_timeout(&mut self) {
        let may_end = self.unless(Mutant::ManualForEver);
        if may_end && self.node.manual.is_some_and(|manual| manual.end < self.now) {
            self.rule(Rule::ManualTimeout);
            self.end_manual_failover();
        }
    }

    /// Ends a manual failover, if one is under way; a primary lets its clients write again.
    pub(super) fn end_manual_failover(&mut self) {
        if self.node.manual.take().is_some_and(|manual| manual.replica.is_some()) {
            self.perform(Effect::ResumeWrites);
        }
    }
}
