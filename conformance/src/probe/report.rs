//! What a probe comes to: a table by area, JSON, and JUnit XML. Judges nothing.

use super::run::{CaseResult, Verdict};
use crate::{report::Outcome, scripted};
use serde_json::{Value, json};
use slotbus_core::{Profile, Rule};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Write as _},
};

/// So many divergences of one case are shown: the later ones follow from the first.
const DIVERGENCES_SHOWN: usize = 2;

/// All results of one probe.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was probed.
    pub target: String,
    /// The profile that it was held to.
    pub profile: String,
    /// Case by case, by name.
    pub results: Vec<CaseResult>,
}

/// Whether a server that follows a profile has a rule at all.
#[must_use]
pub fn has_rule(profile: &Profile, rule: Rule) -> bool {
    *profile != Profile::REDIS_7_0 || !scripted::is_later(rule)
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    passed: usize,
    known: usize,
    failed: usize,
    inapplicable: usize,
}

impl Counts {
    fn of<'a>(results: impl IntoIterator<Item = &'a CaseResult>) -> Self {
        results.into_iter().fold(Self::default(), |mut counts, result| {
            match result.verdict {
                Verdict::Pass => counts.passed += 1,
                Verdict::Known(_) => counts.known += 1,
                Verdict::Fail(_) => counts.failed += 1,
                Verdict::Inapplicable(_) => counts.inapplicable += 1,
            }
            counts
        })
    }
}

impl Report {
    /// What the run comes to.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        if Counts::of(&self.results).failed > 0 { Outcome::Diverges } else { Outcome::Conforms }
    }

    /// The rules that fired in the model while the server was explained.
    #[must_use]
    pub fn exercised(&self) -> BTreeSet<Rule> {
        self.results.iter().flat_map(|result| result.rules.iter().copied()).collect()
    }

    fn areas(&self) -> BTreeMap<&'static str, Vec<&CaseResult>> {
        let mut areas = BTreeMap::<_, Vec<_>>::new();
        for result in &self.results {
            areas.entry(result.case.area()).or_default().push(result);
        }
        areas
    }

    /// One JSON document.
    #[must_use]
    pub fn json(&self) -> Value {
        let cases: Vec<_> = self.results.iter().map(case_json).collect();
        let counts = Counts::of(&self.results);
        json!({
            "tool": "slotbus-conform", "version": env!("CARGO_PKG_VERSION"),
            "target": self.target, "profile": self.profile,
            "passed": counts.passed, "known": counts.known, "failed": counts.failed, "inapplicable": counts.inapplicable,
            "catalogue": Rule::ALL.len(), "rules_exercised": self.exercised(), "cases": cases,
        })
    }

    /// JUnit XML: a suite for each area.
    #[must_use]
    pub fn junit(&self) -> String {
        let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
        for (area, results) in self.areas() {
            let counts = Counts::of(results.iter().copied());
            // Writing to a String does not fail.
            let _ = writeln!(
                text,
                "  <testsuite name=\"{area}\" tests=\"{}\" failures=\"{}\" skipped=\"{}\">",
                results.len(),
                counts.failed,
                counts.inapplicable
            );
            results.iter().for_each(|result| text.push_str(&junit_case(area, result)));
            text.push_str("  </testsuite>\n");
        }
        text.push_str("</testsuites>\n");
        text
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for result in &self.results {
            write_failure(f, result)?;
        }
        writeln!(
            f,
            "{:<12} {:>6} {:>6} {:>6} {:>13} {:>9} {:>11}",
            "area", "pass", "known", "fail", "inapplicable", "rules", "messages"
        )?;
        let exercised = self.exercised();
        for (area, results) in self.areas() {
            let counts = Counts::of(results.iter().copied());
            let of_area = |rule: &&Rule| rule.area() == area;
            let rules =
                format!("{}/{}", exercised.iter().filter(of_area).count(), Rule::ALL.iter().filter(of_area).count());
            let explained: usize = results.iter().map(|result| result.explained).sum();
            let Counts { passed, known, failed, inapplicable } = counts;
            writeln!(f, "{area:<12} {passed:>6} {known:>6} {failed:>6} {inapplicable:>13} {rules:>9} {explained:>11}")?;
        }
        let Counts { passed, known, failed, inapplicable } = Counts::of(&self.results);
        let (target, profile, of) = (&self.target, &self.profile, Rule::ALL.len());
        writeln!(
            f,
            "{target} held to {profile}: {passed} pass, {known} known to differ, {failed} fail, {inapplicable} inapplicable"
        )?;
        writeln!(f, "{} of {of} rules of the catalogue exercised", exercised.len())?;
        let missing: Vec<_> = Rule::ALL.iter().filter(|rule| !exercised.contains(rule)).map(|rule| rule.id()).collect();
        writeln!(f, "not exercised: {}", if missing.is_empty() { "none".to_owned() } else { missing.join(" ") })
    }
}

