//! Owns environments of Python with one package each, which outlive the test that makes them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The Python of an environment below `folder` that has `package`, as `name==version`. It is made once.
pub fn with_package(folder: &Path, package: &str) -> Result<PathBuf, String> {
    let environment = folder.join(format!("python-{package}"));
    let (python, done) = (environment.join("bin/python"), environment.join("done"));
    if !done.is_file() {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", package]))?;
        fs::write(done, package).map_err(|error| error.to_string())?;
    }
    Ok(python)
}

fn run(command: &mut Command) -> Result<(), String> {
    let status = command.status().map_err(|error| format!("{command:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}")) }
}

/// The file `name` within the package `module` of an environment.
pub fn file_of(python: &Path, module: &str, name: &str) -> Result<PathBuf, String> {
    let script = format!("import {module}, os; print(os.path.dirname({module}.__file__))");
    let output = Command::new(python).args(["-c", &script]).output().map_err(|error| error.to_string())?;
    let file = Path::new(String::from_utf8_lossy(&output.stdout).trim()).join(name);
    if file.is_file() { Ok(file) } else { Err(format!("{module} has no file {name}: {output:?}")) }
}
