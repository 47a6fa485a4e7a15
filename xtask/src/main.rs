//! The commands of this repository. `cargo verify` builds the binaries and runs the main job;
//! `cargo suite` installs what the tests need, then runs every test and the main job; `cargo vectors`
//! makes the archive of conformance vectors; `cargo peers` has servers of other versions in one cluster
//! with the node.
//! Owns the order of these steps, and nothing that they do.

mod peers;
mod tests;

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Instant,
};

/// Programs that the tests run, with the Debian package that has each.
const PROGRAMS: [(&str, &str); 6] = [
    ("redis-server", "redis-server"),
    ("redis-cli", "redis-tools"),
    ("spin", "spin"),
    ("cc", "gcc"),
    ("parallel", "parallel"),
    ("jq", "jq"),
];

fn main() -> ExitCode {
    let outcome = match env::args().nth(1).as_deref() {
        Some("verify") => verify(),
        Some("suite") => suite(),
        Some("vectors") => vectors(),
        Some("peers") => try_peers(),
        Some(_) | None => Err("usage: cargo verify | cargo suite | cargo vectors | cargo peers".to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("xtask: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// The main job: every standard configuration checked, live clusters of real processes, their traces verified.
fn verify() -> Result<(), String> {
    cargo(&["build", "--release", "--locked", "--workspace", "--bins"])?;
    tour("release")
}

fn suite() -> Result<(), String> {
    install_programs()?;
    tests::run_all()?;
    tour("debug")
}

/// The main job of the binaries that a profile has built.
fn tour(profile: &str) -> Result<(), String> {
    run(Command::new(root().join("target").join(profile).join("slotbus-conform")).arg("tour"))
}

/// Clusters with servers of other versions, which are fetched first.
fn try_peers() -> Result<(), String> {
    let peers = peers::fetch(&root().join("target"))?;
    cargo(&["build", "--release", "--locked", "-p", "slotbus-node", "--bins"])?;
    let test = ["test", "--release", "--locked", "-p", "slotbus-conformance", "--test", "peers", "--", "--nocapture"];
    run(Command::new(cargo_program()).args(test).env("SLOTBUS_PEERS", peers).current_dir(root()))
}

/// Profiles of which vectors are released.
const PROFILES: [&str; 2] = ["slotbus", "redis-7.0"];
/// What goes with the vectors.
const BESIDE_VECTORS: [&str; 3] = ["docs/VECTORS.md", "docs/vectors.schema.json", "conformance/runner/runner.py"];

/// The archive of conformance vectors: generated, replayed by the model, and packed with all that it takes
/// to hold another implementation to them. The same source makes the same archive.
fn vectors() -> Result<(), String> {
    cargo(&["build", "--release", "--locked", "-p", "slotbus-conformance", "--bins"])?;
    let program = root().join("target/release/slotbus-conform");
    let folder = root().join("target/vectors");
    let trouble = |error| format!("cannot make {}: {error}", folder.display());
    if folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(trouble)?;
    }
    for profile in PROFILES {
        let out = folder.join(profile);
        run(Command::new(&program).arg("generate").args(["--profile", profile, "--out"]).arg(&out))?;
        run(Command::new(&program).arg("replay").arg(&out))?;
    }
    for file in BESIDE_VECTORS {
        let from = root().join(file);
        let name = from.file_name().unwrap_or_default();
        std::fs::copy(&from, folder.join(name)).map_err(trouble)?;
    }
    let archive = root().join(concat!("target/slotbus-vectors-", env!("CARGO_PKG_VERSION"), ".tar.gz"));
    let same_bytes = ["--sort=name", "--owner=0", "--group=0", "--mtime=@0", "--use-compress-program=gzip -n"];
    run(Command::new("tar")
        .args(same_bytes)
        .arg("-cf")
        .arg(archive)
        .arg("-C")
        .arg(root().join("target"))
        .arg("vectors"))
}

fn install_programs() -> Result<(), String> {
    let missing: Vec<_> = PROGRAMS.iter().filter(|(program, _)| !is_installed(program)).collect();
    let packages = missing.iter().map(|(_, package)| *package);
    let packages: Vec<_> = packages.chain((!has_virtual_environments()).then_some("python3-venv")).collect();
    if packages.is_empty() {
        return Ok(());
    }
    // The package would start a server of its own, which no test wants.
    let policy = "printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d";
    let install = format!(
        "export DEBIAN_FRONTEND=noninteractive; [ -e /usr/sbin/policy-rc.d ] || {{ {policy}; made=1; }}; \
         apt-get update -qq && apt-get install -y -qq --no-install-recommends {}; status=$?; \
         [ -z \"$made\" ] || rm -f /usr/sbin/policy-rc.d; exit $status",
        packages.join(" ")
    );
    let mut command = if is_root() { Command::new("sh") } else { Command::new("sudo") };
    if !is_root() {
        command.arg("sh");
    }
    run(command.arg("-c").arg(install))
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n")
}

/// Whether Python can make folders with libraries of their own, for the client library that tests use.
fn has_virtual_environments() -> bool {
    Command::new("python3").args(["-c", "import ensurepip"]).status().is_ok_and(|status| status.success())
}

fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn cargo(arguments: &[&str]) -> Result<(), String> {
    run(Command::new(cargo_program()).args(arguments).current_dir(root()))
}

fn cargo_program() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

fn run(command: &mut Command) -> Result<(), String> {
    let line = format!("{command:?}").replace('"', "");
    eprintln!("==> {line}");
    let begun = Instant::now();
    let status = command.status().map_err(|error| format!("cannot run {line}: {error}"))?;
    eprintln!("<== {:.0} s", begun.elapsed().as_secs_f64());
    if status.success() { Ok(()) } else { Err(format!("{line} failed: {status}")) }
}

/// The repository's root.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_path_buf)
}
