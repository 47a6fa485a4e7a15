//! A client of the server under test: sends one command, shows the reply as text. Knows no command.

use super::cast::Cast;
use redis::{Connection, Value};
use std::{
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

/// One command on loopback, even on a busy machine, takes less.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// One connection.
pub struct Client(Connection);

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

impl Client {
    /// Connects to a client port of loopback.
    pub fn connect(port: u16) -> Result<Self, String> {
        let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).map_err(|error| error.to_string())?;
        let connection = client.get_connection_with_timeout(REPLY_TIMEOUT).map_err(|error| error.to_string())?;
        connection.set_read_timeout(Some(REPLY_TIMEOUT)).map_err(|error| error.to_string())?;
        Ok(Self(connection))
    }

    /// Sends a command and waits for its reply; an error reply is a reply.
    pub fn ask(&mut self, words: &[String]) -> Result<Value, String> {
        self.send(words)?;
        self.0.recv_response().map_err(|error| format!("no reply to {words:?}: {error}"))
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
        self.0.set_read_timeout(None).map_err(|error| error.to_string())?;
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            while let Ok(value) = self.0.recv_response() {
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
        self.0.send_packed_command(&command.get_packed_command()).map_err(|error| format!("cannot send: {error}"))
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
    match value {
        Value::Array(items) | Value::Set(items) if items.is_empty() => lines.push(format!("{indent}(empty)")),
        Value::Array(items) | Value::Set(items) => show_items(items, cast, indent, lines),
        scalar => {
            let text = cast.mask(&scalar_text(scalar));
            lines.extend(text.lines().map(|line| format!("{indent}{line}")));
        }
    }
}

fn show_items(items: &[Value], cast: &Cast, indent: &str, lines: &mut Vec<String>) {
    for (index, item) in items.iter().enumerate() {
        let follows_text = index > 0 && matches!(items[index - 1], Value::BulkString(_) | Value::Nil);
        match item {
            // A port stands after an address or after the word.
            Value::Int(port) if follows_text => {
                let name = u16::try_from(*port).ok().and_then(|port| cast.at_port(port));
                lines.push(name.map_or_else(|| format!("{indent}- :{port}"), |name| format!("{indent}- :<{name}>")));
            }
            _ => {
                let start = lines.len();
                show_into(item, cast, &format!("{indent}  "), lines);
                if let Some(first) = lines.get_mut(start) {
                    first.replace_range(indent.len()..indent.len() + 2, "- ");
                }
            }
        }
    }
}

fn scalar_text(value: &Value) -> String {
    match value {
        Value::Okay => "+OK".to_owned(),
        Value::SimpleString(text) => format!("+{text}"),
        Value::Int(number) => format!(":{number}"),
        Value::Nil => "(nil)".to_owned(),
        Value::BulkString(bytes) => format!("\"{}\"", String::from_utf8_lossy(bytes)),
        Value::ServerError(error) => format!("-{} {}", error.code(), error.details().unwrap_or_default()),
        other => format!("{other:?}"),
    }
}
