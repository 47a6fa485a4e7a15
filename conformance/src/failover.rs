//! A cluster of primaries with replicas, one primary of which is killed while clients write: its replica
//! takes over, and nothing that was acknowledged is lost. Owns the order of these steps, and the writers.

use crate::cluster::{self, Program, Server, wait_until};
use redis::cluster::ClusterClient;
use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

/// Between one attempt of a writer and the next, if the first fails.
const RETRY: Duration = Duration::from_millis(10);
/// Writers go on for so long before, and after.
const CALM: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(20);
/// A replica that was told to is a primary within.
const TAKEOVER_WITHIN: Duration = Duration::from_secs(40);
/// A FAILOVER that has not begun within this is over.
const FAILOVER_TIMEOUT: Duration = Duration::from_secs(6);
/// From one look at a takeover to the next: it is measured in milliseconds.
const POLL: Duration = Duration::from_millis(2);
/// Replicas get their copies at once, and what is in a server can be summed up.
const DIRECTIVES: [&str; 4] = ["--repl-diskless-sync-delay", "0", "--enable-debug-command", "yes"];

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub struct Failover {
    /// From the kill until the replica was a primary.
    pub took: Duration,
    /// For how long the writer got no answer at worst.
    pub longest_gap: Duration,
    /// Writes that were acknowledged, all of which are there.
    pub acknowledged: usize,
}

/// Primaries with their slots, and as many replicas, one for each.
pub struct Shards {
    /// The primaries.
    pub primaries: Vec<Server>,
    /// Their replicas, in the same order.
    pub replicas: Vec<Server>,
}

impl Shards {
    /// Starts them, and waits until every replica has its primary's keys.
    pub fn form(programs: [&[Program]; 2], folder: &Path, node_timeout_ms: u64) -> Result<Self, String> {
        let [primaries, replicas] = programs.map(|programs| {
            let started = programs.iter().map(|program| Server::start(program, folder, node_timeout_ms, &DIRECTIVES));
            started.collect::<Result<Vec<_>, _>>()
        });
        let shards = Self { primaries: primaries?, replicas: replicas? };
        cluster::form(&shards.primaries, PATIENCE)?;
        for (primary, replica) in shards.primaries.iter().zip(&shards.replicas) {
            follow(primary, replica)?;
        }
        let all: Vec<&Server> = shards.all().collect();
        settle(&all)?;
        Ok(shards)
    }

    /// Every server.
    pub fn all(&self) -> impl Iterator<Item = &Server> {
        self.primaries.iter().chain(&self.replicas)
    }

    /// Kills the first primary while a client writes.
    pub fn fail_over_under_load(&mut self) -> Result<Failover, String> {
        let client = ClusterClient::new(self.all().map(|server| format!("redis://127.0.0.1:{}", server.port())));
        let client = client.map_err(|error| error.to_string())?;
        let is_over = AtomicBool::new(false);
        let (took, written) = thread::scope(|scope| {
            let writer = scope.spawn(|| write(&client, &is_over));
            thread::sleep(CALM);
            self.primaries[0].kill();
            let took = wait_until(PATIENCE, || self.replicas[0].is_primary());
            thread::sleep(CALM);
            is_over.store(true, Ordering::Relaxed);
            (took, writer.join())
        });
        let took = took.map_err(|why| format!("the replica of a killed primary does not take over: {why}"))?;
        let written = written.map_err(|_| "the writer failed".to_owned())??;
        written.check(&client)?;
        Ok(Failover { took, longest_gap: written.longest_gap, acknowledged: written.count })
    }

    /// Starts the first primary again: it becomes a replica of its successor.
    pub fn restart_killed(&mut self) -> Result<(), String> {
        let killed = &mut self.primaries[0];
        killed.restart()?;
        let follows = || !killed.is_primary() && killed.is_linked();
        let outcome = wait_until(PATIENCE, follows);
        outcome.map(|_| ()).map_err(|why| format!("a primary that returns does not follow its successor: {why}"))
    }
}

