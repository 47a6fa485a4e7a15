//! A world of Slotbus nodes as plain data: hosts with clocks and disks, TCP-like connections, faults
//! with budgets, and what must hold in it.
//!
//! A [`World`] is one state. [`World::successors`] gives every action that is possible next, with
//! the world after it: time, chance, the network and administrators are all choices. What is fixed
//! (hosts, pace, scripts, budgets) is a [`Setup`]. Every node goes through [`slotbus_core::step`];
//! nothing here decides anything about the protocol.
//!
//! Deliberately absent: any checker, and any way to tell how a world was reached. Where to read on:
//! [`world`] for what happens, [`clock`] for how time becomes finite, [`connection`] for what TCP
//! allows, [`invariants`] for what must hold.

pub mod action;
pub mod cause;
pub mod claims;
pub mod clock;
pub mod connection;
pub mod coverage;
pub mod data;
pub mod elections;
pub mod ghost;
pub mod host;
pub mod invariants;
mod judgement;
pub mod place;
pub mod roles;
pub mod scenario;
pub mod setup;
pub mod shared;
pub mod simulate;
pub mod story;
pub mod witnesses;
pub mod world;

pub use action::{Action, Class, What};
pub use cause::Cause;
pub use coverage::Coverage;
pub use data::Data;
pub use ghost::Broken;
pub use invariants::Invariant;
pub use place::Place;
pub use setup::{Budget, Crashing, Flaw, HostSetup, Order, Pace, Places, Setup, Stage, Transfer};
pub use shared::{Shared, digest};
pub use story::{tell, tell_action, tell_effect, tell_event, tell_happening, tell_host, tell_node, tell_world};
pub use witnesses::Witness;
pub use world::{Memory, Packer, World, read_number, write_number};
