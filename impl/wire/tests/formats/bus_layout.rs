//! Bus packets laid out by hand, byte by byte, as redis-server 7.0 lays them out: one per kind of
//! message, and the ways in which one can lie.

use slotbus_core::{
    Address, ClusterState, Flags, Host, NodeId, Slot, SlotSet,
    message::{Body, Claim, Extension, GossipEntry, Header, Heartbeat, MessageFlags, ModuleMessage, Publication},
};
use slotbus_wire::bus::{self, BusMessage, Malformed, Packet};

const HEADER: usize = 2256;
const SENDER: NodeId = NodeId([0x1a; 20]);
const PRIMARY: NodeId = NodeId([0x2b; 20]);
const OTHER: NodeId = NodeId([0x3c; 20]);

/// A packet of zeros into which fields are put at their offsets.
struct Bytes(Vec<u8>);

impl Bytes {
    fn put(mut self, at: usize, field: impl AsRef<[u8]>) -> Self {
        let field = field.as_ref();
        self.0[at..at + field.len()].copy_from_slice(field);
        self
    }
}

/// The header of a replica's packet, as `header` says it.
fn packet(kind: u16, length: usize) -> Bytes {
    Bytes(vec![0; length])
        .put(0, "RCmb")
        .put(4, (length as u32).to_be_bytes())
        .put(8, 1_u16.to_be_bytes()) // version
        .put(10, 7001_u16.to_be_bytes()) // client port
        .put(12, kind.to_be_bytes())
        .put(16, 0x0102_0304_0506_0708_u64.to_be_bytes()) // current epoch
        .put(24, 9_u64.to_be_bytes()) // config epoch
        .put(32, 77_u64.to_be_bytes()) // offset
        .put(40, "1a".repeat(20)) // sender
        .put(80, [0b0000_0001]) // slot 0
        .put(80 + 12539 / 8, [0b0000_1000]) // slot 12539, bit 3 of its byte
        .put(80 + 2047, [0b1000_0000]) // slot 16383
        .put(2128, "2b".repeat(20)) // primary
        .put(2168, "127.0.0.1") // announced host
        .put(2246, 7101_u16.to_be_bytes()) // plain client port
        .put(2248, 17001_u16.to_be_bytes()) // bus port
        .put(2250, 0x0212_u16.to_be_bytes()) // flags: replica, myself, nofailover
        .put(2252, [1]) // state: fail
}

fn header() -> Header<16384> {
    Header {
        sender: SENDER,
        current_epoch: 0x0102_0304_0506_0708,
        config_epoch: 9,
        offset: 77,
        slots: [0, 12539, 16383].map(Slot).into_iter().collect(),
        primary: Some(PRIMARY),
        address: Address { host: ip("127.0.0.1"), port: 7001, cport: 17001, pport: 7101 },
        flags: Flags::REPLICA | Flags::MYSELF | Flags::NOFAILOVER,
        state: ClusterState::Fail,
        mflags: MessageFlags::empty(),
    }
}

fn ip(text: &str) -> Host {
    Host::Ip(text.parse().expect("an IP address"))
}

fn message(body: Body<16384>) -> BusMessage {
    BusMessage { header: header(), body }
}

/// A PING without gossip.
pub(crate) fn ping() -> BusMessage {
    message(Body::Ping(Heartbeat::default()))
}

/// Holds the packet to the message, in both directions.
#[track_caller]
fn check(packet: Bytes, message: &BusMessage) {
    let mut encoded = Vec::new();
    bus::encode(message, &mut encoded);
    let difference = encoded.iter().zip(&packet.0).position(|(left, right)| left != right);
    assert_eq!(difference, None, "offset of the first byte that differs");
    assert_eq!(encoded.len(), packet.0.len());
    assert_eq!(bus::decode(&packet.0), Ok(Packet::Full(message.clone())));
}

#[track_caller]
fn check_malformed(packet: Bytes, malformed: Malformed, text: &str) {
    assert_eq!(bus::decode(&packet.0), Err(malformed));
    assert_eq!(malformed.to_string(), text);
}

fn with_gossip(packet: Bytes) -> Bytes {
    packet
        .put(14, 1_u16.to_be_bytes()) // one entry
        .put(HEADER, "3c".repeat(20))
        .put(HEADER + 40, 1111_u32.to_be_bytes()) // ping sent
        .put(HEADER + 44, 2222_u32.to_be_bytes()) // pong received
        .put(HEADER + 48, "::1") // host
        .put(HEADER + 94, 7002_u16.to_be_bytes())
        .put(HEADER + 96, 17002_u16.to_be_bytes())
        .put(HEADER + 98, 0x0105_u16.to_be_bytes()) // flags: primary, suspected, migrate-to
        .put(HEADER + 100, 7102_u16.to_be_bytes())
}

