//! Owns the comparison of engines: the same configuration, explored by each in a process of its own,
//! one after the other. Knows no engine's inside and prints nothing.
//!
//! A process of its own makes the memory of one run measurable: what it peaked at, less what a run
//! that stops after one state peaks at. Time is processor time, which is the same on a busy machine.

use serde_json::Value;
use std::{fmt::Write as _, io, process::Command};

/// One way to explore a configuration.
struct Contender {
    name: &'static str,
    arguments: &'static [&'static str],
}

/// Who is compared; each with the last, which is the yardstick.
const CONTENDERS: [Contender; 4] = [
    Contender { name: "own explorer, world", arguments: &[] },
    Contender { name: "Stateright BFS, world", arguments: &["--engine", "stateright"] },
    Contender { name: "own explorer, actors", arguments: &["--actor"] },
    Contender { name: "Stateright BFS, ActorModel", arguments: &["--actor", "--engine", "stateright"] },
];

/// What was measured of one contender.
#[derive(Clone, Copy, Debug)]
struct Measure {
    states: f64,
    edges: f64,
    seconds: f64,
    bytes: f64,
}

impl Measure {
    fn rate(&self) -> f64 {
        self.edges / self.seconds.max(0.001)
    }

    fn bytes_per_state(&self) -> f64 {
        self.bytes / self.states.max(1.0)
    }
}

/// Measures every contender on a configuration, on one thread, and tells the ratios. With `states_max`
/// all of them stop after so many states: what is too large for one of them is compared as far as it goes.
///
/// # Errors
/// If this very program cannot be run, or says something else than it should.
pub fn bench(config: &str, states_max: Option<usize>) -> io::Result<String> {
    let measure = |who: &Contender| Ok((who.name, measure(config, who, states_max)?));
    let measured: Vec<(&str, Measure)> = CONTENDERS.iter().map(measure).collect::<io::Result<_>>()?;
    let mut text = format!(
        "{config:<28} {:>9} {:>10} {:>8} {:>12} {:>12}\n",
        "states", "edges", "cpu s", "edges/s", "bytes/state"
    );
    for (name, it) in &measured {
        let (rate, bytes) = (it.rate(), it.bytes_per_state());
        let _ = writeln!(
            text,
            "{name:<28} {:>9} {:>10} {:>8.2} {rate:>12.0} {bytes:>12.0}",
            it.states, it.edges, it.seconds
        );
    }
    if let (Some((first, own)), Some((last, yardstick))) = (measured.first(), measured.last()) {
        let faster = own.rate() / yardstick.rate();
        let leaner = yardstick.bytes_per_state() / own.bytes_per_state().max(1.0);
        let _ = writeln!(text, "{first} against {last}: {faster:.1} times faster, {leaner:.1} times leaner");
    }
    Ok(text)
}

fn measure(config: &str, who: &Contender, states_max: Option<usize>) -> io::Result<Measure> {
    let whole = explored(config, who, states_max)?;
    let nothing = explored(config, who, Some(1))?;
    let number = |run: &Value, field: &str| run[field].as_f64().unwrap_or_default();
    let bytes = number(&whole, "peak_rss_bytes") - number(&nothing, "peak_rss_bytes");
    let (states, edges, seconds) = (number(&whole, "states"), number(&whole, "edges"), number(&whole, "cpu_seconds"));
    Ok(Measure { states, edges, seconds, bytes: bytes.max(0.0) })
}

/// What a run of this very program says of itself.
fn explored(config: &str, who: &Contender, states_max: Option<usize>) -> io::Result<Value> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["run", config, "--json"]).args(who.arguments);
    if let Some(states_max) = states_max {
        command.args(["--max-states", &states_max.to_string()]);
    }
    let output = command.output()?;
    let document: Value = serde_json::from_slice(&output.stdout)?;
    Ok(document["runs"][0].clone())
}
