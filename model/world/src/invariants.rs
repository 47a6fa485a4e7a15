//! Owns what must hold in every world, whatever happens: one plain function for each property.
//! Knows rules only by their names in effects; it judges nodes by what they hold and send.
//!
//! Every property is judged at the step that could break it, and only at the node that stepped:
//! nothing that one node does changes another. What is broken is remembered in the world's ghost,
//! so that a checker asks the same question of every state.

use crate::{
    cause::Cause,
    claims::{data_follows_slot, honest_update, keys_go_first, no_orphan_slot, setslot_sticks},
    data::Data,
    elections::{
        count_once, durable_vote, elected_has_quorum, manual_lossless, no_foreign_history, no_stale_vote,
        request_saved, unique_winner, vote_due, vote_once, votes_spaced,
    },
    ghost::Ghost,
    host::own_view,
    judgement::{
        Change, changes, claim_is_saved, current_dominates, epochs_rise, fails_by_majority, is_failed_by_majority,
        is_itself, marks_have_owners, replicas_own_nothing, reporters_are_known, state_is_sound, table_agrees,
        takes_by_epoch, ways_end, yields_to_collision,
    },
    place::Place,
    roles::{barrier_kept, handed_over, migration_needed, no_follow_dead, no_stale_role},
    setup::Setup,
    world::World,
};
use slotbus_core::{
    Body, ClusterState, Command, Durable, Effect, Effects, Flags, LinkId, Message, Millis, Node, NodeId, NodeView,
    Origin, Peer, Reply, Rule, message::Claim, peer::Report,
};

/// One step of one node, as an invariant sees it.
pub struct Seen<'a, const SLOTS: usize> {
    /// The world's setup.
    pub setup: &'a Setup,
    /// Where the node runs.
    pub place: Place,
    /// What its clock shows.
    pub now: Millis,
    /// The node before; none if it has only just started.
    pub before: Option<&'a Node<SLOTS>>,
    /// The node after.
    pub after: &'a Node<SLOTS>,
    /// What happened.
    pub cause: &'a Cause<SLOTS>,
    /// What it asked for.
    pub effects: &'a Effects<SLOTS>,
    /// Its disk once it saved.
    pub disk: &'a Durable<SLOTS>,
    /// What a host holds of the data before the step; none where hosts cannot see each other.
    pub data: &'a dyn Fn(Place) -> Option<&'a Data<SLOTS>>,
}

/// Generates [`Invariant`] and its catalogue from one table.
macro_rules! invariants {
    ($($name:ident $id:literal $check:ident $sentence:literal $assumes:literal;)+) => {
        /// A property that must hold in every world.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Invariant {
            $(#[doc = $sentence] $name,)+
        }

        impl Invariant {
            /// Every invariant.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Its name in reports: the number in the list of properties, and a word.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self { $(Self::$name => concat!($id, " ", stringify!($name)),)+ }
            }

            /// What must hold.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence,)+ }
            }

            /// Under which assumptions.
            #[must_use]
            pub const fn assumes(self) -> &'static str {
                match self { $(Self::$name => $assumes,)+ }
            }

            fn holds<const SLOTS: usize>(self, seen: &Seen<'_, SLOTS>, ghost: &Ghost) -> bool {
                match self { $(Self::$name => $check(seen, ghost),)+ }
            }
        }
    };
}

