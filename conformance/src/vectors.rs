//! Conformance vectors: what one node must do, input by input, as files that any implementation can be
//! held to. docs/VECTORS.md specifies the format.
//!
//! [`generate`] explores what can happen to one node, chooses short runs that cover the rules and their
//! guards, and writes down what the model does. [`replay`] holds the model, or a program behind
//! an adapter, to that. Nothing here decides anything about the protocol: every expectation comes from
//! [`slotbus_core::step`].

mod adapter;
mod alphabet;
pub mod command;
mod cover;
mod explore;
mod facts;
pub mod generate;
mod judge;
mod live;
mod mask;
pub mod mutants;
pub mod pack;
mod packed;
mod parallel;
mod reference;
pub mod replay;
mod shrink;
mod situations;
pub mod vector;

pub use explore::Reach;

/// A node with as many slots as a real cluster has.
type Node = slotbus_core::Node<{ slotbus_core::CLUSTER_SLOTS }>;
/// Its inputs.
type Input = slotbus_core::Input<{ slotbus_core::CLUSTER_SLOTS }>;
/// What can happen to it.
type CoreEvent = slotbus_core::Event<{ slotbus_core::CLUSTER_SLOTS }>;
/// What it says and hears.
type Message = slotbus_core::Message<{ slotbus_core::CLUSTER_SLOTS }>;
