//! Owns the table of directives: every name that redis-server 7.0 knows, and this node's own.
//!
//! Must not know any value that is set: that is `settings`. Must not act: a directive says whether
//! somebody else does.

use super::value::Kind;

/// When a directive may be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changes {
    /// At any time.
    Always,
    /// Before the start only.
    AtBoot,
    /// Before the start, and later only where protected configuration is allowed.
    Protected,
}

/// One directive.
#[derive(Clone, Copy, Debug)]
pub struct Directive {
    /// Its name.
    pub name: &'static str,
    /// An older name.
    pub alias: Option<&'static str>,
    /// What it takes.
    pub kind: Kind,
    /// What holds while it is not set.
    pub default: &'static str,
    /// When it may be set.
    pub changes: Changes,
    /// Whether this node does what it says; if not, setting it is accepted with a warning.
    pub is_acted_on: bool,
    /// Whether CONFIG GET shows it to those only who know its name.
    pub is_hidden: bool,
}

const I32_MIN: i64 = i32::MIN as i64;
const I32: i64 = i32::MAX as i64;
const U32: i64 = u32::MAX as i64;
const PORT: i64 = u16::MAX as i64;

const fn at(name: &'static str, kind: Kind, default: &'static str) -> Directive {
    Directive { name, alias: None, kind, default, changes: Changes::Always, is_acted_on: false, is_hidden: false }
}

impl Directive {
    const fn alias(mut self, alias: &'static str) -> Self {
        self.alias = Some(alias);
        self
    }

    const fn at_boot(mut self) -> Self {
        self.changes = Changes::AtBoot;
        self
    }

    const fn protected(mut self) -> Self {
        self.changes = Changes::Protected;
        self
    }

    const fn acted_on(mut self) -> Self {
        self.is_acted_on = true;
        self
    }

    const fn hidden(mut self) -> Self {
        self.is_hidden = true;
        self
    }

    /// The place in [`DIRECTIVES`] of the directive with this name or older name, in any case.
    #[must_use]
    pub fn find(name: &str) -> Option<usize> {
        let is_it = |known: &str| known.eq_ignore_ascii_case(name);
        DIRECTIVES.iter().position(|directive| is_it(directive.name) || directive.alias.is_some_and(is_it))
    }
}

/// Directives that take effect line by line and hold no value of their own.
pub const ACTIONS: &[&str] = &["include", "loadmodule", "rename-command", "user"];

/// Directives that are accepted for the sake of old files and mean nothing any more.
pub const RETIRED: &[&str] = &["list-max-ziplist-entries", "list-max-ziplist-value"];

/// Stands for no deliberate fault.
#[cfg(feature = "mutants")]
const NO_MUTANT: &str = "none";
/// The deliberate faults by name, and none.
#[cfg(feature = "mutants")]
const MUTANTS: &[&str] = &{
    let mut names = [NO_MUTANT; slotbus_core::Mutant::ALL.len() + 1];
    let mut index = 0;
    while index < slotbus_core::Mutant::ALL.len() {
        names[index] = slotbus_core::Mutant::ALL[index].id();
        index += 1;
    }
    names
};

