//! The rules of the protocol, one file per concern. Each is a part of [`crate::step::Turn`]: it may
//! change the node, ask for effects, and must raise its [`crate::Rule`].

mod address;
mod config;
mod cron;
mod epoch;
mod forget;
mod gossip;
mod handshake;
mod health;
mod heartbeat;
mod links;
mod receive;
mod role;
mod slots;
mod start;
mod state;
