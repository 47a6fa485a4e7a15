//! Holds what slotbus-node recorded while it played a script to the model, and to the rules that the
//! script names. Knows traces, and nothing of how a script is played.

use super::script::Script;
use crate::verify;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// What slotbus-node did in a script must be what the model does, and the rules must have fired or
/// not as the script says.
pub fn hold_to_the_model(script: &Script, folder: &Path) -> Result<(), String> {
    let mut fired = BTreeSet::new();
    for path in traces(folder) {
        let verified = verify::verify_file(&path, None).map_err(|error| format!("its trace {error}"))?;
        if let Some(difference) = verified.difference {
            return Err(format!("its trace differs from the model: {difference:?}"));
        }
        fired.extend(verified.rules);
    }
    let silent: Vec<_> = script.rules.iter().filter(|rule| !fired.contains(rule)).map(|rule| rule.id()).collect();
    let loud: Vec<_> = script.never.iter().filter(|rule| fired.contains(rule)).map(|rule| rule.id()).collect();
    if silent.is_empty() && loud.is_empty() {
        return Ok(());
    }
    Err(format!("did not fire: {}; was never to fire: {}", silent.join(" "), loud.join(" ")))
}

/// The traces that servers left in their own folders within this one.
fn traces(folder: &Path) -> Vec<PathBuf> {
    let entries = |folder: &Path| fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let inner = entries(folder).flat_map(|server| entries(&server.path()).collect::<Vec<_>>());
    inner.map(|entry| entry.path()).filter(|path| path.extension() == Some("trace".as_ref())).collect()
}
