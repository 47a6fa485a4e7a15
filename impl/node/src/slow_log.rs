//! Owns the requests that took long of late, for SLOWLOG.
//!
//! Must not measure: it is told.

use slotbus_wire::resp::Args;
use std::{borrow::Cow, collections::VecDeque};

/// Of a request, so many arguments are kept ...
const ARGS_MAX: usize = 32;
/// ... and so many bytes of each.
const ARG_BYTES_MAX: usize = 128;

/// One slow request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub id: u64,
    /// When it was made, in seconds since 1970.
    pub at_s: u64,
    /// How long it took, in microseconds.
    pub duration_us: u64,
    /// What it said, shortened.
    pub args: Vec<Vec<u8>>,
    /// Where the client was.
    pub client: String,
    /// The client's name.
    pub client_name: String,
}

/// Slow requests, the latest first.
#[derive(Debug, Default)]
pub struct SlowLog {
    entries: VecDeque<Entry>,
    next_id: u64,
}

impl SlowLog {
    /// Adds a request under the next number; beyond `most` the oldest are forgotten.
    pub fn add(&mut self, entry: Entry, most: usize) {
        self.entries.push_front(Entry { id: self.next_id, ..entry });
        self.next_id += 1;
        self.entries.truncate(most);
    }

    /// All of them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.entries.iter()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.entries.clear();
    }
}

/// A request for people to read: what is secret in it is not shown.
pub fn without_secrets<'a>(name: &str, args: Args<'a>) -> impl Iterator<Item = Cow<'a, [u8]>> {
    const HIDDEN: &[u8] = b"(redacted)";
    let is_word = |at: usize, word: &str| args.get(at).is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()));
    let follows = |at: usize, word: &str, count: usize| (1..=count).any(|back| at >= back && is_word(at - back, word));
    let is_secret = |at: usize| match name {
        "auth" => at > 0,
        "acl|setuser" => at > 1,
        "hello" => follows(at, "auth", 2),
        "migrate" => at > 5 && (follows(at, "auth", 1) || follows(at, "auth2", 2)),
        "config|set" => follows(at, "requirepass", 1) || follows(at, "masterauth", 1),
        _ => false,
    };
    let hidden: Vec<bool> = (0..args.len()).map(is_secret).collect();
    args.from(0).zip(hidden).map(|(arg, is_hidden)| Cow::Borrowed(if is_hidden { HIDDEN } else { arg }))
}

/// A request as the slow log keeps it.
#[must_use]
pub fn shortened(name: &str, args: Args<'_>) -> Vec<Vec<u8>> {
    let more = args.len() > ARGS_MAX;
    let shown = if more { ARGS_MAX - 1 } else { args.len() };
    let mut kept: Vec<Vec<u8>> = without_secrets(name, args).take(shown).map(|arg| shortened_arg(&arg)).collect();
    if more {
        kept.push(format!("... ({} more arguments)", args.len() - shown).into_bytes());
    }
    kept
}

fn shortened_arg(arg: &[u8]) -> Vec<u8> {
    match arg.len().checked_sub(ARG_BYTES_MAX) {
        None | Some(0) => arg.to_vec(),
        Some(more) => [&arg[..ARG_BYTES_MAX], format!("... ({more} more bytes)").as_bytes()].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::shortened;
    use slotbus_wire::resp::OwnedArgs;

    fn kept(name: &str, request: &str) -> Vec<String> {
        let request = OwnedArgs::collect(request.split(' ').map(str::as_bytes));
        let kept = shortened(name, request.args());
        kept.into_iter().map(|arg| String::from_utf8(arg).unwrap()).collect()
    }

    #[test]
    fn secrets_are_hidden_and_long_requests_cut() {
        assert_eq!(kept("auth", "AUTH u p"), ["AUTH", "(redacted)", "(redacted)"]);
        assert_eq!(kept("hello", "hello 3 auth u p setname n")[3..], ["(redacted)", "(redacted)", "setname", "n"]);
        assert_eq!(kept("config|set", "config set requirepass x timeout 1")[3..], ["(redacted)", "timeout", "1"]);
        assert_eq!(kept("get", "get auth x"), ["get", "auth", "x"]);
        assert_eq!(kept("mget", &"k ".repeat(40)).last().unwrap(), "... (10 more arguments)");
        assert!(kept("get", &format!("get {}", "x".repeat(130)))[1].ends_with("x... (2 more bytes)"));
    }
}
