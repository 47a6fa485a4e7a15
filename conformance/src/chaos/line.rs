//! One connection between two nodes on its way through the network: two streams, each cut into the pieces
//! that can be lost or held. Knows bytes, and leaves to the network what becomes of them.

use super::network::{Door, Fate, Shared, Traffic, Way};
use crate::scripted::relay::Speaker;
use slotbus_core::NodeId;
use slotbus_wire::bus;
use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream},
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const CHUNK_SIZE: usize = 16 * 1024;
/// So many pieces wait at most; then the sender feels it.
const WAITING_MAX: usize = 1024;
/// A replica has introduced itself within so many bytes.
const INTRODUCTION_MAX: usize = 1024;
/// Where the sender's id stands in a header, as text.
const SENDER_AT: usize = 40;
const SENDER_END: usize = SENDER_AT + NodeId::TEXT_LEN;
/// The code of PING, an index of `slotbus_core::message::KIND_NAMES`.
const PING: u16 = 0;
/// The code of FAILOVER_AUTH_ACK.
const VOTE: u16 = 6;
/// Where the sender's current epoch stands in a header.
const EPOCH_AT: usize = 16;

/// A connection.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) number: u64,
    pub(super) door: Door,
    /// Who opened it, once it has said so.
    pub(super) caller: Option<usize>,
    /// Whether something said on it was lost.
    pub(super) has_hole: bool,
    ends: [TcpStream; 2],
}

impl Line {
    /// From whom to whom one end's words go.
    pub(super) fn way(&self, speaker: Speaker) -> Option<Way> {
        let caller = self.caller?;
        Some(match speaker {
            Speaker::Caller => (caller, self.door.node),
            Speaker::Called => (self.door.node, caller),
        })
    }

    /// Whether it is between these two.
    pub(super) fn joins(&self, one: usize, other: usize) -> bool {
        [(one, other), (other, one)].contains(&(self.caller.unwrap_or(self.door.node), self.door.node))
    }

    /// Ends it for both ends.
    pub(super) fn shut(self) {
        self.ends.iter().for_each(|end| drop(end.shutdown(Shutdown::Both)));
    }
}

/// A piece of a stream that goes on, and when.
type Piece = (Instant, Vec<u8>);