invariants! {
    VoteOnce "S1" vote_once "No voter votes for two candidates in one epoch, restarts included." "";
    DurableVote "S2" durable_vote "No vote leaves before its epoch is on the voter's disk." "";
    ElectedHasQuorum "S3" elected_has_quorum "Who wins an election has the votes, in its epoch, of a majority of the voters that it counts, and that epoch is newer than the claim that it replaces." "";
    UniqueWinner "S4" unique_winner "No epoch sees two wins, neither of two nodes nor of one." "all count the same voters";
    VotesSpaced "S5" votes_spaced "No voter votes for two replicas of one primary within twice the node timeout, unless an administrator asked for it." "no restart of the voter";
    NoStaleVote "S5" no_stale_vote "No vote goes to a request of an epoch that has passed, nor to a claim older than what the voter recorded of a claimed slot's owner, if that still claims it." "";
    VoteDue "S5" vote_due "No replica asks for votes, and no owner of slots gives one, unless its primary is held failed or an administrator wants it replaced; nobody else votes." "";
    CountOnce "S27" count_once "A candidate counts each owner of slots once, nobody else, and only the answer to its own request." "";
    NoFollowDead "S22" no_follow_dead "No node chooses a failed node as its primary of its own accord, unless it heads its own shard, nor a replica when it is told whom to replicate." "";
    ManualLossless "S23" manual_lossless "Who wins a manual failover that its primary paused for has every write of that primary." "nobody stalls for as long as the pause lasts";
    NoForeignHistory "S24" no_foreign_history "No replica stands for election of its own accord without having been in step with the history of the primary that failed." "the driver calls it fresh only once it is in step; a validity factor";
    Monotone "S6" monotone "No epoch that a node holds ever falls, and none but those that replicas echo is below its disk after a restart." "no RESET HARD; no power loss without sync";
    CurDominates "S7" cur_dominates "A node's current epoch is at least every config epoch in its table." "";
    EpochFresh "S7" epoch_fresh "An epoch in which a node asks for votes, and one that it takes without any, exceeds every epoch that it has seen; a replica that starts has none." "";
    RequestSaved "S8" request_saved "No request for votes carries an epoch that is not on its sender's disk." "process kill";
    PersistBeforeClaim "S8" persist_before_claim "No header of a primary carries a config epoch that is not on its sender's disk." "process kill";
    TableConsistent "S9" table_consistent "A node's table of owners and its sets of slots say the same, no slot is in two sets, and no owner of a slot imports it." "";
    ReplicaOwnsNothing "S10" replica_owns_nothing "No replica owns a slot, or has one open." "";
    EpochGuard "S11" epoch_guard "The bus takes a slot from its owner only for a claim of a greater epoch, which is recorded of the taker, or if the owner no longer claims it; an UPDATE only if it is newer than what is recorded." "";
    MarkHasOwner "S11" mark_has_owner "A slot that is marked as no longer claimed has an owner, who dropped it." "";
    ImageLoads "S25" image_loads "Every image that is saved can be loaded, and saving what was loaded gives it back." "";
    SelfWellFormed "S17" self_well_formed "A node is exactly one of primary and replica in its own table, a replica has a primary, nobody holds itself suspected or failed, and a RESET leaves nothing else." "";
    FailSound "S18" fail_sound "A node fails another only by reports of a majority of the voters it counts, because a member said that one did, or because another id answers at its address." "";
    ReportSound "S18" report_sound "A failure report is recorded only when a primary's gossip calls the node suspected or failed, once for each primary, and goes when its gossip does not." "";
    ReportersKnown "S19" reporters_known "Every failure report is by a node in the table." "";
    MembershipIsolation "S20" membership_isolation "Every member of a table was introduced to the node's cluster by an administrator." "addresses are not reused";
    NewcomersVouched "S20" newcomers_vouched "A node becomes a member only by answering a handshake, or through the gossip of a member." "";
    ForgetBan "S21" forget_ban "A forgotten node stays out while its ban lasts, unless an administrator introduces somebody." "no restart of the node that forgot";
    ManualBounded "L10" manual_bounded "No manual failover outlasts its time by more than a period of the node's work." "";
    CollisionYields "S26" collision_yields "A message makes a primary take a new epoch only if its sender is a primary of the same epoch and a greater id, or if it claims a slot for the node that a command took the slot from." "";
    HonestUpdate "S13" honest_update "Every UPDATE tells of a claim that its subject made, under that epoch or a later one." "no RESET";
    SetslotSticks "S14" setslot_sticks "A slot that a node was given is claimed under the greatest epoch that it knows, and leaves its shard only by another command, or for a claim under an epoch that was taken without knowing of the gift." "";
    NoStaleRole "S15" no_stale_role "No header changes a role that is older than what is recorded of the shard that it names." "";
    AcyclicGraph "S16" acyclic_graph "In every table the way from replica to primary ends, at a node that is in it." "";
    HandedOver "S12" handed_over "A slot whose owner steps down for a node of its own shard has an owner all along." "the owner's header claims under a newer epoch";
    MigrationNeeded "S30" migration_needed "A replica migrates only to a primary that has had no working replica for as long as the delay says." "as it sees them";
    BarrierKept "S30" barrier_kept "A replica migrates only if as many siblings as the barrier says stay." "siblings count as it sees them";
    NoOrphanSlot "S12" at_rest "In a world at rest every slot that was ever claimed has an owner." "no FORGET, DELSLOTS, FLUSHSLOTS or RESET";
    DataFollowsSlot "S29" at_rest "In a world at rest whoever owns a slot has the key that was written to it, unless a failover lost it that its primary did not pause for, or it was written at a primary that was replaced already." "";
    KeysGoFirst "S29" keys_go_first "No node gives a slot away of which it holds a key." "";
    HandshakeBounded "L6" handshake_bounded "No handshake outlasts its time by more than a period of the node's work." "";
    ServesLate "S28" serves_late "A primary serves only some time after it started, and after it last was in a minority." "";
    StateSound "S28" state_sound "Where the cluster is up, a majority of the voters is not suspected, and under full coverage every slot has an owner who has not failed." "";
}

