//! Owns the way from files and arguments to settings: lines, quotes, includes, and the report of a
//! line that cannot be taken.
//!
//! Must not know what a directive means.

use super::{
    directive::{ACTIONS, DIRECTIVES, Directive, RETIRED},
    settings::Settings,
    value::Kind,
};
use crate::log::reason;
use slotbus_wire::words;
use std::{fmt, io::Read, path::Path};

/// Files may include files to this depth: a file that includes itself ends here.
const INCLUDE_DEPTH_MAX: usize = 16;
const BAD_DIRECTIVE: &str = "Bad directive or wrong number of arguments";

/// Why the configuration cannot be taken. Displays as redis-server reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadConfig {
    /// A line is wrong.
    Line {
        /// Its number in its file, from 1.
        number: usize,
        /// The line.
        line: String,
        /// What is wrong with it.
        message: String,
    },
    /// The lines are right, but not together.
    Together(&'static str),
    /// A file cannot be read.
    File {
        /// Its name as given.
        name: String,
        /// Why.
        reason: String,
    },
}

impl fmt::Display for BadConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const TITLE: &str = "\n*** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***";
        match self {
            Self::Line { number, line, message } => {
                write!(f, "{TITLE}\nReading the configuration file, at line {number}\n>>> '{line}'\n{message}")
            }
            Self::Together(message) => write!(f, "{TITLE}\n{message}"),
            Self::File { name, reason } => write!(f, "Fatal error, can't open config file '{name}': {reason}"),
        }
    }
}

impl std::error::Error for BadConfig {}

/// Where the configuration comes from: an optional file, standard input, and directives as arguments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// The file.
    pub file: Option<String>,
    /// What standard input says, if it is to be read.
    pub input: Option<String>,
    /// The arguments, `--directive value ...`.
    pub args: Vec<String>,
}

/// The settings, and one warning for each directive that is accepted and not acted on.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// The warnings.
    pub warnings: Vec<String>,
    /// Lines about users, as they stand.
    pub users: Vec<String>,
}

impl Sources {
    /// Reads everything, later lines over earlier ones.
    pub fn load(&self) -> Result<Loaded, BadConfig> {
        let mut loader = Loader::default();
        let file = match &self.file {
            Some(name) => read(name)?,
            None => String::new(),
        };
        let text = [file, lines_of(&self.args), self.input.clone().unwrap_or_default()].join("\n");
        loader.take_text(&text, 0)?;
        loader.check_together()?;
        Ok(loader.loaded)
    }
}

/// Directives given as arguments, one line each, every value in quotes.
fn lines_of(args: &[String]) -> String {
    let mut text = String::new();
    for arg in args {
        match arg.strip_prefix("--") {
            Some(name) => {
                text.push_str(if text.is_empty() { "" } else { "\n" });
                text.push_str(name);
            }
            None => {
                text.push(' ');
                text.push_str(&words::quoted(arg.as_bytes()));
            }
        }
    }
    text
}

