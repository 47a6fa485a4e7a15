//! Slots that no command names one by one, and that share an owner, behave alike: a node with few
//! slots stands for one with 16384. A model may therefore use a few, one for each class of slots.

mod arbitrary;

use arbitrary::{SLOTS as CLASSES, START, any_inputs, config, id};
use proptest::prelude::*;
use slotbus_core::{
    Body, CLUSTER_SLOTS, Command, Effect, Event, Header, Input, Message, Node, NodeId, Origin, Random, Refusal, Reply,
    Rule, Slot, SlotSet, message::Claim, step,
};
use std::collections::BTreeMap;

type Small = Node<CLASSES>;
type Large = Node<CLUSTER_SLOTS>;

/// Commands may name the slots of these classes one by one: they hold one slot each.
const SINGLE: usize = 2;

/// The first slot of each class, and the end: classes are runs, so that "the first slot that" is in
/// "the first class that".
fn bounds() -> [usize; CLASSES + 1] {
    [0, 1, 2, 100, 5461, 5462, 10923, 16000, CLUSTER_SLOTS]
}

fn class(slot: Slot) -> Slot {
    Slot(bounds().iter().filter(|&&start| start <= slot.index()).count() as u16 - 1)
}

fn members(class: Slot) -> Vec<Slot> {
    let run = bounds()[class.index()]..bounds()[class.index() + 1];
    run.map(|slot| Slot(slot as u16)).collect()
}

fn expand_list(slots: &[Slot]) -> Vec<Slot> {
    let expand = |&slot: &Slot| if slot.index() < CLASSES { members(slot) } else { vec![Slot(CLUSTER_SLOTS as u16)] };
    slots.iter().flat_map(expand).collect()
}

fn expand(slots: &SlotSet<CLASSES>) -> SlotSet<CLUSTER_SLOTS> {
    slots.iter().flat_map(members).collect()
}

/// The classes of a set that holds each of them whole or not at all.
fn project(slots: &SlotSet<CLUSTER_SLOTS>) -> SlotSet<CLASSES> {
    let classes: SlotSet<CLASSES> = slots.iter().map(class).collect();
    assert_eq!(&expand(&classes), slots, "a class is split");
    classes
}

fn map_header<const FROM: usize, const TO: usize>(
    header: Header<FROM>,
    map: impl Fn(&SlotSet<FROM>) -> SlotSet<TO>,
) -> Header<TO> {
    let Header { sender, current_epoch, config_epoch, offset, slots, primary, address, flags, state, mflags } = header;
    let slots = map(&slots);
    Header { sender, current_epoch, config_epoch, offset, slots, primary, address, flags, state, mflags }
}

fn map_message<const FROM: usize, const TO: usize>(
    message: Message<FROM>,
    map: impl Fn(&SlotSet<FROM>) -> SlotSet<TO>,
) -> Message<TO> {
    let body = match message.body {
        Body::Ping(heartbeat) => Body::Ping(heartbeat),
        Body::Pong(heartbeat) => Body::Pong(heartbeat),
        Body::Meet(heartbeat) => Body::Meet(heartbeat),
        Body::Fail(id) => Body::Fail(id),
        Body::Publish(publication) => Body::Publish(publication),
        Body::FailoverAuthRequest => Body::FailoverAuthRequest,
        Body::FailoverAuthAck => Body::FailoverAuthAck,
        Body::Update(Claim { node, config_epoch, slots }) => {
            Body::Update(Claim { node, config_epoch, slots: map(&slots) })
        }
        Body::ManualFailoverStart => Body::ManualFailoverStart,
        Body::Module(message) => Body::Module(message),
        Body::PublishShard(publication) => Body::PublishShard(publication),
    };
    Message { header: map_header(message.header, map), body }
}

/// The same event in the large cluster; none if it names a slot of a class that may not be named.
fn expand_event(event: Event<CLASSES>) -> Option<Event<CLUSTER_SLOTS>> {
    Some(match event {
        Event::LinkUp { link, local, remote } => Event::LinkUp { link, local, remote },
        Event::LinkDown { link } => Event::LinkDown { link },
        Event::LinkRefused { link } => Event::LinkRefused { link },
        Event::Received { link, message } => Event::Received { link, message: Box::new(map_message(*message, expand)) },
        Event::Tick => Event::Tick,
        Event::Admin { request, command } => {
            if matches!(command, Command::SetSlot { slot, .. } if slot.index() >= SINGLE) {
                return None;
            }
            let command = match &command {
                Command::AddSlots(slots) => Command::AddSlots(expand_list(slots)),
                Command::DelSlots(slots) => Command::DelSlots(expand_list(slots)),
                Command::Meet { .. }
                | Command::Forget(_)
                | Command::BumpEpoch
                | Command::SetConfigEpoch(_)
                | Command::SaveConfig
                | Command::FlushSlots { .. }
                | Command::SetSlot { .. }
                | Command::Replicate { .. }
                | Command::Failover(_)
                | Command::Reset { .. }
                | Command::Publish { .. } => command,
            };
            Event::Admin { request, command }
        }
        Event::Configured(config) => Event::Configured(config),
        Event::Loaded { slots } => {
            let named: SlotSet<CLASSES> = slots.iter().filter(|slot| slot.index() < SINGLE).collect();
            return (named == slots).then(|| Event::Loaded { slots: expand(&named) });
        }
        Event::Replication(replication) => Event::Replication(replication),
        Event::Backlogged { link } => Event::Backlogged { link },
    })
}

