//! Owns what a certificate is: what a run claims, with what anybody needs to check it state by state.
//! Writes and reads it; believes nothing that it reads. Knows no model.
//!
//! A line of JSON, then tables, little-endian: the fingerprints of all states, ascending; then for
//! each claim, in the order of these states, what makes it checkable. A claim that a goal is
//! recoverable has a distance for each state; that it is led to, a level and a helpful class; that it
//! settles, a level and a number of rounds.

use crate::{
    graph::Graph,
    live::{Live, questions},
    liveness::{Question, descent, distances, settling},
};
use serde::{Deserialize, Serialize};
use std::{fmt, io, io::Write};

/// The name of the format, and its version.
const FORMAT: &str = "slotbus-certificate 1";
/// Bytes of a fingerprint.
const WIDTH: usize = size_of::<u128>();

/// What a certificate says.
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
    /// How many states can be reached.
    pub states: usize,
    /// How many steps lead from one to another or to itself.
    pub edges: usize,
    /// What is claimed beyond all invariants.
    pub claims: Vec<Claim>,
}

/// One claim about a goal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The goal.
    pub goal: String,
    /// "recoverable", "leads_to" or "settles".
    pub kind: Kind,
    /// Within how many rounds, if it settles.
    pub rounds: Option<u32>,
}

/// What is claimed about a goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It can be reached from everywhere.
    Recoverable,
    /// Every fair run reaches it.
    LeadsTo,
    /// It is reached for good while nobody interferes.
    Settles,
}

/// A certificate that was read.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// What it says.
    pub heading: Heading,
    /// The fingerprints of all states, as they stand in the file.
    pub fingerprints: Vec<u128>,
    /// By claim, by state: a distance or a level.
    pub levels: Vec<Vec<u32>>,
    /// By claim, by state: a class or a number of rounds; 0 for claims that need none.
    pub aids: Vec<Vec<u32>>,
}

/// Why a file is no certificate.
#[derive(Debug)]
pub enum Unreadable {
    /// Its first line is not a heading.
    Heading(serde_json::Error),
    /// It is in another format.
    Format(String),
    /// It has not as many bytes as it says: it should have the first number, and has the second.
    Length(u128, usize),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Heading(error) => write!(f, "its first line: {error}"),
            Self::Format(format) => write!(f, "its format is '{format}', not '{FORMAT}'"),
            Self::Length(due, found) => write!(f, "its tables should have {due} bytes and have {found}"),
        }
    }
}

impl Certificate {
    /// Reads a certificate.
    ///
    /// # Errors
    /// If the bytes are none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Unreadable> {
        let end = bytes.iter().position(|&byte| byte == b'\n').unwrap_or(bytes.len());
        let heading: Heading = serde_json::from_slice(&bytes[..end]).map_err(Unreadable::Heading)?;
        if heading.format != FORMAT {
            return Err(Unreadable::Format(heading.format));
        }
        let mut tables = bytes.get(end + 1..).unwrap_or_default();
        let words = WIDTH + heading.claims.len() * 2 * size_of::<u32>();
        let due = heading.states as u128 * words as u128;
        if due != tables.len() as u128 {
            return Err(Unreadable::Length(due, tables.len()));
        }
        let (states, claims) = (heading.states, heading.claims.len());
        let fingerprints = table(&mut tables, states, u128::from_le_bytes);
        let mut columns = (0..2 * claims).map(|_| table(&mut tables, states, u32::from_le_bytes));
        let (mut levels, mut aids) = (Vec::new(), Vec::new());
        while let (Some(level), Some(aid)) = (columns.next(), columns.next()) {
            levels.push(level);
            aids.push(aid);
        }
        Ok(Self { heading, fingerprints, levels, aids })
    }
}

/// Takes one table of `count` words of `SIZE` bytes off the front.
fn table<const SIZE: usize, T>(bytes: &mut &[u8], count: usize, word: fn([u8; SIZE]) -> T) -> Vec<T> {
    let (front, rest) = bytes.split_at(count * SIZE);
    *bytes = rest;
    front.as_chunks().0.iter().map(|chunk| word(*chunk)).collect()
}

/// Writes the certificate of a run that was exhausted and in which everything holds.
///
/// # Errors
/// If it cannot be written.
pub fn write(live: &Live, out: &mut impl Write) -> io::Result<()> {
    let plan = &live.run.plan;
    let asked = live.labels.goals().flat_map(|(goal, mark)| questions(mark).map(|(_, question)| (goal, question)));
    let proofs: Vec<_> = asked.map(|(goal, question)| (goal, prove(live, question))).collect();
    let proven = proofs.iter().filter_map(|(goal, proof)| Some((goal, proof.as_ref()?)));
    let claims = proven.map(|(goal, proof)| Claim { goal: goal.id().into(), kind: proof.kind, rounds: proof.rounds() });
    let heading = Heading {
        format: FORMAT.into(),
        config: plan.configuration.name.into(),
        profile: plan.profile_name.into(),
        mutant: plan.mutant.map(|mutant| mutant.id().into()),
        states: live.run.states,
        edges: live.run.edges,
        claims: claims.collect(),
    };
    serde_json::to_writer(&mut *out, &heading)?;
    out.write_all(b"\n")?;
    let order = ascending(&live.graph);
    for &state in &order {
        out.write_all(&live.graph.fingerprint(state).to_le_bytes())?;
    }
    for proof in proofs.iter().filter_map(|(_, proof)| proof.as_ref()) {
        for column in [&proof.levels, &proof.aids] {
            for &state in &order {
                out.write_all(&column[state as usize].to_le_bytes())?;
            }
        }
    }
    out.flush()
}

fn ascending(graph: &Graph) -> Vec<u32> {
    let mut order: Vec<u32> = graph.states().collect();
    order.sort_unstable_by_key(|&state| graph.fingerprint(state));
    order
}

/// What makes a claim checkable.
struct Proof {
    kind: Kind,
    levels: Vec<u32>,
    aids: Vec<u32>,
}

impl Proof {
    fn rounds(&self) -> Option<u32> {
        (self.kind == Kind::Settles).then(|| self.aids.iter().copied().max().unwrap_or(0))
    }
}

/// The proof of a positive answer; none if it is negative.
fn prove(live: &Live, question: Question) -> Option<Proof> {
    let (graph, classes) = (&live.graph, live.labels.all());
    match question {
        Question::Recoverable { goal } => {
            let levels = distances(graph, goal);
            let aids = vec![0; levels.len()];
            Some(Proof { kind: Kind::Recoverable, levels, aids })
        }
        Question::LeadsTo { trigger, goal } => {
            let descent = descent(graph, classes, trigger, goal)?;
            let aids = descent.helpers.into_iter().map(u32::from).collect();
            Some(Proof { kind: Kind::LeadsTo, levels: descent.levels, aids })
        }
        Question::Settles { trigger, goal } => {
            let settling = settling(graph, classes, trigger, goal).ok()?;
            Some(Proof { kind: Kind::Settles, levels: settling.levels, aids: settling.rounds })
        }
    }
}
