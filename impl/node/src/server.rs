//! Owns all state of the node in one place: the bus with the protocol's state, the keys, the
//! clients, the configuration.
//!
//! Must not wait for anything: it is called when something has happened.

use crate::{
    aof::AppendOnly,
    bus::Bus,
    client::{Client, Session},
    clock::Clock,
    command::{Command, Traits},
    command_stats::CommandStats,
    config::Settings,
    counters::ClientCounters,
    doors::Doors,
    latency::{self, Latency},
    log::{Level, Log},
    lua::Scripts,
    migration::{Migrations, Outcome},
    pause::Pause,
    pubsub::Subscriptions,
    rates::Rates,
    replication::{Replicating, output_limit, replica_id},
    saves::{Saves, save_points},
    slab::{Key, Slab},
    slow_log::{self, SlowLog},
    store::{Expired, Store, eviction::Eviction, limits, news::Class},
    tls::Tls,
    tracking::Tracking,
    users::{Context, Refusal, Refusals, User, Users},
    waiters::Waiters,
};
use mio::Registry;
use slotbus_core::{Address, CLUSTER_SLOTS, Flags, Host, Millis, Peer};
use slotbus_replication::{Event, OutputLimit};
use slotbus_wire::{
    resp::{Args, Batch, Limits, Reply},
    words,
};
use std::{
    collections::BTreeSet,
    path::PathBuf,
    rc::Rc,
    time::{Duration, Instant},
};

/// What the settings say about clients, kept at hand because every request asks for it.
#[derive(Clone, Copy, Debug)]
pub struct ClientLimits {
    /// The most bytes of one argument.
    pub bulk_max: u64,
    /// Whether members know each other by their ports for TLS.
    pub is_bus_tls: bool,
    /// The most bytes of an incomplete request.
    pub held_max: u64,
    /// The most clients.
    pub clients_max: u64,
    /// Seconds after which a silent client is closed; 0 for never.
    pub silence_max_s: u64,
    /// Whether reads are served while the cluster is down.
    pub reads_when_down: bool,
    /// Whether sharded channels are served while the cluster is down.
    pub pubsub_when_down: bool,
    /// Whether a replica refuses writes.
    pub is_replica_read_only: bool,
    /// Whether nothing is written after a snapshot has failed.
    pub stops_unsaved: bool,
    /// Whether a replica that is cut off from its primary answers from what it has.
    pub serves_stale_data: bool,
    /// From so many microseconds on a request is slow; none if no request is.
    pub slow_us: Option<u64>,
    /// From so many milliseconds on anything took too long; 0 if nothing does.
    pub latency_ms: u64,
    /// How much may wait for a client ...
    pub output: OutputLimit,
    /// ... and for one that listens to channels.
    pub subscriber_output: OutputLimit,
    /// After so long others are told that a script runs; none for never.
    pub script_patience: Option<Duration>,
    /// Nothing is written unless so many replicas ...
    pub replicas_min: usize,
    /// ... were heard of within that time.
    pub replica_lag_max_ms: u64,
}

impl ClientLimits {
    /// What the settings say.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            bulk_max: settings.number("proto-max-bulk-len"),
            is_bus_tls: settings.flag("tls-cluster"),
            held_max: settings.number("client-query-buffer-limit"),
            clients_max: settings.number("maxclients"),
            silence_max_s: settings.number("timeout"),
            reads_when_down: settings.flag("cluster-allow-reads-when-down"),
            pubsub_when_down: settings.flag("cluster-allow-pubsubshard-when-down"),
            is_replica_read_only: settings.flag("replica-read-only"),
            output: output_limit(settings, "normal"),
            subscriber_output: output_limit(settings, "pubsub"),
            slow_us: settings.text("slowlog-log-slower-than").parse().ok(),
            latency_ms: settings.number("latency-monitor-threshold"),
            script_patience: Some(settings.number("busy-reply-threshold"))
                .filter(|&threshold_ms| threshold_ms > 0)
                .map(Duration::from_millis),
            replicas_min: usize::try_from(settings.number("min-replicas-to-write")).unwrap_or(usize::MAX),
            replica_lag_max_ms: settings.number("min-replicas-max-lag").saturating_mul(1000),
            stops_unsaved: settings.flag("stop-writes-on-bgsave-error"),
            serves_stale_data: settings.flag("replica-serve-stale-data"),
        }
    }

    /// What a request may amount to.
    #[must_use]
    pub fn of(&self, is_authenticated: bool) -> Limits {
        Limits { bulk_max: self.bulk_max, is_stranger: !is_authenticated }
    }
}