fn write_failure(f: &mut fmt::Formatter<'_>, result: &CaseResult) -> fmt::Result {
    match &result.verdict {
        Verdict::Pass => {}
        Verdict::Known(reason) => writeln!(f, "{}: known to differ: {reason}", result.case.name())?,
        Verdict::Inapplicable(reason) => writeln!(f, "{}: inapplicable: {reason}", result.case.name())?,
        Verdict::Fail(_) => writeln!(f, "{}: FAIL\n{}", result.case.name(), failure_text(result))?,
    }
    result.notes.iter().try_for_each(|note| writeln!(f, "{}: note: {note}", result.case.name()))
}

/// What is wrong with a case, with the packets before it.
fn failure_text(result: &CaseResult) -> String {
    let Verdict::Fail(divergences) = &result.verdict else { return String::new() };
    let mut text = String::new();
    for divergence in divergences.iter().take(DIVERGENCES_SHOWN) {
        let _ =
            writeln!(text, "  {}\n    server  {}\n    model   {}", divergence.what, divergence.seen, divergence.model);
        for rule in &divergence.suspects {
            let _ = writeln!(text, "    rule    {rule}: {}", rule.sentence());
        }
        for packet in &divergence.packets {
            let _ = writeln!(text, "    {packet}");
        }
    }
    if divergences.len() > DIVERGENCES_SHOWN {
        let _ = writeln!(text, "  and {} more", divergences.len() - DIVERGENCES_SHOWN);
    }
    let rules: Vec<_> = result.case.rules().map(Rule::id).collect();
    let _ = write!(text, "  the case is about {}", rules.join(" "));
    text
}

fn case_json(result: &CaseResult) -> Value {
    let (verdict, divergences, reason) = match &result.verdict {
        Verdict::Pass => ("pass", None, None),
        Verdict::Known(reason) => ("known", None, Some(reason)),
        Verdict::Fail(divergences) => ("fail", Some(divergences), None),
        Verdict::Inapplicable(reason) => ("inapplicable", None, Some(reason)),
    };
    json!({
        "name": result.case.name(), "area": result.case.area(), "verdict": verdict,
        "about": result.case.rules().collect::<Vec<_>>(), "rules_exercised": result.rules,
        "messages_explained": result.explained, "seconds": result.time.as_secs_f64(),
        "divergences": divergences, "reason": reason, "notes": result.notes,
    })
}

fn junit_case(area: &str, result: &CaseResult) -> String {
    let head = format!(
        "    <testcase classname=\"{area}\" name=\"{}\" time=\"{:.3}\"",
        escaped(result.case.name()),
        result.time.as_secs_f64()
    );
    match &result.verdict {
        Verdict::Pass => format!("{head}/>\n"),
        Verdict::Known(reason) => {
            format!("{head}>\n      <system-out>known to differ: {}</system-out>\n    </testcase>\n", escaped(reason))
        }
        Verdict::Inapplicable(reason) => {
            format!("{head}>\n      <skipped message=\"{}\"/>\n    </testcase>\n", escaped(reason))
        }
        Verdict::Fail(divergences) => {
            let what = divergences.first().map_or("", |divergence| &divergence.what);
            format!(
                "{head}>\n      <failure message=\"{}\">{}</failure>\n    </testcase>\n",
                escaped(what),
                escaped(&failure_text(result))
            )
        }
    }
}

/// Text as XML takes it: characters that it cannot hold at all are replaced.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(c),
            c if c < ' ' || c == '\u{fffe}' || c == '\u{ffff}' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}
