//! Owns the classes of what can happen in a world, what is assumed of each, and which marks a world
//! bears. Knows no search.
//!
//! The network owes every delivery, and a host that runs owes its ticks: both are weakly fair, each
//! end of each ordered pair of hosts for itself. Partitions end: weakly fair. Faults, restarts and
//! commands need never happen.

use crate::{
    goals::Goal,
    graph::{Class, ClassId, Course, Fairness, Labelling, Marks, ROUND},
    world_model::WorldModel,
};
use slotbus_world::{Action, Place, Setup, What, World, connection::Side};

/// Marks worlds in which administrators are silent for good and nobody is parted who is to meet again.
pub const SILENT: Marks = 2;
/// The mark of the first goal that is asked for; each further goal has the next.
const FIRST_GOAL: Marks = 4;
/// How many goals there are marks for.
pub const GOALS_MAX: usize = 14;

/// What the classes of a world's actions are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    /// Faults, restarts and commands.
    Interference,
    /// A host ticks.
    Tick(Place),
    /// A connection attempt ends; of the opener to the target, or to nobody.
    Attempt(Place, Option<Place>),
    /// One end of the connections from the opener to the target gets a message.
    Delivery(Place, Place, Side),
    /// One end of those notices that one is over.
    HangUp(Place, Place, Side),
    /// Two hosts can reach each other again.
    Heal(Place, Place),
}

/// The labels of the worlds of one setup.
#[derive(Clone, Debug)]
pub struct WorldLabels {
    goals: Vec<Goal>,
    subjects: Vec<Subject>,
    classes: Vec<Class>,
}

impl WorldLabels {
    /// The labels for a setup, with marks for some goals, at most [`GOALS_MAX`].
    #[must_use]
    pub fn new(setup: &Setup, goals: &[Goal]) -> Self {
        let subjects = subjects(setup);
        let classes = subjects.iter().map(|&subject| class(subject)).collect();
        Self { goals: goals.iter().copied().take(GOALS_MAX).collect(), subjects, classes }
    }

    /// The goals, each with its mark.
    pub fn goals(&self) -> impl Iterator<Item = (Goal, Marks)> {
        self.goals.iter().copied().zip(0..).map(|(goal, place)| (goal, FIRST_GOAL << place))
    }

    /// Every class of actions.
    #[must_use]
    pub fn all(&self) -> &[Class] {
        &self.classes
    }

    fn number(&self, subject: Subject) -> ClassId {
        let place = self.subjects.iter().position(|&other| other == subject);
        place.and_then(|place| ClassId::try_from(place).ok()).unwrap_or_default()
    }
}

/// Every subject of a setup; 6 hosts have 188.
fn subjects(setup: &Setup) -> Vec<Subject> {
    let pairs = || setup.places().flat_map(|left| setup.places().map(move |right| (left, right)));
    let ordered = || pairs().filter(|(left, right)| left != right);
    let ends = || ordered().flat_map(|(left, right)| [Side::Opener, Side::Target].map(|side| (left, right, side)));
    let mut subjects = vec![Subject::Interference];
    subjects.extend(setup.places().map(Subject::Tick));
    subjects.extend(ordered().map(|(left, right)| Subject::Attempt(left, Some(right))));
    subjects.extend(setup.places().map(|opener| Subject::Attempt(opener, None)));
    subjects.extend(ends().map(|(opener, target, side)| Subject::Delivery(opener, target, side)));
    subjects.extend(ends().map(|(opener, target, side)| Subject::HangUp(opener, target, side)));
    subjects.extend(pairs().filter(|(left, right)| left < right).map(|(left, right)| Subject::Heal(left, right)));
    subjects
}

fn class(subject: Subject) -> Class {
    let (name, fairness, course) = match subject {
        Subject::Interference => ("interference".into(), Fairness::Unfair, Course::Disturbance),
        Subject::Tick(host) => (format!("tick of {host}"), Fairness::Weak, Course::Tick),
        Subject::Attempt(opener, Some(target)) => {
            (format!("{opener}->{target} attempted"), Fairness::Weak, Course::Calm)
        }
        Subject::Attempt(opener, None) => (format!("{opener}->nobody attempted"), Fairness::Weak, Course::Calm),
        Subject::Delivery(opener, target, side) => {
            (format!("{opener}->{target} delivers to its {side:?}").to_lowercase(), Fairness::Weak, Course::Calm)
        }
        Subject::HangUp(opener, target, side) => {
            (format!("{opener}->{target} is over for its {side:?}").to_lowercase(), Fairness::Weak, Course::Calm)
        }
        Subject::Heal(left, right) => (format!("{left} and {right} heal"), Fairness::Weak, Course::Disturbance),
    };
    Class { name, fairness, course }
}

fn subject<const SLOTS: usize>(world: &World<SLOTS>, action: &Action) -> Subject {
    let ends = |index: u8| {
        let connection = world.connections().nth(usize::from(index));
        connection.map(|connection| (connection.opener, connection.target))
    };
    let between = |index, of: &dyn Fn(Place, Place) -> Subject| match ends(index) {
        Some((opener, Some(target))) => of(opener, target),
        Some((_, None)) | None => Subject::Interference,
    };
    match action.what {
        What::Tick { host } => Subject::Tick(host),
        What::Establish { connection } | What::Refuse { connection } => {
            ends(connection).map_or(Subject::Interference, |(opener, target)| Subject::Attempt(opener, target))
        }
        What::Deliver { connection, to } => {
            between(connection, &|opener, target| Subject::Delivery(opener, target, to))
        }
        What::HangUp { connection, at } => between(connection, &|opener, target| Subject::HangUp(opener, target, at)),
        What::Heal { left, right } => Subject::Heal(left, right),
        What::Command { .. } | What::Write { .. } | What::Transfer { .. } => Subject::Interference,
        What::Cut { .. } | What::Crash { .. } | What::Restart { .. } | What::Part { .. } => Subject::Interference,
    }
}

impl<const SLOTS: usize> Labelling<WorldModel<SLOTS>> for WorldLabels {
    fn classes(&self) -> &[Class] {
        self.all()
    }

    /// An action amid which a host dies is a fault, whatever it began as.
    fn class(&self, _: &WorldModel<SLOTS>, world: &World<SLOTS>, action: &Action) -> ClassId {
        self.number(if action.dies { Subject::Interference } else { subject(world, action) })
    }

    fn marks(&self, model: &WorldModel<SLOTS>, world: &World<SLOTS>) -> Marks {
        let is_whole = !world.is_parted_anywhere() || !model.setup.heals;
        let is_silent = is_whole && world.is_script_done(&model.setup);
        let goals = self.goals().filter(|(goal, _)| goal.holds(&model.setup, world)).map(|(_, mark)| mark);
        let marks = if world.is_between_rounds() { ROUND } else { 0 } | if is_silent { SILENT } else { 0 };
        goals.fold(marks, |marks, mark| marks | mark)
    }
}
