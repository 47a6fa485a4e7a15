//! The production node: real sockets, files and clocks around the protocol core.
//!
//! One thread owns all state ([`server::Server`]). The event loop ([`runtime`]) waits for one of a
//! closed list of things ([`wake::Wake`]) and hands it on: what comes from peers, or from an
//! administrator, becomes an input of `slotbus_core::step` in [`bus`], whose effects are performed in
//! order; what comes from clients becomes a request ([`dispatch`]) and a reply, which is a value until
//! its bytes are appended to the client's output.
//!
//! Deliberately absent: any decision about the protocol, which is the core's; any byte format, which
//! is slotbus-wire's; locks; threads other than those that wait for the disk; blocking calls other than the
//! poll, saving the nodes file, and what the configuration has clients wait for.

pub mod aof;
pub mod bus;
pub mod category;
mod certificates;
pub mod chronicle;
pub mod cli;
pub mod client;
pub mod clock;
pub mod command;
pub mod command_stats;
pub mod commands;
pub mod config;
pub mod counters;
pub mod data_effect;
pub mod dial;
pub mod dispatch;
pub mod doors;
pub mod files;
pub mod geo_shape;
pub mod geohash;
pub mod glob;
pub mod image_file;
pub mod invalidation;
pub mod latency;
pub mod libraries;
pub mod link;
pub mod listeners;
pub mod log;
pub mod lua;
pub mod migration;
pub mod nodes_file;
pub mod offline;
pub mod ordering;
pub mod overtime;
pub mod pause;
pub mod pubsub;
pub mod rates;
pub mod replication;
pub mod runtime;
pub mod saves;
pub mod server;
pub mod slab;
pub mod slow_log;
pub mod snapshot;
pub mod start;
pub mod store;
pub mod stream;
pub mod tls;
pub mod trace;
pub mod tracking;
pub mod users;
pub mod waiters;
pub mod wake;