/// Tells the keys what the settings say about them.
fn adopt(settings: &Settings, store: &mut Store) {
    store.limits = limits::Limits::new(settings);
    store.eviction = Eviction::new(settings);
    store.news.classes = Class::of_letters(settings.text("notify-keyspace-events"));
}

/// Whether new users may use all channels.
fn hears_all(settings: &Settings) -> bool {
    settings.text("acl-pubsub-default") == "allchannels"
}

/// The node.
#[derive(Debug)]
pub struct Server {
    /// The bus, with the protocol's state; none if the node is no member of a cluster.
    pub bus: Option<Bus>,
    /// The keys.
    pub store: Store,
    /// Where connections come in.
    pub doors: Doors,
    /// Every client but the one that is being served.
    pub clients: Slab<Box<Client>>,
    /// The primary that is followed, and the replicas that follow.
    pub replication: Replicating,
    /// What has become of snapshots.
    pub saves: Saves,
    /// The append-only files.
    pub aof: AppendOnly,
    /// After how many seconds a snapshot is made if there were so many changes.
    pub save_points: Vec<(u64, u64)>,
    /// Which requests have to wait.
    pub pause: Pause,
    /// Scripts.
    pub scripts: Scripts,
    /// Keys on their way to other servers.
    pub migrations: Migrations,
    /// Who listens to which channel.
    pub subscriptions: Subscriptions,
    /// Who waits for which key.
    pub waiters: Waiters,
    /// Who keeps copies of which keys.
    pub tracking: Tracking,
    /// The step of the core up to which subscriptions and waits were checked.
    pub settled_steps: u64,
    /// Clients with something to do although their sockets are silent.
    pub ready: BTreeSet<Key>,
    /// Whether requests that wait are to be tried again.
    pub releases_held: bool,
    /// Clients whose connection is to end.
    pub doomed: Vec<Key>,
    /// Who may do what.
    pub users: Users,
    /// Who was turned away.
    pub refusals: Refusals,
    /// The configuration.
    pub settings: Settings,
    /// What TLS is done with; none if there is none.
    pub tls: Option<Tls>,
    /// The configuration file, if there is one.
    pub config_file: Option<PathBuf>,
    /// What the configuration says about clients.
    pub limits: ClientLimits,
    /// What has been counted.
    pub counters: ClientCounters,
    /// How much of that happens a second.
    pub rates: Rates,
    /// What has been counted by command.
    pub command_stats: CommandStats,
    /// Requests that took long.
    pub slow_log: SlowLog,
    /// What else took long.
    pub latency: Latency,
    /// When the last request was done, or the present one arrived.
    pub lap: Instant,
    /// Room for requests that are looked at ahead of their turn.
    pub batch: Batch,
    /// Who watches every request.
    pub monitors: BTreeSet<Key>,
    /// Whether expired keys are looked for.
    pub seeks_expired: bool,
    /// The clock.
    pub clock: Clock,
    /// Now, as of the last time the node woke.
    pub now: Millis,
    /// The log.
    pub log: Log,
    /// A name for this run of the process.
    pub run_id: String,
    next_client: u64,
    /// Whether the process is to end, and was asked to.
    pub is_ending: bool,
}

impl Server {
    /// The number of a new client.
    pub(crate) fn next_client_id(&mut self) -> u64 {
        self.next_client += 1;
        self.next_client - 1
    }

