//! Owns the line protocol with adapters, programs that play vectors against some implementation: one JSON
//! document a line, a question and its answer. Adapters do and report; what is right is judged here.
//! docs/VECTORS.md specifies the protocol.

use super::{
    judge::Difference,
    live::stable_fields,
    mask,
    pack::Named,
    packed::unpack,
    replay::Verdict,
    vector::{Event, Level, Live, LiveSend, Subject},
};
use crate::progress::Progress;
use serde::{Deserialize, Serialize};
use slotbus_core::NodeId;
use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread,
    time::{Duration, Instant},
};

/// How long an adapter gathers packets after an input, the first time and the second: a busy machine may come too
/// late for the first.
const WAITS_MS: [u64; 2] = [150, 400];
/// No answer takes longer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// An adapter ends within this time, or is killed.
const END_TIMEOUT: Duration = Duration::from_secs(5);
/// An answer with more packets than any step leads to is refused.
const LINE_MAX: usize = 1 << 24;

/// What an adapter is asked to do.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Ask<'a> {
    /// Start a server as the vector says, and its peers; wait until it is linked to all of them.
    Start(&'a Subject),
    /// Have something happen; answer with what showed until `wait_ms` later.
    Step { event: &'a Event, wait_ms: u64 },
    /// Answer with the text of CLUSTER NODES.
    Nodes,
    /// End the server and its peers.
    End,
}

/// What an adapter answers.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    /// Why it could not be done.
    #[serde(default)]
    error: Option<String>,
    /// Packets that arrived.
    #[serde(default)]
    sends: Vec<Arrived>,
    /// The answer to a command.
    #[serde(default)]
    reply: Option<String>,
    /// The text of CLUSTER NODES.
    #[serde(default)]
    nodes: Option<String>,
}

/// A packet that arrived at a peer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arrived {
    to: NodeId,
    on_inbound: bool,
    packet: String,
}

/// A running adapter.
struct Adapter {
    child: Child,
    /// None once it is to end.
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Drop for Adapter {
    /// An adapter owns a server: the end of its questions lets it end that, too.
    fn drop(&mut self) {
        self.stdin = None;
        let begun = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && begun.elapsed() < END_TIMEOUT {
            thread::sleep(Duration::from_millis(10));
        }
        // It may have ended by itself; either way it is waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Plays vectors through so many adapters at once.
pub(super) fn replay(
    vectors: &[Named],
    command: &str,
    level: Level,
    jobs: usize,
    progress: &Progress,
) -> Result<Vec<Verdict>, String> {
    let next = AtomicUsize::new(0);
    let verdicts = Mutex::new(vec![Verdict::Unplayed("not reached".to_owned()); vectors.len()]);
    let work = || -> Result<(), String> {
        let mut adapter = Adapter::start(command)?;
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(named) = vectors.get(index) else { return adapter.finish() };
            let mut verdict = Verdict::Unplayed(String::new());
            // What does not pass among others, or for want of a port, is played once more.
            for wait_ms in WAITS_MS {
                verdict = adapter.play(named, level, wait_ms).unwrap_or_else(Verdict::Unplayed);
                if verdict == Verdict::Passes {
                    break;
                }
                adapter = Adapter::start(command)?;
            }
            verdicts.lock().map_err(|_| "a worker panicked".to_owned())?[index] = verdict;
            progress.advance();
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs.clamp(1, vectors.len().max(1))).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| "a worker panicked".to_owned())?)
    })?;
    verdicts.into_inner().map_err(|_| "a worker panicked".to_owned())
}

impl Adapter {
    fn start(command: &str) -> Result<Self, String> {
        let trouble = |error| format!("cannot run '{command}': {error}");
        let mut child = Command::new("sh")
            .args(["-c", &format!("exec {command}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(trouble)?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(format!("cannot talk to '{command}'"));
        };
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                let Ok(line) = line else { return };
                if line.len() > LINE_MAX || sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, stdin: Some(stdin), lines })
    }

    /// Lets the adapter end by itself: it owns a server.
    fn finish(&mut self) -> Result<(), String> {
        self.ask(&Ask::End).map(|_| ())
    }

    fn ask(&mut self, ask: &Ask<'_>) -> Result<Answer, String> {
        let mut line = serde_json::to_string(ask).map_err(|error| error.to_string())?;
        line.push('\n');
        let stdin = self.stdin.as_mut().ok_or("the adapter is to end")?;
        let sent = stdin.write_all(line.as_bytes()).and_then(|()| stdin.flush());
        sent.map_err(|error| format!("the adapter does not listen: {error}"))?;
        let answer = self.lines.recv_timeout(ANSWER_TIMEOUT).map_err(|error| match error {
            RecvTimeoutError::Timeout => "the adapter does not answer".to_owned(),
            RecvTimeoutError::Disconnected => "the adapter has ended".to_owned(),
        })?;
        let answer: Answer = serde_json::from_str(&answer).map_err(|error| format!("the adapter's answer: {error}"))?;
        match answer.error {
            Some(trouble) => Err(trouble),
            None => Ok(answer),
        }
    }

