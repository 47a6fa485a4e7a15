//! Owns what happens to one node, as worlds, invariants and stories see it. Knows no effect.

use crate::shared::Shared;
use slotbus_core::{Command, Durable, Event, Host, LinkId, Message, Replication, RequestId};

/// The one request that is under way at a time: its answer comes in the same step.
const REQUEST: RequestId = RequestId(0);

/// What happened to a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Cause<const SLOTS: usize> {
    /// It started; from an image, unless it is new.
    Started(Option<Shared<Durable<SLOTS>>>),
    /// A link came up.
    LinkUp {
        /// Which.
        link: LinkId,
        /// This end's address.
        local: Host,
        /// The other end's address.
        remote: Host,
    },
    /// A link went down.
    LinkDown(LinkId),
    /// A link could not even be attempted.
    LinkRefused(LinkId),
    /// A message arrived.
    Received {
        /// On which link.
        link: LinkId,
        /// What it says.
        message: Shared<Message<SLOTS>>,
    },
    /// Its deadline came.
    Tick,
    /// An administrator asked for something.
    Admin(Command),
    /// Replication stands like this now.
    Replicated(Replication),
}

impl<const SLOTS: usize> Cause<SLOTS> {
    /// The input event that stands for it; a start is none and becomes a tick that comes too soon.
    #[must_use]
    pub fn event(&self) -> Event<SLOTS> {
        match self {
            Self::Started(_) | Self::Tick => Event::Tick,
            Self::LinkUp { link, local, remote } => {
                Event::LinkUp { link: *link, local: local.clone(), remote: remote.clone() }
            }
            Self::LinkDown(link) => Event::LinkDown { link: *link },
            Self::LinkRefused(link) => Event::LinkRefused { link: *link },
            Self::Received { link, message } => {
                Event::Received { link: *link, message: Box::new(Message::clone(message)) }
            }
            Self::Admin(command) => Event::Admin { request: REQUEST, command: command.clone() },
            Self::Replicated(replication) => Event::Replication(*replication),
        }
    }

    /// The message, if one arrived.
    #[must_use]
    pub fn message(&self) -> Option<&Message<SLOTS>> {
        match self {
            Self::Received { message, .. } => Some(message),
            Self::Started(_)
            | Self::LinkUp { .. }
            | Self::LinkDown(_)
            | Self::LinkRefused(_)
            | Self::Tick
            | Self::Admin(_)
            | Self::Replicated(_) => None,
        }
    }
}
