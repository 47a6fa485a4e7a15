//! What a run came to, for people and for programs. Judges nothing.

use crate::report::Outcome;
use serde::Serialize;
use std::fmt;

/// What is wrong with a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", content = "what", rename_all = "snake_case")]
pub enum Failure {
    /// Something was seen that must never be.
    Breach(String),
    /// After all faults, the nodes do not tell the same, or do not serve every slot.
    Apart(String),
    /// An acknowledged write is gone, and nothing excuses it.
    WriteLost(String),
    /// What a node did is not what the model does.
    OffTheModel(String),
}

impl Failure {
    /// Whether two runs failed in the same way.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Breach(what) => write!(f, "never to be seen: {what}"),
            Self::Apart(what) => write!(f, "apart: {what}"),
            Self::WriteLost(what) => write!(f, "lost: {what}"),
            Self::OffTheModel(what) => write!(f, "off the model: {what}"),
        }
    }
}

/// What a run came to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// What is wrong; empty if all is well.
    pub failures: Vec<Failure>,
    /// How often the faults ended, and all nodes told the same.
    pub rests: usize,
    /// From the end of the faults until all nodes told the same, in seconds; the longest time.
    pub converged_s: f64,
    /// In what they differed last.
    pub last_difference: Option<String>,
    /// Bus packets that were sent while faults went on.
    pub packets_sent: u64,
    /// Those of them that were dropped.
    pub packets_lost: u64,
    /// Times that a node was seen to claim slots in an epoch in which it had not claimed any.
    pub claims_made: usize,
    /// Writes that were acknowledged.
    pub acknowledged: usize,
    /// Attempts to write that failed.
    pub refused: u64,
    /// Slots that were moved, and those whose move was not completed by who began it.
    pub moved: [usize; 2],
    /// Slots that nobody claimed after the faults, until an administrator gave them away.
    pub orphaned: usize,
    /// What became of the writes that each program acknowledged.
    pub shares: Vec<Share>,
    /// Acknowledged writes that are gone, as replication that does not wait may lose them.
    pub lost_excused: usize,
    /// The longest time from such a write to the end of the primary that acknowledged it, in seconds.
    pub lost_oldest_s: f64,
    /// Traces that were held to the model.
    pub traces: usize,
    /// Their steps.
    pub trace_steps: u64,
    /// How many rules fired in them.
    pub rules: usize,
}

/// The writes that nodes of one program acknowledged.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Share {
    /// The program.
    pub program: String,
    /// How many.
    pub acknowledged: usize,
    /// How many of them are gone.
    pub lost: usize,
}

impl Report {
    /// What it comes to.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        if self.failures.is_empty() { Outcome::Conforms } else { Outcome::Diverges }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { failures, converged_s, packets_sent, packets_lost, acknowledged, refused, .. } = self;
        writeln!(f, "bus       {packets_sent} packets sent, {packets_lost} of them lost")?;
        writeln!(f, "claims    {} of slots in new epochs were seen", self.claims_made)?;
        writeln!(f, "writes    {acknowledged} acknowledged, {refused} attempts refused")?;
        if self.shares.len() > 1 {
            for Share { program, acknowledged, lost } in &self.shares {
                writeln!(f, "          {acknowledged} of them by {program}, {lost} of these gone")?;
            }
        }
        if self.moved != [0, 0] {
            writeln!(f, "slots     {} moved, {} moves cut short", self.moved[0], self.moved[1])?;
        }
        if self.orphaned > 0 {
            writeln!(f, "          {} were nobody's after the faults, and were given away", self.orphaned)?;
        }
        if self.lost_excused > 0 {
            let (gone, oldest_s) = (self.lost_excused, self.lost_oldest_s);
            writeln!(f, "          {gone} gone with their primary, the oldest {oldest_s:.1} s before its end")?;
        }
        if self.traces > 0 {
            writeln!(f, "traces    {} steps of {} traces, {} rules", self.trace_steps, self.traces, self.rules)?;
        }
        if failures.is_empty() {
            let last = self.last_difference.iter().map(|what| format!("; until then {what}")).collect::<String>();
            let rests = self.rests;
            return writeln!(
                f,
                "verdict   {rests} times of one mind, within {converged_s:.1} s after the faults{last}"
            );
        }
        failures.iter().try_for_each(|failure| writeln!(f, "FAILED    {failure}"))
    }
}
