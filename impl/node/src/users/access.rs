//! Owns what one user, or one of its selectors, may do: run which commands, on which keys, on which
//! channels. It reads the rules that say so, and says them again.
//!
//! Must not know passwords, nor what any command does.

use crate::{
    category::Category,
    command::{Command, Traits},
    commands, glob,
};
use slotbus_wire::resp::Args;
use std::fmt;

/// Why a rule cannot be taken. Displays in the words of redis-server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadRule {
    /// It names a command or category that there is not.
    Unknown,
    /// It is no rule.
    Malformed,
    /// It adds a pattern of keys where all keys are allowed.
    AllKeysAlready,
    /// It adds a pattern of channels where all channels are allowed.
    AllChannelsAlready,
    /// It takes away a password that the user does not have.
    NoSuchPassword,
    /// It has something for a hash that is none.
    BadHash,
    /// It allows an argument of a subcommand.
    DeepArgument,
}

impl fmt::Display for BadRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "Unknown command or category name in ACL",
            Self::Malformed => "Syntax error",
            Self::AllKeysAlready => {
                "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. \
                 Try 'resetkeys' to start with an empty list of patterns"
            }
            Self::AllChannelsAlready => {
                "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any \
                 effect. Try 'resetchannels' to start with an empty list of channels"
            }
            Self::NoSuchPassword => "The password you are trying to remove from the user does not exist",
            Self::BadHash => {
                "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"
            }
            Self::DeepArgument => "Allowing first-arg of a subcommand is not supported",
        })
    }
}

/// What a user may not do. The later ones come after more was allowed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Denial {
    /// The command.
    Command,
    /// A key: the number of it among the keys, and the key.
    Key(usize, Vec<u8>),
    /// A channel, likewise.
    Channel(usize, Vec<u8>),
}

/// Some commands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    Category(Category),
    /// One, with its subcommands.
    Command(&'static str),
    /// One with this first argument, in lower case.
    Argument(&'static str, String),
}

impl Target {
    fn includes(&self, command: &Command, args: Args<'_>) -> bool {
        match self {
            Self::Category(category) => category.includes(command),
            Self::Command(name) => {
                let rest = command.name.strip_prefix(name);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('|'))
            }
            Self::Argument(name, first) => command.name == *name && args.at(1).eq_ignore_ascii_case(first.as_bytes()),
        }
    }
}

/// What may be done to keys that match a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
struct KeyPattern {
    may_read: bool,
    may_write: bool,
    pattern: Box<[u8]>,
}

/// What is allowed. Of the rules about commands, the last one that speaks of a command holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    allows_commands: bool,
    commands: Vec<(bool, Target)>,
    allows_keys: bool,
    keys: Vec<KeyPattern>,
    allows_channels: bool,
    channels: Vec<Box<[u8]>>,
}

impl Access {
    /// Everything.
    #[must_use]
    pub fn full() -> Self {
        Self { allows_commands: true, allows_keys: true, allows_channels: true, ..Self::default() }
    }

    /// Nothing; but all channels, if new users are to have them.
    #[must_use]
    pub fn none(allows_channels: bool) -> Self {
        Self { allows_channels, ..Self::default() }
    }

