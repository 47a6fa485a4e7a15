//! Makes of a server that runs already what a script begins with, by commands alone. Owns which
//! scripts can begin so; knows no bus.

use super::{
    client::Client,
    field::Field,
    script::{Script, ServerSpec, Verb},
};
use slotbus_core::NodeId;
use std::{
    thread,
    time::{Duration, Instant},
};

/// A handshake takes a few crons.
const KNOWN_WITHIN: Duration = Duration::from_secs(5);
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// What scripts change, as it is by default.
const DEFAULTS: [(&str, &str); 9] = [
    ("cluster-announce-ip", ""),
    ("cluster-announce-port", "0"),
    ("cluster-announce-bus-port", "0"),
    ("cluster-announce-hostname", ""),
    ("cluster-require-full-coverage", "yes"),
    ("cluster-allow-replica-migration", "yes"),
    ("cluster-replica-no-failover", "no"),
    ("cluster-replica-validity-factor", "10"),
    ("cluster-migration-barrier", "1"),
];

/// Why a script cannot be played to a server that runs already; none if it can.
#[must_use]
pub fn obstacle(script: &Script) -> Option<&'static str> {
    let spec = script.servers.first()?;
    let is_told = |field: &Field| matches!(field, Field::Epoch(_) | Field::Slots(_) | Field::Of(Some(_)));
    let is_process =
        |verb: &Verb| matches!(verb, Verb::Kill | Verb::Restart | Verb::Saved | Verb::KeepDisk | Verb::RestoreDisk);
    if script.steps.iter().any(|step| is_process(&step.verb)) {
        return Some("it is about the server's process or file");
    }
    if spec.voted > 0 || !spec.fields.iter().all(is_told) {
        return Some("no command gives a server such a past");
    }
    if script.peers.iter().any(|peer| peer.is_known && (peer.is_absent || peer.fields.iter().any(is_flag))) {
        return Some("the server would have to know a node that was never there, or never well");
    }
    None
}

fn is_flag(field: &Field) -> bool {
    matches!(field, Field::Flags(_))
}

/// A server that was made to forget.
pub(super) struct Reset {
    /// For how long it has run.
    pub(super) uptime_ms: u64,
    /// What it would have saved: who it is, and at which address, which it does not forget.
    pub(super) nodes_conf: String,
}

/// Makes the server one that knows nobody, with these directives.
pub(super) fn reset(client: &mut Client, directives: &[String]) -> Result<Reset, String> {
    // A replica refuses the first of these, and a primary with keys would refuse the second without it.
    let _ = client.text(&["FLUSHALL"]);
    client.text(&["CLUSTER", "RESET", "HARD"])?;
    client.text(&["FLUSHALL"])?;
    for (directive, value) in DEFAULTS {
        // A server of another version may lack it: then no script is about it.
        let _ = client.text(&["CONFIG", "SET", directive, value]);
    }
    for (directive, value) in directives.iter().zip(&directives[1..]) {
        if let Some(directive) = directive.strip_prefix("--cluster-").filter(|name| *name != "enabled") {
            client.text(&["CONFIG", "SET", &format!("cluster-{directive}"), value])?;
        }
    }
    let info = client.text(&["INFO", "server"])?;
    let uptime_s = info.lines().find_map(|line| line.strip_prefix("uptime_in_seconds:")?.trim().parse::<u64>().ok());
    let nodes = client.text(&["CLUSTER", "NODES"])?;
    let nodes_conf = format!("{nodes}vars currentEpoch 0 lastVoteEpoch 0\n");
    Ok(Reset { uptime_ms: uptime_s.unwrap_or_default() * 1000, nodes_conf })
}

/// Gives the server its epoch and slots, and has it meet the nodes that it is to know.
pub(super) fn introduce(client: &mut Client, spec: &ServerSpec, known: &[u16]) -> Result<(), String> {
    for field in &spec.fields {
        if let Field::Epoch(epoch) = field {
            client.text(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch.to_string()])?;
        }
        if let Field::Slots(slots) = field {
            for (first, last) in slots.runs() {
                client.text(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()])?;
            }
        }
    }
    for port in known {
        client.text(&["CLUSTER", "MEET", "127.0.0.1", &port.to_string()])?;
    }
    let deadline = Instant::now() + KNOWN_WITHIN;
    loop {
        let nodes = client.text(&["CLUSTER", "NODES"])?;
        if nodes.lines().count() == known.len() + 1 && !nodes.contains("handshake") {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err("the server does not get to know the peers".to_owned());
        }
        thread::sleep(POLL_INTERVAL);
    }
}

/// The primary that the server follows at first.
pub(super) fn primary_of(spec: &ServerSpec) -> Option<&str> {
    spec.fields.iter().find_map(|field| if let Field::Of(Some(name)) = field { Some(name.as_str()) } else { None })
}

/// Has the server follow a primary.
pub(super) fn follow(client: &mut Client, primary: NodeId) -> Result<(), String> {
    client.text(&["CLUSTER", "REPLICATE", &primary.to_string()]).map(|_| ())
}