/// Notes in the ghost what a step has broken.
pub fn check<const SLOTS: usize>(seen: &Seen<'_, SLOTS>, ghost: &mut Ghost) {
    for &invariant in Invariant::ALL {
        if !seen.setup.overlooked.contains(invariant) && !invariant.holds(seen, ghost) {
            ghost.broken.insert(invariant);
        }
    }
}

/// Notes in the ghost what does not hold of a world at rest: the network owes nothing, every command
/// was given, no slot is moving, and all running nodes agree on roles and owners.
pub(crate) fn check_at_rest<const SLOTS: usize>(setup: &Setup, world: &mut World<SLOTS>) {
    let judged =
        [(Invariant::NoOrphanSlot, no_orphan_slot(world)), (Invariant::DataFollowsSlot, data_follows_slot(world))];
    for (invariant, _) in
        judged.into_iter().filter(|(invariant, holds)| !holds && !setup.overlooked.contains(*invariant))
    {
        world.ghost_mut().broken.insert(invariant);
    }
}

/// What no single step can break is judged of worlds at rest.
fn at_rest<const SLOTS: usize>(_: &Seen<'_, SLOTS>, _: &Ghost) -> bool {
    true
}

impl<const SLOTS: usize> Seen<'_, SLOTS> {
    fn changes(&self) -> Vec<Change<'_, SLOTS>> {
        changes(self.before, self.after)
    }

    /// The member that `message` is from, in the node's view before it arrived.
    pub(crate) fn sender(&self, message: &Message<SLOTS>) -> Option<&Peer<SLOTS>> {
        let before = self.before?;
        let peer = before.peers().get(&message.header.sender)?;
        (!peer.is(Flags::HANDSHAKE) && peer.id != before.id()).then_some(peer)
    }

    /// Whether the step tells an administrator that all is done.
    pub(crate) fn says_done(&self) -> bool {
        let is_done = |effect: &Effect<SLOTS>| matches!(effect, Effect::Reply { reply: Reply::Done, .. });
        self.effects.then.iter().any(is_done)
    }

    /// The messages that the step sends.
    pub(crate) fn sent(&self) -> impl Iterator<Item = &Message<SLOTS>> {
        let effects = self.effects.then.iter();
        effects.filter_map(|effect| if let Effect::Send { message, .. } = effect { Some(&**message) } else { None })
    }
}

fn is_member<const SLOTS: usize>(peer: &&Peer<SLOTS>) -> bool {
    !peer.is(Flags::HANDSHAKE)
}

fn monotone<const SLOTS: usize>(seen: &Seen<'_, SLOTS>, _: &Ghost) -> bool {
    match seen.cause {
        Cause::Started(None) => true,
        Cause::Started(Some(image)) => {
            let is_kept =
                |own: &NodeView<SLOTS>| own.flags.contains(Flags::REPLICA) || seen.after.my_epoch() >= own.config_epoch;
            seen.after.current_epoch() >= image.current_epoch
                && seen.after.last_vote_epoch() >= image.last_vote_epoch
                && own_view(image).is_some_and(is_kept)
        }
        Cause::LinkUp { .. }
        | Cause::LinkDown(_)
        | Cause::LinkRefused(_)
        | Cause::Received { .. }
        | Cause::Tick
        | Cause::Replicated(_)
        | Cause::Admin(_) => seen.before.is_none_or(|before| epochs_rise(before, seen.after, &seen.changes()).is_ok()),
    }
}

fn cur_dominates<const SLOTS: usize>(seen: &Seen<'_, SLOTS>, _: &Ghost) -> bool {
    current_dominates(seen.after, &seen.changes()).is_ok()
}

