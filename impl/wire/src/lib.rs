//! Every byte format of the cluster, and no behaviour.
//!
//! Bytes become values once, at the edge, and values become bytes in one place: this crate. It
//! opens no file and no socket, reads no clock, and decides nothing about the protocol. Whatever
//! it is given to read is suspicious: a reader answers with a value or with an error that says what
//! is wrong, and never panics.
//!
//! - [`bus`]: packets of the cluster bus.
//! - [`dump`]: one value in the form of DUMP and RESTORE.
//! - [`listpack`], [`intset`]: small collections in one run of bytes.
//! - [`entry_block`], [`entry_id`]: some entries of a stream in a listpack, and their ids.
//! - [`extended`]: sums in a wider floating point format.
//! - [`number`]: the texts of floating point numbers.
//! - [`rdb`]: snapshots of all keys.
//! - [`resp`]: requests and replies of clients.
//! - [`nodes_conf`]: the file in which a node keeps what survives a restart, and CLUSTER NODES.
//! - [`trace`]: a recorded run of the step function.
//! - [`words`]: lines that a person or redis-server wrote, split as redis-server splits them.

pub mod bus;
pub mod dump;
pub mod entry_block;
pub mod entry_id;
pub mod extended;
pub mod intset;
pub mod listpack;
mod lzf;
mod names;
pub mod nodes_conf;
pub mod number;
pub mod rdb;
pub mod resp;
pub mod trace;
pub mod words;
