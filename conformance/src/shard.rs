//! One shard of real processes, whose members run any program, beside two primaries that vote: its primary is
//! killed or gives way while clients write. Owns the processes and the order of these steps; the clients are
//! `load`'s.

use crate::{
    cluster::{self, Program, Server, connect, wait_until},
    failover::{follow, settle, take_over},
    load::{Load, Manner, Told},
};
use redis::Connection;
use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// A member is the primary of the slot of this tag.
pub const TAG: &str = "{b}";
const PATIENCE: Duration = Duration::from_secs(40);
/// Clients write for so long before anything happens, and before the kill.
const CALM: Duration = Duration::from_millis(500);

/// The members, and who votes.
#[derive(Debug)]
pub struct Shard {
    members: Vec<Server>,
    voters: Vec<Server>,
}

/// How a primary that was killed was replaced.
#[derive(Debug)]
pub struct Replaced {
    /// Who was killed.
    pub former: usize,
    /// Who leads now.
    pub successor: usize,
    /// From the kill until a replica was a primary.
    pub took: Duration,
    /// What each client was told, and what the successor has.
    pub counts: Vec<(Told, u64)>,
    /// Whether the killed member came back without a copy of all keys.
    pub is_partial: bool,
}

impl Replaced {
    /// How many writes were acknowledged, or confirmed, and are gone, by clients of these manners.
    #[must_use]
    pub fn lost(&self, is_of: impl Fn(Manner) -> bool) -> u64 {
        let counts = self.counts.iter().filter(|(told, _)| is_of(told.manner));
        counts.map(|(told, found)| told.value.saturating_sub(*found)).sum()
    }
}

impl Shard {
    /// Starts a primary of the first program with replicas of the others; the voters run the program `voter`.
    pub fn form(programs: &[Program], voter: &Program, folder: &Path, node_timeout_ms: u64) -> Result<Self, String> {
        const DIRECTIVES: [&str; 10] = [
            "--cluster-replica-validity-factor",
            "0",
            // Voters never had a replica, and are to get none.
            "--cluster-migration-barrier",
            "9",
            "--repl-diskless-sync-delay",
            "0",
            "--repl-backlog-size",
            "256mb",
            "--enable-debug-command",
            "yes",
        ];
        let start = |program: &Program| Server::start(program, folder, node_timeout_ms, &DIRECTIVES);
        let [primary, replicas @ ..] = programs else { return Err("a shard has a primary".to_owned()) };
        let mut primaries = vec![start(primary)?, start(voter)?, start(voter)?];
        cluster::form(&primaries, PATIENCE)?;
        let mut members = vec![primaries.remove(0)];
        for program in replicas {
            let replica = start(program)?;
            follow(&members[0], &replica)?;
            members.push(replica);
        }
        let shard = Self { members, voters: primaries };
        shard.settle()?;
        Ok(shard)
    }

    /// The members, the first primary first.
    #[must_use]
    pub fn members(&self) -> &[Server] {
        &self.members
    }

    /// Every server.
    pub fn all(&mut self) -> impl Iterator<Item = &mut Server> {
        self.members.iter_mut().chain(&mut self.voters)
    }

    /// Waits until every replica is in step and everybody knows everybody.
    pub fn settle(&self) -> Result<(), String> {
        settle(&self.members.iter().chain(&self.voters).collect::<Vec<_>>())
    }

    /// Who leads, other than `former`.
    pub fn leader(&self, former: Option<usize>) -> Result<usize, String> {
        let mut found = None;
        let find = || {
            found = (0..self.members.len()).find(|&at| Some(at) != former && self.members[at].is_primary());
            found.is_some()
        };
        wait_until(PATIENCE, find).map_err(|why| format!("nobody leads the shard: {why}"))?;
        found.ok_or_else(|| "nobody leads the shard".to_owned())
    }

