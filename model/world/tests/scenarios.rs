//! Every scenario does what is recorded below its verbs, every rule has a scenario, and the guided
//! reading points at things that exist. UPDATE_SCENARIOS=1 records anew; a name as argument runs one.

use libtest_mimic::{Arguments, Failed, Trial};
use slotbus_core::Rule;
use slotbus_world::scenario::{Run, Scenario};
use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let scenarios = scenarios();
    let mut trials: Vec<_> = scenarios
        .iter()
        .map(|(name, path)| {
            let path = path.clone();
            Trial::test(name.clone(), move || does_what_is_recorded(&path))
        })
        .collect();
    trials.push(Trial::test("every_rule_has_a_scenario", every_rule_has_a_scenario));
    trials.push(Trial::test("every_scenario_is_named_after_areas", every_scenario_is_named_after_an_area));
    trials.push(Trial::test("the_tour_points_at_what_exists", the_tour_points_at_what_exists));
    trials.push(Trial::test("the_tour_shows_every_area", the_tour_shows_every_area));
    trials.push(Trial::test("bad_scenarios_are_refused_with_a_line", bad_scenarios_are_refused_with_a_line));
    trials.push(Trial::test("a_wrong_record_is_noticed", a_wrong_record_is_noticed));
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

fn tour_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/TOUR.md")
}

/// Every scenario file by its name without the ending.
fn scenarios() -> BTreeMap<String, PathBuf> {
    let entries = fs::read_dir(folder()).expect("the folder of scenarios");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let named = |path: PathBuf| Some((path.file_stem()?.to_str()?.to_owned(), path));
    paths.filter(|path| path.extension().is_some_and(|ending| ending == "txt")).filter_map(named).collect()
}

fn run(text: &str) -> Result<(Scenario, Run), Failed> {
    let scenario = Scenario::parse(text)?;
    let run = scenario.run()?;
    Ok((scenario, run))
}

fn does_what_is_recorded(path: &Path) -> Result<(), Failed> {
    let text = fs::read_to_string(path)?;
    let (scenario, run) = run(&text)?;
    if env::var_os("UPDATE_SCENARIOS").is_some() {
        // Renamed into place: other trials read the folder meanwhile.
        let draft = path.with_extension("draft");
        fs::write(&draft, &run.text)?;
        fs::rename(&draft, path)?;
    } else {
        compare(&text, &run.text)?;
    }
    let silent: Vec<_> = scenario.claims().iter().filter(|rule| !run.fired.contains(rule)).collect();
    if silent.is_empty() { Ok(()) } else { Err(format!("claimed, but not shown: {silent:?}").into()) }
}

/// Points at the first line that differs.
fn compare(recorded: &str, happened: &str) -> Result<(), Failed> {
    if recorded == happened {
        return Ok(());
    }
    let pairs = recorded.lines().zip(happened.lines());
    let same = pairs.take_while(|(left, right)| left == right).count();
    let at = |text: &str| text.lines().nth(same).unwrap_or("(the end)").to_owned();
    let (recorded, happened) = (at(recorded), at(happened));
    let line = same + 1;
    Err(format!("line {line}\n recorded: {recorded}\n happened: {happened}\nUPDATE_SCENARIOS=1 records anew").into())
}

fn every_rule_has_a_scenario() -> Result<(), Failed> {
    let mut claimed = BTreeSet::new();
    for path in scenarios().values() {
        claimed.extend(Scenario::parse(&fs::read_to_string(path)?)?.claims().iter().copied());
    }
    let missing: Vec<_> = Rule::ALL.iter().filter(|rule| !claimed.contains(rule)).map(|rule| rule.id()).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("no scenario claims {}", missing.join(" ")).into()) }
}

/// `elect-won.txt` is about ELECT rules, and claims at least one.
fn every_scenario_is_named_after_an_area() -> Result<(), Failed> {
    for (name, path) in scenarios() {
        let area = name.split('-').next().unwrap_or_default().to_uppercase();
        let scenario = Scenario::parse(&fs::read_to_string(path)?)?;
        if !scenario.claims().iter().any(|rule| rule.area() == area) {
            return Err(format!("{name} claims no rule of {area}").into());
        }
    }
    Ok(())
}

