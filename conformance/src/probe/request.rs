//! A client's command as what it asks of the protocol, and the model's answer as a server words it.
//! Knows redis-server's command language; decides nothing.

use redis::Value;
use slotbus_core::{
    CLUSTER_SLOTS, Command, Config, FailoverMode, Host, NodeId, Reply, Slot, SlotChange, message::Publication,
};

/// What a command asks of the protocol: one reading, or one for each answer to the question whether
/// the server holds keys, which only its reply tells. None if it asks nothing, or is malformed.
pub(super) fn readings(words: &[String], new_id: NodeId) -> Vec<Command> {
    let lower: Vec<String> = words.iter().map(|word| word.to_ascii_lowercase()).collect();
    let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
    let mut readings: Vec<_> =
        [false, true].into_iter().filter_map(|has_keys| reading(&lower, words, new_id, has_keys)).collect();
    readings.dedup();
    readings
}

fn reading(lower: &[&str], words: &[String], new_id: NodeId, has_keys: bool) -> Option<Command> {
    Some(match lower {
        ["publish", ..] | ["spublish", ..] => Command::Publish {
            publication: Publication {
                channel: words.get(1)?.clone().into_bytes(),
                payload: words.get(2)?.clone().into_bytes(),
            },
            sharded: lower[0] == "spublish",
        },
        ["cluster", "meet", host, port] => {
            let port: u16 = port.parse().ok()?;
            Command::Meet { host: ip(host)?, port, cport: port.checked_add(10_000)? }
        }
        ["cluster", "meet", host, port, cport] => {
            Command::Meet { host: ip(host)?, port: port.parse().ok()?, cport: cport.parse().ok()? }
        }
        ["cluster", "forget", id] => Command::Forget(id.parse().ok()?),
        ["cluster", "addslots", slots @ ..] => Command::AddSlots(list(slots)?),
        ["cluster", "delslots", slots @ ..] => Command::DelSlots(list(slots)?),
        ["cluster", "addslotsrange", bounds @ ..] => Command::AddSlots(ranges(bounds)?),
        ["cluster", "delslotsrange", bounds @ ..] => Command::DelSlots(ranges(bounds)?),
        ["cluster", "bumpepoch"] => Command::BumpEpoch,
        ["cluster", "set-config-epoch", epoch] => Command::SetConfigEpoch(epoch.parse().ok()?),
        ["cluster", "saveconfig"] => Command::SaveConfig,
        ["cluster", "flushslots"] => Command::FlushSlots { has_keys },
        ["cluster", "setslot", number, change @ ..] => {
            Command::SetSlot { slot: slot(number)?, change: slot_change(change)?, has_keys }
        }
        ["cluster", "replicate", id] => Command::Replicate { primary: id.parse().ok()?, has_keys },
        ["cluster", "failover"] => Command::Failover(FailoverMode::Coordinated),
        ["cluster", "failover", "force"] => Command::Failover(FailoverMode::Force),
        ["cluster", "failover", "takeover"] => Command::Failover(FailoverMode::Takeover),
        ["cluster", "reset"] | ["cluster", "reset", "soft"] => Command::Reset { hard: None, has_keys },
        ["cluster", "reset", "hard"] => Command::Reset { hard: Some(new_id), has_keys },
        _ => return None,
    })
}

fn ip(text: &str) -> Option<Host> {
    text.parse::<std::net::IpAddr>().ok().map(Host::Ip)
}

fn slot(text: &str) -> Option<Slot> {
    text.parse().ok().filter(|&number: &u16| usize::from(number) < CLUSTER_SLOTS).map(Slot)
}

fn list(words: &[&str]) -> Option<Vec<Slot>> {
    words.iter().map(|word| slot(word)).collect()
}

fn ranges(bounds: &[&str]) -> Option<Vec<Slot>> {
    let mut slots = Vec::new();
    for pair in bounds.chunks(2) {
        let [start, end] = pair else { return None };
        let (start, end) = (slot(start)?, slot(end)?);
        if start > end {
            return None;
        }
        slots.extend((start.0..=end.0).map(Slot));
    }
    Some(slots)
}

fn slot_change(words: &[&str]) -> Option<SlotChange> {
    Some(match words {
        ["stable"] => SlotChange::Stable,
        ["migrating", id] => SlotChange::Migrating(id.parse().ok()?),
        ["importing", id] => SlotChange::Importing(id.parse().ok()?),
        ["node", id] => SlotChange::Node(id.parse().ok()?),
        _ => return None,
    })
}

/// Whether a server's reply is the model's. The reply to a publication counts listeners.
pub(super) fn is_answer(command: &Command, model: &Reply, seen: &Value) -> bool {
    matches!(command, Command::Publish { .. }) || show(seen) == worded(model)
}

/// The model's answer in redis-server's words.
pub(super) fn worded(reply: &Reply) -> String {
    match reply {
        Reply::Done => "OK".to_owned(),
        Reply::Bumped(epoch) => format!("BUMPED {epoch}"),
        Reply::Still(epoch) => format!("STILL {epoch}"),
        Reply::Refused(refusal) => format!("ERR {refusal}"),
    }
}

/// A reply in one line.
pub(super) fn show(reply: &Value) -> String {
    if let Value::ServerError(error) = reply {
        return format!("{} {}", error.code(), error.details().unwrap_or_default());
    }
    if *reply == Value::Okay {
        return "OK".to_owned();
    }
    redis::from_redis_value_ref::<String>(reply).unwrap_or_else(|_| format!("{reply:?}"))
}

/// Makes a configuration say what directives say; those that the protocol does not read are left out.
pub(super) fn configure(config: &mut Config, directive: &str, value: &str) {
    let is_yes = value == "yes";
    match directive {
        "cluster-node-timeout" => set(&mut config.timing.node_timeout_ms, value),
        "cluster-announce-ip" => config.announce_host = value.parse().unwrap_or_default(),
        "cluster-announce-port" => set(&mut config.port, value),
        "cluster-announce-bus-port" => set(&mut config.cport, value),
        "cluster-announce-hostname" => config.hostname = value.into(),
        "cluster-require-full-coverage" => config.require_full_coverage = is_yes,
        "cluster-allow-replica-migration" => config.allow_replica_migration = is_yes,
        "cluster-replica-no-failover" => config.replica_no_failover = is_yes,
        "cluster-replica-validity-factor" => set(&mut config.replica_validity_factor, value),
        "cluster-migration-barrier" => set(&mut config.migration_barrier, value),
        _ => {}
    }
}

fn set<T: std::str::FromStr>(place: &mut T, value: &str) {
    if let Ok(value) = value.parse() {
        *place = value;
    }
}
