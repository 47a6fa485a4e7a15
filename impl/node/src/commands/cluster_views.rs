//! Owns the commands that show the protocol's state: CLUSTER INFO, NODES, SLOTS, SHARDS, LINKS and
//! the like.
//!
//! Must not change anything.

use super::{
    cluster::{bus, node_id, unknown_node},
    not_an_integer,
};
use crate::{bus::ClusterNode, client::Session, link::Link, server::Server};
use slotbus_core::{
    Address, CLUSTER_SLOTS, ClusterState, Flags, Host, LinkId, NodeId, Peer, Pos, Slot, route::key_slot,
};
use slotbus_wire::{
    nodes_conf::node_line,
    resp::{Args, Reply, parse_i64},
};
use std::{collections::BTreeMap, fmt::Write};

type ClusterPeer = Peer<CLUSTER_SLOTS>;

pub(super) fn myid<'e>(server: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    bus(server).map_or_else(|refusal| refusal, |bus| Reply::text(bus.node().id().to_string()))
}

pub(super) fn myshardid<'e>(server: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    show(server, |_, node| Ok(Reply::text(node.shard(node.me()).to_string())))
}

pub(super) fn keyslot<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    bus(server).map_or_else(|refusal| refusal, |_| Reply::Integer(key_slot(args.at(2)).0.into()))
}

pub(super) fn nodes<'e>(server: &'e mut Server, session: &mut Session, _: Args<'e>) -> Reply<'e> {
    if let Err(refusal) = bus(server) {
        return refusal;
    }
    let Some(bus) = &server.bus else { return Reply::Null };
    let positions = bus.node().peers().positions();
    let lines: String = positions.map(|pos| line(server, session, bus.node(), pos) + "\n").collect();
    Reply::Verbatim(lines.into())
}

/// A node as CLUSTER NODES shows it to a client like this.
fn line(server: &Server, session: &Session, node: &ClusterNode, pos: Pos) -> String {
    let mut view = node.view(pos);
    view.address.port = server.port_for(session.is_tls, &view.address);
    node_line(&view, node.migrating(), node.importing())
}

pub(super) fn replicas<'e>(server: &'e mut Server, session: &mut Session, args: Args<'e>) -> Reply<'e> {
    show(server, |server, node| {
        let id = node_id(args.at(2))?;
        let peer = node.peers().get(&id).ok_or_else(|| unknown_node(args.at(2)))?;
        if !peer.is_primary() {
            return Err(Reply::err("The specified node is not a master"));
        }
        let positions = node.peers().positions().filter(|&pos| node.peers()[pos].primary == Some(id));
        Ok(Reply::Array(positions.map(|pos| Reply::text(line(server, session, node, pos))).collect()))
    })
}

pub(super) fn count_failure_reports<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    let now = server.now;
    show(server, |_, node| {
        let id = node_id(args.at(2))?;
        node.failure_reports(&id, now).map(Reply::count).ok_or_else(|| unknown_node(args.at(2)))
    })
}

/// Shows something of the core's state, if there is one.
fn show<'e>(
    server: &mut Server,
    view: impl FnOnce(&Server, &ClusterNode) -> Result<Reply<'e>, Reply<'static>>,
) -> Reply<'e> {
    if let Err(refusal) = bus(server) {
        return refusal;
    }
    let Some(bus) = &server.bus else { return Reply::Null };
    view(server, bus.node()).unwrap_or_else(|refusal| refusal)
}

pub(super) fn info<'e>(server: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    let bus = match bus(server) {
        Ok(bus) => bus,
        Err(refusal) => return refusal,
    };
    let (node, counters) = (bus.node(), bus.counters());
    let state = match node.state() {
        ClusterState::Ok => "ok",
        ClusterState::Fail => "fail",
    };
    let slots = SlotCounts::of(node);
    let mut text = format!(
        "cluster_state:{state}\r\ncluster_slots_assigned:{}\r\ncluster_slots_ok:{}\r\ncluster_slots_pfail:{}\r\n\
         cluster_slots_fail:{}\r\ncluster_known_nodes:{}\r\ncluster_size:{}\r\ncluster_current_epoch:{}\r\n\
         cluster_my_epoch:{}\r\n",
        slots.assigned,
        slots.assigned - slots.suspected - slots.failed,
        slots.suspected,
        slots.failed,
        node.peers().len(),
        node.size(),
        node.current_epoch(),
        node.my_epoch(),
    );
    for (direction, messages) in [("sent", &counters.sent), ("received", &counters.received)] {
        for (kind, count) in messages.iter() {
            // Writing to a String does not fail.
            let _ = write!(text, "cluster_stats_messages_{kind}_{direction}:{count}\r\n");
        }
        let _ = write!(text, "cluster_stats_messages_{direction}:{}\r\n", messages.total());
    }
    let _ = write!(text, "total_cluster_links_buffer_limit_exceeded:{}\r\n", counters.overfull);
    Reply::Verbatim(text.into())
}

