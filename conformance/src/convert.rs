//! Traces from one form into the other. Knows no step.

use slotbus_wire::trace::{Form, TraceError, TraceFault, TraceReader, TraceWriter};
use std::{
    fmt,
    fs::File,
    io::{BufReader, BufWriter},
    path::Path,
};

/// Writes a trace in the other form, and says in which and how many steps it has. A trace that is cut off is
/// written up to there.
pub fn convert(from: &Path, to: &Path) -> Result<(Form, u64), String> {
    let failed = |path: &Path, why: &dyn fmt::Display| format!("{}: {why}", path.display());
    let input = File::open(from).map_err(|error| failed(from, &error))?;
    let mut trace = TraceReader::new(BufReader::new(input)).map_err(|error| failed(from, &error))?;
    let form = match trace.form() {
        Form::Json => Form::Binary,
        Form::Binary => Form::Json,
    };
    let output = File::create_new(to).map_err(|error| failed(to, &error))?;
    let header = trace.header().clone();
    let mut writer = TraceWriter::new(BufWriter::new(output), form, &header).map_err(|error| failed(to, &error))?;
    let mut steps = 0;
    for step in &mut trace {
        match step {
            Ok(step) => writer.step(&step.input, &step.effects).map_err(|error| failed(to, &error))?,
            Err(TraceError { fault: TraceFault::Truncated, .. }) => break,
            Err(error) => return Err(failed(from, &error)),
        }
        steps += 1;
    }
    writer.flush().map_err(|error| failed(to, &error))?;
    Ok((form, steps))
}
