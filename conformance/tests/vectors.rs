//! Holds the vectors to what docs/VECTORS.md promises: the same seed gives the same files, every line is as
//! the schema says, the model does what they say, a changed byte is noticed, faults of the core are caught,
//! and real servers pass through the reference runner.

use serde_json::Value;
use slotbus_conformance::{
    cluster,
    vectors::{
        Reach,
        command::{self, Replay},
        generate::{Generated, Options, generate},
        mutants,
        pack::{self, Named},
        replay::{Verdict, in_process},
        vector::Level,
    },
};
use std::{collections::BTreeSet, fs, path::Path, sync::OnceLock};

/// So many vectors are made of the walk of a test, which goes one input beyond each situation.
const BUDGET: usize = 3000;
/// So many are played to each server.
const PLAYED: usize = 30;
/// Of so many vectors, one is looked at where few are enough.
const FEW: usize = 8;
/// The walk of a release covers more: see docs/VECTORS.md.
const RULES_MIN: usize = 110;
const CAUGHT_PERCENT_MIN: usize = 77;

fn generated(profile: &str, seed: u64, budget: usize, reach: Reach) -> Generated {
    let options = Options { profile: profile.into(), budget, seed, reach };
    generate(&options, &mut |_| {}).expect("vectors are generated")
}

/// Vectors that were made, as they are read back, and the folder where they are.
struct Made {
    generated: Generated,
    read: Vec<Named>,
    folder: tempfile::TempDir,
}

impl Made {
    fn of(profile: &str) -> Self {
        let generated = generated(profile, 1, BUDGET, Reach::SHALLOW);
        let folder = tempfile::tempdir().expect("a temporary folder");
        pack::write(folder.path(), profile, &generated.vectors).expect("vectors are written");
        let read = pack::read(folder.path()).expect("vectors are read");
        Self { generated, read, folder }
    }
}

/// The vectors of the default profile, made once.
fn slotbus() -> &'static Made {
    static MADE: OnceLock<Made> = OnceLock::new();
    MADE.get_or_init(|| Made::of("slotbus"))
}

/// The vectors of redis-server's profile, made once.
fn redis() -> &'static Made {
    static MADE: OnceLock<Made> = OnceLock::new();
    MADE.get_or_init(|| Made::of("redis-7.0"))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace")
}

#[test]
fn vectors_are_distinct_small_and_of_most_rules() {
    let Made { generated, read, folder } = slotbus();
    let names: BTreeSet<_> = read.iter().map(|named| &named.id).collect();
    assert_eq!(names.len(), read.len(), "two vectors are the same");
    let entries = fs::read_dir(folder.path()).expect("a folder");
    let bytes: u64 = entries.map(|entry| entry.and_then(|entry| entry.metadata()).expect("a file").len()).sum();
    assert!(bytes <= 4000 * read.len() as u64, "{bytes} bytes for {} vectors", read.len());
    let (covered, uncovered) = (generated.report.covered.len(), &generated.report.uncovered);
    println!("{covered} rules covered; not: {uncovered:?}");
    assert!(covered >= RULES_MIN, "{covered} rules are covered; not: {uncovered:?}");
}

#[test]
fn the_same_seed_gives_the_same_vectors() {
    let bodies = |seed| {
        let made = generated("redis-7.0", seed, 200, Reach::SPARSE);
        made.vectors.iter().map(|vector| vector.body()).collect::<Vec<_>>()
    };
    let first = bodies(7);
    assert_eq!(first, bodies(7));
    assert_ne!(first, bodies(8), "the control: another seed gives other dice");
}

#[test]
fn the_model_does_what_every_vector_says() {
    for named in &slotbus().read {
        assert_eq!(in_process(named), Verdict::Passes, "{}", named.id);
    }
}

#[test]
fn most_faults_of_the_core_are_caught() {
    let vectors = &slotbus().read;
    let few: Vec<_> = vectors.iter().step_by(FEW).cloned().collect();
    let killed = |vectors, level| {
        let hunts = mutants::hunt(vectors, level, |_| {}).expect("faults are hunted");
        let survivors: Vec<_> =
            hunts.iter().filter(|hunt| hunt.caught_by.is_none()).map(|hunt| hunt.mutant.id()).collect();
        println!("{level:?}: {} of {} caught; survivors: {survivors:?}", hunts.len() - survivors.len(), hunts.len());
        (hunts.len() - survivors.len(), hunts.len())
    };
    let (caught, all) = killed(vectors, Level::L2);
    assert!(caught * 100 >= all * CAUGHT_PERCENT_MIN, "{caught} of {all} faults are caught");
    let (inside, _) = killed(&few, Level::L2);
    let (on_wire, _) = killed(&few, Level::L0);
    assert!(on_wire < inside, "the inside shows what the wire does not");
}

