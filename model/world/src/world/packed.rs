//! Owns many worlds in little room: each as a few numbers, which name its parts among all parts of
//! the worlds that are kept. Knows nothing of what the parts mean.
//!
//! A step changes one host and a few connections, and the same hosts and connections come about in
//! very many worlds: kept once each, they make a world as small as the list of their numbers. Small
//! numbers take few bytes, so those that become free are given out again.

use super::World;
use crate::{connection::Connection, host::Host, shared::Shared};
use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hash, Hasher},
};

/// Different values, each with a number.
#[derive(Debug)]
struct Parts<T> {
    values: Vec<Option<Shared<T>>>,
    numbers: HashMap<u128, u32, BuildHasherDefault<DigestHasher>>,
    /// Numbers of values that were forgotten.
    free: Vec<u32>,
}

impl<T> Default for Parts<T> {
    fn default() -> Self {
        Self { values: Vec::new(), numbers: HashMap::default(), free: Vec::new() }
    }
}

impl<T: Hash> Parts<T> {
    /// The number of a value; values of one digest are one value.
    fn number(&mut self, value: &Shared<T>) -> u32 {
        if let Some(&known) = self.numbers.get(&value.digest()) {
            return known;
        }
        let number = self.free.pop().unwrap_or_else(|| {
            self.values.push(None);
            u32::try_from(self.values.len() - 1).unwrap_or(u32::MAX)
        });
        self.values[number as usize] = Some(value.clone());
        self.numbers.insert(value.digest(), number);
        number
    }

    fn value(&self, number: u32) -> Shared<T> {
        let Some(value) = &self.values[number as usize] else {
            unreachable!("a part of a world that is kept was forgotten");
        };
        value.clone()
    }

    /// Forgets every value whose number is not used.
    fn keep_only(&mut self, used: &[bool]) {
        for (number, value) in (0..).zip(&mut self.values) {
            if let Some(value) = value.take_if(|_| used.get(number as usize) != Some(&true)) {
                self.numbers.remove(&value.digest());
                self.free.push(number);
            }
        }
    }
}

/// Digests are as good as any hash of them.
#[derive(Default)]
struct DigestHasher(u64);

impl Hasher for DigestHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, &byte| hash << 8 | u64::from(byte));
    }

    fn write_u128(&mut self, digest: u128) {
        self.0 = digest as u64;
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
    pub fn pack(&mut self, mut world: World<SLOTS>, bytes: &mut Vec<u8>) {
        let hosts = std::mem::take(&mut world.hosts);
        let connections = std::mem::take(&mut world.connections);
        write_number(bytes, self.frames.number(&Shared::new(world)));
        write_number(bytes, u32::try_from(hosts.len()).unwrap_or(u32::MAX));
        hosts.iter().for_each(|host| write_number(bytes, self.hosts.number(host)));
        connections.iter().for_each(|connection| write_number(bytes, self.connections.number(connection)));
    }

    /// The world that was packed into these bytes.
    #[must_use]
    pub fn unpack(&self, bytes: &[u8]) -> World<SLOTS> {
        let numbers = Numbers::of(bytes);
        World {
            hosts: numbers.hosts.map(|number| self.hosts.value(number)).collect(),
            connections: numbers.connections.map(|number| self.connections.value(number)).collect(),
            ..World::clone(&self.frames.value(numbers.frame))
        }
    }

    /// Forgets the parts that none of these worlds has.
    pub fn keep_only<'a>(&mut self, worlds: impl Iterator<Item = &'a [u8]>) {
        let mut used = [vec![], vec![], vec![]];
        let counts = [self.frames.values.len(), self.hosts.values.len(), self.connections.values.len()];
        used.iter_mut().zip(counts).for_each(|(used, count)| used.resize(count, false));
        let [frames, hosts, connections] = &mut used;
        for numbers in worlds.map(Numbers::of) {
            frames[numbers.frame as usize] = true;
            numbers.hosts.for_each(|number| hosts[number as usize] = true);
            numbers.connections.for_each(|number| connections[number as usize] = true);
        }
        self.frames.keep_only(frames);
        self.hosts.keep_only(hosts);
        self.connections.keep_only(connections);
    }
}

/// The numbers that a world was packed into.
struct Numbers<H, C> {
    frame: u32,
    hosts: H,
    connections: C,
}

impl Numbers<(), ()> {
    fn of(bytes: &[u8]) -> Numbers<impl Iterator<Item = u32>, impl Iterator<Item = u32>> {
        let mut rest = bytes;
        let mut next = || read_number(&mut rest).unwrap_or_default();
        let (frame, count) = (next(), next());
        let mut after_hosts = rest;
        (0..count).for_each(|_| _ = read_number(&mut after_hosts));
        Numbers {
            frame,
            hosts: (0..count).map_while(move |_| read_number(&mut rest)),
            connections: std::iter::from_fn(move || read_number(&mut after_hosts)),
        }
    }
}

/// Writes a number in groups of seven bits, the least first; all but the last have the top bit set.
pub fn write_number(bytes: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Reads a number that was written so, and leaves what follows it.
pub fn read_number(bytes: &mut &[u8]) -> Option<u32> {
    let mut number = 0;
    for shift in (0..u32::BITS).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u32::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::{Parts, read_number, write_number};
    use crate::shared::Shared;

    #[test]
    fn numbers_are_read_as_they_were_written() {
        let numbers = [0, 1, 127, 128, 16_383, 16_384, u32::MAX];
        let mut bytes = Vec::new();
        numbers.iter().for_each(|&number| write_number(&mut bytes, number));
        let mut rest = bytes.as_slice();
        let read: Vec<_> = std::iter::from_fn(|| read_number(&mut rest)).collect();
        assert_eq!(read, numbers);
        assert_eq!(bytes.len(), 1 + 1 + 1 + 2 + 2 + 3 + 5);
    }

    #[test]
    fn a_forgotten_number_is_given_out_again() {
        let mut parts = Parts::default();
        let numbers = ["a", "b", "c"].map(|value| parts.number(&Shared::new(value)));
        assert_eq!(numbers, [0, 1, 2]);
        parts.keep_only(&[true, false, true]);
        assert_eq!(parts.number(&Shared::new("c")), 2);
        assert_eq!(parts.number(&Shared::new("d")), 1);
        assert_eq!(parts.number(&Shared::new("b")), 3);
        assert_eq!(*parts.value(1), "d");
    }
}
