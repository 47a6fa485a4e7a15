//! Owns what is told about memory: MEMORY, and the figures behind its section of INFO.
//!
//! Must not free any.

use super::{help_of, object::entry, options::integer, syntax_error};
use crate::{bus::Bus, client::Session, command::Answer, server::Server, store::Store};
use slotbus_wire::resp::{Args, Reply};
use std::fs;

/// How much memory there is, and what takes it, in bytes; 0 where the system does not say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figures {
    /// What keys and values take.
    pub(super) used: usize,
    /// What the process holds.
    pub(super) resident: usize,
    /// The most that it has held.
    pub(super) peak: usize,
    /// What the machine has.
    pub(super) machine: usize,
}

impl Figures {
    pub(super) fn of(server: &Server) -> Self {
        Self {
            used: server.store.bytes(),
            resident: kilobytes_of("/proc/self/status", "VmRSS:") << 10,
            peak: kilobytes_of("/proc/self/status", "VmHWM:") << 10,
            machine: kilobytes_of("/proc/meminfo", "MemTotal:") << 10,
        }
    }
}

/// What a file of the system says behind a name.
fn kilobytes_of(file: &str, name: &str) -> usize {
    let text = fs::read_to_string(file).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    value.and_then(|value| value.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

/// A number of bytes as people read it.
pub(super) fn human(bytes: usize) -> String {
    const UNITS: [&str; 4] = ["K", "M", "G", "T"];
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    let power = (bytes.ilog2() / 10).min(4);
    format!("{:.2}{}", bytes as f64 / 1024_f64.powi(power.cast_signed()), UNITS[power as usize - 1])
}

pub(super) fn help<'e>(_: &'e mut Store, _: Args<'e>) -> Answer<'e> {
    Ok(help_of(
        "MEMORY",
        &[
            ("DOCTOR", "How memory is used, in words."),
            ("MALLOC-STATS", "What the allocator counts."),
            ("PURGE", "Have the allocator give memory back."),
            ("STATS", "How memory is used, in numbers."),
            ("USAGE <key> [SAMPLES <count>]", "How many bytes a key and its value take."),
        ],
    ))
}

pub(super) fn doctor<'e>(server: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    let keys = server.store.len();
    let Figures { used, resident, .. } = Figures::of(server);
    Reply::Verbatim(format!("{keys} keys take {used} bytes of the {resident} that the process holds.\n").into())
}

pub(super) fn malloc_stats<'e>(_: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    Reply::Verbatim("Stats not supported for the current allocator".into())
}

/// The allocator gives back what it does not need by itself.
pub(super) fn purge<'e>(_: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    Reply::OK
}

pub(super) fn stats<'e>(server: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    let keys = server.store.len();
    let Figures { used, resident, .. } = Figures::of(server);
    let percent = |part: usize, whole: usize| Reply::Double(part as f64 * 100.0 / whole.max(1) as f64);
    let fields = [
        ("peak.allocated", Reply::count(resident)),
        ("total.allocated", Reply::count(resident)),
        ("replication.backlog", Reply::count(server.replication.machine.kept().1)),
        ("cluster.links", Reply::count(server.bus.as_ref().map_or(0, Bus::buffered_bytes))),
        ("aof.buffer", Reply::count(server.aof.waiting())),
        ("lua.caches", Reply::count(server.scripts.cache.bytes())),
        ("functions.caches", Reply::count(server.scripts.functions.bytes())),
        ("keys.count", Reply::count(keys)),
        ("keys.bytes-per-key", Reply::count(used / keys.max(1))),
        ("dataset.bytes", Reply::count(used)),
        ("dataset.percentage", percent(used, resident)),
        ("allocator.resident", Reply::count(resident)),
        ("fragmentation", Reply::Double(resident as f64 / used.max(1) as f64)),
        ("fragmentation.bytes", Reply::count(resident.saturating_sub(used))),
    ];
    Reply::Map(fields.into_iter().map(|(name, value)| (Reply::text(name), value)).collect())
}

pub(super) fn usage<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    // What is counted is exact: there is nothing to sample.
    for at in (3..args.len()).step_by(2) {
        let count = args.get(at + 1).filter(|_| args.at(at).eq_ignore_ascii_case(b"samples"));
        if integer(count.ok_or_else(syntax_error)?)? < 0 {
            return Err(syntax_error());
        }
    }
    Ok(entry(store, args).map_or(Reply::Null, |entry| Reply::count(entry.bytes())))
}

#[cfg(test)]
mod tests {
    use super::human;

    #[test]
    fn bytes_are_shown_in_the_largest_unit() {
        for (bytes, text) in [(0, "0B"), (1023, "1023B"), (1024, "1.00K"), (1_576_960, "1.50M"), (1 << 30, "1.00G")] {
            assert_eq!(human(bytes), text);
        }
    }
}
