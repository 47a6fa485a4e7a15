//! Owns the form in which a command goes into the stream, where its own would not do the same on every
//! copy of the keys: chance and relative times do not, and what came of them does.
//!
//! Must not write the stream.

use crate::{
    commands::{geo, grant},
    store::Store,
};
use slotbus_wire::resp::{Args, Reply};

type Word = Box<[u8]>;

/// How a command goes into the stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As it is.
    Same,
    /// As another request.
    Other(Vec<Word>),
    /// Not at all.
    Nothing,
}

fn other<'w>(words: impl IntoIterator<Item = &'w [u8]>) -> Form {
    Form::Other(words.into_iter().map(Word::from).collect())
}

/// The form of a command that has just been carried out and changed something.
pub(super) fn form(name: &str, args: Args<'_>, reply: &Reply<'_>, store: &Store) -> Form {
    let key = args.at(1);
    match name {
        "set" if args.len() == 3 => Form::Same,
        "set" | "setex" | "psetex" | "getset" | "incrbyfloat" => string(key, store),
        "expire" | "pexpire" | "expireat" | "pexpireat" | "getex" => end(key, store),
        "geoadd" => Form::Other(geo::as_scores(args)),
        "getdel" => other([b"DEL".as_slice(), key]),
        "hincrbyfloat" => {
            text(reply).map_or(Form::Nothing, |value| other([b"HSET".as_slice(), key, args.at(2), value]))
        }
        "spop" => members(key, reply),
        "lmpop" => popped(args, reply, [("left", "LPOP"), ("right", "RPOP")]),
        "zmpop" => popped(args, reply, [("min", "ZPOPMIN"), ("max", "ZPOPMAX")]),
        "restore" | "restore-asking" => restored(key, args.at(3), store),
        // What these do is restated, as far as it is to be told.
        "xclaim" | "xautoclaim" => Form::Nothing,
        _ => Form::Same,
    }
}

/// Sets the string that is there now, with the end that it has now.
fn string(key: &[u8], store: &Store) -> Form {
    let Some(entry) = store.peek(key) else { return other([b"DEL".as_slice(), key]) };
    let Some(text) = entry.view().string() else { return Form::Nothing };
    match entry.expires_at().map(|end| end.0.to_string()) {
        None => other([b"SET".as_slice(), key, text]),
        Some(end) => other([b"SET".as_slice(), key, text, b"PXAT", end.as_bytes()]),
    }
}

/// Gives a key the end that it has now.
fn end(key: &[u8], store: &Store) -> Form {
    match store.peek(key).map(|entry| entry.expires_at()) {
        None => other([b"DEL".as_slice(), key]),
        Some(None) => other([b"PERSIST".as_slice(), key]),
        Some(Some(end)) => other([b"PEXPIREAT".as_slice(), key, end.0.to_string().as_bytes()]),
    }
}

/// Drops the members that were picked by chance.
fn members(key: &[u8], reply: &Reply<'_>) -> Form {
    let several = if let Reply::Array(replies) | Reply::Set(replies) = reply { replies.as_slice() } else { &[] };
    let picked: Vec<&[u8]> = several.iter().chain([reply]).filter_map(text).collect();
    if picked.is_empty() { Form::Nothing } else { other([b"SREM".as_slice(), key].into_iter().chain(picked)) }
}

/// Takes as many from the key from which some were taken, from the same end.
fn popped(args: Args<'_>, reply: &Reply<'_>, names: [(&str, &str); 2]) -> Form {
    let Some((key, count)) = grant::several(reply) else { return Form::Nothing };
    let ends = args.from(1).filter_map(|arg| names.iter().find(|(end, _)| arg.eq_ignore_ascii_case(end.as_bytes())));
    // A key may be called as an end is: the end comes behind all keys.
    let Some((_, name)) = ends.last() else { return Form::Same };
    other([name.as_bytes(), key, count.to_string().as_bytes()])
}

fn text<'r>(reply: &'r Reply<'_>) -> Option<&'r [u8]> {
    if let Reply::Bulk(text) = reply { Some(text) } else { None }
}

