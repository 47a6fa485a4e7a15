//! nodes.conf as a value. A file may have been cut short, edited by hand, or written by a later
//! version; nothing in it is believed unread.

use super::{CURRENT_EPOCH, Durable, FLAG_WORDS, LAST_VOTE_EPOCH, NO_FLAGS, VARS};
use crate::{
    names,
    words::{self, UnbalancedQuotes},
};
use slotbus_core::{Address, CLUSTER_SLOTS, Flags, Host, Millis, NodeId, NodeView, Slot, SlotSet};
use std::{error, fmt, str::FromStr};

/// How far a node's bus port is from its client port where a line does not say.
const BUS_PORT_OFFSET: u16 = 10000;
/// Words of a node's line before its slots.
const FIXED_WORDS: usize = 8;
/// As much of an offending word is shown.
const SHOWN_MAX: usize = 60;

/// Why the text is not a usable nodes.conf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodesConfError {
    /// There is no text at all: the node has not been configured yet.
    Empty,
    /// One line is wrong.
    Line {
        /// Which one, counted from 1.
        number: usize,
        /// What is wrong with it.
        fault: Fault,
    },
    /// No line has the flag `myself`.
    NoMyself,
}

/// What is wrong with a line of nodes.conf. The words are the offending ones, escaped and shortened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The file ends within the line.
    CutShort,
    /// A quoted word does not end.
    Quotes,
    /// A node's line has fewer than eight words.
    TooFewWords(usize),
    /// The variables are not pairs of a name and a value.
    UnpairedVariable,
    /// Not a number, or too large.
    Number(String),
    /// Not 40 lowercase hex digits.
    NodeId(String),
    /// Not an address with its ports.
    Address(String),
    /// Not a name that a node may announce.
    Hostname(String),
    /// Not one of the words for flags.
    Flag(String),
    /// Neither `connected` nor `disconnected`.
    LinkState(String),
    /// Not a slot, a range of slots, or a slot on the move.
    Slots(String),
    /// The node has a line already.
    RepeatedNode(NodeId),
    /// Another node is `myself` already.
    SecondMyself,
}

impl fmt::Display for NodesConfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the file is empty"),
            Self::Line { number, fault } => write!(f, "line {number}: {fault}"),
            Self::NoMyself => f.write_str("no node is flagged as myself"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CutShort => f.write_str("the file ends within this line"),
            Self::Quotes => UnbalancedQuotes.fmt(f),
            Self::TooFewWords(count) => write!(f, "a node takes at least {FIXED_WORDS} words, here are {count}"),
            Self::UnpairedVariable => f.write_str("a variable has no value"),
            Self::Number(word) => write!(f, "'{word}' is no number of 64 bits"),
            Self::NodeId(word) => write!(f, "'{word}' is no node id: those are 40 lowercase hex digits"),
            Self::Address(word) => write!(f, "'{word}' is no address: those look like ip:port@bus-port"),
            Self::Hostname(word) => write!(f, "'{word}' is no host name"),
            Self::Flag(word) => write!(f, "'{word}' is no flag of a node"),
            Self::LinkState(word) => write!(f, "'{word}' is no state of a link"),
            Self::Slots(word) => write!(f, "'{word}' names no slots below {CLUSTER_SLOTS}"),
            Self::RepeatedNode(id) => write!(f, "node {id} has a line already"),
            Self::SecondMyself => f.write_str("another node is flagged as myself already"),
        }
    }
}

impl error::Error for NodesConfError {}

