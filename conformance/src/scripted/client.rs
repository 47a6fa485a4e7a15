//! A client of the server under test: sends one command, shows the reply as text. Knows no command.

use super::{
    cast::Cast,
    record::{Happening, Recorder},
};
use redis::{Connection, Value};
use std::{
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

/// One command on loopback, even on a busy machine, takes less.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// One connection.
pub struct Client {
    connection: Connection,
    recorder: Recorder,
    asked: u64,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

impl Client {
    /// Connects to a client port of loopback.
    pub fn connect(port: u16) -> Result<Self, String> {
        Self::recorded(port, Recorder::default())
    }

    /// The same, with all that it asks and hears recorded.
    pub fn recorded(port: u16, recorder: Recorder) -> Result<Self, String> {
        let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).map_err(|error| error.to_string())?;
        let connection = client.get_connection_with_timeout(REPLY_TIMEOUT).map_err(|error| error.to_string())?;
        connection.set_read_timeout(Some(REPLY_TIMEOUT)).map_err(|error| error.to_string())?;
        Ok(Self { connection, recorder, asked: 0 })
    }

    /// Sends a command and waits for its reply; an error reply is a reply.
    pub fn ask(&mut self, words: &[String]) -> Result<Value, String> {
        self.asked += 1;
        let number = self.asked;
        self.recorder.note(Happening::Asked { number, words: words.to_vec() });
        self.send(words)?;
        let reply = self.connection.recv_response().map_err(|error| format!("no reply to {words:?}: {error}"))?;
        self.recorder.note(Happening::Answered { number, reply: reply.clone() });
        Ok(reply)
    }

    /// Sends a command whose reply is text.
    pub fn text(&mut self, words: &[&str]) -> Result<String, String> {
        let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
        let reply = self.ask(&words)?;
        redis::from_redis_value(reply).map_err(|error| format!("{words:?}: {error}"))
    }

    /// Sends a command and hands out whatever comes back, as it comes, until the server closes.
    pub fn listen(mut self, words: &[String]) -> Result<Receiver<Value>, String> {
        self.send(words)?;
        self.connection.set_read_timeout(None).map_err(|error| error.to_string())?;
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            while let Ok(value) = self.connection.recv_response() {
                if sender.send(value).is_err() {
                    return;
                }
            }
        });
        Ok(receiver)
    }

    fn send(&mut self, words: &[String]) -> Result<(), String> {
        let mut command = redis::Cmd::new();
        words.iter().for_each(|word| {
            command.arg(word);
        });
        self.connection
            .send_packed_command(&command.get_packed_command())
            .map_err(|error| format!("cannot send: {error}"))
    }
}

/// A reply as lines of text, with names for ids and ports.
#[must_use]
pub fn show(reply: &Value, cast: &Cast) -> Vec<String> {
    let mut lines = Vec::new();
    show_into(reply, cast, "", &mut lines);
    lines
}

fn show_into(value: &Value, cast: &Cast, indent: &str, lines: &mut Vec<String>) {
    match items_of(value) {
        Some([]) => lines.push(format!("{indent}(empty)")),
        Some(items) => show_items(items, cast, indent, lines),
        None => {
            let text = cast.mask(&scalar_text(value));
            lines.extend(text.lines().map(|line| format!("{indent}{line}")));
        }
    }
}

/// The items of a reply that has any.
pub(super) fn items_of(value: &Value) -> Option<&[Value]> {
    if let Value::Array(items) | Value::Set(items) = value { Some(items) } else { None }
}

fn show_items(items: &[Value], cast: &Cast, indent: &str, lines: &mut Vec<String>) {
    for (index, item) in items.iter().enumerate() {
        let start = lines.len();
        match port_owner(items, index, cast) {
            Some(name) => lines.push(format!("{indent}  :<{name}>")),
            None => show_into(item, cast, &format!("{indent}  "), lines),
        }
        if let Some(first) = lines.get_mut(start) {
            first.replace_range(indent.len()..indent.len() + 2, "- ");
        }
    }
}

/// Whose port an integer is. One stands after an address or after a word, or else it may be a slot.
fn port_owner<'a>(items: &[Value], index: usize, cast: &'a Cast) -> Option<&'a str> {
    let before = items.get(index.checked_sub(1)?)?;
    let Value::Int(port) = items[index] else { return None };
    matches!(before, Value::BulkString(_) | Value::Nil).then(|| cast.at_port(u16::try_from(port).ok()?)).flatten()
}

fn scalar_text(value: &Value) -> String {
    if let Value::ServerError(error) = value {
        return format!("-{} {}", error.code(), error.details().unwrap_or_default());
    }
    if let Value::BulkString(bytes) = value {
        return format!("\"{}\"", String::from_utf8_lossy(bytes));
    }
    if let Value::Int(number) = value {
        return format!(":{number}");
    }
    if let Value::SimpleString(text) = value {
        return format!("+{text}");
    }
    if *value == Value::Okay { "+OK".to_owned() } else { format!("{value:?}") }
}
