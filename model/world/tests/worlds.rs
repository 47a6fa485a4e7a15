//! What the network, crashes and disks allow, on worlds small enough to see at a glance.

use slotbus_core::{ClusterState, Command, Flags, LinkId, Profile, Slot};
use slotbus_world::{
    Action, Budget, Crashing, Order, Pace, Place, Places, Setup, Stage, What, Witness, World,
    connection::{End, Side},
    tell,
};

const SLOTS: usize = 2;

fn pair() -> Setup {
    let mut setup = Setup::new(2, Profile::SLOTBUS);
    setup.pace = Pace::Free { ticks: 9 };
    setup.scripts = vec![vec![Setup::meet(Place::A, Place::B)]];
    setup
}

fn choices(setup: &Setup, world: &World<SLOTS>) -> Vec<What> {
    world.successors(setup).into_iter().map(|(action, _)| action.what).collect()
}

/// The world after these actions, each of which must be possible.
fn after(setup: &Setup, world: World<SLOTS>, path: &[What]) -> World<SLOTS> {
    path.iter().fold(world, |world, &what| {
        assert!(choices(setup, &world).contains(&what), "{what:?} is none of {:?}", choices(setup, &world));
        world.after(setup, Action::new(what))
    })
}

const MEET: What = What::Command { script: 0 };
const TICK_A: What = What::Tick { host: Place::A };
const CONNECT: What = What::Establish { connection: 0 };
const TO_TARGET: What = What::Deliver { connection: 0, to: Side::Target };
const TARGET_HANGS_UP: What = What::HangUp { connection: 0, at: Side::Target };
const KILL_A: What = What::Crash { host: Place::A, power: false };
const KILL_B: What = What::Crash { host: Place::B, power: false };

#[test]
fn what_was_sent_before_a_close_may_arrive_or_not() {
    let mut setup = pair();
    setup.budget.crashes = 1;
    setup.crashing.mortal = Places::ALL;
    let sent = after(&setup, setup.world_after(&[]), &[MEET, TICK_A, CONNECT, KILL_A]);
    assert_eq!(sent.connections().map(|connection| connection.opener_end).collect::<Vec<_>>(), [End::Shut]);
    let arrived = after(&setup, sent.clone(), &[TO_TARGET, TARGET_HANGS_UP]);
    let lost = after(&setup, sent, &[TARGET_HANGS_UP]);
    let known = |world: &World<SLOTS>| world.node(Place::B).map(|node| node.peers().len());
    assert_eq!((known(&arrived), known(&lost)), (Some(2), Some(1)));
    assert_eq!((arrived.connections().len(), lost.connections().len()), (0, 0));
}

#[test]
fn a_connection_to_nobody_is_refused() {
    let mut setup = pair();
    setup.budget.crashes = 1;
    setup.crashing.mortal = Places::of(&[Place::B]);
    let world = after(&setup, setup.world_after(&[]), &[MEET, KILL_B, TICK_A]);
    let refused = What::Refuse { connection: 0 };
    assert!(!choices(&setup, &world).contains(&CONNECT));
    let world = after(&setup, world, &[refused]);
    let peer = world.node(Place::A).and_then(|node| node.peers().iter().find(|peer| peer.is(Flags::HANDSHAKE)));
    assert!(peer.is_some_and(|peer| peer.ping_sent.is_some() && peer.outbound.is_none()));
}

#[test]
fn a_parted_pair_hears_nothing_until_it_heals() {
    let mut setup = pair();
    setup.budget.partitions = 1;
    let (left, right) = (Place::A, Place::B);
    let world = after(&setup, setup.world_after(&[]), &[MEET, TICK_A, CONNECT, What::Part { left, right }]);
    assert!(!choices(&setup, &world).contains(&TO_TARGET));
    let world = after(&setup, world, &[What::Heal { left, right }, TO_TARGET]);
    assert_eq!(world.node(Place::B).map(|node| node.peers().len()), Some(2));
}

#[test]
fn a_broken_connection_takes_nothing_more_and_both_ends_notice() {
    let mut setup = pair();
    setup.budget.cuts = 1;
    let world = after(&setup, setup.world_after(&[]), &[MEET, TICK_A, CONNECT, What::Cut { connection: 0 }]);
    let hang_up = |at| What::HangUp { connection: 0, at };
    assert!(choices(&setup, &world).contains(&hang_up(Side::Opener)));
    // b answers into a connection that carries nothing any more.
    let world = after(&setup, world, &[TO_TARGET]);
    assert!(world.connections().all(|connection| connection.queue(Side::Opener).is_empty()));
    let world = after(&setup, world, &[hang_up(Side::Target), hang_up(Side::Opener)]);
    assert_eq!(world.connections().len(), 0);
    assert!(world.nodes().all(|(_, node)| node.links().iter().count() == 0));
}

