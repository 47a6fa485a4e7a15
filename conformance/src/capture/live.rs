//! Records the bus traffic of the loopback interface into a pcap file. Owns the socket; knows of a packet its
//! two ports.

use pcap_file::{
    DataLink,
    pcap::{PcapHeader, PcapPacket, PcapWriter},
};
use rustix::net::sockopt::set_socket_recv_buffer_size_force;
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use std::{
    fs::File,
    io::{self, BufWriter, Read, Write},
    ops::RangeInclusive,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant, SystemTime},
};

/// The one interface that is recorded: on it every packet arrives, those that this host sends too.
pub const INTERFACE: &str = "lo";
const IPV4: u16 = 0x0800;
const TCP: u8 = 6;
const PACKET_MAX: usize = 1 << 18;
const KERNEL_BUFFER: usize = 64 << 20;
const WAIT: Duration = Duration::from_millis(200);
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);

/// A recording that is going on.
#[derive(Debug)]
pub struct Recording {
    socket: Socket,
    ports: RangeInclusive<u16>,
    writer: PcapWriter<Output>,
}

impl Recording {
    /// Begins to record what is sent from or to these ports of loopback.
    pub fn begin(ports: RangeInclusive<u16>, path: &Path) -> Result<Self, String> {
        let protocol = Protocol::from(i32::from(IPV4.to_be()));
        let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(protocol));
        let socket = socket.map_err(|error| format!("cannot listen to {INTERFACE} (only root can): {error}"))?;
        socket.set_read_timeout(Some(WAIT)).map_err(|error| error.to_string())?;
        socket.attach_filter(&filter(&ports)).map_err(|error| format!("cannot choose among packets: {error}"))?;
        // Who may do no more gets what the system allows.
        if set_socket_recv_buffer_size_force(&socket, KERNEL_BUFFER).is_err() {
            let _ = socket.set_recv_buffer_size(KERNEL_BUFFER);
        }
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let file = File::create(path).map_err(|error| failed(&error))?;
        let header = PcapHeader { datalink: DataLink::RAW, snaplen: PACKET_MAX as u32, ..PcapHeader::default() };
        let writer = PcapWriter::with_header(Output::new(file), header).map_err(|error| failed(&error))?;
        Ok(Self { socket, ports, writer })
    }

    /// Records until it is to stop; says how many packets of TCP were written.
    pub fn run(mut self, is_over: &AtomicBool) -> Result<u64, String> {
        let (mut packet, mut count) = (vec![0; PACKET_MAX], 0);
        while !is_over.load(Ordering::Relaxed) {
            match self.socket.read(&mut packet) {
                Ok(length) => {
                    if is_wanted(&packet[..length], &self.ports) {
                        self.write(&packet[..length])?;
                        count += 1;
                    }
                }
                Err(error) if is_pause(&error) => {}
                Err(error) => return Err(format!("cannot read from {INTERFACE}: {error}")),
            }
        }
        self.writer.into_writer().flush().map_err(|error| format!("cannot write the capture: {error}"))?;
        Ok(count)
    }

    fn write(&mut self, packet: &[u8]) -> Result<(), String> {
        let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let packet = PcapPacket::new(at, packet.len() as u32, packet);
        self.writer.write_packet(&packet).map(drop).map_err(|error| format!("cannot write the capture: {error}"))
    }
}

/// A file that is never far behind, so that a recording that is killed is good up to then.
#[derive(Debug)]
struct Output {
    file: BufWriter<File>,
    flushed: Instant,
}

impl Output {
    fn new(file: File) -> Self {
        Self { file: BufWriter::new(file), flushed: Instant::now() }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.flushed.elapsed() > FLUSH_INTERVAL {
            self.flush()?;
        }
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flushed = Instant::now();
        self.file.flush()
    }
}

fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

/// Has the kernel keep nothing but TCP of these ports, in its language (classic BPF): much else may pass over loopback, and
/// what is read too late is lost.
fn filter(ports: &RangeInclusive<u16>) -> [SockFilter; 11] {
    const LOAD_BYTE: u16 = 0x30;
    const LOAD_HEADER_LENGTH: u16 = 0xb1;
    const LOAD_PAIR_BEHIND_HEADER: u16 = 0x48;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const JUMP_IF_GREATER: u16 = 0x25;
    const JUMP_IF_NOT_LESS: u16 = 0x35;
    const RETURN: u16 = 0x06;
    let (first, last) = (u32::from(*ports.start()), u32::from(*ports.end()));
    [
        SockFilter::new(LOAD_BYTE, 0, 0, 9),
        SockFilter::new(JUMP_IF_EQUAL, 0, 8, u32::from(TCP)),
        SockFilter::new(LOAD_HEADER_LENGTH, 0, 0, 0),
        SockFilter::new(LOAD_PAIR_BEHIND_HEADER, 0, 0, 0),
        SockFilter::new(JUMP_IF_NOT_LESS, 0, 1, first),
        SockFilter::new(JUMP_IF_GREATER, 0, 3, last),
        SockFilter::new(LOAD_PAIR_BEHIND_HEADER, 0, 0, 2),
        SockFilter::new(JUMP_IF_NOT_LESS, 0, 2, first),
        SockFilter::new(JUMP_IF_GREATER, 1, 0, last),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
        SockFilter::new(RETURN, 0, 0, 0),
    ]
}

/// Whether a packet is TCP between addresses of loopback, and of one of these ports: some came before the kernel was told.
fn is_wanted(packet: &[u8], ports: &RangeInclusive<u16>) -> bool {
    let words = usize::from(packet.first().copied().unwrap_or_default() & 0x0f);
    let Some([from_high, from_low, to_high, to_low]) = packet.get(words * 4..).and_then(|tcp| tcp.first_chunk()) else {
        return false;
    };
    let is_loopback = packet[12] == 127 && packet[16] == 127 && packet[9] == TCP;
    let both = [[*from_high, *from_low], [*to_high, *to_low]];
    is_loopback && both.into_iter().any(|port| ports.contains(&u16::from_be_bytes(port)))
}
