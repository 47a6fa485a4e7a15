//! Owns what a command is: its name, its shape, its keys, and how a name is looked up.
//!
//! Must not know what any command does: the table is in `commands`.

use crate::{client::Session, server::Server, store::Store, waiters::Waiting};
use bitflags::bitflags;
use slotbus_wire::resp::{Args, Reply, parse_i64};
use std::{fmt, ops::Range};

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
        /// May reach other nodes, though it is no write: it waits where writes wait.
        const MAY_REPLICATE = 1 << 16;
        /// May have its client wait.
        const BLOCKING = 1 << 17;
        /// Not shown to who watches every request as others are.
        const SKIP_MONITOR = 1 << 18;
        /// It has places for keys, and needs none.
        const NO_MANDATORY_KEYS = 1 << 19;
    }

    /// What a command belongs to, beyond what follows from its traits.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Groups: u16 {
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
        /// Hashes.
        const HASH = 1 << 6;
        /// Lists.
        const LIST = 1 << 7;
        /// Sets.
        const SET = 1 << 8;
        /// Sorted sets.
        const SORTED_SET = 1 << 9;
        /// Bits of strings.
        const BITMAP = 1 << 10;
        /// Scripts.
        const SCRIPTING = 1 << 11;
        /// Estimates of how many elements there were.
        const HYPERLOGLOG = 1 << 12;
        /// Streams.
        const STREAM = 1 << 13;
        /// Places on the earth.
        const GEO = 1 << 14;
    }
}

/// Where keys stand among the arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// From one index to another, in steps. A negative end counts from the last argument.
    Range {
        /// The first key.
        first: usize,
        /// The last key.
        last: i32,
        /// From one key to the next.
        step: usize,
    },
    /// Behind their number.
    Counted {
        /// The index of the number.
        at: usize,
    },
    /// Behind the word KEYS, which MIGRATE may have.
    Listed,
    /// Behind the word STREAMS, with as many ids behind them.
    Streams {
        /// The word is looked for from this index on.
        from: usize,
    },
    /// One key behind the first of these words from some argument on, if there is one: a target of GEORADIUS.
    Option {
        /// The word, in any case.
        word: &'static str,
        /// The first argument that may be it.
        from: usize,
    },
    /// In a place that this table cannot tell.
    Hidden,
}

/// Some of a command's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys {
    /// Where they are.
    pub place: Place,
    /// What the command does with them, as COMMAND shows it.
    pub flags: &'static [&'static str],
    /// A remark, as COMMAND shows it.
    pub note: &'static str,
    /// What it does with them if some options are not given.
    pub plain: Option<Plain>,
}

/// What a command does with keys when none of some options is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plain {
    /// The options ...
    pub options: &'static [&'static str],
    /// ... which are looked for from this argument on.
    pub from: usize,
    /// What it does then, in the words of COMMAND.
    pub flags: &'static [&'static str],
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

/// Where the keys behind the word STREAMS are: half of all that follows it. The word is looked for from an index on, but
/// not in the last place; else by the way through the options.
fn streams_option(args: Args<'_>, from: usize) -> Option<Range<usize>> {
    let is = |at: usize, word: &[u8]| args.at(at).eq_ignore_ascii_case(word);
    let half = |first: usize| first..first + args.len().saturating_sub(first) / 2;
    let found = (from..args.len().saturating_sub(1)).find(|&at| is(at, b"streams")).map(|at| half(at + 1));
    if let Some(keys) = found.filter(|keys| !keys.is_empty()) {
        return Some(keys);
    }
    let mut at = 1;
    while at < args.len() && !is(at, b"streams") {
        at += match args.at(at).to_ascii_lowercase().as_slice() {
            b"block" | b"count" => 2,
            b"group" => 3,
            b"noack" => 1,
            _ => return None,
        };
    }
    Some(half(at + 1)).filter(|keys| !keys.is_empty() && args.len() - keys.start == 2 * keys.len())
}

