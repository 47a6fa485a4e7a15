//! Owns environments of Python with one package each, which outlive the test that makes them.

use crate::cluster;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

const INSTALLED_WITHIN: Duration = Duration::from_secs(240);

/// The Python of an environment below `folder` that has `package`, as `name==version`. It is made once.
pub fn with_package(folder: &Path, package: &str) -> Result<PathBuf, String> {
    let environment = folder.join(format!("python-{package}"));
    let (python, done) = (environment.join("bin/python"), environment.join("done"));
    if !done.is_file() {
        let target = environment.display().to_string();
        run(Path::new("python3"), &["-m", "venv", "--clear", &target])?;
        run(&python, &["-m", "pip", "install", "--quiet", "--disable-pip-version-check", package])?;
        fs::write(done, package).map_err(|error| error.to_string())?;
    }
    Ok(python)
}

/// The file `name` within the package `module` of an environment.
pub fn file_of(python: &Path, module: &str, name: &str) -> Result<PathBuf, String> {
    let script = format!("import {module}, os; print(os.path.dirname({module}.__file__))");
    let file = Path::new(run(python, &["-c", &script])?.trim()).join(name);
    if file.is_file() { Ok(file) } else { Err(format!("there is no {}", file.display())) }
}

fn run(program: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(program);
    command.args(arguments);
    cluster::run(command, INSTALLED_WITHIN)?.success()
}