fn epoch_fresh<const SLOTS: usize>(seen: &Seen<'_, SLOTS>, _: &Ghost) -> bool {
    let Some(before) = seen.before else { return has_no_epoch(seen.after.myself()) };
    let asks = seen.effects.rules.contains(&Rule::ElectAsked);
    if asks && seen.after.election().epoch <= before.current_epoch() {
        return false;
    }
    let takes = |rule: &Rule| matches!(rule, Rule::EpochCollision | Rule::EpochBumped | Rule::ManualTakeover);
    if !seen.effects.rules.iter().any(takes) {
        return true;
    }
    let own = seen.after.myself().config_epoch;
    let others = seen.after.peers().iter().filter(|peer| peer.id != seen.after.id());
    own > before.current_epoch() && others.into_iter().all(|peer| peer.config_epoch < own)
}

/// A replica with a primary: what was saved of its epoch is its primary's.
fn has_no_epoch<const SLOTS: usize>(own: &Peer<SLOTS>) -> bool {
    own.is_primary() || own.primary.is_none() || own.config_epoch == 0
}

fn persist_before_claim<const SLOTS: usize>(seen: &Seen<'_, SLOTS>, _: &Ghost) -> bool {
    let saved = own_view(seen.disk).map_or(0, |own| own.config_epoch);
    seen.sent().all(|message| claim_is_saved(&message.header, saved).is_ok())
}

fn table_consistent<const SLOTS: usize>(seen: &Seen<'_, SLOTS>, _: &Ghost) -> bool {
    table_agrees(seen.after, &seen.changes()).is_ok()
}

fn replica_owns_nothing<const SLOTS: usize>(seen: &Seen<'_, SLOTS>, _: &Ghost) -> bool {
    replicas_own_nothing(seen.after, &seen.changes()).is_ok()
}

fn epoch_guard<const SLOTS: usize>(seen: &Seen<'_, SLOTS>, _: &Ghost) -> bool {
    let (Some(before), Some(message)) = (seen.before, seen.cause.message()) else { return true };
    let is_newer = |claim: &Claim<SLOTS>| {
        let recorded = before.peers().get(&claim.node).map_or(0, |peer| peer.config_epoch);
        claim.config_epoch > recorded || !seen.effects.rules.contains(&Rule::SlotUpdateTaken)
    };
    told_claim(message).is_none_or(is_newer) && takes_by_epoch(before, &seen.changes(), message).is_ok()
}

fn told_claim<const SLOTS: usize>(message: &Message<SLOTS>) -> Option<&Claim<SLOTS>> {
    if let Body::Update(claim) = &message.body { Some(claim) } else { None }
}

fn mark_has_owner<const SLOTS: usize>(seen: &Seen<'_, SLOTS>, _: &Ghost) -> bool {
    marks_have_owners(seen.after).is_ok()
}

fn image_loads<const SLOTS: usize>(seen: &Seen<'_, SLOTS>, _: &Ghost) -> bool {
    let Some(persist) = &seen.effects.persist else { return true };
    let config = seen.setup.hosts[seen.place.index()].config.clone();
    let origin = Origin::Restored(Box::new(seen.disk.clone()));
    let Ok((node, _)) = Node::start(config, origin, crate::clock::NOW) else { return false };
    // What is loaded may stand for more than was saved: a current epoch below a claim is raised.
    let mut again = crate::clock::canonical_image(node.durable());
    again.current_epoch = again.current_epoch.min(persist.image.current_epoch);
    without_echoes(again) == without_echoes(seen.disk.clone())
}

/// An image without the epochs of replicas: their lines echo the line of their primary, and while
/// that is itself a replica in this node's view, what they echo is dropped when it is loaded.
fn without_echoes<const SLOTS: usize>(mut image: Durable<SLOTS>) -> Durable<SLOTS> {
    for view in image.nodes.iter_mut().filter(|view| view.flags.contains(Flags::REPLICA)) {
        view.config_epoch = 0;
    }
    image
}

fn self_well_formed<const SLOTS: usize>(seen: &Seen<'_, SLOTS>, _: &Ghost) -> bool {
    let is_reset = matches!(seen.cause, Cause::Admin(Command::Reset { .. })) && seen.says_done();
    let is_alone = seen.after.peers().len() == 1 && seen.after.myself().slots.is_empty();
    // RESET HARD gives a new id, which stays.
    let id = match seen.before {
        _ if is_reset => seen.after.id(),
        Some(before) => before.id(),
        None => seen.setup.hosts[seen.place.index()].id,
    };
    let is_itself = is_itself(seen.after, id, &seen.changes()).is_ok();
    is_itself && (!is_reset || is_alone)
}