#[test]
fn a_changed_byte_is_noticed() {
    let folder = &slotbus().folder;
    let file = fs::read_dir(folder.path()).expect("a folder").next().expect("a file").expect("a file").path();
    let text = fs::read_to_string(file).expect("the file is read");
    let line = text.lines().nth(3).expect("a fourth line");
    assert!(pack::parse(line).is_ok(), "the control: the line is good");
    for at in (1..line.len()).step_by(97) {
        let mut bytes = line.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'1' { b'2' } else { b'1' };
        let changed = String::from_utf8(bytes).expect("ASCII");
        assert!(pack::parse(&changed).is_err(), "byte {at} was changed");
    }
}

#[test]
fn another_profile_is_noticed() {
    let made = &redis().generated;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let some = made.vectors.iter().step_by(FEW);
    let bodies = some.map(|vector| vector.body().replacen("\"redis-7.0\"", "\"slotbus\"", 1));
    let relabelled = bodies.map(|body| serde_json::from_str(&body).expect("a vector")).collect::<Vec<_>>();
    pack::write(folder.path(), "slotbus", &relabelled).expect("vectors are written");
    let read = pack::read(folder.path()).expect("vectors are read");
    let differing = read.iter().filter(|named| matches!(in_process(named), Verdict::Differs(_))).count();
    assert!(differing > 0, "no vector tells the two profiles apart");
}

#[test]
fn every_line_is_as_the_schema_says() {
    let text = fs::read_to_string(root().join("docs/vectors.schema.json")).expect("the schema is there");
    let schema: Value = serde_json::from_str(&text).expect("the schema is JSON");
    let folder = &slotbus().folder;
    for entry in fs::read_dir(folder.path()).expect("a folder") {
        let text = fs::read_to_string(entry.expect("an entry").path()).expect("a file");
        for line in text.lines().step_by(FEW) {
            let value: Value = serde_json::from_str(line).expect("a line is JSON");
            conforms(&schema, &schema, &value).unwrap_or_else(|what| panic!("{what}: {line}"));
        }
    }
    let bad: Value = serde_json::from_str(r#"{"id":"x","vector":{"format":2}}"#).expect("JSON");
    assert!(conforms(&schema, &schema, &bad).is_err(), "the control: the schema refuses something");
}

/// Holds a value to a schema of the few words that ours uses; any other word is an error.
fn conforms(root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    for (word, content) in schema.as_object().ok_or("a schema is an object")? {
        let holds = match word.as_str() {
            "$schema" | "$defs" | "title" | "description" | "required" | "properties" | "additionalProperties" => {
                Ok(true)
            }
            "$ref" => {
                let path = content.as_str().and_then(|path| path.strip_prefix('#')).ok_or("a reference within")?;
                conforms(root, root.pointer(path).ok_or("a reference leads somewhere")?, value).map(|()| true)
            }
            "type" => Ok(list(content).iter().any(|name| is_type(name, value))),
            "const" => Ok(content == value),
            "enum" => Ok(list(content).contains(value)),
            "minimum" => Ok(value.as_u64() >= content.as_u64()),
            "items" => list(value).iter().try_for_each(|item| conforms(root, content, item)).map(|()| true),
            "oneOf" => Ok(list(content).iter().filter(|one| conforms(root, one, value).is_ok()).count() == 1),
            _ => Err(format!("the schema says '{word}'")),
        };
        if !holds? {
            return Err(format!("{word} {content} does not hold of {value}"));
        }
    }
    members_conform(root, schema, value)
}

fn members_conform(root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let Some(members) = value.as_object() else { return Ok(()) };
    for name in list(&schema["required"]) {
        let name = name.as_str().unwrap_or_default();
        members.get(name).ok_or_else(|| format!("{name} lacks"))?;
    }
    for (name, member) in members {
        match (schema["properties"].get(name), &schema["additionalProperties"]) {
            (Some(inner), _) | (None, inner @ Value::Object(_)) => conforms(root, inner, member)?,
            (None, Value::Bool(false)) => return Err(format!("{name} is too much")),
            (None, _) => {}
        }
    }
    Ok(())
}

fn list(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items.clone(),
        Value::Null => Vec::new(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => vec![value.clone()],
    }
}

fn is_type(name: &Value, value: &Value) -> bool {
    match name.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_u64() || value.is_i64(),
        Some("boolean") => value.is_boolean(),
        Some("null") => value.is_null(),
        _ => false,
    }
}

/// Holds a real server to some vectors of its profile, through the reference runner.
fn server_passes(made: &Made, program: &Path) {
    let runner = root().join("conformance/runner/runner.py");
    let adapter = Some(format!("python3 {} {}", runner.display(), program.display()));
    let asked = Replay { adapter, level: Some(Level::L1), limit: Some(PLAYED), jobs: 4, json: false };
    assert_eq!(command::replay(made.folder.path(), &asked), slotbus_conformance::report::Outcome::Conforms);
}

#[test]
fn redis_server_passes_through_the_runner() {
    let program = cluster::installed("redis-server").expect("redis-server is installed");
    server_passes(redis(), &program);
}

#[test]
fn slotbus_node_passes_through_the_runner() {
    server_passes(slotbus(), &cluster::sibling("slotbus-node").expect("slotbus-node is built"));
}
