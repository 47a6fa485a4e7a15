//! Owns the commands about copies of keys that clients keep: CLIENT TRACKING and its kin.

use super::syntax_error;
use crate::{
    client::Session,
    server::Server,
    slab::Key,
    tracking::{Interest, Scope, Tracking},
};
use slotbus_wire::resp::{Args, Reply, parse_i64};

pub(super) fn getredir<'e>(_: &'e mut Server, session: &mut Session, _: Args<'e>) -> Reply<'e> {
    Reply::Integer(session.redirection())
}

pub(super) fn trackinginfo<'e>(server: &'e mut Server, session: &mut Session, _: Args<'e>) -> Reply<'e> {
    let flags = session.interest.as_deref().map_or_else(|| vec!["off"], words);
    let prefixes = server.tracking.prefixes_of(session.key).map(|prefix| Reply::bulk(prefix.to_vec()));
    Reply::Map(vec![
        (Reply::text("flags"), Reply::Set(flags.into_iter().map(Reply::text).collect())),
        (Reply::text("redirect"), Reply::Integer(session.redirection())),
        (Reply::text("prefixes"), Reply::Array(prefixes.collect())),
    ])
}

/// What CLIENT TRACKINGINFO says of a client.
fn words(interest: &Interest) -> Vec<&'static str> {
    let mut words = vec!["on"];
    match interest.scope {
        Scope::Reads => {}
        Scope::Prefixes => words.push("bcast"),
        Scope::ReadsIfSaid => {
            words.push("optin");
            words.extend(interest.has_said.then_some("caching-yes"));
        }
        Scope::ReadsUnlessSaid => {
            words.push("optout");
            words.extend(interest.has_said.then_some("caching-no"));
        }
    }
    words.extend(interest.spares_own.then_some("noloop"));
    words.extend(interest.is_redirect_broken.then_some("broken_redirect"));
    words
}

pub(super) fn caching<'e>(_: &'e mut Server, session: &mut Session, args: Args<'e>) -> Reply<'e> {
    let chosen = session.interest.as_deref_mut();
    let chosen = chosen.filter(|interest| matches!(interest.scope, Scope::ReadsIfSaid | Scope::ReadsUnlessSaid));
    let Some(interest) = chosen else {
        return Reply::err(
            "CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled",
        );
    };
    let (scope, refusal) = match args.at(2).to_ascii_lowercase().as_slice() {
        b"yes" => (Scope::ReadsIfSaid, "CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode."),
        b"no" => (Scope::ReadsUnlessSaid, "CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode."),
        _ => return syntax_error(),
    };
    if interest.scope != scope {
        return Reply::err(refusal);
    }
    interest.has_said = true;
    Reply::OK
}

pub(super) fn tracking<'e>(server: &'e mut Server, session: &mut Session, args: Args<'e>) -> Reply<'e> {
    match track(server, session, args) {
        Ok(()) => Reply::OK,
        Err(refusal) => refusal,
    }
}

fn track(server: &mut Server, session: &mut Session, args: Args<'_>) -> Result<(), Reply<'static>> {
    let options = Options::read(server, session, args.skip(3))?;
    match args.at(2).to_ascii_lowercase().as_slice() {
        b"on" => {
            let scope = options.scope(session)?;
            check_prefixes(&server.tracking, session.key, &options.prefixes)?;
            let (redirect, spares_own) = (options.redirect, options.spares_own);
            server.begin_tracking(session, Interest { scope, redirect, spares_own, ..Interest::default() });
            for prefix in options.all_prefixes() {
                server.tracking.add_prefix(session.key, prefix);
            }
        }
        b"off" => server.end_tracking(session),
        _ => return Err(syntax_error()),
    }
    Ok(())
}

/// What may follow ON in CLIENT TRACKING.
#[derive(Default)]
struct Options<'a> {
    redirect: Option<(u64, Key)>,
    is_broadcast: bool,
    is_opt_in: bool,
    is_opt_out: bool,
    spares_own: bool,
    prefixes: Vec<&'a [u8]>,
}