fn fail_sound<const SLOTS: usize>(seen: &Seen<'_, SLOTS>, _: &Ghost) -> bool {
    let Some(before) = seen.before else { return true };
    let mut tells = seen.sent().filter_map(|message| match &message.body {
        Body::Fail(id) => Some(id),
        Body::Ping(_)
        | Body::Pong(_)
        | Body::Meet(_)
        | Body::Publish(_)
        | Body::FailoverAuthRequest
        | Body::FailoverAuthAck
        | Body::Update(_)
        | Body::ManualFailoverStart
        | Body::Module(_)
        | Body::PublishShard(_) => None,
    });
    if is_replaced(seen, before) {
        return true;
    }
    let is_told = |id| {
        let subject = seen.after.peers().get(id);
        subject.is_some_and(|peer| is_failed_by_majority(before, seen.after, peer, seen.now))
    };
    fails_by_majority(before, seen.after, &seen.changes(), seen.cause.message(), seen.now).is_ok() && tells.all(is_told)
}

/// Whether a link to a member is answered by another id: that member fails, nobody else.
fn is_replaced<const SLOTS: usize>(seen: &Seen<'_, SLOTS>, before: &Node<SLOTS>) -> bool {
    let Cause::Received { link, message } = seen.cause else { return false };
    let at_end = before.links().get(*link).and_then(|link| link.peer).map(|pos| before.peers()[pos].id);
    let is_new = |peer: &Peer<SLOTS>| before.peers().get(&peer.id).is_some_and(|peer| !peer.is(Flags::FAIL));
    let mut failed = seen.after.peers().iter().filter(|peer| peer.is(Flags::FAIL) && is_new(peer));
    matches!(link, LinkId::Outbound(_))
        && at_end.is_some_and(|id| id != message.header.sender)
        && failed.all(|peer| Some(peer.id) == at_end)
        && seen.effects.rules.contains(&Rule::HandshakeWrongIdFailed)
}

fn report_sound<const SLOTS: usize>(seen: &Seen<'_, SLOTS>, _: &Ghost) -> bool {
    let Some(before) = seen.before else { return true };
    let earlier =
        |peer: &Peer<SLOTS>| before.peers().get(&peer.id).map(|peer| peer.reports.clone()).unwrap_or_default();
    let is_said = |by: &NodeId, about: &NodeId| {
        let message = seen.cause.message();
        message.filter(|message| message.header.sender == *by).is_some_and(|message| {
            let entries = message.heartbeat().into_iter().flat_map(|heartbeat| &heartbeat.gossip);
            let is_primary = seen.after.peers().get(by).is_some_and(Peer::is_primary);
            is_primary && entries.into_iter().any(|entry| entry.node == *about && is_failing(entry.flags))
        })
    };
    let is_taken_back = |by: &NodeId, about: &NodeId| {
        let is_primary = seen.after.peers().get(by).is_some_and(Peer::is_primary);
        let message = seen.cause.message().filter(|message| is_primary && message.header.sender == *by);
        let gossip = message.and_then(Message::heartbeat);
        let mut entries = gossip.into_iter().flat_map(|heartbeat| &heartbeat.gossip);
        entries.rfind(|entry| entry.node == *about).is_some_and(|entry| !is_failing(entry.flags))
    };
    seen.after.peers().iter().all(|peer| {
        let known = earlier(peer);
        let is_sound = |report: &Report| {
            (known.contains(report) || is_said(&report.by, &peer.id)) && !is_taken_back(&report.by, &peer.id)
        };
        let is_single = peer.reports.windows(2).all(|pair| pair[0].by != pair[1].by);
        is_single && peer.reports.iter().all(is_sound)
    })
}

fn is_failing(flags: Flags) -> bool {
    flags.intersects(Flags::PFAIL | Flags::FAIL)
}

fn reporters_known<const SLOTS: usize>(seen: &Seen<'_, SLOTS>, _: &Ghost) -> bool {
    reporters_are_known(seen.after).is_ok()
}

