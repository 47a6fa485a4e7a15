//! Black box conformance tests of any server of the bus.

mod case;
mod divergence;
mod foresight;
mod judge;
mod report;
mod request;
mod run;
mod shadow;
mod view;

pub use case::Case;
pub use divergence::Divergence;
pub use judge::{Judgement, judge};
pub use report::{Report, has_rule};
pub use run::{CaseResult, Probe, Verdict};
