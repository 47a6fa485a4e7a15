//! Clients that count: each increments a key of its own until its connection ends, and remembers what it was
//! told. Owns the connections. Must not know who serves the key later: what is found there is handed in.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpStream},
    thread::{self, JoinHandle},
    time::Duration,
};

/// Requests that a pipelining client has under way.
const PIPELINED: usize = 32;
/// A server that answers nothing for so long ends a client.
const SILENCE_MAX: Duration = Duration::from_secs(20);
/// How long replicas may take to confirm a write.
const CONFIRM_MS: u64 = 1000;

/// How a client goes about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// One request after another.
    Closed,
    /// Many at a time.
    Pipelined,
    /// One after another, each with a WAIT for so many replicas.
    Confirmed(usize),
}

/// What a client was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The key that it counts in.
    pub key: String,
    /// How it went about it.
    pub manner: Manner,
    /// The greatest value that was acknowledged, and confirmed if that was asked for.
    pub value: u64,
}

/// Clients that count at one server.
#[derive(Debug)]
pub struct Load(Vec<JoinHandle<Told>>);

impl Load {
    /// Starts one client for each manner. The keys begin with `prefix`, and nobody else uses them.
    #[must_use]
    pub fn start(port: u16, prefix: &str, manners: &[Manner]) -> Self {
        let clients = manners.iter().enumerate().map(|(number, &manner)| {
            let mut told = Told { key: format!("{prefix}:{number}"), manner, value: 0 };
            thread::spawn(move || {
                // However a connection ends: what was told until then holds.
                let _ = count(port, &mut told);
                told
            })
        });
        Self(clients.collect())
    }

    /// Waits until all connections have ended.
    pub fn finish(self) -> Result<Vec<Told>, String> {
        let outcomes = self.0.into_iter().map(|client| client.join().map_err(|_| "a client panicked".to_owned()));
        outcomes.collect()
    }
}

fn count(port: u16, told: &mut Told) -> io::Result<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE_MAX))?;
    stream.set_write_timeout(Some(SILENCE_MAX))?;
    let increment = format!("INCR {}\r\n", told.key);
    let (request, answers) = match told.manner {
        Manner::Closed => (increment, 1),
        Manner::Pipelined => (increment.repeat(PIPELINED), PIPELINED),
        Manner::Confirmed(replicas) => (format!("{increment}WAIT {replicas} {CONFIRM_MS}\r\n"), 2),
    };
    let mut input = Vec::new();
    loop {
        stream.write_all(request.as_bytes())?;
        let mut numbers = Vec::new();
        while numbers.len() < answers {
            let number = read_number(&mut stream, &mut input)?;
            numbers.push(number);
            if told.manner == Manner::Closed || told.manner == Manner::Pipelined {
                told.value = number;
            }
        }
        if let (Manner::Confirmed(wanted), [value, replicas]) = (told.manner, numbers.as_slice())
            && *replicas >= wanted as u64
        {
            told.value = *value;
        }
    }
}

/// The next answer, if it is a number.
fn read_number(stream: &mut TcpStream, input: &mut Vec<u8>) -> io::Result<u64> {
    let end = loop {
        if let Some(end) = input.windows(2).position(|pair| pair == b"\r\n") {
            break end;
        }
        let mut bytes = [0; 4096];
        match stream.read(&mut bytes)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => input.extend_from_slice(&bytes[..count]),
        }
    };
    let line: Vec<u8> = input.drain(..end + 2).collect();
    let number = line.strip_prefix(b":").and_then(|rest| std::str::from_utf8(rest).ok()?.trim_end().parse().ok());
    number.ok_or_else(|| io::ErrorKind::InvalidData.into())
}