fn membership_isolation<const SLOTS: usize>(seen: &Seen<'_, SLOTS>, ghost: &Ghost) -> bool {
    seen.after.peers().iter().filter(is_member).all(|peer| {
        let owner = seen.setup.owner_of(&peer.id);
        owner.is_some_and(|owner| ghost.are_of_one_cluster(seen.place, owner))
    })
}

fn newcomers_vouched<const SLOTS: usize>(seen: &Seen<'_, SLOTS>, _: &Ghost) -> bool {
    let Some(before) = seen.before else { return true };
    let is_new = |peer: &&Peer<SLOTS>| before.peers().find(&peer.id).is_none();
    seen.after.peers().iter().filter(is_member).filter(is_new).all(|peer| is_vouched(seen, before, &peer.id))
}

fn is_vouched<const SLOTS: usize>(seen: &Seen<'_, SLOTS>, before: &Node<SLOTS>, id: &NodeId) -> bool {
    let Cause::Received { link, message } = seen.cause else { return false };
    let at_end = before.links().get(*link).and_then(|link| link.peer).map(|pos| &before.peers()[pos]);
    let is_handshake = at_end.is_some_and(|peer| peer.is(Flags::HANDSHAKE));
    // Whoever answers a handshake is a member from then on, and may vouch for others in that very answer.
    let is_introduced = matches!(link, LinkId::Outbound(_)) && is_handshake;
    let is_told = message.heartbeat().is_some_and(|heartbeat| heartbeat.gossip.iter().any(|entry| entry.node == *id));
    (is_introduced && message.header.sender == *id) || (is_told && (is_introduced || seen.sender(message).is_some()))
}

fn forget_ban<const SLOTS: usize>(seen: &Seen<'_, SLOTS>, ghost: &Ghost) -> bool {
    seen.after.peers().iter().filter(is_member).all(|peer| {
        let owner = seen.setup.owner_of(&peer.id);
        owner.is_none_or(|owner| !ghost.is_banned(seen.place, owner))
    })
}

fn collision_yields<const SLOTS: usize>(seen: &Seen<'_, SLOTS>, _: &Ghost) -> bool {
    let (Some(before), Some(message)) = (seen.before, seen.cause.message()) else { return true };
    yields_to_collision(before, seen.after, message).is_ok()
}

fn acyclic_graph<const SLOTS: usize>(seen: &Seen<'_, SLOTS>, _: &Ghost) -> bool {
    let table = seen.after.peers();
    let is_known = |peer: &Peer<SLOTS>| peer.primary.is_none_or(|primary| table.find(&primary).is_some());
    table.iter().all(is_known) && ways_end(seen.after, &seen.changes()).is_ok()
}

fn manual_bounded<const SLOTS: usize>(seen: &Seen<'_, SLOTS>, _: &Ghost) -> bool {
    let period_ms = seen.after.config().cron_ms();
    let is_over = |end: Millis| *seen.cause == Cause::Tick && end.after(period_ms) < seen.now;
    !seen.after.manual_failover().is_some_and(|manual| is_over(manual.end))
}

fn handshake_bounded<const SLOTS: usize>(seen: &Seen<'_, SLOTS>, _: &Ghost) -> bool {
    let timing = &seen.after.config().timing;
    let time_ms = timing.handshake_timeout_ms() + seen.after.config().cron_ms();
    let is_over = |peer: &Peer<SLOTS>| peer.is(Flags::HANDSHAKE) && seen.now.since(peer.created) > time_ms;
    *seen.cause != Cause::Tick || !seen.after.peers().iter().any(is_over)
}

fn serves_late<const SLOTS: usize>(seen: &Seen<'_, SLOTS>, _: &Ghost) -> bool {
    let was_down = seen.before.is_some_and(|before| before.state() == ClusterState::Fail);
    let begins = was_down && seen.after.state() == ClusterState::Ok && seen.after.myself().is_primary();
    let timing = &seen.after.config().timing;
    let is_late = |since: Option<Millis>, ms| since.is_none_or(|since| seen.now.since(since) >= ms);
    let is_safe = is_late(seen.after.first_evaluated(), timing.writable_delay_ms)
        && is_late(seen.after.minority_at(), timing.rejoin_ms());
    !begins || is_safe
}

fn state_sound<const SLOTS: usize>(seen: &Seen<'_, SLOTS>, _: &Ghost) -> bool {
    state_is_sound(seen.after).is_ok()
}
