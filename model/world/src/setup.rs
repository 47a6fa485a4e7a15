//! Owns what is fixed about a world: its hosts, its pace, its scripts, and how many faults it has
//! room for. Data only; a world's state refers to it and never changes it.

use crate::{action::What, coverage::Coverage, ghost::Broken, place::Place, world::World};
use slotbus_core::{Address, Command, Config, Host as Ip, NodeId, Profile, Slot, Timing};
use std::{net::Ipv4Addr, sync::Arc};

/// Every host listens for clients here, each on an address of its own.
const PORT: u16 = 6379;
/// Every host's bus listens here.
const BUS_PORT: u16 = 16379;

/// When hosts may tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// At any moment, each so many times: covers every delay of messages and every speed of clocks.
    Free {
        /// Ticks that each host has.
        ticks: u8,
    },
    /// Once the network is quiet, and no host twice before every other did: messages take less than
    /// a tick, so that the time in which something is detected means something.
    Timely,
    /// As [`Pace::Timely`], and what says nothing new takes no time at all: heartbeats and their
    /// answers, unless something else is ahead of them on their connection, and links coming up and
    /// going down. What remains free is the order of the news: FAIL, votes, UPDATE, announcements.
    Prompt,
}

/// How many faults there is room for. Used up, a budget disables its actions; it never cuts a state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Hosts that crash.
    pub crashes: u8,
    /// Crashed hosts that start again.
    pub restarts: u8,
    /// Writes of clients.
    pub writes: u8,
    /// Connections that break.
    pub cuts: u8,
    /// Pairs of hosts that cannot reach each other for a while. Each pair heals at any later time.
    pub partitions: u8,
}

/// A set of hosts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Places(u8);

impl Places {
    /// Every host there can be.
    pub const ALL: Self = Self(u8::MAX);
    /// No host.
    pub const NONE: Self = Self(0);

    /// The hosts named.
    #[must_use]
    pub const fn of(places: &[Place]) -> Self {
        let mut set = 0;
        let mut index = 0;
        while index < places.len() {
            set |= 1 << places[index].0;
            index += 1;
        }
        Self(set)
    }

    /// Whether `place` is in the set.
    #[must_use]
    pub const fn contains(self, place: Place) -> bool {
        self.0 >> place.0 & 1 == 1
    }

    /// The set without `place`.
    #[must_use]
    pub const fn without(self, place: Place) -> Self {
        Self(self.0 & !(1 << place.0))
    }

    /// The set with `place`.
    #[must_use]
    pub const fn with(self, place: Place) -> Self {
        Self(self.0 | 1 << place.0)
    }
}

/// How a host can crash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Crashing {
    /// Who can crash at all.
    pub mortal: Places,
    /// Also in the middle of a step: after it saved, before it sent anything.
    pub amid: bool,
    /// Also by losing power: what was saved without a sync is gone.
    pub power: bool,
}

/// What is deliberately wrong with a world, around nodes that do what is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// A host that dies while it saves leaves an empty image.
    TornDisk,
    /// Nothing that is saved gets to a disk, and nobody is told.
    FullDisk,
}

impl Flaw {
    /// Every flaw.
    pub const ALL: &'static [Self] = &[Self::TornDisk, Self::FullDisk];

    /// Its name in reports.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::TornDisk => "torn-disk",
            Self::FullDisk => "full-disk",
        }
    }
}

/// One admin command and the host that it is given to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Who gets it.
    pub host: Place,
    /// What is asked.
    pub command: Command,
}

/// The move of the key of a slot, possible whenever both ends run, are in touch and know of the move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Which slot.
    pub slot: Slot,
    /// Who has the key.
    pub from: Place,
    /// Who is to have it.
    pub to: Place,
}

/// One part of the way to a world from which an exploration starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// A command is given.
    Command(Order),
    /// A fault or a repair happens.
    Happens(What),
    /// So many rounds pass: every host ticks, and the network delivers all that it owes.
    Rounds(u32),
}

/// One host as it is before it first starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostSetup {
    /// Its node's id.
    pub id: NodeId,
    /// Where it listens. Of two hosts with one address only one runs.
    pub ip: Ip,
    /// What its node is told.
    pub config: Arc<Config>,
}

/// What is fixed about a world.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The hosts; their ids ascend with their places.
    pub hosts: Vec<HostSetup>,
    /// When they may tick.
    pub pace: Pace,
    /// How many faults there is room for.
    pub budget: Budget,
    /// How hosts can crash.
    pub crashing: Crashing,
    /// Whether what nobody can read any more is dropped: disks, and votes of past epochs. It changes no
    /// verdict, and is turned off to see that it does not.
    pub is_reduced: bool,
    /// Between which hosts the network can part.
    pub partible: Places,
    /// Whether partitions end. If they do not, what parts hosts must have happened before the start.
    pub heals: bool,
    /// What is deliberately wrong, from the start on.
    pub flaw: Option<Flaw>,
    /// Whether the hosts of a timely or prompt world tick in the order of their places in every round.
    pub is_orderly: bool,
    /// A host whose current epoch reached this ticks no more: elections may fail for ever, each in an
    /// epoch of its own.
    pub epoch_end: u64,
    /// Commands, each given at any time once its predecessor in the same script was.
    pub scripts: Vec<Vec<Order>>,
    /// Moves of keys; no slot is given away before its key has moved.
    pub transfers: Vec<Transfer>,
    /// Invariants that are not asked for: they are known to be broken, and others are looked for.
    pub overlooked: Broken,
    /// Which rules have fired in worlds of this setup.
    pub coverage: Arc<Coverage>,
}

