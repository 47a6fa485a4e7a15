//! Certificates: what holds is certified; what an explorer left out, or somebody changed, is found.

use slotbus_check::{
    Configuration, Engine, Limits, Plan, WorldModel,
    certificate::{Certificate, Claim, write},
    certify::{Flaw, certify},
    explore_graph,
    frontier::Whole,
    graph::{Class, ClassId, Labelling, Marks},
    live::{Live, run_live},
    world_labels::WorldLabels,
};
use slotbus_core::Profile;
use slotbus_world::{Action, World, digest};
use stateright::{Model, Property};
use std::{process::Command, sync::OnceLock};

const SLOTS: usize = slotbus_check::SLOTS;

fn plan() -> Plan {
    Plan {
        configuration: Configuration::named("bump_3").expect("a standard configuration"),
        profile_name: "slotbus",
        profile: Profile::SLOTBUS,
        mutant: None,
        engine: Engine::Own,
        is_actor: false,
        limits: Limits::default(),
    }
}

fn bytes(live: &Live) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(live, &mut bytes).expect("memory takes everything");
    bytes
}

/// The certificate of an exhausted run, made once.
fn sound() -> &'static [u8] {
    static SOUND: OnceLock<Vec<u8>> = OnceLock::new();
    SOUND.get_or_init(|| bytes(&run_live(plan(), &mut |_| ())))
}

fn read(bytes: &[u8]) -> Certificate {
    Certificate::from_bytes(bytes).expect("a certificate")
}

/// A model whose explorer makes a mistake: what it takes the successors of states for.
struct Faulty<F> {
    model: WorldModel<SLOTS>,
    mistake: F,
}

type Steps = Vec<(Action, World<SLOTS>)>;

impl<F: Fn(u128, Steps) -> Steps + Sync> Model for Faulty<F> {
    type State = World<SLOTS>;
    type Action = Action;

    fn init_states(&self) -> Vec<Self::State> {
        self.model.init_states()
    }

    fn actions(&self, _: &Self::State, _: &mut Vec<Action>) {}

    fn next_state(&self, _: &Self::State, _: Action) -> Option<Self::State> {
        None
    }

    fn next_steps(&self, state: &Self::State) -> Steps {
        (self.mistake)(digest(state), self.model.next_steps(state))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        Vec::new()
    }
}

struct Labels<'a>(&'a WorldLabels, &'a WorldModel<SLOTS>);

impl<F: Fn(u128, Steps) -> Steps + Sync> Labelling<Faulty<F>> for Labels<'_> {
    fn classes(&self) -> &[Class] {
        self.0.all()
    }

    fn class(&self, _: &Faulty<F>, state: &World<SLOTS>, action: &Action) -> ClassId {
        self.0.class(self.1, state, action)
    }

    fn marks(&self, _: &Faulty<F>, state: &World<SLOTS>) -> Marks {
        self.0.marks(self.1, state)
    }
}

/// What is wrong with the certificate of an explorer that makes a mistake.
fn flaw_of(mistake: impl Fn(u128, Steps) -> Steps + Sync) -> Flaw {
    let mut live = run_live(plan(), &mut |_| ());
    let faulty = Faulty { model: live.model.clone(), mistake };
    let labels = Labels(&live.labels, &live.model);
    let (findings, graph) = explore_graph(&faulty, &labels, Whole::default(), Limits::default(), &mut |_| ());
    (live.run.states, live.run.edges, live.graph) = (findings.states, findings.edges, graph);
    certify(&read(&bytes(&live))).expect_err("a mistake of the explorer")
}

/// A state in the middle of a run, its fingerprint first.
fn middle() -> (u128, World<SLOTS>) {
    let model = plan().configuration.model(Profile::SLOTBUS, None);
    let step = |world: World<SLOTS>, turn: usize| {
        let mut steps = model.next_steps(&world);
        steps.swap_remove(turn % steps.len()).1
    };
    let world = (0..12).fold(model.origin.clone(), step);
    (digest(&world), world)
}

#[test]
fn what_was_exhausted_is_certified() {
    let certificate = read(sound());
    let certified = certify(&certificate).expect("a sound certificate");
    assert_eq!((certified.states, certified.edges), (certificate.heading.states, certificate.heading.edges));
    assert_eq!(certified.claims, 6);
}

