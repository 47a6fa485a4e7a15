//! What the runs of a script showed, and where two runs differ. Knows no server.

use super::script::Script;
use std::fmt::{self, Write as _};

/// One line of a script with what it showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The line's number in the file.
    pub line: usize,
    /// The line.
    pub text: String,
    /// What it showed.
    pub shown: Vec<String>,
    /// Whether it waited for something in vain.
    pub is_unmet: bool,
}

impl Entry {
    /// What it showed, as scripts record it.
    #[must_use]
    pub fn trimmed(&self) -> Vec<String> {
        trimmed(&self.shown)
    }
}

/// What one run showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcript {
    /// Line by line.
    pub entries: Vec<Entry>,
}

impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for entry in &self.entries {
            writeln!(f, "{:>3}  {}", entry.line, entry.text)?;
            for line in &entry.shown {
                writeln!(f, "       {line}")?;
            }
        }
        Ok(())
    }
}

/// Where two runs of a script on one server are not alike; empty if they are.
#[must_use]
pub fn chances(first: &Transcript, second: &Transcript) -> String {
    let mut text = String::new();
    for (one, other) in first.entries.iter().zip(&second.entries).filter(|(one, other)| one.shown != other.shown) {
        describe(&mut text, one, "two runs differ", &[("first", &one.shown), ("second", &other.shown)]);
    }
    text
}

/// Where redis-server does not show what the model shows, but for what is recorded as beyond the
/// model; empty if the model predicts the server.
#[must_use]
pub fn mispredictions(script: &Script, redis: &Transcript, model: &Transcript) -> String {
    let mut text = String::new();
    for ((step, seen), predicted) in script.steps.iter().zip(&redis.entries).zip(&model.entries) {
        let recorded = &step.recorded.model;
        let is_predicted =
            if recorded.is_empty() { seen.shown == predicted.shown } else { trimmed(&predicted.shown) == *recorded };
        if !is_predicted {
            let sides = [("redis", &seen.shown), ("model", &predicted.shown)];
            describe(&mut text, seen, "the server does not do what the model says", &sides);
        }
    }
    text
}

/// Where the runs of a script on redis-server and on another server are not as they must be; empty
/// if they are.
#[must_use]
pub fn differences(script: &Script, redis: &Transcript, other: &Transcript) -> String {
    let mut text = String::new();
    for ((step, expected), actual) in script.steps.iter().zip(&redis.entries).zip(&other.entries) {
        if expected.is_unmet && step.recorded.is_empty() {
            describe(
                &mut text,
                expected,
                "redis-server does not do what the script waits for",
                &[("redis", &expected.shown)],
            );
            continue;
        }
        let recorded = &step.recorded;
        let is_as_recorded = recorded.is_empty()
            || (trimmed(&expected.shown) == recorded.redis && trimmed(&actual.shown) == recorded.slotbus);
        if recorded.is_empty() && expected.shown != actual.shown {
            describe(
                &mut text,
                expected,
                "the servers differ",
                &[("redis", &expected.shown), ("other", &actual.shown)],
            );
        } else if !is_as_recorded {
            let sides = [("redis", &expected.shown), ("other", &actual.shown)];
            describe(&mut text, expected, "the servers do not differ as recorded", &sides);
        }
    }
    text
}

fn trimmed(lines: &[String]) -> Vec<String> {
    lines.iter().map(|line| line.trim().to_owned()).collect()
}

fn describe(text: &mut String, entry: &Entry, what: &str, sides: &[(&str, &Vec<String>)]) {
    // Writing to a String does not fail.
    let _ = writeln!(text, "line {}: {}\n  {what}:", entry.line, entry.text);
    for (side, lines) in sides {
        for line in *lines {
            let _ = writeln!(text, "    {side}: {line}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(shown: &[&str], is_unmet: bool) -> Transcript {
        let shown = shown.iter().map(|line| (*line).to_owned()).collect();
        Transcript { entries: vec![Entry { line: 3, text: "nodes".to_owned(), shown, is_unmet }] }
    }

    fn script(record: &str) -> Script {
        let reason = if record.is_empty() { "" } else { "diverges: because" };
        Script::parse("test", &format!("rules: PING-1\n{reason}\nnodes\n{record}")).expect("a script")
    }

    #[test]
    fn equal_runs_do_not_differ() {
        assert_eq!(differences(&script(""), &run(&["a"], false), &run(&["a"], false)), "");
    }

    #[test]
    fn a_difference_is_told_with_its_line() {
        let text = differences(&script(""), &run(&["a"], false), &run(&["b"], false));
        assert_eq!(text, "line 3: nodes\n  the servers differ:\n    redis: a\n    other: b\n");
    }

    #[test]
    fn a_script_that_redis_server_does_not_fulfil_is_wrong() {
        assert!(differences(&script(""), &run(&["a"], true), &run(&["a"], true)).contains("waits for"));
    }

    #[test]
    fn a_recorded_divergence_must_be_as_recorded() {
        let script = script("redis: a\nslotbus: b");
        assert_eq!(differences(&script, &run(&["a"], false), &run(&["b"], false)), "");
        assert_ne!(differences(&script, &run(&["a"], false), &run(&["a"], false)), "");
        assert_ne!(differences(&script, &run(&["a"], false), &run(&["c"], false)), "");
    }
}