    /// A node with these settings, and no client yet.
    #[must_use]
    pub fn new(
        settings: Settings,
        tls: Option<Tls>,
        bus: Option<Bus>,
        doors: Doors,
        [registry, replication_registry]: [Registry; 2],
        clock: Clock,
        log: Log,
    ) -> Self {
        let mut store = Store::default();
        adopt(&settings, &mut store);
        let mut users = Users::new(hears_all(&settings));
        users.set_password(settings.text("requirepass"));
        let digit = || char::from_digit(fastrand::u32(0..16), 16).unwrap_or('0');
        let mut server = Self {
            bus,
            store,
            doors,
            clients: Slab::default(),
            replication: Replicating::new(&settings, replication_registry),
            saves: Saves::new(clock.now().0 / 1000),
            aof: AppendOnly::new(&settings),
            save_points: save_points(settings.text("save")),
            pause: Pause::default(),
            scripts: Scripts::new(log.clone()),
            migrations: Migrations::new(registry),
            subscriptions: Subscriptions::default(),
            waiters: Waiters::default(),
            tracking: Tracking::default(),
            settled_steps: 0,
            ready: BTreeSet::new(),
            releases_held: false,
            doomed: Vec::new(),
            users,
            refusals: Refusals::default(),
            limits: ClientLimits::new(&settings),
            settings,
            tls,
            config_file: None,
            counters: ClientCounters::default(),
            rates: Rates::default(),
            command_stats: CommandStats::default(),
            slow_log: SlowLog::default(),
            latency: Latency::default(),
            lap: Instant::now(),
            batch: Batch::default(),
            monitors: BTreeSet::new(),
            seeks_expired: true,
            now: clock.now(),
            clock,
            log,
            run_id: std::iter::repeat_with(digit).take(40).collect(),
            next_client: 1,
            is_ending: false,
        };
        server.adopt_tls();
        server
    }

    /// Whether this node is a replica.
    #[must_use]
    pub fn is_replica(&self) -> bool {
        self.bus.as_ref().is_some_and(|bus| bus.node().myself().is(Flags::REPLICA))
    }

    /// Whether this node is a replica that has lost its primary, and is not to answer then.
    #[must_use]
    pub fn is_stale_replica(&self) -> bool {
        self.is_replica() && !self.limits.serves_stale_data && !self.replication.is_in_step()
    }

    /// Whether memory has run out, and no key may go for it.
    pub fn is_out_of_memory(&mut self) -> bool {
        if self.store.eviction.bytes_max == 0 {
            return false;
        }
        self.tell_time();
        self.store.drops_expired() && !self.store.evict()
    }

    /// Tells the store the time. Keys expire on a primary that writes; elsewhere they are hidden until it says so.
    pub fn tell_time(&mut self) {
        let is_writer = !self.is_replica() && !self.pause.is_for_failover(self.now);
        self.store.set_time(self.now, if is_writer { Expired::Dropped } else { Expired::Hidden });
        self.store.news.keeps_lost = self.is_recording();
    }

