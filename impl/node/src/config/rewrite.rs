//! Owns the writing of settings back to their file.
//!
//! Must not lose a line that it does not understand, nor leave half a file behind.

use super::{
    directive::{DIRECTIVES, Directive},
    settings::Settings,
};
use crate::{files, users::Users};
use slotbus_wire::words;
use std::{collections::BTreeSet, fs, io, path::Path};

const HEADING: &str = "# Written by CONFIG REWRITE";

/// Brings a file up to date: lines of directives show the value that holds now, directives whose value
/// is no longer the default and users without a file of their own are added at the end, all else stays.
pub fn rewrite(path: &Path, settings: &Settings, users: &Users) -> io::Result<()> {
    let former = fs::read_to_string(path)?;
    let has_own_file = !settings.text("aclfile").is_empty();
    let users = if has_own_file { Vec::new() } else { users.lines() };
    let users: Vec<String> = users.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    files::replace(path, rewritten(&former, settings, users).as_bytes())
}

fn rewritten(former: &str, settings: &Settings, users: Vec<String>) -> String {
    let mut lines = Vec::new();
    let mut seen = BTreeSet::new();
    for line in former.lines() {
        match directive_of(line) {
            None if is_user(line) => {}
            None => lines.push(line.to_owned()),
            // A directive that is given several times has one value now: its first line shows it.
            Some(index) if seen.insert(index) => lines.push(line_of(index, settings)),
            Some(_) => {}
        }
    }
    let added = (0..DIRECTIVES.len()).filter(|index| {
        let directive = &DIRECTIVES[*index];
        !seen.contains(index) && settings.text(directive.name) != directive.default
    });
    let added: Vec<String> = added.map(|index| line_of(index, settings)).chain(users).collect();
    if !added.is_empty() && !lines.iter().any(|line| line == HEADING) {
        lines.push(HEADING.to_owned());
    }
    lines.extend(added);
    lines.join("\n") + "\n"
}

fn is_user(line: &str) -> bool {
    line.split_whitespace().next().is_some_and(|word| word.eq_ignore_ascii_case("user"))
}

fn directive_of(line: &str) -> Option<usize> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    let words = words::split(line.as_bytes()).ok()?;
    Directive::find(&String::from_utf8_lossy(words.first()?))
}

fn line_of(index: usize, settings: &Settings) -> String {
    let directive = &DIRECTIVES[index];
    let value = settings.text(directive.name);
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\' | b'#');
    let value = if directive.kind.takes_many() && !value.is_empty() || !value.is_empty() && value.bytes().all(is_plain)
    {
        value.to_owned()
    } else {
        words::quoted(value.as_bytes())
    };
    format!("{} {value}", directive.name)
}

#[cfg(test)]
mod tests {
    use super::rewritten;
    use crate::config::{Directive, Sources};

    #[test]
    fn a_rewritten_file_says_the_same_and_keeps_what_it_does_not_know() {
        let former = "# hello\nport 7000\nport 7001\ninclude other.conf\nlogfile \"a b\"\n";
        let text = "port 7001\nlogfile \"a b\"\n";
        let mut settings = Sources { input: Some(text.into()), ..Sources::default() }.load().unwrap().settings;
        settings.set(Directive::find("cluster-node-timeout").unwrap(), &["1234"]).unwrap();
        let written = rewritten(former, &settings, vec![]);
        assert_eq!(
            written,
            "# hello\nport 7001\ninclude other.conf\nlogfile \"a b\"\n# Written by CONFIG REWRITE\ncluster-node-timeout 1234\n"
        );
        assert_eq!(rewritten(&written, &settings, vec![]), written);
    }
}