impl Setup {
    /// `count` hosts without faults, ticking freely once each, under `profile`.
    #[must_use]
    pub fn new(count: u8, profile: Profile) -> Self {
        let hosts = (0..count).map(|index| HostSetup::new(Place(index), profile)).collect();
        Self {
            hosts,
            pace: Pace::Free { ticks: 1 },
            budget: Budget::default(),
            crashing: Crashing::default(),
            is_reduced: true,
            partible: Places::ALL,
            heals: true,
            flaw: None,
            is_orderly: false,
            epoch_end: u64::MAX,
            scripts: Vec::new(),
            transfers: Vec::new(),
            overlooked: Broken::default(),
            coverage: Arc::default(),
        }
    }

    /// The setup in which stages lead to where an exploration of `setup` starts: the same hosts, each at an
    /// address of its own, with room for every fault among the stages, and no disk that is taken for dead.
    pub(crate) fn calm(setup: &Self, stages: &[Stage]) -> Self {
        let commands = stages.iter().filter_map(|stage| match stage {
            Stage::Command(order) => Some(vec![order.clone()]),
            Stage::Happens(_) | Stage::Rounds(_) => None,
        });
        let ample = u8::MAX;
        let hosts = setup.places().zip(&setup.hosts);
        Self {
            hosts: hosts.map(|(place, host)| HostSetup { ip: place.ip(), ..host.clone() }).collect(),
            pace: Pace::Timely,
            partible: Places::ALL,
            heals: true,
            flaw: None,
            is_orderly: false,
            budget: Budget { crashes: ample, restarts: ample, writes: ample, cuts: ample, partitions: ample },
            crashing: Crashing { mortal: Places::ALL, amid: false, power: true },
            scripts: commands.collect(),
            ..setup.clone()
        }
    }

    /// Every place, ascending.
    pub fn places(&self) -> impl Iterator<Item = Place> + use<> {
        (0..self.hosts.len()).map(Place::at)
    }

    /// The host that `id` belongs to.
    #[must_use]
    pub fn owner_of(&self, id: &NodeId) -> Option<Place> {
        self.hosts.iter().position(|host| host.id == *id).map(Place::at)
    }

    /// Where a host listens.
    #[must_use]
    pub fn ip(&self, place: Place) -> &Ip {
        &self.hosts[place.index()].ip
    }

    /// The hosts that listen at an address of the bus, each while it runs.
    pub fn listeners<'a>(&'a self, address: &'a Address) -> impl Iterator<Item = Place> + use<'a> {
        let is_bus = address.cport == BUS_PORT;
        self.places().filter(move |&place| is_bus && address.host == *self.ip(place))
    }

    /// Has `present` listen where `former` does.
    pub fn moves_in(&mut self, former: Place, present: Place) {
        self.hosts[present.index()].ip = self.ip(former).clone();
    }

    /// Changes every host's configuration.
    pub fn configure(&mut self, change: impl Fn(&mut Config)) {
        for host in &mut self.hosts {
            change(Arc::make_mut(&mut host.config));
        }
    }

    /// The command that has its host MEET `whom`.
    #[must_use]
    pub fn meet(host: Place, whom: Place) -> Order {
        Order { host, command: Command::Meet { host: whom.ip(), port: PORT, cport: BUS_PORT } }
    }

    /// The command that has its host FORGET `whom`.
    #[must_use]
    pub fn forget(&self, host: Place, whom: Place) -> Order {
        Order { host, command: Command::Forget(self.hosts[whom.index()].id) }
    }

    /// The world that these stages lead to from one in which every host has just started for the
    /// first time. There the scripts begin, with every budget full.
    #[must_use]
    pub fn world_after<const SLOTS: usize>(&self, stages: &[Stage]) -> World<SLOTS> {
        World::fresh(&Self::calm(self, stages)).after_stages(self, stages)
    }
}

impl HostSetup {
    fn new(place: Place, profile: Profile) -> Self {
        let config = Config { port: PORT, cport: BUS_PORT, timing: timing(), profile, ..Config::default() };
        Self { id: place.id(), ip: place.ip(), config: Arc::new(config) }
    }
}

/// The timing of the models: as few ticks as leave every order of thresholds as it is in earnest.
/// A tick is a second; one pings every tick; half the node timeout is one tick.
fn timing() -> Timing {
    Timing {
        node_timeout_ms: 2000,
        cron_ms: 1000,
        crons_per_ping: 1,
        handshake_min_ms: 1000,
        rejoin_min_ms: 1000,
        rejoin_max_ms: 1000,
        writable_delay_ms: 1000,
        forget_ms: 4000,
        election_min_ms: 2000,
        election_delay_ms: 0,
        election_jitter_ms: 0,
        election_rank_ms: 1000,
        replica_ping_ms: 1000,
        manual_failover_ms: 3000,
        migration_delay_ms: 2000,
        gossip_ahead_ms: 500,
    }
}

impl Place {
    /// Where this host listens.
    #[must_use]
    pub fn ip(self) -> Ip {
        Ip::Ip(Ipv4Addr::new(10, 0, 0, self.0 + 1).into())
    }

    /// The id of this host's node: ids ascend with places.
    #[must_use]
    pub fn id(self) -> NodeId {
        NodeId([0x10 * (self.0 + 10); 20])
    }
}
