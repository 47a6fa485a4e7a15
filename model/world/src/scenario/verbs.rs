//! Owns the words of scenarios: reads one line, and has the cluster do what it says. Knows nothing
//! of how that is done.

use super::{
    SLOTS,
    build::Part,
    cluster::{Cluster, DAWN},
    forge::{publication, slot_list},
    telling::Detail,
    wire::{OPENER, TARGET},
};
use crate::place::Place;
use slotbus_core::{
    Command, Config, Event, FailoverMode, Host as Ip, LinkId, Millis, NodeId, Profile, Replication, SlotChange, SlotSet,
};
use std::sync::Arc;

/// Nothing new for this long is quiet ...
const QUIET_MS: u64 = 4500;
/// ... which must come about in this time.
const SETTLE_MS: u64 = 120_000;

/// A scenario that needs more time at one go has lost its way.
const ADVANCE_MAX_MS: u64 = 600_000;

/// Does what a line says.
pub(super) fn perform(cluster: &mut Cluster, line: &str) -> Result<(), String> {
    let words: Vec<_> = line.split_whitespace().collect();
    let [verb, rest @ ..] = words.as_slice() else { return Ok(()) };
    match (*verb, rest) {
        ("profile", [name, changes @ ..]) => profile(cluster, name, changes),
        ("config", settings) => settings.iter().try_for_each(|setting| configure(&mut cluster.config, setting)),
        ("configure", [host, settings @ ..]) => configure_host(cluster, place_of(host)?, settings),
        ("nodes", names) => names.iter().try_for_each(|name| cluster.add_host(place_of(name)?)),
        ("cluster", parts) => form(cluster, parts),
        ("admin", [host, command @ ..]) => admin(cluster, place_of(host)?, command),
        ("tick", [host]) => cluster.tick(place_of(host)?),
        ("tick", [host, count]) => cluster.tick_often(place_of(host)?, number(count)?),
        ("advance", [duration]) => {
            cluster.story.detail = Detail::News;
            let duration_ms = number(duration)?;
            if duration_ms > ADVANCE_MAX_MS {
                return Err(format!("no more than {ADVANCE_MAX_MS} ms pass at one go"));
            }
            let end = cluster.now.after(duration_ms);
            cluster.advance_to(end)
        }
        ("settle", []) => {
            cluster.story.detail = Detail::News;
            cluster.wait_for_quiet(QUIET_MS, SETTLE_MS)
        }
        ("deliver", []) => cluster.deliver(),
        ("deliver", [path]) => {
            let (from, to) = path_of(path)?;
            cluster.deliver_from(from, to)
        }
        ("drop", [path]) => drop_between(cluster, path),
        ("send", [path, kind, changes @ ..]) => send(cluster, path, kind, changes),
        ("replication", [host, offset, age @ ..]) => replication(cluster, place_of(host)?, offset, age),
        ("loaded", [host, slots]) => cluster.step(place_of(host)?, Event::Loaded { slots: slots_of(slots)? }),
        ("backlog", [path]) => backlog(cluster, path),
        ("unknown-link", [host]) => cluster.step(place_of(host)?, Event::LinkDown { link: LinkId::Inbound(u32::MAX) }),
        ("show", hosts) => hosts.iter().try_for_each(|host| show(cluster, place_of(host)?)),
        (verb, arguments) => fault(cluster, verb, arguments),
    }
}

/// Verbs that harm hosts and the network, and that repair them.
fn fault(cluster: &mut Cluster, verb: &str, arguments: &[&str]) -> Result<(), String> {
    match (verb, arguments) {
        ("kill", [host]) => cluster.kill(place_of(host)?, true),
        ("power-off", [host]) => cluster.kill(place_of(host)?, false),
        ("restart", [host]) => cluster.start(place_of(host)?),
        ("freeze", [host]) => {
            cluster.host_mut(place_of(host)?)?.is_frozen = true;
            Ok(())
        }
        ("thaw", [host]) => {
            cluster.host_mut(place_of(host)?)?.is_frozen = false;
            Ok(())
        }
        ("cut", [left, right]) => {
            cluster.parted.insert((place_of(left)?, place_of(right)?));
            Ok(())
        }
        ("heal", []) => {
            cluster.parted.clear();
            cluster.unrouted.clear();
            Ok(())
        }
        ("break", [left, right]) => cluster.break_links(place_of(left)?, place_of(right)?),
        ("unroute", [path]) => {
            let pair = path_of(path)?;
            cluster.unrouted.insert(pair);
            Ok(())
        }
        ("move", [host, ip]) => move_host(cluster, place_of(host)?, ip),
        _ => Err(format!("there is no verb `{verb}` with {} arguments", arguments.len())),
    }
}

/// The place that a letter names.
pub(super) fn place_of(name: &str) -> Result<Place, String> {
    match name.as_bytes() {
        [letter @ b'a'..=b'z'] => Ok(Place(letter - b'a')),
        _ => Err(format!("`{name}` is no host: hosts are letters")),
    }
}

