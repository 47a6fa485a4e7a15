//! Owns the replay of vectors: in the model's own process, or through an adapter against any program.

use super::{
    judge::{Difference, compare},
    pack::Named,
    reference::{Session, profile},
    vector::{Level, Vector},
};

/// What became of one vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All is as expected.
    Passes,
    /// Something is not.
    Differs(Difference),
    /// It could not be played.
    Unplayed(String),
}

/// Holds the model in this process to a vector.
#[must_use]
pub fn in_process(named: &Named) -> Verdict {
    match play(&named.vector) {
        Ok(None) => Verdict::Passes,
        Ok(Some(difference)) => Verdict::Differs(difference),
        Err(trouble) => Verdict::Unplayed(trouble),
    }
}

fn play(vector: &Vector) -> Result<Option<Difference>, String> {
    let (mut session, started) = Session::start(&vector.node, profile(&vector.profile)?, None)?;
    let started = vector.node.expect.as_ref().and_then(|expected| compare(Level::L2, None, expected, &started));
    if started.is_some() {
        return Ok(started);
    }
    for (index, step) in vector.steps.iter().enumerate() {
        let Some(expected) = &step.expect else {
            session.pass(step)?;
            continue;
        };
        let (seen, draws) = session.take(step)?;
        if draws != step.draws {
            let (expected, seen) = (format!("{:?}", step.draws), format!("{draws:?}"));
            return Ok(Some(Difference { step: Some(index), place: "draws".into(), expected, seen }));
        }
        if let Some(difference) = compare(Level::L2, Some(index), expected, &seen) {
            return Ok(Some(difference));
        }
    }
    Ok(None)
}
