//! A relay before the bus port of a server: passes on what others send there and what the server
//! answers, holds back what one of them says to the other, and breaks their connections. Knows of a
//! packet only whose it is.

use slotbus_core::NodeId;
use std::{
    collections::BTreeSet,
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

const ACCEPT_INTERVAL: Duration = Duration::from_millis(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const CHUNK_SIZE: usize = 16 * 1024;
/// Where the sender's id stands in a header, as text.
const SENDER_AT: usize = 40;
const SENDER_END: usize = SENDER_AT + NodeId::TEXT_LEN;

/// Which of the two ends of a relayed connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Speaker {
    /// Who opened the connection.
    Caller,
    /// The server behind the relay.
    Called,
}

#[derive(Debug)]
struct Line {
    number: u64,
    /// Who opened it, once it has said so.
    caller: Option<NodeId>,
    ends: [TcpStream; 2],
}

#[derive(Debug, Default)]
struct State {
    is_closed: bool,
    opened: u64,
    lines: Vec<Line>,
    held: BTreeSet<(NodeId, Speaker)>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until what `speaker` says on a line may pass; false if the line was cut.
    fn may_pass(&self, number: u64, speaker: Speaker) -> bool {
        let mut state = self.lock();
        loop {
            let Some(line) = state.lines.iter().find(|line| line.number == number) else { return false };
            let is_held = line.caller.is_some_and(|caller| state.held.contains(&(caller, speaker)));
            if !is_held {
                return true;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends a line for both ends.
    fn end(&self, is_meant: impl Fn(&Line) -> bool) {
        let mut state = self.lock();
        for line in state.lines.extract_if(.., |line| is_meant(line)) {
            line.ends.iter().for_each(|end| drop(end.shutdown(Shutdown::Both)));
        }
        drop(state);
        self.changed.notify_all();
    }
}

/// A relay.
#[derive(Debug)]
pub struct Relay(Arc<Shared>);

impl Relay {
    /// Relays what arrives at `port` to `target`, which need not listen yet.
    pub fn new(port: u16, target: u16) -> Result<Self, String> {
        let failed = |error| format!("cannot listen on port {port}: {error}");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let shared = Arc::<Shared>::default();
        let accepting = Arc::clone(&shared);
        let target = SocketAddr::from((Ipv4Addr::LOCALHOST, target));
        thread::spawn(move || accept(&accepting, &listener, target));
        Ok(Self(shared))
    }

    /// Holds back what one end says on connections that `caller` opened, or lets it pass again.
    pub fn hold(&self, caller: NodeId, speaker: Speaker, is_held: bool) {
        let mut state = self.0.lock();
        if is_held {
            state.held.insert((caller, speaker));
        } else {
            state.held.remove(&(caller, speaker));
        }
        drop(state);
        self.0.changed.notify_all();
    }

    /// Breaks the connections that `caller` opened; what is held back on them is lost.
    pub fn cut(&self, caller: NodeId) {
        self.0.end(|line| line.caller == Some(caller));
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.0.lock().is_closed = true;
        self.0.end(|_| true);
    }
}

fn accept(shared: &Arc<Shared>, listener: &TcpListener, target: SocketAddr) {
    while !shared.lock().is_closed {
        match listener.accept() {
            // Where the server does not listen, the caller's connection ends, as it would without a relay.
            Ok((caller, _)) => drop(relay(shared, caller, target)),
            Err(_) => thread::sleep(ACCEPT_INTERVAL),
        }
    }
}

fn relay(shared: &Arc<Shared>, caller: TcpStream, target: SocketAddr) -> io::Result<()> {
    let called = TcpStream::connect_timeout(&target, CONNECT_TIMEOUT)?;
    for end in [&caller, &called] {
        end.set_nonblocking(false)?;
        end.set_nodelay(true)?;
    }
    let ends = [caller.try_clone()?, called.try_clone()?];
    let mut state = shared.lock();
    state.opened += 1;
    let number = state.opened;
    state.lines.push(Line { number, caller: None, ends });
    drop(state);
    let (hearing, answering) = (Arc::clone(shared), Arc::clone(shared));
    let (back, forth) = (caller.try_clone()?, called.try_clone()?);
    thread::spawn(move || pump(&hearing, number, Speaker::Caller, caller, forth));
    thread::spawn(move || pump(&answering, number, Speaker::Called, called, back));
    Ok(())
}

/// Passes bytes on until one end closes or the line is cut.
fn pump(shared: &Shared, number: u64, speaker: Speaker, mut from: TcpStream, mut to: TcpStream) {
    let mut unsent = Vec::new();
    let mut chunk = [0; CHUNK_SIZE];
    while let Ok(length @ 1..) = from.read(&mut chunk) {
        unsent.extend_from_slice(&chunk[..length]);
        if speaker == Speaker::Caller && !introduced(shared, number, &unsent) {
            continue;
        }
        if !shared.may_pass(number, speaker) || to.write_all(&unsent).is_err() {
            break;
        }
        unsent.clear();
    }
    shared.end(|line| line.number == number);
}

/// Whether it is known who opened a line: the first header on it says so.
fn introduced(shared: &Shared, number: u64, bytes: &[u8]) -> bool {
    let mut state = shared.lock();
    let Some(line) = state.lines.iter_mut().find(|line| line.number == number) else { return true };
    if line.caller.is_none() {
        let text = bytes.get(SENDER_AT..SENDER_END).and_then(|text| std::str::from_utf8(text).ok());
        line.caller = text.and_then(|text| text.parse().ok());
    }
    line.caller.is_some() || bytes.len() >= SENDER_END
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::free_port;

    const CALLER: NodeId = NodeId([0x11; 20]);

    fn packet() -> Vec<u8> {
        [vec![0; SENDER_AT], CALLER.to_string().into_bytes()].concat()
    }

    /// A relay, the caller's end and the server's end.
    fn connected() -> (Relay, TcpStream, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = free_port().expect("a port");
        let relay = Relay::new(port, listener.local_addr().expect("an address").port()).expect("a relay");
        let caller = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a connection");
        let (called, _) = listener.accept().expect("a connection");
        for end in [&caller, &called] {
            end.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
        }
        (relay, caller, called)
    }

    #[test]
    fn what_is_held_waits_and_passes_later() {
        let (relay, mut caller, mut called) = connected();
        relay.hold(CALLER, Speaker::Caller, true);
        caller.write_all(&packet()).expect("a packet");
        let mut heard = vec![0; packet().len()];
        assert!(called.read_exact(&mut heard).is_err());
        relay.hold(CALLER, Speaker::Caller, false);
        called.read_exact(&mut heard).expect("the packet");
        assert_eq!(heard, packet());
    }

    #[test]
    fn what_is_held_is_lost_with_its_connection() {
        let (relay, mut caller, mut called) = connected();
        relay.hold(CALLER, Speaker::Caller, true);
        caller.write_all(&packet()).expect("a packet");
        thread::sleep(Duration::from_millis(100));
        relay.cut(CALLER);
        let mut heard = Vec::new();
        assert_eq!(called.read_to_end(&mut heard).expect("an end"), 0);
    }
}
