//! Owns what traces of nodes tell: those of one cluster become one document, in the form of a
//! counterexample that breaks nothing. Each node is taken through its inputs again, to show what it
//! held. Knows no model and no view.

use crate::counterexample::{Counterexample, FORMAT, Heading, Holding, NodeTurn, Step};
use slotbus_core::{
    CLUSTER_SLOTS, Effect, Effects, Event, Flags, Host, Input, LinkId, Message, Millis, Node, NodeId, Profile, step,
};
use slotbus_wire::trace::{self, TraceError, TraceFault, TraceReader};
use slotbus_world::{HostSetup, Place, Setup, digest, tell_effect, tell_event, tell_node};
use std::{collections::BTreeSet, fmt, io::BufRead, sync::Arc};

/// Hosts are columns with letters: the nodes that speak first have one.
const HOSTS_MAX: usize = 26;

/// Why traces tell nothing.
#[derive(Debug)]
pub enum Untold {
    /// A trace, by its number among them, cannot be read on.
    Trace(usize, TraceError),
    /// There are more traces than hosts that can be shown.
    TooMany,
}

impl fmt::Display for Untold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trace(number, error) => write!(f, "trace {number}, {error}"),
            Self::TooMany => write!(f, "more than {HOSTS_MAX} traces make no diagram"),
        }
    }
}

/// Why something is no trace.
#[derive(Debug)]
pub enum NoTrace {
    /// Its beginning cannot be read.
    Trace(TraceError),
    /// A node cannot start from its first line.
    Start(slotbus_core::BadImage),
}

impl fmt::Display for NoTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trace(error) => error.fmt(f),
            Self::Start(error) => write!(f, "its node cannot start from the first line: {error}"),
        }
    }
}

/// One trace, and its node as far as it has been taken.
pub struct Recording<R> {
    node: Node<CLUSTER_SLOTS>,
    place: Place,
    rest: TraceReader<R>,
    /// What comes next; none at the end.
    next: Option<trace::Step>,
    /// What the node holds, as it was told last.
    held: String,
}

impl<R: BufRead> Recording<R> {
    /// A trace, from its first line on.
    ///
    /// # Errors
    /// If it is none, or its node cannot start.
    pub fn new(input: R) -> Result<Self, NoTrace> {
        let rest = TraceReader::new(input).map_err(NoTrace::Trace)?;
        let trace::Header { config, origin, now, .. } = rest.header().clone();
        let (node, _) = Node::start(Arc::new(config), origin, now).map_err(NoTrace::Start)?;
        let mut recording = Self { node, place: Place::A, rest, next: None, held: String::new() };
        recording.read_on().map_err(NoTrace::Trace)?;
        Ok(recording)
    }

    /// A killed process leaves half a line at the end: the trace ends before it.
    fn read_on(&mut self) -> Result<(), TraceError> {
        self.next = match self.rest.next().transpose() {
            Err(TraceError { fault: TraceFault::Truncated, .. }) => None,
            read => read?,
        };
        Ok(())
    }

    /// When the next step was taken. Of one instant, what nobody has been told to have sent comes last.
    fn due(&self, under_way: &BTreeSet<u128>) -> Option<(Millis, bool)> {
        let input = &self.next.as_ref()?.input;
        Some((input.now, received(&input.event).is_some_and(|message| !under_way.contains(&digest(message)))))
    }
}

/// What the traces of one cluster tell together, ordered by their clocks. With `changes_only` steps
/// after which nobody holds anything else are left out.
///
/// # Errors
/// If one of them cannot be read to its end.
pub fn tell<R: BufRead>(mut recordings: Vec<Recording<R>>, changes_only: bool) -> Result<Counterexample, Untold> {
    if recordings.len() > HOSTS_MAX {
        return Err(Untold::TooMany);
    }
    let mut cast = Cast::default();
    for recording in &mut recordings {
        recording.place = cast.add(recording.node.id());
    }
    let traced = cast.names.hosts.len();
    recordings.iter().for_each(|recording| cast.meet(&recording.node));
    let mut hosts: Vec<_> =
        cast.names.places().take(traced).filter_map(|place| cast.begun(&mut recordings, place)).collect();
    let mut steps = Vec::new();
    let is_left = |(_, recording): &(usize, &mut Recording<R>)| recording.next.is_some();
    let mut under_way = BTreeSet::new();
    while let Some((number, next)) = (1..).zip(&mut recordings).filter(is_left).min_by_key(|(_, it)| it.due(&under_way))
    {
        let Some(recorded) = next.next.take() else { break };
        if let Some(message) = received(&recorded.input.event) {
            under_way.remove(&digest(message));
        }
        under_way.extend(recorded.effects.then.iter().filter_map(sent).map(|(_, message)| digest(message)));
        let step = cast.step(next, recorded, traced);
        if !changes_only || !step.changes.is_empty() || !step.breaks.is_empty() {
            steps.push(step);
        }
        next.read_on().map_err(|error| Untold::Trace(number, error))?;
    }
    hosts.extend(cast.names.places().skip(traced).map(|place| cast.untold(place)));
    let profile = recordings.first().map_or(Profile::SLOTBUS, |recording| recording.node.config().profile);
    let heading = Heading {
        format: FORMAT.into(),
        config: format!("{traced} traced of {} nodes", hosts.len()),
        profile: name_of(profile).into(),
        mutant: None,
        property: None,
        hosts,
        cycle_after: None,
    };
    Ok(Counterexample { heading, steps })
}

fn name_of(profile: Profile) -> &'static str {
    Profile::NAMED.iter().find(|(_, known)| *known == profile).map_or("of its own", |(name, _)| name)
}

