//! One direction of a TCP connection put together again from its segments, and cut into packets of the bus.
//! Believes no length; knows no address.

use slotbus_wire::bus;
use std::collections::BTreeMap;

/// Segments that came too early are kept up to so many bytes; then what is missing is given up.
const EARLY_MAX: usize = 256 << 10;
const SIGNATURE: &[u8] = b"RCmb";

/// What comes of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A whole packet.
    Packet(Vec<u8>),
    /// Something is missing here.
    Gap,
    /// What comes after a packet is none; nothing after it can be read.
    NoPacket,
}

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// The sequence number that comes next, once one is known.
    next: Option<u32>,
    /// Segments that came too early, by their distance from the first of them.
    early: BTreeMap<u32, Vec<u8>>,
    early_size: usize,
    /// What is no whole packet yet.
    unread: Vec<u8>,
    /// Whether any packet was found.
    has_packets: bool,
    /// Whether this is something else than the bus, or cannot be read any more.
    is_foreign: bool,
}

impl Stream {
    /// The connection was opened: what comes after `sequence` is all there is.
    pub(super) fn open(&mut self, sequence: u32) {
        *self = Self { next: Some(sequence.wrapping_add(1)), ..Self::default() };
    }

    /// Takes a segment, and gives what is whole now.
    pub(super) fn take(&mut self, sequence: u32, bytes: &[u8]) -> Vec<Piece> {
        let mut pieces = Vec::new();
        if bytes.is_empty() || self.is_foreign {
            return pieces;
        }
        // A capture that begins within a stream is read from the first packet that begins a segment.
        if self.next.is_none() && !bytes.starts_with(SIGNATURE) {
            return pieces;
        }
        let next = *self.next.get_or_insert(sequence);
        match sequence.wrapping_sub(next) as i32 {
            ahead if ahead > 0 => self.keep(sequence, bytes, &mut pieces),
            behind => self.append(bytes.get(behind.unsigned_abs() as usize..).unwrap_or_default()),
        }
        self.take_early();
        self.cut(&mut pieces);
        pieces
    }

    fn append(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
        self.next = self.next.map(|next| next.wrapping_add(bytes.len() as u32));
    }

    fn keep(&mut self, sequence: u32, bytes: &[u8], pieces: &mut Vec<Piece>) {
        self.early_size += bytes.len();
        self.early.insert(sequence, bytes.to_vec());
        if self.early_size <= EARLY_MAX {
            return;
        }
        pieces.push(Piece::Gap);
        self.unread.clear();
        let starts = self.early.iter().filter(|(_, bytes)| bytes.starts_with(SIGNATURE));
        let next = self.next.unwrap_or_default();
        self.next = starts.map(|(sequence, _)| *sequence).min_by_key(|sequence| sequence.wrapping_sub(next));
        if self.next.is_none() {
            self.early.clear();
            self.early_size = 0;
        }
    }

    fn take_early(&mut self) {
        while let Some(next) = self.next {
            let is_due = |sequence: &u32| sequence.wrapping_sub(next) as i32 <= 0;
            let Some(sequence) = self.early.keys().copied().find(is_due) else { return };
            let Some(bytes) = self.early.remove(&sequence) else { return };
            self.early_size -= bytes.len();
            self.append(bytes.get(next.wrapping_sub(sequence) as usize..).unwrap_or_default());
        }
    }

    fn cut(&mut self, pieces: &mut Vec<Piece>) {
        let mut at = 0;
        loop {
            match bus::frame(&self.unread[at..]) {
                Ok(Some(length)) => {
                    self.has_packets = true;
                    pieces.push(Piece::Packet(self.unread[at..at + length].to_vec()));
                    at += length;
                }
                Ok(None) => break,
                Err(_) => {
                    pieces.extend(self.has_packets.then_some(Piece::NoPacket));
                    self.is_foreign = true;
                    self.unread.clear();
                    return;
                }
            }
        }
        self.unread.drain(..at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(last: u8) -> Vec<u8> {
        let mut packet = vec![0; 2256];
        packet[..4].copy_from_slice(SIGNATURE);
        packet[4..8].copy_from_slice(&2256_u32.to_be_bytes());
        packet[9] = 1;
        packet[2255] = last;
        packet
    }

    #[test]
    fn segments_in_any_order_and_twice_make_each_packet_once() {
        let bytes = [packet(1), packet(2), packet(3)].concat();
        let mut stream = Stream::default();
        let start = u32::MAX - 3000;
        stream.open(start.wrapping_sub(1));
        let mut seen = Vec::new();
        for (from, to) in [(0, 100), (2000, 4000), (50, 2500), (0, 6000), (6000, 6768), (6000, 6768)] {
            seen.extend(stream.take(start.wrapping_add(from as u32), &bytes[from..to]));
        }
        assert_eq!(seen, [1, 2, 3].map(|last| Piece::Packet(packet(last))));
    }

    #[test]
    fn a_stream_without_its_beginning_is_read_from_the_next_packet() {
        let bytes = [packet(1), packet(2)].concat();
        let mut stream = Stream::default();
        assert_eq!(stream.take(5, &bytes[5..2256]), []);
        assert_eq!(stream.take(2256, &bytes[2256..]), [Piece::Packet(packet(2))]);
    }

    #[test]
    fn other_traffic_is_nothing() {
        let mut stream = Stream::default();
        stream.open(0);
        assert_eq!(stream.take(1, b"*1\r\n$4\r\nPING\r\n"), []);
        assert_eq!(stream.take(15, &packet(1)), []);
    }
}
