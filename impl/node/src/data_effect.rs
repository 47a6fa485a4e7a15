//! Owns what the protocol asks of the node's data and of its clients, and has it done.
//!
//! The bus hands these effects over as values, in order, and knows neither keys nor clients. Must
//! not decide: each effect is done as it is.

use crate::server::Server;
use slotbus_core::{Address, CLUSTER_SLOTS, Millis, NodeId, SlotSet, message::Publication};

/// One thing to do to data or clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataEffect {
    /// Replicate this primary.
    Follow {
        /// Whom.
        primary: NodeId,
        /// Where.
        address: Address,
    },
    /// Replicate nobody.
    Lead,
    /// Hold back writes until this instant.
    PauseWrites {
        /// The instant.
        until: Millis,
    },
    /// Let clients write again.
    ResumeWrites,
    /// Delete the keys of these slots.
    DropKeys(SlotSet<CLUSTER_SLOTS>),
    /// Delete all keys.
    DropAllKeys,
    /// Hand a message to the subscribers of its channel.
    Deliver {
        /// What to whom.
        publication: Publication,
        /// Whether the channel is a sharded one.
        is_sharded: bool,
    },
}

impl Server {
    /// Does what the bus has gathered, until there is nothing more.
    pub fn settle(&mut self) {
        let effects = self.bus.as_mut().map(crate::bus::Bus::take_data_effects).unwrap_or_default();
        for effect in effects {
            self.perform(effect);
        }
    }

    fn perform(&mut self, effect: DataEffect) {
        match effect {
            DataEffect::Follow { primary, address } => {
                if self.followed.as_ref().is_none_or(|(former, _)| *former != primary) {
                    self.log.warning(format_args!(
                        "Following primary {primary} at {address}: its keys are not copied, as replication is not \
                         implemented"
                    ));
                }
                self.followed = Some((primary, address));
            }
            DataEffect::Lead => {
                if self.followed.take().is_some() {
                    self.log.notice(format_args!("This node is a primary now"));
                }
            }
            DataEffect::PauseWrites { until } => self.pause.begin_failover(until),
            DataEffect::ResumeWrites => {
                self.pause.end_failover();
                self.releases_held = true;
            }
            DataEffect::DropKeys(slots) => {
                let count: usize = slots.iter().map(|slot| self.store.clear_slot(slot)).sum();
                self.log.notice(format_args!("{count} keys of slots that other nodes own now were deleted"));
            }
            DataEffect::DropAllKeys => self.store.clear(),
            DataEffect::Deliver { .. } => {}
        }
    }
}