/// Tells a replica to take over until that is done, and says after how long. A redis-server that stood for election a
/// moment ago may let the time for it pass, and is asked again.
pub fn take_over(replica: &Server, mut is_done: impl FnMut() -> bool) -> Result<Duration, String> {
    let begun = Instant::now();
    while begun.elapsed() < TAKEOVER_WITHIN {
        let asked_at = Instant::now();
        replica.text(&["CLUSTER", "FAILOVER"])?;
        while asked_at.elapsed() < FAILOVER_TIMEOUT {
            if is_done() {
                return Ok(asked_at.elapsed());
            }
            thread::sleep(POLL);
        }
    }
    Err(format!("{} does not take over", replica.program().name()))
}

/// Has a server that knows nobody replicate a primary.
pub(crate) fn follow(primary: &Server, replica: &Server) -> Result<(), String> {
    let id = primary.id()?;
    primary.text(&["CLUSTER", "MEET", "127.0.0.1", &replica.port().to_string()])?;
    let replicate = || replica.text(&["CLUSTER", "REPLICATE", &id]).is_ok();
    let outcome = wait_until(PATIENCE, replicate);
    outcome.map(|_| ()).map_err(|why| format!("a replica does not learn of its primary: {why}"))
}

/// Waits until every replica has its primary's keys, and everybody knows everybody.
pub(crate) fn settle(servers: &[&Server]) -> Result<(), String> {
    let are_linked = || servers.iter().all(|server| server.is_linked());
    wait_until(PATIENCE, are_linked).map_err(|why| format!("a replica gets no copy: {why}"))?;
    let are_known = || servers.iter().all(|server| knows(server, servers.len()));
    let outcome = wait_until(PATIENCE, are_known);
    outcome.map(|_| ()).map_err(|why| format!("not every server knows all others: {why}"))
}

fn knows(server: &Server, count: usize) -> bool {
    server.nodes().is_ok_and(|lines| lines.len() == count && lines.iter().all(|line| line.connected))
}

/// What a writer got acknowledged: keys from 0 on, each with its number.
struct Written {
    count: usize,
    longest_gap: Duration,
}

impl Written {
    fn check(&self, client: &ClusterClient) -> Result<(), String> {
        let mut connection = client.get_connection().map_err(|error| error.to_string())?;
        let mut missing = Vec::new();
        for number in 0..self.count {
            let found: Option<usize> = redis::cmd("GET")
                .arg(key(number))
                .query(&mut connection)
                .map_err(|error| format!("{}: {error}", key(number)))?;
            if found != Some(number) {
                missing.push(key(number));
            }
        }
        if let (Some(first), Some(last)) = (missing.first(), missing.last()) {
            return Err(format!(
                "{} of {} acknowledged writes are gone, from {first} to {last}",
                missing.len(),
                self.count
            ));
        }
        Ok(())
    }
}

fn key(number: usize) -> String {
    format!("under-load:{number}")
}

/// Writes one key after another, each until it is acknowledged.
fn write(client: &ClusterClient, is_over: &AtomicBool) -> Result<Written, String> {
    let connect = || client.get_connection().map_err(|error| error.to_string());
    let (mut connection, mut last) = (connect()?, Instant::now());
    let mut written = Written { count: 0, longest_gap: Duration::ZERO };
    while !is_over.load(Ordering::Relaxed) {
        let outcome: Result<(), _> =
            redis::cmd("SET").arg(key(written.count)).arg(written.count).query(&mut connection);
        if outcome.is_err() {
            thread::sleep(RETRY);
            connection = connect().unwrap_or(connection);
            continue;
        }
        written.count += 1;
        written.longest_gap = written.longest_gap.max(last.elapsed());
        last = Instant::now();
    }
    Ok(written)
}
