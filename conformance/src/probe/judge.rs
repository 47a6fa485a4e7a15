//! Whether the model explains what a server did: the recording of a run is taken in order, the model's
//! node beside it is given the same inputs, and everything that was seen of the server must be what
//! some state of the model shows or says near that moment; what the model says must be seen in time.
//!
//! Near means within [`NEAR_MS`]: so far the order of things on different connections, and the moments
//! of the server's crons, are not known. Knows no script and no socket.

use super::{
    divergence::{self, Divergence},
    foresight::Foresight,
    request,
    shadow::{Shadow, is_same_body},
    view::{self, Mismatch, ModelNode, View},
};
use crate::scripted::{
    link::{Arrival, LIGHT},
    peer::{BUS_PORT_OFFSET, Via},
    record::{Conn, Happening, Record},
};
use redis::Value;
use slotbus_core::{
    Body, CLUSTER_SLOTS, Config, Effect, Effects, Event, LinkId, NodeId, Origin, Profile, RequestId, Rule,
    message::Extension,
};
use slotbus_wire::{
    bus::{self, BusMessage, Packet},
    nodes_conf,
};
use std::collections::{BTreeMap, BTreeSet};

/// How far apart the server and the model may be in time.
pub(super) const NEAR_MS: u64 = 300;
/// What the model says must be heard within so much.
const DEADLINE_MS: u64 = 1500;
/// The model's cron is tried at these distances, to explain what is not explained yet.
const AHEAD_MS: [u64; 3] = [0, 15, 60];
/// So far back inputs are suspected of what is not explained.
const SUSPECT_MS: u64 = 1000;

/// What the judge says about one run.
#[derive(Clone, Debug, Default)]
pub struct Judgement {
    /// What the model does not explain, in the order of time.
    pub divergences: Vec<Divergence>,
    /// Which rules fired in the model.
    pub rules: BTreeSet<Rule>,
    /// How many messages of the server were explained.
    pub explained: usize,
    /// What is not of the protocol that the model knows, and is not held against the server.
    pub notes: BTreeSet<String>,
}

/// Judges a recording of a server that is said to follow a profile.
#[must_use]
pub fn judge(records: &[Record], profile: Profile) -> Judgement {
    let mut judgement = Judgement::default();
    let starts = |record: &Record| matches!(record.what, Happening::Started { .. });
    let mut listening = BTreeSet::new();
    for (index, _) in records.iter().enumerate().filter(|(_, record)| starts(record)) {
        note_listeners(&mut listening, &records[..index]);
        let length = records[index + 1..].iter().position(starts).unwrap_or(records.len() - index - 1);
        let life = Life::begin(&records[index..=index + length], profile, listening.clone());
        life.and_then(|life| life.live(&mut judgement)).unwrap_or_else(|error| {
            judgement.divergences.push(Divergence::unstartable(records[index].at_ms, error));
        });
    }
    judgement
}

fn note_listeners(listening: &mut BTreeSet<u16>, records: &[Record]) {
    for record in records {
        if let Happening::Listens { port, listens } = record.what {
            if listens {
                listening.insert(port)
            } else {
                listening.remove(&port)
            };
        }
    }
}

/// Something seen that no state of the model so far explains: one of the next may.
enum Open {
    Message { conn: Conn, message: BusMessage, at_ms: u64 },
    Nodes { text: String, asked_ms: u64, at_ms: u64 },
    Info { text: String, asked_ms: u64, at_ms: u64 },
}

/// What was asked and not answered yet.
struct Question {
    asked_ms: u64,
    words: Vec<String>,
}

/// The server from one start to its end.
struct Life<'a> {
    records: &'a [Record],
    shadow: Shadow<'a>,
    open: Vec<Open>,
    /// Bytes on their way to the server that do not end a packet yet.
    partial: BTreeMap<Conn, Vec<u8>>,
    /// What arrived on connections that the model has not called for yet.
    uncalled: BTreeMap<Conn, (u64, Vec<u8>)>,
    ended: BTreeMap<Conn, u64>,
    questions: BTreeMap<u64, Question>,
    divergences: Vec<Divergence>,
    notes: BTreeSet<String>,
    explained: usize,
    end_ms: u64,
}

