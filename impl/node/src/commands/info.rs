//! Owns INFO: the fields that redis-cli and monitoring read, by section.

use super::{
    connection::REDIS_VERSION,
    memory::{Figures, human},
};
use crate::{bus::Bus, client::Session, pubsub::Kind, server::Server};
use slotbus_replication::{Phase, Stage, StreamId, Upstream};
use slotbus_wire::resp::{Args, Reply};
use std::{
    env,
    fmt::{self, Write},
    path::Path,
};

/// One section: its name, whether it shows unless others are asked for, and its fields.
struct Section {
    name: &'static str,
    is_default: bool,
    fields: fn(&Server, &mut Fields),
}

const SECTIONS: &[Section] = &[
    Section { name: "Server", is_default: true, fields: about_server },
    Section { name: "Clients", is_default: true, fields: about_clients },
    Section { name: "Memory", is_default: true, fields: about_memory },
    Section { name: "Persistence", is_default: true, fields: about_persistence },
    Section { name: "Stats", is_default: true, fields: about_stats },
    Section { name: "Replication", is_default: true, fields: about_replication },
    Section { name: "CPU", is_default: true, fields: about_cpu },
    Section { name: "Modules", is_default: true, fields: |_, _| {} },
    Section { name: "Commandstats", is_default: false, fields: about_commands },
    Section { name: "Errorstats", is_default: true, fields: about_errors },
    Section { name: "Latencystats", is_default: false, fields: about_latency },
    Section { name: "Cluster", is_default: true, fields: about_cluster },
    Section { name: "Keyspace", is_default: true, fields: about_keyspace },
];

#[derive(Default)]
struct Fields(String);

impl Fields {
    fn put(&mut self, name: &str, value: impl fmt::Display) {
        // Writing to a String does not fail.
        let _ = write!(self.0, "{name}:{value}\r\n");
    }

    /// What redis-server counts, and there is none of here.
    fn put_none(&mut self, names: &[&str]) {
        names.iter().for_each(|name| self.put(name, 0));
    }
}

pub(super) fn info<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    let server = &*server;
    let asked = |word: &str| args.from(1).any(|arg| arg.eq_ignore_ascii_case(word.as_bytes()));
    let (wants_default, wants_all) = (args.len() == 1 || asked("default"), asked("all") || asked("everything"));
    let is_wanted = |section: &Section| wants_all || wants_default && section.is_default || asked(section.name);
    let mut fields = Fields::default();
    for section in SECTIONS.iter().filter(|section| is_wanted(section)) {
        if !fields.0.is_empty() {
            fields.0.push_str("\r\n");
        }
        let _ = write!(fields.0, "# {}\r\n", section.name);
        (section.fields)(server, &mut fields);
    }
    Reply::Verbatim(fields.0.into())
}

fn about_server(server: &Server, fields: &mut Fields) {
    let uptime = server.clock.uptime();
    let shown = |path: Option<&Path>| path.map(Path::display).map_or_else(String::new, |path| path.to_string());
    fields.put("redis_version", REDIS_VERSION);
    fields.put("redis_git_sha1", "00000000");
    fields.put_none(&["redis_git_dirty", "redis_build_id"]);
    fields.put("slotbus_version", env!("CARGO_PKG_VERSION"));
    fields.put("redis_mode", if server.bus.is_some() { "cluster" } else { "standalone" });
    fields.put("os", format_args!("{} {}", env::consts::OS, env::consts::ARCH));
    fields.put("arch_bits", usize::BITS);
    fields.put("multiplexing_api", if cfg!(target_os = "linux") { "epoll" } else { "kqueue" });
    fields.put("process_id", std::process::id());
    fields.put("process_supervised", "no");
    fields.put("run_id", &server.run_id);
    fields.put("tcp_port", server.settings.first_port());
    fields.put("server_time_usec", server.clock.since_epoch().as_micros());
    fields.put("uptime_in_seconds", uptime.as_secs());
    fields.put("uptime_in_days", uptime.as_secs() / 86_400);
    fields.put("hz", server.settings.text("hz"));
    fields.put("configured_hz", server.settings.text("hz"));
    fields.put("lru_clock", server.now.0 / 1000 % (1 << 24));
    fields.put("executable", shown(env::current_exe().ok().as_deref()));
    fields.put("config_file", shown(server.config_file.as_deref()));
    fields.put_none(&["io_threads_active"]);
}

