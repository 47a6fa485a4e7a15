//! The `key=value` words of a script: what a message says, and what is looked for in one. Knows the
//! values' types, not who stands behind a name.

use slotbus_core::{CLUSTER_SLOTS, ClusterState, Flags, Host, NodeId, Slot, SlotSet, message::MessageFlags};

use super::peer::Via;

/// What the server, a peer or one message says, or what is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// `current=3`: the header's current epoch.
    Current(u64),
    /// `epoch=3`: the header's config epoch.
    Epoch(u64),
    /// `offset=3`: the header's replication offset.
    Offset(u64),
    /// `slots=0-9,12`: the slots claimed in the header; `slots=none`.
    Slots(SlotSet<CLUSTER_SLOTS>),
    /// `of=b`: the primary named in the header; `of=none`.
    Of(Option<String>),
    /// `flags=primary,fail`: what the sender is. Where it is looked for, at least that.
    Flags(Flags),
    /// `state=ok`: the sender's view of the cluster.
    State(ClusterState),
    /// `mflags=paused,forceack`: what is special about the message.
    Mflags(MessageFlags),
    /// `as=b`: the sender's id is that of another one.
    As(String),
    /// `at=b`: the sender's ports are those of another one.
    At(String),
    /// `host=10.0.0.1`: the announced address.
    Host(Host),
    /// `about=b`: whom a FAIL or an UPDATE is about.
    About(String),
    /// `claim-epoch=3`: the epoch in an UPDATE.
    ClaimEpoch(u64),
    /// `claim-slots=0-9`: the slots in an UPDATE.
    ClaimSlots(SlotSet<CLUSTER_SLOTS>),
    /// `channel=news`: of a published message.
    Channel(String),
    /// `payload=hello`: of a published or a module's message.
    Payload(String),
    /// `gossip=b:fail,c`: what a heartbeat says of others. Where it is looked for, among others, and only that is shown.
    Gossip(Vec<Rumor>),
    /// `hostname=x.example`: a ping extension.
    Hostname(String),
    /// `extension=9:0011223344556677`: a ping extension of any kind.
    Extension {
        /// Its code.
        kind: u16,
        /// Its payload.
        payload: Vec<u8>,
    },
    /// `via=theirs`: on the connection that the server opened.
    Via(Via),
    /// `patch=8:0002`: these bytes of the packet are overwritten.
    Patch {
        /// The first one's place.
        at: usize,
        /// The new ones.
        bytes: Vec<u8>,
    },
    /// `extend=8`: so many NULs more, which the packet's length counts.
    Extend(usize),
    /// `length=8`: the packet claims this length.
    Length(u32),
    /// `silent=b`: a heartbeat that does not mention somebody, where it is looked for.
    Silent(String),
    /// `show=state`: what the transcript shows besides what it always shows.
    Show(Vec<Shown>),
}

/// What a transcript shows of a message if it is asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// The sender's view of the cluster.
    State,
    /// The sender's offset.
    Offset,
    /// All gossip, sorted.
    Gossip,
    /// The ping extensions.
    Extensions,
    /// The announced address.
    Address,
}

/// What a heartbeat says of another node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rumor {
    /// Of whom.
    pub name: String,
    /// Whose address it is said to have; its own if nobody's.
    pub at: Option<String>,
    /// What it is said to be.
    pub flags: Flags,
}

const FLAGS: [(&str, Flags); 10] = [
    ("primary", Flags::PRIMARY),
    ("replica", Flags::REPLICA),
    ("pfail", Flags::PFAIL),
    ("fail", Flags::FAIL),
    ("myself", Flags::MYSELF),
    ("handshake", Flags::HANDSHAKE),
    ("noaddr", Flags::NOADDR),
    ("meet", Flags::MEET),
    ("migrate_to", Flags::MIGRATE_TO),
    ("nofailover", Flags::NOFAILOVER),
];

const MFLAGS: [(&str, MessageFlags); 3] =
    [("paused", MessageFlags::PAUSED), ("forceack", MessageFlags::FORCEACK), ("extensions", MessageFlags::EXTENSIONS)];

impl Field {
    /// Reads one word.
    pub fn parse(word: &str) -> Result<Self, String> {
        let (key, value) = word.split_once('=').ok_or_else(|| format!("{word} is no key=value"))?;
        let name = || Ok(value.to_owned());
        match key {
            "current" => number(value).map(Self::Current),
            "epoch" => number(value).map(Self::Epoch),
            "offset" => number(value).map(Self::Offset),
            "slots" => slots(value).map(Self::Slots),
            "of" => Ok(Self::Of((value != "none").then(|| value.to_owned()))),
            "flags" => flags(value, ',').map(Self::Flags),
            "state" => state(value).map(Self::State),
            "mflags" => mflags(value).map(Self::Mflags),
            "as" => name().map(Self::As),
            "at" => name().map(Self::At),
            "host" => Ok(Self::Host(value.parse().unwrap_or_default())),
            "about" => name().map(Self::About),
            "claim-epoch" => number(value).map(Self::ClaimEpoch),
            "claim-slots" => slots(value).map(Self::ClaimSlots),
            "channel" => name().map(Self::Channel),
            "payload" => name().map(Self::Payload),
            "gossip" => rumors(value).map(Self::Gossip),
            "hostname" => name().map(Self::Hostname),
            "extension" => numbered_bytes(value).map(|(kind, payload)| Self::Extension { kind, payload }),
            "via" => via(value).map(Self::Via),
            "patch" => numbered_bytes(value).map(|(at, bytes)| Self::Patch { at: usize::from(at), bytes }),
            "extend" => number::<u16>(value).map(|count| Self::Extend(count.into())),
            "length" => number(value).map(Self::Length),
            "silent" => name().map(Self::Silent),
            "show" => value.split(',').map(shown).collect::<Result<_, _>>().map(Self::Show),
            _ => Err(format!("there is no {key}=")),
        }
    }
}

