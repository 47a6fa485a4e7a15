//! The nodes.conf that a server under test starts with. Knows the format as redis-server reads it.

use super::peer::Standing;
use slotbus_core::{Address, Flags};

/// A file that tells a server who it is, whom it knows, and in which epoch it voted last. The current
/// epoch is the greatest that a node claims, unless the script says which.
///
/// Replicas stand first: redis-server gives a primary that gets its first slot a flag that depends
/// on whether it has read of any replica before.
pub(super) fn nodes_conf(me: &Standing, others: &[Standing], voted: u64) -> String {
    let mut nodes: Vec<_> = others.iter().map(|other| (other, "")).chain([(me, "myself,")]).collect();
    nodes.sort_by_key(|(node, _)| node.primary.is_none());
    let greatest = nodes.iter().map(|(node, _)| node.config_epoch).max().unwrap_or_default();
    let epoch = if me.current_epoch > 0 { me.current_epoch } else { greatest };
    let lines: String = nodes.iter().map(|(node, myself)| conf_line(node, myself)).collect();
    format!("{lines}vars currentEpoch {epoch} lastVoteEpoch {voted}\n")
}

/// One line of nodes.conf.
fn conf_line(node: &Standing, myself: &str) -> String {
    let role = if node.primary.is_some() { "slave" } else { "master" };
    let failed = [(Flags::PFAIL, ",fail?"), (Flags::FAIL, ",fail"), (Flags::NOADDR, ",noaddr")];
    let flags: String = failed.iter().filter(|(flag, _)| node.flags.contains(*flag)).map(|(_, word)| *word).collect();
    let primary = node.primary.map_or("-".to_owned(), |id| id.to_string());
    let slots = if node.primary.is_some() { String::new() } else { node.slots.to_string() };
    let Address { port, cport, .. } = node.address;
    let line = format!(
        "{} 127.0.0.1:{port}@{cport} {myself}{role}{flags} {primary} 0 0 {} connected {slots}",
        node.id, node.config_epoch
    );
    format!("{}\n", line.trim_end())
}
