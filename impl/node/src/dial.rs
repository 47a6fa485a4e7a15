//! Owns the making of sockets: listeners with their options, and outbound connections with their
//! source address.
//!
//! Must not know who listens or connects.

use mio::net::{TcpListener, TcpStream};
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use std::{
    io::{self, ErrorKind},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs},
    time::Duration,
};

/// One address of a `bind` directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindAddress<'a> {
    /// As it is written: an address, a host name, or `*` and `::*` for all of a family.
    pub host: &'a str,
    /// Whether the node starts without it (written with a leading `-`).
    pub is_optional: bool,
}

impl<'a> BindAddress<'a> {
    /// The addresses of a `bind` directive.
    pub fn list(text: &'a str) -> impl Iterator<Item = Self> {
        text.split(' ').filter(|word| !word.is_empty()).map(|word| match word.strip_prefix('-') {
            Some(host) => Self { host, is_optional: true },
            None => Self { host: word, is_optional: false },
        })
    }

    /// The address itself, if it is one and not all of a family.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok().filter(|ip: &IpAddr| !ip.is_unspecified())
    }

    fn resolve(&self, port: u16) -> io::Result<SocketAddr> {
        match self.host {
            "*" => Ok((Ipv4Addr::UNSPECIFIED, port).into()),
            "::*" => Ok((Ipv6Addr::UNSPECIFIED, port).into()),
            host => (host, port).to_socket_addrs()?.next().ok_or_else(|| ErrorKind::NotFound.into()),
        }
    }
}

/// Listens at an address.
pub fn listen(address: &BindAddress<'_>, port: u16, backlog: i32) -> io::Result<TcpListener> {
    let address = address.resolve(port)?;
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// Whether an address that cannot be listened at is simply not to be had on this machine.
#[must_use]
pub fn is_unavailable(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::AddrNotAvailable | ErrorKind::Unsupported)
        || error.raw_os_error() == Some(AFNOSUPPORT)
}

/// What Linux says of a machine without the address family.
const AFNOSUPPORT: i32 = 97;

/// Begins to connect to an address, from the first of `sources` that can reach it, if any can.
pub fn connect(address: SocketAddr, sources: &[IpAddr]) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    let reaches =
        |source: &&IpAddr| source.is_ipv4() == address.is_ipv4() && source.is_loopback() == address.ip().is_loopback();
    if let Some(source) = sources.iter().find(reaches).filter(|source| !is_usual(**source, address)) {
        socket.set_reuse_address(true)?;
        socket.bind(&SocketAddr::new(*source, 0).into())?;
    }
    match socket.connect(&address.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(INPROGRESS) || error.kind() == ErrorKind::WouldBlock => {}
        Err(error) => return Err(error),
    }
    Ok(TcpStream::from_std(socket.into()))
}

/// Whether the system chooses this source for an address by itself. To ask for it would be dear: the system then looks for a
/// port that no other connection has, whatever its other end, and in a large cluster most are taken.
fn is_usual(source: IpAddr, address: SocketAddr) -> bool {
    let chosen = || {
        // No packet is sent: a datagram socket that connects is only given its addresses.
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        socket.connect(&address.into())?;
        socket.local_addr()
    };
    chosen().is_ok_and(|local| local.as_socket().is_some_and(|local| local.ip() == source))
}

/// What Linux says of a connection attempt that goes on in the background.
const INPROGRESS: i32 = 115;

/// Whether a connection attempt has come to its end: none while it has not.
pub fn established(stream: &TcpStream) -> Option<io::Result<()>> {
    match stream.take_error() {
        Ok(None) => {}
        Ok(Some(error)) | Err(error) => return Some(Err(error)),
    }
    match stream.peer_addr() {
        Ok(_) => Some(Ok(())),
        Err(error) if error.kind() == ErrorKind::NotConnected => None,
        Err(error) => Some(Err(error)),
    }
}

/// Sets the options of a connection: no delay, and probes after so much silence (0 for none).
pub fn tune(stream: &TcpStream, keepalive_s: u64) -> io::Result<()> {
    stream.set_nodelay(true)?;
    if keepalive_s > 0 {
        let probe_s = (keepalive_s / 3).max(1);
        let keepalive = TcpKeepalive::new()
            .with_time(Duration::from_secs(keepalive_s))
            .with_interval(Duration::from_secs(probe_s))
            .with_retries(3);
        socket2::SockRef::from(stream).set_tcp_keepalive(&keepalive)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{BindAddress, connect, is_usual};

    #[test]
    fn a_source_is_asked_for_where_another_would_be_chosen() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        for source in ["127.0.0.1", "127.0.0.9"].map(|text| text.parse().unwrap()) {
            assert_eq!(is_usual(source, address), source == address.ip());
            let socket = connect(address, &[source]).unwrap();
            assert_eq!(listener.accept().unwrap().1, socket.local_addr().unwrap());
            assert_eq!(socket.local_addr().unwrap().ip(), source);
        }
    }

    #[test]
    fn bind_takes_addresses_wildcards_and_optional_ones() {
        let list: Vec<_> =
            BindAddress::list("* -::* 127.0.0.1").map(|address| (address.host, address.is_optional)).collect();
        assert_eq!(list, [("*", false), ("::*", true), ("127.0.0.1", false)]);
        let ips: Vec<_> = BindAddress::list("* 0.0.0.0 -::1").filter_map(|address| address.ip()).collect();
        assert_eq!(ips, ["::1".parse::<std::net::IpAddr>().unwrap()]);
    }
}
