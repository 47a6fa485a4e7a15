//! The form of packets: what is said has one way to be written, and some of it cannot be said of oneself.

use super::Judge;
use crate::capture::Seen;
use slotbus_core::{Flags, Rule, message::MessageFlags};
use slotbus_wire::bus::{self, BusMessage};

/// What a node never says of itself.
const NEVER_OWN: Flags =
    Flags::PFAIL.union(Flags::FAIL).union(Flags::HANDSHAKE).union(Flags::NOADDR).union(Flags::MEET);
/// The bits of flags that anybody uses.
const USED: u16 = 0x3fff;
const USED_OF_MESSAGE: MessageFlags =
    MessageFlags::PAUSED.union(MessageFlags::FORCEACK).union(MessageFlags::EXTENSIONS);

impl Judge {
    pub(super) fn form(&mut self, seen: &Seen, message: &BusMessage) {
        let mut written = Vec::new();
        bus::encode(message, &mut written);
        if written != seen.bytes {
            let at = written.iter().zip(&seen.bytes).take_while(|(left, right)| left == right).count();
            self.differs(seen.number, seen.frame, None, format!("byte {at} says what nobody reads or writes"));
        }
        let header = &message.header;
        let role = header.flags & (Flags::PRIMARY | Flags::REPLICA);
        let is_odd = role.is_empty() || role == Flags::PRIMARY | Flags::REPLICA;
        let is_odd = is_odd || header.flags.intersects(NEVER_OWN) || header.flags.bits() & !USED != 0;
        if is_odd || !header.flags.contains(Flags::MYSELF) {
            let what = format!("a header has the flags {:#x}", header.flags.bits());
            self.differs(seen.number, seen.frame, Some(Rule::RolePrimary), what);
        }
        if header.flags.contains(Flags::PRIMARY) && header.primary.is_some() {
            let what = "a primary names a primary".to_owned();
            self.differs(seen.number, seen.frame, Some(Rule::RolePrimary), what);
        }
        if header.mflags.bits() & !USED_OF_MESSAGE.bits() != 0 {
            let what = format!("a header has the message flags {:#x}", header.mflags.bits());
            self.differs(seen.number, seen.frame, None, what);
        }
    }
}
