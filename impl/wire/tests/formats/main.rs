//! Tests of every byte format: what is written is what is read, what is laid out by hand is what
//! redis-server lays out, and whatever else arrives ends in an error.

mod arbitrary;
mod bus_layout;
mod bus_properties;
mod nodes_conf;
mod real_nodes_conf;
mod real_packets;
mod server;
mod trace;
mod words;
