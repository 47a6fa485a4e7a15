//! How epochs rise: heard from others, taken in a collision, bumped or set on request.

use crate::{
    effect::{Refusal, Reply},
    message::Header,
    mutant::Mutant,
    peer::Pos,
    rule::Rule,
    step::{Save, Turn},
};

impl<const SLOTS: usize> Turn<'_, SLOTS> {
    /// Takes over the epochs in a member's header. That of its claim is recorded together with what is
    /// claimed, which only heartbeats are asked for: else it would be recorded for slots that are not.
    pub(super) fn hear_epochs(&mut self, pos: Pos, header: &Header<SLOTS>, is_heartbeat: bool) {
        if header.current_epoch > self.node.current_epoch && self.unless(Mutant::EpochNotRaised) {
            self.rule(Rule::EpochRaised);
            self.node.current_epoch = header.current_epoch;
        }
        let profile = &self.node.config.profile;
        let counts = (header.primary.is_none() || !profile.epochs_from_primaries)
            && (is_heartbeat || !profile.epochs_with_claims);
        let recorded = self.node.peers[pos].config_epoch;
        let falls = header.config_epoch < recorded && self.is_mutant(Mutant::EpochFalls);
        if counts && (header.config_epoch > recorded || falls) {
            self.rule(Rule::EpochClaimRaised);
            self.node.peers[pos].config_epoch = header.config_epoch;
            self.save_heard();
        }
        if header.primary.is_none() && !header.slots.is_empty() {
            self.overtake_election(header.config_epoch);
        }
    }

    /// Two primaries must not claim under one epoch: the one with the smaller id takes a new one. A
    /// header that is older than what is recorded of its sender collides with nothing.
    pub(super) fn settle_collision(&mut self, pos: Pos, header: &Header<SLOTS>) {
        let (own, other) = (self.node.myself(), &self.node.peers[pos]);
        let epochs = [header.config_epoch, other.config_epoch];
        let collides =
            header.primary.is_none() && own.is_primary() && other.is_primary() && epochs == [own.config_epoch; 2];
        let yields = (own.id < other.id) != self.is_mutant(Mutant::CollisionGreaterMoves);
        let yields = yields && self.unless(Mutant::CollisionIgnored);
        if collides && (yields || self.is_mutant(Mutant::CollisionBothMove)) {
            self.rule(Rule::EpochCollision);
            self.take_new_epoch();
            self.tell_new_epoch();
        }
    }

    /// BUMPEPOCH.
    pub(crate) fn bump_on_request(&mut self) -> Reply {
        let reply = self.bump_epoch();
        if matches!(reply, Reply::Bumped(_)) {
            self.tell_new_epoch();
        }
        reply
    }

    fn tell_new_epoch(&mut self) {
        if self.node.config.profile.epoch_is_broadcast {
            self.broadcast_pong();
        }
    }

    pub(super) fn bump_epoch(&mut self) -> Reply {
        let claims = self.node.peers.iter().map(|peer| peer.config_epoch);
        let greatest = claims.max().unwrap_or_default().max(self.node.current_epoch);
        let own = self.node.myself().config_epoch;
        if own != 0 && own == greatest {
            self.rule(Rule::EpochStill);
            return Reply::Still(own);
        }
        self.rule(Rule::EpochBumped);
        if self.is_mutant(Mutant::BumpBehind) {
            self.node.current_epoch = own;
        }
        self.take_new_epoch();
        Reply::Bumped(self.node.current_epoch)
    }

    /// The epoch of a takeover. A replica's own record may hold the greatest epoch already; others
    /// would ignore a claim under it.
    pub(super) fn bump_for_takeover(&mut self) {
        if self.is_mutant(Mutant::TakeoverKeepsEpoch) {
            return;
        }
        if self.node.config.profile.takeover_always_bumps {
            self.rule(Rule::EpochBumped);
            let claims = self.node.peers.iter().map(|peer| peer.config_epoch);
            self.node.current_epoch = self.node.current_epoch.max(claims.max().unwrap_or_default());
            self.take_new_epoch();
        } else {
            self.bump_epoch();
        }
    }

    pub(super) fn take_new_epoch(&mut self) {
        if self.unless(Mutant::CollisionReusesEpoch) {
            self.node.current_epoch = self.node.current_epoch.saturating_add(1);
        }
        let (me, epoch) = (self.node.me, self.node.current_epoch);
        self.node.peers[me].config_epoch = epoch;
        if self.unless(Mutant::EpochNotSaved) {
            self.save(Save::Sync);
        }
    }

    pub(crate) fn set_config_epoch(&mut self, epoch: u64) -> Result<Reply, Refusal> {
        let refusal = if self.node.peers.len() > 1 {
            Some(Refusal::EpochNotAlone)
        } else if self.node.myself().config_epoch != 0 {
            Some(Refusal::EpochNotZero)
        } else {
            None
        };
        if let Some(refusal) = refusal {
            self.rule(Rule::EpochSetRefused);
            return Err(refusal);
        }
        self.rule(Rule::EpochSet);
        let me = self.node.me;
        self.node.peers[me].config_epoch = epoch;
        if self.unless(Mutant::SetEpochAlone) {
            self.node.current_epoch = self.node.current_epoch.max(epoch);
        }
        self.save(Save::Soon);
        self.evaluate_later();
        Ok(Reply::Done)
    }
}