    /// Whether everything is allowed.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.allows_commands && self.commands.is_empty() && self.allows_keys && self.allows_channels
    }

    /// Takes one rule.
    pub fn change(&mut self, rule: &[u8]) -> Result<(), BadRule> {
        match rule.to_ascii_lowercase().as_slice() {
            b"allkeys" | b"~*" => (self.allows_keys, self.keys) = (true, Vec::new()),
            b"resetkeys" => (self.allows_keys, self.keys) = (false, Vec::new()),
            b"allchannels" | b"&*" => (self.allows_channels, self.channels) = (true, Vec::new()),
            b"resetchannels" => (self.allows_channels, self.channels) = (false, Vec::new()),
            b"allcommands" | b"+@all" => (self.allows_commands, self.commands) = (true, Vec::new()),
            b"nocommands" | b"-@all" => (self.allows_commands, self.commands) = (false, Vec::new()),
            [b'~', ..] => self.add_keys(true, true, &rule[1..])?,
            [b'%', ..] if self.allows_keys => return Err(BadRule::AllKeysAlready),
            [b'%', ..] => self.add_keys_for(&rule[1..])?,
            [b'&', ..] => self.add_channels(&rule[1..])?,
            [sign @ (b'+' | b'-'), name @ ..] => self.add_commands(*sign == b'+', name)?,
            _ => return Err(BadRule::Malformed),
        }
        Ok(())
    }

    /// Letters for what may be done, and a pattern.
    fn add_keys_for(&mut self, rule: &[u8]) -> Result<(), BadRule> {
        let end = rule.iter().position(|&byte| byte == b'~').ok_or(BadRule::Malformed)?;
        let letters = rule[..end].to_ascii_lowercase();
        if letters.is_empty() || !letters.iter().all(|letter| b"rw".contains(letter)) {
            return Err(BadRule::Malformed);
        }
        self.add_keys(letters.contains(&b'r'), letters.contains(&b'w'), &rule[end + 1..])
    }

    fn add_keys(&mut self, may_read: bool, may_write: bool, pattern: &[u8]) -> Result<(), BadRule> {
        if self.allows_keys {
            return Err(BadRule::AllKeysAlready);
        }
        if has_space(pattern) {
            return Err(BadRule::Malformed);
        }
        if pattern == b"*" && may_read && may_write {
            (self.allows_keys, self.keys) = (true, Vec::new());
            return Ok(());
        }
        match self.keys.iter_mut().find(|known| *known.pattern == *pattern) {
            Some(known) => {
                known.may_read |= may_read;
                known.may_write |= may_write;
            }
            None => self.keys.push(KeyPattern { may_read, may_write, pattern: pattern.into() }),
        }
        Ok(())
    }

    fn add_channels(&mut self, pattern: &[u8]) -> Result<(), BadRule> {
        if self.allows_channels {
            return Err(BadRule::AllChannelsAlready);
        }
        if has_space(pattern) {
            return Err(BadRule::Malformed);
        }
        if self.channels.iter().all(|known| **known != *pattern) {
            self.channels.push(pattern.into());
        }
        Ok(())
    }

    fn add_commands(&mut self, is_allowed: bool, name: &[u8]) -> Result<(), BadRule> {
        let target = match name.strip_prefix(b"@") {
            Some(name) => Target::Category(Category::named(name).ok_or(BadRule::Unknown)?),
            None => target_named(name, is_allowed)?,
        };
        self.commands.retain(|(_, known)| *known != target);
        self.commands.push((is_allowed, target));
        Ok(())
    }

    /// Whether a request may be made; if not, why.
    pub fn check(&self, command: &'static Command, args: Args<'_>) -> Result<(), Denial> {
        if !self.may_run(command, args) {
            return Err(Denial::Command);
        }
        if !self.allows_keys {
            let keys = command.keys_with_flags(args).chain(command.keys_touched(args));
            let denied = keys.enumerate().find(|(_, (key, flags))| !self.may_touch(key, flags));
            if let Some((number, (key, _))) = denied {
                return Err(Denial::Key(number, key.to_vec()));
            }
        }
        let (channels, is_pattern) = channels_of(command, args);
        match (0..).zip(channels).find(|(_, channel)| !self.may_hear(channel, is_pattern)) {
            Some((number, channel)) => Err(Denial::Channel(number, channel.to_vec())),
            None => Ok(()),
        }
    }

    fn may_run(&self, command: &Command, args: Args<'_>) -> bool {
        let ruled = self.commands.iter().rev().find(|(_, target)| target.includes(command, args));
        command.traits.contains(Traits::NO_AUTH) || ruled.map_or(self.allows_commands, |(is_allowed, _)| *is_allowed)
    }

    fn may_touch(&self, key: &[u8], flags: &[&str]) -> bool {
        let reads = flags.contains(&"access");
        let writes = ["insert", "delete", "update"].iter().any(|flag| flags.contains(flag));
        let suffices = |known: &KeyPattern| (known.may_read || !reads) && (known.may_write || !writes);
        flags.contains(&"not_key")
            || self.keys.iter().any(|known| suffices(known) && glob::matches(&known.pattern, key, false))
    }

    /// Whether a channel may be used; a pattern of channels has to be allowed as it is.
    #[must_use]
    pub fn may_hear(&self, channel: &[u8], is_pattern: bool) -> bool {
        let is_meant = |known: &[u8]| if is_pattern { known == channel } else { glob::matches(known, channel, false) };
        self.allows_channels || self.channels.iter().any(|known| is_meant(known))
    }

    /// The rules about keys.
    #[must_use]
    pub fn keys(&self) -> Vec<u8> {
        if self.allows_keys {
            return b"~*".to_vec();
        }
        let shown = self.keys.iter().map(|known| {
            let sign = match (known.may_read, known.may_write) {
                (true, false) => "%R~",
                (false, true) => "%W~",
                (true, true) | (false, false) => "~",
            };
            [sign.as_bytes(), &known.pattern].concat()
        });
        shown.collect::<Vec<_>>().join(&b' ')
    }

    /// The rules about channels.
    #[must_use]
    pub fn channels(&self) -> Vec<u8> {
        if self.allows_channels {
            return b"&*".to_vec();
        }
        self.channels.iter().map(|known| [b"&", &**known].concat()).collect::<Vec<_>>().join(&b' ')
    }

    /// The rules about commands.
    #[must_use]
    pub fn commands(&self) -> String {
        let mut shown = String::from(if self.allows_commands { "+@all" } else { "-@all" });
        for (is_allowed, target) in &self.commands {
            shown.push_str(if *is_allowed { " +" } else { " -" });
            match target {
                Target::Category(category) => {
                    shown.push('@');
                    shown.push_str(category.name);
                }
                Target::Command(name) => shown.push_str(name),
                Target::Argument(name, first) => {
                    shown.push_str(name);
                    shown.push('|');
                    shown.push_str(first);
                }
            }
        }
        shown
    }

    /// All rules, in the form in which they are taken.
    #[must_use]
    pub fn describe(&self) -> Vec<u8> {
        let channels = if self.allows_channels {
            self.channels()
        } else {
            [b"resetchannels ".as_slice(), &self.channels()].concat()
        };
        let parts = [self.keys(), channels.trim_ascii_end().to_vec(), self.commands().into_bytes()];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(&b' ')
    }
}