impl<'a> Life<'a> {
    fn begin(records: &'a [Record], profile: Profile, listening: BTreeSet<u16>) -> Result<Self, String> {
        let Some(Record { at_ms, what: Happening::Started { port, cport, uptime_ms, directives, nodes_conf } }) =
            records.first()
        else {
            return Err("a recording begins with a start".to_owned());
        };
        let foresight = Foresight(records);
        let origin = match nodes_conf {
            None => Origin::Fresh(foresight.next_id(*at_ms, NodeId([0; 20]))),
            Some(text) => {
                Origin::Restored(Box::new(nodes_conf::parse(text.as_bytes()).map_err(|error| error.to_string())?))
            }
        };
        // The process takes its time to start: the first sign of life tells when it had.
        let is_sign = |record: &&Record| matches!(record.what, Happening::Up { .. } | Happening::Ready);
        let first_ms = records.iter().find(is_sign).map_or(*at_ms, |record| record.at_ms);
        let started_ms = first_ms.saturating_sub(100).max(*at_ms).saturating_sub(*uptime_ms);
        let killed = records.iter().find(|record| matches!(record.what, Happening::Killed));
        let end_ms = killed.or(records.last()).map_or(*at_ms, |record| record.at_ms);
        let config = configuration((*port, *cport), directives, profile);
        let shadow = Shadow::start(&config, origin, started_ms, listening, foresight)?;
        Ok(Self {
            records,
            shadow,
            open: Vec::new(),
            partial: BTreeMap::new(),
            uncalled: BTreeMap::new(),
            ended: BTreeMap::new(),
            questions: BTreeMap::new(),
            divergences: Vec::new(),
            notes: BTreeSet::new(),
            explained: 0,
            end_ms,
        })
    }

    fn live(mut self, judgement: &mut Judgement) -> Result<(), String> {
        for record in self.records {
            if matches!(record.what, Happening::Killed) {
                break;
            }
            self.shadow.advance(record.at_ms);
            self.take(record);
            self.answer_waiting_calls();
        }
        self.shadow.advance(self.end_ms + NEAR_MS);
        self.settle();
        self.divergences.sort_by_key(|divergence| divergence.at_ms);
        let until_ms = self.divergences.first().map_or(u64::MAX, |divergence| divergence.at_ms);
        let steps = self.shadow.steps.iter().filter(|step| step.at_ms <= until_ms.min(self.end_ms));
        judgement.rules.extend(steps.flat_map(|step| step.rules.iter().copied()));
        judgement.explained += self.explained;
        judgement.notes.extend(self.notes);
        let packets = divergence::Packets(self.records);
        judgement.divergences.extend(self.divergences.into_iter().map(|divergence| packets.beside(divergence)));
        Ok(())
    }

    fn take(&mut self, record: &'a Record) {
        match &record.what {
            Happening::Started { .. } | Happening::Ready | Happening::Killed => {}
            Happening::Listens { port, listens } => self.shadow.listens(*port, *listens),
            Happening::Up { conn, via: Via::Own } => self.shadow.called(*conn),
            Happening::Up { conn, via: Via::Theirs } => self.calls(*conn, record.at_ms),
            Happening::Sent { conn, bytes } => self.sent(*conn, bytes),
            Happening::Heard { conn, arrival: Arrival::Message(message) } => {
                self.notes.extend(unknown_parts(message));
                self.heard(*conn, message, record.at_ms);
            }
            Happening::Heard { conn, arrival: Arrival::Closed } => self.closed(*conn, record.at_ms),
            Happening::Heard { arrival: Arrival::Malformed(why), .. } if why == LIGHT => {
                self.notes.insert("the server sends light messages, which the model never asks for".to_owned());
            }
            Happening::Heard { arrival: Arrival::Malformed(why), .. } => {
                let what = "the server sends a packet that cannot be read".to_owned();
                self.diverge(record.at_ms, what, why, "nothing", Vec::new());
            }
            Happening::HungUp { conn } => {
                self.ended.insert(*conn, record.at_ms);
                self.uncalled.remove(conn);
                self.shadow.lost(*conn);
            }
            Happening::Asked { number, words } => self.asked(*number, words, record.at_ms),
            Happening::Answered { number, reply } => self.answered(*number, reply, record.at_ms),
        }
    }