/// What one gossip entry says.
pub(crate) fn gossip() -> GossipEntry {
    GossipEntry {
        node: OTHER,
        ping_sent_s: 1111,
        pong_received_s: 2222,
        address: Address { host: ip("::1"), port: 7002, cport: 17002, pport: 7102 },
        flags: Flags::PRIMARY | Flags::PFAIL | Flags::MIGRATE_TO,
    }
}

#[test]
fn heartbeats() {
    let heartbeat = Heartbeat { gossip: vec![gossip()], extensions: vec![] };
    check(with_gossip(packet(0, HEADER + 104)), &message(Body::Ping(heartbeat.clone())));
    check(with_gossip(packet(1, HEADER + 104)), &message(Body::Pong(heartbeat.clone())));
    check(with_gossip(packet(2, HEADER + 104)), &message(Body::Meet(heartbeat)));
    check(packet(0, HEADER), &ping());
}

#[test]
fn a_primary_of_an_unknown_host() {
    let zeros = packet(0, HEADER).put(2128, [0; 40]).put(2168, [0; 46]).put(2250, 17_u16.to_be_bytes()).put(2252, [0]);
    let mut message = ping();
    message.header.primary = None;
    message.header.address.host = Host::Unknown;
    message.header.flags = Flags::PRIMARY | Flags::MYSELF;
    message.header.state = ClusterState::Ok;
    check(zeros, &message);
}

#[test]
fn a_pause_for_a_manual_failover() {
    let mut message = ping();
    message.header.mflags = MessageFlags::PAUSED | MessageFlags::FORCEACK;
    check(packet(0, HEADER).put(2253, [3]), &message);
}

/// A heartbeat with one extension, `length` bytes long in all.
fn with_extension(length: usize, kind: u16) -> Bytes {
    packet(0, HEADER + length)
        .put(2214, 1_u16.to_be_bytes())
        .put(2253, [4])
        .put(HEADER, (length as u32).to_be_bytes())
        .put(HEADER + 4, kind.to_be_bytes())
}

#[track_caller]
fn check_extension(packet: Bytes, extension: Extension) {
    let mut message = message(Body::Ping(Heartbeat { gossip: vec![], extensions: vec![extension] }));
    message.header.mflags = MessageFlags::EXTENSIONS;
    check(packet, &message);
}

#[test]
fn extensions() {
    // Seven letters and their NUL fill one word; an eighth letter needs another.
    check_extension(with_extension(16, 0).put(HEADER + 8, "abc1234"), Extension::Hostname("abc1234".into()));
    check_extension(with_extension(24, 0).put(HEADER + 8, "abc12345"), Extension::Hostname("abc12345".into()));
    check_extension(with_extension(16, 1).put(HEADER + 8, "Zoë 1"), Extension::HumanName("Zoë 1".into()));
    check_extension(
        with_extension(56, 2).put(HEADER + 8, "3c".repeat(20)).put(HEADER + 48, 60_u64.to_be_bytes()),
        Extension::Forgotten { node: OTHER, ttl_s: 60 },
    );
    check_extension(with_extension(48, 3).put(HEADER + 8, "3c".repeat(20)), Extension::ShardId(OTHER));
    let other = Extension::Other { kind: 4, payload: b"10.0.0.1".into() };
    check_extension(with_extension(16, 4).put(HEADER + 8, "10.0.0.1"), other);
}

#[test]
fn unusable_extensions_are_kept_as_they_are() {
    let other = |kind, payload: &[u8]| Extension::Other { kind, payload: payload.into() };
    check_extension(with_extension(16, 0).put(HEADER + 8, "12345678"), other(0, b"12345678"));
    check_extension(with_extension(16, 0).put(HEADER + 8, "a b"), other(0, b"a b\0\0\0\0\0"));
    check_extension(with_extension(16, 1).put(HEADER + 8, [0xff, 0]), other(1, b"\xff\0\0\0\0\0\0\0"));
    check_extension(with_extension(16, 3).put(HEADER + 8, "3c3c"), other(3, b"3c3c\0\0\0\0"));
    check_extension(with_extension(48, 2).put(HEADER + 8, "3c".repeat(20)), other(2, "3c".repeat(20).as_bytes()));
}

#[test]
fn several_extensions_after_gossip() {
    let end = HEADER + 104;
    let packet = with_gossip(packet(1, end + 24))
        .put(2214, 2_u16.to_be_bytes())
        .put(2253, [4])
        .put(end, 8_u32.to_be_bytes())
        .put(end + 4, 99_u16.to_be_bytes())
        .put(end + 8, 16_u32.to_be_bytes())
        .put(end + 16, "host");
    let extensions = vec![Extension::Other { kind: 99, payload: vec![] }, Extension::Hostname("host".into())];
    let mut message = message(Body::Pong(Heartbeat { gossip: vec![gossip()], extensions }));
    message.header.mflags = MessageFlags::EXTENSIONS;
    check(packet, &message);
}