/// Unpacks the value again, with the end that it has now.
fn restored(key: &[u8], payload: &[u8], store: &Store) -> Form {
    let Some(entry) = store.peek(key) else { return other([b"DEL".as_slice(), key]) };
    let end = entry.expires_at().map_or(0, |end| end.0).to_string();
    other([b"RESTORE".as_slice(), key, end.as_bytes(), payload, b"REPLACE", b"ABSTTL"])
}

#[cfg(test)]
mod tests {
    use super::{Form, form};
    use crate::{
        command::Run,
        dispatch,
        store::{Expired, Store},
    };
    use slotbus_core::Millis;
    use slotbus_wire::resp::OwnedArgs;

    const NOW: Millis = Millis(5000);

    /// The form of each request of a line of them, split by `;`.
    fn forms(line: &str) -> Vec<String> {
        let mut store = Store::default();
        store.set_time(NOW, Expired::Dropped);
        let one = |request: &str| {
            let args = OwnedArgs::collect(request.split_whitespace().map(str::as_bytes));
            let args = args.args();
            let command = dispatch::look_up(args).expect("known");
            let Run::Data(run) = command.run else { panic!("{request} is about keys") };
            let reply = run(&mut store, args).unwrap_or_else(|refusal| refusal).into_owned();
            let words =
                |words: &[Box<[u8]>]| words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
            match form(command.name, args, &reply, &store) {
                Form::Same => "same".to_owned(),
                Form::Other(list) => {
                    let list: Vec<String> = words(&list);
                    list.join(" ")
                }
                Form::Nothing => "nothing".to_owned(),
            }
        };
        line.split(';').map(one).collect()
    }

    #[test]
    fn what_came_of_a_command_is_told_where_the_command_would_not_do() {
        for (line, last) in [
            ("SET a 1", "same"),
            ("SET a 1 EX 2", "SET a 1 PXAT 7000"),
            ("SET a 1 PX 2 GET", "SET a 1 PXAT 5002"),
            ("SET a 1 PX 9;SET a 2 KEEPTTL", "SET a 2 PXAT 5009"),
            ("SETEX a 3 x", "SET a x PXAT 8000"),
            ("PSETEX a 3 x", "SET a x PXAT 5003"),
            ("GETSET a x", "SET a x"),
            ("SET a 1;EXPIRE a 10", "PEXPIREAT a 15000"),
            ("SET a 1;PEXPIRE a 10", "PEXPIREAT a 5010"),
            ("SET a 1;EXPIREAT a 10", "PEXPIREAT a 10000"),
            ("SET a 1;EXPIRE a -1", "DEL a"),
            ("SET a 1;GETEX a PX 7", "PEXPIREAT a 5007"),
            ("SET a 1 PX 9;GETEX a PERSIST", "PERSIST a"),
            ("SET a 1;GETDEL a", "DEL a"),
            ("SET a 1 PX 9;INCRBYFLOAT a 0.5", "SET a 1.5 PXAT 5009"),
            ("HINCRBYFLOAT h f 1.5", "HSET h f 1.5"),
            ("SADD s a;SPOP s", "SREM s a"),
            ("SADD s a;SPOP s 3", "SREM s a"),
            ("SADD s a;SPOP s 0", "nothing"),
            ("LPUSH l a b;LPOP l 2", "same"),
            ("LPUSH l a b;LMPOP 2 left l LEFT COUNT 9", "LPOP l 2"),
            ("LPUSH l a b;LMPOP 1 l right", "RPOP l 1"),
            ("ZADD z 1 a 2 b;ZMPOP 1 z MAX", "ZPOPMAX z 1"),
            ("INCR a", "same"),
            ("GEOADD g CH NX 1 2 a 3 4 b", "zadd g CH NX 3378080408407459 a 3379626039612548 b"),
            ("GEOADD g 1 2 a;GEOSEARCHSTORE d g FROMMEMBER a BYRADIUS 1 m", "same"),
            ("GEOADD g 1 2 a;GEORADIUS g 1 2 1 km STORE d", "same"),
        ] {
            assert_eq!(forms(line).last().map(String::as_str), Some(last), "{line}");
        }
    }
}