    /// The server called a peer.
    fn calls(&mut self, conn: Conn, at_ms: u64) {
        if self.shadow.calls(conn) {
            return;
        }
        let cport = conn.port + BUS_PORT_OFFSET;
        let is_call = |effects: &Effects<CLUSTER_SLOTS>| {
            let calls = |effect: &Effect<CLUSTER_SLOTS>| matches!(effect, Effect::Connect { address, .. } if address.cport == cport);
            effects.then.iter().any(calls)
        };
        self.tick_if(|_, effects| is_call(effects));
        if !self.shadow.calls(conn) {
            self.uncalled.insert(conn, (at_ms, Vec::new()));
        }
    }

    /// Calls that came before the model asked for them.
    fn answer_waiting_calls(&mut self) {
        let waiting: Vec<_> = self.uncalled.keys().copied().collect();
        for conn in waiting {
            if self.shadow.calls(conn)
                && let Some((_, bytes)) = self.uncalled.remove(&conn)
            {
                self.sent(conn, &bytes);
            }
        }
    }

    /// Has the model's cron run now if that makes of it what is looked for.
    fn tick_if(&mut self, explains: impl Fn(&ModelNode, &Effects<CLUSTER_SLOTS>) -> bool) -> bool {
        let now_ms = self.shadow.now_ms();
        let found = AHEAD_MS.into_iter().map(|ahead_ms| now_ms + ahead_ms).find(|&at_ms| {
            let (node, effects) = self.shadow.foretell(at_ms);
            explains(&node, &effects)
        });
        if let Some(at_ms) = found {
            self.shadow.tick(at_ms);
        }
        found.is_some()
    }

    /// A peer sent bytes: the server cuts them into packets, and so does the model's driver.
    fn sent(&mut self, conn: Conn, bytes: &[u8]) {
        if let Some((_, waiting)) = self.uncalled.get_mut(&conn) {
            return waiting.extend(bytes);
        }
        let mut input = self.partial.remove(&conn).unwrap_or_default();
        input.extend(bytes);
        while let Some(link) = self.shadow.link(conn) {
            match bus::frame(&input) {
                Ok(Some(length)) => {
                    let packet: Vec<u8> = input.drain(..length).collect();
                    if let Ok(Packet::Full(message)) = bus::decode(&packet) {
                        self.shadow.feed(Event::Received { link, message: Box::new(message) }, true);
                    }
                }
                Ok(None) => {
                    self.partial.insert(conn, input);
                    return;
                }
                Err(_) => {
                    self.ended.insert(conn, self.shadow.now_ms());
                    self.shadow.lost(conn);
                }
            }
        }
    }

    fn heard(&mut self, conn: Conn, message: &BusMessage, at_ms: u64) {
        self.shadow.offset_seen(message.header.offset);
        if self.is_explained(conn, message, at_ms, at_ms) {
            return;
        }
        if matches!(message.body, Body::Ping(_))
            && self.ping_by_chance(conn)
            && self.is_explained(conn, message, at_ms, at_ms)
        {
            return;
        }
        let link = self.shadow.link(conn);
        let explains = |node: &ModelNode, effects: &Effects<CLUSTER_SLOTS>| {
            let says = |effect: &Effect<CLUSTER_SLOTS>| {
                matches!(effect, Effect::Send { link: on, message: other }
                    if Some(*on) == link && is_same_body(&other.body, &message.body))
            };
            effects.then.iter().any(says) || (link.is_some() && contradiction(&View::of(node), message).is_none())
        };
        let is_news =
            self.contradiction_near(message, at_ms, at_ms).is_some() || !self.is_said(conn, message, at_ms, at_ms);
        let is_ticked = is_news && self.tick_if(explains);
        if !(is_ticked && self.is_explained(conn, message, at_ms, at_ms + NEAR_MS)) {
            self.open.push(Open::Message { conn, message: message.clone(), at_ms });
        }
    }

