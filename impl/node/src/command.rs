//! Owns what a command is: its name, its shape, its keys, and how a name is looked up.
//!
//! Must not know what any command does: the table is in `commands`.

use crate::{client::Session, server::Server};
use bitflags::bitflags;
use slotbus_wire::resp::{Args, Reply};
use std::fmt;

bitflags! {
    /// What holds for a command, in the order in which COMMAND shows it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Traits: u32 {
        /// Changes keys.
        const WRITE = 1;
        /// Reads keys.
        const READONLY = 1 << 1;
        /// Needs memory.
        const DENYOOM = 1 << 2;
        /// For administrators.
        const ADMIN = 1 << 3;
        /// Not for scripts.
        const NOSCRIPT = 1 << 4;
        /// Answered while data are loaded.
        const LOADING = 1 << 5;
        /// Answered by a replica that has lost its primary.
        const STALE = 1 << 6;
        /// Not in the slow log.
        const SKIP_SLOWLOG = 1 << 7;
        /// Takes constant or logarithmic time.
        const FAST = 1 << 8;
        /// Answered before the password was shown.
        const NO_AUTH = 1 << 9;
        /// Refused while data are loaded in the background.
        const NO_ASYNC_LOADING = 1 << 10;
        /// Not within a transaction.
        const NO_MULTI = 1 << 11;
        /// Answered while a script hangs.
        const ALLOW_BUSY = 1 << 12;
        /// About channels.
        const PUBSUB = 1 << 13;
        /// As if ASKING came before it.
        const ASKING = 1 << 14;
        /// Its keys may stand elsewhere than the table says.
        const MOVABLE_KEYS = 1 << 15;
        /// May reach other nodes, though it changes no key: it waits where writes wait.
        const MAY_REPLICATE = 1 << 16;
    }

    /// What a command belongs to, beyond what follows from its traits.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Groups: u8 {
        /// Keys of any kind.
        const KEYSPACE = 1;
        /// Strings.
        const STRING = 1 << 1;
        /// The connection.
        const CONNECTION = 1 << 2;
        /// Transactions.
        const TRANSACTION = 1 << 3;
        /// Can do harm, though not for administrators only.
        const DANGEROUS = 1 << 4;
        /// Counts as administration, though it lacks the trait.
        const ADMIN = 1 << 5;
    }
}

/// Where a command's keys stand among its arguments, from 1; none if `first` is 0. A negative `last`
/// counts from the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// The first key.
    pub first: usize,
    /// The last key.
    pub last: i32,
    /// From one key to the next.
    pub step: usize,
    /// Whether the keys may be listed behind an option KEYS instead.
    pub may_be_listed: bool,
}

/// Where the keys behind MIGRATE's option KEYS begin. What follows AUTH and AUTH2 is no option.
#[must_use]
pub fn keys_option(args: Args<'_>) -> Option<usize> {
    const FIRST: usize = 6;
    let mut at = FIRST;
    while let Some(option) = args.get(at) {
        at += match option.to_ascii_lowercase().as_slice() {
            b"keys" => return Some(at + 1),
            b"auth" => 2,
            b"auth2" => 3,
            _ => 1,
        };
    }
    None
}

impl Keys {
    /// The keys of a request.
    pub fn of<'a>(self, args: Args<'a>) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        if let Some(start) = keys_option(args).filter(|_| self.may_be_listed && args.at(self.first).is_empty()) {
            return Self::between(args, start, args.len(), 1);
        }
        let last = match usize::try_from(self.last) {
            Ok(last) => last,
            Err(_) => args.len().saturating_sub(usize::try_from(self.last.unsigned_abs()).unwrap_or(usize::MAX)),
        };
        let end = if self.first == 0 { 0 } else { args.len().min(last + 1) };
        Self::between(args, self.first, end, self.step.max(1))
    }

    fn between<'a>(
        args: Args<'a>,
        start: usize,
        end: usize,
        step: usize,
    ) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        (start..end).step_by(step).map(move |index| args.at(index))
    }
}

/// Carries a command out and answers it.
pub type Run = for<'e> fn(&'e mut Server, &mut Session, Args<'e>) -> Reply<'e>;

