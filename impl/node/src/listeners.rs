//! Owns where the node listens: at which addresses and ports for clients, and how that changes while the
//! node runs.
//!
//! Must not know who arrives: that is `doors`.

use crate::{
    config::Settings,
    dial::{self, BindAddress},
    log::{Log, reason},
    wake::Wake,
};
use mio::{Interest, Registry, net::TcpListener};
use std::{collections::BTreeMap, fmt, io};

/// A port at which nobody can be listened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unavailable {
    port: u16,
    /// The directive that names the port.
    pub directive: &'static str,
}

impl fmt::Display for Unavailable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.directive {
            "port" => "TCP",
            "tls-port" => "TLS",
            _ => "cluster",
        };
        write!(formatter, "Failed listening on port {} ({kind}), aborting.", self.port)
    }
}

/// One place where clients are waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    host: String,
    port: u16,
    is_tls: bool,
}

/// Where clients arrive.
#[derive(Debug)]
pub struct ClientListener {
    place: Place,
    /// The socket.
    pub socket: TcpListener,
}

impl ClientListener {
    /// Whether they speak TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.place.is_tls
    }
}

/// Every place where clients are waited for. A place has its number as long as it is open, and none has a
/// number that another one had.
#[derive(Debug)]
pub struct ClientListeners {
    registry: Registry,
    open: BTreeMap<u32, ClientListener>,
    next: u32,
}

impl ClientListeners {
    /// None yet; sockets will be watched by `registry`.
    #[must_use]
    pub fn new(registry: Registry) -> Self {
        Self { registry, open: BTreeMap::new(), next: 0 }
    }

    /// Whether no client can arrive.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// The place with this number.
    #[must_use]
    pub fn get(&self, number: u32) -> Option<&ClientListener> {
        self.open.get(&number)
    }

    /// Listens where the settings say and nowhere else; what is open and stays so is not touched. If it fails,
    /// some places may be open and others not.
    pub fn adopt(&mut self, settings: &Settings, log: &Log) -> Result<(), Unavailable> {
        let ports = [("port", false), ("tls-port", true)];
        let ports = ports.map(|(directive, is_tls)| (directive, settings.port(directive), is_tls));
        let is_wanted = |place: &Place| {
            ports.iter().any(|&(_, port, is_tls)| (port, is_tls) == (place.port, place.is_tls))
                && BindAddress::list(settings.text("bind")).any(|address| address.host == place.host)
        };
        // An address may be part of another one: what has to go goes first.
        self.open.retain(|_, listener| is_wanted(&listener.place));
        for (directive, port, is_tls) in ports.into_iter().filter(|(_, port, _)| *port != 0) {
            for address in BindAddress::list(settings.text("bind")) {
                let place = Place { host: address.host.to_owned(), port, is_tls };
                if !self.open.values().any(|listener| listener.place == place) {
                    let opened = open(&address, port, settings, log).and_then(|socket| self.watch(place, socket));
                    opened.map_err(|_| Unavailable { port, directive })?;
                }
            }
        }
        Ok(())
    }

    fn watch(&mut self, place: Place, socket: Option<TcpListener>) -> io::Result<()> {
        let Some(mut socket) = socket else { return Ok(()) };
        self.registry.register(&mut socket, Wake::ClientArrives(self.next).token(), Interest::READABLE)?;
        self.open.insert(self.next, ClientListener { place, socket });
        self.next += 1;
        Ok(())
    }
}

/// Listens for other nodes at every address of `bind`.
pub fn for_nodes(settings: &Settings, port: u16, log: &Log) -> Result<Vec<TcpListener>, Unavailable> {
    let addresses = BindAddress::list(settings.text("bind"));
    let opened = addresses.filter_map(|address| open(&address, port, settings, log).transpose());
    opened.collect::<io::Result<_>>().map_err(|_| Unavailable { port, directive: "cluster-port" })
}

/// Listens at an address; none if that is optional and not to be had on this machine.
fn open(address: &BindAddress<'_>, port: u16, settings: &Settings, log: &Log) -> io::Result<Option<TcpListener>> {
    let backlog = i32::try_from(settings.number("tcp-backlog")).unwrap_or(i32::MAX);
    match dial::listen(address, port, backlog) {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if address.is_optional && dial::is_unavailable(&error) => Ok(None),
        Err(error) => {
            log.warning(format_args!(
                "Warning: Could not create server TCP listening socket {}:{port}: bind: {}",
                address.host,
                reason(&error)
            ));
            Err(error)
        }
    }
}