    /// The server may ping any member at any cron.
    fn ping_by_chance(&mut self, conn: Conn) -> bool {
        let link = self.shadow.link(conn).filter(|link| matches!(link, LinkId::Outbound(_)));
        link.inspect(|link| self.shadow.pinged(*link)).is_some()
    }

    /// Whether the model said this and its state is the message's: then that is settled.
    fn is_explained(&mut self, conn: Conn, message: &BusMessage, at_ms: u64, until_ms: u64) -> bool {
        let Some(index) = self.saying(conn, message, at_ms, until_ms) else { return false };
        let is_its_header = view::is_same_header(&message.header, &self.shadow.emissions[index].message.header);
        let contradicted = self.contradiction_near(message, at_ms, until_ms);
        let is_of_header = |mismatch: &Mismatch| mismatch.part.starts_with("header");
        if contradicted.as_ref().is_some_and(|mismatch| !(is_its_header && is_of_header(mismatch))) {
            return false;
        }
        self.shadow.emissions[index].is_seen = true;
        self.explained += 1;
        true
    }

    fn is_said(&self, conn: Conn, message: &BusMessage, at_ms: u64, until_ms: u64) -> bool {
        self.saying(conn, message, at_ms, until_ms).is_some()
    }

    /// The oldest message of the model that may be this one of the server.
    fn saying(&self, conn: Conn, message: &BusMessage, at_ms: u64, until_ms: u64) -> Option<usize> {
        let near = at_ms.saturating_sub(DEADLINE_MS)..=until_ms;
        self.shadow.emissions.iter().position(|sent| {
            !sent.is_seen
                && sent.conn == Some(conn)
                && near.contains(&sent.at_ms)
                && is_same_body(&sent.message.body, &message.body)
        })
    }

    /// Where a message contradicts every state of the model near a moment; told of the nearest state.
    fn contradiction_near(&self, message: &BusMessage, at_ms: u64, until_ms: u64) -> Option<Mismatch> {
        let gossip = message.heartbeat().map_or(&[][..], |heartbeat| &heartbeat.gossip);
        let none_of =
            |contradiction: &dyn Fn(&View) -> Option<Mismatch>| self.none_of_views(at_ms, until_ms, contradiction);
        // Inputs of different connections come in any order: each part has a state of its own to explain it.
        let of_entries = || gossip.iter().find_map(|entry| none_of(&|view| view.contradicts_entry(entry)));
        let of_header = none_of(&|view| view.contradicts_header(&message.header));
        of_header.or_else(of_entries).or_else(|| none_of(&|view| untold(view, message)))
    }

    fn none_of_views(
        &self,
        from_ms: u64,
        until_ms: u64,
        contradiction: impl Fn(&View) -> Option<Mismatch>,
    ) -> Option<Mismatch> {
        let shown = &self.shadow.shown;
        let last = shown.partition_point(|shown| shown.from_ms <= until_ms);
        let first = shown.partition_point(|shown| shown.from_ms <= from_ms.saturating_sub(NEAR_MS)).saturating_sub(1);
        let mut nearest = None;
        for shown in shown[first.min(last)..last].iter().rev() {
            let mismatch = contradiction(&shown.view)?;
            nearest.get_or_insert(mismatch);
        }
        nearest
    }

    fn closed(&mut self, conn: Conn, at_ms: u64) {
        self.ended.insert(conn, at_ms);
        self.uncalled.remove(&conn);
        if let Some(closing) = self.shadow.closings.iter_mut().find(|closing| closing.conn == conn) {
            closing.is_seen = true;
            return;
        }
        let Some(link) = self.shadow.link(conn) else { return };
        let closes = |effects: &Effects<CLUSTER_SLOTS>| {
            effects.then.iter().any(|effect| matches!(effect, Effect::Close { link: other } if *other == link))
        };
        if self.tick_if(|_, effects| closes(effects)) {
            return self.closed(conn, at_ms);
        }
        let is_due = closes(&self.shadow.foretell(at_ms + NEAR_MS).1);
        self.shadow.lost(conn);
        if !is_due {
            let suspects = self.recent_rules(at_ms);
            let what = "the server closes a connection that the model keeps".to_owned();
            self.diverge(at_ms, what, "closed", "open", suspects);
        }
    }

