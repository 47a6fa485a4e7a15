//! Owns the values that are set, each in its one form, and reads them for those who act on them.
//!
//! Must not know where a value came from: that is `load`. Must not act on any.

use super::{
    directive::{Changes, DIRECTIVES, Directive},
    value::Kind,
};
use slotbus_core::{Config, Host, Profile};
use std::{path::PathBuf, sync::Arc};

/// Between a node's client port and its bus port, unless `cluster-port` says otherwise.
pub const BUS_PORT_DISTANCE: u16 = 10_000;

/// Every value that is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// In the order of [`DIRECTIVES`].
    values: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { values: DIRECTIVES.iter().map(|directive| directive.default.to_owned()).collect() }
    }
}

impl Settings {
    /// Sets a directive, given by its place, or says what is wrong with the value.
    pub fn set(&mut self, index: usize, words: &[&str]) -> Result<(), String> {
        let value = DIRECTIVES[index].kind.canonical(words)?;
        self.values[index] = match DIRECTIVES[index].kind {
            Kind::BufferLimits => merge_buffer_limits(&self.values[index], &value),
            Kind::Bool
            | Kind::Int(..)
            | Kind::Memory(..)
            | Kind::MemoryOrPercent
            | Kind::Octal
            | Kind::Word(_)
            | Kind::ShutdownOptions
            | Kind::Text
            | Kind::BaseName(..)
            | Kind::Directory
            | Kind::Hostname
            | Kind::EventClasses
            | Kind::Addresses
            | Kind::SavePoints
            | Kind::Percentiles
            | Kind::ScoreTriple
            | Kind::Primary
            | Kind::Profile => value,
        };
        Ok(())
    }

    /// Sets a directive while the node runs, or says why it cannot be.
    pub fn change(&mut self, index: usize, words: &[&str]) -> Result<(), String> {
        match DIRECTIVES[index].changes {
            Changes::Always => self.set(index, words),
            Changes::AtBoot => Err("can't set immutable config".into()),
            Changes::Protected => Err("can't set protected config".into()),
        }
    }

    /// Every directive with its value, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static Directive, &str)> {
        DIRECTIVES.iter().zip(self.values.iter().map(String::as_str))
    }

    /// The value of a directive; empty if there is none of this name.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        Directive::find(name).map(|index| self.values[index].as_str()).unwrap_or_default()
    }

    /// The value of a directive that is `yes` or `no`.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        self.text(name) == "yes"
    }

    /// The value of a directive that is a number.
    #[must_use]
    pub fn number(&self, name: &str) -> u64 {
        self.text(name).parse().unwrap_or_default()
    }

    /// The value of a directive that is a port; 0 is none.
    #[must_use]
    pub fn port(&self, name: &str) -> u16 {
        self.text(name).parse().unwrap_or_default()
    }

    /// How much may wait for a client of a class: the hard limit, the soft one, and for how many seconds.
    #[must_use]
    pub fn buffer_limits(&self, class: &str) -> [u64; 3] {
        let words: Vec<&str> = self.text("client-output-buffer-limit").split(' ').collect();
        let found = words.as_chunks::<4>().0.iter().find(|[name, ..]| *name == class);
        found.map_or([0; 3], |[_, limits @ ..]| limits.map(|word| word.parse().unwrap_or_default()))
    }

    /// The port of the cluster bus; none if it would lie beyond the last port.
    #[must_use]
    pub fn bus_port(&self) -> Option<u16> {
        match self.port("cluster-port") {
            0 => self.members_port().checked_add(BUS_PORT_DISTANCE),
            port => Some(port),
        }
    }

    /// The client port by which members know this node: that for TLS, if the bus uses it.
    #[must_use]
    pub fn members_port(&self) -> u16 {
        self.port(if self.flag("tls-cluster") { "tls-port" } else { "port" })
    }

    /// The client port that is shown where there is room for one.
    #[must_use]
    pub fn first_port(&self) -> u16 {
        match self.port("port") {
            0 => self.port("tls-port"),
            port => port,
        }
    }

    /// The client port to announce, and the plain one beside it; 0 if there is none.
    fn announced_ports(&self) -> (u16, u16) {
        let (plain, secured) = (self.port("cluster-announce-port"), self.port("cluster-announce-tls-port"));
        let plain_beside = if self.flag("tls-cluster") { self.port("port") } else { 0 };
        match (plain, secured) {
            (plain, secured) if self.flag("tls-cluster") && secured != 0 => (secured, plain),
            (0, _) => (self.members_port(), plain_beside),
            // Even if members know this node by its port for TLS.
            (plain, _) => (plain, plain_beside),
        }
    }

    /// The directory that other places are relative to.
    #[must_use]
    pub fn dir(&self) -> PathBuf {
        // The empty path stands for the directory that the process was started in.
        let dir = self.text("dir");
        PathBuf::from(if dir.is_empty() { "." } else { dir })
    }

    /// A file's place.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir().join(self.text(name))
    }

    /// What the protocol is to be told by a node that listens for others at this port.
    #[must_use]
    pub fn protocol(&self, bus_port: u16) -> Arc<Config> {
        let or_own = |announced: u16, own: u16| if announced == 0 { own } else { announced };
        let Ok(announce_host) = self.text("cluster-announce-ip").parse::<Host>();
        let (port, pport) = self.announced_ports();
        let mut config = Config {
            announce_host,
            port,
            cport: or_own(self.port("cluster-announce-bus-port"), bus_port),
            pport,
            hostname: self.text("cluster-announce-hostname").into(),
            require_full_coverage: self.flag("cluster-require-full-coverage"),
            allow_replica_migration: self.flag("cluster-allow-replica-migration"),
            replica_no_failover: self.flag("cluster-replica-no-failover"),
            replica_validity_factor: self.number("cluster-replica-validity-factor"),
            migration_barrier: usize::try_from(self.number("cluster-migration-barrier")).unwrap_or(usize::MAX),
            profile: Profile::named(self.text("protocol-profile")).unwrap_or_default(),
            ..Config::default()
        };
        #[cfg(feature = "mutants")]
        {
            config.mutant = slotbus_core::Mutant::by_id(self.text("protocol-mutant"));
        }
        config.timing.node_timeout_ms = self.number("cluster-node-timeout");
        Arc::new(config)
    }
}

