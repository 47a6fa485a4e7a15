//! Random scripts: a small cluster of muted peers that say what they like, and a client that asks
//! for what it likes. The same seed gives the same script. Knows the language of scripts only.
//!
//! What happens by chance or by the clock in the server itself is kept out: the node timeout is
//! long, and everything waits for the slowest server.

use std::{
    collections::hash_map::DefaultHasher,
    fmt::Write as _,
    hash::{Hash, Hasher},
};

/// Names, ids and the order of declaration. The server's id is 5: some are smaller, some greater.
const PEERS: [(&str, &str); 5] = [("a", "1"), ("b", "2"), ("c", "3"), ("d", "7"), ("e", "9")];
const SLOTS: [&str; 13] =
    ["none", "0-9", "10-19", "0-4", "5-14", "9", "30-34", "31", "0-19", "20-24", "30-33", "100", "0-34"];
const SOME_SLOTS: [&str; 10] = ["0", "5", "9", "10", "15", "20", "30", "31", "34", "50"];
const ANYBODY: [&str; 8] = ["a", "b", "c", "d", "e", "me", "x", "y"];
const OPINIONS: [&str; 6] = ["fail", "pfail", "none", "none", "fail+migrate_to", "noaddr"];
/// One step looks at everything that clients can see.
const LOOK: &str = "nodes\ninfo cluster_current_epoch cluster_my_epoch cluster_slots_assigned cluster_known_nodes\n";

/// The script of a seed.
#[must_use]
pub fn script(seed: u64) -> String {
    let mut writer = Writer { seed, choices: 0, epoch: 8, is_replica: false, text: String::new() };
    writer.cast();
    for _ in 0..8 + writer.below(8) {
        writer.step();
    }
    writer.end();
    writer.text
}

struct Writer {
    seed: u64,
    /// Choices made so far.
    choices: u64,
    /// The epoch of the elections that peers hold.
    epoch: u64,
    /// Whether the server starts as a replica.
    is_replica: bool,
    text: String,
}

impl Writer {
    fn below(&mut self, limit: usize) -> usize {
        self.choices += 1;
        let mut hasher = DefaultHasher::new();
        (self.seed, self.choices).hash(&mut hasher);
        let limit = u64::try_from(limit).unwrap_or(u64::MAX).max(1);
        usize::try_from(hasher.finish() % limit).unwrap_or_default()
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    fn peer(&mut self) -> &'static str {
        PEERS[self.below(PEERS.len())].0
    }

    fn line(&mut self, line: &str) {
        // Writing to a String does not fail.
        let _ = writeln!(self.text, "{line}");
    }

    fn cast(&mut self) {
        self.line("rules: START-2\npeer x id=8 absent\npeer y id=6 absent");
        let primaries = [None, None, Some("a"), ["b", ""][self.below(2)].into(), ["a", ""][self.below(2)].into()];
        let epochs: Vec<_> = PEERS.iter().map(|_| self.below(7)).collect();
        let suspect = self.below(2 * PEERS.len());
        for (index, (name, id)) in PEERS.iter().enumerate() {
            let primary = primaries[index].filter(|name| !name.is_empty());
            let claimant = primary.map_or(index, |name| usize::from(name == "b"));
            let (epoch, slots) = (epochs[claimant], ["0-9", "10-19", "none", "20-22", "none"][claimant]);
            let of = primary.map_or(String::new(), |primary| format!(" of={primary}"));
            let health = if index == suspect { " flags=pfail absent" } else { "" };
            self.line(&format!("peer {name} id={id} epoch={epoch} slots={slots}{of}{health} known"));
        }
        self.server();
        self.line("start");
        if suspect < PEERS.len() {
            // The size of the cluster is looked at only then.
            self.line("sleep 2300");
        }
        PEERS.iter().for_each(|(name, _)| self.line(&format!("{name} mutes\ndrain {name}")));
    }

    fn server(&mut self) {
        let (kind, epoch, voted) = (self.below(4), self.below(7), self.below(5));
        self.is_replica = kind == 0;
        self.line(&match kind {
            0 => "server id=5 of=a timeout=15000".to_owned(),
            1 => format!("server id=5 epoch={epoch} timeout=15000"),
            2 => format!("server id=5 epoch={epoch} slots=30-34 voted={voted} timeout=15000"),
            _ => format!("server id=5 epoch={epoch} slots=30-34 timeout=15000 --cluster-allow-replica-migration no"),
        });
    }

    fn step(&mut self) {
        let peer = self.peer();
        match self.below(12) {
            0..=2 => self.heartbeat(peer),
            3 => self.change(peer),
            4 | 5 => self.gossip(peer),
            6 => self.update(peer),
            7 => {
                let about = self.pick(&ANYBODY);
                self.line(&format!("{peer} sends fail about={about}"));
            }
            8 => self.election(peer),
            9 => self.line(&format!("{peer} sends publish channel=news payload=hello")),
            _ => self.command(),
        }
        self.line(LOOK.trim_end());
        if self.below(4) == 0 {
            self.line("saved");
        }
    }