fn project_effect(effect: Effect<CLUSTER_SLOTS>) -> Effect<CLASSES> {
    match effect {
        Effect::Connect { link, address } => Effect::Connect { link, address },
        Effect::Close { link } => Effect::Close { link },
        Effect::Send { link, message } => Effect::Send { link, message: Box::new(map_message(*message, project)) },
        Effect::Follow { primary, address, shard } => Effect::Follow { primary, address, shard },
        Effect::Lead => Effect::Lead,
        Effect::PauseWrites { until } => Effect::PauseWrites { until },
        Effect::ResumeWrites => Effect::ResumeWrites,
        Effect::DropKeys { slots } => Effect::DropKeys { slots: project(&slots) },
        Effect::DropAllKeys => Effect::DropAllKeys,
        Effect::Deliver { publication, sharded } => Effect::Deliver { publication, sharded },
        Effect::Reply { request, reply } => Effect::Reply { request, reply: project_reply(reply) },
    }
}

fn project_reply(reply: Reply) -> Reply {
    match reply {
        Reply::Refused(Refusal::SlotBusy(slot)) => Reply::Refused(Refusal::SlotBusy(class(slot))),
        Reply::Refused(Refusal::SlotUnassigned(slot)) => Reply::Refused(Refusal::SlotUnassigned(class(slot))),
        Reply::Refused(Refusal::SlotRepeated(slot)) => Reply::Refused(Refusal::SlotRepeated(class(slot))),
        Reply::Done | Reply::Bumped(_) | Reply::Still(_) | Reply::Refused(_) => reply,
    }
}

/// What of a node depends on slots, in terms of classes, with the epochs that decide about them.
#[derive(Debug, PartialEq, Eq)]
struct Ownership {
    owners: BTreeMap<NodeId, (u64, SlotSet<CLASSES>)>,
    unclaimed: SlotSet<CLASSES>,
    moves: [BTreeMap<Slot, NodeId>; 2],
    epochs: (u64, u64, usize),
}

fn of_small(node: &Small) -> Ownership {
    Ownership {
        owners: node.peers().iter().map(|peer| (peer.id, (peer.config_epoch, peer.slots.clone()))).collect(),
        unclaimed: node.unclaimed().clone(),
        moves: [node.migrating().clone(), node.importing().clone()],
        epochs: (node.current_epoch(), node.last_vote_epoch(), node.size()),
    }
}

fn of_large(node: &Large) -> Ownership {
    Ownership {
        owners: node.peers().iter().map(|peer| (peer.id, (peer.config_epoch, project(&peer.slots)))).collect(),
        unclaimed: project(node.unclaimed()),
        moves: [node.migrating().clone(), node.importing().clone()],
        epochs: (node.current_epoch(), node.last_vote_epoch(), node.size()),
    }
}

/// Rules that fire slot by slot are raised once for a run of them; how the runs fall is not compared.
fn without_repeats(rules: &[Rule]) -> Vec<Rule> {
    let mut rules = rules.to_vec();
    rules.sort();
    rules.dedup();
    rules
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn a_few_slots_stand_for_all(inputs in any_inputs()) {
        let config = std::sync::Arc::new(config(true));
        let mut small = Small::start(config.clone(), Origin::Fresh(id(3)), START).expect("it starts").0;
        let mut large = Large::start(config, Origin::Fresh(id(3)), START).expect("it starts").0;
        let mut now = START;
        for (pause_ms, word, event) in inputs {
            let Some(expanded) = expand_event(event.clone()) else { continue };
            now = now.after(pause_ms);
            let random = Random::new(word);
            let few = step(&mut small, Input { now, random, event });
            let all = step(&mut large, Input { now, random, event: expanded });
            prop_assert_eq!(without_repeats(&few.rules), without_repeats(&all.rules));
            prop_assert_eq!(few.persist.is_some(), all.persist.is_some());
            prop_assert_eq!(few.then, all.then.into_iter().map(project_effect).collect::<Vec<_>>());
            prop_assert_eq!(of_small(&small), of_large(&large));
        }
    }
}