    fn play(&mut self, named: &Named, level: Level, wait_ms: u64) -> Result<Verdict, String> {
        let vector = &named.vector;
        self.ask(&Ask::Start(&Subject { expect: None, ..vector.node.clone() }))?;
        let mut difference = None;
        for (index, step) in vector.steps.iter().enumerate() {
            let live = step.expect.as_ref().and_then(|expect| expect.live.as_ref());
            if live.is_none() && !step.event.is_call() {
                continue;
            }
            let wait_ms = if live.is_some() { wait_ms } else { 0 };
            let answer = self.ask(&Ask::Step { event: &step.event, wait_ms })?;
            let Some(live) = live else { continue };
            difference = differs_on_wire(live, &answer)?.or_else(|| differs_in_reply(live, &answer, level));
            if difference.is_none() && level >= Level::L1 && !live.nodes.is_empty() {
                difference = differs_in_nodes(live, &self.ask(&Ask::Nodes)?);
            }
            if let Some(found) = &mut difference {
                found.step = Some(index);
                break;
            }
        }
        self.ask(&Ask::End)?;
        Ok(difference.map_or(Verdict::Passes, Verdict::Differs))
    }
}

/// Every packet that must show does, and nothing shows that is neither expected nor a heartbeat.
fn differs_on_wire(live: &Live, answer: &Answer) -> Result<Option<Difference>, String> {
    let mut arrived = Vec::new();
    for one in &answer.sends {
        let packet = unpack(&one.packet).ok_or("the adapter's packet is no packed bytes")?;
        arrived.push((one.to, one.on_inbound, packet));
    }
    for send in &live.sends {
        let is_it = |(to, on_inbound, packet): &(NodeId, bool, Vec<u8>)| {
            (*to, *on_inbound) == (send.to, send.on_inbound) && mask::masked(packet, &send.mask) == send.packet.0
        };
        match arrived.iter().position(is_it) {
            Some(index) => drop(arrived.remove(index)),
            None => return Ok(Some(missing(send, &arrived))),
        }
    }
    let is_news = |packet: &[u8]| slotbus_wire::bus::kind_code(packet).is_none_or(|kind| kind > 2);
    let excess = arrived.iter().find(|(_, _, packet)| is_news(packet));
    Ok(excess.map(|(to, _, packet)| {
        let seen = format!("{} to {to}", described(packet));
        Difference { step: None, place: "sends".into(), expected: "nothing more".into(), seen }
    }))
}

fn missing(send: &LiveSend, arrived: &[(NodeId, bool, Vec<u8>)]) -> Difference {
    let kind = |packet: &[u8]| slotbus_wire::bus::kind_code(packet);
    let alike = arrived.iter().filter(|(to, on_inbound, packet)| {
        (*to, *on_inbound) == (send.to, send.on_inbound) && kind(packet) == kind(&send.packet.0)
    });
    let seen: Vec<String> = alike.map(|(_, _, packet)| described(&mask::masked(packet, &send.mask))).collect();
    let expected = format!("{} to {}", described(&send.packet.0), send.to);
    Difference {
        step: None,
        place: "sends".into(),
        expected,
        seen: format!("{} alike: {}", seen.len(), seen.join("; ")),
    }
}

/// A packet's first fields in words.
fn described(packet: &[u8]) -> String {
    let name =
        slotbus_wire::bus::kind_code(packet).and_then(|kind| slotbus_core::message::KIND_NAMES.get(usize::from(kind)));
    super::packed::pack(packet).chars().take(700).fold(format!("{} ", name.unwrap_or(&"?")), |mut text, letter| {
        text.push(letter);
        text
    })
}

fn differs_in_reply(live: &Live, answer: &Answer, level: Level) -> Option<Difference> {
    let is_same = level == Level::L0 || live.reply.is_none() || live.reply == answer.reply;
    (!is_same).then(|| Difference {
        step: None,
        place: "reply".into(),
        expected: live.reply.clone().unwrap_or_default(),
        seen: answer.reply.clone().unwrap_or_default(),
    })
}

fn differs_in_nodes(live: &Live, answer: &Answer) -> Option<Difference> {
    let text = answer.nodes.clone().unwrap_or_default();
    let mut lines: Vec<String> = text.lines().filter_map(stable_fields).collect();
    lines.sort();
    let expected = live.nodes.iter().find(|line| !lines.contains(line));
    let seen = lines.iter().find(|line| !live.nodes.contains(line));
    let show = |line: Option<&String>| line.map_or_else(|| "nothing".to_owned(), Clone::clone);
    let differs = expected.is_some() || seen.is_some();
    differs.then(|| Difference { step: None, place: "nodes".into(), expected: show(expected), seen: show(seen) })
}
