//! Counterexamples as documents and pictures: what is written is read again, and shown in every way.

use slotbus_check::{
    Configuration, Engine, Limits, Plan,
    counterexample::{Counterexample, Unreadable},
    explain::{html, mermaid, text},
    run,
};
use slotbus_core::{Mutant, Profile};

/// The shortest way to a broken EpochGuard.
fn broken() -> Counterexample {
    let plan = Plan {
        configuration: Configuration::named("collision_2").expect("a standard configuration"),
        profile_name: "slotbus",
        profile: Profile::SLOTBUS,
        mutant: Some(Mutant::ClaimIgnoresEpoch),
        engine: Engine::Own,
        is_actor: false,
        limits: Limits::default(),
    };
    let run = run(plan, &mut |_| ());
    run.outcomes.into_iter().find_map(|outcome| outcome.counterexample).expect("a counterexample")
}

#[test]
fn what_is_written_is_read_again() {
    let counterexample = broken();
    let lines = counterexample.to_lines();
    assert_eq!(lines.lines().count(), 1 + counterexample.steps.len());
    assert_eq!(Counterexample::from_lines(&lines).expect("a document"), counterexample);
    let last = counterexample.steps.last().expect("a step");
    assert!(last.breaks.iter().any(|broken| broken.starts_with("S11")), "{last:?}");
    assert!(!last.changes.is_empty());
}

#[test]
fn what_is_no_document_is_refused_with_its_line() {
    let lines = broken().to_lines();
    assert!(matches!(Counterexample::from_lines(""), Err(Unreadable::Empty)));
    assert!(matches!(Counterexample::from_lines("{}"), Err(Unreadable::Line(1, _))));
    let torn = &lines[..lines.len() - 5];
    let number = lines.lines().count();
    assert!(matches!(Counterexample::from_lines(torn), Err(Unreadable::Line(line, _)) if line == number));
    let other = lines.replacen("counterexample 1", "counterexample 9", 1);
    assert!(matches!(Counterexample::from_lines(&other), Err(Unreadable::Format(_))));
    let endless = lines.replacen("\"cycle_after\":null", "\"cycle_after\":99", 1);
    assert!(matches!(Counterexample::from_lines(&endless), Err(Unreadable::Cycle(99))));
}

#[test]
fn every_view_shows_every_step() {
    let counterexample = broken();
    let (text, mermaid, html) = (text(&counterexample), mermaid(&counterexample), html(&counterexample));
    for number in 1..=counterexample.steps.len() {
        assert!(text.contains(&format!("{number}. ")), "{text}");
        assert!(mermaid.contains(&format!(": {number}. ")), "{mermaid}");
    }
    assert!(mermaid.starts_with("sequenceDiagram\n    participant a\n    participant b\n"), "{mermaid}");
    assert!(mermaid.contains("a->>b: 4. MEET"), "{mermaid}");
    assert!(!html.contains("/*DOCUMENT*/") && html.contains("S11 EpochGuard"));
    let pages = ["http://", "https://", "src=", "href="]
        .map(|link| html.replace("http://www.w3.org/2000/svg", "").contains(link));
    assert_eq!(pages, [false; 4], "the page needs nothing but itself");
}

#[test]
fn a_cycle_shows_where_it_begins() {
    let mut counterexample = broken();
    counterexample.heading.cycle_after = Some(3);
    assert!(text(&counterexample).contains("-- from here on, again and again:\n4. "));
    let picture = mermaid(&counterexample);
    assert!(picture.contains("    loop for ever\n    a->>b: 4.") && picture.ends_with("    end\n"), "{picture}");
    counterexample.heading.cycle_after = Some(counterexample.steps.len());
    assert!(text(&counterexample).contains("there it stays for ever"));
    assert!(mermaid(&counterexample).contains("stays so for ever"));
}

#[test]
fn what_a_document_says_cannot_leave_its_place_in_the_page() {
    let mut counterexample = broken();
    counterexample.steps[0].action = "</script><b>".into();
    assert!(!html(&counterexample).contains("</script><b>"));
}