fn about_clients(server: &Server, fields: &mut Fields) {
    // The client that asks is out of its place while it is served, and still counts there.
    fields.put("connected_clients", server.clients.len());
    fields.put("cluster_connections", server.bus.as_ref().map_or(0, Bus::link_count));
    fields.put("maxclients", server.limits.clients_max);
    fields.put("blocked_clients", server.waiters.len() + server.replication.waits.len());
    fields.put("tracking_clients", server.tracking.clients().len());
}

fn about_memory(server: &Server, fields: &mut Fields) {
    let Figures { used, resident, peak, machine } = Figures::of(server);
    let functions = &server.scripts.functions;
    let percent = |part: usize, whole: usize| format!("{:.2}%", part as f64 * 100.0 / whole.max(1) as f64);
    for (name, bytes) in [
        ("used_memory", used),
        ("used_memory_rss", resident),
        ("used_memory_peak", peak),
        ("total_system_memory", machine),
        ("used_memory_lua", server.scripts.bytes()),
        ("used_memory_vm_total", server.scripts.bytes() + functions.machine_bytes()),
        ("used_memory_scripts", server.scripts.cache.bytes() + functions.bytes()),
        ("maxmemory", usize::try_from(server.settings.number("maxmemory")).unwrap_or_default()),
    ] {
        fields.put(name, bytes);
        fields.put(&format!("{name}_human"), human(bytes));
    }
    fields.put("used_memory_peak_perc", percent(resident, peak));
    fields.put("used_memory_dataset", used);
    fields.put("used_memory_dataset_perc", percent(used, resident));
    fields.put("used_memory_vm_eval", server.scripts.bytes());
    fields.put("used_memory_scripts_eval", server.scripts.cache.bytes());
    fields.put("number_of_cached_scripts", server.scripts.cache.len());
    fields.put("number_of_functions", functions.len());
    fields.put("number_of_libraries", functions.libraries().len());
    fields.put("used_memory_vm_functions", functions.machine_bytes());
    fields.put("used_memory_functions", functions.bytes());
    fields.put("maxmemory_policy", server.settings.text("maxmemory-policy"));
    fields.put("mem_fragmentation_ratio", format_args!("{:.2}", resident as f64 / used.max(1) as f64));
    fields.put("mem_fragmentation_bytes", resident.saturating_sub(used));
    fields.put("mem_replication_backlog", server.replication.machine.kept().1);
    fields.put("mem_cluster_links", server.bus.as_ref().map_or(0, Bus::buffered_bytes));
    fields.put("mem_aof_buffer", server.aof.waiting());
    fields.put("mem_allocator", "system");
    fields.put_none(&[
        "mem_not_counted_for_evict",
        "active_defrag_running",
        "lazyfree_pending_objects",
        "lazyfreed_objects",
    ]);
}

fn about_persistence(server: &Server, fields: &mut Fields) {
    fields.put("loading", 0);
    fields.put("async_loading", 0);
    fields.put("rdb_changes_since_last_save", server.store.news.changes);
    fields.put("rdb_bgsave_in_progress", u8::from(server.saves.is_under_way()));
    fields.put("rdb_last_save_time", server.saves.last_s);
    fields.put("rdb_last_bgsave_status", if server.saves.is_good { "ok" } else { "err" });
    fields.put("rdb_saves", server.saves.count);
    about_aof(server, fields);
    // There are no child processes, and no modules.
    fields.put_none(&[
        "current_cow_peak",
        "current_cow_size",
        "current_cow_size_age",
        "rdb_last_cow_size",
        "aof_last_cow_size",
        "module_fork_in_progress",
        "module_fork_last_cow_size",
    ]);
}

fn about_aof(server: &Server, fields: &mut Fields) {
    let (aof, rewrites) = (&server.aof, server.aof.rewrites());
    let status = |is_good| if is_good { "ok" } else { "err" };
    let seconds = |seconds: Option<u64>| seconds.map_or(-1, |seconds| i64::try_from(seconds).unwrap_or(i64::MAX));
    fields.put("aof_enabled", u8::from(aof.is_on()));
    fields.put("aof_rewrite_in_progress", u8::from(aof.is_rewriting()));
    fields.put("aof_rewrite_scheduled", u8::from(rewrites.is_scheduled));
    fields.put("aof_last_rewrite_time_sec", seconds(rewrites.last_s));
    let current_s = aof.rewriting_since().map(|begun| server.now.since(begun) / 1000);
    fields.put("aof_current_rewrite_time_sec", seconds(current_s));
    fields.put("aof_last_bgrewrite_status", status(rewrites.is_good));
    fields.put("aof_rewrites", rewrites.count);
    fields.put("aof_rewrites_consecutive_failures", rewrites.failures);
    fields.put("aof_last_write_status", status(aof.is_written()));
    if aof.is_on() {
        fields.put("aof_current_size", aof.bytes());
        fields.put("aof_base_size", rewrites.bytes);
        fields.put("aof_pending_rewrite", u8::from(rewrites.is_scheduled));
        fields.put("aof_buffer_length", aof.waiting());
        fields.put("aof_pending_bio_fsync", aof.syncs_under_way());
        fields.put("aof_delayed_fsync", aof.delayed());
    }
}