#[test]
fn lying_extensions() {
    let length = |length: u32| with_extension(16, 7).put(HEADER, length.to_be_bytes());
    for impossible in [0, 4, 9, 65536, 0x0001_0010, u32::MAX - 7, u32::MAX] {
        let text = format!("ping extension of type 7 has the impossible length {impossible}");
        check_malformed(length(impossible), Malformed::ExtensionLength { kind: 7, length: impossible }, &text);
    }
    check_malformed(
        length(24),
        Malformed::ExtensionOverrun { kind: 7, length: 24, actual: 2272 },
        "ping extension of type 7 and length 24 ends beyond the packet's 2272 bytes",
    );
    check_malformed(
        with_extension(16, 7).put(2214, 2_u16.to_be_bytes()),
        Malformed::Length { kind: "ping", expected: 2280, actual: 2272 },
        "invalid ping packet of length 2272 but expected length 2280",
    );
    check_malformed(
        length(8),
        Malformed::Length { kind: "ping", expected: 2264, actual: 2272 },
        "invalid ping packet of length 2272 but expected length 2264",
    );
    // Without the flag the count stands for nothing, and no byte may follow the gossip.
    check_malformed(
        with_extension(16, 0).put(2253, [0]),
        Malformed::Length { kind: "ping", expected: 2256, actual: 2272 },
        "invalid ping packet of length 2272 but expected length 2256",
    );
}

#[test]
fn extensions_are_counted_only_where_announced() {
    let packet = packet(0, HEADER).put(2214, 9_u16.to_be_bytes());
    assert_eq!(bus::decode(&packet.0), Ok(Packet::Full(ping())));
}

#[test]
fn gossip_that_is_not_there() {
    check_malformed(
        with_gossip(packet(1, HEADER + 104)).put(14, 2_u16.to_be_bytes()).put(2214, [0xff; 2]).put(2253, [4]),
        Malformed::Length { kind: "pong", expected: 2464, actual: 2360 },
        "invalid pong packet of length 2360 but expected length 2464",
    );
    check_malformed(
        packet(2, HEADER).put(14, [0xff; 2]),
        Malformed::Length { kind: "meet", expected: 6_817_896, actual: 2256 },
        "invalid meet packet of length 2256 but expected length 6817896",
    );
}

#[test]
fn one_bad_id_empties_the_gossip_and_nothing_else() {
    let packet = with_gossip(packet(1, HEADER + 208))
        .put(14, 2_u16.to_be_bytes())
        .put(HEADER + 104, "3c".repeat(19))
        .put(HEADER + 104 + 38, "\n ");
    assert_eq!(bus::decode(&packet.0), Ok(Packet::Full(message(Body::Pong(Heartbeat::default())))));
}

#[test]
fn hosts_that_are_no_hosts_are_unknown() {
    for unusable in [&b"a b"[..], b"127.0.0.1\n", b"\xff", b"a,b", b"a@b", b"\"", &[b'h'; 46]] {
        let field = packet(0, HEADER).put(2168, [0; 46]).put(2168, unusable);
        let mut expected = ping();
        expected.header.address.host = Host::Unknown;
        assert_eq!(bus::decode(&field.0), Ok(Packet::Full(expected)), "{unusable:?}");
    }
}

#[test]
fn failure() {
    check(packet(3, HEADER + 40).put(HEADER, "3c".repeat(20)), &message(Body::Fail(OTHER)));
    check_malformed(
        packet(3, HEADER + 40).put(HEADER, "3C".repeat(20)),
        Malformed::NodeId { of: "failed node" },
        "the id of the failed node is not 40 lowercase hex digits",
    );
    check_malformed(
        packet(3, HEADER + 39),
        Malformed::Length { kind: "fail", expected: 2296, actual: 2295 },
        "invalid fail packet of length 2295 but expected length 2296",
    );
}

fn publication(kind: u16) -> Bytes {
    packet(kind, HEADER + 15)
        .put(HEADER, 2_u32.to_be_bytes())
        .put(HEADER + 4, 5_u32.to_be_bytes())
        .put(HEADER + 8, b"ch\xff\0\r\nx")
}

