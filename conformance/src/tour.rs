//! The main job end to end: the checker's verdicts, live clusters of real processes, and their
//! traces held to the model. Owns the order of the stages and the table; each stage is its module's.

use crate::{
    cluster::{self, Program, Server},
    failover::{Failover, Shards},
    report::{self, Outcome},
    verify,
};
use redis::cluster::ClusterClient;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const NODE_TIMEOUT_MS: u64 = 2000;
const KEYS: usize = 300;

/// What one stage came to.
struct Stage {
    name: String,
    outcome: Outcome,
    detail: String,
    seconds: f64,
}

/// Runs every stage, prints the table, and says what it comes to.
#[must_use]
pub fn run(as_json: bool) -> Outcome {
    let folder = match tempfile::tempdir() {
        Ok(folder) => folder,
        Err(error) => {
            eprintln!("slotbus-conform: cannot make a temporary folder: {error}");
            return Outcome::Unusable;
        }
    };
    let mut stages = Vec::new();
    check_configurations(&mut stages);
    let mut traces = Vec::new();
    stage(&mut stages, "live cluster, slotbus-node x 6", || live(&folder.path().join("live"), &mut traces));
    match cluster::installed("redis-server") {
        Some(redis) => {
            let mixed = folder.path().join("mixed");
            stage(&mut stages, "mixed cluster, redis-server x 2", || run_mixed(&mixed, redis, &mut traces));
        }
        None => eprintln!("redis-server is not installed: the mixed cluster is left out"),
    }
    stage(&mut stages, "traces verified", || verify_traces(&traces));
    if as_json {
        print_json(&stages)
    } else {
        print_table(&stages)
    }
    stages.iter().map(|stage| stage.outcome).max().unwrap_or(Outcome::Unusable)
}

fn stage(stages: &mut Vec<Stage>, name: &str, run: impl FnOnce() -> Result<String, Failure>) {
    eprintln!("{name} ...");
    let begun = Instant::now();
    let (outcome, detail) = match run() {
        Ok(detail) => (Outcome::Conforms, detail),
        Err(Failure { outcome, reason }) => (outcome, reason),
    };
    stages.push(Stage { name: name.to_owned(), outcome, detail, seconds: begun.elapsed().as_secs_f64() });
}

/// Why a stage failed, and what that makes of the run.
struct Failure {
    outcome: Outcome,
    reason: String,
}

/// Real processes that do not do what they should diverge.
impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Self { outcome: Outcome::Diverges, reason }
    }
}

fn unusable(reason: impl Into<String>) -> Failure {
    Failure { outcome: Outcome::Unusable, reason: reason.into() }
}

/// One stage for each standard configuration of the checker.
fn check_configurations(stages: &mut Vec<Stage>) {
    eprintln!("standard configurations ...");
    match run_checker() {
        Ok(found) => stages.extend(found),
        Err(Failure { outcome, reason: detail }) => {
            stages.push(Stage { name: "standard configurations".to_owned(), outcome, detail, seconds: 0.0 });
        }
    }
}

fn run_checker() -> Result<Vec<Stage>, Failure> {
    let checker = cluster::sibling("slotbus-check").map_err(unusable)?;
    let mut command = Command::new(&checker);
    command.args(["run", "all", "--quick", "--json"]).stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = command.output().map_err(|error| unusable(format!("cannot run {}: {error}", checker.display())))?;
    let document: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| unusable(format!("slotbus-check {}: no JSON on its output: {error}", output.status)))?;
    let runs = document["runs"].as_array().filter(|runs| !runs.is_empty());
    let runs = runs.ok_or_else(|| unusable(format!("slotbus-check {}: it ran nothing", output.status)))?;
    let stages: Vec<_> = runs.iter().map(stage_of_run).collect();
    let all_hold = stages.iter().all(|stage| stage.outcome == Outcome::Conforms);
    if all_hold != output.status.success() {
        return Err(unusable(format!("slotbus-check: {} does not go with its verdicts", output.status)));
    }
    Ok(stages)
}