fn about_stats(server: &Server, fields: &mut Fields) {
    let counters = &server.counters;
    fields.put("total_connections_received", counters.connections);
    fields.put("total_commands_processed", counters.commands);
    fields.put("total_net_input_bytes", counters.bytes_in);
    fields.put("total_net_output_bytes", counters.bytes_out);
    fields.put("rejected_connections", counters.rejected);
    fields.put("expired_keys", server.store.tally.expired);
    fields.put("evicted_keys", server.store.tally.evicted);
    fields.put("keyspace_hits", server.store.tally.hits);
    fields.put("keyspace_misses", server.store.tally.misses);
    fields.put("pubsub_channels", server.subscriptions.names(Kind::Channel).count());
    fields.put("pubsub_patterns", server.subscriptions.names(Kind::Pattern).count());
    fields.put("pubsubshard_channels", server.subscriptions.names(Kind::Shard).count());
    fields.put("total_error_replies", counters.errors);
    fields.put("total_reads_processed", counters.reads);
    fields.put("total_writes_processed", counters.writes);
    let rates = server.rates.at(server.now, counters);
    fields.put("instantaneous_ops_per_sec", rates.commands.round());
    fields.put("instantaneous_input_kbps", format_args!("{:.2}", rates.bytes_in / 1024.0));
    fields.put("instantaneous_output_kbps", format_args!("{:.2}", rates.bytes_out / 1024.0));
    let syncs = server.replication.machine.syncs();
    fields.put("sync_full", syncs.copies);
    fields.put("sync_partial_ok", syncs.continued);
    fields.put("sync_partial_err", syncs.not_continued);
    let [keys, copies, prefixes] = server.tracking.counts();
    fields.put("tracking_total_keys", keys);
    fields.put("tracking_total_items", copies);
    fields.put("tracking_total_prefixes", prefixes);
    // There are no child processes, no further threads that read and no moving of values.
    fields.put_none(&[
        "latest_fork_usec",
        "total_forks",
        "migrate_cached_sockets",
        // Every payload is looked through as it is read.
        "dump_payload_sanitizations",
        "slave_expires_tracked_keys",
        "evicted_clients",
        "active_defrag_hits",
        "active_defrag_misses",
        "active_defrag_key_hits",
        "active_defrag_key_misses",
        "total_active_defrag_time",
        "current_active_defrag_time",
        "unexpected_error_replies",
        "io_threaded_reads_processed",
        "io_threaded_writes_processed",
    ]);
}

fn about_replication(server: &Server, fields: &mut Fields) {
    let machine = &server.replication.machine;
    fields.put("role", if server.is_replica() { "slave" } else { "master" });
    if let Some(upstream) = machine.upstream().filter(|_| server.is_replica()) {
        about_primary(server, upstream, fields);
    }
    about_replicas(server, fields);
    let history = machine.history();
    fields.put("master_failover_state", "no-failover");
    fields.put("master_replid", history.id);
    fields.put("master_replid2", history.former.map_or(StreamId::NONE, |former| former.id));
    fields.put("master_repl_offset", history.offset);
    let second = history.former.map_or(-1, |former| i64::try_from(former.end).unwrap_or(i64::MAX).saturating_add(1));
    fields.put("second_repl_offset", second);
    let (start, length) = machine.kept();
    fields.put("repl_backlog_active", u8::from(machine.is_active()));
    fields.put("repl_backlog_size", server.settings.text("repl-backlog-size"));
    fields.put("repl_backlog_first_byte_offset", if machine.is_active() { start + 1 } else { 0 });
    fields.put("repl_backlog_histlen", length);
}

