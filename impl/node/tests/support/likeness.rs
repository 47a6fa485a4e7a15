//! Owns which replies of two servers count as the same although their bytes differ, and why.

use super::{Request, reply::Reply};

/// How replies are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Likeness {
    /// Byte by byte.
    Same,
    /// The same parts, so many at a time, in any order.
    Parts(usize),
    /// The same parts, and theirs, in any order.
    AllParts,
    /// The same cursor, and the same parts, so many at a time, in any order.
    Scanned(usize),
    /// As many parts.
    Length,
    /// The same type.
    Kind,
    /// Numbers that are not further apart, or the same.
    Near(u64),
    /// The same but for times.
    Timed,
}

use Likeness::{AllParts, Kind, Length, Near, Parts, Same, Scanned, Timed};

/// The commands whose replies are not compared byte by byte, which arguments that takes, and why.
const TABLE: &[(&[&str], &[&str], Likeness, &str)] = &[
    (&["smembers", "sinter", "sunion", "sdiff", "hkeys", "hvals", "keys"], &[], Parts(1), "tables have no order"),
    (&["hgetall"], &[], Parts(2), "tables have no order"),
    (&["sort", "sort_ro"], &["by"], Parts(1), "nothing orders what weighs the same"),
    (&["sort", "sort_ro"], &["get"], Parts(1), "nothing orders what weighs the same"),
    (&["spop", "srandmember"], &["1000"], Parts(1), "all members, in any order"),
    (&["hrandfield", "zrandmember"], &["1000", "withvalues"], Parts(2), "all of them, in any order"),
    (&["hrandfield", "zrandmember"], &["1000", "withscores"], Parts(2), "all of them, in any order"),
    (&["hrandfield", "zrandmember"], &["1000"], Parts(1), "all of them, in any order"),
    (&["spop", "srandmember", "hrandfield", "zrandmember"], &[], Length, "picked by chance"),
    (&["randomkey"], &[], Kind, "picked by chance"),
    (&["scan", "sscan"], &["count"], Scanned(1), "tables have no order"),
    (&["hscan", "zscan"], &["count"], Scanned(2), "tables have no order"),
    (&["scan"], &[], Kind, "where a portion ends is up to each server"),
    (&["ttl", "expiretime"], &[], Near(5), "clocks go on"),
    (&["pttl", "pexpiretime"], &[], Near(5000), "clocks go on"),
    (&["object"], &["idletime"], Kind, "small numbers are shared there, and as old as the server"),
    (&["time", "lastsave"], &[], Kind, "clocks go on"),
    (&["xpending", "xinfo"], &[], Timed, "clocks go on"),
    (&["xadd"], &["*"], Kind, "an id that is made of the time"),
    (&["dump"], &[], Kind, "compression may differ; what comes of RESTORE is compared"),
    (&["memory"], &["usage"], Kind, "each has its own structures"),
    (&["debug"], &["object"], Kind, "each has its own structures"),
    (&["hello"], &[], Length, "says who it is"),
    (&["client"], &["id"], Kind, "connections are numbered"),
    (&["client"], &["info"], Kind, "connections are numbered"),
    (&["client"], &["list"], Kind, "connections are numbered"),
    (&["config"], &["get"], Parts(2), "tables have no order"),
    (&["function"], &["list"], AllParts, "tables have no order"),
    (&["function"], &["dump"], Kind, "compression may differ; what comes of RESTORE is compared"),
    (&["command"], &["list"], Parts(1), "tables have no order"),
    (&["acl"], &["genpass"], Kind, "made by chance"),
    (&["acl"], &["log"], Length, "has times and addresses"),
    (&["slowlog"], &["get"], Kind, "what is slow is up to the machine"),
];