    fn asked(&mut self, number: u64, words: &[String], at_ms: u64) {
        self.questions.insert(number, Question { asked_ms: at_ms, words: words.to_vec() });
        let reply = Foresight(self.records).reply(number, at_ms).cloned();
        let lower: Vec<_> = words.iter().map(|word| word.to_ascii_lowercase()).collect();
        if let ([config, set, directive, value], Some(Value::Okay)) = (lower.as_slice(), &reply)
            && (config.as_str(), set.as_str()) == ("config", "set")
        {
            return self.shadow.configured(|config| request::configure(config, directive, value));
        }
        let event = |command| Event::Admin { request: RequestId(number), command };
        let readings = request::readings(words, self.shadow.next_id());
        let fits = |command: &&slotbus_core::Command| {
            let answer = self.shadow.would_answer(event((*command).clone()));
            answer.zip(reply.as_ref()).is_some_and(|(answer, reply)| request::is_answer(command, &answer, reply))
        };
        let Some(command) = readings.iter().find(fits).or(readings.first()).cloned() else { return };
        let first = self.shadow.steps.len();
        let answer = self.shadow.ask(event(command.clone()));
        if let (Some(answer), Some(reply)) = (answer, &reply)
            && !request::is_answer(&command, &answer, reply)
        {
            let suspects = self.shadow.steps[first..].iter().flat_map(|step| step.rules.clone()).collect();
            let what = format!("the reply to {} is another", words.join(" "));
            self.diverge(at_ms, what, &request::show(reply), &request::worded(&answer), suspects);
        }
    }

    fn answered(&mut self, number: u64, reply: &Value, at_ms: u64) {
        let Some(Question { asked_ms, words }) = self.questions.remove(&number) else { return };
        let lower: Vec<_> = words.iter().map(|word| word.to_ascii_lowercase()).collect();
        let lower: Vec<_> = lower.iter().map(String::as_str).collect();
        match lower.as_slice() {
            ["cluster", "nodes"] => self.nodes_shown(request::show(reply), asked_ms, at_ms),
            ["cluster", "info"] => self.info_shown(request::show(reply), asked_ms, at_ms),
            ["cluster", "count-failure-reports", id] => self.reports_shown(id, reply, at_ms),
            _ => {}
        }
    }

    fn nodes_shown(&mut self, text: String, asked_ms: u64, at_ms: u64) {
        let is_explained = self.none_of_views(asked_ms, at_ms, |view| view.contradicts_nodes(&text)).is_none();
        if !is_explained && !self.tick_if(|node, _| View::of(node).contradicts_nodes(&text).is_none()) {
            self.open.push(Open::Nodes { text, asked_ms, at_ms });
        }
    }

    fn info_shown(&mut self, text: String, asked_ms: u64, at_ms: u64) {
        let is_explained = self.none_of_views(asked_ms, at_ms, |view| view.contradicts_info(&text)).is_none();
        if !is_explained && !self.tick_if(|node, _| View::of(node).contradicts_info(&text).is_none()) {
            self.open.push(Open::Info { text, asked_ms, at_ms });
        }
    }

    fn reports_shown(&mut self, id: &str, reply: &Value, at_ms: u64) {
        let Ok(id) = id.parse::<NodeId>() else { return };
        let Value::Int(seen) = reply else { return };
        let near = [at_ms.saturating_sub(NEAR_MS), at_ms, at_ms + NEAR_MS];
        let counts = near.map(|at_ms| view::failure_reports(self.shadow.node(), &id, at_ms));
        if !counts.iter().flatten().any(|count| i64::try_from(*count) == Ok(*seen)) {
            let model = counts[1].map_or_else(|| "unknown node".to_owned(), |count| count.to_string());
            let suspects = [vec![Rule::HealthReported, Rule::HealthReportExpired], self.recent_rules(at_ms)].concat();
            let what = "another number of failure reports is valid".to_owned();
            self.diverge(at_ms, what, &seen.to_string(), &model, suspects);
        }
    }

