//! Owns a counterexample as one page that needs nothing but a browser: the page is `page.html`, this
//! fills in the document.

use crate::counterexample::Counterexample;
use serde_json::json;

const PAGE: &str = include_str!("page.html");

/// The page: hosts as columns, messages as arrows, what changed highlighted, one step at a time.
#[must_use]
pub fn html(counterexample: &Counterexample) -> String {
    let document = json!({ "heading": counterexample.heading, "steps": counterexample.steps });
    // Nothing in the document may end the element that it stands in.
    PAGE.replace("/*DOCUMENT*/", &document.to_string().replace('<', "\\u003c"))
}
