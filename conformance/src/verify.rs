//! Holds a recorded trace of a node to the model: starts a node as the trace says, feeds it the
//! recorded inputs, and compares the effects. Knows nothing of how the trace came to be.

use serde::Serialize;
use serde_json::Value;
use slotbus_core::{CLUSTER_SLOTS, Effects, Input, Node, Profile, Rule, step};
use slotbus_wire::trace::{TraceError, TraceFault, TraceReader};
use std::{
    error, fmt,
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
    sync::Arc,
};

/// What became of a trace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// How many steps agree with the model.
    pub steps: u64,
    /// Whether the last line was cut off, as a killed process leaves it.
    pub truncated: bool,
    /// Where the trace first differs from the model.
    pub difference: Option<Difference>,
    /// Which rules fired, by the model.
    pub rules: Vec<Rule>,
}

/// Where a recorded step differs from what the model does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The step, counted from 1.
    pub step: u64,
    /// What the input was.
    pub event: String,
    /// The rule that decides what differs: the first that only one side raised, or else the last
    /// that both did.
    pub rule: Option<Rule>,
    /// Which part of the effects differs, as a path.
    pub place: String,
    /// What was recorded there.
    pub recorded: String,
    /// What the model says there.
    pub model: String,
}

/// Why a trace could not be verified to its end.
#[derive(Debug)]
pub enum Unverified {
    /// The file cannot be opened.
    Open(std::io::Error),
    /// The trace cannot be read on.
    Trace(TraceError),
    /// The node cannot start from what the trace begins with.
    Start(slotbus_core::BadImage),
}

impl Unverified {
    /// Whether the trace was a good one that somebody changed, rather than no trace at all.
    #[must_use]
    pub fn is_tampered(&self) -> bool {
        match self {
            Self::Trace(error) => match error.fault {
                TraceFault::Io(_) | TraceFault::Empty | TraceFault::Format(_) => false,
                TraceFault::NotATrace => error.step.is_some(),
                TraceFault::Truncated
                | TraceFault::TooLong
                | TraceFault::Checksum
                | TraceFault::Json(_)
                | TraceFault::Postcard(_) => true,
            },
            Self::Open(_) | Self::Start(_) => false,
        }
    }
}

impl fmt::Display for Unverified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(error) => write!(f, "cannot be opened: {error}"),
            Self::Trace(error) => error.fmt(f),
            Self::Start(error) => write!(f, "the node cannot start from the first line: {error}"),
        }
    }
}

impl error::Error for Unverified {}

/// Verifies the trace in a file, under another profile than the recorded one if one is given.
pub fn verify_file(path: &Path, profile: Option<Profile>) -> Result<Verified, Unverified> {
    let file = File::open(path).map_err(Unverified::Open)?;
    let trace = TraceReader::new(BufReader::new(file)).map_err(Unverified::Trace)?;
    verify(trace, profile)
}

/// Verifies a trace, under another profile than the recorded one if one is given.
pub fn verify<R: BufRead>(trace: TraceReader<R>, profile: Option<Profile>) -> Result<Verified, Unverified> {
    let header = trace.header().clone();
    let mut config = header.config;
    if let Some(profile) = profile {
        config.profile = profile;
    }
    let started = Node::<CLUSTER_SLOTS>::start(Arc::new(config), header.origin, header.now);
    let (mut node, begun) = started.map_err(Unverified::Start)?;
    let mut verified = Verified::default();
    note_rules(&mut verified.rules, &begun.rules);
    for recorded in trace {
        let recorded = match recorded {
            Ok(recorded) => recorded,
            Err(TraceError { fault: TraceFault::Truncated, .. }) => {
                verified.truncated = true;
                break;
            }
            Err(error) => return Err(Unverified::Trace(error)),
        };
        let effects = step(&mut node, recorded.input.clone());
        note_rules(&mut verified.rules, &effects.rules);
        if let Some(difference) = compare(verified.steps + 1, &recorded.input, &recorded.effects, &effects) {
            verified.difference = Some(difference);
            break;
        }
        verified.steps += 1;
    }
    Ok(verified)
}

fn note_rules(seen: &mut Vec<Rule>, fired: &[Rule]) {
    for rule in fired {
        if let Err(index) = seen.binary_search(rule) {
            seen.insert(index, *rule);
        }
    }
}

fn compare(
    step: u64,
    input: &Input<CLUSTER_SLOTS>,
    recorded: &Effects<CLUSTER_SLOTS>,
    model: &Effects<CLUSTER_SLOTS>,
) -> Option<Difference> {
    let is_same = recorded.persist == model.persist && recorded.then == model.then && recorded.rules == model.rules;
    if is_same {
        return None;
    }
    let value = |effects| serde_json::to_value(effects).unwrap_or(Value::Null);
    let mut place = String::new();
    let (recorded_part, model_part) = first_difference(&value(recorded), &value(model), &mut place);
    Some(Difference {
        step,
        event: shorten(&serde_json::to_string(&input.event).unwrap_or_default()),
        rule: deciding_rule(&recorded.rules, &model.rules),
        place: place.trim_start_matches('.').to_owned(),
        recorded: recorded_part,
        model: model_part,
    })
}

fn deciding_rule(recorded: &[Rule], model: &[Rule]) -> Option<Rule> {
    let common = recorded.iter().zip(model).take_while(|(left, right)| left == right).count();
    model.get(common).or(recorded.get(common)).or(model.last()).copied()
}

/// Goes down to the first part in which two values differ, and shows it of both.
pub(crate) fn first_difference(recorded: &Value, model: &Value, place: &mut String) -> (String, String) {
    match (recorded, model) {
        (Value::Object(left), Value::Object(right)) => {
            for key in left.keys().chain(right.keys()) {
                let (old, new) = (left.get(key).unwrap_or(&Value::Null), right.get(key).unwrap_or(&Value::Null));
                if old != new {
                    place.push('.');
                    place.push_str(key);
                    return first_difference(old, new, place);
                }
            }
        }
        (Value::Array(left), Value::Array(right)) => {
            for index in 0..left.len().max(right.len()) {
                let (old, new) = (left.get(index).unwrap_or(&Value::Null), right.get(index).unwrap_or(&Value::Null));
                if old != new {
                    place.push_str(&format!("[{index}]"));
                    return first_difference(old, new, place);
                }
            }
        }
        (_, _) => {}
    }
    let show = |value: &Value| if value.is_null() { "nothing".to_owned() } else { shorten(&value.to_string()) };
    (show(recorded), show(model))
}

/// Long texts are shown by their beginning.
fn shorten(text: &str) -> String {
    const SHOWN: usize = 300;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}... ({} bytes)", &text[..end], text.len()),
        None => text.to_owned(),
    }
}
