//! The table of profile redis-7.0: what it names exists, and docs/REDIS-7.0.md is what it says. With
//! UPDATE_DOCS=1 this writes it.

use slotbus_check::{
    Ending, FINDINGS, Limits, Verdict,
    table::{self, Look},
};
use slotbus_core::Profile;
use slotbus_world::Invariant;
use std::{env, fs, path::PathBuf};

const PROFILE: &str = "redis-7.0";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn look(name: &'static str, configuration: &'static slotbus_check::Configuration) -> Look {
    let profile = Profile::named(name).expect("a profile");
    let limits = Limits { threads: 2, ..Limits::default() };
    table::look(table::plan(configuration, (name, profile), limits), &mut |_| ())
}

#[test]
fn every_replay_that_is_named_breaks_the_property_that_it_is_named_for() {
    for invariant in Invariant::ALL {
        for replay in table::replays(invariant.id()) {
            let path = root().join(format!("conformance/findings/{replay}.txt"));
            let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let number = invariant.id().split(' ').next().expect("a number");
            let broken = text.lines().find_map(|line| line.strip_prefix("property: ")).expect("a property");
            assert!(broken.split([' ', ',']).any(|word| word == number), "{replay} breaks {broken}, not {number}");
        }
    }
}

/// A configuration that is there for a finding shows it under redis-7.0, and holds under the node's
/// own profile.
#[test]
fn findings_are_broken_under_redis_7_0_only() {
    for configuration in FINDINGS {
        let redis = look(PROFILE, configuration);
        assert!(!redis.broken.is_empty(), "nothing is broken in {}", configuration.name);
        let slotbus = look("slotbus", configuration);
        let broken: Vec<_> = slotbus.broken.iter().map(|outcome| outcome.name).collect();
        assert!(broken.is_empty(), "{}: {broken:?}", configuration.name);
        assert_eq!((redis.run.ending, slotbus.run.ending), (Ending::Exhausted, Ending::Exhausted));
    }
}

#[test]
fn the_page_is_what_the_table_says() {
    let looks: Vec<_> = table::configurations().map(|configuration| look(PROFILE, configuration)).collect();
    assert!(table::rows(&looks).iter().any(|row| row.verdict == Verdict::Violated));
    let page = table::page(PROFILE, &looks);
    let path = root().join("docs/REDIS-7.0.md");
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, page).expect("the page is written");
        return;
    }
    let written = fs::read_to_string(&path).expect("the page");
    assert_eq!(written, page, "run UPDATE_DOCS=1 cargo test --release -p slotbus-check --test table");
}