/// Reads the content of nodes.conf.
///
/// As for redis-server, a slot that several nodes own is the first one's, a missing `vars` line
/// counts as zeros, and unknown variables are passed over. Unlike it, this refuses a last line that
/// does not end: half a line can look like a whole one that says something else.
pub fn parse(text: &[u8]) -> Result<Durable, NodesConfError> {
    if text.is_empty() {
        return Err(NodesConfError::Empty);
    }
    let mut reader = Reader { durable: Durable::default(), taken: SlotSet::new() };
    let lines: Vec<&[u8]> = text.split(|&byte| byte == b'\n').collect();
    for (index, line) in lines.iter().enumerate() {
        // What a file system left unwritten reads as NULs.
        let is_blank = line.is_empty() || line[0] == 0;
        let is_cut_short = index + 1 == lines.len();
        let read = match (is_blank, is_cut_short) {
            (true, _) => Ok(()),
            (false, true) => Err(Fault::CutShort),
            (false, false) => reader.line(line),
        };
        read.map_err(|fault| NodesConfError::Line { number: index + 1, fault })?;
    }
    if reader.has_myself() { Ok(reader.durable) } else { Err(NodesConfError::NoMyself) }
}

/// What has been read so far.
struct Reader {
    durable: Durable,
    /// Slots that have an owner.
    taken: SlotSet<CLUSTER_SLOTS>,
}