fn stage_of_run(run: &Value) -> Stage {
    let empty = Vec::new();
    let properties = run["properties"].as_array().unwrap_or(&empty);
    let with = |verdict: &str| -> Vec<&str> {
        properties.iter().filter(|one| one["verdict"] == verdict).filter_map(|one| one["name"].as_str()).collect()
    };
    let (holds, violated) = (with("holds"), with("violated"));
    let is_exhausted = run["exhausted"] == true;
    let outcome = if !violated.is_empty() {
        Outcome::Diverges
    } else if is_exhausted && !holds.is_empty() && holds.len() == properties.len() {
        Outcome::Conforms
    } else {
        Outcome::Unusable
    };
    let coverage = if is_exhausted { "exhausted within its bounds" } else { "cut off" };
    let verdict = match outcome {
        Outcome::Diverges => format!("violated: {}", violated.join(", ")),
        Outcome::Conforms | Outcome::Unusable => format!("{} of {} properties hold", holds.len(), properties.len()),
    };
    Stage {
        name: format!("model {}", run["config"].as_str().unwrap_or("?")),
        outcome,
        detail: format!("{} states, {} transitions, {coverage}; {verdict}", run["states"], run["edges"]),
        seconds: run["seconds"].as_f64().unwrap_or_default(),
    }
}

/// Three slotbus-nodes with a replica each: one primary is killed while a client writes, and returns.
fn live(folder: &Path, traces: &mut Vec<PathBuf>) -> Result<String, Failure> {
    let nodes = vec![Program::Slotbus(cluster::sibling("slotbus-node").map_err(unusable)?); 3];
    let mut shards = Shards::form([&nodes, &nodes], folder, NODE_TIMEOUT_MS)?;
    let Failover { took, longest_gap, acknowledged } = shards.fail_over_under_load()?;
    shards.restart_killed()?;
    traces.extend(shards.all().flat_map(Server::trace_files));
    Ok(format!(
        "a primary was killed under load: its replica took over after {:.1} s, the writer waited for {:.1} s, and none of \
         {acknowledged} acknowledged writes was lost; it returned as a replica",
        took.as_secs_f64(),
        longest_gap.as_secs_f64()
    ))
}

/// Two redis-servers and a slotbus-node: each of both kinds killed in turn.
fn run_mixed(folder: &Path, redis: PathBuf, traces: &mut Vec<PathBuf>) -> Result<String, Failure> {
    let redis = Program::Redis(redis);
    let node = Program::Slotbus(cluster::sibling("slotbus-node").map_err(unusable)?);
    let mut servers = start(&[&redis, &node, &redis], folder)?;
    cluster::form(&servers, Duration::from_secs(20))?;
    use_it(&servers)?;
    let (redis_failed, _) = fail_one(&mut servers, 2)?;
    let (node_failed, _) = fail_one(&mut servers, 1)?;
    use_it(&servers)?;
    traces.extend(servers.iter().flat_map(Server::trace_files));
    Ok(format!(
        "formed, {KEYS} keys; killed: redis-server failed after {redis_failed:.1} s, slotbus-node after {node_failed:.1} s; both cleared"
    ))
}

fn start(programs: &[&Program], folder: &Path) -> Result<Vec<Server>, Failure> {
    let started = programs.iter().map(|program| Server::start(program, folder, NODE_TIMEOUT_MS, &[]));
    started.collect::<Result<_, _>>().map_err(unusable)
}

/// Writes and reads through a cluster client, which follows redirections.
fn use_it(servers: &[Server]) -> Result<(), String> {
    let client = ClusterClient::new(cluster::seeds(servers)).map_err(|error| error.to_string())?;
    let mut connection = client.get_connection().map_err(|error| format!("no cluster connection: {error}"))?;
    for number in 0..KEYS {
        let (key, value) = (format!("key:{number}"), format!("value:{number}"));
        let stored: Result<String, _> = redis::cmd("SET")
            .arg(&key)
            .arg(&value)
            .query(&mut connection)
            .and_then(|_: ()| redis::cmd("GET").arg(&key).query(&mut connection));
        match stored {
            Ok(read) if read == value => {}
            Ok(read) => return Err(format!("{key} was written as {value} and read as {read}")),
            Err(error) => return Err(format!("{key}: {error}")),
        }
    }
    Ok(())
}