/// The targets of a text's links.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

/// Words of a text that look like the id of a rule.
fn ids(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    words.filter(|word| {
        word.split_once('-').is_some_and(|(area, number)| {
            let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
            !area.is_empty() && area.bytes().all(|byte| byte.is_ascii_uppercase()) && is_number
        })
    })
}

fn the_tour_points_at_what_exists() -> Result<(), Failed> {
    let text = fs::read_to_string(tour_path())?;
    if ids(&text).count() < 50 || links(&text).count() < 20 {
        return Err("the tour names too few rules or files to be one".into());
    }
    if let Some(unknown) = ids(&text).find(|id| Rule::by_id(id).is_none()) {
        return Err(format!("no rule has the id {unknown}").into());
    }
    let docs = tour_path().parent().map(Path::to_owned).unwrap_or_default();
    let is_dead = |link: &&str| !link.starts_with('#') && !docs.join(link.split('#').next().unwrap_or(link)).exists();
    match links(&text).find(is_dead) {
        Some(dead) => Err(format!("nothing is at {dead}").into()),
        None => Ok(()),
    }
}

/// What the tour says in a paragraph, one of the scenarios linked there shows.
fn the_tour_shows_every_area() -> Result<(), Failed> {
    let text = fs::read_to_string(tour_path())?;
    for section in text.split("\n## ").skip(1) {
        let names: BTreeSet<_> = links(section).filter_map(|link| Path::new(link).file_stem()?.to_str()).collect();
        let shown = scenarios().into_iter().filter(|(name, _)| names.contains(name.as_str()));
        let mut claims = BTreeSet::new();
        for (_, path) in shown {
            claims.extend(Scenario::parse(&fs::read_to_string(path)?)?.claims().iter().map(|rule| rule.id()));
        }
        if let Some(id) = ids(section).find(|id| !claims.contains(id)) {
            let heading = section.lines().next().unwrap_or_default();
            return Err(format!("section {heading}: no scenario linked there claims {id}").into());
        }
    }
    Ok(())
}

fn bad_scenarios_are_refused_with_a_line() -> Result<(), Failed> {
    let cases = [
        ("nodes a\n", 1, "title"),
        ("# title\nnodes a\n", 2, "rules"),
        ("# title\n# rules: START-1 START-99\n", 2, "START-99"),
        ("# title\n# rules: START-1\nnodes a\ndance a\n", 4, "dance"),
        ("# title\n# rules: START-1\nnodes a\ntick b\n", 4, "no host b"),
        ("# title\n# rules: START-1\nnodes a\nnodes a\n", 4, "taken"),
        ("# title\n# rules: START-1\nnodes é\n", 3, "letters"),
        ("# title\n# rules: START-1\nnodes a\nsend x->a ping epoch=much\n", 4, "number"),
        ("# title\n# rules: START-1\nnodes a\nkill a\ntick a\n", 5, "down"),
        ("# title\n# rules: START-1\nnodes a\nadvance 99999999999999999999\n", 4, "number"),
        ("# title\n# rules: START-1\nnodes a\nadvance 18446744073709551615\n", 4, "at one go"),
    ];
    for (text, line, what) in cases {
        let trouble = match Scenario::parse(text).and_then(|scenario| scenario.run()) {
            Ok(_) => return Err(format!("accepted: {text}").into()),
            Err(trouble) => trouble,
        };
        if trouble.line != line || !trouble.what.contains(what) {
            return Err(format!("{text} is refused with {trouble}").into());
        }
    }
    Ok(())
}

fn a_wrong_record_is_noticed() -> Result<(), Failed> {
    let text = "# One node starts.\n# rules: START-1\nnodes a\n";
    let (_, right) = run(text)?;
    compare(&right.text, &run(&right.text)?.1.text)?;
    let wrong = right.text.replace("START-1\n    saves", "START-2\n    saves");
    match compare(&wrong, &run(&wrong)?.1.text) {
        Ok(()) => Err("a wrong record passes".into()),
        Err(_) => Ok(()),
    }
}