    /// The end: what is still open is explained now or never.
    fn settle(&mut self) {
        for open in std::mem::take(&mut self.open) {
            match open {
                Open::Message { conn, message, at_ms } => self.settle_message(conn, &message, at_ms),
                Open::Nodes { text, asked_ms, at_ms } => {
                    let mismatch = self.none_of_views(asked_ms, at_ms + NEAR_MS, |view| view.contradicts_nodes(&text));
                    self.diverge_in(at_ms, mismatch);
                }
                Open::Info { text, asked_ms, at_ms } => {
                    let mismatch = self.none_of_views(asked_ms, at_ms + NEAR_MS, |view| view.contradicts_info(&text));
                    self.diverge_in(at_ms, mismatch);
                }
            }
        }
        self.settle_uncalled();
        self.settle_dials();
        self.settle_closings();
        self.settle_unsaid();
    }

    fn settle_message(&mut self, conn: Conn, message: &BusMessage, at_ms: u64) {
        let until_ms = at_ms + NEAR_MS;
        if self.is_explained(conn, message, at_ms, until_ms) {
            return;
        }
        if let Some(index) = self.saying(conn, message, at_ms, until_ms) {
            self.shadow.emissions[index].is_seen = true;
            let mismatch = self.contradiction_near(message, at_ms, until_ms);
            return self.diverge_in(at_ms, mismatch);
        }
        // The last words on a connection that the model has closed already.
        if self.shadow.closings.iter().any(|closing| closing.conn == conn && closing.at_ms <= until_ms) {
            return;
        }
        let suspects = [self.recent_rules(at_ms), divergence::sayings(&message.body)].concat();
        let what = format!("the server sends {} to {}, and the model does not", message.body.name(), conn.port);
        self.diverge(at_ms, what, &divergence::words(message), "nothing", suspects);
    }

    fn settle_uncalled(&mut self) {
        for (conn, (at_ms, _)) in std::mem::take(&mut self.uncalled) {
            if at_ms + DEADLINE_MS < self.end_ms {
                let suspects = [self.recent_rules(at_ms), vec![Rule::LinkOpened]].concat();
                let what = format!("the server calls {}, and the model does not", conn.port);
                self.diverge(at_ms, what, "a connection", "none", suspects);
            }
        }
    }

    fn settle_dials(&mut self) {
        for dial in std::mem::take(&mut self.shadow.dials) {
            if dial.at_ms + DEADLINE_MS < self.end_ms {
                let what = format!("the model calls the bus port {}, and the server does not", dial.cport);
                self.diverge(dial.at_ms, what, "nothing", "a connection", self.rules_of(dial.step));
            }
        }
    }

    fn settle_closings(&mut self) {
        let is_due = |at_ms: u64| at_ms + DEADLINE_MS < self.end_ms;
        let unseen = self.shadow.closings.iter().filter(|closing| !closing.is_seen && is_due(closing.at_ms));
        let unseen: Vec<_> = unseen.filter(|closing| !self.ended.contains_key(&closing.conn)).cloned().collect();
        for closing in unseen {
            let what = format!("the model closes its connection with {}, and the server does not", closing.conn.port);
            self.diverge(closing.at_ms, what, "open", "closed", self.rules_of(closing.step));
        }
    }

    fn settle_unsaid(&mut self) {
        let unsaid: Vec<_> = self.shadow.emissions.iter().filter(|sent| self.is_owed(sent)).cloned().collect();
        for sent in unsaid {
            let what = format!("the model sends {}, and the server does not", sent.message.body.name());
            self.diverge(sent.at_ms, what, "nothing", &divergence::words(&sent.message), self.rules_of(sent.step));
        }
    }