/// Kills one server, waits until the others fail it, starts it again, and waits until all is well.
/// Says how many seconds both took.
fn fail_one(servers: &mut [Server], victim: usize) -> Result<(f64, f64), String> {
    let before = own_line(&servers[victim])?;
    servers[victim].kill();
    let others: Vec<_> = (0..servers.len()).filter(|&index| index != victim).collect();
    let is_failed = |index: &usize| {
        let lines = servers[*index].nodes().unwrap_or_default();
        lines.iter().any(|line| line.id == before.id && line.is("fail"))
    };
    let limit = Duration::from_millis(NODE_TIMEOUT_MS * 2 + 2000);
    let failed = cluster::wait_until(limit, || others.iter().all(is_failed))
        .map_err(|reason| format!("a killed {} is not failed: {reason}", servers[victim].program().name()))?;
    servers[victim].restart()?;
    let after = own_line(&servers[victim])?;
    if (&before.id, &before.epoch, &before.slots) != (&after.id, &after.epoch, &after.slots) {
        return Err(format!("a restarted node is not what it was: {before:?}, then {after:?}"));
    }
    // FAIL of an owner of slots lasts for twice the node timeout, the writable delay comes on top.
    let limit = Duration::from_millis(NODE_TIMEOUT_MS * 2 + 10_000);
    let cleared = cluster::wait_until(limit, || cluster::agree(servers).is_ok());
    let cleared =
        cleared.or_else(|reason| cluster::agree(servers).map(|()| limit).map_err(|why| format!("{reason}: {why}")))?;
    Ok((failed.as_secs_f64(), cleared.as_secs_f64()))
}

fn own_line(server: &Server) -> Result<cluster::NodeLine, String> {
    server.nodes()?.into_iter().find(|line| line.is("myself")).ok_or_else(|| "no line is flagged myself".to_owned())
}

fn verify_traces(traces: &[PathBuf]) -> Result<String, Failure> {
    let (mut steps, mut rules) = (0, BTreeSet::new());
    for trace in traces {
        let result = verify::verify_file(trace, None);
        match (report::outcome(&result), result) {
            (Outcome::Conforms, Ok(verified)) => {
                steps += verified.steps;
                rules.extend(verified.rules);
            }
            (_, Ok(verified)) => return Err(Failure::from(format!("{}: {:?}", trace.display(), verified.difference))),
            (outcome, Err(error)) => return Err(Failure { outcome, reason: format!("{}: {error}", trace.display()) }),
        }
    }
    if steps == 0 {
        return Err(unusable("no step was recorded"));
    }
    Ok(format!("{steps} steps of {} traces agree with the model; {} rules fired", traces.len(), rules.len()))
}

fn verdict(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Conforms => "ok",
        Outcome::Diverges => "FAILED",
        Outcome::Unusable => "NOT RUN",
    }
}

fn print_table(stages: &[Stage]) {
    let width = stages.iter().map(|stage| stage.name.len()).max().unwrap_or_default();
    println!();
    for Stage { name, outcome, detail, seconds } in stages {
        println!("{name:width$}  {:7}  {seconds:6.1} s  {detail}", verdict(*outcome));
    }
}

fn print_json(stages: &[Stage]) {
    let stages: Vec<_> = stages
        .iter()
        .map(|stage| {
            json!({"name": stage.name, "verdict": verdict(stage.outcome), "detail": stage.detail, "seconds": stage.seconds})
        })
        .collect();
    println!("{}", json!({"tool": "slotbus-conform", "version": env!("CARGO_PKG_VERSION"), "stages": stages}));
}
