//! Owns which bytes of a packet an implementation may choose when its time and its dice are its own.
//! Knows the layout of the bus by its offsets, and no rule.

/// Where, and how many bytes; 0 for all that follow.
pub(super) type Mask = (usize, usize);

/// Where the kind of a packet stands.
const KIND_AT: usize = 12;
/// The kinds that tell of other nodes.
const HEARTBEATS: std::ops::RangeInclusive<u8> = 0..=2;
/// Replication offset, own address, extensions, unused bytes, the sender's view of the cluster, and what
/// is special about the message.
const HEADER: [Mask; 4] = [(32, 8), (2168, 78), (2252, 1), (2253, 3)];
/// Beside those: length, number of entries, and all entries.
const GOSSIP: [Mask; 3] = [(4, 4), (14, 2), (2256, 0)];

/// The mask of a packet.
pub(super) fn of(packet: &[u8]) -> Vec<Mask> {
    let is_heartbeat = packet.get(KIND_AT + 1).is_some_and(|kind| HEARTBEATS.contains(kind));
    let gossip = GOSSIP.iter().filter(|_| is_heartbeat);
    HEADER.iter().chain(gossip).copied().collect()
}

/// A packet without what the mask hides.
pub(super) fn masked(packet: &[u8], mask: &[Mask]) -> Vec<u8> {
    let mut bytes = packet.to_vec();
    for &(start, count) in mask {
        let start = start.min(bytes.len());
        if count == 0 {
            bytes.truncate(start);
        }
        let end = start.saturating_add(count).min(bytes.len());
        bytes[start..end].fill(0);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn what_is_hidden_does_not_count() {
        assert_eq!(masked(&[1, 2, 3, 4, 5], &[(1, 2), (4, 0)]), [1, 0, 0, 4]);
        assert_eq!(masked(&[1, 2], &[(1, 9), (7, 1), (5, 0)]), [1, 0]);
    }
}
