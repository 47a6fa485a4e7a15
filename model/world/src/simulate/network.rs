//! Owns the connections between machines: what is in flight, what waits, which pairs cannot reach
//! each other. Knows no message: it carries parcels.
//!
//! A connection is TCP-like: in order and lossless while it lives. Between machines that cannot
//! reach each other its parcels wait, as retransmissions do, until the network heals or an end gives up.

pub use crate::connection::Side;
use std::collections::VecDeque;

/// What travels on a connection.
#[derive(Clone, Debug)]
pub enum Parcel {
    /// One packet of the bus.
    Packet(Vec<u8>),
    /// The other end closed.
    Fin,
}

/// A connection's name; never used again for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionId {
    index: usize,
    generation: u32,
}

/// One connection, from the attempt on until both ends closed.
#[derive(Debug)]
pub struct Connection {
    /// The machines at its ends, by [`Side`].
    pub machines: [usize; 2],
    /// The numbers that the ends gave it.
    pub numbers: [u32; 2],
    /// Which ends hold it open.
    pub is_open: [bool; 2],
    /// Whether it is established.
    pub is_up: bool,
    last_arrival_ms: [u64; 2],
    waiting: [VecDeque<Parcel>; 2],
}

impl Connection {
    /// The machine at one end.
    #[must_use]
    pub fn machine(&self, side: Side) -> usize {
        self.machines[side as usize]
    }

    /// Parcels that wait on their way to one end.
    pub fn waiting(&mut self, to: Side) -> &mut VecDeque<Parcel> {
        &mut self.waiting[to as usize]
    }

    /// When a parcel that needs `latency_ms` arrives at one end, after all before it.
    pub fn arrival_ms(&mut self, to: Side, now_ms: u64, latency_ms: u64) -> u64 {
        let last = &mut self.last_arrival_ms[to as usize];
        *last = (*last).max(now_ms + latency_ms);
        *last
    }
}

/// Every connection, and which machines cannot reach each other.
#[derive(Debug)]
pub struct Network {
    connections: Vec<(u32, Option<Connection>)>,
    free: Vec<usize>,
    machines: usize,
    /// For every pair: how many partitions part it.
    severed: Vec<u16>,
}

impl Network {
    /// The network of so many machines.
    #[must_use]
    pub fn new(machines: usize) -> Self {
        Self { connections: Vec::new(), free: Vec::new(), machines, severed: vec![0; machines * machines] }
    }

    /// A connection attempt.
    pub fn open(&mut self, opener: usize, target: usize, number: u32) -> ConnectionId {
        let connection = Connection {
            machines: [opener, target],
            numbers: [number, 0],
            is_open: [true, false],
            is_up: false,
            last_arrival_ms: [0; 2],
            waiting: [VecDeque::new(), VecDeque::new()],
        };
        let index = self.free.pop().unwrap_or_else(|| {
            self.connections.push((0, None));
            self.connections.len() - 1
        });
        let (generation, place) = &mut self.connections[index];
        *place = Some(connection);
        ConnectionId { index, generation: *generation }
    }

    /// The connection of this name, unless it is over.
    pub fn get(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        let (generation, connection) = self.connections.get_mut(id.index)?;
        connection.as_mut().filter(|_| *generation == id.generation)
    }

    /// Closes one end; says whether the other end still holds it open.
    pub fn close(&mut self, id: ConnectionId, side: Side) -> bool {
        let Some(connection) = self.get(id) else { return false };
        connection.is_open[side as usize] = false;
        let is_held = connection.is_up && connection.is_open[side.other() as usize];
        if !is_held {
            let (generation, place) = &mut self.connections[id.index];
            *generation = generation.wrapping_add(1);
            *place = None;
            self.free.push(id.index);
        }
        is_held
    }

    /// Every connection between two machines.
    #[must_use]
    pub fn between(&self, left: usize, right: usize) -> Vec<ConnectionId> {
        let name = |(index, (generation, connection)): (usize, &(u32, Option<Connection>))| {
            let machines = connection.as_ref()?.machines;
            let joins = machines == [left, right] || machines == [right, left];
            joins.then_some(ConnectionId { index, generation: *generation })
        };
        self.connections.iter().enumerate().filter_map(name).collect()
    }

    /// Every connection that one machine holds open, and at which end.
    #[must_use]
    pub fn of(&self, machine: usize) -> Vec<(ConnectionId, Side)> {
        let mut found = Vec::new();
        for (index, (generation, connection)) in self.connections.iter().enumerate() {
            let Some(connection) = connection else { continue };
            for side in [Side::Opener, Side::Target] {
                if connection.machine(side) == machine && connection.is_open[side as usize] {
                    found.push((ConnectionId { index, generation: *generation }, side));
                }
            }
        }
        found
    }

    /// Parts two machines, once more.
    pub fn sever(&mut self, left: usize, right: usize) {
        for (from, to) in [(left, right), (right, left)] {
            self.severed[from * self.machines + to] += 1;
        }
    }

    /// Takes one parting of two machines back.
    pub fn heal(&mut self, left: usize, right: usize) {
        for (from, to) in [(left, right), (right, left)] {
            let count = &mut self.severed[from * self.machines + to];
            *count = count.saturating_sub(1);
        }
    }

    /// Whether two machines reach each other.
    #[must_use]
    pub fn reaches(&self, left: usize, right: usize) -> bool {
        self.severed[left * self.machines + right] == 0
    }
}