#[test]
fn publications() {
    let published = Publication { channel: b"ch".into(), payload: b"\xff\0\r\nx".into() };
    check(publication(4), &message(Body::Publish(published.clone())));
    check(publication(10), &message(Body::PublishShard(published)));
    // The lengths add up to the right one only in 32 bits.
    check_malformed(
        publication(10).put(HEADER, u32::MAX.to_be_bytes()).put(HEADER + 4, 8_u32.to_be_bytes()),
        Malformed::Length { kind: "publishshard", expected: 4_294_969_567, actual: 2271 },
        "invalid publishshard packet of length 2271 but expected length 4294969567",
    );
    check_malformed(
        packet(4, HEADER + 7),
        Malformed::Length { kind: "publish", expected: 2264, actual: 2263 },
        "invalid publish packet of length 2263 but expected length 2264",
    );
}

#[test]
fn votes_and_pauses() {
    check(packet(5, HEADER), &message(Body::FailoverAuthRequest));
    check(packet(6, HEADER), &message(Body::FailoverAuthAck));
    check(packet(8, HEADER), &message(Body::ManualFailoverStart));
    check_malformed(
        packet(6, HEADER + 1),
        Malformed::Length { kind: "auth-ack", expected: 2256, actual: 2257 },
        "invalid auth-ack packet of length 2257 but expected length 2256",
    );
}

#[test]
fn update() {
    let claim = Claim { node: OTHER, config_epoch: 5, slots: SlotSet::range(8, 15) };
    let packet =
        packet(7, 4352).put(HEADER, 5_u64.to_be_bytes()).put(HEADER + 8, "3c".repeat(20)).put(HEADER + 48 + 1, [0xff]);
    check(packet, &message(Body::Update(claim)));
}

#[test]
fn module() {
    let sent = ModuleMessage { module: *b"\x01\x02\x03\x04\x05\x06\x07\x08", kind: 0xfe, payload: b"payload".into() };
    let bytes = || {
        packet(9, HEADER + 20)
            .put(HEADER, [1, 2, 3, 4, 5, 6, 7, 8])
            .put(HEADER + 8, 7_u32.to_be_bytes())
            .put(HEADER + 12, [0xfe])
            .put(HEADER + 13, "payload")
    };
    check(bytes(), &message(Body::Module(sent)));
    check_malformed(
        bytes().put(HEADER + 8, u32::MAX.to_be_bytes()),
        Malformed::Length { kind: "module", expected: 4_294_969_564, actual: 2276 },
        "invalid module packet of length 2276 but expected length 4294969564",
    );
}

#[test]
fn light_headers() {
    let light = |kind: u16, body: &[u8]| {
        let length = (16 + body.len()) as u32;
        [&b"RCmb"[..], &length.to_be_bytes(), &[0, 1, 0, 0], &kind.to_be_bytes(), &[0, 0], body].concat()
    };
    let published = Publication { channel: b"c".into(), payload: b"xy".into() };
    let bytes = light(0x8004, b"\0\0\0\x01\0\0\0\x02cxy");
    assert_eq!(bus::frame(&bytes), Ok(Some(27)));
    assert_eq!(bus::kind_code(&bytes), Some(4));
    assert_eq!(bus::decode(&bytes), Ok(Packet::Light(Body::Publish(published.clone()))));
    let bytes = light(0x800a, b"\0\0\0\x01\0\0\0\x02cxy");
    assert_eq!(bus::decode(&bytes), Ok(Packet::Light(Body::PublishShard(published))));
    let sent = ModuleMessage { module: *b"abcdefgh", kind: 3, payload: b"p".into() };
    let bytes = light(0x8009, b"abcdefgh\0\0\0\x01\x03p");
    assert_eq!(bus::decode(&bytes), Ok(Packet::Light(Body::Module(sent))));
    assert_eq!(bus::decode(&light(0x8000, b"")), Err(Malformed::LightKind(0)));
    let short = Malformed::Length { kind: "publish", expected: 24, actual: 16 };
    assert_eq!(bus::decode(&light(0x8004, b"")), Err(short));
}

#[test]
fn packets_of_nobody() {
    check_malformed(packet(0, HEADER).put(0, "RCmx"), Malformed::Signature, "bad signature");
    check_malformed(
        packet(0, HEADER).put(8, 2_u16.to_be_bytes()),
        Malformed::Version(2),
        "unknown version 2 of the bus format",
    );
    check_malformed(packet(11, HEADER), Malformed::Kind(11), "unknown packet type: 11");
    assert_eq!(bus::kind_code(&packet(11, HEADER).0), Some(11));
    check_malformed(
        packet(0, HEADER).put(4, 2257_u32.to_be_bytes()),
        Malformed::TotalLength { claimed: 2257, actual: 2256 },
        "the packet claims 2257 bytes but has 2256",
    );
    check_malformed(
        Bytes(packet(0, HEADER).put(4, 99_u32.to_be_bytes()).0[..99].into()),
        Malformed::Header { actual: 99 },
        "the packet ends after 99 bytes, within its header",
    );
}
