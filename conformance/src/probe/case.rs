//! The cases of a probe: the scripts, each with the area of the rules that it is about. Knows no server.

use crate::scripted::Script;
use slotbus_core::Rule;

/// Every script by name.
const SCRIPTS: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/scripts.rs"));

/// One case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// What happens.
    pub script: Script,
}

impl Case {
    /// Every case, by name.
    pub fn all() -> Result<Vec<Self>, String> {
        SCRIPTS.iter().map(|(name, text)| Script::parse(name, text).map(|script| Self { script })).collect()
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.script.name
    }

    /// The rules that it is about: those that it shows, and those whose limits it shows.
    pub fn rules(&self) -> impl Iterator<Item = Rule> + '_ {
        self.script.rules.iter().chain(&self.script.never).copied()
    }

    /// The concern that its first rule belongs to.
    #[must_use]
    pub fn area(&self) -> &'static str {
        self.rules().next().map_or("", Rule::area)
    }

    /// Whether a word of the command line means it: an area, a rule, or a part of its name.
    #[must_use]
    pub fn is_meant(&self, filter: &str) -> bool {
        let is = |other: &str| other.eq_ignore_ascii_case(filter);
        is(self.area()) || self.rules().any(|rule| is(rule.id())) || self.name().contains(filter)
    }
}
