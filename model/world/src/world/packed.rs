//! Owns many worlds in little room: each as a few numbers, which name its parts among all parts that
//! were ever met. Knows nothing of what the parts mean.
//!
//! A step changes one host and a few connections, and the same hosts and connections come about in
//! very many worlds: kept once each, they make a world as small as the list of their numbers.

use super::World;
use crate::{connection::Connection, host::Host, shared::Shared};
use std::{collections::HashMap, hash::Hash};

/// Different values, each with a number.
#[derive(Debug)]
struct Parts<T> {
    values: Vec<Shared<T>>,
    numbers: HashMap<u128, u32>,
}

impl<T> Default for Parts<T> {
    fn default() -> Self {
        Self { values: Vec::new(), numbers: HashMap::new() }
    }
}

impl<T: Hash> Parts<T> {
    /// The number of a value; values of one digest are one value.
    fn number(&mut self, value: &Shared<T>) -> u32 {
        let next = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
        *self.numbers.entry(value.digest()).or_insert_with(|| {
            self.values.push(value.clone());
            next
        })
    }

    fn value(&self, number: u32) -> Shared<T> {
        self.values[number as usize].clone()
    }
}

/// The parts of which worlds are made.
#[derive(Debug, Default)]
pub struct Packer<const SLOTS: usize> {
    hosts: Parts<Host<SLOTS>>,
    connections: Parts<Connection<SLOTS>>,
    /// Worlds without hosts and connections.
    frames: Parts<World<SLOTS>>,
}

impl<const SLOTS: usize> Packer<SLOTS> {
    /// Adds a world's numbers: of its frame, how many hosts it has, of these, of its connections.
    pub fn pack(&mut self, mut world: World<SLOTS>, words: &mut Vec<u32>) {
        let hosts = std::mem::take(&mut world.hosts);
        let connections = std::mem::take(&mut world.connections);
        words.push(self.frames.number(&Shared::new(world)));
        words.push(u32::try_from(hosts.len()).unwrap_or(u32::MAX));
        words.extend(hosts.iter().map(|host| self.hosts.number(host)));
        words.extend(connections.iter().map(|connection| self.connections.number(connection)));
    }

    /// The world that was packed into these numbers.
    #[must_use]
    pub fn unpack(&self, words: &[u32]) -> World<SLOTS> {
        let frame = self.frames.value(words[0]);
        let (hosts, connections) = words[2..].split_at(words[1] as usize);
        World {
            hosts: hosts.iter().map(|&number| self.hosts.value(number)).collect(),
            connections: connections.iter().map(|&number| self.connections.value(number)).collect(),
            ..World::clone(&frame)
        }
    }

    /// How many different hosts and connections there were.
    #[must_use]
    pub fn part_counts(&self) -> (usize, usize) {
        (self.hosts.values.len(), self.connections.values.len())
    }
}
