//! What the fields of a script make of a message: of its header, its body and its bytes. Knows no
//! connection, and nobody but by name.

use super::{
    cast::Cast,
    field::Field,
    peer::{BUS_PORT_OFFSET, Standing},
};
use slotbus_core::{
    Address, CLUSTER_SLOTS, Flags, NodeId, SlotSet,
    message::{Claim, Extension, Publication},
};
use std::net::{IpAddr, Ipv4Addr};

/// Where the packet's length stands.
const LENGTH_AT: usize = 4;

/// The address of a node of loopback.
pub(super) fn loopback(port: u16) -> Address {
    let cport = port.saturating_add(BUS_PORT_OFFSET);
    Address { host: IpAddr::V4(Ipv4Addr::LOCALHOST).into(), port, cport, pport: 0 }
}

/// Makes a header say what the fields say.
pub(super) fn apply(standing: &mut Standing, fields: &[Field], cast: &Cast) -> Result<(), String> {
    for field in fields {
        match field {
            Field::Current(epoch) => standing.current_epoch = *epoch,
            Field::Epoch(epoch) => {
                standing.config_epoch = *epoch;
                standing.current_epoch = standing.current_epoch.max(*epoch);
            }
            Field::Offset(offset) => standing.offset = *offset,
            Field::Slots(slots) => standing.slots = slots.clone(),
            Field::Of(None) => {
                standing.primary = None;
                standing.flags = (standing.flags - Flags::REPLICA) | Flags::PRIMARY;
            }
            Field::Of(Some(name)) => {
                standing.primary = Some(cast.id(name)?);
                standing.flags = (standing.flags - Flags::PRIMARY) | Flags::REPLICA;
            }
            Field::Flags(flags) => standing.flags |= *flags,
            Field::State(state) => standing.state = *state,
            Field::Mflags(mflags) => standing.mflags = *mflags,
            Field::As(name) => standing.id = cast.id(name)?,
            Field::At(name) => {
                let address = loopback(cast.port(name)?);
                standing.address = Address { host: standing.address.host.clone(), ..address };
            }
            Field::Host(host) => standing.address.host = host.clone(),
            // What the message's body, bytes or way need is read elsewhere.
            Field::About(_)
            | Field::ClaimEpoch(_)
            | Field::ClaimSlots(_)
            | Field::Channel(_)
            | Field::Payload(_)
            | Field::Gossip(_)
            | Field::Hostname(_)
            | Field::Extension { .. }
            | Field::Via(_)
            | Field::Patch { .. }
            | Field::Extend(_)
            | Field::Length(_)
            | Field::Silent(_)
            | Field::Show(_) => {}
        }
    }
    Ok(())
}

/// The ping extensions that the fields ask for.
pub(super) fn extensions(fields: &[Field]) -> impl Iterator<Item = Extension> + '_ {
    fields.iter().filter_map(|field| {
        if let Field::Hostname(name) = field {
            return Some(Extension::Hostname(name.as_str().into()));
        }
        if let Field::Extension { kind, payload } = field {
            return Some(Extension::Other { kind: *kind, payload: payload.clone() });
        }
        None
    })
}

/// The published message that the fields make.
pub(super) fn publication(fields: &[Field]) -> Publication {
    let mut publication = Publication { channel: Vec::new(), payload: Vec::new() };
    for field in fields {
        if let Field::Channel(channel) = field {
            publication.channel = channel.clone().into_bytes();
        }
        if let Field::Payload(payload) = field {
            publication.payload = payload.clone().into_bytes();
        }
    }
    publication
}

/// The claim that the fields make for a node.
pub(super) fn claim(node: NodeId, fields: &[Field]) -> Claim<CLUSTER_SLOTS> {
    let mut claim = Claim { node, config_epoch: 0, slots: SlotSet::new() };
    for field in fields {
        if let Field::ClaimEpoch(epoch) = field {
            claim.config_epoch = *epoch;
        }
        if let Field::ClaimSlots(slots) = field {
            claim.slots = slots.clone();
        }
    }
    claim
}

/// Does to the bytes of a packet what no value can say.
pub(super) fn distort(bytes: &mut Vec<u8>, fields: &[Field]) -> Result<(), String> {
    for field in fields {
        if let Field::Extend(count) = field {
            bytes.extend(std::iter::repeat_n(0, *count));
            let length = u32::try_from(bytes.len()).map_err(|error| error.to_string())?;
            overwrite(bytes, LENGTH_AT, &length.to_be_bytes())?;
        }
        if let Field::Length(length) = field {
            overwrite(bytes, LENGTH_AT, &length.to_be_bytes())?;
        }
        if let Field::Patch { at, bytes: patch } = field {
            overwrite(bytes, *at, patch)?;
        }
    }
    Ok(())
}

fn overwrite(bytes: &mut [u8], at: usize, patch: &[u8]) -> Result<(), String> {
    let place = bytes.get_mut(at..at + patch.len()).ok_or("the patch lies outside the packet")?;
    place.copy_from_slice(patch);
    Ok(())
}
