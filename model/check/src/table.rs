//! Owns the table of a profile: every property, what the configurations say of it, and the shortest
//! way to each violation. A configuration in which a property is broken is searched again without it,
//! so that one violation hides no other. Knows no command line.

use crate::{
    configs::{CONFIGURATIONS, Configuration},
    configs_findings::FINDINGS,
    counterexample::Counterexample,
    explore::{Ending, Limits, Progress, Verdict},
    goals::Goal,
    live::run_live_on,
    run::{Engine, Outcome, Plan, Run},
};
use slotbus_core::Profile;
use slotbus_world::Invariant;
use std::fmt::Write as _;

/// The bound under which random gossip is explored: what it is called, and what it means.
pub const USEFUL_GOSSIP: (&str, &str) = (
    "useful gossip",
    "no heartbeat spends an entry on its receiver; up to five hosts, every draw of gossip is certain then, \
     and what is left out are heartbeats that tell less",
);

/// A profile within the bound [`USEFUL_GOSSIP`].
#[must_use]
pub fn with_useful_gossip(profile: Profile) -> Profile {
    Profile { gossip_skips_receiver: true, ..profile }
}

/// Properties that no configuration of a table is asked for, and why.
const UNASKED: [(&str, &str); 4] = [
    ("L7 ForgetCompletes", "bans end after a minute, which no model waits for"),
    ("L10 ManualSucceeds", "asked in the museum"),
    ("L12 OrphanServed", "asked in the museum and of large configurations"),
    ("L13 OwnersClaim", "asked in the museum"),
];

/// Which replays on real sockets show that a property is broken.
const REPLAYS: [(&str, &[&str]); 20] = [
    ("S3", &["win-unasked"]),
    ("S4", &["win-unasked"]),
    ("S7", &["own-update", "takeover-same-epoch"]),
    ("S10", &["replica-with-slots"]),
    ("S12", &["winner-heard-last", "role-of-yesterday"]),
    ("S13", &["mark-lost"]),
    ("S14", &["setslot-alone"]),
    ("S15", &["role-of-yesterday", "takeover-same-epoch"]),
    ("S16", &["winner-heard-last", "follow-each-other"]),
    ("S18", &["report-without-vote", "early-quorum"]),
    ("S29", &["target-dies"]),
    ("L2", &["takeover-same-epoch", "reset-soft"]),
    ("L3", &["identity-lost"]),
    ("L5", &["suspect-for-ever", "identity-lost"]),
    ("L6", &["meet-lost", "forget-one-sided"]),
    ("L7", &["forgotten-returns"]),
    ("L8", &["follow-each-other"]),
    ("L10", &["votes-apart"]),
    ("L12", &["migration-forgotten"]),
    ("L13", &["reset-soft"]),
];

/// The replays that show a property broken, by its name in reports.
#[must_use]
pub fn replays(property: &str) -> &'static [&'static str] {
    let number = property.split(' ').next().unwrap_or_default();
    REPLAYS.iter().find(|(id, _)| *id == number).map_or(&[], |(_, names)| names)
}

/// Every configuration that a table is made from: the quick ones, and those for findings.
pub fn configurations() -> impl Iterator<Item = &'static Configuration> {
    CONFIGURATIONS.iter().filter(|configuration| configuration.is_quick).chain(FINDINGS)
}

/// What one configuration said.
#[derive(Clone, Debug)]
pub struct Look {
    /// The last run: that in which nothing was found broken that was not known before.
    pub run: Run,
    /// What was found broken, in the order in which it was found.
    pub broken: Vec<Outcome>,
}

/// Searches a configuration until it says something of every property.
pub fn look(plan: Plan, progress: &mut dyn FnMut(Progress)) -> Look {
    let mut known: Vec<Invariant> = Vec::new();
    let mut broken = Vec::new();
    loop {
        let mut model = plan.configuration.model(plan.profile, plan.mutant);
        known.iter().for_each(|&invariant| model.setup.overlooked.insert(invariant));
        let run = run_live_on(plan, model, progress).run;
        let news: Vec<_> =
            run.outcomes.iter().filter(|outcome| outcome.verdict == Verdict::Violated).cloned().collect();
        let invariants: Vec<_> = news.iter().filter_map(|outcome| invariant(outcome.name)).collect();
        broken.extend(news);
        if invariants.is_empty() {
            return Look { run, broken };
        }
        known.extend(invariants);
    }
}

/// The plan of a look at a configuration.
#[must_use]
pub fn plan(configuration: &'static Configuration, named: (&'static str, Profile), limits: Limits) -> Plan {
    let (profile_name, profile) = named;
    let profile = with_useful_gossip(profile);
    Plan { configuration, profile_name, profile, mutant: None, engine: Engine::Own, is_actor: false, limits }
}