/// A class that is set again replaces its former limits; the others keep theirs.
fn merge_buffer_limits(former: &str, given: &str) -> String {
    let class_of = |class: &[&str]| class.first().map(|name| (*name).to_owned()).unwrap_or_default();
    let former: Vec<&str> = former.split(' ').collect();
    let given: Vec<&str> = given.split(' ').collect();
    let merged = former.chunks(4).map(|class| {
        let again = given.chunks(4).rev().find(|again| class_of(again) == class_of(class));
        again.unwrap_or(class).join(" ")
    });
    merged.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::Settings;
    use crate::config::directive::Directive;

    fn set(settings: &mut Settings, name: &str, words: &[&str]) -> Result<(), String> {
        settings.set(Directive::find(name).expect("known"), words)
    }

    #[test]
    fn older_names_and_any_case_mean_the_same_directive() {
        let mut settings = Settings::default();
        set(&mut settings, "Cluster-SLAVE-no-failover", &["Yes"]).unwrap();
        assert!(settings.flag("cluster-replica-no-failover"));
    }

    #[test]
    fn the_bus_port_follows_the_client_port_unless_it_is_given() {
        let mut settings = Settings::default();
        assert_eq!(settings.bus_port(), Some(16379));
        set(&mut settings, "port", &["55536"]).unwrap();
        assert_eq!(settings.bus_port(), None);
        set(&mut settings, "cluster-port", &["77"]).unwrap();
        assert_eq!(settings.bus_port(), Some(77));
        assert_eq!(settings.protocol(77).cport, 77);
        set(&mut settings, "cluster-announce-bus-port", &["78"]).unwrap();
        assert_eq!(settings.protocol(77).cport, 78);
    }

    #[test]
    fn one_class_of_buffer_limits_may_be_set_alone() {
        let mut settings = Settings::default();
        set(&mut settings, "client-output-buffer-limit", &["replica", "1mb", "2", "3"]).unwrap();
        assert_eq!(
            settings.text("client-output-buffer-limit"),
            "normal 0 0 0 slave 1048576 2 3 pubsub 33554432 8388608 60"
        );
    }
}