/// Where the target of SORT's option STORE stands: the last one holds. What belongs to other options is none.
fn store_option(args: Args<'_>) -> Option<usize> {
    let (mut at, mut found) = (2, None);
    while let Some(option) = args.get(at) {
        at += match option.to_ascii_lowercase().as_slice() {
            b"limit" => 3,
            b"get" | b"by" => 2,
            b"store" if at + 1 < args.len() => {
                found = Some(at + 1);
                1
            }
            _ => 1,
        };
    }
    found
}

/// Where the target of GEORADIUS stands, which is behind the last option of either name. An option's name that is the
/// target of another one is none.
fn geo_target(args: Args<'_>) -> Option<usize> {
    const FIRST: usize = 5;
    let (mut at, mut found) = (FIRST, None);
    while at + 1 < args.len() {
        let option = args.at(at);
        if option.eq_ignore_ascii_case(b"store") || option.eq_ignore_ascii_case(b"storedist") {
            found = Some(at + 1);
            at += 1;
        }
        at += 1;
    }
    found
}

/// What keys are looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// To find the node that has them: those that the command will touch.
    Routing,
    /// To tell of them: those that the table describes.
    Telling,
}

impl Keys {
    /// Whether the first of these keys would stand behind the last argument.
    #[must_use]
    pub fn are_left_out(&self, args: Args<'_>) -> bool {
        matches!(self.place, Place::Range { first, .. } if first >= args.len())
    }

    /// What the command does with the keys in this request.
    fn flags_in(&self, args: Args<'_>) -> &'static [&'static str] {
        let lacks = |options: &[&str], from| {
            !args.from(from).any(|arg| options.iter().any(|option| arg.eq_ignore_ascii_case(option.as_bytes())))
        };
        self.plain.filter(|plain| lacks(plain.options, plain.from)).map_or(self.flags, |plain| plain.flags)
    }

    /// Where the keys of a request are, and the step from one to the next; none if it is malformed.
    fn find(&self, args: Args<'_>, purpose: Purpose) -> Option<(Range<usize>, usize)> {
        let one = |at: Option<usize>| Some((at.map_or(0..0, |at| at..at + 1), 1));
        match self.place {
            Place::Option { word, from } => {
                let is_word = |at: &usize| args.at(*at).eq_ignore_ascii_case(word.as_bytes());
                one(match purpose {
                    Purpose::Routing => geo_target(args).filter(|at| is_word(&(at - 1))),
                    Purpose::Telling => (from..args.len().saturating_sub(1)).find(is_word).map(|at| at + 1),
                })
            }
            Place::Range { first, last, step } => {
                let last = match usize::try_from(last) {
                    Ok(last) => last,
                    Err(_) => args.len().checked_sub(usize::try_from(last.unsigned_abs()).ok()?)?,
                };
                Some((first..args.len().min(last + 1), step))
            }
            Place::Counted { at } => {
                let count = parse_i64(args.at(at)).and_then(|count| usize::try_from(count).ok())?;
                let end = (at + 1).checked_add(count).filter(|&end| count > 0 && end <= args.len())?;
                Some((at + 1..end, 1))
            }
            Place::Listed => {
                let start = keys_option(args).filter(|_| args.at(3).is_empty());
                Some((start.unwrap_or(args.len())..args.len(), 1))
            }
            Place::Streams { from } => {
                let keys = streams_option(args, from)?;
                // Where ids are missing, the command itself says so, wherever the keys are.
                let is_told = purpose == Purpose::Telling || (args.len() - keys.start).is_multiple_of(2);
                Some((if is_told { keys } else { 0..0 }, 1))
            }
            Place::Hidden if self.flags.contains(&"OW") => one(store_option(args)),
            Place::Hidden => Some((0..0, 1)),
        }
    }
}

/// A reply, or one that says why there is none.
pub type Answer<'e> = Result<Reply<'e>, Reply<'static>>;

/// Carries out a command about anything.
pub type RunSession = for<'e> fn(&'e mut Server, &mut Session, Args<'e>) -> Reply<'e>;

/// Carries out a command about keys, and nothing but keys.
pub type RunData = for<'e> fn(&'e mut Store, Args<'e>) -> Answer<'e>;

/// Says what a command about keys waits for if it is not there yet.
pub type RunWaiting = fn(Args<'_>) -> Result<Waiting, Reply<'static>>;

/// How a command is carried out.
#[derive(Clone, Copy)]
pub enum Run {
    /// With everything that the node has.
    Session(RunSession),
    /// With the keys only.
    Data(RunData),
    /// With the keys only, now or later.
    Waiting(RunWaiting),
}

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
    pub keys: [Option<Keys>; 3],
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

/// No name is longer.
const NAME_MAX: usize = 32;

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Command({})", self.name)
    }
}