fn path_of(path: &str) -> Result<(Place, Place), String> {
    let (from, to) = path.split_once("->").ok_or_else(|| format!("`{path}` is no FROM->TO"))?;
    Ok((place_of(from)?, place_of(to)?))
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("`{text}` is no number"))
}

pub(super) fn host_of(text: &str) -> Ip {
    let Ok(host) = text.parse();
    host
}

/// The set of slots that a text like `0-3,7` names; `none` names none.
pub(super) fn slots_of(text: &str) -> Result<SlotSet<SLOTS>, String> {
    let mut slots = SlotSet::new();
    for part in text.split(',').filter(|part| *part != "none") {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let slot = |text: &str| text.parse::<u16>().map_err(|_| format!("`{text}` is no slot"));
        SlotSet::<SLOTS>::range(slot(first)?, slot(last)?).iter().for_each(|slot| {
            slots.insert(slot);
        });
    }
    Ok(slots)
}

/// A profile by its name, with variants switched on (`+name`) or off (`-name`).
fn profile(cluster: &mut Cluster, name: &str, changes: &[&str]) -> Result<(), String> {
    let mut profile = Profile::named(name).ok_or_else(|| format!("there is no profile `{name}`"))?;
    for change in changes {
        let (name, on) = match change.strip_prefix('+') {
            Some(name) => (name, true),
            None => (change.strip_prefix('-').ok_or_else(|| format!("`{change}` is no +NAME or -NAME"))?, false),
        };
        if !profile.set(name, on) {
            return Err(format!("a profile has no variant `{name}`"));
        }
    }
    cluster.config.profile = profile;
    Ok(())
}

fn configure(config: &mut Config, setting: &str) -> Result<(), String> {
    let (key, value) = setting.split_once('=').ok_or_else(|| format!("`{setting}` is no KEY=VALUE"))?;
    let yes_or_no = || match value {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err(format!("`{value}` is neither yes nor no")),
    };
    match key {
        "node-timeout" => config.timing.node_timeout_ms = number(value)?,
        "full-coverage" => config.require_full_coverage = yes_or_no()?,
        "replica-migration" => config.allow_replica_migration = yes_or_no()?,
        "no-failover" => config.replica_no_failover = yes_or_no()?,
        "migration-barrier" => config.migration_barrier = usize::try_from(number(value)?).map_err(|_| "too many")?,
        "validity-factor" => config.replica_validity_factor = number(value)?,
        "announce-ip" => config.announce_host = host_of(value),
        "hostname" => config.hostname = value.into(),
        _ => return Err(format!("there is no setting `{key}`")),
    }
    Ok(())
}

fn configure_host(cluster: &mut Cluster, place: Place, settings: &[&str]) -> Result<(), String> {
    let host = cluster.host_mut(place)?;
    let config = Arc::make_mut(&mut host.config);
    settings.iter().try_for_each(|setting| configure(config, setting))?;
    let config = host.config.clone();
    cluster.step(place, Event::Configured(config))
}

/// Parts of a cluster: `a=0-5` a primary, `b=none` one without slots, `c>a` a replica.
fn form(cluster: &mut Cluster, parts: &[&str]) -> Result<(), String> {
    let part = |text: &&str| match (text.split_once('='), text.split_once('>')) {
        (Some((place, slots)), _) => Ok(Part::Primary(place_of(place)?, slots_of(slots)?)),
        (None, Some((place, primary))) => Ok(Part::Replica(place_of(place)?, place_of(primary)?)),
        (None, None) => Err(format!("`{text}` is no part of a cluster")),
    };
    let parts = parts.iter().map(part).collect::<Result<Vec<_>, _>>()?;
    cluster.form(&parts)
}

fn admin(cluster: &mut Cluster, place: Place, words: &[&str]) -> Result<(), String> {
    let command = command(cluster, place, words)?;
    cluster.command(place, command)
}

