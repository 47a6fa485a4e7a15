//! Owns the command line: redis-server's, and the two offline helpers.
//!
//! Must not print or exit: it says what is asked for.

use crate::config::Sources;

/// What a command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To run a node.
    Run(Sources),
    /// For the usage.
    Help,
    /// For the version.
    Version,
    /// For the slots of keys.
    SlotOf(Vec<String>),
    /// For tags of slots.
    TagFor(Vec<String>),
}

/// The usage.
pub const HELP: &str = "\
slotbus-node: a Redis Cluster node on the model-checked slotbus protocol core

Usage: slotbus-node [CONFIG_FILE] [--DIRECTIVE VALUE ...] [-]
       slotbus-node slot-of KEY...
       slotbus-node tag-for SLOT...
       slotbus-node --help | --version

CONFIG_FILE is in redis.conf syntax; directives given as arguments override it, and '-' reads more
of them from standard input. Directives that redis-server 7.0 knows and this node does not act on
are accepted with a warning. Two directives are this node's own:

  trace-file PATH          record every input and effect of the protocol core
  trace-format FORM        how: json (the default) or binary
  protocol-profile NAME    which variant of the protocol to follow: slotbus (default) or redis-7.0

Log lines have redis-server's format, with times in UTC, and go to standard output or 'logfile'.
SIGTERM and SIGINT end the node cleanly.

Examples:
  slotbus-node --port 7000 --cluster-enabled yes --dir /var/lib/slotbus/7000
  slotbus-node /etc/redis/redis.conf --loglevel verbose
  echo 'port 7000' | slotbus-node -
  slotbus-node slot-of user:1000 '{user:1000}.cart'
  slotbus-node tag-for 0 5461 16383
";

/// Reads a command line, given without the program's name.
pub fn parse(args: Vec<String>, read_input: impl FnOnce() -> Result<String, String>) -> Result<Asked, String> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let rest = || args.iter().skip(1).cloned().collect::<Vec<_>>();
    match words.as_slice() {
        ["-h" | "--help"] => Ok(Asked::Help),
        ["-v" | "--version"] => Ok(Asked::Version),
        ["slot-of"] => Err("slot-of needs at least one key, as in: slotbus-node slot-of user:1000".into()),
        ["slot-of", ..] => Ok(Asked::SlotOf(rest())),
        ["tag-for"] => Err("tag-for needs at least one slot, as in: slotbus-node tag-for 5461".into()),
        ["tag-for", ..] => Ok(Asked::TagFor(rest())),
        _ => sources(args, read_input).map(Asked::Run),
    }
}

fn sources(args: Vec<String>, read_input: impl FnOnce() -> Result<String, String>) -> Result<Sources, String> {
    let mut args = args;
    let mut sources = Sources::default();
    if args.last().is_some_and(|last| last == "-") {
        args.pop();
        sources.input = Some(read_input()?);
    }
    if args.first().is_some_and(|first| !first.starts_with("--")) {
        sources.file = Some(args.remove(0));
    }
    if let Some(stray) = args.first().filter(|first| !first.starts_with("--")) {
        return Err(format!("'{stray}' is neither a directive nor the value of one; directives begin with '--'"));
    }
    sources.args = args;
    Ok(sources)
}

#[cfg(test)]
mod tests {
    use super::{Asked, parse};
    use crate::config::Sources;

    fn read(line: &str) -> Result<Asked, String> {
        parse(line.split_whitespace().map(String::from).collect(), || Ok("port 1".into()))
    }

    #[test]
    fn the_command_line_is_that_of_redis_server() {
        let strings = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(read(""), Ok(Asked::Run(Sources::default())));
        assert_eq!(read("--help"), Ok(Asked::Help));
        assert_eq!(read("-v"), Ok(Asked::Version));
        assert_eq!(
            read("a.conf --port 7000 --bind a b -"),
            Ok(Asked::Run(Sources {
                file: Some("a.conf".into()),
                input: Some("port 1".into()),
                args: strings(&["--port", "7000", "--bind", "a", "b"]),
            }))
        );
        assert_eq!(read("slot-of a b"), Ok(Asked::SlotOf(strings(&["a", "b"]))));
        assert_eq!(read("tag-for 1"), Ok(Asked::TagFor(strings(&["1"]))));
    }

    #[test]
    fn what_cannot_be_meant_is_named() {
        assert!(read("slot-of").unwrap_err().contains("slot-of"));
        assert!(read("tag-for").unwrap_err().contains("tag-for"));
        assert!(read("a.conf b.conf").unwrap_err().contains("'b.conf'"));
    }
}
