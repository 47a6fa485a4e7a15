//! Owns the text of one simulation: what it is drawn from, what is done to it and when, and what it
//! breaks, one item a line. A failing seed prints as such a text, and the text replays the failure:
//!
//! ```text
//! # slotbus-check simulate --replay FILE
//!
//! profile slotbus
//! seed 1030
//! nodes 5
//! replicas 2
//! duration-s 60
//! at 51210 power-loss n3
//! at 53020 replicate n1 n4
//! breaks S16 AcyclicGraph
//! ```
//!
//! Simulates nothing.

use crate::simulate::{Options, config};
use slotbus_core::{Mutant, Profile};
use slotbus_world::simulate::{Act, Outcome, Property, plan::BadAct};
use std::fmt;

/// One simulation to be replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// What is asked of it, acts included.
    pub options: Options,
    /// What it breaks.
    pub breaks: Option<Property>,
}

/// What is wrong with a script, and in which line, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadScript {
    line: usize,
    what: String,
}

impl fmt::Display for BadScript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for BadScript {}

impl Script {
    /// The script of a run that was made: all that was drawn for it, up to where it broke something.
    #[must_use]
    pub fn of(options: &Options, outcome: &Outcome) -> Self {
        let end_ms = outcome.violation.as_ref().map_or(u64::MAX, |violation| violation.at_ms);
        let acts = outcome.acts.iter().filter(|(at_ms, _)| *at_ms <= end_ms).cloned().collect();
        let options = Options {
            nodes: Some(outcome.numbers.nodes),
            replicas: Some(outcome.numbers.replicas),
            acts: Some(acts),
            ..options.clone()
        };
        Self { options, breaks: outcome.violation.as_ref().map(|violation| violation.property) }
    }

    /// Reads a script.
    pub fn parse(text: &str) -> Result<Self, BadScript> {
        let mut reader = Reader::default();
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            reader.item(line).map_err(|what| BadScript { line: index + 1, what })?;
        }
        reader.script().map_err(|what| BadScript { line: text.lines().count(), what })
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Options { seed, nodes, replicas, duration_ms, steps_max, is_quiet, config, acts } = &self.options;
        let profile = Profile::NAMED.iter().find(|(_, profile)| *profile == config.profile);
        writeln!(f, "# slotbus-check simulate --replay FILE\n")?;
        writeln!(f, "profile {}", profile.map_or("unnamed", |(name, _)| name))?;
        if let Some(mutant) = config.mutant {
            writeln!(f, "mutant {}", mutant.id())?;
        }
        writeln!(f, "seed {seed}")?;
        let counts = [("nodes", nodes), ("replicas", replicas)];
        let counts = counts.into_iter().filter_map(|(word, count)| Some((word, count.as_ref()?)));
        counts.into_iter().try_for_each(|(word, count)| writeln!(f, "{word} {count}"))?;
        if let Some(steps) = steps_max {
            writeln!(f, "steps {steps}")?;
        }
        if *is_quiet {
            writeln!(f, "quiet-network")?;
        }
        writeln!(f, "duration-ms {duration_ms}")?;
        acts.iter().flatten().try_for_each(|(at_ms, act)| writeln!(f, "at {at_ms} {act}"))?;
        self.breaks.map_or(Ok(()), |property| writeln!(f, "breaks {}", property.id()))
    }
}

/// The items of a script as they are read.
#[derive(Default)]
struct Reader {
    profile: Option<Profile>,
    mutant: Option<Mutant>,
    seed: Option<u64>,
    nodes: Option<usize>,
    replicas: Option<usize>,
    duration_ms: Option<u64>,
    steps_max: Option<u64>,
    is_quiet: bool,
    acts: Vec<(u64, Act)>,
    breaks: Option<Property>,
}

