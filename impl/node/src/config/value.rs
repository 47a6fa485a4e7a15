//! Owns what directives take: how a value is read, and the one form in which it is kept and shown.
//!
//! Must not know any directive by name.

/// What a directive takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `yes` or `no`.
    Bool,
    /// A whole number between two bounds, both included.
    Int(i64, i64),
    /// A number of bytes between two bounds, with or without a unit.
    Memory(i64, i64),
    /// A number of bytes, or a percentage.
    MemoryOrPercent,
    /// File permissions.
    Octal,
    /// One of some words.
    Word(&'static [&'static str]),
    /// How to shut down: options of SHUTDOWN, or `default`.
    ShutdownOptions,
    /// Anything.
    Text,
    /// A name without a path, for the directive of this name, that names this.
    BaseName(&'static str, &'static str),
    /// An existing directory.
    Directory,
    /// A host name.
    Hostname,
    /// Characters that stand for keyspace events.
    EventClasses,
    /// Addresses to listen on.
    Addresses,
    /// Pairs of seconds and changes.
    SavePoints,
    /// Class, hard limit, soft limit and seconds, for one or more classes.
    BufferLimits,
    /// Numbers between 0 and 100.
    Percentiles,
    /// Three numbers between -2000 and 2000.
    ScoreTriple,
    /// Host and port of a primary.
    Primary,
    /// The name of a profile of the protocol.
    Profile,
}

const WRONG_COUNT: &str = "wrong number of arguments";
const NOT_A_NUMBER: &str = "argument couldn't be parsed into an integer";
const EVENT_CLASSES: &str = "Ag$lshzxeKEtmdn";
const BUFFER_CLASSES: &[(&str, &str)] =
    &[("normal", "normal"), ("slave", "slave"), ("replica", "slave"), ("pubsub", "pubsub")];

impl Kind {
    /// Whether more than one word may follow the directive.
    #[must_use]
    pub fn takes_many(self) -> bool {
        match self {
            Self::ShutdownOptions
            | Self::Addresses
            | Self::SavePoints
            | Self::BufferLimits
            | Self::Percentiles
            | Self::ScoreTriple
            | Self::Primary => true,
            Self::Bool
            | Self::Int(..)
            | Self::Memory(..)
            | Self::MemoryOrPercent
            | Self::Octal
            | Self::Word(_)
            | Self::Text
            | Self::BaseName(..)
            | Self::Directory
            | Self::Hostname
            | Self::EventClasses
            | Self::Profile => false,
        }
    }