impl Command {
    /// A command about anything.
    #[must_use]
    pub const fn new(name: &'static str, arity: i32, traits: Traits, run: RunSession) -> Self {
        Self::of(name, arity, traits, Run::Session(run))
    }

    /// A command about keys only.
    #[must_use]
    pub const fn data(name: &'static str, arity: i32, traits: Traits, run: RunData) -> Self {
        Self::of(name, arity, traits, Run::Data(run))
    }

    /// A command about keys only, which may wait for them.
    #[must_use]
    pub const fn waiting(name: &'static str, arity: i32, traits: Traits, run: RunWaiting) -> Self {
        Self::of(name, arity, traits, Run::Waiting(run))
    }

    const fn of(name: &'static str, arity: i32, traits: Traits, run: Run) -> Self {
        Self {
            name,
            short_name: last_part(name),
            arity,
            traits,
            groups: Groups::empty(),
            keys: [None; 3],
            tips: &[],
            since: "1.0.0",
            summary: "",
            run,
            subcommands: &[],
        }
    }

    /// Says where keys are, and what the command does with them.
    #[must_use]
    pub const fn keys(self, first: usize, last: i32, step: usize, flags: &'static [&'static str]) -> Self {
        self.more_keys(Place::Range { first, last, step }, flags)
    }

    /// Says where the number of keys is that stands before them, and what the command does with them.
    #[must_use]
    pub const fn counted_keys(mut self, at: usize, flags: &'static [&'static str]) -> Self {
        self.traits = self.traits.union(Traits::MOVABLE_KEYS);
        self.more_keys(Place::Counted { at }, flags)
    }

    /// Says that keys may be listed behind an option, and what the command does with them.
    #[must_use]
    pub const fn listed_keys(mut self, flags: &'static [&'static str]) -> Self {
        self.traits = self.traits.union(Traits::MOVABLE_KEYS);
        self.more_keys(Place::Listed, flags)
    }

    /// Says that keys are behind the word STREAMS, which stands from an index on, and what the command does with them.
    #[must_use]
    pub const fn stream_keys(mut self, from: usize, flags: &'static [&'static str]) -> Self {
        self.traits = self.traits.union(Traits::MOVABLE_KEYS);
        self.more_keys(Place::Streams { from }, flags)
    }

    /// Says what the command does with keys in places that the table cannot tell.
    #[must_use]
    pub const fn hidden_keys(mut self, flags: &'static [&'static str]) -> Self {
        self.traits = self.traits.union(Traits::MOVABLE_KEYS);
        self.more_keys(Place::Hidden, flags)
    }

    /// Says that there may be a key behind a word from some argument on, and what the command does with it.
    #[must_use]
    pub const fn optional_key(mut self, word: &'static str, from: usize, flags: &'static [&'static str]) -> Self {
        self.traits = self.traits.union(Traits::MOVABLE_KEYS);
        self.more_keys(Place::Option { word, from }, flags)
    }

    const fn more_keys(mut self, place: Place, flags: &'static [&'static str]) -> Self {
        let index = self.keys_count();
        self.keys[index] = Some(Keys { place, flags, note: "", plain: None });
        self
    }

    const fn keys_count(&self) -> usize {
        let mut count = 0;
        while count < self.keys.len() && self.keys[count].is_some() {
            count += 1;
        }
        count
    }

    /// Adds a remark to the keys named last.
    #[must_use]
    pub const fn note(mut self, note: &'static str) -> Self {
        if let Some(keys) = &mut self.keys[self.keys_count() - 1] {
            keys.note = note;
        }
        self
    }

    /// Says what the command does with the keys named last if none of some options is among its arguments.
    #[must_use]
    pub const fn without(
        mut self,
        options: &'static [&'static str],
        from: usize,
        flags: &'static [&'static str],
    ) -> Self {
        if let Some(keys) = &mut self.keys[self.keys_count() - 1] {
            keys.plain = Some(Plain { options, from, flags });
        }
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

    /// Whether it is about keys at all.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        self.keys[0].is_some()
    }

    /// The keys that a request will touch; none if it is malformed.
    pub fn keys_of<'a>(&'static self, args: Args<'a>) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        self.keys_touched(args).map(|(key, _)| key)
    }

    /// The keys that a request will touch, each with what the command does with it; none if the request is malformed.
    pub fn keys_touched<'a>(
        &'static self,
        args: Args<'a>,
    ) -> impl Iterator<Item = (&'a [u8], &'static [&'static str])> + Clone + use<'a> {
        self.keys_for(args, Purpose::Routing)
    }

    /// The keys of a request as the table describes them, each with what the command does with it; none if the request
    /// is malformed. An option that is given twice may make them others than those that the request will touch.
    pub fn keys_with_flags<'a>(
        &'static self,
        args: Args<'a>,
    ) -> impl Iterator<Item = (&'a [u8], &'static [&'static str])> + Clone + use<'a> {
        self.keys_for(args, Purpose::Telling)
    }

    fn keys_for<'a>(
        &'static self,
        args: Args<'a>,
        purpose: Purpose,
    ) -> impl Iterator<Item = (&'a [u8], &'static [&'static str])> + Clone + use<'a> {
        let keys = self.keys.iter().flatten();
        let is_sound = keys.clone().all(|keys| keys.find(args, purpose).is_some());
        let places = keys
            .filter(move |_| is_sound)
            .filter_map(move |keys| Some((keys.find(args, purpose)?, keys.flags_in(args))));
        let indices =
            places.flat_map(|((range, step), flags)| range.step_by(step.max(1)).map(move |index| (index, flags)));
        // MIGRATE has an empty key where its keys are listed.
        let may_be_listed = self.keys[1].is_some_and(|keys| keys.place == Place::Listed);
        let is_listed = may_be_listed && args.at(3).is_empty() && keys_option(args).is_some();
        indices.skip(usize::from(is_listed)).map(move |(index, flags)| (args.at(index), flags))
    }

    /// The first run of keys in fixed places, as older clients want it: the first, the last, the step.
    #[must_use]
    pub fn fixed_keys(&self) -> (usize, i32, usize) {
        let mut run = (0, 0, 0);
        for keys in self.keys.iter().flatten() {
            let Place::Range { first, last, step } = keys.place else { break };
            let continues = i32::try_from(first).is_ok_and(|first| first == run.1 + 1);
            match run {
                (0, ..) => run = (first, last, step),
                _ if continues => run = (run.0, last, step),
                _ => break,
            }
        }
        run
    }

    /// The group that COMMAND DOCS names.
    #[must_use]
    pub fn group(&self) -> &'static str {
        match self.name.split('|').next() {
            Some("cluster" | "asking" | "readonly" | "readwrite") => "cluster",
            Some("sort" | "sort_ro") => "generic",
            _ if self.groups.contains(Groups::GEO) => "geo",
            _ if self.groups.contains(Groups::STRING) => "string",
            _ if self.groups.contains(Groups::BITMAP) => "bitmap",
            _ if self.groups.contains(Groups::HASH) => "hash",
            _ if self.groups.contains(Groups::LIST) => "list",
            _ if self.groups.contains(Groups::SET) => "set",
            _ if self.groups.contains(Groups::SORTED_SET) => "sorted-set",
            _ if self.groups.contains(Groups::HYPERLOGLOG) => "hyperloglog",
            _ if self.groups.contains(Groups::STREAM) => "stream",
            Some("xgroup" | "xinfo") => "stream",
            _ if self.groups.contains(Groups::TRANSACTION) => "transactions",
            _ if self.groups.contains(Groups::SCRIPTING) => "scripting",
            Some("script") => "scripting",
            Some("auth" | "client" | "echo" | "hello" | "ping" | "quit" | "reset" | "select") => "connection",
            Some(
                "acl" | "bgrewriteaof" | "bgsave" | "command" | "config" | "dbsize" | "flushall" | "flushdb" | "info"
                | "lastsave" | "memory" | "role" | "save" | "shutdown" | "time",
            ) => "server",
            _ if self.traits.contains(Traits::PUBSUB) => "pubsub",
            Some("pubsub") => "pubsub",
            _ => "generic",
        }
    }

    /// The key of a request that can have no other; none if it may have several, or none.
    #[must_use]
    pub fn sole_key<'a>(&self, args: Args<'a>) -> Option<&'a [u8]> {
        let [Some(Keys { place: Place::Range { first, last, .. }, .. }), None, None] = &self.keys else { return None };
        if usize::try_from(*last) == Ok(*first) { args.get(*first) } else { None }
    }

    /// The command of this name in a table that is sorted by name.
    #[must_use]
    pub fn find<'c>(table: &'c [Self], name: &[u8]) -> Option<&'c Self> {
        let mut lower = [0; NAME_MAX];
        let lower = lower.get_mut(..name.len())?;
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        let lower = &*lower;
        table.binary_search_by(|command| command.short_name.as_bytes().cmp(lower)).ok().map(|index| &table[index])
    }
}

