//! One connection of a scripted peer: bytes in both directions, cut into packets. Knows the framing
//! of the bus, and of a packet only what the wire says.

use slotbus_wire::bus::{self, BusMessage, Packet};
use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    time::Duration,
};

/// A server that does not read for so long is taken for dead.
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// What is said of a packet that has a light header.
pub const LIGHT: &str = "light header";
const READ_SIZE: usize = 16 * 1024;

/// Something read from a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// A packet that says something.
    Message(Box<BusMessage>),
    /// A packet that says nothing usable, and why.
    Malformed(String),
    /// The other end closed the connection, or what it sends is no bus.
    Closed,
}

/// The writing half of a connection.
#[derive(Debug)]
pub struct Link(TcpStream);

impl Link {
    /// Connects to a bus port.
    pub fn open(address: SocketAddr) -> io::Result<(Self, Reader)> {
        Self::over(TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)?)
    }

    /// Both halves of an established connection.
    pub fn over(stream: TcpStream) -> io::Result<(Self, Reader)> {
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
        let reader = Reader { stream: stream.try_clone()?, buffer: Vec::new() };
        Ok((Self(stream), reader))
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // The reader holds the socket too: only a shutdown ends it.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// The reading half of a connection.
#[derive(Debug)]
pub struct Reader {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Reader {
    /// Waits for the next packet or the end.
    pub fn read(&mut self) -> Arrival {
        loop {
            match bus::frame(&self.buffer) {
                Ok(Some(length)) => {
                    let packet: Vec<u8> = self.buffer.drain(..length).collect();
                    return understand(&packet);
                }
                Ok(None) => {}
                Err(_) => return Arrival::Closed,
            }
            let mut chunk = [0; READ_SIZE];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Arrival::Closed,
                Ok(length) => self.buffer.extend_from_slice(&chunk[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Arrival::Closed,
            }
        }
    }
}

fn understand(packet: &[u8]) -> Arrival {
    match bus::decode(packet) {
        Ok(Packet::Full(message)) => Arrival::Message(Box::new(message)),
        Ok(Packet::Light(_)) => Arrival::Malformed(LIGHT.to_owned()),
        Err(malformed) => Arrival::Malformed(malformed.to_string()),
    }
}
