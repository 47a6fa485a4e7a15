//! Owns one connection of the bus: its socket, what has arrived on it and what waits to leave.
//!
//! Must not know a packet's content.

use crate::stream::Stream;
use mio::net::TcpStream;
use slotbus_core::{Host, LinkId, Millis, NodeId};
use std::{
    io::{self, ErrorKind, Read, Write},
    net::SocketAddr,
};

/// One connection of the bus.
#[derive(Debug)]
pub struct Link {
    /// Its name in the protocol.
    pub id: LinkId,
    /// When it was opened or accepted.
    pub opened: Millis,
    /// Whether it is established.
    pub is_up: bool,
    /// Whether the other end may have closed it: what is read may be the last.
    pub is_ending: bool,
    /// Who said to have sent what came last, if it was said.
    pub sender: Option<NodeId>,
    stream: Stream,
    input: Vec<u8>,
    output: Vec<u8>,
    written: usize,
}

/// What became of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrived {
    /// Nothing more is there now.
    All,
    /// More may be there.
    Some,
    /// Something, and nothing more is there now.
    Last,
    /// The connection is gone.
    Gone,
}

impl Link {
    /// A connection over this socket.
    #[must_use]
    pub fn new(id: LinkId, stream: Stream, is_up: bool, opened: Millis) -> Self {
        Self {
            id,
            opened,
            is_up,
            is_ending: false,
            sender: None,
            stream,
            input: Vec::new(),
            output: Vec::new(),
            written: 0,
        }
    }

    /// The socket, to register it.
    pub fn socket_mut(&mut self) -> &mut TcpStream {
        self.stream.socket_mut()
    }

    /// Goes on with what comes before the first packet; none while that is not over.
    pub fn establish(&mut self) -> Option<io::Result<()>> {
        self.stream.establish()
    }

    /// The addresses of this end and of the other.
    #[must_use]
    pub fn hosts(&self) -> (Host, Host) {
        let host = |address: io::Result<SocketAddr>| {
            address.map_or(Host::Unknown, |address| Host::Ip(address.ip().to_canonical()))
        };
        let socket = self.stream.socket();
        (host(socket.local_addr()), host(socket.peer_addr()))
    }

    /// Reads once, by way of `scratch`.
    pub fn read(&mut self, scratch: &mut [u8]) -> Arrived {
        match self.stream.read(scratch) {
            Ok(0) => Arrived::Gone,
            Ok(count) => {
                self.input.extend_from_slice(&scratch[..count]);
                let may_have_more = self.is_ending || self.stream.may_have_more(count, scratch.len());
                if may_have_more { Arrived::Some } else { Arrived::Last }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Arrived::All,
            Err(error) if error.kind() == ErrorKind::Interrupted => Arrived::Some,
            Err(_) => Arrived::Gone,
        }
    }

    /// Hands out what has arrived; [`Link::put_input`] brings back what is left.
    pub fn take_input(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.input)
    }

    /// Brings back what was handed out, without its first `used` bytes. A link is idle most of the time, and
    /// there are many: an empty buffer holds no memory.
    pub fn put_input(&mut self, mut input: Vec<u8>, used: usize) {
        if used < input.len() {
            input.drain(..used);
            self.input = input;
        }
    }

    /// Where to write what is to leave.
    pub fn output_mut(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// How many bytes wait to leave.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.output.len() - self.written
    }

    /// How many bytes are set aside for what waits to leave.
    #[must_use]
    pub fn allocated(&self) -> usize {
        self.output.capacity()
    }

    /// Writes as much as the socket takes.
    pub fn flush(&mut self) -> io::Result<()> {
        const WRITTEN_MAX: usize = 64 * 1024;
        while self.waiting() > 0 {
            match self.stream.write(&self.output[self.written..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.waiting() == 0 {
            self.output = Vec::new();
            self.written = 0;
        } else if self.written > WRITTEN_MAX {
            self.output.drain(..self.written);
            self.written = 0;
        }
        Ok(())
    }
}