fn invariant(name: &str) -> Option<Invariant> {
    Invariant::ALL.iter().copied().find(|invariant| invariant.id() == name)
}

/// What is known of one property.
#[derive(Clone, Debug)]
pub struct Row {
    /// The property.
    pub property: &'static str,
    /// What is known.
    pub verdict: Verdict,
    /// The shortest way to a violation: its configuration, its length and the steps.
    pub shortest: Option<(&'static str, usize, Option<Counterexample>)>,
    /// In how many configurations it holds.
    pub holds_in: usize,
    /// In how many it was asked for.
    pub asked_in: usize,
}

/// One row for each property that any configuration was asked for.
#[must_use]
pub fn rows(looks: &[Look]) -> Vec<Row> {
    let names = Invariant::ALL.iter().map(|it| it.id()).chain(Goal::ALL.iter().map(|it| it.id()));
    names.map(|name| row(name, looks)).collect()
}

fn row(property: &'static str, looks: &[Look]) -> Row {
    let broken = looks.iter().flat_map(|look| look.broken.iter().map(move |outcome| (look, outcome)));
    let broken = broken.filter(|(_, outcome)| outcome.name == property);
    let shortest = broken.min_by_key(|(_, outcome)| outcome.trace_len);
    let shortest = shortest.map(|(look, outcome)| {
        (look.run.plan.configuration.name, outcome.trace_len.unwrap_or_default(), outcome.counterexample.clone())
    });
    let asked = || looks.iter().filter(|look| look.run.outcomes.iter().any(|outcome| outcome.name == property));
    let holds = |look: &&Look| {
        let is_broken = look.broken.iter().any(|outcome| outcome.name == property);
        !is_broken && look.run.ending == Ending::Exhausted
    };
    let (holds_in, asked_in) = (asked().filter(holds).count(), asked().count());
    let verdict = match shortest {
        Some(_) => Verdict::Violated,
        None if holds_in == asked_in && asked_in > 0 => Verdict::Holds,
        None => Verdict::Unknown,
    };
    Row { property, verdict, shortest, holds_in, asked_in }
}

/// The table as a page of Markdown.
#[must_use]
pub fn page(profile: &str, looks: &[Look]) -> String {
    let (bound, meaning) = USEFUL_GOSSIP;
    let mut text = format!(
        "# Every property under profile `{profile}`\n\n\
         Written by `slotbus-check table --profile {profile}`. {} configurations, each searched within its own bounds \
         (`slotbus-check run NAME` prints them) and one more, **{bound}**: {meaning}. Where a property is broken, the search is made again \
         without it, so that one violation hides no other. \"Steps\" is the length of the shortest way to a violation. A replay \
         beside a property that holds needs what no configuration has, and says what.\n\n\
         | property | verdict | steps | configuration | replayed to redis-server |\n|---|---|---|---|---|\n",
        looks.len()
    );
    for row in rows(looks) {
        let _ = writeln!(text, "{}", line(&row));
    }
    text.push_str(
        "\n## Configurations\n\n| configuration | states | transitions | exhausted | broken |\n|---|---|---|---|---|\n",
    );
    for Look { run, broken } in looks {
        let mut broken: Vec<_> = broken.iter().map(|outcome| outcome.name).collect();
        // A goal is asked in three ways.
        broken.dedup();
        let (name, exhausted) =
            (run.plan.configuration.name, if run.ending == Ending::Exhausted { "yes" } else { "no" });
        let _ = writeln!(text, "| {name} | {} | {} | {exhausted} | {} |", run.states, run.edges, broken.join(", "));
    }
    text
}

fn line(row: &Row) -> String {
    let Row { property, verdict, shortest, holds_in, asked_in } = row;
    let place = match shortest {
        Some((config, ..)) => (*config).to_owned(),
        None if *asked_in == 0 => reason(property).to_owned(),
        None => format!("{holds_in} of {asked_in}"),
    };
    let steps = shortest.as_ref().map_or(String::new(), |(_, steps, _)| steps.to_string());
    let verdict = if *asked_in == 0 { "not asked" } else { verdict.name() };
    format!("| {property} | {verdict} | {steps} | {place} | {} |", links(property))
}

/// Why no configuration is asked for a property.
fn reason(property: &str) -> &'static str {
    UNASKED
        .iter()
        .find(|(unasked, _)| *unasked == property)
        .map_or("no configuration asks for it", |(_, reason)| reason)
}

fn links(property: &str) -> String {
    let links: Vec<_> = replays(property).iter().map(|name| format!("[{name}](FINDINGS.md#{name})")).collect();
    links.join(", ")
}