fn about_primary(server: &Server, upstream: &Upstream, fields: &mut Fields) {
    let is_streaming = upstream.stage() == Stage::Streaming;
    let offset = server.replication.machine.offset();
    fields.put("master_host", &upstream.address.host);
    fields.put("master_port", upstream.address.port);
    fields.put("master_link_status", if is_streaming { "up" } else { "down" });
    let silence_s = i64::try_from(server.now.since(upstream.heard_at) / 1000).unwrap_or(i64::MAX);
    fields.put("master_last_io_seconds_ago", if is_streaming { silence_s } else { -1 });
    fields.put("master_sync_in_progress", u8::from(upstream.stage() == Stage::Copying));
    fields.put("slave_read_repl_offset", offset);
    fields.put("slave_repl_offset", offset);
    if !is_streaming {
        let down_s =
            upstream.fresh_at().map_or(-1, |at| i64::try_from(server.now.since(at) / 1000).unwrap_or(i64::MAX));
        fields.put("master_link_down_since_seconds", down_s);
    }
    fields.put("slave_priority", server.settings.text("replica-priority"));
    fields.put("slave_read_only", u8::from(server.limits.is_replica_read_only));
    fields.put("replica_announced", 1);
}

fn about_replicas(server: &Server, fields: &mut Fields) {
    let machine = &server.replication.machine;
    let known = machine.replicas().filter(|(_, replica)| replica.phase != Phase::Introduced);
    let known: Vec<_> = known.collect();
    fields.put("connected_slaves", known.len());
    if server.limits.replicas_min > 0 {
        fields.put("min_slaves_good_slaves", machine.in_touch(server.now, server.limits.replica_lag_max_ms));
    }
    for (number, (id, replica)) in known.into_iter().enumerate() {
        let state = match replica.phase {
            Phase::Introduced | Phase::Waiting(_) => "wait_bgsave",
            Phase::Copying | Phase::Copied => "send_bulk",
            Phase::Online => "online",
        };
        let (ip, port, offset) = (server.replica_ip(id, replica), replica.port, replica.acked);
        let lag_s = server.now.since(replica.heard_at) / 1000;
        fields.put(
            &format!("slave{number}"),
            format_args!("ip={ip},port={port},state={state},offset={offset},lag={lag_s}"),
        );
    }
}

fn about_cpu(_: &Server, fields: &mut Fields) {
    let (user_s, system_s) = cpu_seconds();
    fields.put("used_cpu_sys", format_args!("{system_s:.6}"));
    fields.put("used_cpu_user", format_args!("{user_s:.6}"));
    fields.put("used_cpu_sys_children", "0.000000");
    fields.put("used_cpu_user_children", "0.000000");
}

/// Seconds that the process has computed, by itself and in the system; zeros where nobody says.
fn cpu_seconds() -> (f64, f64) {
    const TICKS_PER_SECOND: f64 = 100.0;
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program comes second, in brackets, and may hold blanks.
    let after_name = text.rsplit(')').next().unwrap_or_default();
    let mut ticks = after_name.split_whitespace().skip(11).map(|ticks| ticks.parse::<f64>().unwrap_or_default());
    let mut next = || ticks.next().unwrap_or_default() / TICKS_PER_SECOND;
    (next(), next())
}

fn about_commands(server: &Server, fields: &mut Fields) {
    for (name, stats) in server.command_stats.by_name() {
        let per_call = stats.total_us as f64 / stats.calls.max(1) as f64;
        let value = format!(
            "calls={},usec={},usec_per_call={per_call:.2},rejected_calls={},failed_calls={}",
            stats.calls, stats.total_us, stats.rejected, stats.failed
        );
        fields.put(&format!("cmdstat_{name}"), value);
    }
}

fn about_errors(server: &Server, fields: &mut Fields) {
    for (code, count) in server.command_stats.errors() {
        fields.put(&format!("errorstat_{code}"), format_args!("count={count}"));
    }
}

fn about_latency(server: &Server, fields: &mut Fields) {
    if !server.settings.flag("latency-tracking") {
        return;
    }
    let percentiles = server.settings.text("latency-tracking-info-percentiles");
    let percentiles: Vec<&str> = percentiles.split(' ').filter(|percent| !percent.is_empty()).collect();
    let called = server.command_stats.by_name().into_iter().filter(|(_, stats)| stats.calls > 0);
    for (name, stats) in called {
        let shown = percentiles.iter().map(|percent| {
            let limit_us = stats.percentile_us(percent.parse().unwrap_or_default());
            format!("p{percent}={limit_us}.000")
        });
        let shown = shown.collect::<Vec<_>>().join(",");
        fields.put(&format!("latency_percentiles_usec_{name}"), shown);
    }
}

fn about_cluster(server: &Server, fields: &mut Fields) {
    fields.put("cluster_enabled", u8::from(server.bus.is_some()));
}

fn about_keyspace(server: &Server, fields: &mut Fields) {
    if !server.store.is_empty() {
        let (keys, expires) = (server.store.len(), server.store.expiring());
        fields.put("db0", format_args!("keys={keys},expires={expires},avg_ttl=0"));
    }
}
