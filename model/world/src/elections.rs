//! Owns what must hold of elections, and the record of votes and wins that it takes to see it.
//! Knows an election only by the rules that fired, what was sent and what nodes hold.

use crate::{ghost::Ghost, invariants::Seen, place::Place};
use slotbus_core::{Body, Flags, Message, Node, Peer, Rule, message::MessageFlags};
use smallvec::SmallVec;

/// Every vote and every win in an epoch that still matters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Elections {
    /// Ascending.
    votes: SmallVec<[Vote; 4]>,
    /// Epochs with who was elected in them, ascending.
    wins: SmallVec<[(u64, Place); 2]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Vote {
    epoch: u64,
    voter: Place,
    candidate: Place,
}

impl Elections {
    /// Notes the vote or the win of a step.
    pub(crate) fn note<const SLOTS: usize>(&mut self, seen: &Seen<'_, SLOTS>) {
        if let Some(vote) = vote_of(seen) {
            insert(&mut self.votes, vote);
        }
        if has_fired(seen, Rule::ElectWon) {
            self.wins.push((seen.after.election().epoch, seen.place));
            self.wins.sort_unstable();
        }
    }

    /// Whether anything belongs to an epoch before `epoch`.
    pub(crate) fn has_before(&self, epoch: u64) -> bool {
        self.votes.iter().any(|vote| vote.epoch < epoch) || self.wins.iter().any(|win| win.0 < epoch)
    }

    /// Drops what belongs to epochs before `epoch`: nobody can vote, count or win in them any more.
    pub(crate) fn drop_before(&mut self, epoch: u64) {
        self.votes.retain(|vote| vote.epoch >= epoch);
        self.wins.retain(|win| win.0 >= epoch);
    }

    fn votes_for(&self, candidate: Place, epoch: u64) -> usize {
        self.votes.iter().filter(|vote| (vote.candidate, vote.epoch) == (candidate, epoch)).count()
    }
}

/// The least epoch in which a node can still vote, count votes or win.
pub(crate) fn open_epoch<const SLOTS: usize>(node: &Node<SLOTS>) -> u64 {
    let election = node.election();
    let asked_in = election.asked.then_some(election.epoch);
    asked_in.map_or(node.current_epoch(), |epoch| epoch.min(node.current_epoch()))
}

fn insert<T: Ord + Copy>(sorted: &mut SmallVec<impl smallvec::Array<Item = T>>, item: T) {
    if let Err(index) = sorted.binary_search(&item) {
        sorted.insert(index, item);
    }
}

fn has_fired<const SLOTS: usize>(seen: &Seen<'_, SLOTS>, rule: Rule) -> bool {
    seen.effects.rules.contains(&rule)
}

fn vote_of<const SLOTS: usize>(seen: &Seen<'_, SLOTS>) -> Option<Vote> {
    let message = seen.cause.message().filter(|_| has_fired(seen, Rule::ElectVoted))?;
    let candidate = seen.setup.owner_of(&message.header.sender)?;
    Some(Vote { epoch: seen.after.last_vote_epoch(), voter: seen.place, candidate })
}

pub(crate) fn vote_once<const SLOTS: usize>(_: &Seen<'_, SLOTS>, ghost: &Ghost) -> bool {
    let is_twice = |pair: &[Vote]| (pair[0].epoch, pair[0].voter) == (pair[1].epoch, pair[1].voter);
    !ghost.elections.votes.windows(2).any(is_twice)
}

/// Both sides of an election have a reason for it.
pub(crate) fn vote_due<const SLOTS: usize>(seen: &Seen<'_, SLOTS>, _: &Ghost) -> bool {
    let Some(before) = seen.before else { return true };
    let has_failed = |replica: &Peer<SLOTS>| {
        let primary = replica.primary.and_then(|id| before.peers().get(&id));
        primary.is_some_and(|primary| primary.is(Flags::FAIL))
    };
    let asks =
        !has_fired(seen, Rule::ElectAsked) || seen.after.manual_failover().is_some() || has_failed(seen.after.myself());
    let votes = seen.cause.message().filter(|_| has_fired(seen, Rule::ElectVoted)).is_none_or(|message| {
        let is_wanted = message.header.mflags.contains(MessageFlags::FORCEACK);
        let candidate = before.peers().get(&message.header.sender);
        before.myself().is_voter() && (is_wanted || candidate.is_some_and(has_failed))
    });
    asks && votes
}

/// A vote that an administrator asked for makes no difference to the next one that is not.
pub(crate) fn votes_spaced<const SLOTS: usize>(seen: &Seen<'_, SLOTS>, _: &Ghost) -> bool {
    let asked = seen.cause.message().filter(|_| has_fired(seen, Rule::ElectVoted));
    let (Some(before), Some(message)) = (seen.before, asked) else { return true };
    let spacing_ms = before.config().timing.report_valid_ms();
    let primary = before.peers().get(&message.header.sender).and_then(|candidate| candidate.primary);
    let voted_at = primary.and_then(|id| before.peers().get(&id)).and_then(|primary| primary.voted_at);
    let is_manual = message.header.mflags.contains(MessageFlags::FORCEACK);
    is_manual || voted_at.is_none_or(|at| seen.now.since(at) >= spacing_ms)
}

