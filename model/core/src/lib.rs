//! The Redis Cluster bus protocol as one pure step function.
//!
//! A [`Node`] is plain data. [`step`] takes it from one state to the next for one [`Input`] and
//! says what the world must do about it, as [`Effects`]. Time, chance, addresses and new ids come
//! in as data, so that a production node, a model checker, a simulator and a trace verifier can all
//! drive the very same code:
//!
//! ```
//! use slotbus_core::{Config, Event, Input, Millis, Node, NodeId, Origin, Random, step};
//!
//! let id = NodeId([7; 20]);
//! let (mut node, effects) = Node::<16384>::start(Config::default().into(), Origin::Fresh(id), Millis(0)).unwrap();
//! assert!(effects.persist.is_some(), "a new id is saved before anything else");
//!
//! let input = Input { now: Millis(100), random: Random::new(42), event: Event::Tick };
//! let effects = step(&mut node, input);
//! assert!(effects.then.is_empty(), "a node that knows no other has nobody to talk to");
//! ```
//!
//! Deliberately absent: clocks, randomness, input and output, logging, floats, and any container
//! whose order depends on a hash. Where to read on: [`step()`] for the order of things, [`Rule`] for
//! the catalogue, the modules of `rules` for how each concern is carried out.
#![no_std]

extern crate alloc;

pub mod address;
pub mod config;
pub mod durable;
pub mod effect;
pub mod ids;
pub mod input;
pub mod link;
pub mod message;
pub mod mutant;
pub mod node;
pub mod peer;
pub mod profile;
pub mod random;
pub mod route;
pub mod rule;
mod rules;
pub mod slots;
mod step;
pub mod time;

pub use address::{Address, Host};
pub use config::{Config, Timing};
pub use durable::{Durable, NodeView};
pub use effect::{Effect, Effects, Persist, Refusal, Reply};
pub use ids::{LinkId, NodeId, RequestId};
pub use input::{Command, Event, FailoverMode, Input, Replication, SlotChange};
pub use message::{Body, ClusterState, Flags, Header, Message};
pub use mutant::Mutant;
pub use node::{BadImage, Deadline, Node, Origin, Why};
pub use peer::{Peer, Pos};
pub use profile::Profile;
pub use random::{Draw, Random, Site};
pub use rule::Rule;
pub use slots::{CLUSTER_SLOTS, Slot, SlotSet};
pub use step::{next_deadline, step, step_with_draws};
pub use time::Millis;
