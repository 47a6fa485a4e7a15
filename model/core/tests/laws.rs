//! Laws of the step function, on arbitrary inputs from arbitrary reachable states.

mod arbitrary;

use arbitrary::{SLOTS, START, any_event, any_inputs, config, id};
use proptest::{collection::vec, prelude::*};
use slotbus_core::{
    Body, Effect, Effects, Event, Flags, Input, LinkId, Message, Millis, Node, Origin, Random, Slot, SlotSet,
    next_deadline, step,
};
use std::collections::BTreeSet;

fn start() -> Node<SLOTS> {
    Node::start(config(true).into(), Origin::Fresh(id(3)), START).expect("a fresh node starts").0
}

fn run(
    inputs: &[(u64, u64, Event<SLOTS>)],
    mut seen: impl FnMut(&Node<SLOTS>, &Effects<SLOTS>),
) -> (Node<SLOTS>, Millis) {
    let mut node = start();
    let mut now = START;
    for (pause_ms, word, event) in inputs {
        now = now.after(*pause_ms);
        let effects = step(&mut node, Input { now, random: Random::new(*word), event: event.clone() });
        seen(&node, &effects);
    }
    (node, now)
}

/// Slots of sets that take several words, the last of them in part.
const MANY: usize = 300;

fn slots() -> impl Strategy<Value = BTreeSet<u16>> {
    proptest::collection::btree_set(0..MANY as u16, 0..40)
}