    /// The one form of a value, or what is wrong with it in the words of redis-server.
    pub fn canonical(self, words: &[&str]) -> Result<String, String> {
        let &[word, ..] = words else {
            return if self.takes_many() { self.canonical_many(words) } else { Err(WRONG_COUNT.into()) };
        };
        if self.takes_many() {
            return self.canonical_many(words);
        }
        if words.len() > 1 {
            return Err(WRONG_COUNT.into());
        }
        match self {
            Self::Bool => match word.to_ascii_lowercase() {
                flag if flag == "yes" || flag == "no" => Ok(flag),
                _ => Err("argument must be 'yes' or 'no'".into()),
            },
            Self::Int(min, max) => {
                let number = slotbus_wire::resp::parse_i64(word.as_bytes()).ok_or(NOT_A_NUMBER)?;
                between(number.into(), min, max)
            }
            Self::Memory(min, max) => {
                let bytes = bytes(word).ok_or("argument must be a memory value")?;
                between(bytes.into(), min, max)
            }
            Self::MemoryOrPercent => {
                let percent = word.strip_suffix('%').filter(|digits| digits.parse::<u32>().is_ok());
                let number = percent.map(|_| word.to_owned()).or_else(|| bytes(word).map(|bytes| bytes.to_string()));
                number.ok_or_else(|| "argument must be a memory or percent value".into())
            }
            Self::Octal => octal(word),
            Self::Word(known) => one_of(word, known),
            Self::BaseName(directive, noun) if word.contains(['/', '\\']) => {
                Err(format!("{directive} can't be a path, just a {noun}"))
            }
            Self::BaseName(directive, _) if word.is_empty() && directive.starts_with("append") => {
                Err(format!("{directive} can't be empty"))
            }
            Self::Directory => match std::fs::metadata(word) {
                Ok(found) if found.is_dir() => Ok(word.into()),
                Ok(_) => Err("Not a directory".into()),
                Err(error) => Err(crate::log::reason(&error)),
            },
            Self::Hostname => hostname(word),
            Self::EventClasses if !word.chars().all(|class| EVENT_CLASSES.contains(class)) => {
                Err(format!("Invalid event class character. Use '{EVENT_CLASSES}'."))
            }
            Self::Profile => match slotbus_core::Profile::named(word) {
                Some(_) => Ok(word.into()),
                None => {
                    let known: Vec<&str> = slotbus_core::Profile::NAMED.iter().map(|(name, _)| *name).collect();
                    Err(format!("argument(s) must be one of the following: {}", known.join(", ")))
                }
            },
            Self::EventClasses => Ok(event_classes(word)),
            Self::Text | Self::BaseName(..) => Ok(word.into()),
            Self::ShutdownOptions
            | Self::Addresses
            | Self::SavePoints
            | Self::BufferLimits
            | Self::Percentiles
            | Self::ScoreTriple
            | Self::Primary => Err(WRONG_COUNT.into()),
        }
    }

    fn canonical_many(self, words: &[&str]) -> Result<String, String> {
        match self {
            Self::ShutdownOptions => shutdown_options(words),
            Self::SavePoints => save_points(words),
            Self::BufferLimits => buffer_limits(words),
            Self::Percentiles => percentiles(words),
            Self::ScoreTriple => score_triple(words),
            Self::Primary => primary(words),
            Self::Addresses
            | Self::Bool
            | Self::Int(..)
            | Self::Memory(..)
            | Self::MemoryOrPercent
            | Self::Octal
            | Self::Word(_)
            | Self::Text
            | Self::BaseName(..)
            | Self::Directory
            | Self::Hostname
            | Self::EventClasses
            | Self::Profile => {
                let words: Vec<&str> = words.iter().copied().filter(|word| !word.is_empty()).collect();
                Ok(words.join(" "))
            }
        }
    }
}

/// The letters of keyspace events in their order; one stands for all kinds of commands.
fn event_classes(word: &str) -> String {
    const KINDS: &str = "g$lshzxetd";
    let given = |letter: &char| word.contains(*letter);
    let has_all = word.contains('A') || KINDS.chars().all(|letter| given(&letter));
    let kinds = if has_all { "A".to_owned() } else { KINDS.chars().filter(given).collect() };
    kinds.chars().chain("nKEm".chars().filter(given)).collect()
}

/// Options of SHUTDOWN in their order, each once.
fn shutdown_options(words: &[&str]) -> Result<String, String> {
    const OPTIONS: [&str; 5] = ["default", "save", "nosave", "now", "force"];
    let given = words.iter().map(|word| one_of(word, &OPTIONS)).collect::<Result<Vec<_>, _>>()?;
    let has = |option: &str| given.iter().any(|word| word == option);
    if has("save") && has("nosave") {
        return Err("shutdown options SAVE and NOSAVE can't be used simultaneously".into());
    }
    let options: Vec<&str> = OPTIONS[1..].iter().copied().filter(|option| has(option)).collect();
    Ok(if options.is_empty() { OPTIONS[0].to_owned() } else { options.join(" ") })
}

fn between(number: i128, min: i64, max: i64) -> Result<String, String> {
    if number < min.into() || number > max.into() {
        return Err(format!("argument must be between {min} and {max} inclusive"));
    }
    Ok(number.to_string())
}

