//! Holds cluster nodes, of this or any implementation, to the model of the protocol.

pub mod capture;
pub mod chaos;
pub mod cluster;
pub mod convert;
pub mod failover;
pub mod finding;
pub mod load;
pub mod probe;
pub mod progress;
pub mod python;
pub mod report;
pub mod scripted;
pub mod shard;
pub mod tour;
pub mod vectors;
pub mod verify;