#[derive(Default)]
struct SlotCounts {
    assigned: usize,
    suspected: usize,
    failed: usize,
}

impl SlotCounts {
    fn of(node: &ClusterNode) -> Self {
        node.peers().iter().fold(Self::default(), |mut counts, peer| {
            let owned = peer.slots.len();
            counts.assigned += owned;
            if peer.is(Flags::FAIL) {
                counts.failed += owned;
            } else if peer.is(Flags::PFAIL) {
                counts.suspected += owned;
            }
            counts
        })
    }
}

pub(super) fn countkeysinslot<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    if let Err(refusal) = bus(server) {
        return refusal;
    }
    let Some(slot) = parse_i64(args.at(2)) else { return not_an_integer() };
    match slot_of(slot) {
        Some(slot) => Reply::count(server.store.count_in_slot(slot)),
        None => Reply::err("Invalid slot"),
    }
}

pub(super) fn getkeysinslot<'e>(server: &'e mut Server, _: &mut Session, args: Args<'e>) -> Reply<'e> {
    if let Err(refusal) = bus(server) {
        return refusal;
    }
    let (Some(slot), Some(limit)) = (parse_i64(args.at(2)), parse_i64(args.at(3))) else { return not_an_integer() };
    match (slot_of(slot), usize::try_from(limit)) {
        (Some(slot), Ok(limit)) => {
            Reply::Array(server.store.keys_in_slot(slot, limit).into_iter().map(Reply::bulk).collect())
        }
        _ => Reply::err("Invalid slot or number of keys"),
    }
}

fn slot_of(number: i64) -> Option<Slot> {
    u16::try_from(number).ok().filter(|&number| usize::from(number) < CLUSTER_SLOTS).map(Slot)
}

pub(super) fn slots<'e>(server: &'e mut Server, session: &mut Session, _: Args<'e>) -> Reply<'e> {
    if let Err(refusal) = bus(server) {
        return refusal;
    }
    let server = &*server;
    let Some(bus) = &server.bus else { return Reply::Null };
    let node = bus.node();
    let ranges = owned_ranges(node).into_iter().map(|(start, end, owner)| {
        let owner = &node.peers()[owner];
        let mut range =
            vec![Reply::Integer(start.0.into()), Reply::Integer(end.0.into()), place(server, session, owner)];
        let replicas = replicas_of(node, owner.id).filter(|replica| !replica.is(Flags::FAIL) && replica.offset != 0);
        range.extend(replicas.map(|replica| place(server, session, replica)));
        Reply::Array(range)
    });
    Reply::Array(ranges.collect())
}

/// Maximal runs of slots with one owner, ascending.
fn owned_ranges(node: &ClusterNode) -> Vec<(Slot, Slot, Pos)> {
    let mut ranges: Vec<(Slot, Slot, Pos)> = Vec::new();
    for (slot, owner) in node.owners().iter() {
        let Some(owner) = owner else { continue };
        match ranges.last_mut() {
            Some((_, end, former)) if *former == owner && end.0 + 1 == slot.0 => *end = slot,
            Some(_) | None => ranges.push((slot, slot, owner)),
        }
    }
    ranges
}

fn replicas_of(node: &ClusterNode, primary: NodeId) -> impl Iterator<Item = &ClusterPeer> {
    node.peers().iter().filter(move |peer| peer.primary == Some(primary))
}

/// A node as CLUSTER SLOTS shows it.
fn place(server: &Server, session: &Session, peer: &ClusterPeer) -> Reply<'static> {
    let preferred = server.settings.text("cluster-preferred-endpoint-type");
    let mut details = Vec::new();
    if preferred != "ip" {
        details.push((Reply::text("ip"), Reply::text(host(peer))));
    }
    if preferred != "hostname" && !peer.hostname.is_empty() {
        details.push((Reply::text("hostname"), Reply::text(&*peer.hostname)));
    }
    Reply::Array(vec![
        server.endpoint(peer).map_or(Reply::Null, Reply::text),
        Reply::Integer(server.port_for(session.is_tls, &peer.address).into()),
        Reply::text(peer.id.to_string()),
        Reply::Map(details),
    ])
}

