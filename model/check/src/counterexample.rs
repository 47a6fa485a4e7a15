//! Owns a counterexample as a document that tells a run without any model: what happened, to whom,
//! what each host held after it. One line of JSON for the heading, then one for each step. Knows how
//! it is written and read, not how it looks.

use crate::explore::Path;
use serde::{Deserialize, Serialize};
use slotbus_core::Rule;
use slotbus_world::{Action, Cause, Invariant, Setup, World, story::Happening, tell_action, tell_happening, tell_host};
use std::fmt;

/// The name of the format, and its version.
pub(crate) const FORMAT: &str = "slotbus-counterexample 1";

/// A run that shows how a property is violated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counterexample {
    /// What it shows.
    pub heading: Heading,
    /// What happened, in order.
    pub steps: Vec<Step>,
}

/// What a counterexample shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heading {
    /// The format.
    pub format: String,
    /// The configuration.
    pub config: String,
    /// The profile.
    pub profile: String,
    /// The deliberate fault, if there is one.
    pub mutant: Option<String>,
    /// The property; none of a run that was recorded, and breaks none.
    pub property: Option<String>,
    /// The hosts, each with what it holds at the start.
    pub hosts: Vec<Holding>,
    /// How many steps come before a cycle that the others are; none if the run ends.
    pub cycle_after: Option<usize>,
}

/// What a host holds, line by line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// Which host.
    pub host: String,
    /// What it holds.
    pub lines: Vec<String>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What happened.
    pub action: String,
    /// What nodes did about it.
    pub turns: Vec<NodeTurn>,
    /// What hosts hold that hold something else than before.
    pub changes: Vec<Holding>,
    /// The invariants that the step broke.
    pub breaks: Vec<String>,
}

/// What one node did within a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeTurn {
    /// Where.
    pub host: String,
    /// Who sent the message that it received, if it did.
    pub from: Option<String>,
    /// The kind of that message.
    pub message: Option<String>,
    /// What happened to it.
    pub cause: String,
    /// The rules that fired.
    pub rules: Vec<String>,
    /// What it did.
    pub effects: Vec<String>,
}

/// Why a file is no counterexample.
#[derive(Debug)]
pub enum Unreadable {
    /// There is nothing in it.
    Empty,
    /// The line with this number is not what stands there.
    Line(usize, serde_json::Error),
    /// It is in another format.
    Format(String),
    /// Its cycle begins after its end.
    Cycle(usize),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty"),
            Self::Line(number, error) => write!(f, "line {number}: {error}"),
            Self::Format(format) => write!(f, "its format is '{format}', not '{FORMAT}'"),
            Self::Cycle(after) => write!(f, "its cycle begins after step {after}, which is not there"),
        }
    }
}

impl Counterexample {
    /// Tells a way through a world, and the cycle that its last steps are, if they are one.
    #[must_use]
    pub fn of<const SLOTS: usize>(
        setup: &Setup,
        title: Title<'_>,
        path: &Path<World<SLOTS>, Action>,
        cycle_after: Option<usize>,
    ) -> Self {
        let Title { config, profile, mutant, property } = title;
        let hosts = setup.places().map(|place| holding(setup, &path.start, place)).collect();
        let heading = Heading {
            format: FORMAT.into(),
            config: config.into(),
            profile: profile.into(),
            mutant: mutant.map(str::to_owned),
            property: Some(property.into()),
            hosts,
            cycle_after,
        };
        let before = std::iter::once(&path.start).chain(path.steps.iter().map(|(_, state)| state));
        let steps = path.steps.iter().zip(before).map(|((action, _), before)| step(setup, before, *action));
        Self { heading, steps: steps.collect() }
    }