fn command(cluster: &Cluster, place: Place, words: &[&str]) -> Result<Command, String> {
    let (words, has_keys) = match words {
        [words @ .., "keys"] => (words, true),
        words => (words, false),
    };
    let id = |name: &str| -> Result<NodeId, String> { Ok(cluster.story.id(place_of(name)?)) };
    Ok(match words {
        ["meet", name] => cluster.meet_of(place_of(name)?),
        ["meet", host, port] => {
            let port = port.parse().map_err(|_| format!("`{port}` is no port"))?;
            Command::Meet { host: host_of(host), port, cport: super::cluster::BUS_PORT }
        }
        ["forget", name] => Command::Forget(id(name)?),
        ["addslots", slots] => Command::AddSlots(slot_list(slots)?),
        ["delslots", slots] => Command::DelSlots(slot_list(slots)?),
        ["bumpepoch"] => Command::BumpEpoch,
        ["set-config-epoch", epoch] => Command::SetConfigEpoch(number(epoch)?),
        ["saveconfig"] => Command::SaveConfig,
        ["flushslots"] => Command::FlushSlots { has_keys },
        ["setslot", slot, change @ ..] => {
            let slot = slotbus_core::Slot(slot.parse().map_err(|_| format!("`{slot}` is no slot"))?);
            let change = match change {
                ["migrating", name] => SlotChange::Migrating(id(name)?),
                ["importing", name] => SlotChange::Importing(id(name)?),
                ["node", name] => SlotChange::Node(id(name)?),
                ["stable"] => SlotChange::Stable,
                _ => return Err("setslot takes migrating, importing, node or stable".into()),
            };
            Command::SetSlot { slot, change, has_keys }
        }
        ["replicate", name] => Command::Replicate { primary: id(name)?, has_keys },
        ["failover"] => Command::Failover(FailoverMode::Coordinated),
        ["failover", "force"] => Command::Failover(FailoverMode::Force),
        ["failover", "takeover"] => Command::Failover(FailoverMode::Takeover),
        ["reset"] => Command::Reset { hard: None, has_keys },
        ["reset", "hard"] => Command::Reset { hard: Some(NodeId([b'A' + place.0; 20])), has_keys },
        ["publish"] => Command::Publish { publication: publication(), sharded: false },
        ["spublish"] => Command::Publish { publication: publication(), sharded: true },
        _ => return Err(format!("there is no command `{}`", words.join(" "))),
    })
}

/// Loses what is on the way from one host to another.
fn drop_between(cluster: &mut Cluster, path: &str) -> Result<(), String> {
    let (from, to) = path_of(path)?;
    for wire in cluster.wires.iter_mut().filter(|wire| wire.joins(from, to)) {
        wire.ends.iter_mut().filter(|end| end.place == Some(to)).for_each(|end| end.incoming.clear());
    }
    Ok(())
}

/// Hands the receiver a message made by hand, on the connection that the sender opened to it or, with
/// `back` as the first change, on its own to the sender.
fn send(cluster: &mut Cluster, path: &str, kind: &str, changes: &[&str]) -> Result<(), String> {
    let (from, to) = path_of(path)?;
    let (is_back, changes) = match changes {
        ["back", changes @ ..] => (true, changes),
        changes => (false, changes),
    };
    let message = cluster.forge(from, kind, changes)?;
    let side = if is_back { OPENER } else { TARGET };
    let link = cluster.wires.iter().find_map(|wire| {
        let (end, other) = (&wire.ends[side], &wire.ends[1 - side]);
        let fits = end.is_up && end.is_open && (end.place, other.place) == (Some(to), Some(from));
        end.link.filter(|_| fits)
    });
    let link = match link {
        Some(link) => link,
        None if Cluster::is_stranger(from) && !is_back => cluster.stranger_wire(from, to)?,
        None => return Err(format!("{to} has no such connection with {from}")),
    };
    cluster.hand_over(to, link, message)
}

/// `offset=N`, then `age=MS` if it was not in step with its primary until now.
fn replication(cluster: &mut Cluster, place: Place, offset: &str, age: &[&str]) -> Result<(), String> {
    let value = |text: &str, key: &str| {
        let value = text.strip_prefix(key).and_then(|rest| rest.strip_prefix('='));
        number(value.ok_or_else(|| format!("`{text}` is no {key}=N"))?)
    };
    let age_ms = age.first().map_or(Ok(0), |age| value(age, "age"))?;
    let fresh_at = Some(Millis(cluster.now.0.saturating_sub(age_ms)));
    cluster.step(place, Event::Replication(Replication { offset: value(offset, "offset")?, fresh_at }))
}

fn backlog(cluster: &mut Cluster, path: &str) -> Result<(), String> {
    let (from, to) = path_of(path)?;
    let mut ends = cluster.wires.iter().map(|wire| &wire.ends);
    let link = ends.find(|ends| (ends[OPENER].place, ends[TARGET].place) == (Some(from), Some(to)));
    let link = link.and_then(|ends| ends[OPENER].link).ok_or_else(|| format!("no connection {path}"))?;
    cluster.step(from, Event::Backlogged { link })
}

fn move_host(cluster: &mut Cluster, place: Place, ip: &str) -> Result<(), String> {
    cluster.host_mut(place)?.ip = host_of(ip);
    let others: Vec<_> = cluster.hosts.keys().copied().filter(|&other| other != place).collect();
    others.into_iter().try_for_each(|other| cluster.break_links(place, other))
}

fn show(cluster: &mut Cluster, place: Place) -> Result<(), String> {
    let at_ms = cluster.now.since(DAWN);
    let mut text = String::new();
    match cluster.host(place)?.node.as_ref() {
        None => text = format!("{place}: down"),
        Some(node) => cluster.story.teller().node(&mut text, place, node),
    }
    cluster.story.line(&format!("at {at_ms} ms"));
    text.lines().for_each(|line| cluster.story.line(line));
    Ok(())
}
