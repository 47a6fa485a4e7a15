//! Owns the check of certificates: an exhaustive walk of its own, held to the certificate at every
//! step. Shares no code with the explorer: what it trusts is the model (its start, its steps, its
//! invariants, its goals, the labels of its actions) and the reading of the file.
//!
//! If this walk ends without complaint, the states of the certificate are all that can be reached,
//! none of them breaks an invariant, and every claim about a goal holds:
//!
//! - recoverable: every state but those of the goal has a step to a smaller distance;
//! - led to: away from the goal, no step raises the level, and some weakly fair class is possible
//!   that lowers it, and stays the same while the level does: no fair run stays away for ever;
//! - settles: undisturbed, every step lowers the level until the goal is reached for good, and
//!   the rounds on the way are counted.

use crate::{
    certificate::{Certificate, Kind},
    configs::{Configuration, SLOTS},
    goals::Goal,
    graph::{ClassId, Course, Fairness, Labelling, Marks, ROUND},
    world_labels::{SILENT, WorldLabels},
    world_model::WorldModel,
};
use slotbus_core::{Mutant, Profile};
use slotbus_world::{World, digest};
use std::fmt;

/// What is claimed where nothing is owed.
const NOT_OWED: u32 = u32::MAX;

/// What is wrong with a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// It names something that does not exist.
    Unknown(String),
    /// Its fingerprints do not ascend.
    Unsorted,
    /// The start is not among its states.
    NoStart,
    /// A step leads to a state that it does not have.
    NotClosed,
    /// It has states that cannot be reached, so many.
    Unreached(usize),
    /// It counts edges wrongly: so many there are.
    Edges(usize),
    /// An invariant is broken in one of its states.
    Broken(&'static str),
    /// A claim about a goal does not hold as proven: which, and why.
    Unproven(String, &'static str),
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(f, "it names '{name}', which does not exist"),
            Self::Unsorted => f.write_str("its fingerprints do not ascend"),
            Self::NoStart => f.write_str("the initial state is not among its states"),
            Self::NotClosed => f.write_str("a step leads to a state that it does not have"),
            Self::Unreached(count) => write!(f, "{count} of its states cannot be reached"),
            Self::Edges(count) => write!(f, "there are {count} edges, which is not what it says"),
            Self::Broken(invariant) => write!(f, "a state breaks {invariant}"),
            Self::Unproven(claim, why) => write!(f, "{claim}: {why}"),
        }
    }
}

/// What a certificate that holds says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certified {
    /// How many states there are.
    pub states: usize,
    /// How many edges.
    pub edges: usize,
    /// How many claims about goals hold.
    pub claims: usize,
}

/// Checks a certificate against the model that it names.
///
/// # Errors
/// With the first flaw that is found.
pub fn certify(certificate: &Certificate) -> Result<Certified, Flaw> {
    Checker::new(certificate)?.walk()
}

struct Checker<'a> {
    certificate: &'a Certificate,
    model: WorldModel<SLOTS>,
    labels: WorldLabels,
    /// By claim: the mark of its goal.
    goals: Vec<Marks>,
    reached: Vec<bool>,
}

/// A step that changes a state: its class, and the state that it leads to, with its marks.
#[derive(Clone, Copy)]
struct Step {
    class: ClassId,
    target: usize,
    marks: Marks,
}

impl<'a> Checker<'a> {
    fn new(certificate: &'a Certificate) -> Result<Self, Flaw> {
        let heading = &certificate.heading;
        let unknown = |name: &str| Flaw::Unknown(name.into());
        let configuration = Configuration::named(&heading.config).ok_or_else(|| unknown(&heading.config))?;
        let profile = Profile::NAMED.iter().find(|(name, _)| *name == heading.profile);
        let profile = profile.map(|(_, profile)| *profile).ok_or_else(|| unknown(&heading.profile))?;
        let fault = |id: &String| Mutant::by_id(id).ok_or_else(|| unknown(id));
        let model = configuration.model(profile, heading.mutant.as_ref().map(fault).transpose()?);
        let goal = |id: &str| Goal::ALL.iter().copied().find(|goal| goal.id() == id).ok_or_else(|| unknown(id));
        let asked = heading.claims.iter().map(|claim| goal(&claim.goal)).collect::<Result<Vec<_>, _>>()?;
        let mut distinct = asked.clone();
        distinct.sort_unstable();
        distinct.dedup();
        let labels = WorldLabels::new(&model.setup, &distinct);
        let mark = |goal: Goal| labels.goals().find(|(known, _)| *known == goal).map_or(0, |(_, mark)| mark);
        let goals = asked.into_iter().map(mark).collect();
        if !certificate.fingerprints.is_sorted_by(|left, right| left < right) {
            return Err(Flaw::Unsorted);
        }
        let reached = vec![false; certificate.fingerprints.len()];
        Ok(Self { certificate, model, labels, goals, reached })
    }

    fn find(&self, world: &World<SLOTS>) -> Option<usize> {
        self.certificate.fingerprints.binary_search(&digest(world)).ok()
    }