/// A number of bytes with an optional unit: `1k` is 1000 and `1kb` is 1024. An empty text is 0.
#[must_use]
pub(super) fn bytes(text: &str) -> Option<u64> {
    let end = text.find(|digit: char| !digit.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    if digits.is_empty() && !unit.is_empty() {
        return None;
    }
    let number = if digits.is_empty() { 0 } else { digits.parse().unwrap_or(u64::MAX) };
    Some(number.saturating_mul(factor))
}

fn octal(word: &str) -> Result<String, String> {
    let number = if word.is_empty() { Ok(0) } else { i64::from_str_radix(word, 8) };
    match number {
        Ok(mode @ 0..=0o777) => Ok(format!("{mode:o}")),
        Ok(_) => Err("argument must be between 0 and 777 inclusive".into()),
        Err(_) => Err("argument couldn't be parsed as an octal number".into()),
    }
}

fn one_of(word: &str, known: &[&str]) -> Result<String, String> {
    match known.iter().find(|known| known.eq_ignore_ascii_case(word)) {
        Some(known) => Ok((*known).to_owned()),
        None => Err(format!("argument(s) must be one of the following: {}", known.join(", "))),
    }
}

fn hostname(word: &str) -> Result<String, String> {
    const LENGTH_MAX: usize = 255;
    if word.len() > LENGTH_MAX {
        return Err("Hostnames must be less than 256 characters".into());
    }
    let is_fit = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '.');
    if !word.chars().all(is_fit) {
        return Err("Hostnames may only contain alphanumeric characters, hyphens or dots".into());
    }
    Ok(word.into())
}

fn save_points(words: &[&str]) -> Result<String, String> {
    const BAD: &str = "Invalid save parameters";
    if words == [""] {
        return Ok(String::new());
    }
    let words: Vec<&str> = words.iter().flat_map(|word| word.split(' ')).collect();
    let is_pair = |pair: &[&str]| match pair {
        [seconds, changes] => {
            seconds.parse::<i64>().is_ok_and(|seconds| seconds >= 1)
                && changes.parse::<i64>().is_ok_and(|many| many >= 0)
        }
        _ => false,
    };
    if words.chunks(2).all(is_pair) { Ok(words.join(" ")) } else { Err(BAD.into()) }
}

fn buffer_limits(words: &[&str]) -> Result<String, String> {
    let words: Vec<&str> = words.iter().flat_map(|word| word.split(' ')).collect();
    if !words.len().is_multiple_of(4) {
        return Err("Wrong number of arguments in buffer limit configuration.".into());
    }
    let mut limits = Vec::new();
    for class in words.chunks(4) {
        let &[name, hard, soft, seconds] = class else { continue };
        let Some((_, name)) = BUFFER_CLASSES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) else {
            return Err("Invalid client class specified in buffer limit configuration.".into());
        };
        let (Some(hard), Some(soft), Ok(seconds)) = (bytes(hard), bytes(soft), seconds.parse::<u32>()) else {
            return Err("Error in hard, soft or soft_seconds setting in buffer limit configuration.".into());
        };
        limits.push(format!("{name} {hard} {soft} {seconds}"));
    }
    Ok(limits.join(" "))
}

fn percentiles(words: &[&str]) -> Result<String, String> {
    let words = words.iter().flat_map(|word| word.split(' ')).filter(|word| !word.is_empty());
    let mut numbers = Vec::new();
    for word in words {
        match word.parse::<f64>() {
            Ok(number) if (0.0..=100.0).contains(&number) => numbers.push(number.to_string()),
            Ok(_) => return Err("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]".into()),
            Err(_) => return Err("Invalid latency-tracking-info-percentiles parameters".into()),
        }
    }
    Ok(numbers.join(" "))
}