impl Reader {
    fn item(&mut self, line: &str) -> Result<(), String> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "profile" => self.profile = Some(profile(rest)?),
            "mutant" => self.mutant = Some(Mutant::by_id(rest).ok_or_else(|| format!("no mutant is called '{rest}'"))?),
            "seed" => self.seed = Some(number(rest)?),
            "nodes" => self.nodes = Some(number(rest).and_then(within(3..=1000))?),
            "replicas" => self.replicas = Some(number(rest).and_then(within(0..=1000))?),
            "duration-ms" => self.duration_ms = Some(number(rest)?),
            "steps" => self.steps_max = Some(number(rest)?),
            "quiet-network" => self.is_quiet = true,
            "at" => {
                let (at_ms, act) = rest.split_once(' ').ok_or("an act has a time and a word")?;
                let act = act.parse().map_err(|bad: BadAct| bad.to_string())?;
                self.acts.push((number(at_ms)?, act));
            }
            "breaks" => self.breaks = Some(property(rest)?),
            _ => return Err(format!("'{word}' is no item of a script")),
        }
        Ok(())
    }

    fn script(self) -> Result<Script, String> {
        let lacks = |word: &str| format!("the script lacks the item '{word}'");
        let nodes = self.nodes.ok_or_else(|| lacks("nodes"))?;
        let is_outside = |(_, act): &&(u64, Act)| act.places().iter().any(|&place| place >= nodes);
        if let Some((at_ms, act)) = self.acts.iter().find(is_outside) {
            return Err(format!("'at {at_ms} {act}' names a node beyond the {nodes} that there are"));
        }
        let options = Options {
            seed: self.seed.ok_or_else(|| lacks("seed"))?,
            nodes: Some(nodes),
            replicas: Some(self.replicas.ok_or_else(|| lacks("replicas"))?),
            duration_ms: self.duration_ms.ok_or_else(|| lacks("duration-ms"))?,
            steps_max: self.steps_max,
            is_quiet: self.is_quiet,
            config: config(self.profile.ok_or_else(|| lacks("profile"))?, self.mutant),
            acts: Some(self.acts),
        };
        Ok(Script { options, breaks: self.breaks })
    }
}

fn profile(name: &str) -> Result<Profile, String> {
    let found = Profile::NAMED.iter().find(|(known, _)| *known == name);
    found.map(|(_, profile)| *profile).ok_or_else(|| format!("no profile is called '{name}'"))
}

fn property(id: &str) -> Result<Property, String> {
    Property::all().find(|property| property.id() == id).ok_or_else(|| format!("no property is called '{id}'"))
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("'{text}' is no number"))
}

fn within(range: std::ops::RangeInclusive<u64>) -> impl Fn(u64) -> Result<usize, String> {
    move |number| {
        let inside = usize::try_from(number).ok().filter(|_| range.contains(&number));
        inside.ok_or_else(|| format!("{number} is not within {} to {}", range.start(), range.end()))
    }
}

#[cfg(test)]
mod tests {
    use super::Script;
    use slotbus_world::simulate::Property;

    const TEXT: &str = "\
# slotbus-check simulate --replay FILE

profile slotbus
mutant epoch-not-saved
seed 7
nodes 5
replicas 1
duration-ms 20000
at 51210 power-loss n3
at 53020 part n0 n1 n0 n4
breaks S16 AcyclicGraph
";

    #[test]
    fn a_script_is_read_as_it_was_written() {
        let script = Script::parse(TEXT).expect("a script");
        assert_eq!(script.to_string(), TEXT);
        assert_eq!(script.breaks, Some(Property::AcyclicGraph));
    }

    #[test]
    fn what_is_no_script_is_refused_with_its_line() {
        let change = |from, to| Script::parse(&TEXT.replace(from, to)).expect_err("no script").to_string();
        assert_eq!(change("seed 7", "seed x"), "line 5: 'x' is no number");
        assert_eq!(change("nodes 5", "nodes 1001"), "line 6: 1001 is not within 3 to 1000");
        assert_eq!(change("power-loss n3", "dance n3"), "line 9: 'dance n3' is nothing that is done to a cluster");
        assert!(change("power-loss n3", "power-loss n5").contains("beyond the 5"));
        assert!(change("seed 7\n", "").contains("lacks the item 'seed'"));
        assert!(change("breaks S16", "breaks S99").contains("no property"));
        assert!(change("mutant ", "mutants ").contains("no item"));
    }
}
