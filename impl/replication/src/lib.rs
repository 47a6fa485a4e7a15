//! The replication of keys from a primary to its replicas, as redis-server 7.0 does it, in the shape
//! of the protocol core: [`Replication::step`] takes what has happened and when, and hands out what
//! is to be done. A node is a primary or a replica of one, and either may have replicas of its own.
//!
//! Every write has a place in one stream of bytes. Whoever has seen a part of a stream knows its
//! [id](StreamId) and how many bytes of it; from there it can go on as long as the other end still
//! holds what follows. Else it first gets a copy of all keys.
//!
//! Deliberately absent: sockets, clocks and chance; keys, and what any command does to them; which
//! primary to follow, and when to lead, which is the protocol core's.

mod backlog;
mod config;
mod effect;
mod event;
mod history;
mod replicas;
mod step;
mod stream_id;
mod transfer;
mod upstream;

pub use config::{Config, OutputLimit};
pub use effect::{Effect, Note};
pub use event::{Event, Introduction, ReplicaId};
pub use history::{Former, History};
pub use replicas::{Phase, Replica};
pub use step::{Replication, Syncs};
pub use stream_id::StreamId;
pub use upstream::{Stage, Upstream};
