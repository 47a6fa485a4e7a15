//! That pinning every clock to one instant, and cutting ages, changes nothing that a node does.

use proptest::prelude::*;
use slotbus_core::{Body, Command, Effect, Effects, Event, Input, Message, Millis, Node, Profile, Random, Slot, step};
use slotbus_world::{
    Budget, Crashing, Pace, Place, Places, Setup, Stage, World, clock::NOW, clock::canonical_message, connection::Side,
};

const SLOTS: usize = 2;

/// A world in which much can happen: two primaries that know each other, a third to be met, faults.
fn setup(profile: Profile) -> (Setup, World<SLOTS>) {
    let mut setup = Setup::new(3, profile);
    setup.pace = Pace::Free { ticks: 40 };
    setup.budget = Budget { crashes: 1, restarts: 1, cuts: 2, partitions: 1, ..Budget::default() };
    setup.crashing = Crashing { mortal: Places::ALL, amid: false, power: true };
    setup.scripts = vec![vec![Setup::meet(Place::B, Place::C)], vec![setup.forget(Place::A, Place::B)]];
    let add_slots =
        |host, slot| Stage::Command(slotbus_world::Order { host, command: Command::AddSlots(vec![Slot(slot)]) });
    let meet = Stage::Command(Setup::meet(Place::A, Place::B));
    let world = setup.world_after(&[add_slots(Place::A, 0), add_slots(Place::C, 1), meet, Stage::Rounds(3)]);
    (setup, world)
}

fn walk(setup: &Setup, mut world: World<SLOTS>, picks: &[prop::sample::Index]) -> World<SLOTS> {
    for pick in picks {
        let mut successors = world.successors(setup);
        if successors.is_empty() {
            break;
        }
        world = successors.swap_remove(pick.index(successors.len())).1;
    }
    world
}

/// Every input that the world has for a node: its tick, its messages, the end of each of its links.
fn inputs(world: &World<SLOTS>, place: Place) -> Vec<Event<SLOTS>> {
    let mut events = vec![Event::Tick];
    for connection in world.connections() {
        for side in [Side::Opener, Side::Target] {
            if connection.host(side) != Some(place) || !connection.is_open_at(side) {
                continue;
            }
            let link = connection.link(side);
            events.push(Event::LinkDown { link });
            let messages = connection.queue(side).iter().map(|message| Message::clone(message));
            events.extend(messages.map(|message| Event::Received { link, message: Box::new(message) }));
        }
    }
    events
}

/// The message as its sender would have written it on a clock that shows so many seconds more.
fn later(mut message: Message<SLOTS>, seconds: i64) -> Message<SLOTS> {
    if let Body::Ping(heartbeat) | Body::Pong(heartbeat) | Body::Meet(heartbeat) = &mut message.body {
        for entry in heartbeat.gossip.iter_mut().filter(|entry| entry.pong_received_s > 0) {
            let moved = i64::from(entry.pong_received_s) + seconds;
            entry.pong_received_s = u32::try_from(moved).expect("an instant after the epoch");
        }
    }
    message
}

/// What an input asks for, told on the clock of [`NOW`], without what nobody reads and with ages cut.
fn told(
    effects: Effects<SLOTS>,
    seconds: i64,
    age_limit_ms: u64,
) -> (Vec<Effect<SLOTS>>, Vec<slotbus_core::Rule>, bool) {
    let then = effects.then.into_iter().map(|effect| match effect {
        Effect::Send { link, message } => {
            let mut message = canonical_message(later(*message, -seconds));
            if let Body::Ping(heartbeat) | Body::Pong(heartbeat) | Body::Meet(heartbeat) = &mut message.body {
                for entry in heartbeat.gossip.iter_mut().filter(|entry| entry.pong_received_s > 0) {
                    let pong = Millis(u64::from(entry.pong_received_s) * 1000);
                    entry.pong_received_s = pong.rebased(NOW, NOW, age_limit_ms).seconds();
                }
            }
            Effect::Send { link, message: Box::new(message) }
        }
        Effect::PauseWrites { until } => Effect::PauseWrites { until: Millis(until.0 - 1000 * seconds.unsigned_abs()) },
        Effect::Connect { .. }
        | Effect::Close { .. }
        | Effect::Follow { .. }
        | Effect::Lead
        | Effect::ResumeWrites
        | Effect::DropKeys { .. }
        | Effect::DropAllKeys
        | Effect::Deliver { .. }
        | Effect::Reply { .. } => effect,
    });
    (then.collect(), effects.rules, effects.persist.is_some())
}

fn shifted(event: &Event<SLOTS>, seconds: i64) -> Event<SLOTS> {
    match event {
        Event::Received { link, message } => {
            Event::Received { link: *link, message: Box::new(later((**message).clone(), seconds)) }
        }
        Event::LinkUp { .. }
        | Event::LinkDown { .. }
        | Event::LinkRefused { .. }
        | Event::Tick
        | Event::Admin { .. }
        | Event::Configured(_)
        | Event::Loaded { .. }
        | Event::Replication(_)
        | Event::Backlogged { .. } => event.clone(),
    }
}

/// What became of a node at `now`, and what it asked for, all told on the clock of [`NOW`].
fn outcome(
    mut node: Node<SLOTS>,
    now: Millis,
    event: &Event<SLOTS>,
) -> (Node<SLOTS>, (Vec<Effect<SLOTS>>, Vec<slotbus_core::Rule>, bool)) {
    let age_limit_ms = node.config().timing.age_limit_ms();
    let seconds = i64::try_from(now.since(NOW) / 1000).expect("a short while");
    let input = Input { now, random: Random::new(0), event: shifted(event, seconds) };
    let effects = step(&mut node, input);
    (node.rebased(now, NOW).rebased(NOW, NOW), told(effects, seconds, age_limit_ms))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// A node that sat still for a while does the same whether its clock went on, or was turned back
    /// with everything that it remembers, ages cut.
    #[test]
    fn turning_a_clock_back_changes_nothing(
        picks in prop::collection::vec(any::<prop::sample::Index>(), 0..150),
        idle_s in 0_u64..30,
        is_redis in any::<bool>(),
    ) {
        let (setup, world) = setup(if is_redis { Profile::REDIS_7_0 } else { Profile::SLOTBUS });
        let world = walk(&setup, world, &picks);
        for (place, node) in world.nodes() {
            for event in inputs(&world, place) {
                let late = NOW.after(idle_s * 1000);
                let on_time = outcome(node.clone(), late, &event);
                let turned_back = outcome(node.clone().rebased(late, NOW), NOW, &event);
                prop_assert_eq!(on_time, turned_back, "{:?}", event);
            }
        }
    }
}