    /// The document: one line of JSON for the heading, and one for each step.
    #[must_use]
    pub fn to_lines(&self) -> String {
        let heading = serde_json::to_string(&self.heading);
        let steps = self.steps.iter().map(serde_json::to_string);
        let lines = std::iter::once(heading).chain(steps);
        // Strings and numbers always have a form in JSON.
        lines.map(|line| line.unwrap_or_default() + "\n").collect()
    }

    /// Reads a document.
    ///
    /// # Errors
    /// If it is not one.
    pub fn from_lines(text: &str) -> Result<Self, Unreadable> {
        let mut lines = text.lines().zip(1..);
        let (first, number) = lines.next().ok_or(Unreadable::Empty)?;
        let heading: Heading = parse(first, number)?;
        if heading.format != FORMAT {
            return Err(Unreadable::Format(heading.format));
        }
        let steps: Vec<Step> = lines.map(|(line, number)| parse(line, number)).collect::<Result<_, _>>()?;
        match heading.cycle_after {
            Some(after) if after > steps.len() => Err(Unreadable::Cycle(after)),
            Some(_) | None => Ok(Self { heading, steps }),
        }
    }

    /// The names of the hosts.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.heading.hosts.iter().map(|holding| holding.host.as_str())
    }
}

fn parse<'a, T: Deserialize<'a>>(line: &'a str, number: usize) -> Result<T, Unreadable> {
    serde_json::from_str(line).map_err(|error| Unreadable::Line(number, error))
}

/// What a counterexample is called.
#[derive(Clone, Copy, Debug)]
pub struct Title<'a> {
    /// The configuration.
    pub config: &'a str,
    /// The profile.
    pub profile: &'a str,
    /// The deliberate fault, if there is one.
    pub mutant: Option<&'a str>,
    /// The property.
    pub property: &'a str,
}

fn holding<const SLOTS: usize>(setup: &Setup, world: &World<SLOTS>, place: slotbus_world::Place) -> Holding {
    let lines = tell_host(setup, world, place).lines().map(str::to_owned).collect();
    Holding { host: place.to_string(), lines }
}

fn step<const SLOTS: usize>(setup: &Setup, before: &World<SLOTS>, action: Action) -> Step {
    let (after, happenings) = before.told(setup, action);
    let both = setup.places().map(|place| (holding(setup, before, place), holding(setup, &after, place)));
    let (known, broken) = (before.ghost().broken(), after.ghost().broken());
    let breaks = Invariant::ALL.iter().filter(|&&invariant| broken.contains(invariant) && !known.contains(invariant));
    Step {
        action: tell_action(setup, before, action),
        turns: happenings.iter().map(|happening| turn(setup, happening)).collect(),
        changes: both.filter(|(before, after)| before != after).map(|(_, after)| after).collect(),
        breaks: breaks.map(|invariant| format!("{}: {}", invariant.id(), invariant.sentence())).collect(),
    }
}

fn turn<const SLOTS: usize>(setup: &Setup, happening: &Happening<SLOTS>) -> NodeTurn {
    let (cause, told) = tell_happening(setup, happening);
    let message = match &happening.cause {
        Cause::Received { message, .. } => Some(message),
        Cause::Started(_) | Cause::LinkUp { .. } | Cause::LinkDown(_) | Cause::LinkRefused(_) => None,
        Cause::Tick | Cause::Admin(_) | Cause::Replicated(_) => None,
    };
    let saves =
        happening.effects.persist.as_ref().map(|persist| if persist.sync { "saves and syncs" } else { "saves" });
    let dies = happening.dies.then_some("is killed before it does anything else");
    let effects = saves.into_iter().chain(dies).map(str::to_owned).chain(told);
    NodeTurn {
        host: happening.place.to_string(),
        from: message.and_then(|message| setup.owner_of(&message.header.sender)).map(|place| place.to_string()),
        message: message.map(|message| message.body.name().to_uppercase()),
        cause,
        rules: happening.effects.rules.iter().map(|rule: &Rule| rule.id().to_owned()).collect(),
        effects: effects.collect(),
    }
}
