//! Owns the command `museum`: which bugs are looked at, and how what was seen is told.

use crate::{End, Unusable, say, watched};
use clap::Args;
use serde_json::{Value, json};
use slotbus_check::{
    Limits,
    explore::Verdict,
    museum::{EXHIBITS, Exhibit, Viewing},
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
    let is_all = args.ids.is_empty() || args.ids.iter().any(|id| id == "all");
    let chosen: Vec<_> = if is_all {
        EXHIBITS.iter().collect()
    } else {
        args.ids.iter().map(|id| exhibit(id)).collect::<Result<_, _>>()?
    };
    let mut viewings = Vec::new();
    for exhibit in chosen {
        let viewing = watched(exhibit.id, |progress| exhibit.view(Limits::default(), progress));
        let viewing = viewing.ok_or_else(|| Unusable(format!("there is no configuration '{}'", exhibit.config)))?;
        if !args.json {
            say(text(&viewing));
        }
        viewings.push(viewing);
    }
    if args.json {
        say(format_args!("{}\n", json!({ "museum": viewings.iter().map(document).collect::<Vec<_>>() })));
    }
    Ok(if viewings.iter().all(Viewing::is_told_apart) { End::AllHolds } else { End::Violated })
}

fn exhibit(id: &str) -> Result<&'static Exhibit, Unusable> {
    Exhibit::by_id(id).ok_or_else(|| Unusable::unknown("bug", id, EXHIBITS.iter().map(|known| known.id)))
}

fn text(viewing: &Viewing) -> String {
    let Viewing { exhibit: Exhibit { id, bug, source, relapse, property, config }, buggy, trace_len, fixed } = viewing;
    let steps = trace_len.map_or(String::new(), |steps| format!(" after {steps} steps"));
    format!(
        "{id}  {bug} ({source})\n     {property} in {config}: {} with {relapse}{steps}, {} without\n",
        verdict(*buggy),
        verdict(*fixed)
    )
}

const fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Holds => "holds",
        Verdict::Violated => "violated",
        Verdict::Unknown => "unknown",
    }
}

fn document(viewing: &Viewing) -> Value {
    let Exhibit { id, bug: _, source: _, relapse, property, config } = viewing.exhibit;
    json!({
        "id": id,
        "flag": relapse.to_string(),
        "buggy": verdict(viewing.buggy),
        "fixed": verdict(viewing.fixed),
        "property": property,
        "config": config,
        "trace_len": viewing.trace_len,
    })
}
