//! Runs every test program of the workspace: those that start clusters beside all others, for most of their time is spent
//! waiting. Owns what runs when, how long it may take, and which failures count.
//!
//! Tests of processes in real time may fail because the machine stood still. Such a program is run once more by itself, and the
//! last lines name it: what fails twice has failed. Unit tests, and programs that time does not touch, get no second try.

use crate::{cargo_program, root, run};
use serde_json::Value;
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// The folder whose tests start clusters. Their ports are their own (conformance/src/cluster.rs).
const OF_CLUSTERS: &str = "conformance";
/// The folders whose tests wait for processes in real time.
const IN_REAL_TIME: [&str; 2] = [OF_CLUSTERS, "impl/node"];
/// So many tests of one program run at once.
const TESTS_AT_ONCE: &str = "--test-threads=4";
/// No program takes longer.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
const POLL: Duration = Duration::from_millis(50);

/// A program with tests.
struct Program {
    name: String,
    /// Where its package is.
    folder: PathBuf,
    path: PathBuf,
    /// Whether it is a file of `tests`, and not the unit tests of a library or a binary.
    is_of_tests: bool,
}

/// Builds all test programs and runs them, and the examples in the documentation.
pub(crate) fn run_all() -> Result<(), String> {
    let (of_clusters, others): (Vec<_>, Vec<_>) =
        build()?.into_iter().partition(|program| program.folder.ends_with(OF_CLUSTERS));
    if of_clusters.is_empty() || others.is_empty() {
        return Err("cargo tells of no test programs".to_owned());
    }
    let logs = root().join("target/suite");
    fs::create_dir_all(&logs).map_err(|error| format!("cannot make {}: {error}", logs.display()))?;
    let (unlucky, mut failed) = thread::scope(|scope| {
        let try_all = |programs: Vec<Program>| -> Vec<Program> {
            programs.into_iter().filter(|program| !program.passes(&logs)).collect()
        };
        let beside = scope.spawn(move || (try_all(others), examples()));
        let of_clusters = try_all(of_clusters);
        let (others, examples) = beside.join().unwrap_or_else(|_| (Vec::new(), Err("the runner ended".to_owned())));
        let failures = of_clusters.into_iter().chain(others);
        let (unlucky, failed): (Vec<_>, Vec<_>) = failures.partition(Program::is_in_real_time);
        (unlucky, failed.into_iter().map(|program| program.name).chain(examples.err()).collect::<Vec<_>>())
    });
    for program in unlucky {
        eprintln!("==> {} failed beside others: once more, by itself", program.name);
        if program.passes(&logs) {
            eprintln!("<== {} passes by itself", program.name);
        } else {
            failed.push(program.name);
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", "))) }
}

/// The examples in the documentation, which cargo builds as it runs them.
fn examples() -> Result<(), String> {
    run(Command::new(cargo_program()).args(["test", "--locked", "--workspace", "--doc"]).current_dir(root()))
}

fn build() -> Result<Vec<Program>, String> {
    const ARGUMENTS: [&str; 5] =
        ["test", "--locked", "--workspace", "--no-run", "--message-format=json-render-diagnostics"];
    eprintln!("==> cargo {}", ARGUMENTS.join(" "));
    let begun = Instant::now();
    let output = Command::new(cargo_program())
        .args(ARGUMENTS)
        .current_dir(root())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    eprintln!("<== {:.0} s", begun.elapsed().as_secs_f64());
    if !output.status.success() {
        return Err("the tests do not build".to_owned());
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    Ok(messages.lines().filter_map(|line| Program::announced(&serde_json::from_str(line).ok()?)).collect())
}

impl Program {
    /// The test program that a message of cargo tells of, if it does.
    fn announced(message: &Value) -> Option<Self> {
        if message["reason"] != "compiler-artifact" || message["profile"]["test"] != true {
            return None;
        }
        let path = PathBuf::from(message["executable"].as_str()?);
        let folder = Path::new(message["manifest_path"].as_str()?).parent()?.to_owned();
        let package = folder.strip_prefix(root()).unwrap_or(&folder);
        let name = format!("{} {}", package.display(), message["target"]["name"].as_str()?);
        let is_of_tests = message["target"]["kind"][0] == "test";
        Some(Self { name, folder, path, is_of_tests })
    }

    fn is_in_real_time(&self) -> bool {
        self.is_of_tests && IN_REAL_TIME.iter().any(|folder| self.folder.ends_with(folder))
    }

    /// Runs it and shows what it printed.
    fn passes(&self, logs: &Path) -> bool {
        let log = logs.join(format!("{}.log", self.name.replace([' ', '/'], ".")));
        let begun = Instant::now();
        let (passes, verdict) = match self.run_into(&log) {
            Ok(status) if status.success() => (true, "ok".to_owned()),
            Ok(status) => (false, format!("FAILED ({status})")),
            Err(error) => (false, format!("FAILED ({error})")),
        };
        let printed = fs::read_to_string(&log).unwrap_or_default();
        println!("{verdict} {}, {:.1} s\n{printed}", self.name, begun.elapsed().as_secs_f64());
        passes
    }

    fn run_into(&self, log: &Path) -> io::Result<ExitStatus> {
        let file = File::create(log)?;
        let mut child = Command::new(&self.path)
            .arg(TESTS_AT_ONCE)
            .current_dir(&self.folder)
            .env("CARGO_MANIFEST_DIR", &self.folder)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()?;
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            thread::sleep(POLL);
        }
        child.kill()?;
        child.wait()
    }
}