    /// Kills the primary while clients write, after one replica, if there are several, was kept from
    /// following; looks at what is left, and has the killed one come back. `round` tells rounds apart.
    pub fn kill_under_load(&mut self, round: usize) -> Result<Replaced, String> {
        let former = self.leader(None)?;
        let replicas: Vec<usize> = (0..self.members.len()).filter(|&at| at != former).collect();
        let laggard = (replicas.len() > 1).then(|| replicas[round % replicas.len()]);
        let confirmed = Manner::Confirmed(replicas.len() - usize::from(laggard.is_some()));
        let manners = [Manner::Closed, Manner::Closed, Manner::Pipelined, Manner::Pipelined, confirmed];
        self.save(former)?;
        let load = Load::start(self.members[former].port(), &format!("{TAG}:{round}"), &manners);
        thread::sleep(CALM);
        if let Some(laggard) = laggard {
            self.hold_back(laggard, former)?;
        }
        thread::sleep(CALM);
        let killed_at = Instant::now();
        self.members[former].kill();
        let successor = self.leader(Some(former))?;
        let took = killed_at.elapsed();
        if laggard == Some(successor) {
            return Err(format!("member {successor}, which has not followed to the end, was elected"));
        }
        let told = load.finish()?;
        let counts = told.into_iter().map(|told| {
            let found: Option<u64> = self.members[successor].call(&["GET", &told.key])?;
            Ok((told, found.unwrap_or_default()))
        });
        let counts = counts.collect::<Result<Vec<_>, String>>()?;
        if let Some(laggard) = laggard {
            self.members[laggard].text(&["CONFIG", "SET", "masterauth", ""])?;
        }
        let is_partial = self.bring_back(former)?;
        Ok(Replaced { former, successor, took, counts, is_partial })
    }

    /// Has a member save, which lets it come back without a copy of all keys. It refuses while it sends such a copy itself.
    fn save(&self, member: usize) -> Result<(), String> {
        let saves = || self.members[member].text(&["SAVE"]).is_ok();
        wait_until(PATIENCE, saves).map(drop).map_err(|why| format!("a primary does not save: {why}"))
    }

    /// Has a replica fall behind: it shows a password that its primary does not know, whenever it connects.
    fn hold_back(&self, laggard: usize, primary: usize) -> Result<(), String> {
        self.members[laggard].text(&["CONFIG", "SET", "masterauth", "unknown"])?;
        self.members[primary].call::<u64>(&["CLIENT", "KILL", "TYPE", "replica"])?;
        let others = || (0..self.members.len()).filter(|&at| at != primary && at != laggard);
        let is_so = || !self.members[laggard].is_linked() && others().all(|at| self.members[at].is_linked());
        wait_until(PATIENCE, is_so).map(|_| ()).map_err(|why| format!("no replica falls behind: {why}"))
    }

    /// Starts a killed member again and waits until the shard is whole; says whether it needed no copy.
    fn bring_back(&mut self, former: usize) -> Result<bool, String> {
        self.members[former].restart()?;
        let member = &self.members[former];
        let follows = || !member.is_primary() && member.is_linked();
        wait_until(PATIENCE, follows).map_err(|why| format!("a primary that returns does not follow: {why}"))?;
        self.settle()?;
        Ok(!member.log().contains("Full resync from master"))
    }

    /// Waits until all members have the same keys and values.
    pub fn compare(&self) -> Result<(), String> {
        let digests =
            || self.members.iter().map(|member| member.text(&["DEBUG", "DIGEST"])).collect::<Result<Vec<_>, _>>();
        let are_equal = || digests().is_ok_and(|all| all.windows(2).all(|pair| pair[0] == pair[1]));
        let outcome = wait_until(PATIENCE, are_equal);
        outcome.map(|_| ()).map_err(|why| format!("the members' data differ: {why}: {:?}", digests()))
    }

    /// Has a replica take over from its primary, and says after how long all servers agree on that.
    pub fn hand_over(&self, to: usize) -> Result<Duration, String> {
        let id = self.members[to].text(&["CLUSTER", "MYID"])?;
        let servers = self.members.iter().chain(&self.voters);
        let mut views = servers.map(|server| connect(server.port(), PATIENCE)).collect::<Result<Vec<_>, _>>()?;
        take_over(&self.members[to], || views.iter_mut().all(|view| shows(view, &id, self.members.len())))
    }
}

/// Whether a server shows a node as the primary, with slots, of all other members of its shard.
fn shows(view: &mut Connection, id: &str, members: usize) -> bool {
    let text: String = redis::cmd("CLUSTER").arg("NODES").query(view).unwrap_or_default();
    let lines: Vec<_> = text.lines().map(cluster::NodeLine::parse).collect();
    let leads = lines.iter().any(|line| line.id == id && line.is("master") && !line.slots.is_empty());
    leads && lines.iter().filter(|line| line.primary == id).count() == members - 1
}