fn read(name: &str) -> Result<String, BadConfig> {
    let unreadable = |error: std::io::Error| {
        let name = std::path::absolute(Path::new(name)).map_or(name.into(), |path| path.display().to_string());
        BadConfig::File { name, reason: reason(&error) }
    };
    let mut bytes = Vec::new();
    std::fs::File::open(name).and_then(|mut file| file.read_to_end(&mut bytes)).map_err(unreadable)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[derive(Default)]
struct Loader {
    loaded: Loaded,
    /// Directives that a line has set already, by place: `save` lines add up.
    seen: Vec<usize>,
}

impl Loader {
    fn take_text(&mut self, text: &str, depth: usize) -> Result<(), BadConfig> {
        for (index, line) in text.split('\n').enumerate() {
            let line = line.trim_matches([' ', '\t', '\r', '\n']);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let bad = |message: String| BadConfig::Line { number: index + 1, line: line.into(), message };
            let words = words::split(line.as_bytes());
            let words = words.map_err(|_| bad("Unbalanced quotes in configuration line".into()))?;
            let words: Vec<String> =
                words.into_iter().map(|word| String::from_utf8_lossy(&word).into_owned()).collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let Some((name, values)) = words.split_first() else { continue };
            self.take_line(name, values, depth).map_err(|refused| match refused {
                Refused::Here(message) => bad(message),
                Refused::Inside(error) => error,
            })?;
        }
        Ok(())
    }

    fn take_line(&mut self, name: &str, values: &[&str], depth: usize) -> Result<(), Refused> {
        let name = name.to_ascii_lowercase();
        if let Some(index) = Directive::find(&name) {
            return self.set(index, values).map_err(Refused::Here);
        }
        if RETIRED.contains(&name.as_str()) && values.len() == 1 {
            return Ok(());
        }
        match (name.as_str(), values) {
            ("include", [file]) => self.include(file, depth),
            ("user", [_, ..]) => {
                self.loaded.users.push(format!("user {}", values.join(" ")));
                Ok(())
            }
            ("rename-command", [_, _]) | ("loadmodule", [_, ..]) => {
                self.warn(&name);
                Ok(())
            }
            ("sentinel", [_, ..]) => Err(Refused::Here("sentinel directive while not in sentinel mode".into())),
            _ => Err(Refused::Here(BAD_DIRECTIVE.into())),
        }
    }

    fn set(&mut self, index: usize, values: &[&str]) -> Result<(), String> {
        let directive = &DIRECTIVES[index];
        let settings = &mut self.loaded.settings;
        let former = settings.text(directive.name).to_owned();
        settings.set(index, values)?;
        let value = settings.text(directive.name).to_owned();
        let adds_up = directive.kind == Kind::SavePoints && self.seen.contains(&index);
        if adds_up && !former.is_empty() && !value.is_empty() {
            let both: Vec<&str> = former.split(' ').chain(value.split(' ')).collect();
            settings.set(index, &both)?;
        }
        self.seen.push(index);
        if !directive.is_acted_on && value != directive.default {
            self.warn(directive.name);
        }
        Ok(())
    }

    fn include(&mut self, file: &str, depth: usize) -> Result<(), Refused> {
        if depth >= INCLUDE_DEPTH_MAX {
            return Err(Refused::Here(format!("Files include files more than {INCLUDE_DEPTH_MAX} deep")));
        }
        let text = read(file).map_err(Refused::Inside)?;
        self.take_text(&text, depth + 1).map_err(Refused::Inside)
    }

    fn warn(&mut self, name: &str) {
        debug_assert!(ACTIONS.contains(&name) || Directive::find(name).is_some());
        let warning = format!("WARNING: the directive '{name}' is accepted but has no effect in this node");
        if !self.loaded.warnings.contains(&warning) {
            self.loaded.warnings.push(warning);
        }
    }

    fn check_together(&self) -> Result<(), BadConfig> {
        let settings = &self.loaded.settings;
        if settings.flag("cluster-enabled") && !settings.text("replicaof").is_empty() {
            return Err(BadConfig::Together("replicaof directive not allowed in cluster mode"));
        }
        if settings.flag("daemonize") {
            return Err(BadConfig::Together(
                "'daemonize yes' is not supported: this node stays in the foreground; run it under a supervisor",
            ));
        }
        Ok(())
    }
}

enum Refused {
    /// The line itself is wrong.
    Here(String),
    /// A file that the line includes is.
    Inside(BadConfig),
}

#[cfg(test)]
mod tests {
    use super::{BadConfig, Loaded, Sources};

    fn load(text: &str) -> Result<Loaded, BadConfig> {
        Sources { input: Some(text.into()), ..Sources::default() }.load()
    }

    fn from_args(args: &[&str]) -> Result<Loaded, BadConfig> {
        Sources { args: args.iter().map(ToString::to_string).collect(), ..Sources::default() }.load()
    }

    #[test]
    fn later_lines_win_and_comments_do_not_count() {
        let loaded = load("# port 1\n\n  PORT 7000 \r\nport '7001'\n\tlogfile \"a b\\x41\"\n").unwrap();
        assert_eq!(loaded.settings.port("port"), 7001);
        assert_eq!(loaded.settings.text("logfile"), "a bA");
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    }

    #[test]
    fn arguments_are_lines_with_quoted_values() {
        let loaded = from_args(&["--port", "7000", "--save", "", "--bind", "127.0.0.1", "::1"]).unwrap();
        assert_eq!(loaded.settings.port("port"), 7000);
        assert_eq!(loaded.settings.text("bind"), "127.0.0.1 ::1");
        assert_eq!(loaded.settings.text("save"), "");
    }

    #[test]
    fn what_is_not_acted_on_is_accepted_with_one_warning() {
        let loaded = load("hz 10\nhz 20\nappendonly no\nrename-command a b\nuser x on\n").unwrap();
        let names: Vec<&str> = loaded.warnings.iter().filter_map(|warning| warning.split('\'').nth(1)).collect();
        assert_eq!(names, ["hz", "rename-command"]);
        assert_eq!(loaded.users, ["user x on"]);
    }

    #[test]
    fn save_lines_add_up_until_one_is_empty() {
        assert_eq!(load("save 1 2\nsave 3 4\n").unwrap().settings.text("save"), "1 2 3 4");
        assert_eq!(load("save 1 2\nsave \"\"\n").unwrap().settings.text("save"), "");
    }

    #[test]
    fn a_wrong_line_is_reported_with_its_number() {
        let report = from_args(&["--foo", "bar"]).unwrap_err().to_string();
        assert_eq!(
            report,
            "\n*** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***\nReading the configuration file, at line 2\n>>> 'foo \"bar\"'\nBad directive or wrong number of arguments"
        );
        let wrong = |text: &str| match load(text).unwrap_err() {
            BadConfig::Line { message, .. } => message,
            other @ (BadConfig::Together(_) | BadConfig::File { .. }) => other.to_string(),
        };
        assert_eq!(wrong("port 'a"), "Unbalanced quotes in configuration line");
        assert_eq!(wrong("port"), "wrong number of arguments");
        assert_eq!(wrong("sentinel a"), "sentinel directive while not in sentinel mode");
        assert_eq!(wrong("rename-command a"), "Bad directive or wrong number of arguments");
        assert!(wrong("cluster-enabled yes\nreplicaof a 1").contains("replicaof directive not allowed"));
        assert!(wrong("include /does/not/exist").contains("can't open config file '/does/not/exist'"));
    }
}