/// One command, or one subcommand.
#[derive(Clone, Copy)]
pub struct Command {
    /// Its name; a subcommand's begins with its container's, as in `config|get`.
    pub name: &'static str,
    /// The last part of the name: what stands in a request.
    pub short_name: &'static str,
    /// How many arguments it takes, its name included; negative for at least so many.
    pub arity: i32,
    /// What holds for it.
    pub traits: Traits,
    /// What it belongs to.
    pub groups: Groups,
    /// Where its keys are.
    pub keys: Keys,
    /// What it does with its keys, as COMMAND shows it.
    pub key_flags: &'static [&'static str],
    /// Advice for clients and proxies.
    pub tips: &'static [&'static str],
    /// The first version of redis-server that had it.
    pub since: &'static str,
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// Carries it out. A container's own is asked only for what its subcommands do not match.
    pub run: Run,
    /// Its subcommands, by name.
    pub subcommands: &'static [Command],
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Command({})", self.name)
    }
}

impl Command {
    /// A command without keys.
    #[must_use]
    pub const fn new(name: &'static str, arity: i32, traits: Traits, run: Run) -> Self {
        Self {
            name,
            short_name: last_part(name),
            arity,
            traits,
            groups: Groups::empty(),
            keys: Keys { first: 0, last: 0, step: 0, may_be_listed: false },
            key_flags: &[],
            tips: &[],
            since: "1.0.0",
            summary: "",
            run,
            subcommands: &[],
        }
    }

    /// Says where the keys are, and what the command does with them.
    #[must_use]
    pub const fn keys(mut self, first: usize, last: i32, step: usize, flags: &'static [&'static str]) -> Self {
        self.keys = Keys { first, last, step, may_be_listed: self.traits.contains(Traits::MOVABLE_KEYS) };
        self.key_flags = flags;
        self
    }

    /// Says what the command belongs to.
    #[must_use]
    pub const fn groups(mut self, groups: Groups) -> Self {
        self.groups = groups;
        self
    }

    /// Gives advice.
    #[must_use]
    pub const fn tips(mut self, tips: &'static [&'static str]) -> Self {
        self.tips = tips;
        self
    }

    /// Says since when there is the command, and what it does.
    #[must_use]
    pub const fn about(mut self, since: &'static str, summary: &'static str) -> Self {
        self.since = since;
        self.summary = summary;
        self
    }

    /// Gives the command subcommands.
    #[must_use]
    pub const fn subcommands(mut self, subcommands: &'static [Self]) -> Self {
        self.subcommands = subcommands;
        self
    }

    /// Whether a request may have so many arguments.
    #[must_use]
    pub fn takes(&self, count: usize) -> bool {
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        if self.arity < 0 { count >= -self.arity } else { count == self.arity }
    }

    /// The group that COMMAND DOCS names.
    #[must_use]
    pub fn group(&self) -> &'static str {
        match self.name.split('|').next() {
            Some("cluster" | "asking" | "readonly" | "readwrite") => "cluster",
            _ if self.groups.contains(Groups::STRING) => "string",
            _ if self.groups.contains(Groups::TRANSACTION) => "transactions",
            Some("auth" | "client" | "echo" | "hello" | "ping" | "quit" | "reset" | "select") => "connection",
            Some("command" | "config" | "dbsize" | "flushall" | "flushdb" | "info" | "role" | "shutdown" | "time") => {
                "server"
            }
            _ if self.traits.contains(Traits::PUBSUB) => "pubsub",
            Some("pubsub") => "pubsub",
            _ => "generic",
        }
    }

    /// The command of this name in a table that is sorted by name.
    #[must_use]
    pub fn find<'c>(table: &'c [Self], name: &[u8]) -> Option<&'c Self> {
        const NAME_MAX: usize = 32;
        let mut lower = [0; NAME_MAX];
        let lower = lower.get_mut(..name.len())?;
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        let lower = &*lower;
        table.binary_search_by(|command| command.short_name.as_bytes().cmp(lower)).ok().map(|index| &table[index])
    }
}

/// What follows the bar in a name, or all of it.
const fn last_part(name: &'static str) -> &'static str {
    let bytes = name.as_bytes();
    let mut start = bytes.len();
    while start > 0 && bytes[start - 1] != b'|' {
        start -= 1;
    }
    name.split_at(start).1
}