    /// Whether no chore is waited for: no key expires, nothing is replicated, no slot's keys are on their way.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        let machine = &self.replication.machine;
        let replicates = machine.upstream().is_some() || machine.replicas().next().is_some();
        self.store.expiring() == 0 && !replicates && self.migrations.is_empty()
    }

    /// Whether any request might have to wait.
    #[must_use]
    pub fn is_holding(&self) -> bool {
        self.pause.next_end().is_some() || !self.migrations.is_empty()
    }

    /// Drops the keys that have arrived elsewhere, and tells the client that waits for it.
    pub fn conclude(&mut self, outcome: &Outcome) {
        self.tell_time();
        let store = &mut self.store;
        let dropped: Vec<&[u8]> = outcome.arrived.iter().map(|key| &**key).filter(|key| store.remove(key)).collect();
        dropped.iter().for_each(|key| store.news.tell(Class::GENERIC, "del", key));
        self.record_drops(dropped);
        self.end_unit(None);
        if let Some(client) = self.clients.get_mut(outcome.client) {
            client.finish(&outcome.reply);
            self.ready.insert(outcome.client);
        }
        if let Some(text) = outcome.reply.error_text() {
            self.note_error(text);
        }
        self.releases_held = true;
    }

    /// Puts a user in the place of the former one, for those clients, too, that are it already. Who listens to
    /// a channel that it may not listen to any more is shown the door.
    pub fn put_user(&mut self, user: User, session: &mut Session) {
        let user = self.users.put(user);
        let others = self.clients.iter_mut().map(|(_, client)| &mut client.session);
        let is_it = |session: &&mut Session| session.user.as_ref().is_some_and(|own| own.name == user.name);
        for own in others.chain([session]).filter(is_it) {
            own.user = Some(Rc::clone(&user));
            if !self.subscriptions.are_allowed(own.key, &user) {
                own.is_closing = true;
                self.doomed.push(own.key);
            }
        }
    }

    /// Ends the connections of users that there are no more; those of others learn what they may do now.
    pub fn end_strangers(&mut self, session: &mut Session) {
        let others = self.clients.iter_mut().map(|(_, client)| &mut client.session);
        for own in others.chain([session]) {
            let Some(user) = &own.user else { continue };
            match self.users.named(user.name.as_bytes()) {
                Some(user) => own.user = Some(Rc::clone(user)),
                None => {
                    own.is_closing = true;
                    self.doomed.push(own.key);
                }
            }
        }
    }

    /// Takes a note of somebody who was turned away.
    pub fn note_refusal(&mut self, session: &Session, reason: &'static str, object: &[u8], user: &str) {
        let most = usize::try_from(self.settings.number("acllog-max-len")).unwrap_or(usize::MAX);
        let context = match (session.is_scripting, session.transaction.is_some() || session.is_executing) {
            (true, _) => Context::Lua,
            (false, true) => Context::Multi,
            (false, false) => Context::Toplevel,
        };
        let refusal = Refusal {
            reason,
            context,
            object: object.to_vec(),
            user: user.to_owned(),
            client: session.line(0, 0, self.now, &self.subscriptions),
            at: self.now,
            count: 1,
        };
        self.refusals.add(refusal, most);
    }

    /// Takes a note of how a request ended: the error that it was answered with, and, if it was carried
    /// out, how long that took.
    pub fn note_done(&mut self, session: &mut Session, args: Args<'_>, error: Option<&str>) {
        if let Some(text) = error {
            self.note_error(text);
        }
        let Some(command) = session.running.take() else { return };
        let end = Instant::now();
        let duration = end - std::mem::replace(&mut self.lap, end);
        let duration_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.command_stats.note(command, duration_us, error.is_some());
        if self.limits.slow_us.is_some_and(|limit_us| duration_us >= limit_us)
            && !command.traits.contains(Traits::SKIP_SLOWLOG)
        {
            self.note_slow(session, command, args, duration_us);
        }
        if self.limits.latency_ms > 0 {
            let is_fast = command.traits.contains(Traits::FAST);
            let kind = if is_fast { latency::Kind::FastCommand } else { latency::Kind::Command };
            self.note_latency(kind, duration);
        }
    }

    /// Takes a note of an error that somebody was told.
    pub fn note_error(&mut self, text: &str) {
        self.counters.errors += 1;
        self.command_stats.note_error(text);
    }

    fn note_slow(&mut self, session: &Session, command: &Command, args: Args<'_>, duration_us: u64) {
        let most = usize::try_from(self.settings.number("slowlog-max-len")).unwrap_or(usize::MAX);
        let entry = slow_log::Entry {
            id: 0,
            at_s: self.now.0 / 1000,
            duration_us,
            args: slow_log::shortened(command.name, args),
            client: session.remote.map_or_else(String::new, |remote| remote.to_string()),
            client_name: session.name.clone(),
        };
        self.slow_log.add(entry, most);
    }

    /// Takes a note of anything that took too long.
    pub fn note_latency(&mut self, kind: latency::Kind, duration: Duration) {
        let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        if self.limits.latency_ms > 0 && duration_ms >= self.limits.latency_ms {
            self.latency.add(kind, (self.now.0 / 1000, duration_ms));
        }
    }

    /// Shows a request to who watches all of them.
    pub fn show_to_monitors(&mut self, session: &Session, command: &Command, args: Args<'_>) {
        if self.monitors.is_empty() || command.traits.contains(Traits::ADMIN) {
            return;
        }
        let now = self.clock.since_epoch();
        let remote = session.remote.map_or_else(|| "?:0".to_owned(), |remote| remote.to_string());
        let remote = if session.is_scripting { "lua".to_owned() } else { remote };
        let mut line = format!("{}.{:06} [0 {remote}]", now.as_secs(), now.subsec_micros());
        for arg in slow_log::without_secrets(command.name, args) {
            line.push(' ');
            line.push_str(&words::quoted(&arg));
        }
        let line = Reply::status(line);
        for key in self.monitors.clone() {
            self.push(key, &line);
        }
    }

    /// Takes back what a client watches.
    pub fn unwatch(&mut self, session: &mut Session) {
        for watch in std::mem::take(&mut session.watched) {
            self.store.news.unwatch(&watch.key);
        }
    }

    /// Forgets what a client wanted that is gone.
    pub fn forget(&mut self, session: &mut Session) {
        self.unwatch(session);
        self.subscriptions.forget(session.key);
        self.end_tracking(session);
        self.monitors.remove(&session.key);
        self.waiters.remove(session.key, &mut self.store.news);
        self.replication.waits.remove(session.key);
        self.replicate(Event::Gone { replica: replica_id(session.key) });
    }

    /// Why the node cannot go on, if it cannot.
    #[must_use]
    pub fn fatal(&self) -> Option<&str> {
        self.bus.as_ref().and_then(Bus::fatal).or(self.aof.fatal())
    }

    /// Whether nothing more may leave the node.
    #[must_use]
    pub fn must_end(&self) -> bool {
        self.is_ending || self.fatal().is_some()
    }

    /// Acts on settings that have changed.
    pub fn adopt_settings(&mut self) {
        self.limits = ClientLimits::new(&self.settings);
        adopt(&self.settings, &mut self.store);
        self.save_points = save_points(self.settings.text("save"));
        self.users.hears_all = hears_all(&self.settings);
        self.replication.adopt(&self.settings);
        self.log.set_level(Level::named(self.settings.text("loglevel")));
        self.adopt_tls();
        if let Some(bus) = &mut self.bus {
            let config = self.settings.protocol(bus.port());
            if **bus.node().config() != *config {
                bus.configure(config);
            }
        }
    }

    fn adopt_tls(&mut self) {
        self.replication.tls = self.tls.as_ref().and_then(Tls::to_primary);
        let waiting_max = usize::try_from(self.settings.number("cluster-link-sendbuf-limit")).unwrap_or(usize::MAX);
        if let Some(bus) = &mut self.bus {
            bus.adopt(waiting_max, self.tls.clone());
        }
    }

    /// The port at which a client finds a node, which speaks TLS or does not.
    #[must_use]
    pub fn port_for(&self, is_tls: bool, address: &Address) -> u16 {
        if self.limits.is_bus_tls && !is_tls && address.pport != 0 { address.pport } else { address.port }
    }

    /// What clients are told about where a node is; none for "where you are".
    #[must_use]
    pub fn endpoint(&self, peer: &Peer<CLUSTER_SLOTS>) -> Option<String> {
        match self.settings.text("cluster-preferred-endpoint-type") {
            "hostname" if peer.hostname.is_empty() => Some("?".into()),
            "hostname" => Some(peer.hostname.to_string()),
            "unknown-endpoint" => None,
            _ => match &peer.address.host {
                Host::Unknown => Some(String::new()),
                host @ (Host::Ip(_) | Host::Name(_)) => Some(host.to_string()),
            },
        }
    }
}