fn host(peer: &ClusterPeer) -> String {
    match &peer.address.host {
        Host::Unknown => String::new(),
        host @ (Host::Ip(_) | Host::Name(_)) => host.to_string(),
    }
}

pub(super) fn shards<'e>(server: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    if let Err(refusal) = bus(server) {
        return refusal;
    }
    let server = &*server;
    let Some(bus) = &server.bus else { return Reply::Null };
    let node = bus.node();
    let shards = node.peers().iter().filter(|peer| peer.is_primary()).map(|primary| {
        let bounds = primary.slots.runs().into_iter().flat_map(|(start, end)| [start, end]);
        let members = std::iter::once(primary).chain(replicas_of(node, primary.id));
        Reply::Map(vec![
            (Reply::text("slots"), Reply::Array(bounds.map(|slot| Reply::Integer(slot.0.into())).collect())),
            (Reply::text("nodes"), Reply::Array(members.map(|peer| member(server, peer)).collect())),
        ])
    });
    Reply::Array(shards.collect())
}

/// A node as CLUSTER SHARDS shows it.
fn member(server: &Server, peer: &ClusterPeer) -> Reply<'static> {
    let health = if peer.is(Flags::FAIL) {
        "fail"
    } else if !peer.is_primary() && peer.offset == 0 {
        "loading"
    } else {
        "online"
    };
    let mut fields = vec![(Reply::text("id"), Reply::text(peer.id.to_string()))];
    let Address { port, pport, .. } = peer.address;
    let (plain, secured) = if server.limits.is_bus_tls { (pport, port) } else { (port, 0) };
    let ports = [("port", plain), ("tls-port", secured)].into_iter().filter(|(_, port)| *port != 0);
    fields.extend(ports.map(|(name, port)| (Reply::text(name), Reply::Integer(port.into()))));
    fields.push((Reply::text("ip"), Reply::text(host(peer))));
    fields.push((Reply::text("endpoint"), Reply::text(server.endpoint(peer).unwrap_or_default())));
    if !peer.hostname.is_empty() {
        fields.push((Reply::text("hostname"), Reply::text(&*peer.hostname)));
    }
    fields.push((Reply::text("role"), Reply::text(if peer.is_primary() { "master" } else { "replica" })));
    let offset = i64::try_from(peer.offset).unwrap_or(i64::MAX);
    fields.push((Reply::text("replication-offset"), Reply::Integer(offset)));
    fields.push((Reply::text("health"), Reply::text(health)));
    Reply::Map(fields)
}

pub(super) fn links<'e>(server: &'e mut Server, _: &mut Session, _: Args<'e>) -> Reply<'e> {
    let bus = match bus(server) {
        Ok(bus) => bus,
        Err(refusal) => return refusal,
    };
    // A node that answers every ping and sends none of its own has a link, too: the core need not know whose it is.
    let inbound: BTreeMap<NodeId, &Link> = bus.inbound().collect();
    let mut links = Vec::new();
    for peer in bus.node().peers().iter() {
        let outbound = peer.outbound.and_then(|number| bus.link(LinkId::Outbound(number)));
        let bound = peer.inbound.and_then(|number| bus.link(LinkId::Inbound(number)));
        let inbound = bound.or_else(|| inbound.get(&peer.id).copied());
        links.extend(outbound.map(|link| link_fields("to", &peer.id, link)));
        links.extend(inbound.map(|link| link_fields("from", &peer.id, link)));
    }
    Reply::Array(links)
}

fn link_fields(direction: &'static str, node: &NodeId, link: &Link) -> Reply<'static> {
    let events = if link.waiting() > 0 || !link.is_up { "rw" } else { "r" };
    Reply::Map(vec![
        (Reply::text("direction"), Reply::text(direction)),
        (Reply::text("node"), Reply::text(node.to_string())),
        (Reply::text("create-time"), Reply::Integer(i64::try_from(link.opened.0).unwrap_or(i64::MAX))),
        (Reply::text("events"), Reply::text(events)),
        (Reply::text("send-buffer-allocated"), Reply::count(link.allocated())),
        (Reply::text("send-buffer-used"), Reply::count(link.waiting())),
    ])
}
