//! Owns how clients learn that their copies of keys are out of date: at once if they have read the key, and
//! once a turn of the event loop if they are told of all keys with a prefix.
//!
//! Must not know who has a copy of what: `tracking` does.

use crate::{
    client::Session,
    command::{Command, Traits},
    server::Server,
    slab::Key,
    tracking::{Interest, Scope, Tracking},
};
use slotbus_wire::resp::{Args, Protocol, Reply};

/// The channel of invalidations for who cannot be told in any other form.
const CHANNEL: &str = "__redis__:invalidate";

/// Remembers what a client has read, if it keeps copies of that.
pub fn note_read(tracking: &mut Tracking, session: &Session, command: &'static Command, args: Args<'_>) {
    let counts = session.interest.as_ref().is_some_and(|interest| interest.counts_reads());
    if counts && command.traits.contains(Traits::READONLY) {
        tracking.note_read(session.key, command.keys_of(args));
    }
}

impl Server {
    /// Has a client be told of changes.
    pub fn begin_tracking(&mut self, session: &mut Session, interest: Interest) {
        session.interest = Some(Box::new(interest));
        self.tracking.begin(session.key);
        self.store.news.keeps_changed = true;
    }

    /// Has a client not be told any more.
    pub fn end_tracking(&mut self, session: &mut Session) {
        if session.interest.take().is_some() {
            self.tracking.end(session.key);
            self.store.news.keeps_changed = !self.tracking.is_empty();
        }
    }

    /// Tells those who have a copy of a key that changed just now.
    pub(crate) fn invalidate_changed(&mut self, mut session: Option<&mut Session>) {
        if std::mem::take(&mut self.store.news.is_cleared) {
            self.invalidate_all(session.as_deref_mut());
        }
        let by = session.as_deref().map(|session| session.key);
        for key in self.store.news.take_changed() {
            for client in self.tracking.change(&key, by) {
                let spares_own = |interest: &Interest| by == Some(client) && interest.spares_own;
                let interest = self.interest_of(session.as_deref(), client);
                if interest.is_some_and(|interest| interest.scope != Scope::Prefixes && !spares_own(interest)) {
                    self.invalidate(session.as_deref_mut(), client, &keys_of(std::slice::from_ref(&key)));
                }
            }
        }
    }

    /// Every key is gone: tells all who keep copies.
    fn invalidate_all(&mut self, mut session: Option<&mut Session>) {
        self.tracking.forget_reads();
        for client in self.tracking.clients().collect::<Vec<_>>() {
            self.invalidate(session.as_deref_mut(), client, &Reply::Null);
        }
    }

    /// Tells the clients of prefixes what has changed since they were last told.
    pub(crate) fn tell_of_prefixes(&mut self) {
        if self.tracking.is_empty() {
            return;
        }
        let clients = &self.clients;
        let spares_own = |client| {
            let interest = clients.get(client).and_then(|client| client.session.interest.as_ref());
            interest.is_some_and(|interest| interest.spares_own)
        };
        for (client, keys) in self.tracking.take_broadcasts(spares_own) {
            self.invalidate(None, client, &keys_of(&keys));
        }
    }

    /// Forgets what clients have read beyond the keys that are to be remembered: they drop their copies.
    pub(crate) fn limit_tracking(&mut self) {
        let keys_max = usize::try_from(self.settings.number("tracking-table-max-keys")).unwrap_or(usize::MAX);
        if keys_max == 0 {
            return;
        }
        while let Some((key, clients)) = self.tracking.forget_beyond(keys_max) {
            for client in clients {
                self.invalidate(None, client, &keys_of(std::slice::from_ref(&key)));
            }
        }
    }

    fn interest_of<'s>(&'s self, session: Option<&'s Session>, client: Key) -> Option<&'s Interest> {
        self.session_of(session, client)?.interest.as_deref()
    }

    /// The session of a client that may be the one that is being served.
    fn session_of<'s>(&'s self, session: Option<&'s Session>, client: Key) -> Option<&'s Session> {
        match session.filter(|session| session.key == client) {
            Some(session) => Some(session),
            None => self.clients.get(client).map(|client| &client.session),
        }
    }

    /// Tells a client, or who is told in its stead, that keys have changed.
    fn invalidate(&mut self, session: Option<&mut Session>, client: Key, keys: &Reply<'static>) {
        let Some(redirect) = self.interest_of(session.as_deref(), client).map(|interest| interest.redirect) else {
            return;
        };
        let to = redirect.map_or(client, |(_, key)| key);
        let Some(receiver) = self.session_of(session.as_deref(), to) else {
            return self.note_broken_redirect(session, client);
        };
        let (is_listener, protocol) = (self.subscriptions.has_any(to), receiver.protocol);
        let message = match protocol {
            Protocol::Three => vec![Reply::text("invalidate"), keys.clone()],
            Protocol::Two if redirect.is_some() && is_listener => {
                vec![Reply::text("message"), Reply::text(CHANNEL), keys.clone()]
            }
            Protocol::Two => return,
        };
        self.push_after(session, to, Reply::Push(message));
    }

    /// The client that was to be told is gone.
    fn note_broken_redirect(&mut self, mut session: Option<&mut Session>, client: Key) {
        let own = match session.as_deref_mut().filter(|session| session.key == client) {
            Some(own) => own,
            None => match self.clients.get_mut(client) {
                Some(client) => &mut client.session,
                None => return,
            },
        };
        let protocol = own.protocol;
        let Some(interest) = &mut own.interest else { return };
        interest.is_redirect_broken = true;
        let id = interest.redirect.map_or(0, |(id, _)| i64::try_from(id).unwrap_or(i64::MAX));
        if protocol == Protocol::Three {
            let message = vec![Reply::text("tracking-redir-broken"), Reply::Integer(id)];
            self.push_after(session, client, Reply::Push(message));
        }
    }

    /// Sends a client a message that comes behind the reply to the request that is being carried out.
    fn push_after(&mut self, session: Option<&mut Session>, to: Key, message: Reply<'static>) {
        match session.filter(|session| session.key == to) {
            Some(session) => session.afterthoughts.push(message),
            None => self.push(to, &message),
        }
    }
}

fn keys_of(keys: &[Box<[u8]>]) -> Reply<'static> {
    Reply::Array(keys.iter().map(|key| Reply::bulk(key.to_vec())).collect())
}