/// Connects a caller with the node behind a door.
pub(super) fn join(shared: &Arc<Shared>, caller: TcpStream, door: Door) -> io::Result<()> {
    let called = TcpStream::connect_timeout(&loopback(door.target), CONNECT_TIMEOUT)?;
    for end in [&caller, &called] {
        end.set_nonblocking(false)?;
        end.set_nodelay(true)?;
    }
    let ends = [caller.try_clone()?, called.try_clone()?];
    let streams = [(Speaker::Caller, caller.try_clone()?, called.try_clone()?), (Speaker::Called, called, caller)];
    let number = shared.begin(|number| Line { number, door, caller: None, has_hole: false, ends });
    for (speaker, from, to) in streams {
        let (queue, pieces) = sync_channel(WAITING_MAX);
        let (reading, writing) = (Arc::clone(shared), Arc::clone(shared));
        thread::spawn(move || Reader::new(number, speaker, door).read(&reading, from, &queue));
        thread::spawn(move || write(&writing, number, speaker, to, &pieces));
    }
    Ok(())
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Passes on what is due until the stream or the connection ends.
fn write(shared: &Shared, number: u64, speaker: Speaker, mut to: TcpStream, pieces: &Receiver<Piece>) {
    for (due, bytes) in pieces {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if !shared.may_pass(number, speaker) || to.write_all(&bytes).is_err() {
            break;
        }
    }
    shared.end(|line| line.number == number);
}

/// The reading side of one stream.
struct Reader {
    number: u64,
    speaker: Speaker,
    door: Door,
    /// What was read and is no whole packet yet.
    unread: Vec<u8>,
    /// The first bytes, until they have said who the caller is.
    introduction: Vec<u8>,
    copy: Option<TcpStream>,
}

impl Reader {
    fn new(number: u64, speaker: Speaker, door: Door) -> Self {
        Self { number, speaker, door, unread: Vec::new(), introduction: Vec::new(), copy: None }
    }

    fn read(mut self, shared: &Shared, mut from: TcpStream, queue: &SyncSender<Piece>) {
        let mut chunk = [0; CHUNK_SIZE];
        while let Ok(length @ 1..) = from.read(&mut chunk) {
            self.introduce(shared, &chunk[..length]);
            self.unread.extend_from_slice(&chunk[..length]);
            if self.pass(shared, queue).is_none() {
                return shared.end(|line| line.number == self.number);
            }
        }
    }

    fn introduce(&mut self, shared: &Shared, bytes: &[u8]) {
        if self.speaker == Speaker::Caller && self.introduction.len() < INTRODUCTION_MAX {
            self.introduction.extend_from_slice(bytes);
            shared.recognise(self.number, &self.introduction);
        }
    }

    /// Hands on every whole piece that was read; none if the stream is to end.
    fn pass(&mut self, shared: &Shared, queue: &SyncSender<Piece>) -> Option<()> {
        while let Some(piece) = self.next_piece()? {
            let Fate { due, is_copied } = shared.decide(self.number, self.speaker, &piece)?;
            self.copy_out(&piece, is_copied);
            if let Some(due) = due {
                queue.send((due, piece)).ok()?;
            }
        }
        Some(())
    }

    /// The next whole piece, if it is there; none if this is no stream of packets.
    fn next_piece(&mut self) -> Option<Option<Vec<u8>>> {
        let length = match self.door.traffic {
            Traffic::Bus => bus::frame(&self.unread).ok()?,
            Traffic::Replication => Some(self.unread.len()).filter(|&length| length > 0),
        };
        Some(length.map(|length| self.unread.drain(..length).collect()))
    }

    /// Tells a PING of the caller again on a second connection, whose answers nobody hears.
    fn copy_out(&mut self, piece: &[u8], is_copied: bool) {
        if !is_copied || self.speaker == Speaker::Called {
            self.copy = None;
        } else if bus::kind_code(piece) == Some(PING) {
            self.copy = self.copy.take().or_else(|| second(self.door.target));
            let told = self.copy.as_mut().map(|copy| copy.write_all(piece));
            if matches!(told, Some(Err(_))) {
                self.copy = None;
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.copy.iter().for_each(|copy| drop(copy.shutdown(Shutdown::Both)));
    }
}

fn second(port: u16) -> Option<TcpStream> {
    let stream = TcpStream::connect_timeout(&loopback(port), CONNECT_TIMEOUT).ok()?;
    let mut answers = stream.try_clone().ok()?;
    thread::spawn(move || io::copy(&mut answers, &mut io::sink()));
    Some(stream)
}

/// Whose packet this is, if its header is there.
pub(super) fn sender(bytes: &[u8]) -> Option<NodeId> {
    NodeId::from_text(bytes.get(SENDER_AT..SENDER_END)?).ok()
}

/// The epoch of a vote, if a packet is one.
pub(super) fn vote(packet: &[u8]) -> Option<u64> {
    let is_vote = bus::kind_code(packet) == Some(VOTE);
    packet.get(EPOCH_AT..)?.first_chunk().filter(|_| is_vote).map(|epoch| u64::from_be_bytes(*epoch))
}

/// The port that a replica names when it introduces itself to its primary.
pub(super) fn listening_port(bytes: &[u8]) -> Option<u16> {
    let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
    let (_, after) = text.split_once("listening-port\r\n$")?;
    let mut lines = after.split("\r\n").skip(1);
    let port = lines.next()?.parse().ok()?;
    // Without its end the number may not be whole.
    lines.next().map(|_| port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_is_recognised_by_its_whole_port() {
        let said = b"*1\r\n$4\r\nPING\r\n*3\r\n$8\r\nREPLCONF\r\n$14\r\nlistening-port\r\n$5\r\n12345\r\n";
        assert_eq!(listening_port(said), Some(12345));
        assert_eq!(listening_port(&said[..said.len() - 3]), None);
        assert_eq!(listening_port(b"PING\r\n"), None);
    }
}
