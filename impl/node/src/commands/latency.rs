//! Owns the commands about what took long: SLOWLOG and LATENCY.

use super::{NOT_AN_INTEGER, cluster::no_such_form, help_of};
use crate::{
    client::Session, command::Command, command_stats::Stats, commands::COMMANDS, latency::Kind, server::Server,
    slow_log::Entry,
};
use slotbus_wire::resp::{Args, Reply, parse_i64};

pub(super) fn help_slowlog<'e>(_: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    help_of(
        "SLOWLOG",
        &[
            ("GET [<count>]", "The latest slow requests (10 unless told, -1 for all)."),
            ("LEN", "How many slow requests are kept."),
            ("RESET", "Forget them."),
        ],
    )
}

pub(super) fn slow_get<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    const SHOWN: usize = 10;
    let count = match args.get(2).map(parse_i64) {
        _ if args.len() > 3 => return no_such_form(args, "SLOWLOG"),
        None => SHOWN,
        Some(Some(-1)) => usize::MAX,
        Some(Some(count @ 0..)) => usize::try_from(count).unwrap_or(usize::MAX),
        Some(None | Some(_)) => return Reply::err("count should be greater than or equal to -1"),
    };
    Reply::Array(server.slow_log.iter().take(count).map(slow_entry).collect())
}

fn slow_entry(entry: &Entry) -> Reply<'_> {
    Reply::Array(vec![
        number(entry.id),
        number(entry.at_s),
        number(entry.duration_us),
        Reply::Array(entry.args.iter().map(|arg| Reply::bulk(arg.as_slice())).collect()),
        Reply::text(&*entry.client),
        Reply::text(&*entry.client_name),
    ])
}

pub(super) fn slow_len<'e>(server: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    Reply::count(server.slow_log.iter().len())
}

pub(super) fn slow_reset<'e>(server: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    server.slow_log.clear();
    Reply::OK
}

pub(super) fn help_latency<'e>(_: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    help_of(
        "LATENCY",
        &[
            ("HISTOGRAM [<command> ...]", "How long commands took, by powers of two of microseconds."),
            ("HISTORY <event>", "When an event took long, and for how many milliseconds."),
            ("LATEST", "For each event the last time that it took long."),
            ("RESET [<event> ...]", "Forget events, or all of them."),
        ],
    )
}

pub(super) fn latest<'e>(server: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    let events = server.latency.latest().map(|(kind, (at_s, last_ms), longest_ms)| {
        Reply::Array(vec![Reply::text(kind.name()), number(at_s), number(last_ms), number(longest_ms)])
    });
    Reply::Array(events.collect())
}

pub(super) fn history<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    let samples = Kind::named(args.at(2)).into_iter().flat_map(|kind| server.latency.of(kind));
    Reply::Array(samples.map(|(at_s, ms)| Reply::Array(vec![number(at_s), number(ms)])).collect())
}

pub(super) fn reset<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    let every = Kind::ALL.into_iter().map(|(_, kind)| kind);
    let named = args.from(2).filter_map(Kind::named);
    let kinds: Vec<Kind> = if args.len() == 2 { every.collect() } else { named.collect() };
    Reply::count(kinds.into_iter().filter(|&kind| server.latency.forget(kind)).count())
}

pub(super) fn histogram<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    let stats = server.command_stats.by_name();
    let is_wanted = |name: &str| {
        // A container stands for all of its subcommands.
        let is_meant = |command: &Command| {
            name.strip_prefix(command.name).is_some_and(|rest| rest.is_empty() || rest.starts_with('|'))
        };
        let named = |arg: &[u8]| {
            name.as_bytes().eq_ignore_ascii_case(arg) || Command::find(COMMANDS, arg).is_some_and(is_meant)
        };
        args.len() == 2 || args.from(2).any(named)
    };
    let wanted = stats.into_iter().filter(|(name, stats)| stats.calls > 0 && is_wanted(name));
    Reply::Map(wanted.map(|(name, stats)| (Reply::text(name), distribution(stats))).collect())
}

fn distribution(stats: &Stats) -> Reply<'static> {
    let pairs = stats.histogram().map(|(upper_us, count)| (number(upper_us), number(count)));
    Reply::Map(vec![
        (Reply::text("calls"), number(stats.calls)),
        (Reply::text("histogram_usec"), Reply::Map(pairs.collect())),
    ])
}

pub(super) fn graph<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    let samples: Vec<_> = Kind::named(args.at(2)).into_iter().flat_map(|kind| server.latency.of(kind)).collect();
    let Some(longest_ms) = samples.iter().map(|(_, ms)| *ms).max() else {
        let event = String::from_utf8_lossy(args.at(2));
        return Reply::err(format_args!("No samples available for event '{event}'"));
    };
    let bars = [' ', '_', 'o', '#'];
    let bar = |ms: u64| bars[usize::try_from(ms * (bars.len() as u64 - 1) / longest_ms.max(1)).unwrap_or_default()];
    let line: String = samples.iter().map(|(_, ms)| bar(*ms)).collect();
    Reply::Verbatim(format!("{} - high {longest_ms} ms\n{line}\n", String::from_utf8_lossy(args.at(2))).into())
}

pub(super) fn doctor<'e>(server: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    if server.settings.number("latency-monitor-threshold") == 0 {
        return Reply::Verbatim(
            "Nothing is watched: set latency-monitor-threshold to the milliseconds from which on an event counts.\n"
                .into(),
        );
    }
    let events = server.latency.latest().map(|(kind, (_, last_ms), longest_ms)| {
        let count = server.latency.of(kind).count();
        format!("{}: {count} times of late, the last one {last_ms} ms, the longest {longest_ms} ms\n", kind.name())
    });
    let report: String = events.collect();
    Reply::Verbatim(if report.is_empty() { "Nothing took long.\n".into() } else { report.into() })
}

fn number(number: u64) -> Reply<'static> {
    i64::try_from(number).map_or_else(|_| Reply::err(NOT_AN_INTEGER), Reply::Integer)
}
