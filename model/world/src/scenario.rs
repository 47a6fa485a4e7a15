//! Owns scenarios: text files that anybody can read, one verb a line, what came of it below. Knows no
//! rule: it hands inputs to nodes, performs what they ask for, and tells what they did.
//!
//! A scenario begins with two comments, its title and the rules that it claims to show:
//!
//! ```text
//! # Two nodes get to know each other.
//! # rules: HANDSHAKE-1 HANDSHAKE-4
//!
//! nodes a b
//! admin a meet b
//!   a is asked to MEET b: HANDSHAKE-1
//!     answers OK
//! ```
//!
//! Lines that are indented are what the verb above them led to; [`Scenario::run`] writes them anew.

mod build;
mod cluster;
mod forge;
mod telling;
mod verbs;
mod wire;

use cluster::Cluster;
use slotbus_core::{Config, Rule};
use std::{collections::BTreeSet, fmt};

/// Slots of the clusters in scenarios: few enough to read.
pub(crate) const SLOTS: usize = 16;

/// A scenario as it is written.
#[derive(Clone, Debug)]
pub struct Scenario {
    title: String,
    claims: Vec<Rule>,
    lines: Vec<String>,
}

/// What running a scenario led to.
#[derive(Clone, Debug)]
pub struct Run {
    /// The scenario's text with what happened below each verb.
    pub text: String,
    /// Rules that fired, but for those of clusters that a verb forms at one go.
    pub fired: BTreeSet<Rule>,
}

/// What is wrong with a scenario, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The number of the line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for Trouble {}

impl Scenario {
    /// Reads a scenario: its title, its claims, its verbs.
    pub fn parse(text: &str) -> Result<Self, Trouble> {
        let trouble = |line, what: &str| Trouble { line, what: what.into() };
        let mut lines = text.lines();
        let title = lines.next().and_then(|line| line.strip_prefix("# ")).map(str::to_owned);
        let title = title.ok_or_else(|| trouble(1, "the first line is the title, after `# `"))?;
        let claims = lines.next().and_then(|line| line.strip_prefix("# rules:"));
        let claims = claims.ok_or_else(|| trouble(2, "the second line names rules, after `# rules:`"))?;
        let claim = |id: &str| Rule::by_id(id).ok_or_else(|| trouble(2, &format!("no rule has the id {id}")));
        let claims = claims.split_whitespace().map(claim).collect::<Result<_, _>>()?;
        Ok(Self { title, claims, lines: text.lines().map(str::to_owned).collect() })
    }

    /// What it shows, in one sentence.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The rules that it claims to show.
    #[must_use]
    pub fn claims(&self) -> &[Rule] {
        &self.claims
    }

    /// Runs its verbs in order.
    pub fn run(&self) -> Result<Run, Trouble> {
        self.run_as(|_| {})
    }

    /// Runs its verbs in order, on nodes that are told something else at their start.
    pub fn run_as(&self, change: impl FnOnce(&mut Config)) -> Result<Run, Trouble> {
        let mut cluster = Cluster::default();
        change(&mut cluster.config);
        let mut text = String::new();
        for (index, line) in self.lines.iter().enumerate() {
            if is_outcome(line) {
                continue;
            }
            text.push_str(line);
            text.push('\n');
            if !is_comment(line) {
                verbs::perform(&mut cluster, line).map_err(|what| Trouble { line: index + 1, what })?;
                text.push_str(&cluster.take_told());
            }
        }
        Ok(Run { text, fired: cluster.fired().clone() })
    }
}

fn is_outcome(line: &str) -> bool {
    line.starts_with(' ')
}

fn is_comment(line: &str) -> bool {
    line.is_empty() || line.starts_with('#')
}