/// The commands of a table, by name.
///
/// Every request is looked up here: a name is hashed once and compared once, as a rule.
#[derive(Debug)]
pub struct Index {
    places: Box<[Option<&'static Command>]>,
}

impl Index {
    /// The index of a table.
    #[must_use]
    pub fn of(table: &'static [Command]) -> Self {
        let mut index = Self { places: vec![None; (table.len() * 4).next_power_of_two()].into() };
        for command in table {
            let Some(mut place) = index.first_place(command.name.as_bytes()) else { continue };
            while index.places[place].is_some() {
                place = index.next_place(place);
            }
            index.places[place] = Some(command);
        }
        index
    }

    /// The command of this name, in any case.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<&'static Command> {
        let mut place = self.first_place(name)?;
        while let Some(command) = self.places[place] {
            if command.name.as_bytes().eq_ignore_ascii_case(name) {
                return Some(command);
            }
            place = self.next_place(place);
        }
        None
    }

    /// Where a name stands, or one of the same hash; none if it is too long for a name.
    fn first_place(&self, name: &[u8]) -> Option<usize> {
        const START: usize = 0x811c_9dc5;
        const FACTOR: usize = 0x0100_0193;
        if name.len() > NAME_MAX {
            return None;
        }
        // One bit tells capital letters from small ones.
        let hash = name.iter().fold(START, |hash, byte| (hash ^ usize::from(byte | 0x20)).wrapping_mul(FACTOR));
        Some((hash ^ hash >> 16) & (self.places.len() - 1))
    }

    /// Where the search goes on. There are free places, so it ends.
    fn next_place(&self, place: usize) -> usize {
        (place + 1) & (self.places.len() - 1)
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