    fn walk(mut self) -> Result<Certified, Flaw> {
        let start = self.find(&self.model.origin).ok_or(Flaw::NoStart)?;
        self.reached[start] = true;
        let mut ahead = vec![(start, self.model.origin.clone())];
        let mut edges = 0;
        while let Some((state, world)) = ahead.pop() {
            let mut steps = Vec::new();
            for (action, next) in world.successors(&self.model.setup) {
                edges += 1;
                let target = self.find(&next).ok_or(Flaw::NotClosed)?;
                if target != state {
                    let class = self.labels.class(&self.model, &world, &action);
                    steps.push(Step { class, target, marks: self.labels.marks(&self.model, &next) });
                }
                if !std::mem::replace(&mut self.reached[target], true) {
                    ahead.push((target, next));
                }
            }
            self.judge(state, &world, &steps)?;
        }
        let heading = &self.certificate.heading;
        match self.reached.iter().filter(|&&is_reached| !is_reached).count() {
            0 if edges == heading.edges => {
                Ok(Certified { states: heading.states, edges, claims: heading.claims.len() })
            }
            0 => Err(Flaw::Edges(edges)),
            count => Err(Flaw::Unreached(count)),
        }
    }

    fn judge(&self, state: usize, world: &World<SLOTS>, steps: &[Step]) -> Result<(), Flaw> {
        let broken = world.ghost().broken();
        if let Some(invariant) = slotbus_world::Invariant::ALL.iter().find(|&&invariant| broken.contains(invariant)) {
            return Err(Flaw::Broken(invariant.id()));
        }
        let marks = self.labels.marks(&self.model, world);
        for (place, claim) in self.certificate.heading.claims.iter().enumerate() {
            let proof = Proof { checker: self, place, state, marks, steps };
            let flaw = match claim.kind {
                Kind::Recoverable => proof.flaw_of_recovery(),
                Kind::LeadsTo => proof.flaw_of_descent(),
                Kind::Settles => proof.flaw_of_settling(claim.rounds.unwrap_or(0)),
            };
            if let Some(why) = flaw {
                return Err(Flaw::Unproven(claim.goal.clone(), why));
            }
        }
        Ok(())
    }
}

/// What a certificate says of one state about one claim.
struct Proof<'a> {
    checker: &'a Checker<'a>,
    place: usize,
    state: usize,
    marks: Marks,
    steps: &'a [Step],
}

impl Proof<'_> {
    fn level(&self, state: usize) -> u32 {
        self.checker.certificate.levels[self.place][state]
    }

    fn aid(&self, state: usize) -> u32 {
        self.checker.certificate.aids[self.place][state]
    }

    fn is_goal(&self, marks: Marks) -> bool {
        marks & self.checker.goals[self.place] != 0
    }

    fn flaw_of_recovery(&self) -> Option<&'static str> {
        let own = self.level(self.state);
        let is_nearer = |step: &Step| self.level(step.target) < own;
        let is_sound = if own == 0 { self.is_goal(self.marks) } else { self.steps.iter().any(is_nearer) };
        (!is_sound || self.aid(self.state) != 0).then_some("no step brings a state nearer to the goal")
    }

    fn flaw_of_descent(&self) -> Option<&'static str> {
        let (own, helper) = (self.level(self.state), self.aid(self.state));
        if own == 0 {
            let is_owed = self.marks & SILENT != 0 && !self.is_goal(self.marks);
            return (is_owed || helper != 0).then_some("a state owes the goal and has no level");
        }
        let is_sound = |step: &Step| match self.level(step.target) {
            0 => self.is_goal(step.marks),
            level if level == own => self.aid(step.target) == helper && u32::from(step.class) != helper,
            level => level < own,
        };
        let class = self.checker.labels.all().get(helper as usize);
        let is_fair = class.is_some_and(|class| class.fairness == Fairness::Weak);
        let is_possible = self.steps.iter().any(|step| u32::from(step.class) == helper);
        if !self.steps.iter().all(is_sound) {
            Some("a step does not lower the level")
        } else {
            (!is_fair || !is_possible).then_some("no fair class has to lower the level")
        }
    }

    fn flaw_of_settling(&self, rounds_max: u32) -> Option<&'static str> {
        let course = |class: ClassId| self.checker.labels.all()[usize::from(class)].course;
        let calm = || self.steps.iter().filter(|step| course(step.class) != Course::Disturbance);
        let cost = |step: &Step| u32::from(course(step.class) == Course::Tick && step.marks & ROUND != 0);
        let rounds = self.aid(self.state);
        let is_counted = |step: &Step| self.aid(step.target).checked_add(cost(step)).is_some_and(|sum| sum <= rounds);
        let is_sound = match self.level(self.state) {
            NOT_OWED => self.marks & SILENT == 0 && rounds == 0,
            0 => self.is_goal(self.marks) && rounds == 0 && calm().all(|step| self.level(step.target) == 0),
            own => {
                let is_lower = |step: &Step| self.level(step.target) < own && is_counted(step);
                rounds <= rounds_max && calm().next().is_some() && calm().all(is_lower)
            }
        };
        (!is_sound).then_some("a step does not bring a state nearer to the goal for good")
    }
}