/// A pair in which a knows b and owns a slot.
fn acquainted(setup: &Setup) -> World<SLOTS> {
    let add = Order { host: Place::A, command: Command::AddSlots(vec![Slot(0)]) };
    let meet = Setup::meet(Place::A, Place::B);
    setup.world_after(&[Stage::Command(meet), Stage::Rounds(4), Stage::Command(add)])
}

#[test]
fn a_kill_keeps_what_was_saved_and_a_power_loss_only_what_was_synced() {
    let mut setup = Setup::new(2, Profile::REDIS_7_0);
    setup.budget = Budget { crashes: 1, restarts: 1, ..Budget::default() };
    setup.crashing = Crashing { mortal: Places::ALL, amid: false, power: true };
    let owned = |power| {
        let crash = What::Crash { host: Place::A, power };
        let world = after(&setup, acquainted(&setup), &[crash, What::Restart { host: Place::A }]);
        assert!(world.ghost().broken().is_empty());
        world.node(Place::A).map(|node| node.myself().slots.len())
    };
    // There ADDSLOTS saves without a sync.
    assert_eq!((owned(false), owned(true)), (Some(1), Some(0)));
}

#[test]
fn a_host_may_die_between_saving_and_sending() {
    let mut setup = pair();
    setup.budget = Budget { crashes: 1, restarts: 1, ..Budget::default() };
    setup.crashing = Crashing { mortal: Places::of(&[Place::B]), amid: true, power: false };
    let world = after(&setup, setup.world_after(&[]), &[MEET, TICK_A, CONNECT]);
    let dying: Vec<_> = world.successors(&setup).into_iter().filter(|(action, _)| action.dies).collect();
    let [(action, dead)] = &dying[..] else { panic!("{} ways to die", dying.len()) };
    assert_eq!(action.what, TO_TARGET);
    assert!(dead.node(Place::B).is_none());
    assert!(dead.connections().all(|connection| connection.queue(Side::Opener).is_empty()));
    assert!(tell(&setup, &world, *action).contains("killed before it does anything else"));
}

#[test]
fn steps_at_different_hosts_lead_to_one_state_in_either_order() {
    let mut setup = pair();
    setup.scripts = vec![vec![Setup::meet(Place::A, Place::B)], vec![Setup::meet(Place::B, Place::A)]];
    let other = What::Command { script: 1 };
    let tick_b = What::Tick { host: Place::B };
    let one = after(&setup, setup.world_after(&[]), &[MEET, other, TICK_A, tick_b]);
    let two = after(&setup, setup.world_after(&[]), &[other, tick_b, MEET, TICK_A]);
    assert_eq!(one, two);
    assert_eq!(slotbus_world::digest(&one), slotbus_world::digest(&two));
}

#[test]
fn a_timely_host_ticks_once_a_round_and_never_while_anything_is_on_its_way() {
    let mut setup = pair();
    setup.pace = Pace::Timely;
    let world = after(&setup, setup.world_after(&[]), &[MEET, TICK_A]);
    assert_eq!(choices(&setup, &world), [CONNECT]);
    let world = after(&setup, world, &[CONNECT, TO_TARGET, What::Deliver { connection: 0, to: Side::Opener }]);
    assert_eq!(choices(&setup, &world), [What::Tick { host: Place::B }]);
}

#[test]
fn stages_lead_to_a_cluster_that_stands() {
    let setup = Setup::new(2, Profile::SLOTBUS);
    let add = |host, slot| Stage::Command(Order { host, command: Command::AddSlots(vec![Slot(slot)]) });
    let meet = Stage::Command(Setup::meet(Place::A, Place::B));
    let world: World<SLOTS> = setup.world_after(&[add(Place::A, 0), add(Place::B, 1), meet, Stage::Rounds(4)]);
    assert!(Witness::AllUp.holds(&setup, &world) && world.is_quiet());
    assert!(world.nodes().all(|(_, node)| node.state() == ClusterState::Ok));
    let numbers: Vec<_> = world.connections().map(|connection| connection.link(Side::Target)).collect();
    assert_eq!(numbers, [LinkId::Inbound(1), LinkId::Inbound(17)]);
}

#[test]
fn every_throw_of_the_dice_is_one_successor() {
    // redis 7.0 tells a receiver of itself, too: among three nodes there is one to be told of, and two to choose from.
    let mut setup = Setup::new(3, Profile::REDIS_7_0);
    let meets = [Place::B, Place::C].map(|guest| [Stage::Command(Setup::meet(Place::A, guest)), Stage::Rounds(5)]);
    setup.pace = Pace::Timely;
    let world: World<SLOTS> = setup.world_after(&meets.concat());
    let of_a: Vec<_> = world.successors(&setup).into_iter().filter(|(action, _)| action.what == TICK_A).collect();
    let dice: Vec<_> = of_a.iter().map(|(action, _)| action.dice).collect();
    assert_eq!(dice, [0, 1]);
    assert_ne!(of_a[0].1, of_a[1].1);
}
