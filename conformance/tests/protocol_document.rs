//! docs/PROTOCOL.md is written from the catalogue of rules. With UPDATE_DOCS=1 this test writes it.

use slotbus_conformance::scripted;
use slotbus_core::{Mutant, Profile, Rule};
use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

const SCENARIOS: &str = "model/world/scenarios";
const SCRIPTS: &str = "conformance/scripts";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The first file of a folder, by name, that claims each rule in its line `rules:`.
fn claims(folder: &str) -> BTreeMap<String, String> {
    let entries = fs::read_dir(root().join(folder)).expect("a folder of claims");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    let mut claims = BTreeMap::new();
    for path in paths {
        let text = fs::read_to_string(&path).expect("a text");
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let lines = text.lines().filter_map(|line| line.trim_start_matches("# ").strip_prefix("rules:"));
        for id in lines.flat_map(str::split_whitespace) {
            claims.entry(id.to_owned()).or_insert_with(|| name.clone());
        }
    }
    claims
}

/// Where a rule is shown: a link, or why there is none.
fn shown(claims: &BTreeMap<String, String>, folder: &str, rule: Rule) -> String {
    match claims.get(rule.id()) {
        Some(name) => format!("[{name}](../{folder}/{name}.txt)"),
        None => scripted::unshown(rule).unwrap_or("nowhere").to_owned(),
    }
}

const AREAS: [(&str, &str); 20] = [
    ("START", "How a node comes to be."),
    ("HANDSHAKE", "How nodes get to know each other."),
    ("LINK", "How connections come and go, and whose they are."),
    ("PING", "Who is pinged when, and what a PONG ends."),
    ("ADDRESS", "How addresses and host names are learned and followed."),
    ("GOSSIP", "What heartbeats tell of other nodes, and what is made of it."),
    ("ROLE", "What headers say of a node's role."),
    ("SLOT", "Who owns which slot."),
    ("RESHARD", "How slots move between primaries on request."),
    ("EPOCH", "How epochs rise."),
    ("HEALTH", "How nodes are suspected, failed and trusted again."),
    ("STATE", "Whether the cluster serves requests."),
    ("FORGET", "How nodes leave."),
    ("RESET", "How a node is made new again."),
    ("PUBLISH", "Messages to channels, over the bus."),
    ("CONFIG", "A node's own configuration and file."),
    ("MESSAGE", "Messages as such."),
    ("ELECT", "How a replica takes over from a failed primary."),
    ("MANUAL", "How a replica takes over on request."),
    ("MIGRATE", "How replicas move to primaries that lack one."),
];

fn document() -> String {
    let mut text = String::from(
        "# The protocol, rule by rule\n\n\
         Written from `enum Rule` in model/core/src/rule.rs (`UPDATE_DOCS=1 cargo test -p slotbus-conformance --test \
         protocol_document`). The source names the function of redis-server 7.0.15, or the change of a later version, \
         that shows the rule. A rule's id is the same in this file, in scenarios, traces, counterexamples and log lines; \
         the file that carries it out is in model/core/src/rules/. The scenario plays it in the model; the script \
         plays it to redis-server 7.0.15 and to slotbus-node, and both show the same.\n",
    );
    let (scenarios, scripts) = (claims(SCENARIOS), claims(SCRIPTS));
    for (area, about) in AREAS {
        let rules: Vec<_> = Rule::ALL.iter().filter(|rule| rule.area() == area).collect();
        if rules.is_empty() {
            continue;
        }
        let _ = write!(
            text,
            "\n## {area}\n\n{about}\n\n| rule | what happens | source | scenario | script |\n|---|---|---|---|---|\n"
        );
        for rule in rules {
            let _ = write!(text, "| {} | {} | {} |", rule.id(), rule.sentence(), rule.source());
            let scenario = shown(&scenarios, SCENARIOS, *rule);
            let _ = writeln!(text, " {scenario} | {} |", shown(&scripts, SCRIPTS, *rule));
        }
    }
    text.push_str(
        "\n## Profiles\n\nWhere versions differ, the variant is a named flag, and a profile is a set of flags \
         (`protocol-profile` in a node's configuration, `--profile` of the checker).\n\n| flag | meaning |",
    );
    for (name, _) in Profile::NAMED {
        let _ = write!(text, " {name} |");
    }
    text.push_str(" source |\n|---|---|");
    Profile::NAMED.iter().for_each(|_| text.push_str("---|"));
    text.push_str("---|\n");
    for variant in Profile::VARIANTS {
        let _ = write!(text, "| {} | {} |", variant.name, variant.meaning.trim());
        for (_, profile) in Profile::NAMED {
            let _ = write!(text, " {} |", if profile.get(variant.name) == Some(true) { "on" } else { "off" });
        }
        let _ = writeln!(text, " {} |", variant.source);
    }
    text
}

#[test]
fn the_document_is_what_the_code_says() {
    let path = root().join("docs/PROTOCOL.md");
    let expected = document();
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &expected).expect("docs/PROTOCOL.md is written");
    }
    let found = fs::read_to_string(&path).expect("docs/PROTOCOL.md is there");
    assert!(found == expected, "docs/PROTOCOL.md is out of date: run this test with UPDATE_DOCS=1");
}

#[test]
fn rule_ids_are_unique_and_every_area_is_described() {
    let ids: BTreeSet<_> = Rule::ALL.iter().map(|rule| rule.id()).collect();
    assert_eq!(ids.len(), Rule::ALL.len());
    for rule in Rule::ALL {
        assert!(AREAS.iter().any(|(area, _)| *area == rule.area()), "{rule} belongs to no described area");
        assert_eq!(Rule::by_id(rule.id()), Some(*rule));
        assert!(rule.sentence().ends_with('.') && !rule.source().is_empty(), "{rule}");
    }
}

/// The source text of every rule.
fn code_of_rules() -> String {
    let folder = root().join("model/core/src/rules");
    let mut code = String::new();
    for entry in fs::read_dir(folder).expect("the rules are there") {
        code += &fs::read_to_string(entry.expect("an entry").path()).expect("a source file");
    }
    code
}

/// Whether a text names something, and not only something longer.
fn names(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let next = code[at + name.len()..].chars().next();
        !next.is_some_and(|letter| letter.is_alphanumeric())
    })
}

#[test]
fn every_rule_is_raised_and_every_mutant_is_committed_by_a_branch() {
    let code = code_of_rules();
    for rule in Rule::ALL {
        assert!(names(&code, &format!("Rule::{rule:?}")), "nothing raises {rule}");
    }
    for mutant in Mutant::ALL {
        assert!(names(&code, &format!("Mutant::{mutant:?}")), "nothing commits {}", mutant.id());
    }
}
