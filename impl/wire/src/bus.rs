//! Owns the packets of the cluster bus: where one ends, what it says, how it is written.
//! Knows no link and no sender: what a message means is slotbus-core's.
//!
//! A stream is cut into packets by [`frame()`]. Its errors end the connection, for after them no
//! packet can be found any more. [`decode()`] reads one packet. Its errors cost that packet only.

mod decode;
mod encode;
mod frame;
mod layout;

pub use decode::{Malformed, Packet, decode};
pub use encode::encode;
pub use frame::{NotTheBus, frame, kind_code};

/// A message between nodes of a real cluster.
pub type BusMessage = slotbus_core::Message<{ slotbus_core::CLUSTER_SLOTS }>;
