//! Who asks and who answers on a connection: whoever opened it sends PING or MEET, the other end one PONG for
//! each.

use super::{Judge, Said};
use slotbus_core::{Body, Rule};

impl Judge {
    pub(super) fn heartbeat_laws(&mut self, said: &Said) {
        let end = (said.connection, said.by_caller);
        let is_whole = self.whole.contains(&said.connection);
        let other = self.lines.get(&(said.connection, !said.by_caller));
        let (asked, answered) = other.map_or((0, 0), |line| (line.asked, line.answered));
        match &said.message.body {
            Body::Ping(_) => {
                let is_paused = self.heard.get(&said.from()).is_some_and(|heard| heard.was_asked_to_pause);
                if !said.by_caller && !is_paused && is_whole {
                    self.refuse(said, Rule::LinkUpPing, "a PING on a link that the other end opened".to_owned());
                }
                self.lines.entry(end).or_default().asked += 1;
            }
            Body::Meet(_) => {
                if !said.by_caller || answered > 0 {
                    self.refuse(said, Rule::HandshakeMeetSent, "a MEET is not the first on its link".to_owned());
                }
                self.lines.entry(end).or_default().asked += 1;
            }
            Body::Pong(_) => {
                let line = self.lines.entry(end).or_default();
                line.answered += 1;
                let is_unasked = !said.by_caller && line.answered > asked && is_whole;
                if is_unasked {
                    self.refuse(said, Rule::PingAnswered, "a PONG answers nothing".to_owned());
                }
                if let Some(to) = said.to.filter(|_| !said.by_caller) {
                    self.answers.insert((said.from(), to), said.at);
                }
            }
            Body::Fail(_)
            | Body::Publish(_)
            | Body::FailoverAuthRequest
            | Body::FailoverAuthAck
            | Body::Update(_)
            | Body::ManualFailoverStart
            | Body::Module(_)
            | Body::PublishShard(_) => {
                if !said.by_caller && is_whole {
                    let what = format!("{} does not leave on its sender's own link", said.message.body.name());
                    self.refuse(said, Rule::LinkUpPing, what);
                }
            }
        }
    }
}
