//! Stories that several clients play with one server, told to this node and to redis-server: every reply must be the
//! same bytes.

use super::{Client, NODE, REDIS, Server, text, wait_for};
use std::{thread::sleep, time::Duration};

/// One client of a story.
struct Player {
    name: String,
    /// The number that the server gave it, for which `$` and its name stand.
    id: String,
    client: Client,
}

/// A story that a server is told, with the clients that play in it.
pub(crate) struct Story<'s> {
    server: &'s Server,
    players: Vec<Player>,
}

impl<'s> Story<'s> {
    pub(crate) fn begin(server: &'s Server) -> Self {
        Self { server, players: Vec::new() }
    }

    /// Tells the next lines. A line is the name of a client and its request; `<` before the name stands for its next
    /// reply. Answers with all replies.
    pub(crate) fn tell(&mut self, lines: &str) -> String {
        let mut told = String::new();
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (name, request) = line.split_once(' ').unwrap_or((line, ""));
            let index = self.index_of(name.trim_start_matches('<'));
            if !name.starts_with('<') {
                let words: Vec<String> = request.split(' ').map(|word| self.meant_by(word)).collect();
                self.players[index].client.send_request(&words.iter().map(String::as_bytes).collect::<Vec<_>>());
            }
            if request.starts_with('b') || request.contains(" block ") {
                // Who waits must wait before the next line is said.
                settle(self.server);
            } else {
                let reply = text(&self.players[index].client.reply().unwrap());
                told.push_str(&format!("{line}: {:?}\n", self.without_ids(reply)));
            }
        }
        told
    }

    fn index_of(&mut self, name: &str) -> usize {
        self.players.iter().position(|player| player.name == name).unwrap_or_else(|| {
            let mut client = self.server.client();
            let id = client.ask("CLIENT ID").trim_start_matches(':').trim_end().to_owned();
            self.players.push(Player { name: name.to_owned(), id, client });
            self.players.len() - 1
        })
    }

    fn meant_by(&self, word: &str) -> String {
        let named = word.strip_prefix('$').and_then(|name| self.players.iter().find(|player| player.name == name));
        named.map_or_else(|| word.to_owned(), |player| player.id.clone())
    }

    /// A reply with names in the place of the numbers of clients.
    fn without_ids(&self, reply: String) -> String {
        self.players.iter().fold(reply, |reply, Player { name, id, .. }| {
            let known = ["id", "redirect", "tracking-redir-broken"];
            known.iter().fold(reply, |reply, word| {
                reply.replace(&format!("{word}\r\n:{id}\r\n"), &format!("{word}\r\n:${name}\r\n"))
            })
        })
    }
}

/// Waits until the number of waiting clients stands still.
pub(crate) fn settle(server: &Server) {
    let mut watcher = server.client();
    let mut blocked = || watcher.ask("INFO clients").lines().find(|line| line.starts_with("blocked")).map(String::from);
    let mut former = blocked();
    wait_for("clients to wait", || {
        sleep(Duration::from_millis(40));
        let now = blocked();
        let is_still = now == former;
        former = now;
        is_still.then_some(())
    });
}

/// Both servers must tell the story alike.
pub(crate) fn compare(story: &str) {
    let (node, redis) = (Server::start(NODE, &[]), Server::start(REDIS, &[]));
    assert_eq!(Story::begin(&node).tell(story), Story::begin(&redis).tell(story));
}
