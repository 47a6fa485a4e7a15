//! Owns the form of a connection: bytes over TCP, as they are or in TLS. Clients, the bus, replication
//! and migrations all speak through it.
//!
//! Must not know who speaks or what is said, nor where certificates come from: that is `tls`. Nothing
//! here waits: what cannot go on now says so, and goes on when the socket is ready.

use crate::dial;
use mio::net::TcpStream;
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection, pki_types::ServerName};
use std::{
    io::{self, ErrorKind, Read, Write},
    net::IpAddr,
    sync::Arc,
};

/// So often a socket is read for one read of what is in it, and others get their turn: a peer could
/// go on for ever with records that carry nothing.
const RECEIVES_MAX: usize = 16;

/// A TLS handshake that somebody else has begun may take so long.
pub const HANDSHAKE_MAX_MS: u64 = 10_000;

/// One connection.
///
/// Who is told that a write would block must come with the same bytes again, and may add to them:
/// their beginning may be under way already.
#[derive(Debug)]
pub enum Stream {
    /// Bytes as they are.
    Plain(TcpStream),
    /// Bytes in TLS.
    Tls(Box<Secured>),
}

impl Stream {
    /// A connection that somebody else has opened; in TLS if this says how.
    pub fn accepted(socket: TcpStream, tls: Option<Arc<ServerConfig>>) -> io::Result<Self> {
        let Some(config) = tls else { return Ok(Self::Plain(socket)) };
        let session = ServerConnection::new(config).map_err(io::Error::other)?;
        Ok(Self::secured(socket, session.into()))
    }

    /// A connection to this address that is being opened; in TLS if this says how.
    pub fn opened(socket: TcpStream, address: IpAddr, tls: Option<Arc<ClientConfig>>) -> io::Result<Self> {
        let Some(config) = tls else { return Ok(Self::Plain(socket)) };
        let name = ServerName::IpAddress(address.into());
        let session = ClientConnection::new(config, name).map_err(io::Error::other)?;
        Ok(Self::secured(socket, session.into()))
    }

    fn secured(socket: TcpStream, session: Connection) -> Self {
        Self::Tls(Box::new(Secured { socket, session, owed: 0 }))
    }

    /// The socket.
    #[must_use]
    pub fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(secured) => &secured.socket,
        }
    }

    /// The socket, to register it.
    pub fn socket_mut(&mut self) -> &mut TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(secured) => &mut secured.socket,
        }
    }

    /// Whether it is in TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Whether a TLS handshake is under way.
    #[must_use]
    pub fn is_in_handshake(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(secured) => secured.session.is_handshaking(),
        }
    }

    /// Goes on with what comes before the first byte; none while that is not over.
    pub fn establish(&mut self) -> Option<io::Result<()>> {
        match dial::established(self.socket()) {
            Some(Ok(())) => {}
            unfinished => return unfinished,
        }
        match self {
            Self::Plain(_) => Some(Ok(())),
            Self::Tls(secured) => secured.shake_hands(),
        }
    }

    /// Whether a read that brought so many bytes, of so many at most, may have left some.
    #[must_use]
    pub fn may_have_more(&self, count: usize, most: usize) -> bool {
        match self {
            // Less than there was room for: the socket has no more, and will say when it has.
            Self::Plain(_) => count == most,
            Self::Tls(_) => true,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Tls(secured) => secured.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(secured) => secured.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A socket with the TLS session on it.
#[derive(Debug)]
pub struct Secured {
    socket: TcpStream,
    session: Connection,
    /// How many bytes are encrypted and under way, of which the writer does not know that they are taken.
    owed: usize,
}

impl Secured {
    fn shake_hands(&mut self) -> Option<io::Result<()>> {
        let mut go_on = || {
            while self.session.is_handshaking() {
                self.send()?;
                if self.session.is_handshaking() && self.receive()? == 0 {
                    return Err(io::Error::from(ErrorKind::UnexpectedEof));
                }
            }
            self.send().map(|_| ())
        };
        match go_on() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            outcome => Some(outcome),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        for _ in 0..RECEIVES_MAX {
            match self.session.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // Whoever leaves without a word of TLS has left all the same.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
                outcome => return outcome,
            }
            if self.receive()? == 0 {
                return if self.session.is_handshaking() { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(0) };
            }
        }
        Err(ErrorKind::Interrupted.into())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.session.is_handshaking() {
            return Err(ErrorKind::WouldBlock.into());
        }
        if self.owed == 0 {
            self.owed = self.session.writer().write(bytes)?;
        }
        if self.send()? {
            Ok(std::mem::take(&mut self.owed).min(bytes.len()))
        } else {
            Err(ErrorKind::WouldBlock.into())
        }
    }

    /// Takes what the socket has; 0 at its end.
    fn receive(&mut self) -> io::Result<usize> {
        let count = loop {
            match self.session.read_tls(&mut self.socket) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                outcome => break outcome?,
            }
        };
        let outcome = self.session.process_new_packets();
        // Among what leaves may be the alert that tells the peer what it did wrong.
        let sent = self.send();
        outcome.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        sent.map(|_| count)
    }

    /// Sends what is encrypted; whether the socket took all of it.
    fn send(&mut self) -> io::Result<bool> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut self.socket) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

impl Drop for Secured {
    fn drop(&mut self) {
        self.session.send_close_notify();
        // A peer that does not take it sees the end of the connection.
        let _ = self.send();
    }
}
