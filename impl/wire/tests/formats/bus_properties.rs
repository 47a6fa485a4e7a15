//! Bus packets, whatever they are: what is written is read back, and nothing makes a reader panic
//! or believe a length.

use crate::arbitrary;
use proptest::{collection::vec, prelude::*, sample::Index};
use slotbus_core::{
    Address, Host,
    message::{Body, Extension, Heartbeat},
};
use slotbus_wire::bus::{self, BusMessage, Malformed, NotTheBus, Packet};

fn encoded(message: &BusMessage) -> Vec<u8> {
    let mut packet = Vec::new();
    bus::encode(message, &mut packet);
    packet
}

/// The message of a packet with a full header.
fn full(packet: &[u8]) -> BusMessage {
    match bus::decode(packet) {
        Ok(Packet::Full(message)) => message,
        other => panic!("not a full message: {other:?}"),
    }
}

/// A valid packet with a few bytes changed, and possibly cut short or grown.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let changes = vec((any::<Index>(), any::<u8>()), 0..4);
    // The counts and lengths, where damage is worst, are hit more often than the slot bitmap.
    let vital = vec((prop_oneof![0..16_usize, 2214..2216_usize, 2253..2300_usize], any::<u8>()), 0..3);
    let fixed_length = any::<bool>();
    (arbitrary::message(), changes, vital, any::<Index>(), 0..3_u8, fixed_length).prop_map(
        |(message, changes, vital, length, resize, fixed_length)| {
            let mut packet = encoded(&message);
            for (at, byte) in changes {
                let at = at.index(packet.len());
                packet[at] = byte;
            }
            for (at, byte) in vital {
                if let Some(place) = packet.get_mut(at) {
                    *place = byte;
                }
            }
            match resize {
                0 => packet.truncate(length.index(packet.len())),
                1 => packet.resize(packet.len() + length.index(200), 0xff),
                _ => {}
            }
            if fixed_length && packet.len() >= 8 {
                let total = packet.len() as u32;
                packet[4..8].copy_from_slice(&total.to_be_bytes());
            }
            packet
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_is_written_is_read_back(message in arbitrary::message()) {
        let packet = encoded(&message);
        prop_assert_eq!(bus::frame(&packet), Ok(Some(packet.len())));
        prop_assert_eq!(bus::kind_code(&packet), Some(message.body.code()));
        prop_assert_eq!(bus::decode(&packet), Ok(Packet::Full(message)));
    }

    #[test]
    fn packets_are_cut_out_of_a_stream_one_by_one(messages in vec(arbitrary::message(), 1..4), cut in any::<Index>()) {
        let mut stream = Vec::new();
        messages.iter().for_each(|message| bus::encode(message, &mut stream));
        let mut rest = stream.as_slice();
        for message in &messages {
            let length = bus::frame(rest).expect("a packet").expect("all of it");
            prop_assert_eq!(&full(&rest[..length]), message);
            prop_assert_eq!(bus::frame(&rest[..cut.index(length)]), Ok(None), "a part of a packet is no packet");
            rest = &rest[length..];
        }
        prop_assert_eq!(bus::frame(rest), Ok(None));
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in vec(any::<u8>(), 0..5000)) {
        let _ = bus::frame(&bytes);
        let _ = bus::kind_code(&bytes);
        prop_assert!(bus::decode(&bytes).is_err());
    }

    #[test]
    fn damage_is_read_as_some_message_or_refused(packet in damaged()) {
        if let Ok(Some(length)) = bus::frame(&packet) {
            prop_assert!((16..=packet.len()).contains(&length));
        }
        match bus::decode(&packet) {
            // What a packet was understood as can be written, and then means the same.
            Ok(Packet::Full(message)) => {
                prop_assert_eq!(full(&encoded(&message)), message);
                prop_assert_eq!(bus::frame(&packet), Ok(Some(packet.len())));
            }
            Ok(Packet::Light(body)) => {
                prop_assert!(matches!(body, Body::Publish(_) | Body::PublishShard(_) | Body::Module(_)));
            }
            Err(malformed) => prop_assert!(!malformed.to_string().contains('\n')),
        }
    }

    #[test]
    fn a_truncated_packet_is_refused(message in arbitrary::message(), cut in any::<Index>(), fixed_length: bool) {
        let mut packet = encoded(&message);
        packet.truncate(cut.index(packet.len()));
        if fixed_length && packet.len() >= 8 {
            let total = packet.len() as u32;
            packet[4..8].copy_from_slice(&total.to_be_bytes());
        }
        prop_assert!(bus::decode(&packet).is_err());
    }
}

#[test]
fn a_stream_of_something_else_is_noticed_at_its_first_byte() {
    assert_eq!(bus::frame(b""), Ok(None));
    assert_eq!(bus::frame(b"RCm"), Ok(None));
    assert_eq!(bus::frame(b"*1\r\n"), Err(NotTheBus::Signature));
    assert_eq!(bus::frame(b"RCx"), Err(NotTheBus::Signature));
}

/// The first sixteen bytes of a packet that claims a length and a kind.
fn start(length: u32, kind: u16) -> Vec<u8> {
    [&b"RCmb"[..], &length.to_be_bytes(), &[0, 1, 0, 0], &kind.to_be_bytes(), &[0, 0]].concat()
}

#[test]
fn lengths_are_limited_by_kind() {
    let [ping, publish, light_publish] = [0, 4, 0x8004];
    assert_eq!(bus::frame(&start(15, light_publish)), Err(NotTheBus::TooShort { length: 15 }));
    assert_eq!(bus::frame(&start(2255, ping)), Err(NotTheBus::TooShort { length: 2255 }));
    assert_eq!(bus::frame(&start(2256, ping)), Ok(None));
    assert_eq!(bus::frame(&start(2255, publish)), Err(NotTheBus::TooShort { length: 2255 }));
    assert_eq!(bus::frame(&start(2255, light_publish)), Ok(None));
    assert_eq!(bus::frame(&start(16, light_publish)), Ok(Some(16)));
    let most_gossip = 2256 + 104 * 65535;
    assert_eq!(bus::frame(&start(most_gossip, ping)), Ok(None));
    assert!(matches!(bus::frame(&start(16 << 20, ping)), Err(NotTheBus::TooLong { length: 0x100_0000, .. })));
    let two_longest_strings = 2256 + 8 + (1 << 30);
    assert_eq!(bus::frame(&start(two_longest_strings, publish)), Ok(None));
    assert!(matches!(bus::frame(&start(two_longest_strings + 1, publish)), Err(NotTheBus::TooLong { .. })));
    assert!(matches!(bus::frame(&start(u32::MAX, publish)), Err(NotTheBus::TooLong { .. })));
}

#[test]
fn what_has_no_place_in_a_packet_is_left_out() {
    let message = crate::bus_layout::ping();
    let mut odd = message.clone();
    let longest = "h".repeat(45);
    odd.header.address.host = Host::Name("h".repeat(46).into());
    assert_eq!(full(&encoded(&odd)).header.address.host, Host::Unknown);
    odd.header.address.host = Host::Name(longest.clone().into());
    assert_eq!(full(&encoded(&odd)).header.address.host, Host::Name(longest.into()));
    odd.header.address.host = Host::Name("a\nb".into());
    assert_eq!(full(&encoded(&odd)).header.address, Address { host: Host::Unknown, ..message.header.address });
}

#[test]
fn the_largest_heartbeats_are_packets() {
    let mut message = crate::bus_layout::ping();
    let entry = crate::bus_layout::gossip();
    let long = Extension::Other { kind: 9, payload: vec![7; 1 << 20] };
    let heartbeat = Heartbeat { gossip: vec![entry; 70_000], extensions: vec![long; 100] };
    message.body = Body::Ping(heartbeat);
    let packet = encoded(&message);
    assert_eq!(bus::frame(&packet), Ok(Some(packet.len())));
    let read = full(&packet);
    let heartbeat = read.heartbeat().expect("a ping");
    assert_eq!(heartbeat.gossip.len(), 65535);
    let lengths: Vec<usize> = heartbeat.extensions.iter().map(payload_length).collect();
    assert_eq!(lengths, [65520; 64], "as much of each as its length can say, and as many as there is room for");
    assert_eq!(encoded(&read), packet);
}

fn payload_length(extension: &Extension) -> usize {
    let Extension::Other { payload, .. } = extension else { panic!("not what was sent: {extension:?}") };
    payload.len()
}

#[test]
fn an_id_of_anything_but_hex_is_refused() {
    let packet = encoded(&crate::bus_layout::ping());
    for (at, of) in [(40, "sender"), (2128, "sender's primary")] {
        let mut bad = packet.clone();
        bad[at..at + 40].fill(b'g');
        assert_eq!(bus::decode(&bad), Err(Malformed::NodeId { of }));
        bad[at..at + 40].fill(b'A');
        assert_eq!(bus::decode(&bad), Err(Malformed::NodeId { of }));
    }
}