/// How replies to a request are compared.
pub(crate) fn likeness(request: &Request) -> Likeness {
    let is = |at: usize, word: &str| request.get(at).is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()));
    let has = |word: &&str| (1..request.len()).any(|at| is(at, word));
    // What a script asks for is compared as if the client had.
    if let Some(script) = request.get(1).filter(|_| is(0, "eval") || is(0, "eval_ro")) {
        if script.ends_with(b"call(unpack(ARGV))") {
            return likeness(&request.get(4..).unwrap_or_default().to_vec());
        }
        return if script.windows(7).any(|word| word == b"hgetall") { Parts(2) } else { Same };
    }
    let found = TABLE.iter().find(|(names, args, ..)| names.iter().any(|name| is(0, name)) && args.iter().all(&has));
    found.map_or(Same, |(.., likeness, _)| *likeness)
}

impl Likeness {
    /// Whether two replies count as the same.
    pub(crate) fn holds(self, ours: &Reply, theirs: &Reply) -> bool {
        if ours == theirs {
            return true;
        }
        let length = |reply: &Reply| reply.parts().map(<[Reply]>::len);
        // An error is never merely like another one.
        let is_error = ours.kind() == b"-" || theirs.kind() == b"-";
        !is_error
            && match self {
                Same => false,
                AllParts => ours.ordered_throughout() == theirs.ordered_throughout(),
                Parts(size) => ours.ordered(size) == theirs.ordered(size),
                Scanned(size) => match (ours.parts(), theirs.parts()) {
                    (Some([our_cursor, ours]), Some([their_cursor, theirs])) => {
                        our_cursor == their_cursor && ours.ordered(size) == theirs.ordered(size)
                    }
                    _ => false,
                },
                Length => ours.kind() == theirs.kind() && length(ours) == length(theirs),
                Kind => ours.kind() == theirs.kind(),
                Timed => untimed(ours) == untimed(theirs),
                Near(most) => match (ours.number(), theirs.number()) {
                    (Some(ours), Some(theirs)) => ours.abs_diff(theirs) <= most && (ours < 0) == (theirs < 0),
                    _ => false,
                },
            }
    }
}

/// A reply of a command about groups without what is a time: when an entry was delivered, which is a large number or the
/// third part of four, and for how long a consumer has been idle.
fn untimed(reply: &Reply) -> Reply {
    const TIME_MIN: i64 = 1_000_000_000_000;
    let time = || Reply::Plain(b":time\r\n".to_vec());
    match reply {
        Reply::Plain(_) if reply.number().is_some_and(|number| number >= TIME_MIN) => time(),
        Reply::Plain(_) => reply.clone(),
        Reply::Parts(kind, parts) => {
            let mut parts: Vec<Reply> = parts.iter().map(untimed).collect();
            if parts.len() == 4 && parts[2].number().is_some() {
                parts[2] = time();
            }
            let idle = parts.iter().position(|part| part.content() == Some(b"idle"));
            if let Some(value) = idle.and_then(|at| parts.get_mut(at + 1)) {
                *value = time();
            }
            Reply::Parts(*kind, parts)
        }
    }
}

/// Whether two replies to a request count as the same; EXEC answers the requests that were queued.
pub(crate) fn is_alike(request: &Request, queued: &[Request], ours: &Reply, theirs: &Reply) -> bool {
    if !request[0].eq_ignore_ascii_case(b"exec") {
        return likeness(request).holds(ours, theirs);
    }
    // HELLO in a transaction changes how all of its replies are written here, and those behind it there.
    if queued.iter().any(|request| request[0].eq_ignore_ascii_case(b"hello")) {
        return ours.kind() == theirs.kind();
    }
    match (ours.parts(), theirs.parts()) {
        (Some(ours), Some(theirs)) if ours.len() == queued.len() && theirs.len() == queued.len() => queued
            .iter()
            .zip(ours.iter().zip(theirs))
            .all(|(request, (ours, theirs))| is_alike(request, &[], ours, theirs)),
        _ => ours == theirs,
    }
}
