//! Findings: what redis-server does and should not, each a script of few lines that shows it. Owns
//! their headings and their page in docs; knows no server.
//!
//! A finding is a script (see [`crate::scripted`]) with a heading. What heads it, one `key: text` a
//! line, `happens` and `counterpart` in several lines if need be:
//!
//! ```text
//! title: what is wrong, in one line
//! happens: how it comes about
//! property: the property that it breaks
//! museum: its number among the known bugs, or -
//! upstream: where others have met it
//! counterpart: what slotbus-node does instead, or why it cannot
//! ```

use crate::scripted::Script;
use std::fmt::Write as _;

/// A finding that takes more than this to show is not understood yet.
pub const EVENTS_MAX: usize = 20;

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong, in one line.
    pub title: String,
    /// How it comes about.
    pub happens: String,
    /// The property that it breaks.
    pub property: String,
    /// Its number among the known bugs.
    pub museum: String,
    /// Where others have met it.
    pub upstream: String,
    /// What slotbus-node does instead, or why it cannot.
    pub counterpart: String,
    /// What shows it.
    pub script: Script,
}

impl Finding {
    /// Reads a finding.
    pub fn parse(name: &str, text: &str) -> Result<Self, String> {
        let mut heading = Heading { name, text };
        let finding = Self {
            title: heading.take("title")?,
            happens: heading.take("happens")?,
            property: heading.take("property")?,
            museum: heading.take("museum")?,
            upstream: heading.take("upstream")?,
            counterpart: heading.take("counterpart")?,
            script: Script::parse(name, &heading.rest())?,
        };
        let events = finding.script.steps.len();
        if events > EVENTS_MAX {
            return Err(format!("{name} takes {events} events, more than {EVENTS_MAX}"));
        }
        Ok(finding)
    }

    /// The name of its file and of its test.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.script.name
    }

    /// Whether slotbus-node shows something else.
    #[must_use]
    pub fn is_mended(&self) -> bool {
        self.script.diverges.is_some()
    }
}

const KEYS: [&str; 6] = ["title", "happens", "property", "museum", "upstream", "counterpart"];

struct Heading<'a> {
    name: &'a str,
    text: &'a str,
}

impl Heading<'_> {
    fn take(&mut self, key: &str) -> Result<String, String> {
        let lines: Vec<_> = self.text.lines().filter_map(|line| value(line, key)).collect();
        if lines.is_empty() { Err(format!("{} has no {key}", self.name)) } else { Ok(lines.join(" ")) }
    }

    /// The script, its lines where they are in the file.
    fn rest(&self) -> String {
        let is_heading = |line: &str| KEYS.iter().any(|key| value(line, key).is_some());
        let lines = self.text.lines().map(|line| if is_heading(line) { "" } else { line });
        lines.collect::<Vec<_>>().join("\n")
    }
}

fn value<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.strip_prefix(key)?.strip_prefix(':').map(str::trim)
}

/// The page about all findings.
#[must_use]
pub fn page(findings: &[Finding]) -> String {
    let mut text = String::from(INTRODUCTION);
    for (index, finding) in findings.iter().enumerate() {
        let (name, anchor) = (finding.name(), index + 1);
        let slotbus = if finding.is_mended() { "mended" } else { "the same" };
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            "| {anchor} | [{name}](#{name}) | {} | {} | {} | {} | {slotbus} |",
            finding.title, finding.property, finding.museum, finding.upstream
        );
    }
    for finding in findings {
        let name = finding.name();
        let _ = write!(
            text,
            "\n## {name}\n\n**{}.** {}\n\n\
             - Property: {}. redis-server 7.0.15 does what the model says under profile `redis-7.0`.\n\
             - slotbus-node: {}\n\
             - Known as: {}\n\
             - Replay, {} events: `cargo test --release -p slotbus-conformance --test findings {name}` \
             ([script](../conformance/findings/{name}.txt))\n",
            finding.title,
            finding.happens,
            finding.property,
            finding.counterpart,
            finding.upstream,
            finding.script.steps.len()
        );
    }
    text.push_str(HARMLESS);
    text
}

const HARMLESS: &str = "
## Seen, and harmless

The winner of a manual failover announces itself with headers that still say that its clients are paused; only its own replicas in a manual
failover would read that (differential scripts `manual-failover`, `manual-takeover`).
";

const INTRODUCTION: &str = "# Findings in redis-server 7.0.15

Written from conformance/findings/*.txt (`UPDATE_DOCS=1 cargo test -p slotbus-conformance --test findings page`). Each is played on
real sockets three times: to redis-server 7.0.15, to slotbus-node under profile `redis-7.0`, which runs the model's own step function, and to
slotbus-node as it is by default. The first two show the same, line by line: what the model predicts is what the server does; the traces of
slotbus-node are held to the model besides. Where the third differs, the script records what each shows. All of them take less than three
minutes: `cargo test --release -p slotbus-conformance --test findings`; with `SHOW=1` the transcripts are printed.

| | finding | what happens | property | museum | upstream | slotbus-node |
|---|---|---|---|---|---|---|
";

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "title: t\nhappens: one\nhappens: two\nproperty: S1\nmuseum: -\nupstream: none\ncounterpart: same\n\
                        rules: PING-1\nserver id=5\nstart\n";

    #[test]
    fn a_finding_is_read_and_its_script_keeps_its_lines() {
        let finding = Finding::parse("x", TEXT).expect("a finding");
        assert_eq!(finding.happens, "one two");
        assert_eq!(finding.script.steps[0].line, 10);
        assert!(page(&[finding]).contains("## x\n\n**t.** one two"));
    }

    #[test]
    fn a_finding_without_a_property_or_with_too_many_events_is_refused() {
        assert_eq!(Finding::parse("x", &TEXT.replace("property", "# ")), Err("x has no property".to_owned()));
        let long = format!("{TEXT}{}", "nodes\n".repeat(EVENTS_MAX));
        assert_eq!(Finding::parse("x", &long), Err("x takes 21 events, more than 20".to_owned()));
    }
}
