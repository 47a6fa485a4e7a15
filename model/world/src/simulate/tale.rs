//! Owns how a simulation is told: one line for each step and each act. Judges nothing.

use crate::story::{link_name, rules};
use slotbus_core::{Body, CLUSTER_SLOTS, Command, Effect, Effects, Event, Message, NodeId, Rule};
use std::{collections::BTreeMap, fmt::Write as _};

/// One line of a run's schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When, in virtual time.
    pub at_ms: u64,
    /// Whose step it was, or none for what was done from outside.
    pub machine: Option<usize>,
    /// Whether it is only a heartbeat that changes nothing but times.
    pub is_routine: bool,
    /// What happened.
    pub text: String,
}

impl Line {
    /// The line as it is shown.
    #[must_use]
    pub fn shown(&self) -> String {
        let who = self.machine.map_or_else(|| "--".into(), |machine| format!("n{machine}"));
        format!("{:>9} {who:<4} {}", self.at_ms, self.text)
    }
}

/// What an event says, before the node takes it.
#[must_use]
pub fn event(event: &Event<CLUSTER_SLOTS>, names: &BTreeMap<NodeId, usize>) -> String {
    match event {
        Event::LinkUp { link, remote, .. } => format!("{} to {remote} is up", link_name(*link)),
        Event::LinkDown { link } => format!("{} is down", link_name(*link)),
        Event::LinkRefused { link } => format!("{} is refused", link_name(*link)),
        Event::Received { message, .. } => format!("receives {}", message_text(message, names)),
        Event::Tick => "ticks".into(),
        Event::Admin { command, .. } => format!("is asked to {}", command_text(command, names)),
        Event::Configured(_) => "is configured".into(),
        Event::Loaded { .. } => "has loaded its data".into(),
        Event::Replication(replication) => format!("replication stands at {}", replication.offset),
        Event::Backlogged { link } => format!("{} is backlogged", link_name(*link)),
    }
}

/// What a step did, after what set it off.
#[must_use]
pub fn effects(effects: &Effects<CLUSTER_SLOTS>, names: &BTreeMap<NodeId, usize>) -> String {
    let mut text = format!(": {}", rules(&effects.rules));
    if let Some(persist) = &effects.persist {
        text.push_str(if persist.sync { "; saves and syncs" } else { "; saves" });
    }
    for effect in &effects.then {
        match effect {
            Effect::Send { message, .. } if message.heartbeat().is_none() => {
                let _ = write!(text, "; sends {}", message_text(message, names));
            }
            Effect::Follow { primary, .. } => {
                let _ = write!(text, "; replicates {}", name(primary, names));
            }
            Effect::Reply { reply, .. } => {
                let _ = write!(text, "; answers {reply:?}");
            }
            Effect::Lead => text.push_str("; leads"),
            Effect::Send { .. }
            | Effect::Connect { .. }
            | Effect::Close { .. }
            | Effect::PauseWrites { .. }
            | Effect::ResumeWrites
            | Effect::DropKeys { .. }
            | Effect::DropAllKeys
            | Effect::Deliver { .. } => {}
        }
    }
    text
}

/// Whether a step is only a heartbeat's part.
#[must_use]
pub fn is_routine(effects: &Effects<CLUSTER_SLOTS>) -> bool {
    effects.persist.is_none()
        && effects.rules.iter().all(|rule| {
            matches!(
                rule,
                Rule::PingAnswered
                    | Rule::PingReturned
                    | Rule::PingChosen
                    | Rule::PingOverdue
                    | Rule::GossipSent
                    | Rule::GossipFresher
                    | Rule::GossipIntroduced
                    | Rule::LinkOpened
                    | Rule::LinkUpPing
                    | Rule::LinkBound
                    | Rule::HealthReported
            )
        })
}

fn name(id: &NodeId, names: &BTreeMap<NodeId, usize>) -> String {
    names.get(id).map_or_else(|| format!("{id:.8}"), |place| format!("n{place}"))
}

fn message_text(message: &Message<CLUSTER_SLOTS>, names: &BTreeMap<NodeId, usize>) -> String {
    let header = &message.header;
    let kind = message.body.name().to_uppercase();
    let mut text =
        format!("{kind} of {} (epoch {}/{}", name(&header.sender, names), header.config_epoch, header.current_epoch);
    match &header.primary {
        Some(primary) => {
            let _ = write!(text, ", replica of {}", name(primary, names));
        }
        None => {
            let _ = write!(text, ", primary of {} slots", header.slots.len());
        }
    }
    match &message.body {
        Body::Fail(id) => {
            let _ = write!(text, ", {} failed", name(id, names));
        }
        Body::Update(claim) => {
            let (who, count) = (name(&claim.node, names), claim.slots.len());
            let _ = write!(text, ", {who} has epoch {} and {count} slots", claim.config_epoch);
        }
        Body::Ping(_)
        | Body::Pong(_)
        | Body::Meet(_)
        | Body::Publish(_)
        | Body::FailoverAuthRequest
        | Body::FailoverAuthAck
        | Body::ManualFailoverStart
        | Body::Module(_)
        | Body::PublishShard(_) => {}
    }
    text.push(')');
    text
}

fn command_text(command: &Command, names: &BTreeMap<NodeId, usize>) -> String {
    match command {
        Command::Meet { host, .. } => format!("MEET {host}"),
        Command::Forget(id) => format!("FORGET {}", name(id, names)),
        Command::AddSlots(slots) => format!("ADDSLOTS ({} slots)", slots.len()),
        Command::DelSlots(slots) => format!("DELSLOTS ({} slots)", slots.len()),
        Command::BumpEpoch => "BUMPEPOCH".into(),
        Command::SetConfigEpoch(epoch) => format!("SET-CONFIG-EPOCH {epoch}"),
        Command::SaveConfig => "SAVECONFIG".into(),
        Command::FlushSlots { .. } => "FLUSHSLOTS".into(),
        Command::SetSlot { slot, change, .. } => format!("SETSLOT {slot} {change:?}"),
        Command::Replicate { primary, .. } => format!("REPLICATE {}", name(primary, names)),
        Command::Failover(mode) => format!("FAILOVER {mode:?}"),
        Command::Reset { .. } => "RESET".into(),
        Command::Publish { .. } => "PUBLISH".into(),
    }
}