/// A number in the range of its type.
pub fn number<T: TryFrom<u64>>(text: &str) -> Result<T, String> {
    let number = text.parse::<u64>().map_err(|_| format!("{text} is no number"))?;
    T::try_from(number).map_err(|_| format!("{text} is too large"))
}

/// `0-9,12` or `none`.
pub fn slots(text: &str) -> Result<SlotSet<CLUSTER_SLOTS>, String> {
    let mut set = SlotSet::new();
    if text == "none" {
        return Ok(set);
    }
    for run in text.split(',') {
        let (start, end) = run.split_once('-').unwrap_or((run, run));
        let (start, end) = (number::<u16>(start)?, number::<u16>(end)?);
        if start > end || usize::from(end) >= CLUSTER_SLOTS {
            return Err(format!("{run} is no run of slots"));
        }
        (start..=end).for_each(|slot| {
            set.insert(Slot(slot));
        });
    }
    Ok(set)
}

/// Words of flags, or `none`.
pub fn flags(text: &str, separator: char) -> Result<Flags, String> {
    words(text, separator, &FLAGS).map(|flags| flags.into_iter().collect())
}

fn mflags(text: &str) -> Result<MessageFlags, String> {
    words(text, ',', &MFLAGS).map(|flags| flags.into_iter().collect())
}

fn words<T: Copy>(text: &str, separator: char, table: &[(&str, T)]) -> Result<Vec<T>, String> {
    let named = text.split(separator).filter(|word| *word != "none");
    named
        .map(|word| {
            let found = table.iter().find(|(name, _)| *name == word);
            found.map(|(_, value)| *value).ok_or_else(|| format!("there is no flag {word}"))
        })
        .collect()
}

/// The words of flags; what has no word is shown as a number.
#[must_use]
pub fn flag_words(flags: Flags) -> String {
    let known = FLAGS.iter().filter(|(_, flag)| flags.contains(*flag)).map(|(word, _)| (*word).to_owned());
    let rest = flags - FLAGS.iter().map(|(_, flag)| *flag).collect::<Flags>();
    joined(known, rest.bits())
}

/// The words of a message's flags.
#[must_use]
pub fn mflag_words(flags: MessageFlags) -> String {
    let known = MFLAGS.iter().filter(|(_, flag)| flags.contains(*flag)).map(|(word, _)| (*word).to_owned());
    let rest = flags - MFLAGS.iter().map(|(_, flag)| *flag).collect::<MessageFlags>();
    joined(known, rest.bits().into())
}

fn joined(known: impl Iterator<Item = String>, rest: u16) -> String {
    let mut words: Vec<_> = known.collect();
    if rest != 0 {
        words.push(rest.to_string());
    }
    if words.is_empty() { "none".to_owned() } else { words.join(",") }
}

fn state(text: &str) -> Result<ClusterState, String> {
    match text {
        "ok" => Ok(ClusterState::Ok),
        "fail" => Ok(ClusterState::Fail),
        _ => Err(format!("{text} is no state of a cluster")),
    }
}

/// `own` or `theirs`.
pub fn via(text: &str) -> Result<Via, String> {
    match text {
        "own" => Ok(Via::Own),
        "theirs" => Ok(Via::Theirs),
        _ => Err(format!("a connection is own or theirs, not {text}")),
    }
}

fn shown(text: &str) -> Result<Shown, String> {
    match text {
        "state" => Ok(Shown::State),
        "offset" => Ok(Shown::Offset),
        "gossip" => Ok(Shown::Gossip),
        "extensions" => Ok(Shown::Extensions),
        "address" => Ok(Shown::Address),
        _ => Err(format!("cannot show {text}")),
    }
}

/// `b:fail,c@d:replica+pfail`, or `none`.
pub fn rumors(text: &str) -> Result<Vec<Rumor>, String> {
    text.split(',').filter(|rumor| *rumor != "none").map(rumor).collect()
}

fn rumor(text: &str) -> Result<Rumor, String> {
    let (who, what) = text.split_once(':').unwrap_or((text, "none"));
    let (name, at) = who.split_once('@').map_or((who, None), |(name, at)| (name, Some(at.to_owned())));
    Ok(Rumor { name: name.to_owned(), at, flags: flags(what, '+')? })
}

fn numbered_bytes(text: &str) -> Result<(u16, Vec<u8>), String> {
    let (place, digits) = text.split_once(':').ok_or_else(|| format!("{text} is no number:bytes"))?;
    Ok((number(place)?, hex(digits)?))
}

/// Bytes as pairs of hex digits.
pub fn hex(digits: &str) -> Result<Vec<u8>, String> {
    let bad = || format!("{digits} are no pairs of hex digits");
    if !digits.len().is_multiple_of(2) || !digits.is_ascii() {
        return Err(bad());
    }
    let pairs = (0..digits.len() / 2).map(|index| &digits[2 * index..2 * index + 2]);
    pairs.map(|pair| u8::from_str_radix(pair, 16).map_err(|_| bad())).collect()
}

/// The id that repeats `digits` up to its length.
pub fn id(digits: &str) -> Result<NodeId, String> {
    let text: String = digits.chars().cycle().take(NodeId::TEXT_LEN).collect();
    text.parse().map_err(|_| format!("{digits} is no part of an id: {}", slotbus_core::ids::BadNodeId))
}