    fn heartbeat(&mut self, peer: &str) {
        let kind = self.pick(&["ping", "ping", "pong"]);
        let (epoch, slots, current) = (self.below(10), self.pick(&SLOTS), self.below(13));
        let of = self.pick(&["none", "a", "b", "c", "d", "x", "me"]);
        let said = match self.below(6) {
            0 => String::new(),
            1 => format!(" epoch={epoch}"),
            2 => format!(" slots={slots}"),
            3 => format!(" epoch={epoch} slots={slots}"),
            4 if of != peer => format!(" of={of}"),
            _ => format!(" current={current}"),
        };
        self.line(&format!("{peer} sends {kind}{said}"));
    }

    fn change(&mut self, peer: &str) {
        let of = self.pick(&["none", "none", "a", "b", "c", "d", "me"]);
        let of = if of == peer { "none" } else { of };
        let (epoch, slots) = (self.below(10), self.pick(&SLOTS));
        self.line(&format!("{peer} becomes of={of} epoch={epoch} slots={slots}\n{peer} sends ping"));
    }

    fn gossip(&mut self, peer: &str) {
        let first = self.below(ANYBODY.len());
        let count = 1 + self.below(3);
        let rumors: Vec<_> = (0..count)
            .map(|index| {
                let about = ANYBODY[(first + index * 3) % ANYBODY.len()];
                format!("{about}:{}", self.pick(&OPINIONS))
            })
            .collect();
        self.line(&format!("{peer} sends ping gossip={}", rumors.join(",")));
    }

    fn update(&mut self, peer: &str) {
        let (about, epoch, slots) = (self.pick(&ANYBODY), self.below(12), self.pick(&SLOTS));
        self.line(&format!("{peer} sends update about={about} claim-epoch={epoch} claim-slots={slots}"));
    }

    fn election(&mut self, peer: &str) {
        self.epoch += u64::from(self.below(2) == 0);
        let epoch = self.epoch;
        if self.below(4) == 0 {
            return self.line(&format!("{peer} sends auth-ack current={epoch}"));
        }
        let forced = self.pick(&["", " mflags=forceack", " mflags=forceack"]);
        let (claim, slots) = (self.below(10), self.pick(&SLOTS));
        let said = match self.below(4) {
            0 => format!(" epoch={claim}"),
            1 => format!(" slots={slots}"),
            _ => String::new(),
        };
        self.line(&format!("{peer} sends auth-req current={epoch}{forced}{said}"));
    }

    fn command(&mut self) {
        let (slot, who) = (self.pick(&SOME_SLOTS), self.pick(&ANYBODY));
        // A replica that is given slots ends redis-server.
        let slots = if self.is_replica { "BUMPEPOCH" } else { self.pick(&["ADDSLOTS", "DELSLOTS", "FLUSHSLOTS"]) };
        let slots = if matches!(slots, "ADDSLOTS" | "DELSLOTS") { format!("{slots} {slot}") } else { slots.to_owned() };
        let command = match self.below(11) {
            0 => format!("SETSLOT {slot} MIGRATING ${who}"),
            1 => format!("SETSLOT {slot} IMPORTING ${who}"),
            2 => format!("SETSLOT {slot} STABLE"),
            3 => format!("SETSLOT {slot} NODE ${who}"),
            4 => format!("SETSLOT {slot} NODE $me"),
            5 => format!("FORGET ${who}"),
            6 => format!("COUNT-FAILURE-REPORTS ${who}"),
            7 => format!("REPLICATE ${who}"),
            8 => self.pick(&["FAILOVER", "FAILOVER FORCE", "FAILOVER FORCE", "RESET SOFT"]).to_owned(),
            9 => "BUMPEPOCH".to_owned(),
            _ => slots,
        };
        self.line(&format!("command CLUSTER {command}"));
        if command.starts_with("FAILOVER") {
            // Until its cron, redis-server may do nothing about it.
            self.line("sleep 250");
        }
    }

    /// What everybody heard, and what the server says of itself in the end.
    fn end(&mut self) {
        PEERS.iter().for_each(|(name, _)| self.line(&format!("collect {name} for 60")));
        for (name, _) in PEERS {
            self.line(&format!("drain {name}\n{name} sends ping\nexpect {name} pong within 2000"));
        }
        self.line("nodes\nsaved");
    }
}

#[cfg(test)]
mod tests {
    use super::script;
    use crate::scripted::Script;

    #[test]
    fn every_seed_gives_one_script() {
        for seed in 0..200 {
            let text = script(seed);
            Script::parse("random", &text).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            assert_eq!(text, script(seed));
        }
        assert_ne!(script(1), script(2));
    }
}
