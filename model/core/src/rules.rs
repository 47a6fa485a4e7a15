//! The rules of the protocol, one file per concern. Each is a part of [`crate::step::Turn`]: it may
//! change the node, ask for effects, and must raise its [`crate::Rule`].

mod address;
mod config;
mod cron;
mod election;
mod epoch;
mod forget;
mod gossip;
mod handshake;
mod health;
mod heartbeat;
mod links;
mod manual_failover;
mod publish;
mod receive;
mod replica_migration;
mod reset;
mod reshard;
mod role;
mod slots;
mod start;
mod state;
