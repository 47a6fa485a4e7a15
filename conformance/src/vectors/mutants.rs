//! Owns the check of the vectors: which deliberate faults of the core they catch, at which level. Knows
//! no fault's inside.

use super::{
    judge::compare,
    pack::Named,
    parallel,
    reference::{Session, profile},
    vector::{Level, Vector},
};
use slotbus_core::{Mutant, Profile};

/// What became of one fault.
#[derive(Clone, Debug)]
pub struct Hunt {
    /// The fault.
    pub mutant: Mutant,
    /// The first vector that caught it.
    pub caught_by: Option<String>,
}

/// Holds every faulty core to the vectors, as far as a level shows it.
pub fn hunt(vectors: &[Named], level: Level, progress: impl Fn(&Hunt) + Sync) -> Result<Vec<Hunt>, String> {
    let hunts = parallel::map(Mutant::ALL.to_vec(), |mutant| {
        let hunt = Hunt { mutant, caught_by: catch(vectors, level, mutant)? };
        progress(&hunt);
        Ok(hunt)
    });
    hunts.into_iter().collect()
}

/// The vector that catches a fault, if one does. Those of the rule that is broken are the likeliest to notice.
fn catch(vectors: &[Named], level: Level, mutant: Mutant) -> Result<Option<String>, String> {
    let (near, far): (Vec<&Named>, Vec<&Named>) =
        vectors.iter().partition(|named| named.vector.rules().contains(&mutant.rule()));
    for named in near.into_iter().chain(far) {
        if differs(&named.vector, profile(named.vector.profile())?, mutant, level) {
            return Ok(Some(named.id.clone()));
        }
    }
    Ok(None)
}

/// Whether a faulty core does something else than a vector says.
fn differs(vector: &Vector, profile: Profile, mutant: Mutant, level: Level) -> bool {
    let Ok((mut session, started)) = Session::start(&vector.node, profile, Some(mutant)) else { return true };
    let expected = vector.node.expect.as_ref();
    if expected.is_some_and(|expected| compare(level, None, expected, &started).is_some()) {
        return true;
    }
    vector.steps.iter().enumerate().any(|(index, step)| match &step.expect {
        None => session.pass(step).is_err(),
        Some(expected) => {
            session.take(step).map_or(true, |(seen, _)| compare(level, Some(index), expected, &seen).is_some())
        }
    })
}