#[test]
fn an_edge_that_the_explorer_dropped_is_missed() {
    let (state, _) = middle();
    let flaw = flaw_of(|from, mut steps| {
        if from == state {
            steps.pop();
        }
        steps
    });
    assert!(matches!(flaw, Flaw::NotClosed | Flaw::Edges(_) | Flaw::Unproven(..)), "{flaw}");
}

#[test]
fn a_state_that_the_explorer_took_for_another_is_missed() {
    let (state, world) = middle();
    let other = plan().configuration.model(Profile::SLOTBUS, None).origin;
    let flaw = flaw_of(|_, steps| {
        let merged = |world: World<SLOTS>| if digest(&world) == state { other.clone() } else { world };
        steps.into_iter().map(|(action, world)| (action, merged(world))).collect()
    });
    assert_eq!(flaw, Flaw::NotClosed, "{world:?}");
}

#[test]
fn every_part_that_somebody_changed_is_found() {
    let change = |change: &dyn Fn(&mut Certificate)| {
        let mut certificate = read(sound());
        change(&mut certificate);
        certify(&certificate).expect_err("a changed certificate")
    };
    assert_eq!(change(&|certificate| certificate.fingerprints[7] += 1), Flaw::NotClosed);
    assert_eq!(change(&|certificate| certificate.fingerprints.swap(7, 8)), Flaw::Unsorted);
    assert_eq!(change(&|certificate| certificate.heading.edges += 1), Flaw::Edges(read(sound()).heading.edges));
    assert_eq!(change(&|certificate| certificate.heading.config = "meet_9".into()), Flaw::Unknown("meet_9".into()));
    assert_eq!(change(&|certificate| certificate.heading.profile = "other".into()), Flaw::Unknown("other".into()));
    let another = change(&|certificate| certificate.heading.config = "failure_3".into());
    assert_eq!(another, Flaw::NoStart);
    let extra = change(&|certificate| {
        certificate.fingerprints.push(u128::MAX);
        certificate.levels.iter_mut().chain(&mut certificate.aids).for_each(|column| column.push(0));
    });
    assert_eq!(extra, Flaw::Unreached(1));
    for claim in 0..6 {
        let flaw = change(&|certificate| certificate.levels[claim].iter_mut().for_each(|level| *level = 5));
        assert!(matches!(flaw, Flaw::Unproven(..)), "{claim}: {flaw}");
    }
    let sooner = change(&|certificate| {
        let claim = certificate.heading.claims.iter_mut().find(|claim| claim.rounds > Some(0));
        claim.into_iter().for_each(|Claim { rounds, .. }| *rounds = rounds.map(|rounds| rounds - 1));
    });
    assert!(matches!(sooner, Flaw::Unproven(..)), "{sooner}");
}

fn certify_file(bytes: &[u8], name: &str) -> (Option<i32>, String) {
    let path = std::env::temp_dir().join(format!("slotbus-{name}-{}", std::process::id()));
    std::fs::write(&path, bytes).expect("a file");
    let output =
        Command::new(env!("CARGO_BIN_EXE_slotbus-check")).arg("certify").arg(&path).output().expect("it starts");
    std::fs::remove_file(path).expect("the file goes");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn the_command_tells_sound_from_changed_from_unreadable() {
    assert_eq!(certify_file(sound(), "sound"), (Some(0), String::new()));
    let mut changed = sound().to_vec();
    if let Some(byte) = changed.last_mut() {
        *byte ^= 0x55;
    }
    let (code, error) = certify_file(&changed, "changed");
    assert_eq!((code, error.lines().count()), (Some(1), 1), "{error}");
    for (what, bytes) in [("empty", &b""[..]), ("words", b"{}\n"), ("short", &sound()[..sound().len() - 1])] {
        let (code, error) = certify_file(bytes, what);
        assert_eq!((code, error.lines().count()), (Some(2), 1), "{error}");
        assert!(error.contains("is no certificate"), "{error}");
    }
    let length = String::from_utf8_lossy(sound()).find('\n').expect("a heading");
    let lies = String::from_utf8_lossy(&sound()[..length]).replace("\"states\":3", "\"states\":18446744073709551");
    let (code, error) = certify_file(lies.as_bytes(), "lies");
    assert_eq!((code, error.lines().count()), (Some(2), 1), "{error}");
}