/// Who takes part: the nodes with traces first, then whom they know.
struct Cast {
    names: Setup,
}

impl Default for Cast {
    fn default() -> Self {
        Self { names: Setup::new(0, Profile::SLOTBUS) }
    }
}

impl Cast {
    /// The place of a node, which it gets unless it has one. Where it listens is not for a diagram.
    fn add(&mut self, id: NodeId) -> Place {
        self.names.owner_of(&id).unwrap_or_else(|| {
            let place = Place::at(self.names.hosts.len());
            self.names.hosts.push(HostSetup { id, ip: Host::Unknown, config: Arc::default() });
            place
        })
    }

    /// Gives places to those whom a node knows for members, as long as there are any.
    fn meet(&mut self, node: &Node<CLUSTER_SLOTS>) {
        let members = node.peers().iter().filter(|peer| !peer.is(Flags::HANDSHAKE));
        members.for_each(|peer| self.add_if_free(peer.id));
    }

    /// Likewise to whoever speaks to a node, member or stranger.
    fn hear(&mut self, event: &Event<CLUSTER_SLOTS>) {
        if let Some(message) = received(event) {
            self.add_if_free(message.header.sender);
        }
    }

    fn add_if_free(&mut self, id: NodeId) {
        if self.names.hosts.len() < HOSTS_MAX {
            self.add(id);
        }
    }

    /// What a node holds at the start: of a node that was started again, the first trace says it.
    fn begun<R: BufRead>(&self, recordings: &mut [Recording<R>], place: Place) -> Option<Holding> {
        let of_it = recordings.iter_mut().filter(|recording| recording.place == place);
        let first = of_it.min_by_key(|recording| recording.due(&BTreeSet::new()));
        first.map(|recording| self.holding(recording))
    }

    fn holding<R>(&self, recording: &mut Recording<R>) -> Holding {
        recording.held = tell_node(&self.names, recording.place, &recording.node);
        Holding { host: recording.place.to_string(), lines: recording.held.lines().map(str::to_owned).collect() }
    }

    fn untold(&self, place: Place) -> Holding {
        let host = &self.names.hosts[place.index()];
        let lines = vec![format!("{place}: no trace"), format!("  {}", host.id)];
        Holding { host: place.to_string(), lines }
    }

    fn step<R>(&mut self, recording: &mut Recording<R>, recorded: trace::Step, traced: usize) -> Step {
        let trace::Step { input, effects } = recorded;
        let replayed = step(&mut recording.node, input.clone());
        let is_same =
            (&replayed.persist, &replayed.then, &replayed.rules) == (&effects.persist, &effects.then, &effects.rules);
        let before = recording.held.clone();
        self.meet(&recording.node);
        self.hear(&input.event);
        let holding = self.holding(recording);
        let turn = self.turn(recording.place, &input, &effects);
        let sent = effects.then.iter().filter_map(|effect| self.arrow(recording, effect, traced));
        Step {
            action: format!("at {} ms", input.now.0),
            turns: std::iter::once(turn).chain(sent).collect(),
            changes: if before == recording.held { Vec::new() } else { vec![holding] },
            breaks: if is_same {
                Vec::new()
            } else {
                vec!["the model does otherwise: see slotbus-conform verify".into()]
            },
        }
    }

    fn turn(&self, place: Place, input: &Input<CLUSTER_SLOTS>, effects: &Effects<CLUSTER_SLOTS>) -> NodeTurn {
        let message = received(&input.event);
        let saves = effects.persist.as_ref().map(|persist| if persist.sync { "saves and syncs" } else { "saves" });
        let told = effects.then.iter().map(|effect| tell_effect(&self.names, effect));
        NodeTurn {
            host: place.to_string(),
            from: message.and_then(|message| self.speaker(message)),
            message: message.map(kind),
            cause: tell_event(&self.names, &input.event),
            rules: effects.rules.iter().map(|rule| rule.id().to_owned()).collect(),
            effects: saves.map(str::to_owned).into_iter().chain(told).collect(),
        }
    }

    fn speaker(&self, message: &Message<CLUSTER_SLOTS>) -> Option<String> {
        self.names.owner_of(&message.header.sender).map(|place| place.to_string())
    }

    /// What is sent to a node without a trace, where nobody tells of its arrival.
    fn arrow<R>(&self, from: &Recording<R>, effect: &Effect<CLUSTER_SLOTS>, traced: usize) -> Option<NodeTurn> {
        let (link, message) = sent(effect)?;
        let to = self.end_of(&from.node, link).filter(|place| place.index() >= traced)?;
        Some(NodeTurn {
            host: to.to_string(),
            from: Some(from.place.to_string()),
            message: Some(kind(message)),
            cause: "is sent this".into(),
            rules: Vec::new(),
            effects: Vec::new(),
        })
    }

    fn end_of(&self, node: &Node<CLUSTER_SLOTS>, link: LinkId) -> Option<Place> {
        let peer = node.links().get(link)?.peer?;
        self.names.owner_of(&node.peers()[peer].id)
    }
}

fn received(event: &Event<CLUSTER_SLOTS>) -> Option<&Message<CLUSTER_SLOTS>> {
    if let Event::Received { message, .. } = event { Some(message) } else { None }
}

fn sent(effect: &Effect<CLUSTER_SLOTS>) -> Option<(LinkId, &Message<CLUSTER_SLOTS>)> {
    if let Effect::Send { link, message } = effect { Some((*link, message)) } else { None }
}

fn kind(message: &Message<CLUSTER_SLOTS>) -> String {
    message.body.name().to_uppercase()
}
