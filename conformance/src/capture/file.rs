//! Capture files: pcap and pcapng, read frame by frame down to TCP. Knows no packet of the bus.

use super::{
    Seen, Sight, Turn,
    stream::{Piece, Stream},
};
use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use pcap_file::{
    DataLink, PcapError,
    pcap::PcapReader,
    pcapng::{Block, PcapNgReader},
};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufReader, Read},
    net::{IpAddr, SocketAddr},
    path::Path,
    time::Duration,
};

/// The first bytes of the files that are read: pcap in both byte orders and resolutions, and pcapng.
const MAGIC: [[u8; 4]; 5] = [
    [0xd4, 0xc3, 0xb2, 0xa1],
    [0xa1, 0xb2, 0xc3, 0xd4],
    [0x4d, 0x3c, 0xb2, 0xa1],
    [0xa1, 0xb2, 0x3c, 0x4d],
    PCAPNG_MAGIC,
];
const PCAPNG_MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
/// Length of what stands before the IP packet on a BSD loopback interface.
const NULL_HEADER: usize = 4;

/// Whether a file is a capture.
pub fn is_capture(path: &Path) -> io::Result<bool> {
    Ok(MAGIC.contains(&magic(path)?))
}

fn magic(path: &Path) -> io::Result<[u8; 4]> {
    let mut magic = Vec::new();
    File::open(path)?.take(4).read_to_end(&mut magic)?;
    Ok(magic.try_into().unwrap_or_default())
}

/// Reads all that a capture shows of the bus. The streams of other protocols are passed over.
pub fn read(path: &Path) -> Result<Vec<Sight>, String> {
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let magic = magic(path).map_err(|error| failed(&error))?;
    let input = BufReader::new(File::open(path).map_err(|error| failed(&error))?);
    let mut wire = Wire::default();
    let outcome = if magic == PCAPNG_MAGIC { read_pcapng(input, &mut wire) } else { read_pcap(input, &mut wire) };
    outcome.map_err(|error| failed(&error))?;
    Ok(wire.sights)
}

fn read_pcap(input: impl Read, wire: &mut Wire) -> Result<(), PcapError> {
    let mut reader = PcapReader::new(input)?;
    let link = reader.header().datalink;
    while let Some(packet) = reader.next_packet() {
        match packet {
            Ok(packet) => wire.frame(link, packet.timestamp, &packet.data, packet.orig_len),
            Err(error) => return until_cut_off(error),
        }
    }
    Ok(())
}

fn read_pcapng(input: impl Read, wire: &mut Wire) -> Result<(), PcapError> {
    let mut reader = PcapNgReader::new(input)?;
    loop {
        let block = match reader.next_block() {
            None => return Ok(()),
            Some(Err(error)) => return until_cut_off(error),
            Some(Ok(block)) => block.into_owned(),
        };
        if let Block::EnhancedPacket(packet) = block {
            let link = reader.packet_interface(&packet).map_or(DataLink::ETHERNET, |interface| interface.linktype);
            // The library counts units of the usual resolution as nanoseconds.
            let at = Duration::from_micros(u64::try_from(packet.timestamp.as_nanos()).unwrap_or(u64::MAX));
            wire.frame(link, at, &packet.data, packet.original_len);
        }
    }
}

/// A capture that was ended by force lacks the end of its last frame; all before counts.
fn until_cut_off(error: PcapError) -> Result<(), PcapError> {
    if matches!(error, PcapError::IncompleteBuffer) { Ok(()) } else { Err(error) }
}

/// The connections of a capture.
#[derive(Default)]
struct Wire {
    frames: u64,
    packets: u64,
    connections: u64,
    open: BTreeMap<(SocketAddr, SocketAddr), Connection>,
    sights: Vec<Sight>,
}

struct Connection {
    number: u64,
    /// Who opened it: seen when it happened, or else guessed.
    caller: SocketAddr,
    /// By caller, and by called.
    streams: [Stream; 2],
    is_closed: bool,
}

