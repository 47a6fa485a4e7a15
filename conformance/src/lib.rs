//! Holds cluster nodes, of this or any implementation, to the model of the protocol.

pub mod cluster;
pub mod failover;
pub mod finding;
pub mod report;
pub mod scripted;
pub mod tour;
pub mod vectors;
pub mod verify;