impl<'a> Options<'a> {
    fn read(server: &Server, session: &Session, args: Args<'a>) -> Result<Self, Reply<'static>> {
        let mut options = Self::default();
        let mut rest = args.from(0);
        while let Some(option) = rest.next() {
            match (option.to_ascii_lowercase().as_slice(), rest.len()) {
                (b"redirect", 1..) => {
                    if options.redirect.is_some() {
                        return Err(Reply::err("A client can only redirect to a single other client"));
                    }
                    options.redirect = Some(redirect_to(server, session, rest.next().unwrap_or_default())?);
                }
                (b"bcast", _) => options.is_broadcast = true,
                (b"optin", _) => options.is_opt_in = true,
                (b"optout", _) => options.is_opt_out = true,
                (b"noloop", _) => options.spares_own = true,
                (b"prefix", 1..) => options.prefixes.extend(rest.next()),
                _ => return Err(syntax_error()),
            }
        }
        Ok(options)
    }

    /// What the options say of reads, if that goes together, and with what the client has chosen before.
    fn scope(&self, session: &Session) -> Result<Scope, Reply<'static>> {
        let before = session.interest.as_ref().map(|interest| interest.scope);
        let is_switch = |wanted: bool, scope| wanted && before == Some(scope);
        if !self.is_broadcast && !self.prefixes.is_empty() {
            return Err(Reply::err("PREFIX option requires BCAST mode to be enabled"));
        }
        if before.is_some_and(|scope| (scope == Scope::Prefixes) != self.is_broadcast) {
            return Err(cannot_switch("BCAST mode on/off"));
        }
        if self.is_broadcast && (self.is_opt_in || self.is_opt_out) {
            return Err(Reply::err("OPTIN and OPTOUT are not compatible with BCAST"));
        }
        if self.is_opt_in && self.is_opt_out {
            return Err(Reply::err("You can't specify both OPTIN mode and OPTOUT mode"));
        }
        if is_switch(self.is_opt_in, Scope::ReadsUnlessSaid) || is_switch(self.is_opt_out, Scope::ReadsIfSaid) {
            return Err(cannot_switch("OPTIN/OPTOUT mode"));
        }
        Ok(match self {
            Self { is_broadcast: true, .. } => Scope::Prefixes,
            Self { is_opt_in: true, .. } => Scope::ReadsIfSaid,
            Self { is_opt_out: true, .. } => Scope::ReadsUnlessSaid,
            Self { .. } => Scope::Reads,
        })
    }

    /// The prefixes that are wanted: every key begins with the empty one.
    fn all_prefixes(&self) -> Vec<&'a [u8]> {
        if self.is_broadcast && self.prefixes.is_empty() { vec![b""] } else { self.prefixes.clone() }
    }
}

fn cannot_switch(what: &str) -> Reply<'static> {
    Reply::err(format_args!(
        "You can't switch {what} before disabling tracking for this client, and then re-enabling it with a different \
         mode."
    ))
}

/// The client that is to be told in this one's stead.
fn redirect_to(server: &Server, session: &Session, id: &[u8]) -> Result<(u64, Key), Reply<'static>> {
    let id = parse_i64(id).ok_or_else(super::not_an_integer)?;
    let sessions = server.clients.iter().map(|(_, client)| &client.session).chain([session]);
    let found = sessions.filter(|session| i64::try_from(session.id) == Ok(id)).map(|session| (session.id, session.key));
    found.last().ok_or_else(|| Reply::err("The client ID you want redirect to does not exist"))
}

/// No two prefixes of a client may begin alike: it would be told twice.
fn check_prefixes(tracking: &Tracking, client: Key, prefixes: &[&[u8]]) -> Result<(), Reply<'static>> {
    let overlap = |one: &[u8], other: &[u8]| one.starts_with(other) || other.starts_with(one);
    for (index, prefix) in prefixes.iter().enumerate() {
        let refusal = |which: &str, other: &[u8]| {
            let [prefix, other] = [prefix, other].map(String::from_utf8_lossy);
            Reply::err(format_args!(
                "Prefix '{prefix}' overlaps with {which} prefix '{other}'. Prefixes for a single client must not overlap."
            ))
        };
        if let Some(other) = tracking.prefixes_of(client).find(|other| overlap(prefix, other)) {
            return Err(refusal("an existing", other));
        }
        if let Some(other) = prefixes[index + 1..].iter().find(|other| overlap(prefix, other)) {
            return Err(refusal("another provided", other));
        }
    }
    Ok(())
}