fn score_triple(words: &[&str]) -> Result<String, String> {
    let words: Vec<&str> = words.iter().flat_map(|word| word.split(' ')).collect();
    if words.len() != 3 {
        return Err(WRONG_COUNT.into());
    }
    let scores: Option<Vec<i32>> = words.iter().map(|word| word.parse().ok()).collect();
    let scores = scores.filter(|scores| scores.iter().all(|score| (-2000..=2000).contains(score)));
    scores.ok_or("Invalid oom-score-adj-values, elements must be between -2000 and 2000.")?;
    Ok(words.join(" "))
}

fn primary(words: &[&str]) -> Result<String, String> {
    let words: Vec<&str> = words.iter().flat_map(|word| word.split(' ')).filter(|word| !word.is_empty()).collect();
    match words.as_slice() {
        [] => Ok(String::new()),
        ["no", "one"] => Ok(String::new()),
        [_, port] if port.parse::<u16>().is_ok() => Ok(words.join(" ")),
        [_, _] => Err("Invalid master port".into()),
        _ => Err(WRONG_COUNT.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, bytes};

    #[test]
    fn bytes_have_units_of_two_kinds() {
        for (text, expected) in [
            ("", Some(0)),
            ("1", Some(1)),
            ("1b", Some(1)),
            ("1k", Some(1000)),
            ("1KB", Some(1024)),
            ("2m", Some(2_000_000)),
            ("2mB", Some(2 << 20)),
            ("3g", Some(3_000_000_000)),
            ("3gb", Some(3 << 30)),
            ("99999999999999999999", Some(u64::MAX)),
            ("-1", None),
            ("k", None),
            ("1x", None),
            ("1 k", None),
        ] {
            assert_eq!(bytes(text), expected, "{text:?}");
        }
    }

    #[test]
    fn values_are_refused_in_the_words_of_the_server() {
        let int = "argument couldn't be parsed into an integer";
        for (kind, words, expected) in [
            (Kind::Bool, &["YES"][..], Ok("yes")),
            (Kind::Bool, &["1"], Err("argument must be 'yes' or 'no'")),
            (Kind::Bool, &[], Err("wrong number of arguments")),
            (Kind::Bool, &["yes", "no"], Err("wrong number of arguments")),
            (Kind::Int(0, 10), &["7"], Ok("7")),
            (Kind::Int(0, 10), &["11"], Err("argument must be between 0 and 10 inclusive")),
            (Kind::Int(0, 10), &["-1"], Err("argument must be between 0 and 10 inclusive")),
            (Kind::Int(0, 10), &["07"], Err(int)),
            (Kind::Int(0, 10), &["1mb"], Err(int)),
            (Kind::Memory(0, 10), &["1kb"], Err("argument must be between 0 and 10 inclusive")),
            (Kind::Memory(0, 10), &["x"], Err("argument must be a memory value")),
            (Kind::MemoryOrPercent, &["50%"], Ok("50%")),
            (Kind::MemoryOrPercent, &["%"], Err("argument must be a memory or percent value")),
            (Kind::Octal, &["755"], Ok("755")),
            (Kind::Octal, &["9"], Err("argument couldn't be parsed as an octal number")),
            (Kind::Word(&["a", "b"]), &["B"], Ok("b")),
            (Kind::Word(&["a", "b"]), &["c"], Err("argument(s) must be one of the following: a, b")),
            (Kind::SavePoints, &[""], Ok("")),
            (Kind::SavePoints, &["60", "1"], Ok("60 1")),
            (Kind::SavePoints, &["60"], Err("Invalid save parameters")),
            (Kind::Primary, &["host", "x"], Err("Invalid master port")),
            (Kind::Hostname, &["a_b"], Err("Hostnames may only contain alphanumeric characters, hyphens or dots")),
            (Kind::Directory, &["/does-not-exist"], Err("No such file or directory")),
        ] {
            let found = kind.canonical(words);
            assert_eq!(found.as_deref().map_err(String::as_str), expected, "{kind:?} {words:?}");
        }
    }
}