/// Whether the tables of a node agree with each other.
fn assert_consistent(node: &Node<SLOTS>) {
    for (slot, owner) in node.owners().iter() {
        for pos in node.peers().positions() {
            let is_owner = owner == Some(pos);
            assert_eq!(node.peers()[pos].slots.contains(slot), is_owner, "slot {slot} of {:?}", node.peers()[pos].id);
        }
    }
    let ids: Vec<_> = node.peers().iter().map(|peer| peer.id).collect();
    assert!(ids.is_sorted_by(|left, right| left < right), "the table is sorted: {ids:?}");
    assert!(node.myself().is_any(Flags::MYSELF));
    assert_eq!(node.peers().iter().filter(|peer| peer.is(Flags::MYSELF)).count(), 1);
    for pos in node.peers().positions() {
        let peer = &node.peers()[pos];
        for link in [peer.outbound.map(LinkId::Outbound), peer.inbound.map(LinkId::Inbound)].into_iter().flatten() {
            assert_eq!(node.links().get(link).map(|link| link.peer), Some(Some(pos)), "{link:?}");
        }
    }
    for link in node.links().iter() {
        let Some(pos) = link.peer else { continue };
        let peer = &node.peers()[pos];
        let back = [peer.outbound.map(LinkId::Outbound), peer.inbound.map(LinkId::Inbound)];
        assert!(back.contains(&Some(link.id)), "{:?} leads to a node that does not have it", link.id);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn step_is_total_and_keeps_the_tables_consistent(inputs in any_inputs()) {
        run(&inputs, |node, _| assert_consistent(node));
    }

    #[test]
    fn step_is_deterministic(inputs in any_inputs()) {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        let one = run(&inputs, |_, effects| first.push(effects.clone()));
        let other = run(&inputs, |_, effects| second.push(effects.clone()));
        prop_assert_eq!(first, second);
        prop_assert_eq!(one, other);
    }

    #[test]
    fn effects_name_only_links_that_exist(inputs in any_inputs()) {
        let mut known: Vec<LinkId> = Vec::new();
        let mut now = START;
        let mut node = start();
        for (pause_ms, word, event) in inputs {
            now = now.after(pause_ms);
            match &event {
                Event::LinkUp { link: link @ LinkId::Inbound(_), .. } => known.push(*link),
                Event::LinkDown { link } | Event::LinkRefused { link } => known.retain(|other| other != link),
                Event::LinkUp { .. }
                | Event::Received { .. }
                | Event::Tick
                | Event::Admin { .. }
                | Event::Configured(_)
                | Event::Loaded { .. }
                | Event::Replication(_)
                | Event::Backlogged { .. } => {}
            }
            for effect in step(&mut node, Input { now, random: Random::new(word), event }).then {
                match effect {
                    Effect::Connect { link, .. } => {
                        prop_assert!(!known.contains(&link), "{link:?} is open");
                        known.push(link);
                    }
                    Effect::Close { link } => {
                        prop_assert!(known.contains(&link), "{link:?} is not open");
                        known.retain(|other| *other != link);
                    }
                    Effect::Send { link, .. } => prop_assert!(known.contains(&link), "{link:?} is not open"),
                    Effect::Reply { .. }
                    | Effect::Follow { .. }
                    | Effect::Lead
                    | Effect::PauseWrites { .. }
                    | Effect::ResumeWrites
                    | Effect::DropKeys { .. }
                    | Effect::DropAllKeys
                    | Effect::Deliver { .. } => {}
                }
            }
        }
    }

    #[test]
    fn a_shifted_clock_changes_nothing(inputs in any_inputs(), next in any_event(), shift_ms in 0u64..10_000_000) {
        let (node, now) = run(&inputs, |_, _| {});
        let (from, to) = (now, now.after(shift_ms));
        // Gossip and the state of replication carry instants, which a shift of the clock would have to translate.
        let is_heartbeat = |message: &Message<SLOTS>| message.heartbeat().is_some();
        let carries_instants = matches!(&next, Event::Replication(_))
            || matches!(&next, Event::Received { message, .. } if is_heartbeat(message));
        prop_assume!(!carries_instants);
        let mut stayed = node.clone();
        let mut moved = node.rebased(from, to);
        let stay = step(&mut stayed, Input { now: from, random: Random::new(7), event: next.clone() });
        let moving = step(&mut moved, Input { now: to, random: Random::new(7), event: next });
        prop_assert_eq!(stay.rules, moving.rules);
        prop_assert_eq!(stayed.rebased(from, to), moved.rebased(to, to));
    }

    #[test]
    fn what_is_saved_is_what_stands(inputs in any_inputs()) {
        let mut saved = start().durable();
        run(&inputs, |node, effects| {
            if let Some(persist) = &effects.persist {
                saved = *persist.image.clone();
            }
            // No header may show an epoch of this node's own that is not on disk.
            for effect in &effects.then {
                if let Effect::Send { message, .. } = effect {
                    let own = saved.nodes.iter().find(|view| view.id == node.id()).expect("the image has this node");
                    assert!(message.header.config_epoch <= own.config_epoch, "an epoch left before it was saved");
                    if message.body == Body::FailoverAuthAck {
                        assert_eq!(saved.last_vote_epoch, message.header.current_epoch, "a vote left before it was saved");
                    }
                    if message.body == Body::FailoverAuthRequest {
                        assert_eq!(saved.current_epoch, message.header.current_epoch, "an election began before it was saved");
                    }
                }
            }
        });
    }

    #[test]
    fn a_saved_node_starts_again_as_it_was(inputs in any_inputs()) {
        let (node, now) = run(&inputs, |_, _| {});
        let image = node.durable();
        let config = node.config().clone();
        let (restored, _) = Node::start(config, Origin::Restored(image.clone().into()), now).expect("an image loads");
        let again = restored.durable();
        prop_assert_eq!(again.last_vote_epoch, image.last_vote_epoch);
        prop_assert!(again.current_epoch >= image.current_epoch);
        prop_assert_eq!(restored.id(), node.id());
        for view in &image.nodes {
            let same = again.nodes.iter().find(|other| other.id == view.id).expect("every node is there");
            prop_assert_eq!(&same.slots, &view.slots);
            prop_assert_eq!(same.flags, view.flags);
        }
        assert_consistent(&restored);
    }

    #[test]
    fn deadlines_lie_ahead(inputs in any_inputs()) {
        let (mut node, now) = run(&inputs, |_, _| {});
        let deadline = next_deadline(&node).at.max(now);
        let _ = step(&mut node, Input { now: deadline, random: Random::new(1), event: Event::Tick });
        prop_assert!(next_deadline(&node).at > deadline);
    }

    #[test]
    fn inputs_and_effects_survive_their_text_form(inputs in any_inputs()) {
        let mut now = START;
        let mut node = start();
        for (pause_ms, word, event) in inputs {
            now = now.after(pause_ms);
            let input = Input { now, random: Random::new(word), event };
            let text = serde_json::to_string(&input).expect("an input is written");
            prop_assert_eq!(&serde_json::from_str::<Input<SLOTS>>(&text).expect("and read"), &input);
            let mut effects = step(&mut node, input);
            let text = serde_json::to_string(&effects).expect("effects are written");
            effects.dice = Random::new(0);
            prop_assert_eq!(serde_json::from_str::<Effects<SLOTS>>(&text).expect("and read"), effects);
        }
    }

    #[test]
    fn dice_are_enumerable(radices in vec(2u64..5, 0..4)) {
        let roll = |word| {
            let mut dice = Random::new(word);
            let digits: Vec<_> = radices.iter().map(|&radix| dice.below(radix)).collect();
            (digits, dice)
        };
        let outcomes = roll(0).1.outcomes();
        let mut seen: Vec<_> = (0..outcomes).map(roll).filter(|(_, dice)| dice.is_spent()).map(|(digits, _)| digits).collect();
        prop_assert_eq!(seen.len() as u64, radices.iter().product::<u64>());
        seen.sort();
        seen.dedup();
        prop_assert_eq!(seen.len() as u64, outcomes);
    }

    #[test]
    fn slot_sets_are_sets(left in any::<u64>(), right in any::<u64>()) {
        let (one, other) = (SlotSet::<SLOTS>::from_window(0, [left]), SlotSet::<SLOTS>::from_window(0, [right]));
        let expected = |keep: fn(bool, bool) -> bool| -> Vec<u16> {
            (0..8u16).filter(|slot| keep(left >> slot & 1 == 1, right >> slot & 1 == 1)).collect()
        };
        let listed = |set: &SlotSet<SLOTS>| set.iter().map(|slot| slot.0).collect::<Vec<_>>();
        prop_assert_eq!(listed(&one), expected(|left, _| left));
        prop_assert_eq!(listed(&one.without(&other)), expected(|left, right| left && !right));
        let rebuilt: SlotSet<SLOTS> = one.iter().collect();
        prop_assert_eq!(rebuilt, one);
    }

    #[test]
    fn sets_of_many_words_are_sets(left in slots(), right in slots(), start in 0..MANY as u16, end in 0..MANY as u16) {
        let set = |slots: &BTreeSet<u16>| slots.iter().map(|&slot| Slot(slot)).collect::<SlotSet<MANY>>();
        let (one, other) = (set(&left), set(&right));
        prop_assert_eq!(one.len(), left.len());
        prop_assert_eq!(one.overlaps(&other), !left.is_disjoint(&right));
        prop_assert_eq!(&one.without(&other), &set(&(&left - &right)));
        prop_assert_eq!(&SlotSet::<MANY>::range(start, end), &set(&(start..=end).collect()));
        let mut both = one.clone();
        both.insert_all(&other);
        prop_assert_eq!(&both, &set(&(&left | &right)));
        right.iter().for_each(|&slot| assert!(both.remove(Slot(slot))));
        prop_assert_eq!(&both, &set(&(&left - &right)));
        let (first, words) = one.window();
        prop_assert_eq!(&SlotSet::<MANY>::from_window(first, words.iter().copied()), &one);
    }
}