impl Reader {
    fn has_myself(&self) -> bool {
        self.durable.nodes.iter().any(|node| node.flags.contains(Flags::MYSELF))
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Fault> {
        let words = words::split(line).map_err(|UnbalancedQuotes| Fault::Quotes)?;
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        match words.as_slice() {
            [] => Ok(()),
            [name, variables @ ..] if name.eq_ignore_ascii_case(VARS.as_bytes()) => self.variables(variables),
            _ => self.node(&words),
        }
    }

    fn variables(&mut self, words: &[&[u8]]) -> Result<(), Fault> {
        let (pairs, rest) = words.as_chunks();
        if !rest.is_empty() {
            return Err(Fault::UnpairedVariable);
        }
        for [name, value] in pairs {
            if name.eq_ignore_ascii_case(CURRENT_EPOCH.as_bytes()) {
                self.durable.current_epoch = number(value)?;
            } else if name.eq_ignore_ascii_case(LAST_VOTE_EPOCH.as_bytes()) {
                self.durable.last_vote_epoch = number(value)?;
            }
        }
        Ok(())
    }

    fn node(&mut self, words: &[&[u8]]) -> Result<(), Fault> {
        let Some(([id, address, flags, primary, ping, pong, epoch, link], items)) =
            words.split_first_chunk::<FIXED_WORDS>()
        else {
            return Err(Fault::TooFewWords(words.len()));
        };
        let id = node_id(id)?;
        let (address, hostname) = address_field(address)?;
        let flags = flag_words(flags)?;
        self.check_new(id, flags)?;
        let mut view = NodeView {
            id,
            address,
            hostname,
            flags,
            primary: if *primary == b"-" { None } else { Some(node_id(primary)?) },
            ping_sent: instant(ping)?,
            pong_received: instant(pong)?,
            config_epoch: number(epoch)?,
            connected: link_state(link)?,
            slots: SlotSet::new(),
        };
        for item in items {
            self.slots_item(item, &mut view.slots)?;
        }
        self.durable.nodes.push(view);
        Ok(())
    }

    fn check_new(&self, id: NodeId, flags: Flags) -> Result<(), Fault> {
        if self.durable.nodes.iter().any(|node| node.id == id) {
            return Err(Fault::RepeatedNode(id));
        }
        if flags.contains(Flags::MYSELF) && self.has_myself() {
            return Err(Fault::SecondMyself);
        }
        Ok(())
    }

    /// One of `7`, `7-9`, `[7->-id]`, `[7-<-id]`.
    fn slots_item(&mut self, item: &[u8], owned: &mut SlotSet<CLUSTER_SLOTS>) -> Result<(), Fault> {
        let bad = || Fault::Slots(shown(item));
        let text = str::from_utf8(item).map_err(|_| bad())?;
        if let Some(text) = text.strip_prefix('[') {
            let text = text.strip_suffix(']').ok_or_else(bad)?;
            let (moves, slot, id) = match (text.split_once("->-"), text.split_once("-<-")) {
                (Some((slot, id)), _) => (&mut self.durable.migrating, slot, id),
                (None, Some((slot, id))) => (&mut self.durable.importing, slot, id),
                (None, None) => return Err(bad()),
            };
            moves.insert(slot_number(slot).ok_or_else(bad)?, node_id(id.as_bytes())?);
            return Ok(());
        }
        let (start, end) = text.split_once('-').unwrap_or((text, text));
        let (Some(Slot(start)), Some(Slot(end))) = (slot_number(start), slot_number(end)) else { return Err(bad()) };
        if start > end {
            return Err(bad());
        }
        let free = SlotSet::range(start, end).without(&self.taken);
        self.taken.insert_all(&free);
        owned.insert_all(&free);
        Ok(())
    }
}

/// `ip:port[@cport]`, then a host name, then what later versions add as `name=value`.
fn address_field(word: &[u8]) -> Result<(Address, Box<str>), Fault> {
    let bad = || Fault::Address(shown(word));
    let text = str::from_utf8(word).map_err(|_| bad())?;
    let mut parts = text.split(',');
    let address = parts.next().and_then(address).ok_or_else(bad)?;
    let mut hostname = "";
    for (index, part) in parts.enumerate() {
        let is_addition = part.contains('=');
        if index == 0 && !is_addition {
            hostname = part;
        } else if !is_addition {
            return Err(bad());
        }
    }
    if !names::is_hostname(hostname) {
        return Err(Fault::Hostname(shown(hostname.as_bytes())));
    }
    Ok((address, hostname.into()))
}

fn address(text: &str) -> Option<Address> {
    let (host, ports) = text.rsplit_once(':')?;
    let host: Host = names::host(host)?;
    let (port, cport) = match ports.split_once('@') {
        Some((port, cport)) => (digits(port)?, digits(cport)?),
        None => {
            let port: u16 = digits(ports)?;
            (port, port.checked_add(BUS_PORT_OFFSET)?)
        }
    };
    Some(Address { host, port, cport, pport: 0 })
}

fn flag_words(words: &[u8]) -> Result<Flags, Fault> {
    let flag = |word: &[u8]| {
        let is_word = |known: &str| word.eq_ignore_ascii_case(known.as_bytes());
        let known = FLAG_WORDS.iter().find(|(_, known)| is_word(known)).map(|(flag, _)| *flag);
        let none = is_word(NO_FLAGS).then_some(Flags::empty());
        known.or(none).ok_or_else(|| Fault::Flag(shown(word)))
    };
    words.split(|&byte| byte == b',').map(flag).collect()
}

fn link_state(word: &[u8]) -> Result<bool, Fault> {
    match word {
        b"connected" => Ok(true),
        b"disconnected" => Ok(false),
        _ => Err(Fault::LinkState(shown(word))),
    }
}

fn node_id(word: &[u8]) -> Result<NodeId, Fault> {
    NodeId::from_text(word).map_err(|_| Fault::NodeId(shown(word)))
}

/// 0 stands for never.
fn instant(word: &[u8]) -> Result<Option<Millis>, Fault> {
    number(word).map(|ms| (ms > 0).then_some(Millis(ms)))
}

fn number(word: &[u8]) -> Result<u64, Fault> {
    let value = str::from_utf8(word).ok().and_then(digits);
    value.ok_or_else(|| Fault::Number(shown(word)))
}

fn slot_number(text: &str) -> Option<Slot> {
    digits(text).map(Slot).filter(|slot| slot.index() < CLUSTER_SLOTS)
}

/// A number of digits alone: no sign, no spaces.
fn digits<T: FromStr>(text: &str) -> Option<T> {
    let is_all_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if is_all_digits { text.parse().ok() } else { None }
}

fn shown(word: &[u8]) -> String {
    word[..word.len().min(SHOWN_MAX)].escape_ascii().to_string()
}