/// Every directive that holds a value, by name.
#[rustfmt::skip]
pub static DIRECTIVES: &[Directive] = &[
    at("acl-pubsub-default", Kind::Word(&["allchannels", "resetchannels"]), "resetchannels").acted_on(),
    at("aclfile", Kind::Text, "").at_boot().acted_on(),
    at("acllog-max-len", Kind::Int(0, i64::MAX), "128").acted_on(),
    at("active-defrag-cycle-max", Kind::Int(1, 99), "25"),
    at("active-defrag-cycle-min", Kind::Int(1, 99), "1"),
    at("active-defrag-ignore-bytes", Kind::Memory(1, i64::MAX), "104857600"),
    at("active-defrag-max-scan-fields", Kind::Int(1, i64::MAX), "1000"),
    at("active-defrag-threshold-lower", Kind::Int(0, 1000), "10"),
    at("active-defrag-threshold-upper", Kind::Int(0, 1000), "100"),
    at("active-expire-effort", Kind::Int(1, 10), "1"),
    at("activedefrag", Kind::Bool, "no"),
    at("activerehashing", Kind::Bool, "yes"),
    at("always-show-logo", Kind::Bool, "no").at_boot(),
    at("aof-disable-auto-gc", Kind::Bool, "no").acted_on(),
    at("aof-load-truncated", Kind::Bool, "yes").acted_on(),
    at("aof-rewrite-incremental-fsync", Kind::Bool, "yes"),
    at("aof-timestamp-enabled", Kind::Bool, "no").acted_on(),
    at("aof-use-rdb-preamble", Kind::Bool, "yes").acted_on(),
    at("aof_rewrite_cpulist", Kind::Text, "").at_boot(),
    at("appenddirname", Kind::BaseName("appenddirname", "dirname"), "appendonlydir").at_boot().acted_on(),
    at("appendfilename", Kind::BaseName("appendfilename", "filename"), "appendonly.aof").at_boot().acted_on(),
    at("appendfsync", Kind::Word(&["everysec", "always", "no"]), "everysec").acted_on(),
    at("appendonly", Kind::Bool, "no").acted_on(),
    at("auto-aof-rewrite-min-size", Kind::Memory(0, i64::MAX), "67108864").acted_on(),
    at("auto-aof-rewrite-percentage", Kind::Int(0, I32), "100").acted_on(),
    at("bgsave_cpulist", Kind::Text, "").at_boot(),
    at("bind", Kind::Addresses, "* -::*").acted_on(),
    at("bind-source-addr", Kind::Text, "").acted_on(),
    at("bio_cpulist", Kind::Text, "").at_boot(),
    at("busy-reply-threshold", Kind::Int(0, i64::MAX), "5000").alias("lua-time-limit"),
    at("client-output-buffer-limit", Kind::BufferLimits, "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60").acted_on(),
    at("client-query-buffer-limit", Kind::Memory(1048576, i64::MAX), "1073741824").acted_on(),
    at("cluster-allow-pubsubshard-when-down", Kind::Bool, "yes").acted_on(),
    at("cluster-allow-reads-when-down", Kind::Bool, "no").acted_on(),
    at("cluster-allow-replica-migration", Kind::Bool, "yes").acted_on(),
    at("cluster-announce-bus-port", Kind::Int(0, PORT), "0").acted_on(),
    at("cluster-announce-hostname", Kind::Hostname, "").acted_on(),
    at("cluster-announce-ip", Kind::Text, "").acted_on(),
    at("cluster-announce-port", Kind::Int(0, PORT), "0").acted_on(),
    at("cluster-announce-tls-port", Kind::Int(0, PORT), "0").acted_on(),
    at("cluster-config-file", Kind::Text, "nodes.conf").at_boot().acted_on(),
    at("cluster-enabled", Kind::Bool, "no").at_boot().acted_on(),
    at("cluster-link-sendbuf-limit", Kind::Memory(0, i64::MAX), "0").acted_on(),
    at("cluster-migration-barrier", Kind::Int(0, I32), "1").acted_on(),
    at("cluster-node-timeout", Kind::Int(0, i64::MAX), "15000").acted_on(),
    at("cluster-port", Kind::Int(0, PORT), "0").at_boot().acted_on(),
    at("cluster-preferred-endpoint-type", Kind::Word(&["ip", "hostname", "unknown-endpoint"]), "ip").acted_on(),
    at("cluster-replica-no-failover", Kind::Bool, "no").alias("cluster-slave-no-failover").acted_on(),
    at("cluster-replica-validity-factor", Kind::Int(0, I32), "10").alias("cluster-slave-validity-factor").acted_on(),
    at("cluster-require-full-coverage", Kind::Bool, "yes").acted_on(),
    at("crash-log-enabled", Kind::Bool, "yes"),
    at("crash-memcheck-enabled", Kind::Bool, "yes"),
    at("daemonize", Kind::Bool, "no").at_boot().acted_on(),
    at("databases", Kind::Int(1, I32), "16").at_boot(),
    at("dbfilename", Kind::BaseName("dbfilename", "filename"), "dump.rdb").protected().acted_on(),
    at("dir", Kind::Directory, "").protected().acted_on(),
    at("disable-thp", Kind::Bool, "yes").at_boot(),
    at("dynamic-hz", Kind::Bool, "yes"),
    at("enable-debug-command", Kind::Word(&["no", "yes", "local"]), "no").at_boot().acted_on(),
    at("enable-module-command", Kind::Word(&["no", "yes", "local"]), "no").at_boot(),
    at("enable-protected-configs", Kind::Word(&["no", "yes", "local"]), "no").at_boot(),
    at("hash-max-listpack-entries", Kind::Int(0, i64::MAX), "512").alias("hash-max-ziplist-entries").acted_on(),
    at("hash-max-listpack-value", Kind::Memory(0, i64::MAX), "64").alias("hash-max-ziplist-value").acted_on(),
    at("hll-sparse-max-bytes", Kind::Memory(0, i64::MAX), "3000").acted_on(),
    at("hz", Kind::Int(0, I32), "10"),
    at("ignore-warnings", Kind::Text, ""),
    at("io-threads", Kind::Int(1, 128), "1").at_boot(),
    at("io-threads-do-reads", Kind::Bool, "no").at_boot(),
    at("jemalloc-bg-thread", Kind::Bool, "yes"),
    at("key-load-delay", Kind::Int(I32_MIN, I32), "0").hidden(),
    at("latency-monitor-threshold", Kind::Int(0, i64::MAX), "0").acted_on(),
    at("latency-tracking", Kind::Bool, "yes"),
    at("latency-tracking-info-percentiles", Kind::Percentiles, "50 99 99.9").acted_on(),
    at("lazyfree-lazy-eviction", Kind::Bool, "no"),
    at("lazyfree-lazy-expire", Kind::Bool, "no"),
    at("lazyfree-lazy-server-del", Kind::Bool, "no"),
    at("lazyfree-lazy-user-del", Kind::Bool, "no"),
    at("lazyfree-lazy-user-flush", Kind::Bool, "no"),
    at("lfu-decay-time", Kind::Int(0, I32), "1").acted_on(),
    at("lfu-log-factor", Kind::Int(0, I32), "10").acted_on(),
    at("list-compress-depth", Kind::Int(0, I32), "0"),
    at("list-max-listpack-size", Kind::Int(I32_MIN, I32), "-2").alias("list-max-ziplist-size").acted_on(),
    at("loading-process-events-interval-bytes", Kind::Memory(1024, I32), "2097152").hidden(),
    at("logfile", Kind::Text, "").at_boot().acted_on(),
    at("loglevel", Kind::Word(&["debug", "verbose", "notice", "warning"]), "notice").acted_on(),
    at("masterauth", Kind::Text, "").acted_on(),
    at("masteruser", Kind::Text, "").acted_on(),
    at("maxclients", Kind::Int(1, U32), "10000").acted_on(),
    at("maxmemory", Kind::Memory(0, i64::MAX), "0").acted_on(),
    at("maxmemory-clients", Kind::MemoryOrPercent, "0"),
    at("maxmemory-eviction-tenacity", Kind::Int(0, 100), "10"),
    at("maxmemory-policy", Kind::Word(&["volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl", "allkeys-lru", "allkeys-lfu", "allkeys-random", "noeviction"]), "noeviction").acted_on(),
    at("maxmemory-samples", Kind::Int(1, I32), "5").acted_on(),
    at("min-replicas-max-lag", Kind::Int(0, I32), "10").alias("min-slaves-max-lag").acted_on(),
    at("min-replicas-to-write", Kind::Int(0, I32), "0").alias("min-slaves-to-write").acted_on(),
    at("no-appendfsync-on-rewrite", Kind::Bool, "no").acted_on(),
    at("notify-keyspace-events", Kind::EventClasses, "").acted_on(),
    at("oom-score-adj", Kind::Word(&["no", "yes", "relative", "absolute"]), "no"),
    at("oom-score-adj-values", Kind::ScoreTriple, "0 200 800"),
    at("pidfile", Kind::Text, "").at_boot().acted_on(),
    at("port", Kind::Int(0, PORT), "6379").acted_on(),
    at("proc-title-template", Kind::Text, "{title} {listen-addr} {server-mode}"),
    at("propagation-error-behavior", Kind::Word(&["ignore", "panic", "panic-on-replicas"]), "ignore"),
    at("protected-mode", Kind::Bool, "yes").acted_on(),
    at("proto-max-bulk-len", Kind::Memory(1048576, i64::MAX), "536870912").acted_on(),
    #[cfg(feature = "mutants")]
    at("protocol-mutant", Kind::Word(MUTANTS), NO_MUTANT).at_boot().acted_on(),
    at("protocol-profile", Kind::Profile, "slotbus").at_boot().acted_on(),
    at("rdb-del-sync-files", Kind::Bool, "no"),
    at("rdb-key-save-delay", Kind::Int(I32_MIN, I32), "0").hidden(),
    at("rdb-save-incremental-fsync", Kind::Bool, "yes"),
    at("rdbchecksum", Kind::Bool, "yes").at_boot().acted_on(),
    at("rdbcompression", Kind::Bool, "yes").acted_on(),
    at("repl-backlog-size", Kind::Memory(1, i64::MAX), "1048576").acted_on(),
    at("repl-backlog-ttl", Kind::Int(0, i64::MAX), "3600"),
    at("repl-disable-tcp-nodelay", Kind::Bool, "no"),
    at("repl-diskless-load", Kind::Word(&["disabled", "on-empty-db", "swapdb"]), "disabled"),
    at("repl-diskless-sync", Kind::Bool, "yes"),
    at("repl-diskless-sync-delay", Kind::Int(0, I32), "5").acted_on(),
    at("repl-diskless-sync-max-replicas", Kind::Int(0, I32), "0").acted_on(),
    at("repl-ping-replica-period", Kind::Int(1, I32), "10").alias("repl-ping-slave-period").acted_on(),
    at("repl-timeout", Kind::Int(1, I32), "60").acted_on(),
    at("replica-announce-ip", Kind::Text, "").alias("slave-announce-ip").acted_on(),
    at("replica-announce-port", Kind::Int(0, PORT), "0").alias("slave-announce-port").acted_on(),
    at("replica-announced", Kind::Bool, "yes"),
    at("replica-ignore-disk-write-errors", Kind::Bool, "no"),
    at("replica-ignore-maxmemory", Kind::Bool, "yes").alias("slave-ignore-maxmemory"),
    at("replica-lazy-flush", Kind::Bool, "no").alias("slave-lazy-flush"),
    at("replica-priority", Kind::Int(0, I32), "100").alias("slave-priority"),
    at("replica-read-only", Kind::Bool, "yes").alias("slave-read-only").acted_on(),
    at("replica-serve-stale-data", Kind::Bool, "yes").alias("slave-serve-stale-data").acted_on(),
    at("replicaof", Kind::Primary, "").alias("slaveof").at_boot(),
    at("requirepass", Kind::Text, "").acted_on(),
    at("sanitize-dump-payload", Kind::Word(&["no", "yes", "clients"]), "no"),
    at("save", Kind::SavePoints, "3600 1 300 100 60 10000").acted_on(),
    at("server_cpulist", Kind::Text, "").at_boot(),
    at("set-max-intset-entries", Kind::Int(0, i64::MAX), "512").acted_on(),
    at("set-proc-title", Kind::Bool, "yes").at_boot(),
    at("shutdown-on-sigint", Kind::ShutdownOptions, "default"),
    at("shutdown-on-sigterm", Kind::ShutdownOptions, "default"),
    at("shutdown-timeout", Kind::Int(0, I32), "10"),
    at("slowlog-log-slower-than", Kind::Int(-1, i64::MAX), "10000").acted_on(),
    at("slowlog-max-len", Kind::Int(0, i64::MAX), "128").acted_on(),
    at("socket-mark-id", Kind::Int(0, U32), "0").at_boot(),
    at("stop-writes-on-bgsave-error", Kind::Bool, "yes").acted_on(),
    at("stream-node-max-bytes", Kind::Memory(0, i64::MAX), "4096").acted_on(),
    at("stream-node-max-entries", Kind::Int(0, i64::MAX), "100").acted_on(),
    at("supervised", Kind::Word(&["upstart", "systemd", "auto", "no"]), "no").at_boot().acted_on(),
    at("syslog-enabled", Kind::Bool, "no").at_boot(),
    at("syslog-facility", Kind::Word(&["user", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"]), "local0").at_boot(),
    at("syslog-ident", Kind::Text, "redis").at_boot(),
    at("tcp-backlog", Kind::Int(0, I32), "511").at_boot().acted_on(),
    at("tcp-keepalive", Kind::Int(0, I32), "300").acted_on(),
    at("timeout", Kind::Int(0, I32), "0").acted_on(),
    at("tls-auth-clients", Kind::Word(&["no", "yes", "optional"]), "yes").acted_on(),
    at("tls-ca-cert-dir", Kind::Text, "").acted_on(),
    at("tls-ca-cert-file", Kind::Text, "").acted_on(),
    at("tls-cert-file", Kind::Text, "").acted_on(),
    at("tls-ciphers", Kind::Text, ""),
    at("tls-ciphersuites", Kind::Text, ""),
    at("tls-client-cert-file", Kind::Text, "").acted_on(),
    at("tls-client-key-file", Kind::Text, "").acted_on(),
    at("tls-client-key-file-pass", Kind::Text, ""),
    at("tls-cluster", Kind::Bool, "no").acted_on(),
    at("tls-dh-params-file", Kind::Text, ""),
    at("tls-key-file", Kind::Text, "").acted_on(),
    at("tls-key-file-pass", Kind::Text, ""),
    at("tls-port", Kind::Int(0, PORT), "0").acted_on(),
    at("tls-prefer-server-ciphers", Kind::Bool, "no"),
    at("tls-protocols", Kind::Text, "").acted_on(),
    at("tls-replication", Kind::Bool, "no").acted_on(),
    at("tls-session-cache-size", Kind::Int(0, I32), "20480").acted_on(),
    at("tls-session-cache-timeout", Kind::Int(0, I32), "300"),
    at("tls-session-caching", Kind::Bool, "yes").acted_on(),
    at("trace-file", Kind::Text, "").at_boot().acted_on(),
    at("trace-format", Kind::Word(&["json", "binary"]), "json").at_boot().acted_on(),
    at("tracking-table-max-keys", Kind::Int(0, i64::MAX), "1000000").acted_on(),
    at("unixsocket", Kind::Text, "").at_boot(),
    at("unixsocketperm", Kind::Octal, "0").at_boot(),
    at("use-exit-on-panic", Kind::Bool, "no").hidden(),
    at("watchdog-period", Kind::Int(0, I32), "0").hidden(),
    at("zset-max-listpack-entries", Kind::Int(0, i64::MAX), "128").alias("zset-max-ziplist-entries").acted_on(),
    at("zset-max-listpack-value", Kind::Memory(0, i64::MAX), "64").alias("zset-max-ziplist-value").acted_on(),
];

#[cfg(test)]
mod tests {
    use super::DIRECTIVES;

    #[test]
    fn names_are_sorted_and_unique_and_every_default_is_a_value() {
        assert!(DIRECTIVES.is_sorted_by(|left, right| left.name < right.name));
        for directive in DIRECTIVES {
            let words: Vec<&str> = if directive.kind.takes_many() {
                directive.default.split_whitespace().collect()
            } else {
                vec![directive.default]
            };
            if directive.name != "dir" {
                assert_eq!(
                    directive.kind.canonical(&words).as_deref(),
                    Ok(directive.default),
                    "default of {}",
                    directive.name
                );
            }
        }
    }
}