/// The command that a rule names, as `get`, `config|get`, or `select|0` for one with its first argument.
fn target_named(name: &[u8], is_allowed: bool) -> Result<Target, BadRule> {
    let (container, rest) = match name.iter().position(|&byte| byte == b'|') {
        None => (name, None),
        Some(bar) => (&name[..bar], Some(&name[bar + 1..])),
    };
    let command = commands::named(container).ok_or(BadRule::Unknown)?;
    let Some(rest) = rest else { return Ok(Target::Command(command.name)) };
    if let Some(sub) = Command::find(command.subcommands, rest) {
        return Ok(Target::Command(sub.name));
    }
    if !is_allowed || rest.is_empty() {
        return Err(if rest.is_empty() { BadRule::Malformed } else { BadRule::Unknown });
    }
    if let Some(bar) = rest.iter().position(|&byte| byte == b'|') {
        let is_subcommand = Command::find(command.subcommands, &rest[..bar]).is_some();
        return Err(if is_subcommand { BadRule::DeepArgument } else { BadRule::Unknown });
    }
    if !command.subcommands.is_empty() {
        return Err(BadRule::Unknown);
    }
    let first = String::from_utf8(rest.to_vec()).map_err(|_| BadRule::Malformed)?;
    Ok(Target::Argument(command.name, first))
}

/// The channels of a request that have to be allowed, and whether they are patterns of channels.
fn channels_of<'a>(command: &Command, args: Args<'a>) -> (impl Iterator<Item = &'a [u8]> + use<'a>, bool) {
    let count = match command.name {
        "publish" | "spublish" => 1,
        "subscribe" | "psubscribe" | "ssubscribe" => usize::MAX,
        _ => 0,
    };
    (args.from(1).take(count), command.name == "psubscribe")
}

fn has_space(pattern: &[u8]) -> bool {
    pattern.iter().any(|byte| byte.is_ascii_whitespace() || *byte == 0)
}
