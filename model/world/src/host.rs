//! Owns one host: its node while it runs, its disk and its data. Knows no other host.

use crate::{clock::canonical_image, data::Data, shared::Shared};
use slotbus_core::{Durable, Flags, Node, NodeView, Persist};

/// One host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host<const SLOTS: usize> {
    /// The node, unless it crashed.
    pub node: Option<Shared<Node<SLOTS>>>,
    /// What a restart would find.
    pub disk: Disk<SLOTS>,
    /// What it holds of the data.
    pub data: Data<SLOTS>,
    /// Ticks that are left to it, in a world of free pace; else 0.
    pub ticks_left: u8,
}

/// What a host saved.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Disk<const SLOTS: usize> {
    /// What a restart of the process finds.
    pub saved: Shared<Durable<SLOTS>>,
    /// What is left after a power loss.
    pub synced: Shared<Durable<SLOTS>>,
}

/// Which parts of a disk can still be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Readable {
    /// Both images: the host may yet lose power.
    Both,
    /// The saved image: its process may yet be killed, or was.
    Saved,
    /// Nothing but the epoch, with which the claims that it sends are compared.
    Epoch,
}

impl<const SLOTS: usize> Disk<SLOTS> {
    /// A disk on which nothing was ever saved.
    #[must_use]
    pub fn blank() -> Self {
        let nothing = Shared::new(Durable::default());
        Self { saved: nothing.clone(), synced: nothing }
    }

    /// Takes an image.
    pub fn save(&mut self, persist: &Persist<SLOTS>) {
        self.saved = Shared::new(canonical_image((*persist.image).clone()));
        if persist.sync {
            self.synced = self.saved.clone();
        }
    }

    /// What was being written is left empty.
    pub(crate) fn tear(&mut self) {
        *self = Self::blank();
    }

    /// Drops what nobody can read any more: states that differ in it only are one.
    pub fn forget(&mut self, readable: Readable) {
        match readable {
            Readable::Both => {}
            Readable::Saved => self.synced = self.saved.clone(),
            Readable::Epoch => {
                self.saved = Shared::new(epoch_only(&self.saved));
                self.synced = self.saved.clone();
            }
        }
    }

    /// The machine lost power.
    pub(crate) fn lose_power(&mut self) {
        self.saved = self.synced.clone();
    }
}

/// The line of a node about itself.
pub(crate) fn own_view<const SLOTS: usize>(image: &Durable<SLOTS>) -> Option<&NodeView<SLOTS>> {
    image.nodes.iter().find(|view| view.flags.contains(Flags::MYSELF))
}

fn epoch_only<const SLOTS: usize>(image: &Durable<SLOTS>) -> Durable<SLOTS> {
    let own = own_view(image).map(|own| NodeView {
        id: own.id,
        address: slotbus_core::Address::default(),
        hostname: "".into(),
        flags: Flags::MYSELF,
        primary: None,
        ping_sent: None,
        pong_received: None,
        config_epoch: own.config_epoch,
        connected: false,
        slots: slotbus_core::SlotSet::new(),
    });
    Durable { nodes: own.into_iter().collect(), ..Durable::default() }
}
