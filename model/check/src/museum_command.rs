//! Owns the command `museum`: which bugs are looked at, and how what was seen is told.

use crate::{End, Unusable, say, watched};
use clap::Args;
use serde_json::{Value, json};
use slotbus_check::{
    Limits,
    exhibits::{ABSENTEES, EXHIBITS},
    museum::{Absentee, Exhibit, Viewing},
};

#[derive(Args)]
pub(crate) struct MuseumArgs {
    /// Which; every one if none is named.
    ids: Vec<String>,
    /// One JSON document instead of text.
    #[arg(long)]
    json: bool,
}

pub(crate) fn museum(args: &MuseumArgs) -> Result<End, Unusable> {
    let ids: Vec<_> = args.ids.iter().map(String::as_str).collect();
    check_known(&ids)?;
    let is_chosen = |id: &str| ids.is_empty() || ids.contains(&"all") || ids.contains(&id);
    let mut viewings = Vec::new();
    for exhibit in EXHIBITS.iter().filter(|exhibit| is_chosen(exhibit.id)) {
        let viewing = watched(exhibit.id, |progress| exhibit.view(Limits::default(), progress));
        let viewing = viewing.ok_or_else(|| Unusable(format!("there is no configuration '{}'", exhibit.config)))?;
        if !args.json {
            say(text(&viewing));
        }
        viewings.push(viewing);
    }
    let absent = || ABSENTEES.iter().filter(|absentee| is_chosen(absentee.id));
    if args.json {
        let shown: Vec<_> = viewings.iter().map(document).collect();
        say(format_args!(
            "{}\n",
            json!({ "museum": shown, "not_applicable": absent().map(reason).collect::<Vec<_>>() })
        ));
    } else {
        absent().for_each(|Absentee { id, bug, source, reason }| {
            say(format_args!("{id}  {bug} ({source})\n     not applicable: {reason}\n"));
        });
        let apart = viewings.iter().filter(|viewing| viewing.is_told_apart()).count();
        say(format_args!(
            "{apart} of {} bugs are told from their absence; {} are not applicable\n",
            viewings.len(),
            absent().count()
        ));
    }
    Ok(if viewings.iter().all(Viewing::is_told_apart) { End::AllHolds } else { End::Violated })
}

fn check_known(ids: &[&str]) -> Result<(), Unusable> {
    let known = || EXHIBITS.iter().map(|exhibit| exhibit.id).chain(ABSENTEES.iter().map(|absentee| absentee.id));
    match ids.iter().find(|&&id| id != "all" && !known().any(|known| known == id)) {
        Some(id) => Err(Unusable::unknown("bug", id, known())),
        None => Ok(()),
    }
}

fn text(viewing: &Viewing) -> String {
    let Viewing { exhibit: Exhibit { id, bug, source, relapse, property, config }, .. } = viewing;
    let steps = viewing.trace_len.map_or(String::new(), |steps| format!(" after {steps} steps"));
    let (buggy, fixed, states) = (viewing.buggy.name(), viewing.fixed.name(), viewing.states);
    format!(
        "{id}  {bug} ({source})\n     {property} in {config}: {buggy} with {relapse}{steps}, {fixed} without in {states} states\n"
    )
}

fn document(viewing: &Viewing) -> Value {
    let Exhibit { id, bug: _, source: _, relapse, property, config } = viewing.exhibit;
    json!({
        "id": id,
        "flag": relapse.to_string(),
        "buggy": viewing.buggy.name(),
        "fixed": viewing.fixed.name(),
        "property": property,
        "config": config,
        "trace_len": viewing.trace_len,
        "states": viewing.states,
    })
}

fn reason(absentee: &Absentee) -> Value {
    json!({ "id": absentee.id, "reason": absentee.reason })
}