    /// Whether the server had to say what the model said: it was not heard, and could have been.
    fn is_owed(&self, sent: &super::shadow::Emission) -> bool {
        let Some(conn) = sent.conn else { return false };
        let had_time = sent.at_ms + DEADLINE_MS < self.end_ms;
        let has_ended = self.ended.get(&conn).is_some_and(|ended_ms| *ended_ms <= sent.at_ms + DEADLINE_MS);
        let is_chance = matches!(sent.message.body, Body::Ping(_))
            && self.shadow.steps[sent.step].rules.contains(&Rule::PingChosen);
        !sent.is_seen && had_time && !has_ended && !is_chance
    }

    fn rules_of(&self, step: usize) -> Vec<Rule> {
        self.shadow.steps.get(step).map(|step| step.rules.clone()).unwrap_or_default()
    }

    /// The rules that fired last before a moment for something that came from outside.
    fn recent_rules(&self, at_ms: u64) -> Vec<Rule> {
        let recent = at_ms.saturating_sub(SUSPECT_MS)..=at_ms;
        let steps = self.shadow.steps.iter().rev().filter(|step| step.is_input && recent.contains(&step.at_ms));
        steps.flat_map(|step| step.rules.iter().copied()).collect()
    }

    /// A divergence in what states show: the rule is the one that last made the model's state so.
    fn diverge_in(&mut self, at_ms: u64, mismatch: Option<Mismatch>) {
        let Some(Mismatch { part, seen, model }) = mismatch else { return };
        let shown = &self.shadow.shown;
        let last = shown.partition_point(|shown| shown.from_ms <= at_ms + NEAR_MS).saturating_sub(1);
        let made = (1..=last).rev().find(|&index| !shown[index].view.agrees_in(&part, &shown[index - 1].view));
        let made = made.map(|index| self.rules_of(shown[index].step)).unwrap_or_default();
        let suspects = [self.recent_rules(at_ms), made].concat();
        self.diverge(at_ms, format!("{part} is another"), &seen, &model, suspects);
    }

    fn diverge(&mut self, at_ms: u64, what: String, seen: &str, model: &str, suspects: Vec<Rule>) {
        self.divergences.push(Divergence::new(at_ms, what, seen, model, suspects));
    }
}

/// What the model's node is told, by what the server was told.
fn configuration((port, cport): (u16, u16), directives: &[String], profile: Profile) -> Config {
    let mut config = Config { port, cport, profile, ..Config::default() };
    for pair in directives.windows(2) {
        if let Some(directive) = pair[0].strip_prefix("--") {
            request::configure(&mut config, directive, &pair[1]);
        }
    }
    config
}

/// What a message has that no rule reads: ping extensions of a kind that is not known.
fn unknown_parts(message: &BusMessage) -> Vec<String> {
    let extensions = message.heartbeat().map_or(&[][..], |heartbeat| &heartbeat.extensions);
    let unknown = |extension: &Extension| match extension {
        Extension::Other { kind, .. } => Some(format!("the server sends ping extensions of the unknown kind {kind}")),
        Extension::Hostname(_) | Extension::HumanName(_) | Extension::Forgotten { .. } | Extension::ShardId(_) => None,
    };
    extensions.iter().filter_map(unknown).collect()
}

/// Where a message contradicts a state of the model.
fn contradiction(view: &View, message: &BusMessage) -> Option<Mismatch> {
    let gossip = message.heartbeat().map_or(&[][..], |heartbeat| &heartbeat.gossip);
    let of_entries = || gossip.iter().find_map(|entry| view.contradicts_entry(entry));
    view.contradicts_header(&message.header).or_else(of_entries).or_else(|| untold(view, message))
}

/// A suspected node of which a heartbeat does not tell.
fn untold(view: &View, message: &BusMessage) -> Option<Mismatch> {
    let untold = view.untold_suspect(&message.heartbeat()?.gossip)?;
    Some(Mismatch {
        part: format!("gossip about {untold}"),
        seen: "nothing".to_owned(),
        model: "told of: it is suspected".to_owned(),
    })
}
