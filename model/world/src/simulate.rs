//! Random deep runs: a cluster of real size in virtual time, under faults and commands drawn from
//! one seed. Every message goes through its wire bytes and every restart through nodes.conf.
//!
//! A [`Simulation`] forms a cluster by commands, lets faults and commands loose on it, stops them
//! all, and waits until every node sees the same cluster again. What must hold is judged at every
//! step by [`oracle`], and at the end by [`agreement`]. The same [`Options`] give the same run, step by step.
//!
//! Nothing here decides anything about the protocol: every node goes through
//! [`slotbus_core::step`]. Deliberately absent: any thread, any clock but the virtual one, any
//! randomness but the seed's.

mod acts;
pub mod agreement;
mod engine;
pub mod machine;
pub mod network;
pub mod oracle;
pub mod plan;
pub mod run;
pub mod tale;

pub use oracle::{Property, Violation};
pub use plan::Act;
pub use run::{Numbers, Options, Outcome, Simulation};

/// A node with as many slots as a real cluster has.
pub type RealNode = slotbus_core::Node<{ slotbus_core::CLUSTER_SLOTS }>;
