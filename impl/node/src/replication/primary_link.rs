//! Owns the connection to the primary: its socket, and what waits to leave.
//!
//! Must not know what is said on it.

use crate::{dial, stream::Stream, wake::Wake};
use mio::{Interest, Registry};
use rustls::ClientConfig;
use slotbus_core::{Address, Host};
use std::{
    io::{self, ErrorKind, Read, Write},
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// So many reads in a row, and others get their turn.
const READS_MAX: usize = 16;

/// The connection to the primary, if there is one.
#[derive(Debug, Default)]
pub(super) struct PrimaryLink {
    stream: Option<Stream>,
    /// The how manieth connection this is: what was said of another does not concern it.
    generation: u32,
    is_up: bool,
    output: Vec<u8>,
    reads: usize,
    has_more: bool,
}

impl PrimaryLink {
    pub(super) fn generation(&self) -> u32 {
        self.generation
    }

    pub(super) fn stream(&self) -> Option<&Stream> {
        self.stream.as_ref()
    }

    pub(super) fn has_more(&self) -> bool {
        self.has_more
    }

    /// Begins to connect; in TLS if this says how.
    pub(super) fn connect(
        &mut self,
        address: &Address,
        sources: &[IpAddr],
        tls: Option<Arc<ClientConfig>>,
        registry: &Registry,
    ) -> io::Result<()> {
        self.close(registry);
        let Host::Ip(ip) = address.host else { return Err(ErrorKind::InvalidInput.into()) };
        let socket = dial::connect(SocketAddr::new(ip, address.port), sources)?;
        let mut stream = Stream::opened(socket, ip, tls)?;
        let token = Wake::Primary(self.generation).token();
        registry.register(stream.socket_mut(), token, Interest::READABLE | Interest::WRITABLE)?;
        self.stream = Some(stream);
        Ok(())
    }

    pub(super) fn close(&mut self, registry: &Registry) {
        if let Some(mut stream) = self.stream.take() {
            // The socket closes all the same; that it was watched no more matters to nobody then.
            let _ = registry.deregister(stream.socket_mut());
        }
        *self = Self { generation: self.generation.wrapping_add(1), ..Self::default() };
    }

    /// Whether the connection is there: none while it is not, and true if that is news.
    pub(super) fn establish(&mut self) -> Option<io::Result<bool>> {
        if self.is_up {
            return Some(Ok(false));
        }
        let outcome = self.stream.as_mut()?.establish()?;
        self.is_up = outcome.is_ok();
        Some(outcome.map(|()| true))
    }

    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
    }

    pub(super) fn begin_reading(&mut self) {
        self.reads = 0;
        self.has_more = false;
    }

    /// Reads once; 0 if nothing more is there, or others are to get their turn.
    pub(super) fn read(&mut self, scratch: &mut [u8]) -> io::Result<usize> {
        let Some(stream) = &mut self.stream else { return Ok(0) };
        if self.reads == READS_MAX {
            self.has_more = true;
            return Ok(0);
        }
        self.reads += 1;
        loop {
            match stream.read(scratch) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                outcome => return outcome,
            }
        }
    }

    /// Writes as much as the socket takes. That the connection is gone is left to be found by who reads:
    /// there may be more to read before.
    pub(super) fn flush(&mut self) {
        let Some(stream) = self.stream.as_mut().filter(|_| self.is_up) else { return };
        while !self.output.is_empty() {
            match stream.write(&self.output) {
                Ok(count) if count > 0 => drop(self.output.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => self.output.clear(),
            }
        }
    }
}
