//! The names of a script and what stands behind them: ids and ports. Masks what differs from run to
//! run in a text, so that two transcripts can be compared.

use slotbus_core::NodeId;
use std::collections::BTreeMap;

/// How the server under test is called.
pub const ME: &str = "me";

/// Who is who.
#[derive(Clone, Debug, Default)]
pub struct Cast {
    ids: BTreeMap<String, NodeId>,
    names: BTreeMap<NodeId, String>,
    ports: BTreeMap<u16, String>,
    /// Bus ports that are not where the client ports say.
    cports: BTreeMap<u16, String>,
}

impl Cast {
    /// Adds a name. A name may get a second id: both stand for it from then on.
    pub fn add(&mut self, name: &str, id: NodeId, port: u16) {
        self.ids.insert(name.to_owned(), id);
        self.names.insert(id, name.to_owned());
        self.ports.insert(port, name.to_owned());
    }

    /// Says that the bus of a name is reached at a port of its own.
    pub fn add_cport(&mut self, name: &str, cport: u16) {
        self.cports.insert(cport, name.to_owned());
    }

    /// The id behind a name.
    pub fn id(&self, name: &str) -> Result<NodeId, String> {
        self.ids.get(name).copied().ok_or_else(|| format!("nobody is called {name}"))
    }

    /// The client port behind a name.
    pub fn port(&self, name: &str) -> Result<u16, String> {
        let found = self.ports.iter().find(|(_, other)| *other == name);
        found.map(|(port, _)| *port).ok_or_else(|| format!("nobody is called {name}"))
    }

    /// The bus port behind a name.
    pub fn cport(&self, name: &str) -> Result<u16, String> {
        let own = self.cports.iter().find(|(_, other)| *other == name);
        own.map_or_else(|| self.port(name).map(|port| port + super::peer::BUS_PORT_OFFSET), |(cport, _)| Ok(*cport))
    }

    /// The name of an id.
    #[must_use]
    pub fn name(&self, id: &NodeId) -> &str {
        self.names.get(id).map_or("?", String::as_str)
    }

    /// The node that a client or bus port belongs to.
    #[must_use]
    pub fn at_port(&self, port: u16) -> Option<&str> {
        let own = self.ports.get(&port).or_else(|| self.cports.get(&port));
        own.or_else(|| self.ports.get(&port.checked_sub(super::peer::BUS_PORT_OFFSET)?)).map(String::as_str)
    }

    /// A text with names for ids, and for ports that follow a colon or an at sign.
    #[must_use]
    pub fn mask(&self, text: &str) -> String {
        let mut masked = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let length = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len()).max(first.len_utf8());
            let (word, after) = rest.split_at(length);
            masked.push_str(&self.masked_word(word, masked.ends_with([':', '@'])));
            rest = after;
        }
        masked
    }

    fn masked_word(&self, word: &str, may_be_port: bool) -> String {
        if let Ok(id) = word.parse::<NodeId>() {
            return self.name(&id).to_owned();
        }
        let port = word.parse().ok().filter(|_| may_be_port);
        match port.and_then(|port| self.at_port(port)) {
            Some(name) => format!("<{name}>"),
            None => word.to_owned(),
        }
    }

    /// A word of a script with what its `$name`, `$name.port` and `$name.cport` stand for.
    pub fn resolve(&self, word: &str) -> Result<String, String> {
        let Some(reference) = word.strip_prefix('$') else { return Ok(word.to_owned()) };
        match reference.split_once('.') {
            Some((name, "port")) => self.port(name).map(|port| port.to_string()),
            Some((name, "cport")) => self.cport(name).map(|cport| cport.to_string()),
            Some((_, other)) => Err(format!("a name has a port and a cport, but no {other}")),
            None => self.id(reference).map(|id| id.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cast() -> Cast {
        let mut cast = Cast::default();
        cast.add("a", NodeId([0x11; 20]), 12_000);
        cast
    }

    #[test]
    fn ids_and_ports_are_masked_and_slots_are_not() {
        let line = format!("{} 127.0.0.1:12000@22000 master 12000-12001 {}", "11".repeat(20), "2".repeat(40));
        assert_eq!(cast().mask(&line), "a 127.0.0.1:<a>@<a> master 12000-12001 ?");
    }

    #[test]
    fn references_are_resolved() {
        assert_eq!(cast().resolve("$a.cport"), Ok("22000".to_owned()));
        assert_eq!(cast().resolve("$a"), Ok("11".repeat(20)));
        assert_eq!(cast().resolve("12000"), Ok("12000".to_owned()));
        assert!(cast().resolve("$b").is_err());
    }
}