pub(crate) fn unique_winner<const SLOTS: usize>(_: &Seen<'_, SLOTS>, ghost: &Ghost) -> bool {
    !ghost.elections.wins.windows(2).any(|pair| pair[0].0 == pair[1].0)
}

pub(crate) fn durable_vote<const SLOTS: usize>(seen: &Seen<'_, SLOTS>, _: &Ghost) -> bool {
    let is_saved = |message: &Message<SLOTS>| {
        message.body != Body::FailoverAuthAck || seen.disk.last_vote_epoch >= message.header.current_epoch
    };
    seen.sent().all(is_saved)
}

pub(crate) fn request_saved<const SLOTS: usize>(seen: &Seen<'_, SLOTS>, _: &Ghost) -> bool {
    let is_saved = |message: &Message<SLOTS>| {
        message.body != Body::FailoverAuthRequest || seen.disk.current_epoch >= message.header.current_epoch
    };
    seen.sent().all(is_saved)
}

pub(crate) fn elected_has_quorum<const SLOTS: usize>(seen: &Seen<'_, SLOTS>, ghost: &Ghost) -> bool {
    let Some(before) = seen.before.filter(|_| has_fired(seen, Rule::ElectWon)) else { return true };
    let epoch = seen.after.election().epoch;
    let replaced = before.myself().primary.and_then(|primary| before.peers().get(&primary));
    let is_newer = replaced.is_none_or(|primary| epoch > primary.config_epoch);
    is_newer && ghost.elections.votes_for(seen.place, epoch) > before.size() / 2
}

pub(crate) fn no_stale_vote<const SLOTS: usize>(seen: &Seen<'_, SLOTS>, _: &Ghost) -> bool {
    let Some(message) = seen.cause.message().filter(|_| has_fired(seen, Rule::ElectVoted)) else { return true };
    let is_newer = |slot| {
        let owner = seen.after.owner(slot).filter(|_| !seen.after.unclaimed().contains(slot));
        owner.is_some_and(|owner| owner.id != message.header.sender && owner.config_epoch > message.header.config_epoch)
    };
    let is_answer = seen.after.last_vote_epoch() == message.header.current_epoch;
    is_answer && !message.header.slots.iter().any(is_newer)
}

pub(crate) fn count_once<const SLOTS: usize>(seen: &Seen<'_, SLOTS>, ghost: &Ghost) -> bool {
    let counted = seen.cause.message().filter(|_| has_fired(seen, Rule::ElectCounted));
    let (Some(before), Some(message)) = (seen.before, counted) else { return true };
    let voter = seen.setup.owner_of(&message.header.sender);
    let (epoch, candidate) = (before.election().epoch, seen.place);
    let is_answer = voter.is_some_and(|voter| ghost.elections.votes.contains(&Vote { epoch, voter, candidate }));
    let is_voter = before.peers().get(&message.header.sender).is_some_and(Peer::is_voter);
    is_voter
        && is_answer
        && message.header.current_epoch == epoch
        && !before.election().voters.contains(&message.header.sender)
}

/// Assumes that the driver calls a replica fresh only once it is in step with the primary that it was last told to
/// follow, or with one of its shard before it, and a replica validity factor.
pub(crate) fn no_foreign_history<const SLOTS: usize>(seen: &Seen<'_, SLOTS>, _: &Ghost) -> bool {
    let (Some(before), Some(data)) = (seen.before, (seen.data)(seen.place)) else { return true };
    let is_manual = before.manual_failover().or(seen.after.manual_failover()).is_some();
    let is_automatic = has_fired(seen, Rule::ElectAsked) && !is_manual;
    let factor = before.config().replica_validity_factor;
    let primary = before.myself().primary.and_then(|id| seen.setup.owner_of(&id));
    !is_automatic || factor == 0 || (data.fresh_at.is_some() && data.follows == primary)
}

pub(crate) fn manual_lossless<const SLOTS: usize>(seen: &Seen<'_, SLOTS>, _: &Ghost) -> bool {
    let Some(before) = seen.before.filter(|_| has_fired(seen, Rule::ElectWon)) else { return true };
    let caught_up = before.manual_failover().filter(|manual| manual.can_start);
    let paused_at = caught_up.and_then(|manual| manual.primary_offset);
    let primary = before.myself().primary.and_then(|id| seen.setup.owner_of(&id));
    let (Some(_), Some(primary)) = (paused_at, primary) else { return true };
    let (old, new) = ((seen.data)(primary), (seen.data)(seen.place));
    old.map(|data| data.offset) == new.map(|data| data.offset)
}