/// What a frame carries of a TCP stream.
struct Segment<'a> {
    from: SocketAddr,
    to: SocketAddr,
    sequence: u32,
    opens: bool,
    is_answer: bool,
    ends: bool,
    bytes: &'a [u8],
}

impl Wire {
    fn frame(&mut self, link: DataLink, at: Duration, data: &[u8], length: u32) {
        self.frames += 1;
        let is_whole = usize::try_from(length).is_ok_and(|length| length <= data.len());
        if let Some(segment) = segment(link, data) {
            self.take(at, &segment, is_whole);
        }
    }

    fn take(&mut self, at: Duration, segment: &Segment, is_whole: bool) {
        let Segment { from, to, .. } = *segment;
        let ends = (from.min(to), from.max(to));
        let is_new = segment.opens && !segment.is_answer;
        if is_new || !self.open.contains_key(&ends) {
            self.connections += 1;
            let streams = Default::default();
            let connection =
                Connection { number: self.connections, caller: caller(segment), streams, is_closed: false };
            if is_new {
                self.sights.push(Sight::Connection { connection: self.connections, at, turn: Turn::Opened });
            }
            self.open.insert(ends, connection);
        }
        let Some(connection) = self.open.get_mut(&ends) else { return };
        let by_caller = connection.caller == from;
        let stream = &mut connection.streams[usize::from(!by_caller)];
        if segment.opens {
            stream.open(segment.sequence);
        }
        let mut pieces = stream.take(segment.sequence.wrapping_add(u32::from(segment.opens)), segment.bytes);
        if !is_whole {
            pieces.push(Piece::Gap);
        }
        let number = connection.number;
        for piece in pieces {
            let sight = match piece {
                Piece::Gap => Sight::Connection { connection: number, at, turn: Turn::Gap },
                Piece::NoPacket => Sight::Connection { connection: number, at, turn: Turn::NoPacket },
                Piece::Packet(bytes) => {
                    self.packets += 1;
                    let (number, frame) = (self.packets, self.frames);
                    Sight::Packet(Seen { number, frame, at, connection: connection.number, by_caller, bytes })
                }
            };
            self.sights.push(sight);
        }
        if segment.ends && !std::mem::replace(&mut connection.is_closed, true) {
            self.sights.push(Sight::Connection { connection: number, at, turn: Turn::Closed });
        }
    }
}

/// Who opened a connection: whoever asks to, or else whoever has the greater port, for bus ports lie below
/// those that callers are given.
fn caller(segment: &Segment) -> SocketAddr {
    let Segment { from, to, opens, is_answer, .. } = *segment;
    let is_caller = if opens { !is_answer } else { from.port() > to.port() };
    if is_caller { from } else { to }
}

fn segment(link: DataLink, data: &[u8]) -> Option<Segment<'_>> {
    let sliced = if link == DataLink::ETHERNET {
        SlicedPacket::from_ethernet(data)
    } else if link == DataLink::LINUX_SLL {
        SlicedPacket::from_linux_sll(data)
    } else if [DataLink::NULL, DataLink::LOOP].contains(&link) {
        SlicedPacket::from_ip(data.get(NULL_HEADER..)?)
    } else {
        // On what is left, an IP packet has nothing before it, or this is no IP packet.
        SlicedPacket::from_ip(data)
    };
    let sliced = sliced.ok()?;
    let (source, destination): (IpAddr, IpAddr) = match sliced.net? {
        NetSlice::Ipv4(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        NetSlice::Ipv6(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        NetSlice::Arp(_) => return None,
    };
    let Some(TransportSlice::Tcp(tcp)) = sliced.transport else { return None };
    Some(Segment {
        from: (source, tcp.source_port()).into(),
        to: (destination, tcp.destination_port()).into(),
        sequence: tcp.sequence_number(),
        opens: tcp.syn(),
        is_answer: tcp.syn() && tcp.ack(),
        ends: tcp.fin() || tcp.rst(),
        bytes: tcp.payload(),
    })
}
